/*
 * test_cold_reclaim.c: dead spaces and orphans go, a few at a time, whatever was interrupted.
 */
#include "base/file.h"
#include "base/mem.h"
#include "cold_internal.h"
#include "cold_support.h"

#include <unistd.h>

START_TEST(a_dead_space_is_reclaimed_in_small_steps)
{
    struct tier tier;
    tier_open(&tier);
    struct buf large = payload_random(20000, 1);
    struct buf larger = payload_random(400000, 1);
    const struct cold_header expiring = header_expiring(1700000000000);
    struct cold_txn *txn = must_begin(tier.cold);
    for (unsigned index = 0; index < 500; index++) {
        const struct key key = key_numbered("key", index);
        must_put(txn, &key, &expiring, SLICE_LITERAL("v"));
    }
    const struct key chunked = key_text("chunked");
    const struct key many = key_text("many chunks");
    const struct key other = key_make(SPACE + 1, "key1", 4);
    const struct key long_key = key_long(5000, 'l', 'l');
    must_put(txn, &chunked, &raw_header, buf_slice(&large));
    must_put(txn, &many, &raw_header, buf_slice(&larger));
    must_put(txn, &long_key, &raw_header, buf_slice(&large));
    must_put(txn, &other, &raw_header, SLICE_LITERAL("other"));
    must_commit(txn);

    txn = must_begin(tier.cold);
    ck_assert_int_eq(cold_space_kill(txn, SPACE, NULL), ST_OK);
    must_commit(txn);
    size_t before = count_entries(tier.cold, 'k') + count_entries(tier.cold, 'c');
    size_t steps = 0;
    enum status status = ST_OK;
    while (status == ST_OK) {
        status = cold_reclaim(tier.cold, 100, NULL);
        const size_t now = count_entries(tier.cold, 'k') + count_entries(tier.cold, 'c');
        ck_assert_uint_le(before - now, 100 + COLD_CHUNK_DELETE_MAX);
        before = now;
        steps++;
        if (steps == 3)
            tier_reopen(&tier); /* goes on where it was */
    }
    ck_assert_int_eq(status, ST_END);
    ck_assert_uint_ge(steps, 6);
    ck_assert_uint_eq(count_entries(tier.cold, 'k'), 1);
    ck_assert_uint_eq(count_entries(tier.cold, 'c'), 0);
    ck_assert_uint_eq(count_entries(tier.cold, 'x'), 0);
    ck_assert_uint_eq(count_entries(tier.cold, 'g'), 0);
    assert_value(tier.cold, &other, SLICE_LITERAL("other"));
    mem_free((void *)(uintptr_t)long_key.data);
    buf_deinit(&large);
    buf_deinit(&larger);
    tier_close(&tier);
}
END_TEST

START_TEST(reclaimed_keys_leave_the_filter)
{
    struct tier tier;
    tier_open(&tier);
    struct cold_txn *txn = must_begin(tier.cold);
    for (unsigned index = 0; index < 100; index++) {
        const struct key key = key_numbered("key", index);
        must_put(txn, &key, &raw_header, SLICE_LITERAL("v"));
    }
    ck_assert_int_eq(cold_space_kill(txn, SPACE, NULL), ST_OK);
    must_commit(txn);
    reclaim_all(tier.cold, 30);
    for (unsigned index = 0; index < 100; index++) {
        const struct key key = key_numbered("key", index);
        ck_assert(!cold_may_contain(tier.cold, &key));
    }
    ck_assert_int_eq(cold_reclaim(tier.cold, 30, NULL), ST_END);
    tier_close(&tier);
}
END_TEST

START_TEST(chunks_of_a_replaced_large_value_are_reclaimed)
{
    struct tier tier;
    tier_open(&tier);
    struct buf larger = payload_random(400000, 1);
    const struct key key = key_text("key");
    put_one(tier.cold, &key, &raw_header, buf_slice(&larger));
    ck_assert_uint_eq(count_entries(tier.cold, 'c'), 99);
    put_one(tier.cold, &key, &raw_header, SLICE_LITERAL("small"));
    ck_assert_uint_eq(count_entries(tier.cold, 'c'), 99);
    ck_assert_uint_eq(count_entries(tier.cold, 'g'), 1);
    ck_assert_int_eq(cold_reclaim(tier.cold, 60, NULL), ST_OK);
    ck_assert_uint_eq(count_entries(tier.cold, 'c'), 39);
    reclaim_all(tier.cold, 60);
    ck_assert_uint_eq(count_entries(tier.cold, 'c'), 0);
    assert_value(tier.cold, &key, SLICE_LITERAL("small"));
    buf_deinit(&larger);
    tier_close(&tier);
}
END_TEST

