/*
 * aof_writer.c: the log thread: writes groups as frames, makes them durable, goes from segment to segment.
 *
 *   workers ──► open group ──► sealed groups ──► work ──write()──► segment ──fdatasync()──► D ──► hooks, waiters
 *              └────── under aof->lock ─────┘    └──────────────── log thread ──────────────┘
 *
 * (1) D <= written LSN <= end LSN. D only moves after an fdatasync that began when all before it was written.
 * (2) A group forms by itself while the thread writes or syncs what was before (group commit). In the modes other
 *     than always the thread also waits GATHER_MS, so that a busy server makes few and large frames.
 * (3) Rotation: cut the old segment to its size, fdatasync it, and only then make the next, whose first frame says
 *     so (aof_segment.c). So a segment is a proof that all before it is durable.
 * (4) After a failed write the segment is cut back to its last whole frame, and the same frame is tried again
 *     every RETRY_MS; the health says so until it succeeds (I12, H15). Groups pile up in memory meanwhile, until
 *     aof_has_room() is false.
 * (5) After a failed fsync nothing is written, and D never moves again (I12, H11). A restart recovers.
 * (6) A frame is followed by a few zeros, which the next frame overwrites: after a crash they tell the end of the
 *     log from the old bytes of a recycled file.
 *
 * Sleeping: the thread says how deeply it sleeps (enum aof_sleep), under the lock. Whoever changes something that
 * matters at that depth signals, once: appends to a busy thread cost no system call.
 */
#include "aof_internal.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <inttypes.h>

enum {
    GATHER_MS = 2,
    RETRY_MS = 100,
    FOREVER_MS = 0,
    MODE_CHECK_MS = 1000,
    TRIM_MS = 1000,
};
#define SYNC_INTERVAL_US ((uint64_t)1000000)
#define SYNC_LATE_US     ((uint64_t)2000000)
#define TRIM_US          ((uint64_t)TRIM_MS * 999) /* a little less than TRIM_MS: clocks are rounded */
#define SYNC_BYTES       (32 * MiB)

static uint64_t written_of(const struct aof *aof)
{
    return atomic_load_explicit(&aof->written_lsn, memory_order_relaxed); /* own thread */
}

static enum aof_sync_mode mode_of(const struct aof *aof)
{
    return (enum aof_sync_mode)OPTION_GET(aof->options, sync_mode);
}

/* --- health ---------------------------------------------------------------------------------------------------- */

static void set_health(struct aof *aof, enum status status, bool fatal, const struct error *error)
{
    mutex_lock(&aof->lock);
    atomic_store_explicit(&aof->health, (int)status, memory_order_release);
    condition_broadcast(&aof->progress);
    mutex_unlock(&aof->lock);
    if (aof->hooks.health != NULL)
        aof->hooks.health(aof->hooks.context, status, fatal, error);
}

static void fail_for_good(struct aof *aof, const struct error *error)
{
    aof->writer.has_failed = true;
    set_health(aof, ST_CLOSED, true, error);
}

static void report_failed_write(struct aof *aof, enum status status, const struct error *error)
{
    metric_bump(&aof->metrics, write_error_count, 1);
    if (aof->writer.has_failed)
        return; /* said already */
    const enum status health = status == ST_FULL ? ST_FULL : ST_IO;
    if (aof_health(aof) != health)
        set_health(aof, health, false, error);
}

/* --- durability ------------------------------------------------------------------------------------------------ */

/* When the oldest group that is not written was begun; 0 if there is none. */
static uint64_t oldest_pending_us(const struct aof *aof) REQUIRES(&aof->lock)
{
    if (aof->writer.work.head != NULL)
        return aof->writer.work.head->begun_us;
    if (aof->sealed.head != NULL)
        return aof->sealed.head->begun_us;
    return aof->open->size > 0 ? aof->open->begun_us : 0;
}

