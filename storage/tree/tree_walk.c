/*
 * tree_walk.c: cursors in motion, SCAN's walk, and the check of everything.
 */
#include "tree_internal.h"

static struct leaf *cursor_leaf(const struct tree_cursor *cursor)
{
    return leaf_of(cursor->path[cursor->depth - 1].node);
}

/* To the first row of the next leaf; false, and no change, if this is the last one. */
static bool cursor_leaf_next(struct tree_cursor *cursor)
{
    for (unsigned depth = cursor->depth - 1; depth-- > 0;) {
        if (cursor->path[depth].index + 1 < cursor->path[depth].node->count) {
            cursor->path[depth].index++;
            cursor_descend_first(cursor, depth + 1, cursor->path[depth].node->level);
            return true;
        }
    }
    return false;
}

bool tree_cursor_is_end(const struct tree_cursor *cursor)
{
    return cursor->depth == 0 ||
           cursor->path[cursor->depth - 1].index >= cursor_leaf(cursor)->head.count;
}

bool tree_cursor_next(struct tree_cursor *cursor)
{
    if (tree_cursor_is_end(cursor)) {
        return false;
    }
    if (cursor->rank != RANK_UNKNOWN) {
        cursor->rank++;
    }
    if (++cursor->path[cursor->depth - 1].index < cursor_leaf(cursor)->head.count) {
        return true;
    }
    if (cursor_leaf_next(cursor)) {
        return true;
    }
    cursor->rank = cursor->tree->count;
    return false;
}

bool tree_cursor_previous(struct tree_cursor *cursor)
{
    if (cursor->depth == 0) {
        return false;
    }
    if (cursor->path[cursor->depth - 1].index > 0) {
        cursor->path[cursor->depth - 1].index--;
    } else if (!cursor_leaf_previous(cursor)) {
        return false;
    }
    if (cursor->rank != RANK_UNKNOWN) {
        cursor->rank--;
    }
    return true;
}

void tree_cursor_row(const struct tree_cursor *cursor, struct element *row)
{
    DCHECK(!tree_cursor_is_end(cursor));
    leaf_row(cursor_leaf(cursor), cursor->path[cursor->depth - 1].index, row);
}

struct element tree_cursor_element(const struct tree_cursor *cursor, unsigned slot)
{
    DCHECK(!tree_cursor_is_end(cursor));
    const struct leaf *leaf = cursor_leaf(cursor);
    const unsigned stride = leaf_stride(leaf);
    DCHECK(slot < stride);
    return leaf_element(leaf, cursor->path[cursor->depth - 1].index * stride + slot);
}

uint64_t tree_cursor_rank(const struct tree_cursor *cursor)
{
    if (cursor->rank != RANK_UNKNOWN) {
        return cursor->rank;
    }
    uint64_t rank = cursor->path[cursor->depth - 1].index;
    for (unsigned depth = 0; depth + 1 < cursor->depth; depth++) {
        rank += inner_rows_before(inner_of(cursor->path[depth].node), cursor->path[depth].index);
    }
    return rank;
}

/* --- scan ------------------------------------------------------------------------------------------------------------- */

/* The lower bound of the next leaf's range; 0 if there is none. */
static uint64_t cursor_leaf_limit(const struct tree_cursor *cursor)
{
    for (unsigned depth = cursor->depth - 1; depth-- > 0;) {
        const unsigned index = cursor->path[depth].index + 1;
        if (index < cursor->path[depth].node->count) {
            return inner_prefixes(inner_of(cursor->path[depth].node))[index];
        }
    }
    return 0;
}

/*
 * A position is a prefix: all rows with smaller ones were visited. Rows keep their prefixes whatever happens to leaves, so none is missed;
 * what was merged into the leaf of a position is seen again.
 */
void tree_scan(const struct tree *tree, uint64_t *position, uint64_t row_min, tree_visit_fn visit,
    void *context)
{
    DCHECK(tree->class->order == TREE_HASHED);
    uint64_t seen = 0;
    uint64_t next = *position;
    *position = 0;
    if (tree->root == NULL) {
        return;
    }
    struct tree_cursor cursor;
    (void)cursor_descend_hash(tree, next, &cursor);
    for (;;) {
        const struct leaf *leaf = cursor_leaf(&cursor);
        for (unsigned row = 0; row < leaf->head.count; row++) {
            struct element elements[TREE_STRIDE_MAX];
            leaf_row(leaf, row, elements);
            visit(context, elements);
        }
        seen += leaf->head.count;
        next = cursor_leaf_limit(&cursor);
        if (!cursor_leaf_next(&cursor)) {
            return;
        }
        /* A position leads to the last leaf of its bound: leaves of equal bounds are visited in one go. */
        if (seen >= row_min && cursor_leaf_limit(&cursor) != next) {
            *position = next;
            return;
        }
    }
}

