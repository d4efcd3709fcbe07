/*
 * hot_write.c: changes by commands. Each follows one order:
 *
 *   1. record_before_change(): the checkpoint's image, if it still needs one; DIRTY from here on
 *   2. out of the account
 *   3. the change, in place if the size class stays the same, else in a new allocation that takes the old one's place
 *   4. into the account
 *   5. the old allocation and the old blob or object are freed: until here the new value may point into them
 *
 * A change that alters no figure (a value of the same inline size) skips 2 and 4: that is the hot path of SET.
 */
#include "hot_internal.h"

/* What a record is to look like. */
struct shape {
    bool has_expiry;
    uint32_t value_size;
};

static bool fits_in_place(const struct hot_record *record, struct shape shape)
{
    const size_t present = record_layout_bytes(record);
    const size_t wanted = layout_bytes(shape.has_expiry, record->key_size, shape.value_size);
    return present == wanted || mem_good_size(present) == mem_good_size(wanted);
}

/* True if writing in place would overwrite bytes before they are read. */
static bool bytes_would_be_lost(
    const struct hot_record *record, struct shape shape, const struct value *value)
{
    const uintptr_t start = (uintptr_t)record;
    const uintptr_t bytes = (uintptr_t)value->bytes.data;
    return shape.has_expiry != record->has_expiry && bytes >= start &&
           bytes < start + record_layout_bytes(record);
}

/* In place: expiry comes or goes, so the key moves; the value's place is then undefined. */
static void reshape_in_place(
    struct hot_partition *partition, uint64_t hash, struct hot_record *record, struct shape shape)
{
    if (record->has_expiry != shape.has_expiry) {
        const char *key = record_key_data(record);
        record->has_expiry = shape.has_expiry;
        memmove(record_key_data(record), key, record->key_size);
        entry_mirror_expiry(partition, hash, record);
    }
    record->value_size = shape.value_size;
}

/* A copy of header and key in another shape, in the place of the old one in index and queue. */
static struct hot_record *reshape_by_moving(struct hot_partition *partition, uint64_t hash,
    const struct hot_record *old, struct shape shape)
{
    const struct key key = hot_record_key(old, false);
    struct hot_record *record = record_create(&key, shape.has_expiry, shape.value_size);
    const struct hot_record layout = *record;
    *record = *old;
    record->value_size = layout.value_size;
    record->has_expiry = layout.has_expiry;
    entry_replace(partition, hash, old, record);
    if (record->has_expiry != old->has_expiry) {
        entry_mirror_expiry(partition, hash, record);
    }
    return record;
}

/* --- writing ------------------------------------------------------------------------------------------- */

static struct hot_record *write_new(struct hot *hot, struct hot_partition *partition,
    const struct key *key, const struct value *value, uint64_t expire_ms, bool in_cold)
{
    struct hot_record *record = record_create(key, expire_ms != 0, value_inline_bytes(value));
    record->state = HOT_RESIDENT;
    record->dirty = (unsigned)hot->code_now & 3U;
    record->in_cold = in_cold;
    record_store_expiry(record, expire_ms);
    record_store_value(record, value);
    queue_admit(partition, key->hash, record, (struct hot_heat){.queue = HOT_QUEUE_NONE});
    entry_insert(partition, key->hash, record);
    entry_mark_parts(hot, record);
    return record;
}

/* The same inline size, expiry or none as before, nothing external: no figure changes. */
static bool write_is_plain(
    const struct hot_record *record, struct shape shape, const struct value *value)
{
    return record->state == HOT_RESIDENT && record->value_size == shape.value_size &&
           record->has_expiry == shape.has_expiry && !record->external && value->blob == NULL &&
           value->object == NULL;
}

struct hot_record *hot_write(struct hot *hot, const struct key *key, struct hot_record *record,
    struct value value, uint64_t expire_ms, bool in_cold)
{
    struct hot_partition *partition = partition_of(hot, key->hash);
    DCHECK_HELD(hot, partition);
    if (record == NULL) {
        DCHECK(hot_find(hot, key) == NULL);
        return write_new(hot, partition, key, &value, expire_ms, in_cold);
    }
    CHECK(record->state != HOT_FETCHING);
    record_before_change(hot, partition, key->hash, record);
    record->prefetched = 0;
    const struct shape shape = {expire_ms != 0, value_inline_bytes(&value)};
    if (write_is_plain(record, shape, &value)) {
        record_store_expiry(record, expire_ms);
        record_store_value(record, &value);
        return record;
    }

    account_subtract(partition, record);
    struct value old_value = {.type = VALUE_STRING};
    if (record->external) {
        old_value = hot_record_value(record);
    }
    struct hot_record *old = NULL;
    if (fits_in_place(record, shape) && !bytes_would_be_lost(record, shape, &value)) {
        reshape_in_place(partition, key->hash, record, shape);
    } else {
        old = record;
        record = reshape_by_moving(partition, key->hash, old, shape);
    }
    record_store_expiry(record, expire_ms);
    record_store_value(record, &value);
    if (record->state != HOT_RESIDENT) {
        queue_unlink(partition, record);
        record->state = HOT_RESIDENT;
        record->corrupt = 0;
        queue_admit(partition, key->hash, record, (struct hot_heat){.queue = HOT_QUEUE_NONE});
    }
    account_add(partition, record);
    entry_mark_parts(hot, record);
    mem_free(old);
    value_release(&old_value);
    return record;
}

