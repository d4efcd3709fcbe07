/*
 * tier_checkpoint.c: one checkpoint: the cold tier goes from state(X0) to state(X) in one transaction (I4).
 *
 *   begin     all stripes: X := end of the log, the layer's state is captured, the epoch is flipped: DIRTY → OLD
 *   collect   keys of OLD entries; sorted
 *   stage     values too large for a transaction, in transactions of their own (H14)
 *   write     in key order: pages pre-touched, slices copied under their stripes (OLD → IMAGED), then put or deleted;
 *             then, and whenever they take much memory, the images saved, sorted too
 *   commit    X, the layer's state, dead spaces, the hot list; the log is made durable up to X first (I5)
 *   after     IMAGED → CLEAN, segments below X released
 *
 * (1) A record that changes between begin and its copy is saved by hot's hook as it was at X (H6). After "collect" every entry that is still OLD is on
 *     the list: it was OLD when its partition was walked. One that is OLD no more has been saved, once; when the list is
 *     through none is OLD, so the images taken then are the last.
 * (2) A space that was dead at X is not written; one that died later is, because the log from X on may still read it.
 * (3) If anything fails, the transaction is aborted, what was OLD or IMAGED is DIRTY again, then the images are dropped (in
 *     this order: an edit in between would leave an image for the next checkpoint), X stays (H7).
 * (4) Stripes are held for microseconds: all of them in "begin", else one at a time for at most a slice.
 *
 * In recovery there is no log to wait for: its caller has made it durable up to X.
 */
#include "base/clock.h"
#include "base/log.h"
#include "tier_internal.h"

/* Buckets walked and keys marked under one stripe. */
enum { COLLECT_BUCKET_MAX = 128, MARK_SLICE_MAX = 64 };

/* --- bytes of keys ---------------------------------------------------------------------------------------- */

#define ARENA_BLOCK_BYTES ((size_t)(256 * KiB))

struct arena_block {
    struct arena_block *next;
    size_t size;
    char data[];
};

const char *arena_copy(struct arena *arena, const char *data, size_t size)
{
    if (arena->blocks == NULL || arena->blocks->size - arena->used < size) {
        const size_t block_size = size > ARENA_BLOCK_BYTES ? size : ARENA_BLOCK_BYTES;
        struct arena_block *const block = mem_alloc(sizeof(*block) + block_size);
        block->next = arena->blocks;
        block->size = block_size;
        arena->blocks = block;
        arena->used = 0;
        arena->bytes += sizeof(*block) + block_size;
    }
    char *const place = arena->blocks->data + arena->used;
    if (size > 0)
        memcpy(place, data, size);
    arena->used += size;
    return place;
}

void arena_deinit(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *const next = arena->blocks->next;
        mem_free(arena->blocks);
        arena->blocks = next;
    }
    *arena = (struct arena){0};
}

/* --- begin -------------------------------------------------------------------------------------------------- */

bool checkpoint_space_is_dead(const struct checkpoint *checkpoint, uint32_t space)
{
    return spaces_contain(&checkpoint->dead, space) ||
           spaces_contain(&checkpoint->tier->killed, space);
}

void checkpoint_note_memory(const struct checkpoint *checkpoint)
{
    metric_set(checkpoint->tier->metrics, checkpoint_memory_bytes,
        checkpoint->arena.bytes + checkpoint->key_capacity * sizeof(*checkpoint->keys) +
            checkpoint->copies.capacity + checkpoint->scratch.capacity + checkpoint->heat.capacity +
            images_bytes(&checkpoint->tier->images));
}

void checkpoint_database_begin(struct checkpoint *checkpoint)
{
    checkpoint->balance = mem_thread_balance();
}

void checkpoint_database_end(struct checkpoint *checkpoint)
{
    const int64_t balance = mem_thread_balance();
    room_note_database(checkpoint->tier, balance - checkpoint->balance);
    checkpoint->balance = balance;
}

