/*
 * test_dict_codec.c: what the cold tier stores comes back, and what it cannot have stored is refused.
 */
#include "storage/dict.h"
#include "test_main.h"

static struct element text(const char *string)
{
    return element_of(slice_text(string));
}

static enum status decode(enum value_encoding encoding, const char *bytes, size_t size)
{
    struct dict *dict = NULL;
    const enum status status = dict_decode(encoding, slice_of(bytes, size), &dict);
    if (status == ST_OK)
        dict_check(dict);
    dict_destroy(dict);
    return status;
}

#define DECODE(encoding, literal) decode(VALUE_ENCODING_##encoding, (literal), sizeof(literal) - 1)

static bool same(const struct dict *a, const struct dict *b)
{
    struct tree_cursor cursor;
    struct element row[2];
    struct element value;
    if (dict_count(a) != dict_count(b) || dict_encoding(a) != dict_encoding(b))
        return false;
    tree_cursor_at(dict_fields(a), 0, &cursor);
    for (uint64_t i = 0; i < dict_count(a); i++) {
        tree_cursor_row(&cursor, row);
        if (!dict_get(b, &row[0], 0, &value) || !element_equal(&value, &row[1]) ||
            dict_expire_ms(a, &row[0]) != dict_expire_ms(b, &row[0]))
            return false;
        (void)tree_cursor_next(&cursor);
    }
    return true;
}

static void assert_comes_back(const struct dict *dict)
{
    struct buf bytes = {0};
    struct dict *back = NULL;
    dict_encode(dict, &bytes);
    ck_assert_int_eq(dict_decode(dict_encoding(dict), buf_slice(&bytes), &back), ST_OK);
    dict_check(back);
    ck_assert(same(dict, back));
    /* No part of it is a dict. */
    for (size_t size = 0; size < bytes.size && size < 200; size++)
        ck_assert_int_eq(decode(dict_encoding(dict), bytes.data, size), ST_CORRUPT);
    buf_append_byte(&bytes, 0);
    ck_assert_int_eq(decode(dict_encoding(dict), bytes.data, bytes.size), ST_CORRUPT);
    buf_deinit(&bytes);
    dict_destroy(back);
}

START_TEST(a_dict_comes_back)
{
    static const char *const texts[] = {"", "a", "0", "-1", "00", "-0", "9223372036854775807",
        "-9223372036854775808", "9223372036854775808", "a longer text of some words", "127", "128"};
    struct dict *dict = dict_create();
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        const struct element field = text(texts[i]);
        const struct element value = text(texts[COUNT_OF(texts) - 1 - i]);
        ck_assert(dict_set(dict, &field, &value, DICT_CLEAR_EXPIRY));
        assert_comes_back(dict);
        if (i % 3 == 2)
            dict_expire_set(dict, &field, i % 2 == 0 ? 1 : DICT_EXPIRE_MAX - i);
        assert_comes_back(dict);
    }
    dict_destroy(dict);
}
END_TEST

START_TEST(a_large_dict_comes_back)
{
    struct dict *dict = dict_create();
    struct buf value = {0};
    for (int64_t i = 0; i < 5000; i++) {
        const struct element field = element_of_integer(i * 7919);
        buf_append_format(&value, "%lld ", (long long)i);
        if (value.size > 3000)
            buf_clear(&value);
        const struct element content = element_of(buf_slice(&value));
        (void)dict_set(dict, &field, &content, DICT_CLEAR_EXPIRY);
        if (i % 2 == 0)
            dict_expire_set(dict, &field, (uint64_t)(1000000 - i * 13));
    }
    ck_assert_int_eq(dict_encoding(dict), VALUE_ENCODING_HASHTABLE);
    assert_comes_back(dict);
    buf_deinit(&value);
    dict_destroy(dict);
}
END_TEST

