/*
 * tree_model.c: the naive list is an array of texts; every operation on it is a loop.
 */
#include "tree_model.h"

#include "base/check.h"
#include "base/mem.h"

/* --- classes ------------------------------------------------------------------------------------------------------------ */

static uint64_t prefix_of_score(const struct element *row)
{
    CHECK(row[0].is_integer);
    return (uint64_t)row[0].integer ^ (UINT64_C(1) << 63);
}

static int compare_member(const struct element *row, const void *probe)
{
    return element_compare(&row[1], probe);
}

static uint64_t prefix_colliding(const struct element *row)
{
    return element_hash(row) % 16;
}

const struct tree_class class_list = {.order = TREE_PLACED, .stride = 1};
const struct tree_class class_wide = {.order = TREE_PLACED, .stride = 4};
const struct tree_class class_hash = {.order = TREE_HASHED, .stride = 2};
const struct tree_class class_collisions = {
    .order = TREE_HASHED, .stride = 1, .prefix = prefix_colliding};
const struct tree_class class_sorted = {
    .order = TREE_SORTED, .stride = 2, .prefix = prefix_of_score, .compare = compare_member};
const struct tree_class class_scored = {.order = TREE_SORTED,
    .stride = 2,
    .prefix = prefix_of_score,
    .prefix_is_of_first = true,
    .compare = compare_member};

/* --- rows --------------------------------------------------------------------------------------------------------------- */

static struct model_row *row_create(const struct model *model, const struct element *elements)
{
    struct model_row *row = mem_alloc_zero(sizeof(*row));
    for (unsigned slot = 0; slot < model->class->stride; slot++) {
        char scratch[ELEMENT_TEXT_MAX];
        buf_append_slice(&row->texts[slot], element_text(&elements[slot], scratch));
    }
    return row;
}

static void row_destroy(struct model_row *row)
{
    for (unsigned slot = 0; slot < TREE_STRIDE_MAX; slot++) {
        buf_deinit(&row->texts[slot]);
    }
    mem_free(row);
}

static void rows_insert(struct model *model, size_t place, struct model_row *row)
{
    if (model->count == model->capacity) {
        model->capacity = model->capacity * 2 + 16;
        model->rows = mem_realloc(model->rows, model->capacity * sizeof(struct model_row *));
    }
    memmove(model->rows + place + 1, model->rows + place,
        (model->count - place) * sizeof(struct model_row *));
    model->rows[place] = row;
    model->count++;
}

static void rows_remove(struct model *model, size_t place, size_t count)
{
    for (size_t index = place; index < place + count; index++) {
        row_destroy(model->rows[index]);
    }
    model->count -= count;
    memmove(model->rows + place, model->rows + place + count,
        (model->count - place) * sizeof(struct model_row *));
}

void model_init(struct model *model, const struct tree_class *class)
{
    *model = (struct model){.class = class};
    tree_init(&model->tree, class);
}

void model_deinit(struct model *model)
{
    tree_deinit(&model->tree);
    rows_remove(model, 0, model->count);
    mem_free(model->rows);
}

void model_snapshot(const struct model *model, struct model *snapshot)
{
    *snapshot = (struct model){.class = model->class};
    tree_snapshot(&model->tree, &snapshot->tree);
    for (size_t index = 0; index < model->count; index++) {
        struct element elements[TREE_STRIDE_MAX];
        for (unsigned slot = 0; slot < model->class->stride; slot++) {
            elements[slot] = element_of_bytes(buf_slice(&model->rows[index]->texts[slot]));
        }
        rows_insert(snapshot, index, row_create(snapshot, elements));
    }
}

size_t model_find(const struct model *model, struct slice first)
{
    size_t index = 0;
    while (index < model->count && !slice_equal(buf_slice(&model->rows[index]->texts[0]), first)) {
        index++;
    }
    return index;
}

/* --- texts -------------------------------------------------------------------------------------------------------------- */

