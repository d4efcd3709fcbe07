/*
 * prefetch.h: learns from the stream of accesses and names cold keys that will be read soon.
 *
 *   worker ──access ring──► prefetch thread: predictors, governor ──batch of keys──► send hook ──► worker: tier_prefetch()
 *
 * Removable: no other module of storage/ needs it (I8). It never touches a record; it only sends key names.
 */
#ifndef STORAGE_PREFETCH_H
#define STORAGE_PREFETCH_H

#include "base/key.h"
#include "base/metric.h"
#include "base/option.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum prefetch_mode { PREFETCH_OFF, PREFETCH_SHADOW, PREFETCH_ON };
extern const char *const prefetch_mode_names[]; /* "off", "shadow", "on", NULL */

/*        name                    field         kind           default       min  max      flags           help */
#define PREFETCH_OPTIONS(X)                                                                      \
    X("prefetch", mode, OPTION_ENUM, PREFETCH_ON, 0, PREFETCH_ON, OPTION_RUNTIME,                \
        "promote cold records ahead of predicted reads: off, shadow (learn and count only), on") \
    X("prefetch-memory", memory_max, OPTION_BYTES, 0, 0, 1 * GiB, OPTION_STARTUP,                \
        "memory for prefetching; 0: a twentieth of maxmemory, from 256kb to 8mb")

struct prefetch_options {
    PREFETCH_OPTIONS(OPTION_FIELD)
};

/*        field                    kind            help */
#define PREFETCH_METRICS(X)                                                                  \
    X(access_count, METRIC_COUNTER, "accesses learned from")                                 \
    X(dropped_count, METRIC_COUNTER, "accesses not learned from: ring full or key too long") \
    X(predicted_count, METRIC_COUNTER, "keys predicted")                                     \
    X(issued_count, METRIC_COUNTER, "cold reads started")                                    \
    X(useful_count, METRIC_COUNTER, "first uses of prefetched records")                      \
    X(late_count, METRIC_COUNTER, "demand reads that joined a prefetch under way")           \
    X(wasted_count, METRIC_COUNTER, "prefetched records demoted unused")                     \
    X(absent_count, METRIC_COUNTER, "predicted keys that do not exist")                      \
    X(refused_accuracy, METRIC_COUNTER, "predictions withheld: source not accurate enough")  \
    X(refused_budget, METRIC_COUNTER, "predictions withheld: I/O budget")                    \
    X(refused_busy, METRIC_COUNTER, "predictions withheld: demand reads or room come first") \
    X(refused_resident, METRIC_COUNTER, "predictions of keys already in RAM")                \
    X(successor_issued, METRIC_COUNTER, "issued by the successor table")                     \
    X(successor_useful, METRIC_COUNTER, "useful, of the successor table")                    \
    X(sequence_issued, METRIC_COUNTER, "issued by the numeric sequence predictor")           \
    X(sequence_useful, METRIC_COUNTER, "useful, of the numeric sequence predictor")          \
    X(hinted_count, METRIC_COUNTER, "keys named by PREFETCH commands")                       \
    X(memory_bytes, METRIC_GAUGE, "memory of tables, rings and queues")                      \
    X(cpu_us_total, METRIC_COUNTER, "CPU time of the prefetch thread, microseconds")

struct prefetch_metrics {
    PREFETCH_METRICS(METRIC_FIELD)
};

/* One access. Keys longer than fit are not learned from. */
#define PREFETCH_KEY_MAX 78
enum prefetch_event_kind {
    PREFETCH_HIT,       /* read, was in RAM */
    PREFETCH_MISS,      /* read, a cold read was started or joined */
    PREFETCH_FIRST_USE, /* read, first use of a prefetched record */
    PREFETCH_WRITE,     /* overwritten or deleted */
    PREFETCH_WASTED,    /* a prefetched record was demoted unused */
    PREFETCH_ABSENT,    /* a prefetched key does not exist */
    PREFETCH_LATE,      /* a demand read joined its prefetch */
};
struct prefetch_event {
    uint64_t hash;
    uint32_t connection; /* context: id of the connection, low bits */
    uint32_t space;
    uint8_t kind;
    uint8_t key_size;
    char key[PREFETCH_KEY_MAX];
};

/* One predicted key. Source: which predictor, for its accounting. */
struct prefetch_target {
    uint32_t space;
    uint8_t key_size;
    uint8_t source;
    char key[PREFETCH_KEY_MAX];
};

struct prefetch;

struct prefetch_config {
    unsigned worker_count; /* rings */
    const struct prefetch_options *options;
    uint64_t memory_max; /* of the whole process, 0: no limit; what prefetch-memory 0 goes by */
    /* Prefetch thread: hands targets over to a worker, which calls prefetch_result() for each. Targets are copied. */
    void (*send)(void *context, const struct prefetch_target *targets, size_t count);
    /* Any thread: cold reads that clients wait for now; the governor yields to them. */
    uint64_t (*demand_pending)(void *context);
    void *context;
};

MUST_USE struct prefetch *prefetch_create(const struct prefetch_config *config);
/* Stops the thread. Takes NULL. No worker may push any more. */
void prefetch_destroy(struct prefetch *prefetch);

/* Worker `worker` only; under 30 ns; drops when the ring is full. Nothing in mode off. */
void prefetch_note(struct prefetch *prefetch, unsigned worker, enum prefetch_event_kind kind,
    const struct key *key, uint32_t connection);
/* What became of a target that was sent: the status of tier_prefetch(). Any thread. */
void prefetch_result(
    struct prefetch *prefetch, const struct prefetch_target *target, enum status status);

void prefetch_metrics_read(const struct prefetch *prefetch, struct prefetch_metrics *metrics);
void prefetch_metrics_reset(struct prefetch *prefetch);
/* Counts keys of a PREFETCH command. */
void prefetch_hinted(struct prefetch *prefetch, uint64_t count);

#endif
