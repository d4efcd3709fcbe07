/*
 * test_expire.c: claims about active expiry.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "keyspace_fixture.h"
#include "storage/dict.h"

#include <sched.h>

static struct store store;
static struct client client;

static void start(void)
{
    store_init(&store, test_directory_create());
    store_open(&store);
    client_open(&client, &store);
}

static void finish(void)
{
    client_close(&client);
    store_close(&store, false);
}

static const char *name_of(const char *family, unsigned number)
{
    static char text[32];
    (void)snprintf(text, sizeof(text), "%s:%05u", family, number);
    return text;
}

static void fill(unsigned database, const char *family, unsigned count, uint64_t expire_ms)
{
    for (unsigned number = 0; number < count; number++)
        client_set_expiring(&client, database, name_of(family, number), "v", expire_ms);
}

static void hot_steps(unsigned count)
{
    for (unsigned step = 0; step < count; step++)
        keyspace_expire_hot_step(&client.view, &client.random);
}

/* One read of what is due, to its end. The steps between the reads' intervals do nothing, so time is faked. */
static void cold_step(void)
{
    clock_fake_advance(1000);
    keyspace_expire_cold_step(&client.view);
    while (!tier_turn_is_idle(client.turn))
        (void)client_pump(&client, 1000);
}

START_TEST(hot_records_past_their_deadline_are_deleted_by_themselves)
{
    start();
    fill(0, "over", 2000, 1000500);
    fill(1, "over", 100, 1000500);
    fill(0, "alive", 300, 9000000);
    fill(0, "for-ever", 300, 0);
    client.view.now_ms = 1000500;
    hot_steps(400);
    ck_assert_sizes(&client, 0, 2600, 2300);
    client.view.now_ms = 1000501;
    hot_steps(4000);
    ck_assert_sizes(&client, 0, 600, 300);
    ck_assert_sizes(&client, 1, 0, 0);
    ck_assert_uint_eq(KEYSPACE_METRIC(&store, expired_count), 2100);
    ck_assert_uint_eq(KEYSPACE_METRIC(&store, expired_cold_count), 0);
    ck_assert_value(&client, 0, "alive:00007", "v");
    client_close(&client);
    store_reopen(&store, false); /* the deletions are in the log */
    client_open(&client, &store);
    ck_assert_sizes(&client, 0, 600, 300);
    ck_assert_sizes(&client, 1, 0, 0);
    finish();
}
END_TEST

START_TEST(the_average_life_left_is_known)
{
    start();
    fill(0, "a", 500, client.view.now_ms + 10000);
    fill(1, "b", 500, client.view.now_ms + 50000);
    hot_steps(200);
    ck_assert_uint_ge(keyspace_average_ttl_ms(store.keyspace, 0), 9000);
    ck_assert_uint_le(keyspace_average_ttl_ms(store.keyspace, 0), 10000);
    ck_assert_uint_ge(keyspace_average_ttl_ms(store.keyspace, 1), 45000);
    ck_assert_uint_eq(keyspace_average_ttl_ms(store.keyspace, 2), 0);
    finish();
}
END_TEST

START_TEST(active_expiry_can_be_turned_off)
{
    start();
    fill(0, "over", 100, 1000500);
    client_make_cold(&client);
    fill(1, "over", 100, 1000500);
    client.view.now_ms = 1000501;
    clock_fake_set(client.view.now_ms, 5000000);
    keyspace_active_expire_set(store.keyspace, false);
    hot_steps(200);
    cold_step();
    ck_assert_sizes(&client, 0, 100, 100);
    ck_assert_sizes(&client, 1, 100, 100);
    keyspace_active_expire_set(store.keyspace, true);
    hot_steps(400);
    cold_step();
    ck_assert_sizes(&client, 0, 0, 0);
    ck_assert_sizes(&client, 1, 0, 0);
    clock_fake_set(0, 0);
    finish();
}
END_TEST