/* All that is written is durable. */
static void advance_durable(struct aof *aof)
{
    const uint64_t lsn = written_of(aof);
    mutex_lock(&aof->lock);
    CHECK(lsn <= aof_end_lsn(aof));
    /* Partner: the acquire load in aof_durable_lsn(). */
    atomic_store_explicit(&aof->durable_lsn, lsn, memory_order_release);
    atomic_store_explicit(&aof->oldest_us, oldest_pending_us(aof), memory_order_relaxed);
    if (aof->waiter_count > 0)
        condition_broadcast(&aof->progress);
    mutex_unlock(&aof->lock);
    if (aof->hooks.durable != NULL)
        aof->hooks.durable(aof->hooks.context, lsn);
}

static void count_sync(struct aof *aof, uint64_t started_us, uint64_t ended_us)
{
    const uint64_t took_us = ended_us - started_us;
    metric_bump(&aof->metrics, sync_count, 1);
    metric_bump(&aof->metrics, sync_us_total, took_us);
    if (took_us > metric_get(&aof->metrics, sync_us_max))
        metric_set(&aof->metrics, sync_us_max, took_us);
    const uint64_t oldest_us = atomic_load_explicit(&aof->oldest_us, memory_order_relaxed);
    if (mode_of(aof) == AOF_SYNC_EVERYSEC && oldest_us != 0 && ended_us > oldest_us + SYNC_LATE_US)
        metric_bump(&aof->metrics, delayed_sync_count, 1);
}

/* ST_OK or ST_CLOSED. */
static enum status sync_written(struct aof *aof, struct error *error)
{
    struct aof_writer *const writer = &aof->writer;
    if (aof_durable_lsn(aof) == written_of(aof))
        return ST_OK;
    const uint64_t started_us = clock_monotonic_us();
    if (file_sync(writer->segment.file, error) != ST_OK) {
        fail_for_good(aof, error);
        return ST_CLOSED;
    }
    writer->last_sync_us = clock_monotonic_us();
    writer->unsynced_bytes = 0;
    count_sync(aof, started_us, writer->last_sync_us);
    advance_durable(aof);
    return ST_OK;
}

/* Whether what is written must be made durable now; at_end: no more groups come before the thread sleeps. */
static bool sync_is_due(struct aof *aof, bool at_end)
{
    struct aof_writer *const writer = &aof->writer;
    const uint64_t durable = aof_durable_lsn(aof);
    const enum aof_sync_mode mode = mode_of(aof);
    const bool mode_has_changed = mode != writer->last_mode;
    writer->last_mode = mode;
    if (durable == written_of(aof))
        return false;
    /* A mode that is left may have connections waiting for D. */
    if (mode_has_changed)
        return true;
    if (mode == AOF_SYNC_EVERYSEC &&
        (writer->unsynced_bytes >= SYNC_BYTES ||
            clock_monotonic_us() - writer->last_sync_us >= SYNC_INTERVAL_US))
        return true;
    if (!at_end)
        return false;
    if (mode == AOF_SYNC_ALWAYS)
        return true;
    mutex_lock(&aof->lock);
    const bool is_forced = aof->forced_lsn > durable;
    mutex_unlock(&aof->lock);
    return is_forced;
}

/* --- segments --------------------------------------------------------------------------------------------------- */

static bool take_spare(struct aof *aof)
{
    mutex_lock(&aof->lock);
    const bool is_ready = aof->spare == AOF_SPARE_READY;
    if (is_ready)
        aof->spare = AOF_SPARE_BUSY;
    mutex_unlock(&aof->lock);
    return is_ready;
}

/* The spare is used, or it could not be: then it is not tried again. */
static void drop_spare(struct aof *aof, const char *path, bool is_used)
{
    if (!is_used && file_unlink(path, NULL) != ST_OK && file_exists(path))
        log_warn("aof: cannot remove the spare segment path=%s", path);
    mutex_lock(&aof->lock);
    aof->spare = AOF_SPARE_NONE;
    mutex_unlock(&aof->lock);
}

