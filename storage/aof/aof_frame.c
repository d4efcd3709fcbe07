/*
 * aof_frame.c: the line that begins a frame.
 *
 *   #K1 <lsn> <unix_ms> <bytes> <D> <sum>\r\n
 *
 * There is exactly one way to write a line (decimal without leading zeros, one blank, lower-case hex), and every byte of
 * it is either summed, part of the sum, or fixed: a frame with any byte changed is never taken for valid.
 */
#include "aof_internal.h"

#include <assert.h>

enum {
    SUM_DIGITS = 16,
    LINE_END_SIZE = SUM_DIGITS + 2, /* what the sum does not cover: itself and CR LF */
};

static const char line_magic[] = "#K1 ";
enum { LINE_MAGIC_SIZE = sizeof(line_magic) - 1 };

static uint64_t frame_sum(
    struct slice covered_line, struct slice payload, uint64_t seed, struct hash_stream *hash)
{
    hash_stream_reset(hash, seed);
    hash_stream_update(hash, covered_line.data, covered_line.size);
    if (payload.size > 0)
        hash_stream_update(hash, payload.data, payload.size);
    return hash_stream_digest(hash);
}

/* uint64_to_text() wants room for 24 bytes; what follows the last number gives it. */
static_assert(AOF_LINE_SIZE_MAX >= LINE_MAGIC_SIZE + 3 * 21 + 24, "room for the last number");

static char *put_number(char *to, uint64_t value)
{
    to += uint64_to_text(value, to);
    *to++ = ' ';
    return to;
}

size_t aof_line_encode(char out[AOF_LINE_SIZE_MAX], const struct aof_line *line,
    struct slice payload, uint64_t seed, struct hash_stream *hash)
{
    static const char digits[] = "0123456789abcdef";
    memcpy(out, line_magic, LINE_MAGIC_SIZE);
    char *to = out + LINE_MAGIC_SIZE;
    to = put_number(to, line->lsn);
    to = put_number(to, line->unix_ms);
    to = put_number(to, payload.size);
    to = put_number(to, line->durable_lsn);
    const uint64_t sum = frame_sum(slice_of(out, (size_t)(to - out)), payload, seed, hash);
    for (int shift = 60; shift >= 0; shift -= 4)
        *to++ = digits[(sum >> shift) & 15];
    *to++ = '\r';
    *to++ = '\n';
    return (size_t)(to - out);
}

/* A canonical decimal number and the blank after it; moves *at behind them. */
static bool take_number(const char **at, const char *end, uint64_t *value)
{
    const size_t left = (size_t)(end - *at);
    const char *const blank = memchr(*at, ' ', left < 21 ? left : 21);
    if (blank == NULL || !slice_to_uint64(slice_of(*at, (size_t)(blank - *at)), value))
        return false;
    *at = blank + 1;
    return true;
}

static bool take_sum(const char *at, uint64_t *sum)
{
    *sum = 0;
    for (int index = 0; index < SUM_DIGITS; index++) {
        const char digit = at[index];
        uint64_t value;
        if (digit >= '0' && digit <= '9')
            value = (uint64_t)(digit - '0');
        else if (digit >= 'a' && digit <= 'f')
            value = (uint64_t)(digit - 'a' + 10);
        else
            return false;
        *sum = *sum << 4 | value;
    }
    return true;
}

bool aof_line_parse(struct slice text, struct aof_line *line)
{
    if (text.size < LINE_MAGIC_SIZE || memcmp(text.data, line_magic, LINE_MAGIC_SIZE) != 0)
        return false;
    const char *const end = text.data + text.size;
    const char *at = text.data + LINE_MAGIC_SIZE;
    if (!take_number(&at, end, &line->lsn) || !take_number(&at, end, &line->unix_ms) ||
        !take_number(&at, end, &line->payload_size) || !take_number(&at, end, &line->durable_lsn))
        return false;
    if ((size_t)(end - at) < LINE_END_SIZE || !take_sum(at, &line->sum))
        return false;
    at += SUM_DIGITS;
    if (at[0] != '\r' || at[1] != '\n')
        return false;
    line->line_size = (size_t)(at + 2 - text.data);
    uint64_t after;
    return line->durable_lsn <= line->lsn && !add_overflows(line->lsn, line->payload_size, &after);
}

bool aof_line_sum_matches(const struct aof_line *line, const char *text, struct slice payload,
    uint64_t seed, struct hash_stream *hash)
{
    const struct slice covered = slice_of(text, line->line_size - LINE_END_SIZE);
    return frame_sum(covered, payload, seed, hash) == line->sum;
}
