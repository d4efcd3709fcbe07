/*
 * stream_codec.c: the payload of a stream in the cold tier.
 *
 *   version (1): 1
 *   last_id ‖ max_deleted_id                    packed IDs
 *   entries_added                               varint
 *   shapes: STREAM_SHAPE_MAX times              varint names, 0 = free; else varint bytes of items ‖ items
 *   nodes: varint count, each                   packed ID of its first entry ‖ varint live entries
 *   tail                                        varint added, 0 = none; else packed first ID ‖ varint live ‖ varint bytes
 *   entries: varint count, each                 varint bytes of row ‖ row
 *   groups: varint count, each
 *     text name ‖ packed last_id ‖ zigzag entries_read
 *     consumers: varint count, each             text name ‖ zigzag seen_ms ‖ zigzag active_ms
 *     pending: varint count, each               packed ID ‖ varint place of consumer ‖ zigzag delivery_ms ‖ varint delivery_count
 *
 * text: varint size ‖ bytes. Names and IDs are in ascending order, each once. What is read is checked against all of this and against the invariants of
 * stream.c and stream_pending.c; what is allocated is in proportion to the bytes that are there.
 */
#include "stream_internal.h"

#define VERSION 1

/* --- writing ----------------------------------------------------------------------------------------------------------- */

static void put_id(struct buf *out, struct stream_id id)
{
    uint8_t packed[STREAM_ID_PACKED_MAX];
    const size_t size = stream_id_pack(id, packed);
    buf_append(out, packed, size);
}

static void put_text(struct buf *out, struct slice text)
{
    buf_append_varint(out, text.size);
    buf_append_slice(out, text);
}

static void put_rows(struct buf *out, const struct tree *tree, bool with_size)
{
    struct tree_cursor cursor;
    buf_append_varint(out, tree->count);
    tree_cursor_at(tree, 0, &cursor);
    while (!tree_cursor_is_end(&cursor)) {
        const struct slice row = tree_cursor_element(&cursor, 0).bytes;
        if (with_size)
            buf_append_varint(out, row.size);
        buf_append_slice(out, row);
        (void)tree_cursor_next(&cursor);
    }
}

static void put_shapes(struct buf *out, const struct stream *stream)
{
    for (unsigned slot = 0; slot < STREAM_SHAPE_MAX; slot++) {
        const struct stream_shape *const shape = stream->shapes[slot].shape;
        buf_append_varint(out, shape == NULL ? 0 : shape->name_count);
        if (shape != NULL)
            put_text(out, slice_of(shape->items, shape->size));
    }
}

static void put_group(struct buf *out, const struct stream_group *group)
{
    put_text(out, group->name);
    put_id(out, group->last_id);
    buf_append_varint(out, stream_zigzag(group->entries_read));
    buf_append_varint(out, group->consumer_count);
    /* Places in the order of names become the numbers of the one who reads. */
    uint32_t *places = mem_alloc((group->number_count + 1) * sizeof(*places));
    for (uint32_t i = 0; i < group->consumer_count; i++) {
        const struct stream_consumer *const consumer = group->consumers[i];
        put_text(out, consumer->name);
        buf_append_varint(out, stream_zigzag(consumer->seen_ms));
        buf_append_varint(out, stream_zigzag(consumer->active_ms));
        places[consumer->number] = i;
    }
    struct stream_pending_walk walk;
    struct stream_pending pending;
    buf_append_varint(out, group->pending.count);
    stream_pending_begin(&walk, group, NULL, STREAM_ID_MIN);
    while (stream_pending_next(&walk, &pending)) {
        put_id(out, pending.id);
        buf_append_varint(out, places[pending.consumer->number]);
        buf_append_varint(out, stream_zigzag(pending.delivery_ms));
        buf_append_varint(out, pending.delivery_count);
    }
    mem_free(places);
}

void stream_encode(const struct value_object *object, struct buf *out)
{
    const struct stream *const stream = stream_of_object(object);
    buf_append_byte(out, VERSION);
    put_id(out, stream->last_id);
    put_id(out, stream->max_deleted_id);
    buf_append_varint(out, stream->entries_added);
    put_shapes(out, stream);
    put_rows(out, &stream->nodes, false);
    buf_append_varint(out, stream->tail.added_count);
    if (stream->tail.added_count > 0) {
        put_id(out, stream->tail.first);
        buf_append_varint(out, stream->tail.live_count);
        buf_append_varint(out, stream->tail.bytes);
    }
    put_rows(out, &stream->entries, true);
    buf_append_varint(out, stream->group_count);
    for (size_t i = 0; i < stream->group_count; i++)
        put_group(out, stream->groups[i]);
}

