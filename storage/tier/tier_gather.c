/*
 * tier_gather.c: making the keys of a request ready, in one wait; prefetching and demoting single keys.
 *
 * A gather looks at all keys first. If all are ready it has cost one look-up each and changed nothing. Otherwise it pins what is there, starts or
 * joins a fetch for what is missing, and the request gathers again when its wait ends: what it finds then is the state of that
 * moment, so a key may be missing again (its space died, or it had HOT_PIN_MAX pins and left), and is fetched again.
 *
 * wait.pending_count is raised only while the stripes of all its keys are held, and counted down under the stripe of one: it cannot reach 0
 * before the gather has ended.
 *
 * In recovery there is one thread and nobody waits: reads happen on the spot.
 */
#include "base/log.h"
#include "tier_internal.h"

/* Prefetches yield while so many cold reads are under way that clients wait for (I8). */
#define PREFETCH_DEMAND_MAX 64

/* --- waits --------------------------------------------------------------------------------------------- */

void tier_wait_init(struct tier_wait *wait, struct tier_turn *turn, void (*run)(struct task *task))
{
    wait->task.run = run;
    wait->turn = turn;
    atomic_init(&wait->pending_count, 0);
    atomic_init(&wait->status, ST_OK);
    wait->pinned = NULL;
    wait->pinned_words = 0;
    wait->next = NULL;
}

enum status tier_wait_status(const struct tier_wait *wait)
{
    return (enum status)atomic_load_explicit(&wait->status, memory_order_acquire);
}

void wait_fail(struct tier_wait *wait, enum status status)
{
    atomic_store_explicit(&wait->status, (uint32_t)status, memory_order_release);
}

void wait_send(struct tier_wait *wait)
{
    mailbox_send(wait->turn->mailbox, &wait->task.message);
}

/* Words for the pins of count keys. */
static void pins_prepare(struct tier_wait *wait, size_t count)
{
    if (wait->pinned != NULL) {
        CHECK(count <= wait->pinned_words * 64);
        return;
    }
    wait->pinned_words = (count + 63) / 64;
    wait->pinned = wait->pinned_words <= 1 ? &wait->pinned_inline
                                           : mem_alloc(wait->pinned_words * sizeof(*wait->pinned));
    for (size_t word = 0; word < wait->pinned_words; word++)
        atomic_init(&wait->pinned[word], 0);
}

bool wait_is_pinned(const struct tier_wait *wait, size_t index)
{
    const uint64_t word = atomic_load_explicit(&wait->pinned[index / 64], memory_order_relaxed);
    return (word >> index % 64 & 1) != 0;
}

void wait_pin(struct tier_wait *wait, size_t index, struct hot_record *record)
{
    if (wait_is_pinned(wait, index) || !hot_pin(record))
        return;
    atomic_fetch_or_explicit(
        &wait->pinned[index / 64], (uint64_t)1 << index % 64, memory_order_relaxed);
}

void tier_gather_release(
    struct tier_turn *turn, const struct key *keys, size_t count, struct tier_wait *wait)
{
    CHECK(atomic_load_explicit(&wait->pending_count, memory_order_acquire) == 0);
    if (wait->pinned == NULL)
        return;
    CHECK(count <= wait->pinned_words * 64);
    for (size_t index = 0; index < count; index++) {
        if (!wait_is_pinned(wait, index))
            continue;
        struct hot_record *const record = hot_find(turn->tier->hot, &keys[index]);
        if (record != NULL)
            hot_unpin(record);
    }
    if (wait->pinned != &wait->pinned_inline)
        mem_free(wait->pinned);
    wait->pinned = NULL;
    wait->pinned_words = 0;
}

/* --- gather -------------------------------------------------------------------------------------------------- */

enum readiness key_readiness(const struct tier *tier, const struct key *key,
    const struct hot_record *record, enum tier_need need)
{
    if (record == NULL) {
        if (!cold_may_contain(tier->cold, key) || tier_space_is_dead(tier, key->space))
            return KEY_READY;
        return KEY_MISSING;
    }
    switch (hot_record_state(record)) {
    case HOT_RESIDENT:
    case HOT_ABSENT: return KEY_READY;
    case HOT_FETCHING: return KEY_FETCHING;
    case HOT_STUB:
        if (need == TIER_NEED_HEADER)
            return KEY_READY;
        return hot_record_corrupt(record) ? KEY_CORRUPT : KEY_MISSING;
    }
    UNREACHABLE("state of a record");
}

