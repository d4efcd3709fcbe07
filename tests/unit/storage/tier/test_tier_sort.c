/* The order in which a checkpoint writes keys: whatever keys there are, that of comparing them. */
#include "base/mem.h"
#include "base/random.h"
#include "test_main.h"
#include "tier_internal.h"

#include <stdlib.h>

enum { KEY_MAX = 30000 };

static int compare(const void *left, const void *right)
{
    return keys_compare(left, right);
}

/* Sorts a copy with qsort() and compares; frees the keys. */
static void check_sorted(struct key *keys, size_t count)
{
    struct key *const expected = mem_alloc((count + 1) * sizeof(*expected));
    if (count > 0)
        memcpy(expected, keys, count * sizeof(*keys));
    qsort(expected, count, sizeof(*expected), compare);
    keys = keys_sort(keys, count);
    for (size_t index = 0; index < count; index++)
        ck_assert_msg(
            keys_compare(&keys[index], &expected[index]) == 0, "place %zu of %zu", index, count);
    mem_free(expected);
    mem_free(keys);
}

/* Bytes out of few, so that keys share beginnings and end anywhere; zeros among them. */
static struct key random_key(struct random *random, struct arena *arena, size_t size_max)
{
    static const char alphabet[] = {'\0', '\0', 'a', 'b', '\xff'};
    char bytes[64];
    const size_t size = (size_t)random_below(random, size_max + 1);
    for (size_t index = 0; index < size; index++)
        bytes[index] = alphabet[random_below(random, sizeof(alphabet))];
    const uint32_t space = 1 + (uint32_t)random_below(random, 3) * 0x01010101u;
    return key_make(space, arena_copy(arena, bytes, size), size);
}

START_TEST(keys_of_all_kinds_come_out_in_order)
{
    struct random random;
    test_random_init(&random);
    static const size_t sizes[] = {1, 3, 9, 20, 60};
    static const size_t counts[] = {0, 1, 2, 15, 16, 17, 95, 96, 97, 1000, KEY_MAX};
    for (size_t kind = 0; kind < COUNT_OF(sizes); kind++) {
        for (size_t turn = 0; turn < COUNT_OF(counts); turn++) {
            struct arena arena = {0};
            struct key *const keys = mem_alloc((counts[turn] + 1) * sizeof(*keys));
            for (size_t index = 0; index < counts[turn]; index++)
                keys[index] = random_key(&random, &arena, sizes[kind]);
            check_sorted(keys, counts[turn]);
            arena_deinit(&arena);
        }
    }
}
END_TEST

START_TEST(numbered_keys_come_out_in_order)
{
    struct random random;
    test_random_init(&random);
    struct arena arena = {0};
    struct key *const keys = mem_alloc(KEY_MAX * sizeof(*keys));
    for (size_t index = 0; index < KEY_MAX; index++) {
        char name[64];
        const int size = snprintf(
            name, sizeof(name), "session:%012u:field", (unsigned)random_below(&random, 1000000));
        keys[index] = key_make(1, arena_copy(&arena, name, (size_t)size), (size_t)size);
    }
    check_sorted(keys, KEY_MAX);
    arena_deinit(&arena);
}
END_TEST

START_TEST(keys_that_differ_late_come_out_in_order)
{
    enum { COUNT = 300, SIZE = 6000 };
    struct random random;
    test_random_init(&random);
    struct arena arena = {0};
    struct key *const keys = mem_alloc(COUNT * sizeof(*keys));
    char *const bytes = mem_alloc(SIZE);
    memset(bytes, 'x', SIZE);
    for (size_t index = 0; index < COUNT; index++) {
        const size_t size = SIZE - (size_t)random_below(&random, 10);
        bytes[SIZE - 20] = (char)random_below(&random, 256);
        keys[index] = key_make(1, arena_copy(&arena, bytes, size), size);
    }
    check_sorted(keys, COUNT);
    mem_free(bytes);
    arena_deinit(&arena);
}
END_TEST

TEST_GROUP(tier_sort_group, keys_of_all_kinds_come_out_in_order, numbered_keys_come_out_in_order,
    keys_that_differ_late_come_out_in_order)
