/*
 * test_blob.c: long strings shared by counting.
 */
#include "storage/value.h"
#include "test_main.h"

START_TEST(a_new_blob_is_empty_with_one_reference)
{
    struct blob *blob = blob_create(1000);
    ck_assert_ptr_nonnull(blob);
    ck_assert_uint_eq(blob->size, 0);
    ck_assert_uint_ge(blob->capacity, 1000);
    ck_assert(!blob_is_shared(blob));
    memset(blob->data, 'x', blob->capacity);
    blob_unref(blob);
}
END_TEST

START_TEST(a_blob_lives_until_its_last_reference)
{
    struct blob *blob = blob_create(10);
    ck_assert_ptr_eq(blob_ref(blob), blob);
    ck_assert(blob_is_shared(blob));
    blob_unref(blob);
    ck_assert(!blob_is_shared(blob));
    blob->data[0] = 'x';
    blob_unref(blob);
    blob_unref(NULL);
}
END_TEST

START_TEST(a_blob_beyond_the_longest_string_is_refused)
{
    ck_assert_ptr_null(blob_create(VALUE_STRING_SIZE_MAX + 65));
    ck_assert_ptr_null(blob_create(SIZE_MAX));
    ck_assert_ptr_null(blob_create(SIZE_MAX - sizeof(struct blob)));
}
END_TEST

START_TEST(a_blob_handle_shows_its_bytes)
{
    struct blob *blob = blob_create(3);
    memcpy(blob->data, "abc", 3);
    blob->size = 3;
    struct value value = value_blob(blob);
    ck_assert_int_eq(value.encoding, VALUE_ENCODING_RAW);
    ck_assert(slice_equal(value.bytes, slice_text("abc")));
    ck_assert_uint_eq(value_external_bytes(&value), sizeof(struct blob) + blob->capacity);
    value_release(&value);
}
END_TEST

TEST_GROUP(blob_group, a_new_blob_is_empty_with_one_reference,
    a_blob_lives_until_its_last_reference, a_blob_beyond_the_longest_string_is_refused,
    a_blob_handle_shows_its_bytes)
