/*
 * tier_warm.c: after a restart, brings the records of the hot list back into RAM, hottest first.
 *
 * A thread with a turn and a mailbox of its own walks the list: it starts at most WARM_PENDING_MAX reads at background priority, installs what
 * arrives, and goes on. They are fetches like any other: a client that wants the key meanwhile joins the fetch, and a key that is written meanwhile
 * has an entry and is passed over, so nothing stale is ever installed (H5). It ends when the list does, or when the hot tier is 90 % full.
 */
#include "base/log.h"
#include "tier_internal.h"

#include <poll.h>

/* A batch of names is looked up under one lock. */
enum { WARM_PENDING_MAX = 256, WARM_BATCH_MAX = 32 };
enum { WARM_POLL_MS = 50 };
enum { RECORD_BYTES_LEAST = 64 };

struct warm {
    struct tier *tier;
    struct tier_turn *turn;
    struct reader reader; /* of the list */
    uint64_t left;        /* entries not yet looked at */
};

/*
 * How many reads may be under way: so many that what they bring fits, as far as the records that are here tell their size. 0: the
 * hot tier is nearly full.
 */
static uint64_t pending_max(const struct tier *tier)
{
    const uint64_t limit = tier_hot_limit(tier);
    if (limit == UINT64_MAX)
        return WARM_PENDING_MAX;
    const uint64_t target = limit / 10 * 9;
    const uint64_t used = hot_memory_bytes(tier->hot);
    if (used >= target)
        return 0;
    struct hot_metrics hot = {0};
    hot_metrics_read(tier->hot, &hot);
    const uint64_t average =
        metric_get(&hot, record_bytes) / (metric_get(&hot, record_count) + 1) + RECORD_BYTES_LEAST;
    const uint64_t fitting = (target - used) / average;
    if (fitting < WARM_BATCH_MAX)
        return WARM_BATCH_MAX;
    return fitting < WARM_PENDING_MAX ? fitting : WARM_PENDING_MAX;
}

static void run_tasks(struct warm *warm, int wait_ms)
{
    struct mailbox *const mailbox = &warm->tier->warm_mailbox;
    struct pollfd poll_fd = {.fd = mailbox->event_fd, .events = POLLIN};
    (void)poll(&poll_fd, 1, wait_ms);
    struct message *message = mailbox_take(mailbox);
    while (message != NULL) {
        struct message *const next = message->next;
        struct task *const task = CONTAINER_OF(message, struct task, message);
        task->run(task);
        message = next;
    }
}

static void start_batch(struct warm *warm)
{
    struct tier *const tier = warm->tier;
    struct heat_entry entries[WARM_BATCH_MAX];
    struct key keys[WARM_BATCH_MAX];
    size_t count = 0;
    uint64_t stripes = 0;
    while (count < WARM_BATCH_MAX && warm->left > 0 &&
           heat_decode_next(&warm->reader, &entries[count])) {
        keys[count] =
            key_make(entries[count].space, entries[count].key.data, entries[count].key.size);
        stripes |= hot_stripe(tier->hot, &keys[count]);
        count++;
        warm->left--;
    }
    if (count == 0) {
        warm->left = 0;
        return;
    }
    struct fetch_batch batch = {.count = 0};
    tier_turn_lock(warm->turn, stripes);
    for (size_t index = 0; index < count; index++) {
        if (hot_find(tier->hot, &keys[index]) != NULL ||
            tier_space_is_dead(tier, keys[index].space) ||
            !cold_may_contain(tier->cold, &keys[index]))
            continue;
        (void)fetch_begin(warm->turn, &keys[index], NULL, TIER_NEED_VALUE, FETCH_WARM,
            entries[index].heat, &batch);
    }
    tier_turn_unlock(warm->turn);
    fetch_batch_submit(tier, &batch);
}

static uint64_t pending_count(const struct warm *warm)
{
    return atomic_load_explicit(&warm->turn->read_count, memory_order_acquire);
}

static void walk(struct warm *warm, uint64_t total)
{
    struct tier *const tier = warm->tier;
    while (warm->left > 0 && !atomic_load_explicit(&tier->warm_stop, memory_order_relaxed)) {
        const uint64_t bound = pending_max(tier);
        if (bound == 0)
            return;
        const bool more = pending_count(warm) + WARM_BATCH_MAX <= bound;
        if (more)
            start_batch(warm);
        run_tasks(warm, more ? 0 : WARM_POLL_MS);
        const uint64_t handled = total - warm->left;
        const uint64_t pending = pending_count(warm);
        metric_set(tier->metrics, warm_done, handled > pending ? handled - pending : 0);
    }
}

static void warm_main(void *context)
{
    struct tier *const tier = context;
    mem_thread_uncached();
    struct buf list = {0};
    struct warm warm = {.tier = tier};
    const enum status status = cold_meta_get(tier->cold, TIER_META_HEAT, &list, NULL);
    warm.reader = reader_of(buf_slice(&list));
    const uint64_t total = status == ST_OK ? heat_decode_begin(&warm.reader) : 0;
    warm.left = total;
    warm.turn = tier_turn_create(tier, &tier->warm_mailbox);
    metric_set(tier->metrics, warm_total, total);
    walk(&warm, total);
    while (!tier_turn_is_idle(warm.turn))
        run_tasks(&warm, WARM_POLL_MS);
    if (!atomic_load_explicit(&tier->warm_stop, memory_order_relaxed))
        metric_set(tier->metrics, warm_done, total);
    if (total > 0)
        log_info("tier: hot list read total=%llu left=%llu", (unsigned long long)total,
            (unsigned long long)warm.left);
    tier_turn_destroy(warm.turn);
    buf_deinit(&list);
}

void warm_start(struct tier *tier)
{
    mailbox_init(&tier->warm_mailbox);
    tier->warm_mailbox_open = true;
    thread_start(&tier->warm, "warm", warm_main, tier);
}

void warm_stop(struct tier *tier)
{
    atomic_store_explicit(&tier->warm_stop, true, memory_order_relaxed);
    if (tier->warm.running)
        thread_join(&tier->warm);
}
