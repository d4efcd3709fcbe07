/*
 * test_zset.c: scores, order, ranks, encodings, snapshots.
 */
#include "test_main.h"
#include "zset_internal.h"

#include <math.h>
#include <stdio.h>

void zset_codec_group(TCase *tests);
void zset_model_group(TCase *tests);

static struct element text_element(const char *text)
{
    return element_of(slice_text(text));
}

static void put(struct zset *zset, const char *text, double score)
{
    const struct element member = text_element(text);
    zset_put(zset, &member, score);
}

/* As many members as this, "m0", "m1" ..., the number being the score. */
static struct zset *filled(unsigned count)
{
    struct zset *zset = zset_create();
    for (unsigned i = 0; i < count; i++) {
        char text[24];
        (void)snprintf(text, sizeof(text), "m%u", i);
        put(zset, text, i);
    }
    return zset;
}

static void limits(int64_t entries, int64_t value)
{
    atomic_store_explicit(&value_limits.zset_max_listpack_entries, entries, memory_order_relaxed);
    atomic_store_explicit(&value_limits.zset_max_listpack_value, value, memory_order_relaxed);
}

START_TEST(prefixes_are_in_the_order_of_scores)
{
    static const double scores[] = {-HUGE_VAL, -1e308, -1.5, -1, -5e-324, 0, 5e-324, 0.1, 1, 2,
        9007199254740993.0, 1e308, HUGE_VAL};
    for (size_t i = 0; i + 1 < COUNT_OF(scores); i++)
        ck_assert_uint_lt(zset_prefix(scores[i]), zset_prefix(scores[i + 1]));
    ck_assert_uint_eq(zset_prefix(-0.0), zset_prefix(0.0));
}
END_TEST

START_TEST(every_score_is_stored_exactly)
{
    static const double scores[] = {0, -0.0, 1, -1, 0.1, 1e15, 9007199254740992.0,
        -9007199254740992.0, 9007199254740994.0, 1e300, -1e-300, 5e-324, HUGE_VAL, -HUGE_VAL};
    for (size_t i = 0; i < COUNT_OF(scores); i++) {
        char bytes[8];
        const struct element element = zset_score_element(scores[i], bytes);
        const double back = zset_score_of(&element);
        ck_assert(memcmp(&back, &scores[i], sizeof(back)) == 0);
    }
}
END_TEST

START_TEST(members_of_one_score_are_in_order_of_their_bytes)
{
    struct zset *zset = zset_create();
    static const char *const members[] = {"", "-1", "10", "2", "a", "aa", "b"};
    static const unsigned order[] = {3, 0, 6, 1, 5, 2, 4};
    for (size_t i = 0; i < COUNT_OF(order); i++)
        put(zset, members[order[i]], 1);
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        uint64_t rank;
        double score;
        const struct element member = text_element(members[i]);
        ck_assert(zset_rank(zset, &member, &rank, &score));
        ck_assert_uint_eq(rank, i);
        ck_assert_uint_eq(zset_rank_of_member(zset, &member, false), i);
        ck_assert_uint_eq(zset_rank_of_member(zset, &member, true), i + 1);
    }
    zset_check(zset);
    zset_destroy(zset);
}
END_TEST

START_TEST(ranks_of_scores_tell_where_a_range_begins_and_ends)
{
    struct zset *zset = zset_create();
    ck_assert_uint_eq(zset_rank_of_score(zset, 0, true), 0);
    put(zset, "a", -HUGE_VAL);
    put(zset, "b", 1);
    put(zset, "c", 1);
    put(zset, "d", 2.5);
    put(zset, "e", HUGE_VAL);
    ck_assert_uint_eq(zset_rank_of_score(zset, -HUGE_VAL, false), 0);
    ck_assert_uint_eq(zset_rank_of_score(zset, -HUGE_VAL, true), 1);
    ck_assert_uint_eq(zset_rank_of_score(zset, 1, false), 1);
    ck_assert_uint_eq(zset_rank_of_score(zset, 1, true), 3);
    ck_assert_uint_eq(zset_rank_of_score(zset, 2, true), 3);
    ck_assert_uint_eq(zset_rank_of_score(zset, HUGE_VAL, false), 4);
    ck_assert_uint_eq(zset_rank_of_score(zset, HUGE_VAL, true), 5);
    zset_destroy(zset);
}
END_TEST

START_TEST(ranks_of_members_of_mixed_scores_stay_within_the_set)
{
    struct zset *zset = zset_create();
    const struct element probe = text_element("b");
    ck_assert_uint_eq(zset_rank_of_member(zset, &probe, true), 0);
    put(zset, "z", 1);
    put(zset, "a", 2);
    put(zset, "c", 3);
    ck_assert_uint_le(zset_rank_of_member(zset, &probe, false), 3);
    ck_assert_uint_le(zset_rank_of_member(zset, &probe, true), 3);
    zset_destroy(zset);
}
END_TEST

