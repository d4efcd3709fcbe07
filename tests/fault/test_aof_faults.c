/*
 * test_aof_faults.c: a script of appends, rotations, releases and restarts, in which the n-th operation of
 * each kind fails, or the process dies at it, for n = 1, 2, ... until the script gets through untouched. After each
 * run everything that was acknowledged as durable must be there (I6, I12, H19).
 *
 * The script runs in a child. It appends the same items each time, every one a frame of its own, so that this process
 * knows the model; what was acknowledged comes back through shared memory.
 */
#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "log_support.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    SEGMENT_SIZE = 1200,
    ITEM_COUNT = 14,
    RELEASE_AFTER = 7, /* items; then everything so far is released */
    REOPEN_AFTER = 10,
    LARGE_ITEM = 4, /* larger than a segment */
    CRASH_STATUS = 86,
};

/* What the child did, in memory that it shares with this process. */
struct outcome {
    _Atomic uint64_t durable_lsn;  /* acknowledged */
    _Atomic uint64_t released_lsn; /* everything below may be gone */
    _Atomic uint32_t injected;     /* operations of the kind seen, without a fault */
    _Atomic bool is_through;
};

struct run {
    const char *directory;
    struct file_fault fault;
    bool has_fault;
    struct outcome *outcome;
};

static size_t item_size(size_t index)
{
    return index == LARGE_ITEM ? 2000 : 150 + index * 29;
}

/* After a failed write: true once the log works again, false if it never will. */
static bool wait_until_well(const struct aof *aof)
{
    for (;;) {
        const enum status health = aof_health(aof);
        if (health == ST_OK || health == ST_CLOSED)
            return health == ST_OK;
        (void)usleep(1000);
    }
}

/* False if the log has failed for good. */
static bool append_durable(struct test_log *log, struct outcome *outcome)
{
    const uint64_t lsn = test_log_append(log, 0, 0, item_size(log->item_count));
    enum status status;
    while ((status = aof_wait_durable(log->aof, lsn)) != ST_OK) {
        CHECK(status == ST_FULL || status == ST_IO || status == ST_CLOSED);
        if (!wait_until_well(log->aof))
            return false;
    }
    CHECK(aof_durable_lsn(log->aof) >= lsn);
    atomic_store_explicit(&outcome->durable_lsn, lsn, memory_order_release);
    return true;
}

static bool append_until(struct test_log *log, size_t item_count, struct outcome *outcome)
{
    while (log->item_count < item_count) {
        if (!append_durable(log, outcome))
            return false;
    }
    return true;
}

static bool open_log(struct test_log *log)
{
    struct error error = {0};
    const enum status status = test_log_try_open(log, &error);
    CHECK(status == ST_OK || status == ST_FULL || status == ST_IO);
    return status == ST_OK;
}

static bool run_script(struct test_log *log, struct outcome *outcome)
{
    if (!open_log(log) || !append_until(log, RELEASE_AFTER, outcome))
        return false;
    const uint64_t x = aof_cut(log->aof);
    atomic_store_explicit(&outcome->released_lsn, x, memory_order_release);
    log->last_cut_lsn = x;
    aof_release(log->aof, x);
    if (!append_until(log, REOPEN_AFTER, outcome))
        return false;
    test_log_close(log);
    const size_t items = log->item_count;
    if (!open_log(log))
        return false;
    CHECK(log->item_count == items);
    if (!append_until(log, ITEM_COUNT, outcome))
        return false;
    aof_release(log->aof, x);
    return true;
}

/* A log in the directory of the run; what test_log_init() does without making another. */
static void log_at(struct test_log *log, const char *directory)
{
    *log = (struct test_log){.directory = directory, .store_id = LOG_STORE_ID};
    log->options = (struct aof_options){
        .sync_mode = AOF_SYNC_NO, .segment_size = SEGMENT_SIZE, .buffer_limit = (int64_t)(1 * MiB)};
}

static void child(void *context)
{
    const struct run *const run = context;
    file_fault_clear();
    if (run->has_fault)
        file_fault_add(&run->fault);
    struct test_log log;
    log_at(&log, run->directory);
    const bool is_through = run_script(&log, run->outcome);
    test_log_close(&log);
    atomic_store_explicit(&run->outcome->injected, (uint32_t)file_fault_seen(run->fault.operation),
        memory_order_release);
    atomic_store_explicit(&run->outcome->is_through, is_through, memory_order_release);
    mem_free(log.items);
}

