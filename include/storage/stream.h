/*
 * stream.h: streams: entries in the order of their IDs, and the consumer groups that read them.
 *
 *   struct stream ──► entries   tree by ID: an entry is one packed element
 *                 ──► nodes     tree by ID: entries per "macro node", what approximate trimming works on
 *                 ──► shapes    field names that many entries share
 *                 ──► groups    by name, counted: last ID, pending entries by ID, consumers with their own
 *
 * A snapshot shares the trees' nodes, the shapes and the groups: O(groups). A group that is shared is copied before it is changed.
 * Functions that change a group take the stream too, as it keeps the account of memory. Knows no key, clock or client.
 */
#ifndef STORAGE_STREAM_H
#define STORAGE_STREAM_H

#include "base/slice.h"
#include "base/status.h"
#include "storage/tree.h"
#include "storage/value.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Registers the class; once, before threads. */
void stream_setup(void);

/* --- IDs ------------------------------------------------------------------------------------------------------------ */

struct stream_id {
    uint64_t ms;
    uint64_t sequence;
};
#define STREAM_ID_MIN ((struct stream_id){0, 0})
#define STREAM_ID_MAX ((struct stream_id){UINT64_MAX, UINT64_MAX})

static inline int stream_id_compare(struct stream_id a, struct stream_id b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    return a.sequence < b.sequence ? -1 : a.sequence > b.sequence;
}
static inline bool stream_id_is_zero(struct stream_id id)
{
    return id.ms == 0 && id.sequence == 0;
}
/* The ID after or before; false (and *id untouched) if there is none. */
MUST_USE bool stream_id_next(struct stream_id *id);
MUST_USE bool stream_id_previous(struct stream_id *id);
/* "ms-sequence"; no NUL; returns the length. */
#define STREAM_ID_TEXT_MAX 41
size_t stream_id_to_text(struct stream_id id, char out[STREAM_ID_TEXT_MAX]);

/* --- streams -------------------------------------------------------------------------------------------------------- */

/* Different lists of field names that a stream keeps once for all entries. */
#define STREAM_SHAPE_MAX 8
struct stream_shape;
struct stream_group;

/* To be read; changed only by the functions below, last_id, max_deleted_id and entries_added also directly. */
struct stream {
    struct value_object object;
    struct stream_id last_id;        /* of the newest entry ever; at least that of every entry */
    struct stream_id max_deleted_id; /* the greatest taken out by stream_delete() */
    uint64_t entries_added;          /* ever */
    size_t group_count;
    struct stream_group **groups; /* by name */
    /* private */
    struct tree entries;
    struct tree nodes; /* full ones; the newest is the tail */
    struct {
        struct stream_id first; /* of its first entry, perhaps deleted since */
        uint64_t live_count;
        uint64_t added_count; /* 0: there is no tail */
        uint64_t bytes;
    } tail;
    struct {
        struct stream_shape *shape; /* counted */
        struct stream_id
            last_used; /* no later entry has it: it is free once all up to this one are gone */
    } shapes[STREAM_SHAPE_MAX];
    size_t other_bytes; /* memory of shapes and groups */
};

struct stream *stream_create(void);
/* Takes NULL. */
void stream_destroy(struct stream *stream);
struct stream *stream_snapshot(const struct stream *stream);
/* The value of a record; ownership moves. */
struct value stream_value(struct stream *stream);
static inline struct stream *stream_of(const struct value *value)
{
    return (struct stream *)(void *)value->object;
}

static inline uint64_t stream_length(const struct stream *stream)
{
    return stream->entries.count;
}
/* Macro nodes: what Redis calls radix-tree-keys. */
uint64_t stream_node_count(const struct stream *stream);
/* IDs of the entries at both ends: false, and 0-0, if there is none. */
bool stream_first_id(const struct stream *stream, struct stream_id *id);
bool stream_top_id(const struct stream *stream, struct stream_id *id);
bool stream_contains(const struct stream *stream, struct stream_id id);

/*
 * Adds an entry: fields are names and values in turn, pair_count of each. Moves last_id and entries_added. ST_OK; ST_INVALID: the ID is not greater
 * than last_id; ST_FULL: larger than ELEMENT_SIZE_MAX.
 */
MUST_USE enum status stream_append(
    struct stream *stream, struct stream_id id, const struct slice *fields, size_t pair_count);
/* False if it is not there. */
bool stream_delete(struct stream *stream, struct stream_id id);

enum stream_trim_kind { STREAM_TRIM_NONE, STREAM_TRIM_LENGTH, STREAM_TRIM_ID };
struct stream_trim {
    enum stream_trim_kind kind;
    bool is_approximate; /* whole nodes only */
    uint64_t length;     /* LENGTH: entries that stay */
    struct stream_id id; /* ID: those before it go */
    uint64_t limit;      /* approximate: at most so many go; 0: any number */
};
/* Takes entries from the front; returns how many. stream_trim_count() only tells. */
uint64_t stream_trim(struct stream *stream, const struct stream_trim *trim);
uint64_t stream_trim_count(const struct stream *stream, const struct stream_trim *trim);

