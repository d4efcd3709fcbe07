/*
 * cold.h: the disk tier: every record, in LMDB, compressed by zstd. The only module that sees either library.
 *
 * One environment in <directory>: sync mode, NOTLS, NORDAHEAD; never WRITEMAP, NOSYNC, DUPSORT; never resized.
 * Tables (LMDB databases):
 *
 *   k  space (u32 BE) ‖ key bytes            → record
 *   c  generation (u64 BE) ‖ number (u32 BE) → chunk of a large value, at most 4 080 B
 *   x  expire minute (u32 BE) ‖ k's key      → ""
 *   d  dictionary id                         → dictionary (reserved)
 *   m  name                                  → bytes: X, store id, name spaces, counts, hot list
 *   g  dead space, or generation without header → ""
 *
 * Keys too long for LMDB (over 500 bytes with the space) are stored as prefix ‖ SipHash-128 with the store's secret; the record then
 * carries the full key, which is compared (H17). Among themselves those that share their first 481 bytes are in no order of the
 * keys. The record's bytes are specified in storage/cold/cold_record.c.
 * Nothing allocates more than one LMDB page: records up to 4 080 B are inline, larger values are chunked.
 *
 * Threads: cold_submit() and the filter from any; write transactions from the checkpointer only; the I/O threads are this module's own.
 */
#ifndef STORAGE_COLD_H
#define STORAGE_COLD_H

#include "base/key.h"
#include "base/metric.h"
#include "base/option.h"
#include "base/slice.h"
#include "base/status.h"
#include "base/thread.h"
#include "storage/value.h"

#include <stdbool.h>
#include <stdint.h>

/*        name              field            kind          default   min   max    flags           help */
#define COLD_OPTIONS(X)                                                              \
    X("cold-io-threads", io_threads, OPTION_INT, 16, 1, 128, OPTION_STARTUP,         \
        "threads that read the cold tier")                                           \
    X("cold-compression", compression, OPTION_BOOL, 1, 0, 1, OPTION_RUNTIME,         \
        "compress records in the cold tier with zstd")                               \
    X("cold-max-size", max_size, OPTION_BYTES, 0, 0, INT64_MAX, OPTION_RUNTIME,      \
        "bytes the cold tier may use on disk; 0 is no limit")                        \
    X("cold-reserve", reserve, OPTION_BYTES, 16 * MiB, 0, INT64_MAX, OPTION_STARTUP, \
        "size of the ballast file released when the disk is full, so that a checkpoint still fits")

struct cold_options {
    COLD_OPTIONS(OPTION_FIELD)
};

/*        field                    kind            help */
#define COLD_METRICS(X)                                                                    \
    X(read_count, METRIC_COUNTER, "records read from the cold tier on demand")             \
    X(prefetch_read_count, METRIC_COUNTER, "records read ahead of a prediction")           \
    X(absent_count, METRIC_COUNTER, "reads that found nothing (filter false positives)")   \
    X(read_bytes, METRIC_COUNTER, "value bytes read, uncompressed")                        \
    X(read_us_total, METRIC_COUNTER, "time from submission to completion of demand reads") \
    X(read_us_max, METRIC_GAUGE, "longest demand read, microseconds")                      \
    X(corrupt_count, METRIC_COUNTER, "records that failed their checksum or structure")    \
    X(queue_depth, METRIC_GAUGE, "jobs waiting for an I/O thread")                         \
    X(written_count, METRIC_COUNTER, "records written by checkpoints")                     \
    X(deleted_count, METRIC_COUNTER, "records deleted by checkpoints")                     \
    X(raw_bytes, METRIC_COUNTER, "value bytes given to checkpoints")                       \
    X(stored_bytes, METRIC_COUNTER, "value bytes stored after compression")                \
    X(commit_count, METRIC_COUNTER, "transactions committed")                              \
    X(commit_error_count, METRIC_COUNTER, "transactions that failed")                      \
    X(filter_bytes, METRIC_GAUGE, "memory of the membership filter")                       \
    X(filter_ready, METRIC_GAUGE, "1 once the filter covers all cold keys")                \
    X(file_bytes, METRIC_GAUGE, "size of the database file")                               \
    X(free_bytes, METRIC_GAUGE, "bytes of it on the free list")                            \
    X(record_count, METRIC_GAUGE, "records in the cold tier")

struct cold_metrics {
    COLD_METRICS(METRIC_FIELD)
};

struct cold;