/* All items of the script, with their LSNs. */
static void make_model(struct test_log *log)
{
    log->items = mem_alloc(ITEM_COUNT * sizeof(*log->items));
    uint64_t lsn = 0;
    for (size_t index = 0; index < ITEM_COUNT; index++) {
        lsn += PREFIX_SIZE + item_size(index);
        log->items[index] = (struct item){.lsn_after = lsn, .size = item_size(index)};
    }
    log->item_count = ITEM_COUNT;
}

static size_t items_up_to(const struct test_log *model, uint64_t lsn)
{
    size_t count = 0;
    while (count < ITEM_COUNT && model->items[count].lsn_after <= lsn)
        count++;
    return count;
}

static void check_after(const struct run *run)
{
    struct test_log log;
    log_at(&log, run->directory);
    make_model(&log);
    const uint64_t durable = atomic_load_explicit(&run->outcome->durable_lsn, memory_order_acquire);
    const uint64_t from = atomic_load_explicit(&run->outcome->released_lsn, memory_order_acquire);
    const size_t first = items_up_to(&log, from);
    const struct log_reading reading = test_log_read(&log, from, first, NULL);
    if (reading.status == ST_NOT_FOUND) { /* died before there was a log */
        ck_assert_uint_eq(durable, 0);
    } else {
        ck_assert_msg(reading.status == ST_END, "%s", reading.error.message);
        ck_assert_uint_ge(reading.tail.end_lsn, durable);
    }
    /* It opens, goes on, and is whole. */
    log.last_cut_lsn = from;
    struct error error = {0};
    ck_assert_msg(test_log_try_open(&log, &error) == ST_OK, "%s", error.message);
    ck_assert_uint_ge(aof_end_lsn(log.aof), durable);
    (void)test_log_append_durable(&log, 500);
    (void)test_log_append_durable(&log, 900);
    aof_release(log.aof, from);
    test_log_close(&log);
    const struct log_reading again = test_log_read(&log, from, first, NULL);
    ck_assert_msg(again.status == ST_END, "%s", again.error.message);
    ck_assert(!again.tail.torn);
    ck_assert_uint_eq(again.item_count, log.item_count - first);
    mem_free(log.items);
}

