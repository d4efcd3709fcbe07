/*
 * hot.h: the RAM tier: what RAM knows of each key, and which records to let go.
 *
 * The tier is cut into HOT_PARTITION_COUNT partitions by key hash. Each has an index (linear hashing: it grows and
 * shrinks one bucket at a time, no pauses), S3-FIFO queues (Yang et al., SOSP '23), a ghost list and its
 * account of memory. Partitions are guarded by stripes: as many locks as partitions, or a single one when there is one worker
 * (one lock per turn then stands for all). Every function that takes a record or key requires its stripe to be held
 * (asserted in debug builds), unless it says otherwise.
 *
 * An entry is in one of four states:
 *
 *   RESIDENT   the record is here
 *   STUB       the record exists, in the cold tier only; type, sizes and expiry are known here
 *   ABSENT     the record does not exist: a pending delete (dirty) or what a cold read found (clean)
 *   FETCHING   a cold read is under way; its owner hangs on the entry. Nothing else changes the entry meanwhile
 *
 * No entry means: not in RAM; ask the cold tier's filter.
 *
 * and, by its relation to the cold tier, in one of four dirty states (DESIGN §7):
 *
 *   CLEAN     equal to the cold tier (or an ABSENT that agrees with it)
 *   DIRTY     changed in the current epoch
 *   OLD       changed in the epoch that a running checkpoint writes; its image is not yet taken
 *   IMAGED    written into the checkpoint's transaction, unchanged since
 *
 *   CLEAN ──edit──► DIRTY ──flip──► OLD ──image──► IMAGED ──commit──► CLEAN
 *                     ▲              │ edit: save_image hook     │ edit
 *                     └──────────────┴──────────────────────────┘
 *
 * Only CLEAN, unpinned records are ever demoted (I7). Nothing here does I/O or waits.
 */
#ifndef STORAGE_HOT_H
#define STORAGE_HOT_H

#include "base/key.h"
#include "base/metric.h"
#include "base/random.h"
#include "base/status.h"
#include "storage/value.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOT_PARTITION_COUNT 64

struct hot;
struct
    hot_record; /* one entry; the pointer is valid until the next call that may move or free it (hot_write,
                      hot_expire_set, hot_delete, hot_install, hot_demote...) or the stripe is released */

enum hot_state { HOT_RESIDENT, HOT_STUB, HOT_ABSENT, HOT_FETCHING };
enum hot_dirty { HOT_CLEAN, HOT_DIRTY, HOT_OLD, HOT_IMAGED };
enum hot_queue { HOT_QUEUE_NONE, HOT_QUEUE_PROBATION, HOT_QUEUE_MAIN };

/*        field                 kind            help */
#define HOT_METRICS(X)                                                                    \
    X(record_count, METRIC_GAUGE, "resident records")                                     \
    X(entry_count, METRIC_GAUGE, "index entries in any state")                            \
    X(record_bytes, METRIC_GAUGE, "memory of records, stubs and values")                  \
    X(index_bytes, METRIC_GAUGE, "memory of the index")                                   \
    X(ghost_bytes, METRIC_GAUGE, "memory of the ghost lists")                             \
    X(dirty_count, METRIC_GAUGE, "entries newer than the cold tier")                      \
    X(dirty_bytes, METRIC_GAUGE, "memory of records newer than the cold tier")            \
    X(demoted_count, METRIC_COUNTER, "records whose RAM copy was dropped")                \
    X(ghost_hit_count, METRIC_COUNTER, "promoted records that the ghost list remembered") \
    X(prefetch_used_count, METRIC_COUNTER, "first uses of prefetched records")            \
    X(prefetch_wasted_count, METRIC_COUNTER, "prefetched records demoted unused")

struct hot_metrics {
    HOT_METRICS(METRIC_FIELD)
};

struct hot_config {
    bool single_stripe; /* one lock for all partitions */
    /* Called before an OLD record changes or leaves: the checkpoint copies it. Under the stripe. Not NULL. */
    void (*save_image)(void *context, const struct hot_record *record);
    void *context;
};

