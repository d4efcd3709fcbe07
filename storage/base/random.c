/*
 * random.c: xoshiro256** seeded by splitmix64 (Blackman and Vigna, prng.di.unimi.it), and getrandom(2).
 */
#include "base/random.h"

#include "base/check.h"

#include <errno.h>
#include <sys/random.h>

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return (value << bits) | (value >> (64 - bits));
}

void random_init(struct random *random, uint64_t seed)
{
    for (size_t index = 0; index < COUNT_OF(random->state); index++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t mixed = seed;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
        random->state[index] = mixed ^ (mixed >> 31);
    }
}

uint64_t random_next(struct random *random)
{
    uint64_t *state = random->state;
    const uint64_t result = rotate_left(state[1] * 5, 7) * 9;
    const uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate_left(state[3], 45);
    return result;
}

uint64_t random_below(struct random *random, uint64_t bound)
{
    CHECK(bound > 0);
    /* The lowest 2^64 mod bound values are refused, so that every remainder is equally likely. */
    const uint64_t refused = (0 - bound) % bound;
    for (;;) {
        const uint64_t value = random_next(random);
        if (likely(value >= refused))
            return value % bound;
    }
}

double random_unit(struct random *random)
{
    return (double)(random_next(random) >> 11) * 0x1.0p-53;
}

void random_secret(void *out, size_t size)
{
    char *position = out;
    while (size > 0) {
        const ssize_t count = getrandom(position, size, 0);
        if (count < 0 && errno == EINTR)
            continue;
        CHECK(count > 0);
        position += count;
        size -= (size_t)count;
    }
}

void random_hex(char *out, size_t size)
{
    random_secret(out, size);
    for (size_t index = 0; index < size; index++)
        out[index] = "0123456789abcdef"[(unsigned char)out[index] & 15];
}
