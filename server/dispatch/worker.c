/*
 * worker.c: the worker threads: their loops, mailboxes and timers.
 *
 *   loop:  event_base_loop(ONCE): sockets are read, the mailbox's tasks run
 *          batch_run():           commands of all ready connections, in batches
 *          tier_make_room():      demotes if RAM is over its limit
 *          session_io_flush_all(): one write per connection
 *
 * Everything a worker owns is touched by its thread only; others send it tasks. A worker never blocks but in
 * event_base_loop() and on partition stripes (I9).
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatch_internal.h"

static void on_mailbox(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    struct worker *worker = context;
    worker->now_ms = clock_wall_ms();
    worker->view.now_ms = worker->now_ms;
    struct message *message = mailbox_take(&worker->mailbox);
    while (message != NULL) {
        struct message *next = message->next;
        struct task *task = CONTAINER_OF(message, struct task, message);
        task->run(task);
        message = next;
    }
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    struct worker *worker = context;
    if (worker->stopping)
        return;
    worker->now_ms = clock_wall_ms();
    worker->view.now_ms = worker->now_ms;
    worker->view.database = 0;
    session_io_tick(worker);
    if (worker->index == 0) {
        tier_tick(worker->server->tier);
        const uint64_t used = mem_allocated_cached();
        if (used > atomic_load_explicit(&worker->server->peak_memory_bytes, memory_order_relaxed))
            atomic_store_explicit(&worker->server->peak_memory_bytes, used, memory_order_relaxed);
        keyspace_expire_hot_step(&worker->view, &worker->random);
        keyspace_expire_cold_step(&worker->view);
    }
}

static void on_park_retry(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    struct worker *worker = context;
    worker->park_event_added = false;
    struct session_io *io = worker->parked;
    worker->parked = NULL;
    while (io != NULL) {
        struct session_io *next = io->park_next;
        io->park_next = NULL;
        if (!io->session.closing && io->park == PARK_OUTPUT &&
            io->session.output.pending_size > OUTPUT_STALL_SIZE / 2) {
            batch_park(io, PARK_OUTPUT);
        } else {
            batch_unpark(io);
        }
        io = next;
    }
}

static void on_durable(struct task *task)
{
    struct worker *worker = CONTAINER_OF(task, struct worker, durable_task);
    /* Cleared before looking: a D that advances from here on sends the task again. */
    atomic_store_explicit(&worker->durable_sent, false, memory_order_seq_cst);
    if (!worker->stopping)
        session_io_flush_gated(worker);
}

static void on_stop(struct task *task)
{
    struct worker *worker = CONTAINER_OF(task, struct worker, stop_task);
    worker->stopping = true;
}

/* Log thread. The task is sent once per batch of advances; workers without gated replies are left asleep. */
void workers_durable(void *context, uint64_t durable_lsn)
{
    (void)durable_lsn;
    struct server *server = context;
    for (unsigned i = 0; i < server->worker_count && server->workers != NULL; i++) {
        struct worker *worker = server->workers[i];
        /* Partner: the fence in session_io.c between setting has_gated and reading D again. */
        atomic_thread_fence(memory_order_seq_cst);
        if (!atomic_load_explicit(&worker->has_gated, memory_order_seq_cst))
            continue;
        if (!atomic_exchange_explicit(&worker->durable_sent, true, memory_order_seq_cst))
            mailbox_send(&worker->mailbox, &worker->durable_task.message);
    }
}

static void close_all(struct worker *worker)
{
    struct session_io *io = worker->sessions;
    while (io != NULL) {
        struct session_io *next = io->next;
        session_io_close(io);
        io = next;
    }
}

/*
 * Connections that wait for something end when it comes. It may be a gather that is passed around, so each worker runs its mailbox
 * until all are empty.
 */
static void drain(struct worker *worker)
{
    struct server *server = worker->server;
    bool is_counted = false;
    for (;;) {
        const bool is_empty = worker->sessions == NULL && tier_turn_is_idle(worker->turn);
        if (is_empty && !is_counted) {
            is_counted = true;
            atomic_fetch_sub_explicit(&server->busy_worker_count, 1, memory_order_relaxed);
        }
        if (is_empty && atomic_load_explicit(&server->busy_worker_count, memory_order_relaxed) == 0)
            return;
        event_base_loop(worker->base, EVLOOP_ONCE);
        close_all(worker);
    }
}

static void worker_main(void *context)
{
    struct worker *worker = context;
    thread_forbid_blocking();
    while (!worker->stopping) {
        event_base_loop(worker->base, EVLOOP_ONCE);
        worker->now_ms = clock_wall_ms();
        worker->view.now_ms = worker->now_ms;
        batch_run(worker);
        blocking_settle(worker);
        tier_make_room(worker->turn);
        session_io_flush_all(worker);
        worker_metric_add(worker, turn_count, 1);
    }
    close_all(worker);
    drain(worker);
}

