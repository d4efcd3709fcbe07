/*
 * test_cold_fault.c: full disks, failed commits, pages that cannot be read.
 */
#include "base/file.h"
#include "base/log.h"
#include "cold_internal.h"
#include "cold_support.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* A put and a delete that fail together. */
static enum status change(struct cold *cold)
{
    const struct key old = key_text("old");
    const struct key new = key_text("new");
    const struct key gone = key_text("gone");
    struct cold_txn *const txn = must_begin(cold);
    must_put(txn, &old, &raw_header, SLICE_LITERAL("changed"));
    must_put(txn, &new, &raw_header, SLICE_LITERAL("new"));
    ck_assert_int_eq(cold_delete(txn, &gone, NULL), ST_OK);
    ck_assert(cold_may_contain(cold, &new));
    struct error error;
    return cold_txn_commit(txn, &error);
}

static void set_up_old_state(struct tier *tier)
{
    tier_open(tier);
    const struct key old = key_text("old");
    const struct key gone = key_text("gone");
    put_one(tier->cold, &old, &raw_header, SLICE_LITERAL("old"));
    put_one(tier->cold, &gone, &raw_header, SLICE_LITERAL("still here"));
}

static void assert_old_state(struct cold *cold)
{
    const struct key old = key_text("old");
    const struct key new = key_text("new");
    const struct key gone = key_text("gone");
    assert_value(cold, &old, SLICE_LITERAL("old"));
    assert_value(cold, &gone, SLICE_LITERAL("still here"));
    assert_absent(cold, &new);
    ck_assert(!cold_may_contain(cold, &new));
}

static void assert_new_state(struct cold *cold)
{
    const struct key old = key_text("old");
    const struct key new = key_text("new");
    const struct key gone = key_text("gone");
    assert_value(cold, &old, SLICE_LITERAL("changed"));
    assert_value(cold, &new, SLICE_LITERAL("new"));
    assert_absent(cold, &gone);
    ck_assert(!cold_may_contain(cold, &gone));
}

START_TEST(a_failed_commit_leaves_the_old_state_and_a_usable_tier)
{
    struct tier tier;
    set_up_old_state(&tier);
    cold_fault_commit(1, EIO);
    ck_assert_int_eq(change(tier.cold), ST_IO);
    assert_old_state(tier.cold);
    cold_fault_commit(1, ENOSPC);
    ck_assert_int_eq(change(tier.cold), ST_FULL);
    assert_old_state(tier.cold);
    struct cold_metrics metrics;
    cold_metrics_read(tier.cold, &metrics);
    ck_assert_uint_eq(metric_get(&metrics, commit_error_count), 2);
    ck_assert_uint_eq(metric_get(&metrics, record_count), 2);
    ck_assert_int_eq(change(tier.cold), ST_OK);
    assert_new_state(tier.cold);
    tier_reopen(&tier);
    cold_filter_wait(tier.cold);
    assert_new_state(tier.cold);
    tier_close(&tier);
}
END_TEST

START_TEST(file_faults_reach_commits)
{
    struct tier tier;
    set_up_old_state(&tier);
    file_fault_add(&(struct file_fault){.operation = FILE_SYNC,
        .path_part = "data.mdb",
        .nth = 1,
        .os_errno = EDQUOT,
        .sticky = true});
    ck_assert_int_eq(change(tier.cold), ST_FULL);
    ck_assert_int_eq(change(tier.cold), ST_FULL);
    assert_old_state(tier.cold);
    file_fault_clear();
    ck_assert_int_eq(change(tier.cold), ST_OK);
    assert_new_state(tier.cold);
    tier_close(&tier);
}
END_TEST

