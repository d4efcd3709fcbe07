/*
 * test_cold_pool.c: jobs on the I/O threads, with a writer beside them.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "cold_internal.h"
#include "cold_support.h"

/* Counts jobs that are done. */
struct gate {
    struct mutex lock;
    struct condition changed;
    size_t done_count; /* guarded by: lock */
};

static void gate_init(struct gate *gate)
{
    *gate = (struct gate){0};
    mutex_init(&gate->lock, LOCK_RANK_LEAF);
    condition_init(&gate->changed);
}

static void gate_deinit(struct gate *gate)
{
    condition_deinit(&gate->changed);
    mutex_deinit(&gate->lock);
}

static void gate_pass(struct cold_job *job)
{
    struct gate *const gate = job->context;
    mutex_lock(&gate->lock);
    gate->done_count++;
    condition_signal(&gate->changed);
    mutex_unlock(&gate->lock);
}

static void gate_wait(struct gate *gate, size_t count)
{
    mutex_lock(&gate->lock);
    while (gate->done_count < count)
        condition_wait(&gate->changed, &gate->lock);
    gate->done_count = 0;
    mutex_unlock(&gate->lock);
}

enum { KEY_COUNT = 400 };

struct request {
    struct cold_job job;
    char name[24];
};

static void prepare(struct request *request, struct gate *gate, enum cold_job_kind kind,
    enum cold_priority priority, unsigned number)
{
    const int size = snprintf(request->name, sizeof(request->name), "key%u", number);
    request->job = (struct cold_job){
        .kind = kind,
        .priority = priority,
        .key = key_make(SPACE, request->name, (size_t)size),
        .done = gate_pass,
        .context = gate,
    };
}

static void put_version(struct cold *cold, unsigned version)
{
    struct cold_txn *const txn = must_begin(cold);
    for (unsigned index = 0; index < KEY_COUNT; index++) {
        const struct key key = key_numbered("key", index);
        /* Some inline, some of several chunks; every byte tells the version. */
        struct buf payload = {0};
        const size_t size = index % 20 == 0 ? 9000 : 100;
        memset(buf_reserve(&payload, size), (int)('a' + version % 26), size);
        payload.size = size;
        must_put(txn, &key, &raw_header, buf_slice(&payload));
        buf_deinit(&payload);
    }
    must_commit(txn);
}

START_TEST(jobs_of_all_kinds_and_priorities_are_done)
{
    struct tier tier;
    tier_open(&tier);
    put_version(tier.cold, 0);
    struct gate gate;
    gate_init(&gate);
    enum { COUNT = 1000 };
    struct request *const requests = mem_alloc_zero(COUNT * sizeof(*requests));
    struct cold_job *jobs[COUNT];
    for (unsigned index = 0; index < COUNT; index++) {
        prepare(&requests[index], &gate, index % 3 == 0 ? COLD_JOB_HEADER : COLD_JOB_VALUE,
            (enum cold_priority)(index % 3), index);
        jobs[index] = &requests[index].job;
    }
    cold_submit(tier.cold, jobs, COUNT);
    cold_submit(tier.cold, jobs, 0);
    gate_wait(&gate, COUNT);
    for (unsigned index = 0; index < COUNT; index++) {
        ck_assert_int_eq(jobs[index]->status, index < KEY_COUNT ? ST_OK : ST_NOT_FOUND);
        cold_job_deinit(jobs[index]);
    }
    struct cold_metrics metrics;
    cold_metrics_read(tier.cold, &metrics);
    ck_assert_uint_eq(metric_get(&metrics, queue_depth), 0);
    ck_assert_uint_eq(metric_get(&metrics, absent_count), COUNT - KEY_COUNT);
    ck_assert_uint_eq(
        metric_get(&metrics, read_count) + metric_get(&metrics, prefetch_read_count), KEY_COUNT);
    mem_free(requests);
    gate_deinit(&gate);
    tier_close(&tier);
}
END_TEST

struct reading {
    struct cold *cold;
    _Atomic unsigned
        committed; /* acquire/release: the version that a new read must at least show */
    _Atomic bool stop;
    _Atomic unsigned error_count;
};

static unsigned version_of(const struct cold_job *job, unsigned *error_count)
{
    char scratch[24];
    const struct slice bytes = value_string_bytes(&job->value, scratch);
    for (size_t index = 1; index < bytes.size; index++) {
        if (bytes.data[index] != bytes.data[0])
            (*error_count)++;
    }
    return (unsigned)(bytes.data[0] - 'a');
}

