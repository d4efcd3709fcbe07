/*
 * packed.c: walks over the sequences that small collections are stored as.
 *
 *   ziplist    bytes u32 ‖ offset of the last u32 ‖ count u16 ‖ { size of the one before ‖ form ‖ data } ... ‖ 0xff
 *   listpack   bytes u32 ‖ count u16 ‖ { form ‖ data ‖ size of both, backwards } ... ‖ 0xff
 *   intset     width u32 ‖ count u32 ‖ numbers, ascending
 *   zipmap     count u8 ‖ { length ‖ field ‖ length ‖ free u8 ‖ value ‖ free bytes } ... ‖ 0xff
 *
 * All numbers little-endian unless said. A count of 65 535 (zipmap: 254) means "count them". Every redundancy is checked: what a server has
 * written has none of these faults, and a fault in one place means that the others cannot be trusted.
 *
 * Formats: Redis's ziplist.c, listpack.c, intset.c and zipmap.c; the code is ours.
 */
#include "snapshot_internal.h"

#define END_BYTE       0xffu
#define COUNT_UNKNOWN  UINT16_MAX
#define ZIPLIST_HEADER 10
#define ZIPMAP_BIG     254u

static enum status at_end(const struct packed *packed)
{
    if (reader_left(&packed->reader) > 0 || (packed->counted && packed->count_left > 0))
        return ST_CORRUPT;
    return ST_END;
}

/* The end byte is next: takes it. */
static bool take_end_byte(struct packed *packed)
{
    if (reader_left(&packed->reader) == 0 || *packed->reader.position != END_BYTE)
        return false;
    (void)reader_u8(&packed->reader);
    return true;
}

static enum status count_one(struct packed *packed)
{
    if (!packed->counted)
        return ST_OK;
    if (packed->count_left == 0)
        return ST_CORRUPT;
    packed->count_left--;
    return ST_OK;
}

static int64_t read_signed(struct reader *reader, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)reader_u8(reader) << (8 * i);
    const unsigned unused = 64 - 8 * size;
    return (int64_t)(value << unused) >> unused;
}

/* A string of this size is next. */
static struct element read_text(struct reader *reader, uint64_t size)
{
    if (size > reader_left(reader)) {
        reader->failed = true;
        return element_of_integer(0);
    }
    return element_of(reader_bytes(reader, (size_t)size));
}

/* --- ziplist --------------------------------------------------------------------------------------------------- */

static enum status ziplist_open(struct packed *packed, struct slice bytes)
{
    const uint32_t size = reader_u32(&packed->reader);
    packed->offset_last = reader_u32(&packed->reader);
    packed->count_left = reader_u16(&packed->reader);
    packed->counted = packed->count_left != COUNT_UNKNOWN;
    packed->offset = ZIPLIST_HEADER; /* where the "last" of none is said to be */
    return packed->reader.failed || size != bytes.size ? ST_CORRUPT : ST_OK;
}

static struct element ziplist_data(struct reader *reader)
{
    const unsigned form = reader_u8(reader);
    switch (form >> 6) {
    case 0: return read_text(reader, form & 0x3f);
    case 1: return read_text(reader, (uint64_t)(form & 0x3f) << 8 | reader_u8(reader));
    case 2: {
        uint64_t size = 0;
        for (unsigned i = 0; i < 4; i++)
            size = size << 8 | reader_u8(reader);
        return read_text(reader, size);
    }
    default: break;
    }
    switch (form) {
    case 0xc0: return element_of_integer(read_signed(reader, 2));
    case 0xd0: return element_of_integer(read_signed(reader, 4));
    case 0xe0: return element_of_integer(read_signed(reader, 8));
    case 0xf0: return element_of_integer(read_signed(reader, 3));
    case 0xfe: return element_of_integer(read_signed(reader, 1));
    default: break;
    }
    if (form < 0xf1 || form > 0xfd)
        reader->failed = true;
    return element_of_integer((int64_t)(form & 0x0f) - 1);
}

static enum status ziplist_next(struct packed *packed, struct element *element)
{
    struct reader *const reader = &packed->reader;
    if (take_end_byte(packed))
        return packed->offset == packed->offset_last ? at_end(packed) : ST_CORRUPT;
    const uint8_t *const start = reader->position;
    uint32_t before = reader_u8(reader);
    if (before == 254)
        before = reader_u32(reader);
    *element = ziplist_data(reader);
    if (reader->failed || before != packed->size_before)
        return ST_CORRUPT;
    packed->offset += packed->size_before;
    packed->size_before = (uint32_t)(reader->position - start);
    return count_one(packed);
}

/* --- listpack -------------------------------------------------------------------------------------------------- */

static enum status listpack_open(struct packed *packed, struct slice bytes)
{
    const uint32_t size = reader_u32(&packed->reader);
    packed->count_left = reader_u16(&packed->reader);
    packed->counted = packed->count_left != COUNT_UNKNOWN;
    return packed->reader.failed || size != bytes.size ? ST_CORRUPT : ST_OK;
}

