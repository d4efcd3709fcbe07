/*
 * stream_read.c: XREAD and XREADGROUP.
 *
 *   parse ──► resolve the ID of each stream ("$", ">", "+" or a number) ──► serve those that have something ──► else block, or null
 *
 * What is served changes nothing for XREAD. XREADGROUP makes its consumer, moves its group on and notes what is pending; a number instead
 * of ">" gives what is pending for the consumer, and counts another delivery. A blocked XREAD is run again with its "$" replaced by the
 * ID it was (block_argv).
 */
#include "base/check.h"
#include "base/mem.h"
#include "stream_commands.h"

struct read_options {
    bool is_group;
    bool no_ack;
    bool may_block;
    int64_t timeout_ms;
    uint64_t count; /* 0: all */
    struct slice group, consumer;
    int first_key; /* its argument number; IDs come after the keys */
    int stream_count;
};

/* Where a stream is read from. */
struct read_place {
    struct stream_id after;
    bool is_new; /* ">": what the group has not delivered */
};

/* --- arguments --------------------------------------------------------------------------------------------------------------- */

/* Number of the first key; 0: the words before it are no options, or STREAMS is missing. */
static int find_streams(int argc, const struct slice *argv)
{
    for (int i = 1; i < argc; i++) {
        const int more = argc - 1 - i;
        if (more >= 1 && slice_equal_nocase(argv[i], "streams"))
            return i + 1;
        if (more >= 1 &&
            (slice_equal_nocase(argv[i], "block") || slice_equal_nocase(argv[i], "count")))
            i++;
        else if (more >= 2 && slice_equal_nocase(argv[i], "group"))
            i += 2;
        else if (!slice_equal_nocase(argv[i], "noack"))
            return 0;
    }
    return 0;
}

int stream_find_read_keys(int argc, const struct slice *argv, int *indexes, int max)
{
    const int first = find_streams(argc, argv);
    const int count = (argc - first) / 2;
    if (first == 0 || (argc - first) % 2 != 0)
        return -1;
    for (int i = 0; i < count && i < max; i++)
        indexes[i] = first + i;
    return count;
}

static bool parse_timeout(struct command_call *call, int argument, struct read_options *options)
{
    if (!command_int64(
            call, argument, &options->timeout_ms, "ERR timeout is not an integer or out of range"))
        return false;
    if (options->timeout_ms < 0) {
        reply_error(call->reply, "ERR timeout is negative");
        return false;
    }
    int64_t deadline_ms;
    if (add_overflows(options->timeout_ms, (int64_t)call->view->now_ms, &deadline_ms)) {
        reply_error(call->reply, "ERR timeout is out of range");
        return false;
    }
    options->may_block = true;
    return true;
}

static bool refuse_in_xread(
    struct command_call *call, const struct read_options *options, const char *option)
{
    if (options->is_group)
        return false;
    reply_error_format(call->reply,
        "ERR The %s option is only supported by XREADGROUP. You called XREAD instead.", option);
    return true;
}

/* One option at *at, which ends on its last word. False: an error was replied. */
static bool parse_option(struct command_call *call, int *at, struct read_options *options)
{
    const struct slice word = call->argv[*at];
    const int more = call->argc - 1 - *at;
    int64_t count = 0;
    if (more >= 1 && slice_equal_nocase(word, "block"))
        return parse_timeout(call, ++*at, options);
    if (more >= 1 && slice_equal_nocase(word, "count")) {
        if (!command_int64(call, ++*at, &count, NULL))
            return false;
        options->count = count < 0 ? 0 : (uint64_t)count;
        return true;
    }
    if (more >= 2 && slice_equal_nocase(word, "group")) {
        if (refuse_in_xread(call, options, "GROUP"))
            return false;
        options->group = call->argv[*at + 1];
        options->consumer = call->argv[*at + 2];
        *at += 2;
        return true;
    }
    if (slice_equal_nocase(word, "noack")) {
        options->no_ack = true;
        return !refuse_in_xread(call, options, "NOACK");
    }
    reply_error(call->reply, REPLY_SYNTAX);
    return false;
}

