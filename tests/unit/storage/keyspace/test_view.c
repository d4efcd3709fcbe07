/*
 * test_view.c: claims about single keys: lookup, expiry on access, counts, effects.
 */
#include "base/mem.h"
#include "keyspace_fixture.h"

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

static struct hot_record *find(const struct key *key, enum keyspace_access access)
{
    return keyspace_find(&client.view, key, access);
}

START_TEST(reads_count_hits_and_misses_and_nothing_else_does)
{
    start();
    client_set(&client, 0, "a", "1");
    const uint64_t hits = KEYSPACE_METRIC(&store, hit_count);
    const uint64_t misses = KEYSPACE_METRIC(&store, miss_count);
    ck_assert_value(&client, 0, "a", "1");
    ck_assert_missing(&client, 0, "b");
    ck_assert_missing(&client, 0, "c");
    ck_assert(client_exists(&client, 0, "a")); /* a peek */
    ck_assert(!client_exists(&client, 0, "b"));
    ck_assert(!client_delete(&client, 0, "b")); /* a write */
    ck_assert_uint_eq(KEYSPACE_METRIC(&store, hit_count), hits + 1);
    ck_assert_uint_eq(KEYSPACE_METRIC(&store, miss_count), misses + 2);
    keyspace_metrics_reset(store.keyspace);
    ck_assert_uint_eq(KEYSPACE_METRIC(&store, hit_count), 0);
    ck_assert_uint_eq(KEYSPACE_METRIC(&store, miss_count), 0);
    ck_assert_value(&client, 0, "a", "1");
    ck_assert_uint_eq(KEYSPACE_METRIC(&store, hit_count), 1);
    finish();
}
END_TEST

START_TEST(a_lookup_marks_a_use_unless_it_is_a_peek_or_the_client_does_not_touch)
{
    start();
    client.view.now_ms = 5000000;
    client_set(&client, 0, "a", "1");
    const struct key key = client_lock(&client, 0, "a", TIER_NEED_VALUE);
    const struct {
        enum keyspace_access access;
        bool no_touch;
        bool marks;
    } cases[] = {{KEYSPACE_READ, false, true}, {KEYSPACE_WRITE, false, true},
        {KEYSPACE_PEEK, false, false}, {KEYSPACE_READ, true, false}};
    for (size_t index = 0; index < COUNT_OF(cases); index++) {
        client.view.no_touch = cases[index].no_touch;
        const uint32_t before_s = hot_record_access_s(find(&key, KEYSPACE_PEEK));
        client.view.now_ms += 10000;
        const uint32_t after_s = hot_record_access_s(find(&key, cases[index].access));
        ck_assert_uint_eq(after_s, cases[index].marks ? client.view.now_ms / 1000 : before_s);
    }
    client_unlock(&client);
    finish();
}
END_TEST

START_TEST(a_record_past_its_deadline_is_deleted_by_whoever_looks_for_it)
{
    start();
    const enum keyspace_access accesses[] = {KEYSPACE_READ, KEYSPACE_WRITE, KEYSPACE_PEEK};
    for (size_t index = 0; index < COUNT_OF(accesses); index++) {
        client.view.now_ms = 1000000;
        client_set_expiring(&client, 0, "a", "1", 1000500);
        ck_assert_sizes(&client, 0, 1, 1);
        const struct key key = client_lock(&client, 0, "a", TIER_NEED_VALUE);
        client.view.now_ms = 1000500;
        ck_assert_ptr_nonnull(find(&key, accesses[index])); /* the millisecond itself lives */
        client.view.now_ms = 1000501;
        client.view.changes = 0;
        const uint64_t misses = KEYSPACE_METRIC(&store, miss_count);
        ck_assert_ptr_null(find(&key, accesses[index]));
        ck_assert_uint_eq(client.view.changes, 1); /* the DEL */
        ck_assert_uint_eq(
            KEYSPACE_METRIC(&store, miss_count), misses + (accesses[index] == KEYSPACE_READ));
        client_unlock(&client);
        ck_assert_sizes(&client, 0, 0, 0);
        ck_assert_uint_eq(KEYSPACE_METRIC(&store, expired_count), index + 1);
        ck_assert_uint_eq(KEYSPACE_METRIC(&store, expired_cold_count), 0);
    }
    finish();
}
END_TEST

