/*
 * keyspace_random.c: RANDOMKEY. A tier is drawn by how many keys each has, then a key in it.
 *
 * RAM: a random place in the index (hot_random). The cold tier has no places, only an order, so a key is found by going down
 * the tree that its keys' bytes form, reading a few keys at each branch:
 *
 *   keys below prefix P, first of them F   ──► draw a byte from F's next one up to the highest that may occur
 *   read from P‖byte on   nothing there    ──► the highest is below; draw again
 *                         a key            ──► its next byte is added to P
 *   few enough keys below P                ──► one of them
 *
 * The highest is 255 at first, but names are made of digits and letters: one read tells whether anything lies above '9', then above
 * 'Z', 'z'. Where the first keys below P have more in common, one read behind it tells whether all keys have. Every key can be drawn: at
 * each branch every byte that occurs can, by the gap before it. So numbers of equal length come out evenly, and a lone key among
 * many is drawn more often than its share. Only among families with more than DESCENT_READ_MAX reads' depth in
 * common (hundreds of bytes) is the draw from the first keys there.
 *
 * A draw that meets only keys that are gone (deletes pending) or over is made again; after DESCENT_ATTEMPT_MAX of them the walk goes in
 * key order until it finds one that lives, so it finds one if there is one.
 */
#include "keyspace_internal.h"

#define DESCENT_READ_MAX    512
#define DESCENT_ATTEMPT_MAX 100
/* Keys read at a branch. */
#define DESCENT_KEY_MAX 64
/* A key that others begin with is taken once in so many. */
#define DESCENT_STOP_CHANCE 16
/* Buckets looked at in each partition of RAM. */
#define RANDOM_PROBE_MAX 64
/* Nothing that begins with what stands before them comes after so many of them, but for freaks. */
#define ABOVE_ALL SLICE_LITERAL("\xff\xff\xff\xff\xff\xff\xff\xff")

static void drop_chunk(struct walk_descent *descent)
{
    mem_free(descent->entries);
    descent->entries = NULL;
    descent->entry_count = 0;
    buf_deinit(&descent->names);
}

void random_deinit(struct walk_descent *descent)
{
    drop_chunk(descent);
    buf_deinit(&descent->prefix);
    buf_deinit(&descent->next_prefix);
}

/* --- RAM ----------------------------------------------------------------------------------------------- */

/* A live key of RAM becomes a candidate; those met that are over, too. */
static bool draw_hot(struct keyspace_walk *walk)
{
    struct hot *const hot = walk->keyspace->hot;
    const unsigned first = (unsigned)random_below(&walk->random, HOT_PARTITION_COUNT);
    for (unsigned count = 0; count < HOT_PARTITION_COUNT; count++) {
        const unsigned partition = (first + count) % HOT_PARTITION_COUNT;
        const bool locked = walk_lock(walk, hot_stripe_of_partition(hot, partition));
        struct hot_record *const record =
            hot_random(hot, partition, walk->space, &walk->random, RANDOM_PROBE_MAX);
        bool alive = false;
        if (record != NULL) {
            const struct key key = hot_record_key(record, true);
            alive = !time_is_over(hot_record_expire_ms(record), walk->now_ms);
            walk_add(walk, &key, !hot_record_cold_committed(record), !alive);
        }
        walk_unlock(walk, locked);
        if (alive)
            return true;
    }
    return false;
}

static bool draws_cold(struct keyspace_walk *walk)
{
    const struct keyspace *const keyspace = walk->keyspace;
    if (space_is_new(keyspace, walk->space))
        return false;
    uint64_t total = 0;
    for (unsigned database = 0; database < keyspace->database_count; database++)
        total += metric_get(&keyspace->counts[database], keys);
    struct hot_metrics metrics;
    hot_metrics_read(keyspace->hot, &metrics);
    const uint64_t hot_count = metric_get(&metrics, record_count);
    return total > hot_count && random_below(&walk->random, total) >= hot_count;
}

/* --- the cold tier: the keys at hand ------------------------------------------------------------------------ */

static struct slice entry_name(const struct walk_descent *descent, size_t index)
{
    const struct cold_range_entry *const entry = &descent->entries[index];
    return slice_of(descent->names.data + entry->key_offset, entry->key_size);
}

static void take_chunk(struct keyspace_walk *walk)
{
    struct walk_descent *const descent = &walk->descent;
    drop_chunk(descent);
    descent->entries = walk->job.entries;
    descent->entry_count = walk->job.entry_count;
    descent->names = walk->job.keys;
    descent->is_all = walk->job.range_end;
    walk->job.entries = NULL;
    walk->job.entry_count = 0;
    walk->job.keys = (struct buf){0};
}

/* Nothing is known yet of the bytes behind prefix. */
static void enter_prefix(struct walk_descent *descent)
{
    descent->upper = 255;
    descent->beyond = 0;
    buf_clear(&descent->next_prefix);
}

