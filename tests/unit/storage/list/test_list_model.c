/*
 * Random changes of a list and of an array of texts: always the same contents, with snapshots taken in between.
 */
#include "base/mem.h"
#include "list_internal.h"
#include "list_support.h"

enum { STEPS = 20000, CHECK_EVERY = 500, SIZE_WANTED = 4000, TEXT_MAX = 2000 };

struct model {
    struct random random;
    struct naive *naive;
    struct list *list;
    char text[TEXT_MAX];
};

static size_t below(struct model *model, size_t bound)
{
    return (size_t)random_below(&model->random, bound);
}

/* Few different short ones, some numbers, some long ones. */
static struct slice draw_text(struct model *model)
{
    size_t size = 0;
    switch (below(model, 8)) {
    case 0: size = int64_to_text((int64_t)random_next(&model->random), model->text); break;
    case 1:
        size = below(model, TEXT_MAX);
        memset(model->text, 'a' + (int)below(model, 20), size);
        break;
    case 2: size = uint64_to_text(below(model, 300), model->text); break;
    default:
        size = below(model, 4);
        for (size_t i = 0; i < size; i++)
            model->text[i] = (char)('a' + below(model, 2));
        break;
    }
    return slice_of(model->text, size);
}

static void push(struct model *model)
{
    const struct slice text = draw_text(model);
    const struct element element = element_of(text);
    const enum list_end end = below(model, 2) == 0 ? LIST_HEAD : LIST_TAIL;
    for (size_t left = below(model, 20); left > 0; left--) {
        list_push(model->list, end, &element);
        naive_insert(model->naive, end == LIST_HEAD ? 0 : model->naive->count, text);
    }
}

static void insert(struct model *model)
{
    const struct slice text = draw_text(model);
    const struct element element = element_of(text);
    const size_t at = below(model, model->naive->count + 1);
    list_insert(model->list, at, &element);
    naive_insert(model->naive, at, text);
}

static void replace(struct model *model)
{
    if (model->naive->count == 0)
        return;
    const struct slice text = draw_text(model);
    const struct element element = element_of(text);
    const size_t at = below(model, model->naive->count);
    list_replace(model->list, at, &element);
    naive_delete(model->naive, at, 1);
    naive_insert(model->naive, at, text);
}

static void drop(struct model *model)
{
    const size_t count = model->naive->count;
    size_t some = below(model, 4) == 0 ? below(model, count / 4 + 1) : below(model, 3);
    if (some > count)
        some = count;
    if (below(model, 2) == 0) {
        list_drop(model->list, LIST_HEAD, some);
        naive_delete(model->naive, 0, some);
    } else {
        list_drop(model->list, LIST_TAIL, some);
        naive_delete(model->naive, count - some, some);
    }
}

static void remove_equals(struct model *model)
{
    const struct slice text = draw_text(model);
    const struct element element = element_of(text);
    const size_t limit = below(model, 4);
    const enum list_end from = below(model, 2) == 0 ? LIST_HEAD : LIST_TAIL;
    struct naive *naive = model->naive;
    size_t removed = 0;
    size_t at = from == LIST_HEAD ? 0 : naive->count;
    while ((limit == 0 || removed < limit) && (from == LIST_HEAD ? at < naive->count : at > 0)) {
        const size_t here = from == LIST_HEAD ? at : at - 1;
        const bool matches = slice_equal(naive->items[here], text);
        if (matches) {
            naive_delete(naive, here, 1);
            removed++;
        }
        if (from == LIST_TAIL)
            at--;
        else if (!matches)
            at++;
    }
    ck_assert_uint_eq(list_remove(model->list, &element, from, limit), removed);
}

static void find(struct model *model)
{
    const struct slice text = draw_text(model);
    const struct element element = element_of(text);
    uint64_t rank = 0;
    size_t at = 0;
    while (at < model->naive->count && !slice_equal(model->naive->items[at], text))
        at++;
    const bool found = list_find(model->list, &element, &rank);
    ck_assert_int_eq(found, at < model->naive->count);
    if (found)
        ck_assert_uint_eq(rank, at);
}

/* The list becomes what its bytes say. */
static void pass_through_codec(struct model *model)
{
    if (model->naive->count == 0)
        return;
    struct buf bytes = {0};
    struct buf again = {0};
    struct value_object *object = NULL;
    list_encode(&model->list->object, &bytes);
    ck_assert_int_eq(list_decode(VALUE_ENCODING_QUICKLIST, buf_slice(&bytes), &object), ST_OK);
    list_encode(object, &again);
    ck_assert(slice_equal(buf_slice(&bytes), buf_slice(&again)));
    list_destroy(model->list);
    model->list = (struct list *)(void *)object;
    buf_deinit(&bytes);
    buf_deinit(&again);
}

static void change(struct model *model)
{
    switch (below(model, 10)) {
    case 0: insert(model); break;
    case 1: replace(model); break;
    case 2: remove_equals(model); break;
    case 3: find(model); break;
    case 4:
    case 5: drop(model); break;
    default:
        if (model->naive->count < SIZE_WANTED)
            push(model);
        else
            drop(model);
        break;
    }
}

START_TEST(a_list_is_like_an_array)
{
    list_setup();
    const struct value_class *class = value_class_of(VALUE_LIST);
    struct model *model = mem_alloc_zero(sizeof(*model));
    test_random_init(&model->random);
    model->naive = naive_create();
    model->list = list_create();
    struct value_object *snapshot = NULL;
    struct buf snapshot_bytes = {0};
    for (int step = 1; step <= STEPS; step++) {
        change(model);
        if (step % CHECK_EVERY != 0)
            continue;
        list_check(model->list);
        naive_compare(model->naive, model->list);
        /* The snapshot of some time ago has the same bytes as then. */
        if (snapshot != NULL) {
            struct buf now = {0};
            class->encode(snapshot, &now);
            ck_assert(slice_equal(buf_slice(&now), buf_slice(&snapshot_bytes)));
            buf_deinit(&now);
            class->destroy(snapshot);
            snapshot = NULL;
        }
        if (step % (4 * CHECK_EVERY) == 0)
            pass_through_codec(model);
        if (model->naive->count > 0) {
            snapshot = class->snapshot(&model->list->object);
            buf_clear(&snapshot_bytes);
            class->encode(snapshot, &snapshot_bytes);
        }
    }
    if (snapshot != NULL)
        class->destroy(snapshot);
    buf_deinit(&snapshot_bytes);
    list_destroy(model->list);
    naive_destroy(model->naive);
    mem_free(model);
}
END_TEST

TEST_GROUP(model_group, a_list_is_like_an_array)