/* --- reading entries -------------------------------------------------------------------------------------------------- */

/* From `first` to `last`, both included, or back. Valid until the stream's next change. */
struct stream_walk {
    const struct stream *stream;
    struct stream_id first, last;
    bool is_reverse;
    bool is_over;
    struct tree_cursor cursor;
};
struct stream_entry {
    struct stream_id id;
    uint64_t pair_count;
    /* private */
    uint64_t pairs_left;
    struct reader names; /* of the shape, or none: names and values alternate */
    struct reader values;
    bool is_shaped;
    char name_text[ELEMENT_TEXT_MAX];
    char value_text[ELEMENT_TEXT_MAX];
};
void stream_walk_begin(struct stream_walk *walk, const struct stream *stream,
    struct stream_id first, struct stream_id last, bool is_reverse);
bool stream_walk_next(struct stream_walk *walk, struct stream_entry *entry);
/* The next pair of the entry; the bytes are valid until the next call. False: no more. */
bool stream_entry_next(struct stream_entry *entry, struct slice *name, struct slice *value);

/* --- consumer groups -------------------------------------------------------------------------------------------------- */

#define STREAM_ENTRIES_READ_UNKNOWN ((int64_t)-1)
#define STREAM_NEVER                ((int64_t)-1)

struct stream_consumer {
    struct slice name;
    int64_t seen_ms;     /* last attempt to read or claim */
    int64_t active_ms;   /* last one that gave something, or STREAM_NEVER */
    struct tree pending; /* IDs: read through stream_pending_begin() */
    uint32_t number;     /* in its group */
};

/* To be read; last_id, entries_read and a consumer's times may be changed if it came from stream_group_edit(). */
struct stream_group {
    _Atomic uint32_t references;
    struct slice name;
    struct stream_id last_id; /* delivered */
    int64_t entries_read;     /* or STREAM_ENTRIES_READ_UNKNOWN */
    struct tree pending;
    uint32_t consumer_count;
    struct stream_consumer **consumers; /* by name */
    /* private */
    struct stream_consumer **numbered; /* by number; NULL: free */
    uint32_t number_count;
    uint32_t consumer_room, number_room; /* of the arrays */
};

/* NULL if there is none. */
const struct stream_group *stream_group_find(const struct stream *stream, struct slice name);
/* The same for changes: a copy of its own if it was shared with snapshots. Pointers got before are void then. */
struct stream_group *stream_group_edit(struct stream *stream, struct slice name);
/* NULL if the name is taken. */
struct stream_group *stream_group_create(
    struct stream *stream, struct slice name, struct stream_id last_id, int64_t entries_read);
/* False if there is none. */
bool stream_group_destroy(struct stream *stream, struct slice name);
/* Entries that it has not delivered; false if that cannot be known. */
bool stream_group_lag(const struct stream *stream, const struct stream_group *group, int64_t *lag);
/* How many entries were ever added up to this ID, or STREAM_ENTRIES_READ_UNKNOWN: entries_read of groups from old RDB payloads. */
int64_t stream_added_up_to(const struct stream *stream, struct stream_id id);
/* Moves the group on to an entry that it delivers: last_id, entries_read. No effect if the ID is not beyond last_id. */
void stream_group_advance(
    const struct stream *stream, struct stream_group *group, struct stream_id id);

struct stream_consumer *stream_consumer_find(const struct stream_group *group, struct slice name);
/* NULL if the name is taken. */
struct stream_consumer *stream_consumer_create(
    struct stream *stream, struct stream_group *group, struct slice name, int64_t now_ms);
/* With all that is pending for it. */
void stream_consumer_destroy(
    struct stream *stream, struct stream_group *group, struct stream_consumer *consumer);

/* An entry delivered and not acknowledged. */
struct stream_pending {
    struct stream_id id;
    const struct stream_consumer *consumer;
    int64_t delivery_ms;
    uint64_t delivery_count;
};
bool stream_pending_find(
    const struct stream_group *group, struct stream_id id, struct stream_pending *pending);
/* Adds it, or replaces what was pending under its ID, perhaps for another consumer. */
void stream_pending_set(
    struct stream *stream, struct stream_group *group, const struct stream_pending *pending);
/* False if it is not pending. */
bool stream_pending_remove(struct stream *stream, struct stream_group *group, struct stream_id id);

/* What is pending in a group, or for one of its consumers (or NULL), from an ID on. Valid until the group's next change. */
struct stream_pending_walk {
    const struct stream_group *group;
    const struct stream_consumer *consumer;
    struct tree_cursor cursor;
};
void stream_pending_begin(struct stream_pending_walk *walk, const struct stream_group *group,
    const struct stream_consumer *consumer, struct stream_id first);
bool stream_pending_next(struct stream_pending_walk *walk, struct stream_pending *pending);
/* The last one of the group; false if nothing is pending. */
bool stream_pending_last(const struct stream_group *group, struct stream_pending *pending);

/* Asserts all invariants; for tests. O(n). */
void stream_check(const struct stream *stream);

#endif
