/*
 * dump.c: DUMP and RESTORE: values as payloads of Redis's format (storage/snapshot.h).
 *
 * RESTORE is refused in Redis's order: options, the key is taken, the time, the payload's footer, its contents. Nothing has changed before all of
 * that is fine. Logged: RESTORE with the moment of expiry, ABSTTL and REPLACE, so that replay depends on no clock and no state.
 */
#include "commands_internal.h"
#include "debug_internal.h"
#include "storage/snapshot.h"

static void cmd_dump(struct command_call *call)
{
    const struct hot_record *record = keyspace_find(call->view, &call->keys[0], KEYSPACE_READ);
    if (record == NULL) {
        reply_null(call->reply);
        return;
    }
    const struct value value = hot_record_value(record);
    struct buf payload = {0};
    snapshot_dump(&value, &payload);
    reply_bulk(call->reply, buf_slice(&payload));
    buf_deinit(&payload);
}

/* --- RESTORE --------------------------------------------------------------------------------------------------- */

/* DEBUG SET-SKIP-CHECKSUM-VALIDATION; relaxed. */
static _Atomic bool skips_checksums;

void restore_skip_checksums(bool skip)
{
    atomic_store_explicit(&skips_checksums, skip, memory_order_relaxed);
}

struct restore_options {
    bool replace;
    bool is_absolute;
    int64_t idle_s;    /* -1: not given */
    int64_t frequency; /* -1: not given */
};

/* One option at *index, which moves to its last word. False: an error was replied. */
static bool parse_option(struct command_call *call, int *index, struct restore_options *options)
{
    const struct slice name = call->argv[*index];
    const bool has_more = *index + 1 < call->argc;
    if (slice_equal_nocase(name, "replace")) {
        options->replace = true;
    } else if (slice_equal_nocase(name, "absttl")) {
        options->is_absolute = true;
    } else if (slice_equal_nocase(name, "idletime") && has_more && options->frequency == -1) {
        if (!command_int64(call, ++*index, &options->idle_s, NULL))
            return false;
        if (options->idle_s < 0) {
            reply_error(call->reply, "ERR Invalid IDLETIME value, must be >= 0");
            return false;
        }
    } else if (slice_equal_nocase(name, "freq") && has_more && options->idle_s == -1) {
        if (!command_int64(call, ++*index, &options->frequency, NULL))
            return false;
        if (options->frequency < 0 || options->frequency > 255) {
            reply_error(call->reply, "ERR Invalid FREQ value, must be >= 0 and <= 255");
            return false;
        }
    } else {
        reply_error(call->reply, REPLY_SYNTAX);
        return false;
    }
    return true;
}

static bool parse_options(struct command_call *call, struct restore_options *options)
{
    *options = (struct restore_options){.idle_s = -1, .frequency = -1};
    for (int index = 4; index < call->argc; index++) {
        if (!parse_option(call, &index, options))
            return false;
    }
    return true;
}

/* The moment of expiry, 0 if there is none. False: an error was replied. */
static bool parse_ttl(
    struct command_call *call, const struct restore_options *options, uint64_t *expire_ms)
{
    int64_t ttl_ms = 0;
    if (!command_int64(call, 2, &ttl_ms, NULL))
        return false;
    if (ttl_ms < 0) {
        reply_error(call->reply, "ERR Invalid TTL value, must be >= 0");
        return false;
    }
    *expire_ms = (uint64_t)ttl_ms; /* with the clock added it still fits */
    if (ttl_ms != 0 && !options->is_absolute)
        *expire_ms += call->view->now_ms;
    return true;
}

static bool decode_payload(struct command_call *call, struct buf *storage, struct value *value)
{
    const struct slice payload = call->argv[3];
    const bool skips = atomic_load_explicit(&skips_checksums, memory_order_relaxed);
    if (snapshot_verify(payload, skips ? SNAPSHOT_IGNORE_SUM : SNAPSHOT_CHECK_SUM) != ST_OK) {
        reply_error(call->reply, "ERR DUMP payload version or checksum are wrong");
        return false;
    }
    const enum status status = snapshot_restore(payload, storage, value);
    if (status == ST_NO_MEMORY)
        commands_reply_no_memory(call);
    else if (status != ST_OK)
        reply_error(call->reply, "ERR Bad data format");
    return status == ST_OK;
}

