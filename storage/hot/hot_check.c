/*
 * hot_check.c: recounts a partition from scratch and compares. Debug builds and tests; reads everything.
 */
#include "hot_internal.h"

struct census {
    const struct hot *hot;
    struct hot_partition *partition;
    uint64_t bucket_number;
    uint64_t filter;
    uint64_t entry_count;
    uint64_t record_count;
    uint64_t record_bytes;
    uint64_t dirty_bytes;
    uint64_t code_counts[4];
    uint64_t queue_counts[QUEUE_COUNT];
    uint64_t queue_bytes[QUEUE_COUNT];
};

/* Which combinations of state, dirty code, queue and flags there are. */
static void check_states(const struct hot_record *record)
{
    switch ((enum hot_state)record->state) {
    case HOT_RESIDENT:
        CHECK(record->queue == HOT_QUEUE_PROBATION || record->queue == HOT_QUEUE_MAIN);
        CHECK(record->dirty != CODE_CLEAN || record->cold_committed);
        CHECK(!record->corrupt);
        break;
    case HOT_STUB:
        CHECK(record->dirty == CODE_CLEAN);
        CHECK(record->queue == QUEUE_LIMBO);
        CHECK(record->cold_committed);
        CHECK(!record->external);
        break;
    case HOT_ABSENT:
        CHECK(record->in_cold == (record->dirty != CODE_CLEAN));
        CHECK(record->queue == (record->dirty == CODE_CLEAN ? QUEUE_LIMBO : HOT_QUEUE_NONE));
        CHECK(record->value_size == 0);
        CHECK(!record->external);
        CHECK(!record->has_expiry);
        break;
    case HOT_FETCHING:
        CHECK(record->dirty == CODE_CLEAN);
        CHECK(record->queue == HOT_QUEUE_NONE);
        CHECK(record->value_size == POINTER_VALUE_BYTES);
        CHECK(!record->external);
        break;
    }
    CHECK(!record->cold_committed || record->in_cold);
    CHECK(record->dirty != CODE_IMAGED || record->in_cold);
    CHECK(!record->prefetched || record->fresh);
    CHECK(record->pins <= HOT_PIN_MAX);
}

static void check_slot(void *context, uint64_t *slot)
{
    struct census *census = context;
    const struct hot_record *record = slot_record(*slot);
    const struct key key = hot_record_key(record, true);
    CHECK(&census->hot->partitions[hash_partition(key.hash)] == census->partition);
    CHECK(index_bucket_number(&census->partition->index, key.hash) == census->bucket_number);
    CHECK(slot_tag(*slot) == hash_tag(key.hash));
    CHECK(index_slot(&census->partition->index, key.hash, record) == slot);
    CHECK(hot_find(census->hot, &key) == record); /* no second entry of this key before it */

    const enum dirty_code code = (enum dirty_code)record->dirty;
    const uint64_t epoch_bits = *slot & (SLOT_EPOCH_EVEN | SLOT_EPOCH_ODD);
    CHECK(((*slot & SLOT_EXPIRY) != 0) == record->has_expiry);
    CHECK(code != CODE_CLEAN || epoch_bits == 0);
    CHECK(code < CODE_EPOCH_EVEN || (epoch_bits & code_slot_bit(code)) != 0);
    check_states(record);

    const size_t bytes = record_memory(record);
    census->entry_count++;
    census->record_count += record->state == HOT_RESIDENT;
    census->record_bytes += bytes;
    census->dirty_bytes += code == CODE_CLEAN ? 0 : bytes;
    census->code_counts[code]++;
    census->queue_counts[record->queue]++;
    census->queue_bytes[record->queue] += bytes;
}

static void check_bucket_shape(const struct hot_bucket *bucket, uint64_t *unit_count)
{
    bool hole = false;
    for (unsigned place = 0; place < BUCKET_SLOT_COUNT; place++) {
        CHECK(!hole || bucket->slots[place] == 0);
        hole = bucket->slots[place] == 0;
    }
    CHECK(!hole || bucket->chain == 0);
    const struct hot_unit *first = chain_unit(bucket->chain);
    CHECK(first != NULL || bucket->chain == 0);
    for (const struct hot_unit *unit = first; unit != NULL; unit = chain_unit(unit->chain)) {
        CHECK(unit->slots[0] != 0);
        CHECK(unit->slots[1] != 0 || unit->slots[2] == 0);
        CHECK(unit == first || unit->slots[UNIT_SLOT_COUNT - 1] != 0);
        for (unsigned place = 0; place < UNIT_SLOT_COUNT && unit->slots[place] != 0; place++) {
            CHECK((bucket->chain & tag_filter_bit(slot_tag(unit->slots[place]))) != 0);
        }
        (*unit_count)++;
    }
}

static void check_queue(const struct hot_partition *partition, unsigned queue)
{
    const struct hot_list *list = &partition->queues[queue];
    const struct hot_record *previous = NULL;
    uint64_t count = 0;
    for (const struct hot_record *record = list->head; record != NULL;
         record = queue_next(record)) {
        CHECK(record->queue == queue);
        CHECK(queue_previous(record) == previous);
        previous = record;
        count++;
    }
    CHECK(list->tail == previous);
    CHECK(list->entry_count == count);
}

static void check_figures(const struct hot_partition *partition, const struct census *census)
{
    const struct hot_metrics *metrics = &partition->metrics;
    CHECK(partition->index.entry_count == census->entry_count);
    CHECK(metric_get(metrics, entry_count) == census->entry_count);
    CHECK(metric_get(metrics, record_count) == census->record_count);
    CHECK(metric_get(metrics, record_bytes) == census->record_bytes);
    CHECK(metric_get(metrics, dirty_bytes) == census->dirty_bytes);
    CHECK(metric_get(metrics, dirty_count) == census->entry_count - census->code_counts[0]);
    CHECK(metric_get(metrics, index_bytes) == index_bytes(&partition->index));
    CHECK(metric_get(metrics, ghost_bytes) == ghost_bytes(&partition->ghost));
    for (unsigned code = 0; code < COUNT_OF(census->code_counts); code++) {
        CHECK(partition->code_counts[code] == census->code_counts[code]);
    }
    for (unsigned queue = 0; queue < QUEUE_COUNT; queue++) {
        CHECK(partition->queues[queue].entry_count == census->queue_counts[queue]);
        CHECK(partition->queues[queue].bytes == census->queue_bytes[queue]);
    }
}

void hot_check(struct hot *hot, unsigned partition_number)
{
    CHECK(partition_number < HOT_PARTITION_COUNT);
    struct hot_partition *partition = &hot->partitions[partition_number];
    DCHECK_HELD(hot, partition);
    struct census census = {.hot = hot, .partition = partition};
    const struct hot_index *index = &partition->index;
    CHECK(index->bucket_count > index->level_mask);
    CHECK(index->bucket_count <= 2 * index->level_mask + 1);
    CHECK(index->bucket_count * sizeof(struct hot_bucket) <= index->committed_bytes);
    uint64_t unit_count = 0;
    for (uint64_t number = 0; number < index->bucket_count; number++) {
        census.bucket_number = number;
        check_bucket_shape(&index->buckets[number], &unit_count);
        bucket_each(&index->buckets[number], check_slot, &census);
    }
    CHECK(index->unit_count == unit_count);
    for (unsigned queue = HOT_QUEUE_PROBATION; queue < QUEUE_COUNT; queue++) {
        check_queue(partition, queue);
    }
    CHECK(partition->queues[HOT_QUEUE_NONE].head == NULL);
    check_figures(partition, &census);
}
