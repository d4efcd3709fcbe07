/*
 * session_io.c: a connection's sockets: reading requests, writing replies, limits, the end.
 *
 * Reading is level-triggered and once per turn; replies are written directly at the end of the turn, a write event is added only
 * after EAGAIN. Under appendfsync always replies wait until the log is durable up to what they saw: the connection is *gated*, the thread
 * isn't (I1).
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatch_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

struct adoption {
    struct task task;
    struct worker *worker;
    int fd;
    bool is_unix_socket;
};

static void on_adoption(struct task *task)
{
    struct adoption *adoption = CONTAINER_OF(task, struct adoption, task);
    session_io_open(adoption->worker, adoption->fd, adoption->is_unix_socket);
    mem_free(adoption);
}

void worker_adopt(struct server *server, int fd, bool is_unix_socket)
{
    struct worker *best = server->workers[0];
    for (unsigned i = 1; i < server->worker_count; i++) {
        if (atomic_load_explicit(&server->workers[i]->session_count, memory_order_relaxed) <
            atomic_load_explicit(&best->session_count, memory_order_relaxed))
            best = server->workers[i];
    }
    atomic_fetch_add_explicit(&best->session_count, 1, memory_order_relaxed);
    struct adoption *adoption = mem_alloc_zero(sizeof(*adoption));
    adoption->task.run = on_adoption;
    adoption->worker = best;
    adoption->fd = fd;
    adoption->is_unix_socket = is_unix_socket;
    mailbox_send(&best->mailbox, &adoption->task.message);
}

static void describe_address(int fd, bool peer, const char *unix_path, char *out, size_t size)
{
    struct sockaddr_storage storage;
    socklen_t length = sizeof(storage);
    const int failed = peer ? getpeername(fd, (struct sockaddr *)&storage, &length)
                            : getsockname(fd, (struct sockaddr *)&storage, &length);
    char text[INET6_ADDRSTRLEN] = "?";
    if (failed == 0 && storage.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&storage;
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
        snprintf(out, size, "%s:%u", text, ntohs(in->sin_port));
    } else if (failed == 0 && storage.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&storage;
        inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
        snprintf(out, size, "[%s]:%u", text, ntohs(in6->sin6_port));
    } else if (failed == 0 && storage.ss_family == AF_UNIX) {
        snprintf(out, size, "%.60s:0", unix_path);
    } else {
        snprintf(out, size, "?:0");
    }
}

static void on_readable(evutil_socket_t fd, short what, void *context);
static void on_writable(evutil_socket_t fd, short what, void *context);

static void set_reading(struct session_io *io, bool on)
{
    if (io->reading == on)
        return;
    CHECK((on ? event_add(&io->read_event, NULL) : event_del(&io->read_event)) == 0);
    io->reading = on;
}

static void set_writing(struct session_io *io, bool on)
{
    if (io->writing == on)
        return;
    CHECK((on ? event_add(&io->write_event, NULL) : event_del(&io->write_event)) == 0);
    io->writing = on;
}

static void set_socket_options(const struct server *server, int fd)
{
    const int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    const int keepalive_s = (int)OPTION_GET(&server->settings->server, tcp_keepalive_s);
    if (keepalive_s > 0) {
        const int interval = keepalive_s / 3 > 0 ? keepalive_s / 3 : 1;
        const int probes = 3;
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &keepalive_s, sizeof(keepalive_s));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
    }
}

void session_io_open(struct worker *worker, int fd, bool is_unix_socket)
{
    struct server *server = worker->server;
    struct session_io *io = mem_alloc_zero(sizeof(*io));
    struct session *session = &io->session;
    session->magic = SESSION_MAGIC;
    session->id = atomic_fetch_add_explicit(&server->next_session_id, 1, memory_order_relaxed);
    session->fd = fd;
    session->is_unix_socket = is_unix_socket;
    session->io_place = io;
    session->authenticated = !atomic_load_explicit(&server->password_is_set, memory_order_relaxed);
    session->input = resp_input_create(worker->pool);
    resp_output_init(&session->output, worker->pool);
    session->output.protocol = 2;
    session->created_ms = session->active_ms = clock_wall_ms();
    char *unix_path = settings_text(server->settings, "unixsocket");
    describe_address(fd, true, unix_path, session->peer_address, sizeof(session->peer_address));
    describe_address(fd, false, unix_path, session->local_address, sizeof(session->local_address));
    mem_free(unix_path);
    if (!is_unix_socket)
        set_socket_options(server, fd);
    io->worker = worker;
    CHECK(event_assign(&io->read_event, worker->base, fd, EV_READ | EV_PERSIST, on_readable, io) ==
          0);
    CHECK(event_assign(
              &io->write_event, worker->base, fd, EV_WRITE | EV_PERSIST, on_writable, io) == 0);
    set_reading(io, true);
    io->next = worker->sessions;
    if (worker->sessions != NULL)
        worker->sessions->previous = io;
    worker->sessions = io;
}

static void list_remove(struct session_list *list, struct session_io *io, bool is_ready)
{
    struct session_io *previous = NULL;
    struct session_io *at = list->head;
    while (at != io) {
        CHECK(at != NULL);
        previous = at;
        at = is_ready ? at->ready_next : at->flush_next;
    }
    struct session_io *next = is_ready ? io->ready_next : io->flush_next;
    if (previous == NULL)
        list->head = next;
    else if (is_ready)
        previous->ready_next = next;
    else
        previous->flush_next = next;
    if (list->tail == io)
        list->tail = previous;
}

static void session_io_free(struct session_io *io)
{
    struct worker *worker = io->worker;
    struct session *session = &io->session;
    if (io->is_ready)
        list_remove(&worker->ready, io, true);
    if (io->is_flushing)
        list_remove(&worker->flush, io, false);
    if (io->is_gated) {
        struct session_io **at = &worker->gated;
        while (*at != io)
            at = &(*at)->gate_next;
        *at = io->gate_next;
    }
    if (io->previous != NULL)
        io->previous->next = io->next;
    else
        worker->sessions = io->next;
    if (io->next != NULL)
        io->next->previous = io->previous;
    session_discard_transaction(session, worker->server->keyspace);
    blocking_abandon(io);
    pubsub_client_destroy(worker->server->pubsub, session->pubsub);
    if (io->state != NULL)
        io->state_command->state_destroy(io->state);
    resp_input_destroy(session->input);
    resp_output_deinit(&session->output);
    mem_free(session->queued);
    mem_free(session->name);
    mem_free(session->lib_name);
    mem_free(session->lib_version);
    mem_free(io->backlog);
    session->magic = 0;
    mem_free(io);
    atomic_fetch_sub_explicit(&worker->session_count, 1, memory_order_relaxed);
}

void session_io_close(struct session_io *io)
{
    struct session *session = &io->session;
    if (session->fd >= 0) {
        set_reading(io, false);
        set_writing(io, false);
        close(session->fd);
        session->fd = -1;
        metric_sub(&io->worker->server->metrics, client_count, 1);
    }
    session->closing = true;
    if (io->park == PARK_BLOCKED && !blocking_cancel(io))
        return; /* comes again with the answer that is on its way */
    if (io->park != PARK_NONE || io->in_batch)
        return; /* comes again when that has ended: batch_unpark(), finish() */
    session_io_free(io);
}