START_TEST(staged_chunks_are_spared_until_their_transaction_has_ended)
{
    struct tier tier;
    tier_open(&tier);
    struct buf payload = payload_random(100000, 1);
    const struct key key = key_text("key");
    uint64_t used = 0;
    uint64_t unused = 0;
    ck_assert_int_eq(cold_stage(tier.cold, buf_slice(&payload), &used, NULL), ST_OK);
    ck_assert_int_eq(cold_stage(tier.cold, buf_slice(&payload), &unused, NULL), ST_OK);
    ck_assert_int_eq(cold_reclaim(tier.cold, 1000, NULL), ST_END);
    struct cold_txn *const txn = must_begin(tier.cold);
    ck_assert_int_eq(cold_put(txn, &key, &raw_header, buf_slice(&payload), used, NULL), ST_OK);
    must_commit(txn);
    ck_assert_uint_eq(count_entries(tier.cold, 'c'), 50);
    reclaim_all(tier.cold, 1000); /* the other one has become an orphan */
    ck_assert_uint_eq(count_entries(tier.cold, 'c'), 25);
    assert_value(tier.cold, &key, buf_slice(&payload));
    buf_deinit(&payload);
    tier_close(&tier);
}
END_TEST

START_TEST(a_failed_commit_makes_its_staged_chunks_orphans)
{
    struct tier tier;
    tier_open(&tier);
    struct buf payload = payload_random(100000, 1);
    const struct key key = key_text("key");
    uint64_t generation = 0;
    ck_assert_int_eq(cold_stage(tier.cold, buf_slice(&payload), &generation, NULL), ST_OK);
    struct cold_txn *const txn = must_begin(tier.cold);
    ck_assert_int_eq(
        cold_put(txn, &key, &raw_header, buf_slice(&payload), generation, NULL), ST_OK);
    cold_fault_commit(1, 5);
    struct error error;
    ck_assert_int_eq(cold_txn_commit(txn, &error), ST_IO);
    reclaim_all(tier.cold, 1000);
    ck_assert_uint_eq(count_entries(tier.cold, 'c'), 0);
    /* Staging that fails half-way is an orphan too. */
    struct buf large = payload_random(40 * 1024 * 1024, 2);
    cold_fault_commit(2, 28);
    ck_assert_int_eq(cold_stage(tier.cold, buf_slice(&large), &generation, &error), ST_FULL);
    ck_assert_uint_gt(count_entries(tier.cold, 'c'), 4000);
    reclaim_all(tier.cold, 2000);
    ck_assert_uint_eq(count_entries(tier.cold, 'c'), 0);
    ck_assert_uint_eq(count_entries(tier.cold, 'g'), 0);
    buf_deinit(&large);
    buf_deinit(&payload);
    tier_close(&tier);
}
END_TEST

/* What the child does: replaces a large value by another, staged over several transactions, and reclaims. */
struct crash {
    const char *directory;
    uint64_t nth;
};

static struct buf crash_payload(uint64_t seed)
{
    return payload_random(20 * 1024 * 1024, seed);
}

static void stage_and_put(struct cold *cold, uint64_t seed)
{
    struct buf payload = crash_payload(seed);
    const struct key key = key_text("large");
    uint64_t generation = 0;
    ck_assert_int_eq(cold_stage(cold, buf_slice(&payload), &generation, NULL), ST_OK);
    struct cold_txn *const txn = must_begin(cold);
    ck_assert_int_eq(
        cold_put(txn, &key, &raw_header, buf_slice(&payload), generation, NULL), ST_OK);
    must_commit(txn);
    buf_deinit(&payload);
}

static void replace_until_crash(void *context)
{
    const struct crash *const crash = context;
    struct tier tier;
    tier_open_at(&tier, crash->directory);
    file_fault_add(&(struct file_fault){
        .operation = FILE_SYNC, .path_part = "data.mdb", .nth = crash->nth, .crash = true});
    stage_and_put(tier.cold, 2);
    reclaim_all(tier.cold, 3000);
    _exit(0);
}

START_TEST(a_crash_between_any_two_steps_leaves_one_value_whole_and_no_orphan)
{
    int status = 86;
    for (uint64_t nth = 1; status == 86; nth++) {
        struct crash crash = {.directory = test_directory_create(), .nth = nth};
        struct tier tier;
        tier_open_at(&tier, crash.directory);
        stage_and_put(tier.cold, 1);
        tier_close(&tier);
        status = test_exit_status(replace_until_crash, &crash);
        ck_assert_msg(status == 86 || status == 0, "the child gave %d", status);
        tier_open_at(&tier, crash.directory);
        reclaim_all(tier.cold, 3000);
        const bool replaced =
            nth > 3; /* two transactions of chunks, then the one with the record */
        struct buf payload = crash_payload(replaced ? 2 : 1);
        const struct key key = key_text("large");
        assert_value(tier.cold, &key, buf_slice(&payload));
        buf_deinit(&payload);
        ck_assert_uint_eq(count_entries(tier.cold, 'c'), cold_chunk_count(20 * 1024 * 1024));
        ck_assert_uint_eq(count_entries(tier.cold, 'g'), 0);
        tier_close(&tier);
    }
}
END_TEST

TEST_GROUP(reclaim_group, a_dead_space_is_reclaimed_in_small_steps, reclaimed_keys_leave_the_filter,
    chunks_of_a_replaced_large_value_are_reclaimed,
    staged_chunks_are_spared_until_their_transaction_has_ended,
    a_failed_commit_makes_its_staged_chunks_orphans,
    a_crash_between_any_two_steps_leaves_one_value_whole_and_no_orphan)
