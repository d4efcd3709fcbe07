/*
 * test_tree_shape.c: how much memory trees take, what is shared, what leaves and nodes look like.
 */
#include "base/mem.h"
#include "test_main.h"
#include "tree_internal.h"
#include "tree_model.h"

static void append_text(struct tree *tree, const char *text)
{
    const struct element element = element_of(slice_text(text));
    tree_append(tree, &element);
}

/* Bytes of the tree per row. */
static size_t bytes_per_row(const struct tree *tree)
{
    return tree->bytes / tree->count;
}

START_TEST(an_empty_tree_has_no_memory)
{
    struct tree tree;
    tree_init(&tree, &class_list);
    struct tree_cursor cursor;
    tree_cursor_at(&tree, 0, &cursor);
    ck_assert(tree_cursor_is_end(&cursor));
    ck_assert(!tree_cursor_next(&cursor));
    ck_assert(!tree_cursor_previous(&cursor));
    ck_assert_uint_eq(tree_cursor_rank(&cursor), 0);
    ck_assert_uint_eq(tree.bytes, 0);
    ck_assert_uint_eq(tree_node_count(&tree), 0);
    tree_delete_range(&tree, 0, 0);
    struct tree snapshot;
    tree_snapshot(&tree, &snapshot);
    tree_deinit(&snapshot);
    tree_check(&tree);
    tree_deinit(&tree);
}
END_TEST

START_TEST(a_small_tree_is_one_small_allocation)
{
    struct tree tree;
    tree_init(&tree, &class_hash);
    for (unsigned row = 0; row < 2; row++) {
        const struct element elements[2] = {
            element_of_integer(row), element_of(slice_text("0123456789abc"))};
        tree_insert_hashed(&tree, elements);
    }
    ck_assert_uint_eq(tree_node_count(&tree), 1);
    ck_assert_uint_le(tree.bytes, 96);
    tree_check(&tree);
    tree_deinit(&tree);
}
END_TEST

START_TEST(rows_in_order_fill_leaves)
{
    struct tree tree;
    tree_init(&tree, &class_list);
    for (unsigned row = 0; row < 100000; row++) {
        append_text(&tree, "xxx");
    }
    ck_assert_uint_le(bytes_per_row(&tree), 6);
    tree_check(&tree);
    tree_deinit(&tree);
    tree_init(&tree, &class_list);
    const struct element element = element_of(slice_text("xxx"));
    for (unsigned row = 0; row < 100000; row++) {
        struct tree_cursor cursor;
        tree_cursor_at(&tree, 0, &cursor);
        tree_insert(&tree, &cursor, &element);
    }
    ck_assert_uint_le(bytes_per_row(&tree), 6);
    tree_check(&tree);
    tree_deinit(&tree);
    tree_init(&tree, &class_sorted);
    for (unsigned row = 0; row < 100000; row++) {
        const struct element elements[2] = {element_of_integer(row), element_of_integer(row)};
        tree_append(&tree, elements);
    }
    ck_assert_uint_le(bytes_per_row(&tree), 11);
    tree_check(&tree);
    tree_deinit(&tree);
}
END_TEST

START_TEST(a_tree_that_shrinks_gives_memory_back)
{
    struct random random;
    test_random_init(&random);
    struct tree tree;
    tree_init(&tree, &class_list);
    for (unsigned row = 0; row < 50000; row++) {
        append_text(&tree, "0123456789abcdef");
    }
    const size_t full = tree.bytes;
    while (tree.count > 500) {
        struct tree_cursor cursor;
        tree_cursor_at(&tree, random_below(&random, tree.count), &cursor);
        tree_delete(&tree, &cursor);
    }
    tree_check(&tree);
    ck_assert_uint_le(tree.bytes, full / 25);
    while (tree.count > 2) {
        struct tree_cursor cursor;
        tree_cursor_at(&tree, 0, &cursor);
        tree_delete(&tree, &cursor);
    }
    ck_assert_uint_le(tree.bytes, 160);
    tree_check(&tree);
    tree_deinit(&tree);
}
END_TEST

