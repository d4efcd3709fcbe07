/*
 * test_cold_filter.c: the membership filter never misses a key, and seldom claims one that is not there.
 */
#include "base/mem.h"
#include "cold_internal.h"
#include "cold_support.h"

/* Sanitizers see a race in fewer rounds than a lucky reader does. */
#ifdef KELVIN_SANITIZE
enum { CHURN_COUNT = 60000, MOVES_MIN = 10000, WINDOW = 30000, LAYERS_COUNT = 300000 };
#else
enum { CHURN_COUNT = 600000, MOVES_MIN = 100000, WINDOW = 100000, LAYERS_COUNT = 900000 };
#endif

static uint64_t hash_of(uint64_t number)
{
    return hash_sum64(&number, sizeof(number), test_seed());
}

START_TEST(inserted_keys_are_found_through_growth)
{
    struct cold_filter filter;
    cold_filter_init(&filter, 0);
    const uint64_t count = 300000; /* the first layer takes 65 536 */
    for (uint64_t number = 0; number < count; number++)
        cold_filter_insert(&filter, hash_of(number));
    ck_assert_uint_ge(atomic_load(&filter.layer_count), 3);
    for (uint64_t number = 0; number < count; number++)
        ck_assert(cold_filter_contains(&filter, hash_of(number)));
    cold_filter_deinit(&filter);
}
END_TEST

START_TEST(false_positives_are_below_a_thousandth)
{
    struct cold_filter filter;
    cold_filter_init(&filter, 0);
    const uint64_t count = 1000000;
    for (uint64_t number = 0; number < count; number++)
        cold_filter_insert(&filter, hash_of(number));
    uint64_t wrong = 0;
    for (uint64_t number = count; number < 2 * count; number++)
        wrong += cold_filter_contains(&filter, hash_of(number));
    printf("filter: %.4f %% false positives, %u layers, %.2f bytes per key\n",
        100.0 * (double)wrong / (double)count, atomic_load(&filter.layer_count),
        (double)cold_filter_bytes(&filter) / (double)count);
    ck_assert_uint_lt(wrong, count / 1000);
    cold_filter_deinit(&filter);
}
END_TEST

START_TEST(removals_leave_the_others_and_make_room)
{
    struct cold_filter filter;
    cold_filter_init(&filter, 0);
    const uint64_t window = WINDOW;
    for (uint64_t number = 0; number < window; number++)
        cold_filter_insert(&filter, hash_of(number));
    const uint64_t bytes = cold_filter_bytes(&filter);
    for (uint64_t number = window; number < 10 * window; number++) {
        cold_filter_remove(&filter, hash_of(number - window));
        cold_filter_insert(&filter, hash_of(number));
    }
    for (uint64_t number = 9 * window; number < 10 * window; number++)
        ck_assert(cold_filter_contains(&filter, hash_of(number)));
    ck_assert_uint_eq(cold_filter_bytes(&filter), bytes);
    uint64_t stale = 0;
    for (uint64_t number = 0; number < 9 * window; number++)
        stale += cold_filter_contains(&filter, hash_of(number));
    ck_assert_uint_lt(stale, 9 * window / 1000);
    cold_filter_deinit(&filter);
}
END_TEST

START_TEST(a_removal_never_takes_a_twin_of_another_layer)
{
    struct cold_filter filter;
    cold_filter_init(&filter, 0);
    const uint64_t count = LAYERS_COUNT; /* four layers: some 100 keys have twins in two of them */
    for (uint64_t number = 0; number < count; number++)
        cold_filter_insert(&filter, hash_of(number));
    for (uint64_t number = 0; number < count; number += 2)
        cold_filter_remove(&filter, hash_of(number));
    for (uint64_t number = 1; number < count; number += 2)
        ck_assert(cold_filter_contains(&filter, hash_of(number)));
    cold_filter_deinit(&filter);
}
END_TEST

START_TEST(a_key_inserted_twice_survives_one_removal)
{
    struct cold_filter filter;
    cold_filter_init(&filter, 0);
    cold_filter_insert(&filter, 42);
    cold_filter_insert(&filter, 42);
    cold_filter_remove(&filter, 42);
    ck_assert(cold_filter_contains(&filter, 42));
    cold_filter_remove(&filter, 42);
    ck_assert(!cold_filter_contains(&filter, 42));
    /* More twins than two buckets hold go to another layer. */
    for (int round = 0; round < 20; round++)
        cold_filter_insert(&filter, 43);
    ck_assert(cold_filter_contains(&filter, 43));
    cold_filter_deinit(&filter);
}
END_TEST