/* Heat of an entry, kept across demotion lists and restarts. */
struct hot_heat {
    enum hot_queue queue;
    uint8_t frequency; /* 0..3 */
};

/* What a cold read found, or a header without its value. */
struct hot_content {
    enum hot_state state; /* RESIDENT, STUB or ABSENT */
    struct value value;   /* RESIDENT: inline bytes are copied, blob or object ownership moves */
    enum value_type type; /* STUB */
    enum value_encoding encoding; /* STUB */
    uint64_t value_size;          /* STUB: encoded size */
    uint64_t expire_ms;           /* 0 = never */
    bool corrupt;                 /* STUB: the cold value cannot be read */
    bool prefetched;              /* nobody asked for it yet */
    struct hot_heat heat;         /* QUEUE_NONE: S3-FIFO decides (ghost → main, else probation) */
};

MUST_USE struct hot *hot_create(const struct hot_config *config);
/* Frees everything without hooks. Takes NULL. No other thread may use it. */
void hot_destroy(struct hot *hot);
/* Sums over the partitions; any thread, no lock. */
void hot_metrics_read(const struct hot *hot, struct hot_metrics *metrics);
/* record_bytes + index_bytes + ghost_bytes; any thread, no lock, cheap (kept incrementally). */
uint64_t hot_memory_bytes(const struct hot *hot);

/* --- stripes ------------------------------------------------------------------------------------- */

/* Bit of the key's stripe; bits of several keys are or-ed and locked together. */
uint64_t hot_stripe(const struct hot *hot, const struct key *key);
uint64_t hot_stripe_of_partition(const struct hot *hot, unsigned partition);
uint64_t hot_stripes_all(const struct hot *hot);
bool hot_has_single_stripe(const struct hot *hot);
/* Ascending. Not recursive. */
void hot_lock(struct hot *hot, uint64_t stripes);
bool hot_try_lock(struct hot *hot, uint64_t stripes);
void hot_unlock(struct hot *hot, uint64_t stripes);
unsigned hot_partition(const struct key *key);

/* --- looking up ------------------------------------------------------------------------------------ */

/*
 * Software prefetch for batches: fetches what looking these keys up will touch, all at once, and the first 128 to 192 bytes of their records. As many keys as
 * the innermost cache has room for: some hundred. Under the stripes.
 */
void hot_prefetch(const struct hot *hot, const struct key *keys, size_t count);
/* Fetches the rest of a record's value, up to some KiB. A look-up is part of it. Under the stripe. */
void hot_prefetch_value(const struct hot *hot, const struct key *key);

/* The entry in whatever state, or NULL. Changes nothing. */
struct hot_record *hot_find(const struct hot *hot, const struct key *key);
/*
 * Marks a use: frequency, access clock (now_s: seconds). True if the record had been prefetched and
 * this is its first use. The first use of a record after it was written new or installed is the access that brought it:
 * it sets the clock, but does not count towards the frequency (S3-FIFO).
 */
bool hot_touch(struct hot *hot, struct hot_record *record, uint32_t now_s);
/* Sets the access clock alone, of a record just made: that is no use yet. */
void hot_record_stamp(struct hot_record *record, uint32_t now_s);

enum hot_state hot_record_state(const struct hot_record *record);
enum hot_dirty hot_record_dirty(const struct hot *hot, const struct hot_record *record);
/* The cold tier holds (or, if a checkpoint under way commits, will hold) a record of this key. */
bool hot_record_in_cold(const struct hot_record *record);
/* The cold tier holds it for certain: committed. */
bool hot_record_cold_committed(const struct hot_record *record);
bool hot_record_corrupt(const struct hot_record *record);
bool hot_record_prefetched(const struct hot_record *record);
/* hash is not kept in the record: computed anew when with_hash. The slice points into the record. */
struct key hot_record_key(const struct hot_record *record, bool with_hash);
/* RESIDENT: a borrowed handle (no reference is taken). STUB: type and encoding only. */
struct value hot_record_value(const struct hot_record *record);
uint64_t hot_record_expire_ms(const struct hot_record *record);
/* Encoded or string size of the value without reading it; STUB too. */
uint64_t hot_record_value_size(const struct hot_record *record);
/* Memory of entry and value. */
size_t hot_record_bytes(const struct hot_record *record);
uint32_t hot_record_access_s(const struct hot_record *record);
struct hot_heat hot_record_heat(const struct hot_record *record);