static void set_segment_size(struct aof *aof, uint64_t size_bytes)
{
    aof->writer.segment.size_bytes = size_bytes;
    atomic_store_explicit(&aof->segment_bytes, size_bytes, memory_order_relaxed);
}

enum status aof_writer_next_segment(
    struct aof *aof, uint64_t lsn, bool *sync_failed, struct error *error)
{
    struct aof_writer *const writer = &aof->writer;
    char tmp_path[AOF_PATH_SIZE];
    const bool is_spare = take_spare(aof);
    if (is_spare) {
        aof_path(tmp_path, aof->directory, AOF_SPARE_NAME);
    } else {
        char name[64];
        (void)snprintf(name, sizeof(name), "%" PRIu64 ".aof.tmp", lsn);
        aof_path(tmp_path, aof->directory, name);
    }
    const struct aof_segment_request request = {.directory = aof->directory,
        .tmp_path = tmp_path,
        .is_spare = is_spare,
        .store_id = aof->store_id,
        .first_lsn = lsn};
    struct aof_segment_file next;
    const enum status status =
        aof_segment_create(&request, writer->hash, &next, sync_failed, error);
    if (is_spare)
        drop_spare(aof, tmp_path, status == ST_OK);
    if (status != ST_OK)
        return status;

    file_close(writer->segment.file);
    mutex_lock(&aof->lock);
    if (writer->segment.file != NULL)
        aof->segments.items[aof->segments.count - 1].size_bytes = writer->segment.size_bytes;
    aof_segments_add(
        &aof->segments, (struct aof_segment){.first_lsn = lsn, .size_bytes = next.size_bytes});
    aof_count_segments(aof);
    mutex_unlock(&aof->lock);
    writer->segment = next;
    writer->segment_is_cut = false;
    set_segment_size(aof, next.size_bytes);
    return ST_OK;
}

/* Cuts the segment to its size. Zeros that stay are harmless: readers know them. */
static void cut_segment(struct aof *aof)
{
    struct aof_segment_file *const segment = &aof->writer.segment;
    struct error error;
    aof->writer.segment_is_cut = true;
    if (file_truncate(segment->file, segment->offset, &error) == ST_OK)
        set_segment_size(aof, segment->offset);
    else
        log_warn("aof: segment not cut to its size: %s", error.message);
}

static enum status rotate(struct aof *aof, struct error *error)
{
    if (!aof->writer.segment_is_cut)
        cut_segment(aof);
    enum status status = sync_written(aof, error);
    if (status != ST_OK)
        return status;
    bool sync_failed = false;
    status = aof_writer_next_segment(aof, written_of(aof), &sync_failed, error);
    if (sync_failed)
        fail_for_good(aof, error);
    return status;
}

/* --- frames ------------------------------------------------------------------------------------------------------- */

/* Puts the line before the payload, the terminator after it; the whole is returned. */
static struct slice frame_of(struct aof *aof, struct aof_group *group)
{
    const struct aof_line line = {
        .lsn = group->first_lsn, .unix_ms = clock_wall_ms(), .durable_lsn = aof_durable_lsn(aof)};
    char text[AOF_LINE_SIZE_MAX];
    char *const payload = aof_group_payload(group);
    const size_t line_size = aof_line_encode(text, &line, slice_of(payload, group->size),
        aof_seed(aof->store_id, aof->writer.segment.first_lsn), aof->writer.hash);
    memcpy(payload - line_size, text, line_size);
    memset(payload + group->size, 0, AOF_TERMINATOR_SIZE);
    return slice_of(payload - line_size, line_size + group->size);
}