struct race {
    struct cold_filter filter;
    uint64_t resident_count; /* keys that are always there */
    _Atomic bool stop;
    _Atomic uint64_t miss_count;
};

static void look_all_the_time(void *context)
{
    struct race *const race = context;
    struct random random;
    random_init(&random, test_seed());
    uint64_t miss_count = 0;
    while (!atomic_load_explicit(&race->stop, memory_order_relaxed)) {
        for (int round = 0; round < 64; round++) {
            const uint64_t number = random_below(&random, race->resident_count);
            miss_count += !cold_filter_contains(&race->filter, hash_of(number));
        }
    }
    atomic_fetch_add_explicit(&race->miss_count, miss_count, memory_order_relaxed);
}

/* A layer that is nearly full, where every new key pushes some others around. */
START_TEST(readers_never_miss_a_key_while_tags_move)
{
    struct race race = {.resident_count = 30000};
    const uint64_t full = 60000;
    cold_filter_init(&race.filter, 0);
    for (uint64_t number = 0; number < full; number++)
        cold_filter_insert(&race.filter, hash_of(number));
    struct thread readers[3] = {0};
    for (size_t index = 0; index < COUNT_OF(readers); index++)
        thread_start(&readers[index], "reader", look_all_the_time, &race);
    for (uint64_t number = full; number < full + CHURN_COUNT; number++) {
        cold_filter_remove(&race.filter, hash_of(number - (full - race.resident_count)));
        cold_filter_insert(&race.filter, hash_of(number));
    }
    atomic_store_explicit(&race.stop, true, memory_order_relaxed);
    for (size_t index = 0; index < COUNT_OF(readers); index++)
        thread_join(&readers[index]);
    ck_assert_uint_gt(
        atomic_load_explicit(&race.filter.move_count, memory_order_relaxed), MOVES_MIN);
    ck_assert_uint_eq(atomic_load(&race.miss_count), 0);
    cold_filter_deinit(&race.filter);
}
END_TEST

struct growth {
    struct cold_filter filter;
    uint64_t count;
    _Atomic uint64_t inserted; /* acquire/release: keys below it must be found */
    _Atomic uint64_t miss_count;
};

static void look_at_the_newest(void *context)
{
    struct growth *const growth = context;
    uint64_t inserted = 0;
    while (inserted < growth->count) {
        inserted = atomic_load_explicit(&growth->inserted, memory_order_acquire);
        for (uint64_t back = 1; back <= 50 && back <= inserted; back++) {
            if (!cold_filter_contains(&growth->filter, hash_of(inserted - back)))
                atomic_fetch_add_explicit(&growth->miss_count, 1, memory_order_relaxed);
        }
    }
}

START_TEST(readers_find_a_key_as_soon_as_it_is_in)
{
    struct growth growth = {.count = LAYERS_COUNT / 4};
    cold_filter_init(&growth.filter, 0);
    struct thread readers[2] = {0};
    for (size_t index = 0; index < COUNT_OF(readers); index++)
        thread_start(&readers[index], "reader", look_at_the_newest, &growth);
    for (uint64_t number = 0; number < growth.count; number++) {
        cold_filter_insert(&growth.filter, hash_of(number));
        atomic_store_explicit(&growth.inserted, number + 1, memory_order_release);
    }
    for (size_t index = 0; index < COUNT_OF(readers); index++)
        thread_join(&readers[index]);
    ck_assert_uint_eq(atomic_load(&growth.miss_count), 0);
    cold_filter_deinit(&growth.filter);
}
END_TEST

/* A deleted key that was never counted must not take its twin's tag. */
START_TEST(a_key_that_the_fill_has_not_seen_is_not_removed)
{
    enum { COUNT = 50000 };
    struct tier tier;
    tier_open(&tier);
    struct cold_txn *txn = must_begin(tier.cold);
    for (unsigned index = 0; index < COUNT; index++) {
        const struct key key = key_numbered("key", index);
        must_put(txn, &key, &raw_header, SLICE_LITERAL("v"));
    }
    must_commit(txn);
    unsigned number = 0;
    struct key twin = key_numbered("twin", number);
    while (!cold_may_contain(tier.cold, &twin))
        twin = key_numbered("twin", ++number);
    const struct key any = key_text("key1");
    struct buf bytes = stored_bytes(tier.cold, &any);
    store_bytes(tier.cold, &twin, buf_slice(&bytes)); /* as if it had been there before the start */
    buf_deinit(&bytes);
    struct cold_filter *const filter = &tier.cold->filter;
    atomic_store(&filter->ready, false); /* as if the fill were still before it */
    ck_assert_uint_eq(filter->walked.size, 0);
    delete_one(tier.cold, &twin);
    atomic_store(&filter->ready, true);
    for (unsigned index = 0; index < COUNT; index++) {
        const struct key key = key_numbered("key", index);
        ck_assert(cold_may_contain(tier.cold, &key));
    }
    tier_close(&tier);
}
END_TEST

