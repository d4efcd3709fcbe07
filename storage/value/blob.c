/*
 * blob.c: long strings with a count of references.
 *
 * A reference is taken under the lock that guards the holder (a stripe), and given up anywhere: by a worker after
 * a reply was sent, by the checkpointer after an image was written. The last one frees, so giving up orders
 * everything the others did before it.
 */
#include "base/check.h"
#include "base/mem.h"
#include "storage/value.h"

/* Room beyond the longest string, so that the protocol layer can keep its line ending behind it. */
#define BLOB_SLACK_BYTES ((size_t)64)

struct blob *blob_create(size_t capacity)
{
    if (capacity > VALUE_STRING_SIZE_MAX + BLOB_SLACK_BYTES) {
        return NULL;
    }
    /* The whole size class is asked for and used: the account of memory then needs no allocator. */
    const size_t size_bytes = mem_good_size(sizeof(struct blob) + capacity);
    struct blob *blob = mem_try_alloc(size_bytes);
    if (blob == NULL) {
        return NULL;
    }
    atomic_init(&blob->references, 1);
    blob->size = 0;
    blob->capacity = size_bytes - sizeof(struct blob);
    return blob;
}

struct blob *blob_ref(struct blob *blob)
{
    const uint32_t before = atomic_fetch_add_explicit(&blob->references, 1, memory_order_relaxed);
    CHECK(before > 0);
    CHECK(before < UINT32_MAX);
    return blob;
}

void blob_unref(struct blob *blob)
{
    if (blob == NULL) {
        return;
    }
    /* Release pairs with the acquire of whoever finds the count at one (here, or in blob_is_shared()). */
    const uint32_t before = atomic_fetch_sub_explicit(&blob->references, 1, memory_order_acq_rel);
    CHECK(before > 0);
    if (before == 1) {
        mem_free(blob);
    }
}
