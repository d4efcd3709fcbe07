/*
 * zset_range.c: ZRANGE in all its forms, and ZRANGESTORE.
 *
 * Every range becomes ranks first (two descents), LIMIT cuts those, and then rows are walked forwards or backwards.
 */
#include "zset_commands.h"

#define REPLY_LIMIT_OF_RANKS \
    "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
#define REPLY_SCORES_OF_LEX "ERR syntax error, WITHSCORES not supported in combination with BYLEX"

struct range_options {
    struct zset_range range;
    bool kind_is_fixed, direction_is_fixed; /* the old commands */
    bool with_scores;
    int64_t offset, limit; /* limit below 0: none */
};

/* One option at argument *i, which moves to its last word. False: an error was replied. */
static bool parse_option(
    struct command_call *call, int *i, bool is_store, struct range_options *options)
{
    const struct slice word = call->argv[*i];
    if (!is_store && slice_equal_nocase(word, "withscores")) {
        options->with_scores = true;
    } else if (slice_equal_nocase(word, "limit") && *i + 2 < call->argc) {
        if (!command_int64(call, *i + 1, &options->offset, NULL) ||
            !command_int64(call, *i + 2, &options->limit, NULL))
            return false;
        *i += 2;
    } else if (!options->direction_is_fixed && !options->range.reverse &&
               slice_equal_nocase(word, "rev")) {
        options->range.reverse = true;
    } else if (!options->kind_is_fixed && slice_equal_nocase(word, "bylex")) {
        options->range.kind = ZSET_RANGE_LEX;
        options->kind_is_fixed = true;
    } else if (!options->kind_is_fixed && slice_equal_nocase(word, "byscore")) {
        options->range.kind = ZSET_RANGE_SCORE;
        options->kind_is_fixed = true;
    } else {
        reply_error(call->reply, REPLY_SYNTAX);
        return false;
    }
    return true;
}

/* "min max [options]" from argument `first` on. False: an error was replied. */
static bool parse(
    struct command_call *call, int first, bool is_store, struct range_options *options)
{
    options->limit = -1;
    for (int i = first + 2; i < call->argc; i++) {
        if (!parse_option(call, &i, is_store, options))
            return false;
    }
    const enum zset_range_kind kind = options->range.kind;
    if (options->limit != -1 && kind == ZSET_RANGE_RANK) {
        reply_error(call->reply, REPLY_LIMIT_OF_RANKS);
        return false;
    }
    if (options->with_scores && kind == ZSET_RANGE_LEX) {
        reply_error(call->reply, REPLY_SCORES_OF_LEX);
        return false;
    }
    const bool swapped = options->range.reverse && kind != ZSET_RANGE_RANK;
    return zset_range_parse(call, first + swapped, first + !swapped, &options->range);
}

/* The ranks to give, after LIMIT. */
static uint64_t resolve(
    const struct range_options *options, const struct zset *zset, uint64_t *first)
{
    uint64_t count = zset_range_resolve(&options->range, zset, first);
    if (options->range.kind == ZSET_RANGE_RANK)
        return count;
    if (options->offset < 0 || (uint64_t)options->offset >= count)
        return 0;
    const uint64_t skipped = (uint64_t)options->offset;
    count -= skipped;
    const uint64_t given =
        options->limit >= 0 && (uint64_t)options->limit < count ? (uint64_t)options->limit : count;
    *first += options->range.reverse ? count - given : skipped;
    return given;
}

static void reply_rows(struct command_call *call, const struct zset *zset, uint64_t first,
    uint64_t count, const struct range_options *options)
{
    zset_reply_head(call->reply, count, options->with_scores);
    if (count == 0)
        return;
    const bool reverse = options->range.reverse;
    struct tree_cursor cursor;
    tree_cursor_at(zset_sorted(zset), reverse ? first + count - 1 : first, &cursor);
    for (uint64_t i = 0; i < count; i++) {
        struct element row[2];
        tree_cursor_row(&cursor, row);
        zset_reply_pair(call->reply, &row[ZSET_SORTED_MEMBER],
            zset_score_of(&row[ZSET_SORTED_SCORE]), options->with_scores);
        (void)(reverse ? tree_cursor_previous(&cursor) : tree_cursor_next(&cursor));
    }
}

static void range(struct command_call *call, struct range_options *options)
{
    const struct zset *zset;
    if (!parse(call, 2, false, options) || !zset_read(call, 0, &zset))
        return;
    uint64_t first = 0;
    const uint64_t count = zset == NULL ? 0 : resolve(options, zset, &first);
    reply_rows(call, zset, first, count, options);
}

void cmd_zrange(struct command_call *call)
{
    struct range_options options = {0};
    range(call, &options);
}

/* One of the commands that were before ZRANGE had options. */
static void old_range(struct command_call *call, enum zset_range_kind kind, bool reverse)
{
    struct range_options options = {
        .range = {.kind = kind, .reverse = reverse},
        .kind_is_fixed = true,
        .direction_is_fixed = true,
    };
    range(call, &options);
}

void cmd_zrevrange(struct command_call *call)
{
    old_range(call, ZSET_RANGE_RANK, true);
}

void cmd_zrangebyscore(struct command_call *call)
{
    old_range(call, ZSET_RANGE_SCORE, false);
}

void cmd_zrevrangebyscore(struct command_call *call)
{
    old_range(call, ZSET_RANGE_SCORE, true);
}

void cmd_zrangebylex(struct command_call *call)
{
    old_range(call, ZSET_RANGE_LEX, false);
}

void cmd_zrevrangebylex(struct command_call *call)
{
    old_range(call, ZSET_RANGE_LEX, true);
}

void cmd_zrangestore(struct command_call *call)
{
    struct range_options options = {0};
    const struct zset *source;
    if (!parse(call, 3, true, &options) || !zset_read(call, 1, &source))
        return;
    uint64_t first = 0;
    const uint64_t count = source == NULL ? 0 : resolve(&options, source, &first);
    struct zset *result = zset_create();
    struct tree_cursor cursor;
    if (count > 0)
        tree_cursor_at(zset_sorted(source), first, &cursor);
    for (uint64_t i = 0; i < count; i++) {
        struct element row[2];
        tree_cursor_row(&cursor, row);
        zset_append(result, &row[ZSET_SORTED_MEMBER], zset_score_of(&row[ZSET_SORTED_SCORE]));
        (void)tree_cursor_next(&cursor);
    }
    zset_store(call, 0, result, "zrangestore", ZSET_LOG_REQUEST);
}
