/*
 * server.c: commands about the whole server: flush, save, stop, time, CONFIG, MEMORY. INFO, COMMAND and DEBUG have files of their own.
 */
#include "server/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "commands_internal.h"
#include "server/session.h"

#include <fcntl.h>

/* --- flush ------------------------------------------------------------------------------------------------ */

/* FLUSHALL [ASYNC | SYNC]: both are immediate here, the space comes back in the background. */
static bool flush_mode_is_ok(struct command_call *call)
{
    if (call->argc == 1)
        return true;
    if (call->argc == 2 &&
        (slice_equal_nocase(call->argv[1], "async") || slice_equal_nocase(call->argv[1], "sync")))
        return true;
    reply_error(call->reply, REPLY_SYNTAX);
    return false;
}

static void cmd_flushdb(struct command_call *call)
{
    static const struct slice effect[] = {{"FLUSHDB", 7}};
    if (!flush_mode_is_ok(call))
        return;
    keyspace_flush(call->view, call->view->database);
    keyspace_log_all(call->view, effect, COUNT_OF(effect));
    reply_ok(call->reply);
}

static void cmd_flushall(struct command_call *call)
{
    static const struct slice effect[] = {{"FLUSHALL", 8}};
    if (!flush_mode_is_ok(call))
        return;
    keyspace_flush_all(call->view);
    keyspace_log_all(call->view, effect, COUNT_OF(effect));
    reply_ok(call->reply);
}

static bool parse_database(
    struct command_call *call, int argument, int64_t *database, const char *error_text)
{
    if (slice_to_int64(call->argv[argument], database) && *database >= INT32_MIN &&
        *database <= INT32_MAX)
        return true;
    reply_error(call->reply, error_text);
    return false;
}

static void cmd_swapdb(struct command_call *call)
{
    int64_t first = 0;
    int64_t second = 0;
    if (!parse_database(call, 1, &first, "ERR invalid first DB index") ||
        !parse_database(call, 2, &second, "ERR invalid second DB index"))
        return;
    const int64_t count = (int64_t)keyspace_database_count(call->server->keyspace);
    if (first < 0 || first >= count || second < 0 || second >= count) {
        reply_error(call->reply, REPLY_DB_INDEX);
        return;
    }
    keyspace_swap(call->view, (unsigned)first, (unsigned)second);
    keyspace_log_all(call->view, call->argv, (size_t)call->argc);
    reply_ok(call->reply);
}

static void cmd_dbsize(struct command_call *call)
{
    reply_integer(
        call->reply, (int64_t)keyspace_size(call->server->keyspace, call->view->database));
}

static void cmd_time(struct command_call *call)
{
    const uint64_t now_us = clock_wall_us();
    reply_array(call->reply, 2);
    reply_bulk_integer(call->reply, (int64_t)(now_us / 1000000));
    reply_bulk_integer(call->reply, (int64_t)(now_us % 1000000));
}

/* --- save --------------------------------------------------------------------------------------------------- */

struct save {
    const struct tier_wait *wait;
};

static enum status prepare_save(struct command_call *call, struct tier_wait *wait)
{
    if (call->state != NULL)
        return ST_OK;
    struct save *save = mem_alloc_zero(sizeof(*save));
    save->wait = wait;
    call->state = save;
    tier_checkpoint_request(call->server->tier, wait);
    return ST_PENDING;
}

static void cmd_save(struct command_call *call)
{
    const struct save *save = call->state;
    if (tier_wait_status(save->wait) == ST_OK)
        reply_ok(call->reply);
    else
        reply_error(
            call->reply, "ERR the checkpoint failed; the log is complete, see the server's log");
}

static bool checkpoint_is_running(struct command_call *call)
{
    struct tier_metrics metrics;
    tier_metrics_read(call->server->tier, &metrics);
    return metric_get(&metrics, checkpoint_running) != 0;
}

static void cmd_bgsave(struct command_call *call)
{
    const bool schedule = call->argc == 2 && slice_equal_nocase(call->argv[1], "schedule");
    if (call->argc > 2 || (call->argc == 2 && !schedule)) {
        reply_error(call->reply, REPLY_SYNTAX);
        return;
    }
    const bool running = checkpoint_is_running(call);
    if (running && !schedule) {
        reply_error(call->reply, "ERR Background save already in progress");
        return;
    }
    tier_checkpoint_request(call->server->tier, NULL);
    reply_simple(
        call->reply, running ? "Background saving scheduled" : "Background saving started");
}

