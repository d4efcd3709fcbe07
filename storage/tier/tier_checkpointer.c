/*
 * tier_checkpointer.c: the thread that writes the cold tier: checkpoints when one is due, and between them, in small steps, sweeps
 * records of dead spaces from RAM and reclaims them on disk.
 *
 * A checkpoint is due when asked for, or, if anything changed: at the length of the log tail, the amount of dirty memory, the age of the
 * last one. If nothing was written, but other records are hot now, one that stores only the hot list is due when the list is old. After a failure the next attempt waits, 100 ms at first and 5 s at most,
 * doubling. In quiet times the memory that the database keeps of past checkpoints is given back. A request that comes while one runs waits for the one after it: what was logged before the request need not be in the first.
 */
#include "base/clock.h"
#include "base/log.h"
#include "tier_internal.h"

#include <stdlib.h>

enum { LOOK_MS = 100, BACKOFF_MS_MIN = 100, BACKOFF_MS_MAX = 5000 };
enum { RECLAIM_RECORD_MAX = 1000 };
/* What the database keeps in RAM of past transactions is given back when it is this much and none came for so long. */
enum { TRIM_IDLE_MS = 10000 };
#define TRIM_BYTES_MIN ((uint64_t)(16 * MiB))

struct checkpointer {
    struct tier *tier;
    uint64_t last_ms;    /* monotonic: end of the last checkpoint */
    uint64_t retry_ms;   /* monotonic: not before */
    uint64_t backoff_ms; /* 0: the last one succeeded */
    uint64_t sweep_ms;   /* monotonic: not before */
    uint64_t trim_ms;    /* monotonic: the last attempt */
    bool sweep_again;    /* some had to stay */
};

/* --- when ---------------------------------------------------------------------------------------------------- */

static bool anything_changed(const struct tier *tier)
{
    return aof_end_lsn(tier->aof) != tier_checkpoint_lsn(tier) ||
           atomic_load_explicit(&tier->room->dirty_count, memory_order_relaxed) > 0;
}

static bool heat_is_old(const struct tier *tier, uint64_t now_ms)
{
    const int64_t interval_s = OPTION_GET(tier->options, hot_list_interval_s);
    return interval_s > 0 && now_ms - tier->heat_stored_ms >= (uint64_t)interval_s * 1000;
}

static bool checkpoint_is_due(const struct checkpointer *self, bool wanted, uint64_t now_ms)
{
    struct tier *const tier = self->tier;
    const bool memory = room_refresh(tier);
    if (now_ms < self->retry_ms)
        return false;
    if (wanted || self->backoff_ms != 0)
        return true;
    /* Reads alone change what is hot. */
    if (!anything_changed(tier))
        return heat_is_old(tier, now_ms) &&
               metric_get(tier->metrics, promoted_count) != tier->heat_promoted;
    if (memory)
        return true;
    if (room_tail_is_long(tier))
        return true;
    const int64_t interval_s = OPTION_GET(tier->options, checkpoint_interval_s);
    return now_ms - self->last_ms >= (uint64_t)interval_s * 1000;
}

/* --- one ---------------------------------------------------------------------------------------------------------- */

static struct tier_wait *take_waiting(struct tier *tier)
{
    mutex_lock(&tier->lock);
    struct tier_wait *const waiting = tier->waiting;
    tier->waiting = NULL;
    tier->checkpoint_wanted = false;
    mutex_unlock(&tier->lock);
    return waiting;
}

static void answer(struct tier_wait *waiting, enum status status)
{
    while (waiting != NULL) {
        struct tier_wait *const next = waiting->next;
        wait_fail(waiting, status);
        wait_send(waiting);
        waiting = next;
    }
}

static void note_failure(
    struct checkpointer *self, enum status status, const struct error *error, uint64_t now_ms)
{
    struct tier *const tier = self->tier;
    self->backoff_ms = self->backoff_ms == 0 ? BACKOFF_MS_MIN : self->backoff_ms * 2;
    if (self->backoff_ms > BACKOFF_MS_MAX)
        self->backoff_ms = BACKOFF_MS_MAX;
    self->retry_ms = now_ms + self->backoff_ms;
    atomic_fetch_add_explicit(&tier->checkpoint_failures, 1, memory_order_relaxed);
    log_error("tier: checkpoint failed status=%s retry_ms=%llu: %s", status_name(status),
        (unsigned long long)self->backoff_ms, error->message);
}

static void run_checkpoint(struct checkpointer *self, bool with_heat)
{
    struct tier *const tier = self->tier;
    struct tier_wait *const waiting = take_waiting(tier);
    enum status status = ST_OK;
    (void)room_refresh(tier);
    if (with_heat || anything_changed(tier)) {
        const struct checkpoint_plan plan = {.with_heat = with_heat};
        struct error error = {0};
        status = checkpoint_run(tier, &plan, &error);
        if (status != ST_OK)
            note_failure(self, status, &error, clock_monotonic_ms());
    } else {
        atomic_store_explicit(
            &tier->checkpoint_unix_s, clock_wall_ms() / 1000, memory_order_relaxed);
    }
    self->last_ms = clock_monotonic_ms();
    if (status == ST_OK) {
        self->backoff_ms = 0;
        atomic_store_explicit(&tier->checkpoint_failures, 0, memory_order_relaxed);
    }
    atomic_store_explicit(&tier->checkpoint_status, (uint32_t)status, memory_order_relaxed);
    answer(waiting, status);
}

