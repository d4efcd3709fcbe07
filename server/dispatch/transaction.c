/*
 * transaction.c: MULTI, EXEC, DISCARD, WATCH, UNWATCH.
 *
 * EXEC is one command of many keys: it prepares and gathers whatever any queued command needs in one wait, locks all their stripes and
 * those of the watched keys, looks at the watches, then runs the queue; its effects are one group of the log (I2, I3).
 */
#include "base/mem.h"
#include "dispatch_internal.h"

/* Everything a queue touches. */
struct transaction_keys {
    struct key *keys;
    enum tier_need *needs;
    size_t count;
    size_t *first; /* per queued command: where its keys begin; one more at the end */
    uint64_t stripes;
    uint64_t version; /* of the keyspace when they were made */
    bool has_swap;
};

static int queued_key_count(const struct session_queued *queued)
{
    const int count = command_key_indexes(queued->command, queued->argc, queued->argv, NULL, 0);
    return count < 0 ? 0 : count;
}

/* A database number in an argument of a queued command. */
static bool queued_database(const struct worker *worker, const struct session_queued *queued,
    int argument, unsigned *database)
{
    int64_t number = 0;
    if (!slice_to_int64(queued->argv[argument], &number) || number < 0 ||
        number >= (int64_t)keyspace_database_count(worker->server->keyspace))
        return false;
    *database = (unsigned)number;
    return true;
}

static bool is_named(const struct session_queued *queued, const char *name)
{
    return queued->command->parent == NULL && strcmp(queued->command->name, name) == 0;
}

/*
 * The database whose keys command number `index` of the queue will find under `database`: a SWAPDB queued before it will have
 * exchanged them by then.
 */
static unsigned database_at(
    const struct worker *worker, const struct session *session, size_t index, unsigned database)
{
    for (size_t i = index; i-- > 0;) {
        unsigned a = 0;
        unsigned b = 0;
        if (!is_named(&session->queued[i], "swapdb") ||
            !queued_database(worker, &session->queued[i], 1, &a) ||
            !queued_database(worker, &session->queued[i], 2, &b))
            continue;
        database = database == a ? b : database == b ? a : database;
    }
    return database;
}

static void collect_keys(
    struct worker *worker, const struct session *session, struct transaction_keys *all)
{
    *all = (struct transaction_keys){.version = keyspace_version(worker->server->keyspace)};
    size_t total = 0;
    for (size_t i = 0; i < session->queued_count; i++)
        total += (size_t)queued_key_count(&session->queued[i]);
    all->keys = mem_alloc((total + 1) * sizeof(*all->keys));
    all->needs = mem_alloc((total + 1) * sizeof(*all->needs));
    all->first = mem_alloc((session->queued_count + 1) * sizeof(*all->first));
    unsigned database = session->database;
    for (size_t i = 0; i < session->queued_count; i++) {
        const struct session_queued *queued = &session->queued[i];
        const struct command *command = queued->command;
        const int count = queued_key_count(queued);
        int *indexes = mem_alloc(((size_t)count + 1) * sizeof(*indexes));
        CHECK(count == 0 ||
              command_key_indexes(command, queued->argc, queued->argv, indexes, count) == count);
        all->first[i] = all->count;
        for (int k = 0; k < count; k++) {
            struct key *key = &all->keys[all->count];
            const unsigned named = execute_key_database(
                &worker->view, command, queued->argc, queued->argv, (size_t)k, database);
            *key = keyspace_key_in(&worker->view,
                all->has_swap ? database_at(worker, session, i, named) : named,
                queued->argv[indexes[k]]);
            all->needs[all->count++] = execute_need(command, queued->argc, queued->argv, (size_t)k);
            all->stripes |= hot_stripe(worker->view.hot, key);
        }
        mem_free(indexes);
        if ((command->flags & CMD_ALL_STRIPES) != 0)
            all->stripes = hot_stripes_all(worker->view.hot);
        if (is_named(queued, "select"))
            (void)queued_database(worker, queued, 1, &database);
        all->has_swap |= is_named(queued, "swapdb");
    }
    all->first[session->queued_count] = all->count;
}

