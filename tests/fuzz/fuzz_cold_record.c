/*
 * fuzz_cold_record.c: the decoder of cold records against any bytes.
 *
 *   input: size of the key (u16 LE) ‖ key ‖ record
 *
 * Each input is decoded as it is, and once more with its sums made right, so that what lies behind them (structure, zstd,
 * the value's own decoder) is reached too.
 */
#include "base/check.h"
#include "base/mem.h"
#include "cold_internal.h"
#include "fuzz_setup.h"

/* 4 080 bytes of RLE blocks are 130 MiB: legal, but slow. */
#define VALUE_SIZE_TRIED ((uint64_t)MiB)

static void decode(struct slice bytes, const struct key *key)
{
    struct cold_record record;
    if (cold_record_parse(bytes, &record) == ST_OK && record.header.value_size > VALUE_SIZE_TRIED)
        return;
    struct cold_header header = {0};
    struct buf payload = {0};
    uint64_t generation = 0;
    uint32_t chunk_count = 0;
    const enum status status =
        cold_record_decode(bytes, key, &header, &payload, &generation, &chunk_count);
    if (status == ST_OK && generation == 0) {
        CHECK(payload.size == header.value_size);
        CHECK(chunk_count == 0);
        struct value value = {0};
        if (value_decode((unsigned)header.type, (unsigned)header.encoding, buf_slice(&payload),
                &value) == ST_OK)
            value_release(&value);
    }
    buf_deinit(&payload);
}

static void put_sum(uint8_t *out, uint32_t sum)
{
    for (unsigned index = 0; index < 4; index++)
        out[index] = (uint8_t)(sum >> (8 * index));
}

static void seal(uint8_t *bytes, size_t size, const struct key *key)
{
    struct cold_record record;
    if (cold_record_parse(slice_of(bytes, size), &record) != ST_OK)
        return;
    if (record.payload.size > 0)
        put_sum(bytes + 4, hash_sum32(record.payload.data, record.payload.size, 0));
    const struct slice full_key = record.key.size > 0 ? record.key : key_slice(key);
    put_sum(bytes,
        hash_sum32(record.summed.data, record.summed.size, cold_record_seed(full_key, key->space)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t key_size = (size_t)data[0] | (size_t)data[1] << 8;
    data += 2;
    size -= 2;
    if (key_size > size)
        key_size = size;
    const struct key key = key_make(1, (const char *)data, key_size);
    const size_t record_size = size - key_size;
    uint8_t *const record = mem_alloc(record_size);
    if (record_size > 0)
        memcpy(record, data + key_size, record_size);
    decode(slice_of(record, record_size), &key);
    seal(record, record_size, &key);
    decode(slice_of(record, record_size), &key);
    mem_free(record);
    return 0;
}
