/*
 * execute.c: one command's life: PARSED → ALLOWED → READY → RUN → LOGGED → REPLIED (DESIGN §3).
 *
 * Each step may refuse (an error reply), or park the connection; the command then starts again from the first step when the
 * connection is resumed. Until its handler runs a command has changed nothing, so starting again is safe; what it holds
 * meanwhile (pinned keys, what prepare() made) hangs on the connection.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatch_internal.h"

#include <ctype.h>

#define NEEDS_ON_STACK 32
/* Keys of one command that the prefetcher is told of. */
#define NOTED_KEY_MAX 16

uint64_t execute_stripes(const struct worker *worker, const struct key *keys, size_t count)
{
    if (likely(hot_has_single_stripe(worker->view.hot)))
        return count > 0 ? hot_stripes_all(worker->view.hot) : 0;
    uint64_t stripes = 0;
    for (size_t i = 0; i < count; i++)
        stripes |= hot_stripe(worker->view.hot, &keys[i]);
    return stripes;
}

uint64_t execute_partitions(const struct key *keys, size_t count)
{
    if (likely(count == 1))
        return (uint64_t)1 << hot_partition(keys);
    uint64_t partitions = 0;
    for (size_t i = 0; i < count; i++)
        partitions |= (uint64_t)1 << hot_partition(&keys[i]);
    return partitions;
}

void execute_make_keys(struct worker *worker, struct slot *slot)
{
    struct keyspace_view *view = &worker->view;
    const struct command *command = slot->command;
    slot->keys = NULL;
    slot->key_count = 0;
    slot->database = slot->io->session.database;
    slot->version = keyspace_version(worker->server->keyspace);
    if (command == NULL || !command_arity_is_ok(command, slot->request.argc))
        return;
    if (command->find_keys == NULL && command->keys.first == 0)
        return;
    view->database = slot->database;
    struct batch *batch = worker->batch;
    const int first = command->keys.first;
    if (likely(command->find_keys == NULL && command->keys.last == first &&
               command->key_database == NULL && first < slot->request.argc &&
               batch->key_count < BATCH_KEY_MAX)) {
        slot->keys = &batch->keys[batch->key_count++];
        slot->keys[0] = keyspace_key(view, slot->request.argv[first]);
        slot->key_count = 1;
        return;
    }
    int indexes_small[64];
    int *indexes = indexes_small;
    int count = command_key_indexes(
        command, slot->request.argc, slot->request.argv, indexes, (int)COUNT_OF(indexes_small));
    if (count < 0) {
        slot->key_count = SIZE_MAX;
        return;
    }
    if (count > (int)COUNT_OF(indexes_small)) {
        indexes = mem_alloc((size_t)count * sizeof(*indexes));
        CHECK(command_key_indexes(
                  command, slot->request.argc, slot->request.argv, indexes, count) == count);
    }
    if (batch->key_count + (size_t)count <= BATCH_KEY_MAX) {
        slot->keys = &batch->keys[batch->key_count];
        batch->key_count += (size_t)count;
    } else {
        slot->keys = mem_alloc((size_t)count * sizeof(*slot->keys));
        slot->keys_owned = true;
    }
    for (int i = 0; i < count; i++)
        slot->keys[i] = execute_key(view, command, slot->request.argc, slot->request.argv,
            indexes[i], (size_t)i, slot->database);
    slot->key_count = (size_t)count;
    if (indexes != indexes_small)
        mem_free(indexes);
}

void execute_drop_keys(struct slot *slot)
{
    if (slot->keys_owned)
        mem_free(slot->keys);
    slot->keys = NULL;
    slot->keys_owned = false;
}

void execute_ensure_stripes(struct worker *worker, uint64_t stripes)
{
    const uint64_t locked = tier_turn_locked(worker->turn);
    if ((stripes & ~locked) == 0)
        return;
    if (locked != 0)
        tier_turn_unlock(worker->turn);
    tier_turn_lock(worker->turn, locked | stripes);
}

void execute_unlock_all(struct worker *worker)
{
    if (tier_turn_locked(worker->turn) != 0)
        tier_turn_unlock(worker->turn);
}

void execute_init_call(struct worker *worker, struct session *session,
    const struct command *command, struct command_call *call)
{
    struct keyspace_view *view = &worker->view;
    view->database = session->database;
    view->no_touch = session->no_touch;
    view->changes = 0;
    view->found_key = NULL;
    worker->reader = (uint32_t)session->id;
    worker->reads_noted = 0;
    worker->reader_waited = session->io_place->resumed;
    *call = (struct command_call){.server = worker->server,
        .worker = worker,
        .session = session,
        .command = command,
        .reply = &session->output,
        .view = view};
}

