/*
 * string.c: commands that read strings: GET and its relatives.
 *
 * Values go out by reference when they are blobs; a reply holds its own reference, so the record may change or leave afterwards.
 */
#include "commands_internal.h"

/* Replies the value of key 0, or null. False: absent, or an error was replied. */
static bool reply_key(
    struct command_call *call, enum keyspace_access access, struct hot_record **record)
{
    if (unlikely(!command_find_typed(call, 0, access, VALUE_STRING, record)))
        return false;
    if (*record == NULL) {
        reply_null(call->reply);
        return false;
    }
    const struct value value = hot_record_value(*record);
    reply_value(call->reply, &value);
    return true;
}

void cmd_get(struct command_call *call)
{
    struct hot_record *record = NULL;
    (void)reply_key(call, KEYSPACE_READ, &record);
}

void cmd_getdel(struct command_call *call)
{
    struct hot_record *record = NULL;
    if (!reply_key(call, KEYSPACE_READ, &record))
        return;
    keyspace_delete(call->view, &call->keys[0], record);
    commands_log_delete(call, &call->keys[0]);
    keyspace_notify(call->view, EVENT_GENERIC, "del", &call->keys[0]);
}

/* Only a moment that was given as such can be past already: the key is then deleted. */
static bool is_past(
    const struct command_call *call, const struct string_options *options, uint64_t expire_ms)
{
    const bool is_absolute =
        options->expiry == STRING_EXPIRY_EXAT || options->expiry == STRING_EXPIRY_PXAT;
    return is_absolute && expire_ms <= call->view->now_ms;
}

void cmd_getex(struct command_call *call)
{
    struct string_options options;
    struct hot_record *record = NULL;
    uint64_t expire_ms = 0;
    if (!string_options_parse(STRING_OPTIONS_OF_GETEX, call->argc, call->argv, 2, &options)) {
        reply_error(call->reply, REPLY_SYNTAX);
        return;
    }
    /* The key comes first in what is refused: its type, then the time. */
    if (!command_find_typed(call, 0, KEYSPACE_READ, VALUE_STRING, &record))
        return;
    if (record == NULL) {
        reply_null(call->reply);
        return;
    }
    if (!string_options_time(call, &options, &expire_ms))
        return;
    const struct value value = hot_record_value(record);
    reply_value(call->reply, &value);
    struct key *key = &call->keys[0];
    if (is_past(call, &options, expire_ms)) {
        keyspace_delete(call->view, key, record);
        commands_log_delete(call, key);
        keyspace_notify(call->view, EVENT_GENERIC, "del", key);
    } else if (expire_ms != 0 ||
               (options.expiry == STRING_EXPIRY_PERSIST && hot_record_expire_ms(record) != 0)) {
        (void)keyspace_expire(call->view, key, record, expire_ms);
        commands_log_expiry(call, key, expire_ms);
        keyspace_notify(call->view, EVENT_GENERIC, expire_ms != 0 ? "expire" : "persist", key);
    }
}

void cmd_strlen(struct command_call *call)
{
    struct hot_record *record = NULL;
    if (!command_find_typed(call, 0, KEYSPACE_READ, VALUE_STRING, &record))
        return;
    reply_integer(call->reply, record == NULL ? 0 : (int64_t)hot_record_value_size(record));
}

void cmd_mget(struct command_call *call)
{
    reply_array(call->reply, call->key_count);
    for (size_t i = 0; i < call->key_count; i++) {
        const struct hot_record *record = keyspace_find(call->view, &call->keys[i], KEYSPACE_READ);
        if (record == NULL) {
            reply_null(call->reply);
            continue;
        }
        const struct value value = hot_record_value(record);
        if (value.type == VALUE_STRING)
            reply_value(call->reply, &value);
        else
            reply_null(call->reply);
    }
}