START_TEST(a_large_set_has_an_index_and_keeps_it)
{
    struct zset *zset = filled((unsigned)ZSET_INDEX_MIN);
    ck_assert_ptr_null(zset_index(zset));
    put(zset, "one more", 0.5);
    ck_assert_ptr_nonnull(zset_index(zset));
    zset_check(zset);
    zset_remove_range(zset, 1, ZSET_INDEX_MIN);
    ck_assert_uint_eq(zset_count(zset), 1);
    ck_assert_ptr_nonnull(zset_index(zset));
    zset_check(zset);
    zset_destroy(zset);
}
END_TEST

START_TEST(the_encoding_follows_the_limits_for_good)
{
    limits(3, 5);
    struct zset *zset = filled(3);
    ck_assert_int_eq(zset_encoding(zset), VALUE_ENCODING_LISTPACK);
    put(zset, "m1", 9);
    ck_assert_int_eq(zset_encoding(zset), VALUE_ENCODING_LISTPACK);
    put(zset, "m3", 9);
    ck_assert_int_eq(zset_encoding(zset), VALUE_ENCODING_SKIPLIST);
    zset_remove_range(zset, 0, 3);
    ck_assert_int_eq(zset_encoding(zset), VALUE_ENCODING_SKIPLIST);
    ck_assert_int_eq(zset_value(zset).encoding, VALUE_ENCODING_SKIPLIST);
    zset_destroy(zset);
    zset = filled(1);
    put(zset, "12345", 1);
    ck_assert_int_eq(zset_encoding(zset), VALUE_ENCODING_LISTPACK);
    put(zset, "123456", 1);
    ck_assert_int_eq(zset_encoding(zset), VALUE_ENCODING_SKIPLIST);
    zset_destroy(zset);
}
END_TEST

START_TEST(minus_zero_is_kept_by_large_encodings_alone)
{
    limits(1, 64);
    struct zset *zset = zset_create();
    const struct element a = text_element("a");
    const struct element b = text_element("b");
    double score;
    zset_put(zset, &a, -0.0);
    zset_put(zset, &b, -0.0);
    ck_assert(zset_score(zset, &a, &score));
    ck_assert(!signbit(score));
    ck_assert(zset_score(zset, &b, &score));
    ck_assert(signbit(score));
    zset_check(zset);
    zset_destroy(zset);
}
END_TEST

static void check_snapshot(unsigned count)
{
    struct zset *zset = filled(count);
    const struct value value = zset_value(zset);
    ck_assert_ptr_eq(zset_of(&value), zset);
    struct value_object *snapshot = value.object->class->snapshot(value.object);
    const size_t size = value.object->class->size_bytes(value.object);
    put(zset, "m0", 1e9);
    put(zset, "new", 3);
    ck_assert_uint_eq(snapshot->class->element_count(snapshot), count);
    ck_assert_uint_eq(snapshot->class->size_bytes(snapshot), size);
    ck_assert_uint_ge(snapshot->class->effort(snapshot), 1);
    const struct value copy = {.type = VALUE_ZSET, .object = snapshot};
    const struct element member = text_element("m0");
    double score;
    ck_assert(zset_score(zset_of(&copy), &member, &score));
    ck_assert_double_eq(score, 0);
    zset_check(zset);
    zset_check(zset_of(&copy));
    zset_destroy(zset);
    zset_check(zset_of(&copy));
    snapshot->class->destroy(snapshot);
}

START_TEST(a_snapshot_does_not_see_later_changes)
{
    check_snapshot(3);
    check_snapshot(1000);
}
END_TEST

START_TEST(what_is_not_there_is_not_found)
{
    struct zset *zset = filled(100);
    const struct element member = text_element("other");
    double score;
    uint64_t rank;
    ck_assert(!zset_score(zset, &member, &score));
    ck_assert(!zset_rank(zset, &member, &rank, &score));
    zset_destroy(zset);
    zset_destroy(NULL);
}
END_TEST

START_TEST(the_class_is_registered_by_setup)
{
    zset_setup();
    ck_assert_ptr_eq(value_class_of(VALUE_ZSET), &zset_class);
}
END_TEST

TEST_GROUP(zset_group, prefixes_are_in_the_order_of_scores, every_score_is_stored_exactly,
    members_of_one_score_are_in_order_of_their_bytes,
    ranks_of_scores_tell_where_a_range_begins_and_ends,
    ranks_of_members_of_mixed_scores_stay_within_the_set, a_large_set_has_an_index_and_keeps_it,
    the_encoding_follows_the_limits_for_good, minus_zero_is_kept_by_large_encodings_alone,
    a_snapshot_does_not_see_later_changes, what_is_not_there_is_not_found,
    the_class_is_registered_by_setup)

TEST_MAIN_GROUPS("zset", zset_group, zset_codec_group, zset_model_group)
