/*
 * test_watch.c: claims about WATCH, as Redis 7.2 behaves (tests/unit/multi.tcl names most of them).
 */
#include "keyspace_fixture.h"

static struct store store;
static struct client client;
static struct keyspace_watcher watcher;

static void start(void)
{
    store_init(&store, test_directory_create());
    store_open(&store);
    client_open(&client, &store);
    watcher = (struct keyspace_watcher){0};
}

static void finish(void)
{
    client_unwatch(&client, &watcher);
    ck_assert_uint_eq(KEYSPACE_METRIC(&store, watch_count), 0);
    client_close(&client);
    store_close(&store, false);
}

static bool touched(void)
{
    return client_is_touched(&client, &watcher);
}

START_TEST(every_kind_of_change_touches)
{
    start();
    for (unsigned kind = 0; kind < 6; kind++) {
        client_set(&client, 0, "a", "abc");
        client_watch(&client, &watcher, 0, "a");
        client_watch(&client, &watcher, 0, "b");
        ck_assert(!touched());
        switch (kind) {
        case 0: client_set(&client, 0, "a", "2"); break;
        case 1: ck_assert(client_delete(&client, 0, "a")); break;
        case 2: ck_assert(client_expire(&client, 0, "a", 9000000)); break;
        case 3:
            client_set(&client, 0, "b", "2"); /* it did not exist */
            break;
        case 4: {
            const struct key key = client_lock(&client, 0, "a", TIER_NEED_VALUE);
            struct hot_record *const record = keyspace_find(&client.view, &key, KEYSPACE_WRITE);
            keyspace_edit_begin(&client.view, &key, record);
            keyspace_edit_end(&client.view, &key, record, 0);
            client_unlock(&client);
            break;
        }
        case 5:
            client_set(&client, 0, "a", "abc"); /* the same value */
            break;
        }
        ck_assert_msg(touched(), "kind %u", kind);
        client_unwatch(&client, &watcher);
        ck_assert(!touched());
        (void)client_delete(&client, 0, "b");
    }
    finish();
}
END_TEST

START_TEST(what_is_not_a_change_of_the_key_does_not_touch)
{
    start();
    client_set(&client, 0, "a", "1");
    client_watch(&client, &watcher, 0, "a");
    client_watch(&client, &watcher, 0, "missing");
    ck_assert_value(&client, 0, "a", "1");
    client_set(&client, 0, "b", "1");
    client_set(&client, 1, "a", "other database");
    ck_assert(!client_delete(&client, 0, "missing"));
    client_make_cold(&client); /* moving between tiers is none */
    ck_assert_value(&client, 0, "a", "1");
    client_flush(&client, 1);
    ck_assert(!touched());
    finish();
}
END_TEST

START_TEST(watching_twice_is_once_and_several_may_watch)
{
    start();
    struct keyspace_watcher second = {0};
    client_watch(&client, &watcher, 0, "a");
    client_watch(&client, &watcher, 0, "a");
    ck_assert_uint_eq(KEYSPACE_METRIC(&store, watch_count), 1);
    client_watch(&client, &watcher, 1, "a");
    client_watch(&client, &second, 0, "a");
    ck_assert_uint_eq(KEYSPACE_METRIC(&store, watch_count), 3);
    const struct key key = keyspace_key_in(&client.view, 0, SLICE_LITERAL("a"));
    ck_assert_uint_eq(
        keyspace_watch_stripes(store.keyspace, &second), hot_stripe(client.view.hot, &key));
    client_unwatch(&client, &watcher);
    ck_assert_uint_eq(keyspace_watch_stripes(store.keyspace, &watcher), 0);
    client_set(&client, 0, "a", "1");
    ck_assert(!touched());
    ck_assert(client_is_touched(&client, &second));
    client_unwatch(&client, &second);
    finish();
}
END_TEST

START_TEST(a_touched_watcher_watches_nothing_more_until_it_forgets)
{
    start();
    client_watch(&client, &watcher, 0, "a");
    client_set(&client, 0, "a", "1");
    client_watch(&client, &watcher, 0, "b");
    ck_assert_uint_eq(KEYSPACE_METRIC(&store, watch_count), 1);
    ck_assert(touched());
    client_unwatch(&client, &watcher);
    client_watch(&client, &watcher, 0, "b");
    ck_assert(!touched());
    finish();
}
END_TEST

