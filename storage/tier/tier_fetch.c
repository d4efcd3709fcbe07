/*
 * tier_fetch.c: cold reads of single keys: from the FETCHING entry to the record in RAM.
 *
 *   fetch_begin ──► FETCHING entry, job to the I/O threads        (under the stripe, home turn)
 *   fetch_join  ──► a request waits for it                        (under the stripe, any turn)
 *   read_done   ──► onto the home turn's list of arrivals         (I/O thread)
 *   fetch_arrivals_run ──► install, pin for who waits, wake them  (home turn's thread, under the stripe)
 *
 * (1) The FETCHING entry is the fetch's token: while it stands, nothing else writes, deletes or demotes the key, so what
 *     was read is what is installed (H5). There is no entry when the read begins, so the cold tier's last commit is the
 *     truth, and the reader's snapshot is renewed after that. A flush leaves the entry but kills the space: then nothing is
 *     installed.
 * (2) A demand read that joins a read of lower priority starts a second one at its own; the first of the two to end is the
 *     answer, the other is dropped. A prefetch that waits behind demand reads never makes a client wait with it.
 * (3) A fetch is freed when none of its reads is under way and its answer is installed.
 *
 * Arrivals are a stack that I/O threads push to without a lock; who finds it empty sends the turn's task. The turn takes the whole
 * stack and installs up to INSTALL_BATCH_MAX fetches under one lock.
 *
 * Bounds: prefetches TIER_PREFETCH_PENDING_MAX, warm reads WARM_PENDING_MAX, demand reads TIER_GATHER_FETCH_MAX for each request that
 * waits, of which each connection has one.
 */
#include "tier_internal.h"

enum { INSTALL_BATCH_MAX = 64 };

struct tier_read {
    struct cold_job job; /* first */
    struct tier_fetch *fetch;
};

struct tier_waiter {
    struct tier_wait *wait;
    size_t index; /* of the key in its gather */
    enum tier_need need;
};

struct tier_fetch {
    /* immutable */
    struct tier_turn *home;
    struct key key; /* bytes follow the struct */
    enum tier_need need;
    enum fetch_origin origin;
    struct hot_heat heat;
    bool was_stub;           /* the entry was there before, perhaps pinned: it must not vanish */
    struct hot_content stub; /* what it was */

    struct tier_fetch *next; /* arrivals */
    struct tier_read first;
    struct tier_read *second; /* guarded by: the key's stripe; NULL or a read at demand priority */
    struct tier_waiter *waiters;        /* guarded by: the key's stripe */
    size_t waiter_count;                /* the same */
    size_t waiter_capacity;             /* the same */
    _Atomic(struct tier_read *) answer; /* atomic: the read that ended first; acquire, release */
    _Atomic uint32_t
        references; /* atomic: reads not yet ended or, of the answer, not yet installed */
};

/* --- life of a fetch ------------------------------------------------------------------------------------- */

static void fetch_unref(struct tier_fetch *fetch)
{
    if (atomic_fetch_sub_explicit(&fetch->references, 1, memory_order_acq_rel) > 1)
        return;
    mem_free(fetch->second);
    mem_free(fetch->waiters);
    mem_free(fetch);
}

/* A read has ended for good. The turn may be destroyed from then on. */
static void read_release(struct tier_read *read)
{
    struct tier_fetch *const fetch = read->fetch;
    struct tier_turn *const home = fetch->home;
    cold_job_deinit(&read->job);
    fetch_unref(fetch);
    atomic_fetch_sub_explicit(&home->read_count, 1, memory_order_release);
}

/* On an I/O thread. */
static void read_done(struct cold_job *job)
{
    struct tier_read *const read = CONTAINER_OF(job, struct tier_read, job);
    struct tier_fetch *const fetch = read->fetch;
    struct tier_read *none = NULL;
    if (!atomic_compare_exchange_strong_explicit(
            &fetch->answer, &none, read, memory_order_acq_rel, memory_order_relaxed)) {
        read_release(read);
        return;
    }
    struct tier_turn *const home = fetch->home;
    struct tier_fetch *head = atomic_load_explicit(&home->arrivals, memory_order_relaxed);
    do {
        fetch->next = head;
    } while (!atomic_compare_exchange_weak_explicit(
        &home->arrivals, &head, fetch, memory_order_acq_rel, memory_order_relaxed));
    /* Only who finds the list empty may touch the turn now: until it has sent the task, nobody installs. */
    if (head == NULL)
        mailbox_send(home->mailbox, &home->arrivals_task.message);
}

