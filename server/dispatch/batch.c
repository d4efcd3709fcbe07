/*
 * batch.c: all whole commands of all ready connections, up to BATCH_MAX at a time, run together.
 *
 *   1. parse, look up the command, hash its keys          (no lock)
 *   2. lock the stripes of all keys; prefetch their buckets, then their records
 *   3. run in each connection's order; a command that must wait parks its connection, whose later commands go to its backlog
 *   4. append the effects, unlock; give the input buffers back
 *
 * The cache misses of a batch overlap instead of adding up; this is where the speed comes from (research: cross-connection
 * batching, as the prototype; the idea of prefetching ahead is Valkey's memory_prefetch.c).
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatch_internal.h"

/* Requests and replies of this size have values beyond what is prefetched of every record; so many commands ahead these are. */
enum { LONG_VALUE_SIZE = 256, VALUES_AHEAD = 6 };

static bool is_served(const struct session_io *io)
{
    return io->park == PARK_NONE && !io->session.closing && !io->session.close_after_reply;
}

static struct slot *add_slot(struct worker *worker, struct session_io *io)
{
    struct batch *batch = worker->batch;
    struct slot *slot = &batch->slots[batch->count++];
    slot->io = io;
    slot->command = NULL;
    slot->container = NULL;
    slot->protocol_error = NULL;
    slot->keys = NULL;
    slot->key_count = 0;
    slot->keys_owned = false;
    io->in_batch = true;
    return slot;
}

/* The next command of a connection into slot->request. */
static enum resp_result next_command(
    struct session_io *io, const struct resp_limits *limits, struct slot *slot)
{
    if (io->backlog_position < io->backlog_count) {
        slot->request = io->backlog[io->backlog_position++];
        if (io->backlog_position == io->backlog_count)
            io->backlog_position = io->backlog_count = 0;
        return RESP_COMMAND;
    }
    return resp_input_next(io->session.input, limits, &slot->request, &slot->protocol_error);
}

/* Clients repeat themselves: the name of the command before, as it was written, is looked at first. */
static void resolve(struct worker *worker, struct slot *slot)
{
    const struct slice name = slot->request.argv[0];
    if (likely(name.size == worker->name_size &&
               memcmp(name.data, worker->name, worker->name_size) == 0)) {
        slot->command = slot->container = worker->named;
        return;
    }
    slot->command = command_resolve(slot->request.argc, slot->request.argv, &slot->container);
    const bool is_plain = slot->command != NULL && slot->command->parent == NULL &&
                          slot->command->subcommands == NULL;
    if (is_plain && name.size <= sizeof(worker->name)) {
        memcpy(worker->name, name.data, name.size);
        worker->name_size = name.size;
        worker->named = slot->command;
    }
}

/* Takes commands of one connection until it has none left (true) or the batch is full (false). */
static bool fill_from(struct worker *worker, struct session_io *io)
{
    const struct server_options *options = &worker->server->settings->server;
    const struct resp_limits limits = {
        .bulk_size_max = (uint64_t)OPTION_GET(options, bulk_size_max),
        .query_buffer_max = (uint64_t)OPTION_GET(options, query_buffer_max),
        .unauthenticated = !io->session.authenticated};
    struct batch *batch = worker->batch;
    while (batch->count < worker->batch_max && batch->key_count < BATCH_KEY_MAX) {
        struct slot *slot = add_slot(worker, io);
        switch (next_command(io, &limits, slot)) {
        case RESP_COMMAND:
            resolve(worker, slot);
            execute_make_keys(worker, slot);
            /* What a password allows decides how the next bytes are read: run AUTH and HELLO before parsing on. */
            if (unlikely(limits.unauthenticated))
                return false;
            break;
        case RESP_MORE: batch->count--; return true;
        case RESP_ERROR: return true;
        case RESP_FATAL:
            batch->count--;
            metric_add(&worker->server->metrics, query_limit_count, 1);
            log_warn("dispatch: closing client that reached max query buffer length id=%lu addr=%s",
                io->session.id, io->session.peer_address);
            io->session.closing = true;
            return true;
        }
    }
    return false;
}

static void fill(struct worker *worker)
{
    struct batch *batch = worker->batch;
    batch->count = 0;
    batch->key_count = 0;
    struct session_list *ready = &worker->ready;
    struct session_io *io;
    while (batch->count < worker->batch_max && batch->key_count < BATCH_KEY_MAX &&
           (io = ready->head) != NULL) {
        io->in_batch = true;
        const bool finished = !is_served(io) || fill_from(worker, io);
        if (!finished)
            break; /* stays at the head for the next batch */
        ready->head = io->ready_next;
        if (ready->head == NULL)
            ready->tail = NULL;
        io->is_ready = false;
        /* A connection without a whole command has no slot to end its stay in the batch. */
        if (batch->count == 0 || batch->slots[batch->count - 1].io != io) {
            io->in_batch = false;
            if (io->session.closing) {
                session_io_close(io);
                continue;
            }
            if (io->park == PARK_NONE)
                session_io_release_input(io);
            if (io->half_closed)
                session_io_touch(io);
        }
    }
}