static bool parse_read(struct command_call *call, bool is_group, struct read_options *options)
{
    *options = (struct read_options){.is_group = is_group};
    for (int i = 1; i < call->argc; i++) {
        if (i + 1 < call->argc && slice_equal_nocase(call->argv[i], "streams")) {
            options->first_key = i + 1;
            break;
        }
        if (!parse_option(call, &i, options))
            return false;
    }
    const int left = call->argc - options->first_key;
    if (options->first_key != 0 && left % 2 != 0) {
        reply_error_format(call->reply,
            "ERR Unbalanced '%s' list of streams: for each stream key an ID or '%s' must be "
            "specified.",
            is_group ? "xreadgroup" : "xread", is_group ? ">" : "$");
        return false;
    }
    if (options->first_key == 0 || (size_t)left / 2 != call->key_count) {
        reply_error(call->reply, REPLY_SYNTAX);
        return false;
    }
    if (is_group && options->group.data == NULL) {
        reply_error(call->reply, "ERR Missing GROUP option for XREADGROUP");
        return false;
    }
    options->stream_count = left / 2;
    return true;
}

/* --- where to read from --------------------------------------------------------------------------------------------------------- */

static struct slice id_text_of(
    const struct command_call *call, const struct read_options *options, int index)
{
    return call->argv[options->first_key + options->stream_count + index];
}

static bool resolve_special(struct command_call *call, const struct read_options *options,
    struct slice text, const struct stream *stream, struct read_place *place)
{
    if (options->is_group) {
        reply_error_format(call->reply,
            "ERR The %c ID is meaningless in the context of XREADGROUP: you want to read the "
            "history of this consumer by specifying a proper ID, or use the > ID to get new "
            "messages. The %c ID would just return an empty result set.",
            text.data[0], text.data[0]);
        return false;
    }
    if (stream == NULL)
        return true;
    if (text.data[0] == '$') {
        place->after = stream->last_id;
    } else if (stream_top_id(stream, &place->after)) {
        /* "+": the last entry itself. An entry is never 0-0. */
        const bool is_there = stream_id_previous(&place->after);
        CHECK(is_there);
    }
    return true;
}

/* False: an error was replied. */
static bool resolve(struct command_call *call, const struct read_options *options, int index,
    struct read_place *place)
{
    struct hot_record *record = keyspace_find(call->view, &call->keys[index], KEYSPACE_READ);
    const struct slice text = id_text_of(call, options, index);
    const struct stream *stream = NULL;
    *place = (struct read_place){0};
    if (record != NULL) {
        const struct value value = hot_record_value(record);
        if (value.type == VALUE_STREAM) {
            stream = stream_of(&value);
        } else if (!call->resumed || options->is_group) {
            reply_error(call->reply, REPLY_WRONG_TYPE);
            return false;
        }
    }
    if (options->is_group &&
        (stream == NULL || stream_group_find(stream, options->group) == NULL)) {
        stream_reply_no_group(call, call->argv[options->first_key + index], options->group,
            " in XREADGROUP with GROUP option");
        return false;
    }
    if (slice_equal(text, SLICE_LITERAL("$")) || slice_equal(text, SLICE_LITERAL("+")))
        return resolve_special(call, options, text, stream, place);
    if (slice_equal(text, SLICE_LITERAL(">"))) {
        place->is_new = true;
        if (options->is_group)
            return true;
        reply_error(call->reply, "ERR The > ID can be specified only when calling XREADGROUP "
                                 "using the GROUP <group> <consumer> option.");
        return false;
    }
    if (stream_id_parse(text, 0, true, NULL, &place->after)) {
        /* The greatest ID is how Redis says ">" to itself. */
        place->is_new = options->is_group && stream_id_compare(place->after, STREAM_ID_MAX) == 0;
        return true;
    }
    stream_reply_invalid_id(call);
    return false;
}

/* --- serving ----------------------------------------------------------------------------------------------------------------------- */

/* The reply: streams that had something, one by one. */
struct read_reply {
    struct resp_output *output;
    struct reply_deferred deferred;
    size_t count;
};