void fetch_batch_submit(struct tier *tier, struct fetch_batch *batch)
{
    if (batch->count > 0)
        cold_submit(tier->cold, batch->jobs, batch->count);
    batch->count = 0;
}

static void read_start(struct tier_read *read, struct tier_fetch *fetch,
    enum cold_priority priority, struct fetch_batch *batch)
{
    read->fetch = fetch;
    read->job = (struct cold_job){
        .kind = fetch->need == TIER_NEED_VALUE ? COLD_JOB_VALUE : COLD_JOB_HEADER,
        .priority = priority,
        .key = fetch->key,
        .done = read_done,
    };
    atomic_fetch_add_explicit(&fetch->references, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&fetch->home->read_count, 1, memory_order_relaxed);
    if (batch->count == FETCH_BATCH_MAX)
        fetch_batch_submit(fetch->home->tier, batch);
    batch->jobs[batch->count++] = &read->job;
}

static struct hot_content stub_content(const struct hot_record *record)
{
    const struct value value = hot_record_value(record);
    return (struct hot_content){
        .state = HOT_STUB,
        .type = value.type,
        .encoding = value.encoding,
        .value_size = hot_record_value_size(record),
        .expire_ms = hot_record_expire_ms(record),
        .corrupt = hot_record_corrupt(record),
    };
}

struct tier_fetch *fetch_begin(struct tier_turn *turn, const struct key *key,
    struct hot_record *record, enum tier_need need, enum fetch_origin origin, struct hot_heat heat,
    struct fetch_batch *batch)
{
    static const enum cold_priority priorities[] = {
        [FETCH_DEMAND] = COLD_DEMAND,
        [FETCH_PREFETCH] = COLD_PREFETCH,
        [FETCH_WARM] = COLD_BACKGROUND,
    };
    struct tier_fetch *const fetch = mem_alloc_zero(sizeof(*fetch) + key->size);
    char *const bytes = (char *)(fetch + 1);
    if (key->size > 0)
        memcpy(bytes, key->data, key->size);
    fetch->home = turn;
    fetch->key = *key;
    fetch->key.data = bytes;
    fetch->need = need;
    fetch->origin = origin;
    fetch->heat = heat;
    metric_add(turn->tier->metrics, fetch_pending, 1);
    read_start(&fetch->first, fetch, priorities[origin], batch);
    if (record == NULL) {
        (void)hot_fetch_begin(turn->tier->hot, key, fetch);
    } else {
        fetch->was_stub = true;
        fetch->stub = stub_content(record);
        (void)hot_fetch_upgrade(turn->tier->hot, key, record, fetch);
    }
    return fetch;
}

static void add_waiter(struct tier_fetch *fetch, struct tier_waiter waiter)
{
    struct tier_metrics *const metrics = fetch->home->tier->metrics;
    if (fetch->waiter_count == 0)
        metric_add(metrics, demand_pending, 1);
    if (fetch->waiter_count == fetch->waiter_capacity) {
        fetch->waiter_capacity = fetch->waiter_capacity == 0 ? 1 : fetch->waiter_capacity * 2;
        fetch->waiters =
            mem_realloc(fetch->waiters, fetch->waiter_capacity * sizeof(*fetch->waiters));
    }
    fetch->waiters[fetch->waiter_count++] = waiter;
}

void fetch_join(struct tier_fetch *fetch, struct tier_wait *wait, size_t index, enum tier_need need,
    struct fetch_batch *batch)
{
    if (fetch->origin != FETCH_DEMAND && fetch->second == NULL) {
        if (fetch->origin == FETCH_PREFETCH)
            metric_add(fetch->home->tier->metrics, prefetch_late_count, 1);
        fetch->second = mem_alloc_zero(sizeof(*fetch->second));
        read_start(fetch->second, fetch, COLD_DEMAND, batch);
    }
    atomic_fetch_add_explicit(&wait->pending_count, 1, memory_order_relaxed);
    add_waiter(fetch, (struct tier_waiter){.wait = wait, .index = index, .need = need});
}

