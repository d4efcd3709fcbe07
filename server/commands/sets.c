/*
 * sets.c: commands on the members of one set: SADD, SREM, SMOVE, SISMEMBER, SMISMEMBER, SCARD, SMEMBERS, SSCAN.
 *
 * A write looks first whether it changes anything: an edit marks the record dirty and touches WATCH, so one that adds nothing must
 * not begin.
 */
#include "base/check.h"
#include "scan_element.h"
#include "sets_internal.h"

/* --- shared ------------------------------------------------------------------------------------------------------- */

bool sets_find(struct command_call *call, size_t index, enum keyspace_access access,
    struct set **set, struct hot_record **record)
{
    struct hot_record *found = NULL;
    *set = NULL;
    if (!command_find_typed(call, index, access, VALUE_SET, &found))
        return false;
    if (found != NULL) {
        const struct value value = hot_record_value(found);
        *set = set_of(&value);
    }
    if (record != NULL)
        *record = found;
    return true;
}

struct sets_edit sets_edit_begin(
    struct command_call *call, const struct key *key, struct hot_record *record)
{
    const struct value value = hot_record_value(record);
    const struct sets_edit edit = {
        .key = key, .record = record, .external_bytes = value_external_bytes(&value)};
    keyspace_edit_begin(call->view, key, record);
    return edit;
}

void sets_edit_end(struct command_call *call, const struct sets_edit *edit)
{
    keyspace_edit_end(call->view, edit->key, edit->record, edit->external_bytes);
}

void sets_store(struct command_call *call, const struct key *key, struct set *set)
{
    struct hot_record *const record = keyspace_find(call->view, key, KEYSPACE_PEEK);
    (void)keyspace_set(call->view, key, record, set_value(set), 0);
}

/* --- adding --------------------------------------------------------------------------------------------------------- */

static int64_t add_arguments(struct command_call *call, struct set *set, int first)
{
    int64_t added = 0;
    for (int i = first; i < call->argc; i++) {
        const struct element member = element_of(call->argv[i]);
        added += set_add(set, &member);
    }
    return added;
}

/* The first argument from argv[2] on that is (or is not) a member; argc if there is none. */
static int find_argument(const struct command_call *call, const struct set *set, bool is_member)
{
    int i = 2;
    for (; i < call->argc; i++) {
        const struct element member = element_of(call->argv[i]);
        if (set_contains(set, &member) == is_member)
            break;
    }
    return i;
}

void cmd_sadd(struct command_call *call)
{
    struct set *set = NULL;
    struct hot_record *record = NULL;
    if (!sets_find(call, 0, KEYSPACE_WRITE, &set, &record))
        return;
    const uint64_t count_hint = (uint64_t)call->argc - 2;
    int64_t added = 0;
    if (set == NULL) {
        const struct element first = element_of(call->argv[2]);
        set = set_create_for(&first, count_hint);
        added = add_arguments(call, set, 2);
        (void)keyspace_set(call->view, &call->keys[0], NULL, set_value(set), 0);
    } else {
        const int first = find_argument(call, set, false);
        if (first == call->argc) {
            reply_integer(call->reply, 0);
            return;
        }
        const struct sets_edit edit = sets_edit_begin(call, &call->keys[0], record);
        set_expect(set, count_hint);
        added = add_arguments(call, set, first);
        sets_edit_end(call, &edit);
    }
    keyspace_notify(call->view, EVENT_SET, "sadd", &call->keys[0]);
    commands_log_as_received(call);
    reply_integer(call->reply, added);
}

/* --- removing ------------------------------------------------------------------------------------------------------- */

static void delete_emptied(
    struct command_call *call, const struct key *key, struct hot_record *record)
{
    keyspace_delete(call->view, key, record);
    keyspace_notify(call->view, EVENT_GENERIC, "del", key);
}

void cmd_srem(struct command_call *call)
{
    struct set *set = NULL;
    struct hot_record *record = NULL;
    if (!sets_find(call, 0, KEYSPACE_WRITE, &set, &record))
        return;
    const int first = set == NULL ? call->argc : find_argument(call, set, true);
    if (first == call->argc) {
        reply_integer(call->reply, 0);
        return;
    }
    int64_t removed = 0;
    const struct sets_edit edit = sets_edit_begin(call, &call->keys[0], record);
    for (int i = first; i < call->argc && set_count(set) > 0; i++) {
        const struct element member = element_of(call->argv[i]);
        removed += set_remove(set, &member);
    }
    sets_edit_end(call, &edit);
    keyspace_notify(call->view, EVENT_SET, "srem", &call->keys[0]);
    if (set_count(set) == 0)
        delete_emptied(call, &call->keys[0], record);
    commands_log_as_received(call);
    reply_integer(call->reply, removed);
}

