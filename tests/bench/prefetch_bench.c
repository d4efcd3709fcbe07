/*
 * prefetch_bench.c: replays a trace through the prefetcher and a simulated RAM tier (S3-FIFO, every object of size
 * 1), and prints miss ratio, precision and the module's CPU time per access.
 *
 *   zstd -dc TRACE.csv.zst | prefetch_bench [off|shadow|on] [percent of keys in RAM] [prefetch-memory in KiB]
 *
 * A row is time_ms,client,key,op,size; set and del rows are skipped. Every key of the trace is in the cold tier. Prefetched
 * records enter probation. Cold reads take no time: a prefetch is never late here. 10 000 accesses make a second.
 * Queues and ghost after S3-FIFO (SOSP '23).
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "prefetch_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACCESSES_PER_MS 10
#define NONE            UINT32_MAX
#define GHOST_NEVER     0

enum place { PLACE_COLD, PLACE_SMALL, PLACE_MAIN };

struct object {
    char *name;
    struct key key;
    uint32_t previous, next; /* of its queue */
    uint32_t ghost_time;     /* when it left the small queue */
    uint8_t place, frequency;
    bool prefetched;
};

struct queue {
    uint32_t head, tail, count;
};

struct bench {
    struct object *objects;
    size_t object_count, object_capacity;
    uint32_t *buckets; /* of object numbers + 1 */
    size_t bucket_mask;
    uint32_t *accesses, *clients;
    size_t access_count, access_capacity;
    struct queue small, main;
    uint32_t capacity, ghost_clock;
    struct prefetch *prefetch;
    struct prefetch_options options;
    uint64_t miss_count;
};

static uint32_t object_find(struct bench *bench, const struct key *key, bool add)
{
    size_t i = (size_t)key->hash & bench->bucket_mask;
    for (; bench->buckets[i] != 0; i = (i + 1) & bench->bucket_mask) {
        const uint32_t number = bench->buckets[i] - 1;
        if (key_equal(&bench->objects[number].key, key))
            return number;
    }
    if (!add)
        return NONE;
    CHECK(bench->object_count < bench->bucket_mask / 2);
    if (bench->object_count == bench->object_capacity) {
        bench->object_capacity = bench->object_capacity * 2 + 1024;
        bench->objects =
            mem_realloc(bench->objects, bench->object_capacity * sizeof(*bench->objects));
    }
    struct object *object = &bench->objects[bench->object_count];
    memset(object, 0, sizeof(*object));
    object->name = mem_alloc(key->size + 1);
    memcpy(object->name, key->data, key->size);
    object->key = *key;
    object->key.data = object->name;
    bench->buckets[i] = (uint32_t)++bench->object_count;
    return (uint32_t)bench->object_count - 1;
}

/* --- RAM tier ---------------------------------------------------------------------------------------------- */

static void queue_push(struct bench *bench, struct queue *queue, uint32_t number)
{
    struct object *object = &bench->objects[number];
    object->previous = NONE;
    object->next = queue->head;
    if (queue->head != NONE)
        bench->objects[queue->head].previous = number;
    queue->head = number;
    if (queue->tail == NONE)
        queue->tail = number;
    queue->count++;
}

static uint32_t queue_pop(struct bench *bench, struct queue *queue)
{
    const uint32_t number = queue->tail;
    queue->tail = bench->objects[number].previous;
    if (queue->tail != NONE)
        bench->objects[queue->tail].next = NONE;
    else
        queue->head = NONE;
    queue->count--;
    return number;
}

static void demote(struct bench *bench, uint32_t number)
{
    struct object *object = &bench->objects[number];
    object->place = PLACE_COLD;
    if (!object->prefetched)
        return;
    object->prefetched = false;
    prefetch_note(bench->prefetch, 0, PREFETCH_WASTED, &object->key, 0);
}

