/*
 * stream_entry.c: entries as packed rows: adding and reading them; the shapes that hold their names.
 *
 * Most streams repeat a few lists of names. A list becomes a shape when a slot is free, and entries then hold its number and their values.
 * Slots are not counted: a slot remembers the greatest ID that uses it, and is free again when no entry up to that one is left.
 * Entries are taken out by deletion and from the front, so that is seldom late and never early.
 */
#include "stream_internal.h"

/* --- items ------------------------------------------------------------------------------------------------------------- */

/* Bytes of the integer that the text stands for; 0: it stays text. */
static unsigned integer_size(struct slice text, int64_t *integer)
{
    if (text.size > 20 || text.size < 2 || !slice_to_int64(text, integer))
        return 0;
    unsigned size = 1;
    while (size < 8 &&
           (*integer < -((int64_t)1 << (8 * size - 1)) || *integer >= (int64_t)1 << (8 * size - 1)))
        size++;
    return size < text.size ? size : 0;
}

static size_t varint_size(uint64_t value)
{
    size_t size = 1;
    while (value >= 0x80) {
        value >>= 7;
        size++;
    }
    return size;
}

static size_t item_size(struct slice text)
{
    int64_t integer;
    const unsigned size = integer_size(text, &integer);
    return size > 0 ? 1 + size : varint_size((uint64_t)text.size << 1) + text.size;
}

static size_t item_put(struct slice text, uint8_t *out)
{
    int64_t integer;
    const unsigned size = integer_size(text, &integer);
    if (size > 0) {
        *out++ = (uint8_t)(size << 1 | 1);
        for (unsigned i = 0; i < size; i++)
            out[i] = (uint8_t)((uint64_t)integer >> (8 * i));
        return 1 + size;
    }
    const size_t head = stream_varint_put((uint64_t)text.size << 1, out);
    if (text.size > 0)
        memcpy(out + head, text.data, text.size);
    return head + text.size;
}

struct slice stream_item_read(struct reader *reader, char scratch[ELEMENT_TEXT_MAX])
{
    const uint64_t head = reader_varint(reader);
    const uint64_t size = head >> 1;
    if ((head & 1) == 0) {
        if (size > reader_left(reader))
            reader->failed = true;
        return reader->failed ? slice_of("", 0) : reader_bytes(reader, (size_t)size);
    }
    if (size < 1 || size > 8 || reader->failed) {
        reader->failed = true;
        return slice_of("", 0);
    }
    const struct slice bytes = reader_bytes(reader, (size_t)size);
    if (reader->failed)
        return slice_of("", 0);
    uint64_t number = 0;
    for (unsigned i = 0; i < size; i++)
        number |= (uint64_t)(uint8_t)bytes.data[i] << (8 * i);
    /* The sign of the last byte goes on to the left. */
    const unsigned unused = 64 - 8 * (unsigned)size;
    const int64_t integer = (int64_t)(number << unused) >> unused;
    return slice_of(scratch, int64_to_text(integer, scratch));
}

/* --- shapes -------------------------------------------------------------------------------------------------------------- */

struct stream_shape *stream_shape_create(uint64_t name_count, size_t size)
{
    struct stream_shape *shape = mem_try_alloc(sizeof(*shape) + size);
    if (shape == NULL)
        return NULL;
    atomic_init(&shape->references, 1);
    shape->name_count = name_count;
    shape->size = size;
    return shape;
}

void stream_shape_ref(struct stream_shape *shape)
{
    atomic_fetch_add_explicit(&shape->references, 1, memory_order_relaxed);
}

void stream_shape_unref(struct stream_shape *shape)
{
    /* Pairs with itself: the last one sees what the others did. */
    if (shape != NULL &&
        atomic_fetch_sub_explicit(&shape->references, 1, memory_order_acq_rel) == 1)
        mem_free(shape);
}

size_t stream_shape_bytes(const struct stream_shape *shape)
{
    return mem_good_size(sizeof(*shape) + shape->size);
}

static bool shape_matches(
    const struct stream_shape *shape, const struct slice *fields, size_t pair_count)
{
    if (shape->name_count != pair_count)
        return false;
    struct reader reader = reader_of(slice_of(shape->items, shape->size));
    char scratch[ELEMENT_TEXT_MAX];
    for (size_t i = 0; i < pair_count; i++) {
        if (!slice_equal(stream_item_read(&reader, scratch), fields[2 * i]))
            return false;
    }
    return true;
}

