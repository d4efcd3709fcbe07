/*
 * commands_internal.h: what the files of server/commands share.
 */
#ifndef SERVER_COMMANDS_INTERNAL_H
#define SERVER_COMMANDS_INTERNAL_H

#include "server/command.h"
#include "server/server.h"
#include "server/session.h"

/* --- effects (commands_shared.c) ------------------------------------------------------------------------- */

/*
 * Logs the command as it came, for commands that are their own effect: the same words, executed on the same state, have the same
 * result. Costs no formatting if the bytes of the request are at hand.
 */
void commands_log_as_received(struct command_call *call);
/* Logs "DEL key". */
void commands_log_delete(struct command_call *call, const struct key *key);
/* Logs "PEXPIREAT key ms", or "PERSIST key" for 0. */
void commands_log_expiry(struct command_call *call, const struct key *key, uint64_t expire_ms);
/* Deletes if it is there; true if it was. Does not log. */
bool commands_delete(struct keyspace_view *view, const struct key *key);

/* --- arguments --------------------------------------------------------------------------------------------- */

/*
 * The value to store for an argument: its blob if it came as one (taken over), else borrowed bytes, or a copy if they are long. False: memory
 * is out, and an error was replied.
 */
MUST_USE bool commands_value_of(struct command_call *call, int argument, struct value *value);
/* Gives up a value that was not stored after all. */
void commands_reply_no_memory(struct command_call *call);

/* How a time was given. */
enum commands_time { TIME_SECONDS, TIME_MILLISECONDS, TIME_UNIX_SECONDS, TIME_UNIX_MILLISECONDS };
/*
 * The moment in wall-clock ms, perhaps past or negative. False: no number, or beyond int64; an error was replied.
 */
MUST_USE bool commands_parse_time(
    struct command_call *call, int argument, enum commands_time kind, int64_t *when_ms);
/* As above, for SET and GETEX: the number must be positive. */
MUST_USE bool commands_parse_expiry(
    struct command_call *call, int argument, enum commands_time kind, uint64_t *expire_ms);
/* The timeout of a blocking command: seconds, fractions too, to ms; 0: for ever. False: an error was replied. */
MUST_USE bool commands_parse_timeout(struct command_call *call, int argument, int64_t *timeout_ms);
/*
 * A number as strtod() reads a text that ends at its first NUL: blanks may lead, empty is 0. Too large is infinite, too small 0 or
 * nearly, and *out_of_range. False: no number, or NaN; nothing is replied.
 */
MUST_USE bool commands_parse_loose_double(struct slice text, double *number, bool *out_of_range);
/* An int, as a database number: errors as Redis's. */
MUST_USE bool commands_parse_int(struct command_call *call, int argument, int *value);
/* Seconds since the record was used, as far as this process knows: at most since its start. */
int64_t commands_idle_s(const struct command_call *call, const struct hot_record *record);
/* At most this many bytes of an argument are quoted in an error. */
#define COMMANDS_QUOTE_MAX 128
static inline int commands_quote_size(struct slice text)
{
    return text.size < COMMANDS_QUOTE_MAX ? (int)text.size : COMMANDS_QUOTE_MAX;
}

/* The reply of X HELP: a head line, the lines given (NULL at the end), and HELP itself. */
void commands_reply_help(
    struct command_call *call, const char *container, const char *const *lines);

/* --- options of strings (string_options.c) -------------------------------------------------------------------- */

enum string_expiry {
    STRING_EXPIRY_NONE,
    STRING_EXPIRY_EX,
    STRING_EXPIRY_PX,
    STRING_EXPIRY_EXAT,
    STRING_EXPIRY_PXAT,
    STRING_EXPIRY_KEEP,    /* SET: KEEPTTL */
    STRING_EXPIRY_PERSIST, /* GETEX */
};
struct string_options {
    bool nx, xx, get;
    enum string_expiry expiry;
    int time_argument; /* its number, for EX, PX, EXAT, PXAT */
};
enum string_options_of { STRING_OPTIONS_OF_SET, STRING_OPTIONS_OF_GETEX };
/* argv[first] on. False: syntax error. */
MUST_USE bool string_options_parse(enum string_options_of which, int argc, const struct slice *argv,
    int first, struct string_options *options);
/* The time of an expiry option as wall-clock ms. False: an error was replied. */
MUST_USE bool string_options_time(
    struct command_call *call, const struct string_options *options, uint64_t *expire_ms);

/* --- numbers as strings (string_number.c) ------------------------------------------------------------------------ */

#define STRING_FLOAT_TEXT_SIZE (5 * 1024)
/* A long double as strtold() reads it, the whole text, no blanks before. False also for NaN and out of range. */
MUST_USE bool string_to_float(struct slice text, long double *value);
/* "%.17Lf" without trailing zeros. Returns the length. */
size_t string_from_float(long double value, char out[STRING_FLOAT_TEXT_SIZE]);

/* --- longest common subsequence (string_lcs.c) --------------------------------------------------------------------- */

