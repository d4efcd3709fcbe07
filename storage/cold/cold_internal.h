/*
 * cold_internal.h: what the files of the cold tier share. Read cold.c first: it has the picture.
 */
#ifndef COLD_INTERNAL_H
#define COLD_INTERNAL_H

#include "base/thread.h"
#include "storage/cold.h"

#include <lmdb.h>
#include <zstd.h>

#include <signal.h>
#include <stdatomic.h>

#define COLD_FORMAT_VERSION ((uint32_t)1)

/* --- keys (cold_key.c) ------------------------------------------------------------------------- */

#define COLD_SPACE_SIZE  ((size_t)4)
#define COLD_SECRET_SIZE ((size_t)16)
/* Longest stored key that is the key itself, and the one size of those that stand for a longer key. */
#define COLD_KEY_SHORT_MAX   ((size_t)500)
#define COLD_KEY_LONG_SIZE   ((size_t)501)
#define COLD_KEY_LONG_PREFIX (COLD_KEY_LONG_SIZE - COLD_SPACE_SIZE - 16)
/* may_contain() does not hash keys longer than this: they may always be there. */
#define COLD_KEY_FILTER_MAX ((size_t)64 * 1024)

/* A key as it is stored in k. */
struct cold_key {
    size_t size;
    uint8_t bytes[COLD_KEY_LONG_SIZE];
};
/* A key as it is stored in x. */
struct cold_index_key {
    size_t size;
    uint8_t bytes[COLD_SPACE_SIZE + COLD_KEY_LONG_SIZE];
};

static inline bool cold_key_is_long(const struct key *key)
{
    return key->size > COLD_KEY_SHORT_MAX - COLD_SPACE_SIZE;
}
void cold_key_encode(
    const uint8_t secret[COLD_SECRET_SIZE], const struct key *key, struct cold_key *stored);
/* The first bytes that all stored keys of the space have which begin with `prefix`. */
void cold_key_encode_prefix(uint32_t space, struct slice prefix, struct cold_key *stored);
uint32_t cold_key_space(struct slice stored);
static inline bool cold_key_stored_long(struct slice stored)
{
    return stored.size == COLD_KEY_LONG_SIZE;
}
/* What identifies the key to the filter: key->hash if the key is short. */
uint64_t cold_key_filter_hash(struct slice stored);
void cold_index_key_encode(uint32_t minute, struct slice stored, struct cold_index_key *index);
/* The minute of an expiry, as the index has it; 0 = not in the index. */
uint32_t cold_expire_minute(uint64_t expire_ms);
/* When the record, or the first part of its value, is over; 0 = never. Its minute is where the expiry index has it. */
uint64_t cold_due_ms(const struct cold_header *header);

static inline void cold_put_be32(uint8_t *out, uint32_t number)
{
    out[0] = (uint8_t)(number >> 24);
    out[1] = (uint8_t)(number >> 16);
    out[2] = (uint8_t)(number >> 8);
    out[3] = (uint8_t)number;
}
static inline uint32_t cold_get_be32(const uint8_t *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}
static inline void cold_put_be64(uint8_t *out, uint64_t number)
{
    cold_put_be32(out, (uint32_t)(number >> 32));
    cold_put_be32(out + 4, (uint32_t)number);
}
static inline uint64_t cold_get_be64(const uint8_t *in)
{
    return (uint64_t)cold_get_be32(in) << 32 | cold_get_be32(in + 4);
}

static inline MDB_val cold_val(const void *data, size_t size)
{
    return (MDB_val){.mv_size = size, .mv_data = (void *)(uintptr_t)data};
}
static inline MDB_val cold_key_val(const struct cold_key *key)
{
    return cold_val(key->bytes, key->size);
}
static inline struct slice cold_key_slice(const struct cold_key *key)
{
    return slice_of(key->bytes, key->size);
}
static inline struct slice cold_val_slice(MDB_val value)
{
    return slice_of(value.mv_data, value.mv_size);
}

