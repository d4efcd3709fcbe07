/*
 * command.h: what a command is: one table row, and the call its handler gets.
 *
 * Handlers are written as if the server were single-threaded and everything were in RAM: when one runs, the stripes of its
 * keys are locked, its keys are ready (tier_gather), and the view is set. They reply through call->reply, change data through the
 * keyspace, and log their effect once if they changed something.
 */
#ifndef SERVER_COMMAND_H
#define SERVER_COMMAND_H

#include "base/key.h"
#include "base/slice.h"
#include "base/status.h"
#include "server/resp.h"
#include "storage/keyspace.h"
#include "storage/tier.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server;  /* server/server.h */
struct session; /* server/session.h */
struct worker;  /* private to server/dispatch */

/* Flags, named as COMMAND INFO shows them (lower case), but for the last group. */
enum command_flag {
    CMD_WRITE = 1 << 0,
    CMD_READONLY = 1 << 1,
    CMD_DENYOOM = 1 << 2, /* adds data: waits when there is no room */
    CMD_ADMIN = 1 << 3,
    CMD_PUBSUB = 1 << 4,
    CMD_NOSCRIPT = 1 << 5,
    CMD_BLOCKING = 1 << 6,
    CMD_LOADING = 1 << 7,
    CMD_STALE = 1 << 8,
    CMD_FAST = 1 << 9,
    CMD_NO_AUTH = 1 << 10,
    CMD_NO_MULTI = 1 << 11,
    CMD_MOVABLEKEYS = 1 << 12,
    CMD_ALLOW_BUSY = 1 << 13,
    CMD_NO_MANDATORY_KEYS = 1 << 14,
    CMD_NO_ASYNC_LOADING = 1 << 15,
    CMD_SKIP_SLOWLOG = 1 << 16,
    CMD_ASKING = 1 << 17,
    /* ours, not shown */
    CMD_ALL_STRIPES = 1 << 20, /* needs every partition: FLUSHALL, SWAPDB, KEYS, SCAN, RANDOMKEY */
    CMD_IN_MULTI =
        1
        << 21, /* runs at once inside MULTI instead of being queued: EXEC DISCARD MULTI WATCH QUIT RESET */
    CMD_SKIP_PAUSE = 1 << 22,    /* CLIENT PAUSE does not hold it */
    CMD_IN_SUBSCRIBED = 1 << 24, /* allowed to RESP2 connections that are subscribed to something */
    CMD_NO_GATHER =
        1 << 23, /* keys are hashed and locked, but may be cold: TIER DEMOTE, PREFETCH */
};

enum command_group {
    COMMAND_GROUP_GENERIC,
    COMMAND_GROUP_STRING,
    COMMAND_GROUP_CONNECTION,
    COMMAND_GROUP_SERVER,
    COMMAND_GROUP_TRANSACTIONS,
    COMMAND_GROUP_SCRIPTING,
    COMMAND_GROUP_TIER, /* "tier": Kelvin's own */
    COMMAND_GROUP_LIST,
    COMMAND_GROUP_SET,
    COMMAND_GROUP_SORTED_SET,
    COMMAND_GROUP_HASH,
    COMMAND_GROUP_STREAM,
    COMMAND_GROUP_BITMAP,
    COMMAND_GROUP_HYPERLOGLOG,
    COMMAND_GROUP_GEO,
    COMMAND_GROUP_PUBSUB,
};

