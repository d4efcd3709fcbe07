/*
 * list_support.c: see list_support.h.
 */
#include "list_support.h"

#include "base/mem.h"

struct element text_element(const char *text)
{
    return element_of(slice_text(text));
}

struct list *list_of_words(const char *const *words, size_t count)
{
    struct list *list = list_create();
    for (size_t i = 0; i < count; i++) {
        const struct element element = text_element(words[i]);
        list_push(list, LIST_TAIL, &element);
    }
    return list;
}

struct slice element_bytes(const struct element *element)
{
    static char scratch[ELEMENT_TEXT_MAX];
    return element_text(element, scratch);
}

void check_words(const struct list *list, const char *const *words, size_t count)
{
    list_check(list);
    ck_assert_uint_eq(list_count(list), count);
    for (size_t i = 0; i < count; i++) {
        const struct element element = list_at(list, i);
        ck_assert_slice_eq(element_bytes(&element), slice_text(words[i]));
    }
}

struct naive *naive_create(void)
{
    return mem_alloc_zero(sizeof(struct naive));
}

void naive_destroy(struct naive *naive)
{
    naive_delete(naive, 0, naive->count);
    mem_free(naive);
}

void naive_insert(struct naive *naive, size_t at, struct slice text)
{
    ck_assert_uint_lt(naive->count, NAIVE_MAX);
    memmove(naive->items + at + 1, naive->items + at, (naive->count - at) * sizeof(*naive->items));
    naive->items[at] = slice_of(mem_string_sized(text.data, text.size), text.size);
    naive->count++;
}

void naive_delete(struct naive *naive, size_t at, size_t count)
{
    for (size_t i = at; i < at + count; i++)
        mem_free((void *)(uintptr_t)naive->items[i].data);
    memmove(naive->items + at, naive->items + at + count,
        (naive->count - at - count) * sizeof(*naive->items));
    naive->count -= count;
}

void naive_compare(const struct naive *naive, const struct list *list)
{
    ck_assert_uint_eq(list_count(list), naive->count);
    struct tree_cursor cursor;
    tree_cursor_at(&list->elements, 0, &cursor);
    for (size_t i = 0; i < naive->count; i++) {
        const struct element element = tree_cursor_element(&cursor, 0);
        ck_assert_slice_eq(element_bytes(&element), naive->items[i]);
        ck_assert(tree_cursor_next(&cursor) == (i + 1 < naive->count));
    }
    for (size_t i = naive->count; i-- > 0;) {
        ck_assert(tree_cursor_previous(&cursor));
        const struct element element = tree_cursor_element(&cursor, 0);
        ck_assert_slice_eq(element_bytes(&element), naive->items[i]);
    }
    ck_assert(!tree_cursor_previous(&cursor));
}
