/*
 * prefetch.c: the module's border: rings, thread, results, metrics.
 *
 *   worker 0 ──ring──┐                          ┌── send hook ──► worker: tier_prefetch()
 *   worker n ──ring──┼──► prefetch thread ──────┤
 *   any ──results────┘    (pipeline.c)          └── metrics
 *
 * (1) A worker never waits: prefetch_note() writes one slot of its own ring, or counts a drop. (2) Without misses
 * nothing is learned: hits and writes are noted only PREFETCH_HITS_PER_MISS at a time after each, so a server whose data
 * fits RAM pays a load and a branch. (3) A miss, or what would have been one, wakes the thread at once; everything else waits for its next round.
 *
 * All memory is allocated by prefetch_create(), and all of it is within the bound: a 16th for the rings, a 32nd for the
 * results, the rest for what is learned.
 */
#include "storage/prefetch.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "prefetch_internal.h"

#include <string.h>

const char *const prefetch_mode_names[] = {"off", "shadow", "on", NULL};

/* Busy steps between two readings of the thread's CPU time. */
#define CPU_CLOCK_STEPS 1024
static_assert((PREFETCH_RING_EVENTS_MIN & (PREFETCH_RING_EVENTS_MIN - 1)) == 0 &&
                  (PREFETCH_RING_EVENTS_MAX & (PREFETCH_RING_EVENTS_MAX - 1)) == 0,
    "positions are masked");

/* --- workers ----------------------------------------------------------------------------------------------- */

/* Spends from, or adds to, the hits that the worker may note. */
static bool is_noted(struct prefetch_ring *ring, enum prefetch_event_kind kind)
{
    if (kind == PREFETCH_HIT || kind == PREFETCH_WRITE) {
        if (ring->hits_saved == 0)
            return false;
        ring->hits_saved--;
        return true;
    }
    if (kind == PREFETCH_MISS || kind == PREFETCH_FIRST_USE || kind == PREFETCH_LATE) {
        ring->hits_saved += PREFETCH_HITS_PER_MISS;
        if (ring->hits_saved > PREFETCH_HITS_SAVED_MAX)
            ring->hits_saved = PREFETCH_HITS_SAVED_MAX;
    }
    return true;
}

/* The slot to write, NULL if the ring is full. Nothing is visible before ring_publish(). */
static struct prefetch_event *ring_claim(
    const struct prefetch *prefetch, struct prefetch_ring *ring)
{
    const uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    if (unlikely(tail - ring->head_seen >= prefetch->ring_events)) {
        /* Partner: the release in ring_take(): the slot has been read. */
        ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
        if (tail - ring->head_seen >= prefetch->ring_events)
            return NULL;
    }
    return &ring->events[tail & (prefetch->ring_events - 1)];
}

static void ring_publish(struct prefetch_ring *ring)
{
    const uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    /* Partner: the acquire in ring_take(). */
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
}

static void wake_up(struct prefetch *prefetch)
{
    /* Partner: the exchange in doze(). */
    if (!atomic_exchange_explicit(&prefetch->sleeping, false, memory_order_acq_rel))
        return;
    mutex_lock(&prefetch->sleep_lock);
    condition_signal(&prefetch->wake);
    mutex_unlock(&prefetch->sleep_lock);
}

void prefetch_note(struct prefetch *prefetch, unsigned worker, enum prefetch_event_kind kind,
    const struct key *key, uint32_t connection)
{
    if (OPTION_GET(prefetch->config.options, mode) == PREFETCH_OFF)
        return;
    CHECK(worker < prefetch->config.worker_count);
    struct prefetch_ring *ring = &prefetch->rings[worker];
    if (!is_noted(ring, kind))
        return;
    struct prefetch_event *event =
        key->size <= PREFETCH_KEY_MAX ? ring_claim(prefetch, ring) : NULL;
    if (unlikely(event == NULL)) {
        metric_bump(ring, dropped_count, 1);
        return;
    }
    event->hash = key->hash;
    event->connection = connection;
    event->space = key->space;
    event->kind = (uint8_t)kind;
    event->key_size = (uint8_t)key->size;
    memcpy(event->key, key->data, key->size);
    ring_publish(ring);
    if (kind == PREFETCH_MISS || kind == PREFETCH_FIRST_USE || kind == PREFETCH_LATE)
        wake_up(prefetch);
}

static void count_issued(struct prefetch *prefetch, uint8_t source)
{
    metric_add(&prefetch->metrics, issued_count, 1);
    if (source == PREFETCH_SOURCE_SUCCESSOR)
        metric_add(&prefetch->metrics, successor_issued, 1);
    else
        metric_add(&prefetch->metrics, sequence_issued, 1);
}

