/*
 * hot_index.c: from a hash to a record: linear hashing over one contiguous table of 64-byte buckets.
 *
 *   bucket:  [ tag|address|bits ] x 7  [ filter|chain ] ──► unit [ slot slot slot | chain ] ──► unit ...
 *
 *   0 .. split-1       2^L .. bucket_count-1      have been split: addressed by L + 1 bits of the hash
 *   split .. 2^L-1                                 not yet: addressed by L bits
 *
 * An insert above 85 % of the slots splits one bucket, a remove below 40 % merges one: the table grows and shrinks
 * with the entries and nothing ever pauses (Litwin, "Linear hashing", VLDB '80). The table stays where it is: address
 * space is reserved once, memory behind it comes and goes in small steps.
 *
 * Buckets that wait for their split are too full; what does not fit goes to units of three slots, which cost half of what
 * chained buckets would: 12 to 13 bytes per entry in all, 9 to 15 % of the entries one cache line further. A filter of 16
 * bits beside the chain pointer spares most lookups of absent keys that line.
 *
 * (1) A bucket's used slots are its first; it has units only when all 7 are used. (2) Only a chain's first unit may have
 * free slots, and it has at least one entry. (3) The filter has the bit of every entry in the units; it may have more.
 *
 * The hash: 6 bits partition | 16 bits tag | ... | low bits bucket.
 */
#include "hot_internal.h"

#define INDEX_RESERVED_BYTES   (1 * GiB)
#define INDEX_BUCKET_COUNT_MIN ((uint64_t)64)
#define INDEX_BUCKET_COUNT_MAX ((uint64_t)(INDEX_RESERVED_BYTES / sizeof(struct hot_bucket)))
#define INDEX_STEP_BYTES       ((uint64_t)4096)
/* Of the slots in the table, percent. */
#define INDEX_LOAD_MAX 85
#define INDEX_LOAD_MIN 40

/* --- memory ---------------------------------------------------------------------------------------- */

/* Memory is taken and given back a sixteenth at a time. */
static uint64_t commit_step(uint64_t committed_bytes)
{
    const uint64_t step = committed_bytes / 16 / INDEX_STEP_BYTES * INDEX_STEP_BYTES;
    return step < INDEX_STEP_BYTES ? INDEX_STEP_BYTES : step;
}

static void commit(struct hot_index *index, uint64_t committed_bytes)
{
    mem_map_commit(index->buckets, index->committed_bytes, committed_bytes);
    index->committed_bytes = committed_bytes;
}

static void memory_grow(struct hot_index *index)
{
    const uint64_t needed = index->bucket_count * sizeof(struct hot_bucket);
    if (needed > index->committed_bytes) {
        commit(index, index->committed_bytes + commit_step(index->committed_bytes));
    }
}

static void memory_shrink(struct hot_index *index)
{
    const uint64_t needed = index->bucket_count * sizeof(struct hot_bucket);
    const uint64_t step = commit_step(index->committed_bytes);
    if (needed + 2 * step < index->committed_bytes) {
        commit(index, index->committed_bytes - step);
    }
}

void index_init(struct hot_index *index)
{
    *index = (struct hot_index){
        .buckets = mem_map_reserve(INDEX_RESERVED_BYTES),
        .bucket_count = INDEX_BUCKET_COUNT_MIN,
        .level_mask = INDEX_BUCKET_COUNT_MIN - 1,
    };
    commit(index, INDEX_BUCKET_COUNT_MIN * sizeof(struct hot_bucket));
}

void index_deinit(struct hot_index *index)
{
    if (index->buckets == NULL) {
        return;
    }
    for (uint64_t number = 0; number < index->bucket_count; number++) {
        struct hot_unit *unit = chain_unit(index->buckets[number].chain);
        while (unit != NULL) {
            struct hot_unit *next = chain_unit(unit->chain);
            mem_free(unit);
            unit = next;
        }
    }
    mem_map_release(index->buckets, INDEX_RESERVED_BYTES, index->committed_bytes);
    *index = (struct hot_index){0};
}

uint64_t index_bytes(const struct hot_index *index)
{
    return index->committed_bytes + index->unit_count * sizeof(struct hot_unit);
}

/* --- one bucket -------------------------------------------------------------------------------------- */