/* --- reading ------------------------------------------------------------------------------------------------------------- */

static struct slice read_text(struct reader *reader)
{
    const uint64_t size = reader_varint(reader);
    if (size > reader_left(reader))
        reader->failed = true;
    return reader->failed ? slice_of("", 0) : reader_bytes(reader, (size_t)size);
}

static enum status read_shapes(struct reader *reader, struct stream *stream)
{
    for (unsigned slot = 0; slot < STREAM_SHAPE_MAX; slot++) {
        const uint64_t name_count = reader_varint(reader);
        if (name_count == 0)
            continue;
        const struct slice items = read_text(reader);
        struct reader names = reader_of(items);
        char scratch[ELEMENT_TEXT_MAX];
        for (uint64_t i = 0; i < name_count && !names.failed; i++)
            (void)stream_item_read(&names, scratch);
        if (reader->failed || names.failed || reader_left(&names) > 0)
            return ST_CORRUPT;
        struct stream_shape *shape = stream_shape_create(name_count, items.size);
        if (shape == NULL)
            return ST_NO_MEMORY;
        memcpy(shape->items, items.data, items.size);
        stream->shapes[slot].shape = shape;
        stream->other_bytes += stream_shape_bytes(shape);
    }
    return reader->failed ? ST_CORRUPT : ST_OK;
}

/* The bytes read since `start`. */
static struct slice read_since(const struct reader *reader, const uint8_t *start)
{
    return slice_of(start, (size_t)(reader->position - start));
}

static enum status read_nodes(struct reader *reader, struct stream *stream)
{
    const uint64_t count = reader_varint(reader);
    struct stream_id last = STREAM_ID_MIN;
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *const start = reader->position;
        const struct stream_id id = stream_id_read(reader);
        const uint64_t live_count = reader_varint(reader);
        if (reader->failed || stream_id_compare(id, last) <= 0 || live_count == 0)
            return ST_CORRUPT;
        const struct element row = element_of_bytes(read_since(reader, start));
        tree_append(&stream->nodes, &row);
        last = id;
    }
    stream->tail.added_count = reader_varint(reader);
    if (reader->failed || stream->tail.added_count == 0)
        return reader->failed ? ST_CORRUPT : ST_OK;
    stream->tail.first = stream_id_read(reader);
    stream->tail.live_count = reader_varint(reader);
    stream->tail.bytes = reader_varint(reader);
    if (reader->failed || stream_id_compare(stream->tail.first, last) <= 0 ||
        stream->tail.live_count == 0 || stream->tail.live_count > stream->tail.added_count)
        return ST_CORRUPT;
    return ST_OK;
}

/* Walks the nodes while entries are read: which one the next entry is of. */
struct node_check {
    struct tree_cursor cursor; /* at the next node */
    uint64_t left;             /* entries still to come in this one */
    struct stream_id first;    /* the entries of this one are not before it */
    bool is_tail;
};

static bool enter_next_node(const struct stream *stream, struct node_check *check)
{
    if (check->is_tail)
        return false;
    if (tree_cursor_is_end(&check->cursor)) {
        check->is_tail = true;
        check->first = stream->tail.first;
        check->left = stream->tail.added_count > 0 ? stream->tail.live_count : 0;
        return check->left > 0;
    }
    struct reader row = reader_of(tree_cursor_element(&check->cursor, 0).bytes);
    check->first = stream_id_read(&row);
    check->left = reader_varint(&row);
    (void)tree_cursor_next(&check->cursor);
    return true;
}

/* An entry with this ID may be the next of its node, and would not belong to the one after it. */
static bool fits_node(const struct stream *stream, struct node_check *check, struct stream_id id)
{
    if (check->left == 0 && !enter_next_node(stream, check))
        return false;
    check->left--;
    if (stream_id_compare(id, check->first) < 0)
        return false;
    if (check->is_tail)
        return true;
    if (!tree_cursor_is_end(&check->cursor))
        return stream_id_compare(id, stream_row_id(&check->cursor)) < 0;
    return stream->tail.added_count == 0 || stream_id_compare(id, stream->tail.first) < 0;
}

