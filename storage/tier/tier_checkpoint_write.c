/*
 * tier_checkpoint_write.c: the records of a checkpoint, from RAM into the transaction, in the order of their keys.
 *
 * A batch of keys has its pages read into the page cache by all I/O threads; then it goes through slice by slice. For each key of a slice, under
 * its stripe: a record that is still OLD is copied (long strings and large collections by reference) and becomes IMAGED; any other has been saved among
 * the images. Then, with no stripe held, the slice is put. The images are put in the same way in batches of their own: when they take much memory, and
 * at the end.
 */
#include "tier_internal.h"

enum { PRETOUCH_BATCH_MAX = 4096, SLICE_MAX = 64 };
/* Images are put when they take this share of checkpoint-memory. */
#define IMAGES_SHARE ((uint64_t)4)

enum item_kind { ITEM_NOTHING, ITEM_PUT, ITEM_DELETE };

/* One key of a slice, copied. */
struct item {
    enum item_kind kind;
    struct cold_header header;
    struct payload payload; /* copied bytes are in the checkpoint's copies */
};

/* --- copying ------------------------------------------------------------------------------------------------ */

/* Under the key's stripe. */
static void item_take(struct checkpoint *checkpoint, const struct key *key, struct item *item)
{
    struct hot *const hot = checkpoint->tier->hot;
    *item = (struct item){.kind = ITEM_NOTHING};
    struct hot_record *const record = hot_find(hot, key);
    if (record == NULL || hot_record_dirty(hot, record) != HOT_OLD)
        return; /* (1): it was saved */
    if (checkpoint_space_is_dead(checkpoint, key->space)) {
        /* Nothing is written: its space is killed in this transaction, or was before. */
    } else if (hot_record_state(record) == HOT_ABSENT) {
        item->kind = ITEM_DELETE;
    } else {
        CHECK(hot_record_state(record) == HOT_RESIDENT);
        item->kind = ITEM_PUT;
        if (!hot_record_in_cold(record))
            cold_put_ahead(checkpoint->tier->cold, key);
        payload_take(record, &item->header, &item->payload, &checkpoint->copies);
    }
    hot_mark_imaged(hot, key, record);
}

/* All of the slice's cache misses at once; what is ahead in other stripes cannot be looked at. */
void checkpoint_prefetch(const struct hot *hot, const struct key *keys, size_t count)
{
    for (size_t index = 0; index < count; index++)
        prefetch_read(keys[index].data);
    if (!hot_has_single_stripe(hot))
        return;
    hot_prefetch(hot, keys, count);
}

static void slice_take(
    struct checkpoint *checkpoint, const struct key *keys, size_t count, struct item *items)
{
    struct hot *const hot = checkpoint->tier->hot;
    uint64_t held = 0;
    buf_clear(&checkpoint->copies);
    for (size_t index = 0; index < count; index++) {
        const uint64_t stripe = hot_stripe(hot, &keys[index]);
        if (stripe != held) {
            if (held != 0)
                hot_unlock(hot, held);
            hot_lock(hot, stripe);
            held = stripe;
            checkpoint_prefetch(hot, keys + index, count - index);
        }
        item_take(checkpoint, &keys[index], &items[index]);
    }
    if (held != 0)
        hot_unlock(hot, held);
}

/* --- putting -------------------------------------------------------------------------------------------------- */

static enum status delete_key(struct cold_txn *txn, const struct key *key, struct error *error)
{
    const enum status status = cold_delete(txn, key, error);
    return status == ST_NOT_FOUND ? ST_OK : status; /* it never got there */
}

static enum status item_put(struct checkpoint *checkpoint, struct cold_txn *txn,
    const struct key *key, const struct item *item, struct error *error)
{
    if (item->kind == ITEM_DELETE)
        return delete_key(txn, key, error);
    return cold_put(txn, key, &item->header,
        payload_bytes(&item->payload, checkpoint->copies.data, &checkpoint->scratch), 0, error);
}

static enum status image_put(struct checkpoint *checkpoint, struct cold_txn *txn,
    const struct tier_image *image, struct error *error)
{
    if (checkpoint_space_is_dead(checkpoint, image->key.space))
        return ST_OK;
    if (image->is_delete)
        return delete_key(txn, &image->key, error);
    const struct slice payload = image->generation != 0
                                     ? slice_of(NULL, image->staged_size)
                                     : image_payload(image, &checkpoint->scratch);
    return cold_put(txn, &image->key, &image->header, payload, image->generation, error);
}

static enum status slice_write(struct checkpoint *checkpoint, struct cold_txn *txn,
    const struct key *keys, size_t count, struct error *error)
{
    struct item items[SLICE_MAX];
    slice_take(checkpoint, keys, count, items);
    enum status status = ST_OK;
    size_t written_count = 0;
    checkpoint_database_begin(checkpoint);
    for (size_t index = 0; status == ST_OK && index < count; index++) {
        if (items[index].kind == ITEM_NOTHING)
            continue;
        status = item_put(checkpoint, txn, &keys[index], &items[index], error);
        written_count++;
    }
    checkpoint_database_end(checkpoint);
    for (size_t index = 0; index < count; index++)
        payload_release(&items[index].payload);
    checkpoint_note_memory(checkpoint);
    metric_add(checkpoint->tier->metrics, checkpoint_records, written_count);
    return status;
}

