/*
 * tree_change.c: rows added, replaced and removed.
 *
 *   path own? ──► room in the leaf? ──► the row in, counts of the path ──► a leaf left sparse is merged with a neighbour
 */
#include "tree_internal.h"

/* --- adding ------------------------------------------------------------------------------------------------------------------ */

/* A row was added (or removed) at the cursor. */
static void path_count(struct tree_cursor *cursor, uint64_t more)
{
    for (unsigned depth = 0; depth + 1 < cursor->depth; depth++) {
        inner_counts(path_inner(cursor, depth))[cursor->path[depth].index] += more;
    }
}

/* The new first row of a leaf: prefixes above it are at most its own. */
static void path_lower_prefix(struct tree_cursor *cursor, uint64_t prefix)
{
    for (unsigned depth = cursor->depth - 1; depth-- > 0;) {
        const unsigned index = cursor->path[depth].index;
        uint64_t *const place = &inner_prefixes(path_inner(cursor, depth))[index];
        if (*place > prefix) {
            *place = prefix;
        }
        if (index > 0) {
            break;
        }
    }
}

static void insert_row(struct change *change, const struct element *row,
    const struct packing *packing, struct row_hash hash)
{
    struct tree *tree = change->tree;
    struct tree_cursor *cursor = change->cursor;
    if (tree->root == NULL) {
        struct leaf *leaf =
            leaf_create(tree, sizeof(*leaf) + tree_row_overhead(tree) + packing->size);
        tree->root = &leaf->head;
        cursor->depth = 1;
        cursor->path[0].node = tree->root;
        cursor->path[0].index = 0;
    } else {
        path_own(change);
        const struct demand demand = {
            .size = tree_row_overhead(tree) + packing->size,
            .hash = hash,
        };
        change_make_room(change, &demand);
    }
    const unsigned index = *bottom_index(cursor);
    leaf_insert_row(tree, bottom_leaf(cursor), index, row, packing, hash.fingerprint);
    path_count(cursor, 1);
    tree->count++;
    if (index == 0 && tree->class->order == TREE_SORTED && cursor->depth > 1) {
        path_lower_prefix(cursor, tree->class->prefix(row));
    }
}

void tree_insert(struct tree *tree, struct tree_cursor *cursor, const struct element *row)
{
    DCHECK(tree->class->order != TREE_HASHED);
    DCHECK(cursor->tree == tree);
    struct change change = {.tree = tree, .cursor = cursor};
    struct packing packing;
    packing_of(tree, row, &packing);
    insert_row(&change, row, &packing, (struct row_hash){0});
    change_end(&change);
}

void tree_insert_hashed(struct tree *tree, const struct element *row)
{
    DCHECK(tree->class->order == TREE_HASHED);
    struct tree_cursor cursor;
    struct change change = {.tree = tree, .cursor = &cursor};
    struct packing packing;
    packing_of(tree, row, &packing);
    const struct row_hash hash = tree_row_hash(tree, &row[0]);
    if (tree->root != NULL) {
        (void)cursor_descend_hash(tree, hash.prefix, &cursor);
    }
    insert_row(&change, row, &packing, hash);
    change_end(&change);
}

void tree_insert_found(struct tree *tree, struct tree_cursor *cursor, const struct element *row)
{
    DCHECK(tree->class->order == TREE_HASHED);
    DCHECK(cursor->tree == tree);
    struct change change = {.tree = tree, .cursor = cursor};
    struct packing packing;
    packing_of(tree, row, &packing);
    const struct row_hash hash = row_hash_unpack(cursor->hash);
    DCHECK(hash.prefix == tree_row_hash(tree, &row[0]).prefix);
    if (tree->root != NULL) {
        /* Rows stand in order of insertion. */
        *bottom_index(cursor) = bottom_leaf(cursor)->head.count;
    }
    insert_row(&change, row, &packing, hash);
    change_end(&change);
}

void tree_append(struct tree *tree, const struct element *row)
{
    if (tree->class->order == TREE_HASHED) {
        tree_insert_hashed(tree, row);
        return;
    }
    struct tree_cursor cursor;
    tree_cursor_at(tree, tree->count, &cursor);
    tree_insert(tree, &cursor, row);
}

