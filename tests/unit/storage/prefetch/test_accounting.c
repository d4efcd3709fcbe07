#include "harness.h"
#include "test_main.h"

#include <stdio.h>

/* One prediction: reads of the first two numbers of a new form. The target, form:3, is sent if the governor lets it. */
static void predict_one(struct harness *harness, unsigned form)
{
    char name[32];
    (void)snprintf(name, sizeof(name), "form%uq:1", form);
    miss(harness, name, form);
    (void)snprintf(name, sizeof(name), "form%uq:2", form);
    miss(harness, name, form);
}

START_TEST(results_and_uses_are_counted_by_source)
{
    struct harness harness;
    harness_init(&harness);
    predict_one(&harness, 1);
    ck_assert_uint_eq(harness.sent_count, 1);
    ck_assert_uint_eq(METRIC(&harness, predicted_count), 1);
    ck_assert_uint_eq(METRIC(&harness, issued_count), 0);
    answer_all(&harness, ST_PENDING);
    ck_assert_uint_eq(METRIC(&harness, issued_count), 1);
    ck_assert_uint_eq(METRIC(&harness, sequence_issued), 1);
    ck_assert_uint_eq(METRIC(&harness, successor_issued), 0);
    note(&harness, PREFETCH_FIRST_USE, "form1q:3", 1);
    run(&harness);
    ck_assert_uint_eq(METRIC(&harness, useful_count), 1);
    ck_assert_uint_eq(METRIC(&harness, sequence_useful), 1);
    ck_assert_uint_eq(METRIC(&harness, successor_useful), 0);
    ck_assert_uint_eq(METRIC(&harness, access_count), 3);
    harness_deinit(&harness);
}
END_TEST

START_TEST(a_used_hint_is_useful_but_no_sources_merit)
{
    struct harness harness;
    harness_init(&harness);
    prefetch_hinted(harness.prefetch, 2);
    note(&harness, PREFETCH_FIRST_USE, "hinted", 1);
    run(&harness);
    ck_assert_uint_eq(METRIC(&harness, hinted_count), 2);
    ck_assert_uint_eq(METRIC(&harness, useful_count), 1);
    ck_assert_uint_eq(METRIC(&harness, sequence_useful), 0);
    ck_assert_uint_eq(METRIC(&harness, successor_useful), 0);
    harness_deinit(&harness);
}
END_TEST

START_TEST(outcomes_move_the_accuracy_of_their_source_only)
{
    struct harness harness;
    harness_init(&harness);
    const double *accuracy = harness.prefetch->governor.accuracy;
    const double start = accuracy[PREFETCH_SOURCE_SEQUENCE];
    const double other = accuracy[PREFETCH_SOURCE_SUCCESSOR];
    predict_one(&harness, 1);
    note(&harness, PREFETCH_WASTED, "form1q:3", 0);
    run(&harness);
    ck_assert_uint_eq(METRIC(&harness, wasted_count), 1);
    ck_assert_double_lt(accuracy[PREFETCH_SOURCE_SEQUENCE], start);
    const double lower = accuracy[PREFETCH_SOURCE_SEQUENCE];
    predict_one(&harness, 2);
    note(&harness, PREFETCH_LATE, "form2q:3", 2);
    run(&harness);
    ck_assert_uint_eq(METRIC(&harness, late_count), 1);
    ck_assert_double_gt(accuracy[PREFETCH_SOURCE_SEQUENCE], lower);
    ck_assert_double_eq(accuracy[PREFETCH_SOURCE_SUCCESSOR], other);
    harness_deinit(&harness);
}
END_TEST

START_TEST(a_target_found_in_ram_is_neither_right_nor_wrong)
{
    struct harness harness;
    harness_init(&harness);
    const double *accuracy = harness.prefetch->governor.accuracy;
    const double start = accuracy[PREFETCH_SOURCE_SEQUENCE];
    const double tokens = harness.prefetch->governor.tokens;
    predict_one(&harness, 1);
    answer_all(&harness, ST_EXISTS);
    ck_assert_uint_eq(METRIC(&harness, refused_resident), 1);
    ck_assert_uint_eq(METRIC(&harness, issued_count), 0);
    ck_assert_double_ge(harness.prefetch->governor.tokens, tokens);
    note(&harness, PREFETCH_FIRST_USE, "form1q:3", 1);
    run(&harness);
    ck_assert_uint_eq(METRIC(&harness, sequence_useful), 0);
    ck_assert_double_eq(accuracy[PREFETCH_SOURCE_SEQUENCE], start);
    harness_deinit(&harness);
}
END_TEST

