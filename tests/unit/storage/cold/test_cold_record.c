/*
 * test_cold_record.c: the bytes of a record: what the codec accepts, and that it refuses everything else.
 */
#include "base/mem.h"
#include "cold_internal.h"
#include "cold_support.h"

struct flip {
    size_t bit;
};

static void flip_bit(void *context, uint8_t *bytes, size_t size)
{
    const struct flip *const flip = context;
    ck_assert_uint_lt(flip->bit / 8, size);
    bytes[flip->bit / 8] ^= (uint8_t)(1u << (flip->bit % 8));
}

/* Every single bit of the record, one after the other. */
static void assert_flips_detected(struct cold *cold, const struct key *key)
{
    struct buf bytes = stored_bytes(cold, key);
    for (struct flip flip = {0}; flip.bit < bytes.size * 8; flip.bit++) {
        flip_bit(&flip, (uint8_t *)bytes.data, bytes.size);
        struct cold_header header;
        struct buf payload = {0};
        uint64_t generation;
        uint32_t chunk_count;
        const enum status status = cold_record_decode(
            buf_slice(&bytes), key, &header, &payload, &generation, &chunk_count);
        ck_assert_msg(status == ST_CORRUPT, "bit %zu gives %s", flip.bit, status_name(status));
        buf_deinit(&payload);
        flip_bit(&flip, (uint8_t *)bytes.data, bytes.size);
    }
    buf_deinit(&bytes);
}

START_TEST(every_flipped_bit_of_a_record_is_detected)
{
    struct tier tier;
    tier_open(&tier);
    struct buf text = payload_text(700);
    const struct cold_header header = header_expiring(1234567890123);
    const struct key plain = key_text("plain");
    const struct key packed = key_text("packed");
    const struct key chunked = key_text("chunked");
    struct buf random = payload_random(9000, 1);
    put_one(tier.cold, &plain, &header, SLICE_LITERAL("a short value"));
    put_one(tier.cold, &packed, &raw_header, buf_slice(&text));
    put_one(tier.cold, &chunked, &header, buf_slice(&random));
    assert_flips_detected(tier.cold, &plain);
    assert_flips_detected(tier.cold, &packed);
    assert_flips_detected(tier.cold, &chunked);
    const struct key large = key_long(600, 'x', 'y');
    put_one(tier.cold, &large, &raw_header, SLICE_LITERAL("a short value"));
    assert_flips_detected(tier.cold, &large);
    mem_free((void *)(uintptr_t)large.data);
    buf_deinit(&random);
    buf_deinit(&text);
    tier_close(&tier);
}
END_TEST

START_TEST(a_damaged_record_answers_an_error_and_spares_the_others)
{
    struct tier tier;
    tier_open(&tier);
    const struct key bad = key_text("bad");
    const struct key good = key_text("good");
    put_one(tier.cold, &bad, &raw_header, SLICE_LITERAL("value"));
    put_one(tier.cold, &good, &raw_header, SLICE_LITERAL("value"));
    struct flip flip = {.bit = 20 * 8 - 3}; /* in the payload */
    struct buf bytes = stored_bytes(tier.cold, &bad);
    flip.bit = bytes.size * 8 - 3;
    buf_deinit(&bytes);
    tamper(tier.cold, &bad, flip_bit, &flip);
    ck_assert_int_eq(read_status(tier.cold, &bad), ST_CORRUPT);
    assert_value(tier.cold, &good, SLICE_LITERAL("value"));
    /* The header has a sum of its own. */
    struct cold_job job = read_job(tier.cold, COLD_JOB_HEADER, &bad);
    ck_assert_int_eq(job.status, ST_OK);
    struct cold_metrics metrics;
    cold_metrics_read(tier.cold, &metrics);
    ck_assert_uint_eq(metric_get(&metrics, corrupt_count), 1);
    /* It can be replaced. */
    put_one(tier.cold, &bad, &raw_header, SLICE_LITERAL("new"));
    assert_value(tier.cold, &bad, SLICE_LITERAL("new"));
    tier_close(&tier);
}
END_TEST

