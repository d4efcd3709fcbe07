/*
 * test_aof_append.c: appending, group commit, what becomes durable when.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/thread.h"
#include "log_support.h"

#include <unistd.h>

static uint64_t metric_of_sync_count(const struct test_log *log)
{
    struct aof_metrics metrics;
    aof_metrics_read(log->aof, &metrics);
    return metric_get(&metrics, sync_count);
}

START_TEST(what_is_appended_is_read_back)
{
    struct test_log log;
    test_log_init(&log, 1 * MiB);
    test_log_open(&log);
    for (size_t index = 0; index < 1000; index++)
        (void)test_log_append(&log, 0, 0, ITEM_SIZE_MIN + index % 200);
    test_log_close(&log);
    test_log_check_whole(&log);
    test_log_deinit(&log);
}
END_TEST

START_TEST(an_append_returns_the_lsn_after_its_body)
{
    struct test_log log;
    test_log_init(&log, 1 * MiB);
    test_log_open(&log);
    ck_assert_uint_eq(aof_end_lsn(log.aof), 0);
    ck_assert_uint_eq(test_log_append(&log, 0, 0, 100), PREFIX_SIZE + 100);
    ck_assert_uint_eq(aof_end_lsn(log.aof), PREFIX_SIZE + 100);
    test_log_deinit(&log);
}
END_TEST

START_TEST(a_frame_begins_with_the_prefix_and_repeats_it_when_the_context_differs)
{
    struct test_log log;
    test_log_init(&log, 1 * MiB);
    test_log_open(&log);
    /* The reader of the model checks each prefix; whatever the borders of the frames are. */
    struct random random;
    test_random_init(&random);
    for (size_t index = 0; index < 2000; index++) {
        const uint32_t context = (uint32_t)random_below(&random, 3);
        (void)test_log_append(&log, context, (uint32_t)random_below(&random, 3), 40);
        if (random_below(&random, 50) == 0)
            (void)aof_cut(log.aof);
    }
    test_log_close(&log);
    test_log_check_whole(&log);
    test_log_deinit(&log);
}
END_TEST

START_TEST(an_append_is_never_split_over_frames)
{
    struct test_log log;
    test_log_init(&log, 8 * MiB);
    test_log_open(&log);
    /* Sizes around that of a group, so that many would have to be split. */
    for (size_t index = 0; index < 12; index++)
        (void)test_log_append(&log, 0, 0, 700 * 1024 + index * 60 * 1024);
    (void)test_log_append(&log, 0, 0, 5 * 1024 * 1024);
    (void)test_log_append(&log, 0, 0, 100);
    test_log_close(&log);
    test_log_check_whole(&log);
    test_log_deinit(&log);
}
END_TEST

START_TEST(frames_of_small_appends_stay_below_a_mebibyte)
{
    struct test_log log;
    test_log_init(&log, 8 * MiB);
    test_log_open(&log);
    /* While the log thread is held, all that follows would be one frame. */
    atomic_store_explicit(&log.is_held, true, memory_order_release);
    (void)test_log_append_durable(&log, 100);
    for (size_t index = 0; index < 300; index++)
        (void)test_log_append(&log, 0, 0, 10000);
    test_log_close(&log);
    struct buf frames = {0};
    const struct log_reading reading = test_log_read(&log, 0, 0, &frames);
    ck_assert_int_eq(reading.status, ST_END);
    ck_assert_uint_eq(reading.item_count, log.item_count);
    ck_assert_uint_ge(reading.frame_count, 4);
    uint64_t before = 0;
    for (size_t index = 0; index < reading.frame_count; index++) {
        uint64_t lsn;
        memcpy(&lsn, frames.data + index * sizeof(lsn), sizeof(lsn));
        ck_assert_uint_le(lsn - before, 1 * MiB);
        before = lsn;
    }
    buf_deinit(&frames);
    test_log_deinit(&log);
}
END_TEST

