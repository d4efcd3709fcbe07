/*
 * bench_resp.c: nanoseconds per command parsed and per reply written, for a pipelined batch of GETs of 16-byte keys.
 */
#include "base/check.h"
#include "server/resp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BATCH = 32, ROUNDS = 200000 };

static double now_ns(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

int main(void)
{
    const struct resp_limits limits = {.bulk_size_max = 512 * MiB, .query_buffer_max = GiB};
    struct resp_pool *const pool = resp_pool_create();
    struct resp_input *const input = resp_input_create(pool);
    struct resp_output output;
    resp_output_init(&output, pool);
    struct buf bytes = {0};
    for (int index = 0; index < BATCH; index++)
        buf_append_format(&bytes, "*2\r\n$3\r\nGET\r\n$16\r\nkey:%012d\r\n", index * 7919);
    uint64_t sum = 0;
    const char *text;
    double start = now_ns();
    for (int round = 0; round < ROUNDS; round++) {
        size_t room;
        char *const space = resp_input_space(input, &room);
        CHECK(room >= bytes.size);
        memcpy(space, bytes.data, bytes.size);
        resp_input_received(input, bytes.size);
        struct resp_command command;
        while (resp_input_next(input, &limits, &command, &text) == RESP_COMMAND)
            sum += command.argv[1].size + (uint64_t)(uint8_t)command.argv[1].data[15];
        resp_input_release(input);
    }
    double end = now_ns();
    printf("parse: %.1f ns per GET (%" PRIu64 ")\n", (end - start) / ROUNDS / BATCH, sum);
    static char value[64];
    start = now_ns();
    for (int round = 0; round < ROUNDS; round++) {
        for (int index = 0; index < BATCH; index++)
            reply_bulk(&output, slice_of(value, sizeof(value)));
        struct iovec vectors[16];
        CHECK(resp_output_vectors(&output, vectors, 16, SIZE_MAX) > 0);
        resp_output_written(&output, output.pending_size);
    }
    end = now_ns();
    printf("reply: %.1f ns per 64-byte bulk\n", (end - start) / ROUNDS / BATCH);
    buf_deinit(&bytes);
    resp_output_deinit(&output);
    resp_input_destroy(input);
    resp_pool_destroy(pool);
    return EXIT_SUCCESS;
}