void tree_replace(
    struct tree *tree, struct tree_cursor *cursor, unsigned slot, const struct element *element)
{
    DCHECK(cursor->tree == tree);
    DCHECK(slot < tree->class->stride);
    DCHECK(slot > 0 || tree->class->order != TREE_HASHED);
    struct change change = {.tree = tree, .cursor = cursor};
    uint8_t kind;
    const uint16_t size = element_packing(element, tree_inline_max(tree), &kind);
    path_own(&change);
    const unsigned column = *bottom_index(cursor) * tree->class->stride + slot;
    if (leaf_overwrite_slot(bottom_leaf(cursor), column, element, kind, size)) {
        change_end(&change);
        return;
    }
    /* What replaces may lie in the very bytes that are given up now. */
    struct long_element *const held = leaf_hold_long(bottom_leaf(cursor), column);
    char copy[ELEMENT_INLINE_MAX];
    struct element given = *element;
    if (!given.is_integer && kind != SLOT_LONG && given.bytes.size > 0) {
        memcpy(copy, given.bytes.data, given.bytes.size);
        given.bytes.data = copy;
    }
    leaf_clear_slot(tree, bottom_leaf(cursor), column);
    const struct demand demand = {.size = size, .is_replacement = true};
    change_make_room(&change, &demand);
    leaf_fill_slot(tree, bottom_leaf(cursor), *bottom_index(cursor) * tree->class->stride + slot,
        &given, kind, size);
    long_release(held);
    change_end(&change);
}

/* --- removing ---------------------------------------------------------------------------------------------------------------- */

void tree_collapse_root(struct tree *tree)
{
    while (tree->root->level > 0 && tree->root->count == 1) {
        struct inner *inner = inner_of(tree->root);
        tree->root = node_ref(inner->children[0]);
        tree->bytes -= inner_bytes(tree, inner);
        node_unref(&inner->head);
    }
}

/* A leaf below this may be merged with a neighbour, if both then fill at most so much of one. */
#define MERGE_BELOW_BYTES (TREE_LEAF_BYTES / 4)
#define MERGE_INTO_BYTES  (TREE_LEAF_BYTES / 8 * 7)

/* The children at index and index + 1 become one if they fit. The parent is own. */
static bool merge_leaves(struct tree *tree, struct inner *parent, unsigned index)
{
    struct leaf *left = leaf_of(parent->children[index]);
    struct leaf *right = leaf_of(parent->children[index + 1]);
    const size_t size = leaf_live(left) + leaf_live(right) - sizeof(*left);
    const unsigned rows = (unsigned)left->head.count + right->head.count;
    if (size > MERGE_INTO_BYTES ||
        (tree->class->order == TREE_HASHED && rows > LEAF_HASHED_ROWS_MAX / 8 * 7)) {
        return false;
    }
    left = leaf_of(child_own(tree, parent, index));
    right = leaf_of(child_own(tree, parent, index + 1));
    struct leaf *merged = leaf_create(tree, size);
    leaf_move_all(merged, left);
    uint16_t numbers[LEAF_ROWS_MAX];
    for (unsigned row = 0; row < right->head.count; row++) {
        numbers[row] = (uint16_t)row;
    }
    leaf_gather(merged, right, numbers, right->head.count);
    tree->bytes -= (size_t)left->capacity + right->capacity;
    leaf_free(left);
    leaf_free(right);
    parent->children[index] = &merged->head;
    return true;
}

static bool merge_inners(struct tree *tree, struct inner *parent, unsigned index)
{
    struct inner *left = inner_of(parent->children[index]);
    struct inner *right = inner_of(parent->children[index + 1]);
    const unsigned count = (unsigned)left->head.count + right->head.count;
    if (count > inner_count_max(tree) / 8 * 7) {
        return false;
    }
    left = inner_of(child_own(tree, parent, index));
    right = inner_of(child_own(tree, parent, index + 1));
    if (tree->class->order != TREE_PLACED) {
        /* The first child's prefix may be lower than what the parent knows of the node. */
        inner_prefixes(right)[0] = inner_prefixes(parent)[index + 1];
    }
    struct inner *merged = inner_create(tree, left->head.level, count);
    inner_append(tree, merged, left, 0, left->head.count);
    inner_append(tree, merged, right, 0, right->head.count);
    tree->bytes -= inner_bytes(tree, left) + inner_bytes(tree, right);
    inner_free(left);
    inner_free(right);
    parent->children[index] = &merged->head;
    return true;
}