/* The code word of the error reply just made. */
void execute_count_error(struct worker *worker, const struct session *session)
{
    server_count_error(worker->server, slice_text(reply_error_code(&session->output)));
    metric_add(&worker->server->metrics, error_reply_count, 1);
}

void execute_handler(struct worker *worker, struct command_call *call)
{
    struct session *session = call->session;
    const uint64_t errors = reply_error_count(&session->output);
    call->command->handler(call);
    struct command_stats *stats = command_stats_of(call->command);
    if (likely(!call->block)) {
        if (worker->server->worker_count == 1)
            metric_bump(stats, call_count, 1);
        else
            metric_add(stats, call_count, 1);
    }
    if (call->view->changes > 0)
        session->io_place->wrote = true;
    if (unlikely(reply_error_count(&session->output) != errors)) {
        metric_add(stats, failed_count, 1);
        execute_count_error(worker, session);
    }
}

/* --- refusals ----------------------------------------------------------------------------------------------- */

static void reject(struct worker *worker, struct slot *slot)
{
    struct session *session = &slot->io->session;
    if (session->in_transaction)
        session->transaction_failed = true;
    if (slot->command != NULL)
        metric_add(command_stats_of(slot->command), rejected_count, 1);
    execute_count_error(worker, session);
}

static void reply_unknown(struct session *session, const struct slot *slot)
{
    const struct slice *argv = slot->request.argv;
    if (slot->container != NULL) {
        char upper[64];
        size_t size = strlen(slot->container->name);
        for (size_t i = 0; i <= size; i++)
            upper[i] = (char)toupper((unsigned char)slot->container->name[i]);
        reply_error_format(&session->output, "ERR unknown subcommand '%.*s'. Try %s HELP.",
            (int)(argv[1].size > 128 ? 128 : argv[1].size), argv[1].data, upper);
        return;
    }
    struct buf args = {0};
    for (int i = 1; i < slot->request.argc && args.size < 128; i++) {
        const size_t room = 128 - args.size;
        buf_append_byte(&args, '\'');
        buf_append(&args, argv[i].data, argv[i].size < room ? argv[i].size : room);
        buf_append_text(&args, "' ");
    }
    reply_error_format(&session->output,
        "ERR unknown command '%.*s', with args beginning with: %.*s",
        (int)(argv[0].size > 128 ? 128 : argv[0].size), argv[0].data, (int)args.size,
        args.size > 0 ? args.data : "");
    buf_deinit(&args);
}

/* A RESP2 connection cannot tell messages from replies. */
static bool is_only_listening(const struct session *session, const struct command *command)
{
    return session->output.protocol == 2 && (command->flags & CMD_IN_SUBSCRIBED) == 0 &&
           pubsub_client_count(session->pubsub) > 0;
}

static void reply_only_listening(struct session *session, const struct command *command)
{
    char name[80];
    command_full_name(command, name, sizeof(name));
    reply_error_format(&session->output,
        "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
        "are allowed in this context",
        name);
}

static bool writes(const struct session *session, const struct command *command, uint32_t flags)
{
    if ((command->flags & flags) != 0)
        return true;
    if (!session->in_transaction || (command->flags & CMD_IN_MULTI) == 0)
        return false;
    for (size_t i = 0; i < session->queued_count; i++) {
        if ((session->queued[i].command->flags & flags) != 0 && transaction_is_exec(command))
            return true;
    }
    return false;
}

/* Records that do not fit in RAM move to disk; but a limit that no process can keep to is a wish for no more data. */
#define MEMORY_LEAST ((int64_t)(64 * KiB))

static bool is_out_of_memory(
    const struct worker *worker, const struct session *session, const struct command *command)
{
    const int64_t memory_max = OPTION_GET(&worker->server->settings->tier, memory_max);
    return unlikely(memory_max > 0 && memory_max < MEMORY_LEAST) &&
           writes(session, command, CMD_DENYOOM);
}

