/*
 * connection.c: PING, ECHO, AUTH, HELLO, SELECT, QUIT, RESET.
 */
#include "base/mem.h"
#include "commands_internal.h"
#include "server/server.h"
#include "server/session.h"

#include <string.h>

#define NO_PASSWORD_SET                                                                         \
    "ERR AUTH <password> called without any password configured for the default user. Are you " \
    "sure your configuration is correct?"
#define WRONG_PASSWORD "WRONGPASS invalid username-password pair or user is disabled."

static void cmd_ping(struct command_call *call)
{
    if (call->argc > 2) {
        command_reply_arity(call->reply, call->command);
        return;
    }
    if (call->reply->protocol == 2 && session_class(call->session) == CLIENT_CLASS_PUBSUB) {
        reply_array(call->reply, 2);
        reply_bulk_text(call->reply, "pong");
        reply_bulk(call->reply, call->argc == 2 ? call->argv[1] : SLICE_LITERAL(""));
    } else if (call->argc == 2) {
        reply_bulk(call->reply, call->argv[1]);
    } else {
        reply_simple(call->reply, "PONG");
    }
}

static void cmd_echo(struct command_call *call)
{
    reply_bulk(call->reply, call->argv[1]);
}

/* Takes the same time wherever the difference is. */
static bool password_matches(struct slice given, const char *password)
{
    const size_t size = strlen(password);
    unsigned difference = given.size == size ? 0 : 1;
    for (size_t i = 0; i < given.size; i++)
        difference |=
            (unsigned char)given.data[i] ^ (unsigned char)password[size > 0 ? i % size : 0];
    return difference == 0;
}

/* Only the default user exists. True if the pair lets the client in. */
static bool authenticate(struct command_call *call, struct slice user, struct slice password)
{
    char *expected = settings_text(call->server->settings, "requirepass");
    const bool open = expected[0] == '\0';
    const bool matches = slice_equal(user, SLICE_LITERAL("default")) &&
                         (open || password_matches(password, expected));
    mem_free(expected);
    if (matches)
        call->session->authenticated = true;
    return matches;
}

static void cmd_auth(struct command_call *call)
{
    if (call->argc > 3) {
        reply_error(call->reply, REPLY_SYNTAX);
        return;
    }
    const bool has_user = call->argc == 3;
    if (!has_user && !atomic_load_explicit(&call->server->password_is_set, memory_order_relaxed)) {
        reply_error(call->reply, NO_PASSWORD_SET);
        return;
    }
    const struct slice user = has_user ? call->argv[1] : SLICE_LITERAL("default");
    if (authenticate(call, user, call->argv[call->argc - 1]))
        reply_ok(call->reply);
    else
        reply_error(call->reply, WRONG_PASSWORD);
}

struct hello {
    int protocol; /* 0: as it is */
    bool has_auth, has_name;
    struct slice user, password, name;
};

static bool parse_hello(struct command_call *call, struct hello *hello)
{
    *hello = (struct hello){0};
    int64_t version = 0;
    if (call->argc >= 2) {
        if (!slice_to_int64(call->argv[1], &version)) {
            reply_error(call->reply, "ERR Protocol version is not an integer or out of range");
            return false;
        }
        if (version < 2 || version > 3) {
            reply_error(call->reply, "NOPROTO unsupported protocol version");
            return false;
        }
        hello->protocol = (int)version;
    }
    for (int i = 2; i < call->argc; i++) {
        const int more = call->argc - 1 - i;
        if (slice_equal_nocase(call->argv[i], "auth") && more >= 2) {
            hello->has_auth = true;
            hello->user = call->argv[i + 1];
            hello->password = call->argv[i + 2];
            i += 2;
        } else if (slice_equal_nocase(call->argv[i], "setname") && more >= 1) {
            hello->has_name = true;
            hello->name = call->argv[i + 1];
            i++;
        } else {
            reply_error_format(call->reply, "ERR Syntax error in HELLO option '%.*s'",
                (int)(call->argv[i].size > 128 ? 128 : call->argv[i].size), call->argv[i].data);
            return false;
        }
    }
    return true;
}

