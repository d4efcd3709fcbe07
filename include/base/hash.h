/*
 * hash.h: checksums and hashes (xxHash library).
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* XXH3-64 with a seed: checksums of our formats. Stable for ever. */
uint64_t hash_sum64(const void *data, size_t size, uint64_t seed);
/* Its low 32 bits. */
static inline uint32_t hash_sum32(const void *data, size_t size, uint64_t seed)
{
    return (uint32_t)hash_sum64(data, size, seed);
}

/* Streaming form of hash_sum64() over several pieces. */
struct hash_stream;
struct hash_stream *hash_stream_create(uint64_t seed);
void hash_stream_destroy(struct hash_stream *stream);
void hash_stream_reset(struct hash_stream *stream, uint64_t seed);
void hash_stream_update(struct hash_stream *stream, const void *data, size_t size);
uint64_t hash_stream_digest(const struct hash_stream *stream);

/*
 * Keyed hash for tables that clients can fill: XXH3-64 with a secret drawn at process start. Not
 * stable across processes. `seed` separates name spaces. hash_setup() is called once from main()
 * (tests: from the runner) before any use.
 */
void hash_setup(void);
uint64_t hash_keyed(const void *data, size_t size, uint64_t seed);

/* SipHash-2-4 with 128-bit output (Aumasson and Bernstein; reference algorithm), for stored keys (H17). */
void hash_sip128(const void *data, size_t size, const uint8_t secret[16], uint8_t out[16]);

#endif
