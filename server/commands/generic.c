/*
 * generic.c: commands on keys of any type: DEL, EXISTS, TYPE, TOUCH, RENAME, COPY, MOVE.
 *
 * RENAME, COPY and MOVE transfer a value between two keys. A record's place is valid only until the next change, so each follows one
 * order: take a handle of the value, delete, look up the destination, store. COPY and MOVE may reach into another database: their row
 * says so (key_database), and keys[1] is then a key of that database.
 */
#include "commands_internal.h"

void cmd_del(struct command_call *call)
{
    int64_t deleted = 0;
    for (size_t i = 0; i < call->key_count; i++) {
        if (commands_delete(call->view, &call->keys[i])) {
            keyspace_notify(call->view, EVENT_GENERIC, "del", &call->keys[i]);
            deleted++;
        }
    }
    if (deleted > 0)
        commands_log_as_received(call);
    reply_integer(call->reply, deleted);
}

static void reply_present(struct command_call *call, enum keyspace_access access)
{
    int64_t present = 0;
    for (size_t i = 0; i < call->key_count; i++) {
        if (keyspace_find(call->view, &call->keys[i], access) != NULL)
            present++;
        else if (access == KEYSPACE_PEEK)
            keyspace_notify(call->view, EVENT_KEY_MISS, "keymiss", &call->keys[i]);
    }
    reply_integer(call->reply, present);
}

void cmd_exists(struct command_call *call)
{
    reply_present(call, KEYSPACE_PEEK);
}

void cmd_touch(struct command_call *call)
{
    reply_present(call, KEYSPACE_READ);
}

void cmd_type(struct command_call *call)
{
    const struct hot_record *record = keyspace_find(call->view, &call->keys[0], KEYSPACE_PEEK);
    if (record == NULL) {
        keyspace_notify(call->view, EVENT_KEY_MISS, "keymiss", &call->keys[0]);
        reply_simple(call->reply, "none");
        return;
    }
    const struct value value = hot_record_value(record);
    reply_simple(call->reply, value_type_name(value.type));
}

/* --- transfers between two keys -------------------------------------------------------------------------------- */

enum tier_need transfer_need(int argc, const struct slice *argv, size_t index)
{
    (void)argc;
    (void)argv;
    return index == 0 ? TIER_NEED_VALUE : TIER_NEED_HEADER;
}

/* What is told of a transfer. from NULL: the source stays. */
struct transfer_events {
    const char *from, *to;
};

/* A list, sorted set or stream, for which somebody may wait. */
static bool can_be_waited_for(enum value_type type)
{
    return type == VALUE_LIST || type == VALUE_ZSET || type == VALUE_STREAM;
}

/* Gives keys[1] the value and expiry of keys[0], whose record is `source`. Collections share their nodes until one of them changes. */
static void transfer(
    struct command_call *call, struct hot_record *source, struct transfer_events events)
{
    struct keyspace_view *view = call->view;
    struct buf storage = {0};
    const struct value value = keyspace_value_copy(source, &storage);
    const uint64_t expire_ms = hot_record_expire_ms(source);
    if (events.from != NULL)
        keyspace_delete(view, &call->keys[0], source);
    struct hot_record *target = keyspace_find(view, &call->keys[1], KEYSPACE_PEEK);
    (void)keyspace_set(view, &call->keys[1], target, value, expire_ms);
    buf_deinit(&storage);
    if (target != NULL)
        keyspace_notify(view, EVENT_NEW, "new", &call->keys[1]);
    if (events.from != NULL)
        keyspace_notify(view, EVENT_GENERIC, events.from, &call->keys[0]);
    keyspace_notify(view, EVENT_GENERIC, events.to, &call->keys[1]);
    if (can_be_waited_for(value.type))
        keyspace_signal_ready(view, &call->keys[1]);
    commands_log_as_received(call);
}

/* The record of keys[0] when nothing stands in the way; else NULL and *target_exists says whether keys[1] does. */
static struct hot_record *find_source(struct command_call *call, bool *target_exists)
{
    *target_exists = keyspace_find(call->view, &call->keys[1], KEYSPACE_PEEK) != NULL;
    return keyspace_find(call->view, &call->keys[0], KEYSPACE_WRITE);
}