static void pretouch(const struct checkpoint *checkpoint, const struct key *keys, size_t left)
{
    cold_pretouch(
        checkpoint->tier->cold, keys, left < PRETOUCH_BATCH_MAX ? left : PRETOUCH_BATCH_MAX);
}

static enum status batch_write(struct checkpoint *checkpoint, struct cold_txn *txn,
    const struct tier_image_batch *batch, struct error *error)
{
    enum status status = ST_OK;
    for (size_t index = 0; status == ST_OK && index < batch->count; index++) {
        if (index % PRETOUCH_BATCH_MAX == 0)
            pretouch(checkpoint, batch->keys + index, batch->count - index);
        if (index + 8 < batch->count)
            prefetch_read(image_of_key(&batch->keys[index + 8]));
        status = image_put(checkpoint, txn, image_of_key(&batch->keys[index]), error);
    }
    return status;
}

static enum status images_write(
    struct checkpoint *checkpoint, struct cold_txn *txn, struct error *error)
{
    struct tier *const tier = checkpoint->tier;
    struct tier_image_batch batch;
    images_take(&tier->images, &batch);
    checkpoint_database_begin(checkpoint);
    const enum status status = batch_write(checkpoint, txn, &batch, error);
    checkpoint_database_end(checkpoint);
    checkpoint_note_memory(checkpoint);
    metric_add(tier->metrics, checkpoint_records, batch.count);
    image_batch_free(&tier->images, &batch);
    return status;
}

enum status checkpoint_write(
    struct checkpoint *checkpoint, struct cold_txn *txn, struct error *error)
{
    const struct tier *const tier = checkpoint->tier;
    const uint64_t images_max = room_checkpoint_bound(tier) / IMAGES_SHARE;
    enum status status = ST_OK;
    for (size_t index = 0; status == ST_OK && index < checkpoint->key_count;) {
        const struct key *const keys = checkpoint->keys + index;
        const size_t left = checkpoint->key_count - index;
        if (index % PRETOUCH_BATCH_MAX == 0)
            pretouch(checkpoint, keys, left);
        const size_t count = left < SLICE_MAX ? left : SLICE_MAX;
        status = slice_write(checkpoint, txn, keys, count, error);
        index += count;
        if (status == ST_OK && images_bytes(&tier->images) > images_max)
            status = images_write(checkpoint, txn, error);
    }
    return status == ST_OK ? images_write(checkpoint, txn, error) : status;
}
static_assert(PRETOUCH_BATCH_MAX % SLICE_MAX == 0, "a slice lies in one batch");

/* --- staging -------------------------------------------------------------------------------------------------------- */

/* Large values leave the OLD state at once, so that none can be saved later, when there is a transaction. */
static void take_large(struct checkpoint *checkpoint)
{
    struct tier *const tier = checkpoint->tier;
    for (size_t index = 0; index < checkpoint->large_count; index++) {
        const struct key *const key = &checkpoint->keys[checkpoint->large[index]];
        const uint64_t stripe = hot_stripe(tier->hot, key);
        hot_lock(tier->hot, stripe);
        struct hot_record *const record = hot_find(tier->hot, key);
        if (record != NULL && hot_record_dirty(tier->hot, record) == HOT_OLD) {
            images_save(&tier->images, record);
            hot_mark_imaged(tier->hot, key, record);
        }
        hot_unlock(tier->hot, stripe);
    }
}

struct large_image {
    struct large_image *next;
    struct tier_image *image;
};

struct large_list {
    const struct checkpoint *checkpoint;
    struct large_image *head;
};

/* Of objects it is the memory they take, for nothing is encoded yet. */
static size_t payload_size_estimate(const struct payload *payload)
{
    if (payload->object != NULL)
        return payload->object->class->size_bytes(payload->object);
    return payload->blob != NULL ? payload->blob->size : payload->size;
}

static void note_large(void *context, struct tier_image *image)
{
    struct large_list *const list = context;
    if (image->is_delete || payload_size_estimate(&image->payload) <= COLD_STAGE_SIZE_MIN ||
        checkpoint_space_is_dead(list->checkpoint, image->key.space))
        return;
    struct large_image *const entry = mem_alloc(sizeof(*entry));
    *entry = (struct large_image){.next = list->head, .image = image};
    list->head = entry;
}

static enum status stage_image(
    struct checkpoint *checkpoint, struct tier_image *image, struct error *error)
{
    const struct slice payload = image_payload(image, &checkpoint->scratch);
    if (payload.size <= COLD_STAGE_SIZE_MIN)
        return ST_OK;
    image->staged_size = payload.size;
    return cold_stage(checkpoint->tier->cold, payload, &image->generation, error);
}

enum status checkpoint_stage(struct checkpoint *checkpoint, struct error *error)
{
    take_large(checkpoint);
    /* Only this thread takes images out, so they stay where they are. */
    struct large_list list = {.checkpoint = checkpoint};
    images_each(&checkpoint->tier->images, note_large, &list);
    enum status status = ST_OK;
    while (list.head != NULL) {
        struct large_image *const entry = list.head;
        checkpoint_database_begin(checkpoint);
        if (status == ST_OK)
            status = stage_image(checkpoint, entry->image, error);
        checkpoint_database_end(checkpoint);
        list.head = entry->next;
        mem_free(entry);
    }
    buf_deinit(&checkpoint->scratch);
    return status;
}
