/*
 * reader.c: reading what buf.c's fixed-width and varint functions wrote, from bytes that may be damaged.
 */
#include "base/slice.h"

static const uint8_t *take(struct reader *reader, size_t size)
{
    if (reader->failed || size > reader_left(reader)) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t *const data = reader->position;
    if (size > 0) /* NULL + 0 is undefined, and an empty slice may have no address */
        reader->position += size;
    return data;
}

static uint64_t read_little_endian(struct reader *reader, size_t size)
{
    const uint8_t *const data = take(reader, size);
    if (data == NULL)
        return 0;
    uint64_t value = 0;
    for (size_t index = 0; index < size; index++)
        value |= (uint64_t)data[index] << (8 * index);
    return value;
}

uint8_t reader_u8(struct reader *reader)
{
    return (uint8_t)read_little_endian(reader, 1);
}

uint16_t reader_u16(struct reader *reader)
{
    return (uint16_t)read_little_endian(reader, 2);
}

uint32_t reader_u32(struct reader *reader)
{
    return (uint32_t)read_little_endian(reader, 4);
}

uint64_t reader_u64(struct reader *reader)
{
    return read_little_endian(reader, 8);
}

uint64_t reader_varint(struct reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const uint8_t *const byte = take(reader, 1);
        if (byte == NULL)
            return 0;
        /* The tenth byte has one bit left to give. */
        if (shift == 63 && *byte > 1)
            break;
        value |= (uint64_t)(*byte & 0x7f) << shift;
        if (*byte < 0x80)
            return value;
    }
    reader->failed = true;
    return 0;
}

struct slice reader_bytes(struct reader *reader, size_t size)
{
    const uint8_t *const data = take(reader, size);
    return data == NULL ? slice_of(NULL, 0) : slice_of(data, size);
}
