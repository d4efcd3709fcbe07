/*
 * test_stream_model.c: random changes of a stream and of a naive model of it: an array of entries, an array of pending ones.
 */
#include "base/mem.h"
#include "stream_support.h"

#define ENTRY_MAX    4096
#define PENDING_MAX  4096
#define CONSUMER_MAX 5

struct model_entry {
    struct stream_id id;
    unsigned name;
    uint64_t value;
};
struct model_pending {
    struct stream_id id;
    unsigned consumer;
    uint64_t count;
};
struct model {
    struct model_entry entries[ENTRY_MAX];
    size_t entry_count;
    struct model_pending pending[PENDING_MAX];
    size_t pending_count;
    struct stream_id last_id, max_deleted_id;
    uint64_t added;
};

static const char *const consumer_names[CONSUMER_MAX] = {"anna", "ben", "carl", "dora", "eve"};

static void name_text(unsigned name, char out[8])
{
    memcpy(out, "name000", 8);
    out[4] = (char)('0' + name / 100);
    out[5] = (char)('0' + name / 10 % 10);
    out[6] = (char)('0' + name % 10);
}

static void add_one(struct stream *stream, struct model *model, struct random *random)
{
    struct stream_id id = model->last_id;
    if (model->entry_count == ENTRY_MAX)
        return;
    if (random_below(random, 3) == 0)
        id.sequence += 1 + random_below(random, 3);
    else
        id = id_of(id.ms + 1 + random_below(random, 300), random_below(random, 3));
    const unsigned name = (unsigned)random_below(random, random_below(random, 20) == 0 ? 200 : 3);
    const uint64_t value = random_below(random, 1 + (1ULL << random_below(random, 60)));
    char name_bytes[8];
    char value_text[24];
    name_text(name, name_bytes);
    value_text[uint64_to_text(value, value_text)] = '\0';
    add_pair(stream, id, name_bytes, value_text);
    model->entries[model->entry_count++] = (struct model_entry){id, name, value};
    model->last_id = id;
    model->added++;
}

static void delete_one(struct stream *stream, struct model *model, struct random *random)
{
    if (model->entry_count == 0) {
        ck_assert(!stream_delete(stream, id_of(1, 1)));
        return;
    }
    const size_t at = random_below(random, model->entry_count);
    struct stream_id id = model->entries[at].id;
    ck_assert(stream_delete(stream, id));
    model->entry_count--;
    memmove(&model->entries[at], &model->entries[at + 1],
        (model->entry_count - at) * sizeof(model->entries[0]));
    if (stream_id_compare(id, model->max_deleted_id) > 0)
        model->max_deleted_id = id;
}

static void trim_some(struct stream *stream, struct model *model, struct random *random)
{
    struct stream_trim trim = {.kind = STREAM_TRIM_LENGTH};
    size_t gone = 0;
    trim.length = model->entry_count - random_below(random, model->entry_count / 4 + 1);
    gone = model->entry_count - trim.length;
    if (random_below(random, 2) == 0 && model->entry_count > 0) {
        trim.kind = STREAM_TRIM_ID;
        trim.id = model->entries[random_below(random, model->entry_count)].id;
        for (gone = 0; stream_id_compare(model->entries[gone].id, trim.id) < 0;)
            gone++;
    }
    if (random_below(random, 2) == 0) {
        trim.is_approximate = true;
        trim.limit = random_below(random, 3) * 30;
        const uint64_t count = stream_trim_count(stream, &trim);
        ck_assert_uint_le(count, gone);
        ck_assert(trim.limit == 0 || count <= trim.limit);
        gone = count;
    }
    ck_assert_uint_eq(stream_trim(stream, &trim), gone);
    model->entry_count -= gone;
    memmove(model->entries, &model->entries[gone], model->entry_count * sizeof(model->entries[0]));
}

/* The place of an ID, or where it belongs. */
static bool find_pending(const struct model *model, struct stream_id id, size_t *place)
{
    for (*place = 0; *place < model->pending_count; (*place)++) {
        const int order = stream_id_compare(model->pending[*place].id, id);
        if (order >= 0)
            return order == 0;
    }
    return false;
}

static void deliver_one(struct stream *stream, struct model *model, struct random *random)
{
    if (model->entry_count == 0 || model->pending_count == PENDING_MAX)
        return;
    const struct stream_id id = model->entries[random_below(random, model->entry_count)].id;
    const unsigned consumer = (unsigned)random_below(random, CONSUMER_MAX);
    const uint64_t count = random_below(random, 1000);
    struct stream_group *group = stream_group_edit(stream, text("g"));
    struct stream_consumer *owner = stream_consumer_find(group, text(consumer_names[consumer]));
    if (owner == NULL)
        owner = stream_consumer_create(stream, group, text(consumer_names[consumer]), 1);
    const struct stream_pending pending = {
        .id = id, .consumer = owner, .delivery_ms = (int64_t)count * 7, .delivery_count = count};
    stream_pending_set(stream, group, &pending);
    size_t place = 0;
    if (!find_pending(model, id, &place)) {
        memmove(&model->pending[place + 1], &model->pending[place],
            (model->pending_count - place) * sizeof(model->pending[0]));
        model->pending_count++;
    }
    model->pending[place] = (struct model_pending){id, consumer, count};
}

static void remove_pending(struct model *model, size_t place)
{
    model->pending_count--;
    memmove(&model->pending[place], &model->pending[place + 1],
        (model->pending_count - place) * sizeof(model->pending[0]));
}

