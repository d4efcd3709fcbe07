/*
 * clock.h: time, replaceable in tests.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Wall clock, since the epoch. Never goes below clock_floor_set(): a clock set back does not undo expiry (H18). */
uint64_t clock_wall_ms(void);
uint64_t clock_wall_us(void);
/* Monotonic, from an arbitrary origin. */
uint64_t clock_monotonic_us(void);
uint64_t clock_monotonic_ms(void);
uint64_t clock_monotonic_ns(void);
/* CPU time of the calling thread. */
uint64_t clock_thread_cpu_us(void);

/* The wall clock never shows less than this from now on. Called at recovery with the last persisted time. */
void clock_floor_set(uint64_t wall_ms);

/* Tests: freezes both clocks at the given values; 0 thaws. */
void clock_fake_set(uint64_t wall_ms, uint64_t monotonic_us);
/* Tests: moves frozen clocks on. */
void clock_fake_advance(uint64_t ms);

#endif
