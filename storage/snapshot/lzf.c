/*
 * lzf.c: the decompressor of LZF blocks, in which Redis stores long compressible strings.
 *
 *   000LLLLL ‖ L+1 bytes                         literal run
 *   LLLooooo oooooooo                            copy L+2 bytes (L = 1..6) from o+1 bytes back
 *   111ooooo LLLLLLLL oooooooo                   the same, L+9 bytes
 *
 * Format: Marc Lehmann's liblzf. A copy may overlap its own output, which repeats a pattern.
 */
#include "snapshot_internal.h"

/* Copies `size` bytes from `distance` back; the regions may overlap on purpose. */
static void copy_back(uint8_t *out, size_t distance, size_t size)
{
    const uint8_t *from = out - distance;
    if (distance >= size) {
        memcpy(out, from, size);
        return;
    }
    for (size_t i = 0; i < size; i++)
        out[i] = from[i];
}

enum status lzf_decompress(struct slice in, char *out, size_t out_size)
{
    struct reader reader = reader_of(in);
    uint8_t *const start = (uint8_t *)out;
    size_t done = 0;
    while (reader_left(&reader) > 0) {
        const unsigned control = reader_u8(&reader);
        size_t size = control >> 5;
        if (size == 0) {
            size = control + 1;
            const struct slice literal = reader_bytes(&reader, size);
            if (reader.failed || size > out_size - done)
                return ST_CORRUPT;
            memcpy(start + done, literal.data, size);
            done += size;
            continue;
        }
        if (size == 7)
            size += reader_u8(&reader);
        size += 2;
        const size_t distance = ((size_t)(control & 0x1f) << 8) + reader_u8(&reader) + 1;
        if (reader.failed || distance > done || size > out_size - done)
            return ST_CORRUPT;
        copy_back(start + done, distance, size);
        done += size;
    }
    return done == out_size ? ST_OK : ST_CORRUPT;
}