/* --- records (cold_record.c) --------------------------------------------------------------------- */

/* What fits one page as an overflow node of LMDB; the size of a chunk. */
#define COLD_PAGE_VALUE_MAX    ((size_t)4080)
#define COLD_RECORD_HEADER_MAX ((size_t)64)
/* A full key up to this size stays with its record; a longer one goes to chunks. */
#define COLD_KEY_INLINE_MAX ((size_t)3900)
/* Largest encoded value. */
#define COLD_PAYLOAD_SIZE_MAX (4 * GiB)
/* Chunks deleted at once when their record goes; more are left to cold_reclaim(). */
#define COLD_CHUNK_DELETE_MAX ((uint64_t)64)

enum cold_record_flag {
    COLD_RECORD_COMPRESSED = 1,
    COLD_RECORD_CHUNKED = 2,
    COLD_RECORD_LONG_KEY = 4,
    COLD_RECORD_KEY_CHUNKED = 8,
    COLD_RECORD_EXPIRES = 16,
    COLD_RECORD_WAKES = 32,
    COLD_RECORD_FLAGS_ALL = 63,
};

struct cold_record {
    struct cold_header header;
    unsigned flags;
    uint32_t header_sum;
    uint32_t payload_sum;
    uint64_t stored_size; /* bytes of the payload as stored, inline or in chunks */
    uint64_t generation;  /* CHUNKED */
    uint32_t key_size;    /* LONG_KEY */
    struct slice summed;  /* what header_sum covers */
    struct slice key;     /* LONG_KEY without KEY_CHUNKED: the full key */
    struct slice payload; /* without CHUNKED */
};

static inline uint32_t cold_chunk_count(uint64_t size)
{
    return (uint32_t)((size + COLD_PAGE_VALUE_MAX - 1) / COLD_PAGE_VALUE_MAX);
}
/* Of the payload, without those of the key. */
static inline uint32_t cold_record_chunk_count(const struct cold_record *record)
{
    return (record->flags & COLD_RECORD_CHUNKED) != 0 ? cold_chunk_count(record->stored_size) : 0;
}
/* ST_OK or ST_CORRUPT. Structure only, no sums; slices point into bytes. */
MUST_USE enum status cold_record_parse(struct slice bytes, struct cold_record *record);
/* What the header's sum of a record of this key is seeded with. */
uint64_t cold_record_seed(struct slice key, uint32_t space);
bool cold_record_header_valid(const struct cold_record *record, struct slice key, uint32_t space);
/* Writes the header (without key and payload) with its sum; the size. All fields but the slices are read. */
size_t cold_record_header_encode(
    const struct cold_record *record, uint64_t seed, uint8_t out[COLD_RECORD_HEADER_MAX]);
/*
 * The payload of a record that is not chunked, to out (value_size bytes). The header must be valid. ST_OK, ST_CORRUPT.
 * dctx may be NULL if the record is not compressed.
 */
MUST_USE enum status cold_record_payload(
    const struct cold_record *record, ZSTD_DCtx *dctx, char *out);

/* --- compression (cold_compress.c) ----------------------------------------------------------------- */

struct cold_skip {
    uint32_t space;
    uint32_t failure_count;
};

/* Owned by the checkpointer thread. */
struct cold_compressor {
    ZSTD_CCtx *cctx;
    int level; /* of cctx */
    char *scratch;
    size_t scratch_size;
    struct cold_skip skips[64];
};
void cold_compressor_init(struct cold_compressor *compressor);
void cold_compressor_deinit(struct cold_compressor *compressor);
/* True: *out (in the compressor's scratch, until the next call) is the payload compressed, and it pays. */
bool cold_compress(
    struct cold_compressor *compressor, uint32_t space, struct slice raw, struct slice *out);
/* Frees a large scratch. */
void cold_compressor_trim(struct cold_compressor *compressor);