START_TEST(cold_records_past_their_deadline_are_deleted_by_themselves)
{
    start();
    fill(0, "over", 500, 1000500);
    fill(3, "over", 50, 1000500);
    fill(0, "alive", 100, 9000000);
    client_make_cold(&client);
    client.view.now_ms = 1000500;
    clock_fake_set(client.view.now_ms, 5000000);
    cold_step();
    ck_assert_sizes(&client, 0, 600, 600);
    client.view.now_ms = 1000501;
    clock_fake_set(client.view.now_ms, 9000000);
    cold_step();
    ck_assert_sizes(&client, 0, 100, 100);
    ck_assert_sizes(&client, 3, 0, 0);
    ck_assert_uint_eq(KEYSPACE_METRIC(&store, expired_count), 550);
    ck_assert_uint_eq(KEYSPACE_METRIC(&store, expired_cold_count), 550);
    cold_step(); /* they are due again until a checkpoint: not counted twice */
    ck_assert_sizes(&client, 0, 100, 100);
    ck_assert_uint_eq(KEYSPACE_METRIC(&store, expired_cold_count), 550);
    clock_fake_set(0, 0);
    client_close(&client);
    store_reopen(&store, false);
    client_open(&client, &store);
    ck_assert_sizes(&client, 0, 100, 100);
    client_make_cold(&client);
    struct cold_metrics metrics = {0};
    cold_metrics_read(tier_cold(store.tier), &metrics);
    ck_assert_uint_eq(metric_get(&metrics, record_count), 100);
    finish();
}
END_TEST

START_TEST(what_ram_knows_better_is_not_deleted_by_a_due_read)
{
    start();
    fill(0, "over", 10, 1000500);
    client_make_cold(&client);
    ck_assert(client_expire(&client, 0, name_of("over", 1), 0));
    ck_assert(client_expire(&client, 0, name_of("over", 2), 9000000));
    client_set(&client, 0, name_of("over", 3), "w");
    ck_assert(client_delete(&client, 0, name_of("over", 4)));
    ck_assert(client_exists(&client, 0, name_of("over", 5))); /* a stub: over as well */
    ck_assert_value(&client, 0, name_of("over", 6), "v");     /* resident, clean */
    client_set(&client, 1, "a", "1");
    client.view.now_ms = 1000501;
    clock_fake_set(client.view.now_ms, 5000000);
    cold_step();
    ck_assert_sizes(&client, 0, 3, 1);
    ck_assert_uint_eq(KEYSPACE_METRIC(&store, expired_count), 6);
    ck_assert_uint_eq(KEYSPACE_METRIC(&store, expired_cold_count), 4);
    ck_assert_value(&client, 0, name_of("over", 1), "v");
    ck_assert_value(&client, 0, name_of("over", 3), "w");
    clock_fake_set(0, 0);
    finish();
}
END_TEST

START_TEST(a_due_read_that_is_out_of_date_deletes_nothing)
{
    start();
    fill(0, "a", 20, 1000500);
    client_make_cold(&client);
    ck_assert_value(&client, 0, name_of("a", 7), "v"); /* in RAM, clean */
    client.view.now_ms = 1000501;
    clock_fake_set(client.view.now_ms, 5000000);
    keyspace_expire_cold_step(&client.view);
    ck_assert(!tier_turn_is_idle(client.turn));
    /* Before the answer is looked at: one gets a new life, and leaves RAM with it. */
    client_lock_all(&client);
    struct key key = keyspace_key_in(&client.view, 0, slice_text(name_of("a", 7)));
    struct hot_record *const record = hot_find(client.view.hot, &key);
    const struct slice args[] = {SLICE_LITERAL("SET"), key_slice(&key), SLICE_LITERAL("5")};
    (void)keyspace_set(&client.view, &key, record, value_integer(5), 0);
    client.view.database = 0;
    keyspace_log_args(&client.view, &key, 1, args, 3);
    tier_turn_unlock(client.turn);
    tier_checkpoint_request(store.tier, NULL);
    struct tier_metrics metrics = {0};
    while (metric_get(&metrics, checkpoint_count) < 2) {
        tier_metrics_read(store.tier, &metrics);
        (void)sched_yield();
    }
    client_demote_all(&client);
    bool found = false;
    (void)client_state(&client, 0, name_of("a", 7), &found);
    ck_assert(!found);
    while (!tier_turn_is_idle(client.turn))
        (void)client_pump(&client, 1000);
    ck_assert_sizes(&client, 0, 20, 19);
    cold_step();
    ck_assert_sizes(&client, 0, 1, 0);
    ck_assert_value(&client, 0, name_of("a", 7), "5");
    clock_fake_set(0, 0);
    finish();
}
END_TEST

