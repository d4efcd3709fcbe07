/*
 * tier_room.c: how much memory the hot tier may use, making it fit, and when writers have to wait.
 *
 *   hot limit = maxmemory − everything else in the process − pressure, at least max(1 MiB, maxmemory / 8)
 *
 * "Everything else" is what the allocator counts as allocated, less the hot tier: client buffers, the log's buffers, the cold tier's filter.
 * What checkpoints take, and the pages that the database keeps of it for the next one, is granted on top of maxmemory, up to checkpoint-memory;
 * the database's part is what allocations of the thread that writes to it say (mem_thread_balance()). Pressure is what fragmentation costs: while the
 * process's anonymous memory exceeds maxmemory by a twelfth it grows by a small step each tick, and shrinks when it is well below. A direct formula would run away,
 * because demoting records empties pages only here and there.
 *
 * Demotion takes small steps in the partitions in turn, each under one stripe. If what is left is dirty, nothing leaves (I7): `stuck` is
 * set, a checkpoint is asked for, and writers wait until it has committed. Reads never wait: what they bring exceeds the limit by no more than the
 * requests under way, and leaves first.
 *
 * Writers wait (ST_AGAIN) while any of these holds, and each is ended by a checkpoint or the log thread:
 *
 *   dirty bytes > dirty limit                (default: half of the hot limit)
 *   what is dirty would take a checkpoint more than checkpoint-memory        (with maxmemory)
 *   log tail > aof-max-tail
 *   unwritten log > aof-buffer-limit, or an eighth of maxmemory
 *   stuck, over the hot limit, and something is dirty
 *   saved images > checkpoint-memory
 *
 * Checkpoints begin at half of the dirty limit, of checkpoint-memory and of the tail, so that waiting is the exception. If they fail FAILURES_MAX times in a row, waiting is
 * pointless and writers get the failure instead.
 *
 * Threads: the figures are atomics; any thread refreshes them.
 */
#include "base/clock.h"
#include "tier_internal.h"

/* Entries examined under one stripe, and steps of one call: some hundred microseconds at most. */
enum { STEP_ENTRY_MAX = 64, STEP_MAX = 64 };
/* Turns and bytes of their writes after which the memory is looked at. */
enum { LOOK_TURN_MAX = 64, LOOK_BYTES = 4096 };
/* Pause after a call that freed little. */
enum { RETRY_MS = 2 };
enum { FAILURES_MAX = 3 };
/* Dirty figures are summed up after so many bytes of journal. */
#define REFRESH_BYTES ((uint64_t)(128 * KiB))
/* Memory a checkpoint needs for each key, apart from the key's bytes. */
#define CHECKPOINT_KEY_BYTES ((uint64_t)64)
/* Replaying an effect takes as long as so many bytes of a long one: what a restart will take is what counts. */
#define REPLAY_EFFECT_BYTES ((uint64_t)256)
#define PAGE_BYTES          ((uint64_t)(4 * KiB))
#define HOT_LIMIT_MIN       ((uint64_t)(1 * MiB))
#define LOG_PENDING_MIN     ((uint64_t)(1 * MiB))
/* Of checkpoint-memory: the least that is taken seriously, and what 0 stands for. */
#define CHECKPOINT_BOUND_MIN   ((uint64_t)(1 * MiB))
#define CHECKPOINT_DEFAULT_MIN ((uint64_t)(8 * MiB))
#define CHECKPOINT_DEFAULT_MAX ((uint64_t)(64 * MiB))

static uint64_t load(const _Atomic uint64_t *figure)
{
    return atomic_load_explicit(figure, memory_order_relaxed);
}

static void store(_Atomic uint64_t *figure, uint64_t value)
{
    atomic_store_explicit(figure, value, memory_order_relaxed);
}

static uint64_t option(const int64_t value)
{
    return value < 0 ? 0 : (uint64_t)value;
}

/* --- limits --------------------------------------------------------------------------------------------- */

uint64_t tier_hot_limit(const struct tier *tier)
{
    return load(&tier->room->hot_limit);
}

