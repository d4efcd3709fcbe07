/*
 * test_reader.c: reading damaged bytes never leaves them.
 */
#include "base/mem.h"
#include "base/slice.h"
#include "test_main.h"

START_TEST(what_was_written_is_read)
{
    struct buf buf = {0};
    buf_append_byte(&buf, (char)0xfe);
    buf_append_u16(&buf, 0xfedc);
    buf_append_u32(&buf, 0xfedcba98);
    buf_append_u64(&buf, 0xfedcba9876543210);
    buf_append_varint(&buf, 12345678901234567890u);
    buf_append_text(&buf, "text");
    struct reader reader = reader_of(buf_slice(&buf));
    ck_assert_uint_eq(reader_u8(&reader), 0xfe);
    ck_assert_uint_eq(reader_u16(&reader), 0xfedc);
    ck_assert_uint_eq(reader_u32(&reader), 0xfedcba98);
    ck_assert_uint_eq(reader_u64(&reader), 0xfedcba9876543210);
    ck_assert_uint_eq(reader_varint(&reader), 12345678901234567890u);
    ck_assert_uint_eq(reader_left(&reader), 4);
    ck_assert_text_eq(reader_bytes(&reader, 4), "text");
    ck_assert(!reader.failed);
    ck_assert_uint_eq(reader_left(&reader), 0);
    buf_deinit(&buf);
}
END_TEST

START_TEST(random_varints_survive_a_round_trip)
{
    struct random random;
    test_random_init(&random);
    for (int round = 0; round < 10000; round++) {
        const uint64_t value = random_next(&random) >> random_below(&random, 64);
        struct buf buf = {0};
        buf_append_varint(&buf, value);
        struct reader reader = reader_of(buf_slice(&buf));
        ck_assert_uint_eq(reader_varint(&reader), value);
        ck_assert(!reader.failed);
        ck_assert_uint_eq(reader_left(&reader), 0);
        buf_deinit(&buf);
    }
}
END_TEST

START_TEST(a_read_past_the_end_fails_for_good)
{
    struct reader reader = reader_of(slice_of("\x01\x02\x03", 3));
    ck_assert_uint_eq(reader_u32(&reader), 0);
    ck_assert(reader.failed);
    ck_assert_uint_eq(reader_u8(&reader), 0); /* although a byte is there */
    ck_assert(reader.failed);
    ck_assert_uint_eq(reader_bytes(&reader, 1).size, 0);
}
END_TEST

START_TEST(a_huge_size_fails)
{
    struct reader reader = reader_of(slice_of("abc", 3));
    ck_assert_uint_eq(reader_bytes(&reader, SIZE_MAX).size, 0);
    ck_assert(reader.failed);
}
END_TEST

START_TEST(nothing_can_be_read_from_nothing)
{
    struct reader reader = reader_of(slice_of(NULL, 0));
    ck_assert_uint_eq(reader_left(&reader), 0);
    ck_assert_uint_eq(reader_bytes(&reader, 0).size, 0);
    ck_assert(!reader.failed);
    ck_assert_uint_eq(reader_varint(&reader), 0);
    ck_assert(reader.failed);
}
END_TEST

START_TEST(bad_varints_fail)
{
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {{"\x80", 1}, {"\xff\xff", 2}, {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11},
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11}};
    for (size_t index = 0; index < COUNT_OF(bad); index++) {
        struct reader reader = reader_of(slice_of(bad[index].bytes, bad[index].size));
        ck_assert_uint_eq(reader_varint(&reader), 0);
        ck_assert_msg(reader.failed, "case %zu", index);
    }
}
END_TEST

TEST_GROUP(reader_group, what_was_written_is_read, random_varints_survive_a_round_trip,
    a_read_past_the_end_fails_for_good, a_huge_size_fails, nothing_can_be_read_from_nothing,
    bad_varints_fail)
