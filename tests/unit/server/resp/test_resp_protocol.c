/*
 * test_resp_protocol.c: what the bytes of requests mean, and Redis's words for those that mean nothing.
 */
#include "resp_feed.h"

START_TEST(an_array_of_bulks_is_a_command)
{
    check_meaning("*1\r\n$4\r\nPING\r\n", "[PING];");
    check_meaning("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$0\r\n\r\n", "[SET][a][];");
    check_meaning(
        "*2\r\n$4\r\nECHO\r\n$4\r\n\r\n\r\n\r\n*1\r\n$4\r\nPING\r\n", "[ECHO][\r\n\r\n];[PING];");
}
END_TEST

START_TEST(a_command_of_many_arguments_keeps_them_all)
{
    static const int counts[] = {
        2, 9, 10, 11, 99, 100, 124, 125, 126, 127, 128, 255, 256, 257, 5000};
    for (size_t at = 0; at < COUNT_OF(counts); at++) {
        struct buf bytes = {0};
        struct buf meaning = {0};
        for (int round = 0; round < 3; round++) {
            buf_append_format(&bytes, "*%d\r\n", counts[at]);
            for (int index = 0; index < counts[at]; index++) {
                char text[16];
                const int size = snprintf(text, sizeof(text), "%d", index);
                buf_append_format(&bytes, "$%d\r\n%s\r\n", size, text);
                buf_append_format(&meaning, "[%s]", text);
            }
            buf_append_byte(&meaning, ';');
        }
        buf_append_byte(&meaning, '\0');
        check_meaning_of(buf_slice(&bytes), &default_limits, meaning.data);
        buf_deinit(&bytes);
        buf_deinit(&meaning);
    }
}
END_TEST

START_TEST(empty_arrays_are_skipped)
{
    check_meaning("*0\r\n*-1\r\n*-10\r\n*1\r\n$4\r\nPING\r\n", "[PING];");
}
END_TEST

START_TEST(impossible_counts_are_refused)
{
    static const char *const cases[] = {"*abc\r\n", "*2147483648\r\n", "*\r\n", "* 1\r\n",
        "*1 \r\n", "*01\r\n", "*+1\r\n", "*-0\r\n", "*99999999999999999999\r\n", "*1\n\r\n",
        "*--1\r\n", "*1x\r\n$4\r\nPING\r\n"};
    for (size_t at = 0; at < COUNT_OF(cases); at++)
        check_meaning(cases[at], "invalid multibulk length;");
}
END_TEST

START_TEST(impossible_sizes_are_refused)
{
    static const char *const cases[] = {"*1\r\n$abc\r\n", "*1\r\n$-1\r\n", "*1\r\n$536870913\r\n",
        "*1\r\n$\r\n", "*1\r\n$4 \r\n", "*1\r\n$ 4\r\n", "*1\r\n$04\r\n",
        "*1\r\n$99999999999999999999\r\n", "*2\r\n$4\r\nPING\r\n$x\r\n"};
    for (size_t at = 0; at < COUNT_OF(cases); at++)
        check_meaning(cases[at], "invalid bulk length;");
}
END_TEST

START_TEST(other_types_than_bulks_are_refused)
{
    check_meaning("*1\r\n:1\r\n", "expected '$', got ':';");
    check_meaning("*1\r\n*1\r\n", "expected '$', got '*';");
    check_meaning("*1\r\nPING\r\n", "expected '$', got 'P';");
    check_meaning("*2\r\n$4\r\nPING\r\n+OK\r\n", "expected '$', got '+';");
    check_meaning("*1\r\n\r\n\r\n", "expected '$', got ' ';");
    struct buf bytes = {0};
    for (int depth = 0; depth < 20000; depth++)
        buf_append_text(&bytes, "*1\r\n");
    check_meaning_of(buf_slice(&bytes), &default_limits, "expected '$', got '*';");
    buf_deinit(&bytes);
}
END_TEST

START_TEST(lines_that_never_end_are_refused)
{
    static const struct {
        const char *start, *meaning;
    } cases[] = {{"", "too big inline request;"}, {"*", "too big mbulk count string;"},
        {"*1\r\n$", "too big bulk count string;"},
        {"*2\r\n$4\r\nPING\r\n$", "too big bulk count string;"}};
    for (size_t at = 0; at < COUNT_OF(cases); at++) {
        struct buf bytes = {0};
        buf_append_text(&bytes, cases[at].start);
        for (int count = 0; count < 70000; count++)
            buf_append_byte(&bytes, '1');
        check_meaning_of(buf_slice(&bytes), &default_limits, cases[at].meaning);
        bytes.size = strlen(cases[at].start) + RESP_INLINE_MAX - 1;
        check_meaning_of(buf_slice(&bytes), &default_limits, "");
        buf_deinit(&bytes);
    }
}
END_TEST

