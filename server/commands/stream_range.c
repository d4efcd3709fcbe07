/*
 * stream_range.c: XRANGE, XREVRANGE, and entries as replies.
 */
#include "stream_commands.h"

void stream_reply_id(struct resp_output *reply, struct stream_id id)
{
    char text[STREAM_ID_TEXT_MAX];
    reply_bulk(reply, slice_of(text, stream_id_to_text(id, text)));
}

void stream_reply_entry(struct resp_output *reply, struct stream_entry *entry)
{
    struct slice name;
    struct slice value;
    reply_array(reply, 2);
    stream_reply_id(reply, entry->id);
    reply_array(reply, (size_t)entry->pair_count * 2);
    while (stream_entry_next(entry, &name, &value)) {
        reply_bulk(reply, name);
        reply_bulk(reply, value);
    }
}

bool stream_reply_entry_of(
    struct resp_output *reply, const struct stream *stream, struct stream_id id)
{
    struct stream_walk walk;
    struct stream_entry entry;
    stream_walk_begin(&walk, stream, id, id, false);
    if (!stream_walk_next(&walk, &entry))
        return false;
    stream_reply_entry(reply, &entry);
    return true;
}

void stream_reply_range(struct resp_output *reply, const struct stream *stream,
    struct stream_id first, struct stream_id last, uint64_t count, bool is_reverse)
{
    struct stream_walk walk;
    struct stream_entry entry;
    uint64_t replied = 0;
    const struct reply_deferred deferred = reply_deferred_begin(reply);
    stream_walk_begin(&walk, stream, first, last, is_reverse);
    while ((count == 0 || replied < count) && stream_walk_next(&walk, &entry)) {
        stream_reply_entry(reply, &entry);
        replied++;
    }
    reply_deferred_end(reply, deferred, '*', (size_t)replied);
}

void stream_reply_subcommand_syntax(struct command_call *call)
{
    char upper[32] = {0};
    const char *const container = call->command->parent->name;
    for (size_t i = 0; container[i] != '\0' && i + 1 < sizeof(upper); i++)
        upper[i] = (char)(container[i] >= 'a' && container[i] <= 'z' ? container[i] - 'a' + 'A'
                                                                     : container[i]);
    reply_error_format(call->reply,
        "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try %s HELP.",
        commands_quote_size(call->argv[1]), call->argv[1].data, upper);
}

/* COUNT n, or nothing. A negative number is 0. */
static bool parse_count(struct command_call *call, bool *is_given, int64_t *count)
{
    *is_given = false;
    for (int i = 4; i < call->argc; i += 2) {
        if (!slice_equal_nocase(call->argv[i], "count") || i + 1 >= call->argc) {
            reply_error(call->reply, REPLY_SYNTAX);
            return false;
        }
        if (!command_int64(call, i + 1, count, NULL))
            return false;
        if (*count < 0)
            *count = 0;
        *is_given = true;
    }
    return true;
}

static void range(struct command_call *call, bool is_reverse)
{
    struct stream_id first;
    struct stream_id last;
    struct hot_record *record = NULL;
    bool has_count = false;
    int64_t count = 0;
    if (!stream_interval_start(call, is_reverse ? 3 : 2, &first) ||
        !stream_interval_end(call, is_reverse ? 2 : 3, &last) ||
        !parse_count(call, &has_count, &count) ||
        !command_find_typed(call, 0, KEYSPACE_READ, VALUE_STREAM, &record))
        return;
    if (record == NULL) {
        reply_array(call->reply, 0);
        return;
    }
    if (has_count && count == 0) {
        reply_null_array(call->reply);
        return;
    }
    const struct value value = hot_record_value(record);
    stream_reply_range(call->reply, stream_of(&value), first, last, (uint64_t)count, is_reverse);
}

void cmd_xrange(struct command_call *call)
{
    range(call, false);
}

void cmd_xrevrange(struct command_call *call)
{
    range(call, true);
}
