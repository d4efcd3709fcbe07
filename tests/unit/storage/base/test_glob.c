/*
 * test_glob.c: patterns match as Redis's do, in bounded time.
 */
#include "glob_internal.h"
#include "test_main.h"

static const struct {
    const char *pattern;
    const char *text;
    bool match;
} cases[] = {
    {"", "", true},
    {"", "a", false},
    {"*", "a", true},
    {"*", "", false}, /* as Redis: the empty text matches the empty pattern alone */
    {"**", "a", true},
    {"a*", "a", true},
    {"a**", "a", true},
    {"*a", "ba", true},
    {"*a", "ab", false},
    {"a*b*c", "aXbYc", true},
    {"a*b*c", "aXbY", false},
    {"*abc*", "xxabxabcyy", true},
    {"?", "a", true},
    {"?", "", false},
    {"??", "a", false},
    {"h?llo", "hello", true},
    {"h[ae]llo", "hallo", true},
    {"h[ae]llo", "hillo", false},
    {"h[^e]llo", "hallo", true},
    {"h[^e]llo", "hello", false},
    {"h[a-c]llo", "hbllo", true},
    {"h[c-a]llo", "hbllo", true}, /* backwards */
    {"h[a-c]llo", "hdllo", false},
    {"[a-]", "-", false}, /* a range up to ']', backwards, in a class that is not closed */
    {"[a-]", "a", true},
    {"[a-]", "^", true},
    {"[a-]", "b", false},
    {"[a-", "-", true},
    {"[]a]", "a", false}, /* ']' at once closes an empty class */
    {"[]", "a", false},
    {"[^]", "a", true},
    {"[abc", "b", true}, /* not closed: ends with the pattern */
    {"[abc", "d", false},
    {"[^", "a", true},
    {"[", "[", false},
    {"[\\]]", "]", true},
    {"[\\]", "]", true},
    {"[\\", "\\", true},
    {"[a\\-c]", "-", true},
    {"[a\\-c]", "b", false},
    {"\\*", "*", true},
    {"\\*", "a", false},
    {"\\?a", "?a", true},
    {"a\\", "a\\", true}, /* a backslash at the end stands for itself */
    {"\\a", "a", true},
    {"[*]", "*", true},
    {"[*]", "a", false},
    {"a[*", "a*", true},
    {"*[^a]", "ab", true},
    {"*[^a]", "aa", false},
    {"*?*", "a", true},
    {"a?*", "a", false},
};

START_TEST(patterns_match_as_redis_does)
{
    for (size_t index = 0; index < COUNT_OF(cases); index++) {
        const bool match =
            glob_match(slice_text(cases[index].pattern), slice_text(cases[index].text), false);
        ck_assert_msg(match == cases[index].match, "pattern '%s' text '%s'", cases[index].pattern,
            cases[index].text);
    }
}
END_TEST

START_TEST(case_is_ignored_on_request)
{
    ck_assert(glob_match(slice_text("MAX*"), slice_text("maxmemory"), true));
    ck_assert(!glob_match(slice_text("MAX*"), slice_text("maxmemory"), false));
    ck_assert(glob_match(slice_text("[A-C]x"), slice_text("bX"), true));
    ck_assert(glob_match(slice_text("[abc]"), slice_text("B"), true));
    ck_assert(!glob_match(slice_text("[\\A]"), slice_text("a"), true)); /* escaped: as it is */
    ck_assert(glob_match(slice_text("\\A"), slice_text("a"), true));
}
END_TEST

START_TEST(bytes_are_not_text)
{
    ck_assert(glob_match(slice_of("a\0*", 3), slice_of("a\0b", 3), false));
    ck_assert(!glob_match(slice_of("a\0b", 3), slice_of("a\0c", 3), false));
    ck_assert(glob_match(slice_text("[\x80-\xff]"), slice_text("\x90"), false));
    ck_assert(!glob_match(slice_text("[\x80-\xff]"), slice_text("a"), false));
    /* Bytes compare as signed: from -1 up to 'a'. */
    ck_assert(glob_match(slice_text("[a-\xff]"), slice_text("A"), false));
    ck_assert(!glob_match(slice_text("[a-\xff]"), slice_text("b"), false));
}
END_TEST