static void make_room(struct bench *bench)
{
    const uint32_t small_max = bench->capacity / 10 + 1;
    while (bench->small.count + bench->main.count >= bench->capacity) {
        const bool from_small = bench->small.count >= small_max || bench->main.count == 0;
        const uint32_t number = queue_pop(bench, from_small ? &bench->small : &bench->main);
        struct object *object = &bench->objects[number];
        if (from_small && object->frequency < 2) {
            object->ghost_time = ++bench->ghost_clock;
            demote(bench, number);
        } else if (from_small) {
            object->frequency = 0;
            object->place = PLACE_MAIN;
            queue_push(bench, &bench->main, number);
        } else if (object->frequency > 0) {
            object->frequency--;
            queue_push(bench, &bench->main, number);
        } else {
            demote(bench, number);
        }
    }
}

static void promote(struct bench *bench, uint32_t number, bool prefetched)
{
    make_room(bench);
    struct object *object = &bench->objects[number];
    const bool ghost = object->ghost_time != GHOST_NEVER &&
                       bench->ghost_clock - object->ghost_time < bench->capacity * 9 / 10;
    const bool to_main = ghost && !prefetched;
    object->frequency = 0;
    object->prefetched = prefetched;
    object->place = to_main ? PLACE_MAIN : PLACE_SMALL;
    queue_push(bench, to_main ? &bench->main : &bench->small, number);
}

static void take_targets(void *context, const struct prefetch_target *targets, size_t count)
{
    struct bench *bench = context;
    for (size_t i = 0; i < count; i++) {
        const struct key key = key_make(targets[i].space, targets[i].key, targets[i].key_size);
        const uint32_t number = object_find(bench, &key, false);
        enum status status = ST_NOT_FOUND;
        if (number != NONE)
            status = bench->objects[number].place == PLACE_COLD ? ST_PENDING : ST_EXISTS;
        prefetch_result(bench->prefetch, &targets[i], status);
        if (status == ST_PENDING)
            promote(bench, number, true);
    }
}

static uint64_t nobody_waits(void *context)
{
    (void)context;
    return 0;
}

static void read_object(struct bench *bench, uint32_t number, uint32_t client)
{
    struct object *object = &bench->objects[number];
    enum prefetch_event_kind kind = PREFETCH_HIT;
    if (object->place == PLACE_COLD) {
        kind = PREFETCH_MISS;
        bench->miss_count++;
        promote(bench, number, false);
    } else if (object->prefetched) {
        kind = PREFETCH_FIRST_USE;
        object->prefetched = false;
    } else if (object->frequency < 3) {
        object->frequency++;
    }
    prefetch_note(bench->prefetch, 0, kind, &object->key, client);
}

/* --- trace ------------------------------------------------------------------------------------------------- */

static void access_add(struct bench *bench, uint32_t number, uint32_t client)
{
    if (bench->access_count == bench->access_capacity) {
        bench->access_capacity = bench->access_capacity * 2 + 65536;
        const size_t bytes = bench->access_capacity * sizeof(uint32_t);
        bench->accesses = mem_realloc(bench->accesses, bytes);
        bench->clients = mem_realloc(bench->clients, bytes);
    }
    bench->accesses[bench->access_count] = number;
    bench->clients[bench->access_count++] = client;
}

static void read_trace(struct bench *bench)
{
    char line[4096];
    while (fgets(line, sizeof(line), stdin) != NULL) {
        char *fields[5] = {line};
        size_t count = 1;
        for (char *at = line; *at != 0; at++) {
            if (*at != ',' || count == COUNT_OF(fields))
                continue;
            *at = 0;
            fields[count++] = at + 1;
        }
        if (count < COUNT_OF(fields) || strcmp(fields[0], "time_ms") == 0 ||
            strcmp(fields[3], "set") == 0 || strcmp(fields[3], "del") == 0)
            continue;
        const struct key key = key_make(1, fields[2], strlen(fields[2]));
        const uint64_t client = hash_keyed(fields[1], strlen(fields[1]), 0);
        access_add(bench, object_find(bench, &key, true), (uint32_t)client);
    }
}