static void cmd_bgrewriteaof(struct command_call *call)
{
    const bool running = checkpoint_is_running(call);
    tier_checkpoint_request(call->server->tier, NULL);
    reply_simple(call->reply, running ? "Background append only file rewriting scheduled"
                                      : "Background append only file rewriting started");
}

static void cmd_lastsave(struct command_call *call)
{
    reply_integer(call->reply, (int64_t)tier_checkpoint_unix_s(call->server->tier));
}

static void cmd_shutdown(struct command_call *call)
{
    bool save = false;
    bool nosave = false;
    bool abort_shutdown = false;
    for (int i = 1; i < call->argc; i++) {
        if (slice_equal_nocase(call->argv[i], "nosave")) {
            nosave = true;
        } else if (slice_equal_nocase(call->argv[i], "abort")) {
            abort_shutdown = true;
        } else if (slice_equal_nocase(call->argv[i], "save")) {
            save = true;
        } else if (!slice_equal_nocase(call->argv[i], "now") &&
                   !slice_equal_nocase(call->argv[i], "force")) {
            reply_error(call->reply, REPLY_SYNTAX);
            return;
        }
    }
    if ((save && nosave) || (abort_shutdown && call->argc > 2)) {
        reply_error(call->reply, REPLY_SYNTAX);
        return;
    }
    if (abort_shutdown) {
        reply_error(call->reply, "ERR No shutdown in progress.");
        return;
    }
    /* The client sees the end of its connection when the process has ended, and may then start another on the same data. */
    (void)fcntl(call->session->fd, F_DUPFD_CLOEXEC, 0);
    session_close_after_reply(call->session);
    server_request_shutdown(call->server, nosave ? SERVER_SHUTDOWN_NOSAVE : SERVER_SHUTDOWN_SAVE);
}

/* --- CONFIG ----------------------------------------------------------------------------------------------------- */

struct config_pairs {
    struct resp_output *reply;
    size_t count;
    struct buf text; /* name, NUL, value, NUL ... */
};

static void collect_pair(void *context, const char *name, const char *value)
{
    struct config_pairs *pairs = context;
    buf_append(&pairs->text, name, strlen(name) + 1);
    buf_append(&pairs->text, value, strlen(value) + 1);
    pairs->count++;
}

static void cmd_config_get(struct command_call *call)
{
    struct config_pairs pairs = {.reply = call->reply};
    settings_get(
        call->server->settings, &call->argv[2], (size_t)call->argc - 2, collect_pair, &pairs);
    reply_map(call->reply, pairs.count);
    const char *at = pairs.text.data;
    for (size_t i = 0; i < 2 * pairs.count; i++) {
        reply_bulk_text(call->reply, at);
        at += strlen(at) + 1;
    }
    buf_deinit(&pairs.text);
}

static void cmd_config_set(struct command_call *call)
{
    if (call->argc % 2 != 0) {
        reply_error(call->reply, REPLY_SYNTAX);
        return;
    }
    const size_t count = ((size_t)call->argc - 2) / 2;
    struct slice *names = mem_alloc(count * sizeof(*names));
    struct slice *values = mem_alloc(count * sizeof(*values));
    for (size_t i = 0; i < count; i++) {
        names[i] = call->argv[2 + 2 * i];
        values[i] = call->argv[3 + 2 * i];
    }
    struct error error = {0};
    if (settings_set(call->server->settings, names, values, count, &error) == ST_OK)
        reply_ok(call->reply);
    else
        reply_error(call->reply, error.message);
    mem_free(names);
    mem_free(values);
}

static void cmd_config_resetstat(struct command_call *call)
{
    struct server *server = call->server;
    command_stats_reset();
    keyspace_metrics_reset(server->keyspace);
    prefetch_metrics_reset(server->prefetch);
    server_metrics_reset(server);
    value_reclaimer_counts_reset();
    reply_ok(call->reply);
}

/* Writing a file blocks, so CONFIG REWRITE has a thread of its own while it lasts. */
struct rewrite {
    struct thread thread;
    struct settings *settings;
    struct worker *worker;
    struct tier_wait *wait;
    enum status status;
    struct error error;
};