/* Whole payload piece by piece: cold_stream_begin(), then cold_stream_next() until it gives 0 bytes. */
struct cold_stream {
    ZSTD_CCtx *cctx; /* NULL: not compressed */
    ZSTD_inBuffer in;
    bool ended;
};
/* Decides by the first part of the payload whether to compress. */
void cold_stream_begin(struct cold_stream *stream, struct cold_compressor *compressor,
    bool compress, struct slice raw);
size_t cold_stream_next(struct cold_stream *stream, char *out, size_t size);

ZSTD_DCtx *cold_dctx_create(void);
/* All of stored becomes exactly raw_size bytes at out, or false. */
bool cold_decompress(ZSTD_DCtx *dctx, struct slice stored, char *out, size_t raw_size);
/* The same in pieces: all of them to the same out, then done must be raw_size. */
struct cold_inflate {
    ZSTD_DCtx *dctx;
    char *out;
    size_t raw_size;
    size_t done;
    bool started;
};
void cold_inflate_begin(struct cold_inflate *inflate, ZSTD_DCtx *dctx, char *out, size_t raw_size);
bool cold_inflate_piece(struct cold_inflate *inflate, struct slice stored);
/* Most that stored_size bytes can become. */
uint64_t cold_decompress_bound(uint64_t stored_size);

/* --- filter (cold_filter.c, cold_fill.c) -------------------------------------------------------------- */

#define COLD_FILTER_LAYER_MAX 36

struct cold_filter_layer;
struct cold_filter {
    _Atomic uint64_t move_count;  /* acquire/release with readers: see cold_filter.c */
    _Atomic uint32_t layer_count; /* acquire/release: layers[] below it are published */
    _Atomic bool saturated; /* relaxed: no more layers can be made; everything may be contained */
    _Atomic bool ready;     /* acquire/release: covers all keys */
    struct cold_filter_layer *layers[COLD_FILTER_LAYER_MAX]; /* immutable once published */
    struct mutex lock;                                       /* LOCK_RANK_FILTER: all writers */
    uint64_t size_bytes;                                     /* guarded by: lock */
    struct cold_key walked;    /* guarded by: lock; the fill has seen all keys up to this */
    bool fill_ended;           /* guarded by: lock */
    struct condition fill_end; /* with: lock */
    struct thread fill_thread;
    _Atomic bool fill_stop; /* relaxed */
};
void cold_filter_init(struct cold_filter *filter, uint64_t expected_count);
void cold_filter_deinit(struct cold_filter *filter);
bool cold_filter_contains(const struct cold_filter *filter, uint64_t hash);
void cold_filter_insert(struct cold_filter *filter, uint64_t hash);
/* What an insertion will look at first. Any thread. */
void cold_filter_prefetch(const struct cold_filter *filter, uint64_t hash);
/* Only of what was inserted, once per insertion. */
void cold_filter_remove(struct cold_filter *filter, uint64_t hash);
uint64_t cold_filter_bytes(struct cold_filter *filter);

/* Starts the thread that inserts all keys of k; without keys the filter is ready at once. */
void cold_fill_start(struct cold *cold, uint64_t key_count);
void cold_fill_stop(struct cold *cold);
/* Whether a key that is in k now has been counted: it may be removed when it leaves k. */
bool cold_fill_has(struct cold *cold, struct slice stored);

/* --- the guard (cold_guard.c) ----------------------------------------------------------------------------- */

enum cold_guard_result {
    COLD_GUARD_OK,
    COLD_GUARD_BUS,    /* a page could not be read (H16) */
    COLD_GUARD_ASSERT, /* LMDB found its structure damaged (H20) */
};
enum cold_guard_mode {
    COLD_GUARD_READ,  /* page errors and assertions */
    COLD_GUARD_WRITE, /* page errors only: an assertion of a write transaction aborts */
};
void cold_guard_setup(void);
/*
 * Calls run(context), which may be left in its middle by a page error: what it owns must be reachable from
 * context, and it holds no lock while it touches the map.
 */
MUST_USE enum cold_guard_result cold_guard_run(
    enum cold_guard_mode mode, void (*run)(void *context), void *context);
