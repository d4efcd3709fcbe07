/*
 * test_model.c: random histories against a table in memory. RAM is too small for the data, so that everything moves between the tiers all
 * the time; now and then there are checkpoints, crashes and restarts. KELVIN_TEST_SEED repeats a run.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "keyspace_fixture.h"

enum { DATABASES = 4, KEYS = 60, OPERATIONS = 2500, VALUE_MAX = 12000 };

struct expected {
    bool exists;
    unsigned number; /* the value begins with it */
    size_t size;
    uint64_t expire_ms;
};

static struct store store;
static struct client client;
static struct random random_numbers;
static struct expected model[DATABASES][KEYS];
static char value_text[VALUE_MAX + 64];

static unsigned below(unsigned bound)
{
    return (unsigned)random_below(&random_numbers, bound);
}

static const char *name_of(unsigned key)
{
    static char text[32];
    (void)snprintf(text, sizeof(text), key % 3 == 0 ? "user:%u:name" : "item:%04u", key);
    return text;
}

static const char *value_of(const struct expected *expected)
{
    const int size = snprintf(value_text, sizeof(value_text), "%u:", expected->number);
    memset(value_text + size, 'x', expected->size);
    value_text[(size_t)size + expected->size] = '\0';
    return value_text;
}

static bool lives(const struct expected *expected)
{
    return expected->exists &&
           (expected->expire_ms == 0 || client.view.now_ms <= expected->expire_ms);
}

static void advance(uint64_t ms)
{
    clock_fake_advance(ms);
    client.view.now_ms = clock_wall_ms();
}

static uint64_t some_deadline(void)
{
    return below(3) == 0 ? client.view.now_ms + 1 + below(3000) : 0;
}

/* --- comparing -------------------------------------------------------------------------------------------- */

static void check_key(unsigned database, unsigned key)
{
    const struct expected *const expected = &model[database][key];
    const char *const found = client_get(&client, database, name_of(key));
    if (!lives(expected)) {
        ck_assert_msg(found == NULL, "%u %s exists", database, name_of(key));
        return;
    }
    ck_assert_msg(found != NULL, "%u %s is missing", database, name_of(key));
    ck_assert_str_eq(found, value_of(expected));
}

static unsigned live_count(unsigned database)
{
    unsigned count = 0;
    for (unsigned key = 0; key < KEYS; key++)
        count += lives(&model[database][key]);
    return count;
}

static void check_names(unsigned database, struct names *names, const char *what)
{
    names_unique(names);
    for (unsigned key = 0; key < KEYS; key++)
        ck_assert_msg(names_contain(names, name_of(key)) == lives(&model[database][key]),
            "%s: %u %s", what, database, name_of(key));
    ck_assert_uint_eq(names->count, live_count(database));
}

/* Looking at every key deletes what is over, so the counts are those of the model then. */
static void check_everything(void)
{
    for (unsigned database = 0; database < DATABASES; database++) {
        uint64_t expires = 0;
        for (unsigned key = 0; key < KEYS; key++) {
            ck_assert_int_eq(
                client_exists(&client, database, name_of(key)), lives(&model[database][key]));
            if (below(4) == 0)
                check_key(database, key);
            expires += lives(&model[database][key]) && model[database][key].expire_ms != 0;
        }
        ck_assert_sizes(&client, database, live_count(database), expires);
    }
}

/* --- operations --------------------------------------------------------------------------------------------- */

static void do_set(unsigned database, unsigned key)
{
    static unsigned number;
    struct expected *const expected = &model[database][key];
    *expected = (struct expected){.exists = true,
        .number = ++number,
        .size = below(4) == 0 ? 0 : below(VALUE_MAX),
        .expire_ms = some_deadline()};
    client_set_expiring(&client, database, name_of(key), value_of(expected), expected->expire_ms);
}

static void do_delete(unsigned database, unsigned key)
{
    ck_assert_int_eq(client_delete(&client, database, name_of(key)), lives(&model[database][key]));
    model[database][key].exists = false;
}

static void do_expire(unsigned database, unsigned key)
{
    const uint64_t expire_ms = some_deadline();
    const bool alive = lives(&model[database][key]);
    ck_assert_int_eq(client_expire(&client, database, name_of(key), expire_ms), alive);
    if (alive)
        model[database][key].expire_ms = expire_ms;
}