void prefetch_result(
    struct prefetch *prefetch, const struct prefetch_target *target, enum status status)
{
    CHECK(target->source < PREFETCH_SOURCE_COUNT);
    CHECK(target->key_size <= PREFETCH_KEY_MAX);
    if (status == ST_PENDING || status == ST_OK) {
        count_issued(prefetch, target->source);
        return;
    }
    if (status == ST_EXISTS)
        metric_add(&prefetch->metrics, refused_resident, 1);
    else if (status == ST_NOT_FOUND)
        metric_add(&prefetch->metrics, absent_count, 1);
    else
        metric_add(&prefetch->metrics, refused_busy, 1);
    const uint64_t hash = hash_keyed(target->key, target->key_size, target->space);
    mutex_lock(&prefetch->results_lock);
    if (prefetch->result_count < prefetch->results_max)
        prefetch->results[prefetch->result_count++] =
            (struct prefetch_outcome_message){.hash = hash, .status = status};
    mutex_unlock(&prefetch->results_lock);
}

/* --- the thread -------------------------------------------------------------------------------------------- */

static void take_results(struct prefetch *prefetch)
{
    mutex_lock(&prefetch->results_lock);
    struct prefetch_outcome_message *const taken = prefetch->results;
    const size_t count = prefetch->result_count;
    prefetch->results = prefetch->results_taken;
    prefetch->result_count = 0;
    mutex_unlock(&prefetch->results_lock);
    prefetch->results_taken = taken;
    for (size_t i = 0; i < count; i++)
        prefetch_take_result(prefetch, taken[i].hash, taken[i].status);
}

static size_t ring_take(struct prefetch *prefetch, struct prefetch_ring *ring)
{
    const uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    /* Partner: the release in ring_publish(). */
    const uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    uint64_t count = tail - head;
    if (count > PREFETCH_CHUNK_EVENTS)
        count = PREFETCH_CHUNK_EVENTS;
    if (count == 0)
        return 0;
    if (prefetch->mode != PREFETCH_OFF) {
        for (uint64_t i = head; i < head + count; i++)
            prefetch_take_event(prefetch, &ring->events[i & (prefetch->ring_events - 1)]);
        metric_add(&prefetch->metrics, access_count, count);
    }
    /* Partner: the acquire in ring_claim(): the slots may be written again. */
    atomic_store_explicit(&ring->head, head + count, memory_order_release);
    return (size_t)count;
}

size_t prefetch_step(struct prefetch *prefetch)
{
    prefetch->mode = (enum prefetch_mode)OPTION_GET(prefetch->config.options, mode);
    prefetch_governor_tick(&prefetch->governor, clock_monotonic_us());
    take_results(prefetch);
    size_t count = 0;
    for (unsigned i = 0; i < prefetch->config.worker_count; i++) {
        count += ring_take(prefetch, &prefetch->rings[i]);
        prefetch_flush(prefetch);
    }
    return count;
}

static bool has_events(const struct prefetch *prefetch)
{
    for (unsigned i = 0; i < prefetch->config.worker_count; i++) {
        const struct prefetch_ring *ring = &prefetch->rings[i];
        if (atomic_load_explicit(&ring->tail, memory_order_acquire) !=
            atomic_load_explicit(&ring->head, memory_order_relaxed))
            return true;
    }
    return false;
}

/*
 * Sleeps until a miss, or for sleep_ms. No miss is lost: of two exchanges of `sleeping` one comes first. If
 * it is the worker's, its event was published before and is seen here; if it is this one, the worker sees true and
 * signals, which needs sleep_lock and so finds this thread waiting.
 */
static void doze(struct prefetch *prefetch, uint64_t sleep_ms)
{
    mutex_lock(&prefetch->sleep_lock);
    (void)atomic_exchange_explicit(&prefetch->sleeping, true, memory_order_acq_rel);
    if (!has_events(prefetch) && !atomic_load_explicit(&prefetch->stopping, memory_order_acquire))
        (void)condition_wait_ms(&prefetch->wake, &prefetch->sleep_lock, sleep_ms);
    atomic_store_explicit(&prefetch->sleeping, false, memory_order_relaxed);
    mutex_unlock(&prefetch->sleep_lock);
}