/* A run of equal bytes in both strings, ends included. */
struct lcs_match {
    uint32_t a_start, a_end, b_start, b_end;
};
/*
 * The table of lengths, (a.size + 1) * (b.size + 1) cells; NULL when memory is out. Both shorter than UINT32_MAX - 1. The caller frees.
 */
MUST_USE uint32_t *lcs_table_create(struct slice a, struct slice b);
/*
 * Walks the table from its end: calls visit for each run, last first. text may be NULL; else room for the whole
 * subsequence. Returns its length.
 */
typedef void (*lcs_visit_fn)(void *context, const struct lcs_match *match);
uint32_t lcs_walk(const uint32_t *table, struct slice a, struct slice b, char *text,
    lcs_visit_fn visit, void *context);

/* --- options of EXPIRE (expire.c), SCAN (generic_walk.c) and COPY (generic.c) ----------------------------------------- */

struct expire_conditions {
    bool nx, xx, gt, lt;
};
/* True if the word is NX, XX, GT or LT, which is noted. */
bool expire_condition_take(struct slice word, struct expire_conditions *conditions);
/* argv[3] on. False: an error was replied. */
MUST_USE bool expire_conditions_parse(
    struct command_call *call, struct expire_conditions *conditions);
/* when_ms may be set on a record that expires at expire_ms (0 = never)? */
bool expire_conditions_hold(
    const struct expire_conditions *conditions, uint64_t expire_ms, int64_t when_ms);

/* A cursor as strtoul() reads it. */
MUST_USE bool scan_cursor_parse(struct slice text, uint64_t *cursor);

/* Databases of keys in other databases: command_key_database_fn. */
unsigned copy_key_database(
    int argc, const struct slice *argv, size_t index, unsigned current, unsigned database_count);
unsigned move_key_database(
    int argc, const struct slice *argv, size_t index, unsigned current, unsigned database_count);
/* MOVE's key, twice: here and there. */
int move_find_keys(int argc, const struct slice *argv, int *indexes, int max);
/* The source's value, the destination's header: RENAME, COPY, MOVE. */
enum tier_need transfer_need(int argc, const struct slice *argv, size_t index);

/* --- handlers, for the tables ------------------------------------------------------------------------------------------ */

/* string.c */
void cmd_get(struct command_call *call);
void cmd_getdel(struct command_call *call);
void cmd_getex(struct command_call *call);
void cmd_strlen(struct command_call *call);
void cmd_mget(struct command_call *call);
/* string_set.c */
enum tier_need set_need(int argc, const struct slice *argv, size_t index);
void cmd_set(struct command_call *call);
void cmd_setnx(struct command_call *call);
void cmd_setex(struct command_call *call);
void cmd_psetex(struct command_call *call);
void cmd_getset(struct command_call *call);
void cmd_mset(struct command_call *call);
void cmd_msetnx(struct command_call *call);
/* string_range.c */
void cmd_append(struct command_call *call);
void cmd_setrange(struct command_call *call);
void cmd_getrange(struct command_call *call);
/* string_number.c */
void cmd_incr(struct command_call *call);
void cmd_decr(struct command_call *call);
void cmd_incrby(struct command_call *call);
void cmd_decrby(struct command_call *call);
void cmd_incrbyfloat(struct command_call *call);
/* string_lcs.c */
void cmd_lcs(struct command_call *call);
/* generic.c */
void cmd_del(struct command_call *call);
void cmd_exists(struct command_call *call);
void cmd_type(struct command_call *call);
void cmd_touch(struct command_call *call);
void cmd_rename(struct command_call *call);
void cmd_renamenx(struct command_call *call);
void cmd_copy(struct command_call *call);
void cmd_move(struct command_call *call);
/* generic_walk.c */
enum status scan_prepare(struct command_call *call, struct tier_wait *wait);
enum status keys_prepare(struct command_call *call, struct tier_wait *wait);
enum status randomkey_prepare(struct command_call *call, struct tier_wait *wait);
void walk_state_destroy(void *state);
void cmd_scan(struct command_call *call);
void cmd_keys(struct command_call *call);
void cmd_randomkey(struct command_call *call);
/* expire.c */
void cmd_ttl(struct command_call *call);
void cmd_pttl(struct command_call *call);
void cmd_expiretime(struct command_call *call);
void cmd_pexpiretime(struct command_call *call);
void cmd_expire(struct command_call *call);
void cmd_pexpire(struct command_call *call);
void cmd_expireat(struct command_call *call);
void cmd_pexpireat(struct command_call *call);
void cmd_persist(struct command_call *call);
/* object.c */
void cmd_object_encoding(struct command_call *call);
void cmd_object_refcount(struct command_call *call);
void cmd_object_idletime(struct command_call *call);
void cmd_object_freq(struct command_call *call);
void cmd_object_help(struct command_call *call);

/* --- info.c, command_docs.c --------------------------------------------------------------------------------- */

void cmd_info(struct command_call *call);
void cmd_command(struct command_call *call);
extern const struct command command_subcommands[];

/* --- connection.c, client.c --- */

extern const struct command client_subcommands[];
/* CLIENT SETNAME and HELLO SETNAME: false with an error replied if the name is not plain. */
bool client_name_set(struct command_call *call, struct slice name);

#endif