START_TEST(a_pattern_is_read_no_further_than_its_size)
{
    ck_assert(!glob_match(slice_of("[a]", 1), slice_text("a"), false));
    ck_assert(glob_match(slice_of("a*b", 2), slice_text("ac"), false));
    ck_assert(glob_match(slice_of("ab*", 2), slice_text("ab"), false));
    ck_assert(!glob_match(slice_of("a*", 1), slice_text("ab"), false));
    ck_assert(glob_match(slice_of("\\*", 1), slice_text("\\"), false));
}
END_TEST

START_TEST(more_than_a_thousand_stars_match_nothing)
{
    static char pattern[2 * 1001 + 1];
    static char text[1001];
    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < sizeof(pattern) - 1; i++)
        pattern[i] = i % 2 == 0 ? '*' : '?';
    ck_assert(glob_match(slice_of(pattern, 2000), slice_of(text, 1000), false));
    ck_assert(!glob_match(slice_of(pattern, 2002), slice_of(text, 1001), false));
    pattern[2000] = '*'; /* the last one does not count */
    ck_assert(glob_match(slice_of(pattern, 2001), slice_of(text, 1001), false));
}
END_TEST

START_TEST(twenty_five_stars_end_soon)
{
    struct buf pattern = {0};
    struct buf text = {0};
    for (int star = 0; star < 25; star++)
        buf_append_text(&pattern, "a*");
    buf_append_byte(&pattern, 'b');
    for (int index = 0; index < 10000; index++)
        buf_append_byte(&text, 'a');
    uint64_t steps = 0;
    ck_assert(!glob_match_counted(buf_slice(&pattern), buf_slice(&text), false, &steps));
    ck_assert_uint_le(steps, text.size * pattern.size);
    buf_deinit(&pattern);
    buf_deinit(&text);
}
END_TEST

/* The meaning of a pattern without classes, as simple as it can be said: tries everything. */
static bool simple_match(const char *pattern, const char *text)
{
    if (*pattern == '\0')
        return *text == '\0';
    if (*pattern == '*')
        return simple_match(pattern + 1, text) ||
               (*text != '\0' && simple_match(pattern, text + 1));
    return *text != '\0' && (*pattern == '?' || *pattern == *text) &&
           simple_match(pattern + 1, text + 1);
}

static void random_text(struct random *random, const char *letters, char text[10])
{
    const uint64_t size = random_below(random, 10);
    for (uint64_t index = 0; index < size; index++)
        text[index] = letters[random_below(random, strlen(letters))];
    text[size] = '\0';
}

START_TEST(random_patterns_mean_what_trying_everything_finds)
{
    struct random random;
    test_random_init(&random);
    uint64_t match_count = 0;
    for (int round = 0; round < 200000; round++) {
        char pattern[10];
        char text[10];
        random_text(&random, "ab*?*", pattern);
        random_text(&random, "ab", text);
        if (text[0] == '\0')
            continue; /* the one case in which Redis differs, shown above */
        const bool expected = simple_match(pattern, text);
        match_count += expected;
        ck_assert_msg(glob_match(slice_text(pattern), slice_text(text), false) == expected,
            "pattern '%s' text '%s'", pattern, text);
    }
    ck_assert_uint_gt(match_count, 1000);
}
END_TEST

START_TEST(the_literal_prefix_ends_at_the_first_special_byte)
{
    ck_assert_text_eq(glob_literal_prefix(slice_text("user:*")), "user:");
    ck_assert_text_eq(glob_literal_prefix(slice_text("a?b")), "a");
    ck_assert_text_eq(glob_literal_prefix(slice_text("a[b]")), "a");
    ck_assert_text_eq(glob_literal_prefix(slice_text("a\\*b")), "a");
    ck_assert_text_eq(glob_literal_prefix(slice_text("plain")), "plain");
    ck_assert_text_eq(glob_literal_prefix(slice_text("*")), "");
    ck_assert_text_eq(glob_literal_prefix(slice_of(NULL, 0)), "");
    ck_assert_slice_eq(glob_literal_prefix(slice_of("a\0*", 3)), slice_of("a\0", 2));
}
END_TEST

TEST_GROUP(glob_group, patterns_match_as_redis_does, case_is_ignored_on_request, bytes_are_not_text,
    a_pattern_is_read_no_further_than_its_size, more_than_a_thousand_stars_match_nothing,
    twenty_five_stars_end_soon, random_patterns_mean_what_trying_everything_finds,
    the_literal_prefix_ends_at_the_first_special_byte)
