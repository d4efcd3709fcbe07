/*
 * tree_path.c: the path of a change: made its own where nodes are shared, and nodes put in and taken out along it.
 *
 * Nodes with other references are copied from the top down, so that a copy is always below an own node. A full inner node is split in two when a
 * child is added; at the right end most children stay, so that rows added in order fill inner nodes, too.
 */
#include "tree_internal.h"

void change_end(struct change *change)
{
    if (change->replaced != NULL) {
        leaf_free(change->replaced);
    }
    if (change->shared != NULL) {
        node_unref(change->shared);
    }
}

void path_replace(struct change *change, unsigned depth, struct tree_node *node)
{
    struct tree_cursor *cursor = change->cursor;
    cursor->path[depth].node = node;
    if (depth == 0) {
        change->tree->root = node;
    } else {
        path_inner(cursor, depth - 1)->children[cursor->path[depth - 1].index] = node;
    }
}

void change_retire(struct change *change, struct leaf *leaf)
{
    CHECK(change->replaced == NULL);
    change->tree->bytes -= leaf->capacity;
    change->replaced = leaf;
}

/* --- sharing ------------------------------------------------------------------------------------------------------------ */

static struct inner *inner_clone(struct tree *tree, struct inner *inner)
{
    struct inner *clone = inner_create(tree, inner->head.level, inner->head.count);
    inner_append(tree, clone, inner, 0, inner->head.count);
    for (unsigned index = 0; index < clone->head.count; index++) {
        (void)node_ref(clone->children[index]);
    }
    return clone;
}

struct tree_node *node_clone(struct tree *tree, struct tree_node *node)
{
    if (node->level == 0) {
        struct leaf *leaf = leaf_of(node);
        struct leaf *clone = leaf_clone(tree, leaf);
        tree->bytes -= leaf->capacity;
        return &clone->head;
    }
    struct inner *inner = inner_of(node);
    struct inner *clone = inner_clone(tree, inner);
    tree->bytes -= inner_bytes(tree, inner);
    return &clone->head;
}

void path_own(struct change *change)
{
    struct tree_cursor *cursor = change->cursor;
    for (unsigned depth = 0; depth < cursor->depth; depth++) {
        struct tree_node *node = cursor->path[depth].node;
        if (likely(!node_is_shared(node))) {
            continue;
        }
        path_replace(change, depth, node_clone(change->tree, node));
        if (node->level == 0) {
            change->shared = node;
        } else {
            node_unref(node);
        }
    }
}

struct tree_node *child_own(struct tree *tree, struct inner *inner, unsigned index)
{
    struct tree_node *node = inner->children[index];
    if (node_is_shared(node)) {
        inner->children[index] = node_clone(tree, node);
        node_unref(node);
    }
    return inner->children[index];
}

/* --- adding nodes --------------------------------------------------------------------------------------------------------- */

static void grow_root(struct change *change)
{
    struct tree *tree = change->tree;
    struct tree_cursor *cursor = change->cursor;
    CHECK(cursor->depth < TREE_DEPTH_MAX);
    struct inner *root = inner_create(tree, tree->root->level + 1u, 4);
    root->head.count = 1;
    root->children[0] = tree->root;
    inner_counts(root)[0] =
        tree->root->level == 0 ? tree->root->count : inner_rows(inner_of(tree->root));
    if (tree->class->order != TREE_PLACED) {
        inner_prefixes(root)[0] = 0;
    }
    memmove(cursor->path + 1, cursor->path, cursor->depth * sizeof(cursor->path[0]));
    cursor->depth++;
    cursor->path[0].node = &root->head;
    cursor->path[0].index = 0;
    tree->root = &root->head;
}

void path_step_right(struct tree_cursor *cursor, unsigned depth)
{
    unsigned above = depth;
    do {
        CHECK(above > 0);
        above--;
    } while (cursor->path[above].index + 1 >= cursor->path[above].node->count);
    cursor->path[above].index++;
    for (; above < depth; above++) {
        cursor->path[above + 1].node =
            path_inner(cursor, above)->children[cursor->path[above].index];
        if (above + 1 < depth) {
            cursor->path[above + 1].index = 0;
        }
    }
}

