/*
 * stream_info.c: XINFO.
 *
 * What Redis tells of its radix tree is told of the nodes that approximate trimming works on: a key for each, and one tree node more.
 */
#include "stream_commands.h"

/* Entries and pending ones in XINFO STREAM FULL without COUNT. */
#define FULL_COUNT_DEFAULT 10

/* The stream of keys[0], or NULL and an error replied. */
static const struct stream *find_stream(struct command_call *call)
{
    struct hot_record *record = NULL;
    if (!command_find_typed(call, 0, KEYSPACE_READ, VALUE_STREAM, &record))
        return NULL;
    if (record == NULL) {
        reply_error(call->reply, REPLY_NO_KEY);
        return NULL;
    }
    const struct value value = hot_record_value(record);
    return stream_of(&value);
}

static void reply_name_integer(struct resp_output *reply, const char *name, int64_t value)
{
    reply_bulk_text(reply, name);
    reply_integer(reply, value);
}

static void reply_name_id(struct resp_output *reply, const char *name, struct stream_id id)
{
    reply_bulk_text(reply, name);
    stream_reply_id(reply, id);
}

/* entries-read and lag: null where they are not known. */
static void reply_progress(
    struct resp_output *reply, const struct stream *stream, const struct stream_group *group)
{
    int64_t lag = 0;
    reply_bulk_text(reply, "entries-read");
    if (group->entries_read != STREAM_ENTRIES_READ_UNKNOWN)
        reply_integer(reply, group->entries_read);
    else
        reply_null(reply);
    reply_bulk_text(reply, "lag");
    if (stream_group_lag(stream, group, &lag))
        reply_integer(reply, lag);
    else
        reply_null(reply);
}

/* --- XINFO STREAM --------------------------------------------------------------------------------------------------------------- */

static void reply_group_pending(
    struct resp_output *reply, const struct stream_group *group, uint64_t count)
{
    struct stream_pending_walk walk;
    struct stream_pending pending;
    uint64_t left = count == 0 || group->pending.count < count ? group->pending.count : count;
    reply_array(reply, (size_t)left);
    stream_pending_begin(&walk, group, NULL, STREAM_ID_MIN);
    for (; left > 0 && stream_pending_next(&walk, &pending); left--) {
        reply_array(reply, 4);
        stream_reply_id(reply, pending.id);
        reply_bulk(reply, pending.consumer->name);
        reply_integer(reply, pending.delivery_ms);
        reply_integer(reply, (int64_t)pending.delivery_count);
    }
}

static void reply_full_consumer(struct resp_output *reply, const struct stream_group *group,
    const struct stream_consumer *consumer, uint64_t count)
{
    struct stream_pending_walk walk;
    struct stream_pending pending;
    reply_map(reply, 5);
    reply_bulk_text(reply, "name");
    reply_bulk(reply, consumer->name);
    reply_name_integer(reply, "seen-time", consumer->seen_ms);
    reply_name_integer(reply, "active-time", consumer->active_ms);
    reply_name_integer(reply, "pel-count", (int64_t)consumer->pending.count);
    reply_bulk_text(reply, "pending");
    uint64_t left = consumer->pending.count;
    if (count != 0 && count < left)
        left = count;
    reply_array(reply, (size_t)left);
    stream_pending_begin(&walk, group, consumer, STREAM_ID_MIN);
    for (; left > 0 && stream_pending_next(&walk, &pending); left--) {
        reply_array(reply, 3);
        stream_reply_id(reply, pending.id);
        reply_integer(reply, pending.delivery_ms);
        reply_integer(reply, (int64_t)pending.delivery_count);
    }
}

static void reply_full_group(struct resp_output *reply, const struct stream *stream,
    const struct stream_group *group, uint64_t count)
{
    reply_map(reply, 7);
    reply_bulk_text(reply, "name");
    reply_bulk(reply, group->name);
    reply_name_id(reply, "last-delivered-id", group->last_id);
    reply_progress(reply, stream, group);
    reply_name_integer(reply, "pel-count", (int64_t)group->pending.count);
    reply_bulk_text(reply, "pending");
    reply_group_pending(reply, group, count);
    reply_bulk_text(reply, "consumers");
    reply_array(reply, group->consumer_count);
    for (uint32_t i = 0; i < group->consumer_count; i++)
        reply_full_consumer(reply, group, group->consumers[i], count);
}

static void reply_edge_entry(
    struct resp_output *reply, const struct stream *stream, const char *name, struct stream_id id)
{
    reply_bulk_text(reply, name);
    if (!stream_reply_entry_of(reply, stream, id))
        reply_null(reply);
}

static void reply_head(struct resp_output *reply, const struct stream *stream)
{
    struct stream_id first;
    const int64_t node_count = (int64_t)stream_node_count(stream);
    (void)stream_first_id(stream, &first);
    reply_name_integer(reply, "length", (int64_t)stream_length(stream));
    reply_name_integer(reply, "radix-tree-keys", node_count);
    reply_name_integer(reply, "radix-tree-nodes", node_count + 1);
    reply_name_id(reply, "last-generated-id", stream->last_id);
    reply_name_id(reply, "max-deleted-entry-id", stream->max_deleted_id);
    reply_name_integer(reply, "entries-added", (int64_t)stream->entries_added);
    reply_name_id(reply, "recorded-first-entry-id", first);
}

