/*
 * list_block.c: BLPOP, BRPOP, BLMPOP, BLMOVE, BRPOPLPUSH: as their namesakes that do not wait, and if there is nothing, the call asks to be
 * run again (struct command_call: block).
 *
 * What is logged is what happened: LPOP, RPOP, LMOVE.
 */
#include "list_commands.h"

/* Waits, or gives the null that those get who may not. Redis's null at the deadline is an array whatever the command. */
static void wait(struct command_call *call, int64_t timeout_ms, bool null_is_array)
{
    if (call->may_block) {
        call->block = true;
        call->block_null_is_array = true;
        call->block_timeout_ms = timeout_ms;
    } else if (null_is_array) {
        reply_null_array(call->reply);
    } else {
        reply_null(call->reply);
    }
}

static void pop_or_wait(
    struct command_call *call, int timeout_argument, const struct list_pop_request *request)
{
    int64_t timeout_ms = 0;
    if (commands_parse_timeout(call, timeout_argument, &timeout_ms) &&
        list_pop_run(call, request) == LIST_MOVE_NOTHING)
        wait(call, timeout_ms, true);
}

void cmd_blpop(struct command_call *call)
{
    const struct list_pop_request request = {.end = LIST_HEAD, .count = 1, .is_single = true};
    pop_or_wait(call, call->argc - 1, &request);
}

void cmd_brpop(struct command_call *call)
{
    const struct list_pop_request request = {.end = LIST_TAIL, .count = 1, .is_single = true};
    pop_or_wait(call, call->argc - 1, &request);
}

void cmd_blmpop(struct command_call *call)
{
    struct list_pop_request request;
    if (list_pop_parse(call, 2, &request))
        pop_or_wait(call, 1, &request);
}

static struct slice end_name(enum list_end end)
{
    return end == LIST_HEAD ? SLICE_LITERAL("LEFT") : SLICE_LITERAL("RIGHT");
}

static void log_move(struct command_call *call, const struct list_move *move)
{
    const struct slice args[] = {SLICE_LITERAL("LMOVE"), key_slice(&call->keys[0]),
        key_slice(&call->keys[1]), end_name(move->from), end_name(move->to)};
    keyspace_log_args(call->view, call->keys, call->key_count, args, COUNT_OF(args));
}

static void move_or_wait(
    struct command_call *call, int timeout_argument, const struct list_move *move)
{
    int64_t timeout_ms = 0;
    if (!commands_parse_timeout(call, timeout_argument, &timeout_ms))
        return;
    switch (list_move_run(call, move)) {
    case LIST_MOVED: log_move(call, move); return;
    case LIST_MOVE_REFUSED: return;
    case LIST_MOVE_NOTHING: wait(call, timeout_ms, false); return;
    }
}

void cmd_blmove(struct command_call *call)
{
    struct list_move move;
    if (list_parse_end(call, 3, &move.from) && list_parse_end(call, 4, &move.to))
        move_or_wait(call, 5, &move);
}

void cmd_brpoplpush(struct command_call *call)
{
    const struct list_move move = {.from = LIST_TAIL, .to = LIST_HEAD};
    move_or_wait(call, 3, &move);
}
