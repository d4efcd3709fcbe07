/*
 * test_hot_model.c: random histories against a model that knows, for each key, the truth, what the cold tier has
 * committed, and what a running checkpoint must write.
 *
 * The model is the contract of a checkpoint (I4) and of demotion (I7): every key that was dirty at the flip is imaged
 * exactly once, with the state it had at the flip; a key without an entry is what the cold tier says it is.
 */
#include "base/mem.h"
#include "hot_fixture.h"

#include <stdio.h>

#define SHORT_SIZE_MAX  256
#define KEY_COUNT       1000
#define PARTITION_FIRST 20
#define PARTITION_LAST  21
#ifdef KELVIN_SANITIZE
#    define STEP_COUNT 30000
#else
#    define STEP_COUNT 150000
#endif

/* What a key holds. The bytes follow from the seed; its low byte does not change their number. */
struct content {
    bool exists;
    uint32_t seed;
    uint64_t expire_ms;
};

struct model_key {
    char name[32];
    struct key key;
    struct content truth;
    struct content cold;
    struct content at_flip;
    bool must_image; /* was dirty at the flip */
    bool is_imaged;
    bool has_entry;
    bool is_fetching;
    unsigned pins;
    enum hot_dirty dirty;
};

struct model {
    struct hot *hot;
    struct random random;
    struct model_key *keys;
    bool checkpoint_runs;
    unsigned walk_partition;
    uint64_t walk_cursor;
};

/* --- values ---------------------------------------------------------------------------------------------- */

/* Short strings borrow `bytes`: what is written must not share them with what a hook compares meanwhile. */
static struct value make_value_in(uint32_t seed, char bytes[SHORT_SIZE_MAX])
{
    const uint32_t shape = seed >> 8;
    if (shape % 8 == 0) {
        return value_integer((int64_t)seed * 1000003);
    }
    const bool is_blob = shape % 50 == 1;
    const size_t size = is_blob ? 17000 + shape % 1000 : shape % SHORT_SIZE_MAX;
    if (!is_blob) {
        memset(bytes, (int)(seed & 0xff), size);
        return value_string_raw(slice_of(bytes, size));
    }
    struct blob *blob = blob_create(size);
    ck_assert_ptr_nonnull(blob);
    memset(blob->data, (int)(seed & 0xff), size);
    blob->size = size;
    return value_blob(blob);
}

static struct value make_value(uint32_t seed)
{
    static char bytes[SHORT_SIZE_MAX];
    return make_value_in(seed, bytes);
}

static bool content_equal(const struct content *a, const struct content *b)
{
    if (!a->exists || !b->exists) {
        return a->exists == b->exists;
    }
    return a->seed == b->seed && a->expire_ms == b->expire_ms;
}

static void check_record_holds(const struct hot_record *record, const struct content *content)
{
    if (!content->exists) {
        ck_assert_int_eq(hot_record_state(record), HOT_ABSENT);
        return;
    }
    ck_assert_int_eq(hot_record_state(record), HOT_RESIDENT);
    ck_assert_uint_eq(hot_record_expire_ms(record), content->expire_ms);
    struct value expected = make_value(content->seed);
    const struct value found = hot_record_value(record);
    ck_assert_int_eq(found.encoding, expected.encoding);
    char scratch[24];
    char scratch_expected[24];
    ck_assert(slice_equal(
        value_string_bytes(&found, scratch), value_string_bytes(&expected, scratch_expected)));
    ck_assert_uint_eq(hot_record_value_size(record), value_string_size(&expected));
    value_release(&expected);
}

/* --- the model's view of images ------------------------------------------------------------------------------ */

static struct model_key *key_of_record(struct model *model, const struct hot_record *record)
{
    const struct key key = hot_record_key(record, false);
    for (unsigned index = 0; index < KEY_COUNT; index++) {
        if (key.size == model->keys[index].key.size &&
            memcmp(key.data, model->keys[index].name, key.size) == 0) {
            return &model->keys[index];
        }
    }
    ck_abort_msg("a record of no key");
    return NULL;
}

static void take_image(struct model *model, struct model_key *key, const struct hot_record *record)
{
    ck_assert(model->checkpoint_runs);
    ck_assert(key->must_image);
    ck_assert(!key->is_imaged);
    ck_assert_int_eq(key->dirty, HOT_OLD);
    ck_assert_int_eq(hot_record_dirty(model->hot, record), HOT_OLD);
    check_record_holds(record, &key->at_flip);
    key->is_imaged = true;
}

static void save_image(void *context, const struct hot_record *record)
{
    struct model *model = context;
    take_image(model, key_of_record(model, record), record);
}

/* What a change must have done about the checkpoint. */
static void changed(struct model_key *key)
{
    ck_assert(key->dirty != HOT_OLD || key->is_imaged);
    key->dirty = HOT_DIRTY;
}

