/*
 * dict.c: fields, values, and the ends of fields.
 *
 * (1) A row of `times` is of a field that is in `fields`; `times` and `deadlines` hold the same pairs.
 * (2) dict->times is NULL when no field has an expiry: a hash without them pays a pointer.
 * (3) Encoding "listpack" means: within the limits at each change, and there was never an expiry.
 */
#include "base/check.h"
#include "base/mem.h"
#include "dict_internal.h"

/* --- the trees' classes ------------------------------------------------------------------------------------------ */

static const struct tree_class hashed_class = {.order = TREE_HASHED, .stride = DICT_STRIDE};

/*
 * By time; and among fields of one time, which are many when a command sets them together, by hash: rows of the same prefix are found
 * only by looking at them.
 */
#define DEADLINE_HASH_BITS 18
static_assert(DICT_EXPIRE_MAX == UINT64_MAX >> DEADLINE_HASH_BITS, "time and hash fill a prefix");

static uint64_t prefix_of(uint64_t expire_ms, const struct element *field)
{
    return expire_ms << DEADLINE_HASH_BITS | element_hash(field) >> (64 - DEADLINE_HASH_BITS);
}

static uint64_t deadline_prefix(const struct element *row)
{
    return prefix_of((uint64_t)row[DICT_DEADLINE_TIME].integer, &row[DICT_DEADLINE_FIELD]);
}

static int deadline_compare(const struct element *row, const void *probe)
{
    return element_compare(&row[DICT_DEADLINE_FIELD], probe);
}

static const struct tree_class deadlines_class = {
    .order = TREE_SORTED,
    .stride = DICT_STRIDE,
    .prefix = deadline_prefix,
    .compare = deadline_compare,
};

/* --- life ------------------------------------------------------------------------------------------------------------ */

static const struct value_class dict_class;

struct dict *dict_create_as(enum value_encoding encoding)
{
    struct dict *const dict = mem_alloc(sizeof(*dict));
    *dict = (struct dict){.object = {.class = &dict_class, .encoding = encoding}};
    tree_init(&dict->fields, &hashed_class);
    return dict;
}

struct dict *dict_create(void)
{
    return dict_create_as(VALUE_ENCODING_LISTPACK);
}

static void drop_times(struct dict *dict)
{
    if (dict->times == NULL)
        return;
    tree_deinit(&dict->times->times);
    tree_deinit(&dict->times->deadlines);
    mem_free(dict->times);
    dict->times = NULL;
}

void dict_destroy(struct dict *dict)
{
    if (dict == NULL)
        return;
    drop_times(dict);
    tree_deinit(&dict->fields);
    mem_free(dict);
}

static const struct dict *dict_of_object(const struct value_object *object)
{
    CHECK(object->class == &dict_class);
    return (const struct dict *)(const void *)object;
}

struct dict *dict_of(const struct value *value)
{
    CHECK(value->type == VALUE_HASH);
    CHECK(value->object != NULL);
    return CONTAINER_OF(value->object, struct dict, object);
}

struct value dict_value(struct dict *dict)
{
    return (struct value){
        .type = VALUE_HASH, .encoding = dict->object.encoding, .object = &dict->object};
}

