/*
 * pubsub.c: topics and who listens to them.
 *
 *   tables[kind]   name ──► topic ──► listeners[worker 0]: subscription ─ subscription
 *                                 ──► listeners[worker 1]: subscription
 *   client         kinds[kind]: its subscriptions, oldest first; buckets: by topic
 *
 * (1) A topic is in its table as long as it has subscribers; its memory stays while messages point to it.
 * (2) The listeners of a worker change on that worker, under the lock: it may walk them without.
 */
#include "base/hash.h"
#include "base/mem.h"
#include "pubsub_internal.h"

#define BUCKETS_MIN        ((size_t)64)
#define CLIENT_BUCKETS_MIN ((size_t)8)

struct pubsub *pubsub_create(unsigned worker_count)
{
    CHECK(worker_count <= PUBSUB_WORKER_MAX);
    struct pubsub *pubsub = mem_alloc_zero(sizeof(*pubsub));
    pubsub->worker_count = worker_count;
    mutex_init(&pubsub->lock, LOCK_RANK_LEAF);
    for (int kind = 0; kind < PUBSUB_KIND_COUNT; kind++) {
        struct topic_table *table = &pubsub->tables[kind];
        table->bucket_count = BUCKETS_MIN;
        table->buckets = mem_alloc_zero(BUCKETS_MIN * sizeof(struct topic *));
    }
    return pubsub;
}

void pubsub_destroy(struct pubsub *pubsub)
{
    if (pubsub == NULL)
        return;
    for (int kind = 0; kind < PUBSUB_KIND_COUNT; kind++) {
        CHECK(pubsub->tables[kind].topic_count == 0);
        mem_free(pubsub->tables[kind].buckets);
    }
    mutex_deinit(&pubsub->lock);
    mem_free(pubsub);
}

bool pubsub_is_silent(const struct pubsub *pubsub)
{
    return atomic_load_explicit(&pubsub->subscription_count, memory_order_relaxed) == 0;
}

/* --- topics ------------------------------------------------------------------------------------------------ */

struct topic *topic_find(const struct pubsub *pubsub, enum pubsub_kind kind, struct slice name)
{
    const struct topic_table *table = &pubsub->tables[kind];
    const uint64_t hash = hash_keyed(name.data, name.size, kind);
    struct topic *topic = table->buckets[hash & (table->bucket_count - 1)];
    while (topic != NULL &&
           (topic->hash != hash || !slice_equal(slice_of(topic->name, topic->size), name)))
        topic = topic->next;
    return topic;
}

static void table_grow(struct topic_table *table)
{
    const size_t count = table->bucket_count * 2;
    struct topic **buckets = mem_alloc_zero(count * sizeof(*buckets));
    for (size_t i = 0; i < table->bucket_count; i++) {
        struct topic *topic = table->buckets[i];
        while (topic != NULL) {
            struct topic *next = topic->next;
            topic->next = buckets[topic->hash & (count - 1)];
            buckets[topic->hash & (count - 1)] = topic;
            topic = next;
        }
    }
    mem_free(table->buckets);
    table->buckets = buckets;
    table->bucket_count = count;
}

static struct topic *topic_create(struct pubsub *pubsub, enum pubsub_kind kind, struct slice name)
{
    struct topic_table *table = &pubsub->tables[kind];
    if (table->topic_count >= table->bucket_count)
        table_grow(table);
    const size_t listeners_size = pubsub->worker_count * sizeof(struct topic_listeners);
    struct topic *topic = mem_alloc_zero(sizeof(*topic) + listeners_size + name.size);
    topic->pubsub = pubsub;
    topic->kind = kind;
    topic->hash = hash_keyed(name.data, name.size, kind);
    topic->size = (uint32_t)name.size;
    topic->name = (char *)topic->listeners + listeners_size;
    if (name.size > 0)
        memcpy(topic->name, name.data, name.size);
    struct topic **bucket = &table->buckets[topic->hash & (table->bucket_count - 1)];
    topic->next = *bucket;
    *bucket = topic;
    table->topic_count++;
    if (kind == PUBSUB_PATTERN) {
        topic->older = pubsub->newest_pattern;
        if (topic->older != NULL)
            topic->older->newer = topic;
        else
            pubsub->oldest_pattern = topic;
        pubsub->newest_pattern = topic;
    }
    return topic;
}