static void read_all_the_time(void *context)
{
    struct reading *const reading = context;
    struct gate gate;
    gate_init(&gate);
    struct request requests[40];
    struct cold_job *jobs[40];
    unsigned start = 0;
    unsigned error_count = 0;
    while (!atomic_load_explicit(&reading->stop, memory_order_relaxed)) {
        const unsigned least = atomic_load_explicit(&reading->committed, memory_order_acquire);
        for (unsigned index = 0; index < COUNT_OF(jobs); index++) {
            prepare(&requests[index], &gate, COLD_JOB_VALUE, COLD_DEMAND,
                (start + index * 7) % KEY_COUNT);
            jobs[index] = &requests[index].job;
        }
        start++;
        cold_submit(reading->cold, jobs, COUNT_OF(jobs));
        gate_wait(&gate, COUNT_OF(jobs));
        for (unsigned index = 0; index < COUNT_OF(jobs); index++) {
            if (jobs[index]->status != ST_OK || version_of(jobs[index], &error_count) < least)
                error_count++;
            cold_job_deinit(jobs[index]);
        }
    }
    atomic_fetch_add_explicit(&reading->error_count, error_count, memory_order_relaxed);
    gate_deinit(&gate);
}

START_TEST(readers_beside_a_writer_see_whole_and_recent_values)
{
    struct tier tier;
    tier_open(&tier);
    put_version(tier.cold, 0);
    struct reading reading = {.cold = tier.cold};
    struct thread readers[3] = {0};
    for (size_t index = 0; index < COUNT_OF(readers); index++)
        thread_start(&readers[index], "reader", read_all_the_time, &reading);
    for (unsigned version = 1; version < 20; version++) {
        put_version(tier.cold, version);
        atomic_store_explicit(&reading.committed, version, memory_order_release);
        reclaim_all(tier.cold, 1000);
        const enum status trimmed = cold_trim(tier.cold);
        ck_assert(trimmed == ST_OK || trimmed == ST_AGAIN);
    }
    atomic_store_explicit(&reading.stop, true, memory_order_relaxed);
    for (size_t index = 0; index < COUNT_OF(readers); index++)
        thread_join(&readers[index]);
    ck_assert_uint_eq(atomic_load(&reading.error_count), 0);
    tier_close(&tier);
}
END_TEST

START_TEST(trimming_gives_memory_back_and_keeps_everything)
{
    enum { COUNT = 1000, SIZE = 3000 };
    struct tier tier;
    tier_open(&tier);
    /* Where the allocator does not count what LMDB takes, this stays as it is. */
    const int64_t start = mem_thread_balance();
    struct buf payload = payload_random(SIZE, 1);
    struct cold_txn *const txn = must_begin(tier.cold);
    for (unsigned index = 0; index < COUNT; index++) {
        const struct key key = key_numbered("large", index);
        must_put(txn, &key, &raw_header, buf_slice(&payload));
    }
    must_commit(txn);
    const int64_t kept = mem_thread_balance() - start;
    ck_assert_int_eq(cold_trim(tier.cold), ST_OK);
    const int64_t left = mem_thread_balance() - start;
    ck_assert(kept < COUNT * SIZE / 2 || left < kept / 4);
    const struct key key = key_text("large500");
    assert_value(tier.cold, &key, buf_slice(&payload));
    put_version(tier.cold, 2);
    assert_value(tier.cold, &key, buf_slice(&payload));
    ck_assert_uint_eq(count_entries(tier.cold, 'k'), COUNT + KEY_COUNT);
    buf_deinit(&payload);
    tier_close(&tier);
}
END_TEST

START_TEST(trimming_waits_for_no_long_reader)
{
    struct tier tier;
    tier_open(&tier);
    put_version(tier.cold, 1);
    struct cold_reader *const reader = cold_reader_borrow(tier.cold);
    ck_assert_int_eq(cold_reader_begin(reader, NULL), ST_OK);
    ck_assert_int_eq(cold_trim(tier.cold), ST_AGAIN);
    cold_reader_end(reader);
    cold_reader_return(reader);
    ck_assert_int_eq(cold_trim(tier.cold), ST_OK);
    tier_close(&tier);
}
END_TEST

/* LMDB prints "-" for the transaction of a reader that holds no snapshot. */
static int note_active(const char *line, void *context)
{
    const size_t size = strlen(line);
    if (strstr(line, "txnid") == NULL && strstr(line, "(no active") == NULL && size > 2 &&
        line[size - 2] != '-')
        *(int *)context += 1;
    return 0;
}