uint64_t room_checkpoint_bound(const struct tier *tier)
{
    const uint64_t asked = option(OPTION_GET(tier->options, checkpoint_memory));
    if (asked != 0)
        return asked > CHECKPOINT_BOUND_MIN ? asked : CHECKPOINT_BOUND_MIN;
    const uint64_t memory_max = option(OPTION_GET(tier->options, memory_max));
    if (memory_max == 0 || memory_max / 4 > CHECKPOINT_DEFAULT_MAX)
        return CHECKPOINT_DEFAULT_MAX;
    return memory_max / 4 > CHECKPOINT_DEFAULT_MIN ? memory_max / 4 : CHECKPOINT_DEFAULT_MIN;
}

bool room_tail_is_long(const struct tier *tier)
{
    if (tier->aof == NULL)
        return false;
    const uint64_t tail = aof_end_lsn(tier->aof) - tier_checkpoint_lsn(tier);
    const uint64_t work = tail + REPLAY_EFFECT_BYTES * tier_changes_since_checkpoint(tier);
    return work > option(OPTION_GET(tier->options, checkpoint_log_size)) ||
           tail > option(OPTION_GET(tier->options, aof_tail_max)) / 2;
}

/*
 * Memory that a checkpoint would take now: its list of keys, and, if memory is bounded at all, the pages it changes, which the
 * database holds until the commit and never gives back: one for each key, or what long values fill, but no more than there are.
 */
static uint64_t checkpoint_estimate(
    const struct tier *tier, uint64_t dirty_count, uint64_t dirty_bytes)
{
    const uint64_t list = dirty_count * CHECKPOINT_KEY_BYTES;
    if (OPTION_GET(tier->options, memory_max) == 0)
        return list;
    const uint64_t leaves = dirty_count * PAGE_BYTES;
    const uint64_t pages = leaves > dirty_bytes ? leaves : dirty_bytes;
    const uint64_t all = load(&tier->room->cold_file_bytes) + dirty_bytes;
    return list + (pages < all ? pages : all);
}

bool room_refresh(struct tier *tier)
{
    struct tier_room *const room = tier->room;
    struct hot_metrics hot = {0};
    hot_metrics_read(tier->hot, &hot);
    const uint64_t dirty_bytes = metric_get(&hot, dirty_bytes);
    const uint64_t dirty_count = metric_get(&hot, dirty_count);
    const uint64_t hot_limit = load(&room->hot_limit);
    uint64_t dirty_limit = option(OPTION_GET(tier->options, dirty_limit));
    if (dirty_limit == 0)
        dirty_limit = hot_limit == UINT64_MAX ? UINT64_MAX : hot_limit / 2;
    store(&room->dirty_bytes, dirty_bytes);
    store(&room->dirty_count, dirty_count);
    store(&room->dirty_limit, dirty_limit);
    store(&room->logged_bytes, 0);
    const uint64_t memory = room_checkpoint_bound(tier);
    const uint64_t estimate = checkpoint_estimate(tier, dirty_count, dirty_bytes);
    store(&room->checkpoint_estimate, estimate);
    /* Where there is a bound, it is one: a checkpoint begins at half of it. */
    const uint64_t trigger = OPTION_GET(tier->options, memory_max) == 0 ? memory : memory / 2;
    return dirty_count > 0 && (dirty_bytes > dirty_limit / 2 || estimate > trigger ||
                                  atomic_load_explicit(&room->stuck, memory_order_relaxed));
}

void room_note_logged(struct tier *tier, uint64_t bytes)
{
    const uint64_t before =
        atomic_fetch_add_explicit(&tier->room->logged_bytes, bytes, memory_order_relaxed);
    if (before + bytes < REFRESH_BYTES)
        return;
    if (room_refresh(tier) || room_tail_is_long(tier))
        checkpointer_wake(tier);
}

/* What the database keeps for its transactions. */
uint64_t room_database_bytes(const struct tier *tier)
{
    const int64_t bytes = atomic_load_explicit(&tier->room->database_bytes, memory_order_relaxed);
    return bytes > 0 ? (uint64_t)bytes : 0;
}

/* What checkpoints are granted beyond maxmemory: what the database keeps, and what the running one has taken so far. */
static uint64_t checkpoint_grant(const struct tier *tier, uint64_t other)
{
    const uint64_t bound = room_checkpoint_bound(tier);
    uint64_t grant = room_database_bytes(tier) + metric_get(tier->metrics, checkpoint_memory_bytes);
    if (grant > bound)
        grant = bound;
    return grant < other ? grant : other;
}

