/*
 * stream_pending.c: entries that were delivered and not acknowledged.
 *
 * (1) An ID is in the group's tree exactly if it is in the tree of one of its consumers: the one whose number its row has.
 */
#include "stream_internal.h"

#define ROW_MAX (STREAM_ID_PACKED_MAX + 3 * STREAM_VARINT_MAX)

static struct slice pack_row(const struct stream_pending *pending, uint8_t row[ROW_MAX])
{
    size_t size = stream_id_pack(pending->id, row);
    size += stream_varint_put(pending->consumer->number, row + size);
    size += stream_varint_put(stream_zigzag(pending->delivery_ms), row + size);
    size += stream_varint_put(pending->delivery_count, row + size);
    return slice_of(row, size);
}

static void unpack_row(const struct stream_group *group, const struct tree_cursor *cursor,
    struct stream_pending *pending)
{
    struct reader reader = reader_of(tree_cursor_element(cursor, 0).bytes);
    pending->id = stream_id_read(&reader);
    const uint64_t number = reader_varint(&reader);
    CHECK(number < group->number_count);
    pending->consumer = group->numbered[number];
    pending->delivery_ms = stream_unzigzag(reader_varint(&reader));
    pending->delivery_count = reader_varint(&reader);
}

bool stream_pending_find(
    const struct stream_group *group, struct stream_id id, struct stream_pending *pending)
{
    struct tree_cursor cursor;
    if (!stream_seek_exact(&group->pending, id, &cursor))
        return false;
    unpack_row(group, &cursor, pending);
    return true;
}

static size_t bytes_of(const struct stream_group *group, const struct stream_consumer *consumer)
{
    return group->pending.bytes + consumer->pending.bytes;
}

static void forget(
    struct stream *stream, const struct stream_group *group, uint32_t number, struct stream_id id)
{
    struct stream_consumer *const consumer = group->numbered[number];
    const size_t before = consumer->pending.bytes;
    const bool was_there = stream_row_delete(&consumer->pending, id);
    CHECK(was_there);
    stream->other_bytes += consumer->pending.bytes - before;
}

void stream_pending_set(
    struct stream *stream, struct stream_group *group, const struct stream_pending *pending)
{
    uint8_t row[ROW_MAX];
    uint8_t id_row[STREAM_ID_PACKED_MAX];
    const struct slice packed = pack_row(pending, row);
    struct stream_consumer *const owner = group->numbered[pending->consumer->number];
    CHECK(owner == pending->consumer);
    struct stream_pending old;
    struct tree_cursor cursor;
    const struct element element = element_of_bytes(packed);
    const size_t before = bytes_of(group, owner);
    bool is_new_to_owner = true;
    uint32_t loser = owner->number;
    if (stream_seek_exact(&group->pending, pending->id, &cursor)) {
        unpack_row(group, &cursor, &old);
        is_new_to_owner = old.consumer != owner;
        loser = old.consumer->number;
        tree_replace(&group->pending, &cursor, 0, &element);
    } else {
        tree_insert(&group->pending, &cursor, &element);
    }
    if (is_new_to_owner) {
        const size_t size = stream_id_pack(pending->id, id_row);
        (void)stream_row_put(&owner->pending, pending->id, slice_of(id_row, size));
    }
    stream->other_bytes += bytes_of(group, owner) - before;
    if (loser != owner->number)
        forget(stream, group, loser, pending->id);
}

bool stream_pending_remove(struct stream *stream, struct stream_group *group, struct stream_id id)
{
    struct tree_cursor cursor;
    struct stream_pending old;
    if (!stream_seek_exact(&group->pending, id, &cursor))
        return false;
    unpack_row(group, &cursor, &old);
    const size_t before = group->pending.bytes;
    tree_delete(&group->pending, &cursor);
    stream->other_bytes += group->pending.bytes - before;
    forget(stream, group, old.consumer->number, id);
    return true;
}

/* --- walks ------------------------------------------------------------------------------------------------------------- */

void stream_pending_begin(struct stream_pending_walk *walk, const struct stream_group *group,
    const struct stream_consumer *consumer, struct stream_id first)
{
    walk->group = group;
    walk->consumer = consumer;
    stream_seek(consumer != NULL ? &consumer->pending : &group->pending, first, &walk->cursor);
}

bool stream_pending_next(struct stream_pending_walk *walk, struct stream_pending *pending)
{
    if (tree_cursor_is_end(&walk->cursor))
        return false;
    if (walk->consumer != NULL) {
        const bool found = stream_pending_find(walk->group, stream_row_id(&walk->cursor), pending);
        CHECK(found);
    } else {
        unpack_row(walk->group, &walk->cursor, pending);
    }
    (void)tree_cursor_next(&walk->cursor);
    return true;
}

bool stream_pending_last(const struct stream_group *group, struct stream_pending *pending)
{
    struct tree_cursor cursor;
    if (group->pending.count == 0)
        return false;
    tree_cursor_at(&group->pending, group->pending.count - 1, &cursor);
    unpack_row(group, &cursor, pending);
    return true;
}
