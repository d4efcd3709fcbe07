/*
 * hot_epoch.c: dirty states, and what a checkpoint does to them.
 *
 * A changed record carries the parity of the epoch in which it changed. To flip the epoch is to exchange what the two
 * parities mean: all DIRTY entries become OLD without being touched. That works because at most two epochs are alive: a
 * flip requires that the last checkpoint has dealt with all its entries.
 *
 *   code     EVEN                ODD                 IMAGED   CLEAN
 *   means    DIRTY or OLD        OLD or DIRTY        IMAGED   CLEAN     (code_now decides)
 *
 * Slots of the index mirror the parity, so hot_visit_old() reads the index and touches no clean record. The mirror may
 * say too much, when a record became DIRTY anew or IMAGED; the next walk for that parity corrects it.
 *
 * in_cold is pessimistic: it is set as soon as a checkpoint under way might put the record into the cold tier, and
 * cleared only when a commit deleted it there. cold_committed is pessimistic the other way round.
 */
#include "hot_internal.h"

/* How many groups ahead of the walk buckets are prefetched, and records: the order is not the memory's. */
#define WALK_AHEAD        16
#define WALK_AHEAD_RECORD 8

static void set_code_now(
    struct hot *hot, struct hot_partition *partition, uint64_t hash, struct hot_record *record)
{
    account_dirty(partition, record, hot->code_now);
    *index_slot(&partition->index, hash, record) |= code_slot_bit(hot->code_now);
}

void record_before_change(
    struct hot *hot, struct hot_partition *partition, uint64_t hash, struct hot_record *record)
{
    if (record->dirty == hot->code_now) {
        return;
    }
    if (record->dirty == code_old(hot)) {
        hot->config.save_image(hot->config.context, record);
    }
    if (record->dirty != CODE_CLEAN) {
        /* The checkpoint under way puts the image into the cold tier, or deletes there. */
        record->in_cold = 1;
        if (record->state == HOT_ABSENT) {
            record->cold_committed = 0;
        }
    }
    set_code_now(hot, partition, hash, record);
}

void hot_epoch_flip(struct hot *hot)
{
    for (unsigned number = 0; number < HOT_PARTITION_COUNT; number++) {
        const struct hot_partition *partition = &hot->partitions[number];
        DCHECK_HELD(hot, partition);
        CHECK(partition->code_counts[code_old(hot)] == 0);
        CHECK(partition->code_counts[CODE_IMAGED] == 0);
    }
    hot->code_now = code_old(hot);
}

void hot_mark_imaged(struct hot *hot, const struct key *key, struct hot_record *record)
{
    struct hot_partition *partition = partition_of(hot, key->hash);
    DCHECK_HELD(hot, partition);
    CHECK(record->dirty == code_old(hot));
    account_dirty(partition, record, CODE_IMAGED);
    record->in_cold = 1;
}

void hot_mark_committed(struct hot *hot, const struct key *key, struct hot_record *record)
{
    struct hot_partition *partition = partition_of(hot, key->hash);
    DCHECK_HELD(hot, partition);
    if (record->dirty != CODE_IMAGED) {
        return;
    }
    if (record->state == HOT_ABSENT && record->pins == 0) {
        entry_remove(partition, key->hash, record);
        return;
    }
    const bool is_there = record->state == HOT_RESIDENT;
    CHECK(is_there || record->state == HOT_ABSENT);
    record->in_cold = is_there;
    record->cold_committed = is_there;
    if (is_there) {
        account_dirty(partition, record, CODE_CLEAN);
        entry_set_clean(partition, key->hash, record);
        return;
    }
    account_subtract(partition, record);
    entry_set_clean(partition, key->hash, record);
    queue_push(partition, QUEUE_LIMBO, record);
    account_add(partition, record);
}

void hot_mark_dirty_again(struct hot *hot, const struct key *key, struct hot_record *record)
{
    struct hot_partition *partition = partition_of(hot, key->hash);
    DCHECK_HELD(hot, partition);
    if (record->dirty == CODE_IMAGED || record->dirty == code_old(hot)) {
        set_code_now(hot, partition, key->hash, record);
    }
}

struct old_walk {
    struct collection found;
    enum dirty_code code;
};

static void collect_old(void *context, uint64_t *slot)
{
    struct old_walk *walk = context;
    const uint64_t bit = code_slot_bit(walk->code);
    if ((*slot & bit) == 0) {
        return;
    }
    struct hot_record *record = slot_record(*slot);
    if (record->dirty == walk->code) {
        collection_add(&walk->found, record);
    } else {
        *slot &= ~bit;
    }
}

static void prefetch_group(const struct hot_index *index, uint64_t group)
{
    prefetch_read(&index->buckets[group]);
    if (index_group_has_sibling(index, group)) {
        prefetch_read(&index->buckets[group + index->level_mask + 1]);
    }
}

static void prefetch_old(const struct hot_bucket *bucket, uint64_t bit)
{
    for (unsigned place = 0; place < BUCKET_SLOT_COUNT; place++) {
        if ((bucket->slots[place] & bit) != 0) {
            prefetch_read(slot_record(bucket->slots[place]));
        }
    }
}

/* The records of a group whose buckets have been prefetched. */
static void prefetch_group_old(const struct hot_index *index, uint64_t group, uint64_t bit)
{
    prefetch_old(&index->buckets[group], bit);
    if (index_group_has_sibling(index, group)) {
        prefetch_old(&index->buckets[group + index->level_mask + 1], bit);
    }
}

bool hot_visit_old(struct hot *hot, unsigned partition_number, uint64_t *cursor, size_t bucket_max,
    hot_visit_fn visit, void *context)
{
    CHECK(partition_number < HOT_PARTITION_COUNT);
    struct hot_partition *partition = &hot->partitions[partition_number];
    DCHECK_HELD(hot, partition);
    const struct hot_index *index = &partition->index;
    struct old_walk walk = {.code = code_old(hot)};
    if (partition->code_counts[walk.code] == 0) {
        *cursor = 0;
        return false;
    }
    collection_init(&walk.found);
    uint64_t group = *cursor & index->level_mask;
    const uint64_t bit = code_slot_bit(walk.code);
    uint64_t ahead = group;
    for (unsigned count = 0; count < WALK_AHEAD; count++) {
        prefetch_group(index, ahead);
        (void)index_group_next(index, &ahead);
    }
    uint64_t ahead_record = group;
    for (unsigned count = 0; count < WALK_AHEAD_RECORD; count++) {
        prefetch_group_old(index, ahead_record, bit);
        (void)index_group_next(index, &ahead_record);
    }
    bool more = true;
    for (size_t count = 0; more && count < bucket_max; count++) {
        prefetch_group(index, ahead);
        (void)index_group_next(index, &ahead);
        prefetch_group_old(index, ahead_record, bit);
        (void)index_group_next(index, &ahead_record);
        bucket_each(&index->buckets[group], collect_old, &walk);
        if (index_group_has_sibling(index, group)) {
            bucket_each(&index->buckets[group + index->level_mask + 1], collect_old, &walk);
        }
        more = index_group_next(index, &group);
    }
    for (size_t place = 0; place < walk.found.count; place++) {
        visit(context, walk.found.records[place]);
    }
    collection_deinit(&walk.found);
    *cursor = group;
    return more;
}
