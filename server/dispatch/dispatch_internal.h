/*
 * dispatch_internal.h: what the files of server/dispatch share: the worker, a connection's I/O state, the batch.
 */
#ifndef SERVER_DISPATCH_INTERNAL_H
#define SERVER_DISPATCH_INTERNAL_H

#include "base/check.h"
#include "server/dispatch.h"
#include "server/pubsub.h"
#include "server/session.h"

#include <event2/event.h>
#include <event2/event_struct.h>

#define SESSION_MAGIC 0x4b535331u
/* Commands of one batch: enough to overlap the cache misses, and all that was fetched still lies in the innermost cache. */
#define BATCH_MAX 128
/* Keys of one batch; a command with more has an array of its own. */
#define BATCH_KEY_MAX 4096
/* A connection is read from once per turn, at most so much; not while it has this much that waits for its turn. */
#define READ_PENDING_MAX ((size_t)1024 * 1024)
/* One connection writes at most so much per turn. */
#define WRITE_SIZE_MAX ((size_t)1024 * 1024)
/* A connection with more unread output than this is not served until it has read some of it (I10). */
#define OUTPUT_STALL_SIZE ((size_t)256 * 1024 * 1024)
/* Bytes a transaction may queue (Redis counts them as query buffer). */
#define TICK_MS       100
#define PARK_RETRY_MS 2

/* Why a connection's next command does not run yet. */
enum park {
    PARK_NONE,
    PARK_WAIT,    /* for its tier_wait: cold reads, a prepare() */
    PARK_ROOM,    /* for room: retried every PARK_RETRY_MS */
    PARK_PAUSE,   /* CLIENT PAUSE: retried as well */
    PARK_OUTPUT,  /* its output must drain first */
    PARK_BLOCKED, /* in a command that blocks (BLPOP), which is no longer in its input: blocking.c */
};

struct waiter; /* blocking.c: one connection in a blocking command */
struct blocking_key;

struct session_list {
    struct session_io *head, *tail;
};

struct session_io {
    struct session session; /* first: a session's io contains it */
    struct worker *worker;
    struct event read_event;
    struct event write_event;
    bool reading, writing; /* events added */
    bool is_ready;         /* on worker->ready */
    bool is_flushing;      /* on worker->flush */
    bool is_gated;         /* on worker->gated */
    bool in_batch;         /* has commands in the batch under way */
    bool wrote;            /* logged something in this turn */
    bool half_closed;      /* the peer sends no more */
    enum park park;
    struct tier_wait wait;
    bool wait_pending; /* wait.run() will come: the session must stay */
    bool resumed; /* the first command of the backlog has waited: its misses are counted already */
    struct key *
        pinned_keys; /* ... and these are pinned by its gather; as they were then: a flush may have changed the spaces */
    size_t pinned_count;
    size_t prepared_count; /* EXEC: queued commands whose prepare() is done */
    void *state;           /* ... and its prepare() has left this */
    const struct command *state_command;
    struct waiter *waiter;        /* its command blocks, or is run again after that */
    struct waiter *spent;         /* its command has run again and is over: goes after the batch */
    struct resp_command *backlog; /* parsed, not run: [backlog_position, backlog_count) */
    size_t backlog_position, backlog_count, backlog_capacity;
    uint64_t gate_partitions; /* touched in this turn: replies wait for their LSN under `always` */
    uint64_t gate_lsn;
    struct session_io *ready_next, *flush_next, *gate_next, *park_next;
    struct session_io *previous, *next; /* all of the worker */
};

/* One command of a batch. */
struct slot {
    struct session_io *io;
    struct resp_command request;
    const struct command *command;   /* NULL: unknown */
    const struct command *container; /* of an unknown subcommand */
    const char *protocol_error;      /* instead of a command */
    struct key *keys;
    size_t key_count;  /* SIZE_MAX: malformed */
    unsigned database; /* that keys were made for */
    uint64_t version;  /* of the keyspace then */
    bool keys_owned;
};

struct batch {
    size_t count;
    size_t key_count;
    struct slot slots[BATCH_MAX];
    struct key keys[BATCH_KEY_MAX];
};