/* ACL categories, bits; names as ACL CAT shows them. */
enum command_acl {
    ACL_KEYSPACE = 1 << 0,
    ACL_READ = 1 << 1,
    ACL_WRITE = 1 << 2,
    ACL_SET = 1 << 3,
    ACL_SORTEDSET = 1 << 4,
    ACL_LIST = 1 << 5,
    ACL_HASH = 1 << 6,
    ACL_STRING = 1 << 7,
    ACL_BITMAP = 1 << 8,
    ACL_HYPERLOGLOG = 1 << 9,
    ACL_GEO = 1 << 10,
    ACL_STREAM = 1 << 11,
    ACL_PUBSUB = 1 << 12,
    ACL_ADMIN = 1 << 13,
    ACL_FAST = 1 << 14,
    ACL_SLOW = 1 << 15,
    ACL_BLOCKING = 1 << 16,
    ACL_DANGEROUS = 1 << 17,
    ACL_CONNECTION = 1 << 18,
    ACL_TRANSACTION = 1 << 19,
    ACL_SCRIPTING = 1 << 20,
};

/* Where the keys are: first and last argument index (negative last counts from the end), step. first 0 = none. */
struct command_keys {
    int first, last, step;
};
#define KEYS_NONE \
    {             \
        0, 0, 0   \
    }
#define KEYS_AT(index)      \
    {                       \
        (index), (index), 1 \
    }
#define KEYS_RANGE(first, last, step) \
    {                                 \
        (first), (last), (step)       \
    }

/* What becomes of a key, as COMMAND INFO shows it in the key specifications. */
enum command_key_flag {
    KEY_RO = 1 << 0, /* the value is read, changed, overwritten, removed: one of these */
    KEY_RW = 1 << 1,
    KEY_OW = 1 << 2,
    KEY_RM = 1 << 3,
    KEY_ACCESS = 1 << 4, /* what the client gets to know or to change */
    KEY_UPDATE = 1 << 5,
    KEY_INSERT = 1 << 6,
    KEY_DELETE = 1 << 7,
    KEY_NOT_KEY = 1 << 8,
    KEY_INCOMPLETE = 1 << 9,
    KEY_VARIABLE_FLAGS = 1 << 10,
};

/*
 * A key specification for COMMAND INFO, where key_flags cannot tell it. Begins at argument `start`, or behind the word `keyword`, looked
 * for from argument `start` on (backwards if it is negative).
 */
enum command_key_find {
    KEY_FIND_RANGE, /* `last` (counted from the first key; negative: from the end), `step`, `limit` */
    KEY_FIND_COUNTED, /* a number of keys, then the keys */
    KEY_FIND_UNKNOWN, /* they cannot be told */
};
struct command_key_spec {
    uint16_t flags;    /* 0 ends an array of them */
    const char *notes; /* prose, or NULL */
    const char *keyword;
    int start; /* 0: unknown */
    enum command_key_find find;
    int last, step, limit;
};

struct command_call {
    struct server *server;
    struct worker *worker;   /* NULL in recovery */
    struct session *session; /* NULL in recovery */
    const struct command *command;
    int argc;
    struct slice *argv;
    struct slice
        request; /* as received, for keyspace_log_request(); empty if it was not a plain RESP array */
    struct resp_command *
        received; /* what was received: its big argument (received->blob, argument number received->blob_index) can be
                                      taken with resp_command_take_blob(). NULL in EXEC and recovery */
    struct resp_output *reply;
    struct keyspace_view *view;
    struct key *
        keys; /* by the row's key spec, in order, hashed, in the view's database unless key_database says otherwise */
    size_t key_count;
    void *state; /* made by prepare(), freed by row's state_destroy */
    /*
     * Blocking commands (BLPOP, XREAD BLOCK): the handler finds nothing, sets `block` and replies nothing. The dispatcher parks the client
     * until one of the call's keys is signalled ready (keyspace_signal_ready()), then runs the handler again from the start, clients
     * in order of arrival; at the deadline it replies the null that `block_null_is_array` says. may_block is false inside MULTI, scripts and replay: the handler replies the null itself.
     * Keys whose row gives the last key flags of its own (key_flags[1]: the destination of BLMOVE) are not waited for.
     */
    bool may_block;
    bool block;
    bool
        block_null_is_array; /* the reply at the deadline: null array (RESP2 *-1), else null bulk */
    int64_t block_timeout_ms; /* 0: for ever */
    bool
        block_wakes_on_change; /* any change of the key is worth another run, its deletion too: XREADGROUP */
    /*
     * The arguments to run with later, if they are others (XREAD: '$' as the id it is now): argc slices with their bytes behind, in one
     * mem_alloc(); ownership moves. NULL: argv.
     */
    struct slice *block_argv;
    /* The command has waited and is run again: keys of another type are passed over, as if they were not there (it waits on), and its arguments are known to be good. */
    bool resumed;
};

