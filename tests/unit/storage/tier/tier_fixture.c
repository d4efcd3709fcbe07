/*
 * tier_fixture.c: the layer of tier_fixture.h. Commands are primitives that assume their keys are locked and ready; clients wrap them in a
 * turn, recovery runs them from the log.
 */
#include "tier_fixture.h"

#include "base/clock.h"
#include "base/mem.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

/* Children that crash leave threads behind; the environment's options are added to these. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "report_thread_leaks=0";
}

void child_detach(void)
{
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = STDERR_FILENO + 1; fd < 1024; fd++) {
        if (fd != null && fcntl(fd, F_GETFD) >= 0)
            (void)dup2(null, fd);
    }
}

/* --- the layer's state ------------------------------------------------------------------------------------- */

static void capture(void *context, struct buf *meta, struct buf *dead_spaces)
{
    struct store *const store = context;
    if (store->capture_hook != NULL)
        store->capture_hook(store);
    buf_append_u32(meta, store->space_next);
    for (unsigned database = 0; database < STORE_DATABASE_COUNT; database++)
        buf_append_u32(meta, store->spaces[database]);
    buf_append(dead_spaces, store->dead_new, store->dead_new_count * sizeof(uint32_t));
    store->dead_captured_count = store->dead_new_count;
}

static void overwritten(void *context, uint32_t space, bool had_expiry)
{
    struct store *const store = context;
    ck_assert_uint_lt(space, STORE_SPACE_MAX);
    if (atomic_load(&store->dead[space]))
        return;
    store->overwritten_count++;
    store->overwritten_expiring_count += had_expiry;
}

static void captured(void *context, bool committed)
{
    struct store *const store = context;
    if (committed)
        atomic_fetch_add(&store->committed_count, 1);
    else
        atomic_fetch_add(&store->failed_count, 1);
    if (!committed)
        return;
    struct hot *const hot = tier_hot(store->tier);
    hot_lock(hot, hot_stripes_all(hot));
    const size_t left = store->dead_new_count - store->dead_captured_count;
    memmove(store->dead_new, store->dead_new + store->dead_captured_count, left * sizeof(uint32_t));
    store->dead_new_count = left;
    store->dead_captured_count = 0;
    hot_unlock(hot, hot_stripes_all(hot));
}

static bool space_is_dead(void *context, uint32_t space)
{
    const struct store *const store = context;
    return space >= STORE_SPACE_MAX || atomic_load(&store->dead[space]);
}

static void prefetch_done(void *context, const struct key *key, bool found)
{
    struct store *const store = context;
    (void)key;
    atomic_fetch_add(found ? &store->prefetch_found_count : &store->prefetch_absent_count, 1);
}

static void health(void *context, enum status status, bool fatal, const struct error *error)
{
    struct store *const store = context;
    (void)error;
    atomic_store(&store->health, (uint32_t)status);
    if (fatal)
        atomic_store(&store->fatal, true);
}

#define DEFAULT_VALUE(name, field, kind, default_value, min, max, flags, help) \
    .field = (int64_t)(default_value),

void store_init(struct store *store, const char *directory)
{
    *store = (struct store){
        .directory = directory,
        .single_worker = true,
        .options = {TIER_OPTIONS(DEFAULT_VALUE)},
        .aof_options = {AOF_OPTIONS(DEFAULT_VALUE)},
        .cold_options = {COLD_OPTIONS(DEFAULT_VALUE)},
    };
    store->aof_options.segment_size = (int64_t)(256 * KiB);
    store->cold_options.io_threads = 4;
    store->cold_options.reserve = 0;
}

static void meta_load(struct store *store)
{
    struct reader reader = reader_of(tier_meta(store->tier));
    store->space_next = STORE_DATABASE_COUNT + 1;
    for (unsigned database = 0; database < STORE_DATABASE_COUNT; database++)
        store->spaces[database] = database + 1;
    if (reader_left(&reader) == 0)
        return;
    store->space_next = reader_u32(&reader);
    for (unsigned database = 0; database < STORE_DATABASE_COUNT; database++)
        store->spaces[database] = reader_u32(&reader);
    ck_assert(!reader.failed);
}

/* --- primitives --------------------------------------------------------------------------------------------- */

struct key store_key(const struct store *store, unsigned database, const char *name)
{
    return key_make(store->spaces[database], name, strlen(name));
}