/* The keys of a queued command as it runs: a flush or swap queued before it has changed their spaces. */
static void remake_keys(struct worker *worker, const struct session_queued *queued,
    struct key *keys, size_t count, unsigned database)
{
    int *indexes = mem_alloc((count + 1) * sizeof(*indexes));
    CHECK(command_key_indexes(queued->command, queued->argc, queued->argv, indexes, (int)count) ==
          (int)count);
    for (size_t k = 0; k < count; k++)
        keys[k] = keyspace_key_in(&worker->view,
            execute_key_database(
                &worker->view, queued->command, queued->argc, queued->argv, k, database),
            queued->argv[indexes[k]]);
    mem_free(indexes);
}

static void drop_keys(struct transaction_keys *all)
{
    mem_free(all->keys);
    mem_free(all->needs);
    mem_free(all->first);
}

/* Keys that must be here before EXEC runs, without those of commands that take cold ones as they are. */
static size_t gather_count(const struct session *session, struct transaction_keys *all,
    struct key **keys, enum tier_need **needs)
{
    *keys = mem_alloc((all->count + 1) * sizeof(**keys));
    *needs = mem_alloc((all->count + 1) * sizeof(**needs));
    size_t count = 0;
    for (size_t i = 0; i < session->queued_count; i++) {
        if ((session->queued[i].command->flags & CMD_NO_GATHER) != 0)
            continue;
        for (size_t k = all->first[i]; k < all->first[i + 1]; k++) {
            (*keys)[count] = all->keys[k];
            (*needs)[count++] = all->needs[k];
        }
    }
    return count;
}

void transaction_queue(
    struct session *session, const struct command *command, const struct slot *slot)
{
    const struct resp_command *request = &slot->request;
    size_t bytes = (size_t)request->argc * sizeof(struct slice);
    for (int i = 0; i < request->argc; i++)
        bytes += request->argv[i].size;
    if (session->queued_count == session->queued_capacity) {
        session->queued_capacity = session->queued_capacity == 0 ? 4 : session->queued_capacity * 2;
        session->queued =
            mem_realloc(session->queued, session->queued_capacity * sizeof(*session->queued));
    }
    struct slice *argv = mem_alloc(bytes);
    char *at = (char *)&argv[request->argc];
    for (int i = 0; i < request->argc; i++) {
        if (request->argv[i].size > 0)
            memcpy(at, request->argv[i].data, request->argv[i].size);
        argv[i] = slice_of(at, request->argv[i].size);
        at += argv[i].size;
    }
    session->queued[session->queued_count++] =
        (struct session_queued){.command = command, .argc = request->argc, .argv = argv};
    session->queued_bytes += bytes;
}

void session_discard_transaction(struct session *session, struct keyspace *keyspace)
{
    for (size_t i = 0; i < session->queued_count; i++) {
        struct session_queued *queued = &session->queued[i];
        if (queued->state != NULL)
            queued->command->state_destroy(queued->state);
        mem_free(queued->argv);
    }
    session->queued_count = 0;
    session->queued_bytes = 0;
    session->in_transaction = false;
    session->transaction_failed = false;
    keyspace_unwatch(keyspace, &session->watcher);
}

/* prepare() of every queued command, one after the other. ST_OK, ST_PENDING. A refusal is kept for the run. */
static enum status prepare_queue(struct worker *worker, struct session_io *io)
{
    struct session *session = &io->session;
    unsigned database = session->database;
    for (size_t i = 0; i < session->queued_count; i++) {
        struct session_queued *queued = &session->queued[i];
        if (i >= io->prepared_count && queued->command->prepare != NULL) {
            struct command_call call;
            execute_init_call(worker, session, queued->command, &call);
            call.view->database = database;
            call.argc = queued->argc;
            call.argv = queued->argv;
            call.state = queued->state;
            /* Replies belong between those of the others: errors are made again by the run. */
            const bool muted = session->output.muted;
            session->output.muted = true;
            execute_arm(io);
            const enum status status = queued->command->prepare(&call, &io->wait);
            session->output.muted = muted;
            queued->state = call.state;
            if (status == ST_PENDING)
                return ST_PENDING;
        }
        if (i >= io->prepared_count)
            io->prepared_count = i + 1;
        if (is_named(queued, "select"))
            (void)queued_database(worker, queued, 1, &database);
    }
    return ST_OK;
}

