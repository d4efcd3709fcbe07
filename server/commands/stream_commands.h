/*
 * stream_commands.h: what the files of the stream commands share.
 *
 *   stream.c             XADD XLEN XDEL XTRIM XSETID
 *   stream_arguments.c   IDs, intervals, trimming
 *   stream_range.c       XRANGE XREVRANGE; entries as replies
 *   stream_read.c        XREAD XREADGROUP
 *   stream_group.c       XGROUP XACK XPENDING
 *   stream_claim.c       XCLAIM XAUTOCLAIM
 *   stream_effects.c     what is logged of groups
 *   stream_info.c        XINFO
 *   stream_table.c       the rows
 */
#ifndef SERVER_STREAM_COMMANDS_H
#define SERVER_STREAM_COMMANDS_H

#include "commands_internal.h"
#include "storage/stream.h"

/* --- arguments (stream_arguments.c) ------------------------------------------------------------------------------------ */

/*
 * "ms-sequence" or "ms" (then with missing_sequence). is_strict refuses "-" and "+", the least and the greatest ID. "ms-*" is taken only if
 * has_sequence is not NULL, which then becomes false.
 */
MUST_USE bool stream_id_parse(struct slice text, uint64_t missing_sequence, bool is_strict,
    bool *has_sequence, struct stream_id *id);
/* The same of an argument, strict; the error was replied if false. */
MUST_USE bool stream_id_argument(struct command_call *call, int argument, struct stream_id *id);
/* All arguments from `first` to the last; freed by the caller. NULL: the error was replied. */
MUST_USE struct stream_id *stream_id_arguments(struct command_call *call, int first);
/* One end of an interval, "(" before it excludes it. False: the error was replied. */
MUST_USE bool stream_interval_start(struct command_call *call, int argument, struct stream_id *id);
MUST_USE bool stream_interval_end(struct command_call *call, int argument, struct stream_id *id);
void stream_reply_invalid_id(struct command_call *call);

struct stream_add_options {
    struct stream_trim trim;
    struct stream_id id;
    bool has_id;       /* no "*" */
    bool has_sequence; /* no "ms-*" */
    bool no_make;      /* NOMKSTREAM */
    int id_argument;   /* XADD: the ID's number; fields come after it */
};
/* The options of XADD or XTRIM. False: the error was replied. */
MUST_USE bool stream_add_options_parse(
    struct command_call *call, bool is_add, struct stream_add_options *options);

/* --- replies --------------------------------------------------------------------------------------------------------------- */

void stream_reply_id(struct resp_output *reply, struct stream_id id);
/* [ID, [name, value ...]] */
void stream_reply_entry(struct resp_output *reply, struct stream_entry *entry);
/* The entry with this ID; false, and nothing replied, if it is not there. */
bool stream_reply_entry_of(
    struct resp_output *reply, const struct stream *stream, struct stream_id id);
/* An array of entries, at most `count` of them (0: any number). */
void stream_reply_range(struct resp_output *reply, const struct stream *stream,
    struct stream_id first, struct stream_id last, uint64_t count, bool is_reverse);
/* "ERR unknown subcommand or wrong number of arguments for 'x'. Try XGROUP HELP." */
void stream_reply_subcommand_syntax(struct command_call *call);
/* At most so many bytes of a name are quoted in an error. */
static inline int stream_quote_size(struct slice text)
{
    return text.size < 400 ? (int)text.size : 400;
}

/* --- changing a stream ------------------------------------------------------------------------------------------------------- */

/* Between begin and end the stream of a record may be changed. */
struct stream_edit {
    struct command_call *call;
    const struct key *key;
    struct hot_record *record;
    struct stream *stream;
    size_t external_bytes;
    bool is_begun;
};
/* Of key number `index`. Nothing is marked as changed before stream_edit_begin(), which may be called again. */
struct stream_edit stream_edit_of(
    struct command_call *call, size_t index, struct hot_record *record);
void stream_edit_begin(struct stream_edit *edit);
void stream_edit_end(struct stream_edit *edit);

/* --- effects on groups (stream_effects.c) --------------------------------------------------------------------------------------- */

/*
 * What a command did to a group, logged as Redis propagates it: XGROUP CREATECONSUMER, XCLAIM for what was delivered, XGROUP SETID. IDs of the same
 * delivery are claimed in one command; what vanished is acknowledged (XACK). All in one group of the log, between begin and end.
 */
#define STREAM_EFFECT_IDS 512
struct stream_effects {
    struct command_call *call;
    const struct key *key;
    struct slice group;
    struct slice consumer;
    /* private */
    bool is_removal; /* the IDs are acknowledged, not claimed */
    int64_t delivery_ms;
    uint64_t delivery_count;
    struct stream_id last_id;
    size_t count;
    struct stream_id ids[STREAM_EFFECT_IDS];
};
void stream_effects_begin(struct stream_effects *effects, struct command_call *call,
    const struct key *key, struct slice group, struct slice consumer);
void stream_effects_made_consumer(struct stream_effects *effects);
/* Pending now, for the consumer, while the group has delivered up to last_id. */
void stream_effects_claimed(
    struct stream_effects *effects, const struct stream_pending *pending, struct stream_id last_id);
void stream_effects_removed(struct stream_effects *effects, struct stream_id id);
/* The group's last_id and entries_read. */
void stream_effects_moved(struct stream_effects *effects, const struct stream_group *group);
void stream_effects_end(struct stream_effects *effects);

/* --- consumers (stream_group.c) -------------------------------------------------------------------------------------------------- */

/*
 * The group (which is there) and consumer of the effects, the consumer made (with its event and effect) if it is not there, and seen now. For changes
 * of what is pending they are asked for again with stream_consumer_edit(), which begins the edit: that may share the group with a snapshot.
 */
struct stream_consumer *stream_consumer_demand(
    struct stream_edit *edit, struct stream_effects *effects, struct stream_group **group);
struct stream_consumer *stream_consumer_edit(
    struct stream_edit *edit, const struct stream_effects *effects, struct stream_group **group);
/* "NOGROUP No such key '%s' or consumer group '%s'" and more text. */
void stream_reply_no_group(
    struct command_call *call, struct slice key, struct slice group, const char *more);

/* --- handlers ----------------------------------------------------------------------------------------------------------------------- */

void cmd_xadd(struct command_call *call);
void cmd_xlen(struct command_call *call);
void cmd_xdel(struct command_call *call);
void cmd_xtrim(struct command_call *call);
void cmd_xsetid(struct command_call *call);
void cmd_xrange(struct command_call *call);
void cmd_xrevrange(struct command_call *call);
int stream_find_read_keys(int argc, const struct slice *argv, int *indexes, int max);
void cmd_xread(struct command_call *call);
void cmd_xreadgroup(struct command_call *call);
void cmd_xgroup_create(struct command_call *call);
void cmd_xgroup_setid(struct command_call *call);
void cmd_xgroup_destroy(struct command_call *call);
void cmd_xgroup_createconsumer(struct command_call *call);
void cmd_xgroup_delconsumer(struct command_call *call);
void cmd_xgroup_help(struct command_call *call);
void cmd_xack(struct command_call *call);
void cmd_xpending(struct command_call *call);
void cmd_xclaim(struct command_call *call);
void cmd_xautoclaim(struct command_call *call);
void cmd_xinfo_stream(struct command_call *call);
void cmd_xinfo_groups(struct command_call *call);
void cmd_xinfo_consumers(struct command_call *call);
void cmd_xinfo_help(struct command_call *call);

#endif
