/*
 * test_walk.c: claims about KEYS and RANDOMKEY.
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

static size_t keys(const char *pattern)
{
    names_clear(&names);
    client_keys(&client, 0, pattern, &names);
    const size_t count = names.count;
    names_unique(&names);
    ck_assert_uint_eq(names.count, count); /* each once */
    return count;
}

START_TEST(keys_gives_each_key_once_wherever_it_is)
{
    start();
    fill(0, 6000); /* more than a chunk of a cold read */
    client_set(&client, 1, "other", "v");
    ck_assert_uint_eq(keys("*"), 6000);
    ck_assert_uint_eq(client.wait_count, 0);
    client_checkpoint(&client);
    ck_assert_uint_eq(keys("*"), 6000);
    client_demote_all(&client);
    ck_assert_uint_eq(keys("*"), 6000);
    fill(5000, 7000);
    (void)client_get(&client, 0, name_of(17));
    ck_assert(client_delete(&client, 0, name_of(18)));
    ck_assert_uint_eq(keys("*"), 6999);
    ck_assert_uint_eq(keys("key:0001?"), 9);
    ck_assert_uint_eq(keys("*17"), 70);
    ck_assert_uint_eq(keys(name_of(4)), 1);
    ck_assert_uint_eq(keys("none"), 0);
    finish();
}
END_TEST

START_TEST(keys_hides_expired_records_and_leaves_them_alone)
{
    start();
    client_set_expiring(&client, 0, "cold", "v", 1000500);
    client_set_expiring(&client, 0, "extended", "v", 1000500);
    client_make_cold(&client);
    client_set_expiring(&client, 0, "hot", "v", 1000500);
    ck_assert(client_expire(&client, 0, "extended", 2000000));
    ck_assert_uint_eq(keys("*"), 3);
    client.view.now_ms = 1000501;
    ck_assert_uint_eq(keys("*"), 1);
    ck_assert_sizes(&client, 0, 3, 3);
    finish();
}
END_TEST

/* A walk that is taken step by step, so that things happen in between. */
struct manual {
    struct keyspace_walk *walk;
    struct tier_wait wait;
    bool resumed;
};

static void resumed(struct task *task)
{
    struct tier_wait *const wait = CONTAINER_OF(task, struct tier_wait, task);
    ((struct manual *)wait->context)->resumed = true;
}

static void emit(void *context, struct slice key)
{
    names_add(context, key);
}

static void manual_begin(struct manual *manual, const struct keyspace_walk_options *options)
{
    tier_wait_init(&manual->wait, client.turn, resumed);
    manual->wait.context = manual;
    manual->resumed = false;
    manual->walk = keyspace_walk_create(store.keyspace, options, client.turn, &manual->wait);
}

static enum status manual_prepare(struct manual *manual)
{
    const enum status status = keyspace_walk_prepare(manual->walk, client.view.now_ms);
    if (status == ST_PENDING) {
        while (!manual->resumed)
            (void)client_pump(&client, 1000);
        manual->resumed = false;
    }
    return status;
}

static uint64_t manual_finish(struct manual *manual)
{
    client_lock_all(&client);
    const uint64_t cursor = keyspace_walk_finish(manual->walk, &client.view, emit, &names);
    client_unlock(&client);
    keyspace_walk_destroy(manual->walk);
    return cursor;
}

START_TEST(keys_that_stay_are_found_although_they_move_during_the_walk)
{
    start();
    const struct keyspace_walk_options options = {
        .kind = KEYSPACE_WALK_KEYS, .pattern = SLICE_LITERAL("*"), .type = -1};
    for (unsigned moment = 0; moment < 4; moment++) {
        client_flush(&client, 0);
        fill(1000, 9000);
        client_make_cold(&client);
        fill(0, 10); /* dirty, and in front of the range */
        client_set_expiring(&client, 0, name_of(1001), "v", 1000500);
        ck_assert(client_expire(&client, 0, name_of(1001), 0));
        ck_assert(client_delete(&client, 0, name_of(1002)));
        ck_assert(client_delete(&client, 0, name_of(8002)));
        struct manual manual;
        manual_begin(&manual, &options);
        names_clear(&names);
        unsigned step = 0;
        for (;;) {
            if (step++ == moment) {
                client_make_cold(&client); /* what was dirty is committed and leaves RAM */
                fill(9000, 9010);
            }
            if (manual_prepare(&manual) == ST_OK)
                break;
        }
        (void)manual_finish(&manual);
        names_unique(&names);
        for (unsigned number = 0; number < 10; number++)
            ck_assert(names_contain(&names, name_of(number)));
        for (unsigned number = 1000; number < 9000; number += 100)
            ck_assert(names_contain(&names, name_of(number)));
        ck_assert(names_contain(&names, name_of(1001)));
        ck_assert(!names_contain(&names, name_of(1002)));
        ck_assert(!names_contain(&names, name_of(8002)));
        ck_assert_uint_ge(names.count, 8008);
        ck_assert_uint_le(names.count, 8018);
    }
    finish();
}
END_TEST

