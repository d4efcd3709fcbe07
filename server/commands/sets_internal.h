/*
 * sets_internal.h: what the files of the set commands share.
 */
#ifndef SERVER_SETS_INTERNAL_H
#define SERVER_SETS_INTERNAL_H

#include "commands_internal.h"
#include "storage/set.h"

/*
 * The set of key number `index`, and its record if `record` is not NULL: NULL if the key is absent. False: another type, WRONGTYPE was replied.
 */
MUST_USE bool sets_find(struct command_call *call, size_t index, enum keyspace_access access,
    struct set **set, struct hot_record **record);
/* An edit of a set in place: begin, change the set, end. */
struct sets_edit {
    const struct key *key;
    struct hot_record *record;
    size_t external_bytes;
};
struct sets_edit sets_edit_begin(
    struct command_call *call, const struct key *key, struct hot_record *record);
void sets_edit_end(struct command_call *call, const struct sets_edit *edit);
/* Gives the key this set, which becomes the record's; what it held goes. */
void sets_store(struct command_call *call, const struct key *key, struct set *set);

/* sets.c */
void cmd_sadd(struct command_call *call);
void cmd_srem(struct command_call *call);
void cmd_smove(struct command_call *call);
void cmd_sismember(struct command_call *call);
void cmd_smismember(struct command_call *call);
void cmd_scard(struct command_call *call);
void cmd_smembers(struct command_call *call);
void cmd_sscan(struct command_call *call);
/* sets_random.c */
void cmd_spop(struct command_call *call);
void cmd_srandmember(struct command_call *call);
/* sets_algebra.c */
int sintercard_find_keys(int argc, const struct slice *argv, int *indexes, int max);
/* The first key is the destination: its header is enough. */
enum tier_need sets_store_need(int argc, const struct slice *argv, size_t index);
void cmd_sinter(struct command_call *call);
void cmd_sinterstore(struct command_call *call);
void cmd_sintercard(struct command_call *call);
void cmd_sunion(struct command_call *call);
void cmd_sunionstore(struct command_call *call);
void cmd_sdiff(struct command_call *call);
void cmd_sdiffstore(struct command_call *call);

#endif
