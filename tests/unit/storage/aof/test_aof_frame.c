/*
 * test_aof_frame.c: the line of a frame.
 */
#include "aof_internal.h"
#include "base/mem.h"
#include "test_main.h"

enum { SEED = 77 };

static size_t encode(char *out, const struct aof_line *line, struct slice payload)
{
    struct hash_stream *const hash = hash_stream_create(0);
    const size_t size = aof_line_encode(out, line, payload, SEED, hash);
    hash_stream_destroy(hash);
    return size;
}

static bool is_valid(const char *text, size_t size, struct slice payload, struct aof_line *line)
{
    struct hash_stream *const hash = hash_stream_create(0);
    const bool valid = aof_line_parse(slice_of(text, size), line) &&
                       aof_line_sum_matches(line, text, payload, SEED, hash);
    hash_stream_destroy(hash);
    return valid;
}

static const struct aof_line sample = {.lsn = 4711, .unix_ms = 1763800000123, .durable_lsn = 4000};
#define SAMPLE_PAYLOAD SLICE_LITERAL("*1\r\n$4\r\nPING\r\n")

START_TEST(a_line_has_the_documented_form)
{
    char text[AOF_LINE_SIZE_MAX];
    const size_t size = encode(text, &sample, SAMPLE_PAYLOAD);
    static const char begin[] = "#K1 4711 1763800000123 14 4000 ";
    ck_assert_uint_eq(size, sizeof(begin) - 1 + 16 + 2);
    ck_assert_int_eq(memcmp(text, begin, sizeof(begin) - 1), 0);
    ck_assert_int_eq(memcmp(text + size - 2, "\r\n", 2), 0);
    /* The sum is XXH3-64 of what the contract says. */
    char covered[256];
    memcpy(covered, begin, sizeof(begin) - 1);
    memcpy(covered + sizeof(begin) - 1, SAMPLE_PAYLOAD.data, SAMPLE_PAYLOAD.size);
    char sum[17];
    (void)snprintf(sum, sizeof(sum), "%016llx",
        (unsigned long long)hash_sum64(covered, sizeof(begin) - 1 + SAMPLE_PAYLOAD.size, SEED));
    ck_assert_int_eq(memcmp(text + sizeof(begin) - 1, sum, 16), 0);
}
END_TEST

START_TEST(a_line_reads_back_as_it_was_written)
{
    char text[AOF_LINE_SIZE_MAX];
    const size_t size = encode(text, &sample, SAMPLE_PAYLOAD);
    struct aof_line line;
    ck_assert(is_valid(text, size, SAMPLE_PAYLOAD, &line));
    ck_assert_uint_eq(line.lsn, sample.lsn);
    ck_assert_uint_eq(line.unix_ms, sample.unix_ms);
    ck_assert_uint_eq(line.durable_lsn, sample.durable_lsn);
    ck_assert_uint_eq(line.payload_size, SAMPLE_PAYLOAD.size);
    ck_assert_uint_eq(line.line_size, size);
}
END_TEST

START_TEST(the_longest_line_fits_its_room)
{
    const struct aof_line line = {
        .lsn = UINT64_MAX - 100, .unix_ms = UINT64_MAX, .durable_lsn = UINT64_MAX - 100};
    char text[AOF_LINE_SIZE_MAX];
    const size_t size = encode(text, &line, SAMPLE_PAYLOAD);
    ck_assert_uint_le(size, sizeof(text));
    struct aof_line read;
    ck_assert(is_valid(text, size, SAMPLE_PAYLOAD, &read));
}
END_TEST

START_TEST(any_changed_byte_of_line_or_payload_is_seen)
{
    char text[AOF_LINE_SIZE_MAX + 64];
    size_t size = encode(text, &sample, SAMPLE_PAYLOAD);
    const size_t line_size = size;
    memcpy(text + size, SAMPLE_PAYLOAD.data, SAMPLE_PAYLOAD.size);
    size += SAMPLE_PAYLOAD.size;
    for (size_t index = 0; index < size; index++) {
        const char kept = text[index];
        for (int value = 0; value < 256; value++) {
            if ((char)value == kept)
                continue;
            text[index] = (char)value;
            struct aof_line line;
            ck_assert(
                !is_valid(text, line_size, slice_of(text + line_size, SAMPLE_PAYLOAD.size), &line));
        }
        text[index] = kept;
    }
}
END_TEST

START_TEST(a_shortened_line_is_refused)
{
    char text[AOF_LINE_SIZE_MAX];
    const size_t size = encode(text, &sample, SAMPLE_PAYLOAD);
    for (size_t shorter = 0; shorter < size; shorter++) {
        /* Exactly as large, so that a sanitizer sees a read past the end. */
        char *const copy = mem_alloc(shorter);
        memcpy(copy, text, shorter);
        struct aof_line line;
        ck_assert(!aof_line_parse(slice_of(copy, shorter), &line));
        mem_free(copy);
    }
}
END_TEST

START_TEST(impossible_numbers_are_refused)
{
    static const char *const texts[] = {
        "#K1 10 1 5 11 0123456789abcdef\r\n",                  /* D beyond the lsn */
        "#K1 18446744073709551615 1 5 0 0123456789abcdef\r\n", /* lsn + bytes overflows */
        "#K1 18446744073709551616 1 5 0 0123456789abcdef\r\n", /* no uint64 */
        "#K1 010 1 5 0 0123456789abcdef\r\n",                  /* not canonical */
        "#K1 10 1 5 0 0123456789ABCDEF\r\n",
        "#K1 10 1 5  0 0123456789abcdef\r\n",
        "#K1 10 1 -5 0 0123456789abcdef\r\n",
        "#K2 10 1 5 0 0123456789abcdef\r\n",
        "#K1 10 1 5 0 0123456789abcdef\n\n",
    };
    struct aof_line line;
    ck_assert(aof_line_parse(SLICE_LITERAL("#K1 10 1 5 10 0123456789abcdef\r\n"), &line));
    for (size_t index = 0; index < COUNT_OF(texts); index++)
        ck_assert_msg(!aof_line_parse(slice_text(texts[index]), &line), "%s", texts[index]);
}
END_TEST

START_TEST(segment_names_are_twenty_digits)
{
    char path[AOF_PATH_SIZE];
    aof_segment_path(path, "dir", 1234);
    ck_assert_str_eq(path, "dir/00000000000000001234.aof");
    uint64_t lsn = 0;
    ck_assert(aof_segment_name_parse("00000000000000001234.aof", &lsn));
    ck_assert_uint_eq(lsn, 1234);
    ck_assert(aof_segment_name_parse("18446744073709551615.aof", &lsn));
    ck_assert_uint_eq(lsn, UINT64_MAX);
    static const char *const others[] = {"18446744073709551616.aof", "0000000000000001234.aof",
        "00000000000000001234.aof.torn-5", "00000000000000001234.aof.tmp", "spare.aof.tmp",
        "0000000000000000123x.aof", "", ".aof"};
    for (size_t index = 0; index < COUNT_OF(others); index++)
        ck_assert(!aof_segment_name_parse(others[index], &lsn));
}
END_TEST

TEST_GROUP(frame_group, a_line_has_the_documented_form, a_line_reads_back_as_it_was_written,
    the_longest_line_fits_its_room, any_changed_byte_of_line_or_payload_is_seen,
    a_shortened_line_is_refused, impossible_numbers_are_refused, segment_names_are_twenty_digits)
