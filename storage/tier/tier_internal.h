/*
 * tier_internal.h: what the files of the tier share. README.md has the pictures.
 *
 * Locks: stripes (rank STRIPE), then one of tier.lock and tier_images.lock (rank TIER; never both). No cold write function
 * and no wait for the log is ever called with any of them held.
 */
#ifndef TIER_INTERNAL_H
#define TIER_INTERNAL_H

#include "base/check.h"
#include "base/compiler.h"
#include "base/file.h"
#include "base/mem.h"
#include "storage/tier.h"

#include <stdatomic.h>

/* Names in the cold tier's meta table. */
#define TIER_META_STATE "tier"
#define TIER_META_LAYER "keyspace"
#define TIER_META_HEAT  "hotlist"

#define TIER_PATH_MAX 4096

/* --- saved images (tier_image.c) ------------------------------------------------------------------------- */

/* The encoded value of a record, or what it will be made of. Owns references. */
struct payload {
    struct blob *blob;           /* shared with the record; or */
    struct value_object *object; /* a snapshot, to be encoded; else: */
    size_t offset;               /* its place in bytes copied, */
    size_t size;                 /* and its size */
};
/*
 * Takes that of a resident record, in short time: what is copied is appended to *copy. Fills the header. Under the stripe.
 */
void payload_take(const struct hot_record *record, struct cold_header *header,
    struct payload *payload, struct buf *copy);
/* Its bytes: in the blob, in copies (what payload_take() appended to), or encoded now, to scratch. */
struct slice payload_bytes(const struct payload *payload, const char *copies, struct buf *scratch);
void payload_release(struct payload *payload);

/* What the cold tier is to hold of a key: taken from its record, which may change from then on. */
struct tier_image {
    struct key key; /* bytes follow the struct, and those of the payload them */
    size_t size;    /* of all that, padded */
    bool is_delete;
    struct cold_header header;
    struct payload payload;
    uint64_t generation; /* of cold_stage(), else 0 */
    size_t staged_size;  /* of the payload that was staged */
};

/* Images in order of arrival. Filled by workers under their stripe and by the checkpointer, emptied by the checkpointer. */
struct image_block;
struct tier_images {
    struct mutex lock;
    struct image_block *blocks; /* guarded by: lock; newest first */
    size_t count;               /* guarded by: lock */
    _Atomic uint64_t bytes;     /* atomic: relaxed; of batches taken, too */
};
/* Images that were taken out, to be put. */
struct tier_image_batch {
    struct image_block *blocks;
    struct key *keys; /* sorted; image_of_key() of each is its image */
    size_t count;
};

void images_init(struct tier_images *images);
/* There may be images left: they are dropped. */
void images_deinit(struct tier_images *images);
/* The record is OLD; its stripe is held. */
void images_save(struct tier_images *images, const struct hot_record *record);
/* All there are now. */
void images_take(struct tier_images *images, struct tier_image_batch *batch);
/* The key is one of a batch. */
struct tier_image *image_of_key(const struct key *key);
void image_batch_free(struct tier_images *images, struct tier_image_batch *batch);
typedef void (*image_fn)(void *context, struct tier_image *image);
/* Under the lock: visit must be quick. */
void images_each(struct tier_images *images, image_fn visit, void *context);
void images_drop(struct tier_images *images);
uint64_t images_bytes(const struct tier_images *images);
struct slice image_payload(const struct tier_image *image, struct buf *scratch);

/* --- the tier -------------------------------------------------------------------------------------------- */

/* Figures that may_write() and the limits are made of; refreshed by room_refresh(). */
struct tier_room {
    _Atomic uint64_t hot_limit;   /* UINT64_MAX: none */
    _Atomic uint64_t dirty_limit; /* the same */
    _Atomic uint64_t dirty_bytes; /* cached sum over the partitions */
    _Atomic uint64_t dirty_count; /* the same */
    _Atomic int64_t
        database_bytes; /* what the database keeps: tables, pages for its next transaction */
    _Atomic uint64_t checkpoint_estimate; /* memory that a checkpoint of what is dirty would take */
    _Atomic uint64_t cold_file_bytes;
    _Atomic uint64_t pressure_bytes; /* taken off the limit because pages exceed allocations */
    _Atomic uint64_t logged_bytes;   /* journal bytes since the last refresh */
    _Atomic uint32_t partition;      /* where the next demotion step goes */
    _Atomic bool stuck;              /* over the limit, and what is left is dirty */
};