/* Out of its table, as nobody listens any more. */
static void topic_remove(struct topic *topic)
{
    struct pubsub *pubsub = topic->pubsub;
    struct topic_table *table = &pubsub->tables[topic->kind];
    struct topic **at = &table->buckets[topic->hash & (table->bucket_count - 1)];
    while (*at != topic)
        at = &(*at)->next;
    *at = topic->next;
    table->topic_count--;
    if (topic->kind == PUBSUB_PATTERN) {
        if (topic->older != NULL)
            topic->older->newer = topic->newer;
        else
            pubsub->oldest_pattern = topic->newer;
        if (topic->newer != NULL)
            topic->newer->older = topic->older;
        else
            pubsub->newest_pattern = topic->older;
    }
    if (topic->message_count == 0)
        mem_free(topic);
}

void topic_release(struct topic *topic)
{
    CHECK(topic->message_count > 0);
    topic->message_count--;
    if (topic->message_count == 0 && topic->count == 0)
        mem_free(topic);
}

/* --- clients ------------------------------------------------------------------------------------------------- */

static struct subscription **client_bucket(
    const struct pubsub_client *client, const struct topic *topic)
{
    return &client->buckets[topic->hash & (client->bucket_count - 1)];
}

static struct subscription *client_find(
    const struct pubsub_client *client, const struct topic *topic)
{
    struct subscription *subscription = *client_bucket(client, topic);
    while (subscription != NULL && subscription->topic != topic)
        subscription = subscription->hash_next;
    return subscription;
}

static void client_resize(struct pubsub_client *client, size_t count)
{
    mem_free(client->buckets);
    client->buckets = mem_alloc_zero(count * sizeof(struct subscription *));
    client->bucket_count = count;
    for (int kind = 0; kind < PUBSUB_KIND_COUNT; kind++) {
        struct subscription *subscription = client->kinds[kind].oldest;
        for (; subscription != NULL; subscription = subscription->newer) {
            struct subscription **bucket = client_bucket(client, subscription->topic);
            subscription->hash_next = *bucket;
            *bucket = subscription;
        }
    }
}

static struct pubsub_client *client_demand(struct session *session, unsigned worker)
{
    if (session->pubsub == NULL) {
        session->pubsub = mem_alloc_zero(sizeof(*session->pubsub));
        session->pubsub->worker = worker;
        client_resize(session->pubsub, CLIENT_BUCKETS_MIN);
    }
    return session->pubsub;
}

size_t pubsub_client_count_of(const struct pubsub_client *client, enum pubsub_kind kind)
{
    return client != NULL ? client->kinds[kind].count : 0;
}

size_t pubsub_client_count(const struct pubsub_client *client)
{
    if (client == NULL)
        return 0;
    size_t count = 0;
    for (int kind = 0; kind < PUBSUB_KIND_COUNT; kind++)
        count += client->kinds[kind].count;
    return count;
}

bool pubsub_oldest(const struct pubsub_client *client, enum pubsub_kind kind, struct slice *name)
{
    if (client == NULL || client->kinds[kind].oldest == NULL)
        return false;
    const struct topic *topic = client->kinds[kind].oldest->topic;
    *name = slice_of(topic->name, topic->size);
    return true;
}

/* --- subscribing ------------------------------------------------------------------------------------------------ */

static void attach(struct pubsub_client *client, struct session *session, struct topic *topic)
{
    struct pubsub *pubsub = topic->pubsub;
    struct subscription *subscription = mem_alloc_zero(sizeof(*subscription));
    subscription->topic = topic;
    subscription->session = session;
    subscription->sequence = ++pubsub->sequence;
    struct topic_listeners *listeners = &topic->listeners[client->worker];
    subscription->previous = listeners->tail;
    if (listeners->tail != NULL)
        listeners->tail->next = subscription;
    else
        listeners->head = subscription;
    listeners->tail = subscription;
    listeners->count++;
    topic->count++;
    atomic_fetch_add_explicit(&pubsub->subscription_count, 1, memory_order_relaxed);

    subscription->older = client->kinds[topic->kind].newest;
    if (subscription->older != NULL)
        subscription->older->newer = subscription;
    else
        client->kinds[topic->kind].oldest = subscription;
    client->kinds[topic->kind].newest = subscription;
    client->kinds[topic->kind].count++;
    struct subscription **bucket = client_bucket(client, topic);
    subscription->hash_next = *bucket;
    *bucket = subscription;
}

