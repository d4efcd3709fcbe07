/*
 * hot_scan.c: walks over the index.
 *
 * Walks that must miss nothing go through bucket groups in reverse-binary order (the idea of Redis's SCAN): a group
 * is named by the low bits that all its keys share, so however often the table doubles or halves between two calls, the
 * names visited so far still cover the same keys. Here a table between two sizes is treated as the smaller one, whose
 * group is a bucket and, if it has been split, its sibling.
 *
 * A callback may remove or move the record it is given: groups are collected before they are visited.
 */
#include "hot_internal.h"

#define CURSOR_PARTITION_BITS 6
static_assert(1 << CURSOR_PARTITION_BITS == HOT_PARTITION_COUNT, "partition in the low bits");

/* --- collections ----------------------------------------------------------------------------------------- */

void collection_init(struct collection *collection)
{
    collection->count = 0;
    collection->capacity = COLLECTION_INLINE_COUNT;
    collection->records = collection->inline_records;
}

void collection_deinit(struct collection *collection)
{
    if (collection->records != collection->inline_records) {
        mem_free(collection->records);
    }
}

void collection_add(struct collection *collection, struct hot_record *record)
{
    if (collection->count == collection->capacity) {
        const size_t size_bytes = collection->capacity * sizeof(collection->records[0]);
        struct hot_record **grown = mem_alloc(2 * size_bytes);
        memcpy(grown, collection->records, size_bytes);
        collection_deinit(collection);
        collection->records = grown;
        collection->capacity *= 2;
    }
    collection->records[collection->count++] = record;
}

static void collect_slot(void *context, uint64_t *slot)
{
    prefetch_read(slot_record(*slot));
    collection_add(context, slot_record(*slot));
}

static void collect_slot_expiring(void *context, uint64_t *slot)
{
    if ((*slot & (SLOT_EXPIRY | SLOT_PARTS)) != 0) {
        collect_slot(context, slot);
    }
}

static void collect_group(
    const struct hot_index *index, uint64_t group, struct collection *collection)
{
    bucket_each(&index->buckets[group], collect_slot, collection);
    if (index_group_has_sibling(index, group)) {
        bucket_each(&index->buckets[group + index->level_mask + 1], collect_slot, collection);
    }
}

static struct hot_partition *partition_numbered(const struct hot *hot, unsigned number)
{
    CHECK(number < HOT_PARTITION_COUNT);
    const struct hot_partition *partition = &hot->partitions[number];
    DCHECK_HELD(hot, partition);
    return (struct hot_partition *)(uintptr_t)partition;
}

/* --- SCAN -------------------------------------------------------------------------------------------------- */

unsigned hot_scan_partition(uint64_t cursor)
{
    return (unsigned)(cursor & (HOT_PARTITION_COUNT - 1));
}

uint64_t hot_scan(struct hot *hot, uint64_t cursor, hot_visit_fn visit, void *context)
{
    const unsigned number = hot_scan_partition(cursor);
    const struct hot_index *index = &partition_numbered(hot, number)->index;
    /* Any number a client may send: the bits the table does not have are dropped. */
    uint64_t group = cursor >> CURSOR_PARTITION_BITS & index->level_mask;
    struct collection collection;
    collection_init(&collection);
    collect_group(index, group, &collection);
    const bool more = index_group_next(index, &group);
    for (size_t place = 0; place < collection.count; place++) {
        visit(context, collection.records[place]);
    }
    collection_deinit(&collection);
    if (more) {
        return group << CURSOR_PARTITION_BITS | number;
    }
    return number + 1 < HOT_PARTITION_COUNT ? number + 1 : 0;
}

/* --- sweeping ------------------------------------------------------------------------------------------------ */

static bool sweep_may_remove(const struct hot *hot, const struct hot_record *record)
{
    return record->state != HOT_FETCHING && record->pins == 0 &&
           (record->dirty == CODE_CLEAN || record->dirty == hot->code_now);
}

bool hot_sweep(struct hot *hot, unsigned partition_number, uint64_t *cursor, size_t record_max,
    hot_is_dead_fn is_dead, void *context, size_t *skipped)
{
    struct hot_partition *partition = partition_numbered(hot, partition_number);
    const struct hot_index *index = &partition->index;
    size_t examined_count = 0;
    size_t removed_count = 0;
    bool more = true;
    struct collection collection;
    collection_init(&collection);
    while (more && examined_count < record_max) {
        uint64_t group = *cursor & index->level_mask;
        collection.count = 0;
        collect_group(index, group, &collection);
        examined_count += collection.count + 1;
        more = index_group_next(index, &group);
        for (size_t place = 0; place < collection.count; place++) {
            struct hot_record *record = collection.records[place];
            if (!is_dead(context, record->space)) {
                continue;
            }
            if (!sweep_may_remove(hot, record)) {
                (*skipped)++;
                continue;
            }
            if (removed_count == record_max) {
                /* This group again: what is left of it is still to be removed. */
                collection_deinit(&collection);
                return true;
            }
            entry_remove(partition, record_hash(record), record);
            removed_count++;
        }
        *cursor = group;
    }
    collection_deinit(&collection);
    return more;
}

/* --- sampling ------------------------------------------------------------------------------------------------- */

struct hot_record *hot_random(struct hot *hot, unsigned partition_number, uint32_t space,
    struct random *random, size_t probe_max)
{
    const struct hot_index *index = &partition_numbered(hot, partition_number)->index;
    struct hot_record *chosen = NULL;
    uint64_t number = random_below(random, index->bucket_count);
    struct collection collection;
    collection_init(&collection);
    for (size_t probe = 0; chosen == NULL && probe < probe_max && probe < index->bucket_count;
         probe++) {
        collection.count = 0;
        bucket_each(&index->buckets[number], collect_slot, &collection);
        uint64_t candidate_count = 0;
        for (size_t place = 0; place < collection.count; place++) {
            struct hot_record *record = collection.records[place];
            const bool exists = record->state == HOT_RESIDENT || record->state == HOT_STUB;
            if (exists && record->space == space && random_below(random, ++candidate_count) == 0) {
                chosen = record;
            }
        }
        number = number + 1 < index->bucket_count ? number + 1 : 0;
    }
    collection_deinit(&collection);
    return chosen;
}

bool hot_has_parts(const struct hot *hot)
{
    return atomic_load_explicit(&hot->has_parts, memory_order_relaxed);
}

void hot_sample_expiring(struct hot *hot, unsigned partition_number, struct random *random,
    size_t bucket_max, size_t record_max, hot_visit_fn visit, void *context)
{
    const struct hot_index *index = &partition_numbered(hot, partition_number)->index;
    uint64_t number = random_below(random, index->bucket_count);
    size_t visited_count = 0;
    struct collection collection;
    collection_init(&collection);
    for (size_t probe = 0;
         probe < bucket_max && probe < index->bucket_count && visited_count < record_max; probe++) {
        collection.count = 0;
        bucket_each(&index->buckets[number], collect_slot_expiring, &collection);
        for (size_t place = 0; place < collection.count && visited_count < record_max; place++) {
            /* FETCHING may still carry the expiry of the stub it was. */
            if (collection.records[place]->state != HOT_FETCHING) {
                visit(context, collection.records[place]);
                visited_count++;
            }
        }
        number++;
        number = number < index->bucket_count ? number : 0; /* visits may have shrunk it */
    }
    collection_deinit(&collection);
}