/* [FULL [COUNT n]]. False: an error was replied. */
static bool parse_full(struct command_call *call, bool *is_full, uint64_t *count)
{
    const int option_count = call->argc - 3;
    int64_t number = FULL_COUNT_DEFAULT;
    *is_full = option_count > 0;
    if (option_count != 0 &&
        ((option_count != 1 && option_count != 3) || !slice_equal_nocase(call->argv[3], "full") ||
            (option_count == 3 && !slice_equal_nocase(call->argv[4], "count")))) {
        stream_reply_subcommand_syntax(call);
        return false;
    }
    if (option_count == 3 && !command_int64(call, 5, &number, NULL))
        return false;
    *count = number < 0 ? FULL_COUNT_DEFAULT : (uint64_t)number;
    return true;
}

void cmd_xinfo_stream(struct command_call *call)
{
    bool is_full = false;
    uint64_t count = 0;
    struct resp_output *reply = call->reply;
    const struct stream *stream = find_stream(call);
    if (stream == NULL || !parse_full(call, &is_full, &count))
        return;
    reply_map(reply, is_full ? 9 : 10);
    reply_head(reply, stream);
    if (!is_full) {
        struct stream_id first;
        struct stream_id top;
        (void)stream_first_id(stream, &first);
        (void)stream_top_id(stream, &top);
        reply_name_integer(reply, "groups", (int64_t)stream->group_count);
        reply_edge_entry(reply, stream, "first-entry", first);
        reply_edge_entry(reply, stream, "last-entry", top);
        return;
    }
    reply_bulk_text(reply, "entries");
    stream_reply_range(reply, stream, STREAM_ID_MIN, STREAM_ID_MAX, count, false);
    reply_bulk_text(reply, "groups");
    reply_array(reply, stream->group_count);
    for (size_t i = 0; i < stream->group_count; i++)
        reply_full_group(reply, stream, stream->groups[i], count);
}

/* --- XINFO GROUPS, CONSUMERS ---------------------------------------------------------------------------------------------------- */

void cmd_xinfo_groups(struct command_call *call)
{
    struct resp_output *reply = call->reply;
    const struct stream *stream = find_stream(call);
    if (stream == NULL)
        return;
    reply_array(reply, stream->group_count);
    for (size_t i = 0; i < stream->group_count; i++) {
        const struct stream_group *const group = stream->groups[i];
        reply_map(reply, 6);
        reply_bulk_text(reply, "name");
        reply_bulk(reply, group->name);
        reply_name_integer(reply, "consumers", group->consumer_count);
        reply_name_integer(reply, "pending", (int64_t)group->pending.count);
        reply_name_id(reply, "last-delivered-id", group->last_id);
        reply_progress(reply, stream, group);
    }
}

/* Milliseconds since then; a consumer made in replay, which has no clock, was seen when the server started. */
static int64_t since(const struct command_call *call, int64_t then_ms)
{
    const int64_t now_ms = (int64_t)call->view->now_ms;
    if (then_ms <= 0)
        then_ms = (int64_t)call->server->started_unix_s * 1000;
    return now_ms > then_ms ? now_ms - then_ms : 0;
}

void cmd_xinfo_consumers(struct command_call *call)
{
    struct resp_output *reply = call->reply;
    const struct stream *stream = find_stream(call);
    if (stream == NULL)
        return;
    const struct stream_group *const group = stream_group_find(stream, call->argv[3]);
    if (group == NULL) {
        reply_error_format(reply, "NOGROUP No such consumer group '%.*s' for key name '%.*s'",
            stream_quote_size(call->argv[3]), call->argv[3].data, stream_quote_size(call->argv[2]),
            call->argv[2].data);
        return;
    }
    reply_array(reply, group->consumer_count);
    for (uint32_t i = 0; i < group->consumer_count; i++) {
        const struct stream_consumer *const consumer = group->consumers[i];
        reply_map(reply, 4);
        reply_bulk_text(reply, "name");
        reply_bulk(reply, consumer->name);
        reply_name_integer(reply, "pending", (int64_t)consumer->pending.count);
        reply_name_integer(reply, "idle", since(call, consumer->seen_ms));
        reply_name_integer(reply, "inactive",
            consumer->active_ms == STREAM_NEVER ? -1 : since(call, consumer->active_ms));
    }
}

void cmd_xinfo_help(struct command_call *call)
{
    static const char *const lines[] = {
        "CONSUMERS <key> <groupname>",
        "    Show consumers of <groupname>.",
        "GROUPS <key>",
        "    Show the stream consumer groups.",
        "STREAM <key> [FULL [COUNT <count>]",
        "    Show information about the stream.",
    };
    command_reply_help(call, lines, COUNT_OF(lines));
}