/* --- changes by commands (always dirty) ---------------------------------------------------------------- */

/*
 * Creates or overwrites: the record becomes RESIDENT with this value and expiry (0 = never). record is
 * what hot_find(key) gave (NULL, RESIDENT, STUB or ABSENT; never FETCHING). Inline bytes are copied, into the old
 * allocation when they fit its size class; blob or object ownership moves. value.bytes may point
 * into the record itself; key->data may, too, but is gone if the record moved. `in_cold`: if record is NULL,
 * whether the cold tier may hold the key. Returns the record (perhaps moved).
 */
struct hot_record *hot_write(struct hot *hot, const struct key *key, struct hot_record *record,
    struct value value, uint64_t expire_ms, bool in_cold);

/*
 * Announces an in-place change of a RESIDENT record's value (same size bytes, blob or object contents):
 * saves the image if needed, marks dirty. The caller changes it, then calls hot_edit_done() so that the
 * account of external memory follows.
 */
void hot_edit(struct hot *hot, const struct key *key, struct hot_record *record);
void hot_edit_done(struct hot *hot, struct hot_record *record, size_t external_bytes_before);

/* Changes the expiry of a RESIDENT record (0 = never). Returns the record, perhaps moved. */
struct hot_record *hot_expire_set(
    struct hot *hot, const struct key *key, struct hot_record *record, uint64_t expire_ms);

/*
 * The record (RESIDENT or STUB) ceases to exist: becomes a pending delete if the cold tier may hold it, else leaves
 * (if pinned, it stays as a clean ABSENT entry).
 * big_value (may be NULL): takes over a blob or object that is expensive to free; else it is released here.
 */
void hot_delete(
    struct hot *hot, const struct key *key, struct hot_record *record, struct value *big_value);

/* As hot_delete(), for a key without an entry that the cold tier may hold: makes the pending delete. */
void hot_delete_cold(struct hot *hot, const struct key *key);

/* --- changes by the tier (not dirty) --------------------------------------------------------------------- */

/* Makes the FETCHING entry of a key that has none; owner is given back by hot_fetch_owner(). */
struct hot_record *hot_fetch_begin(struct hot *hot, const struct key *key, void *owner);
/* Turns a STUB into FETCHING (its value is now wanted). Returns the record. */
struct hot_record *hot_fetch_upgrade(
    struct hot *hot, const struct key *key, struct hot_record *record, void *owner);
void *hot_fetch_owner(const struct hot_record *record);
/*
 * Ends FETCHING with what was found (clean); pins stay. content == NULL removes the entry, pins or not. Returns the
 * record or NULL.
 */
struct hot_record *hot_install(struct hot *hot, const struct key *key, struct hot_record *record,
    const struct hot_content *content);
/* Restart: creates a clean RESIDENT record for a key without entry, as hot_install(). */
struct hot_record *hot_restore(
    struct hot *hot, const struct key *key, const struct hot_content *content);

/* A pinned entry is not demoted. At most HOT_PIN_MAX at once: false beyond, the caller does without. */
#define HOT_PIN_MAX 200
bool hot_pin(struct hot_record *record);
void hot_unpin(struct hot_record *record);

/* Drops the RAM copy of this clean, unpinned entry now, leaving no ghost. False if it is dirty, pinned or FETCHING. */
bool hot_demote_record(struct hot *hot, const struct key *key, struct hot_record *record);

struct hot_demotion {
    size_t freed_bytes;
    size_t examined_count;
    size_t dirty_count; /* candidates that could not leave because they are dirty */
};
/*
 * S3-FIFO steps in one partition until target_bytes are freed, or step_max entries were examined. Dirty and
 * pinned candidates go back to the head of main. Clean STUB and ABSENT entries go first.
 */
