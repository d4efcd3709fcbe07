/*
 * cold_env.c: the LMDB environment: opening, errors, commits with the faults of tests, readers.
 *
 * Sync mode, NOTLS (reader slots belong to transactions, not threads), NORDAHEAD (a fault reads 8 MiB otherwise: 73 reads per second
 * instead of 62 000). The map is reserved once, as large as it will ever be: resizing under readers is not possible.
 *
 * Failures: a failed commit leaves the old state and a usable environment (LMDB's pages are copy-on-write); only a failed write
 * of the meta page makes the environment refuse everything (MDB_PANIC): ST_IO for ever, until a restart. LMDB says EIO
 * when a full disk cuts a write short, so the free space decides whether that is ST_FULL.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "cold_internal.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>

#define READERS_MAX 256
/* Snapshots live about a millisecond; a walk of many records longer: then another time. */
#define READERS_WAIT_MS  ((uint64_t)20)
#define REOPEN_TRIES_MAX 20
#define REOPEN_PAUSE_MS  100
#define TABLES_MAX       16
#define FILE_MODE        0600
/* A short write with less than this left is a full disk. LMDB writes at most 64 pages at once. */
#define NEARLY_FULL_BYTES (2 * MiB)
#define FREE_TABLE        0 /* LMDB's own table of free pages */

#ifdef KELVIN_DEBUG
#    define MAP_SIZE_MAX (16 * GiB) /* sanitizers need address space too */
#else
#    define MAP_SIZE_MAX TiB
#endif

static const char format_name[] = "cold.format";
static const char secret_name[] = "cold.secret";

static _Atomic uint64_t fault_nth; /* relaxed: tests only */
static _Atomic int fault_errno;    /* relaxed */

void cold_fault_commit(uint64_t nth, int os_errno)
{
    atomic_store_explicit(&fault_errno, os_errno, memory_order_relaxed);
    atomic_store_explicit(&fault_nth, nth, memory_order_relaxed);
}

/* --- errors ------------------------------------------------------------------------------------ */

static bool disk_is_full(const struct cold *cold)
{
    uint64_t free_bytes;
    uint64_t total_bytes;
    return file_system_space(cold->directory, &free_bytes, &total_bytes, NULL) == ST_OK &&
           free_bytes < NEARLY_FULL_BYTES;
}

static enum status status_of(const struct cold *cold, int code)
{
    switch (code) {
    case ENOSPC:
    case EDQUOT:
    case MDB_MAP_FULL:
    case MDB_TXN_FULL: return ST_FULL;
    case EIO: return disk_is_full(cold) ? ST_FULL : ST_IO;
    case ENOMEM: return ST_NO_MEMORY;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_VERSION_MISMATCH:
    case MDB_INVALID:
    case MDB_INCOMPATIBLE: return ST_CORRUPT;
    default: return ST_IO;
    }
}

enum status cold_env_status(struct cold *cold, int code, struct error *error, const char *what)
{
    CHECK(code != MDB_SUCCESS);
    const enum status status = status_of(cold, code);
    if (code > 0)
        return error_set(error, status, status == ST_FULL && code == EIO ? ENOSPC : code,
            "cold tier %s: %s", cold->directory, what);
    return error_set(
        error, status, 0, "cold tier %s: %s: %s", cold->directory, what, mdb_strerror(code));
}

enum status cold_guard_status(
    struct cold *cold, enum cold_guard_result result, struct error *error, const char *what)
{
    switch (result) {
    case COLD_GUARD_OK: return ST_OK;
    case COLD_GUARD_BUS:
        return error_set(
            error, ST_IO, 0, "cold tier %s: %s: a page cannot be read", cold->directory, what);
    case COLD_GUARD_ASSERT:
        return error_set(error, ST_CORRUPT, 0, "cold tier %s: %s: the database is damaged",
            cold->directory, what);
    }
    UNREACHABLE("guard result");
}

