/*
 * test_dict_model.c: random changes, against an array that does the same naively.
 */
#include "storage/dict.h"
#include "test_main.h"

#define NAME_COUNT 600
#define STEP_COUNT 60000

/* What the dict should hold: by the number of the name. */
struct model {
    struct {
        bool is_there;
        int64_t value; /* shown by value_of() */
        uint64_t expire_ms;
    } fields[NAME_COUNT];
    uint64_t count;
};

struct name {
    char text[64];
    size_t size;
};

/* Integers, short texts and some long ones. */
static struct element name_of(unsigned number, struct name *name)
{
    if (number % 3 == 0)
        return element_of_integer((int64_t)number * 1000003 - 7);
    name->size =
        (size_t)snprintf(name->text, sizeof(name->text), "%0*u", number % 3 == 1 ? 5 : 50, number);
    return element_of(slice_of(name->text, name->size));
}

static struct element value_of(int64_t value, char *space, size_t space_size)
{
    if (value % 2 == 0)
        return element_of_integer(value);
    const size_t size = value % 101 == 0 ? 2000 : (size_t)(value % 40);
    ck_assert_uint_lt(size, space_size);
    memset(space, 'a' + (int)(value % 26), size);
    return element_of(slice_of(space, size));
}

static bool is_live(const struct model *model, unsigned number, uint64_t now_ms)
{
    return model->fields[number].is_there &&
           (model->fields[number].expire_ms == 0 || model->fields[number].expire_ms >= now_ms);
}

static void forget(struct model *model, unsigned number)
{
    model->fields[number].is_there = false;
    model->fields[number].expire_ms = 0;
    model->count--;
}

static void assert_agree(const struct dict *dict, const struct model *model, uint64_t now_ms)
{
    char space[2048];
    uint64_t live_count = 0;
    uint64_t soonest_ms = 0;
    dict_check(dict);
    ck_assert_uint_eq(dict_count(dict), model->count);
    for (unsigned number = 0; number < NAME_COUNT; number++) {
        struct name name;
        const struct element field = name_of(number, &name);
        struct element value;
        const uint64_t expire_ms = model->fields[number].expire_ms;
        const bool live = is_live(model, number, now_ms);
        live_count += live;
        if (expire_ms != 0 && (soonest_ms == 0 || expire_ms < soonest_ms))
            soonest_ms = expire_ms;
        ck_assert_uint_eq(dict_expire_ms(dict, &field), expire_ms);
        ck_assert_int_eq(dict_get(dict, &field, now_ms, &value), live);
        if (live) {
            const struct element expected =
                value_of(model->fields[number].value, space, sizeof(space));
            ck_assert(element_equal(&value, &expected));
        }
    }
    ck_assert_uint_eq(dict_live_count(dict, now_ms), live_count);
    ck_assert_uint_eq(dict_soonest_ms(dict), soonest_ms);
}

static void step(struct dict *dict, struct model *model, struct random *random, uint64_t now_ms)
{
    const unsigned number = (unsigned)random_below(random, NAME_COUNT);
    struct name name;
    char space[2048];
    const struct element field = name_of(number, &name);
    const uint64_t choice = random_below(random, 100);
    const bool was_there = model->fields[number].is_there;
    if (choice < 50) {
        const int64_t new_value = (int64_t)random_below(random, 100000);
        const struct element value = value_of(new_value, space, sizeof(space));
        const bool keep = choice < 10;
        ck_assert_int_eq(
            dict_set(dict, &field, &value, keep ? DICT_KEEP_EXPIRY : DICT_CLEAR_EXPIRY),
            !was_there);
        model->fields[number].is_there = true;
        model->fields[number].value = new_value;
        if (!keep)
            model->fields[number].expire_ms = 0;
        model->count += !was_there;
    } else if (choice < 65) {
        ck_assert_int_eq(dict_remove(dict, &field), was_there);
        if (was_there)
            forget(model, number);
    } else if (choice < 95) {
        const uint64_t expire_ms =
            choice < 70 ? 0 : now_ms + 1 + random_below(random, choice < 90 ? 3000 : 20);
        if (was_there) {
            dict_expire_set(dict, &field, expire_ms);
            model->fields[number].expire_ms = expire_ms;
        }
    } else {
        const size_t max = (size_t)random_below(random, 8);
        size_t over = 0;
        for (unsigned i = 0; i < NAME_COUNT; i++)
            over += model->fields[i].is_there && !is_live(model, i, now_ms);
        const size_t removed = dict_expire(dict, now_ms, max, NULL, NULL);
        ck_assert_uint_eq(removed, over < max ? over : max);
        for (unsigned i = 0; i < NAME_COUNT; i++) {
            const struct element other = name_of(i, &name);
            if (model->fields[i].is_there && dict_presence(dict, &other, 0) == DICT_ABSENT) {
                ck_assert(!is_live(model, i, now_ms));
                forget(model, i);
            }
        }
        ck_assert_uint_eq(dict_count(dict), model->count);
    }
}

/* A snapshot and what it should hold for ever; and a copy of it through the codec. */
struct past {
    struct dict *dict;
    struct model model;
    uint64_t now_ms;
};

static void assert_codec_agrees(const struct dict *dict, const struct model *model, uint64_t now_ms)
{
    struct buf bytes = {0};
    struct dict *back = NULL;
    if (dict_count(dict) == 0)
        return;
    dict_encode(dict, &bytes);
    ck_assert_int_eq(dict_decode(dict_encoding(dict), buf_slice(&bytes), &back), ST_OK);
    assert_agree(back, model, now_ms);
    buf_deinit(&bytes);
    dict_destroy(back);
}

START_TEST(a_dict_does_what_an_array_does)
{
    struct random random;
    test_random_init(&random);
    struct dict *dict = dict_create();
    struct model model = {0};
    struct past past = {0};
    uint64_t now_ms = 1;
    for (unsigned i = 0; i < STEP_COUNT; i++) {
        step(dict, &model, &random, now_ms);
        now_ms += random_below(&random, 3);
        if (i % 997 != 0)
            continue;
        assert_agree(dict, &model, now_ms);
        if (past.dict != NULL)
            assert_agree(past.dict, &past.model, past.now_ms);
        if (i % 5 == 0) {
            assert_codec_agrees(dict, &model, now_ms);
            dict_destroy(past.dict);
            past = (struct past){.dict = dict_snapshot(dict), .model = model, .now_ms = now_ms};
        }
    }
    dict_destroy(past.dict);
    dict_destroy(dict);
}
END_TEST

TEST_GROUP(dict_model_group, a_dict_does_what_an_array_does)

void dict_group(TCase *tests);
void dict_codec_group(TCase *tests);
TEST_MAIN_GROUPS("dict", dict_group, dict_codec_group, dict_model_group)
