/*
 * Times, conditions, cursors and databases, as arguments of commands.
 */
#include "commands_internal.h"
#include "test_main.h"

#define NOW_MS ((uint64_t)1700000000000)

/* A call with arguments and a reply, and nothing behind it. */
struct fixture {
    struct resp_pool *pool;
    struct resp_output output;
    struct keyspace_view view;
    struct slice argv[8];
    struct command command;
    struct command_call call;
};

static void fixture_init(struct fixture *fixture, const char *name)
{
    *fixture = (struct fixture){.pool = resp_pool_create(), .view = {.now_ms = NOW_MS}};
    resp_output_init(&fixture->output, fixture->pool);
    fixture->output.protocol = 2;
    fixture->command.name = name;
    fixture->argv[0] = slice_text(name);
    fixture->call = (struct command_call){.argc = 1,
        .argv = fixture->argv,
        .reply = &fixture->output,
        .view = &fixture->view,
        .command = &fixture->command};
}

static void fixture_deinit(struct fixture *fixture)
{
    resp_output_deinit(&fixture->output);
    resp_pool_destroy(fixture->pool);
}

static void add_argument(struct fixture *fixture, const char *text)
{
    ck_assert_int_lt(fixture->call.argc, (int)COUNT_OF(fixture->argv));
    fixture->argv[fixture->call.argc++] = slice_text(text);
}

/* The whole reply so far. */
static struct slice reply_of(const struct fixture *fixture)
{
    static char text[2048];
    struct iovec vectors[8];
    const int count =
        resp_output_vectors(&fixture->output, vectors, (int)COUNT_OF(vectors), sizeof(text));
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        memcpy(text + size, vectors[i].iov_base, vectors[i].iov_len);
        size += vectors[i].iov_len;
    }
    return slice_of(text, size);
}

struct time_case {
    const char *text;
    enum commands_time kind;
    bool accepted;
    int64_t when_ms;
};

static const struct time_case time_cases[] = {
    {"10", TIME_SECONDS, true, (int64_t)NOW_MS + 10000},
    {"-10", TIME_SECONDS, true, (int64_t)NOW_MS - 10000},
    {"10", TIME_MILLISECONDS, true, (int64_t)NOW_MS + 10},
    {"10", TIME_UNIX_SECONDS, true, 10000},
    {"10", TIME_UNIX_MILLISECONDS, true, 10},
    {"9223372036854775807", TIME_UNIX_MILLISECONDS, true, INT64_MAX},
    {"-9223372036854775808", TIME_MILLISECONDS, true, INT64_MIN + (int64_t)NOW_MS},
    {"9223372036854775807", TIME_MILLISECONDS, false, 0},
    {"9223372036854775807", TIME_SECONDS, false, 0},
    {"9223372036854776", TIME_UNIX_SECONDS, false, 0},
    {"-9223372036854776", TIME_UNIX_SECONDS, false, 0},
};

START_TEST(times_become_moments_or_overflow)
{
    for (size_t i = 0; i < COUNT_OF(time_cases); i++) {
        const struct time_case *time_case = &time_cases[i];
        struct fixture fixture;
        fixture_init(&fixture, "expire");
        add_argument(&fixture, time_case->text);
        int64_t when_ms = 0;
        ck_assert_int_eq(
            commands_parse_time(&fixture.call, 1, time_case->kind, &when_ms), time_case->accepted);
        if (time_case->accepted)
            ck_assert_int_eq(when_ms, time_case->when_ms);
        else
            ck_assert_text_eq(
                reply_of(&fixture), "-ERR invalid expire time in 'expire' command\r\n");
        fixture_deinit(&fixture);
    }
}
END_TEST

START_TEST(an_expiry_of_a_new_value_must_be_positive)
{
    const char *const refused[] = {"0", "-1", "9223372036854775807"};
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct fixture fixture;
        uint64_t expire_ms = 0;
        fixture_init(&fixture, "set");
        add_argument(&fixture, refused[i]);
        ck_assert(!commands_parse_expiry(&fixture.call, 1, TIME_SECONDS, &expire_ms));
        ck_assert_text_eq(reply_of(&fixture), "-ERR invalid expire time in 'set' command\r\n");
        fixture_deinit(&fixture);
    }
}
END_TEST

static bool conditions_of(
    const char *first, const char *second, struct expire_conditions *conditions)
{
    struct fixture fixture;
    fixture_init(&fixture, "expire");
    add_argument(&fixture, "k");
    add_argument(&fixture, "1");
    if (first != NULL)
        add_argument(&fixture, first);
    if (second != NULL)
        add_argument(&fixture, second);
    const bool parsed = expire_conditions_parse(&fixture.call, conditions);
    ck_assert_uint_eq(reply_of(&fixture).size == 0, parsed);
    fixture_deinit(&fixture);
    return parsed;
}

