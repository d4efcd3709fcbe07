/*
 * hash_walk.c: commands on all fields of a hash: HGETALL, HKEYS, HVALS, HSCAN, HRANDFIELD. They pass over fields that are over.
 */
#include "hash_internal.h"
#include "scan_element.h"

enum { ROW_FIELD = 0, ROW_VALUE = 1, ROW_SIZE = 2 };

/* For element_source.wants. */
struct liveness {
    const struct dict *dict;
    uint64_t now_ms;
};

static bool is_live(void *context, const struct element *row)
{
    const struct liveness *const liveness = context;
    return !dict_is_over(liveness->dict, &row[ROW_FIELD], liveness->now_ms);
}

enum shown { SHOW_FIELDS = 1, SHOW_VALUES = 2 };

static void reply_head(struct resp_output *reply, unsigned shown, uint64_t count)
{
    if (shown == (SHOW_FIELDS | SHOW_VALUES))
        reply_map(reply, (size_t)count);
    else
        reply_array(reply, (size_t)count);
}

static void reply_all(struct command_call *call, unsigned shown)
{
    struct resp_output *const reply = call->reply;
    struct hash_edit edit;
    if (!hash_open(call, KEYSPACE_READ, &edit))
        return;
    if (edit.dict == NULL) {
        reply_head(reply, shown, 0);
        return;
    }
    struct liveness liveness = {.dict = edit.dict, .now_ms = hash_now_ms(call)};
    const bool has_over = dict_has_over(edit.dict, liveness.now_ms);
    struct element row[ROW_SIZE];
    struct tree_cursor cursor;
    reply_head(reply, shown, dict_live_count(edit.dict, liveness.now_ms));
    tree_cursor_at(dict_fields(edit.dict), 0, &cursor);
    for (uint64_t left = dict_count(edit.dict); left > 0; left--) {
        tree_cursor_row(&cursor, row);
        if (!has_over || is_live(&liveness, row)) {
            if ((shown & SHOW_FIELDS) != 0)
                element_reply(reply, &row[ROW_FIELD]);
            if ((shown & SHOW_VALUES) != 0)
                element_reply(reply, &row[ROW_VALUE]);
        }
        (void)tree_cursor_next(&cursor);
    }
}

void cmd_hgetall(struct command_call *call)
{
    reply_all(call, SHOW_FIELDS | SHOW_VALUES);
}

void cmd_hkeys(struct command_call *call)
{
    reply_all(call, SHOW_FIELDS);
}

void cmd_hvals(struct command_call *call)
{
    reply_all(call, SHOW_VALUES);
}

/* --- parts ------------------------------------------------------------------------------------------------------------- */

static void reply_row_value(struct resp_output *reply, const struct element *row)
{
    element_reply(reply, &row[ROW_VALUE]);
}

static struct element_source source_of(struct liveness *liveness)
{
    return (struct element_source){
        .tree = dict_fields(liveness->dict),
        .is_compact = dict_encoding(liveness->dict) != VALUE_ENCODING_HASHTABLE,
        .name_slot = ROW_FIELD,
        .wants = dict_has_over(liveness->dict, liveness->now_ms) ? is_live : NULL,
        .context = liveness,
        .reply_value = reply_row_value,
    };
}

void cmd_hscan(struct command_call *call)
{
    struct element_scan scan;
    struct hash_edit edit;
    if (!element_scan_cursor(call, &scan) || !hash_open(call, KEYSPACE_READ, &edit))
        return;
    if (edit.dict == NULL) {
        element_scan_reply_empty(call->reply);
        return;
    }
    if (!element_scan_options(call, &scan, true))
        return;
    struct liveness liveness = {.dict = edit.dict, .now_ms = hash_now_ms(call)};
    const struct element_source source = source_of(&liveness);
    element_scan_run(call, &scan, &source);
}

void cmd_hrandfield(struct command_call *call)
{
    struct element_draw draw;
    struct hash_edit edit;
    if (!element_draw_parse(call, "withvalues", &draw) || !hash_open(call, KEYSPACE_READ, &edit))
        return;
    if (edit.dict == NULL) {
        element_draw_reply_empty(call->reply, &draw);
        return;
    }
    struct liveness liveness = {.dict = edit.dict, .now_ms = hash_now_ms(call)};
    const struct element_source source = source_of(&liveness);
    element_draw_run(call, &draw, &source);
}
