/*
 * aof_reader.c: gives the frames of the log in order, and decides where the log ends.
 *
 *   segment 0          segment 700                    segment 1400
 *   [h][0..][350..]    [h][700..][1000..][1250..]     [h][1400..][1650..]#####......
 *                                                                  x = 1900 ┘ not a frame: the end, or damage?
 *
 * Let x be the LSN at which no valid frame follows.
 *
 * (1) If a segment is named x, the log goes on there: it was made when all before x was durable and nothing after x
 *     existed (or what existed was not part of the log, and recovery cut it).
 * (2) Otherwise the writer had not acknowledged anything past x, or something is damaged. Pages that were not synced
 *     reach the disk in any order, so that valid frames may follow a bad one after a crash; that alone proves nothing. But each
 *     frame carries D, the LSN up to which an fdatasync had succeeded before the frame was made. A valid frame
 *     anywhere after x with D > x proves that the bytes at x had been durable: they are damaged, and what was
 *     acknowledged is lost (ST_CORRUPT). No such frame: the log ends at x, and at least D is read (H10, I6).
 * (3) Segments that begin after x need no rule of their own. The first frame of one that begins at y says D = y > x
 *     (aof_segment.c): its mere presence, with that frame valid, proves that everything between x and y is missing.
 *     A later segment without any valid frame proves nothing, and is cut off with the tail.
 * (4) The first frame of a segment is durable before the file has its name. If it is not valid in a segment that is read,
 *     the file is damaged or belongs to another store, never torn.
 *
 * The proof is sound whatever a payload holds: a frame with the right sum was made for this store and this segment by the
 * writer, even if a client stored a copy of it, and so its D is true. The search is in file order and skips the
 * payloads of valid frames.
 *
 * What cannot be known: damage to the very last frames, after which no frame with a larger D was written, looks like a
 * torn tail. A clean close writes a last frame without payload for this reason.
 */
#include "aof_internal.h"
#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>

struct aof_reader {
    char *directory;
    uint64_t store_id;
    struct aof_segments segments;
    size_t index; /* of the segment that is read */
    struct aof_scan scan;
    uint64_t offset; /* of the next frame in it */
    uint64_t lsn;    /* of the next frame */
    bool has_ended;
    struct aof_tail tail;
};

static enum status enter_segment(struct aof_reader *reader, size_t index, struct error *error)
{
    aof_scan_close(&reader->scan);
    reader->index = index;
    reader->lsn = reader->segments.items[index].first_lsn;
    reader->offset = 0;
    const enum status status =
        aof_scan_open(&reader->scan, reader->directory, reader->store_id, reader->lsn, error);
    if (status != ST_OK)
        return status;
    return aof_scan_header(&reader->scan, &reader->offset, error);
}

/* The first LSN of the segment after the one that is read; false if it is the last. */
static bool next_first_lsn(const struct aof_reader *reader, uint64_t *first_lsn)
{
    if (reader->index + 1 >= reader->segments.count)
        return false;
    *first_lsn = reader->segments.items[reader->index + 1].first_lsn;
    return true;
}

/* The frame at the reader's place: ST_OK, ST_NOT_FOUND if there is no valid one, failures. */
static enum status frame_here(
    struct aof_reader *reader, struct aof_line *line, struct slice *payload, struct error *error)
{
    const enum status status = aof_scan_frame(&reader->scan, reader->offset, line, payload, error);
    if (status != ST_OK)
        return status;
    return line->lsn == reader->lsn ? ST_OK : ST_NOT_FOUND;
}

/* --- open --------------------------------------------------------------------------------------------------- */

static bool begins_at(const struct aof_line *line, uint64_t lsn)
{
    return line->lsn == lsn;
}

/*
 * Nothing valid at the reader's place, which is before from_lsn. What is damaged there is in the cold tier already, so
 * it is enough to find the frame that begins at from_lsn.
 */
static enum status search_start(struct aof_reader *reader, uint64_t from_lsn, struct error *error)
{
    struct aof_search search = {
        .offset = reader->offset, .is_wanted = begins_at, .argument = from_lsn};
    const enum status status = aof_scan_search(&reader->scan, &search, error);
    if (status == ST_OK) {
        reader->offset = search.offset;
        reader->lsn = from_lsn;
        return ST_OK;
    }
    if (status != ST_NOT_FOUND)
        return status;
    return error_set(error, ST_CORRUPT, 0,
        "%s ends or is damaged at offset %" PRIu64 " (LSN %" PRIu64
        "), but was durable up to LSN %" PRIu64 " at least: restore from a backup",
        file_path(reader->scan.file), reader->offset, reader->lsn, from_lsn);
}

