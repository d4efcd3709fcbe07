/*
 * test_cold_store.c: what is put can be read, whatever its size and key, and after a restart.
 */
#include "base/file.h"
#include "base/mem.h"
#include "cold_internal.h"
#include "cold_support.h"

static void assert_round_trip(struct cold *cold, const struct key *key, struct slice payload)
{
    const struct cold_header header = header_expiring(1700000000123);
    put_one(cold, key, &header, payload);
    assert_value(cold, key, payload);
    struct cold_job job = read_job(cold, COLD_JOB_HEADER, key);
    ck_assert_uint_eq(job.header.expire_ms, 1700000000123);
    ck_assert_int_eq(job.header.type, VALUE_STRING);
    ck_assert_int_eq(job.header.encoding, VALUE_ENCODING_RAW);
}

START_TEST(values_of_all_sizes_come_back)
{
    static const size_t sizes[] = {0, 1, 44, 255, 256, 257, 1900, 1990, 2000, 2001, 2010, 3000,
        4010, 4016, 4017, 4050, 4056, 4057, 4058, 4059, 4060, 4064, 4079, 4080, 4081, 4096, 8159,
        8160, 8161, 16383, 16384, 16385, 65536, 262144, 300000, 1048576};
    struct tier tier;
    tier_open(&tier);
    const struct key key = key_text("the key");
    for (size_t index = 0; index < COUNT_OF(sizes); index++) {
        struct buf random = payload_random(sizes[index], index);
        struct buf text = payload_text(sizes[index]);
        assert_round_trip(tier.cold, &key, buf_slice(&random));
        assert_round_trip(tier.cold, &key, buf_slice(&text));
        buf_deinit(&random);
        buf_deinit(&text);
    }
    /* Each replaced the one before: nothing is left but the last one's. */
    reclaim_all(tier.cold, 1000);
    delete_one(tier.cold, &key);
    reclaim_all(tier.cold, 1000);
    ck_assert_uint_eq(count_entries(tier.cold, 'k'), 0);
    ck_assert_uint_eq(count_entries(tier.cold, 'c'), 0);
    ck_assert_uint_eq(count_entries(tier.cold, 'x'), 0);
    ck_assert_uint_eq(count_entries(tier.cold, 'g'), 0);
    tier_close(&tier);
}
END_TEST

START_TEST(no_record_takes_more_than_one_page)
{
    struct tier tier;
    tier_open(&tier);
    for (unsigned size = 3900; size < 4200; size += 7) {
        struct buf random = payload_random(size, size);
        const struct key key = key_numbered("key", size);
        put_one(tier.cold, &key, &raw_header, buf_slice(&random));
        buf_deinit(&random);
    }
    MDB_stat stat;
    struct cold_reader *const reader = cold_reader_borrow(tier.cold);
    ck_assert_int_eq(cold_reader_begin(reader, NULL), ST_OK);
    MDB_cursor *cursor;
    MDB_val name;
    MDB_val value;
    size_t overflow_count = 0;
    ck_assert_int_eq(mdb_cursor_open(reader->txn, tier.cold->records, &cursor), MDB_SUCCESS);
    while (mdb_cursor_get(cursor, &name, &value, MDB_NEXT) == MDB_SUCCESS) {
        ck_assert_uint_le(value.mv_size, COLD_PAGE_VALUE_MAX);
        overflow_count += value.mv_size > 2040;
    }
    mdb_cursor_close(cursor);
    ck_assert_int_eq(mdb_stat(reader->txn, tier.cold->records, &stat), MDB_SUCCESS);
    ck_assert_uint_eq(stat.ms_overflow_pages, overflow_count);
    ck_assert_uint_gt(overflow_count, 5);
    cold_reader_end(reader);
    cold_reader_return(reader);
    tier_close(&tier);
}
END_TEST

