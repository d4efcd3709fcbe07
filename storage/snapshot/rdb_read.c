/*
 * rdb_read.c: the scalars of the format.
 *
 *   length   00nnnnnn                          6 bits
 *            01nnnnnn nnnnnnnn                 14 bits, big-endian
 *            10000000 ‖ 4 bytes big-endian,    10000001 ‖ 8 bytes big-endian
 *   string   length ‖ bytes
 *            11000000 ‖ int8,  11000001 ‖ int16 LE,  11000010 ‖ int32 LE
 *            11000011 ‖ compressed length ‖ length ‖ LZF
 */
#include "base/mem.h"
#include "snapshot_internal.h"

#include <math.h>

void rdb_scratch_deinit(struct rdb_scratch *scratch)
{
    mem_free(scratch->data);
    *scratch = (struct rdb_scratch){0};
}

static enum status scratch_reserve(struct rdb_scratch *scratch, size_t size)
{
    if (size <= scratch->capacity && scratch->data != NULL)
        return ST_OK;
    const size_t capacity = size < 64 ? 64 : size;
    char *const data = mem_try_realloc(scratch->data, capacity);
    if (data == NULL)
        return ST_NO_MEMORY;
    scratch->data = data;
    scratch->capacity = capacity;
    return ST_OK;
}

static uint64_t read_big_endian(struct reader *reader, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value = value << 8 | reader_u8(reader);
    return value;
}

#define STRING_INT8  0
#define STRING_INT16 1
#define STRING_INT32 2
#define STRING_LZF   3

/* *special: the number is one of STRING_..., not a length. */
static enum status read_length(struct reader *reader, uint64_t *length, bool *special)
{
    const unsigned first = reader_u8(reader);
    *special = false;
    *length = first & 0x3f;
    switch (first >> 6) {
    case 0: break;
    case 1: *length = *length << 8 | reader_u8(reader); break;
    case 2:
        if (first != 0x80 && first != 0x81)
            return ST_CORRUPT;
        *length = read_big_endian(reader, first == 0x80 ? 4 : 8);
        break;
    default: *special = true; break;
    }
    return reader->failed ? ST_CORRUPT : ST_OK;
}

enum status rdb_read_length(struct reader *reader, uint64_t *length)
{
    bool special = false;
    const enum status status = read_length(reader, length, &special);
    return status == ST_OK && special ? ST_CORRUPT : status;
}

static enum status read_integer_string(
    struct reader *reader, uint64_t form, struct rdb_scratch *scratch, struct slice *bytes)
{
    int64_t value = 0;
    if (form == STRING_INT8)
        value = (int8_t)reader_u8(reader);
    else if (form == STRING_INT16)
        value = (int16_t)reader_u16(reader);
    else
        value = (int32_t)reader_u32(reader);
    if (reader->failed)
        return ST_CORRUPT;
    const enum status status = scratch_reserve(scratch, 24);
    if (status == ST_OK)
        *bytes = slice_of(scratch->data, int64_to_text(value, scratch->data));
    return status;
}

static enum status read_compressed_string(
    struct reader *reader, struct rdb_scratch *scratch, struct slice *bytes)
{
    uint64_t compressed_size = 0;
    uint64_t size = 0;
    enum status status = rdb_read_length(reader, &compressed_size);
    if (status == ST_OK)
        status = rdb_read_length(reader, &size);
    if (status != ST_OK)
        return status;
    if (compressed_size > reader_left(reader) || size > VALUE_STRING_SIZE_MAX ||
        size > compressed_size * LZF_RATIO_MAX)
        return ST_CORRUPT;
    const struct slice compressed = reader_bytes(reader, (size_t)compressed_size);
    status = scratch_reserve(scratch, (size_t)size);
    if (status != ST_OK)
        return status;
    *bytes = slice_of(scratch->data, (size_t)size);
    return lzf_decompress(compressed, scratch->data, (size_t)size);
}

enum status rdb_read_string(struct reader *reader, struct rdb_scratch *scratch, struct slice *bytes)
{
    uint64_t length = 0;
    bool special = false;
    const enum status status = read_length(reader, &length, &special);
    if (status != ST_OK)
        return status;
    if (special) {
        if (length == STRING_LZF)
            return read_compressed_string(reader, scratch, bytes);
        return length > STRING_LZF ? ST_CORRUPT
                                   : read_integer_string(reader, length, scratch, bytes);
    }
    if (length > reader_left(reader) || length > VALUE_STRING_SIZE_MAX)
        return ST_CORRUPT;
    *bytes = reader_bytes(reader, (size_t)length);
    return ST_OK;
}

enum status rdb_read_text_double(struct reader *reader, double *value)
{
    const unsigned size = reader_u8(reader);
    if (reader->failed)
        return ST_CORRUPT;
    switch (size) {
    case 253: *value = (double)NAN; return ST_OK;
    case 254: *value = (double)INFINITY; return ST_OK;
    case 255: *value = -(double)INFINITY; return ST_OK;
    default: break;
    }
    const struct slice text = reader_bytes(reader, size);
    return !reader->failed && slice_to_double(text, value) ? ST_OK : ST_CORRUPT;
}

enum status rdb_read_binary_double(struct reader *reader, double *value)
{
    const uint64_t bits = reader_u64(reader);
    memcpy(value, &bits, sizeof(*value));
    return reader->failed ? ST_CORRUPT : ST_OK;
}

enum status rdb_read_time(struct reader *reader, int64_t *ms)
{
    *ms = (int64_t)reader_u64(reader);
    return reader->failed ? ST_CORRUPT : ST_OK;
}
