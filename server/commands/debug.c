/*
 * debug.c: DEBUG: what test suites and people who hunt a fault ask of a server. Nothing here ends the process.
 *
 * Who may: enable-debug-command, no, yes or local (connections of this machine).
 *
 * RELOAD and LOADAOF mean for this server: a checkpoint, then every copy in RAM that the checkpoint made clean is dropped, so that what is
 * answered afterwards was read from disk. What was written in between stays in RAM, as it must (I7). Not inside MULTI, whose keys are in RAM
 * until its end. DIGEST has a file of its own.
 */
#include "base/log.h"
#include "base/mem.h"
#include "commands_internal.h"
#include "debug_internal.h"
#include "storage/snapshot.h"

#include <errno.h>
#include <math.h>
#include <time.h>

bool debug_is_allowed(struct command_call *call)
{
    const int64_t mode = OPTION_GET(&call->server->settings->server, debug_command);
    const struct session *const session = call->session;
    const bool is_local = session->is_unix_socket ||
                          strncmp(session->peer_address, "127.", 4) == 0 ||
                          strncmp(session->peer_address, "[::1]", 5) == 0 ||
                          strncmp(session->peer_address, "::1:", 4) == 0;
    if (mode == PROTECTED_YES || (mode == PROTECTED_LOCAL && is_local))
        return true;
    reply_error(call->reply,
        "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", "
        "you can run it from a local connection, otherwise you need to set this option in the "
        "configuration file, and then restart the server.");
    return false;
}

/* --- time, expiry, switches ------------------------------------------------------------------------------------- */

