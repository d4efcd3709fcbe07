/*
 * hot_internal.h: what the files of the hot tier share: the record, the index, the queues, the partition.
 *
 * README.md has the pictures. Nothing here is seen by other modules.
 */
#ifndef HOT_INTERNAL_H
#define HOT_INTERNAL_H

#include "base/check.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "base/thread.h"
#include "storage/hot.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

/* --- the record ------------------------------------------------------------------------------------ */

/*
 * One allocation: this header, then 8 bytes of expiry if has_expiry, the key, and value_size bytes of
 * value. What those hold: the bytes of a short string; 8 bytes of an integer; an 8-byte pointer to a blob or object
 * (external), or to the owner of a fetch; for a STUB the 8-byte size of the cold value; for an ABSENT nothing.
 */
struct hot_record {
    uint32_t next_low; /* queue links, 48 bits each; next is towards the tail */
    uint32_t previous_low;
    uint16_t next_high;
    uint16_t previous_high;
    uint32_t space;
    uint32_t key_size;
    uint32_t value_size;
    uint32_t access_s;
    unsigned state : 2;    /* enum hot_state */
    unsigned dirty : 2;    /* enum dirty_code */
    unsigned queue : 2;    /* enum hot_queue, or QUEUE_LIMBO */
    unsigned type : 3;     /* enum value_type */
    unsigned encoding : 4; /* enum value_encoding */
    unsigned frequency : 2;
    unsigned has_expiry : 1;
    unsigned external : 1; /* the value is a pointer to a blob (strings) or object */
    unsigned in_cold : 1;
    unsigned cold_committed : 1;
    unsigned corrupt : 1;
    unsigned prefetched : 1;
    unsigned fresh : 1; /* the access that brought it has not been reported yet */
    unsigned unused : 2;
    unsigned pins : 8;
};

#define RECORD_HEADER_BYTES ((size_t)32)
#define POINTER_VALUE_BYTES ((uint32_t)8)
static_assert(sizeof(struct hot_record) == RECORD_HEADER_BYTES,
    "16 bytes of key and 16 of value fit the allocator's 64-byte class");
static_assert(VALUE_TYPE_COUNT <= 8, "type has 3 bits");
static_assert(VALUE_ENCODING_COUNT <= 16, "encoding has 4 bits");
static_assert(HOT_PIN_MAX <= 255, "pins has 8 bits");

/* A changed record carries the parity of its epoch, so that a flip changes no record. */
enum dirty_code { CODE_CLEAN = 0, CODE_IMAGED = 1, CODE_EPOCH_EVEN = 2, CODE_EPOCH_ODD = 3 };

static inline char *record_bytes_at(const struct hot_record *record, size_t offset)
{
    return (char *)(uintptr_t)record + offset;
}

static inline size_t record_key_offset(const struct hot_record *record)
{
    return RECORD_HEADER_BYTES + ((size_t)record->has_expiry << 3);
}

static inline char *record_key_data(const struct hot_record *record)
{
    return record_bytes_at(record, record_key_offset(record));
}

static inline char *record_value_data(const struct hot_record *record)
{
    return record_bytes_at(record, record_key_offset(record) + record->key_size);
}

static inline size_t layout_bytes(bool has_expiry, size_t key_size, size_t value_size)
{
    return RECORD_HEADER_BYTES + (has_expiry ? 8 : 0) + key_size + value_size;
}

static inline size_t record_layout_bytes(const struct hot_record *record)
{
    return layout_bytes(record->has_expiry, record->key_size, record->value_size);
}

static inline void *record_load_pointer(const struct hot_record *record)
{
    void *pointer;
    memcpy(&pointer, record_value_data(record), sizeof(pointer));
    return pointer;
}