struct worker {
    struct server *server;
    unsigned index;
    size_t batch_max;
    struct thread thread;
    struct event_base *base;
    struct mailbox mailbox;
    struct event mailbox_event;
    struct event tick_event;
    struct event park_event;
    bool park_event_added;
    bool stopping;
    struct tier_turn *turn;
    struct keyspace_view view;
    uint32_t reader;      /* id of the connection whose command runs, for the prefetcher */
    uint32_t reads_noted; /* of that command */
    bool reader_waited;   /* its misses are noted already */
    struct resp_pool *pool;
    struct batch *batch;
    struct random random;
    uint64_t now_ms;
    struct session_list ready, flush;
    char name[16]; /* of the last command resolved, as written; name_size 0: none */
    size_t name_size;
    bool replies_are_long; /* those of the batch before were */
    const struct command *named;
    /* blocking.c: keys signalled by the command that runs; answers for waiters of other workers, sent when the log has what they tell of */
    struct blocking_key **signalled;
    size_t signalled_count, signalled_capacity;
    struct waiter *answers, **answers_end;
    struct session_io *stand_in; /* runs commands of waiters of other workers */
    uint64_t spaces_version;     /* of the keyspace, at the last look */
    /* deliver.c: published by the command that runs; on their way to other workers */
    struct pubsub_message **published;
    size_t published_count, published_capacity;
    struct delivery *deliveries, **deliveries_end;
    struct keyspace_listener listener;
    struct session_io *gated;  /* waiting for D */
    struct session_io *parked; /* PARK_ROOM, PARK_PAUSE, PARK_OUTPUT */
    struct session_io *sessions;
    /* Its part of the server's gauges of the same names, as last told. */
    uint64_t input_bytes, output_bytes;
    _Atomic uint64_t largest_bytes; /* of its connections that may be evicted, at its last tick */
    _Atomic uint64_t session_count;
    _Atomic bool has_gated; /* the log thread sends durable_task only then */
    _Atomic bool durable_sent;
    struct task durable_task;
    struct task stop_task;
};

/* --- session_io.c ---------------------------------------------------------------------------------------- */

void session_io_open(struct worker *worker, int fd, bool is_unix_socket);
/* Ends the connection now. The memory goes once nothing waits for it. */
void session_io_close(struct session_io *io);
void session_io_ready(struct session_io *io);
void session_io_touch(struct session_io *io); /* has output to flush */
void session_io_flush_all(struct worker *worker);
void session_io_flush_gated(struct worker *worker);
void session_io_tick(struct worker *worker);
/* A connection with much pending input was not read from; now it is, if it has not too much still. */
void session_io_resume_reading(struct session_io *io);
/* All its commands have run: gives their input back. */
void session_io_release_input(struct session_io *io);
static inline struct session_io *session_io_of(struct session *session)
{
    CHECK_MAGIC(session, SESSION_MAGIC);
    return session->io_place;
}

/* --- batch.c --------------------------------------------------------------------------------------------------- */

/* Runs what the ready connections have sent, in batches, until none has a whole command left. */
void batch_run(struct worker *worker);
void batch_park(struct session_io *io, enum park park);
void batch_unpark(struct session_io *io);
/* Puts a command before all that the connection has sent. */
void batch_push_front(struct session_io *io, const struct resp_command *command);

/* --- execute.c -------------------------------------------------------------------------------------------------- */

enum outcome {
    OUTCOME_DONE,
    OUTCOME_PARKED,  /* the command stays at the head of the backlog */
    OUTCOME_BLOCKED, /* the command is the waiter's now */
};
/* One command of a connection, through PARSED ... REPLIED. */
enum outcome execute_slot(struct worker *worker, struct slot *slot);
/* Hashes the keys of a command line: from the arena, or owned. */
void execute_make_keys(struct worker *worker, struct slot *slot);
void execute_drop_keys(struct slot *slot);
/* Locks these stripes too (perhaps unlocking for a moment, between commands). */
void execute_ensure_stripes(struct worker *worker, uint64_t stripes);
/* Runs the handler of a call that is ready, with statistics. */
void execute_handler(struct worker *worker, struct command_call *call);
void execute_init_call(struct worker *worker, struct session *session,
    const struct command *command, struct command_call *call);
/* The view's hook: tells the prefetcher of a read. */
void execute_note_read(void *context, const struct key *key, bool first_use);
/* What the handler needs of key `index`. */
static inline enum tier_need execute_need(
    const struct command *command, int argc, const struct slice *argv, size_t index)
{
    return command->need_of != NULL ? command->need_of(argc, argv, index) : command->need;
}
/* The database of key number `index` of a command line; database: the one the command runs in. */
static inline unsigned execute_key_database(const struct keyspace_view *view,
    const struct command *command, int argc, const struct slice *argv, size_t index,
    unsigned database)
{
    if (unlikely(command->key_database != NULL))
        database = command->key_database(
            argc, argv, index, database, keyspace_database_count(view->keyspace));
    return database;
}
/* That key, whose name is argument `argument`. */
static inline struct key execute_key(const struct keyspace_view *view,
    const struct command *command, int argc, const struct slice *argv, int argument, size_t index,
    unsigned database)
{
    return keyspace_key_in(
        view, execute_key_database(view, command, argc, argv, index, database), argv[argument]);
}
/* Parks the connection until its wait (execute_arm()) runs. */
void execute_arm(struct session_io *io);
void execute_wait(struct session_io *io);
/* tier_gather() with its refusals: ST_OK; ST_PENDING: parked; others: an error was replied. */
enum status execute_gather(struct worker *worker, struct session_io *io, const struct key *keys,
    const enum tier_need *needs, size_t count);