START_TEST(a_queue_does_not_grow)
{
    struct tree tree;
    tree_init(&tree, &class_list);
    for (unsigned step = 0; step < 100000; step++) {
        append_text(&tree, "an element of the queue");
        if (tree.count > 50) {
            struct tree_cursor cursor;
            tree_cursor_at(&tree, 0, &cursor);
            tree_delete(&tree, &cursor);
        }
        ck_assert_uint_le(tree.bytes, 8 * 1024);
    }
    tree_check(&tree);
    tree_deinit(&tree);
}
END_TEST

START_TEST(whole_leaves_are_dropped_by_a_range)
{
    for (unsigned round = 0; round < 200; round++) {
        struct random random;
        test_random_init(&random);
        random.state[0] += round;
        struct tree tree;
        struct tree snapshot;
        tree_init(&tree, &class_list);
        const unsigned count = 30000;
        for (unsigned row = 0; row < count; row++) {
            const struct element element = element_of_integer(row * 1000);
            tree_append(&tree, &element);
        }
        tree_snapshot(&tree, &snapshot);
        const uint64_t rank = random_below(&random, count);
        const uint64_t removed = random_below(&random, count - rank) + 1;
        tree_delete_range(&tree, rank, removed);
        tree_check(&tree);
        ck_assert_uint_eq(tree.count, count - removed);
        struct tree_cursor cursor;
        if (rank > 0) {
            tree_cursor_at(&tree, rank - 1, &cursor);
            ck_assert_int_eq(tree_cursor_element(&cursor, 0).integer, (int64_t)(rank - 1) * 1000);
        }
        tree_cursor_at(&tree, rank, &cursor);
        if (rank < tree.count) {
            ck_assert_int_eq(
                tree_cursor_element(&cursor, 0).integer, (int64_t)(rank + removed) * 1000);
        }
        tree_deinit(&tree);
        tree_check(&snapshot);
        ck_assert_uint_eq(snapshot.count, count);
        tree_deinit(&snapshot);
    }
}
END_TEST

START_TEST(a_tree_of_three_levels_holds)
{
    struct tree tree;
    tree_init(&tree, &class_sorted);
    char text[1000];
    memset(text, 'x', sizeof(text));
    /* Three rows to a leaf. */
    const int64_t count = 120000;
    for (int64_t row = 0; row < count; row++) {
        const struct element elements[2] = {
            element_of_integer(row * 2), element_of(slice_of(text, 900))};
        struct tree_cursor cursor;
        /* From both sides towards the middle. */
        const int64_t place = row % 2 == 0 ? row / 2 : count - row / 2;
        const struct element chosen[2] = {element_of_integer(place), elements[1]};
        tree_seek(&tree, class_sorted.prefix(chosen), &chosen[1], &cursor);
        tree_insert(&tree, &cursor, chosen);
    }
    ck_assert_uint_ge(tree.root->level, 2);
    tree_check(&tree);
    struct tree snapshot;
    tree_snapshot(&tree, &snapshot);
    ck_assert_uint_eq(tree_node_count(&tree), 1);
    struct random random;
    test_random_init(&random);
    while (tree.count > 1000) {
        struct tree_cursor cursor;
        tree_cursor_at(&tree, random_below(&random, tree.count), &cursor);
        tree_delete(&tree, &cursor);
    }
    tree_check(&tree);
    tree_check(&snapshot);
    ck_assert_uint_ge(tree_node_count(&tree), 100);
    tree_delete_range(&snapshot, 100, snapshot.count - 200);
    tree_check(&snapshot);
    tree_deinit(&tree);
    tree_deinit(&snapshot);
}
END_TEST