bool tier_is_prefetching(const struct hot_record *record)
{
    const struct tier_fetch *const fetch = hot_fetch_owner(record);
    return fetch->origin == FETCH_PREFETCH;
}

/* --- what was found ----------------------------------------------------------------------------------------- */

bool fetch_content(struct cold_job *job, bool wanted, struct hot_content *content)
{
    *content = (struct hot_content){
        .type = job->header.type,
        .encoding = job->header.encoding,
        .value_size = job->header.value_size,
        .expire_ms = job->header.expire_ms,
    };
    if (job->status == ST_NOT_FOUND) {
        content->state = HOT_ABSENT;
        return wanted;
    }
    if (job->status == ST_CORRUPT) {
        content->state = HOT_STUB;
        content->corrupt = true;
        return wanted;
    }
    if (job->status != ST_OK)
        return false;
    if (job->kind == COLD_JOB_HEADER) {
        content->state = HOT_STUB;
        return true;
    }
    content->state = HOT_RESIDENT;
    content->value = job->value; /* short bytes still lie in job->payload */
    job->value = (struct value){.type = VALUE_STRING};
    return true;
}

static void count_install(const struct tier_fetch *fetch, const struct cold_job *job)
{
    struct tier_metrics *const metrics = fetch->home->tier->metrics;
    if (job->status == ST_OK && job->kind == COLD_JOB_VALUE) {
        if (fetch->origin == FETCH_PREFETCH)
            metric_add(metrics, prefetched_count, 1);
        else if (fetch->origin == FETCH_DEMAND)
            metric_add(metrics, promoted_count, 1);
    }
    if (fetch->origin == FETCH_PREFETCH && job->status == ST_NOT_FOUND)
        metric_add(metrics, prefetch_absent_count, 1);
}

static void tell_prefetch(const struct tier_fetch *fetch, bool found)
{
    const struct tier_hooks *const hooks = &fetch->home->tier->hooks;
    if (fetch->origin == FETCH_PREFETCH && hooks->prefetch_done != NULL)
        hooks->prefetch_done(hooks->context, &fetch->key, found);
}

/* Ends the FETCHING entry; the record now there, or NULL. */
static struct hot_record *install(struct tier_fetch *fetch, struct cold_job *job)
{
    struct tier *const tier = fetch->home->tier;
    struct hot_record *const record = hot_find(tier->hot, &fetch->key);
    CHECK(record != NULL);
    CHECK(hot_record_state(record) == HOT_FETCHING);
    CHECK(hot_fetch_owner(record) == fetch);
    const struct hot_content *const fallback = fetch->was_stub ? &fetch->stub : NULL;
    /* An entry that was there already is swept later, as others of its space. */
    if (tier_space_is_dead(tier, fetch->key.space) && !fetch->was_stub) {
        tell_prefetch(fetch, false);
        return hot_install(tier->hot, &fetch->key, record, NULL);
    }
    count_install(fetch, job);
    tell_prefetch(fetch, job->status == ST_OK);
    const bool wanted = fetch->waiter_count > 0;
    struct hot_content content;
    if (!fetch_content(job, wanted || fetch->was_stub, &content))
        return hot_install(tier->hot, &fetch->key, record, fallback);
    content.prefetched = fetch->origin == FETCH_PREFETCH && !wanted;
    content.heat = fetch->heat;
    return hot_install(tier->hot, &fetch->key, record, &content);
}

/* --- who waits ------------------------------------------------------------------------------------------------ */

/* Waits of this turn that are complete, linked by next; run when the stripes are unlocked. */
struct ready_list {
    struct tier_wait *head;
    struct tier_wait *tail;
};

static void complete(struct tier_turn *turn, struct tier_wait *wait, struct ready_list *ready)
{
    if (atomic_fetch_sub_explicit(&wait->pending_count, 1, memory_order_acq_rel) > 1)
        return;
    if (wait->turn != turn) {
        wait_send(wait);
        return;
    }
    wait->next = NULL;
    if (ready->tail == NULL)
        ready->head = wait;
    else
        ready->tail->next = wait;
    ready->tail = wait;
}

