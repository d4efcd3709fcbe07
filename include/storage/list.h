/*
 * list.h: the list type: elements by place, ends near, any rank in O(log n).
 *
 * An object of the value layer (storage/value.h) on one tree of stride 1, TREE_PLACED. A list that is stored is never empty: handlers delete
 * the key instead. Readers walk list->elements with a tree_cursor; changes go through the functions here.
 *
 * Owned by one thread at a time (its record's stripe); a snapshot is an object of its own.
 */
#ifndef STORAGE_LIST_H
#define STORAGE_LIST_H

#include "base/compiler.h"
#include "base/slice.h"
#include "storage/tree.h"
#include "storage/value.h"

#include <stdbool.h>
#include <stdint.h>

struct list {
    struct value_object object; /* must be first */
    struct tree elements;
};

enum list_end { LIST_HEAD, LIST_TAIL };

/* Registers the class. Before threads. */
void list_setup(void);

/* Empty. */
MUST_USE struct list *list_create(void);
/* Takes NULL. */
void list_destroy(struct list *list);
/* What a record stores: a handle of the list, which moves into it. */
struct value list_value(struct list *list);
/* The list of a value of type VALUE_LIST; borrowed. */
struct list *list_of(const struct value *value);

static inline uint64_t list_count(const struct list *list)
{
    return list->elements.count;
}

/* The element at a rank below the count; its bytes are valid until the next change. */
struct element list_at(const struct list *list, uint64_t rank);

/* The element's bytes must not be the list's own: copy them before. At most ELEMENT_SIZE_MAX. */
void list_push(struct list *list, enum list_end end, const struct element *element);
/* Before the element at this rank, or at the end if rank is the count. */
void list_insert(struct list *list, uint64_t rank, const struct element *element);
void list_replace(struct list *list, uint64_t rank, const struct element *element);
/* The first or last `count` elements; at most as many as there are. */
void list_drop(struct list *list, enum list_end end, uint64_t count);
/*
 * Removes elements equal to this one, the first `limit` of them seen from an end (0: all). Returns how many. O(n).
 */
uint64_t list_remove(
    struct list *list, const struct element *element, enum list_end from, uint64_t limit);
/* True and the rank of the first element equal to this one. O(n). */
bool list_find(const struct list *list, const struct element *element, uint64_t *rank);

/* Asserts all invariants; for tests. */
void list_check(const struct list *list);

#endif
