/*
 * generic_walk.c: commands that walk a whole database: SCAN, KEYS, RANDOMKEY.
 *
 * prepare() reads the arguments and lets the walk gather what lies on disk, parking the connection as long as that takes; the handler
 * then runs under all stripes and never waits. The walk and its options live in call->state in between.
 */
#include "base/check.h"
#include "base/mem.h"
#include "commands_internal.h"

#include <ctype.h>
#include <errno.h>

#define SCAN_COUNT_DEFAULT 10

struct walk_state {
    struct keyspace_walk_options options;
    struct keyspace_walk *walk;
    bool matches_nothing; /* TYPE of a name that no type has */
};

void walk_state_destroy(void *state)
{
    struct walk_state *walk_state = state;
    keyspace_walk_destroy(walk_state->walk);
    mem_free(walk_state);
}

/* --- arguments -------------------------------------------------------------------------------------------------- */

bool scan_cursor_parse(struct slice text, uint64_t *cursor)
{
    char copy[64];
    if (text.size >= sizeof(copy))
        return false;
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    char *end = NULL;
    errno = 0;
    *cursor = strtoull(copy, &end, 10);
    return !isspace((unsigned char)copy[0]) && *end == '\0' && errno != ERANGE;
}

/* "*" means all, the empty name included, which the glob alone would not match. */
static struct slice pattern_of(struct slice text)
{
    if (slice_equal(text, SLICE_LITERAL("*")))
        return (struct slice){0};
    return text.size == 0 ? slice_of("", 0) : text;
}

static void take_type(struct slice name, struct walk_state *state)
{
    state->matches_nothing = true;
    for (int type = 0; type < VALUE_TYPE_COUNT; type++) {
        if (slice_equal_nocase(name, value_type_name((enum value_type)type))) {
            state->options.type = type;
            state->matches_nothing = false;
        }
    }
}

/* One option with its value. False: an error was replied. */
static bool take_scan_option(struct command_call *call, int index, struct walk_state *state)
{
    const struct slice word = call->argv[index];
    if (index + 1 >= call->argc) {
        reply_error(call->reply, REPLY_SYNTAX);
        return false;
    }
    const struct slice value = call->argv[index + 1];
    if (slice_equal_nocase(word, "count")) {
        int64_t count = 0;
        if (!command_int64(call, index + 1, &count, NULL))
            return false;
        state->options.count = (uint64_t)count;
        if (count >= 1)
            return true;
    } else if (slice_equal_nocase(word, "match")) {
        state->options.pattern = pattern_of(value);
        return true;
    } else if (slice_equal_nocase(word, "type")) {
        take_type(value, state);
        return true;
    }
    reply_error(call->reply, REPLY_SYNTAX);
    return false;
}

static bool parse_scan(struct command_call *call, struct walk_state *state)
{
    state->options.kind = KEYSPACE_WALK_SCAN;
    state->options.count = SCAN_COUNT_DEFAULT;
    if (!scan_cursor_parse(call->argv[1], &state->options.cursor)) {
        reply_error(call->reply, "ERR invalid cursor");
        return false;
    }
    for (int i = 2; i < call->argc; i += 2) {
        if (!take_scan_option(call, i, state))
            return false;
    }
    return true;
}

static bool parse_keys(struct command_call *call, struct walk_state *state)
{
    state->options.kind = KEYSPACE_WALK_KEYS;
    state->options.pattern = pattern_of(call->argv[1]);
    return true;
}

static bool parse_randomkey(struct command_call *call, struct walk_state *state)
{
    (void)call;
    state->options.kind = KEYSPACE_WALK_RANDOM;
    return true;
}

/* --- preparing ---------------------------------------------------------------------------------------------------- */

typedef bool (*parse_fn)(struct command_call *call, struct walk_state *state);

static bool begin(struct command_call *call, struct tier_wait *wait, parse_fn parse)
{
    struct walk_state *state = mem_alloc_zero(sizeof(*state));
    call->state = state;
    state->options.type = -1;
    state->options.database = call->view->database;
    if (!parse(call, state)) {
        mem_free(state);
        call->state = NULL;
        return false;
    }
    state->walk =
        keyspace_walk_create(call->view->keyspace, &state->options, call->view->turn, wait);
    return true;
}

static enum status prepare(struct command_call *call, struct tier_wait *wait, parse_fn parse)
{
    if (call->state == NULL && !begin(call, wait, parse))
        return ST_INVALID;
    struct walk_state *state = call->state;
    const enum status status = keyspace_walk_prepare(state->walk, call->view->now_ms);
    if (status == ST_OK || status == ST_PENDING)
        return status;
    reply_error(call->reply, "ERR the keys on disk could not be read");
    return ST_INVALID;
}

enum status scan_prepare(struct command_call *call, struct tier_wait *wait)
{
    return prepare(call, wait, parse_scan);
}

enum status keys_prepare(struct command_call *call, struct tier_wait *wait)
{
    return prepare(call, wait, parse_keys);
}

enum status randomkey_prepare(struct command_call *call, struct tier_wait *wait)
{
    return prepare(call, wait, parse_randomkey);
}

/* --- running ------------------------------------------------------------------------------------------------------ */

struct key_list {
    struct resp_output *reply; /* keys go there at once, */
    struct buf *bytes;         /* or are collected here as bulk strings */
    size_t count;
};

static void emit_to_reply(void *context, struct slice key)
{
    struct key_list *list = context;
    list->count++;
    reply_bulk(list->reply, key);
}

static void emit_to_buffer(void *context, struct slice key)
{
    struct key_list *list = context;
    list->count++;
    buf_append_byte(list->bytes, '$');
    buf_append_int64(list->bytes, (int64_t)key.size);
    buf_append(list->bytes, "\r\n", 2);
    buf_append_slice(list->bytes, key);
    buf_append(list->bytes, "\r\n", 2);
}

static void emit_first(void *context, struct slice key)
{
    struct key_list *list = context;
    if (list->count++ == 0)
        reply_bulk(list->reply, key);
}

static void emit_none(void *context, struct slice key)
{
    (void)context;
    (void)key;
}

static struct walk_state *state_of(struct command_call *call)
{
    CHECK(call->state != NULL);
    return call->state;
}

/* The cursor comes before the keys, but is known after them. */
void cmd_scan(struct command_call *call)
{
    struct walk_state *state = state_of(call);
    struct buf bytes = {0};
    struct key_list list = {.bytes = &bytes};
    char text[24];
    const uint64_t cursor = keyspace_walk_finish(
        state->walk, call->view, state->matches_nothing ? emit_none : emit_to_buffer, &list);
    reply_array(call->reply, 2);
    reply_bulk(call->reply, slice_of(text, uint64_to_text(cursor, text)));
    reply_array(call->reply, list.count);
    reply_raw(call->reply, bytes.data, bytes.size);
    buf_deinit(&bytes);
}

void cmd_keys(struct command_call *call)
{
    struct walk_state *state = state_of(call);
    struct key_list list = {.reply = call->reply};
    const struct reply_deferred deferred = reply_deferred_begin(call->reply);
    (void)keyspace_walk_finish(state->walk, call->view, emit_to_reply, &list);
    reply_deferred_end(call->reply, deferred, '*', list.count);
}

void cmd_randomkey(struct command_call *call)
{
    struct walk_state *state = state_of(call);
    struct key_list list = {.reply = call->reply};
    (void)keyspace_walk_finish(state->walk, call->view, emit_first, &list);
    if (list.count == 0)
        reply_null(call->reply);
}