static void log_effect(struct store *store, struct tier_turn *turn, uint64_t partitions,
    unsigned database, struct buf *effect)
{
    (void)store;
    char select[32];
    (void)snprintf(select, sizeof(select), "SELECT %u\n", database);
    tier_turn_log(turn, partitions, database, slice_text(select), buf_slice(effect));
    buf_deinit(effect);
}

static uint64_t partition_bit(const struct key *key)
{
    return (uint64_t)1 << hot_partition(key);
}

static void write_value(struct store *store, const struct key *key, struct hot_record *record,
    struct slice bytes, uint64_t expire_ms)
{
    struct value value;
    ck_assert_int_eq(value_string_own(bytes, &value), ST_OK);
    const bool in_cold = record == NULL && cold_may_contain(tier_cold(store->tier), key);
    (void)hot_write(tier_hot(store->tier), key, record, value, expire_ms, in_cold);
}

static void do_set(struct store *store, struct tier_turn *turn, unsigned database, const char *name,
    struct slice bytes, uint64_t expire_ms)
{
    const struct key key = store_key(store, database, name);
    struct buf effect = {0};
    buf_append_format(
        &effect, "SET %s %llu %zu\n", name, (unsigned long long)expire_ms, bytes.size);
    buf_append_slice(&effect, bytes);
    buf_append_byte(&effect, '\n');
    write_value(store, &key, hot_find(tier_hot(store->tier), &key), bytes, expire_ms);
    log_effect(store, turn, partition_bit(&key), database, &effect);
}

static bool exists(const struct hot_record *record)
{
    return record != NULL && hot_record_state(record) != HOT_ABSENT;
}

static void do_append(struct store *store, struct tier_turn *turn, unsigned database,
    const char *name, struct slice more)
{
    const struct key key = store_key(store, database, name);
    struct hot_record *const record = hot_find(tier_hot(store->tier), &key);
    struct buf bytes = {0};
    uint64_t expire_ms = 0;
    if (exists(record)) {
        ck_assert_int_eq(hot_record_state(record), HOT_RESIDENT);
        const struct value value = hot_record_value(record);
        char scratch[24];
        buf_append_slice(&bytes, value_string_bytes(&value, scratch));
        expire_ms = hot_record_expire_ms(record);
    }
    buf_append_slice(&bytes, more);
    struct buf effect = {0};
    buf_append_format(&effect, "APPEND %s %zu\n", name, more.size);
    buf_append_slice(&effect, more);
    buf_append_byte(&effect, '\n');
    write_value(store, &key, record, buf_slice(&bytes), expire_ms);
    log_effect(store, turn, partition_bit(&key), database, &effect);
    buf_deinit(&bytes);
}

static bool do_delete(
    struct store *store, struct tier_turn *turn, unsigned database, const char *name)
{
    const struct key key = store_key(store, database, name);
    struct hot_record *const record = hot_find(tier_hot(store->tier), &key);
    if (!exists(record))
        return false;
    hot_delete(tier_hot(store->tier), &key, record, NULL);
    struct buf effect = {0};
    buf_append_format(&effect, "DEL %s\n", name);
    log_effect(store, turn, partition_bit(&key), database, &effect);
    return true;
}

/* All stripes held. */
static void do_flush(struct store *store, struct tier_turn *turn, unsigned database)
{
    const uint32_t space = store->spaces[database];
    ck_assert_uint_lt(store->space_next, STORE_SPACE_MAX);
    atomic_store(&store->dead[space], true);
    store->dead_new[store->dead_new_count++] = space;
    store->spaces[database] = store->space_next++;
    struct buf effect = {0};
    buf_append_text(&effect, "FLUSH\n");
    log_effect(store, turn, UINT64_MAX, database, &effect);
}

/* --- recovery ------------------------------------------------------------------------------------------------- */

struct replay {
    struct store *store;
    struct tier_turn *turn;
    unsigned database;
};

static enum status replay_ready(struct replay *replay, const char *name, enum tier_need need)
{
    const struct key key = store_key(replay->store, replay->database, name);
    size_t failed = 0;
    return tier_gather(replay->turn, &key, &need, 1, NULL, &failed);
}

