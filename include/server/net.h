/*
 * net.h: the listening sockets, on main's event loop: accept, refuse or hand over to a worker.
 */
#ifndef SERVER_NET_H
#define SERVER_NET_H

#include "base/status.h"
#include "server/server.h"

struct event_base;
struct net;

/*
 * Binds the port on every `bind` address ("*", "-addr": optional, may fail) and the unix socket; listens from net_start() on. ST_OK; ST_IO with
 * the address: "Failed listening on port 6379 (TCP), aborting." is main's to print; ST_INVALID: nothing to listen on.
 */
MUST_USE enum status net_open(
    struct server *server, struct event_base *base, struct net **net, struct error *error);
void net_start(struct net *net);
/*
 * After a change of port or bind: listens there instead; connections stay. Any thread. ST_OK; ST_IO, ST_INVALID: what was there before
 * still listens.
 */
MUST_USE enum status net_rebind(struct net *net, struct error *error);
/* No more connections. */
void net_stop(struct net *net);
/* Takes NULL. Removes the unix socket's file. */
void net_close(struct net *net);

#endif
