/*
 * log_support.c: see log_support.h.
 */
#include "log_support.h"

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"

#include <unistd.h>

static void on_durable(void *context, uint64_t durable_lsn)
{
    struct test_log *const log = context;
    atomic_store_explicit(&log->durable_lsn, durable_lsn, memory_order_release);
    while (atomic_load_explicit(&log->is_held, memory_order_acquire))
        (void)usleep(200);
}

static void on_health(void *context, enum status status, bool fatal, const struct error *error)
{
    struct test_log *const log = context;
    CHECK((error != NULL) == (status != ST_OK));
    atomic_store_explicit(&log->health, (int)status, memory_order_release);
    atomic_fetch_add_explicit(&log->health_calls, 1, memory_order_release);
    if (fatal)
        atomic_fetch_add_explicit(&log->fatal_calls, 1, memory_order_release);
}

void test_log_init(struct test_log *log, uint64_t segment_size)
{
    *log = (struct test_log){.directory = test_directory_create(), .store_id = LOG_STORE_ID};
    log->options = (struct aof_options){.sync_mode = AOF_SYNC_NO,
        .segment_size = (int64_t)segment_size,
        .buffer_limit = (int64_t)(64 * MiB)};
}

void test_log_deinit(struct test_log *log)
{
    test_log_close(log);
    mem_free(log->items);
    log->items = NULL;
}

/* Where the log on disk ends; 0 if there is none. */
static enum status find_end(const struct test_log *log, uint64_t *end_lsn, struct error *error)
{
    *end_lsn = 0;
    struct aof_reader *reader = NULL;
    enum status status =
        aof_reader_open(log->directory, log->store_id, log->last_cut_lsn, &reader, error);
    if (status == ST_NOT_FOUND)
        return ST_OK;
    if (status != ST_OK)
        return status;
    struct aof_frame frame;
    do {
        status = aof_reader_next(reader, &frame, error);
    } while (status == ST_OK);
    if (status == ST_END) {
        const struct aof_tail *const tail = aof_reader_tail(reader);
        *end_lsn = tail->end_lsn;
        status = aof_cut_tail(log->directory, tail, error);
    }
    aof_reader_close(reader);
    return status;
}

enum status test_log_try_open(struct test_log *log, struct error *error)
{
    CHECK(log->aof == NULL);
    uint64_t end_lsn = 0;
    const enum status status = find_end(log, &end_lsn, error);
    if (status != ST_OK)
        return status;
    /* What a crash lost is gone from the model too. */
    while (log->item_count > 0 && log->items[log->item_count - 1].lsn_after > end_lsn)
        log->item_count--;
    const struct aof_hooks hooks = {.durable = on_durable, .health = on_health, .context = log};
    return aof_open(
        log->directory, log->store_id, end_lsn, &log->options, &hooks, &log->aof, error);
}

void test_log_open(struct test_log *log)
{
    struct error error = {0};
    const enum status status = test_log_try_open(log, &error);
    ck_assert_msg(status == ST_OK, "%s", error.message);
}

void test_log_close(struct test_log *log)
{
    atomic_store_explicit(&log->is_held, false, memory_order_release);
    aof_close(log->aof);
    log->aof = NULL;
}

static char fill_byte(uint32_t number, size_t index)
{
    return (char)('a' + (number * 7 + index) % 26);
}

/* One answer for all bytes: an assertion of Check's costs a system call. */
static bool is_filled(const char *body, uint32_t number, size_t size)
{
    size_t index = ITEM_SIZE_MIN;
    while (index < size && body[index] == fill_byte(number, index))
        index++;
    return index >= size;
}

char *test_body_create(uint32_t number, size_t size)
{
    CHECK(size >= ITEM_SIZE_MIN);
    char *const body = mem_alloc(size + 1);
    (void)snprintf(body, size + 1, "B%08u%08zu\n", number, size);
    for (size_t index = ITEM_SIZE_MIN; index < size; index++)
        body[index] = fill_byte(number, index);
    return body;
}