START_TEST(an_aborted_transaction_leaves_no_trace)
{
    struct tier tier;
    set_up_old_state(&tier);
    const struct key new = key_text("new");
    const struct key gone = key_text("gone");
    for (int round = 0; round < 3; round++) {
        struct cold_txn *const txn = must_begin(tier.cold);
        must_put(txn, &new, &raw_header, SLICE_LITERAL("new"));
        ck_assert_int_eq(cold_delete(txn, &gone, NULL), ST_OK);
        must_put(txn, &gone, &raw_header, SLICE_LITERAL("again"));
        ck_assert_int_eq(cold_delete(txn, &new, NULL), ST_OK);
        ck_assert_int_eq(cold_delete(txn, &new, NULL), ST_NOT_FOUND);
        cold_txn_abort(txn);
        assert_old_state(tier.cold);
    }
    cold_txn_abort(NULL);
    tier_close(&tier);
}
END_TEST

START_TEST(deletes_and_puts_of_a_key_in_one_transaction_keep_the_filter_right)
{
    struct tier tier;
    set_up_old_state(&tier);
    const struct key key = key_text("gone");
    const struct key new = key_text("new");
    struct cold_txn *const txn = must_begin(tier.cold);
    ck_assert_int_eq(cold_delete(txn, &key, NULL), ST_OK);
    must_put(txn, &key, &raw_header, SLICE_LITERAL("again"));
    must_put(txn, &new, &raw_header, SLICE_LITERAL("new"));
    ck_assert_int_eq(cold_delete(txn, &new, NULL), ST_OK);
    must_commit(txn);
    assert_value(tier.cold, &key, SLICE_LITERAL("again"));
    ck_assert(!cold_may_contain(tier.cold, &new));
    delete_one(tier.cold, &key);
    ck_assert(!cold_may_contain(tier.cold, &key));
    tier_close(&tier);
}
END_TEST

static void cut_file(const struct tier *tier, off_t size)
{
    /* By its path: opening and closing the file elsewhere would drop LMDB's locks. */
    ck_assert_int_eq(truncate(test_path(tier->directory, "data.mdb"), size), 0);
}

START_TEST(a_page_that_cannot_be_read_is_an_error_not_a_crash)
{
    struct tier tier;
    tier_open(&tier);
    struct cold_txn *txn = must_begin(tier.cold);
    for (unsigned index = 0; index < 2000; index++) {
        const struct key key = key_numbered("key", index);
        struct buf random = payload_random(900, index);
        must_put(txn, &key, &raw_header, buf_slice(&random));
        buf_deinit(&random);
    }
    must_commit(txn);
    ck_assert(log_target_set("/dev/null"));
    txn = must_begin(tier.cold);
    cut_file(&tier, 3 * 4096);
    const struct key key = key_text("key77");
    ck_assert_int_eq(read_status(tier.cold, &key), ST_IO);
    ck_assert_int_eq(read_status(tier.cold, &key), ST_IO);
    struct cold_job job = {.kind = COLD_JOB_RANGE, .key = key, .entry_max = 100};
    cold_read_now(tier.cold, &job);
    ck_assert_int_eq(job.status, ST_IO);
    cold_pretouch(tier.cold, &key, 1);
    struct cold_metrics metrics;
    cold_metrics_read(tier.cold, &metrics);
    ck_assert_uint_eq(metric_get(&metrics, corrupt_count), 3);
    /* A write transaction ends; so does everything after it in that transaction. */
    ck_assert_int_eq(cold_put(txn, &key, &raw_header, SLICE_LITERAL("v"), 0, NULL), ST_IO);
    ck_assert_int_eq(cold_delete(txn, &key, NULL), ST_IO);
    struct error error;
    ck_assert_int_eq(cold_txn_commit(txn, &error), ST_IO);
    ck_assert_int_eq(cold_txn_begin(tier.cold, &txn, &error), ST_IO);
    ck_assert_int_eq(cold_reclaim(tier.cold, 10, &error), ST_IO);
    tier_close(&tier);
}
END_TEST