START_TEST(replay_does_not_look_at_the_clock)
{
    start();
    client_set_expiring(&client, 0, "a", "1", 1000500);
    client_set_expiring(&client, 0, "b", "2", 1000500);
    client.view.now_ms = 1000600;
    ck_assert_missing(&client, 0, "b"); /* deleted, and logged */
    client_close(&client);
    store_reopen(&store, false); /* executes the log long after both deadlines */
    client_open(&client, &store);
    ck_assert_sizes(&client, 0, 1, 1);
    client.view.now_ms = 1000400;
    ck_assert_value(&client, 0, "a", "1");
    ck_assert_missing(&client, 0, "b");
    finish();
}
END_TEST

START_TEST(an_expired_record_of_which_only_the_header_is_here_becomes_a_pending_delete)
{
    start();
    client_set_expiring(&client, 0, "a", "1", 1000500);
    client_make_cold(&client);
    client.view.now_ms = 1000501;
    ck_assert(!client_exists(&client, 0, "a"));
    bool found = false;
    ck_assert_int_eq(client_state(&client, 0, "a", &found), HOT_ABSENT);
    ck_assert(found);
    ck_assert_sizes(&client, 0, 0, 0);
    client_make_cold(&client);
    ck_assert(!client_exists(&client, 0, "a"));
    client_close(&client);
    store_reopen(&store, true);
    client_open(&client, &store);
    ck_assert_missing(&client, 0, "a");
    ck_assert_sizes(&client, 0, 0, 0);
    finish();
}
END_TEST

START_TEST(counts_follow_every_change)
{
    start();
    client_set(&client, 1, "a", "1");
    ck_assert_sizes(&client, 1, 1, 0);
    client_set_expiring(&client, 1, "a", "2", 2000000);
    ck_assert_sizes(&client, 1, 1, 1);
    client_set_expiring(&client, 1, "a", "3", 3000000);
    ck_assert_sizes(&client, 1, 1, 1);
    ck_assert(client_expire(&client, 1, "a", 0));
    ck_assert_sizes(&client, 1, 1, 0);
    ck_assert(client_expire(&client, 1, "a", 4000000));
    ck_assert_sizes(&client, 1, 1, 1);
    client_set(&client, 1, "a", "4");
    ck_assert_sizes(&client, 1, 1, 0);
    client_set_expiring(&client, 1, "b", "5", 2000000);
    ck_assert_sizes(&client, 1, 2, 1);
    ck_assert(client_delete(&client, 1, "b"));
    ck_assert_sizes(&client, 1, 1, 0);
    ck_assert(client_delete(&client, 1, "a"));
    ck_assert_sizes(&client, 1, 0, 0);
    for (unsigned database = 0; database < 4; database++) {
        if (database != 1)
            ck_assert_sizes(&client, database, 0, 0);
    }
    finish();
}
END_TEST

START_TEST(counts_do_not_change_when_records_move_between_tiers)
{
    start();
    for (unsigned number = 0; number < 100; number++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "k%u", number);
        client_set_expiring(&client, 0, name, "v", number % 2 == 0 ? 0 : 9000000);
    }
    ck_assert_sizes(&client, 0, 100, 50);
    client_make_cold(&client);
    ck_assert_sizes(&client, 0, 100, 50);
    ck_assert(client_delete(&client, 0, "k1")); /* a header is enough */
    client_set(&client, 0, "k3", "w");          /* the same */
    ck_assert(client_expire(&client, 0, "k4", 9000000));
    ck_assert_value(&client, 0, "k5", "v");
    ck_assert_sizes(&client, 0, 99, 49);
    client_close(&client);
    store_reopen(&store, true);
    client_open(&client, &store);
    ck_assert_sizes(&client, 0, 99, 49);
    finish();
}
END_TEST

