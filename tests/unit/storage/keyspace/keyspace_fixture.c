/*
 * keyspace_fixture.c: clients and recovery of keyspace_fixture.h.
 */
#include "keyspace_fixture.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"

#include <poll.h>

/* --- the store ------------------------------------------------------------------------------------------- */

#define DEFAULT_VALUE(name, field, kind, default_value, min, max, flags, help) \
    .field = (int64_t)(default_value),

void store_init(struct store *store, const char *directory)
{
    *store = (struct store){
        .directory = directory,
        .database_count = 4,
        .single_worker = true,
        .options = {TIER_OPTIONS(DEFAULT_VALUE)},
        .aof_options = {AOF_OPTIONS(DEFAULT_VALUE)},
        .cold_options = {COLD_OPTIONS(DEFAULT_VALUE)},
        .replay_now_ms = UINT64_MAX / 2,
    };
    store->options.hot_list_interval_s = 0;
    store->aof_options.segment_size = (int64_t)(256 * KiB);
    store->cold_options.io_threads = 4;
    store->cold_options.reserve = 0;
}

static void health(void *context, enum status status, bool fatal, const struct error *error)
{
    (void)context, (void)status, (void)error;
    CHECK(!fatal);
}

/* --- recovery: the effects that clients log ------------------------------------------------------------------- */

struct replay {
    struct store *store;
    struct keyspace_view view;
};

static struct slice replay_bulk(struct reader *reader, char mark)
{
    size_t number = 0;
    ck_assert_int_eq(reader_u8(reader), mark);
    uint8_t byte;
    while ((byte = reader_u8(reader)) != '\r')
        number = number * 10 + (size_t)(byte - '0');
    ck_assert_int_eq(reader_u8(reader), '\n');
    if (mark == '*')
        return slice_of(NULL, number);
    const struct slice bulk = reader_bytes(reader, number);
    ck_assert_int_eq(reader_u8(reader), '\r');
    ck_assert_int_eq(reader_u8(reader), '\n');
    return bulk;
}

static uint64_t number_of(struct slice text)
{
    uint64_t number = 0;
    ck_assert(slice_to_uint64(text, &number));
    return number;
}

static void replay_key_command(struct replay *replay, const struct slice *args, size_t count)
{
    struct keyspace_view *const view = &replay->view;
    const struct key key = keyspace_key(view, args[1]);
    const enum tier_need need =
        slice_equal_nocase(args[0], "PEXPIREAT") ? TIER_NEED_VALUE : TIER_NEED_HEADER;
    size_t failed = 0;
    ck_assert_int_eq(tier_gather(view->turn, &key, &need, 1, NULL, &failed), ST_OK);
    struct hot_record *const record = keyspace_find(view, &key, KEYSPACE_WRITE);
    if (slice_equal_nocase(args[0], "SET")) {
        struct value value;
        ck_assert_int_eq(value_string_own(args[2], &value), ST_OK);
        (void)keyspace_set(view, &key, record, value, count > 3 ? number_of(args[4]) : 0);
        keyspace_log_args(view, &key, 1, args, count); /* logs nothing in replay */
        return;
    }
    ck_assert_ptr_nonnull(record); /* I3: an effect that fails in replay is corruption */
    if (slice_equal_nocase(args[0], "DEL"))
        keyspace_delete(view, &key, record);
    else if (slice_equal_nocase(args[0], "PEXPIREAT"))
        (void)keyspace_expire(view, &key, record, number_of(args[2]));
    else
        ck_abort_msg("unknown effect");
}

static void replay_command(struct replay *replay, struct reader *reader)
{
    struct slice args[8];
    const size_t count = replay_bulk(reader, '*').size;
    ck_assert_uint_ge(count, 1);
    ck_assert_uint_le(count, COUNT_OF(args));
    for (size_t index = 0; index < count; index++)
        args[index] = replay_bulk(reader, '$');
    if (slice_equal_nocase(args[0], "SELECT"))
        replay->view.database = (unsigned)number_of(args[1]);
    else if (slice_equal_nocase(args[0], "FLUSHDB"))
        keyspace_flush(&replay->view, replay->view.database);
    else if (slice_equal_nocase(args[0], "FLUSHALL"))
        keyspace_flush_all(&replay->view);
    else if (slice_equal_nocase(args[0], "SWAPDB"))
        keyspace_swap(&replay->view, (unsigned)number_of(args[1]), (unsigned)number_of(args[2]));
    else if (!slice_equal_nocase(args[0], "MULTI") && !slice_equal_nocase(args[0], "EXEC"))
        replay_key_command(replay, args, count);
}

