/*
 * tier.h: the store: hot tier, cold tier and log as one. The only module that sees all three.
 *
 *   promote     cold → hot: fetches, one per key at a time (the FETCHING entry is the fetch token)
 *   demote      hot → nothing: clean records, when room is needed
 *   checkpoint  dirty → clean: one LMDB transaction takes the cold tier from state(X0) to state(X)   (I4, I5)
 *   recover     open the cold tier at X, execute the log from X to its end                           (I6)
 *
 * A *turn* is how a thread executes commands: it locks stripes, runs commands, collects their effects in a journal, appends the
 * journal to the log, and unlocks (I1, I2). Every worker has one turn object; recovery has one that reads synchronously.
 *
 * Threads: functions that take a turn, on the turn's thread; the rest any, unless they say otherwise.
 */
#ifndef STORAGE_TIER_H
#define STORAGE_TIER_H

#include "base/key.h"
#include "base/metric.h"
#include "base/option.h"
#include "base/slice.h"
#include "base/status.h"
#include "base/thread.h"
#include "storage/aof.h"
#include "storage/cold.h"
#include "storage/hot.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*        name                    field                    kind           default    min  max        flags           help */
#define TIER_OPTIONS(X)                                                                           \
    X("maxmemory", memory_max, OPTION_BYTES, 0, 0, INT64_MAX, OPTION_RUNTIME,                     \
        "bound on the process's anonymous memory; 0 is no limit")                                 \
    X("dirty-limit", dirty_limit, OPTION_BYTES, 0, 0, INT64_MAX, OPTION_RUNTIME,                  \
        "memory of records newer than the cold tier at which writers wait; 0: half of maxmemory") \
    X("checkpoint-log-size", checkpoint_log_size, OPTION_BYTES, 1 * GiB, 64 * KiB, 64 * GiB,      \
        OPTION_RUNTIME,                                                                           \
        "length of the log tail that starts a checkpoint; each command in it "                    \
        "counts for 256 bytes more")                                                              \
    X("checkpoint-interval", checkpoint_interval_s, OPTION_INT, 300, 1, 86400, OPTION_RUNTIME,    \
        "seconds after which a checkpoint starts if anything changed")                            \
    X("checkpoint-memory", checkpoint_memory, OPTION_BYTES, 0, 0, 64 * GiB, OPTION_RUNTIME,       \
        "memory a checkpoint may use; dirty keys beyond it start one earlier; 0: a quarter of "   \
        "maxmemory, from 8mb to 64mb")                                                            \
    X("aof-max-tail", aof_tail_max, OPTION_BYTES, 2 * GiB, 1 * MiB, 1 * TiB, OPTION_RUNTIME,      \
        "length of the log tail at which writers wait for the checkpoint")                        \
    X("hot-list-interval", hot_list_interval_s, OPTION_INT, 120, 0, 86400, OPTION_RUNTIME,        \
        "seconds between hot lists stored for a warm restart; 0: at shutdown only")

struct tier_options {
    TIER_OPTIONS(OPTION_FIELD)
};

/*        field                      kind            help */
#define TIER_METRICS(X)                                                                          \
    X(promoted_count, METRIC_COUNTER, "records brought into RAM on demand")                      \
    X(prefetched_count, METRIC_COUNTER, "records brought into RAM ahead of a prediction")        \
    X(prefetch_late_count, METRIC_COUNTER, "demand reads that joined a prefetch under way")      \
    X(prefetch_absent_count, METRIC_COUNTER, "prefetches of keys that do not exist")             \
    X(fetch_pending, METRIC_GAUGE, "cold reads under way")                                       \
    X(demand_pending, METRIC_GAUGE, "cold reads under way that a client waits for")              \
    X(corrupt_count, METRIC_COUNTER, "requests refused because their cold record is damaged")    \
    X(checkpoint_count, METRIC_COUNTER, "checkpoints committed")                                 \
    X(checkpoint_error_count, METRIC_COUNTER, "checkpoints that failed and will be tried again") \
    X(checkpoint_running, METRIC_GAUGE, "1 while a checkpoint runs")                             \
    X(checkpoint_records, METRIC_COUNTER, "records and deletions written by checkpoints")        \
    X(checkpoint_image_count, METRIC_COUNTER,                                                    \
        "old images saved because a record changed during a checkpoint")                         \
    X(checkpoint_us_last, METRIC_GAUGE, "duration of the last checkpoint, microseconds")         \
    X(checkpoint_start_us_last, METRIC_GAUGE,                                                    \
        "time all partitions were locked at its start, microseconds")                            \
    X(checkpoint_memory_bytes, METRIC_GAUGE, "memory used by the running checkpoint")            \
    X(throttled_count, METRIC_COUNTER, "times writers were parked for room")                     \
    X(warm_total, METRIC_GAUGE, "records on the hot list found at start")                        \
    X(warm_done, METRIC_GAUGE, "of these, handled so far")                                       \
    X(swept_count, METRIC_COUNTER, "records of flushed databases removed from RAM")

