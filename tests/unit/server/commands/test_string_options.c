/*
 * The options of SET and GETEX.
 */
#include "commands_internal.h"
#include "test_main.h"

#define WORDS_MAX 16

/* Parses the words of a line, from the first on. */
static bool parse(enum string_options_of which, const char *line, struct string_options *options)
{
    struct slice words[WORDS_MAX];
    int count = 0;
    while (*line != '\0') {
        const size_t size = strcspn(line, " ");
        ck_assert_int_lt(count, WORDS_MAX);
        words[count++] = slice_of(line, size);
        line += size;
        line += *line == ' ' ? 1 : 0;
    }
    return string_options_parse(which, count, words, 0, options);
}

static bool set_accepts(const char *line)
{
    struct string_options options;
    return parse(STRING_OPTIONS_OF_SET, line, &options);
}

static bool getex_accepts(const char *line)
{
    struct string_options options;
    return parse(STRING_OPTIONS_OF_GETEX, line, &options);
}

START_TEST(words_are_read_in_any_case_and_order)
{
    struct string_options options;
    ck_assert(parse(STRING_OPTIONS_OF_SET, "get Px 100 nX", &options));
    ck_assert(options.get);
    ck_assert(options.nx);
    ck_assert(!options.xx);
    ck_assert_int_eq(options.expiry, STRING_EXPIRY_PX);
    ck_assert_int_eq(options.time_argument, 2);
}
END_TEST

START_TEST(no_words_mean_no_options)
{
    struct string_options options;
    ck_assert(parse(STRING_OPTIONS_OF_SET, "", &options));
    ck_assert(!options.get && !options.nx && !options.xx);
    ck_assert_int_eq(options.expiry, STRING_EXPIRY_NONE);
    ck_assert_int_eq(options.time_argument, 0);
}
END_TEST

START_TEST(a_repeated_expiry_counts_the_last_time)
{
    struct string_options options;
    ck_assert(parse(STRING_OPTIONS_OF_SET, "ex 1 ex 2", &options));
    ck_assert_int_eq(options.time_argument, 3);
}
END_TEST

START_TEST(expiries_of_two_kinds_contradict_each_other)
{
    ck_assert(!set_accepts("ex 1 px 2"));
    ck_assert(!set_accepts("exat 1 pxat 2"));
    ck_assert(!set_accepts("keepttl ex 1"));
    ck_assert(!set_accepts("px 1 keepttl"));
    ck_assert(!getex_accepts("persist ex 1"));
    ck_assert(!getex_accepts("ex 1 persist"));
}
END_TEST

START_TEST(nx_and_xx_contradict_each_other)
{
    ck_assert(!set_accepts("nx xx"));
    ck_assert(!set_accepts("xx nx"));
    ck_assert(set_accepts("nx nx"));
}
END_TEST

START_TEST(a_time_must_follow_its_word)
{
    ck_assert(!set_accepts("ex"));
    ck_assert(!set_accepts("nx px"));
    ck_assert(!getex_accepts("exat"));
}
END_TEST

START_TEST(words_of_one_command_are_not_the_others)
{
    ck_assert(!set_accepts("persist"));
    ck_assert(!getex_accepts("keepttl"));
    ck_assert(!getex_accepts("nx"));
    ck_assert(!getex_accepts("get"));
    ck_assert(!set_accepts("foo"));
}
END_TEST

START_TEST(only_get_needs_the_old_value)
{
    const struct slice plain[] = {SLICE_LITERAL("set"), SLICE_LITERAL("k"), SLICE_LITERAL("get")};
    const struct slice with_get[] = {SLICE_LITERAL("set"), SLICE_LITERAL("k"), SLICE_LITERAL("v"),
        SLICE_LITERAL("ex"), SLICE_LITERAL("1"), SLICE_LITERAL("GET")};
    const struct slice time_is_get[] = {SLICE_LITERAL("set"), SLICE_LITERAL("k"),
        SLICE_LITERAL("v"), SLICE_LITERAL("ex"), SLICE_LITERAL("get")};
    ck_assert_int_eq(set_need(3, plain, 0), TIER_NEED_HEADER);
    ck_assert_int_eq(set_need(6, with_get, 0), TIER_NEED_VALUE);
    ck_assert_int_eq(set_need(5, with_get, 0), TIER_NEED_HEADER);
    ck_assert_int_eq(set_need(5, time_is_get, 0), TIER_NEED_HEADER);
}
END_TEST

TEST_GROUP(string_options_group, words_are_read_in_any_case_and_order, no_words_mean_no_options,
    a_repeated_expiry_counts_the_last_time, expiries_of_two_kinds_contradict_each_other,
    nx_and_xx_contradict_each_other, a_time_must_follow_its_word,
    words_of_one_command_are_not_the_others, only_get_needs_the_old_value)