START_TEST(a_thousand_watches_are_each_found)
{
    start();
    char name[16];
    for (unsigned number = 0; number < 1000; number++) {
        (void)snprintf(name, sizeof(name), "k%u", number);
        client_watch(&client, &watcher, 0, name);
    }
    ck_assert_uint_eq(KEYSPACE_METRIC(&store, watch_count), 1000);
    client_set(&client, 0, "k1000", "1");
    ck_assert(!touched());
    client_set(&client, 0, "k777", "1");
    ck_assert(touched());
    finish();
}
END_TEST

/* --- expiry -------------------------------------------------------------------------------------------- */

START_TEST(exec_fails_if_a_watched_key_has_expired_since)
{
    start();
    client_set_expiring(&client, 0, "a", "1", 1000500);
    client_watch(&client, &watcher, 0, "a");
    client.view.now_ms = 1000500;
    ck_assert(!touched());
    client.view.now_ms = 1000501; /* nobody has looked at the key */
    ck_assert(touched());
    finish();
}
END_TEST

START_TEST(the_deletion_of_a_key_that_expired_after_watch_touches)
{
    start();
    client_set_expiring(&client, 0, "a", "1", 1000500);
    client_watch(&client, &watcher, 0, "a");
    client.view.now_ms = 1000501;
    ck_assert(!client_exists(&client, 0, "a"));
    client.view.now_ms = 1000400; /* touched it is, whatever the time */
    ck_assert(touched());
    finish();
}
END_TEST

START_TEST(the_deletion_of_a_key_that_was_expired_when_watched_does_not_touch)
{
    start();
    for (unsigned cold = 0; cold < 2; cold++) {
        client.view.now_ms = 1000000;
        client_set_expiring(&client, 0, "a", "1", 1000500);
        if (cold == 1)
            client_make_cold(&client);
        client.view.now_ms = 1000501;
        client_watch(&client, &watcher, 0, "a"); /* does not delete it */
        ck_assert_sizes(&client, 0, 1, 1);
        ck_assert(!touched());
        ck_assert(!client_exists(&client, 0, "a"));
        ck_assert_sizes(&client, 0, 0, 0);
        ck_assert(!touched());
        client_set(&client, 0, "a", "2"); /* that is a change */
        ck_assert(touched());
        client_unwatch(&client, &watcher);
        ck_assert(client_delete(&client, 0, "a"));
    }
    finish();
}
END_TEST

START_TEST(a_flush_of_a_key_that_was_expired_when_watched_does_not_touch)
{
    start();
    client_set_expiring(&client, 0, "a", "1", 1000500);
    client.view.now_ms = 1000501;
    client_watch(&client, &watcher, 0, "a");
    client_flush(&client, 0);
    ck_assert(!touched());
    client_set(&client, 0, "a", "2"); /* in the new space */
    ck_assert(touched());
    finish();
}
END_TEST

/* --- flush and swap -------------------------------------------------------------------------------------------- */

START_TEST(a_flush_touches_watchers_of_keys_that_exist)
{
    start();
    for (unsigned all = 0; all < 2; all++) {
        for (unsigned cold = 0; cold < 2; cold++) {
            client_set(&client, 1, "a", "1");
            if (cold == 1)
                client_make_cold(&client);
            client_watch(&client, &watcher, 1, "a");
            if (all == 1)
                client_flush_all(&client);
            else
                client_flush(&client, 1);
            ck_assert(touched());
            client_unwatch(&client, &watcher);
        }
    }
    finish();
}
END_TEST

START_TEST(a_flush_does_not_touch_watchers_of_keys_that_do_not_exist)
{
    start();
    client_set(&client, 0, "other", "1");
    client_watch(&client, &watcher, 0, "missing");
    client_flush(&client, 0);
    ck_assert(!touched());
    client_set(&client, 0, "other", "1");
    client_flush_all(&client);
    ck_assert(!touched());
    client_set(&client, 0, "missing", "1"); /* its watch has followed the database */
    ck_assert(touched());
    finish();
}
END_TEST

