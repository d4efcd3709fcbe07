/*
 * HyperLogLog sketches: the bytes, both representations against a naive array of registers, damage, and how good the estimates are.
 */
#include "base/mem.h"
#include "hyperloglog.h"
#include "test_main.h"

#include <math.h>

static struct slice bytes_of(const struct hll *hll)
{
    return slice_of(hll->bytes, hll->size);
}

static void ck_assert_text(const struct hll *hll, const char *text)
{
    struct buf out = {0};
    ck_assert(hll_sparse_text(bytes_of(hll), &out));
    ck_assert_slice_eq(buf_slice(&out), slice_text(text));
    buf_deinit(&out);
}

static void raise_to(struct hll *hll, unsigned index, unsigned rank)
{
    ck_assert(hll_raise(hll, (struct hll_offer){.index = index, .rank = rank}, 3000));
}

START_TEST(an_empty_sketch_is_one_opcode)
{
    static struct hll hll;
    hll_init(&hll);
    ck_assert_slice_eq(bytes_of(&hll),
        SLICE_LITERAL("HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x7f\xff"));
    ck_assert_int_eq(hll_kind_of(bytes_of(&hll)), HLL_SPARSE);
}
END_TEST

START_TEST(hashes_are_those_of_the_format)
{
    /* As redis-server 7.0.15 placed them. */
    static struct hll hll;
    hll_init(&hll);
    (void)hll_raise(&hll, hll_offer_of(SLICE_LITERAL("a")), 3000);
    (void)hll_raise(&hll, hll_offer_of(SLICE_LITERAL("hello world")), 3000);
    (void)hll_raise(&hll, hll_offer_of(SLICE_LITERAL("12345678")), 3000);
    (void)hll_raise(&hll, hll_offer_of(SLICE_LITERAL("")), 3000);
    ck_assert_text(&hll, "Z:5938 v:2,1 Z:3460 v:4,1 Z:1179 v:3,1 Z:2131 v:2,1 Z:3672");
}
END_TEST

START_TEST(opcodes_are_split_and_joined)
{
    static struct hll hll;
    hll_init(&hll);
    raise_to(&hll, 100, 3);
    ck_assert_text(&hll, "Z:100 v:3,1 Z:16283");
    raise_to(&hll, 101, 3);
    raise_to(&hll, 99, 3);
    ck_assert_text(&hll, "Z:99 v:3,3 Z:16282");
    raise_to(&hll, 102, 3);
    raise_to(&hll, 103, 3);
    ck_assert_text(&hll, "Z:99 v:3,4 v:3,1 Z:16280");
    raise_to(&hll, 101, 4);
    ck_assert_text(&hll, "Z:99 v:3,2 v:4,1 v:3,2 Z:16280");
    raise_to(&hll, 0, 32);
    raise_to(&hll, 16383, 1);
    ck_assert_text(&hll, "v:32,1 Z:98 v:3,2 v:4,1 v:3,2 Z:16279 v:1,1");
    raise_to(&hll, 50, 1);
    ck_assert_text(&hll, "v:32,1 z:49 v:1,1 z:48 v:3,2 v:4,1 v:3,2 Z:16279 v:1,1");
    ck_assert(!hll_raise(&hll, (struct hll_offer){.index = 100, .rank = 3}, 3000));
}
END_TEST

START_TEST(great_ranks_and_great_sizes_make_it_dense)
{
    static struct hll hll;
    hll_init(&hll);
    raise_to(&hll, 7, 5);
    raise_to(&hll, 9, 33);
    ck_assert_int_eq(hll_kind_of(bytes_of(&hll)), HLL_DENSE);
    ck_assert_uint_eq(hll_dense_rank(hll.bytes, 7), 5);
    ck_assert_uint_eq(hll_dense_rank(hll.bytes, 9), 33);
    ck_assert_uint_eq(hll_dense_rank(hll.bytes, 8), 0);
    hll_init(&hll);
    ck_assert(hll_raise(&hll, (struct hll_offer){.index = 7, .rank = 5}, 18));
    ck_assert_int_eq(hll_kind_of(bytes_of(&hll)), HLL_DENSE);
}
END_TEST

START_TEST(both_representations_are_like_an_array)
{
    struct random random;
    test_random_init(&random);
    struct hll *sparse = mem_alloc(sizeof(*sparse));
    struct hll *dense = mem_alloc(sizeof(*dense));
    for (int round = 0; round < 20; round++) {
        uint8_t naive[HLL_REGISTER_COUNT] = {0};
        uint8_t read[HLL_REGISTER_COUNT] = {0};
        hll_init(sparse);
        hll_init(dense);
        hll_make_dense(dense);
        const size_t limit = random_below(&random, 2) == 0 ? HLL_SPARSE_SIZE_MAX : 3000;
        const uint64_t index_bound = random_below(&random, 2) == 0 ? 300 : HLL_REGISTER_COUNT;
        const uint64_t rank_bound = random_below(&random, 3) == 0 ? 63 : 10;
        for (int step = 0; step < 2000; step++) {
            const struct hll_offer offer = {.index = (unsigned)random_below(&random, index_bound),
                .rank = (unsigned)random_below(&random, rank_bound) + 1};
            const bool is_more = offer.rank > naive[offer.index];
            ck_assert_int_eq(hll_raise(sparse, offer, limit), is_more);
            ck_assert_int_eq(hll_dense_raise(dense->bytes, offer), is_more);
            if (is_more)
                naive[offer.index] = (uint8_t)offer.rank;
        }
        ck_assert(hll_merge(bytes_of(sparse), read));
        ck_assert_mem_eq(read, naive, sizeof(naive));
        memset(read, 0, sizeof(read));
        ck_assert(hll_merge(bytes_of(dense), read));
        ck_assert_mem_eq(read, naive, sizeof(naive));
        uint32_t a[HLL_RANK_COUNT];
        uint32_t b[HLL_RANK_COUNT];
        uint32_t c[HLL_RANK_COUNT];
        ck_assert(hll_histogram(bytes_of(sparse), a));
        ck_assert(hll_histogram(bytes_of(dense), b));
        hll_histogram_of(naive, c);
        ck_assert_mem_eq(a, b, sizeof(a));
        ck_assert_mem_eq(a, c, sizeof(a));
    }
    mem_free(sparse);
    mem_free(dense);
}
END_TEST