static enum status apply(
    void *context, struct tier_turn *turn, struct slice payload, struct error *error)
{
    struct store *const store = context;
    (void)error;
    struct replay replay = {
        .store = store,
        .view = {.keyspace = store->keyspace,
            .tier = store->tier,
            .hot = tier_hot(store->tier),
            .turn = turn,
            .now_ms = store->replay_now_ms,
            .database = 99, /* a frame begins with SELECT */
            .replay = true},
    };
    struct reader reader = reader_of(payload);
    tier_turn_lock(turn, hot_stripes_all(replay.view.hot));
    while (reader_left(&reader) > 0)
        replay_command(&replay, &reader);
    tier_turn_unlock(turn);
    return ST_OK;
}

/* --- open and close --------------------------------------------------------------------------------------------- */

enum status store_try_open(struct store *store, struct error *error)
{
    store->keyspace = keyspace_create(store->database_count);
    struct tier_config config = {
        .directory = store->directory,
        .single_worker = store->single_worker,
        .options = &store->options,
        .aof_options = &store->aof_options,
        .cold_options = &store->cold_options,
        .hooks = {.health = health},
    };
    keyspace_hooks(store->keyspace, &config.hooks);
    store->tier = NULL;
    enum status status = tier_open(&config, &store->tier, error);
    if (status == ST_OK)
        status = keyspace_attach(store->keyspace, store->tier, error);
    if (status == ST_OK)
        status = tier_recover(store->tier, apply, store, &store->recovery, error);
    if (status != ST_OK) {
        tier_close(store->tier, false);
        keyspace_destroy(store->keyspace);
        store->tier = NULL;
        store->keyspace = NULL;
    }
    return status;
}

void store_open(struct store *store)
{
    struct error error = {0};
    const enum status status = store_try_open(store, &error);
    ck_assert_msg(status == ST_OK, "open: %s: %s", status_name(status), error.message);
    cold_filter_wait(tier_cold(store->tier)); /* until then every key may be cold */
}

void store_close(struct store *store, bool save)
{
    struct hot *const hot = tier_hot(store->tier);
    for (unsigned partition = 0; partition < HOT_PARTITION_COUNT; partition++) {
        const uint64_t stripe = hot_stripe_of_partition(hot, partition);
        hot_lock(hot, stripe);
        hot_check(hot, partition);
        hot_unlock(hot, stripe);
    }
    tier_close(store->tier, save);
    keyspace_destroy(store->keyspace);
    store->tier = NULL;
    store->keyspace = NULL;
}

void store_reopen(struct store *store, bool save)
{
    store_close(store, save);
    store_open(store);
}

/* --- clients ------------------------------------------------------------------------------------------------------- */

void client_open(struct client *client, struct store *store)
{
    *client = (struct client){.store = store};
    mailbox_init(&client->mailbox);
    client->turn = tier_turn_create(store->tier, &client->mailbox);
    client->view = (struct keyspace_view){
        .keyspace = store->keyspace,
        .tier = store->tier,
        .hot = tier_hot(store->tier),
        .turn = client->turn,
        .now_ms = 1000000,
    };
    test_random_init(&client->random);
}

bool client_pump(struct client *client, int wait_ms)
{
    struct pollfd poll_fd = {.fd = client->mailbox.event_fd, .events = POLLIN};
    (void)poll(&poll_fd, 1, wait_ms);
    struct message *message = mailbox_take(&client->mailbox);
    const bool any = message != NULL;
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
    buf_deinit(&client->text);
}

static void resume(struct task *task)
{
    struct tier_wait *const wait = CONTAINER_OF(task, struct tier_wait, task);
    struct client *const client = wait->context;
    client->resumed = true;
}

