/*
 * keyspace_watch.c: WATCH. A table of watched keys; whoever changes a key marks its watchers.
 *
 *   watcher (session) ──► watch ──► watch        owned by the session's thread
 *                           │         │
 *   table: hash of key ─────┴─────────┘          guarded by: lock (rank WATCH, below a stripe)
 *
 * Semantics are Redis 7.2's (multi.c), which compares databases, not spaces:
 *
 * - Any change touches, so a watch knows what its key was when it was made: whether it existed, and its deadline. Nothing
 *   has to be looked up later: a flush touches watches of keys that exist, EXEC finds watched keys that have expired since.
 * - A key that was past its deadline when it was watched counts as missing already: that it goes now, lazily or by a flush, touches
 *   nobody.
 * - SWAPDB touches a watch if its key exists in either database. In the other one that is looked up in RAM, or in the cold tier's filter,
 *   which errs towards touching about once in a hundred.
 *
 * A touched watcher stays touched until it forgets everything, so its watches need no more care. Beyond WATCH_COUNT_MAX watches or
 * WATCH_BYTES_MAX bytes of keys a new watch is born touched: its EXEC fails, nothing is missed (I10).
 */
#include "keyspace_internal.h"

enum { BUCKET_COUNT_MIN = 64 };
#define WATCH_COUNT_MAX ((uint64_t)1 << 20)
#define WATCH_BYTES_MAX ((size_t)(256 * MiB))

struct keyspace_watch {
    struct keyspace_watch *next_of_watcher; /* owned by: the watcher's thread */
    struct keyspace_watch *next;            /* guarded by: lock; in its bucket */
    struct keyspace_watcher *watcher;       /* immutable */
    struct key key;                         /* bytes follow; space and hash are guarded by: lock */
    unsigned database;                      /* immutable */
    bool existed;                           /* guarded by: lock; alive when watched */
    bool expired;       /* guarded by: lock; past its deadline when watched, not yet deleted */
    uint64_t expire_ms; /* guarded by: lock; 0 = never */
};

void watches_init(struct keyspace_watches *watches)
{
    mutex_init(&watches->lock, LOCK_RANK_WATCH);
    watches->bucket_count = BUCKET_COUNT_MIN;
    watches->buckets = mem_alloc_zero(watches->bucket_count * sizeof(*watches->buckets));
}

void watches_deinit(struct keyspace_watches *watches)
{
    CHECK(atomic_load_explicit(&watches->count, memory_order_relaxed) == 0);
    mem_free(watches->buckets);
    mutex_deinit(&watches->lock);
}

/* --- the table: lock held ------------------------------------------------------------------------------- */

static struct keyspace_watch **bucket_of(struct keyspace_watches *watches, uint64_t hash)
{
    return &watches->buckets[hash & (watches->bucket_count - 1)];
}

static void link_watch(struct keyspace_watches *watches, struct keyspace_watch *watch)
{
    struct keyspace_watch **const bucket = bucket_of(watches, watch->key.hash);
    watch->next = *bucket;
    *bucket = watch;
}

/* All watches into a table of this size, by the hashes they have now. */
static void rebuild(struct keyspace_watches *watches, size_t bucket_count)
{
    struct keyspace_watch **const old = watches->buckets;
    const size_t old_count = watches->bucket_count;
    watches->buckets = mem_alloc_zero(bucket_count * sizeof(*watches->buckets));
    watches->bucket_count = bucket_count;
    for (size_t index = 0; index < old_count; index++) {
        struct keyspace_watch *watch = old[index];
        while (watch != NULL) {
            struct keyspace_watch *const next = watch->next;
            link_watch(watches, watch);
            watch = next;
        }
    }
    mem_free(old);
}

static void add_watch(struct keyspace_watches *watches, struct keyspace_watch *watch)
{
    const uint64_t count = atomic_load_explicit(&watches->count, memory_order_relaxed);
    if (count >= watches->bucket_count)
        rebuild(watches, watches->bucket_count * 2);
    link_watch(watches, watch);
    watches->key_bytes += watch->key.size;
    atomic_store_explicit(&watches->count, count + 1, memory_order_relaxed);
}

static void remove_watch(struct keyspace_watches *watches, const struct keyspace_watch *watch)
{
    struct keyspace_watch **link = bucket_of(watches, watch->key.hash);
    while (*link != watch)
        link = &(*link)->next;
    *link = watch->next;
    watches->key_bytes -= watch->key.size;
    atomic_fetch_sub_explicit(&watches->count, 1, memory_order_relaxed);
}

/* --- changes ----------------------------------------------------------------------------------------------- */