/* EXEC tells why, and the transaction is gone. */
static void refuse_for_memory(struct worker *worker, struct slot *slot)
{
    static const char text[] = "OOM command not allowed when used memory > 'maxmemory'.";
    struct session *session = &slot->io->session;
    if (!session->in_transaction || !transaction_is_exec(slot->command)) {
        reply_error(&session->output, text);
        return;
    }
    reply_error_format(&session->output, "EXECABORT Transaction discarded because of: %s", text);
    session_discard_transaction(session, worker->server->keyspace);
}

/* ALLOWED: false if the command was answered with an error, or its connection closed. */
static bool check_allowed(struct worker *worker, struct slot *slot)
{
    struct session_io *io = slot->io;
    struct session *session = &io->session;
    const struct command *command = slot->command;
    if (unlikely(command == NULL)) {
        if (slot->container == NULL && resp_is_http(&slot->request)) {
            log_warn(
                "dispatch: possible SECURITY ATTACK detected: HTTP on the Redis port, closing id=%lu "
                "addr=%s",
                session->id, session->peer_address);
            metric_add(&worker->server->metrics, protocol_error_count, 1);
            session->close_after_reply = true;
            return false;
        }
        reply_unknown(session, slot);
    } else if (unlikely(!command_arity_is_ok(command, slot->request.argc))) {
        command_reply_arity(&session->output, command);
    } else if (unlikely(!session->authenticated && (command->flags & CMD_NO_AUTH) == 0)) {
        reply_error(&session->output, "NOAUTH Authentication required.");
    } else if (unlikely(session->pubsub != NULL) && is_only_listening(session, command)) {
        reply_only_listening(session, command);
    } else if (unlikely(session->in_transaction && (command->flags & CMD_NO_MULTI) != 0)) {
        reply_error(&session->output, "ERR Command not allowed inside a transaction");
    } else if (is_out_of_memory(worker, session, command)) {
        refuse_for_memory(worker, slot);
    } else {
        return true;
    }
    reject(worker, slot);
    return false;
}

static bool is_paused(
    struct worker *worker, const struct session *session, const struct command *command)
{
    struct server *server = worker->server;
    const int mode = atomic_load_explicit(&server->pause_mode, memory_order_relaxed);
    if (likely(mode == SERVER_PAUSE_NONE) || (command->flags & CMD_SKIP_PAUSE) != 0)
        return false;
    if (worker->now_ms >= atomic_load_explicit(&server->pause_until_ms, memory_order_relaxed)) {
        atomic_store_explicit(&server->pause_mode, SERVER_PAUSE_NONE, memory_order_relaxed);
        return false;
    }
    return mode == SERVER_PAUSE_ALL || writes(session, command, CMD_WRITE);
}

/* May the data change now? *outcome says what became of the command if not. */
static bool check_writable(struct worker *worker, struct slot *slot, enum outcome *outcome)
{
    struct session *session = &slot->io->session;
    if (!writes(session, slot->command, CMD_WRITE))
        return true;
    const enum status status = tier_may_write(worker->server->tier);
    if (likely(status == ST_OK))
        return true;
    if (status == ST_AGAIN) {
        if (!writes(session, slot->command, CMD_DENYOOM))
            return true;
        worker_metric_add(worker, room_wait_count, 1);
        batch_park(slot->io, PARK_ROOM);
        *outcome = OUTCOME_PARKED;
        return false;
    }
    reply_error(&session->output,
        status == ST_FULL ? "MISCONF Errors writing to the AOF file: No space left on device"
                          : "MISCONF Errors writing to the AOF file: Input/output error");
    if (session->in_transaction && transaction_is_exec(slot->command))
        session_discard_transaction(session, worker->server->keyspace);
    reject(worker, slot);
    *outcome = OUTCOME_DONE;
    return false;
}

/* --- readiness ------------------------------------------------------------------------------------------------ */

static void on_wait(struct task *task)
{
    struct tier_wait *wait = CONTAINER_OF(task, struct tier_wait, task);
    struct session_io *io = CONTAINER_OF(wait, struct session_io, wait);
    CHECK_MAGIC(&io->session, SESSION_MAGIC);
    CHECK(io->wait_pending);
    io->wait_pending = false;
    batch_unpark(io);
}

void execute_wait(struct session_io *io)
{
    io->wait_pending = true;
    batch_park(io, PARK_WAIT);
}

void execute_arm(struct session_io *io)
{
    if (io->pinned_keys == NULL && !io->resumed)
        tier_wait_init(&io->wait, io->worker->turn, on_wait);
}

