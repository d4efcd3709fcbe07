/*
 * keyspace_space.c: which name space each database has, and what happens when that changes.
 *
 *   database  0   1   2        spaces[]       one number each, never used before
 *   space     7   2   3   ──►  space_slots[]  the way back, for records: hash table, made anew at each change
 *
 * A flush gives the database the next number: its records in both tiers are dead from then on, at once, and are reclaimed
 * later. SWAPDB exchanges two numbers and the counts that go with them.
 *
 * (1) The mapping changes only with all stripes held: who holds any stripe may rely on it.
 * (2) Others (the sweeper, cold reads) read it like a seqlock: if the version is odd or has moved, once more. All data are atomic
 *     and loaded with acquire, so a value from within a change is never taken for one from before it.
 * (3) A space is reported dead to checkpoints until one that knew of it has committed. A flush of an empty database
 *     changes nothing, so the list is bounded by the log since the last checkpoint.
 */
#include "keyspace_internal.h"

enum { DEAD_CAPACITY_MIN = 16 };

void spaces_init(struct keyspace *keyspace)
{
    mutex_init(&keyspace->dead.lock, LOCK_RANK_LEAF);
    uint32_t slot_count = 16;
    while (slot_count < keyspace->database_count * 4)
        slot_count *= 2;
    keyspace->slot_mask = slot_count - 1;
    keyspace->space_slots = mem_alloc_zero(slot_count * sizeof(*keyspace->space_slots));
    keyspace->spaces = mem_alloc_zero(keyspace->database_count * sizeof(*keyspace->spaces));
    for (unsigned database = 0; database < keyspace->database_count; database++)
        atomic_init(&keyspace->spaces[database], database + 1);
    keyspace->next_space = keyspace->database_count + 1;
    CHECK(spaces_publish(keyspace));
}

void spaces_deinit(struct keyspace *keyspace)
{
    mem_free(keyspace->dead.spaces);
    mutex_deinit(&keyspace->dead.lock);
    mem_free(keyspace->spaces);
    mem_free(keyspace->space_slots);
}

/* --- the table ------------------------------------------------------------------------------------------- */

static uint32_t slot_of(const struct keyspace *keyspace, uint32_t space)
{
    return (space * UINT32_C(2654435769)) >> 7 & keyspace->slot_mask; /* Fibonacci hashing */
}

static bool insert_space(struct keyspace *keyspace, uint32_t space, unsigned database)
{
    for (uint32_t slot = slot_of(keyspace, space);; slot = (slot + 1) & keyspace->slot_mask) {
        const uint64_t entry =
            atomic_load_explicit(&keyspace->space_slots[slot], memory_order_relaxed);
        if (entry == 0) {
            atomic_store_explicit(&keyspace->space_slots[slot],
                (uint64_t)space << 32 | (database + 1), memory_order_release);
            return true;
        }
        if (entry >> 32 == space)
            return false;
    }
}

bool spaces_publish(struct keyspace *keyspace)
{
    const uint64_t version = atomic_load_explicit(&keyspace->version, memory_order_relaxed);
    /* Before any slot: those are stored with release, so who sees one sees this. */
    atomic_store_explicit(&keyspace->version, version + 1, memory_order_relaxed);
    for (uint32_t slot = 0; slot <= keyspace->slot_mask; slot++)
        atomic_store_explicit(&keyspace->space_slots[slot], 0, memory_order_release);
    bool unique = true;
    for (unsigned database = 0; database < keyspace->database_count; database++)
        unique &= insert_space(keyspace, space_of(keyspace, database), database);
    atomic_store_explicit(&keyspace->version, version + 2, memory_order_release);
    return unique;
}

/* The slot's value, or 0. */
static uint64_t probe(const struct keyspace *keyspace, uint32_t space)
{
    uint32_t slot = slot_of(keyspace, space);
    for (uint32_t count = 0; count <= keyspace->slot_mask; count++) {
        const uint64_t entry =
            atomic_load_explicit(&keyspace->space_slots[slot], memory_order_acquire);
        if (entry == 0 || entry >> 32 == space)
            return entry;
        slot = (slot + 1) & keyspace->slot_mask;
    }
    return 0;
}

