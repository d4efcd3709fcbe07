/*
 * test_element.c: texts that are numbers, and their order.
 */
#include "test_main.h"
#include "tree_model.h"

static struct element of_text(const char *text)
{
    return element_of(slice_text(text));
}

START_TEST(canonical_decimals_are_integers_and_nothing_else_is)
{
    static const char *const integers[] = {
        "0", "-1", "7", "9223372036854775807", "-9223372036854775808"};
    static const char *const texts[] = {"", "-", "-0", "00", "01", "+1", " 1", "1 ", "1.0", "a",
        "9223372036854775808", "-9223372036854775809", "123456789012345678901", "\x80\x81"};
    for (size_t index = 0; index < COUNT_OF(integers); index++) {
        const struct element element = of_text(integers[index]);
        char scratch[ELEMENT_TEXT_MAX];
        ck_assert(element.is_integer);
        ck_assert_text_eq(element_text(&element, scratch), integers[index]);
        ck_assert_uint_eq(element_text_size(&element), strlen(integers[index]));
    }
    for (size_t index = 0; index < COUNT_OF(texts); index++) {
        const struct element element = of_text(texts[index]);
        char scratch[ELEMENT_TEXT_MAX];
        ck_assert(!element.is_integer);
        ck_assert_text_eq(element_text(&element, scratch), texts[index]);
        ck_assert_uint_eq(element_text_size(&element), strlen(texts[index]));
    }
}
END_TEST

START_TEST(elements_compare_as_their_texts_do)
{
    static const char *const ascending[] = {
        "", "-1", "-10", "-9", "0", "1", "10", "2", "9", "a", "aa", "b", "\xff"};
    for (size_t left = 0; left < COUNT_OF(ascending); left++) {
        for (size_t right = 0; right < COUNT_OF(ascending); right++) {
            const struct element a = of_text(ascending[left]);
            const struct element b = of_text(ascending[right]);
            const int order = element_compare(&a, &b);
            ck_assert_int_eq((order > 0) - (order < 0), (left > right) - (left < right));
            ck_assert_int_eq(element_equal(&a, &b), left == right);
            ck_assert_int_eq(element_hash(&a) == element_hash(&b), left == right);
        }
    }
}
END_TEST

START_TEST(bytes_are_not_taken_for_numbers_when_told_so)
{
    const struct element bytes = element_of_bytes(slice_text("12"));
    const struct element number = element_of_integer(12);
    ck_assert(!bytes.is_integer);
    ck_assert(!element_equal(&bytes, &number));
    struct tree tree;
    tree_init(&tree, &class_list);
    tree_append(&tree, &bytes);
    tree_append(&tree, &number);
    struct tree_cursor cursor;
    tree_cursor_at(&tree, 0, &cursor);
    struct element stored = tree_cursor_element(&cursor, 0);
    ck_assert(!stored.is_integer);
    ck_assert_text_eq(stored.bytes, "12");
    ck_assert(tree_cursor_next(&cursor));
    stored = tree_cursor_element(&cursor, 0);
    ck_assert(stored.is_integer);
    tree_deinit(&tree);
}
END_TEST

START_TEST(integers_of_every_size_come_back)
{
    struct tree tree;
    tree_init(&tree, &class_list);
    for (unsigned bit = 0; bit < 64; bit++) {
        for (int64_t near = -2; near <= 2; near++) {
            const int64_t base = (int64_t)(UINT64_C(1) << bit);
            const struct element plus =
                element_of_integer((int64_t)((uint64_t)base + (uint64_t)near));
            const struct element minus =
                element_of_integer((int64_t)(0 - (uint64_t)base + (uint64_t)near));
            struct tree_cursor cursor;
            tree_append(&tree, &plus);
            tree_append(&tree, &minus);
            tree_cursor_at(&tree, tree.count - 2, &cursor);
            ck_assert(tree_cursor_element(&cursor, 0).integer == plus.integer);
            ck_assert(tree_cursor_next(&cursor));
            ck_assert(tree_cursor_element(&cursor, 0).integer == minus.integer);
        }
    }
    tree_check(&tree);
    tree_deinit(&tree);
}
END_TEST

TEST_GROUP(element_group, canonical_decimals_are_integers_and_nothing_else_is,
    elements_compare_as_their_texts_do, bytes_are_not_taken_for_numbers_when_told_so,
    integers_of_every_size_come_back)