START_TEST(a_staged_value_comes_back)
{
    struct tier tier;
    tier_open(&tier);
    const size_t size = 20 * 1024 * 1024 + 123;
    for (int round = 0; round < 2; round++) {
        struct buf payload = round == 0 ? payload_random(size, 5) : payload_text(size);
        const struct key key = key_numbered("staged", (unsigned)round);
        uint64_t generation = 0;
        ck_assert_int_eq(cold_stage(tier.cold, buf_slice(&payload), &generation, NULL), ST_OK);
        ck_assert_uint_gt(generation, 0);
        assert_absent(tier.cold, &key);
        struct cold_txn *const txn = must_begin(tier.cold);
        ck_assert_int_eq(
            cold_put(txn, &key, &raw_header, buf_slice(&payload), generation, NULL), ST_OK);
        must_commit(txn);
        ck_assert_uint_eq(count_entries(tier.cold, 'g'), 0);
        ck_assert_int_eq(cold_reclaim(tier.cold, 1000, NULL), ST_END);
        assert_value(tier.cold, &key, buf_slice(&payload));
        tier_reopen(&tier);
        assert_value(tier.cold, &key, buf_slice(&payload));
        buf_deinit(&payload);
    }
    struct cold_metrics metrics;
    cold_metrics_read(tier.cold, &metrics);
    ck_assert_uint_eq(metric_get(&metrics, record_count), 2);
    tier_close(&tier);
}
END_TEST

START_TEST(keys_of_all_lengths_come_back)
{
    static const size_t sizes[] = {1, 2, 480, 481, 482, 495, 496, 497, 498, 507, 508, 511, 512, 600,
        3899, 3900, 3901, 4080, 4081, 5000, 70000};
    struct tier tier;
    tier_open(&tier);
    struct buf small = payload_random(30, 1);
    struct buf large = payload_random(10000, 2);
    for (size_t index = 0; index < COUNT_OF(sizes); index++) {
        /* Relatives: the same but for the last byte. */
        const struct key first = key_long(sizes[index], 'K', '1');
        const struct key second = key_long(sizes[index], 'L', '2');
        put_one(tier.cold, &first, &raw_header, buf_slice(&small));
        assert_value(tier.cold, &first, buf_slice(&small));
        assert_absent(tier.cold, &second);
        put_one(tier.cold, &second, &raw_header, buf_slice(&large));
        assert_value(tier.cold, &first, buf_slice(&small));
        assert_value(tier.cold, &second, buf_slice(&large));
        tier_reopen(&tier);
        cold_filter_wait(tier.cold);
        assert_value(tier.cold, &first, buf_slice(&small));
        assert_value(tier.cold, &second, buf_slice(&large));
        put_one(tier.cold, &first, &raw_header, buf_slice(&large));
        assert_value(tier.cold, &first, buf_slice(&large));
        delete_one(tier.cold, &first);
        delete_one(tier.cold, &second);
        assert_absent(tier.cold, &first);
        assert_absent(tier.cold, &second);
        ck_assert(first.size > COLD_KEY_FILTER_MAX || !cold_may_contain(tier.cold, &first));
        reclaim_all(tier.cold, 100);
        ck_assert_uint_eq(count_entries(tier.cold, 'k'), 0);
        ck_assert_uint_eq(count_entries(tier.cold, 'c'), 0);
        mem_free((void *)(uintptr_t)first.data);
        mem_free((void *)(uintptr_t)second.data);
    }
    buf_deinit(&small);
    buf_deinit(&large);
    tier_close(&tier);
}
END_TEST

START_TEST(long_keys_with_the_same_prefix_are_told_apart)
{
    struct tier tier;
    tier_open(&tier);
    struct key keys[20];
    for (unsigned index = 0; index < 20; index++) {
        keys[index] = key_long(512, 'p', (char)('A' + index));
        put_one(tier.cold, &keys[index], &raw_header, slice_of(&keys[index].data[511], 1));
    }
    for (unsigned index = 0; index < 20; index++)
        assert_value(tier.cold, &keys[index], slice_of(&keys[index].data[511], 1));
    /* Had two keys the same stored form, the full key in the record would tell (H17). */
    struct buf bytes = stored_bytes(tier.cold, &keys[0]);
    store_bytes(tier.cold, &keys[1], buf_slice(&bytes));
    assert_absent(tier.cold, &keys[1]);
    buf_deinit(&bytes);
    for (unsigned index = 0; index < 20; index++)
        mem_free((void *)(uintptr_t)keys[index].data);
    tier_close(&tier);
}
END_TEST