START_TEST(a_step_of_scan_is_right_although_a_checkpoint_commits_in_it)
{
    start();
    fill(0, 20);
    client_set_expiring(&client, 0, "persisted", "v", 1000500);
    client_make_cold(&client);
    ck_assert(client_expire(&client, 0, "persisted", 0));
    ck_assert(client_delete(&client, 0, name_of(7)));
    client.view.now_ms = 1000501;
    const struct keyspace_walk_options options = {
        .kind = KEYSPACE_WALK_SCAN, .count = 100, .type = -1};
    struct manual manual;
    manual_begin(&manual, &options);
    ck_assert_int_eq(manual_prepare(&manual), ST_PENDING); /* the range has been read */
    client_make_cold(&client);                             /* and is out of date */
    enum status status;
    while ((status = manual_prepare(&manual)) == ST_PENDING) {
    }
    ck_assert_int_eq(status, ST_OK);
    struct scan scan = scan_make(0, 100);
    scan.cursor = manual_finish(&manual);
    if (scan.cursor != 0)
        (void)client_scan(&client, scan, &names);
    names_unique(&names);
    ck_assert_uint_eq(names.count, 20);
    ck_assert(names_contain(&names, "persisted"));
    ck_assert(!names_contain(&names, name_of(7)));
    ck_assert_sizes(&client, 0, 20, 0);
    finish();
}
END_TEST

START_TEST(a_cold_record_that_got_a_new_deadline_is_not_deleted_by_an_old_reading)
{
    start();
    client_set_expiring(&client, 0, "a", "v", 1000500);
    client_make_cold(&client);
    client.view.now_ms = 1000501;
    const struct keyspace_walk_options options = {
        .kind = KEYSPACE_WALK_SCAN, .count = 100, .type = -1};
    struct manual manual;
    manual_begin(&manual, &options);
    ck_assert_int_eq(manual_prepare(&manual), ST_PENDING);
    ck_assert_int_eq(manual_prepare(&manual), ST_OK); /* seen, and over */
    client.view.now_ms = 1000400;
    ck_assert(client_expire(&client, 0, "a", 2000000));
    client_make_cold(&client);
    client.view.now_ms = 1000501;
    (void)manual_finish(&manual);
    ck_assert_value(&client, 0, "a", "v");
    finish();
}
END_TEST

START_TEST(a_walk_that_was_held_up_looks_again)
{
    start();
    fill(0, 10);
    const struct keyspace_walk_options options = {
        .kind = KEYSPACE_WALK_KEYS, .pattern = SLICE_LITERAL("*"), .type = -1};
    struct manual manual;
    manual_begin(&manual, &options);
    ck_assert_int_eq(manual_prepare(&manual), ST_OK); /* all in RAM */
    client_make_cold(&client);
    enum status status;
    while ((status = manual_prepare(&manual)) == ST_PENDING) {
    }
    ck_assert_int_eq(status, ST_OK);
    (void)manual_finish(&manual);
    ck_assert_uint_eq(names.count, 10);
    finish();
}
END_TEST

