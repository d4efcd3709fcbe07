/*
 * test_limits.c: the limits of compact encodings, and the values of parts that end by themselves.
 */
#include "storage/value.h"
#include "test_main.h"

START_TEST(the_limits_start_as_redis_has_them_but_for_small_sets)
{
    ck_assert_int_eq(value_limits.list_max_listpack_size, -2);
    ck_assert_int_eq(value_limits.hash_max_listpack_entries, 512);
    ck_assert_int_eq(value_limits.hash_max_listpack_value, 64);
    ck_assert_int_eq(value_limits.set_max_intset_entries, 512);
    ck_assert_int_eq(value_limits.set_max_listpack_entries, 0);
    ck_assert_int_eq(value_limits.set_max_listpack_value, 64);
    ck_assert_int_eq(value_limits.zset_max_listpack_entries, 128);
    ck_assert_int_eq(value_limits.zset_max_listpack_value, 64);
    ck_assert_int_eq(value_limits.stream_node_max_bytes, 4096);
    ck_assert_int_eq(value_limits.stream_node_max_entries, 100);
}
END_TEST

static uint64_t soon(const struct value_object *object)
{
    (void)object;
    return 12345;
}

START_TEST(only_classes_with_parts_that_expire_say_when)
{
    const struct value_class plain = {.type = VALUE_LIST};
    const struct value_class expiring = {.type = VALUE_HASH, .part_expire_ms = soon};
    struct value_object object = {.class = &plain};
    const struct value string = value_integer(1);
    const struct value collection = {.type = VALUE_LIST, .object = &object};
    ck_assert_uint_eq(value_part_expire_ms(&string), 0);
    ck_assert_uint_eq(value_part_expire_ms(&collection), 0);
    object.class = &expiring;
    ck_assert_uint_eq(value_part_expire_ms(&collection), 12345);
}
END_TEST

TEST_GROUP(limits_group, the_limits_start_as_redis_has_them_but_for_small_sets,
    only_classes_with_parts_that_expire_say_when)