/* --- invariants ------------------------------------------------------------------------------------------------- */

static void check_no_entry(const struct model_key *key)
{
    ck_assert(!key->has_entry);
    ck_assert(content_equal(&key->truth, &key->cold));
    ck_assert(!key->is_imaged);
}

static void check_cold_flags(const struct model_key *key, const struct hot_record *record)
{
    const bool will_exist = key->is_imaged && key->at_flip.exists;
    const bool will_not_exist = key->is_imaged && !key->at_flip.exists;
    if (!hot_record_in_cold(record)) {
        ck_assert(!key->cold.exists);
        ck_assert(!will_exist);
    }
    if (hot_record_cold_committed(record) && !will_not_exist) {
        ck_assert(key->cold.exists);
    }
    /* A pending delete whose image is taken is committed as long as the commit has not happened. */
    if (hot_record_cold_committed(record) && will_not_exist) {
        ck_assert(key->cold.exists);
        ck_assert_int_eq(key->dirty, HOT_IMAGED);
    }
}

static void check_key(struct model *model, struct model_key *key)
{
    const struct hot_record *record = hot_find(model->hot, &key->key);
    if (record == NULL) {
        check_no_entry(key);
        return;
    }
    ck_assert(key->has_entry);
    ck_assert_int_eq(hot_record_dirty(model->hot, record), key->dirty);
    check_cold_flags(key, record);
    switch (hot_record_state(record)) {
    case HOT_RESIDENT:
    case HOT_ABSENT: check_record_holds(record, &key->truth); break;
    case HOT_STUB: {
        ck_assert(key->truth.exists);
        ck_assert_uint_eq(hot_record_expire_ms(record), key->truth.expire_ms);
        struct value value = make_value(key->truth.seed);
        ck_assert_uint_eq(hot_record_value_size(record), value_string_size(&value));
        value_release(&value);
        break;
    }
    case HOT_FETCHING:
        ck_assert(key->is_fetching);
        ck_assert_ptr_eq(hot_fetch_owner(record), key);
        break;
    }
    if (key->dirty == HOT_CLEAN) {
        ck_assert(content_equal(&key->truth, &key->cold));
    }
}

static void check_all(struct model *model)
{
    uint64_t entry_count = 0;
    uint64_t dirty_count = 0;
    for (unsigned index = 0; index < KEY_COUNT; index++) {
        struct model_key *key = &model->keys[index];
        check_key(model, key);
        entry_count += key->has_entry;
        dirty_count += key->has_entry && key->dirty != HOT_CLEAN;
    }
    struct hot_metrics metrics;
    hot_metrics_read(model->hot, &metrics);
    ck_assert_uint_eq(metrics.entry_count, entry_count);
    ck_assert_uint_eq(metrics.dirty_count, dirty_count);
    for (unsigned partition = PARTITION_FIRST; partition <= PARTITION_LAST; partition++) {
        hot_check(model->hot, partition);
    }
}

/* --- steps ---------------------------------------------------------------------------------------------------- */

static struct content random_content(struct model *model)
{
    return (struct content){
        .exists = true,
        .seed = (uint32_t)random_next(&model->random),
        .expire_ms = random_below(&model->random, 3) == 0 ? random_next(&model->random) | 1 : 0,
    };
}

static void step_write(struct model *model, struct model_key *key, struct hot_record *record)
{
    key->truth = random_content(model);
    char bytes[SHORT_SIZE_MAX];
    record = hot_write(model->hot, &key->key, record, make_value_in(key->truth.seed, bytes),
        key->truth.expire_ms, key->cold.exists || random_below(&model->random, 10) == 0);
    ck_assert_ptr_eq(hot_find(model->hot, &key->key), record);
    key->has_entry = true;
    changed(key);
}

static void step_expire(struct model *model, struct model_key *key, struct hot_record *record)
{
    key->truth.expire_ms = random_below(&model->random, 2) * random_next(&model->random);
    record = hot_expire_set(model->hot, &key->key, record, key->truth.expire_ms);
    ck_assert_ptr_eq(hot_find(model->hot, &key->key), record);
    changed(key);
}

static void step_edit(struct model *model, struct model_key *key, struct hot_record *record)
{
    hot_edit(model->hot, &key->key, record);
    const struct value value = hot_record_value(record);
    const size_t before = value_external_bytes(&value);
    if (value.encoding != VALUE_ENCODING_INT && value.bytes.size > 0) {
        key->truth.seed ^= 1;
        memset(
            (char *)(uintptr_t)value.bytes.data, (int)(key->truth.seed & 0xff), value.bytes.size);
    }
    hot_edit_done(model->hot, record, before);
    changed(key);
}

