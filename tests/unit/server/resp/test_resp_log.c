/*
 * test_resp_log.c: commands of the log, written and read.
 */
#include "base/mem.h"
#include "server/resp.h"
#include "test_main.h"

START_TEST(what_was_appended_is_read_back)
{
    struct buf buf = {0};
    const struct slice first[] = {slice_text("SET"), slice_of("a\r\n\0b", 5), slice_of(NULL, 0)};
    struct slice many[300];
    for (size_t index = 0; index < COUNT_OF(many); index++)
        many[index] = slice_of("0123456789", index % 11);
    resp_append_command(&buf, first, COUNT_OF(first));
    resp_append_command(&buf, many, COUNT_OF(many));
    struct slice *argv = NULL;
    int capacity = 0;
    int argc;
    size_t size;
    struct slice rest = buf_slice(&buf);
    ck_assert_int_eq(resp_read_command(rest, &argv, &capacity, &argc, &size), ST_OK);
    ck_assert_slice_eq(slice_of(rest.data, size),
        SLICE_LITERAL("*3\r\n$3\r\nSET\r\n$5\r\na\r\n\0b\r\n$0\r\n\r\n"));
    ck_assert_int_eq(argc, 3);
    for (int index = 0; index < argc; index++)
        ck_assert_slice_eq(argv[index], first[index]);
    rest = slice_of(rest.data + size, rest.size - size);
    ck_assert_int_eq(resp_read_command(rest, &argv, &capacity, &argc, &size), ST_OK);
    ck_assert_int_eq(argc, COUNT_OF(many));
    for (int index = 0; index < argc; index++)
        ck_assert_slice_eq(argv[index], many[index]);
    rest = slice_of(rest.data + size, rest.size - size);
    ck_assert_int_eq(resp_read_command(rest, &argv, &capacity, &argc, &size), ST_END);
    mem_free(argv);
    buf_deinit(&buf);
}
END_TEST

START_TEST(anything_else_is_corruption)
{
    static const char *const cases[] = {"*", "*1", "*1\r\n", "*1\r\n$4\r\nPIN", "*1\r\n$4\r\nPING",
        "*1\r\n$4\r\nPING\r", "*0\r\n", "*-1\r\n", "*1000000000\r\n$4\r\nPING\r\n", "*1\r\n$-1\r\n",
        "*1\r\n$99999999999\r\nPING\r\n", "*1\r\n$4\r\nPINGxx", "*1\r\n$4\n\nPING\r\n", "PING\r\n",
        "*1\r\n:4\r\n\r\n", "$4\r\nPING\r\n", "*x\r\n", "*1\r\n$18446744073709551615\r\nPING\r\n",
        "*2\r\n$4\r\nPING\r\n", "\r\n"};
    struct slice *argv = NULL;
    int capacity = 0;
    int argc;
    size_t size;
    for (size_t at = 0; at < COUNT_OF(cases); at++)
        ck_assert_msg(
            resp_read_command(slice_text(cases[at]), &argv, &capacity, &argc, &size) == ST_CORRUPT,
            "case %zu", at);
    mem_free(argv);
}
END_TEST

TEST_GROUP(resp_log_group, what_was_appended_is_read_back, anything_else_is_corruption)
