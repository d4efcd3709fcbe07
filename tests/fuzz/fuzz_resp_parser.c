/*
 * fuzz_resp_parser.c: any bytes as requests, in any pieces.
 *
 * The first byte chooses the limits, the second seeds the lengths of the pieces. The rest is parsed twice: in one go, commands
 * held until the end, and in pieces, each command released at once. Both must give the same commands and the same error,
 * and each `request` must be what the log's reader reads as the same command. Then the bytes are given to the log's reader.
 */
#include "base/check.h"
#include "base/mem.h"
#include "fuzz_setup.h"
#include "server/resp.h"

/* All that came out, as one text. */
static void describe(const struct resp_command *command, struct buf *out)
{
    resp_append_command(out, command->argv, (size_t)command->argc);
    buf_append_format(out, "%d;", command->request.size > 0);
}

static void check_request(const struct resp_command *command)
{
    if (command->request.size == 0)
        return;
    struct slice *argv = NULL;
    int capacity = 0;
    int argc;
    size_t size;
    CHECK(resp_read_command(command->request, &argv, &capacity, &argc, &size) == ST_OK);
    CHECK(size == command->request.size);
    CHECK(argc == command->argc);
    for (int index = 0; index < argc; index++)
        CHECK(slice_equal(argv[index], command->argv[index]));
    mem_free(argv);
}

static size_t next_piece(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    const uint32_t draw = *state >> 16;
    return draw % 4 == 0 ? 1 : 1 + draw % (draw % 3 == 0 ? 7 : 3000);
}

/* Parses data in pieces (of all if seed is 0). */
static void parse(struct resp_pool *pool, const struct resp_limits *limits, struct slice data,
    uint32_t seed, struct buf *out)
{
    struct resp_input *const input = resp_input_create(pool);
    bool alive = true;
    while (alive && data.size > 0) {
        size_t room;
        char *const space = resp_input_space(input, &room);
        CHECK(room > 0);
        size_t piece = seed == 0 ? room : next_piece(&seed);
        piece = piece < room ? piece : room;
        piece = piece < data.size ? piece : data.size;
        memcpy(space, data.data, piece);
        resp_input_received(input, piece);
        data = slice_of(data.data + piece, data.size - piece);
        for (;;) {
            struct resp_command command;
            const char *text = NULL;
            const enum resp_result result = resp_input_next(input, limits, &command, &text);
            if (result == RESP_MORE)
                break;
            if (result != RESP_COMMAND) {
                buf_append_text(out, result == RESP_ERROR ? text : "fatal");
                alive = false;
                break;
            }
            CHECK(command.argc > 0);
            (void)resp_is_http(&command);
            check_request(&command);
            describe(&command, out);
            if (command.argc % 3 == 0)
                blob_unref(resp_command_take_blob(&command));
            if (seed != 0)
                resp_input_release(input);
        }
        CHECK(resp_input_memory(input) < 8 * (data.size + out->size + 1) + 16 * MiB);
    }
    resp_input_destroy(input);
}

static void read_log(struct slice bytes)
{
    struct slice *argv = NULL;
    int capacity = 0;
    int argc;
    size_t size;
    while (resp_read_command(bytes, &argv, &capacity, &argc, &size) == ST_OK) {
        CHECK(size <= bytes.size);
        struct buf again = {0};
        resp_append_command(&again, argv, (size_t)argc);
        CHECK(slice_equal(buf_slice(&again), slice_of(bytes.data, size)));
        buf_deinit(&again);
        bytes = slice_of(bytes.data + size, bytes.size - size);
    }
    mem_free(argv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const struct resp_limits limits = {
        .bulk_size_max = (data[0] & 1) != 0 ? 1 * MiB : 512 * MiB,
        .query_buffer_max = 1 * GiB,
        .unauthenticated = (data[0] & 2) != 0,
    };
    const struct slice bytes = slice_of(data + 2, size - 2);
    struct resp_pool *const pool = resp_pool_create();
    struct buf whole = {0};
    struct buf pieces = {0};
    parse(pool, &limits, bytes, 0, &whole);
    parse(pool, &limits, bytes, 1 + (uint32_t)data[1], &pieces);
    /* What comes as a whole may be longer than a line that is cut off in the middle may get. */
    if (bytes.size < RESP_INLINE_MAX)
        CHECK(slice_equal(buf_slice(&whole), buf_slice(&pieces)));
    buf_deinit(&whole);
    buf_deinit(&pieces);
    resp_pool_destroy(pool);
    read_log(bytes);
    return 0;
}
