/*
 * hot_room.c: which records to let go: S3-FIFO by bytes (Yang, Zhang, Qiu, Yue, Rashmi: "FIFO queues are all you
 * need for cache eviction", SOSP '23), one set of queues per partition.
 *
 *                 ghosts know it ─────────────────────────────┐
 *                                                             ▼
 *   new ──► probation (10 % of bytes) ── used again ──► main (the rest) ◄─┐
 *               │ not used                                │      └─ used ─┘ frequency - 1
 *               ▼                                         ▼
 *           demoted, becomes a ghost                  demoted
 *
 *   clean STUB, ABSENT ──► limbo ──► first to leave
 *
 * Nothing moves on a use but a counter in the record (0..3). Dirty and pinned records that would have to leave go
 * to the head of main instead and are counted: the caller learns from it that a checkpoint is what makes room. A
 * prefetched record that nobody used leaves without a ghost: a guess proves nothing about demand.
 */
#include "hot_internal.h"

/* Percent of the bytes in probation and main. */
#define PROBATION_PERCENT 10

/* --- links -------------------------------------------------------------------------------------------- */

static struct hot_record *unpack(uint32_t low, uint16_t high)
{
    return (struct hot_record *)(uintptr_t)((uint64_t)high << 32 | low);
}

struct hot_record *queue_next(const struct hot_record *record)
{
    return unpack(record->next_low, record->next_high);
}

struct hot_record *queue_previous(const struct hot_record *record)
{
    return unpack(record->previous_low, record->previous_high);
}

static void set_next(struct hot_record *record, const struct hot_record *next)
{
    const uint64_t address = (uint64_t)(uintptr_t)next;
    record->next_low = (uint32_t)address;
    record->next_high = (uint16_t)(address >> 32 & 0xffff);
}

static void set_previous(struct hot_record *record, const struct hot_record *previous)
{
    const uint64_t address = (uint64_t)(uintptr_t)previous;
    record->previous_low = (uint32_t)address;
    record->previous_high = (uint16_t)(address >> 32 & 0xffff);
}

void queue_push(struct hot_partition *partition, unsigned queue, struct hot_record *record)
{
    DCHECK(record->queue == HOT_QUEUE_NONE);
    DCHECK(queue != HOT_QUEUE_NONE);
    struct hot_list *list = &partition->queues[queue];
    record->queue = queue & 3U;
    set_previous(record, NULL);
    set_next(record, list->head);
    if (list->head != NULL) {
        set_previous(list->head, record);
    } else {
        list->tail = record;
    }
    list->head = record;
}

void queue_unlink(struct hot_partition *partition, struct hot_record *record)
{
    if (record->queue == HOT_QUEUE_NONE) {
        return;
    }
    struct hot_list *list = &partition->queues[record->queue];
    struct hot_record *next = queue_next(record);
    struct hot_record *previous = queue_previous(record);
    if (previous != NULL) {
        set_next(previous, next);
    } else {
        list->head = next;
    }
    if (next != NULL) {
        set_previous(next, previous);
    } else {
        list->tail = previous;
    }
    record->queue = HOT_QUEUE_NONE;
}

void queue_relink(struct hot_partition *partition, struct hot_record *record)
{
    if (record->queue == HOT_QUEUE_NONE) {
        return;
    }
    struct hot_list *list = &partition->queues[record->queue];
    struct hot_record *next = queue_next(record);
    struct hot_record *previous = queue_previous(record);
    if (previous != NULL) {
        set_next(previous, record);
    } else {
        list->head = record;
    }
    if (next != NULL) {
        set_previous(next, record);
    } else {
        list->tail = record;
    }
}

void queue_admit(
    struct hot_partition *partition, uint64_t hash, struct hot_record *record, struct hot_heat heat)
{
    if (heat.queue != HOT_QUEUE_NONE) {
        record->frequency = heat.frequency > 3 ? 3U : (unsigned)heat.frequency & 3U;
        record->fresh = record->prefetched;
        queue_push(partition, heat.queue, record);
        return;
    }
    record->frequency = 0;
    record->fresh = 1;
    /* A guess is not a return: ghosts are asked, and forgotten, only for what was asked for. */
    if (!record->prefetched && ghost_take(&partition->ghost, hash)) {
        metric_bump(&partition->metrics, ghost_hit_count, 1);
        queue_push(partition, HOT_QUEUE_MAIN, record);
        return;
    }
    queue_push(partition, HOT_QUEUE_PROBATION, record);
}

/* --- demotion ------------------------------------------------------------------------------------------ */

static bool may_leave(const struct hot_record *record)
{
    return record->dirty == CODE_CLEAN && record->pins == 0;
}

/* Into the account again at the head of a queue. */
static void move_to(struct hot_partition *partition, unsigned queue, struct hot_record *record)
{
    account_subtract(partition, record);
    queue_unlink(partition, record);
    queue_push(partition, queue, record);
    account_add(partition, record);
}

