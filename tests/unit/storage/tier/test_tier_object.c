/*
 * test_tier_object.c: large collections between the tiers: snapshots for checkpoints, demotion, promotion, restart.
 *
 * What is done to lists here is not logged: after a restart the store is what the last checkpoint made it.
 */
#include "storage/list.h"
#include "tier_fixture.h"

#include <stdio.h>

static struct store store;
static struct client client;

static void open_all(void)
{
    store_open(&store);
    client_open(&client, &store);
}

static void setup(void)
{
    list_setup();
    store_init(&store, test_directory_create());
    open_all();
}

static void close_all(bool save)
{
    client_close(&client);
    store_close(&store, save);
}

static struct list *list_at_key(const char *name)
{
    struct hot_record *record = client_find(&client, 0, name);
    ck_assert_ptr_nonnull(record);
    ck_assert_int_eq(hot_record_state(record), HOT_RESIDENT);
    const struct value value = hot_record_value(record);
    return list_of(&value);
}

/* Appends the numbers that follow those in the list. */
static void push_numbers(const char *name, unsigned count)
{
    ck_assert_int_eq(client_lock(&client, 0, name, TIER_NEED_VALUE), ST_OK);
    const struct key key = store_key(&store, 0, name);
    struct hot *hot = tier_hot(store.tier);
    struct hot_record *record = hot_find(hot, &key);
    if (record == NULL || hot_record_state(record) != HOT_RESIDENT) {
        record = hot_write(hot, &key, record, list_value(list_create()), 0, false);
    }
    const struct value value = hot_record_value(record);
    const size_t before = value_external_bytes(&value);
    hot_edit(hot, &key, record);
    struct list *list = list_of(&value);
    for (unsigned index = 0; index < count; index++) {
        const struct element element = element_of_integer((int64_t)list_count(list));
        list_push(list, LIST_TAIL, &element);
    }
    hot_edit_done(hot, record, before);
    client_unlock(&client);
}

static void check_numbers(const char *name, uint64_t count)
{
    ck_assert_int_eq(client_lock(&client, 0, name, TIER_NEED_VALUE), ST_OK);
    const struct list *list = list_at_key(name);
    list_check(list);
    ck_assert_uint_eq(list_count(list), count);
    struct tree_cursor cursor;
    int64_t expected = 0;
    for (tree_cursor_at(&list->elements, 0, &cursor); !tree_cursor_is_end(&cursor);
         (void)tree_cursor_next(&cursor)) {
        ck_assert_int_eq(tree_cursor_element(&cursor, 0).integer, expected++);
    }
    client_unlock(&client);
}

START_TEST(a_large_list_goes_to_the_cold_tier_and_comes_back)
{
    setup();
    push_numbers("large", 200000);
    push_numbers("small", 3);
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    for (unsigned round = 0; round < 3; round++) {
        client_demote(&client, 0, "large");
        client_demote(&client, 0, "small");
        check_numbers("large", 200000 + round);
        check_numbers("small", 3 + round);
        push_numbers("large", 1);
        push_numbers("small", 1);
        ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    }
    store_check(&store);
    close_all(true);
    open_all();
    check_numbers("large", 200003);
    check_numbers("small", 6);
    close_all(true);
}
END_TEST

static uint64_t captured_count;

/* All stripes are held, by the checkpointer. */
static void note_count(struct store *of)
{
    const struct key key = store_key(of, 0, "list");
    const struct value value = hot_record_value(hot_find(tier_hot(of->tier), &key));
    captured_count = list_count(list_of(&value));
}

START_TEST(a_list_that_changes_during_a_checkpoint_is_written_as_it_was)
{
    setup();
    push_numbers("list", 50000);
    char name[32];
    for (unsigned index = 0; index < 200; index++) {
        (void)snprintf(name, sizeof(name), "before-%u", index);
        push_numbers(name, 3000);
    }
    for (unsigned round = 0; round < 5; round++) {
        store.capture_hook = note_count;
        const uint64_t before = store_metric_checkpoints(&store);
        tier_checkpoint_request(store.tier, NULL);
        unsigned more = 0;
        while (store_metric_checkpoints(&store) == before) {
            push_numbers("list", 1 + more % 100);
            (void)snprintf(name, sizeof(name), "before-%u", more++ % 200);
            push_numbers(name, 1);
            (void)client_pump(&client, 0);
        }
        store.capture_hook = NULL;
        const uint64_t written = captured_count;
        close_all(false);
        open_all();
        check_numbers("list", written);
        push_numbers("list", 1000);
    }
    store_check(&store);
    close_all(false);
}
END_TEST

START_TEST(a_deleted_or_overwritten_list_is_freed_by_the_reclaimer)
{
    setup();
    value_reclaimer_start();
    for (unsigned round = 0; round < 5; round++) {
        push_numbers("list", 300000);
        if (round % 2 == 0) {
            ck_assert_int_eq(client_delete(&client, 0, "list"), ST_OK);
        } else {
            ck_assert_int_eq(client_set_text(&client, 0, "list", "a string"), ST_OK);
            ck_assert_int_eq(client_delete(&client, 0, "list"), ST_OK);
        }
    }
    push_numbers("list", 300000);
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    client_demote(&client, 0, "list");
    store_check(&store);
    value_reclaimer_stop();
    uint64_t pending;
    uint64_t freed;
    value_reclaimer_counts(&pending, &freed);
    ck_assert_uint_eq(pending, 0);
    ck_assert_uint_eq(freed, 6);
    close_all(true);
}
END_TEST

TEST_MAIN("storage.tier.object", a_large_list_goes_to_the_cold_tier_and_comes_back,
    a_list_that_changes_during_a_checkpoint_is_written_as_it_was,
    a_deleted_or_overwritten_list_is_freed_by_the_reclaimer)