/* LMDB's assertion hook. */
void cold_guard_assert(MDB_env *env, const char *text);

/* --- the environment and readers (cold_env.c) ---------------------------------------------------------------- */

/* A reader: one reusable transaction, with what reading needs. Owned by one thread at a time. */
struct cold_reader {
    struct cold *cold;
    MDB_txn *txn; /* reset between uses; NULL before the first */
    bool active;
    MDB_cursor *cursor; /* open during a walk */
    ZSTD_DCtx *dctx;    /* borrowed while a compressed value is read, else NULL */
    struct hash_stream *sum;
    struct buf key;    /* scratch: a full key */
    struct blob *blob; /* a value under construction */
    struct cold_reader *next;
    struct cold_reader *all_next; /* guarded by: readers_lock */
};
struct cold_reader *cold_reader_create(struct cold *cold);
void cold_reader_destroy(struct cold_reader *reader);
/*
 * LMDB's code. mdb_cursor_open() reads the table's root after it has allocated the cursor, which a page error would leak: here the
 * root is read before.
 */
MUST_USE int cold_cursor_open(MDB_txn *txn, MDB_dbi table, MDB_cursor **cursor);
/* A fresh snapshot. ST_OK, ST_IO. */
MUST_USE enum status cold_reader_begin(struct cold_reader *reader, struct error *error);
void cold_reader_end(struct cold_reader *reader);
/* Drops what a job that was left in its middle had open, and gives the context back. */
void cold_reader_drop(struct cold_reader *reader);
/* A context to decompress with, until cold_reader_drop(). */
ZSTD_DCtx *cold_reader_context(struct cold_reader *reader);
/* From the free list of the tier: for threads that are not its own. */
struct cold_reader *cold_reader_borrow(struct cold *cold);
void cold_reader_return(struct cold_reader *reader);

/* The status for LMDB's code (or errno), with a text. what: "cannot commit". */
enum status cold_env_status(struct cold *cold, int code, struct error *error, const char *what);
enum status cold_guard_status(
    struct cold *cold, enum cold_guard_result result, struct error *error, const char *what);
MUST_USE enum status cold_env_open(struct cold *cold, struct error *error);
void cold_env_close(struct cold *cold);
/* Closes and opens it while no reader is active; see cold_trim(). ST_OK, ST_AGAIN. */
MUST_USE enum status cold_env_reopen(struct cold *cold);
MUST_USE enum status cold_env_begin(struct cold *cold, MDB_txn **txn, struct error *error);
/* Commits, or aborts where a test's fault says so. Counts. */
MUST_USE enum status cold_env_commit(struct cold *cold, MDB_txn *txn, struct error *error);
MUST_USE enum status cold_env_count(
    struct cold *cold, MDB_txn *txn, uint64_t *record_count, struct error *error);
/* Recomputes used and free bytes. */
void cold_env_measure(struct cold *cold);
/* Test hook: the nth commit from now on (1 = the next) fails with os_errno; 0 = none. */
void cold_fault_commit(uint64_t nth, int os_errno);

/* --- chunks (cold_chunk.c) -------------------------------------------------------------------------------------- */

struct cold_chunk_key {
    uint8_t bytes[12];
};
struct cold_chunk_key cold_chunk_key(uint64_t generation, uint32_t number);
/* LMDB's code. append: the generation is the highest ever and chunks come in order. */
MUST_USE int cold_chunks_put(MDB_txn *txn, MDB_dbi table, uint64_t generation, uint32_t number,
    struct slice bytes, bool append);
/* LMDB's code. Deletes up to count_max chunks of the generation; *count says how many. */
MUST_USE int cold_chunks_delete(
    MDB_txn *txn, MDB_dbi table, uint64_t generation, uint64_t count_max, uint64_t *count);
/* Called with each chunk in order; false stops. */
typedef bool (*cold_chunk_fn)(void *context, struct slice chunk);
/* ST_OK, ST_CORRUPT (missing, of wrong size, or stopped), ST_IO. */
MUST_USE enum status cold_chunks_read(struct cold *cold, MDB_txn *txn, uint64_t generation,
    uint32_t first, uint64_t size, cold_chunk_fn visit, void *context);
