/*
 * cold_pool.c: the I/O threads.
 *
 *   cold_submit() ──► demand     ─┐
 *                 ──► prefetch   ─┼─► thread: take, renew the snapshot, read in key order, reset it, done() ...
 *                 ──► background ─┘
 *   cold_pretouch() ─► slices of keys (after demand, before prefetch: the checkpointer waits)
 *
 * (1) A snapshot is renewed after its jobs were dequeued: a job submitted after a commit sees that commit (H5).
 * (2) No snapshot outlives its batch: done() runs without one, so the file never grows for a slow receiver.
 * (3) A thread takes its fair share of a queue, not all of it: reads run in parallel even when few are waiting.
 *
 * The queues have no bound of their own: every job is embedded in something that its owner has bounded (I10).
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cold_internal.h"

#include <stdlib.h>
#include <sys/resource.h>

struct io_thread {
    struct cold *cold;
    struct cold_reader *reader;
    struct cold_job *jobs[COLD_JOBS_PER_TURN];
    size_t job_count;
    const struct key *touch_keys;
    size_t touch_count;
    size_t touch_stride;
};

/* --- queues -------------------------------------------------------------------------------------- */

static void queue_push(struct cold_queue *queue, struct message *message)
{
    message->next = NULL;
    if (queue->tail == NULL)
        queue->head = message;
    else
        queue->tail->next = message;
    queue->tail = message;
    queue->count++;
}

static struct cold_job *queue_pop(struct cold_queue *queue)
{
    struct message *const message = queue->head;
    CHECK(message != NULL);
    queue->head = message->next;
    if (queue->head == NULL)
        queue->tail = NULL;
    queue->count--;
    return CONTAINER_OF(message, struct cold_job, message);
}

static void wake(struct cold_pool *pool, size_t count)
{
    const size_t woken = count < pool->idle_count ? count : pool->idle_count;
    for (size_t index = 0; index < woken; index++)
        condition_signal(&pool->work);
}

void cold_submit(struct cold *cold, struct cold_job *const *jobs, size_t count)
{
    if (count == 0)
        return;
    const uint64_t now_us = clock_monotonic_us();
    struct cold_pool *const pool = &cold->pool;
    mutex_lock(&pool->lock);
    CHECK(!pool->stop);
    for (size_t index = 0; index < count; index++) {
        jobs[index]->submitted_us = now_us;
        queue_push(&pool->queues[jobs[index]->priority], &jobs[index]->message);
    }
    wake(pool, count);
    mutex_unlock(&pool->lock);
    metric_add(&cold->metrics, queue_depth, count);
}

/* --- a turn of a thread ---------------------------------------------------------------------------- */

static void take_jobs(struct io_thread *thread, struct cold_queue *queue)
{
    const size_t threads = thread->cold->pool.thread_count;
    size_t share = (queue->count + threads - 1) / threads;
    if (share > COLD_JOBS_PER_TURN)
        share = COLD_JOBS_PER_TURN;
    for (size_t index = 0; index < share; index++)
        thread->jobs[thread->job_count++] = queue_pop(queue);
}

static void take_touch(struct io_thread *thread)
{
    struct cold_pool *const pool = &thread->cold->pool;
    const size_t left = pool->touch_count - pool->touch_next;
    const size_t share = COLD_TOUCH_PER_TURN * pool->touch_stride;
    thread->touch_count = left < share ? left : share;
    thread->touch_keys = pool->touch_keys + pool->touch_next;
    thread->touch_stride = pool->touch_stride;
    pool->touch_next += thread->touch_count;
    pool->touch_active++;
}

/* False if there is nothing to do. Under the pool's lock. */
static bool take_work(struct io_thread *thread)
{
    struct cold_pool *const pool = &thread->cold->pool;
    thread->job_count = 0;
    thread->touch_count = 0;
    if (pool->queues[COLD_DEMAND].count > 0)
        take_jobs(thread, &pool->queues[COLD_DEMAND]);
    else if (pool->touch_next < pool->touch_count)
        take_touch(thread);
    else if (pool->queues[COLD_PREFETCH].count > 0)
        take_jobs(thread, &pool->queues[COLD_PREFETCH]);
    else if (pool->queues[COLD_BACKGROUND].count > 0)
        take_jobs(thread, &pool->queues[COLD_BACKGROUND]);
    return thread->job_count > 0 || thread->touch_count > 0;
}

