/*
 * cold_fill.c: fills the filter after a start by walking k in the background.
 *
 * Until it is done everything may be contained. The walk renews its snapshot every few thousand keys, while the
 * checkpointer goes on putting and deleting. They agree as follows, all under the filter's lock:
 *
 * (1) A put of a key that was not in k inserts it, always.
 * (2) The walk inserts all keys of a batch's snapshot, then moves `walked` to the last of them.
 * (3) A delete removes the key after its commit only if, when it was deleted, the key was not above `walked`.
 *
 * A key that is in k and not above `walked` has been inserted for sure: either it is older than the start, and the walk
 * passed it; or a put made it, (1). So (3) never removes what was not inserted, and no key is ever missed. The price
 * is small: a key put during the fill ahead of the walk may be counted twice, and then one deletion leaves a tag behind,
 * which costs a read in vain until the next start.
 */
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "cold_internal.h"

enum { BATCH_KEYS = 4096 };

struct batch {
    struct cold *cold;
    struct cold_reader *reader;
    struct cold_key start; /* size 0: from the beginning */
    struct cold_key last;
    uint64_t *hashes;
    size_t count;
    int code; /* LMDB's; MDB_NOTFOUND at the end */
};

static void walk_batch(void *context)
{
    struct batch *const batch = context;
    struct cold_reader *const reader = batch->reader;
    batch->count = 0;
    batch->code = cold_cursor_open(reader->txn, batch->cold->records, &reader->cursor);
    if (batch->code != MDB_SUCCESS)
        return;
    MDB_val name = cold_key_val(&batch->start);
    MDB_val bytes;
    const bool first = batch->start.size == 0;
    batch->code = mdb_cursor_get(reader->cursor, &name, &bytes, first ? MDB_FIRST : MDB_SET_RANGE);
    if (batch->code == MDB_SUCCESS && !first &&
        slice_equal(cold_val_slice(name), cold_key_slice(&batch->start)))
        batch->code = mdb_cursor_get(reader->cursor, &name, &bytes, MDB_NEXT);
    while (batch->code == MDB_SUCCESS) {
        if (name.mv_size < COLD_SPACE_SIZE || name.mv_size > sizeof(batch->last.bytes)) {
            batch->code = MDB_CORRUPTED;
            return;
        }
        batch->hashes[batch->count++] = cold_key_filter_hash(cold_val_slice(name));
        if (batch->count == BATCH_KEYS)
            break;
        batch->code = mdb_cursor_get(reader->cursor, &name, &bytes, MDB_NEXT);
        if (batch->code == MDB_NOTFOUND)
            return;
    }
    if (batch->count > 0) {
        batch->last.size = name.mv_size;
        memcpy(batch->last.bytes, name.mv_data, name.mv_size);
    }
}

/* One batch into the filter. False when there is nothing more, or the walk has failed (*failed). */
static bool fill_batch(struct batch *batch, bool *failed)
{
    struct cold *const cold = batch->cold;
    struct cold_filter *const filter = &cold->filter;
    *failed = true;
    if (cold_reader_begin(batch->reader, NULL) != ST_OK)
        return false;
    const enum cold_guard_result result = cold_guard_run(COLD_GUARD_READ, walk_batch, batch);
    cold_reader_drop(batch->reader);
    cold_reader_end(batch->reader);
    if (result != COLD_GUARD_OK || (batch->code != MDB_SUCCESS && batch->code != MDB_NOTFOUND))
        return false;
    *failed = false;
    for (size_t index = 0; index < batch->count; index++)
        cold_filter_insert(filter, batch->hashes[index]);
    if (batch->code == MDB_NOTFOUND)
        return false;
    mutex_lock(&filter->lock);
    filter->walked = batch->last;
    mutex_unlock(&filter->lock);
    batch->start = batch->last;
    return true;
}

static void end_fill(struct cold *cold, bool complete)
{
    struct cold_filter *const filter = &cold->filter;
    mutex_lock(&filter->lock);
    filter->fill_ended = true;
    if (complete) /* release: whoever sees it sees all insertions */
        atomic_store_explicit(&filter->ready, true, memory_order_release);
    condition_broadcast(&filter->fill_end);
    mutex_unlock(&filter->lock);
}

static void fill_main(void *context)
{
    struct cold *const cold = context;
    mem_thread_uncached();
    struct batch batch = {
        .cold = cold,
        .reader = cold_reader_create(cold),
        .hashes = mem_alloc(BATCH_KEYS * sizeof(uint64_t)),
    };
    bool failed = false;
    bool stopped = false;
    uint64_t key_count = 0;
    do {
        stopped = atomic_load_explicit(&cold->filter.fill_stop, memory_order_relaxed);
        key_count += batch.count;
    } while (!stopped && fill_batch(&batch, &failed));
    key_count += stopped ? 0 : batch.count;
    if (failed) {
        cold_report_damage(cold, "page");
        log_error("cold: membership filter cannot be filled directory=%s", cold->directory);
    } else if (!stopped) {
        log_info("cold: membership filter filled keys=%llu bytes=%llu",
            (unsigned long long)key_count, (unsigned long long)cold_filter_bytes(&cold->filter));
    }
    cold_reader_destroy(batch.reader);
    mem_free(batch.hashes);
    end_fill(cold, !failed && !stopped);
}

void cold_fill_start(struct cold *cold, uint64_t key_count)
{
    if (key_count == 0)
        end_fill(cold, true);
    else
        thread_start(&cold->filter.fill_thread, "cold-fill", fill_main, cold);
}

void cold_fill_stop(struct cold *cold)
{
    atomic_store_explicit(&cold->filter.fill_stop, true, memory_order_relaxed);
    thread_join(&cold->filter.fill_thread);
}

bool cold_fill_has(struct cold *cold, struct slice stored)
{
    struct cold_filter *const filter = &cold->filter;
    if (atomic_load_explicit(&filter->ready, memory_order_acquire))
        return true;
    mutex_lock(&filter->lock);
    const bool has = slice_compare(stored, cold_key_slice(&filter->walked)) <= 0;
    mutex_unlock(&filter->lock);
    return has;
}

void cold_filter_wait(struct cold *cold)
{
    struct cold_filter *const filter = &cold->filter;
    mutex_lock(&filter->lock);
    while (!filter->fill_ended)
        condition_wait(&filter->fill_end, &filter->lock);
    mutex_unlock(&filter->lock);
}

bool cold_may_contain(const struct cold *cold, const struct key *key)
{
    if (!atomic_load_explicit(&cold->filter.ready, memory_order_acquire))
        return true;
    if (likely(!cold_key_is_long(key)))
        return cold_filter_contains(&cold->filter, key->hash);
    if (key->size > COLD_KEY_FILTER_MAX)
        return true;
    struct cold_key stored;
    cold_key_encode(cold->secret, key, &stored);
    return cold_filter_contains(&cold->filter, cold_key_filter_hash(cold_key_slice(&stored)));
}
