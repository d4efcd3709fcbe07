/*
 * buf.c: growing bytes.
 */
#include "base/check.h"
#include "base/mem.h"
#include "base/slice.h"

#include <stdarg.h>

enum { CAPACITY_MIN = 64 };

void buf_deinit(struct buf *buf)
{
    mem_free(buf->data);
    *buf = (struct buf){0};
}

void buf_clear(struct buf *buf)
{
    buf->size = 0;
}

static void grow(struct buf *buf, size_t more)
{
    size_t needed;
    CHECK(!add_overflows(buf->size, more, &needed));
    size_t capacity = buf->capacity + buf->capacity / 2;
    if (capacity < CAPACITY_MIN)
        capacity = CAPACITY_MIN;
    if (capacity < needed)
        capacity = needed;
    buf->data = mem_realloc(buf->data, capacity);
    buf->capacity = capacity;
}

char *buf_reserve(struct buf *buf, size_t more)
{
    if (buf->capacity - buf->size < more || buf->data == NULL)
        grow(buf, more);
    return buf->data + buf->size;
}

void buf_append(struct buf *buf, const void *data, size_t size)
{
    if (size == 0)
        return;
    memcpy(buf_reserve(buf, size), data, size);
    buf->size += size;
}

void buf_append_slice(struct buf *buf, struct slice slice)
{
    buf_append(buf, slice.data, slice.size);
}

void buf_append_text(struct buf *buf, const char *text)
{
    buf_append(buf, text, strlen(text));
}

void buf_append_byte(struct buf *buf, char byte)
{
    *buf_reserve(buf, 1) = byte;
    buf->size++;
}

void buf_append_int64(struct buf *buf, int64_t value)
{
    buf->size += int64_to_text(value, buf_reserve(buf, 24));
}

void buf_append_format(struct buf *buf, const char *format, ...)
{
    const size_t first_try = 128;
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    char *const out = buf_reserve(buf, first_try);
    const int length = vsnprintf(out, first_try, format, arguments);
    CHECK(length >= 0);
    /* vsnprintf() wants room for a NUL, which is not counted in size. */
    if ((size_t)length >= first_try) {
        char *const longer = buf_reserve(buf, (size_t)length + 1);
        (void)vsnprintf(longer, (size_t)length + 1, format, again);
    }
    buf->size += (size_t)length;
    va_end(again);
    va_end(arguments);
}

void buf_consume(struct buf *buf, size_t count)
{
    CHECK(count <= buf->size);
    if (count == 0)
        return;
    buf->size -= count;
    memmove(buf->data, buf->data + count, buf->size);
}

static void append_little_endian(struct buf *buf, uint64_t value, size_t size)
{
    char *const out = buf_reserve(buf, size);
    for (size_t index = 0; index < size; index++)
        out[index] = (char)(uint8_t)(value >> (8 * index));
    buf->size += size;
}

void buf_append_u16(struct buf *buf, uint16_t value)
{
    append_little_endian(buf, value, 2);
}

void buf_append_u32(struct buf *buf, uint32_t value)
{
    append_little_endian(buf, value, 4);
}

void buf_append_u64(struct buf *buf, uint64_t value)
{
    append_little_endian(buf, value, 8);
}

void buf_append_varint(struct buf *buf, uint64_t value)
{
    char *const out = buf_reserve(buf, 10);
    size_t size = 0;
    for (; value >= 0x80; value >>= 7)
        out[size++] = (char)(uint8_t)(value | 0x80);
    out[size++] = (char)(uint8_t)value;
    buf->size += size;
}
