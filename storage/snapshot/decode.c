/*
 * decode.c: a payload becomes a value.
 *
 * However a collection is stored, it is read as rows (struct rows): of one element (list, set) or two (hash: field and value; sorted set: member
 * and score as text). What no server writes is refused: members that come twice, scores that are NaN, collections without elements,
 * bytes behind the end.
 */
#include "base/mem.h"
#include "snapshot_internal.h"
#include "storage/dict.h"
#include "storage/list.h"
#include "storage/set.h"
#include "storage/zset.h"

#include <math.h>

/* --- rows ----------------------------------------------------------------------------------------------------- */

#define ROW_STRIDE_MAX 3

struct rows {
    struct reader *reader; /* of the payload */
    unsigned stride;
    bool is_packed;
    uint64_t left;        /* plain: rows to come */
    struct packed packed; /* packed: its bytes lie in the payload or in scratch[0] */
    struct rdb_scratch scratch[ROW_STRIDE_MAX];
};

static void rows_deinit(struct rows *rows)
{
    for (unsigned i = 0; i < ROW_STRIDE_MAX; i++)
        rdb_scratch_deinit(&rows->scratch[i]);
}

/* A count, then strings. */
static enum status rows_open_plain(struct rows *rows, struct reader *reader, unsigned stride)
{
    *rows = (struct rows){.reader = reader, .stride = stride};
    return rdb_read_length(reader, &rows->left);
}

/* One string that holds all. rows is zeroed, or was used before. */
static enum status rows_open_packed(
    struct rows *rows, struct reader *reader, unsigned stride, enum packed_kind kind)
{
    struct slice bytes;
    rows->reader = reader;
    rows->stride = stride;
    rows->is_packed = true;
    const enum status status = rdb_read_string(reader, &rows->scratch[0], &bytes);
    return status == ST_OK ? packed_open(&rows->packed, kind, bytes) : status;
}

static enum status plain_next(struct rows *rows, struct element *row)
{
    if (rows->left == 0)
        return ST_END;
    rows->left--;
    for (unsigned i = 0; i < rows->stride; i++) {
        struct slice bytes;
        const enum status status = rdb_read_string(rows->reader, &rows->scratch[i], &bytes);
        if (status != ST_OK)
            return status;
        row[i] = element_of(bytes);
    }
    return ST_OK;
}

/* ST_OK, ST_END, ST_CORRUPT, ST_NO_MEMORY. Elements are valid until the next call. */
static enum status rows_next(struct rows *rows, struct element *row)
{
    if (!rows->is_packed)
        return plain_next(rows, row);
    for (unsigned i = 0; i < rows->stride; i++) {
        const enum status status = packed_next(&rows->packed, &row[i]);
        if (status == ST_END && i > 0)
            return ST_CORRUPT;
        if (status != ST_OK)
            return status;
    }
    return ST_OK;
}

/* --- lists ------------------------------------------------------------------------------------------------------ */

static enum status push_rows(struct list *list, struct rows *rows)
{
    struct element element;
    enum status status = rows_next(rows, &element);
    for (; status == ST_OK; status = rows_next(rows, &element))
        list_push(list, LIST_TAIL, &element);
    return status == ST_END ? ST_OK : status;
}

#define QUICKLIST_NODE_PLAIN  1
#define QUICKLIST_NODE_PACKED 2

static enum status push_node(
    enum rdb_type type, struct list *list, struct reader *reader, struct rows *rows)
{
    uint64_t container = QUICKLIST_NODE_PACKED;
    enum status status = ST_OK;
    if (type == RDB_LIST_QUICKLIST_2)
        status = rdb_read_length(reader, &container);
    if (status == ST_OK && container == QUICKLIST_NODE_PLAIN) {
        struct slice bytes;
        status = rdb_read_string(reader, &rows->scratch[0], &bytes);
        if (status != ST_OK)
            return status;
        const struct element element = element_of(bytes);
        list_push(list, LIST_TAIL, &element);
        return ST_OK;
    }
    if (status == ST_OK && container != QUICKLIST_NODE_PACKED)
        return ST_CORRUPT;
    if (status == ST_OK)
        status = rows_open_packed(
            rows, reader, 1, type == RDB_LIST_QUICKLIST ? PACKED_ZIPLIST : PACKED_LISTPACK);
    return status == ST_OK ? push_rows(list, rows) : status;
}

