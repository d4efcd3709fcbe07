/*
 * stream.c: XADD, XLEN, XDEL, XTRIM, XSETID; and how the stream of a record is changed.
 *
 * Logged: what depends on the clock or on the nodes of a stream is made plain: XADD with the ID it gave, trimming as the exact length that stayed. A stream
 * stays when it has become empty.
 */
#include "base/mem.h"
#include "stream_commands.h"

/* --- changing --------------------------------------------------------------------------------------------------------------- */

struct stream_edit stream_edit_of(
    struct command_call *call, size_t index, struct hot_record *record)
{
    const struct value value = hot_record_value(record);
    return (struct stream_edit){
        .call = call, .key = &call->keys[index], .record = record, .stream = stream_of(&value)};
}

void stream_edit_begin(struct stream_edit *edit)
{
    if (edit->is_begun)
        return;
    const struct value value = hot_record_value(edit->record);
    edit->is_begun = true;
    edit->external_bytes = value_external_bytes(&value);
    keyspace_edit_begin(edit->call->view, edit->key, edit->record);
}

void stream_edit_end(struct stream_edit *edit)
{
    if (edit->is_begun)
        keyspace_edit_end(edit->call->view, edit->key, edit->record, edit->external_bytes);
    edit->is_begun = false;
}

/* --- XADD ------------------------------------------------------------------------------------------------------------------- */

/* The ID to add with; false: it would not be greater than the last one. */
static bool choose_id(const struct command_call *call, const struct stream_add_options *options,
    struct stream_id last, struct stream_id *id)
{
    *id = options->id;
    if (!options->has_id) {
        *id = (struct stream_id){call->view->now_ms, 0};
        if (id->ms > last.ms)
            return true;
        *id = last;
        return stream_id_next(id);
    }
    if (!options->has_sequence && id->ms == last.ms) {
        if (last.sequence == UINT64_MAX)
            return false;
        id->sequence = last.sequence + 1;
    }
    return stream_id_compare(*id, last) > 0;
}

/* Something in the request is not for replay: a generated ID, or trimming that depends on nodes. */
static bool is_own_effect(const struct stream_add_options *options)
{
    return options->has_id && options->has_sequence && !options->trim.is_approximate;
}

static void log_add(struct command_call *call, const struct stream_add_options *options,
    const struct stream *stream, struct stream_id id, uint64_t trimmed)
{
    if (is_own_effect(options)) {
        commands_log_as_received(call);
        return;
    }
    char id_text[STREAM_ID_TEXT_MAX];
    char length_text[24];
    struct slice small[32];
    struct slice *args = small;
    if ((size_t)call->argc + 4 > COUNT_OF(small))
        args = mem_alloc(((size_t)call->argc + 4) * sizeof(*args));
    size_t count = 0;
    args[count++] = SLICE_LITERAL("XADD");
    args[count++] = call->argv[1];
    if (trimmed > 0) {
        args[count++] = SLICE_LITERAL("MAXLEN");
        args[count++] = SLICE_LITERAL("=");
        args[count++] = slice_of(length_text, uint64_to_text(stream_length(stream), length_text));
    }
    args[count++] = slice_of(id_text, stream_id_to_text(id, id_text));
    for (int i = options->id_argument + 1; i < call->argc; i++)
        args[count++] = call->argv[i];
    keyspace_log_args(call->view, &call->keys[0], 1, args, count);
    if (args != small)
        mem_free(args);
}

static void reply_add_failed(struct command_call *call, enum status status)
{
    reply_error(call->reply,
        status == ST_INVALID ? "ERR The ID specified in XADD is equal or smaller than the target "
                               "stream top item"
                             : "ERR Elements are too large to be stored");
}

/* Adds to the stream, and trims it. */
static enum status add(const struct command_call *call, const struct stream_add_options *options,
    struct stream *stream, struct stream_id id, uint64_t *trimmed)
{
    const int first = options->id_argument + 1;
    const enum status status =
        stream_append(stream, id, &call->argv[first], (size_t)(call->argc - first) / 2);
    *trimmed = status == ST_OK ? stream_trim(stream, &options->trim) : 0;
    return status;
}