/* Whether so much waits for its turn that no more is to be read. What waits will be run: then session_io_release_input() reads on. */
static bool has_enough(const struct session_io *io)
{
    const struct resp_input *input = io->session.input;
    if (io->park == PARK_BLOCKED)
        return false;
    if (io->park != PARK_NONE && resp_input_pending(input) > READ_PENDING_MAX)
        return true;
    return (io->park != PARK_NONE || io->is_ready || io->backlog_count > 0) &&
           resp_input_held(input) > READ_PENDING_MAX;
}

void session_io_resume_reading(struct session_io *io)
{
    if (!io->reading && io->session.fd >= 0 && !io->half_closed && !has_enough(io))
        set_reading(io, true);
}

void session_io_release_input(struct session_io *io)
{
    resp_input_release(io->session.input);
    session_io_resume_reading(io);
}

void session_io_ready(struct session_io *io)
{
    if (io->is_ready)
        return;
    io->is_ready = true;
    io->ready_next = NULL;
    struct session_list *list = &io->worker->ready;
    if (list->tail != NULL)
        list->tail->ready_next = io;
    else
        list->head = io;
    list->tail = io;
}

void session_io_touch(struct session_io *io)
{
    if (io->is_flushing)
        return;
    io->is_flushing = true;
    io->flush_next = NULL;
    struct session_list *list = &io->worker->flush;
    if (list->tail != NULL)
        list->tail->flush_next = io;
    else
        list->head = io;
    list->tail = io;
}

/*
 * The peer sends no more. Whole commands that it had sent are still run and answered: they may wait for the disk, their replies
 * for the log or for the peer to read.
 */
static void end_of_input(struct session_io *io)
{
    /* Gone clients take nothing, and nothing behind a blocking command is run; but what one is getting just now it may still read. */
    const bool was_blocked = io->park == PARK_BLOCKED;
    if (was_blocked && blocking_cancel(io))
        io->session.close_after_reply = true;
    const bool waits = io->park == PARK_WAIT || io->park == PARK_ROOM || io->is_gated ||
                       (io->is_ready && !was_blocked) || (was_blocked && io->park != PARK_NONE);
    if (!waits && (io->park != PARK_NONE || io->session.output.pending_size == 0)) {
        session_io_close(io);
        return;
    }
    io->half_closed = true;
    set_reading(io, false);
}

