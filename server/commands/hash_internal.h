/*
 * hash_internal.h: what the files of the hash commands share.
 *
 * A command on a hash goes through an edit: open (find, or not), change, close (store what is new, delete what is empty). Fields that are
 * over count as absent; where a command meets one it is removed first, with an HDEL of its own in the log: replay, for which no time
 * passes, then meets the same state (I3).
 */
#ifndef SERVER_HASH_INTERNAL_H
#define SERVER_HASH_INTERNAL_H

#include "commands_internal.h"
#include "storage/dict.h"

struct hash_edit {
    struct command_call *call;
    struct hot_record *record; /* NULL: there is none */
    struct dict *dict;         /* the record's, or one to be stored, or NULL */
    size_t external_bytes;     /* of the record before it was changed */
    bool is_changing;
};

/* Arguments of the command line that are fields. */
struct hash_fields {
    int first; /* argument */
    int step;
    int count;
};
static inline struct slice hash_field_name(
    const struct command_call *call, const struct hash_fields *fields, int index)
{
    return call->argv[fields->first + index * fields->step];
}

/* The time that fields' expiries are held against: 0 in replay. */
uint64_t hash_now_ms(const struct command_call *call);

/* The hash of keys[0]. False: it is another type, an error was replied. */
MUST_USE bool hash_open(
    struct command_call *call, enum keyspace_access access, struct hash_edit *edit);
/* To be called before changes of edit->dict, which is made if there is none. */
void hash_change(struct hash_edit *edit);
/* After the last change. edit->dict may be gone. Logs nothing. */
void hash_close(struct hash_edit *edit);
/*
 * Removes those of these fields that are over, and logs it. `others`: and some more that are over. The hash may be gone afterwards:
 * edit->dict is then NULL.
 */
void hash_purge(struct hash_edit *edit, const struct hash_fields *fields, bool others);
/* hash_open() and hash_purge(), for commands that write fields. */
MUST_USE bool hash_open_fields(
    struct command_call *call, const struct hash_fields *fields, struct hash_edit *edit);
/* The value of a field as a bulk string, or null. dict may be NULL. */
void hash_reply_field(struct command_call *call, const struct dict *dict, struct slice name);
/* None of the arguments from `first` on is longer than an element can be, or an error was replied. */
MUST_USE bool hash_sizes_are_fine(struct command_call *call, int first);

/* --- effects --------------------------------------------------------------------------------------------------------- */

/* A command for the log: some words, "FIELDS", a number (both left out for HDEL), and fields. */
struct hash_effect {
    struct slice *args;
    size_t count;
    size_t number_at; /* argument; 0: none */
    char number[24];
    char time[24];
    size_t field_count;
};
/* Room for field_max fields with `width` arguments each. */
void hash_effect_init(struct hash_effect *effect, struct command_call *call, const char *name,
    size_t field_max, size_t width);
void hash_effect_word(struct hash_effect *effect, struct slice word);
void hash_effect_time(struct hash_effect *effect, uint64_t expire_ms);
/* "FIELDS" and the number. */
void hash_effect_fields(struct hash_effect *effect);
void hash_effect_field(struct hash_effect *effect, struct slice field);
/* Logs it if it has a field, and frees it. */
void hash_effect_end(struct hash_effect *effect, struct command_call *call);

/* --- options of the commands with expiries (hash_options.c) --------------------------------------------------------- */

enum hash_expiry { HASH_EXPIRY_NONE, HASH_EXPIRY_AT, HASH_EXPIRY_KEEP, HASH_EXPIRY_PERSIST };
struct hash_options {
    struct hash_fields fields;
    struct expire_conditions conditions; /* HEXPIRE */
    bool fnx, fxx;                       /* HSETEX */
    enum hash_expiry expiry;
    uint64_t expire_ms; /* HASH_EXPIRY_AT */
};
/* The moment lies in the past: what is given it is over at once. Never in replay. */
bool hash_time_is_past(const struct command_call *call, uint64_t expire_ms);
/* A time at argv[argument]. False: an error was replied. */
MUST_USE bool hash_parse_time(
    struct command_call *call, int argument, enum commands_time kind, uint64_t *expire_ms);
/* FIELDS numfields field ... at argv[first], to the end. number_text: the error of a bad number. */
MUST_USE bool hash_parse_fields(
    struct command_call *call, int first, const char *number_text, struct hash_fields *fields);
MUST_USE bool hash_parse_hexpire(struct command_call *call, struct hash_options *options);
MUST_USE bool hash_parse_hgetex(struct command_call *call, struct hash_options *options);
MUST_USE bool hash_parse_hsetex(struct command_call *call, struct hash_options *options);

/* --- handlers ------------------------------------------------------------------------------------------------------------ */

/* hash.c */
void cmd_hset(struct command_call *call);
void cmd_hsetnx(struct command_call *call);
void cmd_hget(struct command_call *call);
void cmd_hmget(struct command_call *call);
void cmd_hdel(struct command_call *call);
void cmd_hlen(struct command_call *call);
void cmd_hstrlen(struct command_call *call);
void cmd_hexists(struct command_call *call);
void cmd_hincrby(struct command_call *call);
void cmd_hincrbyfloat(struct command_call *call);
/* hash_walk.c */
void cmd_hgetall(struct command_call *call);
void cmd_hkeys(struct command_call *call);
void cmd_hvals(struct command_call *call);
void cmd_hscan(struct command_call *call);
void cmd_hrandfield(struct command_call *call);
/* hash_expire.c */
void cmd_hexpire(struct command_call *call);
void cmd_hpexpire(struct command_call *call);
void cmd_hexpireat(struct command_call *call);
void cmd_hpexpireat(struct command_call *call);
void cmd_httl(struct command_call *call);
void cmd_hpttl(struct command_call *call);
void cmd_hexpiretime(struct command_call *call);
void cmd_hpexpiretime(struct command_call *call);
void cmd_hpersist(struct command_call *call);
void cmd_hgetdel(struct command_call *call);
void cmd_hgetex(struct command_call *call);
void cmd_hsetex(struct command_call *call);

#endif