/* From the start of the segment to from_lsn. */
static enum status seek(struct aof_reader *reader, uint64_t from_lsn, struct error *error)
{
    while (reader->lsn < from_lsn) {
        struct aof_line line;
        struct slice payload;
        const enum status status = frame_here(reader, &line, &payload, error);
        if (status == ST_NOT_FOUND)
            return search_start(reader, from_lsn, error);
        if (status != ST_OK)
            return status;
        if (line.lsn + line.payload_size > from_lsn)
            return error_set(error, ST_CORRUPT, 0,
                "no frame of the log begins at LSN %" PRIu64
                ": it is inside the one at offset %" PRIu64 " of %s",
                from_lsn, reader->offset, file_path(reader->scan.file));
        reader->offset += line.line_size + line.payload_size;
        reader->lsn += line.payload_size;
    }
    return ST_OK;
}

static enum status start(struct aof_reader *reader, uint64_t from_lsn, struct error *error)
{
    const enum status status = aof_segments_list(reader->directory, &reader->segments, error);
    if (status != ST_OK)
        return status;
    const struct aof_segments *const segments = &reader->segments;
    if (segments->count == 0)
        return error_set(error, ST_NOT_FOUND, 0, "no log in %s", reader->directory);
    if (segments->items[0].first_lsn > from_lsn) {
        char path[AOF_PATH_SIZE];
        aof_segment_path(path, reader->directory, segments->items[0].first_lsn);
        return error_set(error, ST_CORRUPT, 0,
            "the log is needed from LSN %" PRIu64 " on, but begins with %s: segments are missing",
            from_lsn, path);
    }
    size_t index = segments->count - 1;
    while (segments->items[index].first_lsn > from_lsn)
        index--;
    const enum status entered = enter_segment(reader, index, error);
    return entered != ST_OK ? entered : seek(reader, from_lsn, error);
}

enum status aof_reader_open(const char *directory, uint64_t store_id, uint64_t from_lsn,
    struct aof_reader **reader_out, struct error *error)
{
    enum status status = aof_directory_check(directory, error);
    if (status != ST_OK)
        return status;
    struct aof_reader *const reader = mem_alloc_zero(sizeof(*reader));
    reader->directory = mem_string(directory);
    reader->store_id = store_id;
    status = start(reader, from_lsn, error);
    if (status != ST_OK) {
        aof_reader_close(reader);
        return status;
    }
    *reader_out = reader;
    return ST_OK;
}

void aof_reader_close(struct aof_reader *reader)
{
    if (reader == NULL)
        return;
    aof_scan_close(&reader->scan);
    aof_segments_deinit(&reader->segments);
    mem_free(reader->directory);
    mem_free(reader);
}

/* --- the end ------------------------------------------------------------------------------------------------ */

/* What is known about the bytes after the last valid frame. */
struct verdict {
    uint64_t durable_lsn; /* the D that proves damage; 0: none */
    char path[AOF_PATH_SIZE];
    bool is_torn;
    uint64_t dropped_bytes;
};

static bool proves_durable(const struct aof_line *line, uint64_t lsn)
{
    return line->durable_lsn > lsn;
}

/* Looks for a proof in a segment, from offset on. */
static enum status examine(struct aof_reader *reader, struct aof_scan *scan, uint64_t offset,
    struct verdict *verdict, struct error *error)
{
    struct aof_search search = {
        .offset = offset, .is_wanted = proves_durable, .argument = reader->lsn};
    enum status status = aof_scan_search(scan, &search, error);
    if (status == ST_OK) {
        verdict->durable_lsn = search.line.durable_lsn;
        (void)snprintf(verdict->path, sizeof(verdict->path), "%s", file_path(scan->file));
        return ST_OK;
    }
    if (status != ST_NOT_FOUND)
        return status;
    /* Frames behind zeros: pages that reached the disk before those that did not. */
    verdict->is_torn = verdict->is_torn || search.passed_count > 0;
    if (!verdict->is_torn)
        return ST_OK;
    uint64_t used_end = 0;
    status = aof_scan_used_end(scan, offset, &used_end, error);
    verdict->dropped_bytes += used_end - offset;
    return status;
}

