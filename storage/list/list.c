/*
 * list.c: lists: a tree of places under an object head.
 *
 *   struct list ─► [ head | tree ] ─► leaves of packed elements
 *
 * Both ends are the first and last leaf: a push or pop costs one path of the tree and no allocation but for every few hundredth. The encoding
 * is always called "quicklist": the name that Redis 7.0 gives lists of every size (7.2 says "listpack" of small ones). It would mean nothing
 * here: a small list is a single leaf, and becomes a tree when it no longer fits.
 */
#include "base/check.h"
#include "base/mem.h"
#include "list_internal.h"

static const struct tree_class list_tree_class = {.order = TREE_PLACED, .stride = 1};

static void class_destroy(struct value_object *object);
static uint64_t class_effort(const struct value_object *object);
static size_t class_size_bytes(const struct value_object *object);
static uint64_t class_element_count(const struct value_object *object);
static struct value_object *class_snapshot(const struct value_object *object);

static const struct value_class list_class = {
    .type = VALUE_LIST,
    .destroy = class_destroy,
    .effort = class_effort,
    .size_bytes = class_size_bytes,
    .element_count = class_element_count,
    .snapshot = class_snapshot,
    .encode = list_encode,
    .decode = list_decode,
};

static struct list *to_list(struct value_object *object)
{
    CHECK(object->class == &list_class);
    return CONTAINER_OF(object, struct list, object);
}

static const struct list *to_const_list(const struct value_object *object)
{
    CHECK(object->class == &list_class);
    return (const struct list *)(const void *)object;
}

void list_setup(void)
{
    value_class_register(&list_class);
}

static struct list *create_head(void)
{
    struct list *list = mem_alloc(sizeof(*list));
    list->object =
        (struct value_object){.class = &list_class, .encoding = VALUE_ENCODING_QUICKLIST};
    return list;
}

struct list *list_create(void)
{
    struct list *list = create_head();
    tree_init(&list->elements, &list_tree_class);
    return list;
}

void list_destroy(struct list *list)
{
    if (list == NULL)
        return;
    tree_deinit(&list->elements);
    mem_free(list);
}

struct value list_value(struct list *list)
{
    return (struct value){
        .type = VALUE_LIST, .encoding = list->object.encoding, .object = &list->object};
}

struct list *list_of(const struct value *value)
{
    CHECK(value->type == VALUE_LIST);
    CHECK(value->object != NULL);
    return to_list(value->object);
}

/* --- the class ---------------------------------------------------------------------------------------------- */

static void class_destroy(struct value_object *object)
{
    list_destroy(to_list(object));
}

static uint64_t class_effort(const struct value_object *object)
{
    return tree_node_count(&to_const_list(object)->elements) + 1;
}

static size_t class_size_bytes(const struct value_object *object)
{
    return mem_good_size(sizeof(struct list)) + to_const_list(object)->elements.bytes;
}

static uint64_t class_element_count(const struct value_object *object)
{
    return list_count(to_const_list(object));
}

static struct value_object *class_snapshot(const struct value_object *object)
{
    struct list *copy = create_head();
    copy->object.encoding = object->encoding;
    tree_snapshot(&to_const_list(object)->elements, &copy->elements);
    return &copy->object;
}

/* --- single elements ------------------------------------------------------------------------------------------ */

/* The last row is next to the end, which is found without looking at the ranks of nodes. */
static void place(const struct list *list, uint64_t rank, struct tree_cursor *cursor)
{
    CHECK(rank < list_count(list));
    if (rank > 0 && rank == list_count(list) - 1) {
        tree_cursor_at(&list->elements, rank + 1, cursor);
        (void)tree_cursor_previous(cursor);
    } else {
        tree_cursor_at(&list->elements, rank, cursor);
    }
}

struct element list_at(const struct list *list, uint64_t rank)
{
    struct tree_cursor cursor;
    place(list, rank, &cursor);
    return tree_cursor_element(&cursor, 0);
}

void list_insert(struct list *list, uint64_t rank, const struct element *element)
{
    CHECK(rank <= list_count(list));
    if (rank == list_count(list)) {
        tree_append(&list->elements, element);
        return;
    }
    struct tree_cursor cursor;
    tree_cursor_at(&list->elements, rank, &cursor);
    tree_insert(&list->elements, &cursor, element);
}

void list_push(struct list *list, enum list_end end, const struct element *element)
{
    list_insert(list, end == LIST_HEAD ? 0 : list_count(list), element);
}

void list_replace(struct list *list, uint64_t rank, const struct element *element)
{
    struct tree_cursor cursor;
    place(list, rank, &cursor);
    tree_replace(&list->elements, &cursor, 0, element);
}

/* --- many ------------------------------------------------------------------------------------------------------- */

void list_drop(struct list *list, enum list_end end, uint64_t count)
{
    CHECK(count <= list_count(list));
    if (count == 0)
        return;
    const uint64_t rank = end == LIST_HEAD ? 0 : list_count(list) - count;
    if (count > 1) {
        tree_delete_range(&list->elements, rank, count);
        return;
    }
    struct tree_cursor cursor;
    place(list, rank, &cursor);
    tree_delete(&list->elements, &cursor);
}

static uint64_t remove_from_head(struct list *list, const struct element *element, uint64_t limit)
{
    struct tree_cursor cursor;
    uint64_t removed = 0;
    tree_cursor_at(&list->elements, 0, &cursor);
    while (removed < limit && !tree_cursor_is_end(&cursor)) {
        const struct element found = tree_cursor_element(&cursor, 0);
        if (element_equal(&found, element)) {
            tree_delete(&list->elements, &cursor);
            removed++;
        } else {
            (void)tree_cursor_next(&cursor);
        }
    }
    return removed;
}

static uint64_t remove_from_tail(struct list *list, const struct element *element, uint64_t limit)
{
    struct tree_cursor cursor;
    uint64_t removed = 0;
    tree_cursor_at(&list->elements, list_count(list), &cursor);
    while (removed < limit && tree_cursor_previous(&cursor)) {
        const struct element found = tree_cursor_element(&cursor, 0);
        if (element_equal(&found, element)) {
            tree_delete(&list->elements, &cursor);
            removed++;
        }
    }
    return removed;
}

uint64_t list_remove(
    struct list *list, const struct element *element, enum list_end from, uint64_t limit)
{
    if (limit == 0)
        limit = UINT64_MAX;
    return from == LIST_HEAD ? remove_from_head(list, element, limit)
                             : remove_from_tail(list, element, limit);
}

bool list_find(const struct list *list, const struct element *element, uint64_t *rank)
{
    struct tree_cursor cursor;
    tree_cursor_at(&list->elements, 0, &cursor);
    for (uint64_t at = 0; !tree_cursor_is_end(&cursor); at++) {
        const struct element found = tree_cursor_element(&cursor, 0);
        if (element_equal(&found, element)) {
            *rank = at;
            return true;
        }
        (void)tree_cursor_next(&cursor);
    }
    return false;
}

void list_check(const struct list *list)
{
    CHECK(list->object.class == &list_class);
    CHECK(list->object.encoding == VALUE_ENCODING_QUICKLIST);
    tree_check(&list->elements);
}
