/*
 * cold_record.c: the bytes of a record.
 *
 *   offset  size     field
 *   0       u32 LE   header sum: low half of XXH3-64 over bytes 4 to the end of the header, seeded by XXH3-64 of the full
 *                    key's bytes (itself seeded by the space): a record under a key that is not its own is damage
 *   4       u32 LE   payload sum: low half of XXH3-64, seed 0, over the payload as stored
 *   8       u8       version, 1
 *   9       u8       type      (enum value_type)
 *   10      u8       encoding  (enum value_encoding)
 *   11      u8       flags: 1 compressed, 2 chunked, 4 long key, 8 key in chunks, 16 expires,
 *                    32 parts of the value expire
 *   12      u16 LE   dictionary, 0 (reserved)
 *   14      u64 LE   expiry, wall clock ms            only if it expires
 *           u64 LE   expiry of the first part, ms              only if parts expire
 *           varint   size of the value, uncompressed
 *           varint   size of the payload as stored    only if chunked
 *           u64 LE   generation of the chunks         only if chunked
 *           varint   size of the full key             only if the key is long
 *                    ── end of the header ──
 *                    the full key                     only if long, and not in chunks
 *                    the payload as stored            only if not chunked
 *
 * Chunks of a generation are 4 080 B each but the last: those of the payload numbered from 0, then those of the full
 * key, if it is in chunks, from the next number. A key may be in chunks only if the payload is too.
 *
 * (1) The header can be trusted without reading the payload: TTL, TYPE and SCAN touch one page.
 * (2) The header's sum covers the payload's, and through its seed the key.
 * (3) A payload is compressed (one zstd frame without magic, content size, checksum and dictionary id) or exactly the value.
 */
#include "base/check.h"
#include "cold_internal.h"

enum { RECORD_VERSION = 1, SUMMED_OFFSET = 4 };

uint64_t cold_record_seed(struct slice key, uint32_t space)
{
    return hash_sum64(key.data, key.size, space);
}

bool cold_record_header_valid(const struct cold_record *record, struct slice key, uint32_t space)
{
    return hash_sum32(record->summed.data, record->summed.size, cold_record_seed(key, space)) ==
           record->header_sum;
}

static bool flags_agree(unsigned flags)
{
    if ((flags & ~(unsigned)COLD_RECORD_FLAGS_ALL) != 0)
        return false;
    const unsigned both = COLD_RECORD_CHUNKED | COLD_RECORD_LONG_KEY;
    return (flags & COLD_RECORD_KEY_CHUNKED) == 0 || (flags & both) == both;
}

static bool sizes_agree(const struct cold_record *record)
{
    const uint64_t raw_size = record->header.value_size;
    if (raw_size > COLD_PAYLOAD_SIZE_MAX || record->stored_size > 2 * COLD_PAYLOAD_SIZE_MAX)
        return false;
    if ((record->flags & COLD_RECORD_COMPRESSED) == 0)
        return record->stored_size == raw_size;
    return raw_size <= cold_decompress_bound(record->stored_size);
}

/* The variable part of the header, after the flags. */
static bool parse_fields(struct reader *reader, struct cold_record *record, uint16_t dictionary)
{
    if (dictionary != 0)
        return false;
    if ((record->flags & COLD_RECORD_EXPIRES) != 0) {
        record->header.expire_ms = reader_u64(reader);
        if (record->header.expire_ms == 0)
            return false;
    }
    if ((record->flags & COLD_RECORD_WAKES) != 0) {
        record->header.wake_ms = reader_u64(reader);
        if (record->header.wake_ms == 0)
            return false;
    }
    record->header.value_size = reader_varint(reader);
    if ((record->flags & COLD_RECORD_CHUNKED) != 0) {
        record->stored_size = reader_varint(reader);
        record->generation = reader_u64(reader);
        if (record->generation == 0)
            return false;
    }
    if ((record->flags & COLD_RECORD_LONG_KEY) != 0) {
        const uint64_t key_size = reader_varint(reader);
        if (key_size <= COLD_KEY_SHORT_MAX - COLD_SPACE_SIZE || key_size > KEY_SIZE_MAX)
            return false;
        record->key_size = (uint32_t)key_size;
    }
    return !reader->failed;
}

