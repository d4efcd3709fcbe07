/*
 * aof_internal.h: what the files of the aof module share. aof_writer.c has the picture of the running log,
 * aof_reader.c that of recovery.
 */
#ifndef AOF_INTERNAL_H
#define AOF_INTERNAL_H

#include "base/file.h"
#include "base/hash.h"
#include "base/thread.h"
#include "storage/aof.h"

#include <assert.h>

enum {
    AOF_LINE_SIZE_MAX = 4 + 4 * 21 + 16 + 2, /* "#K1 ", four numbers and blanks, sum, CR LF */
    AOF_TERMINATOR_SIZE = 16,                /* zeros written after the last frame */
    AOF_PATH_SIZE = 512,
    AOF_DIRECTORY_LENGTH_MAX = 400,
};

/* What a group's block has besides payload: room for a line and a terminator, and up to a round number. */
#define AOF_GROUP_OVERHEAD ((size_t)128)
/* Payload of an ordinary frame; only a single larger append makes a larger one. The block is a size class of the allocator. */
#define AOF_GROUP_SIZE_MAX ((size_t)1 * MiB - AOF_GROUP_OVERHEAD)
/* Files are zero-filled ahead up to this size: a start must not wait for more. */
#define AOF_FILL_SIZE_MAX (64 * MiB)

#define AOF_SPARE_NAME "spare.aof.tmp"

static_assert(
    AOF_LINE_SIZE_MAX + AOF_TERMINATOR_SIZE <= AOF_GROUP_OVERHEAD, "a frame fits its block");

/* --- aof_frame.c: the line of a frame ------------------------------------------------------------------ */

struct aof_line {
    uint64_t lsn;
    uint64_t unix_ms;
    uint64_t payload_size;
    uint64_t durable_lsn;
    uint64_t sum;     /* set by parse */
    size_t line_size; /* set by parse: bytes up to and including CR LF */
};

/* The seed of the sums of one segment. */
static inline uint64_t aof_seed(uint64_t store_id, uint64_t first_lsn)
{
    return store_id ^ first_lsn;
}

/* Writes the line for this payload; returns its size. line->payload_size is payload.size. */
size_t aof_line_encode(char out[AOF_LINE_SIZE_MAX], const struct aof_line *line,
    struct slice payload, uint64_t seed, struct hash_stream *hash);
/*
 * Reads the line at the start of text (which may go on after it). False unless it is exactly what
 * aof_line_encode() writes, D <= lsn, and lsn + payload_size is a number.
 */
MUST_USE bool aof_line_parse(struct slice text, struct aof_line *line);
/* text: the line's bytes. */
MUST_USE bool aof_line_sum_matches(const struct aof_line *line, const char *text,
    struct slice payload, uint64_t seed, struct hash_stream *hash);

/* --- aof_segment.c: files and their names ---------------------------------------------------------------- */

struct aof_segment {
    uint64_t first_lsn;
    uint64_t size_bytes; /* of the file; kept by the running log, for those before the last */
};

/* Ascending. Zero-initialised is empty. */
struct aof_segments {
    struct aof_segment *items;
    size_t count;
    size_t capacity;
};

void aof_segments_deinit(struct aof_segments *segments);
void aof_segments_add(struct aof_segments *segments, struct aof_segment segment);
void aof_segments_remove_first(struct aof_segments *segments);
/* Those in the directory. ST_OK (maybe none), ST_NOT_FOUND: no directory, ST_IO. */
MUST_USE enum status aof_segments_list(
    const char *directory, struct aof_segments *segments, struct error *error);

/* ST_INVALID if paths of the module would not fit their buffers. */
MUST_USE enum status aof_directory_check(const char *directory, struct error *error);
void aof_path(char out[AOF_PATH_SIZE], const char *directory, const char *name);
void aof_segment_path(char out[AOF_PATH_SIZE], const char *directory, uint64_t first_lsn);
/* The name is that of a segment. */
MUST_USE bool aof_segment_name_parse(const char *name, uint64_t *first_lsn);

struct aof_segment_request {
    const char *directory;
    const char *tmp_path; /* made if missing */
    bool is_spare;        /* tmp_path is filled ahead and kept as it is; else it is emptied first */
    uint64_t store_id;
    uint64_t first_lsn; /* also its D */
};

