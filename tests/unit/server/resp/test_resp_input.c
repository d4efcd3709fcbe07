/*
 * test_resp_input.c: requests that arrive in pieces, and commands that stay where they are.
 */
#include "resp_feed.h"

#define ARRAY_OF(bulks) "*" #bulks "\r\n"

static const char MIXED[] =
    "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$11\r\nhello\r\nyou!\r\n"
    "PING\r\n"
    "*0\r\n\r\n"
    "SET \"x y\" 'z'\n"
    "*1\r\n$4\r\nPING\r\n"
    "*11\r\n$1\r\n0\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n5\r\n"
    "$1\r\n6\r\n$1\r\n7\r\n$1\r\n8\r\n$1\r\n9\r\n$10\r\n0123456789\r\n"
    "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n";
static const char MIXED_MEANING[] = "[SET][a][hello\r\nyou!];[PING];[SET][x y][z];[PING];"
                                    "[0][1][2][3][4][5][6][7][8][9][0123456789];[ECHO][];";

START_TEST(bytes_split_at_every_position_mean_the_same)
{
    const size_t size = sizeof(MIXED) - 1;
    for (size_t first = 0; first <= size; first++) {
        for (int with_release = 0; with_release < 2; with_release++) {
            struct resp_pool *const pool = resp_pool_create();
            struct resp_input *const input = resp_input_create(pool);
            struct buf out = {0};
            feed(input, slice_of(MIXED, first));
            describe_all(input, &default_limits, &out);
            if (with_release)
                resp_input_release(input);
            feed(input, slice_of(MIXED + first, size - first));
            describe_all(input, &default_limits, &out);
            ck_assert_text_eq(buf_slice(&out), MIXED_MEANING);
            buf_deinit(&out);
            resp_input_destroy(input);
            resp_pool_destroy(pool);
        }
    }
}
END_TEST

START_TEST(single_bytes_mean_the_same)
{
    struct resp_pool *const pool = resp_pool_create();
    struct resp_input *const input = resp_input_create(pool);
    struct buf out = {0};
    for (size_t at = 0; at < sizeof(MIXED) - 1; at++) {
        feed(input, slice_of(MIXED + at, 1));
        describe_all(input, &default_limits, &out);
        resp_input_release(input);
    }
    ck_assert_text_eq(buf_slice(&out), MIXED_MEANING);
    ck_assert_uint_eq(resp_input_pending(input), 0);
    buf_deinit(&out);
    resp_input_destroy(input);
    resp_pool_destroy(pool);
}
END_TEST

/* A command as it was made, to compare with what was parsed. */
struct made {
    struct slice *argv;
    int argc;
    struct slice request;
};

static size_t random_size(struct random *random)
{
    switch (random_below(random, 12)) {
    case 0: return 0;
    case 1: return (size_t)random_below(random, 40000);
    case 2: return 32 * KiB - 2 + (size_t)random_below(random, 4);
    case 3: return (size_t)random_below(random, 300000);
    default: return (size_t)random_below(random, 40);
    }
}

static struct made make_command(struct random *random)
{
    const int argc = random_below(random, 10) == 0 ? 1 + (int)random_below(random, 400)
                                                   : 1 + (int)random_below(random, 4);
    const bool small = argc > 10;
    struct made made = {.argc = argc, .argv = mem_alloc((size_t)argc * sizeof(struct slice))};
    for (int index = 0; index < argc; index++) {
        const size_t size = small ? (size_t)random_below(random, 100) : random_size(random);
        char *const data = mem_alloc(size);
        for (size_t at = 0; at < size; at++)
            data[at] = "\r\n$*0123a"[(at * 7 + size + (size_t)index) % 10];
        made.argv[index] = slice_of(data, size);
    }
    struct buf request = {0};
    resp_append_command(&request, made.argv, (size_t)argc);
    made.request = buf_slice(&request);
    return made;
}

static void free_made(struct made *made)
{
    for (int index = 0; index < made->argc; index++)
        mem_free((void *)(uintptr_t)made->argv[index].data);
    mem_free(made->argv);
    mem_free((void *)(uintptr_t)made->request.data);
}

static void check_same(const struct resp_command *command, const struct made *made)
{
    ck_assert_int_eq(command->argc, made->argc);
    for (int index = 0; index < made->argc; index++)
        ck_assert(slice_equal(command->argv[index], made->argv[index]));
    if (command->request.size > 0)
        ck_assert(slice_equal(command->request, made->request));
    else
        ck_assert_ptr_nonnull(command->blob);
}

enum { COMMANDS = 120, OUT_MAX = 40 };

/*
 * One history: commands of all sizes arrive in reads of random sizes, several are held at once and compared again
 * just before they are released, so anything that moved or was reused shows.
 */
