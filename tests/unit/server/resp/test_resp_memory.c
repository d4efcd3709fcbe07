/*
 * test_resp_memory.c: memory follows bytes that came, not bytes that were announced; big bulks have their own.
 */
#include "resp_feed.h"

START_TEST(an_idle_input_holds_next_to_nothing)
{
    struct resp_pool *const pool = resp_pool_create();
    struct resp_input *const input = resp_input_create(pool);
    ck_assert_uint_lt(resp_input_memory(input), 200);
    feed_text(input, "PING\r\n");
    ck_assert_uint_ge(resp_input_memory(input), RESP_BUFFER_SIZE);
    ck_assert_uint_eq(resp_input_pending(input), 6);
    struct buf out = {0};
    describe_all(input, &default_limits, &out);
    ck_assert_uint_eq(resp_input_pending(input), 0);
    resp_input_release(input);
    ck_assert_uint_lt(resp_input_memory(input), 200);
    buf_deinit(&out);
    resp_input_destroy(input);
    resp_pool_destroy(pool);
}
END_TEST

START_TEST(announcements_cost_nothing)
{
    static const char *const cases[] = {"*2000000\r\n", "*2000000\r\n$3\r\nSET\r\n",
        "*2\r\n$3\r\nGET\r\n$500000000\r\n", "*2\r\n$3\r\nGET\r\n$500000000\r\nabc",
        "*2147483647\r\n$536870912\r\n"};
    for (size_t at = 0; at < COUNT_OF(cases); at++) {
        struct resp_pool *const pool = resp_pool_create();
        struct resp_input *const input = resp_input_create(pool);
        struct buf out = {0};
        feed_text(input, cases[at]);
        describe_all(input, &default_limits, &out);
        size_t room;
        (void)resp_input_space(input, &room);
        ck_assert_uint_ge(room, 1);
        ck_assert_uint_lt(resp_input_memory(input), 128 * KiB);
        ck_assert_uint_eq(out.size, 0);
        resp_input_release(input);
        ck_assert_uint_lt(resp_input_memory(input), 128 * KiB);
        buf_deinit(&out);
        resp_input_destroy(input);
        resp_pool_destroy(pool);
    }
}
END_TEST

/* "*3 SET <key> <value of size bytes>", sent in pieces; returns the command. */
static struct resp_command receive_set(struct resp_input *input, size_t size, size_t piece)
{
    char *const value = mem_alloc(size);
    for (size_t at = 0; at < size; at++)
        value[at] = (char)('a' + at % 26);
    const struct slice argv[] = {slice_text("SET"), slice_text("key"), slice_of(value, size)};
    struct buf bytes = {0};
    resp_append_command(&bytes, argv, 3);
    mem_free(value);
    struct resp_command command;
    const char *text;
    size_t sent = 0;
    while (resp_input_next(input, &default_limits, &command, &text) == RESP_MORE) {
        ck_assert_uint_lt(sent, bytes.size);
        const size_t part = piece < bytes.size - sent ? piece : bytes.size - sent;
        feed(input, slice_of(bytes.data + sent, part));
        sent += part;
        /* Never much more than twice, or four times for blobs, of what has come. */
        ck_assert_uint_lt(resp_input_memory(input), 5 * sent + 150 * KiB);
    }
    ck_assert_uint_eq(sent, bytes.size);
    buf_deinit(&bytes);
    ck_assert_int_eq(command.argc, 3);
    ck_assert_text_eq(command.argv[0], "SET");
    ck_assert_text_eq(command.argv[1], "key");
    ck_assert_uint_eq(command.argv[2].size, size);
    size_t wrong = 0;
    for (size_t at = 0; at < size; at++)
        wrong += command.argv[2].data[at] != (char)('a' + at % 26);
    ck_assert_uint_eq(wrong, 0);
    return command;
}

START_TEST(a_big_bulk_comes_in_a_blob_that_can_be_taken)
{
    static const size_t sizes[] = {
        32768, 32769, 65533, 65534, 65535, 65536, 100000, 262144, 3000000};
    static const size_t pieces[] = {700, 16384, 100001};
    struct resp_pool *const pool = resp_pool_create();
    struct resp_input *const input = resp_input_create(pool);
    for (size_t at = 0; at < COUNT_OF(sizes); at++) {
        for (size_t index = 0; index < COUNT_OF(pieces); index++) {
            struct resp_command command = receive_set(input, sizes[at], pieces[index]);
            if (command.blob == NULL) { /* it was in the buffer as a whole */
                ck_assert_uint_gt(pieces[index], sizes[at]);
                resp_input_release(input);
                continue;
            }
            ck_assert_int_eq(command.blob_index, 2);
            ck_assert_ptr_eq(command.argv[2].data, command.blob->data);
            ck_assert_uint_eq(command.request.size, 0);
            struct blob *const blob = resp_command_take_blob(&command);
            ck_assert_ptr_null(command.blob);
            ck_assert_ptr_null(resp_command_take_blob(&command));
            resp_input_release(input);
            ck_assert(!blob_is_shared(blob));
            ck_assert_uint_eq(blob->size, sizes[at]);
            ck_assert(blob->data[sizes[at] - 1] == (char)('a' + (sizes[at] - 1) % 26));
            blob_unref(blob);
        }
    }
    (void)receive_set(input, 100000, 10000); /* not taken: freed, as the leak checker confirms */
    resp_input_release(input);
    ck_assert_uint_lt(resp_input_memory(input), 200);
    (void)receive_set(input, 100000, 10000);
    resp_input_destroy(input);
    resp_pool_destroy(pool);
}
END_TEST

