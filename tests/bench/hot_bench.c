/*
 * hot_bench.c: what the hot tier costs per operation, alone: lookups and writes over many keys, one at a time
 * and in batches with software prefetch. Not a test: the figures mean something on a quiet machine only.
 *
 *   bench_hot [keys] [value bytes] [batch]
 */
#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "storage/hot.h"

#include <stdio.h>
#include <stdlib.h>

#define NAME_SIZE 16
#define BATCH_MAX 512

struct bench {
    struct hot *hot;
    size_t key_count;
    size_t value_size;
    size_t batch;
    struct random random;
    char *text;
    uint64_t sum; /* keeps results alive */
};

static void no_image(void *context, const struct hot_record *record)
{
    (void)context;
    (void)record;
}

static struct key key_numbered(char name[NAME_SIZE + 1], uint64_t number)
{
    (void)snprintf(name, NAME_SIZE + 1, "key:%012u", (unsigned)number);
    return key_make(1, name, NAME_SIZE);
}

static void report(const char *what, uint64_t start_ns, size_t count)
{
    printf("%-28s %7.1f ns per operation\n", what,
        (double)(clock_monotonic_ns() - start_ns) / (double)count);
}

static void load(struct bench *bench)
{
    char name[NAME_SIZE + 1];
    const uint64_t start_ns = clock_monotonic_ns();
    for (size_t number = 0; number < bench->key_count; number++) {
        const struct key key = key_numbered(name, number);
        (void)hot_write(bench->hot, &key, hot_find(bench->hot, &key),
            value_string_raw(slice_of(bench->text, bench->value_size)), 0, false);
    }
    report("load (with making the key)", start_ns, bench->key_count);
}

enum operation { FIND, FIND_ABSENT, OVERWRITE, OTHER_SIZE };

static void operate(struct bench *bench, enum operation operation, const struct key *key)
{
    struct hot_record *record = hot_find(bench->hot, key);
    if (operation == FIND_ABSENT) {
        bench->sum += record != NULL;
        return;
    }
    (void)hot_touch(bench->hot, record, 7);
    if (operation == FIND) {
        const struct value value = hot_record_value(record);
        bench->sum += value.bytes.size + (unsigned char)value.bytes.data[0];
        return;
    }
    const size_t size =
        operation == OVERWRITE ? bench->value_size : bench->value_size + (bench->sum++ & 63);
    (void)hot_write(
        bench->hot, key, record, value_string_raw(slice_of(bench->text, size)), 0, false);
}

static void run(struct bench *bench, const char *what, enum operation operation, bool prefetch)
{
    static char names[BATCH_MAX][NAME_SIZE + 1];
    static struct key keys[BATCH_MAX];
    const size_t round_count = 1 + 2000000 / bench->batch;
    uint64_t spent_ns = 0;
    for (size_t round = 0; round < round_count; round++) {
        for (size_t place = 0; place < bench->batch; place++) {
            const uint64_t offset = operation == FIND_ABSENT ? bench->key_count : 0;
            keys[place] =
                key_numbered(names[place], offset + random_below(&bench->random, bench->key_count));
        }
        const uint64_t start_ns = clock_monotonic_ns();
        hot_lock(bench->hot, 1);
        if (prefetch) {
            hot_prefetch(bench->hot, keys, bench->batch);
        }
        for (size_t place = 0; place < bench->batch; place++) {
            operate(bench, operation, &keys[place]);
        }
        hot_unlock(bench->hot, 1);
        spent_ns += clock_monotonic_ns() - start_ns;
    }
    printf("%-28s %7.1f ns per operation\n", what,
        (double)spent_ns / (double)(round_count * bench->batch));
}

int main(int argc, char **argv)
{
    mem_setup();
    hash_setup();
    struct bench bench = {
        .key_count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000,
        .value_size = argc > 2 ? strtoull(argv[2], NULL, 10) : 64,
        .batch = argc > 3 ? strtoull(argv[3], NULL, 10) : 32,
    };
    if (bench.key_count == 0 || bench.value_size == 0 || bench.value_size > 16000 ||
        bench.batch == 0 || bench.batch > BATCH_MAX) {
        (void)fprintf(stderr, "usage: bench_hot [keys] [value bytes] [batch, at most 512]\n");
        return EXIT_FAILURE;
    }
    random_init(&bench.random, 1);
    bench.text = mem_alloc(bench.value_size + 64);
    memset(bench.text, 'v', bench.value_size + 64);
    const struct hot_config config = {.single_stripe = true, .save_image = no_image};
    bench.hot = hot_create(&config);
    hot_lock(bench.hot, 1);
    load(&bench);
    hot_unlock(bench.hot, 1);
    printf("%.1f bytes per key\n", (double)hot_memory_bytes(bench.hot) / (double)bench.key_count);
    run(&bench, "find", FIND, false);
    run(&bench, "find, prefetched", FIND, true);
    run(&bench, "find absent", FIND_ABSENT, false);
    run(&bench, "find absent, prefetched", FIND_ABSENT, true);
    run(&bench, "overwrite", OVERWRITE, false);
    run(&bench, "overwrite, prefetched", OVERWRITE, true);
    run(&bench, "write of another size", OTHER_SIZE, true);
    hot_destroy(bench.hot);
    mem_free(bench.text);
    return bench.sum == 0;
}
