/*
 * cold_reclaim.c: deletes what g lists, a bounded number of pages at a time (H9).
 *
 * g holds dead spaces (after FLUSHALL) and generations of chunks that no record refers to: staged ones whose transaction never came,
 * and those of large values that were replaced or deleted. An entry of g goes in the same transaction as the last thing it
 * stood for, so work that was cut short by a crash goes on after it.
 */
#include "base/check.h"
#include "cold_internal.h"

struct reclaim {
    struct cold_txn *txn;
    size_t left; /* records and chunks that may still be deleted */
    struct cold_dead_key at;
    int code;
};

/* The first entry of g behind *at that may be reclaimed, into *at. LMDB's code. */
static int next_dead(struct cold *cold, MDB_txn *txn, MDB_cursor *cursor, struct cold_dead_key *at)
{
    (void)txn;
    MDB_val key = cold_val(at->bytes, at->size);
    MDB_val value;
    int code = mdb_cursor_get(cursor, &key, &value, at->size == 0 ? MDB_FIRST : MDB_SET_RANGE);
    if (code == MDB_SUCCESS && at->size > 0 &&
        slice_equal(cold_val_slice(key), slice_of(at->bytes, at->size)))
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    for (; code == MDB_SUCCESS; code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        if (key.mv_size == 0 || key.mv_size > sizeof(at->bytes))
            return MDB_CORRUPTED;
        at->size = key.mv_size;
        memcpy(at->bytes, key.mv_data, key.mv_size);
        if (at->bytes[0] == COLD_DEAD_SPACE && at->size == 5)
            return MDB_SUCCESS;
        if (at->bytes[0] != COLD_DEAD_GENERATION || at->size != 9)
            return MDB_CORRUPTED;
        if (cold_staged_find(cold, cold_get_be64(at->bytes + 1)) == NULL)
            return MDB_SUCCESS;
    }
    return code;
}

/* --- is there anything to do? --------------------------------------------------------------------- */

struct look {
    struct cold_reader *reader;
    int code;
};

static void look_guarded(void *context)
{
    struct look *const look = context;
    struct cold_reader *const reader = look->reader;
    struct cold_dead_key at = {0};
    look->code = cold_cursor_open(reader->txn, reader->cold->dead, &reader->cursor);
    if (look->code == MDB_SUCCESS)
        look->code = next_dead(reader->cold, reader->txn, reader->cursor, &at);
}

/* ST_OK: yes; ST_END: no. */
static enum status look_for_work(struct cold *cold, struct error *error)
{
    struct look look = {.reader = cold_reader_borrow(cold)};
    enum status status = cold_reader_begin(look.reader, error);
    if (status == ST_OK) {
        const enum cold_guard_result result = cold_guard_run(COLD_GUARD_READ, look_guarded, &look);
        if (result != COLD_GUARD_OK)
            status = cold_guard_status(cold, result, error, "cannot reclaim");
        else if (look.code == MDB_NOTFOUND)
            status = ST_END;
        else if (look.code != MDB_SUCCESS)
            status = cold_env_status(cold, look.code, error, "cannot reclaim");
        cold_reader_drop(look.reader);
        cold_reader_end(look.reader);
    }
    cold_reader_return(look.reader);
    return status;
}

/* --- the work ---------------------------------------------------------------------------------------- */

static void take(struct reclaim *reclaim, uint64_t count)
{
    reclaim->left = count < reclaim->left ? reclaim->left - (size_t)count : 0;
}

