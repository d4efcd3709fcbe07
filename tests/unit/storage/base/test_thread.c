/*
 * test_thread.c: locks exclude and keep their order, conditions wake, threads are as promised.
 */
#include "base/check.h"
#include "base/thread.h"
#include "test_main.h"

#include <signal.h>

enum { ROUNDS = 20000, ADDERS = 4 };

struct shared {
    struct mutex lock;
    struct condition changed;
    uint64_t count; /* guarded by: lock */
};

static void add_many(void *context)
{
    struct shared *const shared = context;
    for (int round = 0; round < ROUNDS; round++) {
        mutex_lock(&shared->lock);
        shared->count++;
        mutex_unlock(&shared->lock);
    }
}

START_TEST(a_mutex_excludes)
{
    struct shared shared = {0};
    struct thread threads[ADDERS] = {0};
    mutex_init(&shared.lock, LOCK_RANK_LEAF);
    for (size_t index = 0; index < ADDERS; index++)
        thread_start(&threads[index], "adder", add_many, &shared);
    for (size_t index = 0; index < ADDERS; index++)
        thread_join(&threads[index]);
    ck_assert_uint_eq(shared.count, ADDERS * ROUNDS);
    mutex_deinit(&shared.lock);
}
END_TEST

static void add_and_signal(void *context)
{
    struct shared *const shared = context;
    mutex_lock(&shared->lock);
    shared->count++;
    condition_signal(&shared->changed);
    mutex_unlock(&shared->lock);
}

START_TEST(a_condition_wakes_who_waits)
{
    struct shared shared = {0};
    struct thread thread = {0};
    mutex_init(&shared.lock, LOCK_RANK_LEAF);
    condition_init(&shared.changed);
    thread_start(&thread, "signaller", add_and_signal, &shared);
    mutex_lock(&shared.lock);
    while (shared.count == 0)
        condition_wait(&shared.changed, &shared.lock);
    mutex_unlock(&shared.lock);
    thread_join(&thread);
    condition_deinit(&shared.changed);
    mutex_deinit(&shared.lock);
}
END_TEST

START_TEST(a_timed_wait_ends_by_itself)
{
    struct shared shared = {0};
    mutex_init(&shared.lock, LOCK_RANK_LEAF);
    condition_init(&shared.changed);
    mutex_lock(&shared.lock);
    while (condition_wait_ms(&shared.changed, &shared.lock, 1)) {
    }
    while (condition_wait_ms(&shared.changed, &shared.lock, 0)) {
    }
    mutex_unlock(&shared.lock);
    condition_deinit(&shared.changed);
    mutex_deinit(&shared.lock);
}
END_TEST

START_TEST(a_timed_wait_is_woken_before_its_time)
{
    struct shared shared = {0};
    struct thread thread = {0};
    bool in_time = true;
    mutex_init(&shared.lock, LOCK_RANK_LEAF);
    condition_init(&shared.changed);
    mutex_lock(&shared.lock);
    thread_start(&thread, "signaller", add_and_signal, &shared);
    while (shared.count == 0 && in_time)
        in_time = condition_wait_ms(&shared.changed, &shared.lock, UINT64_MAX);
    ck_assert(in_time);
    mutex_unlock(&shared.lock);
    thread_join(&thread);
    condition_deinit(&shared.changed);
    mutex_deinit(&shared.lock);
}
END_TEST

static void try_it(void *context) NO_THREAD_SAFETY_ANALYSIS
{
    struct shared *const shared = context;
    if (mutex_try_lock(&shared->lock)) {
        shared->count++;
        mutex_unlock(&shared->lock);
    }
}

START_TEST(try_lock_gives_up_when_the_lock_is_taken)
{
    struct shared shared = {0};
    struct thread thread = {0};
    mutex_init(&shared.lock, LOCK_RANK_LEAF);
    mutex_lock(&shared.lock);
    thread_start(&thread, "trier", try_it, &shared);
    thread_join(&thread);
    ck_assert_uint_eq(shared.count, 0);
    mutex_unlock(&shared.lock);
    thread_start(&thread, "trier", try_it, &shared);
    thread_join(&thread);
    ck_assert_uint_eq(shared.count, 1);
    mutex_deinit(&shared.lock);
}
END_TEST

/* What a thread finds out about itself. */
struct self {
    char name[16];
    bool term_blocked;
    bool segv_blocked;
    bool may_block;
};

