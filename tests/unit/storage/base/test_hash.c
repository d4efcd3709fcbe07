/*
 * test_hash.c: sums are stable for ever, keyed hashes are not.
 */
#include "base/hash.h"
#include "base/slice.h"
#include "test_main.h"

START_TEST(sums_are_those_that_files_hold)
{
    /* Golden: files on disk depend on them. The first is XXH3's published value for no bytes. */
    ck_assert_uint_eq(hash_sum64(NULL, 0, 0), 0x2d06800538d394c2u);
    ck_assert_uint_eq(hash_sum64("kelvin", 6, 0), 0xb191afb03e983ac0u);
    ck_assert_uint_eq(hash_sum64("kelvin", 6, 42), 0xf7613d485f23fda6u);
    ck_assert_uint_eq(hash_sum32("kelvin", 6, 42), (uint32_t)hash_sum64("kelvin", 6, 42));
}
END_TEST

START_TEST(a_stream_gives_the_sum_of_the_whole)
{
    struct random random;
    test_random_init(&random);
    static uint8_t data[5000];
    for (size_t index = 0; index < sizeof(data); index++)
        data[index] = (uint8_t)random_next(&random);
    struct hash_stream *const stream = hash_stream_create(0);
    for (int round = 0; round < 300; round++) {
        const uint64_t seed = round % 2 == 0 ? 0 : random_next(&random);
        const size_t size = (size_t)random_below(&random, sizeof(data) + 1);
        hash_stream_reset(stream, seed);
        for (size_t at = 0; at < size;) {
            const size_t piece = (size_t)random_below(&random, size - at + 1);
            hash_stream_update(stream, data + at, piece);
            at += piece;
        }
        ck_assert_uint_eq(hash_stream_digest(stream), hash_sum64(data, size, seed));
        ck_assert_uint_eq(hash_stream_digest(stream), hash_sum64(data, size, seed));
    }
    hash_stream_destroy(stream);
    hash_stream_destroy(NULL);
}
END_TEST

START_TEST(a_keyed_hash_repeats_in_one_process_and_depends_on_all)
{
    const uint64_t hash = hash_keyed("key", 3, 0);
    ck_assert_uint_eq(hash, hash_keyed("key", 3, 0));
    ck_assert_uint_ne(hash, hash_keyed("kez", 3, 0));
    ck_assert_uint_ne(hash, hash_keyed("key", 2, 0));
    ck_assert_uint_ne(hash, hash_keyed("key", 3, 1));
    ck_assert_uint_ne(hash_keyed("key", 3, 1), hash_keyed("key", 3, 2));
    ck_assert_uint_ne(hash_keyed(NULL, 0, 0), hash);
}
END_TEST

START_TEST(a_new_secret_changes_the_hash_at_every_length)
{
    char data[600];
    memset(data, 'k', sizeof(data));
    /* One length of every path in XXH3. */
    static const size_t sizes[] = {0, 1, 3, 4, 8, 9, 16, 17, 128, 129, 240, 241, 600};
    uint64_t before[COUNT_OF(sizes)];
    for (size_t index = 0; index < COUNT_OF(sizes); index++)
        before[index] = hash_keyed(data, sizes[index], 0);
    hash_setup();
    for (size_t index = 0; index < COUNT_OF(sizes); index++)
        ck_assert_uint_ne(before[index], hash_keyed(data, sizes[index], 0));
}
END_TEST

START_TEST(sip128_gives_the_published_vectors)
{
    /* Key 00 01 .. 0f, message 00 01 .. (n - 1): vectors_sip128 of the reference implementation. */
    static const struct {
        size_t size;
        const char *sum;
    } vectors[] = {
        {0, "\xa3\x81\x7f\x04\xba\x25\xa8\xe6\x6d\xf6\x72\x14\xc7\x55\x02\x93"},
        {1, "\xda\x87\xc1\xd8\x6b\x99\xaf\x44\x34\x76\x59\x11\x9b\x22\xfc\x45"},
        {7, "\xa1\xf1\xeb\xbe\xd8\xdb\xc1\x53\xc0\xb8\x4a\xa6\x1f\xf0\x82\x39"},
        {8, "\x3b\x62\xa9\xba\x62\x58\xf5\x61\x0f\x83\xe2\x64\xf3\x14\x97\xb4"},
        {15, "\x54\x93\xe9\x99\x33\xb0\xa8\x11\x7e\x08\xec\x0f\x97\xcf\xc3\xd9"},
        {16, "\x6e\xe2\xa4\xca\x67\xb0\x54\xbb\xfd\x33\x15\xbf\x85\x23\x05\x77"},
        {63, "\x51\x50\xd1\x77\x2f\x50\x83\x4a\x50\x3e\x06\x9a\x97\x3f\xbd\x7c"},
    };
    uint8_t key[16];
    uint8_t message[64];
    for (uint8_t index = 0; index < sizeof(key); index++)
        key[index] = index;
    for (uint8_t index = 0; index < sizeof(message); index++)
        message[index] = index;
    for (size_t index = 0; index < COUNT_OF(vectors); index++) {
        uint8_t out[16];
        hash_sip128(message, vectors[index].size, key, out);
        ck_assert_mem_eq(out, vectors[index].sum, sizeof(out));
    }
}
END_TEST

TEST_GROUP(hash_group, sums_are_those_that_files_hold, a_stream_gives_the_sum_of_the_whole,
    a_keyed_hash_repeats_in_one_process_and_depends_on_all,
    a_new_secret_changes_the_hash_at_every_length, sip128_gives_the_published_vectors)