void hot_edit(struct hot *hot, const struct key *key, struct hot_record *record)
{
    struct hot_partition *partition = partition_of(hot, key->hash);
    DCHECK_HELD(hot, partition);
    CHECK(record->state == HOT_RESIDENT);
    record_before_change(hot, partition, key->hash, record);
}

void hot_edit_done(struct hot *hot, struct hot_record *record, size_t external_bytes_before)
{
    CHECK(record->state == HOT_RESIDENT);
    CHECK(record->dirty == hot->code_now);
    entry_mark_parts(hot, record);
    const uint64_t change = (uint64_t)record_external_bytes(record) - external_bytes_before;
    if (change == 0) {
        return;
    }
    struct hot_partition *partition = partition_of(hot, record_hash(record));
    DCHECK_HELD(hot, partition);
    metric_bump(&partition->metrics, record_bytes, change);
    metric_bump(&partition->metrics, dirty_bytes, change);
    partition->queues[record->queue].bytes += change;
}

struct hot_record *hot_expire_set(
    struct hot *hot, const struct key *key, struct hot_record *record, uint64_t expire_ms)
{
    struct hot_partition *partition = partition_of(hot, key->hash);
    DCHECK_HELD(hot, partition);
    CHECK(record->state == HOT_RESIDENT);
    record_before_change(hot, partition, key->hash, record);
    const struct shape shape = {expire_ms != 0, record->value_size};
    if (record->has_expiry == shape.has_expiry) {
        record_store_expiry(record, expire_ms);
        return record;
    }
    account_subtract(partition, record);
    if (fits_in_place(record, shape)) {
        /* Key and value move together. */
        const char *key_data = record_key_data(record);
        record->has_expiry = shape.has_expiry;
        memmove(record_key_data(record), key_data, (size_t)record->key_size + record->value_size);
        entry_mirror_expiry(partition, key->hash, record);
    } else {
        struct hot_record *old = record;
        record = reshape_by_moving(partition, key->hash, old, shape);
        memcpy(record_value_data(record), record_value_data(old), record->value_size);
        mem_free(old);
    }
    record_store_expiry(record, expire_ms);
    account_add(partition, record);
    return record;
}

/* --- deleting ------------------------------------------------------------------------------------------- */

/* The value is gone; what stays is the key, to say that the record does not exist. */
static struct hot_record *become_absent(
    struct hot_partition *partition, uint64_t hash, struct hot_record *record)
{
    const struct shape shape = {.has_expiry = false, .value_size = 0};
    queue_unlink(partition, record);
    if (fits_in_place(record, shape)) {
        reshape_in_place(partition, hash, record, shape);
    } else {
        struct hot_record *old = record;
        record = reshape_by_moving(partition, hash, old, shape);
        mem_free(old);
    }
    record->state = HOT_ABSENT;
    record->type = 0;
    record->encoding = 0;
    record->external = 0;
    record->frequency = 0;
    record->corrupt = 0;
    record->prefetched = 0;
    record->fresh = 0;
    return record;
}

/* The blob or object, which is then no longer the record's; an empty value if there is none. */
static struct value take_value(struct hot_partition *partition, struct hot_record *record)
{
    struct value value = {.type = VALUE_STRING};
    if (record->external) {
        value = hot_record_value(record);
        account_subtract(partition, record);
        record->external = 0;
        account_add(partition, record);
    }
    return value;
}

void hot_delete(
    struct hot *hot, const struct key *key, struct hot_record *record, struct value *big_value)
{
    struct hot_partition *partition = partition_of(hot, key->hash);
    DCHECK_HELD(hot, partition);
    CHECK(record->state == HOT_RESIDENT || record->state == HOT_STUB);
    record_before_change(hot, partition, key->hash, record);
    struct value value = take_value(partition, record);
    if (!record->in_cold && record->pins == 0) {
        entry_remove(partition, key->hash, record);
    } else {
        account_subtract(partition, record);
        record = become_absent(partition, key->hash, record);
        if (!record->in_cold) {
            /* Only its pins keep it: there is nothing to delete in the cold tier. */
            entry_set_clean(partition, key->hash, record);
            queue_push(partition, QUEUE_LIMBO, record);
        }
        account_add(partition, record);
    }
    if (big_value != NULL) {
        *big_value = value;
    } else {
        value_release(&value);
    }
}

void hot_delete_cold(struct hot *hot, const struct key *key)
{
    struct hot_partition *partition = partition_of(hot, key->hash);
    DCHECK_HELD(hot, partition);
    DCHECK(hot_find(hot, key) == NULL);
    struct hot_record *record = record_create(key, false, 0);
    record->state = HOT_ABSENT;
    record->dirty = (unsigned)hot->code_now & 3U;
    record->in_cold = 1;
    entry_insert(partition, key->hash, record);
}