START_TEST(binary_and_empty_keys_are_keys)
{
    struct tier tier;
    tier_open(&tier);
    const struct key empty = key_make(SPACE, "", 0);
    const struct key zero = key_make(SPACE, "\0", 1);
    const struct key zeros = key_make(SPACE, "\0\0\xff\r\n", 5);
    put_one(tier.cold, &empty, &raw_header, SLICE_LITERAL("empty"));
    assert_absent(tier.cold, &zero);
    put_one(tier.cold, &zero, &raw_header, SLICE_LITERAL("zero"));
    put_one(tier.cold, &zeros, &raw_header, SLICE_LITERAL("zeros"));
    assert_value(tier.cold, &empty, SLICE_LITERAL("empty"));
    assert_value(tier.cold, &zero, SLICE_LITERAL("zero"));
    assert_value(tier.cold, &zeros, SLICE_LITERAL("zeros"));
    tier_close(&tier);
}
END_TEST

START_TEST(spaces_do_not_see_each_other)
{
    struct tier tier;
    tier_open(&tier);
    const struct key here = key_make(1, "key", 3);
    const struct key there = key_make(2, "key", 3);
    put_one(tier.cold, &here, &raw_header, SLICE_LITERAL("one"));
    ck_assert(!cold_may_contain(tier.cold, &there));
    assert_absent(tier.cold, &there);
    put_one(tier.cold, &there, &raw_header, SLICE_LITERAL("two"));
    delete_one(tier.cold, &here);
    assert_absent(tier.cold, &here);
    assert_value(tier.cold, &there, SLICE_LITERAL("two"));
    tier_close(&tier);
}
END_TEST

START_TEST(other_types_keep_their_header)
{
    struct tier tier;
    tier_open(&tier);
    const struct key key = key_text("counter");
    struct cold_header header = {.type = VALUE_STRING, .encoding = VALUE_ENCODING_INT};
    put_one(tier.cold, &key, &header, SLICE_LITERAL("-42"));
    struct cold_job job = read_job(tier.cold, COLD_JOB_VALUE, &key);
    ck_assert_int_eq(job.status, ST_OK);
    ck_assert_int_eq(job.value.encoding, VALUE_ENCODING_INT);
    ck_assert_int_eq(job.value.integer, -42);
    cold_job_deinit(&job);
    /* A payload that the value's own decoder refuses is damage too. */
    put_one(tier.cold, &key, &header, SLICE_LITERAL("not a number"));
    ck_assert_int_eq(read_status(tier.cold, &key), ST_CORRUPT);
    header = (struct cold_header){.type = VALUE_ZSET, .encoding = VALUE_ENCODING_SKIPLIST};
    put_one(tier.cold, &key, &header, SLICE_LITERAL("x"));
    job = read_job(tier.cold, COLD_JOB_HEADER, &key);
    ck_assert_int_eq(job.header.type, VALUE_ZSET);
    ck_assert_int_eq(job.header.encoding, VALUE_ENCODING_SKIPLIST);
    tier_close(&tier);
}
END_TEST

START_TEST(reopening_keeps_everything)
{
    struct tier tier;
    tier_open(&tier);
    struct cold_txn *txn = must_begin(tier.cold);
    for (unsigned index = 0; index < 3000; index++) {
        const struct key key = key_numbered("key", index);
        must_put(txn, &key, &raw_header, key_slice(&key));
    }
    must_commit(txn);
    ck_assert_uint_gt(cold_used_bytes(tier.cold), 3000 * 20);
    tier_reopen(&tier);
    cold_filter_wait(tier.cold);
    for (unsigned index = 0; index < 3000; index++) {
        const struct key key = key_numbered("key", index);
        assert_value(tier.cold, &key, key_slice(&key));
    }
    struct cold_metrics metrics;
    cold_metrics_read(tier.cold, &metrics);
    ck_assert_uint_eq(metric_get(&metrics, record_count), 3000);
    ck_assert_uint_eq(metric_get(&metrics, filter_ready), 1);
    ck_assert_uint_eq(metric_get(&metrics, read_count), 6000);
    ck_assert_uint_gt(metric_get(&metrics, file_bytes), 3000 * 20);
    tier_close(&tier);
}
END_TEST

