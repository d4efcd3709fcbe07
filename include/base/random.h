/*
 * random.h: fast random numbers per thread, and the kernel's for secrets.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* xoshiro256** (Blackman and Vigna, public domain algorithm). Owned by one thread. */
struct random {
    uint64_t state[4];
};
void random_init(struct random *random, uint64_t seed);
uint64_t random_next(struct random *random);
/* Uniform in [0, bound), bound > 0. */
uint64_t random_below(struct random *random, uint64_t bound);
/* Uniform in [0, 1). */
double random_unit(struct random *random);

/* From the kernel; aborts if it cannot give any. */
void random_secret(void *out, size_t size);
/* size hex digits (no NUL) from the kernel, as Redis's run ids. */
void random_hex(char *out, size_t size);

#endif