typedef void (*command_fn)(struct command_call *call);
/*
 * For commands that need something that takes time and is not a key (SCAN's disk part, SAVE's checkpoint): called with no
 * stripe locked, before the handler, again after each wait->run(). ST_OK: go on; ST_PENDING: parked; ST_INVALID: an error
 * was replied, the handler is not called. Keeps what it has in call->state.
 */
typedef enum status (*command_prepare_fn)(struct command_call *call, struct tier_wait *wait);
/* For keys in movable places: up to `max` argument indexes to `indexes`; returns how many, -1 on syntax errors. */
typedef int (*command_find_keys_fn)(int argc, const struct slice *argv, int *indexes, int max);
/*
 * The database of key number `index`, for commands that reach into another one (MOVE, COPY DB): `current` unless the command line names
 * another that exists (below database_count). An argument that names a key in two databases comes twice in find_keys.
 */
typedef unsigned (*command_key_database_fn)(
    int argc, const struct slice *argv, size_t index, unsigned current, unsigned database_count);
/* What the handler needs of its key number `index`: for options that change it (SET GET). */
typedef enum tier_need (*command_need_fn)(int argc, const struct slice *argv, size_t index);

struct command {
    const char *name; /* lower case; of a subcommand: its own name */
    command_fn handler;
    int arity; /* as Redis: negative = at least */
    uint32_t flags;
    struct command_keys keys;
    /* 0: RO and access of a readonly command, RW and update of others. A second one is of the last key (RENAME, COPY). */
    uint16_t key_flags[2];
    command_find_keys_fn find_keys; /* instead of keys (what COMMAND INFO shows as such), or NULL */
    const struct command_key_spec *key_specs; /* instead of what key_flags tell, or NULL */
    command_key_database_fn key_database;     /* NULL: all in the view's */
    enum tier_need need;        /* of every key: TIER_NEED_HEADER (0) or TIER_NEED_VALUE */
    command_need_fn need_of;    /* instead of need, or NULL */
    command_prepare_fn prepare; /* or NULL */
    void (*state_destroy)(void *state);
    const struct command *subcommands; /* container: CLIENT, CONFIG ... or NULL */
    enum command_group group;
    uint32_t acl;
    const char *since;
    const char *complexity;
    const char *summary;
    const char *tips; /* for clients, blank-separated, or NULL */
    /* private: filled in by command_register() in its copy */
    const struct command *parent; /* of a subcommand */
    unsigned name_size;
    unsigned index;
};
#define COMMANDS_END \
    {                \
        .name = NULL \
    }

/* --- the table (server/command) ------------------------------------------------------------------------------ */

/* Families register their arrays at start, before threads; names must be unique. */
void command_register(const struct command *rows);
/* By name, any case; NULL if unknown. Hot path. */
const struct command *command_find(struct slice name);
/* The row that runs: the subcommand's row for containers. NULL: unknown subcommand; *container is then the container. */
const struct command *command_resolve(
    int argc, const struct slice *argv, const struct command **container);
bool command_arity_is_ok(const struct command *command, int argc);
/* "get", or "client|list": as COMMAND, ACL and error texts show it. */
size_t command_full_name(const struct command *command, char *out, size_t size);
size_t command_count(void);
/* In registration order, containers only at top level. */
typedef void (*command_visit_fn)(void *context, const struct command *command);
void command_visit(command_visit_fn visit, void *context);
/* A small dense number of the row, for statistics arrays: 0 .. command_row_count() - 1, subcommands included. */
unsigned command_index(const struct command *command);
unsigned command_row_count(void);
const struct command *command_at(unsigned index);
/*
 * Argument indexes of the keys of a command line by its row; at most `max` written; returns how many there are, -1 if the
 * arguments are malformed.
 */
