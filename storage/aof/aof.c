/*
 * aof.c: the log as its users see it: open, append, wait, release, figures. aof_writer.c has the picture.
 *
 * aof_append() is the hot path: one lock, two copies, and a wake-up only when the log thread sleeps with nothing
 * to do. Whatever can wait for a disk is on the log thread, or in functions that say so.
 */
#include "aof_internal.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <inttypes.h>

#define SYNC_LATE_US ((uint64_t)2000000)

const char *const aof_sync_mode_names[] = {"always", "everysec", "no", NULL};

/* --- open --------------------------------------------------------------------------------------------------- */

/*
 * The log on disk must end at end_lsn. What is unreadable behind it is cut (again, if the caller did), and the
 * segment that holds the end is cut to its size: nothing is ever appended to it.
 */
static enum status check_end(
    const char *directory, uint64_t store_id, uint64_t end_lsn, struct error *error)
{
    struct aof_reader *reader = NULL;
    enum status status = aof_reader_open(directory, store_id, end_lsn, &reader, error);
    if (status == ST_NOT_FOUND)
        return ST_OK; /* no log yet */
    if (status != ST_OK)
        return status;
    struct aof_frame frame;
    status = aof_reader_next(reader, &frame, error);
    uint64_t first_lsn = 0;
    uint64_t offset = 0;
    struct aof_tail tail = {0};
    if (status == ST_END) {
        tail = *aof_reader_tail(reader);
        aof_reader_end_position(reader, &first_lsn, &offset);
    }
    aof_reader_close(reader);
    if (status == ST_OK)
        return error_set(error, ST_INVALID, 0,
            "the log in %s goes on after LSN %" PRIu64 ", where it was to be continued", directory,
            end_lsn);
    if (status != ST_END)
        return status;
    status = aof_cut_tail(directory, &tail, error);
    if (status != ST_OK)
        return status;

    char path[AOF_PATH_SIZE];
    aof_segment_path(path, directory, first_lsn);
    struct file *file = NULL;
    status = file_open(path, FILE_MODE_WRITE, &file, error);
    if (status != ST_OK)
        return status;
    status = file_truncate(file, offset, error);
    file_close(file);
    return status;
}

/* Makes what recovery has read durable (H13): it may have sat in the page cache only. */
static enum status sync_kept(struct aof *aof, uint64_t end_lsn, struct error *error)
{
    struct aof_segments found = {0};
    enum status status = aof_segments_list(aof->directory, &found, error);
    for (size_t index = 0; status == ST_OK && index < found.count; index++) {
        struct aof_segment segment = found.items[index];
        if (segment.first_lsn >= end_lsn)
            continue; /* holds nothing; the new segment takes its name */
        char path[AOF_PATH_SIZE];
        aof_segment_path(path, aof->directory, segment.first_lsn);
        struct file *file = NULL;
        status = file_open(path, FILE_MODE_WRITE, &file, error);
        if (status == ST_OK)
            status = file_sync(file, error);
        if (status == ST_OK)
            status = file_size(file, &segment.size_bytes, error);
        file_close(file);
        if (status == ST_OK)
            aof_segments_add(&aof->segments, segment);
    }
    aof_segments_deinit(&found);
    if (status == ST_OK)
        status = file_sync_directory(aof->directory, error);
    return status;
}

/* What a crash left of segments that got no name. */
static bool remove_tmp(void *context, const char *name)
{
    const size_t size = strlen(name);
    static const char end[] = ".aof.tmp";
    const size_t end_size = sizeof(end) - 1;
    const bool is_tmp = size > end_size && strcmp(name + size - end_size, end) == 0;
    if (is_tmp && strcmp(name, AOF_SPARE_NAME) != 0) {
        char path[AOF_PATH_SIZE];
        aof_path(path, context, name);
        if (file_unlink(path, NULL) != ST_OK)
            log_warn("aof: cannot remove what a crash left path=%s", path);
    }
    return true;
}

