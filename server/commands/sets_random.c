/*
 * sets_random.c: commands that choose members at random: SPOP, SRANDMEMBER.
 *
 * What SPOP took is logged as SREM, or DEL if it took all (I3).
 *
 * Of many members few are popped one by one, each at a random rank. When a good part is to go, one walk deals all members out between the reply and
 * a new set, each with the chance that makes the numbers come out right (selection sampling: Knuth 2, 3.4.2, algorithm S).
 */
#include "base/check.h"
#include "base/mem.h"
#include "scan_element.h"
#include "sets_internal.h"

/* More than this share of all members: deal. */
#define DEAL_SHARE ((uint64_t)4)

void cmd_srandmember(struct command_call *call)
{
    struct element_draw draw;
    struct set *set = NULL;
    if (!element_draw_parse(call, NULL, &draw) || !sets_find(call, 0, KEYSPACE_READ, &set, NULL))
        return;
    if (set == NULL) {
        element_draw_reply_empty(call->reply, &draw);
        return;
    }
    const struct element_source source = {.tree = set_members(set)};
    element_draw_run(call, &draw, &source);
}

/* --- SPOP ------------------------------------------------------------------------------------------------------------ */

/* "SREM key member...", put together while members go. */
struct removal {
    struct buf texts;
    size_t *ends; /* of each text */
    size_t count;
};

static void note_removed(struct removal *removal, const struct element *member)
{
    char scratch[ELEMENT_TEXT_MAX];
    buf_append_slice(&removal->texts, element_text(member, scratch));
    removal->ends[removal->count++] = removal->texts.size;
}

static void log_removal(struct command_call *call, struct removal *removal)
{
    struct slice *const args = mem_alloc((removal->count + 2) * sizeof(*args));
    args[0] = SLICE_LITERAL("SREM");
    args[1] = key_slice(&call->keys[0]);
    size_t begin = 0;
    for (size_t i = 0; i < removal->count; i++) {
        args[i + 2] = slice_of(removal->texts.data + begin, removal->ends[i] - begin);
        begin = removal->ends[i];
    }
    keyspace_log_args(call->view, &call->keys[0], 1, args, removal->count + 2);
    mem_free(args);
}

/* `count` at random places, one by one. */
static void pop_each(struct command_call *call, struct set *set, struct hot_record *record,
    struct removal *removal, uint64_t count)
{
    const struct sets_edit edit = sets_edit_begin(call, &call->keys[0], record);
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t place = element_random_below(set_count(set));
        struct tree_cursor cursor;
        tree_cursor_at(set_members(set), place, &cursor);
        const struct element member = tree_cursor_element(&cursor, 0);
        element_reply(call->reply, &member);
        note_removed(removal, &member);
        set_remove_at(set, place);
    }
    sets_edit_end(call, &edit);
}

/* The same, by a walk. What stays becomes a new set, which the record gets instead. */
static void pop_dealt(struct command_call *call, const struct set *set, struct hot_record *record,
    struct removal *removal, uint64_t count)
{
    struct set *const rest = set_create(set_encoding(set));
    struct tree_cursor cursor;
    uint64_t left = set_count(set);
    for (tree_cursor_at(set_members(set), 0, &cursor); left > 0; left--) {
        const struct element member = tree_cursor_element(&cursor, 0);
        if (element_random_below(left) < count - removal->count) {
            element_reply(call->reply, &member);
            note_removed(removal, &member);
        } else {
            CHECK(set_add(rest, &member));
        }
        (void)tree_cursor_next(&cursor);
    }
    CHECK(removal->count == count);
    const uint64_t expire_ms = hot_record_expire_ms(record);
    (void)keyspace_set(call->view, &call->keys[0], record, set_value(rest), expire_ms);
}

static void reply_members(struct command_call *call, const struct set *set)
{
    struct tree_cursor cursor;
    for (tree_cursor_at(set_members(set), 0, &cursor); !tree_cursor_is_end(&cursor);
         (void)tree_cursor_next(&cursor)) {
        const struct element member = tree_cursor_element(&cursor, 0);
        element_reply(call->reply, &member);
    }
}

static void delete_popped(struct command_call *call, struct hot_record *record)
{
    keyspace_notify(call->view, EVENT_SET, "spop", &call->keys[0]);
    keyspace_delete(call->view, &call->keys[0], record);
    keyspace_notify(call->view, EVENT_GENERIC, "del", &call->keys[0]);
    commands_log_delete(call, &call->keys[0]);
}

/* At least one of more than `count` members. */
static void pop_some(
    struct command_call *call, struct set *set, struct hot_record *record, uint64_t count)
{
    struct removal removal = {.ends = mem_alloc(count * sizeof(*removal.ends))};
    if (count > set_count(set) / DEAL_SHARE && count > 1)
        pop_dealt(call, set, record, &removal, count);
    else
        pop_each(call, set, record, &removal, count);
    keyspace_notify(call->view, EVENT_SET, "spop", &call->keys[0]);
    log_removal(call, &removal);
    buf_deinit(&removal.texts);
    mem_free(removal.ends);
}

static void pop_one(struct command_call *call)
{
    struct set *set = NULL;
    struct hot_record *record = NULL;
    if (!sets_find(call, 0, KEYSPACE_WRITE, &set, &record))
        return;
    if (set == NULL) {
        reply_null(call->reply);
    } else if (set_count(set) == 1) {
        reply_members(call, set);
        delete_popped(call, record);
    } else {
        pop_some(call, set, record, 1);
    }
}

void cmd_spop(struct command_call *call)
{
    if (call->argc == 2) {
        pop_one(call);
        return;
    }
    if (call->argc > 3) {
        reply_error(call->reply, REPLY_SYNTAX);
        return;
    }
    static const char not_positive[] = "ERR value is out of range, must be positive";
    int64_t count = 0;
    struct set *set = NULL;
    struct hot_record *record = NULL;
    if (!command_int64(call, 2, &count, not_positive))
        return;
    if (count < 0) {
        reply_error(call->reply, not_positive);
        return;
    }
    if (!sets_find(call, 0, KEYSPACE_WRITE, &set, &record))
        return;
    if (set == NULL || count == 0) {
        reply_set(call->reply, 0);
    } else if ((uint64_t)count >= set_count(set)) {
        reply_set(call->reply, set_count(set));
        reply_members(call, set);
        delete_popped(call, record);
    } else {
        reply_set(call->reply, (size_t)count);
        pop_some(call, set, record, (uint64_t)count);
    }
}