START_TEST(a_key_that_was_deleted_can_be_made_again_before_the_deletion_reaches_the_disk)
{
    start();
    client_set(&client, 0, "a", "1");
    client_make_cold(&client);
    ck_assert(client_delete(&client, 0, "a"));
    client_set(&client, 0, "a", "2");
    ck_assert_sizes(&client, 0, 1, 0);
    ck_assert(client_delete(&client, 0, "a"));
    client_make_cold(&client); /* the record must go: it is still known to be in the cold tier */
    ck_assert_missing(&client, 0, "a");
    client_set(&client, 0, "a", "3");
    client_make_cold(&client);
    ck_assert_value(&client, 0, "a", "3");
    finish();
}
END_TEST

START_TEST(a_set_without_a_lookup_finds_the_record_itself)
{
    start();
    client_set_expiring(&client, 0, "a", "1", 2000000);
    const struct key key = client_lock(&client, 0, "a", TIER_NEED_HEADER);
    (void)keyspace_set(&client.view, &key, NULL, value_integer(7), 0);
    client_unlock(&client);
    ck_assert_sizes(&client, 0, 1, 0);
    ck_assert_value(&client, 0, "a", "7");
    finish();
}
END_TEST

START_TEST(keys_of_other_databases_are_counted_there_and_expire_there)
{
    start();
    client.view.database = 0;
    struct key key = keyspace_key_in(&client.view, 3, SLICE_LITERAL("a"));
    tier_turn_lock(client.turn, hot_stripe(client.view.hot, &key));
    (void)keyspace_set(&client.view, &key, NULL, value_integer(1), 1000500);
    client.view.database = 3;
    const struct slice args[] = {SLICE_LITERAL("SET"), SLICE_LITERAL("a"), SLICE_LITERAL("1"),
        SLICE_LITERAL("PXAT"), SLICE_LITERAL("1000500")};
    keyspace_log_args(&client.view, &key, 1, args, 5);
    client_unlock(&client);
    ck_assert_sizes(&client, 3, 1, 1);
    ck_assert_sizes(&client, 0, 0, 0);
    client.view.database = 0; /* the DEL must select 3 all the same */
    client.view.now_ms = 1000501;
    tier_turn_lock(client.turn, hot_stripe(client.view.hot, &key));
    ck_assert_ptr_null(find(&key, KEYSPACE_READ));
    client_unlock(&client);
    ck_assert_sizes(&client, 3, 0, 0);
    client_set(&client, 0, "b", "2");
    client_close(&client);
    store_reopen(&store, false);
    client_open(&client, &store);
    ck_assert_sizes(&client, 3, 0, 0);
    ck_assert_sizes(&client, 0, 1, 0);
    finish();
}
END_TEST