static enum status open_files(struct aof *aof, uint64_t end_lsn, struct error *error)
{
    enum status status = file_make_directory(aof->directory, error);
    if (status == ST_OK)
        status = check_end(aof->directory, aof->store_id, end_lsn, error);
    if (status == ST_OK)
        status = file_list(aof->directory, remove_tmp, aof->directory, error);
    if (status == ST_OK)
        status = sync_kept(aof, end_lsn, error);
    if (status != ST_OK)
        return status;
    aof->spare = AOF_SPARE_BUSY;
    aof_spare_prepare(aof);
    bool sync_failed = false;
    status = aof_writer_next_segment(aof, end_lsn, &sync_failed, error);
    if (status != ST_OK)
        return status;
    aof->spare = AOF_SPARE_BUSY;
    aof_spare_prepare(aof);
    return ST_OK;
}

static struct aof *create(const char *directory, uint64_t store_id, uint64_t end_lsn,
    const struct aof_options *options, const struct aof_hooks *hooks)
{
    struct aof *const aof = mem_alloc_zero(sizeof(*aof));
    aof->directory = mem_string(directory);
    aof->store_id = store_id;
    aof->segment_size = (uint64_t)OPTION_GET(options, segment_size);
    aof->start_lsn = end_lsn;
    aof->options = options;
    if (hooks != NULL)
        aof->hooks = *hooks;
    mutex_init(&aof->lock, LOCK_RANK_LOG);
    condition_init(&aof->work);
    condition_init(&aof->progress);
    aof->open = aof_group_create();
    atomic_init(&aof->end_lsn, end_lsn);
    atomic_init(&aof->written_lsn, end_lsn);
    atomic_init(&aof->durable_lsn, end_lsn);
    atomic_init(&aof->health, ST_OK);
    aof->writer.hash = hash_stream_create(0);
    aof->writer.last_sync_us = clock_monotonic_us();
    aof->writer.last_mode = (enum aof_sync_mode)OPTION_GET(options, sync_mode);
    return aof;
}

static void destroy(struct aof *aof)
{
    file_close(aof->writer.segment.file);
    hash_stream_destroy(aof->writer.hash);
    aof_group_list_destroy_all(&aof->writer.work);
    aof_group_list_destroy_all(&aof->sealed);
    struct aof_group_list free_list = {.head = aof->free_groups};
    aof_group_list_destroy_all(&free_list);
    aof_group_destroy(aof->open);
    aof_segments_deinit(&aof->segments);
    condition_deinit(&aof->progress);
    condition_deinit(&aof->work);
    mutex_deinit(&aof->lock);
    mem_free(aof->directory);
    mem_free(aof);
}

enum status aof_open(const char *directory, uint64_t store_id, uint64_t end_lsn,
    const struct aof_options *options, const struct aof_hooks *hooks, struct aof **aof_out,
    struct error *error)
{
    enum status status = aof_directory_check(directory, error);
    if (status != ST_OK)
        return status;
    struct aof *const aof = create(directory, store_id, end_lsn, options, hooks);
    status = open_files(aof, end_lsn, error);
    if (status != ST_OK) {
        destroy(aof);
        return status;
    }
    thread_start(&aof->thread, "log", aof_writer_main, aof);
    *aof_out = aof;
    return ST_OK;
}

void aof_close(struct aof *aof)
{
    if (aof == NULL)
        return;
    mutex_lock(&aof->lock);
    aof->is_stopping = true;
    const bool wake = aof_must_wake(aof, AOF_SLEEP_STOP);
    mutex_unlock(&aof->lock);
    if (wake)
        condition_signal(&aof->work);
    thread_join(&aof->thread);
    destroy(aof);
}

/* --- append ------------------------------------------------------------------------------------------------- */

static uint64_t end_of(struct aof *aof)
{
    return atomic_load_explicit(&aof->end_lsn, memory_order_relaxed); /* under the lock */
}

/* An open group with room for need bytes. */
static struct aof_group *make_room(struct aof *aof, size_t need, bool *wake) REQUIRES(&aof->lock)
{
    if (aof->open->size > 0 && aof->open->size + need > AOF_GROUP_SIZE_MAX) {
        aof_seal_open(aof);
        *wake = aof_must_wake(aof, AOF_SLEEP_GATHER);
    }
    if (need > aof->open->capacity - aof->open->size)
        aof_group_grow(aof->open, need);
    return aof->open;
}

static void begin_group(struct aof *aof, struct aof_group *group) REQUIRES(&aof->lock)
{
    const uint64_t now_us = clock_monotonic_us();
    group->first_lsn = end_of(aof);
    group->begun_us = now_us == 0 ? 1 : now_us;
    if (atomic_load_explicit(&aof->oldest_us, memory_order_relaxed) == 0)
        atomic_store_explicit(&aof->oldest_us, group->begun_us, memory_order_relaxed);
}

