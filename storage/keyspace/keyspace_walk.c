/*
 * keyspace_walk.c: SCAN and KEYS over both tiers. RANDOMKEY is in keyspace_random.c; what becomes of the keys that were seen is in
 * keyspace_candidates.c.
 *
 *   START ──► RAM: keys the cold tier has not committed ──► READING: ranges of the cold tier ──► READY ──► finish()
 *                                                             ▲                         │
 *                                                             └── more, or X has moved ─┘
 *
 * Why SCAN misses nothing: a key that is there from start to end is, when the walk of RAM passes its bucket, either not
 * committed, and returned there, or committed, and then it stays in the cold tier (overwriting keeps it there) until the range passes it,
 * since the range begins after the walk of RAM has ended. When nothing in RAM is newer than the cold tier the first part is
 * skipped; when no checkpoint has seen the space the second part is.
 *
 * KEYS adds, at finish(), everything that RAM has then. Its memory is bounded by the number of keys of the database.
 *
 * A flush or swap gives the database another space. SCAN then begins again from the start, KEYS and RANDOMKEY too while they are
 * preparing; in the moment before finish() KEYS answers for the time before a swap, or after a flush.
 */
#include "keyspace_internal.h"

/* COUNT has an effect up to here: what a step may remember is bounded (I10). */
#define SCAN_COUNT_MAX ((uint64_t)100000)
/*
 * What a step looks at in RAM for each key it is asked for, and at least: a bucket is one, an entry is SCAN_ENTRY_LOOKS. The least is
 * enough for all buckets of a small index, so that a small database takes one step.
 */
#define SCAN_LOOKS_PER_KEY ((uint64_t)64)
#define SCAN_LOOKS_MIN     ((uint64_t)8192)
#define SCAN_ENTRY_LOOKS   4
/* Keys of a cold read, at least: without and with a filter. */
#define SCAN_READ_MIN          ((uint64_t)10)
#define SCAN_READ_FILTERED_MIN ((uint64_t)256)
/* A step that has found nothing goes on until it has looked at so many. */
#define SCAN_SEEN_FRUITLESS ((uint64_t)1024)
/* Times a walk begins again because the database has got another space. */
#define RESTART_MAX 16

static const char *const everything = "*";

struct keyspace_walk *keyspace_walk_create(struct keyspace *keyspace,
    const struct keyspace_walk_options *options, struct tier_turn *turn, struct tier_wait *wait)
{
    CHECK(options->database < keyspace->database_count);
    CHECK(!tier_turn_is_recovery(turn));
    struct keyspace_walk *const walk = mem_alloc_zero(sizeof(*walk));
    walk->keyspace = keyspace;
    walk->turn = turn;
    walk->wait = wait;
    walk->options = *options;
    walk->options.pattern = slice_of(NULL, 0);
    if (options->pattern.data != NULL && options->kind != KEYSPACE_WALK_RANDOM &&
        !slice_equal(options->pattern, slice_text(everything))) {
        (void)buf_reserve(&walk->pattern, 1); /* has an address even if it is empty */
        buf_append_slice(&walk->pattern, options->pattern);
        walk->options.pattern = buf_slice(&walk->pattern);
    }
    if (options->kind != KEYSPACE_WALK_SCAN)
        walk->options.type = -1;
    walk->filtered = walk->options.pattern.data != NULL || walk->options.type >= 0;
    if (walk->options.pattern.data != NULL)
        walk->prefix = glob_literal_prefix(walk->options.pattern);
    walk->count = options->count < 1 ? 1 : options->count;
    if (walk->count > SCAN_COUNT_MAX)
        walk->count = SCAN_COUNT_MAX;
    const uint64_t number =
        atomic_fetch_add_explicit(&keyspace->walk_count, 1, memory_order_relaxed);
    random_init(&walk->random, keyspace->random_seed + number);
    return walk;
}

void keyspace_walk_destroy(struct keyspace_walk *walk)
{
    if (walk == NULL)
        return;
    cold_job_deinit(&walk->job);
    random_deinit(&walk->descent);
    buf_deinit(&walk->pattern);
    buf_deinit(&walk->start);
    buf_deinit(&walk->after);
    buf_deinit(&walk->names);
    mem_free(walk->candidates);
    mem_free(walk->set);
    mem_free(walk);
}

bool walk_wants_name(const struct keyspace_walk *walk, struct slice name)
{
    return walk->options.pattern.data == NULL || glob_match(walk->options.pattern, name, false);
}

bool walk_wants_type(const struct keyspace_walk *walk, enum value_type type)
{
    return walk->options.type < 0 || walk->options.type == (int)type;
}

/* --- RAM ----------------------------------------------------------------------------------------------- */