START_TEST(several_big_bulks_in_one_command_all_arrive)
{
    struct resp_pool *const pool = resp_pool_create();
    struct resp_input *const input = resp_input_create(pool);
    const size_t size = 50000;
    char *const value = mem_alloc(size);
    memset(value, 'v', size);
    const struct slice argv[] = {slice_text("MSET"), slice_text("a"), slice_of(value, size),
        slice_text("b"), slice_of(value, size - 1), slice_text("c"), slice_of(value, size - 2)};
    struct buf bytes = {0};
    resp_append_command(&bytes, argv, COUNT_OF(argv));
    resp_append_command(&bytes, argv, 2);
    struct resp_command command;
    const char *text;
    size_t sent = 0;
    while (resp_input_next(input, &default_limits, &command, &text) == RESP_MORE) {
        const size_t part = bytes.size - sent < 16384 ? bytes.size - sent : 16384;
        feed(input, slice_of(bytes.data + sent, part));
        sent += part;
    }
    ck_assert_int_eq(command.argc, (int)COUNT_OF(argv));
    for (int index = 0; index < command.argc; index++)
        ck_assert(slice_equal(command.argv[index], argv[index]));
    ck_assert_int_eq(command.blob_index, 2);
    struct blob *const blob = resp_command_take_blob(&command);
    feed(input, slice_of(bytes.data + sent, bytes.size - sent));
    struct resp_command second;
    ck_assert_int_eq(resp_input_next(input, &default_limits, &second, &text), RESP_COMMAND);
    ck_assert_ptr_null(second.blob);
    ck_assert(slice_equal(command.argv[6], argv[6]));
    resp_input_release(input);
    ck_assert_uint_eq(blob->size, size);
    blob_unref(blob);
    resp_input_destroy(input);
    resp_pool_destroy(pool);
    buf_deinit(&bytes);
    mem_free(value);
}
END_TEST

START_TEST(a_million_arguments_in_small_pieces_take_linear_time)
{
    enum { COUNT = 1000000 };
    struct resp_pool *const pool = resp_pool_create();
    struct resp_input *const input = resp_input_create(pool);
    struct buf bytes = {0};
    buf_append_format(&bytes, "*%d\r\n", COUNT);
    for (int index = 0; index < COUNT; index++)
        buf_append_text(&bytes, "$3\r\nabc\r\n");
    struct resp_command command;
    const char *text;
    size_t sent = 0;
    /* 9,000 pieces: were each to look at all before it, this would be 40 GB. */
    while (resp_input_next(input, &default_limits, &command, &text) == RESP_MORE) {
        const size_t part = bytes.size - sent < 1000 ? bytes.size - sent : 1000;
        feed(input, slice_of(bytes.data + sent, part));
        sent += part;
        resp_input_release(input);
    }
    ck_assert_int_eq(command.argc, COUNT);
    int wrong = 0;
    for (int index = 0; index < COUNT; index++)
        wrong += !slice_equal(command.argv[index], slice_text("abc"));
    ck_assert_int_eq(wrong, 0);
    ck_assert(slice_equal(command.request, buf_slice(&bytes)));
    resp_input_release(input);
    ck_assert_uint_lt(resp_input_memory(input), 200);
    resp_input_destroy(input);
    resp_pool_destroy(pool);
    buf_deinit(&bytes);
}
END_TEST

START_TEST(a_long_block_is_given_up_when_little_is_left_in_it)
{
    struct resp_pool *const pool = resp_pool_create();
    struct resp_input *const input = resp_input_create(pool);
    struct buf bytes = {0};
    buf_append_text(&bytes, "*2001\r\n");
    for (int index = 0; index < 2001; index++)
        buf_append_text(&bytes,
            "$100\r\n0123456789012345678901234567890123456789012345678901234567890123456789"
            "012345678901234567890123456789\r\n");
    buf_append_text(&bytes, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5");
    struct resp_command command;
    const char *text;
    feed(input, buf_slice(&bytes));
    ck_assert_int_eq(resp_input_next(input, &default_limits, &command, &text), RESP_COMMAND);
    ck_assert_int_eq(resp_input_next(input, &default_limits, &command, &text), RESP_MORE);
    ck_assert_uint_gt(resp_input_memory(input), 200000);
    resp_input_release(input);
    ck_assert_uint_lt(resp_input_memory(input), 20000);
    feed_text(input, "\r\nhello\r\n");
    ck_assert_int_eq(resp_input_next(input, &default_limits, &command, &text), RESP_COMMAND);
    ck_assert_text_eq(command.argv[0], "SET");
    ck_assert_text_eq(command.argv[1], "a");
    ck_assert_text_eq(command.argv[2], "hello");
    resp_input_destroy(input);
    resp_pool_destroy(pool);
    buf_deinit(&bytes);
}
END_TEST

TEST_GROUP(resp_memory_group, an_idle_input_holds_next_to_nothing, announcements_cost_nothing,
    a_big_bulk_comes_in_a_blob_that_can_be_taken, several_big_bulks_in_one_command_all_arrive,
    a_million_arguments_in_small_pieces_take_linear_time,
    a_long_block_is_given_up_when_little_is_left_in_it)