static void touch(struct keyspace_watcher *watcher)
{
    atomic_store_explicit(&watcher->touched, true, memory_order_release);
}

void watches_touch(struct keyspace *keyspace, const struct key *key, bool by_expiry)
{
    struct keyspace_watches *const watches = &keyspace->watches;
    mutex_lock(&watches->lock);
    for (struct keyspace_watch *watch = *bucket_of(watches, key->hash); watch != NULL;
         watch = watch->next) {
        if (!key_equal(&watch->key, key))
            continue;
        if (watch->expired && by_expiry)
            watch->expired = false; /* it was as good as gone; now it is missing, and not expired */
        else
            touch(watch->watcher);
    }
    mutex_unlock(&watches->lock);
}

typedef void (*watch_fn)(void *context, struct keyspace_watch *watch);

/* Lock held. */
static void each_of_database(
    struct keyspace_watches *watches, unsigned database, watch_fn visit, void *context)
{
    for (size_t index = 0; index < watches->bucket_count; index++) {
        for (struct keyspace_watch *watch = watches->buckets[index]; watch != NULL;
             watch = watch->next) {
            if (watch->database == database)
                visit(context, watch);
        }
    }
}

static void flush_watch(void *context, struct keyspace_watch *watch)
{
    (void)context;
    if (watch->existed)
        touch(watch->watcher);
    watch->expired = false;
}

void watches_flush(struct keyspace *keyspace, unsigned database)
{
    struct keyspace_watches *const watches = &keyspace->watches;
    if (atomic_load_explicit(&watches->count, memory_order_relaxed) == 0)
        return;
    mutex_lock(&watches->lock);
    each_of_database(watches, database, flush_watch, NULL);
    mutex_unlock(&watches->lock);
}

struct swap {
    struct keyspace *keyspace;
    uint32_t other_space; /* what the database is about to have */
    uint64_t now_ms;
};

enum presence { PRESENCE_NONE, PRESENCE_EXPIRED, PRESENCE_ALIVE };

static enum presence presence_of(
    const struct swap *swap, const struct key *key, uint64_t *expire_ms)
{
    *expire_ms = 0;
    const struct hot_record *const record = hot_find(swap->keyspace->hot, key);
    if (record == NULL)
        return cold_may_contain(swap->keyspace->cold, key) ? PRESENCE_ALIVE : PRESENCE_NONE;
    switch (hot_record_state(record)) {
    case HOT_ABSENT: return PRESENCE_NONE;
    case HOT_FETCHING: return PRESENCE_ALIVE;
    case HOT_RESIDENT:
    case HOT_STUB:
        *expire_ms = hot_record_expire_ms(record);
        return time_is_over(*expire_ms, swap->now_ms) ? PRESENCE_EXPIRED : PRESENCE_ALIVE;
    }
    UNREACHABLE("state of a record");
}

static void swap_watch(void *context, struct keyspace_watch *watch)
{
    const struct swap *const swap = context;
    const struct key other = key_make(swap->other_space, watch->key.data, watch->key.size);
    uint64_t expire_ms = 0;
    const enum presence presence = presence_of(swap, &other, &expire_ms);
    if (presence == PRESENCE_ALIVE || watch->existed) {
        touch(watch->watcher);
        return;
    }
    /* It did not exist and does not: an expired key is as good as none. */
    watch->expired = presence == PRESENCE_EXPIRED;
    watch->expire_ms = expire_ms;
}

void watches_swap(struct keyspace *keyspace, unsigned a, unsigned b, uint64_t now_ms)
{
    struct keyspace_watches *const watches = &keyspace->watches;
    if (atomic_load_explicit(&watches->count, memory_order_relaxed) == 0)
        return;
    struct swap swap = {.keyspace = keyspace, .now_ms = now_ms};
    mutex_lock(&watches->lock);
    swap.other_space = space_of(keyspace, b);
    each_of_database(watches, a, swap_watch, &swap);
    swap.other_space = space_of(keyspace, a);
    each_of_database(watches, b, swap_watch, &swap);
    mutex_unlock(&watches->lock);
}

void watches_rehash(struct keyspace *keyspace)
{
    struct keyspace_watches *const watches = &keyspace->watches;
    if (atomic_load_explicit(&watches->count, memory_order_relaxed) == 0)
        return;
    mutex_lock(&watches->lock);
    for (size_t index = 0; index < watches->bucket_count; index++) {
        for (struct keyspace_watch *watch = watches->buckets[index]; watch != NULL;
             watch = watch->next) {
            const uint32_t space = space_of(keyspace, watch->database);
            if (space != watch->key.space)
                watch->key = key_make(space, watch->key.data, watch->key.size);
        }
    }
    rebuild(watches, watches->bucket_count);
    mutex_unlock(&watches->lock);
}

