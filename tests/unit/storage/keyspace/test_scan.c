/*
 * test_scan.c: claims about SCAN over both tiers.
 */
#include "base/mem.h"
#include "keyspace_fixture.h"

static struct store store;
static struct client client;
static struct names names;

static void start(void)
{
    store_init(&store, test_directory_create());
    store_open(&store);
    client_open(&client, &store);
}

static void finish(void)
{
    names_deinit(&names);
    client_close(&client);
    store_close(&store, false);
}

static const char *name_of(unsigned number)
{
    static char text[32];
    (void)snprintf(text, sizeof(text), "key:%05u", number);
    return text;
}

static void fill(unsigned from, unsigned to)
{
    for (unsigned number = from; number < to; number++)
        client_set(&client, 0, name_of(number), "v");
}

/* Each of [from, to) was seen, and nothing else in `names` but keys of [0, limit). */
static void check_seen(unsigned from, unsigned to)
{
    names_unique(&names);
    size_t place = 0;
    for (unsigned number = from; number < to; number++) {
        while (place < names.count && strcmp(names.texts[place], name_of(number)) < 0)
            place++;
        ck_assert_msg(place < names.count && strcmp(names.texts[place], name_of(number)) == 0,
            "%s was not returned", name_of(number));
    }
}

START_TEST(an_iteration_returns_each_key_wherever_it_is)
{
    start();
    const uint64_t counts[] = {1, 10, 100, 5000};
    fill(0, 1000);
    for (unsigned place = 0; place < 4; place++) {
        if (place == 1)
            client_checkpoint(&client); /* all clean in RAM */
        if (place == 2)
            client_demote_all(&client); /* all cold */
        if (place == 3)
            fill(500, 1500); /* some cold, some overwritten, some only in RAM */
        for (size_t index = 0; index < COUNT_OF(counts); index++) {
            names_clear(&names);
            const unsigned steps = client_scan(&client, scan_make(0, counts[index]), &names);
            const unsigned total = place == 3 ? 1500 : 1000;
            const size_t returned = names.count;
            check_seen(0, total);
            ck_assert_uint_eq(names.count, total); /* nothing else */
            if (place < 3)
                ck_assert_uint_eq(returned, total); /* and nothing twice */
            ck_assert_uint_le(steps, 2 + 2 * total / counts[index] + 2000 / 10);
        }
    }
    finish();
}
END_TEST

START_TEST(a_step_returns_about_as_many_keys_as_it_is_asked_for)
{
    start();
    fill(0, 2000);
    for (unsigned cold = 0; cold < 2; cold++) {
        if (cold == 1)
            client_make_cold(&client);
        struct scan scan = scan_make(0, 100);
        do {
            names_clear(&names);
            client_scan_step(&client, &scan, &names);
            ck_assert_uint_le(names.count, 150);
            if (scan.cursor != 0)
                ck_assert_uint_ge(names.count, 50);
        } while (scan.cursor != 0);
    }
    finish();
}
END_TEST

START_TEST(what_never_was_in_a_checkpoint_takes_one_step)
{
    start();
    fill(0, 50);
    struct scan scan = scan_make(0, 100000);
    client_scan_step(&client, &scan, &names);
    ck_assert_uint_eq(scan.cursor, 0);
    ck_assert_uint_eq(names.count, 50);
    ck_assert_uint_eq(client.wait_count, 0); /* no read */
    client_make_cold(&client);
    client_flush(&client, 0);
    fill(0, 3);
    names_clear(&names);
    client.wait_count = 0;
    client_scan_step(&client, &scan, &names); /* a new space */
    ck_assert_uint_eq(scan.cursor, 0);
    ck_assert_uint_eq(names.count, 3);
    ck_assert_uint_eq(client.wait_count, 0);
    finish();
}
END_TEST

START_TEST(both_tiers_fit_one_step_if_the_count_allows)
{
    start();
    fill(0, 100);
    client_make_cold(&client);
    fill(100, 200);
    struct scan scan = scan_make(0, 1000);
    client_scan_step(&client, &scan, &names);
    ck_assert_uint_eq(scan.cursor, 0);
    check_seen(0, 200);
    ck_assert_uint_eq(names.count, 200);
    finish();
}
END_TEST

