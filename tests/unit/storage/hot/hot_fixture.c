/*
 * hot_fixture.c: see the header.
 */
#include "hot_fixture.h"

#include <stdio.h>

static void save_image(void *context, const struct hot_record *record)
{
    struct fixture *fixture = context;
    ck_assert_uint_lt(fixture->image_count, IMAGE_MAX);
    struct image *image = &fixture->images[fixture->image_count++];
    *image = (struct image){.state = hot_record_state(record)};
    ck_assert_int_eq(hot_record_dirty(fixture->hot, record), HOT_OLD);
    const struct key key = hot_record_key(record, false);
    ck_assert_uint_lt(key.size, sizeof(image->key));
    memcpy(image->key, key.data, key.size);
    if (image->state == HOT_RESIDENT) {
        const struct value value = hot_record_value(record);
        char scratch[24];
        const struct slice bytes = value_string_bytes(&value, scratch);
        memcpy(image->value, bytes.data,
            bytes.size < sizeof(image->value) ? bytes.size : sizeof(image->value) - 1);
        image->expire_ms = hot_record_expire_ms(record);
    }
}

void fixture_open(struct fixture *fixture)
{
    *fixture = (struct fixture){0};
    const struct hot_config config = {
        .single_stripe = true, .save_image = save_image, .context = fixture};
    fixture->hot = hot_create(&config);
    hot_lock(fixture->hot, hot_stripes_all(fixture->hot));
}

void fixture_check(struct fixture *fixture)
{
    for (unsigned partition = 0; partition < HOT_PARTITION_COUNT; partition++) {
        hot_check(fixture->hot, partition);
    }
}

void fixture_close(struct fixture *fixture)
{
    fixture_check(fixture);
    hot_unlock(fixture->hot, hot_stripes_all(fixture->hot));
    hot_destroy(fixture->hot);
}

struct key key_of(const char *name)
{
    return key_make(SPACE, name, strlen(name));
}

struct key key_in_partition(char name[32], const char *prefix, unsigned partition, unsigned *n)
{
    for (;;) {
        (void)snprintf(name, 32, "%s%06u", prefix, (*n)++);
        const struct key key = key_of(name);
        if (hot_partition(&key) == partition) {
            return key;
        }
    }
}

struct hot_record *find(struct fixture *fixture, const char *name)
{
    const struct key key = key_of(name);
    return hot_find(fixture->hot, &key);
}

struct hot_record *put(struct fixture *fixture, const char *name, const char *text)
{
    return put_expiring(fixture, name, text, 0);
}

struct hot_record *put_expiring(
    struct fixture *fixture, const char *name, const char *text, uint64_t expire_ms)
{
    const struct key key = key_of(name);
    return hot_write(fixture->hot, &key, hot_find(fixture->hot, &key),
        value_string(slice_text(text)), expire_ms, false);
}

struct hot_record *expire(struct fixture *fixture, const char *name, uint64_t expire_ms)
{
    const struct key key = key_of(name);
    return hot_expire_set(fixture->hot, &key, hot_find(fixture->hot, &key), expire_ms);
}

void delete (struct fixture *fixture, const char *name)
{
    const struct key key = key_of(name);
    hot_delete(fixture->hot, &key, hot_find(fixture->hot, &key), NULL);
}

struct hot_content content_of(const char *text)
{
    return (struct hot_content){.state = HOT_RESIDENT, .value = value_string(slice_text(text))};
}

struct hot_record *promote(struct fixture *fixture, const char *name, const char *text)
{
    const struct key key = key_of(name);
    const struct hot_content content = content_of(text);
    struct hot_record *record = hot_fetch_begin(fixture->hot, &key, fixture);
    return hot_install(fixture->hot, &key, record, &content);
}

bool demote(struct fixture *fixture, const char *name)
{
    const struct key key = key_of(name);
    return hot_demote_record(fixture->hot, &key, hot_find(fixture->hot, &key));
}

void touch(struct fixture *fixture, const char *name)
{
    (void)hot_touch(fixture->hot, find(fixture, name), 1);
}

bool value_is(const struct hot_record *record, const char *text)
{
    const struct value value = hot_record_value(record);
    char scratch[24];
    return slice_equal(value_string_bytes(&value, scratch), slice_text(text));
}

struct walk {
    struct fixture *fixture;
    size_t count;
};

static void image_one(void *context, struct hot_record *record)
{
    struct walk *walk = context;
    const struct key key = hot_record_key(record, true);
    hot_mark_imaged(walk->fixture->hot, &key, record);
    walk->count++;
}

size_t image_all(struct fixture *fixture)
{
    struct walk walk = {.fixture = fixture};
    for (unsigned partition = 0; partition < HOT_PARTITION_COUNT; partition++) {
        uint64_t cursor = 0;
        while (hot_visit_old(fixture->hot, partition, &cursor, 3, image_one, &walk)) {
        }
    }
    return walk.count;
}

static void commit_one(void *context, struct hot_record *record)
{
    struct fixture *fixture = context;
    if (hot_record_dirty(fixture->hot, record) == HOT_IMAGED) {
        const struct key key = hot_record_key(record, true);
        hot_mark_committed(fixture->hot, &key, record);
    }
}

void commit_all(struct fixture *fixture)
{
    uint64_t cursor = 0;
    do {
        cursor = hot_scan(fixture->hot, cursor, commit_one, fixture);
    } while (cursor != 0);
}

void checkpoint(struct fixture *fixture)
{
    hot_epoch_flip(fixture->hot);
    (void)image_all(fixture);
    commit_all(fixture);
}

enum hot_dirty dirty_of(struct fixture *fixture, const char *name)
{
    return hot_record_dirty(fixture->hot, find(fixture, name));
}

struct figures metrics_of(struct fixture *fixture)
{
    struct hot_metrics metrics;
    hot_metrics_read(fixture->hot, &metrics);
#define COPY_FIELD(field, kind, help) .field = metric_get(&metrics, field),
    return (struct figures){HOT_METRICS(COPY_FIELD)};
#undef COPY_FIELD
}
