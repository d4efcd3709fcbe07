/*
 * test_dict.c: hashes, field by field.
 */
#include "storage/dict.h"
#include "test_main.h"

static struct element text(const char *string)
{
    return element_of(slice_text(string));
}

static bool set(struct dict *dict, const char *field, const char *value)
{
    const struct element name = text(field);
    const struct element content = text(value);
    return dict_set(dict, &name, &content, DICT_CLEAR_EXPIRY);
}

static void expire(struct dict *dict, const char *field, uint64_t expire_ms)
{
    const struct element name = text(field);
    dict_expire_set(dict, &name, expire_ms);
}

static uint64_t expiry(const struct dict *dict, const char *field)
{
    const struct element name = text(field);
    return dict_expire_ms(dict, &name);
}

static bool drop(struct dict *dict, const char *field)
{
    const struct element name = text(field);
    return dict_remove(dict, &name);
}

static void assert_value(
    const struct dict *dict, const char *field, uint64_t now_ms, const char *expected)
{
    const struct element name = text(field);
    struct element value;
    char scratch[ELEMENT_TEXT_MAX];
    if (expected == NULL) {
        ck_assert(!dict_get(dict, &name, now_ms, &value));
        return;
    }
    ck_assert(dict_get(dict, &name, now_ms, &value));
    ck_assert_text_eq(element_text(&value, scratch), expected);
}

START_TEST(a_field_has_its_last_value)
{
    struct dict *dict = dict_create();
    ck_assert(set(dict, "a", "1"));
    ck_assert(set(dict, "", "empty"));
    ck_assert(!set(dict, "a", "two"));
    ck_assert(set(dict, "007", "bond"));
    ck_assert(set(dict, "7", ""));
    assert_value(dict, "a", 0, "two");
    assert_value(dict, "", 0, "empty");
    assert_value(dict, "007", 0, "bond");
    assert_value(dict, "7", 0, "");
    assert_value(dict, "b", 0, NULL);
    ck_assert_uint_eq(dict_count(dict), 4);
    ck_assert(drop(dict, "a"));
    ck_assert(!drop(dict, "a"));
    ck_assert_uint_eq(dict_count(dict), 3);
    dict_check(dict);
    dict_destroy(dict);
    dict_destroy(NULL);
}
END_TEST

START_TEST(a_small_dict_keeps_the_order_of_insertion)
{
    struct dict *dict = dict_create();
    (void)set(dict, "b", "1");
    (void)set(dict, "a", "2");
    (void)set(dict, "c", "3");
    (void)set(dict, "b", "4");
    struct tree_cursor cursor;
    struct element row[2];
    tree_cursor_at(dict_fields(dict), 0, &cursor);
    const char *const expected[] = {"b", "a", "c"};
    for (size_t i = 0; i < 3; i++) {
        tree_cursor_row(&cursor, row);
        ck_assert_text_eq(row[0].bytes, expected[i]);
        ck_assert_int_eq(tree_cursor_next(&cursor), i < 2);
    }
    dict_destroy(dict);
}
END_TEST

START_TEST(a_field_is_over_after_its_time)
{
    struct dict *dict = dict_create();
    (void)set(dict, "a", "1");
    (void)set(dict, "b", "2");
    ck_assert_uint_eq(dict_soonest_ms(dict), 0);
    expire(dict, "a", 1000);
    const struct element a = text("a");
    const struct element b = text("b");
    const struct element c = text("c");
    ck_assert_int_eq(dict_presence(dict, &a, 1000), DICT_LIVE);
    ck_assert_int_eq(dict_presence(dict, &a, 1001), DICT_OVER);
    ck_assert_int_eq(dict_presence(dict, &a, 0), DICT_LIVE);
    ck_assert_int_eq(dict_presence(dict, &b, 1001), DICT_LIVE);
    ck_assert_int_eq(dict_presence(dict, &c, 1001), DICT_ABSENT);
    assert_value(dict, "a", 1000, "1");
    assert_value(dict, "a", 1001, NULL);
    ck_assert(!dict_has_over(dict, 1000));
    ck_assert(dict_has_over(dict, 1001));
    ck_assert_uint_eq(dict_live_count(dict, 1000), 2);
    ck_assert_uint_eq(dict_live_count(dict, 1001), 1);
    ck_assert_uint_eq(dict_count(dict), 2);
    dict_check(dict);
    dict_destroy(dict);
}
END_TEST

START_TEST(a_new_value_ends_the_expiry_unless_told_otherwise)
{
    struct dict *dict = dict_create();
    const struct element a = text("a");
    const struct element value = text("new");
    (void)set(dict, "a", "1");
    expire(dict, "a", 1000);
    ck_assert(!dict_set(dict, &a, &value, DICT_KEEP_EXPIRY));
    ck_assert_uint_eq(expiry(dict, "a"), 1000);
    ck_assert(!dict_set(dict, &a, &value, DICT_CLEAR_EXPIRY));
    ck_assert_uint_eq(expiry(dict, "a"), 0);
    ck_assert_uint_eq(dict_soonest_ms(dict), 0);
    dict_check(dict);
    dict_destroy(dict);
}
END_TEST

START_TEST(an_expiry_can_be_moved_and_taken_back)
{
    struct dict *dict = dict_create();
    (void)set(dict, "a", "1");
    (void)set(dict, "b", "2");
    expire(dict, "a", 1000);
    expire(dict, "b", 1000);
    ck_assert_uint_eq(dict_soonest_ms(dict), 1000);
    expire(dict, "a", 3000);
    expire(dict, "b", DICT_EXPIRE_MAX);
    ck_assert_uint_eq(dict_soonest_ms(dict), 3000);
    expire(dict, "a", 0);
    ck_assert_uint_eq(dict_soonest_ms(dict), DICT_EXPIRE_MAX);
    ck_assert(drop(dict, "b"));
    ck_assert_uint_eq(dict_soonest_ms(dict), 0);
    dict_check(dict);
    dict_destroy(dict);
}
END_TEST

