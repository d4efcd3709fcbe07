/*
 * hot_record.c: the layout of a record, and the questions that can be asked of it.
 *
 *   0            32        40
 *   ┌────────────┬─────────┬───────────┬──────────────┐
 *   │ header     │ expiry? │ key bytes │ inline value │   one allocation, rounded up to its size class
 *   └────────────┴─────────┴───────────┴──────────────┘
 *
 * The whole size class is always asked for, so a value that needs the same class is written in place, and the account
 * follows from the layout without asking the allocator. Nothing after the header but the expiry is aligned.
 */
#include "hot_internal.h"

uint32_t value_inline_bytes(const struct value *value)
{
    if (value->type != VALUE_STRING || value->blob != NULL ||
        value->encoding == VALUE_ENCODING_INT) {
        return POINTER_VALUE_BYTES;
    }
    CHECK(value->bytes.size <= VALUE_INLINE_SIZE_MAX);
    return (uint32_t)value->bytes.size;
}

struct hot_record *record_create(const struct key *key, bool has_expiry, uint32_t value_size)
{
    CHECK(key->size <= KEY_SIZE_MAX);
    struct hot_record *record =
        mem_alloc(mem_good_size(layout_bytes(has_expiry, key->size, value_size)));
    *record = (struct hot_record){
        .space = key->space,
        .key_size = key->size,
        .value_size = value_size,
        .has_expiry = has_expiry,
    };
    if (key->size > 0) {
        memcpy(record_key_data(record), key->data, key->size);
    }
    return record;
}

void record_store_u64(struct hot_record *record, uint64_t number)
{
    CHECK(record->value_size == sizeof(number));
    memcpy(record_value_data(record), &number, sizeof(number));
}

void record_store_expiry(struct hot_record *record, uint64_t expire_ms)
{
    CHECK(record->has_expiry == (expire_ms != 0));
    if (expire_ms != 0) {
        memcpy(record_bytes_at(record, RECORD_HEADER_BYTES), &expire_ms, sizeof(expire_ms));
    }
}

void record_store_value(struct hot_record *record, const struct value *value)
{
    CHECK(record->value_size == value_inline_bytes(value));
    const void *pointer = value->type == VALUE_STRING ? (const void *)value->blob : value->object;
    CHECK(value->type == VALUE_STRING || pointer != NULL);
    record->type = (unsigned)value->type & 7U;
    record->encoding = (unsigned)value->encoding & 15U;
    record->external = pointer != NULL;
    if (pointer != NULL) {
        memcpy(record_value_data(record), &pointer, sizeof(pointer));
    } else if (value->encoding == VALUE_ENCODING_INT) {
        memcpy(record_value_data(record), &value->integer, sizeof(value->integer));
    } else if (record->value_size > 0) {
        memmove(record_value_data(record), value->bytes.data, record->value_size);
    }
}

static struct value value_of_resident(const struct hot_record *record)
{
    struct value value = {
        .type = (enum value_type)record->type,
        .encoding = (enum value_encoding)record->encoding,
    };
    if (record->external) {
        if (value.type != VALUE_STRING) {
            value.object = record_load_pointer(record);
            /* An edit may have changed it since the record was written. */
            value.encoding = value.object->encoding;
            return value;
        }
        value.blob = record_load_pointer(record);
        value.bytes = slice_of(value.blob->data, value.blob->size);
    } else if (value.encoding == VALUE_ENCODING_INT) {
        memcpy(&value.integer, record_value_data(record), sizeof(value.integer));
    } else {
        value.bytes = slice_of(record_value_data(record), record->value_size);
    }
    return value;
}

struct value hot_record_value(const struct hot_record *record)
{
    if (likely(record->state == HOT_RESIDENT)) {
        return value_of_resident(record);
    }
    CHECK(record->state == HOT_STUB);
    return (struct value){
        .type = (enum value_type)record->type,
        .encoding = (enum value_encoding)record->encoding,
    };
}

void record_release_value(struct hot_record *record)
{
    if (record->external) {
        struct value value = value_of_resident(record);
        value_release(&value);
    }
}

