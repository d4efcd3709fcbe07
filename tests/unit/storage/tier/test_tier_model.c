/*
 * Random histories with crashes, against a reference (I4, I6; H1 to H7, H19 together).
 *
 * A child process opens the store and executes random commands on tiny memory, with checkpoints at random moments; it writes
 * each command and where the log ended after it into shared memory, as well as the durable LSN it saw. It dies at a random file
 * operation or command. The parent's reference then executes the same commands up to the recovered end E: E must be the end of a
 * command, at or beyond what was durable, and every key must have the reference's value. Then the next child goes on from there.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "tier_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { KEY_COUNT = 120, VALUE_MAX = 3000, COMMAND_MAX = 4000, CRASH_STATUS = 86 };
#ifdef KELVIN_SANITIZE
enum { ROUND_COUNT = 15 };
#else
enum { ROUND_COUNT = 40 };
#endif

enum kind { KIND_APPEND, KIND_SET, KIND_DELETE, KIND_FLUSH, KIND_BOTH, KIND_COUNT };

struct command {
    enum kind kind;
    unsigned database;
    unsigned key;
    unsigned other;
    unsigned size;
    char letter;
    bool is_done; /* else it was under way when the child died, and end_lsn is not known */
    uint64_t end_lsn;
};

/* In memory that both processes share. */
struct shared {
    uint64_t seed;
    uint64_t durable_lsn;
    unsigned count;
    struct command commands[COMMAND_MAX];
};

struct reference {
    char *values[STORE_DATABASE_COUNT][KEY_COUNT]; /* NULL: absent */
    size_t sizes[STORE_DATABASE_COUNT][KEY_COUNT];
};

static struct reference reference;

static void key_name(unsigned key, char name[32])
{
    (void)snprintf(name, 32, "key:%u", key);
}

/* --- the reference ------------------------------------------------------------------------------------------ */

static void reference_delete(unsigned database, unsigned key)
{
    mem_free(reference.values[database][key]);
    reference.values[database][key] = NULL;
    reference.sizes[database][key] = 0;
}

static void reference_append(unsigned database, unsigned key, unsigned size, char letter)
{
    char **const value = &reference.values[database][key];
    size_t *const total = &reference.sizes[database][key];
    *value = mem_realloc(*value, *total + size + 1);
    memset(*value + *total, letter, size);
    *total += size;
}

static void reference_execute(const struct command *command)
{
    switch (command->kind) {
    case KIND_SET:
        reference_delete(command->database, command->key);
        reference_append(command->database, command->key, command->size, command->letter);
        return;
    case KIND_APPEND:
        reference_append(command->database, command->key, command->size, command->letter);
        return;
    case KIND_DELETE: reference_delete(command->database, command->key); return;
    case KIND_FLUSH:
        for (unsigned key = 0; key < KEY_COUNT; key++)
            reference_delete(command->database, key);
        return;
    case KIND_BOTH:
        reference_append(command->database, command->key, command->size, command->letter);
        reference_append(command->database, command->other, command->size, command->letter);
        return;
    case KIND_COUNT: break;
    }
    ck_abort_msg("kind of command");
}

/* What the round did to a key, for whoever has to understand a failure. */
static void print_history(
    const struct shared *shared, const struct store *store, unsigned database, unsigned key)
{
    static const char *const names[] = {"append", "set", "delete", "flush", "both"};
    (void)fprintf(stderr, "X %llu E %llu D %llu commands %u\n",
        (unsigned long long)store->recovery.from_lsn, (unsigned long long)store->recovery.to_lsn,
        (unsigned long long)shared->durable_lsn, shared->count);
    for (unsigned index = 0; index < shared->count; index++) {
        const struct command *const command = &shared->commands[index];
        const bool touches = command->database == database &&
                             (command->kind == KIND_FLUSH || command->key == key ||
                                 (command->kind == KIND_BOTH && command->other == key));
        if (touches || index + 1 == shared->count)
            (void)fprintf(stderr, "  %u: %s %u %u/%u size %u end %llu\n", index,
                names[command->kind], command->database, command->key, command->other,
                command->size, (unsigned long long)command->end_lsn);
    }
}