/* One command at the reader; all stripes are locked. */
static enum status replay_command(struct replay *replay, struct reader *reader)
{
    char line[160];
    size_t size = 0;
    char name[STORE_KEY_MAX + 1] = "";
    unsigned long long expire_ms = 0;
    size_t bytes_size = 0;
    while (reader_left(reader) > 0 && size + 1 < sizeof(line)) {
        line[size] = (char)reader_u8(reader);
        if (line[size] == '\n')
            break;
        size++;
    }
    line[size] = '\0';
    if (sscanf(line, "SELECT %u", &replay->database) == 1)
        return ST_OK;
    if (strcmp(line, "MULTI") == 0 || strcmp(line, "EXEC") == 0)
        return ST_OK;
    if (strcmp(line, "FLUSH") == 0) {
        do_flush(replay->store, replay->turn, replay->database);
        return ST_OK;
    }
    enum status status = ST_INVALID;
    if (sscanf(line, "SET %64s %llu %zu", name, &expire_ms, &bytes_size) == 3) {
        const struct slice bytes = reader_bytes(reader, bytes_size);
        (void)reader_u8(reader);
        const struct key key = store_key(replay->store, replay->database, name);
        if (replay->store->overwrites)
            status = tier_overwrite(replay->turn, &key, NULL);
        else
            status = replay_ready(replay, name, TIER_NEED_HEADER);
        if (status == ST_OK)
            do_set(replay->store, replay->turn, replay->database, name, bytes, expire_ms);
    } else if (sscanf(line, "APPEND %64s %zu", name, &bytes_size) == 2) {
        const struct slice bytes = reader_bytes(reader, bytes_size);
        (void)reader_u8(reader);
        status = replay_ready(replay, name, TIER_NEED_VALUE);
        if (status == ST_OK)
            do_append(replay->store, replay->turn, replay->database, name, bytes);
    } else if (sscanf(line, "DEL %64s", name) == 1) {
        status = replay_ready(replay, name, TIER_NEED_HEADER);
        /* The log only has deletions of what was there (I3): anything else is corruption. */
        if (status == ST_OK && !do_delete(replay->store, replay->turn, replay->database, name))
            status = ST_NOT_FOUND;
    }
    return reader->failed ? ST_INVALID : status;
}

static enum status apply(
    void *context, struct tier_turn *turn, struct slice payload, struct error *error)
{
    struct store *const store = context;
    if (store->apply_hook != NULL) {
        const enum status status = store->apply_hook(store);
        if (status != ST_OK)
            return error_set(error, status, 0, "the test says so");
    }
    struct replay replay = {.store = store, .turn = turn, .database = 99};
    struct reader reader = reader_of(payload);
    enum status status = ST_OK;
    ck_assert(tier_turn_is_recovery(turn));
    tier_turn_lock(turn, hot_stripes_all(tier_hot(store->tier)));
    while (status == ST_OK && reader_left(&reader) > 0)
        status = replay_command(&replay, &reader);
    tier_turn_unlock(turn);
    if (status != ST_OK)
        return error_set(error, status, 0, "a command cannot be executed: %s", status_name(status));
    return ST_OK;
}

/* --- open and close ---------------------------------------------------------------------------------------------- */

enum status store_try_open(struct store *store, struct error *error)
{
    const struct tier_config config = {
        .directory = store->directory,
        .single_worker = store->single_worker,
        .options = &store->options,
        .aof_options = &store->aof_options,
        .cold_options = &store->cold_options,
        .hooks = {.context = store,
            .capture = capture,
            .captured = captured,
            .overwritten = overwritten,
            .space_is_dead = space_is_dead,
            .prefetch_done = prefetch_done,
            .health = health},
    };
    store->tier = NULL;
    enum status status = tier_open(&config, &store->tier, error);
    if (status != ST_OK)
        return status;
    for (size_t space = 0; space < STORE_SPACE_MAX; space++)
        atomic_store(&store->dead[space], false);
    store->dead_new_count = 0;
    store->dead_captured_count = 0;
    meta_load(store);
    status = tier_recover(store->tier, apply, store, &store->recovery, error);
    if (status != ST_OK) {
        tier_close(store->tier, false);
        store->tier = NULL;
    }
    return status;
}

void store_open(struct store *store)
{
    struct error error = {0};
    const enum status status = store_try_open(store, &error);
    ck_assert_msg(status == ST_OK, "open: %s: %s", status_name(status), error.message);
}

void store_close(struct store *store, bool save)
{
    store_check(store);
    tier_close(store->tier, save);
    store->tier = NULL;
}

void store_check(struct store *store)
{
    struct hot *const hot = tier_hot(store->tier);
    for (unsigned partition = 0; partition < HOT_PARTITION_COUNT; partition++) {
        const uint64_t stripe = hot_stripe_of_partition(hot, partition);
        hot_lock(hot, stripe);
        hot_check(hot, partition);
        hot_unlock(hot, stripe);
    }
}