static void acknowledge_one(struct stream *stream, struct model *model, struct random *random)
{
    struct stream_group *group = stream_group_edit(stream, text("g"));
    if (model->pending_count == 0) {
        ck_assert(!stream_pending_remove(stream, group, id_of(1, 1)));
        return;
    }
    const size_t place = random_below(random, model->pending_count);
    ck_assert(stream_pending_remove(stream, group, model->pending[place].id));
    remove_pending(model, place);
}

static void drop_consumer(struct stream *stream, struct model *model, struct random *random)
{
    const unsigned consumer = (unsigned)random_below(random, CONSUMER_MAX);
    struct stream_group *group = stream_group_edit(stream, text("g"));
    struct stream_consumer *doomed = stream_consumer_find(group, text(consumer_names[consumer]));
    if (doomed == NULL)
        return;
    stream_consumer_destroy(stream, group, doomed);
    for (size_t place = model->pending_count; place-- > 0;) {
        if (model->pending[place].consumer == consumer)
            remove_pending(model, place);
    }
}

static void compare_entries(
    const struct stream *stream, const struct model *model, size_t first, size_t last, bool back)
{
    struct stream_walk walk;
    struct stream_entry entry;
    struct slice name;
    struct slice value;
    stream_walk_begin(&walk, stream, model->entries[first].id, model->entries[last].id, back);
    for (size_t i = 0; i <= last - first; i++) {
        const struct model_entry *const expected = &model->entries[back ? last - i : first + i];
        char name_bytes[8];
        char value_text[24];
        name_text(expected->name, name_bytes);
        value_text[uint64_to_text(expected->value, value_text)] = '\0';
        ck_assert(stream_walk_next(&walk, &entry));
        ck_assert_int_eq(stream_id_compare(entry.id, expected->id), 0);
        ck_assert(stream_entry_next(&entry, &name, &value));
        ck_assert_text_eq(name, name_bytes);
        ck_assert_text_eq(value, value_text);
    }
    ck_assert(!stream_walk_next(&walk, &entry));
}

static void compare(const struct stream *stream, const struct model *model, struct random *random)
{
    stream_check(stream);
    ck_assert_uint_eq(stream_length(stream), model->entry_count);
    ck_assert_int_eq(stream_id_compare(stream->last_id, model->last_id), 0);
    ck_assert_int_eq(stream_id_compare(stream->max_deleted_id, model->max_deleted_id), 0);
    ck_assert_uint_eq(stream->entries_added, model->added);
    if (model->entry_count > 0) {
        const size_t first = random_below(random, model->entry_count);
        const size_t last = first + random_below(random, model->entry_count - first);
        compare_entries(stream, model, first, last, random_below(random, 2) == 0);
        compare_entries(stream, model, 0, model->entry_count - 1, false);
    }
    const struct stream_group *const group = stream_group_find(stream, text("g"));
    struct stream_pending_walk walk;
    struct stream_pending pending;
    stream_pending_begin(&walk, group, NULL, STREAM_ID_MIN);
    for (size_t i = 0; i < model->pending_count; i++) {
        ck_assert(stream_pending_next(&walk, &pending));
        ck_assert_int_eq(stream_id_compare(pending.id, model->pending[i].id), 0);
        ck_assert_text_eq(pending.consumer->name, consumer_names[model->pending[i].consumer]);
        ck_assert_uint_eq(pending.delivery_count, model->pending[i].count);
        ck_assert_int_eq(pending.delivery_ms, (int64_t)model->pending[i].count * 7);
    }
    ck_assert(!stream_pending_next(&walk, &pending));
}

static void change(struct stream *stream, struct model *model, struct random *random)
{
    const uint64_t choice = random_below(random, 100);
    if (choice < 45)
        add_one(stream, model, random);
    else if (choice < 60)
        delete_one(stream, model, random);
    else if (choice < 62)
        trim_some(stream, model, random);
    else if (choice < 85)
        deliver_one(stream, model, random);
    else if (choice < 99)
        acknowledge_one(stream, model, random);
    else
        drop_consumer(stream, model, random);
}

START_TEST(random_changes_agree_with_the_model)
{
    struct random random;
    struct model *model = mem_alloc_zero(sizeof(*model));
    struct model *old = mem_alloc(sizeof(*old));
    test_random_init(&random);
    stream_setup();
    atomic_store(&value_limits.stream_node_max_entries, 1 + (int64_t)random_below(&random, 30));
    struct stream *stream = stream_create();
    ck_assert_ptr_nonnull(stream_group_create(stream, text("g"), STREAM_ID_MIN, -1));
    struct stream *snapshot = NULL;
    for (unsigned round = 0; round < 20000; round++) {
        change(stream, model, &random);
        if (random_below(&random, 500) != 0)
            continue;
        compare(stream, model, &random);
        if (snapshot != NULL)
            compare(snapshot, old, &random);
        stream_destroy(snapshot);
        snapshot = stream_snapshot(stream);
        *old = *model;
        if (random_below(&random, 4) == 0) {
            struct stream *back = round_trip(stream);
            compare(back, model, &random);
            stream_destroy(stream);
            stream = back;
        }
    }
    compare(stream, model, &random);
    stream_destroy(snapshot);
    stream_destroy(stream);
    mem_free(old);
    mem_free(model);
}
END_TEST

TEST_GROUP(stream_model_tests, random_changes_agree_with_the_model)