/*
 * Opens or creates the environment in directory (made if missing), creates the ballast file, fsyncs the
 * directory. ST_OK; ST_CORRUPT (not our database, unknown version, file cut short), ST_FULL, ST_IO, ST_BUSY (open elsewhere). Starts
 * the I/O threads and, in the background, fills the filter from the keys on disk. options: borrowed until cold_close().
 * Without room for the ballast it opens all the same. Installs a handler for SIGBUS, which passes on what is not ours.
 */
MUST_USE enum status cold_open(const char *directory, const struct cold_options *options,
    struct cold **cold, struct error *error);
/* No job may be outstanding. Takes NULL. */
void cold_close(struct cold *cold);
/*
 * Gives back the memory that LMDB keeps of the pages of past transactions (up to 512 MiB; it has no other way) by closing and opening its
 * environment; readers wait for some milliseconds. Checkpointer thread, no transaction open. ST_OK, ST_AGAIN (long readers: another time).
 */
MUST_USE enum status cold_trim(struct cold *cold);
void cold_metrics_read(struct cold *cold, struct cold_metrics *metrics);

/* --- membership filter ------------------------------------------------------------------------------ */

/*
 * False: the cold tier holds no record of the key, and none is in a transaction under way. True: it may (always
 * true until the filter is filled). Lock-free, any thread.
 */
bool cold_may_contain(const struct cold *cold, const struct key *key);
/* Blocks until the background fill is done (tests, tools). */
void cold_filter_wait(struct cold *cold);

/* --- reading ----------------------------------------------------------------------------------------- */

/* A record without its value. */
struct cold_header {
    enum value_type type;
    enum value_encoding encoding;
    uint64_t expire_ms; /* 0 = never */
    uint64_t wake_ms;   /* the first part of the value expires (a field of a hash); 0 = none does */
    uint64_t value_size; /* encoded, uncompressed */
};

enum cold_job_kind {
    COLD_JOB_VALUE,  /* header and value of one key */
    COLD_JOB_HEADER, /* header of one key */
    COLD_JOB_RANGE,  /* keys and headers of a space, in key order */
    COLD_JOB_DUE,    /* keys whose expiry minute has come */
};
enum cold_priority { COLD_DEMAND, COLD_PREFETCH, COLD_BACKGROUND };

/* One entry of a range: the key's bytes lie in the job's `keys`. */
struct cold_range_entry {
    size_t key_offset;
    uint32_t key_size;
    uint32_t space;
    struct cold_header header;
};

/*
 * A read, embedded in what the caller waits with. Fields above `status` are set by the caller and stay valid until
 * done is called; those below are results, owned by the caller afterwards (cold_job_deinit() frees them).
 */
struct cold_job {
    struct message message; /* private: queue */
    enum cold_job_kind kind;
    enum cold_priority priority;
    struct key
        key; /* VALUE, HEADER: bytes borrowed. RANGE: where to start, after it; size 0 = the first key */
    struct slice prefix;  /* RANGE: only keys that begin so (borrowed); empty = all */
    uint32_t space_limit; /* unused by VALUE, HEADER */
    size_t
        entry_max; /* RANGE, DUE: at most so many entries (taken as 2 if less); fewer if keys exceed 4 MiB */
    uint64_t due_ms; /* DUE: wall clock; entries with expire_ms or wake_ms <= due_ms */
    /* On an I/O thread; must not block. The job may be freed inside. */
    void (*done)(struct cold_job *job);
    void *context;
    uint64_t submitted_us; /* private */

    enum status status; /* ST_OK, ST_NOT_FOUND (VALUE, HEADER), ST_CORRUPT, ST_IO, ST_NO_MEMORY */
    struct cold_header header;
    struct value value; /* VALUE: owned; short bytes lie in `payload` */
    struct buf payload;
    struct cold_range_entry *entries; /* RANGE, DUE */
    size_t entry_count;
    struct buf keys;
    bool
        range_end; /* RANGE: nothing follows. DUE: nothing more is due now (damaged records and dead spaces are passed over) */
};

/*
 * Queues count jobs (an array of pointers); demand before prefetch before background. Each I/O thread takes up to 32 jobs, sorts them by
 * key, renews its reader transaction after dequeuing (H5), reads, and calls done. Never blocks. Any thread.
 */
void cold_submit(struct cold *cold, struct cold_job *const *jobs, size_t count);
/* Runs the job on the calling thread, without done (recovery, tools). May block. */
void cold_read_now(struct cold *cold, struct cold_job *job);
/*
 * Headers of many keys on the calling thread (recovery): they are sorted, in the order of k. found() is called for those that the tier holds,
 * with NULL if the record is damaged. May block. ST_OK, ST_IO.
 */