void cold_report_damage(struct cold *cold, const char *what)
{
    metric_add(&cold->metrics, corrupt_count, 1);
    if (log_every(&cold->damage_log_ms, 1000))
        log_error("cold: damaged what=%s directory=%s", what, cold->directory);
}

/* --- opening ----------------------------------------------------------------------------------- */

static size_t map_size(const struct cold *cold)
{
    uint64_t free_bytes = 0;
    uint64_t total_bytes = 0;
    if (file_system_space(cold->directory, &free_bytes, &total_bytes, NULL) != ST_OK ||
        total_bytes >= MAP_SIZE_MAX / 4)
        return MAP_SIZE_MAX;
    const uint64_t wanted = total_bytes * 4 / MiB * MiB;
    return wanted < 64 * MiB ? 64 * MiB : wanted;
}

/* The file must have all the pages that its meta page speaks of; else each of them is a SIGBUS in waiting (H20). */
static enum status check_file_size(struct cold *cold, struct error *error)
{
    MDB_envinfo info;
    MDB_stat stat_;
    struct stat file;
    int fd = -1;
    CHECK(mdb_env_info(cold->env, &info) == MDB_SUCCESS);
    CHECK(mdb_env_stat(cold->env, &stat_) == MDB_SUCCESS);
    CHECK(mdb_env_get_fd(cold->env, &fd) == MDB_SUCCESS);
    cold->page_size = stat_.ms_psize;
    if (fstat(fd, &file) != 0)
        return error_set(error, ST_IO, errno, "%s", cold->data_path);
    const uint64_t needed = (info.me_last_pgno + 1) * (uint64_t)stat_.ms_psize;
    if (stat_.ms_entries > 0 && (uint64_t)file.st_size < needed)
        return error_set(error, ST_CORRUPT, 0, "%s is cut short: %llu of %llu bytes",
            cold->data_path, (unsigned long long)file.st_size, (unsigned long long)needed);
    return ST_OK;
}

static int open_tables(struct cold *cold, MDB_txn *txn, unsigned flags)
{
    const struct {
        const char *name;
        MDB_dbi *table;
    } tables[] = {
        {"k", &cold->records},
        {"c", &cold->chunks},
        {"x", &cold->expiry},
        {"d", &cold->dictionaries},
        {"m", &cold->meta},
        {"g", &cold->dead},
    };
    int code = MDB_SUCCESS;
    for (size_t index = 0; index < COUNT_OF(tables) && code == MDB_SUCCESS; index++)
        code = mdb_dbi_open(txn, tables[index].name, flags, tables[index].table);
    return code;
}

static enum status create_format(struct cold *cold, MDB_txn *txn, struct error *error)
{
    uint8_t version[4];
    cold_put_be32(version, COLD_FORMAT_VERSION);
    random_secret(cold->secret, sizeof(cold->secret));
    int code = cold_meta_write(cold, txn, format_name, slice_of(version, sizeof(version)));
    if (code == MDB_SUCCESS)
        code =
            cold_meta_write(cold, txn, secret_name, slice_of(cold->secret, sizeof(cold->secret)));
    return code == MDB_SUCCESS ? ST_OK : cold_env_status(cold, code, error, "cannot create");
}

static enum status check_format(struct cold *cold, MDB_txn *txn, struct error *error)
{
    struct buf value = {0};
    enum status status = cold_meta_read(cold, txn, format_name, &value, error);
    if (status == ST_OK && value.size != 4)
        status = ST_NOT_FOUND;
    if (status == ST_OK) {
        const uint32_t version = cold_get_be32((const uint8_t *)value.data);
        if (version != COLD_FORMAT_VERSION)
            status = error_set(error, ST_CORRUPT, 0, "%s has format %u, this program reads %u",
                cold->data_path, (unsigned)version, (unsigned)COLD_FORMAT_VERSION);
    }
    buf_clear(&value);
    if (status == ST_OK)
        status = cold_meta_read(cold, txn, secret_name, &value, error);
    if (status == ST_OK && value.size != sizeof(cold->secret))
        status = ST_NOT_FOUND;
    if (status == ST_OK)
        memcpy(cold->secret, value.data, sizeof(cold->secret));
    if (status == ST_NOT_FOUND)
        status = error_set(error, ST_CORRUPT, 0, "%s is not a cold tier", cold->data_path);
    buf_deinit(&value);
    return status;
}

