/*
 * cold_txn.c: the checkpointer's transaction: begin, delete, kill a space, commit, abort.
 *
 * (1) A failure is sticky: after it the transaction can only end, and commit returns it.
 * (2) The filter covers the transaction while it is under way (puts enter at once) and is exact again when it
 *     ends: a commit takes out what was deleted, a failure takes out what was inserted.
 * (3) Whatever becomes of it, staged chunks that it did not use are orphans afterwards, listed in g.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cold_internal.h"

#define MEASURE_INTERVAL_MS 1000

void cold_hashes_add(struct cold_hashes *hashes, uint64_t hash)
{
    if (hashes->count == hashes->capacity) {
        hashes->capacity = hashes->capacity == 0 ? 256 : hashes->capacity * 2;
        hashes->items = mem_realloc(hashes->items, hashes->capacity * sizeof(*hashes->items));
    }
    hashes->items[hashes->count++] = hash;
}

enum status cold_txn_fail(struct cold_txn *txn, int code, struct error *error, const char *what)
{
    txn->failure = cold_env_status(txn->cold, code, error, what);
    return txn->failure;
}

static enum status fail_again(const struct cold_txn *txn, struct error *error)
{
    return error_set(error, txn->failure, 0,
        "cold tier %s: an operation of this transaction has failed", txn->cold->directory);
}

/* Runs an operation in the guard. ST_OK unless a page could not be read, which ends the transaction. */
static enum status run_guarded(
    struct cold_txn *txn, void (*run)(void *context), void *context, struct error *error)
{
    const enum cold_guard_result result = cold_guard_run(COLD_GUARD_WRITE, run, context);
    if (result == COLD_GUARD_OK)
        return ST_OK;
    cold_report_damage(txn->cold, "page");
    txn->failure = cold_guard_status(txn->cold, result, error, "cannot write");
    return txn->failure;
}

static void open_guarded(void *context)
{
    struct cold_txn *const txn = context;
    const int code = cold_cursor_open(txn->txn, txn->cold->records, &txn->records);
    if (code != MDB_SUCCESS)
        (void)cold_txn_fail(txn, code, NULL, "");
}

enum status cold_txn_begin(struct cold *cold, struct cold_txn **txn_out, struct error *error)
{
    CHECK_MAY_BLOCK();
    CHECK(!cold->writing);
    MDB_txn *mdb = NULL;
    enum status status = cold_env_begin(cold, &mdb, error);
    if (status != ST_OK)
        return status;
    struct cold_txn *const txn = mem_alloc_zero(sizeof(*txn));
    txn->cold = cold;
    txn->txn = mdb;
    cold->writing = true;
    status = run_guarded(txn, open_guarded, txn, error);
    if (status == ST_OK && txn->failure != ST_OK)
        status = error_set(
            error, txn->failure, 0, "cold tier %s: cannot begin to write", cold->directory);
    if (status != ST_OK) {
        txn->keeps_staged = true; /* no transaction has come of it */
        cold_txn_abort(txn);
        return status;
    }
    *txn_out = txn;
    return ST_OK;
}

/* --- parts of a record -------------------------------------------------------------------------------- */

void cold_txn_examine(
    struct cold_txn *txn, struct slice stored, MDB_val bytes, struct cold_owned *owned)
{
    *owned = (struct cold_owned){0};
    struct cold_record record;
    struct slice key;
    enum status status = cold_record_parse(cold_val_slice(bytes), &record);
    if (status == ST_OK)
        status = cold_full_key(txn->cold, txn->txn, stored, &record, &txn->scratch, &key);
    if (status != ST_OK) { /* its generation might be anybody's */
        cold_report_damage(txn->cold, "record");
        return;
    }
    owned->minute = cold_expire_minute(cold_due_ms(&record.header));
    owned->generation = record.generation;
    owned->chunk_count = cold_record_chunk_count(&record);
    if ((record.flags & COLD_RECORD_KEY_CHUNKED) != 0)
        owned->chunk_count += cold_chunk_count(record.key_size);
}

