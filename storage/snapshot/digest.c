/*
 * digest.c: a short sum of what a value holds, whatever its encoding, for DEBUG DIGEST.
 *
 *   row    H(size ‖ text of each element)
 *   list   d := H(d ‖ row), row by row          stream: the same with entries, then groups and what is pending
 *   set, hash, sorted set                       the rows' sums, one xor the other: their order does not count
 *
 * H is XXH3-64 with three seeds, 20 bytes of it. It tells states apart; it is no signature.
 */
#include "base/check.h"
#include "base/hash.h"
#include "snapshot_internal.h"
#include "storage/dict.h"
#include "storage/list.h"
#include "storage/set.h"
#include "storage/stream.h"
#include "storage/zset.h"

struct digest {
    uint8_t bytes[SNAPSHOT_DIGEST_SIZE];
};

static struct digest sum_of(const struct buf *text)
{
    struct digest digest = {.bytes = {0}};
    for (uint64_t part = 0; part < 3; part++) {
        const uint64_t sum = hash_sum64(text->data, text->size, part);
        for (size_t i = 0; i < 8 && 8 * part + i < SNAPSHOT_DIGEST_SIZE; i++)
            digest.bytes[8 * part + i] = (uint8_t)(sum >> (8 * i));
    }
    return digest;
}

static void mix(struct digest *digest, const struct digest *other)
{
    for (size_t i = 0; i < SNAPSHOT_DIGEST_SIZE; i++)
        digest->bytes[i] ^= other->bytes[i];
}

static void append_sized(struct buf *text, struct slice bytes)
{
    buf_append_u64(text, bytes.size);
    buf_append_slice(text, bytes);
}

static void append_element(struct buf *text, const struct element *element)
{
    char scratch[ELEMENT_TEXT_MAX];
    append_sized(text, element_text(element, scratch));
}

static void append_score(struct buf *text, double score)
{
    const double plain = score == 0 ? 0 : score; /* -0 is 0 */
    uint64_t bits = 0;
    memcpy(&bits, &plain, sizeof(bits));
    buf_append_u64(text, bits);
}

/* The text of a row of this value's tree. */
static void append_row(struct buf *text, const struct value *value, const struct element *row)
{
    switch (value->type) {
    case VALUE_ZSET:
        append_element(text, &row[ZSET_SORTED_MEMBER]);
        append_score(text, zset_score_of(&row[ZSET_SORTED_SCORE]));
        break;
    case VALUE_HASH:
        append_element(text, &row[0]);
        append_element(text, &row[1]);
        buf_append_u64(text, dict_expire_ms(dict_of(value), &row[0]));
        break;
    case VALUE_STRING:
    case VALUE_LIST:
    case VALUE_SET:
    case VALUE_STREAM:
    case VALUE_TYPE_COUNT: append_element(text, &row[0]); break;
    }
}

static const struct tree *tree_of(const struct value *value)
{
    switch (value->type) {
    case VALUE_LIST: return &list_of(value)->elements;
    case VALUE_SET: return set_members(set_of(value));
    case VALUE_ZSET: return zset_sorted(zset_of(value));
    case VALUE_HASH: return dict_fields(dict_of(value));
    case VALUE_STRING:
    case VALUE_STREAM:
    case VALUE_TYPE_COUNT: break;
    }
    UNREACHABLE("a collection of one tree");
}

static void digest_rows(const struct value *value, struct buf *text, struct digest *digest)
{
    const struct tree *const tree = tree_of(value);
    const bool is_ordered = value->type == VALUE_LIST;
    struct tree_cursor cursor;
    if (tree->count == 0)
        return;
    tree_cursor_at(tree, 0, &cursor);
    do {
        struct element row[TREE_STRIDE_MAX];
        tree_cursor_row(&cursor, row);
        buf_clear(text);
        if (is_ordered)
            buf_append(text, digest->bytes, SNAPSHOT_DIGEST_SIZE);
        append_row(text, value, row);
        const struct digest sum = sum_of(text);
        if (is_ordered)
            *digest = sum;
        else
            mix(digest, &sum);
    } while (tree_cursor_next(&cursor));
}

/* d := H(d ‖ text) */
static void fold(struct digest *digest, struct buf *text)
{
    buf_append(text, digest->bytes, SNAPSHOT_DIGEST_SIZE);
    *digest = sum_of(text);
    buf_clear(text);
}

static void append_id(struct buf *text, struct stream_id id)
{
    buf_append_u64(text, id.ms);
    buf_append_u64(text, id.sequence);
}

static void digest_entries(const struct stream *stream, struct buf *text, struct digest *digest)
{
    struct stream_walk walk;
    struct stream_entry entry;
    stream_walk_begin(&walk, stream, STREAM_ID_MIN, STREAM_ID_MAX, false);
    while (stream_walk_next(&walk, &entry)) {
        struct slice name;
        struct slice field;
        append_id(text, entry.id);
        while (stream_entry_next(&entry, &name, &field)) {
            append_sized(text, name);
            append_sized(text, field);
        }
        fold(digest, text);
    }
}

static void digest_group(const struct stream_group *group, struct buf *text, struct digest *digest)
{
    struct stream_pending_walk walk;
    struct stream_pending pending;
    append_sized(text, group->name);
    append_id(text, group->last_id);
    for (uint32_t i = 0; i < group->consumer_count; i++)
        append_sized(text, group->consumers[i]->name);
    stream_pending_begin(&walk, group, NULL, STREAM_ID_MIN);
    while (stream_pending_next(&walk, &pending)) {
        append_id(text, pending.id);
        append_sized(text, pending.consumer->name);
    }
    fold(digest, text);
}

static void digest_stream(const struct stream *stream, struct buf *text, struct digest *digest)
{
    append_id(text, stream->last_id);
    fold(digest, text);
    digest_entries(stream, text, digest);
    for (size_t i = 0; i < stream->group_count; i++)
        digest_group(stream->groups[i], text, digest);
}

void snapshot_digest(const struct value *value, uint8_t digest[SNAPSHOT_DIGEST_SIZE])
{
    struct buf text = {0};
    struct digest sum = {.bytes = {0}};
    if (value->type == VALUE_STRING) {
        char scratch[24];
        append_sized(&text, value_string_bytes(value, scratch));
        sum = sum_of(&text);
    } else if (value->type == VALUE_STREAM) {
        digest_stream(stream_of(value), &text, &sum);
    } else {
        digest_rows(value, &text, &sum);
    }
    buf_deinit(&text);
    /* Types without elements in common differ. */
    sum.bytes[0] ^= (uint8_t)value->type;
    memcpy(digest, sum.bytes, SNAPSHOT_DIGEST_SIZE);
}