static int compare_jobs(const void *left, const void *right)
{
    const struct cold_job *const a = *(struct cold_job *const *)left;
    const struct cold_job *const b = *(struct cold_job *const *)right;
    if (a->key.space != b->key.space)
        return a->key.space < b->key.space ? -1 : 1;
    return slice_compare(key_slice(&a->key), key_slice(&b->key));
}

static void count_time(struct cold *cold, uint64_t submitted_us, uint64_t now_us)
{
    const uint64_t took_us = now_us > submitted_us ? now_us - submitted_us : 0;
    metric_add(&cold->metrics, read_us_total, took_us);
    uint64_t longest = metric_get(&cold->metrics, read_us_max);
    while (
        took_us > longest && !atomic_compare_exchange_weak_explicit(&cold->metrics.read_us_max,
                                 &longest, took_us, memory_order_relaxed, memory_order_relaxed)) {
    }
}

static void run_jobs(struct io_thread *thread)
{
    struct cold *const cold = thread->cold;
    metric_sub(&cold->metrics, queue_depth, thread->job_count);
    if (thread->job_count > 1)
        qsort(thread->jobs, thread->job_count, sizeof(thread->jobs[0]), compare_jobs);
    const enum status status = cold_reader_begin(thread->reader, NULL);
    for (size_t index = 0; index < thread->job_count; index++) {
        if (status == ST_OK)
            cold_job_run(thread->reader, thread->jobs[index]);
        else
            thread->jobs[index]->status = status;
    }
    cold_reader_end(thread->reader);
    const uint64_t now_us = clock_monotonic_us();
    for (size_t index = 0; index < thread->job_count; index++) {
        struct cold_job *const job = thread->jobs[index];
        if (job->priority == COLD_DEMAND)
            count_time(cold, job->submitted_us, now_us);
        job->done(job); /* may free it */
    }
}

/* --- touching -------------------------------------------------------------------------------------- */

/* Reads what a put of the key will walk over: the leaf, the record's own page if it has one, its index entry. */
static void touch_key(struct cold_reader *reader, const struct key *key)
{
    struct cold *const cold = reader->cold;
    struct cold_key stored;
    cold_key_encode(cold->secret, key, &stored);
    MDB_val name = cold_key_val(&stored);
    MDB_val bytes;
    struct cold_record record;
    /* Keys in order: most lie on the page where the cursor is. */
    if (mdb_cursor_get(reader->cursor, &name, &bytes, MDB_SET_KEY) != MDB_SUCCESS ||
        cold_record_parse(cold_val_slice(bytes), &record) != ST_OK)
        return;
    const uint32_t minute = cold_expire_minute(cold_due_ms(&record.header));
    if (minute == 0)
        return;
    struct cold_index_key index;
    cold_index_key_encode(minute, cold_key_slice(&stored), &index);
    name = cold_val(index.bytes, index.size);
    (void)mdb_get(reader->txn, cold->expiry, &name, &bytes);
}

static void touch_guarded(void *context)
{
    const struct io_thread *const thread = context;
    struct cold_reader *const reader = thread->reader;
    if (cold_cursor_open(reader->txn, reader->cold->records, &reader->cursor) != MDB_SUCCESS)
        return;
    for (size_t index = 0; index < thread->touch_count; index += thread->touch_stride)
        touch_key(reader, &thread->touch_keys[index]);
}

/* Page faults of this thread that had to read. */
static size_t fault_count(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_THREAD, &usage) == 0 ? (size_t)usage.ru_majflt : 0;
}

