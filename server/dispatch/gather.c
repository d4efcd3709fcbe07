/*
 * gather.c: a walk over all connections, each visited on its own worker's thread: CLIENT LIST, CLIENT KILL.
 *
 * One task goes from worker to worker, so visits are never concurrent; the last sends the waiting command its wake-up.
 */
#include "base/mem.h"
#include "dispatch_internal.h"

struct session_gather {
    struct task task;
    struct server *server;
    struct tier_wait *wait;
    struct worker *home; /* of the command that waits */
    session_visit_fn visit;
    void *context;
    unsigned next_worker;
};

static void visit_worker(struct worker *worker, const struct session_gather *gather)
{
    struct session_io *next = NULL;
    for (struct session_io *io = worker->sessions; io != NULL; io = next) {
        next = io->next;
        if (io->session.fd >= 0)
            gather->visit(gather->context, &io->session);
    }
}

static void pass_on(struct session_gather *gather)
{
    struct server *server = gather->server;
    if (gather->next_worker < server->worker_count) {
        struct worker *worker = server->workers[gather->next_worker];
        mailbox_send(&worker->mailbox, &gather->task.message);
    } else {
        mailbox_send(&gather->home->mailbox, &gather->wait->task.message);
    }
}

static void on_gather(struct task *task)
{
    struct session_gather *gather = CONTAINER_OF(task, struct session_gather, task);
    visit_worker(gather->server->workers[gather->next_worker], gather);
    gather->next_worker++;
    pass_on(gather);
}

struct session_gather *session_gather_start(struct server *server, struct worker *home,
    struct tier_wait *wait, session_visit_fn visit, void *context)
{
    struct session_gather *gather = mem_alloc_zero(sizeof(*gather));
    gather->task.run = on_gather;
    gather->server = server;
    gather->wait = wait;
    gather->home = home;
    gather->visit = visit;
    gather->context = context;
    pass_on(gather);
    return gather;
}

void session_gather_destroy(struct session_gather *gather)
{
    mem_free(gather);
}
