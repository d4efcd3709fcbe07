/*
 * keyspace_fixture.h: a server without a network: the store in a directory, and clients that execute commands as a worker does.
 *
 *   struct store    keyspace and tier; recovery executes the log with the commands that clients log
 *   struct client   what a worker has: mailbox, turn, view; used by one thread
 *   struct names    a multiset of strings: what a walk gave
 *
 * Commands wait for their keys, execute, log their effect, unlock. Time is client.view.now_ms, set by the test.
 */
#ifndef KEYSPACE_FIXTURE_H
#define KEYSPACE_FIXTURE_H

#include "storage/keyspace.h"
#include "test_main.h"

#include <stdatomic.h>

struct store {
    const char *directory;
    unsigned database_count;
    bool single_worker;
    struct tier_options options;
    struct aof_options aof_options;
    struct cold_options cold_options;
    struct keyspace *keyspace;
    struct tier *tier;
    struct tier_recovery recovery;
    uint64_t replay_now_ms; /* the view's clock in recovery, which must not matter */
    unsigned expired_in_replay;
};

struct client {
    struct store *store;
    struct mailbox mailbox;
    struct tier_turn *turn;
    struct keyspace_view view;
    struct random random;
    struct buf text; /* of client_get() */
    bool resumed;
    unsigned wait_count;
};

/* Four databases, one worker, options as their tables say. */
void store_init(struct store *store, const char *directory);
MUST_USE enum status store_try_open(struct store *store, struct error *error);
void store_open(struct store *store);
/* save false: as after a crash, the log's tail is executed at the next start. Clients are closed. */
void store_close(struct store *store, bool save);
/* close and open again */
void store_reopen(struct store *store, bool save);

/* now: 1 000 000 ms */
void client_open(struct client *client, struct store *store);
void client_close(struct client *client);
bool client_pump(struct client *client, int wait_ms);

/* Locks a key of a database, ready for the need. */
struct key client_lock(
    struct client *client, unsigned database, const char *name, enum tier_need need);
void client_lock_all(struct client *client);
void client_unlock(struct client *client);

void client_set(struct client *client, unsigned database, const char *name, const char *value);
void client_set_expiring(struct client *client, unsigned database, const char *name,
    const char *value, uint64_t expire_ms);
/* False if there is none. */
bool client_delete(struct client *client, unsigned database, const char *name);
bool client_expire(struct client *client, unsigned database, const char *name, uint64_t expire_ms);
/* NULL if there is none; the text lives until the next call. */
const char *client_get(struct client *client, unsigned database, const char *name);
/* The header alone; false if there is none. */
bool client_exists(struct client *client, unsigned database, const char *name);
void client_flush(struct client *client, unsigned database);
void client_flush_all(struct client *client);
void client_swap(struct client *client, unsigned a, unsigned b);
void client_watch(
    struct client *client, struct keyspace_watcher *watcher, unsigned database, const char *name);
bool client_is_touched(struct client *client, struct keyspace_watcher *watcher);
void client_unwatch(struct client *client, struct keyspace_watcher *watcher);

void client_checkpoint(struct client *client);
/* Drops all clean records of RAM. */
void client_demote_all(struct client *client);
/* Checkpoint, then that: everything is cold. */
void client_make_cold(struct client *client);
enum hot_state client_state(
    struct client *client, unsigned database, const char *name, bool *found);

/* --- walks ---------------------------------------------------------------------------------------------- */

struct names {
    char **texts;
    size_t count, capacity;
};
void names_deinit(struct names *names);
void names_clear(struct names *names);
void names_add(struct names *names, struct slice name);
size_t names_count_of(const struct names *names, const char *text);
static inline bool names_contain(const struct names *names, const char *text)
{
    return names_count_of(names, text) > 0;
}
/* Sorted, each once. */
void names_unique(struct names *names);

struct scan {
    uint64_t cursor;
    uint64_t count;
    const char *pattern; /* NULL: all */
    int type;
    unsigned database;
};
/* The options of an iteration of everything. */
struct scan scan_make(unsigned database, uint64_t count);
/* One step; the next cursor is put into scan. */
void client_scan_step(struct client *client, struct scan *scan, struct names *names);
/* From 0 to 0; returns the number of steps. */
unsigned client_scan(struct client *client, struct scan scan, struct names *names);
void client_keys(
    struct client *client, unsigned database, const char *pattern, struct names *names);
/* NULL if there is none. */
const char *client_random(struct client *client, unsigned database);

#define KEYSPACE_METRIC(store, field)                        \
    __extension__({                                          \
        struct keyspace_metrics metrics_ = {0};              \
        keyspace_metrics_read((store)->keyspace, &metrics_); \
        metric_get(&metrics_, field);                        \
    })

#define ck_assert_value(client, database, name, text)                        \
    do {                                                                     \
        const char *const value_ = client_get((client), (database), (name)); \
        ck_assert_msg(value_ != NULL, "%s is missing", (name));              \
        ck_assert_str_eq(value_, (text));                                    \
    } while (0)
#define ck_assert_missing(client, database, name) \
    ck_assert_ptr_null(client_get((client), (database), (name)))
#define ck_assert_sizes(client, database, keys, expires)                                       \
    do {                                                                                       \
        ck_assert_uint_eq(keyspace_size((client)->store->keyspace, (database)), (keys));       \
        ck_assert_uint_eq(keyspace_expires((client)->store->keyspace, (database)), (expires)); \
    } while (0)

#endif
