/*
 * hot_account.c: the figures of a partition, and the ways into and out of it.
 *
 * An entry adds to many figures: entries, resident records, bytes, dirty entries and bytes, its queue's bytes.
 * Keeping each up to date at each change of state would be many places to be wrong in. Here an entry is taken out of
 * all of them, changed, and put back; only the two or three changes on the hot path that leave all figures as they are skip
 * it. hot_check() recounts everything.
 */
#include "hot_internal.h"

static void account(
    struct hot_partition *partition, const struct hot_record *record, uint64_t one, uint64_t bytes)
{
    struct hot_metrics *metrics = &partition->metrics;
    metric_bump(metrics, entry_count, one);
    metric_bump(metrics, record_bytes, bytes);
    if (record->state == HOT_RESIDENT) {
        metric_bump(metrics, record_count, one);
    }
    partition->code_counts[record->dirty] += one;
    if (record->dirty != CODE_CLEAN) {
        metric_bump(metrics, dirty_count, one);
        metric_bump(metrics, dirty_bytes, bytes);
    }
    partition->queues[record->queue].entry_count += one;
    partition->queues[record->queue].bytes += bytes;
}

void account_add(struct hot_partition *partition, const struct hot_record *record)
{
    account(partition, record, 1, record_memory(record));
}

void account_subtract(struct hot_partition *partition, const struct hot_record *record)
{
    account(partition, record, (uint64_t)0 - 1, (uint64_t)0 - record_memory(record));
}

void account_dirty(struct hot_partition *partition, struct hot_record *record, enum dirty_code code)
{
    struct hot_metrics *metrics = &partition->metrics;
    const bool was_dirty = record->dirty != CODE_CLEAN;
    const bool is_dirty = code != CODE_CLEAN;
    partition->code_counts[record->dirty]--;
    partition->code_counts[code]++;
    record->dirty = (unsigned)code & 3U;
    if (was_dirty != is_dirty) {
        const uint64_t sign = is_dirty ? 1 : (uint64_t)0 - 1;
        metric_bump(metrics, dirty_count, sign);
        metric_bump(metrics, dirty_bytes, sign * (uint64_t)record_memory(record));
    }
}

void account_tables(struct hot_partition *partition)
{
    metric_set(&partition->metrics, index_bytes, index_bytes(&partition->index));
    metric_set(&partition->metrics, ghost_bytes, ghost_bytes(&partition->ghost));
}

static uint64_t mirror_bits(const struct hot_record *record)
{
    const enum dirty_code code = (enum dirty_code)record->dirty;
    uint64_t bits = record->has_expiry ? SLOT_EXPIRY : 0;
    if (code >= CODE_EPOCH_EVEN) {
        bits |= code_slot_bit(code);
    }
    return bits;
}

void entry_insert(struct hot_partition *partition, uint64_t hash, struct hot_record *record)
{
    index_insert(&partition->index, hash, record, mirror_bits(record));
    account_tables(partition);
    account_add(partition, record);
}

void entry_remove(struct hot_partition *partition, uint64_t hash, struct hot_record *record)
{
    account_subtract(partition, record);
    queue_unlink(partition, record);
    index_remove(&partition->index, hash, record);
    account_tables(partition);
    record_release_value(record);
    mem_free(record);
}

void entry_replace(struct hot_partition *partition, uint64_t hash, const struct hot_record *old,
    struct hot_record *record)
{
    uint64_t *slot = index_slot(&partition->index, hash, old);
    const uint64_t address = (uint64_t)(uintptr_t)record;
    CHECK((address & ~SLOT_POINTER_MASK) == 0);
    *slot = (*slot & ~SLOT_POINTER_MASK) | address;
    queue_relink(partition, record);
}

void entry_set_clean(struct hot_partition *partition, uint64_t hash, struct hot_record *record)
{
    record->dirty = CODE_CLEAN;
    *index_slot(&partition->index, hash, record) &= ~(SLOT_EPOCH_EVEN | SLOT_EPOCH_ODD);
}

void entry_mark_parts(struct hot *hot, const struct hot_record *record)
{
    if (record->state != HOT_RESIDENT || !record->external || record->type == VALUE_STRING) {
        return;
    }
    const struct value value = hot_record_value(record);
    if (likely(value_part_expire_ms(&value) == 0)) {
        return;
    }
    const uint64_t hash = record_hash(record);
    *index_slot(&partition_of(hot, hash)->index, hash, record) |= SLOT_PARTS;
    atomic_store_explicit(&hot->has_parts, true, memory_order_relaxed);
}

void entry_mirror_expiry(
    struct hot_partition *partition, uint64_t hash, const struct hot_record *record)
{
    uint64_t *slot = index_slot(&partition->index, hash, record);
    *slot = (*slot & ~SLOT_EXPIRY) | (record->has_expiry ? SLOT_EXPIRY : 0);
}