struct slice model_text(struct random *random, struct buf *text)
{
    buf_clear(text);
    size_t size = 0;
    switch (random_below(random, 16)) {
    case 0: buf_append_int64(text, (int64_t)random_below(random, 10000)); return buf_slice(text);
    case 1: buf_append_int64(text, (int64_t)random_next(random)); return buf_slice(text);
    case 2:
        buf_append_int64(text, (int64_t)random_next(random) >> random_below(random, 64));
        return buf_slice(text);
    case 3: size = 8; break;
    case 4: size = random_below(random, 300); break;
    case 5: size = random_below(random, 20) == 0 ? random_below(random, 4000) : 127; break;
    case 6: size = random_below(random, 20) == 0 ? 990 + random_below(random, 40) : 3; break;
    case 7: size = random_below(random, 3); break;
    default: size = random_below(random, 24); break;
    }
    for (size_t index = 0; index < size; index++) {
        buf_append_byte(text, (char)('a' + random_below(random, 26)));
    }
    return buf_slice(text);
}

/* --- steps -------------------------------------------------------------------------------------------------------------- */

static void random_row(
    const struct model *model, struct random *random, struct buf *texts, struct element *elements)
{
    for (unsigned slot = 0; slot < model->class->stride; slot++) {
        elements[slot] = element_of(model_text(random, &texts[slot]));
    }
    if (model->class == &class_sorted) {
        elements[0] = element_of_integer((int64_t)random_below(random, 12) - 4);
    } else if (model->class == &class_scored) {
        /* Mostly spread out, with a heap at one place. */
        const bool is_heap = random_below(random, 8) == 0;
        elements[0] =
            element_of_integer(is_heap ? 77 : (int64_t)random_below(random, 1000000) - 500000);
    }
}

static size_t sorted_place(const struct model *model, const struct element *row)
{
    size_t place = 0;
    for (; place < model->count; place++) {
        int64_t score;
        CHECK(slice_to_int64(buf_slice(&model->rows[place]->texts[0]), &score));
        char scratch[ELEMENT_TEXT_MAX];
        if (score > row[0].integer ||
            (score == row[0].integer && slice_compare(buf_slice(&model->rows[place]->texts[1]),
                                            element_text(&row[1], scratch)) >= 0)) {
            break;
        }
    }
    return place;
}

static void step_add(struct model *model, struct random *random)
{
    struct buf texts[TREE_STRIDE_MAX] = {0};
    struct element row[TREE_STRIDE_MAX];
    random_row(model, random, texts, row);
    struct tree_cursor cursor;
    char scratch[ELEMENT_TEXT_MAX];
    if (model->class->order == TREE_HASHED) {
        const size_t place = model_find(model, element_text(&row[0], scratch));
        CHECK(tree_find(&model->tree, &row[0], &cursor) == (place < model->count));
        if (place == model->count) {
            if (random_below(random, 2) == 0) {
                tree_insert_hashed(&model->tree, row);
            } else {
                tree_insert_found(&model->tree, &cursor, row);
            }
            rows_insert(model, place, row_create(model, row));
        }
    } else if (model->class->order == TREE_SORTED) {
        const size_t place = sorted_place(model, row);
        tree_seek(&model->tree, prefix_of_score(row), &row[1], &cursor);
        CHECK(cursor.rank == place);
        tree_insert(&model->tree, &cursor, row);
        CHECK(tree_cursor_rank(&cursor) == place);
        rows_insert(model, place, row_create(model, row));
    } else {
        const uint64_t kind = random_below(random, 4);
        const size_t place = kind == 0   ? 0
                             : kind == 1 ? model->count
                                         : random_below(random, model->count + 1);
        tree_cursor_at(&model->tree, place, &cursor);
        tree_insert(&model->tree, &cursor, row);
        struct element stored = tree_cursor_element(&cursor, 0);
        CHECK(cursor.rank == place);
        CHECK(element_equal(&stored, &row[0]));
        rows_insert(model, place, row_create(model, row));
    }
    for (unsigned slot = 0; slot < TREE_STRIDE_MAX; slot++) {
        buf_deinit(&texts[slot]);
    }
}

/* A cursor at the model's row. */
static void cursor_to(const struct model *model, size_t place, struct tree_cursor *cursor)
{
    if (model->class->order == TREE_HASHED) {
        const struct element first = element_of(buf_slice(&model->rows[place]->texts[0]));
        CHECK(tree_find(&model->tree, &first, cursor));
        return;
    }
    tree_cursor_at(&model->tree, place, cursor);
}

