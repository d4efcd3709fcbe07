/*
 * keyspace_expire.c: active expiry. Reads hide expired records at once; this gives their room back, and tells the log.
 *
 *   hot    some partitions per step: samples of records with an expiry, again while many of them are over (the idea of Redis's
 *          activeExpireCycle), within EXPIRE_STEP_US
 *   cold   the expiry index names what is due ──► task in the worker's mailbox ──► what RAM does not know better is deleted
 *
 * (1) What is deleted is deleted as a command would: counts, WATCH, DEL in the log, a pending delete for the cold tier (H8).
 * (2) A due read speaks of the committed state at its X. A key without entry in RAM is exactly as that state says as long as X has
 *     not moved: a record leaves RAM only after the commit that holds it, and X moves before anything is marked clean (I7). So X is
 *     compared under each lock; if it has moved the rest is dropped and read again.
 * (3) Pending deletes stay in the expiry index until they are committed, and reads begin at its front: while a batch comes back
 *     full the next one is twice as large, up to DUE_MAX, and then a checkpoint is asked for. So at most DUE_MAX
 *     pending deletes are made per checkpoint.
 * (4) H18: when the wall clock jumps against the monotonic one, nothing is expired actively until it has been steady.
 */
#include "base/clock.h"
#include "base/log.h"
#include "keyspace_internal.h"

#define EXPIRE_STEP_US     ((uint64_t)1000)
#define EXPIRE_PARTITIONS  16  /* visited per step */
#define EXPIRE_ROUNDS      16  /* of samples, per partition and step */
#define EXPIRE_SAMPLE      20  /* records of a round */
#define EXPIRE_BUCKETS     512 /* looked at for them: one cache line each */
#define EXPIRE_PARTS       256 /* of a value, before others get their turn */
#define EXPIRE_STALE_SHARE 10  /* per cent of a sample that may be over */
#define TTL_SMOOTHING      50  /* samples that the average remembers, about */
#define DUE_MIN            ((size_t)1000)
#define DUE_MAX            ((size_t)65536)
#define DUE_PER_TASK       ((size_t)1000) /* handled before others get their turn */
#define DUE_PER_LOCK       64
#define DUE_INTERVAL_MS    ((uint64_t)1000)
#define DUE_IDLE_MS        ((uint64_t)10000) /* when nothing is known to expire */
#define CLOCK_BEHIND_MS    ((uint64_t)3600 * 1000)
#define CLOCK_AHEAD_MS     ((uint64_t)24 * 3600 * 1000)
#define CLOCK_STEADY_MS    ((uint64_t)600 * 1000)
#define CLOCK_REBASE_MS    ((uint64_t)24 * 3600 * 1000)

static void due_run(struct task *task);

void expiry_init(struct keyspace_expiry *expiry)
{
    expiry->task.run = due_run;
    expiry->entry_max = DUE_MIN;
}

/* --- the clock ------------------------------------------------------------------------------------------- */

static void clock_rebase(struct keyspace_expiry *expiry, uint64_t wall_ms, uint64_t monotonic_ms)
{
    expiry->clock_known = true;
    expiry->clock_wall_ms = wall_ms;
    expiry->clock_monotonic_ms = monotonic_ms;
}

static bool clock_is_suspect(struct keyspace_expiry *expiry, uint64_t wall_ms)
{
    const uint64_t monotonic_ms = clock_monotonic_ms();
    if (!expiry->clock_known)
        clock_rebase(expiry, wall_ms, monotonic_ms);
    const uint64_t elapsed_ms = monotonic_ms - expiry->clock_monotonic_ms;
    const uint64_t expected_ms = expiry->clock_wall_ms + elapsed_ms;
    if (wall_ms + CLOCK_BEHIND_MS < expected_ms || wall_ms > expected_ms + CLOCK_AHEAD_MS) {
        expiry->clock_suspect_until_ms = monotonic_ms + CLOCK_STEADY_MS;
        clock_rebase(expiry, wall_ms, monotonic_ms);
        log_warn("keyspace: clock jumped, active expiry pauses wall_ms=%llu expected_ms=%llu",
            (unsigned long long)wall_ms, (unsigned long long)expected_ms);
    } else if (elapsed_ms > CLOCK_REBASE_MS) {
        clock_rebase(expiry, wall_ms, monotonic_ms);
    }
    return monotonic_ms < expiry->clock_suspect_until_ms;
}