/* All handles, and the format; makes a fresh database ours. */
static enum status open_database(struct cold *cold, MDB_txn *txn, struct error *error)
{
    MDB_stat stat_;
    enum status status = ST_OK;
    CHECK(mdb_env_stat(cold->env, &stat_) == MDB_SUCCESS);
    const bool fresh = stat_.ms_entries == 0;
    const int code = open_tables(cold, txn, fresh ? MDB_CREATE : 0);
    if (code == MDB_NOTFOUND)
        status = error_set(error, ST_CORRUPT, 0, "%s is not a cold tier", cold->data_path);
    else if (code != MDB_SUCCESS)
        status = cold_env_status(cold, code, error, "cannot open");
    else
        status = fresh ? create_format(cold, txn, error) : check_format(cold, txn, error);
    return status;
}

struct open_guard {
    struct cold *cold;
    MDB_txn *txn;
    struct error *error;
    enum status status;
};

static void open_guarded(void *context)
{
    struct open_guard *const guard = context;
    guard->status = open_database(guard->cold, guard->txn, guard->error);
}

/* In one transaction: handles stay open only after a commit. */
static enum status open_guardedly(struct cold *cold, struct error *error)
{
    struct open_guard guard = {.cold = cold, .error = error};
    enum status status = cold_env_begin(cold, &guard.txn, error);
    if (status != ST_OK)
        return status;
    const enum cold_guard_result result = cold_guard_run(COLD_GUARD_READ, open_guarded, &guard);
    status = result == COLD_GUARD_OK ? guard.status
                                     : cold_guard_status(cold, result, error, "cannot open");
    if (status != ST_OK) {
        mdb_txn_abort(guard.txn);
        return status;
    }
    return cold_env_commit(cold, guard.txn, error);
}

enum status cold_env_open(struct cold *cold, struct error *error)
{
    int code = mdb_env_create(&cold->env);
    if (code != MDB_SUCCESS)
        return cold_env_status(cold, code, error, "cannot open");
    CHECK(mdb_env_set_mapsize(cold->env, map_size(cold)) == MDB_SUCCESS);
    CHECK(mdb_env_set_maxreaders(cold->env, READERS_MAX) == MDB_SUCCESS);
    CHECK(mdb_env_set_maxdbs(cold->env, TABLES_MAX) == MDB_SUCCESS);
    code = mdb_env_open(cold->env, cold->directory, MDB_NOTLS | MDB_NORDAHEAD, FILE_MODE);
    if (code != MDB_SUCCESS)
        return cold_env_status(cold, code, error, "cannot open");
    CHECK(mdb_env_set_assert(cold->env, cold_guard_assert) == MDB_SUCCESS);
    int dead_readers;
    (void)mdb_reader_check(cold->env, &dead_readers);
    enum status status = check_file_size(cold, error);
    if (status != ST_OK)
        return status;
    status = open_guardedly(cold, error);
    if (status != ST_OK)
        return status;
    /* LMDB does not make its new files' names durable. */
    return file_sync_directory(cold->directory, error);
}

void cold_env_close(struct cold *cold)
{
    if (cold->env != NULL)
        mdb_env_close(cold->env);
    cold->env = NULL;
}