static uint64_t pressure_next(const struct tier *tier, uint64_t anonymous, uint64_t memory_max)
{
    const uint64_t pressure = load(&tier->room->pressure_bytes);
    const uint64_t bound = room_checkpoint_bound(tier);
    const uint64_t kept = room_database_bytes(tier);
    const uint64_t grant =
        metric_get(tier->metrics, checkpoint_running) != 0 || kept > bound ? bound : kept;
    const uint64_t high = memory_max + memory_max / 12 + grant;
    if (anonymous > high) {
        /* The more too much, the larger the step; the allocator takes about a second to give pages back. */
        const uint64_t excess_step = (anonymous - high) / 16;
        const uint64_t least_step = memory_max / 1024;
        const uint64_t grown = pressure + (excess_step > least_step ? excess_step : least_step);
        return grown < memory_max * 3 / 10 ? grown : memory_max * 3 / 10;
    }
    if (anonymous < memory_max + memory_max / 20)
        return pressure > memory_max / 2048 ? pressure - memory_max / 2048 : 0;
    return pressure;
}

static void refresh_hot_limit(struct tier *tier)
{
    struct tier_room *const room = tier->room;
    struct mem_stats stats;
    mem_stats_read(&stats);
    const uint64_t hot_bytes = hot_memory_bytes(tier->hot);
    const uint64_t other =
        stats.allocated_bytes > hot_bytes ? stats.allocated_bytes - hot_bytes : 0;
    const uint64_t memory_max = option(OPTION_GET(tier->options, memory_max));
    if (memory_max == 0) {
        store(&room->pressure_bytes, 0);
        store(&room->hot_limit, UINT64_MAX);
        return;
    }
    const uint64_t pressure = pressure_next(tier, stats.anonymous_bytes, memory_max);
    store(&room->pressure_bytes, pressure);
    const uint64_t taken = other - checkpoint_grant(tier, other) + pressure;
    const uint64_t least = memory_max / 8 > HOT_LIMIT_MIN ? memory_max / 8 : HOT_LIMIT_MIN;
    const uint64_t left = memory_max > taken ? memory_max - taken : 0;
    store(&room->hot_limit, left > least ? left : least);
}

void tier_tick(struct tier *tier)
{
    struct cold_metrics cold = {0};
    cold_metrics_read(tier->cold, &cold);
    store(&tier->room->cold_file_bytes, metric_get(&cold, file_bytes));
    refresh_hot_limit(tier);
    if (room_refresh(tier) || room_tail_is_long(tier))
        checkpointer_wake(tier);
}

void room_note_database(struct tier *tier, int64_t bytes)
{
    atomic_fetch_add_explicit(&tier->room->database_bytes, bytes, memory_order_relaxed);
}

uint64_t room_filter_bytes(const struct tier *tier)
{
    struct cold_metrics cold = {0};
    cold_metrics_read(tier->cold, &cold);
    return metric_get(&cold, filter_bytes);
}

void room_checkpoint_begin(struct tier *tier)
{
    metric_set(tier->metrics, checkpoint_running, 1);
}

void room_checkpoint_end(struct tier *tier)
{
    struct tier_room *const room = tier->room;
    metric_set(tier->metrics, checkpoint_running, 0);
    metric_set(tier->metrics, checkpoint_memory_bytes, 0);
    atomic_store_explicit(&room->stuck, false, memory_order_relaxed);
    (void)room_refresh(tier);
}

/* --- demotion ------------------------------------------------------------------------------------------------- */

struct room_result {
    uint64_t freed_bytes;
    uint64_t examined_count;
    uint64_t dirty_count;
};

static void demote_step(struct tier *tier, uint64_t target_bytes, struct room_result *result)
{
    const unsigned partition =
        atomic_fetch_add_explicit(&tier->room->partition, 1, memory_order_relaxed) %
        HOT_PARTITION_COUNT;
    const uint64_t stripe = hot_stripe_of_partition(tier->hot, partition);
    struct hot_demotion demotion = {0};
    hot_lock(tier->hot, stripe);
    hot_demote(tier->hot, partition, target_bytes, STEP_ENTRY_MAX, &demotion);
    hot_unlock(tier->hot, stripe);
    result->freed_bytes += demotion.freed_bytes;
    result->examined_count += demotion.examined_count;
    result->dirty_count += demotion.dirty_count;
}

