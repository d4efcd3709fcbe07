#include "harness.h"
#include "test_main.h"

#include <stdio.h>
#include <string.h>

static void miss_number(
    struct harness *harness, const char *format, unsigned long number, uint32_t connection)
{
    char name[64];
    size_t size = strlen(format);
    memcpy(name, format, size);
    size += (size_t)snprintf(name + size, sizeof(name) - size, "%lu", number);
    ck_assert_uint_lt(size, sizeof(name));
    miss(harness, name, connection);
}

START_TEST(a_sequence_is_predicted_from_its_second_key)
{
    struct harness harness;
    harness_init(&harness);
    miss_number(&harness, "block:", 41, 7);
    ck_assert_uint_eq(harness.sent_count, 0);
    miss_number(&harness, "block:", 42, 7);
    ck_assert_uint_eq(harness.sent_count, 1);
    ck_assert(was_sent(&harness, "block:43"));
    ck_assert_uint_eq(harness.sent[0].source, PREFETCH_SOURCE_SEQUENCE);
    harness_deinit(&harness);
}
END_TEST

START_TEST(the_degree_grows_with_the_run)
{
    struct harness harness;
    harness_init(&harness);
    unsigned long farthest_ahead = 0;
    const struct {
        unsigned long run, ahead;
    } steps[] = {
        {3, 1},
        {15, 2},
        {63, 4},
        {90, 8},
    };
    unsigned long number = 1000;
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        for (; number < 1000 + steps[i].run; number++)
            miss_number(&harness, "b:", number, 7);
        char name[32];
        (void)snprintf(name, sizeof(name), "b:%lu", number - 1 + steps[i].ahead);
        ck_assert_msg(was_sent(&harness, name), "%s", name);
        (void)snprintf(name, sizeof(name), "b:%lu", number + steps[i].ahead);
        ck_assert_msg(!was_sent(&harness, name), "%s", name);
        ck_assert_uint_gt(steps[i].ahead, farthest_ahead);
        farthest_ahead = steps[i].ahead;
    }
    harness_deinit(&harness);
}
END_TEST

START_TEST(each_number_is_sent_once_in_a_run)
{
    struct harness harness;
    harness_init(&harness);
    for (unsigned long number = 0; number < 200; number++)
        miss_number(&harness, "b:", number, 7);
    for (size_t i = 0; i + 1 < harness.sent_count; i++) {
        const struct prefetch_target *a = &harness.sent[i];
        const struct prefetch_target *b = &harness.sent[i + 1];
        ck_assert(a->key_size != b->key_size || memcmp(a->key, b->key, a->key_size) != 0);
    }
    ck_assert_uint_le(harness.sent_count, 208);
    ck_assert_uint_ge(harness.sent_count, 190);
    harness_deinit(&harness);
}
END_TEST

START_TEST(interleaved_sequences_are_found_in_one_connection)
{
    struct harness harness;
    harness_init(&harness);
    struct random random;
    test_random_init(&random);
    unsigned long next[8];
    for (size_t i = 0; i < COUNT_OF(next); i++)
        next[i] = 100000 * (i + 1);
    for (int i = 0; i < 400; i++)
        miss_number(&harness, "blk:", next[random_below(&random, COUNT_OF(next))]++, 7);
    size_t found = 0;
    for (size_t i = 0; i < COUNT_OF(next); i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "blk:%lu", next[i]);
        found += was_sent(&harness, name);
    }
    ck_assert_uint_eq(found, COUNT_OF(next));
    harness_deinit(&harness);
}
END_TEST

START_TEST(forms_are_kept_apart)
{
    struct harness harness;
    harness_init(&harness);
    miss(&harness, "a:1:x", 7);
    miss(&harness, "b:2:x", 7);
    miss(&harness, "a:2:y", 7);
    miss(&harness, "a2:x", 7);
    ck_assert_uint_eq(harness.sent_count, 0);
    miss(&harness, "a:2:x", 7);
    ck_assert_uint_eq(harness.sent_count, 1);
    ck_assert(was_sent(&harness, "a:3:x"));
    harness_deinit(&harness);
}
END_TEST

