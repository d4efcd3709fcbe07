/*
 * leaf.c: rows in a leaf: packing, finding, adding, removing. The layout is in tree_internal.h.
 *
 * Functions here never look at other nodes. Who adds has made room before.
 */
#include "tree_internal.h"

/* --- elements ------------------------------------------------------------------------------------------------------- */

static uint16_t integer_size(int64_t integer)
{
    /* One bit more than the magnitude has, for the sign. */
    uint64_t magnitude = integer < 0 ? ~(uint64_t)integer : (uint64_t)integer;
    uint16_t size = 1;
    while (magnitude >= 0x80) {
        magnitude >>= 8;
        size++;
    }
    return size;
}

uint16_t element_packing(const struct element *element, size_t inline_max, uint8_t *kind)
{
    if (element->is_integer) {
        if (element->integer >= 0 && element->integer <= SLOT_TINY_MAX) {
            *kind = SLOT_TINY;
            return 0;
        }
        const uint16_t size = integer_size(element->integer);
        *kind = (uint8_t)size;
        return size;
    }
    const size_t size = element->bytes.size;
    if (size == 8) {
        *kind = SLOT_EIGHT;
        return 8;
    }
    if (size > inline_max) {
        *kind = SLOT_LONG;
        return sizeof(struct long_element *);
    }
    *kind = SLOT_BYTES;
    return (uint16_t)(size + (size < 0x80 ? 1 : 2));
}

void packing_of(const struct tree *tree, const struct element *row, struct packing *packing)
{
    const unsigned stride = tree->class->stride;
    const size_t inline_max = tree_inline_max(tree);
    packing->size = 0;
    for (unsigned slot = 0; slot < stride; slot++) {
        packing->sizes[slot] = element_packing(&row[slot], inline_max, &packing->kinds[slot]);
        packing->size += packing->sizes[slot];
    }
}

/* Size and first byte of a string in the heap. */
static struct slice packed_bytes(const char *data)
{
    const uint8_t first = (uint8_t)data[0];
    if (first < 0x80) {
        return slice_of(data + 1, first);
    }
    return slice_of(data + 2, (size_t)(first & 0x7f) << 8 | (uint8_t)data[1]);
}

static struct long_element *packed_long(const char *data)
{
    struct long_element *element;
    memcpy(&element, data, sizeof(element));
    return element;
}

static int64_t packed_integer(const char *data, unsigned size)
{
    /* Little-endian hosts only, as everywhere in this project's formats in memory. */
    uint64_t bits = 0;
    memcpy(&bits, data, size);
    const unsigned unused = 64 - 8 * size;
    return (int64_t)(bits << unused) >> unused;
}

static size_t slot_size(const struct leaf *leaf, unsigned slot)
{
    const unsigned kind = slot & 15;
    if (kind == SLOT_BYTES) {
        const struct slice bytes = packed_bytes(leaf_slot_data(leaf, slot));
        return bytes.size + (bytes.size < 0x80 ? 1 : 2);
    }
    if (kind <= SLOT_INTEGER_MAX) {
        return kind;
    }
    return kind == SLOT_TINY ? 0 : 8;
}

struct element leaf_element(const struct leaf *leaf, unsigned index)
{
    const unsigned slot = leaf->slots[index];
    const unsigned kind = slot & 15;
    if (kind == SLOT_TINY) {
        return element_of_integer(slot >> 4);
    }
    const char *data = leaf_slot_data(leaf, slot);
    if (kind == SLOT_BYTES) {
        return element_of_bytes(packed_bytes(data));
    }
    if (kind <= SLOT_INTEGER_MAX) {
        return element_of_integer(packed_integer(data, kind));
    }
    if (kind == SLOT_EIGHT) {
        return element_of_bytes(slice_of(data, 8));
    }
    const struct long_element *element = packed_long(data);
    return element_of_bytes(slice_of(element->data, element->size));
}

void leaf_row(const struct leaf *leaf, unsigned row, struct element *elements)
{
    const unsigned stride = leaf_stride(leaf);
    for (unsigned slot = 0; slot < stride; slot++) {
        elements[slot] = leaf_element(leaf, row * stride + slot);
    }
}

size_t leaf_row_size(const struct leaf *leaf, unsigned row)
{
    const unsigned stride = leaf_stride(leaf);
    size_t size = 0;
    for (unsigned slot = 0; slot < stride; slot++) {
        size += slot_size(leaf, leaf->slots[row * stride + slot]);
    }
    return size;
}

/* --- long elements --------------------------------------------------------------------------------------------------- */

