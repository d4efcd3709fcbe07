/*
 * set.c: one tree per set, of one of two orders.
 *
 *   "intset"                 integers in ascending order (TREE_SORTED, the number is the prefix)
 *       │ a text is added, or a member too many
 *       ▼
 *   "listpack", "hashtable"  TREE_HASHED; the name changes with the limits, the tree does not
 *
 * There is no way back but set_prefer_integers(). A conversion walks all members, at most set-max-intset-entries of them.
 */
#include "base/check.h"
#include "base/mem.h"
#include "set_internal.h"

/* Redis's bound on set-max-intset-entries. */
#define INTEGER_COUNT_MAX ((uint64_t)1 << 30)

/* Ascending order of the numbers is ascending order of these. */
static uint64_t integer_prefix(int64_t integer)
{
    return (uint64_t)integer ^ (uint64_t)1 << 63;
}

static uint64_t row_prefix(const struct element *row)
{
    return integer_prefix(row->integer);
}

/* The prefix is the whole number. */
static int row_compare(const struct element *row, const void *probe)
{
    (void)row;
    (void)probe;
    return 0;
}

const struct tree_class set_integer_class = {
    .order = TREE_SORTED, .stride = 1, .prefix = row_prefix, .compare = row_compare};
const struct tree_class set_hashed_class = {.order = TREE_HASHED, .stride = 1};

/* --- limits ---------------------------------------------------------------------------------------------------- */

static uint64_t limit_of(const _Atomic int64_t *limit)
{
    const int64_t value = atomic_load_explicit(limit, memory_order_relaxed);
    return value > 0 ? (uint64_t)value : 0;
}

static uint64_t integer_count_max(void)
{
    const uint64_t limit = limit_of(&value_limits.set_max_intset_entries);
    return limit < INTEGER_COUNT_MAX ? limit : INTEGER_COUNT_MAX;
}

static uint64_t compact_count_max(void)
{
    return limit_of(&value_limits.set_max_listpack_entries);
}