START_TEST(the_cached_cardinality_is_kept_in_the_header)
{
    static struct hll hll;
    uint64_t cardinality = 99;
    hll_init(&hll);
    ck_assert(hll_cached(bytes_of(&hll), &cardinality));
    ck_assert_uint_eq(cardinality, 0);
    raise_to(&hll, 1, 1);
    ck_assert(!hll_cached(bytes_of(&hll), &cardinality));
    hll_cache_format(0x0102030405060708, hll.bytes + HLL_CACHE_OFFSET);
    ck_assert(hll_cached(bytes_of(&hll), &cardinality));
    ck_assert_uint_eq(cardinality, 0x0102030405060708);
    ck_assert_int_eq(hll.bytes[HLL_CACHE_OFFSET], 8);
    hll_make_dense(&hll);
    ck_assert(hll_cached(bytes_of(&hll), &cardinality));
    hll_cache_invalidate(hll.bytes);
    ck_assert(!hll_cached(bytes_of(&hll), &cardinality));
}
END_TEST

static void check_damaged(struct slice bytes)
{
    static struct hll hll;
    static uint8_t registers[HLL_REGISTER_COUNT];
    uint32_t histogram[HLL_RANK_COUNT];
    struct buf text = {0};
    ck_assert_int_eq(hll_kind_of(bytes), HLL_SPARSE);
    ck_assert(!hll_load(&hll, bytes));
    ck_assert(!hll_merge(bytes, registers));
    ck_assert(!hll_histogram(bytes, histogram));
    ck_assert(!hll_sparse_text(bytes, &text));
    buf_deinit(&text);
}

#define HEAD "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
START_TEST(damage_is_noticed_by_every_reader)
{
    check_damaged(SLICE_LITERAL(HEAD));                /* no registers */
    check_damaged(SLICE_LITERAL(HEAD "\x7f"));         /* half an opcode */
    check_damaged(SLICE_LITERAL(HEAD "\x7f\xfe"));     /* one too few */
    check_damaged(SLICE_LITERAL(HEAD "\x7f\xff\x00")); /* one too many */
    check_damaged(SLICE_LITERAL(HEAD "\x7f\xfe\x81")); /* one too many, of a rank */
    check_damaged(SLICE_LITERAL(HEAD "\x7f\xff\x7f\xff"));
    ck_assert_int_eq(hll_kind_of(SLICE_LITERAL("HYLL\x01\x00\x00\x00")), HLL_NONE);
    ck_assert_int_eq(
        hll_kind_of(SLICE_LITERAL("HYLL\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")),
        HLL_NONE);
    ck_assert_int_eq(
        hll_kind_of(SLICE_LITERAL("HYLL\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x7f\xff")),
        HLL_NONE);
    ck_assert_int_eq(hll_kind_of(SLICE_LITERAL("")), HLL_NONE);
    static struct hll hll;
    ck_assert(!hll_load(&hll, SLICE_LITERAL("no sketch at all, only a text")));
}
END_TEST

START_TEST(estimates_are_near_the_truth)
{
    static struct hll hll;
    uint32_t histogram[HLL_RANK_COUNT];
    hll_init(&hll);
    uint64_t next_check = 1;
    for (uint64_t number = 1; number <= 300000; number++) {
        char text[24];
        (void)hll_raise(&hll, hll_offer_of(slice_of(text, uint64_to_text(number, text))), 3000);
        if (number != next_check)
            continue;
        next_check *= 2;
        ck_assert(hll_histogram(bytes_of(&hll), histogram));
        const double error =
            fabs((double)hll_estimate(histogram) - (double)number) / (double)number;
        ck_assert_msg(
            error < 4 * 0.0081, "%llu elements: error %f", (unsigned long long)number, error);
    }
}
END_TEST

START_TEST(estimates_of_impossible_registers_are_numbers)
{
    uint32_t histogram[HLL_RANK_COUNT] = {0};
    histogram[0] = HLL_REGISTER_COUNT;
    ck_assert_uint_eq(hll_estimate(histogram), 0);
    histogram[0] = 0;
    histogram[HLL_RANK_COUNT - 1] = HLL_REGISTER_COUNT;
    ck_assert_uint_le(hll_estimate(histogram), INT64_MAX);
    histogram[HLL_RANK_COUNT - 1] = 0;
    histogram[51] = HLL_REGISTER_COUNT;
    ck_assert_uint_le(hll_estimate(histogram), INT64_MAX);
}
END_TEST

TEST_GROUP(hyperloglog_group, an_empty_sketch_is_one_opcode, hashes_are_those_of_the_format,
    opcodes_are_split_and_joined, great_ranks_and_great_sizes_make_it_dense,
    both_representations_are_like_an_array, the_cached_cardinality_is_kept_in_the_header,
    damage_is_noticed_by_every_reader, estimates_are_near_the_truth,
    estimates_of_impossible_registers_are_numbers)
