/*
 * client.c: CLIENT and its subcommands.
 *
 * LIST and KILL look at connections of all workers: their prepare() sends a gather around (session.h), the handler replies with
 * what it brought back.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "commands_internal.h"
#include "server/server.h"
#include "server/session.h"

#include <stdlib.h>
#include <string.h>

#define BAD_NAME "ERR Client names cannot contain spaces, newlines or special characters."

/* --- names ----------------------------------------------------------------------------------------------- */

static bool is_plain(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '!' || text.data[i] > '~')
            return false;
    }
    return true;
}

static void text_set(char **place, struct slice text)
{
    mem_free(*place);
    *place = text.size > 0 ? mem_string_sized(text.data, text.size) : NULL;
}

bool client_name_set(struct command_call *call, struct slice name)
{
    if (!is_plain(name)) {
        reply_error(call->reply, BAD_NAME);
        return false;
    }
    text_set(&call->session->name, name);
    return true;
}

static void cmd_setname(struct command_call *call)
{
    if (client_name_set(call, call->argv[2]))
        reply_ok(call->reply);
}

static void cmd_getname(struct command_call *call)
{
    if (call->session->name != NULL)
        reply_bulk_text(call->reply, call->session->name);
    else
        reply_null(call->reply);
}

static void cmd_setinfo(struct command_call *call)
{
    const struct slice option = call->argv[2];
    const bool is_name = slice_equal_nocase(option, "lib-name");
    if (!is_name && !slice_equal_nocase(option, "lib-ver")) {
        reply_error_format(call->reply, "ERR Unrecognized option '%.*s'",
            (int)(option.size > 128 ? 128 : option.size), option.data);
        return;
    }
    if (!is_plain(call->argv[3])) {
        reply_error_format(call->reply,
            "ERR %s cannot contain spaces, newlines or special characters.",
            is_name ? "lib-name" : "lib-ver");
        return;
    }
    text_set(is_name ? &call->session->lib_name : &call->session->lib_version, call->argv[3]);
    reply_ok(call->reply);
}

/* --- simple ones -------------------------------------------------------------------------------------------- */

static void cmd_id(struct command_call *call)
{
    reply_integer(call->reply, (int64_t)call->session->id);
}

/* What the command under way holds, for the line of its own connection. */
static void note_request(struct command_call *call)
{
    struct session *session = call->session;
    session->request_bytes = call->request.size > 0 ? call->request.size : 1;
    session->argv_bytes = 0;
    for (int i = 0; i < call->argc; i++)
        session->argv_bytes += call->argv[i].size;
}

static void forget_request(struct session *session)
{
    session->request_bytes = 0;
    session->argv_bytes = 0;
}

static void cmd_info_of_client(struct command_call *call)
{
    struct buf text = {0};
    note_request(call);
    session_describe(call->session, call->view->now_ms, &text);
    forget_request(call->session);
    buf_append_byte(&text, '\n');
    reply_verbatim(call->reply, "txt", buf_slice(&text));
    buf_deinit(&text);
}

static void cmd_reply(struct command_call *call)
{
    struct session *session = call->session;
    if (slice_equal_nocase(call->argv[2], "on")) {
        session->reply_mode = SESSION_REPLY_ON;
        call->reply->muted = false;
        reply_ok(call->reply);
    } else if (slice_equal_nocase(call->argv[2], "off")) {
        session->reply_mode = SESSION_REPLY_OFF;
    } else if (slice_equal_nocase(call->argv[2], "skip")) {
        if (session->reply_mode != SESSION_REPLY_OFF)
            session->reply_mode = SESSION_REPLY_SKIP_NEXT;
    } else {
        reply_error(call->reply, REPLY_SYNTAX);
    }
}

static bool parse_on_off(struct command_call *call, bool *on)
{
    *on = slice_equal_nocase(call->argv[2], "on");
    if (*on || slice_equal_nocase(call->argv[2], "off"))
        return true;
    reply_error(call->reply, REPLY_SYNTAX);
    return false;
}

static void cmd_no_evict(struct command_call *call)
{
    if (!parse_on_off(call, &call->session->no_evict))
        return;
    reply_ok(call->reply);
}

static void cmd_no_touch(struct command_call *call)
{
    if (!parse_on_off(call, &call->session->no_touch))
        return;
    reply_ok(call->reply);
}

