/*
 * aof_segment.c: the files of the log: their names, how one comes into being, and the spare.
 *
 *   tmp ── first frame ── fdatasync ── rename to %020llu.aof ── fsync(directory) ──► a segment
 *
 * (1) A segment begins with a frame without payload whose lsn and D are the number in the name. It is durable before the
 *     file has its name, so a named file without it is damaged, or belongs to another store.
 * (2) The log is durable up to that number before the segment is made. So the first frame of a segment at y
 *     is a proof that everything before y had been durable, like any D (H10).
 * (3) Every step can be repeated after a crash or failure (H19): the tmp file is rewritten, and the rename replaces
 *     a segment of the same name, which can only be one that holds nothing.
 *
 * Files are filled with zeros ahead (spare.aof.tmp), so that an fdatasync of a frame moves data only: this doubles
 * its rate. The spare may be an old segment. Its frames are not taken for new ones: their sums were seeded with another
 * first LSN. A first LSN never comes back, as a segment that held something ends beyond its own.
 */
#include "aof_internal.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"

#include <inttypes.h>

enum { NAME_DIGITS = 20 };
static const char name_end[] = ".aof";

void aof_segments_deinit(struct aof_segments *segments)
{
    mem_free(segments->items);
    *segments = (struct aof_segments){0};
}

void aof_segments_add(struct aof_segments *segments, struct aof_segment segment)
{
    if (segments->count == segments->capacity) {
        segments->capacity = segments->capacity == 0 ? 16 : segments->capacity * 2;
        segments->items =
            mem_realloc(segments->items, segments->capacity * sizeof(*segments->items));
    }
    segments->items[segments->count++] = segment;
}

void aof_segments_remove_first(struct aof_segments *segments)
{
    CHECK(segments->count > 0);
    segments->count--;
    memmove(segments->items, segments->items + 1, segments->count * sizeof(*segments->items));
}

enum status aof_directory_check(const char *directory, struct error *error)
{
    if (strlen(directory) > AOF_DIRECTORY_LENGTH_MAX)
        return error_set(error, ST_INVALID, 0, "the path of the log is longer than %d bytes",
            AOF_DIRECTORY_LENGTH_MAX);
    return ST_OK;
}

void aof_path(char out[AOF_PATH_SIZE], const char *directory, const char *name)
{
    const int size = snprintf(out, AOF_PATH_SIZE, "%s/%s", directory, name);
    CHECK(size > 0 && size < AOF_PATH_SIZE);
}

void aof_segment_path(char out[AOF_PATH_SIZE], const char *directory, uint64_t first_lsn)
{
    char name[NAME_DIGITS + sizeof(name_end)];
    (void)snprintf(name, sizeof(name), "%0*" PRIu64 "%s", NAME_DIGITS, first_lsn, name_end);
    aof_path(out, directory, name);
}

bool aof_segment_name_parse(const char *name, uint64_t *first_lsn)
{
    if (strlen(name) != NAME_DIGITS + sizeof(name_end) - 1 ||
        strcmp(name + NAME_DIGITS, name_end) != 0)
        return false;
    uint64_t value = 0;
    for (int index = 0; index < NAME_DIGITS; index++) {
        if (name[index] < '0' || name[index] > '9')
            return false;
        if (mul_overflows(value, (uint64_t)10, &value) ||
            add_overflows(value, (uint64_t)(name[index] - '0'), &value))
            return false;
    }
    *first_lsn = value;
    return true;
}

/* Names come sorted, and their order is that of the numbers. */
static bool add_name(void *context, const char *name)
{
    uint64_t first_lsn;
    if (aof_segment_name_parse(name, &first_lsn))
        aof_segments_add(context, (struct aof_segment){.first_lsn = first_lsn});
    return true;
}

enum status aof_segments_list(
    const char *directory, struct aof_segments *segments, struct error *error)
{
    return file_list(directory, add_name, segments, error);
}

/* The first frame, with the terminator after it. */
static enum status write_header(const struct aof_segment_request *request, struct hash_stream *hash,
    struct aof_segment_file *segment, struct error *error)
{
    char bytes[AOF_LINE_SIZE_MAX + AOF_TERMINATOR_SIZE] = {0};
    const struct aof_line line = {
        .lsn = request->first_lsn, .unix_ms = clock_wall_ms(), .durable_lsn = request->first_lsn};
    const size_t size = aof_line_encode(
        bytes, &line, slice_of(NULL, 0), aof_seed(request->store_id, request->first_lsn), hash);
    memset(bytes + size, 0, sizeof(bytes) - size);
    segment->header_size = size;
    segment->offset = size;
    return file_write_at(segment->file, 0, bytes, size + AOF_TERMINATOR_SIZE, NULL, error);
}

static enum status fill_tmp(const struct aof_segment_request *request, struct hash_stream *hash,
    struct aof_segment_file *segment, bool *sync_failed, struct error *error)
{
    enum status status = ST_OK;
    if (!request->is_spare)
        status = file_truncate(segment->file, 0, error);
    if (status == ST_OK)
        status = write_header(request, hash, segment, error);
    if (status != ST_OK)
        return status;
    status = file_sync(segment->file, error);
    *sync_failed = status != ST_OK;
    return status;
}

enum status aof_segment_create(const struct aof_segment_request *request, struct hash_stream *hash,
    struct aof_segment_file *segment, bool *sync_failed, struct error *error)
{
    *sync_failed = false;
    struct aof_segment_file made = {.first_lsn = request->first_lsn};
    char path[AOF_PATH_SIZE];
    aof_segment_path(path, request->directory, request->first_lsn);

    enum status status = file_open(request->tmp_path, FILE_MODE_CREATE, &made.file, error);
    if (status != ST_OK)
        return status;
    status = fill_tmp(request, hash, &made, sync_failed, error);
    file_close(made.file);
    made.file = NULL;
    if (status == ST_OK)
        status = file_rename(request->tmp_path, path, error);
    if (status != ST_OK)
        return status;
    status = file_sync_directory(request->directory, error);
    if (status != ST_OK) {
        *sync_failed = true;
        return status;
    }
    /* Opened anew, so that what is said about the file names it. */
    status = file_open(path, FILE_MODE_WRITE, &made.file, error);
    if (status == ST_OK)
        status = file_size(made.file, &made.size_bytes, error);
    if (status != ST_OK) {
        file_close(made.file);
        return status;
    }
    *segment = made;
    return ST_OK;
}

enum status aof_spare_fill(const char *path, uint64_t size_bytes, struct error *error)
{
    struct file *file = NULL;
    enum status status = file_open(path, FILE_MODE_CREATE, &file, error);
    if (status != ST_OK)
        return status;
    uint64_t present = 0;
    status = file_size(file, &present, error);
    if (status == ST_OK && present > size_bytes)
        status = file_truncate(file, size_bytes, error);
    if (status == ST_OK && present < size_bytes)
        status = file_fill_zero(file, present, size_bytes - present, error);
    if (status == ST_OK)
        status = file_sync(file, error);
    file_close(file);
    return status;
}
