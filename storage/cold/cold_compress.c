/*
 * cold_compress.c: zstd, and when it is worth its time.
 *
 * Frames have neither magic, content size, checksum nor dictionary id: the record's header knows all that (8 bytes
 * saved of each). Below 256 bytes zstd gains nothing without a dictionary; data that looks compressed by its first bytes is
 * left alone; a result must save an eighth and 16 bytes. After 32 failures in a row in a space only one value in 64
 * is tried (5 us wasted on each otherwise).
 *
 * Owned by: the checkpointer's side by that thread; decompression contexts by the reader that has them.
 */
#define ZSTD_STATIC_LINKING_ONLY /* magicless frames, stable output: our own format, bound to no other reader */
#include "base/check.h"
#include "base/mem.h"
#include "cold_internal.h"

enum {
    LEVEL = 3,
    LEVEL_SMALL =
        1, /* of a page or less the result is the same within 1 %, in two thirds of the time */
    SMALL_SIZE_MAX = 4096,
    RAW_SIZE_MIN = 256,
    FAILURES_BEFORE_SKIP = 32,
    PROBE_EVERY = 64,
};
#define SAMPLE_SIZE  ((size_t)MiB)
#define SCRATCH_KEPT ((size_t)MiB)
/* A zstd block of at least 4 bytes becomes at most this much. */
#define BLOCK_SIZE ((uint64_t)128 * 1024)

static void must(size_t result)
{
    CHECK(!ZSTD_isError(result));
}

static void set_level(struct cold_compressor *compressor, int level)
{
    if (compressor->level != level)
        must(ZSTD_CCtx_setParameter(compressor->cctx, ZSTD_c_compressionLevel, level));
    compressor->level = level;
}

static size_t limit_of(size_t raw_size)
{
    const size_t saving = raw_size / 8;
    return raw_size - (saving > 16 ? saving : 16);
}

void cold_compressor_init(struct cold_compressor *compressor)
{
    *compressor = (struct cold_compressor){.cctx = ZSTD_createCCtx()};
    CHECK(compressor->cctx != NULL);
    set_level(compressor, LEVEL);
    must(ZSTD_CCtx_setParameter(compressor->cctx, ZSTD_c_contentSizeFlag, 0));
    must(ZSTD_CCtx_setParameter(compressor->cctx, ZSTD_c_checksumFlag, 0));
    must(ZSTD_CCtx_setParameter(compressor->cctx, ZSTD_c_dictIDFlag, 0));
    must(ZSTD_CCtx_setParameter(compressor->cctx, ZSTD_c_format, ZSTD_f_zstd1_magicless));
}

void cold_compressor_deinit(struct cold_compressor *compressor)
{
    (void)ZSTD_freeCCtx(compressor->cctx);
    mem_free(compressor->scratch);
    *compressor = (struct cold_compressor){0};
}

void cold_compressor_trim(struct cold_compressor *compressor)
{
    if (compressor->scratch_size <= SCRATCH_KEPT)
        return;
    mem_free(compressor->scratch);
    compressor->scratch = NULL;
    compressor->scratch_size = 0;
}

/* zstd, gzip, png, jpeg, webp. */
static bool looks_compressed(struct slice raw)
{
    static const struct slice magics[] = {
        {"\x28\xb5\x2f\xfd", 4},
        {"\x1f\x8b\x08", 3},
        {"\x89PNG", 4},
        {"\xff\xd8\xff", 3},
    };
    for (size_t index = 0; index < COUNT_OF(magics); index++) {
        if (memcmp(raw.data, magics[index].data, magics[index].size) == 0)
            return true;
    }
    return memcmp(raw.data, "RIFF", 4) == 0 && memcmp(raw.data + 8, "WEBP", 4) == 0;
}

static struct cold_skip *skip_of(struct cold_compressor *compressor, uint32_t space)
{
    struct cold_skip *const skip = &compressor->skips[space % COUNT_OF(compressor->skips)];
    if (skip->space != space)
        *skip = (struct cold_skip){.space = space};
    return skip;
}

static bool ensure_scratch(struct cold_compressor *compressor, size_t size)
{
    if (compressor->scratch_size >= size)
        return true;
    mem_free(compressor->scratch);
    compressor->scratch = mem_try_alloc(size);
    compressor->scratch_size = compressor->scratch == NULL ? 0 : size;
    return compressor->scratch != NULL;
}

/* Compresses if the result fits what pays. */
static bool compress_once(struct cold_compressor *compressor, struct slice raw, struct slice *out)
{
    const size_t limit = limit_of(raw.size);
    if (!ensure_scratch(compressor, limit))
        return false;
    set_level(compressor, raw.size <= SMALL_SIZE_MAX ? LEVEL_SMALL : LEVEL);
    const size_t size =
        ZSTD_compress2(compressor->cctx, compressor->scratch, limit, raw.data, raw.size);
    if (ZSTD_isError(size)) {
        must(ZSTD_CCtx_reset(compressor->cctx, ZSTD_reset_session_only));
        return false;
    }
    *out = slice_of(compressor->scratch, size);
    return true;
}

