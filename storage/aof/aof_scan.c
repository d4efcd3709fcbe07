/*
 * aof_scan.c: reads the frames of one segment through a window that is never larger than the largest frame (or
 * WINDOW_SIZE). Nothing it finds in a file is trusted before the sum fits.
 *
 * Plain reads, not a mapping: a bad sector is ST_IO here, and would be SIGBUS there.
 */
#include "aof_internal.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"

#define WINDOW_SIZE ((size_t)1 * MiB)

/*
 * Bytes that one search may sum up. A payload can hold any number of lines that look like frames, and each costs
 * reading as much as it claims; a log without such payloads costs its size once.
 */
#define SEARCH_SUM_BYTES_MAX (4 * GiB)

enum status aof_scan_open(struct aof_scan *scan, const char *directory, uint64_t store_id,
    uint64_t first_lsn, struct error *error)
{
    *scan = (struct aof_scan){.first_lsn = first_lsn, .seed = aof_seed(store_id, first_lsn)};
    char path[AOF_PATH_SIZE];
    aof_segment_path(path, directory, first_lsn);
    enum status status = file_open(path, FILE_MODE_READ, &scan->file, error);
    if (status != ST_OK)
        return ST_IO; /* it was listed, so its absence is no outcome */
    status = file_size(scan->file, &scan->size_bytes, error);
    if (status != ST_OK) {
        file_close(scan->file);
        scan->file = NULL;
        return status;
    }
    scan->hash = hash_stream_create(scan->seed);
    return ST_OK;
}

void aof_scan_close(struct aof_scan *scan)
{
    file_close(scan->file);
    if (scan->hash != NULL)
        hash_stream_destroy(scan->hash);
    mem_free(scan->window);
    *scan = (struct aof_scan){0};
}

static enum status fill_window(
    struct aof_scan *scan, uint64_t offset, size_t size, struct error *error)
{
    const uint64_t rest = scan->size_bytes - offset;
    size_t wanted = size < WINDOW_SIZE ? WINDOW_SIZE : size;
    if (wanted > rest)
        wanted = (size_t)rest;
    if (wanted > scan->window_capacity) {
        mem_free(scan->window);
        scan->window_size = 0;
        scan->window_capacity = 0;
        scan->window = mem_try_alloc(wanted);
        if (scan->window == NULL)
            return error_set(error, ST_NO_MEMORY, 0, "no memory for %zu bytes of %s", wanted,
                file_path(scan->file));
        scan->window_capacity = wanted;
    }
    scan->window_size = 0;
    scan->window_offset = offset;
    return file_read_at(scan->file, offset, scan->window, wanted, &scan->window_size, error);
}

/* Up to size bytes at offset, fewer at the end of the file; valid until the next view. */
static enum status view(
    struct aof_scan *scan, uint64_t offset, size_t size, struct slice *bytes, struct error *error)
{
    *bytes = slice_of(NULL, 0);
    if (offset >= scan->size_bytes)
        return ST_OK;
    const uint64_t rest = scan->size_bytes - offset;
    if (size > rest)
        size = (size_t)rest;
    const bool is_inside = offset >= scan->window_offset &&
                           offset - scan->window_offset <= scan->window_size &&
                           size <= scan->window_size - (size_t)(offset - scan->window_offset);
    if (!is_inside) {
        const enum status status = fill_window(scan, offset, size, error);
        if (status != ST_OK)
            return status;
    }
    const size_t at = (size_t)(offset - scan->window_offset);
    const size_t available = scan->window_size - at;
    *bytes = slice_of(scan->window + at, size < available ? size : available);
    return ST_OK;
}

enum status aof_scan_frame(struct aof_scan *scan, uint64_t offset, struct aof_line *line,
    struct slice *payload, struct error *error)
{
    struct slice bytes;
    enum status status = view(scan, offset, AOF_LINE_SIZE_MAX, &bytes, error);
    if (status != ST_OK)
        return status;
    if (!aof_line_parse(bytes, line))
        return ST_NOT_FOUND;
    if (line->payload_size > scan->size_bytes - offset - line->line_size)
        return ST_NOT_FOUND;
    const size_t frame_size = line->line_size + (size_t)line->payload_size;
    status = view(scan, offset, frame_size, &bytes, error);
    if (status != ST_OK)
        return status;
    if (bytes.size < frame_size)
        return ST_NOT_FOUND; /* the file has become shorter */
    *payload = slice_of(bytes.data + line->line_size, (size_t)line->payload_size);
    return aof_line_sum_matches(line, bytes.data, *payload, scan->seed, scan->hash) ? ST_OK
                                                                                    : ST_NOT_FOUND;
}

