/*
 * tier_checkpoint_write.c: the records of a checkpoint, from RAM into the transaction, in the order of their keys.
 *
 * A batch of keys has its pages read into the page cache by all I/O threads; then it goes through slice by slice. For each key of a slice, under
 * its stripe: a record that is still OLD is copied (long strings by reference) and becomes IMAGED; else its image is taken out of the
 * table. Then, with no stripe held, the slice is put.
 */
#include "tier_internal.h"

enum { PRETOUCH_BATCH_MAX = 4096, SLICE_MAX = 64 };

enum item_kind { ITEM_NOTHING, ITEM_PUT, ITEM_DELETE };

/* One key of a slice, copied. */
struct item {
    enum item_kind kind;
    struct cold_header header;
    struct blob *blob;        /* the payload; else: */
    size_t offset;            /* its place in the checkpoint's copies, */
    size_t size;              /* unless there is: */
    struct tier_image *image; /* owned */
};

/* --- copying ------------------------------------------------------------------------------------------------ */

/* Under the key's stripe. */
static void item_take(struct checkpoint *checkpoint, const struct key *key, struct item *item)
{
    struct hot *const hot = checkpoint->tier->hot;
    const bool dead = checkpoint_space_is_dead(checkpoint, key->space);
    *item = (struct item){.kind = ITEM_NOTHING};
    struct hot_record *const record = hot_find(hot, key);
    if (record == NULL || hot_record_dirty(hot, record) != HOT_OLD) {
        item->image = images_take(&checkpoint->tier->images, key);
        CHECK(item->image != NULL); /* (1): still OLD, or saved */
        if (!dead)
            item->kind = item->image->is_delete ? ITEM_DELETE : ITEM_PUT;
        return;
    }
    if (dead) {
        /* Nothing is written: its space is killed in this transaction, or was before. */
    } else if (hot_record_state(record) == HOT_ABSENT) {
        item->kind = ITEM_DELETE;
    } else {
        CHECK(hot_record_state(record) == HOT_RESIDENT);
        item->kind = ITEM_PUT;
        if (!hot_record_in_cold(record))
            cold_put_ahead(checkpoint->tier->cold, key);
        item->offset = checkpoint->copies.size;
        payload_take(record, &item->header, &item->blob, &checkpoint->copies);
        item->size = checkpoint->copies.size - item->offset;
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

static void item_release(struct item *item)
{
    blob_unref(item->blob);
    image_free(item->image);
}

/* --- putting -------------------------------------------------------------------------------------------------- */

static enum status item_put(const struct checkpoint *checkpoint, struct cold_txn *txn,
    const struct key *key, const struct item *item, struct error *error)
{
    if (item->kind == ITEM_DELETE) {
        const enum status status = cold_delete(txn, key, error);
        return status == ST_NOT_FOUND ? ST_OK : status; /* it never got there */
    }
    if (item->image != NULL)
        return cold_put(txn, key, &item->image->header, image_payload(item->image),
            item->image->generation, error);
    const struct slice payload = item->blob != NULL
                                     ? slice_of(item->blob->data, item->blob->size)
                                     : slice_of(checkpoint->copies.data + item->offset, item->size);
    return cold_put(txn, key, &item->header, payload, 0, error);
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
        item_release(&items[index]);
    checkpoint_note_memory(checkpoint);
    metric_add(checkpoint->tier->metrics, checkpoint_records, written_count);
    return status;
}

enum status checkpoint_write(
    struct checkpoint *checkpoint, struct cold_txn *txn, struct error *error)
{
    for (size_t index = 0; index < checkpoint->key_count; index++) {
        const struct key *const keys = checkpoint->keys + index;
        const size_t left = checkpoint->key_count - index;
        if (index % PRETOUCH_BATCH_MAX == 0)
            cold_pretouch(checkpoint->tier->cold, keys,
                left < PRETOUCH_BATCH_MAX ? left : PRETOUCH_BATCH_MAX);
        const size_t count = left < SLICE_MAX ? left : SLICE_MAX;
        const enum status status = slice_write(checkpoint, txn, keys, count, error);
        if (status != ST_OK)
            return status;
        index += count - 1;
    }
    return ST_OK;
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

static void note_large(void *context, struct tier_image *image)
{
    struct large_list *const list = context;
    if (image->is_delete || image_payload(image).size <= COLD_STAGE_SIZE_MIN ||
        checkpoint_space_is_dead(list->checkpoint, image->key.space))
        return;
    struct large_image *const entry = mem_alloc(sizeof(*entry));
    *entry = (struct large_image){.next = list->head, .image = image};
    list->head = entry;
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
            status = cold_stage(checkpoint->tier->cold, image_payload(entry->image),
                &entry->image->generation, error);
        checkpoint_database_end(checkpoint);
        list.head = entry->next;
        mem_free(entry);
    }
    return status;
}