static void lock_and_prefetch(struct worker *worker)
{
    struct batch *batch = worker->batch;
    struct hot *hot = worker->view.hot;
    uint64_t stripes = 0;
    for (size_t i = 0; i < batch->count && stripes != hot_stripes_all(hot); i++) {
        const struct slot *slot = &batch->slots[i];
        if (slot->key_count != SIZE_MAX)
            stripes |= execute_stripes(worker, slot->keys, slot->key_count);
    }
    if (stripes == 0)
        return;
    tier_turn_lock(worker->turn, stripes);
    if (batch->count == 1 && batch->slots[0].key_count <= 1)
        return;
    /* Commands with keys of their own have thousands, more than caches hold. */
    hot_prefetch(hot, batch->keys, batch->key_count);
}

/* Room for more commands before what the backlog holds: they were taken before it. */
static void backlog_open(struct session_io *io, size_t count)
{
    const size_t left = io->backlog_count - io->backlog_position;
    if (io->backlog_capacity < left + count) {
        io->backlog_capacity = left + count;
        io->backlog = mem_realloc(io->backlog, io->backlog_capacity * sizeof(*io->backlog));
    }
    memmove(io->backlog + count, io->backlog + io->backlog_position, left * sizeof(*io->backlog));
    io->backlog_position = 0;
    io->backlog_count = left + count;
}

void batch_push_front(struct session_io *io, const struct resp_command *command)
{
    backlog_open(io, 1);
    io->backlog[0] = *command;
}

/* The commands from slot `index` on that belong to the connection go back; returns the first that doesn't. */
static size_t put_back(struct worker *worker, struct session_io *io, size_t index)
{
    struct batch *batch = worker->batch;
    size_t end = index;
    while (end < batch->count && batch->slots[end].io == io)
        end++;
    if (end == index)
        return end;
    backlog_open(io, end - index);
    for (size_t i = index; i < end; i++)
        io->backlog[i - index] = batch->slots[i].request;
    return end;
}

/* A protocol error behind a parked command is found again when the input is parsed on; errors are sticky there. */
static size_t drop_protocol_error(struct worker *worker, size_t index)
{
    struct batch *batch = worker->batch;
    size_t end = index;
    while (end < batch->count && batch->slots[end].io == batch->slots[index].io) {
        if (batch->slots[end].protocol_error != NULL) {
            const size_t tail = batch->count - end - 1;
            memmove(&batch->slots[end], &batch->slots[end + 1], tail * sizeof(struct slot));
            batch->count--;
            break;
        }
        end++;
    }
    return index;
}

static void look_ahead(struct worker *worker, size_t from, size_t end)
{
    struct batch *batch = worker->batch;
    for (size_t i = from; i < end; i++) {
        struct slot *slot = &batch->slots[i];
        if (slot->command == NULL || slot->key_count == SIZE_MAX || slot->key_count == 0 ||
            (slot->command->flags & (CMD_NO_GATHER | CMD_WRITE)) != 0 || slot->key_count > 64)
            continue;
        enum tier_need needs[64];
        for (size_t k = 0; k < slot->key_count; k++)
            needs[k] = execute_need(slot->command, slot->request.argc, slot->request.argv, k);
        size_t failed = 0;
        execute_ensure_stripes(worker, execute_stripes(worker, slot->keys, slot->key_count));
        status_ignore(tier_gather(worker->turn, slot->keys, needs, slot->key_count, NULL, &failed));
    }
}

/* Where values are long, those a few commands ahead are on their way while this one runs. */
static void prefetch_value(struct worker *worker, const struct slot *slot)
{
    if (slot->key_count != 1 ||
        (!worker->replies_are_long && slot->request.request.size < LONG_VALUE_SIZE))
        return;
    const struct key *key = &slot->keys[0];
    if ((tier_turn_locked(worker->turn) & hot_stripe(worker->view.hot, key)) != 0)
        hot_prefetch_value(worker->view.hot, key);
}

