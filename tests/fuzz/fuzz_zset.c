/*
 * fuzz_zset.c: the decoder of sorted sets against any bytes.
 *
 *   input: encoding (1 byte) ‖ payload
 *
 * What is accepted must be a sound set, and its encoding must decode to the same bytes again.
 */
#include "base/check.h"
#include "fuzz_setup.h"
#include "zset_internal.h"

static void encode_again(const struct value_object *object, enum value_encoding encoding)
{
    struct buf first = {0};
    struct buf second = {0};
    struct value_object *back = NULL;
    zset_encode(object, &first);
    CHECK(zset_decode(encoding, buf_slice(&first), &back) == ST_OK);
    zset_encode(back, &second);
    CHECK(slice_equal(buf_slice(&first), buf_slice(&second)));
    back->class->destroy(back);
    buf_deinit(&first);
    buf_deinit(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const enum value_encoding encoding = (enum value_encoding)(data[0] % VALUE_ENCODING_COUNT);
    struct value_object *object = NULL;
    if (zset_decode(encoding, slice_of(data + 1, size - 1), &object) != ST_OK)
        return 0;
    CHECK(object->encoding == encoding);
    zset_check((const struct zset *)(const void *)object);
    encode_again(object, encoding);
    object->class->destroy(object);
    return 0;
}