static void look_at_self(void *context)
{
    struct self *const self = context;
    sigset_t blocked;
    (void)pthread_getname_np(pthread_self(), self->name, sizeof(self->name));
    (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    self->term_blocked = sigismember(&blocked, SIGTERM) == 1;
    self->segv_blocked = sigismember(&blocked, SIGSEGV) == 1;
    self->may_block = thread_may_block();
}

START_TEST(a_thread_has_its_name_and_leaves_signals_to_main)
{
    struct self self = {0};
    struct thread thread = {0};
    sigset_t mine;
    thread_start(&thread, "fifteen-letters", look_at_self, &self);
    ck_assert(thread.running);
    thread_join(&thread);
    ck_assert(!thread.running);
    thread_join(&thread); /* a thread that is not running: nothing */
    ck_assert_str_eq(self.name, "fifteen-letters");
    ck_assert(self.term_blocked);
    ck_assert(!self.segv_blocked);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mine);
    ck_assert_int_eq(sigismember(&mine, SIGTERM), 0);
}
END_TEST

static void check_may_block(void *context)
{
    (void)context;
    CHECK_MAY_BLOCK();
}

START_TEST(a_thread_that_must_not_wait_is_found_out)
{
    struct self self = {0};
    struct thread thread = {0};
    ck_assert(thread_may_block());
    thread_forbid_blocking();
    ck_assert(!thread_may_block());
    ck_assert(test_aborts(check_may_block, NULL));
    thread_start(&thread, "other", look_at_self, &self);
    thread_join(&thread);
    ck_assert(self.may_block); /* said for one thread alone */
    thread_allow_blocking();
    ck_assert(thread_may_block());
}
END_TEST

#ifndef KELVIN_DEBUG
#    define RANK_TESTS
#else
#    define RANK_TESTS \
        locks_are_taken_in_ascending_rank, all_stripes_can_be_held_at_once, misuse_of_a_lock_aborts,

struct pair {
    struct mutex first;
    struct mutex second;
};

static void lock_both(void *context) NO_THREAD_SAFETY_ANALYSIS
{
    struct pair *const pair = context;
    mutex_lock(&pair->first);
    mutex_lock(&pair->second);
    mutex_unlock(&pair->first);
    mutex_unlock(&pair->second);
}

static bool order_is_refused(enum lock_rank first, enum lock_rank second)
{
    struct pair pair;
    mutex_init(&pair.first, first);
    mutex_init(&pair.second, second);
    const bool refused = test_aborts(lock_both, &pair);
    mutex_deinit(&pair.first);
    mutex_deinit(&pair.second);
    return refused;
}

START_TEST(locks_are_taken_in_ascending_rank)
{
    ck_assert(!order_is_refused(LOCK_RANK_STRIPE, LOCK_RANK_LOG));
    ck_assert(order_is_refused(LOCK_RANK_LOG, LOCK_RANK_STRIPE));
    ck_assert(order_is_refused(LOCK_RANK_LOG, LOCK_RANK_LOG));
    ck_assert(!order_is_refused(LOCK_RANK_STRIPE, LOCK_RANK_STRIPE));
}
END_TEST

static void lock_stripes(void *context) NO_THREAD_SAFETY_ANALYSIS
{
    struct mutex *const stripes = context;
    for (size_t index = 0; index < 256; index++)
        mutex_lock(&stripes[index]);
    for (size_t index = 0; index < 256; index++)
        mutex_unlock(&stripes[index]);
}

START_TEST(all_stripes_can_be_held_at_once)
{
    static struct mutex stripes[256];
    for (size_t index = 0; index < 256; index++)
        mutex_init(&stripes[index], LOCK_RANK_STRIPE);
    ck_assert(!test_aborts(lock_stripes, stripes));
    for (size_t index = 0; index < 256; index++)
        mutex_deinit(&stripes[index]);
}
END_TEST

static void lock_twice(void *context) NO_THREAD_SAFETY_ANALYSIS
{
    mutex_lock(context);
    mutex_lock(context);
}

static void unlock_unheld(void *context) NO_THREAD_SAFETY_ANALYSIS
{
    mutex_unlock(context);
}

START_TEST(misuse_of_a_lock_aborts)
{
    struct mutex mutex;
    mutex_init(&mutex, LOCK_RANK_STRIPE);
    ck_assert(test_aborts(lock_twice, &mutex));
    ck_assert(test_aborts(unlock_unheld, &mutex));
    mutex_deinit(&mutex);
}
END_TEST

#endif

TEST_GROUP(thread_group, a_mutex_excludes, a_condition_wakes_who_waits, a_timed_wait_ends_by_itself,
    RANK_TESTS a_timed_wait_is_woken_before_its_time, try_lock_gives_up_when_the_lock_is_taken,
    a_thread_has_its_name_and_leaves_signals_to_main, a_thread_that_must_not_wait_is_found_out)

void mailbox_group(TCase *tests);
void ring_group(TCase *tests);
void thread_group(TCase *tests);

TEST_MAIN_GROUPS("base.thread", thread_group, mailbox_group, ring_group)
