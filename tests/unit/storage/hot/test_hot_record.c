/*
 * test_hot_record.c: what a record says, and how its allocation follows its content.
 */
#include "hot_fixture.h"
#include "hot_internal.h"

START_TEST(a_new_key_has_no_entry)
{
    struct fixture f;
    fixture_open(&f);
    ck_assert_ptr_null(find(&f, "nothing"));
    ck_assert_ptr_null(find(&f, ""));
    fixture_close(&f);
}
END_TEST

START_TEST(a_written_record_says_what_was_written)
{
    struct fixture f;
    fixture_open(&f);
    const struct hot_record *record = put_expiring(&f, "name", "some text", 123456789);
    ck_assert_ptr_eq(find(&f, "name"), record);
    ck_assert_int_eq(hot_record_state(record), HOT_RESIDENT);
    ck_assert_int_eq(hot_record_dirty(f.hot, record), HOT_DIRTY);
    ck_assert_uint_eq(hot_record_expire_ms(record), 123456789);
    ck_assert(value_is(record, "some text"));
    ck_assert_uint_eq(hot_record_value_size(record), 9);
    ck_assert(!hot_record_in_cold(record));
    ck_assert(!hot_record_cold_committed(record));
    ck_assert(!hot_record_corrupt(record));
    ck_assert(!hot_record_prefetched(record));
    const struct key key = hot_record_key(record, true);
    const struct key expected = key_of("name");
    ck_assert(key_equal(&key, &expected));
    ck_assert_uint_eq(hot_record_key(record, false).hash, 0);
    fixture_close(&f);
}
END_TEST

START_TEST(the_same_name_in_two_spaces_is_two_keys)
{
    struct fixture f;
    fixture_open(&f);
    const struct key one = key_make(1, "k", 1);
    const struct key two = key_make(2, "k", 1);
    (void)hot_write(f.hot, &one, NULL, value_integer(1), 0, false);
    ck_assert_ptr_null(hot_find(f.hot, &two));
    (void)hot_write(f.hot, &two, NULL, value_integer(2), 0, false);
    ck_assert_int_eq(hot_record_value(hot_find(f.hot, &one)).integer, 1);
    ck_assert_int_eq(hot_record_value(hot_find(f.hot, &two)).integer, 2);
    fixture_close(&f);
}
END_TEST

START_TEST(keys_may_be_empty_binary_or_long)
{
    struct fixture f;
    fixture_open(&f);
    char *bytes = mem_alloc_zero(100000);
    static const size_t sizes[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 300, 100000};
    for (size_t index = 0; index < COUNT_OF(sizes); index++) {
        const struct key key = key_make(SPACE, bytes, sizes[index]);
        (void)hot_write(f.hot, &key, NULL, value_integer((int64_t)sizes[index]), 0, false);
    }
    for (size_t index = 0; index < COUNT_OF(sizes); index++) {
        struct key key = key_make(SPACE, bytes, sizes[index]);
        ck_assert_int_eq(hot_record_value(hot_find(f.hot, &key)).integer, (int64_t)sizes[index]);
        /* The last byte counts as much as the first. */
        if (sizes[index] > 0) {
            bytes[sizes[index] - 1] = 'x';
            ck_assert_ptr_null(hot_find(f.hot, &key));
            bytes[sizes[index] - 1] = 0;
        }
    }
    mem_free(bytes);
    fixture_close(&f);
}
END_TEST

START_TEST(an_overwrite_of_the_same_size_stays_in_place)
{
    struct fixture f;
    fixture_open(&f);
    const struct hot_record *record = put(&f, "k", "aaaa");
    ck_assert_ptr_eq(put(&f, "k", "bbbb"), record);
    ck_assert(value_is(record, "bbbb"));
    fixture_close(&f);
}
END_TEST

