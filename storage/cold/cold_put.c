/*
 * cold_put.c: puts one record.
 *
 *   compress ─► look up the old record ─► index entry, old chunks ─► new chunks ─► reserve the node, write in place
 *
 * A sorted batch keeps the cursor on the same leaf: looking up and writing is then one descent, not two. The whole
 * record goes to one page (inline, or one overflow page) up to 4 080 bytes; else payload and, if it is very long, the
 * key go to chunks under a generation of their own.
 */
#include "base/check.h"
#include "cold_internal.h"

struct put {
    struct cold_txn *txn;
    const struct key *key;
    struct slice payload; /* as stored; of a staged value: not used */
    bool staged;
    struct cold_record record;
    const struct cold_key *stored;
    bool existed;
    const char *failed_at;
    int code;
};

/* Decides where key and payload go. */
static void lay_out(struct put *put)
{
    struct cold_record *const record = &put->record;
    size_t inline_size = COLD_RECORD_HEADER_MAX + (size_t)record->stored_size;
    if (cold_key_is_long(put->key)) {
        record->flags |= COLD_RECORD_LONG_KEY;
        record->key_size = put->key->size;
        if (put->key->size > COLD_KEY_INLINE_MAX)
            record->flags |= COLD_RECORD_CHUNKED | COLD_RECORD_KEY_CHUNKED;
        inline_size += put->key->size;
    }
    if (put->staged) {
        record->flags |= COLD_RECORD_CHUNKED;
        return;
    }
    if (inline_size > COLD_PAGE_VALUE_MAX)
        record->flags |= COLD_RECORD_CHUNKED;
    if ((record->flags & COLD_RECORD_CHUNKED) != 0)
        record->generation = put->txn->cold->next_generation++;
}

static bool failed(struct put *put, int code, const char *where)
{
    if (code == MDB_SUCCESS)
        return false;
    put->code = code;
    put->failed_at = where;
    return true;
}

/* The chunks of the new record, or its claim on those that were staged. */
static bool put_chunks(struct put *put)
{
    const struct cold_record *const record = &put->record;
    struct cold *const cold = put->txn->cold;
    MDB_txn *const txn = put->txn->txn;
    if (put->staged) {
        const struct cold_dead_key dead = cold_dead_generation(record->generation);
        MDB_val key = cold_val(dead.bytes, dead.size);
        if (failed(put, mdb_del(txn, cold->dead, &key, NULL), "cannot claim staged chunks"))
            return false;
    } else if ((record->flags & COLD_RECORD_CHUNKED) != 0) {
        if (failed(put,
                cold_chunks_put(txn, cold->chunks, record->generation, 0, put->payload, true),
                "cannot put a chunk"))
            return false;
    }
    if ((record->flags & COLD_RECORD_KEY_CHUNKED) == 0)
        return true;
    return !failed(put,
        cold_chunks_put(txn, cold->chunks, record->generation, cold_record_chunk_count(record),
            key_slice(put->key), false),
        "cannot put a chunk");
}

/* What the old record owned goes; the index entry stays if its minute does. */
static bool replace_owned(struct put *put, const struct cold_owned *old)
{
    struct cold_txn *const txn = put->txn;
    const struct slice stored = cold_key_slice(put->stored);
    const uint32_t minute = cold_expire_minute(cold_due_ms(&put->record.header));
    uint64_t unused;
    if (failed(put, cold_txn_drop_chunks(txn, old, &unused), "cannot drop chunks"))
        return false;
    if (old->minute == minute)
        return true;
    if (old->minute != 0 &&
        failed(put, cold_txn_index_delete(txn, old->minute, stored), "cannot delete an expiry"))
        return false;
    return minute == 0 ||
           !failed(put, cold_txn_index_put(txn, minute, stored), "cannot put an expiry");
}

