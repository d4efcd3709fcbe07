/*
 * keyspace_view.c: single keys as commands see them. Every change goes through here, so that counts, WATCH and expiry are kept in
 * one place; the hot tier below knows neither databases nor time.
 *
 *   keyspace_find     hot_find ──► past its deadline? delete it (not in replay, I3) ──► touch, count hit or miss
 *   every change      hot_*() ──► counts of the database ──► note_change()
 *
 * keyspace_find() is the hot path of GET: one lookup, one comparison of the expiry, one plain store into a counter of the key's own
 * partition, which the holder of the stripe has to itself.
 */
#include "keyspace_internal.h"

/* --- finding --------------------------------------------------------------------------------------------- */

struct key keyspace_key_in(const struct keyspace_view *view, unsigned database, struct slice name)
{
    CHECK(database < view->keyspace->database_count);
    return key_make(space_of(view->keyspace, database), name.data, name.size);
}

struct key keyspace_key(const struct keyspace_view *view, struct slice name)
{
    return keyspace_key_in(view, view->database, name);
}

bool keyspace_database_of(
    const struct keyspace_view *view, const struct key *key, unsigned *database)
{
    return find_database(view, key->space, database);
}

/* A key that is changed is one of a database: keys made before a flush or swap must be made anew (keyspace_version()). */
static unsigned database_of(const struct keyspace_view *view, const struct key *key)
{
    unsigned database = 0;
    CHECK(find_database(view, key->space, &database));
    return database;
}

/* After the record has gone from where it was. */
static void note_expiry(struct keyspace_view *view, const struct key *key)
{
    struct keyspace *const keyspace = view->keyspace;
    const unsigned database = database_of(view, key);
    count_drop(keyspace, &keyspace->counts[database].keys);
    count_drop(keyspace, &keyspace->counts[database].expires);
    note_change(keyspace, key, true);
    metric_add(&keyspace->metrics, expired_count, 1);
    log_expiry(view, key, database);
    keyspace_notify(view, EVENT_EXPIRED, "expired", key);
}

void expire_record(struct keyspace_view *view, const struct key *key, struct hot_record *record)
{
    hot_delete(view->hot, key, record, NULL);
    note_expiry(view, key);
}

void expire_cold_record(struct keyspace_view *view, const struct key *key)
{
    hot_delete_cold(view->hot, key);
    metric_add(&view->keyspace->metrics, expired_cold_count, 1);
    note_expiry(view, key);
}

static inline bool exists(const struct hot_record *record)
{
    const enum hot_state state = hot_record_state(record);
    return state == HOT_RESIDENT || state == HOT_STUB;
}

static inline void count_lookup(
    struct keyspace_view *view, const struct key *key, enum keyspace_access access, bool hit)
{
    if (access != KEYSPACE_READ)
        return;
    struct keyspace_lookups *const lookups = &view->keyspace->lookups[hot_partition(key)];
    if (hit) {
        metric_bump(lookups, hit_count, 1);
    } else {
        metric_bump(lookups, miss_count, 1);
        keyspace_notify(view, EVENT_KEY_MISS, "keymiss", key);
    }
}

struct hot_record *keyspace_find(
    struct keyspace_view *view, const struct key *key, enum keyspace_access access)
{
    struct hot_record *record =
        likely(view->found_key == key) ? view->found : hot_find(view->hot, key);
    view->found_key = NULL;
    if (record != NULL) {
        if (likely(exists(record))) {
            if (unlikely(time_is_over(hot_record_expire_ms(record), view->now_ms)) &&
                !view->replay) {
                expire_record(view, key, record);
                record = NULL;
            }
        } else {
            CHECK(hot_record_state(record) == HOT_ABSENT); /* gathered, so not FETCHING */
            record = NULL;
        }
    }
    count_lookup(view, key, access, record != NULL);
    if (record == NULL || access == KEYSPACE_PEEK || view->no_touch)
        return record;
    const bool first_use = hot_touch(view->hot, record, (uint32_t)(view->now_ms / 1000));
    if (access == KEYSPACE_READ && view->on_read != NULL)
        view->on_read(view->on_read_context, key, first_use);
    return record;
}

