/*
 * test_ring.c: the ring keeps order, counts what it drops, and is safe between two threads.
 */
#include "base/check.h"
#include "base/thread.h"
#include "test_main.h"

#include <sched.h>

struct item {
    uint64_t number;
    uint64_t check; /* depends on number, so that a torn copy shows */
    char odd_size[3];
};

static struct item make_item(uint64_t number)
{
    return (struct item){.number = number, .check = ~number * 3};
}

START_TEST(an_empty_ring_gives_nothing)
{
    struct ring *const ring = ring_create(sizeof(struct item), 8);
    struct item item;
    ck_assert_uint_eq(ring_pop(ring, &item, 1), 0);
    ck_assert_uint_eq(ring_pop(ring, &item, 0), 0);
    ck_assert_uint_eq(ring_dropped_count(ring), 0);
    ring_destroy(ring);
    ring_destroy(NULL);
}
END_TEST

START_TEST(a_full_ring_refuses_and_counts)
{
    struct ring *const ring = ring_create(sizeof(struct item), 4);
    struct item items[4];
    for (uint64_t number = 0; number < 6; number++) {
        const struct item item = make_item(number);
        ck_assert_int_eq(ring_push(ring, &item), number < 4);
    }
    ck_assert_uint_eq(ring_dropped_count(ring), 2);
    ck_assert_uint_eq(ring_pop(ring, items, 4), 4);
    ck_assert_uint_eq(items[3].number, 3); /* the old ones stay */
    const struct item item = make_item(9);
    ck_assert(ring_push(ring, &item));
    ring_destroy(ring);
}
END_TEST

START_TEST(items_come_in_order_around_the_end)
{
    struct ring *const ring = ring_create(sizeof(struct item), 8);
    uint64_t pushed = 0;
    uint64_t popped = 0;
    for (int round = 0; round < 1000; round++) {
        for (int index = 0; index < 5; index++) {
            const struct item item = make_item(pushed++);
            ck_assert(ring_push(ring, &item));
        }
        struct item items[8];
        ck_assert_uint_eq(ring_pop(ring, items, 3), 3);
        ck_assert_uint_eq(ring_pop(ring, items + 3, 5), 2);
        for (int index = 0; index < 5; index++)
            ck_assert_uint_eq(items[index].number, popped++);
    }
    ring_destroy(ring);
}
END_TEST

enum { PUSHES = 200000 };

static void push_all(void *context)
{
    struct ring *const ring = context;
    for (uint64_t number = 0; number < PUSHES; number++) {
        const struct item item = make_item(number);
        while (!ring_push(ring, &item))
            (void)sched_yield();
    }
}

START_TEST(two_threads_lose_and_tear_nothing)
{
    struct ring *const ring = ring_create(sizeof(struct item), 64);
    struct thread producer = {0};
    thread_start(&producer, "producer", push_all, ring);
    for (uint64_t next = 0; next < PUSHES;) {
        struct item items[16];
        const size_t count = ring_pop(ring, items, COUNT_OF(items));
        for (size_t index = 0; index < count; index++, next++) {
            ck_assert_uint_eq(items[index].number, next);
            ck_assert_uint_eq(items[index].check, ~next * 3);
        }
        if (count == 0)
            (void)sched_yield();
    }
    thread_join(&producer);
    ring_destroy(ring);
}
END_TEST

static void create_odd_ring(void *context)
{
    (void)context;
    ring_destroy(ring_create(8, 6));
}

START_TEST(the_number_of_items_is_a_power_of_two)
{
    ck_assert(test_aborts(create_odd_ring, NULL));
}
END_TEST

TEST_GROUP(ring_group, an_empty_ring_gives_nothing, a_full_ring_refuses_and_counts,
    items_come_in_order_around_the_end, two_threads_lose_and_tear_nothing,
    the_number_of_items_is_a_power_of_two)
