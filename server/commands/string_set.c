/*
 * string_set.c: commands that store whole strings: SET with its options, MSET and the old forms.
 *
 *   decide (options, existence)  ──►  make the value  ──►  reply the old one if asked  ──►  store  ──►  log
 *
 * Nothing has changed before the value is made: what can fail comes first. The old value is needed only by GET; all else is answered
 * by the record's header, so a cold record is overwritten without being read.
 *
 * Logged: plain SET, KEEPTTL and PXAT as they came; everything else as a SET that says what was done.
 */
#include "base/mem.h"
#include "commands_internal.h"

enum tier_need set_need(int argc, const struct slice *argv, size_t index)
{
    (void)index;
    struct string_options options;
    if (likely(argc == 3))
        return TIER_NEED_HEADER;
    const bool is_well_formed =
        string_options_parse(STRING_OPTIONS_OF_SET, argc, argv, 3, &options);
    return is_well_formed && options.get ? TIER_NEED_VALUE : TIER_NEED_HEADER;
}

/* What a SET in any of its forms does once its arguments are understood. */
struct set_plan {
    int value_argument;
    enum string_expiry expiry; /* KEEP, or any other: expire_ms counts */
    uint64_t expire_ms;
    bool as_received; /* the request says it all */
};

static void log_set(struct command_call *call, const struct set_plan *plan)
{
    if (plan->as_received) {
        commands_log_as_received(call);
        return;
    }
    char text[24];
    struct slice args[5] = {
        SLICE_LITERAL("SET"), key_slice(&call->keys[0]), call->argv[plan->value_argument]};
    size_t count = 3;
    if (plan->expiry == STRING_EXPIRY_KEEP) {
        args[count++] = SLICE_LITERAL("KEEPTTL");
    } else if (plan->expire_ms != 0) {
        args[count++] = SLICE_LITERAL("PXAT");
        args[count++] = slice_of(text, uint64_to_text(plan->expire_ms, text));
    }
    keyspace_log_args(call->view, &call->keys[0], 1, args, count);
}

/* Stores; value's ownership moves. */
static void store(struct command_call *call, struct hot_record *record, struct value value,
    const struct set_plan *plan)
{
    uint64_t expire_ms = plan->expire_ms;
    if (plan->expiry == STRING_EXPIRY_KEEP && record != NULL)
        expire_ms = hot_record_expire_ms(record);
    (void)keyspace_set(call->view, &call->keys[0], record, value, expire_ms);
    log_set(call, plan);
    keyspace_notify(call->view, EVENT_STRING, "set", &call->keys[0]);
    if (plan->expire_ms != 0)
        keyspace_notify(call->view, EVENT_GENERIC, "expire", &call->keys[0]);
}

static void reply_old(struct command_call *call, const struct hot_record *record)
{
    if (record == NULL) {
        reply_null(call->reply);
        return;
    }
    const struct value value = hot_record_value(record);
    reply_value(call->reply, &value);
}

/* As received, it may be executed again at any time with the same result. */
static bool is_own_effect(const struct string_options *options)
{
    return !options->nx && !options->xx && !options->get &&
           (options->expiry == STRING_EXPIRY_NONE || options->expiry == STRING_EXPIRY_KEEP ||
               options->expiry == STRING_EXPIRY_PXAT);
}

static void set_with_options(struct command_call *call)
{
    struct string_options options;
    struct set_plan plan = {.value_argument = 2};
    struct hot_record *record = NULL;
    if (!string_options_parse(STRING_OPTIONS_OF_SET, call->argc, call->argv, 3, &options)) {
        reply_error(call->reply, REPLY_SYNTAX);
        return;
    }
    if (!string_options_time(call, &options, &plan.expire_ms))
        return;
    plan.expiry = options.expiry;
    plan.as_received = is_own_effect(&options);
    if (options.get) {
        if (!command_find_typed(call, 0, KEYSPACE_READ, VALUE_STRING, &record))
            return;
    } else {
        record = keyspace_find(call->view, &call->keys[0], KEYSPACE_WRITE);
    }
    if ((options.nx && record != NULL) || (options.xx && record == NULL)) {
        if (options.get)
            reply_old(call, record);
        else
            reply_null(call->reply);
        return;
    }
    struct value value;
    if (!commands_value_of(call, 2, &value))
        return;
    if (options.get)
        reply_old(call, record);
    else
        reply_ok(call->reply);
    store(call, record, value, &plan);
}