/* --- clients ------------------------------------------------------------------------------------------------------ */

void client_open(struct client *client, struct store *store)
{
    *client = (struct client){.store = store, .open = true};
    mailbox_init(&client->mailbox);
    client->turn = tier_turn_create(store->tier, &client->mailbox);
}

bool client_pump(struct client *client, int wait_ms)
{
    struct pollfd poll_fd = {.fd = client->mailbox.event_fd, .events = POLLIN};
    (void)poll(&poll_fd, 1, wait_ms);
    struct message *message = mailbox_take(&client->mailbox);
    const bool any = message != NULL;
    if (!client->store->no_worker_rules)
        thread_forbid_blocking(); /* I9: all that a worker does is asserted not to block */
    while (message != NULL) {
        struct message *const next = message->next;
        struct task *const task = CONTAINER_OF(message, struct task, message);
        task->run(task);
        message = next;
    }
    tier_make_room(client->turn);
    thread_allow_blocking();
    return any;
}

/* The mailbox is left to the process: I/O threads may still be in it. */
void client_close(struct client *client)
{
    while (!tier_turn_is_idle(client->turn))
        (void)client_pump(client, 10);
    tier_turn_destroy(client->turn);
    client->open = false;
}

static void resume(struct task *task)
{
    struct tier_wait *const wait = CONTAINER_OF(task, struct tier_wait, task);
    struct client *const client = wait->context;
    client->resumed = true;
}

static void await(struct client *client)
{
    const uint64_t started_ms = clock_monotonic_ms();
    while (!client->resumed) {
        (void)client_pump(client, 1000);
        ck_assert_msg(clock_monotonic_ms() - started_ms < 120000, "a wait never ended");
    }
    client->wait_count++;
}

static void turn_lock(struct client *client, uint64_t stripes)
{
    if (!client->store->no_worker_rules)
        thread_forbid_blocking();
    tier_turn_lock(client->turn, stripes);
}

static void turn_unlock(struct client *client)
{
    tier_turn_unlock(client->turn);
    tier_make_room(client->turn);
    thread_allow_blocking();
}

struct hot_record *client_find_key(struct client *client, const struct key *key)
{
    struct hot *const hot = tier_hot(client->store->tier);
    if (tier_turn_locked(client->turn) != 0)
        return hot_find(hot, key);
    hot_lock(hot, hot_stripe(hot, key));
    struct hot_record *const record = hot_find(hot, key);
    hot_unlock(hot, hot_stripe(hot, key));
    return record;
}

struct hot_record *client_find(struct client *client, unsigned database, const char *name)
{
    const struct key key = store_key(client->store, database, name);
    return client_find_key(client, &key);
}

/* Keys of one database; on ST_OK the turn is locked. */
static enum status lock_keys(struct client *client, unsigned database, const char *const *names,
    size_t count, enum tier_need need)
{
    struct hot *const hot = tier_hot(client->store->tier);
    struct tier_wait wait;
    tier_wait_init(&wait, client->turn, resume);
    wait.context = client;
    for (;;) {
        struct key keys[4];
        enum tier_need needs[4];
        uint64_t stripes = 0;
        ck_assert_uint_le(count, 4);
        for (size_t index = 0; index < count; index++) {
            keys[index] = store_key(client->store, database, names[index]);
            needs[index] = need;
            stripes |= hot_stripe(hot, &keys[index]);
        }
        turn_lock(client, stripes);
        size_t failed = 0;
        client->resumed = false;
        const uint32_t space = keys[0].space;
        const enum status status = tier_gather(client->turn, keys, needs, count, &wait, &failed);
        if (status == ST_OK)
            tier_gather_release(client->turn, keys, count, &wait);
        if (status == ST_OK && space == client->store->spaces[database])
            return ST_OK;
        turn_unlock(client);
        if (status == ST_PENDING)
            await(client);
        else if (status != ST_OK)
            return status;
    }
}

enum status client_lock(
    struct client *client, unsigned database, const char *name, enum tier_need need)
{
    return lock_keys(client, database, &name, 1, need);
}

void client_unlock(struct client *client)
{
    turn_unlock(client);
}

/* Waits while writers have to. */
static enum status may_write(struct client *client)
{
    enum status status;
    while ((status = tier_may_write(client->store->tier)) == ST_AGAIN)
        (void)client_pump(client, 1);
    return status;
}

