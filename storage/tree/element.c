/*
 * element.c: elements: text that is a number when it is the canonical decimal of one.
 *
 * Equal texts are equal elements, so integers and bytes never need to be compared with each other, except for order.
 */
#include "base/check.h"
#include "base/hash.h"
#include "tree_internal.h"

/* Name spaces of hash_keyed(). */
#define SEED_INTEGER UINT64_C(0x6a09e667f3bcc908)
#define SEED_BYTES   UINT64_C(0xbb67ae8584caa73b)

struct element element_of(struct slice text)
{
    int64_t integer;
    /* Most texts are told apart by their first byte. */
    if (text.size > 0 && text.size <= 20 && text.data[0] <= '9' && slice_to_int64(text, &integer)) {
        return element_of_integer(integer);
    }
    return element_of_bytes(text);
}

struct element element_of_integer(int64_t integer)
{
    return (struct element){.is_integer = true, .integer = integer};
}

struct element element_of_bytes(struct slice bytes)
{
    return (struct element){.bytes = bytes};
}

struct slice element_text(const struct element *element, char scratch[ELEMENT_TEXT_MAX])
{
    if (element->is_integer) {
        return slice_of(scratch, int64_to_text(element->integer, scratch));
    }
    return element->bytes;
}

size_t element_text_size(const struct element *element)
{
    if (!element->is_integer) {
        return element->bytes.size;
    }
    uint64_t magnitude =
        element->integer < 0 ? 0 - (uint64_t)element->integer : (uint64_t)element->integer;
    size_t size = element->integer < 0 ? 2 : 1;
    while (magnitude >= 10) {
        magnitude /= 10;
        size++;
    }
    return size;
}

bool element_equal(const struct element *a, const struct element *b)
{
    if (a->is_integer != b->is_integer) {
        return false;
    }
    if (a->is_integer) {
        return a->integer == b->integer;
    }
    return slice_equal(a->bytes, b->bytes);
}

int element_compare(const struct element *a, const struct element *b)
{
    char scratch_a[ELEMENT_TEXT_MAX];
    char scratch_b[ELEMENT_TEXT_MAX];
    return slice_compare(element_text(a, scratch_a), element_text(b, scratch_b));
}

uint64_t element_hash(const struct element *element)
{
    if (element->is_integer) {
        return hash_keyed(&element->integer, sizeof(element->integer), SEED_INTEGER);
    }
    return hash_keyed(element->bytes.data, element->bytes.size, SEED_BYTES);
}
