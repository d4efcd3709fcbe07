/*
 * hash.c: single fields: HSET, HGET, HDEL, HINCRBY and their relatives.
 */
#include "hash_internal.h"
#include "scan_element.h"

#include <math.h>

#define REPLY_HASH_NOT_INTEGER "ERR hash value is not an integer"
#define REPLY_HASH_NOT_FLOAT   "ERR hash value is not a float"

/* --- reading ----------------------------------------------------------------------------------------------------- */

void hash_reply_field(struct command_call *call, const struct dict *dict, struct slice name)
{
    const struct element field = element_of(name);
    struct element value;
    if (dict == NULL || !dict_get(dict, &field, hash_now_ms(call), &value))
        reply_null(call->reply);
    else
        element_reply(call->reply, &value);
}

void cmd_hget(struct command_call *call)
{
    const struct hash_fields fields = {.first = 2, .step = 1, .count = 1};
    struct hash_edit edit;
    if (!hash_open(call, KEYSPACE_READ, &edit))
        return;
    hash_purge(&edit, &fields, false);
    hash_reply_field(call, edit.dict, call->argv[2]);
}

void cmd_hmget(struct command_call *call)
{
    const struct hash_fields fields = {.first = 2, .step = 1, .count = call->argc - 2};
    struct hash_edit edit;
    if (!hash_open(call, KEYSPACE_READ, &edit))
        return;
    hash_purge(&edit, &fields, false);
    reply_array(call->reply, (size_t)fields.count);
    for (int i = 0; i < fields.count; i++)
        hash_reply_field(call, edit.dict, hash_field_name(call, &fields, i));
}

void cmd_hlen(struct command_call *call)
{
    struct hash_edit edit;
    if (hash_open(call, KEYSPACE_READ, &edit))
        reply_integer(call->reply, edit.dict == NULL ? 0 : (int64_t)dict_count(edit.dict));
}

/* The value of argv[2]'s field. False: there is none, and edit->dict may be NULL; or an error was replied and `replied` set. */
static bool find_value(struct command_call *call, struct element *value, bool *replied)
{
    const struct hash_fields fields = {.first = 2, .step = 1, .count = 1};
    const struct element field = element_of(call->argv[2]);
    struct hash_edit edit;
    *replied = !hash_open(call, KEYSPACE_READ, &edit);
    if (*replied)
        return false;
    hash_purge(&edit, &fields, false);
    return edit.dict != NULL && dict_get(edit.dict, &field, hash_now_ms(call), value);
}

void cmd_hstrlen(struct command_call *call)
{
    struct element value;
    bool replied = false;
    const bool found = find_value(call, &value, &replied);
    if (!replied)
        reply_integer(call->reply, found ? (int64_t)element_text_size(&value) : 0);
}

void cmd_hexists(struct command_call *call)
{
    struct element value;
    bool replied = false;
    const bool found = find_value(call, &value, &replied);
    if (!replied)
        reply_integer(call->reply, found ? 1 : 0);
}

/* --- writing ------------------------------------------------------------------------------------------------------- */

/* HSET and HMSET, which differ in the reply. */
void cmd_hset(struct command_call *call)
{
    const struct hash_fields fields = {.first = 2, .step = 2, .count = (call->argc - 2) / 2};
    struct hash_edit edit;
    if (call->argc % 2 == 1) {
        command_reply_arity(call->reply, call->command);
        return;
    }
    if (!hash_sizes_are_fine(call, 2) || !hash_open_fields(call, &fields, &edit))
        return;
    int64_t created = 0;
    hash_change(&edit);
    for (int i = 2; i < call->argc; i += 2) {
        const struct element field = element_of(call->argv[i]);
        const struct element value = element_of(call->argv[i + 1]);
        if (dict_set(edit.dict, &field, &value, DICT_CLEAR_EXPIRY))
            created++;
    }
    hash_close(&edit);
    keyspace_notify(call->view, EVENT_HASH, "hset", &call->keys[0]);
    commands_log_as_received(call);
    if (call->command->name[1] == 'm')
        reply_ok(call->reply);
    else
        reply_integer(call->reply, created);
}

void cmd_hsetnx(struct command_call *call)
{
    const struct hash_fields fields = {.first = 2, .step = 1, .count = 1};
    const struct element field = element_of(call->argv[2]);
    const struct element value = element_of(call->argv[3]);
    struct hash_edit edit;
    if (!hash_sizes_are_fine(call, 2) || !hash_open_fields(call, &fields, &edit))
        return;
    if (edit.dict != NULL && dict_presence(edit.dict, &field, hash_now_ms(call)) == DICT_LIVE) {
        reply_integer(call->reply, 0);
        return;
    }
    hash_change(&edit);
    (void)dict_set(edit.dict, &field, &value, DICT_CLEAR_EXPIRY);
    hash_close(&edit);
    keyspace_notify(call->view, EVENT_HASH, "hset", &call->keys[0]);
    commands_log_as_received(call);
    reply_integer(call->reply, 1);
}