static void rewrite_main(void *context)
{
    struct rewrite *rewrite = context;
    rewrite->status = settings_rewrite(rewrite->settings, &rewrite->error);
    session_wake(rewrite->worker, rewrite->wait);
}

static void rewrite_destroy(void *state)
{
    struct rewrite *rewrite = state;
    thread_join(&rewrite->thread);
    mem_free(rewrite);
}

static enum status prepare_rewrite(struct command_call *call, struct tier_wait *wait)
{
    if (call->state != NULL)
        return ST_OK;
    struct rewrite *rewrite = mem_alloc_zero(sizeof(*rewrite));
    rewrite->settings = call->server->settings;
    rewrite->worker = call->worker;
    rewrite->wait = wait;
    call->state = rewrite;
    thread_start(&rewrite->thread, "config-rewrite", rewrite_main, rewrite);
    return ST_PENDING;
}

static void cmd_config_rewrite(struct command_call *call)
{
    const struct rewrite *rewrite = call->state;
    if (rewrite->status == ST_OK)
        reply_ok(call->reply);
    else if (rewrite->status == ST_INVALID)
        reply_error(call->reply, "ERR The server is running without a config file");
    else
        reply_error_format(call->reply, "ERR Rewriting config file: %s", rewrite->error.message);
}

static void cmd_config_help(struct command_call *call)
{
    static const char *const lines[] = {
        "GET <pattern>",
        "    Return parameters matching the glob-like <pattern> and their values.",
        "SET <directive> <value>",
        "    Set the configuration <directive> to <value>.",
        "RESETSTAT",
        "    Reset statistics reported by the INFO command.",
        "REWRITE",
        "    Rewrite the configuration file.",
    };
    command_reply_help(call, lines, COUNT_OF(lines));
}

/* --- MEMORY ---------------------------------------------------------------------------------------------------------- */

static void cmd_memory_usage(struct command_call *call)
{
    for (int i = 3; i < call->argc; i += 2) {
        int64_t samples = 0;
        if (!slice_equal_nocase(call->argv[i], "samples") || i + 1 >= call->argc) {
            reply_error(call->reply, REPLY_SYNTAX);
            return;
        }
        if (!command_int64(call, i + 1, &samples, NULL))
            return;
        if (samples < 0) {
            reply_error(call->reply, REPLY_SYNTAX);
            return;
        }
    }
    const struct hot_record *record = keyspace_find(call->view, &call->keys[0], KEYSPACE_PEEK);
    if (record == NULL) {
        reply_null(call->reply);
        return;
    }
    /* A cold record is shown with what it would take once promoted. */
    size_t bytes = hot_record_bytes(record);
    if (hot_record_state(record) == HOT_STUB)
        bytes += (size_t)hot_record_value_size(record);
    reply_integer(call->reply, (int64_t)bytes);
}

static void cmd_memory_purge(struct command_call *call)
{
    mem_purge();
    reply_ok(call->reply);
}

static void cmd_memory_doctor(struct command_call *call)
{
    struct mem_stats stats;
    mem_stats_read(&stats);
    if (stats.allocated_bytes < 5 * MiB)
        reply_verbatim(call->reply, "txt",
            SLICE_LITERAL(
                "Hi Sam, this instance is empty or is using very little memory, my issue "
                "detector can't be used in these conditions. Please, leave for your mission "
                "on Earth and fill it with some data. The new Sam and I will be back to our "
                "programming as soon as I finished rebooting.\n"));
    else
        reply_verbatim(call->reply, "txt",
            SLICE_LITERAL(
                "Hi Sam, I can't find any memory issue in your instance. I can only account "
                "for what occurs on this base.\n"));
}

static void cmd_memory_help(struct command_call *call)
{
    static const char *const lines[] = {
        "DOCTOR",
        "    Return memory problems reports.",
        "PURGE",
        "    Attempt to purge dirty pages for reclamation by the allocator.",
        "USAGE <key> [SAMPLES <count>]",
        "    Return memory in bytes used by <key> and its value.",
    };
    command_reply_help(call, lines, COUNT_OF(lines));
}