/* Lets go of what the gathers of the connection's command pinned. Locks what it needs, and leaves it locked. */
void execute_unpin(struct worker *worker, struct session_io *io);
void execute_unlock_all(struct worker *worker);
/* Counts the error reply just made. */
void execute_count_error(struct worker *worker, const struct session *session);
uint64_t execute_stripes(const struct worker *worker, const struct key *keys, size_t count);
uint64_t execute_partitions(const struct key *keys, size_t count);

/* Whether the connection's replies are muted (CLIENT REPLY), before and after a command. */
void execute_set_muting(struct session *session);
void execute_advance_reply_mode(struct session *session);

/* --- blocking.c ----------------------------------------------------------------------------------------------------- */

struct blocking *blocking_create(void);
void blocking_destroy(struct blocking *blocking);
void blocking_worker_init(struct worker *worker);
void blocking_worker_deinit(struct worker *worker);
/* Clients that wait; 0 is never out of date for keys whose stripes are held. */
static inline bool blocking_is_used(const struct worker *worker)
{
    return atomic_load_explicit(&worker->server->waiter_count, memory_order_relaxed) > 0;
}
/*
 * The handler of this call has set `block`; its stripes are held. True: the connection is parked as BLOCKED. False: it had waited before and
 * its time is over: replied.
 */
bool blocking_block(struct worker *worker, struct session_io *io, struct command_call *call);
/* The connection's command ran again and did not block. */
void blocking_finished(struct worker *worker, struct session_io *io);
/* call->state as the runs before have left it. It stays the waiter's. */
void *blocking_state(const struct session_io *io);
/* The memory of a command that ran again, after its batch. */
void blocking_reap(struct session_io *io);
/* A key is ready, or has changed. Under its stripe. */
void blocking_signal(struct worker *worker, const struct keyspace_view *view, const struct key *key,
    bool only_for_changes);
/* After a flush or swap, all stripes held: all keys that are waited for may be others now. */
void blocking_signal_all(struct worker *worker);
/* Serves waiters of keys that became ready but were not served yet, before others get at them. Stripes held; more may be afterwards. True if there were such keys. */
bool blocking_serve_before(struct worker *worker, const struct key *keys, size_t count);
/* Serves the waiters of the signalled keys, until none is ready. Locks what it needs, and leaves it locked. */
void blocking_serve(struct worker *worker);
/* No stripe is held: serves what is signalled, and sends the answers. */
void blocking_settle(struct worker *worker);
/* CLIENT UNBLOCK; true if the connection waits. Its worker's thread, no stripe held. */
bool blocking_unblock(struct session_io *io, bool with_error);
/* The connection is closed. True: it waits no longer and may be freed. False: an answer for it is on its way. */
bool blocking_cancel(struct session_io *io);
/* The connection's memory goes while its command was run again. */
void blocking_abandon(struct session_io *io);
/* A command that has blocked before: it is not counted or checked again. */
static inline bool blocking_is_rerun(const struct session_io *io)
{
    return io->waiter != NULL;
}

/* --- deliver.c ------------------------------------------------------------------------------------------------------- */

void deliver_worker_init(struct worker *worker);
void deliver_worker_deinit(struct worker *worker);
/* What the command published goes to the subscribers of this worker now, to others with deliver_send(). */
void deliver_local(struct worker *worker);
/* No stripe is held. */
void deliver_send(struct worker *worker);

/* What follows a command or a whole transaction, before the next command of the batch. */
static inline void execute_aftermath(struct worker *worker)
{
    if (unlikely(worker->signalled_count > 0))
        blocking_serve(worker);
    if (unlikely(worker->published_count > 0))
        deliver_local(worker);
}

/* --- transaction.c ----------------------------------------------------------------------------------------------- */

void transaction_queue(
    struct session *session, const struct command *command, const struct slot *slot);
bool transaction_is_exec(const struct command *command);
/* EXEC: prepares and gathers everything the queue needs, then runs it. */
enum outcome transaction_exec(struct worker *worker, struct slot *slot);

/* Counts in a metric of the server: without a locked instruction when there is one worker. */
#define worker_metric_add(worker, field, amount)                    \
    do {                                                            \
        if ((worker)->server->worker_count == 1)                    \
            metric_bump(&(worker)->server->metrics, field, amount); \
        else                                                        \
            metric_add(&(worker)->server->metrics, field, amount);  \
    } while (0)

#endif