static struct outcome *outcome_create(void)
{
    void *const memory = mmap(
        NULL, sizeof(struct outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(memory, MAP_FAILED);
    return memory;
}

static void remove_all(const char *directory)
{
    struct test_log log = {.directory = directory};
    struct test_names names;
    test_names_list(&log, "", &names);
    for (size_t index = 0; index < names.count; index++)
        ck_assert_int_eq(file_unlink(test_log_path(&log, names.names[index]), NULL), ST_OK);
    test_names_deinit(&names);
}

/* One run; what the child exited with. */
static int run_once(struct run *run)
{
    *run->outcome = (struct outcome){0};
    const int status = test_exit_status(child, run);
    check_after(run);
    remove_all(run->directory);
    return status;
}

static void loop_over(enum file_operation operation, int os_errno, bool crash)
{
    struct run run = {.directory = test_directory_create(), .outcome = outcome_create()};
    CHECK(log_target_set("/dev/null"));
    run.fault = (struct file_fault){
        .operation = operation, .path_part = run.directory, .os_errno = os_errno, .crash = crash};
    ck_assert_int_eq(run_once(&run), EXIT_SUCCESS);
    ck_assert(run.outcome->is_through);
    const uint64_t count = run.outcome->injected;
    ck_assert_uint_gt(count, 0);
    run.has_fault = true;
    uint64_t crash_count = 0;
    for (run.fault.nth = 1; run.fault.nth <= count; run.fault.nth++) {
        const int status = run_once(&run);
        ck_assert_msg(status == EXIT_SUCCESS || (crash && status == CRASH_STATUS),
            "nth=%llu status=%d", (unsigned long long)run.fault.nth, status);
        crash_count += status == CRASH_STATUS;
    }
    if (crash)
        ck_assert_uint_ge(crash_count, count / 2);
    ck_assert_int_eq(munmap(run.outcome, sizeof(*run.outcome)), 0);
}

static void fail_and_die_at_each(enum file_operation operation)
{
    loop_over(operation, EIO, false);
    if (operation == FILE_WRITE || operation == FILE_ALLOCATE)
        loop_over(operation, ENOSPC, false);
    loop_over(operation, 0, true);
}

START_TEST(each_open_may_fail)
{
    fail_and_die_at_each(FILE_OPEN);
}
END_TEST

START_TEST(each_write_may_fail)
{
    fail_and_die_at_each(FILE_WRITE);
}
END_TEST

START_TEST(each_sync_may_fail)
{
    fail_and_die_at_each(FILE_SYNC);
}
END_TEST

START_TEST(each_sync_of_the_directory_may_fail)
{
    fail_and_die_at_each(FILE_SYNC_DIR);
}
END_TEST

START_TEST(each_rename_may_fail)
{
    fail_and_die_at_each(FILE_RENAME);
}
END_TEST

START_TEST(each_unlink_may_fail)
{
    fail_and_die_at_each(FILE_UNLINK);
}
END_TEST

START_TEST(each_truncation_may_fail)
{
    fail_and_die_at_each(FILE_TRUNCATE);
}
END_TEST

START_TEST(each_allocation_may_fail)
{
    fail_and_die_at_each(FILE_ALLOCATE);
}
END_TEST

/* --- cutting the tail ------------------------------------------------------------------------------------- */

/* A closed log with garbage behind its last frame and a later segment that proves nothing. */
static void make_torn(const char *directory)
{
    struct test_log log;
    log_at(&log, directory);
    test_log_open(&log);
    for (size_t index = 0; index < 6; index++)
        (void)test_log_append_durable(&log, item_size(index));
    test_log_close(&log);
    mem_free(log.items);
    struct test_names names;
    test_names_list(&log, ".aof", &names);
    struct buf content = {0};
    test_file_read(test_log_path(&log, names.names[names.count - 1]), &content);
    buf_append_text(&content, "#K1 1 2 3 torn");
    test_file_write(test_log_path(&log, names.names[names.count - 1]), buf_slice(&content));
    test_file_write(test_log_path(&log, "00000000000000100000.aof"), SLICE_LITERAL("nothing"));
    buf_deinit(&content);
    test_names_deinit(&names);
}

static enum status read_and_cut(const char *directory, uint64_t *end_lsn, bool *torn)
{
    struct test_log log;
    log_at(&log, directory);
    make_model(&log);
    const struct log_reading reading = test_log_read(&log, 0, 0, NULL);
    mem_free(log.items);
    if (reading.status != ST_END)
        return reading.status;
    *end_lsn = reading.tail.end_lsn;
    *torn = reading.tail.torn;
    return aof_cut_tail(directory, &reading.tail, NULL);
}

static void cutting_child(void *context)
{
    const struct run *const run = context;
    uint64_t end_lsn;
    bool torn;
    file_fault_clear();
    file_fault_add(&run->fault);
    (void)read_and_cut(run->directory, &end_lsn, &torn);
}

/* One try with the fault of the run, and what comes after it; returns what the try exited with. */
static int cut_once(struct run *run)
{
    make_torn(run->directory);
    const int exit_status = test_exit_status(cutting_child, run);
    uint64_t end_lsn = 0;
    bool torn = false;
    ck_assert_int_eq(read_and_cut(run->directory, &end_lsn, &torn), ST_OK);
    const uint64_t first_end = end_lsn;
    ck_assert_int_eq(read_and_cut(run->directory, &end_lsn, &torn), ST_OK);
    ck_assert(!torn);
    ck_assert_uint_eq(end_lsn, first_end);
    struct test_log log;
    log_at(&log, run->directory);
    make_model(&log);
    ck_assert_uint_eq(end_lsn, log.items[5].lsn_after);
    mem_free(log.items);
    remove_all(run->directory);
    return exit_status;
}

START_TEST(a_cut_of_the_tail_may_fail_or_die_at_each_step)
{
    struct run run = {.directory = test_directory_create()};
    static const enum file_operation operations[] = {
        FILE_OPEN, FILE_READ, FILE_WRITE, FILE_SYNC, FILE_SYNC_DIR, FILE_RENAME, FILE_TRUNCATE};
    for (size_t index = 0; index < COUNT_OF(operations); index++) {
        run.fault = (struct file_fault){
            .operation = operations[index], .path_part = run.directory, .nth = 1, .os_errno = EIO};
        int exit_status;
        do {
            run.fault.crash = false;
            ck_assert_int_eq(cut_once(&run), EXIT_SUCCESS);
            run.fault.crash = true;
            exit_status = cut_once(&run);
            ck_assert(exit_status == EXIT_SUCCESS || exit_status == CRASH_STATUS);
            run.fault.nth++;
        } while (exit_status == CRASH_STATUS); /* until there is no n-th */
        ck_assert_uint_gt(run.fault.nth, 2);
    }
}
END_TEST

TEST_MAIN("aof faults", each_open_may_fail, each_write_may_fail, each_sync_may_fail,
    each_sync_of_the_directory_may_fail, each_rename_may_fail, each_unlink_may_fail,
    each_truncation_may_fail, each_allocation_may_fail,
    a_cut_of_the_tail_may_fail_or_die_at_each_step)
