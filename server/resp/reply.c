/*
 * reply.c: replies in RESP2 and RESP3, appended to the output's last chunk.
 *
 * Everything short goes through room(), one comparison and a few stores. Deferred headers leave a gap of
 * RESP_HEADER_MAX bytes in their chunk, which is closed when the count is known: what follows in that one chunk moves
 * down, later chunks stay where they are.
 */
#include "base/mem.h"
#include "resp_internal.h"

#include <stdarg.h>
#include <stdio.h>

/* Strings of this size and more are sent from their blob. */
#define BY_REFERENCE_MIN ((size_t)16 * 1024)
/* An error with its '-' and CR LF has fewer bytes than 1,000. */
#define ERROR_TEXT_MAX ((size_t)990)

static void append_chunk(struct resp_output *output, struct resp_chunk *chunk)
{
    if (output->tail == NULL)
        output->head = chunk;
    else
        output->tail->next = chunk;
    output->tail = chunk;
    output->memory_size += sizeof(*chunk) + chunk->capacity + chunk->blob_size;
}

static struct resp_chunk *add_chunk(struct resp_output *output)
{
    struct resp_chunk *const chunk = resp_chunk_borrow(output->pool);
    append_chunk(output, chunk);
    return chunk;
}

/* Room for size bytes at most (far less than a chunk), in one piece; filled() says how many were used. */
static inline char *room(struct resp_output *output, size_t size)
{
    struct resp_chunk *chunk = output->tail;
    if (unlikely(chunk == NULL || chunk->capacity - chunk->size < size))
        chunk = add_chunk(output);
    return chunk->data + chunk->size;
}

static inline void filled(struct resp_output *output, const char *end)
{
    struct resp_chunk *const chunk = output->tail;
    const size_t size = (size_t)(end - (chunk->data + chunk->size));
    chunk->size += (uint32_t)size;
    output->pending_size += size;
}

static void append(struct resp_output *output, const char *data, size_t size)
{
    while (size > 0) {
        struct resp_chunk *chunk = output->tail;
        if (chunk == NULL || chunk->size == chunk->capacity)
            chunk = add_chunk(output);
        const size_t left = chunk->capacity - chunk->size;
        const size_t part = size < left ? size : left;
        memcpy(chunk->data + chunk->size, data, part);
        chunk->size += (uint32_t)part;
        output->pending_size += part;
        data += part;
        size -= part;
    }
}

static void append_header(struct resp_output *output, char type, uint64_t value)
{
    filled(output, resp_write_header(room(output, RESP_HEADER_MAX), type, value));
}

void reply_raw(struct resp_output *output, const void *data, size_t size)
{
    if (!output->muted)
        append(output, data, size);
}

/* <type><text>\r\n */
static void append_line(struct resp_output *output, char type, const char *text, size_t size)
{
    append(output, &type, 1);
    append(output, text, size);
    append(output, "\r\n", 2);
}

void reply_simple(struct resp_output *output, const char *text)
{
    if (!output->muted)
        append_line(output, '+', text, strlen(text));
}

void reply_ok(struct resp_output *output)
{
    if (output->muted)
        return;
    char *const out = room(output, 5);
    memcpy(out, "+OK\r\n", 5);
    filled(output, out + 5);
}

/* --- errors ---------------------------------------------------------------------------------------------- */

static bool ends_line(char byte)
{
    return byte == '\r' || byte == '\n';
}

static void remember_error(struct resp_output *output, const char *text, size_t size)
{
    output->error_count++;
    size_t code_size = 0;
    while (code_size < size && code_size < sizeof(output->error_code) - 1 && text[code_size] != ' ')
        code_size++;
    memcpy(output->error_code, text, code_size);
    output->error_code[code_size] = '\0';
}

void reply_error(struct resp_output *output, const char *text)
{
    size_t size = strlen(text);
    while (size > 0 && ends_line(text[0])) {
        text++;
        size--;
    }
    while (size > 0 && ends_line(text[size - 1]))
        size--;
    if (size > ERROR_TEXT_MAX)
        size = ERROR_TEXT_MAX;
    remember_error(output, text, size);
    if (output->muted)
        return;
    char *const out = room(output, size + 3);
    out[0] = '-';
    for (size_t index = 0; index < size; index++)
        out[1 + index] = ends_line(text[index]) ? ' ' : text[index];
    memcpy(out + 1 + size, "\r\n", 2);
    filled(output, out + size + 3);
}

void reply_error_format(struct resp_output *output, const char *format, ...)
{
    char text[ERROR_TEXT_MAX + 32];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    reply_error(output, text);
}

uint64_t reply_error_count(const struct resp_output *output)
{
    return output->error_count;
}

const char *reply_error_code(const struct resp_output *output)
{
    return output->error_code;
}

/* --- numbers and strings ------------------------------------------------------------------------------------- */

void reply_integer(struct resp_output *output, int64_t value)
{
    if (output->muted)
        return;
    char *out = room(output, RESP_HEADER_MAX);
    if (likely(value >= 0)) {
        out = resp_write_header(out, ':', (uint64_t)value);
    } else {
        *out = ':';
        out = resp_write_header(out + 1, '-', 0 - (uint64_t)value);
    }
    filled(output, out);
}