/* The file of a segment that is written to. */
struct aof_segment_file {
    struct file *file;
    uint64_t first_lsn;
    uint64_t header_size; /* the first frame, which has no payload */
    uint64_t offset;      /* where the next frame goes */
    uint64_t size_bytes;  /* of the file */
};

/*
 * Makes a segment with its first frame and gives it its name. After a failure it can be called again with
 * the same request. *sync_failed: the failure was an fsync.
 */
MUST_USE enum status aof_segment_create(const struct aof_segment_request *request,
    struct hash_stream *hash, struct aof_segment_file *segment, bool *sync_failed,
    struct error *error);
/* Makes path a file of size_bytes, zero-filled from its present end, and durable. */
MUST_USE enum status aof_spare_fill(const char *path, uint64_t size_bytes, struct error *error);

/* --- aof_scan.c: reading one segment --------------------------------------------------------------------- */

struct aof_scan {
    struct file *file;
    uint64_t size_bytes; /* of the file when it was opened */
    uint64_t first_lsn;
    uint64_t seed;
    struct hash_stream *hash;
    char *window; /* bytes [window_offset, window_offset + window_size) of the file */
    size_t window_capacity;
    size_t window_size;
    uint64_t window_offset;
};

/* ST_OK, ST_IO. */
MUST_USE enum status aof_scan_open(struct aof_scan *scan, const char *directory, uint64_t store_id,
    uint64_t first_lsn, struct error *error);
/* Takes one that was zeroed and never opened; leaves it zeroed. */
void aof_scan_close(struct aof_scan *scan);
/* A whole frame at offset with the right sum: ST_OK. Anything else: ST_NOT_FOUND (error untouched), ST_IO, ST_NO_MEMORY. */
MUST_USE enum status aof_scan_frame(struct aof_scan *scan, uint64_t offset, struct aof_line *line,
    struct slice *payload, struct error *error);
/* The segment's first frame: its size, or ST_CORRUPT, ST_IO, ST_NO_MEMORY. */
MUST_USE enum status aof_scan_header(
    struct aof_scan *scan, uint64_t *header_size, struct error *error);

typedef bool (*aof_wanted_fn)(const struct aof_line *line, uint64_t argument);
struct aof_search {
    uint64_t offset; /* from here on, at any byte; out: of the frame found */
    aof_wanted_fn is_wanted;
    uint64_t argument;
    struct aof_line line;  /* out */
    uint64_t passed_count; /* out: valid frames that were not wanted */
};
/* Finds a valid frame that is wanted: ST_OK, ST_NOT_FOUND, ST_IO, ST_NO_MEMORY. */
MUST_USE enum status aof_scan_search(
    struct aof_scan *scan, struct aof_search *search, struct error *error);

/* The segment ends cleanly at offset: the end of the file, or the zeros that follow the last frame. */
MUST_USE enum status aof_scan_is_clean_end(
    struct aof_scan *scan, uint64_t offset, bool *is_clean, struct error *error);
/* One past the last byte that is not zero, at least offset. */
MUST_USE enum status aof_scan_used_end(
    struct aof_scan *scan, uint64_t offset, uint64_t *end, struct error *error);

/* --- aof_reader.c ------------------------------------------------------------------------------------------ */

/* After ST_END: the segment and the offset in it at which the readable log ends. */
void aof_reader_end_position(
    const struct aof_reader *reader, uint64_t *segment_first_lsn, uint64_t *offset);

/* --- the running log ---------------------------------------------------------------------------------------- */

/* The payload of one frame, with room for its line before and the terminator after it. */
struct aof_group {
    struct aof_group *next;
    uint64_t first_lsn;
    uint64_t begun_us; /* monotonic time of the first append */
    size_t size;       /* payload bytes */
    size_t
        capacity; /* payload bytes that fit; more than AOF_GROUP_SIZE_MAX only for a single append */
    uint32_t context; /* the stream's after the last append; valid while size > 0 */
    char *block;      /* AOF_GROUP_OVERHEAD + capacity bytes: line, payload, terminator */
};

struct aof_group_list {
    struct aof_group *head;
    struct aof_group *tail;
};

enum aof_sleep {
    AOF_SLEEP_NOT,    /* the log thread is at work and will look again */
    AOF_SLEEP_IDLE,   /* wakes at any append */
    AOF_SLEEP_GATHER, /* for a moment, so that a frame gets larger; wakes at a full group */
    AOF_SLEEP_STOP,   /* only the end wakes it (or its time) */
};

