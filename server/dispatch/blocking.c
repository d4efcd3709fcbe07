/*
 * blocking.c: connections in blocking commands: who waits for which key, for how long, and what ends it.
 *
 *   BLPOP a b 0 ──► handler sets `block` ──► waiter ──► line of "a": w1 ─ w4 ─ w7     by arrival, of all workers
 *                                               └─────► line of "b": w2 ─ w7
 *   RPUSH a x ──► keyspace_signal_ready() ──► signalled keys of the worker ──► blocking_serve(), after the command
 *
 * A waiter holds a copy of its command; what came behind it on the connection stays in the backlog.
 *
 * (1) A waiter enters a line under the key's stripe, in the same hold in which its handler found nothing; a key is signalled
 *     under its stripe. So no signal is missed, and waiter_count == 0 may be believed.
 * (2) States change under the lock. WAITING → SERVING only by a worker that holds the stripes of all keys of the command: so no two
 *     workers serve waiters of one line at once.
 * (3) Only its own worker frees a waiter, and only it touches the connection: others send an answer, after the log has what the
 *     command did (the answer's gate is then complete under appendfsync always).
 * (4) A waiter that is not WAITING when its time is over or its client goes learns of that (`wanted`) when it would wait again.
 *
 * Threads: functions that take a connection, on its worker. The lock is a leaf.
 */
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "blocking_internal.h"

#define BUCKETS_MIN ((size_t)64)

struct blocking *blocking_create(void)
{
    struct blocking *blocking = mem_alloc_zero(sizeof(*blocking));
    mutex_init(&blocking->lock, LOCK_RANK_LEAF);
    blocking->bucket_count = BUCKETS_MIN;
    blocking->buckets = mem_alloc_zero(BUCKETS_MIN * sizeof(struct blocking_key *));
    return blocking;
}

void blocking_destroy(struct blocking *blocking)
{
    if (blocking == NULL)
        return;
    CHECK(blocking->key_count == 0);
    mem_free(blocking->buckets);
    mutex_deinit(&blocking->lock);
    mem_free(blocking);
}

void blocking_worker_init(struct worker *worker)
{
    struct session_io *io = mem_alloc_zero(sizeof(*io));
    io->worker = worker;
    io->session.magic = SESSION_MAGIC;
    io->session.fd = -1;
    io->session.io_place = io;
    resp_output_init(&io->session.output, worker->pool);
    worker->stand_in = io;
    worker->answers_end = &worker->answers;
    worker->spaces_version = keyspace_version(worker->server->keyspace);
}

void blocking_worker_deinit(struct worker *worker)
{
    CHECK(worker->answers == NULL);
    struct blocking *blocking = worker->server->blocking;
    mutex_lock(&blocking->lock);
    while (worker->signalled_count > 0)
        blocking_key_unpin(blocking, worker->signalled[--worker->signalled_count]);
    mutex_unlock(&blocking->lock);
    resp_output_deinit(&worker->stand_in->session.output);
    mem_free(worker->stand_in);
    mem_free(worker->signalled);
}

/* --- keys ------------------------------------------------------------------------------------------------- */

static uint64_t hash_name(unsigned database, struct slice name)
{
    return hash_keyed(name.data, name.size, database);
}

static void grow(struct blocking *blocking)
{
    const size_t count = blocking->bucket_count * 2;
    struct blocking_key **buckets = mem_alloc_zero(count * sizeof(*buckets));
    for (size_t i = 0; i < blocking->bucket_count; i++) {
        struct blocking_key *key = blocking->buckets[i];
        while (key != NULL) {
            struct blocking_key *next = key->next;
            key->next = buckets[key->hash & (count - 1)];
            buckets[key->hash & (count - 1)] = key;
            key = next;
        }
    }
    mem_free(blocking->buckets);
    blocking->buckets = buckets;
    blocking->bucket_count = count;
}