static void begin(struct checkpoint *checkpoint, const struct checkpoint_plan *plan)
{
    struct tier *const tier = checkpoint->tier;
    const uint64_t all = hot_stripes_all(tier->hot);
    struct buf dead = {0};
    checkpoint->wall_ms = clock_wall_ms();
    hot_lock(tier->hot, all);
    const uint64_t started_us = clock_monotonic_us();
    checkpoint->lsn = plan->recovery ? plan->lsn : aof_cut(tier->aof);
    checkpoint->change_count = atomic_load_explicit(&tier->change_count, memory_order_relaxed);
    tier->hooks.capture(tier->hooks.context, &checkpoint->meta, &dead);
    hot_epoch_flip(tier->hot);
    const uint64_t held_us = clock_monotonic_us() - started_us;
    hot_unlock(tier->hot, all);
    checkpoint->captured = true;
    metric_set(tier->metrics, checkpoint_start_us_last, held_us);
    CHECK(dead.size % sizeof(uint32_t) == 0);
    spaces_add(
        &checkpoint->dead, (const uint32_t *)(const void *)dead.data, dead.size / sizeof(uint32_t));
    buf_deinit(&dead);
}

/* --- collect ---------------------------------------------------------------------------------------------------- */

static void add_key(struct checkpoint *checkpoint, const struct key *key, bool large)
{
    if (checkpoint->key_count == checkpoint->key_capacity) {
        checkpoint->key_capacity =
            checkpoint->key_capacity == 0 ? 1024 : checkpoint->key_capacity * 3 / 2;
        checkpoint->keys =
            mem_realloc(checkpoint->keys, checkpoint->key_capacity * sizeof(*checkpoint->keys));
    }
    if (large) {
        if (checkpoint->large_count == checkpoint->large_capacity) {
            checkpoint->large_capacity =
                checkpoint->large_capacity == 0 ? 8 : checkpoint->large_capacity * 2;
            checkpoint->large = mem_realloc(
                checkpoint->large, checkpoint->large_capacity * sizeof(*checkpoint->large));
        }
        checkpoint->large[checkpoint->large_count++] = checkpoint->key_count;
    }
    struct key *const copy = &checkpoint->keys[checkpoint->key_count++];
    *copy = *key;
    copy->data = arena_copy(&checkpoint->arena, key->data, key->size);
}

static void visit_old(void *context, struct hot_record *record)
{
    const struct key key = hot_record_key(record, true);
    const bool large = hot_record_state(record) == HOT_RESIDENT &&
                       hot_record_value_size(record) > COLD_STAGE_SIZE_MIN;
    add_key(context, &key, large);
}

static void collect(struct checkpoint *checkpoint)
{
    struct tier *const tier = checkpoint->tier;
    for (unsigned partition = 0; partition < HOT_PARTITION_COUNT; partition++) {
        const uint64_t stripe = hot_stripe_of_partition(tier->hot, partition);
        uint64_t cursor = 0;
        bool more;
        do {
            hot_lock(tier->hot, stripe);
            more = hot_visit_old(
                tier->hot, partition, &cursor, COLLECT_BUCKET_MAX, visit_old, checkpoint);
            hot_unlock(tier->hot, stripe);
        } while (more);
    }
}

/* After "stage", which needs the places of the large ones. */
static void sort(struct checkpoint *checkpoint)
{
    if (checkpoint->key_count == 0)
        return;
    struct key *const keys = keys_sort(checkpoint->keys, checkpoint->key_count);
    checkpoint->keys = keys;
    checkpoint->key_capacity = checkpoint->key_count;
    size_t kept = 1;
    for (size_t index = 1; index < checkpoint->key_count; index++) {
        /* Equal keys have equal hashes; comparing them costs a cache miss. */
        if (keys[kept - 1].hash != keys[index].hash ||
            keys_compare(&keys[kept - 1], &keys[index]) != 0)
            keys[kept++] = keys[index];
    }
    checkpoint->key_count = kept;
}

