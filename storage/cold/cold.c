/*
 * cold.c: the cold tier as a whole: opening, closing, figures, the ballast file.
 *
 *    any thread                     checkpointer                          this module's own threads
 *   ─────────────                  ──────────────                        ───────────────────────────
 *   may_contain ──► filter ◄────── put, delete ◄──────────── fill (walks k once after a start)
 *   submit ───────► queues ──────────────────────────────────► I/O threads ──► snapshot ──► done()
 *                                  begin ─► put ─► commit ──► LMDB ◄───────────┘
 *                                  stage, reclaim ──────────►
 *
 * Files: data.mdb and lock.mdb (LMDB's), cold.lock (one process per directory), ballast (released when the disk is full).
 *
 * (1) Only the checkpointer writes, one transaction at a time; what it commits is what readers see, whole.
 * (2) Every record carries sums; damage is an answer for that key, never a crash (cold_record.c, cold_guard.c).
 * (3) Nothing takes more than one page in a row (cold_chunk.c).
 * (4) A reader's snapshot lives as long as one batch of jobs (cold_pool.c).
 *
 * Locks: the pool's and the readers' (LOCK_RANK_COLD), the filter's (LOCK_RANK_FILTER). None is held while the map is touched.
 */
#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cold_internal.h"

#include <sys/stat.h>

/* --- generations ------------------------------------------------------------------------------------ */

/* Above every generation that the database mentions: those in use, and those that wait to be reclaimed. */
struct last_generation {
    struct cold *cold;
    struct cold_reader *reader;
    uint64_t generation;
    int code;
};

static void find_last_generation(void *context)
{
    struct last_generation *const last = context;
    struct cold_reader *const reader = last->reader;
    MDB_val key;
    MDB_val value;
    last->code = cold_cursor_open(reader->txn, last->cold->chunks, &reader->cursor);
    if (last->code != MDB_SUCCESS)
        return;
    last->code = mdb_cursor_get(reader->cursor, &key, &value, MDB_LAST);
    if (last->code == MDB_SUCCESS && key.mv_size == sizeof(struct cold_chunk_key))
        last->generation = cold_get_be64(key.mv_data);
    if (last->code != MDB_SUCCESS && last->code != MDB_NOTFOUND)
        return;
    mdb_cursor_close(reader->cursor);
    reader->cursor = NULL;
    last->code = cold_cursor_open(reader->txn, last->cold->dead, &reader->cursor);
    if (last->code != MDB_SUCCESS)
        return;
    last->code = mdb_cursor_get(reader->cursor, &key, &value, MDB_FIRST);
    while (last->code == MDB_SUCCESS) {
        const uint8_t *const bytes = key.mv_data;
        if (key.mv_size == 9 && bytes[0] == COLD_DEAD_GENERATION &&
            cold_get_be64(bytes + 1) > last->generation)
            last->generation = cold_get_be64(bytes + 1);
        last->code = mdb_cursor_get(reader->cursor, &key, &value, MDB_NEXT);
    }
    if (last->code == MDB_NOTFOUND)
        last->code = MDB_SUCCESS;
}

static enum status load_generation(struct cold *cold, struct error *error)
{
    struct last_generation last = {.cold = cold, .reader = cold_reader_borrow(cold)};
    enum status status = cold_reader_begin(last.reader, error);
    if (status == ST_OK) {
        const enum cold_guard_result result =
            cold_guard_run(COLD_GUARD_READ, find_last_generation, &last);
        if (result != COLD_GUARD_OK)
            status = cold_guard_status(cold, result, error, "cannot open");
        else if (last.code != MDB_SUCCESS)
            status = cold_env_status(cold, last.code, error, "cannot open");
        cold_reader_drop(last.reader);
        cold_reader_end(last.reader);
    }
    cold_reader_return(last.reader);
    cold->next_generation = last.generation + 1;
    return status;
}

/* --- ballast ------------------------------------------------------------------------------------------ */

static enum status make_ballast(struct cold *cold, struct error *error)
{
    const uint64_t size = (uint64_t)OPTION_GET(cold->options, reserve);
    if (size == 0)
        return ST_OK;
    struct file *file = NULL;
    enum status status = file_open(cold->ballast_path, FILE_MODE_CREATE, &file, error);
    if (status != ST_OK)
        return status;
    uint64_t have = 0;
    status = file_size(file, &have, error);
    if (status == ST_OK && have != size) {
        status = file_truncate(file, 0, error);
        if (status == ST_OK)
            status = file_fill_zero(file, 0, size, error);
        if (status == ST_OK)
            status = file_sync(file, error);
    }
    file_close(file);
    if (status != ST_OK)
        (void)!file_unlink(cold->ballast_path, NULL);
    return status;
}