enum status aof_scan_header(struct aof_scan *scan, uint64_t *header_size, struct error *error)
{
    struct aof_line line;
    struct slice payload;
    const enum status status = aof_scan_frame(scan, 0, &line, &payload, error);
    const bool is_right = status == ST_OK && line.lsn == scan->first_lsn &&
                          line.durable_lsn == scan->first_lsn && payload.size == 0;
    if (is_right) {
        *header_size = line.line_size;
        return ST_OK;
    }
    if (status == ST_OK || status == ST_NOT_FOUND)
        return error_set(error, ST_CORRUPT, 0,
            "%s is damaged at offset 0, or belongs to another store: its first frame is not valid",
            file_path(scan->file));
    return status;
}

/* The offset of the next "#K1 " at or after *offset: ST_OK, or ST_NOT_FOUND. */
static enum status next_candidate(struct aof_scan *scan, uint64_t *offset, struct error *error)
{
    static const char magic[] = "#K1 ";
    const size_t magic_size = sizeof(magic) - 1;
    for (;;) {
        struct slice bytes;
        /* What is left of the window first, if a candidate before has filled it far ahead. */
        const enum status status = view(scan, *offset, WINDOW_SIZE / 2, &bytes, error);
        if (status != ST_OK)
            return status;
        if (bytes.size < magic_size)
            return ST_NOT_FOUND;
        const char *const found = memmem(bytes.data, bytes.size, magic, magic_size);
        if (found != NULL) {
            *offset += (uint64_t)(found - bytes.data);
            return ST_OK;
        }
        *offset += bytes.size - (magic_size - 1);
    }
}

enum status aof_scan_search(struct aof_scan *scan, struct aof_search *search, struct error *error)
{
    uint64_t summed_bytes = 0;
    for (;;) {
        enum status status = next_candidate(scan, &search->offset, error);
        if (status != ST_OK)
            return status;
        struct slice payload;
        search->line = (struct aof_line){0};
        status = aof_scan_frame(scan, search->offset, &search->line, &payload, error);
        if (status == ST_OK && search->is_wanted(&search->line, search->argument))
            return ST_OK;
        if (status == ST_OK) {
            search->passed_count++;
            /* What a payload holds is not the log's own. */
            search->offset += search->line.line_size + search->line.payload_size;
            continue;
        }
        if (status != ST_NOT_FOUND)
            return status;
        search->offset++;
        if (search->line.payload_size <= scan->size_bytes)
            summed_bytes += search->line.payload_size;
        if (summed_bytes > SEARCH_SUM_BYTES_MAX) {
            log_warn("aof: search given up, too much looks like frames path=%s offset=%llu",
                file_path(scan->file), (unsigned long long)search->offset);
            return ST_NOT_FOUND;
        }
    }
}

static bool is_zero(struct slice bytes)
{
    for (size_t index = 0; index < bytes.size; index++) {
        if (bytes.data[index] != 0)
            return false;
    }
    return true;
}

enum status aof_scan_is_clean_end(
    struct aof_scan *scan, uint64_t offset, bool *is_clean, struct error *error)
{
    struct slice bytes;
    const enum status status = view(scan, offset, AOF_TERMINATOR_SIZE, &bytes, error);
    *is_clean = status == ST_OK && is_zero(bytes);
    return status;
}

enum status aof_scan_used_end(
    struct aof_scan *scan, uint64_t offset, uint64_t *end, struct error *error)
{
    *end = offset;
    for (;;) {
        struct slice bytes;
        const enum status status = view(scan, offset, WINDOW_SIZE, &bytes, error);
        if (status != ST_OK || bytes.size == 0)
            return status;
        size_t used = bytes.size;
        while (used > 0 && bytes.data[used - 1] == 0)
            used--;
        if (used > 0)
            *end = offset + used;
        offset += bytes.size;
    }
}