static void reference_compare(struct client *client, const struct shared *shared)
{
    char name[32];
    for (unsigned database = 0; database < STORE_DATABASE_COUNT; database++) {
        for (unsigned key = 0; key < KEY_COUNT; key++) {
            key_name(key, name);
            struct buf value = {0};
            const enum status status = client_get(client, database, name, &value);
            const char *const expected = reference.values[database][key];
            const bool same =
                status == (expected == NULL ? ST_NOT_FOUND : ST_OK) &&
                slice_equal(buf_slice(&value), slice_of(expected, reference.sizes[database][key]));
            if (!same)
                print_history(shared, client->store, database, key);
            ck_assert_msg(status == (expected == NULL ? ST_NOT_FOUND : ST_OK), "database %u %s: %s",
                database, name, status_name(status));
            if (expected != NULL)
                ck_assert_msg(slice_equal(buf_slice(&value),
                                  slice_of(expected, reference.sizes[database][key])),
                    "database %u %s differs", database, name);
            buf_deinit(&value);
        }
    }
}

/* --- the child ------------------------------------------------------------------------------------------------ */

static void store_configure(struct store *store, const char *directory, uint64_t seed)
{
    store_init(store, directory);
    store->single_worker = seed % 2 == 0;
    store->options.memory_max = (int64_t)(1 * MiB);
    store->options.dirty_limit = (int64_t)(seed % 3 == 0 ? 64 * KiB : 256 * KiB);
    store->options.checkpoint_log_size = (int64_t)(seed % 5 == 0 ? 64 * KiB : 16 * MiB);
    store->options.hot_list_interval_s = 1;
    store->aof_options.segment_size = (int64_t)(64 * KiB);
    store->aof_options.sync_mode = (int64_t)(seed % 3);
}

static void child_execute(struct client *client, struct command *command, struct buf *bytes)
{
    char name[32];
    char other[32];
    key_name(command->key, name);
    key_name(command->other, other);
    buf_clear(bytes);
    for (unsigned count = 0; count < command->size; count++)
        buf_append_byte(bytes, command->letter);
    enum status status = ST_OK;
    switch (command->kind) {
    case KIND_APPEND:
        status = client_append(client, command->database, name, buf_slice(bytes));
        break;
    case KIND_SET: status = client_set(client, command->database, name, buf_slice(bytes)); break;
    case KIND_DELETE:
        status = client_delete(client, command->database, name);
        status = status == ST_NOT_FOUND ? ST_OK : status;
        break;
    case KIND_FLUSH: client_flush(client, command->database); break;
    case KIND_BOTH:
        client_append_both(client, command->database, name, other, buf_slice(bytes));
        break;
    case KIND_COUNT: break;
    }
    if (status != ST_OK)
        _exit(3);
}

static struct command random_command(struct random *random)
{
    const uint64_t dice = random_below(random, 1000);
    struct command command = {
        .kind = dice < 450   ? KIND_APPEND
                : dice < 700 ? KIND_SET
                : dice < 850 ? KIND_DELETE
                : dice < 995 ? KIND_BOTH
                             : KIND_FLUSH,
        .database = (unsigned)random_below(random, STORE_DATABASE_COUNT),
        .key = (unsigned)random_below(random, KEY_COUNT),
        .size = (unsigned)random_below(random, 16) == 0 ? (unsigned)random_below(random, 20000)
                                                        : (unsigned)random_below(random, 200),
        .letter = (char)('a' + random_below(random, 26)),
    };
    command.other = (command.key + 1 + (unsigned)random_below(random, KEY_COUNT - 1)) % KEY_COUNT;
    return command;
}

/* Of the log's operations, most of all; a commit of the cold tier is a sync of its file. */
static struct file_fault random_crash(struct random *random)
{
    static const enum file_operation operations[] = {FILE_WRITE, FILE_WRITE, FILE_WRITE, FILE_SYNC,
        FILE_SYNC, FILE_SYNC, FILE_OPEN, FILE_SYNC_DIR, FILE_RENAME, FILE_UNLINK, FILE_TRUNCATE,
        FILE_ALLOCATE};
    const enum file_operation operation = operations[random_below(random, COUNT_OF(operations))];
    const bool commit = operation == FILE_SYNC && random_below(random, 2) == 0;
    return (struct file_fault){
        .operation = operation,
        .path_part = commit ? "data.mdb" : "",
        .nth = 1 + random_below(random, operation == FILE_WRITE ? 200 : 12),
        .crash = true,
    };
}