START_TEST(a_cut_makes_a_frame_begin_at_its_lsn)
{
    struct test_log log;
    test_log_init(&log, 2048);
    test_log_open(&log);
    uint64_t cuts[100];
    size_t items_before[100];
    for (size_t index = 0; index < COUNT_OF(cuts); index++) {
        (void)test_log_append(&log, 0, 0, 60);
        if (index % 3 == 0)
            (void)test_log_append(&log, 1, 1, 60);
        cuts[index] = aof_cut(log.aof);
        items_before[index] = log.item_count;
        ck_assert_uint_eq(cuts[index], aof_end_lsn(log.aof));
        ck_assert_uint_eq(cuts[index], aof_cut(log.aof));
    }
    test_log_close(&log);
    for (size_t index = 0; index < COUNT_OF(cuts); index++) {
        const struct log_reading reading =
            test_log_read(&log, cuts[index], items_before[index], NULL);
        ck_assert_msg(reading.status == ST_END, "%s", reading.error.message);
        ck_assert_uint_eq(reading.item_count, log.item_count - items_before[index]);
    }
    test_log_deinit(&log);
}
END_TEST

START_TEST(waiting_makes_durable_in_every_mode)
{
    for (int mode = AOF_SYNC_ALWAYS; mode <= AOF_SYNC_NO; mode++) {
        struct test_log log;
        test_log_init(&log, 64 * KiB);
        log.options.sync_mode = mode;
        test_log_open(&log);
        for (size_t index = 0; index < 20; index++) {
            const uint64_t lsn = test_log_append(&log, 0, 0, 100);
            ck_assert_int_eq(aof_wait_durable(log.aof, lsn), ST_OK);
            ck_assert_uint_eq(aof_durable_lsn(log.aof), lsn);
        }
        ck_assert_int_eq(aof_wait_durable(log.aof, 0), ST_OK);
        test_log_close(&log);
        ck_assert_uint_eq(log.durable_lsn, log.items[log.item_count - 1].lsn_after);
        test_log_check_whole(&log);
        test_log_deinit(&log);
    }
}
END_TEST

START_TEST(always_and_everysec_make_durable_without_being_asked)
{
    for (int mode = AOF_SYNC_ALWAYS; mode <= AOF_SYNC_EVERYSEC; mode++) {
        struct test_log log;
        test_log_init(&log, 64 * KiB);
        log.options.sync_mode = mode;
        test_log_open(&log);
        for (size_t index = 0; index < 3; index++) {
            const uint64_t lsn = test_log_append(&log, 0, 0, 100);
            while (aof_durable_lsn(log.aof) < lsn) /* the test's timeout is the failure */
                (void)usleep(500);
        }
        test_log_deinit(&log);
    }
}
END_TEST

START_TEST(mode_no_leaves_durability_to_the_kernel)
{
    struct test_log log;
    test_log_init(&log, 64 * KiB);
    test_log_open(&log);
    const uint64_t lsn = test_log_append(&log, 0, 0, 100);
    test_log_wait_written(&log);
    ck_assert_uint_eq(metric_of_sync_count(&log), 0);
    ck_assert_uint_eq(aof_durable_lsn(log.aof), 0);
    ck_assert_int_eq(aof_wait_durable(log.aof, lsn), ST_OK);
    ck_assert_uint_eq(metric_of_sync_count(&log), 1);
    test_log_deinit(&log);
}
END_TEST

START_TEST(leaving_a_mode_makes_durable_what_was_written_in_it)
{
    struct test_log log;
    test_log_init(&log, 64 * KiB);
    log.options.sync_mode = AOF_SYNC_EVERYSEC;
    clock_fake_set(1700000000000, 5000000); /* the second never ends */
    test_log_open(&log);
    const uint64_t lsn = test_log_append(&log, 0, 0, 100);
    test_log_wait_written(&log);
    ck_assert_uint_eq(aof_durable_lsn(log.aof), 0);
    OPTION_SET(&log.options, sync_mode, AOF_SYNC_NO);
    while (aof_durable_lsn(log.aof) < lsn)
        (void)usleep(500);
    clock_fake_set(0, 0);
    test_log_deinit(&log);
}
END_TEST