static void run_slots(struct worker *worker)
{
    struct batch *batch = worker->batch;
    for (size_t i = 0; i < batch->count && i < VALUES_AHEAD; i++)
        prefetch_value(worker, &batch->slots[i]);
    for (size_t i = 0; i < batch->count;) {
        struct slot *slot = &batch->slots[i];
        struct session_io *io = slot->io;
        if (i + VALUES_AHEAD < batch->count)
            prefetch_value(worker, &batch->slots[i + VALUES_AHEAD]);
        if (io->session.closing || io->session.close_after_reply) {
            i++;
            continue;
        }
        const enum outcome outcome = execute_slot(worker, slot);
        if (likely(outcome == OUTCOME_DONE)) {
            execute_aftermath(worker);
            i++;
            continue;
        }
        drop_protocol_error(worker, i);
        const size_t end = put_back(worker, io, outcome == OUTCOME_BLOCKED ? i + 1 : i);
        execute_aftermath(worker);
        if (io->park == PARK_WAIT && io->pinned_keys != NULL)
            look_ahead(worker, i + 1, end);
        i = end;
    }
}

static void finish(struct worker *worker)
{
    struct batch *batch = worker->batch;
    size_t reply_bytes = 0;
    for (size_t i = 0; i < batch->count; i++) {
        struct slot *slot = &batch->slots[i];
        execute_drop_keys(slot);
        struct session_io *io = slot->io;
        if (i + 1 < batch->count && batch->slots[i + 1].io == io)
            continue;
        io->in_batch = false;
        blocking_reap(io);
        reply_bytes += io->session.output.pending_size;
        if (io->session.closing) {
            if (!io->is_ready)
                session_io_close(io);
            continue;
        }
        if ((io->park == PARK_NONE || io->park == PARK_BLOCKED) && io->backlog_count == 0)
            session_io_release_input(io);
        session_io_touch(io);
    }
    worker->replies_are_long = reply_bytes > batch->count * LONG_VALUE_SIZE;
}

static void share_time(struct worker *worker, uint64_t elapsed_ns)
{
    struct batch *batch = worker->batch;
    if (batch->count == 0)
        return;
    const uint64_t each_ns = elapsed_ns / batch->count;
    const bool alone = worker->server->worker_count == 1;
    size_t end;
    for (size_t i = 0; i < batch->count; i = end) {
        const struct command *command = batch->slots[i].command;
        for (end = i + 1; end < batch->count && batch->slots[end].command == command;)
            end++;
        if (command == NULL)
            continue;
        struct command_stats *stats = command_stats_of(command);
        if (alone)
            metric_bump(stats, nsec_total, each_ns * (end - i));
        else
            metric_add(stats, nsec_total, each_ns * (end - i));
    }
}

void batch_run(struct worker *worker)
{
    while (worker->ready.head != NULL) {
        fill(worker);
        if (worker->batch->count == 0)
            continue;
        const uint64_t start_ns = clock_monotonic_ns();
        lock_and_prefetch(worker);
        run_slots(worker);
        if (tier_turn_locked(worker->turn) != 0)
            tier_turn_unlock(worker->turn);
        share_time(worker, clock_monotonic_ns() - start_ns);
        finish(worker);
        blocking_settle(worker);
    }
}

/* Clients that wait by the will of some client are counted apart from those that wait for the server. */
static void count_parked(const struct session_io *io, enum park park, uint64_t amount)
{
    struct server_metrics *metrics = &io->worker->server->metrics;
    if (park == PARK_BLOCKED || park == PARK_PAUSE)
        metric_add(metrics, blocked_count, amount);
    else
        metric_add(metrics, parked_count, amount);
}

void batch_park(struct session_io *io, enum park park)
{
    struct worker *worker = io->worker;
    if (io->park != PARK_NONE)
        count_parked(io, io->park, UINT64_MAX);
    io->park = park;
    if (park != PARK_NONE)
        count_parked(io, park, 1);
    if (park == PARK_NONE || park == PARK_WAIT || park == PARK_BLOCKED)
        return;
    io->park_next = worker->parked;
    worker->parked = io;
    if (!worker->park_event_added) {
        const struct timeval retry = {.tv_sec = 0, .tv_usec = PARK_RETRY_MS * 1000};
        CHECK(event_add(&worker->park_event, &retry) == 0);
        worker->park_event_added = true;
    }
}

void batch_unpark(struct session_io *io)
{
    CHECK(io->park != PARK_NONE);
    CHECK(!io->wait_pending);
    if (io->park == PARK_WAIT)
        io->resumed = true;
    batch_park(io, PARK_NONE);
    if (io->session.closing) {
        execute_unpin(io->worker, io);
        execute_unlock_all(io->worker);
        session_io_close(io);
        return;
    }
    session_io_resume_reading(io);
    session_io_ready(io);
}
