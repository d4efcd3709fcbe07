/*
 * test_zset_codec.c: what is stored comes back; what cannot have been stored is refused.
 */
#include "test_main.h"
#include "zset_internal.h"

#include <math.h>
#include <stdio.h>

void zset_codec_group(TCase *tests);

static void check_same(const struct zset *a, const struct zset *b)
{
    ck_assert_uint_eq(zset_count(a), zset_count(b));
    ck_assert_int_eq(zset_encoding(a), zset_encoding(b));
    struct tree_cursor at_a;
    struct tree_cursor at_b;
    tree_cursor_at(zset_sorted(a), 0, &at_a);
    tree_cursor_at(zset_sorted(b), 0, &at_b);
    for (uint64_t i = 0; i < zset_count(a); i++) {
        struct element row_a[2];
        struct element row_b[2];
        tree_cursor_row(&at_a, row_a);
        tree_cursor_row(&at_b, row_b);
        const double score_a = zset_score_of(&row_a[0]);
        const double score_b = zset_score_of(&row_b[0]);
        ck_assert(memcmp(&score_a, &score_b, sizeof(score_a)) == 0);
        ck_assert(element_equal(&row_a[1], &row_b[1]));
        (void)tree_cursor_next(&at_a);
        (void)tree_cursor_next(&at_b);
    }
}

static void check_round_trip(const struct zset *zset)
{
    struct buf out = {0};
    zset_encode(&zset->object, &out);
    struct value_object *object = NULL;
    ck_assert_int_eq(zset_decode(zset_encoding(zset), buf_slice(&out), &object), ST_OK);
    const struct value value = {.type = VALUE_ZSET, .object = object};
    struct zset *back = zset_of(&value);
    zset_check(back);
    check_same(zset, back);
    zset_destroy(back);
    /* Every part of it is needed. */
    for (size_t size = 0; size < out.size && out.size < 2000; size++)
        ck_assert_int_eq(
            zset_decode(zset_encoding(zset), slice_of(out.data, size), &object), ST_CORRUPT);
    buf_append_byte(&out, 0);
    ck_assert_int_eq(zset_decode(zset_encoding(zset), buf_slice(&out), &object), ST_CORRUPT);
    buf_deinit(&out);
}

START_TEST(sets_of_all_sizes_survive_the_round_trip)
{
    static const unsigned counts[] = {1, 2, 64, 65, 66, 1000, 20000};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        struct zset *zset = zset_create();
        for (unsigned k = 0; k < counts[i]; k++) {
            char text[40];
            (void)snprintf(text, sizeof(text), k % 3 == 0 ? "%u" : "member %u", k);
            const struct element member = element_of(slice_text(text));
            zset_put(zset, &member, k % 5 == 0 ? k * 0.1 : (double)k - 7);
        }
        check_round_trip(zset);
        zset_destroy(zset);
    }
}
END_TEST

START_TEST(odd_scores_and_members_survive_the_round_trip)
{
    static const double scores[] = {
        -HUGE_VAL, HUGE_VAL, 5e-324, 9007199254740994.0, -9007199254740992.0, -0.0, 0.1};
    char large[5000];
    memset(large, 'x', sizeof(large));
    struct zset *zset = zset_create();
    const struct element longest = element_of(slice_of(large, sizeof(large)));
    const struct element empty = element_of(slice_of("", 0));
    zset_put(zset, &longest, 3);
    zset_put(zset, &empty, 3);
    for (size_t i = 0; i < COUNT_OF(scores); i++) {
        const char bytes[2] = {'\0', (char)i};
        const struct element member = element_of(slice_of(bytes, 2));
        zset_put(zset, &member, scores[i]);
    }
    check_round_trip(zset);
    zset_destroy(zset);
}
END_TEST

static enum status decode(enum value_encoding encoding, const char *bytes, size_t size)
{
    struct value_object *object = NULL;
    const enum status status = zset_decode(encoding, slice_of(bytes, size), &object);
    if (status == ST_OK)
        object->class->destroy(object);
    return status;
}
#define DECODE(bytes) decode(VALUE_ENCODING_LISTPACK, (bytes), sizeof(bytes) - 1)