static void run_touch(struct io_thread *thread)
{
    const size_t faults_before = fault_count();
    if (cold_reader_begin(thread->reader, NULL) == ST_OK) {
        /* A page that cannot be read will be reported by whoever needs it. */
        const enum cold_guard_result result =
            cold_guard_run(COLD_GUARD_READ, touch_guarded, thread);
        (void)result;
        cold_reader_drop(thread->reader);
        cold_reader_end(thread->reader);
    }
    struct cold_pool *const pool = &thread->cold->pool;
    const size_t faults = fault_count() - faults_before;
    mutex_lock(&pool->lock);
    pool->touch_faults += faults;
    pool->touch_active--;
    if (pool->touch_active == 0 && pool->touch_next == pool->touch_count)
        condition_signal(&pool->touch_end);
    mutex_unlock(&pool->lock);
}

/* The number of pages that had to be read. */
static size_t touch(struct cold_pool *pool, const struct key *keys, size_t count, size_t stride)
{
    mutex_lock(&pool->lock);
    CHECK(pool->touch_next == pool->touch_count);
    pool->touch_keys = keys;
    pool->touch_count = count;
    pool->touch_next = 0;
    pool->touch_stride = stride;
    pool->touch_faults = 0;
    const size_t share = COLD_TOUCH_PER_TURN * stride;
    wake(pool, (count + share - 1) / share);
    while (pool->touch_next < pool->touch_count || pool->touch_active > 0)
        condition_wait(&pool->touch_end, &pool->lock);
    pool->touch_keys = NULL;
    pool->touch_count = 0;
    pool->touch_next = 0;
    const size_t faults = pool->touch_faults;
    mutex_unlock(&pool->lock);
    return faults;
}

void cold_pretouch(struct cold *cold, const struct key *keys, size_t count)
{
    if (count == 0)
        return;
    CHECK_MAY_BLOCK();
    /* Where a sample finds nearly all pages in RAM, the others are not worth a descent each. */
    const size_t sample = count / COLD_TOUCH_STRIDE;
    if (sample >= COLD_TOUCH_STRIDE &&
        touch(&cold->pool, keys, count, COLD_TOUCH_STRIDE) < sample / 16)
        return;
    (void)touch(&cold->pool, keys, count, 1);
}

/* --- threads ---------------------------------------------------------------------------------------- */

static void io_main(void *context)
{
    struct cold *const cold = context;
    struct cold_pool *const pool = &cold->pool;
    mem_thread_uncached(); /* the workers free what is read here */
    struct io_thread thread = {.cold = cold, .reader = cold_reader_create(cold)};
    mutex_lock(&pool->lock);
    for (;;) {
        if (!take_work(&thread)) {
            if (pool->stop)
                break;
            pool->idle_count++;
            condition_wait(&pool->work, &pool->lock);
            pool->idle_count--;
            continue;
        }
        mutex_unlock(&pool->lock);
        if (thread.job_count > 0)
            run_jobs(&thread);
        else
            run_touch(&thread);
        mutex_lock(&pool->lock);
    }
    mutex_unlock(&pool->lock);
    cold_reader_destroy(thread.reader);
}

void cold_pool_start(struct cold *cold, size_t thread_count)
{
    struct cold_pool *const pool = &cold->pool;
    CHECK(thread_count > 0);
    pool->thread_count = thread_count;
    pool->threads = mem_alloc_zero(thread_count * sizeof(*pool->threads));
    for (size_t index = 0; index < thread_count; index++)
        thread_start(&pool->threads[index], "cold-io", io_main, cold);
}

void cold_pool_stop(struct cold *cold)
{
    struct cold_pool *const pool = &cold->pool;
    mutex_lock(&pool->lock);
    pool->stop = true;
    condition_broadcast(&pool->work);
    mutex_unlock(&pool->lock);
    for (size_t index = 0; index < pool->thread_count; index++)
        thread_join(&pool->threads[index]);
    mem_free(pool->threads);
    pool->threads = NULL;
    pool->thread_count = 0;
    for (size_t index = 0; index < COLD_PRIORITY_COUNT; index++)
        CHECK(pool->queues[index].count == 0);
}
