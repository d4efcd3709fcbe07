/*
 * fuzz_base_text.c: patterns, numbers, varints and fault rules from any bytes.
 *
 * Input: the size of the pattern in one byte, the pattern, the text. Claims: nothing reads outside of its
 * slice; a match ends within size of pattern * size of text steps; a number that is accepted has the one
 * text it was read from; a varint that was read is written back within the bytes it took.
 */
#include "base/check.h"
#include "base/file.h"
#include "base/slice.h"
#include "fuzz_setup.h"
#include "glob_internal.h"

static void check_match(struct slice pattern, struct slice text)
{
    for (int ignore_case = 0; ignore_case < 2; ignore_case++) {
        uint64_t step_count = 0;
        const bool match = glob_match_counted(pattern, text, ignore_case != 0, &step_count);
        CHECK(step_count <= (pattern.size + 1) * (text.size + 1));
        CHECK(match == glob_match(pattern, text, ignore_case != 0));
    }
    const struct slice prefix = glob_literal_prefix(pattern);
    if (text.size > 0 && glob_match(pattern, text, false)) {
        CHECK(text.size >= prefix.size);
        CHECK(slice_equal(prefix, slice_of(text.data, prefix.size)));
    }
}

static void check_numbers(struct slice text)
{
    char again[24];
    int64_t signed_value;
    uint64_t unsigned_value;
    double real;
    if (slice_to_int64(text, &signed_value))
        CHECK(slice_equal(text, slice_of(again, int64_to_text(signed_value, again))));
    if (slice_to_uint64(text, &unsigned_value))
        CHECK(slice_equal(text, slice_of(again, uint64_to_text(unsigned_value, again))));
    if (slice_to_double(text, &real))
        CHECK(real <= 0 || real >= 0); /* not NaN */
}

static void check_varints(struct slice bytes)
{
    struct reader reader = reader_of(bytes);
    for (;;) {
        const size_t before = reader_left(&reader);
        const uint64_t value = reader_varint(&reader);
        if (reader.failed)
            break;
        struct buf again = {0};
        buf_append_varint(&again, value);
        CHECK(again.size <= before - reader_left(&reader));
        buf_deinit(&again);
    }
    CHECK(reader_varint(&reader) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 4096)
        return 0;
    const size_t pattern_size = data[0] < size ? data[0] : size - 1;
    const struct slice pattern = slice_of(data + 1, pattern_size);
    const struct slice text = slice_of(data + 1 + pattern_size, size - 1 - pattern_size);
    check_match(pattern, text);
    check_numbers(text);
    check_varints(text);
    struct buf rules = {0};
    buf_append_slice(&rules, text);
    buf_append_byte(&rules, '\0');
    (void)!file_fault_parse(rules.data, NULL);
    file_fault_clear();
    buf_deinit(&rules);
    return 0;
}