/* Waits until no reader is active and lets none become so; false: they took too long. */
static bool stop_readers(struct cold *cold)
{
    const uint64_t end_ms = clock_monotonic_ms() + READERS_WAIT_MS;
    mutex_lock(&cold->readers_lock);
    cold->reopening = true;
    uint64_t now_ms = clock_monotonic_ms();
    while (cold->reader_active_count > 0 && now_ms < end_ms) {
        (void)condition_wait_ms(&cold->readers_idle, &cold->readers_lock, end_ms - now_ms);
        now_ms = clock_monotonic_ms();
    }
    const bool stopped = cold->reader_active_count == 0;
    mutex_unlock(&cold->readers_lock);
    return stopped;
}

static void admit_readers(struct cold *cold)
{
    mutex_lock(&cold->readers_lock);
    cold->reopening = false;
    condition_broadcast(&cold->readers_idle);
    mutex_unlock(&cold->readers_lock);
}

static void abort_idle_readers(struct cold *cold)
{
    mutex_lock(&cold->readers_lock);
    for (struct cold_reader *reader = cold->all_readers; reader != NULL;
         reader = reader->all_next) {
        if (reader->txn != NULL)
            mdb_txn_abort(reader->txn);
        reader->txn = NULL;
    }
    mutex_unlock(&cold->readers_lock);
}

enum status cold_env_reopen(struct cold *cold)
{
    enum status status = ST_AGAIN;
    if (stop_readers(cold)) {
        abort_idle_readers(cold);
        cold_env_close(cold);
        const struct timespec pause = {.tv_nsec = REOPEN_PAUSE_MS * 1000000L};
        struct error error = {0};
        status = cold_env_open(cold, &error);
        for (int try = 1; status != ST_OK && try < REOPEN_TRIES_MAX; try++) {
            log_error("cold: cannot open again: %s", error.message);
            cold_env_close(cold);
            (void)nanosleep(&pause, NULL);
            status = cold_env_open(cold, &error);
        }
        /* Without its environment the tier is nothing; what is acknowledged is in the log. */
        CHECK(status == ST_OK);
    }
    admit_readers(cold);
    return status;
}

/* --- write transactions ------------------------------------------------------------------------- */

enum status cold_env_begin(struct cold *cold, MDB_txn **txn, struct error *error)
{
    const int code = mdb_txn_begin(cold->env, NULL, 0, txn);
    return code == MDB_SUCCESS ? ST_OK
                               : cold_env_status(cold, code, error, "cannot begin to write");
}

/* 0, or what this commit is to fail with. */
static int commit_fault(const struct cold *cold)
{
    const int os_errno = file_fault_hit(FILE_SYNC, cold->data_path);
    if (os_errno != 0)
        return os_errno;
    if (likely(atomic_load_explicit(&fault_nth, memory_order_relaxed) == 0))
        return 0;
    if (atomic_fetch_sub_explicit(&fault_nth, 1, memory_order_relaxed) > 1)
        return 0;
    return atomic_load_explicit(&fault_errno, memory_order_relaxed);
}

struct count {
    struct cold *cold;
    MDB_txn *txn;
    MDB_stat stat;
    int code;
};

/* LMDB may have to read the table's root first. */
static void count_guarded(void *context)
{
    struct count *const count = context;
    count->code = mdb_stat(count->txn, count->cold->records, &count->stat);
}

enum status cold_env_count(
    struct cold *cold, MDB_txn *txn, uint64_t *record_count, struct error *error)
{
    struct count count = {.cold = cold, .txn = txn};
    const enum cold_guard_result result = cold_guard_run(COLD_GUARD_WRITE, count_guarded, &count);
    if (result != COLD_GUARD_OK)
        return cold_guard_status(cold, result, error, "cannot count");
    if (count.code != MDB_SUCCESS)
        return cold_env_status(cold, count.code, error, "cannot count");
    *record_count = count.stat.ms_entries;
    return ST_OK;
}

