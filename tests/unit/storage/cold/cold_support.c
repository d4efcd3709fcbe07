#include "cold_support.h"

#include "base/mem.h"
#include "base/random.h"
#include "cold_internal.h"

#include <stdio.h>

const struct cold_header raw_header = {.type = VALUE_STRING, .encoding = VALUE_ENCODING_RAW};

struct cold_header header_expiring(uint64_t expire_ms)
{
    struct cold_header header = raw_header;
    header.expire_ms = expire_ms;
    return header;
}

void tier_open_at(struct tier *tier, const char *directory)
{
    *tier = (struct tier){
        .directory = directory,
        .options = {.io_threads = 4, .compression = 1, .max_size = 0, .reserve = 64 * KiB},
    };
    struct error error;
    const enum status status = cold_open(directory, &tier->options, &tier->cold, &error);
    ck_assert_msg(status == ST_OK, "%s", status == ST_OK ? "" : error.message);
}

void tier_open(struct tier *tier)
{
    tier_open_at(tier, test_directory_create());
}

void tier_reopen(struct tier *tier)
{
    cold_close(tier->cold);
    tier_open_at(tier, tier->directory);
}

void tier_close(struct tier *tier)
{
    cold_close(tier->cold);
    tier->cold = NULL;
}

struct key key_numbered(const char *prefix, unsigned number)
{
    static char texts[64][64];
    static unsigned next;
    char *const text = texts[next++ % 64];
    const int size = snprintf(text, sizeof(texts[0]), "%s%u", prefix, number);
    return key_make(SPACE, text, (size_t)size);
}

struct key key_text(const char *text)
{
    return key_make(SPACE, text, strlen(text));
}

struct key key_long(size_t size, char first, char last)
{
    char *const data = mem_alloc(size);
    for (size_t index = 0; index < size; index++)
        data[index] = (char)('a' + index % 23);
    data[0] = first;
    data[size - 1] = last;
    return key_make(SPACE, data, size);
}

struct buf payload_random(size_t size, uint64_t seed)
{
    struct random random;
    random_init(&random, seed + 1);
    struct buf buf = {0};
    char *const data = buf_reserve(&buf, size + 8);
    for (size_t offset = 0; offset < size; offset += 8) {
        const uint64_t word = random_next(&random);
        memcpy(data + offset, &word, 8);
    }
    buf.size = size;
    return buf;
}

struct buf payload_text(size_t size)
{
    struct buf buf = {0};
    for (uint64_t number = 0; buf.size < size; number++)
        buf_append_format(&buf, "{\"id\":%llu,\"name\":\"user %llu\",\"active\":true}",
            (unsigned long long)number, (unsigned long long)(number * 7919));
    buf.size = size;
    return buf;
}

struct cold_txn *must_begin(struct cold *cold)
{
    struct error error;
    struct cold_txn *txn = NULL;
    const enum status status = cold_txn_begin(cold, &txn, &error);
    ck_assert_msg(status == ST_OK, "%s", status == ST_OK ? "" : error.message);
    return txn;
}

void must_commit(struct cold_txn *txn)
{
    struct error error;
    const enum status status = cold_txn_commit(txn, &error);
    ck_assert_msg(status == ST_OK, "%s", status == ST_OK ? "" : error.message);
}

void must_put(struct cold_txn *txn, const struct key *key, const struct cold_header *header,
    struct slice payload)
{
    struct error error;
    const enum status status = cold_put(txn, key, header, payload, 0, &error);
    ck_assert_msg(status == ST_OK, "%s", status == ST_OK ? "" : error.message);
}

void put_one(struct cold *cold, const struct key *key, const struct cold_header *header,
    struct slice payload)
{
    struct cold_txn *const txn = must_begin(cold);
    must_put(txn, key, header, payload);
    must_commit(txn);
}

void delete_one(struct cold *cold, const struct key *key)
{
    struct cold_txn *const txn = must_begin(cold);
    ck_assert_int_eq(cold_delete(txn, key, NULL), ST_OK);
    must_commit(txn);
}