/* Adds to a stream that is there, or makes one. The stream, or NULL after an error was replied. */
static const struct stream *add_to_record(struct command_call *call,
    const struct stream_add_options *options, struct hot_record *record, struct stream_id id,
    uint64_t *trimmed)
{
    if (record != NULL) {
        struct stream_edit edit = stream_edit_of(call, 0, record);
        stream_edit_begin(&edit);
        const enum status status = add(call, options, edit.stream, id, trimmed);
        stream_edit_end(&edit);
        if (status == ST_OK)
            return edit.stream;
        reply_add_failed(call, status);
        return NULL;
    }
    struct stream *stream = stream_create();
    const enum status status = add(call, options, stream, id, trimmed);
    if (status != ST_OK) {
        stream_destroy(stream);
        reply_add_failed(call, status);
        return NULL;
    }
    (void)keyspace_set(call->view, &call->keys[0], NULL, stream_value(stream), 0);
    return stream;
}

static bool is_exhausted(const struct stream *stream)
{
    return stream_id_compare(stream->last_id, STREAM_ID_MAX) == 0;
}

void cmd_xadd(struct command_call *call)
{
    struct stream_add_options options;
    struct hot_record *record = NULL;
    if (!stream_add_options_parse(call, true, &options))
        return;
    const int field_count = call->argc - options.id_argument - 1;
    if (field_count < 2 || field_count % 2 == 1) {
        command_reply_arity(call->reply, call->command);
        return;
    }
    if (options.has_id && options.has_sequence && stream_id_is_zero(options.id)) {
        reply_error(call->reply, "ERR The ID specified in XADD must be greater than 0-0");
        return;
    }
    if (!command_find_typed(call, 0, KEYSPACE_WRITE, VALUE_STREAM, &record))
        return;
    if (record == NULL && options.no_make) {
        reply_null(call->reply);
        return;
    }
    struct stream_id last = STREAM_ID_MIN;
    if (record != NULL) {
        const struct value value = hot_record_value(record);
        last = stream_of(&value)->last_id;
        if (is_exhausted(stream_of(&value))) {
            reply_error(call->reply, "ERR The stream has exhausted the last possible ID, unable to "
                                     "add more items");
            return;
        }
    }
    struct stream_id id;
    if (!choose_id(call, &options, last, &id)) {
        reply_add_failed(call, ST_INVALID);
        return;
    }
    uint64_t trimmed = 0;
    const struct stream *stream = add_to_record(call, &options, record, id, &trimmed);
    if (stream == NULL)
        return;
    log_add(call, &options, stream, id, trimmed);
    stream_reply_id(call->reply, id);
    keyspace_notify(call->view, EVENT_STREAM, "xadd", &call->keys[0]);
    if (trimmed > 0)
        keyspace_notify(call->view, EVENT_STREAM, "xtrim", &call->keys[0]);
    keyspace_signal_ready(call->view, &call->keys[0]);
}

/* --- the others ----------------------------------------------------------------------------------------------------------------- */

void cmd_xlen(struct command_call *call)
{
    struct hot_record *record = NULL;
    if (!command_find_typed(call, 0, KEYSPACE_READ, VALUE_STREAM, &record))
        return;
    int64_t length = 0;
    if (record != NULL) {
        const struct value value = hot_record_value(record);
        length = (int64_t)stream_length(stream_of(&value));
    }
    reply_integer(call->reply, length);
}

void cmd_xdel(struct command_call *call)
{
    struct hot_record *record = NULL;
    if (!command_find_typed(call, 0, KEYSPACE_WRITE, VALUE_STREAM, &record))
        return;
    if (record == NULL) {
        reply_integer(call->reply, 0);
        return;
    }
    struct stream_id *ids = stream_id_arguments(call, 2);
    if (ids == NULL)
        return;
    int64_t deleted = 0;
    struct stream_edit edit = stream_edit_of(call, 0, record);
    for (int i = 0; i < call->argc - 2; i++) {
        if (!edit.is_begun && !stream_contains(edit.stream, ids[i]))
            continue;
        stream_edit_begin(&edit);
        deleted += stream_delete(edit.stream, ids[i]);
    }
    stream_edit_end(&edit);
    mem_free(ids);
    if (deleted > 0) {
        commands_log_as_received(call);
        keyspace_notify(call->view, EVENT_STREAM, "xdel", &call->keys[0]);
    }
    reply_integer(call->reply, deleted);
}

