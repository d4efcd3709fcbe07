/* Room: what the hot tier may use, who has to wait, and that reads never do. */
#include "base/file.h"
#include "base/mem.h"
#include "cold_internal.h"
#include "tier_fixture.h"

#include <errno.h>
#include <stdio.h>

static struct store store;
static struct client client;

static void open_all(void)
{
    store_open(&store);
    client_open(&client, &store);
}

static void setup(uint64_t memory_max)
{
    store_init(&store, test_directory_create());
    store.options.memory_max = (int64_t)memory_max;
    open_all();
}

static void teardown(void)
{
    client_close(&client);
    store_close(&store, false);
}

static void make_value(struct buf *value, unsigned index, size_t size)
{
    buf_clear(value);
    buf_append_format(value, "%u:", index);
    while (value->size < size)
        buf_append_byte(value, (char)('a' + (index + value->size) % 26));
}

static void write_some(unsigned first, unsigned count, size_t size)
{
    char name[32];
    struct buf value = {0};
    for (unsigned index = first; index < first + count; index++) {
        (void)snprintf(name, sizeof(name), "key-%u", index);
        make_value(&value, index, size);
        ck_assert_int_eq(client_set(&client, 0, name, buf_slice(&value)), ST_OK);
    }
    buf_deinit(&value);
}

static void read_some(unsigned first, unsigned count, size_t size)
{
    char name[32];
    struct buf value = {0};
    struct buf expected = {0};
    for (unsigned index = first; index < first + count; index++) {
        (void)snprintf(name, sizeof(name), "key-%u", index);
        make_value(&expected, index, size);
        buf_clear(&value);
        ck_assert_int_eq(client_get(&client, 0, name, &value), ST_OK);
        ck_assert(slice_equal(buf_slice(&value), buf_slice(&expected)));
    }
    buf_deinit(&value);
    buf_deinit(&expected);
}

START_TEST(without_a_limit_nothing_is_demoted)
{
    setup(0);
    ck_assert_uint_eq(tier_hot_limit(store.tier), UINT64_MAX);
    write_some(0, 2000, 1000);
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    tier_tick(store.tier);
    for (unsigned count = 0; count < 200; count++)
        tier_make_room(client.turn);
    struct hot_metrics hot = {0};
    hot_metrics_read(tier_hot(store.tier), &hot);
    ck_assert_uint_eq(metric_get(&hot, demoted_count), 0);
    teardown();
}
END_TEST

/* I10: ten times more data than memory; all of it can be read, and the hot tier stays within its limit. */
START_TEST(data_beyond_memory_stays_readable_within_the_limit)
{
#ifdef KELVIN_SANITIZE
    enum { COUNT = 12000, BATCH = 2000 };
#else
    enum { COUNT = 40000, BATCH = 2000 };
#endif
    setup(4 * MiB);
    for (unsigned first = 0; first < COUNT; first += BATCH) {
        write_some(first, BATCH, 1000);
        tier_tick(store.tier);
        ck_assert_uint_le(
            hot_memory_bytes(tier_hot(store.tier)), tier_hot_limit(store.tier) + 2 * MiB);
    }
    for (unsigned first = 0; first < COUNT; first += BATCH) {
        read_some(first, BATCH, 1000);
        tier_tick(store.tier);
        ck_assert_uint_le(
            hot_memory_bytes(tier_hot(store.tier)), tier_hot_limit(store.tier) + 1 * MiB);
    }
    ck_assert_uint_gt(METRIC_OF(&store, promoted_count), COUNT / 2);
    store_check(&store);
    teardown();
}
END_TEST

START_TEST(the_limit_is_what_the_rest_of_the_process_leaves)
{
    setup(256 * MiB);
    tier_tick(store.tier);
    const uint64_t before = tier_hot_limit(store.tier);
    char *const block = mem_alloc((size_t)(64 * MiB));
    memset(block, 1, (size_t)(64 * MiB));
    tier_tick(store.tier);
    const uint64_t after = tier_hot_limit(store.tier);
    ck_assert_uint_lt(after, before - 60 * MiB);
    mem_free(block);
    tier_tick(store.tier);
    ck_assert_uint_gt(tier_hot_limit(store.tier), before - 8 * MiB);
    /* It never falls below an eighth, whatever else there is. */
    OPTION_SET(&store.options, memory_max, (int64_t)(1 * MiB));
    tier_tick(store.tier);
    ck_assert_uint_ge(tier_hot_limit(store.tier), 1 * MiB);
    teardown();
}
END_TEST