/* Sorted numbers of spaces. */
struct tier_spaces {
    uint32_t *spaces;
    size_t count;
};

struct tier {
    /* immutable after tier_open() */
    char *directory;
    char *aof_directory;
    char *cold_directory;
    const struct tier_options *options; /* read with OPTION_GET */
    const struct aof_options *aof_options;
    struct tier_hooks hooks;
    struct file *lock_file;
    struct hot *hot;
    struct cold *cold;
    uint64_t store_id;
    struct buf meta; /* the layer's state at X of the start */

    struct aof *aof; /* immutable after tier_recover() */
    struct tier_metrics *metrics;
    struct tier_room *room;
    struct tier_images images;

    _Atomic uint64_t partition_lsn
        [HOT_PARTITION_COUNT];     /* atomic: stored under the stripe, release; loaded acquire */
    _Atomic uint64_t change_count; /* atomic: relaxed; effects appended */
    _Atomic uint64_t checkpoint_change_count; /* atomic: relaxed; of them, before X */
    _Atomic uint64_t checkpoint_lsn;          /* atomic: release by the checkpointer: X */
    _Atomic uint64_t checkpoint_unix_s;       /* atomic: relaxed */
    _Atomic uint64_t checkpoint_log_ms;       /* for log_every() */
    _Atomic uint32_t checkpoint_status;       /* atomic: relaxed; enum status */
    _Atomic uint32_t checkpoint_failures;     /* atomic: relaxed; in a row */

    /* owned by: the checkpointer (recovery's thread before it starts) */
    struct tier_spaces killed; /* dead in the cold tier, perhaps not yet swept from RAM */
    uint64_t heat_stored_ms;   /* monotonic */
    uint64_t heat_promoted;    /* promotions when the hot list was stored */
    bool ballast_released;
    bool reclaim_wanted;

    struct mutex lock;
    struct condition wake;
    struct tier_wait *waiting; /* guarded by: lock; for the next checkpoint */
    bool checkpoint_wanted;    /* guarded by: lock */
    bool closing;              /* guarded by: lock */
    bool close_save;           /* guarded by: lock */
    _Atomic bool
        wake_wanted; /* atomic: relaxed hint: a trigger was seen since the thread last looked */
    _Atomic bool sweep_wanted; /* atomic: relaxed */
    _Atomic bool warm_stop;    /* atomic: relaxed */
    struct thread checkpointer;
    struct thread warm;
    struct mailbox warm_mailbox;
    bool warm_mailbox_open;
};

/* tier.c */
/* Encodes X and what goes with it; see the file for the format. */
void tier_state_encode(const struct tier *tier, uint64_t lsn, uint64_t wall_ms, struct buf *out);
static inline bool tier_space_is_dead(const struct tier *tier, uint32_t space)
{
    return tier->hooks.space_is_dead(tier->hooks.context, space);
}
bool spaces_contain(const struct tier_spaces *spaces, uint32_t space);
/* more need not be sorted. */
void spaces_add(struct tier_spaces *spaces, const uint32_t *more, size_t count);

/* --- turns and fetches -------------------------------------------------------------------------------------- */

struct tier_fetch;

struct tier_turn {
    struct task arrivals_task; /* first: sent to the mailbox when arrivals becomes non-empty */
    struct tier *tier;
    struct mailbox *mailbox; /* NULL: recovery */
    uint64_t locked;         /* stripes held */

    /* the journal */
    struct buf journal; /* effects, without the first prefix */
    struct buf prefix;  /* of the first effect */
    struct buf group_header;
    uint32_t first_context;
    uint32_t last_context;
    unsigned group_depth; /* of groups begun and not ended: 0 is none */
    bool group_begun;     /* its header is in the journal */
    uint64_t changed_partitions;
    uint64_t effect_count;
    uint64_t appended_bytes; /* since the stripes were locked */

