/*
 * test_codec.c: what the cold tier stores comes back, and what it cannot have stored is refused.
 */
#include "base/mem.h"
#include "storage/value.h"
#include "test_main.h"

/* Encodes, decodes, compares as a client would see it. */
static void check_round_trip(struct value value)
{
    struct buf payload = {0};
    value_encode(&value, &payload);
    struct value back;
    ck_assert_int_eq(
        value_decode((unsigned)value.type, (unsigned)value.encoding, buf_slice(&payload), &back),
        ST_OK);
    ck_assert_int_eq(back.encoding, value.encoding);
    char scratch[24];
    char scratch_back[24];
    ck_assert(
        slice_equal(value_string_bytes(&value, scratch), value_string_bytes(&back, scratch_back)));
    const struct slice borrowed = value_payload_borrowed(&value);
    if (borrowed.data == NULL) {
        ck_assert_int_eq(value.encoding, VALUE_ENCODING_INT);
    } else {
        ck_assert(slice_equal(borrowed, buf_slice(&payload)));
    }
    value_release(&back);
    buf_deinit(&payload);
}

START_TEST(strings_of_every_encoding_survive_the_round_trip)
{
    check_round_trip(value_integer(INT64_MIN));
    check_round_trip(value_integer(0));
    check_round_trip(value_string(slice_of(NULL, 0)));
    check_round_trip(value_string(slice_of("a\0b\r\n", 5)));
    check_round_trip(value_string_raw(slice_text("12")));
    check_round_trip(value_string_raw(slice_of(NULL, 0)));
}
END_TEST

START_TEST(random_strings_of_all_sizes_survive_the_round_trip)
{
    struct random random;
    test_random_init(&random);
    const size_t size_max = 3 * VALUE_INLINE_SIZE_MAX;
    char *bytes = mem_alloc(size_max);
    for (unsigned round = 0; round < 200; round++) {
        const size_t size = random_below(&random, round % 2 == 0 ? 100 : size_max);
        for (size_t index = 0; index < size; index++) {
            bytes[index] = (char)random_below(&random, 256);
        }
        struct value value;
        ck_assert_int_eq(value_string_own(slice_of(bytes, size), &value), ST_OK);
        check_round_trip(value);
        value_release(&value);
    }
    mem_free(bytes);
}
END_TEST

START_TEST(short_strings_borrow_the_payload_and_long_ones_own_a_blob)
{
    char *bytes = mem_alloc(VALUE_INLINE_SIZE_MAX + 1);
    memset(bytes, 'b', VALUE_INLINE_SIZE_MAX + 1);
    struct value value;
    const struct slice fits = slice_of(bytes, VALUE_INLINE_SIZE_MAX);
    ck_assert_int_eq(value_decode(VALUE_STRING, VALUE_ENCODING_RAW, fits, &value), ST_OK);
    ck_assert_ptr_null(value.blob);
    ck_assert_ptr_eq(value.bytes.data, bytes);
    const struct slice too_long = slice_of(bytes, VALUE_INLINE_SIZE_MAX + 1);
    ck_assert_int_eq(value_decode(VALUE_STRING, VALUE_ENCODING_RAW, too_long, &value), ST_OK);
    ck_assert_ptr_nonnull(value.blob);
    mem_free(bytes);
    ck_assert_int_eq(value.bytes.data[VALUE_INLINE_SIZE_MAX], 'b');
    value_release(&value);
}
END_TEST

