/*
 * harness.h: a prefetcher whose thread is the test: events go in by the public functions, run() takes all of
 * them in, and what the send hook got is kept.
 */
#ifndef PREFETCH_TEST_HARNESS_H
#define PREFETCH_TEST_HARNESS_H

#include "prefetch_internal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HARNESS_TARGETS_MAX 200000

struct harness {
    struct prefetch_options options;
    struct prefetch *prefetch;
    uint64_t demand_pending;
    size_t sent_count; /* since the last forget() */
    size_t batch_max;  /* largest batch ever sent */
    struct prefetch_target *sent;
};

/* Mode on, 1 MiB, one worker, a budget that lets everything pass. Time stands still (clock_fake_set). */
void harness_init(struct harness *harness);
void harness_init_options(
    struct harness *harness, enum prefetch_mode mode, uint64_t memory_max, unsigned workers);
void harness_deinit(struct harness *harness);
/* Reads that may be started now, and the last second's demand, of which half is what may be saved up. */
void harness_set_budget(struct harness *harness, double tokens, uint64_t demand_last_second);

/* One event of worker 0, in space 1. */
void note(
    struct harness *harness, enum prefetch_event_kind kind, const char *name, uint32_t connection);
/* Takes in everything noted so far. */
void run(struct harness *harness);
/* note(MISS) and run(). */
void miss(struct harness *harness, const char *name, uint32_t connection);
void forget(struct harness *harness);
bool was_sent(const struct harness *harness, const char *name);
/* Reports the same status for all that was sent since the last forget(). */
void answer_all(struct harness *harness, enum status status);
/* Notes the same event for all that was sent since the last forget(). Nothing is sent meanwhile. */
void note_all(struct harness *harness, enum prefetch_event_kind kind);

#define METRIC(harness, field) harness_metrics(harness)->field
const struct prefetch_metrics *harness_metrics(const struct harness *harness);

#endif