static void run_ready(struct ready_list *ready)
{
    struct tier_wait *wait = ready->head;
    while (wait != NULL) {
        struct tier_wait *const next = wait->next;
        wait->task.run(&wait->task); /* may free it */
        wait = next;
    }
}

/*
 * Pins the record for each waiter and counts it down. Those that want a value where only a header came go over to a new
 * fetch, which *record is made to belong to.
 */
static void serve_waiters(struct tier_turn *turn, struct tier_fetch *fetch,
    struct hot_record *record, enum status status, struct ready_list *ready,
    struct fetch_batch *batch)
{
    const bool only_header =
        record != NULL && hot_record_state(record) == HOT_STUB && !hot_record_corrupt(record);
    bool value_wanted = false;
    for (size_t index = 0; index < fetch->waiter_count; index++) {
        const struct tier_waiter *const waiter = &fetch->waiters[index];
        if (only_header && waiter->need == TIER_NEED_VALUE) {
            value_wanted = true;
            continue;
        }
        if (record != NULL)
            wait_pin(waiter->wait, waiter->index, record);
    }
    struct tier_fetch *const again = value_wanted
                                         ? fetch_begin(turn, &fetch->key, record, TIER_NEED_VALUE,
                                               FETCH_DEMAND, (struct hot_heat){0}, batch)
                                         : NULL;
    for (size_t index = 0; index < fetch->waiter_count; index++) {
        const struct tier_waiter waiter = fetch->waiters[index];
        if (only_header && waiter.need == TIER_NEED_VALUE) {
            add_waiter(again, waiter);
            continue;
        }
        if (status != ST_OK)
            wait_fail(waiter.wait, status);
        complete(turn, waiter.wait, ready);
    }
}

static void finish(struct tier_turn *turn, struct tier_fetch *fetch, struct ready_list *ready,
    struct fetch_batch *batch)
{
    struct cold_job *const job = &atomic_load_explicit(&fetch->answer, memory_order_acquire)->job;
    /* Damage is found by the next gather, on the entry. */
    const bool failed =
        job->status != ST_OK && job->status != ST_NOT_FOUND && job->status != ST_CORRUPT;
    struct hot_record *const record = install(fetch, job);
    metric_sub(turn->tier->metrics, fetch_pending, 1);
    if (fetch->waiter_count == 0)
        return;
    metric_sub(turn->tier->metrics, demand_pending, 1);
    serve_waiters(turn, fetch, record, failed ? ST_IO : ST_OK, ready, batch);
    fetch->waiter_count = 0;
}

/* Oldest first. */
static struct tier_fetch *take_arrivals(struct tier_turn *turn)
{
    struct tier_fetch *newest =
        atomic_exchange_explicit(&turn->arrivals, NULL, memory_order_acq_rel);
    struct tier_fetch *oldest = NULL;
    while (newest != NULL) {
        struct tier_fetch *const next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

void fetch_arrivals_run(struct task *task)
{
    struct tier_turn *const turn = CONTAINER_OF(task, struct tier_turn, arrivals_task);
    struct tier_fetch *left = take_arrivals(turn);
    while (left != NULL) {
        struct tier_fetch *fetches[INSTALL_BATCH_MAX];
        size_t count = 0;
        uint64_t stripes = 0;
        for (; left != NULL && count < INSTALL_BATCH_MAX; left = left->next) {
            stripes |= hot_stripe(turn->tier->hot, &left->key);
            fetches[count++] = left;
        }
        struct ready_list ready = {0};
        struct fetch_batch batch = {.count = 0};
        tier_turn_lock(turn, stripes);
        turn->room_due = true;
        for (size_t index = 0; index < count; index++)
            finish(turn, fetches[index], &ready, &batch);
        tier_turn_unlock(turn);
        fetch_batch_submit(turn->tier, &batch);
        for (size_t index = 0; index < count; index++)
            read_release(atomic_load_explicit(&fetches[index]->answer, memory_order_acquire));
        run_ready(&ready);
    }
}