static void cmd_hello(struct command_call *call)
{
    struct hello hello;
    struct session *session = call->session;
    if (!parse_hello(call, &hello))
        return;
    if (hello.has_auth && !authenticate(call, hello.user, hello.password)) {
        reply_error(call->reply, WRONG_PASSWORD);
        return;
    }
    if (!session->authenticated) {
        reply_error(call->reply,
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
            "<proto> AUTH <user> <pass> option can be used to authenticate the client and select "
            "the RESP protocol version at the same time");
        return;
    }
    if (hello.has_name && !client_name_set(call, hello.name))
        return;
    if (hello.protocol != 0)
        call->reply->protocol = hello.protocol;
    reply_map(call->reply, 7);
    reply_bulk_text(call->reply, "server");
    reply_bulk_text(call->reply, "redis");
    reply_bulk_text(call->reply, "version");
    reply_bulk_text(call->reply, REDIS_VERSION);
    reply_bulk_text(call->reply, "proto");
    reply_integer(call->reply, call->reply->protocol);
    reply_bulk_text(call->reply, "id");
    reply_integer(call->reply, (int64_t)session->id);
    reply_bulk_text(call->reply, "mode");
    reply_bulk_text(call->reply, "standalone");
    reply_bulk_text(call->reply, "role");
    reply_bulk_text(call->reply, "master");
    reply_bulk_text(call->reply, "modules");
    reply_array(call->reply, 0);
}

static void cmd_select(struct command_call *call)
{
    int database = 0;
    if (!commands_parse_int(call, 1, &database))
        return;
    if (database < 0 || database >= (int)keyspace_database_count(call->server->keyspace)) {
        reply_error(call->reply, REPLY_DB_INDEX);
        return;
    }
    call->session->database = (unsigned)database;
    reply_ok(call->reply);
}

static void cmd_quit(struct command_call *call)
{
    reply_ok(call->reply);
    session_close_after_reply(call->session);
}

static void cmd_reset(struct command_call *call)
{
    session_reset(call->session, call->server);
    reply_simple(call->reply, "RESET");
}

const struct command connection_commands[] = {
    {.name = "ping",
        .handler = cmd_ping,
        .arity = -1,
        .flags = CMD_FAST | CMD_IN_SUBSCRIBED,
        .tips = "request_policy:all_shards response_policy:all_succeeded",
        .group = COMMAND_GROUP_CONNECTION,
        .acl = ACL_FAST | ACL_CONNECTION,
        .since = "1.0.0",
        .complexity = "O(1)",
        .summary = "Returns the server's liveliness response."},
    {.name = "echo",
        .handler = cmd_echo,
        .arity = 2,
        .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
        .group = COMMAND_GROUP_CONNECTION,
        .acl = ACL_FAST | ACL_CONNECTION,
        .since = "1.0.0",
        .complexity = "O(1)",
        .summary = "Returns the given string."},
    {.name = "auth",
        .handler = cmd_auth,
        .arity = -2,
        .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_NO_AUTH | CMD_ALLOW_BUSY,
        .group = COMMAND_GROUP_CONNECTION,
        .acl = ACL_FAST | ACL_CONNECTION,
        .since = "1.0.0",
        .complexity = "O(N) where N is the number of passwords defined for the user",
        .summary = "Authenticates the connection."},
    {.name = "hello",
        .handler = cmd_hello,
        .arity = -1,
        .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_NO_AUTH | CMD_ALLOW_BUSY,
        .group = COMMAND_GROUP_CONNECTION,
        .acl = ACL_FAST | ACL_CONNECTION,
        .since = "6.0.0",
        .complexity = "O(1)",
        .summary = "Handshakes with the server: protocol version, authentication, name."},
    {.name = "select",
        .handler = cmd_select,
        .arity = 2,
        .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
        .group = COMMAND_GROUP_CONNECTION,
        .acl = ACL_FAST | ACL_CONNECTION,
        .since = "1.0.0",
        .complexity = "O(1)",
        .summary = "Changes the selected database."},
    {.name = "quit",
        .handler = cmd_quit,
        .arity = -1,
        .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_NO_AUTH | CMD_ALLOW_BUSY |
                 CMD_IN_MULTI | CMD_SKIP_PAUSE | CMD_IN_SUBSCRIBED,
        .group = COMMAND_GROUP_CONNECTION,
        .acl = ACL_FAST | ACL_CONNECTION,
        .since = "1.0.0",
        .complexity = "O(1)",
        .summary = "Closes the connection."},
    {.name = "reset",
        .handler = cmd_reset,
        .arity = 1,
        .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_NO_AUTH | CMD_ALLOW_BUSY |
                 CMD_IN_MULTI | CMD_IN_SUBSCRIBED,
        .group = COMMAND_GROUP_CONNECTION,
        .acl = ACL_FAST | ACL_CONNECTION,
        .since = "6.2.0",
        .complexity = "O(1)",
        .summary = "Resets the connection."},
    {.name = "client",
        .arity = -2,
        .flags = 0,
        .subcommands = client_subcommands,
        .group = COMMAND_GROUP_CONNECTION,
        .acl = ACL_SLOW,
        .since = "2.4.0",
        .complexity = "Depends on subcommand.",
        .summary = "A container for client connection commands."},
    COMMANDS_END,
};
