/*
 * The longest common subsequence, against a plain recursive definition and against its own matches.
 */
#include "base/mem.h"
#include "commands_internal.h"
#include "test_main.h"

struct matches {
    struct lcs_match list[64];
    size_t count;
};

static void collect(void *context, const struct lcs_match *match)
{
    struct matches *matches = context;
    ck_assert_uint_lt(matches->count, COUNT_OF(matches->list));
    matches->list[matches->count++] = *match;
}

static uint32_t find(struct slice a, struct slice b, char *text, struct matches *matches)
{
    uint32_t *table = lcs_table_create(a, b);
    ck_assert_ptr_nonnull(table);
    matches->count = 0;
    const uint32_t length = lcs_walk(table, a, b, text, collect, matches);
    mem_free(table);
    return length;
}

START_TEST(the_known_example_has_its_two_matches)
{
    char text[16];
    struct matches matches;
    const uint32_t length = find(slice_text("ohmytext"), slice_text("mynewtext"), text, &matches);
    ck_assert_uint_eq(length, 6);
    ck_assert_slice_eq(slice_of(text, length), slice_text("mytext"));
    ck_assert_uint_eq(matches.count, 2);
    ck_assert_uint_eq(matches.list[0].a_start, 4);
    ck_assert_uint_eq(matches.list[0].a_end, 7);
    ck_assert_uint_eq(matches.list[0].b_start, 5);
    ck_assert_uint_eq(matches.list[0].b_end, 8);
    ck_assert_uint_eq(matches.list[1].a_start, 2);
    ck_assert_uint_eq(matches.list[1].b_end, 1);
}
END_TEST

START_TEST(the_empty_string_has_nothing_in_common)
{
    struct matches matches;
    ck_assert_uint_eq(find(slice_text(""), slice_text("abc"), NULL, &matches), 0);
    ck_assert_uint_eq(find(slice_text("abc"), slice_text(""), NULL, &matches), 0);
    ck_assert_uint_eq(find(slice_text(""), slice_text(""), NULL, &matches), 0);
    ck_assert_uint_eq(matches.count, 0);
}
END_TEST

static bool is_subsequence(struct slice part, struct slice whole)
{
    size_t at = 0;
    for (size_t i = 0; i < whole.size && at < part.size; i++)
        at += whole.data[i] == part.data[at];
    return at == part.size;
}

/* The longest by trying every subset of a's bytes. */
static uint32_t brute_force(struct slice a, struct slice b)
{
    uint32_t best = 0;
    for (uint32_t subset = 0; subset < (uint32_t)1 << a.size; subset++) {
        char part[16];
        uint32_t size = 0;
        for (size_t i = 0; i < a.size; i++) {
            if ((subset >> i & 1) != 0)
                part[size++] = a.data[i];
        }
        if (size > best && is_subsequence(slice_of(part, size), b))
            best = size;
    }
    return best;
}

START_TEST(matches_add_up_to_the_longest_subsequence)
{
    struct random random;
    test_random_init(&random);
    for (int round = 0; round < 300; round++) {
        char a_bytes[10];
        char b_bytes[10];
        char text[10];
        const struct slice a = slice_of(a_bytes, random_below(&random, sizeof(a_bytes)));
        const struct slice b = slice_of(b_bytes, random_below(&random, sizeof(b_bytes)));
        for (size_t i = 0; i < sizeof(a_bytes); i++) {
            a_bytes[i] = (char)('a' + random_below(&random, 3));
            b_bytes[i] = (char)('a' + random_below(&random, 3));
        }
        struct matches matches;
        const uint32_t length = find(a, b, text, &matches);
        ck_assert_uint_eq(length, brute_force(a, b));
        ck_assert(is_subsequence(slice_of(text, length), a));
        ck_assert(is_subsequence(slice_of(text, length), b));
        uint32_t sum = 0;
        for (size_t i = 0; i < matches.count; i++) {
            const struct lcs_match *match = &matches.list[i];
            const size_t size = match->a_end - match->a_start + 1;
            ck_assert_uint_eq(size, match->b_end - match->b_start + 1);
            ck_assert_mem_eq(a.data + match->a_start, b.data + match->b_start, size);
            sum += (uint32_t)size;
        }
        ck_assert_uint_eq(sum, length);
    }
}
END_TEST

TEST_GROUP(lcs_group, the_known_example_has_its_two_matches, the_empty_string_has_nothing_in_common,
    matches_add_up_to_the_longest_subsequence)
