/*
 * tree_cut.c: ranges of rows removed: whole nodes are dropped unread, the leaves at both ends are cut.
 */
#include "tree_internal.h"

/* --- ranges ------------------------------------------------------------------------------------------------------------------ */

/* Memory of a subtree. Reads nodes, but no rows. */
static size_t subtree_bytes(const struct tree *tree, struct tree_node *node)
{
    if (node->level == 0) {
        struct leaf *leaf = leaf_of(node);
        return leaf->capacity + leaf_long_bytes(leaf);
    }
    struct inner *inner = inner_of(node);
    size_t bytes = inner_bytes(tree, inner);
    for (unsigned index = 0; index < inner->head.count; index++) {
        bytes += subtree_bytes(tree, inner->children[index]);
    }
    return bytes;
}

static void drop_subtree(struct tree *tree, struct tree_node *node)
{
    tree->bytes -= subtree_bytes(tree, node);
    node_unref(node);
}

/* The leaf without some of its rows, but not all. */
static struct tree_node *cut_leaf(
    struct tree *tree, struct leaf *leaf, unsigned first, unsigned count)
{
    const unsigned stride = leaf_stride(leaf);
    uint16_t rows[LEAF_ROWS_MAX];
    unsigned kept_count = 0;
    size_t size = sizeof(*leaf);
    leaf_drop_long(tree, leaf, first, first + count);
    for (unsigned row = 0; row < leaf->head.count; row++) {
        if (row < first || row >= first + count) {
            rows[kept_count++] = (uint16_t)row;
            size += leaf_row_size(leaf, row) + 2 * stride;
        }
    }
    struct leaf *cut = leaf_create(tree, size);
    leaf_gather(cut, leaf, rows, kept_count);
    tree->bytes -= leaf->capacity;
    leaf_free(leaf);
    return &cut->head;
}

/* Rows [first, first + count) of a node, but not all of it, whose parent is own. Recursion is as deep as the tree. */
static struct tree_node *cut_node(
    struct tree *tree, struct tree_node *node, uint64_t first, uint64_t count)
{
    if (node_is_shared(node)) {
        struct tree_node *clone = node_clone(tree, node);
        node_unref(node);
        node = clone;
    }
    if (node->level == 0) {
        return cut_leaf(tree, leaf_of(node), (unsigned)first, (unsigned)count);
    }
    struct inner *inner = inner_of(node);
    for (unsigned index = 0; count > 0;) {
        const uint64_t rows = inner_counts(inner)[index];
        if (first >= rows) {
            first -= rows;
            index++;
            continue;
        }
        const uint64_t taken = count < rows - first ? count : rows - first;
        count -= taken;
        if (taken == rows) {
            drop_subtree(tree, inner->children[index]);
            inner_remove(tree, inner, index);
            continue;
        }
        inner->children[index] = cut_node(tree, inner->children[index], first, taken);
        inner_counts(inner)[index] -= taken;
        first = 0;
        index++;
    }
    return node;
}

/* What the cut has left sparse beside it is merged. */
static void mend(struct tree *tree, uint64_t rank)
{
    for (;;) {
        struct tree_cursor cursor;
        tree_cursor_at(tree, rank, &cursor);
        struct change change = {.tree = tree, .cursor = &cursor};
        path_own(&change);
        const bool merged = change_merge(&change);
        change_end(&change);
        if (!merged) {
            return;
        }
    }
}

void tree_delete_range(struct tree *tree, uint64_t rank, uint64_t count)
{
    DCHECK(tree->class->order != TREE_HASHED);
    CHECK(rank <= tree->count);
    CHECK(count <= tree->count - rank);
    if (count == 0) {
        return;
    }
    if (count == tree->count) {
        tree_deinit(tree);
        return;
    }
    tree->root = cut_node(tree, tree->root, rank, count);
    tree->count -= count;
    tree_collapse_root(tree);
    mend(tree, rank);
    if (rank > 0) {
        mend(tree, rank - 1);
    }
}