void cmd_set(struct command_call *call)
{
    if (unlikely(call->argc > 3)) {
        set_with_options(call);
        return;
    }
    struct value value;
    struct hot_record *record = keyspace_find(call->view, &call->keys[0], KEYSPACE_WRITE);
    if (unlikely(!commands_value_of(call, 2, &value)))
        return;
    (void)keyspace_set(call->view, &call->keys[0], record, value, 0);
    commands_log_as_received(call);
    keyspace_notify(call->view, EVENT_STRING, "set", &call->keys[0]);
    reply_ok(call->reply);
}

void cmd_setnx(struct command_call *call)
{
    struct value value;
    if (keyspace_find(call->view, &call->keys[0], KEYSPACE_WRITE) != NULL) {
        reply_integer(call->reply, 0);
        return;
    }
    if (!commands_value_of(call, 2, &value))
        return;
    const struct set_plan plan = {.value_argument = 2};
    store(call, NULL, value, &plan);
    reply_integer(call->reply, 1);
}

static void set_expiring(struct command_call *call, enum commands_time kind)
{
    struct set_plan plan = {.value_argument = 3};
    struct value value;
    if (!commands_parse_expiry(call, 2, kind, &plan.expire_ms))
        return;
    struct hot_record *record = keyspace_find(call->view, &call->keys[0], KEYSPACE_WRITE);
    if (!commands_value_of(call, 3, &value))
        return;
    store(call, record, value, &plan);
    reply_ok(call->reply);
}

void cmd_setex(struct command_call *call)
{
    set_expiring(call, TIME_SECONDS);
}

void cmd_psetex(struct command_call *call)
{
    set_expiring(call, TIME_MILLISECONDS);
}

void cmd_getset(struct command_call *call)
{
    struct hot_record *record = NULL;
    struct value value;
    if (!command_find_typed(call, 0, KEYSPACE_READ, VALUE_STRING, &record) ||
        !commands_value_of(call, 2, &value))
        return;
    reply_old(call, record);
    const struct set_plan plan = {.value_argument = 2};
    store(call, record, value, &plan);
}

/* --- several keys ------------------------------------------------------------------------------------------- */

/* Number of the argument that is the value of key `index`. */
static int value_argument(size_t index)
{
    return (int)(2 * index) + 2;
}

static bool has_long_value(const struct command_call *call)
{
    for (size_t i = 0; i < call->key_count; i++) {
        if (call->argv[value_argument(i)].size > VALUE_INLINE_SIZE_MAX)
            return true;
    }
    return false;
}

static void store_one(struct command_call *call, size_t index, struct value value)
{
    const struct key *key = &call->keys[index];
    struct hot_record *record = keyspace_find(call->view, key, KEYSPACE_WRITE);
    (void)keyspace_set(call->view, key, record, value, 0);
    keyspace_notify(call->view, EVENT_STRING, "set", key);
}

/* Values with their own memory are all made before the first is stored: all or nothing. */
static bool store_long_values(struct command_call *call)
{
    struct value *values = mem_alloc(call->key_count * sizeof(*values));
    size_t made = 0;
    while (made < call->key_count && commands_value_of(call, value_argument(made), &values[made]))
        made++;
    const bool complete = made == call->key_count;
    for (size_t i = 0; i < made; i++) {
        if (complete)
            store_one(call, i, values[i]);
        else
            value_release(&values[i]);
    }
    mem_free(values);
    return complete;
}

/* False: an error was replied and nothing has changed. */
static bool store_all(struct command_call *call)
{
    if (likely(!has_long_value(call))) {
        for (size_t i = 0; i < call->key_count; i++)
            store_one(call, i, value_string(call->argv[value_argument(i)]));
        commands_log_as_received(call);
        return true;
    }
    /* If a key comes twice its first value is gone before the log has read its bytes. */
    struct blob *kept = call->received != NULL ? call->received->blob : NULL;
    if (kept != NULL)
        (void)blob_ref(kept);
    const bool stored = store_long_values(call);
    if (stored)
        commands_log_as_received(call);
    blob_unref(kept);
    return stored;
}

static bool has_pairs(struct command_call *call)
{
    if (call->argc % 2 == 1)
        return true;
    command_reply_arity(call->reply, call->command);
    return false;
}

void cmd_mset(struct command_call *call)
{
    if (has_pairs(call) && store_all(call))
        reply_ok(call->reply);
}

void cmd_msetnx(struct command_call *call)
{
    if (!has_pairs(call))
        return;
    for (size_t i = 0; i < call->key_count; i++) {
        if (keyspace_find(call->view, &call->keys[i], KEYSPACE_PEEK) != NULL) {
            reply_integer(call->reply, 0);
            return;
        }
    }
    if (store_all(call))
        reply_integer(call->reply, 1);
}