struct tier_metrics {
    TIER_METRICS(METRIC_FIELD)
};

struct tier;
struct tier_turn;

/* What the layer above provides. Called where each says. */
struct tier_hooks {
    void *context;
    /*
     * All stripes held, at X: appends the layer's own state (name spaces, counts) to *meta, and the spaces that died since the last
     * committed capture to *dead_spaces (array of uint32_t). Must be quick.
     */
    void (*capture)(void *context, struct buf *meta, struct buf *dead_spaces);
    /* The checkpoint that captured last has committed (true) or failed (false: its dead spaces must be given again). Checkpointer thread. */
    void (*captured)(void *context, bool committed);
    /*
     * In recovery: a key of the space that tier_overwrite() was told of did exist, with an expiry or without, though its overwriting was executed as
     * if it had not. May be NULL.
     */
    void (*overwritten)(void *context, uint32_t space, bool had_expiry);
    /* Any thread, lock-free: the space belongs to no database any more. */
    bool (*space_is_dead)(void *context, uint32_t space);
    /* A prefetched key was found (or not) in the cold tier; was demoted unused; was used for the first time. Under its stripe. May be NULL. */
    void (*prefetch_done)(void *context, const struct key *key, bool found);
    /* The log's health changed, or the process must stop (fatal). Any thread. */
    void (*health)(void *context, enum status status, bool fatal, const struct error *error);
    /* D advanced: replies that wait for it can leave. Log thread, must not block. May be NULL. */
    void (*durable)(void *context, uint64_t durable_lsn);
};

struct tier_config {
    const char *directory; /* data directory; made if missing; locked against a second process */
    bool single_worker;    /* one stripe */
    const struct tier_options *options;
    const struct aof_options *aof_options;
    const struct cold_options *cold_options;
    struct tier_hooks hooks;
};

/*
 * Locks the directory, opens the cold tier. The layer above then reads tier_meta(), and calls tier_recover().
 * Layout: <directory>/kelvin.lock, <directory>/cold/, <directory>/aof/. ST_OK, ST_BUSY, ST_CORRUPT, ST_FULL, ST_IO.
 */
MUST_USE enum status tier_open(
    const struct tier_config *config, struct tier **tier, struct error *error);
/* The layer's state as captured at X; empty in a new store. */
struct slice tier_meta(const struct tier *tier);

struct tier_recovery {
    uint64_t from_lsn, to_lsn; /* X and E */
    uint64_t frame_count;
    struct aof_tail tail; /* torn: what was cut */
};
/*
 * For apply(), instead of tier_gather(): the next command overwrites the key whatever it was. The stripe is locked. If only the cold tier knows
 * whether it existed, it is taken for absent, and hooks.overwritten() may correct that: at the end, before a checkpoint, or when
 * settled. Commands that depend on counts (flushes, swaps) must be preceded by tier_overwrite_settle(). ST_OK, ST_IO.
 */
MUST_USE enum status tier_overwrite(
    struct tier_turn *turn, const struct key *key, struct error *error);
MUST_USE enum status tier_overwrite_settle(struct tier_turn *turn, struct error *error);

/*
 * Executes the log from X: apply() is called with each frame's payload (whole commands) and the turn to run them in
 * (stripes locked by apply itself through tier_turn_lock()); what it returns other than ST_OK is corruption at that frame. Keeps to maxmemory
 * by checkpoints in between. Then opens the log for writing and starts the threads. ST_OK; ST_CORRUPT with file and offset; ST_IO...
 */
typedef enum status (*tier_apply_fn)(
    void *context, struct tier_turn *turn, struct slice payload, struct error *error);
MUST_USE enum status tier_recover(struct tier *tier, tier_apply_fn apply, void *context,
    struct tier_recovery *recovery, struct error *error);

