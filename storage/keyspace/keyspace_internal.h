/*
 * keyspace_internal.h: what the files of the keyspace share. README.md has the pictures.
 *
 * Locks: stripes (rank STRIPE), then watches.lock (rank WATCH), then dead.lock or cursors.lock (rank LEAF).
 */
#ifndef KEYSPACE_INTERNAL_H
#define KEYSPACE_INTERNAL_H

#include "base/check.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "base/thread.h"
#include "storage/cold.h"
#include "storage/keyspace.h"

#include <stdatomic.h>

/* --- figures -------------------------------------------------------------------------------------------- */

/* Of one database; a cache line's length each, so that workers in different databases disturb each other little. */
struct keyspace_counts {
    _Atomic uint64_t keys;           /* atomic: relaxed; changed under the key's stripe */
    _Atomic uint64_t expires;        /* the same */
    _Atomic uint64_t average_ttl_ms; /* atomic: relaxed; written by the sampler */
    uint64_t unused[5];
};

/* Lookups in one hot partition: written under its stripe, so without a locked instruction. */
struct keyspace_lookups {
    _Atomic uint64_t hit_count;  /* atomic: relaxed */
    _Atomic uint64_t miss_count; /* the same */
    uint64_t unused[6];
};

/* --- dead spaces (keyspace_space.c) ----------------------------------------------------------------------- */

/* Spaces that died since the last committed capture, oldest first. */
struct keyspace_dead {
    struct mutex lock;
    uint32_t *spaces;      /* guarded by: lock */
    size_t count;          /* guarded by: lock */
    size_t capacity;       /* guarded by: lock */
    size_t captured_count; /* guarded by: lock; of these, given to the capture under way */
};

/* --- WATCH (keyspace_watch.c) -------------------------------------------------------------------------------- */

struct keyspace_watches {
    _Atomic uint64_t
        count; /* atomic: relaxed; a change costs one load while it is 0. A watch is added under its key's stripe */
    struct mutex lock;
    struct keyspace_watch **buckets; /* guarded by: lock */
    size_t bucket_count;             /* guarded by: lock; a power of two */
    size_t key_bytes;                /* guarded by: lock */
};

/* --- SCAN cursors (keyspace_cursor.c) ------------------------------------------------------------------------ */

struct keyspace_position;
struct keyspace_cursors {
    struct mutex lock;
    struct keyspace_position *positions; /* guarded by: lock; KEYSPACE_CURSOR_MAX of them */
    uint64_t sequence;                   /* guarded by: lock */
    size_t hand;            /* guarded by: lock; where the next new position is looked for */
    size_t key_bytes;       /* guarded by: lock */
    _Atomic uint64_t count; /* atomic: relaxed; written under lock */
};

/* --- expiry (keyspace_expire.c) ------------------------------------------------------------------------------ */

/* owned by: the worker whose timer calls the steps, but for the job while it is read */
struct keyspace_expiry {
    struct task task; /* the due read has come */
    struct cold_job job;
    struct tier_turn *turn;
    uint64_t interval_ms; /* to the next reading of the index */
    const struct keyspace_listener *listener;
    bool reading;       /* from the submission to the end of the task */
    size_t entry_max;   /* of the next read */
    size_t next_entry;  /* of the job's entries, the first not yet handled */
    uint64_t lsn;       /* X when the read was submitted */
    uint64_t next_ms;   /* monotonic: no read before */
    unsigned partition; /* where the next hot step begins */
    /* the clock, as of the last look (H18) */
    bool clock_known;
    uint64_t clock_wall_ms;
    uint64_t clock_monotonic_ms;
    uint64_t clock_suspect_until_ms; /* monotonic */
};

/* --- the keyspace ---------------------------------------------------------------------------------------------- */

#define KEYSPACE_MAGIC  ((uint32_t)0x6b737063)
#define SELECT_SIZE_MAX 31
struct keyspace_select {
    uint8_t size;
    char text[SELECT_SIZE_MAX];
};

