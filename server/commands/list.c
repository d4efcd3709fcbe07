/*
 * list.c: commands that change one list: pushes, pops, LSET, LINSERT, LREM, LTRIM.
 *
 * Each is its own effect and is logged as it came. A list that loses its last element is deleted with its key; one that loses all at once
 * is not emptied first, so that the reclaimer has the work.
 */
#include "list_commands.h"

struct list_edit list_edit_begin(
    struct command_call *call, const struct key *key, struct hot_record *record)
{
    const struct value value = hot_record_value(record);
    const struct list_edit edit = {.list = list_of(&value),
        .call = call,
        .key = key,
        .record = record,
        .external_bytes = value_external_bytes(&value)};
    keyspace_edit_begin(call->view, key, record);
    return edit;
}

void list_edit_end(struct list_edit *edit)
{
    keyspace_edit_end(edit->call->view, edit->key, edit->record, edit->external_bytes);
}

bool list_check_element(struct command_call *call, int argument)
{
    if (likely(call->argv[argument].size <= ELEMENT_SIZE_MAX))
        return true;
    reply_error(call->reply, "ERR Element too large");
    return false;
}

/* The record goes, and with it whatever is left in the list. */
static void delete_list(struct command_call *call, const struct key *key, struct hot_record *record)
{
    keyspace_delete(call->view, key, record);
    keyspace_notify(call->view, EVENT_GENERIC, "del", key);
}

/* --- pushes --------------------------------------------------------------------------------------------------- */

static void push_arguments(struct command_call *call, struct list *list, enum list_end end)
{
    for (int i = 2; i < call->argc; i++) {
        const struct element element = element_of(call->argv[i]);
        list_push(list, end, &element);
    }
}

static bool check_arguments(struct command_call *call)
{
    for (int i = 2; i < call->argc; i++) {
        if (unlikely(!list_check_element(call, i)))
            return false;
    }
    return true;
}

static void push(struct command_call *call, enum list_end end, bool creates)
{
    struct hot_record *record = NULL;
    const struct key *key = &call->keys[0];
    if (!check_arguments(call) || !command_find_typed(call, 0, KEYSPACE_WRITE, VALUE_LIST, &record))
        return;
    if (record == NULL && !creates) {
        reply_integer(call->reply, 0);
        return;
    }
    struct list *list = NULL;
    if (record != NULL) {
        struct list_edit edit = list_edit_begin(call, key, record);
        list = edit.list;
        push_arguments(call, list, end);
        list_edit_end(&edit);
    } else {
        list = list_create();
        push_arguments(call, list, end);
        (void)keyspace_set(call->view, key, NULL, list_value(list), 0);
    }
    reply_integer(call->reply, (int64_t)list_count(list));
    commands_log_as_received(call);
    keyspace_notify(call->view, EVENT_LIST, list_push_event(end), key);
    keyspace_signal_ready(call->view, key);
}

void cmd_lpush(struct command_call *call)
{
    push(call, LIST_HEAD, true);
}

void cmd_rpush(struct command_call *call)
{
    push(call, LIST_TAIL, true);
}

void cmd_lpushx(struct command_call *call)
{
    push(call, LIST_HEAD, false);
}

void cmd_rpushx(struct command_call *call)
{
    push(call, LIST_TAIL, false);
}

/* --- pops -------------------------------------------------------------------------------------------------------- */

void list_take(struct command_call *call, const struct key *key, struct hot_record *record,
    enum list_end end, uint64_t count)
{
    const char *const event = end == LIST_HEAD ? "lpop" : "rpop";
    if (count >= list_count(list_of_record(record))) {
        keyspace_notify(call->view, EVENT_LIST, event, key);
        delete_list(call, key, record);
        return;
    }
    struct list_edit edit = list_edit_begin(call, key, record);
    list_drop(edit.list, end, count);
    list_edit_end(&edit);
    keyspace_notify(call->view, EVENT_LIST, event, key);
}

/* A count; its absence is 1. */
static bool parse_pop_count(struct command_call *call, int64_t *count)
{
    *count = 1;
    if (call->argc < 3)
        return true;
    if (slice_to_int64(call->argv[2], count) && *count >= 0)
        return true;
    reply_error(call->reply, "ERR value is out of range, must be positive");
    return false;
}

static void pop(struct command_call *call, enum list_end end)
{
    struct hot_record *record = NULL;
    int64_t count = 0;
    if (unlikely(call->argc > 3)) {
        command_reply_arity(call->reply, call->command);
        return;
    }
    const bool has_count = call->argc == 3;
    if (!parse_pop_count(call, &count) ||
        !command_find_typed(call, 0, KEYSPACE_WRITE, VALUE_LIST, &record))
        return;
    if (record == NULL && has_count) {
        reply_null_array(call->reply);
        return;
    }
    if (record == NULL) {
        reply_null(call->reply);
        return;
    }
    const struct list *list = list_of_record(record);
    if (has_count) {
        list_reply_end(call->reply, list, end, (uint64_t)count);
    } else {
        const struct element element = list_at(list, end == LIST_HEAD ? 0 : list_count(list) - 1);
        list_reply_element(call->reply, &element);
    }
    if (count == 0)
        return;
    list_take(call, &call->keys[0], record, end, (uint64_t)count);
    commands_log_as_received(call);
}