/* keys[0] loses the member, which it has. */
static void move_from(struct command_call *call, struct set *set, struct hot_record *record,
    const struct element *member)
{
    const struct sets_edit edit = sets_edit_begin(call, &call->keys[0], record);
    CHECK(set_remove(set, member));
    sets_edit_end(call, &edit);
    keyspace_notify(call->view, EVENT_SET, "srem", &call->keys[0]);
    if (set_count(set) == 0)
        delete_emptied(call, &call->keys[0], record);
}

/* keys[1] gets the member unless it has it. */
static void move_to(struct command_call *call, const struct element *member)
{
    const struct key *const key = &call->keys[1];
    struct hot_record *const record = keyspace_find(call->view, key, KEYSPACE_PEEK);
    if (record == NULL) {
        struct set *const set = set_create_for(member, 1);
        CHECK(set_add(set, member));
        (void)keyspace_set(call->view, key, NULL, set_value(set), 0);
    } else {
        const struct value value = hot_record_value(record);
        struct set *const set = set_of(&value);
        if (set_contains(set, member))
            return;
        const struct sets_edit edit = sets_edit_begin(call, key, record);
        CHECK(set_add(set, member));
        sets_edit_end(call, &edit);
    }
    keyspace_notify(call->view, EVENT_SET, "sadd", key);
}

void cmd_smove(struct command_call *call)
{
    struct set *source = NULL;
    struct set *target = NULL;
    struct hot_record *record = NULL;
    if (!sets_find(call, 0, KEYSPACE_WRITE, &source, NULL))
        return;
    if (source == NULL) {
        reply_integer(call->reply, 0);
        return;
    }
    /* The source once more: looking up the destination may have deleted an expired record. */
    if (!sets_find(call, 1, KEYSPACE_WRITE, &target, NULL) ||
        !sets_find(call, 0, KEYSPACE_PEEK, &source, &record))
        return;
    const struct element member = element_of(call->argv[3]);
    const bool is_member = source != NULL && set_contains(source, &member);
    if (is_member && source != target) {
        move_from(call, source, record, &member);
        move_to(call, &member);
        commands_log_as_received(call);
    }
    reply_integer(call->reply, is_member);
}

/* --- reading -------------------------------------------------------------------------------------------------------- */

void cmd_sismember(struct command_call *call)
{
    struct set *set = NULL;
    if (!sets_find(call, 0, KEYSPACE_READ, &set, NULL))
        return;
    const struct element member = element_of(call->argv[2]);
    reply_integer(call->reply, set != NULL && set_contains(set, &member));
}

void cmd_smismember(struct command_call *call)
{
    struct set *set = NULL;
    if (!sets_find(call, 0, KEYSPACE_READ, &set, NULL))
        return;
    reply_array(call->reply, (size_t)call->argc - 2);
    for (int i = 2; i < call->argc; i++) {
        const struct element member = element_of(call->argv[i]);
        reply_integer(call->reply, set != NULL && set_contains(set, &member));
    }
}

void cmd_scard(struct command_call *call)
{
    struct set *set = NULL;
    if (sets_find(call, 0, KEYSPACE_READ, &set, NULL))
        reply_integer(call->reply, set == NULL ? 0 : (int64_t)set_count(set));
}

void cmd_smembers(struct command_call *call)
{
    struct set *set = NULL;
    if (!sets_find(call, 0, KEYSPACE_READ, &set, NULL))
        return;
    if (set == NULL) {
        reply_set(call->reply, 0);
        return;
    }
    reply_set(call->reply, set_count(set));
    struct tree_cursor cursor;
    for (tree_cursor_at(set_members(set), 0, &cursor); !tree_cursor_is_end(&cursor);
         (void)tree_cursor_next(&cursor)) {
        const struct element member = tree_cursor_element(&cursor, 0);
        element_reply(call->reply, &member);
    }
}

void cmd_sscan(struct command_call *call)
{
    struct element_scan scan;
    struct set *set = NULL;
    if (!element_scan_cursor(call, &scan) || !sets_find(call, 0, KEYSPACE_READ, &set, NULL))
        return;
    if (set == NULL) {
        element_scan_reply_empty(call->reply);
        return;
    }
    if (!element_scan_options(call, &scan, false))
        return;
    const struct element_source source = {
        .tree = set_members(set), .is_compact = set_encoding(set) != VALUE_ENCODING_HASHTABLE};
    element_scan_run(call, &scan, &source);
}
