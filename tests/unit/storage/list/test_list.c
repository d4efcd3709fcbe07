/*
 * Lists: ends, places, removal, and the operations of the class.
 */
#include "list_support.h"

static void push(struct list *list, enum list_end end, const char *text)
{
    const struct element element = text_element(text);
    list_push(list, end, &element);
}

START_TEST(pushes_go_to_their_end)
{
    struct list *list = list_create();
    ck_assert_uint_eq(list_count(list), 0);
    push(list, LIST_TAIL, "b");
    push(list, LIST_TAIL, "c");
    push(list, LIST_HEAD, "a");
    ck_assert_words(list, "a", "b", "c");
    list_destroy(list);
}
END_TEST

START_TEST(numbers_are_kept_as_numbers_and_read_as_text)
{
    static const char *const words[] = {"0", "-1", "9223372036854775807", "-9223372036854775808",
        "007", "+1", "9223372036854775808", "", "-0"};
    struct list *list = list_of_words(words, COUNT_OF(words));
    check_words(list, words, COUNT_OF(words));
    for (uint64_t i = 0; i < COUNT_OF(words); i++)
        ck_assert_int_eq(list_at(list, i).is_integer, i < 4);
    list_destroy(list);
}
END_TEST

START_TEST(insertion_is_before_a_place)
{
    struct list *list = list_create();
    const struct element element = text_element("x");
    push(list, LIST_TAIL, "a");
    push(list, LIST_TAIL, "b");
    list_insert(list, 1, &element);
    ck_assert_words(list, "a", "x", "b");
    list_insert(list, 3, &element);
    ck_assert_words(list, "a", "x", "b", "x");
    list_insert(list, 0, &element);
    ck_assert_words(list, "x", "a", "x", "b", "x");
    list_destroy(list);
}
END_TEST

START_TEST(a_replacement_may_have_another_size)
{
    static const char *const words[] = {"a", "b", "c"};
    struct list *list = list_of_words(words, COUNT_OF(words));
    char large[3000];
    memset(large, 'x', sizeof(large));
    const struct element element = element_of(slice_of(large, sizeof(large)));
    list_replace(list, 1, &element);
    list_check(list);
    const struct element found = list_at(list, 1);
    ck_assert_slice_eq(found.bytes, slice_of(large, sizeof(large)));
    const struct element number = text_element("7");
    list_replace(list, 1, &number);
    ck_assert_words(list, "a", "7", "c");
    list_destroy(list);
}
END_TEST

START_TEST(drops_take_from_their_end)
{
    static const char *const words[] = {"a", "b", "c", "d", "e", "f"};
    struct list *list = list_of_words(words, COUNT_OF(words));
    list_drop(list, LIST_HEAD, 0);
    list_drop(list, LIST_HEAD, 1);
    list_drop(list, LIST_TAIL, 2);
    ck_assert_words(list, "b", "c", "d");
    list_drop(list, LIST_TAIL, 3);
    ck_assert_uint_eq(list_count(list), 0);
    list_check(list);
    push(list, LIST_TAIL, "again");
    ck_assert_words(list, "again");
    list_destroy(list);
}
END_TEST

START_TEST(removal_takes_the_first_matches_from_either_end)
{
    static const char *const words[] = {"x", "1", "x", "2", "x", "3", "x"};
    const struct element x = text_element("x");
    struct list *list = list_of_words(words, COUNT_OF(words));
    ck_assert_uint_eq(list_remove(list, &x, LIST_HEAD, 1), 1);
    ck_assert_words(list, "1", "x", "2", "x", "3", "x");
    ck_assert_uint_eq(list_remove(list, &x, LIST_TAIL, 2), 2);
    ck_assert_words(list, "1", "x", "2", "3");
    ck_assert_uint_eq(list_remove(list, &x, LIST_TAIL, 0), 1);
    ck_assert_uint_eq(list_remove(list, &x, LIST_HEAD, 0), 0);
    const struct element one = text_element("1");
    ck_assert_uint_eq(list_remove(list, &one, LIST_TAIL, 5), 1);
    ck_assert_words(list, "2", "3");
    list_destroy(list);
}
END_TEST

START_TEST(a_list_of_equals_can_be_emptied)
{
    const struct element x = text_element("x");
    for (int end = LIST_HEAD; end <= LIST_TAIL; end++) {
        struct list *list = list_create();
        for (int i = 0; i < 5000; i++)
            list_push(list, LIST_TAIL, &x);
        ck_assert_uint_eq(list_remove(list, &x, (enum list_end)end, 0), 5000);
        ck_assert_uint_eq(list_count(list), 0);
        list_check(list);
        list_destroy(list);
    }
}
END_TEST

START_TEST(finding_gives_the_first_place)
{
    static const char *const words[] = {"a", "12", "b", "12"};
    struct list *list = list_of_words(words, COUNT_OF(words));
    uint64_t rank = 99;
    const struct element twelve = text_element("12");
    const struct element nothing = text_element("012");
    ck_assert(list_find(list, &twelve, &rank));
    ck_assert_uint_eq(rank, 1);
    ck_assert(!list_find(list, &nothing, &rank));
    list_destroy(list);
}
END_TEST

START_TEST(the_class_knows_counts_and_sizes)
{
    list_setup();
    list_setup(); /* twice is once */
    struct list *list = list_create();
    struct value value = list_value(list);
    const struct value_class *class = value_class_of(VALUE_LIST);
    ck_assert_ptr_eq(class, list->object.class);
    ck_assert_ptr_eq(list_of(&value), list);
    ck_assert_int_eq(value.encoding, VALUE_ENCODING_QUICKLIST);
    const size_t empty_bytes = class->size_bytes(&list->object);
    for (int i = 0; i < 1000; i++)
        push(list, LIST_TAIL, "a text of some length");
    ck_assert_uint_eq(class->element_count(&list->object), 1000);
    ck_assert_uint_gt(class->size_bytes(&list->object), empty_bytes + 20000);
    ck_assert_uint_lt(class->size_bytes(&list->object), empty_bytes + 40000);
    ck_assert_uint_gt(class->effort(&list->object), 5);
    ck_assert_uint_eq(value_external_bytes(&value), class->size_bytes(&list->object));
    value_release(&value);
}
END_TEST

START_TEST(a_snapshot_stays_what_it_was)
{
    list_setup();
    const struct value_class *class = value_class_of(VALUE_LIST);
    struct naive *naive = naive_create();
    struct list *list = list_create();
    for (int i = 0; i < 2000; i++) {
        push(list, LIST_TAIL, "original");
        naive_insert(naive, naive->count, slice_text("original"));
    }
    struct value_object *snapshot = class->snapshot(&list->object);
    push(list, LIST_HEAD, "new");
    list_drop(list, LIST_TAIL, 700);
    const struct value old = {
        .type = VALUE_LIST, .encoding = snapshot->encoding, .object = snapshot};
    naive_compare(naive, list_of(&old));
    list_destroy(list);
    naive_compare(naive, list_of(&old));
    list_check(list_of(&old));
    class->destroy(snapshot);
    naive_destroy(naive);
    list_destroy(NULL);
}
END_TEST

TEST_GROUP(list_group, pushes_go_to_their_end, numbers_are_kept_as_numbers_and_read_as_text,
    insertion_is_before_a_place, a_replacement_may_have_another_size, drops_take_from_their_end,
    removal_takes_the_first_matches_from_either_end, a_list_of_equals_can_be_emptied,
    finding_gives_the_first_place, the_class_knows_counts_and_sizes, a_snapshot_stays_what_it_was)