static enum status read_entries(struct reader *reader, struct stream *stream)
{
    struct node_check check = {0};
    struct stream_id last = STREAM_ID_MIN;
    const uint64_t count = reader_varint(reader);
    tree_cursor_at(&stream->nodes, 0, &check.cursor);
    for (uint64_t i = 0; i < count; i++) {
        struct stream_entry entry;
        const struct slice row = read_text(reader);
        if (reader->failed || row.size > ELEMENT_SIZE_MAX ||
            !stream_entry_open(stream, row, &entry) || stream_id_compare(entry.id, last) <= 0 ||
            !fits_node(stream, &check, entry.id))
            return ST_CORRUPT;
        const uint8_t *const packed = (const uint8_t *)row.data;
        const unsigned slot = packed[1 + packed[0] / 9 + packed[0] % 9];
        if (slot != STREAM_OWN_NAMES)
            stream->shapes[slot].last_used = entry.id;
        const struct element element = element_of_bytes(row);
        tree_append(&stream->entries, &element);
        last = entry.id;
    }
    if (reader->failed || check.left > 0 || stream_id_compare(last, stream->last_id) > 0 ||
        enter_next_node(stream, &check))
        return ST_CORRUPT;
    return ST_OK;
}

static enum status read_consumers(
    struct reader *reader, struct stream *stream, struct stream_group *group)
{
    const uint64_t count = reader_varint(reader);
    struct slice last = {0};
    for (uint64_t i = 0; i < count; i++) {
        const struct slice name = read_text(reader);
        const int64_t seen_ms = stream_unzigzag(reader_varint(reader));
        const int64_t active_ms = stream_unzigzag(reader_varint(reader));
        if (reader->failed || i >= UINT32_MAX || (i > 0 && slice_compare(last, name) >= 0))
            return ST_CORRUPT;
        struct stream_consumer *const consumer =
            stream_consumer_create(stream, group, name, seen_ms);
        consumer->active_ms = active_ms;
        last = consumer->name;
    }
    return reader->failed ? ST_CORRUPT : ST_OK;
}

static enum status read_pending(
    struct reader *reader, struct stream *stream, struct stream_group *group)
{
    const uint64_t count = reader_varint(reader);
    struct stream_id last = STREAM_ID_MIN;
    for (uint64_t i = 0; i < count; i++) {
        struct stream_pending pending;
        pending.id = stream_id_read(reader);
        const uint64_t place = reader_varint(reader);
        pending.delivery_ms = stream_unzigzag(reader_varint(reader));
        pending.delivery_count = reader_varint(reader);
        if (reader->failed || place >= group->consumer_count ||
            (i > 0 && stream_id_compare(pending.id, last) <= 0))
            return ST_CORRUPT;
        pending.consumer = group->consumers[place];
        stream_pending_set(stream, group, &pending);
        last = pending.id;
    }
    return reader->failed ? ST_CORRUPT : ST_OK;
}

static enum status read_groups(struct reader *reader, struct stream *stream)
{
    const uint64_t count = reader_varint(reader);
    struct slice last = {0};
    for (uint64_t i = 0; i < count; i++) {
        const struct slice name = read_text(reader);
        const struct stream_id last_id = stream_id_read(reader);
        const int64_t entries_read = stream_unzigzag(reader_varint(reader));
        if (reader->failed || entries_read < STREAM_ENTRIES_READ_UNKNOWN ||
            (i > 0 && slice_compare(last, name) >= 0))
            return ST_CORRUPT;
        struct stream_group *const group = stream_group_create(stream, name, last_id, entries_read);
        enum status status = read_consumers(reader, stream, group);
        if (status == ST_OK)
            status = read_pending(reader, stream, group);
        if (status != ST_OK)
            return status;
        last = group->name;
    }
    return reader->failed || reader_left(reader) > 0 ? ST_CORRUPT : ST_OK;
}

static enum status read_stream(struct reader *reader, struct stream *stream)
{
    if (reader_u8(reader) != VERSION)
        return ST_CORRUPT;
    stream->last_id = stream_id_read(reader);
    stream->max_deleted_id = stream_id_read(reader);
    stream->entries_added = reader_varint(reader);
    enum status status = read_shapes(reader, stream);
    if (status == ST_OK)
        status = read_nodes(reader, stream);
    if (status == ST_OK)
        status = read_entries(reader, stream);
    if (status == ST_OK)
        status = read_groups(reader, stream);
    return status;
}

enum status stream_decode(
    enum value_encoding encoding, struct slice in, struct value_object **object)
{
    if (encoding != VALUE_ENCODING_STREAM)
        return ST_CORRUPT;
    struct stream *stream = stream_create();
    struct reader reader = reader_of(in);
    const enum status status = read_stream(&reader, stream);
    if (status == ST_OK) {
        *object = &stream->object;
        stream = NULL; /* ownership moved */
    }
    stream_destroy(stream);
    return status;
}
