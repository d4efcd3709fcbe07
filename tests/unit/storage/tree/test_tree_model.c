/*
 * test_tree_model.c: random changes of trees of every order, beside a naive list, with snapshots in between.
 */
#include "base/check.h"
#include "test_main.h"
#include "tree_model.h"

enum { SNAPSHOT_COUNT = 4 };

static void run_model(const struct tree_class *class, size_t size_max, unsigned step_count)
{
    struct random random;
    test_random_init(&random);
    struct model model;
    struct model snapshots[SNAPSHOT_COUNT];
    bool taken[SNAPSHOT_COUNT] = {false};
    model_init(&model, class);
    for (unsigned step = 0; step < step_count; step++) {
        model_step(&model, &random, size_max);
        if (step % 16 == 0 || model.count < 8) {
            tree_check(&model.tree);
        }
        if (random_below(&random, 300) == 0) {
            const size_t which = random_below(&random, SNAPSHOT_COUNT);
            if (taken[which]) {
                model_compare(&snapshots[which]);
                model_deinit(&snapshots[which]);
            } else {
                model_snapshot(&model, &snapshots[which]);
            }
            taken[which] = !taken[which];
            model_compare(&model);
        }
    }
    model_compare(&model);
    for (size_t which = 0; which < SNAPSHOT_COUNT; which++) {
        if (taken[which]) {
            /* A snapshot is a tree like any other: it may be changed, too. */
            for (unsigned step = 0; step < 200; step++) {
                model_step(&snapshots[which], &random, size_max);
            }
            model_compare(&snapshots[which]);
            model_deinit(&snapshots[which]);
        }
    }
    model_compare(&model);
    while (model.count > 0) {
        model_step(&model, &random, 0);
        if (model.count % 64 == 0) {
            tree_check(&model.tree);
        }
    }
    model_compare(&model);
    ck_assert_uint_eq(model.tree.bytes, 0);
    model_deinit(&model);
}

START_TEST(a_list_of_rows_behaves_as_an_array)
{
    run_model(&class_list, 3000, 20000);
}
END_TEST

START_TEST(a_small_list_behaves_as_an_array)
{
    run_model(&class_list, 20, 20000);
}
END_TEST

START_TEST(rows_of_four_elements_behave_as_an_array)
{
    run_model(&class_wide, 1000, 10000);
}
END_TEST

START_TEST(a_hashed_tree_behaves_as_a_set)
{
    run_model(&class_hash, 2000, 20000);
}
END_TEST

START_TEST(a_small_hashed_tree_behaves_as_a_set)
{
    run_model(&class_hash, 10, 20000);
}
END_TEST

START_TEST(equal_hashes_are_no_trouble)
{
    run_model(&class_collisions, 3000, 20000);
}
END_TEST

START_TEST(a_sorted_tree_stays_in_order)
{
    run_model(&class_sorted, 2000, 15000);
}
END_TEST

START_TEST(a_tree_sorted_by_its_first_element_stays_in_order)
{
    run_model(&class_scored, 3000, 15000);
}
END_TEST

TEST_GROUP(model_group, a_list_of_rows_behaves_as_an_array, a_small_list_behaves_as_an_array,
    rows_of_four_elements_behave_as_an_array, a_hashed_tree_behaves_as_a_set,
    a_small_hashed_tree_behaves_as_a_set, equal_hashes_are_no_trouble, a_sorted_tree_stays_in_order,
    a_tree_sorted_by_its_first_element_stays_in_order)