uint64_t test_log_append(struct test_log *log, uint32_t context, uint32_t after, size_t size)
{
    const uint32_t number = (uint32_t)log->item_count;
    char prefix[PREFIX_SIZE + 1];
    (void)snprintf(prefix, sizeof(prefix), "P%08u\n", context);
    char *const body = test_body_create(number, size);
    const struct aof_append append = {.context = context,
        .after_context = after,
        .prefix = slice_of(prefix, PREFIX_SIZE),
        .body = slice_of(body, size)};
    const uint64_t lsn_after = aof_append(log->aof, &append);
    mem_free(body);
    log->items = mem_realloc(log->items, (log->item_count + 1) * sizeof(*log->items));
    log->items[log->item_count++] = (struct item){
        .context = context, .after_context = after, .lsn_after = lsn_after, .size = size};
    return lsn_after;
}

uint64_t test_log_append_durable(struct test_log *log, size_t size)
{
    const uint64_t lsn = test_log_append(log, 0, 0, size);
    ck_assert_int_eq(aof_wait_durable(log->aof, lsn), ST_OK);
    return lsn;
}

void test_log_wait_written(const struct test_log *log)
{
    struct aof_metrics metrics;
    for (;;) {
        aof_metrics_read(log->aof, &metrics);
        if (metric_get(&metrics, pending_bytes) == 0)
            return;
        (void)usleep(200);
    }
}

/* --- reading -------------------------------------------------------------------------------------------- */

static uint32_t number_at(const char *text)
{
    char digits[9];
    memcpy(digits, text, 8);
    digits[8] = '\0';
    return (uint32_t)strtoul(digits, NULL, 10);
}

struct parser {
    const struct test_log *log;
    size_t item; /* the next one expected */
};

/* One frame: a prefix first, then items; a prefix in between only where the context changes. */
static void parse_frame(struct parser *parser, const struct aof_frame *frame)
{
    const char *const data = frame->payload.data;
    const size_t size = frame->payload.size;
    size_t at = 0;
    uint32_t context = 0;
    while (at < size) {
        const struct item *const item = &parser->log->items[parser->item];
        ck_assert_uint_lt(parser->item, parser->log->item_count);
        if (data[at] == 'P') {
            ck_assert_uint_ge(size - at, PREFIX_SIZE + ITEM_SIZE_MIN);
            const uint32_t prefix = number_at(data + at + 1);
            ck_assert_msg(at == 0 || prefix != context, "a prefix that was not needed");
            context = prefix;
            at += PREFIX_SIZE;
        } else {
            ck_assert_msg(at != 0, "a frame without prefix");
        }
        ck_assert_int_eq(data[at], 'B');
        ck_assert_uint_ge(size - at, ITEM_SIZE_MIN);
        ck_assert_uint_eq(number_at(data + at + 1), parser->item);
        ck_assert_uint_eq(number_at(data + at + 9), item->size);
        ck_assert_uint_ge(size - at, item->size);
        ck_assert_uint_eq(context, item->context);
        ck_assert(is_filled(data + at, (uint32_t)parser->item, item->size));
        at += item->size;
        context = item->after_context;
        ck_assert_uint_eq(frame->lsn + at, item->lsn_after);
        parser->item++;
    }
}

