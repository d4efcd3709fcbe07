/*
 * hyperloglog.c: the representations of a HyperLogLog sketch, byte for byte those of Redis.
 *
 *    0      4          5          8             16
 *   ┌──────┬──────────┬──────────┬─────────────┬──────────────────────┐
 *   │ HYLL │ encoding │ not used │ cardinality │ registers or opcodes │
 *   └──────┴──────────┴──────────┴─────────────┴──────────────────────┘
 *
 *   encoding      0 dense, 1 sparse
 *   cardinality   64 bits, little-endian; the highest bit says that it no longer holds
 *   dense         16384 registers of 6 bits, the lowest bits first
 *   sparse        opcodes, which cover all 16384 registers in order:
 *                   00llllll            l + 1 registers are 0               (1 .. 64)
 *                   01llllll llllllll   l + 1 registers are 0, l in network order   (1 .. 16384)
 *                   1rrrrrll            l + 1 registers have the rank r + 1       (1 .. 4; ranks 1 .. 32)
 *
 * A change of a sparse one replaces an opcode by up to three, and then joins equal neighbours from the opcode before it on: always in the same
 * way, so that the same elements in the same order give the same bytes everywhere.
 *
 * The hash is MurmurHash64A (Appleby; public domain algorithm) with a seed that is part of the format.
 */
#include "hyperloglog.h"

#include "base/check.h"

#include <math.h>

#define HLL_BITS      14 /* of the hash, for the register */
#define HLL_RANK_BITS (64 - HLL_BITS)
#define HASH_SEED     ((uint64_t)0xadc83b19)

#define ENCODING_OFFSET 4
#define ENCODING_DENSE  0
#define ENCODING_SPARSE 1
#define CACHE_STALE     0x80

#define SPARSE_RANK_MAX  32
#define SPARSE_RUN_MAX   4  /* of a rank */
#define SPARSE_SHORT_MAX 64 /* zeros in one byte */
/* Opcodes looked at for neighbours that can be joined. */
#define JOIN_SCAN_MAX 5

static const char magic[4] = {'H', 'Y', 'L', 'L'};

/* --- hash ------------------------------------------------------------------------------------------------------ */

