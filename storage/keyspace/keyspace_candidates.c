/*
 * keyspace_candidates.c: the keys a walk has seen, and what becomes of them.
 *
 * A walk sees keys at different moments, without holding stripes in between; finish() has to say what is so at one moment. Two things
 * bridge the gap:
 *
 * (1) X moves after a commit and before anything is marked clean. So while X stands still, a key that was read from the cold
 *     tier and has no entry in RAM is as it was read: to change it makes an entry, which leaves only after a commit that holds the
 *     change (I7). A chunk is judged against RAM under the stripes of its keys; if X has moved by then, it is read again.
 *     The reverse does not hold: what is not committed in RAM may be so a moment later with X where it was, if X has just moved.
 * (2) At finish() RAM has the last word on every key it has an entry for. Others were alive during the walk; they are returned unless the
 *     filter knows that they have gone. Such a key lived while the command ran, so the answer is one it could have given.
 * (3) A cold record is deleted as expired only under (1).
 */
#include "keyspace_internal.h"

enum { CANDIDATE_COUNT_MIN = 64 };

bool walk_lock(struct keyspace_walk *walk, uint64_t stripes)
{
    const uint64_t held = tier_turn_locked(walk->turn);
    if ((held & stripes) == stripes)
        return false;
    CHECK(held == 0);
    tier_turn_lock(walk->turn, stripes);
    return true;
}

void walk_unlock(struct keyspace_walk *walk, bool locked)
{
    if (locked)
        tier_turn_unlock(walk->turn);
}

/* --- the set ---------------------------------------------------------------------------------------------- */

static void insert(struct keyspace_walk *walk, size_t index)
{
    const size_t mask = walk->set_size - 1;
    size_t slot = walk->candidates[index].hash & mask;
    while (walk->set[slot] != 0)
        slot = (slot + 1) & mask;
    walk->set[slot] = (uint32_t)(index + 1);
}

static void rebuild(struct keyspace_walk *walk, size_t set_size)
{
    mem_free(walk->set);
    walk->set = mem_alloc_zero(set_size * sizeof(*walk->set));
    walk->set_size = set_size;
    for (size_t index = 0; index < walk->candidate_count; index++)
        insert(walk, index);
}

static bool contains(const struct keyspace_walk *walk, const struct key *key)
{
    if (walk->set_size == 0)
        return false;
    const size_t mask = walk->set_size - 1;
    for (size_t slot = key->hash & mask; walk->set[slot] != 0; slot = (slot + 1) & mask) {
        const struct key other = candidate_key(walk, &walk->candidates[walk->set[slot] - 1]);
        if (key_equal(&other, key))
            return true;
    }
    return false;
}

void walk_add(struct keyspace_walk *walk, const struct key *key, bool hot, bool expired)
{
    if (contains(walk, key))
        return;
    CHECK(walk->candidate_count < UINT32_MAX - 1);
    if (walk->candidate_count == walk->candidate_capacity) {
        walk->candidate_capacity =
            walk->candidate_capacity == 0 ? CANDIDATE_COUNT_MIN : walk->candidate_capacity * 2;
        walk->candidates =
            mem_realloc(walk->candidates, walk->candidate_capacity * sizeof(*walk->candidates));
        rebuild(walk, walk->candidate_capacity * 2);
    }
    walk->candidates[walk->candidate_count] = (struct walk_candidate){
        .hash = key->hash,
        .offset = walk->names.size,
        .size = key->size,
        .hot = hot,
        .expired = expired,
    };
    buf_append(&walk->names, key->data, key->size);
    insert(walk, walk->candidate_count++);
}

void walk_truncate(struct keyspace_walk *walk, size_t candidate_count)
{
    if (candidate_count >= walk->candidate_count)
        return;
    walk->names.size = walk->candidates[candidate_count].offset;
    walk->candidate_count = candidate_count;
    rebuild(walk, walk->set_size);
}

/* --- judging ------------------------------------------------------------------------------------------------ */

static void resolve_entry(
    struct keyspace_walk *walk, const struct key *key, const struct cold_header *header)
{
    uint64_t expire_ms = header->expire_ms;
    enum value_type type = header->type;
    const struct hot_record *const record = hot_find(walk->keyspace->hot, key);
    if (record != NULL) {
        switch (hot_record_state(record)) {
        case HOT_ABSENT: return;
        case HOT_FETCHING: /* as the cold tier says */ break;
        case HOT_RESIDENT:
        case HOT_STUB:
            expire_ms = hot_record_expire_ms(record);
            type = hot_record_value(record).type;
            break;
        }
    }
    const bool expired = time_is_over(expire_ms, walk->now_ms);
    if (expired ? walk->options.kind == KEYSPACE_WALK_KEYS : !walk_wants_type(walk, type))
        return;
    walk_add(walk, key, false, expired);
}

bool walk_resolve(struct keyspace_walk *walk, const struct cold_range_entry *entries, size_t count,
    const struct buf *names)
{
    const size_t candidate_count = walk->candidate_count;
    struct key keys[WALK_SLICE_MAX];
    const struct cold_header *headers[WALK_SLICE_MAX];
    size_t next = 0;
    while (next < count) {
        size_t key_count = 0;
        uint64_t stripes = 0;
        for (; next < count && key_count < WALK_SLICE_MAX; next++) {
            const struct slice name =
                slice_of(names->data + entries[next].key_offset, entries[next].key_size);
            if (!walk_wants_name(walk, name))
                continue;
            keys[key_count] = key_make(walk->space, name.data, name.size);
            headers[key_count] = &entries[next].header;
            stripes |= hot_stripe(walk->keyspace->hot, &keys[key_count]);
            key_count++;
        }
        if (key_count == 0)
            continue;
        const bool locked = walk_lock(walk, stripes);
        for (size_t index = 0; index < key_count; index++)
            resolve_entry(walk, &keys[index], headers[index]);
        walk_unlock(walk, locked);
    }
    if (tier_checkpoint_lsn(walk->keyspace->tier) == walk->job_lsn)
        return true;
    walk_truncate(walk, candidate_count);
    return false;
}

enum walk_verdict walk_judge(const struct keyspace_walk *walk, const struct keyspace_view *view,
    const struct walk_candidate *candidate, struct hot_record **record)
{
    const struct key key = candidate_key(walk, candidate);
    struct hot_record *const found = hot_find(view->hot, &key);
    *record = NULL;
    if (found != NULL && hot_record_state(found) != HOT_FETCHING) {
        if (hot_record_state(found) == HOT_ABSENT)
            return WALK_GONE;
        *record = found;
        return time_is_over(hot_record_expire_ms(found), view->now_ms) ? WALK_EXPIRED : WALK_ALIVE;
    }
    if (candidate->expired)
        return found == NULL && !candidate->hot && tier_checkpoint_lsn(view->tier) == walk->lsn
                   ? WALK_EXPIRED
                   : WALK_GONE;
    return cold_may_contain(walk->keyspace->cold, &key) ? WALK_ALIVE : WALK_GONE;
}

void walk_expire(const struct keyspace_walk *walk, struct keyspace_view *view,
    const struct walk_candidate *candidate, struct hot_record *record)
{
    if (view->replay)
        return;
    const struct key key = candidate_key(walk, candidate);
    if (record != NULL)
        expire_record(view, &key, record);
    else
        expire_cold_record(view, &key);
}