static void run(void *context)
{
    struct prefetch *prefetch = context;
    mem_thread_uncached();
    uint64_t sleep_ms = prefetch->sleep_ms_min;
    uint64_t busy_steps = 0;
    while (!atomic_load_explicit(&prefetch->stopping, memory_order_acquire)) {
        const bool busy = prefetch_step(prefetch) > 0;
        /* The clock is a system call: not at every step. */
        if (!busy || ++busy_steps % CPU_CLOCK_STEPS == 0)
            metric_set(&prefetch->metrics, cpu_us_total, clock_thread_cpu_us());
        if (busy) {
            sleep_ms = prefetch->sleep_ms_min;
            continue;
        }
        doze(prefetch, sleep_ms);
        if (sleep_ms < prefetch->sleep_ms_max)
            sleep_ms *= 2;
    }
}

/* --- life cycle -------------------------------------------------------------------------------------------- */

static size_t memory_bound(const struct prefetch_config *config)
{
    size_t memory = (size_t)OPTION_GET(config->options, memory_max);
    if (memory == 0) {
        memory = config->memory_max / PREFETCH_MEMORY_SHARE;
        if (config->memory_max == 0 || memory > PREFETCH_MEMORY_DEFAULT_MAX)
            memory = PREFETCH_MEMORY_DEFAULT_MAX;
    }
    const size_t rings = config->worker_count * PREFETCH_MEMORY_MIN_PER_WORKER;
    const size_t least = rings > PREFETCH_MEMORY_MIN ? rings : PREFETCH_MEMORY_MIN;
    return memory > least ? memory : least;
}

/* A 16th of the memory. Returns what they take. */
static size_t create_rings(struct prefetch *prefetch, size_t memory)
{
    const unsigned worker_count = prefetch->config.worker_count;
    const size_t fit = memory / 16 / worker_count / sizeof(struct prefetch_event);
    CHECK(fit >= PREFETCH_RING_EVENTS_MIN);
    size_t events = prefetch_power_of_two_within(fit);
    if (events > PREFETCH_RING_EVENTS_MAX)
        events = PREFETCH_RING_EVENTS_MAX;
    prefetch->ring_events = events;
    prefetch->rings = mem_alloc_zero(worker_count * sizeof(*prefetch->rings));
    size_t used = mem_size(prefetch->rings);
    for (unsigned i = 0; i < worker_count; i++) {
        prefetch->rings[i].events = mem_alloc(events * sizeof(struct prefetch_event));
        used += mem_size(prefetch->rings[i].events);
    }
    return used;
}

/* A 32nd of the memory. */
static size_t create_results(struct prefetch *prefetch, size_t memory)
{
    const size_t fit = memory / 64 / sizeof(struct prefetch_outcome_message);
    prefetch->results_max = fit < PREFETCH_RESULTS_MAX ? fit : PREFETCH_RESULTS_MAX;
    const size_t bytes = prefetch->results_max * sizeof(struct prefetch_outcome_message);
    prefetch->results = mem_alloc(bytes);
    prefetch->results_taken = mem_alloc(bytes);
    return mem_size(prefetch->results) + mem_size(prefetch->results_taken);
}

/*
 * Shares of the memory, in 32nds: rings, results and the small tables first, the successor table has the rest. At the default of 8 MiB:
 * 32 Ki guesses, 32 Ki and 64 Ki stamps, 64 Ki numbers, 4 500 contexts, about 65 000 keys.
 */
static size_t create_tables(struct prefetch *prefetch, size_t memory)
{
    const size_t part = memory / 32;
    size_t used = sizeof(struct prefetch);
    used += create_rings(prefetch, memory);
    used += create_results(prefetch, memory);
    used += prefetch_guesses_init(&prefetch->guesses, 3 * part);
    used += prefetch_stamps_init(&prefetch->absent, part);
    used += prefetch_stamps_init(&prefetch->resident, 2 * part);
    used += prefetch_sequence_init(&prefetch->sequence, 2 * part);
    used += prefetch_contexts_init(&prefetch->contexts, part);
    CHECK(used < memory);
    used += prefetch_successor_init(&prefetch->successor, memory - used);
    CHECK(used <= memory);
    return used;
}