struct keyspace {
    uint32_t magic;
    /* immutable after keyspace_attach() */
    unsigned database_count;
    bool single_stripe;
    struct tier *tier;
    struct cold *cold;
    struct hot *hot;
    struct keyspace_select *selects; /* by database: the command that selects it */
    uint64_t random_seed;

    /* the mapping: changed with all stripes held; read under any stripe, or by version as in a seqlock */
    _Atomic uint64_t version;      /* atomic: odd while the mapping changes; acquire, release */
    _Atomic uint32_t *spaces;      /* by database */
    _Atomic uint64_t *space_slots; /* space << 32 | database + 1, or 0; open addressing */
    uint32_t slot_mask;
    uint32_t next_space; /* guarded by: all stripes */
    _Atomic uint32_t
        captured_spaces; /* atomic: next_space at the last capture; no space from it on is in the cold tier */

    struct keyspace_counts *counts; /* by database */
    struct keyspace_lookups lookups[HOT_PARTITION_COUNT];
    struct keyspace_lookups lookups_reset; /* sums at the last reset */
    struct keyspace_metrics metrics;       /* but for lookups, watches and cursors */
    struct keyspace_dead dead;
    struct keyspace_watches watches;
    struct keyspace_cursors cursors;
    struct keyspace_expiry expiry;
    _Atomic bool active_expire;  /* atomic: relaxed */
    _Atomic uint64_t walk_count; /* atomic: relaxed; seeds walks */
};

static inline uint32_t space_of(const struct keyspace *keyspace, unsigned database)
{
    return atomic_load_explicit(&keyspace->spaces[database], memory_order_relaxed);
}

/* A counter that is written under a stripe: with only one there is one writer. */
static inline void count_add(
    const struct keyspace *keyspace, _Atomic uint64_t *counter, uint64_t amount)
{
    if (keyspace->single_stripe)
        atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + amount,
            memory_order_relaxed);
    else
        atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

/* Never below 0: the expiry of a record whose cold header is damaged is not known when it goes. */
static inline void count_drop(const struct keyspace *keyspace, _Atomic uint64_t *counter)
{
    if (atomic_load_explicit(counter, memory_order_relaxed) > 0)
        count_add(keyspace, counter, UINT64_MAX);
}

/* The deadline is past, as Redis sees it: the millisecond itself still lives. */
static inline bool time_is_over(uint64_t expire_ms, uint64_t now_ms)
{
    return expire_ms != 0 && now_ms > expire_ms;
}

/* keyspace_space.c */
void spaces_init(struct keyspace *keyspace);
void spaces_deinit(struct keyspace *keyspace);
/* Makes the table of spaces anew from `spaces`. All stripes held. False: a space belongs to two databases. */
bool spaces_publish(struct keyspace *keyspace);
/* The database a space belongs to; false if it is dead. Any thread; waits out a change of the mapping (microseconds). */
bool space_find_database(const struct keyspace *keyspace, uint32_t space, unsigned *database);
bool space_is_dead(void *context, uint32_t space);
/* The same for a key of the view; the first comparison is nearly always enough. */
static inline bool find_database(
    const struct keyspace_view *view, uint32_t space, unsigned *database)
{
    if (likely(space_of(view->keyspace, view->database) == space)) {
        *database = view->database;
        return true;
    }
    return space_find_database(view->keyspace, space, database);
}
/* No record of the space has ever been in a checkpoint: the cold tier holds none. */
static inline bool space_is_new(const struct keyspace *keyspace, uint32_t space)
{
    return space >= atomic_load_explicit(&keyspace->captured_spaces, memory_order_acquire);
}

/* keyspace_view.c */
/* Deletes an entry (RESIDENT or STUB) whose time is over: counts, WATCH, DEL logged. */
void expire_record(struct keyspace_view *view, const struct key *key, struct hot_record *record);
/*
 * The same for a key without entry that the cold tier holds, past its deadline, for certain: what was read of it is the
 * committed state (X has not moved since).
 */