START_TEST(what_the_encoder_cannot_have_written_is_corrupt)
{
    ck_assert_int_eq(DECODE("\1\4\1a"), ST_OK);
    ck_assert_int_eq(decode(VALUE_ENCODING_SKIPLIST, "\1\4\1a", 4), ST_OK);
    ck_assert_int_eq(decode(VALUE_ENCODING_HASHTABLE, "\1\4\1a", 4), ST_CORRUPT);
    ck_assert_int_eq(DECODE(""), ST_CORRUPT);
    ck_assert_int_eq(DECODE("\0"), ST_CORRUPT);
    ck_assert_int_eq(DECODE("\2\4\1a"), ST_CORRUPT);
    /* Twice; out of order by member, by score. */
    ck_assert_int_eq(DECODE("\2\4\1a\4\1b"), ST_OK);
    ck_assert_int_eq(DECODE("\2\4\1a\4\1a"), ST_CORRUPT);
    ck_assert_int_eq(DECODE("\2\4\1b\4\1a"), ST_CORRUPT);
    ck_assert_int_eq(DECODE("\2\4\1a\0\1b"), ST_CORRUPT);
    /* The same member with another score. */
    ck_assert_int_eq(DECODE("\2\4\1a\10\1a"), ST_CORRUPT);
    /* A size beyond the end; a number that announces the world. */
    ck_assert_int_eq(DECODE("\1\4\7a"), ST_CORRUPT);
    ck_assert_int_eq(DECODE("\1\4\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), ST_CORRUPT);
    ck_assert_int_eq(DECODE("\xff\xff\xff\xff\xff\xff\xff\xff\x7f\4\1a"), ST_CORRUPT);
    /* NaN, an integer as a double, a double announced with another odd number, an integer beyond 2^53. */
    ck_assert_int_eq(DECODE("\1\1\0\0\0\0\0\0\xf8\x7f\1a"), ST_CORRUPT);
    ck_assert_int_eq(DECODE("\1\1\0\0\0\0\0\0\xf0\x3f\1a"), ST_CORRUPT);
    ck_assert_int_eq(DECODE("\1\3\0\0\0\0\0\0\xe0\x3f\1a"), ST_CORRUPT);
    ck_assert_int_eq(DECODE("\1\1\0\0\0\0\0\0\xe0\x3f\1a"), ST_OK);
    ck_assert_int_eq(DECODE("\1\xfe\xff\xff\xff\xff\xff\xff\xff\x7f\1a"), ST_CORRUPT);
    /* -0 belongs to large encodings. */
    ck_assert_int_eq(DECODE("\1\1\0\0\0\0\0\0\0\x80\1a"), ST_CORRUPT);
    ck_assert_int_eq(decode(VALUE_ENCODING_SKIPLIST, "\1\1\0\0\0\0\0\0\0\x80\1a", 12), ST_OK);
}
END_TEST

START_TEST(a_member_twice_is_found_in_sets_of_any_size)
{
    static const unsigned counts[] = {2, 30, 64, 65, 66, 200};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        const unsigned count = counts[i];
        for (unsigned twice = 0; twice + 1 < count; twice += 1 + count / 9) {
            struct buf out = {0};
            buf_append_varint(&out, count);
            for (unsigned k = 0; k < count; k++) {
                char text[24];
                const unsigned number = k + 1 == count ? twice : k;
                const int size = snprintf(text, sizeof(text), "m%u", number);
                buf_append_varint(&out, (uint64_t)k << 2);
                buf_append_varint(&out, (uint64_t)size);
                buf_append(&out, text, (size_t)size);
            }
            ck_assert_int_eq(decode(VALUE_ENCODING_SKIPLIST, out.data, out.size), ST_CORRUPT);
            buf_deinit(&out);
        }
    }
}
END_TEST

TEST_GROUP(zset_codec_group, sets_of_all_sizes_survive_the_round_trip,
    odd_scores_and_members_survive_the_round_trip, what_the_encoder_cannot_have_written_is_corrupt,
    a_member_twice_is_found_in_sets_of_any_size)