    uint64_t room_retry_ms;    /* monotonic: no demotion before */
    uint32_t room_skip_count;  /* turns that have not looked at the memory */
    uint64_t room_grown_bytes; /* by their writes */
    bool room_due;             /* look in any case: cold records came in, or it did not fit */

    struct overwrites *overwrites; /* recovery's turn; NULL before the first */

    _Atomic(struct tier_fetch *)
        arrivals; /* atomic: pushed by I/O threads (release), taken whole here (acquire) */
    _Atomic uint32_t
        read_count; /* atomic: reads under way whose home is here; release when one ends */
};

static inline bool turn_is_recovery(const struct tier_turn *turn)
{
    return turn->mailbox == NULL;
}

/* tier_overwrite.c; takes NULL. */
struct overwrites;
void overwrites_destroy(struct overwrites *overwrites);

/* A turn without a mailbox: recovery's. */
struct tier_turn *turn_create_recovery(struct tier *tier);

enum fetch_origin { FETCH_DEMAND, FETCH_PREFETCH, FETCH_WARM };

/* Jobs collected under stripes, to be submitted together. */
#define FETCH_BATCH_MAX 64
struct fetch_batch {
    struct cold_job *jobs[FETCH_BATCH_MAX];
    size_t count;
};
void fetch_batch_submit(struct tier *tier, struct fetch_batch *batch);

/*
 * Starts a read for a key without entry (record NULL) or with a STUB, and makes the entry FETCHING. Under the stripe. heat: for
 * FETCH_WARM, else zero.
 */
struct tier_fetch *fetch_begin(struct tier_turn *turn, const struct key *key,
    struct hot_record *record, enum tier_need need, enum fetch_origin origin, struct hot_heat heat,
    struct fetch_batch *batch);
/* wait->pending_count is raised; a read that is not of demand priority is read again at it. Under the stripe. */
void fetch_join(struct tier_fetch *fetch, struct tier_wait *wait, size_t index, enum tier_need need,
    struct fetch_batch *batch);
/* The task of a turn: installs what arrived. */
void fetch_arrivals_run(struct task *task);

/* What a finished job says about a key. False: nothing to keep. The value moves out of the job. */
bool fetch_content(struct cold_job *job, bool wanted, struct hot_content *content);

/* What a request finds when it needs a key. */
enum readiness { KEY_READY, KEY_MISSING, KEY_FETCHING, KEY_CORRUPT };
/* record: what hot_find() gave. */
enum readiness key_readiness(const struct tier *tier, const struct key *key,
    const struct hot_record *record, enum tier_need need);

/* wait->status = status, unless it holds a failure. */
void wait_fail(struct tier_wait *wait, enum status status);
/* Sends the wait's task to its turn, or runs it when it is a task of this one. wait may be gone on return. */
void wait_send(struct tier_wait *wait);
bool wait_is_pinned(const struct tier_wait *wait, size_t index);
/* Pins unless it is pinned, or the record has HOT_PIN_MAX pins. The words must be there. */
void wait_pin(struct tier_wait *wait, size_t index, struct hot_record *record);

/* --- room (tier_room.c) --------------------------------------------------------------------------------------- */

/* Sums the partitions' dirty figures, derives the dirty limit; true if a checkpoint should begin because of them. Any thread. */
bool room_refresh(struct tier *tier);
/* After an append of so many bytes; wakes the checkpointer when a trigger is reached. No stripe locked. */
void room_note_logged(struct tier *tier, uint64_t bytes);
/* checkpoint-memory, or what stands for its default. */
uint64_t room_checkpoint_bound(const struct tier *tier);
/* Replaying the log tail would take so long that a checkpoint should begin. */
bool room_tail_is_long(const struct tier *tier);
/* The database's memory has changed: the writing thread's mem_thread_balance() after its functions less that before. */
void room_note_database(struct tier *tier, int64_t bytes);
/* What it keeps now. */
uint64_t room_database_bytes(const struct tier *tier);
/* The membership filter's memory, which is no part of that. */
uint64_t room_filter_bytes(const struct tier *tier);
/* Around a checkpoint: what it allocates up to checkpoint-memory is not taken off the hot limit. */
void room_checkpoint_begin(struct tier *tier);
void room_checkpoint_end(struct tier *tier);

