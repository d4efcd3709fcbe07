/*
 * stream.c: the object: its life, nodes, deletion and trimming.
 *
 * Redis keeps entries in listpacks ("macro nodes") of at most stream-node-max-entries and -bytes, and trims by "~" only whole ones. Our entries
 * lie in a tree that knows no such nodes, so they are counted apart: the newest node in `tail`, one row for each full one in `nodes`:
 *
 *   entries   1 2 3 5 6 | 7 8 9 10 12 | 13 14
 *   nodes     (1: 5)      (7: 5)        tail: first 13, live 2
 *
 * (1) The live counts of nodes and tail add up to the entries. (2) A node's entries have IDs from its first up to the next node's. (3) No node
 * is empty; a tail without live entries is no tail.
 */
#include "stream_internal.h"

/* --- life ------------------------------------------------------------------------------------------------------------------ */

static const struct value_class stream_class;

struct stream *stream_create(void)
{
    struct stream *stream = mem_alloc_zero(sizeof(*stream));
    stream->object = (struct value_object){&stream_class, VALUE_ENCODING_STREAM};
    tree_init(&stream->entries, &stream_tree_class);
    tree_init(&stream->nodes, &stream_tree_class);
    return stream;
}

void stream_destroy(struct stream *stream)
{
    if (stream == NULL)
        return;
    tree_deinit(&stream->entries);
    tree_deinit(&stream->nodes);
    for (unsigned slot = 0; slot < STREAM_SHAPE_MAX; slot++)
        stream_shape_unref(stream->shapes[slot].shape);
    stream_groups_drop(stream);
    mem_free(stream);
}

struct stream *stream_snapshot(const struct stream *stream)
{
    struct stream *snapshot = mem_alloc(sizeof(*snapshot));
    *snapshot = *stream;
    tree_snapshot(&stream->entries, &snapshot->entries);
    tree_snapshot(&stream->nodes, &snapshot->nodes);
    for (unsigned slot = 0; slot < STREAM_SHAPE_MAX; slot++) {
        if (stream->shapes[slot].shape != NULL)
            stream_shape_ref(stream->shapes[slot].shape);
    }
    stream_groups_snapshot(stream, snapshot);
    return snapshot;
}

struct value stream_value(struct stream *stream)
{
    return (struct value){
        .type = VALUE_STREAM, .encoding = VALUE_ENCODING_STREAM, .object = &stream->object};
}

static void object_destroy(struct value_object *object)
{
    stream_destroy((struct stream *)(void *)object);
}

static uint64_t object_effort(const struct value_object *object)
{
    const struct stream *const stream = stream_of_object(object);
    return tree_node_count(&stream->entries) + tree_node_count(&stream->nodes) +
           stream_groups_effort(stream);
}

static size_t object_size_bytes(const struct value_object *object)
{
    const struct stream *const stream = stream_of_object(object);
    return mem_good_size(sizeof(*stream)) + stream->entries.bytes + stream->nodes.bytes +
           stream->other_bytes;
}

static uint64_t object_element_count(const struct value_object *object)
{
    return stream_length(stream_of_object(object));
}

static struct value_object *object_snapshot(const struct value_object *object)
{
    return &stream_snapshot(stream_of_object(object))->object;
}

static const struct value_class stream_class = {
    .type = VALUE_STREAM,
    .destroy = object_destroy,
    .effort = object_effort,
    .size_bytes = object_size_bytes,
    .element_count = object_element_count,
    .snapshot = object_snapshot,
    .encode = stream_encode,
    .decode = stream_decode,
};

void stream_setup(void)
{
    value_class_register(&stream_class);
}

/* --- looking ---------------------------------------------------------------------------------------------------------------- */

uint64_t stream_node_count(const struct stream *stream)
{
    return stream->nodes.count + (stream->tail.added_count > 0);
}

static bool id_at(const struct stream *stream, uint64_t rank, struct stream_id *id)
{
    struct tree_cursor cursor;
    *id = STREAM_ID_MIN;
    if (stream->entries.count == 0)
        return false;
    tree_cursor_at(&stream->entries, rank, &cursor);
    *id = stream_row_id(&cursor);
    return true;
}

bool stream_first_id(const struct stream *stream, struct stream_id *id)
{
    return id_at(stream, 0, id);
}

bool stream_top_id(const struct stream *stream, struct stream_id *id)
{
    return id_at(stream, stream->entries.count - 1, id);
}

bool stream_contains(const struct stream *stream, struct stream_id id)
{
    struct tree_cursor cursor;
    return stream_seek_exact(&stream->entries, id, &cursor);
}

/* --- nodes -------------------------------------------------------------------------------------------------------------------- */

