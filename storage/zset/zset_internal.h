/*
 * zset_internal.h: what the files of storage/zset share.
 */
#ifndef ZSET_INTERNAL_H
#define ZSET_INTERNAL_H

#include "storage/zset.h"

struct zset {
    struct value_object object; /* first */
    struct tree sorted;
    struct tree *index; /* NULL while there are few */
};

/* What is sought among the rows of one score: the member; NULL: before all of them, or (after) behind them. */
struct zset_probe {
    const struct element *member;
    bool after; /* behind the member itself */
};

extern const struct value_class zset_class;
extern const struct tree_class zset_sorted_class;

/* Order of doubles as order of numbers; 0 and -0 are one. */
uint64_t zset_prefix(double score);
/* The score as it is stored; bytes: room for 8, borrowed by the element. */
struct element zset_score_element(double score, char bytes[8]);
/* A double that is an integer both ways, and not -0. */
bool zset_score_is_integer(double score);
/* Makes the index of all there is. */
void zset_index_create(struct zset *zset);

void zset_encode(const struct value_object *object, struct buf *out);
enum status zset_decode(
    enum value_encoding encoding, struct slice in, struct value_object **object);

#endif
