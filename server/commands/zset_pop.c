/*
 * zset_pop.c: ZPOPMIN, ZPOPMAX, ZMPOP, and the forms that wait.
 *
 * What is logged is the pop that happened: ZPOPMIN or ZPOPMAX of one key, with the number of members that were there.
 */
#include "scan_element.h"
#include "zset_commands.h"

enum pop_end { POP_MIN, POP_MAX };

/* How the members are put in the reply. */
enum pop_reply {
    POP_FLAT,      /* member, score, member, score ... */
    POP_PAIRS,     /* [member, score] ... */
    POP_KEY_FLAT,  /* key, member, score */
    POP_KEY_PAIRS, /* key, [[member, score] ...] */
};

struct pop {
    enum pop_end end;
    enum pop_reply reply;
    uint64_t count;
};

static void reply_head(
    struct command_call *call, const struct pop *pop, const struct key *key, uint64_t count)
{
    struct resp_output *reply = call->reply;
    switch (pop->reply) {
    case POP_FLAT: reply_array(reply, 2 * count); break;
    case POP_PAIRS: reply_array(reply, count); break;
    case POP_KEY_FLAT:
        reply_array(reply, 2 * count + 1);
        reply_bulk(reply, key_slice(key));
        break;
    case POP_KEY_PAIRS:
        reply_array(reply, 2);
        reply_bulk(reply, key_slice(key));
        reply_array(reply, count);
        break;
    }
}

static void reply_members(
    struct command_call *call, const struct zset *zset, const struct pop *pop, uint64_t count)
{
    const bool is_nested = pop->reply == POP_PAIRS || pop->reply == POP_KEY_PAIRS;
    const bool from_end = pop->end == POP_MAX;
    struct tree_cursor cursor;
    tree_cursor_at(zset_sorted(zset), from_end ? zset_count(zset) - 1 : 0, &cursor);
    for (uint64_t i = 0; i < count; i++) {
        struct element row[2];
        tree_cursor_row(&cursor, row);
        if (is_nested)
            reply_array(call->reply, 2);
        element_reply(call->reply, &row[ZSET_SORTED_MEMBER]);
        reply_double(call->reply, zset_score_of(&row[ZSET_SORTED_SCORE]));
        (void)(from_end ? tree_cursor_previous(&cursor) : tree_cursor_next(&cursor));
    }
}

static void log_pop(
    struct command_call *call, const struct pop *pop, const struct key *key, uint64_t count)
{
    char text[24];
    const struct slice args[] = {
        pop->end == POP_MIN ? SLICE_LITERAL("ZPOPMIN") : SLICE_LITERAL("ZPOPMAX"),
        key_slice(key),
        slice_of(text, uint64_to_text(count, text)),
    };
    keyspace_log_args(call->view, key, 1, args, COUNT_OF(args));
}

/* There are members, and pop->count is not 0. */
static void pop_members(struct zset_edit *edit, const struct pop *pop, bool as_received)
{
    struct command_call *call = edit->call;
    const uint64_t total = zset_count(edit->zset);
    const uint64_t count = pop->count < total ? pop->count : total;
    reply_head(call, pop, edit->key, count);
    reply_members(call, edit->zset, pop, count);
    const uint64_t first = pop->end == POP_MIN ? 0 : total - count;
    const bool deleted = zset_edit_remove_range(edit, first, count);
    if (as_received)
        commands_log_as_received(call);
    else
        log_pop(call, pop, edit->key, count);
    keyspace_notify(call->view, EVENT_ZSET, pop->end == POP_MIN ? "zpopmin" : "zpopmax", edit->key);
    if (deleted)
        keyspace_notify(call->view, EVENT_GENERIC, "del", edit->key);
}

static void pop_one_key(struct command_call *call, enum pop_end end)
{
    int64_t count = 1;
    if (call->argc > 3) {
        reply_error(call->reply, REPLY_SYNTAX);
        return;
    }
    if (call->argc == 3 && (!slice_to_int64(call->argv[2], &count) || count < 0)) {
        reply_error(call->reply, "ERR value is out of range, must be positive");
        return;
    }
    const bool is_nested = call->argc == 3 && call->reply->protocol > 2;
    const struct pop pop = {
        .end = end,
        .reply = is_nested ? POP_PAIRS : POP_FLAT,
        .count = (uint64_t)count,
    };
    struct zset_edit edit;
    if (!zset_edit_find(call, 0, &edit))
        return;
    if (edit.zset == NULL || count == 0)
        reply_array(call->reply, 0);
    else
        pop_members(&edit, &pop, true);
}