/* Fields that are over are deleted like others, as Redis does: to know whether they are takes another search. */
void cmd_hdel(struct command_call *call)
{
    struct hash_edit edit;
    int64_t deleted = 0;
    if (!hash_open(call, KEYSPACE_WRITE, &edit))
        return;
    for (int i = 2; i < call->argc && edit.dict != NULL; i++) {
        const struct element field = element_of(call->argv[i]);
        if (dict_presence(edit.dict, &field, 0) == DICT_ABSENT)
            continue;
        hash_change(&edit);
        (void)dict_remove(edit.dict, &field);
        deleted++;
    }
    if (deleted > 0) {
        keyspace_notify(call->view, EVENT_HASH, "hdel", &call->keys[0]);
        hash_close(&edit);
        commands_log_as_received(call);
    }
    reply_integer(call->reply, deleted);
}

/* --- numbers ----------------------------------------------------------------------------------------------------------- */

void cmd_hincrby(struct command_call *call)
{
    const struct hash_fields fields = {.first = 2, .step = 1, .count = 1};
    const struct element field = element_of(call->argv[2]);
    struct element value = element_of_integer(0);
    struct hash_edit edit;
    int64_t increment = 0;
    int64_t number = 0;
    if (!command_int64(call, 3, &increment, NULL) || !hash_sizes_are_fine(call, 2) ||
        !hash_open_fields(call, &fields, &edit))
        return;
    if (edit.dict != NULL)
        (void)dict_get(edit.dict, &field, hash_now_ms(call), &value);
    if (!value.is_integer) {
        reply_error(call->reply, REPLY_HASH_NOT_INTEGER);
        return;
    }
    if (add_overflows(value.integer, increment, &number)) {
        reply_error(call->reply, "ERR increment or decrement would overflow");
        return;
    }
    value = element_of_integer(number);
    hash_change(&edit);
    (void)dict_set(edit.dict, &field, &value, DICT_KEEP_EXPIRY);
    hash_close(&edit);
    keyspace_notify(call->view, EVENT_HASH, "hincrby", &call->keys[0]);
    commands_log_as_received(call);
    reply_integer(call->reply, number);
}

static bool element_to_float(const struct element *value, long double *number)
{
    if (!value->is_integer)
        return string_to_float(value->bytes, number);
    *number = (long double)value->integer;
    return true;
}

/* As the sum depends on the machine, it is what is logged. */
static void log_float(struct command_call *call, struct slice text, bool expires)
{
    struct hash_effect effect;
    hash_effect_init(&effect, call, expires ? "HSETEX" : "HSET", 1, 2);
    if (expires) {
        hash_effect_word(&effect, SLICE_LITERAL("KEEPTTL"));
        hash_effect_fields(&effect);
    }
    hash_effect_field(&effect, call->argv[2]);
    hash_effect_word(&effect, text);
    hash_effect_end(&effect, call);
}

void cmd_hincrbyfloat(struct command_call *call)
{
    const struct hash_fields fields = {.first = 2, .step = 1, .count = 1};
    const struct element field = element_of(call->argv[2]);
    struct element value = element_of_integer(0);
    struct hash_edit edit;
    long double increment = 0;
    long double number = 0;
    if (!string_to_float(call->argv[3], &increment)) {
        reply_error(call->reply, REPLY_NOT_FLOAT);
        return;
    }
    if (isinf(increment)) {
        reply_error(call->reply, "ERR value is NaN or Infinity");
        return;
    }
    if (!hash_sizes_are_fine(call, 2) || !hash_open_fields(call, &fields, &edit))
        return;
    if (edit.dict != NULL)
        (void)dict_get(edit.dict, &field, hash_now_ms(call), &value);
    if (!element_to_float(&value, &number)) {
        reply_error(call->reply, REPLY_HASH_NOT_FLOAT);
        return;
    }
    number += increment;
    if (isnan(number) || isinf(number)) {
        reply_error(call->reply, "ERR increment would produce NaN or Infinity");
        return;
    }
    char out[STRING_FLOAT_TEXT_SIZE];
    const struct slice text = slice_of(out, string_from_float(number, out));
    value = element_of(text);
    hash_change(&edit);
    (void)dict_set(edit.dict, &field, &value, DICT_KEEP_EXPIRY);
    const bool expires = dict_expire_ms(edit.dict, &field) != 0;
    hash_close(&edit);
    keyspace_notify(call->view, EVENT_HASH, "hincrbyfloat", &call->keys[0]);
    log_float(call, text, expires);
    reply_bulk(call->reply, text);
}
