/*
 * zset.c: single members and counts of sorted sets: ZREM*, ZCARD, ZSCORE, ZCOUNT, ZRANK, ZRANDMEMBER, ZSCAN.
 */
#include "scan_element.h"
#include "zset_commands.h"

#include <stdio.h>

/* --- removing ---------------------------------------------------------------------------------------------------- */

static void finish_removal(struct zset_edit *edit, const char *event, uint64_t count, bool deleted)
{
    struct command_call *call = edit->call;
    commands_log_as_received(call);
    keyspace_notify(call->view, EVENT_ZSET, event, edit->key);
    if (deleted)
        keyspace_notify(call->view, EVENT_GENERIC, "del", edit->key);
    reply_integer(call->reply, (int64_t)count);
}

void cmd_zrem(struct command_call *call)
{
    struct zset_edit edit;
    if (!zset_edit_find(call, 0, &edit))
        return;
    uint64_t count = 0;
    for (int i = 2; i < call->argc && edit.zset != NULL && zset_count(edit.zset) > 0; i++) {
        const struct element member = element_of(call->argv[i]);
        struct zset_place place;
        zset_find(edit.zset, &member, &place);
        if (!place.found)
            continue;
        zset_edit_begin(&edit);
        zset_remove(edit.zset, &place, &member);
        count++;
    }
    if (count == 0) {
        reply_integer(call->reply, 0);
        return;
    }
    const bool deleted = zset_edit_end(&edit);
    finish_removal(&edit, "zrem", count, deleted);
}

static void remove_range(struct command_call *call, enum zset_range_kind kind, const char *event)
{
    struct zset_range range = {.kind = kind};
    struct zset_edit edit;
    if (!zset_range_parse(call, 2, 3, &range) || !zset_edit_find(call, 0, &edit))
        return;
    uint64_t first = 0;
    const uint64_t count = edit.zset == NULL ? 0 : zset_range_resolve(&range, edit.zset, &first);
    if (count == 0) {
        reply_integer(call->reply, 0);
        return;
    }
    const bool deleted = zset_edit_remove_range(&edit, first, count);
    finish_removal(&edit, event, count, deleted);
}

void cmd_zremrangebyrank(struct command_call *call)
{
    remove_range(call, ZSET_RANGE_RANK, "zremrangebyrank");
}

void cmd_zremrangebyscore(struct command_call *call)
{
    remove_range(call, ZSET_RANGE_SCORE, "zremrangebyscore");
}

void cmd_zremrangebylex(struct command_call *call)
{
    remove_range(call, ZSET_RANGE_LEX, "zremrangebylex");
}

/* --- asking ---------------------------------------------------------------------------------------------------------- */

void cmd_zcard(struct command_call *call)
{
    const struct zset *zset;
    if (zset_read(call, 0, &zset))
        reply_integer(call->reply, zset == NULL ? 0 : (int64_t)zset_count(zset));
}

static void reply_score(struct command_call *call, const struct zset *zset, struct slice text)
{
    const struct element member = element_of(text);
    double score;
    if (zset != NULL && zset_score(zset, &member, &score))
        reply_double(call->reply, score);
    else
        reply_null(call->reply);
}

void cmd_zscore(struct command_call *call)
{
    const struct zset *zset;
    if (zset_read(call, 0, &zset))
        reply_score(call, zset, call->argv[2]);
}

void cmd_zmscore(struct command_call *call)
{
    const struct zset *zset;
    if (!zset_read(call, 0, &zset))
        return;
    reply_array(call->reply, (size_t)call->argc - 2);
    for (int i = 2; i < call->argc; i++)
        reply_score(call, zset, call->argv[i]);
}

static void count_range(struct command_call *call, enum zset_range_kind kind)
{
    struct zset_range range = {.kind = kind};
    const struct zset *zset;
    if (!zset_range_parse(call, 2, 3, &range) || !zset_read(call, 0, &zset))
        return;
    uint64_t first;
    reply_integer(
        call->reply, zset == NULL ? 0 : (int64_t)zset_range_resolve(&range, zset, &first));
}

void cmd_zcount(struct command_call *call)
{
    count_range(call, ZSET_RANGE_SCORE);
}

void cmd_zlexcount(struct command_call *call)
{
    count_range(call, ZSET_RANGE_LEX);
}

