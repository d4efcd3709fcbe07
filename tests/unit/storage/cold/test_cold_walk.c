/*
 * test_cold_walk.c: ranges in key order, and keys whose time has come.
 */
#include "base/mem.h"
#include "cold_internal.h"
#include "cold_support.h"

static struct slice entry_key(const struct cold_job *job, size_t index)
{
    const struct cold_range_entry *const entry = &job->entries[index];
    return slice_of(job->keys.data + entry->key_offset, entry->key_size);
}

/* All keys of a range, read in parts, joined by '|'. */
static struct buf walk(struct cold *cold, uint32_t space, const char *prefix, size_t entry_max)
{
    struct buf all = {0};
    struct buf last = {0};
    bool end = false;
    while (!end) {
        struct cold_job job = {
            .kind = COLD_JOB_RANGE,
            .key = key_make(space, last.data == NULL ? "" : last.data, last.size),
            .prefix = slice_text(prefix),
            .entry_max = entry_max,
        };
        cold_read_now(cold, &job);
        ck_assert_int_eq(job.status, ST_OK);
        ck_assert_uint_le(job.entry_count, entry_max < 2 ? 2 : entry_max);
        end = job.range_end;
        ck_assert(end || job.entry_count > 0);
        for (size_t index = 0; index < job.entry_count; index++) {
            ck_assert_uint_eq(job.entries[index].space, space);
            buf_append_slice(&all, entry_key(&job, index));
            buf_append_byte(&all, '|');
        }
        if (job.entry_count > 0) {
            buf_clear(&last);
            buf_append_slice(&last, entry_key(&job, job.entry_count - 1));
        }
        cold_job_deinit(&job);
    }
    buf_deinit(&last);
    return all;
}

static void assert_walk(
    struct cold *cold, uint32_t space, const char *prefix, size_t entry_max, const char *expected)
{
    struct buf all = walk(cold, space, prefix, entry_max);
    ck_assert_text_eq(buf_slice(&all), expected);
    buf_deinit(&all);
}

START_TEST(a_range_gives_the_keys_of_a_space_in_order)
{
    struct tier tier;
    tier_open(&tier);
    static const char *const names[] = {"b", "", "a:2", "c", "a:1", "a:10", "a", "a;"};
    for (size_t index = 0; index < COUNT_OF(names); index++) {
        const struct key key = key_make(5, names[index], strlen(names[index]));
        const struct key before = key_make(4, names[index], strlen(names[index]));
        const struct key after = key_make(6, names[index], strlen(names[index]));
        put_one(tier.cold, &key, &raw_header, SLICE_LITERAL("v"));
        put_one(tier.cold, &before, &raw_header, SLICE_LITERAL("v"));
        put_one(tier.cold, &after, &raw_header, SLICE_LITERAL("v"));
    }
    static const size_t parts[] = {1, 2, 3, 7, 8, 9, 1000};
    for (size_t index = 0; index < COUNT_OF(parts); index++) {
        assert_walk(tier.cold, 5, "", parts[index], "|a|a:1|a:10|a:2|a;|b|c|");
        assert_walk(tier.cold, 5, "a:", parts[index], "a:1|a:10|a:2|");
        assert_walk(tier.cold, 5, "a:1", parts[index], "a:1|a:10|");
        assert_walk(tier.cold, 5, "d", parts[index], "");
        assert_walk(tier.cold, 9, "", parts[index], "");
    }
    tier_close(&tier);
}
END_TEST

START_TEST(a_range_starts_after_its_key_even_if_that_is_gone)
{
    struct tier tier;
    tier_open(&tier);
    for (unsigned index = 0; index < 9; index++) {
        const struct key key = key_numbered("k", index);
        put_one(tier.cold, &key, &raw_header, SLICE_LITERAL("v"));
    }
    const struct key start = key_text("k4");
    delete_one(tier.cold, &start);
    struct cold_job job = {.kind = COLD_JOB_RANGE, .key = start, .entry_max = 3};
    cold_read_now(tier.cold, &job);
    ck_assert_uint_eq(job.entry_count, 3);
    ck_assert_text_eq(entry_key(&job, 0), "k5");
    ck_assert(!job.range_end);
    ck_assert_uint_eq(job.entries[0].header.value_size, 1);
    cold_job_deinit(&job);
    tier_close(&tier);
}
END_TEST

