/*
 * test_tree_scan.c: what is there during a whole walk is seen, however the tree changes in between.
 */
#include "base/mem.h"
#include "test_main.h"
#include "tree_model.h"

/* Integers below this stay in the tree; those above come and go. */
#define STEADY_COUNT 3000

struct seen {
    unsigned char *steady;
    size_t count;
};

static void see(void *context, const struct element *row)
{
    struct seen *seen = context;
    ck_assert(row[0].is_integer);
    if (row[0].integer < STEADY_COUNT) {
        seen->steady[row[0].integer]++;
    }
    seen->count++;
}

static void add(struct tree *tree, int64_t integer)
{
    const struct element row[2] = {element_of_integer(integer), element_of_integer(-integer)};
    struct tree_cursor cursor;
    if (!tree_find(tree, &row[0], &cursor)) {
        tree_insert_found(tree, &cursor, row);
    }
}

static void drop(struct tree *tree, int64_t integer)
{
    const struct element element = element_of_integer(integer);
    struct tree_cursor cursor;
    if (tree_find(tree, &element, &cursor)) {
        tree_delete(tree, &cursor);
    }
}

static void check_walk(const struct tree_class *class, unsigned churn)
{
    struct random random;
    test_random_init(&random);
    struct tree tree;
    tree_init(&tree, class);
    for (int64_t integer = 0; integer < STEADY_COUNT; integer++) {
        add(&tree, integer);
    }
    struct seen seen = {.steady = mem_alloc_zero(STEADY_COUNT)};
    uint64_t position = 0;
    unsigned step_count = 0;
    do {
        tree_scan(&tree, &position, 10, see, &seen);
        ck_assert_uint_lt(position, UINT64_C(1) << 48);
        /* It grows for a while, then shrinks. */
        for (unsigned change = 0; change < churn; change++) {
            const int64_t integer = STEADY_COUNT + (int64_t)random_below(&random, 20000);
            if (step_count / 8 % 2 == 0) {
                add(&tree, integer);
            } else {
                drop(&tree, integer);
            }
        }
        ck_assert_uint_lt(++step_count, 100000);
    } while (position != 0);
    for (size_t integer = 0; integer < STEADY_COUNT; integer++) {
        ck_assert_uint_ge(seen.steady[integer], 1);
        if (churn == 0) {
            ck_assert_uint_eq(seen.steady[integer], 1);
        }
    }
    tree_check(&tree);
    mem_free(seen.steady);
    tree_deinit(&tree);
}

START_TEST(every_row_is_seen_once_when_nothing_changes)
{
    check_walk(&class_hash, 0);
}
END_TEST

START_TEST(rows_that_stay_are_seen_while_others_come_and_go)
{
    check_walk(&class_hash, 300);
    check_walk(&class_hash, 3000);
}
END_TEST

START_TEST(rows_of_equal_hashes_are_seen)
{
    check_walk(&class_collisions, 0);
    check_walk(&class_collisions, 50);
}
END_TEST

START_TEST(a_small_tree_is_seen_at_once_in_order_of_insertion)
{
    struct tree tree;
    tree_init(&tree, &class_hash);
    for (int64_t integer = 0; integer < 20; integer++) {
        add(&tree, integer);
    }
    struct tree_cursor cursor;
    tree_cursor_at(&tree, 0, &cursor);
    for (int64_t integer = 0; integer < 20; integer++) {
        ck_assert_int_eq(tree_cursor_element(&cursor, 0).integer, integer);
        (void)tree_cursor_next(&cursor);
    }
    struct seen seen = {.steady = mem_alloc_zero(STEADY_COUNT)};
    uint64_t position = 0;
    tree_scan(&tree, &position, 1, see, &seen);
    ck_assert_uint_eq(position, 0);
    ck_assert_uint_eq(seen.count, 20);
    mem_free(seen.steady);
    tree_deinit(&tree);
}
END_TEST

START_TEST(any_position_is_safe)
{
    struct random random;
    test_random_init(&random);
    struct tree tree;
    tree_init(&tree, &class_hash);
    struct seen seen = {.steady = mem_alloc_zero(STEADY_COUNT)};
    for (unsigned step = 0; step < 5000; step++) {
        uint64_t position = random_next(&random) >> random_below(&random, 64);
        tree_scan(&tree, &position, random_below(&random, 50), see, &seen);
        add(&tree, (int64_t)random_below(&random, 2000));
    }
    mem_free(seen.steady);
    tree_deinit(&tree);
}
END_TEST

TEST_GROUP(scan_group, every_row_is_seen_once_when_nothing_changes,
    rows_that_stay_are_seen_while_others_come_and_go, rows_of_equal_hashes_are_seen,
    a_small_tree_is_seen_at_once_in_order_of_insertion, any_position_is_safe)
