/*
 * value_reclaimer.c: a thread that frees large values, so that whoever deletes one under a stripe is done at once.
 *
 *   value_release() ──► [waiting] ──swap──► reclaimer's thread: destroys one after another
 *
 * A value is handed over if that costs less than to free it: an object of more than EFFORT_MAX allocations, a blob whose pages go back to the
 * kernel. Nobody refers to it any more, so its accounts were settled when it was released; what it shares with snapshots is counted and
 * outlives it. At most WAITING_MAX values wait; beyond, and while there is no thread, whoever releases frees.
 *
 * Concurrency: one lock, a leaf; nothing is freed under it.
 */
#include "base/check.h"
#include "base/mem.h"
#include "base/thread.h"
#include "value_internal.h"

#define EFFORT_MAX  ((uint64_t)64)
#define BLOB_MAX    ((size_t)MiB)
#define WAITING_MAX ((size_t)65536)

struct waiting {
    struct blob *blob;
    struct value_object *object;
};

static struct {
    struct mutex lock;
    struct condition arrived;
    struct thread thread; /* owned by: who starts and stops */
    bool has_lock;        /* owned by: the same */
    bool running;         /* guarded by: lock */
    struct waiting *waiting;
    size_t count;
    size_t capacity;
    _Atomic bool accepts;           /* atomic: a hint that spares others the lock */
    _Atomic uint64_t pending_count; /* atomic: relaxed; waiting or being freed */
    _Atomic uint64_t freed_count;   /* atomic: relaxed */
} reclaimer;

static bool is_worth_it(const struct value *value)
{
    if (value->blob != NULL)
        return value->blob->capacity >= BLOB_MAX;
    const struct value_object *const object = value->object;
    return object != NULL && object->class->effort != NULL &&
           object->class->effort(object) > EFFORT_MAX;
}

bool reclaimer_take(const struct value *value)
{
    if (!atomic_load_explicit(&reclaimer.accepts, memory_order_acquire) || !is_worth_it(value))
        return false;
    mutex_lock(&reclaimer.lock);
    const bool taken = reclaimer.running && reclaimer.count < WAITING_MAX;
    if (taken) {
        if (reclaimer.count == reclaimer.capacity) {
            reclaimer.capacity = reclaimer.capacity == 0 ? 16 : reclaimer.capacity * 2;
            reclaimer.waiting =
                mem_realloc(reclaimer.waiting, reclaimer.capacity * sizeof(*reclaimer.waiting));
        }
        reclaimer.waiting[reclaimer.count++] =
            (struct waiting){.blob = value->blob, .object = value->object};
        atomic_fetch_add_explicit(&reclaimer.pending_count, 1, memory_order_relaxed);
        if (reclaimer.count == 1)
            condition_signal(&reclaimer.arrived);
    }
    mutex_unlock(&reclaimer.lock);
    return taken;
}

/* Waits for values; false when there are none and there will be none. The array is the caller's to free. */
static bool take_all(struct waiting **values, size_t *count)
{
    mutex_lock(&reclaimer.lock);
    while (reclaimer.count == 0 && reclaimer.running)
        condition_wait(&reclaimer.arrived, &reclaimer.lock);
    *values = reclaimer.waiting;
    *count = reclaimer.count;
    reclaimer.waiting = NULL;
    reclaimer.count = 0;
    reclaimer.capacity = 0;
    mutex_unlock(&reclaimer.lock);
    return *count > 0;
}

static void reclaim(void *context)
{
    (void)context;
    struct waiting *values;
    size_t count;
    while (take_all(&values, &count)) {
        for (size_t index = 0; index < count; index++) {
            value_free(values[index].blob, values[index].object);
            atomic_fetch_add_explicit(&reclaimer.freed_count, 1, memory_order_relaxed);
            atomic_fetch_sub_explicit(&reclaimer.pending_count, 1, memory_order_relaxed);
        }
        mem_free(values);
    }
    mem_free(values);
}

void value_reclaimer_start(void)
{
    /* The lock is never destroyed: a thread that saw `accepts` just before a stop may still ask it. */
    if (!reclaimer.has_lock) {
        mutex_init(&reclaimer.lock, LOCK_RANK_LEAF);
        condition_init(&reclaimer.arrived);
        reclaimer.has_lock = true;
    }
    CHECK(!reclaimer.running);
    reclaimer.running = true;
    thread_start(&reclaimer.thread, "reclaimer", reclaim, NULL);
    /* Release pairs with the acquire in reclaimer_take(): the lock is there. */
    atomic_store_explicit(&reclaimer.accepts, true, memory_order_release);
}

void value_reclaimer_stop(void)
{
    if (!atomic_load_explicit(&reclaimer.accepts, memory_order_relaxed))
        return;
    atomic_store_explicit(&reclaimer.accepts, false, memory_order_release);
    mutex_lock(&reclaimer.lock);
    reclaimer.running = false;
    condition_signal(&reclaimer.arrived);
    mutex_unlock(&reclaimer.lock);
    thread_join(&reclaimer.thread);
}

void value_reclaimer_counts(uint64_t *pending_count, uint64_t *freed_count)
{
    *pending_count = atomic_load_explicit(&reclaimer.pending_count, memory_order_relaxed);
    *freed_count = atomic_load_explicit(&reclaimer.freed_count, memory_order_relaxed);
}

void value_reclaimer_counts_reset(void)
{
    atomic_store_explicit(&reclaimer.freed_count, 0, memory_order_relaxed);
}
