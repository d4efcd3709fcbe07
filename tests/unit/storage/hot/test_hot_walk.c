/*
 * test_hot_walk.c: SCAN's guarantee, sweeping of dead spaces, random and expiring entries.
 */
#include "hot_fixture.h"
#include "hot_internal.h"

#include <stdio.h>

#define PARTITION 11

/* Integer values name the entries: seen[value] counts visits. */
struct seen {
    unsigned counts[4000];
    unsigned total;
};

static void note(void *context, struct hot_record *record)
{
    struct seen *seen = context;
    const int64_t number = hot_record_value(record).integer;
    ck_assert_int_lt(number, (int64_t)COUNT_OF(seen->counts));
    if (number >= 0) {
        seen->counts[number]++;
    }
    seen->total++;
}

static void put_number(struct fixture *f, const char *prefix, unsigned *n, int64_t number)
{
    char name[32];
    const struct key key = key_in_partition(name, prefix, PARTITION, n);
    (void)hot_write(f->hot, &key, NULL, value_integer(number), 0, false);
}

static void delete_next(struct fixture *f, const char *prefix, unsigned *n)
{
    char name[32];
    const struct key key = key_in_partition(name, prefix, PARTITION, n);
    hot_delete(f->hot, &key, hot_find(f->hot, &key), NULL);
}

START_TEST(a_scan_of_a_still_table_visits_everything_once)
{
    struct fixture f;
    fixture_open(&f);
    char name[32];
    for (unsigned number = 0; number < 4000; number++) {
        (void)snprintf(name, sizeof(name), "k%u", number);
        const struct key key = key_of(name);
        (void)hot_write(f.hot, &key, NULL, value_integer(number), 0, false);
    }
    struct seen seen = {0};
    uint64_t cursor = 0;
    do {
        cursor = hot_scan(f.hot, cursor, note, &seen);
    } while (cursor != 0);
    for (unsigned number = 0; number < 4000; number++) {
        ck_assert_uint_eq(seen.counts[number], 1);
    }
    fixture_close(&f);
}
END_TEST

/* The table changes between calls as the random walk wills, over several doublings either way. */
START_TEST(a_scan_misses_nothing_that_was_there_all_along)
{
    struct random random;
    test_random_init(&random);
    for (unsigned round = 0; round < 20; round++) {
        struct fixture f;
        fixture_open(&f);
        unsigned n = 0;
        for (unsigned number = 0; number < 300; number++) {
            put_number(&f, "stays", &n, number);
        }
        unsigned born = 0;
        unsigned died = 0;
        unsigned alive = 0;
        for (; alive < random_below(&random, 5000); alive++) {
            put_number(&f, "comes", &born, -1);
        }
        struct seen seen = {0};
        uint64_t cursor = PARTITION;
        bool growing = random_below(&random, 2) == 0;
        while (hot_scan_partition(cursor) == PARTITION) {
            cursor = hot_scan(f.hot, cursor, note, &seen);
            growing = random_below(&random, 20) == 0 ? !growing : growing;
            for (uint64_t change = random_below(&random, 100); change > 0; change--) {
                if (growing && alive < 8000) {
                    put_number(&f, "comes", &born, -1);
                    alive++;
                } else if (!growing && alive > 0) {
                    delete_next(&f, "comes", &died);
                    alive--;
                }
            }
        }
        for (unsigned number = 0; number < 300; number++) {
            ck_assert_uint_ge(seen.counts[number], 1);
        }
        fixture_close(&f);
    }
}
END_TEST

START_TEST(any_cursor_a_client_sends_is_safe_and_ends)
{
    struct fixture f;
    fixture_open(&f);
    for (unsigned n = 0, number = 0; number < 500; number++) {
        put_number(&f, "k", &n, 1);
    }
    struct random random;
    test_random_init(&random);
    for (unsigned round = 0; round < 1000; round++) {
        struct seen seen = {0};
        uint64_t cursor = random_next(&random) >> random_below(&random, 64);
        unsigned steps = 0;
        do {
            cursor = hot_scan(f.hot, cursor, note, &seen);
            ck_assert_uint_lt(++steps, 10000);
        } while (cursor != 0);
    }
    fixture_close(&f);
}
END_TEST