static void see_hot(void *context, struct hot_record *record)
{
    struct keyspace_walk *const walk = context;
    walk->look_count += SCAN_ENTRY_LOOKS;
    if (hot_record_state(record) != HOT_RESIDENT || hot_record_cold_committed(record))
        return;
    const struct key key = hot_record_key(record, false);
    if (key.space != walk->space)
        return;
    walk->seen_count++;
    if (!walk_wants_name(walk, key_slice(&key)))
        return;
    const bool expired = time_is_over(hot_record_expire_ms(record), walk->now_ms);
    if (expired ? walk->options.kind == KEYSPACE_WALK_KEYS
                : !walk_wants_type(walk, hot_record_value(record).type))
        return;
    const struct key hashed = hot_record_key(record, true);
    walk_add(walk, &hashed, true, expired);
}

/* Everything in RAM is committed. Under all stripes: the figure dips while a record is changed. */
static bool nothing_is_dirty(struct keyspace_walk *walk)
{
    struct hot_metrics metrics;
    const bool locked = walk_lock(walk, hot_stripes_all(walk->keyspace->hot));
    hot_metrics_read(walk->keyspace->hot, &metrics);
    walk_unlock(walk, locked);
    return metric_get(&metrics, dirty_count) == 0;
}

/* From next_cursor until so many keys were seen, or buckets and entries looked at. True at the end of RAM. */
static bool walk_hot(struct keyspace_walk *walk, uint64_t key_max, uint64_t look_max)
{
    struct hot *const hot = walk->keyspace->hot;
    uint64_t cursor = walk->next_cursor;
    bool more = !nothing_is_dirty(walk);
    if (!more)
        cursor = 0;
    while (more) {
        const uint64_t stripe = hot_stripe_of_partition(hot, hot_scan_partition(cursor));
        unsigned slice_count = 0;
        bool same_stripe = true;
        const bool locked = walk_lock(walk, stripe);
        while (more && same_stripe && slice_count < WALK_SLICE_MAX) {
            cursor = hot_scan(hot, cursor, see_hot, walk);
            slice_count++;
            walk->look_count++;
            more = cursor != 0 && walk->seen_count < key_max && walk->look_count < look_max;
            same_stripe = hot_stripe_of_partition(hot, hot_scan_partition(cursor)) == stripe;
        }
        walk_unlock(walk, locked);
    }
    walk->next_cursor = cursor;
    return cursor == 0;
}

/* --- the cold tier ---------------------------------------------------------------------------------------- */

/* On an I/O thread. */
static void read_done(struct cold_job *job)
{
    struct keyspace_walk *const walk = job->context;
    tier_turn_send(walk->turn, &walk->wait->task);
}

void walk_read(struct keyspace_walk *walk, struct slice prefix, size_t entry_max)
{
    cold_job_deinit(&walk->job);
    walk->job = (struct cold_job){
        .kind = COLD_JOB_RANGE,
        .priority = COLD_DEMAND,
        .key = {.data = walk->start.data, .size = (uint32_t)walk->start.size, .space = walk->space},
        .prefix = prefix,
        .entry_max = entry_max,
        .done = read_done,
        .context = walk,
    };
    walk->job_lsn = tier_checkpoint_lsn(walk->keyspace->tier);
    walk->state = WALK_READING;
    tier_submit(walk->keyspace->tier, &walk->job);
}

static enum status ready(struct keyspace_walk *walk)
{
    cold_job_deinit(&walk->job);
    walk->job = (struct cold_job){0};
    walk->state = WALK_READY;
    return ST_OK;
}

static enum status read_range(struct keyspace_walk *walk, size_t entry_max)
{
    buf_clear(&walk->start);
    buf_append_slice(&walk->start, buf_slice(&walk->after));
    walk_read(walk, walk->prefix, entry_max);
    return ST_PENDING;
}

static enum status scan_read(struct keyspace_walk *walk)
{
    const uint64_t least = walk->filtered ? SCAN_READ_FILTERED_MIN : SCAN_READ_MIN;
    uint64_t wanted = walk->count > walk->seen_count ? walk->count - walk->seen_count : 0;
    wanted = wanted < least ? least : wanted;
    return read_range(walk, wanted > WALK_CHUNK_MAX ? WALK_CHUNK_MAX : (size_t)wanted);
}

/* The chunk is dealt with. */
static enum status scan_next(struct keyspace_walk *walk)
{
    if (walk->job.range_end)
        return ready(walk);
    const bool fruitless = walk->candidate_count == 0 && walk->seen_count < SCAN_SEEN_FRUITLESS;
    if (walk->seen_count < walk->count || (walk->filtered && fruitless))
        return scan_read(walk);
    walk->remember = true;
    return ready(walk);
}

