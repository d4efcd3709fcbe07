/*
 * ring.c: a single-producer single-consumer ring.
 *
 *   pop_count ──►[ item | item | item |      |      ]◄── push_count
 *
 * Both counts only grow; the difference is how many items wait, the low bits are the slot. Each side
 * remembers the other's count as it last saw it and reads it anew only when the ring seems full
 * or empty, so the two sides share cache lines rarely.
 *
 * Concurrency: push_count is released by the producer and acquired by the consumer (the items up to it
 * are visible then); pop_count the other way round (the slots before it may be overwritten then).
 */
#include "base/check.h"
#include "base/mem.h"
#include "base/thread.h"

enum { CACHE_LINE = 64 };

struct ring {
    size_t item_size;  /* immutable */
    size_t item_count; /* immutable, a power of two */
    char *items;       /* slots: owned by the side that the counts say */
    char pad_shared[CACHE_LINE];

    _Atomic uint64_t push_count; /* atomic: written by the producer */
    uint64_t pop_count_seen;     /* owned by: producer */
    _Atomic uint64_t dropped;    /* atomic: relaxed counter of the producer */
    char pad_producer[CACHE_LINE];

    _Atomic uint64_t pop_count; /* atomic: written by the consumer */
    uint64_t push_count_seen;   /* owned by: consumer */
};

struct ring *ring_create(size_t item_size, size_t item_count)
{
    CHECK(item_size > 0);
    CHECK(item_count > 0);
    CHECK((item_count & (item_count - 1)) == 0);
    size_t size;
    CHECK(!mul_overflows(item_size, item_count, &size));
    struct ring *const ring = mem_alloc_zero(sizeof(*ring));
    ring->item_size = item_size;
    ring->item_count = item_count;
    ring->items = mem_alloc(size);
    return ring;
}

void ring_destroy(struct ring *ring)
{
    if (ring == NULL)
        return;
    mem_free(ring->items);
    mem_free(ring);
}

static char *slot(const struct ring *ring, uint64_t count)
{
    return ring->items + (count & (ring->item_count - 1)) * ring->item_size;
}

bool ring_push(struct ring *ring, const void *item)
{
    const uint64_t pushed = atomic_load_explicit(&ring->push_count, memory_order_relaxed);
    if (pushed - ring->pop_count_seen == ring->item_count) {
        ring->pop_count_seen = atomic_load_explicit(&ring->pop_count, memory_order_acquire);
        if (pushed - ring->pop_count_seen == ring->item_count) {
            atomic_fetch_add_explicit(&ring->dropped, 1, memory_order_relaxed);
            return false;
        }
    }
    memcpy(slot(ring, pushed), item, ring->item_size);
    atomic_store_explicit(&ring->push_count, pushed + 1, memory_order_release);
    return true;
}

size_t ring_pop(struct ring *ring, void *items, size_t max)
{
    const uint64_t popped = atomic_load_explicit(&ring->pop_count, memory_order_relaxed);
    if (ring->push_count_seen - popped < max)
        ring->push_count_seen = atomic_load_explicit(&ring->push_count, memory_order_acquire);
    const uint64_t waiting = ring->push_count_seen - popped;
    const size_t count = waiting < max ? (size_t)waiting : max;
    char *out = items;
    for (size_t index = 0; index < count; index++, out += ring->item_size)
        memcpy(out, slot(ring, popped + index), ring->item_size);
    atomic_store_explicit(&ring->pop_count, popped + count, memory_order_release);
    return count;
}

uint64_t ring_dropped_count(const struct ring *ring)
{
    return atomic_load_explicit(&ring->dropped, memory_order_relaxed);
}