void hot_demote(struct hot *hot, unsigned partition, size_t target_bytes, size_t step_max,
    struct hot_demotion *demotion);

/* --- checkpoint (epochs) ---------------------------------------------------------------------------------- */

/* All stripes held: every DIRTY entry becomes OLD. There must be no OLD or IMAGED entry. */
void hot_epoch_flip(struct hot *hot);
/*
 * Visits OLD entries of a partition, from *cursor (0 at first), at most bucket_max bucket groups; true while more remain.
 * Costs a read of the index, prefetched; clean records are not touched. Entries that stay OLD are never missed, however the
 * index grows or shrinks between calls. visit may mark or remove the record it is given,
 * and nothing else. Entries that change between calls may be visited twice or, when they stopped being OLD, not at all.
 */
typedef void (*hot_visit_fn)(void *context, struct hot_record *record);
bool hot_visit_old(struct hot *hot, unsigned partition, uint64_t *cursor, size_t bucket_max,
    hot_visit_fn visit, void *context);
/* OLD → IMAGED. */
void hot_mark_imaged(struct hot *hot, const struct key *key, struct hot_record *record);
/* IMAGED → CLEAN after the commit; an ABSENT entry then leaves (pinned: stays, clean). Others are left alone. */
void hot_mark_committed(struct hot *hot, const struct key *key, struct hot_record *record);
/* OLD or IMAGED → DIRTY after a failed checkpoint. */
void hot_mark_dirty_again(struct hot *hot, const struct key *key, struct hot_record *record);

/* --- walks -------------------------------------------------------------------------------------------------- */

/*
 * SCAN's walk: visits the entries of one bucket group and returns the next cursor, 0 at the end. Entries present
 * from start to end are visited at least once, however the index grows or shrinks in between (Redis's
 * reverse-binary cursor over linear hashing; partition in the low bits). The stripe of hot_scan_partition(cursor) must be held.
 * Any number is a safe cursor. visit may remove or move the record it is given (so in the other walks, too), and no other.
 */
unsigned hot_scan_partition(uint64_t cursor);
uint64_t hot_scan(struct hot *hot, uint64_t cursor, hot_visit_fn visit, void *context);

/*
 * Removes up to record_max entries of dead name spaces from a partition, walking buckets from *cursor; true while more remain.
 * Examines about as many entries at most. They leave without a pending delete: the cold tier drops the whole space.
 * Entries that are OLD, IMAGED, pinned or FETCHING stay for a later sweep and are counted in *skipped.
 */
typedef bool (*hot_is_dead_fn)(void *context, uint32_t space);
bool hot_sweep(struct hot *hot, unsigned partition, uint64_t *cursor, size_t record_max,
    hot_is_dead_fn is_dead, void *context, size_t *skipped);

/* Some RESIDENT or STUB entry of a space from a random place, or NULL after probe_max buckets. */
struct hot_record *hot_random(
    struct hot *hot, unsigned partition, uint32_t space, struct random *random, size_t probe_max);

/* Some value has, or had, parts with an expiry. Any thread, no lock. */
bool hot_has_parts(const struct hot *hot);
/*
 * Entries with an expiry, and some of whose values' parts have one or had, from a random place on: visits up to record_max of them in up to
 * bucket_max buckets (active expiry).
 */
void hot_sample_expiring(struct hot *hot, unsigned partition, struct random *random,
    size_t bucket_max, size_t record_max, hot_visit_fn visit, void *context);

/* RESIDENT entries of one queue, hottest (newest) first, at most record_max. */
void hot_visit_queue(struct hot *hot, unsigned partition, enum hot_queue queue, size_t record_max,
    hot_visit_fn visit, void *context);

/* Validates everything in a partition (debug, tests): index, queues, accounts. Aborts on a violation. */
void hot_check(struct hot *hot, unsigned partition);

#endif