START_TEST(the_form_is_the_documented_one)
{
    struct dict *dict = dict_create();
    struct buf bytes = {0};
    const struct element field = text("ab");
    const struct element number = text("-2");
    (void)dict_set(dict, &field, &number, DICT_CLEAR_EXPIRY);
    (void)dict_set(dict, &number, &field, DICT_CLEAR_EXPIRY);
    dict_expire_set(dict, &number, 5);
    dict_expire_set(dict, &field, 7);
    dict_encode(dict, &bytes);
    ck_assert_slice_eq(
        buf_slice(&bytes), SLICE_LITERAL("\x02\x05\x0a\x61\x62\x01\x03\x02\x03\x03\x04\x61\x62\0"));
    buf_deinit(&bytes);
    dict_destroy(dict);
}
END_TEST

START_TEST(bytes_that_no_dict_gives_are_refused)
{
    ck_assert_int_eq(DECODE(LISTPACK, "\x01\0\x04\x61\x02\x62"), ST_OK);
    ck_assert_int_eq(DECODE(HASHTABLE, "\x01\0\x04\x61\x02\x62"), ST_OK);
    ck_assert_int_eq(DECODE(LISTPACK_EX, "\x01\0\x04\x61\x02\x62"), ST_OK);
    ck_assert_int_eq(DECODE(LISTPACK_EX, "\x01\x05\x06\x61\x02\x62\0"), ST_OK);
    /* encoding */
    ck_assert_int_eq(DECODE(RAW, "\x01\0\x04\x61\x02\x62"), ST_CORRUPT);
    ck_assert_int_eq(DECODE(LISTPACK, "\x01\x05\x06\x61\x02\x62\0"), ST_CORRUPT);
    /* counts */
    ck_assert_int_eq(DECODE(LISTPACK, ""), ST_CORRUPT);
    ck_assert_int_eq(DECODE(LISTPACK, "\0\0"), ST_CORRUPT);
    ck_assert_int_eq(DECODE(LISTPACK, "\x02\0\x04\x61\x02\x62"), ST_CORRUPT);
    ck_assert_int_eq(DECODE(LISTPACK, "\xff\xff\xff\xff\x0f\0\x04\x61\x02\x62"), ST_CORRUPT);
    /* a varint that is longer than it needs to be */
    ck_assert_int_eq(DECODE(LISTPACK, "\x81\0\0\x04\x61\x02\x62"), ST_CORRUPT);
    /* sizes beyond the end */
    ck_assert_int_eq(DECODE(LISTPACK, "\x01\0\x14\x61\x02\x62"), ST_CORRUPT);
    ck_assert_int_eq(
        DECODE(LISTPACK, "\x01\0\xfc\xff\xff\xff\xff\xff\xff\xff\xff\x01\x61"), ST_CORRUPT);
    /* an integer as text, and one with a size */
    ck_assert_int_eq(DECODE(LISTPACK, "\x01\0\x04\x37\x02\x62"), ST_CORRUPT);
    ck_assert_int_eq(DECODE(LISTPACK, "\x01\0\x04\x61\x02\x37"), ST_CORRUPT);
    ck_assert_int_eq(DECODE(LISTPACK, "\x01\0\x05\x02\x02\x62"), ST_CORRUPT);
    /* the same field twice */
    ck_assert_int_eq(DECODE(LISTPACK, "\x02\0\x04\x61\x02\x62\x04\x61\x02\x62"), ST_CORRUPT);
    /* expiries: without the soonest, later than possible, the soonest is none of them */
    ck_assert_int_eq(DECODE(LISTPACK_EX, "\x01\0\x06\x61\x02\x62\x01"), ST_CORRUPT);
    ck_assert_int_eq(
        DECODE(LISTPACK_EX, "\x01\x05\x06\x61\x02\x62\xff\xff\xff\xff\xff\xff\x0f"), ST_CORRUPT);
    ck_assert_int_eq(DECODE(LISTPACK_EX, "\x01\x05\x06\x61\x02\x62\x01"), ST_CORRUPT);
    ck_assert_int_eq(DECODE(LISTPACK_EX, "\x01\x05\x04\x61\x02\x62"), ST_CORRUPT);
    ck_assert_int_eq(
        DECODE(LISTPACK_EX, "\x01\xff\xff\xff\xff\xff\xff\x10\x06\x61\x02\x62\0"), ST_CORRUPT);
}
END_TEST

TEST_GROUP(dict_codec_group, a_dict_comes_back, a_large_dict_comes_back,
    the_form_is_the_documented_one, bytes_that_no_dict_gives_are_refused)
