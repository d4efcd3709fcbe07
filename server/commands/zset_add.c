/*
 * zset_add.c: ZADD and ZINCRBY.
 *
 * Either every score is a number and all pairs are tried, in order, or nothing is done. A command that changes nothing is not logged and
 * touches no WATCH.
 */
#include "base/mem.h"
#include "zset_commands.h"

#include <math.h>

#define REPLY_NAN "ERR resulting score is not a number (NaN)"
#define ON_STACK  32

struct add {
    struct zset_add_options options;
    struct zset_edit edit;
    int64_t added, updated;
    bool processed; /* the last pair was not passed over */
    double score;   /* of the last pair */
};

/* False: the sum is no number. */
static bool add_to_found(
    struct add *add, struct zset_place *place, const struct element *member, double score)
{
    const struct zset_add_options *options = &add->options;
    if (options->nx)
        return true;
    if (options->increment) {
        score += place->score;
        if (isnan(score))
            return false;
    }
    if ((options->lt && score >= place->score) || (options->gt && score <= place->score))
        return true;
    add->processed = true;
    add->score = score;
    if (score != place->score) {
        zset_edit_begin(&add->edit);
        zset_move(add->edit.zset, place, member, score);
        add->updated++;
    }
    return true;
}

static bool add_pair(struct add *add, struct slice text, double score)
{
    const struct element member = element_of(text);
    struct zset_place place;
    add->processed = false;
    zset_find(add->edit.zset, &member, &place);
    if (place.found)
        return add_to_found(add, &place, &member, score);
    if (add->options.xx)
        return true;
    zset_edit_begin(&add->edit);
    zset_insert_at(add->edit.zset, &place, &member, score);
    add->processed = true;
    add->score = score;
    add->added++;
    return true;
}

bool zset_add_option(struct slice word, struct zset_add_options *options)
{
    if (slice_equal_nocase(word, "nx"))
        options->nx = true;
    else if (slice_equal_nocase(word, "xx"))
        options->xx = true;
    else if (slice_equal_nocase(word, "gt"))
        options->gt = true;
    else if (slice_equal_nocase(word, "lt"))
        options->lt = true;
    else if (slice_equal_nocase(word, "ch"))
        options->changed = true;
    else if (slice_equal_nocase(word, "incr"))
        options->increment = true;
    else
        return false;
    return true;
}

/* What cannot go together, or NULL. */
static const char *conflict(const struct zset_add_options *options, int pair_count)
{
    if (options->nx && options->xx)
        return "ERR XX and NX options at the same time are not compatible";
    if ((options->gt && options->nx) || (options->lt && options->nx) ||
        (options->gt && options->lt))
        return "ERR GT, LT, and/or NX options at the same time are not compatible";
    if (options->increment && pair_count > 1)
        return "ERR INCR option supports a single increment-element pair";
    return NULL;
}

static void finish(struct add *add)
{
    struct command_call *call = add->edit.call;
    (void)zset_edit_end(&add->edit);
    if (add->added + add->updated > 0) {
        commands_log_as_received(call);
        keyspace_notify(
            call->view, EVENT_ZSET, add->options.increment ? "zincr" : "zadd", add->edit.key);
    }
}

static void reply_result(const struct add *add, struct resp_output *reply)
{
    if (!add->options.increment)
        reply_integer(reply, add->options.changed ? add->added + add->updated : add->added);
    else if (add->processed)
        reply_double(reply, add->score);
    else
        reply_null(reply);
}

static void add_all(struct add *add, const double *scores, int first, int step, int count)
{
    struct command_call *call = add->edit.call;
    if (add->edit.zset == NULL && add->options.xx) {
        reply_result(add, call->reply);
        return;
    }
    zset_edit_create(&add->edit);
    bool good = true;
    for (int i = 0; i < count && good; i++)
        good = add_pair(add, call->argv[first + step * i], scores[i]);
    finish(add);
    if (good)
        reply_result(add, call->reply);
    else
        reply_error(call->reply, REPLY_NAN);
}

void zset_add_members(struct command_call *call, const struct zset_add_options *options,
    const double *scores, int first, int step, int count)
{
    struct add add = {.options = *options};
    if (zset_edit_find(call, 0, &add.edit))
        add_all(&add, scores, first, step, count);
}

/* Pairs of score and member from argument `first` on. */
static void add_pairs(
    struct command_call *call, const struct zset_add_options *options, int first, int pair_count)
{
    double few[ON_STACK];
    double *scores =
        pair_count <= ON_STACK ? few : mem_try_alloc((size_t)pair_count * sizeof(*scores));
    if (scores == NULL) {
        commands_reply_no_memory(call);
        return;
    }
    bool good = true;
    for (int i = 0; i < pair_count && good; i++)
        good = zset_parse_score(call, first + 2 * i, &scores[i]);
    if (good)
        zset_add_members(call, options, scores, first + 1, 2, pair_count);
    if (scores != few)
        mem_free(scores);
}

void cmd_zadd(struct command_call *call)
{
    struct zset_add_options options = {0};
    int first = 2;
    while (first < call->argc && zset_add_option(call->argv[first], &options))
        first++;
    const int left = call->argc - first;
    if (left == 0 || left % 2 != 0) {
        reply_error(call->reply, REPLY_SYNTAX);
        return;
    }
    const char *error = conflict(&options, left / 2);
    if (error != NULL)
        reply_error(call->reply, error);
    else
        add_pairs(call, &options, first, left / 2);
}

void cmd_zincrby(struct command_call *call)
{
    const struct zset_add_options options = {.increment = true};
    add_pairs(call, &options, 2, 1);
}