/* Switched on, and the clock is trusted. */
static bool is_allowed(const struct keyspace_view *view)
{
    struct keyspace *const keyspace = view->keyspace;
    return !clock_is_suspect(&keyspace->expiry, view->now_ms) &&
           atomic_load_explicit(&keyspace->active_expire, memory_order_relaxed);
}

/* Some record has an expiry, or some value in RAM has, or had, parts that have one. Of cold values nobody knows before the index is read. */
static bool something_expires(const struct keyspace_view *view)
{
    const struct keyspace *const keyspace = view->keyspace;
    for (unsigned database = 0; database < keyspace->database_count; database++) {
        if (metric_get(&keyspace->counts[database], expires) != 0)
            return true;
    }
    return hot_has_parts(view->hot);
}

/* --- parts of values -------------------------------------------------------------------------------------- */

struct parts {
    struct buf names;
    size_t ends[EXPIRE_PARTS];
    size_t count;
};

static void note_part(void *context, struct slice part)
{
    struct parts *const parts = context;
    CHECK(parts->count < EXPIRE_PARTS);
    buf_append_slice(&parts->names, part);
    parts->ends[parts->count++] = parts->names.size;
}

static void log_parts(
    struct keyspace_view *view, const struct key *key, unsigned database, const struct parts *parts)
{
    struct slice args[2 + EXPIRE_PARTS] = {SLICE_LITERAL("HDEL"), key_slice(key)};
    size_t start = 0;
    for (size_t index = 0; index < parts->count; index++) {
        args[2 + index] = slice_of(parts->names.data + start, parts->ends[index] - start);
        start = parts->ends[index];
    }
    log_args_in(view, key, database, args, 2 + parts->count);
}

void keyspace_count_parts(struct keyspace_view *view, uint64_t count)
{
    metric_add(&view->keyspace->metrics, expired_part_count, count);
}

static bool parts_are_over(const struct keyspace_view *view, const struct hot_record *record)
{
    if (hot_record_state(record) != HOT_RESIDENT)
        return false;
    const struct value value = hot_record_value(record);
    return time_is_over(value_part_expire_ms(&value), view->now_ms);
}

bool keyspace_expire_parts(
    struct keyspace_view *view, const struct key *key, struct hot_record *record)
{
    unsigned database = 0;
    if (view->replay || !find_database(view, key->space, &database) ||
        !parts_are_over(view, record))
        return false;
    const struct value value = hot_record_value(record);
    const struct value_class *const class = value.object->class;
    const size_t external_bytes = value_external_bytes(&value);
    struct parts parts = {0};
    keyspace_edit_begin(view, key, record);
    (void)class->part_expire(value.object, view->now_ms, EXPIRE_PARTS, note_part, &parts);
    keyspace_edit_end(view, key, record, external_bytes);
    keyspace_count_parts(view, parts.count);
    log_parts(view, key, database, &parts);
    buf_deinit(&parts.names);
    keyspace_notify(view, EVENT_HASH, "hexpired", key);
    if (class->element_count(value.object) > 0)
        return parts_are_over(view, record);
    keyspace_delete(view, key, record);
    keyspace_notify(view, EVENT_GENERIC, "del", key);
    return false;
}

/* --- hot ----------------------------------------------------------------------------------------------------- */

struct sample {
    struct keyspace_view *view;
    struct buf names;
    struct {
        size_t offset;
        uint32_t size;
        uint32_t space;
    } due[EXPIRE_SAMPLE];
    size_t due_count;
    size_t seen_count;
};

static void note_ttl(struct keyspace_counts *counts, uint64_t ttl_ms)
{
    const uint64_t average_ms = metric_get(counts, average_ttl_ms);
    metric_set(counts, average_ttl_ms,
        average_ms == 0
            ? ttl_ms
            : (average_ms / TTL_SMOOTHING) * (TTL_SMOOTHING - 1) + ttl_ms / TTL_SMOOTHING);
}

