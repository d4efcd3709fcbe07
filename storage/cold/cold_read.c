/*
 * cold_read.c: answers jobs from one snapshot.
 *
 *   key ─► stored key ─► leaf ─► parse ─► full key and header sum ─► (VALUE) payload: sum, decompress, decode
 *
 * Nothing that a job returns points into the map. A job runs inside the guard, and may be left in its middle: what it
 * allocated is then reachable from the job or the reader and is freed here.
 */
#include "base/check.h"
#include "base/mem.h"
#include "cold_internal.h"

struct run {
    struct cold_reader *reader;
    struct cold_job *job;
};

static enum status read_failure(const struct cold_reader *reader, int code)
{
    return cold_env_status(reader->cold, code, NULL, "cannot read");
}

/* The record of a key. ST_OK, ST_NOT_FOUND (absent, or the record is of another long key), ST_CORRUPT, ST_IO. */
static enum status find(
    struct cold_reader *reader, const struct key *key, struct cold_record *record)
{
    struct cold *const cold = reader->cold;
    struct cold_key stored;
    cold_key_encode(cold->secret, key, &stored);
    MDB_val name = cold_key_val(&stored);
    MDB_val bytes;
    /* A cursor stays on the page of the key before. */
    const int code = reader->cursor != NULL
                         ? mdb_cursor_get(reader->cursor, &name, &bytes, MDB_SET_KEY)
                         : mdb_get(reader->txn, cold->records, &name, &bytes);
    if (code == MDB_NOTFOUND)
        return ST_NOT_FOUND;
    if (code != MDB_SUCCESS)
        return read_failure(reader, code);
    if (cold_record_parse(cold_val_slice(bytes), record) != ST_OK)
        return ST_CORRUPT;
    struct slice full_key;
    const enum status status =
        cold_full_key(cold, reader->txn, cold_key_slice(&stored), record, &reader->key, &full_key);
    if (status != ST_OK)
        return status;
    return slice_equal(full_key, key_slice(key)) ? ST_OK : ST_NOT_FOUND;
}

/* Straight into the blob that the record will keep: no second copy of a large string. */
static enum status read_blob(
    struct cold_reader *reader, struct cold_job *job, const struct cold_record *record)
{
    const size_t size = (size_t)record->header.value_size;
    reader->blob = blob_create(size);
    if (reader->blob == NULL)
        return ST_NO_MEMORY;
    const enum status status = cold_payload_read(reader, record, reader->blob->data);
    if (status != ST_OK)
        return status;
    reader->blob->size = size;
    job->value = value_blob(reader->blob);
    reader->blob = NULL; /* ownership moved */
    return ST_OK;
}

static bool becomes_blob(const struct cold_header *header)
{
    return header->type == VALUE_STRING && header->encoding == VALUE_ENCODING_RAW &&
           header->value_size > VALUE_INLINE_SIZE_MAX &&
           header->value_size <= VALUE_STRING_SIZE_MAX;
}

/* Room for a size that a file chose. */
static bool reserve_exactly(struct buf *buf, uint64_t size)
{
    buf_clear(buf);
    if (buf->capacity >= size && buf->data != NULL)
        return true;
    char *const data = mem_try_realloc(buf->data, size == 0 ? 1 : (size_t)size);
    if (data == NULL)
        return false;
    buf->data = data;
    buf->capacity = size == 0 ? 1 : (size_t)size;
    return true;
}

static enum status read_value(
    struct cold_reader *reader, struct cold_job *job, const struct cold_record *record)
{
    if (becomes_blob(&record->header))
        return read_blob(reader, job, record);
    if (!reserve_exactly(&job->payload, record->header.value_size))
        return ST_NO_MEMORY;
    enum status status = cold_payload_read(reader, record, job->payload.data);
    if (status != ST_OK)
        return status;
    job->payload.size = (size_t)record->header.value_size;
    status = value_decode((unsigned)record->header.type, (unsigned)record->header.encoding,
        buf_slice(&job->payload), &job->value);
    /* Only short strings borrow it; many megabytes are given back here rather than by a worker. */
    if (job->value.object != NULL)
        buf_deinit(&job->payload);
    return status;
}

static enum status read_record(struct cold_reader *reader, struct cold_job *job)
{
    struct cold_record record;
    const enum status status = find(reader, &job->key, &record);
    if (status != ST_OK)
        return status;
    job->header = record.header;
    return job->kind == COLD_JOB_VALUE ? read_value(reader, job, &record) : ST_OK;
}

static void run_guarded(void *context)
{
    const struct run *const run = context;
    switch (run->job->kind) {
    case COLD_JOB_VALUE:
    case COLD_JOB_HEADER: run->job->status = read_record(run->reader, run->job); return;
    case COLD_JOB_RANGE: run->job->status = cold_walk_range(run->reader, run->job); return;
    case COLD_JOB_DUE: run->job->status = cold_walk_due(run->reader, run->job); return;
    }
    UNREACHABLE("job kind");
}

