/*
 * Floats as INCRBYFLOAT reads and writes them.
 */
#include "commands_internal.h"
#include "test_main.h"

#include <math.h>

static bool reads(const char *text)
{
    long double value;
    return string_to_float(slice_text(text), &value);
}

START_TEST(floats_are_written_without_trailing_zeros)
{
    const struct {
        long double value;
        const char *text;
    } cases[] = {
        {0.0L, "0"},
        {-0.0L, "0"},
        {3.0L, "3"},
        {10.5L + 0.1L, "10.6"},
        {-1.25L, "-1.25"},
        {3000000.5L, "3000000.5"},
        {1e20L, "100000000000000000000"},
        {1e-20L, "0"},
        {-1e-20L, "0"},
        {0.1L, "0.1"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char out[STRING_FLOAT_TEXT_SIZE];
        const struct slice text = slice_of(out, string_from_float(cases[i].value, out));
        ck_assert_text_eq(text, cases[i].text);
    }
}
END_TEST

START_TEST(the_largest_float_fits)
{
    char out[STRING_FLOAT_TEXT_SIZE];
    const size_t size = string_from_float(-1.18e4932L, out);
    ck_assert_uint_gt(size, 4900);
    ck_assert_uint_lt(size, sizeof(out));
    long double value = 0;
    ck_assert(string_to_float(slice_of(out, size), &value));
    ck_assert(value < -1e4930L);
}
END_TEST

START_TEST(texts_are_read_whole_or_not_at_all)
{
    ck_assert(reads("1"));
    ck_assert(reads("-1.5e3"));
    ck_assert(reads("+1"));
    ck_assert(reads("0x10"));
    ck_assert(reads("inf"));
    ck_assert(!reads(""));
    ck_assert(!reads(" 1"));
    ck_assert(!reads("1 "));
    ck_assert(!reads("1x"));
    ck_assert(!reads("abc"));
    ck_assert(!reads("nan"));
    ck_assert(!reads("1e99999"));
    ck_assert(!reads("1e-99999"));
    long double value;
    ck_assert(!string_to_float(slice_of("1\0", 2), &value));
}
END_TEST

START_TEST(texts_beyond_the_buffer_are_refused)
{
    static char text[STRING_FLOAT_TEXT_SIZE + 1];
    memset(text, '1', sizeof(text));
    long double value;
    ck_assert(!string_to_float(slice_of(text, STRING_FLOAT_TEXT_SIZE), &value));
    ck_assert(!string_to_float(slice_of(text, sizeof(text)), &value));
}
END_TEST

TEST_GROUP(string_number_group, floats_are_written_without_trailing_zeros, the_largest_float_fits,
    texts_are_read_whole_or_not_at_all, texts_beyond_the_buffer_are_refused)