size_t record_external_bytes(const struct hot_record *record)
{
    if (!record->external) {
        return 0;
    }
    const struct value value = value_of_resident(record);
    return value_external_bytes(&value);
}

size_t record_memory(const struct hot_record *record)
{
    return mem_good_size(record_layout_bytes(record)) + record_external_bytes(record);
}

uint64_t record_hash(const struct hot_record *record)
{
    return hash_keyed(record_key_data(record), record->key_size, record->space);
}

enum hot_state hot_record_state(const struct hot_record *record)
{
    return (enum hot_state)record->state;
}

enum hot_dirty hot_record_dirty(const struct hot *hot, const struct hot_record *record)
{
    switch ((enum dirty_code)record->dirty) {
    case CODE_CLEAN: return HOT_CLEAN;
    case CODE_IMAGED: return HOT_IMAGED;
    case CODE_EPOCH_EVEN:
    case CODE_EPOCH_ODD: return record->dirty == hot->code_now ? HOT_DIRTY : HOT_OLD;
    }
    UNREACHABLE("two bits");
}

bool hot_record_in_cold(const struct hot_record *record)
{
    return record->in_cold;
}

bool hot_record_cold_committed(const struct hot_record *record)
{
    return record->cold_committed;
}

bool hot_record_corrupt(const struct hot_record *record)
{
    return record->corrupt;
}

bool hot_record_prefetched(const struct hot_record *record)
{
    return record->prefetched;
}

struct key hot_record_key(const struct hot_record *record, bool with_hash)
{
    return (struct key){
        .data = record_key_data(record),
        .size = record->key_size,
        .space = record->space,
        .hash = with_hash ? record_hash(record) : 0,
    };
}

uint64_t hot_record_expire_ms(const struct hot_record *record)
{
    if (!record->has_expiry) {
        return 0;
    }
    uint64_t expire_ms;
    memcpy(&expire_ms, record_bytes_at(record, RECORD_HEADER_BYTES), sizeof(expire_ms));
    return expire_ms;
}

uint64_t hot_record_value_size(const struct hot_record *record)
{
    if (record->state == HOT_STUB) {
        uint64_t size;
        memcpy(&size, record_value_data(record), sizeof(size));
        return size;
    }
    CHECK(record->state == HOT_RESIDENT);
    const struct value value = value_of_resident(record);
    return value.type == VALUE_STRING ? value_string_size(&value) : value_external_bytes(&value);
}

size_t hot_record_bytes(const struct hot_record *record)
{
    return record_memory(record);
}

uint32_t hot_record_access_s(const struct hot_record *record)
{
    return record->access_s;
}

struct hot_heat hot_record_heat(const struct hot_record *record)
{
    return (struct hot_heat){
        .queue = record->queue == QUEUE_LIMBO ? HOT_QUEUE_NONE : (enum hot_queue)record->queue,
        .frequency = (uint8_t)record->frequency,
    };
}

void *hot_fetch_owner(const struct hot_record *record)
{
    CHECK(record->state == HOT_FETCHING);
    return record_load_pointer(record);
}

bool hot_pin(struct hot_record *record)
{
    if (record->pins == HOT_PIN_MAX) {
        return false;
    }
    record->pins = (record->pins + 1U) & 255U;
    return true;
}

void hot_unpin(struct hot_record *record)
{
    CHECK(record->pins > 0);
    record->pins = (record->pins - 1U) & 255U;
}

void hot_record_stamp(struct hot_record *record, uint32_t now_s)
{
    record->access_s = now_s;
}

bool hot_touch(struct hot *hot, struct hot_record *record, uint32_t now_s)
{
    if (record->access_s != now_s) {
        record->access_s = now_s;
    }
    if (likely(!record->fresh)) {
        if (record->frequency < 3) {
            record->frequency = (record->frequency + 1U) & 3U;
        }
        return false;
    }
    /* The access that brought the record is its insertion, not yet a proof of further use. */
    record->fresh = 0;
    if (!record->prefetched) {
        return false;
    }
    record->prefetched = 0;
    metric_add(&hot->shared, prefetch_used_count, 1);
    return true;
}
