/*
 * pubsub.h: channels, patterns and shard channels: who listens, and messages to them.
 *
 * A message is made once and shared by all workers that have listeners; each appends it to the outputs of its own connections. The
 * dispatcher carries it there (session_deliver() in server/session.h), so this module knows no threads.
 *
 * Threads: functions that take a session or a client on its worker; pubsub_publish() and figures on any. One lock, a leaf.
 */
#ifndef SERVER_PUBSUB_H
#define SERVER_PUBSUB_H

#include "base/slice.h"
#include "server/session.h"
#include "storage/value.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pubsub_kind { PUBSUB_CHANNEL, PUBSUB_PATTERN, PUBSUB_SHARD, PUBSUB_KIND_COUNT };
#define PUBSUB_WORKER_MAX 64

struct pubsub;
struct pubsub_client;  /* the subscriptions of one connection */
struct pubsub_message; /* counted; immutable */

/* worker_count: at most PUBSUB_WORKER_MAX. */
MUST_USE struct pubsub *pubsub_create(unsigned worker_count);
/* All clients and messages are gone. Takes NULL. */
void pubsub_destroy(struct pubsub *pubsub);

/* --- subscriptions --------------------------------------------------------------------------------------- */

/* False if it was subscribed already. worker: the index of the session's. session->pubsub is made if needed. */
bool pubsub_subscribe(struct pubsub *pubsub, struct session *session, unsigned worker,
    enum pubsub_kind kind, struct slice name);
/* False if it was not subscribed. */
bool pubsub_unsubscribe(
    struct pubsub *pubsub, struct session *session, enum pubsub_kind kind, struct slice name);
/* The oldest subscription of a kind; false if there is none. The name is valid until it ends. */
bool pubsub_oldest(const struct pubsub_client *client, enum pubsub_kind kind, struct slice *name);
/* Of one kind, and in all. Take NULL. */
size_t pubsub_client_count_of(const struct pubsub_client *client, enum pubsub_kind kind);
size_t pubsub_client_count(const struct pubsub_client *client);
/* Ends all its subscriptions. Takes NULL. */
void pubsub_client_destroy(struct pubsub *pubsub, struct pubsub_client *client);

/* --- messages --------------------------------------------------------------------------------------------- */

/*
 * Makes a message if anybody listens: returns how many do; *message: one reference, or NULL if there are none. kind: CHANNEL
 * (patterns hear of it too) or SHARD. blob: the payload as one, whose reference moves, or NULL: payload is copied.
 */
uint64_t pubsub_publish(struct pubsub *pubsub, enum pubsub_kind kind, struct slice channel,
    struct slice payload, struct blob *blob, struct pubsub_message **message);
/* Nobody is subscribed to anything: publishing would do nothing. */
bool pubsub_is_silent(const struct pubsub *pubsub);
/* Bit per worker with listeners at the time. */
uint64_t pubsub_message_workers(const struct pubsub_message *message);
void pubsub_message_ref(struct pubsub_message *message);
void pubsub_message_unref(struct pubsub_message *message);
/* Appends it to the outputs of those of this worker's connections that listened when it was published, and still do; calls touched() for each. */
typedef void (*pubsub_touched_fn)(struct session *session);
void pubsub_deliver(
    const struct pubsub_message *message, unsigned worker, pubsub_touched_fn touched);

/* --- figures ------------------------------------------------------------------------------------------------- */

/* Names of a kind that somebody is subscribed to. */
uint64_t pubsub_name_count(struct pubsub *pubsub, enum pubsub_kind kind);
/* Connections subscribed to this name. */
uint64_t pubsub_subscriber_count(struct pubsub *pubsub, enum pubsub_kind kind, struct slice name);
/* Appends the names that match the pattern (NULL data: all) to the output as bulks; returns how many. */
size_t pubsub_reply_names(
    struct pubsub *pubsub, enum pubsub_kind kind, struct slice pattern, struct resp_output *output);

#endif