static void step_delete(struct model *model, struct model_key *key, struct hot_record *record)
{
    struct value taken;
    const bool take = random_below(&model->random, 2) == 0;
    hot_delete(model->hot, &key->key, record, take ? &taken : NULL);
    if (take) {
        value_release(&taken);
    }
    key->truth.exists = false;
    changed(key);
    const struct hot_record *left = hot_find(model->hot, &key->key);
    key->has_entry = left != NULL;
    if (left == NULL) {
        ck_assert_uint_eq(key->pins, 0);
        key->dirty = HOT_CLEAN;
    } else if (!hot_record_in_cold(left)) {
        ck_assert_uint_gt(key->pins, 0);
        key->dirty = HOT_CLEAN;
    }
}

static struct hot_content content_in_cold(struct model *model, const struct model_key *key)
{
    struct hot_content content = {.state = HOT_ABSENT};
    if (!key->cold.exists) {
        return content;
    }
    content.expire_ms = key->cold.expire_ms;
    struct value value = make_value(key->cold.seed);
    if (random_below(&model->random, 3) == 0) {
        content.state = HOT_STUB;
        content.type = value.type;
        content.encoding = value.encoding;
        content.value_size = value_string_size(&value);
        value_release(&value);
        return content;
    }
    content.state = HOT_RESIDENT;
    content.value = value;
    content.prefetched = random_below(&model->random, 4) == 0;
    content.heat.queue = (enum hot_queue)random_below(&model->random, 3);
    content.heat.frequency = (uint8_t)random_below(&model->random, 4);
    return content;
}

static void step_fetch(struct model *model, struct model_key *key)
{
    if (random_below(&model->random, 5) == 0) {
        const struct hot_content content = content_in_cold(model, key);
        (void)hot_restore(model->hot, &key->key, &content);
    } else {
        (void)hot_fetch_begin(model->hot, &key->key, key);
        key->is_fetching = true;
    }
    key->has_entry = true;
    key->dirty = HOT_CLEAN;
}

static void step_install(struct model *model, struct model_key *key, struct hot_record *record)
{
    key->is_fetching = false;
    if (key->pins == 0 && random_below(&model->random, 5) == 0) {
        ck_assert_ptr_null(hot_install(model->hot, &key->key, record, NULL));
        key->has_entry = false;
        return;
    }
    const struct hot_content content = content_in_cold(model, key);
    record = hot_install(model->hot, &key->key, record, &content);
    ck_assert_ptr_eq(hot_find(model->hot, &key->key), record);
}

static void step_demote_record(
    struct model *model, struct model_key *key, struct hot_record *record)
{
    const bool demoted = hot_demote_record(model->hot, &key->key, record);
    ck_assert_int_eq(demoted, key->dirty == HOT_CLEAN && key->pins == 0);
    key->has_entry = !demoted;
}

static void step_pin(struct model *model, struct model_key *key, struct hot_record *record)
{
    if (key->pins > 0 && random_below(&model->random, 3) > 0) {
        hot_unpin(record);
        key->pins--;
    } else {
        ck_assert(hot_pin(record));
        key->pins++;
    }
}

static void step_on_entry(struct model *model, struct model_key *key, struct hot_record *record)
{
    const uint64_t choice = random_below(&model->random, 100);
    const enum hot_state state = hot_record_state(record);
    if (state == HOT_FETCHING) {
        step_install(model, key, record);
    } else if (choice < 10) {
        step_demote_record(model, key, record);
    } else if (choice < 18) {
        step_pin(model, key, record);
    } else if (choice < 30) {
        (void)hot_touch(model->hot, record, (uint32_t)choice);
    } else if (choice < 50 && state == HOT_STUB) {
        (void)hot_fetch_upgrade(model->hot, &key->key, record, key);
        key->is_fetching = true;
    } else if (choice < 45 && state == HOT_RESIDENT) {
        step_expire(model, key, record);
    } else if (choice < 55 && state == HOT_RESIDENT) {
        step_edit(model, key, record);
    } else if (choice < 75 && state != HOT_ABSENT) {
        step_delete(model, key, record);
    } else {
        step_write(model, key, record);
    }
}

static void step_on_key(struct model *model)
{
    struct model_key *key = &model->keys[random_below(&model->random, KEY_COUNT)];
    struct hot_record *record = hot_find(model->hot, &key->key);
    const uint64_t choice = random_below(&model->random, 100);
    if (record != NULL) {
        step_on_entry(model, key, record);
    } else if (choice < 40) {
        step_write(model, key, NULL);
    } else if (choice < 50 && key->cold.exists) {
        hot_delete_cold(model->hot, &key->key);
        key->truth.exists = false;
        key->has_entry = true;
        changed(key);
    } else {
        step_fetch(model, key);
    }
    check_key(model, key);
}

