/*
 * cold_filter.c: which keys the cold tier may hold: a cuckoo filter (Fan et al., CoNEXT '14) in layers.
 *
 * A key is a 16-bit tag in one of two buckets of its layer; either bucket gives the other: f(tag) - bucket, modulo the number
 * of buckets (which need not be a power of two: after a start the first layer has the size that the keys need). A bucket is
 * one 64-bit word with four tags, 0 = empty. About 0.012 % false positives per full layer.
 *
 *   layer 0  [....|....|....]              all layers are asked; a new one, twice as large, is added when
 *   layer 1  [....|....|....|....|....|…]   no layer takes a tag any more
 *
 * Writers (checkpointer, fill) hold the lock. Readers take none: they load one word per bucket.
 *
 * (1) A tag that moves is in both buckets for a moment: copied, then move_count is raised, then cleared. A reader that
 *     loaded the target before the copy and the source after the clear finds neither, but sees move_count changed: the
 *     clear (release) that it loaded (acquire) came after the raise; and had it seen the raise before, it would have seen the copy. It
 *     then looks again. So a reader never misses a key that was inserted before it looked.
 * (2) Within a layer two keys with the same tag and a common bucket have both buckets in common: their tags are the same
 *     thing, and removing either leaves one for the other. Across layers that is not so: if more than one layer has the tag,
 *     none is removed, as it might be another key's. A forgotten tag costs a read in vain, a missing one loses data.
 */
#include "base/check.h"
#include "base/mem.h"
#include "cold_internal.h"

#define SLOTS              4u
#define FIRST_BUCKET_COUNT ((uint64_t)1 << 14)
#define BUCKET_COUNT_MAX   ((uint64_t)1 << 32)
#define PATH_NODE_MAX      256
#define LOOK_AGAIN_MAX     16
#define LANES_ONE          ((uint64_t)0x0001000100010001)
#define LANES_HIGH         ((uint64_t)0x8000800080008000)

struct cold_filter_layer {
    uint64_t bucket_count; /* immutable; at most BUCKET_COUNT_MAX */
    uint64_t tag_count;    /* guarded by: the filter's lock */
    /* atomic: stored with release under the lock, loaded with acquire */
    _Atomic uint64_t buckets[];
};

/* What a hash says of its place. */
struct place {
    uint64_t bits;
    uint16_t tag;
};

/* Finalizer of splitmix64 (Steele, Lea, Flood): the table's index uses the same hash, so its bits are mixed anew. */
static struct place place_of(uint64_t hash)
{
    uint64_t bits = hash + 0x9e3779b97f4a7c15;
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
    bits ^= bits >> 31;
    const uint16_t tag = (uint16_t)(bits >> 48);
    return (struct place){.bits = bits, .tag = tag == 0 ? 1 : tag};
}

/* A number in [0, limit) from 32 bits, without a division (Lemire). */
static uint64_t scale(uint64_t bits, uint64_t limit)
{
    return ((bits & UINT32_MAX) * limit) >> 32;
}

static uint64_t first_bucket(const struct cold_filter_layer *layer, struct place place)
{
    return scale(place.bits, layer->bucket_count);
}

static uint64_t other_bucket(const struct cold_filter_layer *layer, uint64_t bucket, uint16_t tag)
{
    const uint64_t sum = scale((tag * (uint64_t)0x9e3779b97f4a7c15) >> 32, layer->bucket_count);
    return sum >= bucket ? sum - bucket : sum + layer->bucket_count - bucket;
}

static uint64_t load(const struct cold_filter_layer *layer, uint64_t bucket)
{
    return atomic_load_explicit(&layer->buckets[bucket], memory_order_acquire);
}

static void store(struct cold_filter_layer *layer, uint64_t bucket, uint64_t word)
{
    atomic_store_explicit(&layer->buckets[bucket], word, memory_order_release);
}

static uint16_t tag_at(uint64_t word, unsigned slot)
{
    return (uint16_t)(word >> (16 * slot));
}

static uint64_t with_tag(uint64_t word, unsigned slot, uint16_t tag)
{
    const unsigned shift = 16 * slot;
    return (word & ~((uint64_t)0xffff << shift)) | (uint64_t)tag << shift;
}

static bool word_has(uint64_t word, uint16_t tag)
{
    const uint64_t lanes = word ^ tag * LANES_ONE;
    return ((lanes - LANES_ONE) & ~lanes & LANES_HIGH) != 0;
}

/* SLOTS if the word has no such tag. */
static unsigned slot_of(uint64_t word, uint16_t tag)
{
    unsigned slot = 0;
    while (slot < SLOTS && tag_at(word, slot) != tag)
        slot++;
    return slot;
}