static uint64_t load_u64(const unsigned char *bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static uint64_t murmur64a(struct slice bytes)
{
    const uint64_t multiplier = 0xc6a4a7935bd1e995;
    const unsigned shift = 47;
    const unsigned char *at = (const unsigned char *)bytes.data;
    size_t left = bytes.size;
    uint64_t hash = HASH_SEED ^ ((uint64_t)bytes.size * multiplier);
    for (; left >= 8; left -= 8, at += 8) {
        uint64_t word = load_u64(at) * multiplier;
        word ^= word >> shift;
        hash = (hash ^ (word * multiplier)) * multiplier;
    }
    if (left > 0) {
        for (size_t i = 0; i < left; i++)
            hash ^= (uint64_t)at[i] << (8 * i);
        hash *= multiplier;
    }
    hash = (hash ^ (hash >> shift)) * multiplier;
    return hash ^ (hash >> shift);
}

struct hll_offer hll_offer_of(struct slice element)
{
    const uint64_t hash = murmur64a(element);
    const uint64_t rest = (hash >> HLL_BITS) | (uint64_t)1 << HLL_RANK_BITS;
    return (struct hll_offer){
        .index = (unsigned)(hash & (HLL_REGISTER_COUNT - 1)), .rank = lowest_bit(rest) + 1};
}

/* --- header ---------------------------------------------------------------------------------------------------- */

enum hll_kind hll_kind_of(struct slice bytes)
{
    if (bytes.size < HLL_HEADER_SIZE || memcmp(bytes.data, magic, sizeof(magic)) != 0)
        return HLL_NONE;
    if (bytes.data[ENCODING_OFFSET] == ENCODING_SPARSE)
        return HLL_SPARSE;
    if (bytes.data[ENCODING_OFFSET] == ENCODING_DENSE && bytes.size == HLL_DENSE_SIZE)
        return HLL_DENSE;
    return HLL_NONE;
}

bool hll_cached(struct slice bytes, uint64_t *cardinality)
{
    *cardinality = load_u64((const unsigned char *)bytes.data + HLL_CACHE_OFFSET);
    return (*cardinality >> 63) == 0;
}

void hll_cache_invalidate(char *bytes)
{
    char *const last = bytes + HLL_CACHE_OFFSET + HLL_CACHE_SIZE - 1;
    *last = (char)((unsigned char)*last | CACHE_STALE);
}

void hll_cache_format(uint64_t cardinality, char out[HLL_CACHE_SIZE])
{
    for (unsigned i = 0; i < HLL_CACHE_SIZE; i++)
        out[i] = (char)(unsigned char)(cardinality >> (8 * i));
}

/* --- dense ------------------------------------------------------------------------------------------------------ */

unsigned hll_dense_rank(const char *bytes, unsigned index)
{
    const unsigned char *registers = (const unsigned char *)bytes + HLL_HEADER_SIZE;
    const unsigned byte = index * 6 / 8;
    const unsigned shift = index * 6 % 8;
    unsigned value = (unsigned)registers[byte] >> shift;
    if (shift > 2)
        value |= (unsigned)registers[byte + 1] << (8 - shift);
    return value & 63;
}

static void dense_set(char *bytes, unsigned index, unsigned rank)
{
    unsigned char *registers = (unsigned char *)bytes + HLL_HEADER_SIZE;
    const unsigned byte = index * 6 / 8;
    const unsigned shift = index * 6 % 8;
    registers[byte] =
        (unsigned char)((registers[byte] & ~(63U << shift)) | ((rank << shift) & 0xff));
    if (shift > 2)
        registers[byte + 1] =
            (unsigned char)((registers[byte + 1] & ~(63U >> (8 - shift))) | (rank >> (8 - shift)));
}

bool hll_dense_raise(char *bytes, struct hll_offer offer)
{
    if (hll_dense_rank(bytes, offer.index) >= offer.rank)
        return false;
    dense_set(bytes, offer.index, offer.rank);
    return true;
}

/* Three bytes hold four registers. */
static void dense_unpack(const char *bytes, uint8_t registers[HLL_REGISTER_COUNT])
{
    const unsigned char *at = (const unsigned char *)bytes + HLL_HEADER_SIZE;
    for (unsigned i = 0; i < HLL_REGISTER_COUNT; i += 4, at += 3) {
        registers[i] = at[0] & 63;
        registers[i + 1] = (uint8_t)((at[0] >> 6 | at[1] << 2) & 63);
        registers[i + 2] = (uint8_t)((at[1] >> 4 | at[2] << 4) & 63);
        registers[i + 3] = at[2] >> 2;
    }
}

/* --- sparse ----------------------------------------------------------------------------------------------------- */

struct opcode {
    unsigned rank; /* 0: zeros */
    unsigned run;  /* registers covered */
    unsigned size; /* bytes */
};

/* False: there is only half of it. */
static bool opcode_read(const char *at, const char *end, struct opcode *opcode)
{
    const unsigned first = (unsigned char)at[0];
    if ((first & 0x80) != 0) {
        *opcode = (struct opcode){.rank = (first >> 2 & 31) + 1, .run = (first & 3) + 1, .size = 1};
        return true;
    }
    if ((first & 0x40) == 0) {
        *opcode = (struct opcode){.run = (first & 63) + 1, .size = 1};
        return true;
    }
    if (end - at < 2)
        return false;
    const unsigned second = (unsigned char)at[1];
    *opcode = (struct opcode){.run = ((first & 63) << 8 | second) + 1, .size = 2};
    return true;
}

static char *write_zeros(char *out, unsigned run)
{
    if (run == 0)
        return out;
    if (run > SPARSE_SHORT_MAX) {
        *out++ = (char)(unsigned char)(0x40 | (run - 1) >> 8);
        *out++ = (char)(unsigned char)((run - 1) & 0xff);
    } else {
        *out++ = (char)(unsigned char)(run - 1);
    }
    return out;
}

static char *write_rank(char *out, unsigned rank, unsigned run)
{
    if (run > 0)
        *out++ = (char)(unsigned char)(0x80 | (rank - 1) << 2 | (run - 1));
    return out;
}

/* Walks the opcodes of a sparse sketch. */
struct sparse_walk {
    const char *at, *end;
    unsigned index; /* of the first register that the next opcode covers */
    struct opcode opcode;
};

static struct sparse_walk sparse_walk_of(struct slice bytes)
{
    return (struct sparse_walk){.at = bytes.data + HLL_HEADER_SIZE, .end = bytes.data + bytes.size};
}

/* The next opcode to walk->opcode, which covers registers before walk->index. False: the end, or damage. */
static bool sparse_walk_next(struct sparse_walk *walk)
{
    if (walk->at == walk->end || !opcode_read(walk->at, walk->end, &walk->opcode) ||
        walk->opcode.run > HLL_REGISTER_COUNT - walk->index)
        return false;
    walk->at += walk->opcode.size;
    walk->index += walk->opcode.run;
    return true;
}

/* After sparse_walk_next() has given false. */
static bool sparse_walk_is_whole(const struct sparse_walk *walk)
{
    return walk->at == walk->end && walk->index == HLL_REGISTER_COUNT;
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

static bool sparse_merge(struct slice bytes, uint8_t registers[HLL_REGISTER_COUNT])
{
    struct sparse_walk walk = sparse_walk_of(bytes);
    while (sparse_walk_next(&walk)) {
        for (unsigned i = walk.index - walk.opcode.run; walk.opcode.rank > 0 && i < walk.index; i++)
            registers[i] =
                registers[i] < walk.opcode.rank ? (uint8_t)walk.opcode.rank : registers[i];
    }
    return sparse_walk_is_whole(&walk);
}

bool hll_merge(struct slice bytes, uint8_t registers[HLL_REGISTER_COUNT])
{
    if (hll_kind_of(bytes) == HLL_SPARSE)
        return sparse_merge(bytes, registers);
    CHECK(bytes.size == HLL_DENSE_SIZE);
    uint8_t other[HLL_REGISTER_COUNT];
    dense_unpack(bytes.data, other);
    for (unsigned i = 0; i < HLL_REGISTER_COUNT; i++)
        registers[i] = registers[i] < other[i] ? other[i] : registers[i];
    return true;
}

void hll_histogram_of(
    const uint8_t registers[HLL_REGISTER_COUNT], uint32_t histogram[HLL_RANK_COUNT])
{
    memset(histogram, 0, HLL_RANK_COUNT * sizeof(*histogram));
    for (unsigned i = 0; i < HLL_REGISTER_COUNT; i++)
        histogram[registers[i] & (HLL_RANK_COUNT - 1)]++;
}

bool hll_histogram(struct slice bytes, uint32_t histogram[HLL_RANK_COUNT])
{
    if (hll_kind_of(bytes) == HLL_SPARSE) {
        struct sparse_walk walk = sparse_walk_of(bytes);
        memset(histogram, 0, HLL_RANK_COUNT * sizeof(*histogram));
        while (sparse_walk_next(&walk))
            histogram[walk.opcode.rank] += walk.opcode.run;
        return sparse_walk_is_whole(&walk);
    }
    CHECK(bytes.size == HLL_DENSE_SIZE);
    uint8_t registers[HLL_REGISTER_COUNT];
    dense_unpack(bytes.data, registers);
    hll_histogram_of(registers, histogram);
    return true;
}

/* Ertl's sigma and tau: what registers of rank 0 and of the greatest rank contribute. */
static double sigma(double x)
{
    if (x >= 1)
        return (double)INFINITY;
    double weight = 1;
    double sum = x;
    double before = 0;
    do {
        x *= x;
        before = sum;
        sum += x * weight;
        weight += weight;
    } while (sum > before);
    return sum;
}

static double tau(double x)
{
    if (x <= 0 || x >= 1)
        return 0;
    double weight = 1;
    double sum = 1 - x;
    double before = 0;
    do {
        x = sqrt(x);
        before = sum;
        weight *= 0.5;
        sum -= (1 - x) * (1 - x) * weight;
    } while (sum < before);
    return sum / 3;
}

uint64_t hll_estimate(const uint32_t histogram[HLL_RANK_COUNT])
{
    const double alpha = 0.721347520444481703680; /* 1 / (2 ln 2) */
    const double count = HLL_REGISTER_COUNT;
    double z = count * tau((count - histogram[HLL_RANK_BITS + 1]) / count);
    for (unsigned rank = HLL_RANK_BITS; rank >= 1; rank--)
        z = (z + histogram[rank]) * 0.5;
    z += count * sigma(histogram[0] / count);
    const double estimate = alpha * count * count / z;
    /* Registers of ranks that no hash gives make nonsense of it. */
    return estimate < (double)INT64_MAX ? (uint64_t)llround(estimate) : INT64_MAX;
}

bool hll_sparse_text(struct slice bytes, struct buf *out)
{
    struct sparse_walk walk = sparse_walk_of(bytes);
    while (sparse_walk_next(&walk)) {
        if (out->size > 0)
            buf_append_byte(out, ' ');
        if (walk.opcode.rank > 0)
            buf_append_format(out, "v:%u,%u", walk.opcode.rank, walk.opcode.run);
        else
            buf_append_format(out, "%c:%u", walk.opcode.size == 1 ? 'z' : 'Z', walk.opcode.run);
    }
    return sparse_walk_is_whole(&walk);
}

/* --- changing a copy --------------------------------------------------------------------------------------------------- */

void hll_init(struct hll *hll)
{
    memset(hll->bytes, 0, HLL_HEADER_SIZE);
    memcpy(hll->bytes, magic, sizeof(magic));
    hll->bytes[ENCODING_OFFSET] = ENCODING_SPARSE;
    const char *end = write_zeros(hll->bytes + HLL_HEADER_SIZE, HLL_REGISTER_COUNT);
    hll->size = (size_t)(end - hll->bytes);
}

bool hll_load(struct hll *hll, struct slice bytes)
{
    const enum hll_kind kind = hll_kind_of(bytes);
    if (kind == HLL_NONE || bytes.size > HLL_SPARSE_SIZE_MAX)
        return false;
    if (kind == HLL_SPARSE) {
        struct sparse_walk walk = sparse_walk_of(bytes);
        while (sparse_walk_next(&walk)) {
        }
        if (!sparse_walk_is_whole(&walk))
            return false;
    }
    memcpy(hll->bytes, bytes.data, bytes.size);
    hll->size = bytes.size;
    return true;
}

void hll_make_dense(struct hll *hll)
{
    if (hll->bytes[ENCODING_OFFSET] == ENCODING_DENSE)
        return;
    uint8_t registers[HLL_REGISTER_COUNT] = {0};
    CHECK(sparse_merge(slice_of(hll->bytes, hll->size), registers));
    hll->bytes[ENCODING_OFFSET] = ENCODING_DENSE;
    hll->size = HLL_DENSE_SIZE;
    memset(hll->bytes + HLL_HEADER_SIZE, 0, HLL_DENSE_SIZE - HLL_HEADER_SIZE);
    for (unsigned i = 0; i < HLL_REGISTER_COUNT; i++) {
        if (registers[i] > 0)
            dense_set(hll->bytes, i, registers[i]);
    }
}

/* The opcode that covers a register. */
struct place {
    size_t before; /* offset of the opcode before it, or its own */
    size_t offset;
    unsigned first; /* register that it covers */
    struct opcode opcode;
};

static struct place find_place(const struct hll *hll, unsigned index)
{
    const char *const end = hll->bytes + hll->size;
    struct place place = {.before = HLL_HEADER_SIZE, .offset = HLL_HEADER_SIZE};
    for (;;) {
        CHECK(place.offset < hll->size);
        CHECK(opcode_read(hll->bytes + place.offset, end, &place.opcode));
        if (index < place.first + place.opcode.run)
            return place;
        place.before = place.offset;
        place.offset += place.opcode.size;
        place.first += place.opcode.run;
    }
}

/* The opcodes that a place becomes. Returns their size, at most 5. */
static size_t split(const struct place *place, struct hll_offer offer, char out[8])
{
    const unsigned left = offer.index - place->first;
    const unsigned right = place->opcode.run - left - 1;
    const unsigned rank = place->opcode.rank;
    char *at = rank == 0 ? write_zeros(out, left) : write_rank(out, rank, left);
    at = write_rank(at, offer.rank, 1);
    at = rank == 0 ? write_zeros(at, right) : write_rank(at, rank, right);
    return (size_t)(at - out);
}

static void replace(struct hll *hll, const struct place *place, const char *opcodes, size_t size)
{
    char *const at = hll->bytes + place->offset;
    const size_t behind = hll->size - place->offset - place->opcode.size;
    memmove(at + size, at + place->opcode.size, behind);
    memcpy(at, opcodes, size);
    hll->size = place->offset + size + behind;
    CHECK(hll->size <= sizeof(hll->bytes));
}

/* Two opcodes of the same rank become one where it can cover both. */
static void join_neighbours(struct hll *hll, size_t offset)
{
    for (unsigned step = 0; step < JOIN_SCAN_MAX && offset < hll->size; step++) {
        const char *const end = hll->bytes + hll->size;
        char *const at = hll->bytes + offset;
        struct opcode first;
        struct opcode second;
        CHECK(opcode_read(at, end, &first));
        if (first.rank > 0 && end - at > 1 && ((unsigned char)at[1] & 0x80) != 0) {
            CHECK(opcode_read(at + 1, end, &second));
            if (second.rank == first.rank && first.run + second.run <= SPARSE_RUN_MAX) {
                (void)write_rank(at + 1, first.rank, first.run + second.run);
                memmove(at, at + 1, (size_t)(end - at) - 1);
                hll->size--;
                continue;
            }
        }
        offset += first.size;
    }
}

/* False: it has to become dense first. */
static bool sparse_raise(
    struct hll *hll, const struct place *place, struct hll_offer offer, size_t sparse_size_max)
{
    char opcodes[8];
    const size_t size = split(place, offer, opcodes);
    if (offer.rank > SPARSE_RANK_MAX)
        return false;
    if (size > place->opcode.size && hll->size + size - place->opcode.size > sparse_size_max)
        return false;
    replace(hll, place, opcodes, size);
    join_neighbours(hll, place->before);
    hll_cache_invalidate(hll->bytes);
    return true;
}

bool hll_raise(struct hll *hll, struct hll_offer offer, size_t sparse_size_max)
{
    if (hll->bytes[ENCODING_OFFSET] == ENCODING_SPARSE) {
        const struct place place = find_place(hll, offer.index);
        if (place.opcode.rank >= offer.rank)
            return false;
        if (sparse_raise(hll, &place, offer, sparse_size_max))
            return true;
        hll_make_dense(hll);
    }
    return hll_dense_raise(hll->bytes, offer);
}