START_TEST(keys_said_to_be_in_ram_are_not_asked_for_again)
{
    struct harness harness;
    harness_init(&harness);
    for (int round = 0; round < 3; round++) {
        note(&harness, PREFETCH_MISS, "menu", 7);
        note(&harness, PREFETCH_MISS, "dish", 7);
        run(&harness);
        answer_all(&harness, ST_EXISTS);
    }
    bool asked = true;
    for (int round = 0; asked && round < 40; round++) {
        forget(&harness);
        note(&harness, PREFETCH_HIT, "menu", 7);
        run(&harness);
        asked = was_sent(&harness, "dish");
        answer_all(&harness, ST_EXISTS);
        note(&harness, PREFETCH_HIT, "dish", 7);
        run(&harness);
    }
    ck_assert(!asked);
    ck_assert_uint_gt(METRIC(&harness, refused_resident), 0);
    harness_deinit(&harness);
}
END_TEST

START_TEST(a_miss_ends_the_belief_that_a_key_is_in_ram)
{
    struct harness harness;
    harness_init(&harness);
    harness.prefetch->resident_age_max = 1000;
    for (int round = 0; round < 60; round++) {
        miss(&harness, "menu", 7);
        miss(&harness, "dish", 7);
        miss(&harness, "wine", 7);
        miss(&harness, "bill", 7);
        miss(&harness, "tip", 7);
    }
    ck_assert_uint_lt(harness.prefetch->resident_age_max, 5);
    ck_assert(was_sent(&harness, "dish"));
    harness_deinit(&harness);
}
END_TEST

START_TEST(an_absent_target_is_not_proposed_again_until_written)
{
    struct harness harness;
    harness_init(&harness);
    predict_one(&harness, 1);
    note(&harness, PREFETCH_ABSENT, "form1q:3", 0);
    run(&harness);
    ck_assert_uint_eq(METRIC(&harness, absent_count), 1);
    forget(&harness);
    predict_one(&harness, 1);
    ck_assert_uint_eq(harness.sent_count, 0);
    note(&harness, PREFETCH_WRITE, "form1q:3", 1);
    run(&harness);
    for (int i = 0; i < 3; i++)
        predict_one(&harness, 1);
    ck_assert(was_sent(&harness, "form1q:3"));
    harness_deinit(&harness);
}
END_TEST

START_TEST(the_filters_no_counts_as_absent_too)
{
    struct harness harness;
    harness_init(&harness);
    const double start = harness.prefetch->governor.accuracy[PREFETCH_SOURCE_SEQUENCE];
    predict_one(&harness, 1);
    answer_all(&harness, ST_NOT_FOUND);
    ck_assert_uint_eq(METRIC(&harness, absent_count), 1);
    ck_assert_double_lt(harness.prefetch->governor.accuracy[PREFETCH_SOURCE_SEQUENCE], start);
    forget(&harness);
    predict_one(&harness, 1);
    ck_assert_uint_eq(harness.sent_count, 0);
    harness_deinit(&harness);
}
END_TEST

START_TEST(an_absent_successor_loses_its_confidence)
{
    struct harness harness;
    harness_init(&harness);
    for (int round = 0; round < 3; round++) {
        miss(&harness, "order", 7);
        miss(&harness, "gone", 7);
        miss(&harness, "invoice", 7);
    }
    answer_all(&harness, ST_AGAIN);
    forget(&harness);
    miss(&harness, "order", 7);
    ck_assert(was_sent(&harness, "gone"));
    note(&harness, PREFETCH_ABSENT, "gone", 0);
    run(&harness);
    /* Even when the absence is forgotten. */
    prefetch_stamps_remove(&harness.prefetch->absent, key_make(1, "gone", 4).hash);
    answer_all(&harness, ST_AGAIN);
    forget(&harness);
    miss(&harness, "filler", 7);
    miss(&harness, "order", 7);
    ck_assert(!was_sent(&harness, "gone"));
    ck_assert(was_sent(&harness, "invoice"));
    harness_deinit(&harness);
}
END_TEST

START_TEST(a_guess_that_grows_old_counts_as_wrong)
{
    struct harness harness;
    harness_init(&harness);
    const double *accuracy = &harness.prefetch->governor.accuracy[PREFETCH_SOURCE_SEQUENCE];
    predict_one(&harness, 1);
    const double start = *accuracy;
    for (int i = 0; i < 2 * PREFETCH_GUESS_AGE_MAX + 100; i++) {
        /* Two keys in turn without numbers; what they predict of each other is used at once. */
        miss(&harness, i % 2 == 0 ? "ping" : "pong", 3);
        forget(&harness);
    }
    /* Once, whatever the number of rounds. */
    ck_assert_double_eq_tol(*accuracy, start - start / 512, 1e-9);
    ck_assert_uint_eq(METRIC(&harness, wasted_count), 0);
    /* It comes true in the end: that is credited, and the first judgement taken back. */
    const double lower = *accuracy;
    note(&harness, PREFETCH_FIRST_USE, "form1q:3", 1);
    run(&harness);
    ck_assert_double_gt(*accuracy, lower + (1 - lower) / 512 + lower / 1024);
    ck_assert_uint_eq(METRIC(&harness, sequence_useful), 1);
    harness_deinit(&harness);
}
END_TEST

