/*
 * TIER and PREFETCH over a socket: where records are, and that commands do not care.
 */
#include "server_process.h"
#include "test_main.h"

static redisContext *begin(struct server_process *server, const char *prefetch)
{
    server_process_start(
        server, (const char *const[]){"--appendfsync", "always", "--prefetch", prefetch, NULL});
    return server_process_connect(server);
}

static void end(struct server_process *server, redisContext *client)
{
    redisFree(client);
    server_process_stop(server);
}

/* One field of TIER INFO as text; "(nil)" if it is null. */
static const char *tier_field(redisContext *client, const char *key, const char *field)
{
    static char text[64];
    redisReply *reply = redisCommand(client, "TIER INFO %s", key);
    ck_assert_ptr_nonnull(reply);
    ck_assert_uint_eq(reply->elements, 22);
    text[0] = '\0';
    for (size_t i = 0; i < reply->elements; i += 2) {
        const redisReply *value = reply->element[i + 1];
        if (strcmp(reply->element[i]->str, field) != 0)
            continue;
        if (value->type == REDIS_REPLY_INTEGER)
            (void)snprintf(text, sizeof(text), "%lld", value->integer);
        else
            (void)snprintf(
                text, sizeof(text), "%s", value->type == REDIS_REPLY_NIL ? "(nil)" : value->str);
    }
    freeReplyObject(reply);
    return text;
}

#define ck_assert_field(client, key, field, expected) \
    ck_assert_str_eq(tier_field((client), (key), (field)), (expected))

START_TEST(a_record_goes_down_and_up)
{
    struct server_process server;
    redisContext *client = begin(&server, "on");
    ck_assert_field(client, "k", "state", "absent");
    ck_assert_reply(client, "OK", "SET k value EX 1000");
    ck_assert_field(client, "k", "state", "hot");
    ck_assert_field(client, "k", "dirty", "dirty");
    ck_assert_field(client, "k", "type", "string");
    ck_assert_field(client, "k", "encoding", "embstr");
    ck_assert_field(client, "k", "value-size", "5");
    ck_assert_field(client, "k", "in-cold", "0");
    ck_assert_reply(client, "0", "TIER DEMOTE k");
    ck_assert_reply(client, "OK", "SAVE");
    ck_assert_field(client, "k", "dirty", "clean");
    ck_assert_field(client, "k", "in-cold", "1");
    ck_assert_reply(client, "1", "TIER DEMOTE k absent");
    ck_assert_field(client, "k", "state", "cold");
    ck_assert_field(client, "k", "type", "(nil)");
    ck_assert_field(client, "k", "in-cold", "1");
    ck_assert_reply(client, "0", "TIER DEMOTE k");
    ck_assert_reply(client, "1", "TIER PROMOTE k absent");
    ck_assert_field(client, "k", "state", "hot");
    ck_assert_field(client, "k", "dirty", "clean");
    ck_assert_reply(client, "value", "GET k");
    end(&server, client);
}
END_TEST

static void make_cold(redisContext *client, const char *key)
{
    char line[64];
    (void)snprintf(line, sizeof(line), "TIER DEMOTE %s", key);
    ck_assert_reply(client, "OK", "SAVE");
    ck_assert_reply(client, "1", line);
    ck_assert_field(client, key, "state", "cold");
}

START_TEST(questions_of_the_header_leave_the_value_cold)
{
    static const char *const questions[][2] = {{"TYPE k", "string"}, {"EXISTS k", "1"},
        {"STRLEN k", "100"}, {"OBJECT ENCODING k", "raw"}, {"TOUCH k", "1"}};
    struct server_process server;
    redisContext *client = begin(&server, "off");
    ck_assert_reply(client, "100", "SETRANGE k 99 x");
    make_cold(client, "k");
    for (size_t i = 0; i < COUNT_OF(questions); i++) {
        ck_assert_reply(client, questions[i][1], questions[i][0]);
        ck_assert_field(client, "k", "state", "stub");
        ck_assert_field(client, "k", "value-size", "100");
    }
    ck_assert_reply(client, "-1", "TTL k");
    ck_assert_field(client, "k", "state", "stub");
    ck_assert_reply(client, "x", "GETRANGE k -1 -1");
    ck_assert_field(client, "k", "state", "hot");
    end(&server, client);
}
END_TEST

