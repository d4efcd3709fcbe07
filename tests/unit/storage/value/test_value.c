/*
 * test_value.c: handles: encodings, sizes, ownership, registered classes.
 */
#include "base/mem.h"
#include "storage/value.h"
#include "test_main.h"

void blob_group(TCase *tests);
void codec_group(TCase *tests);
void limits_group(TCase *tests);

static struct value string_of(const char *text)
{
    return value_string(slice_text(text));
}

START_TEST(every_type_and_encoding_has_the_name_redis_gives_it)
{
    static const char *const types[VALUE_TYPE_COUNT] = {
        "string", "list", "set", "zset", "hash", "stream"};
    static const char *const encodings[VALUE_ENCODING_COUNT] = {"raw", "int", "embstr", "listpack",
        "quicklist", "intset", "hashtable", "skiplist", "stream", "listpackex"};
    for (unsigned type = 0; type < VALUE_TYPE_COUNT; type++) {
        ck_assert_str_eq(value_type_name((enum value_type)type), types[type]);
    }
    for (unsigned encoding = 0; encoding < VALUE_ENCODING_COUNT; encoding++) {
        ck_assert_str_eq(value_encoding_name((enum value_encoding)encoding), encodings[encoding]);
    }
}
END_TEST

START_TEST(a_string_is_an_integer_only_in_canonical_form)
{
    static const char *const integers[] = {
        "0", "-1", "42", "9223372036854775807", "-9223372036854775808"};
    static const char *const texts[] = {"", "-0", "007", "+1", " 1", "1 ", "1.0", "-", "1e3",
        "9223372036854775808", "-9223372036854775809", "100000000000000000000"};
    for (size_t index = 0; index < COUNT_OF(integers); index++) {
        const struct value value = string_of(integers[index]);
        ck_assert_int_eq(value.encoding, VALUE_ENCODING_INT);
        char scratch[24];
        const struct slice bytes = value_string_bytes(&value, scratch);
        ck_assert(slice_equal(bytes, slice_text(integers[index])));
        ck_assert_uint_eq(value_string_size(&value), strlen(integers[index]));
    }
    for (size_t index = 0; index < COUNT_OF(texts); index++) {
        const struct value value = string_of(texts[index]);
        ck_assert_int_eq(value.encoding, VALUE_ENCODING_EMBSTR);
        ck_assert_uint_eq(value_string_size(&value), strlen(texts[index]));
    }
}
END_TEST

START_TEST(strings_up_to_44_bytes_are_embstr_and_longer_ones_raw)
{
    char text[46];
    memset(text, 'x', sizeof(text));
    ck_assert_int_eq(value_string(slice_of(text, 44)).encoding, VALUE_ENCODING_EMBSTR);
    ck_assert_int_eq(value_string(slice_of(text, 45)).encoding, VALUE_ENCODING_RAW);
    ck_assert_int_eq(value_string_raw(slice_of(text, 1)).encoding, VALUE_ENCODING_RAW);
    ck_assert_int_eq(value_string_raw(slice_of("1", 1)).encoding, VALUE_ENCODING_RAW);
}
END_TEST

START_TEST(the_size_of_an_integer_is_the_length_of_its_text)
{
    int64_t number = 1;
    for (size_t digits = 1; digits <= 18; digits++, number *= 10) {
        const struct value first = value_integer(number);
        const struct value last = value_integer(number * 10 - 1);
        const struct value negative = value_integer(-number);
        ck_assert_uint_eq(value_string_size(&first), digits);
        ck_assert_uint_eq(value_string_size(&last), digits);
        ck_assert_uint_eq(value_string_size(&negative), digits + 1);
    }
}
END_TEST

START_TEST(own_copies_only_what_does_not_fit_a_record)
{
    char *text = mem_alloc(VALUE_INLINE_SIZE_MAX + 1);
    memset(text, 'v', VALUE_INLINE_SIZE_MAX + 1);
    struct value value;
    ck_assert_int_eq(value_string_own(slice_of(text, VALUE_INLINE_SIZE_MAX), &value), ST_OK);
    ck_assert_ptr_eq(value.bytes.data, text);
    ck_assert_ptr_null(value.blob);
    ck_assert_uint_eq(value_external_bytes(&value), 0);

    ck_assert_int_eq(value_string_own(slice_of(text, VALUE_INLINE_SIZE_MAX + 1), &value), ST_OK);
    ck_assert_ptr_nonnull(value.blob);
    ck_assert(slice_equal(value.bytes, slice_of(text, VALUE_INLINE_SIZE_MAX + 1)));
    ck_assert_int_eq(value.encoding, VALUE_ENCODING_RAW);
    ck_assert_uint_ge(value_external_bytes(&value), VALUE_INLINE_SIZE_MAX + 1);
    value_release(&value);
    ck_assert_ptr_null(value.blob);
    mem_free(text);
}
END_TEST

START_TEST(own_refuses_more_than_the_longest_string)
{
    struct value value;
    const struct slice bytes = {.data = "x", .size = VALUE_STRING_SIZE_MAX + 1};
    ck_assert_int_eq(value_string_own(bytes, &value), ST_NO_MEMORY);
}
END_TEST

/* A collection that remembers what was done with it. */
struct fake_object {
    struct value_object head;
    size_t size_bytes;
    bool *destroyed;
};

static void fake_destroy(struct value_object *object)
{
    *((struct fake_object *)(void *)object)->destroyed = true;
}

static size_t fake_size(const struct value_object *object)
{
    return ((const struct fake_object *)(const void *)object)->size_bytes;
}

static const struct value_class fake_class = {
    .type = VALUE_SET,
    .destroy = fake_destroy,
    .size_bytes = fake_size,
};

START_TEST(an_object_is_measured_and_destroyed_by_its_class)
{
    bool destroyed = false;
    struct fake_object object = {
        .head.class = &fake_class, .size_bytes = 77, .destroyed = &destroyed};
    struct value value = {
        .type = VALUE_SET,
        .encoding = VALUE_ENCODING_INTSET,
        .object = &object.head,
    };
    ck_assert_uint_eq(value_external_bytes(&value), 77);
    value_release(&value);
    ck_assert(destroyed);
    ck_assert_ptr_null(value.object);
    value_release(&value);
}
END_TEST

START_TEST(a_registered_class_is_found_by_its_type)
{
    ck_assert_ptr_null(value_class_of(VALUE_SET));
    value_class_register(&fake_class);
    value_class_register(&fake_class);
    ck_assert_ptr_eq(value_class_of(VALUE_SET), &fake_class);
    ck_assert_ptr_null(value_class_of(VALUE_LIST));
}
END_TEST

TEST_GROUP(value_group, every_type_and_encoding_has_the_name_redis_gives_it,
    a_string_is_an_integer_only_in_canonical_form,
    strings_up_to_44_bytes_are_embstr_and_longer_ones_raw,
    the_size_of_an_integer_is_the_length_of_its_text, own_copies_only_what_does_not_fit_a_record,
    own_refuses_more_than_the_longest_string, an_object_is_measured_and_destroyed_by_its_class,
    a_registered_class_is_found_by_its_type)

TEST_MAIN_GROUPS("value", value_group, blob_group, codec_group, limits_group)
