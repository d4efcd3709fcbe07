/*
 * resp_feed.h: gives an input its bytes, for the tests of parsing.
 */
#ifndef RESP_FEED_H
#define RESP_FEED_H

#include "base/check.h"
#include "base/mem.h"
#include "server/resp.h"
#include "test_main.h"

static const struct resp_limits default_limits = {
    .bulk_size_max = 512 * MiB, .query_buffer_max = 1 * GiB};

/* Bytes arrive, in reads as long as the input has room for. */
UNUSED static void feed(struct resp_input *input, struct slice bytes)
{
    while (bytes.size > 0) {
        size_t room;
        char *const space = resp_input_space(input, &room);
        CHECK(room > 0);
        const size_t part = bytes.size < room ? bytes.size : room;
        memcpy(space, bytes.data, part);
        resp_input_received(input, part);
        bytes.data += part;
        bytes.size -= part;
    }
}

UNUSED static void feed_text(struct resp_input *input, const char *text)
{
    feed(input, slice_text(text));
}

/* As a worker that executes each command at once: one line per command, arguments in brackets, error or "more" last. */
UNUSED static void describe_all(
    struct resp_input *input, const struct resp_limits *limits, struct buf *out)
{
    struct resp_command command;
    const char *text;
    for (;;) {
        const enum resp_result result = resp_input_next(input, limits, &command, &text);
        if (result == RESP_MORE)
            return;
        if (result != RESP_COMMAND) {
            buf_append_format(out, "%s;", result == RESP_ERROR ? text : "fatal");
            return;
        }
        for (int index = 0; index < command.argc; index++) {
            buf_append_byte(out, '[');
            buf_append_slice(out, command.argv[index]);
            buf_append_byte(out, ']');
        }
        buf_append_byte(out, ';');
    }
}

/* What all of the bytes mean, read whole. */
#define check_meaning_of(bytes, limits, meaning)                    \
    do {                                                            \
        struct resp_pool *const pool_ = resp_pool_create();         \
        struct resp_input *const input_ = resp_input_create(pool_); \
        struct buf out_ = {0};                                      \
        feed(input_, (bytes));                                      \
        describe_all(input_, (limits), &out_);                      \
        ck_assert_text_eq(buf_slice(&out_), (meaning));             \
        buf_deinit(&out_);                                          \
        resp_input_destroy(input_);                                 \
        resp_pool_destroy(pool_);                                   \
    } while (0)
#define check_meaning(text, meaning) check_meaning_of(slice_text(text), &default_limits, (meaning))

#endif
