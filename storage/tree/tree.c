/*
 * tree.c: life of nodes and trees, and the ways down from the root.
 */
#include "tree_internal.h"

/* --- inner nodes ---------------------------------------------------------------------------------------------------- */

size_t inner_child_bytes(const struct tree *tree)
{
    return sizeof(struct tree_node *) + sizeof(uint64_t) +
           (tree->class->order == TREE_PLACED ? 0 : sizeof(uint64_t));
}

unsigned inner_count_max(const struct tree *tree)
{
    return (unsigned)((INNER_BYTES_MAX - sizeof(struct inner)) / inner_child_bytes(tree));
}

size_t inner_bytes(const struct tree *tree, const struct inner *inner)
{
    return mem_good_size(sizeof(*inner) + inner->capacity * inner_child_bytes(tree));
}

struct inner *inner_create(struct tree *tree, unsigned level, unsigned count)
{
    const size_t child_bytes = inner_child_bytes(tree);
    const size_t size_bytes = mem_good_size(sizeof(struct inner) + count * child_bytes);
    struct inner *inner = mem_alloc(size_bytes);
    *inner = (struct inner){.head.level = (uint8_t)level};
    size_t capacity = (size_bytes - sizeof(*inner)) / child_bytes;
    if (capacity > inner_count_max(tree)) {
        capacity = inner_count_max(tree);
    }
    inner->capacity = (uint32_t)capacity;
    CHECK(capacity >= count);
    atomic_init(&inner->head.references, 1);
    tree->bytes += inner_bytes(tree, inner);
    return inner;
}

void inner_free(struct inner *inner)
{
    mem_free(inner);
}

void inner_append(
    const struct tree *tree, struct inner *to, struct inner *from, unsigned first, unsigned count)
{
    const unsigned before = to->head.count;
    CHECK(before + count <= to->capacity);
    memcpy(to->children + before, from->children + first, count * sizeof(struct tree_node *));
    memcpy(inner_counts(to) + before, inner_counts(from) + first, count * sizeof(uint64_t));
    if (tree->class->order != TREE_PLACED) {
        memcpy(inner_prefixes(to) + before, inner_prefixes(from) + first, count * sizeof(uint64_t));
    }
    to->head.count = (uint16_t)(before + count);
}

uint64_t inner_rows_before(struct inner *inner, unsigned end)
{
    const uint64_t *counts = inner_counts(inner);
    uint64_t sums[4] = {0};
    unsigned index = 0;
    /* Four sums, so that one addition need not wait for the other. */
    for (; index + 4 <= end; index += 4) {
        sums[0] += counts[index];
        sums[1] += counts[index + 1];
        sums[2] += counts[index + 2];
        sums[3] += counts[index + 3];
    }
    for (; index < end; index++) {
        sums[0] += counts[index];
    }
    return sums[0] + sums[1] + sums[2] + sums[3];
}

uint64_t inner_rows(struct inner *inner)
{
    return inner_rows_before(inner, inner->head.count);
}