void cmd_lpop(struct command_call *call)
{
    pop(call, LIST_HEAD);
}

void cmd_rpop(struct command_call *call)
{
    pop(call, LIST_TAIL);
}

/* --- in the middle ------------------------------------------------------------------------------------------------- */

void cmd_lset(struct command_call *call)
{
    struct hot_record *record = NULL;
    int64_t index = 0;
    if (!command_find_typed(call, 0, KEYSPACE_WRITE, VALUE_LIST, &record))
        return;
    if (record == NULL) {
        reply_error(call->reply, REPLY_NO_KEY);
        return;
    }
    if (!list_check_element(call, 3) || !command_int64(call, 2, &index, NULL))
        return;
    const int64_t count = (int64_t)list_count(list_of_record(record));
    if (index < 0)
        index += count;
    if (index < 0 || index >= count) {
        reply_error(call->reply, "ERR index out of range");
        return;
    }
    const struct element element = element_of(call->argv[3]);
    struct list_edit edit = list_edit_begin(call, &call->keys[0], record);
    list_replace(edit.list, (uint64_t)index, &element);
    list_edit_end(&edit);
    reply_ok(call->reply);
    commands_log_as_received(call);
    keyspace_notify(call->view, EVENT_LIST, "lset", &call->keys[0]);
}

void cmd_linsert(struct command_call *call)
{
    struct hot_record *record = NULL;
    uint64_t rank = 0;
    const bool is_after = slice_equal_nocase(call->argv[2], "after");
    if (!is_after && !slice_equal_nocase(call->argv[2], "before")) {
        reply_error(call->reply, REPLY_SYNTAX);
        return;
    }
    if (!list_check_element(call, 4) ||
        !command_find_typed(call, 0, KEYSPACE_WRITE, VALUE_LIST, &record))
        return;
    if (record == NULL) {
        reply_integer(call->reply, 0);
        return;
    }
    const struct element pivot = element_of(call->argv[3]);
    if (!list_find(list_of_record(record), &pivot, &rank)) {
        reply_integer(call->reply, -1);
        return;
    }
    const struct element element = element_of(call->argv[4]);
    struct list_edit edit = list_edit_begin(call, &call->keys[0], record);
    list_insert(edit.list, rank + (is_after ? 1 : 0), &element);
    list_edit_end(&edit);
    reply_integer(call->reply, (int64_t)list_count(edit.list));
    commands_log_as_received(call);
    keyspace_notify(call->view, EVENT_LIST, "linsert", &call->keys[0]);
    keyspace_signal_ready(call->view, &call->keys[0]);
}

void cmd_lrem(struct command_call *call)
{
    struct hot_record *record = NULL;
    int64_t count = 0;
    uint64_t rank = 0;
    if (!command_int64(call, 2, &count, NULL) ||
        !command_find_typed(call, 0, KEYSPACE_WRITE, VALUE_LIST, &record))
        return;
    const struct element element = element_of(call->argv[3]);
    /* A list that stays as it is is not dirty. */
    if (record == NULL || !list_find(list_of_record(record), &element, &rank)) {
        reply_integer(call->reply, 0);
        return;
    }
    const struct key *key = &call->keys[0];
    const uint64_t limit = count < 0 ? 0 - (uint64_t)count : (uint64_t)count;
    struct list_edit edit = list_edit_begin(call, key, record);
    const uint64_t removed =
        list_remove(edit.list, &element, count < 0 ? LIST_TAIL : LIST_HEAD, limit);
    list_edit_end(&edit);
    reply_integer(call->reply, (int64_t)removed);
    commands_log_as_received(call);
    keyspace_notify(call->view, EVENT_LIST, "lrem", key);
    if (list_count(edit.list) == 0)
        delete_list(call, key, record);
}

/* How many to take from each end. */
struct trim {
    uint64_t head, tail;
};

static struct trim trim_of(int64_t start, int64_t end, int64_t count)
{
    if (start < 0)
        start += count;
    if (end < 0)
        end += count;
    if (start < 0)
        start = 0;
    if (start > end || start >= count)
        return (struct trim){.head = (uint64_t)count};
    if (end >= count)
        end = count - 1;
    return (struct trim){.head = (uint64_t)start, .tail = (uint64_t)(count - end - 1)};
}

void cmd_ltrim(struct command_call *call)
{
    struct hot_record *record = NULL;
    int64_t start = 0;
    int64_t end = 0;
    if (!command_int64(call, 2, &start, NULL) || !command_int64(call, 3, &end, NULL) ||
        !command_find_typed(call, 0, KEYSPACE_WRITE, VALUE_LIST, &record))
        return;
    reply_ok(call->reply);
    if (record == NULL)
        return;
    const struct key *key = &call->keys[0];
    const uint64_t count = list_count(list_of_record(record));
    const struct trim trim = trim_of(start, end, (int64_t)count);
    keyspace_notify(call->view, EVENT_LIST, "ltrim", key);
    if (trim.head + trim.tail == 0)
        return;
    if (trim.head == count) {
        delete_list(call, key, record);
    } else {
        struct list_edit edit = list_edit_begin(call, key, record);
        list_drop(edit.list, LIST_TAIL, trim.tail);
        list_drop(edit.list, LIST_HEAD, trim.head);
        list_edit_end(&edit);
    }
    commands_log_as_received(call);
}