static bool is_over(const struct session_io *io)
{
    if (io->session.close_after_reply)
        return true;
    return io->half_closed && io->park == PARK_NONE && !io->is_ready && io->backlog_count == 0;
}

/* What a client sends behind a blocking command is kept for it, up to client-query-buffer-limit. */
static void limit_query(struct session_io *io)
{
    struct server *server = io->worker->server;
    const int64_t limit = OPTION_GET(&server->settings->server, query_buffer_max);
    if (resp_input_pending(io->session.input) <= (size_t)limit)
        return;
    metric_add(&server->metrics, query_limit_count, 1);
    log_warn("dispatch: closing client that reached max query buffer length id=%lu addr=%s",
        io->session.id, io->session.peer_address);
    session_io_close(io);
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    (void)what;
    struct session_io *io = context;
    struct session *session = &io->session;
    size_t room = 0;
    char *space = resp_input_space(session->input, &room);
    const ssize_t size = read((int)fd, space, room);
    if (size < 0) {
        if (errno == EAGAIN || errno == EINTR)
            return;
        session_io_close(io);
        return;
    }
    if (size == 0) {
        end_of_input(io);
        return;
    }
    worker_metric_add(io->worker, input_bytes, size);
    resp_input_received(session->input, (size_t)size);
    if (io->park == PARK_NONE)
        session_io_ready(io);
    if (io->park == PARK_BLOCKED)
        limit_query(io); /* reading goes on: it shows whether the client is still there */
    else if (has_enough(io))
        set_reading(io, false);
}

/* Output limits: hard at once, soft after its time. True if the client goes. */
static bool output_limit_exceeded(struct session_io *io)
{
    struct session *session = &io->session;
    struct server *server = io->worker->server;
    const struct output_limit *limit = &server->settings->output_limits[session_class(session)];
    const size_t used = session->output.memory_size;
    const int64_t hard = OPTION_GET(limit, hard_bytes);
    const int64_t soft = OPTION_GET(limit, soft_bytes);
    bool exceeded = hard > 0 && used > (size_t)hard;
    if (soft > 0 && used > (size_t)soft) {
        const uint64_t now_ms = io->worker->now_ms;
        if (session->soft_limit_since_ms == 0)
            session->soft_limit_since_ms = now_ms;
        else if (now_ms - session->soft_limit_since_ms > (uint64_t)OPTION_GET(limit, soft_s) * 1000)
            exceeded = true;
    } else {
        session->soft_limit_since_ms = 0;
    }
    if (!exceeded)
        return false;
    metric_add(&server->metrics, output_limit_count, 1);
    log_warn(
        "dispatch: client closed for overcoming of output buffer limits id=%lu addr=%s omem=%zu",
        session->id, session->peer_address, used);
    return true;
}

/* Writes what the socket takes. False if the connection was closed. */
static bool write_some(struct session_io *io)
{
    struct session *session = &io->session;
    size_t written_total = 0;
    while (session->output.pending_size > 0 && written_total < WRITE_SIZE_MAX) {
        struct iovec vectors[64];
        const int count = resp_output_vectors(
            &session->output, vectors, (int)COUNT_OF(vectors), WRITE_SIZE_MAX - written_total);
        const ssize_t size = count == 1
                                 ? write(session->fd, vectors[0].iov_base, vectors[0].iov_len)
                                 : writev(session->fd, vectors, count);
        if (size < 0) {
            if (errno == EINTR)
                continue;
            if (errno == EAGAIN)
                break;
            session_io_close(io);
            return false;
        }
        resp_output_written(&session->output, (size_t)size);
        written_total += (size_t)size;
    }
    worker_metric_add(io->worker, output_bytes, written_total);
    if (session->output.pending_size == 0) {
        if (is_over(io)) {
            session_io_close(io);
            return false;
        }
        set_writing(io, false);
    } else {
        set_writing(io, true);
    }
    return true;
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    struct session_io *io = context;
    if (io->is_gated)
        return;
    (void)write_some(io);
}

/* True if the replies must wait for the log; the connection is then on the gated list. */
static bool gate(struct session_io *io)
{
    struct worker *worker = io->worker;
    struct tier *tier = worker->server->tier;
    if (io->gate_partitions != 0) {
        const uint64_t lsn = tier_gate_lsn(tier, io->gate_partitions);
        if (lsn > io->gate_lsn)
            io->gate_lsn = lsn;
        io->gate_partitions = 0;
    }
    if (io->wrote) {
        io->wrote = false;
        if (aof_sync_is_late(tier_aof(tier)))
            io->gate_lsn = aof_end_lsn(tier_aof(tier));
    }
    if (io->gate_lsn == 0 || aof_durable_lsn(tier_aof(tier)) >= io->gate_lsn) {
        io->gate_lsn = 0;
        return false;
    }
    if (!io->is_gated) {
        io->is_gated = true;
        io->gate_next = worker->gated;
        worker->gated = io;
        set_writing(io, false);
        atomic_store_explicit(&worker->has_gated, true, memory_order_seq_cst);
    }
    return true;
}

