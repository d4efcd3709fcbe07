/*
 * stream_group.c: consumer groups: XGROUP, XACK, XPENDING.
 *
 * When a consumer was last seen is kept in passing: a read that finds nothing does not make its record dirty, nor is it logged.
 */
#include "base/mem.h"
#include "stream_commands.h"

void stream_reply_no_group(
    struct command_call *call, struct slice key, struct slice group, const char *more)
{
    reply_error_format(call->reply, "NOGROUP No such key '%.*s' or consumer group '%.*s'%s",
        stream_quote_size(key), key.data, stream_quote_size(group), group.data, more);
}

struct stream_consumer *stream_consumer_demand(
    struct stream_edit *edit, struct stream_effects *effects, struct stream_group **group)
{
    const int64_t now_ms = (int64_t)edit->call->view->now_ms;
    const bool is_new = stream_consumer_find(stream_group_find(edit->stream, effects->group),
                            effects->consumer) == NULL;
    if (is_new)
        stream_edit_begin(edit);
    *group = stream_group_edit(edit->stream, effects->group);
    struct stream_consumer *consumer = NULL;
    if (is_new) {
        consumer = stream_consumer_create(edit->stream, *group, effects->consumer, now_ms);
        stream_effects_made_consumer(effects);
        keyspace_notify(edit->call->view, EVENT_STREAM, "xgroup-createconsumer", edit->key);
    } else {
        consumer = stream_consumer_find(*group, effects->consumer);
    }
    consumer->seen_ms = now_ms;
    return consumer;
}

struct stream_consumer *stream_consumer_edit(
    struct stream_edit *edit, const struct stream_effects *effects, struct stream_group **group)
{
    stream_edit_begin(edit);
    *group = stream_group_edit(edit->stream, effects->group);
    return stream_consumer_find(*group, effects->consumer);
}

/* --- XGROUP ------------------------------------------------------------------------------------------------------------------- */

struct group_options {
    bool make;            /* MKSTREAM */
    int64_t entries_read; /* ENTRIESREAD */
};

/* What comes behind the ID. */
static bool parse_options(struct command_call *call, bool is_create, struct group_options *options)
{
    *options = (struct group_options){.entries_read = STREAM_ENTRIES_READ_UNKNOWN};
    for (int i = 5; i < call->argc; i++) {
        if (is_create && slice_equal_nocase(call->argv[i], "mkstream")) {
            options->make = true;
        } else if (slice_equal_nocase(call->argv[i], "entriesread") && i + 1 < call->argc) {
            if (!command_int64(call, ++i, &options->entries_read, NULL))
                return false;
            if (options->entries_read < STREAM_ENTRIES_READ_UNKNOWN) {
                reply_error(call->reply, "ERR value for ENTRIESREAD must be positive or -1");
                return false;
            }
        } else {
            stream_reply_subcommand_syntax(call);
            return false;
        }
    }
    return true;
}

/* The record of the key, which must be there unless it may be made. */
static bool find_stream(struct command_call *call, bool may_lack, struct hot_record **record)
{
    if (!command_find_typed(call, 0, KEYSPACE_WRITE, VALUE_STREAM, record))
        return false;
    if (*record != NULL || may_lack)
        return true;
    reply_error(call->reply,
        "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to "
        "use the MKSTREAM option to create an empty stream automatically.");
    return false;
}

/* The edit of the stream, not begun; false: an error was replied. */
static bool find_group(
    struct command_call *call, struct stream_edit *edit, const struct stream_group **group)
{
    struct hot_record *record = NULL;
    if (!find_stream(call, false, &record))
        return false;
    *edit = stream_edit_of(call, 0, record);
    *group = stream_group_find(edit->stream, call->argv[3]);
    if (*group != NULL)
        return true;
    reply_error_format(call->reply, "NOGROUP No such consumer group '%.*s' for key name '%.*s'",
        stream_quote_size(call->argv[3]), call->argv[3].data, stream_quote_size(call->argv[2]),
        call->argv[2].data);
    return false;
}