static size_t long_size(size_t size)
{
    return mem_good_size(sizeof(struct long_element) + size);
}

static struct long_element *long_create(struct tree *tree, struct slice bytes)
{
    CHECK(bytes.size <= ELEMENT_SIZE_MAX);
    const size_t size_bytes = long_size(bytes.size);
    struct long_element *element = mem_alloc(size_bytes);
    atomic_init(&element->references, 1);
    element->size = (uint32_t)bytes.size;
    memcpy(element->data, bytes.data, bytes.size);
    tree->bytes += size_bytes;
    return element;
}

void long_release(struct long_element *element)
{
    if (element == NULL) {
        return;
    }

    /* Release pairs with the acquire of the last one: it frees after all others have read. */
    if (atomic_fetch_sub_explicit(&element->references, 1, memory_order_acq_rel) == 1) {
        mem_free(element);
    }
}

static void long_ref(struct long_element *element)
{
    const uint32_t before =
        atomic_fetch_add_explicit(&element->references, 1, memory_order_relaxed);
    CHECK(before < UINT32_MAX);
}

struct long_element *leaf_hold_long(const struct leaf *leaf, unsigned index)
{
    const unsigned slot = leaf->slots[index];
    if ((slot & 15) != SLOT_LONG) {
        return NULL;
    }
    struct long_element *element = packed_long(leaf_slot_data(leaf, slot));
    long_ref(element);
    return element;
}

void leaf_drop_long(struct tree *tree, struct leaf *leaf, unsigned from, unsigned to)
{
    const unsigned stride = leaf_stride(leaf);
    for (unsigned index = from * stride; index < to * stride && leaf->long_count > 0; index++) {
        const unsigned slot = leaf->slots[index];
        if ((slot & 15) == SLOT_LONG) {
            struct long_element *element = packed_long(leaf_slot_data(leaf, slot));
            if (tree != NULL) {
                tree->bytes -= long_size(element->size);
            }
            long_release(element);
            leaf->long_count--;
        }
    }
}

size_t leaf_long_bytes(struct leaf *leaf)
{
    size_t bytes = 0;
    unsigned left = leaf->long_count;
    for (unsigned index = 0; left > 0; index++) {
        const unsigned slot = leaf->slots[index];
        if ((slot & 15) == SLOT_LONG) {
            bytes += long_size(packed_long(leaf_slot_data(leaf, slot))->size);
            left--;
        }
    }
    return bytes;
}

/* --- whole leaves ---------------------------------------------------------------------------------------------------- */

/* The allocation for so many bytes: its whole size class, with a little to grow in. */
static size_t leaf_capacity_for(size_t size)
{
    CHECK(size <= TREE_LEAF_BYTES);
    size_t capacity = mem_good_size(size);
    if (size > 128 && capacity - size < size / 16) {
        capacity = mem_good_size(size + size / 8);
    }
    return capacity < TREE_LEAF_BYTES ? capacity : TREE_LEAF_BYTES;
}

struct leaf *leaf_create(struct tree *tree, size_t size)
{
    const size_t capacity = leaf_capacity_for(size);
    struct leaf *leaf = mem_alloc(capacity);
    *leaf = (struct leaf){
        .head.row_overhead = (uint8_t)tree_row_overhead(tree),
        .capacity = (uint16_t)capacity,
    };
    atomic_init(&leaf->head.references, 1);
    tree->bytes += capacity;
    return leaf;
}

void leaf_free(struct leaf *leaf)
{
    mem_free(leaf);
}

struct leaf *leaf_clone(struct tree *tree, const struct leaf *leaf)
{
    struct leaf *clone = mem_alloc(leaf->capacity);
    /* The head's count of references is atomic: others may change it meanwhile. */
    atomic_init(&clone->head.references, 1);
    clone->head.count = leaf->head.count;
    clone->head.level = 0;
    clone->head.row_overhead = leaf->head.row_overhead;
    const size_t after = sizeof(clone->head);
    memcpy((char *)clone + after, (const char *)leaf + after, leaf->capacity - after);
    tree->bytes += leaf->capacity;
    unsigned left = leaf->long_count;
    for (unsigned index = 0; left > 0; index++) {
        const unsigned slot = clone->slots[index];
        if ((slot & 15) == SLOT_LONG) {
            long_ref(packed_long(leaf_slot_data(clone, slot)));
            left--;
        }
    }
    return clone;
}