static void put_in_units(struct hot_index *index, struct hot_bucket *bucket, uint64_t slot)
{
    struct hot_unit *unit = chain_unit(bucket->chain);
    const uint64_t filter = (bucket->chain & ~SLOT_POINTER_MASK) | tag_filter_bit(slot_tag(slot));
    if (unit == NULL || unit->slots[UNIT_SLOT_COUNT - 1] != 0) {
        struct hot_unit *fresh = mem_alloc_zero(sizeof(*fresh));
        fresh->chain = (uint64_t)(uintptr_t)unit;
        unit = fresh;
        index->unit_count++;
    }
    CHECK(((uint64_t)(uintptr_t)unit & ~SLOT_POINTER_MASK) == 0);
    bucket->chain = filter | (uint64_t)(uintptr_t)unit;
    unsigned place = 0;
    while (unit->slots[place] != 0) {
        place++;
    }
    unit->slots[place] = slot;
}

static void bucket_put(struct hot_index *index, struct hot_bucket *bucket, uint64_t slot)
{
    for (unsigned place = 0; place < BUCKET_SLOT_COUNT; place++) {
        if (bucket->slots[place] == 0) {
            bucket->slots[place] = slot;
            return;
        }
    }
    put_in_units(index, bucket, slot);
}

/* The last entry fills the hole. */
static void bucket_drop(struct hot_index *index, struct hot_bucket *bucket, uint64_t *hole)
{
    struct hot_unit *unit = chain_unit(bucket->chain);
    uint64_t *slots = unit == NULL ? bucket->slots : unit->slots;
    unsigned last = unit == NULL ? BUCKET_SLOT_COUNT - 1 : UNIT_SLOT_COUNT - 1;
    while (slots[last] == 0) {
        CHECK(last > 0);
        last--;
    }
    *hole = slots[last];
    slots[last] = 0;
    if (unit != NULL && last == 0) {
        /* Without units no filter; with some it may keep bits of entries that are gone. */
        const uint64_t filter = unit->chain == 0 ? 0 : bucket->chain & ~SLOT_POINTER_MASK;
        bucket->chain = filter | unit->chain;
        mem_free(unit);
        index->unit_count--;
    }
}

void bucket_each(struct hot_bucket *bucket, slot_fn visit, void *context)
{
    for (unsigned place = 0; place < BUCKET_SLOT_COUNT && bucket->slots[place] != 0; place++) {
        visit(context, &bucket->slots[place]);
    }
    for (struct hot_unit *unit = chain_unit(bucket->chain); unit != NULL;
         unit = chain_unit(unit->chain)) {
        for (unsigned place = 0; place < UNIT_SLOT_COUNT && unit->slots[place] != 0; place++) {
            visit(context, &unit->slots[place]);
        }
    }
}

/* --- growing and shrinking ----------------------------------------------------------------------------- */

static void prefetch_slot(void *context, uint64_t *slot)
{
    (void)context;
    prefetch_read(slot_record(*slot));
}

struct redistribution {
    struct hot_index *index;
    struct hot_bucket *merge_into; /* NULL: by hash */
};

static void redistribute_slot(void *context, uint64_t *slot)
{
    struct redistribution *work = context;
    struct hot_bucket *bucket = work->merge_into;
    if (bucket == NULL) {
        bucket = index_bucket(work->index, record_hash(slot_record(*slot)));
    }
    bucket_put(work->index, bucket, *slot);
}

/* Empties a bucket and puts its entries where they belong now. */
static void redistribute(
    struct hot_index *index, struct hot_bucket *bucket, struct hot_bucket *merge_into)
{
    struct hot_bucket old = *bucket;
    *bucket = (struct hot_bucket){0};
    struct redistribution work = {.index = index, .merge_into = merge_into};
    bucket_each(&old, redistribute_slot, &work);
    struct hot_unit *unit = chain_unit(old.chain);
    while (unit != NULL) {
        struct hot_unit *next = chain_unit(unit->chain);
        mem_free(unit);
        index->unit_count--;
        unit = next;
    }
}

static void split_one(struct hot_index *index)
{
    struct hot_bucket *bucket = &index->buckets[index->bucket_count - (index->level_mask + 1)];
    /* The hashes come from the keys: fetch all records at once. */
    bucket_each(bucket, prefetch_slot, NULL);
    index->bucket_count++;
    memory_grow(index);
    redistribute(index, bucket, NULL);
    if (index->bucket_count == 2 * (index->level_mask + 1)) {
        index->level_mask = index->level_mask << 1 | 1;
    }
}

static void merge_one(struct hot_index *index)
{
    if (index->bucket_count == index->level_mask + 1) {
        index->level_mask >>= 1;
    }
    index->bucket_count--;
    struct hot_bucket *last = &index->buckets[index->bucket_count];
    redistribute(index, last, last - (index->level_mask + 1));
    memory_shrink(index);
}