START_TEST(a_range_gives_long_keys_in_full)
{
    struct tier tier;
    tier_open(&tier);
    const size_t sizes[] = {490, 500, 600, 4500};
    size_t total = 0;
    for (size_t index = 0; index < COUNT_OF(sizes); index++) {
        const struct key key = key_long(sizes[index], 'p', 'z');
        put_one(tier.cold, &key, &raw_header, SLICE_LITERAL("v"));
        mem_free((void *)(uintptr_t)key.data);
        total += sizes[index] + 1;
    }
    struct buf all = walk(tier.cold, SPACE, "p", 2);
    ck_assert_uint_eq(all.size, total);
    buf_deinit(&all);
    /* A prefix longer than what is stored in order. */
    const struct key prefix = key_long(550, 'p', (char)('a' + 549 % 23));
    char *const text = mem_string_sized(prefix.data, prefix.size);
    all = walk(tier.cold, SPACE, text, 2);
    ck_assert_uint_eq(all.size, 600 + 4500 + 2);
    buf_deinit(&all);
    mem_free(text);
    mem_free((void *)(uintptr_t)prefix.data);
    tier_close(&tier);
}
END_TEST

static void break_record(void *context, uint8_t *bytes, size_t size)
{
    (void)context;
    (void)size;
    bytes[9] ^= 1;
}

START_TEST(a_range_passes_over_damage)
{
    struct tier tier;
    tier_open(&tier);
    for (unsigned index = 0; index < 5; index++) {
        const struct key key = key_numbered("k", index);
        put_one(tier.cold, &key, &raw_header, SLICE_LITERAL("v"));
    }
    const struct key bad = key_text("k2");
    tamper(tier.cold, &bad, break_record, NULL);
    assert_walk(tier.cold, SPACE, "", 2, "k0|k1|k3|k4|");
    tier_close(&tier);
}
END_TEST

/* Keys due at the time, joined by '|'. */
static void assert_due(struct cold *cold, uint64_t due_ms, size_t entry_max, const char *expected)
{
    struct cold_job job = {.kind = COLD_JOB_DUE, .due_ms = due_ms, .entry_max = entry_max};
    cold_read_now(cold, &job);
    ck_assert_int_eq(job.status, ST_OK);
    struct buf all = {0};
    for (size_t index = 0; index < job.entry_count; index++) {
        ck_assert_uint_le(cold_due_ms(&job.entries[index].header), due_ms);
        buf_append_slice(&all, entry_key(&job, index));
        buf_append_byte(&all, '|');
    }
    ck_assert_text_eq(buf_slice(&all), expected);
    buf_deinit(&all);
    cold_job_deinit(&job);
}

static void put_expiring(struct cold *cold, const char *name, uint64_t expire_ms)
{
    const struct key key = key_text(name);
    const struct cold_header header = header_expiring(expire_ms);
    put_one(cold, &key, &header, SLICE_LITERAL("v"));
}

#define T ((uint64_t)1700000040000) /* a full minute */

START_TEST(due_gives_what_is_due_to_the_millisecond)
{
    struct tier tier;
    tier_open(&tier);
    put_expiring(tier.cold, "never", 0);
    put_expiring(tier.cold, "c", T + 500);
    put_expiring(tier.cold, "a", T + 501);
    put_expiring(tier.cold, "b", T - 1);
    put_expiring(tier.cold, "d", T + 60000);
    put_expiring(tier.cold, "first", 5);
    put_expiring(tier.cold, "last", UINT64_MAX);
    ck_assert_uint_eq(count_entries(tier.cold, 'x'), 6);
    assert_due(tier.cold, 4, 100, "");
    assert_due(tier.cold, 5, 100, "first|");
    assert_due(tier.cold, T - 2, 100, "first|");
    assert_due(tier.cold, T - 1, 100, "first|b|");
    assert_due(tier.cold, T + 500, 100, "first|b|c|");
    assert_due(tier.cold, T + 501, 100, "first|b|a|c|");
    assert_due(tier.cold, T + 501, 2, "first|b|");
    assert_due(tier.cold, T + 60000, 100, "first|b|a|c|d|");
    assert_due(tier.cold, UINT64_MAX, 100, "first|b|a|c|d|last|");
    tier_close(&tier);
}
END_TEST

