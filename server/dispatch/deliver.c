/*
 * deliver.c: messages from the commands that publish to the connections that listen, and the keyspace's events, which are messages too.
 *
 *   PUBLISH, keyspace event ──► published, of the worker ──► after the command: outputs of this worker's connections
 *                                                       └──► after the stripes are unlocked: mailboxes of other workers
 *
 * A client that gets a message of its own finds it behind the reply of the command or transaction that published it.
 */
#include "base/mem.h"
#include "dispatch_internal.h"

/* One message for one other worker. */
struct delivery {
    struct task task;
    struct worker *worker;
    struct delivery *next;
    struct pubsub_message *message;
};

/* --- messages --------------------------------------------------------------------------------------------- */

void session_deliver(struct worker *worker, struct pubsub_message *message)
{
    if (worker->published_count == worker->published_capacity) {
        worker->published_capacity =
            worker->published_capacity == 0 ? 16 : worker->published_capacity * 2;
        worker->published =
            mem_realloc(worker->published, worker->published_capacity * sizeof(*worker->published));
    }
    worker->published[worker->published_count++] = message;
}

static void touched(struct session *session)
{
    session_io_touch(session_io_of(session));
}

static void on_delivery(struct task *task)
{
    struct delivery *delivery = CONTAINER_OF(task, struct delivery, task);
    if (!delivery->worker->stopping)
        pubsub_deliver(delivery->message, delivery->worker->index, touched);
    pubsub_message_unref(delivery->message);
    mem_free(delivery);
}

static void deliver_later(struct worker *worker, struct worker *to, struct pubsub_message *message)
{
    struct delivery *delivery = mem_alloc_zero(sizeof(*delivery));
    delivery->task.run = on_delivery;
    delivery->worker = to;
    delivery->message = message;
    pubsub_message_ref(message);
    *worker->deliveries_end = delivery;
    worker->deliveries_end = &delivery->next;
}

void deliver_local(struct worker *worker)
{
    for (size_t i = 0; i < worker->published_count; i++) {
        struct pubsub_message *message = worker->published[i];
        uint64_t workers = pubsub_message_workers(message);
        for (; workers != 0; workers &= workers - 1) {
            struct worker *to = worker->server->workers[lowest_bit(workers)];
            if (to == worker)
                pubsub_deliver(message, worker->index, touched);
            else
                deliver_later(worker, to, message);
        }
        pubsub_message_unref(message);
    }
    worker->published_count = 0;
}

void deliver_send(struct worker *worker)
{
    struct delivery *delivery = worker->deliveries;
    worker->deliveries = NULL;
    worker->deliveries_end = &worker->deliveries;
    while (delivery != NULL) {
        struct delivery *next = delivery->next;
        mailbox_send(&delivery->worker->mailbox, &delivery->task.message);
        delivery = next;
    }
}

/* --- events of the keyspace ----------------------------------------------------------------------------------- */

uint32_t server_events_parse(const char *text)
{
    static const struct {
        char letter;
        uint32_t bits;
    } letters[] = {
        {'g', EVENT_GENERIC},
        {'$', EVENT_STRING},
        {'l', EVENT_LIST},
        {'s', EVENT_SET},
        {'h', EVENT_HASH},
        {'z', EVENT_ZSET},
        {'x', EVENT_EXPIRED},
        {'e', EVENT_EVICTED},
        {'t', EVENT_STREAM},
        {'m', EVENT_KEY_MISS},
        {'n', EVENT_NEW},
        {'A', EVENT_GENERIC | EVENT_STRING | EVENT_LIST | EVENT_SET | EVENT_HASH | EVENT_ZSET |
                  EVENT_EXPIRED | EVENT_EVICTED | EVENT_STREAM},
        {'K', SERVER_NOTIFY_KEYSPACE},
        {'E', SERVER_NOTIFY_KEYEVENT},
    };
    uint32_t bits = 0;
    for (; *text != '\0'; text++) {
        for (size_t i = 0; i < COUNT_OF(letters); i++) {
            if (letters[i].letter == *text)
                bits |= letters[i].bits;
        }
    }
    return bits;
}

static void publish(struct worker *worker, struct slice channel, struct slice payload)
{
    struct pubsub_message *message = NULL;
    (void)pubsub_publish(worker->server->pubsub, PUBSUB_CHANNEL, channel, payload, NULL, &message);
    if (message != NULL)
        session_deliver(worker, message);
}

static void publish_event(
    struct worker *worker, uint32_t wanted, unsigned database, const char *event, struct slice key)
{
    struct buf channel = {0};
    if ((wanted & SERVER_NOTIFY_KEYSPACE) != 0) {
        buf_append_format(&channel, "__keyspace@%u__:", database);
        buf_append_slice(&channel, key);
        publish(worker, buf_slice(&channel), slice_text(event));
    }
    if ((wanted & SERVER_NOTIFY_KEYEVENT) != 0) {
        buf_clear(&channel);
        buf_append_format(&channel, "__keyevent@%u__:%s", database, event);
        publish(worker, buf_slice(&channel), key);
    }
    buf_deinit(&channel);
}

static void on_event(void *context, struct keyspace_view *view,
    enum keyspace_event_class event_class, const char *event, const struct key *key)
{
    struct worker *worker = context;
    const uint32_t wanted =
        atomic_load_explicit(&worker->server->notify_events, memory_order_relaxed);
    if (event_class != EVENT_KEY_MISS)
        blocking_signal(worker, view, key, true);
    unsigned database = 0;
    if ((wanted & (uint32_t)event_class) == 0 || pubsub_is_silent(worker->server->pubsub) ||
        !keyspace_database_of(view, key, &database))
        return;
    publish_event(worker, wanted, database, event, key_slice(key));
}

static void on_ready(void *context, struct keyspace_view *view, const struct key *key)
{
    blocking_signal(context, view, key, false);
}

void deliver_worker_init(struct worker *worker)
{
    worker->deliveries_end = &worker->deliveries;
    worker->listener = (struct keyspace_listener){.context = worker,
        .classes = &worker->server->event_classes,
        .event = on_event,
        .ready = on_ready};
}

void deliver_worker_deinit(struct worker *worker)
{
    deliver_local(worker);
    while (worker->deliveries != NULL) {
        struct delivery *delivery = worker->deliveries;
        worker->deliveries = delivery->next;
        pubsub_message_unref(delivery->message);
        mem_free(delivery);
    }
    mem_free(worker->published);
}
