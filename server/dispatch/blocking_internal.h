/*
 * blocking_internal.h: the registry of waiters, between blocking.c (who waits) and blocking_serve.c (who is served).
 */
#ifndef SERVER_BLOCKING_INTERNAL_H
#define SERVER_BLOCKING_INTERNAL_H

#include "dispatch_internal.h"

/* What has become of a waiter. */
enum waiter_state {
    WAITER_WAITING,
    WAITER_SERVING, /* its command is being run, by a worker that holds the stripes of all its keys */
    WAITER_RERUN,   /* its own worker runs the command by the normal path, or is about to */
};

/* What its worker is told of it, and what its client gets. */
enum waiter_answer {
    ANSWER_NONE,
    ANSWER_REPLY, /* the command has run: its reply */
    ANSWER_TIMEOUT,
    ANSWER_UNBLOCKED, /* CLIENT UNBLOCK ERROR */
    ANSWER_GONE,      /* the connection was closed meanwhile */
    ANSWER_RERUN,     /* run it yourself */
};

/* A waiter's place in the line of one key. */
struct waiter_link {
    struct waiter *waiter;
    struct blocking_key *key; /* NULL: not in line (a key that comes twice in the command) */
    struct waiter_link *previous, *next;
    size_t key_index; /* in the command's keys */
};

struct waiter {
    struct task task; /* to its worker; one at a time */
    struct waiter *next_answer;
    struct session_io *io;
    struct worker *worker;
    /* guarded by: blocking.lock */
    enum waiter_state state;
    enum waiter_answer wanted; /* TIMEOUT, UNBLOCKED or GONE came while it was not WAITING */
    bool is_listed;            /* in the lines of its keys */
    /* The command; owned by: whoever serves it (SERVING), else its worker. */
    const struct command *command;
    int argc;
    struct slice *argv; /* one allocation */
    struct key *keys;   /* as of keys_version; guarded by: blocking.lock unless SERVING */
    size_t key_count;
    uint64_t keys_version;
    void *handler_state; /* what the handler keeps from run to run: call->state */
    /* immutable */
    uint64_t session_id;
    unsigned database;
    int protocol;
    bool muted;
    bool no_touch;
    bool null_is_array;
    bool wakes_on_change;
    uint64_t deadline_ms; /* monotonic; 0: never */
    struct event timer;   /* its worker's */
    bool timer_added;
    /* The answer, from the worker that served it to its own. */
    enum waiter_answer answer;
    struct buf reply;
    uint64_t gate_partitions;
    bool wrote;
    size_t link_count;
    struct waiter_link links[];
};

/* A key that somebody waits for, by name: flushes and swaps change its space. */
struct blocking_key {
    struct blocking_key *next;       /* of the bucket */
    struct waiter_link *head, *tail; /* by arrival */
    struct worker *listed_by;        /* it is in this worker's signalled keys */
    uint64_t hash;
    unsigned database;
    unsigned pin_count;  /* entries of workers' signalled keys, and who serves it now */
    size_t change_count; /* of its waiters, those that want to know of any change */
    bool ready;          /* signalled, and not all have been asked since */
    uint32_t size;
    char name[];
};

/* All fields guarded by: lock (rank LEAF; under stripes; nothing is called under it). */
struct blocking {
    struct mutex lock;
    struct blocking_key **buckets;
    size_t bucket_count; /* a power of two */
    size_t key_count;
    size_t change_count; /* waiters that want to know of any change */
};

struct blocking_key *blocking_key_find(
    const struct blocking *blocking, unsigned database, struct slice name);
/* Gives a pin back; a key without waiters and pins goes. */
void blocking_key_unpin(struct blocking *blocking, struct blocking_key *key);
/* Adds it to the worker's signalled keys. */
void blocking_key_list(struct worker *worker, struct blocking_key *key);
/* Takes it out of all lines. Keys that waited for it (it was in RERUN) are listed for the worker. */
void waiter_unlist(struct worker *worker, struct waiter *waiter);
/* Its keys, made anew if a flush or swap came between; some stripe is held or the version is looked at again. */
void waiter_refresh_keys(struct worker *worker, struct waiter *waiter);
/* On its worker: the client gets the answer, and the connection goes on. Frees the waiter. */
void waiter_complete(struct waiter *waiter, enum waiter_answer answer);
/* The task of an answer that came from another worker. */
void waiter_run_answer(struct task *task);

#endif
