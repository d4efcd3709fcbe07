/*
 * test_aof_failure.c: disks that are full or broken (I12, H11, H15).
 */
#include "base/file.h"
#include "log_support.h"

#include <errno.h>
#include <unistd.h>

static void fail_from_now(enum file_operation operation, const char *path_part, int os_errno)
{
    file_fault_add(&(struct file_fault){.operation = operation,
        .path_part = path_part,
        .nth = 1,
        .os_errno = os_errno,
        .sticky = true});
}

static void wait_for_health(const struct test_log *log, enum status status)
{
    while (aof_health(log->aof) != status) /* the test's timeout is the failure */
        (void)usleep(500);
}

START_TEST(a_full_disk_is_reported_and_survived)
{
    for (int mode = AOF_SYNC_ALWAYS; mode <= AOF_SYNC_NO; mode++) {
        struct test_log log;
        test_log_init(&log, 8192);
        log.options.sync_mode = mode;
        test_log_open(&log);
        const uint64_t before = test_log_append_durable(&log, 100);
        fail_from_now(FILE_WRITE, log.directory, ENOSPC);
        const uint64_t after = test_log_append(&log, 0, 0, 3000);
        ck_assert_int_eq(aof_wait_durable(log.aof, after), ST_FULL);
        ck_assert_int_eq(aof_health(log.aof), ST_FULL);
        ck_assert_uint_eq(aof_durable_lsn(log.aof), before);
        ck_assert(aof_has_room(log.aof));
        /* Several tries, one report. */
        struct aof_metrics metrics;
        do {
            aof_metrics_read(log.aof, &metrics);
            (void)usleep(1000);
        } while (metric_get(&metrics, write_error_count) < 3);
        ck_assert_int_eq(log.health, ST_FULL);
        ck_assert_uint_eq(log.health_calls, 1);
        ck_assert_uint_eq(log.fatal_calls, 0);
        /* What a kill would leave now is whole up to D: the half frame was cut off. */
        struct test_log copy;
        test_log_copy(&log, &copy);
        const struct log_reading reading = test_log_read(&copy, 0, 0, NULL);
        ck_assert_int_eq(reading.status, ST_END);
        ck_assert_uint_eq(reading.tail.end_lsn, before);
        ck_assert(!reading.tail.torn);
        test_log_deinit(&copy);
        (void)test_log_append(&log, 0, 0, 100);
        file_fault_clear();
        wait_for_health(&log, ST_OK);
        ck_assert_int_eq(aof_wait_durable(log.aof, aof_end_lsn(log.aof)), ST_OK);
        ck_assert_int_eq(log.health, ST_OK);
        ck_assert_uint_eq(log.health_calls, 2);
        test_log_close(&log);
        test_log_check_whole(&log);
        test_log_deinit(&log);
    }
}
END_TEST

START_TEST(what_was_written_before_the_disk_filled_becomes_durable)
{
    struct test_log log;
    test_log_init(&log, 64 * KiB);
    log.options.sync_mode = AOF_SYNC_EVERYSEC;
    test_log_open(&log);
    const uint64_t written = test_log_append(&log, 0, 0, 100);
    test_log_wait_written(&log);
    fail_from_now(FILE_WRITE, log.directory, ENOSPC);
    (void)test_log_append(&log, 0, 0, 100);
    wait_for_health(&log, ST_FULL);
    while (aof_durable_lsn(log.aof) < written)
        (void)usleep(1000);
    ck_assert_uint_eq(aof_durable_lsn(log.aof), written);
    file_fault_clear();
    wait_for_health(&log, ST_OK);
    test_log_close(&log);
    test_log_check_whole(&log);
    test_log_deinit(&log);
}
END_TEST

START_TEST(room_ends_when_a_full_disk_lasts)
{
    struct test_log log;
    test_log_init(&log, 64 * KiB);
    log.options.buffer_limit = (int64_t)(1 * MiB);
    test_log_open(&log);
    fail_from_now(FILE_WRITE, log.directory, ENOSPC);
    while (aof_end_lsn(log.aof) <= 1 * MiB)
        (void)test_log_append(&log, 0, 0, 50000);
    ck_assert(!aof_has_room(log.aof));
    wait_for_health(&log, ST_FULL);
    file_fault_clear();
    wait_for_health(&log, ST_OK);
    ck_assert_int_eq(aof_wait_durable(log.aof, aof_end_lsn(log.aof)), ST_OK);
    ck_assert(aof_has_room(log.aof));
    test_log_close(&log);
    test_log_check_whole(&log);
    test_log_deinit(&log);
}
END_TEST