START_TEST(an_overwrite_stays_in_place_exactly_while_the_size_class_does)
{
    struct fixture f;
    fixture_open(&f);
    struct random random;
    test_random_init(&random);
    char text[300];
    memset(text, 'v', sizeof(text));
    const struct key key = key_of("k");
    size_t size = 0;
    uint64_t expire_ms = 0;
    struct hot_record *record =
        hot_write(f.hot, &key, NULL, value_string_raw(slice_of(text, 0)), 0, false);
    for (unsigned round = 0; round < 2000; round++) {
        const size_t old_class = mem_good_size(record_layout_bytes(record));
        size = random_below(&random, sizeof(text));
        expire_ms = random_below(&random, 2) * 777;
        const size_t new_class = mem_good_size(layout_bytes(expire_ms != 0, key.size, size));
        const uintptr_t old = (uintptr_t)record;
        record = hot_write(
            f.hot, &key, record, value_string_raw(slice_of(text, size)), expire_ms, false);
        ck_assert_int_eq(new_class == old_class, (uintptr_t)record == old);
        ck_assert_uint_eq(hot_record_bytes(record), new_class);
        ck_assert_uint_ge(mem_size(record), new_class);
        ck_assert(slice_equal(hot_record_value(record).bytes, slice_of(text, size)));
        ck_assert_uint_eq(hot_record_expire_ms(record), expire_ms);
        ck_assert_ptr_eq(find(&f, "k"), record);
    }
    fixture_close(&f);
}
END_TEST