static enum status examine_later_segments(
    struct aof_reader *reader, struct verdict *verdict, struct error *error)
{
    enum status status = ST_OK;
    for (size_t index = reader->index + 1;
         status == ST_OK && verdict->durable_lsn == 0 && index < reader->segments.count; index++) {
        struct aof_scan scan;
        status = aof_scan_open(&scan, reader->directory, reader->store_id,
            reader->segments.items[index].first_lsn, error);
        if (status != ST_OK)
            return status;
        status = examine(reader, &scan, 0, verdict, error);
        aof_scan_close(&scan);
    }
    return status;
}

static enum status reach_verdict(
    struct aof_reader *reader, struct verdict *verdict, struct error *error)
{
    bool is_clean = false;
    enum status status = aof_scan_is_clean_end(&reader->scan, reader->offset, &is_clean, error);
    if (status != ST_OK)
        return status;
    verdict->is_torn = !is_clean || reader->index + 1 < reader->segments.count;
    status = examine(reader, &reader->scan, reader->offset, verdict, error);
    if (status == ST_OK && verdict->durable_lsn == 0)
        status = examine_later_segments(reader, verdict, error);
    return status;
}

static enum status finish(struct aof_reader *reader, struct error *error)
{
    struct verdict verdict = {0};
    const enum status status = reach_verdict(reader, &verdict, error);
    if (status != ST_OK)
        return status;
    const char *const path = file_path(reader->scan.file);
    if (verdict.durable_lsn != 0)
        return error_set(error, ST_CORRUPT, 0,
            "%s ends or is damaged at offset %" PRIu64 " (LSN %" PRIu64
            "), but %s proves that the log was durable up to LSN %" PRIu64
            ": restore from a backup",
            path, reader->offset, reader->lsn, verdict.path, verdict.durable_lsn);
    struct aof_tail *const tail = &reader->tail;
    tail->end_lsn = reader->lsn;
    tail->torn = verdict.is_torn;
    if (tail->torn) {
        (void)snprintf(tail->path, sizeof(tail->path), "%s", path);
        tail->offset = reader->offset;
        tail->dropped_bytes = verdict.dropped_bytes;
    }
    reader->has_ended = true;
    return ST_END;
}

/* --- next --------------------------------------------------------------------------------------------------- */

enum status aof_reader_next(struct aof_reader *reader, struct aof_frame *frame, struct error *error)
{
    if (reader->has_ended)
        return ST_END;
    for (;;) {
        uint64_t next_lsn = 0;
        const bool has_next = next_first_lsn(reader, &next_lsn);
        if (has_next && next_lsn == reader->lsn) {
            const enum status status = enter_segment(reader, reader->index + 1, error);
            if (status != ST_OK)
                return status;
            continue;
        }
        struct aof_line line;
        struct slice payload;
        const enum status status = frame_here(reader, &line, &payload, error);
        if (status == ST_NOT_FOUND)
            return finish(reader, error);
        if (status != ST_OK)
            return status;
        if (has_next && line.lsn + line.payload_size > next_lsn)
            return error_set(error, ST_CORRUPT, 0,
                "the frame at offset %" PRIu64 " of %s goes on beyond LSN %" PRIu64
                ", where the next segment begins",
                reader->offset, file_path(reader->scan.file), next_lsn);
        reader->offset += line.line_size + line.payload_size;
        reader->lsn += line.payload_size;
        if (payload.size == 0)
            continue; /* a mark of the log itself */
        *frame = (struct aof_frame){.lsn = line.lsn,
            .unix_ms = line.unix_ms,
            .durable_lsn = line.durable_lsn,
            .payload = payload};
        return ST_OK;
    }
}

const struct aof_tail *aof_reader_tail(const struct aof_reader *reader)
{
    CHECK(reader->has_ended);
    return &reader->tail;
}

void aof_reader_end_position(
    const struct aof_reader *reader, uint64_t *segment_first_lsn, uint64_t *offset)
{
    CHECK(reader->has_ended);
    *segment_first_lsn = reader->scan.first_lsn;
    *offset = reader->offset;
}