static void step_demote(struct model *model)
{
    const unsigned partition = PARTITION_FIRST + (unsigned)random_below(&model->random, 2);
    const size_t step_max = random_below(&model->random, 50);
    struct hot_demotion demotion;
    hot_demote(model->hot, partition, random_below(&model->random, 5000), step_max, &demotion);
    ck_assert_uint_le(demotion.examined_count, step_max);
    for (unsigned index = 0; index < KEY_COUNT; index++) {
        struct model_key *key = &model->keys[index];
        if (key->has_entry && hot_find(model->hot, &key->key) == NULL) {
            ck_assert_int_eq(key->dirty, HOT_CLEAN);
            ck_assert_uint_eq(key->pins, 0);
            ck_assert(!key->is_fetching);
            key->has_entry = false;
        }
    }
}

/* --- checkpoints --------------------------------------------------------------------------------------------- */

static void step_flip(struct model *model)
{
    hot_epoch_flip(model->hot);
    model->checkpoint_runs = true;
    model->walk_partition = PARTITION_FIRST;
    model->walk_cursor = 0;
    for (unsigned index = 0; index < KEY_COUNT; index++) {
        struct model_key *key = &model->keys[index];
        key->at_flip = key->truth;
        key->is_imaged = false;
        key->must_image = key->has_entry && key->dirty == HOT_DIRTY;
        if (key->must_image) {
            key->dirty = HOT_OLD;
        }
    }
}

static void image_visited(void *context, struct hot_record *record)
{
    struct model *model = context;
    struct model_key *key = key_of_record(model, record);
    take_image(model, key, record);
    const struct key name = hot_record_key(record, true);
    hot_mark_imaged(model->hot, &name, record);
    key->dirty = HOT_IMAGED;
}

static void finish(struct model *model, bool committed)
{
    for (unsigned index = 0; index < KEY_COUNT; index++) {
        struct model_key *key = &model->keys[index];
        struct hot_record *record = hot_find(model->hot, &key->key);
        if (committed) {
            ck_assert_int_eq(key->must_image, key->is_imaged);
            if (key->is_imaged) {
                key->cold = key->at_flip;
            }
        }
        key->must_image = false;
        key->is_imaged = false;
        if (record == NULL) {
            continue;
        }
        if (!committed) {
            hot_mark_dirty_again(model->hot, &key->key, record);
            if (key->dirty != HOT_CLEAN) {
                key->dirty = HOT_DIRTY;
            }
            continue;
        }
        hot_mark_committed(model->hot, &key->key, record);
        if (key->dirty == HOT_IMAGED) {
            key->dirty = HOT_CLEAN;
            key->has_entry = key->truth.exists || key->pins > 0;
        }
    }
    model->checkpoint_runs = false;
}

static void step_checkpoint(struct model *model)
{
    if (!model->checkpoint_runs) {
        step_flip(model);
        return;
    }
    if (random_below(&model->random, 200) == 0) {
        finish(model, false);
        return;
    }
    if (model->walk_partition > PARTITION_LAST) {
        finish(model, true);
        return;
    }
    if (!hot_visit_old(model->hot, model->walk_partition, &model->walk_cursor,
            1 + random_below(&model->random, 10), image_visited, model)) {
        model->walk_partition++;
        model->walk_cursor = 0;
    }
}

START_TEST(random_histories_keep_truth_images_and_cold_tier_in_agreement)
{
    struct model model = {0};
    test_random_init(&model.random);
    const struct hot_config config = {
        .single_stripe = false, .save_image = save_image, .context = &model};
    model.hot = hot_create(&config);
    model.keys = mem_alloc_zero(KEY_COUNT * sizeof(model.keys[0]));
    hot_lock(model.hot, hot_stripes_all(model.hot));
    unsigned n[2] = {0, 0};
    for (unsigned index = 0; index < KEY_COUNT; index++) {
        struct model_key *key = &model.keys[index];
        key->key = key_in_partition(
            key->name, index % 2 == 0 ? "a" : "b", PARTITION_FIRST + index % 2, &n[index % 2]);
    }
    for (unsigned step = 0; step < STEP_COUNT; step++) {
        const uint64_t choice = random_below(&model.random, 1000);
        if (choice < 20) {
            step_checkpoint(&model);
        } else if (choice < 30) {
            step_demote(&model);
        } else {
            step_on_key(&model);
        }
        if (step % 1000 == 0) {
            check_all(&model);
        }
    }
    check_all(&model);
    hot_unlock(model.hot, hot_stripes_all(model.hot));
    hot_destroy(model.hot);
    mem_free(model.keys);
}
END_TEST

TEST_MAIN("hot_model", random_histories_keep_truth_images_and_cold_tier_in_agreement)
