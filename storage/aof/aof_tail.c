/*
 * aof_tail.c: cuts the unreadable end off the log, and keeps it for those who want to look.
 *
 *   1. segments after the torn one        rename to <segment>.torn-<ms>
 *   2. the rest of the torn segment       copy to <segment>.torn-<ms>, fdatasync
 *   3. the torn segment                   cut to its last frame, fdatasync
 *   4. the directory                      fsync
 *
 * After a crash or failure between any two, reading again finds the same end, and a second call does what is left (H19);
 * at worst the rest is copied twice. Nothing here is part of the log, so only 3 must be durable in order.
 */
#include "aof_internal.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"

#include <inttypes.h>

#define COPY_SIZE ((size_t)1 * MiB)

struct cut {
    const char *directory;
    const struct aof_tail *tail;
    uint64_t first_lsn; /* of the torn segment */
    uint64_t now_ms;
};

static enum status torn_path(
    const struct cut *cut, const char *path, char out[AOF_PATH_SIZE], struct error *error)
{
    const int size = snprintf(out, AOF_PATH_SIZE, "%s.torn-%" PRIu64, path, cut->now_ms);
    if (size < 0 || size >= AOF_PATH_SIZE)
        return error_set(error, ST_INVALID, 0, "the path %s is too long", path);
    return ST_OK;
}

static enum status move_later_segments(const struct cut *cut, struct error *error)
{
    struct aof_segments segments = {0};
    enum status status = aof_segments_list(cut->directory, &segments, error);
    for (size_t index = 0; status == ST_OK && index < segments.count; index++) {
        if (segments.items[index].first_lsn <= cut->first_lsn)
            continue;
        char path[AOF_PATH_SIZE];
        char aside[AOF_PATH_SIZE];
        aof_segment_path(path, cut->directory, segments.items[index].first_lsn);
        status = torn_path(cut, path, aside, error);
        if (status == ST_OK)
            status = file_rename(path, aside, error);
    }
    aof_segments_deinit(&segments);
    return status;
}

static enum status copy_bytes(
    struct file *from, uint64_t offset, struct file *to, struct error *error)
{
    char *const piece = mem_alloc(COPY_SIZE);
    enum status status = ST_OK;
    uint64_t done = 0;
    for (;;) {
        size_t size = 0;
        status = file_read_at(from, offset + done, piece, COPY_SIZE, &size, error);
        if (status != ST_OK || size == 0)
            break;
        status = file_write_at(to, done, piece, size, NULL, error);
        if (status != ST_OK)
            break;
        done += size;
    }
    mem_free(piece);
    return status;
}

/* The rest, without the zeros at its end. */
static enum status copy_aside(
    const struct cut *cut, struct file *segment, uint64_t used_end, struct error *error)
{
    char path[AOF_PATH_SIZE];
    enum status status = torn_path(cut, cut->tail->path, path, error);
    if (status != ST_OK)
        return status;
    struct file *aside = NULL;
    status = file_open(path, FILE_MODE_CREATE, &aside, error);
    if (status != ST_OK)
        return status;
    status = copy_bytes(segment, cut->tail->offset, aside, error);
    if (status == ST_OK)
        status = file_truncate(aside, used_end - cut->tail->offset, error);
    if (status == ST_OK)
        status = file_sync(aside, error);
    file_close(aside);
    return status;
}

static enum status used_end_of(const struct cut *cut, uint64_t *end, struct error *error)
{
    struct aof_scan scan;
    /* The sums do not matter here, so neither does the store. */
    enum status status = aof_scan_open(&scan, cut->directory, 0, cut->first_lsn, error);
    if (status != ST_OK)
        return status;
    status = aof_scan_used_end(&scan, cut->tail->offset, end, error);
    aof_scan_close(&scan);
    return status;
}

static enum status cut_segment(const struct cut *cut, struct error *error)
{
    uint64_t used_end = 0;
    enum status status = used_end_of(cut, &used_end, error);
    if (status != ST_OK)
        return status;
    struct file *segment = NULL;
    status = file_open(cut->tail->path, FILE_MODE_WRITE, &segment, error);
    if (status != ST_OK)
        return status;
    if (used_end > cut->tail->offset)
        status = copy_aside(cut, segment, used_end, error);
    uint64_t size = 0;
    if (status == ST_OK)
        status = file_size(segment, &size, error);
    if (status == ST_OK && size > cut->tail->offset)
        status = file_truncate(segment, cut->tail->offset, error);
    if (status == ST_OK)
        status = file_sync(segment, error);
    file_close(segment);
    return status;
}

enum status aof_cut_tail(const char *directory, const struct aof_tail *tail, struct error *error)
{
    if (!tail->torn)
        return ST_OK;
    struct cut cut = {.directory = directory, .tail = tail, .now_ms = clock_wall_ms()};
    const char *const slash = strrchr(tail->path, '/');
    enum status status = aof_directory_check(directory, error);
    if (status != ST_OK)
        return status;
    if (slash == NULL || !aof_segment_name_parse(slash + 1, &cut.first_lsn))
        return error_set(error, ST_INVALID, 0, "'%s' is not a segment", tail->path);
    status = move_later_segments(&cut, error);
    if (status == ST_OK)
        status = cut_segment(&cut, error);
    if (status == ST_OK)
        status = file_sync_directory(directory, error);
    return status;
}
