/*
 * tree_split.c: room in a leaf: it grows, is built anew without its garbage, or is split.
 *
 *   ordered      at an end of the tree: a new leaf for the new row, the old one stays full; else cut in the middle of its bytes
 *   HASHED       cut at a prefix that leaves about half of the bytes on each side; rows keep their order of insertion in each
 *
 * A leaf is seen as a list of items: its rows, with the one to be added among them.
 */
#include "tree_internal.h"

/* The rows of a leaf, with the new one among them. */
struct items {
    const struct leaf *leaf;
    unsigned index;
    const struct demand *demand;
    unsigned count;
};

static struct items items_of(const struct leaf *leaf, unsigned index, const struct demand *demand)
{
    return (struct items){
        .leaf = leaf,
        .index = index,
        .demand = demand,
        .count = leaf->head.count + (demand->is_replacement ? 0u : 1u),
    };
}

/* The row of an item; the new one: LEAF_ROWS_MAX. */
static unsigned item_row(const struct items *items, unsigned item)
{
    if (items->demand->is_replacement || item < items->index) {
        return item;
    }
    return item == items->index ? LEAF_ROWS_MAX : item - 1;
}

static size_t item_size(const struct items *items, unsigned item)
{
    const unsigned row = item_row(items, item);
    if (row == LEAF_ROWS_MAX) {
        return items->demand->size;
    }
    const size_t size = items->leaf->head.row_overhead + leaf_row_size(items->leaf, row);
    return items->demand->is_replacement && item == items->index ? size + items->demand->size
                                                                 : size;
}

/* How many items stay left when the leaf is cut in the middle: some, and not all. */
static unsigned middle_item(const struct items *items, size_t total)
{
    size_t before = 0;
    for (unsigned item = 0; item < items->count; item++) {
        const size_t size = item_size(items, item);
        if (before + size / 2 >= total / 2 && item > 0) {
            return item;
        }
        before += size;
    }
    return items->count - 1;
}

static uint64_t row_prefix(const struct tree *tree, const struct leaf *leaf, unsigned row)
{
    struct element elements[TREE_STRIDE_MAX];
    leaf_row(leaf, row, elements);
    return tree->class->prefix(elements);
}

struct halves {
    uint16_t left[LEAF_ROWS_MAX + 1];
    uint16_t right[LEAF_ROWS_MAX + 1];
    unsigned left_count, right_count;
    size_t left_size, right_size; /* what they will need in all, without the header */
    bool new_is_right;
    unsigned new_index; /* of the row added or replaced, in its half */
    uint64_t prefix;    /* of the right half */
};

static void halves_add(
    struct halves *halves, const struct items *items, unsigned item, bool is_right)
{
    const unsigned row = item_row(items, item);
    uint16_t *rows = is_right ? halves->right : halves->left;
    unsigned *count = is_right ? &halves->right_count : &halves->left_count;
    *(is_right ? &halves->right_size : &halves->left_size) += item_size(items, item);
    if (item == items->index) {
        halves->new_is_right = is_right;
        halves->new_index = *count;
    }
    if (row != LEAF_ROWS_MAX) {
        rows[(*count)++] = (uint16_t)row;
    }
}

static void halve_in_order(struct halves *halves, const struct items *items, size_t total)
{
    const unsigned left = middle_item(items, total);
    for (unsigned item = 0; item < items->count; item++) {
        halves_add(halves, items, item, item >= left);
    }
}

/* --- halves of a HASHED leaf: by prefix, rows keep their order in each ----- */

struct hashed_item {
    uint64_t prefix;
    uint16_t size;
    uint16_t item;
};

#define HISTOGRAM_SIZE 64

