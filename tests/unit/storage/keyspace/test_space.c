/*
 * test_space.c: claims about databases: flush, swap, numbers of spaces, and what checkpoints keep of them.
 */
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

static void reopen(bool save)
{
    client_close(&client);
    store_reopen(&store, save);
    client_open(&client, &store);
}

static uint32_t space_of(unsigned database)
{
    return keyspace_key_in(&client.view, database, SLICE_LITERAL("x")).space;
}

START_TEST(a_flush_empties_one_database_in_both_tiers)
{
    start();
    client_set(&client, 0, "cold", "1");
    client_set_expiring(&client, 1, "other", "2", 9000000);
    client_make_cold(&client);
    client_set(&client, 0, "hot", "3");
    const uint32_t before = space_of(0);
    const uint64_t version = keyspace_version(store.keyspace);
    client_flush(&client, 0);
    ck_assert_uint_ne(space_of(0), before);
    ck_assert_uint_ne(keyspace_version(store.keyspace), version);
    ck_assert_sizes(&client, 0, 0, 0);
    ck_assert_missing(&client, 0, "cold");
    ck_assert_missing(&client, 0, "hot");
    ck_assert_value(&client, 1, "other", "2");
    ck_assert_sizes(&client, 1, 1, 1);
    client_make_cold(&client);
    ck_assert_missing(&client, 0, "cold");
    client_set(&client, 0, "cold", "4");
    reopen(true);
    ck_assert_value(&client, 0, "cold", "4");
    ck_assert_missing(&client, 0, "hot");
    ck_assert_sizes(&client, 0, 1, 0);
    finish();
}
END_TEST

START_TEST(a_flush_of_all_empties_all)
{
    start();
    for (unsigned database = 0; database < 4; database++)
        client_set_expiring(&client, database, "a", "1", 9000000);
    client_flush_all(&client);
    for (unsigned database = 0; database < 4; database++) {
        ck_assert_sizes(&client, database, 0, 0);
        ck_assert_missing(&client, database, "a");
    }
    finish();
}
END_TEST

START_TEST(a_swap_exchanges_contents_and_counts)
{
    start();
    client_set(&client, 0, "a", "zero");
    client_set_expiring(&client, 2, "a", "two", 9000000);
    client_set_expiring(&client, 2, "b", "two", 9000000);
    client_make_cold(&client);
    client_set(&client, 0, "c", "zero");
    client_swap(&client, 0, 2);
    ck_assert_sizes(&client, 0, 2, 2);
    ck_assert_sizes(&client, 2, 2, 0);
    ck_assert_value(&client, 0, "a", "two");
    ck_assert_value(&client, 2, "a", "zero");
    ck_assert_value(&client, 2, "c", "zero");
    const uint64_t version = keyspace_version(store.keyspace);
    client_swap(&client, 1, 1);
    ck_assert_uint_eq(keyspace_version(store.keyspace), version);
    reopen(false);
    ck_assert_value(&client, 0, "b", "two");
    reopen(true);
    ck_assert_value(&client, 0, "b", "two");
    ck_assert_sizes(&client, 0, 2, 2);
    ck_assert_sizes(&client, 2, 2, 0);
    finish();
}
END_TEST

START_TEST(a_space_is_never_used_again)
{
    start();
    uint32_t highest = 4;
    for (unsigned round = 0; round < 20; round++) {
        client_set(&client, 1, "a", "1");
        client_flush(&client, 1);
        ck_assert_uint_gt(space_of(1), highest);
        highest = space_of(1);
        if (round == 7)
            reopen(true);
        if (round == 13)
            reopen(false);
        ck_assert_uint_eq(space_of(1), highest);
    }
    finish();
}
END_TEST

