/*
 * hot_tier.c: changes by the tier: entries that wait for a cold read, what the read found, and warm restart.
 * What enters here is equal to the cold tier, so it is clean.
 */
#include "hot_internal.h"

static void store_owner(struct hot_record *record, void *owner)
{
    record_store_u64(record, (uint64_t)(uintptr_t)owner);
}
static_assert(sizeof(void *) == POINTER_VALUE_BYTES, "an owner takes the place of a size");

struct hot_record *hot_fetch_begin(struct hot *hot, const struct key *key, void *owner)
{
    struct hot_partition *partition = partition_of(hot, key->hash);
    DCHECK_HELD(hot, partition);
    DCHECK(hot_find(hot, key) == NULL);
    struct hot_record *record = record_create(key, false, POINTER_VALUE_BYTES);
    record->state = HOT_FETCHING;
    record->in_cold = 1;
    store_owner(record, owner);
    entry_insert(partition, key->hash, record);
    entry_mark_parts(hot, record);
    return record;
}

struct hot_record *hot_fetch_upgrade(
    struct hot *hot, const struct key *key, struct hot_record *record, void *owner)
{
    struct hot_partition *partition = partition_of(hot, key->hash);
    DCHECK_HELD(hot, partition);
    CHECK(record->state == HOT_STUB);
    CHECK(record->dirty == CODE_CLEAN);
    account_subtract(partition, record);
    queue_unlink(partition, record);
    record->state = HOT_FETCHING;
    store_owner(record, owner);
    account_add(partition, record);
    return record;
}

static uint32_t content_inline_bytes(const struct hot_content *content)
{
    switch (content->state) {
    case HOT_RESIDENT: return value_inline_bytes(&content->value);
    case HOT_STUB: return sizeof(content->value_size);
    case HOT_ABSENT: return 0;
    case HOT_FETCHING: break;
    }
    UNREACHABLE("nothing is found to be FETCHING");
}

/* A record as it will stand in the index; in no queue yet. */
static struct hot_record *record_of_content(
    const struct key *key, const struct hot_content *content)
{
    const bool is_there = content->state != HOT_ABSENT;
    const uint64_t expire_ms = is_there ? content->expire_ms : 0;
    struct hot_record *record = record_create(key, expire_ms != 0, content_inline_bytes(content));
    record->state = (unsigned)content->state & 3U;
    record->in_cold = is_there;
    record->cold_committed = is_there;
    record_store_expiry(record, expire_ms);
    if (content->state == HOT_RESIDENT) {
        record->prefetched = content->prefetched;
        record_store_value(record, &content->value);
    } else if (content->state == HOT_STUB) {
        record->type = (unsigned)content->type & 7U;
        record->encoding = (unsigned)content->encoding & 15U;
        record->corrupt = content->corrupt;
        record_store_u64(record, content->value_size);
    }
    return record;
}

static void enqueue_content(struct hot_partition *partition, uint64_t hash,
    struct hot_record *record, const struct hot_content *content)
{
    if (record->state == HOT_RESIDENT) {
        queue_admit(partition, hash, record, content->heat);
    } else {
        queue_push(partition, QUEUE_LIMBO, record);
    }
}

struct hot_record *hot_install(struct hot *hot, const struct key *key, struct hot_record *record,
    const struct hot_content *content)
{
    struct hot_partition *partition = partition_of(hot, key->hash);
    DCHECK_HELD(hot, partition);
    CHECK(record->state == HOT_FETCHING);
    if (content == NULL) {
        entry_remove(partition, key->hash, record);
        return NULL;
    }
    account_subtract(partition, record);
    struct hot_record *found = record_of_content(key, content);
    found->access_s = record->access_s;
    found->pins = record->pins;
    entry_replace(partition, key->hash, record, found);
    entry_mirror_expiry(partition, key->hash, found);
    enqueue_content(partition, key->hash, found, content);
    account_add(partition, found);
    entry_mark_parts(hot, found);
    mem_free(record);
    return found;
}

struct hot_record *hot_restore(
    struct hot *hot, const struct key *key, const struct hot_content *content)
{
    struct hot_partition *partition = partition_of(hot, key->hash);
    DCHECK_HELD(hot, partition);
    DCHECK(hot_find(hot, key) == NULL);
    struct hot_record *record = record_of_content(key, content);
    enqueue_content(partition, key->hash, record, content);
    entry_insert(partition, key->hash, record);
    return record;
}
