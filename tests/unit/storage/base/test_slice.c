/*
 * test_slice.c: comparing borrowed bytes.
 */
#include "base/slice.h"
#include "test_main.h"

START_TEST(empty_slices_are_equal_with_and_without_address)
{
    ck_assert(slice_equal(slice_of(NULL, 0), slice_of("x", 0)));
    ck_assert_int_eq(slice_compare(slice_of(NULL, 0), slice_of("x", 0)), 0);
    ck_assert(slice_equal_nocase(slice_of(NULL, 0), ""));
}
END_TEST

START_TEST(slices_compare_as_bytes_and_shorter_first)
{
    ck_assert_int_lt(slice_compare(slice_text("a"), slice_text("b")), 0);
    ck_assert_int_gt(slice_compare(slice_text("b"), slice_text("aaa")), 0);
    ck_assert_int_lt(slice_compare(slice_text("a"), slice_text("aa")), 0);
    ck_assert_int_gt(slice_compare(slice_text("\xff"), slice_text("a")), 0);
    ck_assert_int_eq(slice_compare(slice_of("a\0b", 3), slice_of("a\0b", 3)), 0);
    ck_assert_int_lt(slice_compare(slice_of("a\0a", 3), slice_of("a\0b", 3)), 0);
}
END_TEST

START_TEST(nocase_takes_ascii_letters_alone)
{
    ck_assert(slice_equal_nocase(slice_text("GeT"), "get"));
    ck_assert(slice_equal_nocase(slice_text("max-Memory"), "MAX-memory"));
    ck_assert(!slice_equal_nocase(slice_text("get"), "ge"));
    ck_assert(!slice_equal_nocase(slice_text("ge"), "get"));
    ck_assert(!slice_equal_nocase(slice_text("["), "{")); /* differ by the same bit as A and a */
    ck_assert(!slice_equal_nocase(slice_text("\xc4"), "\xe4"));
    ck_assert(!slice_equal_nocase(slice_of("a\0", 2), "a"));
}
END_TEST

TEST_GROUP(slice_group, empty_slices_are_equal_with_and_without_address,
    slices_compare_as_bytes_and_shorter_first, nocase_takes_ascii_letters_alone)
