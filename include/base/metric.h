/*
 * metric.h: counters and gauges as tables.
 *
 * A module's header lists rows X(field, kind, help); the struct is made from them with METRIC_FIELD. Each is
 * a relaxed atomic: any thread may add, readers may see a moment's inconsistency between two of them. INFO (and
 * later the Prometheus text) are printed from the rows.
 */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include <stdatomic.h>
#include <stdint.h>

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE };

#define METRIC_FIELD(field, kind, help) _Atomic uint64_t field;
#define metric_add(metrics, field, amount) \
    ((void)atomic_fetch_add_explicit(&(metrics)->field, (uint64_t)(amount), memory_order_relaxed))
#define metric_sub(metrics, field, amount) \
    ((void)atomic_fetch_sub_explicit(&(metrics)->field, (uint64_t)(amount), memory_order_relaxed))
#define metric_set(metrics, field, value) \
    atomic_store_explicit(&(metrics)->field, (uint64_t)(value), memory_order_relaxed)
#define metric_get(metrics, field) atomic_load_explicit(&(metrics)->field, memory_order_relaxed)
/* For a counter that only one thread writes: no locked instruction. */
#define metric_bump(metrics, field, amount)                                                 \
    atomic_store_explicit(&(metrics)->field,                                                \
        atomic_load_explicit(&(metrics)->field, memory_order_relaxed) + (uint64_t)(amount), \
        memory_order_relaxed)

#endif
