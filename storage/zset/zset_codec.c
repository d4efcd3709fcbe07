/*
 * zset_codec.c: a sorted set as bytes.
 *
 *   varint    members, at least 1
 *   each, in order:
 *     varint  score: twice its zigzag number if it is an integer of at most 2^53, else 1, and
 *             u64 its bits
 *     varint  size of the member, its bytes
 *
 * What the encoder could not have written is ST_CORRUPT: rows out of order, a member twice, NaN, bytes left over. Memory grows with
 * what was read, never with what a number announces.
 */
#include "base/check.h"
#include "zset_internal.h"

#include <math.h>

#define DOUBLE_FOLLOWS ((uint64_t)1)

static uint64_t zigzag(int64_t number)
{
    return ((uint64_t)number << 1) ^ (number < 0 ? UINT64_MAX : 0);
}

static int64_t unzigzag(uint64_t number)
{
    return (int64_t)(number >> 1) ^ -(int64_t)(number & 1);
}

static void encode_score(struct buf *out, double score)
{
    if (zset_score_is_integer(score)) {
        buf_append_varint(out, zigzag((int64_t)score) << 1);
        return;
    }
    uint64_t bits;
    memcpy(&bits, &score, sizeof(bits));
    buf_append_varint(out, DOUBLE_FOLLOWS);
    buf_append_u64(out, bits);
}

void zset_encode(const struct value_object *object, struct buf *out)
{
    const struct zset *zset = (const struct zset *)(const void *)object;
    buf_append_varint(out, zset->sorted.count);
    struct tree_cursor cursor;
    tree_cursor_at(&zset->sorted, 0, &cursor);
    for (bool more = !tree_cursor_is_end(&cursor); more; more = tree_cursor_next(&cursor)) {
        struct element row[2];
        tree_cursor_row(&cursor, row);
        encode_score(out, zset_score_of(&row[ZSET_SORTED_SCORE]));
        char scratch[ELEMENT_TEXT_MAX];
        const struct slice text = element_text(&row[ZSET_SORTED_MEMBER], scratch);
        buf_append_varint(out, text.size);
        buf_append_slice(out, text);
    }
}

/* --- decoding ---------------------------------------------------------------------------------------------------- */

/* False: no score that was written. */
static bool decode_score(struct reader *reader, double *score)
{
    const uint64_t first = reader_varint(reader);
    if ((first & 1) == 0) {
        *score = (double)unzigzag(first >> 1);
        return zset_score_is_integer(*score);
    }
    const uint64_t bits = reader_u64(reader);
    memcpy(score, &bits, sizeof(bits));
    return first == DOUBLE_FOLLOWS && !isnan(*score) && !zset_score_is_integer(*score);
}

/* Of the members of a small set. */
struct seen {
    uint64_t hashes[ZSET_INDEX_MIN];
    struct element members[ZSET_INDEX_MIN];
    unsigned count;
};

static bool seen_add(struct seen *seen, const struct element *member)
{
    const uint64_t hash = element_hash(member);
    for (unsigned i = 0; i < seen->count; i++) {
        if (seen->hashes[i] == hash && element_equal(&seen->members[i], member))
            return false;
    }
    seen->hashes[seen->count] = hash;
    seen->members[seen->count++] = *member;
    return true;
}

static bool is_new(const struct zset *zset, struct seen *seen, const struct element *member)
{
    if (zset->index != NULL) {
        struct tree_cursor cursor;
        return !tree_find(zset->index, member, &cursor);
    }
    if (seen->count < ZSET_INDEX_MIN)
        return seen_add(seen, member);
    /* The one that makes the index. */
    for (unsigned i = 0; i < seen->count; i++) {
        if (element_equal(&seen->members[i], member))
            return false;
    }
    return true;
}

static bool ascends(
    const struct element *before, double score_before, const struct element *member, double score)
{
    const uint64_t prefix_before = zset_prefix(score_before);
    const uint64_t prefix = zset_prefix(score);
    if (prefix != prefix_before)
        return prefix > prefix_before;
    return element_compare(before, member) < 0;
}

/* `encoding` is the name the set is to have. */
static bool decode_rows(
    struct zset *zset, struct reader *reader, uint64_t count, enum value_encoding encoding)
{
    struct seen seen = {.count = 0};
    struct element before = {0};
    double score_before = 0;
    for (uint64_t i = 0; i < count; i++) {
        double score;
        if (!decode_score(reader, &score))
            return false;
        if (encoding == VALUE_ENCODING_LISTPACK && score == 0 && signbit(score))
            return false;
        const uint64_t size = reader_varint(reader);
        const struct slice text = reader_bytes(reader, (size_t)size);
        if (reader->failed || size > ELEMENT_SIZE_MAX)
            return false;
        const struct element member = element_of(text);
        if (i > 0 && !ascends(&before, score_before, &member, score))
            return false;
        if (!is_new(zset, &seen, &member))
            return false;
        zset_append(zset, &member, score);
        before = member;
        score_before = score;
    }
    return true;
}

enum status zset_decode(enum value_encoding encoding, struct slice in, struct value_object **object)
{
    if (encoding != VALUE_ENCODING_LISTPACK && encoding != VALUE_ENCODING_SKIPLIST)
        return ST_CORRUPT;
    struct reader reader = reader_of(in);
    const uint64_t count = reader_varint(&reader);
    if (reader.failed || count == 0)
        return ST_CORRUPT;
    struct zset *zset = zset_create();
    /* The name it had, whatever the limits are now; a -0 stays one. */
    zset->object.encoding = VALUE_ENCODING_SKIPLIST;
    if (!decode_rows(zset, &reader, count, encoding) || reader_left(&reader) != 0) {
        zset_destroy(zset);
        return ST_CORRUPT;
    }
    zset->object.encoding = encoding;
    *object = &zset->object;
    return ST_OK;
}
