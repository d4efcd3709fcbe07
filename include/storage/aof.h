/*
 * aof.h: the append-only file: a stream of bytes made durable in groups, in segments of frames.
 *
 * The stream's position is the LSN: bytes appended since the store was created, frame headers not counted. The module
 * knows no commands: it stores what it is given, never splits one append over two frames, and gives it back in order.
 *
 *   aof_append() ──► open buffer ──► sealed buffers ──► log thread: one frame each, write() ──► fdatasync ──► D
 *
 * Files, in the directory given:
 *
 *   %020llu.aof     a segment, named by the LSN of its first byte. Frames, back to back, then zeros (or stale bytes
 *                   of a recycled file) until it is sealed, when it is cut to size.
 *   spare.aof.tmp   the next segment, zero-filled ahead; renamed when its turn comes.
 *
 * A frame is one line and its payload:
 *
 *   #K1 <lsn> <unix_ms> <bytes> <D> <sum>\r\n<payload of that many bytes>
 *
 * lsn, unix_ms, bytes, D: decimal; lsn is that of the payload's first byte, D the durable LSN when the frame was
 * made. sum: 16 hex digits, XXH3-64 over the line up to and including the blank before the sum, then the payload, seeded by
 * store_id ^ segment's first LSN. Redis loaders skip lines that begin with '#', so a sealed segment whose payloads are commands
 * is a valid Redis AOF.
 *
 * A segment begins with a frame of no bytes whose D is its own lsn, durable before the file has its name: a named
 * segment proves that everything before it had been durable. A clean close ends with such a frame. After the last frame
 * of an open segment come at least 16 zero bytes (or the end of the file).
 *
 * Reading: the first bad frame at LSN x ends the log (torn tail), unless a later valid frame of any segment has D > x: then
 * acknowledged data is damaged (ST_CORRUPT; file and offset in the error) (H10).
 *
 * Threads: aof_append(), aof_cut(), figures: any. write(), fdatasync(), rotation: the log thread only.
 */
#ifndef STORAGE_AOF_H
#define STORAGE_AOF_H

#include "base/metric.h"
#include "base/option.h"
#include "base/slice.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum aof_sync_mode { AOF_SYNC_ALWAYS, AOF_SYNC_EVERYSEC, AOF_SYNC_NO };
extern const char *const aof_sync_mode_names[]; /* "always", "everysec", "no", NULL */

/*        name               field               kind          default             min       max        flags            help */
#define AOF_OPTIONS(X)                                                                             \
    X("appendfsync", sync_mode, OPTION_ENUM, AOF_SYNC_EVERYSEC, 0, AOF_SYNC_NO, OPTION_RUNTIME,    \
        "when the log is made durable: always (before the reply), everysec, no")                   \
    X("aof-segment-size", segment_size, OPTION_BYTES, 64 * MiB, 64 * KiB, 1 * GiB, OPTION_STARTUP, \
        "size of a log segment")                                                                   \
    X("aof-buffer-limit", buffer_limit, OPTION_BYTES, 256 * MiB, 1 * MiB, 64 * GiB,                \
        OPTION_RUNTIME, "bytes appended but not yet written at which writers wait")

struct aof_options {
    AOF_OPTIONS(OPTION_FIELD)
};

/*        field                  kind            help */
#define AOF_METRICS(X)                                                                         \
    X(appended_bytes, METRIC_COUNTER, "bytes appended to the log since start")                 \
    X(frame_count, METRIC_COUNTER, "frames (group commits) written since start")               \
    X(written_bytes, METRIC_COUNTER, "bytes written to segments, headers included")            \
    X(sync_count, METRIC_COUNTER, "fdatasync calls")                                           \
    X(sync_us_total, METRIC_COUNTER, "time spent in fdatasync, microseconds")                  \
    X(sync_us_max, METRIC_GAUGE, "longest fdatasync, microseconds")                            \
    X(delayed_sync_count, METRIC_COUNTER, "times an everysec fsync was over two seconds late") \
    X(pending_bytes, METRIC_GAUGE, "bytes appended but not yet written")                       \
    X(segment_count, METRIC_GAUGE, "segments on disk")                                         \
    X(file_bytes, METRIC_GAUGE, "bytes of the log on disk")                                    \
    X(write_error_count, METRIC_COUNTER, "failed writes")

struct aof_metrics {
    AOF_METRICS(METRIC_FIELD)
};

/* --- reading at start ------------------------------------------------------------------------------- */

struct aof_reader;

struct aof_frame {
    uint64_t lsn;         /* of the payload's first byte */
    uint64_t unix_ms;     /* when the frame was made */
    uint64_t durable_lsn; /* D in its header */
    struct slice payload; /* valid until the next call */
};

/* What was wrong at the end of the log; all zero if it was clean. */
struct aof_tail {
    uint64_t end_lsn;       /* where the readable log ends */
    bool torn;              /* something unreadable followed */
    char path[512];         /* file with the torn frame */
    uint64_t offset;        /* of that frame in the file */
    uint64_t dropped_bytes; /* non-zero bytes after it, at most what can be known */
};