void expire_cold_record(struct keyspace_view *view, const struct key *key);

/* keyspace_log.c: DEL in this database, which need not be the view's. */
void log_expiry(struct keyspace_view *view, const struct key *key, unsigned database);
/* An effect on the key in this database. */
void log_args_in(struct keyspace_view *view, const struct key *key, unsigned database,
    const struct slice *args, size_t arg_count);

/* keyspace_watch.c */
void watches_init(struct keyspace_watches *watches);
void watches_deinit(struct keyspace_watches *watches);
void watches_touch(struct keyspace *keyspace, const struct key *key, bool by_expiry);
/* A key changed, or went because its time was over. Its stripe is held. */
static inline void note_change(struct keyspace *keyspace, const struct key *key, bool by_expiry)
{
    if (unlikely(atomic_load_explicit(&keyspace->watches.count, memory_order_relaxed) != 0))
        watches_touch(keyspace, key, by_expiry);
}
/* Before the change, all stripes held: the database is emptied, or two are exchanged. */
void watches_flush(struct keyspace *keyspace, unsigned database);
void watches_swap(struct keyspace *keyspace, unsigned a, unsigned b, uint64_t now_ms);
/* After it: the watches of a database follow it to its space. */
void watches_rehash(struct keyspace *keyspace);

/* keyspace_cursor.c */
/* Cursors of the cold part have this bit. Small enough for clients that keep cursors in doubles. */
#define CURSOR_COLD ((uint64_t)1 << 50)
void cursors_init(struct keyspace_cursors *cursors);
void cursors_deinit(struct keyspace_cursors *cursors);
/* Where a cursor resumes: after the key, appended to *after. False: forgotten. */
bool cursor_find(
    struct keyspace_cursors *cursors, uint64_t cursor, uint32_t *space, struct buf *after);
/* The cursor that resumes after this key. It takes the place of `previous`, if that is still known. */
uint64_t cursor_store(
    struct keyspace_cursors *cursors, uint64_t previous, uint32_t space, struct slice after);
/* Its iteration has ended. Takes one that is forgotten. */
void cursor_drop(struct keyspace_cursors *cursors, uint64_t cursor);

/* --- walks (keyspace_walk.c, keyspace_candidates.c, keyspace_random.c) --------------------------------------------- */

/* Keys of one cold read. */
#define WALK_CHUNK_MAX 4096
/* Keys, or groups of buckets, looked at under one lock. */
#define WALK_SLICE_MAX 64
/* Times a chunk is read again because a checkpoint has committed meanwhile. */
#define WALK_RETRY_MAX 16

/* A key that the walk has seen. */
struct walk_candidate {
    uint64_t hash;
    size_t offset; /* of its name */
    uint32_t size;
    bool hot;     /* seen in RAM, not committed to the cold tier then */
    bool expired; /* past its deadline: to be deleted, not returned */
};

enum walk_state {
    WALK_START,
    WALK_READING, /* a cold read is under way, or has come */
    WALK_READY,
};

/* What the read under way is to tell. */
enum descent_read {
    DESCENT_FIRST,  /* the first keys below prefix */
    DESCENT_DRAW,   /* the keys from a byte on */
    DESCENT_COMMON, /* whether there are keys that do not begin with next_prefix */
    DESCENT_BOUND,  /* whether there are keys that go on with a byte above bound */
};

/* RANDOMKEY's descent; see keyspace_random.c. owned by: the walk's turn */
struct walk_descent {
    struct buf prefix;      /* the keys it has narrowed down to begin so */
    struct buf next_prefix; /* while probing: what all of them may have in common */
    unsigned upper;         /* none of them goes on with a byte above */
    unsigned beyond;        /* some of them go on with this byte or one above */
    unsigned bound;
    enum descent_read read;
    bool linear; /* the last resort: in key order, until one is alive */
    unsigned read_count;
    unsigned attempt_count;
    /* the first of them, in order */
    struct cold_range_entry *entries;
    size_t entry_count;
    struct buf names;
    bool is_all; /* there are no others */
};

