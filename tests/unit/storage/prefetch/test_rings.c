#include "base/clock.h"
#include "harness.h"
#include "test_main.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

START_TEST(a_full_ring_drops_and_counts)
{
    struct harness harness;
    harness_init(&harness);
    const unsigned ring_events = (unsigned)harness.prefetch->ring_events;
    for (unsigned i = 0; i < ring_events + 100; i++)
        note(&harness, PREFETCH_MISS, "key", 7);
    ck_assert_uint_eq(METRIC(&harness, dropped_count), 100);
    run(&harness);
    ck_assert_uint_eq(METRIC(&harness, access_count), ring_events);
    note(&harness, PREFETCH_MISS, "key", 7);
    run(&harness);
    ck_assert_uint_eq(METRIC(&harness, access_count), ring_events + 1);
    ck_assert_uint_eq(METRIC(&harness, dropped_count), 100);
    harness_deinit(&harness);
}
END_TEST

START_TEST(a_key_too_long_is_dropped_and_counted)
{
    struct harness harness;
    harness_init(&harness);
    char name[PREFETCH_KEY_MAX + 2];
    memset(name, 'k', sizeof(name));
    const struct key fits = key_make(1, name, PREFETCH_KEY_MAX);
    const struct key too_long = key_make(1, name, PREFETCH_KEY_MAX + 1);
    prefetch_note(harness.prefetch, 0, PREFETCH_MISS, &fits, 7);
    prefetch_note(harness.prefetch, 0, PREFETCH_MISS, &too_long, 7);
    run(&harness);
    ck_assert_uint_eq(METRIC(&harness, access_count), 1);
    ck_assert_uint_eq(METRIC(&harness, dropped_count), 1);
    harness_deinit(&harness);
}
END_TEST

START_TEST(off_does_nothing)
{
    struct harness harness;
    harness_init_options(&harness, PREFETCH_OFF, 1 * MiB, 1);
    for (unsigned i = 0; i < 100; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "b:%u", i);
        miss(&harness, name, 7);
    }
    ck_assert_uint_eq(harness.sent_count, 0);
    ck_assert_uint_eq(METRIC(&harness, access_count), 0);
    ck_assert_uint_eq(METRIC(&harness, dropped_count), 0);
    ck_assert_uint_eq(METRIC(&harness, predicted_count), 0);
    harness_deinit(&harness);
}
END_TEST

START_TEST(what_was_noted_before_off_is_discarded)
{
    struct harness harness;
    harness_init(&harness);
    note(&harness, PREFETCH_MISS, "b:1", 7);
    note(&harness, PREFETCH_MISS, "b:2", 7);
    OPTION_SET(&harness.options, mode, PREFETCH_OFF);
    run(&harness);
    ck_assert_uint_eq(METRIC(&harness, access_count), 0);
    ck_assert_uint_eq(harness.sent_count, 0);
    harness_deinit(&harness);
}
END_TEST

START_TEST(without_misses_hits_cost_no_event)
{
    struct harness harness;
    harness_init(&harness);
    for (unsigned i = 0; i < 1000; i++) {
        note(&harness, PREFETCH_HIT, "key", 7);
        note(&harness, PREFETCH_WRITE, "key", 7);
    }
    run(&harness);
    ck_assert_uint_eq(METRIC(&harness, access_count), 0);
    ck_assert_uint_eq(METRIC(&harness, dropped_count), 0);
    note(&harness, PREFETCH_MISS, "cold", 7);
    for (unsigned i = 0; i < 1000; i++)
        note(&harness, PREFETCH_HIT, "key", 7);
    run(&harness);
    ck_assert_uint_eq(METRIC(&harness, access_count), 1 + PREFETCH_HITS_PER_MISS);
    harness_deinit(&harness);
}
END_TEST

