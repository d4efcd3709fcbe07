/*
 * test_lzf.c: compressed strings come out as they went in, and damaged ones are refused.
 */
#include "snapshot_internal.h"
#include "test_main.h"

/* What redis-server 7.0.15 made of "ab" a hundred times. */
static const char packed[] = "\x02"
                             "aba\xe0\xba\x01\x01"
                             "ab";
#define PACKED_SIZE   (sizeof(packed) - 1)
#define UNPACKED_SIZE 200

START_TEST(a_block_of_redis_is_unpacked)
{
    char out[UNPACKED_SIZE];
    ck_assert_int_eq(lzf_decompress(slice_of(packed, PACKED_SIZE), out, sizeof(out)), ST_OK);
    for (size_t i = 0; i < sizeof(out); i++)
        ck_assert_int_eq(out[i], i % 2 == 0 ? 'a' : 'b');
}
END_TEST

START_TEST(a_wrong_size_is_refused)
{
    char out[UNPACKED_SIZE + 1];
    ck_assert_int_eq(
        lzf_decompress(slice_of(packed, PACKED_SIZE), out, UNPACKED_SIZE + 1), ST_CORRUPT);
    ck_assert_int_eq(
        lzf_decompress(slice_of(packed, PACKED_SIZE), out, UNPACKED_SIZE - 1), ST_CORRUPT);
    for (size_t size = 0; size < PACKED_SIZE; size++)
        ck_assert_int_eq(lzf_decompress(slice_of(packed, size), out, UNPACKED_SIZE), ST_CORRUPT);
}
END_TEST

START_TEST(a_copy_from_before_the_start_is_refused)
{
    char out[16];
    ck_assert_int_eq(lzf_decompress(slice_of("\x00"
                                             "a\x20\x01",
                                        4),
                         out, 4),
        ST_CORRUPT);
    ck_assert_int_eq(lzf_decompress(slice_of("\x00"
                                             "a\x20\x00",
                                        4),
                         out, 4),
        ST_OK);
    ck_assert_int_eq(memcmp(out, "aaaa", 4), 0);
}
END_TEST

TEST_GROUP(lzf_group, a_block_of_redis_is_unpacked, a_wrong_size_is_refused,
    a_copy_from_before_the_start_is_refused)