struct prefetch *prefetch_create_stepped(const struct prefetch_config *config)
{
    CHECK(config->worker_count > 0);
    struct prefetch *prefetch = mem_alloc_zero(sizeof(*prefetch));
    prefetch->config = *config;
    const size_t used = create_tables(prefetch, memory_bound(config));
    metric_set(&prefetch->metrics, memory_bytes, used);
    prefetch->sources[PREFETCH_SOURCE_SUCCESSOR].predictor = &prefetch_successor_predictor;
    prefetch->sources[PREFETCH_SOURCE_SUCCESSOR].state = &prefetch->successor;
    prefetch->sources[PREFETCH_SOURCE_SEQUENCE].predictor = &prefetch_sequence_predictor;
    prefetch->sources[PREFETCH_SOURCE_SEQUENCE].state = &prefetch->sequence;
    prefetch_governor_init(&prefetch->governor, clock_monotonic_us());
    mutex_init(&prefetch->results_lock, LOCK_RANK_PREFETCH);
    mutex_init(&prefetch->sleep_lock, LOCK_RANK_PREFETCH);
    condition_init(&prefetch->wake);
    prefetch->sleep_ms_min = PREFETCH_SLEEP_MS_MIN;
    prefetch->sleep_ms_max = PREFETCH_SLEEP_MS_MAX;
    return prefetch;
}

void prefetch_start(struct prefetch *prefetch)
{
    thread_start(&prefetch->thread, "prefetch", run, prefetch);
}

struct prefetch *prefetch_create(const struct prefetch_config *config)
{
    struct prefetch *prefetch = prefetch_create_stepped(config);
    prefetch_start(prefetch);
    return prefetch;
}

void prefetch_destroy(struct prefetch *prefetch)
{
    if (prefetch == NULL)
        return;
    atomic_store_explicit(&prefetch->stopping, true, memory_order_release);
    mutex_lock(&prefetch->sleep_lock);
    condition_signal(&prefetch->wake);
    mutex_unlock(&prefetch->sleep_lock);
    thread_join(&prefetch->thread);
    condition_deinit(&prefetch->wake);
    mutex_deinit(&prefetch->sleep_lock);
    mutex_deinit(&prefetch->results_lock);
    prefetch_successor_deinit(&prefetch->successor);
    prefetch_contexts_deinit(&prefetch->contexts);
    prefetch_sequence_deinit(&prefetch->sequence);
    prefetch_stamps_deinit(&prefetch->resident);
    prefetch_stamps_deinit(&prefetch->absent);
    prefetch_guesses_deinit(&prefetch->guesses);
    mem_free(prefetch->results_taken);
    mem_free(prefetch->results);
    for (unsigned i = 0; i < prefetch->config.worker_count; i++)
        mem_free(prefetch->rings[i].events);
    mem_free(prefetch->rings);
    mem_free(prefetch);
}

void prefetch_check(const struct prefetch *prefetch)
{
    for (size_t i = 0; i < PREFETCH_SOURCE_COUNT; i++)
        prefetch->sources[i].predictor->check(prefetch->sources[i].state);
    for (size_t i = 0; i < prefetch->guesses.guess_count; i++) {
        const struct prefetch_guess *guess = &prefetch->guesses.guesses[i];
        CHECK(guess->state <= PREFETCH_GUESS_EXPIRED);
        CHECK(guess->source < PREFETCH_SOURCE_COUNT);
    }
    for (size_t i = 0; i < PREFETCH_SOURCE_COUNT; i++) {
        CHECK(prefetch->governor.accuracy[i] >= 0.0);
        CHECK(prefetch->governor.accuracy[i] <= 1.0);
    }
    CHECK(prefetch->batch_count < PREFETCH_BATCH_TARGETS);
}

/* --- metrics ----------------------------------------------------------------------------------------------- */

static uint64_t ring_drops(const struct prefetch *prefetch)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < prefetch->config.worker_count; i++)
        count += metric_get(&prefetch->rings[i], dropped_count);
    return count;
}

/* The counters' owners never see a reset: it only moves the line that reading subtracts. */
void prefetch_metrics_read(const struct prefetch *prefetch, struct prefetch_metrics *metrics)
{
#define READ(field, kind, help) metric_set(metrics, field, metric_get(&prefetch->metrics, field));
    PREFETCH_METRICS(READ)
#undef READ
    metric_set(metrics, dropped_count, ring_drops(prefetch));
#define SUBTRACT(field, kind, help) \
    if (kind == METRIC_COUNTER)     \
        metric_sub(metrics, field, metric_get(&prefetch->baseline, field));
    PREFETCH_METRICS(SUBTRACT)
#undef SUBTRACT
}

void prefetch_metrics_reset(struct prefetch *prefetch)
{
#define RESET(field, kind, help) \
    metric_set(&prefetch->baseline, field, metric_get(&prefetch->metrics, field));
    PREFETCH_METRICS(RESET)
#undef RESET
    metric_set(&prefetch->baseline, dropped_count, ring_drops(prefetch));
}

void prefetch_hinted(struct prefetch *prefetch, uint64_t count)
{
    metric_add(&prefetch->metrics, hinted_count, count);
}