static bool is_short(const struct element *member)
{
    return element_text_size(member) <= limit_of(&value_limits.set_max_listpack_value);
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static struct set *create(enum value_encoding encoding)
{
    struct set *const set = mem_alloc(sizeof(*set));
    set->object = (struct value_object){.class = value_class_of(VALUE_SET), .encoding = encoding};
    tree_init(
        &set->tree, encoding == VALUE_ENCODING_INTSET ? &set_integer_class : &set_hashed_class);
    return set;
}

struct set *set_create(enum value_encoding encoding)
{
    CHECK(encoding == VALUE_ENCODING_INTSET || encoding == VALUE_ENCODING_LISTPACK ||
          encoding == VALUE_ENCODING_HASHTABLE);
    return create(encoding);
}

struct set *set_create_for(const struct element *first, uint64_t count_hint)
{
    if (first->is_integer && count_hint <= integer_count_max())
        return create(VALUE_ENCODING_INTSET);
    if (count_hint <= compact_count_max())
        return create(VALUE_ENCODING_LISTPACK);
    return create(VALUE_ENCODING_HASHTABLE);
}

struct set *set_snapshot(const struct set *set)
{
    struct set *const snapshot = mem_alloc(sizeof(*snapshot));
    snapshot->object = set->object;
    tree_snapshot(&set->tree, &snapshot->tree);
    return snapshot;
}

void set_destroy(struct set *set)
{
    if (set == NULL)
        return;
    tree_deinit(&set->tree);
    mem_free(set);
}

struct value set_value(struct set *set)
{
    return (struct value){
        .type = VALUE_SET, .encoding = set->object.encoding, .object = &set->object};
}

struct set *set_of(const struct value *value)
{
    CHECK(value->type == VALUE_SET);
    CHECK(value->object != NULL);
    return CONTAINER_OF(value->object, struct set, object);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

enum value_encoding set_encoding(const struct set *set)
{
    return set->object.encoding;
}

uint64_t set_count(const struct set *set)
{
    return set->tree.count;
}

const struct tree *set_members(const struct set *set)
{
    return &set->tree;
}

static bool holds_integers(const struct set *set)
{
    return set->object.encoding == VALUE_ENCODING_INTSET;
}

/* The place of an integer, or where it would be inserted. */
static bool find_integer(const struct set *set, int64_t integer, struct tree_cursor *cursor)
{
    tree_seek(&set->tree, integer_prefix(integer), NULL, cursor);
    return !tree_cursor_is_end(cursor) && tree_cursor_element(cursor, 0).integer == integer;
}

static bool find(const struct set *set, const struct element *member, struct tree_cursor *cursor)
{
    if (holds_integers(set))
        return member->is_integer && find_integer(set, member->integer, cursor);
    return tree_find(&set->tree, member, cursor);
}

bool set_contains(const struct set *set, const struct element *member)
{
    struct tree_cursor cursor;
    return find(set, member, &cursor);
}

/* --- changing ------------------------------------------------------------------------------------------------------ */

void set_append(struct set *set, const struct element *member)
{
    tree_append(&set->tree, member);
}

/* All members, in their order, to a tree of another order. */
static void rebuild(struct set *set, const struct tree_class *class)
{
    struct tree tree;
    tree_init(&tree, class);
    struct tree_cursor cursor;
    for (tree_cursor_at(&set->tree, 0, &cursor); !tree_cursor_is_end(&cursor);
         (void)tree_cursor_next(&cursor)) {
        const struct element member = tree_cursor_element(&cursor, 0);
        tree_append(&tree, &member);
    }
    tree_deinit(&set->tree);
    set->tree = tree;
}

static void convert(struct set *set, enum value_encoding encoding)
{
    if (holds_integers(set))
        rebuild(set, &set_hashed_class);
    set->object.encoding = encoding;
}

/* The longest text of an intset is that of its least or its greatest member. */
static bool integers_are_short(const struct set *set)
{
    if (set->tree.count == 0)
        return true;
    struct tree_cursor cursor;
    tree_cursor_at(&set->tree, 0, &cursor);
    const struct element least = tree_cursor_element(&cursor, 0);
    tree_cursor_at(&set->tree, set->tree.count - 1, &cursor);
    const struct element greatest = tree_cursor_element(&cursor, 0);
    return is_short(&least) && is_short(&greatest);
}

/* One more member fits into a listpack? */
static bool fits_compact(const struct set *set, const struct element *member)
{
    return set->tree.count < compact_count_max() && is_short(member) &&
           (!holds_integers(set) || integers_are_short(set));
}

static bool add_integer(struct set *set, const struct element *member)
{
    struct tree_cursor cursor;
    if (find_integer(set, member->integer, &cursor))
        return false;
    tree_insert(&set->tree, &cursor, member);
    if (set->tree.count > integer_count_max())
        convert(set, VALUE_ENCODING_HASHTABLE);
    return true;
}

bool set_add(struct set *set, const struct element *member)
{
    if (holds_integers(set)) {
        if (member->is_integer)
            return add_integer(set, member);
        convert(
            set, fits_compact(set, member) ? VALUE_ENCODING_LISTPACK : VALUE_ENCODING_HASHTABLE);
    }
    struct tree_cursor cursor;
    if (tree_find(&set->tree, member, &cursor))
        return false;
    if (set->object.encoding == VALUE_ENCODING_LISTPACK && !fits_compact(set, member))
        set->object.encoding = VALUE_ENCODING_HASHTABLE;
    tree_insert_hashed(&set->tree, member);
    return true;
}

bool set_remove(struct set *set, const struct element *member)
{
    struct tree_cursor cursor;
    if (!find(set, member, &cursor))
        return false;
    tree_delete(&set->tree, &cursor);
    return true;
}

void set_remove_at(struct set *set, uint64_t place)
{
    CHECK(place < set->tree.count);
    struct tree_cursor cursor;
    tree_cursor_at(&set->tree, place, &cursor);
    tree_delete(&set->tree, &cursor);
}

void set_expect(struct set *set, uint64_t count_hint)
{
    const bool is_large =
        holds_integers(set) ? count_hint > integer_count_max() : count_hint > compact_count_max();
    if (is_large && set->object.encoding != VALUE_ENCODING_HASHTABLE)
        convert(set, VALUE_ENCODING_HASHTABLE);
}

static bool has_only_integers(const struct set *set)
{
    struct tree_cursor cursor;
    for (tree_cursor_at(&set->tree, 0, &cursor); !tree_cursor_is_end(&cursor);
         (void)tree_cursor_next(&cursor)) {
        if (!tree_cursor_element(&cursor, 0).is_integer)
            return false;
    }
    return true;
}

void set_prefer_integers(struct set *set)
{
    if (holds_integers(set) || set->tree.count > integer_count_max() || !has_only_integers(set))
        return;
    struct set *const sorted = create(VALUE_ENCODING_INTSET);
    struct tree_cursor cursor;
    for (tree_cursor_at(&set->tree, 0, &cursor); !tree_cursor_is_end(&cursor);
         (void)tree_cursor_next(&cursor)) {
        const struct element member = tree_cursor_element(&cursor, 0);
        struct tree_cursor place;
        CHECK(!find_integer(sorted, member.integer, &place));
        tree_insert(&sorted->tree, &place, &member);
    }
    tree_deinit(&set->tree);
    set->tree = sorted->tree;
    set->object.encoding = VALUE_ENCODING_INTSET;
    mem_free(sorted);
}

void set_check(const struct set *set)
{
    tree_check(&set->tree);
    CHECK(set->object.class == value_class_of(VALUE_SET));
    CHECK(set->tree.class == (holds_integers(set) ? &set_integer_class : &set_hashed_class));
    if (!holds_integers(set))
        return;
    CHECK(has_only_integers(set));
    struct tree_cursor cursor;
    int64_t before = INT64_MIN;
    bool is_first = true;
    for (tree_cursor_at(&set->tree, 0, &cursor); !tree_cursor_is_end(&cursor);
         (void)tree_cursor_next(&cursor)) {
        const int64_t integer = tree_cursor_element(&cursor, 0).integer;
        CHECK(is_first || integer > before);
        before = integer;
        is_first = false;
    }
}

/* --- the class -------------------------------------------------------------------------------------------------------- */

static const struct set *set_of_object(const struct value_object *object)
{
    return (const struct set *)(const void *)object;
}

static void class_destroy(struct value_object *object)
{
    set_destroy(CONTAINER_OF(object, struct set, object));
}

static uint64_t class_effort(const struct value_object *object)
{
    return tree_node_count(&set_of_object(object)->tree);
}

static size_t class_size_bytes(const struct value_object *object)
{
    return sizeof(struct set) + set_of_object(object)->tree.bytes;
}

static uint64_t class_element_count(const struct value_object *object)
{
    return set_of_object(object)->tree.count;
}

static struct value_object *class_snapshot(const struct value_object *object)
{
    return &set_snapshot(set_of_object(object))->object;
}

static void class_encode(const struct value_object *object, struct buf *out)
{
    set_encode(set_of_object(object), out);
}

static enum status class_decode(
    enum value_encoding encoding, struct slice in, struct value_object **object)
{
    struct set *set = NULL;
    const enum status status = set_decode(encoding, in, &set);
    if (status == ST_OK)
        *object = &set->object;
    return status;
}

static const struct value_class set_class = {
    .type = VALUE_SET,
    .destroy = class_destroy,
    .effort = class_effort,
    .size_bytes = class_size_bytes,
    .element_count = class_element_count,
    .snapshot = class_snapshot,
    .encode = class_encode,
    .decode = class_decode,
};

void set_setup(void)
{
    value_class_register(&set_class);
}
