/*
 * slice.h: borrowed bytes, and a growing buffer of owned bytes.
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include "base/compiler.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes that somebody else owns; not NUL-terminated. data may be NULL when size is 0. */
struct slice {
    const char *data;
    size_t size;
};

#define SLICE_LITERAL(text) ((struct slice){.data = (text), .size = sizeof(text) - 1})

static inline struct slice slice_of(const void *data, size_t size)
{
    return (struct slice){.data = data, .size = size};
}

static inline struct slice slice_text(const char *text)
{
    return (struct slice){.data = text, .size = strlen(text)};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* As memcmp, a shorter one first. */
int slice_compare(struct slice a, struct slice b);
/* ASCII letters compare without case, as option and command names do. text is NUL-terminated. */
bool slice_equal_nocase(struct slice a, const char *text);

/* The whole slice is a decimal int64 in Redis's strict form: no '+', no blanks, no leading zeros, "-0" refused. */
MUST_USE bool slice_to_int64(struct slice text, int64_t *value);
MUST_USE bool slice_to_uint64(struct slice text, uint64_t *value);
/* The whole slice is a double as strtod reads it, without blanks and without NaN; inf is allowed. */
MUST_USE bool slice_to_double(struct slice text, double *value);
/* Exact text of a number; `out` has room for 24 bytes, no NUL is written; returns the length. */
size_t int64_to_text(int64_t value, char *out);
size_t uint64_to_text(uint64_t value, char *out);

/*
 * Redis's glob match: * ? [a-z] [^x] and backslash, to the letter: the empty text matches the empty pattern
 * alone, so callers that mean "all" by "*" say so themselves, as Redis does. At most size of pattern * size
 * of text steps (no exponential backtracking: KEYS with 25 stars must end).
 */
bool glob_match(struct slice pattern, struct slice text, bool ignore_case);
/* The literal bytes the pattern starts with (no escapes resolved); empty if it starts with a wildcard. */
struct slice glob_literal_prefix(struct slice pattern);

/* Owned, growing bytes. Zero-initialised is empty and valid. Owned by one thread. */
struct buf {
    char *data;
    size_t size;
    size_t capacity;
};

void buf_deinit(struct buf *buf);
/* Keeps the memory. */
void buf_clear(struct buf *buf);
/* Room for `more` further bytes at data + size (growth by half, at least 64); returns that address. */
char *buf_reserve(struct buf *buf, size_t more);
void buf_append(struct buf *buf, const void *data, size_t size);
void buf_append_slice(struct buf *buf, struct slice slice);
void buf_append_text(struct buf *buf, const char *text);
void buf_append_byte(struct buf *buf, char byte);
void buf_append_int64(struct buf *buf, int64_t value);
void buf_append_format(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
/* Drops the first count bytes. */
void buf_consume(struct buf *buf, size_t count);
static inline struct slice buf_slice(const struct buf *buf)
{
    return (struct slice){.data = buf->data, .size = buf->size};
}

/* Fixed-width little-endian integers and LEB128 varints, for our file formats. */
void buf_append_u16(struct buf *buf, uint16_t value);
void buf_append_u32(struct buf *buf, uint32_t value);
void buf_append_u64(struct buf *buf, uint64_t value);
void buf_append_varint(struct buf *buf, uint64_t value);

/* A reader that never runs past its end: after a failed read `failed` stays true and reads give 0. */
struct reader {
    const uint8_t *position;
    const uint8_t *end;
    bool failed;
};
static inline struct reader reader_of(struct slice slice)
{
    const uint8_t *data = (const uint8_t *)slice.data;
    /* NULL + 0 is undefined, and an empty slice may have no address. */
    return (struct reader){.position = data, .end = slice.size == 0 ? data : data + slice.size};
}
static inline size_t reader_left(const struct reader *reader)
{
    return (size_t)(reader->end - reader->position);
}
uint8_t reader_u8(struct reader *reader);
uint16_t reader_u16(struct reader *reader);
uint32_t reader_u32(struct reader *reader);
uint64_t reader_u64(struct reader *reader);
uint64_t reader_varint(struct reader *reader);
struct slice reader_bytes(struct reader *reader, size_t size);

#endif