static enum status push_quicklist(
    enum rdb_type type, struct list *list, struct reader *reader, struct rows *rows)
{
    uint64_t count = 0;
    enum status status = rdb_read_length(reader, &count);
    for (; count > 0 && status == ST_OK; count--)
        status = push_node(type, list, reader, rows);
    return status;
}

static enum status decode_list(enum rdb_type type, struct reader *reader, struct value *value)
{
    struct list *const list = list_create();
    struct rows rows = {0};
    enum status status = ST_OK;
    if (type == RDB_LIST_QUICKLIST || type == RDB_LIST_QUICKLIST_2) {
        status = push_quicklist(type, list, reader, &rows);
    } else {
        status = type == RDB_LIST ? rows_open_plain(&rows, reader, 1)
                                  : rows_open_packed(&rows, reader, 1, PACKED_ZIPLIST);
        if (status == ST_OK)
            status = push_rows(list, &rows);
    }
    rows_deinit(&rows);
    if (status == ST_OK && list_count(list) == 0)
        status = ST_CORRUPT;
    if (status == ST_OK)
        *value = list_value(list);
    else
        list_destroy(list);
    return status;
}

/* --- sets ----------------------------------------------------------------------------------------------------------- */

static enum status add_members(enum rdb_type type, struct rows *rows, struct set **set)
{
    struct element member;
    enum status status = rows_next(rows, &member);
    for (; status == ST_OK; status = rows_next(rows, &member)) {
        if (*set == NULL)
            *set = type == RDB_SET ? set_create_for(&member, rows->left + 1)
                                   : set_create(type == RDB_SET_INTSET ? VALUE_ENCODING_INTSET
                                                                       : VALUE_ENCODING_LISTPACK);
        if (!set_add(*set, &member))
            return ST_CORRUPT;
    }
    return status == ST_END && *set != NULL ? ST_OK : (status == ST_END ? ST_CORRUPT : status);
}

static enum status decode_set(enum rdb_type type, struct reader *reader, struct value *value)
{
    struct set *set = NULL;
    struct rows rows = {0};
    enum status status = type == RDB_SET
                             ? rows_open_plain(&rows, reader, 1)
                             : rows_open_packed(&rows, reader, 1,
                                   type == RDB_SET_INTSET ? PACKED_INTSET : PACKED_LISTPACK);
    if (status == ST_OK)
        status = add_members(type, &rows, &set);
    rows_deinit(&rows);
    if (status == ST_OK)
        *value = set_value(set);
    else
        set_destroy(set);
    return status;
}

/* --- sorted sets ------------------------------------------------------------------------------------------------------ */

/* In a ziplist or listpack. */
static bool score_of(const struct element *element, double *score)
{
    if (element->is_integer) {
        *score = (double)element->integer;
        return true;
    }
    return slice_to_double(element->bytes, score) && !isnan(*score);
}

/* A member and a score, wherever it stands. */
static enum status next_scored(
    enum rdb_type type, struct rows *rows, struct element *member, double *score)
{
    struct element row[2];
    enum status status = rows_next(rows, row);
    if (status != ST_OK)
        return status;
    *member = row[0];
    if (rows->is_packed)
        return score_of(&row[1], score) ? ST_OK : ST_CORRUPT;
    status = type == RDB_ZSET ? rdb_read_text_double(rows->reader, score)
                              : rdb_read_binary_double(rows->reader, score);
    return status == ST_OK && isnan(*score) ? ST_CORRUPT : status;
}

static enum status insert_scored(enum rdb_type type, struct rows *rows, struct zset *zset)
{
    struct element member;
    struct zset_place place;
    double score = 0;
    enum status status = next_scored(type, rows, &member, &score);
    for (; status == ST_OK; status = next_scored(type, rows, &member, &score)) {
        zset_find(zset, &member, &place);
        if (place.found)
            return ST_CORRUPT;
        zset_insert(zset, &member, score);
    }
    return status == ST_END ? ST_OK : status;
}

static enum status decode_zset(enum rdb_type type, struct reader *reader, struct value *value)
{
    struct zset *const zset = zset_create();
    struct rows rows = {0};
    const bool is_plain = type == RDB_ZSET || type == RDB_ZSET_2;
    enum status status = is_plain
                             ? rows_open_plain(&rows, reader, 1)
                             : rows_open_packed(&rows, reader, 2,
                                   type == RDB_ZSET_ZIPLIST ? PACKED_ZIPLIST : PACKED_LISTPACK);
    if (status == ST_OK)
        status = insert_scored(type, &rows, zset);
    rows_deinit(&rows);
    if (status == ST_OK && zset_count(zset) == 0)
        status = ST_CORRUPT;
    if (status == ST_OK)
        *value = zset_value(zset);
    else
        zset_destroy(zset);
    return status;
}