/* --- in between ------------------------------------------------------------------------------------------------------ */

static void sweep_if_wanted(struct checkpointer *self, uint64_t now_ms)
{
    struct tier *const tier = self->tier;
    const bool wanted = atomic_exchange_explicit(&tier->sweep_wanted, false, memory_order_relaxed);
    if (!wanted && (!self->sweep_again || now_ms < self->sweep_ms))
        return;
    self->sweep_again = sweep_run(tier);
    self->sweep_ms = now_ms + LOOK_MS;
}

/* True if there is more to do at once. */
static bool reclaim_step(struct tier *tier)
{
    if (!tier->reclaim_wanted)
        return false;
    struct error error = {0};
    const int64_t balance = mem_thread_balance();
    const enum status status = cold_reclaim(tier->cold, RECLAIM_RECORD_MAX, &error);
    room_note_database(tier, mem_thread_balance() - balance);
    if (status == ST_OK)
        return true;
    tier->reclaim_wanted = false;
    if (status != ST_END) {
        log_warn("tier: dead records stay on disk for now status=%s: %s", status_name(status),
            error.message);
    }
    return false;
}

static void trim_if_idle(struct checkpointer *self, uint64_t now_ms)
{
    struct tier *const tier = self->tier;
    if (room_database_bytes(tier) < TRIM_BYTES_MIN || now_ms - self->last_ms < TRIM_IDLE_MS ||
        now_ms - self->trim_ms < TRIM_IDLE_MS)
        return;
    self->trim_ms = now_ms;
    const int64_t balance = mem_thread_balance();
    const enum status status = cold_trim(tier->cold);
    room_note_database(tier, mem_thread_balance() - balance);
    log_debug("tier: memory of past checkpoints given back status=%s left=%llu",
        status_name(status), (unsigned long long)room_database_bytes(tier));
}

/* --- the thread ------------------------------------------------------------------------------------------------------ */

/* Waits until there may be something to do; backing_off: nobody hurries it. False: the thread is to end. */
static bool wait_for_work(struct tier *tier, uint64_t pause_ms, bool backing_off, bool *wanted)
{
    mutex_lock(&tier->lock);
    const bool hurry =
        tier->checkpoint_wanted || atomic_load_explicit(&tier->wake_wanted, memory_order_relaxed);
    if (!tier->closing && pause_ms > 0 && (!hurry || backing_off))
        (void)condition_wait_ms(&tier->wake, &tier->lock, pause_ms);
    atomic_store_explicit(&tier->wake_wanted, false, memory_order_relaxed);
    *wanted = tier->checkpoint_wanted;
    const bool closing = tier->closing;
    mutex_unlock(&tier->lock);
    return !closing;
}

static void checkpointer_main(void *context)
{
    struct tier *const tier = context;
    mem_thread_uncached();
    struct checkpointer self = {.tier = tier, .last_ms = clock_monotonic_ms()};
    uint64_t pause_ms = 0;
    bool wanted = false;
    tier->reclaim_wanted = true; /* what a former process left */
    while (wait_for_work(tier, pause_ms, self.backoff_ms != 0, &wanted)) {
        const uint64_t now_ms = clock_monotonic_ms();
        pause_ms = LOOK_MS;
        if (checkpoint_is_due(&self, wanted, now_ms))
            run_checkpoint(&self, heat_is_old(tier, now_ms));
        sweep_if_wanted(&self, now_ms);
        if (reclaim_step(tier))
            pause_ms = 0;
        else
            trim_if_idle(&self, now_ms);
    }
    if (tier->close_save)
        run_checkpoint(&self, true);
    answer(take_waiting(tier), ST_CLOSED);
}

void checkpointer_start(struct tier *tier)
{
    tier->heat_stored_ms = clock_monotonic_ms();
    thread_start(&tier->checkpointer, "checkpoint", checkpointer_main, tier);
}

void checkpointer_stop(struct tier *tier, bool save)
{
    if (!tier->checkpointer.running)
        return;
    mutex_lock(&tier->lock);
    tier->closing = true;
    tier->close_save = save;
    condition_signal(&tier->wake);
    mutex_unlock(&tier->lock);
    thread_join(&tier->checkpointer);
}

void checkpointer_wake(struct tier *tier)
{
    if (atomic_exchange_explicit(&tier->wake_wanted, true, memory_order_relaxed))
        return;
    mutex_lock(&tier->lock);
    condition_signal(&tier->wake);
    mutex_unlock(&tier->lock);
}

void tier_checkpoint_request(struct tier *tier, struct tier_wait *wait)
{
    mutex_lock(&tier->lock);
    tier->checkpoint_wanted = true;
    if (wait != NULL) {
        wait->next = tier->waiting;
        tier->waiting = wait;
    }
    condition_signal(&tier->wake);
    mutex_unlock(&tier->lock);
}

void tier_sweep_request(struct tier *tier)
{
    atomic_store_explicit(&tier->sweep_wanted, true, memory_order_relaxed);
    checkpointer_wake(tier);
}