static void reply_rank(struct command_call *call, bool reverse)
{
    if (call->argc > 4) {
        command_reply_arity(call->reply, call->command);
        return;
    }
    const bool with_score = call->argc == 4;
    if (with_score && !slice_equal_nocase(call->argv[3], "withscore")) {
        reply_error(call->reply, REPLY_SYNTAX);
        return;
    }
    const struct zset *zset;
    if (!zset_read(call, 0, &zset))
        return;
    const struct element member = element_of(call->argv[2]);
    uint64_t rank;
    double score;
    if (zset != NULL && zset_rank(zset, &member, &rank, &score)) {
        if (with_score)
            reply_array(call->reply, 2);
        reply_integer(call->reply, (int64_t)(reverse ? zset_count(zset) - 1 - rank : rank));
        if (with_score)
            reply_double(call->reply, score);
    } else if (with_score) {
        reply_null_array(call->reply);
    } else {
        reply_null(call->reply);
    }
}

void cmd_zrank(struct command_call *call)
{
    reply_rank(call, false);
}

void cmd_zrevrank(struct command_call *call)
{
    reply_rank(call, true);
}

/* --- ZRANDMEMBER, ZSCAN ------------------------------------------------------------------------------------------------ */

static void reply_sorted_score(struct resp_output *reply, const struct element *row)
{
    reply_double(reply, zset_score_of(&row[ZSET_SORTED_SCORE]));
}

void cmd_zrandmember(struct command_call *call)
{
    struct element_draw draw;
    const struct zset *zset;
    if (!element_draw_parse(call, "withscores", &draw) || !zset_read(call, 0, &zset))
        return;
    if (zset == NULL) {
        element_draw_reply_empty(call->reply, &draw);
        return;
    }
    const struct element_source source = {
        .tree = zset_sorted(zset),
        .is_compact = true,
        .name_slot = ZSET_SORTED_MEMBER,
        .reply_value = reply_sorted_score,
    };
    element_draw_run(call, &draw, &source);
}

/* In a scan scores are texts in RESP3 too: of a small set as elsewhere, of a large one with all digits. */
static void reply_short_score(struct resp_output *reply, double score)
{
    char text[32];
    reply_bulk(reply, slice_of(text, resp_double_to_text(score, text)));
}

static void reply_long_score(struct resp_output *reply, double score)
{
    char text[64];
    const int size = snprintf(text, sizeof(text), "%.17g", score);
    reply_bulk(reply, slice_of(text, (size_t)size));
}

static void reply_sorted_short(struct resp_output *reply, const struct element *row)
{
    reply_short_score(reply, zset_score_of(&row[ZSET_SORTED_SCORE]));
}

static void reply_sorted_long(struct resp_output *reply, const struct element *row)
{
    reply_long_score(reply, zset_score_of(&row[ZSET_SORTED_SCORE]));
}

static void reply_index_short(struct resp_output *reply, const struct element *row)
{
    reply_short_score(reply, zset_score_of(&row[ZSET_INDEX_SCORE]));
}

static void reply_index_long(struct resp_output *reply, const struct element *row)
{
    reply_long_score(reply, zset_score_of(&row[ZSET_INDEX_SCORE]));
}

void cmd_zscan(struct command_call *call)
{
    struct element_scan scan;
    const struct zset *zset;
    if (!element_scan_cursor(call, &scan) || !zset_read(call, 0, &zset))
        return;
    if (zset == NULL) {
        element_scan_reply_empty(call->reply);
        return;
    }
    if (!element_scan_options(call, &scan, false))
        return;
    const struct tree *index = zset_index(zset);
    const bool is_short = zset_encoding(zset) == VALUE_ENCODING_LISTPACK;
    struct element_source source = {
        .tree = zset_sorted(zset),
        .is_compact = true,
        .name_slot = ZSET_SORTED_MEMBER,
        .reply_value = is_short ? reply_sorted_short : reply_sorted_long,
    };
    if (index != NULL)
        source = (struct element_source){
            .tree = index,
            .name_slot = ZSET_INDEX_MEMBER,
            .reply_value = is_short ? reply_index_short : reply_index_long,
        };
    element_scan_run(call, &scan, &source);
}