/* Renames, or false after a refusal was replied. `always`: over an existing key. */
static bool rename_key(struct command_call *call, bool always, int64_t *renamed)
{
    bool target_exists = false;
    struct hot_record *source = find_source(call, &target_exists);
    *renamed = 0;
    if (source == NULL) {
        reply_error(call->reply, REPLY_NO_KEY);
        return false;
    }
    if (key_equal(&call->keys[0], &call->keys[1]) || (target_exists && !always))
        return true;
    transfer(call, source, (struct transfer_events){.from = "rename_from", .to = "rename_to"});
    *renamed = 1;
    return true;
}

void cmd_rename(struct command_call *call)
{
    int64_t renamed = 0;
    if (rename_key(call, true, &renamed))
        reply_ok(call->reply);
}

void cmd_renamenx(struct command_call *call)
{
    int64_t renamed = 0;
    if (rename_key(call, false, &renamed))
        reply_integer(call->reply, renamed);
}

/* A database number, or an error replied. */
static bool parse_database(struct command_call *call, int argument)
{
    int number = 0;
    if (!commands_parse_int(call, argument, &number))
        return false;
    if (number >= 0 && (unsigned)number < keyspace_database_count(call->view->keyspace))
        return true;
    reply_error(call->reply, REPLY_DB_INDEX);
    return false;
}

static bool refuse_same_key(struct command_call *call)
{
    if (!key_equal(&call->keys[0], &call->keys[1]))
        return false;
    reply_error(call->reply, "ERR source and destination objects are the same");
    return true;
}

/* The database an argument names, if it exists. */
static unsigned named_database(struct slice text, unsigned current, unsigned database_count)
{
    int64_t number = 0;
    if (slice_to_int64(text, &number) && number >= 0 && number < (int64_t)database_count)
        return (unsigned)number;
    return current;
}

static bool is_database_option(int argc, const struct slice *argv, int index)
{
    return slice_equal_nocase(argv[index], "db") && index + 1 < argc;
}

unsigned copy_key_database(
    int argc, const struct slice *argv, size_t index, unsigned current, unsigned database_count)
{
    unsigned database = current;
    for (int i = 3; index == 1 && i < argc; i++) {
        if (is_database_option(argc, argv, i))
            database = named_database(argv[++i], current, database_count);
    }
    return database;
}

static bool parse_copy_options(struct command_call *call, bool *replace)
{
    *replace = false;
    for (int i = 3; i < call->argc; i++) {
        if (slice_equal_nocase(call->argv[i], "replace")) {
            *replace = true;
        } else if (is_database_option(call->argc, call->argv, i)) {
            if (!parse_database(call, ++i))
                return false;
        } else {
            reply_error(call->reply, REPLY_SYNTAX);
            return false;
        }
    }
    return true;
}

void cmd_copy(struct command_call *call)
{
    bool replace = false;
    bool target_exists = false;
    if (!parse_copy_options(call, &replace) || refuse_same_key(call))
        return;
    struct hot_record *source = find_source(call, &target_exists);
    if (source == NULL || (target_exists && !replace)) {
        reply_integer(call->reply, 0);
        return;
    }
    transfer(call, source, (struct transfer_events){.to = "copy_to"});
    reply_integer(call->reply, 1);
}

unsigned move_key_database(
    int argc, const struct slice *argv, size_t index, unsigned current, unsigned database_count)
{
    (void)argc;
    return index == 0 ? current : named_database(argv[2], current, database_count);
}

int move_find_keys(int argc, const struct slice *argv, int *indexes, int max)
{
    (void)argc;
    (void)argv;
    for (int i = 0; i < 2 && i < max; i++)
        indexes[i] = 1;
    return 2;
}

void cmd_move(struct command_call *call)
{
    bool target_exists = false;
    if (!parse_database(call, 2) || refuse_same_key(call))
        return;
    struct hot_record *source = find_source(call, &target_exists);
    if (source == NULL || target_exists) {
        reply_integer(call->reply, 0);
        return;
    }
    transfer(call, source, (struct transfer_events){.from = "move_from", .to = "move_to"});
    reply_integer(call->reply, 1);
}