enum status cold_record_parse(struct slice bytes, struct cold_record *record)
{
    *record = (struct cold_record){0};
    struct reader reader = reader_of(bytes);
    record->header_sum = reader_u32(&reader);
    record->payload_sum = reader_u32(&reader);
    const unsigned version = reader_u8(&reader);
    const unsigned type = reader_u8(&reader);
    const unsigned encoding = reader_u8(&reader);
    record->flags = reader_u8(&reader);
    const uint16_t dictionary = reader_u16(&reader);
    if (reader.failed || version != RECORD_VERSION || !flags_agree(record->flags))
        return ST_CORRUPT;
    if (type >= VALUE_TYPE_COUNT || encoding >= VALUE_ENCODING_COUNT)
        return ST_CORRUPT;
    record->header.type = (enum value_type)type;
    record->header.encoding = (enum value_encoding)encoding;
    if (!parse_fields(&reader, record, dictionary))
        return ST_CORRUPT;

    const size_t header_size = bytes.size - reader_left(&reader);
    record->summed = slice_of(bytes.data + SUMMED_OFFSET, header_size - SUMMED_OFFSET);
    if ((record->flags & COLD_RECORD_LONG_KEY) != 0 &&
        (record->flags & COLD_RECORD_KEY_CHUNKED) == 0)
        record->key = reader_bytes(&reader, record->key_size);
    if (reader.failed)
        return ST_CORRUPT;
    if ((record->flags & COLD_RECORD_CHUNKED) == 0) {
        record->stored_size = reader_left(&reader);
        record->payload = reader_bytes(&reader, reader_left(&reader));
    } else if (reader_left(&reader) > 0) {
        return ST_CORRUPT;
    }
    return sizes_agree(record) ? ST_OK : ST_CORRUPT;
}

static uint8_t *put_le(uint8_t *out, uint64_t number, size_t size)
{
    for (size_t index = 0; index < size; index++)
        out[index] = (uint8_t)(number >> (8 * index));
    return out + size;
}

static uint8_t *put_varint(uint8_t *out, uint64_t number)
{
    while (number >= 0x80) {
        *out++ = (uint8_t)(number | 0x80);
        number >>= 7;
    }
    *out++ = (uint8_t)number;
    return out;
}

size_t cold_record_header_encode(
    const struct cold_record *record, uint64_t seed, uint8_t out[COLD_RECORD_HEADER_MAX])
{
    CHECK(flags_agree(record->flags));
    CHECK(sizes_agree(record));
    CHECK(((record->flags & COLD_RECORD_EXPIRES) != 0) == (record->header.expire_ms != 0));
    CHECK(((record->flags & COLD_RECORD_WAKES) != 0) == (record->header.wake_ms != 0));
    uint8_t *at = put_le(out + SUMMED_OFFSET, record->payload_sum, 4);
    *at++ = RECORD_VERSION;
    *at++ = (uint8_t)record->header.type;
    *at++ = (uint8_t)record->header.encoding;
    *at++ = (uint8_t)record->flags;
    at = put_le(at, 0, 2);
    if ((record->flags & COLD_RECORD_EXPIRES) != 0)
        at = put_le(at, record->header.expire_ms, 8);
    if ((record->flags & COLD_RECORD_WAKES) != 0)
        at = put_le(at, record->header.wake_ms, 8);
    at = put_varint(at, record->header.value_size);
    if ((record->flags & COLD_RECORD_CHUNKED) != 0) {
        at = put_varint(at, record->stored_size);
        at = put_le(at, record->generation, 8);
    }
    if ((record->flags & COLD_RECORD_LONG_KEY) != 0)
        at = put_varint(at, record->key_size);
    const size_t size = (size_t)(at - out);
    CHECK(size <= COLD_RECORD_HEADER_MAX);
    (void)put_le(out, hash_sum32(out + SUMMED_OFFSET, size - SUMMED_OFFSET, seed), 4);
    return size;
}

enum status cold_record_payload(const struct cold_record *record, ZSTD_DCtx *dctx, char *out)
{
    const struct slice payload = record->payload;
    if (hash_sum32(payload.data, payload.size, 0) != record->payload_sum)
        return ST_CORRUPT;
    if ((record->flags & COLD_RECORD_COMPRESSED) != 0)
        return cold_decompress(dctx, payload, out, (size_t)record->header.value_size) ? ST_OK
                                                                                      : ST_CORRUPT;
    if (payload.size > 0)
        memcpy(out, payload.data, payload.size);
    return ST_OK;
}
