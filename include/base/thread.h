/*
 * thread.h: threads, ranked locks, and the message queues between threads.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include "base/compiler.h"
#include "base/status.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Locks are taken in ascending rank; two locks of the same rank only where the rank says so (stripes,
 * in ascending index). Debug builds keep the ranks a thread holds and assert.
 */
enum lock_rank {
    LOCK_RANK_CLIENTS = 20,  /* server: registry of connections */
    LOCK_RANK_STRIPE = 30,   /* hot: partition stripes, several, ascending */
    LOCK_RANK_WATCH = 40,    /* keyspace: watched keys */
    LOCK_RANK_TIER = 50,     /* tier: checkpoint state, saved images */
    LOCK_RANK_LOG = 60,      /* aof: buffers */
    LOCK_RANK_COLD = 70,     /* cold: job queues, dictionaries */
    LOCK_RANK_FILTER = 75,   /* cold: membership filter growth */
    LOCK_RANK_PREFETCH = 80, /* prefetch: learned state shown to others */
    LOCK_RANK_SETTINGS = 85, /* server: the settings table; handlers take it under stripes */
    LOCK_RANK_MAILBOX = 90,  /* queues between threads */
    LOCK_RANK_LEAF = 100,    /* nothing is taken below it */
};

struct CAPABILITY("mutex") mutex {
    pthread_mutex_t handle;
    enum lock_rank rank;
};
void mutex_init(struct mutex *mutex, enum lock_rank rank);
void mutex_deinit(struct mutex *mutex);
void mutex_lock(struct mutex *mutex) ACQUIRES(mutex);
bool mutex_try_lock(struct mutex *mutex) TRY_ACQUIRES(true, mutex);
void mutex_unlock(struct mutex *mutex) RELEASES(mutex);

/* Condition variable on the monotonic clock. */
struct condition {
    pthread_cond_t handle;
};
void condition_init(struct condition *condition);
void condition_deinit(struct condition *condition);
void condition_wait(struct condition *condition, struct mutex *mutex) REQUIRES(mutex);
/* False if timeout_ms passed without a signal (spurious wake-ups give true). */
bool condition_wait_ms(struct condition *condition, struct mutex *mutex, uint64_t timeout_ms)
    REQUIRES(mutex);
void condition_signal(struct condition *condition);
void condition_broadcast(struct condition *condition);

/* A joinable thread with all signals blocked but those of its own faults (SIGSEGV...); name has at most 15 bytes. Aborts if it cannot be made. */
struct thread {
    pthread_t handle;
    bool running;
};
typedef void (*thread_main_fn)(void *context);
void thread_start(struct thread *thread, const char *name, thread_main_fn run, void *context);
/* Takes a thread that was never started. */
void thread_join(struct thread *thread);

/*
 * A thread that must never wait (worker) says so once; code that may block (file I/O, LMDB) asserts
 * it is not on such a thread (I9).
 */
void thread_forbid_blocking(void);
void thread_allow_blocking(void);
bool thread_may_block(void);
#define CHECK_MAY_BLOCK() CHECK(thread_may_block())

/*
 * Mailbox: many senders, one receiver that sleeps on an event loop. Messages are embedded nodes; the
 * eventfd is written only when the mailbox was empty.
 */
struct message {
    struct message *next; /* private while queued */
};
/* Messages to a worker are tasks: it calls run() in its next turn, before the commands, no stripe locked. */
struct task {
    struct message message; /* first */
    void (*run)(struct task *task);
};
struct mailbox {
    struct mutex lock;
    struct message *head; /* guarded by: lock */
    struct message *tail; /* guarded by: lock */
    int event_fd;         /* immutable; readable while messages wait */
};
void mailbox_init(struct mailbox *mailbox);
/* The mailbox is empty and no sender is left: their threads are joined. */
void mailbox_deinit(struct mailbox *mailbox);
/* Any thread. Ownership of the message moves to the receiver. */
void mailbox_send(struct mailbox *mailbox, struct message *message);
/* The whole list, oldest first, linked by next; NULL when empty. Clears the eventfd. Receiver only. */
struct message *mailbox_take(struct mailbox *mailbox);

/*
 * Bounded single-producer single-consumer ring of fixed-size items (a power of two of them). Push
 * fails when full and counts it; neither side ever waits.
 */
struct ring;
struct ring *ring_create(size_t item_size, size_t item_count);
void ring_destroy(struct ring *ring);
/* Producer. */
bool ring_push(struct ring *ring, const void *item);
/* Consumer: copies up to `max` items to `items`, returns how many. */
size_t ring_pop(struct ring *ring, void *items, size_t max);
uint64_t ring_dropped_count(const struct ring *ring);

#endif