/* No checkpoint can commit: writers are parked at the dirty limit, told why in the end, and go on when the disk is well. */
START_TEST(writers_wait_at_the_dirty_limit_and_readers_do_not)
{
    setup(0);
    OPTION_SET(&store.options, dirty_limit, (int64_t)(1 * MiB));
    write_some(0, 400, 1000);
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    for (unsigned index = 0; index < 400; index++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "key-%u", index);
        client_demote(&client, 0, name);
    }
    cold_fault_commit(1, EIO);
    struct buf value = {0};
    char name[32];
    enum status status = ST_OK;
    for (unsigned index = 1000; index < 20000 && status == ST_OK; index++) {
        (void)snprintf(name, sizeof(name), "key-%u", index);
        make_value(&value, index, 1000);
        status = tier_may_write(store.tier);
        if (status != ST_OK)
            break;
        ck_assert_int_eq(client_set(&client, 0, name, buf_slice(&value)), ST_OK);
        if (METRIC_OF(&store, checkpoint_error_count) < 50)
            cold_fault_commit(1, EIO);
    }
    ck_assert(status == ST_AGAIN || status == ST_IO);
    struct hot_metrics hot = {0};
    hot_metrics_read(tier_hot(store.tier), &hot);
    ck_assert_uint_lt(metric_get(&hot, dirty_bytes), 2 * MiB);
    /* Reads bring cold records in, although all that is hot is dirty. */
    read_some(0, 400, 1000);
    /* It fails again and again: then writers get the failure instead of waiting for ever. */
    for (unsigned count = 0; count < 3000 && tier_may_write(store.tier) != ST_IO; count++) {
        cold_fault_commit(1, EIO);
        (void)client_pump(&client, 5);
    }
    ck_assert_int_eq(tier_may_write(store.tier), ST_IO);
    cold_fault_commit(0, 0);
    for (unsigned count = 0; count < 3000 && tier_may_write(store.tier) != ST_OK; count++)
        (void)client_pump(&client, 5);
    ck_assert_int_eq(tier_may_write(store.tier), ST_OK);
    ck_assert_uint_gt(METRIC_OF(&store, throttled_count), 0);
    write_some(1000, 100, 1000);
    read_some(0, 400, 1000);
    buf_deinit(&value);
    teardown();
}
END_TEST

START_TEST(writers_wait_while_the_log_tail_is_too_long)
{
    setup(0);
    OPTION_SET(&store.options, aof_tail_max, (int64_t)(1 * MiB));
    for (unsigned count = 0; count < 12; count++)
        cold_fault_commit(1, EIO);
    struct buf value = {0};
    make_value(&value, 1, 100000);
    unsigned written = 0;
    while (tier_may_write(store.tier) == ST_OK && written < 1000) {
        cold_fault_commit(1, EIO);
        ck_assert_int_eq(client_set(&client, 0, "a", buf_slice(&value)), ST_OK);
        written++;
    }
    ck_assert_uint_lt(written, 20);
    cold_fault_commit(0, 0);
    for (unsigned count = 0; count < 3000 && tier_may_write(store.tier) != ST_OK; count++)
        (void)client_pump(&client, 5);
    ck_assert_int_eq(tier_may_write(store.tier), ST_OK);
    buf_deinit(&value);
    teardown();
}
END_TEST

/* I12 */
START_TEST(a_log_that_cannot_be_written_refuses_writers_and_recovers)
{
    setup(0);
    client_set_text(&client, 0, "a", "1");
    const struct file_fault fault = {
        .operation = FILE_WRITE, .path_part = ".aof", .nth = 1, .os_errno = EIO, .sticky = true};
    file_fault_add(&fault);
    client_set_text(&client, 0, "a", "2");
    for (unsigned count = 0; count < 3000 && tier_may_write(store.tier) == ST_OK; count++)
        (void)client_pump(&client, 5);
    ck_assert_int_eq(tier_may_write(store.tier), ST_IO);
    ck_assert_int_eq(atomic_load(&store.health), ST_IO);
    ck_assert_value(&client, 0, "a", "2");
    file_fault_clear();
    for (unsigned count = 0; count < 3000 && tier_may_write(store.tier) != ST_OK; count++)
        (void)client_pump(&client, 5);
    ck_assert_int_eq(tier_may_write(store.tier), ST_OK);
    ck_assert(!atomic_load(&store.fatal));
    teardown();
    open_all();
    ck_assert_value(&client, 0, "a", "2");
    teardown();
}
END_TEST

/* I12, H11 */
START_TEST(a_failed_fsync_of_the_log_is_the_end_of_the_process)
{
    setup(0);
    const struct file_fault fault = {
        .operation = FILE_SYNC, .path_part = ".aof", .nth = 1, .os_errno = EIO};
    file_fault_add(&fault);
    client_set_text(&client, 0, "a", "1");
    ck_assert_int_ne(client_checkpoint(&client), ST_OK);
    for (unsigned count = 0; count < 3000 && !atomic_load(&store.fatal); count++)
        (void)client_pump(&client, 5);
    ck_assert(atomic_load(&store.fatal));
    ck_assert_int_eq(tier_may_write(store.tier), ST_IO);
    file_fault_clear();
    ck_assert_int_eq(tier_may_write(store.tier), ST_IO);
    teardown();
}
END_TEST

START_TEST(records_in_use_survive_demotion)
{
    setup(2 * MiB);
    write_some(0, 300, 1000);
    for (unsigned round = 0; round < 30; round++) {
        write_some(1000 + round * 200, 200, 1000);
        read_some(0, 50, 1000);
    }
    const uint64_t before = METRIC_OF(&store, promoted_count);
    read_some(0, 50, 1000);
    ck_assert_uint_le(METRIC_OF(&store, promoted_count) - before, 25);
    teardown();
}
END_TEST

TEST_GROUP(tier_room_group, without_a_limit_nothing_is_demoted,
    data_beyond_memory_stays_readable_within_the_limit,
    the_limit_is_what_the_rest_of_the_process_leaves,
    writers_wait_at_the_dirty_limit_and_readers_do_not, writers_wait_while_the_log_tail_is_too_long,
    a_log_that_cannot_be_written_refuses_writers_and_recovers,
    a_failed_fsync_of_the_log_is_the_end_of_the_process, records_in_use_survive_demotion)
