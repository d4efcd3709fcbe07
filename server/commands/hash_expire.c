/*
 * hash_expire.c: fields with an expiry: the HEXPIRE family of Redis 7.4, HGETDEL, HGETEX and HSETEX of Redis 8.
 *
 * What is logged has absolute times and no conditions: HPEXPIREAT, HPERSIST, HSETEX ... PXAT, HDEL of what was over at once.
 */
#include "hash_internal.h"

/* Replies for one field. */
enum { NO_FIELD = -2, NO_EXPIRY = -1, NOT_SET = 0, WAS_SET = 1, WAS_DELETED = 2 };

static void reply_each(struct command_call *call, int count, int64_t number)
{
    reply_array(call->reply, (size_t)count);
    for (int i = 0; i < count; i++)
        reply_integer(call->reply, number);
}

/* --- HEXPIRE ------------------------------------------------------------------------------------------------------- */

/* The effect on fields: those given this expiry, or deleted because it is past. */
static void effect_of_time(
    struct command_call *call, uint64_t expire_ms, int field_max, struct hash_effect *effect)
{
    if (hash_time_is_past(call, expire_ms)) {
        hash_effect_init(effect, call, "HDEL", (size_t)field_max, 1);
        return;
    }
    hash_effect_init(effect, call, "HPEXPIREAT", (size_t)field_max, 1);
    hash_effect_time(effect, expire_ms);
    hash_effect_fields(effect);
}

/* Gives a live field its expiry, or deletes it. */
static void set_time(struct hash_edit *edit, const struct element *field, uint64_t expire_ms)
{
    hash_change(edit);
    if (hash_time_is_past(edit->call, expire_ms))
        (void)dict_remove(edit->dict, field);
    else
        dict_expire_set(edit->dict, field, expire_ms);
}

static void end_times(struct hash_edit *edit, uint64_t expire_ms, struct hash_effect *effect)
{
    struct command_call *const call = edit->call;
    if (effect->field_count > 0)
        keyspace_notify(call->view, EVENT_HASH,
            hash_time_is_past(call, expire_ms) ? "hdel" : "hexpire", &call->keys[0]);
    hash_close(edit);
    hash_effect_end(effect, call);
}

static void expire_fields(
    struct hash_edit *edit, const struct hash_options *options, uint64_t expire_ms)
{
    struct command_call *const call = edit->call;
    const struct hash_fields *const fields = &options->fields;
    const uint64_t now_ms = hash_now_ms(call);
    struct hash_effect effect;
    effect_of_time(call, expire_ms, fields->count, &effect);
    reply_array(call->reply, (size_t)fields->count);
    for (int i = 0; i < fields->count; i++) {
        const struct slice name = hash_field_name(call, fields, i);
        const struct element field = element_of(name);
        if (dict_presence(edit->dict, &field, now_ms) != DICT_LIVE) {
            reply_integer(call->reply, NO_FIELD);
        } else if (!expire_conditions_hold(&options->conditions, dict_expire_ms(edit->dict, &field),
                       (int64_t)expire_ms)) {
            reply_integer(call->reply, NOT_SET);
        } else {
            set_time(edit, &field, expire_ms);
            hash_effect_field(&effect, name);
            reply_integer(call->reply, hash_time_is_past(call, expire_ms) ? WAS_DELETED : WAS_SET);
        }
    }
    end_times(edit, expire_ms, &effect);
}

static void hexpire(struct command_call *call, enum commands_time kind)
{
    struct hash_options options = {0};
    struct hash_edit edit;
    uint64_t expire_ms = 0;
    if (!hash_open(call, KEYSPACE_WRITE, &edit) || !hash_parse_time(call, 2, kind, &expire_ms) ||
        !hash_parse_hexpire(call, &options))
        return;
    hash_purge(&edit, &options.fields, true);
    if (edit.dict == NULL)
        reply_each(call, options.fields.count, NO_FIELD);
    else
        expire_fields(&edit, &options, expire_ms);
}

void cmd_hexpire(struct command_call *call)
{
    hexpire(call, TIME_SECONDS);
}

void cmd_hpexpire(struct command_call *call)
{
    hexpire(call, TIME_MILLISECONDS);
}

void cmd_hexpireat(struct command_call *call)
{
    hexpire(call, TIME_UNIX_SECONDS);
}

void cmd_hpexpireat(struct command_call *call)
{
    hexpire(call, TIME_UNIX_MILLISECONDS);
}

/* --- HTTL, HEXPIRETIME ----------------------------------------------------------------------------------------------- */

