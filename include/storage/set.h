/*
 * set.h: VALUE_SET: distinct members.
 *
 * A set that has only ever held integers, and not too many, is named "intset" and keeps them in ascending order, which clients see in replies.
 * Any other set is a tree hashed by the member; it is named "listpack" while within set-max-listpack-entries and -value, then "hashtable" for
 * good. Small hashed sets keep their members in order of insertion.
 *
 * A set belongs to one thread at a time (its record's stripe), like the tree it is made of.
 */
#ifndef STORAGE_SET_H
#define STORAGE_SET_H

#include "storage/tree.h"
#include "storage/value.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct set;

/* Registers the class; once, before threads. */
void set_setup(void);

/* Empty, named as the encoding says: INTSET, LISTPACK or HASHTABLE; what is added makes it larger as the limits say. */
MUST_USE struct set *set_create(enum value_encoding encoding);
/* Empty, named as Redis would name it for count_hint members of which this is the first. */
MUST_USE struct set *set_create_for(const struct element *first, uint64_t count_hint);
/* A set of its own with the same members; O(1). Any thread may read and destroy it. */
MUST_USE struct set *set_snapshot(const struct set *set);
/* Takes NULL. */
void set_destroy(struct set *set);
/* The handle that a record is given; ownership moves with it. */
struct value set_value(struct set *set);
/* The set of a value of type VALUE_SET. Borrowed. */
struct set *set_of(const struct value *value);

enum value_encoding set_encoding(const struct set *set);
uint64_t set_count(const struct set *set);
/*
 * The members, for reading (cursors): rows of one element. Its order is TREE_SORTED for an intset (ascending), else TREE_HASHED. Valid until
 * the set's next change.
 */
const struct tree *set_members(const struct set *set);
bool set_contains(const struct set *set, const struct element *member);

/* False: it was there. The member is canonical (element_of()). */
bool set_add(struct set *set, const struct element *member);
/* False: it was not there. An emptied set stays valid. */
bool set_remove(struct set *set, const struct element *member);
/* Removes the member at this place of set_members(), place < count. */
void set_remove_at(struct set *set, uint64_t place);
/* So many members are about to be added: names the set accordingly, as Redis does. */
void set_expect(struct set *set, uint64_t count_hint);
/* Names the set "intset" if all its members are integers and no more than set-max-intset-entries. For results put together. */
void set_prefer_integers(struct set *set);

/*
 * As the class's encode() and decode(); the format is described in set_codec.c. ST_OK, ST_CORRUPT.
 */
void set_encode(const struct set *set, struct buf *out);
MUST_USE enum status set_decode(enum value_encoding encoding, struct slice in, struct set **set);

/* Asserts all invariants; for tests. */
void set_check(const struct set *set);

#endif