START_TEST(leading_zeros_keep_their_width)
{
    struct harness harness;
    harness_init(&harness);
    miss(&harness, "img0098.png", 7);
    miss(&harness, "img0099.png", 7);
    /* "png" is the last word, and has no number: the one before counts. */
    ck_assert_uint_eq(harness.sent_count, 1);
    ck_assert(was_sent(&harness, "img0100.png"));
    forget(&harness);
    miss(&harness, "p:08", 7);
    miss(&harness, "p:9", 7);
    ck_assert_uint_eq(harness.sent_count, 0);
    harness_deinit(&harness);
}
END_TEST

START_TEST(the_last_number_of_a_key_counts)
{
    const struct {
        const char *key;
        int64_t value; /* -1: none */
        unsigned start;
    } cases[] = {
        {"user:12:post:7", 7, 13},
        {"page12", 12, 4},
        {"12", 12, 0},
        {"v2:name", 2, 1},
        {"a1b", -1, 0},
        {"", -1, 0},
        {"::", -1, 0},
        {"0", 0, 0},
        {"k:999999999999999999", 999999999999999999, 2},
        {"k:1999999999999999999", -1, 0},
        {"sess:5:9f86d081884c7d659a2f", 5, 5},
        {"n:123456789012", 123456789012, 2},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct prefetch_number number = {0};
        const bool found =
            prefetch_number_find(cases[i].key, (uint32_t)strlen(cases[i].key), &number);
        ck_assert_msg(found == (cases[i].value >= 0), "%s", cases[i].key);
        if (!found)
            continue;
        ck_assert_msg(number.value == (uint64_t)cases[i].value, "%s", cases[i].key);
        ck_assert_msg(number.start == cases[i].start, "%s", cases[i].key);
    }
}
END_TEST

START_TEST(a_target_too_long_to_name_is_not_proposed)
{
    struct harness harness;
    harness_init(&harness);
    char name[PREFETCH_KEY_MAX + 1];
    memset(name, 'k', sizeof(name));
    name[PREFETCH_KEY_MAX] = 0;
    memcpy(name + PREFETCH_KEY_MAX - 3, ":98", 3);
    miss(&harness, name, 7);
    memcpy(name + PREFETCH_KEY_MAX - 3, ":99", 3);
    miss(&harness, name, 7);
    ck_assert_uint_eq(harness.sent_count, 0);
    ck_assert_uint_eq(METRIC(&harness, dropped_count), 0);
    harness_deinit(&harness);
}
END_TEST

START_TEST(dense_ids_read_at_random_make_no_runs)
{
    struct harness harness;
    harness_init(&harness);
    struct random random;
    test_random_init(&random);
    const unsigned accesses = 50000;
    for (unsigned i = 0; i < accesses; i++) {
        miss_number(&harness, "row:", (unsigned long)random_below(&random, 100000), 7);
        if (harness.sent_count > 0)
            answer_all(&harness, ST_PENDING);
        note_all(&harness, PREFETCH_WASTED);
        forget(&harness);
    }
    ck_assert_uint_lt(METRIC(&harness, predicted_count), accesses / 25);
    ck_assert_uint_lt(METRIC(&harness, issued_count), accesses / 50);
    harness_deinit(&harness);
}
END_TEST

TEST_GROUP(sequence_group, a_sequence_is_predicted_from_its_second_key,
    the_degree_grows_with_the_run, each_number_is_sent_once_in_a_run,
    interleaved_sequences_are_found_in_one_connection, forms_are_kept_apart,
    leading_zeros_keep_their_width, the_last_number_of_a_key_counts,
    a_target_too_long_to_name_is_not_proposed, dense_ids_read_at_random_make_no_runs)