/*
 * Opens the log in directory for reading from from_lsn, which must be the first byte of a frame, or the
 * end of the log. ST_OK; ST_NOT_FOUND: no segment at all; ST_CORRUPT: from_lsn is not in the log (a gap, a missing
 * segment: the error names it), or the log of another store; ST_IO, ST_NO_MEMORY, ST_INVALID (path too long). Memory is
 * bounded by the largest frame, which may be as large as a segment or VALUE size; absurd lengths are a bad frame. May block.
 */
MUST_USE enum status aof_reader_open(const char *directory, uint64_t store_id, uint64_t from_lsn,
    struct aof_reader **reader, struct error *error);
/* ST_OK, ST_END (the log ends here; see aof_reader_tail()), ST_CORRUPT (damage before the durable end), ST_IO, ST_NO_MEMORY. */
MUST_USE enum status aof_reader_next(
    struct aof_reader *reader, struct aof_frame *frame, struct error *error);
/* After ST_END. */
const struct aof_tail *aof_reader_tail(const struct aof_reader *reader);
void aof_reader_close(struct aof_reader *reader);

/*
 * After ST_END with a torn tail: moves the unreadable rest aside to "<segment>.torn-<unix_ms>" and cuts the segment;
 * later segments, which then hold nothing durable, are moved aside too. Idempotent (H19).
 */
MUST_USE enum status aof_cut_tail(
    const char *directory, const struct aof_tail *tail, struct error *error);

/* --- writing ------------------------------------------------------------------------------------------ */

struct aof;

/* Called on the log thread. Must not block. */
struct aof_hooks {
    void (*durable)(void *context, uint64_t durable_lsn); /* D advanced */
    /* Writes fail: status ST_FULL or ST_IO; ST_OK when they succeed again. fatal: fsync failed; the process must stop (I12). */
    void (*health)(void *context, enum status status, bool fatal, const struct error *error);
    void *context;
};

/*
 * Starts a new segment at end_lsn (never appends to an old one) and the log thread. All kept segments are made
 * durable first (H13), so D = end_lsn on return. options are read while running; hooks (may be NULL) are copied.
 * end_lsn is where aof_reader says the log ends; anything if there is no segment.
 * ST_OK; ST_INVALID: the log goes on beyond end_lsn, or the path is too long; ST_CORRUPT as for the reader; ST_FULL, ST_IO.
 */
MUST_USE enum status aof_open(const char *directory, uint64_t store_id, uint64_t end_lsn,
    const struct aof_options *options, const struct aof_hooks *hooks, struct aof **aof,
    struct error *error);
/* Writes and syncs everything (one try if writes fail), seals the segment, stops the thread. Nobody else uses it any more. Takes NULL. */
void aof_close(struct aof *aof);

/*
 * Appends body; prefix goes before it if this is the first append of a frame (every frame is then readable on its
 * own: the caller puts its SELECT there). Neither is split over frames. Returns the LSN after body. Never blocks, never fails: memory is bounded by
 * callers that ask aof_has_room() before they run a command.
 *
 * context: if it differs from that of the append before (in the same frame), prefix is inserted as well. after_context is what
 * the stream's context is after body.
 */
struct aof_append {
    uint32_t context;
    uint32_t after_context;
    struct slice prefix;
    struct slice body;
};
uint64_t aof_append(struct aof *aof, const struct aof_append *append);

/* Ends the open frame, so that a frame begins at the returned LSN (= the end of the log). Any thread, microseconds. */
uint64_t aof_cut(struct aof *aof);
/* The end of the log, written or not. Atomic load. */
uint64_t aof_end_lsn(const struct aof *aof);
/* D. Atomic load. */
uint64_t aof_durable_lsn(const struct aof *aof);
/* Bytes appended but not yet written. Atomic loads. */
uint64_t aof_pending_bytes(const struct aof *aof);
/* False while pending bytes exceed aof-buffer-limit. Atomic load. */
bool aof_has_room(const struct aof *aof);
/* ST_OK, ST_FULL or ST_IO (the last write failed; it is retried every 100 ms), ST_CLOSED (failed for good). Atomic load. */
enum status aof_health(const struct aof *aof);
/* everysec: something has waited for its fsync for over two seconds, so replies to writes should wait. Atomic loads, and the clock if not idle. */
bool aof_sync_is_late(const struct aof *aof);

/* Waits until D >= lsn, forcing an fsync whatever the mode. ST_OK, ST_FULL, ST_IO or ST_CLOSED when the log cannot. May block; not
 * on the log thread. */
MUST_USE enum status aof_wait_durable(struct aof *aof, uint64_t lsn);

/*
 * Segments that end at or below lsn are no longer needed: deleted, or recycled as the spare. Call after the commit
 * that holds X = lsn. May block (other thread than the log's). Also prepares the spare segment.
 */
void aof_release(struct aof *aof, uint64_t lsn);
/* First LSN still on disk. */
uint64_t aof_first_lsn(const struct aof *aof);

void aof_metrics_read(const struct aof *aof, struct aof_metrics *metrics);

#endif
