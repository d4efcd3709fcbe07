/*
 * list_move.c: commands that take from one of several lists, or move between two: LMPOP, LMOVE, RPOPLPUSH, and what BLPOP, BLMPOP, BLMOVE do
 * once there is something to do.
 *
 * A pop from one of several keys is logged as the LPOP or RPOP that it was.
 */
#include "list_commands.h"

bool list_parse_end(struct command_call *call, int argument, enum list_end *end)
{
    if (slice_equal_nocase(call->argv[argument], "left")) {
        *end = LIST_HEAD;
        return true;
    }
    if (slice_equal_nocase(call->argv[argument], "right")) {
        *end = LIST_TAIL;
        return true;
    }
    reply_error(call->reply, REPLY_SYNTAX);
    return false;
}

/* The record of a source. False: an error was replied. */
static bool find_source(struct command_call *call, size_t key_index, struct hot_record **record)
{
    if (likely(!call->resumed))
        return command_find_typed(call, key_index, KEYSPACE_WRITE, VALUE_LIST, record);
    *record = keyspace_find(call->view, &call->keys[key_index], KEYSPACE_WRITE);
    if (*record != NULL && hot_record_value(*record).type != VALUE_LIST)
        *record = NULL;
    return true;
}

/* --- from list to list -------------------------------------------------------------------------------------------- */

static uint64_t end_rank(const struct list *list, enum list_end end)
{
    return end == LIST_HEAD ? 0 : list_count(list) - 1;
}

/* keys[0] is keys[1]. */
static void rotate(
    struct command_call *call, struct hot_record *record, const struct list_move *move)
{
    const struct key *key = &call->keys[0];
    struct list_edit edit = list_edit_begin(call, key, record);
    struct element element = list_at(edit.list, end_rank(edit.list, move->from));
    list_reply_element(call->reply, &element);
    struct buf copy = {0};
    if (!element.is_integer) {
        buf_append_slice(&copy, element.bytes);
        element.bytes = buf_slice(&copy);
    }
    list_drop(edit.list, move->from, 1);
    list_push(edit.list, move->to, &element);
    buf_deinit(&copy);
    list_edit_end(&edit);
    keyspace_notify(call->view, EVENT_LIST, list_push_event(move->to), key);
    keyspace_notify(call->view, EVENT_LIST, move->from == LIST_HEAD ? "lpop" : "rpop", key);
}

/* target: the record of keys[1], or NULL. */
static void push_to(struct command_call *call, struct hot_record *target, enum list_end end,
    const struct element *element)
{
    const struct key *key = &call->keys[1];
    if (target != NULL) {
        struct list_edit edit = list_edit_begin(call, key, target);
        list_push(edit.list, end, element);
        list_edit_end(&edit);
    } else {
        struct list *list = list_create();
        list_push(list, end, element);
        (void)keyspace_set(call->view, key, NULL, list_value(list), 0);
    }
    keyspace_notify(call->view, EVENT_LIST, list_push_event(end), key);
}

static void transfer(struct command_call *call, struct hot_record *source,
    struct hot_record *target, const struct list_move *move)
{
    const struct list *list = list_of_record(source);
    /* Borrowed from the source, which stays as it is until the target has its copy. */
    const struct element element = list_at(list, end_rank(list, move->from));
    list_reply_element(call->reply, &element);
    push_to(call, target, move->to, &element);
    source = keyspace_find(call->view, &call->keys[0], KEYSPACE_PEEK);
    list_take(call, &call->keys[0], source, move->from, 1);
}

enum list_move_result list_move_run(struct command_call *call, const struct list_move *move)
{
    struct hot_record *source = NULL;
    struct hot_record *target = NULL;
    if (!find_source(call, 0, &source))
        return LIST_MOVE_REFUSED;
    if (source == NULL)
        return LIST_MOVE_NOTHING;
    if (!command_find_typed(call, 1, KEYSPACE_WRITE, VALUE_LIST, &target))
        return LIST_MOVE_REFUSED;
    if (key_equal(&call->keys[0], &call->keys[1]))
        rotate(call, source, move);
    else
        transfer(call, source, target, move);
    keyspace_signal_ready(call->view, &call->keys[1]);
    return LIST_MOVED;
}