static void delete_visited(void *context, struct hot_record *record)
{
    struct fixture *f = context;
    const struct key key = hot_record_key(record, true);
    hot_delete(f->hot, &key, record, NULL);
}

START_TEST(a_visitor_may_delete_what_it_visits)
{
    struct fixture f;
    fixture_open(&f);
    for (unsigned n = 0, number = 0; number < 3000; number++) {
        put_number(&f, "k", &n, number);
    }
    uint64_t cursor = 0;
    do {
        cursor = hot_scan(f.hot, cursor, delete_visited, &f);
    } while (cursor != 0);
    ck_assert_uint_eq(metrics_of(&f).entry_count, 0);
    fixture_close(&f);
}
END_TEST

/* --- sweeping ------------------------------------------------------------------------------------------ */

static bool is_space_two(void *context, uint32_t space)
{
    (void)context;
    return space == 2;
}

static void put_in_space(struct fixture *f, uint32_t space, unsigned count)
{
    char name[32];
    for (unsigned made = 0, n = 0; made < count; n++) {
        (void)snprintf(name, sizeof(name), "k%u", n);
        const struct key key = key_make(space, name, strlen(name));
        if (hot_partition(&key) == PARTITION) {
            (void)hot_write(f->hot, &key, NULL, value_integer(n), 0, true);
            made++;
        }
    }
}

START_TEST(a_sweep_removes_dead_spaces_in_bounded_steps_and_spares_the_others)
{
    struct fixture f;
    fixture_open(&f);
    put_in_space(&f, 1, 500);
    put_in_space(&f, 2, 2000);
    uint64_t cursor = 0;
    size_t skipped = 0;
    bool more = true;
    uint64_t before = metrics_of(&f).entry_count;
    while (more) {
        more = hot_sweep(f.hot, PARTITION, &cursor, 50, is_space_two, NULL, &skipped);
        const uint64_t now = metrics_of(&f).entry_count;
        ck_assert_uint_le(before - now, 50);
        before = now;
    }
    ck_assert_uint_eq(skipped, 0);
    ck_assert_uint_eq(metrics_of(&f).entry_count, 500);
    /* No pending deletes: the cold tier drops the whole space. */
    ck_assert_uint_eq(metrics_of(&f).record_count, 500);
    fixture_close(&f);
}
END_TEST

START_TEST(a_sweep_skips_what_a_checkpoint_or_a_client_still_needs)
{
    struct fixture f;
    fixture_open(&f);
    put_in_space(&f, 2, 2);
    hot_epoch_flip(f.hot);
    char name[32];
    unsigned n = 1000000;
    (void)key_in_partition(name, "fetch", PARTITION, &n);
    unsigned fetch_n = 0;
    struct key fetching;
    do {
        (void)snprintf(name, sizeof(name), "fetch%u", fetch_n++);
        fetching = key_make(2, name, strlen(name));
    } while (hot_partition(&fetching) != PARTITION);
    struct hot_record *fetch = hot_fetch_begin(f.hot, &fetching, NULL);
    size_t skipped = 0;
    uint64_t cursor = 0;
    while (hot_sweep(f.hot, PARTITION, &cursor, 10, is_space_two, NULL, &skipped)) {
    }
    ck_assert_uint_eq(skipped, 3);
    (void)image_all(&f);
    skipped = 0;
    cursor = 0;
    while (hot_sweep(f.hot, PARTITION, &cursor, 10, is_space_two, NULL, &skipped)) {
    }
    ck_assert_uint_eq(skipped, 3);
    commit_all(&f);
    (void)hot_install(f.hot, &fetching, fetch, &(struct hot_content){.state = HOT_STUB});
    ck_assert(hot_pin(hot_find(f.hot, &fetching)));
    skipped = 0;
    cursor = 0;
    while (hot_sweep(f.hot, PARTITION, &cursor, 10, is_space_two, NULL, &skipped)) {
    }
    ck_assert_uint_eq(skipped, 1);
    ck_assert_uint_eq(metrics_of(&f).entry_count, 1);
    fixture_close(&f);
}
END_TEST

/* --- sampling ------------------------------------------------------------------------------------------- */