bool cold_compress(
    struct cold_compressor *compressor, uint32_t space, struct slice raw, struct slice *out)
{
    if (raw.size < RAW_SIZE_MIN || looks_compressed(raw))
        return false;
    struct cold_skip *const skip = skip_of(compressor, space);
    if (skip->failure_count >= FAILURES_BEFORE_SKIP) {
        skip->failure_count++;
        if ((skip->failure_count - FAILURES_BEFORE_SKIP) % PROBE_EVERY != 0)
            return false;
    }
    if (!compress_once(compressor, raw, out)) {
        if (skip->failure_count < FAILURES_BEFORE_SKIP)
            skip->failure_count++;
        return false;
    }
    skip->failure_count = 0;
    return true;
}

void cold_stream_begin(
    struct cold_stream *stream, struct cold_compressor *compressor, bool compress, struct slice raw)
{
    *stream = (struct cold_stream){.in = {.src = raw.data, .size = raw.size}};
    if (!compress || raw.size < RAW_SIZE_MIN || looks_compressed(raw))
        return;
    struct slice unused;
    const struct slice sample = slice_of(raw.data, raw.size < SAMPLE_SIZE ? raw.size : SAMPLE_SIZE);
    if (!compress_once(compressor, sample, &unused))
        return;
    set_level(compressor, LEVEL);
    stream->cctx = compressor->cctx;
    must(ZSTD_CCtx_reset(stream->cctx, ZSTD_reset_session_only));
}

size_t cold_stream_next(struct cold_stream *stream, char *out, size_t size)
{
    if (stream->cctx == NULL) {
        const size_t left = stream->in.size - stream->in.pos;
        const size_t taken = left < size ? left : size;
        if (taken > 0)
            memcpy(out, (const char *)stream->in.src + stream->in.pos, taken);
        stream->in.pos += taken;
        return taken;
    }
    ZSTD_outBuffer to = {.dst = out, .size = size};
    while (!stream->ended && to.pos < to.size) {
        const size_t left = ZSTD_compressStream2(stream->cctx, &to, &stream->in, ZSTD_e_end);
        must(left); /* fails only for want of memory */
        stream->ended = left == 0;
    }
    return to.pos;
}

ZSTD_DCtx *cold_dctx_create(void)
{
    ZSTD_DCtx *const dctx = ZSTD_createDCtx();
    CHECK(dctx != NULL);
    must(ZSTD_DCtx_setParameter(dctx, ZSTD_d_format, ZSTD_f_zstd1_magicless));
    must(ZSTD_DCtx_setParameter(dctx, ZSTD_d_stableOutBuffer, 1)); /* no window of its own */
    return dctx;
}

/*
 * Our frames begin with a zero descriptor (no content size, checksum or dictionary). Anything else is refused here: without
 * magic zstd could take the bytes for a skippable or legacy frame.
 */
static bool begins_well(struct slice stored)
{
    return stored.size > 0 && stored.data[0] == 0;
}

bool cold_decompress(ZSTD_DCtx *dctx, struct slice stored, char *out, size_t raw_size)
{
    if (!begins_well(stored))
        return false;
    const size_t size = ZSTD_decompressDCtx(dctx, out, raw_size, stored.data, stored.size);
    return !ZSTD_isError(size) && size == raw_size;
}

void cold_inflate_begin(struct cold_inflate *inflate, ZSTD_DCtx *dctx, char *out, size_t raw_size)
{
    must(ZSTD_DCtx_reset(dctx, ZSTD_reset_session_only));
    *inflate = (struct cold_inflate){.dctx = dctx, .out = out, .raw_size = raw_size};
}

bool cold_inflate_piece(struct cold_inflate *inflate, struct slice stored)
{
    if (!inflate->started && !begins_well(stored))
        return false;
    inflate->started = true;
    ZSTD_inBuffer in = {.src = stored.data, .size = stored.size};
    ZSTD_outBuffer to = {.dst = inflate->out, .size = inflate->raw_size, .pos = inflate->done};
    while (in.pos < in.size) {
        const size_t in_before = in.pos;
        const size_t out_before = to.pos;
        const size_t hint = ZSTD_decompressStream(inflate->dctx, &to, &in);
        if (ZSTD_isError(hint))
            return false;
        if (hint == 0 && in.pos < in.size)
            return false; /* bytes behind the end of the frame */
        if (in.pos == in_before && to.pos == out_before)
            return false; /* more output than there should be */
    }
    inflate->done = to.pos;
    return true;
}

uint64_t cold_decompress_bound(uint64_t stored_size)
{
    return (stored_size / 4 + 1) * BLOCK_SIZE;
}
