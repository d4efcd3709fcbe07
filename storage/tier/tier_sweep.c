/*
 * tier_sweep.c: removes records of dead spaces from RAM, in slices, between checkpoints.
 *
 * They may go whatever their dirty state: the flush that killed the space is in the log, and the checkpoint that holds it kills the space in
 * the cold tier. Pinned and FETCHING entries stay for a later walk.
 */
#include "tier_internal.h"

enum { SWEEP_SLICE_MAX = 512 };

struct sweep {
    struct tier *tier;
    uint64_t seen_count; /* of dead spaces */
};

static bool is_dead(void *context, uint32_t space)
{
    struct sweep *const sweep = context;
    if (!tier_space_is_dead(sweep->tier, space))
        return false;
    sweep->seen_count++;
    return true;
}

bool sweep_run(struct tier *tier)
{
    struct sweep sweep = {.tier = tier};
    size_t skipped = 0;
    for (unsigned partition = 0; partition < HOT_PARTITION_COUNT; partition++) {
        const uint64_t stripe = hot_stripe_of_partition(tier->hot, partition);
        uint64_t cursor = 0;
        bool more;
        do {
            hot_lock(tier->hot, stripe);
            more = hot_sweep(
                tier->hot, partition, &cursor, SWEEP_SLICE_MAX, is_dead, &sweep, &skipped);
            hot_unlock(tier->hot, stripe);
        } while (more);
    }
    if (sweep.seen_count > skipped)
        metric_add(tier->metrics, swept_count, sweep.seen_count - skipped);
    if (skipped > 0)
        return true;
    /* Nothing of a dead space is left, and nothing of it can come again. */
    mem_free(tier->killed.spaces);
    tier->killed = (struct tier_spaces){0};
    return false;
}