START_TEST(appends_go_on_while_the_log_thread_stands_and_room_ends)
{
    struct test_log log;
    test_log_init(&log, 64 * KiB);
    log.options.buffer_limit = (int64_t)(1 * MiB);
    test_log_open(&log);
    atomic_store_explicit(&log.is_held, true, memory_order_release);
    const uint64_t first = test_log_append(&log, 0, 0, 100);
    /* The hook holds the thread once D has moved. */
    ck_assert_int_eq(aof_wait_durable(log.aof, first), ST_OK);
    ck_assert(aof_has_room(log.aof));
    bool had_room = true;
    while (aof_end_lsn(log.aof) - first <= 1 * MiB) {
        had_room = had_room && aof_has_room(log.aof);
        (void)test_log_append(&log, 0, 0, 10000);
    }
    ck_assert(had_room);
    ck_assert(!aof_has_room(log.aof));
    (void)test_log_append(&log, 0, 0, 10000); /* accepted all the same */
    ck_assert_int_eq(aof_health(log.aof), ST_OK);
    atomic_store_explicit(&log.is_held, false, memory_order_release);
    ck_assert_int_eq(aof_wait_durable(log.aof, aof_end_lsn(log.aof)), ST_OK);
    ck_assert(aof_has_room(log.aof));
    test_log_close(&log);
    test_log_check_whole(&log);
    test_log_deinit(&log);
}
END_TEST

START_TEST(a_sync_is_late_after_two_seconds_in_everysec_only)
{
    struct test_log log;
    test_log_init(&log, 64 * KiB);
    log.options.sync_mode = AOF_SYNC_EVERYSEC;
    clock_fake_set(1700000000000, 5000000);
    test_log_open(&log);
    ck_assert(!aof_sync_is_late(log.aof));
    atomic_store_explicit(&log.is_held, true, memory_order_release);
    ck_assert_int_eq(aof_wait_durable(log.aof, test_log_append(&log, 0, 0, 100)), ST_OK);
    clock_fake_advance(60000);
    ck_assert_msg(!aof_sync_is_late(log.aof), "nothing waits");
    const uint64_t lsn = test_log_append(&log, 0, 0, 100);
    ck_assert(!aof_sync_is_late(log.aof));
    clock_fake_advance(2000);
    ck_assert(!aof_sync_is_late(log.aof));
    clock_fake_advance(1);
    ck_assert(aof_sync_is_late(log.aof));
    OPTION_SET(&log.options, sync_mode, AOF_SYNC_ALWAYS);
    ck_assert(!aof_sync_is_late(log.aof));
    OPTION_SET(&log.options, sync_mode, AOF_SYNC_EVERYSEC);
    atomic_store_explicit(&log.is_held, false, memory_order_release);
    ck_assert_int_eq(aof_wait_durable(log.aof, lsn), ST_OK);
    ck_assert(!aof_sync_is_late(log.aof));
    struct aof_metrics metrics;
    aof_metrics_read(log.aof, &metrics);
    ck_assert_uint_eq(metric_get(&metrics, delayed_sync_count), 1);
    clock_fake_set(0, 0);
    test_log_deinit(&log);
}
END_TEST

START_TEST(a_thread_that_may_not_block_can_append)
{
    /* The appender is a worker, which may not block: any file operation or wait in append, cut or the figures would abort. */
    struct test_log log;
    test_log_init(&log, 64 * KiB);
    test_log_open(&log);
    thread_forbid_blocking();
    for (size_t index = 0; index < 100; index++)
        (void)test_log_append(&log, 0, 0, 5000);
    (void)aof_cut(log.aof);
    struct aof_metrics metrics;
    aof_metrics_read(log.aof, &metrics);
    ck_assert_int_eq(aof_health(log.aof), ST_OK);
    thread_allow_blocking();
    test_log_close(&log);
    test_log_check_whole(&log);
    test_log_deinit(&log);
}
END_TEST