static void cmd_pause(struct command_call *call)
{
    struct server *server = call->server;
    int64_t timeout_ms = 0;
    uint64_t until_ms = 0;
    int mode = SERVER_PAUSE_ALL;
    if (call->argc == 4 && slice_equal_nocase(call->argv[3], "write")) {
        mode = SERVER_PAUSE_WRITE;
    } else if (call->argc > 4 || (call->argc == 4 && !slice_equal_nocase(call->argv[3], "all"))) {
        reply_error(call->reply, "ERR CLIENT PAUSE mode must be WRITE or ALL");
        return;
    }
    if (!command_int64(call, 2, &timeout_ms, "ERR timeout is not an integer or out of range"))
        return;
    if (timeout_ms < 0 || add_overflows((uint64_t)timeout_ms, call->view->now_ms, &until_ms)) {
        reply_error(call->reply, timeout_ms < 0 ? "ERR timeout is negative"
                                                : "ERR timeout is not an integer or out of range");
        return;
    }
    /* A pause under way is never shortened or weakened. */
    const int old_mode = atomic_load_explicit(&server->pause_mode, memory_order_relaxed);
    const uint64_t old_until = atomic_load_explicit(&server->pause_until_ms, memory_order_relaxed);
    if (old_mode != SERVER_PAUSE_NONE && old_until > call->view->now_ms) {
        if (old_until > until_ms)
            until_ms = old_until;
        if (old_mode == SERVER_PAUSE_ALL)
            mode = SERVER_PAUSE_ALL;
    }
    atomic_store_explicit(&server->pause_until_ms, until_ms, memory_order_relaxed);
    atomic_store_explicit(&server->pause_mode, mode, memory_order_relaxed);
    reply_ok(call->reply);
}

static void cmd_unpause(struct command_call *call)
{
    atomic_store_explicit(&call->server->pause_mode, SERVER_PAUSE_NONE, memory_order_relaxed);
    reply_ok(call->reply);
}

/* --- filters ------------------------------------------------------------------------------------------------------ */

struct filter {
    const struct slice *ids; /* LIST ID: argument texts already checked */
    int id_count;
    int type; /* enum client_class, or -1 */
    struct slice address, local_address;
    uint64_t id;
    bool has_id, skip_me;
    uint64_t age_s_max; /* KILL MAXAGE; 0 = any */
};

static int parse_type(struct slice text)
{
    static const char *const names[CLIENT_CLASS_COUNT] = {"normal", "replica", "pubsub"};
    for (int i = 0; i < CLIENT_CLASS_COUNT; i++) {
        if (slice_equal_nocase(text, names[i]))
            return i;
    }
    return slice_equal_nocase(text, "slave") ? CLIENT_CLASS_REPLICA : -1;
}

static bool filter_matches(
    const struct filter *filter, const struct session *session, uint64_t now_ms)
{
    if (filter->has_id && session->id != filter->id)
        return false;
    if (filter->type >= 0 && (int)session_class(session) != filter->type)
        return false;
    if (filter->address.data != NULL &&
        !slice_equal(filter->address, slice_text(session->peer_address)))
        return false;
    if (filter->local_address.data != NULL &&
        !slice_equal(filter->local_address, slice_text(session->local_address)))
        return false;
    if (filter->age_s_max > 0 &&
        (now_ms < session->created_ms || (now_ms - session->created_ms) / 1000 < filter->age_s_max))
        return false;
    if (filter->id_count == 0)
        return true;
    for (int i = 0; i < filter->id_count; i++) {
        int64_t id = 0;
        if (slice_to_int64(filter->ids[i], &id) && (uint64_t)id == session->id)
            return true;
    }
    return false;
}

/* --- LIST and KILL: a gather, then a reply ----------------------------------------------------------------------------- */

struct line {
    uint64_t id;
    size_t offset, size;
};

struct client_walk {
    struct session_gather *gather;
    struct filter filter;
    const struct session *self;
    uint64_t now_ms;
    bool kills;
    bool kills_self;
    uint64_t killed_count;
    struct buf text;
    struct buf lines; /* of struct line */
};

static void walk_destroy(void *state)
{
    struct client_walk *walk = state;
    session_gather_destroy(walk->gather);
    buf_deinit(&walk->text);
    buf_deinit(&walk->lines);
    mem_free(walk);
}