struct cold_dead_key cold_dead_space(uint32_t space)
{
    struct cold_dead_key key = {.size = 5, .bytes = {COLD_DEAD_SPACE}};
    cold_put_be32(key.bytes + 1, space);
    return key;
}

struct cold_dead_key cold_dead_generation(uint64_t generation)
{
    struct cold_dead_key key = {.size = 9, .bytes = {COLD_DEAD_GENERATION}};
    cold_put_be64(key.bytes + 1, generation);
    return key;
}

static int put_dead(struct cold_txn *txn, const struct cold_dead_key *dead)
{
    MDB_val key = cold_val(dead->bytes, dead->size);
    MDB_val value = cold_val("", 0);
    return mdb_put(txn->txn, txn->cold->dead, &key, &value, 0);
}

int cold_txn_drop_chunks(struct cold_txn *txn, const struct cold_owned *owned, uint64_t *count)
{
    *count = 0;
    if (owned->generation == 0)
        return MDB_SUCCESS;
    if (owned->chunk_count > COLD_CHUNK_DELETE_MAX) {
        const struct cold_dead_key dead = cold_dead_generation(owned->generation);
        return put_dead(txn, &dead);
    }
    return cold_chunks_delete(
        txn->txn, txn->cold->chunks, owned->generation, owned->chunk_count, count);
}

int cold_txn_index_put(struct cold_txn *txn, uint32_t minute, struct slice stored)
{
    struct cold_index_key index;
    cold_index_key_encode(minute, stored, &index);
    MDB_val key = cold_val(index.bytes, index.size);
    MDB_val value = cold_val("", 0);
    return mdb_put(txn->txn, txn->cold->expiry, &key, &value, 0);
}

