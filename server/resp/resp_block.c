/*
 * resp_block.c: the memory behind an input: blocks of bytes, arrays of arguments, blobs of big bulks.
 *
 *   block    [ handed out .... | start .. command under way .. position .. size |  room  ]
 *   arrays   [ handed out .... | arguments of the command under way |  room  ]
 *
 * (1) What is handed out never moves: when its block or array is full, another one is begun, and only the command under
 *     way is copied there.
 * (2) A command of RESP form is contiguous, so that the log can take its bytes as they are.
 * (3) Copying is linear in what arrives: a copy is followed by at least as much room as was copied, or half a
 *     block. Memory follows bytes received, never bytes announced: twice (blocks, arrays) or four times (blobs).
 */
#include "base/mem.h"
#include "resp_internal.h"

/* Reads into less than this are not worth their system call. */
#define ROOM_MIN        (RESP_BLOCK_CAPACITY / 8)
#define ARRAY_LONG_MIN  ((uint32_t)256)
#define BLOB_FIRST_SIZE ((size_t)64 * 1024)
#define BLOB_GROWTH     ((size_t)4)

/* --- blocks ---------------------------------------------------------------------------------------------- */

static bool is_within(const struct resp_block *block, const char *address)
{
    return (uintptr_t)address - (uintptr_t)block->data < block->capacity;
}

void resp_block_move(struct resp_input *input, struct resp_block *to)
{
    struct resp_block *const from = input->block;
    const char *const old_start = from->data + input->start;
    const size_t size = from->size - input->start;
    memmove(to->data, old_start, size);
    if (input->total > 0) {
        struct slice *const argv = resp_input_argv(input);
        for (int index = 0; index < input->count; index++) {
            /* The others are in blobs. */
            if (is_within(from, argv[index].data))
                argv[index].data = to->data + (argv[index].data - old_start);
        }
    }
    to->size = size;
    input->position -= input->start;
    input->scanned = input->scanned > input->start ? input->scanned - input->start : 0;
    input->start = 0;
    if (to == from)
        return;
    input->block = to;
    if (input->out) {
        from->next = input->kept;
        input->kept = from;
    } else {
        resp_block_return(input->pool, from);
    }
}

bool resp_block_room(struct resp_input *input, size_t need)
{
    if (input->block == NULL) {
        input->block = resp_block_borrow(input->pool);
        input->start = input->position = input->scanned = 0;
    }
    struct resp_block *const block = input->block;
    const size_t room = block->capacity - block->size;
    if (likely(room >= need && room >= ROOM_MIN))
        return true;
    const size_t size = block->size - input->start;
    const size_t more = size > need ? size : need;
    const size_t capacity = size + (more > ROOM_MIN ? more : ROOM_MIN);
    if (!input->out && capacity <= block->capacity) {
        resp_block_move(input, block);
        return true;
    }
    struct resp_block *const fresh = capacity <= RESP_BLOCK_CAPACITY
                                         ? resp_block_borrow(input->pool)
                                         : resp_block_create(capacity);
    if (fresh == NULL)
        return false;
    resp_block_move(input, fresh);
    return true;
}

/* --- arrays ---------------------------------------------------------------------------------------------- */

static bool push_long_array(struct resp_input *input, uint32_t capacity)
{
    const size_t size_bytes = sizeof(struct resp_array) + capacity * sizeof(struct slice);
    struct resp_array *const array = mem_try_alloc(size_bytes);
    if (array == NULL)
        return false;
    array->used = 0;
    array->capacity = capacity;
    if (input->count > 0) {
        memcpy(array->slots, resp_input_argv(input), (size_t)input->count * sizeof(struct slice));
    }
    array->next = input->arrays;
    input->arrays = array;
    return true;
}

bool resp_argv_begin(struct resp_input *input, int total)
{
    struct resp_array *const newest = input->arrays;
    if (likely(newest != NULL && newest->capacity - newest->used >= (uint32_t)total))
        return true;
    if ((uint32_t)total > RESP_ARRAY_CAPACITY)
        return push_long_array(input, ARRAY_LONG_MIN);
    struct resp_array *const array = resp_array_borrow(input->pool);
    array->next = newest;
    input->arrays = array;
    return true;
}

bool resp_argv_grow(struct resp_input *input, int total)
{
    struct resp_array *const array = input->arrays;
    const uint32_t count = (uint32_t)input->count;
    if (likely(count < array->capacity - array->used))
        return true;
    /* Twice as many, but never as many as pooled ones have: they are told apart by that. */
    const uint64_t twice = count < ARRAY_LONG_MIN / 2 ? ARRAY_LONG_MIN : (uint64_t)count * 2;
    const uint32_t capacity = twice > (uint64_t)total ? (uint32_t)total : (uint32_t)twice;
    CHECK(capacity > RESP_ARRAY_CAPACITY);
    if (array->used > 0 || array->capacity == RESP_ARRAY_CAPACITY)
        return push_long_array(input, capacity);
    struct resp_array *const longer =
        mem_try_realloc(array, sizeof(*array) + (size_t)capacity * sizeof(struct slice));
    if (longer == NULL)
        return false;
    longer->capacity = capacity;
    input->arrays = longer;
    return true;
}

void resp_argv_release(struct resp_input *input)
{
    struct resp_array *array = input->arrays;
    if (array != NULL && input->total > 0) {
        if (array->used > 0) {
            memmove(
                array->slots, resp_input_argv(input), (size_t)input->count * sizeof(struct slice));
            array->used = 0;
        }
        struct resp_array *const mine = array;
        array = mine->next;
        mine->next = NULL;
    } else {
        input->arrays = NULL;
    }
    while (array != NULL) {
        struct resp_array *const next = array->next;
        resp_array_return(input->pool, array);
        array = next;
    }
}

/* --- big bulks ---------------------------------------------------------------------------------------------- */

bool resp_big_begin(struct resp_input *input)
{
    struct resp_block *const block = input->block;
    const size_t target = (size_t)input->bulk_size + 2;
    const size_t have = block->size - input->position;
    CHECK(have < target);
    size_t capacity = have * 2 > BLOB_FIRST_SIZE ? have * 2 : BLOB_FIRST_SIZE;
    if (capacity > target)
        capacity = target;
    struct blob *const blob = blob_create(capacity);
    if (blob == NULL)
        return false;
    memcpy(blob->data, block->data + input->position, have);
    blob->size = have;
    block->size = input->position; /* they are the blob's now */
    struct resp_big *const big = mem_alloc(sizeof(*big));
    *big = (struct resp_big){.blob = blob, .target = target, .index = input->count};
    input->reading = big;
    return true;
}

bool resp_big_grow(struct resp_big *big)
{
    struct blob *const blob = big->blob;
    if (blob->size < blob->capacity)
        return true;
    size_t capacity = blob->capacity * BLOB_GROWTH;
    if (capacity > big->target)
        capacity = big->target;
    struct blob *const larger = blob_create(capacity);
    if (larger == NULL)
        return false;
    memcpy(larger->data, blob->data, blob->size);
    larger->size = blob->size;
    blob_unref(blob);
    big->blob = larger;
    return true;
}

void resp_bigs_free(struct resp_big *bigs)
{
    while (bigs != NULL) {
        struct resp_big *const next = bigs->next;
        blob_unref(bigs->blob);
        mem_free(bigs);
        bigs = next;
    }
}