struct removed {
    struct buf names;
};

static void note_removed(void *context, struct slice field)
{
    struct removed *removed = context;
    buf_append_slice(&removed->names, field);
    buf_append_byte(&removed->names, ' ');
}

START_TEST(fields_that_are_over_leave_soonest_first)
{
    struct dict *dict = dict_create();
    struct removed removed = {0};
    const char *const names[] = {"e", "4", "c", "b", "a"};
    for (size_t i = 0; i < 5; i++) {
        (void)set(dict, names[i], "x");
        expire(dict, names[i], 500 - 100 * i);
    }
    (void)set(dict, "stays", "x");
    ck_assert_uint_eq(dict_expire(dict, 401, 2, note_removed, &removed), 2);
    ck_assert_uint_eq(dict_expire(dict, 401, 10, note_removed, &removed), 2);
    ck_assert_uint_eq(dict_expire(dict, 401, 10, NULL, NULL), 0);
    ck_assert_text_eq(buf_slice(&removed.names), "a b c 4 ");
    ck_assert_uint_eq(dict_count(dict), 2);
    dict_check(dict);
    ck_assert_uint_eq(dict_expire(dict, 1000, 10, NULL, NULL), 1);
    ck_assert_uint_eq(dict_soonest_ms(dict), 0);
    dict_check(dict);
    buf_deinit(&removed.names);
    dict_destroy(dict);
}
END_TEST

START_TEST(the_encoding_follows_the_limits_for_good)
{
    struct dict *dict = dict_create();
    char name[24];
    const int64_t entry_max = value_limits.hash_max_listpack_entries;
    for (int64_t i = 0; i < entry_max; i++) {
        (void)snprintf(name, sizeof(name), "%lld", (long long)i);
        (void)set(dict, name, "x");
    }
    ck_assert_int_eq(dict_encoding(dict), VALUE_ENCODING_LISTPACK);
    (void)set(dict, "one more", "x");
    ck_assert_int_eq(dict_encoding(dict), VALUE_ENCODING_HASHTABLE);
    ck_assert(drop(dict, "one more"));
    ck_assert_int_eq(dict_encoding(dict), VALUE_ENCODING_HASHTABLE);
    dict_destroy(dict);

    char longer[200];
    memset(longer, 'x', sizeof(longer));
    const int64_t size_max = value_limits.hash_max_listpack_value;
    ck_assert_int_lt(size_max, 199);
    longer[size_max] = '\0';
    dict = dict_create();
    (void)set(dict, longer, longer);
    ck_assert_int_eq(dict_encoding(dict), VALUE_ENCODING_LISTPACK);
    expire(dict, longer, 1);
    ck_assert_int_eq(dict_encoding(dict), VALUE_ENCODING_LISTPACK_EX);
    longer[size_max] = 'x';
    longer[size_max + 1] = '\0';
    (void)set(dict, "a", longer);
    ck_assert_int_eq(dict_encoding(dict), VALUE_ENCODING_HASHTABLE);
    dict_check(dict);
    dict_destroy(dict);
}
END_TEST

START_TEST(a_snapshot_stays_as_it_was)
{
    struct dict *dict = dict_create();
    (void)set(dict, "a", "1");
    (void)set(dict, "b", "2");
    expire(dict, "b", 1000);
    struct dict *snapshot = dict_snapshot(dict);
    (void)set(dict, "a", "other");
    expire(dict, "b", 2000);
    ck_assert(drop(dict, "a"));
    assert_value(snapshot, "a", 0, "1");
    ck_assert_uint_eq(expiry(snapshot, "b"), 1000);
    ck_assert_uint_eq(dict_count(snapshot), 2);
    ck_assert_uint_eq(expiry(dict, "b"), 2000);
    dict_check(snapshot);
    dict_check(dict);
    dict_destroy(dict);
    assert_value(snapshot, "b", 0, "2");
    dict_destroy(snapshot);
}
END_TEST

START_TEST(a_value_of_a_record_is_a_dict)
{
    dict_setup();
    const struct value_class *class = value_class_of(VALUE_HASH);
    struct dict *dict = dict_create();
    (void)set(dict, "a", "1");
    expire(dict, "a", 5);
    struct value value = dict_value(dict);
    ck_assert_ptr_eq(dict_of(&value), dict);
    ck_assert_int_eq(value.encoding, VALUE_ENCODING_LISTPACK_EX);
    ck_assert_uint_gt(value_external_bytes(&value), 0);
    ck_assert_uint_eq(value_part_expire_ms(&value), 5);
    ck_assert_uint_eq(class->part_expire(value.object, 5, 10, NULL, NULL), 0);
    ck_assert_uint_eq(class->element_count(value.object), 1);
    ck_assert_uint_ge(class->effort(value.object), 3);
    struct value copy = value;
    copy.object = class->snapshot(value.object);
    value_release(&value);
    assert_value(dict_of(&copy), "a", 0, "1");
    value_release(&copy);
}
END_TEST

TEST_GROUP(dict_group, a_field_has_its_last_value, a_small_dict_keeps_the_order_of_insertion,
    a_field_is_over_after_its_time, a_new_value_ends_the_expiry_unless_told_otherwise,
    an_expiry_can_be_moved_and_taken_back, fields_that_are_over_leave_soonest_first,
    the_encoding_follows_the_limits_for_good, a_snapshot_stays_as_it_was,
    a_value_of_a_record_is_a_dict)