enum status client_set_expiring(struct client *client, unsigned database, const char *name,
    struct slice value, uint64_t expire_ms)
{
    enum status status = may_write(client);
    if (status == ST_OK)
        status = client_lock(client, database, name, TIER_NEED_HEADER);
    if (status != ST_OK)
        return status;
    do_set(client->store, client->turn, database, name, value, expire_ms);
    turn_unlock(client);
    return ST_OK;
}

enum status client_set(
    struct client *client, unsigned database, const char *name, struct slice value)
{
    return client_set_expiring(client, database, name, value, 0);
}

enum status client_set_text(
    struct client *client, unsigned database, const char *name, const char *value)
{
    return client_set(client, database, name, slice_text(value));
}

enum status client_append(
    struct client *client, unsigned database, const char *name, struct slice more)
{
    enum status status = may_write(client);
    if (status == ST_OK)
        status = client_lock(client, database, name, TIER_NEED_VALUE);
    if (status != ST_OK)
        return status;
    do_append(client->store, client->turn, database, name, more);
    turn_unlock(client);
    return ST_OK;
}

enum status client_delete(struct client *client, unsigned database, const char *name)
{
    const enum status status = client_lock(client, database, name, TIER_NEED_HEADER);
    if (status != ST_OK)
        return status;
    const bool done = do_delete(client->store, client->turn, database, name);
    turn_unlock(client);
    return done ? ST_OK : ST_NOT_FOUND;
}

enum status client_get(
    struct client *client, unsigned database, const char *name, struct buf *value_out)
{
    const enum status status = client_lock(client, database, name, TIER_NEED_VALUE);
    if (status != ST_OK)
        return status;
    struct hot_record *const record = client_find(client, database, name);
    const bool found = exists(record);
    if (found) {
        ck_assert_int_eq(hot_record_state(record), HOT_RESIDENT);
        (void)hot_touch(tier_hot(client->store->tier), record, 1);
        const struct value value = hot_record_value(record);
        char scratch[24];
        if (value_out != NULL)
            buf_append_slice(value_out, value_string_bytes(&value, scratch));
    }
    turn_unlock(client);
    return found ? ST_OK : ST_NOT_FOUND;
}

enum status client_header(
    struct client *client, unsigned database, const char *name, uint64_t *expire_ms)
{
    const enum status status = client_lock(client, database, name, TIER_NEED_HEADER);
    if (status != ST_OK)
        return status;
    const struct hot_record *const record = client_find(client, database, name);
    const bool found = exists(record);
    if (found)
        *expire_ms = hot_record_expire_ms(record);
    turn_unlock(client);
    return found ? ST_OK : ST_NOT_FOUND;
}

void client_flush(struct client *client, unsigned database)
{
    turn_lock(client, hot_stripes_all(tier_hot(client->store->tier)));
    do_flush(client->store, client->turn, database);
    turn_unlock(client);
    tier_sweep_request(client->store->tier);
}

void client_append_both(struct client *client, unsigned database, const char *first,
    const char *second, struct slice more)
{
    const char *const names[] = {first, second};
    ck_assert_int_eq(may_write(client), ST_OK);
    ck_assert_int_eq(lock_keys(client, database, names, 2, TIER_NEED_VALUE), ST_OK);
    tier_turn_group_begin(client->turn, SLICE_LITERAL("MULTI\n"));
    do_append(client->store, client->turn, database, first, more);
    do_append(client->store, client->turn, database, second, more);
    tier_turn_group_end(client->turn, SLICE_LITERAL("EXEC\n"));
    turn_unlock(client);
}

/* --- checkpoints ------------------------------------------------------------------------------------------------ */

enum status client_checkpoint(struct client *client)
{
    struct tier_wait wait;
    tier_wait_init(&wait, client->turn, resume);
    wait.context = client;
    client->resumed = false;
    tier_checkpoint_request(client->store->tier, &wait);
    await(client);
    return tier_wait_status(&wait);
}

void client_demote(struct client *client, unsigned database, const char *name)
{
    const struct key key = store_key(client->store, database, name);
    turn_lock(client, hot_stripe(tier_hot(client->store->tier), &key));
    ck_assert_int_eq(tier_demote(client->turn, &key), ST_OK);
    turn_unlock(client);
}

void client_set_cold(struct client *client, unsigned database, const char *name, const char *value)
{
    ck_assert_int_eq(client_set_text(client, database, name, value), ST_OK);
    ck_assert_int_eq(client_checkpoint(client), ST_OK);
    client_demote(client, database, name);
}

uint64_t store_metric_checkpoints(const struct store *store)
{
    return METRIC_OF(store, checkpoint_count);
}