static struct element listpack_data(struct reader *reader)
{
    const unsigned form = reader_u8(reader);
    if (form < 0x80)
        return element_of_integer((int64_t)form);
    if (form < 0xc0)
        return read_text(reader, form & 0x3f);
    if (form < 0xe0) {
        const int64_t value = (int64_t)((form & 0x1f) << 8 | reader_u8(reader));
        return element_of_integer(value >= 1 << 12 ? value - (1 << 13) : value);
    }
    if (form < 0xf0)
        return read_text(reader, (uint64_t)(form & 0x0f) << 8 | reader_u8(reader));
    switch (form) {
    case 0xf0: return read_text(reader, reader_u32(reader));
    case 0xf1: return element_of_integer(read_signed(reader, 2));
    case 0xf2: return element_of_integer(read_signed(reader, 3));
    case 0xf3: return element_of_integer(read_signed(reader, 4));
    case 0xf4: return element_of_integer(read_signed(reader, 8));
    default: break;
    }
    reader->failed = true;
    return element_of_integer(0);
}

/* Behind each element stands its size in groups of 7 bits, the highest first, all but the first marked. */
static bool listpack_size_is_right(struct reader *reader, uint64_t size)
{
    static const uint64_t limits[] = {127, 16382, 2097150, 268435454};
    unsigned groups = 1;
    while (groups <= COUNT_OF(limits) && size > limits[groups - 1])
        groups++;
    for (unsigned i = groups; i-- > 0;) {
        const unsigned mark = i == groups - 1 ? 0 : 0x80;
        if (reader_u8(reader) != (((size >> (7 * i)) & 0x7f) | mark))
            return false;
    }
    return !reader->failed;
}

static enum status listpack_next(struct packed *packed, struct element *element)
{
    struct reader *const reader = &packed->reader;
    if (take_end_byte(packed))
        return at_end(packed);
    const uint8_t *const start = reader->position;
    *element = listpack_data(reader);
    if (reader->failed || !listpack_size_is_right(reader, (uint64_t)(reader->position - start)))
        return ST_CORRUPT;
    return count_one(packed);
}

/* --- intset ------------------------------------------------------------------------------------------------------- */

static enum status intset_open(struct packed *packed)
{
    const uint32_t width = reader_u32(&packed->reader);
    packed->count_left = reader_u32(&packed->reader);
    packed->counted = true;
    packed->width = width;
    if (packed->reader.failed || (width != 2 && width != 4 && width != 8))
        return ST_CORRUPT;
    return packed->count_left * width == reader_left(&packed->reader) ? ST_OK : ST_CORRUPT;
}

static enum status intset_next(struct packed *packed, struct element *element)
{
    if (packed->count_left == 0)
        return at_end(packed);
    const int64_t value = read_signed(&packed->reader, packed->width);
    if (packed->has_before && value <= packed->before)
        return ST_CORRUPT;
    packed->has_before = true;
    packed->before = value;
    *element = element_of_integer(value);
    return count_one(packed);
}

/* --- zipmap ------------------------------------------------------------------------------------------------------- */

static enum status zipmap_open(struct packed *packed)
{
    packed->count_left = reader_u8(&packed->reader);
    packed->counted = packed->count_left < ZIPMAP_BIG;
    packed->count_left *= 2;
    return packed->reader.failed ? ST_CORRUPT : ST_OK;
}

static enum status zipmap_next(struct packed *packed, struct element *element)
{
    struct reader *const reader = &packed->reader;
    if (!packed->at_value && take_end_byte(packed))
        return at_end(packed);
    uint32_t size = reader_u8(reader);
    if (size == END_BYTE)
        return ST_CORRUPT;
    if (size == ZIPMAP_BIG)
        size = reader_u32(reader);
    const unsigned free_size = packed->at_value ? reader_u8(reader) : 0;
    *element = read_text(reader, size);
    (void)reader_bytes(reader, free_size);
    packed->at_value = !packed->at_value;
    return reader->failed ? ST_CORRUPT : count_one(packed);
}

/* --- any of them ----------------------------------------------------------------------------------------------------- */

enum status packed_open(struct packed *packed, enum packed_kind kind, struct slice bytes)
{
    *packed = (struct packed){.kind = kind, .reader = reader_of(bytes)};
    switch (kind) {
    case PACKED_ZIPLIST: return ziplist_open(packed, bytes);
    case PACKED_LISTPACK: return listpack_open(packed, bytes);
    case PACKED_INTSET: return intset_open(packed);
    case PACKED_ZIPMAP: return zipmap_open(packed);
    }
    return ST_CORRUPT;
}

enum status packed_next(struct packed *packed, struct element *element)
{
    switch (packed->kind) {
    case PACKED_ZIPLIST: return ziplist_next(packed, element);
    case PACKED_LISTPACK: return listpack_next(packed, element);
    case PACKED_INTSET: return intset_next(packed, element);
    case PACKED_ZIPMAP: return zipmap_next(packed, element);
    }
    return ST_CORRUPT;
}
