/*
 * prefetch_link.c: from the prefetcher's predictions to cold reads.
 *
 * The prefetch thread sends names; a worker, between batches, starts the reads through the same fetch path as a demand read and
 * tells the prefetcher what became of each (I8: no lock is added to the path of a hit).
 */
#include "base/mem.h"
#include "dispatch_internal.h"

struct prediction {
    struct task task;
    struct worker *worker;
    size_t count;
    struct prefetch_target targets[];
};

static void on_prediction(struct task *task)
{
    struct prediction *prediction = CONTAINER_OF(task, struct prediction, task);
    struct worker *worker = prediction->worker;
    for (size_t i = 0; i < prediction->count && !worker->stopping; i++) {
        const struct prefetch_target *target = &prediction->targets[i];
        const struct key key = key_make(target->space, target->key, target->key_size);
        const uint64_t stripe = hot_stripe(worker->view.hot, &key);
        tier_turn_lock(worker->turn, stripe);
        const enum status status = tier_prefetch(worker->turn, &key);
        tier_turn_unlock(worker->turn);
        prefetch_result(worker->server->prefetch, target, status);
    }
    mem_free(prediction);
}

void workers_prefetch_send(void *context, const struct prefetch_target *targets, size_t count)
{
    struct server *server = context;
    if (server->workers == NULL || count == 0)
        return;
    struct worker *worker = server->workers[(size_t)targets[0].key_size % server->worker_count];
    struct prediction *prediction = mem_alloc(sizeof(*prediction) + count * sizeof(*targets));
    prediction->task.run = on_prediction;
    prediction->worker = worker;
    prediction->count = count;
    memcpy(prediction->targets, targets, count * sizeof(*targets));
    mailbox_send(&worker->mailbox, &prediction->task.message);
}

uint64_t workers_demand_pending(void *context)
{
    const struct server *server = context;
    struct tier_metrics metrics;
    tier_metrics_read(server->tier, &metrics);
    return metric_get(&metrics, demand_pending);
}

void workers_prefetch_done(void *context, const struct key *key, bool found)
{
    struct server *server = context;
    if (found || server->prefetch == NULL)
        return;
    struct prefetch_target target = {.space = key->space, .key_size = 0};
    if (key->size > PREFETCH_KEY_MAX)
        return;
    target.key_size = (uint8_t)key->size;
    memcpy(target.key, key->data, key->size);
    prefetch_result(server->prefetch, &target, ST_NOT_FOUND);
}