START_TEST(requests_large_arguments_and_groups_are_in_the_log_as_they_were)
{
    start();
    const struct slice request = SLICE_LITERAL("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\n1\r\n2\n\r\n");
    struct key key = client_lock(&client, 2, "a", TIER_NEED_HEADER);
    struct value value;
    ck_assert_int_eq(value_string_own(SLICE_LITERAL("1\r\n2\n"), &value), ST_OK);
    (void)keyspace_set(&client.view, &key, NULL, value, 0);
    client.view.changes = 0;
    keyspace_log_request(&client.view, &key, 1, request);
    ck_assert_uint_eq(client.view.changes, 1);
    client_unlock(&client);

    const size_t size = 40000;
    char *const large = mem_alloc(size + 1);
    memset(large, 'x', size);
    large[size] = '\0';
    client_set(&client, 2, "large", large);
    client_set(&client, 2, "", ""); /* empty key, empty value */

    client_lock_all(&client);
    keyspace_group_begin(&client.view);
    const struct key b = keyspace_key(&client.view, SLICE_LITERAL("b"));
    const struct slice args[] = {SLICE_LITERAL("SET"), SLICE_LITERAL("b"), SLICE_LITERAL("7")};
    (void)keyspace_set(&client.view, &b, NULL, value_integer(7), 0);
    keyspace_log_args(&client.view, &b, 1, args, 3);
    const struct slice flush[] = {SLICE_LITERAL("FLUSHALL")};
    keyspace_flush(&client.view, 3); /* it is empty: nothing changes */
    keyspace_group_end(&client.view);
    (void)flush;
    client_unlock(&client);

    client_close(&client);
    store_reopen(&store, false);
    client_open(&client, &store);
    ck_assert_value(&client, 2, "a", "1\r\n2\n");
    ck_assert_value(&client, 2, "large", large);
    ck_assert_value(&client, 2, "", "");
    ck_assert_value(&client, 2, "b", "7");
    ck_assert_sizes(&client, 2, 4, 0);
    mem_free(large);
    finish();
}
END_TEST

START_TEST(an_edit_changes_the_bytes_in_place_and_is_checkpointed)
{
    start();
    client_set(&client, 0, "a", "abc");
    client_make_cold(&client);
    const struct key key = client_lock(&client, 0, "a", TIER_NEED_VALUE);
    struct hot_record *const record = find(&key, KEYSPACE_WRITE);
    keyspace_edit_begin(&client.view, &key, record);
    const struct value value = hot_record_value(record);
    ((char *)(uintptr_t)value.bytes.data)[1] = 'X';
    keyspace_edit_end(&client.view, &key, record, 0);
    client_unlock(&client);
    client_make_cold(&client);
    ck_assert_value(&client, 0, "a", "aXc");
    finish();
}
END_TEST

START_TEST(a_copied_value_stands_on_its_own)
{
    start();
    char *const large = mem_alloc(20001);
    memset(large, 'y', 20000);
    large[20000] = '\0';
    const char *const texts[] = {"12345", "a string of bytes", large, ""};
    for (size_t index = 0; index < COUNT_OF(texts); index++) {
        client_set(&client, 0, "from", texts[index]);
        struct key key = client_lock(&client, 0, "from", TIER_NEED_VALUE);
        struct buf storage = {0};
        buf_append_text(&storage, "before");
        struct value copy = keyspace_value_copy(find(&key, KEYSPACE_READ), &storage);
        keyspace_delete(&client.view, &key, find(&key, KEYSPACE_WRITE));
        client_unlock(&client);
        char scratch[24];
        ck_assert_text_eq(value_string_bytes(&copy, scratch), texts[index]);
        key = client_lock(&client, 0, "to", TIER_NEED_HEADER);
        (void)keyspace_set(&client.view, &key, find(&key, KEYSPACE_WRITE), copy, 0);
        client_unlock(&client);
        buf_deinit(&storage);
        ck_assert_value(&client, 0, "to", texts[index]);
    }
    mem_free(large);
    finish();
}
END_TEST

TEST_GROUP(view_group, reads_count_hits_and_misses_and_nothing_else_does,
    a_lookup_marks_a_use_unless_it_is_a_peek_or_the_client_does_not_touch,
    a_record_past_its_deadline_is_deleted_by_whoever_looks_for_it,
    replay_does_not_look_at_the_clock,
    an_expired_record_of_which_only_the_header_is_here_becomes_a_pending_delete,
    counts_follow_every_change, counts_do_not_change_when_records_move_between_tiers,
    a_key_that_was_deleted_can_be_made_again_before_the_deletion_reaches_the_disk,
    a_set_without_a_lookup_finds_the_record_itself,
    keys_of_other_databases_are_counted_there_and_expire_there,
    requests_large_arguments_and_groups_are_in_the_log_as_they_were,
    an_edit_changes_the_bytes_in_place_and_is_checkpointed, a_copied_value_stands_on_its_own)
