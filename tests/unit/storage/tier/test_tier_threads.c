/*
 * Several workers, checkpoints, fetches, flushes and the warm walk at once: for the thread sanitizer, and for the sums that must
 * come out. Each worker owns some keys and knows their values; all of them read all.
 */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "tier_fixture.h"

#include <stdio.h>

enum { WORKER_COUNT = 3, KEY_COUNT = 60, COMMAND_COUNT = 3000 };

struct worker {
    struct thread thread;
    struct store *store;
    unsigned number;
    uint64_t seed;
    char *values[KEY_COUNT]; /* in database 0; NULL: absent */
};

static void own_name(unsigned worker, unsigned key, char name[32])
{
    (void)snprintf(name, 32, "worker-%u:%u", worker, key);
}

static void check_own(struct worker *self, struct client *client, unsigned key)
{
    char name[32];
    own_name(self->number, key, name);
    struct buf value = {0};
    const enum status status = client_get(client, 0, name, &value);
    if (self->values[key] == NULL) {
        ck_assert_int_eq(status, ST_NOT_FOUND);
    } else {
        ck_assert_int_eq(status, ST_OK);
        ck_assert_text_eq(buf_slice(&value), self->values[key]);
    }
    buf_deinit(&value);
}

static void append_own(
    struct worker *self, struct client *client, unsigned key, const char *letters)
{
    char name[32];
    own_name(self->number, key, name);
    const size_t size = self->values[key] == NULL ? 0 : strlen(self->values[key]);
    if (size > 2000) {
        ck_assert_int_eq(client_delete(client, 0, name), ST_OK);
        mem_free(self->values[key]);
        self->values[key] = NULL;
        return;
    }
    ck_assert_int_eq(client_append(client, 0, name, slice_text(letters)), ST_OK);
    self->values[key] = mem_realloc(self->values[key], size + strlen(letters) + 1);
    memcpy(self->values[key] + size, letters, strlen(letters) + 1);
}

static void work(void *context)
{
    struct worker *const self = context;
    struct client client;
    struct random random;
    random_init(&random, self->seed);
    client_open(&client, self->store);
    char name[32];
    for (unsigned count = 0; count < COMMAND_COUNT; count++) {
        const unsigned key = (unsigned)random_below(&random, KEY_COUNT);
        switch (random_below(&random, 12)) {
        case 0:
        case 1:
        case 2:
        case 3: append_own(self, &client, key, "0123456789012345678901234567890123456789"); break;
        case 4:
        case 5:
        case 6: check_own(self, &client, key); break;
        case 7: /* somebody else's */
            own_name((self->number + 1) % WORKER_COUNT, key, name);
            (void)client_get(&client, 0, name, NULL);
            break;
        case 8: /* shared, and flushed now and then */
            ck_assert_int_eq(client_append(&client, 1, "shared", SLICE_LITERAL("x")), ST_OK);
            break;
        case 9: {
            own_name((self->number + 2) % WORKER_COUNT, key, name);
            const struct key shared = store_key(self->store, 0, name);
            tier_turn_lock(client.turn, hot_stripe(tier_hot(self->store->tier), &shared));
            const enum status status = tier_prefetch(client.turn, &shared);
            if (status == ST_EXISTS)
                (void)!tier_demote(client.turn, &shared);
            tier_turn_unlock(client.turn);
            break;
        }
        case 10: {
            uint64_t expire_ms;
            own_name(self->number, key, name);
            (void)client_header(&client, 0, name, &expire_ms);
            break;
        }
        default:
            if (random_below(&random, 100) == 0)
                client_flush(&client, 1);
            else if (random_below(&random, 60) == 0)
                ck_assert_int_eq(client_checkpoint(&client), ST_OK);
            break;
        }
        (void)client_pump(&client, 0);
    }
    for (unsigned key = 0; key < KEY_COUNT; key++)
        check_own(self, &client, key);
    client_close(&client);
}

static void run_all(bool single_worker)
{
    struct store store;
    log_level_set(LOG_ERROR);
    store_init(&store, test_directory_create());
    store.single_worker = single_worker;
    store.options.memory_max = (int64_t)(1 * MiB);
    store.options.dirty_limit = (int64_t)(128 * KiB);
    struct worker workers[WORKER_COUNT] = {0};
    for (unsigned round = 0; round < 2; round++) {
        store_open(&store);
        for (unsigned number = 0; number < WORKER_COUNT; number++) {
            workers[number].store = &store;
            workers[number].number = number;
            workers[number].seed = test_seed() + round * WORKER_COUNT + number;
            thread_start(&workers[number].thread, "worker", work, &workers[number]);
        }
        for (unsigned number = 0; number < WORKER_COUNT; number++)
            thread_join(&workers[number].thread);
        store_close(&store, round == 0);
    }
    store_open(&store);
    struct client client;
    client_open(&client, &store);
    for (unsigned number = 0; number < WORKER_COUNT; number++) {
        for (unsigned key = 0; key < KEY_COUNT; key++) {
            check_own(&workers[number], &client, key);
            mem_free(workers[number].values[key]);
        }
    }
    client_close(&client);
    store_close(&store, false);
}

START_TEST(workers_with_stripes_of_their_own_agree_with_their_log)
{
    run_all(false);
}
END_TEST

START_TEST(workers_that_share_one_stripe_agree_with_their_log)
{
    run_all(true);
}
END_TEST

/* H3: a group by one worker is never seen in halves by another, nor by a checkpoint. */
static _Atomic bool stop_pairs;

static void write_pairs(void *context)
{
    struct store *const store = context;
    struct client client;
    client_open(&client, store);
    for (unsigned count = 0; count < 1500; count++)
        client_append_both(&client, 0, "left", "right", SLICE_LITERAL("p"));
    atomic_store(&stop_pairs, true);
    client_close(&client);
}

START_TEST(groups_are_whole_in_every_checkpoint)
{
    struct store store;
    log_level_set(LOG_ERROR);
    store_init(&store, test_directory_create());
    store.single_worker = false;
    store_open(&store);
    struct thread writer = {0};
    thread_start(&writer, "writer", write_pairs, &store);
    struct client client;
    client_open(&client, &store);
    while (!atomic_load(&stop_pairs)) {
        ck_assert_int_eq(client_checkpoint(&client), ST_OK);
        size_t sizes[2];
        const char *const names[] = {"left", "right"};
        /* Both are of one commit if no other came in between. */
        const uint64_t before = store_metric_checkpoints(&store);
        for (unsigned index = 0; index < 2; index++) {
            struct cold_job job = {
                .kind = COLD_JOB_VALUE, .key = store_key(&store, 0, names[index])};
            cold_read_now(tier_cold(store.tier), &job);
            sizes[index] = job.status == ST_OK ? (size_t)job.header.value_size : 0;
            cold_job_deinit(&job);
        }
        if (store_metric_checkpoints(&store) == before)
            ck_assert_uint_eq(sizes[0], sizes[1]);
    }
    thread_join(&writer);
    client_close(&client);
    store_close(&store, false);
}
END_TEST

TEST_MAIN("storage.tier_threads", workers_with_stripes_of_their_own_agree_with_their_log,
    workers_that_share_one_stripe_agree_with_their_log, groups_are_whole_in_every_checkpoint)
