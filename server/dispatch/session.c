/*
 * session.c: what commands may do to a connection, and how CLIENT LIST shows it.
 */
#include "base/mem.h"
#include "dispatch_internal.h"

void session_close_after_reply(struct session *session)
{
    session->close_after_reply = true;
}

void session_kill(struct session *session)
{
    session_io_close(session_io_of(session));
}

bool session_unblock(struct session *session, bool with_error)
{
    return blocking_unblock(session_io_of(session), with_error);
}

unsigned session_worker_index(const struct session *session)
{
    return session->io_place->worker->index;
}

void session_wake(struct worker *worker, struct tier_wait *wait)
{
    mailbox_send(&worker->mailbox, &wait->task.message);
}

enum client_class session_class(const struct session *session)
{
    return pubsub_client_count(session->pubsub) > 0 ? CLIENT_CLASS_PUBSUB : CLIENT_CLASS_NORMAL;
}

void session_reset(struct session *session, struct server *server)
{
    session_discard_transaction(session, server->keyspace);
    session->database = 0;
    pubsub_client_destroy(server->pubsub, session->pubsub);
    session->pubsub = NULL;
    session->no_touch = false;
    session->no_evict = false;
    session->reply_mode = SESSION_REPLY_ON;
    session->output.protocol = 2;
    session->output.muted = false;
    session->authenticated = !atomic_load_explicit(&server->password_is_set, memory_order_relaxed);
    mem_free(session->name);
    session->name = NULL;
}

static void append_flags(const struct session *session, struct buf *out)
{
    const size_t before = out->size;
    const struct session_io *io = session->io_place;
    if (io->park == PARK_BLOCKED || io->park == PARK_PAUSE)
        buf_append_byte(out, 'b');
    if (session_class(session) == CLIENT_CLASS_PUBSUB)
        buf_append_byte(out, 'P');
    if (session->in_transaction)
        buf_append_byte(out, 'x');
    if (atomic_load_explicit(&session->watcher.touched, memory_order_relaxed))
        buf_append_byte(out, 'd');
    if (session->close_after_reply)
        buf_append_byte(out, 'c');
    if (session->is_unix_socket)
        buf_append_byte(out, 'U');
    if (session->no_evict)
        buf_append_byte(out, 'e');
    if (session->no_touch)
        buf_append_byte(out, 'T');
    if (out->size == before)
        buf_append_byte(out, 'N');
}

void session_describe(const struct session *session, uint64_t now_ms, struct buf *out)
{
    const size_t pending = resp_input_pending(session->input) + session->request_bytes;
    const size_t memory = resp_input_memory(session->input);
    char command[80] = "NULL";
    if (session->last_command != NULL)
        command_full_name(session->last_command, command, sizeof(command));
    const uint64_t age_s = now_ms > session->created_ms ? (now_ms - session->created_ms) / 1000 : 0;
    const uint64_t idle_s = now_ms > session->active_ms ? (now_ms - session->active_ms) / 1000 : 0;
    const struct session_io *io = session->io_place;
    buf_append_format(out,
        "id=%lu addr=%s laddr=%s fd=%d name=%s age=%lu idle=%lu flags=", session->id,
        session->peer_address, session->local_address, session->fd,
        session->name != NULL ? session->name : "", age_s, idle_s);
    append_flags(session, out);
    buf_append_format(out,
        " db=%u sub=%zu psub=%zu ssub=%zu multi=%d qbuf=%zu qbuf-free=%zu argv-mem=%zu multi-mem=%zu "
        "rbs=16384 rbp=0 obl=%zu oll=0 omem=%zu tot-mem=%zu events=%s%s cmd=%s user=default redir=-1 "
        "resp=%d lib-name=%s lib-ver=%s",
        session->database, pubsub_client_count_of(session->pubsub, PUBSUB_CHANNEL),
        pubsub_client_count_of(session->pubsub, PUBSUB_PATTERN),
        pubsub_client_count_of(session->pubsub, PUBSUB_SHARD),
        session->in_transaction ? (int)session->queued_count : -1, pending,
        memory > pending ? memory - pending : 0, session->argv_bytes, session->queued_bytes,
        session->output.pending_size, session->output.memory_size,
        memory + session->output.memory_size + session->queued_bytes + sizeof(*io),
        io->reading ? "r" : "", io->writing ? "w" : "", command, session->output.protocol,
        session->lib_name != NULL ? session->lib_name : "",
        session->lib_version != NULL ? session->lib_version : "");
}