static size_t put(char *to, struct slice bytes)
{
    if (bytes.size > 0)
        memcpy(to, bytes.data, bytes.size);
    return bytes.size;
}

uint64_t aof_append(struct aof *aof, const struct aof_append *append)
{
    bool wake = false;
    const size_t need = append->prefix.size + append->body.size;
    mutex_lock(&aof->lock);
    struct aof_group *group = aof->open;
    if (unlikely(need > group->capacity - group->size))
        group = make_room(aof, need, &wake);
    const bool is_first = group->size == 0;
    if (is_first)
        begin_group(aof, group);
    char *const to = aof_group_payload(group) + group->size;
    size_t size = 0;
    if (is_first || group->context != append->context)
        size = put(to, append->prefix);
    size += put(to + size, append->body);
    group->size += size;
    group->context = append->after_context;
    const uint64_t end_lsn = end_of(aof) + size;
    /* Partner: the acquire load in aof_end_lsn(). */
    atomic_store_explicit(&aof->end_lsn, end_lsn, memory_order_release);
    if (aof->sleep == AOF_SLEEP_IDLE)
        wake = aof_must_wake(aof, AOF_SLEEP_IDLE);
    mutex_unlock(&aof->lock);
    if (wake)
        condition_signal(&aof->work);
    return end_lsn;
}

uint64_t aof_cut(struct aof *aof)
{
    mutex_lock(&aof->lock);
    if (aof->open->size > 0)
        aof_seal_open(aof);
    const uint64_t end_lsn = end_of(aof);
    mutex_unlock(&aof->lock);
    return end_lsn;
}

enum status aof_wait_durable(struct aof *aof, uint64_t lsn)
{
    CHECK_MAY_BLOCK();
    CHECK(lsn <= aof_end_lsn(aof));
    if (aof_durable_lsn(aof) >= lsn)
        return ST_OK;
    mutex_lock(&aof->lock);
    if (aof->forced_lsn < lsn)
        aof->forced_lsn = lsn;
    aof->waiter_count++;
    if (aof_must_wake(aof, AOF_SLEEP_GATHER))
        condition_signal(&aof->work);
    while (aof_durable_lsn(aof) < lsn && aof_health(aof) == ST_OK)
        condition_wait(&aof->progress, &aof->lock);
    aof->waiter_count--;
    const enum status status = aof_durable_lsn(aof) >= lsn ? ST_OK : aof_health(aof);
    mutex_unlock(&aof->lock);
    return status;
}

/* --- figures -------------------------------------------------------------------------------------------------- */

uint64_t aof_end_lsn(const struct aof *aof)
{
    return atomic_load_explicit(&aof->end_lsn, memory_order_acquire);
}

uint64_t aof_durable_lsn(const struct aof *aof)
{
    return atomic_load_explicit(&aof->durable_lsn, memory_order_acquire);
}

uint64_t aof_pending_bytes(const struct aof *aof)
{
    /* In this order: what is written never passes the end that is read after it. */
    const uint64_t written = atomic_load_explicit(&aof->written_lsn, memory_order_acquire);
    return aof_end_lsn(aof) - written;
}

bool aof_has_room(const struct aof *aof)
{
    return aof_pending_bytes(aof) <= (uint64_t)OPTION_GET(aof->options, buffer_limit) &&
           aof_health(aof) != ST_CLOSED;
}

enum status aof_health(const struct aof *aof)
{
    return (enum status)atomic_load_explicit(&aof->health, memory_order_acquire);
}

bool aof_sync_is_late(const struct aof *aof)
{
    const uint64_t oldest_us = atomic_load_explicit(&aof->oldest_us, memory_order_relaxed);
    return oldest_us != 0 && OPTION_GET(aof->options, sync_mode) == AOF_SYNC_EVERYSEC &&
           clock_monotonic_us() > oldest_us + SYNC_LATE_US;
}

uint64_t aof_first_lsn(const struct aof *aof)
{
    return atomic_load_explicit(&aof->first_lsn, memory_order_acquire);
}

