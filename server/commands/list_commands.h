/*
 * list_commands.h: what the files of the list family (list*.c) share.
 */
#ifndef SERVER_LIST_COMMANDS_H
#define SERVER_LIST_COMMANDS_H

#include "commands_internal.h"
#include "storage/list.h"

/* --- a change in place (list.c) ------------------------------------------------------------------------------- */

struct list_edit {
    struct list *list;
    /* private */
    struct command_call *call;
    const struct key *key;
    struct hot_record *record;
    size_t external_bytes;
};
/* The record holds a list. */
struct list_edit list_edit_begin(
    struct command_call *call, const struct key *key, struct hot_record *record);
void list_edit_end(struct list_edit *edit);

/* The list of a record. */
static inline struct list *list_of_record(const struct hot_record *record)
{
    const struct value value = hot_record_value(record);
    return list_of(&value);
}

/*
 * Takes `count` elements, at most as many as there are, away from an end: announces "lpop" or "rpop", and "del" if the list is gone.
 * Neither replies nor logs.
 */
void list_take(struct command_call *call, const struct key *key, struct hot_record *record,
    enum list_end end, uint64_t count);
/* The event of a push or pop at an end. */
static inline const char *list_push_event(enum list_end end)
{
    return end == LIST_HEAD ? "lpush" : "rpush";
}
/* False, and an error replied: longer than an element may be. */
MUST_USE bool list_check_element(struct command_call *call, int argument);

/* --- reading (list_read.c) ---------------------------------------------------------------------------------------- */

/* A bulk string. */
void list_reply_element(struct resp_output *reply, const struct element *element);
/* An array of `count` elements, at most as many as there are, seen from an end. */
void list_reply_end(
    struct resp_output *reply, const struct list *list, enum list_end end, uint64_t count);

/* --- moves (list_move.c) ---------------------------------------------------------------------------------------------- */

/* LEFT or RIGHT. False: a syntax error was replied. */
MUST_USE bool list_parse_end(struct command_call *call, int argument, enum list_end *end);

struct list_move {
    enum list_end from, to;
};
enum list_move_result {
    LIST_MOVED,
    LIST_MOVE_REFUSED, /* an error was replied */
    LIST_MOVE_NOTHING, /* there is no source: nothing was replied */
};
/*
 * From the end of keys[0] to that of keys[1]; replies the element. A source of another type is absent if the call is resumed. Does not log.
 */
enum list_move_result list_move_run(struct command_call *call, const struct list_move *move);

/* What LMPOP and BLMPOP are asked for. */
struct list_pop_request {
    enum list_end end;
    uint64_t count;
    bool is_single; /* BLPOP, BRPOP: the element, not an array of elements */
};
/* From the argument that is numkeys. False: an error was replied. */
MUST_USE bool list_pop_parse(
    struct command_call *call, int numkeys_index, struct list_pop_request *request);
/* Of the first of the call's keys that has a list. As list_move_run(), but logs the LPOP or RPOP that it was. */
enum list_move_result list_pop_run(
    struct command_call *call, const struct list_pop_request *request);

/* --- handlers, for the table ---------------------------------------------------------------------------------------------- */

/* list.c */
void cmd_lpush(struct command_call *call);
void cmd_rpush(struct command_call *call);
void cmd_lpushx(struct command_call *call);
void cmd_rpushx(struct command_call *call);
void cmd_lpop(struct command_call *call);
void cmd_rpop(struct command_call *call);
void cmd_lset(struct command_call *call);
void cmd_linsert(struct command_call *call);
void cmd_lrem(struct command_call *call);
void cmd_ltrim(struct command_call *call);
/* list_read.c */
void cmd_llen(struct command_call *call);
void cmd_lindex(struct command_call *call);
void cmd_lrange(struct command_call *call);
void cmd_lpos(struct command_call *call);
/* list_move.c */
void cmd_rpoplpush(struct command_call *call);
void cmd_lmove(struct command_call *call);
void cmd_lmpop(struct command_call *call);
/* list_block.c */
void cmd_blpop(struct command_call *call);
void cmd_brpop(struct command_call *call);
void cmd_blmove(struct command_call *call);
void cmd_brpoplpush(struct command_call *call);
void cmd_blmpop(struct command_call *call);

#endif