static void detach_from_client(struct pubsub_client *client, struct subscription *subscription)
{
    const enum pubsub_kind kind = subscription->topic->kind;
    if (subscription->older != NULL)
        subscription->older->newer = subscription->newer;
    else
        client->kinds[kind].oldest = subscription->newer;
    if (subscription->newer != NULL)
        subscription->newer->older = subscription->older;
    else
        client->kinds[kind].newest = subscription->older;
    client->kinds[kind].count--;
    struct subscription **at = client_bucket(client, subscription->topic);
    while (*at != subscription)
        at = &(*at)->hash_next;
    *at = subscription->hash_next;
}

static void detach(struct pubsub_client *client, struct subscription *subscription)
{
    struct topic *topic = subscription->topic;
    struct topic_listeners *listeners = &topic->listeners[client->worker];
    detach_from_client(client, subscription);
    if (subscription->previous != NULL)
        subscription->previous->next = subscription->next;
    else
        listeners->head = subscription->next;
    if (subscription->next != NULL)
        subscription->next->previous = subscription->previous;
    else
        listeners->tail = subscription->previous;
    listeners->count--;
    topic->count--;
    atomic_fetch_sub_explicit(&topic->pubsub->subscription_count, 1, memory_order_relaxed);
    if (topic->count == 0)
        topic_remove(topic);
    mem_free(subscription);
}

bool pubsub_subscribe(struct pubsub *pubsub, struct session *session, unsigned worker,
    enum pubsub_kind kind, struct slice name)
{
    CHECK(worker < pubsub->worker_count);
    struct pubsub_client *client = client_demand(session, worker);
    if (pubsub_client_count(client) >= client->bucket_count)
        client_resize(client, client->bucket_count * 2);
    mutex_lock(&pubsub->lock);
    struct topic *topic = topic_find(pubsub, kind, name);
    const bool is_new = topic == NULL || client_find(client, topic) == NULL;
    if (topic == NULL)
        topic = topic_create(pubsub, kind, name);
    if (is_new)
        attach(client, session, topic);
    mutex_unlock(&pubsub->lock);
    return is_new;
}

bool pubsub_unsubscribe(
    struct pubsub *pubsub, struct session *session, enum pubsub_kind kind, struct slice name)
{
    struct pubsub_client *client = session->pubsub;
    if (client == NULL)
        return false;
    mutex_lock(&pubsub->lock);
    const struct topic *topic = topic_find(pubsub, kind, name);
    struct subscription *subscription = topic != NULL ? client_find(client, topic) : NULL;
    if (subscription != NULL)
        detach(client, subscription);
    mutex_unlock(&pubsub->lock);
    return subscription != NULL;
}

void pubsub_client_destroy(struct pubsub *pubsub, struct pubsub_client *client)
{
    if (client == NULL)
        return;
    for (int kind = 0; kind < PUBSUB_KIND_COUNT; kind++) {
        while (client->kinds[kind].oldest != NULL) {
            mutex_lock(&pubsub->lock);
            detach(client, client->kinds[kind].oldest);
            mutex_unlock(&pubsub->lock);
        }
    }
    mem_free(client->buckets);
    mem_free(client);
}

/* --- figures ----------------------------------------------------------------------------------------------------- */

uint64_t pubsub_name_count(struct pubsub *pubsub, enum pubsub_kind kind)
{
    mutex_lock(&pubsub->lock);
    const uint64_t count = pubsub->tables[kind].topic_count;
    mutex_unlock(&pubsub->lock);
    return count;
}

uint64_t pubsub_subscriber_count(struct pubsub *pubsub, enum pubsub_kind kind, struct slice name)
{
    mutex_lock(&pubsub->lock);
    const struct topic *topic = topic_find(pubsub, kind, name);
    const uint64_t count = topic != NULL ? topic->count : 0;
    mutex_unlock(&pubsub->lock);
    return count;
}

size_t pubsub_reply_names(
    struct pubsub *pubsub, enum pubsub_kind kind, struct slice pattern, struct resp_output *output)
{
    size_t count = 0;
    mutex_lock(&pubsub->lock);
    const struct topic_table *table = &pubsub->tables[kind];
    for (size_t i = 0; i < table->bucket_count; i++) {
        for (const struct topic *topic = table->buckets[i]; topic != NULL; topic = topic->next) {
            const struct slice name = slice_of(topic->name, topic->size);
            if (pattern.data != NULL && !glob_match(pattern, name, false))
                continue;
            reply_bulk(output, name);
            count++;
        }
    }
    mutex_unlock(&pubsub->lock);
    return count;
}