static void begin_stream(struct read_reply *reply, struct slice key)
{
    if (reply->count++ == 0)
        reply->deferred = reply_deferred_begin(reply->output);
    if (reply->output->protocol < 3)
        reply_array(reply->output, 2);
    reply_bulk(reply->output, key);
}

static bool has_after(const struct stream *stream, struct stream_id after)
{
    struct stream_id top;
    return stream_top_id(stream, &top) && stream_id_compare(top, after) > 0;
}

static void serve_plain(const struct read_options *options, const struct stream *stream,
    struct slice key, struct stream_id after, struct read_reply *reply)
{
    if (!has_after(stream, after))
        return;
    const bool is_there = stream_id_next(&after);
    CHECK(is_there);
    begin_stream(reply, key);
    stream_reply_range(reply->output, stream, after, STREAM_ID_MAX, options->count, false);
}

/* What is pending for the consumer, from an ID on: delivered once more. */
static void serve_history(const struct read_options *options, struct stream_edit *edit,
    struct stream_effects *effects, struct stream_id first, struct read_reply *reply)
{
    struct stream_group *group = NULL;
    struct stream_consumer *consumer = stream_consumer_edit(edit, effects, &group);
    struct stream_pending_walk walk;
    struct stream_pending pending;
    uint64_t replied = 0;
    const struct reply_deferred deferred = reply_deferred_begin(reply->output);
    stream_pending_begin(&walk, group, consumer, first);
    while (
        (options->count == 0 || replied < options->count) && stream_pending_next(&walk, &pending)) {
        if (stream_reply_entry_of(reply->output, edit->stream, pending.id)) {
            pending.delivery_ms = (int64_t)edit->call->view->now_ms;
            if (pending.delivery_count < INT64_MAX)
                pending.delivery_count++;
            stream_pending_set(edit->stream, group, &pending);
            stream_effects_claimed(effects, &pending, group->last_id);
            /* The walk ended with the change: on from the next ID. */
            struct stream_id next = pending.id;
            if (stream_id_next(&next))
                stream_pending_begin(&walk, group, consumer, next);
        } else {
            reply_array(reply->output, 2);
            stream_reply_id(reply->output, pending.id);
            reply_null_array(reply->output);
        }
        replied++;
    }
    reply_deferred_end(reply->output, deferred, '*', (size_t)replied);
}

/* What the group has not delivered. */
static void serve_new(const struct read_options *options, struct stream_edit *edit,
    struct stream_effects *effects, struct read_reply *reply)
{
    struct stream_group *group = NULL;
    struct stream_consumer *consumer = stream_consumer_edit(edit, effects, &group);
    const int64_t now_ms = (int64_t)edit->call->view->now_ms;
    struct stream_id first = group->last_id;
    const bool is_there = stream_id_next(&first);
    CHECK(is_there);
    struct stream_walk walk;
    struct stream_entry entry;
    uint64_t replied = 0;
    const struct reply_deferred deferred = reply_deferred_begin(reply->output);
    stream_walk_begin(&walk, edit->stream, first, STREAM_ID_MAX, false);
    while ((options->count == 0 || replied < options->count) && stream_walk_next(&walk, &entry)) {
        stream_group_advance(edit->stream, group, entry.id);
        if (!options->no_ack) {
            const struct stream_pending pending = {
                .id = entry.id, .consumer = consumer, .delivery_ms = now_ms, .delivery_count = 1};
            stream_pending_set(edit->stream, group, &pending);
            stream_effects_claimed(effects, &pending, group->last_id);
            consumer->active_ms = now_ms;
        }
        stream_reply_entry(reply->output, &entry);
        replied++;
    }
    reply_deferred_end(reply->output, deferred, '*', (size_t)replied);
    stream_effects_moved(effects, group);
}

