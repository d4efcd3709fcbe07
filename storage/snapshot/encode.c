/*
 * encode.c: a value becomes a payload: the plain form of its type, which every server since version 9 of the format reads.
 *
 *   string 0 ‖ string        list 1, set 2: count ‖ strings       sorted set 5: count ‖ { member ‖ score, 8 bytes LE }
 *   hash 4: count ‖ { field ‖ value }                             stream 15: see stream_decode.c
 *   hash with expiries 24: least expiry ms, 8 bytes LE ‖ count ‖ { 0, or expiry - least + 1 ‖ field ‖ value }      version 12
 */
#include "snapshot_internal.h"
#include "storage/dict.h"
#include "storage/list.h"
#include "storage/set.h"
#include "storage/zset.h"

#define VERSION_PLAIN 9
#define VERSION_TTL   12

static void write_big_endian(struct buf *out, uint64_t value, unsigned size)
{
    for (unsigned i = size; i-- > 0;)
        buf_append_byte(out, (char)(value >> (8 * i)));
}

void rdb_write_length(struct buf *out, uint64_t length)
{
    if (length < 1 << 6) {
        buf_append_byte(out, (char)length);
    } else if (length < 1 << 14) {
        write_big_endian(out, 0x4000 | length, 2);
    } else if (length <= UINT32_MAX) {
        buf_append_byte(out, (char)0x80);
        write_big_endian(out, length, 4);
    } else {
        buf_append_byte(out, (char)0x81);
        write_big_endian(out, length, 8);
    }
}

void rdb_write_string(struct buf *out, struct slice bytes)
{
    rdb_write_length(out, bytes.size);
    buf_append_slice(out, bytes);
}

/* In the short form if it has one. */
static void write_integer(struct buf *out, int64_t value)
{
    if (value >= INT8_MIN && value <= INT8_MAX) {
        buf_append_byte(out, (char)0xc0);
        buf_append_byte(out, (char)value);
    } else if (value >= INT16_MIN && value <= INT16_MAX) {
        buf_append_byte(out, (char)0xc1);
        buf_append_u16(out, (uint16_t)value);
    } else if (value >= INT32_MIN && value <= INT32_MAX) {
        buf_append_byte(out, (char)0xc2);
        buf_append_u32(out, (uint32_t)value);
    } else {
        char text[24];
        rdb_write_string(out, slice_of(text, int64_to_text(value, text)));
    }
}

static void write_element(struct buf *out, const struct element *element)
{
    if (element->is_integer)
        write_integer(out, element->integer);
    else
        rdb_write_string(out, element->bytes);
}

/* All elements of all rows. */
static void write_tree(struct buf *out, const struct tree *tree)
{
    struct tree_cursor cursor;
    struct element row[TREE_STRIDE_MAX];
    rdb_write_length(out, tree->count);
    if (tree->count == 0)
        return;
    tree_cursor_at(tree, 0, &cursor);
    do {
        tree_cursor_row(&cursor, row);
        for (unsigned i = 0; i < tree->class->stride; i++)
            write_element(out, &row[i]);
    } while (tree_cursor_next(&cursor));
}

static void write_zset(struct buf *out, const struct zset *zset)
{
    const struct tree *const sorted = zset_sorted(zset);
    struct tree_cursor cursor;
    rdb_write_length(out, sorted->count);
    tree_cursor_at(sorted, 0, &cursor);
    do {
        struct element row[TREE_STRIDE_MAX];
        tree_cursor_row(&cursor, row);
        write_element(out, &row[ZSET_SORTED_MEMBER]);
        const double score = zset_score_of(&row[ZSET_SORTED_SCORE]);
        uint64_t bits = 0;
        memcpy(&bits, &score, sizeof(bits));
        buf_append_u64(out, bits);
    } while (tree_cursor_next(&cursor));
}

static void write_expiring_hash(struct buf *out, const struct dict *dict)
{
    const struct tree *const fields = dict_fields(dict);
    const uint64_t least_ms = dict_soonest_ms(dict);
    struct tree_cursor cursor;
    buf_append_u64(out, least_ms);
    rdb_write_length(out, fields->count);
    tree_cursor_at(fields, 0, &cursor);
    do {
        struct element row[TREE_STRIDE_MAX];
        tree_cursor_row(&cursor, row);
        const uint64_t expire_ms = dict_expire_ms(dict, &row[0]);
        rdb_write_length(out, expire_ms == 0 ? 0 : expire_ms - least_ms + 1);
        write_element(out, &row[0]);
        write_element(out, &row[1]);
    } while (tree_cursor_next(&cursor));
}

static bool has_expiring_fields(const struct value *value)
{
    return value->type == VALUE_HASH && dict_soonest_ms(dict_of(value)) != 0;
}

static void write_hash(struct buf *out, const struct value *value)
{
    const bool expiring = has_expiring_fields(value);
    buf_append_byte(out, (char)(expiring ? RDB_HASH_METADATA : RDB_HASH));
    if (expiring)
        write_expiring_hash(out, dict_of(value));
    else
        write_tree(out, dict_fields(dict_of(value)));
}

void snapshot_encode(const struct value *value, struct buf *out)
{
    switch (value->type) {
    case VALUE_STRING:
        buf_append_byte(out, RDB_STRING);
        if (value->encoding == VALUE_ENCODING_INT)
            write_integer(out, value->integer);
        else
            rdb_write_string(out, value->bytes);
        break;
    case VALUE_LIST:
        buf_append_byte(out, RDB_LIST);
        write_tree(out, &list_of(value)->elements);
        break;
    case VALUE_SET:
        buf_append_byte(out, RDB_SET);
        write_tree(out, set_members(set_of(value)));
        break;
    case VALUE_ZSET:
        buf_append_byte(out, RDB_ZSET_2);
        write_zset(out, zset_of(value));
        break;
    case VALUE_HASH: write_hash(out, value); break;
    case VALUE_STREAM:
        buf_append_byte(out, RDB_STREAM_LISTPACKS);
        rdb_encode_stream(value, out);
        break;
    case VALUE_TYPE_COUNT: break;
    }
}

void snapshot_dump(const struct value *value, struct buf *out)
{
    const size_t start = out->size;
    snapshot_encode(value, out);
    buf_append_u16(out, has_expiring_fields(value) ? VERSION_TTL : VERSION_PLAIN);
    buf_append_u64(out, snapshot_crc64(0, out->data + start, out->size - start));
}