/* --- changing ---------------------------------------------------------------------------------------------- */

static void count_expiry(const struct keyspace *keyspace, struct keyspace_counts *counts,
    uint64_t before_ms, uint64_t after_ms)
{
    if (before_ms == 0 && after_ms != 0)
        count_add(keyspace, &counts->expires, 1);
    else if (before_ms != 0 && after_ms == 0)
        count_drop(keyspace, &counts->expires);
}

struct hot_record *keyspace_set(struct keyspace_view *view, const struct key *key,
    struct hot_record *record, struct value value, uint64_t expire_ms)
{
    struct keyspace *const keyspace = view->keyspace;
    struct keyspace_counts *const counts = &keyspace->counts[database_of(view, key)];
    view->found_key = NULL;
    /* A pending delete or a known absence has an entry, which knows whether the cold tier holds the key. */
    if (record == NULL)
        record = hot_find(view->hot, key);
    const bool existed = record != NULL && exists(record);
    const uint64_t before_ms = existed ? hot_record_expire_ms(record) : 0;
    /* No entry after the gather: the filter said that the cold tier does not hold it. But replay may not have asked (tier_overwrite()). */
    const bool in_cold =
        unlikely(view->replay) && record == NULL && cold_may_contain(keyspace->cold, key);
    record = hot_write(view->hot, key, record, value, expire_ms, in_cold);
    if (!existed) {
        count_add(keyspace, &counts->keys, 1);
        hot_record_stamp(record, (uint32_t)(view->now_ms / 1000));
    }
    count_expiry(keyspace, counts, before_ms, expire_ms);
    note_change(keyspace, key, false);
    if (!existed)
        keyspace_notify(view, EVENT_NEW, "new", key);
    return record;
}

void keyspace_edit_begin(
    struct keyspace_view *view, const struct key *key, struct hot_record *record)
{
    hot_edit(view->hot, key, record);
}

void keyspace_edit_end(struct keyspace_view *view, const struct key *key, struct hot_record *record,
    size_t external_bytes_before)
{
    hot_edit_done(view->hot, record, external_bytes_before);
    note_change(view->keyspace, key, false);
}

struct hot_record *keyspace_expire(struct keyspace_view *view, const struct key *key,
    struct hot_record *record, uint64_t expire_ms)
{
    struct keyspace *const keyspace = view->keyspace;
    struct keyspace_counts *const counts = &keyspace->counts[database_of(view, key)];
    const uint64_t before_ms = hot_record_expire_ms(record);
    record = hot_expire_set(view->hot, key, record, expire_ms);
    count_expiry(keyspace, counts, before_ms, expire_ms);
    note_change(keyspace, key, false);
    return record;
}

void keyspace_delete(struct keyspace_view *view, const struct key *key, struct hot_record *record)
{
    struct keyspace *const keyspace = view->keyspace;
    struct keyspace_counts *const counts = &keyspace->counts[database_of(view, key)];
    const uint64_t before_ms = hot_record_expire_ms(record);
    hot_delete(view->hot, key, record, NULL);
    count_drop(keyspace, &counts->keys);
    count_expiry(keyspace, counts, before_ms, 0);
    note_change(keyspace, key, false);
}

struct value keyspace_value_copy(const struct hot_record *record, struct buf *storage)
{
    CHECK(hot_record_state(record) == HOT_RESIDENT);
    struct value value = hot_record_value(record);
    if (value.object != NULL) {
        value.object = value_class_of(value.type)->snapshot(value.object);
    } else if (value.blob != NULL) {
        value.blob = blob_ref(value.blob);
    } else if (value.encoding != VALUE_ENCODING_INT) {
        const size_t offset = storage->size;
        (void)buf_reserve(storage, value.bytes.size);
        buf_append_slice(storage, value.bytes);
        value.bytes.data = storage->data + offset;
    }
    return value;
}
