/*
 * stream_support.h: small helpers of the stream tests.
 */
#ifndef STREAM_SUPPORT_H
#define STREAM_SUPPORT_H

#include "storage/stream.h"
#include "test_main.h"

static inline struct stream_id id_of(uint64_t ms, uint64_t sequence)
{
    return (struct stream_id){ms, sequence};
}
static inline struct slice text(const char *literal)
{
    return slice_of(literal, strlen(literal));
}
#define ck_assert_id_eq(actual, expected_ms, expected_sequence)         \
    do {                                                                \
        const struct stream_id id_ = (actual);                          \
        ck_assert_uint_eq(id_.ms, (uint64_t)(expected_ms));             \
        ck_assert_uint_eq(id_.sequence, (uint64_t)(expected_sequence)); \
    } while (0)

/* Adds "name value" under this ID; it must be possible. */
void add_pair(struct stream *stream, struct stream_id id, const char *name, const char *value);
/* Adds ids first-0 to last-0 with a value each. */
void add_run(struct stream *stream, uint64_t first, uint64_t last);
/* "1-0 a=b c=d, 2-0 ..." of a range; valid until the next call. */
const char *describe(
    const struct stream *stream, struct stream_id first, struct stream_id last, bool is_reverse);
const char *describe_all(const struct stream *stream);
/* "group last/read [consumer: id(count) ...]" of every group; valid until the next call. */
const char *describe_groups(const struct stream *stream);
/* Encoded, decoded, checked. */
struct stream *round_trip(struct stream *stream);
/* The memory that the value says it has. */
size_t size_of(struct stream *stream);

#endif