void aof_metrics_read(const struct aof *aof, struct aof_metrics *metrics)
{
#define COPY(field, kind, help) metric_set(metrics, field, metric_get(&aof->metrics, field));
    AOF_METRICS(COPY)
#undef COPY
    metric_set(metrics, appended_bytes, aof_end_lsn(aof) - aof->start_lsn);
    metric_set(metrics, pending_bytes, aof_pending_bytes(aof));
    const uint64_t last_bytes = atomic_load_explicit(&aof->segment_bytes, memory_order_relaxed);
    metric_set(metrics, file_bytes, metric_get(&aof->metrics, file_bytes) + last_bytes);
}

void aof_count_segments(struct aof *aof)
{
    uint64_t bytes = 0;
    for (size_t index = 0; index + 1 < aof->segments.count; index++)
        bytes += aof->segments.items[index].size_bytes;
    metric_set(&aof->metrics, segment_count, aof->segments.count);
    metric_set(&aof->metrics, file_bytes, bytes); /* without the last */
    atomic_store_explicit(&aof->first_lsn, aof->segments.items[0].first_lsn, memory_order_release);
}

/* --- release -------------------------------------------------------------------------------------------------- */

/* Filling a disk to its end, if only for a moment, would fail the writes of others. */
static bool has_space_for(const struct aof *aof, uint64_t size)
{
    uint64_t free_bytes;
    uint64_t total_bytes;
    return file_system_space(aof->directory, &free_bytes, &total_bytes, NULL) == ST_OK &&
           free_bytes / 4 >= size;
}

void aof_spare_prepare(struct aof *aof)
{
    char path[AOF_PATH_SIZE];
    aof_path(path, aof->directory, AOF_SPARE_NAME);
    const uint64_t size =
        aof->segment_size < AOF_FILL_SIZE_MAX ? aof->segment_size : AOF_FILL_SIZE_MAX;
    struct error error;
    enum status status = ST_AGAIN;
    if (file_exists(path) || has_space_for(aof, size)) {
        status = aof_spare_fill(path, size, &error);
        if (status != ST_OK) {
            /* Not needed, only faster; its space serves better elsewhere. */
            log_warn("aof: no spare segment: %s", error.message);
            if (file_unlink(path, NULL) != ST_OK && file_exists(path))
                log_warn("aof: cannot remove the spare segment path=%s", path);
        }
    }
    mutex_lock(&aof->lock);
    aof->spare = status == ST_OK ? AOF_SPARE_READY : AOF_SPARE_NONE;
    mutex_unlock(&aof->lock);
}

/* Takes the oldest segment off the list if it ends at or below lsn. *as_spare: there is none, and it is large enough. */
static bool take_released(
    struct aof *aof, uint64_t lsn, struct aof_segment *segment, bool *as_spare)
{
    mutex_lock(&aof->lock);
    const struct aof_segments *const segments = &aof->segments;
    /* A segment ends where the next begins. The last is being written to. */
    const bool found = segments->count >= 2 && segments->items[1].first_lsn <= lsn;
    if (found) {
        *segment = segments->items[0];
        *as_spare = aof->spare == AOF_SPARE_NONE && segment->size_bytes >= aof->segment_size / 2;
        if (*as_spare)
            aof->spare = AOF_SPARE_BUSY;
        aof_segments_remove_first(&aof->segments);
        aof_count_segments(aof);
    }
    mutex_unlock(&aof->lock);
    return found;
}

void aof_release(struct aof *aof, uint64_t lsn)
{
    CHECK_MAY_BLOCK();
    struct aof_segment segment;
    bool as_spare;
    while (take_released(aof, lsn, &segment, &as_spare)) {
        char path[AOF_PATH_SIZE];
        aof_segment_path(path, aof->directory, segment.first_lsn);
        char spare_path[AOF_PATH_SIZE];
        aof_path(spare_path, aof->directory, AOF_SPARE_NAME);
        struct error error;
        const enum status status =
            as_spare ? file_rename(path, spare_path, &error) : file_unlink(path, &error);
        /* A segment that stays is found at the next start, and released then. */
        if (status != ST_OK)
            log_warn("aof: segment not released: %s", error.message);
        if (as_spare)
            aof_spare_prepare(aof);
    }
    mutex_lock(&aof->lock);
    const bool is_missing = aof->spare == AOF_SPARE_NONE && aof_health(aof) == ST_OK;
    if (is_missing)
        aof->spare = AOF_SPARE_BUSY;
    mutex_unlock(&aof->lock);
    if (is_missing)
        aof_spare_prepare(aof);
}
