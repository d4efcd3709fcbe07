/*
 * resp_pool.c: buffers that a worker's connections share.
 *
 * Connections hold pieces only while bytes are in them, so ten thousand idle ones hold nothing, and the few pieces at
 * work stay in the CPU's caches: the free lists give back the one used last. A bounded number is kept.
 */
#include "base/mem.h"
#include "resp_internal.h"

enum {
    FREE_BLOCKS_MAX = 256,
    FREE_ARRAYS_MAX = 1024,
    FREE_CHUNKS_MAX = 256,
};

struct resp_pool *resp_pool_create(void)
{
    return mem_alloc_zero(sizeof(struct resp_pool));
}

void resp_pool_destroy(struct resp_pool *pool)
{
    if (pool == NULL)
        return;
    while (pool->blocks != NULL) {
        struct resp_block *const block = pool->blocks;
        pool->blocks = block->next;
        mem_free(block);
    }
    while (pool->arrays != NULL) {
        struct resp_array *const array = pool->arrays;
        pool->arrays = array->next;
        mem_free(array);
    }
    while (pool->chunks != NULL) {
        struct resp_chunk *const chunk = pool->chunks;
        pool->chunks = chunk->next;
        mem_free(chunk);
    }
    mem_free(pool);
}

/* Whoever still looks at a piece that was given back sees it at once in debug builds. */
static void spoil(void *data, size_t size)
{
#ifdef KELVIN_DEBUG
    memset(data, 0xdb, size);
#else
    (void)data;
    (void)size;
#endif
}

struct resp_block *resp_block_borrow(struct resp_pool *pool)
{
    struct resp_block *block = pool->blocks;
    if (block != NULL) {
        pool->blocks = block->next;
        pool->block_count--;
    } else {
        block = mem_alloc(RESP_BUFFER_SIZE);
        block->capacity = RESP_BLOCK_CAPACITY;
    }
    block->next = NULL;
    block->size = 0;
    return block;
}

struct resp_block *resp_block_create(size_t capacity)
{
    CHECK(capacity > RESP_BLOCK_CAPACITY);
    const size_t size_bytes = mem_good_size(sizeof(struct resp_block) + capacity);
    struct resp_block *const block = mem_try_alloc(size_bytes);
    if (block == NULL)
        return NULL;
    block->next = NULL;
    block->size = 0;
    block->capacity = size_bytes - sizeof(*block);
    return block;
}

void resp_block_return(struct resp_pool *pool, struct resp_block *block)
{
    spoil(block->data, block->size);
    if (block->capacity != RESP_BLOCK_CAPACITY || pool->block_count >= FREE_BLOCKS_MAX) {
        mem_free(block);
        return;
    }
    block->next = pool->blocks;
    pool->blocks = block;
    pool->block_count++;
}

struct resp_array *resp_array_borrow(struct resp_pool *pool)
{
    struct resp_array *array = pool->arrays;
    if (array != NULL) {
        pool->arrays = array->next;
        pool->array_count--;
    } else {
        array = mem_alloc(RESP_ARRAY_SIZE);
        array->capacity = RESP_ARRAY_CAPACITY;
    }
    array->next = NULL;
    array->used = 0;
    return array;
}

void resp_array_return(struct resp_pool *pool, struct resp_array *array)
{
    spoil(array->slots, array->used * sizeof(array->slots[0]));
    if (array->capacity != RESP_ARRAY_CAPACITY || pool->array_count >= FREE_ARRAYS_MAX) {
        mem_free(array);
        return;
    }
    array->next = pool->arrays;
    pool->arrays = array;
    pool->array_count++;
}

struct resp_chunk *resp_chunk_borrow(struct resp_pool *pool)
{
    struct resp_chunk *chunk = pool->chunks;
    if (chunk != NULL) {
        pool->chunks = chunk->next;
        pool->chunk_count--;
    } else {
        chunk = mem_alloc(RESP_BUFFER_SIZE);
        chunk->capacity = RESP_CHUNK_CAPACITY;
        chunk->pooled = true;
    }
    chunk->next = NULL;
    chunk->blob = NULL;
    chunk->blob_size = 0;
    chunk->sent = 0;
    chunk->size = 0;
    chunk->open_count = 0;
    return chunk;
}

void resp_chunk_return(struct resp_pool *pool, struct resp_chunk *chunk)
{
    blob_unref(chunk->blob);
    chunk->blob = NULL;
    spoil(chunk->data, chunk->size);
    if (!chunk->pooled || pool->chunk_count >= FREE_CHUNKS_MAX) {
        mem_free(chunk);
        return;
    }
    chunk->next = pool->chunks;
    pool->chunks = chunk;
    pool->chunk_count++;
}