/* base_ms: what times are counted from. Seconds are rounded up. */
static void reply_times(struct command_call *call, uint64_t base_ms, bool in_seconds)
{
    struct hash_fields fields;
    struct hash_edit edit;
    if (!hash_open(call, KEYSPACE_READ, &edit) ||
        !hash_parse_fields(call, 2, "ERR Number of fields must be a positive integer", &fields))
        return;
    if (edit.dict == NULL) {
        reply_each(call, fields.count, NO_FIELD);
        return;
    }
    const uint64_t now_ms = hash_now_ms(call);
    reply_array(call->reply, (size_t)fields.count);
    for (int i = 0; i < fields.count; i++) {
        const struct element field = element_of(hash_field_name(call, &fields, i));
        const uint64_t expire_ms = dict_expire_ms(edit.dict, &field);
        if (dict_presence(edit.dict, &field, now_ms) != DICT_LIVE) {
            reply_integer(call->reply, NO_FIELD);
        } else if (expire_ms == 0) {
            reply_integer(call->reply, NO_EXPIRY);
        } else {
            const uint64_t time_ms = expire_ms > base_ms ? expire_ms - base_ms : 0;
            reply_integer(call->reply, (int64_t)(in_seconds ? (time_ms + 999) / 1000 : time_ms));
        }
    }
}

void cmd_httl(struct command_call *call)
{
    reply_times(call, call->view->now_ms, true);
}

void cmd_hpttl(struct command_call *call)
{
    reply_times(call, call->view->now_ms, false);
}

void cmd_hexpiretime(struct command_call *call)
{
    reply_times(call, 0, true);
}

void cmd_hpexpiretime(struct command_call *call)
{
    reply_times(call, 0, false);
}

/* --- HPERSIST ------------------------------------------------------------------------------------------------------------ */

void cmd_hpersist(struct command_call *call)
{
    struct hash_fields fields;
    struct hash_edit edit;
    struct hash_effect effect;
    if (!hash_open(call, KEYSPACE_WRITE, &edit) ||
        !hash_parse_fields(call, 2, "ERR Number of fields must be a positive integer", &fields))
        return;
    hash_purge(&edit, &fields, true);
    if (edit.dict == NULL) {
        reply_each(call, fields.count, NO_FIELD);
        return;
    }
    hash_effect_init(&effect, call, "HPERSIST", (size_t)fields.count, 1);
    hash_effect_fields(&effect);
    reply_array(call->reply, (size_t)fields.count);
    for (int i = 0; i < fields.count; i++) {
        const struct slice name = hash_field_name(call, &fields, i);
        const struct element field = element_of(name);
        if (dict_presence(edit.dict, &field, hash_now_ms(call)) != DICT_LIVE) {
            reply_integer(call->reply, NO_FIELD);
        } else if (dict_expire_ms(edit.dict, &field) == 0) {
            reply_integer(call->reply, NO_EXPIRY);
        } else {
            hash_change(&edit);
            dict_expire_set(edit.dict, &field, 0);
            hash_effect_field(&effect, name);
            reply_integer(call->reply, WAS_SET);
        }
    }
    if (effect.field_count > 0)
        keyspace_notify(call->view, EVENT_HASH, "hpersist", &call->keys[0]);
    hash_close(&edit);
    hash_effect_end(&effect, call);
}

/* --- HGETDEL, HGETEX ---------------------------------------------------------------------------------------------------- */

/* Deletes the field if it is there. */
static void delete_field(struct hash_edit *edit, struct slice name, struct hash_effect *effect)
{
    const struct element field = element_of(name);
    if (edit->dict == NULL || dict_presence(edit->dict, &field, 0) == DICT_ABSENT)
        return;
    hash_change(edit);
    (void)dict_remove(edit->dict, &field);
    hash_effect_field(effect, name);
}

static void end_deletes(struct hash_edit *edit, struct hash_effect *effect)
{
    struct command_call *const call = edit->call;
    if (effect->field_count > 0)
        keyspace_notify(call->view, EVENT_HASH, "hdel", &call->keys[0]);
    hash_close(edit);
    hash_effect_end(effect, call);
}

void cmd_hgetdel(struct command_call *call)
{
    struct hash_fields fields;
    struct hash_edit edit;
    if (!hash_open(call, KEYSPACE_WRITE, &edit) ||
        !hash_parse_fields(call, 2, "ERR Number of fields must be a positive integer", &fields))
        return;
    hash_purge(&edit, &fields, true);
    reply_array(call->reply, (size_t)fields.count);
    struct hash_effect effect;
    hash_effect_init(&effect, call, "HDEL", (size_t)fields.count, 1);
    /* One by one: a field that is named twice is gone the second time. */
    for (int i = 0; i < fields.count; i++) {
        const struct slice name = hash_field_name(call, &fields, i);
        hash_reply_field(call, edit.dict, name);
        delete_field(&edit, name, &effect);
    }
    end_deletes(&edit, &effect);
}

static void persist_fields(struct hash_edit *edit, const struct hash_fields *fields)
{
    struct command_call *const call = edit->call;
    struct hash_effect effect;
    hash_effect_init(&effect, call, "HPERSIST", (size_t)fields->count, 1);
    hash_effect_fields(&effect);
    for (int i = 0; i < fields->count; i++) {
        const struct slice name = hash_field_name(call, fields, i);
        const struct element field = element_of(name);
        if (dict_expire_ms(edit->dict, &field) == 0)
            continue;
        hash_change(edit);
        dict_expire_set(edit->dict, &field, 0);
        hash_effect_field(&effect, name);
    }
    if (effect.field_count > 0)
        keyspace_notify(call->view, EVENT_HASH, "hpersist", &call->keys[0]);
    hash_close(edit);
    hash_effect_end(&effect, call);
}

