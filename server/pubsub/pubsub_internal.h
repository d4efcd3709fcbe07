/*
 * pubsub_internal.h: what the files of pubsub share: topics and subscriptions.
 */
#ifndef PUBSUB_INTERNAL_H
#define PUBSUB_INTERNAL_H

#include "base/check.h"
#include "base/thread.h"
#include "server/pubsub.h"

#include <stdatomic.h>

/* The subscribers of one worker, oldest first. */
struct topic_listeners {
    struct subscription *head,
        *tail;      /* changed under the lock by their worker, which alone reads them */
    uint64_t count; /* guarded by: lock */
};

/* A name that somebody is subscribed to. */
struct topic {
    struct pubsub *pubsub;
    struct topic *next;          /* of the bucket; guarded by: lock */
    struct topic *older, *newer; /* patterns, in order; guarded by: lock */
    uint64_t hash;
    enum pubsub_kind kind;
    uint64_t count;         /* subscribers; guarded by: lock */
    uint64_t message_count; /* messages that point here; guarded by: lock */
    uint32_t size;
    char *name; /* behind the listeners */
    struct topic_listeners listeners[];
};

struct subscription {
    struct topic *topic;
    struct session *session;
    uint64_t sequence;                    /* messages with a lower one came before it */
    struct subscription *previous, *next; /* of the topic */
    struct subscription *older, *newer;   /* of the client and kind */
    struct subscription *hash_next;       /* of the client's bucket */
};

struct pubsub_client {
    unsigned worker;
    struct {
        struct subscription *oldest, *newest;
        size_t count;
    } kinds[PUBSUB_KIND_COUNT];
    struct subscription **buckets; /* by topic */
    size_t bucket_count;           /* a power of two */
};

struct topic_table {
    struct topic **buckets;
    size_t bucket_count; /* a power of two */
    size_t topic_count;
};

struct pubsub {
    unsigned worker_count;
    _Atomic uint64_t subscription_count;           /* atomic: relaxed; written under lock */
    struct mutex lock;                             /* rank LEAF */
    struct topic_table tables[PUBSUB_KIND_COUNT];  /* guarded by: lock */
    struct topic *oldest_pattern, *newest_pattern; /* guarded by: lock */
    uint64_t sequence; /* of messages and subscriptions; guarded by: lock */
};

struct pubsub_message {
    _Atomic uint32_t references;
    uint64_t sequence;
    uint64_t workers;
    enum pubsub_kind kind;
    struct slice channel; /* behind the topics */
    struct value payload; /* a blob, or bytes behind the channel */
    struct pubsub *pubsub;
    size_t topic_count;
    struct topic *topics[]; /* the channel first, then patterns */
};

struct topic *topic_find(const struct pubsub *pubsub, enum pubsub_kind kind, struct slice name);
/* A message points to it no longer. The lock is held. */
void topic_release(struct topic *topic);

#endif