int cold_txn_index_delete(struct cold_txn *txn, uint32_t minute, struct slice stored)
{
    struct cold_index_key index;
    cold_index_key_encode(minute, stored, &index);
    MDB_val key = cold_val(index.bytes, index.size);
    const int code = mdb_del(txn->txn, txn->cold->expiry, &key, NULL);
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

int cold_txn_delete_current(
    struct cold_txn *txn, const struct cold_key *stored, MDB_val bytes, uint64_t *chunk_count)
{
    struct cold_owned owned;
    cold_txn_examine(txn, cold_key_slice(stored), bytes, &owned);
    int code = cold_txn_drop_chunks(txn, &owned, chunk_count);
    if (code == MDB_SUCCESS && owned.minute != 0)
        code = cold_txn_index_delete(txn, owned.minute, cold_key_slice(stored));
    if (code == MDB_SUCCESS)
        code = mdb_cursor_del(txn->records, 0);
    return code;
}

/* --- operations ------------------------------------------------------------------------------------------ */

struct delete
{
    struct cold_txn *txn;
    struct cold_key stored;
    int code;
};

static void delete_guarded(void *context)
{
    struct delete *const delete = context;
    MDB_val name = cold_key_val(&delete->stored);
    MDB_val bytes;
    uint64_t chunk_count;
    delete->code = mdb_cursor_get(delete->txn->records, &name, &bytes, MDB_SET_KEY);
    if (delete->code == MDB_SUCCESS)
        delete->code = cold_txn_delete_current(delete->txn, &delete->stored, bytes, &chunk_count);
    else if (delete->code == MDB_NOTFOUND)
        delete->code = MDB_KEYEXIST; /* told apart from a failure inside the deletion */
}

enum status cold_delete(struct cold_txn *txn, const struct key *key, struct error *error)
{
    if (txn->failure != ST_OK)
        return fail_again(txn, error);
    struct delete delete = {.txn = txn};
    cold_key_encode(txn->cold->secret, key, &delete.stored);
    const bool counted = cold_fill_has(txn->cold, cold_key_slice(&delete.stored));
    const enum status status = run_guarded(txn, delete_guarded, &delete, error);
    if (status != ST_OK)
        return status;
    if (delete.code == MDB_KEYEXIST)
        return ST_NOT_FOUND;
    if (delete.code != MDB_SUCCESS)
        return cold_txn_fail(txn, delete.code, error, "cannot delete");
    if (counted)
        cold_hashes_add(&txn->deleted, cold_key_filter_hash(cold_key_slice(&delete.stored)));
    txn->deleted_count++;
    return ST_OK;
}

struct kill {
    struct cold_txn *txn;
    struct cold_dead_key dead;
    int code;
};

static void kill_guarded(void *context)
{
    struct kill *const kill = context;
    kill->code = put_dead(kill->txn, &kill->dead);
}

enum status cold_space_kill(struct cold_txn *txn, uint32_t space, struct error *error)
{
    if (txn->failure != ST_OK)
        return fail_again(txn, error);
    struct kill kill = {.txn = txn, .dead = cold_dead_space(space)};
    const enum status status = run_guarded(txn, kill_guarded, &kill, error);
    if (status != ST_OK)
        return status;
    return kill.code == MDB_SUCCESS ? ST_OK
                                    : cold_txn_fail(txn, kill.code, error, "cannot kill a space");
}

struct meta_put {
    struct cold_txn *txn;
    const char *name;
    struct slice value;
    int code;
};

static void meta_put_guarded(void *context)
{
    struct meta_put *const put = context;
    put->code = cold_meta_write(put->txn->cold, put->txn->txn, put->name, put->value);
}

enum status cold_meta_put(
    struct cold_txn *txn, const char *name, struct slice value, struct error *error)
{
    if (txn->failure != ST_OK)
        return fail_again(txn, error);
    struct meta_put put = {.txn = txn, .name = name, .value = value};
    const enum status status = run_guarded(txn, meta_put_guarded, &put, error);
    if (status != ST_OK)
        return status;
    return put.code == MDB_SUCCESS ? ST_OK : cold_txn_fail(txn, put.code, error, "cannot write");
}

/* --- the end ------------------------------------------------------------------------------------------------ */

static void remove_all(struct cold *cold, const struct cold_hashes *hashes)
{
    for (size_t index = 0; index < hashes->count; index++)
        cold_filter_remove(&cold->filter, hashes->items[index]);
}

static void release(struct cold_txn *txn)
{
    struct cold *const cold = txn->cold;
    if (!txn->keeps_staged)
        cold_staged_clear(cold);
    cold_compressor_trim(&cold->compressor);
    mem_free(txn->inserted.items);
    mem_free(txn->deleted.items);
    buf_deinit(&txn->scratch);
    mem_free(txn);
    cold->writing = false;
}

enum status cold_txn_commit(struct cold_txn *txn, struct error *error)
{
    struct cold *const cold = txn->cold;
    if (txn->failure != ST_OK) {
        const enum status failure = fail_again(txn, error);
        metric_add(&cold->metrics, commit_error_count, 1);
        cold_txn_abort(txn);
        return failure;
    }
    mdb_cursor_close(txn->records);
    txn->records = NULL;
    const enum status status = cold_env_commit(cold, txn->txn, error);
    if (status == ST_OK) {
        metric_add(&cold->metrics, written_count, txn->written_count);
        metric_add(&cold->metrics, deleted_count, txn->deleted_count);
        metric_add(&cold->metrics, raw_bytes, txn->raw_bytes);
        metric_add(&cold->metrics, stored_bytes, txn->stored_bytes);
    }
    remove_all(cold, status == ST_OK ? &txn->deleted : &txn->inserted);
    release(txn);
    if (clock_monotonic_ms() - atomic_load_explicit(&cold->measured_ms, memory_order_relaxed) >=
        MEASURE_INTERVAL_MS)
        cold_env_measure(
            cold); /* so that INFO's figures are recent even if nobody asks for the size */
    return status;
}

void cold_txn_abort(struct cold_txn *txn)
{
    if (txn == NULL)
        return;
    if (txn->records != NULL)
        mdb_cursor_close(txn->records);
    mdb_txn_abort(txn->txn);
    remove_all(txn->cold, &txn->inserted);
    release(txn);
}
