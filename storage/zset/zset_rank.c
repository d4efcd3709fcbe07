/*
 * zset_rank.c: from members, scores and bytes to ranks, and the check of everything.
 */
#include "base/check.h"
#include "zset_internal.h"

#include <math.h>

bool zset_rank(const struct zset *zset, const struct element *member, uint64_t *rank, double *score)
{
    struct zset_place place;
    zset_find(zset, member, &place);
    if (!place.found)
        return false;
    *score = place.score;
    if (zset->index == NULL) {
        *rank = tree_cursor_rank(&place.cursor);
        return true;
    }
    struct tree_cursor cursor;
    const struct zset_probe probe = {.member = member};
    tree_seek(&zset->sorted, zset_prefix(place.score), &probe, &cursor);
    *rank = tree_cursor_rank(&cursor);
    return true;
}

uint64_t zset_rank_of_score(const struct zset *zset, double score, bool inclusive)
{
    CHECK(!isnan(score));
    struct tree_cursor cursor;
    const struct zset_probe probe = {.after = inclusive};
    tree_seek(&zset->sorted, zset_prefix(score), &probe, &cursor);
    return tree_cursor_rank(&cursor);
}

static double score_at(const struct zset *zset, uint64_t rank)
{
    struct tree_cursor cursor;
    tree_cursor_at(&zset->sorted, rank, &cursor);
    const struct element score = tree_cursor_element(&cursor, ZSET_SORTED_SCORE);
    return zset_score_of(&score);
}

/* Halves: right if the scores are equal, and an answer if they are not. */
static uint64_t bisect(const struct zset *zset, const struct zset_probe *probe)
{
    uint64_t low = 0;
    uint64_t high = zset->sorted.count;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        struct tree_cursor cursor;
        tree_cursor_at(&zset->sorted, middle, &cursor);
        struct element row[2];
        tree_cursor_row(&cursor, row);
        if (zset_sorted_class.compare(row, probe) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint64_t zset_rank_of_member(const struct zset *zset, const struct element *member, bool inclusive)
{
    const uint64_t count = zset->sorted.count;
    if (count == 0)
        return 0;
    const struct zset_probe probe = {.member = member, .after = inclusive};
    const double first = score_at(zset, 0);
    if (first != score_at(zset, count - 1))
        return bisect(zset, &probe);
    struct tree_cursor cursor;
    tree_seek(&zset->sorted, zset_prefix(first), &probe, &cursor);
    return tree_cursor_rank(&cursor);
}

void zset_check(const struct zset *zset)
{
    tree_check(&zset->sorted);
    const enum value_encoding encoding = zset->object.encoding;
    CHECK(encoding == VALUE_ENCODING_LISTPACK || encoding == VALUE_ENCODING_SKIPLIST);
    CHECK(zset->index != NULL || zset->sorted.count <= ZSET_INDEX_MIN);
    if (zset->index != NULL) {
        tree_check(zset->index);
        CHECK(zset->index->count == zset->sorted.count);
    }
    struct tree_cursor cursor;
    tree_cursor_at(&zset->sorted, 0, &cursor);
    for (uint64_t rank = 0; rank < zset->sorted.count; rank++) {
        struct element row[2];
        tree_cursor_row(&cursor, row);
        const double score = zset_score_of(&row[ZSET_SORTED_SCORE]);
        CHECK(!isnan(score));
        double found;
        uint64_t found_rank;
        CHECK(zset_rank(zset, &row[ZSET_SORTED_MEMBER], &found_rank, &found));
        CHECK(found_rank == rank);
        CHECK(memcmp(&found, &score, sizeof(score)) == 0);
        (void)tree_cursor_next(&cursor);
    }
}