bool cold_ballast_release(struct cold *cold)
{
    struct error error;
    const enum status status = file_unlink(cold->ballast_path, &error);
    if (status == ST_NOT_FOUND)
        return false;
    if (status != ST_OK) {
        log_warn("cold: ballast cannot be released error=%s", error.message);
        return false;
    }
    log_warn("cold: ballast released directory=%s", cold->directory);
    return true;
}

/* Only with room to spare: it must not be what fills the disk. */
void cold_ballast_restore(struct cold *cold)
{
    const uint64_t size = (uint64_t)OPTION_GET(cold->options, reserve);
    if (size == 0 || file_exists(cold->ballast_path))
        return;
    uint64_t free_bytes = 0;
    uint64_t total_bytes = 0;
    if (file_system_space(cold->directory, &free_bytes, &total_bytes, NULL) != ST_OK ||
        free_bytes / 2 < size)
        return;
    struct error error;
    if (make_ballast(cold, &error) == ST_OK)
        log_info("cold: ballast restored bytes=%llu", (unsigned long long)size);
    else
        log_warn("cold: ballast cannot be restored error=%s", error.message);
}

/* --- opening and closing --------------------------------------------------------------------------------- */

static char *path_of(const char *directory, const char *name)
{
    struct buf path = {0};
    buf_append_text(&path, directory);
    buf_append_text(&path, "/");
    buf_append_text(&path, name);
    buf_append_byte(&path, '\0');
    return path.data; /* ownership moves: a buf's memory is from mem_alloc() */
}

static enum status lock_directory(struct cold *cold, const char *directory, struct error *error)
{
    char *const path = path_of(directory, "cold.lock");
    enum status status = file_open(path, FILE_MODE_CREATE, &cold->lock_file, error);
    if (status == ST_OK)
        status = file_lock(cold->lock_file, error);
    mem_free(path);
    return status;
}

static enum status open_files(struct cold *cold, struct error *error)
{
    enum status status = file_make_directory(cold->directory, error);
    if (status == ST_OK)
        status = lock_directory(cold, cold->directory, error);
    if (status == ST_OK)
        status = cold_env_open(cold, error);
    if (status == ST_OK)
        status = load_generation(cold, error);
    if (status != ST_OK)
        return status;
    /* A full disk must not keep the server from starting: deletes will make room. */
    struct error ballast_error;
    if (make_ballast(cold, &ballast_error) != ST_OK)
        log_warn("cold: no ballast error=%s", ballast_error.message);
    return file_sync_directory(cold->directory, error);
}

static enum status count_records(struct cold *cold, uint64_t *record_count, struct error *error)
{
    struct cold_reader *const reader = cold_reader_borrow(cold);
    enum status status = cold_reader_begin(reader, error);
    if (status == ST_OK)
        status = cold_env_count(cold, reader->txn, record_count, error);
    cold_reader_end(reader);
    cold_reader_return(reader);
    return status;
}

static void free_parts(struct cold *cold)
{
    while (cold->readers != NULL) {
        struct cold_reader *const reader = cold->readers;
        cold->readers = reader->next;
        cold_reader_destroy(reader);
    }
    while (cold->context_count > 0)
        (void)ZSTD_freeDCtx(cold->contexts[--cold->context_count]);
    cold_env_close(cold);
    file_close(cold->lock_file);
    cold_compressor_deinit(&cold->compressor);
    mutex_deinit(&cold->readers_lock);
    condition_deinit(&cold->readers_idle);
    mutex_deinit(&cold->pool.lock);
    condition_deinit(&cold->pool.work);
    condition_deinit(&cold->pool.touch_end);
    mem_free(cold->staged);
    mem_free(cold->ballast_path);
    mem_free(cold->data_path);
    mem_free(cold->directory);
    mem_free(cold);
}

