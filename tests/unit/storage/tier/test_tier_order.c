/*
 * test_tier_order.c: the order of the log is an order of execution (I2), and X lies in it where RAM was copied (H1).
 *
 * Workers append to a key that they share. One of them appends within a group so long that copying it to the log takes a while: who
 * gets the stripe next must not get into the log before it. A replay that gives another order gives another value.
 */
#include "base/log.h"
#include "base/mem.h"
#include "tier_fixture.h"

#include <stdio.h>
#include <unistd.h>

enum { ROUND_COUNT = 60, SMALL_WORKER_COUNT = 2, SMALL_MAX = 40, LONG_SIZE = 256 * KiB };

struct shared {
    struct store *store;
    _Atomic unsigned round;       /* atomic: whose key is written; ROUND_COUNT: the end */
    _Atomic unsigned small_count; /* atomic: small appends of this round */
};

struct small_worker {
    struct thread thread;
    struct shared *shared;
    unsigned number;
};

static void shared_name(char name[32], const char *prefix, unsigned round)
{
    (void)snprintf(name, 32, "%s%u", prefix, round);
}

static void append_small(void *context)
{
    struct small_worker *const self = context;
    struct client client;
    client_open(&client, self->shared->store);
    unsigned round;
    for (unsigned count = 0;
         (round = atomic_load_explicit(&self->shared->round, memory_order_acquire)) < ROUND_COUNT;
         count++) {
        if (atomic_fetch_add_explicit(&self->shared->small_count, 1, memory_order_relaxed) >=
            SMALL_MAX * SMALL_WORKER_COUNT)
            continue;
        char name[32];
        char tag[32];
        shared_name(name, "one", round);
        (void)snprintf(tag, sizeof(tag), "[%u:%u]", self->number, count);
        ck_assert_int_eq(client_append(&client, 0, name, slice_text(tag)), ST_OK);
    }
    client_close(&client);
}

static void append_long(struct shared *shared, struct client *client)
{
    char *const bytes = mem_alloc(LONG_SIZE);
    memset(bytes, '=', LONG_SIZE);
    for (unsigned round = 0; round < ROUND_COUNT; round++) {
        char one[32];
        char two[32];
        shared_name(one, "one", round);
        shared_name(two, "two", round);
        atomic_store_explicit(&shared->small_count, 0, memory_order_relaxed);
        atomic_store_explicit(&shared->round, round, memory_order_release);
        /* In the middle of what the others do. */
        while (atomic_load_explicit(&shared->small_count, memory_order_relaxed) < SMALL_MAX / 2) {
        }
        client_append_both(client, 0, one, two, slice_of(bytes, LONG_SIZE));
    }
    atomic_store_explicit(&shared->round, ROUND_COUNT, memory_order_release);
    mem_free(bytes);
}

static void read_all(struct client *client, struct buf values[ROUND_COUNT])
{
    for (unsigned round = 0; round < ROUND_COUNT; round++) {
        char name[32];
        shared_name(name, "one", round);
        ck_assert_int_eq(client_get(client, 0, name, &values[round]), ST_OK);
    }
}

START_TEST(what_workers_write_to_one_key_is_replayed_in_the_order_of_their_locks)
{
    struct store store;
    struct client client;
    log_level_set(LOG_ERROR);
    store_init(&store, test_directory_create());
    store_open(&store);
    client_open(&client, &store);
    struct shared shared = {.store = &store};
    struct small_worker workers[SMALL_WORKER_COUNT];
    for (unsigned number = 0; number < SMALL_WORKER_COUNT; number++) {
        workers[number] = (struct small_worker){.shared = &shared, .number = number};
        thread_start(&workers[number].thread, "worker", append_small, &workers[number]);
    }
    append_long(&shared, &client);
    for (unsigned number = 0; number < SMALL_WORKER_COUNT; number++)
        thread_join(&workers[number].thread);
    struct buf before[ROUND_COUNT] = {0};
    struct buf after[ROUND_COUNT] = {0};
    read_all(&client, before);
    client_close(&client);
    store_close(&store, false);
    store_open(&store);
    client_open(&client, &store);
    read_all(&client, after);
    for (unsigned round = 0; round < ROUND_COUNT; round++) {
        ck_assert_msg(slice_equal(buf_slice(&before[round]), buf_slice(&after[round])),
            "round %u: the log has another order than RAM", round);
        buf_deinit(&before[round]);
        buf_deinit(&after[round]);
    }
    client_close(&client);
    store_close(&store, false);
}
END_TEST

/* H1: between its change in RAM and its append a worker holds the stripe; a checkpoint that begins then must wait for it. */
START_TEST(x_is_not_taken_between_a_change_and_its_append)
{
    struct store store;
    struct client client;
    log_level_set(LOG_ERROR);
    store_init(&store, test_directory_create());
    store_open(&store);
    client_open(&client, &store);
    ck_assert_int_eq(client_append(&client, 0, "a", SLICE_LITERAL("1")), ST_OK);
    const uint64_t before = store_metric_checkpoints(&store);

    ck_assert_int_eq(client_lock(&client, 0, "a", TIER_NEED_VALUE), ST_OK);
    const struct key key = store_key(&store, 0, "a");
    struct value value;
    ck_assert_int_eq(value_string_own(SLICE_LITERAL("12"), &value), ST_OK);
    (void)hot_write(tier_hot(store.tier), &key, client_find(&client, 0, "a"), value, 0, false);
    tier_turn_log(client.turn, (uint64_t)1 << hot_partition(&key), 0, SLICE_LITERAL("SELECT 0\n"),
        SLICE_LITERAL("APPEND a 1\n2\n"));
    tier_checkpoint_request(store.tier, NULL);
    (void)usleep(100 * 1000); /* the checkpointer has come as far as it can */
    ck_assert_uint_eq(store_metric_checkpoints(&store), before);
    client_unlock(&client);

    while (store_metric_checkpoints(&store) == before)
        (void)client_pump(&client, 1);
    client_close(&client);
    store_close(&store, false);
    store_open(&store);
    client_open(&client, &store);
    ck_assert_value(&client, 0, "a", "12");
    client_close(&client);
    store_close(&store, false);
}
END_TEST

TEST_MAIN("storage.tier_order",
    what_workers_write_to_one_key_is_replayed_in_the_order_of_their_locks,
    x_is_not_taken_between_a_change_and_its_append)
