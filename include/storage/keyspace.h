/*
 * keyspace.h: databases of keys as commands see them: lookup, expiry, WATCH, counts, walks. Handlers above it never
 * learn of tiers.
 *
 * A *view* is what one command executes with: its turn, database and time. All functions that take a view require the
 * stripes of their keys to be locked by the view's turn; those of whole databases require all stripes.
 *
 * Databases map to name spaces (base/key.h). SWAPDB exchanges two mappings; a flush gives the database a new space and
 * leaves the old records to the sweeper (RAM) and the reclaimer (disk). The mapping is deterministic: replaying the log gives the same numbers.
 *
 * Effects (I3): functions that change something do NOT log; the handler logs its effect once with keyspace_log*(), except expiry, which
 * logs its DEL here. Counts, WATCH and the access clock are kept here.
 */
#ifndef STORAGE_KEYSPACE_H
#define STORAGE_KEYSPACE_H

#include "base/compiler.h"
#include "base/key.h"
#include "base/metric.h"
#include "base/random.h"
#include "base/slice.h"
#include "base/status.h"
#include "storage/hot.h"
#include "storage/tier.h"
#include "storage/value.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define KEYSPACE_DATABASE_MAX 16384

/*        field              kind            help */
#define KEYSPACE_METRICS(X)                                                         \
    X(hit_count, METRIC_COUNTER, "successful lookups of reads (keyspace_hits)")     \
    X(miss_count, METRIC_COUNTER, "failed lookups of reads (keyspace_misses)")      \
    X(expired_count, METRIC_COUNTER, "records deleted because their time had come") \
    X(expired_cold_count, METRIC_COUNTER, "of these, cold ones")                    \
    X(expired_part_count, METRIC_COUNTER, "fields of hashes whose time had come")   \
    X(watch_count, METRIC_GAUGE, "keys watched")                                    \
    X(scan_cursor_count, METRIC_GAUGE, "SCAN cursors remembered")

struct keyspace_metrics {
    KEYSPACE_METRICS(METRIC_FIELD)
};

struct keyspace;

/*
 * One object per process. database_count: 1 to KEYSPACE_DATABASE_MAX. Made before the tier (its hooks come from here).
 */
MUST_USE struct keyspace *keyspace_create(unsigned database_count);
/* After the tier is closed. Takes NULL. */
void keyspace_destroy(struct keyspace *keyspace);
/* Hooks for tier_config: context, capture, captured, overwritten, space_is_dead are filled in; the rest is left alone. */
void keyspace_hooks(struct keyspace *keyspace, struct tier_hooks *hooks);
/* After tier_open(), before tier_recover(): takes over tier_meta(). ST_OK; ST_CORRUPT; ST_INVALID: more databases stored than configured. */
MUST_USE enum status keyspace_attach(
    struct keyspace *keyspace, struct tier *tier, struct error *error);
unsigned keyspace_database_count(const struct keyspace *keyspace);
void keyspace_metrics_read(const struct keyspace *keyspace, struct keyspace_metrics *metrics);
void keyspace_metrics_reset(struct keyspace *keyspace);

/* --- views ---------------------------------------------------------------------------------------------- */

/* Filled by the dispatcher (or by replay). Owned by one thread. */
struct keyspace_view {
    struct keyspace *keyspace;
    struct tier *tier;
    struct hot *hot;
    struct tier_turn *turn;
    uint64_t
        now_ms; /* cached wall clock of the turn; one time for a whole command, MULTI or script */
    unsigned database;
    bool replay;   /* recovery: no expiry by the clock, nothing logged */
    bool no_touch; /* CLIENT NO-TOUCH: reads don't change frequency and clock */
    /* A read found this key; first_use: its record was prefetched, and not read before. NULL: nobody wants to know. */
    void (*on_read)(void *context, const struct key *key, bool first_use);
    void *on_read_context;
    uint64_t
        changes; /* out: effects logged and changes made (server.dirty); the dispatcher resets it */
    /*
     * What the dispatcher's gather has found of this very key, or NULL: saves the first keyspace_find() the look-up. Nothing may have
     * changed the entry in between; taken back by the first use, and by keyspace_set().
     */
    const struct key *found_key;
    struct hot_record *found;
    const struct keyspace_listener *listener; /* NULL: nobody listens */
};

