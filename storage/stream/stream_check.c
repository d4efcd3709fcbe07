/*
 * stream_check.c: the invariants of a stream, asserted one by one.
 */
#include "stream_internal.h"

static void check_entries(const struct stream *stream)
{
    struct tree_cursor cursor;
    struct stream_id last = STREAM_ID_MIN;
    uint64_t count = 0;
    tree_check(&stream->entries);
    tree_cursor_at(&stream->entries, 0, &cursor);
    while (!tree_cursor_is_end(&cursor)) {
        struct stream_entry entry;
        CHECK(stream_entry_open(stream, tree_cursor_element(&cursor, 0).bytes, &entry));
        CHECK(stream_id_compare(last, entry.id) < 0);
        last = entry.id;
        count++;
        (void)tree_cursor_next(&cursor);
    }
    CHECK(count == stream_length(stream));
    CHECK(stream_id_compare(last, stream->last_id) <= 0);
}

/* Entries from one ID on, before another. */
static uint64_t count_between(
    const struct stream *stream, struct stream_id first, const struct stream_id *end)
{
    struct tree_cursor cursor;
    uint64_t end_rank = stream_length(stream);
    stream_seek(&stream->entries, first, &cursor);
    const uint64_t first_rank = tree_cursor_is_end(&cursor) ? end_rank : tree_cursor_rank(&cursor);
    if (end != NULL) {
        stream_seek(&stream->entries, *end, &cursor);
        if (!tree_cursor_is_end(&cursor))
            end_rank = tree_cursor_rank(&cursor);
    }
    return end_rank - first_rank;
}

static void check_nodes(const struct stream *stream)
{
    struct tree_cursor cursor;
    uint64_t count = 0;
    const bool has_tail = stream->tail.added_count > 0;
    tree_check(&stream->nodes);
    tree_cursor_at(&stream->nodes, 0, &cursor);
    while (!tree_cursor_is_end(&cursor)) {
        struct reader row = reader_of(tree_cursor_element(&cursor, 0).bytes);
        const struct stream_id first = stream_id_read(&row);
        const uint64_t live_count = reader_varint(&row);
        CHECK(live_count > 0);
        (void)tree_cursor_next(&cursor);
        struct stream_id end = stream->tail.first;
        if (!tree_cursor_is_end(&cursor))
            end = stream_row_id(&cursor);
        const bool is_last = tree_cursor_is_end(&cursor) && !has_tail;
        CHECK(count_between(stream, first, is_last ? NULL : &end) == live_count);
        count += live_count;
    }
    if (has_tail) {
        CHECK(stream->tail.live_count > 0);
        CHECK(stream->tail.live_count <= stream->tail.added_count);
        CHECK(count_between(stream, stream->tail.first, NULL) == stream->tail.live_count);
        count += stream->tail.live_count;
    }
    CHECK(count == stream_length(stream));
}

static void check_group(const struct stream_group *group)
{
    uint64_t pending_count = 0;
    tree_check(&group->pending);
    CHECK(group->consumer_count <= group->number_count);
    for (uint32_t i = 0; i < group->consumer_count; i++) {
        const struct stream_consumer *const consumer = group->consumers[i];
        struct stream_pending_walk walk;
        struct stream_pending pending;
        if (i > 0)
            CHECK(slice_compare(group->consumers[i - 1]->name, consumer->name) < 0);
        CHECK(consumer->number < group->number_count);
        CHECK(group->numbered[consumer->number] == consumer);
        tree_check(&consumer->pending);
        pending_count += consumer->pending.count;
        stream_pending_begin(&walk, group, consumer, STREAM_ID_MIN);
        while (stream_pending_next(&walk, &pending))
            CHECK(pending.consumer == consumer);
    }
    CHECK(pending_count == group->pending.count);
}

void stream_check(const struct stream *stream)
{
    check_entries(stream);
    check_nodes(stream);
    for (size_t i = 0; i < stream->group_count; i++) {
        if (i > 0)
            CHECK(slice_compare(stream->groups[i - 1]->name, stream->groups[i]->name) < 0);
        check_group(stream->groups[i]);
    }
}