struct headers_seen {
    unsigned found_count;
    unsigned expiring_count;
    unsigned damaged_count;
};

static void see_header(void *context, const struct key *key, const struct cold_header *header)
{
    struct headers_seen *const seen = context;
    ck_assert_uint_gt(key->size, 0);
    if (header == NULL) {
        seen->damaged_count++;
        return;
    }
    seen->found_count++;
    seen->expiring_count += header->expire_ms != 0;
    ck_assert_uint_eq(header->value_size, 5);
}

static void spoil(void *context, uint8_t *bytes, size_t size)
{
    (void)context;
    ck_assert_uint_gt(size, 9);
    bytes[9] ^= 1;
}

START_TEST(headers_of_many_keys_come_at_once)
{
    enum { COUNT = 10000 };
    struct tier tier;
    tier_open(&tier);
    struct key *const keys = mem_alloc(COUNT * sizeof(*keys));
    char(*const names)[16] = mem_alloc(COUNT * sizeof(*names));
    struct cold_txn *const txn = must_begin(tier.cold);
    const struct cold_header expiring = header_expiring(1700000000000);
    for (unsigned index = 0; index < COUNT; index++) {
        const int size = snprintf(names[index], sizeof(names[0]), "key%06u", index);
        keys[index] = key_make(SPACE, names[index], (size_t)size);
        if (index % 2 == 0)
            must_put(txn, &keys[index], index % 4 == 0 ? &expiring : &raw_header,
                SLICE_LITERAL("value"));
    }
    must_commit(txn);
    tamper(tier.cold, &keys[2], spoil, NULL);
    struct headers_seen seen = {0};
    ck_assert_int_eq(cold_read_headers(tier.cold, keys, COUNT, see_header, &seen, NULL), ST_OK);
    ck_assert_uint_eq(seen.found_count, COUNT / 2 - 1);
    ck_assert_uint_eq(seen.expiring_count, COUNT / 4);
    ck_assert_uint_eq(seen.damaged_count, 1);
    ck_assert_int_eq(cold_read_headers(tier.cold, keys, 0, see_header, &seen, NULL), ST_OK);
    mem_free(names);
    mem_free(keys);
    tier_close(&tier);
}
END_TEST

START_TEST(meta_values_come_back)
{
    static const size_t sizes[] = {0, 1, 3999, 4000, 4001, 100000, 16 * 1024 * 1024, 5};
    struct tier tier;
    tier_open(&tier);
    struct buf got = {0};
    ck_assert_int_eq(cold_meta_get(tier.cold, "x", &got, NULL), ST_NOT_FOUND);
    for (size_t index = 0; index < COUNT_OF(sizes); index++) {
        struct buf value = payload_random(sizes[index], index);
        struct cold_txn *const txn = must_begin(tier.cold);
        ck_assert_int_eq(cold_meta_put(txn, "x", buf_slice(&value), NULL), ST_OK);
        ck_assert_int_eq(cold_meta_put(txn, "x2", SLICE_LITERAL("other"), NULL), ST_OK);
        must_commit(txn);
        buf_clear(&got);
        buf_append_text(&got, "before ");
        ck_assert_int_eq(cold_meta_get(tier.cold, "x", &got, NULL), ST_OK);
        ck_assert_uint_eq(got.size, 7 + sizes[index]);
        ck_assert(slice_equal(slice_of(got.data + 7, got.size - 7), buf_slice(&value)));
        buf_deinit(&value);
    }
    /* The pieces of the long ones are gone: format, secret, x, x2. */
    ck_assert_uint_eq(count_entries(tier.cold, 'm'), 8);
    tier_reopen(&tier);
    buf_clear(&got);
    ck_assert_int_eq(cold_meta_get(tier.cold, "x2", &got, NULL), ST_OK);
    ck_assert_slice_eq(buf_slice(&got), SLICE_LITERAL("other"));
    buf_deinit(&got);
    tier_close(&tier);
}
END_TEST

