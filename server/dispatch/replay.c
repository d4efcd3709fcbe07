/*
 * replay.c: recovery: the commands of one frame of the log, executed through the same table and handlers (I3, I6).
 *
 * The log holds effects that cannot fail: an error reply, an unknown command or a malformed one is corruption. MULTI and EXEC are
 * passed over: a frame holds a group whole, and nobody looks in between.
 */
#include "base/mem.h"
#include "dispatch_internal.h"

#define REPLAY_KEY_MAX 64

struct replay {
    struct server *server;
    struct tier_turn *turn;
    struct keyspace_view view;
    struct resp_output output;
    struct slice *argv;
    int argv_capacity;
};

static enum status run_one(struct replay *replay, const struct command *command, int argc,
    struct slice request, struct error *error)
{
    struct keyspace_view *view = &replay->view;
    struct key keys_small[REPLAY_KEY_MAX];
    int indexes_small[REPLAY_KEY_MAX];
    struct key *keys = keys_small;
    int *indexes = indexes_small;
    int count = command_key_indexes(command, argc, replay->argv, indexes, REPLAY_KEY_MAX);
    if (count < 0)
        return error_set(error, ST_CORRUPT, 0, "malformed '%s' command", command->name);
    if (count > REPLAY_KEY_MAX) {
        keys = mem_alloc((size_t)count * sizeof(*keys));
        indexes = mem_alloc((size_t)count * sizeof(*indexes));
        CHECK(command_key_indexes(command, argc, replay->argv, indexes, count) == count);
    }
    uint64_t stripes = (command->flags & CMD_ALL_STRIPES) != 0 ? hot_stripes_all(view->hot) : 0;
    enum tier_need *needs = mem_alloc(((size_t)count + 1) * sizeof(*needs));
    for (int i = 0; i < count; i++) {
        keys[i] =
            execute_key(view, command, argc, replay->argv, indexes[i], (size_t)i, view->database);
        needs[i] = execute_need(command, argc, replay->argv, (size_t)i);
        stripes |= hot_stripe(view->hot, &keys[i]);
    }
    struct command_call call = {.server = replay->server,
        .command = command,
        .argc = argc,
        .argv = replay->argv,
        .request = request,
        .reply = &replay->output,
        .view = view,
        .keys = keys,
        .key_count = (size_t)count};
    struct tier_wait wait;
    tier_wait_init(&wait, replay->turn, NULL);
    size_t failed = 0;
    if (stripes != 0)
        tier_turn_lock(replay->turn, stripes);
    enum status status = tier_gather(replay->turn, keys, needs, (size_t)count, &wait, &failed);
    if (status == ST_OK)
        command->handler(&call);
    else
        error_set(error, status, 0, "cold record needed by '%s' cannot be read", command->name);
    if (stripes != 0)
        tier_turn_unlock(replay->turn);
    mem_free(needs);
    if (keys != keys_small) {
        mem_free(keys);
        mem_free(indexes);
    }
    return status;
}

static enum status apply_command(
    struct replay *replay, int argc, struct slice request, struct error *error)
{
    const struct command *container = NULL;
    const struct command *command = command_resolve(argc, replay->argv, &container);
    if (command == NULL || !command_arity_is_ok(command, argc))
        return error_set(error, ST_CORRUPT, 0, "unknown or malformed command '%.*s' in the log",
            (int)(replay->argv[0].size > 64 ? 64 : replay->argv[0].size), replay->argv[0].data);
    if (command->group == COMMAND_GROUP_TRANSACTIONS)
        return ST_OK;
    if (slice_equal_nocase(replay->argv[0], "select")) {
        int64_t database = 0;
        if (!slice_to_int64(replay->argv[1], &database) || database < 0 ||
            database >= (int64_t)keyspace_database_count(replay->server->keyspace))
            return error_set(error, ST_CORRUPT, 0, "SELECT of a database that does not exist");
        replay->view.database = (unsigned)database;
        return ST_OK;
    }
    if ((command->flags & CMD_WRITE) == 0)
        return error_set(error, ST_CORRUPT, 0, "'%s' in the log changes nothing", command->name);
    const enum status status = run_one(replay, command, argc, request, error);
    if (status == ST_OK && reply_error_count(&replay->output) > 0)
        return error_set(error, ST_CORRUPT, 0, "'%s' in the log fails: %s", command->name,
            reply_error_code(&replay->output));
    resp_output_written(&replay->output, replay->output.pending_size);
    return status;
}

enum status dispatch_replay(
    void *context, struct tier_turn *turn, struct slice payload, struct error *error)
{
    struct server *server = context;
    struct replay replay = {.server = server,
        .turn = turn,
        .view = {.keyspace = server->keyspace,
            .tier = server->tier,
            .hot = tier_hot(server->tier),
            .turn = turn,
            .replay = true}};
    struct resp_pool *pool = resp_pool_create();
    resp_output_init(&replay.output, pool);
    replay.output.protocol = 2;
    enum status status = ST_OK;
    while (status == ST_OK && payload.size > 0) {
        int argc = 0;
        size_t size = 0;
        status = resp_read_command(payload, &replay.argv, &replay.argv_capacity, &argc, &size);
        if (status != ST_OK) {
            error_set(error, ST_CORRUPT, 0, "a frame of the log is not whole RESP commands");
            status = ST_CORRUPT;
            break;
        }
        status = apply_command(&replay, argc, slice_of(payload.data, size), error);
        payload = slice_of(payload.data + size, payload.size - size);
    }
    resp_output_deinit(&replay.output);
    resp_pool_destroy(pool);
    mem_free(replay.argv);
    return status;
}
