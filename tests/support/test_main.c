/*
 * test_main.c: the runner of a unit-test program.
 *
 * The parent makes one directory for the run and removes it at the end; tests, which run in child processes and
 * may die in them, only make directories below it.
 */
#include "test_main.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATHS_MAX = 512, PATH_MAX_BYTES = 512, TEST_TIMEOUT_S = 120 };

static uint64_t run_seed;
static char run_directory[PATH_MAX_BYTES];
static char *paths[PATHS_MAX]; /* what tests were given, freed at exit to please leak checkers */
static size_t path_count;

void test_group_add(TCase *tests, const TTest *const *list, size_t count)
{
    for (size_t index = 0; index < count; index++)
        tcase_add_test(tests, list[index]);
}

static void choose_seed(void)
{
    const char *const given = getenv("KELVIN_TEST_SEED");
    if (given != NULL && given[0] != '\0')
        run_seed = strtoull(given, NULL, 0);
    else
        random_secret(&run_seed, sizeof(run_seed));
}

uint64_t test_seed(void)
{
    return run_seed;
}

void test_random_init(struct random *random)
{
    random_init(random, run_seed);
}

static const char *keep_path(char *path)
{
    CHECK(path_count < PATHS_MAX);
    paths[path_count++] = path;
    return path;
}

static void make_run_directory(void)
{
    const char *const base = getenv("TMPDIR");
    (void)snprintf(run_directory, sizeof(run_directory), "%s/kelvin-test-XXXXXX",
        base == NULL || base[0] == '\0' ? "/tmp" : base);
    CHECK(mkdtemp(run_directory) != NULL);
}

const char *test_directory_create(void)
{
    char *const path = mem_alloc(PATH_MAX_BYTES + 16);
    (void)snprintf(path, PATH_MAX_BYTES + 16, "%s/XXXXXX", run_directory);
    CHECK(mkdtemp(path) != NULL);
    return keep_path(path);
}

const char *test_path(const char *directory, const char *name)
{
    const size_t size = strlen(directory) + strlen(name) + 2;
    char *const path = mem_alloc(size);
    (void)snprintf(path, size, "%s/%s", directory, name);
    return keep_path(path);
}

/* What waitpid() says about a child that runs it. */
static int wait_status(test_child_fn run, void *context)
{
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(log_target_set("/dev/null"));
        run(context);
        _exit(EXIT_SUCCESS);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    return status;
}

bool test_aborts(test_child_fn run, void *context)
{
    const int status = wait_status(run, context);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

int test_exit_status(test_child_fn run, void *context)
{
    const int status = wait_status(run, context);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

int test_run(const char *name, const test_group_fn *groups, size_t group_count)
{
    choose_seed();
    printf("%s: KELVIN_TEST_SEED=%" PRIu64 "\n", name, run_seed);
    (void)fflush(stdout);
    hash_setup();
    make_run_directory();
    Suite *const suite = suite_create(name);
    for (size_t index = 0; index < group_count; index++) {
        TCase *const tests = tcase_create(name);
        tcase_set_timeout(tests, TEST_TIMEOUT_S);
        groups[index](tests);
        suite_add_tcase(suite, tests);
    }
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    (void)nftw(run_directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    for (size_t index = 0; index < path_count; index++)
        mem_free(paths[index]);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