/* Classes of events: as the letters of notify-keyspace-events. */
enum keyspace_event_class {
    EVENT_GENERIC = 1 << 0,  /* g */
    EVENT_STRING = 1 << 1,   /* $ */
    EVENT_LIST = 1 << 2,     /* l */
    EVENT_SET = 1 << 3,      /* s */
    EVENT_HASH = 1 << 4,     /* h */
    EVENT_ZSET = 1 << 5,     /* z */
    EVENT_EXPIRED = 1 << 6,  /* x */
    EVENT_EVICTED = 1 << 7,  /* e */
    EVENT_STREAM = 1 << 8,   /* t */
    EVENT_KEY_MISS = 1 << 9, /* m */
    EVENT_NEW = 1 << 10,     /* n */
};
/* Who hears of changes; called on the view's thread under the key's stripe. The dispatcher's, one per worker. */
struct keyspace_listener {
    void *context;
    const _Atomic uint32_t *
        classes; /* atomic: relaxed; classes of events that somebody wants to hear of, others are not told */
    void (*event)(void *context, struct keyspace_view *view, enum keyspace_event_class event_class,
        const char *event, const struct key *key);
    void (*ready)(void *context, struct keyspace_view *view, const struct key *key);
};
/* Publishes a keyspace event ("lpush", "del", ...), as Redis's notifyKeyspaceEvent(). Nothing in replay. */
static inline void keyspace_notify(struct keyspace_view *view,
    enum keyspace_event_class event_class, const char *event, const struct key *key)
{
    const struct keyspace_listener *const listener = view->listener;
    if (listener != NULL &&
        unlikely((atomic_load_explicit(listener->classes, memory_order_relaxed) &
                     (uint32_t)event_class) != 0))
        listener->event(listener->context, view, event_class, event, key);
}
/*
 * A list, sorted set or stream was made or got elements at this key (RENAME, COPY, RESTORE too): clients blocked on it are served after the
 * running command or transaction.
 */
static inline void keyspace_signal_ready(struct keyspace_view *view, const struct key *key)
{
    if (view->listener != NULL)
        view->listener->ready(view->listener->context, view, key);
}

/*
 * Moves on whenever a database gets another space (flush, swap). Keys made before belong to the old one: who makes keys before it
 * holds stripes compares the version once it holds some, and makes the keys anew if it has moved. Any thread.
 */
uint64_t keyspace_version(const struct keyspace *keyspace);
/* The key in the view's database (or another), hash included. Bytes are borrowed. Changes abort on a key of a dead space. */
struct key keyspace_key(const struct keyspace_view *view, struct slice name);
struct key keyspace_key_in(const struct keyspace_view *view, unsigned database, struct slice name);

/* The database that the key is of now; false if its space is dead. Some stripe is held. */
bool keyspace_database_of(
    const struct keyspace_view *view, const struct key *key, unsigned *database);

/* --- single keys -------------------------------------------------------------------------------------------- */

enum keyspace_access {
    KEYSPACE_READ,  /* counts a hit or miss, marks a use */
    KEYSPACE_WRITE, /* marks a use */
    KEYSPACE_PEEK,  /* neither: TYPE, TTL, OBJECT, DEBUG, SCAN */
};
/*
 * The live record (RESIDENT, or STUB if the command's gather asked for headers only), or NULL. A record past its deadline is
 * deleted here (counts, WATCH, DEL logged) unless in replay. The gather (tier_gather) has been done for this key.
 */
struct hot_record *keyspace_find(
    struct keyspace_view *view, const struct key *key, enum keyspace_access access);

/*
 * Overwrites or creates: value and expiry (0 = never). value: as hot_write(). Handlers that keep the expiry pass it.
 * record: what keyspace_find() gave, or NULL. Returns the record.
 */
