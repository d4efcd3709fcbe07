/*
 * sort_items.c: the members of a list, set or sorted set, their weights, and their order.
 *
 * Members are borrowed from the collection: it must not change before the items are gone. Weights are numbers, or texts that lie one behind
 * the other in `texts`, each with a NUL for strcoll(). Members of equal weight: in numeric order by their bytes, as Redis; else by their
 * place.
 */
#include "base/check.h"
#include "base/mem.h"
#include "sort_internal.h"
#include "storage/list.h"
#include "storage/set.h"
#include "storage/zset.h"

#include <stdlib.h>

/* --- members --------------------------------------------------------------------------------------------------------- */

/* What is sorted: rows, and which of their elements. */
struct member_source {
    const struct tree *tree; /* NULL: nothing */
    unsigned slot;
    bool is_ordered;  /* a list or a sorted set: its own order is kept without another */
    bool is_reversed; /* DESC, without another order: read from the end */
};

static bool source_of(const struct hot_record *record, struct member_source *source)
{
    *source = (struct member_source){.is_ordered = true};
    if (record == NULL)
        return true;
    const struct value value = hot_record_value(record);
    switch (value.type) {
    case VALUE_LIST: {
        const struct list *const list = list_of(&value);
        source->tree = &list->elements;
        return true;
    }
    case VALUE_SET:
        source->tree = set_members(set_of(&value));
        source->is_ordered = false;
        return true;
    case VALUE_ZSET:
        source->tree = zset_sorted(zset_of(&value));
        source->slot = ZSET_SORTED_MEMBER;
        return true;
    case VALUE_STRING:
    case VALUE_HASH:
    case VALUE_STREAM:
    case VALUE_TYPE_COUNT: return false;
    }
    UNREACHABLE("type of a record");
}

/* LIMIT, as Redis understands it: [start, end) of `count` items. */
static void set_range(
    const struct sort_options *options, int64_t count, int64_t *start, int64_t *end)
{
    *start = options->limit_start < 0 ? 0 : options->limit_start;
    if (*start > count)
        *start = count;
    int64_t wanted = options->limit_count;
    if (wanted < 0 || wanted > count - *start)
        wanted = count - *start;
    *end = *start + wanted;
}

/* Loads rows [first, first + count) of the order in which the source is read. */
static void load_rows(struct sort_items *items, const struct member_source *source, uint64_t first)
{
    struct tree_cursor cursor;
    if (items->count == 0)
        return;
    const uint64_t rank = source->is_reversed ? source->tree->count - 1 - first : first;
    tree_cursor_at(source->tree, rank, &cursor);
    for (size_t i = 0; i < items->count; i++) {
        items->items[i].member = tree_cursor_element(&cursor, source->slot);
        items->items[i].place = i;
        if (source->is_reversed)
            (void)tree_cursor_previous(&cursor);
        else
            (void)tree_cursor_next(&cursor);
    }
}

bool sort_items_load(struct command_call *call, struct hot_record *record,
    const struct sort_options *options, struct sort_items *items)
{
    struct member_source source;
    *items = (struct sort_items){.is_alpha = options->is_alpha, .has_order = options->has_order};
    if (!source_of(record, &source)) {
        reply_error(call->reply, REPLY_WRONG_TYPE);
        return false;
    }
    const bool is_set = !source.is_ordered;
    items->is_by = options->by != 0 && options->has_order;
    /* What is stored must not depend on the order of a set, which has none. */
    if (is_set && !options->has_order && options->store != 0) {
        items->has_order = true;
        items->is_alpha = true;
    }
    const uint64_t count = source.tree == NULL ? 0 : source.tree->count;
    int64_t start = 0;
    int64_t end = 0;
    set_range(options, (int64_t)count, &start, &end);
    const bool is_direct = !items->has_order && !is_set;
    if (is_direct) {
        source.is_reversed = options->is_descending;
        items->count = (size_t)(end - start);
        items->end = items->count;
    } else {
        items->count = (size_t)count;
        items->start = (size_t)start;
        items->end = (size_t)end;
    }
    if (items->count > 0)
        items->items = mem_alloc_zero(items->count * sizeof(*items->items));
    load_rows(items, &source, is_direct ? (uint64_t)start : 0);
    return true;
}