/* LMDB's code; MDB_NOTFOUND when the space has no record left. */
static int delete_one(struct reclaim *reclaim, uint32_t space)
{
    struct cold_txn *const txn = reclaim->txn;
    uint8_t start[COLD_SPACE_SIZE];
    cold_put_be32(start, space);
    MDB_val name = cold_val(start, sizeof(start));
    MDB_val bytes;
    int code = mdb_cursor_get(txn->records, &name, &bytes, MDB_SET_RANGE);
    if (code != MDB_SUCCESS)
        return code;
    struct cold_key stored;
    if (name.mv_size < COLD_SPACE_SIZE || name.mv_size > sizeof(stored.bytes))
        return MDB_CORRUPTED;
    if (cold_key_space(cold_val_slice(name)) != space)
        return MDB_NOTFOUND;
    stored.size = name.mv_size;
    memcpy(stored.bytes, name.mv_data, name.mv_size);
    const bool counted = cold_fill_has(txn->cold, cold_key_slice(&stored));
    uint64_t chunk_count;
    code = cold_txn_delete_current(txn, &stored, bytes, &chunk_count);
    if (code != MDB_SUCCESS)
        return code == MDB_NOTFOUND ? MDB_CORRUPTED : code;
    if (counted)
        cold_hashes_add(&txn->deleted, cold_key_filter_hash(cold_key_slice(&stored)));
    take(reclaim, 1 + chunk_count);
    return MDB_SUCCESS;
}

/* LMDB's code; *done when nothing is left of the entry. */
static int reclaim_entry(struct reclaim *reclaim, bool *done)
{
    struct cold_txn *const txn = reclaim->txn;
    *done = false;
    if (reclaim->at.bytes[0] == COLD_DEAD_GENERATION) {
        uint64_t count;
        const uint64_t generation = cold_get_be64(reclaim->at.bytes + 1);
        const int code =
            cold_chunks_delete(txn->txn, txn->cold->chunks, generation, reclaim->left, &count);
        *done = count < reclaim->left;
        take(reclaim, count);
        return code;
    }
    const uint32_t space = cold_get_be32(reclaim->at.bytes + 1);
    int code = MDB_SUCCESS;
    while (code == MDB_SUCCESS && reclaim->left > 0)
        code = delete_one(reclaim, space);
    *done = code == MDB_NOTFOUND;
    return *done ? MDB_SUCCESS : code;
}

static void reclaim_guarded(void *context)
{
    struct reclaim *const reclaim = context;
    struct cold_txn *const txn = reclaim->txn;
    struct cold *const cold = txn->cold;
    while (reclaim->code == MDB_SUCCESS && reclaim->left > 0) {
        MDB_cursor *cursor;
        reclaim->code = cold_cursor_open(txn->txn, cold->dead, &cursor);
        if (reclaim->code != MDB_SUCCESS)
            return;
        reclaim->code = next_dead(cold, txn->txn, cursor, &reclaim->at);
        mdb_cursor_close(cursor);
        bool done = false;
        if (reclaim->code == MDB_SUCCESS)
            reclaim->code = reclaim_entry(reclaim, &done);
        if (reclaim->code == MDB_SUCCESS && done) {
            MDB_val key = cold_val(reclaim->at.bytes, reclaim->at.size);
            reclaim->code = mdb_del(txn->txn, cold->dead, &key, NULL);
        }
    }
    if (reclaim->code == MDB_NOTFOUND)
        reclaim->code = MDB_SUCCESS;
}

enum status cold_reclaim(struct cold *cold, size_t record_max, struct error *error)
{
    CHECK(record_max > 0);
    enum status status = look_for_work(cold, error);
    if (status != ST_OK)
        return status;
    struct reclaim reclaim = {.left = record_max};
    status = cold_txn_begin(cold, &reclaim.txn, error);
    if (status != ST_OK)
        return status;
    reclaim.txn->keeps_staged = true;
    const enum cold_guard_result result =
        cold_guard_run(COLD_GUARD_WRITE, reclaim_guarded, &reclaim);
    if (result != COLD_GUARD_OK) {
        cold_report_damage(cold, "page");
        status = cold_guard_status(cold, result, error, "cannot reclaim");
    } else if (reclaim.code != MDB_SUCCESS) {
        status = cold_env_status(cold, reclaim.code, error, "cannot reclaim");
    }
    if (status != ST_OK) {
        cold_txn_abort(reclaim.txn);
        return status;
    }
    status = cold_txn_commit(reclaim.txn, error);
    return status == ST_OK ? look_for_work(cold, error) : status;
}
