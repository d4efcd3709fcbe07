/*
 * fuzz_dict.c: the decoder of hashes against any bytes.
 *
 *   input: encoding (u8) ‖ payload
 *
 * What is accepted must be sound, must be written again as the same bytes if it fits one leaf (then rows stand in order), and must survive changes.
 */
#include "base/check.h"
#include "base/hash.h"
#include "fuzz_setup.h"
#include "storage/dict.h"

static void change(struct dict *dict)
{
    const struct element field = element_of(slice_text("a field"));
    (void)dict_set(dict, &field, &field, DICT_KEEP_EXPIRY);
    dict_expire_set(dict, &field, 77);
    (void)dict_expire(dict, DICT_EXPIRE_MAX / 2, 100, NULL, NULL);
    dict_check(dict);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    const struct slice payload = slice_of(data + 1, size - 1);
    const enum value_encoding encoding = (enum value_encoding)(data[0] % VALUE_ENCODING_COUNT);
    struct dict *dict = NULL;
    if (dict_decode(encoding, payload, &dict) != ST_OK) {
        CHECK(dict == NULL);
        return 0;
    }
    dict_check(dict);
    struct buf again = {0};
    dict_encode(dict, &again);
    CHECK(again.size == payload.size);
    if (size < 300)
        CHECK(slice_equal(buf_slice(&again), payload));
    buf_deinit(&again);
    change(dict);
    dict_destroy(dict);
    return 0;
}