/*
 * No turn is in use any more. save: a last checkpoint with the hot list (its failure only leaves a longer tail). Joins the threads,
 * closes everything. Takes NULL and half-opened tiers.
 */
void tier_close(struct tier *tier, bool save);

struct hot *tier_hot(struct tier *tier);
struct cold *tier_cold(struct tier *tier);
struct aof *tier_aof(struct tier *tier); /* NULL before tier_recover() */
void tier_metrics_read(const struct tier *tier, struct tier_metrics *metrics);
uint64_t tier_checkpoint_lsn(const struct tier *tier);       /* X */
uint64_t tier_checkpoint_unix_s(const struct tier *tier);    /* time of the last commit; LASTSAVE */
enum status tier_checkpoint_status(const struct tier *tier); /* of the last one */
uint64_t tier_changes_since_checkpoint(const struct tier *tier); /* appended effects */

/* --- turns ------------------------------------------------------------------------------------------ */

/* mailbox: where this worker gets its tasks (fetches that arrived, waits that ended). It outlives the tier: senders may still be
 * in mailbox_send() when the task has run. */
MUST_USE struct tier_turn *tier_turn_create(struct tier *tier, struct mailbox *mailbox);
/* Takes NULL. No fetch of this turn may be under way, see tier_turn_is_idle(), and none of its waits. */
void tier_turn_destroy(struct tier_turn *turn);
bool tier_turn_is_idle(const struct tier_turn *turn);
struct tier *tier_turn_tier(const struct tier_turn *turn);
/* Sends a task to the turn's worker. Any thread; not to recovery's turn. */
void tier_turn_send(struct tier_turn *turn, struct task *task);
/* Between the two the turn is not idle: a task is still to come that nobody else waits for. The turn's thread. */
void tier_turn_hold(struct tier_turn *turn);
void tier_turn_release(struct tier_turn *turn);
/* Recovery's turn: cold reads happen at once, on the calling thread; nothing is logged. */
bool tier_turn_is_recovery(const struct tier_turn *turn);

/* Locks stripes (of hot_stripe()) for commands. Not nested. */
void tier_turn_lock(struct tier_turn *turn, uint64_t stripes);
/* Appends the journal to the log, notes the new LSN on the partitions that changed, unlocks. */
void tier_turn_unlock(struct tier_turn *turn);
uint64_t tier_turn_locked(const struct tier_turn *turn);

/*
 * Adds an effect (whole RESP commands) to the journal. partitions: bit per hot partition it changed. context: the database;
 * prefix: what selects it (a SELECT command), inserted when the context differs from the effect before or a frame begins. In recovery: nothing.
 */
void tier_turn_log(struct tier_turn *turn, uint64_t partitions, uint32_t context,
    struct slice prefix, struct slice effect);
/*
 * All effects between begin and end are one atomic group: header (a MULTI) goes before the first, trailer (an EXEC) after the
 * last; nothing if there was none. They nest: the outermost pair counts.
 */
void tier_turn_group_begin(struct tier_turn *turn, struct slice header);
void tier_turn_group_end(struct tier_turn *turn, struct slice trailer);

/* The LSN that a reply must wait for under `always` if its command touched these partitions (bits). 0 in other modes. */
uint64_t tier_gate_lsn(const struct tier *tier, uint64_t partitions);

/* --- readiness: promote ------------------------------------------------------------------------------- */

enum tier_need {
    TIER_NEED_HEADER, /* existence, type, expiry, sizes: a STUB will do */
    TIER_NEED_VALUE,
};

/*
 * A request that waits: for cold reads, for a checkpoint. Owned by the caller, who keeps it in place until run() is called, even
 * when it has lost interest; run() is called as a task of its turn's worker (or from another task of it, no stripe locked) when
 * everything it waits for has come. Initialise with tier_wait_init().
 */
struct tier_wait {
    struct task task; /* first; run() set by the caller */
    void *context;    /* the caller's */
    /* private */
    struct tier_turn *turn;
    _Atomic uint32_t
        pending_count;       /* atomic: set under the stripes of its keys, then only counts down */
    _Atomic uint32_t status; /* atomic: worst result: ST_OK or ST_IO; of a checkpoint: its status */
    _Atomic uint64_t *pinned; /* bit per key of the gather; NULL before the first pin */
    size_t pinned_words;
    _Atomic uint64_t pinned_inline; /* what pinned points to up to 64 keys */
    struct tier_wait *next;
};
void tier_wait_init(struct tier_wait *wait, struct tier_turn *turn, void (*run)(struct task *task));
enum status tier_wait_status(const struct tier_wait *wait);