/* --- the index ----------------------------------------------------------------------------------------- */

static uint64_t percent_of_slots(const struct hot_index *index, uint64_t percent)
{
    return index->bucket_count * BUCKET_SLOT_COUNT * percent / 100;
}

void index_insert(struct hot_index *index, uint64_t hash, struct hot_record *record, uint64_t bits)
{
    const uint64_t address = (uint64_t)(uintptr_t)record;
    CHECK((address & ~SLOT_POINTER_MASK) == 0);
    bucket_put(index, index_bucket(index, hash), hash_tag(hash) << SLOT_TAG_SHIFT | address | bits);
    index->entry_count++;
    if (index->entry_count > percent_of_slots(index, INDEX_LOAD_MAX) &&
        index->bucket_count < INDEX_BUCKET_COUNT_MAX) {
        split_one(index);
    }
}

void index_remove(struct hot_index *index, uint64_t hash, const struct hot_record *record)
{
    uint64_t *slot = index_slot(index, hash, record);
    bucket_drop(index, index_bucket(index, hash), slot);
    index->entry_count--;
    if (index->entry_count < percent_of_slots(index, INDEX_LOAD_MIN) &&
        index->bucket_count > INDEX_BUCKET_COUNT_MIN) {
        merge_one(index);
    }
}

uint64_t *index_slot(const struct hot_index *index, uint64_t hash, const struct hot_record *record)
{
    struct hot_bucket *bucket = index_bucket(index, hash);
    const uint64_t address = (uint64_t)(uintptr_t)record;
    for (unsigned place = 0; place < BUCKET_SLOT_COUNT; place++) {
        if ((bucket->slots[place] & SLOT_POINTER_MASK) == address) {
            return &bucket->slots[place];
        }
    }
    for (struct hot_unit *unit = chain_unit(bucket->chain); unit != NULL;
         unit = chain_unit(unit->chain)) {
        for (unsigned place = 0; place < UNIT_SLOT_COUNT; place++) {
            if ((unit->slots[place] & SLOT_POINTER_MASK) == address) {
                return &unit->slots[place];
            }
        }
    }
    UNREACHABLE("the record is not in the index");
}

bool index_group_next(const struct hot_index *index, uint64_t *group)
{
    /* An increment from the top bit down: what a table of another size visited before stays before. */
    uint64_t bit = (index->level_mask + 1) >> 1;
    while ((*group & bit) != 0) {
        *group ^= bit;
        bit >>= 1;
    }
    *group |= bit;
    return bit != 0;
}

/* --- looking up -------------------------------------------------------------------------------------------- */

/* Keys are mostly short: words of 8 bytes, the last two overlapping, instead of a call. */
static inline bool bytes_equal(const char *a, const char *b, size_t size)
{
    if (size < 8 || size > 64) {
        return size == 0 || memcmp(a, b, size) == 0;
    }
    uint64_t difference = 0;
    uint64_t word_a;
    uint64_t word_b;
    for (size_t offset = 0; offset + 8 <= size; offset += 8) {
        memcpy(&word_a, a + offset, 8);
        memcpy(&word_b, b + offset, 8);
        difference |= word_a ^ word_b;
    }
    memcpy(&word_a, a + size - 8, 8);
    memcpy(&word_b, b + size - 8, 8);
    return (difference | (word_a ^ word_b)) == 0;
}

static inline bool record_is(const struct hot_record *record, const struct key *key)
{
    return record->key_size == key->size && record->space == key->space &&
           bytes_equal(record_key_data(record), key->data, key->size);
}

static inline unsigned slot_match(const struct hot_bucket *bucket, uint64_t tag, unsigned place)
{
    return (unsigned)(slot_tag(bucket->slots[place]) == tag) << place;
}

/* One bit per slot with this tag. Written out: a loop over constant shifts costs twice as much. */
static inline unsigned bucket_match(const struct hot_bucket *bucket, uint64_t tag)
{
    return slot_match(bucket, tag, 0) | slot_match(bucket, tag, 1) | slot_match(bucket, tag, 2) |
           slot_match(bucket, tag, 3) | slot_match(bucket, tag, 4) | slot_match(bucket, tag, 5) |
           slot_match(bucket, tag, 6);
}
static_assert(BUCKET_SLOT_COUNT == 7, "bucket_match() looks at all of them");