/* --- commit ------------------------------------------------------------------------------------------------------ */

static enum status write_meta(
    struct checkpoint *checkpoint, struct cold_txn *txn, struct error *error)
{
    struct tier *const tier = checkpoint->tier;
    struct buf state = {0};
    tier_state_encode(tier, checkpoint->lsn, checkpoint->wall_ms, &state);
    enum status status = cold_meta_put(txn, TIER_META_STATE, buf_slice(&state), error);
    buf_deinit(&state);
    if (status == ST_OK)
        status = cold_meta_put(txn, TIER_META_LAYER, buf_slice(&checkpoint->meta), error);
    if (status == ST_OK && checkpoint->heat.size > 0)
        status = cold_meta_put(txn, TIER_META_HEAT, buf_slice(&checkpoint->heat), error);
    for (size_t index = 0; status == ST_OK && index < checkpoint->dead.count; index++)
        status = cold_space_kill(txn, checkpoint->dead.spaces[index], error);
    return status;
}

static enum status wait_for_log(const struct checkpoint *checkpoint, struct error *error)
{
    const struct tier *const tier = checkpoint->tier;
    if (tier->aof == NULL)
        return ST_OK;
    const enum status status = aof_wait_durable(tier->aof, checkpoint->lsn);
    if (status != ST_OK)
        return error_set(error, status, 0, "the log cannot be made durable up to LSN %llu",
            (unsigned long long)checkpoint->lsn);
    return ST_OK;
}

static enum status write_and_commit(struct checkpoint *checkpoint, struct error *error)
{
    enum status status = checkpoint_stage(checkpoint, error);
    if (status != ST_OK)
        return status;
    sort(checkpoint);
    struct cold_txn *txn = NULL;
    checkpoint_database_begin(checkpoint);
    status = cold_txn_begin(checkpoint->tier->cold, &txn, error);
    checkpoint_database_end(checkpoint);
    if (status != ST_OK)
        return status;
    status = checkpoint_write(checkpoint, txn, error);
    checkpoint_database_begin(checkpoint);
    if (status == ST_OK)
        status = write_meta(checkpoint, txn, error);
    if (status == ST_OK)
        status = wait_for_log(checkpoint, error);
    if (status == ST_OK)
        status = cold_txn_commit(txn, error);
    else
        cold_txn_abort(txn);
    checkpoint_database_end(checkpoint);
    return status;
}

/* --- after ---------------------------------------------------------------------------------------------------------- */

typedef void (*mark_fn)(struct hot *hot, const struct key *key, struct hot_record *record);

/* Calls mark for the entries of all keys of the list, a slice under a stripe at a time. */
static void mark_all(struct checkpoint *checkpoint, mark_fn mark)
{
    struct hot *const hot = checkpoint->tier->hot;
    uint64_t held = 0;
    size_t held_count = 0;
    for (size_t index = 0; index < checkpoint->key_count; index++) {
        const struct key *const key = &checkpoint->keys[index];
        const uint64_t stripe = hot_stripe(hot, key);
        if (stripe != held || held_count == MARK_SLICE_MAX) {
            if (held != 0)
                hot_unlock(hot, held);
            hot_lock(hot, stripe);
            held = stripe;
            held_count = 0;
            const size_t left = checkpoint->key_count - index;
            checkpoint_prefetch(hot, key, left < MARK_SLICE_MAX ? left : MARK_SLICE_MAX);
        }
        held_count++;
        struct hot_record *const record = hot_find(hot, key);
        if (record != NULL)
            mark(hot, key, record);
    }
    if (held != 0)
        hot_unlock(hot, held);
}

