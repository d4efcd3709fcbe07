/*
 * fuzz_aof_reader.c: logs made of any bytes.
 *
 * An input is a log of up to three segments: a byte of flags, then segments separated by "\n@<first LSN>\n". Mutations never get a
 * sum right, so with flag 1 the sums of all lines that parse are set right first; whatever the lines say is then believed. Flag 2
 * begins reading at the second segment's LSN, flag 4 opens the log for writing afterwards.
 *
 * Whatever the bytes: frames come in order and hang together, the end is an end, a cut tail is clean, and a log that was read can
 * be continued.
 */
#include "aof_internal.h"
#include "base/check.h"
#include "base/mem.h"
#include "fuzz_setup.h"

#include <stdlib.h>
#include <unistd.h>

enum { FLAG_SIGN = 1, FLAG_SECOND = 2, FLAG_OPEN = 4, SEGMENTS_MAX = 3, STORE_ID = 7 };

static char directory[64];

static void remove_directory(void)
{
    (void)rmdir(directory);
}

static void make_directory(void)
{
    if (directory[0] != '\0')
        return;
    /* Memory, where there is such a place: thousands of files come and go. */
    (void)snprintf(directory, sizeof(directory), "%s/kelvin-fuzz-XXXXXX",
        access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    CHECK(mkdtemp(directory) != NULL);
    CHECK(atexit(remove_directory) == 0);
}

static bool remove_file(void *context, const char *name)
{
    (void)context;
    char path[AOF_PATH_SIZE];
    aof_path(path, directory, name);
    CHECK(file_unlink(path, NULL) == ST_OK);
    return true;
}

/* Sets the sums of the lines right, from the start on. */
static void sign(char *data, size_t size, uint64_t seed)
{
    struct hash_stream *const hash = hash_stream_create(seed);
    size_t at = 0;
    while (at < size) {
        struct aof_line line;
        if (!aof_line_parse(slice_of(data + at, size - at), &line) ||
            line.payload_size > size - at - line.line_size) {
            at++;
            continue;
        }
        char text[AOF_LINE_SIZE_MAX];
        const struct slice payload =
            slice_of(data + at + line.line_size, (size_t)line.payload_size);
        CHECK(aof_line_encode(text, &line, payload, seed, hash) == line.line_size);
        memcpy(data + at, text, line.line_size);
        at += line.line_size + payload.size;
    }
    hash_stream_destroy(hash);
}

static void write_segment(uint64_t first_lsn, struct slice content, bool is_signed)
{
    char path[AOF_PATH_SIZE];
    aof_segment_path(path, directory, first_lsn);
    char *const copy = mem_alloc(content.size);
    if (content.size > 0)
        memcpy(copy, content.data, content.size);
    if (is_signed)
        sign(copy, content.size, aof_seed(STORE_ID, first_lsn));
    struct file *file = NULL;
    CHECK(file_open(path, FILE_MODE_CREATE, &file, NULL) == ST_OK);
    CHECK(file_write_at(file, 0, copy, content.size, NULL, NULL) == ST_OK);
    file_close(file);
    mem_free(copy);
}

/* The separator at or after from: its place and size, and the LSN in it. False if there is none. */
static bool find_separator(
    struct slice input, size_t from, size_t *at, size_t *size, uint64_t *first_lsn)
{
    for (size_t index = from; index + 3 < input.size; index++) {
        if (input.data[index] != '\n' || input.data[index + 1] != '@')
            continue;
        const char *const number = input.data + index + 2;
        const char *const end = memchr(number, '\n', input.size - index - 2);
        if (end == NULL)
            return false;
        if (!slice_to_uint64(slice_of(number, (size_t)(end - number)), first_lsn))
            continue;
        *at = index;
        *size = (size_t)(end - input.data) + 1 - index;
        return true;
    }
    return false;
}

/* Returns the LSN of the second segment, 0 if there is none. */
static uint64_t write_log(struct slice input, bool is_signed)
{
    uint64_t first_lsn = 0;
    uint64_t second_lsn = 0;
    size_t from = 0;
    for (int count = 0; count < SEGMENTS_MAX; count++) {
        size_t at = input.size;
        size_t size = 0;
        uint64_t next_lsn = 0;
        const bool has_next = find_separator(input, from, &at, &size, &next_lsn);
        write_segment(first_lsn, slice_of(input.data + from, at - from), is_signed);
        if (!has_next)
            break;
        if (count == 0)
            second_lsn = next_lsn;
        first_lsn = next_lsn;
        from = at + size;
    }
    return second_lsn;
}

static enum status read_all(uint64_t from_lsn, struct aof_tail *tail)
{
    struct aof_reader *reader = NULL;
    struct error error = {0};
    enum status status = aof_reader_open(directory, STORE_ID, from_lsn, &reader, &error);
    if (status == ST_OK) {
        uint64_t lsn = from_lsn;
        struct aof_frame frame;
        uint8_t touched = 0;
        while ((status = aof_reader_next(reader, &frame, &error)) == ST_OK) {
            CHECK(frame.lsn == lsn);
            CHECK(frame.durable_lsn <= lsn);
            CHECK(frame.payload.size > 0);
            touched ^= (uint8_t)frame.payload.data[0];
            touched ^= (uint8_t)frame.payload.data[frame.payload.size - 1];
            lsn += frame.payload.size;
        }
        (void)touched;
        if (status == ST_END) {
            *tail = *aof_reader_tail(reader);
            CHECK(tail->end_lsn == lsn);
        }
        aof_reader_close(reader);
    }
    CHECK(status == ST_END || status == ST_CORRUPT);
    CHECK(status == ST_END || error.message[0] != '\0');
    return status;
}

static void open_and_append(uint64_t end_lsn)
{
    const struct aof_options options = {
        .sync_mode = AOF_SYNC_NO, .segment_size = 4096, .buffer_limit = 1 << 20};
    struct aof *aof = NULL;
    struct error error;
    const enum status status = aof_open(directory, STORE_ID, end_lsn, &options, NULL, &aof, &error);
    CHECK(status == ST_OK);
    const struct aof_append append = {.body = SLICE_LITERAL("more")};
    if (end_lsn < UINT64_MAX - 4)
        (void)aof_append(aof, &append);
    aof_close(aof);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    make_directory();
    const uint8_t flags = data[0];
    const struct slice input = slice_of(data + 1, size - 1);
    const uint64_t second_lsn = write_log(input, (flags & FLAG_SIGN) != 0);
    const uint64_t from_lsn = (flags & FLAG_SECOND) != 0 ? second_lsn : 0;
    struct aof_tail tail = {0};
    if (read_all(from_lsn, &tail) == ST_END) {
        CHECK(aof_cut_tail(directory, &tail, NULL) == ST_OK);
        struct aof_tail again = {0};
        CHECK(read_all(from_lsn, &again) == ST_END);
        CHECK(!again.torn);
        CHECK(again.end_lsn == tail.end_lsn);
        if ((flags & FLAG_OPEN) != 0) {
            open_and_append(tail.end_lsn);
            CHECK(read_all(from_lsn, &again) == ST_END);
            CHECK(!again.torn);
            CHECK(again.end_lsn == tail.end_lsn || again.end_lsn == tail.end_lsn + 4);
        }
    }
    CHECK(file_list(directory, remove_file, NULL, NULL) == ST_OK);
    return 0;
}
