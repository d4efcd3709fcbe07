/*
 * thread.c: pthreads with names, blocked signals, and locks whose order is checked.
 *
 * In debug builds every thread keeps the list of locks it holds. A lock may be taken only if its rank is above
 * all of them; stripes of the hot tier may be taken several at a time. A try-lock never waits, so it
 * is free of the order, but is kept in the list like the others.
 */
#include "base/thread.h"

#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <signal.h>

static void check_pthread(int error)
{
    CHECK(error == 0);
}

#ifdef KELVIN_DEBUG

enum { HELD_MAX = 1100 }; /* all stripes and then some */

static _Thread_local const struct mutex *held[HELD_MAX];
static _Thread_local size_t held_count;

static void check_not_held(const struct mutex *mutex)
{
    for (size_t index = 0; index < held_count; index++)
        CHECK(held[index] != mutex);
}

static void check_order(const struct mutex *mutex)
{
    for (size_t index = 0; index < held_count; index++) {
        if (held[index]->rank == LOCK_RANK_STRIPE && mutex->rank == LOCK_RANK_STRIPE)
            continue;
        CHECK(held[index]->rank < mutex->rank);
    }
}

static void remember(const struct mutex *mutex)
{
    CHECK(held_count < HELD_MAX);
    held[held_count++] = mutex;
}

static void forget(const struct mutex *mutex)
{
    for (size_t index = held_count; index-- > 0;) {
        if (held[index] == mutex) {
            held[index] = held[--held_count];
            return;
        }
    }
    UNREACHABLE("a lock is given back by a thread that does not hold it");
}

static void check_held(const struct mutex *mutex)
{
    for (size_t index = 0; index < held_count; index++) {
        if (held[index] == mutex)
            return;
    }
    UNREACHABLE("waiting with a lock that is not held");
}

#else

static void check_not_held(const struct mutex *mutex)
{
    (void)mutex;
}
static void check_order(const struct mutex *mutex)
{
    (void)mutex;
}
static void remember(const struct mutex *mutex)
{
    (void)mutex;
}
static void forget(const struct mutex *mutex)
{
    (void)mutex;
}
static void check_held(const struct mutex *mutex)
{
    (void)mutex;
}

#endif

void mutex_init(struct mutex *mutex, enum lock_rank rank)
{
    /* Adaptive: critical sections are short, so spinning a moment beats a sleep. */
    pthread_mutexattr_t attributes;
    check_pthread(pthread_mutexattr_init(&attributes));
    check_pthread(pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP));
    check_pthread(pthread_mutex_init(&mutex->handle, &attributes));
    check_pthread(pthread_mutexattr_destroy(&attributes));
    mutex->rank = rank;
}

void mutex_deinit(struct mutex *mutex)
{
    check_pthread(pthread_mutex_destroy(&mutex->handle));
}

void mutex_lock(struct mutex *mutex) NO_THREAD_SAFETY_ANALYSIS
{
    check_not_held(mutex);
    check_order(mutex);
    check_pthread(pthread_mutex_lock(&mutex->handle));
    remember(mutex);
}

bool mutex_try_lock(struct mutex *mutex) NO_THREAD_SAFETY_ANALYSIS
{
    check_not_held(mutex);
    const int error = pthread_mutex_trylock(&mutex->handle);
    if (error == EBUSY)
        return false;
    check_pthread(error);
    remember(mutex);
    return true;
}

void mutex_unlock(struct mutex *mutex) NO_THREAD_SAFETY_ANALYSIS
{
    forget(mutex);
    check_pthread(pthread_mutex_unlock(&mutex->handle));
}

void condition_init(struct condition *condition)
{
    pthread_condattr_t attributes;
    check_pthread(pthread_condattr_init(&attributes));
    check_pthread(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC));
    check_pthread(pthread_cond_init(&condition->handle, &attributes));
    check_pthread(pthread_condattr_destroy(&attributes));
}

void condition_deinit(struct condition *condition)
{
    check_pthread(pthread_cond_destroy(&condition->handle));
}

void condition_wait(struct condition *condition, struct mutex *mutex)
{
    check_held(mutex);
    check_pthread(pthread_cond_wait(&condition->handle, &mutex->handle));
}

bool condition_wait_ms(struct condition *condition, struct mutex *mutex, uint64_t timeout_ms)
{
    check_held(mutex);
    /* The kernel's own clock, never the fake of clock.h: a test that freezes time must not hang. */
    struct timespec deadline;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &deadline) == 0);
    const uint64_t year_ms = (uint64_t)365 * 24 * 3600 * 1000;
    if (timeout_ms > year_ms)
        timeout_ms = year_ms;
    deadline.tv_sec += (time_t)(timeout_ms / 1000);
    deadline.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    const int error = pthread_cond_timedwait(&condition->handle, &mutex->handle, &deadline);
    if (error == ETIMEDOUT)
        return false;
    check_pthread(error);
    return true;
}

void condition_signal(struct condition *condition)
{
    check_pthread(pthread_cond_signal(&condition->handle));
}

void condition_broadcast(struct condition *condition)
{
    check_pthread(pthread_cond_broadcast(&condition->handle));
}

/* What a new thread needs to begin; it frees it. */
struct start {
    thread_main_fn run;
    void *context;
    char name[16];
};

static void *thread_begin(void *argument)
{
    struct start start = *(struct start *)argument;
    mem_free(argument);
    (void)pthread_setname_np(pthread_self(), start.name);
    start.run(start.context);
    return NULL;
}

/* All but those that a fault of the thread itself raises, which a crash handler wants to see. */
static void block_signals(sigset_t *old)
{
    sigset_t blocked;
    sigfillset(&blocked);
    const int own_faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    for (size_t index = 0; index < COUNT_OF(own_faults); index++)
        sigdelset(&blocked, own_faults[index]);
    check_pthread(pthread_sigmask(SIG_SETMASK, &blocked, old));
}

void thread_start(struct thread *thread, const char *name, thread_main_fn run, void *context)
{
    struct start *start = mem_alloc_zero(sizeof(*start));
    CHECK(strlen(name) < sizeof(start->name));
    start->run = run;
    start->context = context;
    memcpy(start->name, name, strlen(name) + 1);
    sigset_t old;
    block_signals(&old);
    check_pthread(pthread_create(&thread->handle, NULL, thread_begin, start));
    check_pthread(pthread_sigmask(SIG_SETMASK, &old, NULL));
    thread->running = true;
}

void thread_join(struct thread *thread)
{
    if (!thread->running)
        return;
    check_pthread(pthread_join(thread->handle, NULL));
    thread->running = false;
}

static _Thread_local bool blocking_forbidden;

void thread_forbid_blocking(void)
{
    blocking_forbidden = true;
}

void thread_allow_blocking(void)
{
    blocking_forbidden = false;
}

bool thread_may_block(void)
{
    return !blocking_forbidden;
}