static void walk_visit(void *context, struct session *session)
{
    struct client_walk *walk = context;
    if (!filter_matches(&walk->filter, session, walk->now_ms))
        return;
    if (!walk->kills) {
        struct line line = {.id = session->id, .offset = walk->text.size};
        session_describe(session, walk->now_ms, &walk->text);
        buf_append_byte(&walk->text, '\n');
        line.size = walk->text.size - line.offset;
        buf_append(&walk->lines, &line, sizeof(line));
        return;
    }
    if (session == walk->self) {
        if (walk->filter.skip_me)
            return;
        walk->kills_self = true;
    } else {
        session_kill(session);
    }
    walk->killed_count++;
}

/* Starts the gather at the first call; it is over at the second. */
static enum status walk_prepare(
    struct command_call *call, struct tier_wait *wait, const struct filter *filter, bool kills)
{
    struct client_walk *walk = mem_alloc_zero(sizeof(*walk));
    walk->filter = *filter;
    walk->self = call->session;
    walk->now_ms = call->view->now_ms;
    walk->kills = kills;
    call->state = walk;
    note_request(call);
    walk->gather = session_gather_start(call->server, call->worker, wait, walk_visit, walk);
    return ST_PENDING;
}

static bool parse_list(struct command_call *call, struct filter *filter)
{
    *filter = (struct filter){.type = -1};
    if (call->argc == 2)
        return true;
    if (call->argc == 4 && slice_equal_nocase(call->argv[2], "type")) {
        filter->type = parse_type(call->argv[3]);
        if (filter->type >= 0)
            return true;
        reply_error_format(call->reply, "ERR Unknown client type '%.*s'",
            (int)(call->argv[3].size > 128 ? 128 : call->argv[3].size), call->argv[3].data);
        return false;
    }
    if (call->argc > 3 && slice_equal_nocase(call->argv[2], "id")) {
        for (int i = 3; i < call->argc; i++) {
            int64_t id = 0;
            if (!slice_to_int64(call->argv[i], &id)) {
                reply_error(call->reply, "ERR Invalid client ID");
                return false;
            }
        }
        filter->ids = &call->argv[3];
        filter->id_count = call->argc - 3;
        return true;
    }
    reply_error(call->reply, REPLY_SYNTAX);
    return false;
}

static enum status prepare_list(struct command_call *call, struct tier_wait *wait)
{
    if (call->state != NULL)
        return ST_OK;
    struct filter filter;
    return parse_list(call, &filter) ? walk_prepare(call, wait, &filter, false) : ST_INVALID;
}

static int compare_lines(const void *a, const void *b)
{
    const uint64_t x = ((const struct line *)a)->id;
    const uint64_t y = ((const struct line *)b)->id;
    return x < y ? -1 : x > y;
}

static void cmd_list(struct command_call *call)
{
    struct client_walk *walk = call->state;
    forget_request(call->session);
    const size_t count = walk->lines.size / sizeof(struct line);
    struct line *lines = (struct line *)(void *)walk->lines.data;
    if (count > 1)
        qsort(lines, count, sizeof(*lines), compare_lines);
    struct buf sorted = {0};
    for (size_t i = 0; i < count; i++)
        buf_append(&sorted, walk->text.data + lines[i].offset, lines[i].size);
    reply_verbatim(call->reply, "txt", buf_slice(&sorted));
    buf_deinit(&sorted);
}

/* One "name value" of CLIENT KILL. False with an error replied. */
static bool parse_kill_option(
    struct command_call *call, struct slice name, struct slice value, struct filter *filter)
{
    int64_t number = 0;
    if (slice_equal_nocase(name, "id")) {
        if (!slice_to_int64(value, &number) || number < 1) {
            reply_error(call->reply, "ERR client-id should be greater than 0");
            return false;
        }
        filter->has_id = true;
        filter->id = (uint64_t)number;
    } else if (slice_equal_nocase(name, "maxage")) {
        if (!slice_to_int64(value, &number)) {
            reply_error(call->reply, "ERR maxage is not an integer or out of range");
            return false;
        }
        if (number <= 0) {
            reply_error(call->reply, "ERR maxage should be greater than 0");
            return false;
        }
        filter->age_s_max = (uint64_t)number;
    } else if (slice_equal_nocase(name, "type")) {
        filter->type = parse_type(value);
        if (filter->type < 0) {
            reply_error_format(call->reply, "ERR Unknown client type '%.*s'",
                (int)(value.size > 128 ? 128 : value.size), value.data);
            return false;
        }
    } else if (slice_equal_nocase(name, "addr")) {
        filter->address = value;
    } else if (slice_equal_nocase(name, "laddr")) {
        filter->local_address = value;
    } else if (slice_equal_nocase(name, "user")) {
        if (!slice_equal(value, SLICE_LITERAL("default"))) {
            reply_error_format(call->reply, "ERR No such user '%.*s'",
                (int)(value.size > 128 ? 128 : value.size), value.data);
            return false;
        }
    } else if (slice_equal_nocase(name, "skipme") && slice_equal_nocase(value, "yes")) {
        filter->skip_me = true;
    } else if (slice_equal_nocase(name, "skipme") && slice_equal_nocase(value, "no")) {
        filter->skip_me = false;
    } else {
        reply_error(call->reply, REPLY_SYNTAX);
        return false;
    }
    return true;
}