/* A prefix that divides the items about evenly by bytes; 0 if this quick way finds none that does. */
static uint64_t pivot_by_histogram(const struct hashed_item *hashed, unsigned count, size_t total)
{
    uint64_t low = UINT64_MAX;
    uint64_t high = 0;
    for (unsigned item = 0; item < count; item++) {
        low = hashed[item].prefix < low ? hashed[item].prefix : low;
        high = hashed[item].prefix > high ? hashed[item].prefix : high;
    }
    const uint64_t width = (high - low) / HISTOGRAM_SIZE + 1;
    size_t histogram[HISTOGRAM_SIZE] = {0};
    for (unsigned item = 0; item < count; item++) {
        histogram[(hashed[item].prefix - low) / width] += hashed[item].size;
    }
    size_t before = 0;
    size_t best = 0;
    uint64_t pivot = 0;
    for (unsigned index = 0; index + 1 < HISTOGRAM_SIZE; index++) {
        before += histogram[index];
        const size_t smaller = before < total - before ? before : total - before;
        if (smaller > best) {
            best = smaller;
            pivot = low + (index + 1) * width;
        }
    }
    return best >= total / 4 && total - best <= LEAF_ROOM ? pivot : 0;
}

static int compare_hashed(const void *a, const void *b)
{
    const struct hashed_item *left = a;
    const struct hashed_item *right = b;
    if (left->prefix != right->prefix) {
        return left->prefix < right->prefix ? -1 : 1;
    }
    return (int)left->item - (int)right->item;
}

/* Of the sorted items, how many go left. A border between different prefixes is sought, near the middle. */
static unsigned sorted_border(const struct hashed_item *hashed, unsigned count, size_t total)
{
    unsigned best = 0;
    unsigned middle = 0;
    size_t best_smaller = 0;
    size_t middle_smaller = 0;
    size_t before = 0;
    for (unsigned item = 1; item < count; item++) {
        before += hashed[item - 1].size;
        const size_t smaller = before < total - before ? before : total - before;
        if (smaller > middle_smaller) {
            middle_smaller = smaller;
            middle = item;
        }
        const bool fits = total - smaller <= LEAF_ROOM;
        if (fits && smaller > best_smaller && hashed[item - 1].prefix != hashed[item].prefix) {
            best_smaller = smaller;
            best = item;
        }
    }
    return best > 0 ? best : middle;
}

static void halve_by_prefix(
    struct halves *halves, const struct tree *tree, const struct items *items, size_t total)
{
    struct hashed_item hashed[LEAF_HASHED_ROWS_MAX + 1];
    bool is_right[LEAF_HASHED_ROWS_MAX + 1];
    CHECK(items->count <= COUNT_OF(hashed));
    for (unsigned item = 0; item < items->count; item++) {
        const unsigned row = item_row(items, item);
        hashed[item].size = (uint16_t)item_size(items, item);
        hashed[item].item = (uint16_t)item;
        if (row == LEAF_ROWS_MAX) {
            hashed[item].prefix = items->demand->hash.prefix;
        } else {
            const struct element first = leaf_element(items->leaf, row * tree->class->stride);
            hashed[item].prefix = tree_row_hash(tree, &first).prefix;
        }
    }
    halves->prefix = pivot_by_histogram(hashed, items->count, total);
    if (halves->prefix != 0) {
        for (unsigned item = 0; item < items->count; item++) {
            is_right[item] = hashed[item].prefix >= halves->prefix;
        }
    } else {
        qsort(hashed, items->count, sizeof(hashed[0]), compare_hashed);
        const unsigned left = sorted_border(hashed, items->count, total);
        halves->prefix = hashed[left].prefix;
        for (unsigned item = 0; item < items->count; item++) {
            is_right[hashed[item].item] = item >= left;
        }
    }
    for (unsigned item = 0; item < items->count; item++) {
        halves_add(halves, items, item, is_right[item]);
    }
}

/* --- splitting a leaf ------ */

