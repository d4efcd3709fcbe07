/*
 * test_number.c: numbers are as strict as Redis's, and survive a round trip.
 */
#include "base/mem.h"
#include "base/slice.h"
#include "test_main.h"

#include <inttypes.h>
#include <math.h>

static const struct {
    const char *text;
    int64_t value;
} good_int64s[] = {
    {"0", 0},
    {"1", 1},
    {"-1", -1},
    {"10", 10},
    {"9223372036854775807", INT64_MAX},
    {"-9223372036854775808", INT64_MIN},
    {"9223372036854775806", INT64_MAX - 1},
    {"-9223372036854775807", INT64_MIN + 1},
};

START_TEST(int64_takes_the_canonical_form)
{
    for (size_t index = 0; index < COUNT_OF(good_int64s); index++) {
        int64_t value = 42;
        ck_assert_msg(slice_to_int64(slice_text(good_int64s[index].text), &value), "%s",
            good_int64s[index].text);
        ck_assert_int_eq(value, good_int64s[index].value);
    }
}
END_TEST

START_TEST(int64_refuses_every_other_form)
{
    static const char *const bad[] = {"", "-", "+1", "-0", "00", "01", "-01", " 1", "1 ", "1.0",
        "1e3", "0x1", "a", "1a", "--1", "9223372036854775808", "-9223372036854775809",
        "18446744073709551616", "99999999999999999999", "-99999999999999999999",
        "100000000000000000000", "-100000000000000000000", "1\n"};
    for (size_t index = 0; index < COUNT_OF(bad); index++) {
        int64_t value = 42;
        ck_assert_msg(!slice_to_int64(slice_text(bad[index]), &value), "'%s'", bad[index]);
        ck_assert_int_eq(value, 42);
    }
    int64_t value;
    ck_assert(!slice_to_int64(slice_of("1\0", 2), &value));
}
END_TEST

START_TEST(uint64_takes_the_whole_range)
{
    uint64_t value;
    ck_assert(slice_to_uint64(slice_text("18446744073709551615"), &value));
    ck_assert_uint_eq(value, UINT64_MAX);
    ck_assert(slice_to_uint64(slice_text("0"), &value));
    ck_assert_uint_eq(value, 0);
    static const char *const bad[] = {
        "", "-1", "00", "18446744073709551616", "99999999999999999999", "+1"};
    for (size_t index = 0; index < COUNT_OF(bad); index++)
        ck_assert_msg(!slice_to_uint64(slice_text(bad[index]), &value), "'%s'", bad[index]);
}
END_TEST

START_TEST(integers_survive_a_round_trip)
{
    struct random random;
    test_random_init(&random);
    for (int round = 0; round < 20000; round++) {
        const uint64_t number = random_next(&random) >> random_below(&random, 64);
        const int64_t signed_number = (int64_t)number;
        char text[24];
        int64_t signed_back;
        uint64_t back;
        ck_assert(slice_to_int64(slice_of(text, int64_to_text(signed_number, text)), &signed_back));
        ck_assert_int_eq(signed_back, signed_number);
        ck_assert(slice_to_uint64(slice_of(text, uint64_to_text(number, text)), &back));
        ck_assert_uint_eq(back, number);
    }
}
END_TEST

START_TEST(extreme_integers_have_their_text)
{
    char text[24];
    ck_assert_text_eq(slice_of(text, int64_to_text(INT64_MIN, text)), "-9223372036854775808");
    ck_assert_text_eq(slice_of(text, int64_to_text(INT64_MAX, text)), "9223372036854775807");
    ck_assert_text_eq(slice_of(text, int64_to_text(0, text)), "0");
    ck_assert_text_eq(slice_of(text, uint64_to_text(UINT64_MAX, text)), "18446744073709551615");
}
END_TEST

static bool near(double a, double b)
{
    return a >= b && a <= b; /* equal, said without a comparison that compilers warn about */
}

START_TEST(double_takes_what_strtod_takes)
{
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0", 0}, {"-0", 0}, {"+1.5", 1.5}, {"1e3", 1000}, {"1E-3", 0.001}, {".5", 0.5},
        {"5.", 5}, {"0x10", 16}, {"007", 7}, {"1.7976931348623157e308", 1.7976931348623157e308},
        {"5e-324", 5e-324}, {"inf", HUGE_VAL}, {"-inf", -HUGE_VAL}, {"Infinity", HUGE_VAL},
        {"+INF", HUGE_VAL}};
    for (size_t index = 0; index < COUNT_OF(good); index++) {
        double value = 42;
        ck_assert_msg(
            slice_to_double(slice_text(good[index].text), &value), "'%s'", good[index].text);
        ck_assert_msg(near(value, good[index].value), "'%s' is %g", good[index].text, value);
    }
}
END_TEST

START_TEST(double_refuses_blanks_nan_and_overflow)
{
    static const char *const bad[] = {"", " 1", "\t1", "\n1", "\v1", "\f1", "\r1", "1 ", "nan",
        "-nan", "NaN", "nan(1)", "1e309", "-1e309", "1e-400", "a", "1a", "1.2.3", "--1", "1e", "-",
        ".", "1,5"};
    for (size_t index = 0; index < COUNT_OF(bad); index++) {
        double value = 42;
        ck_assert_msg(!slice_to_double(slice_text(bad[index]), &value), "'%s'", bad[index]);
        ck_assert(near(value, 42));
    }
    double value;
    ck_assert(!slice_to_double(slice_of("1\0", 2), &value));
    ck_assert(!slice_to_double(slice_of("1\0002", 3), &value));
}
END_TEST

START_TEST(double_reads_only_its_own_bytes)
{
    double value;
    ck_assert(slice_to_double(slice_of("12345", 2), &value));
    ck_assert(near(value, 12));
    struct buf digits = {0};
    buf_append_text(&digits, "0.");
    for (int index = 0; index < 5000; index++)
        buf_append_byte(&digits, '0');
    digits.data[digits.size - 4800] = '1';
    ck_assert(slice_to_double(slice_of(digits.data, 255), &value) == false || value >= 0);
    ck_assert(slice_to_double(slice_of("1", 1), &value));
    digits.data[2] = '5';
    ck_assert(slice_to_double(buf_slice(&digits), &value));
    ck_assert(near(value, 0.5));
    buf_deinit(&digits);
}
END_TEST

TEST_GROUP(number_group, int64_takes_the_canonical_form, int64_refuses_every_other_form,
    uint64_takes_the_whole_range, integers_survive_a_round_trip, extreme_integers_have_their_text,
    double_takes_what_strtod_takes, double_refuses_blanks_nan_and_overflow,
    double_reads_only_its_own_bytes)