enum aof_spare {
    AOF_SPARE_NONE,
    AOF_SPARE_BUSY, /* being prepared or taken */
    AOF_SPARE_READY,
};

/* Owned by: the log thread (before it runs: by aof_open). */
struct aof_writer {
    struct aof_segment_file segment;
    struct aof_group_list work; /* taken, not yet written */
    struct hash_stream *hash;
    uint64_t unsynced_bytes;
    uint64_t last_sync_us;
    enum aof_sync_mode last_mode;
    bool segment_is_cut; /* the file was cut to its size, nothing may follow */
    bool has_failed;     /* an fsync failed: nothing is written or acknowledged any more (I12) */
};

struct aof {
    /* immutable after open */
    char *directory;
    uint64_t store_id;
    uint64_t segment_size;
    uint64_t start_lsn;
    const struct aof_options *options;
    struct aof_hooks hooks;

    char pad_before_lock[64];
    struct mutex lock;
    struct condition work;         /* the log thread waits for something to do */
    struct condition progress;     /* others wait for D or a failure */
    struct aof_group *open;        /* guarded by: lock; never NULL */
    struct aof_group_list sealed;  /* guarded by: lock */
    struct aof_group *free_groups; /* guarded by: lock */
    size_t free_group_count;       /* guarded by: lock */
    enum aof_sleep sleep;          /* guarded by: lock */
    uint64_t forced_lsn;           /* guarded by: lock; somebody waits for D to reach it */
    size_t waiter_count;           /* guarded by: lock */
    bool is_stopping;              /* guarded by: lock */
    enum aof_spare spare;          /* guarded by: lock */
    struct aof_segments segments;  /* guarded by: lock; the last is the one written to */
    _Atomic uint64_t
        end_lsn; /* atomic: stored under lock; release, so that X read from it is appended */
    _Atomic uint64_t
        oldest_us; /* atomic: stored under lock; begun_us of the oldest group not durable, 0 = none */

    char pad_before_writer[64];
    _Atomic uint64_t written_lsn;   /* atomic: stored by the log thread */
    _Atomic uint64_t durable_lsn;   /* atomic: stored by the log thread, under lock; D */
    _Atomic uint64_t first_lsn;     /* atomic: stored under lock */
    _Atomic uint64_t segment_bytes; /* atomic: stored by the log thread; the file it writes to */
    _Atomic int health;             /* atomic: enum status; stored by the log thread, under lock */
    struct aof_metrics metrics;
    struct aof_writer writer;
    struct thread thread;
};

/* aof_group.c */
struct aof_group *aof_group_create(void);
void aof_group_destroy(struct aof_group *group);
static inline char *aof_group_payload(const struct aof_group *group)
{
    return group->block + AOF_LINE_SIZE_MAX;
}
/* Grows the group so that need more bytes fit. */
void aof_group_grow(struct aof_group *group, size_t need);
void aof_group_list_push(struct aof_group_list *list, struct aof_group *group);
/* Moves all of from to the end of list. */
void aof_group_list_splice(struct aof_group_list *list, struct aof_group_list *from);
void aof_group_list_destroy_all(struct aof_group_list *list);
/* Ends the open group, which is not empty, and opens another. */
void aof_seal_open(struct aof *aof) REQUIRES(&aof->lock);
/* A group that was written, for reuse. */
void aof_group_recycle(struct aof *aof, struct aof_group *group);
/* Is there memory of busier times? Then it goes with aof_groups_trim(), which needs an open group without payload. */
bool aof_groups_are_large(const struct aof *aof) REQUIRES(&aof->lock);
void aof_groups_trim(struct aof *aof) REQUIRES(&aof->lock);
/* True: the log thread sleeps in a way that this ends; the caller signals aof->work after unlocking. */
bool aof_must_wake(struct aof *aof, enum aof_sleep deepest) REQUIRES(&aof->lock);

/* aof_writer.c */
void aof_writer_main(void *context);
/* The segment that begins at lsn, from the spare if there is one, as the one written to. */
MUST_USE enum status aof_writer_next_segment(
    struct aof *aof, uint64_t lsn, bool *sync_failed, struct error *error);
/* Makes the spare ready if it is there to be made; a failure only costs speed. Caller has set AOF_SPARE_BUSY. */
void aof_spare_prepare(struct aof *aof);
/* Refreshes the figures of the segments. */
void aof_count_segments(struct aof *aof) REQUIRES(&aof->lock);

#endif