START_TEST(memory_stays_within_its_bound_whatever_is_read)
{
    const uint64_t bounds[] = {256 * KiB, 1 * MiB, 3 * MiB + 12345, 8 * MiB};
    for (size_t b = 0; b < COUNT_OF(bounds); b++) {
        struct harness harness;
        harness_init_options(&harness, PREFETCH_ON, bounds[b], 1);
        const uint64_t memory = METRIC(&harness, memory_bytes);
        ck_assert_uint_le(memory, bounds[b]);
        ck_assert_uint_ge(memory, bounds[b] / 2);
        /* The bound is used, and exceeding a table would be seen by the sanitizers and by prefetch_check(). */
        const unsigned keys = b == 1 ? 1000000 : 30000;
        for (unsigned i = 0; i < keys; i++) {
            char name[64];
            (void)snprintf(name, sizeof(name), "tenant:%u:some-rather-long-name:%u", i % 1000, i);
            note(&harness, PREFETCH_MISS, name, i / 3);
            if (i % PREFETCH_RING_EVENTS_MIN == 0) {
                run(&harness);
                forget(&harness);
            }
        }
        run(&harness);
        ck_assert_uint_eq(METRIC(&harness, access_count), keys);
        ck_assert_uint_eq(METRIC(&harness, memory_bytes), memory);
        harness_deinit(&harness);
    }
}
END_TEST

START_TEST(memory_is_as_asked_for_or_a_share_of_the_processs_and_has_a_floor)
{
    const struct {
        uint64_t asked, process, bound;
        unsigned workers;
    } cases[] = {
        {3 * MiB, 0, 3 * MiB, 1},
        {3 * MiB, 20 * MiB, 3 * MiB, 4},
        {0, 0, 8 * MiB, 1},
        {0, 40 * MiB, 2 * MiB, 1},
        {0, 4 * GiB, 8 * MiB, 2},
        {0, 1, 256 * KiB, 1},
        {1, 0, 64 * 128 * KiB, 64},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct prefetch_options options = {
            .mode = PREFETCH_ON, .memory_max = (int64_t)cases[i].asked};
        const struct prefetch_config config = {
            .worker_count = cases[i].workers, .options = &options, .memory_max = cases[i].process};
        struct prefetch *prefetch = prefetch_create_stepped(&config);
        struct prefetch_metrics metrics;
        prefetch_metrics_read(prefetch, &metrics);
        ck_assert_uint_le(metric_get(&metrics, memory_bytes), cases[i].bound);
        ck_assert_uint_ge(metric_get(&metrics, memory_bytes), cases[i].bound / 2);
        prefetch_destroy(prefetch);
    }
}
END_TEST

START_TEST(results_beyond_the_queue_are_forgotten_not_lost_in_the_count)
{
    struct harness harness;
    harness_init(&harness);
    const struct prefetch_target target = {
        .space = 1, .key_size = 3, .source = PREFETCH_SOURCE_SUCCESSOR, .key = "key"};
    const unsigned results_max = (unsigned)harness.prefetch->results_max;
    for (unsigned i = 0; i < results_max + 10; i++)
        prefetch_result(harness.prefetch, &target, ST_AGAIN);
    run(&harness);
    ck_assert_uint_eq(METRIC(&harness, refused_busy), results_max + 10);
    harness_deinit(&harness);
}
END_TEST

/* --- with the real thread ---------------------------------------------------------------------------------- */

#define WORKERS           2
#define EVENTS_PER_WORKER 60000

struct busy {
    struct prefetch_options options;
    struct prefetch *prefetch;
    _Atomic uint64_t sent_count; /* atomic: relaxed counter */
};

struct busy_worker {
    struct busy *busy;
    unsigned index;
    struct thread thread;
};

static void answer_at_once(void *context, const struct prefetch_target *targets, size_t count)
{
    struct busy *busy = context;
    metric_add(busy, sent_count, count);
    for (size_t i = 0; i < count; i++) {
        const enum status answers[] = {ST_PENDING, ST_EXISTS, ST_NOT_FOUND, ST_AGAIN};
        prefetch_result(busy->prefetch, &targets[i], answers[targets[i].key_size % 4]);
    }
}

static uint64_t nobody_waits(void *context)
{
    (void)context;
    return 0;
}

static void work(void *context)
{
    struct busy_worker *worker = context;
    for (unsigned i = 0; i < EVENTS_PER_WORKER; i++) {
        char name[32];
        const int size = snprintf(name, sizeof(name), "w%u:%u", worker->index, i % 5000);
        const struct key key = key_make(1, name, (size_t)size);
        prefetch_note(worker->busy->prefetch, worker->index,
            i % 3 == 0 ? PREFETCH_MISS : (enum prefetch_event_kind)(i % 7), &key, i % 11);
    }
}

