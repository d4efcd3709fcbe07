/*
 * zset.h: sorted sets: members with a score, in order of score and member (VALUE_ZSET).
 *
 *   sorted tree   (score, member), TREE_SORTED by score, then member: ranks and ranges in O(log n)
 *   index         (member, score), TREE_HASHED; made once there are more than ZSET_INDEX_MIN members, never dropped
 *
 * Without an index members are looked for one by one. A score is stored as an integer if it is one, else as the eight bytes of the
 * double. It is never NaN. A set called "listpack" has no -0 (Redis's listpacks keep it as the integer 0).
 *
 * Owned like its record. Elements and cursors given out are valid until the set's next change, those of a snapshot as long as it.
 */
#ifndef STORAGE_ZSET_H
#define STORAGE_ZSET_H

#include "base/slice.h"
#include "base/status.h"
#include "storage/tree.h"
#include "storage/value.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ZSET_INDEX_MIN ((uint64_t)64)

/* Slots of the rows of the two trees. */
enum { ZSET_SORTED_SCORE = 0, ZSET_SORTED_MEMBER = 1 };
enum { ZSET_INDEX_MEMBER = 0, ZSET_INDEX_SCORE = 1 };

struct zset;

/* Registers the class; once, before threads. */
void zset_setup(void);

/* Empty, "listpack". */
struct zset *zset_create(void);
/* Takes NULL. */
void zset_destroy(struct zset *zset);
/* The set as a record's value; ownership moves with it. */
struct value zset_value(struct zset *zset);
/* The set of a value of type VALUE_ZSET; still the value's. */
struct zset *zset_of(const struct value *value);

uint64_t zset_count(const struct zset *zset);
enum value_encoding zset_encoding(const struct zset *zset);
/* The row's score element as a number. */
double zset_score_of(const struct element *score);

/* --- reading ------- */

/* For walks by rank: rows of ZSET_SORTED_SCORE, ZSET_SORTED_MEMBER. */
const struct tree *zset_sorted(const struct zset *zset);
/* Rows of ZSET_INDEX_MEMBER, ZSET_INDEX_SCORE; NULL: the set is small. */
const struct tree *zset_index(const struct zset *zset);

/* The member's score, or false. */
bool zset_score(const struct zset *zset, const struct element *member, double *score);
/* Its rank from the lowest score, or false. */
bool zset_rank(
    const struct zset *zset, const struct element *member, uint64_t *rank, double *score);
/* Members of a lower score, or (inclusive) not higher: the rank at which a range of scores begins or ends. */
uint64_t zset_rank_of_score(const struct zset *zset, double score, bool inclusive);
/*
 * Members that come before this one (or inclusive: and itself) by their bytes, all scores being equal. If they are not, the answer is some place where such a
 * member might be: as Redis, which leaves that open.
 */
uint64_t zset_rank_of_member(const struct zset *zset, const struct element *member, bool inclusive);

/* --- changing ------ */

/* Where a member is. Valid until the set's next change; a snapshot is none. */
struct zset_place {
    bool found;
    double score; /* if found */
    /* private: in the index, or, if there is none, in the sorted tree */
    struct tree_cursor cursor;
};
void zset_find(const struct zset *zset, const struct element *member, struct zset_place *place);
/*
 * Adds a member that is not there; the encoding follows value_limits. The member must not be borrowed from this set: so for all of these. The
 * score is no NaN.
 */
void zset_insert(struct zset *zset, const struct element *member, double score);
/* The same, faster, at the place where the member was sought in vain. */
void zset_insert_at(
    struct zset *zset, struct zset_place *place, const struct element *member, double score);
/* Gives the member at this place another score. */
void zset_move(
    struct zset *zset, struct zset_place *place, const struct element *member, double score);
/* Takes out the member at this place. */
void zset_remove(struct zset *zset, struct zset_place *place, const struct element *member);
/* Takes out the members at ranks [rank, rank + count). O(count * log n) */
void zset_remove_range(struct zset *zset, uint64_t rank, uint64_t count);
/* Finds, then inserts or moves. */
void zset_put(struct zset *zset, const struct element *member, double score);
/* Adds a member behind all others: its order and that it is not there are the caller's word. Faster than zset_insert(). */
void zset_append(struct zset *zset, const struct element *member, double score);

/* Asserts all invariants; for tests. */
void zset_check(const struct zset *zset);

#endif