START_TEST(a_record_under_another_key_is_detected)
{
    struct tier tier;
    tier_open(&tier);
    const struct key mine = key_text("mine");
    const struct key other = key_text("other");
    put_one(tier.cold, &mine, &raw_header, SLICE_LITERAL("value"));
    struct buf bytes = stored_bytes(tier.cold, &mine);
    store_bytes(tier.cold, &other, buf_slice(&bytes));
    ck_assert_int_eq(read_status(tier.cold, &other), ST_CORRUPT);
    const struct key elsewhere = key_make(SPACE + 1, mine.data, mine.size);
    store_bytes(tier.cold, &elsewhere, buf_slice(&bytes));
    ck_assert_int_eq(read_status(tier.cold, &elsewhere), ST_CORRUPT);
    buf_deinit(&bytes);
    tier_close(&tier);
}
END_TEST

START_TEST(a_damaged_or_missing_chunk_is_detected)
{
    struct tier tier;
    tier_open(&tier);
    const struct key key = key_text("chunked");
    struct buf random = payload_random(20000, 2);
    put_one(tier.cold, &key, &raw_header, buf_slice(&random));
    assert_value(tier.cold, &key, buf_slice(&random));
    ck_assert_uint_eq(count_entries(tier.cold, 'c'), 5);
    const struct cold_chunk_key third = cold_chunk_key(tier.cold->next_generation - 1, 2);
    for (int round = 0; round < 2; round++) {
        MDB_txn *txn;
        ck_assert_int_eq(mdb_txn_begin(tier.cold->env, NULL, 0, &txn), MDB_SUCCESS);
        MDB_val name = cold_val(third.bytes, sizeof(third.bytes));
        MDB_val value = cold_val(random.data, COLD_PAGE_VALUE_MAX); /* another chunk's bytes */
        if (round == 0)
            ck_assert_int_eq(mdb_put(txn, tier.cold->chunks, &name, &value, 0), MDB_SUCCESS);
        else
            ck_assert_int_eq(mdb_del(txn, tier.cold->chunks, &name, NULL), MDB_SUCCESS);
        ck_assert_int_eq(mdb_txn_commit(txn), MDB_SUCCESS);
        ck_assert_int_eq(read_status(tier.cold, &key), ST_CORRUPT);
    }
    buf_deinit(&random);
    tier_close(&tier);
}
END_TEST

START_TEST(a_record_cut_short_is_refused)
{
    struct tier tier;
    tier_open(&tier);
    const struct key key = key_text("key");
    const struct cold_header expiring = header_expiring(99999);
    put_one(tier.cold, &key, &expiring, SLICE_LITERAL("some value"));
    struct buf bytes = stored_bytes(tier.cold, &key);
    for (size_t size = 0; size < bytes.size; size++) {
        char *const copy = mem_alloc(size); /* so that a sanitizer sees a read past the end */
        if (size > 0)
            memcpy(copy, bytes.data, size);
        struct cold_header header;
        struct buf payload = {0};
        uint64_t generation;
        uint32_t chunk_count;
        ck_assert_int_eq(cold_record_decode(slice_of(copy, size), &key, &header, &payload,
                             &generation, &chunk_count),
            ST_CORRUPT);
        mem_free(copy);
    }
    buf_deinit(&bytes);
    tier_close(&tier);
}
END_TEST

