/*
 * zset_shared.c: what the sorted sets' commands have in common: the record, replies, ranges.
 */
#include "base/check.h"
#include "scan_element.h"
#include "zset_commands.h"

#define REPLY_NOT_A_RANGE "ERR min or max is not a float"
#define REPLY_NOT_LEX     "ERR min or max not valid string range item"

/* --- records ---------------------------------------------------------------------------------------------------- */

bool zset_read(struct command_call *call, size_t key_index, const struct zset **zset)
{
    struct hot_record *record = NULL;
    *zset = NULL;
    if (!command_find_typed(call, key_index, KEYSPACE_READ, VALUE_ZSET, &record))
        return false;
    if (record != NULL) {
        const struct value value = hot_record_value(record);
        *zset = zset_of(&value);
    }
    return true;
}

bool zset_edit_find(struct command_call *call, size_t key_index, struct zset_edit *edit)
{
    *edit = (struct zset_edit){.call = call, .key = &call->keys[key_index]};
    if (!command_find_typed(call, key_index, KEYSPACE_WRITE, VALUE_ZSET, &edit->record))
        return false;
    if (edit->record != NULL) {
        const struct value value = hot_record_value(edit->record);
        edit->zset = zset_of(&value);
    }
    return true;
}

void zset_edit_create(struct zset_edit *edit)
{
    if (edit->zset == NULL)
        edit->zset = zset_create();
}

void zset_edit_begin(struct zset_edit *edit)
{
    if (edit->begun)
        return;
    edit->begun = true;
    if (edit->record == NULL)
        return;
    const struct value value = hot_record_value(edit->record);
    edit->external_bytes = value_external_bytes(&value);
    keyspace_edit_begin(edit->call->view, edit->key, edit->record);
}

bool zset_edit_end(struct zset_edit *edit)
{
    struct keyspace_view *view = edit->call->view;
    if (edit->record == NULL) {
        if (edit->zset != NULL && zset_count(edit->zset) > 0) {
            (void)keyspace_set(view, edit->key, NULL, zset_value(edit->zset), 0);
            keyspace_signal_ready(view, edit->key);
        } else {
            zset_destroy(edit->zset);
        }
        return false;
    }
    if (!edit->begun)
        return false;
    keyspace_edit_end(view, edit->key, edit->record, edit->external_bytes);
    if (zset_count(edit->zset) > 0)
        return false;
    keyspace_delete(view, edit->key, edit->record);
    return true;
}

bool zset_edit_remove_range(struct zset_edit *edit, uint64_t rank, uint64_t count)
{
    if (count == zset_count(edit->zset)) {
        keyspace_delete(edit->call->view, edit->key, edit->record);
        return true;
    }
    zset_edit_begin(edit);
    zset_remove_range(edit->zset, rank, count);
    return zset_edit_end(edit);
}

/* Members of one ZADD in the log. */
#define LOG_MEMBERS 64

static void log_some(
    struct command_call *call, const struct key *key, struct tree_cursor *cursor, uint64_t count)
{
    struct slice args[2 + 2 * LOG_MEMBERS];
    char scores[LOG_MEMBERS][32];
    char members[LOG_MEMBERS][ELEMENT_TEXT_MAX];
    struct element rows[LOG_MEMBERS][2];
    args[0] = SLICE_LITERAL("ZADD");
    args[1] = key_slice(key);
    for (uint64_t i = 0; i < count; i++) {
        tree_cursor_row(cursor, rows[i]);
        const double score = zset_score_of(&rows[i][ZSET_SORTED_SCORE]);
        args[2 + 2 * i] = slice_of(scores[i], resp_double_to_text(score, scores[i]));
        args[3 + 2 * i] = element_text(&rows[i][ZSET_SORTED_MEMBER], members[i]);
        (void)tree_cursor_next(cursor);
    }
    keyspace_log_args(call->view, key, 1, args, 2 + 2 * (size_t)count);
}

static void log_members(struct command_call *call, const struct key *key, const struct zset *zset)
{
    keyspace_group_begin(call->view);
    commands_log_delete(call, key);
    struct tree_cursor cursor;
    tree_cursor_at(zset_sorted(zset), 0, &cursor);
    for (uint64_t left = zset_count(zset); left > 0;) {
        const uint64_t count = left < LOG_MEMBERS ? left : LOG_MEMBERS;
        log_some(call, key, &cursor, count);
        left -= count;
    }
    keyspace_group_end(call->view);
}

void zset_store(struct command_call *call, size_t key_index, struct zset *zset, const char *event,
    enum zset_store_log log)
{
    struct keyspace_view *view = call->view;
    const struct key *key = &call->keys[key_index];
    const uint64_t count = zset_count(zset);
    struct hot_record *record = keyspace_find(view, key, KEYSPACE_PEEK);
    if (count > 0) {
        (void)keyspace_set(view, key, record, zset_value(zset), 0);
        if (log == ZSET_LOG_REQUEST)
            commands_log_as_received(call);
        else
            log_members(call, key, zset);
        keyspace_notify(view, EVENT_ZSET, event, key);
        keyspace_signal_ready(view, key);
    } else {
        zset_destroy(zset);
        if (record != NULL) {
            keyspace_delete(view, key, record);
            commands_log_delete(call, key);
            keyspace_notify(view, EVENT_GENERIC, "del", key);
        }
    }
    reply_integer(call->reply, (int64_t)count);
}