static void step_delete(struct model *model, struct random *random)
{
    size_t place = random_below(random, model->count);
    const uint64_t kind = random_below(random, 4);
    place = kind == 0 ? 0 : kind == 1 ? model->count - 1 : place;
    struct tree_cursor cursor;
    cursor_to(model, place, &cursor);
    const uint64_t rank = tree_cursor_rank(&cursor);
    tree_delete(&model->tree, &cursor);
    CHECK(tree_cursor_rank(&cursor) == rank);
    CHECK(tree_cursor_is_end(&cursor) == (rank == model->tree.count));
    struct tree_cursor same;
    tree_cursor_at(&model->tree, rank, &same);
    CHECK(tree_cursor_is_end(&cursor) == tree_cursor_is_end(&same));
    if (!tree_cursor_is_end(&cursor)) {
        CHECK(cursor.path[cursor.depth - 1].node == same.path[same.depth - 1].node);
        CHECK(cursor.path[cursor.depth - 1].index == same.path[same.depth - 1].index);
    }
    rows_remove(model, place, 1);
}

static void step_replace(struct model *model, struct random *random)
{
    const unsigned slot_first = model->class->order == TREE_PLACED ? 0 : 1;
    if (slot_first >= model->class->stride || model->class->order == TREE_SORTED) {
        return;
    }
    const unsigned slot =
        slot_first + (unsigned)random_below(random, model->class->stride - slot_first);
    const size_t place = random_below(random, model->count);
    struct buf text = {0};
    const struct element element = element_of(model_text(random, &text));
    struct tree_cursor cursor;
    cursor_to(model, place, &cursor);
    tree_replace(&model->tree, &cursor, slot, &element);
    const struct element stored = tree_cursor_element(&cursor, slot);
    CHECK(element_equal(&stored, &element));
    buf_clear(&model->rows[place]->texts[slot]);
    buf_append_slice(&model->rows[place]->texts[slot], buf_slice(&text));
    buf_deinit(&text);
}

static void step_range(struct model *model, struct random *random)
{
    if (model->class->order == TREE_HASHED) {
        step_delete(model, random);
        return;
    }
    const size_t place = random_below(random, model->count);
    size_t count = random_below(random, model->count - place + 1);
    if (random_below(random, 4) != 0) {
        count = count % 50;
    }
    tree_delete_range(&model->tree, place, count);
    rows_remove(model, place, count);
}

void model_step(struct model *model, struct random *random, size_t size_max)
{
    const uint64_t kind = random_below(random, 1000);
    const size_t lacking = model->count < 2 * size_max ? 2 * size_max - model->count : 0;
    if (size_max > 0 && (model->count == 0 || kind < 500 * lacking / size_max)) {
        step_add(model, random);
    } else if (kind > 996) {
        step_range(model, random);
    } else if (kind % 3 == 0) {
        step_replace(model, random);
    } else {
        step_delete(model, random);
    }
}

static void compare_row(const struct model *model, size_t place, const struct element *row)
{
    for (unsigned slot = 0; slot < model->class->stride; slot++) {
        char scratch[ELEMENT_TEXT_MAX];
        CHECK(slice_equal(
            element_text(&row[slot], scratch), buf_slice(&model->rows[place]->texts[slot])));
    }
}

void model_compare(const struct model *model)
{
    tree_check(&model->tree);
    CHECK(model->tree.count == model->count);
    struct tree_cursor cursor;
    if (model->class->order == TREE_HASHED) {
        for (size_t place = 0; place < model->count; place++) {
            struct element row[TREE_STRIDE_MAX];
            cursor_to(model, place, &cursor);
            tree_cursor_row(&cursor, row);
            compare_row(model, place, row);
        }
        return;
    }
    size_t place = 0;
    for (tree_cursor_at(&model->tree, 0, &cursor); !tree_cursor_is_end(&cursor);
         (void)tree_cursor_next(&cursor)) {
        struct element row[TREE_STRIDE_MAX];
        tree_cursor_row(&cursor, row);
        CHECK(tree_cursor_rank(&cursor) == place);
        compare_row(model, place++, row);
    }
    CHECK(place == model->count);
    CHECK(cursor.rank == place);
    while (tree_cursor_previous(&cursor)) {
        struct element row[TREE_STRIDE_MAX];
        tree_cursor_row(&cursor, row);
        compare_row(model, --place, row);
    }
    CHECK(place == 0);
}