static bool merge_at(struct tree *tree, struct inner *parent, unsigned index)
{
    const bool are_leaves = parent->head.level == 1;
    if (!(are_leaves ? merge_leaves(tree, parent, index) : merge_inners(tree, parent, index))) {
        return false;
    }
    inner_counts(parent)[index] += inner_counts(parent)[index + 1];
    inner_remove(tree, parent, index + 1);
    return true;
}

bool node_is_sparse(const struct tree *tree, struct tree_node *node)
{
    return node->level == 0 ? leaf_live(leaf_of(node)) < MERGE_BELOW_BYTES
                            : node->count < inner_count_max(tree) / 4;
}

bool change_merge(struct change *change)
{
    struct tree *tree = change->tree;
    struct tree_cursor *cursor = change->cursor;
    bool merged = false;
    for (unsigned depth = cursor->depth - 1; depth > 0; depth--) {
        if (!node_is_sparse(tree, cursor->path[depth].node)) {
            continue;
        }
        struct inner *parent = path_inner(cursor, depth - 1);
        const unsigned index = cursor->path[depth - 1].index;
        if ((index + 1 < parent->head.count && merge_at(tree, parent, index)) ||
            (index > 0 && merge_at(tree, parent, index - 1))) {
            merged = true;
        }
    }
    tree_collapse_root(tree);
    return merged;
}

/* Removes the empty leaf of an own path, and what it leaves empty above. */
static void remove_leaf(struct change *change)
{
    struct tree *tree = change->tree;
    struct tree_cursor *cursor = change->cursor;
    unsigned depth = cursor->depth - 1;
    struct leaf *leaf = bottom_leaf(cursor);
    tree->bytes -= leaf->capacity;
    leaf_free(leaf);
    while (depth > 0) {
        depth--;
        struct inner *inner = path_inner(cursor, depth);
        inner_remove(tree, inner, cursor->path[depth].index);
        if (inner->head.count > 0) {
            /* The rest of the path is valid down to here. */
            cursor->depth = depth + 1;
            if (depth > 0) {
                (void)change_merge(change);
            } else {
                tree_collapse_root(tree);
            }
            return;
        }
        tree->bytes -= inner_bytes(tree, inner);
        inner_free(inner);
    }
    tree->root = NULL;
}

/* A leaf that holds much less than it has room for is built anew. */
static void maybe_shrink(struct change *change)
{
    const struct leaf *leaf = bottom_leaf(change->cursor);
    if (leaf->capacity > 64 && leaf_live(leaf) < leaf->capacity / 8u * 3) {
        change_rebuild(change, leaf_live(leaf) + leaf_live(leaf) / 8);
    }
}

void tree_delete(struct tree *tree, struct tree_cursor *cursor)
{
    DCHECK(cursor->tree == tree);
    DCHECK(!tree_cursor_is_end(cursor));
    struct change change = {.tree = tree, .cursor = cursor};
    path_own(&change);
    struct leaf *leaf = bottom_leaf(cursor);
    leaf_delete_row(tree, leaf, *bottom_index(cursor));
    path_count(cursor, (uint64_t)-1);
    tree->count--;
    const bool is_sparse = cursor->depth > 1 && node_is_sparse(tree, &leaf->head);
    if (likely(leaf->head.count > 0 && !is_sparse)) {
        maybe_shrink(&change);
        if (*bottom_index(cursor) == bottom_leaf(cursor)->head.count && cursor->depth > 1) {
            /* On to the next leaf, by way of the row before. */
            const uint64_t rank = cursor->rank;
            --*bottom_index(cursor);
            (void)tree_cursor_next(cursor);
            if (rank != RANK_UNKNOWN) {
                cursor->rank = rank;
            }
        }
        change_end(&change);
        return;
    }
    const uint64_t rank = tree_cursor_rank(cursor);
    if (leaf->head.count == 0) {
        remove_leaf(&change);
    } else if (!change_merge(&change)) {
        maybe_shrink(&change);
    }
    change_end(&change);
    tree_cursor_at(tree, rank, cursor);
}