/* hot_record.c */
/* Header and key; the value's bytes are undefined, all flags 0. */
struct hot_record *record_create(const struct key *key, bool has_expiry, uint32_t value_size);
/* Gives up a blob or object. The record keeps a dangling pointer. */
void record_release_value(struct hot_record *record);
/* Bytes that the value takes in the record. */
uint32_t value_inline_bytes(const struct value *value);
/* Writes the value (type, encoding, bytes), for which value_size has room already. */
void record_store_value(struct hot_record *record, const struct value *value);
void record_store_u64(struct hot_record *record, uint64_t number);
void record_store_expiry(struct hot_record *record, uint64_t expire_ms);
/* Memory outside the record. */
size_t record_external_bytes(const struct hot_record *record);

/* --- the index (hot_index.c) ------------------------------------------------------------------------- */

/*
 * A slot is tag << 48 | address | bits. Records are aligned to 16, so the low 4 bits are free; they
 * mirror the record, so that walks need not touch records they do not want.
 */
#define SLOT_POINTER_MASK ((uint64_t)0x0000fffffffffff0)
#define SLOT_TAG_SHIFT    48
#define SLOT_EPOCH_EVEN \
    ((uint64_t)1)                    /* set if the record's code is CODE_EPOCH_EVEN; may be stale */
#define SLOT_EPOCH_ODD ((uint64_t)2) /* the same for CODE_EPOCH_ODD; a CLEAN record has neither */
#define SLOT_EXPIRY    ((uint64_t)4) /* exact mirror of has_expiry */
#define SLOT_PARTS     ((uint64_t)8) /* set if parts of the value have an expiry; may be stale */

#define BUCKET_SLOT_COUNT 7
#define UNIT_SLOT_COUNT   3

struct hot_bucket {
    uint64_t slots[BUCKET_SLOT_COUNT]; /* dense: empty ones (0) are last */
    uint64_t chain;                    /* filter << 48 | address of the first overflow unit, or 0 */
};

/* The first unit of a chain has 1 to 3 entries, those behind it are full. */
struct hot_unit {
    uint64_t slots[UNIT_SLOT_COUNT];
    uint64_t chain; /* address of the next unit or 0 */
};
static_assert(sizeof(struct hot_bucket) == 64, "a bucket is one cache line");
static_assert(sizeof(struct hot_unit) == 32, "two overflow units are one cache line");

struct hot_index {
    struct hot_bucket *buckets; /* reserved address space, committed_bytes usable */
    uint64_t bucket_count;      /* level_mask < bucket_count <= 2 * level_mask + 1 */
    uint64_t level_mask;        /* 2^level - 1 */
    uint64_t entry_count;
    uint64_t unit_count;
    uint64_t committed_bytes;
};

static inline unsigned hash_partition(uint64_t hash)
{
    return (unsigned)(hash >> 58);
}

/* 16 bits that are neither the partition's nor a bucket's; never 0, so that an empty slot matches nothing. */
static inline uint64_t hash_tag(uint64_t hash)
{
    const uint64_t tag = hash >> 42 & 0xffff;
    return tag + (tag == 0);
}

/* The bit that an entry with this tag sets in the filter of its chain. */
static inline uint64_t tag_filter_bit(uint64_t tag)
{
    return (uint64_t)1 << (SLOT_TAG_SHIFT + (tag & 15));
}

static inline uint64_t slot_tag(uint64_t slot)
{
    return slot >> SLOT_TAG_SHIFT;
}

static inline struct hot_record *slot_record(uint64_t slot)
{
    return (struct hot_record *)(uintptr_t)(slot & SLOT_POINTER_MASK);
}

static inline struct hot_unit *chain_unit(uint64_t chain)
{
    return (struct hot_unit *)(uintptr_t)(chain & SLOT_POINTER_MASK);
}

static inline uint64_t index_bucket_number(const struct hot_index *index, uint64_t hash)
{
    const uint64_t number = hash & (index->level_mask << 1 | 1);
    return number < index->bucket_count ? number : hash & index->level_mask;
}

static inline struct hot_bucket *index_bucket(const struct hot_index *index, uint64_t hash)
{
    return &index->buckets[index_bucket_number(index, hash)];
}

