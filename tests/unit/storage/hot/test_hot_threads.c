/*
 * test_hot_threads.c: threads that share the tier through its stripes; TSan watches.
 */
#include "base/thread.h"
#include "storage/hot.h"
#include "test_main.h"

#include <stdio.h>

#define ROUND_COUNT 20000
#define KEY_COUNT   500

struct shared {
    struct hot *hot;
    _Atomic bool stop;
    _Atomic unsigned image_count;
};

struct worker {
    struct shared *shared;
    struct thread thread;
    uint64_t seed;
};

static void save_image(void *context, const struct hot_record *record)
{
    struct shared *shared = context;
    ck_assert_int_eq(hot_record_dirty(shared->hot, record), HOT_OLD);
    atomic_fetch_add_explicit(&shared->image_count, 1, memory_order_relaxed);
}

/* Two counters are always moved together, under both stripes: no other thread sees them differ. */
static void move_pair(struct hot *hot, const struct key *one, const struct key *two, bool erase)
{
    const uint64_t stripes = hot_stripe(hot, one) | hot_stripe(hot, two);
    hot_lock(hot, stripes);
    struct hot_record *first = hot_find(hot, one);
    struct hot_record *second = hot_find(hot, two);
    const bool exists = first != NULL && hot_record_state(first) == HOT_RESIDENT;
    ck_assert_int_eq(exists, second != NULL && hot_record_state(second) == HOT_RESIDENT);
    int64_t number = 0;
    if (exists) {
        number = hot_record_value(first).integer;
        ck_assert_int_eq(number, hot_record_value(second).integer);
    }
    if (exists && erase) {
        hot_delete(hot, one, first, NULL);
        hot_delete(hot, two, second, NULL);
    } else {
        (void)hot_write(hot, one, first, value_integer(number + 1), 0, true);
        (void)hot_write(hot, two, second, value_integer(number + 1), 0, true);
        (void)hot_touch(hot, hot_find(hot, one), 1);
    }
    hot_unlock(hot, stripes);
}

static void work(void *context)
{
    const struct worker *worker = context;
    struct random random;
    random_init(&random, worker->seed);
    for (unsigned round = 0; round < ROUND_COUNT; round++) {
        char names[2][32];
        const uint64_t number = random_below(&random, KEY_COUNT);
        (void)snprintf(names[0], sizeof(names[0]), "one%u", (unsigned)number);
        (void)snprintf(names[1], sizeof(names[1]), "two%u", (unsigned)number);
        const struct key one = key_make(1, names[0], strlen(names[0]));
        const struct key two = key_make(1, names[1], strlen(names[1]));
        move_pair(worker->shared->hot, &one, &two, random_below(&random, 4) == 0);
    }
}

static void image(void *context, struct hot_record *record)
{
    const struct key key = hot_record_key(record, true);
    hot_mark_imaged(context, &key, record);
}

static void commit(void *context, struct hot_record *record)
{
    struct hot *hot = context;
    const struct key key = hot_record_key(record, true);
    hot_mark_committed(hot, &key, record);
}

/* A checkpointer that flips, images in slices and commits, while others write. */
static void run_checkpoints(void *context)
{
    struct shared *shared = context;
    struct hot *hot = shared->hot;
    while (!atomic_load_explicit(&shared->stop, memory_order_relaxed)) {
        hot_lock(hot, hot_stripes_all(hot));
        hot_epoch_flip(hot);
        hot_unlock(hot, hot_stripes_all(hot));
        for (unsigned partition = 0; partition < HOT_PARTITION_COUNT; partition++) {
            const uint64_t stripe = hot_stripe_of_partition(hot, partition);
            uint64_t cursor = 0;
            bool more = true;
            while (more) {
                hot_lock(hot, stripe);
                more = hot_visit_old(hot, partition, &cursor, 16, image, hot);
                hot_unlock(hot, stripe);
            }
        }
        uint64_t cursor = 0;
        do {
            const uint64_t stripe = hot_stripe_of_partition(hot, hot_scan_partition(cursor));
            hot_lock(hot, stripe);
            cursor = hot_scan(hot, cursor, commit, hot);
            hot_unlock(hot, stripe);
        } while (cursor != 0);
        (void)hot_memory_bytes(hot);
        struct hot_metrics metrics;
        hot_metrics_read(hot, &metrics);
    }
}

static void run(bool single_stripe)
{
    struct shared shared = {0};
    const struct hot_config config = {
        .single_stripe = single_stripe, .save_image = save_image, .context = &shared};
    shared.hot = hot_create(&config);
    struct worker workers[2];
    struct thread checkpointer = {0};
    thread_start(&checkpointer, "checkpointer", run_checkpoints, &shared);
    for (unsigned index = 0; index < COUNT_OF(workers); index++) {
        workers[index] = (struct worker){.shared = &shared, .seed = test_seed() + index};
        thread_start(&workers[index].thread, "worker", work, &workers[index]);
    }
    for (unsigned index = 0; index < COUNT_OF(workers); index++) {
        thread_join(&workers[index].thread);
    }
    atomic_store_explicit(&shared.stop, true, memory_order_relaxed);
    thread_join(&checkpointer);
    hot_lock(shared.hot, hot_stripes_all(shared.hot));
    for (unsigned partition = 0; partition < HOT_PARTITION_COUNT; partition++) {
        hot_check(shared.hot, partition);
    }
    hot_unlock(shared.hot, hot_stripes_all(shared.hot));
    hot_destroy(shared.hot);
}

START_TEST(keys_changed_under_both_stripes_never_differ)
{
    run(false);
}
END_TEST

START_TEST(a_single_stripe_guards_all_partitions)
{
    run(true);
}
END_TEST

static void try_all(void *context)
{
    struct shared *shared = context;
    ck_assert(!hot_try_lock(shared->hot, hot_stripes_all(shared->hot)));
    /* What could be taken before the one that is held was given back. */
    ck_assert(hot_try_lock(shared->hot, 1));
    hot_unlock(shared->hot, 1);
}

START_TEST(a_failed_try_lock_holds_nothing)
{
    struct shared shared = {0};
    const struct hot_config config = {.save_image = save_image, .context = &shared};
    shared.hot = hot_create(&config);
    hot_lock(shared.hot, (uint64_t)1 << 40);
    struct thread thread = {0};
    thread_start(&thread, "other", try_all, &shared);
    thread_join(&thread);
    hot_unlock(shared.hot, (uint64_t)1 << 40);
    hot_destroy(shared.hot);
}
END_TEST

TEST_MAIN("hot_threads", keys_changed_under_both_stripes_never_differ,
    a_single_stripe_guards_all_partitions, a_failed_try_lock_holds_nothing)