static void run_queue(
    struct worker *worker, struct session_io *io, const struct transaction_keys *all)
{
    struct session *session = &io->session;
    struct keyspace_view *view = &worker->view;
    reply_array(&session->output, session->queued_count);
    keyspace_group_begin(view);
    for (size_t i = 0; i < session->queued_count; i++) {
        struct session_queued *queued = &session->queued[i];
        struct command_call call;
        execute_init_call(worker, session, queued->command, &call);
        call.argc = queued->argc;
        call.argv = queued->argv;
        call.keys = &all->keys[all->first[i]];
        call.key_count = all->first[i + 1] - all->first[i];
        call.state = queued->state;
        if (call.key_count > 0 && keyspace_version(worker->server->keyspace) != all->version)
            remake_keys(worker, queued, call.keys, call.key_count, session->database);
        if (queued->command->prepare != NULL && queued->state == NULL) {
            /* It was refused: says so now. */
            if (queued->command->prepare(&call, &io->wait) != ST_OK) {
                execute_count_error(worker, session);
                continue;
            }
        }
        execute_handler(worker, &call);
        /* DBSIZE tells of every write. */
        if (call.key_count == 0 && (queued->command->flags & CMD_READONLY) != 0)
            io->gate_partitions = UINT64_MAX;
    }
    keyspace_group_end(view);
    if (all->stripes == hot_stripes_all(worker->view.hot))
        blocking_signal_all(worker);
    io->gate_partitions |= all->count > 0 ? execute_partitions(all->keys, all->count) : 0;
    if (all->stripes == hot_stripes_all(worker->view.hot))
        io->gate_partitions = UINT64_MAX;
}

/* Locks all that the queue and the watches touch; collects the keys again if a flush or swap came before the locks. */
static void lock_queue(
    struct worker *worker, const struct session *session, struct transaction_keys *all)
{
    const struct keyspace *keyspace = worker->server->keyspace;
    for (;;) {
        const uint64_t watched =
            keyspace_watch_stripes(worker->server->keyspace, &session->watcher);
        if ((all->stripes | watched) == 0)
            return;
        execute_ensure_stripes(worker, all->stripes | watched);
        if (all->version == keyspace_version(keyspace))
            return;
        drop_keys(all);
        collect_keys(worker, session, all);
    }
}

static enum outcome exec_ready(
    struct worker *worker, struct session_io *io, struct transaction_keys *all)
{
    struct session *session = &io->session;
    lock_queue(worker, session, all);
    struct key *keys = NULL;
    enum tier_need *needs = NULL;
    const size_t count = gather_count(session, all, &keys, &needs);
    enum status status = ST_OK;
    if (count > 0)
        status = execute_gather(worker, io, keys, needs, count);
    enum outcome outcome = OUTCOME_DONE;
    if (status == ST_PENDING) {
        outcome = OUTCOME_PARKED;
    } else {
        worker->view.database = session->database;
        if (status != ST_OK)
            execute_count_error(worker, session);
        else if (keyspace_watch_is_touched(&worker->view, &session->watcher))
            reply_null_array(&session->output);
        else
            run_queue(worker, io, all);
        execute_unpin(worker, io);
        io->prepared_count = 0;
        session_discard_transaction(session, worker->server->keyspace);
    }
    mem_free(keys);
    mem_free(needs);
    return outcome;
}

