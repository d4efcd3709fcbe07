/*
 * aof_bench.c: the cost of an append, and of a commit.
 *
 *   aof_bench [directory [appends]]
 *
 * 1. everysec, one thread: nanoseconds per append of 100 bytes (wall time and CPU of the appending thread),
 *    in batches as a worker makes them, with the log thread writing beside it.
 * 2. always, one thread that waits for each: commits per second.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "storage/aof.h"

#include <inttypes.h>
#include <unistd.h>

enum { BODY_SIZE = 100, BATCH = 512, COMMITS = 2000 };

static struct aof *open_log(const char *directory, const struct aof_options *options)
{
    struct aof *aof = NULL;
    struct error error;
    if (file_exists(directory) && rmdir(directory) != 0) {
        (void)fprintf(stderr, "%s is there already\n", directory);
        exit(1);
    }
    if (aof_open(directory, 1, 0, options, NULL, &aof, &error) != ST_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    return aof;
}

static bool remove_file(void *context, const char *name)
{
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/%s", (const char *)context, name);
    CHECK(file_unlink(path, NULL) == ST_OK);
    return true;
}

static void close_and_remove(struct aof *aof, char *directory)
{
    aof_close(aof);
    CHECK(file_list(directory, remove_file, directory, NULL) == ST_OK);
    CHECK(rmdir(directory) == 0);
}

static void bench_append(char *directory, uint64_t count)
{
    const struct aof_options options = {.sync_mode = AOF_SYNC_EVERYSEC,
        .segment_size = (int64_t)(64 * MiB),
        .buffer_limit = (int64_t)(256 * MiB)};
    struct aof *const aof = open_log(directory, &options);
    char body[BODY_SIZE];
    memset(body, 'x', sizeof(body));
    const struct aof_append append = {.prefix = SLICE_LITERAL("*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"),
        .body = slice_of(body, sizeof(body))};
    uint64_t append_ns = 0;
    const uint64_t cpu_before = clock_thread_cpu_us();
    const uint64_t began = clock_monotonic_us();
    for (uint64_t done = 0; done < count; done += BATCH) {
        while (!aof_has_room(aof))
            (void)usleep(1000);
        const uint64_t start = clock_monotonic_ns();
        for (int index = 0; index < BATCH; index++)
            (void)aof_append(aof, &append);
        append_ns += clock_monotonic_ns() - start;
        aof_release(aof, aof_durable_lsn(aof)); /* else the disk fills */
    }
    const uint64_t took_us = clock_monotonic_us() - began;
    const uint64_t cpu_us = clock_thread_cpu_us() - cpu_before;
    CHECK(aof_wait_durable(aof, aof_end_lsn(aof)) == ST_OK);
    struct aof_metrics metrics;
    aof_metrics_read(aof, &metrics);
    printf("append 100 B, everysec: %.1f ns each (thread CPU with release %.1f), %.2f M/s overall, "
           "%" PRIu64 " frames, %" PRIu64 " syncs\n",
        (double)append_ns / (double)count, (double)cpu_us * 1000 / (double)count,
        (double)count / (double)took_us, metric_get(&metrics, frame_count),
        metric_get(&metrics, sync_count));
    close_and_remove(aof, directory);
}

static void bench_commit(char *directory)
{
    const struct aof_options options = {.sync_mode = AOF_SYNC_ALWAYS,
        .segment_size = (int64_t)(64 * MiB),
        .buffer_limit = (int64_t)(256 * MiB)};
    struct aof *const aof = open_log(directory, &options);
    char body[BODY_SIZE];
    memset(body, 'x', sizeof(body));
    const struct aof_append append = {.body = slice_of(body, sizeof(body))};
    const uint64_t began = clock_monotonic_us();
    for (int index = 0; index < COMMITS; index++)
        CHECK(aof_wait_durable(aof, aof_append(aof, &append)) == ST_OK);
    const uint64_t took_us = clock_monotonic_us() - began;
    printf("commit 100 B, always: %.0f us each\n", (double)took_us / COMMITS);
    close_and_remove(aof, directory);
}

int main(int argument_count, char **arguments)
{
    char directory[1024] = "aof-bench.tmp";
    if (argument_count > 1)
        (void)snprintf(directory, sizeof(directory), "%s", arguments[1]);
    const uint64_t count = argument_count > 2 ? strtoull(arguments[2], NULL, 10) : 10000000;
    hash_setup();
    bench_append(directory, count);
    bench_commit(directory);
    return 0;
}
