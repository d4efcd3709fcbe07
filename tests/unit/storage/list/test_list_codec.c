/*
 * The codec: what was written is read; nothing else is accepted.
 */
#include "list_internal.h"
#include "list_support.h"

static enum status decode(const char *bytes, size_t size, struct list **list)
{
    struct value_object *object = NULL;
    const enum status status =
        list_decode(VALUE_ENCODING_QUICKLIST, slice_of(bytes, size), &object);
    if (status == ST_OK) {
        const struct value value = {
            .type = VALUE_LIST, .encoding = VALUE_ENCODING_QUICKLIST, .object = object};
        *list = list_of(&value);
    }
    return status;
}

#define ck_assert_corrupt(literal)                                                      \
    do {                                                                                \
        struct list *unused_ = NULL;                                                    \
        ck_assert_int_eq(decode((literal), sizeof(literal) - 1, &unused_), ST_CORRUPT); \
    } while (0)

START_TEST(the_format_is_fixed)
{
    static const char *const words[] = {"ab", "-1", "", "300"};
    struct list *list = list_of_words(words, COUNT_OF(words));
    struct buf out = {0};
    list_encode(&list->object, &out);
    ck_assert_slice_eq(buf_slice(&out), SLICE_LITERAL("\x04\x03"
                                                      "ab\x00\x01\x01\x00\xd8\x04"));
    struct list *copy = NULL;
    ck_assert_int_eq(decode(out.data, out.size, &copy), ST_OK);
    check_words(copy, words, COUNT_OF(words));
    list_destroy(copy);
    buf_deinit(&out);
    list_destroy(list);
}
END_TEST

START_TEST(extreme_numbers_and_large_texts_survive)
{
    struct list *list = list_create();
    struct buf large = {0};
    for (int i = 0; i < 100000; i++)
        buf_append_byte(&large, (char)i);
    static const char *const words[] = {"9223372036854775807", "-9223372036854775808", "0"};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        const struct element element = text_element(words[i]);
        list_push(list, LIST_TAIL, &element);
    }
    const struct element element = element_of(buf_slice(&large));
    list_push(list, LIST_TAIL, &element);
    struct buf out = {0};
    list_encode(&list->object, &out);
    struct list *copy = NULL;
    ck_assert_int_eq(decode(out.data, out.size, &copy), ST_OK);
    list_check(copy);
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        const struct element found = list_at(copy, i);
        ck_assert_slice_eq(element_bytes(&found), slice_text(words[i]));
    }
    const struct element found = list_at(copy, 3);
    ck_assert_slice_eq(found.bytes, buf_slice(&large));
    list_destroy(copy);
    buf_deinit(&out);
    buf_deinit(&large);
    list_destroy(list);
}
END_TEST

START_TEST(damage_is_refused)
{
    ck_assert_corrupt("");
    ck_assert_corrupt("\x00");                          /* no elements */
    ck_assert_corrupt("\x01");                          /* none where one is announced */
    ck_assert_corrupt("\x02\x02x");                     /* one of two */
    ck_assert_corrupt("\x01\x02x!");                    /* something behind */
    ck_assert_corrupt("\x01\x03x");                     /* half a text */
    ck_assert_corrupt("\x01\x02\x37");                  /* "7", not as a number */
    ck_assert_corrupt("\x01\x00");                      /* a number that is not there */
    ck_assert_corrupt("\x81\x00\x02x");                 /* a count in two bytes */
    ck_assert_corrupt("\x01\x82\x00x");                 /* a size in two bytes */
    ck_assert_corrupt("\x01\x00\x82\x00");              /* a number in two bytes */
    ck_assert_corrupt("\xff\xff\xff\xff\xff\xff\x01x"); /* more elements than bytes */
    ck_assert_corrupt("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x"); /* a size of 2^64 - 2 */
    ck_assert_corrupt("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7fx"); /* beyond 64 bits */
}
END_TEST

START_TEST(another_encoding_is_refused)
{
    struct value_object *object = NULL;
    for (unsigned encoding = 0; encoding < VALUE_ENCODING_COUNT; encoding++) {
        if (encoding != VALUE_ENCODING_QUICKLIST)
            ck_assert_int_eq(
                list_decode((enum value_encoding)encoding, SLICE_LITERAL("\x01\x02x"), &object),
                ST_CORRUPT);
    }
}
END_TEST

START_TEST(every_truncation_is_refused)
{
    static const char *const words[] = {"one", "22", "three", "-444444", ""};
    struct list *list = list_of_words(words, COUNT_OF(words));
    struct buf out = {0};
    list_encode(&list->object, &out);
    for (size_t size = 0; size < out.size; size++) {
        struct list *unused = NULL;
        ck_assert_int_eq(decode(out.data, size, &unused), ST_CORRUPT);
    }
    buf_deinit(&out);
    list_destroy(list);
}
END_TEST

TEST_GROUP(codec_group, the_format_is_fixed, extreme_numbers_and_large_texts_survive,
    damage_is_refused, another_encoding_is_refused, every_truncation_is_refused)