START_TEST(a_swap_touches_watchers_of_keys_that_exist_in_either_database)
{
    start();
    const struct {
        bool here, there, touches;
    } cases[] = {
        {true, false, true}, {false, true, true}, {true, true, true}, {false, false, false}};
    for (unsigned place = 0; place < 3; place++) { /* hot, cold, cold with a pending delete */
        for (size_t index = 0; index < COUNT_OF(cases); index++) {
            client_flush_all(&client);
            client_set(&client, 0, "filler", "1");
            client_set(&client, 1, "filler", "1");
            if (cases[index].here || place == 2)
                client_set(&client, 0, "a", "1");
            if (cases[index].there || place == 2)
                client_set(&client, 1, "a", "1");
            if (place > 0)
                client_make_cold(&client);
            if (place == 2 && !cases[index].here)
                ck_assert(client_delete(&client, 0, "a"));
            if (place == 2 && !cases[index].there)
                ck_assert(client_delete(&client, 1, "a"));
            client_watch(&client, &watcher, 0, "a");
            client_swap(&client, 0, 1);
            ck_assert_msg(touched() == cases[index].touches, "place %u case %zu", place, index);
            client_unwatch(&client, &watcher);
        }
    }
    finish();
}
END_TEST

START_TEST(an_untouched_watch_follows_its_database_through_a_swap)
{
    start();
    client_set(&client, 0, "x", "1");
    client_watch(&client, &watcher, 0, "a");
    client_swap(&client, 0, 1);
    ck_assert(!touched());
    client_set(&client, 1, "a", "1"); /* the space it was watched in */
    ck_assert(!touched());
    client_set(&client, 0, "a", "1");
    ck_assert(touched());
    finish();
}
END_TEST

START_TEST(a_swap_with_expired_keys_touches_only_if_something_can_be_seen_to_change)
{
    start();
    /* missing, replaced by expired: not touched; its deletion does not touch either */
    client_set_expiring(&client, 1, "a", "1", 1000500);
    client.view.now_ms = 1000501;
    client_watch(&client, &watcher, 0, "a");
    client_swap(&client, 0, 1);
    ck_assert(!touched());
    ck_assert(!client_exists(&client, 0, "a"));
    ck_assert(!touched());
    client_unwatch(&client, &watcher);

    /* expired, replaced by missing */
    client.view.now_ms = 1000000;
    client_set_expiring(&client, 0, "b", "1", 1000500);
    client.view.now_ms = 1000501;
    client_watch(&client, &watcher, 0, "b");
    client_swap(&client, 0, 1);
    ck_assert(!touched());
    client_unwatch(&client, &watcher);

    /* expired, replaced by alive */
    client.view.now_ms = 1000000;
    client_set_expiring(&client, 0, "c", "1", 1000500);
    client_set(&client, 1, "c", "1");
    client.view.now_ms = 1000501;
    client_watch(&client, &watcher, 0, "c");
    client_swap(&client, 0, 1);
    ck_assert(touched());
    finish();
}
END_TEST

START_TEST(beyond_the_limit_a_watcher_is_touched_at_once)
{
    start();
    /* The limit on bytes of names is the cheaper one to reach. */
    const size_t size = 32 * 1024 * 1024;
    struct buf name = {0};
    memset(buf_reserve(&name, size), 'n', size);
    name.size = size;
    for (unsigned number = 0; number < 9; number++) {
        ck_assert(!atomic_load(&watcher.touched));
        name.data[0] = (char)('a' + number);
        const struct key key = keyspace_key_in(&client.view, 0, buf_slice(&name));
        tier_turn_lock(client.turn, hot_stripe(client.view.hot, &key));
        keyspace_watch(&client.view, &watcher, &key, 0);
        tier_turn_unlock(client.turn);
    }
    ck_assert(atomic_load(&watcher.touched));
    buf_deinit(&name);
    finish();
}
END_TEST

TEST_GROUP(watch_group, every_kind_of_change_touches,
    what_is_not_a_change_of_the_key_does_not_touch, watching_twice_is_once_and_several_may_watch,
    a_touched_watcher_watches_nothing_more_until_it_forgets, a_thousand_watches_are_each_found,
    exec_fails_if_a_watched_key_has_expired_since,
    the_deletion_of_a_key_that_expired_after_watch_touches,
    the_deletion_of_a_key_that_was_expired_when_watched_does_not_touch,
    a_flush_of_a_key_that_was_expired_when_watched_does_not_touch,
    a_flush_touches_watchers_of_keys_that_exist,
    a_flush_does_not_touch_watchers_of_keys_that_do_not_exist,
    a_swap_touches_watchers_of_keys_that_exist_in_either_database,
    an_untouched_watch_follows_its_database_through_a_swap,
    a_swap_with_expired_keys_touches_only_if_something_can_be_seen_to_change,
    beyond_the_limit_a_watcher_is_touched_at_once)