void reply_bulk(struct resp_output *output, struct slice bytes)
{
    if (output->muted)
        return;
    struct resp_chunk *const chunk = output->tail;
    if (likely(
            bytes.size < RESP_CHUNK_CAPACITY / 4 ||
            (chunk != NULL && chunk->capacity - chunk->size > bytes.size + RESP_HEADER_MAX + 2))) {
        char *out = room(output, bytes.size + RESP_HEADER_MAX + 2);
        out = resp_write_header(out, '$', bytes.size);
        if (likely(bytes.size > 0))
            memcpy(out, bytes.data, bytes.size);
        out += bytes.size;
        out[0] = '\r';
        out[1] = '\n';
        filled(output, out + 2);
        return;
    }
    append_header(output, '$', bytes.size);
    append(output, bytes.data, bytes.size);
    append(output, "\r\n", 2);
}

void reply_bulk_text(struct resp_output *output, const char *text)
{
    reply_bulk(output, slice_text(text));
}

void reply_bulk_integer(struct resp_output *output, int64_t value)
{
    char text[24];
    const char *const end = resp_write_int64(text, value);
    reply_bulk(output, slice_of(text, (size_t)(end - text)));
}

/* The blob's bytes come next, and what follows behind them, in the same chunk. */
static void append_blob(struct resp_output *output, struct blob *blob, size_t size)
{
    struct resp_chunk *const chunk = mem_alloc(RESP_BLOB_CHUNK_SIZE);
    *chunk = (struct resp_chunk){
        .blob = blob_ref(blob),
        .blob_size = size,
        .capacity = (uint32_t)(RESP_BLOB_CHUNK_SIZE - sizeof(*chunk)),
    };
    append_chunk(output, chunk);
    output->pending_size += size;
}

void reply_value(struct resp_output *output, const struct value *value)
{
    if (output->muted)
        return;
    CHECK(value->type == VALUE_STRING);
    if (value->encoding == VALUE_ENCODING_INT) {
        reply_bulk_integer(output, value->integer);
        return;
    }
    struct blob *const blob = value->blob;
    if (blob == NULL || value->bytes.size < BY_REFERENCE_MIN || value->bytes.data != blob->data) {
        reply_bulk(output, value->bytes);
        return;
    }
    append_header(output, '$', value->bytes.size);
    append_blob(output, blob, value->bytes.size);
    append(output, "\r\n", 2);
}

void reply_verbatim(struct resp_output *output, const char format[4], struct slice bytes)
{
    if (output->protocol < 3) {
        reply_bulk(output, bytes);
        return;
    }
    if (output->muted)
        return;
    append_header(output, '=', bytes.size + 4);
    append(output, format, 3);
    append(output, ":", 1);
    append(output, bytes.data, bytes.size);
    append(output, "\r\n", 2);
}

void reply_double(struct resp_output *output, double value)
{
    char text[32];
    const size_t size = resp_double_to_text(value, text);
    if (output->protocol < 3)
        reply_bulk(output, slice_of(text, size));
    else if (!output->muted)
        append_line(output, ',', text, size);
}

void reply_bool(struct resp_output *output, bool value)
{
    if (output->protocol < 3)
        reply_integer(output, value);
    else
        reply_raw(output, value ? "#t\r\n" : "#f\r\n", 4);
}

/* --- null and aggregates -------------------------------------------------------------------------------------- */

void reply_null(struct resp_output *output)
{
    if (output->muted)
        return;
    char *const out = room(output, 5);
    if (output->protocol < 3) {
        memcpy(out, "$-1\r\n", 5);
        filled(output, out + 5);
    } else {
        memcpy(out, "_\r\n", 3);
        filled(output, out + 3);
    }
}

void reply_null_array(struct resp_output *output)
{
    if (output->protocol < 3)
        reply_raw(output, "*-1\r\n", 5);
    else
        reply_raw(output, "_\r\n", 3);
}

/* How the connection's protocol writes an aggregate of RESP3. */
static void adapt_aggregate(const struct resp_output *output, char *type, size_t *count)
{
    if (output->protocol >= 3)
        return;
    if (*type == '%')
        *count *= 2;
    *type = '*';
}

static void append_aggregate(struct resp_output *output, char type, size_t count)
{
    if (output->muted)
        return;
    adapt_aggregate(output, &type, &count);
    append_header(output, type, count);
}

void reply_array(struct resp_output *output, size_t count)
{
    append_aggregate(output, '*', count);
}

void reply_map(struct resp_output *output, size_t pair_count)
{
    append_aggregate(output, '%', pair_count);
}

void reply_set(struct resp_output *output, size_t count)
{
    append_aggregate(output, '~', count);
}

void reply_push(struct resp_output *output, size_t count)
{
    append_aggregate(output, '>', count);
}

struct reply_deferred reply_deferred_begin(struct resp_output *output)
{
    if (output->muted)
        return (struct reply_deferred){0};
    const char *const gap = room(output, RESP_HEADER_MAX);
    struct resp_chunk *const chunk = output->tail;
    const size_t offset = (size_t)(gap - chunk->data);
    filled(output, gap + RESP_HEADER_MAX);
    chunk->open_count++;
    return (struct reply_deferred){.chunk = chunk, .offset = offset};
}

void reply_deferred_end(
    struct resp_output *output, struct reply_deferred deferred, char type, size_t count)
{
    struct resp_chunk *const chunk = deferred.chunk;
    if (chunk == NULL)
        return;
    CHECK(chunk->open_count > 0);
    chunk->open_count--;
    adapt_aggregate(output, &type, &count);
    char *const gap = chunk->data + deferred.offset;
    char *const gap_end = gap + RESP_HEADER_MAX;
    char *const header_end = resp_write_header(gap, type, count);
    const size_t surplus = (size_t)(gap_end - header_end);
    memmove(header_end, gap_end, (size_t)(chunk->data + chunk->size - gap_end));
    chunk->size -= (uint32_t)surplus;
    output->pending_size -= surplus;
}