START_TEST(a_random_entry_exists_and_is_of_the_space_asked_for)
{
    struct fixture f;
    fixture_open(&f);
    struct random random;
    test_random_init(&random);
    ck_assert_ptr_null(hot_random(f.hot, PARTITION, 1, &random, 1000));
    put_in_space(&f, 1, 20);
    put_in_space(&f, 2, 400);
    struct key key = {0};
    unsigned n = 0;
    char name[32];
    for (unsigned count = 0; count < 200; count++) {
        key = key_in_partition(name, "gone", PARTITION, &n);
        hot_delete_cold(f.hot, &key);
    }
    struct seen seen = {0};
    for (unsigned count = 0; count < 2000; count++) {
        struct hot_record *record = hot_random(f.hot, PARTITION, 1, &random, 1000);
        ck_assert_ptr_nonnull(record);
        ck_assert_uint_eq(hot_record_key(record, false).space, 1);
        ck_assert_int_eq(hot_record_state(record), HOT_RESIDENT);
        note(&seen, record);
    }
    unsigned different = 0;
    for (unsigned number = 0; number < COUNT_OF(seen.counts); number++) {
        different += seen.counts[number] > 0;
    }
    ck_assert_uint_eq(different, 20);
    ck_assert_ptr_null(hot_random(f.hot, PARTITION, 3, &random, 1000));
    fixture_close(&f);
}
END_TEST

START_TEST(only_entries_with_an_expiry_are_sampled_within_the_bounds)
{
    struct fixture f;
    fixture_open(&f);
    struct random random;
    test_random_init(&random);
    char name[32];
    unsigned n = 0;
    for (unsigned number = 0; number < 1000; number++) {
        const struct key key = key_in_partition(name, "k", PARTITION, &n);
        (void)hot_write(f.hot, &key, NULL, value_integer(number), number % 4 == 0, false);
    }
    struct seen seen = {0};
    hot_sample_expiring(f.hot, PARTITION, &random, SIZE_MAX, 17, note, &seen);
    ck_assert_uint_eq(seen.total, 17);
    seen = (struct seen){0};
    hot_sample_expiring(f.hot, PARTITION, &random, SIZE_MAX, SIZE_MAX, note, &seen);
    ck_assert_uint_eq(seen.total, 250);
    for (unsigned number = 0; number < 1000; number++) {
        ck_assert_uint_eq(seen.counts[number], number % 4 == 0);
    }
    seen = (struct seen){0};
    hot_sample_expiring(f.hot, PARTITION, &random, 0, SIZE_MAX, note, &seen);
    ck_assert_uint_eq(seen.total, 0);
    /* Dropping the expiry takes an entry out. */
    n = 0;
    for (unsigned number = 0; number < 1000; number++) {
        const struct key key = key_in_partition(name, "k", PARTITION, &n);
        (void)hot_expire_set(f.hot, &key, hot_find(f.hot, &key), number % 8 == 0);
    }
    hot_sample_expiring(f.hot, PARTITION, &random, SIZE_MAX, SIZE_MAX, note, &seen);
    ck_assert_uint_eq(seen.total, 125);
    fixture_close(&f);
}
END_TEST

START_TEST(sampled_entries_may_be_deleted_by_the_visitor)
{
    struct fixture f;
    fixture_open(&f);
    struct random random;
    test_random_init(&random);
    char name[32];
    unsigned n = 0;
    for (unsigned number = 0; number < 2000; number++) {
        const struct key key = key_in_partition(name, "k", PARTITION, &n);
        (void)hot_write(f.hot, &key, NULL, value_integer(number), 5, false);
    }
    for (unsigned round = 0; round < 10000 && metrics_of(&f).entry_count > 0; round++) {
        hot_sample_expiring(f.hot, PARTITION, &random, 10, 20, delete_visited, &f);
    }
    ck_assert_uint_eq(metrics_of(&f).entry_count, 0);
    fixture_close(&f);
}
END_TEST

TEST_GROUP(walk_group, a_scan_of_a_still_table_visits_everything_once,
    a_scan_misses_nothing_that_was_there_all_along, any_cursor_a_client_sends_is_safe_and_ends,
    a_visitor_may_delete_what_it_visits,
    a_sweep_removes_dead_spaces_in_bounded_steps_and_spares_the_others,
    a_sweep_skips_what_a_checkpoint_or_a_client_still_needs,
    a_random_entry_exists_and_is_of_the_space_asked_for,
    only_entries_with_an_expiry_are_sampled_within_the_bounds,
    sampled_entries_may_be_deleted_by_the_visitor)