/* --- checkpoint ----------------------------------------------------------------------------------------------- */

struct checkpoint_plan {
    bool recovery; /* X is `lsn`, and the log is durable up to it */
    uint64_t lsn;
    bool with_heat; /* store the hot list */
};
/* One checkpoint from beginning to end, on the checkpointer (or recovery's thread). What it returns is what a commit can. */
MUST_USE enum status checkpoint_run(
    struct tier *tier, const struct checkpoint_plan *plan, struct error *error);

/* Blocks of key bytes. */
struct arena_block;
struct arena {
    struct arena_block *blocks;
    size_t used;
    uint64_t bytes; /* allocated */
};
const char *arena_copy(struct arena *arena, const char *data, size_t size);
void arena_deinit(struct arena *arena);

struct checkpoint {
    struct tier *tier;
    uint64_t lsn; /* X */
    uint64_t wall_ms;
    uint64_t change_count;
    struct buf meta;         /* captured */
    struct tier_spaces dead; /* captured: died since the last committed capture */
    bool captured;
    struct arena arena;
    struct key *keys; /* changed since the last X; sorted, each once */
    size_t key_count;
    size_t key_capacity;
    size_t *large; /* while collecting: indexes of keys whose value has to be staged */
    size_t large_count;
    size_t large_capacity;
    int64_t balance;    /* of this thread when the database was last called */
    struct buf copies;  /* payloads of the slice being written */
    struct buf scratch; /* a payload being encoded */
    struct buf heat;    /* the hot list, if it is to be stored */
};

/* tier_checkpoint_write.c: writes all keys of the list. */
MUST_USE enum status checkpoint_write(
    struct checkpoint *checkpoint, struct cold_txn *txn, struct error *error);
/* Stages the values that exceed a transaction. */
MUST_USE enum status checkpoint_stage(struct checkpoint *checkpoint, struct error *error);
/* Brings the bytes of keys into the caches and, with a single stripe, which is held, what they lead to. */
void checkpoint_prefetch(const struct hot *hot, const struct key *keys, size_t count);
/* Dead at X. */
bool checkpoint_space_is_dead(const struct checkpoint *checkpoint, uint32_t space);
void checkpoint_note_memory(const struct checkpoint *checkpoint);
/* Around calls of the database: what it allocates is noted. */
void checkpoint_database_begin(struct checkpoint *checkpoint);
void checkpoint_database_end(struct checkpoint *checkpoint);

/* tier_sort.c: the order of the cold tier's keys. */
int keys_compare(const struct key *a, const struct key *b);
/* Takes the array over; returns the sorted one, of exactly count keys. */
MUST_USE struct key *keys_sort(struct key *keys, size_t count);

/* tier_checkpointer.c */
void checkpointer_start(struct tier *tier);
/* Ends the thread, with a last checkpoint if save. */
void checkpointer_stop(struct tier *tier, bool save);
void checkpointer_wake(struct tier *tier);

/* tier_sweep.c: a walk over all partitions; true if some had to stay. Checkpointer thread. */
bool sweep_run(struct tier *tier);

/* --- hot list (tier_heat.c) and warm restart (tier_warm.c) ------------------------------------------------------- */

/* Bytes of the stored list, at most. */
#define HEAT_LIST_SIZE_MAX ((size_t)(16 * MiB))
void heat_encode(struct tier *tier, struct buf *out);
struct heat_entry {
    uint32_t space;
    struct slice key;
    struct hot_heat heat;
};
/* The number of entries; reader is placed before the first. 0 if the list is none of ours. */
uint64_t heat_decode_begin(struct reader *reader);
/* False at the end or where the bytes make no sense. */
bool heat_decode_next(struct reader *reader, struct heat_entry *entry);

void warm_start(struct tier *tier);
/* Stops the walk; returns when no read of it is under way. */
void warm_stop(struct tier *tier);

#endif
