/*
 * tree_internal.h: nodes of trees, shared by the files of this module.
 *
 * A leaf is one allocation that grows in the allocator's size classes up to TREE_LEAF_BYTES:
 *
 *   0        16                                                                              capacity
 *   ┌────────┬──────────────────────┬────────────────────┬──────── free ────────┬──────────────────┐
 *   │ header │ slots: rows x stride │ fingerprints: rows │  ───►          ◄───  │ heap of elements │
 *   └────────┴──────────────────────┴────────────────────┴──────────────────────┴──────────────────┘
 *               u16 each              u8 each, TREE_HASHED only
 *
 *   slot = distance of the element's first byte from the leaf's end << 4 | kind
 *
 *   kind              heap
 *   SLOT_BYTES        size (1 byte below 128, else 2 bytes, the high one first, its top bit set), bytes
 *   1 .. 8            an integer: so many bytes, little-endian, the sign extended
 *   SLOT_TINY         nothing: the integer 0 .. 4095 is in the place of the distance
 *   SLOT_EIGHT        8 bytes (scores)
 *   SLOT_LONG         pointer to a struct long_element
 *
 * Elements are added at the low end of the heap; those deleted are garbage until the leaf is built anew (unless they
 * are the lowest). Distances count from the end, so that a leaf grows by two plain copies.
 *
 * Invariants: (1) A leaf of several has rows; only the root may be alone. (2) A row is at most half of a leaf, so that a split in two
 * always makes room. (3) Of adjacent leaves below one parent at least one is more than a quarter full, after deletions; the same holds for inner
 * nodes and children. (4) A node that is changed has one reference. (5) prefixes[i] of an inner node is at most the prefix of
 * every row below child i, and at least that of every row below child i - 1.
 */
#ifndef STORAGE_TREE_INTERNAL_H
#define STORAGE_TREE_INTERNAL_H

#include "base/check.h"
#include "base/mem.h"
#include "storage/tree.h"

#include <stdatomic.h>
#include <string.h>

struct tree_node {
    _Atomic uint32_t references;
    uint16_t count; /* rows; children */
    uint8_t level;  /* 0: a leaf */
    uint8_t
        row_overhead; /* leaf: bytes of a row's slots and fingerprint: 2 * stride + (hashed ? 1 : 0) */
};

/* Elements longer than tree_inline_max(). Immutable. */
struct long_element {
    _Atomic uint32_t references;
    uint32_t size;
    char data[];
};

enum slot_kind { SLOT_BYTES = 0, SLOT_INTEGER_MAX = 8, SLOT_TINY = 9, SLOT_EIGHT, SLOT_LONG };
#define SLOT_TINY_MAX 4095

struct leaf {
    struct tree_node head;
    uint16_t capacity;   /* of the allocation */
    uint16_t heap_size;  /* garbage included */
    uint16_t garbage;    /* bytes of the heap that no slot names */
    uint16_t long_count; /* slots of SLOT_LONG */
    uint16_t slots[];
};
static_assert(sizeof(struct leaf) == 16, "small collections stay small");
static_assert(TREE_LEAF_BYTES - sizeof(struct leaf) <= SLOT_TINY_MAX, "distances have twelve bits");

#define LEAF_ROOM ((size_t)TREE_LEAF_BYTES - sizeof(struct leaf))
/* Fingerprints are searched one after another. */
#define LEAF_HASHED_ROWS_MAX 512
#define LEAF_ROWS_MAX        ((unsigned)(LEAF_ROOM / 2) + 1)

/* children[capacity], counts[capacity], prefixes[capacity] (not in PLACED trees). */
struct inner {
    struct tree_node head;
    uint32_t capacity;
    struct tree_node *children[];
};
#define INNER_BYTES_MAX ((size_t)4096)

static inline struct leaf *leaf_of(struct tree_node *node)
{
    return (struct leaf *)(void *)node;
}
static inline struct inner *inner_of(struct tree_node *node)
{
    return (struct inner *)(void *)node;
}
/* Rows below each child. */
static inline uint64_t *inner_counts(struct inner *inner)
{
    return (uint64_t *)(void *)(inner->children + inner->capacity);
}
static inline uint64_t *inner_prefixes(struct inner *inner)
{
    return inner_counts(inner) + inner->capacity;
}

static inline unsigned leaf_stride(const struct leaf *leaf)
{
    return leaf->head.row_overhead >> 1;
}
static inline bool leaf_is_hashed(const struct leaf *leaf)
{
    return (leaf->head.row_overhead & 1) != 0;
}
static inline uint8_t *leaf_fingerprints(struct leaf *leaf)
{
    return (uint8_t *)(leaf->slots + (size_t)leaf->head.count * leaf_stride(leaf));
}
static inline size_t leaf_used(const struct leaf *leaf)
{
    return sizeof(*leaf) + (size_t)leaf->head.count * leaf->head.row_overhead + leaf->heap_size;
}
/* Less the garbage. */
static inline size_t leaf_live(const struct leaf *leaf)
{
    return leaf_used(leaf) - leaf->garbage;
}
static inline const char *leaf_slot_data(const struct leaf *leaf, unsigned slot)
{
    return (const char *)leaf + leaf->capacity - (slot >> 4);
}