/* As in Redis the limits hold for what was replied, before the socket takes some of it. */
static void send_replies(struct session_io *io)
{
    if (output_limit_exceeded(io))
        session_io_close(io);
    else
        (void)write_some(io);
}

static void flush_one(struct session_io *io)
{
    if (io->session.fd < 0)
        return;
    if (!gate(io))
        send_replies(io);
}

void session_io_flush_all(struct worker *worker)
{
    struct session_io *io;
    while ((io = worker->flush.head) != NULL) {
        worker->flush.head = io->flush_next;
        if (worker->flush.head == NULL)
            worker->flush.tail = NULL;
        io->is_flushing = false;
        flush_one(io);
    }
    if (worker->gated != NULL) {
        /* D may have passed between gate() and has_gated; partner: workers_durable(). */
        atomic_thread_fence(memory_order_seq_cst);
        session_io_flush_gated(worker);
    }
}

void session_io_flush_gated(struct worker *worker)
{
    const uint64_t durable = aof_durable_lsn(tier_aof(worker->server->tier));
    struct session_io *io = worker->gated;
    worker->gated = NULL;
    while (io != NULL) {
        struct session_io *next = io->gate_next;
        if (io->gate_lsn > durable) {
            io->gate_next = worker->gated;
            worker->gated = io;
        } else {
            io->is_gated = false;
            io->gate_lsn = 0;
            if (io->session.fd >= 0)
                send_replies(io);
        }
        io = next;
    }
    if (worker->gated == NULL)
        atomic_store_explicit(&worker->has_gated, false, memory_order_seq_cst);
}

static uint64_t memory_of(const struct session *session)
{
    return resp_input_memory(session->input) + session->queued_bytes + session->output.memory_size;
}

/* maxmemory-clients: the greediest of all connections goes, on its own worker, one at a time. */
static void evict_largest(struct worker *worker, struct session_io *largest)
{
    struct server *server = worker->server;
    const uint64_t own = memory_of(&largest->session);
    for (unsigned i = 0; i < server->worker_count; i++) {
        const struct worker *other = server->workers[i];
        if (other != worker &&
            atomic_load_explicit(&other->largest_bytes, memory_order_relaxed) > own)
            return;
    }
    log_warn("dispatch: evicting client id=%lu addr=%s", largest->session.id,
        largest->session.peer_address);
    metric_add(&server->metrics, evicted_client_count, 1);
    session_io_close(largest);
}

/* Timeouts, memory figures, maxmemory-clients: every TICK_MS. */
void session_io_tick(struct worker *worker)
{
    struct server *server = worker->server;
    const uint64_t timeout_ms = (uint64_t)OPTION_GET(&server->settings->server, timeout_s) * 1000;
    const int64_t memory_max = OPTION_GET(&server->settings->server, clients_memory_max);
    uint64_t input_bytes = 0;
    uint64_t output_bytes = 0;
    uint64_t largest_bytes = 0;
    struct session_io *largest = NULL;
    struct session_io *next = NULL;
    for (struct session_io *io = worker->sessions; io != NULL; io = next) {
        next = io->next;
        struct session *session = &io->session;
        const bool idle = timeout_ms > 0 && io->park == PARK_NONE &&
                          session_class(session) != CLIENT_CLASS_PUBSUB &&
                          worker->now_ms > session->active_ms + timeout_ms;
        if (session->fd >= 0 && (idle || output_limit_exceeded(io))) {
            session_io_close(io);
            continue;
        }
        input_bytes += resp_input_memory(session->input) + session->queued_bytes;
        output_bytes += session->output.memory_size;
        if (!session->no_evict && session->fd >= 0 && memory_of(session) > largest_bytes) {
            largest = io;
            largest_bytes = memory_of(session);
        }
    }
    metric_add(&server->metrics, query_buffer_bytes, input_bytes - worker->input_bytes);
    metric_add(&server->metrics, output_buffer_bytes, output_bytes - worker->output_bytes);
    worker->input_bytes = input_bytes;
    worker->output_bytes = output_bytes;
    const uint64_t total = metric_get(&server->metrics, query_buffer_bytes) +
                           metric_get(&server->metrics, output_buffer_bytes);
    atomic_store_explicit(&worker->largest_bytes, largest_bytes, memory_order_relaxed);
    if (memory_max > 0 && total > (uint64_t)memory_max && largest != NULL)
        evict_largest(worker, largest);
}