static void log_trim(struct command_call *call, const struct stream_add_options *options,
    const struct stream *stream)
{
    if (!options->trim.is_approximate) {
        commands_log_as_received(call);
        return;
    }
    char text[24];
    const struct slice args[] = {SLICE_LITERAL("XTRIM"), call->argv[1], SLICE_LITERAL("MAXLEN"),
        SLICE_LITERAL("="), slice_of(text, uint64_to_text(stream_length(stream), text))};
    keyspace_log_args(call->view, &call->keys[0], 1, args, COUNT_OF(args));
}

void cmd_xtrim(struct command_call *call)
{
    struct stream_add_options options;
    struct hot_record *record = NULL;
    if (!stream_add_options_parse(call, false, &options) ||
        !command_find_typed(call, 0, KEYSPACE_WRITE, VALUE_STREAM, &record))
        return;
    if (record == NULL) {
        reply_integer(call->reply, 0);
        return;
    }
    struct stream_edit edit = stream_edit_of(call, 0, record);
    const uint64_t trimmed = stream_trim_count(edit.stream, &options.trim);
    if (trimmed > 0) {
        stream_edit_begin(&edit);
        (void)stream_trim(edit.stream, &options.trim);
        stream_edit_end(&edit);
        log_trim(call, &options, edit.stream);
        keyspace_notify(call->view, EVENT_STREAM, "xtrim", &call->keys[0]);
    }
    reply_integer(call->reply, (int64_t)trimmed);
}

/* --- XSETID ------------------------------------------------------------------------------------------------------------------------ */

struct setid_options {
    struct stream_id id;
    struct stream_id max_deleted_id; /* 0-0: stays */
    int64_t entries_added;           /* -1: stays */
};

static bool parse_setid(struct command_call *call, struct setid_options *options)
{
    *options = (struct setid_options){.entries_added = -1};
    if (!stream_id_argument(call, 2, &options->id))
        return false;
    for (int i = 3; i < call->argc; i += 2) {
        const bool has_more = i + 1 < call->argc;
        if (has_more && slice_equal_nocase(call->argv[i], "entriesadded")) {
            if (!command_int64(call, i + 1, &options->entries_added, NULL))
                return false;
            if (options->entries_added < 0) {
                reply_error(call->reply, "ERR entries_added must be positive");
                return false;
            }
        } else if (has_more && slice_equal_nocase(call->argv[i], "maxdeletedid")) {
            if (!stream_id_argument(call, i + 1, &options->max_deleted_id))
                return false;
            if (stream_id_compare(options->id, options->max_deleted_id) < 0) {
                reply_error(call->reply, "ERR The ID specified in XSETID is smaller than the "
                                         "provided max_deleted_entry_id");
                return false;
            }
        } else {
            reply_error(call->reply, REPLY_SYNTAX);
            return false;
        }
    }
    return true;
}

/* NULL, or why the stream cannot be set so. */
static const char *refuse_setid(const struct stream *stream, const struct setid_options *options)
{
    struct stream_id top;
    if (stream_id_compare(options->id, stream->max_deleted_id) < 0)
        return "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id";
    if (!stream_top_id(stream, &top))
        return NULL;
    if (stream_id_compare(options->id, top) < 0)
        return "ERR The ID specified in XSETID is smaller than the target stream top item";
    if (options->entries_added != -1 && stream_length(stream) > (uint64_t)options->entries_added)
        return "ERR The entries_added specified in XSETID is smaller than the target stream length";
    return NULL;
}

void cmd_xsetid(struct command_call *call)
{
    struct setid_options options;
    struct hot_record *record = NULL;
    if (!parse_setid(call, &options) ||
        !command_find_typed(call, 0, KEYSPACE_WRITE, VALUE_STREAM, &record))
        return;
    if (record == NULL) {
        reply_error(call->reply, REPLY_NO_KEY);
        return;
    }
    struct stream_edit edit = stream_edit_of(call, 0, record);
    const char *const refusal = refuse_setid(edit.stream, &options);
    if (refusal != NULL) {
        reply_error(call->reply, refusal);
        return;
    }
    stream_edit_begin(&edit);
    edit.stream->last_id = options.id;
    if (options.entries_added != -1)
        edit.stream->entries_added = (uint64_t)options.entries_added;
    if (!stream_id_is_zero(options.max_deleted_id))
        edit.stream->max_deleted_id = options.max_deleted_id;
    stream_edit_end(&edit);
    commands_log_as_received(call);
    reply_ok(call->reply);
    keyspace_notify(call->view, EVENT_STREAM, "xsetid", &call->keys[0]);
}