struct hot_record *keyspace_set(struct keyspace_view *view, const struct key *key,
    struct hot_record *record, struct value value, uint64_t expire_ms);
/*
 * In-place change of a value (blob bytes, collections): begin saves images and marks dirty; end keeps the accounts, touches WATCH.
 * An emptied collection is deleted by its handler afterwards.
 */
void keyspace_edit_begin(
    struct keyspace_view *view, const struct key *key, struct hot_record *record);
void keyspace_edit_end(struct keyspace_view *view, const struct key *key, struct hot_record *record,
    size_t external_bytes_before);
/* expire_ms 0 = persist. Returns the record, perhaps moved. A time in the past is the handler's to turn into a delete. */
struct hot_record *keyspace_expire(struct keyspace_view *view, const struct key *key,
    struct hot_record *record, uint64_t expire_ms);
/* Deletes a live record that keyspace_find() gave. */
void keyspace_delete(struct keyspace_view *view, const struct key *key, struct hot_record *record);
/*
 * For RENAME, MOVE, COPY: an owned handle of the value: blob reference taken, object copied, inline bytes put in *storage.
 */
struct value keyspace_value_copy(const struct hot_record *record, struct buf *storage);

/*
 * Takes some parts that are over (fields of hashes) out of a RESIDENT record, and deletes it if none remain; logs and tells of both. True if more are
 * over. Not in replay.
 */
bool keyspace_expire_parts(
    struct keyspace_view *view, const struct key *key, struct hot_record *record);
/* Parts were found to be over and removed by a command (INFO expired_subkeys). */
void keyspace_count_parts(struct keyspace_view *view, uint64_t count);

/* --- logging effects ------------------------------------------------------------------------------------------- */

/*
 * Logs one effect of the view's database; keys: whose partitions changed (for reply gating).
 * _request: the command as received (whole RESP array bytes). _args: formatted here.
 */
void keyspace_log_request(
    struct keyspace_view *view, const struct key *keys, size_t key_count, struct slice request);
void keyspace_log_args(struct keyspace_view *view, const struct key *keys, size_t key_count,
    const struct slice *args, size_t arg_count);
/* Effects of all partitions: FLUSHALL, SWAPDB. */
void keyspace_log_all(struct keyspace_view *view, const struct slice *args, size_t arg_count);
/* MULTI/EXEC around what is logged in between. */
void keyspace_group_begin(struct keyspace_view *view);
void keyspace_group_end(struct keyspace_view *view);

/* --- whole databases: all stripes ------------------------------------------------------------------------------------ */

/* Live keys, exact, hot and cold (expired ones not yet deleted included, as Redis). Any thread, no stripe. */
uint64_t keyspace_size(const struct keyspace *keyspace, unsigned database);
uint64_t keyspace_expires(const struct keyspace *keyspace, unsigned database);
/* All watchers of keys in it are touched. Does not log. */
void keyspace_flush(struct keyspace_view *view, unsigned database);
void keyspace_flush_all(struct keyspace_view *view);
/* Watchers of keys that exist in either are touched, as Redis does. */
void keyspace_swap(struct keyspace_view *view, unsigned a, unsigned b);

/* --- WATCH ------------------------------------------------------------------------------------------------------------- */

struct keyspace_watch; /* one watched key of one watcher */
/* Embedded in a session. */
struct keyspace_watcher {
    _Atomic bool touched;           /* set by any thread when a watched key changed */
    struct keyspace_watch *watches; /* owned by: the session's thread */
};
/* Remembers the key; an already expired key is remembered as such (its lazy deletion does not touch). Key's stripe locked. Watching twice is once.
 * Beyond the limits on watches (2^20 keys, 256 MiB of names) the watcher is touched at once. */
void keyspace_watch(struct keyspace_view *view, struct keyspace_watcher *watcher,
    const struct key *key, unsigned database);