static void run_child(const char *directory, struct shared *shared)
{
    struct store store;
    struct client client;
    struct random random;
    struct error error = {0};
    random_init(&random, shared->seed);
    store_configure(&store, directory, shared->seed);
    if (random_below(&random, 4) != 0) {
        const struct file_fault fault = random_crash(&random);
        file_fault_add(&fault);
    }
    if (store_try_open(&store, &error) != ST_OK) {
        (void)fprintf(stderr, "child: open: %s\n", error.message);
        _exit(4);
    }
    client_open(&client, &store);
    struct buf bytes = {0};
    const unsigned last = (unsigned)random_below(&random, COMMAND_MAX);
    for (unsigned count = 0; count < last; count++) {
        struct command *const command = &shared->commands[count];
        *command = random_command(&random);
        __atomic_store_n(&shared->count, count + 1, __ATOMIC_SEQ_CST);
        child_execute(&client, command, &bytes);
        command->end_lsn = aof_end_lsn(tier_aof(store.tier));
        __atomic_store_n(&command->is_done, true, __ATOMIC_SEQ_CST);
        shared->durable_lsn = aof_durable_lsn(tier_aof(store.tier));
        if (random_below(&random, 200) == 0)
            tier_checkpoint_request(store.tier, NULL);
        if (random_below(&random, 100) == 0)
            tier_tick(store.tier);
    }
    if (random_below(&random, 4) != 0)
        _exit(CRASH_STATUS);
    client_close(&client);
    store_close(&store, random_below(&random, 2) == 0);
    _exit(0);
}

struct child {
    const char *directory;
    struct shared *shared;
};

static void child_main(void *context)
{
    const struct child *const child = context;
    child_detach();
    log_level_set(LOG_ERROR);
    run_child(child->directory, child->shared);
}

/* --- the parent ----------------------------------------------------------------------------------------------- */

/*
 * Applies the commands that the recovered log holds. One that was under way when the child died may be in it or
 * not: its end was not noted, so it is known by E being beyond the one before.
 */
static void reference_catch_up(const struct shared *shared, uint64_t start_lsn, uint64_t end_lsn)
{
    uint64_t reached = start_lsn;
    unsigned index = 0;
    for (; index < shared->count; index++) {
        const struct command *const command = &shared->commands[index];
        if (command->is_done ? command->end_lsn > end_lsn : end_lsn <= reached)
            break;
        reached = command->is_done ? command->end_lsn : end_lsn;
        reference_execute(command);
    }
    ck_assert_msg(reached == end_lsn, "E %llu is within a command that ends later",
        (unsigned long long)end_lsn);
}

START_TEST(any_history_with_any_crashes_gives_a_prefix_of_itself)
{
    const char *const directory = test_directory_create();
    struct shared *const shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(shared, MAP_FAILED);
    struct random random;
    test_random_init(&random);
    uint64_t end_lsn = 0;
    log_level_set(LOG_ERROR);
    for (unsigned round = 0; round < ROUND_COUNT; round++) {
        memset(shared, 0, sizeof(*shared));
        shared->seed = random_next(&random);
        struct child child = {.directory = directory, .shared = shared};
        const int status = test_exit_status(child_main, &child);
        ck_assert_msg(status == 0 || status == CRASH_STATUS, "round %u: the child's status is %d",
            round, status);
        struct store store;
        struct client client;
        store_configure(&store, directory, random_next(&random));
        store_open(&store);
        client_open(&client, &store);
        ck_assert_uint_ge(store.recovery.to_lsn, shared->durable_lsn);
        reference_catch_up(shared, end_lsn, store.recovery.to_lsn);
        end_lsn = store.recovery.to_lsn;
        reference_compare(&client, shared);
        client_close(&client);
        store_close(&store, random_below(&random, 3) == 0);
    }
    ck_assert_int_eq(munmap(shared, sizeof(*shared)), 0);
}
END_TEST

TEST_MAIN("storage.tier_model", any_history_with_any_crashes_gives_a_prefix_of_itself)