static const struct command config_subcommands[] = {
    {.name = "get",
        .handler = cmd_config_get,
        .arity = -3,
        .flags = CMD_NOSCRIPT | CMD_ADMIN | CMD_LOADING | CMD_STALE,
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_ADMIN | ACL_SLOW | ACL_DANGEROUS,
        .since = "2.0.0",
        .complexity = "O(N) when N is the number of configuration parameters provided",
        .summary = "Returns the effective values of configuration parameters."},
    {.name = "set",
        .handler = cmd_config_set,
        .arity = -4,
        .flags = CMD_NOSCRIPT | CMD_ADMIN | CMD_LOADING | CMD_STALE,
        .tips = "request_policy:all_nodes response_policy:all_succeeded",
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_ADMIN | ACL_SLOW | ACL_DANGEROUS,
        .since = "2.0.0",
        .complexity = "O(N) when N is the number of configuration parameters provided",
        .summary = "Sets configuration parameters in-flight."},
    {.name = "resetstat",
        .handler = cmd_config_resetstat,
        .arity = 2,
        .flags = CMD_NOSCRIPT | CMD_ADMIN | CMD_LOADING | CMD_STALE,
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_ADMIN | ACL_SLOW | ACL_DANGEROUS,
        .since = "2.0.0",
        .complexity = "O(1)",
        .summary = "Resets the server's statistics."},
    {.name = "rewrite",
        .handler = cmd_config_rewrite,
        .arity = 2,
        .flags = CMD_NOSCRIPT | CMD_ADMIN | CMD_LOADING | CMD_STALE,
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_ADMIN | ACL_SLOW | ACL_DANGEROUS,
        .since = "2.8.0",
        .complexity = "O(1)",
        .prepare = prepare_rewrite,
        .state_destroy = rewrite_destroy,
        .summary = "Persists the effective configuration to file."},
    {.name = "help",
        .handler = cmd_config_help,
        .arity = 2,
        .flags = CMD_LOADING | CMD_STALE,
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_SLOW,
        .since = "5.0.0",
        .complexity = "O(1)",
        .summary = "Returns helpful text about the different subcommands."},
    COMMANDS_END,
};

static const struct command memory_subcommands[] = {
    {.name = "usage",
        .handler = cmd_memory_usage,
        .arity = -3,
        .flags = CMD_READONLY,
        .keys = KEYS_AT(2),
        .need = TIER_NEED_HEADER,
        .key_flags = {KEY_RO},
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_READ | ACL_SLOW,
        .since = "4.0.0",
        .complexity = "O(N) where N is the number of samples.",
        .summary = "Estimates the memory usage of a key."},
    {.name = "purge",
        .handler = cmd_memory_purge,
        .arity = 2,
        .flags = 0,
        .tips = "request_policy:all_shards response_policy:all_succeeded",
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_SLOW,
        .since = "4.0.0",
        .complexity = "Depends on how much memory is allocated, could be slow",
        .summary = "Asks the allocator to release memory."},
    {.name = "doctor",
        .handler = cmd_memory_doctor,
        .arity = 2,
        .flags = 0,
        .tips = "nondeterministic_output request_policy:all_shards response_policy:special",
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_SLOW,
        .since = "4.0.0",
        .complexity = "O(1)",
        .summary = "Outputs a memory problems report."},
    {.name = "help",
        .handler = cmd_memory_help,
        .arity = 2,
        .flags = CMD_LOADING | CMD_STALE,
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_SLOW,
        .since = "4.0.0",
        .complexity = "O(1)",
        .summary = "Returns helpful text about the different subcommands."},
    COMMANDS_END,
};