/* A checkpoint is asked for if it would free a good part of what is too much. */
static void room_not_found(struct tier_turn *turn, const struct room_result *result,
    uint64_t excess_bytes, uint64_t now_ms)
{
    struct tier *const tier = turn->tier;
    turn->room_retry_ms = now_ms + RETRY_MS;
    if (result->dirty_count == 0)
        return;
    (void)room_refresh(tier);
    if (load(&tier->room->dirty_bytes) < excess_bytes / 4)
        return;
    atomic_store_explicit(&tier->room->stuck, true, memory_order_relaxed);
    checkpointer_wake(tier);
}

/*
 * Summing up the hot tier's memory costs more than a small turn: it is done when something came from the cold tier, after some
 * kilobytes of writes, and now and then because the limit moves.
 */
static bool look_is_due(struct tier_turn *turn)
{
    turn->room_skip_count++;
    if (!turn->room_due && turn->room_grown_bytes < LOOK_BYTES &&
        turn->room_skip_count < LOOK_TURN_MAX && !turn_is_recovery(turn))
        return false;
    turn->room_skip_count = 0;
    turn->room_grown_bytes = 0;
    turn->room_due = false;
    return true;
}

void tier_make_room(struct tier_turn *turn)
{
    struct tier *const tier = turn->tier;
    const uint64_t limit = load(&tier->room->hot_limit);
    if (limit == UINT64_MAX || !look_is_due(turn))
        return;
    uint64_t used = hot_memory_bytes(tier->hot);
    if (likely(used <= limit)) {
        if (unlikely(atomic_load_explicit(&tier->room->stuck, memory_order_relaxed)))
            atomic_store_explicit(&tier->room->stuck, false, memory_order_relaxed);
        return;
    }
    CHECK(turn->locked == 0);
    turn->room_due = true; /* look again in the next turn */
    const uint64_t now_ms = clock_monotonic_ms();
    if (now_ms < turn->room_retry_ms)
        return;
    /* A little more than needed, so that not every turn comes here. */
    const uint64_t target = used - limit + limit / 512;
    struct room_result result = {0};
    for (unsigned step = 0; step < STEP_MAX && result.freed_bytes < target; step++)
        demote_step(tier, target - result.freed_bytes, &result);
    used = hot_memory_bytes(tier->hot);
    if (used > limit && result.freed_bytes < target / 8)
        room_not_found(turn, &result, used - limit, now_ms);
}

/* --- may a writer go on? ------------------------------------------------------------------------------------------ */

/* Beyond it the log thread cannot keep up: what it has not written must not crowd out the hot tier. */
static bool log_is_behind(const struct tier *tier)
{
    const uint64_t memory_max = option(OPTION_GET(tier->options, memory_max));
    const uint64_t share = memory_max / 8;
    return memory_max != 0 &&
           aof_pending_bytes(tier->aof) > (share > LOG_PENDING_MIN ? share : LOG_PENDING_MIN);
}

static bool writers_wait(const struct tier *tier)
{
    const struct tier_room *const room = tier->room;
    if (load(&room->dirty_bytes) > load(&room->dirty_limit))
        return true;
    if (aof_end_lsn(tier->aof) - tier_checkpoint_lsn(tier) >
        option(OPTION_GET(tier->options, aof_tail_max)))
        return true;
    if (OPTION_GET(tier->options, memory_max) != 0 &&
        load(&room->checkpoint_estimate) > room_checkpoint_bound(tier))
        return true;
    if (log_is_behind(tier))
        return true;
    if (images_bytes(&tier->images) > room_checkpoint_bound(tier))
        return true;
    return atomic_load_explicit(&room->stuck, memory_order_relaxed) &&
           load(&room->dirty_count) > 0 && hot_memory_bytes(tier->hot) > load(&room->hot_limit);
}

enum status tier_may_write(const struct tier *tier)
{
    const enum status health = aof_health(tier->aof);
    if (unlikely(health != ST_OK))
        return health == ST_FULL ? ST_FULL : ST_IO;
    if (likely(aof_has_room(tier->aof) && !writers_wait(tier)))
        return ST_OK;
    metric_add(tier->metrics, throttled_count, 1);
    const uint32_t failures =
        atomic_load_explicit(&tier->checkpoint_failures, memory_order_relaxed);
    if (failures >= FAILURES_MAX && aof_has_room(tier->aof))
        return tier_checkpoint_status(tier) == ST_FULL ? ST_FULL : ST_IO;
    return ST_AGAIN;
}