/* Ends the transaction. */
static enum status commit(
    struct cold *cold, MDB_txn *txn, uint64_t *record_count, struct error *error)
{
    int code = commit_fault(cold);
    if (code == 0) {
        const enum status status = cold_env_count(cold, txn, record_count, error);
        if (status != ST_OK) {
            mdb_txn_abort(txn);
            return status;
        }
        code = mdb_txn_commit(txn);
    } else {
        mdb_txn_abort(txn);
    }
    return code == MDB_SUCCESS ? ST_OK : cold_env_status(cold, code, error, "cannot commit");
}

enum status cold_env_commit(struct cold *cold, MDB_txn *txn, struct error *error)
{
    uint64_t record_count = 0;
    const enum status status = commit(cold, txn, &record_count, error);
    if (status != ST_OK) {
        metric_add(&cold->metrics, commit_error_count, 1);
        return status;
    }
    metric_add(&cold->metrics, commit_count, 1);
    metric_set(&cold->metrics, record_count, record_count);
    atomic_store_explicit(&cold->unmeasured, true, memory_order_relaxed);
    return ST_OK;
}

/* --- space --------------------------------------------------------------------------------------- */

struct measure {
    struct cold_reader *reader;
    uint64_t free_pages;
    bool valid;
};

/* Each entry of the free table is a count and so many page numbers. */
static void count_free_pages(void *context)
{
    struct measure *const measure = context;
    struct cold_reader *const reader = measure->reader;
    if (cold_cursor_open(reader->txn, FREE_TABLE, &reader->cursor) != MDB_SUCCESS)
        return;
    MDB_val key;
    MDB_val value;
    int code = mdb_cursor_get(reader->cursor, &key, &value, MDB_FIRST);
    while (code == MDB_SUCCESS && value.mv_size >= sizeof(size_t)) {
        size_t count;
        memcpy(&count, value.mv_data, sizeof(count));
        measure->free_pages += count;
        code = mdb_cursor_get(reader->cursor, &key, &value, MDB_NEXT);
    }
    measure->valid = code == MDB_NOTFOUND;
}

void cold_env_measure(struct cold *cold)
{
    atomic_store_explicit(&cold->unmeasured, false, memory_order_relaxed);
    struct cold_reader *const reader = cold_reader_borrow(cold);
    struct measure measure = {.reader = reader};
    if (cold_reader_begin(reader, NULL) == ST_OK) {
        MDB_envinfo info;
        CHECK(mdb_env_info(cold->env, &info) == MDB_SUCCESS);
        if (cold_guard_run(COLD_GUARD_READ, count_free_pages, &measure) == COLD_GUARD_OK &&
            measure.valid) {
            const uint64_t pages = info.me_last_pgno + 1;
            const uint64_t used = pages > measure.free_pages ? pages - measure.free_pages : 0;
            atomic_store_explicit(&cold->used_bytes, used * cold->page_size, memory_order_relaxed);
            metric_set(&cold->metrics, free_bytes, measure.free_pages * cold->page_size);
        }
        cold_reader_drop(reader);
        cold_reader_end(reader);
    }
    cold_reader_return(reader);
    atomic_store_explicit(&cold->measured_ms, clock_monotonic_ms(), memory_order_relaxed);
}

/* --- readers -------------------------------------------------------------------------------------- */

int cold_cursor_open(MDB_txn *txn, MDB_dbi table, MDB_cursor **cursor)
{
    MDB_stat unused;
    const int code = mdb_stat(txn, table, &unused);
    return code == MDB_SUCCESS ? mdb_cursor_open(txn, table, cursor) : code;
}

struct cold_reader *cold_reader_create(struct cold *cold)
{
    struct cold_reader *const reader = mem_alloc_zero(sizeof(*reader));
    reader->cold = cold;
    reader->sum = hash_stream_create(0);
    mutex_lock(&cold->readers_lock);
    reader->all_next = cold->all_readers;
    cold->all_readers = reader;
    mutex_unlock(&cold->readers_lock);
    return reader;
}