static void wait_init(struct client *client, struct tier_wait *wait)
{
    tier_wait_init(wait, client->turn, resume);
    wait->context = client;
    client->resumed = false;
}

static void await(struct client *client)
{
    const uint64_t started_us = clock_thread_cpu_us();
    while (!client->resumed) {
        (void)client_pump(client, 1000);
        ck_assert_msg(clock_thread_cpu_us() - started_us < 60000000, "a wait never ended");
    }
    client->resumed = false;
    client->wait_count++;
}

struct key client_lock(
    struct client *client, unsigned database, const char *name, enum tier_need need)
{
    struct tier_wait wait;
    wait_init(client, &wait);
    client->view.database = database;
    struct key key = keyspace_key(&client->view, slice_text(name));
    bool waited = false;
    for (;;) {
        size_t failed = 0;
        tier_turn_lock(client->turn, hot_stripe(client->view.hot, &key));
        const enum status status = tier_gather(client->turn, &key, &need, 1, &wait, &failed);
        if (status == ST_PENDING) {
            tier_turn_unlock(client->turn);
            await(client);
            waited = true;
            continue;
        }
        ck_assert_int_eq(status, ST_OK);
        if (waited)
            tier_gather_release(client->turn, &key, 1, &wait);
        const struct key again = keyspace_key(&client->view, slice_text(name));
        if (key_equal(&again, &key))
            return key;
        tier_turn_unlock(client->turn); /* the database has got another space */
        key = again;
        wait_init(client, &wait);
        waited = false;
    }
}

void client_lock_all(struct client *client)
{
    tier_turn_lock(client->turn, hot_stripes_all(client->view.hot));
}

void client_unlock(struct client *client)
{
    tier_turn_unlock(client->turn);
    tier_make_room(client->turn);
}

static void may_write(struct client *client)
{
    enum status status;
    while ((status = tier_may_write(client->store->tier)) == ST_AGAIN)
        (void)client_pump(client, 1);
    ck_assert_int_eq(status, ST_OK);
}

void client_set_expiring(struct client *client, unsigned database, const char *name,
    const char *text, uint64_t expire_ms)
{
    may_write(client);
    const struct key key = client_lock(client, database, name, TIER_NEED_HEADER);
    struct hot_record *const record = keyspace_find(&client->view, &key, KEYSPACE_WRITE);
    struct value value;
    ck_assert_int_eq(value_string_own(slice_text(text), &value), ST_OK);
    (void)keyspace_set(&client->view, &key, record, value, expire_ms);
    char number[24];
    const struct slice args[] = {SLICE_LITERAL("SET"), slice_text(name), slice_text(text),
        SLICE_LITERAL("PXAT"), slice_of(number, uint64_to_text(expire_ms, number))};
    keyspace_log_args(&client->view, &key, 1, args, expire_ms == 0 ? 3 : 5);
    client_unlock(client);
}

void client_set(struct client *client, unsigned database, const char *name, const char *text)
{
    client_set_expiring(client, database, name, text, 0);
}

bool client_delete(struct client *client, unsigned database, const char *name)
{
    may_write(client);
    const struct key key = client_lock(client, database, name, TIER_NEED_HEADER);
    struct hot_record *const record = keyspace_find(&client->view, &key, KEYSPACE_WRITE);
    if (record != NULL) {
        keyspace_delete(&client->view, &key, record);
        const struct slice args[] = {SLICE_LITERAL("DEL"), slice_text(name)};
        keyspace_log_args(&client->view, &key, 1, args, 2);
    }
    client_unlock(client);
    return record != NULL;
}

bool client_expire(struct client *client, unsigned database, const char *name, uint64_t expire_ms)
{
    may_write(client);
    const struct key key = client_lock(client, database, name, TIER_NEED_VALUE);
    struct hot_record *const record = keyspace_find(&client->view, &key, KEYSPACE_WRITE);
    if (record != NULL) {
        const struct hot_record *const after =
            keyspace_expire(&client->view, &key, record, expire_ms);
        ck_assert_uint_eq(hot_record_expire_ms(after), expire_ms);
        char number[24];
        const struct slice args[] = {SLICE_LITERAL("PEXPIREAT"), slice_text(name),
            slice_of(number, uint64_to_text(expire_ms, number))};
        keyspace_log_args(&client->view, &key, 1, args, 3);
    }
    client_unlock(client);
    return record != NULL;
}