/* Pins what is there, fetches or joins what is not. The number of keys waited for. */
static size_t gather_missing(struct tier_turn *turn, const struct key *keys,
    const enum tier_need *needs, size_t count, struct tier_wait *wait)
{
    struct tier *const tier = turn->tier;
    struct fetch_batch batch = {.count = 0};
    size_t waiting_count = 0;
    pins_prepare(wait, count);
    for (size_t index = 0; index < count && waiting_count < TIER_GATHER_FETCH_MAX; index++) {
        struct hot_record *const record = hot_find(tier->hot, &keys[index]);
        const enum readiness readiness = key_readiness(tier, &keys[index], record, needs[index]);
        if (readiness == KEY_READY || readiness == KEY_CORRUPT) {
            if (record != NULL)
                wait_pin(wait, index, record);
            continue;
        }
        struct tier_fetch *const fetch = readiness == KEY_FETCHING
                                             ? hot_fetch_owner(record)
                                             : fetch_begin(turn, &keys[index], record, needs[index],
                                                   FETCH_DEMAND, (struct hot_heat){0}, &batch);
        fetch_join(fetch, wait, index, needs[index], &batch);
        waiting_count++;
    }
    fetch_batch_submit(tier, &batch);
    return waiting_count;
}

/* Look-ahead: starts the reads that are missing; nobody waits, nothing is pinned. */
static enum status gather_ahead(
    struct tier_turn *turn, const struct key *keys, const enum tier_need *needs, size_t count)
{
    struct tier *const tier = turn->tier;
    struct fetch_batch batch = {.count = 0};
    size_t started_count = 0;
    for (size_t index = 0; index < count && started_count < TIER_GATHER_FETCH_MAX; index++) {
        struct hot_record *const record = hot_find(tier->hot, &keys[index]);
        if (key_readiness(tier, &keys[index], record, needs[index]) != KEY_MISSING)
            continue;
        (void)fetch_begin(
            turn, &keys[index], record, needs[index], FETCH_DEMAND, (struct hot_heat){0}, &batch);
        started_count++;
    }
    fetch_batch_submit(tier, &batch);
    return started_count > 0 ? ST_PENDING : ST_OK;
}

static enum status refuse(struct tier_turn *turn, const struct key *keys, size_t count,
    struct tier_wait *wait, enum status status)
{
    if (wait != NULL)
        tier_gather_release(turn, keys, count, wait);
    if (status == ST_CORRUPT)
        metric_add(turn->tier->metrics, corrupt_count, 1);
    return status;
}

/* Recovery: one read on the calling thread. */
static enum status read_inline(
    struct tier *tier, const struct key *key, struct hot_record *record, enum tier_need need)
{
    struct cold_job job = {
        .kind = need == TIER_NEED_VALUE ? COLD_JOB_VALUE : COLD_JOB_HEADER,
        .priority = COLD_DEMAND,
        .key = *key,
    };
    cold_read_now(tier->cold, &job);
    const enum status status = job.status;
    struct hot_content content;
    if (fetch_content(&job, true, &content)) {
        struct hot_record *const fetching = record == NULL
                                                ? hot_fetch_begin(tier->hot, key, tier)
                                                : hot_fetch_upgrade(tier->hot, key, record, tier);
        (void)hot_install(tier->hot, key, fetching, &content);
    }
    cold_job_deinit(&job);
    return status == ST_OK || status == ST_NOT_FOUND || status == ST_CORRUPT ? ST_OK : ST_IO;
}

