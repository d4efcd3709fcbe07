/*
 * commands_shared.c: effects, arguments and replies that several families need.
 *
 * What is logged (I3): a command that reads no clock and no random number is its own effect and is logged word for word; the others
 * log what they did, with absolute times.
 */
#include "base/mem.h"
#include "commands_internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

void commands_log_as_received(struct command_call *call)
{
    if (likely(call->request.size > 0))
        keyspace_log_request(call->view, call->keys, call->key_count, call->request);
    else
        keyspace_log_args(call->view, call->keys, call->key_count, call->argv, (size_t)call->argc);
}

void commands_log_delete(struct command_call *call, const struct key *key)
{
    const struct slice args[] = {SLICE_LITERAL("DEL"), key_slice(key)};
    keyspace_log_args(call->view, key, 1, args, COUNT_OF(args));
}

void commands_log_expiry(struct command_call *call, const struct key *key, uint64_t expire_ms)
{
    char text[24];
    const struct slice args[] = {
        expire_ms == 0 ? SLICE_LITERAL("PERSIST") : SLICE_LITERAL("PEXPIREAT"), key_slice(key),
        slice_of(text, uint64_to_text(expire_ms, text))};
    keyspace_log_args(call->view, key, 1, args, expire_ms == 0 ? 2 : 3);
}

bool commands_delete(struct keyspace_view *view, const struct key *key)
{
    struct hot_record *record = keyspace_find(view, key, KEYSPACE_PEEK);
    if (record == NULL)
        return false;
    keyspace_delete(view, key, record);
    return true;
}

bool commands_value_of(struct command_call *call, int argument, struct value *value)
{
    struct resp_command *received = call->received;
    if (unlikely(received != NULL && received->blob != NULL && received->blob_index == argument)) {
        *value = value_blob(resp_command_take_blob(received));
        return true;
    }
    if (likely(value_string_own(call->argv[argument], value) == ST_OK))
        return true;
    commands_reply_no_memory(call);
    return false;
}

void commands_reply_no_memory(struct command_call *call)
{
    reply_error(call->reply, "ERR not enough memory for the value");
}

static void reply_invalid_expiry(struct command_call *call)
{
    char name[80];
    command_full_name(call->command, name, sizeof(name));
    reply_error_format(call->reply, "ERR invalid expire time in '%s' command", name);
}

/* Relative times begin at the time of the command; in replay there are none (I3). */
static bool to_moment(int64_t number, enum commands_time kind, uint64_t now_ms, int64_t *when_ms)
{
    int64_t ms = number;
    if ((kind == TIME_SECONDS || kind == TIME_UNIX_SECONDS) && mul_overflows(number, 1000, &ms))
        return false;
    const bool is_relative = kind == TIME_SECONDS || kind == TIME_MILLISECONDS;
    return !add_overflows(ms, is_relative ? (int64_t)now_ms : 0, when_ms);
}

bool commands_parse_time(
    struct command_call *call, int argument, enum commands_time kind, int64_t *when_ms)
{
    int64_t number = 0;
    if (!command_int64(call, argument, &number, NULL))
        return false;
    if (to_moment(number, kind, call->view->now_ms, when_ms))
        return true;
    reply_invalid_expiry(call);
    return false;
}

bool commands_parse_expiry(
    struct command_call *call, int argument, enum commands_time kind, uint64_t *expire_ms)
{
    int64_t number = 0;
    int64_t when_ms = 0;
    if (!command_int64(call, argument, &number, NULL))
        return false;
    if (number <= 0 || !to_moment(number, kind, call->view->now_ms, &when_ms)) {
        reply_invalid_expiry(call);
        return false;
    }
    *expire_ms = (uint64_t)when_ms;
    return true;
}

bool commands_parse_timeout(struct command_call *call, int argument, int64_t *timeout_ms)
{
    long double seconds = 0;
    if (!string_to_float(call->argv[argument], &seconds)) {
        reply_error(call->reply, "ERR timeout is not a float or out of range");
        return false;
    }
    const long double ms = ceill(seconds * 1000);
    if (ms < 0) {
        reply_error(call->reply, "ERR timeout is negative");
        return false;
    }
    /* The deadline has to be a time, too. */
    if (ms > (long double)INT64_MAX || (int64_t)ms > INT64_MAX - (int64_t)call->view->now_ms) {
        reply_error(call->reply, "ERR timeout is out of range");
        return false;
    }
    *timeout_ms = (int64_t)ms;
    return true;
}

bool commands_parse_loose_double(struct slice text, double *number, bool *out_of_range)
{
    char local[256];
    char *const copy = text.size < sizeof(local) ? local : mem_try_alloc(text.size + 1);
    if (copy == NULL)
        return false;
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    char *end = NULL;
    errno = 0;
    *number = strtod(copy, &end);
    *out_of_range = errno == ERANGE;
    const bool is_good = *end == '\0' && !isnan(*number);
    if (copy != local)
        mem_free(copy);
    return is_good;
}

bool commands_parse_int(struct command_call *call, int argument, int *value)
{
    int64_t number = 0;
    if (!command_int64(call, argument, &number, NULL))
        return false;
    if (number < INT32_MIN || number > INT32_MAX) {
        reply_error_format(call->reply, "ERR value is out of range, value must between %d and %d",
            INT32_MIN, INT32_MAX);
        return false;
    }
    *value = (int)number;
    return true;
}

int64_t commands_idle_s(const struct command_call *call, const struct hot_record *record)
{
    const uint64_t now_s = call->view->now_ms / 1000;
    uint64_t access_s = hot_record_access_s(record);
    if (access_s == 0) /* not since the start */
        access_s = call->server->started_unix_s;
    return access_s < now_s ? (int64_t)(now_s - access_s) : 0;
}

void commands_reply_help(struct command_call *call, const char *container, const char *const *lines)
{
    size_t count = 0;
    while (lines[count] != NULL)
        count++;
    char head[160];
    (void)snprintf(head, sizeof(head),
        "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", container);
    reply_array(call->reply, count + 3);
    reply_simple(call->reply, head);
    for (size_t i = 0; i < count; i++)
        reply_simple(call->reply, lines[i]);
    reply_simple(call->reply, "HELP");
    reply_simple(call->reply, "    Prints this help.");
}
