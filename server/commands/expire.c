/*
 * expire.c: when keys end: EXPIRE and its relatives, TTL, EXPIRETIME, PERSIST.
 *
 * What is logged is the moment, never a duration; a moment that is past already is logged as the deletion it is. In replay
 * moments are taken as they come: the log says itself when a key ended (I3).
 */
#include "commands_internal.h"

/* --- asking ------------------------------------------------------------------------------------------------- */

#define TTL_ABSENT (-2)
#define TTL_NONE   (-1)

static int64_t to_seconds(uint64_t ms)
{
    return (int64_t)((ms + 500) / 1000);
}

/* The moment in ms, or what else there is to reply. */
static uint64_t find_expiry(struct command_call *call, int64_t *otherwise)
{
    const struct hot_record *record = keyspace_find(call->view, &call->keys[0], KEYSPACE_PEEK);
    *otherwise = record == NULL ? TTL_ABSENT : TTL_NONE;
    if (record == NULL)
        keyspace_notify(call->view, EVENT_KEY_MISS, "keymiss", &call->keys[0]);
    return record == NULL ? 0 : hot_record_expire_ms(record);
}

static void reply_ttl(struct command_call *call, bool in_seconds)
{
    int64_t ttl = 0;
    const uint64_t expire_ms = find_expiry(call, &ttl);
    const uint64_t now_ms = call->view->now_ms;
    if (expire_ms != 0) {
        const uint64_t left_ms = expire_ms > now_ms ? expire_ms - now_ms : 0;
        ttl = in_seconds ? to_seconds(left_ms) : (int64_t)left_ms;
    }
    reply_integer(call->reply, ttl);
}

static void reply_moment(struct command_call *call, bool in_seconds)
{
    int64_t moment = 0;
    const uint64_t expire_ms = find_expiry(call, &moment);
    if (expire_ms != 0)
        moment = in_seconds ? to_seconds(expire_ms) : (int64_t)expire_ms;
    reply_integer(call->reply, moment);
}

void cmd_ttl(struct command_call *call)
{
    reply_ttl(call, true);
}

void cmd_pttl(struct command_call *call)
{
    reply_ttl(call, false);
}

void cmd_expiretime(struct command_call *call)
{
    reply_moment(call, true);
}

void cmd_pexpiretime(struct command_call *call)
{
    reply_moment(call, false);
}

/* --- setting ------------------------------------------------------------------------------------------------ */

bool expire_condition_take(struct slice word, struct expire_conditions *conditions)
{
    if (slice_equal_nocase(word, "nx"))
        conditions->nx = true;
    else if (slice_equal_nocase(word, "xx"))
        conditions->xx = true;
    else if (slice_equal_nocase(word, "gt"))
        conditions->gt = true;
    else if (slice_equal_nocase(word, "lt"))
        conditions->lt = true;
    else
        return false;
    return true;
}

bool expire_conditions_parse(struct command_call *call, struct expire_conditions *conditions)
{
    *conditions = (struct expire_conditions){0};
    for (int i = 3; i < call->argc; i++) {
        const struct slice word = call->argv[i];
        if (!expire_condition_take(word, conditions)) {
            reply_error_format(
                call->reply, "ERR Unsupported option %.*s", commands_quote_size(word), word.data);
            return false;
        }
    }
    if (conditions->nx && (conditions->xx || conditions->gt || conditions->lt)) {
        reply_error(
            call->reply, "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if (conditions->gt && conditions->lt) {
        reply_error(call->reply, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    return true;
}

bool expire_conditions_hold(
    const struct expire_conditions *conditions, uint64_t expire_ms, int64_t when_ms)
{
    const bool is_volatile = expire_ms != 0;
    const int64_t present_ms = (int64_t)expire_ms;
    if (conditions->nx && is_volatile)
        return false;
    if (conditions->xx && !is_volatile)
        return false;
    /* No expiry is one that is infinitely far. */
    if (conditions->gt && (!is_volatile || when_ms <= present_ms))
        return false;
    return !conditions->lt || !is_volatile || when_ms < present_ms;
}

static void set_expiry(struct command_call *call, enum commands_time kind)
{
    struct expire_conditions conditions;
    int64_t when_ms = 0;
    if (!expire_conditions_parse(call, &conditions) ||
        !commands_parse_time(call, 2, kind, &when_ms))
        return;
    struct keyspace_view *view = call->view;
    const struct key *key = &call->keys[0];
    struct hot_record *record = keyspace_find(view, key, KEYSPACE_WRITE);
    if (record == NULL ||
        !expire_conditions_hold(&conditions, hot_record_expire_ms(record), when_ms)) {
        reply_integer(call->reply, 0);
        return;
    }
    if (when_ms <= (view->replay ? 0 : (int64_t)view->now_ms)) {
        keyspace_delete(view, key, record);
        commands_log_delete(call, key);
        keyspace_notify(view, EVENT_GENERIC, "del", key);
    } else {
        (void)keyspace_expire(view, key, record, (uint64_t)when_ms);
        commands_log_expiry(call, key, (uint64_t)when_ms);
        keyspace_notify(view, EVENT_GENERIC, "expire", key);
    }
    reply_integer(call->reply, 1);
}

void cmd_expire(struct command_call *call)
{
    set_expiry(call, TIME_SECONDS);
}

void cmd_pexpire(struct command_call *call)
{
    set_expiry(call, TIME_MILLISECONDS);
}

void cmd_expireat(struct command_call *call)
{
    set_expiry(call, TIME_UNIX_SECONDS);
}

void cmd_pexpireat(struct command_call *call)
{
    set_expiry(call, TIME_UNIX_MILLISECONDS);
}

void cmd_persist(struct command_call *call)
{
    struct hot_record *record = keyspace_find(call->view, &call->keys[0], KEYSPACE_WRITE);
    if (record == NULL || hot_record_expire_ms(record) == 0) {
        reply_integer(call->reply, 0);
        return;
    }
    (void)keyspace_expire(call->view, &call->keys[0], record, 0);
    commands_log_as_received(call);
    keyspace_notify(call->view, EVENT_GENERIC, "persist", &call->keys[0]);
    reply_integer(call->reply, 1);
}
