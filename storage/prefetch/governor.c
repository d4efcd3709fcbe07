/*
 * governor.c: how much may be guessed. A guess costs a cold read and room in RAM, so a source must earn it.
 *
 * Accuracy: per source a moving average of outcomes. From ACCURACY_FREE up all predictions pass; below it 1 in
 * 4, below ACCURACY_POOR 1 in 16: enough to notice when the accesses become predictable again.
 *
 * Budget: a token is a cold read. Every demand brings BUDGET_SHARE of a token, and time brings a small allowance, so
 * that guessing can begin. A used guess gives its token back: it replaced a demand read, so the disk has done no
 * more than without it. What the budget bounds is therefore the *additional* reads: half of the demand. A demand
 * is a miss or a used prefetch (which would have been a miss); with misses alone, success would starve itself.
 * Tokens saved up are bounded by the last second's share.
 *
 * Priority: nothing is started while more than DEMAND_DEPTH_MAX cold reads have a client waiting, the number that the I/O
 * threads serve at once by default; beyond it a guess would make somebody wait.
 *
 * After PREFETCH.md 5.7; the thresholds are of the same kind as in feedback-directed prefetching (Srinath, HPCA '07).
 */
#include "prefetch_internal.h"

#include <string.h>

/* Neither trusted nor distrusted: outcomes move it at once. */
#define ACCURACY_START 0.5
#define ACCURACY_RATE  (1.0 / 512)
#define ACCURACY_FREE  0.35
#define ACCURACY_POOR  0.2
#define TURNS_MEDIUM   4
#define TURNS_POOR     16

#define BUDGET_SHARE          0.5
#define BUDGET_PER_SECOND_MIN 64.0
#define DEMAND_DEPTH_MAX      16

#define SECOND_US ((uint64_t)1000000)

void prefetch_governor_init(struct prefetch_governor *governor, uint64_t now_us)
{
    memset(governor, 0, sizeof(*governor));
    for (size_t i = 0; i < PREFETCH_SOURCE_COUNT; i++)
        governor->accuracy[i] = ACCURACY_START;
    governor->tokens = BUDGET_PER_SECOND_MIN;
    governor->refilled_us = now_us;
    governor->second_start_us = now_us;
}

static void add_tokens(struct prefetch_governor *governor, double tokens)
{
    const double share = (double)governor->demand_last_second * BUDGET_SHARE;
    const double tokens_max = share > BUDGET_PER_SECOND_MIN ? share : BUDGET_PER_SECOND_MIN;
    governor->tokens += tokens;
    if (governor->tokens > tokens_max)
        governor->tokens = tokens_max;
}

void prefetch_governor_tick(struct prefetch_governor *governor, uint64_t now_us)
{
    if (now_us - governor->second_start_us >= SECOND_US) {
        /* After a pause the last second is an empty one. */
        const bool adjacent = now_us - governor->second_start_us < 2 * SECOND_US;
        governor->demand_last_second = adjacent ? governor->demand_this_second : 0;
        governor->demand_this_second = 0;
        governor->second_start_us = now_us;
    }
    const uint64_t elapsed_us = now_us > governor->refilled_us ? now_us - governor->refilled_us : 0;
    governor->refilled_us = now_us;
    add_tokens(governor, (double)elapsed_us * BUDGET_PER_SECOND_MIN / (double)SECOND_US);
}

void prefetch_governor_demand(struct prefetch_governor *governor)
{
    governor->demand_this_second++;
    add_tokens(governor, BUDGET_SHARE);
}

void prefetch_governor_outcome(
    struct prefetch_governor *governor, enum prefetch_source source, bool right)
{
    double *accuracy = &governor->accuracy[source];
    *accuracy += ((right ? 1.0 : 0.0) - *accuracy) * ACCURACY_RATE;
}

void prefetch_governor_amend(struct prefetch_governor *governor, enum prefetch_source source)
{
    /* It was counted as wrong: takes that back (nearly) and counts it as right. */
    governor->accuracy[source] += ACCURACY_RATE * governor->accuracy[source];
    prefetch_governor_outcome(governor, source, true);
    if (governor->accuracy[source] > 1.0)
        governor->accuracy[source] = 1.0;
}

bool prefetch_governor_trusts(struct prefetch_governor *governor, enum prefetch_source source)
{
    const double accuracy = governor->accuracy[source];
    if (accuracy >= ACCURACY_FREE)
        return true;
    const uint32_t every = accuracy >= ACCURACY_POOR ? TURNS_MEDIUM : TURNS_POOR;
    return ++governor->turns[source] % every == 0;
}

bool prefetch_governor_spend(struct prefetch_governor *governor, uint64_t demand_pending)
{
    if (demand_pending > DEMAND_DEPTH_MAX || governor->tokens < 1.0)
        return false;
    governor->tokens -= 1.0;
    return true;
}

void prefetch_governor_refund(struct prefetch_governor *governor)
{
    add_tokens(governor, 1.0);
}
