/*
 * list_codec.c: lists as bytes of a cold record.
 *
 *   varint   number of elements, at least 1
 *   then per element, from the head:
 *     varint 0, varint zigzag    an integer
 *     varint 1 + size, bytes     a text that is no canonical integer
 *
 * Varints are in their shortest form, and nothing follows the last element: there is one encoding of each list, so whatever else is read is
 * damage. An element takes a byte at least, so a count is checked before anything is made; memory follows the input's size.
 */
#include "base/check.h"
#include "list_internal.h"

/* Of an empty text: its size alone. */
#define ENCODED_ELEMENT_MIN ((size_t)1)

static uint64_t zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
}

static int64_t zigzag_back(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

void list_encode(const struct value_object *object, struct buf *out)
{
    const struct list *list = (const struct list *)(const void *)object;
    CHECK(list_count(list) > 0);
    buf_append_varint(out, list_count(list));
    struct tree_cursor cursor;
    tree_cursor_at(&list->elements, 0, &cursor);
    while (!tree_cursor_is_end(&cursor)) {
        const struct element element = tree_cursor_element(&cursor, 0);
        if (element.is_integer) {
            buf_append_varint(out, 0);
            buf_append_varint(out, zigzag(element.integer));
        } else {
            buf_append_varint(out, (uint64_t)element.bytes.size + 1);
            buf_append_slice(out, element.bytes);
        }
        (void)tree_cursor_next(&cursor);
    }
}

/* Fails unless it is in its shortest form. */
static uint64_t read_varint(struct reader *reader)
{
    const uint8_t *const start = reader->position;
    const uint64_t value = reader_varint(reader);
    if (!reader->failed && reader->position - start > 1 && reader->position[-1] == 0)
        reader->failed = true;
    return value;
}

static struct element read_element(struct reader *reader)
{
    const uint64_t size = read_varint(reader);
    if (size == 0)
        return element_of_integer(zigzag_back(read_varint(reader)));
    if (size - 1 > ELEMENT_SIZE_MAX || size - 1 > reader_left(reader)) {
        reader->failed = true;
        return element_of_integer(0);
    }
    const struct element element = element_of(reader_bytes(reader, (size_t)(size - 1)));
    /* A number that is not written as one. */
    if (element.is_integer)
        reader->failed = true;
    return element;
}

enum status list_decode(enum value_encoding encoding, struct slice in, struct value_object **object)
{
    struct reader reader = reader_of(in);
    const uint64_t count = read_varint(&reader);
    if (encoding != VALUE_ENCODING_QUICKLIST || reader.failed || count == 0 ||
        count > reader_left(&reader) / ENCODED_ELEMENT_MIN)
        return ST_CORRUPT;
    struct list *list = list_create();
    for (uint64_t i = 0; i < count && !reader.failed; i++) {
        const struct element element = read_element(&reader);
        if (!reader.failed)
            tree_append(&list->elements, &element);
    }
    if (reader.failed || reader_left(&reader) > 0) {
        list_destroy(list);
        return ST_CORRUPT;
    }
    *object = &list->object;
    return ST_OK;
}