START_TEST(long_elements_are_shared_and_counted)
{
    struct tree tree;
    struct tree snapshot;
    tree_init(&tree, &class_list);
    const size_t size = 3 * MiB;
    char *text = mem_alloc(size);
    memset(text, 'l', size);
    const struct element element = element_of(slice_of(text, size));
    tree_append(&tree, &element);
    mem_free(text);
    ck_assert_uint_ge(tree.bytes, size);
    ck_assert_uint_eq(tree_node_count(&tree), 2);
    tree_snapshot(&tree, &snapshot);
    append_text(&tree, "short");
    struct tree_cursor cursor;
    tree_cursor_at(&tree, 0, &cursor);
    const struct element changed = tree_cursor_element(&cursor, 0);
    tree_cursor_at(&snapshot, 0, &cursor);
    const struct element kept = tree_cursor_element(&cursor, 0);
    ck_assert_ptr_eq(changed.bytes.data, kept.bytes.data);
    /* The element given is the one replaced. */
    tree_cursor_at(&tree, 0, &cursor);
    tree_replace(&tree, &cursor, 0, &changed);
    tree_check(&tree);
    tree_check(&snapshot);
    tree_deinit(&snapshot);
    ck_assert_uint_eq(tree_cursor_element(&cursor, 0).bytes.size, size);
    ck_assert_int_eq(tree_cursor_element(&cursor, 0).bytes.data[size - 1], 'l');
    tree_delete_range(&tree, 0, 1);
    ck_assert_uint_le(tree.bytes, 128);
    tree_check(&tree);
    tree_deinit(&tree);
}
END_TEST

START_TEST(elements_of_the_tree_itself_may_be_added)
{
    struct tree tree;
    tree_init(&tree, &class_list);
    append_text(&tree, "the first one, which is long enough to be copied around");
    for (unsigned step = 0; step < 2000; step++) {
        struct tree_cursor cursor;
        struct tree snapshot;
        tree_snapshot(&tree, &snapshot);
        tree_cursor_at(&tree, 0, &cursor);
        const struct element first = tree_cursor_element(&cursor, 0);
        if (step % 3 == 0) {
            tree_deinit(&snapshot);
        }
        tree_insert(&tree, &cursor, &first);
        tree_check(&tree);
        if (step % 3 != 0) {
            tree_deinit(&snapshot);
        }
    }
    struct tree_cursor cursor;
    for (tree_cursor_at(&tree, 0, &cursor); !tree_cursor_is_end(&cursor);
         (void)tree_cursor_next(&cursor)) {
        ck_assert_text_eq(tree_cursor_element(&cursor, 0).bytes,
            "the first one, which is long enough to be copied around");
    }
    tree_deinit(&tree);
}
END_TEST

START_TEST(an_element_of_the_same_size_is_replaced_in_place)
{
    struct tree tree;
    tree_init(&tree, &class_hash);
    const struct element row[2] = {element_of_integer(1), element_of_integer(100000)};
    tree_insert_hashed(&tree, row);
    const size_t bytes = tree.bytes;
    for (int64_t value = 100000; value < 110000; value++) {
        const struct element element = element_of_integer(value);
        struct tree_cursor cursor;
        ck_assert(tree_find(&tree, &row[0], &cursor));
        tree_replace(&tree, &cursor, 1, &element);
    }
    ck_assert_uint_eq(tree.bytes, bytes);
    ck_assert_uint_eq(leaf_of(tree.root)->garbage, 0);
    tree_deinit(&tree);
}
END_TEST

TEST_GROUP(shape_group, an_empty_tree_has_no_memory, a_small_tree_is_one_small_allocation,
    rows_in_order_fill_leaves, a_tree_that_shrinks_gives_memory_back, a_queue_does_not_grow,
    whole_leaves_are_dropped_by_a_range, a_tree_of_three_levels_holds,
    long_elements_are_shared_and_counted, elements_of_the_tree_itself_may_be_added,
    an_element_of_the_same_size_is_replaced_in_place)