static void note_chunk(struct keyspace_walk *walk)
{
    const struct cold_job *const job = &walk->job;
    walk->retry_count = 0;
    walk->seen_count += job->entry_count;
    if (job->entry_count == 0)
        return;
    const struct cold_range_entry *const last = &job->entries[job->entry_count - 1];
    buf_clear(&walk->after);
    buf_append(&walk->after, job->keys.data + last->key_offset, last->key_size);
}

/* A chunk has come, for SCAN or KEYS. */
static enum status range_arrived(struct keyspace_walk *walk)
{
    const bool is_scan = walk->options.kind == KEYSPACE_WALK_SCAN;
    bool resolved = walk_resolve(walk, walk->job.entries, walk->job.entry_count, &walk->job.keys);
    if (!resolved && walk->retry_count < WALK_RETRY_MAX) {
        walk->retry_count++;
        walk_read(walk, walk->prefix, walk->job.entry_max);
        return ST_PENDING;
    }
    if (!resolved && is_scan) {
        walk->remember = true; /* this page ends here; the next begins with the same chunk */
        return ready(walk);
    }
    if (!resolved) {
        /* Checkpoints commit faster than a chunk is read: what it says may be that much out of date. */
        do {
            walk->job_lsn = tier_checkpoint_lsn(walk->keyspace->tier);
            resolved =
                walk_resolve(walk, walk->job.entries, walk->job.entry_count, &walk->job.keys);
        } while (!resolved);
    }
    note_chunk(walk);
    if (is_scan)
        return scan_next(walk);
    return walk->job.range_end ? ready(walk) : read_range(walk, WALK_CHUNK_MAX);
}

/* --- prepare ------------------------------------------------------------------------------------------------- */

static uint64_t scan_looks(const struct keyspace_walk *walk)
{
    const uint64_t looks = walk->count * SCAN_LOOKS_PER_KEY;
    return looks < SCAN_LOOKS_MIN ? SCAN_LOOKS_MIN : looks;
}

static enum status scan_begin(struct keyspace_walk *walk)
{
    struct keyspace *const keyspace = walk->keyspace;
    uint64_t cursor = walk->options.cursor;
    if ((cursor & CURSOR_COLD) != 0) {
        uint32_t space = walk->space;
        walk->position = cursor;
        if (!cursor_find(&keyspace->cursors, cursor, &space, &walk->after) || space == walk->space)
            return scan_read(walk);
        buf_clear(&walk->after);
        cursor = 0;
    }
    walk->next_cursor = cursor & (CURSOR_COLD - 1);
    /* New until now means: nothing that was passed over in RAM can be there instead. */
    if (!walk_hot(walk, walk->count, scan_looks(walk)) || space_is_new(keyspace, walk->space))
        return ready(walk);
    if (walk->seen_count < walk->count)
        return scan_read(walk);
    walk->remember = true;
    return ready(walk);
}

static enum status keys_begin(struct keyspace_walk *walk)
{
    /* Even if they are all: the first checkpoint may let them leave RAM before finish(). */
    CHECK(walk_hot(walk, UINT64_MAX, UINT64_MAX));
    return space_is_new(walk->keyspace, walk->space) ? ready(walk)
                                                     : read_range(walk, WALK_CHUNK_MAX);
}

static void begin_from(struct keyspace_walk *walk, uint32_t space)
{
    walk->space = space;
    walk->lsn = tier_checkpoint_lsn(walk->keyspace->tier);
    walk->seen_count = 0;
    walk->look_count = 0;
    walk->next_cursor = 0;
    walk->remember = false;
    walk->retry_count = 0;
    buf_clear(&walk->after);
    walk_truncate(walk, 0);
}

static enum status begin(struct keyspace_walk *walk)
{
    begin_from(walk, space_of(walk->keyspace, walk->options.database));
    switch (walk->options.kind) {
    case KEYSPACE_WALK_SCAN: return scan_begin(walk);
    case KEYSPACE_WALK_KEYS: return keys_begin(walk);
    case KEYSPACE_WALK_RANDOM: return random_begin(walk);
    }
    UNREACHABLE("kind of a walk");
}

static bool has_other_space(const struct keyspace_walk *walk)
{
    return space_of(walk->keyspace, walk->options.database) != walk->space;
}

static enum status arrived(struct keyspace_walk *walk)
{
    if (walk->job.status != ST_OK) {
        (void)ready(walk);
        return ST_IO;
    }
    if (has_other_space(walk)) {
        if (walk->options.kind != KEYSPACE_WALK_SCAN && walk->restart_count++ < RESTART_MAX)
            return begin(walk);
        return ready(walk); /* finish() sees it too */
    }
    if (walk->options.kind == KEYSPACE_WALK_RANDOM)
        return random_arrived(walk);
    return range_arrived(walk);
}

