/*
 * zset_commands.h: what the files of the sorted sets' commands (zset*.c, geo*.c) share.
 */
#ifndef SERVER_ZSET_COMMANDS_H
#define SERVER_ZSET_COMMANDS_H

#include "commands_internal.h"
#include "storage/zset.h"

/* --- records (zset_shared.c) ------------------------------------------------------------------------------ */

/* A sorted set found for a change. The record is marked as changed at the first change. */
struct zset_edit {
    struct command_call *call;
    const struct key *key;
    struct hot_record *record; /* NULL: there is none; zset is then NULL, or new */
    struct zset *zset;
    size_t external_bytes;
    bool begun;
};
/* The sorted set of a key for reading: *zset NULL if absent; false if WRONGTYPE was replied. */
MUST_USE bool zset_read(struct command_call *call, size_t key_index, const struct zset **zset);
/* As zset_read(), for a change. */
MUST_USE bool zset_edit_find(struct command_call *call, size_t key_index, struct zset_edit *edit);
/* Makes the set if there is none. */
void zset_edit_create(struct zset_edit *edit);
/* Before each change. */
void zset_edit_begin(struct zset_edit *edit);
/*
 * After the last: stores a new set, deletes an emptied one. True if that was so; it is the caller's to say "del" behind its own event. Neither logs
 * nor notifies, but clients that wait for the key.
 */
bool zset_edit_end(struct zset_edit *edit);
/* Takes out [rank, rank + count) and ends the edit; all of it deletes the key at once. As zset_edit_end(). */
bool zset_edit_remove_range(struct zset_edit *edit, uint64_t rank, uint64_t count);

/* How the result of a STORE form is logged. */
enum zset_store_log {
    ZSET_LOG_REQUEST, /* the same words give the same result */
    ZSET_LOG_MEMBERS, /* they might not (distances are the mathematical library's) */
};
/*
 * The result of a STORE form: replaces the key by the set, or deletes it if that is empty; takes the set. Logs, notifies, replies the
 * count.
 */
void zset_store(struct command_call *call, size_t key_index, struct zset *zset, const char *event,
    enum zset_store_log log);

/* --- replies ------- */

/* A member with its score: a pair of its own in RESP3. */
void zset_reply_pair(
    struct resp_output *reply, const struct element *member, double score, bool with_score);
/* The head of `count` of these. */
void zset_reply_head(struct resp_output *reply, uint64_t count, bool with_score);

/* --- ZADD's work (zset_add.c) ------- */

struct zset_add_options {
    bool nx, xx, gt, lt, changed, increment;
};
/* One option word; false: it is none. */
bool zset_add_option(struct slice word, struct zset_add_options *options);
/* Adds `count` members, argv[first], argv[first + step] ..., with these scores; logs, notifies, replies. */
void zset_add_members(struct command_call *call, const struct zset_add_options *options,
    const double *scores, int first, int step, int count);

/* --- arguments ------- */

/* A score: as command_double(), faster for integers. */
MUST_USE bool zset_parse_score(struct command_call *call, int argument, double *score);

enum zset_range_kind { ZSET_RANGE_RANK, ZSET_RANGE_SCORE, ZSET_RANGE_LEX };
/* An end of a range. */
struct zset_bound {
    int64_t rank;          /* RANK: negative counts from the end */
    double score;          /* SCORE */
    int infinite;          /* LEX: -1 before all, 1 behind all, 0 the member */
    struct element member; /* LEX */
    bool exclusive;        /* SCORE, LEX */
};
struct zset_range {
    enum zset_range_kind kind;
    struct zset_bound min, max;
    bool reverse; /* RANK: counts from the highest */
};
/* The two arguments as the kind asks. False: an error was replied. */
MUST_USE bool zset_range_parse(
    struct command_call *call, int min_argument, int max_argument, struct zset_range *range);
/* Ranks from the lowest: [*first, *first + the count returned). */
uint64_t zset_range_resolve(
    const struct zset_range *range, const struct zset *zset, uint64_t *first);

/* --- handlers, for the tables ------------------------------------------------------------------------------- */

/* zset_add.c */
void cmd_zadd(struct command_call *call);
void cmd_zincrby(struct command_call *call);
/* zset.c */
void cmd_zrem(struct command_call *call);
void cmd_zremrangebyrank(struct command_call *call);
void cmd_zremrangebyscore(struct command_call *call);
void cmd_zremrangebylex(struct command_call *call);
void cmd_zcard(struct command_call *call);
void cmd_zscore(struct command_call *call);
void cmd_zmscore(struct command_call *call);
void cmd_zcount(struct command_call *call);
void cmd_zlexcount(struct command_call *call);
void cmd_zrank(struct command_call *call);
void cmd_zrevrank(struct command_call *call);
void cmd_zrandmember(struct command_call *call);
void cmd_zscan(struct command_call *call);
/* zset_range.c */
void cmd_zrange(struct command_call *call);
void cmd_zrangestore(struct command_call *call);
void cmd_zrevrange(struct command_call *call);
void cmd_zrangebyscore(struct command_call *call);
void cmd_zrevrangebyscore(struct command_call *call);
void cmd_zrangebylex(struct command_call *call);
void cmd_zrevrangebylex(struct command_call *call);
/* zset_pop.c */
void cmd_zpopmin(struct command_call *call);
void cmd_zpopmax(struct command_call *call);
void cmd_zmpop(struct command_call *call);
void cmd_bzpopmin(struct command_call *call);
void cmd_bzpopmax(struct command_call *call);
void cmd_bzmpop(struct command_call *call);
/* zset_combine.c */
void cmd_zunion(struct command_call *call);
void cmd_zinter(struct command_call *call);
void cmd_zdiff(struct command_call *call);
void cmd_zintercard(struct command_call *call);
void cmd_zunionstore(struct command_call *call);
void cmd_zinterstore(struct command_call *call);
void cmd_zdiffstore(struct command_call *call);
/* geo.c */
void cmd_geoadd(struct command_call *call);
void cmd_geopos(struct command_call *call);
void cmd_geodist(struct command_call *call);
void cmd_geohash(struct command_call *call);
/* geo_search.c */
int geo_find_keys(int argc, const struct slice *argv, int *indexes, int max);
void cmd_georadius(struct command_call *call);
void cmd_georadiusbymember(struct command_call *call);
void cmd_geosearch(struct command_call *call);
void cmd_geosearchstore(struct command_call *call);

#endif
