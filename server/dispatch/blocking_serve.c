/*
 * blocking_serve.c: clients that wait get what came, in order of arrival, before anybody else runs.
 *
 *   command or transaction ──► its signalled keys ──► for each waiter in line: run its command here, under the stripes held
 *                                    ▲                        │ it blocks again: it keeps its place; the next one is asked
 *                                    └── signals of its own ◄─┘ it is done: out of all lines; its worker gets the reply
 *
 * A waiter of another worker runs with a stand-in session, whose output is sent to its worker afterwards. If some other key of its
 * command is cold, or may not be written now, its own worker runs it (RERUN): the line stands still until that is over, other lines
 * do not.
 *
 * Stripes that are missing are locked by unlocking for a moment; in it others may take what came, as if they had come
 * before. Those that would have to stand in line do not: blocking_serve_before().
 *
 * Every run that does not block again takes a waiter out of its lines, and none comes in meanwhile: so chains of BLMOVE end.
 */
#include "base/mem.h"
#include "blocking_internal.h"

/* --- signals ------------------------------------------------------------------------------------------------ */

void blocking_signal(struct worker *worker, const struct keyspace_view *view, const struct key *key,
    bool only_for_changes)
{
    unsigned database = 0;
    if (!blocking_is_used(worker) || !keyspace_database_of(view, key, &database))
        return;
    struct blocking *blocking = worker->server->blocking;
    mutex_lock(&blocking->lock);
    struct blocking_key *found = blocking_key_find(blocking, database, key_slice(key));
    if (found != NULL && (!only_for_changes || found->change_count > 0))
        blocking_key_list(worker, found);
    mutex_unlock(&blocking->lock);
}

void blocking_signal_all(struct worker *worker)
{
    const uint64_t version = keyspace_version(worker->server->keyspace);
    const bool moved = version != worker->spaces_version;
    worker->spaces_version = version;
    if (!moved || !blocking_is_used(worker))
        return;
    struct blocking *blocking = worker->server->blocking;
    mutex_lock(&blocking->lock);
    for (size_t i = 0; i < blocking->bucket_count; i++) {
        for (struct blocking_key *key = blocking->buckets[i]; key != NULL; key = key->next) {
            if (key->head != NULL)
                blocking_key_list(worker, key);
        }
    }
    mutex_unlock(&blocking->lock);
}

/* --- running a waiter's command -------------------------------------------------------------------------------- */

enum verdict {
    VERDICT_DONE,  /* it ran and is over */
    VERDICT_WAITS, /* it stays in line */
    VERDICT_NONE,  /* nothing is there for anybody of this line */
    VERDICT_RERUN, /* not here */
};

static bool key_is_ready(const struct worker *worker, const struct waiter *waiter, size_t index)
{
    struct hot_record *record = NULL;
    const enum tier_need need = execute_need(waiter->command, waiter->argc, waiter->argv, index);
    return tier_is_ready(worker->turn, &waiter->keys[index], need, &record);
}

static bool keys_are_ready(const struct worker *worker, const struct waiter *waiter)
{
    for (size_t i = 0; i < waiter->key_count; i++) {
        if (!key_is_ready(worker, waiter, i))
            return false;
    }
    return true;
}

static bool may_write(const struct worker *worker, const struct waiter *waiter)
{
    if ((waiter->command->flags & CMD_WRITE) == 0)
        return true;
    const enum status status = tier_may_write(worker->server->tier);
    return status == ST_OK || (status == ST_AGAIN && (waiter->command->flags & CMD_DENYOOM) == 0);
}

static enum value_type type_of_group(enum command_group group)
{
    return group == COMMAND_GROUP_LIST         ? VALUE_LIST
           : group == COMMAND_GROUP_SORTED_SET ? VALUE_ZSET
                                               : VALUE_STREAM;
}

/* The connection whose output the reply goes to. */
static struct session_io *session_for(struct worker *worker, const struct waiter *waiter)
{
    if (waiter->worker == worker) {
        execute_set_muting(&waiter->io->session);
        return waiter->io;
    }
    struct session_io *io = worker->stand_in;
    io->gate_partitions = 0;
    io->wrote = false;
    io->session.id = waiter->session_id;
    io->session.database = waiter->database;
    io->session.no_touch = waiter->no_touch;
    io->session.output.protocol = waiter->protocol;
    io->session.output.muted = waiter->muted;
    return io;
}