struct dict *dict_snapshot(const struct dict *dict)
{
    struct dict *const snapshot = mem_alloc(sizeof(*snapshot));
    *snapshot = (struct dict){.object = dict->object};
    tree_snapshot(&dict->fields, &snapshot->fields);
    if (dict->times != NULL) {
        snapshot->times = mem_alloc(sizeof(*snapshot->times));
        tree_snapshot(&dict->times->times, &snapshot->times->times);
        tree_snapshot(&dict->times->deadlines, &snapshot->times->deadlines);
    }
    return snapshot;
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

static bool time_is_over(uint64_t expire_ms, uint64_t now_ms)
{
    return expire_ms != 0 && expire_ms < now_ms;
}

enum value_encoding dict_encoding(const struct dict *dict)
{
    return dict->object.encoding;
}

uint64_t dict_count(const struct dict *dict)
{
    return dict->fields.count;
}

uint64_t dict_soonest_ms(const struct dict *dict)
{
    if (dict->times == NULL)
        return 0;
    struct tree_cursor cursor;
    tree_cursor_at(&dict->times->deadlines, 0, &cursor);
    return (uint64_t)tree_cursor_element(&cursor, DICT_DEADLINE_TIME).integer;
}

bool dict_has_over(const struct dict *dict, uint64_t now_ms)
{
    return time_is_over(dict_soonest_ms(dict), now_ms);
}

uint64_t dict_live_count(const struct dict *dict, uint64_t now_ms)
{
    if (!dict_has_over(dict, now_ms))
        return dict->fields.count;
    if (now_ms > DICT_EXPIRE_MAX)
        return dict->fields.count - dict->times->deadlines.count;
    /* The first that is not over: no field is before the empty one. */
    const struct element first = element_of(slice_of("", 0));
    struct tree_cursor cursor;
    tree_seek(&dict->times->deadlines, now_ms << DEADLINE_HASH_BITS, &first, &cursor);
    return dict->fields.count - tree_cursor_rank(&cursor);
}

uint64_t dict_expire_ms(const struct dict *dict, const struct element *field)
{
    struct tree_cursor cursor;
    if (dict->times == NULL || !tree_find(&dict->times->times, field, &cursor))
        return 0;
    return (uint64_t)tree_cursor_element(&cursor, DICT_TIME).integer;
}

bool dict_is_over(const struct dict *dict, const struct element *field, uint64_t now_ms)
{
    return dict->times != NULL && time_is_over(dict_expire_ms(dict, field), now_ms);
}

bool dict_get(
    const struct dict *dict, const struct element *field, uint64_t now_ms, struct element *value)
{
    struct tree_cursor cursor;
    if (!tree_find(&dict->fields, field, &cursor) || dict_is_over(dict, field, now_ms))
        return false;
    *value = tree_cursor_element(&cursor, DICT_VALUE);
    return true;
}

enum dict_presence dict_presence(
    const struct dict *dict, const struct element *field, uint64_t now_ms)
{
    struct tree_cursor cursor;
    if (!tree_find(&dict->fields, field, &cursor))
        return DICT_ABSENT;
    return dict_is_over(dict, field, now_ms) ? DICT_OVER : DICT_LIVE;
}

const struct tree *dict_fields(const struct dict *dict)
{
    return &dict->fields;
}

/* --- changing ------------------------------------------------------------------------------------------------------ */

static int64_t limit(const _Atomic int64_t *option)
{
    return atomic_load_explicit(option, memory_order_relaxed);
}

static bool is_longer(const struct element *element, int64_t size_max)
{
    const size_t size = element_text_size(element);
    return size_max < 0 || size > (size_t)size_max;
}

static void note_limits(struct dict *dict, const struct element *field, const struct element *value)
{
    if (dict->object.encoding == VALUE_ENCODING_HASHTABLE)
        return;
    const int64_t size_max = limit(&value_limits.hash_max_listpack_value);
    const int64_t entry_max = limit(&value_limits.hash_max_listpack_entries);
    if (is_longer(field, size_max) || is_longer(value, size_max) || entry_max < 0 ||
        dict->fields.count > (uint64_t)entry_max)
        dict->object.encoding = VALUE_ENCODING_HASHTABLE;
}

void dict_add_time(struct dict *dict, const struct element *field, uint64_t expire_ms)
{
    if (dict->times == NULL) {
        dict->times = mem_alloc(sizeof(*dict->times));
        tree_init(&dict->times->times, &hashed_class);
        tree_init(&dict->times->deadlines, &deadlines_class);
    }
    if (dict->object.encoding == VALUE_ENCODING_LISTPACK)
        dict->object.encoding = VALUE_ENCODING_LISTPACK_EX;
    const struct element time = element_of_integer((int64_t)expire_ms);
    const struct element row[DICT_STRIDE] = {*field, time};
    tree_insert_hashed(&dict->times->times, row);
    const struct element deadline[DICT_STRIDE] = {time, *field};
    struct tree_cursor cursor;
    tree_seek(&dict->times->deadlines, prefix_of(expire_ms, field), field, &cursor);
    tree_insert(&dict->times->deadlines, &cursor, deadline);
}

static void remove_deadline(
    struct dict_times *times, const struct element *field, uint64_t expire_ms)
{
    struct tree_cursor cursor;
    tree_seek(&times->deadlines, prefix_of(expire_ms, field), field, &cursor);
    CHECK(!tree_cursor_is_end(&cursor));
    const struct element found = tree_cursor_element(&cursor, DICT_DEADLINE_FIELD);
    CHECK(element_equal(&found, field));
    tree_delete(&times->deadlines, &cursor);
}

static void remove_time(struct dict *dict, const struct element *field)
{
    struct tree_cursor cursor;
    if (dict->times == NULL || !tree_find(&dict->times->times, field, &cursor))
        return;
    const uint64_t expire_ms = (uint64_t)tree_cursor_element(&cursor, DICT_TIME).integer;
    tree_delete(&dict->times->times, &cursor);
    remove_deadline(dict->times, field, expire_ms);
    if (dict->times->times.count == 0)
        drop_times(dict);
}

bool dict_set(struct dict *dict, const struct element *field, const struct element *value,
    enum dict_keep keep)
{
    struct tree_cursor cursor;
    const bool is_new = !tree_find(&dict->fields, field, &cursor);
    if (is_new) {
        const struct element row[DICT_STRIDE] = {*field, *value};
        tree_insert_found(&dict->fields, &cursor, row);
    } else {
        tree_replace(&dict->fields, &cursor, DICT_VALUE, value);
        if (keep == DICT_CLEAR_EXPIRY)
            remove_time(dict, field);
    }
    note_limits(dict, field, value);
    return is_new;
}

bool dict_remove(struct dict *dict, const struct element *field)
{
    struct tree_cursor cursor;
    if (!tree_find(&dict->fields, field, &cursor))
        return false;
    /* Before the row goes, which the field given may be part of. */
    remove_time(dict, field);
    tree_delete(&dict->fields, &cursor);
    return true;
}

void dict_expire_set(struct dict *dict, const struct element *field, uint64_t expire_ms)
{
    CHECK(expire_ms <= DICT_EXPIRE_MAX);
    DCHECK(dict_presence(dict, field, 0) == DICT_LIVE);
    remove_time(dict, field);
    if (expire_ms != 0)
        dict_add_time(dict, field, expire_ms);
}

static void remove_field_row(struct dict *dict, const struct element *field)
{
    struct tree_cursor cursor;
    const bool is_there = tree_find(&dict->fields, field, &cursor);
    CHECK(is_there);
    tree_delete(&dict->fields, &cursor);
}

size_t dict_expire(
    struct dict *dict, uint64_t now_ms, size_t max, value_removed_fn removed, void *context)
{
    size_t count = 0;
    while (count < max && dict_has_over(dict, now_ms)) {
        struct tree *const deadlines = &dict->times->deadlines;
        struct tree_cursor cursor;
        struct tree_cursor time;
        tree_cursor_at(deadlines, 0, &cursor);
        /* Borrowed from deadlines, whose row goes last. */
        const struct element field = tree_cursor_element(&cursor, DICT_DEADLINE_FIELD);
        char scratch[ELEMENT_TEXT_MAX];
        if (removed != NULL)
            removed(context, element_text(&field, scratch));
        remove_field_row(dict, &field);
        const bool is_there = tree_find(&dict->times->times, &field, &time);
        CHECK(is_there);
        tree_delete(&dict->times->times, &time);
        tree_delete(deadlines, &cursor);
        if (dict->times->times.count == 0)
            drop_times(dict);
        count++;
    }
    return count;
}

/* --- checking -------------------------------------------------------------------------------------------------------- */

static void check_times(const struct dict *dict)
{
    const struct dict_times *const times = dict->times;
    tree_check(&times->times);
    tree_check(&times->deadlines);
    CHECK(times->times.count > 0);
    CHECK(times->times.count == times->deadlines.count);
    CHECK(dict->object.encoding != VALUE_ENCODING_LISTPACK);
    struct tree_cursor cursor;
    struct element row[DICT_STRIDE];
    tree_cursor_at(&times->deadlines, 0, &cursor);
    for (uint64_t i = 0; i < times->deadlines.count; i++) {
        tree_cursor_row(&cursor, row);
        const uint64_t expire_ms = (uint64_t)row[DICT_DEADLINE_TIME].integer;
        CHECK(expire_ms != 0);
        CHECK(expire_ms <= DICT_EXPIRE_MAX);
        CHECK(dict_expire_ms(dict, &row[DICT_DEADLINE_FIELD]) == expire_ms);
        CHECK(dict_presence(dict, &row[DICT_DEADLINE_FIELD], 0) == DICT_LIVE);
        (void)tree_cursor_next(&cursor);
    }
}

void dict_check(const struct dict *dict)
{
    tree_check(&dict->fields);
    CHECK(dict->object.class == &dict_class);
    CHECK(dict->object.encoding == VALUE_ENCODING_LISTPACK ||
          dict->object.encoding == VALUE_ENCODING_LISTPACK_EX ||
          dict->object.encoding == VALUE_ENCODING_HASHTABLE);
    if (dict->times != NULL)
        check_times(dict);
}

/* --- the value class ---------------------------------------------------------------------------------------------------- */

static void object_destroy(struct value_object *object)
{
    CHECK(object->class == &dict_class);
    dict_destroy(CONTAINER_OF(object, struct dict, object));
}

static uint64_t object_effort(const struct value_object *object)
{
    const struct dict *const dict = dict_of_object(object);
    uint64_t effort = tree_node_count(&dict->fields);
    if (dict->times != NULL)
        effort += tree_node_count(&dict->times->times) + tree_node_count(&dict->times->deadlines);
    return effort;
}

static size_t object_size_bytes(const struct value_object *object)
{
    const struct dict *const dict = dict_of_object(object);
    size_t size_bytes = mem_good_size(sizeof(*dict)) + dict->fields.bytes;
    if (dict->times != NULL)
        size_bytes += mem_good_size(sizeof(*dict->times)) + dict->times->times.bytes +
                      dict->times->deadlines.bytes;
    return size_bytes;
}

static uint64_t object_element_count(const struct value_object *object)
{
    return dict_count(dict_of_object(object));
}

static struct value_object *object_snapshot(const struct value_object *object)
{
    return &dict_snapshot(dict_of_object(object))->object;
}

static void object_encode(const struct value_object *object, struct buf *out)
{
    dict_encode(dict_of_object(object), out);
}

static enum status object_decode(
    enum value_encoding encoding, struct slice in, struct value_object **object)
{
    struct dict *dict = NULL;
    const enum status status = dict_decode(encoding, in, &dict);
    if (status == ST_OK)
        *object = &dict->object;
    return status;
}

static uint64_t object_part_expire_ms(const struct value_object *object)
{
    return dict_soonest_ms(dict_of_object(object));
}

static size_t object_part_expire(struct value_object *object, uint64_t now_ms, size_t max,
    value_removed_fn removed, void *context)
{
    CHECK(object->class == &dict_class);
    return dict_expire(CONTAINER_OF(object, struct dict, object), now_ms, max, removed, context);
}

static const struct value_class dict_class = {
    .type = VALUE_HASH,
    .destroy = object_destroy,
    .effort = object_effort,
    .size_bytes = object_size_bytes,
    .element_count = object_element_count,
    .snapshot = object_snapshot,
    .encode = object_encode,
    .decode = object_decode,
    .part_expire_ms = object_part_expire_ms,
    .part_expire = object_part_expire,
};

void dict_setup(void)
{
    value_class_register(&dict_class);
}
