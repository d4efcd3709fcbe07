/*
 * test_reclaimer.c: large values are freed by a thread of its own, small ones at once.
 */
#include "base/mem.h"
#include "base/thread.h"
#include "storage/value.h"
#include "test_main.h"

static _Atomic uint64_t destroyed_count;
static _Atomic bool hold; /* destroy() waits while it is set */
static _Atomic pthread_t destroyer;

/* An object that says how much effort it is. */
struct heavy {
    struct value_object head;
    uint64_t effort;
};

static void heavy_destroy(struct value_object *object)
{
    while (atomic_load_explicit(&hold, memory_order_acquire)) {
        sched_yield();
    }
    destroyer = pthread_self();
    mem_free(object);
    atomic_fetch_add_explicit(&destroyed_count, 1, memory_order_release);
}

static uint64_t heavy_effort(const struct value_object *object)
{
    return ((const struct heavy *)(const void *)object)->effort;
}

static const struct value_class heavy_class = {
    .type = VALUE_LIST,
    .destroy = heavy_destroy,
    .effort = heavy_effort,
};

static struct value heavy_value(uint64_t effort)
{
    struct heavy *heavy = mem_alloc(sizeof(*heavy));
    *heavy = (struct heavy){.head.class = &heavy_class, .effort = effort};
    return (struct value){.type = VALUE_LIST, .object = &heavy->head};
}

static uint64_t destroyed(void)
{
    return atomic_load_explicit(&destroyed_count, memory_order_acquire);
}

START_TEST(without_the_thread_all_is_freed_at_once)
{
    struct value value = heavy_value(1000000);
    value_release(&value);
    ck_assert_uint_eq(destroyed(), 1);
    ck_assert_ptr_null(value.object);
    value_reclaimer_stop();
}
END_TEST

START_TEST(a_value_of_few_allocations_is_freed_at_once)
{
    value_reclaimer_start();
    struct value value = heavy_value(64);
    value_release(&value);
    ck_assert_uint_eq(destroyed(), 1);
    ck_assert(pthread_equal(destroyer, pthread_self()));
    uint64_t pending;
    uint64_t freed;
    value_reclaimer_counts(&pending, &freed);
    ck_assert_uint_eq(pending, 0);
    ck_assert_uint_eq(freed, 0);
    value_reclaimer_stop();
}
END_TEST

START_TEST(a_large_value_is_freed_by_the_thread_and_counted)
{
    atomic_store_explicit(&hold, true, memory_order_release);
    value_reclaimer_start();
    uint64_t pending;
    uint64_t freed;
    for (unsigned index = 0; index < 100; index++) {
        struct value value = heavy_value(65);
        value_release(&value);
        ck_assert_ptr_null(value.object);
    }
    value_reclaimer_counts(&pending, &freed);
    ck_assert_uint_eq(pending, 100);
    ck_assert_uint_eq(freed, 0);
    atomic_store_explicit(&hold, false, memory_order_release);
    value_reclaimer_stop();
    ck_assert_uint_eq(destroyed(), 100);
    ck_assert(!pthread_equal(destroyer, pthread_self()));
    value_reclaimer_counts(&pending, &freed);
    ck_assert_uint_eq(pending, 0);
    ck_assert_uint_eq(freed, 100);
    value_reclaimer_counts_reset();
    value_reclaimer_counts(&pending, &freed);
    ck_assert_uint_eq(freed, 0);
}
END_TEST

START_TEST(after_a_stop_it_can_be_started_again)
{
    for (unsigned round = 1; round <= 3; round++) {
        value_reclaimer_start();
        struct value value = heavy_value(1000);
        value_release(&value);
        value_reclaimer_stop();
        ck_assert_uint_eq(destroyed(), round);
        value = heavy_value(1000);
        value_release(&value);
        ck_assert_uint_eq(
            atomic_exchange_explicit(&destroyed_count, round, memory_order_relaxed), round + 1);
    }
}
END_TEST

START_TEST(a_long_string_goes_to_the_thread_and_its_other_references_live)
{
    value_reclaimer_start();
    struct blob *blob = blob_create(4 * MiB);
    ck_assert_ptr_nonnull(blob);
    blob->size = 1;
    blob->data[0] = 'x';
    struct value value = value_blob(blob_ref(blob));
    value_release(&value);
    value_reclaimer_stop();
    ck_assert(!blob_is_shared(blob));
    ck_assert_int_eq(blob->data[0], 'x');
    blob_unref(blob);
}
END_TEST

static void release_many(void *context)
{
    (void)context;
    for (unsigned index = 0; index < 5000; index++) {
        struct value value = heavy_value(index % 2 == 0 ? 100 : 10);
        value_release(&value);
    }
}

START_TEST(many_threads_release_at_once)
{
    value_reclaimer_start();
    struct thread threads[3];
    for (size_t index = 0; index < COUNT_OF(threads); index++) {
        thread_start(&threads[index], "release", release_many, NULL);
    }
    for (size_t index = 0; index < COUNT_OF(threads); index++) {
        thread_join(&threads[index]);
    }
    value_reclaimer_stop();
    ck_assert_uint_eq(destroyed(), 15000);
    uint64_t pending;
    uint64_t freed;
    value_reclaimer_counts(&pending, &freed);
    ck_assert_uint_eq(pending, 0);
    ck_assert_uint_eq(freed, 7500);
}
END_TEST

TEST_MAIN("value.reclaimer", without_the_thread_all_is_freed_at_once,
    a_value_of_few_allocations_is_freed_at_once, a_large_value_is_freed_by_the_thread_and_counted,
    after_a_stop_it_can_be_started_again,
    a_long_string_goes_to_the_thread_and_its_other_references_live, many_threads_release_at_once)