static bool layer_has(const struct cold_filter_layer *layer, struct place place)
{
    const uint64_t bucket = first_bucket(layer, place);
    return word_has(load(layer, bucket), place.tag) ||
           word_has(load(layer, other_bucket(layer, bucket, place.tag)), place.tag);
}

bool cold_filter_contains(const struct cold_filter *filter, uint64_t hash)
{
    const struct place place = place_of(hash);
    for (unsigned look = 0; look < LOOK_AGAIN_MAX; look++) {
        /* acquire: with the release in move_tag(), see (1) */
        const uint64_t moves = atomic_load_explicit(&filter->move_count, memory_order_acquire);
        const uint32_t layers = atomic_load_explicit(&filter->layer_count, memory_order_acquire);
        for (uint32_t index = layers; index-- > 0;) {
            if (layer_has(filter->layers[index], place))
                return true;
        }
        /* Not before the loads of the buckets: those are acquire. */
        if (atomic_load_explicit(&filter->move_count, memory_order_relaxed) == moves)
            return atomic_load_explicit(&filter->saturated, memory_order_relaxed);
    }
    return true; /* tags move too fast to say no */
}

/* --- insertion: under the lock --------------------------------------------------------------------- */

static bool put_tag(struct cold_filter_layer *layer, uint64_t bucket, uint16_t tag)
{
    const uint64_t word = load(layer, bucket);
    const unsigned slot = slot_of(word, 0);
    if (slot == SLOTS)
        return false;
    store(layer, bucket, with_tag(word, slot, tag));
    return true;
}

static bool insert_directly(struct cold_filter_layer *layer, struct place place)
{
    const uint64_t bucket = first_bucket(layer, place);
    if (!put_tag(layer, bucket, place.tag) &&
        !put_tag(layer, other_bucket(layer, bucket, place.tag), place.tag))
        return false;
    layer->tag_count++;
    return true;
}

/* Copy, raise, clear: see (1). False if the target has no room or is not the tag's other bucket. */
static bool move_tag(struct cold_filter *filter, struct cold_filter_layer *layer, uint64_t from,
    unsigned slot, uint64_t to)
{
    const uint16_t tag = tag_at(load(layer, from), slot);
    if (tag == 0)
        return true; /* an earlier step of the same path has emptied it */
    if (other_bucket(layer, from, tag) != to || !put_tag(layer, to, tag))
        return false;
    const uint64_t moves = atomic_load_explicit(&filter->move_count, memory_order_relaxed);
    atomic_store_explicit(&filter->move_count, moves + 1, memory_order_release);
    store(layer, from, with_tag(load(layer, from), slot, 0));
    return true;
}

/* A bucket reached by moving the tag in `slot` of its parent's bucket. */
struct path_node {
    uint64_t bucket;
    uint16_t parent;
    uint8_t slot;
    bool root;
};

/* Breadth first from both buckets to the nearest one with room, then tags move one step each, from the end of the path. */
static bool insert_by_moving(
    struct cold_filter *filter, struct cold_filter_layer *layer, struct place place)
{
    struct path_node nodes[PATH_NODE_MAX];
    const uint64_t bucket = first_bucket(layer, place);
    nodes[0] = (struct path_node){.bucket = bucket, .root = true};
    nodes[1] = (struct path_node){.bucket = other_bucket(layer, bucket, place.tag), .root = true};
    size_t count = 2;
    for (size_t head = 0; head < count; head++) {
        if (slot_of(load(layer, nodes[head].bucket), 0) < SLOTS) {
            size_t at = head;
            while (!nodes[at].root) {
                const struct path_node *const node = &nodes[at];
                const uint64_t from = nodes[node->parent].bucket;
                if (!move_tag(filter, layer, from, node->slot, node->bucket))
                    return false;
                at = node->parent;
            }
            if (!put_tag(layer, nodes[at].bucket, place.tag))
                return false;
            layer->tag_count++;
            return true;
        }
        const uint64_t word = load(layer, nodes[head].bucket);
        for (unsigned slot = 0; slot < SLOTS && count < PATH_NODE_MAX; slot++) {
            nodes[count++] = (struct path_node){
                .bucket = other_bucket(layer, nodes[head].bucket, tag_at(word, slot)),
                .parent = (uint16_t)head,
                .slot = (uint8_t)slot,
            };
        }
    }
    return false;
}

static void add_layer(struct cold_filter *filter, uint64_t bucket_count)
{
    const uint32_t count = atomic_load_explicit(&filter->layer_count, memory_order_relaxed);
    CHECK(count < COLD_FILTER_LAYER_MAX);
    const size_t size = sizeof(struct cold_filter_layer) + (size_t)bucket_count * sizeof(uint64_t);
    struct cold_filter_layer *const layer = mem_alloc_zero(size);
    layer->bucket_count = bucket_count;
    filter->layers[count] = layer;
    filter->size_bytes += size;
    /* release: readers that see the count see the layer */
    atomic_store_explicit(&filter->layer_count, count + 1, memory_order_release);
}