void sort_items_deinit(struct sort_items *items)
{
    mem_free(items->items);
    buf_deinit(&items->texts);
}

/* --- weights ----------------------------------------------------------------------------------------------------------- */

static bool parse_weight(struct slice text, double *weight)
{
    bool out_of_range;
    return commands_parse_loose_double(text, weight, &out_of_range) && !out_of_range;
}

void sort_items_weigh(struct sort_items *items, size_t index, const struct sort_value *value)
{
    struct sort_item *const item = &items->items[index];
    if (value->found != SORT_FOUND)
        return;
    if (!items->is_alpha) {
        if (!parse_weight(value->bytes, &item->score)) {
            items->is_bad = true;
            item->score = 0;
        }
        return;
    }
    item->text_offset = items->texts.size;
    buf_append_slice(&items->texts, value->bytes);
    buf_append_byte(&items->texts, '\0');
    /* The address comes when all texts are there. */
    item->text = slice_of("", value->bytes.size);
}

void sort_items_weigh_members(struct sort_items *items)
{
    if (!items->has_order || items->is_by)
        return;
    for (size_t i = 0; i < items->count; i++) {
        struct sort_item *const item = &items->items[i];
        if (!items->is_alpha && item->member.is_integer) {
            item->score = (double)item->member.integer;
            continue;
        }
        struct sort_value value = {.found = SORT_FOUND};
        value.bytes = element_text(&item->member, value.scratch);
        sort_items_weigh(items, i, &value);
    }
}

/* --- order ------------------------------------------------------------------------------------------------------------- */

static int compare_places(const struct sort_item *a, const struct sort_item *b)
{
    return a->place < b->place ? -1 : a->place > b->place;
}

static int compare_numbers(const struct sort_item *a, const struct sort_item *b)
{
    if (a->score < b->score)
        return -1;
    if (a->score > b->score)
        return 1;
    return element_compare(&a->member, &b->member);
}

/* Absent ones first. */
static int compare_absence(const struct sort_item *a, const struct sort_item *b)
{
    return (a->text.data != NULL) - (b->text.data != NULL);
}

static int compare_bytes(const struct sort_item *a, const struct sort_item *b)
{
    const int absence = compare_absence(a, b);
    if (absence != 0 || a->text.data == NULL)
        return absence;
    return slice_compare(a->text, b->text);
}

static int compare_words(const struct sort_item *a, const struct sort_item *b)
{
    const int absence = compare_absence(a, b);
    if (absence != 0 || a->text.data == NULL)
        return absence;
    return strcoll(a->text.data, b->text.data);
}

/* qsort() has no context: one function for each order. */
#define COMPARE_UP_AND_DOWN(name, compare)                \
    static int name##_up(const void *a, const void *b)    \
    {                                                     \
        const int order = compare(a, b);                  \
        return order != 0 ? order : compare_places(a, b); \
    }                                                     \
    static int name##_down(const void *a, const void *b)  \
    {                                                     \
        const int order = compare(b, a);                  \
        return order != 0 ? order : compare_places(a, b); \
    }
COMPARE_UP_AND_DOWN(numbers, compare_numbers)
COMPARE_UP_AND_DOWN(bytes, compare_bytes)
COMPARE_UP_AND_DOWN(words, compare_words)

void sort_items_order(struct sort_items *items, bool is_descending, bool is_stored)
{
    if (!items->has_order || items->count == 0)
        return;
    for (size_t i = 0; i < items->count; i++) {
        struct sort_item *const item = &items->items[i];
        if (item->text.data != NULL)
            item->text.data = items->texts.data + item->text_offset;
    }
    int (*compare)(const void *, const void *) = NULL;
    if (!items->is_alpha)
        compare = is_descending ? numbers_down : numbers_up;
    else if (is_stored)
        compare = is_descending ? bytes_down : bytes_up;
    else
        compare = is_descending ? words_down : words_up;
    qsort(items->items, items->count, sizeof(*items->items), compare);
}