/* --- check ------------------------------------------------------------------------------------------------------------ */

struct checking {
    const struct tree *tree;
    size_t bytes;
    uint64_t prefix_last; /* of the row before, SORTED */
};

static void check_slots(const struct leaf *leaf)
{
    size_t heap_size = 0;
    unsigned long_count = 0;
    for (unsigned row = 0; row < leaf->head.count; row++) {
        heap_size += leaf_row_size(leaf, row);
    }
    for (unsigned index = 0; index < leaf->head.count * leaf_stride(leaf); index++) {
        const unsigned slot = leaf->slots[index];
        CHECK((slot & 15) <= SLOT_LONG);
        long_count += (slot & 15) == SLOT_LONG;
        if ((slot & 15) != SLOT_TINY) {
            CHECK(slot >> 4 <= leaf->heap_size);
            CHECK(slot >> 4 > 0);
        }
        const struct element element = leaf_element(leaf, index);
        CHECK(element.is_integer || element.bytes.size <= ELEMENT_SIZE_MAX);
    }
    CHECK(heap_size + leaf->garbage == leaf->heap_size);
    CHECK(long_count == leaf->long_count);
    CHECK(leaf_used(leaf) <= leaf->capacity);
    CHECK(leaf->capacity <= TREE_LEAF_BYTES);
}

static void check_leaf(struct checking *checking, struct leaf *leaf, uint64_t low, uint64_t high)
{
    const struct tree *tree = checking->tree;
    CHECK(leaf->head.row_overhead == tree_row_overhead(tree));
    CHECK(leaf->head.count > 0);
    check_slots(leaf);
    checking->bytes += leaf->capacity + leaf_long_bytes(leaf);
    for (unsigned row = 0; row < leaf->head.count; row++) {
        struct element elements[TREE_STRIDE_MAX];
        leaf_row(leaf, row, elements);
        if (tree->class->order == TREE_HASHED) {
            const struct row_hash hash = tree_row_hash(tree, elements);
            CHECK(hash.prefix >= low);
            CHECK(hash.prefix <= high);
            CHECK(hash.fingerprint == leaf_fingerprints(leaf)[row]);
            CHECK(leaf_find(leaf, hash.fingerprint, elements, tree_inline_max(tree)) == row);
        } else if (tree->class->order == TREE_SORTED) {
            const uint64_t prefix = tree->class->prefix(elements);
            CHECK(prefix >= low);
            CHECK(prefix <= high);
            CHECK(prefix >= checking->prefix_last);
            checking->prefix_last = prefix;
        }
    }
}

/* Recursion is as deep as the tree. Returns the rows below. */
static uint64_t check_node(
    struct checking *checking, struct tree_node *node, unsigned level, uint64_t low, uint64_t high)
{
    CHECK(node->level == level);
    CHECK(atomic_load_explicit(&node->references, memory_order_relaxed) > 0);
    if (level == 0) {
        check_leaf(checking, leaf_of(node), low, high);
        return node->count;
    }
    struct inner *inner = inner_of(node);
    const bool has_prefixes = checking->tree->class->order != TREE_PLACED;
    CHECK(node->count > 0);
    CHECK(node->count <= inner->capacity);
    CHECK(inner->capacity <= inner_count_max(checking->tree));
    checking->bytes += inner_bytes(checking->tree, inner);
    uint64_t rows = 0;
    for (unsigned index = 0; index < node->count; index++) {
        uint64_t child_low = low;
        uint64_t child_high = high;
        if (has_prefixes && index > 0) {
            child_low = inner_prefixes(inner)[index];
            CHECK(child_low >= low);
            CHECK(child_low <= high);
        }
        if (has_prefixes && index + 1 < node->count) {
            child_high = inner_prefixes(inner)[index + 1];
            CHECK(child_high >= child_low);
        }
        const uint64_t below =
            check_node(checking, inner->children[index], level - 1, child_low, child_high);
        CHECK(below == inner_counts(inner)[index]);
        rows += below;
    }
    return rows;
}

void tree_check(const struct tree *tree)
{
    if (tree->root == NULL) {
        CHECK(tree->count == 0);
        CHECK(tree->bytes == 0);
        return;
    }
    struct checking checking = {.tree = tree};
    CHECK(tree->root->level < TREE_DEPTH_MAX);
    CHECK(tree->root->level == 0 || tree->root->count > 1);
    const uint64_t rows = check_node(&checking, tree->root, tree->root->level, 0, UINT64_MAX);
    CHECK(rows == tree->count);
    CHECK(checking.bytes == tree->bytes);
}
