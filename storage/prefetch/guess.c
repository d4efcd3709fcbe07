/*
 * guess.c: predictions whose outcome is open.
 *
 * A bounded table, sets of four by hash. Every guess leaves in one of these ways: the record is read (right), demoted
 * unused or found absent (an event says so), the worker did not start it (a result says so), or it grows too
 * old, or a set is full of younger ones (wrong). A guess that grew old stays as EXPIRED while nobody needs its slot,
 * so that a late use can still be credited.
 */
#include "base/check.h"
#include "base/mem.h"
#include "prefetch_internal.h"

#define WAYS ((size_t)4)

size_t prefetch_guesses_init(struct prefetch_guesses *guesses, size_t bytes)
{
    size_t power = WAYS;
    while (power * 2 <= PREFETCH_GUESSES_MAX && power * 2 * sizeof(struct prefetch_guess) <= bytes)
        power *= 2;
    size_t count;
    guesses->guesses = prefetch_table_create(sizeof(struct prefetch_guess), power, &bytes, &count);
    while (power > count)
        power /= 2;
    CHECK(power >= WAYS);
    guesses->guess_count = power;
    guesses->hand = 0;
    return bytes;
}

void prefetch_guesses_deinit(struct prefetch_guesses *guesses)
{
    mem_free(guesses->guesses);
    guesses->guesses = NULL;
}

static struct prefetch_guess *set_of(struct prefetch_guesses *guesses, uint64_t hash)
{
    return &guesses->guesses[(size_t)hash & (guesses->guess_count - 1) & ~(WAYS - 1)];
}

struct prefetch_guess *prefetch_guesses_find(struct prefetch_guesses *guesses, uint64_t hash)
{
    struct prefetch_guess *const set = set_of(guesses, hash);
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].hash == hash && set[i].state != PREFETCH_GUESS_FREE)
            return &set[i];
    }
    return NULL;
}

static uint16_t time_of(uint32_t now)
{
    return (uint16_t)(now / PREFETCH_GUESS_TIME_UNIT);
}

static bool is_open(const struct prefetch_guess *guess)
{
    return guess->state == PREFETCH_GUESS_SENT || guess->state == PREFETCH_GUESS_SHADOW;
}

/* Free, then expired, then the oldest. */
static bool goes_before(
    const struct prefetch_guess *a, const struct prefetch_guess *b, uint16_t now)
{
    const int rank_a = a->state == PREFETCH_GUESS_FREE ? 0 : is_open(a) ? 2 : 1;
    const int rank_b = b->state == PREFETCH_GUESS_FREE ? 0 : is_open(b) ? 2 : 1;
    if (rank_a != rank_b)
        return rank_a < rank_b;
    return (uint16_t)(now - a->made) > (uint16_t)(now - b->made);
}

bool prefetch_guesses_add(struct prefetch_guesses *guesses, const struct prefetch_guess *guess,
    struct prefetch_guess *displaced)
{
    struct prefetch_guess *const set = set_of(guesses, guess->hash);
    struct prefetch_guess *place = prefetch_guesses_find(guesses, guess->hash);
    if (place == NULL) {
        place = &set[0];
        for (size_t i = 1; i < WAYS; i++) {
            if (goes_before(&set[i], place, guess->made))
                place = &set[i];
        }
    }
    const bool lost = is_open(place) && place->hash != guess->hash;
    *displaced = *place;
    *place = *guess;
    return lost;
}

struct prefetch_guess *prefetch_guesses_sweep(
    struct prefetch_guesses *guesses, uint32_t now, size_t *steps)
{
    while (*steps > 0) {
        (*steps)--;
        struct prefetch_guess *guess = &guesses->guesses[guesses->hand];
        guesses->hand = (guesses->hand + 1) & (guesses->guess_count - 1);
        if (!is_open(guess))
            continue;
        const uint16_t age = (uint16_t)(time_of(now) - guess->made);
        if (age < PREFETCH_GUESS_AGE_MAX / PREFETCH_GUESS_TIME_UNIT)
            continue;
        guess->state = PREFETCH_GUESS_EXPIRED;
        return guess;
    }
    return NULL;
}