struct log_reading test_log_read(
    const struct test_log *log, uint64_t from_lsn, size_t first_item, struct buf *keep_frames)
{
    struct log_reading reading = {0};
    struct aof_reader *reader = NULL;
    reading.status =
        aof_reader_open(log->directory, log->store_id, from_lsn, &reader, &reading.error);
    if (reading.status != ST_OK)
        return reading;
    struct parser parser = {.log = log, .item = first_item};
    uint64_t lsn = from_lsn;
    struct aof_frame frame;
    while ((reading.status = aof_reader_next(reader, &frame, &reading.error)) == ST_OK) {
        ck_assert_uint_eq(frame.lsn, lsn);
        ck_assert_uint_le(frame.durable_lsn, frame.lsn);
        if (keep_frames != NULL)
            buf_append(keep_frames, &frame.lsn, sizeof(frame.lsn));
        parse_frame(&parser, &frame);
        lsn += frame.payload.size;
        reading.frame_count++;
    }
    if (reading.status == ST_END) {
        reading.tail = *aof_reader_tail(reader);
        ck_assert_uint_eq(reading.tail.end_lsn, lsn);
        ck_assert_int_eq(aof_reader_next(reader, &frame, &reading.error), ST_END);
    }
    reading.item_count = parser.item - first_item;
    aof_reader_close(reader);
    return reading;
}

void test_log_check_whole(const struct test_log *log)
{
    const struct log_reading reading = test_log_read(log, 0, 0, NULL);
    ck_assert_msg(reading.status == ST_END, "%s", reading.error.message);
    ck_assert_uint_eq(reading.item_count, log->item_count);
    ck_assert(!reading.tail.torn);
    ck_assert_uint_eq(reading.tail.offset, 0);
    ck_assert_uint_eq(reading.tail.dropped_bytes, 0);
}

/* --- files ------------------------------------------------------------------------------------------------ */

void test_file_read(const char *path, struct buf *content)
{
    struct error error = {0};
    buf_clear(content);
    ck_assert_msg(file_read_whole(path, 1 * GiB, content, &error) == ST_OK, "%s", error.message);
}

void test_file_write(const char *path, struct slice content)
{
    struct file *file = NULL;
    ck_assert_int_eq(file_open(path, FILE_MODE_CREATE, &file, NULL), ST_OK);
    ck_assert_int_eq(file_truncate(file, 0, NULL), ST_OK);
    ck_assert_int_eq(file_write_at(file, 0, content.data, content.size, NULL, NULL), ST_OK);
    file_close(file);
}

struct name_filter {
    const char *end;
    struct test_names *names;
};

static bool keep_name(void *context, const char *name)
{
    const struct name_filter *const filter = context;
    const size_t size = strlen(name);
    const size_t end_size = strlen(filter->end);
    if (size >= end_size && strcmp(name + size - end_size, filter->end) == 0) {
        CHECK(filter->names->count < COUNT_OF(filter->names->names));
        filter->names->names[filter->names->count++] = mem_string(name);
    }
    return true;
}

void test_names_list(const struct test_log *log, const char *end, struct test_names *names)
{
    *names = (struct test_names){0};
    struct name_filter filter = {.end = end, .names = names};
    ck_assert_int_eq(file_list(log->directory, keep_name, &filter, NULL), ST_OK);
}

void test_names_deinit(struct test_names *names)
{
    for (size_t index = 0; index < names->count; index++)
        mem_free(names->names[index]);
    names->count = 0;
}

const char *test_log_path(const struct test_log *log, const char *name)
{
    static char path[1024];
    (void)snprintf(path, sizeof(path), "%s/%s", log->directory, name);
    return path;
}

void test_log_copy(const struct test_log *log, struct test_log *copy)
{
    test_log_init(copy, (uint64_t)log->options.segment_size);
    copy->store_id = log->store_id;
    copy->last_cut_lsn = log->last_cut_lsn;
    copy->item_count = log->item_count;
    copy->items = mem_alloc((log->item_count + 1) * sizeof(*log->items));
    if (log->item_count > 0)
        memcpy(copy->items, log->items, log->item_count * sizeof(*log->items));
    struct test_names names;
    test_names_list(log, ".aof", &names);
    struct buf content = {0};
    for (size_t index = 0; index < names.count; index++) {
        test_file_read(test_log_path(log, names.names[index]), &content);
        test_file_write(test_log_path(copy, names.names[index]), buf_slice(&content));
    }
    buf_deinit(&content);
    test_names_deinit(&names);
}
