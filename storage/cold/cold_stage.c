/*
 * cold_stage.c: writes the chunks of a large value ahead of the transaction that will refer to them (H14).
 *
 *   txn 1:  g += generation, chunks 0...        at most 16 MiB each, compressed on the way
 *   txn n:  more chunks
 *   main:   cold_put(): g -= generation, record with the generation
 *
 * After a crash anywhere before the main commit the generation is still in g, and cold_reclaim() deletes the chunks.
 * What the record's header will need is remembered until the next transaction ends; after that an unused generation is an orphan.
 */
#include "base/check.h"
#include "base/mem.h"
#include "cold_internal.h"

#define TXN_BYTES_MAX ((uint64_t)16 * MiB)
#define PIECE_SIZE    (64 * COLD_PAGE_VALUE_MAX)

struct stage {
    struct cold *cold;
    MDB_txn *txn;
    struct cold_stream stream;
    struct hash_stream *sum;
    char *piece;
    uint64_t generation;
    uint32_t number;
    uint64_t stored_size;
    bool registered;
    bool ended;
    int code;
};

static void run_stage(void *context)
{
    struct stage *const stage = context;
    struct cold *const cold = stage->cold;
    if (!stage->registered) {
        const struct cold_dead_key dead = cold_dead_generation(stage->generation);
        MDB_val key = cold_val(dead.bytes, dead.size);
        MDB_val value = cold_val("", 0);
        stage->code = mdb_put(stage->txn, cold->dead, &key, &value, 0);
        stage->registered = true;
    }
    uint64_t written = 0;
    while (stage->code == MDB_SUCCESS && written < TXN_BYTES_MAX) {
        const size_t size = cold_stream_next(&stage->stream, stage->piece, PIECE_SIZE);
        if (size == 0) {
            stage->ended = true;
            return;
        }
        hash_stream_update(stage->sum, stage->piece, size);
        stage->code = cold_chunks_put(stage->txn, cold->chunks, stage->generation, stage->number,
            slice_of(stage->piece, size), true);
        stage->number += cold_chunk_count(size);
        stage->stored_size += size;
        written += size;
    }
}

static enum status run_txn(struct stage *stage, struct error *error)
{
    struct cold *const cold = stage->cold;
    const enum status status = cold_env_begin(cold, &stage->txn, error);
    if (status != ST_OK)
        return status;
    const enum cold_guard_result result = cold_guard_run(COLD_GUARD_WRITE, run_stage, stage);
    if (result != COLD_GUARD_OK || stage->code != MDB_SUCCESS) {
        mdb_txn_abort(stage->txn);
        metric_add(&cold->metrics, commit_error_count, 1);
        return result != COLD_GUARD_OK ? cold_guard_status(cold, result, error, "cannot stage")
                                       : cold_env_status(cold, stage->code, error, "cannot stage");
    }
    return cold_env_commit(cold, stage->txn, error);
}

static void remember(const struct stage *stage, size_t raw_size)
{
    struct cold *const cold = stage->cold;
    if (cold->staged_count == cold->staged_capacity) {
        cold->staged_capacity = cold->staged_capacity == 0 ? 16 : cold->staged_capacity * 2;
        cold->staged = mem_realloc(cold->staged, cold->staged_capacity * sizeof(*cold->staged));
    }
    cold->staged[cold->staged_count++] = (struct cold_staged){
        .generation = stage->generation,
        .raw_size = raw_size,
        .stored_size = stage->stored_size,
        .payload_sum = (uint32_t)hash_stream_digest(stage->sum),
        .compressed = stage->stream.cctx != NULL,
    };
}

enum status cold_stage(
    struct cold *cold, struct slice payload, uint64_t *generation, struct error *error)
{
    CHECK_MAY_BLOCK();
    CHECK(!cold->writing);
    if (payload.size > COLD_PAYLOAD_SIZE_MAX)
        return error_set(error, ST_FULL, 0, "cold tier %s: a value of %llu bytes", cold->directory,
            (unsigned long long)payload.size);
    struct stage stage = {
        .cold = cold,
        .sum = hash_stream_create(0),
        .piece = mem_alloc(PIECE_SIZE),
        .generation = cold->next_generation++,
    };
    cold_stream_begin(
        &stage.stream, &cold->compressor, OPTION_GET(cold->options, compression) != 0, payload);
    enum status status = ST_OK;
    while (status == ST_OK && !stage.ended)
        status = run_txn(&stage, error);
    if (status == ST_OK) {
        remember(&stage, payload.size);
        *generation = stage.generation;
    }
    mem_free(stage.piece);
    hash_stream_destroy(stage.sum);
    return status;
}

const struct cold_staged *cold_staged_find(const struct cold *cold, uint64_t generation)
{
    size_t low = 0;
    size_t high = cold->staged_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (cold->staged[middle].generation < generation)
            low = middle + 1;
        else
            high = middle;
    }
    return low < cold->staged_count && cold->staged[low].generation == generation
               ? &cold->staged[low]
               : NULL;
}

void cold_staged_clear(struct cold *cold)
{
    cold->staged_count = 0;
}
