/*
 * set_codec.c: a set as bytes of the cold tier.
 *
 *   "intset"     varint count, zigzag varint of the least member, then for each further one, ascending: varint of its distance to the one
 *                before (never 0)
 *   others       varint count, then each member in any order:
 *                  integer    varint 2 * width + 1, then the number in `width` (1 to 8) bytes, little-endian, two's complement, no wider than
 *                             needed
 *                  text       varint 2 * size, then its bytes; not the text of an integer
 *
 * Varints are LEB128 and no longer than needed. A set is never empty. Nothing follows the last member. What decode() accepts, encode() gives
 * back byte for byte, but for the order of members.
 */
#include "base/check.h"
#include "set_internal.h"

/* --- encoding ----------------------------------------------------------------------------------------------------- */

static uint64_t zigzag(int64_t integer)
{
    return ((uint64_t)integer << 1) ^ (integer < 0 ? UINT64_MAX : 0);
}

static int64_t unzigzag(uint64_t number)
{
    return (int64_t)(number >> 1 ^ (0 - (number & 1)));
}

/* Bytes that a number needs: all above them are copies of the sign. */
static unsigned integer_width(int64_t integer)
{
    unsigned width = 1;
    while (width < 8 && integer >> (8 * width - 1) != 0 && integer >> (8 * width - 1) != -1)
        width++;
    return width;
}

static void encode_member(const struct element *member, struct buf *out)
{
    if (!member->is_integer) {
        buf_append_varint(out, (uint64_t)member->bytes.size * 2);
        buf_append_slice(out, member->bytes);
        return;
    }
    const unsigned width = integer_width(member->integer);
    buf_append_varint(out, (uint64_t)width * 2 + 1);
    for (unsigned byte = 0; byte < width; byte++)
        buf_append_byte(out, (char)(uint8_t)((uint64_t)member->integer >> (8 * byte)));
}

void set_encode(const struct set *set, struct buf *out)
{
    const bool is_sorted = set->object.encoding == VALUE_ENCODING_INTSET;
    struct tree_cursor cursor;
    int64_t before = 0;
    buf_append_varint(out, set->tree.count);
    tree_cursor_at(&set->tree, 0, &cursor);
    for (uint64_t index = 0; index < set->tree.count; index++) {
        const struct element member = tree_cursor_element(&cursor, 0);
        if (!is_sorted)
            encode_member(&member, out);
        else if (index == 0)
            buf_append_varint(out, zigzag(member.integer));
        else
            buf_append_varint(out, (uint64_t)member.integer - (uint64_t)before);
        before = member.integer;
        (void)tree_cursor_next(&cursor);
    }
}

/* --- decoding ------------------------------------------------------------------------------------------------------- */

static bool read_varint(struct reader *reader, uint64_t *value)
{
    const uint8_t *const begin = reader->position;
    *value = reader_varint(reader);
    if (reader->failed)
        return false;
    size_t needed = 1;
    for (uint64_t rest = *value >> 7; rest != 0; rest >>= 7)
        needed++;
    return (size_t)(reader->position - begin) == needed;
}

static bool read_integers(struct reader *reader, struct set *set, uint64_t count)
{
    uint64_t number = 0;
    if (!read_varint(reader, &number))
        return false;
    int64_t integer = unzigzag(number);
    for (uint64_t index = 0;; index++) {
        const struct element member = element_of_integer(integer);
        set_append(set, &member);
        if (index + 1 == count)
            return true;
        /* The distance to the greatest int64 is the most there can be. */
        if (!read_varint(reader, &number) || number == 0 ||
            number > (uint64_t)INT64_MAX - (uint64_t)integer)
            return false;
        integer = (int64_t)((uint64_t)integer + number);
    }
}

static bool read_member(struct reader *reader, struct element *member)
{
    uint64_t head = 0;
    if (!read_varint(reader, &head))
        return false;
    if ((head & 1) == 0) {
        if (head / 2 > ELEMENT_SIZE_MAX)
            return false;
        *member = element_of(reader_bytes(reader, (size_t)(head / 2)));
        return !reader->failed && !member->is_integer;
    }
    const uint64_t width = head / 2;
    if (width < 1 || width > 8)
        return false;
    uint64_t number = 0;
    uint8_t byte = 0;
    for (uint64_t index = 0; index < width; index++) {
        byte = reader_u8(reader);
        number |= (uint64_t)byte << (8 * index);
    }
    if (width < 8 && (byte & 0x80) != 0)
        number |= UINT64_MAX << (8 * width);
    *member = element_of_integer((int64_t)number);
    return !reader->failed && integer_width(member->integer) == width;
}

static bool read_members(struct reader *reader, struct set *set, uint64_t count)
{
    for (uint64_t index = 0; index < count; index++) {
        struct element member;
        if (!read_member(reader, &member) || set_contains(set, &member))
            return false;
        set_append(set, &member);
    }
    return true;
}

enum status set_decode(enum value_encoding encoding, struct slice in, struct set **set)
{
    if (encoding != VALUE_ENCODING_INTSET && encoding != VALUE_ENCODING_LISTPACK &&
        encoding != VALUE_ENCODING_HASHTABLE)
        return ST_CORRUPT;
    struct reader reader = reader_of(in);
    uint64_t count = 0;
    /* Every member has a byte at least: what is allocated is bounded by what is there. */
    if (!read_varint(&reader, &count) || count == 0 || count > reader_left(&reader))
        return ST_CORRUPT;
    struct set *const decoded = set_create(encoding);
    const bool is_good = encoding == VALUE_ENCODING_INTSET ? read_integers(&reader, decoded, count)
                                                           : read_members(&reader, decoded, count);
    if (!is_good || reader_left(&reader) > 0) {
        set_destroy(decoded);
        return ST_CORRUPT;
    }
    *set = decoded;
    return ST_OK;
}