/* Writes at the end of the segment; what a failure leaves is cut off. */
static enum status write_at_end(struct aof *aof, struct slice frame, struct error *error)
{
    struct aof_segment_file *const segment = &aof->writer.segment;
    const enum status status = file_write_at(
        segment->file, segment->offset, frame.data, frame.size + AOF_TERMINATOR_SIZE, NULL, error);
    if (status != ST_OK) {
        /* If even this fails, the next try overwrites the same place. */
        if (file_truncate(segment->file, segment->offset, NULL) == ST_OK)
            set_segment_size(aof, segment->offset);
        return status;
    }
    segment->offset += frame.size;
    if (segment->offset > segment->size_bytes)
        set_segment_size(aof, segment->offset);
    metric_bump(&aof->metrics, frame_count, 1);
    metric_bump(&aof->metrics, written_bytes, frame.size);
    return ST_OK;
}

static enum status write_group(struct aof *aof, struct aof_group *group, struct error *error)
{
    struct aof_writer *const writer = &aof->writer;
    CHECK(group->first_lsn == written_of(aof));
    const struct aof_segment_file *const segment = &writer->segment;
    const bool fits = segment->offset + AOF_LINE_SIZE_MAX + group->size <= aof->segment_size;
    /* A frame larger than a segment has one of its own. */
    const bool is_empty = segment->offset == segment->header_size;
    if (writer->segment_is_cut || (!fits && !is_empty)) {
        const enum status status = rotate(aof, error);
        if (status != ST_OK)
            return status;
    }
    const struct slice frame = frame_of(aof, group);
    const enum status status = write_at_end(aof, frame, error);
    if (status != ST_OK)
        return status;
    writer->unsynced_bytes += frame.size;
    /* Partner: the acquire load in pending_bytes(). */
    atomic_store_explicit(&aof->written_lsn, group->first_lsn + group->size, memory_order_release);
    return ST_OK;
}

/* Until there is none left, or one fails: that stays the first. */
static void write_groups(struct aof *aof)
{
    struct aof_writer *const writer = &aof->writer;
    while (writer->work.head != NULL) {
        struct aof_group *const group = writer->work.head;
        struct error error = {0};
        const enum status status = write_group(aof, group, &error);
        if (status != ST_OK) {
            report_failed_write(aof, status, &error);
            return;
        }
        writer->work.head = group->next;
        if (writer->work.head == NULL)
            writer->work.tail = NULL;
        aof_group_recycle(aof, group);
        if (aof_health(aof) != ST_OK)
            set_health(aof, ST_OK, false, NULL);
        if (sync_is_due(aof, false) && sync_written(aof, &error) != ST_OK)
            return;
    }
}

/* --- the thread ------------------------------------------------------------------------------------------------------ */

static void sleep_for(struct aof *aof, enum aof_sleep depth, uint64_t timeout_ms)
    REQUIRES(&aof->lock)
{
    aof->sleep = depth;
    if (timeout_ms == FOREVER_MS)
        condition_wait(&aof->work, &aof->lock);
    else
        (void)condition_wait_ms(&aof->work, &aof->lock, timeout_ms);
    aof->sleep = AOF_SLEEP_NOT;
}

/* How long an idle thread may sleep before a sync is due (or a change of the mode must be seen). */
static uint64_t idle_timeout_ms(const struct aof *aof)
{
    if (aof_durable_lsn(aof) == written_of(aof))
        return FOREVER_MS;
    if (mode_of(aof) != AOF_SYNC_EVERYSEC)
        return MODE_CHECK_MS;
    const uint64_t elapsed_us = clock_monotonic_us() - aof->writer.last_sync_us;
    return elapsed_us >= SYNC_INTERVAL_US ? 1 : (SYNC_INTERVAL_US - elapsed_us) / 1000 + 1;
}

static bool is_forced(const struct aof *aof) REQUIRES(&aof->lock)
{
    return aof->forced_lsn > aof_durable_lsn(aof);
}

static bool is_idle(const struct aof *aof) REQUIRES(&aof->lock)
{
    return aof->sealed.head == NULL && aof->open->size == 0 && !aof->is_stopping && !is_forced(aof);
}