START_TEST(many_cold_records_are_deleted_in_batches_that_grow)
{
    start();
    fill(0, "over", 9000, 1000500);
    client_make_cold(&client);
    client.view.now_ms = 1000501;
    clock_fake_set(client.view.now_ms, 5000000);
    uint64_t left = 9000;
    unsigned steps = 0;
    while (left > 0) {
        cold_step();
        const uint64_t now = keyspace_size(store.keyspace, 0);
        ck_assert_uint_lt(now, left); /* although the first stay in the index */
        left = now;
        steps++;
    }
    ck_assert_uint_ge(steps, 3);
    ck_assert_uint_le(steps, 9);
    clock_fake_set(0, 0);
    finish();
}
END_TEST

START_TEST(flushed_records_are_not_expired)
{
    start();
    fill(0, "over", 100, 1000500);
    fill(1, "over", 10, 1000500);
    client_make_cold(&client);
    client.view.now_ms = 1000501;
    client_flush(&client, 0);
    clock_fake_set(client.view.now_ms, 5000000);
    cold_step();
    ck_assert_uint_eq(KEYSPACE_METRIC(&store, expired_count), 10);
    ck_assert_sizes(&client, 0, 0, 0);
    ck_assert_sizes(&client, 1, 0, 0);
    clock_fake_set(0, 0);
    finish();
}
END_TEST

START_TEST(active_expiry_pauses_after_a_jump_of_the_clock)
{
    start();
    const uint64_t hour_ms = 3600000;
    client.view.now_ms = 100 * hour_ms;
    fill(0, "a", 50, client.view.now_ms + 1000);
    clock_fake_set(client.view.now_ms, 5000000);
    hot_steps(1);
    /* 30 hours ahead within a second */
    client.view.now_ms += 30 * hour_ms;
    clock_fake_advance(1000);
    hot_steps(200);
    ck_assert_sizes(&client, 0, 50, 50);
    ck_assert(!client_exists(&client, 0, name_of("a", 3))); /* reads hide them */
    ck_assert_sizes(&client, 0, 49, 49);
    /* steady, but not yet for ten minutes */
    client.view.now_ms += 599000;
    clock_fake_advance(599000);
    hot_steps(200);
    ck_assert_sizes(&client, 0, 49, 49);
    client.view.now_ms += 2000;
    clock_fake_advance(2000);
    hot_steps(400);
    ck_assert_sizes(&client, 0, 0, 0);
    /* two hours back */
    fill(0, "b", 50, client.view.now_ms - 3 * hour_ms);
    client.view.now_ms -= 2 * hour_ms;
    clock_fake_advance(100);
    hot_steps(200);
    ck_assert_sizes(&client, 0, 50, 50);
    clock_fake_set(0, 0);
    finish();
}
END_TEST

