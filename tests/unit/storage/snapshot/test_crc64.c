/*
 * test_crc64.c: the checksum is Redis's.
 */
#include "storage/snapshot.h"
#include "test_main.h"

START_TEST(the_check_value_of_the_polynomial_comes_out)
{
    ck_assert_uint_eq(snapshot_crc64(0, "123456789", 9), UINT64_C(0xe9c6d914c4b8d9ca));
    ck_assert_uint_eq(snapshot_crc64(0, NULL, 0), 0);
}
END_TEST

/* The payload of SET k hello, as redis-server 7.0.15 dumps it. */
START_TEST(a_payload_of_redis_verifies)
{
    static const char payload[] = "\x00\x05hello\x0a\x00\x63\x72\xdf\x76\x65\x34\x20\x0a";
    ck_assert_int_eq(
        snapshot_verify(slice_of(payload, sizeof(payload) - 1), SNAPSHOT_CHECK_SUM), ST_OK);
    char damaged[sizeof(payload) - 1];
    for (size_t i = 0; i < 8 * sizeof(damaged); i++) {
        memcpy(damaged, payload, sizeof(damaged));
        damaged[i / 8] = (char)(damaged[i / 8] ^ 1 << i % 8);
        ck_assert_int_eq(
            snapshot_verify(slice_of(damaged, sizeof(damaged)), SNAPSHOT_CHECK_SUM), ST_INVALID);
    }
    ck_assert_int_eq(snapshot_verify(slice_of(payload, 9), SNAPSHOT_CHECK_SUM), ST_INVALID);
}
END_TEST

START_TEST(pieces_give_the_sum_of_the_whole)
{
    struct random random;
    test_random_init(&random);
    char bytes[300];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)random_below(&random, 256);
    const uint64_t whole = snapshot_crc64(0, bytes, sizeof(bytes));
    for (size_t cut = 0; cut <= sizeof(bytes); cut++) {
        const uint64_t first = snapshot_crc64(0, bytes, cut);
        ck_assert_uint_eq(snapshot_crc64(first, bytes + cut, sizeof(bytes) - cut), whole);
    }
}
END_TEST

TEST_GROUP(crc64_group, the_check_value_of_the_polynomial_comes_out, a_payload_of_redis_verifies,
    pieces_give_the_sum_of_the_whole)