enum status cold_open(const char *directory, const struct cold_options *options,
    struct cold **cold_out, struct error *error)
{
    CHECK_MAY_BLOCK();
    cold_guard_setup();
    struct cold *const cold = mem_alloc_zero(sizeof(*cold));
    cold->options = options;
    cold->directory = mem_string(directory);
    cold->data_path = path_of(directory, "data.mdb");
    cold->ballast_path = path_of(directory, "ballast");
    mutex_init(&cold->readers_lock, LOCK_RANK_COLD);
    condition_init(&cold->readers_idle);
    mutex_init(&cold->pool.lock, LOCK_RANK_COLD);
    condition_init(&cold->pool.work);
    condition_init(&cold->pool.touch_end);
    cold_compressor_init(&cold->compressor);
    uint64_t record_count = 0;
    enum status status = open_files(cold, error);
    if (status == ST_OK)
        status = count_records(cold, &record_count, error);
    if (status != ST_OK) {
        free_parts(cold);
        return status;
    }
    metric_set(&cold->metrics, record_count, record_count);
    cold_env_measure(cold);
    cold_filter_init(&cold->filter, record_count);
    cold_pool_start(cold, (size_t)OPTION_GET(options, io_threads));
    cold_fill_start(cold, record_count);
    log_info("cold: open directory=%s records=%llu", directory, (unsigned long long)record_count);
    *cold_out = cold;
    return ST_OK;
}

void cold_close(struct cold *cold)
{
    if (cold == NULL)
        return;
    CHECK(!cold->writing);
    cold_fill_stop(cold);
    cold_pool_stop(cold);
    cold_filter_deinit(&cold->filter);
    free_parts(cold);
}

enum status cold_trim(struct cold *cold)
{
    CHECK_MAY_BLOCK();
    CHECK(!cold->writing);
    return cold_env_reopen(cold);
}

/* --- figures ------------------------------------------------------------------------------------------------ */

uint64_t cold_used_bytes(struct cold *cold)
{
    CHECK_MAY_BLOCK();
    if (atomic_load_explicit(&cold->unmeasured, memory_order_relaxed))
        cold_env_measure(cold);
    return atomic_load_explicit(&cold->used_bytes, memory_order_relaxed);
}

/* Any thread: not through the environment, which may be reopening. */
static uint64_t file_bytes(const struct cold *cold)
{
    struct stat file;
    return stat(cold->data_path, &file) == 0 ? (uint64_t)file.st_size : 0;
}

#define COPY_METRIC(field, kind, help) \
    metric_set(metrics, field, metric_get(&cold->metrics, field));

void cold_metrics_read(struct cold *cold, struct cold_metrics *metrics)
{
    COLD_METRICS(COPY_METRIC)
    metric_set(metrics, filter_bytes, cold_filter_bytes(&cold->filter));
    metric_set(metrics, filter_ready,
        atomic_load_explicit(&cold->filter.ready, memory_order_acquire) ? 1 : 0);
    metric_set(metrics, file_bytes, file_bytes(cold));
}

/* --- the decoder alone ----------------------------------------------------------------------------------------- */

enum status cold_record_decode(struct slice bytes, const struct key *key,
    struct cold_header *header, struct buf *payload, uint64_t *generation, uint32_t *chunk_count)
{
    struct cold_record record;
    enum status status = cold_record_parse(bytes, &record);
    if (status != ST_OK)
        return status;
    const bool is_long = (record.flags & COLD_RECORD_LONG_KEY) != 0;
    const bool has_key = is_long && (record.flags & COLD_RECORD_KEY_CHUNKED) == 0;
    if (is_long != cold_key_is_long(key))
        return ST_CORRUPT;
    if (!cold_record_header_valid(&record, has_key ? record.key : key_slice(key), key->space))
        return ST_CORRUPT;
    if (has_key && !slice_equal(record.key, key_slice(key)))
        return ST_NOT_FOUND;
    *header = record.header;
    *generation = record.generation;
    *chunk_count = cold_record_chunk_count(&record);
    if ((record.flags & COLD_RECORD_CHUNKED) != 0)
        return ST_OK;
    const size_t size = (size_t)record.header.value_size;
    char *const out = mem_try_alloc(size == 0 ? 1 : size);
    if (out == NULL)
        return ST_NO_MEMORY;
    ZSTD_DCtx *const dctx =
        (record.flags & COLD_RECORD_COMPRESSED) != 0 ? cold_dctx_create() : NULL;
    status = cold_record_payload(&record, dctx, out);
    if (status == ST_OK)
        buf_append(payload, out, size);
    (void)ZSTD_freeDCtx(dctx);
    mem_free(out);
    return status;
}