START_TEST(an_empty_database_ends_at_once)
{
    start();
    client_set(&client, 1, "other", "v");
    client_make_cold(&client);
    struct scan scan = scan_make(0, 10);
    client_scan_step(&client, &scan, &names);
    ck_assert_uint_eq(scan.cursor, 0);
    ck_assert_uint_eq(names.count, 0);
    finish();
}
END_TEST

START_TEST(databases_do_not_mix)
{
    start();
    for (unsigned cold = 0; cold < 2; cold++) {
        client_set(&client, 0, "zero", "v");
        client_set(&client, 1, "one", "v");
        if (cold == 1)
            client_make_cold(&client);
        names_clear(&names);
        (void)client_scan(&client, scan_make(1, 10), &names);
        ck_assert_uint_eq(names.count, 1);
        ck_assert_str_eq(names.texts[0], "one");
    }
    finish();
}
END_TEST

START_TEST(patterns_and_types_are_honoured_in_both_tiers)
{
    start();
    for (unsigned place = 0; place < 3; place++) {
        client_flush(&client, 0);
        fill(0, 300);
        client_set(&client, 0, "user:1", "v");
        client_set(&client, 0, "user:2", "v");
        client_set(&client, 0, "us*r", "v");
        if (place == 1)
            client_make_cold(&client);
        if (place == 2) {
            client_checkpoint(&client);
            client_set(&client, 0, "user:2", "w");
        }
        const struct {
            const char *pattern;
            size_t count;
        } cases[] = {{"user:*", 2}, {"user:1", 1}, {"*", 303}, {"*r:?", 2}, {"us\\*r", 1},
            {"key:0000[0-4]", 5}, {"key:0001*", 10}, {"nothing*", 0}, {"", 0}};
        for (size_t index = 0; index < COUNT_OF(cases); index++) {
            struct scan scan = scan_make(0, 10);
            scan.pattern = cases[index].pattern;
            names_clear(&names);
            (void)client_scan(&client, scan, &names);
            names_unique(&names);
            ck_assert_msg(names.count == cases[index].count, "place %u: %s gave %zu", place,
                cases[index].pattern, names.count);
        }
        struct scan scan = scan_make(0, 10);
        scan.type = VALUE_STRING;
        names_clear(&names);
        (void)client_scan(&client, scan, &names);
        names_unique(&names);
        ck_assert_uint_eq(names.count, 303);
        scan.type = VALUE_HASH;
        names_clear(&names);
        (void)client_scan(&client, scan, &names);
        ck_assert_uint_eq(names.count, 0);
    }
    finish();
}
END_TEST

START_TEST(a_filter_that_finds_nothing_does_not_make_thousands_of_pages)
{
    start();
    fill(0, 5000);
    client_make_cold(&client);
    struct scan scan = scan_make(0, 10);
    scan.pattern = "*nothing*";
    const unsigned steps = client_scan(&client, scan, &names);
    ck_assert_uint_eq(names.count, 0);
    ck_assert_uint_le(steps, 20);
    finish();
}
END_TEST

START_TEST(expired_records_are_not_returned_but_deleted_in_both_tiers)
{
    start();
    for (unsigned place = 0; place < 3; place++) {
        client.view.now_ms = 1000000;
        client_flush(&client, 0);
        fill(0, 20);
        client_set_expiring(&client, 0, "gone", "v", 1000500);
        if (place >= 1)
            client_checkpoint(&client);
        if (place == 2)
            client_demote_all(&client);
        client.view.now_ms = 1000501;
        names_clear(&names);
        (void)client_scan(&client, scan_make(0, 10), &names);
        names_unique(&names);
        ck_assert_uint_eq(names.count, 20);
        ck_assert(!names_contain(&names, "gone"));
        ck_assert_sizes(&client, 0, 20, 0);
        ck_assert_uint_eq(KEYSPACE_METRIC(&store, expired_count), place + 1);
    }
    ck_assert_uint_eq(KEYSPACE_METRIC(&store, expired_cold_count), 1);
    finish();
}
END_TEST

