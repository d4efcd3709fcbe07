#include "harness.h"

#include "base/clock.h"
#include "base/mem.h"
#include "test_main.h"

#include <string.h>

static void keep_sent(void *context, const struct prefetch_target *targets, size_t count)
{
    struct harness *harness = context;
    ck_assert_uint_gt(count, 0);
    ck_assert_uint_le(harness->sent_count + count, HARNESS_TARGETS_MAX);
    memcpy(&harness->sent[harness->sent_count], targets, count * sizeof(*targets));
    harness->sent_count += count;
    if (count > harness->batch_max)
        harness->batch_max = count;
}

static uint64_t tell_pending(void *context)
{
    const struct harness *harness = context;
    return harness->demand_pending;
}

void harness_init_options(
    struct harness *harness, enum prefetch_mode mode, uint64_t memory_max, unsigned workers)
{
    memset(harness, 0, sizeof(*harness));
    clock_fake_set(1000000, 1000000);
    harness->options.mode = (int64_t)mode;
    harness->options.memory_max = (int64_t)memory_max;
    harness->sent = mem_alloc(HARNESS_TARGETS_MAX * sizeof(*harness->sent));
    const struct prefetch_config config = {
        .worker_count = workers,
        .options = &harness->options,
        .send = keep_sent,
        .demand_pending = tell_pending,
        .context = harness,
    };
    harness->prefetch = prefetch_create_stepped(&config);
    harness_set_budget(harness, 1e6, 2000000);
}

void harness_set_budget(struct harness *harness, double tokens, uint64_t demand_last_second)
{
    harness->prefetch->governor.tokens = tokens;
    harness->prefetch->governor.demand_last_second = demand_last_second;
}

void harness_init(struct harness *harness)
{
    harness_init_options(harness, PREFETCH_ON, 1 * MiB, 1);
}

void harness_deinit(struct harness *harness)
{
    prefetch_check(harness->prefetch);
    prefetch_destroy(harness->prefetch);
    mem_free(harness->sent);
    clock_fake_set(0, 0);
}

void note(
    struct harness *harness, enum prefetch_event_kind kind, const char *name, uint32_t connection)
{
    const struct key key = key_make(1, name, strlen(name));
    prefetch_note(harness->prefetch, 0, kind, &key, connection);
}

void run(struct harness *harness)
{
    while (prefetch_step(harness->prefetch) > 0)
        ;
}

void miss(struct harness *harness, const char *name, uint32_t connection)
{
    note(harness, PREFETCH_MISS, name, connection);
    run(harness);
}

void forget(struct harness *harness)
{
    harness->sent_count = 0;
}

bool was_sent(const struct harness *harness, const char *name)
{
    for (size_t i = 0; i < harness->sent_count; i++) {
        const struct prefetch_target *target = &harness->sent[i];
        if (target->space == 1 &&
            slice_equal(slice_of(target->key, target->key_size), slice_text(name)))
            return true;
    }
    return false;
}

void answer_all(struct harness *harness, enum status status)
{
    for (size_t i = 0; i < harness->sent_count; i++)
        prefetch_result(harness->prefetch, &harness->sent[i], status);
    run(harness);
}

void note_all(struct harness *harness, enum prefetch_event_kind kind)
{
    const size_t count = harness->sent_count;
    harness->demand_pending += 1000;
    for (size_t i = 0; i < count; i++) {
        const struct prefetch_target *target = &harness->sent[i];
        const struct key key = key_make(target->space, target->key, target->key_size);
        prefetch_note(harness->prefetch, 0, kind, &key, 0);
        run(harness);
    }
    harness->demand_pending -= 1000;
}

const struct prefetch_metrics *harness_metrics(const struct harness *harness)
{
    static struct prefetch_metrics metrics;
    prefetch_metrics_read(harness->prefetch, &metrics);
    return &metrics;
}
