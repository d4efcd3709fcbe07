/*
 * fuzz_list.c: the decoder of lists against any bytes. What it accepts is a list in order, and encodes to the same bytes.
 */
#include "base/check.h"
#include "fuzz_setup.h"
#include "list_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct value_object *object = NULL;
    const struct slice in = slice_of(data, size);
    if (list_decode(VALUE_ENCODING_QUICKLIST, in, &object) != ST_OK)
        return 0;
    struct value value = {
        .type = VALUE_LIST, .encoding = VALUE_ENCODING_QUICKLIST, .object = object};
    struct list *list = list_of(&value);
    list_check(list);
    CHECK(list_count(list) > 0);
    struct buf again = {0};
    list_encode(object, &again);
    CHECK(slice_equal(buf_slice(&again), in));
    buf_deinit(&again);
    list_destroy(list);
    return 0;
}
