/*
 * resp_log.c: commands as canonical RESP arrays, for the log, and back.
 */
#include "base/mem.h"
#include "resp_internal.h"

/* "$0\r\n\r\n": no argument takes fewer bytes, so a count is bounded by the bytes that are there. */
#define ARGUMENT_SIZE_MIN   ((size_t)6)
#define ARGV_FIRST_CAPACITY 8

void resp_append_command(struct buf *buf, const struct slice *args, size_t count)
{
    size_t size = RESP_HEADER_MAX;
    for (size_t index = 0; index < count; index++)
        size += RESP_HEADER_MAX + args[index].size + 2;
    char *const start = buf_reserve(buf, size);
    char *out = resp_write_header(start, '*', count);
    for (size_t index = 0; index < count; index++) {
        out = resp_write_header(out, '$', args[index].size);
        if (args[index].size > 0)
            memcpy(out, args[index].data, args[index].size);
        out += args[index].size;
        *out++ = '\r';
        *out++ = '\n';
    }
    buf->size += (size_t)(out - start);
}

/* <type><number>\r\n at *position: false if there is anything else. */
static bool take_number(const char **position, const char *end, char type, uint64_t *number)
{
    const char *const at = *position;
    if (at == end || *at != type)
        return false;
    const size_t left = (size_t)(end - at);
    const char *const line_end = memchr(at, '\r', left < RESP_HEADER_MAX ? left : RESP_HEADER_MAX);
    if (line_end == NULL || end - line_end < 2 || line_end[1] != '\n')
        return false;
    *position = line_end + 2;
    return slice_to_uint64(slice_of(at + 1, (size_t)(line_end - at) - 1), number);
}

enum status resp_read_command(
    struct slice bytes, struct slice **argv, int *argv_capacity, int *argc, size_t *size)
{
    if (bytes.size == 0)
        return ST_END;
    const char *position = bytes.data;
    const char *const end = bytes.data + bytes.size;
    uint64_t count;
    if (!take_number(&position, end, '*', &count) || count == 0)
        return ST_CORRUPT;
    if (count > (size_t)(end - position) / ARGUMENT_SIZE_MIN || count > RESP_ARGUMENT_COUNT_MAX)
        return ST_CORRUPT;
    if (count > (uint64_t)*argv_capacity) {
        const uint64_t capacity = count < ARGV_FIRST_CAPACITY ? ARGV_FIRST_CAPACITY : count;
        *argv = mem_realloc(*argv, capacity * sizeof(**argv));
        *argv_capacity = (int)capacity;
    }
    for (uint64_t index = 0; index < count; index++) {
        uint64_t argument_size;
        if (!take_number(&position, end, '$', &argument_size))
            return ST_CORRUPT;
        const size_t left = (size_t)(end - position);
        if (left < 2 || argument_size > left - 2)
            return ST_CORRUPT;
        (*argv)[index] = slice_of(position, argument_size);
        position += argument_size;
        if (position[0] != '\r' || position[1] != '\n')
            return ST_CORRUPT;
        position += 2;
    }
    *argc = (int)count;
    *size = (size_t)(position - bytes.data);
    return ST_OK;
}
