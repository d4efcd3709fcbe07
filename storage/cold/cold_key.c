/*
 * cold_key.c: how keys are stored.
 *
 *   key of up to 496 bytes   space (u32 BE) ‖ key                                      4 to 500 bytes
 *   longer                   space (u32 BE) ‖ first 481 bytes ‖ SipHash-2-4-128(key)   501 bytes
 *
 * So the size tells which form it is. The hash is keyed with the store's secret, which clients cannot know: nobody can make two
 * keys meet (H17); the record still carries the full key, and readers compare it. Order in k is the order of
 * keys, except among long keys that share their first 481 bytes.
 *
 * An entry of the expiry index is the minute (u32 BE, rounded down) ‖ the stored key. Minutes keep the index quiet when a
 * session's TTL is refreshed every few seconds; the exact time is in the record.
 */
#include "base/check.h"
#include "cold_internal.h"

static_assert(COLD_SPACE_SIZE + COLD_KEY_LONG_SIZE <= 511, "LMDB's limit for keys");

#define FILTER_SEED_LONG ((uint64_t)0x6c6f6e67206b6579)
#define MINUTE_MS        ((uint64_t)60 * 1000)

void cold_key_encode(
    const uint8_t secret[COLD_SECRET_SIZE], const struct key *key, struct cold_key *stored)
{
    cold_put_be32(stored->bytes, key->space);
    uint8_t *const bytes = stored->bytes + COLD_SPACE_SIZE;
    if (!cold_key_is_long(key)) {
        if (key->size > 0)
            memcpy(bytes, key->data, key->size);
        stored->size = COLD_SPACE_SIZE + key->size;
        return;
    }
    memcpy(bytes, key->data, COLD_KEY_LONG_PREFIX);
    hash_sip128(key->data, key->size, secret, bytes + COLD_KEY_LONG_PREFIX);
    stored->size = COLD_KEY_LONG_SIZE;
}

void cold_key_encode_prefix(uint32_t space, struct slice prefix, struct cold_key *stored)
{
    const size_t size = prefix.size < COLD_KEY_LONG_PREFIX ? prefix.size : COLD_KEY_LONG_PREFIX;
    cold_put_be32(stored->bytes, space);
    if (size > 0)
        memcpy(stored->bytes + COLD_SPACE_SIZE, prefix.data, size);
    stored->size = COLD_SPACE_SIZE + size;
}

uint32_t cold_key_space(struct slice stored)
{
    return cold_get_be32((const uint8_t *)stored.data);
}

uint64_t cold_key_filter_hash(struct slice stored)
{
    CHECK(stored.size >= COLD_SPACE_SIZE);
    const uint64_t seed = cold_key_space(stored);
    return hash_keyed(stored.data + COLD_SPACE_SIZE, stored.size - COLD_SPACE_SIZE,
        cold_key_stored_long(stored) ? seed ^ FILTER_SEED_LONG : seed);
}

void cold_index_key_encode(uint32_t minute, struct slice stored, struct cold_index_key *index)
{
    CHECK(stored.size <= COLD_KEY_LONG_SIZE);
    cold_put_be32(index->bytes, minute);
    memcpy(index->bytes + 4, stored.data, stored.size);
    index->size = 4 + stored.size;
}

uint64_t cold_due_ms(const struct cold_header *header)
{
    if (header->wake_ms == 0 || header->expire_ms == 0)
        return header->wake_ms | header->expire_ms;
    return header->wake_ms < header->expire_ms ? header->wake_ms : header->expire_ms;
}

uint32_t cold_expire_minute(uint64_t expire_ms)
{
    if (expire_ms == 0)
        return 0;
    const uint64_t minute = expire_ms / MINUTE_MS;
    if (minute == 0)
        return 1; /* the first minute of the epoch: 0 says that there is no entry */
    return minute > UINT32_MAX ? UINT32_MAX : (uint32_t)minute;
}