struct cold_job read_job(struct cold *cold, enum cold_job_kind kind, const struct key *key)
{
    struct cold_job job = {.kind = kind, .priority = COLD_DEMAND, .key = *key};
    cold_read_now(cold, &job);
    return job;
}

enum status read_status(struct cold *cold, const struct key *key)
{
    struct cold_job job = read_job(cold, COLD_JOB_VALUE, key);
    cold_job_deinit(&job);
    return job.status;
}

void assert_value(struct cold *cold, const struct key *key, struct slice payload)
{
    struct cold_job job = read_job(cold, COLD_JOB_VALUE, key);
    ck_assert_int_eq(job.status, ST_OK);
    ck_assert_uint_eq(job.header.value_size, payload.size);
    char scratch[24];
    ck_assert(slice_equal(value_string_bytes(&job.value, scratch), payload));
    ck_assert(cold_may_contain(cold, key));
    cold_job_deinit(&job);
    job = read_job(cold, COLD_JOB_HEADER, key);
    ck_assert_int_eq(job.status, ST_OK);
    ck_assert_uint_eq(job.header.value_size, payload.size);
    cold_job_deinit(&job);
}

void assert_absent(struct cold *cold, const struct key *key)
{
    ck_assert_int_eq(read_status(cold, key), ST_NOT_FOUND);
}

static MDB_dbi table_of(struct cold *cold, char table)
{
    switch (table) {
    case 'k': return cold->records;
    case 'c': return cold->chunks;
    case 'x': return cold->expiry;
    case 'g': return cold->dead;
    default: return cold->meta;
    }
}

size_t count_entries(struct cold *cold, char table)
{
    MDB_stat stat = {0};
    struct cold_reader *const reader = cold_reader_borrow(cold);
    ck_assert_int_eq(cold_reader_begin(reader, NULL), ST_OK);
    ck_assert_int_eq(mdb_stat(reader->txn, table_of(cold, table), &stat), MDB_SUCCESS);
    cold_reader_end(reader);
    cold_reader_return(reader);
    return stat.ms_entries;
}

struct buf stored_bytes(struct cold *cold, const struct key *key)
{
    struct buf buf = {0};
    struct cold_key stored;
    cold_key_encode(cold->secret, key, &stored);
    MDB_val name = cold_key_val(&stored);
    MDB_val bytes;
    struct cold_reader *const reader = cold_reader_borrow(cold);
    ck_assert_int_eq(cold_reader_begin(reader, NULL), ST_OK);
    ck_assert_int_eq(mdb_get(reader->txn, cold->records, &name, &bytes), MDB_SUCCESS);
    buf_append(&buf, bytes.mv_data, bytes.mv_size);
    cold_reader_end(reader);
    cold_reader_return(reader);
    return buf;
}

void store_bytes(struct cold *cold, const struct key *key, struct slice bytes)
{
    struct cold_key stored;
    cold_key_encode(cold->secret, key, &stored);
    MDB_val name = cold_key_val(&stored);
    MDB_val value = cold_val(bytes.data, bytes.size);
    MDB_txn *txn;
    ck_assert_int_eq(mdb_txn_begin(cold->env, NULL, 0, &txn), MDB_SUCCESS);
    ck_assert_int_eq(mdb_put(txn, cold->records, &name, &value, 0), MDB_SUCCESS);
    ck_assert_int_eq(mdb_txn_commit(txn), MDB_SUCCESS);
}

void tamper(struct cold *cold, const struct key *key,
    void (*change)(void *context, uint8_t *bytes, size_t size), void *context)
{
    struct buf bytes = stored_bytes(cold, key);
    change(context, (uint8_t *)bytes.data, bytes.size);
    store_bytes(cold, key, buf_slice(&bytes));
    buf_deinit(&bytes);
}

void reclaim_all(struct cold *cold, size_t record_max)
{
    struct error error;
    enum status status = ST_OK;
    while (status == ST_OK)
        status = cold_reclaim(cold, record_max, &error);
    ck_assert_int_eq(status, ST_END);
}