typedef void (*cold_header_fn)(
    void *context, const struct key *key, const struct cold_header *header);
MUST_USE enum status cold_read_headers(struct cold *cold, const struct key *keys, size_t count,
    cold_header_fn found, void *context, struct error *error);
/* Frees results; the job can be used again. Results of a job that failed are freed already. */
void cold_job_deinit(struct cold_job *job);

/* --- writing: checkpointer thread only ------------------------------------------------------------------ */

struct cold_txn;

/*
 * Reads the pages of these keys (sorted) into the page cache with all I/O threads, so that the transaction's
 * serial faults don't dominate. Waits until done. Best effort.
 */
void cold_pretouch(struct cold *cold, const struct key *keys, size_t count);

/*
 * Writes the chunks of a value larger than COLD_STAGE_SIZE_MIN in transactions of their own of at most 16 MiB, under a new generation
 * registered as orphan in `g` (H14). *generation is for cold_put(). Before cold_txn_begin(). ST_FULL, ST_IO.
 */
#define COLD_STAGE_SIZE_MIN ((size_t)8 * 1024 * 1024)
MUST_USE enum status cold_stage(
    struct cold *cold, struct slice payload, uint64_t *generation, struct error *error);

MUST_USE enum status cold_txn_begin(struct cold *cold, struct cold_txn **txn, struct error *error);
/*
 * Puts a record: header.value_size is set from the payload. generation: of cold_stage(), else 0. Replaces what was there (its chunks and
 * expiry entry included). The key enters the filter now. ST_OK, ST_FULL, ST_IO, ST_CORRUPT; after a failure of any
 * operation the transaction can only end: all others and the commit return it too.
 */
MUST_USE enum status cold_put(struct cold_txn *txn, const struct key *key,
    const struct cold_header *header, struct slice payload, uint64_t generation,
    struct error *error);
/* Ahead of some puts of keys that the tier does not hold yet: fetches what each will need into the caches. */
void cold_put_ahead(const struct cold *cold, const struct key *key);
/* ST_OK or ST_NOT_FOUND; ST_FULL, ST_IO. The key leaves the filter after the commit. */
MUST_USE enum status cold_delete(struct cold_txn *txn, const struct key *key, struct error *error);
/* Marks a space dead: its records are reclaimed later. */
MUST_USE enum status cold_space_kill(struct cold_txn *txn, uint32_t space, struct error *error);
MUST_USE enum status cold_meta_put(
    struct cold_txn *txn, const char *name, struct slice value, struct error *error);
/*
 * Ends the txn whatever it returns. Durable on ST_OK. Filter deletions are applied then. Otherwise the old state is
 * there and the tier usable: ST_FULL, ST_IO, ST_CORRUPT. (Only a failed write of LMDB's meta page is for good: then all reads and
 * writes are ST_IO until a restart.) Staged chunks that were not put are orphans afterwards: stage again.
 */
MUST_USE enum status cold_txn_commit(struct cold_txn *txn, struct error *error);
/* Takes NULL. */
void cold_txn_abort(struct cold_txn *txn);

/* ST_OK (appended to *value), ST_NOT_FOUND, ST_CORRUPT, ST_IO. Names up to 100 bytes. Values up to 16 MiB (stored in page-sized pieces). Any thread that may block. */
MUST_USE enum status cold_meta_get(
    struct cold *cold, const char *name, struct buf *value, struct error *error);

/*
 * Deletes up to record_max records of dead spaces, orphan generations and their index entries, in a transaction of its
 * own. ST_OK: more remains; ST_END: nothing left to reclaim. Orphans are only those not staged for the next transaction. Checkpointer thread.
 */
MUST_USE enum status cold_reclaim(struct cold *cold, size_t record_max, struct error *error);

/* Disk full: releases the ballast file (true if there was one) so that a checkpoint can commit; later tries to make it again. */
bool cold_ballast_release(struct cold *cold);
void cold_ballast_restore(struct cold *cold);
/* Live size of the tier: pages in use, as of the last commit. May block. */
uint64_t cold_used_bytes(struct cold *cold);

/*
 * The decoder of a stored record, for the fuzz target: as cold_read_now() sees bytes of a leaf. key: the full key expected. ST_OK
 * (value appended to *payload, unless it is in chunk_count chunks of *generation), ST_CORRUPT, ST_NOT_FOUND (another long key's), ST_NO_MEMORY.
 */
MUST_USE enum status cold_record_decode(struct slice record, const struct key *key,
    struct cold_header *header, struct buf *payload, uint64_t *generation, uint32_t *chunk_count);

#endif