START_TEST(every_command_works_on_a_cold_record)
{
    static const char *const cases[][3] = {
        /* command, its reply, what GET k gives then */
        {"SET k new", "OK", "new"},
        {"SET k new NX", "(nil)", "value"},
        {"SET k new XX", "OK", "new"},
        {"SET k new GET", "value", "new"},
        {"SET k new KEEPTTL", "OK", "new"},
        {"SETNX k new", "0", "value"},
        {"SETEX k 100 new", "OK", "new"},
        {"GETSET k new", "value", "new"},
        {"GETDEL k", "value", "(nil)"},
        {"GETEX k EX 100", "value", "value"},
        {"APPEND k +", "6", "value+"},
        {"SETRANGE k 1 A", "5", "vAlue"},
        {"GETRANGE k 1 2", "al", "value"},
        {"MGET k absent", "[value, (nil)]", "value"},
        {"MSET k a l b", "OK", "a"},
        {"MSETNX m 1 k 2", "0", "value"},
        {"INCR k", "-ERR value is not an integer or out of range", "value"},
        {"DEL k", "1", "(nil)"},
        {"UNLINK k", "1", "(nil)"},
        {"EXISTS k k", "2", "value"},
        {"EXPIRE k 100", "1", "value"},
        {"EXPIRE k -1", "1", "(nil)"},
        {"PERSIST k", "0", "value"},
        {"RENAME k k", "OK", "value"},
        {"RENAME k other", "OK", "(nil)"},
        {"RENAMENX k other2", "1", "(nil)"},
        {"COPY k copied", "1", "value"},
        {"MOVE k 1", "1", "(nil)"},
        {"LCS k k", "value", "value"},
        {"OBJECT ENCODING k", "embstr", "value"},
        {"PEXPIREAT k 1", "1", "(nil)"},
    };
    struct server_process server;
    redisContext *client = begin(&server, "off");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        ck_assert_reply(client, "OK", "FLUSHALL");
        ck_assert_reply(client, "OK", "SET k value");
        make_cold(client, "k");
        ck_assert_msg(strcmp(server_process_ask(client, cases[i][0]), cases[i][1]) == 0,
            "%s on a cold record", cases[i][0]);
        ck_assert_msg(strcmp(server_process_ask(client, "GET k"), cases[i][2]) == 0,
            "GET after %s on a cold record", cases[i][0]);
    }
    end(&server, client);
}
END_TEST

START_TEST(a_cold_destination_is_overwritten_or_respected)
{
    struct server_process server;
    redisContext *client = begin(&server, "off");
    ck_assert_reply(client, "OK", "SET target old");
    ck_assert_reply(client, "OK", "SET source new");
    make_cold(client, "target");
    ck_assert_reply(client, "0", "RENAMENX source target");
    ck_assert_reply(client, "0", "COPY source target");
    ck_assert_reply(client, "1", "COPY source target REPLACE");
    ck_assert_reply(client, "new", "GET target");
    ck_assert_reply(client, "OK", "SELECT 1");
    ck_assert_reply(client, "OK", "SET source there");
    make_cold(client, "source");
    ck_assert_reply(client, "OK", "SELECT 0");
    ck_assert_reply(client, "0", "MOVE source 1");
    ck_assert_reply(client, "0", "COPY source source DB 1");
    ck_assert_reply(client, "OK", "SELECT 1");
    ck_assert_field(client, "source", "state", "stub");
    ck_assert_reply(client, "there", "GET source");
    end(&server, client);
}
END_TEST

START_TEST(a_hint_promotes_and_changes_nothing)
{
    struct server_process server;
    redisContext *client = begin(&server, "on");
    ck_assert_reply(client, "OK", "SET k value");
    ck_assert_reply(client, "0", "PREFETCH k absent");
    make_cold(client, "k");
    ck_assert_reply(client, "1", "PREFETCH k absent");
    for (int i = 0; i < 2000 && strcmp(tier_field(client, "k", "state"), "hot") != 0; i++) {
        const struct timespec pause = {.tv_nsec = 5000000};
        (void)nanosleep(&pause, NULL);
    }
    ck_assert_field(client, "k", "state", "hot");
    ck_assert_field(client, "k", "dirty", "clean");
    ck_assert_reply(client, "value", "GET k");
    end(&server, client);
}
END_TEST

START_TEST(hints_are_ignored_when_prefetching_is_off)
{
    struct server_process server;
    redisContext *client = begin(&server, "off");
    ck_assert_reply(client, "OK", "SET k value");
    make_cold(client, "k");
    ck_assert_reply(client, "0", "PREFETCH k");
    ck_assert_field(client, "k", "state", "cold");
    end(&server, client);
}
END_TEST

START_TEST(arguments_are_checked)
{
    struct server_process server;
    redisContext *client = begin(&server, "on");
    ck_assert_reply(
        client, "-ERR wrong number of arguments for 'tier|promote' command", "TIER PROMOTE");
    ck_assert_reply(
        client, "-ERR wrong number of arguments for 'tier|info' command", "TIER INFO a b");
    ck_assert_reply(client, "-ERR wrong number of arguments for 'prefetch' command", "PREFETCH");
    ck_assert_reply(client, "-ERR unknown subcommand 'foo'. Try TIER HELP.", "TIER foo");
    ck_assert_ptr_nonnull(strstr(server_process_ask(client, "TIER HELP"), "PROMOTE"));
    end(&server, client);
}
END_TEST

TEST_MAIN("integration.tier_commands", a_record_goes_down_and_up,
    questions_of_the_header_leave_the_value_cold, every_command_works_on_a_cold_record,
    a_cold_destination_is_overwritten_or_respected, a_hint_promotes_and_changes_nothing,
    hints_are_ignored_when_prefetching_is_off, arguments_are_checked)