static enum status prepare_kill(struct command_call *call, struct tier_wait *wait)
{
    if (call->state != NULL)
        return ST_OK;
    struct filter filter = {.type = -1, .skip_me = true};
    if (call->argc == 3) {
        filter.address = call->argv[2];
        filter.skip_me = false;
    } else if (call->argc % 2 != 0) {
        reply_error(call->reply, REPLY_SYNTAX);
        return ST_INVALID;
    }
    for (int i = 2; call->argc > 3 && i < call->argc; i += 2) {
        if (!parse_kill_option(call, call->argv[i], call->argv[i + 1], &filter))
            return ST_INVALID;
    }
    return walk_prepare(call, wait, &filter, true);
}

static void cmd_kill(struct command_call *call)
{
    const struct client_walk *walk = call->state;
    forget_request(call->session);
    if (call->argc > 3)
        reply_integer(call->reply, (int64_t)walk->killed_count);
    else if (walk->killed_count == 0)
        reply_error(call->reply, "ERR No such client");
    else
        reply_ok(call->reply);
    if (walk->kills_self)
        session_close_after_reply(call->session);
}

/* --- UNBLOCK ---------------------------------------------------------------------------------------------------------- */

struct client_unblock {
    struct session_gather *gather;
    uint64_t id;
    bool with_error;
    bool unblocked;
};

static void unblock_destroy(void *state)
{
    struct client_unblock *unblock = state;
    session_gather_destroy(unblock->gather);
    mem_free(unblock);
}

static void unblock_visit(void *context, struct session *session)
{
    struct client_unblock *unblock = context;
    if (session->id == unblock->id)
        unblock->unblocked = session_unblock(session, unblock->with_error);
}