START_TEST(what_the_encoder_cannot_have_written_is_corrupt)
{
    char bytes[45];
    memset(bytes, '1', sizeof(bytes));
    struct value value;
    const struct slice text = slice_text("x");
    ck_assert_int_eq(value_decode(VALUE_TYPE_COUNT, 0, text, &value), ST_CORRUPT);
    ck_assert_int_eq(value_decode(UINT32_MAX, 0, text, &value), ST_CORRUPT);
    ck_assert_int_eq(value_decode(VALUE_STRING, VALUE_ENCODING_COUNT, text, &value), ST_CORRUPT);
    ck_assert_int_eq(value_decode(VALUE_STRING, UINT32_MAX, text, &value), ST_CORRUPT);
    for (unsigned encoding = VALUE_ENCODING_LISTPACK; encoding < VALUE_ENCODING_COUNT; encoding++) {
        ck_assert_int_eq(value_decode(VALUE_STRING, encoding, text, &value), ST_CORRUPT);
    }
    ck_assert_int_eq(value_decode(VALUE_STRING, VALUE_ENCODING_INT, text, &value), ST_CORRUPT);
    ck_assert_int_eq(
        value_decode(VALUE_STRING, VALUE_ENCODING_INT, slice_text("01"), &value), ST_CORRUPT);
    ck_assert_int_eq(
        value_decode(VALUE_STRING, VALUE_ENCODING_INT, slice_of(bytes, 45), &value), ST_CORRUPT);
    ck_assert_int_eq(
        value_decode(VALUE_STRING, VALUE_ENCODING_EMBSTR, slice_of(bytes, 45), &value), ST_CORRUPT);
    /* Refused before a byte is read. */
    const struct slice huge = {.data = bytes, .size = VALUE_STRING_SIZE_MAX + 1};
    ck_assert_int_eq(value_decode(VALUE_STRING, VALUE_ENCODING_RAW, huge, &value), ST_CORRUPT);
    /* A type that nobody registered. */
    ck_assert_int_eq(value_decode(VALUE_HASH, VALUE_ENCODING_LISTPACK, text, &value), ST_CORRUPT);
}
END_TEST

/* A collection whose content is one byte. */
struct byte_object {
    struct value_object head;
    char byte;
};

static const struct value_class byte_class;

static void byte_destroy(struct value_object *object)
{
    mem_free(object);
}

static void byte_encode(const struct value_object *object, struct buf *out)
{
    buf_append_byte(out, ((const struct byte_object *)(const void *)object)->byte);
}

static enum status byte_decode(
    enum value_encoding encoding, struct slice in, struct value_object **object)
{
    if (encoding != VALUE_ENCODING_LISTPACK || in.size != 1) {
        return ST_CORRUPT;
    }
    struct byte_object *byte = mem_alloc(sizeof(*byte));
    *byte = (struct byte_object){
        .head = {.class = &byte_class, .encoding = encoding}, .byte = in.data[0]};
    *object = &byte->head;
    return ST_OK;
}

static const struct value_class byte_class = {
    .type = VALUE_LIST,
    .destroy = byte_destroy,
    .encode = byte_encode,
    .decode = byte_decode,
};

START_TEST(collections_go_through_their_class)
{
    value_class_register(&byte_class);
    struct value value;
    ck_assert_int_eq(
        value_decode(VALUE_LIST, VALUE_ENCODING_LISTPACK, slice_text("q"), &value), ST_OK);
    ck_assert_int_eq(value.type, VALUE_LIST);
    ck_assert_int_eq(value.encoding, VALUE_ENCODING_LISTPACK);
    ck_assert_ptr_null(value_payload_borrowed(&value).data);
    struct buf payload = {0};
    value_encode(&value, &payload);
    ck_assert(slice_equal(buf_slice(&payload), slice_text("q")));
    value_release(&value);
    ck_assert_int_eq(
        value_decode(VALUE_LIST, VALUE_ENCODING_LISTPACK, slice_text("qq"), &value), ST_CORRUPT);
    ck_assert_int_eq(
        value_decode(VALUE_LIST, VALUE_ENCODING_QUICKLIST, slice_text("q"), &value), ST_CORRUPT);
    buf_deinit(&payload);
}
END_TEST

TEST_GROUP(codec_group, strings_of_every_encoding_survive_the_round_trip,
    random_strings_of_all_sizes_survive_the_round_trip,
    short_strings_borrow_the_payload_and_long_ones_own_a_blob,
    what_the_encoder_cannot_have_written_is_corrupt, collections_go_through_their_class)
