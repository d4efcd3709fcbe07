/*
 * keyspace_cursor.c: where SCANs of the cold part go on: a cursor is a number, the place is a key.
 *
 *   cursor = bit 50 | sequence << 12 | index of the position
 *
 * A position serves one iteration: the step that comes with a cursor gives its position to the cursor it answers with. So the table
 * bounds the number of iterations, not of steps; a new iteration takes a free position, or, when there is none, that of another
 * in turn. A cursor that is not found (forgotten, made up, from before a restart) begins the cold part again, which
 * repeats keys and misses none.
 */
#include "keyspace_internal.h"

#define POSITION_BITS 12
static_assert(1 << POSITION_BITS == KEYSPACE_CURSOR_MAX, "a position fits its bits");
#define SEQUENCE_MAX (((uint64_t)1 << (50 - POSITION_BITS)) - 1)
/* Keys remembered beyond this make others be forgotten; the newest is always remembered. */
#define KEY_BYTES_MAX ((size_t)(64 * MiB))

struct keyspace_position {
    uint64_t sequence; /* 0: free */
    uint32_t space;
    struct buf after;
};

void cursors_init(struct keyspace_cursors *cursors)
{
    mutex_init(&cursors->lock, LOCK_RANK_LEAF);
}

static void position_free(struct keyspace_cursors *cursors, struct keyspace_position *position)
{
    if (position->sequence == 0)
        return;
    cursors->key_bytes -= position->after.size;
    buf_deinit(&position->after);
    position->sequence = 0;
    atomic_fetch_sub_explicit(&cursors->count, 1, memory_order_relaxed);
}

void cursors_deinit(struct keyspace_cursors *cursors)
{
    for (size_t index = 0; cursors->positions != NULL && index < KEYSPACE_CURSOR_MAX; index++)
        position_free(cursors, &cursors->positions[index]);
    mem_free(cursors->positions);
    mutex_deinit(&cursors->lock);
}

/* Lock held. NULL if it is forgotten. */
static struct keyspace_position *position_of(struct keyspace_cursors *cursors, uint64_t cursor)
{
    if (cursors->positions == NULL || (cursor & CURSOR_COLD) == 0)
        return NULL;
    struct keyspace_position *const position =
        &cursors->positions[cursor & (KEYSPACE_CURSOR_MAX - 1)];
    const uint64_t sequence = (cursor & (CURSOR_COLD - 1)) >> POSITION_BITS;
    return sequence != 0 && position->sequence == sequence ? position : NULL;
}

bool cursor_find(
    struct keyspace_cursors *cursors, uint64_t cursor, uint32_t *space, struct buf *after)
{
    mutex_lock(&cursors->lock);
    const struct keyspace_position *const position = position_of(cursors, cursor);
    if (position != NULL) {
        *space = position->space;
        buf_append_slice(after, buf_slice(&position->after));
    }
    mutex_unlock(&cursors->lock);
    return position != NULL;
}

static struct keyspace_position *next_position(struct keyspace_cursors *cursors)
{
    struct keyspace_position *const position = &cursors->positions[cursors->hand];
    cursors->hand = (cursors->hand + 1) % KEYSPACE_CURSOR_MAX;
    return position;
}

static struct keyspace_position *take_position(struct keyspace_cursors *cursors)
{
    for (size_t count = 0; count < KEYSPACE_CURSOR_MAX; count++) {
        struct keyspace_position *const position = next_position(cursors);
        if (position->sequence == 0)
            return position;
    }
    return next_position(cursors);
}

uint64_t cursor_store(
    struct keyspace_cursors *cursors, uint64_t previous, uint32_t space, struct slice after)
{
    mutex_lock(&cursors->lock);
    if (cursors->positions == NULL)
        cursors->positions = mem_alloc_zero(KEYSPACE_CURSOR_MAX * sizeof(*cursors->positions));
    struct keyspace_position *position = position_of(cursors, previous);
    if (position == NULL)
        position = take_position(cursors);
    position_free(cursors, position);
    for (size_t count = 0;
         count < KEYSPACE_CURSOR_MAX && cursors->key_bytes + after.size > KEY_BYTES_MAX; count++)
        position_free(cursors, next_position(cursors));
    cursors->sequence = cursors->sequence == SEQUENCE_MAX ? 1 : cursors->sequence + 1;
    position->sequence = cursors->sequence;
    position->space = space;
    buf_append_slice(&position->after, after);
    cursors->key_bytes += after.size;
    atomic_fetch_add_explicit(&cursors->count, 1, memory_order_relaxed);
    const uint64_t index = (uint64_t)(position - cursors->positions);
    const uint64_t cursor = CURSOR_COLD | cursors->sequence << POSITION_BITS | index;
    mutex_unlock(&cursors->lock);
    return cursor;
}

void cursor_drop(struct keyspace_cursors *cursors, uint64_t cursor)
{
    mutex_lock(&cursors->lock);
    struct keyspace_position *const position = position_of(cursors, cursor);
    if (position != NULL)
        position_free(cursors, position);
    mutex_unlock(&cursors->lock);
}