const char *client_get(struct client *client, unsigned database, const char *name)
{
    struct buf *const text = &client->text;
    const struct key key = client_lock(client, database, name, TIER_NEED_VALUE);
    const struct hot_record *const record = keyspace_find(&client->view, &key, KEYSPACE_READ);
    if (record != NULL) {
        const struct value value = hot_record_value(record);
        char scratch[24];
        buf_clear(text);
        buf_append_slice(text, value_string_bytes(&value, scratch));
        buf_append_byte(text, '\0');
    }
    client_unlock(client);
    return record == NULL ? NULL : text->data;
}

bool client_exists(struct client *client, unsigned database, const char *name)
{
    const struct key key = client_lock(client, database, name, TIER_NEED_HEADER);
    const bool found = keyspace_find(&client->view, &key, KEYSPACE_PEEK) != NULL;
    client_unlock(client);
    return found;
}

void client_flush(struct client *client, unsigned database)
{
    client->view.database = database;
    client_lock_all(client);
    keyspace_flush(&client->view, database);
    const struct slice args[] = {SLICE_LITERAL("FLUSHDB")};
    keyspace_log_all(&client->view, args, 1);
    client_unlock(client);
}

void client_flush_all(struct client *client)
{
    client->view.database = 0;
    client_lock_all(client);
    keyspace_flush_all(&client->view);
    const struct slice args[] = {SLICE_LITERAL("FLUSHALL")};
    keyspace_log_all(&client->view, args, 1);
    client_unlock(client);
}

void client_swap(struct client *client, unsigned a, unsigned b)
{
    client->view.database = 0;
    client_lock_all(client);
    keyspace_swap(&client->view, a, b);
    char first[24];
    char second[24];
    const struct slice args[] = {SLICE_LITERAL("SWAPDB"), slice_of(first, uint64_to_text(a, first)),
        slice_of(second, uint64_to_text(b, second))};
    keyspace_log_all(&client->view, args, 3);
    client_unlock(client);
}

void client_watch(
    struct client *client, struct keyspace_watcher *watcher, unsigned database, const char *name)
{
    const struct key key = client_lock(client, database, name, TIER_NEED_HEADER);
    keyspace_watch(&client->view, watcher, &key, database);
    client_unlock(client);
}

bool client_is_touched(struct client *client, struct keyspace_watcher *watcher)
{
    client_lock_all(client);
    const bool touched = keyspace_watch_is_touched(&client->view, watcher);
    client_unlock(client);
    return touched;
}

void client_unwatch(struct client *client, struct keyspace_watcher *watcher)
{
    keyspace_unwatch(client->store->keyspace, watcher);
    ck_assert_ptr_null(watcher->watches);
}

/* --- tiers ------------------------------------------------------------------------------------------------------------ */

void client_checkpoint(struct client *client)
{
    struct tier_wait wait;
    wait_init(client, &wait);
    tier_checkpoint_request(client->store->tier, &wait);
    await(client);
    ck_assert_int_eq(tier_wait_status(&wait), ST_OK);
}

void client_demote_all(struct client *client)
{
    for (unsigned partition = 0; partition < HOT_PARTITION_COUNT; partition++) {
        struct hot_demotion demotion = {0};
        tier_turn_lock(client->turn, hot_stripe_of_partition(client->view.hot, partition));
        hot_demote(client->view.hot, partition, SIZE_MAX, 100000, &demotion);
        tier_turn_unlock(client->turn);
    }
}

void client_make_cold(struct client *client)
{
    client_checkpoint(client);
    client_demote_all(client);
}

enum hot_state client_state(struct client *client, unsigned database, const char *name, bool *found)
{
    const struct key key = keyspace_key_in(&client->view, database, slice_text(name));
    tier_turn_lock(client->turn, hot_stripe(client->view.hot, &key));
    const struct hot_record *const record = hot_find(client->view.hot, &key);
    const enum hot_state state = record == NULL ? HOT_ABSENT : hot_record_state(record);
    tier_turn_unlock(client->turn);
    *found = record != NULL;
    return state;
}