START_TEST(a_written_target_is_neither_right_nor_wrong)
{
    struct harness harness;
    harness_init(&harness);
    predict_one(&harness, 1);
    const double start = harness.prefetch->governor.accuracy[PREFETCH_SOURCE_SEQUENCE];
    note(&harness, PREFETCH_WRITE, "form1q:3", 1);
    note(&harness, PREFETCH_HIT, "form1q:3", 1);
    run(&harness);
    ck_assert_double_eq(harness.prefetch->governor.accuracy[PREFETCH_SOURCE_SEQUENCE], start);
    harness_deinit(&harness);
}
END_TEST

START_TEST(shadow_learns_and_counts_and_sends_nothing)
{
    struct harness harness;
    harness_init_options(&harness, PREFETCH_SHADOW, 1 * MiB, 1);
    const double *accuracy = &harness.prefetch->governor.accuracy[PREFETCH_SOURCE_SEQUENCE];
    const double start = *accuracy;
    for (unsigned long number = 0; number < 100; number++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "b:%lu", number);
        miss(&harness, name, 7);
    }
    ck_assert_uint_eq(harness.sent_count, 0);
    ck_assert_uint_ge(METRIC(&harness, predicted_count), 98);
    ck_assert_uint_eq(METRIC(&harness, useful_count), 98);
    ck_assert_uint_eq(METRIC(&harness, sequence_useful), 98);
    ck_assert_uint_eq(METRIC(&harness, issued_count), 0);
    ck_assert_double_gt(*accuracy, start);
    /* What was learned serves as soon as the mode changes. */
    OPTION_SET(&harness.options, mode, PREFETCH_ON);
    for (unsigned long number = 100; number < 110; number++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "b:%lu", number);
        miss(&harness, name, 7);
    }
    ck_assert(was_sent(&harness, "b:112"));
    harness_deinit(&harness);
}
END_TEST

START_TEST(a_hit_makes_no_shadow_guess_useful)
{
    struct harness harness;
    harness_init_options(&harness, PREFETCH_SHADOW, 1 * MiB, 1);
    predict_one(&harness, 1);
    ck_assert_uint_eq(METRIC(&harness, predicted_count), 1);
    note(&harness, PREFETCH_HIT, "form1q:3", 1);
    run(&harness);
    ck_assert_uint_eq(METRIC(&harness, useful_count), 0);
    harness_deinit(&harness);
}
END_TEST

START_TEST(a_reset_puts_counters_but_not_gauges_to_zero)
{
    struct harness harness;
    harness_init(&harness);
    predict_one(&harness, 1);
    answer_all(&harness, ST_PENDING);
    const uint64_t memory = METRIC(&harness, memory_bytes);
    prefetch_metrics_reset(harness.prefetch);
    ck_assert_uint_eq(METRIC(&harness, access_count), 0);
    ck_assert_uint_eq(METRIC(&harness, issued_count), 0);
    ck_assert_uint_eq(METRIC(&harness, dropped_count), 0);
    ck_assert_uint_eq(METRIC(&harness, memory_bytes), memory);
    miss(&harness, "one", 1);
    ck_assert_uint_eq(METRIC(&harness, access_count), 1);
    harness_deinit(&harness);
}
END_TEST

TEST_GROUP(accounting_group, results_and_uses_are_counted_by_source,
    a_used_hint_is_useful_but_no_sources_merit, outcomes_move_the_accuracy_of_their_source_only,
    a_target_found_in_ram_is_neither_right_nor_wrong,
    keys_said_to_be_in_ram_are_not_asked_for_again, a_miss_ends_the_belief_that_a_key_is_in_ram,
    an_absent_target_is_not_proposed_again_until_written, the_filters_no_counts_as_absent_too,
    an_absent_successor_loses_its_confidence, a_guess_that_grows_old_counts_as_wrong,
    a_written_target_is_neither_right_nor_wrong, shadow_learns_and_counts_and_sends_nothing,
    a_hit_makes_no_shadow_guess_useful, a_reset_puts_counters_but_not_gauges_to_zero)
