/*
 * function.c: FUNCTION FLUSH and LIST of a server that has no libraries of functions yet.
 *
 * Programs that want a clean server (test suites, migrations) send FLUSH without looking; there is nothing to remove, which is
 * what both say. Loading and calling libraries comes with scripts.
 */
#include "commands_internal.h"

static void cmd_function_flush(struct command_call *call)
{
    if (call->argc > 3 || (call->argc == 3 && !slice_equal_nocase(call->argv[2], "sync") &&
                              !slice_equal_nocase(call->argv[2], "async"))) {
        reply_error(call->reply, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
        return;
    }
    reply_ok(call->reply);
}

static void cmd_function_list(struct command_call *call)
{
    bool has_code = false;
    bool has_name = false;
    for (int i = 2; i < call->argc; i++) {
        const struct slice word = call->argv[i];
        if (!has_code && slice_equal_nocase(word, "withcode")) {
            has_code = true;
        } else if (!has_name && slice_equal_nocase(word, "libraryname")) {
            has_name = true;
            if (++i == call->argc) {
                reply_error(call->reply, "ERR library name argument was not given");
                return;
            }
        } else {
            reply_error_format(
                call->reply, "ERR Unknown argument %.*s", commands_quote_size(word), word.data);
            return;
        }
    }
    reply_array(call->reply, 0);
}

static void cmd_function_help(struct command_call *call)
{
    static const char *const lines[] = {
        "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
        "    Return general information on all the libraries.",
        "FLUSH [ASYNC|SYNC]",
        "    Delete all the libraries.",
    };
    command_reply_help(call, lines, COUNT_OF(lines));
}

static const struct command function_subcommands[] = {
    {.name = "flush",
        .handler = cmd_function_flush,
        .arity = -2,
        .flags = CMD_NOSCRIPT | CMD_WRITE,
        .tips = "request_policy:all_shards response_policy:all_succeeded",
        .group = COMMAND_GROUP_SCRIPTING,
        .acl = ACL_WRITE | ACL_SLOW | ACL_SCRIPTING,
        .since = "7.0.0",
        .complexity = "O(N) where N is the number of functions deleted",
        .summary = "Deletes all libraries and functions."},
    {.name = "list",
        .handler = cmd_function_list,
        .arity = -2,
        .flags = CMD_NOSCRIPT,
        .tips = "nondeterministic_output_order",
        .group = COMMAND_GROUP_SCRIPTING,
        .acl = ACL_SLOW | ACL_SCRIPTING,
        .since = "7.0.0",
        .complexity = "O(N) where N is the number of functions",
        .summary = "Returns information about all libraries."},
    {.name = "help",
        .handler = cmd_function_help,
        .arity = 2,
        .flags = CMD_LOADING | CMD_STALE,
        .group = COMMAND_GROUP_SCRIPTING,
        .acl = ACL_SLOW | ACL_SCRIPTING,
        .since = "7.0.0",
        .complexity = "O(1)",
        .summary = "Returns helpful text about the different subcommands."},
    COMMANDS_END,
};

const struct command function_commands[] = {
    {.name = "function",
        .arity = -2,
        .subcommands = function_subcommands,
        .group = COMMAND_GROUP_SCRIPTING,
        .acl = ACL_SLOW,
        .since = "7.0.0",
        .complexity = "Depends on subcommand.",
        .summary = "A container for function commands."},
    COMMANDS_END,
};
