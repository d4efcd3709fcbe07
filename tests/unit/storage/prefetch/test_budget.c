#include "base/clock.h"
#include "harness.h"
#include "test_main.h"

#include <stdio.h>

/* Two reads that predict the third number of a form nobody has used. */
static void predict_one(struct harness *harness, unsigned *form)
{
    char name[32];
    (*form)++;
    (void)snprintf(name, sizeof(name), "form%uq:1", *form);
    note(harness, PREFETCH_HIT, name, *form);
    (void)snprintf(name, sizeof(name), "form%uq:2", *form);
    note(harness, PREFETCH_HIT, name, *form);
    run(harness);
}

/* Lets the worker note `count` hits: they are noted in the wake of misses only. */
static void allow_hits(struct harness *harness, uint32_t count)
{
    harness->prefetch->rings[0].hits_saved = count;
}

START_TEST(an_inaccurate_source_is_throttled_and_recovers)
{
    struct harness harness;
    harness_init(&harness);
    unsigned form = 0;
    const double *accuracy = &harness.prefetch->governor.accuracy[PREFETCH_SOURCE_SEQUENCE];
    for (int i = 0; *accuracy >= 0.19; i++) {
        ck_assert_int_lt(i, 100000);
        allow_hits(&harness, 100);

        forget(&harness);
        predict_one(&harness, &form);
        note_all(&harness, PREFETCH_WASTED);
    }
    size_t sent = 0;
    for (int i = 0; i < 1600; i++) {
        allow_hits(&harness, 100);

        forget(&harness);
        predict_one(&harness, &form);
        sent += harness.sent_count;
    }
    ck_assert_uint_eq(sent, 100); /* 1 in 16 */
    ck_assert_uint_ge(METRIC(&harness, refused_accuracy), 1500);
    for (int i = 0; *accuracy < 0.36; i++) {
        ck_assert_int_lt(i, 100000);
        allow_hits(&harness, 100);

        forget(&harness);
        predict_one(&harness, &form);
        note_all(&harness, PREFETCH_FIRST_USE);
    }
    sent = 0;
    for (int i = 0; i < 100; i++) {
        allow_hits(&harness, 100);

        forget(&harness);
        predict_one(&harness, &form);
        sent += harness.sent_count;
    }
    ck_assert_uint_eq(sent, 100);
    harness_deinit(&harness);
}
END_TEST

START_TEST(additional_reads_are_bounded_by_half_of_the_demand)
{
    struct harness harness;
    harness_init(&harness);
    unsigned form = 0;
    harness_set_budget(&harness, 0, 0);
    for (unsigned i = 0; i < 500; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "needed:%c%c", 'a' + (int)(i / 26), 'a' + (int)(i % 26));
        miss(&harness, name, 3);
        predict_one(&harness, &form);
        predict_one(&harness, &form);
    }
    ck_assert_uint_eq(METRIC(&harness, predicted_count), 1000);
    ck_assert_uint_le(harness.sent_count, 250);
    ck_assert_uint_ge(harness.sent_count, 248);
    ck_assert_uint_ge(METRIC(&harness, refused_budget), 750);
    harness_deinit(&harness);
}
END_TEST

START_TEST(a_used_guess_gives_its_read_back)
{
    struct harness harness;
    harness_init(&harness);
    unsigned form = 0;
    harness_set_budget(&harness, 2, 0);
    for (int i = 0; i < 200; i++) {
        allow_hits(&harness, 100);
        forget(&harness);
        predict_one(&harness, &form);
        ck_assert_uint_eq(harness.sent_count, 1);
        note_all(&harness, PREFETCH_FIRST_USE);
    }
    harness_deinit(&harness);
}
END_TEST

START_TEST(without_demand_time_allows_a_little)
{
    struct harness harness;
    harness_init(&harness);
    unsigned form = 0;
    harness_set_budget(&harness, 0, 0);
    allow_hits(&harness, 4000);
    predict_one(&harness, &form);
    ck_assert_uint_eq(harness.sent_count, 0);
    clock_fake_advance(1000);
    for (int i = 0; i < 100; i++)
        predict_one(&harness, &form);
    ck_assert_uint_eq(harness.sent_count, 64);
    /* Idle hours save up no more than that. */
    clock_fake_advance(3600 * 1000);
    forget(&harness);
    for (int i = 0; i < 100; i++)
        predict_one(&harness, &form);
    ck_assert_uint_eq(harness.sent_count, 64);
    harness_deinit(&harness);
}
END_TEST

START_TEST(guesses_yield_to_waiting_clients)
{
    struct harness harness;
    harness_init(&harness);
    unsigned form = 0;
    allow_hits(&harness, 100);
    harness.demand_pending = 17;
    predict_one(&harness, &form);
    ck_assert_uint_eq(harness.sent_count, 0);
    ck_assert_uint_eq(METRIC(&harness, refused_budget), 1);
    harness.demand_pending = 16;
    predict_one(&harness, &form);
    ck_assert_uint_eq(harness.sent_count, 1);
    harness_deinit(&harness);
}
END_TEST

START_TEST(targets_come_in_bounded_batches)
{
    struct harness harness;
    harness_init(&harness);
    for (unsigned i = 0; i < 5000; i++) {
        char name[32];
        /* Runs long enough for several targets per access. */
        (void)snprintf(name, sizeof(name), "s%uq:%u", i / 100, i % 100);
        note(&harness, PREFETCH_MISS, name, i / 100);
        if (i % PREFETCH_RING_EVENTS_MIN == 0)
            run(&harness);
    }
    run(&harness);
    ck_assert_uint_gt(harness.sent_count, 1000);
    ck_assert_uint_gt(harness.batch_max, 1);
    ck_assert_uint_le(harness.batch_max, PREFETCH_BATCH_TARGETS);
    harness_deinit(&harness);
}
END_TEST

TEST_GROUP(budget_group, an_inaccurate_source_is_throttled_and_recovers,
    additional_reads_are_bounded_by_half_of_the_demand, a_used_guess_gives_its_read_back,
    without_demand_time_allows_a_little, guesses_yield_to_waiting_clients,
    targets_come_in_bounded_batches)