/*
 * Makes all keys ready, in one wait. Their stripes are locked by the turn.
 *
 * ST_OK       every key is RESIDENT, or a STUB where the header is enough, or known to be absent
 * ST_PENDING  cold reads were started or joined; what is there already is pinned. wait->run() follows; call again then
 * ST_CORRUPT  the value of *failed (index) cannot be read; ST_IO: the disk failed. Nothing is pinned
 *
 * One call starts at most TIER_GATHER_FETCH_MAX reads; the next call of the same wait goes on (I10). A key of a dead space is absent.
 *
 * After ST_PENDING the caller must, once it has run its command or given up, call tier_gather_release() with the same keys under
 * their stripes. The first gather of a wait, of one resident key, costs one hot_find().
 * wait == NULL: look-ahead. Reads are started (as demand) but nobody waits and nothing is pinned; ST_OK or ST_PENDING.
 */
#define TIER_GATHER_FETCH_MAX 4096
MUST_USE enum status tier_gather(struct tier_turn *turn, const struct key *keys,
    const enum tier_need *needs, size_t count, struct tier_wait *wait, size_t *failed);
/*
 * The short way for a request of one key that has not waited: true if the key is ready, with its entry or NULL in *record. False:
 * nothing was done, call tier_gather(). Not in recovery.
 */
bool tier_is_ready(
    struct tier_turn *turn, const struct key *key, enum tier_need need, struct hot_record **record);
void tier_gather_release(
    struct tier_turn *turn, const struct key *keys, size_t count, struct tier_wait *wait);

/*
 * Starts a cold read of a key that is not in RAM, for a guess. ST_PENDING: started; ST_EXISTS: here already or on its way;
 * ST_NOT_FOUND: the filter knows it is absent; ST_AGAIN: limits (prefetches under way, demand queue). Stripe locked.
 */
MUST_USE enum status tier_prefetch(struct tier_turn *turn, const struct key *key);
/* An entry that is being fetched (HOT_FETCHING): was it prefetch that began it? Stripe locked. */
bool tier_is_prefetching(const struct hot_record *record);
/* At most this many prefetches under way (I10). */
#define TIER_PREFETCH_PENDING_MAX 1024

/* Reads that are not of one key (SCAN, KEYS, expiry): the job goes to the I/O threads; its done() as in cold.h. */
void tier_submit(struct tier *tier, struct cold_job *job);

/* --- room ------------------------------------------------------------------------------------------------ */

/*
 * May a command that adds data run now? ST_OK; ST_AGAIN: wait (dirty limit, log tail, log buffer), ask again within some
 * ms; ST_FULL, ST_IO: the log cannot be written, or would have to wait for checkpoints that keep failing (-MISCONF). Atomic loads.
 */
enum status tier_may_write(const struct tier *tier);
/*
 * Demotes until the hot tier fits, at most a bounded number of steps; asks for a checkpoint when only dirty records are left. Called at the
 * end of every turn, no stripe locked; returns at once when there is room.
 */
void tier_make_room(struct tier_turn *turn);
/* Bytes the hot tier may use now: maxmemory less everything else in the process; UINT64_MAX without limit. */
uint64_t tier_hot_limit(const struct tier *tier);
/* Refreshes the figures behind the above; every 100 ms from one thread's timer. */
void tier_tick(struct tier *tier);

/* --- checkpoint ---------------------------------------------------------------------------------------------- */

/*
 * Asks for a checkpoint of everything logged so far. wait (may be NULL) runs when one that began after this call has committed
 * or failed (tier_wait_status()).
 */
void tier_checkpoint_request(struct tier *tier, struct tier_wait *wait);
/* A flush killed spaces: their records are swept from RAM in the background. */
void tier_sweep_request(struct tier *tier);

/* --- single keys (TIER command) ----------------------------------------------------------------------------------- */

/* Demotes this key now. ST_OK, ST_NOT_FOUND (not in RAM), ST_AGAIN (dirty, pinned or being fetched). Stripe locked. */
MUST_USE enum status tier_demote(struct tier_turn *turn, const struct key *key);

#endif