static void sample_record(void *context, struct hot_record *record)
{
    struct sample *const sample = context;
    const struct keyspace_view *const view = sample->view;
    const struct key key = hot_record_key(record, false);
    unsigned database = 0;
    if (!find_database(view, key.space, &database))
        return; /* the sweeper's */
    const uint64_t expire_ms = hot_record_expire_ms(record);
    sample->seen_count++;
    if (!time_is_over(expire_ms, view->now_ms) && !parts_are_over(view, record)) {
        if (expire_ms != 0)
            note_ttl(&view->keyspace->counts[database], expire_ms - view->now_ms);
        return;
    }
    CHECK(sample->due_count < EXPIRE_SAMPLE);
    sample->due[sample->due_count].offset = sample->names.size;
    sample->due[sample->due_count].size = key.size;
    sample->due[sample->due_count].space = key.space;
    sample->due_count++;
    buf_append(&sample->names, key.data, key.size);
}

/* True if there is more of it: enough for one lock. */
static bool expire_all_or_parts(
    struct keyspace_view *view, const struct key *key, struct hot_record *record)
{
    if (!time_is_over(hot_record_expire_ms(record), view->now_ms))
        return keyspace_expire_parts(view, key, record);
    expire_record(view, key, record);
    return false;
}

/* True if so many were over that there are probably more. */
static bool expire_sample(struct keyspace_view *view, struct random *random, unsigned partition)
{
    struct sample sample = {.view = view};
    tier_turn_lock(view->turn, hot_stripe_of_partition(view->hot, partition));
    hot_sample_expiring(
        view->hot, partition, random, EXPIRE_BUCKETS, EXPIRE_SAMPLE, sample_record, &sample);
    for (size_t index = 0; index < sample.due_count; index++) {
        const struct key key = key_make(sample.due[index].space,
            sample.names.data + sample.due[index].offset, sample.due[index].size);
        struct hot_record *const record = hot_find(view->hot, &key);
        CHECK(record != NULL);
        if (expire_all_or_parts(view, &key, record))
            break;
    }
    tier_turn_unlock(view->turn);
    buf_deinit(&sample.names);
    return sample.due_count * 100 > sample.seen_count * EXPIRE_STALE_SHARE;
}

void keyspace_expire_hot_step(struct keyspace_view *view, struct random *random)
{
    if (!is_allowed(view) || !something_expires(view))
        return;
    struct keyspace_expiry *const expiry = &view->keyspace->expiry;
    const uint64_t end_us = clock_monotonic_us() + EXPIRE_STEP_US;
    for (unsigned count = 0; count < EXPIRE_PARTITIONS; count++) {
        const unsigned partition = expiry->partition;
        expiry->partition = (partition + 1) % HOT_PARTITION_COUNT;
        for (unsigned round = 0; round < EXPIRE_ROUNDS; round++) {
            if (!expire_sample(view, random, partition))
                break;
            if (clock_monotonic_us() >= end_us)
                return;
        }
    }
}

/* --- cold ------------------------------------------------------------------------------------------------------ */

/* On an I/O thread. */
static void due_done(struct cold_job *job)
{
    struct keyspace *const keyspace = job->context;
    tier_turn_send(keyspace->expiry.turn, &keyspace->expiry.task);
}

void keyspace_expire_cold_step(struct keyspace_view *view)
{
    struct keyspace *const keyspace = view->keyspace;
    struct keyspace_expiry *const expiry = &keyspace->expiry;
    if (!is_allowed(view) || expiry->reading || clock_monotonic_ms() < expiry->next_ms ||
        tier_may_write(view->tier) != ST_OK)
        return;
    expiry->reading = true;
    expiry->interval_ms = something_expires(view) ? DUE_INTERVAL_MS : DUE_IDLE_MS;
    expiry->turn = view->turn;
    expiry->listener = view->listener;
    expiry->next_entry = 0;
    expiry->lsn = tier_checkpoint_lsn(view->tier);
    expiry->job = (struct cold_job){
        .kind = COLD_JOB_DUE,
        .priority = COLD_BACKGROUND,
        .entry_max = expiry->entry_max,
        .due_ms = view->now_ms - 1, /* the millisecond itself still lives */
        .done = due_done,
        .context = keyspace,
    };
    tier_turn_hold(view->turn);
    tier_submit(view->tier, &expiry->job);
}

/*
 * Parts of a cold value are over: it is promoted, and the steps on hot records do the rest. If that is refused now, the next
 * reading of the index finds it again, as it does until the changed record is committed.
 */
static void wake(struct keyspace_view *view, const struct key *key)
{
    status_ignore(tier_prefetch(view->turn, key));
}