static bool is_dollar(struct slice text)
{
    return slice_equal(text, SLICE_LITERAL("$"));
}

static void make_group(
    struct command_call *call, struct hot_record *record, struct stream_id id, int64_t entries_read)
{
    if (record == NULL) {
        struct stream *stream = stream_create();
        (void)stream_group_create(stream, call->argv[3], id, entries_read);
        (void)keyspace_set(call->view, &call->keys[0], NULL, stream_value(stream), 0);
        return;
    }
    struct stream_edit edit = stream_edit_of(call, 0, record);
    stream_edit_begin(&edit);
    (void)stream_group_create(edit.stream, call->argv[3], id, entries_read);
    stream_edit_end(&edit);
}

void cmd_xgroup_create(struct command_call *call)
{
    struct group_options options;
    struct hot_record *record = NULL;
    struct stream_id id = STREAM_ID_MIN;
    if (!parse_options(call, true, &options) || !find_stream(call, options.make, &record))
        return;
    if (call->argc > 8) {
        stream_reply_subcommand_syntax(call);
        return;
    }
    if (!is_dollar(call->argv[4]) && !stream_id_argument(call, 4, &id))
        return;
    if (record != NULL) {
        const struct value value = hot_record_value(record);
        if (stream_group_find(stream_of(&value), call->argv[3]) != NULL) {
            reply_error(call->reply, "BUSYGROUP Consumer Group name already exists");
            return;
        }
        if (is_dollar(call->argv[4]))
            id = stream_of(&value)->last_id;
    }
    make_group(call, record, id, options.entries_read);
    commands_log_as_received(call);
    reply_ok(call->reply);
    keyspace_notify(call->view, EVENT_STREAM, "xgroup-create", &call->keys[0]);
}

void cmd_xgroup_setid(struct command_call *call)
{
    struct group_options options;
    struct stream_edit edit;
    const struct stream_group *found = NULL;
    struct stream_id id = STREAM_ID_MIN;
    if (!parse_options(call, false, &options) || !find_group(call, &edit, &found))
        return;
    if (call->argc != 5 && call->argc != 7) {
        stream_reply_subcommand_syntax(call);
        return;
    }
    if (is_dollar(call->argv[4])) {
        id = edit.stream->last_id;
    } else if (!stream_id_parse(call->argv[4], 0, false, NULL, &id)) {
        stream_reply_invalid_id(call);
        return;
    }
    stream_edit_begin(&edit);
    struct stream_group *group = stream_group_edit(edit.stream, call->argv[3]);
    group->last_id = id;
    group->entries_read = options.entries_read;
    stream_edit_end(&edit);
    commands_log_as_received(call);
    reply_ok(call->reply);
    keyspace_notify(call->view, EVENT_STREAM, "xgroup-setid", &call->keys[0]);
}

void cmd_xgroup_destroy(struct command_call *call)
{
    struct hot_record *record = NULL;
    if (!find_stream(call, false, &record))
        return;
    struct stream_edit edit = stream_edit_of(call, 0, record);
    if (stream_group_find(edit.stream, call->argv[3]) == NULL) {
        reply_integer(call->reply, 0);
        return;
    }
    stream_edit_begin(&edit);
    (void)stream_group_destroy(edit.stream, call->argv[3]);
    stream_edit_end(&edit);
    commands_log_as_received(call);
    reply_integer(call->reply, 1);
    keyspace_notify(call->view, EVENT_STREAM, "xgroup-destroy", &call->keys[0]);
    /* Who is blocked in XREADGROUP learns that its group is gone. */
    keyspace_signal_ready(call->view, &call->keys[0]);
}

