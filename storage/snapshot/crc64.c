/*
 * crc64.c: the checksum at the end of a payload.
 *
 * Polynomial 0xad93d23594c935a9 (Jones), reflected input and output, start and final value 0. Eight tables: table[k][b] is the sum of
 * byte b followed by k zero bytes, so that eight bytes are folded at once.
 */
#include "base/compiler.h"
#include "storage/snapshot.h"

#include <pthread.h>

#define POLYNOMIAL_REFLECTED UINT64_C(0x95ac9329ac4bc9b5)

static uint64_t tables[8][256]; /* immutable after fill_tables() */
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void fill_tables(void)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        uint64_t sum = byte;
        for (unsigned bit = 0; bit < 8; bit++)
            sum = (sum & 1) != 0 ? (sum >> 1) ^ POLYNOMIAL_REFLECTED : sum >> 1;
        tables[0][byte] = sum;
    }
    for (unsigned byte = 0; byte < 256; byte++) {
        for (unsigned k = 1; k < 8; k++) {
            const uint64_t sum = tables[k - 1][byte];
            tables[k][byte] = tables[0][sum & 0xff] ^ (sum >> 8);
        }
    }
}

static uint64_t load_u64(const uint8_t *bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

uint64_t snapshot_crc64(uint64_t sum, const void *data, size_t size)
{
    (void)pthread_once(&tables_once, fill_tables);
    const uint8_t *bytes = data;
    for (; size >= 8; size -= 8, bytes += 8) {
        sum ^= load_u64(bytes);
        uint64_t folded = 0;
        for (unsigned i = 0; i < 8; i++)
            folded ^= tables[7 - i][(sum >> (8 * i)) & 0xff];
        sum = folded;
    }
    for (; size > 0; size--, bytes++)
        sum = tables[0][(sum ^ *bytes) & 0xff] ^ (sum >> 8);
    return sum;
}