START_TEST(conditions_that_exclude_each_other_are_refused)
{
    struct expire_conditions conditions;
    ck_assert(!conditions_of("nx", "xx", &conditions));
    ck_assert(!conditions_of("gt", "nx", &conditions));
    ck_assert(!conditions_of("gt", "lt", &conditions));
    ck_assert(!conditions_of("foo", NULL, &conditions));
    ck_assert(conditions_of("XX", "Gt", &conditions));
    ck_assert(conditions.xx && conditions.gt && !conditions.nx && !conditions.lt);
}
END_TEST

START_TEST(a_key_without_expiry_counts_as_living_for_ever)
{
    struct expire_conditions conditions;
    ck_assert(conditions_of("gt", NULL, &conditions));
    ck_assert(!expire_conditions_hold(&conditions, 0, 5));
    ck_assert(!expire_conditions_hold(&conditions, 5, 5));
    ck_assert(expire_conditions_hold(&conditions, 5, 6));
    ck_assert(conditions_of("lt", NULL, &conditions));
    ck_assert(expire_conditions_hold(&conditions, 0, 5));
    ck_assert(!expire_conditions_hold(&conditions, 5, 5));
    ck_assert(expire_conditions_hold(&conditions, 5, 4));
    ck_assert(conditions_of("nx", NULL, &conditions));
    ck_assert(expire_conditions_hold(&conditions, 0, 5));
    ck_assert(!expire_conditions_hold(&conditions, 5, 6));
    ck_assert(conditions_of("xx", NULL, &conditions));
    ck_assert(!expire_conditions_hold(&conditions, 0, 5));
    ck_assert(expire_conditions_hold(&conditions, 5, 6));
}
END_TEST

START_TEST(cursors_are_decimal_numbers)
{
    uint64_t cursor = 0;
    ck_assert(scan_cursor_parse(slice_text("0"), &cursor));
    ck_assert_uint_eq(cursor, 0);
    ck_assert(scan_cursor_parse(slice_text("18446744073709551615"), &cursor));
    ck_assert_uint_eq(cursor, UINT64_MAX);
    ck_assert(!scan_cursor_parse(slice_text("18446744073709551616"), &cursor));
    ck_assert(!scan_cursor_parse(slice_text("foo"), &cursor));
    ck_assert(!scan_cursor_parse(slice_text(" 1"), &cursor));
    ck_assert(!scan_cursor_parse(slice_text("1 "), &cursor));
    ck_assert(!scan_cursor_parse(slice_text("1.5"), &cursor));
}
END_TEST

START_TEST(copy_reaches_the_database_it_names)
{
    struct fixture fixture;
    fixture_init(&fixture, "copy");
    add_argument(&fixture, "db"); /* a key of that name */
    add_argument(&fixture, "b");
    add_argument(&fixture, "REPLACE");
    add_argument(&fixture, "DB");
    add_argument(&fixture, "3");
    const struct slice *argv = fixture.argv;
    ck_assert_uint_eq(copy_key_database(6, argv, 0, 7, 16), 7);
    ck_assert_uint_eq(copy_key_database(6, argv, 1, 7, 16), 3);
    ck_assert_uint_eq(copy_key_database(6, argv, 1, 7, 3), 7); /* there is no database 3 */
    ck_assert_uint_eq(copy_key_database(5, argv, 1, 7, 16), 7);
    fixture_deinit(&fixture);
}
END_TEST

START_TEST(move_has_its_key_here_and_there)
{
    struct fixture fixture;
    fixture_init(&fixture, "move");
    add_argument(&fixture, "k");
    add_argument(&fixture, "3");
    int indexes[2] = {0, 0};
    ck_assert_int_eq(move_find_keys(3, fixture.argv, NULL, 0), 2);
    ck_assert_int_eq(move_find_keys(3, fixture.argv, indexes, 2), 2);
    ck_assert_int_eq(indexes[0], 1);
    ck_assert_int_eq(indexes[1], 1);
    ck_assert_uint_eq(move_key_database(3, fixture.argv, 0, 7, 16), 7);
    ck_assert_uint_eq(move_key_database(3, fixture.argv, 1, 7, 16), 3);
    fixture_deinit(&fixture);
}
END_TEST

TEST_GROUP(arguments_group, times_become_moments_or_overflow,
    an_expiry_of_a_new_value_must_be_positive, conditions_that_exclude_each_other_are_refused,
    a_key_without_expiry_counts_as_living_for_ever, cursors_are_decimal_numbers,
    copy_reaches_the_database_it_names, move_has_its_key_here_and_there)