const struct command server_commands[] = {
    {.name = "flushdb",
        .handler = cmd_flushdb,
        .arity = -1,
        .flags = CMD_WRITE | CMD_ALL_STRIPES,
        .tips = "request_policy:all_shards response_policy:all_succeeded",
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_KEYSPACE | ACL_WRITE | ACL_SLOW | ACL_DANGEROUS,
        .since = "1.0.0",
        .complexity = "O(1); the space is reclaimed in the background",
        .summary = "Removes all keys from the current database."},
    {.name = "flushall",
        .handler = cmd_flushall,
        .arity = -1,
        .flags = CMD_WRITE | CMD_ALL_STRIPES,
        .tips = "request_policy:all_shards response_policy:all_succeeded",
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_KEYSPACE | ACL_WRITE | ACL_SLOW | ACL_DANGEROUS,
        .since = "1.0.0",
        .complexity = "O(1); the space is reclaimed in the background",
        .summary = "Removes all keys from all databases."},
    {.name = "swapdb",
        .handler = cmd_swapdb,
        .arity = 3,
        .flags = CMD_WRITE | CMD_FAST | CMD_ALL_STRIPES,
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_KEYSPACE | ACL_WRITE | ACL_FAST | ACL_DANGEROUS,
        .since = "4.0.0",
        .complexity = "O(N) where N is the count of clients watching keys of both databases.",
        .summary = "Swaps two databases."},
    {.name = "dbsize",
        .handler = cmd_dbsize,
        .arity = 1,
        .flags = CMD_READONLY | CMD_FAST,
        .tips = "request_policy:all_shards response_policy:agg_sum",
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_KEYSPACE | ACL_READ | ACL_FAST,
        .since = "1.0.0",
        .complexity = "O(1)",
        .summary = "Returns the number of keys in the database."},
    {.name = "time",
        .handler = cmd_time,
        .arity = 1,
        .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
        .tips = "nondeterministic_output",
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_FAST,
        .since = "2.6.0",
        .complexity = "O(1)",
        .summary = "Returns the server time."},
    {.name = "save",
        .handler = cmd_save,
        .arity = 1,
        .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_MULTI | CMD_NO_ASYNC_LOADING,
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_ADMIN | ACL_SLOW | ACL_DANGEROUS,
        .since = "1.0.0",
        .complexity = "O(N) where N is the number of records changed since the last checkpoint",
        .prepare = prepare_save,
        .state_destroy = mem_free,
        .summary = "Saves everything in a checkpoint and waits for it."},
    {.name = "bgsave",
        .handler = cmd_bgsave,
        .arity = -1,
        .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING,
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_ADMIN | ACL_SLOW | ACL_DANGEROUS,
        .since = "1.0.0",
        .complexity = "O(1)",
        .summary = "Starts a checkpoint in the background."},
    {.name = "bgrewriteaof",
        .handler = cmd_bgrewriteaof,
        .arity = 1,
        .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING,
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_ADMIN | ACL_SLOW | ACL_DANGEROUS,
        .since = "1.0.0",
        .complexity = "O(1)",
        .summary = "Starts a checkpoint, after which the log's tail is short."},
    {.name = "lastsave",
        .handler = cmd_lastsave,
        .arity = 1,
        .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
        .tips = "nondeterministic_output",
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_ADMIN | ACL_FAST | ACL_DANGEROUS,
        .since = "1.0.0",
        .complexity = "O(1)",
        .summary = "Returns the Unix timestamp of the last successful checkpoint."},
    {.name = "shutdown",
        .handler = cmd_shutdown,
        .arity = -1,
        .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_NO_MULTI | CMD_ALLOW_BUSY,
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_ADMIN | ACL_SLOW | ACL_DANGEROUS,
        .since = "1.0.0",
        .complexity = "O(N) when saving, where N is the number of records changed since the last "
                      "checkpoint, otherwise O(1)",
        .summary = "Saves and stops the server."},
    {.name = "config",
        .arity = -2,
        .subcommands = config_subcommands,
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_SLOW,
        .since = "2.0.0",
        .complexity = "Depends on subcommand.",
        .summary = "A container for server configuration commands."},
    {.name = "memory",
        .arity = -2,
        .subcommands = memory_subcommands,
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_SLOW,
        .since = "4.0.0",
        .complexity = "Depends on subcommand.",
        .summary = "A container for memory diagnostics commands."},
    {.name = "info",
        .handler = cmd_info,
        .arity = -1,
        .flags = CMD_LOADING | CMD_STALE,
        .tips = "nondeterministic_output request_policy:all_shards response_policy:special",
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_SLOW | ACL_DANGEROUS,
        .since = "1.0.0",
        .complexity = "O(1)",
        .summary = "Returns information and statistics about the server."},
    {.name = "command",
        .handler = cmd_command,
        .arity = -1,
        .flags = CMD_LOADING | CMD_STALE,
        .subcommands = command_subcommands,
        .tips = "nondeterministic_output_order",
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_SLOW | ACL_CONNECTION,
        .since = "2.8.13",
        .complexity = "O(N) where N is the total number of commands",
        .summary = "Returns detailed information about all commands."},
    COMMANDS_END,
};
