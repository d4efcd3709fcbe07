/* Sets as bytes: round trips, the format byte by byte, and what must be refused. */
#include "base/mem.h"
#include "set_support.h"
#include "test_main.h"

#include <stdio.h>

static void expect_round_trip(const struct set *set)
{
    struct buf bytes = {0};
    set_encode(set, &bytes);
    struct set *decoded = NULL;
    ck_assert_int_eq(set_decode(set_encoding(set), buf_slice(&bytes), &decoded), ST_OK);
    set_check(decoded);
    ck_assert_int_eq(set_encoding(decoded), set_encoding(set));
    ck_assert_uint_eq(set_count(decoded), set_count(set));
    struct tree_cursor cursor;
    for (tree_cursor_at(set_members(set), 0, &cursor); !tree_cursor_is_end(&cursor);
         (void)tree_cursor_next(&cursor)) {
        const struct element member = tree_cursor_element(&cursor, 0);
        ck_assert(set_contains(decoded, &member));
    }
    /* Every shorter one is damaged. */
    for (size_t size = 0; size < bytes.size && bytes.size < 1000; size++) {
        struct set *shorter = NULL;
        ck_assert_int_eq(
            set_decode(set_encoding(set), slice_of(bytes.data, size), &shorter), ST_CORRUPT);
    }
    set_destroy(decoded);
    buf_deinit(&bytes);
}

START_TEST(round_trips)
{
    set_support_setup();
    struct set *set =
        set_of_words(WORDS("-9223372036854775808", "9223372036854775807", "0", "-1", "1"));
    expect_round_trip(set);
    ck_assert(set_add_word(set, "x"));
    expect_round_trip(set);
    ck_assert(set_add_word(set, ""));
    ck_assert(set_add_word(set, "127"));
    ck_assert(set_add_word(set, "128"));
    ck_assert(set_add_word(set, "-128"));
    ck_assert(set_add_word(set, "-129"));
    ck_assert(set_add_word(set, "0042"));
    char *const text = mem_alloc_zero(3000);
    memset(text, 'y', 2999);
    ck_assert(set_add_word(set, text));
    ck_assert_int_eq(set_encoding(set), VALUE_ENCODING_HASHTABLE);
    expect_round_trip(set);
    for (int i = 0; i < 5000; i++) {
        char word[32];
        snprintf(word, sizeof(word), "%s%d", i % 3 == 0 ? "" : "member:", i * 7919);
        (void)set_add_word(set, word);
    }
    expect_round_trip(set);
    mem_free(text);
    set_destroy(set);
}
END_TEST

static void expect_bytes(const struct set *set, const char *expected, size_t size)
{
    struct buf bytes = {0};
    set_encode(set, &bytes);
    ck_assert_uint_eq(bytes.size, size);
    ck_assert_mem_eq(bytes.data, expected, size);
    buf_deinit(&bytes);
}

START_TEST(the_format_is_as_described)
{
    set_support_setup();
    struct set *set = set_of_words(WORDS("-2", "300", "-1"));
    expect_bytes(set, "\x03\x03\x01\xad\x02", 5);
    set_destroy(set);
    set = set_of_words(WORDS("ab", "-2", "300"));
    expect_bytes(set,
        "\x03\x04"
        "ab\x03\xfe\x05\x2c\x01",
        9);
    set_destroy(set);
}
END_TEST

START_TEST(damage_is_refused)
{
    set_support_setup();
    const struct {
        enum value_encoding encoding;
        struct slice bytes;
    } cases[] = {
        {VALUE_ENCODING_INTSET, SLICE_LITERAL("")},
        {VALUE_ENCODING_INTSET, SLICE_LITERAL("\0")},
        {VALUE_ENCODING_INTSET, SLICE_LITERAL("\x81\0\x02")},   /* a long varint */
        {VALUE_ENCODING_INTSET, SLICE_LITERAL("\x02\x02")},     /* one is missing */
        {VALUE_ENCODING_INTSET, SLICE_LITERAL("\x02\x02\0")},   /* the same twice */
        {VALUE_ENCODING_INTSET, SLICE_LITERAL("\x01\x02\x01")}, /* more than announced */
        {VALUE_ENCODING_INTSET, SLICE_LITERAL("\xff\xff\xff\xff\x0f\x02")},
        {VALUE_ENCODING_INTSET, /* beyond int64 */
            SLICE_LITERAL("\x02\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01")},
        {VALUE_ENCODING_LISTPACK, SLICE_LITERAL("\0")},
        {VALUE_ENCODING_LISTPACK, SLICE_LITERAL("\x01\x02")}, /* the text is missing */
        {VALUE_ENCODING_LISTPACK, SLICE_LITERAL("\x01\x02"
                                                "7")},        /* an integer as a text */
        {VALUE_ENCODING_LISTPACK, SLICE_LITERAL("\x01\x01")}, /* width 0 */
        {VALUE_ENCODING_LISTPACK, SLICE_LITERAL("\x01\x13"
                                                "123456789")},        /* width 9 */
        {VALUE_ENCODING_LISTPACK, SLICE_LITERAL("\x01\x05\x01\x00")}, /* wider than needed */
        {VALUE_ENCODING_LISTPACK, SLICE_LITERAL("\x01\x05\xff\xff")}, /* the same, negative */
        {VALUE_ENCODING_LISTPACK, SLICE_LITERAL("\x02\x02"
                                                "a\x02"
                                                "a")}, /* the same twice */
        {VALUE_ENCODING_LISTPACK, SLICE_LITERAL("\x01\x02"
                                                "ab")}, /* more than announced */
        {VALUE_ENCODING_HASHTABLE, SLICE_LITERAL("\x01\xfe\xff\xff\xff\x7f"
                                                 "a")},
        {VALUE_ENCODING_HASHTABLE, SLICE_LITERAL("\x01\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                                                 "a")},
        {VALUE_ENCODING_QUICKLIST, SLICE_LITERAL("\x01\x02"
                                                 "a")},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct set *set = NULL;
        ck_assert_msg(set_decode(cases[i].encoding, cases[i].bytes, &set) == ST_CORRUPT,
            "case %zu is taken", i);
    }
    struct value value;
    ck_assert_int_eq(value_decode(VALUE_SET, VALUE_ENCODING_LISTPACK,
                         SLICE_LITERAL("\x01\x02"
                                       "a"),
                         &value),
        ST_OK);
    ck_assert_uint_eq(set_count(set_of(&value)), 1);
    struct buf bytes = {0};
    value_encode(&value, &bytes);
    ck_assert_uint_eq(bytes.size, 3);
    buf_deinit(&bytes);
    value_release(&value);
    ck_assert_int_eq(
        value_decode(VALUE_SET, VALUE_ENCODING_LISTPACK, SLICE_LITERAL("\x01"), &value),
        ST_CORRUPT);
}
END_TEST

TEST_GROUP(set_codec_group, round_trips, the_format_is_as_described, damage_is_refused)