START_TEST(workers_and_thread_run_together)
{
    struct busy busy = {.options = {.mode = PREFETCH_ON, .memory_max = MiB}};
    const struct prefetch_config config = {
        .worker_count = WORKERS,
        .options = &busy.options,
        .send = answer_at_once,
        .demand_pending = nobody_waits,
        .context = &busy,
    };
    busy.prefetch = prefetch_create(&config);
    struct busy_worker workers[WORKERS];
    memset(workers, 0, sizeof(workers));
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i].busy = &busy;
        workers[i].index = i;
        thread_start(&workers[i].thread, "worker", work, &workers[i]);
    }
    struct prefetch_metrics metrics;
    for (int i = 0; i < 100; i++) {
        prefetch_metrics_read(busy.prefetch, &metrics);
        OPTION_SET(&busy.options, mode, i % 2 == 0 ? PREFETCH_SHADOW : PREFETCH_ON);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        thread_join(&workers[i].thread);
    prefetch_destroy(busy.prefetch);
}
END_TEST

static void take_target(void *context, const struct prefetch_target *targets, size_t count)
{
    (void)targets;
    struct busy *busy = context;
    metric_add(busy, sent_count, count);
}

/* A thread that nothing but a wake-up brings back from its sleep in the time of a test. */
static void start_heavy_sleeper(struct busy *busy)
{
    const struct prefetch_config config = {
        .worker_count = 1,
        .options = &busy->options,
        .send = take_target,
        .demand_pending = nobody_waits,
        .context = busy,
    };
    busy->prefetch = prefetch_create_stepped(&config);
    busy->prefetch->sleep_ms_min = 3600 * 1000;
    busy->prefetch->sleep_ms_max = 3600 * 1000;
    prefetch_start(busy->prefetch);
}

static void wait_until_asleep(const struct busy *busy)
{
    while (!atomic_load_explicit(&busy->prefetch->sleeping, memory_order_acquire))
        sched_yield();
}

START_TEST(every_miss_wakes_the_sleeping_thread)
{
    struct busy busy = {.options = {.mode = PREFETCH_ON, .memory_max = MiB}};
    start_heavy_sleeper(&busy);
    for (unsigned i = 1; i <= 3000; i++) {
        char name[32];
        const int size = snprintf(name, sizeof(name), "b:%u", i);
        const struct key key = key_make(1, name, (size_t)size);
        prefetch_note(busy.prefetch, 0, PREFETCH_MISS, &key, 7);
        /* Now and then it is surely asleep, else it may be anywhere on the way. */
        struct prefetch_metrics metrics;
        do {
            sched_yield();
            prefetch_metrics_read(busy.prefetch, &metrics);
        } while (metric_get(&metrics, access_count) < i);
        if (i % 8 == 0)
            wait_until_asleep(&busy);
    }
    ck_assert_uint_gt(metric_get(&busy, sent_count), 0);
    prefetch_destroy(busy.prefetch);
}
END_TEST

START_TEST(it_can_be_destroyed_while_asleep_or_never_made)
{
    prefetch_destroy(NULL);
    for (int i = 0; i < 20; i++) {
        struct busy busy = {.options = {.mode = PREFETCH_OFF, .memory_max = 256 * KiB}};
        start_heavy_sleeper(&busy);
        if (i % 2 == 0)
            wait_until_asleep(&busy);
        prefetch_destroy(busy.prefetch);
    }
}
END_TEST

TEST_GROUP(rings_group, a_full_ring_drops_and_counts, a_key_too_long_is_dropped_and_counted,
    off_does_nothing, what_was_noted_before_off_is_discarded, without_misses_hits_cost_no_event,
    memory_stays_within_its_bound_whatever_is_read,
    memory_is_as_asked_for_or_a_share_of_the_processs_and_has_a_floor,
    results_beyond_the_queue_are_forgotten_not_lost_in_the_count, workers_and_thread_run_together,
    every_miss_wakes_the_sleeping_thread, it_can_be_destroyed_while_asleep_or_never_made)

void successor_group(TCase *tests);
void sequence_group(TCase *tests);
void accounting_group(TCase *tests);
void budget_group(TCase *tests);
void tables_group(TCase *tests);

TEST_MAIN_GROUPS("prefetch", successor_group, sequence_group, accounting_group, budget_group,
    tables_group, rings_group)