START_TEST(figures_add_up)
{
    struct test_log log;
    test_log_init(&log, 4096);
    test_log_open(&log);
    for (size_t index = 0; index < 50; index++)
        (void)test_log_append_durable(&log, 300);
    struct aof_metrics metrics;
    aof_metrics_read(log.aof, &metrics);
    ck_assert_uint_eq(metric_get(&metrics, appended_bytes), 50 * (PREFIX_SIZE + 300));
    ck_assert_uint_eq(metric_get(&metrics, pending_bytes), 0);
    ck_assert_uint_eq(metric_get(&metrics, frame_count), 50);
    ck_assert_uint_ge(metric_get(&metrics, sync_count), 50);
    ck_assert_uint_gt(metric_get(&metrics, written_bytes), metric_get(&metrics, appended_bytes));
    ck_assert_uint_eq(metric_get(&metrics, write_error_count), 0);
    struct test_names names;
    test_names_list(&log, ".aof", &names);
    ck_assert_uint_gt(names.count, 3);
    ck_assert_uint_eq(metric_get(&metrics, segment_count), names.count);
    uint64_t bytes = 0;
    struct buf content = {0};
    for (size_t index = 0; index < names.count; index++) {
        test_file_read(test_log_path(&log, names.names[index]), &content);
        bytes += content.size;
    }
    ck_assert_uint_ge(bytes, metric_get(&metrics, file_bytes));
    ck_assert_uint_le(bytes, metric_get(&metrics, file_bytes) + 16); /* zeros at the end */
    buf_deinit(&content);
    test_names_deinit(&names);
    test_log_deinit(&log);
}
END_TEST

START_TEST(random_histories_read_back_whole)
{
    struct random random;
    test_random_init(&random);
    for (int round = 0; round < 20; round++) {
        struct test_log log;
        test_log_init(&log, 512 + random_below(&random, 8000));
        test_log_open(&log);
        for (int step = 0; step < 300; step++) {
            const uint64_t choice = random_below(&random, 100);
            if (choice < 80) {
                const size_t size = choice == 0 ? 20000 : 20 + (size_t)random_below(&random, 300);
                (void)test_log_append(&log, (uint32_t)random_below(&random, 2),
                    (uint32_t)random_below(&random, 2), size);
            } else if (choice < 88) {
                (void)aof_cut(log.aof);
            } else if (choice < 94) {
                const uint64_t lsn =
                    log.item_count == 0
                        ? 0
                        : log.items[random_below(&random, log.item_count)].lsn_after;
                ck_assert_int_eq(aof_wait_durable(log.aof, lsn), ST_OK);
            } else if (choice < 96) {
                OPTION_SET(&log.options, sync_mode, (int64_t)random_below(&random, 3));
            } else if (choice < 98) {
                test_log_wait_written(&log);
            } else {
                const size_t items = log.item_count;
                test_log_close(&log);
                test_log_open(&log);
                ck_assert_uint_eq(log.item_count, items);
                ck_assert_uint_eq(aof_durable_lsn(log.aof), aof_end_lsn(log.aof));
            }
        }
        test_log_close(&log);
        test_log_check_whole(&log);
        test_log_deinit(&log);
    }
}
END_TEST

TEST_GROUP(append_group, what_is_appended_is_read_back, an_append_returns_the_lsn_after_its_body,
    a_frame_begins_with_the_prefix_and_repeats_it_when_the_context_differs,
    an_append_is_never_split_over_frames, frames_of_small_appends_stay_below_a_mebibyte,
    a_cut_makes_a_frame_begin_at_its_lsn, waiting_makes_durable_in_every_mode,
    always_and_everysec_make_durable_without_being_asked, mode_no_leaves_durability_to_the_kernel,
    leaving_a_mode_makes_durable_what_was_written_in_it,
    appends_go_on_while_the_log_thread_stands_and_room_ends,
    a_sync_is_late_after_two_seconds_in_everysec_only, a_thread_that_may_not_block_can_append,
    figures_add_up, random_histories_read_back_whole)