struct blocking_key *blocking_key_find(
    const struct blocking *blocking, unsigned database, struct slice name)
{
    const uint64_t hash = hash_name(database, name);
    struct blocking_key *key = blocking->buckets[hash & (blocking->bucket_count - 1)];
    while (key != NULL && (key->hash != hash || key->database != database ||
                              !slice_equal(slice_of(key->name, key->size), name)))
        key = key->next;
    return key;
}

static struct blocking_key *key_demand(
    struct blocking *blocking, unsigned database, struct slice name)
{
    struct blocking_key *key = blocking_key_find(blocking, database, name);
    if (key != NULL)
        return key;
    if (blocking->key_count >= blocking->bucket_count)
        grow(blocking);
    key = mem_alloc_zero(sizeof(*key) + name.size);
    key->hash = hash_name(database, name);
    key->database = database;
    key->size = (uint32_t)name.size;
    if (name.size > 0)
        memcpy(key->name, name.data, name.size);
    struct blocking_key **bucket = &blocking->buckets[key->hash & (blocking->bucket_count - 1)];
    key->next = *bucket;
    *bucket = key;
    blocking->key_count++;
    return key;
}

static void key_release(struct blocking *blocking, struct blocking_key *key)
{
    if (key->head != NULL || key->pin_count > 0)
        return;
    struct blocking_key **at = &blocking->buckets[key->hash & (blocking->bucket_count - 1)];
    while (*at != key)
        at = &(*at)->next;
    *at = key->next;
    blocking->key_count--;
    mem_free(key);
}

void blocking_key_unpin(struct blocking *blocking, struct blocking_key *key)
{
    CHECK(key->pin_count > 0);
    key->pin_count--;
    key_release(blocking, key);
}

void blocking_key_list(struct worker *worker, struct blocking_key *key)
{
    key->ready = true;
    if (key->listed_by == worker)
        return;
    key->listed_by = worker;
    key->pin_count++;
    if (worker->signalled_count == worker->signalled_capacity) {
        worker->signalled_capacity =
            worker->signalled_capacity == 0 ? 16 : worker->signalled_capacity * 2;
        worker->signalled =
            mem_realloc(worker->signalled, worker->signalled_capacity * sizeof(*worker->signalled));
    }
    worker->signalled[worker->signalled_count++] = key;
}

/* --- waiters ----------------------------------------------------------------------------------------------- */

/* What the keyspace tells of depends on who waits, too. The lock is held. */
static void count_change_waiter(struct server *server, struct waiter *waiter, bool comes)
{
    struct blocking *blocking = server->blocking;
    if (!waiter->wakes_on_change)
        return;
    blocking->change_count += comes ? 1 : SIZE_MAX;
    const uint32_t notify = atomic_load_explicit(&server->notify_events, memory_order_relaxed);
    atomic_store_explicit(&server->event_classes, blocking->change_count > 0 ? UINT32_MAX : notify,
        memory_order_relaxed);
}

void server_events_set(struct server *server, uint32_t notify_events)
{
    struct blocking *blocking = server->blocking;
    atomic_store_explicit(&server->notify_events, notify_events, memory_order_relaxed);
    if (blocking == NULL)
        return; /* the workers' start sets it again */
    mutex_lock(&blocking->lock);
    atomic_store_explicit(&server->event_classes,
        blocking->change_count > 0 ? UINT32_MAX : notify_events, memory_order_relaxed);
    mutex_unlock(&blocking->lock);
}

static void link_append(struct waiter_link *link, struct blocking_key *key)
{
    link->key = key;
    link->next = NULL;
    link->previous = key->tail;
    if (key->tail != NULL)
        key->tail->next = link;
    else
        key->head = link;
    key->tail = link;
    key->change_count += link->waiter->wakes_on_change;
}

static void link_remove(struct waiter_link *link)
{
    struct blocking_key *key = link->key;
    if (link->previous != NULL)
        link->previous->next = link->next;
    else
        key->head = link->next;
    if (link->next != NULL)
        link->next->previous = link->previous;
    else
        key->tail = link->previous;
    key->change_count -= link->waiter->wakes_on_change;
    link->key = NULL;
}

