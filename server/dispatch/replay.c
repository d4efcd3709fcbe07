/*
 * replay.c: recovery: the commands of one frame of the log, executed through the same table and handlers (I3, I6).
 *
 *   parse up to WINDOW_MAX commands, hash their keys ──► prefetch buckets, then records ──► execute in the log's order
 *
 * As in a worker's batch, the cache misses of a window overlap. A flush or swap gives databases other spaces: keys that were made before
 * it are then made anew.
 *
 * The log holds effects that cannot fail: an error reply, an unknown command or a malformed one is corruption. MULTI and EXEC are
 * passed over: a frame holds a group whole, and nobody looks in between. Plain overwrites, most of any log, do not ask the cold tier
 * what the key was (tier_overwrite()).
 */
#include "base/mem.h"
#include "dispatch_internal.h"

enum { WINDOW_MAX = 128, KEY_SMALL_MAX = 64 };

/* A command of the window. */
struct replay_command {
    const struct command *command;
    int argc;
    size_t first_argument; /* in the window's */
    struct slice request;
    unsigned database;
    size_t first_key; /* in the window's */
    size_t key_count;
    uint64_t version; /* of the keyspace when the keys were made */
};

struct replay {
    struct server *server;
    struct tier_turn *turn;
    struct keyspace_view view;
    struct resp_output output;
    struct slice *argv; /* of the command being parsed */
    int argv_capacity;
    const struct command *set;
    const struct command *mset;

    size_t count;
    struct replay_command commands[WINDOW_MAX];
    struct slice *arguments;
    size_t argument_count;
    size_t argument_capacity;
    struct key *keys;
    size_t key_count;
    size_t key_capacity;
    enum tier_need *needs;
    size_t need_capacity;
};

/* --- parsing ---------------------------------------------------------------------------------------------- */

static void add_arguments(struct replay *replay, int argc)
{
    const size_t needed = replay->argument_count + (size_t)argc;
    if (needed > replay->argument_capacity) {
        replay->argument_capacity = needed * 2;
        replay->arguments =
            mem_realloc(replay->arguments, replay->argument_capacity * sizeof(*replay->arguments));
    }
    memcpy(replay->arguments + replay->argument_count, replay->argv,
        (size_t)argc * sizeof(*replay->arguments));
    replay->argument_count = needed;
}

static void make_keys(
    struct replay *replay, struct replay_command *item, const int *indexes, size_t count)
{
    const size_t needed = replay->key_count + count;
    if (needed > replay->key_capacity) {
        replay->key_capacity = needed * 2;
        replay->keys = mem_realloc(replay->keys, replay->key_capacity * sizeof(*replay->keys));
    }
    item->first_key = replay->key_count;
    item->key_count = count;
    item->version = keyspace_version(replay->server->keyspace);
    const struct slice *const argv = replay->arguments + item->first_argument;
    for (size_t i = 0; i < count; i++)
        replay->keys[item->first_key + i] = execute_key(
            &replay->view, item->command, item->argc, argv, indexes[i], i, item->database);
    replay->key_count = needed;
}

/* False: the arguments are malformed. */
static bool find_keys(struct replay *replay, struct replay_command *item)
{
    const struct slice *const argv = replay->arguments + item->first_argument;
    int indexes_small[KEY_SMALL_MAX];
    int *indexes = indexes_small;
    const int count = command_key_indexes(item->command, item->argc, argv, indexes, KEY_SMALL_MAX);
    if (count < 0)
        return false;
    if (count > KEY_SMALL_MAX) {
        indexes = mem_alloc((size_t)count * sizeof(*indexes));
        CHECK(command_key_indexes(item->command, item->argc, argv, indexes, count) == count);
    }
    make_keys(replay, item, indexes, (size_t)count);
    if (indexes != indexes_small)
        mem_free(indexes);
    return true;
}

static enum status select_database(struct replay *replay, struct error *error)
{
    int64_t database = 0;
    if (!slice_to_int64(replay->argv[1], &database) || database < 0 ||
        database >= (int64_t)keyspace_database_count(replay->server->keyspace))
        return error_set(error, ST_CORRUPT, 0, "SELECT of a database that does not exist");
    replay->view.database = (unsigned)database;
    return ST_OK;
}

/* Adds a command to the window, unless it is of those that are over once they are understood. */
static enum status add_command(
    struct replay *replay, int argc, struct slice request, struct error *error)
{
    const struct command *container = NULL;
    const struct command *command = command_resolve(argc, replay->argv, &container);
    if (command == NULL || !command_arity_is_ok(command, argc))
        return error_set(error, ST_CORRUPT, 0, "unknown or malformed command '%.*s' in the log",
            (int)(replay->argv[0].size > 64 ? 64 : replay->argv[0].size), replay->argv[0].data);
    if (command->group == COMMAND_GROUP_TRANSACTIONS)
        return ST_OK;
    if (slice_equal_nocase(replay->argv[0], "select"))
        return select_database(replay, error);
    if ((command->flags & CMD_WRITE) == 0)
        return error_set(error, ST_CORRUPT, 0, "'%s' in the log changes nothing", command->name);
    struct replay_command *const item = &replay->commands[replay->count];
    *item = (struct replay_command){.command = command,
        .argc = argc,
        .first_argument = replay->argument_count,
        .request = request,
        .database = replay->view.database};
    add_arguments(replay, argc);
    if (!find_keys(replay, item))
        return error_set(error, ST_CORRUPT, 0, "malformed '%s' command", command->name);
    replay->count++;
    return ST_OK;
}