static void split_leaf(struct change *change, const struct demand *demand)
{
    struct tree *tree = change->tree;
    struct tree_cursor *cursor = change->cursor;
    struct leaf *leaf = bottom_leaf(cursor);
    const struct items items = items_of(leaf, *bottom_index(cursor), demand);
    const size_t total = leaf_live(leaf) - sizeof(*leaf) + demand->size;
    struct halves halves;
    halves.left_count = 0;
    halves.right_count = 0;
    halves.left_size = 0;
    halves.right_size = 0;
    halves.new_is_right = false;
    halves.new_index = 0;
    halves.prefix = 0;
    if (tree->class->order == TREE_HASHED) {
        halve_by_prefix(&halves, tree, &items, total);
    } else {
        halve_in_order(&halves, &items, total);
    }
    struct leaf *left = leaf_create(tree, sizeof(*leaf) + halves.left_size);
    struct leaf *right = leaf_create(tree, sizeof(*leaf) + halves.right_size);
    leaf_gather(left, leaf, halves.left, halves.left_count);
    leaf_gather(right, leaf, halves.right, halves.right_count);
    change_retire(change, leaf);
    path_replace(change, cursor->depth - 1, &left->head);
    if (tree->class->order == TREE_SORTED) {
        /* If the new row comes first in the right half it lowers this when it is inserted. */
        halves.prefix = halves.right_count > 0 ? row_prefix(tree, right, 0) : UINT64_MAX;
    }
    *bottom_index(cursor) = halves.new_index;
    path_insert_child(change, cursor->depth - 1, &right->head, halves.prefix, halves.right_count);
    if (halves.new_is_right) {
        path_step_right(cursor, cursor->depth - 1);
    }
}

static bool path_is_first(const struct tree_cursor *cursor)
{
    for (unsigned depth = 0; depth < cursor->depth; depth++) {
        if (cursor->path[depth].index > 0) {
            return false;
        }
    }
    return true;
}

static bool path_is_last(const struct tree_cursor *cursor)
{
    for (unsigned depth = 0; depth + 1 < cursor->depth; depth++) {
        if (cursor->path[depth].index + 1 < cursor->path[depth].node->count) {
            return false;
        }
    }
    return cursor->path[cursor->depth - 1].index == cursor->path[cursor->depth - 1].node->count;
}

/* A row at an end of an ordered tree whose leaf is full gets a leaf of its own. False: it is not at an end. */
static bool extend(struct change *change, const struct demand *demand)
{
    struct tree *tree = change->tree;
    struct tree_cursor *cursor = change->cursor;
    const unsigned depth = cursor->depth - 1;
    if (path_is_last(cursor)) {
        struct leaf *leaf = leaf_create(tree, sizeof(*leaf) + demand->size);
        path_insert_child(change, depth, &leaf->head, UINT64_MAX, 0);
        path_step_right(cursor, cursor->depth - 1);
        *bottom_index(cursor) = 0;
        return true;
    }
    if (path_is_first(cursor)) {
        struct leaf *old = bottom_leaf(cursor);
        struct leaf *leaf = leaf_create(tree, sizeof(*leaf) + demand->size);
        path_replace(change, depth, &leaf->head);
        const uint64_t prefix = tree->class->order == TREE_SORTED ? row_prefix(tree, old, 0) : 0;
        path_insert_child(change, depth, &old->head, prefix, old->head.count);
        return true;
    }
    return false;
}

void change_rebuild(struct change *change, size_t size)
{
    struct leaf *leaf = bottom_leaf(change->cursor);
    struct leaf *rebuilt = leaf_create(change->tree, size);
    leaf_move_all(rebuilt, leaf);
    path_replace(change, change->cursor->depth - 1, &rebuilt->head);
    change_retire(change, leaf);
}

void change_make_room(struct change *change, const struct demand *demand)
{
    const struct tree *tree = change->tree;
    const struct leaf *leaf = bottom_leaf(change->cursor);
    const bool has_rows_max = tree->class->order == TREE_HASHED && !demand->is_replacement &&
                              leaf->head.count >= LEAF_HASHED_ROWS_MAX;
    if (likely(leaf_used(leaf) + demand->size <= leaf->capacity && !has_rows_max)) {
        return;
    }
    const size_t needed = leaf_live(leaf) + demand->size;
    /* A full leaf is not built anew for a handful of bytes of garbage: that would be needed again soon. */
    const size_t needed_max = leaf->garbage > 0 && leaf->capacity == TREE_LEAF_BYTES
                                  ? TREE_LEAF_BYTES - TREE_LEAF_BYTES / 16
                                  : TREE_LEAF_BYTES;
    if (needed <= needed_max && !has_rows_max) {
        change_rebuild(change, needed);
        return;
    }
    if (!demand->is_replacement && tree->class->order != TREE_HASHED && extend(change, demand)) {
        return;
    }
    split_leaf(change, demand);
}
