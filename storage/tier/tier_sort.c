/*
 * tier_sort.c: sorts the keys of a checkpoint into the order of the cold tier: space, then bytes.
 *
 * Comparing keys costs a cache miss each, and a sort of a million compares each key twenty times. So keys are sorted by words of eight bytes that are
 * copied next to each other: all by the first eight bytes in which they differ (radix sort), then each group of equals by the next eight. A
 * group of a few, and keys that share thousands of bytes, are compared whole.
 *
 * A key is taken as its space (big-endian), then its bytes; words beyond its end are filled with zeros. Keys that end within a word
 * and are equal up to there need their sizes to be told apart: their group is compared whole.
 */
#include "tier_internal.h"

#include <stdlib.h>

/* A key and the word that it is sorted by now. */
struct place {
    uint64_t word;
    struct key *key;
};

/* Places that are equal before `offset`. */
struct range {
    size_t begin;
    size_t end;
    size_t offset;
};

struct sorting {
    struct place *places;
    struct place *spare;  /* for the radix sort */
    struct range *ranges; /* to be sorted */
    size_t range_count;
    size_t range_capacity;
};

enum { SPACE_SIZE = 4, WORD_SIZE = 8 };
/* How far ahead bytes of keys are fetched, and the keys that say where. */
enum { AHEAD_BYTES = 16, AHEAD_KEY = 32 };
/* Up to so many are compared whole; from so many on, words are sorted by radix. */
enum { RANGE_FEW = 16, RADIX_MIN = 96 };
/* Keys that are equal up to here are compared whole. */
enum { OFFSET_MAX = 4096 };

/* The order of the cold tier's keys. */
int keys_compare(const struct key *a, const struct key *b)
{
    if (a->space != b->space)
        return a->space < b->space ? -1 : 1;
    return slice_compare(key_slice(a), key_slice(b));
}

static int compare_places(const void *left, const void *right)
{
    return keys_compare(((const struct place *)left)->key, ((const struct place *)right)->key);
}

static size_t ended_at(const struct key *key)
{
    return (size_t)SPACE_SIZE + key->size;
}

/* Bytes [offset, offset + 8) of space and key as a number that compares like them. */
static uint64_t word_at(const struct key *key, size_t offset)
{
    uint64_t word = 0;
    size_t at = offset;
    unsigned shift = 64;
    if (offset == 0) {
        word = (uint64_t)key->space << 32;
        at = SPACE_SIZE;
        shift = 32;
    }
    const size_t from = at - SPACE_SIZE;
    if (shift == 64 && key->size >= from + WORD_SIZE) {
        for (unsigned index = 0; index < WORD_SIZE; index++)
            word = word << 8 | (uint8_t)key->data[from + index];
        return word;
    }
    for (size_t index = from; index < key->size && shift > 0; index++) {
        shift -= 8;
        word |= (uint64_t)(uint8_t)key->data[index] << shift;
    }
    return word;
}

/* Fills in the words at offset; the bits in which they differ. */
static uint64_t load_words(struct place *places, size_t count, size_t offset)
{
    uint64_t difference = 0;
    for (size_t index = 0; index < count; index++) {
        if (index + AHEAD_KEY < count) {
            prefetch_read(places[index + AHEAD_KEY].key);
            prefetch_read(places[index + AHEAD_BYTES].key->data);
        }
        places[index].word = word_at(places[index].key, offset);
        difference |= places[index].word ^ places[0].word;
    }
    return difference;
}

static void insertion_sort(struct place *places, size_t count)
{
    for (size_t index = 1; index < count; index++) {
        const struct place place = places[index];
        size_t at = index;
        while (at > 0 && places[at - 1].word > place.word) {
            places[at] = places[at - 1];
            at--;
        }
        places[at] = place;
    }
}

/* By word, one byte after the other from the last that differs. */
static void radix_sort(struct place *places, struct place *spare, size_t count, uint64_t difference)
{
    struct place *from = places;
    struct place *to = spare;
    for (unsigned shift = 0; shift < 64; shift += 8) {
        if ((difference >> shift & 0xff) == 0)
            continue;
        size_t starts[256] = {0};
        for (size_t index = 0; index < count; index++)
            starts[from[index].word >> shift & 0xff]++;
        size_t start = 0;
        for (unsigned byte = 0; byte < 256; byte++) {
            const size_t next = start + starts[byte];
            starts[byte] = start;
            start = next;
        }
        for (size_t index = 0; index < count; index++)
            to[starts[from[index].word >> shift & 0xff]++] = from[index];
        struct place *const sorted = to;
        to = from;
        from = sorted;
    }
    if (from != places)
        memcpy(places, from, count * sizeof(*places));
}

static void push(struct sorting *sorting, size_t begin, size_t end, size_t offset)
{
    if (sorting->range_count == sorting->range_capacity) {
        sorting->range_capacity = sorting->range_capacity == 0 ? 64 : sorting->range_capacity * 2;
        sorting->ranges =
            mem_realloc(sorting->ranges, sorting->range_capacity * sizeof(*sorting->ranges));
    }
    sorting->ranges[sorting->range_count++] = (struct range){begin, end, offset};
}

/* Places whose words are equal. */
static void sort_equals(struct sorting *sorting, size_t begin, size_t end, size_t offset)
{
    bool ended = false;
    for (size_t index = begin; index < end && !ended; index++)
        ended = ended_at(sorting->places[index].key) <= offset + WORD_SIZE;
    if (ended || end - begin <= RANGE_FEW || offset >= OFFSET_MAX)
        qsort(sorting->places + begin, end - begin, sizeof(*sorting->places), compare_places);
    else
        push(sorting, begin, end, offset + WORD_SIZE);
}

static void sort_range(struct sorting *sorting, struct range range)
{
    struct place *const places = sorting->places + range.begin;
    const size_t count = range.end - range.begin;
    const uint64_t difference = load_words(places, count, range.offset);
    if (difference != 0 && count < RADIX_MIN)
        insertion_sort(places, count);
    else if (difference != 0)
        radix_sort(places, sorting->spare, count, difference);
    size_t begin = 0;
    for (size_t index = 1; index <= count; index++) {
        if (index < count && places[index].word == places[begin].word)
            continue;
        if (index - begin > 1)
            sort_equals(sorting, range.begin + begin, range.begin + index, range.offset);
        begin = index;
    }
}

/* The keys in the order of their places, in an array of their own: moving them where they are would be one cache miss after the other. */
static struct key *gather(const struct place *places, size_t count)
{
    struct key *const sorted = mem_alloc(count * sizeof(*sorted));
    for (size_t index = 0; index < count; index++) {
        if (index + AHEAD_BYTES < count)
            prefetch_read(places[index + AHEAD_BYTES].key);
        sorted[index] = *places[index].key;
    }
    return sorted;
}

struct key *keys_sort(struct key *keys, size_t count)
{
    if (count < 2)
        return keys;
    struct sorting sorting = {
        .places = mem_alloc(count * sizeof(struct place)),
        .spare = mem_alloc(count * sizeof(struct place)),
    };
    for (size_t index = 0; index < count; index++)
        sorting.places[index].key = &keys[index];
    push(&sorting, 0, count, 0);
    while (sorting.range_count > 0)
        sort_range(&sorting, sorting.ranges[--sorting.range_count]);
    mem_free(sorting.spare);
    mem_free(sorting.ranges);
    struct key *const sorted = gather(sorting.places, count);
    mem_free(sorting.places);
    mem_free(keys);
    return sorted;
}