static enum verdict try_waiter(
    struct worker *worker, struct waiter *waiter, const struct waiter_link *link, bool others)
{
    if (!key_is_ready(worker, waiter, link->key_index))
        return VERDICT_RERUN;
    struct session_io *io = session_for(worker, waiter);
    struct command_call call;
    execute_init_call(worker, &io->session, waiter->command, &call);
    if (!waiter->wakes_on_change) {
        /* Most signals are for one of many: the others need not run to find nothing. */
        const struct hot_record *record =
            keyspace_find(&worker->view, &waiter->keys[link->key_index], KEYSPACE_PEEK);
        if (record == NULL)
            return others ? VERDICT_WAITS : VERDICT_NONE;
        const struct value value = hot_record_value(record);
        if (value.type != type_of_group(waiter->command->group))
            return VERDICT_WAITS;
    }
    if (!keys_are_ready(worker, waiter) || !may_write(worker, waiter))
        return VERDICT_RERUN;
    call.argc = waiter->argc;
    call.argv = waiter->argv;
    call.keys = waiter->keys;
    call.key_count = waiter->key_count;
    call.may_block = true;
    call.resumed = true;
    call.state = waiter->handler_state;
    execute_handler(worker, &call);
    waiter->handler_state = call.state;
    if (call.block) {
        mem_free(call.block_argv);
        return VERDICT_WAITS;
    }
    io->gate_partitions |= execute_partitions(waiter->keys, waiter->key_count);
    return VERDICT_DONE;
}

/* --- answers ---------------------------------------------------------------------------------------------------- */

static void take_output(struct worker *worker, struct waiter *waiter)
{
    struct session_io *io = worker->stand_in;
    struct resp_output *output = &io->session.output;
    while (output->pending_size > 0) {
        struct iovec vectors[16];
        const int count =
            resp_output_vectors(output, vectors, (int)COUNT_OF(vectors), output->pending_size);
        size_t size = 0;
        for (int i = 0; i < count; i++) {
            buf_append(&waiter->reply, vectors[i].iov_base, vectors[i].iov_len);
            size += vectors[i].iov_len;
        }
        resp_output_written(output, size);
    }
    waiter->gate_partitions = io->gate_partitions;
    waiter->wrote = io->wrote;
}

static void send_later(struct worker *worker, struct waiter *waiter, enum waiter_answer answer)
{
    waiter->answer = answer;
    waiter->next_answer = NULL;
    *worker->answers_end = waiter;
    worker->answers_end = &waiter->next_answer;
}

static void send_answers(struct worker *worker)
{
    struct waiter *waiter = worker->answers;
    worker->answers = NULL;
    worker->answers_end = &worker->answers;
    while (waiter != NULL) {
        struct waiter *next = waiter->next_answer;
        mailbox_send(&waiter->worker->mailbox, &waiter->task.message);
        waiter = next;
    }
}

/* The waiter is in no line any more. */
static void answer(struct worker *worker, struct waiter *waiter, enum waiter_answer what)
{
    if (waiter->worker != worker) {
        if (what == ANSWER_REPLY)
            take_output(worker, waiter);
        send_later(worker, waiter, what);
    } else {
        waiter_complete(waiter, what);
    }
}

/* --- a line ------------------------------------------------------------------------------------------------------ */

/* Locks the stripe of a key that is waited for, whatever space its database has by then. */
static void lock_line(struct worker *worker, const struct blocking_key *line, uint64_t stripes)
{
    struct keyspace *keyspace = worker->server->keyspace;
    for (;;) {
        const uint64_t version = keyspace_version(keyspace);
        const struct key key =
            keyspace_key_in(&worker->view, line->database, slice_of(line->name, line->size));
        execute_ensure_stripes(worker, stripes | hot_stripe(worker->view.hot, &key));
        if (version == keyspace_version(keyspace))
            return;
    }
}

