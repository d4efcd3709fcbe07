/* Warm restart: the hot list and the walk that follows it. */
#include "base/file.h"
#include "base/mem.h"
#include "tier_fixture.h"
#include "tier_internal.h"

#include <stdio.h>

static struct store store;
static struct client client;

static void open_all(void)
{
    store_open(&store);
    client_open(&client, &store);
}

static void close_all(bool save)
{
    client_close(&client);
    store_close(&store, save);
}

static void write_some(unsigned count)
{
    char name[32];
    for (unsigned index = 0; index < count; index++) {
        (void)snprintf(name, sizeof(name), "key-%u", index);
        client_set_text(&client, index % 2, name, name);
    }
}

static void wait_warm(void)
{
    for (unsigned tries = 0; tries < 2000; tries++) {
        if (METRIC_OF(&store, warm_total) > 0 &&
            METRIC_OF(&store, warm_done) == METRIC_OF(&store, warm_total))
            return;
        (void)client_pump(&client, 5);
    }
    ck_abort_msg("the hot list was never worked off");
}

START_TEST(records_that_were_hot_are_hot_again_after_a_restart)
{
    store_init(&store, test_directory_create());
    open_all();
    write_some(1000);
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    client_demote(&client, 0, "key-4");
    close_all(true);
    open_all();
    wait_warm();
    ck_assert_uint_eq(METRIC_OF(&store, warm_total), 999);
    struct hot_metrics hot = {0};
    hot_metrics_read(tier_hot(store.tier), &hot);
    ck_assert_uint_eq(metric_get(&hot, record_count), 999);
    ck_assert_uint_eq(metric_get(&hot, dirty_count), 0);
    ck_assert_ptr_null(client_find(&client, 0, "key-4"));
    ck_assert_ptr_nonnull(client_find(&client, 0, "key-2"));
    ck_assert_value(&client, 1, "key-3", "key-3");
    ck_assert_uint_eq(METRIC_OF(&store, promoted_count), 0);
    close_all(false);
}
END_TEST

/* H5: what changes while the walk runs is not overwritten by what it reads. */
START_TEST(writes_win_over_the_warm_walk)
{
    store_init(&store, test_directory_create());
    open_all();
    write_some(3000);
    close_all(true);
    open_all();
    char name[32];
    for (unsigned index = 0; index < 3000; index += 3) {
        (void)snprintf(name, sizeof(name), "key-%u", index);
        if (index % 2 == 0)
            client_set_text(&client, 0, name, "new");
        else
            ck_assert_int_eq(client_delete(&client, 1, name), ST_OK);
    }
    wait_warm();
    for (unsigned index = 0; index < 3000; index++) {
        (void)snprintf(name, sizeof(name), "key-%u", index);
        if (index % 3 != 0)
            ck_assert_value(&client, index % 2, name, name);
        else if (index % 2 == 0)
            ck_assert_value(&client, 0, name, "new");
        else
            ck_assert_absent(&client, 1, name);
    }
    close_all(false);
}
END_TEST

START_TEST(the_warm_walk_stops_when_memory_is_nearly_full)
{
    store_init(&store, test_directory_create());
    open_all();
    char name[32];
    struct buf value = {0};
    for (unsigned count = 0; count < 100; count++)
        buf_append_text(&value, "0123456789");
    for (unsigned index = 0; index < 12000; index++) {
        (void)snprintf(name, sizeof(name), "key-%u", index);
        client_set(&client, 0, name, buf_slice(&value));
    }
    buf_deinit(&value);
    close_all(true);
    store.options.memory_max = (int64_t)(4 * MiB);
    open_all();
    wait_warm();
    ck_assert_uint_le(hot_memory_bytes(tier_hot(store.tier)), tier_hot_limit(store.tier));
    ck_assert_uint_gt(hot_memory_bytes(tier_hot(store.tier)), tier_hot_limit(store.tier) / 10 * 8);
    close_all(false);
}
END_TEST

START_TEST(closing_at_once_does_not_wait_for_the_walk)
{
    store_init(&store, test_directory_create());
    open_all();
    write_some(3000);
    close_all(true);
    for (unsigned round = 0; round < 10; round++) {
        open_all();
        close_all(false);
    }
    open_all();
    ck_assert_value(&client, 0, "key-2998", "key-2998");
    close_all(true);
}
END_TEST

START_TEST(reads_alone_renew_the_stored_list)
{
    store_init(&store, test_directory_create());
    store.options.hot_list_interval_s = 1;
    open_all();
    client_set_cold(&client, 0, "a", "1");
    const uint64_t before = store_metric_checkpoints(&store);
    ck_assert_value(&client, 0, "a", "1");
    while (store_metric_checkpoints(&store) == before)
        (void)client_pump(&client, 10);
    struct buf list = {0};
    ck_assert_int_eq(cold_meta_get(tier_cold(store.tier), TIER_META_HEAT, &list, NULL), ST_OK);
    struct reader reader = reader_of(buf_slice(&list));
    ck_assert_uint_eq(heat_decode_begin(&reader), 1);
    buf_deinit(&list);
    close_all(false);
}
END_TEST

START_TEST(a_list_lists_main_before_probation_and_newest_first)
{
    store_init(&store, test_directory_create());
    open_all();
    write_some(200);
    struct buf list = {0};
    heat_encode(store.tier, &list);
    struct reader reader = reader_of(buf_slice(&list));
    ck_assert_uint_eq(heat_decode_begin(&reader), 200);
    struct heat_entry entry;
    unsigned count = 0;
    bool probation = false;
    while (heat_decode_next(&reader, &entry)) {
        ck_assert(!probation || entry.heat.queue == HOT_QUEUE_PROBATION);
        probation = entry.heat.queue == HOT_QUEUE_PROBATION;
        ck_assert_uint_ge(entry.key.size, 5);
        count++;
    }
    ck_assert_uint_eq(count, 200);
    buf_deinit(&list);
    close_all(false);
}
END_TEST

/* I11: a list that makes no sense is used up to where it does. */
START_TEST(a_damaged_list_is_harmless)
{
    store_init(&store, test_directory_create());
    open_all();
    write_some(50);
    struct buf list = {0};
    heat_encode(store.tier, &list);
    struct random random;
    test_random_init(&random);
    for (unsigned round = 0; round < 20000; round++) {
        struct buf copy = {0};
        buf_append_slice(&copy, slice_of(list.data, random_below(&random, list.size + 1)));
        for (uint64_t flips = random_below(&random, 4); flips > 0 && copy.size > 0; flips--)
            copy.data[random_below(&random, copy.size)] = (char)random_next(&random);
        struct reader reader = reader_of(buf_slice(&copy));
        const uint64_t total = heat_decode_begin(&reader);
        struct heat_entry entry;
        uint64_t count = 0;
        while (count < total && heat_decode_next(&reader, &entry))
            count++;
        ck_assert_uint_eq(count, total);
        buf_deinit(&copy);
    }
    buf_deinit(&list);
    close_all(false);
}
END_TEST

TEST_GROUP(tier_warm_group, reads_alone_renew_the_stored_list,
    records_that_were_hot_are_hot_again_after_a_restart, writes_win_over_the_warm_walk,
    the_warm_walk_stops_when_memory_is_nearly_full, closing_at_once_does_not_wait_for_the_walk,
    a_list_lists_main_before_probation_and_newest_first, a_damaged_list_is_harmless)