static enum status prepare_unblock(struct command_call *call, struct tier_wait *wait)
{
    if (call->state != NULL)
        return ST_OK;
    bool with_error = false;
    int64_t id = 0;
    if (call->argc == 4) {
        with_error = slice_equal_nocase(call->argv[3], "error");
        if (!with_error && !slice_equal_nocase(call->argv[3], "timeout")) {
            reply_error(call->reply, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
            return ST_INVALID;
        }
    } else if (call->argc > 4) {
        const struct slice word = call->argv[1];
        reply_error_format(call->reply,
            "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try CLIENT HELP.",
            (int)(word.size > 128 ? 128 : word.size), word.data);
        return ST_INVALID;
    }
    if (!command_int64(call, 2, &id, NULL))
        return ST_INVALID;
    struct client_unblock *unblock = mem_alloc_zero(sizeof(*unblock));
    unblock->id = (uint64_t)id;
    unblock->with_error = with_error;
    call->state = unblock;
    unblock->gather =
        session_gather_start(call->server, call->worker, wait, unblock_visit, unblock);
    return ST_PENDING;
}

static void cmd_unblock(struct command_call *call)
{
    const struct client_unblock *unblock = call->state;
    reply_integer(call->reply, unblock->unblocked ? 1 : 0);
}

static void cmd_help(struct command_call *call)
{
    static const char *const lines[] = {
        "GETNAME",
        "    Return the name of the current connection.",
        "ID",
        "    Return the ID of the current connection.",
        "INFO",
        "    Return information about the current client connection.",
        "KILL <ip:port>",
        "    Kill connection made from <ip:port>.",
        "KILL <option> <value> [<option> <value> [...]]",
        "    Kill connections. Options are: ADDR, LADDR, TYPE, USER, SKIPME, ID, MAXAGE.",
        "LIST [options ...]",
        "    Return information about client connections. Options: TYPE, ID.",
        "NO-EVICT (ON|OFF)",
        "    Protect current client connection from eviction.",
        "NO-TOUCH (ON|OFF)",
        "    Will not touch LRU/LFU stats when this mode is on.",
        "PAUSE <timeout> [WRITE|ALL]",
        "    Suspend all, or just write, clients for <timeout> milliseconds.",
        "REPLY (ON|OFF|SKIP)",
        "    Control the replies sent to the current connection.",
        "SETINFO <option> <value>",
        "    Set client meta attr. Options are: LIB-NAME, LIB-VER.",
        "SETNAME <name>",
        "    Assign the name <name> to the current connection.",
        "UNBLOCK <clientid> [TIMEOUT|ERROR]",
        "    Unblock the specified blocked client.",
        "UNPAUSE",
        "    Stop the current client pause, resuming traffic.",
    };
    command_reply_help(call, lines, COUNT_OF(lines));
}

#define CLIENT_FLAGS (CMD_NOSCRIPT | CMD_LOADING | CMD_STALE)
#define CLIENT_ROW(row_name, row_handler, row_arity, row_flags, row_acl, row_since, row_summary) \
    .name = row_name, .handler = row_handler, .arity = row_arity,                                \
    .flags = CLIENT_FLAGS | (row_flags), .group = COMMAND_GROUP_CONNECTION,                      \
    .acl = ACL_SLOW | ACL_CONNECTION | (row_acl), .since = row_since, .complexity = "O(1)",      \
    .summary = row_summary

const struct command client_subcommands[] = {
    {CLIENT_ROW("id", cmd_id, 2, 0, 0, "5.0.0", "Returns the ID of the connection.")},
    {CLIENT_ROW(
         "info", cmd_info_of_client, 2, 0, 0, "6.2.0", "Returns information about the connection."),
        .tips = "nondeterministic_output"},
    {CLIENT_ROW("list", cmd_list, -2, CMD_ADMIN, ACL_ADMIN | ACL_DANGEROUS, "2.4.0",
         "Lists open connections."),
        .tips = "nondeterministic_output", .prepare = prepare_list, .state_destroy = walk_destroy},
    {CLIENT_ROW("kill", cmd_kill, -3, CMD_ADMIN, ACL_ADMIN | ACL_DANGEROUS, "2.4.0",
         "Terminates open connections."),
        .prepare = prepare_kill, .state_destroy = walk_destroy},
    {CLIENT_ROW("setname", cmd_setname, 3, 0, 0, "2.6.9", "Sets the connection name.")},
    {CLIENT_ROW("getname", cmd_getname, 2, 0, 0, "2.6.9", "Returns the name of the connection.")},
    {CLIENT_ROW("setinfo", cmd_setinfo, 4, 0, 0, "7.2.0",
        "Sets information specific to the client or connection.")},
    {CLIENT_ROW("reply", cmd_reply, 3, 0, 0, "3.2.0",
        "Instructs the server whether to reply to commands.")},
    {CLIENT_ROW("pause", cmd_pause, -3, CMD_ADMIN, ACL_ADMIN | ACL_DANGEROUS, "3.0.0",
        "Suspends commands processing.")},
    {CLIENT_ROW("unpause", cmd_unpause, 2, CMD_ADMIN | CMD_SKIP_PAUSE, ACL_ADMIN | ACL_DANGEROUS,
        "6.2.0", "Resumes processing commands from paused clients.")},
    {CLIENT_ROW("unblock", cmd_unblock, -3, CMD_ADMIN, ACL_ADMIN | ACL_DANGEROUS, "5.0.0",
         "Unblocks a client blocked by a blocking command from a different connection."),
        .prepare = prepare_unblock, .state_destroy = unblock_destroy},
    {CLIENT_ROW("no-evict", cmd_no_evict, 3, CMD_ADMIN, ACL_ADMIN | ACL_DANGEROUS, "7.0.0",
        "Sets the client eviction mode of the connection.")},
    {CLIENT_ROW("no-touch", cmd_no_touch, 3, 0, 0, "7.2.0",
        "Controls whether commands sent by the client affect the LRU/LFU of accessed keys.")},
    {.name = "help",
        .handler = cmd_help,
        .arity = 2,
        .flags = CMD_LOADING | CMD_STALE,
        .group = COMMAND_GROUP_CONNECTION,
        .acl = ACL_SLOW | ACL_CONNECTION,
        .since = "5.0.0",
        .complexity = "O(1)",
        .summary = "Returns helpful text about the different subcommands."},
    COMMANDS_END,
};