/* Only its header is in RAM. A damaged value cannot be promoted. */
static void due_stub(struct keyspace_view *view, const struct key *key,
    const struct cold_header *header, struct hot_record *record)
{
    if (time_is_over(hot_record_expire_ms(record), view->now_ms))
        expire_record(view, key, record);
    else if (time_is_over(header->wake_ms, view->now_ms) && !hot_record_corrupt(record) &&
             hot_demote_record(view->hot, key, record))
        wake(view, key);
}

static void due_entry(
    struct keyspace_view *view, const struct key *key, const struct cold_header *header)
{
    struct hot_record *const record = hot_find(view->hot, key);
    if (record == NULL) {
        if (time_is_over(header->expire_ms, view->now_ms))
            expire_cold_record(view, key);
        else
            wake(view, key);
        return;
    }
    switch (hot_record_state(record)) {
    case HOT_RESIDENT: (void)expire_all_or_parts(view, key, record); return;
    case HOT_STUB: due_stub(view, key, header, record); return;
    case HOT_ABSENT: /* a delete is pending */
    case HOT_FETCHING: /* who wants it will see */ return;
    }
}

/* One lock's worth of entries. False: X has moved, what was read is out of date. */
static bool due_slice(struct keyspace_view *view, size_t end)
{
    struct keyspace_expiry *const expiry = &view->keyspace->expiry;
    const struct cold_job *const job = &expiry->job;
    struct key keys[DUE_PER_LOCK];
    const struct cold_header *headers[DUE_PER_LOCK];
    size_t count = 0;
    uint64_t stripes = 0;
    for (; expiry->next_entry < end && count < DUE_PER_LOCK; expiry->next_entry++) {
        const struct cold_range_entry *const entry = &job->entries[expiry->next_entry];
        keys[count] = key_make(entry->space, job->keys.data + entry->key_offset, entry->key_size);
        headers[count] = &entry->header;
        stripes |= hot_stripe(view->hot, &keys[count]);
        count++;
    }
    if (count == 0)
        return true;
    tier_turn_lock(view->turn, stripes);
    const bool current = tier_checkpoint_lsn(view->tier) == expiry->lsn;
    for (size_t index = 0; current && index < count; index++) {
        unsigned database = 0;
        if (find_database(view, keys[index].space, &database))
            due_entry(view, &keys[index], headers[index]);
    }
    tier_turn_unlock(view->turn);
    return current;
}

/* What the next read is, by what this one gave. */
static void due_plan(struct keyspace_expiry *expiry, struct tier *tier, bool current)
{
    const bool full = current && expiry->job.status == ST_OK && !expiry->job.range_end;
    const uint64_t now_ms = clock_monotonic_ms();
    expiry->next_ms = current && !full ? now_ms + expiry->interval_ms : now_ms;
    if (!full) {
        expiry->entry_max = DUE_MIN;
        return;
    }
    if (expiry->entry_max < DUE_MAX) {
        expiry->entry_max *= 2;
    } else {
        /* All that is read now is, or will be, a pending delete. */
        tier_checkpoint_request(tier, NULL);
        expiry->next_ms = now_ms + DUE_INTERVAL_MS;
    }
}

static void due_run(struct task *task)
{
    struct keyspace_expiry *const expiry = CONTAINER_OF(task, struct keyspace_expiry, task);
    struct keyspace *const keyspace = CONTAINER_OF(expiry, struct keyspace, expiry);
    CHECK_MAGIC(keyspace, KEYSPACE_MAGIC);
    static _Atomic uint64_t warned_ms;
    if (expiry->job.status != ST_OK && log_every(&warned_ms, 10000))
        log_warn("keyspace: expiry index not readable status=%s", status_name(expiry->job.status));
    struct keyspace_view view = {
        .keyspace = keyspace,
        .tier = keyspace->tier,
        .hot = keyspace->hot,
        .turn = expiry->turn,
        .now_ms = clock_wall_ms(),
        .listener = expiry->listener,
    };
    const size_t left = expiry->job.entry_count - expiry->next_entry;
    const size_t end = expiry->next_entry + (left < DUE_PER_TASK ? left : DUE_PER_TASK);
    bool current = true;
    while (current && expiry->next_entry < end)
        current = due_slice(&view, end);
    if (current && end < expiry->job.entry_count) {
        tier_turn_send(expiry->turn, task);
        return;
    }
    due_plan(expiry, keyspace->tier, current);
    cold_job_deinit(&expiry->job);
    expiry->reading = false;
    tier_turn_release(expiry->turn);
}
