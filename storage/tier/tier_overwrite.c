/*
 * tier_overwrite.c: recovery: keys that are overwritten without asking what they were.
 *
 * Nearly all of a log are writes of whole records. Their only question to the past is whether the key existed, for the counts of the
 * database. Answered one by one, when the record is not in RAM, that would be most of the time of a start: a descent in the cold tier for each. So
 * the questions are collected and answered together, in the order of the keys, when each page of the cold tier is needed once.
 *
 * (1) The cold tier stands at X for as long as questions are open: they are settled before each checkpoint of recovery.
 * (2) Once noted, a key has an entry in RAM (its record, or what its deletion left, both dirty) until such a checkpoint, so it is
 *     noted once. Only one command that names it twice notes it twice.
 * (3) What depends on the counts, flushing and swapping, comes after a settlement: its caller's duty.
 */
#include "tier_internal.h"

/* Keys noted before they are settled (I10). */
enum { OVERWRITE_MAX = 1 << 20 };

struct overwrites {
    struct arena arena;
    struct key *keys;
    size_t count;
    size_t capacity;
};

static void clear(struct overwrites *overwrites)
{
    arena_deinit(&overwrites->arena);
    mem_free(overwrites->keys);
    *overwrites = (struct overwrites){0};
}

void overwrites_destroy(struct overwrites *overwrites)
{
    if (overwrites == NULL)
        return;
    clear(overwrites);
    mem_free(overwrites);
}

static void note(struct overwrites *overwrites, const struct key *key)
{
    if (overwrites->count == overwrites->capacity) {
        overwrites->capacity = overwrites->capacity == 0 ? 1024 : overwrites->capacity * 2;
        overwrites->keys =
            mem_realloc(overwrites->keys, overwrites->capacity * sizeof(*overwrites->keys));
    }
    struct key *const copy = &overwrites->keys[overwrites->count++];
    *copy = *key;
    copy->data = arena_copy(&overwrites->arena, key->data, key->size);
}

enum status tier_overwrite(struct tier_turn *turn, const struct key *key, struct error *error)
{
    struct tier *const tier = turn->tier;
    CHECK(turn_is_recovery(turn));
    const struct hot_record *const record = hot_find(tier->hot, key);
    if (record != NULL || key_readiness(tier, key, NULL, TIER_NEED_HEADER) == KEY_READY)
        return ST_OK;
    if (turn->overwrites == NULL)
        turn->overwrites = mem_alloc_zero(sizeof(*turn->overwrites));
    enum status status = ST_OK;
    if (turn->overwrites->count == OVERWRITE_MAX)
        status = tier_overwrite_settle(turn, error);
    note(turn->overwrites, key);
    return status;
}

static void remove_twins(struct overwrites *overwrites)
{
    struct key *const keys = overwrites->keys;
    size_t kept = 1;
    for (size_t index = 1; index < overwrites->count; index++) {
        if (keys[kept - 1].hash != keys[index].hash ||
            keys_compare(&keys[kept - 1], &keys[index]) != 0)
            keys[kept++] = keys[index];
    }
    overwrites->count = kept;
}

/* The cold tier holds a record of this key; header is NULL if it is damaged. */
static void existed(void *context, const struct key *key, const struct cold_header *header)
{
    const struct tier_hooks *const hooks = context;
    hooks->overwritten(hooks->context, key->space, header != NULL && header->expire_ms != 0);
}

enum status tier_overwrite_settle(struct tier_turn *turn, struct error *error)
{
    struct overwrites *const overwrites = turn->overwrites;
    if (overwrites == NULL || overwrites->count == 0)
        return ST_OK;
    enum status status = ST_OK;
    if (turn->tier->hooks.overwritten != NULL) {
        overwrites->keys = keys_sort(overwrites->keys, overwrites->count);
        remove_twins(overwrites);
        status = cold_read_headers(turn->tier->cold, overwrites->keys, overwrites->count, existed,
            &turn->tier->hooks, error);
    }
    clear(overwrites);
    return status;
}