/* Stalls this worker, as it stalls Redis: tests of clients rely on it. */
static void cmd_debug_sleep(struct command_call *call)
{
    double seconds = 0;
    if (!debug_is_allowed(call))
        return;
    if (!slice_to_double(call->argv[2], &seconds) || !isfinite(seconds))
        seconds = 0;
    if (seconds > 3600)
        seconds = 3600;
    if (seconds > 0) {
        struct timespec rest = {.tv_sec = (time_t)seconds,
            .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
        while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
            ;
    }
    reply_ok(call->reply);
}

static void cmd_debug_active_expire(struct command_call *call)
{
    int64_t on = 0;
    if (!debug_is_allowed(call) || !command_int64(call, 2, &on, NULL))
        return;
    keyspace_active_expire_set(call->server->keyspace, on != 0);
    reply_ok(call->reply);
}

static void cmd_debug_skip_checksum(struct command_call *call)
{
    int64_t on = 0;
    if (!debug_is_allowed(call) || !command_int64(call, 2, &on, NULL))
        return;
    restore_skip_checksums(on != 0);
    reply_ok(call->reply);
}

/* What these switch does not exist here; they are taken so that what follows them can go on. */
static void cmd_debug_accept(struct command_call *call)
{
    if (debug_is_allowed(call))
        reply_ok(call->reply);
}

/* Elements of any size are packed here, by the tree. */
static void cmd_debug_quicklist_threshold(struct command_call *call)
{
    int64_t bytes = 0;
    if (!debug_is_allowed(call))
        return;
    if (settings_parse_bytes(call->argv[2], false, &bytes) && bytes >= 0 &&
        bytes < (int64_t)(4 * GiB - MiB))
        reply_ok(call->reply);
    else
        reply_error(
            call->reply, "ERR argument must be a memory value bigger than 1 and smaller than 4gb");
}

static void cmd_debug_change_repl_id(struct command_call *call)
{
    if (!debug_is_allowed(call))
        return;
    log_warn("debug: no replication, so no replication id to change");
    reply_ok(call->reply);
}

/* --- replies and texts --------------------------------------------------------------------------------------------- */

static void cmd_debug_error(struct command_call *call)
{
    const struct slice text = call->argv[2];
    if (debug_is_allowed(call))
        reply_error_format(
            call->reply, "%.*s", (int)(text.size < 1000 ? text.size : 1000), text.data);
}

static void cmd_debug_log(struct command_call *call)
{
    if (!debug_is_allowed(call))
        return;
    log_warn("DEBUG LOG: %.*s", commands_quote_size(call->argv[2]), call->argv[2].data);
    reply_ok(call->reply);
}

static void cmd_debug_stringmatch_len(struct command_call *call)
{
    if (debug_is_allowed(call))
        reply_integer(call->reply, glob_match(call->argv[2], call->argv[3], false) ? 1 : 0);
}

static void reply_numbers(struct command_call *call)
{
    for (int64_t i = 0; i < 3; i++)
        reply_integer(call->reply, i);
}

static void reply_big_number(struct command_call *call)
{
    static const char digits[] = "1234567999999999999999999999999999999";
    if (call->reply->protocol == 3) {
        reply_raw(call->reply, "(", 1);
        reply_raw(call->reply, digits, sizeof(digits) - 1);
        reply_raw(call->reply, "\r\n", 2);
    } else {
        reply_bulk_text(call->reply, digits);
    }
}

static void reply_attribute(struct command_call *call)
{
    if (call->reply->protocol == 3) {
        reply_raw(call->reply, "|1\r\n", 4);
        reply_bulk_text(call->reply, "key-popularity");
        reply_array(call->reply, 2);
        reply_bulk_text(call->reply, "key:123");
        reply_integer(call->reply, 90);
    }
    reply_bulk_text(call->reply, "Some real reply following the attribute");
}

static void reply_push_example(struct command_call *call)
{
    if (call->reply->protocol != 3) {
        reply_error(call->reply, "ERR RESP2 is not supported by this command");
        return;
    }
    reply_push(call->reply, 2);
    reply_bulk_text(call->reply, "server-cpu-usage");
    reply_integer(call->reply, 42);
    reply_bulk_text(call->reply, "Some real reply following the push reply");
}

static void cmd_debug_protocol(struct command_call *call)
{
    const struct slice type = call->argv[2];
    if (!debug_is_allowed(call))
        return;
    if (slice_equal_nocase(type, "string")) {
        reply_bulk_text(call->reply, "Hello World");
    } else if (slice_equal_nocase(type, "integer")) {
        reply_integer(call->reply, 12345);
    } else if (slice_equal_nocase(type, "double")) {
        reply_double(call->reply, 3.141);
    } else if (slice_equal_nocase(type, "bignum")) {
        reply_big_number(call);
    } else if (slice_equal_nocase(type, "null")) {
        reply_null(call->reply);
    } else if (slice_equal_nocase(type, "array")) {
        reply_array(call->reply, 3);
        reply_numbers(call);
    } else if (slice_equal_nocase(type, "set")) {
        reply_set(call->reply, 3);
        reply_numbers(call);
    } else if (slice_equal_nocase(type, "map")) {
        reply_map(call->reply, 3);
        for (int64_t i = 0; i < 3; i++) {
            reply_integer(call->reply, i);
            reply_bool(call->reply, i == 1);
        }
    } else if (slice_equal_nocase(type, "attrib")) {
        reply_attribute(call);
    } else if (slice_equal_nocase(type, "push")) {
        reply_push_example(call);
    } else if (slice_equal_nocase(type, "verbatim")) {
        reply_verbatim(call->reply, "txt", SLICE_LITERAL("This is a verbatim\nstring"));
    } else if (slice_equal_nocase(type, "true") || slice_equal_nocase(type, "false")) {
        reply_bool(call->reply, slice_equal_nocase(type, "true"));
    } else {
        reply_error(call->reply,
            "ERR Wrong protocol type name. Please use one of the following: "
            "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false");
    }
}

/* --- records ---------------------------------------------------------------------------------------------------------- */

/* NULL: an error was replied. */
static const struct hot_record *find(struct command_call *call)
{
    if (!debug_is_allowed(call))
        return NULL;
    const struct hot_record *record = keyspace_find(call->view, &call->keys[0], KEYSPACE_PEEK);
    if (record == NULL)
        reply_error(call->reply, REPLY_NO_KEY);
    return record;
}

/* What Redis says of a list's nodes. */
static void append_nodes(struct buf *text, const struct value *value, size_t size)
{
    const uint64_t count = value_class_of(VALUE_LIST)->element_count(value->object);
    const uint64_t nodes = value_class_of(VALUE_LIST)->effort(value->object);
    buf_append_format(text,
        " ql_nodes:%llu ql_avg_node:%.2f ql_listpack_max:%lld ql_compressed:0 "
        "ql_uncompressed_size:%zu",
        (unsigned long long)nodes, nodes == 0 ? 0 : (double)count / (double)nodes,
        (long long)atomic_load_explicit(&value_limits.list_max_listpack_size, memory_order_relaxed),
        size);
}

static void cmd_debug_object(struct command_call *call)
{
    const struct hot_record *record = find(call);
    if (record == NULL)
        return;
    const struct value value = hot_record_value(record);
    struct buf image = {0};
    struct buf text = {0};
    snapshot_encode(&value, &image);
    /* The type's byte is not part of it. The address is one that tells values apart, not one of memory. */
    buf_append_format(&text,
        "Value at:0x%012llx refcount:1 encoding:%s serializedlength:%zu lru:%u lru_seconds_idle:%lld",
        (unsigned long long)(call->keys[0].hash & 0xffffffffffff),
        value_encoding_name(value.encoding), image.size - 1,
        (unsigned)(hot_record_access_s(record) & 0xffffff),
        (long long)commands_idle_s(call, record));
    if (value.encoding == VALUE_ENCODING_QUICKLIST)
        append_nodes(&text, &value, image.size);
    buf_append_byte(&text, '\0');
    reply_simple(call->reply, text.data);
    buf_deinit(&image);
    buf_deinit(&text);
}

static void reply_structure(
    struct command_call *call, enum value_encoding encoding, const char *refusal, const char *text)
{
    const struct hot_record *record = find(call);
    if (record == NULL)
        return;
    const struct value value = hot_record_value(record);
    if (value.encoding != encoding) {
        reply_error(call->reply, refusal);
        return;
    }
    log_info("debug: structure encoding=%s elements=%llu bytes=%zu",
        value_encoding_name(value.encoding),
        (unsigned long long)value_class_of(value.type)->element_count(value.object),
        value_external_bytes(&value));
    reply_simple(call->reply, text);
}

static void cmd_debug_listpack(struct command_call *call)
{
    reply_structure(call, VALUE_ENCODING_LISTPACK, "ERR Not a listpack encoded object.",
        "Listpack structure printed on stdout");
}

static void cmd_debug_quicklist(struct command_call *call)
{
    reply_structure(call, VALUE_ENCODING_QUICKLIST, "ERR Not a quicklist encoded object.",
        "Quicklist structure printed on stdout");
}

/* Nothing here is a chained hash table; the numbers are those of one that holds as many, without collisions. */
static void append_table(struct buf *text, uint64_t count)
{
    uint64_t size = 4;
    if (count == 0) {
        buf_append_text(text, "No stats available for empty dictionaries\n");
        return;
    }
    while (size < count)
        size *= 2;
    buf_append_format(text,
        "Hash table 0 stats (main hash table):\n"
        " table size: %llu\n"
        " number of elements: %llu\n"
        " different slots: %llu\n"
        " max chain length: 1\n"
        " avg chain length (counted): 1.00\n"
        " avg chain length (computed): 1.00\n"
        " Chain length distribution:\n"
        "   1: %llu (100.00%%)\n",
        (unsigned long long)size, (unsigned long long)count, (unsigned long long)count,
        (unsigned long long)count);
}

static void cmd_debug_htstats(struct command_call *call)
{
    int64_t database = 0;
    if (!debug_is_allowed(call) || !command_int64(call, 2, &database, NULL))
        return;
    if (database < 0 || database >= (int64_t)keyspace_database_count(call->server->keyspace)) {
        reply_error(call->reply, "ERR Out of range database");
        return;
    }
    struct buf text = {0};
    buf_append_text(&text, "[Dictionary HT]\n");
    append_table(&text, keyspace_size(call->server->keyspace, (unsigned)database));
    buf_append_text(&text, "[Expires HT]\n");
    append_table(&text, keyspace_expires(call->server->keyspace, (unsigned)database));
    reply_verbatim(call->reply, "txt", buf_slice(&text));
    buf_deinit(&text);
}

static void cmd_debug_htstats_key(struct command_call *call)
{
    const struct hot_record *record = find(call);
    if (record == NULL)
        return;
    const struct value value = hot_record_value(record);
    if (value.encoding != VALUE_ENCODING_HASHTABLE && value.encoding != VALUE_ENCODING_SKIPLIST) {
        reply_error(call->reply,
            "ERR The value stored at the specified key is not represented using an hash table");
        return;
    }
    struct buf text = {0};
    append_table(&text, value_class_of(value.type)->element_count(value.object));
    reply_verbatim(call->reply, "txt", buf_slice(&text));
    buf_deinit(&text);
}

/* --- RELOAD, LOADAOF -------------------------------------------------------------------------------------------------------- */

struct reload {
    const struct tier_wait *wait;
};

static bool parse_reload(struct command_call *call, bool *save)
{
    *save = true;
    for (int i = 2; i < call->argc; i++) {
        if (slice_equal_nocase(call->argv[i], "nosave")) {
            *save = false;
        } else if (!slice_equal_nocase(call->argv[i], "merge") &&
                   !slice_equal_nocase(call->argv[i], "noflush")) {
            reply_error(call->reply,
                "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
            return false;
        }
    }
    return true;
}

static enum status prepare_reload(struct command_call *call, struct tier_wait *wait)
{
    bool save = false;
    if (call->state != NULL)
        return ST_OK;
    if (!debug_is_allowed(call) || !parse_reload(call, &save))
        return ST_INVALID;
    struct reload *reload = mem_alloc_zero(sizeof(*reload));
    reload->wait = wait;
    call->state = reload;
    if (!save)
        return ST_OK;
    tier_checkpoint_request(call->server->tier, wait);
    return ST_PENDING;
}

static void demote(void *context, struct hot_record *record)
{
    struct hot *const hot = context;
    const struct key key = hot_record_key(record, true);
    (void)hot_demote_record(hot, &key, record);
}

static void cmd_debug_reload(struct command_call *call)
{
    const struct reload *reload = call->state;
    uint64_t cursor = 0;
    if (tier_wait_status(reload->wait) != ST_OK) {
        reply_error(call->reply, "ERR the checkpoint failed; see the server's log");
        return;
    }
    do {
        cursor = hot_scan(call->view->hot, cursor, demote, call->view->hot);
    } while (cursor != 0);
    log_warn("debug: copies in RAM dropped");
    reply_ok(call->reply);
}

/* --- the table --------------------------------------------------------------------------------------------------------------- */

static void cmd_debug_help(struct command_call *call)
{
    static const char *const lines[] = {
        "CHANGE-REPL-ID",
        "    Taken for compatibility; has no effect.",
        "DIGEST",
        "    Return a hex signature representing the current DB content.",
        "DIGEST-VALUE <key> [<key> ...]",
        "    Return a hex signature of the values of all the specified keys.",
        "ERROR <string>",
        "    Return a protocol error with <string> as message.",
        "HTSTATS <dbid>",
        "    Return how many keys the database holds, as the statistics of a hash table.",
        "HTSTATS-KEY <key>",
        "    Like HTSTATS but for the value stored at <key>.",
        "LISTPACK <key>",
        "    Write the size of a compact value to the log.",
        "LOADAOF",
        "    As RELOAD.",
        "LOG <message>",
        "    Write <message> to the server log.",
        "OBJECT <key>",
        "    Show low level info about <key> and associated value.",
        "PROTOCOL <type>",
        "    Reply with a test value of the specified type. <type> can be: string,",
        "    integer, double, bignum, null, array, set, map, attrib, push, verbatim,",
        "    true, false.",
        "QUICKLIST <key>",
        "    Write the size of a long list to the log.",
        "QUICKLIST-PACKED-THRESHOLD <size>",
        "    Taken for compatibility; has no effect.",
        "RELOAD [MERGE] [NOFLUSH] [NOSAVE]",
        "    Make a checkpoint (unless NOSAVE) and drop all copies in RAM: what is read",
        "    afterwards comes from disk.",
        "SET-ACTIVE-EXPIRE <0|1>",
        "    Setting it to 0 disables expiring keys in the background.",
        "SET-DISABLE-DENY-SCRIPTS <0|1>",
        "    Taken for compatibility; has no effect.",
        "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
        "    Enables or disables checksum checks for RESTORE's payload.",
        "SLEEP <seconds>",
        "    Stop the worker for <seconds>. Decimals allowed.",
        "STRINGMATCH-LEN <pattern> <string>",
        "    Return 1 if the glob-style pattern matches the string, else 0.",
    };
    command_reply_help(call, lines, COUNT_OF(lines));
}

#define DEBUG_FLAGS (CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE)
/* clang-format off */
#define DEBUG_ROW(name_, arity_, handler_, complexity_, summary_)                                  \
    .name = (name_), .arity = (arity_), .handler = (handler_), .group = COMMAND_GROUP_SERVER,      \
    .acl = ACL_ADMIN | ACL_SLOW | ACL_DANGEROUS, .since = "1.0.0", .complexity = (complexity_),    \
    .summary = (summary_)
#define DEBUG_KEY_ROW(name_, arity_, handler_, complexity_, summary_)                              \
    {DEBUG_ROW(name_, arity_, handler_, complexity_, summary_), .flags = DEBUG_FLAGS,              \
        .keys = KEYS_AT(2), .need = TIER_NEED_VALUE, .key_flags = {KEY_RO}}
#define DEBUG_PLAIN_ROW(name_, arity_, handler_, summary_)                                         \
    {DEBUG_ROW(name_, arity_, handler_, "O(1)", summary_), .flags = DEBUG_FLAGS}
#define DEBUG_RELOAD_ROW(name_, arity_, summary_)                                                  \
    {DEBUG_ROW(name_, arity_, cmd_debug_reload, "O(N) where N is the number of records in RAM",    \
        summary_), .flags = DEBUG_FLAGS | CMD_ALL_STRIPES | CMD_NO_MULTI, .prepare = prepare_reload,              \
        .state_destroy = mem_free}
/* clang-format on */

static const struct command debug_subcommands[] = {
    DEBUG_PLAIN_ROW("change-repl-id", 2, cmd_debug_change_repl_id, "Has no effect."),
    {DEBUG_ROW("digest", 2, cmd_debug_digest, "O(N) where N is the size of all values",
         "Returns a signature of the contents of all databases."),
        .flags = DEBUG_FLAGS, .prepare = debug_prepare_digest,
        .state_destroy = debug_digest_destroy},
    {DEBUG_ROW("digest-value", -3, cmd_debug_digest_value, "O(N) where N is the size of the values",
         "Returns signatures of values."),
        .flags = DEBUG_FLAGS, .keys = KEYS_RANGE(2, -1, 1), .need = TIER_NEED_VALUE,
        .key_flags = {KEY_RO}},
    DEBUG_PLAIN_ROW("error", 3, cmd_debug_error, "Returns an error."),
    DEBUG_PLAIN_ROW(
        "help", 2, cmd_debug_help, "Returns helpful text about the different subcommands."),
    DEBUG_PLAIN_ROW("htstats", 3, cmd_debug_htstats, "Returns how many keys a database holds."),
    DEBUG_KEY_ROW("htstats-key", 3, cmd_debug_htstats_key, "O(1)",
        "Returns how many elements a value holds."),
    DEBUG_KEY_ROW("listpack", 3, cmd_debug_listpack, "O(1)", "Writes a value's size to the log."),
    DEBUG_RELOAD_ROW("loadaof", 2, "Makes a checkpoint and drops all copies in RAM."),
    DEBUG_PLAIN_ROW("log", 3, cmd_debug_log, "Writes to the log."),
    DEBUG_KEY_ROW("object", 3, cmd_debug_object, "O(N) where N is the size of the value",
        "Returns low level info about a key."),
    DEBUG_PLAIN_ROW("protocol", 3, cmd_debug_protocol, "Returns a reply of a given type."),
    DEBUG_KEY_ROW("quicklist", -3, cmd_debug_quicklist, "O(1)", "Writes a list's size to the log."),
    DEBUG_PLAIN_ROW(
        "quicklist-packed-threshold", 3, cmd_debug_quicklist_threshold, "Has no effect."),
    DEBUG_RELOAD_ROW("reload", -2, "Makes a checkpoint and drops all copies in RAM."),
    DEBUG_PLAIN_ROW(
        "set-active-expire", 3, cmd_debug_active_expire, "Turns background expiry on or off."),
    DEBUG_PLAIN_ROW("set-disable-deny-scripts", 3, cmd_debug_accept, "Has no effect."),
    DEBUG_PLAIN_ROW("set-skip-checksum-validation", 3, cmd_debug_skip_checksum,
        "Turns checks of RESTORE's checksum off or on."),
    DEBUG_PLAIN_ROW("sleep", 3, cmd_debug_sleep, "Stops the worker for some time."),
    DEBUG_PLAIN_ROW("stringmatch-len", 4, cmd_debug_stringmatch_len, "Matches a glob pattern."),
    COMMANDS_END,
};

const struct command debug_commands[] = {
    {.name = "debug",
        .arity = -2,
        .flags = DEBUG_FLAGS,
        .subcommands = debug_subcommands,
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_ADMIN | ACL_SLOW | ACL_DANGEROUS,
        .since = "1.0.0",
        .complexity = "Depends on subcommand.",
        .summary = "A container for debugging commands."},
    COMMANDS_END,
};
