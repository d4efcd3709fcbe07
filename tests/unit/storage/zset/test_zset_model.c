/*
 * test_zset_model.c: random changes against an array that is sorted anew for every question.
 */
#include "test_main.h"
#include "zset_internal.h"

#include <stdio.h>
#include <stdlib.h>

void zset_model_group(TCase *tests);

enum { MEMBER_MAX = 700, TEXT_MAX = 24 };

struct model {
    struct model_row {
        char text[TEXT_MAX];
        double score;
    } rows[MEMBER_MAX];
    unsigned count;
};

static int compare_rows(const void *a, const void *b)
{
    const struct model_row *left = a;
    const struct model_row *right = b;
    if (left->score != right->score)
        return left->score < right->score ? -1 : 1;
    return strcmp(left->text, right->text);
}

static void sort(struct model *model)
{
    qsort(model->rows, model->count, sizeof(model->rows[0]), compare_rows);
}

static struct model_row *find(struct model *model, const char *text)
{
    for (unsigned i = 0; i < model->count; i++) {
        if (strcmp(model->rows[i].text, text) == 0)
            return &model->rows[i];
    }
    return NULL;
}

static double random_score(struct random *random)
{
    switch (random_below(random, 4)) {
    case 0: return (double)random_below(random, 5);
    case 1: return (double)random_below(random, 1000) - 500;
    case 2: return random_unit(random) * 10 - 5;
    default: return 0;
    }
}

static void random_text(struct random *random, unsigned universe, char text[TEXT_MAX])
{
    const unsigned number = (unsigned)random_below(random, universe);
    (void)snprintf(text, TEXT_MAX, number % 2 == 0 ? "%u" : "member:%06u", number);
}

static void put(struct model *model, struct zset *zset, const char *text, double score)
{
    const struct element member = element_of(slice_text(text));
    struct model_row *row = find(model, text);
    if (row == NULL) {
        row = &model->rows[model->count++];
        (void)snprintf(row->text, TEXT_MAX, "%s", text);
    }
    row->score = score;
    zset_put(zset, &member, score);
}

static void take(struct model *model, struct zset *zset, const char *text)
{
    const struct element member = element_of(slice_text(text));
    struct zset_place place;
    zset_find(zset, &member, &place);
    struct model_row *row = find(model, text);
    ck_assert_int_eq(place.found, row != NULL);
    if (row == NULL)
        return;
    ck_assert(place.score == row->score);
    zset_remove(zset, &place, &member);
    *row = model->rows[--model->count];
}

static void take_range(struct model *model, struct zset *zset, struct random *random)
{
    if (model->count == 0)
        return;
    sort(model);
    const unsigned rank = (unsigned)random_below(random, model->count);
    const unsigned most = model->count - rank;
    const unsigned count = (unsigned)random_below(random, most < 20 ? most + 1 : 20);
    memmove(&model->rows[rank], &model->rows[rank + count],
        (model->count - rank - count) * sizeof(model->rows[0]));
    model->count -= count;
    zset_remove_range(zset, rank, count);
}

static void check_ranks(struct model *model, const struct zset *zset, struct random *random)
{
    sort(model);
    const double score = random_score(random);
    unsigned below = 0;
    unsigned up_to = 0;
    for (unsigned i = 0; i < model->count; i++) {
        below += model->rows[i].score < score;
        up_to += model->rows[i].score <= score;
    }
    ck_assert_uint_eq(zset_rank_of_score(zset, score, false), below);
    ck_assert_uint_eq(zset_rank_of_score(zset, score, true), up_to);
    if (model->count == 0)
        return;
    const unsigned number = (unsigned)random_below(random, model->count);
    const struct element member = element_of(slice_text(model->rows[number].text));
    uint64_t rank;
    double found;
    ck_assert(zset_rank(zset, &member, &rank, &found));
    ck_assert_uint_eq(rank, number);
    ck_assert(found == model->rows[number].score);
}

static void check_all(struct model *model, const struct zset *zset)
{
    sort(model);
    zset_check(zset);
    ck_assert_uint_eq(zset_count(zset), model->count);
    struct tree_cursor cursor;
    tree_cursor_at(zset_sorted(zset), 0, &cursor);
    for (unsigned i = 0; i < model->count; i++) {
        struct element row[2];
        char scratch[ELEMENT_TEXT_MAX];
        tree_cursor_row(&cursor, row);
        ck_assert_text_eq(element_text(&row[ZSET_SORTED_MEMBER], scratch), model->rows[i].text);
        ck_assert(zset_score_of(&row[ZSET_SORTED_SCORE]) == model->rows[i].score);
        (void)tree_cursor_next(&cursor);
    }
}

static void run_model(struct random *random, unsigned universe, unsigned step_count)
{
    struct model model = {.count = 0};
    struct zset *zset = zset_create();
    struct value_object *snapshot = NULL;
    struct model *remembered = malloc(sizeof(*remembered));
    ck_assert_ptr_nonnull(remembered);
    for (unsigned step = 0; step < step_count; step++) {
        char text[TEXT_MAX];
        random_text(random, universe, text);
        const uint64_t kind = random_below(random, 100);
        if (kind < 60) {
            put(&model, zset, text, random_score(random));
        } else if (kind < 85) {
            take(&model, zset, text);
        } else if (kind < 87) {
            take_range(&model, zset, random);
        } else {
            check_ranks(&model, zset, random);
        }
        if (step % 500 == 0) {
            check_all(&model, zset);
            if (snapshot != NULL) {
                const struct value value = {.type = VALUE_ZSET, .object = snapshot};
                check_all(remembered, zset_of(&value));
                snapshot->class->destroy(snapshot);
            }
            const struct value value = zset_value(zset);
            snapshot = zset_class.snapshot(value.object);
            *remembered = model;
        }
    }
    check_all(&model, zset);
    if (snapshot != NULL)
        snapshot->class->destroy(snapshot);
    free(remembered);
    zset_destroy(zset);
}

START_TEST(random_changes_of_a_small_set_agree_with_an_array)
{
    struct random random;
    test_random_init(&random);
    run_model(&random, 40, 5000);
}
END_TEST

START_TEST(random_changes_of_a_large_set_agree_with_an_array)
{
    struct random random;
    test_random_init(&random);
    run_model(&random, MEMBER_MAX, 20000);
}
END_TEST

START_TEST(rows_appended_in_order_make_the_same_set)
{
    struct zset *zset = zset_create();
    for (unsigned i = 0; i < 5000; i++) {
        char text[TEXT_MAX];
        (void)snprintf(text, sizeof(text), "m%05u", i);
        const struct element member = element_of(slice_text(text));
        zset_append(zset, &member, i / 7);
    }
    zset_check(zset);
    ck_assert_uint_eq(zset_count(zset), 5000);
    zset_destroy(zset);
}
END_TEST

TEST_GROUP(zset_model_group, random_changes_of_a_small_set_agree_with_an_array,
    random_changes_of_a_large_set_agree_with_an_array, rows_appended_in_order_make_the_same_set)