static bool has_room(const struct cold_filter_layer *layer)
{
    const uint64_t slots = layer->bucket_count * SLOTS;
    return layer->tag_count < slots - slots / 20;
}

static bool insert_somewhere(struct cold_filter *filter, struct place place)
{
    const uint32_t count = atomic_load_explicit(&filter->layer_count, memory_order_relaxed);
    for (uint32_t index = count; index-- > 0;) {
        if (insert_directly(filter->layers[index], place))
            return true;
    }
    for (uint32_t index = count; index-- > 0;) {
        if (has_room(filter->layers[index]) &&
            insert_by_moving(filter, filter->layers[index], place))
            return true;
    }
    return false;
}

void cold_filter_insert(struct cold_filter *filter, uint64_t hash)
{
    const struct place place = place_of(hash);
    mutex_lock(&filter->lock);
    if (!insert_somewhere(filter, place)) {
        const uint32_t count = atomic_load_explicit(&filter->layer_count, memory_order_relaxed);
        if (count < COLD_FILTER_LAYER_MAX) {
            const uint64_t next = filter->layers[count - 1]->bucket_count * 2;
            add_layer(filter, next < BUCKET_COUNT_MAX ? next : BUCKET_COUNT_MAX);
            const bool inserted = insert_directly(filter->layers[count], place);
            CHECK(inserted);
        } else {
            atomic_store_explicit(&filter->saturated, true, memory_order_relaxed);
        }
    }
    mutex_unlock(&filter->lock);
}

void cold_filter_prefetch(const struct cold_filter *filter, uint64_t hash)
{
    const struct place place = place_of(hash);
    const uint32_t count = atomic_load_explicit(&filter->layer_count, memory_order_acquire);
    const struct cold_filter_layer *const newest = filter->layers[count - 1];
    const uint64_t bucket = first_bucket(newest, place);
    prefetch_read(&newest->buckets[bucket]);
    prefetch_read(&newest->buckets[other_bucket(newest, bucket, place.tag)]);
}

static bool clear_tag(struct cold_filter_layer *layer, uint64_t bucket, uint16_t tag)
{
    const uint64_t word = load(layer, bucket);
    const unsigned slot = slot_of(word, tag);
    if (slot == SLOTS)
        return false;
    store(layer, bucket, with_tag(word, slot, 0));
    return true;
}

void cold_filter_remove(struct cold_filter *filter, uint64_t hash)
{
    const struct place place = place_of(hash);
    mutex_lock(&filter->lock);
    struct cold_filter_layer *found = NULL;
    unsigned found_count = 0;
    const uint32_t count = atomic_load_explicit(&filter->layer_count, memory_order_relaxed);
    for (uint32_t index = 0; index < count; index++) {
        if (layer_has(filter->layers[index], place)) {
            found = filter->layers[index];
            found_count++;
        }
    }
    if (found_count == 1) { /* else see (2) */
        const uint64_t bucket = first_bucket(found, place);
        if (!clear_tag(found, bucket, place.tag))
            (void)clear_tag(found, other_bucket(found, bucket, place.tag), place.tag);
        found->tag_count--;
    }
    mutex_unlock(&filter->lock);
}

uint64_t cold_filter_bytes(struct cold_filter *filter)
{
    mutex_lock(&filter->lock);
    const uint64_t size_bytes = filter->size_bytes;
    mutex_unlock(&filter->lock);
    return size_bytes;
}

void cold_filter_init(struct cold_filter *filter, uint64_t expected_count)
{
    *filter = (struct cold_filter){0};
    mutex_init(&filter->lock, LOCK_RANK_FILTER);
    condition_init(&filter->fill_end);
    /* Room for a quarter more than there are. */
    uint64_t bucket_count = expected_count / SLOTS / 3 * 4;
    if (bucket_count < FIRST_BUCKET_COUNT)
        bucket_count = FIRST_BUCKET_COUNT;
    if (bucket_count > BUCKET_COUNT_MAX)
        bucket_count = BUCKET_COUNT_MAX;
    add_layer(filter, bucket_count);
}

void cold_filter_deinit(struct cold_filter *filter)
{
    const uint32_t count = atomic_load_explicit(&filter->layer_count, memory_order_relaxed);
    for (uint32_t index = 0; index < count; index++)
        mem_free(filter->layers[index]);
    condition_deinit(&filter->fill_end);
    mutex_deinit(&filter->lock);
}