static bool slot_is_free(const struct stream *stream, unsigned slot)
{
    struct stream_id first;
    return stream->shapes[slot].shape == NULL || !stream_first_id(stream, &first) ||
           stream_id_compare(stream->shapes[slot].last_used, first) < 0;
}

/* The slot of the names' shape, perhaps a new one; STREAM_OWN_NAMES if there is none. */
static unsigned find_shape(struct stream *stream, const struct slice *fields, size_t pair_count)
{
    for (unsigned slot = 0; slot < STREAM_SHAPE_MAX; slot++) {
        const struct stream_shape *const shape = stream->shapes[slot].shape;
        if (shape != NULL && shape_matches(shape, fields, pair_count))
            return slot;
    }
    size_t size = 0;
    for (size_t i = 0; i < pair_count && size <= STREAM_SHAPE_BYTES_MAX; i++)
        size += item_size(fields[2 * i]);
    if (size > STREAM_SHAPE_BYTES_MAX)
        return STREAM_OWN_NAMES;
    for (unsigned slot = 0; slot < STREAM_SHAPE_MAX; slot++) {
        if (!slot_is_free(stream, slot))
            continue;
        struct stream_shape *shape = stream_shape_create(pair_count, size);
        if (shape == NULL)
            return STREAM_OWN_NAMES;
        uint8_t *out = shape->items;
        for (size_t i = 0; i < pair_count; i++)
            out += item_put(fields[2 * i], out);
        if (stream->shapes[slot].shape != NULL) {
            stream->other_bytes -= stream_shape_bytes(stream->shapes[slot].shape);
            stream_shape_unref(stream->shapes[slot].shape);
        }
        stream->shapes[slot].shape = shape;
        stream->other_bytes += stream_shape_bytes(shape);
        return slot;
    }
    return STREAM_OWN_NAMES;
}

/* --- adding ---------------------------------------------------------------------------------------------------------------- */

/* The row's size, or more than ELEMENT_SIZE_MAX. */
static size_t row_size(const struct slice *fields, size_t pair_count, unsigned slot)
{
    size_t size = STREAM_ID_PACKED_MAX + 1 + STREAM_VARINT_MAX;
    for (size_t i = 0; i < 2 * pair_count && size <= ELEMENT_SIZE_MAX; i++) {
        if (i % 2 == 1 || slot == STREAM_OWN_NAMES)
            size += item_size(fields[i]);
    }
    return size;
}

static size_t row_put(
    struct stream_id id, const struct slice *fields, size_t pair_count, unsigned slot, uint8_t *out)
{
    size_t size = stream_id_pack(id, out);
    out[size++] = (uint8_t)slot;
    if (slot == STREAM_OWN_NAMES)
        size += stream_varint_put(pair_count, out + size);
    for (size_t i = 0; i < 2 * pair_count; i++) {
        if (i % 2 == 1 || slot == STREAM_OWN_NAMES)
            size += item_put(fields[i], out + size);
    }
    return size;
}

/* Counts an entry of so many bytes to the newest node, or begins another: as Redis fills its listpacks. */
static void count_to_tail(struct stream *stream, struct stream_id id, size_t size)
{
    const int64_t max_bytes =
        atomic_load_explicit(&value_limits.stream_node_max_bytes, memory_order_relaxed);
    const int64_t max_entries =
        atomic_load_explicit(&value_limits.stream_node_max_entries, memory_order_relaxed);
    const bool is_full = (max_bytes > 0 && stream->tail.bytes + size >= (uint64_t)max_bytes) ||
                         (max_entries > 0 && stream->tail.added_count >= (uint64_t)max_entries);
    if (stream->tail.added_count > 0 && is_full) {
        uint8_t row[STREAM_ID_PACKED_MAX + STREAM_VARINT_MAX];
        size_t row_bytes = stream_id_pack(stream->tail.first, row);
        row_bytes += stream_varint_put(stream->tail.live_count, row + row_bytes);
        const struct element element = element_of_bytes(slice_of(row, row_bytes));
        tree_append(&stream->nodes, &element);
        stream->tail.added_count = 0;
    }
    if (stream->tail.added_count == 0) {
        stream->tail.first = id;
        stream->tail.live_count = 0;
        stream->tail.bytes = 0;
    }
    stream->tail.added_count++;
    stream->tail.live_count++;
    stream->tail.bytes += size;
}