/* The first keys that go on after prefix with this byte are at hand: only they, from now on. */
static void narrow(struct walk_descent *descent, char byte)
{
    const size_t size = descent->prefix.size;
    size_t kept = 0;
    bool others_follow = false;
    for (size_t index = 0; index < descent->entry_count; index++) {
        const struct slice name = entry_name(descent, index);
        if (name.size > size && name.data[size] == byte)
            descent->entries[kept++] = descent->entries[index];
        else if (kept > 0)
            others_follow = true;
    }
    descent->entry_count = kept;
    descent->is_all |= others_follow;
    buf_append_byte(&descent->prefix, byte);
    enter_prefix(descent);
}

static size_t common_size(struct slice a, struct slice b)
{
    size_t size = 0;
    while (size < a.size && size < b.size && a.data[size] == b.data[size])
        size++;
    return size;
}

/* --- the cold tier: going down --------------------------------------------------------------------------------- */

static enum status read_below(struct keyspace_walk *walk, enum descent_read read, size_t entry_max)
{
    struct walk_descent *const descent = &walk->descent;
    descent->read_count++;
    descent->read = read;
    walk_read(walk, buf_slice(&descent->prefix), entry_max);
    return ST_PENDING;
}

static enum status read_first(struct keyspace_walk *walk)
{
    buf_clear(&walk->start);
    return read_below(walk, DESCENT_FIRST, DESCENT_KEY_MAX);
}

/* The keys that go on after prefix with a byte above this one. */
static enum status read_above(
    struct keyspace_walk *walk, unsigned byte, enum descent_read read, size_t entry_max)
{
    buf_clear(&walk->start);
    buf_append_slice(&walk->start, buf_slice(&walk->descent.prefix));
    buf_append_byte(&walk->start, (char)(uint8_t)byte);
    buf_append_slice(&walk->start, ABOVE_ALL);
    return read_below(walk, read, entry_max);
}

static enum status read_beyond_common(struct keyspace_walk *walk, struct slice common)
{
    buf_append_slice(&walk->descent.next_prefix, common);
    buf_clear(&walk->start);
    buf_append_slice(&walk->start, common);
    buf_append_slice(&walk->start, ABOVE_ALL);
    return read_below(walk, DESCENT_COMMON, 2);
}

static enum status descend_from_root(struct keyspace_walk *walk)
{
    struct walk_descent *const descent = &walk->descent;
    buf_clear(&descent->prefix);
    enter_prefix(descent);
    descent->read_count = 0;
    return read_first(walk);
}

static enum status read_in_order(struct keyspace_walk *walk)
{
    walk->descent.linear = true;
    buf_clear(&walk->start);
    buf_append_slice(&walk->start, buf_slice(&walk->after));
    walk_read(walk, slice_of(NULL, 0), WALK_CHUNK_MAX);
    return ST_PENDING;
}

static bool has_live_candidate(const struct keyspace_walk *walk)
{
    for (size_t index = 0; index < walk->candidate_count; index++) {
        if (!walk->candidates[index].expired)
            return true;
    }
    return false;
}

/* Of the keys at hand. */
static enum status choose(struct keyspace_walk *walk)
{
    struct walk_descent *const descent = &walk->descent;
    walk_truncate(walk, 0);
    if (walk_resolve(walk, descent->entries, descent->entry_count, &descent->names) &&
        has_live_candidate(walk))
        return ST_OK;
    if (++descent->attempt_count < DESCENT_ATTEMPT_MAX)
        return descend_from_root(walk);
    walk_truncate(walk, 0);
    buf_clear(&walk->after);
    return read_in_order(walk);
}

static enum status choose_first(struct keyspace_walk *walk)
{
    walk->descent.entry_count = 1;
    return choose(walk);
}

/* The last byte of its kind. */
static unsigned class_end(unsigned byte)
{
    return byte <= '9' ? '9' : byte <= 'Z' ? 'Z' : byte <= 'z' ? 'z' : 255;
}

/* There are more keys below prefix than are at hand, which are the first. */
static enum status descend(struct keyspace_walk *walk)
{
    struct walk_descent *const descent = &walk->descent;
    while (!descent->is_all && descent->read_count < DESCENT_READ_MAX) {
        if (descent->entry_count < 2)
            return read_first(walk); /* those at hand were the last of a chunk */
        const size_t size = descent->prefix.size;
        const bool ends_here = entry_name(descent, 0).size == size;
        if (ends_here && random_below(&walk->random, DESCENT_STOP_CHANCE) == 0)
            return choose_first(walk);
        const struct slice first = entry_name(descent, ends_here ? 1 : 0);
        const struct slice last = entry_name(descent, descent->entry_count - 1);
        const size_t common = ends_here ? size : common_size(first, last);
        if (common > size && descent->next_prefix.size == 0)
            return read_beyond_common(walk, slice_of(first.data, common));
        const unsigned lowest = (uint8_t)first.data[size];
        descent->bound = class_end(lowest > descent->beyond ? lowest : descent->beyond);
        if (descent->bound < descent->upper)
            return read_above(walk, descent->bound, DESCENT_BOUND, 2);
        const unsigned drawn =
            lowest + (unsigned)random_below(&walk->random, descent->upper - lowest + 1);
        if (drawn > lowest) {
            descent->bound = drawn - 1;
            return read_above(walk, descent->bound, DESCENT_DRAW, DESCENT_KEY_MAX);
        }
        narrow(descent, first.data[size]);
    }
    return choose(walk);
}

