/*
 * tree.h: packed elements in a counted, copy-on-write B+ tree: what every collection is made of.
 *
 * A tree holds rows; a row is `stride` elements (a list's value; a hash's field and value; a sorted set's score and member).
 * Rows lie packed in leaves of at most TREE_LEAF_BYTES; a small collection is a single leaf. Inner nodes know how many rows
 * each child holds, so that any row is found by rank in O(log n).
 *
 *            [ 200 | 180 | 211 ]              inner: child, rows below it, 64-bit prefix of its first row
 *            /       |       \
 *      [leaf]     [leaf]    [leaf]            header, offsets of elements, their bytes, (TREE_HASHED) a fingerprint of each row
 *
 * Order of rows:
 *
 *   TREE_PLACED   by place, as inserted (lists)
 *   TREE_SORTED   by the prefix of a row (a number of 64 bits, given by the class) and among equal prefixes by the class's compare()
 *   TREE_HASHED   by the hash of the first element: the tree is split between leaves by it; in a leaf rows stand in order of insertion,
 *                 found by fingerprint. A single leaf is therefore in order of insertion
 *
 * Nodes are counted and immutable while shared: tree_snapshot() is O(1), and a change to a tree that shares nodes copies the path to the
 * leaf. A snapshot may be read and dropped by any thread while its origin is changed by another. That is how checkpoints, COPY, DUMP and deletion of
 * large values hold up nobody.
 *
 * A tree belongs to one thread at a time (its record's stripe). Slices and cursors given out are valid until the tree's next change.
 *
 * After Bayer's B-tree with counted children (Knuth 3, 6.2.4), sharing as in btrfs (Rodeh, TOS '08).
 */
#ifndef STORAGE_TREE_H
#define STORAGE_TREE_H

#include "base/slice.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TREE_LEAF_BYTES ((size_t)4096)
#define TREE_STRIDE_MAX 4
/* Longer elements have an allocation of their own, counted, shared between snapshots. */
#define ELEMENT_INLINE_MAX ((size_t)1024)
#define ELEMENT_SIZE_MAX   ((size_t)512 * 1024 * 1024)

/* --- elements -------------------------------------------------------------------------------------------------- */

/* A canonical decimal int64 is stored as a number of 1 to 8 bytes; it compares equal to its text. */
struct element {
    bool is_integer;
    int64_t integer;
    struct slice bytes; /* if it is no integer; borrowed */
};
#define ELEMENT_TEXT_MAX 24

/* Canonical: an integer if the text is one. */
struct element element_of(struct slice text);
struct element element_of_integer(int64_t integer);
/* Bytes that are not to be taken for a number (binary scores, packed rows). */
struct element element_of_bytes(struct slice bytes);
/* The text; scratch is used for integers. */
struct slice element_text(const struct element *element, char scratch[ELEMENT_TEXT_MAX]);
size_t element_text_size(const struct element *element);
/* Both canonical. */
bool element_equal(const struct element *a, const struct element *b);
/* As memcmp of the texts, a shorter one first. */
int element_compare(const struct element *a, const struct element *b);
/* Keyed by the process's secret; of the text's canonical form. */
uint64_t element_hash(const struct element *element);

/* --- trees -------------------------------------------------------------------------------------------------------- */

enum tree_order { TREE_PLACED, TREE_SORTED, TREE_HASHED };

struct tree_class {
    enum tree_order order;
    uint8_t stride; /* elements of a row, 1 .. TREE_STRIDE_MAX */
    /* TREE_SORTED: rows with a smaller prefix come first. */
    uint64_t (*prefix)(const struct element *row);
    /* TREE_SORTED: prefix() looks at the first element alone, so that a seek need not read the others. */
    bool prefix_is_of_first;
    /* TREE_SORTED: order among rows of equal prefix; < 0 if the row comes before the probe. Same probe type as given to tree_seek(). */
    int (*compare)(const struct element *row, const void *probe);
};

struct tree_node;
/* Embedded in objects. To be read only through functions. */
struct tree {
    const struct tree_class *class;
    struct tree_node *root; /* NULL: empty */
    uint64_t count;         /* rows */
    size_t bytes; /* memory of nodes and long elements, shared ones included; kept incrementally */
};