/* Returns what was freed. I7: what leaves is in the cold tier, or was known to be absent there. */
static size_t drop(struct hot_partition *partition, struct hot_record *record, bool leaves_ghost)
{
    CHECK(record->dirty == CODE_CLEAN);
    CHECK(record->pins == 0);
    const size_t freed_bytes = record_memory(record);
    const uint64_t hash = record_hash(record);
    if (record->state == HOT_RESIDENT) {
        CHECK(record->cold_committed);
        metric_bump(&partition->metrics, demoted_count, 1);
        if (record->prefetched) {
            metric_bump(&partition->metrics, prefetch_wasted_count, 1);
        } else if (leaves_ghost) {
            ghost_add(&partition->ghost, hash, metric_get(&partition->metrics, record_count));
        }
    }
    entry_remove(partition, hash, record);
    return freed_bytes;
}

bool hot_demote_record(struct hot *hot, const struct key *key, struct hot_record *record)
{
    struct hot_partition *partition = partition_of(hot, key->hash);
    DCHECK_HELD(hot, partition);
    if (record->state == HOT_FETCHING || !may_leave(record)) {
        return false;
    }
    (void)drop(partition, record, false);
    return true;
}

/* What must stay goes to the head of main. */
static size_t spare_or_drop(struct hot_partition *partition, struct hot_record *record,
    bool leaves_ghost, struct hot_demotion *demotion)
{
    if (may_leave(record)) {
        return drop(partition, record, leaves_ghost);
    }
    demotion->dirty_count += record->dirty != CODE_CLEAN;
    move_to(partition, HOT_QUEUE_MAIN, record);
    return 0;
}

static size_t step_probation(struct hot_partition *partition, struct hot_demotion *demotion)
{
    struct hot_record *record = partition->queues[HOT_QUEUE_PROBATION].tail;
    if (record->frequency > 0) {
        record->frequency = 0;
        move_to(partition, HOT_QUEUE_MAIN, record);
        return 0;
    }
    return spare_or_drop(partition, record, true, demotion);
}

static size_t step_main(struct hot_partition *partition, struct hot_demotion *demotion)
{
    struct hot_record *record = partition->queues[HOT_QUEUE_MAIN].tail;
    if (record->frequency > 0) {
        record->frequency = (record->frequency - 1U) & 3U;
        move_to(partition, HOT_QUEUE_MAIN, record);
        return 0;
    }
    return spare_or_drop(partition, record, false, demotion);
}

static size_t step_limbo(struct hot_partition *partition)
{
    struct hot_record *record = partition->queues[QUEUE_LIMBO].tail;
    if (may_leave(record)) {
        return drop(partition, record, false);
    }
    move_to(partition, QUEUE_LIMBO, record);
    return 0;
}

static bool probation_is_due(const struct hot_partition *partition)
{
    const struct hot_list *probation = &partition->queues[HOT_QUEUE_PROBATION];
    const struct hot_list *proven = &partition->queues[HOT_QUEUE_MAIN];
    if (probation->tail == NULL || proven->tail == NULL) {
        return probation->tail != NULL;
    }
    return probation->bytes * 100 >= (probation->bytes + proven->bytes) * PROBATION_PERCENT;
}

void hot_demote(struct hot *hot, unsigned partition_number, size_t target_bytes, size_t step_max,
    struct hot_demotion *demotion)
{
    CHECK(partition_number < HOT_PARTITION_COUNT);
    struct hot_partition *partition = &hot->partitions[partition_number];
    DCHECK_HELD(hot, partition);
    *demotion = (struct hot_demotion){0};
    /* Each is looked at once, so that pinned ones cannot use up all steps. */
    uint64_t limbo_left = partition->queues[QUEUE_LIMBO].entry_count;
    while (demotion->freed_bytes < target_bytes && demotion->examined_count < step_max) {
        if (limbo_left > 0) {
            limbo_left--;
            demotion->freed_bytes += step_limbo(partition);
        } else if (probation_is_due(partition)) {
            demotion->freed_bytes += step_probation(partition, demotion);
        } else if (partition->queues[HOT_QUEUE_MAIN].tail != NULL) {
            demotion->freed_bytes += step_main(partition, demotion);
        } else {
            break;
        }
        demotion->examined_count++;
    }
}

void hot_visit_queue(struct hot *hot, unsigned partition_number, enum hot_queue queue,
    size_t record_max, hot_visit_fn visit, void *context)
{
    CHECK(partition_number < HOT_PARTITION_COUNT);
    CHECK(queue != HOT_QUEUE_NONE);
    struct hot_partition *partition = &hot->partitions[partition_number];
    DCHECK_HELD(hot, partition);
    struct hot_record *record = partition->queues[queue].head;
    for (size_t count = 0; record != NULL && count < record_max; count++) {
        struct hot_record *next = queue_next(record);
        visit(context, record);
        record = next;
    }
}