static void note_misses(
    struct worker *worker, const struct session_io *io, const struct key *keys, size_t count)
{
    if (io->resumed)
        return;
    metric_add(&worker->server->metrics, cold_wait_count, 1);
    for (size_t i = 0; i < count; i++) {
        const struct hot_record *record = hot_find(worker->view.hot, &keys[i]);
        if (record == NULL || hot_record_state(record) != HOT_FETCHING)
            continue;
        const enum prefetch_event_kind kind =
            tier_is_prefetching(record) ? PREFETCH_LATE : PREFETCH_MISS;
        prefetch_note(
            worker->server->prefetch, worker->index, kind, &keys[i], (uint32_t)io->session.id);
    }
}

void execute_unpin(struct worker *worker, struct session_io *io)
{
    io->resumed = false;
    if (io->pinned_keys == NULL)
        return;
    execute_ensure_stripes(worker, execute_stripes(worker, io->pinned_keys, io->pinned_count));
    tier_gather_release(worker->turn, io->pinned_keys, io->pinned_count, &io->wait);
    mem_free(io->pinned_keys);
    io->pinned_keys = NULL;
    io->pinned_count = 0;
}

/* Are these the keys that the connection's command has pinned? Not if a flush or swap came between. */
static bool are_pinned(const struct session_io *io, const struct key *keys, size_t count)
{
    if (io->pinned_count != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (io->pinned_keys[i].hash != keys[i].hash || io->pinned_keys[i].space != keys[i].space)
            return false;
    }
    return true;
}

static void remember_pinned(struct session_io *io, const struct key *keys, size_t count)
{
    if (io->pinned_keys != NULL)
        return;
    io->pinned_keys = mem_alloc(count * sizeof(*keys));
    memcpy(io->pinned_keys, keys, count * sizeof(*keys));
    io->pinned_count = count;
}

enum status execute_gather(struct worker *worker, struct session_io *io, const struct key *keys,
    const enum tier_need *needs, size_t count)
{
    size_t failed = 0;
    if (unlikely(io->pinned_keys != NULL) && !are_pinned(io, keys, count))
        execute_unpin(worker, io);
    execute_arm(io);
    const enum status status = tier_gather(worker->turn, keys, needs, count, &io->wait, &failed);
    if (likely(status == ST_OK))
        return ST_OK;
    if (status == ST_PENDING) {
        note_misses(worker, io, keys, count);
        remember_pinned(io, keys, count);
        execute_wait(io);
        return ST_PENDING;
    }
    struct resp_output *reply = &io->session.output;
    if (status == ST_CORRUPT)
        reply_error(reply, "ERR the record of this key is damaged on disk; DEL or SET it to go on");
    else
        reply_error(reply, "ERR the record of this key could not be read from disk");
    return status;
}

static enum status gather_slot(struct worker *worker, struct slot *slot)
{
    enum tier_need needs_small[NEEDS_ON_STACK];
    enum tier_need *needs = needs_small;
    const struct command *command = slot->command;
    struct keyspace_view *view = &worker->view;
    if (likely(
            slot->key_count == 1 && slot->io->pinned_keys == NULL && !slot->io->resumed &&
            tier_is_ready(worker->turn, &slot->keys[0],
                execute_need(command, slot->request.argc, slot->request.argv, 0), &view->found))) {
        view->found_key = &slot->keys[0];
        return ST_OK;
    }
    if (slot->key_count > NEEDS_ON_STACK)
        needs = mem_alloc(slot->key_count * sizeof(*needs));
    for (size_t i = 0; i < slot->key_count; i++)
        needs[i] = execute_need(command, slot->request.argc, slot->request.argv, i);
    const enum status status = execute_gather(worker, slot->io, slot->keys, needs, slot->key_count);
    if (needs != needs_small)
        mem_free(needs);
    return status;
}

/* Reads of absent keys are not told of: nothing could be prefetched. */
void execute_note_read(void *context, const struct key *key, bool first_use)
{
    struct worker *worker = context;
    if (!first_use && (worker->reader_waited || worker->reads_noted >= NOTED_KEY_MAX))
        return;
    worker->reads_noted++;
    prefetch_note(worker->server->prefetch, worker->index,
        first_use ? PREFETCH_FIRST_USE : PREFETCH_HIT, key, worker->reader);
}

static void note_writes(struct worker *worker, const struct slot *slot)
{
    for (size_t i = 0; i < slot->key_count && i < NOTED_KEY_MAX; i++)
        prefetch_note(worker->server->prefetch, worker->index, PREFETCH_WRITE, &slot->keys[i],
            (uint32_t)slot->io->session.id);
}

