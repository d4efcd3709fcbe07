/*
 * list_read.c: commands that read a list: LLEN, LINDEX, LRANGE, LPOS. Replies are written straight from the tree's leaves.
 */
#include "list_commands.h"

void list_reply_element(struct resp_output *reply, const struct element *element)
{
    if (element->is_integer)
        reply_bulk_integer(reply, element->integer);
    else
        reply_bulk(reply, element->bytes);
}

/* `count` elements from this rank on, which exist. */
static void reply_range(
    struct resp_output *reply, const struct list *list, uint64_t rank, uint64_t count)
{
    struct tree_cursor cursor;
    reply_array(reply, count);
    tree_cursor_at(&list->elements, rank, &cursor);
    for (uint64_t i = 0; i < count; i++) {
        const struct element element = tree_cursor_element(&cursor, 0);
        list_reply_element(reply, &element);
        (void)tree_cursor_next(&cursor);
    }
}

static void reply_range_backwards(
    struct resp_output *reply, const struct list *list, uint64_t count)
{
    struct tree_cursor cursor;
    reply_array(reply, count);
    tree_cursor_at(&list->elements, list_count(list), &cursor);
    while (count-- > 0 && tree_cursor_previous(&cursor)) {
        const struct element element = tree_cursor_element(&cursor, 0);
        list_reply_element(reply, &element);
    }
}

void list_reply_end(
    struct resp_output *reply, const struct list *list, enum list_end end, uint64_t count)
{
    if (count > list_count(list))
        count = list_count(list);
    if (end == LIST_HEAD)
        reply_range(reply, list, 0, count);
    else
        reply_range_backwards(reply, list, count);
}

void cmd_llen(struct command_call *call)
{
    struct hot_record *record = NULL;
    if (!command_find_typed(call, 0, KEYSPACE_READ, VALUE_LIST, &record))
        return;
    reply_integer(call->reply, record == NULL ? 0 : (int64_t)list_count(list_of_record(record)));
}

void cmd_lindex(struct command_call *call)
{
    struct hot_record *record = NULL;
    int64_t index = 0;
    if (!command_find_typed(call, 0, KEYSPACE_READ, VALUE_LIST, &record))
        return;
    if (record == NULL) {
        reply_null(call->reply);
        return;
    }
    if (!command_int64(call, 2, &index, NULL))
        return;
    const struct list *list = list_of_record(record);
    if (index < 0)
        index += (int64_t)list_count(list);
    if (index < 0 || (uint64_t)index >= list_count(list)) {
        reply_null(call->reply);
        return;
    }
    const struct element element = list_at(list, (uint64_t)index);
    list_reply_element(call->reply, &element);
}

void cmd_lrange(struct command_call *call)
{
    struct hot_record *record = NULL;
    int64_t start = 0;
    int64_t end = 0;
    if (!command_int64(call, 2, &start, NULL) || !command_int64(call, 3, &end, NULL) ||
        !command_find_typed(call, 0, KEYSPACE_READ, VALUE_LIST, &record))
        return;
    const struct list *list = record == NULL ? NULL : list_of_record(record);
    const int64_t count = list == NULL ? 0 : (int64_t)list_count(list);
    if (start < 0)
        start += count;
    if (end < 0)
        end += count;
    if (start < 0)
        start = 0;
    if (end >= count)
        end = count - 1;
    if (start > end || start >= count) {
        reply_array(call->reply, 0);
        return;
    }
    reply_range(call->reply, list, (uint64_t)start, (uint64_t)(end - start) + 1);
}

/* --- LPOS ------------------------------------------------------------------------------------------------------- */

struct lpos_options {
    bool from_tail;
    uint64_t rank;  /* of the first match that is wanted, from 1 */
    int64_t count;  /* -1: one, not as an array; 0: all */
    int64_t length; /* elements looked at; 0: all */
};

static bool parse_rank(struct command_call *call, int argument, struct lpos_options *options)
{
    int64_t rank = 0;
    if (!command_int64(call, argument, &rank, NULL))
        return false;
    if (rank == 0) {
        reply_error(call->reply,
            "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... "
            "or use negative to start from the end of the list");
        return false;
    }
    if (rank == INT64_MIN) {
        reply_error(call->reply,
            "ERR value is out of range, value must between -9223372036854775807 and "
            "9223372036854775807");
        return false;
    }
    options->from_tail = rank < 0;
    options->rank = rank < 0 ? 0 - (uint64_t)rank : (uint64_t)rank;
    return true;
}

static bool parse_not_negative(
    struct command_call *call, int argument, int64_t *value, const char *error_text)
{
    if (slice_to_int64(call->argv[argument], value) && *value >= 0)
        return true;
    reply_error(call->reply, error_text);
    return false;
}

static bool parse_lpos(struct command_call *call, struct lpos_options *options)
{
    *options = (struct lpos_options){.rank = 1, .count = -1};
    for (int i = 3; i < call->argc; i++) {
        const struct slice word = call->argv[i];
        bool good = false;
        if (i + 1 == call->argc) {
            reply_error(call->reply, REPLY_SYNTAX);
        } else if (slice_equal_nocase(word, "rank")) {
            good = parse_rank(call, ++i, options);
        } else if (slice_equal_nocase(word, "count")) {
            good = parse_not_negative(call, ++i, &options->count, "ERR COUNT can't be negative");
        } else if (slice_equal_nocase(word, "maxlen")) {
            good = parse_not_negative(call, ++i, &options->length, "ERR MAXLEN can't be negative");
        } else {
            reply_error(call->reply, REPLY_SYNTAX);
        }
        if (!good)
            return false;
    }
    return true;
}

/* Replies the ranks of up to `wanted` matches; returns how many there were. */
static uint64_t reply_matches(struct command_call *call, const struct list *list,
    const struct lpos_options *options, uint64_t wanted)
{
    const struct element probe = element_of(call->argv[2]);
    const uint64_t count = list_count(list);
    const uint64_t length = options->length == 0 || (uint64_t)options->length > count
                                ? count
                                : (uint64_t)options->length;
    struct tree_cursor cursor;
    uint64_t matches = 0;
    uint64_t replied = 0;
    tree_cursor_at(&list->elements, options->from_tail ? count - 1 : 0, &cursor);
    for (uint64_t i = 0; i < length && replied < wanted; i++) {
        const struct element element = tree_cursor_element(&cursor, 0);
        if (element_equal(&element, &probe) && ++matches >= options->rank) {
            reply_integer(call->reply, (int64_t)(options->from_tail ? count - 1 - i : i));
            replied++;
        }
        if (options->from_tail)
            (void)tree_cursor_previous(&cursor);
        else
            (void)tree_cursor_next(&cursor);
    }
    return replied;
}

void cmd_lpos(struct command_call *call)
{
    struct lpos_options options;
    struct hot_record *record = NULL;
    if (!parse_lpos(call, &options) ||
        !command_find_typed(call, 0, KEYSPACE_READ, VALUE_LIST, &record))
        return;
    const struct list *list = record == NULL ? NULL : list_of_record(record);
    if (options.count < 0) {
        if (list == NULL || reply_matches(call, list, &options, 1) == 0)
            reply_null(call->reply);
        return;
    }
    if (list == NULL) {
        reply_array(call->reply, 0);
        return;
    }
    const struct reply_deferred deferred = reply_deferred_begin(call->reply);
    const uint64_t wanted = options.count == 0 ? UINT64_MAX : (uint64_t)options.count;
    const uint64_t replied = reply_matches(call, list, &options, wanted);
    reply_deferred_end(call->reply, deferred, '*', replied);
}