/* --- hashes ------------------------------------------------------------------------------------------------------------ */

static enum status set_fields(struct rows *rows, struct dict *dict)
{
    struct element row[2];
    enum status status = rows_next(rows, row);
    for (; status == ST_OK; status = rows_next(rows, row)) {
        if (!dict_set(dict, &row[0], &row[1], DICT_CLEAR_EXPIRY))
            return ST_CORRUPT;
    }
    return status == ST_END ? ST_OK : status;
}

static enum status set_expiring_field(
    struct dict *dict, const struct element *row, uint64_t expire_ms)
{
    if (expire_ms > DICT_EXPIRE_MAX || !dict_set(dict, &row[0], &row[1], DICT_CLEAR_EXPIRY))
        return ST_CORRUPT;
    if (expire_ms != 0)
        dict_expire_set(dict, &row[0], expire_ms);
    return ST_OK;
}

/* The least of all expiries: others are told by their distance. */
static enum status read_base_time(struct reader *reader, uint64_t *base_ms)
{
    *base_ms = reader_u64(reader);
    return reader->failed ? ST_CORRUPT : ST_OK;
}

/* { ttl ‖ field ‖ value } ..., ttl 0: none; else one more than the distance to base_ms, or (old) the moment. */
static enum status set_fields_with_ttl(enum rdb_type type, struct rows *rows, struct dict *dict)
{
    uint64_t base_ms = 1;
    enum status status = ST_OK;
    if (type == RDB_HASH_METADATA)
        status = read_base_time(rows->reader, &base_ms);
    if (status == ST_OK)
        status = rows_open_plain(rows, rows->reader, 2);
    while (status == ST_OK && rows->left > 0) {
        uint64_t expire_ms = 0;
        struct element row[2];
        status = rdb_read_length(rows->reader, &expire_ms);
        if (status == ST_OK)
            status = rows_next(rows, row);
        if (status == ST_OK && expire_ms != 0 &&
            (add_overflows(expire_ms, base_ms - 1, &expire_ms) || expire_ms == 0))
            return ST_CORRUPT;
        if (status == ST_OK)
            status = set_expiring_field(dict, row, expire_ms);
    }
    return status;
}

/* A listpack of field, value, moment (0: none). */
static enum status set_packed_with_ttl(enum rdb_type type, struct rows *rows, struct dict *dict)
{
    uint64_t base_ms = 0;
    struct element row[3];
    enum status status = ST_OK;
    if (type == RDB_HASH_LISTPACK_EX)
        status = read_base_time(rows->reader, &base_ms);
    if (status == ST_OK)
        status = rows_open_packed(rows, rows->reader, 3, PACKED_LISTPACK);
    while (status == ST_OK) {
        status = rows_next(rows, row);
        if (status == ST_OK)
            status = row[2].is_integer && row[2].integer >= 0
                         ? set_expiring_field(dict, row, (uint64_t)row[2].integer)
                         : ST_CORRUPT;
    }
    return status == ST_END ? ST_OK : status;
}

static enum status decode_fields(enum rdb_type type, struct rows *rows, struct dict *dict)
{
    struct reader *const reader = rows->reader;
    enum status status = ST_CORRUPT;
    if (type == RDB_HASH_METADATA || type == RDB_HASH_METADATA_OLD)
        return set_fields_with_ttl(type, rows, dict);
    if (type == RDB_HASH_LISTPACK_EX || type == RDB_HASH_LISTPACK_EX_OLD)
        return set_packed_with_ttl(type, rows, dict);
    if (type == RDB_HASH)
        status = rows_open_plain(rows, reader, 2);
    else if (type == RDB_HASH_ZIPMAP)
        status = rows_open_packed(rows, reader, 2, PACKED_ZIPMAP);
    else
        status = rows_open_packed(
            rows, reader, 2, type == RDB_HASH_ZIPLIST ? PACKED_ZIPLIST : PACKED_LISTPACK);
    return status == ST_OK ? set_fields(rows, dict) : status;
}