START_TEST(the_same_log_gives_the_same_numbers_and_counts)
{
    start();
    struct random random;
    test_random_init(&random);
    for (unsigned round = 0; round < 300; round++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "k%u", (unsigned)random_below(&random, 20));
        const unsigned database = (unsigned)random_below(&random, 4);
        switch (random_below(&random, 10)) {
        case 0: client_flush(&client, database); break;
        case 1: client_swap(&client, database, (unsigned)random_below(&random, 4)); break;
        case 2: (void)client_delete(&client, database, name); break;
        case 3:
            if (round % 7 == 0)
                client_flush_all(&client);
            break;
        default:
            client_set_expiring(
                &client, database, name, "v", random_below(&random, 2) == 0 ? 0 : 9000000);
            break;
        }
        if (round == 100)
            client_make_cold(&client);
    }
    uint32_t spaces[4];
    uint64_t keys[4];
    uint64_t expires[4];
    for (unsigned database = 0; database < 4; database++) {
        spaces[database] = space_of(database);
        keys[database] = keyspace_size(store.keyspace, database);
        expires[database] = keyspace_expires(store.keyspace, database);
    }
    for (unsigned round = 0; round < 2; round++) {
        reopen(round == 1); /* from the checkpoint in the middle; again, then from the end */
        for (unsigned database = 0; database < 4; database++) {
            ck_assert_uint_eq(space_of(database), spaces[database]);
            ck_assert_sizes(&client, database, keys[database], expires[database]);
        }
    }
    finish();
}
END_TEST

START_TEST(spaces_are_dead_once_they_belong_to_no_database)
{
    start();
    struct tier_hooks hooks = {0};
    keyspace_hooks(store.keyspace, &hooks);
    ck_assert(hooks.prefetch_done == NULL); /* left alone */
    const uint32_t before = space_of(2);
    ck_assert(!hooks.space_is_dead(hooks.context, before));
    client_set(&client, 2, "a", "1");
    client_swap(&client, 2, 3);
    ck_assert(!hooks.space_is_dead(hooks.context, before));
    client_flush(&client, 3);
    ck_assert(hooks.space_is_dead(hooks.context, before));
    ck_assert(!hooks.space_is_dead(hooks.context, space_of(3)));
    ck_assert(hooks.space_is_dead(hooks.context, 0));
    ck_assert(hooks.space_is_dead(hooks.context, UINT32_MAX));
    finish();
}
END_TEST

/* What capture() says is dead; the hooks are called as a checkpoint would. */
static size_t captured_dead(const struct tier_hooks *hooks, uint32_t *spaces)
{
    struct buf meta = {0};
    struct buf dead = {0};
    hooks->capture(hooks->context, &meta, &dead);
    ck_assert_uint_gt(meta.size, 0);
    const size_t count = dead.size / sizeof(*spaces);
    if (dead.size > 0)
        memcpy(spaces, dead.data, dead.size);
    buf_deinit(&meta);
    buf_deinit(&dead);
    return count;
}

START_TEST(dead_spaces_are_given_to_checkpoints_until_one_has_committed)
{
    struct keyspace *const keyspace = keyspace_create(4);
    struct tier_hooks hooks = {0};
    keyspace_hooks(keyspace, &hooks);
    uint32_t dead[8];
    ck_assert_uint_eq(captured_dead(&hooks, dead), 0);
    hooks.captured(hooks.context, true);
    keyspace_destroy(keyspace);

    start();
    keyspace_hooks(store.keyspace, &hooks);
    const uint32_t first = space_of(0);
    const uint32_t second = space_of(1);
    client_set(&client, 0, "a", "1");
    client_set(&client, 1, "a", "1");
    client_flush(&client, 0);
    ck_assert_uint_eq(captured_dead(&hooks, dead), 1);
    ck_assert_uint_eq(dead[0], first);
    client_flush(&client, 1); /* during the checkpoint */
    hooks.captured(hooks.context, false);
    ck_assert_uint_eq(captured_dead(&hooks, dead), 2);
    ck_assert_uint_eq(dead[0], first);
    ck_assert_uint_eq(dead[1], second);
    client_set(&client, 0, "a", "1");
    const uint32_t third = space_of(0);
    client_flush(&client, 0);
    hooks.captured(hooks.context, true);
    ck_assert_uint_eq(captured_dead(&hooks, dead), 1);
    ck_assert_uint_eq(dead[0], third);
    hooks.captured(hooks.context, true);
    ck_assert_uint_eq(captured_dead(&hooks, dead), 0);
    hooks.captured(hooks.context, true);
    client_flush(&client, 0); /* empty: nothing dies */
    ck_assert_uint_eq(captured_dead(&hooks, dead), 0);
    hooks.captured(hooks.context, true);
    finish();
}
END_TEST

