/*
 * tier_image.c: what records were at X, kept for a running checkpoint when they change before their turn (H6).
 *
 *   worker (record OLD, under its stripe) ──save──► [block][block][block] ──take──► checkpointer: sorts, puts, frees
 *
 * Images lie one behind the other in blocks, each followed by its key's bytes and its payload: a copy if it is short, else a reference to the
 * record's blob or a snapshot of its object. Saving is an append under one lock; there is no look-up. Each key of a checkpoint is either here, once, or
 * still OLD in RAM, never both. The blocks are bounded by the records that were dirty at X; what they hold counts towards
 * tier_may_write()'s limits, a snapshot for little: it shares its nodes with the record until that changes.
 */
#include "tier_internal.h"

#include <stdalign.h>

#define BLOCK_BYTES ((size_t)(256 * KiB))
/* What a snapshot counts for. */
#define SNAPSHOT_BYTES ((uint64_t)4096)
/* Objects up to this size are encoded at once, which takes no longer than a snapshot. */
#define ENCODE_AT_ONCE_MAX ((size_t)1024)

struct image_block {
    struct image_block *next; /* older */
    size_t capacity;
    size_t used;
    char data[];
};

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

/* --- payloads ------------------------------------------------------------------------------------------------- */

void payload_take(const struct hot_record *record, struct cold_header *header,
    struct payload *payload, struct buf *copy)
{
    const struct value value = hot_record_value(record);
    *header = (struct cold_header){
        .type = value.type,
        .encoding = value.encoding,
        .expire_ms = hot_record_expire_ms(record),
        .wake_ms = value_part_expire_ms(&value),
    };
    *payload = (struct payload){.offset = copy->size};
    const struct slice borrowed = value_payload_borrowed(&value);
    if (value.blob != NULL)
        payload->blob = blob_ref(value.blob);
    else if (value.object != NULL && value_external_bytes(&value) > ENCODE_AT_ONCE_MAX)
        payload->object = value.object->class->snapshot(value.object);
    else if (borrowed.data != NULL)
        buf_append_slice(copy, borrowed);
    else
        value_encode(&value, copy);
    payload->size = copy->size - payload->offset;
}

struct slice payload_bytes(const struct payload *payload, const char *copies, struct buf *scratch)
{
    if (payload->blob != NULL)
        return slice_of(payload->blob->data, payload->blob->size);
    if (payload->object == NULL)
        return slice_of(copies + payload->offset, payload->size);
    buf_clear(scratch);
    payload->object->class->encode(payload->object, scratch);
    return buf_slice(scratch);
}

void payload_release(struct payload *payload)
{
    blob_unref(payload->blob);
    if (payload->object != NULL)
        payload->object->class->destroy(payload->object);
    *payload = (struct payload){0};
}

/* --- images --------------------------------------------------------------------------------------------------- */

/* Memory that the image keeps from being freed, apart from its block. */
static uint64_t pinned_bytes(const struct tier_image *image)
{
    if (image->payload.blob != NULL)
        return image->payload.blob->size;
    return image->payload.object != NULL ? SNAPSHOT_BYTES : 0;
}

struct slice image_payload(const struct tier_image *image, struct buf *scratch)
{
    return payload_bytes(&image->payload, image->key.data + image->key.size, scratch);
}

/* The lock is held. */
static struct tier_image *append(struct tier_images *images, size_t size)
{
    struct image_block *block = images->blocks;
    if (block == NULL || block->capacity - block->used < size) {
        const size_t capacity = size > BLOCK_BYTES ? size : BLOCK_BYTES;
        block = mem_alloc(sizeof(*block) + capacity);
        *block = (struct image_block){.next = images->blocks, .capacity = capacity};
        images->blocks = block;
        atomic_fetch_add_explicit(&images->bytes, sizeof(*block) + capacity, memory_order_relaxed);
    }
    struct tier_image *const image = (struct tier_image *)(void *)(block->data + block->used);
    block->used += size;
    images->count++;
    return image;
}

void images_save(struct tier_images *images, const struct hot_record *record)
{
    struct tier_image saved = {.is_delete = hot_record_state(record) == HOT_ABSENT};
    struct buf copy = {0};
    if (!saved.is_delete) {
        CHECK(hot_record_state(record) == HOT_RESIDENT);
        payload_take(record, &saved.header, &saved.payload, &copy);
    }
    saved.key = hot_record_key(record, true);
    const size_t size = sizeof(saved) + saved.key.size + copy.size;
    saved.size = (size + alignof(struct tier_image) - 1) & ~(alignof(struct tier_image) - 1);

    mutex_lock(&images->lock);
    struct tier_image *const image = append(images, saved.size);
    *image = saved;
    char *const bytes = (char *)(image + 1);
    if (saved.key.size > 0)
        memcpy(bytes, saved.key.data, saved.key.size);
    if (copy.size > 0)
        memcpy(bytes + saved.key.size, copy.data, copy.size);
    image->key.data = bytes; /* the payload's bytes follow the key's: offset 0 from there */
    atomic_fetch_add_explicit(&images->bytes, pinned_bytes(image), memory_order_relaxed);
    mutex_unlock(&images->lock);
    buf_deinit(&copy);
}

static void each(struct image_block *blocks, image_fn visit, void *context)
{
    for (struct image_block *block = blocks; block != NULL; block = block->next) {
        for (size_t offset = 0; offset < block->used;) {
            struct tier_image *const image = (struct tier_image *)(void *)(block->data + offset);
            offset += image->size;
            visit(context, image);
        }
    }
}

void images_each(struct tier_images *images, image_fn visit, void *context)
{
    mutex_lock(&images->lock);
    each(images->blocks, visit, context);
    mutex_unlock(&images->lock);
}

static void collect_key(void *context, struct tier_image *image)
{
    struct tier_image_batch *const batch = context;
    batch->keys[batch->count++] = image->key;
}

void images_take(struct tier_images *images, struct tier_image_batch *batch)
{
    mutex_lock(&images->lock);
    *batch = (struct tier_image_batch){.blocks = images->blocks};
    const size_t count = images->count;
    images->blocks = NULL;
    images->count = 0;
    mutex_unlock(&images->lock);
    if (count == 0)
        return;
    batch->keys = mem_alloc(count * sizeof(*batch->keys));
    each(batch->blocks, collect_key, batch);
    CHECK(batch->count == count);
    batch->keys = keys_sort(batch->keys, count);
}

struct tier_image *image_of_key(const struct key *key)
{
    return (struct tier_image *)(uintptr_t)(key->data - sizeof(struct tier_image));
}

static void free_image(void *context, struct tier_image *image)
{
    uint64_t *const bytes = context;
    *bytes += pinned_bytes(image);
    payload_release(&image->payload);
}

void image_batch_free(struct tier_images *images, struct tier_image_batch *batch)
{
    uint64_t bytes = 0;
    each(batch->blocks, free_image, &bytes);
    while (batch->blocks != NULL) {
        struct image_block *const next = batch->blocks->next;
        bytes += sizeof(*batch->blocks) + batch->blocks->capacity;
        mem_free(batch->blocks);
        batch->blocks = next;
    }
    mem_free(batch->keys);
    *batch = (struct tier_image_batch){0};
    atomic_fetch_sub_explicit(&images->bytes, bytes, memory_order_relaxed);
}

void images_drop(struct tier_images *images)
{
    struct tier_image_batch batch;
    images_take(images, &batch);
    image_batch_free(images, &batch);
}

uint64_t images_bytes(const struct tier_images *images)
{
    return atomic_load_explicit(&images->bytes, memory_order_relaxed);
}