/* --- names ------------------------------------------------------------------------------------------------------------- */

void names_clear(struct names *names)
{
    for (size_t index = 0; index < names->count; index++)
        mem_free(names->texts[index]);
    names->count = 0;
}

void names_deinit(struct names *names)
{
    names_clear(names);
    mem_free(names->texts);
    *names = (struct names){0};
}

void names_add(struct names *names, struct slice name)
{
    if (names->count == names->capacity) {
        names->capacity = names->capacity == 0 ? 64 : names->capacity * 2;
        names->texts = mem_realloc(names->texts, names->capacity * sizeof(*names->texts));
    }
    names->texts[names->count++] = mem_string_sized(name.data, name.size);
}

size_t names_count_of(const struct names *names, const char *text)
{
    size_t count = 0;
    for (size_t index = 0; index < names->count; index++)
        count += strcmp(names->texts[index], text) == 0;
    return count;
}

static int compare_texts(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

void names_unique(struct names *names)
{
    if (names->count == 0)
        return;
    qsort(names->texts, names->count, sizeof(*names->texts), compare_texts);
    size_t kept = 1;
    for (size_t index = 1; index < names->count; index++) {
        if (strcmp(names->texts[kept - 1], names->texts[index]) == 0)
            mem_free(names->texts[index]);
        else
            names->texts[kept++] = names->texts[index];
    }
    names->count = kept;
}

static void emit(void *context, struct slice key)
{
    names_add(context, key);
}

/* --- walks ---------------------------------------------------------------------------------------------------------------- */

static uint64_t walk(
    struct client *client, const struct keyspace_walk_options *options, struct names *names)
{
    struct tier_wait wait;
    wait_init(client, &wait);
    struct keyspace_walk *const self =
        keyspace_walk_create(client->store->keyspace, options, client->turn, &wait);
    enum status status;
    thread_forbid_blocking();
    while ((status = keyspace_walk_prepare(self, client->view.now_ms)) == ST_PENDING) {
        thread_allow_blocking();
        await(client);
        thread_forbid_blocking();
    }
    ck_assert_int_eq(status, ST_OK);
    client->view.database = options->database;
    client_lock_all(client);
    const uint64_t cursor = keyspace_walk_finish(self, &client->view, emit, names);
    client_unlock(client);
    thread_allow_blocking();
    keyspace_walk_destroy(self);
    return cursor;
}

struct scan scan_make(unsigned database, uint64_t count)
{
    return (struct scan){.count = count, .type = -1, .database = database};
}

void client_scan_step(struct client *client, struct scan *scan, struct names *names)
{
    const struct keyspace_walk_options options = {
        .kind = KEYSPACE_WALK_SCAN,
        .cursor = scan->cursor,
        .count = scan->count,
        .pattern = scan->pattern == NULL ? slice_of(NULL, 0) : slice_text(scan->pattern),
        .type = scan->type,
        .database = scan->database,
    };
    scan->cursor = walk(client, &options, names);
}

unsigned client_scan(struct client *client, struct scan scan, struct names *names)
{
    unsigned step_count = 0;
    do {
        client_scan_step(client, &scan, names);
        step_count++;
        ck_assert_uint_lt(step_count, 1000000);
    } while (scan.cursor != 0);
    return step_count;
}

void client_keys(struct client *client, unsigned database, const char *pattern, struct names *names)
{
    const struct keyspace_walk_options options = {
        .kind = KEYSPACE_WALK_KEYS,
        .pattern = slice_text(pattern),
        .type = -1,
        .database = database,
    };
    (void)walk(client, &options, names);
}

const char *client_random(struct client *client, unsigned database)
{
    static _Thread_local char text[512];
    struct names names = {0};
    const struct keyspace_walk_options options = {
        .kind = KEYSPACE_WALK_RANDOM, .type = -1, .database = database};
    (void)walk(client, &options, &names);
    ck_assert_uint_le(names.count, 1);
    const bool found = names.count == 1;
    if (found)
        (void)snprintf(text, sizeof(text), "%s", names.texts[0]);
    names_deinit(&names);
    return found ? text : NULL;
}