START_TEST(more_databases_may_be_configured_later_but_not_fewer)
{
    start();
    client_set(&client, 3, "a", "1");
    client_close(&client);
    store_close(&store, true);
    store.database_count = 3;
    struct error error = {0};
    ck_assert_int_eq(store_try_open(&store, &error), ST_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "4"));
    store.database_count = 16;
    store_open(&store);
    client_open(&client, &store);
    ck_assert_uint_eq(keyspace_database_count(store.keyspace), 16);
    ck_assert_value(&client, 3, "a", "1");
    client_set(&client, 15, "b", "2");
    reopen(true);
    ck_assert_value(&client, 15, "b", "2");
    ck_assert_sizes(&client, 15, 1, 0);
    finish();
}
END_TEST

START_TEST(a_damaged_state_is_refused)
{
    start();
    client_set(&client, 0, "a", "1");
    struct tier_hooks hooks = {0};
    keyspace_hooks(store.keyspace, &hooks);
    struct buf meta = {0};
    struct buf dead = {0};
    hooks.capture(hooks.context, &meta, &dead);
    hooks.captured(hooks.context, false);
    client_close(&client);
    store_close(&store, true);
    for (unsigned damage = 0; damage < 5; damage++) {
        struct buf bad = {0};
        buf_append_slice(&bad, buf_slice(&meta));
        switch (damage) {
        case 0: bad.data[0] = 9; break;                        /* version */
        case 1: bad.size -= 3; break;                          /* cut short */
        case 2: buf_append_byte(&bad, 'x'); break;             /* too long */
        case 3: memset(bad.data + 6, 0, 4); break;             /* space 0 */
        case 4: memcpy(bad.data + 12, bad.data + 6, 4); break; /* twice the same */
        }
        struct cold *cold = NULL;
        struct cold_txn *txn = NULL;
        struct error error = {0};
        ck_assert_int_eq(
            cold_open(test_path(store.directory, "cold"), &store.cold_options, &cold, &error),
            ST_OK);
        ck_assert_int_eq(cold_txn_begin(cold, &txn, &error), ST_OK);
        ck_assert_int_eq(cold_meta_put(txn, "keyspace", buf_slice(&bad), &error), ST_OK);
        ck_assert_int_eq(cold_txn_commit(txn, &error), ST_OK);
        cold_close(cold);
        ck_assert_msg(store_try_open(&store, &error) == ST_CORRUPT, "damage %u", damage);
        buf_deinit(&bad);
    }
    buf_deinit(&meta);
    buf_deinit(&dead);
}
END_TEST

START_TEST(sixteen_thousand_databases_work)
{
    store_init(&store, test_directory_create());
    store.database_count = KEYSPACE_DATABASE_MAX;
    store_open(&store);
    client_open(&client, &store);
    for (unsigned database = 0; database < KEYSPACE_DATABASE_MAX; database += 1000)
        client_set(&client, database, "a", "1");
    client_set(&client, KEYSPACE_DATABASE_MAX - 1, "a", "last");
    client_swap(&client, 0, KEYSPACE_DATABASE_MAX - 1);
    ck_assert_value(&client, 0, "a", "last");
    reopen(true);
    ck_assert_value(&client, 0, "a", "last");
    ck_assert_value(&client, 16000, "a", "1");
    client_flush_all(&client);
    ck_assert_missing(&client, 16000, "a");
    finish();
}
END_TEST

TEST_GROUP(space_group, a_flush_empties_one_database_in_both_tiers, a_flush_of_all_empties_all,
    a_swap_exchanges_contents_and_counts, a_space_is_never_used_again,
    the_same_log_gives_the_same_numbers_and_counts, spaces_are_dead_once_they_belong_to_no_database,
    dead_spaces_are_given_to_checkpoints_until_one_has_committed,
    more_databases_may_be_configured_later_but_not_fewer, a_damaged_state_is_refused,
    sixteen_thousand_databases_work)