static void print_result(const struct bench *bench, double seconds)
{
    struct prefetch_metrics m;
    prefetch_metrics_read(bench->prefetch, &m);
    const double accesses = (double)bench->access_count;
    const double issued = (double)metric_get(&m, issued_count);
    const double useful = (double)metric_get(&m, useful_count);
    printf("keys=%zu accesses=%zu capacity=%u miss_ratio=%.4f precision=%.3f coverage=%.3f "
           "issued/access=%.4f succ=%lu/%lu seq=%lu/%lu predicted=%lu resident=%lu accuracy=%lu "
           "budget=%lu absent=%lu ns/access=%.0f memory=%lu\n",
        bench->object_count, bench->access_count, bench->capacity,
        (double)bench->miss_count / accesses, issued > 0 ? useful / issued : 0.0,
        useful / (useful + (double)bench->miss_count), issued / accesses,
        (unsigned long)metric_get(&m, successor_useful),
        (unsigned long)metric_get(&m, successor_issued),
        (unsigned long)metric_get(&m, sequence_useful),
        (unsigned long)metric_get(&m, sequence_issued),
        (unsigned long)metric_get(&m, predicted_count),
        (unsigned long)metric_get(&m, refused_resident),
        (unsigned long)metric_get(&m, refused_accuracy),
        (unsigned long)metric_get(&m, refused_budget), (unsigned long)metric_get(&m, absent_count),
        seconds * 1e9 / accesses, (unsigned long)metric_get(&m, memory_bytes));
}

int main(int argument_count, char **arguments)
{
    hash_setup();
    struct bench bench = {.small = {NONE, NONE, 0}, .main = {NONE, NONE, 0}};
    bench.bucket_mask = ((size_t)1 << 22) - 1;
    bench.buckets = mem_alloc_zero((bench.bucket_mask + 1) * sizeof(*bench.buckets));
    bench.options.mode = PREFETCH_ON;
    for (int i = 0; argument_count > 1 && prefetch_mode_names[i] != NULL; i++) {
        if (strcmp(arguments[1], prefetch_mode_names[i]) == 0)
            bench.options.mode = i;
    }
    const double percent = argument_count > 2 ? strtod(arguments[2], NULL) : 10.0;
    bench.options.memory_max =
        argument_count > 3 ? (int64_t)(strtod(arguments[3], NULL) * 1024) : (int64_t)(8 * MiB);
    read_trace(&bench);
    bench.capacity = (uint32_t)((double)bench.object_count * percent / 100.0);
    if (bench.capacity < 10)
        bench.capacity = 10;
    const struct prefetch_config config = {.worker_count = 1,
        .options = &bench.options,
        .send = take_targets,
        .demand_pending = nobody_waits,
        .context = &bench};
    clock_fake_set(1000000, 1000000);
    bench.prefetch = prefetch_create_stepped(&config);
    /* Every 64th step is timed. The clock itself is in the figure: subtract that of a run in mode off. */
    uint64_t used_us = 0;
    for (size_t i = 0; i < bench.access_count; i++) {
        if (i % ACCESSES_PER_MS == 0)
            clock_fake_advance(1);
        read_object(&bench, bench.accesses[i], bench.clients[i]);
        if (i % 64 != 0) {
            (void)prefetch_step(bench.prefetch);
            continue;
        }
        const uint64_t start_us = clock_thread_cpu_us();
        (void)prefetch_step(bench.prefetch);
        used_us += clock_thread_cpu_us() - start_us;
    }
    print_result(&bench, (double)used_us * 64 / 1e6);
    prefetch_destroy(bench.prefetch);
    for (size_t i = 0; i < bench.object_count; i++)
        mem_free(bench.objects[i].name);
    mem_free(bench.objects);
    mem_free(bench.buckets);
    mem_free(bench.accesses);
    mem_free(bench.clients);
    return 0;
}