START_TEST(pending_deletes_hide_cold_keys_and_new_deadlines_override_old_ones)
{
    start();
    fill(0, 10);
    client_set_expiring(&client, 0, "longer", "v", 1000500);
    client_set(&client, 0, "shorter", "v");
    client_make_cold(&client);
    ck_assert(client_delete(&client, 0, name_of(3)));
    ck_assert(client_expire(&client, 0, "longer", 0));
    ck_assert(client_expire(&client, 0, "shorter", 1000500));
    client.view.now_ms = 1000501;
    (void)client_scan(&client, scan_make(0, 100), &names);
    names_unique(&names);
    ck_assert_uint_eq(names.count, 10);
    ck_assert(!names_contain(&names, name_of(3)));
    ck_assert(names_contain(&names, "longer"));
    ck_assert(!names_contain(&names, "shorter"));
    finish();
}
END_TEST

START_TEST(nothing_that_stays_is_missed_while_everything_else_changes)
{
    start();
    struct random random;
    test_random_init(&random);
    for (unsigned round = 0; round < 8; round++) {
        client_flush(&client, 0);
        fill(0, 400); /* these stay */
        if (round % 3 != 0)
            client_checkpoint(&client);
        struct scan scan = scan_make(0, 1 + random_below(&random, 30));
        names_clear(&names);
        do {
            client_scan_step(&client, &scan, &names);
            for (unsigned change = 0; change < 20; change++) {
                const unsigned number = (unsigned)random_below(&random, 2000);
                switch (random_below(&random, 4)) {
                case 0: /* others come, so that the index grows */
                case 1: client_set(&client, 0, name_of(1000 + number), "w"); break;
                case 2: (void)client_delete(&client, 0, name_of(1000 + number)); break;
                case 3: /* those that stay are overwritten and read */
                    if (number % 2 == 0)
                        client_set(&client, 0, name_of(number % 400), "w");
                    else
                        (void)client_get(&client, 0, name_of(number % 400));
                    break;
                }
            }
            switch (random_below(&random, 8)) {
            case 0: client_make_cold(&client); break;
            case 1: client_checkpoint(&client); break;
            case 2: client_demote_all(&client); break;
            default: break;
            }
        } while (scan.cursor != 0);
        check_seen(0, 400);
    }
    finish();
}
END_TEST

START_TEST(a_forgotten_cursor_repeats_keys_but_misses_none)
{
    start();
    fill(0, 500);
    client_make_cold(&client);
    struct scan scan = scan_make(0, 100);
    client_scan_step(&client, &scan, &names);
    client_scan_step(&client, &scan, &names);
    ck_assert_uint_ne(scan.cursor, 0);
    /* As many other iterations as can be remembered, and one more. */
    struct names others = {0};
    for (unsigned number = 0; number <= KEYSPACE_CURSOR_MAX; number++) {
        struct scan other = scan_make(0, 10);
        client_scan_step(&client, &other, &others);
        ck_assert_uint_ne(other.cursor, 0);
        names_clear(&others);
    }
    ck_assert_uint_eq(KEYSPACE_METRIC(&store, scan_cursor_count), KEYSPACE_CURSOR_MAX);
    names_deinit(&others);
    (void)client_scan(&client, scan, &names);
    ck_assert_uint_gt(names.count, 500);
    check_seen(0, 500);
    finish();
}
END_TEST

START_TEST(an_iteration_keeps_one_position_and_frees_it_at_its_end)
{
    start();
    fill(0, 500);
    client_make_cold(&client);
    struct scan scan = scan_make(0, 10);
    do {
        client_scan_step(&client, &scan, &names);
        ck_assert_uint_eq(KEYSPACE_METRIC(&store, scan_cursor_count), scan.cursor == 0 ? 0 : 1);
        ck_assert_uint_lt(scan.cursor, (uint64_t)1 << 53); /* clients may keep it in a double */
    } while (scan.cursor != 0);
    finish();
}
END_TEST