static void move_now(struct command_call *call, const struct list_move *move)
{
    switch (list_move_run(call, move)) {
    case LIST_MOVED: commands_log_as_received(call); return;
    case LIST_MOVE_REFUSED: return;
    case LIST_MOVE_NOTHING: reply_null(call->reply); return;
    }
}

void cmd_rpoplpush(struct command_call *call)
{
    const struct list_move move = {.from = LIST_TAIL, .to = LIST_HEAD};
    move_now(call, &move);
}

void cmd_lmove(struct command_call *call)
{
    struct list_move move;
    if (list_parse_end(call, 3, &move.from) && list_parse_end(call, 4, &move.to))
        move_now(call, &move);
}

/* --- from one of several ------------------------------------------------------------------------------------------- */

static bool parse_positive(
    struct command_call *call, int argument, int64_t *value, const char *error_text)
{
    if (slice_to_int64(call->argv[argument], value) && *value > 0)
        return true;
    reply_error(call->reply, error_text);
    return false;
}

bool list_pop_parse(struct command_call *call, int numkeys_index, struct list_pop_request *request)
{
    int64_t key_count = 0;
    int64_t count = 1;
    if (!parse_positive(call, numkeys_index, &key_count, "ERR numkeys should be greater than 0"))
        return false;
    if (key_count >= call->argc - numkeys_index - 1) {
        reply_error(call->reply, REPLY_SYNTAX);
        return false;
    }
    const int end_index = numkeys_index + 1 + (int)key_count;
    if (!list_parse_end(call, end_index, &request->end))
        return false;
    const int left = call->argc - end_index - 1;
    /* COUNT once, and nothing else; a bad number is told before what follows it. */
    if (left >= 2 && slice_equal_nocase(call->argv[end_index + 1], "count") &&
        !parse_positive(call, end_index + 2, &count, "ERR count should be greater than 0"))
        return false;
    if (left != 0 && (left != 2 || !slice_equal_nocase(call->argv[end_index + 1], "count"))) {
        reply_error(call->reply, REPLY_SYNTAX);
        return false;
    }
    request->count = (uint64_t)count;
    request->is_single = false;
    return true;
}

static void log_pop(struct command_call *call, const struct key *key,
    const struct list_pop_request *request, uint64_t count)
{
    char text[24];
    const struct slice args[] = {
        request->end == LIST_HEAD ? SLICE_LITERAL("LPOP") : SLICE_LITERAL("RPOP"), key_slice(key),
        slice_of(text, uint64_to_text(count, text))};
    keyspace_log_args(call->view, key, 1, args, request->is_single ? 2 : 3);
}

static void pop_from(struct command_call *call, const struct key *key, struct hot_record *record,
    const struct list_pop_request *request)
{
    const struct list *list = list_of_record(record);
    const uint64_t count = request->count < list_count(list) ? request->count : list_count(list);
    reply_array(call->reply, 2);
    reply_bulk(call->reply, key_slice(key));
    if (request->is_single) {
        const struct element element = list_at(list, end_rank(list, request->end));
        list_reply_element(call->reply, &element);
    } else {
        list_reply_end(call->reply, list, request->end, count);
    }
    list_take(call, key, record, request->end, count);
    log_pop(call, key, request, count);
}

enum list_move_result list_pop_run(
    struct command_call *call, const struct list_pop_request *request)
{
    for (size_t i = 0; i < call->key_count; i++) {
        struct hot_record *record = NULL;
        if (!find_source(call, i, &record))
            return LIST_MOVE_REFUSED;
        if (record != NULL) {
            pop_from(call, &call->keys[i], record, request);
            return LIST_MOVED;
        }
    }
    return LIST_MOVE_NOTHING;
}

void cmd_lmpop(struct command_call *call)
{
    struct list_pop_request request;
    if (list_pop_parse(call, 1, &request) && list_pop_run(call, &request) == LIST_MOVE_NOTHING)
        reply_null_array(call->reply);
}