START_TEST(good_commands_come_before_the_error_and_nothing_after_it)
{
    check_meaning("*1\r\n$4\r\nPING\r\nECHO x\r\n*1\r\n$4x\r\nPING\r\n*1\r\n$4\r\nPING\r\n",
        "[PING];[ECHO][x];invalid bulk length;");
    struct resp_pool *const pool = resp_pool_create();
    struct resp_input *const input = resp_input_create(pool);
    struct buf out = {0};
    feed_text(input, "*x\r\n");
    describe_all(input, &default_limits, &out);
    feed_text(input, "PING\r\n");
    resp_input_release(input);
    describe_all(input, &default_limits, &out);
    ck_assert_text_eq(buf_slice(&out), "invalid multibulk length;invalid multibulk length;");
    buf_deinit(&out);
    resp_input_destroy(input);
    resp_pool_destroy(pool);
}
END_TEST

START_TEST(the_error_of_one_input_is_not_anothers)
{
    struct resp_pool *const pool = resp_pool_create();
    struct resp_input *const a = resp_input_create(pool);
    struct resp_input *const b = resp_input_create(pool);
    struct resp_command command;
    const char *text_a;
    const char *text_b;
    feed_text(a, "*1\r\n:1\r\n");
    feed_text(b, "*1\r\n+1\r\n");
    ck_assert_int_eq(resp_input_next(a, &default_limits, &command, &text_a), RESP_ERROR);
    ck_assert_int_eq(resp_input_next(b, &default_limits, &command, &text_b), RESP_ERROR);
    ck_assert_str_eq(text_a, "expected '$', got ':'");
    ck_assert_str_eq(text_b, "expected '$', got '+'");
    resp_input_destroy(a);
    resp_input_destroy(b);
    resp_pool_destroy(pool);
}
END_TEST

START_TEST(before_auth_little_is_read)
{
    struct resp_limits limits = default_limits;
    limits.unauthenticated = true;
    check_meaning_of(slice_text("*10\r\n"), &limits, "");
    check_meaning_of(slice_text("*11\r\n"), &limits, "unauthenticated multibulk length;");
    check_meaning_of(
        slice_text("*11\r\n$4\r\nPING\r\n"), &limits, "unauthenticated multibulk length;");
    check_meaning_of(slice_text("*1\r\n$16384\r\n"), &limits, "");
    check_meaning_of(slice_text("*1\r\n$16385\r\n"), &limits, "unauthenticated bulk length;");
    check_meaning_of(slice_text("*1\r\n$16385\r\n"), &default_limits, "");
    check_meaning_of(slice_text("*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n"), &limits, "[AUTH][x];");
}
END_TEST

START_TEST(the_bulk_limit_is_the_configured_one)
{
    struct resp_limits limits = default_limits;
    limits.bulk_size_max = 1 * MiB;
    check_meaning_of(slice_text("*1\r\n$1048576\r\n"), &limits, "");
    check_meaning_of(slice_text("*1\r\n$1048577\r\n"), &limits, "invalid bulk length;");
    limits.bulk_size_max = INT64_MAX; /* longer strings cannot be stored */
    check_meaning_of(slice_text("*1\r\n$536870913\r\n"), &limits, "invalid bulk length;");
}
END_TEST

START_TEST(requests_beyond_the_query_buffer_limit_are_fatal)
{
    struct resp_limits limits = default_limits;
    limits.query_buffer_max = 1 * MiB;
    struct buf bytes = {0};
    buf_append_text(&bytes, "*100000\r\n");
    for (int index = 0; index < 60000; index++)
        buf_append_text(&bytes, "$16\r\n0123456789abcdef\r\n");
    check_meaning_of(buf_slice(&bytes), &limits, "fatal;");
    buf_clear(&bytes);
    buf_append_text(&bytes, "*1\r\n$2000000\r\n");
    check_meaning_of(buf_slice(&bytes), &limits, "");
    (void)buf_reserve(&bytes, 1 * MiB);
    memset(bytes.data + bytes.size, 'x', 1 * MiB);
    bytes.size += 1 * MiB;
    struct resp_pool *const pool = resp_pool_create();
    struct resp_input *const input = resp_input_create(pool);
    struct buf out = {0};
    feed(input, slice_of(bytes.data, 100));
    describe_all(input, &limits, &out); /* the rest goes to a blob */
    feed(input, slice_of(bytes.data + 100, bytes.size - 100));
    describe_all(input, &limits, &out);
    ck_assert_text_eq(buf_slice(&out), "fatal;");
    buf_deinit(&out);
    resp_input_destroy(input);
    resp_pool_destroy(pool);
    buf_deinit(&bytes);
}
END_TEST

