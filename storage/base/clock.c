/*
 * clock.c: the kernel's clocks, with a floor for the wall clock and a fake for tests.
 *
 * Concurrency: the three variables are relaxed atomics. They carry no other data, and a reader may see
 * one change before another; only tests set fake clocks.
 */
#include "base/clock.h"

#include "base/check.h"

#include <stdatomic.h>
#include <stdbool.h>

static _Atomic uint64_t wall_floor_us;     /* atomic: only grows */
static _Atomic uint64_t fake_wall_us;      /* atomic: relaxed */
static _Atomic uint64_t fake_monotonic_us; /* atomic: relaxed */
static atomic_bool fake_active;            /* atomic: relaxed */

static bool is_fake(void)
{
    return unlikely(atomic_load_explicit(&fake_active, memory_order_relaxed));
}

static uint64_t read_clock_ns(clockid_t which)
{
    struct timespec now;
    CHECK(clock_gettime(which, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_wall_us(void)
{
    const uint64_t now_us = is_fake() ? atomic_load_explicit(&fake_wall_us, memory_order_relaxed)
                                      : read_clock_ns(CLOCK_REALTIME) / 1000;
    const uint64_t floor_us = atomic_load_explicit(&wall_floor_us, memory_order_relaxed);
    return now_us > floor_us ? now_us : floor_us;
}

uint64_t clock_wall_ms(void)
{
    return clock_wall_us() / 1000;
}

uint64_t clock_monotonic_ns(void)
{
    if (is_fake())
        return atomic_load_explicit(&fake_monotonic_us, memory_order_relaxed) * 1000;
    return read_clock_ns(CLOCK_MONOTONIC);
}

uint64_t clock_monotonic_us(void)
{
    return clock_monotonic_ns() / 1000;
}

uint64_t clock_monotonic_ms(void)
{
    return clock_monotonic_ns() / 1000000;
}

uint64_t clock_thread_cpu_us(void)
{
    return read_clock_ns(CLOCK_THREAD_CPUTIME_ID) / 1000;
}

void clock_floor_set(uint64_t wall_ms)
{
    const uint64_t floor_us = wall_ms * 1000;
    uint64_t old_us = atomic_load_explicit(&wall_floor_us, memory_order_relaxed);
    while (old_us < floor_us && !atomic_compare_exchange_weak_explicit(&wall_floor_us, &old_us,
                                    floor_us, memory_order_relaxed, memory_order_relaxed)) {
    }
}

void clock_fake_set(uint64_t wall_ms, uint64_t monotonic_us)
{
    atomic_store_explicit(&fake_wall_us, wall_ms * 1000, memory_order_relaxed);
    atomic_store_explicit(&fake_monotonic_us, monotonic_us, memory_order_relaxed);
    atomic_store_explicit(&fake_active, wall_ms != 0 || monotonic_us != 0, memory_order_relaxed);
}

void clock_fake_advance(uint64_t ms)
{
    CHECK(is_fake());
    atomic_fetch_add_explicit(&fake_wall_us, ms * 1000, memory_order_relaxed);
    atomic_fetch_add_explicit(&fake_monotonic_us, ms * 1000, memory_order_relaxed);
}