void leaf_gather(struct leaf *to, struct leaf *from, const uint16_t *rows, unsigned count)
{
    const unsigned stride = leaf_stride(to);
    const unsigned before = to->head.count;
    uint8_t *const old_fingerprints = leaf_fingerprints(to);
    to->head.count = (uint16_t)(before + count);
    CHECK(leaf_used(to) <= to->capacity);
    if (leaf_is_hashed(to)) {
        uint8_t *fingerprints = leaf_fingerprints(to);
        const uint8_t *source = leaf_fingerprints(from);
        memmove(fingerprints, old_fingerprints, before);
        for (unsigned index = 0; index < count; index++) {
            fingerprints[before + index] = source[rows[index]];
        }
    }
    uint16_t *target = to->slots + (size_t)before * stride;
    char *const end = (char *)to + to->capacity;
    size_t heap_size = to->heap_size;
    for (unsigned index = 0; index < count; index++) {
        const uint16_t *slots = from->slots + (size_t)rows[index] * stride;
        for (unsigned column = 0; column < stride; column++) {
            const unsigned slot = slots[column];
            const size_t size = slot_size(from, slot);
            if (size == 0) {
                *target++ = (uint16_t)slot;
                continue;
            }
            heap_size += size;
            memcpy(end - heap_size, leaf_slot_data(from, slot), size);
            *target++ = (uint16_t)(heap_size << 4 | (slot & 15));
            to->long_count = (uint16_t)(to->long_count + ((slot & 15) == SLOT_LONG));
        }
    }
    to->heap_size = (uint16_t)heap_size;
    CHECK(leaf_used(to) <= to->capacity);
}

void leaf_move_all(struct leaf *to, struct leaf *from)
{
    CHECK(to->head.count == 0);
    if (from->garbage == 0) {
        to->head.count = from->head.count;
        to->heap_size = from->heap_size;
        to->long_count = from->long_count;
        CHECK(leaf_used(to) <= to->capacity);
        memcpy(to->slots, from->slots, (size_t)from->head.count * from->head.row_overhead);
        memcpy((char *)to + to->capacity - to->heap_size,
            (const char *)from + from->capacity - from->heap_size, from->heap_size);
        return;
    }
    uint16_t rows[LEAF_ROWS_MAX];
    for (unsigned row = 0; row < from->head.count; row++) {
        rows[row] = (uint16_t)row;
    }
    leaf_gather(to, from, rows, from->head.count);
}

/* --- rows ------------------------------------------------------------------------------------------------------------- */

/* The stored form of an element that is not long. */
static void write_element(char *data, const struct element *element, uint8_t kind)
{
    if (kind <= SLOT_INTEGER_MAX && kind != SLOT_BYTES) {
        memcpy(data, &element->integer, kind);
        return;
    }
    const size_t length = element->bytes.size;
    if (kind == SLOT_BYTES) {
        if (length < 0x80) {
            *data++ = (char)length;
        } else {
            *data++ = (char)(0x80 | length >> 8);
            *data++ = (char)(length & 0xff);
        }
    }
    if (length > 0) {
        memmove(data, element->bytes.data, length);
    }
}

void leaf_fill_slot(struct tree *tree, struct leaf *leaf, unsigned index,
    const struct element *element, uint8_t kind, uint16_t size)
{
    if (kind == SLOT_TINY) {
        leaf->slots[index] = (uint16_t)((unsigned)element->integer << 4 | SLOT_TINY);
        return;
    }
    leaf->heap_size = (uint16_t)(leaf->heap_size + size);
    DCHECK(leaf_used(leaf) <= leaf->capacity);
    leaf->slots[index] = (uint16_t)((unsigned)leaf->heap_size << 4 | kind);
    char *const data = (char *)leaf + leaf->capacity - leaf->heap_size;
    if (kind != SLOT_LONG) {
        write_element(data, element, kind);
        return;
    }
    struct long_element *const element_long = long_create(tree, element->bytes);
    memcpy(data, &element_long, sizeof(element_long));
    leaf->long_count++;
}

bool leaf_overwrite_slot(
    struct leaf *leaf, unsigned index, const struct element *element, uint8_t kind, uint16_t size)
{
    const unsigned slot = leaf->slots[index];
    if ((slot & 15) != kind || kind == SLOT_LONG || kind == SLOT_TINY ||
        slot_size(leaf, slot) != size) {
        return false;
    }
    write_element((char *)leaf + leaf->capacity - (slot >> 4), element, kind);
    return true;
}