/*
 * The full key of a record: from its short stored key, from the record, or from chunks (then in *scratch). Its
 * header is valid for that key on ST_OK. ST_CORRUPT, ST_IO, ST_NO_MEMORY.
 */
MUST_USE enum status cold_full_key(struct cold *cold, MDB_txn *txn, struct slice stored,
    const struct cold_record *record, struct buf *scratch, struct slice *key);
/* As cold_record_payload(), for any record. */
MUST_USE enum status cold_payload_read(
    struct cold_reader *reader, const struct cold_record *record, char *out);

/* --- pool (cold_pool.c) ------------------------------------------------------------------------------------------- */

#define COLD_JOBS_PER_TURN  32
#define COLD_TOUCH_PER_TURN 64
/* A sample of the keys is touched first: every so many. */
#define COLD_TOUCH_STRIDE   16
#define COLD_PRIORITY_COUNT 3

struct cold_queue {
    struct message *head;
    struct message *tail;
    size_t count;
};
struct cold_pool {
    struct mutex lock; /* LOCK_RANK_COLD */
    struct condition work;
    struct condition touch_end;
    struct cold_queue queues[COLD_PRIORITY_COUNT]; /* guarded by: lock */
    const struct key *touch_keys;                  /* guarded by: lock; what is to be touched */
    size_t touch_count;
    size_t touch_next;
    size_t touch_active; /* slices being touched */
    size_t touch_stride; /* every how many keys */
    size_t touch_faults; /* pages that had to be read */
    size_t idle_count;   /* threads that wait */
    bool stop;
    struct thread *threads;
    size_t thread_count; /* immutable */
};
void cold_pool_start(struct cold *cold, size_t thread_count);
void cold_pool_stop(struct cold *cold);

/* Runs one job on the reader's snapshot; sets its status and results. Never leaves on a page error. */
void cold_job_run(struct cold_reader *reader, struct cold_job *job);
/* The walks: RANGE and DUE (cold_walk.c). */
MUST_USE enum status cold_walk_range(struct cold_reader *reader, struct cold_job *job);
MUST_USE enum status cold_walk_due(struct cold_reader *reader, struct cold_job *job);

/* --- writing (cold_txn.c, cold_put.c, cold_stage.c) ------------------------------------------------------------------ */

struct cold_hashes {
    uint64_t *items;
    size_t count;
    size_t capacity;
};

struct cold_txn {
    struct cold *cold;
    MDB_txn *txn;
    MDB_cursor *records;         /* over k */
    enum status failure;         /* sticky: the txn can only end */
    bool keeps_staged;           /* staged chunks are for a later txn: cold_reclaim() */
    struct cold_hashes inserted; /* to the filter by this txn: taken back if it fails */
    struct cold_hashes deleted;  /* leave the filter after the commit */
    struct buf scratch;          /* full keys */
    uint64_t written_count;
    uint64_t deleted_count;
    uint64_t raw_bytes;
    uint64_t stored_bytes;
};
/* What a stored record has besides its entry in k. Nothing is known of a damaged one. */
struct cold_owned {
    uint32_t minute;     /* of its index entry, 0 = none */
    uint64_t generation; /* of its chunks, 0 = none */
    uint64_t chunk_count;
};
void cold_txn_examine(
    struct cold_txn *txn, struct slice stored, MDB_val bytes, struct cold_owned *owned);
/* Deletes the chunks, or leaves them to cold_reclaim() if they are many. LMDB's code. *count: deleted now. */
MUST_USE int cold_txn_drop_chunks(
    struct cold_txn *txn, const struct cold_owned *owned, uint64_t *count);
MUST_USE int cold_txn_index_put(struct cold_txn *txn, uint32_t minute, struct slice stored);
MUST_USE int cold_txn_index_delete(struct cold_txn *txn, uint32_t minute, struct slice stored);
/*
 * Deletes the record under the cursor with chunks and index entry. LMDB's code. *chunk_count: chunks
 * deleted. Of damaged records only the entry in k can be deleted. Inside a guard.
 */