void cmd_xgroup_createconsumer(struct command_call *call)
{
    struct stream_edit edit;
    const struct stream_group *found = NULL;
    if (!find_group(call, &edit, &found))
        return;
    if (stream_consumer_find(found, call->argv[4]) != NULL) {
        reply_integer(call->reply, 0);
        return;
    }
    stream_edit_begin(&edit);
    (void)stream_consumer_create(edit.stream, stream_group_edit(edit.stream, call->argv[3]),
        call->argv[4], (int64_t)call->view->now_ms);
    stream_edit_end(&edit);
    commands_log_as_received(call);
    reply_integer(call->reply, 1);
    keyspace_notify(call->view, EVENT_STREAM, "xgroup-createconsumer", &call->keys[0]);
}

void cmd_xgroup_delconsumer(struct command_call *call)
{
    struct stream_edit edit;
    const struct stream_group *found = NULL;
    if (!find_group(call, &edit, &found))
        return;
    const struct stream_consumer *const doomed = stream_consumer_find(found, call->argv[4]);
    if (doomed == NULL) {
        reply_integer(call->reply, 0);
        return;
    }
    const int64_t pending_count = (int64_t)doomed->pending.count;
    stream_edit_begin(&edit);
    struct stream_group *group = stream_group_edit(edit.stream, call->argv[3]);
    stream_consumer_destroy(edit.stream, group, stream_consumer_find(group, call->argv[4]));
    stream_edit_end(&edit);
    commands_log_as_received(call);
    reply_integer(call->reply, pending_count);
    keyspace_notify(call->view, EVENT_STREAM, "xgroup-delconsumer", &call->keys[0]);
}

void cmd_xgroup_help(struct command_call *call)
{
    static const char *const lines[] = {
        "CREATE <key> <groupname> <id|$> [option]",
        "    Create a new consumer group. Options are:",
        "    * MKSTREAM",
        "      Create the empty stream if it does not exist.",
        "    * ENTRIESREAD entries_read",
        "      Set the group's entries_read counter (internal use).",
        "CREATECONSUMER <key> <groupname> <consumer>",
        "    Create a new consumer in the specified group.",
        "DELCONSUMER <key> <groupname> <consumer>",
        "    Remove the specified consumer.",
        "DESTROY <key> <groupname>",
        "    Remove the specified group.",
        "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
        "    Set the current group ID and entries_read counter.",
    };
    command_reply_help(call, lines, COUNT_OF(lines));
}

/* --- XACK ---------------------------------------------------------------------------------------------------------------------- */

void cmd_xack(struct command_call *call)
{
    struct hot_record *record = NULL;
    if (!command_find_typed(call, 0, KEYSPACE_READ, VALUE_STREAM, &record))
        return;
    struct stream_edit edit = {0};
    const struct stream_group *found = NULL;
    if (record != NULL) {
        edit = stream_edit_of(call, 0, record);
        found = stream_group_find(edit.stream, call->argv[2]);
    }
    if (found == NULL) {
        reply_integer(call->reply, 0);
        return;
    }
    struct stream_id *ids = stream_id_arguments(call, 3);
    if (ids == NULL)
        return;
    int64_t acknowledged = 0;
    struct stream_group *group = NULL;
    for (int i = 0; i < call->argc - 3; i++) {
        struct stream_pending pending;
        if (group == NULL) {
            if (!stream_pending_find(found, ids[i], &pending))
                continue;
            stream_edit_begin(&edit);
            group = stream_group_edit(edit.stream, call->argv[2]);
        }
        acknowledged += stream_pending_remove(edit.stream, group, ids[i]);
    }
    stream_edit_end(&edit);
    mem_free(ids);
    if (acknowledged > 0)
        commands_log_as_received(call);
    reply_integer(call->reply, acknowledged);
}

/* --- XPENDING -------------------------------------------------------------------------------------------------------------------- */

struct pending_options {
    bool is_summary;
    int64_t idle_ms;
    int64_t count;
    struct stream_id first, last;
    int consumer_argument; /* 0: all */
};

