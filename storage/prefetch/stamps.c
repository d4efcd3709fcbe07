/*
 * stamps.c: when something last happened to a key, in a table that forgets.
 *
 * Direct-mapped: a newer key takes the slot of an older one. It serves where forgetting costs a little and a
 * wrong answer (two keys with the same tag in one slot, 1 in 2^32) next to nothing: keys known to be absent,
 * keys likely to be in RAM.
 */
#include "base/check.h"
#include "base/mem.h"
#include "prefetch_internal.h"

void *prefetch_table_create(size_t item_size, size_t count_max, size_t *bytes, size_t *count)
{
    size_t items = *bytes / item_size;
    if (items > count_max)
        items = count_max;
    /* The allocator rounds up to its size classes; the bound is on what it really takes. */
    while (items > 1 && mem_good_size(items * item_size) > *bytes)
        items -= items / 16 + 1;
    CHECK(items > 0);
    void *table = mem_alloc_zero(items * item_size);
    *count = items;
    *bytes = mem_size(table);
    return table;
}

size_t prefetch_power_of_two_within(size_t n)
{
    size_t power = 1;
    while (power <= n / 2)
        power *= 2;
    return power;
}

size_t prefetch_stamps_init(struct prefetch_stamps *stamps, size_t bytes)
{
    size_t wanted = prefetch_power_of_two_within(bytes / sizeof(struct prefetch_stamp));
    if (wanted > PREFETCH_STAMPS_MAX)
        wanted = PREFETCH_STAMPS_MAX;
    size_t count;
    stamps->stamps = prefetch_table_create(sizeof(struct prefetch_stamp), wanted, &bytes, &count);
    stamps->stamp_count = prefetch_power_of_two_within(count);
    return bytes;
}

void prefetch_stamps_deinit(struct prefetch_stamps *stamps)
{
    mem_free(stamps->stamps);
    stamps->stamps = NULL;
}

static struct prefetch_stamp *slot_of(const struct prefetch_stamps *stamps, uint64_t hash)
{
    return &stamps->stamps[(size_t)hash & (stamps->stamp_count - 1)];
}

void prefetch_stamps_put(struct prefetch_stamps *stamps, uint64_t hash, uint32_t now)
{
    *slot_of(stamps, hash) = (struct prefetch_stamp){.tag = prefetch_tag(hash), .time = now};
}

void prefetch_stamps_remove(struct prefetch_stamps *stamps, uint64_t hash)
{
    struct prefetch_stamp *slot = slot_of(stamps, hash);
    if (slot->tag == prefetch_tag(hash))
        slot->tag = 0;
}

bool prefetch_stamps_age(
    const struct prefetch_stamps *stamps, uint64_t hash, uint32_t now, uint32_t *age)
{
    const struct prefetch_stamp *slot = slot_of(stamps, hash);
    if (slot->tag != prefetch_tag(hash))
        return false;
    *age = now - slot->time;
    return true;
}