START_TEST(a_rotation_that_fails_is_tried_again)
{
    static const struct {
        enum file_operation operation;
        int os_errno;
        enum status health;
    } cases[] = {
        {FILE_OPEN, EMFILE, ST_IO}, {FILE_WRITE, ENOSPC, ST_FULL}, {FILE_RENAME, EIO, ST_IO}};
    for (size_t index = 0; index < COUNT_OF(cases); index++) {
        struct test_log log;
        test_log_init(&log, 2048);
        test_log_open(&log);
        const uint64_t before = test_log_append_durable(&log, 1500);
        fail_from_now(cases[index].operation, ".tmp", cases[index].os_errno);
        const uint64_t after = test_log_append(&log, 0, 0, 1500);
        ck_assert_int_eq(aof_wait_durable(log.aof, after), cases[index].health);
        ck_assert_uint_eq(aof_durable_lsn(log.aof), before);
        file_fault_clear();
        wait_for_health(&log, ST_OK);
        ck_assert_int_eq(aof_wait_durable(log.aof, after), ST_OK);
        test_log_close(&log);
        test_log_check_whole(&log);
        test_log_deinit(&log);
    }
}
END_TEST

static void check_failed_for_good(struct test_log *log, uint64_t durable_lsn)
{
    const uint64_t lsn = test_log_append(log, 0, 0, 100);
    ck_assert_int_eq(aof_wait_durable(log->aof, lsn), ST_CLOSED);
    ck_assert_int_eq(aof_health(log->aof), ST_CLOSED);
    ck_assert(!aof_has_room(log->aof));
    while (log->fatal_calls == 0) /* the hook comes after those who wait were woken */
        (void)usleep(500);
    ck_assert_int_eq(log->health, ST_CLOSED);
    /* The disk is well again: too late. */
    file_fault_clear();
    (void)test_log_append(log, 0, 0, 100);
    ck_assert_int_eq(aof_wait_durable(log->aof, aof_end_lsn(log->aof)), ST_CLOSED);
    ck_assert_uint_eq(aof_durable_lsn(log->aof), durable_lsn);
    ck_assert_uint_eq(log->durable_lsn, durable_lsn);
    test_log_close(log);
    ck_assert_uint_eq(log->durable_lsn, durable_lsn);
    ck_assert_uint_eq(log->fatal_calls, 1);
    const struct log_reading reading = test_log_read(log, 0, 0, NULL);
    ck_assert_int_eq(reading.status, ST_END);
    ck_assert_uint_ge(reading.tail.end_lsn, durable_lsn);
}

START_TEST(a_failed_fsync_is_final)
{
    for (int mode = AOF_SYNC_ALWAYS; mode <= AOF_SYNC_NO; mode++) {
        struct test_log log;
        test_log_init(&log, 64 * KiB);
        log.options.sync_mode = mode;
        test_log_open(&log);
        const uint64_t durable = test_log_append_durable(&log, 100);
        file_fault_add(&(struct file_fault){
            .operation = FILE_SYNC, .path_part = ".aof", .nth = 1, .os_errno = EIO});
        check_failed_for_good(&log, durable);
        test_log_deinit(&log);
    }
}
END_TEST

START_TEST(a_failed_fsync_at_rotation_is_final)
{
    for (int operation = FILE_SYNC; operation <= FILE_SYNC_DIR; operation++) {
        struct test_log log;
        test_log_init(&log, 2048);
        test_log_open(&log);
        const uint64_t durable = test_log_append_durable(&log, 1900);
        file_fault_add(&(struct file_fault){.operation = (enum file_operation)operation,
            .path_part = "",
            .nth = 1,
            .os_errno = EIO});
        check_failed_for_good(&log, durable);
        test_log_deinit(&log);
    }
}
END_TEST

START_TEST(a_segment_gets_its_name_after_all_before_it_is_durable)
{
    /* The old segment's sync, and that of the new one's first frame. */
    static const char *const paths[] = {"00000000000000000000.aof", "spare.aof.tmp"};
    for (size_t index = 0; index < COUNT_OF(paths); index++) {
        struct test_log log;
        test_log_init(&log, 2048);
        test_log_open(&log);
        (void)test_log_append(&log, 0, 0, 1900);
        test_log_wait_written(&log);
        ck_assert_uint_eq(aof_durable_lsn(log.aof), 0);
        fail_from_now(FILE_SYNC, paths[index], EIO);
        (void)test_log_append(&log, 0, 0, 1900);
        wait_for_health(&log, ST_CLOSED);
        struct test_names names;
        test_names_list(&log, ".aof", &names);
        ck_assert_uint_eq(names.count, 1);
        test_names_deinit(&names);
        ck_assert_uint_eq(aof_durable_lsn(log.aof), index == 0 ? 0 : log.items[0].lsn_after);
        file_fault_clear();
        test_log_deinit(&log);
    }
}
END_TEST

