/*
 * set_internal.h: what the files of storage/set share.
 */
#ifndef SET_INTERNAL_H
#define SET_INTERNAL_H

#include "storage/set.h"

struct set {
    struct value_object object; /* first */
    struct tree
        tree; /* of set_integer_class while object.encoding is INTSET, else of set_hashed_class */
};

extern const struct tree_class set_integer_class;
extern const struct tree_class set_hashed_class;

/* Adds a member that is not there and names nothing anew. To a set of integers: one greater than all others. */
void set_append(struct set *set, const struct element *member);

#endif