MUST_USE int cold_txn_delete_current(
    struct cold_txn *txn, const struct cold_key *stored, MDB_val bytes, uint64_t *chunk_count);
void cold_hashes_add(struct cold_hashes *hashes, uint64_t hash);
/* Remembers the failure; the status. */
enum status cold_txn_fail(struct cold_txn *txn, int code, struct error *error, const char *what);

/* What is known of the chunks of a generation that was staged for the next transaction. */
struct cold_staged {
    uint64_t generation;
    uint64_t raw_size;
    uint64_t stored_size;
    uint32_t payload_sum;
    bool compressed;
};
/* NULL if it is not one of the next transaction's. */
const struct cold_staged *cold_staged_find(const struct cold *cold, uint64_t generation);

/* Keys of g. */
#define COLD_DEAD_SPACE      's'
#define COLD_DEAD_GENERATION 'g'
struct cold_dead_key {
    size_t size;
    uint8_t bytes[9];
};
struct cold_dead_key cold_dead_space(uint32_t space);
struct cold_dead_key cold_dead_generation(uint64_t generation);

void cold_staged_clear(struct cold *cold);

/* Meta values by any transaction. LMDB's code. */
MUST_USE int cold_meta_write(struct cold *cold, MDB_txn *txn, const char *name, struct slice value);
MUST_USE enum status cold_meta_read(
    struct cold *cold, MDB_txn *txn, const char *name, struct buf *value, struct error *error);

/*
 * Decompression contexts kept for the next value (about 100 KB each). Decompressing takes microseconds of CPU, so a few serve all readers;
 * when more are wanted at once, the rest is made and freed.
 */
#define COLD_CONTEXTS_KEPT 4

/* --- the tier ----------------------------------------------------------------------------------------------------------- */

struct cold {
    const struct cold_options *options; /* borrowed; read with OPTION_GET */
    char *directory;
    char *data_path;
    char *ballast_path;
    struct file *lock_file; /* one process per directory */
    MDB_env *env;
    MDB_dbi records; /* k */
    MDB_dbi chunks;  /* c */
    MDB_dbi expiry;  /* x */
    MDB_dbi dictionaries;
    MDB_dbi meta;                     /* m */
    MDB_dbi dead;                     /* g */
    uint8_t secret[COLD_SECRET_SIZE]; /* immutable */
    size_t page_size;                 /* immutable */

    struct cold_filter filter;
    struct cold_pool pool;
    struct cold_metrics metrics;
    _Atomic uint64_t used_bytes;    /* relaxed */
    _Atomic uint64_t measured_ms;   /* relaxed; when used_bytes was last computed */
    _Atomic bool unmeasured;        /* relaxed; a commit came since */
    _Atomic uint64_t damage_log_ms; /* for log_every() */

    struct mutex readers_lock; /* LOCK_RANK_COLD */
    struct condition
        readers_idle; /* with: readers_lock; none is active, or the environment is open again */
    size_t reader_active_count;              /* guarded by: readers_lock */
    bool reopening;                          /* guarded by: readers_lock; none may become active */
    struct cold_reader *all_readers;         /* guarded by: readers_lock */
    struct cold_reader *readers;             /* guarded by: readers_lock; free ones */
    ZSTD_DCtx *contexts[COLD_CONTEXTS_KEPT]; /* guarded by: readers_lock; free ones */
    size_t context_count;                    /* guarded by: readers_lock */

    /* owned by: the checkpointer thread */
    bool writing; /* a cold_txn is open */
    struct cold_compressor compressor;
    uint64_t next_generation;
    struct cold_staged *staged; /* ascending by generation */
    size_t staged_count;
    size_t staged_capacity;
};

/* Counts a damaged record and says so in the log, now and then. */
void cold_report_damage(struct cold *cold, const char *what);

#endif