/* Changes while the fill walks: what is there afterwards must be found. */
START_TEST(the_fill_agrees_with_a_writer_that_does_not_wait)
{
    enum { OLD = 30000, NEW = 10000 };
    struct tier tier;
    tier_open(&tier);
    struct cold_txn *txn = must_begin(tier.cold);
    for (unsigned index = 0; index < OLD; index++) {
        const struct key key = key_numbered("key", index);
        must_put(txn, &key, &raw_header, SLICE_LITERAL("v"));
    }
    must_commit(txn);
    tier_reopen(&tier);
    for (unsigned part = 0; part < 10; part++) {
        txn = must_begin(tier.cold);
        for (unsigned index = part * NEW / 10; index < (part + 1) * NEW / 10; index++) {
            const struct key new = key_numbered("kez", index);
            const struct key old = key_numbered("key", index * 2);
            must_put(txn, &new, &raw_header, SLICE_LITERAL("v"));
            ck_assert_int_eq(cold_delete(txn, &old, NULL), ST_OK);
            ck_assert(cold_may_contain(tier.cold, &new));
            if (index % 3 == 0)
                must_put(txn, &old, &raw_header, SLICE_LITERAL("again"));
            if (index % 5 == 0)
                ck_assert_int_eq(cold_delete(txn, &new, NULL), ST_OK);
        }
        if (part == 4)
            cold_txn_abort(txn);
        else
            must_commit(txn);
    }
    cold_filter_wait(tier.cold);
    struct cold_job job = {
        .kind = COLD_JOB_RANGE, .key = key_make(SPACE, "", 0), .entry_max = 100000};
    cold_read_now(tier.cold, &job);
    ck_assert_int_eq(job.status, ST_OK);
    ck_assert(job.range_end);
    for (size_t index = 0; index < job.entry_count; index++) {
        const struct key key = key_make(
            SPACE, job.keys.data + job.entries[index].key_offset, job.entries[index].key_size);
        ck_assert(cold_may_contain(tier.cold, &key));
    }
    /* All gone: whatever was counted twice, no deletion may have taken another key's tag. */
    txn = must_begin(tier.cold);
    for (size_t index = 0; index < job.entry_count; index += 2) {
        const struct key key = key_make(
            SPACE, job.keys.data + job.entries[index].key_offset, job.entries[index].key_size);
        ck_assert_int_eq(cold_delete(txn, &key, NULL), ST_OK);
    }
    must_commit(txn);
    for (size_t index = 1; index < job.entry_count; index += 2) {
        const struct key key = key_make(
            SPACE, job.keys.data + job.entries[index].key_offset, job.entries[index].key_size);
        ck_assert(cold_may_contain(tier.cold, &key));
    }
    cold_job_deinit(&job);
    tier_close(&tier);
}
END_TEST

START_TEST(a_fresh_tier_knows_at_once_that_it_is_empty)
{
    struct tier tier;
    tier_open(&tier);
    const struct key key = key_text("key");
    const struct key large = key_long(600, 'a', 'b');
    ck_assert(!cold_may_contain(tier.cold, &key));
    ck_assert(!cold_may_contain(tier.cold, &large));
    mem_free((void *)(uintptr_t)large.data);
    tier_close(&tier);
}
END_TEST

TEST_GROUP(filter_group, inserted_keys_are_found_through_growth,
    false_positives_are_below_a_thousandth, removals_leave_the_others_and_make_room,
    a_removal_never_takes_a_twin_of_another_layer, a_key_inserted_twice_survives_one_removal,
    readers_never_miss_a_key_while_tags_move, readers_find_a_key_as_soon_as_it_is_in,
    a_key_that_the_fill_has_not_seen_is_not_removed,
    the_fill_agrees_with_a_writer_that_does_not_wait, a_fresh_tier_knows_at_once_that_it_is_empty)
