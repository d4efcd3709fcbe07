/*
 * stream_id.c: IDs: arithmetic, text, packed form; and rows by their ID.
 *
 * A tree's order is by the ms of the ID (the prefix), and by the sequence among equal ones.
 */
#include "stream_internal.h"

bool stream_id_next(struct stream_id *id)
{
    if (id->sequence < UINT64_MAX) {
        id->sequence++;
        return true;
    }
    if (id->ms == UINT64_MAX)
        return false;
    *id = (struct stream_id){id->ms + 1, 0};
    return true;
}

bool stream_id_previous(struct stream_id *id)
{
    if (id->sequence > 0) {
        id->sequence--;
        return true;
    }
    if (id->ms == 0)
        return false;
    *id = (struct stream_id){id->ms - 1, UINT64_MAX};
    return true;
}

size_t stream_id_to_text(struct stream_id id, char out[STREAM_ID_TEXT_MAX])
{
    /* uint64_to_text() asks for more room than it uses. */
    char text[24];
    size_t size = uint64_to_text(id.ms, text);
    memcpy(out, text, size);
    out[size++] = '-';
    const size_t rest = uint64_to_text(id.sequence, text);
    memcpy(out + size, text, rest);
    return size + rest;
}

/* --- packed ------------------------------------------------------------------------------------------------------ */

static unsigned byte_count(uint64_t number)
{
    unsigned count = 0;
    while (number != 0) {
        number >>= 8;
        count++;
    }
    return count;
}

static void put_big_endian(uint64_t number, unsigned count, uint8_t *out)
{
    while (count > 0) {
        out[--count] = (uint8_t)number;
        number >>= 8;
    }
}

static uint64_t get_big_endian(const uint8_t *in, unsigned count)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < count; i++)
        number = number << 8 | in[i];
    return number;
}

size_t stream_id_pack(struct stream_id id, uint8_t out[STREAM_ID_PACKED_MAX])
{
    const unsigned ms_count = byte_count(id.ms);
    const unsigned sequence_count = byte_count(id.sequence);
    out[0] = (uint8_t)(9 * ms_count + sequence_count);
    put_big_endian(id.ms, ms_count, out + 1);
    put_big_endian(id.sequence, sequence_count, out + 1 + ms_count);
    return 1 + ms_count + sequence_count;
}

struct stream_id stream_id_unpack(struct slice bytes)
{
    const uint8_t *const in = (const uint8_t *)bytes.data;
    const unsigned ms_count = in[0] / 9;
    const unsigned sequence_count = in[0] % 9;
    return (struct stream_id){
        get_big_endian(in + 1, ms_count), get_big_endian(in + 1 + ms_count, sequence_count)};
}

static uint64_t read_number(struct reader *reader, unsigned count)
{
    const struct slice bytes = reader_bytes(reader, count);
    if (count == 0 || reader->failed)
        return 0;
    if (bytes.data[0] == 0)
        reader->failed = true;
    return get_big_endian((const uint8_t *)bytes.data, count);
}

struct stream_id stream_id_read(struct reader *reader)
{
    const unsigned head = reader_u8(reader);
    if (head > 80)
        reader->failed = true;
    if (reader->failed)
        return STREAM_ID_MIN;
    struct stream_id id;
    id.ms = read_number(reader, head / 9);
    id.sequence = read_number(reader, head % 9);
    return id;
}

size_t stream_varint_put(uint64_t value, uint8_t *out)
{
    size_t size = 0;
    while (value >= 0x80) {
        out[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[size++] = (uint8_t)value;
    return size;
}

/* --- rows ----------------------------------------------------------------------------------------------------------- */

static uint64_t row_prefix(const struct element *row)
{
    const uint8_t *const in = (const uint8_t *)row->bytes.data;
    return get_big_endian(in + 1, in[0] / 9);
}

static int row_compare(const struct element *row, const void *probe)
{
    const uint64_t sequence = stream_id_unpack(row->bytes).sequence;
    const uint64_t sought = *(const uint64_t *)probe;
    return sequence < sought ? -1 : sequence > sought;
}

const struct tree_class stream_tree_class = {
    .order = TREE_SORTED,
    .stride = 1,
    .prefix = row_prefix,
    .compare = row_compare,
};

struct stream_id stream_row_id(const struct tree_cursor *cursor)
{
    return stream_id_unpack(tree_cursor_element(cursor, 0).bytes);
}

void stream_seek(const struct tree *tree, struct stream_id id, struct tree_cursor *cursor)
{
    tree_seek(tree, id.ms, &id.sequence, cursor);
}

bool stream_seek_exact(const struct tree *tree, struct stream_id id, struct tree_cursor *cursor)
{
    stream_seek(tree, id, cursor);
    return !tree_cursor_is_end(cursor) && stream_id_compare(stream_row_id(cursor), id) == 0;
}

bool stream_row_put(struct tree *tree, struct stream_id id, struct slice row)
{
    const struct element element = element_of_bytes(row);
    struct tree_cursor cursor;
    if (stream_seek_exact(tree, id, &cursor)) {
        tree_replace(tree, &cursor, 0, &element);
        return false;
    }
    tree_insert(tree, &cursor, &element);
    return true;
}

bool stream_row_delete(struct tree *tree, struct stream_id id)
{
    struct tree_cursor cursor;
    if (!stream_seek_exact(tree, id, &cursor))
        return false;
    tree_delete(tree, &cursor);
    return true;
}