void leaf_insert_row(struct tree *tree, struct leaf *leaf, unsigned row,
    const struct element *elements, const struct packing *packing, uint8_t fingerprint)
{
    const unsigned stride = leaf_stride(leaf);
    const unsigned count = leaf->head.count;
    DCHECK(row <= count);
    DCHECK(leaf_used(leaf) + leaf->head.row_overhead + packing->size <= leaf->capacity);
    uint8_t *const old_fingerprints = leaf_fingerprints(leaf);
    leaf->head.count = (uint16_t)(count + 1);
    if (leaf_is_hashed(leaf)) {
        uint8_t *fingerprints = leaf_fingerprints(leaf);
        memmove(fingerprints + row + 1, old_fingerprints + row, count - row);
        memmove(fingerprints, old_fingerprints, row);
        fingerprints[row] = fingerprint;
    }
    uint16_t *const slots = leaf->slots + (size_t)row * stride;
    memmove(slots + stride, slots, (size_t)(count - row) * stride * sizeof(*slots));
    for (unsigned column = 0; column < stride; column++) {
        leaf_fill_slot(tree, leaf, row * stride + column, &elements[column], packing->kinds[column],
            packing->sizes[column]);
    }
}

void leaf_clear_slot(struct tree *tree, struct leaf *leaf, unsigned index)
{
    const unsigned slot = leaf->slots[index];
    const size_t size = slot_size(leaf, slot);
    if ((slot & 15) == SLOT_LONG) {
        struct long_element *element = packed_long(leaf_slot_data(leaf, slot));
        tree->bytes -= long_size(element->size);
        long_release(element);
        leaf->long_count--;
    }
    if (size > 0 && slot >> 4 == leaf->heap_size) {
        leaf->heap_size = (uint16_t)(leaf->heap_size - size);
    } else {
        leaf->garbage = (uint16_t)(leaf->garbage + size);
    }
    leaf->slots[index] = SLOT_TINY;
}

void leaf_delete_row(struct tree *tree, struct leaf *leaf, unsigned row)
{
    const unsigned stride = leaf_stride(leaf);
    const unsigned left = leaf->head.count - 1u;
    DCHECK(row <= left);
    /* The last element is the lowest in the heap. */
    for (unsigned column = stride; column-- > 0;) {
        leaf_clear_slot(tree, leaf, row * stride + column);
    }
    uint8_t *const old_fingerprints = leaf_fingerprints(leaf);
    uint16_t *const slots = leaf->slots + (size_t)row * stride;
    memmove(slots, slots + stride, (size_t)(left - row) * stride * sizeof(*slots));
    leaf->head.count = (uint16_t)left;
    if (leaf_is_hashed(leaf)) {
        uint8_t *fingerprints = leaf_fingerprints(leaf);
        memmove(fingerprints, old_fingerprints, row);
        memmove(fingerprints + row, old_fingerprints + row + 1, left - row);
    }
    if (left == 0) {
        leaf->heap_size = 0;
        leaf->garbage = 0;
    }
}

static bool slot_equals(
    const struct leaf *leaf, unsigned slot, const struct element *probe, uint8_t kind)
{
    if ((slot & 15) != kind) {
        return false;
    }
    if (kind == SLOT_TINY) {
        return slot >> 4 == (unsigned)probe->integer;
    }
    const char *data = leaf_slot_data(leaf, slot);
    if (kind == SLOT_BYTES) {
        const struct slice bytes = packed_bytes(data);
        return bytes.size == probe->bytes.size &&
               (bytes.size == 0 || memcmp(bytes.data, probe->bytes.data, bytes.size) == 0);
    }
    if (kind == SLOT_EIGHT) {
        return memcmp(data, probe->bytes.data, 8) == 0;
    }
    if (kind == SLOT_LONG) {
        const struct long_element *element = packed_long(data);
        return slice_equal(slice_of(element->data, element->size), probe->bytes);
    }
    return packed_integer(data, kind) == probe->integer;
}

unsigned leaf_find(
    const struct leaf *leaf, uint8_t fingerprint, const struct element *first, size_t inline_max)
{
    const unsigned stride = leaf_stride(leaf);
    const unsigned count = leaf->head.count;
    const uint8_t *const fingerprints = (const uint8_t *)(leaf->slots + (size_t)count * stride);
    uint8_t kind;
    (void)element_packing(first, inline_max, &kind);
    for (unsigned from = 0; from < count;) {
        const uint8_t *found = memchr(fingerprints + from, fingerprint, count - from);
        if (found == NULL) {
            break;
        }
        const unsigned row = (unsigned)(found - fingerprints);
        if (slot_equals(leaf, leaf->slots[(size_t)row * stride], first, kind)) {
            return row;
        }
        from = row + 1;
    }
    return LEAF_ROWS_MAX;
}