enum status keyspace_walk_prepare(struct keyspace_walk *walk, uint64_t now_ms)
{
    walk->now_ms = now_ms;
    enum status status = ST_OK;
    switch (walk->state) {
    case WALK_START: status = begin(walk); break;
    case WALK_READING: status = arrived(walk); break;
    case WALK_READY:
        /* Asked again because the command was held up: what was seen may be out of date. */
        if ((has_other_space(walk) || tier_checkpoint_lsn(walk->keyspace->tier) != walk->lsn) &&
            walk->restart_count++ < RESTART_MAX)
            status = begin(walk);
        break;
    }
    if (status == ST_OK)
        walk->state = WALK_READY;
    return status;
}

/* --- finish --------------------------------------------------------------------------------------------------- */

/* After a flush (in the same transaction, perhaps) there is only RAM, and all stripes are held. False: a disk would be needed. */
static bool scan_again(struct keyspace_walk *walk)
{
    const uint32_t space = space_of(walk->keyspace, walk->options.database);
    if (!space_is_new(walk->keyspace, space))
        return false;
    begin_from(walk, space);
    (void)walk_hot(walk, walk->count, scan_looks(walk));
    return true;
}

static uint64_t scan_finish(
    struct keyspace_walk *walk, struct keyspace_view *view, keyspace_emit_fn emit, void *context)
{
    struct keyspace_cursors *const cursors = &walk->keyspace->cursors;
    /* A position of no space: the next step finds that it has changed. */
    if (has_other_space(walk) && !scan_again(walk))
        return cursor_store(cursors, walk->position, 0, slice_of(NULL, 0));
    for (size_t index = 0; index < walk->candidate_count; index++) {
        const struct walk_candidate *const candidate = &walk->candidates[index];
        struct hot_record *record = NULL;
        switch (walk_judge(walk, view, candidate, &record)) {
        case WALK_GONE: break;
        case WALK_EXPIRED: walk_expire(walk, view, candidate, record); break;
        case WALK_ALIVE:
            if (record != NULL && !walk_wants_type(walk, hot_record_value(record).type))
                break;
            emit(context, slice_of(walk->names.data + candidate->offset, candidate->size));
            break;
        }
    }
    if (walk->remember)
        return cursor_store(cursors, walk->position, walk->space, buf_slice(&walk->after));
    cursor_drop(cursors, walk->position);
    return walk->next_cursor;
}

struct emission {
    const struct keyspace_walk *walk;
    uint64_t now_ms;
    keyspace_emit_fn emit;
    void *context;
};

static void emit_hot(void *context, struct hot_record *record)
{
    const struct emission *const emission = context;
    const enum hot_state state = hot_record_state(record);
    if (state != HOT_RESIDENT && state != HOT_STUB)
        return;
    const struct key key = hot_record_key(record, false);
    if (key.space != emission->walk->space || !walk_wants_name(emission->walk, key_slice(&key)) ||
        time_is_over(hot_record_expire_ms(record), emission->now_ms) ||
        !walk_wants_type(emission->walk, hot_record_value(record).type))
        return;
    emission->emit(emission->context, key_slice(&key));
}

static void keys_finish(
    struct keyspace_walk *walk, struct keyspace_view *view, keyspace_emit_fn emit, void *context)
{
    if (space_is_dead(walk->keyspace, walk->space)) {
        walk->space = space_of(walk->keyspace, walk->options.database);
        walk_truncate(walk, 0);
    }
    struct emission emission = {
        .walk = walk, .now_ms = view->now_ms, .emit = emit, .context = context};
    uint64_t cursor = 0;
    do {
        cursor = hot_scan(view->hot, cursor, emit_hot, &emission);
    } while (cursor != 0);
    for (size_t index = 0; index < walk->candidate_count; index++) {
        const struct walk_candidate *const candidate = &walk->candidates[index];
        struct hot_record *record = NULL;
        if (walk_judge(walk, view, candidate, &record) == WALK_ALIVE && record == NULL)
            emit(context, slice_of(walk->names.data + candidate->offset, candidate->size));
    }
}

uint64_t keyspace_walk_finish(
    struct keyspace_walk *walk, struct keyspace_view *view, keyspace_emit_fn emit, void *context)
{
    CHECK(walk->state == WALK_READY);
    const uint64_t all = hot_stripes_all(view->hot);
    CHECK((tier_turn_locked(view->turn) & all) == all);
    switch (walk->options.kind) {
    case KEYSPACE_WALK_SCAN: return scan_finish(walk, view, emit, context);
    case KEYSPACE_WALK_KEYS: keys_finish(walk, view, emit, context); return 0;
    case KEYSPACE_WALK_RANDOM: random_finish(walk, view, emit, context); return 0;
    }
    UNREACHABLE("kind of a walk");
}