/* A page behind the end of a file. */
static void fault_outside(void *context)
{
    struct tier *const tier = context;
    tier_open_at(tier, tier->directory);
    FILE *const file = tmpfile();
    ck_assert_ptr_nonnull(file);
    const volatile char *const page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fileno(file), 0);
    (void)*page;
    _exit(0);
}

START_TEST(a_fault_outside_the_guard_is_not_swallowed)
{
    struct tier tier = {.directory = test_directory_create()};
    ck_assert_int_ne(test_exit_status(fault_outside, &tier), 0);
}
END_TEST

START_TEST(the_ballast_is_released_once_and_made_again)
{
    struct tier tier;
    tier_open(&tier);
    const char *const path = test_path(tier.directory, "ballast");
    struct file *file;
    uint64_t size;
    ck_assert_int_eq(file_open(path, FILE_MODE_READ, &file, NULL), ST_OK);
    ck_assert_int_eq(file_size(file, &size, NULL), ST_OK);
    file_close(file);
    ck_assert_uint_eq(size, 64 * KiB);
    ck_assert(cold_ballast_release(tier.cold));
    ck_assert(!file_exists(path));
    ck_assert(!cold_ballast_release(tier.cold));
    file_fault_add(&(struct file_fault){
        .operation = FILE_ALLOCATE, .path_part = "ballast", .nth = 1, .os_errno = ENOSPC});
    file_fault_add(&(struct file_fault){
        .operation = FILE_WRITE, .path_part = "ballast", .nth = 1, .os_errno = ENOSPC});
    cold_ballast_restore(tier.cold);
    ck_assert(!file_exists(path)); /* no half of it is left */
    file_fault_clear();
    cold_ballast_restore(tier.cold);
    ck_assert(file_exists(path));
    tier_close(&tier);
}
END_TEST

START_TEST(without_room_for_the_ballast_the_tier_opens)
{
    ck_assert(log_target_set("/dev/null"));
    file_fault_add(&(struct file_fault){
        .operation = FILE_OPEN, .path_part = "ballast", .nth = 1, .os_errno = ENOSPC});
    struct tier tier;
    tier_open(&tier);
    const struct key key = key_text("key");
    put_one(tier.cold, &key, &raw_header, SLICE_LITERAL("v"));
    assert_value(tier.cold, &key, SLICE_LITERAL("v"));
    tier_close(&tier);
}
END_TEST

START_TEST(opening_fails_cleanly_at_every_file_operation)
{
    static const enum file_operation operations[] = {FILE_OPEN, FILE_SYNC, FILE_SYNC_DIR};
    for (size_t index = 0; index < COUNT_OF(operations); index++) {
        bool opened = false;
        for (uint64_t nth = 1; !opened; nth++) {
            ck_assert_uint_lt(nth, 20);
            const char *const directory = test_directory_create();
            const struct cold_options options = {.io_threads = 1};
            struct cold *cold = NULL;
            struct error error;
            file_fault_add(
                &(struct file_fault){.operation = operations[index], .nth = nth, .os_errno = EIO});
            const enum status status = cold_open(directory, &options, &cold, &error);
            file_fault_clear();
            opened = status == ST_OK;
            if (!opened) {
                ck_assert_int_eq(status, ST_IO);
                ck_assert_int_eq(cold_open(directory, &options, &cold, &error), ST_OK);
            }
            cold_close(cold);
        }
    }
}
END_TEST

TEST_GROUP(fault_group, a_failed_commit_leaves_the_old_state_and_a_usable_tier,
    file_faults_reach_commits, an_aborted_transaction_leaves_no_trace,
    deletes_and_puts_of_a_key_in_one_transaction_keep_the_filter_right,
    a_page_that_cannot_be_read_is_an_error_not_a_crash, a_fault_outside_the_guard_is_not_swallowed,
    the_ballast_is_released_once_and_made_again, without_room_for_the_ballast_the_tier_opens,
    opening_fails_cleanly_at_every_file_operation)