START_TEST(a_value_may_come_from_the_record_it_replaces)
{
    struct fixture f;
    fixture_open(&f);
    static const char text[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const struct key key = key_of("some key");
    for (size_t size = 1; size < sizeof(text); size++) {
        for (unsigned expiring = 0; expiring < 4; expiring++) {
            struct hot_record *record = hot_write(f.hot, &key, find(&f, "some key"),
                value_string_raw(slice_of(text, size)), expiring & 1, false);
            /* Its own beginning, with or without an expiry before and after. */
            const struct slice own = {hot_record_value(record).bytes.data, (size + 1) / 2};
            record = hot_write(f.hot, &key, record, value_string_raw(own), expiring >> 1, false);
            ck_assert(slice_equal(hot_record_value(record).bytes, slice_of(text, (size + 1) / 2)));
        }
    }
    fixture_close(&f);
}
END_TEST

START_TEST(integers_take_eight_bytes_and_know_their_length)
{
    struct fixture f;
    fixture_open(&f);
    const struct hot_record *record = put(&f, "n", "-9223372036854775808");
    ck_assert_int_eq(hot_record_value(record).encoding, VALUE_ENCODING_INT);
    ck_assert_uint_eq(hot_record_value_size(record), 20);
    ck_assert_ptr_eq(put(&f, "n", "7"), record);
    ck_assert_uint_eq(hot_record_value_size(record), 1);
    ck_assert(value_is(record, "7"));
    fixture_close(&f);
}
END_TEST

START_TEST(setting_and_dropping_an_expiry_keeps_the_value)
{
    struct fixture f;
    fixture_open(&f);
    static const char *const texts[] = {"", "short", "12345", "a text of more than sixteen bytes"};
    for (size_t index = 0; index < COUNT_OF(texts); index++) {
        (void)put(&f, "k", texts[index]);
        ck_assert_uint_eq(hot_record_expire_ms(expire(&f, "k", 5)), 5);
        ck_assert(value_is(find(&f, "k"), texts[index]));
        ck_assert_uint_eq(hot_record_expire_ms(expire(&f, "k", 6)), 6);
        ck_assert_uint_eq(hot_record_expire_ms(expire(&f, "k", 0)), 0);
        ck_assert(value_is(find(&f, "k"), texts[index]));
        ck_assert_uint_eq(hot_record_expire_ms(expire(&f, "k", 0)), 0);
        ck_assert(value_is(find(&f, "k"), texts[index]));
    }
    fixture_close(&f);
}
END_TEST

static struct value blob_of(size_t size, char byte)
{
    struct blob *blob = blob_create(size);
    ck_assert_ptr_nonnull(blob);
    memset(blob->data, byte, size);
    blob->size = size;
    return value_blob(blob);
}

START_TEST(a_blob_is_counted_and_given_up_when_replaced)
{
    struct fixture f;
    fixture_open(&f);
    const struct key key = key_of("big");
    struct value first = blob_of(100000, 'a');
    (void)blob_ref(first.blob);
    struct hot_record *record = hot_write(f.hot, &key, NULL, first, 0, false);
    ck_assert(blob_is_shared(first.blob));
    ck_assert_ptr_eq(hot_record_value(record).blob, first.blob);
    ck_assert_uint_eq(hot_record_value_size(record), 100000);
    ck_assert_uint_gt(hot_record_bytes(record), 100000);
    const uint64_t with_blob = metrics_of(&f).record_bytes;
    ck_assert_uint_eq(with_blob, hot_record_bytes(record));

    record = expire(&f, "big", 9);
    ck_assert_ptr_eq(hot_record_value(record).blob, first.blob);
    ck_assert(blob_is_shared(first.blob));

    (void)put(&f, "big", "small");
    ck_assert(!blob_is_shared(first.blob));
    ck_assert_uint_lt(metrics_of(&f).record_bytes, 100);
    blob_unref(first.blob);
    fixture_close(&f);
}
END_TEST

START_TEST(the_same_blob_may_be_written_again)
{
    struct fixture f;
    fixture_open(&f);
    const struct key key = key_of("big");
    struct hot_record *record = hot_write(f.hot, &key, NULL, blob_of(20000, 'a'), 0, false);
    struct blob *blob = blob_ref(hot_record_value(record).blob);
    record = hot_write(f.hot, &key, record, value_blob(blob), 5, false);
    ck_assert_ptr_eq(hot_record_value(record).blob, blob);
    ck_assert(!blob_is_shared(blob));
    fixture_close(&f);
}
END_TEST

START_TEST(a_blob_edited_in_place_shows_its_new_size)
{
    struct fixture f;
    fixture_open(&f);
    const struct key key = key_of("big");
    struct hot_record *record = hot_write(f.hot, &key, NULL, blob_of(20000, 'a'), 0, false);
    struct blob *blob = hot_record_value(record).blob;
    const struct value value = hot_record_value(record);
    const size_t before = value_external_bytes(&value);
    hot_edit(f.hot, &key, record);
    blob->size = 10000;
    hot_edit_done(f.hot, record, before);
    ck_assert_uint_eq(hot_record_value(record).bytes.size, 10000);
    fixture_close(&f);
}
END_TEST

/* A collection that grows. */
struct growing {
    struct value_object head;
    size_t size_bytes;
};

static unsigned growing_alive;

static void growing_destroy(struct value_object *object)
{
    growing_alive--;
    mem_free(object);
}

static size_t growing_size(const struct value_object *object)
{
    return ((const struct growing *)(const void *)object)->size_bytes;
}

static const struct value_class growing_class = {
    .type = VALUE_SET, .destroy = growing_destroy, .size_bytes = growing_size};

static struct value growing_create(size_t size_bytes)
{
    struct growing *growing = mem_alloc(sizeof(*growing));
    *growing = (struct growing){
        .head = {.class = &growing_class, .encoding = VALUE_ENCODING_HASHTABLE},
        .size_bytes = size_bytes,
    };
    growing_alive++;
    return (struct value){
        .type = VALUE_SET,
        .encoding = VALUE_ENCODING_HASHTABLE,
        .object = &growing->head,
    };
}

START_TEST(the_account_follows_an_object_that_is_edited)
{
    struct fixture f;
    fixture_open(&f);
    const struct key key = key_of("set");
    struct hot_record *record = hot_write(f.hot, &key, NULL, growing_create(1000), 0, false);
    const uint64_t before = metrics_of(&f).record_bytes;
    ck_assert_int_eq(hot_record_value(record).type, VALUE_SET);
    hot_edit(f.hot, &key, record);
    ((struct growing *)(void *)hot_record_value(record).object)->size_bytes = 5000;
    hot_edit_done(f.hot, record, 1000);
    ck_assert_uint_eq(metrics_of(&f).record_bytes, before + 4000);
    ck_assert_uint_eq(metrics_of(&f).dirty_bytes, before + 4000);
    fixture_check(&f);
    hot_edit(f.hot, &key, record);
    ((struct growing *)(void *)hot_record_value(record).object)->size_bytes = 10;
    hot_edit_done(f.hot, record, 5000);
    ck_assert_uint_eq(metrics_of(&f).record_bytes, before - 990);
    fixture_close(&f);
    ck_assert_uint_eq(growing_alive, 0);
}
END_TEST

START_TEST(an_object_says_itself_how_it_is_encoded)
{
    struct fixture f;
    fixture_open(&f);
    const struct key key = key_of("set");
    struct value value = growing_create(100);
    value.object->encoding = VALUE_ENCODING_INTSET;
    value.encoding = VALUE_ENCODING_INTSET;
    struct hot_record *record = hot_write(f.hot, &key, NULL, value, 0, false);
    ck_assert_int_eq(hot_record_value(record).encoding, VALUE_ENCODING_INTSET);
    hot_edit(f.hot, &key, record);
    value.object->encoding = VALUE_ENCODING_HASHTABLE;
    hot_edit_done(f.hot, record, 100);
    ck_assert_int_eq(hot_record_value(record).encoding, VALUE_ENCODING_HASHTABLE);
    fixture_close(&f);
}
END_TEST

START_TEST(a_big_value_is_handed_over_on_deletion_if_asked_for)
{
    struct fixture f;
    fixture_open(&f);
    const struct key key = key_of("set");
    struct value taken = value_integer(1);
    hot_delete(f.hot, &key, hot_write(f.hot, &key, NULL, growing_create(1000), 0, true), &taken);
    ck_assert_uint_eq(growing_alive, 1);
    ck_assert_int_eq(hot_record_state(find(&f, "set")), HOT_ABSENT);
    ck_assert_uint_lt(metrics_of(&f).record_bytes, 100);
    value_release(&taken);
    ck_assert_uint_eq(growing_alive, 0);

    (void)put(&f, "small", "x");
    const struct key small = key_of("small");
    taken = value_integer(1);
    hot_delete(f.hot, &small, find(&f, "small"), &taken);
    ck_assert_ptr_null(taken.blob);
    ck_assert_ptr_null(taken.object);

    const struct key other = key_of("other");
    hot_delete(f.hot, &other, hot_write(f.hot, &other, NULL, growing_create(1), 0, false), NULL);
    ck_assert_uint_eq(growing_alive, 0);
    fixture_close(&f);
}
END_TEST

START_TEST(destroying_the_tier_frees_every_kind_of_value)
{
    struct fixture f;
    fixture_open(&f);
    const struct key blob = key_of("blob");
    const struct key object = key_of("object");
    (void)put(&f, "text", "text");
    (void)hot_write(f.hot, &blob, NULL, blob_of(50000, 'b'), 0, false);
    (void)hot_write(f.hot, &object, NULL, growing_create(1), 0, false);
    fixture_close(&f);
    ck_assert_uint_eq(growing_alive, 0);
    hot_destroy(NULL);
}
END_TEST

START_TEST(the_access_clock_and_frequency_follow_touches)
{
    struct fixture f;
    fixture_open(&f);
    struct hot_record *record = put(&f, "k", "v");
    ck_assert_uint_eq(hot_record_heat(record).frequency, 0);
    /* The first is the access that brought it. */
    ck_assert(!hot_touch(f.hot, record, 1000));
    ck_assert_uint_eq(hot_record_heat(record).frequency, 0);
    ck_assert_uint_eq(hot_record_access_s(record), 1000);
    for (unsigned count = 1; count <= 5; count++) {
        ck_assert(!hot_touch(f.hot, record, UINT32_MAX - count));
        ck_assert_uint_eq(hot_record_heat(record).frequency, count < 3 ? count : 3);
    }
    ck_assert_uint_eq(hot_record_access_s(record), UINT32_MAX - 5);
    record = put(&f, "k", "a longer value that moves the record elsewhere ................");
    ck_assert_uint_eq(hot_record_heat(record).frequency, 3);
    ck_assert_uint_eq(hot_record_access_s(record), UINT32_MAX - 5);
    fixture_close(&f);
}
END_TEST

START_TEST(pins_are_counted_up_to_their_limit)
{
    struct fixture f;
    fixture_open(&f);
    struct hot_record *record = put(&f, "k", "v");
    for (unsigned count = 0; count < HOT_PIN_MAX; count++) {
        ck_assert(hot_pin(record));
    }
    ck_assert(!hot_pin(record));
    hot_unpin(record);
    ck_assert(hot_pin(record));
    for (unsigned count = 0; count < HOT_PIN_MAX; count++) {
        hot_unpin(record);
    }
    fixture_close(&f);
}
END_TEST

static void no_image(void *context, const struct hot_record *record)
{
    (void)context;
    (void)record;
    ck_abort_msg("no checkpoint runs");
}

START_TEST(stripes_are_one_per_partition_or_one_for_all)
{
    struct fixture f;
    fixture_open(&f);
    const struct key key = key_of("k");
    ck_assert(hot_has_single_stripe(f.hot));
    ck_assert_uint_eq(hot_stripes_all(f.hot), 1);
    ck_assert_uint_eq(hot_stripe(f.hot, &key), 1);
    ck_assert_uint_eq(hot_stripe_of_partition(f.hot, 63), 1);
    fixture_close(&f);

    const struct hot_config config = {.save_image = no_image};
    struct hot *hot = hot_create(&config);
    ck_assert(!hot_has_single_stripe(hot));
    ck_assert_uint_eq(hot_stripes_all(hot), UINT64_MAX);
    ck_assert_uint_eq(hot_stripe(hot, &key), (uint64_t)1 << hot_partition(&key));
    ck_assert_uint_eq(hot_stripe_of_partition(hot, 63), (uint64_t)1 << 63);
    hot_lock(hot, 5);
    hot_unlock(hot, 5);
    ck_assert(hot_try_lock(hot, UINT64_MAX));
    hot_unlock(hot, UINT64_MAX);
    hot_destroy(hot);
}
END_TEST

TEST_GROUP(record_group, a_new_key_has_no_entry, a_written_record_says_what_was_written,
    the_same_name_in_two_spaces_is_two_keys, keys_may_be_empty_binary_or_long,
    an_overwrite_of_the_same_size_stays_in_place,
    an_overwrite_stays_in_place_exactly_while_the_size_class_does,
    a_value_may_come_from_the_record_it_replaces, integers_take_eight_bytes_and_know_their_length,
    setting_and_dropping_an_expiry_keeps_the_value, a_blob_is_counted_and_given_up_when_replaced,
    the_same_blob_may_be_written_again, a_blob_edited_in_place_shows_its_new_size,
    the_account_follows_an_object_that_is_edited, an_object_says_itself_how_it_is_encoded,
    a_big_value_is_handed_over_on_deletion_if_asked_for,
    destroying_the_tier_frees_every_kind_of_value, the_access_clock_and_frequency_follow_touches,
    pins_are_counted_up_to_their_limit, stripes_are_one_per_partition_or_one_for_all)