static struct worker *worker_create(struct server *server, unsigned index)
{
    struct worker *worker = mem_alloc_zero(sizeof(*worker));
    worker->server = server;
    worker->index = index;
    worker->batch_max = BATCH_MAX;
    worker->batch = mem_alloc_zero(sizeof(*worker->batch));
    worker->pool = resp_pool_create();
    random_init(&worker->random, clock_monotonic_ns() + index);
    mailbox_init(&worker->mailbox);
    worker->turn = tier_turn_create(server->tier, &worker->mailbox);
    worker->view = (struct keyspace_view){.keyspace = server->keyspace,
        .tier = server->tier,
        .hot = tier_hot(server->tier),
        .turn = worker->turn,
        .on_read = execute_note_read,
        .on_read_context = worker};
    worker->view.listener = &worker->listener;
    blocking_worker_init(worker);
    deliver_worker_init(worker);
    worker->durable_task.run = on_durable;
    worker->stop_task.run = on_stop;

    struct event_config *config = event_config_new();
    CHECK(config != NULL);
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    worker->base = event_base_new_with_config(config);
    event_config_free(config);
    CHECK(worker->base != NULL);
    CHECK(event_assign(&worker->mailbox_event, worker->base, worker->mailbox.event_fd,
              EV_READ | EV_PERSIST, on_mailbox, worker) == 0);
    CHECK(event_add(&worker->mailbox_event, NULL) == 0);
    const struct timeval tick = {.tv_sec = 0, .tv_usec = TICK_MS * 1000};
    CHECK(event_assign(&worker->tick_event, worker->base, -1, EV_PERSIST, on_tick, worker) == 0);
    CHECK(event_add(&worker->tick_event, &tick) == 0);
    CHECK(event_assign(&worker->park_event, worker->base, -1, 0, on_park_retry, worker) == 0);
    return worker;
}

static void worker_close(struct worker *worker)
{
    event_del(&worker->mailbox_event);
    event_del(&worker->tick_event);
    event_del(&worker->park_event);
    event_base_free(worker->base);
    deliver_worker_deinit(worker);
    blocking_worker_deinit(worker);
    tier_turn_destroy(worker->turn);
    resp_pool_destroy(worker->pool);
    mem_free(worker->batch);
}

static void worker_destroy(struct worker *worker)
{
    /* Tasks that came too late see that it is stopping and do nothing but free themselves. */
    struct message *message = mailbox_take(&worker->mailbox);
    while (message != NULL) {
        struct message *next = message->next;
        struct task *task = CONTAINER_OF(message, struct task, message);
        task->run(task);
        message = next;
    }
    mailbox_deinit(&worker->mailbox);
    mem_free(worker);
}

void workers_create(struct server *server)
{
    struct worker **workers = mem_alloc_zero(server->worker_count * sizeof(*workers));
    server->blocking = blocking_create();
    server->pubsub = pubsub_create(server->worker_count);
    char *events = settings_text(server->settings, "notify-keyspace-events");
    server_events_set(server, server_events_parse(events));
    mem_free(events);
    for (unsigned i = 0; i < server->worker_count; i++)
        workers[i] = worker_create(server, i);
    server->workers = workers;
}

void workers_start(struct server *server)
{
    atomic_store_explicit(&server->busy_worker_count, server->worker_count, memory_order_relaxed);
    for (unsigned i = 0; i < server->worker_count; i++) {
        char name[16];
        snprintf(name, sizeof(name), "worker-%u", i % 1000);
        thread_start(&server->workers[i]->thread, name, worker_main, server->workers[i]);
    }
}

void workers_stop(struct server *server)
{
    if (server->workers == NULL)
        return;
    for (unsigned i = 0; i < server->worker_count; i++) {
        if (server->workers[i]->thread.running)
            mailbox_send(&server->workers[i]->mailbox, &server->workers[i]->stop_task.message);
    }
    for (unsigned i = 0; i < server->worker_count; i++)
        thread_join(&server->workers[i]->thread);
    for (unsigned i = 0; i < server->worker_count; i++)
        worker_close(server->workers[i]);
}

void workers_destroy(struct server *server)
{
    if (server->workers == NULL)
        return;
    for (unsigned i = 0; i < server->worker_count; i++)
        worker_destroy(server->workers[i]);
    mem_free(server->workers);
    server->workers = NULL;
    blocking_destroy(server->blocking);
    pubsub_destroy(server->pubsub);
    server->blocking = NULL;
    server->pubsub = NULL;
}