static bool parse_pending(struct command_call *call, struct pending_options *options)
{
    *options = (struct pending_options){.is_summary = call->argc == 3};
    if (options->is_summary)
        return true;
    int start = 3;
    if (call->argc < 6 || call->argc > 9) {
        reply_error(call->reply, REPLY_SYNTAX);
        return false;
    }
    if (slice_equal_nocase(call->argv[3], "idle")) {
        if (!command_int64(call, 4, &options->idle_ms, NULL))
            return false;
        if (call->argc < 8) {
            reply_error(call->reply, REPLY_SYNTAX);
            return false;
        }
        start = 5;
    }
    if (!command_int64(call, start + 2, &options->count, NULL) ||
        !stream_interval_start(call, start, &options->first) ||
        !stream_interval_end(call, start + 1, &options->last))
        return false;
    if (start + 3 < call->argc)
        options->consumer_argument = start + 3;
    return true;
}

static void reply_summary(struct resp_output *reply, const struct stream_group *group)
{
    struct stream_pending_walk walk;
    struct stream_pending pending;
    reply_array(reply, 4);
    reply_integer(reply, (int64_t)group->pending.count);
    stream_pending_begin(&walk, group, NULL, STREAM_ID_MIN);
    if (!stream_pending_next(&walk, &pending)) {
        reply_null(reply);
        reply_null(reply);
        reply_null_array(reply);
        return;
    }
    stream_reply_id(reply, pending.id);
    (void)stream_pending_last(group, &pending);
    stream_reply_id(reply, pending.id);
    size_t count = 0;
    const struct reply_deferred deferred = reply_deferred_begin(reply);
    for (uint32_t i = 0; i < group->consumer_count; i++) {
        const struct stream_consumer *const consumer = group->consumers[i];
        if (consumer->pending.count == 0)
            continue;
        reply_array(reply, 2);
        reply_bulk(reply, consumer->name);
        reply_bulk_integer(reply, (int64_t)consumer->pending.count);
        count++;
    }
    reply_deferred_end(reply, deferred, '*', count);
}

static void reply_pending(struct command_call *call, const struct pending_options *options,
    const struct stream_group *group, const struct stream_consumer *consumer)
{
    struct resp_output *reply = call->reply;
    struct stream_pending_walk walk;
    struct stream_pending pending;
    int64_t replied = 0;
    const struct reply_deferred deferred = reply_deferred_begin(reply);
    stream_pending_begin(&walk, group, consumer, options->first);
    while (replied < options->count && stream_pending_next(&walk, &pending)) {
        if (stream_id_compare(pending.id, options->last) > 0)
            break;
        int64_t idle_ms = 0;
        if (sub_overflows((int64_t)call->view->now_ms, pending.delivery_ms, &idle_ms))
            idle_ms = INT64_MAX;
        if (options->idle_ms != 0 && idle_ms < options->idle_ms)
            continue;
        reply_array(reply, 4);
        stream_reply_id(reply, pending.id);
        reply_bulk(reply, pending.consumer->name);
        reply_integer(reply, idle_ms < 0 ? 0 : idle_ms);
        reply_integer(reply, (int64_t)pending.delivery_count);
        replied++;
    }
    reply_deferred_end(reply, deferred, '*', (size_t)replied);
}

void cmd_xpending(struct command_call *call)
{
    struct pending_options options;
    struct hot_record *record = NULL;
    const struct stream_group *group = NULL;
    if (!parse_pending(call, &options) ||
        !command_find_typed(call, 0, KEYSPACE_READ, VALUE_STREAM, &record))
        return;
    if (record != NULL) {
        const struct value value = hot_record_value(record);
        group = stream_group_find(stream_of(&value), call->argv[2]);
    }
    if (group == NULL) {
        stream_reply_no_group(call, call->argv[1], call->argv[2], "");
        return;
    }
    if (options.is_summary) {
        reply_summary(call->reply, group);
        return;
    }
    const struct stream_consumer *consumer = NULL;
    if (options.consumer_argument != 0) {
        consumer = stream_consumer_find(group, call->argv[options.consumer_argument]);
        if (consumer == NULL) {
            reply_array(call->reply, 0);
            return;
        }
    }
    reply_pending(call, &options, group, consumer);
}