static enum status decode_hash(enum rdb_type type, struct reader *reader, struct value *value)
{
    struct dict *const dict = dict_create();
    struct rows rows = {.reader = reader};
    enum status status = decode_fields(type, &rows, dict);
    rows_deinit(&rows);
    if (status == ST_OK && dict_count(dict) == 0)
        status = ST_CORRUPT;
    if (status == ST_OK)
        *value = dict_value(dict);
    else
        dict_destroy(dict);
    return status;
}

/* --- strings, and the whole ------------------------------------------------------------------------------------------- */

static enum status decode_string(struct reader *reader, struct buf *storage, struct value *value)
{
    struct rdb_scratch scratch = {0};
    struct slice bytes = {0};
    enum status status = rdb_read_string(reader, &scratch, &bytes);
    if (status == ST_OK && bytes.size <= VALUE_INLINE_SIZE_MAX) {
        buf_clear(storage);
        buf_append_slice(storage, bytes);
        bytes = buf_slice(storage);
    }
    if (status == ST_OK)
        status = value_string_own(bytes, value);
    rdb_scratch_deinit(&scratch);
    return status;
}

static enum status decode_stream(enum rdb_type type, struct reader *reader, struct value *value)
{
    struct value_object *object = NULL;
    const enum status status = rdb_decode_stream(type, reader, &object);
    if (status == ST_OK)
        *value =
            (struct value){.type = VALUE_STREAM, .encoding = object->encoding, .object = object};
    return status;
}

static enum status decode(
    unsigned type, struct reader *reader, struct buf *storage, struct value *value)
{
    switch (type) {
    case RDB_STRING: return decode_string(reader, storage, value);
    case RDB_LIST:
    case RDB_LIST_ZIPLIST:
    case RDB_LIST_QUICKLIST:
    case RDB_LIST_QUICKLIST_2: return decode_list((enum rdb_type)type, reader, value);
    case RDB_SET:
    case RDB_SET_INTSET:
    case RDB_SET_LISTPACK: return decode_set((enum rdb_type)type, reader, value);
    case RDB_ZSET:
    case RDB_ZSET_2:
    case RDB_ZSET_ZIPLIST:
    case RDB_ZSET_LISTPACK: return decode_zset((enum rdb_type)type, reader, value);
    case RDB_HASH:
    case RDB_HASH_ZIPMAP:
    case RDB_HASH_ZIPLIST:
    case RDB_HASH_LISTPACK:
    case RDB_HASH_METADATA:
    case RDB_HASH_METADATA_OLD:
    case RDB_HASH_LISTPACK_EX:
    case RDB_HASH_LISTPACK_EX_OLD: return decode_hash((enum rdb_type)type, reader, value);
    case RDB_STREAM_LISTPACKS:
    case RDB_STREAM_LISTPACKS_2:
    case RDB_STREAM_LISTPACKS_3: return decode_stream((enum rdb_type)type, reader, value);
    default: return ST_CORRUPT; /* modules' values among them */
    }
}

enum status snapshot_verify(struct slice payload, enum snapshot_checking checking)
{
    if (payload.size < SNAPSHOT_FOOTER_SIZE)
        return ST_INVALID;
    const size_t summed_size = payload.size - 8;
    struct reader footer = reader_of(
        slice_of(payload.data + payload.size - SNAPSHOT_FOOTER_SIZE, SNAPSHOT_FOOTER_SIZE));
    const unsigned version = reader_u16(&footer);
    const uint64_t sum = reader_u64(&footer);
    if (version > SNAPSHOT_VERSION_MAX)
        return ST_INVALID;
    if (checking == SNAPSHOT_CHECK_SUM && sum != snapshot_crc64(0, payload.data, summed_size))
        return ST_INVALID;
    return ST_OK;
}

enum status snapshot_restore(struct slice payload, struct buf *storage, struct value *value)
{
    if (payload.size < SNAPSHOT_FOOTER_SIZE)
        return ST_CORRUPT;
    struct reader reader = reader_of(slice_of(payload.data, payload.size - SNAPSHOT_FOOTER_SIZE));
    const unsigned type = reader_u8(&reader);
    if (reader.failed)
        return ST_CORRUPT;
    struct value decoded;
    const enum status status = decode(type, &reader, storage, &decoded);
    if (status != ST_OK)
        return status;
    if (reader_left(&reader) > 0) {
        value_release(&decoded);
        return ST_CORRUPT;
    }
    *value = decoded;
    return ST_OK;
}
