/*
 * value.h: what a record holds: types, encodings, and the codec of the cold tier.
 *
 * A `struct value` is a handle passed by value. Strings are bytes (borrowed), an integer, or a blob (shared,
 * counted); every other type is an object with an operations table, so that collections join without a change
 * to the tiers. Knows no tier, key or clock.
 */
#ifndef STORAGE_VALUE_H
#define STORAGE_VALUE_H

#include "base/slice.h"
#include "base/status.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Stored in cold records: never renumber. */
enum value_type {
    VALUE_STRING = 0,
    VALUE_LIST = 1,
    VALUE_SET = 2,
    VALUE_ZSET = 3,
    VALUE_HASH = 4,
    VALUE_STREAM = 5,
    VALUE_TYPE_COUNT,
};

/* Stored in cold records: never renumber. Names as OBJECT ENCODING reports them. */
enum value_encoding {
    VALUE_ENCODING_RAW = 0,
    VALUE_ENCODING_INT = 1,
    VALUE_ENCODING_EMBSTR = 2,
    VALUE_ENCODING_LISTPACK = 3,
    VALUE_ENCODING_QUICKLIST = 4,
    VALUE_ENCODING_INTSET = 5,
    VALUE_ENCODING_HASHTABLE = 6,
    VALUE_ENCODING_SKIPLIST = 7,
    VALUE_ENCODING_STREAM = 8,
    VALUE_ENCODING_LISTPACK_EX = 9, /* a hash that had fields with an expiry */
    VALUE_ENCODING_COUNT,
};

/* Longest string, as Redis's proto-max-bulk-len default; the codec refuses more. */
#define VALUE_STRING_SIZE_MAX ((size_t)512 * 1024 * 1024)
/* Strings up to this size live inside their record; longer ones are blobs. */
#define VALUE_INLINE_SIZE_MAX ((size_t)16 * 1024)
/* Strings up to this size report "embstr", as Redis's. */
#define VALUE_EMBSTR_SIZE_MAX ((size_t)44)

/*
 * A long string with its own allocation, shared between a record, replies being sent, and checkpoint images.
 * The bytes may be changed only while there is one reference.
 */
struct blob {
    _Atomic uint32_t references;
    size_t size;
    size_t capacity;
    char data[];
};
/* One reference, size 0. NULL when memory is out or capacity exceeds VALUE_STRING_SIZE_MAX + 64. */
MUST_USE struct blob *blob_create(size_t capacity);
struct blob *blob_ref(struct blob *blob);
/* Takes NULL. */
void blob_unref(struct blob *blob);
static inline bool blob_is_shared(const struct blob *blob)
{
    return atomic_load_explicit(&blob->references, memory_order_acquire) > 1;
}

struct value_class;
/*
 * What every collection begins with. Collections are made of trees (storage/tree.h), whose nodes are shared between snapshots; the object
 * itself belongs to its record. The encoding is a name only, which follows the limits of value_limits.
 */
struct value_object {
    const struct value_class *class;
    enum value_encoding encoding;
};

struct value {
    enum value_type type;
    enum value_encoding encoding;
    int64_t integer;             /* VALUE_ENCODING_INT */
    struct slice bytes;          /* other strings; points into the blob if there is one */
    struct blob *blob;           /* long strings, else NULL */
    struct value_object *object; /* other types */
};

/* A part of a value that leaves it: its name. */
typedef void (*value_removed_fn)(void *context, struct slice part);

/* One row per collection type; strings need none. */
struct value_class {
    enum value_type type;
    void (*destroy)(struct value_object *object);
    /* Allocations that destroy() would free now: values of many are freed on a thread of their own. */
    uint64_t (*effort)(const struct value_object *object);
    size_t (*size_bytes)(const struct value_object *object); /* memory occupied; O(1) */
    uint64_t (*element_count)(const struct value_object *object);
    /* An object of its own with the same contents; O(1). Any thread may read, encode and destroy it. */
    struct value_object *(*snapshot)(const struct value_object *object);
    void (*encode)(const struct value_object *object, struct buf *out);
    /* Bytes are checked one by one. ST_OK, ST_CORRUPT, ST_NO_MEMORY */
    enum status (*decode)(
        enum value_encoding encoding, struct slice in, struct value_object **object);
    /* Parts that end by themselves: fields of a hash. Both NULL: the type has none. The least expiry, 0 = none. */
    uint64_t (*part_expire_ms)(const struct value_object *object);
    /* Removes parts whose expiry is before now_ms, soonest first, at most max. Returns how many. removed may be NULL. */
    size_t (*part_expire)(struct value_object *object, uint64_t now_ms, size_t max,
        value_removed_fn removed, void *context);
};

