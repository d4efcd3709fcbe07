/*
 * test_tree_threads.c: snapshots are read and dropped by other threads while their origin changes.
 */
#include "base/check.h"
#include "base/mem.h"
#include "base/thread.h"
#include "test_main.h"
#include "tree_model.h"

enum { READER_COUNT = 3, ROUND_COUNT = 150 };

/* A snapshot and the sum of its rows. */
struct order {
    struct tree snapshot;
    int64_t sum;
};

struct exchange {
    _Atomic(struct order *) place; /* atomic: handed over with release, taken with acquire */
    _Atomic bool done;
};

static int64_t sum_of(const struct tree *tree)
{
    int64_t sum = 0;
    struct tree_cursor cursor;
    for (tree_cursor_at(tree, 0, &cursor); !tree_cursor_is_end(&cursor);
         (void)tree_cursor_next(&cursor)) {
        const struct element element = tree_cursor_element(&cursor, 0);
        sum += element.is_integer ? element.integer : (int64_t)element.bytes.size;
    }
    return sum;
}

static void read_snapshots(void *context)
{
    struct exchange *exchange = context;
    while (!atomic_load_explicit(&exchange->done, memory_order_acquire)) {
        struct order *order =
            atomic_exchange_explicit(&exchange->place, NULL, memory_order_acq_rel);
        if (order == NULL) {
            sched_yield();
            continue;
        }
        struct tree second;
        tree_snapshot(&order->snapshot, &second);
        CHECK(sum_of(&order->snapshot) == order->sum);
        tree_check(&order->snapshot);
        tree_deinit(&order->snapshot);
        CHECK(sum_of(&second) == order->sum);
        tree_deinit(&second);
        mem_free(order);
    }
}

static void change(struct tree *tree, struct random *random)
{
    struct tree_cursor cursor;
    char text[2000];
    memset(text, 't', sizeof(text));
    for (unsigned step = 0; step < 200; step++) {
        const uint64_t kind = random_below(random, 10);
        tree_cursor_at(tree, random_below(random, tree->count + 1), &cursor);
        if (kind < 3 && !tree_cursor_is_end(&cursor)) {
            tree_delete(tree, &cursor);
        } else if (kind < 5 && !tree_cursor_is_end(&cursor)) {
            const struct element element = element_of_integer((int64_t)random_below(random, 1000));
            tree_replace(tree, &cursor, 0, &element);
        } else if (kind == 5) {
            const struct element element =
                element_of(slice_of(text, random_below(random, sizeof(text))));
            tree_insert(tree, &cursor, &element);
        } else {
            const struct element element =
                element_of_integer((int64_t)random_below(random, 1000000));
            tree_insert(tree, &cursor, &element);
        }
    }
    if (tree->count > 3000) {
        tree_delete_range(tree, 1000, tree->count - 2000);
    }
}

START_TEST(snapshots_belong_to_whoever_holds_them)
{
    struct random random;
    test_random_init(&random);
    static struct exchange exchanges[READER_COUNT];
    struct thread threads[READER_COUNT];
    for (size_t index = 0; index < READER_COUNT; index++) {
        thread_start(&threads[index], "reader", read_snapshots, &exchanges[index]);
    }
    struct tree tree;
    tree_init(&tree, &class_list);
    for (unsigned round = 0; round < ROUND_COUNT; round++) {
        change(&tree, &random);
        struct order *order = mem_alloc(sizeof(*order));
        order->sum = sum_of(&tree);
        tree_snapshot(&tree, &order->snapshot);
        order = atomic_exchange_explicit(
            &exchanges[round % READER_COUNT].place, order, memory_order_acq_rel);
        if (order != NULL) {
            tree_deinit(&order->snapshot);
            mem_free(order);
        }
    }
    tree_check(&tree);
    tree_deinit(&tree);
    for (size_t index = 0; index < READER_COUNT; index++) {
        atomic_store_explicit(&exchanges[index].done, true, memory_order_release);
        thread_join(&threads[index]);
        struct order *order =
            atomic_exchange_explicit(&exchanges[index].place, NULL, memory_order_acq_rel);
        if (order != NULL) {
            tree_deinit(&order->snapshot);
            mem_free(order);
        }
    }
}
END_TEST

TEST_MAIN("tree.threads", snapshots_belong_to_whoever_holds_them)