struct keyspace_walk {
    /* immutable */
    struct keyspace *keyspace;
    struct tier_turn *turn;
    struct tier_wait *wait;
    struct keyspace_walk_options options; /* its pattern is the copy: */
    struct buf pattern;
    bool filtered;       /* by pattern or type */
    struct slice prefix; /* literal start of the pattern */

    enum walk_state state;
    uint32_t space;
    uint64_t now_ms;
    uint64_t lsn; /* X when the walk began */
    unsigned restart_count;

    /* SCAN */
    uint64_t count;       /* COUNT, within bounds */
    uint64_t seen_count;  /* keys looked at in this step */
    uint64_t look_count;  /* what has been looked at in RAM */
    uint64_t next_cursor; /* of RAM; 0 at its end */
    uint64_t position;    /* the cold cursor it came with, or 0 */
    bool remember;        /* goes on in the cold tier, after `after` */

    /* cold reads */
    struct cold_job job; /* the I/O threads' while it is read */
    struct buf start;    /* of the job */
    struct buf after;    /* the last key of the chunks handled */
    uint64_t job_lsn;    /* X when it was submitted */
    unsigned retry_count;

    /* keys seen */
    struct buf names;
    struct walk_candidate *candidates;
    size_t candidate_count;
    size_t candidate_capacity;
    uint32_t *set; /* open addressing: index + 1 of a candidate */
    size_t set_size;

    struct random random;
    struct walk_descent descent;
};

/* keyspace_walk.c */
/* Submits a read of keys after walk->start that begin with prefix. */
void walk_read(struct keyspace_walk *walk, struct slice prefix, size_t entry_max);
/* By the pattern and the type that are asked for. */
bool walk_wants_name(const struct keyspace_walk *walk, struct slice name);
bool walk_wants_type(const struct keyspace_walk *walk, enum value_type type);

/* keyspace_candidates.c */
/* Locks stripes unless the turn holds them already; true if they are to be unlocked again. */
bool walk_lock(struct keyspace_walk *walk, uint64_t stripes);
void walk_unlock(struct keyspace_walk *walk, bool locked);
/* Adds a key unless it is there. */
void walk_add(struct keyspace_walk *walk, const struct key *key, bool hot, bool expired);
void walk_truncate(struct keyspace_walk *walk, size_t candidate_count);
static inline struct key candidate_key(
    const struct keyspace_walk *walk, const struct walk_candidate *candidate)
{
    return (struct key){
        .data = walk->names.data + candidate->offset,
        .size = candidate->size,
        .space = walk->space,
        .hash = candidate->hash,
    };
}
/*
 * What RAM does not override of the entries becomes a candidate. False: a checkpoint has committed since they were read, so nothing
 * was added.
 */
bool walk_resolve(struct keyspace_walk *walk, const struct cold_range_entry *entries, size_t count,
    const struct buf *names);
/* What a candidate is at finish(), all stripes held. record: its entry if it has one that exists. */
enum walk_verdict { WALK_GONE, WALK_ALIVE, WALK_EXPIRED };
enum walk_verdict walk_judge(const struct keyspace_walk *walk, const struct keyspace_view *view,
    const struct walk_candidate *candidate, struct hot_record **record);
/* SCAN and RANDOMKEY delete what they find past its deadline. */
void walk_expire(const struct keyspace_walk *walk, struct keyspace_view *view,
    const struct walk_candidate *candidate, struct hot_record *record);

/* keyspace_random.c */
void random_deinit(struct walk_descent *descent);
/* Both: ST_OK, ST_PENDING. */
enum status random_begin(struct keyspace_walk *walk);
enum status random_arrived(struct keyspace_walk *walk);
void random_finish(
    struct keyspace_walk *walk, struct keyspace_view *view, keyspace_emit_fn emit, void *context);

/* keyspace_expire.c */
void expiry_init(struct keyspace_expiry *expiry);

#endif
