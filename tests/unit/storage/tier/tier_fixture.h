/*
 * tier_fixture.h: a small key-value layer on the tier, as a server would be, for its tests.
 *
 *   struct store    the tier in a directory, with two databases of strings and their name spaces
 *   struct client   what a worker has: a turn and a mailbox; used by one thread
 *
 * Its log is lines: "SET <key> <expire> <size>\n<bytes>\n", "APPEND <key> <size>\n<bytes>\n", "DEL <key>\n", "FLUSH\n", "SELECT <n>\n",
 * "MULTI\n", "EXEC\n". APPEND is there because it shows when something is executed twice, or on the wrong state.
 */
#ifndef TIER_FIXTURE_H
#define TIER_FIXTURE_H

#include "storage/tier.h"
#include "test_main.h"

#include <stdatomic.h>

#define STORE_DATABASE_COUNT 2
#define STORE_SPACE_MAX      4096
#define STORE_KEY_MAX        64

struct store {
    const char *directory;
    bool single_worker;
    bool no_worker_rules; /* blocking is not forbidden on the test's thread */
    struct tier_options options;
    struct aof_options aof_options;
    struct cold_options cold_options;
    struct tier *tier;
    struct tier_recovery recovery;
    enum status (*apply_hook)(
        struct store *store); /* before each frame of a recovery; may be NULL */

    _Atomic uint32_t spaces[STORE_DATABASE_COUNT]; /* of the databases; written under all stripes */
    uint32_t space_next;                           /* the same */
    _Atomic bool dead[STORE_SPACE_MAX];
    uint32_t dead_new
        [STORE_SPACE_MAX]; /* not yet captured and committed; under all stripes, or the checkpointer */
    size_t dead_new_count;
    size_t dead_captured_count;

    bool overwrites; /* recovery does not ask what the key of a SET was */

    /* what hooks have told */
    uint32_t overwritten_count; /* of these, existed */
    uint32_t overwritten_expiring_count;
    _Atomic uint32_t committed_count;
    _Atomic uint32_t failed_count;
    _Atomic uint32_t prefetch_found_count;
    _Atomic uint32_t prefetch_absent_count;
    _Atomic bool fatal;
    _Atomic uint32_t health;
    void (*capture_hook)(struct store *store); /* in capture(), all stripes held; may be NULL */
    void *hook_context;
};

struct client {
    struct store *store;
    struct mailbox mailbox;
    struct tier_turn *turn;
    bool open;
    bool in_group;
    bool resumed; /* the client's wait has ended */
    unsigned wait_count;
};

/*
 * First thing in a forked child that may be killed at any moment: its checks no longer write to the pipe through which the runner
 * hears of the test, where half a message would be left.
 */
void child_detach(void);

/* Small limits nowhere: options as their tables say, no maxmemory, one worker. */
void store_init(struct store *store, const char *directory);
MUST_USE enum status store_try_open(struct store *store, struct error *error);
/* Opens and recovers; fails the test if it cannot. */
void store_open(struct store *store);
/* Clients must be closed. */
void store_close(struct store *store, bool save);

void client_open(struct client *client, struct store *store);
/* Waits for what is under way. */
void client_close(struct client *client);
/* Runs what has come to the mailbox, after waiting for it up to wait_ms. True if there was something. */
bool client_pump(struct client *client, int wait_ms);

struct key store_key(const struct store *store, unsigned database, const char *name);
/* The entry, whether its stripe is locked or not: for tests where nobody else is at work. */
struct hot_record *client_find(struct client *client, unsigned database, const char *name);
struct hot_record *client_find_key(struct client *client, const struct key *key);

/* One key, locked and ready; what tier_gather() returned in the end. ST_OK: locked, release with client_unlock(). */
enum status client_lock(
    struct client *client, unsigned database, const char *name, enum tier_need need);
void client_unlock(struct client *client);

/* Each command waits for its key, runs, logs and unlocks. */
enum status client_set(
    struct client *client, unsigned database, const char *name, struct slice value);
enum status client_set_text(
    struct client *client, unsigned database, const char *name, const char *value);
enum status client_set_expiring(struct client *client, unsigned database, const char *name,
    struct slice value, uint64_t expire_ms);
enum status client_append(
    struct client *client, unsigned database, const char *name, struct slice more);
enum status client_delete(struct client *client, unsigned database, const char *name);
/* ST_OK, ST_NOT_FOUND, or why not; the value is appended to *value (may be NULL). */
enum status client_get(
    struct client *client, unsigned database, const char *name, struct buf *value);
/* TTL and TYPE: the header alone. ST_OK or ST_NOT_FOUND. */
enum status client_header(
    struct client *client, unsigned database, const char *name, uint64_t *expire_ms);
void client_flush(struct client *client, unsigned database);
/* Appends to both keys in one group. */
void client_append_both(struct client *client, unsigned database, const char *first,
    const char *second, struct slice more);

/* Asks for a checkpoint and waits for it. */
enum status client_checkpoint(struct client *client);
/* Drops the RAM copy; fails the test if it may not. */
void client_demote(struct client *client, unsigned database, const char *name);
/* SET, checkpoint, demote: the record is in the cold tier only. */
void client_set_cold(struct client *client, unsigned database, const char *name, const char *value);

/* The end state: hot_check() of all partitions. */
void store_check(struct store *store);
uint64_t store_metric_checkpoints(const struct store *store);

#define METRIC_OF(store, field)                      \
    __extension__({                                  \
        struct tier_metrics metrics_ = {0};          \
        tier_metrics_read((store)->tier, &metrics_); \
        metric_get(&metrics_, field);                \
    })

#define ck_assert_value(client, database, name, text)                               \
    do {                                                                            \
        struct buf value_ = {0};                                                    \
        ck_assert_int_eq(client_get((client), (database), (name), &value_), ST_OK); \
        ck_assert_text_eq(buf_slice(&value_), (text));                              \
        buf_deinit(&value_);                                                        \
    } while (0)
#define ck_assert_absent(client, database, name) \
    ck_assert_int_eq(client_get((client), (database), (name), NULL), ST_NOT_FOUND)

#endif
