/*
 * test_main.h: what every unit test starts from.
 *
 *   START_TEST(a_claim) { ... } END_TEST
 *   TEST_MAIN("base.slice", a_claim, another_claim)
 *
 * Each test runs in a process of its own (CK_FORK=no in the environment: all in one, for debuggers), which has
 * called hash_setup(). The seed is printed; KELVIN_TEST_SEED repeats a run. Claims that
 * belong together share a file; several files of one program export a group each:
 *
 *   TEST_GROUP(slice_group, a_claim, another_claim)            in test_slice.c
 *   TEST_MAIN_GROUPS("base", slice_group, number_group)        in one of them
 */
#ifndef TEST_MAIN_H
#define TEST_MAIN_H

#include "base/compiler.h"
#include "base/random.h"
#include "base/slice.h"

#include <check.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The tests of one file: a function that adds them. Declared by whoever names it in TEST_MAIN_GROUPS. */
typedef void (*test_group_fn)(TCase *tests);
void test_group_add(TCase *tests, const TTest *const *list, size_t count);

/* Runs all and returns main()'s result. */
int test_run(const char *name, const test_group_fn *groups, size_t group_count);

#define TEST_GROUP(group, ...)                       \
    void group(TCase *tests);                        \
    void group(TCase *tests)                         \
    {                                                \
        const TTest *const list[] = {__VA_ARGS__};   \
        test_group_add(tests, list, COUNT_OF(list)); \
    }

#define TEST_MAIN_GROUPS(name, ...)                      \
    int main(void)                                       \
    {                                                    \
        const test_group_fn groups[] = {__VA_ARGS__};    \
        return test_run(name, groups, COUNT_OF(groups)); \
    }

#define TEST_MAIN(name, ...)                         \
    static void all_tests(TCase *tests)              \
    {                                                \
        const TTest *const list[] = {__VA_ARGS__};   \
        test_group_add(tests, list, COUNT_OF(list)); \
    }                                                \
    TEST_MAIN_GROUPS(name, all_tests)

/* The seed of this run: KELVIN_TEST_SEED, or drawn at its start and printed. */
uint64_t test_seed(void);
/* A generator for one test, seeded by test_seed(). */
void test_random_init(struct random *random);

/*
 * A new empty directory under $TMPDIR (or /tmp). All are removed with what is in them when the program
 * ends, whatever became of the test. The text lives until then.
 */
const char *test_directory_create(void);
/* "<directory>/<name>", in memory that lives until the test's process ends. */
const char *test_path(const char *directory, const char *name);

/*
 * Runs something that is to end its process in a child, with the log silenced. True if it aborted (a failed
 * CHECK); test_exit_status() gives what it exited with, or -1 if a signal ended it.
 */
typedef void (*test_child_fn)(void *context);
bool test_aborts(test_child_fn run, void *context);
int test_exit_status(test_child_fn run, void *context);

/* Bytes as a struct slice compare equal, with both printed if not. */
#define ck_assert_slice_eq(actual, expected)                                                \
    do {                                                                                    \
        const struct slice actual_ = (actual);                                              \
        const struct slice expected_ = (expected);                                          \
        ck_assert_msg(slice_equal(actual_, expected_), "%s is '%.*s', not '%.*s'", #actual, \
            (int)actual_.size, actual_.data, (int)expected_.size, expected_.data);          \
    } while (0)
#define ck_assert_text_eq(actual, text) ck_assert_slice_eq(actual, slice_text(text))

#endif