static enum status gather_inline(struct tier_turn *turn, const struct key *keys,
    const enum tier_need *needs, size_t count, size_t *failed)
{
    for (size_t index = 0; index < count; index++) {
        *failed = index;
        struct hot_record *const record = hot_find(turn->tier->hot, &keys[index]);
        enum readiness readiness = key_readiness(turn->tier, &keys[index], record, needs[index]);
        if (readiness == KEY_MISSING) {
            const enum status status = read_inline(turn->tier, &keys[index], record, needs[index]);
            if (status != ST_OK)
                return status;
            readiness = key_readiness(
                turn->tier, &keys[index], hot_find(turn->tier->hot, &keys[index]), needs[index]);
        }
        if (readiness == KEY_CORRUPT)
            return refuse(turn, keys, count, NULL, ST_CORRUPT);
    }
    return ST_OK;
}

enum status tier_gather(struct tier_turn *turn, const struct key *keys, const enum tier_need *needs,
    size_t count, struct tier_wait *wait, size_t *failed)
{
    CHECK(turn->locked != 0);
    if (turn_is_recovery(turn))
        return gather_inline(turn, keys, needs, count, failed);
    if (wait == NULL)
        return gather_ahead(turn, keys, needs, count);
    CHECK(atomic_load_explicit(&wait->pending_count, memory_order_acquire) == 0);
    const enum status before = tier_wait_status(wait);
    if (unlikely(before != ST_OK)) {
        *failed = 0;
        atomic_store_explicit(&wait->status, ST_OK, memory_order_relaxed);
        return refuse(turn, keys, count, wait, before);
    }
    bool missing = false;
    for (size_t index = 0; index < count; index++) {
        const struct hot_record *const record = hot_find(turn->tier->hot, &keys[index]);
        const enum readiness readiness =
            key_readiness(turn->tier, &keys[index], record, needs[index]);
        if (unlikely(readiness == KEY_CORRUPT)) {
            *failed = index;
            return refuse(turn, keys, count, wait, ST_CORRUPT);
        }
        missing |= readiness != KEY_READY;
    }
    if (likely(!missing))
        return ST_OK;
    if (gather_missing(turn, keys, needs, count, wait) > 0)
        return ST_PENDING;
    /* The filter has learned in between that the keys are absent. */
    tier_gather_release(turn, keys, count, wait);
    return ST_OK;
}

bool tier_is_ready(
    struct tier_turn *turn, const struct key *key, enum tier_need need, struct hot_record **record)
{
    const struct tier *const tier = turn->tier;
    *record = hot_find(tier->hot, key);
    return key_readiness(tier, key, *record, need) == KEY_READY;
}

/* --- single keys -------------------------------------------------------------------------------------------------- */

enum status tier_prefetch(struct tier_turn *turn, const struct key *key)
{
    struct tier *const tier = turn->tier;
    CHECK(!turn_is_recovery(turn));
    struct hot_record *const record = hot_find(tier->hot, key);
    switch (key_readiness(tier, key, record, TIER_NEED_VALUE)) {
    case KEY_READY:
        return record != NULL && hot_record_state(record) == HOT_RESIDENT ? ST_EXISTS
                                                                          : ST_NOT_FOUND;
    case KEY_FETCHING:
    case KEY_CORRUPT: return ST_EXISTS;
    case KEY_MISSING: break;
    }
    const uint64_t demand = metric_get(tier->metrics, demand_pending);
    const uint64_t pending = metric_get(tier->metrics, fetch_pending);
    if (demand >= PREFETCH_DEMAND_MAX || pending >= demand + TIER_PREFETCH_PENDING_MAX ||
        atomic_load_explicit(&tier->room->stuck, memory_order_relaxed))
        return ST_AGAIN;
    struct fetch_batch batch = {.count = 0};
    (void)fetch_begin(
        turn, key, record, TIER_NEED_VALUE, FETCH_PREFETCH, (struct hot_heat){0}, &batch);
    fetch_batch_submit(tier, &batch);
    return ST_PENDING;
}

enum status tier_demote(struct tier_turn *turn, const struct key *key)
{
    struct hot *const hot = turn->tier->hot;
    struct hot_record *const record = hot_find(hot, key);
    if (record == NULL || hot_record_state(record) == HOT_ABSENT)
        return ST_NOT_FOUND;
    return hot_demote_record(hot, key, record) ? ST_OK : ST_AGAIN;
}