START_TEST(a_flush_during_keys_or_random_is_seen)
{
    start();
    for (unsigned kind = 0; kind < 2; kind++) {
        fill(0, 200);
        client_make_cold(&client);
        const struct keyspace_walk_options options = {
            .kind = kind == 0 ? KEYSPACE_WALK_KEYS : KEYSPACE_WALK_RANDOM,
            .pattern = SLICE_LITERAL("*"),
            .type = -1};
        struct manual manual;
        manual_begin(&manual, &options);
        ck_assert_int_eq(manual_prepare(&manual), ST_PENDING);
        client_flush(&client, 0);
        client_set(&client, 0, "new", "v");
        enum status status;
        while ((status = manual_prepare(&manual)) == ST_PENDING) {
        }
        ck_assert_int_eq(status, ST_OK);
        names_clear(&names);
        (void)manual_finish(&manual);
        ck_assert_uint_eq(names.count, 1);
        ck_assert_str_eq(names.texts[0], "new");
        client_flush(&client, 0);
    }
    finish();
}
END_TEST

START_TEST(what_happens_between_prepare_and_finish_is_seen)
{
    /* As in MULTI: everything is prepared before the first command of the transaction. */
    start();
    for (unsigned cold = 0; cold < 2; cold++) {
        for (unsigned kind = 0; kind < 3; kind++) {
            client_flush_all(&client);
            fill(0, 50);
            if (cold == 1)
                client_make_cold(&client);
            char pattern[] = "*e*";
            const struct keyspace_walk_options options = {.kind = (enum keyspace_walk_kind)kind,
                .count = 1000,
                .pattern = slice_text(pattern),
                .type = -1};
            struct manual manual;
            manual_begin(&manual, &options);
            pattern[1] = 'x'; /* the walk has its own */
            while (manual_prepare(&manual) == ST_PENDING) {
            }
            client_flush(&client, 0);
            client_set(&client, 0, "new", "v");
            names_clear(&names);
            ck_assert_uint_eq(manual_finish(&manual), 0);
            ck_assert_uint_eq(names.count, 1);
            ck_assert_str_eq(names.texts[0], "new");
        }
    }
    finish();
}
END_TEST

START_TEST(keys_deleted_between_prepare_and_finish_are_not_returned)
{
    start();
    for (unsigned cold = 0; cold < 2; cold++) {
        for (unsigned kind = 0; kind < 2; kind++) {
            fill(0, 50);
            if (cold == 1)
                client_make_cold(&client);
            const struct keyspace_walk_options options = {.kind = (enum keyspace_walk_kind)kind,
                .count = 1000,
                .pattern = SLICE_LITERAL("key:0*"),
                .type = -1};
            struct manual manual;
            manual_begin(&manual, &options);
            while (manual_prepare(&manual) == ST_PENDING) {
            }
            ck_assert(client_delete(&client, 0, name_of(7)));
            names_clear(&names);
            ck_assert_uint_eq(manual_finish(&manual), 0);
            ck_assert_uint_eq(names.count, 49);
            ck_assert(!names_contain(&names, name_of(7)));
        }
    }
    finish();
}
END_TEST

/* --- RANDOMKEY ------------------------------------------------------------------------------------------- */

START_TEST(random_gives_nothing_only_if_there_is_nothing)
{
    start();
    ck_assert_ptr_null(client_random(&client, 0));
    fill(0, 300);
    client_make_cold(&client);
    client_set(
        &client, 1, "one", "v"); /* one key in a large index, and the other database all cold */
    for (unsigned round = 0; round < 20; round++) {
        ck_assert_str_eq(client_random(&client, 1), "one");
        ck_assert_ptr_nonnull(client_random(&client, 0));
        ck_assert_ptr_null(client_random(&client, 2));
    }
    client_make_cold(&client);
    ck_assert_str_eq(client_random(&client, 1), "one");
    ck_assert(client_delete(&client, 1, "one"));
    ck_assert_ptr_null(client_random(&client, 1));
    finish();
}
END_TEST

static unsigned missing_after(unsigned total, unsigned rounds)
{
    bool *const seen = mem_alloc_zero(total * sizeof(*seen));
    for (unsigned round = 0; round < rounds; round++) {
        const char *const name = client_random(&client, 0);
        ck_assert_ptr_nonnull(name);
        unsigned number = 0;
        ck_assert_int_eq(sscanf(name, "key:%u", &number), 1);
        ck_assert_uint_lt(number, total);
        seen[number] = true;
    }
    unsigned missing = 0;
    for (unsigned number = 0; number < total; number++)
        missing += !seen[number];
    mem_free(seen);
    return missing;
}