START_TEST(lines_are_commands)
{
    check_meaning("PING\r\n", "[PING];");
    check_meaning("PING\n", "[PING];");
    check_meaning("\r\n\n   \r\n \t \nPING\r\n", "[PING];");
    check_meaning("  SET \t a   b  \r\n", "[SET][a][b];");
    check_meaning("PING\r\nPING\nPING", "[PING];[PING];");
    check_meaning("SET a b\r\r\n", "[SET][a][b];");
    check_meaning("GET / HTTP/1.1\r\n", "[GET][/][HTTP/1.1];");
}
END_TEST

START_TEST(quotes_group_and_escape)
{
    check_meaning("SET \"a b\" 'c d'\r\n", "[SET][a b][c d];");
    check_meaning("SET \"\" ''\r\n", "[SET][][];");
    check_meaning("X \"\\x41\\x4a\\n\\r\\t\\\\\\\"\\q\"\r\n", "[X][AJ\n\r\t\\\"q];");
    check_meaning("X \"\\b\\a\"\r\n", "[X][\b\a];");
    check_meaning("X \"\\xZZ\\x4\"\r\n", "[X][xZZx4];");
    check_meaning("X 'it\\'s \\n'\r\n", "[X][it's \\n];");
    check_meaning("X ab\"c d\"\r\n", "[X][abc d];");
    check_meaning("X \"\xc3\xa4\xff\"\n", "[X][\xc3\xa4\xff];");
}
END_TEST

START_TEST(quotes_that_do_not_close_are_refused)
{
    static const char *const cases[] = {"X \"abc\r\n", "X 'abc\n", "X \"abc\"d\r\n", "X 'abc'd\r\n",
        "X \"\\\"\r\n", "X \"abc\\\r\n", "\"\r\n", "X '\\'\r\n", "X \"a\"\"b\"\r\n"};
    for (size_t at = 0; at < COUNT_OF(cases); at++)
        check_meaning(cases[at], "unbalanced quotes in request;");
}
END_TEST

START_TEST(a_line_of_many_words_keeps_them_all)
{
    struct buf bytes = {0};
    struct buf meaning = {0};
    for (int index = 0; index < 30000; index++) {
        buf_append_text(&bytes, "x ");
        buf_append_text(&meaning, "[x]");
    }
    buf_append_text(&bytes, "\n");
    buf_append_text(&meaning, ";");
    buf_append_byte(&meaning, '\0');
    check_meaning_of(buf_slice(&bytes), &default_limits, meaning.data);
    buf_deinit(&bytes);
    buf_deinit(&meaning);
}
END_TEST

START_TEST(http_is_known_by_its_first_words)
{
    struct slice word = slice_text("post");
    struct resp_command command = {.argc = 1, .argv = &word};
    ck_assert(resp_is_http(&command));
    word = slice_text("Host:");
    ck_assert(resp_is_http(&command));
    word = slice_text("GET");
    ck_assert(!resp_is_http(&command));
}
END_TEST

TEST_GROUP(resp_protocol_group, an_array_of_bulks_is_a_command,
    a_command_of_many_arguments_keeps_them_all, empty_arrays_are_skipped,
    impossible_counts_are_refused, impossible_sizes_are_refused, other_types_than_bulks_are_refused,
    lines_that_never_end_are_refused, good_commands_come_before_the_error_and_nothing_after_it,
    the_error_of_one_input_is_not_anothers, before_auth_little_is_read,
    the_bulk_limit_is_the_configured_one, requests_beyond_the_query_buffer_limit_are_fatal,
    lines_are_commands, quotes_group_and_escape, quotes_that_do_not_close_are_refused,
    a_line_of_many_words_keeps_them_all, http_is_known_by_its_first_words)