static void log_restore(struct command_call *call, uint64_t expire_ms)
{
    char text[24];
    const struct slice args[] = {SLICE_LITERAL("RESTORE"), key_slice(&call->keys[0]),
        slice_of(text, uint64_to_text(expire_ms, text)), call->argv[3], SLICE_LITERAL("REPLACE"),
        SLICE_LITERAL("ABSTTL")};
    keyspace_log_args(call->view, &call->keys[0], 1, args, COUNT_OF(args));
}

/* The time has passed: what was there is replaced by nothing. */
static void restore_nothing(struct command_call *call, struct hot_record *record)
{
    if (record == NULL)
        return;
    keyspace_delete(call->view, &call->keys[0], record);
    commands_log_delete(call, &call->keys[0]);
    keyspace_notify(call->view, EVENT_GENERIC, "del", &call->keys[0]);
}

/* As if it had been used last so long ago. */
static void set_idle(struct command_call *call, struct hot_record *record, int64_t idle_s)
{
    const int64_t now_s = (int64_t)(call->view->now_ms / 1000);
    hot_record_stamp(record, idle_s < now_s ? (uint32_t)(now_s - idle_s) : 1);
}

static void store(struct command_call *call, struct hot_record *record, struct value value,
    uint64_t expire_ms, const struct restore_options *options)
{
    const struct key *const key = &call->keys[0];
    const enum value_type type = value.type;
    record = keyspace_set(call->view, key, record, value, expire_ms);
    if (options->idle_s >= 0)
        set_idle(call, record, options->idle_s);
    log_restore(call, expire_ms);
    keyspace_notify(call->view, EVENT_GENERIC, "restore", key);
    if (type == VALUE_LIST || type == VALUE_ZSET || type == VALUE_STREAM)
        keyspace_signal_ready(call->view, key);
}

static void cmd_restore(struct command_call *call)
{
    struct restore_options options;
    uint64_t expire_ms = 0;
    struct buf storage = {0};
    struct value value;
    if (!parse_options(call, &options))
        return;
    struct hot_record *record = keyspace_find(call->view, &call->keys[0], KEYSPACE_WRITE);
    if (record != NULL && !options.replace) {
        reply_error(call->reply, "BUSYKEY Target key name already exists.");
        return;
    }
    if (!parse_ttl(call, &options, &expire_ms))
        return;
    if (decode_payload(call, &storage, &value)) {
        if (expire_ms != 0 && expire_ms <= call->view->now_ms && !call->view->replay) {
            value_release(&value);
            restore_nothing(call, record);
        } else {
            store(call, record, value, expire_ms, &options);
        }
        reply_ok(call->reply);
    }
    buf_deinit(&storage);
}

#define RESTORE_COMPLEXITY                                                                         \
    "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where " \
    "N is the number of elements of the value and M their average size; for sorted sets O(N*M*log(N))"

const struct command dump_commands[] = {
    {.name = "dump",
        .handler = cmd_dump,
        .arity = 2,
        .flags = CMD_READONLY,
        .keys = KEYS_AT(1),
        .need = TIER_NEED_VALUE,
        .tips = "nondeterministic_output",
        .group = COMMAND_GROUP_GENERIC,
        .acl = ACL_KEYSPACE | ACL_READ | ACL_SLOW,
        .since = "2.6.0",
        .complexity = "O(1) to access the key and additional O(N*M) to serialize it, where N is "
                      "the number of elements of the value and M their average size",
        .summary = "Returns a serialized representation of the value stored at a key."},
    {.name = "restore",
        .handler = cmd_restore,
        .arity = -4,
        .flags = CMD_WRITE | CMD_DENYOOM,
        .keys = KEYS_AT(1),
        .need = TIER_NEED_HEADER,
        .key_flags = {KEY_OW | KEY_UPDATE},
        .group = COMMAND_GROUP_GENERIC,
        .acl = ACL_KEYSPACE | ACL_WRITE | ACL_SLOW | ACL_DANGEROUS,
        .since = "2.6.0",
        .complexity = RESTORE_COMPLEXITY,
        .summary = "Creates a key from the serialized representation of a value."},
    {.name = "restore-asking",
        .handler = cmd_restore,
        .arity = -4,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_ASKING,
        .keys = KEYS_AT(1),
        .need = TIER_NEED_HEADER,
        .key_flags = {KEY_OW | KEY_UPDATE},
        .group = COMMAND_GROUP_SERVER,
        .acl = ACL_KEYSPACE | ACL_WRITE | ACL_SLOW | ACL_DANGEROUS,
        .since = "3.0.0",
        .complexity = RESTORE_COMPLEXITY,
        .summary = "An internal command for migrating keys in a cluster."},
    COMMANDS_END,
};