/* --- the steps ---------------------------------------------------------------------------------------------------- */

/* prepare(): what takes time and is no key. True if the handler may run. */
static bool prepare(
    struct worker *worker, struct slot *slot, struct command_call *call, enum outcome *outcome)
{
    struct session_io *io = slot->io;
    execute_unlock_all(worker);
    execute_arm(io);
    call->state = io->state;
    const enum status status = call->command->prepare(call, &io->wait);
    io->state = call->state;
    io->state_command = call->command;
    if (status == ST_OK)
        return true;
    if (status == ST_PENDING) {
        execute_wait(io);
        *outcome = OUTCOME_PARKED;
        return false;
    }
    io->resumed = false;
    if (io->state != NULL)
        call->command->state_destroy(io->state);
    io->state = NULL;
    execute_count_error(worker, &io->session);
    *outcome = OUTCOME_DONE;
    return false;
}

static void fill_call(struct slot *slot, struct command_call *call)
{
    call->argc = slot->request.argc;
    call->argv = slot->request.argv;
    call->request = slot->request.request;
    call->received = &slot->request;
    call->keys = slot->keys;
    call->key_count = slot->key_count == SIZE_MAX ? 0 : slot->key_count;
}

/* Locks the stripes of the call. A flush or swap since the keys were hashed has given their database another space. */
static void lock_keys(struct worker *worker, struct slot *slot, struct command_call *call)
{
    if (unlikely((call->command->flags & CMD_ALL_STRIPES) != 0))
        execute_ensure_stripes(worker, hot_stripes_all(worker->view.hot));
    while (call->key_count > 0) {
        execute_ensure_stripes(worker, execute_stripes(worker, slot->keys, call->key_count));
        if (likely(slot->version == keyspace_version(worker->server->keyspace)))
            return;
        execute_drop_keys(slot);
        execute_make_keys(worker, slot);
        call->keys = slot->keys;
    }
}

/* A command that may block does not take what others wait for longer. */
static void prepare_blocking(struct worker *worker, struct slot *slot, struct command_call *call)
{
    call->may_block = true;
    call->resumed = blocking_is_rerun(slot->io);
    if (call->resumed)
        call->state = blocking_state(slot->io);
    if (!blocking_is_used(worker) || call->resumed)
        return;
    lock_keys(worker, slot, call);
    if (blocking_serve_before(worker, call->keys, call->key_count)) {
        const struct command_call before = *call;
        execute_init_call(worker, &slot->io->session, slot->command, call);
        fill_call(slot, call);
        call->may_block = before.may_block;
    }
}

static enum outcome block(struct worker *worker, struct session_io *io, struct command_call *call)
{
    const bool parked = blocking_block(worker, io, call);
    execute_unpin(worker, io);
    return parked ? OUTCOME_BLOCKED : OUTCOME_DONE;
}

static enum outcome run(struct worker *worker, struct slot *slot)
{
    struct session_io *io = slot->io;
    const struct command *command = slot->command;
    struct command_call call;
    execute_init_call(worker, &io->session, command, &call);
    fill_call(slot, &call);
    enum outcome outcome = OUTCOME_DONE;
    if (unlikely(command->prepare != NULL) && !prepare(worker, slot, &call, &outcome))
        return outcome;
    if (unlikely((command->flags & CMD_BLOCKING) != 0))
        prepare_blocking(worker, slot, &call);
    lock_keys(worker, slot, &call);
    if (call.key_count > 0 && (command->flags & CMD_NO_GATHER) == 0) {
        const enum status status = gather_slot(worker, slot);
        if (status == ST_PENDING)
            return OUTCOME_PARKED;
        if (unlikely(status != ST_OK)) {
            if (blocking_is_rerun(io))
                blocking_finished(worker, io);
            execute_count_error(worker, &io->session);
            execute_unpin(worker, io);
            return OUTCOME_DONE;
        }
    }
    execute_handler(worker, &call);
    if (unlikely(call.block))
        return block(worker, io, &call);
    if (unlikely(blocking_is_rerun(io)))
        blocking_finished(worker, io);
    else if (unlikely(call.state != NULL && command->prepare == NULL))
        command->state_destroy(call.state);
    /* With keys (SORT) all stripes are only read. */
    if (unlikely(
            (command->flags & (CMD_ALL_STRIPES | CMD_WRITE)) == (CMD_ALL_STRIPES | CMD_WRITE)) &&
        call.key_count == 0)
        blocking_signal_all(worker);
    if (call.key_count > 0 && (command->flags & CMD_ALL_STRIPES) == 0)
        io->gate_partitions |= execute_partitions(slot->keys, call.key_count);
    else if ((command->flags & (CMD_ALL_STRIPES | CMD_READONLY)) != 0)
        io->gate_partitions = UINT64_MAX;
    if (call.key_count > 0 && (command->flags & CMD_WRITE) != 0)
        note_writes(worker, slot);
    execute_unpin(worker, io);
    if (unlikely(io->state != NULL)) {
        command->state_destroy(io->state);
        io->state = NULL;
    }
    return OUTCOME_DONE;
}

