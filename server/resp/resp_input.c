/*
 * resp_input.c: the life of a connection's input, apart from parsing: where bytes go, what is held, what is given back.
 */
#include "base/mem.h"
#include "resp_internal.h"

struct resp_input *resp_input_create(struct resp_pool *pool)
{
    struct resp_input *const input = mem_alloc_zero(sizeof(*input));
    input->pool = pool;
    input->bulk_size = -1;
    return input;
}

static void return_kept(struct resp_input *input)
{
    while (input->kept != NULL) {
        struct resp_block *const block = input->kept;
        input->kept = block->next;
        resp_block_return(input->pool, block);
    }
}

void resp_input_destroy(struct resp_input *input)
{
    if (input == NULL)
        return;
    return_kept(input);
    if (input->block != NULL)
        resp_block_return(input->pool, input->block);
    input->total = 0;
    resp_argv_release(input);
    resp_bigs_free(input->reading);
    resp_bigs_free(input->bigs);
    resp_bigs_free(input->bigs_out);
    mem_free(input);
}

/* Bytes of the argument under way that have not come. */
static size_t bytes_missing(const struct resp_input *input)
{
    if (input->total == 0 || input->bulk_size < 0)
        return 1;
    const size_t have = input->block == NULL ? 0 : input->block->size - input->position;
    const size_t target = (size_t)input->bulk_size + 2;
    /* More than that is read to a blob, once the parser has seen the header. */
    return have >= target || target >= RESP_BIG_BULK + 2 ? 1 : target - have;
}

char *resp_input_space(struct resp_input *input, size_t *room)
{
    if (input->reading != NULL) {
        struct resp_big *const big = input->reading;
        /* All of it may be here already, and not parsed yet. */
        if (big->blob->size < big->target) {
            if (resp_big_grow(big)) {
                struct blob *const blob = big->blob;
                const size_t end = blob->capacity < big->target ? blob->capacity : big->target;
                *room = end - blob->size;
                return blob->data + blob->size;
            }
            input->out_of_memory = true;
        }
    }
    if (unlikely(input->out_of_memory || !resp_block_room(input, bytes_missing(input)))) {
        input->out_of_memory = true;
        *room = sizeof(input->pool->sink);
        return input->pool->sink;
    }
    *room = input->block->capacity - input->block->size;
    return input->block->data + input->block->size;
}

void resp_input_received(struct resp_input *input, size_t size)
{
    if (unlikely(input->out_of_memory))
        return;
    if (input->reading != NULL && input->reading->blob->size < input->reading->target) {
        struct resp_big *const big = input->reading;
        big->blob->size += size;
        CHECK(big->blob->size <= big->target);
        return;
    }
    CHECK(input->block != NULL);
    input->block->size += size;
    CHECK(input->block->size <= input->block->capacity);
}

size_t resp_input_pending(const struct resp_input *input)
{
    size_t size = input->big_bytes;
    if (input->block != NULL)
        size += input->block->size - input->start;
    if (input->reading != NULL)
        size += input->reading->blob->size;
    return size;
}

static size_t bigs_memory(const struct resp_big *bigs)
{
    size_t size = 0;
    for (; bigs != NULL; bigs = bigs->next) {
        size += sizeof(*bigs);
        if (bigs->blob != NULL)
            size += sizeof(*bigs->blob) + bigs->blob->capacity;
    }
    return size;
}

size_t resp_input_held(const struct resp_input *input)
{
    size_t size = bigs_memory(input->bigs) + bigs_memory(input->bigs_out);
    if (input->block != NULL)
        size += input->block->size - input->start;
    for (const struct resp_block *block = input->kept; block != NULL; block = block->next)
        size += block->capacity;
    return size;
}

size_t resp_input_memory(const struct resp_input *input)
{
    size_t size = sizeof(*input);
    if (input->block != NULL)
        size += sizeof(*input->block) + input->block->capacity;
    for (const struct resp_block *block = input->kept; block != NULL; block = block->next)
        size += sizeof(*block) + block->capacity;
    for (const struct resp_array *array = input->arrays; array != NULL; array = array->next)
        size += sizeof(*array) + array->capacity * sizeof(struct slice);
    size += bigs_memory(input->reading);
    size += bigs_memory(input->bigs);
    size += bigs_memory(input->bigs_out);
    return size;
}

/* The rest of a long block moves to a pooled one if it is small. */
static void shrink_block(struct resp_input *input)
{
    struct resp_block *const block = input->block;
    const size_t size = block->size - input->start;
    if (block->capacity == RESP_BLOCK_CAPACITY || size > RESP_BLOCK_CAPACITY / 2)
        return;
    if (bytes_missing(input) > RESP_BLOCK_CAPACITY / 2)
        return;
    resp_block_move(input, resp_block_borrow(input->pool));
}

void resp_input_release(struct resp_input *input)
{
    input->out = false;
    if (unlikely(input->kept != NULL))
        return_kept(input);
    if (input->arrays != NULL)
        resp_argv_release(input);
    if (unlikely(input->bigs_out != NULL)) {
        resp_bigs_free(input->bigs_out);
        input->bigs_out = NULL;
    }
    if (input->block == NULL)
        return;
    if (likely(input->start == input->block->size)) {
        resp_block_return(input->pool, input->block);
        input->block = NULL;
        input->start = input->position = input->scanned = 0;
    } else {
        shrink_block(input);
    }
}

bool resp_is_http(const struct resp_command *command)
{
    return slice_equal_nocase(command->argv[0], "POST") ||
           slice_equal_nocase(command->argv[0], "Host:");
}