void index_init(struct hot_index *index);
void index_deinit(struct hot_index *index);
uint64_t index_bytes(const struct hot_index *index);
/* The entry must not be there yet. May split one bucket. */
void index_insert(struct hot_index *index, uint64_t hash, struct hot_record *record, uint64_t bits);
/* The entry must be there. May merge one bucket. */
void index_remove(struct hot_index *index, uint64_t hash, const struct hot_record *record);
/* The slot of an entry that must be there; valid until the next insert or remove. */
uint64_t *index_slot(const struct hot_index *index, uint64_t hash, const struct hot_record *record);

/* Calls visit for each slot of a bucket; visit must not change the index. */
typedef void (*slot_fn)(void *context, uint64_t *slot);
void bucket_each(struct hot_bucket *bucket, slot_fn visit, void *context);

/*
 * Reverse-binary order of the bucket groups: a group is a bucket below 2^level and, if it has been split,
 * its sibling 2^level above. False after the last one, with 0 in *group.
 */
bool index_group_next(const struct hot_index *index, uint64_t *group);
static inline bool index_group_has_sibling(const struct hot_index *index, uint64_t group)
{
    return group + index->level_mask + 1 < index->bucket_count;
}

/* --- the queues (hot_room.c) ------------------------------------------------------------------------- */

/* Clean STUB and ABSENT entries; the first to leave. Shown to others as HOT_QUEUE_NONE. */
#define QUEUE_LIMBO 3
#define QUEUE_COUNT 4

struct hot_list {
    struct hot_record *head; /* newest */
    struct hot_record *tail;
    uint64_t entry_count;
    uint64_t bytes; /* record_memory() of its entries */
};

/* --- ghosts (hot_ghost.c) ---------------------------------------------------------------------------- */

/* A set of fingerprints in buckets of one cache line. */
struct ghost_generation {
    uint32_t *fingerprints; /* bucket_count * 16; 0 is empty */
    uint64_t bucket_count;
    uint64_t entry_count;
    uint64_t limit;
};

struct hot_ghost {
    struct ghost_generation current;
    struct ghost_generation previous;
};

void ghost_deinit(struct hot_ghost *ghost);
uint64_t ghost_bytes(const struct hot_ghost *ghost);
/* resident_count bounds what both generations remember. */
void ghost_add(struct hot_ghost *ghost, uint64_t hash, uint64_t resident_count);
/* True if it was remembered; it then no longer is. */
bool ghost_take(struct hot_ghost *ghost, uint64_t hash);
uint64_t ghost_count(const struct hot_ghost *ghost);

/* --- the partition ----------------------------------------------------------------------------------- */

/* guarded by: its stripe, but for what says otherwise */
struct hot_partition {
    struct hot_index index;
    struct hot_list queues[QUEUE_COUNT];
    uint64_t code_counts[4]; /* entries by enum dirty_code */
    struct hot_ghost ghost;
    struct hot_metrics metrics; /* atomic: relaxed; written under the stripe, read by any thread */
    struct mutex stripe;
    _Atomic(const void *)
        holder; /* atomic: relaxed; debug builds: identity of the thread that holds the stripe */
} ALIGNED(64);

struct hot {
    struct hot_config config; /* immutable */
    enum dirty_code code_now; /* of the current epoch; changed with all stripes held */
    void *block;              /* the allocation that holds this */
    _Atomic bool has_parts;   /* some value has, or had, parts with an expiry; relaxed */
    struct hot_metrics
        shared; /* atomic: relaxed; counters of functions that do not know the partition */
    struct hot_partition partitions[HOT_PARTITION_COUNT];
};

static inline struct hot_partition *partition_of(const struct hot *hot, uint64_t hash)
{
    return (struct hot_partition *)(uintptr_t)&hot->partitions[hash_partition(hash)];
}

/* What tells threads apart: an address of the calling thread's own. */
const void *thread_identity(void);

