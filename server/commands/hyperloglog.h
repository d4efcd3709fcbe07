/*
 * hyperloglog.h: HyperLogLog sketches in Redis's two representations of a string. Knows no keys and no clients; hyperloglog_commands.c does.
 *
 * 2^14 registers; an element's hash chooses one and offers it a rank (the number of its trailing zero bits + 1); a register keeps the
 * greatest. How the registers are distributed tells how many different elements there were (standard error 0.81 %).
 */
#ifndef SERVER_HYPERLOGLOG_H
#define SERVER_HYPERLOGLOG_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HLL_REGISTER_COUNT 16384
#define HLL_HEADER_SIZE    16
#define HLL_DENSE_SIZE     (HLL_HEADER_SIZE + HLL_REGISTER_COUNT / 8 * 6)
/* Every opcode of two bytes covers a register at least. */
#define HLL_SPARSE_SIZE_MAX (HLL_HEADER_SIZE + 2 * HLL_REGISTER_COUNT)
/* The greatest rank, and one more for zero. */
#define HLL_RANK_COUNT 64
/* The cardinality kept in the header: 8 bytes at this place. */
#define HLL_CACHE_OFFSET 8
#define HLL_CACHE_SIZE   8

enum hll_kind {
    HLL_NONE, /* no sketch: magic, encoding or size are wrong */
    HLL_DENSE,
    HLL_SPARSE, /* its opcodes may still be damaged */
};
enum hll_kind hll_kind_of(struct slice bytes);

/* What an element offers. */
struct hll_offer {
    unsigned index; /* of the register */
    unsigned rank;
};
struct hll_offer hll_offer_of(struct slice element);

/* --- reading bytes of a sketch ------------------------------------------------------------------------------- */

/* Registers become the greater of what they are and what the sketch has. False: damaged (registers are then undefined). */
MUST_USE bool hll_merge(struct slice bytes, uint8_t registers[HLL_REGISTER_COUNT]);
/* How many registers have each rank. False: damaged. */
MUST_USE bool hll_histogram(struct slice bytes, uint32_t histogram[HLL_RANK_COUNT]);
void hll_histogram_of(
    const uint8_t registers[HLL_REGISTER_COUNT], uint32_t histogram[HLL_RANK_COUNT]);
/* The cardinality. After Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", 2017. */
uint64_t hll_estimate(const uint32_t histogram[HLL_RANK_COUNT]);
/* The cardinality kept in the header, if it is valid. */
MUST_USE bool hll_cached(struct slice bytes, uint64_t *cardinality);
/* The opcodes as text ("z:10 Z:200 v:3,1"), as PFDEBUG DECODE has them. False: damaged. */
MUST_USE bool hll_sparse_text(struct slice bytes, struct buf *out);

/* --- changing a dense one in place ------------------------------------------------------------------------------- */

/* bytes: HLL_DENSE_SIZE of them. */
unsigned hll_dense_rank(const char *bytes, unsigned index);
/* True if the register was less, and is raised now. */
bool hll_dense_raise(char *bytes, struct hll_offer offer);
void hll_cache_invalidate(char *bytes);
/* The header's bytes for a cardinality. */
void hll_cache_format(uint64_t cardinality, char out[HLL_CACHE_SIZE]);

/* --- changing a copy ----------------------------------------------------------------------------------------------- */

struct hll {
    size_t size;
    char bytes[HLL_SPARSE_SIZE_MAX + 8]; /* with room for an opcode that is being split */
};
/* Empty, sparse. */
void hll_init(struct hll *hll);
/* A copy. False: damaged. */
MUST_USE bool hll_load(struct hll *hll, struct slice bytes);
/*
 * As hll_dense_raise(). A sparse one becomes dense when its size would exceed sparse_size_max, or when the rank has no opcode.
 */
bool hll_raise(struct hll *hll, struct hll_offer offer, size_t sparse_size_max);
/* The cached cardinality comes along. */
void hll_make_dense(struct hll *hll);

#endif
