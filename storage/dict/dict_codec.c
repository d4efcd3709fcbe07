/*
 * dict_codec.c: a hash as bytes in the cold tier.
 *
 *   varint  number of fields, at least 1
 *   varint  the soonest expiry, ms since the epoch; 0: no field has one
 *   then of each field:
 *     varint  head: 4 * size of the field's bytes + 2 if it has an expiry + 1 if the field is an integer (then size is 0)
 *             the bytes, or the integer as a zigzag varint
 *     varint  head of the value: 2 * size + 1 if it is an integer
 *             the same
 *     varint  only with an expiry: ms after the soonest
 *
 * What comes from the disk is believed in nothing: sizes are held against what is left, texts must not be integers, varints must be
 * shortest, fields must differ, and nothing may remain.
 */
#include "base/check.h"
#include "dict_internal.h"

enum { HEAD_INTEGER = 1, HEAD_EXPIRES = 2 };

/* --- writing ------------------------------------------------------------------------------------------------------- */

static void put_element(
    struct buf *out, const struct element *element, unsigned shift, unsigned flags)
{
    if (element->is_integer) {
        buf_append_varint(out, flags | HEAD_INTEGER);
        buf_append_varint(
            out, ((uint64_t)element->integer << 1) ^ (element->integer < 0 ? UINT64_MAX : 0));
    } else {
        buf_append_varint(out, ((uint64_t)element->bytes.size << shift) | flags);
        buf_append_slice(out, element->bytes);
    }
}

void dict_encode(const struct dict *dict, struct buf *out)
{
    const uint64_t soonest_ms = dict_soonest_ms(dict);
    buf_append_varint(out, dict->fields.count);
    buf_append_varint(out, soonest_ms);
    struct tree_cursor cursor;
    struct element row[DICT_STRIDE];
    tree_cursor_at(&dict->fields, 0, &cursor);
    for (uint64_t i = 0; i < dict->fields.count; i++) {
        tree_cursor_row(&cursor, row);
        const uint64_t expire_ms = dict_expire_ms(dict, &row[DICT_FIELD]);
        put_element(out, &row[DICT_FIELD], 2, expire_ms == 0 ? 0 : HEAD_EXPIRES);
        put_element(out, &row[DICT_VALUE], 1, 0);
        if (expire_ms != 0)
            buf_append_varint(out, expire_ms - soonest_ms);
        (void)tree_cursor_next(&cursor);
    }
}

/* --- reading --------------------------------------------------------------------------------------------------------- */

/* A varint whose last byte is 0, or that is longer than a byte without need, was not written here. */
static uint64_t take_varint(struct reader *reader)
{
    const uint8_t *const start = reader->position;
    const uint64_t number = reader_varint(reader);
    if (!reader->failed && reader->position - start > 1 && reader->position[-1] == 0)
        reader->failed = true;
    return number;
}

/* The element behind a head. */
static struct element take_element(struct reader *reader, bool is_integer, uint64_t size)
{
    struct element element = {0};
    if (is_integer) {
        const uint64_t zigzag = take_varint(reader);
        if (size != 0)
            reader->failed = true;
        return element_of_integer((int64_t)((zigzag >> 1) ^ (0 - (zigzag & 1))));
    }
    if (size > ELEMENT_SIZE_MAX || size > reader_left(reader)) {
        reader->failed = true;
        return element;
    }
    element = element_of(reader_bytes(reader, (size_t)size));
    if (element.is_integer)
        reader->failed = true;
    return element;
}

/* One field with its value. False: corrupt. */
static bool take_field(struct reader *reader, uint64_t soonest_ms, struct dict *dict)
{
    struct element row[DICT_STRIDE];
    struct tree_cursor cursor;
    const uint64_t head = take_varint(reader);
    row[DICT_FIELD] = take_element(reader, (head & HEAD_INTEGER) != 0, head >> 2);
    const uint64_t value_head = take_varint(reader);
    row[DICT_VALUE] = take_element(reader, (value_head & HEAD_INTEGER) != 0, value_head >> 1);
    if (reader->failed || tree_find(&dict->fields, &row[DICT_FIELD], &cursor))
        return false;
    tree_append(&dict->fields, row);
    if ((head & HEAD_EXPIRES) == 0)
        return true;
    const uint64_t after_ms = take_varint(reader);
    if (reader->failed || soonest_ms == 0 || after_ms > DICT_EXPIRE_MAX - soonest_ms)
        return false;
    dict_add_time(dict, &row[DICT_FIELD], soonest_ms + after_ms);
    return true;
}

static bool encoding_is_possible(enum value_encoding encoding, bool expires)
{
    return encoding == VALUE_ENCODING_HASHTABLE || encoding == VALUE_ENCODING_LISTPACK_EX ||
           (encoding == VALUE_ENCODING_LISTPACK && !expires);
}

enum status dict_decode(enum value_encoding encoding, struct slice in, struct dict **out)
{
    struct reader reader = reader_of(in);
    const uint64_t count = take_varint(&reader);
    const uint64_t soonest_ms = take_varint(&reader);
    /* A field takes two bytes at the least: two heads. */
    if (reader.failed || count == 0 || count > reader_left(&reader) / 2 ||
        soonest_ms > DICT_EXPIRE_MAX || !encoding_is_possible(encoding, soonest_ms != 0))
        return ST_CORRUPT;
    struct dict *dict = dict_create_as(encoding);
    bool is_sound = true;
    for (uint64_t i = 0; i < count && is_sound; i++)
        is_sound = take_field(&reader, soonest_ms, dict);
    if (!is_sound || reader_left(&reader) != 0 || dict_soonest_ms(dict) != soonest_ms) {
        dict_destroy(dict);
        return ST_CORRUPT;
    }
    *out = dict;
    return ST_OK;
}
