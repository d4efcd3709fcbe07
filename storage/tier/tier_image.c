/*
 * tier_image.c: what records were at X, kept for a running checkpoint when they change before their turn (H6).
 *
 * A hash table by key under a lock of its own. Workers put into it under the stripe of the key, the checkpointer takes out: each key of the
 * checkpoint is either here or still OLD in RAM, never both. The table is bounded by the records that were dirty at X; what it
 * holds counts towards tier_may_write()'s limits.
 */
#include "tier_internal.h"

enum { BUCKET_COUNT_MIN = 256 };

void images_init(struct tier_images *images)
{
    *images = (struct tier_images){0};
    mutex_init(&images->lock, LOCK_RANK_TIER);
}

void images_deinit(struct tier_images *images)
{
    images_drop(images);
    mutex_deinit(&images->lock);
}

void image_free(struct tier_image *image)
{
    if (image == NULL)
        return;
    blob_unref(image->blob);
    mem_free(image);
}

struct slice image_payload(const struct tier_image *image)
{
    return image->blob == NULL ? image->copy : slice_of(image->blob->data, image->blob->size);
}

/* Memory that the image keeps from being freed. */
static uint64_t image_bytes(const struct tier_image *image)
{
    return sizeof(*image) + image->key.size + image_payload(image).size;
}

void payload_take(const struct hot_record *record, struct cold_header *header, struct blob **blob,
    struct buf *copy)
{
    const struct value value = hot_record_value(record);
    *header = (struct cold_header){
        .type = value.type,
        .encoding = value.encoding,
        .expire_ms = hot_record_expire_ms(record),
    };
    *blob = NULL;
    if (value.blob != NULL) {
        *blob = blob_ref(value.blob);
        return;
    }
    const struct slice borrowed = value_payload_borrowed(&value);
    if (borrowed.data != NULL)
        buf_append_slice(copy, borrowed);
    else
        value_encode(&value, copy);
}

static struct tier_image *image_create(const struct hot_record *record)
{
    struct cold_header header = {0};
    struct blob *blob = NULL;
    struct buf payload = {0};
    const bool is_delete = hot_record_state(record) == HOT_ABSENT;
    if (!is_delete) {
        CHECK(hot_record_state(record) == HOT_RESIDENT);
        payload_take(record, &header, &blob, &payload);
    }
    const struct key key = hot_record_key(record, true);
    struct tier_image *const image = mem_alloc(sizeof(*image) + key.size + payload.size);
    char *const bytes = (char *)(image + 1);
    if (key.size > 0)
        memcpy(bytes, key.data, key.size);
    if (payload.size > 0)
        memcpy(bytes + key.size, payload.data, payload.size);
    *image = (struct tier_image){
        .key = key,
        .is_delete = is_delete,
        .header = header,
        .blob = blob,
        .copy = slice_of(bytes + key.size, payload.size),
    };
    image->key.data = bytes;
    buf_deinit(&payload);
    return image;
}

static struct tier_image **bucket_of(const struct tier_images *images, uint64_t hash)
{
    return &images->buckets[hash & (images->bucket_count - 1)];
}

/* The lock is held. */
static void grow(struct tier_images *images)
{
    struct tier_images larger = {
        .bucket_count = images->bucket_count == 0 ? BUCKET_COUNT_MIN : images->bucket_count * 2,
    };
    larger.buckets = mem_alloc_zero(larger.bucket_count * sizeof(*larger.buckets));
    for (size_t index = 0; index < images->bucket_count; index++) {
        struct tier_image *image = images->buckets[index];
        while (image != NULL) {
            struct tier_image *const next = image->next;
            struct tier_image **const bucket = bucket_of(&larger, image->key.hash);
            image->next = *bucket;
            *bucket = image;
            image = next;
        }
    }
    mem_free(images->buckets);
    images->buckets = larger.buckets;
    images->bucket_count = larger.bucket_count;
}

void images_save(struct tier_images *images, const struct hot_record *record)
{
    struct tier_image *const image = image_create(record);
    mutex_lock(&images->lock);
    if (images->count >= images->bucket_count)
        grow(images);
    struct tier_image **const bucket = bucket_of(images, image->key.hash);
    image->next = *bucket;
    *bucket = image;
    images->count++;
    atomic_fetch_add_explicit(&images->bytes, image_bytes(image), memory_order_relaxed);
    mutex_unlock(&images->lock);
}

struct tier_image *images_take(struct tier_images *images, const struct key *key)
{
    struct tier_image *found = NULL;
    mutex_lock(&images->lock);
    if (images->count > 0) {
        struct tier_image **link = bucket_of(images, key->hash);
        while (*link != NULL && !key_equal(&(*link)->key, key))
            link = &(*link)->next;
        found = *link;
        if (found != NULL) {
            *link = found->next;
            images->count--;
            atomic_fetch_sub_explicit(&images->bytes, image_bytes(found), memory_order_relaxed);
        }
    }
    mutex_unlock(&images->lock);
    return found;
}

void images_each(struct tier_images *images, image_fn visit, void *context)
{
    mutex_lock(&images->lock);
    for (size_t index = 0; index < images->bucket_count; index++) {
        for (struct tier_image *image = images->buckets[index]; image != NULL; image = image->next)
            visit(context, image);
    }
    mutex_unlock(&images->lock);
}

void images_drop(struct tier_images *images)
{
    mutex_lock(&images->lock);
    struct tier_images dropped = {.buckets = images->buckets, .bucket_count = images->bucket_count};
    images->buckets = NULL;
    images->bucket_count = 0;
    images->count = 0;
    atomic_store_explicit(&images->bytes, 0, memory_order_relaxed);
    mutex_unlock(&images->lock);
    for (size_t index = 0; index < dropped.bucket_count; index++) {
        struct tier_image *image = dropped.buckets[index];
        while (image != NULL) {
            struct tier_image *const next = image->next;
            image_free(image);
            image = next;
        }
    }
    mem_free(dropped.buckets);
}

uint64_t images_bytes(const struct tier_images *images)
{
    return atomic_load_explicit(&images->bytes, memory_order_relaxed);
}