static void do_flush(unsigned database)
{
    client_flush(&client, database);
    memset(model[database], 0, sizeof(model[database]));
}

static void do_swap(unsigned a, unsigned b)
{
    static struct expected other[KEYS];
    client_swap(&client, a, b);
    memcpy(other, model[a], sizeof(other));
    memmove(model[a], model[b], sizeof(other));
    memcpy(model[b], other, sizeof(other));
}

static void do_walk(unsigned database)
{
    struct names names = {0};
    (void)client_scan(&client, scan_make(database, 1 + below(40)), &names);
    check_names(database, &names, "SCAN");
    names_clear(&names);
    client_keys(&client, database, "*", &names);
    const size_t count = names.count;
    check_names(database, &names, "KEYS");
    ck_assert_uint_eq(names.count, count); /* none twice */
    names_clear(&names);
    const char *const found = client_random(&client, database);
    if (found == NULL) {
        ck_assert_uint_eq(live_count(database), 0);
    } else {
        unsigned key = 0;
        while (key < KEYS && strcmp(name_of(key), found) != 0)
            key++;
        ck_assert_msg(key < KEYS && lives(&model[database][key]), "RANDOMKEY gave %s", found);
    }
    names_deinit(&names);
}

static void do_active_expiry(void)
{
    advance(1000);
    for (unsigned step = 0; step < 4; step++)
        keyspace_expire_hot_step(&client.view, &client.random);
    keyspace_expire_cold_step(&client.view);
    if (below(2) == 0)
        (void)client_pump(&client, 0); /* else its answer comes some operations later */
}

static void do_reopen(void)
{
    client_close(&client);
    store_reopen(&store, below(2) == 0);
    client_open(&client, &store);
    client.view.now_ms = clock_wall_ms();
    for (unsigned database = 0; database < DATABASES; database++)
        ck_assert_uint_ge(keyspace_size(store.keyspace, database), live_count(database));
}

static void do_something(void)
{
    const unsigned database = below(DATABASES);
    const unsigned key = below(KEYS);
    const unsigned choice = below(1000);
    if (choice < 380)
        do_set(database, key);
    else if (choice < 480)
        do_delete(database, key);
    else if (choice < 580)
        do_expire(database, key);
    else if (choice < 860)
        check_key(database, key);
    else if (choice < 885)
        advance(below(400));
    else if (choice < 900)
        do_active_expiry();
    else if (choice < 930)
        do_walk(database);
    else if (choice < 935)
        do_flush(database);
    else if (choice < 945)
        do_swap(database, below(DATABASES));
    else if (choice < 960)
        client_checkpoint(&client);
    else if (choice < 975)
        client_demote_all(&client);
    else if (choice < 985)
        client_make_cold(&client);
    else if (choice < 990)
        check_everything();
    else if (choice < 994)
        do_reopen();
    else
        (void)client_pump(&client, 0);
}

static void run(bool single_worker, bool little_memory)
{
    test_random_init(&random_numbers);
    memset(model, 0, sizeof(model));
    clock_fake_set(1000000000, 5000000);
    store_init(&store, test_directory_create());
    store.single_worker = single_worker;
    if (little_memory)
        store.options.memory_max = 1;
    store_open(&store);
    client_open(&client, &store);
    client.view.now_ms = clock_wall_ms();
    for (unsigned operation = 0; operation < OPERATIONS; operation++) {
        do_something();
        if (operation % 40 == 0)
            tier_tick(store.tier);
    }
    check_everything();
    for (unsigned database = 0; database < DATABASES; database++)
        do_walk(database);
    do_reopen();
    check_everything();
    client_close(&client);
    store_close(&store, true);
    clock_fake_set(0, 0);
}

START_TEST(a_history_in_little_memory_is_as_in_a_table)
{
    run(true, true);
}
END_TEST

START_TEST(a_history_with_a_lock_per_partition_is_as_in_a_table)
{
    run(false, true);
}
END_TEST

START_TEST(a_history_in_enough_memory_is_as_in_a_table)
{
    run(true, false);
}
END_TEST

TEST_MAIN("keyspace_model", a_history_in_little_memory_is_as_in_a_table,
    a_history_with_a_lock_per_partition_is_as_in_a_table,
    a_history_in_enough_memory_is_as_in_a_table)
