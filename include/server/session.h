/*
 * session.h: one client connection: identity, protocol state, transaction, buffers. Owned by its worker's thread; fields marked
 * atomic are read by others.
 */
#ifndef SERVER_SESSION_H
#define SERVER_SESSION_H

#include "server/command.h"
#include "server/resp.h"
#include "server/settings.h"
#include "storage/keyspace.h"
#include "storage/tier.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct pubsub_client;  /* server/pubsub.h */
struct pubsub_message; /* the same */

enum session_reply_mode {
    SESSION_REPLY_ON,
    SESSION_REPLY_OFF,
    SESSION_REPLY_SKIP_NEXT,
    SESSION_REPLY_SKIP
};

/* A command queued by MULTI: owns its bytes. */
struct session_queued {
    const struct command *command;
    int argc;
    struct slice *argv; /* one allocation with the bytes behind */
    void *state;        /* of its prepare(), during EXEC */
};

struct session {
    uint32_t magic;
    uint64_t id;
    int fd;
    bool is_unix_socket;
    bool authenticated;
    bool in_transaction;
    bool transaction_failed; /* a command was refused while queueing: EXECABORT */
    bool no_touch;
    bool no_evict;
    bool close_after_reply;
    bool closing; /* gone; freed once nothing waits for it */
    enum session_reply_mode reply_mode;
    unsigned database;
    struct resp_input *input;
    struct resp_output output;
    struct keyspace_watcher watcher;
    struct session_queued *queued;
    size_t queued_count, queued_capacity;
    size_t queued_bytes;
    char *name;     /* CLIENT SETNAME, or NULL */
    char *lib_name; /* CLIENT SETINFO */
    char *lib_version;
    char peer_address[72]; /* "127.0.0.1:54321", "/path:0" */
    char local_address[72];
    uint64_t created_ms;
    uint64_t active_ms; /* last request */
    uint64_t command_count;
    const struct command *last_command;
    uint64_t soft_limit_since_ms; /* output over its soft limit since; 0 = not */
    /* Of the command under way, while it is one that looks at connections (CLIENT LIST argv-mem, qbuf). */
    size_t argv_bytes, request_bytes;
    struct pubsub_client *pubsub; /* its subscriptions; NULL: it never had one (server/pubsub.h) */
    struct session_io *io_place;  /* private to server/dispatch */
};

/* --- what commands may do to sessions (server/dispatch implements) --------------------------------------------- */

/* The data of other sessions may be looked at only on their own threads: see session_gather_start(). */

/* Ends the session after the replies so far are written. */
void session_close_after_reply(struct session *session);
/* DISCARD, RESET, disconnection: forgets queue and watches. */
void session_discard_transaction(struct session *session, struct keyspace *keyspace);
/* RESET: back to the state of a fresh connection (RESP2, db 0, reply on, not authenticated if a password is set). */
void session_reset(struct session *session, struct server *server);
enum client_class session_class(const struct session *session);

/* The line of CLIENT LIST / INFO (without newline), as Redis 7.2 prints it. */
void session_describe(const struct session *session, uint64_t now_ms, struct buf *out);

/*
 * Visits every session of every worker, each on its own thread, from prepare(): CLIENT LIST, KILL. visit runs with the gather's
 * context; calls are never concurrent with each other. wait->run() follows when all workers have done. Owned by the caller.
 */
struct session_gather;
typedef void (*session_visit_fn)(void *context, struct session *session);
MUST_USE struct session_gather *session_gather_start(struct server *server, struct worker *home,
    struct tier_wait *wait, session_visit_fn visit, void *context);
/* Not before wait->run(). Takes NULL. */
void session_gather_destroy(struct session_gather *gather);
/*
 * Sends wait->run() to the worker: a prepare() had a thread of its own do something that blocks, and it is done. Any thread.
 */
void session_wake(struct worker *worker, struct tier_wait *wait);
/* Ends another connection of the visiting thread now (CLIENT KILL). */
void session_kill(struct session *session);
/* CLIENT UNBLOCK: ends the blocking command of a connection of the visiting thread; false if it is in none. with_error: -UNBLOCKED, else as if its time were over. */
bool session_unblock(struct session *session, bool with_error);
/* The number of its worker, from 0. */
unsigned session_worker_index(const struct session *session);
/*
 * Has a message of pubsub_publish() delivered after the command or transaction that runs on this worker. Ownership of the reference
 * moves.
 */
void session_deliver(struct worker *worker, struct pubsub_message *message);

#endif