static void put_node(struct put *put)
{
    const struct cold_record *const record = &put->record;
    uint8_t header[COLD_RECORD_HEADER_MAX];
    const uint64_t seed = cold_record_seed(key_slice(put->key), put->key->space);
    const size_t header_size = cold_record_header_encode(record, seed, header);
    const bool has_key =
        (record->flags & (COLD_RECORD_LONG_KEY | COLD_RECORD_KEY_CHUNKED)) == COLD_RECORD_LONG_KEY;
    const size_t key_size = has_key ? put->key->size : 0;
    const size_t payload_size = (record->flags & COLD_RECORD_CHUNKED) != 0 ? 0 : put->payload.size;
    MDB_val name = cold_key_val(put->stored);
    MDB_val value = {.mv_size = header_size + key_size + payload_size};
    CHECK(value.mv_size <= COLD_PAGE_VALUE_MAX);
    if (failed(put, mdb_cursor_put(put->txn->records, &name, &value, MDB_RESERVE),
            "cannot put a record"))
        return;
    char *const bytes = value.mv_data;
    memcpy(bytes, header, header_size);
    if (key_size > 0)
        memcpy(bytes + header_size, put->key->data, key_size);
    if (payload_size > 0)
        memcpy(bytes + header_size + key_size, put->payload.data, payload_size);
    put->txn->stored_bytes += record->stored_size;
}

static void put_guarded(void *context)
{
    struct put *const put = context;
    struct cold_owned old = {0};
    MDB_val name = cold_key_val(put->stored);
    MDB_val bytes;
    const int code = mdb_cursor_get(put->txn->records, &name, &bytes, MDB_SET_KEY);
    put->existed = code == MDB_SUCCESS;
    if (put->existed)
        cold_txn_examine(put->txn, cold_key_slice(put->stored), bytes, &old);
    else if (code != MDB_NOTFOUND && failed(put, code, "cannot look up"))
        return;
    if (replace_owned(put, &old) && put_chunks(put))
        put_node(put);
}

/* The payload as it will be stored. */
static void prepare_payload(struct put *put, const struct cold_staged *staged, struct slice payload)
{
    struct cold *const cold = put->txn->cold;
    struct cold_record *const record = &put->record;
    bool compressed;
    if (staged != NULL) {
        CHECK(staged->raw_size == payload.size);
        put->staged = true;
        record->generation = staged->generation;
        record->stored_size = staged->stored_size;
        record->payload_sum = staged->payload_sum;
        compressed = staged->compressed;
    } else {
        put->payload = payload;
        compressed = OPTION_GET(cold->options, compression) != 0 &&
                     cold_compress(&cold->compressor, put->key->space, payload, &put->payload);
        record->stored_size = put->payload.size;
        record->payload_sum = hash_sum32(put->payload.data, put->payload.size, 0);
    }
    if (compressed)
        record->flags |= COLD_RECORD_COMPRESSED;
}

void cold_put_ahead(const struct cold *cold, const struct key *key)
{
    if (!cold_key_is_long(key)) /* else the filter has another hash */
        cold_filter_prefetch(&cold->filter, key->hash);
}

enum status cold_put(struct cold_txn *txn, const struct key *key, const struct cold_header *header,
    struct slice payload, uint64_t generation, struct error *error)
{
    struct cold *const cold = txn->cold;
    if (txn->failure != ST_OK)
        return error_set(error, txn->failure, 0,
            "cold tier %s: an operation of this transaction has failed", cold->directory);
    if (payload.size > COLD_PAYLOAD_SIZE_MAX) {
        txn->failure = error_set(error, ST_FULL, 0, "cold tier %s: a value of %llu bytes",
            cold->directory, (unsigned long long)payload.size);
        return txn->failure;
    }
    const struct cold_staged *const staged =
        generation == 0 ? NULL : cold_staged_find(cold, generation);
    CHECK(generation == 0 || staged != NULL);
    struct cold_key stored;
    cold_key_encode(cold->secret, key, &stored);
    struct put put = {.txn = txn, .key = key, .record = {.header = *header}, .stored = &stored};
    put.record.header.value_size = payload.size;
    if (header->expire_ms != 0)
        put.record.flags |= COLD_RECORD_EXPIRES;
    if (header->wake_ms != 0)
        put.record.flags |= COLD_RECORD_WAKES;
    prepare_payload(&put, staged, payload);
    lay_out(&put);

    const enum cold_guard_result result = cold_guard_run(COLD_GUARD_WRITE, put_guarded, &put);
    if (result != COLD_GUARD_OK) {
        cold_report_damage(cold, "page");
        txn->failure = cold_guard_status(cold, result, error, "cannot write");
        return txn->failure;
    }
    if (put.code != MDB_SUCCESS)
        return cold_txn_fail(txn, put.code, error, put.failed_at);
    if (!put.existed) {
        const uint64_t hash = cold_key_filter_hash(cold_key_slice(&stored));
        cold_filter_insert(&cold->filter, hash);
        cold_hashes_add(&txn->inserted, hash);
    }
    txn->written_count++;
    txn->raw_bytes += payload.size;
    return ST_OK;
}