void cold_reader_destroy(struct cold_reader *reader)
{
    if (reader == NULL)
        return;
    CHECK(!reader->active);
    struct cold *const cold = reader->cold;
    mutex_lock(&cold->readers_lock);
    struct cold_reader **place = &cold->all_readers;
    while (*place != reader)
        place = &(*place)->all_next;
    *place = reader->all_next;
    mutex_unlock(&cold->readers_lock);
    if (reader->txn != NULL)
        mdb_txn_abort(reader->txn);
    CHECK(reader->dctx == NULL);
    hash_stream_destroy(reader->sum);
    buf_deinit(&reader->key);
    mem_free(reader);
}

/* Active readers keep the environment open. */
static void become_active(struct cold *cold)
{
    mutex_lock(&cold->readers_lock);
    while (cold->reopening)
        condition_wait(&cold->readers_idle, &cold->readers_lock);
    cold->reader_active_count++;
    mutex_unlock(&cold->readers_lock);
}

static void become_idle(struct cold *cold)
{
    mutex_lock(&cold->readers_lock);
    if (--cold->reader_active_count == 0 && cold->reopening)
        condition_broadcast(&cold->readers_idle);
    mutex_unlock(&cold->readers_lock);
}

enum status cold_reader_begin(struct cold_reader *reader, struct error *error)
{
    CHECK(!reader->active);
    become_active(reader->cold);
    const int code = reader->txn == NULL
                         ? mdb_txn_begin(reader->cold->env, NULL, MDB_RDONLY, &reader->txn)
                         : mdb_txn_renew(reader->txn);
    if (code != MDB_SUCCESS) {
        become_idle(reader->cold);
        return cold_env_status(reader->cold, code, error, "cannot begin to read");
    }
    reader->active = true;
    return ST_OK;
}

void cold_reader_end(struct cold_reader *reader)
{
    if (!reader->active)
        return;
    mdb_txn_reset(reader->txn);
    reader->active = false;
    become_idle(reader->cold);
}

ZSTD_DCtx *cold_reader_context(struct cold_reader *reader)
{
    struct cold *const cold = reader->cold;
    if (reader->dctx != NULL)
        return reader->dctx;
    mutex_lock(&cold->readers_lock);
    if (cold->context_count > 0)
        reader->dctx = cold->contexts[--cold->context_count];
    mutex_unlock(&cold->readers_lock);
    if (reader->dctx == NULL)
        reader->dctx = cold_dctx_create();
    return reader->dctx;
}

static void return_context(struct cold_reader *reader)
{
    struct cold *const cold = reader->cold;
    if (reader->dctx == NULL)
        return;
    mutex_lock(&cold->readers_lock);
    if (cold->context_count < COLD_CONTEXTS_KEPT) {
        cold->contexts[cold->context_count++] = reader->dctx;
        reader->dctx = NULL;
    }
    mutex_unlock(&cold->readers_lock);
    (void)ZSTD_freeDCtx(reader->dctx);
    reader->dctx = NULL;
}

void cold_reader_drop(struct cold_reader *reader)
{
    return_context(reader);
    if (reader->cursor != NULL)
        mdb_cursor_close(reader->cursor);
    reader->cursor = NULL;
    blob_unref(reader->blob);
    reader->blob = NULL;
    if (reader->key.capacity > 64 * KiB)
        buf_deinit(&reader->key);
}

struct cold_reader *cold_reader_borrow(struct cold *cold)
{
    mutex_lock(&cold->readers_lock);
    struct cold_reader *reader = cold->readers;
    if (reader != NULL)
        cold->readers = reader->next;
    mutex_unlock(&cold->readers_lock);
    return reader != NULL ? reader : cold_reader_create(cold);
}

void cold_reader_return(struct cold_reader *reader)
{
    CHECK(!reader->active);
    struct cold *const cold = reader->cold;
    mutex_lock(&cold->readers_lock);
    reader->next = cold->readers;
    cold->readers = reader;
    mutex_unlock(&cold->readers_lock);
}
