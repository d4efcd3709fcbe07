/*
 * fuzz_set.c: the decoder of sets against any bytes.
 *
 *   input: encoding (one byte) ‖ payload
 *
 * What is accepted must be a sound set that encodes to as many bytes, which decode to the same set again.
 */
#include "base/check.h"
#include "fuzz_setup.h"
#include "storage/set.h"

static void expect_same(const struct set *a, const struct set *b)
{
    CHECK(set_count(a) == set_count(b));
    struct tree_cursor cursor;
    for (tree_cursor_at(set_members(a), 0, &cursor); !tree_cursor_is_end(&cursor);
         (void)tree_cursor_next(&cursor)) {
        const struct element member = tree_cursor_element(&cursor, 0);
        CHECK(set_contains(b, &member));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool is_ready;
    if (!is_ready)
        set_setup();
    is_ready = true;
    if (size < 1)
        return 0;
    const enum value_encoding encoding =
        (enum value_encoding)(data[0] % (unsigned)VALUE_ENCODING_COUNT);
    struct set *set = NULL;
    if (set_decode(encoding, slice_of(data + 1, size - 1), &set) != ST_OK)
        return 0;
    set_check(set);
    struct buf bytes = {0};
    set_encode(set, &bytes);
    CHECK(bytes.size == size - 1);
    struct set *again = NULL;
    CHECK(set_decode(encoding, buf_slice(&bytes), &again) == ST_OK);
    expect_same(set, again);
    set_destroy(again);
    set_destroy(set);
    buf_deinit(&bytes);
    return 0;
}