/* --- replies ---------------------------------------------------------------------------------------------------- */

void zset_reply_head(struct resp_output *reply, uint64_t count, bool with_score)
{
    reply_array(reply, with_score && reply->protocol == 2 ? 2 * count : count);
}

void zset_reply_pair(
    struct resp_output *reply, const struct element *member, double score, bool with_score)
{
    if (with_score && reply->protocol > 2)
        reply_array(reply, 2);
    element_reply(reply, member);
    if (with_score)
        reply_double(reply, score);
}

/* --- arguments -------------------------------------------------------------------------------------------------- */

/* Integers of so many digits are doubles. */
#define EXACT_DIGITS 15

static bool short_integer(struct slice text, double *number)
{
    int64_t integer;
    if (text.size > EXACT_DIGITS || !slice_to_int64(text, &integer))
        return false;
    *number = (double)integer;
    return true;
}

bool zset_parse_score(struct command_call *call, int argument, double *score)
{
    return short_integer(call->argv[argument], score) ||
           command_double(call, argument, score, NULL);
}

static bool parse_score_bound(struct slice text, struct zset_bound *bound)
{
    bool out_of_range; /* infinite, which is a bound */
    bound->exclusive = text.size > 0 && text.data[0] == '(';
    if (bound->exclusive)
        text = slice_of(text.data + 1, text.size - 1);
    return short_integer(text, &bound->score) ||
           commands_parse_loose_double(text, &bound->score, &out_of_range);
}

static bool parse_lex_bound(struct slice text, struct zset_bound *bound)
{
    bound->infinite = 0;
    if (text.size == 0)
        return false;
    const char first = text.data[0];
    if (first == '+' || first == '-') {
        bound->infinite = first == '+' ? 1 : -1;
        return text.size == 1 || text.data[1] == '\0';
    }
    bound->exclusive = first == '(';
    bound->member = element_of(slice_of(text.data + 1, text.size - 1));
    return first == '(' || first == '[';
}

bool zset_range_parse(
    struct command_call *call, int min_argument, int max_argument, struct zset_range *range)
{
    const struct slice min = call->argv[min_argument];
    const struct slice max = call->argv[max_argument];
    switch (range->kind) {
    case ZSET_RANGE_RANK:
        return command_int64(call, min_argument, &range->min.rank, NULL) &&
               command_int64(call, max_argument, &range->max.rank, NULL);
    case ZSET_RANGE_SCORE:
        if (parse_score_bound(min, &range->min) && parse_score_bound(max, &range->max))
            return true;
        reply_error(call->reply, REPLY_NOT_A_RANGE);
        return false;
    case ZSET_RANGE_LEX:
        if (parse_lex_bound(min, &range->min) && parse_lex_bound(max, &range->max))
            return true;
        reply_error(call->reply, REPLY_NOT_LEX);
        return false;
    }
    UNREACHABLE("kind of range");
}

static uint64_t resolve_ranks(const struct zset_range *range, uint64_t count, uint64_t *first)
{
    const int64_t length = (int64_t)count;
    int64_t start = range->min.rank;
    int64_t end = range->max.rank;
    if (start < 0)
        start += length;
    if (end < 0)
        end += length;
    if (start < 0)
        start = 0;
    if (end >= length)
        end = length - 1;
    if (start > end || start >= length)
        return 0;
    const uint64_t size = (uint64_t)(end - start) + 1;
    *first = range->reverse ? count - (uint64_t)start - size : (uint64_t)start;
    return size;
}

/* The rank where the members from this bound on begin, or those up to it end. */
static uint64_t place_of_member(
    const struct zset *zset, const struct zset_bound *bound, bool inclusive)
{
    if (bound->infinite != 0)
        return bound->infinite < 0 ? 0 : zset_count(zset);
    return zset_rank_of_member(zset, &bound->member, inclusive);
}

uint64_t zset_range_resolve(
    const struct zset_range *range, const struct zset *zset, uint64_t *first)
{
    uint64_t end = 0;
    *first = 0;
    switch (range->kind) {
    case ZSET_RANGE_RANK: return resolve_ranks(range, zset_count(zset), first);
    case ZSET_RANGE_SCORE:
        *first = zset_rank_of_score(zset, range->min.score, range->min.exclusive);
        end = zset_rank_of_score(zset, range->max.score, !range->max.exclusive);
        break;
    case ZSET_RANGE_LEX:
        *first = place_of_member(zset, &range->min, range->min.exclusive);
        end = place_of_member(zset, &range->max, !range->max.exclusive);
        break;
    }
    return end > *first ? end - *first : 0;
}