bool space_find_database(const struct keyspace *keyspace, uint32_t space, unsigned *database)
{
    for (;;) {
        const uint64_t version = atomic_load_explicit(&keyspace->version, memory_order_acquire);
        if ((version & 1) != 0)
            continue;
        const uint64_t entry = probe(keyspace, space);
        /* The slots were loaded with acquire, so this load comes after them. */
        if (atomic_load_explicit(&keyspace->version, memory_order_relaxed) != version)
            continue;
        if (entry == 0)
            return false;
        *database = (unsigned)(entry & UINT32_MAX) - 1;
        return true;
    }
}

bool space_is_dead(void *context, uint32_t space)
{
    const struct keyspace *const keyspace = context;
    CHECK_MAGIC(keyspace, KEYSPACE_MAGIC);
    unsigned database;
    return !space_find_database(keyspace, space, &database);
}

uint64_t keyspace_version(const struct keyspace *keyspace)
{
    return atomic_load_explicit(&keyspace->version, memory_order_acquire);
}

/* --- flush and swap ---------------------------------------------------------------------------------------- */

static void require_all_stripes(const struct keyspace_view *view)
{
    const uint64_t all = hot_stripes_all(view->hot);
    CHECK((tier_turn_locked(view->turn) & all) == all);
}

static void note_death(struct keyspace_dead *dead, uint32_t space)
{
    mutex_lock(&dead->lock);
    if (dead->count == dead->capacity) {
        dead->capacity = dead->capacity == 0 ? DEAD_CAPACITY_MIN : dead->capacity * 2;
        dead->spaces = mem_realloc(dead->spaces, dead->capacity * sizeof(*dead->spaces));
    }
    dead->spaces[dead->count++] = space;
    mutex_unlock(&dead->lock);
}

/* True if there was something to empty. The table is still to be published. */
static bool empty_database(struct keyspace *keyspace, unsigned database)
{
    struct keyspace_counts *const counts = &keyspace->counts[database];
    if (metric_get(counts, keys) == 0)
        return false;
    watches_flush(keyspace, database);
    note_death(&keyspace->dead, space_of(keyspace, database));
    CHECK(keyspace->next_space != UINT32_MAX);
    atomic_store_explicit(
        &keyspace->spaces[database], keyspace->next_space++, memory_order_relaxed);
    metric_set(counts, keys, 0);
    metric_set(counts, expires, 0);
    metric_set(counts, average_ttl_ms, 0);
    return true;
}

static void flush_range(struct keyspace_view *view, unsigned first, unsigned end)
{
    struct keyspace *const keyspace = view->keyspace;
    require_all_stripes(view);
    bool changed = false;
    for (unsigned database = first; database < end; database++)
        changed |= empty_database(keyspace, database);
    if (!changed)
        return;
    CHECK(spaces_publish(keyspace));
    watches_rehash(keyspace);
    tier_sweep_request(view->tier);
}

void keyspace_flush(struct keyspace_view *view, unsigned database)
{
    CHECK(database < view->keyspace->database_count);
    flush_range(view, database, database + 1);
}

void keyspace_flush_all(struct keyspace_view *view)
{
    flush_range(view, 0, view->keyspace->database_count);
}

static void swap_figures(_Atomic uint64_t *a, _Atomic uint64_t *b)
{
    const uint64_t figure = atomic_load_explicit(a, memory_order_relaxed);
    atomic_store_explicit(a, atomic_load_explicit(b, memory_order_relaxed), memory_order_relaxed);
    atomic_store_explicit(b, figure, memory_order_relaxed);
}

void keyspace_swap(struct keyspace_view *view, unsigned a, unsigned b)
{
    struct keyspace *const keyspace = view->keyspace;
    CHECK(a < keyspace->database_count);
    CHECK(b < keyspace->database_count);
    require_all_stripes(view);
    if (a == b)
        return;
    watches_swap(keyspace, a, b, view->now_ms);
    const uint32_t space_a = space_of(keyspace, a);
    atomic_store_explicit(&keyspace->spaces[a], space_of(keyspace, b), memory_order_relaxed);
    atomic_store_explicit(&keyspace->spaces[b], space_a, memory_order_relaxed);
    swap_figures(&keyspace->counts[a].keys, &keyspace->counts[b].keys);
    swap_figures(&keyspace->counts[a].expires, &keyspace->counts[b].expires);
    swap_figures(&keyspace->counts[a].average_ttl_ms, &keyspace->counts[b].average_ttl_ms);
    CHECK(spaces_publish(keyspace));
    watches_rehash(keyspace);
}