int command_key_indexes(
    const struct command *command, int argc, const struct slice *argv, int *indexes, int max);
/*
 * For find_keys: "numkeys key [key ...]" with numkeys at argument count_index; a destination key at argument 1 comes first if
 * has_destination. -1 if the number is none, below 1 or too great: the handler then runs without keys, and must refuse.
 */
int command_find_counted_keys(int argc, const struct slice *argv, int count_index,
    bool has_destination, int *indexes, int max);
const char *command_group_name(enum command_group group);
/* Name of key flag bit number `bit`, or NULL. */
const char *command_key_flag_name(unsigned bit);
/* Name of flag / category bit number `bit`, or NULL if it is not shown. */
const char *command_flag_name(unsigned bit);
const char *command_acl_name(unsigned bit);

/* Per-row statistics; relaxed atomics, any thread. */
struct command_stats {
    _Atomic uint64_t call_count;
    _Atomic uint64_t nsec_total; /* a batch's time is shared out evenly among its commands */
    _Atomic uint64_t rejected_count;
    _Atomic uint64_t failed_count;
};
struct command_stats *command_stats_of(const struct command *command);
void command_stats_reset(void);

/* --- families (server/commands): arrays for command_register() ------------------------------------------------------ */

extern const struct command string_commands[];
extern const struct command generic_commands[];
extern const struct command connection_commands[];
extern const struct command server_commands[];
extern const struct command transaction_commands[]; /* server/dispatch */
extern const struct command tier_commands[];
extern const struct command function_commands[];
extern const struct command list_commands[];
extern const struct command set_commands[];
extern const struct command hash_commands[];
extern const struct command zset_commands[];
extern const struct command geo_commands[];
extern const struct command stream_commands[];
extern const struct command bitmap_commands[];
extern const struct command hyperloglog_commands[];
extern const struct command sort_commands[];
extern const struct command dump_commands[]; /* DUMP, RESTORE */
extern const struct command debug_commands[];
extern const struct command pubsub_commands[];

/* --- shared replies --------------------------------------------------------------------------------------------------- */

#define REPLY_WRONG_TYPE      "WRONGTYPE Operation against a key holding the wrong kind of value"
#define REPLY_SYNTAX          "ERR syntax error"
#define REPLY_NOT_INTEGER     "ERR value is not an integer or out of range"
#define REPLY_NOT_FLOAT       "ERR value is not a valid float"
#define REPLY_NO_KEY          "ERR no such key"
#define REPLY_OUT_OF_RANGE    "ERR value is out of range"
#define REPLY_DB_INDEX        "ERR DB index is out of range"
#define REPLY_STRING_TOO_LONG "ERR string exceeds maximum allowed size (proto-max-bulk-len)"

/* Parse an argument or reply the error (text, or Redis's default when NULL) and give false. */
MUST_USE bool command_int64(
    struct command_call *call, int index, int64_t *value, const char *error_text);
MUST_USE bool command_double(
    struct command_call *call, int index, double *value, const char *error_text);
/* "ERR wrong number of arguments for 'x' command". */
void command_reply_arity(struct resp_output *reply, const struct command *command);
/* The reply of "<CONTAINER> HELP": the usual first line, these lines, and HELP's own. */
void command_reply_help(struct command_call *call, const char *const *lines, size_t count);
/* The record of key `index` if it has this type; false (and WRONGTYPE replied) if it has another. *record NULL if absent. */
MUST_USE bool command_find_typed(struct command_call *call, size_t key_index,
    enum keyspace_access access, enum value_type type, struct hot_record **record);

#endif
