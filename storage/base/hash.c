/*
 * hash.c: XXH3 through the xxHash library, compiled into this file; SipHash-2-4-128 written from the paper.
 *
 * hash_keyed() uses the form of XXH3 whose secret enters at every length. (The "secret and seed" form
 * ignores the secret up to 240 bytes, where clients could then build collisions.) The seed is mixed in
 * afterwards by a bijection: equal keys of two name spaces always differ, others stay as independent as the
 * hash itself.
 *
 * Concurrency: the secret is immutable after hash_setup().
 */
#define XXH_INLINE_ALL
#include "base/hash.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/random.h"

#include <xxhash.h>

static_assert(XXH3_SECRET_SIZE_MIN <= 192, "the secret is long enough for XXH3");

static ALIGNED(64) uint8_t keyed_secret[192]; /* immutable after hash_setup() */
static uint64_t keyed_factor;                 /* immutable after hash_setup(); odd once set */

uint64_t hash_sum64(const void *data, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, size, seed);
}

struct hash_stream {
    XXH3_state_t *state; /* needs 64-byte alignment: the library allocates it */
};

struct hash_stream *hash_stream_create(uint64_t seed)
{
    struct hash_stream *stream = mem_alloc(sizeof(*stream));
    stream->state = XXH3_createState();
    CHECK(stream->state != NULL);
    hash_stream_reset(stream, seed);
    return stream;
}

void hash_stream_destroy(struct hash_stream *stream)
{
    if (stream == NULL)
        return;
    (void)XXH3_freeState(stream->state);
    mem_free(stream);
}

void hash_stream_reset(struct hash_stream *stream, uint64_t seed)
{
    CHECK(XXH3_64bits_reset_withSeed(stream->state, seed) == XXH_OK);
}

void hash_stream_update(struct hash_stream *stream, const void *data, size_t size)
{
    if (size > 0)
        CHECK(XXH3_64bits_update(stream->state, data, size) == XXH_OK);
}

uint64_t hash_stream_digest(const struct hash_stream *stream)
{
    return XXH3_64bits_digest(stream->state);
}

void hash_setup(void)
{
    random_secret(keyed_secret, sizeof(keyed_secret));
    random_secret(&keyed_factor, sizeof(keyed_factor));
    keyed_factor |= 1;
}

uint64_t hash_keyed(const void *data, size_t size, uint64_t seed)
{
    DCHECK(keyed_factor != 0);
    return XXH3_64bits_withSecret(data, size, keyed_secret, sizeof(keyed_secret)) ^
           (seed * keyed_factor);
}

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return (value << bits) | (value >> (64 - bits));
}

static uint64_t load_le64(const uint8_t *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t index = 0; index < size; index++)
        value |= (uint64_t)bytes[index] << (8 * index);
    return value;
}

static void store_le64(uint8_t *bytes, uint64_t value)
{
    for (size_t index = 0; index < 8; index++)
        bytes[index] = (uint8_t)(value >> (8 * index));
}

static void sip_rounds(uint64_t v[4], int count)
{
    for (int round = 0; round < count; round++) {
        v[0] += v[1];
        v[1] = rotate_left(v[1], 13) ^ v[0];
        v[0] = rotate_left(v[0], 32);
        v[2] += v[3];
        v[3] = rotate_left(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate_left(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate_left(v[1], 17) ^ v[2];
        v[2] = rotate_left(v[2], 32);
    }
}

static void sip_absorb(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_rounds(v, 2);
    v[0] ^= word;
}

void hash_sip128(const void *data, size_t size, const uint8_t secret[16], uint8_t out[16])
{
    const uint64_t key_low = load_le64(secret, 8);
    const uint64_t key_high = load_le64(secret + 8, 8);
    uint64_t v[4] = {
        0x736f6d6570736575u ^ key_low,
        0x646f72616e646f6du ^ key_high ^ 0xee, /* 0xee: the variant with 128 bits */
        0x6c7967656e657261u ^ key_low,
        0x7465646279746573u ^ key_high,
    };
    const uint8_t *bytes = data;
    size_t left = size;
    for (; left >= 8; bytes += 8, left -= 8)
        sip_absorb(v, load_le64(bytes, 8));
    /* The last word: what is left, and the length modulo 256 on top. */
    sip_absorb(v, load_le64(bytes, left) | (uint64_t)size << 56);
    v[2] ^= 0xee;
    sip_rounds(v, 4);
    store_le64(out, v[0] ^ v[1] ^ v[2] ^ v[3]);
    v[1] ^= 0xdd;
    sip_rounds(v, 4);
    store_le64(out + 8, v[0] ^ v[1] ^ v[2] ^ v[3]);
}
