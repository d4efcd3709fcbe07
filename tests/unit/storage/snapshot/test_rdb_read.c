/*
 * test_rdb_read.c: lengths, strings and numbers in all their forms.
 */
#include "snapshot_internal.h"
#include "test_main.h"

#include <math.h>

static void check_length(const char *bytes, size_t size, uint64_t expected)
{
    struct reader reader = reader_of(slice_of(bytes, size));
    uint64_t length = 0;
    ck_assert_int_eq(rdb_read_length(&reader, &length), ST_OK);
    ck_assert_uint_eq(length, expected);
    ck_assert_uint_eq(reader_left(&reader), 0);
    for (size_t cut = 0; cut < size; cut++) {
        reader = reader_of(slice_of(bytes, cut));
        ck_assert_int_eq(rdb_read_length(&reader, &length), ST_CORRUPT);
    }
}

START_TEST(lengths_have_four_forms)
{
    check_length("\x00", 1, 0);
    check_length("\x3f", 1, 63);
    check_length("\x40\x40", 2, 64);
    check_length("\x7f\xff", 2, 16383);
    check_length("\x80\x00\x00\x40\x00", 5, 16384);
    check_length("\x81\xff\xff\xff\xff\xff\xff\xff\xff", 9, UINT64_MAX);
}
END_TEST

START_TEST(other_first_bytes_are_no_lengths)
{
    static const uint8_t wrong[] = {0x82, 0x90, 0xbf, 0xc0, 0xc3, 0xff};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        const uint8_t bytes[10] = {wrong[i]};
        struct reader reader = reader_of(slice_of(bytes, sizeof(bytes)));
        uint64_t length = 0;
        ck_assert_int_eq(rdb_read_length(&reader, &length), ST_CORRUPT);
    }
}
END_TEST

START_TEST(lengths_written_are_read)
{
    struct buf out = {0};
    for (unsigned bit = 0; bit < 64; bit++) {
        const uint64_t value = (UINT64_C(1) << bit) - (bit % 2);
        uint64_t read = 0;
        buf_clear(&out);
        rdb_write_length(&out, value);
        struct reader reader = reader_of(buf_slice(&out));
        ck_assert_int_eq(rdb_read_length(&reader, &read), ST_OK);
        ck_assert_uint_eq(read, value);
    }
    buf_deinit(&out);
}
END_TEST

static enum status read_string(
    const char *bytes, size_t size, struct rdb_scratch *scratch, struct slice *text)
{
    struct reader reader = reader_of(slice_of(bytes, size));
    return rdb_read_string(&reader, scratch, text);
}

START_TEST(strings_are_bytes_numbers_or_compressed)
{
    struct rdb_scratch scratch = {0};
    struct slice text;
    ck_assert_int_eq(read_string("\x02hi", 3, &scratch, &text), ST_OK);
    ck_assert_text_eq(text, "hi");
    ck_assert_int_eq(read_string("\xc0\xff", 2, &scratch, &text), ST_OK);
    ck_assert_text_eq(text, "-1");
    ck_assert_int_eq(read_string("\xc1\x00\x80", 3, &scratch, &text), ST_OK);
    ck_assert_text_eq(text, "-32768");
    ck_assert_int_eq(read_string("\xc2\xff\xff\xff\x7f", 5, &scratch, &text), ST_OK);
    ck_assert_text_eq(text, "2147483647");
    ck_assert_int_eq(read_string("\xc3\x04\x04\x00"
                                 "a\x20\x00",
                         7, &scratch, &text),
        ST_OK);
    ck_assert_text_eq(text, "aaaa");
    rdb_scratch_deinit(&scratch);
}
END_TEST

START_TEST(strings_that_are_not_there_are_refused_before_memory_is_taken)
{
    struct rdb_scratch scratch = {0};
    struct slice text;
    ck_assert_int_eq(read_string("\x03hi", 3, &scratch, &text), ST_CORRUPT);
    ck_assert_int_eq(read_string("\xc4\x00", 2, &scratch, &text), ST_CORRUPT);
    ck_assert_int_eq(
        read_string("\x81\xff\xff\xff\xff\xff\xff\xff\xf7", 9, &scratch, &text), ST_CORRUPT);
    /* 7 bytes cannot mean a gigabyte. */
    ck_assert_int_eq(read_string("\xc3\x07\x80\x40\x00\x00\x00\x00"
                                 "a\x20\x00\x20\x00\x20",
                         14, &scratch, &text),
        ST_CORRUPT);
    ck_assert_ptr_null(scratch.data);
}
END_TEST

START_TEST(doubles_are_text_or_bits)
{
    double value = 0;
    struct reader reader = reader_of(slice_of("\x03"
                                              "1.5\xfe\xff\xfd\x01x",
        9));
    ck_assert_int_eq(rdb_read_text_double(&reader, &value), ST_OK);
    ck_assert(value == 1.5);
    ck_assert_int_eq(rdb_read_text_double(&reader, &value), ST_OK);
    ck_assert(isinf(value) && value > 0);
    ck_assert_int_eq(rdb_read_text_double(&reader, &value), ST_OK);
    ck_assert(isinf(value) && value < 0);
    ck_assert_int_eq(rdb_read_text_double(&reader, &value), ST_OK);
    ck_assert(isnan(value));
    ck_assert_int_eq(rdb_read_text_double(&reader, &value), ST_CORRUPT);
    reader = reader_of(slice_of("\x00\x00\x00\x00\x00\x00\xf8\x3f", 8));
    ck_assert_int_eq(rdb_read_binary_double(&reader, &value), ST_OK);
    ck_assert(value == 1.5);
    ck_assert_int_eq(rdb_read_binary_double(&reader, &value), ST_CORRUPT);
}
END_TEST

TEST_GROUP(rdb_read_group, lengths_have_four_forms, other_first_bytes_are_no_lengths,
    lengths_written_are_read, strings_are_bytes_numbers_or_compressed,
    strings_that_are_not_there_are_refused_before_memory_is_taken, doubles_are_text_or_bits)