/* The stripes that are missing to serve it; the lock is held, and some stripe. */
static uint64_t missing_stripes(struct worker *worker, struct waiter *waiter)
{
    waiter_refresh_keys(worker, waiter);
    return execute_stripes(worker, waiter->keys, waiter->key_count) &
           ~tier_turn_locked(worker->turn);
}

/* The first in line that has to be asked, with all its stripes locked. NULL: none, or the line must wait. */
static struct waiter_link *next_ready(struct worker *worker, struct blocking *blocking,
    const struct blocking_key *line, struct waiter_link *link, bool *held_up)
    REQUIRES(blocking->lock)
{
    while (link != NULL) {
        struct waiter *waiter = link->waiter;
        *held_up = waiter->state == WAITER_RERUN;
        if (*held_up)
            return NULL;
        CHECK(waiter->state == WAITER_WAITING);
        const uint64_t missing = missing_stripes(worker, waiter);
        if (missing == 0)
            return link;
        mutex_unlock(&blocking->lock);
        lock_line(worker, line, missing);
        mutex_lock(&blocking->lock);
        link = line->head; /* much may have happened */
    }
    return NULL;
}

/* What follows from the verdict on a waiter; the lock is held. False: the line must wait. */
static bool settle(struct worker *worker, struct waiter *waiter, enum verdict verdict)
{
    enum waiter_answer what = waiter->wanted;
    if (verdict == VERDICT_DONE)
        what = ANSWER_REPLY;
    if (what != ANSWER_NONE) {
        waiter_unlist(worker, waiter);
        answer(worker, waiter, what);
        return true;
    }
    if (verdict == VERDICT_RERUN) {
        waiter->state = WAITER_RERUN;
        send_later(worker, waiter, ANSWER_RERUN);
        return false;
    }
    waiter->state = WAITER_WAITING;
    return true;
}

static void serve_line(struct worker *worker, struct blocking_key *line)
{
    struct blocking *blocking = worker->server->blocking;
    lock_line(worker, line, 0);
    mutex_lock(&blocking->lock);
    bool held_up = false;
    struct waiter_link *link = line->head;
    while ((link = next_ready(worker, blocking, line, link, &held_up)) != NULL) {
        struct waiter *waiter = link->waiter;
        const bool others = line->change_count > 0;
        waiter->state = WAITER_SERVING;
        mutex_unlock(&blocking->lock);
        const enum verdict verdict = try_waiter(worker, waiter, link, others);
        mutex_lock(&blocking->lock);
        struct waiter_link *next = verdict == VERDICT_NONE ? NULL : link->next;
        held_up = !settle(worker, waiter, verdict);
        if (held_up)
            break;
        link = next;
    }
    line->ready = held_up;
    mutex_unlock(&blocking->lock);
}

void blocking_serve(struct worker *worker)
{
    struct blocking *blocking = worker->server->blocking;
    for (size_t i = 0; i < worker->signalled_count; i++) {
        struct blocking_key *line = worker->signalled[i];
        mutex_lock(&blocking->lock);
        if (line->listed_by == worker)
            line->listed_by = NULL;
        mutex_unlock(&blocking->lock);
        serve_line(worker, line);
        mutex_lock(&blocking->lock);
        blocking_key_unpin(blocking, line);
        mutex_unlock(&blocking->lock);
    }
    worker->signalled_count = 0;
}

bool blocking_serve_before(struct worker *worker, const struct key *keys, size_t count)
{
    struct blocking *blocking = worker->server->blocking;
    mutex_lock(&blocking->lock);
    for (size_t i = 0; i < count; i++) {
        struct blocking_key *line =
            blocking_key_find(blocking, worker->view.database, key_slice(&keys[i]));
        if (line != NULL && line->ready && line->head != NULL &&
            line->head->waiter->state != WAITER_RERUN)
            blocking_key_list(worker, line);
    }
    mutex_unlock(&blocking->lock);
    if (worker->signalled_count == 0)
        return false;
    blocking_serve(worker);
    return true;
}

void blocking_settle(struct worker *worker)
{
    execute_aftermath(worker);
    execute_unlock_all(worker);
    if (worker->answers != NULL)
        send_answers(worker);
    if (worker->deliveries != NULL)
        deliver_send(worker);
}