static enum status try_open(const char *directory, struct error *error)
{
    const struct cold_options options = {.io_threads = 1};
    struct cold *cold = NULL;
    const enum status status = cold_open(directory, &options, &cold, error);
    cold_close(cold);
    return status;
}

START_TEST(a_database_of_another_version_is_refused)
{
    struct tier tier;
    tier_open(&tier);
    struct cold_txn *const txn = must_begin(tier.cold);
    ck_assert_int_eq(cold_meta_put(txn, "cold.format", slice_of("\0\0\0\x02", 4), NULL), ST_OK);
    must_commit(txn);
    tier_close(&tier);
    struct error error;
    ck_assert_int_eq(try_open(tier.directory, &error), ST_CORRUPT);
    ck_assert_ptr_nonnull(strstr(error.message, "format 2"));
}
END_TEST

START_TEST(what_is_not_our_database_is_refused)
{
    struct error error;
    const char *directory = test_directory_create();
    struct buf junk = payload_random(20000, 1);
    ck_assert_int_eq(file_replace(test_path(directory, "data.mdb"), buf_slice(&junk), NULL), ST_OK);
    ck_assert_int_eq(try_open(directory, &error), ST_CORRUPT);
    buf_deinit(&junk);
    /* An LMDB database of somebody else. */
    directory = test_directory_create();
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi table;
    MDB_val name = cold_val("a", 1);
    ck_assert_int_eq(mdb_env_create(&env), 0);
    ck_assert_int_eq(mdb_env_set_maxdbs(env, 4), 0);
    ck_assert_int_eq(mdb_env_open(env, directory, 0, 0600), 0);
    ck_assert_int_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
    ck_assert_int_eq(mdb_dbi_open(txn, "theirs", MDB_CREATE, &table), 0);
    ck_assert_int_eq(mdb_put(txn, table, &name, &name, 0), 0);
    ck_assert_int_eq(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    ck_assert_int_eq(try_open(directory, &error), ST_CORRUPT);
}
END_TEST

START_TEST(a_file_cut_short_is_refused)
{
    struct tier tier;
    tier_open(&tier);
    struct buf random = payload_random(100000, 1);
    const struct key key = key_text("key");
    put_one(tier.cold, &key, &raw_header, buf_slice(&random));
    buf_deinit(&random);
    tier_close(&tier);
    struct file *file;
    ck_assert_int_eq(
        file_open(test_path(tier.directory, "data.mdb"), FILE_MODE_WRITE, &file, NULL), ST_OK);
    ck_assert_int_eq(file_truncate(file, 60000, NULL), ST_OK);
    file_close(file);
    struct error error;
    ck_assert_int_eq(try_open(tier.directory, &error), ST_CORRUPT);
}
END_TEST

START_TEST(a_tier_opens_once)
{
    struct tier tier;
    tier_open(&tier);
    struct error error;
    ck_assert_int_eq(try_open(tier.directory, &error), ST_BUSY);
    tier_close(&tier);
    ck_assert_int_eq(try_open(tier.directory, &error), ST_OK);
}
END_TEST

TEST_GROUP(store_group, values_of_all_sizes_come_back, no_record_takes_more_than_one_page,
    a_staged_value_comes_back, keys_of_all_lengths_come_back,
    long_keys_with_the_same_prefix_are_told_apart, binary_and_empty_keys_are_keys,
    spaces_do_not_see_each_other, other_types_keep_their_header, reopening_keeps_everything,
    headers_of_many_keys_come_at_once, meta_values_come_back,
    a_database_of_another_version_is_refused, what_is_not_our_database_is_refused,
    a_file_cut_short_is_refused, a_tier_opens_once)
