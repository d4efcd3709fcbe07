/*
 * dispatch.h: worker threads: connections in, commands in batches, replies out (DESIGN §3).
 *
 *   socket ready ─► read ─► parse ─┐
 *   socket ready ─► read ─► parse ─┼─► batch: hash, prefetch ─► lock ─► run in order ─► log ─► unlock ─► one write per connection
 *   mailbox: fetched keys ─────────┘
 *
 * Threads: workers_*() from main; worker_adopt() and workers_wake() from any.
 */
#ifndef SERVER_DISPATCH_H
#define SERVER_DISPATCH_H

#include "base/slice.h"
#include "base/status.h"
#include "server/server.h"
#include "storage/prefetch.h"

#include <stdbool.h>

/* Makes server->workers with their turns; the tier must be recovered. They run after workers_start(). */
void workers_create(struct server *server);
void workers_start(struct server *server);
/*
 * Closes all connections, ends and joins the threads. Replies already made are sent if the sockets take them. The tier's and the prefetcher's
 * threads may still send them tasks, which nobody runs.
 */
void workers_stop(struct server *server);
/* Frees them; the tier and the prefetcher are closed. */
void workers_destroy(struct server *server);

/* Gives an accepted socket to the worker with the fewest connections. Ownership of fd moves. */
void worker_adopt(struct server *server, int fd, bool is_unix_socket);

/* Hook of tier_config: replies that waited for D may leave. Log thread. */
void workers_durable(void *context, uint64_t durable_lsn);
/* Hooks of prefetch_config and tier_config; context is the server. */
void workers_prefetch_send(void *context, const struct prefetch_target *targets, size_t count);
uint64_t workers_demand_pending(void *context);
void workers_prefetch_done(void *context, const struct key *key, bool found);

/* tier_apply_fn: executes the commands of one frame of the log. context is the server. */
enum status dispatch_replay(
    void *context, struct tier_turn *turn, struct slice payload, struct error *error);

#endif