START_TEST(no_snapshot_is_held_between_jobs)
{
    struct tier tier;
    tier_open(&tier);
    put_version(tier.cold, 0);
    struct gate gate;
    gate_init(&gate);
    static struct request requests[100];
    struct cold_job *jobs[100];
    for (unsigned index = 0; index < COUNT_OF(jobs); index++) {
        prepare(&requests[index], &gate, COLD_JOB_VALUE, COLD_DEMAND, index);
        jobs[index] = &requests[index].job;
    }
    cold_submit(tier.cold, jobs, COUNT_OF(jobs));
    gate_wait(&gate, COUNT_OF(jobs));
    int active = 0;
    (void)mdb_reader_list(tier.cold->env, note_active, &active);
    ck_assert_int_eq(active, 0);
    /* The check itself works. */
    struct cold_reader *const reader = cold_reader_borrow(tier.cold);
    ck_assert_int_eq(cold_reader_begin(reader, NULL), ST_OK);
    (void)mdb_reader_list(tier.cold->env, note_active, &active);
    ck_assert_int_eq(active, 1);
    cold_reader_end(reader);
    cold_reader_return(reader);
    for (unsigned index = 0; index < COUNT_OF(jobs); index++)
        cold_job_deinit(jobs[index]);
    gate_deinit(&gate);
    tier_close(&tier);
}
END_TEST

START_TEST(overwriting_does_not_grow_the_file)
{
    struct tier tier;
    tier_open(&tier);
    for (unsigned version = 0; version < 6; version++)
        put_version(tier.cold, version);
    struct cold_metrics metrics;
    cold_metrics_read(tier.cold, &metrics);
    const uint64_t before = metric_get(&metrics, file_bytes);
    for (unsigned version = 0; version < 30; version++)
        put_version(tier.cold, version);
    cold_metrics_read(tier.cold, &metrics);
    ck_assert_uint_le(metric_get(&metrics, file_bytes), before + before / 2);
    const uint64_t used = cold_used_bytes(tier.cold);
    cold_metrics_read(tier.cold, &metrics);
    ck_assert_uint_lt(used, metric_get(&metrics, file_bytes));
    ck_assert_uint_gt(metric_get(&metrics, free_bytes), 0);
    tier_close(&tier);
}
END_TEST

START_TEST(pretouching_is_harmless_and_ends)
{
    struct tier tier;
    tier_open(&tier);
    struct key keys[KEY_COUNT + 10];
    char names[KEY_COUNT + 10][24];
    for (unsigned index = 0; index < COUNT_OF(keys); index++) {
        const int size = snprintf(names[index], sizeof(names[0]), "key%04u", index);
        keys[index] = key_make(SPACE, names[index], (size_t)size);
    }
    cold_pretouch(tier.cold, keys, COUNT_OF(keys)); /* of an empty tier */
    struct cold_txn *const txn = must_begin(tier.cold);
    const struct cold_header header = header_expiring(1700000000000);
    for (unsigned index = 0; index < KEY_COUNT; index++)
        must_put(txn, &keys[index], &header, SLICE_LITERAL("v"));
    must_commit(txn);
    for (size_t count = 0; count <= COUNT_OF(keys); count += 41)
        cold_pretouch(tier.cold, keys, count);
    tier_close(&tier);
}
END_TEST

static void put_now(struct cold_txn *txn, unsigned number, const struct buf *payload)
{
    const struct key key = key_numbered("bench:", number);
    const struct cold_header header = raw_header;
    must_put(txn, &key, &header, slice_of(payload->data, payload->size));
}

/* No claim on time: the figures are for people. */
START_TEST(the_price_of_a_put_is_printed)
{
    enum { COUNT = 20000 };
    static const size_t sizes[] = {16, 100, 1024};
    struct tier tier;
    tier_open(&tier);
    for (size_t index = 0; index < COUNT_OF(sizes); index++) {
        struct buf payload = payload_text(sizes[index]);
        for (int round = 0; round < 2; round++) {
            struct cold_txn *const txn = must_begin(tier.cold);
            const uint64_t start_us = clock_thread_cpu_us();
            for (unsigned number = 100000; number < 100000 + COUNT; number++)
                put_now(txn, number, &payload);
            const uint64_t put_us = clock_thread_cpu_us() - start_us;
            must_commit(txn);
            printf("put %4zu bytes, %s: %.2f us, with commit %.2f us CPU each\n", sizes[index],
                round == 0 ? "first " : "again ", (double)put_us / COUNT,
                (double)(clock_thread_cpu_us() - start_us) / COUNT);
        }
        buf_deinit(&payload);
    }
    tier_close(&tier);
}
END_TEST

TEST_GROUP(pool_group, jobs_of_all_kinds_and_priorities_are_done,
    readers_beside_a_writer_see_whole_and_recent_values,
    trimming_gives_memory_back_and_keeps_everything, trimming_waits_for_no_long_reader,
    no_snapshot_is_held_between_jobs, overwriting_does_not_grow_the_file,
    pretouching_is_harmless_and_ends, the_price_of_a_put_is_printed)