/* The next commands of the payload, which moves on. On an error, those before are in the window. */
static enum status fill_window(struct replay *replay, struct slice *payload, struct error *error)
{
    replay->count = 0;
    replay->argument_count = 0;
    replay->key_count = 0;
    while (replay->count < WINDOW_MAX && payload->size > 0) {
        int argc = 0;
        size_t size = 0;
        enum status status =
            resp_read_command(*payload, &replay->argv, &replay->argv_capacity, &argc, &size);
        if (status != ST_OK)
            return error_set(error, ST_CORRUPT, 0, "a frame of the log is not whole RESP commands");
        status = add_command(replay, argc, slice_of(payload->data, size), error);
        if (status != ST_OK)
            return status;
        *payload = slice_of(payload->data + size, payload->size - size);
    }
    return ST_OK;
}

static void prefetch_window(const struct replay *replay)
{
    hot_prefetch(replay->view.hot, replay->keys, replay->key_count);
}

/* --- executing ---------------------------------------------------------------------------------------------- */

/* A write of whole records, whatever was there: SET without options or with PXAT, MSET. */
static bool is_overwrite(const struct replay *replay, const struct replay_command *item)
{
    if (item->command == replay->mset)
        return true;
    return item->command == replay->set &&
           (item->argc == 3 ||
               (item->argc == 5 &&
                   slice_equal_nocase(replay->arguments[item->first_argument + 3], "pxat")));
}

static enum status overwrite_keys(
    struct replay *replay, const struct replay_command *item, struct error *error)
{
    enum status status = ST_OK;
    for (size_t i = 0; status == ST_OK && i < item->key_count; i++)
        status = tier_overwrite(replay->turn, &replay->keys[item->first_key + i], error);
    return status;
}

static enum status gather_keys(
    struct replay *replay, const struct replay_command *item, struct error *error)
{
    if (item->key_count > replay->need_capacity) {
        replay->need_capacity = item->key_count * 2;
        replay->needs = mem_realloc(replay->needs, replay->need_capacity * sizeof(*replay->needs));
    }
    for (size_t i = 0; i < item->key_count; i++)
        replay->needs[i] =
            execute_need(item->command, item->argc, replay->arguments + item->first_argument, i);
    struct tier_wait wait;
    tier_wait_init(&wait, replay->turn, NULL);
    size_t failed = 0;
    const enum status status = tier_gather(replay->turn, replay->keys + item->first_key,
        replay->needs, item->key_count, &wait, &failed);
    if (status != ST_OK)
        error_set(
            error, status, 0, "cold record needed by '%s' cannot be read", item->command->name);
    return status;
}

static enum status run_one(struct replay *replay, struct replay_command *item, struct error *error)
{
    if (unlikely(item->version != keyspace_version(replay->server->keyspace)))
        CHECK(find_keys(replay, item));
    enum status status;
    if (likely(is_overwrite(replay, item))) {
        status = overwrite_keys(replay, item, error);
    } else {
        status = (item->command->flags & CMD_ALL_STRIPES) != 0
                     ? tier_overwrite_settle(replay->turn, error)
                     : ST_OK;
        if (status == ST_OK)
            status = gather_keys(replay, item, error);
    }
    if (status != ST_OK)
        return status;
    replay->view.database = item->database;
    struct command_call call = {.server = replay->server,
        .command = item->command,
        .argc = item->argc,
        .argv = replay->arguments + item->first_argument,
        .request = item->request,
        .reply = &replay->output,
        .view = &replay->view,
        .keys = replay->keys + item->first_key,
        .key_count = item->key_count};
    item->command->handler(&call);
    if (reply_error_count(&replay->output) > 0)
        return error_set(error, ST_CORRUPT, 0, "'%s' in the log fails: %s", item->command->name,
            reply_error_code(&replay->output));
    return ST_OK;
}

static enum status run_window(struct replay *replay, struct error *error)
{
    if (replay->count == 0)
        return ST_OK;
    const unsigned database = replay->view.database; /* of what follows the window */
    tier_turn_lock(replay->turn, hot_stripes_all(replay->view.hot));
    prefetch_window(replay);
    enum status status = ST_OK;
    for (size_t i = 0; status == ST_OK && i < replay->count; i++)
        status = run_one(replay, &replay->commands[i], error);
    tier_turn_unlock(replay->turn);
    resp_output_written(&replay->output, replay->output.pending_size);
    replay->view.database = database;
    return status;
}

static enum status run_payload(struct replay *replay, struct slice payload, struct error *error)
{
    while (payload.size > 0) {
        const enum status filled = fill_window(replay, &payload, error);
        struct error failure = {0};
        const enum status status = run_window(replay, &failure);
        if (status != ST_OK) {
            if (error != NULL)
                *error = failure;
            return status;
        }
        if (filled != ST_OK)
            return filled;
    }
    return ST_OK;
}

enum status dispatch_replay(
    void *context, struct tier_turn *turn, struct slice payload, struct error *error)
{
    struct server *server = context;
    struct replay *const replay = mem_alloc_zero(sizeof(*replay));
    replay->server = server;
    replay->turn = turn;
    replay->view = (struct keyspace_view){.keyspace = server->keyspace,
        .tier = server->tier,
        .hot = tier_hot(server->tier),
        .turn = turn,
        .replay = true};
    replay->set = command_find(SLICE_LITERAL("set"));
    replay->mset = command_find(SLICE_LITERAL("mset"));
    struct resp_pool *pool = resp_pool_create();
    resp_output_init(&replay->output, pool);
    replay->output.protocol = 2;
    const enum status status = run_payload(replay, payload, error);
    resp_output_deinit(&replay->output);
    resp_pool_destroy(pool);
    mem_free(replay->argv);
    mem_free(replay->arguments);
    mem_free(replay->keys);
    mem_free(replay->needs);
    mem_free(replay);
    return status;
}