static void count(struct cold *cold, const struct cold_job *job)
{
    if (job->kind != COLD_JOB_VALUE && job->kind != COLD_JOB_HEADER)
        return;
    if (job->status == ST_NOT_FOUND)
        metric_add(&cold->metrics, absent_count, 1);
    if (job->status != ST_OK)
        return;
    if (job->priority == COLD_PREFETCH)
        metric_add(&cold->metrics, prefetch_read_count, 1);
    else
        metric_add(&cold->metrics, read_count, 1);
    if (job->kind == COLD_JOB_VALUE)
        metric_add(&cold->metrics, read_bytes, job->header.value_size);
}

void cold_job_run(struct cold_reader *reader, struct cold_job *job)
{
    struct cold *const cold = reader->cold;
    struct run run = {.reader = reader, .job = job};
    const enum cold_guard_result result = cold_guard_run(COLD_GUARD_READ, run_guarded, &run);
    cold_reader_drop(reader);
    if (result != COLD_GUARD_OK)
        job->status = cold_guard_status(cold, result, NULL, "cannot read");
    if (result != COLD_GUARD_OK || job->status == ST_CORRUPT)
        cold_report_damage(cold, result == COLD_GUARD_BUS ? "page" : "record");
    if (job->status != ST_OK) {
        cold_job_deinit(job);
    }
    count(cold, job);
}

void cold_job_deinit(struct cold_job *job)
{
    value_release(&job->value);
    job->value = (struct value){0};
    buf_deinit(&job->payload);
    mem_free(job->entries);
    job->entries = NULL;
    job->entry_count = 0;
    buf_deinit(&job->keys);
    job->range_end = false;
}

void cold_read_now(struct cold *cold, struct cold_job *job)
{
    CHECK_MAY_BLOCK();
    struct cold_reader *const reader = cold_reader_borrow(cold);
    const enum status status = cold_reader_begin(reader, NULL);
    if (status == ST_OK) {
        cold_job_run(reader, job);
        cold_reader_end(reader);
    } else {
        job->status = status;
    }
    cold_reader_return(reader);
}

/* --- many headers ------------------------------------------------------------------------------------ */

/* Keys of one snapshot. */
enum { HEADERS_MAX = 4096 };
/* Bytes of keys are fetched so many keys ahead. */
enum { READ_AHEAD = 8 };

struct headers {
    struct cold_reader *reader;
    const struct key *keys;
    size_t count;
    enum status status; /* of the whole */
    enum status statuses[HEADERS_MAX];
    struct cold_header headers[HEADERS_MAX];
};

static void read_headers_guarded(void *context)
{
    struct headers *const run = context;
    struct cold_reader *const reader = run->reader;
    const int code = cold_cursor_open(reader->txn, reader->cold->records, &reader->cursor);
    if (code != MDB_SUCCESS) {
        run->status = read_failure(reader, code);
        return;
    }
    for (size_t index = 0; index < run->count; index++) {
        if (index + READ_AHEAD < run->count)
            prefetch_read(run->keys[index + READ_AHEAD].data);
        struct cold_record record = {0};
        run->statuses[index] = find(reader, &run->keys[index], &record);
        run->headers[index] = record.header;
    }
}

static enum status read_headers(struct headers *run, struct error *error)
{
    run->status = cold_reader_begin(run->reader, error);
    if (run->status != ST_OK)
        return run->status;
    const enum cold_guard_result result =
        cold_guard_run(COLD_GUARD_READ, read_headers_guarded, run);
    cold_reader_drop(run->reader);
    cold_reader_end(run->reader);
    if (result != COLD_GUARD_OK) {
        cold_report_damage(run->reader->cold, "page");
        return cold_guard_status(run->reader->cold, result, error, "cannot read");
    }
    if (run->status != ST_OK)
        return error_set(
            error, run->status, 0, "cold tier %s: cannot read", run->reader->cold->directory);
    return ST_OK;
}

/* Tells what was found; a key that could not be looked up ends it. */
static enum status tell_headers(const struct headers *run, cold_header_fn found, void *context)
{
    for (size_t index = 0; index < run->count; index++) {
        const enum status status = run->statuses[index];
        if (status == ST_OK) {
            found(context, &run->keys[index], &run->headers[index]);
        } else if (status == ST_CORRUPT) {
            cold_report_damage(run->reader->cold, "record");
            found(context, &run->keys[index], NULL);
        } else if (status != ST_NOT_FOUND) {
            return status;
        }
    }
    return ST_OK;
}

enum status cold_read_headers(struct cold *cold, const struct key *keys, size_t count,
    cold_header_fn found, void *context, struct error *error)
{
    CHECK_MAY_BLOCK();
    struct headers *const run = mem_alloc(sizeof(*run));
    run->reader = cold_reader_borrow(cold);
    enum status status = ST_OK;
    for (size_t done = 0; status == ST_OK && done < count; done += run->count) {
        run->keys = keys + done;
        run->count = count - done < HEADERS_MAX ? count - done : HEADERS_MAX;
        status = read_headers(run, error);
        if (status == ST_OK) {
            status = tell_headers(run, found, context);
            if (status != ST_OK)
                error_set(error, status, 0, "cold tier %s: cannot read", cold->directory);
        }
    }
    cold_reader_return(run->reader);
    mem_free(run);
    return status == ST_OK || status == ST_NO_MEMORY ? status : ST_IO;
}
