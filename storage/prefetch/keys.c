/*
 * keys.c: the bytes of keys that may be predicted, in a log that overwrites its oldest records.
 *
 *   base ├ record ┤├ record ┤├ ... ┤ next ► ├ oldest ... ┤
 *
 * A position is the count of 8-byte units appended before the record (its low 32 bits); it grows for ever, so
 * a position tells by itself whether its record has been overwritten. Whoever reads a key again appends it
 * again when it has come into the older half: keys in use stay, at no cost for finding them. Nothing is freed,
 * nothing refers to a record but positions, memory is one block.
 *
 * A record: the key's hash (8 bytes), space (4), size (1), the key; padded to 8. It never straddles the end of
 * the block.
 */
#include "base/check.h"
#include "base/mem.h"
#include "prefetch_internal.h"

#include <string.h>

#define UNIT_BYTES    ((uint64_t)8)
#define RECORD_HEADER offsetof(struct prefetch_key_record, bytes)

static uint64_t units_of(uint32_t key_size)
{
    return (RECORD_HEADER + key_size + UNIT_BYTES - 1) / UNIT_BYTES;
}

size_t prefetch_keys_init(struct prefetch_keys *keys, size_t bytes)
{
    size_t count;
    /* Positions have 32 bits; half of that keeps their order clear. */
    keys->base = prefetch_table_create(UNIT_BYTES, (size_t)1 << 31, &bytes, &count);
    keys->unit_count = count;
    /* Position 0 counts as overwritten, so a zeroed reference is stale. */
    keys->next = count + 1;
    CHECK(keys->unit_count >= 2 * units_of(PREFETCH_KEY_MAX));
    return bytes;
}

void prefetch_keys_deinit(struct prefetch_keys *keys)
{
    mem_free(keys->base);
    keys->base = NULL;
}

static struct prefetch_key_record *record_at(const struct prefetch_keys *keys, uint64_t unit)
{
    return (
        struct prefetch_key_record *)(void *)(keys->base + (unit % keys->unit_count) * UNIT_BYTES);
}

uint32_t prefetch_keys_append(struct prefetch_keys *keys, const struct prefetch_event *event)
{
    const uint64_t units = units_of(event->key_size);
    const uint64_t left = keys->unit_count - keys->next % keys->unit_count;
    if (left < units)
        keys->next += left;
    const uint64_t position = keys->next;
    struct prefetch_key_record *record = record_at(keys, position);
    record->hash = event->hash;
    record->space = event->space;
    record->size = event->key_size;
    memcpy(record->bytes, event->key, event->key_size);
    keys->next += units;
    return (uint32_t)position;
}

/* How many units ago it was appended. */
static uint32_t age_of(const struct prefetch_keys *keys, uint32_t position)
{
    return (uint32_t)keys->next - position;
}

const struct prefetch_key_record *prefetch_keys_get(
    const struct prefetch_keys *keys, uint32_t position, uint32_t tag)
{
    const uint32_t age = age_of(keys, position);
    if (age == 0 || age > keys->unit_count)
        return NULL;
    const struct prefetch_key_record *record = record_at(keys, keys->next - age);
    /*
     * A position so old that 32 bits have come round may point anywhere, even into a key: the tag refuses
     * it, and if a client hit the tag by chance, the bounds keep the read inside the block.
     */
    if (prefetch_tag(record->hash) != tag || record->size > PREFETCH_KEY_MAX)
        return NULL;
    return units_of(record->size) <= age ? record : NULL;
}

bool prefetch_keys_fresh(const struct prefetch_keys *keys, uint32_t position, uint32_t tag)
{
    return age_of(keys, position) <= keys->unit_count / 2 &&
           prefetch_keys_get(keys, position, tag) != NULL;
}

void prefetch_keys_check(const struct prefetch_keys *keys)
{
    CHECK(keys->base != NULL);
    CHECK(mem_size(keys->base) >= keys->unit_count * UNIT_BYTES);
    CHECK(keys->next > keys->unit_count);
}