/* CLIENT REPLY OFF and SKIP: what the command may say. */
void execute_set_muting(struct session *session)
{
    if (likely(session->reply_mode == SESSION_REPLY_ON))
        session->output.muted = false;
    else
        session->output.muted = session->reply_mode != SESSION_REPLY_SKIP_NEXT;
}

void execute_advance_reply_mode(struct session *session)
{
    if (session->reply_mode == SESSION_REPLY_SKIP)
        session->reply_mode = SESSION_REPLY_ON;
    else if (session->reply_mode == SESSION_REPLY_SKIP_NEXT)
        session->reply_mode = SESSION_REPLY_SKIP;
    session->output.muted = false;
}

/* A command that had waited is refused after all: what it held goes. */
static void settle_refused(struct worker *worker, struct slot *slot)
{
    struct session_io *io = slot->io;
    execute_unpin(worker, io);
    if (io->state != NULL)
        io->state_command->state_destroy(io->state);
    io->state = NULL;
    execute_advance_reply_mode(&io->session);
}

/* The client was let in when it began to wait. */
static enum outcome execute_rerun(struct worker *worker, struct slot *slot)
{
    enum outcome outcome = OUTCOME_DONE;
    if (check_writable(worker, slot, &outcome)) {
        outcome = run(worker, slot);
    } else if (outcome == OUTCOME_DONE) {
        execute_unpin(worker, slot->io);
        blocking_finished(worker, slot->io);
    }
    if (outcome == OUTCOME_DONE)
        execute_advance_reply_mode(&slot->io->session);
    return outcome;
}

enum outcome execute_slot(struct worker *worker, struct slot *slot)
{
    struct session_io *io = slot->io;
    struct session *session = &io->session;
    if (unlikely(slot->protocol_error != NULL)) {
        reply_error_format(&session->output, "ERR Protocol error: %s", slot->protocol_error);
        session->close_after_reply = true;
        metric_add(&worker->server->metrics, protocol_error_count, 1);
        return OUTCOME_DONE;
    }
    if (unlikely(session->output.pending_size > OUTPUT_STALL_SIZE)) {
        batch_park(io, PARK_OUTPUT);
        return OUTCOME_PARKED;
    }
    execute_set_muting(session);
    if (unlikely(blocking_is_rerun(io)))
        return execute_rerun(worker, slot);
    if (!check_allowed(worker, slot)) {
        settle_refused(worker, slot);
        return OUTCOME_DONE;
    }
    if (is_paused(worker, session, slot->command)) {
        batch_park(io, PARK_PAUSE);
        return OUTCOME_PARKED;
    }
    if (!io->resumed) {
        session->command_count++;
        session->last_command = slot->command;
        session->active_ms = worker->now_ms;
        worker_metric_add(worker, command_count, 1);
    }
    enum outcome outcome = OUTCOME_DONE;
    if (!check_writable(worker, slot, &outcome)) {
        if (outcome == OUTCOME_DONE)
            settle_refused(worker, slot);
        return outcome;
    }
    if (session->in_transaction && (slot->command->flags & CMD_IN_MULTI) == 0) {
        transaction_queue(session, slot->command, slot);
        reply_simple(&session->output, "QUEUED");
    } else if (transaction_is_exec(slot->command)) {
        outcome = transaction_exec(worker, slot);
    } else {
        if (unlikely(slot->database != session->database)) {
            execute_drop_keys(slot);
            execute_make_keys(worker, slot);
        }
        outcome = run(worker, slot);
    }
    if (outcome == OUTCOME_DONE)
        execute_advance_reply_mode(session);
    return outcome;
}