/* Makes room for one more child in the path's node at this depth; the path stays on its child. */
static void split_inner(struct change *change, unsigned depth)
{
    struct tree *tree = change->tree;
    struct tree_cursor *cursor = change->cursor;
    struct inner *inner = path_inner(cursor, depth);
    const unsigned index = cursor->path[depth].index;
    const unsigned count = inner->head.count;
    /* At the end most children stay. */
    const unsigned left = index + 1 == count ? count - 1 : count / 2;
    struct inner *right = inner_create(tree, inner->head.level, count - left + 4);
    inner_append(tree, right, inner, left, count - left);
    inner->head.count = (uint16_t)left;
    const uint64_t prefix = tree->class->order == TREE_PLACED ? 0 : inner_prefixes(right)[0];
    /* The root grows above this node: one level further down then. */
    const unsigned levels_below = cursor->depth - depth;
    path_insert_child(change, depth, &right->head, prefix, inner_rows(right));
    depth = cursor->depth - levels_below;
    if (index >= left) {
        path_step_right(cursor, depth);
        cursor->path[depth].index = index - left;
    }
}

static void grow_inner(struct change *change, unsigned depth)
{
    struct tree *tree = change->tree;
    struct inner *inner = path_inner(change->cursor, depth);
    const unsigned count_max = inner_count_max(tree);
    unsigned count = inner->head.count + inner->head.count / 2u + 2;
    count = count < count_max ? count : count_max;
    struct inner *grown = inner_create(tree, inner->head.level, count);
    inner_append(tree, grown, inner, 0, inner->head.count);
    tree->bytes -= inner_bytes(tree, inner);
    path_replace(change, depth, &grown->head);
    inner_free(inner);
}

void path_insert_child(
    struct change *change, unsigned depth, struct tree_node *node, uint64_t prefix, uint64_t rows)
{
    struct tree *tree = change->tree;
    struct tree_cursor *cursor = change->cursor;
    if (depth == 0) {
        grow_root(change);
        depth = 1;
        /* What has moved is still to be subtracted below. */
        inner_counts(path_inner(cursor, 0))[0] += rows;
    }
    const unsigned levels_below = cursor->depth - depth;
    if (path_inner(cursor, depth - 1)->head.count == inner_count_max(tree)) {
        split_inner(change, depth - 1);
    } else if (path_inner(cursor, depth - 1)->head.count ==
               path_inner(cursor, depth - 1)->capacity) {
        grow_inner(change, depth - 1);
    }
    depth = cursor->depth - levels_below;
    struct inner *parent = path_inner(cursor, depth - 1);
    const unsigned index = cursor->path[depth - 1].index;
    const unsigned after = parent->head.count - index - 1u;
    memmove(parent->children + index + 2, parent->children + index + 1,
        after * sizeof(parent->children[0]));
    uint64_t *counts = inner_counts(parent) + index;
    memmove(counts + 2, counts + 1, after * sizeof(*counts));
    parent->children[index + 1] = node;
    counts[0] -= rows;
    counts[1] = rows;
    if (tree->class->order != TREE_PLACED) {
        uint64_t *prefixes = inner_prefixes(parent) + index;
        memmove(prefixes + 2, prefixes + 1, after * sizeof(*prefixes));
        prefixes[1] = prefix;
    }
    parent->head.count++;
}

void inner_remove(const struct tree *tree, struct inner *inner, unsigned index)
{
    const unsigned after = inner->head.count - index - 1u;
    memmove(
        inner->children + index, inner->children + index + 1, after * sizeof(inner->children[0]));
    uint64_t *counts = inner_counts(inner) + index;
    memmove(counts, counts + 1, after * sizeof(*counts));
    if (tree->class->order != TREE_PLACED) {
        uint64_t *prefixes = inner_prefixes(inner) + index;
        memmove(prefixes, prefixes + 1, after * sizeof(*prefixes));
    }
    inner->head.count--;
}