static void run_history(struct random *random, struct resp_pool *pool)
{
    struct made made[COMMANDS];
    struct buf bytes = {0};
    for (int index = 0; index < COMMANDS; index++) {
        made[index] = make_command(random);
        buf_append_slice(&bytes, made[index].request);
    }
    struct resp_input *const input = resp_input_create(pool);
    struct resp_command out[OUT_MAX];
    int out_count = 0;
    int next = 0;
    size_t sent = 0;
    while (next < COMMANDS || out_count > 0) {
        struct resp_command command;
        const char *text;
        enum resp_result result = RESP_MORE;
        if (out_count < OUT_MAX && next < COMMANDS) {
            result = resp_input_next(input, &default_limits, &command, &text);
            ck_assert_int_ne(result, RESP_ERROR);
            ck_assert_int_ne(result, RESP_FATAL);
        }
        if (result == RESP_COMMAND) {
            check_same(&command, &made[next++]);
            out[out_count++] = command;
        }
        if (out_count == OUT_MAX || next == COMMANDS || random_below(random, 8) == 0) {
            for (int index = 0; index < out_count; index++)
                check_same(&out[index], &made[next - out_count + index]);
            out_count = 0;
            resp_input_release(input);
        }
        if (result == RESP_MORE && sent < bytes.size) {
            size_t room;
            char *const space = resp_input_space(input, &room);
            ck_assert_uint_ge(room, 1);
            size_t size = random_below(random, 3) == 0 ? 1 + (size_t)random_below(random, 50)
                                                       : 1 + (size_t)random_below(random, 70000);
            size = size < room ? size : room;
            size = size < bytes.size - sent ? size : bytes.size - sent;
            memcpy(space, bytes.data + sent, size);
            resp_input_received(input, size);
            sent += size;
        }
    }
    ck_assert_uint_eq(resp_input_pending(input), 0);
    resp_input_destroy(input);
    buf_deinit(&bytes);
    for (int index = 0; index < COMMANDS; index++)
        free_made(&made[index]);
}

START_TEST(commands_handed_out_stay_as_they_are_until_release)
{
    struct random random;
    test_random_init(&random);
    struct resp_pool *const pool = resp_pool_create();
    for (int round = 0; round < 12; round++)
        run_history(&random, pool);
    resp_pool_destroy(pool);
}
END_TEST

START_TEST(release_of_one_input_spares_the_commands_of_another)
{
    struct resp_pool *const pool = resp_pool_create();
    struct resp_input *const a = resp_input_create(pool);
    struct resp_input *const b = resp_input_create(pool);
    struct resp_command command_a, command_b;
    const char *text;
    feed_text(a, "*2\r\n$4\r\nECHO\r\n$1\r\na\r\n");
    feed_text(b, "*2\r\n$4\r\nECHO\r\n$1\r\nb\r\n");
    ck_assert_int_eq(resp_input_next(a, &default_limits, &command_a, &text), RESP_COMMAND);
    ck_assert_int_eq(resp_input_next(b, &default_limits, &command_b, &text), RESP_COMMAND);
    resp_input_release(a);
    feed_text(a, "*2\r\n$4\r\necho\r\n$1\r\nA\r\n");
    ck_assert_int_eq(resp_input_next(a, &default_limits, &command_a, &text), RESP_COMMAND);
    ck_assert_text_eq(command_b.argv[0], "ECHO");
    ck_assert_text_eq(command_b.argv[1], "b");
    ck_assert_text_eq(command_a.argv[1], "A");
    resp_input_destroy(a);
    resp_input_destroy(b);
    resp_pool_destroy(pool);
}
END_TEST

START_TEST(request_is_what_was_received_if_that_is_canonical)
{
    struct resp_pool *const pool = resp_pool_create();
    struct resp_input *const input = resp_input_create(pool);
    struct resp_command command;
    const char *text;
    feed_text(input, "*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$1\r\na\r\n"
                     "ECHO a\r\n*2\r\n$4\r\nECHO\r\n$1\r\na**"
                     "*1\r\n$4\rxPING\r\n*1\r\n$4\r\nPING\r\n");
    static const char *const requests[] = {"*1\r\n$4\r\nPING\r\n",
        "*2\r\n$4\r\nECHO\r\n$1\r\na\r\n", "", "", "", "*1\r\n$4\r\nPING\r\n"};
    for (size_t at = 0; at < COUNT_OF(requests); at++) {
        ck_assert_int_eq(resp_input_next(input, &default_limits, &command, &text), RESP_COMMAND);
        ck_assert_text_eq(command.request, requests[at]);
        ck_assert_text_eq(command.argv[0], command.argc == 1 ? "PING" : "ECHO");
    }
    resp_input_destroy(input);
    resp_pool_destroy(pool);
}
END_TEST

TEST_GROUP(resp_input_group, bytes_split_at_every_position_mean_the_same,
    single_bytes_mean_the_same, commands_handed_out_stay_as_they_are_until_release,
    release_of_one_input_spares_the_commands_of_another,
    request_is_what_was_received_if_that_is_canonical)