enum outcome transaction_exec(struct worker *worker, struct slot *slot)
{
    struct session_io *io = slot->io;
    struct session *session = &io->session;
    if (!session->in_transaction) {
        reply_error(&session->output, "ERR EXEC without MULTI");
        execute_count_error(worker, session);
        return OUTCOME_DONE;
    }
    if (session->transaction_failed) {
        reply_error(
            &session->output, "EXECABORT Transaction discarded because of previous errors.");
        execute_count_error(worker, session);
        session_discard_transaction(session, worker->server->keyspace);
        return OUTCOME_DONE;
    }
    if (io->prepared_count < session->queued_count) {
        if (tier_turn_locked(worker->turn) != 0)
            tier_turn_unlock(worker->turn);
        if (prepare_queue(worker, io) == ST_PENDING) {
            execute_wait(io);
            return OUTCOME_PARKED;
        }
    }
    struct transaction_keys all;
    collect_keys(worker, session, &all);
    const enum outcome outcome = exec_ready(worker, io, &all);
    drop_keys(&all);
    return outcome;
}

/* --- handlers ------------------------------------------------------------------------------------------------ */

static void cmd_multi(struct command_call *call)
{
    if (call->session->in_transaction) {
        reply_error(call->reply, "ERR MULTI calls can not be nested");
        return;
    }
    call->session->in_transaction = true;
    reply_ok(call->reply);
}

/* EXEC never gets here: transaction_exec() runs it. */
static void cmd_exec(struct command_call *call)
{
    reply_error(call->reply, "ERR EXEC without MULTI");
}

bool transaction_is_exec(const struct command *command)
{
    return command->handler == cmd_exec;
}

static void cmd_discard(struct command_call *call)
{
    if (!call->session->in_transaction) {
        reply_error(call->reply, "ERR DISCARD without MULTI");
        return;
    }
    session_discard_transaction(call->session, call->server->keyspace);
    reply_ok(call->reply);
}

static void cmd_watch(struct command_call *call)
{
    if (call->session->in_transaction) {
        reply_error(call->reply, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    for (size_t i = 0; i < call->key_count; i++)
        keyspace_watch(
            call->view, &call->session->watcher, &call->keys[i], call->session->database);
    reply_ok(call->reply);
}

static void cmd_unwatch(struct command_call *call)
{
    keyspace_unwatch(call->server->keyspace, &call->session->watcher);
    reply_ok(call->reply);
}

const struct command transaction_commands[] = {
    {.name = "multi",
        .handler = cmd_multi,
        .arity = 1,
        .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY | CMD_IN_MULTI,
        .group = COMMAND_GROUP_TRANSACTIONS,
        .acl = ACL_FAST | ACL_TRANSACTION,
        .since = "1.2.0",
        .complexity = "O(1)",
        .summary = "Starts a transaction."},
    {.name = "exec",
        .handler = cmd_exec,
        .arity = 1,
        .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SKIP_SLOWLOG | CMD_IN_MULTI,
        .group = COMMAND_GROUP_TRANSACTIONS,
        .acl = ACL_SLOW | ACL_TRANSACTION,
        .since = "1.2.0",
        .complexity = "Depends on commands in the transaction",
        .summary = "Executes all commands in a transaction."},
    {.name = "discard",
        .handler = cmd_discard,
        .arity = 1,
        .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY | CMD_IN_MULTI,
        .group = COMMAND_GROUP_TRANSACTIONS,
        .acl = ACL_FAST | ACL_TRANSACTION,
        .since = "2.0.0",
        .complexity = "O(N), when N is the number of queued commands",
        .summary = "Discards a transaction."},
    {.name = "watch",
        .handler = cmd_watch,
        .arity = -2,
        .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY | CMD_IN_MULTI,
        .keys = KEYS_RANGE(1, -1, 1),
        .need = TIER_NEED_HEADER,
        .key_flags = {KEY_RO},
        .group = COMMAND_GROUP_TRANSACTIONS,
        .acl = ACL_FAST | ACL_TRANSACTION,
        .since = "2.2.0",
        .complexity = "O(1) for every key.",
        .summary = "Monitors changes to keys to determine the execution of a transaction."},
    {.name = "unwatch",
        .handler = cmd_unwatch,
        .arity = 1,
        .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY,
        .group = COMMAND_GROUP_TRANSACTIONS,
        .acl = ACL_FAST | ACL_TRANSACTION,
        .since = "2.2.0",
        .complexity = "O(1)",
        .summary = "Forgets about watched keys of a transaction."},
    COMMANDS_END,
};