/* Recursion is as deep as the tree: at most TREE_DEPTH_MAX. */
void node_unref(struct tree_node *node)
{
    /* Release pairs with the acquire of the last one (here or in node_is_shared()). */
    if (atomic_fetch_sub_explicit(&node->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    if (node->level == 0) {
        struct leaf *leaf = leaf_of(node);
        leaf_drop_long(NULL, leaf, 0, leaf->head.count);
        leaf_free(leaf);
        return;
    }
    struct inner *inner = inner_of(node);
    for (unsigned index = 0; index < inner->head.count; index++) {
        node_unref(inner->children[index]);
    }
    inner_free(inner);
}

/* --- trees ------------------------------------------------------------------------------------------------------------ */

void tree_init(struct tree *tree, const struct tree_class *class)
{
    DCHECK(class->stride >= 1);
    DCHECK(class->stride <= TREE_STRIDE_MAX);
    *tree = (struct tree){.class = class};
}

void tree_deinit(struct tree *tree)
{
    if (tree->root != NULL) {
        node_unref(tree->root);
    }
    *tree = (struct tree){.class = tree->class};
}

void tree_snapshot(const struct tree *tree, struct tree *snapshot)
{
    *snapshot = *tree;
    if (tree->root != NULL) {
        (void)node_ref(tree->root);
    }
}

uint64_t tree_node_count(const struct tree *tree)
{
    if (tree->root == NULL || node_is_shared(tree->root)) {
        return tree->root == NULL ? 0 : 1;
    }
    if (tree->root->level == 0) {
        return 1u + leaf_of(tree->root)->long_count;
    }
    /* An estimate: leaves are half full at least, long elements a kilobyte. */
    return 2 + tree->bytes / (TREE_LEAF_BYTES * 3 / 4);
}

struct row_hash tree_row_hash(const struct tree *tree, const struct element *first)
{
    const uint64_t hash = element_hash(first);
    uint64_t prefix = hash >> (64 - HASH_PREFIX_BITS);
    if (unlikely(tree->class->prefix != NULL)) {
        prefix = tree->class->prefix(first) & ((UINT64_C(1) << HASH_PREFIX_BITS) - 1);
    }
    return (struct row_hash){
        .prefix = prefix == 0 ? 1 : prefix,
        .fingerprint = (uint8_t)(hash & 0xff),
    };
}

/* --- ways down --------------------------------------------------------------------------------------------------------- */

void cursor_descend_first(struct tree_cursor *cursor, unsigned depth, unsigned levels)
{
    cursor->depth = depth + levels;
    CHECK(cursor->depth <= TREE_DEPTH_MAX);
    for (; levels > 0; levels--, depth++) {
        struct inner *inner = inner_of(cursor->path[depth - 1].node);
        cursor->path[depth].node = inner->children[cursor->path[depth - 1].index];
        cursor->path[depth].index = 0;
    }
}

void cursor_descend_last(struct tree_cursor *cursor, unsigned depth, unsigned levels)
{
    cursor->depth = depth + levels;
    CHECK(cursor->depth <= TREE_DEPTH_MAX);
    for (; levels > 0; levels--, depth++) {
        struct inner *inner = inner_of(cursor->path[depth - 1].node);
        cursor->path[depth].node = inner->children[cursor->path[depth - 1].index];
        cursor->path[depth].index = cursor->path[depth].node->count - 1u;
    }
}

static void cursor_start(const struct tree *tree, struct tree_cursor *cursor)
{
    cursor->tree = tree;
    cursor->depth = 1;
    cursor->path[0].node = tree->root;
}

static void cursor_set_empty(const struct tree *tree, struct tree_cursor *cursor)
{
    cursor->tree = tree;
    cursor->depth = 0;
    cursor->rank = 0;
}

static void cursor_step_down(struct tree_cursor *cursor, unsigned index)
{
    struct inner *inner = inner_of(cursor->path[cursor->depth - 1].node);
    cursor->path[cursor->depth - 1].index = index;
    CHECK(cursor->depth < TREE_DEPTH_MAX);
    cursor->path[cursor->depth].node = inner->children[index];
    cursor->depth++;
}

static struct tree_node *cursor_bottom(const struct tree_cursor *cursor)
{
    return cursor->path[cursor->depth - 1].node;
}

/* Asks for header, slots and fingerprints of a leaf of so many rows, all at once: what a search in it reads first. */
static void prefetch_leaf(const struct tree *tree, const struct tree_node *node, uint64_t row_count)
{
    const char *leaf = (const char *)node;
    const uint64_t size = sizeof(struct leaf) + row_count * tree_row_overhead(tree);
    for (uint64_t offset = 0; offset < size; offset += 64) {
        prefetch_read(leaf + offset);
    }
}

/* The child that has the row of this rank, from the nearer end; *rank becomes the rank in it. */
static unsigned inner_find_rank(struct inner *inner, uint64_t rows, uint64_t *rank)
{
    const uint64_t *counts = inner_counts(inner);
    DCHECK(*rank < rows);
    unsigned index = 0;
    if (*rank <= rows / 2) {
        while (*rank >= counts[index]) {
            *rank -= counts[index++];
        }
        return index;
    }
    uint64_t behind = rows - *rank; /* this row and those after it */
    index = inner->head.count - 1u;
    while (behind > counts[index]) {
        behind -= counts[index--];
    }
    *rank = counts[index] - behind;
    return index;
}

void tree_cursor_at(const struct tree *tree, uint64_t rank, struct tree_cursor *cursor)
{
    if (tree->root == NULL) {
        CHECK(rank == 0);
        cursor_set_empty(tree, cursor);
        return;
    }
    CHECK(rank <= tree->count);
    cursor_start(tree, cursor);
    cursor->rank = rank;
    if (rank == tree->count) {
        cursor->path[0].index = tree->root->count - 1u;
        cursor_descend_last(cursor, 1, tree->root->level);
        cursor->path[cursor->depth - 1].index = cursor_bottom(cursor)->count;
        return;
    }
    uint64_t left = rank;
    uint64_t rows = tree->count;
    while (cursor_bottom(cursor)->level > 0) {
        struct inner *inner = inner_of(cursor_bottom(cursor));
        const unsigned index = inner_find_rank(inner, rows, &left);
        rows = inner_counts(inner)[index];
        if (inner->head.level == 1) {
            const char *leaf = (const char *)inner->children[index];
            prefetch_read(leaf + sizeof(struct leaf) + left * 2 * tree->class->stride);
        }
        cursor_step_down(cursor, index);
    }
    cursor->path[cursor->depth - 1].index = (unsigned)left;
}

/* Prefixes of a HASHED node's range: the bounds that nodes above it know. */
struct range {
    uint64_t low;
    uint64_t high;
};

/*
 * The last child whose prefix is at most this; the first has no bound. Hashes are spread evenly, so the search starts from where it would be then: one
 * or two lines of the cache instead of one for each halving.
 */
static unsigned inner_find_prefix(struct inner *inner, uint64_t prefix, struct range range)
{
    const uint64_t *prefixes = inner_prefixes(inner);
    const unsigned last = inner->head.count - 1u;
    unsigned index = 0;
    if (range.high > range.low) {
        index = (unsigned)((prefix - range.low) * inner->head.count / (range.high - range.low));
        index = index < last ? index : last;
    }
    prefetch_read(&inner->children[index]);
    prefetch_read(&inner_counts(inner)[index]);
    while (index > 0 && prefixes[index] > prefix) {
        index--;
    }
    while (index < last && prefixes[index + 1] <= prefix) {
        index++;
    }
    return index;
}

uint64_t cursor_descend_hash(const struct tree *tree, uint64_t prefix, struct tree_cursor *cursor)
{
    struct range range = {.low = 0, .high = UINT64_C(1) << HASH_PREFIX_BITS};
    cursor_start(tree, cursor);
    cursor->rank = RANK_UNKNOWN;
    while (cursor_bottom(cursor)->level > 0) {
        struct inner *inner = inner_of(cursor_bottom(cursor));
        const uint64_t *prefixes = inner_prefixes(inner);
        const unsigned index = inner_find_prefix(inner, prefix, range);
        if (index > 0) {
            range.low = prefixes[index];
        }
        if (index + 1u < inner->head.count) {
            range.high = prefixes[index + 1];
        }
        if (inner->head.level == 1) {
            prefetch_leaf(tree, inner->children[index], inner_counts(inner)[index]);
        }
        cursor_step_down(cursor, index);
    }
    cursor->path[cursor->depth - 1].index = cursor_bottom(cursor)->count;
    return range.low;
}

bool cursor_leaf_previous(struct tree_cursor *cursor)
{
    for (unsigned depth = cursor->depth - 1; depth-- > 0;) {
        if (cursor->path[depth].index > 0) {
            cursor->path[depth].index--;
            cursor_descend_last(cursor, depth + 1, cursor->path[depth].node->level);
            return true;
        }
    }
    return false;
}

uint64_t cursor_leaf_bound(const struct tree_cursor *cursor)
{
    for (unsigned depth = cursor->depth - 1; depth-- > 0;) {
        const unsigned index = cursor->path[depth].index;
        if (index > 0) {
            return inner_prefixes(inner_of(cursor->path[depth].node))[index];
        }
    }
    return 0;
}

bool tree_find(const struct tree *tree, const struct element *first, struct tree_cursor *cursor)
{
    const struct row_hash hash = tree_row_hash(tree, first);
    cursor->hash = row_hash_pack(hash);
    if (tree->root == NULL) {
        cursor_set_empty(tree, cursor);
        return false;
    }
    const size_t inline_max = tree_inline_max(tree);
    uint64_t bound = cursor_descend_hash(tree, hash.prefix, cursor);
    for (;;) {
        const unsigned row =
            leaf_find(leaf_of(cursor_bottom(cursor)), hash.fingerprint, first, inline_max);
        if (row != LEAF_ROWS_MAX) {
            cursor->path[cursor->depth - 1].index = row;
            return true;
        }
        /* Rows of one and the same prefix may stand on both sides of a border between leaves. */
        if (likely(bound != hash.prefix) || !cursor_leaf_previous(cursor)) {
            return false;
        }
        bound = cursor_leaf_bound(cursor);
    }
}

/* --- sorted trees ------------------------------------------------------------------------------------------------------- */

static bool row_is_before(const struct tree *tree, const struct leaf *leaf, unsigned row,
    uint64_t prefix, const void *probe)
{
    struct element elements[TREE_STRIDE_MAX];
    if (tree->class->prefix_is_of_first) {
        elements[0] = leaf_element(leaf, row * leaf_stride(leaf));
        const uint64_t first_prefix = tree->class->prefix(elements);
        if (first_prefix != prefix) {
            return first_prefix < prefix;
        }
    }
    leaf_row(leaf, row, elements);
    const uint64_t row_prefix = tree->class->prefix(elements);
    return row_prefix != prefix ? row_prefix < prefix : tree->class->compare(elements, probe) < 0;
}

/* May the first row that is not before the probe be behind the start of this child? */
static bool child_starts_before(const struct tree *tree, struct inner *inner, unsigned index,
    uint64_t prefix, const void *probe)
{
    const uint64_t bound = inner_prefixes(inner)[index];
    if (bound != prefix) {
        return bound < prefix;
    }
    struct tree_node *node = inner->children[index];
    while (node->level > 0) {
        node = inner_of(node)->children[0];
    }
    return row_is_before(tree, leaf_of(node), 0, prefix, probe);
}

static unsigned inner_seek(
    const struct tree *tree, struct inner *inner, uint64_t prefix, const void *probe)
{
    unsigned low = 1;
    unsigned high = inner->head.count;
    while (low < high) {
        const unsigned middle = (low + high) / 2;
        if (child_starts_before(tree, inner, middle, prefix, probe)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low - 1;
}

/*
 * Where in the cursor's leaf a prefix would be if they were spread evenly between the bounds that the node above knows; LEAF_ROWS_MAX if
 * there is nothing to go by.
 */
static unsigned guess_row(const struct tree_cursor *cursor, uint64_t prefix)
{
    if (cursor->depth < 2 || !cursor->tree->class->prefix_is_of_first) {
        return LEAF_ROWS_MAX;
    }
    struct inner *inner = inner_of(cursor->path[cursor->depth - 2].node);
    const unsigned index = cursor->path[cursor->depth - 2].index;
    if (index == 0 || index + 1u == inner->head.count) {
        return LEAF_ROWS_MAX;
    }
    const uint64_t low = inner_prefixes(inner)[index];
    const uint64_t high = inner_prefixes(inner)[index + 1];
    if (prefix <= low || prefix >= high) {
        return LEAF_ROWS_MAX;
    }
    const unsigned last = cursor_bottom(cursor)->count - 1u;
    return (unsigned)((double)(prefix - low) / (double)(high - low) * last);
}

/*
 * The first row that is not before the probe, or the leaf's count. Each row that is looked at costs misses of the cache: from a guess the search
 * strides away in growing steps before it halves what is left.
 */
static unsigned leaf_seek(const struct tree *tree, const struct leaf *leaf, uint64_t prefix,
    const void *probe, unsigned guess)
{
    unsigned low = 0;
    unsigned high = leaf->head.count;
    if (guess < high && row_is_before(tree, leaf, guess, prefix, probe)) {
        low = guess + 1;
        for (unsigned step = 2; low + step < high; step *= 4) {
            if (!row_is_before(tree, leaf, low + step, prefix, probe)) {
                high = low + step;
                break;
            }
            low += step + 1;
        }
    } else if (guess < high) {
        high = guess;
        for (unsigned step = 2; low + step < high; step *= 4) {
            if (row_is_before(tree, leaf, high - step - 1, prefix, probe)) {
                low = high - step;
                break;
            }
            high -= step + 1;
        }
    }
    while (low < high) {
        const unsigned middle = (low + high) / 2;
        if (row_is_before(tree, leaf, middle, prefix, probe)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void tree_seek(
    const struct tree *tree, uint64_t prefix, const void *probe, struct tree_cursor *cursor)
{
    if (tree->root == NULL) {
        cursor_set_empty(tree, cursor);
        return;
    }
    uint64_t rank = 0;
    cursor_start(tree, cursor);
    while (cursor_bottom(cursor)->level > 0) {
        struct inner *inner = inner_of(cursor_bottom(cursor));
        const unsigned index = inner_seek(tree, inner, prefix, probe);
        if (inner->head.level == 1) {
            prefetch_leaf(tree, inner->children[index], inner_counts(inner)[index]);
        }
        rank += inner_rows_before(inner, index);
        cursor_step_down(cursor, index);
    }
    const struct leaf *leaf = leaf_of(cursor_bottom(cursor));
    const unsigned low = leaf_seek(tree, leaf, prefix, probe, guess_row(cursor, prefix));
    cursor->rank = rank + low;
    cursor->path[cursor->depth - 1].index = low;
    if (low == leaf->head.count && cursor->rank < tree->count) {
        cursor->path[cursor->depth - 1].index = low - 1;
        cursor->rank--;
        (void)tree_cursor_next(cursor);
    }
}
