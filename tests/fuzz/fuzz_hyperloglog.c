/*
 * fuzz_hyperloglog.c: any string as a HyperLogLog sketch: read, and changed if it is one.
 *
 *   input: the string; its last bytes are also the elements that are added
 *
 * All readers agree on what is damaged, and a change keeps registers from falling.
 */
#include "base/check.h"
#include "base/mem.h"
#include "fuzz_setup.h"
#include "hyperloglog.h"

enum { ELEMENTS = 32 };

static uint32_t sum_of(const uint32_t histogram[HLL_RANK_COUNT])
{
    uint32_t sum = 0;
    for (unsigned rank = 0; rank < HLL_RANK_COUNT; rank++)
        sum += histogram[rank];
    return sum;
}

static void change(struct hll *hll, const uint8_t *data, size_t size, size_t sparse_size_max)
{
    static uint8_t before[HLL_REGISTER_COUNT];
    static uint8_t after[HLL_REGISTER_COUNT];
    memset(before, 0, sizeof(before));
    memset(after, 0, sizeof(after));
    CHECK(hll_merge(slice_of(hll->bytes, hll->size), before));
    for (size_t i = 0; i < ELEMENTS && i < size; i++) {
        struct hll_offer offer = hll_offer_of(slice_of(data + size - 1 - i, i + 1));
        /* Hashes give the great ranks too seldom. */
        if (i % 2 == 1)
            offer.rank = data[size - i] % HLL_RANK_COUNT;
        const bool is_more = offer.rank > before[offer.index];
        CHECK(hll_raise(hll, offer, sparse_size_max) == is_more);
        if (is_more)
            before[offer.index] = (uint8_t)offer.rank;
    }
    CHECK(hll_merge(slice_of(hll->bytes, hll->size), after));
    CHECK(memcmp(before, after, sizeof(before)) == 0);
    hll_make_dense(hll);
    memset(after, 0, sizeof(after));
    CHECK(hll_merge(slice_of(hll->bytes, hll->size), after));
    CHECK(memcmp(before, after, sizeof(before)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hll hll;
    const struct slice bytes = slice_of(data, size);
    const enum hll_kind kind = hll_kind_of(bytes);
    if (kind == HLL_NONE) {
        CHECK(!hll_load(&hll, bytes));
        return 0;
    }
    static uint8_t registers[HLL_REGISTER_COUNT];
    uint32_t histogram[HLL_RANK_COUNT];
    uint64_t cardinality = 0;
    const bool is_whole = hll_histogram(bytes, histogram);
    memset(registers, 0, sizeof(registers));
    CHECK(hll_merge(bytes, registers) == is_whole);
    CHECK(hll_load(&hll, bytes) == is_whole);
    if (hll_cached(bytes, &cardinality))
        CHECK(cardinality <= INT64_MAX);
    if (kind == HLL_SPARSE) {
        struct buf text = {0};
        CHECK(hll_sparse_text(bytes, &text) == is_whole);
        buf_deinit(&text);
    }
    if (!is_whole)
        return 0;
    CHECK(sum_of(histogram) == HLL_REGISTER_COUNT);
    (void)hll_estimate(histogram);
    change(&hll, data, size, size % 2 == 0 ? 3000 : HLL_SPARSE_SIZE_MAX);
    return 0;
}
