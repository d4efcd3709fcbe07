/*
 * key.h: the name of a record, with its hash computed once.
 *
 * A key belongs to a name space: a number that stands for one generation of one database. SWAPDB exchanges
 * the spaces of two databases, FLUSHDB gives the database a new one; records keep theirs. Both tiers know
 * spaces, only the keyspace knows databases.
 */
#ifndef BASE_KEY_H
#define BASE_KEY_H

#include "base/hash.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Name-space numbers start at 1. */
struct key {
    const char *data; /* borrowed */
    uint32_t size;    /* at most KEY_SIZE_MAX */
    uint32_t space;
    uint64_t hash; /* hash_keyed() of data, seeded by space: only for this process */
};

#define KEY_SIZE_MAX ((uint32_t)512 * 1024 * 1024)

static inline struct key key_make(uint32_t space, const char *data, size_t size)
{
    return (struct key){.data = data,
        .size = (uint32_t)size,
        .space = space,
        .hash = hash_keyed(data, size, space)};
}

static inline struct slice key_slice(const struct key *key)
{
    return (struct slice){.data = key->data, .size = key->size};
}

static inline bool key_equal(const struct key *a, const struct key *b)
{
    return a->hash == b->hash && a->space == b->space && a->size == b->size &&
           (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

#endif