START_TEST(incompressible_values_are_stored_as_they_are)
{
    struct tier tier;
    tier_open(&tier);
    struct buf random = payload_random(1000, 3);
    struct buf text = payload_text(1000);
    const struct key raw = key_text("raw");
    const struct key packed = key_text("packed");
    put_one(tier.cold, &raw, &raw_header, buf_slice(&random));
    put_one(tier.cold, &packed, &raw_header, buf_slice(&text));
    struct buf bytes = stored_bytes(tier.cold, &raw);
    ck_assert_uint_gt(bytes.size, 1000);
    ck_assert_uint_lt(bytes.size, 1000 + 32);
    buf_deinit(&bytes);
    bytes = stored_bytes(tier.cold, &packed);
    ck_assert_uint_lt(bytes.size, 500);
    buf_deinit(&bytes);
    OPTION_SET(&tier.options, compression, 0);
    put_one(tier.cold, &packed, &raw_header, buf_slice(&text));
    bytes = stored_bytes(tier.cold, &packed);
    ck_assert_uint_gt(bytes.size, 1000);
    buf_deinit(&bytes);
    assert_value(tier.cold, &packed, buf_slice(&text));
    buf_deinit(&random);
    buf_deinit(&text);
    tier_close(&tier);
}
END_TEST

START_TEST(compression_rests_after_failures_and_comes_back)
{
    struct cold_compressor compressor;
    cold_compressor_init(&compressor);
    struct buf random = payload_random(1000, 4);
    struct buf text = payload_text(1000);
    struct slice out;
    for (int index = 0; index < 32; index++)
        ck_assert(!cold_compress(&compressor, 1, buf_slice(&random), &out));
    int tries = 0;
    while (!cold_compress(&compressor, 1, buf_slice(&text), &out))
        tries++;
    ck_assert_int_eq(tries, 63);
    ck_assert(cold_compress(&compressor, 1, buf_slice(&text), &out));
    ck_assert(cold_compress(&compressor, 2, buf_slice(&text), &out));
    /* What is compressed already is not tried. */
    memcpy(text.data, "\x28\xb5\x2f\xfd", 4);
    ck_assert(!cold_compress(&compressor, 2, buf_slice(&text), &out));
    buf_deinit(&random);
    buf_deinit(&text);
    cold_compressor_deinit(&compressor);
}
END_TEST

START_TEST(hostile_sizes_do_not_allocate)
{
    /* A valid sum over a header that claims 4 GiB from 40 bytes. */
    struct cold_record record = {
        .header = {.type = VALUE_STRING, .encoding = VALUE_ENCODING_RAW, .value_size = 1},
        .flags = COLD_RECORD_COMPRESSED,
        .stored_size = 40,
    };
    record.header.value_size = cold_decompress_bound(40) + 1;
    struct buf bytes = {0};
    uint8_t header_bytes[COLD_RECORD_HEADER_MAX];
    const struct key key = key_text("key");
    record.flags = 0; /* the encoder would refuse */
    record.stored_size = record.header.value_size;
    const size_t size =
        cold_record_header_encode(&record, cold_record_seed(key_slice(&key), SPACE), header_bytes);
    header_bytes[11] = COLD_RECORD_COMPRESSED;
    const uint32_t sum =
        hash_sum32(header_bytes + 4, size - 4, cold_record_seed(key_slice(&key), SPACE));
    memcpy(header_bytes, &sum, 4);
    buf_append(&bytes, header_bytes, size);
    for (int index = 0; index < 40; index++)
        buf_append_byte(&bytes, 0);
    struct cold_header header;
    struct buf payload = {0};
    uint64_t generation;
    uint32_t chunk_count;
    ck_assert_int_eq(
        cold_record_decode(buf_slice(&bytes), &key, &header, &payload, &generation, &chunk_count),
        ST_CORRUPT);
    buf_deinit(&bytes);
}
END_TEST

TEST_GROUP(record_group, every_flipped_bit_of_a_record_is_detected,
    a_damaged_record_answers_an_error_and_spares_the_others, a_record_under_another_key_is_detected,
    a_damaged_or_missing_chunk_is_detected, a_record_cut_short_is_refused,
    incompressible_values_are_stored_as_they_are, compression_rests_after_failures_and_comes_back,
    hostile_sizes_do_not_allocate)