static struct hot_record *find_in_units(
    const struct hot_bucket *bucket, uint64_t tag, const struct key *key)
{
    for (const struct hot_unit *unit = chain_unit(bucket->chain); unit != NULL;
         unit = chain_unit(unit->chain)) {
        for (unsigned place = 0; place < UNIT_SLOT_COUNT; place++) {
            const uint64_t slot = unit->slots[place];
            if (slot_tag(slot) == tag && record_is(slot_record(slot), key)) {
                return slot_record(slot);
            }
        }
    }
    return NULL;
}

struct hot_record *hot_find(const struct hot *hot, const struct key *key)
{
    const struct hot_partition *partition = partition_of(hot, key->hash);
    DCHECK_HELD(hot, partition);
    const struct hot_bucket *bucket = index_bucket(&partition->index, key->hash);
    const uint64_t tag = hash_tag(key->hash);
    for (unsigned matches = bucket_match(bucket, tag); matches != 0; matches &= matches - 1) {
        struct hot_record *record = slot_record(bucket->slots[lowest_bit(matches)]);
        if (likely(record_is(record, key))) {
            return record;
        }
    }
    if (likely((bucket->chain & tag_filter_bit(tag)) == 0)) {
        return NULL;
    }
    return find_in_units(bucket, tag, key);
}

/* --- prefetching ------------------------------------------------------------------------------------------- */

/* Keys whose misses are overlapped. */
#define PREFETCH_GROUP 128
/* Of a value, after the first lines. */
#define PREFETCH_VALUE_MAX ((size_t)4096)
#define CACHE_LINE         ((size_t)64)

static void prefetch_entry(uint64_t slot)
{
    const char *record = (const char *)slot_record(slot);
    prefetch_read(record);
    prefetch_read(record + 64);
    prefetch_read(record + 127); /* records are aligned to 16: 112 bytes may lie in three lines */
}

static const struct hot_bucket *bucket_of(const struct hot *hot, const struct key *key)
{
    const struct hot_partition *partition = partition_of(hot, key->hash);
    DCHECK_HELD(hot, partition);
    return index_bucket(&partition->index, key->hash);
}

/* The record, if the bucket has its tag. True: it may be further along the chain, whose first unit is on its way. */
static inline bool prefetch_from_bucket(const struct hot_bucket *bucket, uint64_t tag)
{
    unsigned matches = bucket_match(bucket, tag);
    if (matches == 0 && (bucket->chain & tag_filter_bit(tag)) != 0) {
        prefetch_read(chain_unit(bucket->chain));
        return true;
    }
    for (; matches != 0; matches &= matches - 1) {
        prefetch_entry(bucket->slots[lowest_bit(matches)]);
    }
    return false;
}

static void prefetch_from_units(const struct hot_bucket *bucket, uint64_t tag)
{
    for (const struct hot_unit *unit = chain_unit(bucket->chain); unit != NULL;
         unit = chain_unit(unit->chain)) {
        for (unsigned place = 0; place < UNIT_SLOT_COUNT; place++) {
            if (slot_tag(unit->slots[place]) == tag) {
                prefetch_entry(unit->slots[place]);
            }
        }
    }
}

static void prefetch_group(const struct hot *hot, const struct key *keys, size_t count)
{
    unsigned chained[PREFETCH_GROUP];
    unsigned chained_count = 0;
    for (size_t index = 0; index < count; index++) {
        prefetch_read(bucket_of(hot, &keys[index]));
    }
    for (unsigned index = 0; index < count; index++) {
        if (prefetch_from_bucket(bucket_of(hot, &keys[index]), hash_tag(keys[index].hash))) {
            chained[chained_count++] = index;
        }
    }
    for (unsigned place = 0; place < chained_count; place++) {
        const struct key *key = &keys[chained[place]];
        prefetch_from_units(bucket_of(hot, key), hash_tag(key->hash));
    }
}

void hot_prefetch(const struct hot *hot, const struct key *keys, size_t count)
{
    for (size_t done = 0; done < count; done += PREFETCH_GROUP) {
        prefetch_group(
            hot, keys + done, count - done < PREFETCH_GROUP ? count - done : PREFETCH_GROUP);
    }
}

void hot_prefetch_value(const struct hot *hot, const struct key *key)
{
    const struct hot_record *record = hot_find(hot, key);
    if (record == NULL) {
        return;
    }
    const char *bytes = (const char *)record;
    size_t size = record_layout_bytes(record);
    if (size > PREFETCH_VALUE_MAX) {
        size = PREFETCH_VALUE_MAX;
    }
    for (size_t offset = 2 * CACHE_LINE; offset < size; offset += CACHE_LINE) {
        prefetch_read(bytes + offset);
    }
}