START_TEST(cursors_of_another_process_or_made_up_end_and_miss_nothing_cold)
{
    start();
    fill(0, 300);
    client_make_cold(&client);
    struct scan scan = scan_make(0, 50);
    client_scan_step(&client, &scan, &names);
    client_close(&client);
    store_reopen(&store, true);
    client_open(&client, &store);
    names_clear(&names);
    (void)client_scan(&client, scan, &names);
    check_seen(0, 300);
    struct random random;
    test_random_init(&random);
    for (unsigned round = 0; round < 200; round++) {
        scan.cursor = random_next(&random) >> random_below(&random, 64);
        names_clear(&names);
        (void)client_scan(&client, scan, &names);
    }
    finish();
}
END_TEST

START_TEST(a_flush_or_swap_in_the_middle_begins_the_iteration_again)
{
    start();
    for (unsigned kind = 0; kind < 2; kind++) {
        client_flush_all(&client);
        fill(0, 300);
        client_set(&client, 1, "other", "v");
        client_make_cold(&client);
        struct scan scan = scan_make(0, 50);
        names_clear(&names);
        client_scan_step(&client, &scan, &names);
        ck_assert_uint_ne(scan.cursor, 0);
        if (kind == 0) {
            client_flush(&client, 0);
            fill(1000, 1100);
        } else {
            client_swap(&client, 0, 1);
        }
        names_clear(&names);
        (void)client_scan(&client, scan, &names);
        if (kind == 0) {
            check_seen(1000, 1100);
            ck_assert_uint_eq(names.count, 100);
        } else {
            ck_assert_uint_eq(names.count, 1);
            ck_assert_str_eq(names.texts[0], "other");
        }
    }
    finish();
}
END_TEST

START_TEST(long_and_odd_names_are_returned)
{
    start();
    char *const large = mem_alloc(3001);
    for (unsigned place = 0; place < 2; place++) {
        client_set(&client, 0, "", "empty");
        client_set(&client, 0, "\xff\xff\xff", "high");
        for (unsigned number = 0; number < 40; number++) {
            memset(large, 'l', 3000);
            large[3000] = '\0';
            large[20 + number * 50] = 'x'; /* they differ before and behind what a cold key keeps */
            client_set(&client, 0, large, "v");
        }
        if (place == 1)
            client_make_cold(&client);
        for (uint64_t count = 1; count < 100; count *= 7) {
            names_clear(&names);
            (void)client_scan(&client, scan_make(0, count), &names);
            names_unique(&names);
            ck_assert_uint_eq(names.count, 42);
            ck_assert(names_contain(&names, ""));
        }
        struct scan scan = scan_make(0, 3);
        scan.pattern = "llllllllllllllllllllx*";
        names_clear(&names);
        (void)client_scan(&client, scan, &names);
        names_unique(&names);
        ck_assert_uint_eq(names.count, 1);
        memset(large, 'l', 3000);
        memcpy(large + 600, "*", 2); /* a prefix longer than what a cold key keeps */
        scan.pattern = large;
        names_clear(&names);
        (void)client_scan(&client, scan, &names);
        names_unique(&names);
        ck_assert_uint_eq(names.count, 28); /* those that differ at 600 or later */
    }
    mem_free(large);
    finish();
}
END_TEST

TEST_GROUP(scan_group, an_iteration_returns_each_key_wherever_it_is,
    a_step_returns_about_as_many_keys_as_it_is_asked_for,
    what_never_was_in_a_checkpoint_takes_one_step, both_tiers_fit_one_step_if_the_count_allows,
    an_empty_database_ends_at_once, databases_do_not_mix,
    patterns_and_types_are_honoured_in_both_tiers,
    a_filter_that_finds_nothing_does_not_make_thousands_of_pages,
    expired_records_are_not_returned_but_deleted_in_both_tiers,
    pending_deletes_hide_cold_keys_and_new_deadlines_override_old_ones,
    nothing_that_stays_is_missed_while_everything_else_changes,
    a_forgotten_cursor_repeats_keys_but_misses_none,
    an_iteration_keeps_one_position_and_frees_it_at_its_end,
    cursors_of_another_process_or_made_up_end_and_miss_nothing_cold,
    a_flush_or_swap_in_the_middle_begins_the_iteration_again, long_and_odd_names_are_returned)