static void serve_group(struct command_call *call, const struct read_options *options, int index,
    struct hot_record *record, const struct read_place *place, struct read_reply *reply)
{
    struct stream_effects effects;
    struct stream_group *group = NULL;
    struct stream_edit edit = stream_edit_of(call, (size_t)index, record);
    const struct slice key = call->argv[options->first_key + index];
    stream_effects_begin(&effects, call, &call->keys[index], options->group, options->consumer);
    (void)stream_consumer_demand(&edit, &effects, &group);
    if (!place->is_new) {
        struct stream_id first = place->after;
        const bool has_next = stream_id_next(&first);
        CHECK(has_next);
        begin_stream(reply, key);
        serve_history(options, &edit, &effects, first, reply);
    } else if (has_after(edit.stream, group->last_id)) {
        begin_stream(reply, key);
        serve_new(options, &edit, &effects, reply);
    }
    stream_edit_end(&edit);
    stream_effects_end(&effects);
}

static void serve(struct command_call *call, const struct read_options *options,
    const struct read_place *places, struct read_reply *reply)
{
    for (int i = 0; i < options->stream_count; i++) {
        struct hot_record *record = keyspace_find(call->view, &call->keys[i], KEYSPACE_PEEK);
        if (record == NULL)
            continue;
        const struct value value = hot_record_value(record);
        if (value.type != VALUE_STREAM)
            continue;
        if (options->is_group)
            serve_group(call, options, i, record, &places[i], reply);
        else
            serve_plain(options, stream_of(&value), call->argv[options->first_key + i],
                places[i].after, reply);
    }
    if (reply->count > 0)
        reply_deferred_end(
            reply->output, reply->deferred, reply->output->protocol < 3 ? '*' : '%', reply->count);
}

/* --- blocking ------------------------------------------------------------------------------------------------------------------------ */

/* The arguments with IDs in place of "$" and "+"; NULL if there are none of these. */
static struct slice *make_block_argv(const struct command_call *call,
    const struct read_options *options, const struct read_place *places)
{
    size_t size = (size_t)call->argc * sizeof(struct slice);
    bool has_special = false;
    for (int i = 0; i < call->argc; i++)
        size += call->argv[i].size < STREAM_ID_TEXT_MAX ? STREAM_ID_TEXT_MAX : call->argv[i].size;
    for (int i = 0; i < options->stream_count; i++) {
        const struct slice text = id_text_of(call, options, i);
        has_special |=
            slice_equal(text, SLICE_LITERAL("$")) || slice_equal(text, SLICE_LITERAL("+"));
    }
    if (options->is_group || !has_special)
        return NULL;
    struct slice *argv = mem_alloc(size);
    char *at = (char *)&argv[call->argc];
    for (int i = 0; i < call->argc; i++) {
        const int place = i - options->first_key - options->stream_count;
        size_t length = call->argv[i].size;
        if (place >= 0)
            length = stream_id_to_text(places[place].after, at);
        else if (length > 0)
            memcpy(at, call->argv[i].data, length);
        argv[i] = slice_of(at, length);
        at += length;
    }
    return argv;
}

static void block(
    struct command_call *call, const struct read_options *options, const struct read_place *places)
{
    if (!options->may_block || !call->may_block) {
        reply_null_array(call->reply);
        return;
    }
    call->block = true;
    call->block_null_is_array = true;
    call->block_timeout_ms = options->timeout_ms;
    call->block_wakes_on_change = options->is_group;
    call->block_argv = make_block_argv(call, options, places);
}

static void read_streams(struct command_call *call, bool is_group)
{
    struct read_options options;
    if (!parse_read(call, is_group, &options))
        return;
    struct read_place small[8];
    struct read_place *places = small;
    if ((size_t)options.stream_count > COUNT_OF(small))
        places = mem_alloc((size_t)options.stream_count * sizeof(*places));
    bool is_good = true;
    for (int i = 0; i < options.stream_count && is_good; i++)
        is_good = resolve(call, &options, i, &places[i]);
    if (is_good) {
        struct read_reply reply = {.output = call->reply};
        keyspace_group_begin(call->view);
        serve(call, &options, places, &reply);
        keyspace_group_end(call->view);
        if (reply.count == 0)
            block(call, &options, places);
    }
    if (places != small)
        mem_free(places);
}

void cmd_xread(struct command_call *call)
{
    read_streams(call, false);
}

void cmd_xreadgroup(struct command_call *call)
{
    read_streams(call, true);
}