static inline bool partition_is_held(const struct hot *hot, const struct hot_partition *partition)
{
    const struct hot_partition *locked = hot->config.single_stripe ? hot->partitions : partition;
    return atomic_load_explicit(&locked->holder, memory_order_relaxed) == thread_identity();
}
#define DCHECK_HELD(hot, partition) DCHECK(partition_is_held((hot), (partition)))

static inline enum dirty_code code_old(const struct hot *hot)
{
    return hot->code_now == CODE_EPOCH_EVEN ? CODE_EPOCH_ODD : CODE_EPOCH_EVEN;
}

static inline uint64_t code_slot_bit(enum dirty_code code)
{
    return code == CODE_EPOCH_EVEN ? SLOT_EPOCH_EVEN : SLOT_EPOCH_ODD;
}

/* The hash of a record's key: not kept, computed. */
uint64_t record_hash(const struct hot_record *record);
/* Memory of the record's size class and of what hangs on it. */
size_t record_memory(const struct hot_record *record);

/*
 * hot_account.c: every figure of a partition that an entry is part of (counts, bytes, queue's bytes, dirty states)
 * leaves with account_subtract() and comes back with account_add(); in between the entry is changed at will.
 */
void account_add(struct hot_partition *partition, const struct hot_record *record);
void account_subtract(struct hot_partition *partition, const struct hot_record *record);
/* The record gets another dirty state; the figures follow. The mirror in the index is the caller's. */
void account_dirty(
    struct hot_partition *partition, struct hot_record *record, enum dirty_code code);
/* After the index or the ghosts grew or shrank. */
void account_tables(struct hot_partition *partition);
/* Into the index and the account; the queue is the caller's. */
void entry_insert(struct hot_partition *partition, uint64_t hash, struct hot_record *record);
/* Out of account, queue and index; frees the record and its value. */
void entry_remove(struct hot_partition *partition, uint64_t hash, struct hot_record *record);
/* `record` takes the place of `old` in index and queue; old is not freed. Outside the account. */
void entry_replace(struct hot_partition *partition, uint64_t hash, const struct hot_record *old,
    struct hot_record *record);
/* IMAGED or changed to CLEAN, and the mirror with it. Outside the account. */
void entry_set_clean(struct hot_partition *partition, uint64_t hash, struct hot_record *record);
/* Makes the slot show that parts of the value have an expiry, if they do. */
void entry_mark_parts(struct hot *hot, const struct hot_record *record);
/* Makes the slot show has_expiry. */
void entry_mirror_expiry(
    struct hot_partition *partition, uint64_t hash, const struct hot_record *record);

/* hot_epoch.c: what comes before any change: image saved if OLD, then DIRTY. */
void record_before_change(
    struct hot *hot, struct hot_partition *partition, uint64_t hash, struct hot_record *record);

/* hot_room.c: all outside the account */
void queue_push(struct hot_partition *partition, unsigned queue, struct hot_record *record);
/* Takes a record that is in no queue. */
void queue_unlink(struct hot_partition *partition, struct hot_record *record);
/* The neighbours of a record that moved point to its new place. */
void queue_relink(struct hot_partition *partition, struct hot_record *record);
struct hot_record *queue_next(const struct hot_record *record);
struct hot_record *queue_previous(const struct hot_record *record);
/* A record that became RESIDENT: where its heat says, else probation, or main if the ghosts remember it. */
void queue_admit(struct hot_partition *partition, uint64_t hash, struct hot_record *record,
    struct hot_heat heat);

/* --- collecting: entries of some buckets, so that a callback may remove the one it is given --------------- */

#define COLLECTION_INLINE_COUNT 64
struct collection {
    size_t count;
    size_t capacity;
    struct hot_record **records; /* own, or inline_records */
    struct hot_record *inline_records[COLLECTION_INLINE_COUNT];
};
void collection_init(struct collection *collection);
void collection_deinit(struct collection *collection);
void collection_add(struct collection *collection, struct hot_record *record);

#endif
