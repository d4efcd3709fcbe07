/*
 * test_aof_threads.c: several threads append while others cut, wait, release and look. For ThreadSanitizer.
 */
#include "base/check.h"
#include "base/mem.h"
#include "base/thread.h"
#include "log_support.h"

enum { APPENDER_COUNT = 4, APPENDS = 1500, RECORD_SIZE = 32 };

struct appender {
    struct test_log *log;
    struct thread thread;
    unsigned number;
    uint64_t lsns[APPENDS]; /* after each append */
};

/* "<appender> <sequence>" in records of one size, so that the stream is cut by counting. */
static void append_records(void *context)
{
    struct appender *const appender = context;
    for (unsigned sequence = 0; sequence < APPENDS; sequence++) {
        char body[RECORD_SIZE + 1];
        (void)snprintf(
            body, sizeof(body), "%08u %08u%*s", appender->number, sequence, RECORD_SIZE - 17, "");
        const struct aof_append append = {.body = slice_of(body, RECORD_SIZE)};
        const uint64_t lsn = aof_append(appender->log->aof, &append);
        appender->lsns[sequence] = lsn;
        if (sequence % 100 == 0)
            CHECK(aof_wait_durable(appender->log->aof, lsn) == ST_OK);
    }
}

struct observer {
    struct test_log *log;
    struct thread thread;
    _Atomic bool must_stop;
};

static void observe(void *context)
{
    struct observer *const observer = context;
    struct aof *const aof = observer->log->aof;
    while (!atomic_load_explicit(&observer->must_stop, memory_order_acquire)) {
        const uint64_t durable = aof_durable_lsn(aof);
        const uint64_t cut = aof_cut(aof);
        CHECK(durable <= cut);
        CHECK(cut <= aof_end_lsn(aof));
        CHECK(aof_health(aof) == ST_OK);
        (void)aof_has_room(aof);
        (void)aof_sync_is_late(aof);
        struct aof_metrics metrics;
        aof_metrics_read(aof, &metrics);
        CHECK(aof_wait_durable(aof, cut) == ST_OK);
        CHECK(aof_durable_lsn(aof) >= cut);
        OPTION_SET(&observer->log->options, sync_mode, (int64_t)(cut / 7 % 3));
        aof_release(aof, 0); /* keeps all segments, makes the spare */
    }
}

/* Every record of the log lies where its append said, and the log holds nothing else. */
static void check_records(const struct test_log *log, const struct appender *appenders)
{
    struct aof_reader *reader = NULL;
    struct error error;
    ck_assert_int_eq(aof_reader_open(log->directory, log->store_id, 0, &reader, &error), ST_OK);
    unsigned next[APPENDER_COUNT] = {0};
    struct aof_frame frame;
    enum status status;
    while ((status = aof_reader_next(reader, &frame, &error)) == ST_OK) {
        ck_assert_uint_eq(frame.payload.size % RECORD_SIZE, 0);
        for (size_t at = 0; at < frame.payload.size; at += RECORD_SIZE) {
            const unsigned long number = strtoul(frame.payload.data + at, NULL, 10);
            const unsigned long sequence = strtoul(frame.payload.data + at + 9, NULL, 10);
            ck_assert_uint_lt(number, APPENDER_COUNT);
            ck_assert_uint_eq(sequence, next[number]);
            ck_assert_uint_eq(appenders[number].lsns[sequence], frame.lsn + at + RECORD_SIZE);
            next[number]++;
        }
    }
    ck_assert_int_eq(status, ST_END);
    for (unsigned number = 0; number < APPENDER_COUNT; number++)
        ck_assert_uint_eq(next[number], APPENDS);
    aof_reader_close(reader);
}

START_TEST(what_several_threads_append_is_whole_and_in_their_order)
{
    struct test_log log;
    test_log_init(&log, 16 * KiB);
    log.options.sync_mode = AOF_SYNC_ALWAYS;
    test_log_open(&log);
    struct observer observer = {.log = &log};
    thread_start(&observer.thread, "observer", observe, &observer);
    struct appender *const appenders = mem_alloc_zero(APPENDER_COUNT * sizeof(*appenders));
    for (unsigned number = 0; number < APPENDER_COUNT; number++) {
        appenders[number].log = &log;
        appenders[number].number = number;
        thread_start(&appenders[number].thread, "appender", append_records, &appenders[number]);
    }
    for (unsigned number = 0; number < APPENDER_COUNT; number++)
        thread_join(&appenders[number].thread);
    atomic_store_explicit(&observer.must_stop, true, memory_order_release);
    thread_join(&observer.thread);
    test_log_close(&log);
    check_records(&log, appenders);
    mem_free(appenders);
    test_log_deinit(&log);
}
END_TEST

TEST_GROUP(threads_group, what_several_threads_append_is_whole_and_in_their_order)
