/*
 * pubsub_message.c: a message from its publisher to the outputs of those who listen.
 *
 *   publish ──► topics that hear it (channel, patterns), counted under the lock ──► message ──► each worker: pubsub_deliver()
 *
 * (1) A message and a subscription are ordered by sequence: who subscribed after it was published does not get it, who has unsubscribed
 *     before it is delivered neither. The publisher is told how many listened in that order.
 * (2) Messages of one publisher reach a connection in their order: they go through the same mailbox.
 */
#include "base/mem.h"
#include "pubsub_internal.h"

#define TOPICS_ON_STACK 64

struct audience {
    struct topic *topics_small[TOPICS_ON_STACK];
    struct topic **topics;
    size_t count, capacity;
    uint64_t listener_count;
    uint64_t workers;
};

static void audience_add(struct audience *audience, struct topic *topic)
{
    if (audience->count == audience->capacity) {
        const size_t capacity = audience->capacity * 2;
        struct topic **topics = mem_alloc(capacity * sizeof(*topics));
        memcpy(topics, audience->topics, audience->count * sizeof(*topics));
        if (audience->topics != audience->topics_small)
            mem_free(audience->topics);
        audience->topics = topics;
        audience->capacity = capacity;
    }
    audience->topics[audience->count++] = topic;
    audience->listener_count += topic->count;
    for (unsigned i = 0; i < topic->pubsub->worker_count; i++) {
        if (topic->listeners[i].count > 0)
            audience->workers |= (uint64_t)1 << i;
    }
    topic->message_count++;
}

static void find_audience(
    struct pubsub *pubsub, enum pubsub_kind kind, struct slice channel, struct audience *audience)
{
    struct topic *topic = topic_find(pubsub, kind, channel);
    if (topic != NULL)
        audience_add(audience, topic);
    if (kind != PUBSUB_CHANNEL)
        return;
    for (topic = pubsub->oldest_pattern; topic != NULL; topic = topic->newer) {
        if (glob_match(slice_of(topic->name, topic->size), channel, false))
            audience_add(audience, topic);
    }
}

static struct pubsub_message *message_create(
    const struct audience *audience, struct slice channel, struct slice payload, struct blob *blob)
{
    const size_t topics_size = audience->count * sizeof(struct topic *);
    const size_t payload_size = blob == NULL ? payload.size : 0;
    struct pubsub_message *message =
        mem_alloc_zero(sizeof(*message) + topics_size + channel.size + payload_size);
    atomic_init(&message->references, 1);
    memcpy(message->topics, audience->topics, topics_size);
    message->topic_count = audience->count;
    message->workers = audience->workers;
    char *at = (char *)message->topics + topics_size;
    if (channel.size > 0)
        memcpy(at, channel.data, channel.size);
    message->channel = slice_of(at, channel.size);
    at += channel.size;
    if (blob != NULL) {
        message->payload = value_blob(blob);
        return message;
    }
    if (payload.size > 0)
        memcpy(at, payload.data, payload.size);
    message->payload = value_string_raw(slice_of(at, payload.size));
    return message;
}

uint64_t pubsub_publish(struct pubsub *pubsub, enum pubsub_kind kind, struct slice channel,
    struct slice payload, struct blob *blob, struct pubsub_message **message)
{
    *message = NULL;
    struct audience audience = {.capacity = TOPICS_ON_STACK};
    audience.topics = audience.topics_small;
    uint64_t sequence = 0;
    if (!pubsub_is_silent(pubsub)) {
        mutex_lock(&pubsub->lock);
        sequence = ++pubsub->sequence;
        find_audience(pubsub, kind, channel, &audience);
        mutex_unlock(&pubsub->lock);
    }
    if (audience.count == 0) {
        blob_unref(blob);
        return 0;
    }
    *message = message_create(&audience, channel, payload, blob);
    (*message)->pubsub = pubsub;
    (*message)->sequence = sequence;
    (*message)->kind = kind;
    if (audience.topics != audience.topics_small)
        mem_free(audience.topics);
    return audience.listener_count;
}

uint64_t pubsub_message_workers(const struct pubsub_message *message)
{
    return message->workers;
}

void pubsub_message_ref(struct pubsub_message *message)
{
    atomic_fetch_add_explicit(&message->references, 1, memory_order_relaxed);
}

void pubsub_message_unref(struct pubsub_message *message)
{
    /* acq_rel: what others read of it comes before it is freed. */
    if (atomic_fetch_sub_explicit(&message->references, 1, memory_order_acq_rel) > 1)
        return;
    mutex_lock(&message->pubsub->lock);
    for (size_t i = 0; i < message->topic_count; i++)
        topic_release(message->topics[i]);
    mutex_unlock(&message->pubsub->lock);
    value_release(&message->payload);
    mem_free(message);
}

/* CLIENT REPLY OFF does not hold pushes back. */
static void append(
    struct session *session, const struct pubsub_message *message, const struct topic *topic)
{
    struct resp_output *output = &session->output;
    const bool muted = output->muted;
    output->muted = false;
    if (topic->kind == PUBSUB_PATTERN) {
        reply_push(output, 4);
        reply_bulk_text(output, "pmessage");
        reply_bulk(output, slice_of(topic->name, topic->size));
    } else {
        reply_push(output, 3);
        reply_bulk_text(output, topic->kind == PUBSUB_SHARD ? "smessage" : "message");
    }
    reply_bulk(output, message->channel);
    reply_value(output, &message->payload);
    output->muted = muted;
}

void pubsub_deliver(
    const struct pubsub_message *message, unsigned worker, pubsub_touched_fn touched)
{
    for (size_t i = 0; i < message->topic_count; i++) {
        const struct topic *topic = message->topics[i];
        const struct subscription *subscription = topic->listeners[worker].head;
        for (; subscription != NULL; subscription = subscription->next) {
            struct session *session = subscription->session;
            if (subscription->sequence > message->sequence || session->closing ||
                session->close_after_reply)
                continue;
            append(session, message, topic);
            touched(session);
        }
    }
}
