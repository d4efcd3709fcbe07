/*
 * tier_heat.c: the hot list: names of the records in RAM, hottest first, kept in the cold tier for a warm restart.
 *
 * Of each partition the newest QUEUE_RECORD_MAX records (fewer if checkpoints have little memory) of both queues are listed; then the partitions are interleaved: all of
 * main before probation, the newest of each partition before the second newest of any. The list ends at HEAT_LIST_SIZE_MAX.
 *
 * Format, in the meta table under "hotlist": u8 version 1, then entries to the end:
 *
 *   varint space, varint key size, key bytes, u8 queue << 4 | frequency
 *
 * A list is a hint: one that makes no sense is used up to where it does.
 */
#include "tier_internal.h"

#include <stdlib.h>

enum { HEAT_VERSION = 1 };
/* Of one queue, visited under one stripe (some hundred microseconds). */
enum { QUEUE_RECORD_MAX = 4096 };
enum { ENTRY_OVERHEAD_MAX = 16 };
/* The list is made with a quarter of a checkpoint's memory, if keys are of this size. */
enum { KEY_BYTES_USUAL = 64 };

struct listed {
    struct slice key;
    uint32_t space;
    uint32_t rank; /* in its queue */
    struct hot_heat heat;
};

struct listing {
    struct arena arena;
    struct listed *entries;
    size_t count;
    size_t capacity;
    uint32_t rank;
    enum hot_queue queue;
};

static void visit(void *context, struct hot_record *record)
{
    struct listing *const listing = context;
    if (listing->arena.bytes > HEAT_LIST_SIZE_MAX)
        return;
    if (listing->count == listing->capacity) {
        listing->capacity = listing->capacity == 0 ? 1024 : listing->capacity * 3 / 2;
        listing->entries =
            mem_realloc(listing->entries, listing->capacity * sizeof(*listing->entries));
    }
    const struct key key = hot_record_key(record, false);
    listing->entries[listing->count++] = (struct listed){
        .key = slice_of(arena_copy(&listing->arena, key.data, key.size), key.size),
        .space = key.space,
        .rank = listing->rank++,
        .heat = {.queue = listing->queue, .frequency = hot_record_heat(record).frequency},
    };
}

static int compare_heat(const void *left, const void *right)
{
    const struct listed *const a = left;
    const struct listed *const b = right;
    if (a->heat.queue != b->heat.queue)
        return a->heat.queue == HOT_QUEUE_MAIN ? -1 : 1;
    return a->rank < b->rank ? -1 : a->rank > b->rank;
}

void heat_encode(struct tier *tier, struct buf *out)
{
    struct listing listing = {0};
    const uint64_t entry_bytes = sizeof(struct listed) + 2 * KEY_BYTES_USUAL;
    const uint64_t fit =
        room_checkpoint_bound(tier) / 4 / entry_bytes / (2 * HOT_PARTITION_COUNT) + 1;
    const size_t record_max = fit < QUEUE_RECORD_MAX ? (size_t)fit : QUEUE_RECORD_MAX;
    for (unsigned partition = 0; partition < HOT_PARTITION_COUNT; partition++) {
        static const enum hot_queue queues[] = {HOT_QUEUE_MAIN, HOT_QUEUE_PROBATION};
        const uint64_t stripe = hot_stripe_of_partition(tier->hot, partition);
        for (size_t index = 0; index < COUNT_OF(queues); index++) {
            listing.queue = queues[index];
            listing.rank = 0;
            hot_lock(tier->hot, stripe);
            hot_visit_queue(tier->hot, partition, queues[index], record_max, visit, &listing);
            hot_unlock(tier->hot, stripe);
        }
    }
    if (listing.count > 0)
        qsort(listing.entries, listing.count, sizeof(*listing.entries), compare_heat);
    buf_append_byte(out, HEAT_VERSION);
    for (size_t index = 0; index < listing.count; index++) {
        const struct listed *const entry = &listing.entries[index];
        if (out->size + entry->key.size + ENTRY_OVERHEAD_MAX > HEAT_LIST_SIZE_MAX)
            continue; /* a shorter one may still fit */
        buf_append_varint(out, entry->space);
        buf_append_varint(out, entry->key.size);
        buf_append_slice(out, entry->key);
        buf_append_byte(out, (char)(entry->heat.queue << 4 | entry->heat.frequency));
    }
    arena_deinit(&listing.arena);
    mem_free(listing.entries);
}

bool heat_decode_next(struct reader *reader, struct heat_entry *entry)
{
    if (reader_left(reader) == 0)
        return false;
    const uint64_t space = reader_varint(reader);
    const uint64_t size = reader_varint(reader);
    if (reader->failed || space == 0 || space > UINT32_MAX || size > KEY_SIZE_MAX)
        return false;
    entry->space = (uint32_t)space;
    entry->key = reader_bytes(reader, (size_t)size);
    const uint8_t heat = reader_u8(reader);
    entry->heat = (struct hot_heat){
        .queue = heat >> 4 == HOT_QUEUE_MAIN ? HOT_QUEUE_MAIN : HOT_QUEUE_PROBATION,
        .frequency = heat & 3,
    };
    return !reader->failed;
}

uint64_t heat_decode_begin(struct reader *reader)
{
    if (reader_left(reader) == 0 || reader_u8(reader) != HEAT_VERSION)
        return 0;
    struct reader walk = *reader;
    struct heat_entry entry;
    uint64_t count = 0;
    while (heat_decode_next(&walk, &entry))
        count++;
    return count;
}