static void waiter_list(struct server *server, struct waiter *waiter)
{
    struct blocking *blocking = server->blocking;
    for (size_t i = 0; i < waiter->link_count; i++) {
        struct blocking_key *key =
            key_demand(blocking, waiter->database, key_slice(&waiter->keys[i]));
        waiter->links[i] = (struct waiter_link){.waiter = waiter, .key_index = i};
        /* The same key twice is one place in its line. */
        if (key->tail == NULL || key->tail->waiter != waiter)
            link_append(&waiter->links[i], key);
    }
    waiter->is_listed = true;
    atomic_fetch_add_explicit(&server->waiter_count, 1, memory_order_relaxed);
    count_change_waiter(server, waiter, true);
}

void waiter_unlist(struct worker *worker, struct waiter *waiter)
{
    struct server *server = worker->server;
    if (!waiter->is_listed)
        return;
    for (size_t i = 0; i < waiter->link_count; i++) {
        struct blocking_key *key = waiter->links[i].key;
        if (key == NULL)
            continue;
        link_remove(&waiter->links[i]);
        /* Those behind it may have waited for what it leaves. */
        if (waiter->state == WAITER_RERUN && key->ready && key->head != NULL)
            blocking_key_list(worker, key);
        key_release(server->blocking, key);
    }
    waiter->is_listed = false;
    atomic_fetch_sub_explicit(&server->waiter_count, 1, memory_order_relaxed);
    count_change_waiter(server, waiter, false);
}

void waiter_refresh_keys(struct worker *worker, struct waiter *waiter)
{
    const uint64_t version = keyspace_version(worker->server->keyspace);
    if (waiter->keys_version == version)
        return;
    waiter->keys_version = version;
    for (size_t i = 0; i < waiter->key_count; i++)
        waiter->keys[i] =
            keyspace_key_in(&worker->view, waiter->database, key_slice(&waiter->keys[i]));
}

static void waiter_free(struct waiter *waiter)
{
    if (waiter->timer_added)
        event_del(&waiter->timer);
    if (waiter->handler_state != NULL)
        waiter->command->state_destroy(waiter->handler_state);
    buf_deinit(&waiter->reply);
    mem_free(waiter->argv);
    mem_free(waiter->keys);
    mem_free(waiter);
}

static struct slice *copy_arguments(int argc, const struct slice *argv)
{
    size_t size = (size_t)argc * sizeof(*argv);
    for (int i = 0; i < argc; i++)
        size += argv[i].size;
    struct slice *copy = mem_alloc(size);
    char *at = (char *)&copy[argc];
    for (int i = 0; i < argc; i++) {
        if (argv[i].size > 0)
            memcpy(at, argv[i].data, argv[i].size);
        copy[i] = slice_of(at, argv[i].size);
        at += argv[i].size;
    }
    return copy;
}

/* The keys, with their names in the waiter's own arguments. */
static void adopt_keys(struct waiter *waiter, const struct key *keys, size_t count)
{
    int indexes_small[64];
    int *indexes = indexes_small;
    if (count > COUNT_OF(indexes_small))
        indexes = mem_alloc(count * sizeof(*indexes));
    CHECK(command_key_indexes(waiter->command, waiter->argc, waiter->argv, indexes, (int)count) ==
          (int)count);
    waiter->keys = mem_alloc((count + 1) * sizeof(*waiter->keys));
    for (size_t i = 0; i < count; i++) {
        waiter->keys[i] = keys[i];
        waiter->keys[i].data = waiter->argv[indexes[i]].data;
    }
    waiter->key_count = count;
    if (indexes != indexes_small)
        mem_free(indexes);
}

/* Those of a destination are not waited for. */
static size_t waited_key_count(const struct command_call *call)
{
    return call->key_count > 1 && call->command->key_flags[1] != 0 ? call->key_count - 1
                                                                   : call->key_count;
}

static void on_timer(evutil_socket_t fd, short what, void *context);