START_TEST(random_reaches_every_key_of_either_tier)
{
    start();
    fill(0, 300);
    ck_assert_uint_eq(missing_after(300, 60000), 0);
    client_make_cold(&client);
    ck_assert_uint_eq(missing_after(300, 6000), 0);
    fill(100, 200); /* a hundred in RAM, where some are drawn seldom: not all of them, but most */
    ck_assert_uint_le(missing_after(300, 3000), 60);
    finish();
}
END_TEST

START_TEST(random_reaches_names_that_begin_with_one_another)
{
    start();
    static const struct {
        const char *prefix;
        unsigned count;
    } families[] = {{"", 10}, {"-", 70}, {"--", 5}, {"2-family-with-a-long-name:", 70}};
    char name[64];
    struct names all = {0};
    for (size_t index = 0; index < COUNT_OF(families); index++) {
        client_set(&client, 0, families[index].prefix, "v");
        names_add(&all, slice_text(families[index].prefix));
        for (unsigned number = 0; number < families[index].count; number++) {
            (void)snprintf(name, sizeof(name), "%s%c", families[index].prefix, (char)(40 + number));
            client_set(&client, 0, name, "v");
            names_add(&all, slice_text(name));
        }
    }
    names_unique(&all);
    client_make_cold(&client);
    bool *const seen = mem_alloc_zero(all.count * sizeof(*seen));
    size_t left = all.count;
    for (unsigned round = 0; left > 0; round++) {
        for (size_t index = 0; round == 100000 && index < all.count; index++)
            ck_assert_msg(seen[index], "%s is not reached", all.texts[index]);
        const char *const found = client_random(&client, 0);
        for (size_t index = 0; index < all.count; index++) {
            if (!seen[index] && strcmp(all.texts[index], found) == 0) {
                seen[index] = true;
                left--;
            }
        }
    }
    mem_free(seen);
    names_deinit(&all);
    finish();
}
END_TEST

START_TEST(random_draws_numbered_keys_about_evenly)
{
    start();
    fill(0, 1000);
    client_make_cold(&client);
    unsigned tens[10] = {0};
    for (unsigned round = 0; round < 4000; round++) {
        unsigned number = 0;
        ck_assert_int_eq(sscanf(client_random(&client, 0), "key:%u", &number), 1);
        tens[number / 100]++;
    }
    for (unsigned ten = 0; ten < 10; ten++) {
        ck_assert_uint_ge(tens[ten], 200);
        ck_assert_uint_le(tens[ten], 700);
    }
    finish();
}
END_TEST

START_TEST(random_finds_the_one_that_lives_among_those_that_do_not)
{
    start();
    char name[32];
    for (unsigned number = 0; number < 300; number++) {
        (void)snprintf(name, sizeof(name), "over:%u", number);
        client_set_expiring(&client, 0, name, "v", 1000500);
    }
    fill(0, 300);
    client_make_cold(&client);
    for (unsigned number = 0; number < 300; number++) {
        if (number != 123)
            ck_assert(client_delete(&client, 0, name_of(number)));
    }
    client.view.now_ms = 1000501;
    for (unsigned round = 0; round < 10; round++)
        ck_assert_str_eq(client_random(&client, 0), name_of(123));
    ck_assert(client_delete(&client, 0, name_of(123)));
    for (unsigned round = 0; round < 3; round++)
        ck_assert_ptr_null(client_random(&client, 0));
    finish();
}
END_TEST

TEST_GROUP(walk_group, keys_gives_each_key_once_wherever_it_is,
    keys_hides_expired_records_and_leaves_them_alone,
    keys_that_stay_are_found_although_they_move_during_the_walk,
    a_step_of_scan_is_right_although_a_checkpoint_commits_in_it,
    a_cold_record_that_got_a_new_deadline_is_not_deleted_by_an_old_reading,
    a_walk_that_was_held_up_looks_again, a_flush_during_keys_or_random_is_seen,
    what_happens_between_prepare_and_finish_is_seen,
    keys_deleted_between_prepare_and_finish_are_not_returned,
    random_gives_nothing_only_if_there_is_nothing, random_reaches_every_key_of_either_tier,
    random_reaches_names_that_begin_with_one_another, random_draws_numbered_keys_about_evenly,
    random_finds_the_one_that_lives_among_those_that_do_not)