START_TEST(a_start_makes_the_old_segments_durable_or_fails)
{
    struct test_log log;
    test_log_init(&log, 2048);
    test_log_open(&log);
    for (size_t index = 0; index < 3; index++)
        (void)test_log_append_durable(&log, 1500);
    test_log_close(&log);
    struct test_names names;
    test_names_list(&log, ".aof", &names);
    ck_assert_uint_eq(names.count, 3);
    for (size_t index = 0; index < names.count; index++) {
        fail_from_now(FILE_SYNC, names.names[index], EIO);
        struct error error = {0};
        ck_assert_int_eq(test_log_try_open(&log, &error), ST_IO);
        ck_assert_ptr_nonnull(strstr(error.message, names.names[index]));
        file_fault_clear();
    }
    test_names_deinit(&names);
    test_log_open(&log);
    test_log_close(&log);
    test_log_check_whole(&log);
    test_log_deinit(&log);
}
END_TEST

START_TEST(a_close_with_a_full_disk_gives_up_after_a_try)
{
    struct test_log log;
    test_log_init(&log, 64 * KiB);
    test_log_open(&log);
    const uint64_t durable = test_log_append_durable(&log, 100);
    fail_from_now(FILE_WRITE, log.directory, ENOSPC);
    (void)test_log_append(&log, 0, 0, 100);
    test_log_close(&log);
    file_fault_clear();
    const struct log_reading reading = test_log_read(&log, 0, 0, NULL);
    ck_assert_int_eq(reading.status, ST_END);
    ck_assert_uint_eq(reading.tail.end_lsn, durable);
    test_log_open(&log);
    (void)test_log_append_durable(&log, 100);
    test_log_close(&log);
    test_log_check_whole(&log);
    test_log_deinit(&log);
}
END_TEST

START_TEST(no_room_for_a_spare_costs_nothing_but_speed)
{
    struct test_log log;
    test_log_init(&log, 2048);
    fail_from_now(FILE_ALLOCATE, "spare", ENOSPC);
    test_log_open(&log);
    ck_assert(!file_exists(test_log_path(&log, "spare.aof.tmp")));
    for (size_t index = 0; index < 30; index++)
        (void)test_log_append_durable(&log, 300);
    aof_release(log.aof, 0);
    ck_assert_int_eq(aof_health(log.aof), ST_OK);
    file_fault_clear();
    aof_release(log.aof, 0);
    ck_assert(file_exists(test_log_path(&log, "spare.aof.tmp")));
    test_log_close(&log);
    test_log_check_whole(&log);
    test_log_deinit(&log);
}
END_TEST

START_TEST(a_segment_that_cannot_be_removed_is_released_after_a_restart)
{
    struct test_log log;
    test_log_init(&log, 2048);
    test_log_open(&log);
    for (size_t index = 0; index < 30; index++)
        (void)test_log_append_durable(&log, 300);
    struct test_names names;
    test_names_list(&log, ".aof", &names);
    const uint64_t second = strtoull(names.names[1], NULL, 10);
    fail_from_now(FILE_UNLINK, ".aof", EIO);
    fail_from_now(FILE_RENAME, ".aof", EIO);
    aof_release(log.aof, second);
    file_fault_clear();
    ck_assert(file_exists(test_log_path(&log, names.names[0])));
    test_log_close(&log);
    test_log_check_whole(&log);
    test_log_open(&log);
    aof_release(log.aof, second);
    ck_assert(!file_exists(test_log_path(&log, names.names[0])));
    test_names_deinit(&names);
    test_log_deinit(&log);
}
END_TEST

TEST_GROUP(failure_group, a_full_disk_is_reported_and_survived,
    what_was_written_before_the_disk_filled_becomes_durable, room_ends_when_a_full_disk_lasts,
    a_rotation_that_fails_is_tried_again, a_failed_fsync_is_final,
    a_failed_fsync_at_rotation_is_final, a_segment_gets_its_name_after_all_before_it_is_durable,
    a_start_makes_the_old_segments_durable_or_fails, a_close_with_a_full_disk_gives_up_after_a_try,
    no_room_for_a_spare_costs_nothing_but_speed,
    a_segment_that_cannot_be_removed_is_released_after_a_restart)