static struct waiter *waiter_create(struct session_io *io, const struct command_call *call)
{
    const struct session *session = &io->session;
    const size_t link_count = waited_key_count(call);
    struct waiter *waiter =
        mem_alloc_zero(sizeof(*waiter) + link_count * sizeof(struct waiter_link));
    waiter->task.run = waiter_run_answer;
    waiter->io = io;
    waiter->worker = io->worker;
    waiter->command = call->command;
    waiter->argc = call->argc;
    waiter->argv =
        call->block_argv != NULL ? call->block_argv : copy_arguments(call->argc, call->argv);
    waiter->handler_state = call->state;
    waiter->session_id = session->id;
    waiter->database = session->database;
    waiter->protocol = session->output.protocol;
    waiter->muted = session->output.muted;
    waiter->no_touch = session->no_touch;
    waiter->null_is_array = call->block_null_is_array;
    waiter->wakes_on_change = call->block_wakes_on_change;
    waiter->link_count = link_count;
    waiter->keys_version = keyspace_version(io->worker->server->keyspace);
    adopt_keys(waiter, call->keys, call->key_count);
    if (call->block_timeout_ms > 0 &&
        add_overflows(clock_monotonic_ms(), (uint64_t)call->block_timeout_ms, &waiter->deadline_ms))
        waiter->deadline_ms = 0;
    CHECK(event_assign(&waiter->timer, io->worker->base, -1, 0, on_timer, waiter) == 0);
    return waiter;
}

static void timer_start(struct waiter *waiter, uint64_t after_ms)
{
    const struct timeval after = {
        .tv_sec = (time_t)(after_ms / 1000), .tv_usec = (suseconds_t)(after_ms % 1000 * 1000)};
    CHECK(event_add(&waiter->timer, &after) == 0);
    waiter->timer_added = true;
}

/* --- waiting ----------------------------------------------------------------------------------------------- */

static bool block_again(struct worker *worker, struct waiter *waiter)
{
    struct blocking *blocking = worker->server->blocking;
    mutex_lock(&blocking->lock);
    CHECK(waiter->state == WAITER_RERUN);
    const enum waiter_answer wanted = waiter->wanted;
    if (wanted != ANSWER_NONE) {
        waiter_unlist(worker, waiter);
    } else {
        waiter->state = WAITER_WAITING;
        for (size_t i = 0; i < waiter->link_count; i++) {
            struct blocking_key *key = waiter->links[i].key;
            if (key != NULL && key->ready)
                blocking_key_list(worker, key); /* those behind it are asked now */
        }
    }
    mutex_unlock(&blocking->lock);
    return wanted == ANSWER_NONE;
}