static uint64_t node_live_count(const struct tree_cursor *cursor)
{
    struct reader reader = reader_of(tree_cursor_element(cursor, 0).bytes);
    (void)stream_id_read(&reader);
    return reader_varint(&reader);
}

static void node_set_live_count(
    struct stream *stream, struct tree_cursor *cursor, uint64_t live_count)
{
    uint8_t row[STREAM_ID_PACKED_MAX + STREAM_VARINT_MAX];
    size_t size = stream_id_pack(stream_row_id(cursor), row);
    size += stream_varint_put(live_count, row + size);
    const struct element element = element_of_bytes(slice_of(row, size));
    tree_replace(&stream->nodes, cursor, 0, &element);
}

static void tail_take(struct stream *stream, uint64_t count)
{
    CHECK(count <= stream->tail.live_count);
    stream->tail.live_count -= count;
    if (stream->tail.live_count == 0)
        stream->tail.added_count = 0;
}

/* An entry was deleted: its node is the last one that begins at or before it. */
static void count_deleted(struct stream *stream, struct stream_id id)
{
    if (stream->tail.added_count > 0 && stream_id_compare(id, stream->tail.first) >= 0) {
        tail_take(stream, 1);
        return;
    }
    struct tree_cursor cursor;
    if (!stream_seek_exact(&stream->nodes, id, &cursor)) {
        const bool found = tree_cursor_previous(&cursor);
        CHECK(found);
    }
    const uint64_t live_count = node_live_count(&cursor);
    if (live_count > 1)
        node_set_live_count(stream, &cursor, live_count - 1);
    else
        tree_delete(&stream->nodes, &cursor);
}

/* So many entries go from the front: whole nodes, and some of the one after them. */
static void count_trimmed(struct stream *stream, uint64_t count)
{
    struct tree_cursor cursor;
    uint64_t whole = 0;
    tree_cursor_at(&stream->nodes, 0, &cursor);
    while (count > 0 && !tree_cursor_is_end(&cursor)) {
        const uint64_t live_count = node_live_count(&cursor);
        if (live_count > count) {
            node_set_live_count(stream, &cursor, live_count - count);
            count = 0;
            break;
        }
        count -= live_count;
        whole++;
        (void)tree_cursor_next(&cursor);
    }
    tree_delete_range(&stream->nodes, 0, whole);
    if (count > 0)
        tail_take(stream, count);
}

/* --- taking out ---------------------------------------------------------------------------------------------------------------- */

bool stream_delete(struct stream *stream, struct stream_id id)
{
    if (!stream_row_delete(&stream->entries, id))
        return false;
    count_deleted(stream, id);
    if (stream_id_compare(id, stream->max_deleted_id) > 0)
        stream->max_deleted_id = id;
    return true;
}

/* The number of entries in the way of an exact trim. */
static uint64_t exact_surplus(const struct stream *stream, const struct stream_trim *trim)
{
    const uint64_t length = stream_length(stream);
    if (trim->kind == STREAM_TRIM_LENGTH)
        return length > trim->length ? length - trim->length : 0;
    struct tree_cursor cursor;
    stream_seek(&stream->entries, trim->id, &cursor);
    return tree_cursor_is_end(&cursor) ? length : tree_cursor_rank(&cursor);
}

/* Of these, the ones in whole nodes, up to the limit. */
static uint64_t whole_nodes(const struct stream *stream, uint64_t surplus, uint64_t limit)
{
    struct tree_cursor cursor;
    uint64_t count = 0;
    tree_cursor_at(&stream->nodes, 0, &cursor);
    while (count < surplus) {
        const bool is_tail = tree_cursor_is_end(&cursor);
        const uint64_t live_count = is_tail ? stream->tail.live_count : node_live_count(&cursor);
        if (live_count > surplus - count || (limit > 0 && live_count > limit - count))
            break;
        count += live_count;
        if (is_tail)
            break;
        (void)tree_cursor_next(&cursor);
    }
    return count;
}

uint64_t stream_trim_count(const struct stream *stream, const struct stream_trim *trim)
{
    if (trim->kind == STREAM_TRIM_NONE || stream_length(stream) == 0)
        return 0;
    const uint64_t surplus = exact_surplus(stream, trim);
    return trim->is_approximate ? whole_nodes(stream, surplus, trim->limit) : surplus;
}

uint64_t stream_trim(struct stream *stream, const struct stream_trim *trim)
{
    const uint64_t count = stream_trim_count(stream, trim);
    if (count == 0)
        return 0;
    count_trimmed(stream, count);
    tree_delete_range(&stream->entries, 0, count);
    return count;
}
