/*
 * hot.c: the tier as a whole: creation, stripes, figures.
 *
 * Each partition carries its own stripe. With a single stripe the first partition's lock stands for all, so that a
 * worker that is alone locks once per turn. The hash's top bits choose the partition.
 */
#include "hot_internal.h"

#define CACHE_LINE_BYTES 64

const void *thread_identity(void)
{
    static _Thread_local char identity;
    return &identity;
}

struct hot *hot_create(const struct hot_config *config)
{
    CHECK(config->save_image != NULL);
    void *block = mem_alloc_zero(sizeof(struct hot) + CACHE_LINE_BYTES);
    const uintptr_t aligned =
        ((uintptr_t)block + CACHE_LINE_BYTES - 1) & ~(uintptr_t)(CACHE_LINE_BYTES - 1);
    struct hot *hot = (struct hot *)aligned;
    hot->config = *config;
    hot->block = block;
    hot->code_now = CODE_EPOCH_EVEN;
    for (unsigned number = 0; number < HOT_PARTITION_COUNT; number++) {
        struct hot_partition *partition = &hot->partitions[number];
        mutex_init(&partition->stripe, LOCK_RANK_STRIPE);
        index_init(&partition->index);
        account_tables(partition);
    }
    return hot;
}

static void free_slot(void *context, uint64_t *slot)
{
    (void)context;
    record_release_value(slot_record(*slot));
    mem_free(slot_record(*slot));
}

void hot_destroy(struct hot *hot)
{
    if (hot == NULL) {
        return;
    }
    for (unsigned number = 0; number < HOT_PARTITION_COUNT; number++) {
        struct hot_partition *partition = &hot->partitions[number];
        for (uint64_t bucket = 0; bucket < partition->index.bucket_count; bucket++) {
            bucket_each(&partition->index.buckets[bucket], free_slot, NULL);
        }
        index_deinit(&partition->index);
        ghost_deinit(&partition->ghost);
        mutex_deinit(&partition->stripe);
    }
    mem_free(hot->block);
}

/* --- figures ------------------------------------------------------------------------------------------ */

static void add_metrics(struct hot_metrics *sum, const struct hot_metrics *part)
{
#define ADD_FIELD(field, kind, help) metric_add(sum, field, metric_get(part, field));
    HOT_METRICS(ADD_FIELD)
#undef ADD_FIELD
}

void hot_metrics_read(const struct hot *hot, struct hot_metrics *metrics)
{
#define CLEAR_FIELD(field, kind, help) metric_set(metrics, field, 0);
    HOT_METRICS(CLEAR_FIELD)
#undef CLEAR_FIELD
    add_metrics(metrics, &hot->shared);
    for (unsigned number = 0; number < HOT_PARTITION_COUNT; number++) {
        add_metrics(metrics, &hot->partitions[number].metrics);
    }
}

uint64_t hot_memory_bytes(const struct hot *hot)
{
    uint64_t bytes = 0;
    for (unsigned number = 0; number < HOT_PARTITION_COUNT; number++) {
        const struct hot_metrics *metrics = &hot->partitions[number].metrics;
        bytes += metric_get(metrics, record_bytes) + metric_get(metrics, index_bytes) +
                 metric_get(metrics, ghost_bytes);
    }
    return bytes;
}

/* --- stripes -------------------------------------------------------------------------------------------- */

unsigned hot_partition(const struct key *key)
{
    return hash_partition(key->hash);
}

uint64_t hot_stripe_of_partition(const struct hot *hot, unsigned partition)
{
    CHECK(partition < HOT_PARTITION_COUNT);
    return hot->config.single_stripe ? 1 : (uint64_t)1 << partition;
}

uint64_t hot_stripe(const struct hot *hot, const struct key *key)
{
    return hot_stripe_of_partition(hot, hash_partition(key->hash));
}

uint64_t hot_stripes_all(const struct hot *hot)
{
    return hot->config.single_stripe ? 1 : UINT64_MAX;
}
static_assert(HOT_PARTITION_COUNT == 64, "one bit per partition");

bool hot_has_single_stripe(const struct hot *hot)
{
    return hot->config.single_stripe;
}

static void set_holder(struct hot_partition *partition, const void *holder)
{
#ifdef KELVIN_DEBUG
    atomic_store_explicit(&partition->holder, holder, memory_order_relaxed);
#else
    (void)partition;
    (void)holder;
#endif
}

void hot_lock(struct hot *hot, uint64_t stripes) NO_THREAD_SAFETY_ANALYSIS
{
    DCHECK((stripes & ~hot_stripes_all(hot)) == 0);
    for (; stripes != 0; stripes &= stripes - 1) {
        struct hot_partition *partition = &hot->partitions[lowest_bit(stripes)];
        mutex_lock(&partition->stripe);
        set_holder(partition, thread_identity());
    }
}

bool hot_try_lock(struct hot *hot, uint64_t stripes) NO_THREAD_SAFETY_ANALYSIS
{
    DCHECK((stripes & ~hot_stripes_all(hot)) == 0);
    uint64_t taken = 0;
    for (; stripes != 0; stripes &= stripes - 1) {
        struct hot_partition *partition = &hot->partitions[lowest_bit(stripes)];
        if (!mutex_try_lock(&partition->stripe)) {
            hot_unlock(hot, taken);
            return false;
        }
        set_holder(partition, thread_identity());
        taken |= stripes & (0 - stripes);
    }
    return true;
}

void hot_unlock(struct hot *hot, uint64_t stripes) NO_THREAD_SAFETY_ANALYSIS
{
    for (; stripes != 0; stripes &= stripes - 1) {
        struct hot_partition *partition = &hot->partitions[lowest_bit(stripes)];
        set_holder(partition, NULL);
        mutex_unlock(&partition->stripe);
    }
}