/* Forgets all; the watcher is no longer touched. No stripe needed. */
void keyspace_unwatch(struct keyspace *keyspace, struct keyspace_watcher *watcher);
/* True if a watched key was changed, or has expired since (checked at now_ms; stripes of all watched keys held: EXEC holds all its stripes and these). */
bool keyspace_watch_is_touched(struct keyspace_view *view, struct keyspace_watcher *watcher);
/* Keys it watches. */
unsigned keyspace_watcher_count(const struct keyspace_watcher *watcher);
/* Bits of the stripes of the watched keys; asked for again once they are held, as a flush or swap moves them. */
uint64_t keyspace_watch_stripes(struct keyspace *keyspace, const struct keyspace_watcher *watcher);

/* --- walks over both tiers ------------------------------------------------------------------------------------------------ */

/*
 * A walk: SCAN (one step from a cursor), KEYS (everything), RANDOMKEY. prepare() gathers what lies on disk, without stripes, perhaps
 * in several rounds; finish() runs under all stripes (or, for a SCAN step, needs none: it locks per bucket through the turn... see below) and
 * yields live keys. Guarantee of SCAN: every key present from start to end of a full iteration is returned at least once.
 *
 * How: cursors without bit 50 walk the index of RAM (keys that the cold tier has not committed); then cursors with it walk
 * the cold tier in key order (cursors stay below 2^51: some clients keep them in doubles), resuming after a remembered key (a table of KEYSPACE_CURSOR_MAX; a forgotten cursor
 * starts the cold part again, which repeats keys but misses none). A pattern's literal prefix is sought in key order.
 */
#define KEYSPACE_CURSOR_MAX 4096

enum keyspace_walk_kind { KEYSPACE_WALK_SCAN, KEYSPACE_WALK_KEYS, KEYSPACE_WALK_RANDOM };
struct keyspace_walk_options {
    enum keyspace_walk_kind kind;
    uint64_t cursor;      /* SCAN */
    uint64_t count;       /* SCAN: COUNT */
    struct slice pattern; /* copied; NULL data = all */
    int type;             /* SCAN: enum value_type, or -1 = any */
    unsigned database;
};
struct keyspace_walk;
/*
 * wait->run() is called when prepare() may be called again. prepare: ST_OK ready to finish; ST_PENDING parked; ST_IO.
 */
MUST_USE struct keyspace_walk *keyspace_walk_create(struct keyspace *keyspace,
    const struct keyspace_walk_options *options, struct tier_turn *turn, struct tier_wait *wait);
MUST_USE enum status keyspace_walk_prepare(struct keyspace_walk *walk, uint64_t now_ms);
/* Under all stripes. Calls emit for each key (bytes valid during the call). Returns SCAN's next cursor. */
typedef void (*keyspace_emit_fn)(void *context, struct slice key);
uint64_t keyspace_walk_finish(
    struct keyspace_walk *walk, struct keyspace_view *view, keyspace_emit_fn emit, void *context);
/* Not while prepare() is pending. */
void keyspace_walk_destroy(struct keyspace_walk *walk);

/* --- expiry ------------------------------------------------------------------------------------------------------------------ */

/*
 * Active expiry of hot records: a bounded slice of work (adaptive like Redis's: more when many samples are expired). From one worker's timer,
 * no stripe locked; locks by itself through the view's turn. Pauses while the clock is suspect (H18).
 */
void keyspace_expire_hot_step(struct keyspace_view *view, struct random *random);
/*
 * Active expiry of cold records: reads due keys from the expiry index and deletes them as commands would (tombstone, DEL logged). From the same timer;
 * starts at most one read at a time; its completion comes back to the turn's mailbox, and the turn is not idle before that.
 */
void keyspace_expire_cold_step(struct keyspace_view *view);
/* Average remaining life of the records with expiry seen by the sampler, ms (INFO avg_ttl). */
uint64_t keyspace_average_ttl_ms(const struct keyspace *keyspace, unsigned database);

/* Turns active expiry on or off (DEBUG SET-ACTIVE-EXPIRE). */
void keyspace_active_expire_set(struct keyspace *keyspace, bool enabled);

#endif