/* Until there is something to do, or a sync may be due. After a while without appends the buffers of busier times go. */
static void sleep_idle(struct aof *aof) REQUIRES(&aof->lock)
{
    const bool is_large = aof_groups_are_large(aof);
    const uint64_t started_us = clock_monotonic_us();
    uint64_t timeout_ms = idle_timeout_ms(aof);
    if (is_large && timeout_ms == FOREVER_MS)
        timeout_ms = TRIM_MS;
    sleep_for(aof, AOF_SLEEP_IDLE, timeout_ms);
    if (is_large && is_idle(aof) && clock_monotonic_us() - started_us >= TRIM_US)
        aof_groups_trim(aof);
}

/* Sleeps until there is something to do, and takes the groups to write. True: this is the last round. */
static bool wait_for_work(struct aof *aof) REQUIRES(&aof->lock)
{
    struct aof_writer *const writer = &aof->writer;
    if (writer->has_failed) {
        while (!aof->is_stopping)
            sleep_for(aof, AOF_SLEEP_STOP, FOREVER_MS);
        return true;
    }
    if (aof_health(aof) != ST_OK) {
        if (!aof->is_stopping)
            sleep_for(aof, AOF_SLEEP_STOP, RETRY_MS);
    } else if (is_idle(aof)) {
        sleep_idle(aof);
    }
    const bool gathers = mode_of(aof) != AOF_SYNC_ALWAYS;
    if (gathers && aof->sealed.head == NULL && aof->open->size > 0 && !aof->is_stopping &&
        !is_forced(aof))
        sleep_for(aof, AOF_SLEEP_GATHER, GATHER_MS);
    /* Behind full groups the open one may wait to become one. */
    const bool takes_open =
        !gathers || aof->sealed.head == NULL || aof->is_stopping || is_forced(aof);
    if (aof->open->size > 0 && takes_open)
        aof_seal_open(aof);
    aof_group_list_splice(&writer->work, &aof->sealed);
    return aof->is_stopping;
}

/* A last frame without payload, whose D proves all before it; nothing depends on it. */
static void write_end_mark(struct aof *aof)
{
    struct aof_group *const mark = aof_group_create();
    mark->first_lsn = written_of(aof);
    const struct slice frame = frame_of(aof, mark);
    struct error error = {0};
    enum status status = write_at_end(aof, frame, &error);
    if (status == ST_OK)
        cut_segment(aof);
    if (status == ST_OK)
        status = file_sync(aof->writer.segment.file, &error);
    if (status != ST_OK)
        log_warn("aof: closed without end mark: %s", error.message);
    aof_group_destroy(mark);
}

/* Everything was written, if it could be. */
static void finish(struct aof *aof)
{
    struct error error;
    struct aof_writer *const writer = &aof->writer;
    if (!writer->has_failed && sync_written(aof, &error) == ST_OK && !writer->segment_is_cut) {
        if (writer->segment.offset > writer->segment.header_size)
            write_end_mark(aof);
        else
            cut_segment(aof);
    }
    const uint64_t end_lsn = aof_end_lsn(aof);
    if (aof_durable_lsn(aof) != end_lsn)
        log_error("aof: closed with bytes that could not be made durable count=%" PRIu64,
            end_lsn - aof_durable_lsn(aof));
}

void aof_writer_main(void *context)
{
    struct aof *const aof = context;
    bool is_last = false;
    mem_thread_uncached();
    while (!is_last) {
        mutex_lock(&aof->lock);
        is_last = wait_for_work(aof);
        mutex_unlock(&aof->lock);
        if (aof->writer.has_failed)
            continue;
        write_groups(aof);
        struct error error;
        if (!aof->writer.has_failed && sync_is_due(aof, true))
            (void)sync_written(aof, &error); /* says itself what failed */
    }
    finish(aof);
}