/* A place in a tree: a row, or the end. */
#define TREE_DEPTH_MAX 12
struct tree_cursor {
    const struct tree *tree;
    uint64_t
        rank; /* of the row; tree->count at the end. Kept for PLACED and SORTED trees and by tree_cursor_at() */
    unsigned depth; /* 0: empty tree */
    uint64_t hash;  /* of the element tree_find() sought */
    struct {
        struct tree_node *node;
        unsigned index;
    } path[TREE_DEPTH_MAX]; /* from the root to the leaf; the leaf's index counts rows */
};

void tree_init(struct tree *tree, const struct tree_class *class);
/* Drops the tree's reference to its nodes: O(n) if nobody shares them. */
void tree_deinit(struct tree *tree);
/* O(1). *snapshot is uninitialised before; it is a tree of its own. */
void tree_snapshot(const struct tree *tree, struct tree *snapshot);
/* Nodes and long elements that tree_deinit() would free: a measure of its effort. */
uint64_t tree_node_count(const struct tree *tree);

/* --- reading ------- */

/* The row at this rank; rank == count gives the end. */
void tree_cursor_at(const struct tree *tree, uint64_t rank, struct tree_cursor *cursor);
/* One row on or back. False: there is none (then the cursor is at the end, or stays at the first row). */
bool tree_cursor_next(struct tree_cursor *cursor);
bool tree_cursor_previous(struct tree_cursor *cursor);
bool tree_cursor_is_end(const struct tree_cursor *cursor);
/* All elements of the cursor's row, stride of them. Not at the end. */
void tree_cursor_row(const struct tree_cursor *cursor, struct element *row);
/* One of them. */
struct element tree_cursor_element(const struct tree_cursor *cursor, unsigned slot);
/* Its rank, computed if it is not known. */
uint64_t tree_cursor_rank(const struct tree_cursor *cursor);

/* TREE_HASHED: the row whose first element equals this. The cursor is where it was found; false: good for tree_insert_found() only. */
bool tree_find(const struct tree *tree, const struct element *first, struct tree_cursor *cursor);
/* TREE_SORTED: the first row that is not before (prefix, probe), or the end. */
void tree_seek(
    const struct tree *tree, uint64_t prefix, const void *probe, struct tree_cursor *cursor);

/*
 * TREE_HASHED, SCAN's walk: visits whole leaves from the place that *position says (0 at first) until at least row_min rows were seen; *position becomes the next
 * place, 0 at the end. Rows present from start to end of a walk are visited at least once, however the tree changes in between.
 */
typedef void (*tree_visit_fn)(void *context, const struct element *row);
void tree_scan(const struct tree *tree, uint64_t *position, uint64_t row_min, tree_visit_fn visit,
    void *context);

/* --- changing ------ */

/* Elements given are copied. Cursors other than the one passed are invalid afterwards; that one is at the row changed (or after the one deleted). */

/* PLACED and SORTED: before the cursor's row; the caller answers for the order. */
void tree_insert(struct tree *tree, struct tree_cursor *cursor, const struct element *row);
/* HASHED: the row's first element must not be there. */
void tree_insert_hashed(struct tree *tree, const struct element *row);
/* The same, faster, with the cursor of a tree_find() of that element which has just found nothing. */
void tree_insert_found(struct tree *tree, struct tree_cursor *cursor, const struct element *row);
/* Replaces one element of the row; not the first of a HASHED tree, nothing that changes the order of a SORTED one. */
void tree_replace(
    struct tree *tree, struct tree_cursor *cursor, unsigned slot, const struct element *element);
void tree_delete(struct tree *tree, struct tree_cursor *cursor);
/* PLACED and SORTED: rows [rank, rank + count); whole leaves are dropped without being read. */
void tree_delete_range(struct tree *tree, uint64_t rank, uint64_t count);
/* Adds a row at the end; rows in order fill leaves completely (decoding). HASHED: as tree_insert_hashed(). */
void tree_append(struct tree *tree, const struct element *row);

/* Asserts all invariants; for tests. */
void tree_check(const struct tree *tree);

#endif