static void mark_dirty_again(struct hot *hot, const struct key *key, struct hot_record *record)
{
    const enum hot_dirty dirty = hot_record_dirty(hot, record);
    if (dirty == HOT_OLD || dirty == HOT_IMAGED)
        hot_mark_dirty_again(hot, key, record);
}

static void finish_committed(struct checkpoint *checkpoint)
{
    struct tier *const tier = checkpoint->tier;
    spaces_add(&tier->killed, checkpoint->dead.spaces, checkpoint->dead.count);
    atomic_store_explicit(&tier->checkpoint_lsn, checkpoint->lsn, memory_order_release);
    atomic_store_explicit(
        &tier->checkpoint_unix_s, checkpoint->wall_ms / 1000, memory_order_relaxed);
    atomic_store_explicit(
        &tier->checkpoint_change_count, checkpoint->change_count, memory_order_release);
    tier->hooks.captured(tier->hooks.context, true);
    mark_all(checkpoint, hot_mark_committed);
    images_drop(&tier->images);
    tier->reclaim_wanted = true; /* dead spaces, chunks of values that were replaced */
    if (tier->aof != NULL)
        aof_release(tier->aof, checkpoint->lsn);
    if (checkpoint->heat.size > 0) {
        tier->heat_stored_ms = clock_monotonic_ms();
        tier->heat_promoted = metric_get(tier->metrics, promoted_count);
    }
    if (tier->ballast_released) {
        cold_ballast_restore(tier->cold);
        tier->ballast_released = false;
    }
}

static void finish_failed(struct checkpoint *checkpoint, enum status status)
{
    struct tier *const tier = checkpoint->tier;
    mark_all(checkpoint, mark_dirty_again);
    images_drop(&tier->images);
    tier->hooks.captured(tier->hooks.context, false);
    tier->reclaim_wanted = true; /* values that were staged for this transaction are orphans now */
    if (status == ST_FULL && cold_ballast_release(tier->cold))
        tier->ballast_released = true;
}

static void checkpoint_deinit(struct checkpoint *checkpoint)
{
    buf_deinit(&checkpoint->meta);
    mem_free(checkpoint->dead.spaces);
    arena_deinit(&checkpoint->arena);
    mem_free(checkpoint->keys);
    mem_free(checkpoint->large);
    buf_deinit(&checkpoint->copies);
    buf_deinit(&checkpoint->scratch);
    buf_deinit(&checkpoint->heat);
}

enum status checkpoint_run(
    struct tier *tier, const struct checkpoint_plan *plan, struct error *error)
{
    const uint64_t started_us = clock_monotonic_us();
    struct checkpoint checkpoint = {.tier = tier};
    room_checkpoint_begin(tier);
    begin(&checkpoint, plan);
    collect(&checkpoint);
    if (plan->with_heat)
        heat_encode(tier, &checkpoint.heat);
    checkpoint_note_memory(&checkpoint);
    const uint64_t filter_bytes = room_filter_bytes(tier);
    const enum status status = write_and_commit(&checkpoint, error);
    /* What new keys added to the filter was noted as the database's. */
    room_note_database(tier, (int64_t)(filter_bytes - room_filter_bytes(tier)));
    if (status == ST_OK)
        finish_committed(&checkpoint);
    else
        finish_failed(&checkpoint, status);
    checkpoint_deinit(&checkpoint);
    room_checkpoint_end(tier);
    const uint64_t us = clock_monotonic_us() - started_us;
    if (status == ST_OK) {
        metric_add(tier->metrics, checkpoint_count, 1);
        metric_set(tier->metrics, checkpoint_us_last, us);
        /* Where memory is short there are a hundred in a second. */
        if (log_every(&tier->checkpoint_log_ms, 1000))
            log_info("tier: checkpoint committed lsn=%llu records=%zu us=%llu",
                (unsigned long long)checkpoint.lsn, checkpoint.key_count, (unsigned long long)us);
    } else {
        metric_add(tier->metrics, checkpoint_error_count, 1);
    }
    return status;
}
