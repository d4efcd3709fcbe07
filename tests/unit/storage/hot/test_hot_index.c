/*
 * test_hot_index.c: growth and shrinking, and what an entry costs.
 */
#include "hot_fixture.h"
#include "hot_internal.h"

#include <stdio.h>

void record_group(TCase *tests);
void epoch_group(TCase *tests);
void room_group(TCase *tests);
void walk_group(TCase *tests);

/* Sanitizers slow each operation down ten times and more. */
#ifdef KELVIN_SANITIZE
#    define LARGE_COUNT 100000U
#else
#    define LARGE_COUNT 1000000U
#endif

static struct key numbered_key(char name[17], unsigned number)
{
    (void)snprintf(name, 17, "key:%012u", number);
    return key_make(SPACE, name, 16);
}

static void fill(struct fixture *f, unsigned count, size_t value_size)
{
    char text[128];
    memset(text, 'v', sizeof(text));
    char name[17];
    for (unsigned number = 0; number < count; number++) {
        const struct key key = numbered_key(name, number);
        (void)hot_write(f->hot, &key, NULL, value_string(slice_of(text, value_size)), 0, false);
    }
}

START_TEST(all_are_found_while_the_index_grows_large_and_shrinks_back)
{
    struct fixture f;
    fixture_open(&f);
    const uint64_t empty_bytes = hot_memory_bytes(f.hot);
    ck_assert_uint_le(empty_bytes, 1024 * 1024);
    fill(&f, LARGE_COUNT, 16);
    fixture_check(&f);
    char name[17];
    for (unsigned number = 0; number < LARGE_COUNT; number++) {
        const struct key key = numbered_key(name, number);
        hot_prefetch(f.hot, &key, 1);
        hot_prefetch_value(f.hot, &key);
        ck_assert_ptr_nonnull(hot_find(f.hot, &key));
    }
    for (unsigned number = LARGE_COUNT; number < LARGE_COUNT + 1000; number++) {
        const struct key key = numbered_key(name, number);
        hot_prefetch_value(f.hot, &key);
        ck_assert_ptr_null(hot_find(f.hot, &key));
    }
    for (unsigned number = 0; number < LARGE_COUNT; number++) {
        if (number == LARGE_COUNT / 2) {
            fixture_check(&f);
        }
        const struct key key = numbered_key(name, number);
        hot_delete(f.hot, &key, hot_find(f.hot, &key), NULL);
    }
    ck_assert_uint_eq(metrics_of(&f).entry_count, 0);
    ck_assert_uint_le(hot_memory_bytes(f.hot), empty_bytes + 64 * 16384);
    fixture_close(&f);
}
END_TEST

static void check_cost(size_t value_size, double bytes_max)
{
    struct fixture f;
    fixture_open(&f);
    fill(&f, LARGE_COUNT, value_size);
    const struct figures metrics = metrics_of(&f);
    const double per_key = (double)hot_memory_bytes(f.hot) / LARGE_COUNT;
    const double index_per_key = (double)metrics.index_bytes / LARGE_COUNT;
    printf("16 B + %zu B: %.1f bytes per key, %.1f of them index\n", value_size, per_key,
        index_per_key);
#ifndef KELVIN_SANITIZE
    ck_assert_double_le(index_per_key, 14.0);
    ck_assert_double_le(per_key, bytes_max);
#else
    (void)bytes_max;
#endif
    fixture_close(&f);
}

START_TEST(a_key_and_a_value_of_16_bytes_take_at_most_82)
{
    check_cost(16, 82);
}
END_TEST

START_TEST(a_key_of_16_and_a_value_of_100_bytes_take_at_most_174)
{
    check_cost(100, 174);
}
END_TEST

START_TEST(an_entry_costs_little_index_at_any_size_of_the_table)
{
    struct fixture f;
    fixture_open(&f);
    const struct hot_index *index = &f.hot->partitions[0].index;
    double worst = 0;
    double sum = 0;
    unsigned samples = 0;
    char name[17];
    for (unsigned number = 0; index->entry_count < 20000; number++) {
        const struct key key = numbered_key(name, number);
        if (hot_partition(&key) != 0) {
            continue;
        }
        (void)hot_write(f.hot, &key, NULL, value_integer(1), 0, false);
        if (index->entry_count >= 2000 && index->entry_count % 100 == 0) {
            const double cost = (double)index_bytes(index) / (double)index->entry_count;
            worst = cost > worst ? cost : worst;
            sum += cost;
            samples++;
        }
    }
    printf("index bytes per entry: %.2f on average, %.2f at most\n", sum / samples, worst);
    ck_assert_double_le(worst, 16.0);
    ck_assert_double_le(sum / samples, 14.0);
    fixture_close(&f);
}
END_TEST

START_TEST(random_inserts_and_deletes_keep_the_index_sound)
{
    struct fixture f;
    fixture_open(&f);
    struct random random;
    test_random_init(&random);
    enum { KEYS = 3000 };
    struct {
        char name[32];
        bool present;
    } *keys = mem_alloc_zero(KEYS * sizeof(*keys));
    unsigned n = 0;
    for (unsigned index = 0; index < KEYS; index++) {
        (void)key_in_partition(keys[index].name, "k", 3, &n);
    }
    for (unsigned phase = 0; phase < 20; phase++) {
        const uint64_t insert_percent = random_below(&random, 101);
        for (unsigned step = 0; step < 2000; step++) {
            const unsigned index = (unsigned)random_below(&random, KEYS);
            const bool insert = random_below(&random, 100) < insert_percent;
            if (insert != keys[index].present) {
                if (insert) {
                    (void)put(&f, keys[index].name, keys[index].name);
                } else {
                    delete (&f, keys[index].name);
                }
                keys[index].present = insert;
            }
        }
        hot_check(f.hot, 3);
        for (unsigned index = 0; index < KEYS; index++) {
            const struct hot_record *record = find(&f, keys[index].name);
            ck_assert_int_eq(record != NULL, keys[index].present);
            ck_assert(record == NULL || value_is(record, keys[index].name));
        }
    }
    mem_free(keys);
    fixture_close(&f);
}
END_TEST

TEST_GROUP(index_group, all_are_found_while_the_index_grows_large_and_shrinks_back,
    a_key_and_a_value_of_16_bytes_take_at_most_82,
    a_key_of_16_and_a_value_of_100_bytes_take_at_most_174,
    an_entry_costs_little_index_at_any_size_of_the_table,
    random_inserts_and_deletes_keep_the_index_sound)

TEST_MAIN_GROUPS("hot", record_group, epoch_group, room_group, walk_group, index_group)