/* Fields f0 ... that expire one millisecond after the other, from first_ms on; and one that stays, if asked for. */
static void put_hash(const char *name, int64_t field_count, uint64_t first_ms, bool one_stays)
{
    struct dict *dict = dict_create();
    const struct element text = element_of(slice_text("stays"));
    for (int64_t i = 0; i < field_count; i++) {
        const struct element field = element_of_integer(i);
        (void)dict_set(dict, &field, &text, DICT_CLEAR_EXPIRY);
        dict_expire_set(dict, &field, first_ms + (uint64_t)i);
    }
    if (one_stays)
        (void)dict_set(dict, &text, &text, DICT_CLEAR_EXPIRY);
    const struct key key = client_lock(&client, 1, name, TIER_NEED_HEADER);
    struct hot_record *record = keyspace_find(&client.view, &key, KEYSPACE_WRITE);
    (void)keyspace_set(&client.view, &key, record, dict_value(dict), 0);
    client_unlock(&client);
}

/* Fields it has, -1 if it is not there. */
static int64_t field_count_of(const char *name)
{
    const struct key key = client_lock(&client, 1, name, TIER_NEED_VALUE);
    const struct hot_record *record = keyspace_find(&client.view, &key, KEYSPACE_WRITE);
    int64_t count = -1;
    if (record != NULL) {
        const struct value value = hot_record_value(record);
        count = (int64_t)dict_count(dict_of(&value));
    }
    client_unlock(&client);
    return count;
}

START_TEST(parts_of_hot_values_that_are_over_leave_by_themselves)
{
    dict_setup();
    start();
    put_hash("h", 1000, 1000500, true);
    put_hash("gone", 300, 1000500, false);
    put_hash("later", 10, 9000000, false);
    hot_steps(400);
    ck_assert_int_eq(field_count_of("h"), 1001);
    client.view.now_ms = 1000501;
    hot_steps(400);
    ck_assert_int_eq(field_count_of("h"), 1000);
    ck_assert_int_eq(field_count_of("gone"), 299);
    client.view.now_ms = 2000000;
    hot_steps(400);
    ck_assert_int_eq(field_count_of("h"), 1);
    ck_assert_int_eq(field_count_of("gone"), -1);
    ck_assert_int_eq(field_count_of("later"), 10);
    ck_assert_sizes(&client, 1, 2, 0);
    ck_assert_uint_eq(KEYSPACE_METRIC(&store, expired_part_count), 1300);
    finish();
}
END_TEST

START_TEST(parts_of_cold_values_that_are_over_leave_by_themselves)
{
    dict_setup();
    start();
    put_hash("h", 100, 1000500, true);
    put_hash("gone", 100, 1000500, false);
    put_hash("stub", 100, 1000500, false);
    put_hash("later", 100, 9000000, false);
    client_make_cold(&client);
    ck_assert(client_exists(&client, 1, "stub"));
    client.view.now_ms = 1000400;
    clock_fake_set(client.view.now_ms, 5000000);
    cold_step();
    bool found = false;
    (void)client_state(&client, 1, "h", &found);
    ck_assert(!found);
    client.view.now_ms = 2000000;
    clock_fake_set(client.view.now_ms, 9000000);
    cold_step(); /* promotes */
    cold_step(); /* expires */
    ck_assert_sizes(&client, 1, 2, 0);
    ck_assert_int_eq(field_count_of("h"), 1);
    ck_assert_int_eq(field_count_of("gone"), -1);
    ck_assert_int_eq(field_count_of("stub"), -1);
    (void)client_state(&client, 1, "later", &found);
    ck_assert(!found);
    clock_fake_set(0, 0);
    finish();
}
END_TEST

TEST_GROUP(expire_group, parts_of_hot_values_that_are_over_leave_by_themselves,
    parts_of_cold_values_that_are_over_leave_by_themselves,
    hot_records_past_their_deadline_are_deleted_by_themselves, the_average_life_left_is_known,
    active_expiry_can_be_turned_off, cold_records_past_their_deadline_are_deleted_by_themselves,
    what_ram_knows_better_is_not_deleted_by_a_due_read,
    a_due_read_that_is_out_of_date_deletes_nothing,
    many_cold_records_are_deleted_in_batches_that_grow, flushed_records_are_not_expired,
    active_expiry_pauses_after_a_jump_of_the_clock)
