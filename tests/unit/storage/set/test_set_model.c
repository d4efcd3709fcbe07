/*
 * Random changes of a set and of a naive one (an array of texts), compared; snapshots taken now and then must stay as they were.
 */
#include "base/mem.h"
#include "set_support.h"
#include "test_main.h"

#include <stdio.h>

#define MEMBER_KINDS  3000
#define STEPS         20000
#define SNAPSHOTS_MAX 4

struct model {
    struct set *set;
    bool has[MEMBER_KINDS];
    uint64_t count;
};

/* A fixed word for each number: integers, short and long texts. */
static struct slice word_of(unsigned number, unsigned kinds, char *out, size_t size)
{
    if (number % kinds == 0)
        return slice_of(
            out, (size_t)snprintf(out, size, "%lld", (long long)number * 7919 - 5000000));
    if (number % kinds == 1)
        return slice_of(out, (size_t)snprintf(out, size, "w%u", number));
    const size_t length = (size_t)snprintf(out, size, "%u:", number);
    const size_t filled = number % 100 == 2 ? 1500 : number % 60;
    memset(out + length, 'z', filled);
    return slice_of(out, length + filled);
}

static void expect_equal(const struct model *model, const struct set *set, unsigned kinds)
{
    char word[2000];
    set_check(set);
    ck_assert_uint_eq(set_count(set), model->count);
    for (unsigned i = 0; i < MEMBER_KINDS; i++) {
        const struct element member = element_of(word_of(i, kinds, word, sizeof(word)));
        ck_assert(set_contains(set, &member) == model->has[i]);
    }
}

static unsigned number_at(const struct set *set, uint64_t place, unsigned kinds)
{
    char scratch[ELEMENT_TEXT_MAX];
    char word[2000];
    struct tree_cursor cursor;
    tree_cursor_at(set_members(set), place, &cursor);
    const struct element member = tree_cursor_element(&cursor, 0);
    const struct slice text = element_text(&member, scratch);
    for (unsigned i = 0; i < MEMBER_KINDS; i++) {
        if (slice_equal(text, word_of(i, kinds, word, sizeof(word))))
            return i;
    }
    ck_abort_msg("a member that was never added");
    return 0;
}

static void step(struct model *model, struct random *random, unsigned range, unsigned kinds)
{
    char word[2000];
    const unsigned number = (unsigned)random_below(random, range);
    const struct element member = element_of(word_of(number, kinds, word, sizeof(word)));
    const uint64_t kind = random_below(random, 10);
    if (kind < 5) {
        ck_assert(set_add(model->set, &member) == !model->has[number]);
        model->count += !model->has[number];
        model->has[number] = true;
    } else if (kind < 9) {
        ck_assert(set_remove(model->set, &member) == model->has[number]);
        model->count -= model->has[number];
        model->has[number] = false;
    } else if (model->count > 0) {
        const uint64_t place = random_below(random, model->count);
        model->has[number_at(model->set, place, kinds)] = false;
        set_remove_at(model->set, place);
        model->count--;
    }
}

static void run(struct random *random, unsigned range, unsigned kinds)
{
    struct model *const model = mem_alloc_zero(sizeof(*model));
    struct model *const old = mem_alloc_zero(SNAPSHOTS_MAX * sizeof(*old));
    model->set = set_create(VALUE_ENCODING_INTSET);
    for (unsigned i = 0; i < STEPS; i++) {
        step(model, random, range, kinds);
        if (i % 1000 == 999) {
            struct model *const slot = &old[i / 1000 % SNAPSHOTS_MAX];
            if (slot->set != NULL) {
                expect_equal(slot, slot->set, kinds);
                set_destroy(slot->set);
            }
            *slot = *model;
            slot->set = set_snapshot(model->set);
            expect_equal(model, model->set, kinds);
            if (random_below(random, 3) == 0)
                set_prefer_integers(model->set);
            set_check(model->set);
        }
    }
    for (unsigned i = 0; i < SNAPSHOTS_MAX; i++) {
        expect_equal(&old[i], old[i].set, kinds);
        set_destroy(old[i].set);
    }
    set_destroy(model->set);
    mem_free(old);
    mem_free(model);
}

START_TEST(random_changes_agree_with_a_naive_set)
{
    set_support_setup();
    struct random random;
    test_random_init(&random);
    run(&random, 40, 1);
    run(&random, MEMBER_KINDS, 1);
    run(&random, 100, 3);
    run(&random, MEMBER_KINDS, 3);
}
END_TEST

TEST_GROUP(set_model_group, random_changes_agree_with_a_naive_set)