START_TEST(the_expiry_index_follows_the_record)
{
    struct tier tier;
    tier_open(&tier);
    put_expiring(tier.cold, "k", T);
    put_expiring(tier.cold, "k", T + 30000); /* same minute */
    ck_assert_uint_eq(count_entries(tier.cold, 'x'), 1);
    assert_due(tier.cold, T + 29999, 9, "");
    assert_due(tier.cold, T + 30000, 9, "k|");
    put_expiring(tier.cold, "k", T + 600000);
    ck_assert_uint_eq(count_entries(tier.cold, 'x'), 1);
    assert_due(tier.cold, T + 599999, 9, "");
    put_expiring(tier.cold, "k", 0);
    ck_assert_uint_eq(count_entries(tier.cold, 'x'), 0);
    put_expiring(tier.cold, "k", T);
    const struct key key = key_text("k");
    delete_one(tier.cold, &key);
    ck_assert_uint_eq(count_entries(tier.cold, 'x'), 0);
    const struct key large = key_long(5000, 'q', 'r');
    const struct cold_header header = header_expiring(T);
    put_one(tier.cold, &large, &header, SLICE_LITERAL("v"));
    struct cold_job job = {.kind = COLD_JOB_DUE, .due_ms = T, .entry_max = 10};
    cold_read_now(tier.cold, &job);
    ck_assert_uint_eq(job.entry_count, 1);
    ck_assert(slice_equal(entry_key(&job, 0), key_slice(&large)));
    ck_assert(job.range_end);
    cold_job_deinit(&job);
    mem_free((void *)(uintptr_t)large.data);
    tier_close(&tier);
}
END_TEST

static void put_waking(struct cold *cold, const char *name, uint64_t expire_ms, uint64_t wake_ms)
{
    const struct key key = key_text(name);
    struct cold_header header = header_expiring(expire_ms);
    header.wake_ms = wake_ms;
    put_one(cold, &key, &header, SLICE_LITERAL("v"));
}

START_TEST(a_record_is_due_when_its_first_part_is_over)
{
    struct tier tier;
    tier_open(&tier);
    put_waking(tier.cold, "a", 0, T);
    put_waking(tier.cold, "b", T + 200000, T + 60000);
    put_waking(tier.cold, "c", T + 70000, T + 200000);
    ck_assert_uint_eq(count_entries(tier.cold, 'x'), 3);
    assert_due(tier.cold, T - 1, 10, "");
    assert_due(tier.cold, T, 10, "a|");
    assert_due(tier.cold, T + 60000, 10, "a|b|");
    assert_due(tier.cold, T + 70000, 10, "a|b|c|");
    const struct key key = key_text("b");
    struct cold_job job = {.kind = COLD_JOB_HEADER, .key = key};
    cold_read_now(tier.cold, &job);
    ck_assert_int_eq(job.status, ST_OK);
    ck_assert_uint_eq(job.header.expire_ms, T + 200000);
    ck_assert_uint_eq(job.header.wake_ms, T + 60000);
    cold_job_deinit(&job);
    put_waking(tier.cold, "a", 0, 0);
    put_waking(tier.cold, "b", T + 200000, 0);
    ck_assert_uint_eq(count_entries(tier.cold, 'x'), 2);
    assert_due(tier.cold, T + 70000, 10, "c|");
    tier_close(&tier);
}
END_TEST

START_TEST(a_dead_space_has_nothing_due)
{
    struct tier tier;
    tier_open(&tier);
    put_expiring(tier.cold, "k", T);
    struct cold_txn *const txn = must_begin(tier.cold);
    ck_assert_int_eq(cold_space_kill(txn, SPACE, NULL), ST_OK);
    must_commit(txn);
    assert_due(tier.cold, T, 10, "");
    tier_close(&tier);
}
END_TEST

TEST_GROUP(walk_group, a_range_gives_the_keys_of_a_space_in_order,
    a_range_starts_after_its_key_even_if_that_is_gone, a_range_gives_long_keys_in_full,
    a_range_passes_over_damage, due_gives_what_is_due_to_the_millisecond,
    the_expiry_index_follows_the_record, a_record_is_due_when_its_first_part_is_over,
    a_dead_space_has_nothing_due)
