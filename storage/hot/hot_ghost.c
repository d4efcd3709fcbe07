/*
 * hot_ghost.c: remembers keys that left probation, so that one that comes back goes to main at once.
 *
 * S3-FIFO asks for a FIFO of as many ghosts as there are records. Two generations of fingerprint sets come
 * close at half the cost: new ghosts enter the current one; when it has half as many as there are records, it becomes the
 * previous one and the oldest is dropped. So between half and all of the last <record count> departures are
 * known. A generation is sized when it is born: no rehashing, no pause when the tier grows.
 *
 *   current    [ 16 fingerprints | 16 fingerprints | ... ]   one cache line per lookup
 *   previous   [ ... ]
 *
 * A fingerprint has 32 bits: a wrong hit is one in 2^28, and costs nothing but a place in main. A full bucket
 * forgets one of its entries.
 */
#include "hot_internal.h"

#define BUCKET_FINGERPRINTS 16
/* Aimed at: 10 of 16 places taken, so that few buckets overflow. */
#define BUCKET_LOAD          10
#define GENERATION_LIMIT_MIN 64

static uint32_t fingerprint_of(uint64_t hash)
{
    const uint32_t fingerprint = (uint32_t)(hash >> 26);
    return fingerprint == 0 ? 1 : fingerprint;
}

static uint32_t *bucket_of(const struct ghost_generation *generation, uint64_t hash)
{
    const uint64_t bucket = (hash & UINT32_MAX) * generation->bucket_count >> 32;
    return &generation->fingerprints[bucket * BUCKET_FINGERPRINTS];
}

static uint64_t generation_bytes(const struct ghost_generation *generation)
{
    return generation->bucket_count * BUCKET_FINGERPRINTS * sizeof(uint32_t);
}

static void generation_start(struct ghost_generation *generation, uint64_t resident_count)
{
    uint64_t limit = resident_count / 2;
    if (limit < GENERATION_LIMIT_MIN) {
        limit = GENERATION_LIMIT_MIN;
    }
    *generation = (struct ghost_generation){
        .bucket_count = limit / BUCKET_LOAD + 1,
        .limit = limit,
    };
    CHECK(generation->bucket_count <= UINT32_MAX);
    generation->fingerprints = mem_alloc_zero(generation_bytes(generation));
}

void ghost_deinit(struct hot_ghost *ghost)
{
    mem_free(ghost->current.fingerprints);
    mem_free(ghost->previous.fingerprints);
    *ghost = (struct hot_ghost){0};
}

uint64_t ghost_bytes(const struct hot_ghost *ghost)
{
    return generation_bytes(&ghost->current) + generation_bytes(&ghost->previous);
}

uint64_t ghost_count(const struct hot_ghost *ghost)
{
    return ghost->current.entry_count + ghost->previous.entry_count;
}

void ghost_add(struct hot_ghost *ghost, uint64_t hash, uint64_t resident_count)
{
    struct ghost_generation *current = &ghost->current;
    if (current->fingerprints == NULL || current->entry_count >= current->limit) {
        mem_free(ghost->previous.fingerprints);
        ghost->previous = ghost->current;
        generation_start(current, resident_count);
    }
    const uint32_t fingerprint = fingerprint_of(hash);
    uint32_t *bucket = bucket_of(current, hash);
    for (unsigned place = 0; place < BUCKET_FINGERPRINTS; place++) {
        if (bucket[place] == fingerprint) {
            return;
        }
        if (bucket[place] == 0) {
            bucket[place] = fingerprint;
            current->entry_count++;
            return;
        }
    }
    bucket[fingerprint % BUCKET_FINGERPRINTS] = fingerprint;
}

static bool generation_take(struct ghost_generation *generation, uint64_t hash)
{
    if (generation->entry_count == 0) {
        return false;
    }
    const uint32_t fingerprint = fingerprint_of(hash);
    uint32_t *bucket = bucket_of(generation, hash);
    unsigned last = BUCKET_FINGERPRINTS;
    while (last > 0 && bucket[last - 1] == 0) {
        last--;
    }
    for (unsigned place = 0; place < last; place++) {
        if (bucket[place] == fingerprint) {
            bucket[place] = bucket[last - 1];
            bucket[last - 1] = 0;
            generation->entry_count--;
            return true;
        }
    }
    return false;
}

bool ghost_take(struct hot_ghost *ghost, uint64_t hash)
{
    const bool in_current = generation_take(&ghost->current, hash);
    const bool in_previous = generation_take(&ghost->previous, hash);
    return in_current || in_previous;
}