/*
 * Limits up to which collections are called compact: list-max-listpack-size and so on. Relaxed atomics, set by the settings of
 * the server, read where something is added. Entries beyond or an element longer than the limit make the large encoding, for good.
 */
struct value_limits {
    _Atomic int64_t list_max_listpack_size; /* entries, or -1 .. -5: 4, 8, 16, 32, 64 KiB */
    _Atomic int64_t hash_max_listpack_entries, hash_max_listpack_value;
    _Atomic int64_t set_max_intset_entries, set_max_listpack_entries, set_max_listpack_value;
    _Atomic int64_t zset_max_listpack_entries, zset_max_listpack_value;
    _Atomic int64_t stream_node_max_bytes, stream_node_max_entries;
};
extern struct value_limits value_limits;

/* "string", "list" ...: the reply of TYPE. */
const char *value_type_name(enum value_type type);
/* "int", "embstr", "raw" ...: the reply of OBJECT ENCODING. */
const char *value_encoding_name(enum value_encoding encoding);

/*
 * The string in the encoding Redis would give it: INT when it is a canonical int64, EMBSTR up to 44 bytes,
 * RAW beyond. Borrows bytes; the caller makes a blob of it when it exceeds VALUE_INLINE_SIZE_MAX
 * (value_string_own() does both).
 */
struct value value_string(struct slice bytes);
struct value value_string_raw(struct slice bytes); /* EMBSTR refused: after APPEND, SETRANGE */
struct value value_integer(int64_t integer);
/* The string as a blob handle; the reference moves into the value. */
struct value value_blob(struct blob *blob);
/* As value_string(), but bytes longer than VALUE_INLINE_SIZE_MAX are copied to a new blob. ST_OK, ST_NO_MEMORY. */
MUST_USE enum status value_string_own(struct slice bytes, struct value *value);

/*
 * The bytes of a string value. scratch (24 bytes) is used for integers; the result borrows from the
 * value or scratch.
 */
struct slice value_string_bytes(const struct value *value, char scratch[24]);
/* Length of those bytes. */
size_t value_string_size(const struct value *value);

/* The least expiry of a part of the value, 0 if none has one. */
static inline uint64_t value_part_expire_ms(const struct value *value)
{
    const struct value_object *const object = value->object;
    return object == NULL || object->class->part_expire_ms == NULL
               ? 0
               : object->class->part_expire_ms(object);
}

/* Memory outside the record: blob or object; 0 for inline strings. */
size_t value_external_bytes(const struct value *value);
/* Gives up the blob reference or the object. Inline strings: nothing. Objects of great effort() are freed by the reclaimer's thread. */
void value_release(struct value *value);
/* The reclaimer: a thread that frees large values. Before it is started and after it is stopped they are freed at once. */
void value_reclaimer_start(void);
/* Waits until all is freed. */
void value_reclaimer_stop(void);
/* Values waiting, and freed since the start: INFO's lazyfree_pending_objects, lazyfreed_objects. */
void value_reclaimer_counts(uint64_t *pending_count, uint64_t *freed_count);
/* CONFIG RESETSTAT: the freed ones are counted from 0 again. */
void value_reclaimer_counts_reset(void);

/*
 * The codec: payload of a cold record, without type and encoding (the record's header has those).
 * A string is its bytes (an integer its decimal text). value_decode() gives an owned value: short strings
 * borrow `payload`, long ones become a blob. ST_OK, ST_CORRUPT (impossible type, encoding or bytes), ST_NO_MEMORY.
 */
void value_encode(const struct value *value, struct buf *payload);
/* The payload without a copy if the value is a string that has its bytes in memory, else NULL data. */
struct slice value_payload_borrowed(const struct value *value);
MUST_USE enum status value_decode(
    unsigned type, unsigned encoding, struct slice payload, struct value *value);

/* Collections register here at start-up (later modules); not thread-safe, before threads start. */
void value_class_register(const struct value_class *value_class);
const struct value_class *value_class_of(enum value_type type);

#endif
