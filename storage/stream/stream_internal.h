/*
 * stream_internal.h: what the files of storage/stream share: rows, shapes, nodes, groups.
 *
 * All trees are sorted by ID, and every row is one element that begins with its packed ID:
 *
 *   ID       head (1): 9 * bytes of ms + bytes of sequence, each 0 to 8 ‖ ms ‖ sequence, big-endian, no leading zeros
 *   entry    ID ‖ shape (1): number of a shape, or STREAM_OWN_NAMES ‖ items
 *              with a shape: one value for each of its names; else: varint pair count ‖ name, value, name, value ...
 *   node     ID of its first entry ‖ varint entries
 *   pending  ID ‖ varint number of the consumer ‖ varint delivery_ms (zigzag) ‖ varint delivery_count
 *   pending of a consumer: ID
 *
 *   item     varint h ‖ bytes. h even: h/2 bytes of text; h odd: an integer of h/2 (1 to 8) bytes, little-endian, signed, whose text it is
 */
#ifndef STREAM_INTERNAL_H
#define STREAM_INTERNAL_H

#include "base/check.h"
#include "base/mem.h"
#include "storage/stream.h"

#define STREAM_OWN_NAMES 255
/* Names of more bytes are not worth a shape. */
#define STREAM_SHAPE_BYTES_MAX ((size_t)4096)

extern const struct tree_class stream_tree_class;

/* --- packed IDs (stream_id.c) ------- */

#define STREAM_ID_PACKED_MAX 17
size_t stream_id_pack(struct stream_id id, uint8_t out[STREAM_ID_PACKED_MAX]);
/* Bytes that were packed by us. */
struct stream_id stream_id_unpack(struct slice bytes);
/* Bytes from elsewhere; reader->failed if they are no packed ID. */
struct stream_id stream_id_read(struct reader *reader);
/* The ID of a row of any of the trees. */
struct stream_id stream_row_id(const struct tree_cursor *cursor);
void stream_seek(const struct tree *tree, struct stream_id id, struct tree_cursor *cursor);
/* True: the cursor is at this very row. */
bool stream_seek_exact(const struct tree *tree, struct stream_id id, struct tree_cursor *cursor);
/* Inserts, or replaces the row of the same ID: the whole row is given. True if it was inserted. */
bool stream_row_put(struct tree *tree, struct stream_id id, struct slice row);
bool stream_row_delete(struct tree *tree, struct stream_id id);
/* At out; the bytes written. */
size_t stream_varint_put(uint64_t value, uint8_t *out);
#define STREAM_VARINT_MAX 10
static inline uint64_t stream_zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
}
static inline int64_t stream_unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/* --- items, shapes (stream_entry.c) -------- */

/* Names, as items one behind the other. Counted, immutable. */
struct stream_shape {
    _Atomic uint32_t references;
    uint64_t name_count;
    size_t size;
    uint8_t items[];
};
/* NULL when memory is out. */
struct stream_shape *stream_shape_create(uint64_t name_count, size_t size);
void stream_shape_ref(struct stream_shape *shape);
void stream_shape_unref(struct stream_shape *shape);
size_t stream_shape_bytes(const struct stream_shape *shape);

/* Reads an item; text borrows from the reader or from scratch. reader->failed if it is none. */
struct slice stream_item_read(struct reader *reader, char scratch[ELEMENT_TEXT_MAX]);
/* Entry from a row's bytes. False if they are no entry of this stream; checks everything. */
bool stream_entry_open(const struct stream *stream, struct slice row, struct stream_entry *entry);

/* --- groups (stream_group.c) ---- */

void stream_groups_snapshot(const struct stream *stream, struct stream *snapshot);
void stream_groups_drop(struct stream *stream);
uint64_t stream_groups_effort(const struct stream *stream);

/* --- codec ---- */

void stream_encode(const struct value_object *object, struct buf *out);
enum status stream_decode(
    enum value_encoding encoding, struct slice in, struct value_object **object);

static inline const struct stream *stream_of_object(const struct value_object *object)
{
    return (const struct stream *)(const void *)object;
}

#endif
