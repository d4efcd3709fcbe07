/*
 * test_buf.c: growing bytes.
 */
#include "base/mem.h"
#include "base/slice.h"
#include "test_main.h"

START_TEST(a_zeroed_buffer_is_empty_and_usable)
{
    struct buf buf = {0};
    ck_assert_uint_eq(buf_slice(&buf).size, 0);
    buf_append(&buf, NULL, 0);
    buf_append_slice(&buf, slice_of(NULL, 0));
    buf_consume(&buf, 0);
    ck_assert_ptr_null(buf.data);
    buf_deinit(&buf);
    buf_deinit(&buf);
}
END_TEST

START_TEST(appended_bytes_come_in_order)
{
    struct buf buf = {0};
    buf_append_text(&buf, "one ");
    buf_append_byte(&buf, '2');
    buf_append_slice(&buf, slice_text(" three "));
    buf_append_int64(&buf, INT64_MIN);
    buf_append_format(&buf, " %s-%d", "five", 5);
    buf_append(&buf, "\0", 1);
    ck_assert_slice_eq(buf_slice(&buf), slice_of("one 2 three -9223372036854775808 five-5\0", 40));
    buf_deinit(&buf);
}
END_TEST

START_TEST(a_long_format_is_written_whole)
{
    char text[1000];
    for (size_t size = 100; size < 150; size++) { /* around the first try */
        memset(text, 'x', size);
        text[size] = '\0';
        struct buf buf = {0};
        buf_append_format(&buf, "%s|", text);
        ck_assert_uint_eq(buf.size, size + 1);
        ck_assert_int_eq(buf.data[size - 1], 'x');
        ck_assert_int_eq(buf.data[size], '|');
        buf_deinit(&buf);
    }
}
END_TEST

START_TEST(reserving_gives_the_address_behind_the_bytes)
{
    struct buf buf = {0};
    buf_append_text(&buf, "ab");
    char *const out = buf_reserve(&buf, 1000);
    ck_assert_ptr_eq(out, buf.data + 2);
    ck_assert_uint_ge(buf.capacity, 1002);
    memset(out, 'c', 1000);
    buf.size += 1000;
    ck_assert_int_eq(buf.data[1001], 'c');
    ck_assert_ptr_nonnull(buf_reserve(&buf, 0));
    buf_deinit(&buf);
}
END_TEST

START_TEST(growth_is_by_half_so_that_appending_stays_linear)
{
    struct buf buf = {0};
    size_t moves = 0;
    size_t capacity = 0;
    for (int index = 0; index < 100000; index++) {
        buf_append_byte(&buf, 'x');
        moves += buf.capacity != capacity;
        capacity = buf.capacity;
    }
    ck_assert_uint_le(moves, 20);
    ck_assert_uint_le(buf.capacity, 150000 + 64);
    buf_deinit(&buf);
}
END_TEST

START_TEST(clearing_keeps_the_memory)
{
    struct buf buf = {0};
    buf_append_text(&buf, "abc");
    const size_t capacity = buf.capacity;
    buf_clear(&buf);
    ck_assert_uint_eq(buf.size, 0);
    ck_assert_uint_eq(buf.capacity, capacity);
    buf_deinit(&buf);
}
END_TEST

START_TEST(consuming_drops_from_the_front)
{
    struct buf buf = {0};
    buf_append_text(&buf, "abcdef");
    buf_consume(&buf, 2);
    ck_assert_text_eq(buf_slice(&buf), "cdef");
    buf_consume(&buf, 4);
    ck_assert_uint_eq(buf.size, 0);
    buf_deinit(&buf);
}
END_TEST

static void consume_too_much(void *context)
{
    buf_consume(context, 1);
}

START_TEST(consuming_more_than_there_is_is_a_bug)
{
    struct buf buf = {0};
    ck_assert(test_aborts(consume_too_much, &buf));
}
END_TEST

START_TEST(integers_are_little_endian)
{
    struct buf buf = {0};
    buf_append_u16(&buf, 0x0102);
    buf_append_u32(&buf, 0x03040506);
    buf_append_u64(&buf, 0x0708090a0b0c0d0e);
    ck_assert_slice_eq(
        buf_slice(&buf), slice_of("\x02\x01\x06\x05\x04\x03\x0e\x0d\x0c\x0b\x0a\x09\x08\x07", 14));
    buf_deinit(&buf);
}
END_TEST

START_TEST(varints_are_leb128)
{
    static const struct {
        uint64_t value;
        const char *bytes;
        size_t size;
    } known[] = {{0, "\x00", 1}, {127, "\x7f", 1}, {128, "\x80\x01", 2}, {300, "\xac\x02", 2},
        {UINT64_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10}};
    for (size_t index = 0; index < COUNT_OF(known); index++) {
        struct buf buf = {0};
        buf_append_varint(&buf, known[index].value);
        ck_assert_slice_eq(buf_slice(&buf), slice_of(known[index].bytes, known[index].size));
        buf_deinit(&buf);
    }
}
END_TEST

TEST_GROUP(buf_group, a_zeroed_buffer_is_empty_and_usable, appended_bytes_come_in_order,
    a_long_format_is_written_whole, reserving_gives_the_address_behind_the_bytes,
    growth_is_by_half_so_that_appending_stays_linear, clearing_keeps_the_memory,
    consuming_drops_from_the_front, consuming_more_than_there_is_is_a_bug,
    integers_are_little_endian, varints_are_leb128)