void cmd_zpopmin(struct command_call *call)
{
    pop_one_key(call, POP_MIN);
}

void cmd_zpopmax(struct command_call *call)
{
    pop_one_key(call, POP_MAX);
}

/* --- of the first of many keys that has members ------------------------------------------------------------------- */

/*
 * False: there are no members (or, where a wait is over, a key has another type, which then counts as absent). True: they were replied, or an
 * error was.
 */
static bool pop_first(struct command_call *call, const struct pop *pop)
{
    for (size_t i = 0; i < call->key_count; i++) {
        struct zset_edit edit;
        if (call->resumed) {
            const struct hot_record *record =
                keyspace_find(call->view, &call->keys[i], KEYSPACE_PEEK);
            if (record != NULL && hot_record_value(record).type != VALUE_ZSET)
                continue;
        }
        if (!zset_edit_find(call, i, &edit))
            return true;
        if (edit.zset != NULL) {
            pop_members(&edit, pop, false);
            return true;
        }
    }
    return false;
}

/* Nothing to pop: waits, or replies that there is nothing. */
static void wait_for_members(struct command_call *call, int64_t timeout_ms)
{
    if (!call->may_block) {
        reply_null_array(call->reply);
        return;
    }
    call->block = true;
    call->block_null_is_array = true;
    call->block_timeout_ms = timeout_ms;
}

static void wait_and_pop(struct command_call *call, const struct pop *pop, int timeout_argument)
{
    int64_t timeout_ms = 0;
    if (commands_parse_timeout(call, timeout_argument, &timeout_ms) && !pop_first(call, pop))
        wait_for_members(call, timeout_ms);
}

void cmd_bzpopmin(struct command_call *call)
{
    const struct pop pop = {.end = POP_MIN, .reply = POP_KEY_FLAT, .count = 1};
    wait_and_pop(call, &pop, call->argc - 1);
}

void cmd_bzpopmax(struct command_call *call)
{
    const struct pop pop = {.end = POP_MAX, .reply = POP_KEY_FLAT, .count = 1};
    wait_and_pop(call, &pop, call->argc - 1);
}

static bool parse_positive(
    struct command_call *call, int argument, int64_t *number, const char *error)
{
    if (slice_to_int64(call->argv[argument], number) && *number > 0)
        return true;
    reply_error(call->reply, error);
    return false;
}

/* "numkeys key [key ...] MIN|MAX [COUNT count]" from argument `first` on. False: an error was replied. */
static bool parse_many(struct command_call *call, int first, struct pop *pop)
{
    int64_t key_count = 0;
    if (!parse_positive(call, first, &key_count, "ERR numkeys should be greater than 0"))
        return false;
    const int64_t end_argument = key_count < call->argc ? first + 1 + key_count : call->argc;
    bool good = end_argument < call->argc;
    if (good && slice_equal_nocase(call->argv[end_argument], "min"))
        pop->end = POP_MIN;
    else if (good && slice_equal_nocase(call->argv[end_argument], "max"))
        pop->end = POP_MAX;
    else
        good = false;
    bool has_count = false;
    for (int i = (int)end_argument + 1; good && i < call->argc; i++) {
        int64_t count = 0;
        if (has_count || !slice_equal_nocase(call->argv[i], "count") || i + 1 >= call->argc) {
            good = false;
        } else if (parse_positive(call, ++i, &count, "ERR count should be greater than 0")) {
            pop->count = (uint64_t)count;
            has_count = true;
        } else {
            return false;
        }
    }
    if (!good)
        reply_error(call->reply, REPLY_SYNTAX);
    return good;
}

void cmd_zmpop(struct command_call *call)
{
    struct pop pop = {.reply = POP_KEY_PAIRS, .count = 1};
    if (parse_many(call, 1, &pop) && !pop_first(call, &pop))
        reply_null_array(call->reply);
}

void cmd_bzmpop(struct command_call *call)
{
    struct pop pop = {.reply = POP_KEY_PAIRS, .count = 1};
    if (parse_many(call, 2, &pop))
        wait_and_pop(call, &pop, 1);
}