static inline size_t tree_row_overhead(const struct tree *tree)
{
    return 2 * (size_t)tree->class->stride + (tree->class->order == TREE_HASHED ? 1 : 0);
}
/* Four thousand bytes hold two rows of the longest elements: invariant (2). */
static inline size_t tree_inline_max(const struct tree *tree)
{
    const size_t share = (size_t)2000 / tree->class->stride;
    return share < ELEMENT_INLINE_MAX ? share : ELEMENT_INLINE_MAX;
}

/* --- leaf.c -------------------------------------------------------------------------------------------------------- */

/* How the elements of a row are stored. */
struct packing {
    uint8_t kinds[TREE_STRIDE_MAX];
    uint16_t sizes[TREE_STRIDE_MAX];
    size_t size; /* in the heap, all of them */
};
uint16_t element_packing(const struct element *element, size_t inline_max, uint8_t *kind);
void packing_of(const struct tree *tree, const struct element *row, struct packing *packing);

struct element leaf_element(const struct leaf *leaf, unsigned index);
void leaf_row(const struct leaf *leaf, unsigned row, struct element *elements);
/* Bytes of the heap that the row's elements take. */
size_t leaf_row_size(const struct leaf *leaf, unsigned row);

/* An empty leaf with room for this many bytes, header included. The tree's account is kept. */
struct leaf *leaf_create(struct tree *tree, size_t size);
/* Frees the leaf; its long elements have moved elsewhere. Keeps no account. */
void leaf_free(struct leaf *leaf);
/* An unshared copy; long elements are counted once more. */
struct leaf *leaf_clone(struct tree *tree, const struct leaf *leaf);
/* Appends copies of rows to a leaf that has room; long elements move. */
void leaf_gather(struct leaf *to, struct leaf *from, const uint16_t *rows, unsigned count);
/* As leaf_gather() of all rows, but quicker. `to` is empty. */
void leaf_move_all(struct leaf *to, struct leaf *from);
/* There is room. */
void leaf_insert_row(struct tree *tree, struct leaf *leaf, unsigned row,
    const struct element *elements, const struct packing *packing, uint8_t fingerprint);
void leaf_delete_row(struct tree *tree, struct leaf *leaf, unsigned row);
/* Gives up the element of a slot; the slot is a tiny 0 afterwards. */
void leaf_clear_slot(struct tree *tree, struct leaf *leaf, unsigned index);
/* Stores into a cleared slot; there is room. */
void leaf_fill_slot(struct tree *tree, struct leaf *leaf, unsigned index,
    const struct element *element, uint8_t kind, uint16_t size);
/* Writes over an element of the same size and kind; false if it is not, or long. */
bool leaf_overwrite_slot(
    struct leaf *leaf, unsigned index, const struct element *element, uint8_t kind, uint16_t size);
/* A reference to the slot's long element; NULL if it is not long. */
struct long_element *leaf_hold_long(const struct leaf *leaf, unsigned index);
/* Gives up a reference, without account. Takes NULL. */
void long_release(struct long_element *element);
/* The row whose first element equals this; LEAF_ROWS_MAX if there is none. */
unsigned leaf_find(
    const struct leaf *leaf, uint8_t fingerprint, const struct element *first, size_t inline_max);
/* Gives up long elements of rows [from, to), with account. Their slots are not to be read again. */
void leaf_drop_long(struct tree *tree, struct leaf *leaf, unsigned from, unsigned to);
size_t leaf_long_bytes(struct leaf *leaf);

/* --- tree.c -------------------------------------------------------------------------------------------------------- */

/*
 * 48 bits that divide a HASHED tree between its leaves, never 0 (SCAN's cursors stay exact in a double), and 8 others that tell rows of a
 * leaf apart. A class that has prefix() replaces the first part: tests build collisions with it.
 */
struct row_hash {
    uint64_t prefix;
    uint8_t fingerprint;
};
#define HASH_PREFIX_BITS 48
struct row_hash tree_row_hash(const struct tree *tree, const struct element *first);
/* As one number, in cursors. */
static inline uint64_t row_hash_pack(struct row_hash hash)
{
    return hash.prefix << 8 | hash.fingerprint;
}
static inline struct row_hash row_hash_unpack(uint64_t packed)
{
    return (struct row_hash){.prefix = packed >> 8, .fingerprint = (uint8_t)packed};
}