static void reply_ended(
    struct resp_output *output, const struct waiter *waiter, enum waiter_answer answer)
{
    if (answer == ANSWER_UNBLOCKED)
        reply_error(output, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
    else if (answer == ANSWER_TIMEOUT && waiter->null_is_array)
        reply_null_array(output);
    else if (answer == ANSWER_TIMEOUT)
        reply_null(output);
}

bool blocking_block(struct worker *worker, struct session_io *io, struct command_call *call)
{
    struct waiter *waiter = io->waiter;
    if (waiter == NULL) {
        waiter = waiter_create(io, call);
        io->waiter = waiter;
        mutex_lock(&worker->server->blocking->lock);
        waiter_list(worker->server, waiter);
        mutex_unlock(&worker->server->blocking->lock);
        if (waiter->deadline_ms != 0)
            timer_start(waiter, (uint64_t)call->block_timeout_ms);
        batch_park(io, PARK_BLOCKED);
        return true;
    }
    mem_free(call->block_argv); /* that of the first run stays */
    waiter->handler_state = call->state;
    if (block_again(worker, waiter)) {
        batch_park(io, PARK_BLOCKED);
        return true;
    }
    reply_ended(&io->session.output, waiter, waiter->wanted);
    io->session.closing |= waiter->wanted == ANSWER_GONE;
    io->waiter = NULL;
    io->spent = waiter;
    return false;
}

void *blocking_state(const struct session_io *io)
{
    return io->waiter->handler_state;
}

void blocking_finished(struct worker *worker, struct session_io *io)
{
    struct waiter *waiter = io->waiter;
    mutex_lock(&worker->server->blocking->lock);
    waiter_unlist(worker, waiter);
    mutex_unlock(&worker->server->blocking->lock);
    io->waiter = NULL;
    io->spent = waiter;
}

void blocking_reap(struct session_io *io)
{
    if (io->spent != NULL)
        waiter_free(io->spent);
    io->spent = NULL;
}

void blocking_abandon(struct session_io *io)
{
    if (io->waiter != NULL)
        blocking_finished(io->worker, io);
    blocking_reap(io);
}

/* --- the end of waiting -------------------------------------------------------------------------------------- */

void waiter_complete(struct waiter *waiter, enum waiter_answer answer)
{
    struct session_io *io = waiter->io;
    struct session *session = &io->session;
    CHECK(io->park == PARK_BLOCKED);
    CHECK(io->waiter == waiter);
    if (answer == ANSWER_REPLY) {
        if (waiter->reply.size > 0)
            reply_raw(&session->output, waiter->reply.data, waiter->reply.size);
        io->gate_partitions |= waiter->gate_partitions;
        io->wrote |= waiter->wrote;
    } else if (answer != ANSWER_GONE) {
        execute_set_muting(session);
        reply_ended(&session->output, waiter, answer);
        if (answer == ANSWER_UNBLOCKED)
            execute_count_error(io->worker, session);
    }
    if (answer == ANSWER_GONE)
        session->closing = true;
    execute_advance_reply_mode(session);
    io->waiter = NULL;
    waiter_free(waiter);
    session->active_ms = io->worker->now_ms;
    if (!session->closing)
        session_io_touch(io);
    batch_unpark(io);
}

/* Its worker runs the command as if it had just come, but for the waiter. */
static void rerun(struct waiter *waiter)
{
    struct session_io *io = waiter->io;
    const struct resp_command command = {.argc = waiter->argc, .argv = waiter->argv};
    batch_push_front(io, &command);
    batch_unpark(io);
}

void waiter_run_answer(struct task *task)
{
    struct waiter *waiter = CONTAINER_OF(task, struct waiter, task);
    CHECK_MAGIC(&waiter->io->session, SESSION_MAGIC);
    if (waiter->answer == ANSWER_RERUN && !waiter->io->session.closing)
        rerun(waiter);
    else if (waiter->answer == ANSWER_RERUN)
        batch_unpark(waiter->io); /* is freed, which abandons the waiter */
    else
        waiter_complete(waiter, waiter->answer);
}

/* Ends its waiting for this reason, or leaves word if it is being served. True: it has ended. */
static bool end_waiting(struct waiter *waiter, enum waiter_answer why)
{
    struct worker *worker = waiter->worker;
    struct blocking *blocking = worker->server->blocking;
    mutex_lock(&blocking->lock);
    const bool ends = waiter->state == WAITER_WAITING;
    if (ends)
        waiter_unlist(worker, waiter);
    else if (waiter->wanted == ANSWER_NONE || why == ANSWER_GONE)
        waiter->wanted = why;
    mutex_unlock(&blocking->lock);
    return ends;
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    struct waiter *waiter = context;
    waiter->timer_added = false;
    const uint64_t now_ms = clock_monotonic_ms();
    if (now_ms < waiter->deadline_ms)
        timer_start(waiter, waiter->deadline_ms - now_ms);
    else if (end_waiting(waiter, ANSWER_TIMEOUT))
        waiter_complete(waiter, ANSWER_TIMEOUT);
}

bool blocking_unblock(struct session_io *io, bool with_error)
{
    struct waiter *waiter = io->waiter;
    if (waiter == NULL || io->session.closing)
        return false;
    const enum waiter_answer why = with_error ? ANSWER_UNBLOCKED : ANSWER_TIMEOUT;
    if (end_waiting(waiter, why))
        waiter_complete(waiter, why);
    return true;
}

bool blocking_cancel(struct session_io *io)
{
    struct waiter *waiter = io->waiter;
    if (!end_waiting(waiter, ANSWER_GONE))
        return false;
    batch_park(io, PARK_NONE);
    io->waiter = NULL;
    waiter_free(waiter);
    return true;
}
