/*
 * test_threads.c: claims about several workers on one keyspace; run with the thread sanitizer.
 */
#include "base/check.h"
#include "base/mem.h"
#include "keyspace_fixture.h"

enum { WORKERS = 3, STEPS = 2000, OWN_KEYS = 40, FIXED_KEYS = 300 };

static struct store store;
static _Atomic bool stop;
static _Atomic unsigned missed;
static _Atomic unsigned touched_count;

static const char *own_name(unsigned worker, unsigned key, char text[32])
{
    (void)snprintf(text, 32, "own:%u:%u", worker, key);
    return text;
}

static const char *fixed_name(unsigned key, char text[32])
{
    (void)snprintf(text, 32, "fixed:%04u", key);
    return text;
}

struct worker {
    unsigned index;
    struct thread thread;
    struct client client;
    bool exists[OWN_KEYS];
};

/* Each worker knows what its own keys in database 1 are; database 2 belongs to nobody. */
static void worker_main(void *context)
{
    struct worker *const worker = context;
    struct client *const client = &worker->client;
    client_open(client, &store);
    random_init(&client->random, test_seed() + worker->index);
    struct keyspace_watcher watcher = {0};
    char name[32];
    for (unsigned step = 0; step < STEPS; step++) {
        const unsigned key = (unsigned)random_below(&client->random, OWN_KEYS);
        (void)own_name(worker->index, key, name);
        switch (random_below(&client->random, 10)) {
        case 0:
        case 1:
        case 2:
            client_set(client, 1, name, "v");
            worker->exists[key] = true;
            break;
        case 3:
            CHECK(client_delete(client, 1, name) == worker->exists[key]);
            worker->exists[key] = false;
            break;
        case 4:
        case 5: CHECK((client_get(client, 1, name) != NULL) == worker->exists[key]); break;
        case 6:
            client_watch(client, &watcher, 2, "contended");
            client_set_expiring(client, 2, "contended", "v", client->view.now_ms + 5);
            break;
        case 7:
            if (client_is_touched(client, &watcher))
                atomic_fetch_add(&touched_count, 1);
            client_unwatch(client, &watcher);
            break;
        case 8:
            client->view.now_ms += 3;
            if (worker->index == 0) {
                keyspace_expire_hot_step(&client->view, &client->random);
                keyspace_expire_cold_step(&client->view);
            } else {
                (void)client_random(client, 1);
            }
            break;
        case 9:
            if (random_below(&client->random, 4) == 0)
                client_flush(client, 2);
            else if (random_below(&client->random, 4) == 0)
                client_swap(client, 2, 3);
            break;
        }
    }
    client_unwatch(client, &watcher);
    client_close(client);
}

static void scanner_main(void *context)
{
    struct worker *const worker = context;
    struct client *const client = &worker->client;
    client_open(client, &store);
    struct names names = {0};
    char name[32];
    for (unsigned round = 0; !atomic_load(&stop) || round < 2; round++) {
        names_clear(&names);
        if (round % 2 == 0)
            (void)client_scan(client, scan_make(0, 25), &names);
        else
            client_keys(client, 0, "*", &names);
        names_unique(&names);
        size_t found = 0;
        for (unsigned key = 0; key < FIXED_KEYS; key++)
            found += names_contain(&names, fixed_name(key, name));
        if (found != FIXED_KEYS)
            atomic_fetch_add(&missed, 1);
        /* They stay, but are not left alone. */
        for (unsigned key = 0; key < 20; key++)
            client_set(client, 0,
                fixed_name((unsigned)random_below(&client->random, FIXED_KEYS), name), "w");
    }
    names_deinit(&names);
    client_close(client);
}

static void mover_main(void *context)
{
    struct worker *const worker = context;
    struct client *const client = &worker->client;
    client_open(client, &store);
    while (!atomic_load(&stop)) {
        client_checkpoint(client);
        client_demote_all(client);
        struct keyspace_metrics metrics = {0};
        keyspace_metrics_read(store.keyspace, &metrics);
        tier_tick(store.tier);
    }
    client_close(client);
}

static void run(bool single_worker)
{
    store_init(&store, test_directory_create());
    store.single_worker = single_worker;
    atomic_store(&stop, false);
    store_open(&store);
    struct client client;
    char name[32];
    client_open(&client, &store);
    for (unsigned key = 0; key < FIXED_KEYS; key++)
        client_set(&client, 0, fixed_name(key, name), "v");
    client_close(&client);

    struct worker *const workers = mem_alloc_zero((WORKERS + 2) * sizeof(*workers));
    for (unsigned index = 0; index < WORKERS; index++) {
        workers[index].index = index;
        thread_start(&workers[index].thread, "worker", worker_main, &workers[index]);
    }
    thread_start(&workers[WORKERS].thread, "scanner", scanner_main, &workers[WORKERS]);
    thread_start(&workers[WORKERS + 1].thread, "mover", mover_main, &workers[WORKERS + 1]);
    for (unsigned index = 0; index < WORKERS; index++)
        thread_join(&workers[index].thread);
    atomic_store(&stop, true);
    thread_join(&workers[WORKERS].thread);
    thread_join(&workers[WORKERS + 1].thread);

    ck_assert_uint_eq(atomic_load(&missed), 0);
    uint64_t expected = 0;
    for (unsigned index = 0; index < WORKERS; index++) {
        for (unsigned key = 0; key < OWN_KEYS; key++)
            expected += workers[index].exists[key];
    }
    for (unsigned round = 0; round < 2; round++) {
        ck_assert_uint_eq(keyspace_size(store.keyspace, 0), FIXED_KEYS);
        ck_assert_uint_eq(keyspace_size(store.keyspace, 1), expected);
        ck_assert_uint_eq(KEYSPACE_METRIC(&store, watch_count), 0);
        store_reopen(&store, round == 1);
    }
    /* The mailboxes outlive the tier: I/O threads may have been in them. */
    store_close(&store, true);
    mem_free(workers);
}

START_TEST(workers_with_a_lock_per_partition_agree)
{
    run(false);
}
END_TEST

START_TEST(threads_under_one_lock_agree)
{
    run(true);
}
END_TEST

TEST_MAIN("keyspace_threads", workers_with_a_lock_per_partition_agree, threads_under_one_lock_agree)