enum status stream_append(
    struct stream *stream, struct stream_id id, const struct slice *fields, size_t pair_count)
{
    if (stream_id_compare(id, stream->last_id) <= 0)
        return ST_INVALID;
    uint8_t small[512];
    uint8_t *row = small;
    size_t size = row_size(fields, pair_count, STREAM_OWN_NAMES);
    if (size > ELEMENT_SIZE_MAX)
        return ST_FULL;
    const unsigned slot = find_shape(stream, fields, pair_count);
    if (slot != STREAM_OWN_NAMES)
        size = row_size(fields, pair_count, slot);
    if (size > sizeof(small)) {
        row = mem_try_alloc(size);
        if (row == NULL)
            return ST_FULL;
    }
    size = row_put(id, fields, pair_count, slot, row);
    const struct element element = element_of_bytes(slice_of(row, size));
    tree_append(&stream->entries, &element);
    if (row != small)
        mem_free(row);
    if (slot != STREAM_OWN_NAMES)
        stream->shapes[slot].last_used = id;
    count_to_tail(stream, id, size);
    stream->last_id = id;
    if (stream->entries_added < INT64_MAX)
        stream->entries_added++;
    return ST_OK;
}

/* --- reading ----------------------------------------------------------------------------------------------------------------- */

static bool begin_pairs(
    const struct stream *stream, struct reader *reader, struct stream_entry *entry)
{
    const unsigned slot = reader_u8(reader);
    entry->is_shaped = slot != STREAM_OWN_NAMES;
    if (!entry->is_shaped) {
        entry->pair_count = reader_varint(reader);
        entry->names = (struct reader){0};
    } else {
        if (slot >= STREAM_SHAPE_MAX || stream->shapes[slot].shape == NULL)
            return false;
        const struct stream_shape *const shape = stream->shapes[slot].shape;
        entry->pair_count = shape->name_count;
        entry->names = reader_of(slice_of(shape->items, shape->size));
    }
    entry->pairs_left = entry->pair_count;
    entry->values = *reader;
    return !reader->failed && entry->pair_count > 0;
}

bool stream_entry_open(const struct stream *stream, struct slice row, struct stream_entry *entry)
{
    struct reader reader = reader_of(row);
    entry->id = stream_id_read(&reader);
    if (reader.failed || !begin_pairs(stream, &reader, entry))
        return false;
    struct stream_entry check = *entry;
    struct slice name;
    struct slice value;
    uint64_t seen = 0;
    while (stream_entry_next(&check, &name, &value))
        seen++;
    return seen == entry->pair_count && !check.values.failed && !check.names.failed &&
           reader_left(&check.values) == 0;
}

bool stream_entry_next(struct stream_entry *entry, struct slice *name, struct slice *value)
{
    if (entry->pairs_left == 0)
        return false;
    entry->pairs_left--;
    *name = stream_item_read(entry->is_shaped ? &entry->names : &entry->values, entry->name_text);
    *value = stream_item_read(&entry->values, entry->value_text);
    return !entry->values.failed && !entry->names.failed;
}

void stream_walk_begin(struct stream_walk *walk, const struct stream *stream,
    struct stream_id first, struct stream_id last, bool is_reverse)
{
    *walk = (struct stream_walk){
        .stream = stream, .first = first, .last = last, .is_reverse = is_reverse};
    if (stream->entries.count == 0 || stream_id_compare(first, last) > 0) {
        walk->is_over = true;
        return;
    }
    if (!is_reverse) {
        stream_seek(&stream->entries, first, &walk->cursor);
        walk->is_over = tree_cursor_is_end(&walk->cursor);
        return;
    }
    stream_seek(&stream->entries, last, &walk->cursor);
    if (tree_cursor_is_end(&walk->cursor))
        tree_cursor_at(&stream->entries, stream->entries.count - 1, &walk->cursor);
    else if (stream_id_compare(stream_row_id(&walk->cursor), last) > 0)
        walk->is_over = !tree_cursor_previous(&walk->cursor);
}

bool stream_walk_next(struct stream_walk *walk, struct stream_entry *entry)
{
    if (walk->is_over)
        return false;
    const struct slice row = tree_cursor_element(&walk->cursor, 0).bytes;
    struct reader reader = reader_of(row);
    entry->id = stream_id_read(&reader);
    const bool is_beyond = walk->is_reverse ? stream_id_compare(entry->id, walk->first) < 0
                                            : stream_id_compare(entry->id, walk->last) > 0;
    if (is_beyond) {
        walk->is_over = true;
        return false;
    }
    CHECK(begin_pairs(walk->stream, &reader, entry));
    walk->is_over =
        walk->is_reverse ? !tree_cursor_previous(&walk->cursor) : !tree_cursor_next(&walk->cursor);
    return true;
}