/* --- watchers ------------------------------------------------------------------------------------------------ */

static bool is_watched_by(
    struct keyspace_watches *watches, const struct key *key, const struct keyspace_watcher *watcher)
{
    const struct keyspace_watch *watch = *bucket_of(watches, key->hash);
    while (watch != NULL && !(watch->watcher == watcher && key_equal(&watch->key, key)))
        watch = watch->next;
    return watch != NULL;
}

static struct keyspace_watch *watch_create(const struct keyspace_view *view,
    struct keyspace_watcher *watcher, const struct key *key, unsigned database)
{
    struct keyspace_watch *const watch = mem_alloc_zero(sizeof(*watch) + key->size);
    char *const bytes = (char *)(watch + 1);
    if (key->size > 0)
        memcpy(bytes, key->data, key->size);
    watch->watcher = watcher;
    watch->key = *key;
    watch->key.data = bytes;
    watch->database = database;
    const struct swap now = {.keyspace = view->keyspace, .now_ms = view->now_ms};
    const enum presence presence = presence_of(&now, key, &watch->expire_ms);
    watch->existed = presence == PRESENCE_ALIVE;
    watch->expired = presence == PRESENCE_EXPIRED;
    return watch;
}

void keyspace_watch(struct keyspace_view *view, struct keyspace_watcher *watcher,
    const struct key *key, unsigned database)
{
    /* It cannot be touched more. */
    if (atomic_load_explicit(&watcher->touched, memory_order_acquire))
        return;
    struct keyspace_watches *const watches = &view->keyspace->watches;
    struct keyspace_watch *watch = watch_create(view, watcher, key, database);
    mutex_lock(&watches->lock);
    if (is_watched_by(watches, key, watcher)) {
        /* once is enough */
    } else if (atomic_load_explicit(&watches->count, memory_order_relaxed) >= WATCH_COUNT_MAX ||
               watches->key_bytes >= WATCH_BYTES_MAX) {
        touch(watcher);
    } else {
        add_watch(watches, watch);
        watch->next_of_watcher = watcher->watches;
        watcher->watches = watch;
        watch = NULL;
    }
    mutex_unlock(&watches->lock);
    mem_free(watch);
}

void keyspace_unwatch(struct keyspace *keyspace, struct keyspace_watcher *watcher)
{
    if (watcher->watches != NULL) {
        struct keyspace_watches *const watches = &keyspace->watches;
        mutex_lock(&watches->lock);
        for (struct keyspace_watch *watch = watcher->watches; watch != NULL;
             watch = watch->next_of_watcher)
            remove_watch(watches, watch);
        mutex_unlock(&watches->lock);
        /* Nobody else can reach them any more. */
        while (watcher->watches != NULL) {
            struct keyspace_watch *const watch = watcher->watches;
            watcher->watches = watch->next_of_watcher;
            mem_free(watch);
        }
    }
    atomic_store_explicit(&watcher->touched, false, memory_order_relaxed);
}

bool keyspace_watch_is_touched(struct keyspace_view *view, struct keyspace_watcher *watcher)
{
    if (atomic_load_explicit(&watcher->touched, memory_order_acquire))
        return true;
    if (watcher->watches == NULL)
        return false;
    struct keyspace_watches *const watches = &view->keyspace->watches;
    bool over = false;
    mutex_lock(&watches->lock);
    for (const struct keyspace_watch *watch = watcher->watches; watch != NULL;
         watch = watch->next_of_watcher)
        over |= watch->existed && time_is_over(watch->expire_ms, view->now_ms);
    mutex_unlock(&watches->lock);
    return over;
}

uint64_t keyspace_watch_stripes(struct keyspace *keyspace, const struct keyspace_watcher *watcher)
{
    if (watcher->watches == NULL)
        return 0;
    uint64_t stripes = 0;
    mutex_lock(&keyspace->watches.lock);
    for (const struct keyspace_watch *watch = watcher->watches; watch != NULL;
         watch = watch->next_of_watcher)
        stripes |= hot_stripe(keyspace->hot, &watch->key);
    mutex_unlock(&keyspace->watches.lock);
    return stripes;
}

unsigned keyspace_watcher_count(const struct keyspace_watcher *watcher)
{
    unsigned count = 0;
    for (const struct keyspace_watch *watch = watcher->watches; watch != NULL;
         watch = watch->next_of_watcher)
        count++;
    return count;
}