static void give_time(struct hash_edit *edit, const struct hash_fields *fields, uint64_t expire_ms)
{
    struct command_call *const call = edit->call;
    struct hash_effect effect;
    effect_of_time(call, expire_ms, fields->count, &effect);
    for (int i = 0; i < fields->count; i++) {
        const struct slice name = hash_field_name(call, fields, i);
        const struct element field = element_of(name);
        if (dict_presence(edit->dict, &field, 0) == DICT_ABSENT)
            continue;
        set_time(edit, &field, expire_ms);
        hash_effect_field(&effect, name);
    }
    end_times(edit, expire_ms, &effect);
}

void cmd_hgetex(struct command_call *call)
{
    struct hash_options options = {0};
    struct hash_edit edit;
    if (!hash_open(call, KEYSPACE_WRITE, &edit) || !hash_parse_hgetex(call, &options))
        return;
    hash_purge(&edit, &options.fields, true);
    reply_array(call->reply, (size_t)options.fields.count);
    for (int i = 0; i < options.fields.count; i++)
        hash_reply_field(call, edit.dict, hash_field_name(call, &options.fields, i));
    if (edit.dict == NULL)
        return;
    if (options.expiry == HASH_EXPIRY_PERSIST)
        persist_fields(&edit, &options.fields);
    else if (options.expiry == HASH_EXPIRY_AT)
        give_time(&edit, &options.fields, options.expire_ms);
}

/* --- HSETEX --------------------------------------------------------------------------------------------------------------- */

/* FNX: none of the fields is there; FXX: all of them are. */
static bool condition_holds(const struct hash_edit *edit, const struct hash_options *options)
{
    const uint64_t now_ms = hash_now_ms(edit->call);
    for (int i = 0; (options->fnx || options->fxx) && i < options->fields.count; i++) {
        const struct element field = element_of(hash_field_name(edit->call, &options->fields, i));
        const bool is_there =
            edit->dict != NULL && dict_presence(edit->dict, &field, now_ms) == DICT_LIVE;
        if (is_there != options->fxx)
            return false;
    }
    return true;
}

/* What is set with a time that is past is gone at once. */
static void delete_fields(struct hash_edit *edit, const struct hash_fields *fields)
{
    struct hash_effect effect;
    hash_effect_init(&effect, edit->call, "HDEL", (size_t)fields->count, 1);
    for (int i = 0; i < fields->count; i++)
        delete_field(edit, hash_field_name(edit->call, fields, i), &effect);
    end_deletes(edit, &effect);
}

static void effect_of_setex(
    struct command_call *call, const struct hash_options *options, struct hash_effect *effect)
{
    hash_effect_init(effect, call, "HSETEX", (size_t)options->fields.count, 2);
    if (options->expiry == HASH_EXPIRY_KEEP)
        hash_effect_word(effect, SLICE_LITERAL("KEEPTTL"));
    if (options->expiry == HASH_EXPIRY_AT) {
        hash_effect_word(effect, SLICE_LITERAL("PXAT"));
        hash_effect_time(effect, options->expire_ms);
    }
    hash_effect_fields(effect);
}

static void set_fields(struct hash_edit *edit, const struct hash_options *options)
{
    struct command_call *const call = edit->call;
    const enum dict_keep keep =
        options->expiry == HASH_EXPIRY_KEEP ? DICT_KEEP_EXPIRY : DICT_CLEAR_EXPIRY;
    struct hash_effect effect;
    effect_of_setex(call, options, &effect);
    hash_change(edit);
    for (int i = 0; i < options->fields.count; i++) {
        const struct slice name = hash_field_name(call, &options->fields, i);
        const struct slice text = call->argv[options->fields.first + 2 * i + 1];
        const struct element field = element_of(name);
        const struct element value = element_of(text);
        (void)dict_set(edit->dict, &field, &value, keep);
        if (options->expiry == HASH_EXPIRY_AT)
            dict_expire_set(edit->dict, &field, options->expire_ms);
        hash_effect_field(&effect, name);
        hash_effect_word(&effect, text);
    }
    keyspace_notify(call->view, EVENT_HASH, "hset", &call->keys[0]);
    if (options->expiry == HASH_EXPIRY_AT)
        keyspace_notify(call->view, EVENT_HASH, "hexpire", &call->keys[0]);
    hash_close(edit);
    hash_effect_end(&effect, call);
}

void cmd_hsetex(struct command_call *call)
{
    struct hash_options options = {0};
    struct hash_edit edit;
    if (!hash_sizes_are_fine(call, 2) || !hash_parse_hsetex(call, &options) ||
        !hash_open_fields(call, &options.fields, &edit))
        return;
    if (!condition_holds(&edit, &options)) {
        reply_integer(call->reply, 0);
        return;
    }
    if (options.expiry == HASH_EXPIRY_AT && hash_time_is_past(call, options.expire_ms)) {
        delete_fields(&edit, &options.fields);
    } else {
        set_fields(&edit, &options);
    }
    reply_integer(call->reply, 1);
}