static enum status arrived_in_order(struct keyspace_walk *walk)
{
    const struct cold_job *const job = &walk->job;
    if (walk_resolve(walk, job->entries, job->entry_count, &job->keys)) {
        if (has_live_candidate(walk))
            return ST_OK;
        walk_truncate(walk, 0);
        if (job->range_end) {
            (void)draw_hot(walk);
            return ST_OK;
        }
        const struct cold_range_entry *const last = &job->entries[job->entry_count - 1];
        buf_clear(&walk->after);
        buf_append(&walk->after, job->keys.data + last->key_offset, last->key_size);
    } else if (walk->retry_count++ == WALK_RETRY_MAX) {
        return ST_OK; /* RAM is left to finish() */
    }
    return read_in_order(walk);
}

static enum status arrived_first(struct keyspace_walk *walk)
{
    if (walk->job.entry_count > 0) {
        take_chunk(walk);
        return descend(walk);
    }
    if (walk->descent.prefix.size > 0) { /* deleted meanwhile */
        drop_chunk(&walk->descent);
        return choose(walk);
    }
    (void)draw_hot(walk); /* the cold tier holds none */
    return ST_OK;
}

enum status random_arrived(struct keyspace_walk *walk)
{
    struct walk_descent *const descent = &walk->descent;
    if (descent->linear)
        return arrived_in_order(walk);
    const bool none = walk->job.entry_count == 0;
    switch (descent->read) {
    case DESCENT_FIRST: return arrived_first(walk);
    case DESCENT_DRAW:
        if (!none) {
            take_chunk(walk);
            narrow(descent, entry_name(descent, 0).data[descent->prefix.size]);
            return descend(walk);
        }
        descent->upper = descent->bound;
        return descend(walk);
    case DESCENT_BOUND:
        if (none)
            descent->upper = descent->bound;
        else
            descent->beyond = descent->bound + 1;
        return descend(walk);
    case DESCENT_COMMON:
        if (none) {
            buf_clear(&descent->prefix);
            buf_append_slice(&descent->prefix, buf_slice(&descent->next_prefix));
            enter_prefix(descent);
        }
        return descend(walk);
    }
    UNREACHABLE("kind of a read");
}

enum status random_begin(struct keyspace_walk *walk)
{
    struct walk_descent *const descent = &walk->descent;
    descent->linear = false;
    descent->attempt_count = 0;
    if (metric_get(&walk->keyspace->counts[walk->options.database], keys) == 0)
        return ST_OK;
    if (!draws_cold(walk) && draw_hot(walk))
        return ST_OK;
    if (space_is_new(walk->keyspace, walk->space))
        return ST_OK;
    return descend_from_root(walk);
}

/* --- finish ------------------------------------------------------------------------------------------------------- */

static bool emit_candidate(
    struct keyspace_walk *walk, struct keyspace_view *view, keyspace_emit_fn emit, void *context)
{
    if (walk->candidate_count == 0)
        return false;
    const size_t first = (size_t)random_below(&walk->random, walk->candidate_count);
    for (size_t count = 0; count < walk->candidate_count; count++) {
        const struct walk_candidate *const candidate =
            &walk->candidates[(first + count) % walk->candidate_count];
        struct hot_record *record = NULL;
        switch (walk_judge(walk, view, candidate, &record)) {
        case WALK_GONE: break;
        case WALK_EXPIRED: walk_expire(walk, view, candidate, record); break;
        case WALK_ALIVE:
            emit(context, slice_of(walk->names.data + candidate->offset, candidate->size));
            return true;
        }
    }
    return false;
}

struct search {
    uint32_t space;
    uint64_t now_ms;
    struct hot_record *found;
};

static void find_live(void *context, struct hot_record *record)
{
    struct search *const search = context;
    const enum hot_state state = hot_record_state(record);
    if (search->found == NULL && (state == HOT_RESIDENT || state == HOT_STUB) &&
        hot_record_key(record, false).space == search->space &&
        !time_is_over(hot_record_expire_ms(record), search->now_ms))
        search->found = record;
}

void random_finish(
    struct keyspace_walk *walk, struct keyspace_view *view, keyspace_emit_fn emit, void *context)
{
    struct search search = {
        .space = space_of(walk->keyspace, walk->options.database), .now_ms = view->now_ms};
    if (search.space == walk->space && emit_candidate(walk, view, emit, context))
        return;
    /* What was drawn has gone meanwhile, or few keys lie in a large index: RAM, all of it. */
    if (metric_get(&walk->keyspace->counts[walk->options.database], keys) == 0)
        return;
    uint64_t cursor = 0;
    do {
        cursor = hot_scan(view->hot, cursor, find_live, &search);
    } while (cursor != 0 && search.found == NULL);
    if (search.found != NULL) {
        const struct key key = hot_record_key(search.found, false);
        emit(context, key_slice(&key));
    }
}