static inline bool node_is_shared(struct tree_node *node)
{
    /* Acquire pairs with the release of whoever gave up the other reference: its reads are over. */
    return atomic_load_explicit(&node->references, memory_order_acquire) > 1;
}
static inline struct tree_node *node_ref(struct tree_node *node)
{
    const uint32_t before = atomic_fetch_add_explicit(&node->references, 1, memory_order_relaxed);
    CHECK(before > 0);
    CHECK(before < UINT32_MAX);
    return node;
}
/* Frees the node and what only it referred to. Keeps no account. */
void node_unref(struct tree_node *node);

size_t inner_child_bytes(const struct tree *tree);
unsigned inner_count_max(const struct tree *tree);
size_t inner_bytes(const struct tree *tree, const struct inner *inner);
/* Room for at least `count` children. */
struct inner *inner_create(struct tree *tree, unsigned level, unsigned count);
/* Frees the node alone. Keeps no account. */
void inner_free(struct inner *inner);
/* Copies the children from..; references move. `to` has room. */
void inner_append(
    const struct tree *tree, struct inner *to, struct inner *from, unsigned first, unsigned count);
uint64_t inner_rows(struct inner *inner);
/* Rows below the children [0, end). */
uint64_t inner_rows_before(struct inner *inner, unsigned end);

/* Descends from path[depth - 1] (whose index is set) to the first or last row below. */
void cursor_descend_first(struct tree_cursor *cursor, unsigned depth, unsigned levels);
void cursor_descend_last(struct tree_cursor *cursor, unsigned depth, unsigned levels);
/* To the leaf that has this prefix in its range. Returns the lower bound of that range. HASHED; the tree is not empty. */
uint64_t cursor_descend_hash(const struct tree *tree, uint64_t prefix, struct tree_cursor *cursor);
/* To the leaf before; false if there is none. HASHED: *bound becomes the lower bound of its range. */
bool cursor_leaf_previous(struct tree_cursor *cursor);
uint64_t cursor_leaf_bound(const struct tree_cursor *cursor);

/* --- changes (tree_path.c, tree_split.c, tree_change.c) ------------------------------------------------------------ */

/*
 * A change goes down with a cursor. The leaf that it replaces is kept until its end, because the elements added may lie in it.
 */
struct change {
    struct tree *tree;
    struct tree_cursor *cursor;
    struct leaf *replaced;    /* its elements have moved */
    struct tree_node *shared; /* our reference to what was copied */
};
void change_end(struct change *change);

static inline struct leaf *bottom_leaf(const struct tree_cursor *cursor)
{
    return leaf_of(cursor->path[cursor->depth - 1].node);
}
static inline unsigned *bottom_index(struct tree_cursor *cursor)
{
    return &cursor->path[cursor->depth - 1].index;
}
static inline struct inner *path_inner(const struct tree_cursor *cursor, unsigned depth)
{
    return inner_of(cursor->path[depth].node);
}

/* Puts a node into the place of the path's at this depth. */
void path_replace(struct change *change, unsigned depth, struct tree_node *node);
/* The leaf is freed at the end of the change; out of the account at once. */
void change_retire(struct change *change, struct leaf *leaf);
/* An own copy of a shared node. The tree's reference to the node stays the caller's. */
struct tree_node *node_clone(struct tree *tree, struct tree_node *node);
/* Copies what is shared, from the top down. */
void path_own(struct change *change);
/* Makes a child of an own node own. */
struct tree_node *child_own(struct tree *tree, struct inner *inner, unsigned index);
/* From the path's node at this depth to the next one of its level. */
void path_step_right(struct tree_cursor *cursor, unsigned depth);
/*
 * Inserts a node behind the path's at this depth; `rows` of that one have moved to it. The path stays where it is, but may have become longer at
 * the top.
 */
void path_insert_child(
    struct change *change, unsigned depth, struct tree_node *node, uint64_t prefix, uint64_t rows);
/* The last child leaves an inner node empty. */
void inner_remove(const struct tree *tree, struct inner *inner, unsigned index);

/*
 * What is to be added to the leaf: a row at the cursor's index, or (is_replacement) an element of that row, whose old one is cleared.
 */
struct demand {
    size_t size;
    bool is_replacement;
    struct row_hash hash; /* of the row, HASHED */
};
/* The leaf at the cursor gets room for the demand; the cursor goes where the row will be. The path is own. */
void change_make_room(struct change *change, const struct demand *demand);
/* The leaf is built anew, without garbage, in an allocation of about this size. */
void change_rebuild(struct change *change, size_t size);

/* The root has one child left: that one is the root. */
void tree_collapse_root(struct tree *tree);
/*
 * From the leaf up, sparse nodes of an own path are merged with a neighbour. True if a node was: the path is then not to be used any more.
 */
bool change_merge(struct change *change);
bool node_is_sparse(const struct tree *tree, struct tree_node *node);

#define RANK_UNKNOWN UINT64_MAX

#endif
