/* Checkpoints: exactness, what changes meanwhile, what fails. */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cold_internal.h"
#include "tier_fixture.h"

#include <errno.h>
#include <stdio.h>

static struct store store;
static struct client client;

static void setup(void)
{
    store_init(&store, test_directory_create());
    store_open(&store);
    client_open(&client, &store);
}

static void teardown(void)
{
    client_close(&client);
    store_close(&store, false);
}

/* Closes without a last checkpoint and opens again: the tail is replayed. */
static void restart(void)
{
    teardown();
    store_open(&store);
    client_open(&client, &store);
}

/* The value of a key in the cold tier itself, as of its last commit. */
static enum status cold_value(unsigned database, const char *name, struct buf *value)
{
    struct cold_job job = {.kind = COLD_JOB_VALUE, .key = store_key(&store, database, name)};
    cold_read_now(tier_cold(store.tier), &job);
    char scratch[24];
    if (job.status == ST_OK)
        buf_append_slice(value, value_string_bytes(&job.value, scratch));
    const enum status status = job.status;
    cold_job_deinit(&job);
    return status;
}

#define ck_assert_cold(database, name, text)                             \
    do {                                                                 \
        struct buf cold_ = {0};                                          \
        ck_assert_int_eq(cold_value((database), (name), &cold_), ST_OK); \
        ck_assert_text_eq(buf_slice(&cold_), (text));                    \
        buf_deinit(&cold_);                                              \
    } while (0)

static enum hot_dirty dirty_of(const char *name)
{
    struct hot *const hot = tier_hot(store.tier);
    const struct key key = store_key(&store, 0, name);
    hot_lock(hot, hot_stripe(hot, &key));
    const enum hot_dirty dirty = hot_record_dirty(hot, hot_find(hot, &key));
    hot_unlock(hot, hot_stripe(hot, &key));
    return dirty;
}

START_TEST(a_checkpoint_writes_what_is_dirty_and_makes_it_clean)
{
    setup();
    client_set_text(&client, 0, "a", "1");
    client_set_text(&client, 1, "b", "text");
    ck_assert_int_eq(dirty_of("a"), HOT_DIRTY);
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    ck_assert_int_eq(dirty_of("a"), HOT_CLEAN);
    ck_assert_cold(0, "a", "1");
    ck_assert_cold(1, "b", "text");
    ck_assert_uint_eq(tier_checkpoint_lsn(store.tier), aof_end_lsn(tier_aof(store.tier)));
    ck_assert_uint_eq(store.committed_count, 1);
    ck_assert_uint_eq(METRIC_OF(&store, checkpoint_records), 2);
    teardown();
}
END_TEST

/* I5, H2: with appendfsync no, the commit itself makes the log durable up to X. */
START_TEST(the_log_is_durable_up_to_x_in_every_mode)
{
    store_init(&store, test_directory_create());
    store.aof_options.sync_mode = AOF_SYNC_NO;
    store_open(&store);
    client_open(&client, &store);
    client_set_text(&client, 0, "a", "1");
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    ck_assert_uint_gt(tier_checkpoint_lsn(store.tier), 0);
    ck_assert_uint_ge(aof_durable_lsn(tier_aof(store.tier)), tier_checkpoint_lsn(store.tier));
    teardown();
}
END_TEST

START_TEST(nothing_changed_means_nothing_written)
{
    setup();
    client_set_text(&client, 0, "a", "1");
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    ck_assert_uint_eq(store_metric_checkpoints(&store), 1);
    teardown();
}
END_TEST

START_TEST(a_deleted_record_leaves_the_cold_tier)
{
    setup();
    client_set_cold(&client, 0, "a", "1");
    ck_assert_int_eq(client_delete(&client, 0, "a"), ST_OK);
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    struct buf value = {0};
    ck_assert_int_eq(cold_value(0, "a", &value), ST_NOT_FOUND);
    restart();
    ck_assert_absent(&client, 0, "a");
    teardown();
}
END_TEST

START_TEST(a_record_that_came_and_went_between_checkpoints_never_gets_there)
{
    setup();
    client_set_text(&client, 0, "a", "1");
    ck_assert_int_eq(client_delete(&client, 0, "a"), ST_OK);
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    ck_assert_absent(&client, 0, "a");
    struct buf value = {0};
    ck_assert_int_eq(cold_value(0, "a", &value), ST_NOT_FOUND);
    teardown();
}
END_TEST

START_TEST(all_kinds_of_strings_come_back)
{
    setup();
    const size_t sizes[] = {0, 1, 44, 45, 2000, 4080, 5000, 16384, 16385, 70000, 1000000};
    char name[32];
    for (size_t index = 0; index < COUNT_OF(sizes); index++) {
        char *const bytes = mem_alloc(sizes[index] + 1);
        for (size_t place = 0; place < sizes[index]; place++)
            bytes[place] = (char)('a' + (place * 7 + index) % 26);
        (void)snprintf(name, sizeof(name), "size-%zu", sizes[index]);
        ck_assert_int_eq(client_set(&client, 0, name, slice_of(bytes, sizes[index])), ST_OK);
        mem_free(bytes);
    }
    client_set_text(&client, 0, "int", "-1234567890123");
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    restart();
    for (size_t index = 0; index < COUNT_OF(sizes); index++) {
        (void)snprintf(name, sizeof(name), "size-%zu", sizes[index]);
        struct buf value = {0};
        ck_assert_int_eq(client_get(&client, 0, name, &value), ST_OK);
        ck_assert_uint_eq(value.size, sizes[index]);
        for (size_t place = 0; place < value.size; place++)
            ck_assert_int_eq(value.data[place], (char)('a' + (place * 7 + index) % 26));
        buf_deinit(&value);
    }
    ck_assert_value(&client, 0, "int", "-1234567890123");
    teardown();
}
END_TEST

/* --- what changes while one runs ----------------------------------------------------------------------- */

static void append_letter(char *text, const char *letter)
{
    memcpy(text + strlen(text), letter, 2);
}

/* I4: replay from X on an inexact state would double or lose letters. */
START_TEST(writes_during_a_checkpoint_are_not_in_it)
{
    static char expected[400][4096];
    setup();
    char name[32];
    for (unsigned round = 0; round < 30; round++) {
        for (unsigned index = 0; index < 400; index++) {
            (void)snprintf(name, sizeof(name), "key-%03u", index);
            client_append(&client, 0, name, SLICE_LITERAL("x"));
            append_letter(expected[index], "x");
        }
        const uint64_t before = store_metric_checkpoints(&store);
        const uint64_t end = aof_end_lsn(tier_aof(store.tier));
        tier_checkpoint_request(store.tier, NULL);
        unsigned more = 0;
        while (store_metric_checkpoints(&store) == before) {
            const unsigned index = 399 - more % 400;
            (void)snprintf(name, sizeof(name), "key-%03u", index);
            if (more % 7 == 3 || strlen(expected[index]) > 4000) {
                (void)client_delete(&client, 0, name);
                client_append(&client, 0, name, SLICE_LITERAL("z"));
                memcpy(expected[index], "z", 2);
            } else {
                client_append(&client, 0, name, SLICE_LITERAL("y"));
                append_letter(expected[index], "y");
            }
            more++;
        }
        ck_assert_uint_ge(tier_checkpoint_lsn(store.tier), end);
        if (round % 5 == 4)
            restart();
        /* The reference: what the same commands gave. */
        for (unsigned index = 0; index < 400; index++) {
            (void)snprintf(name, sizeof(name), "key-%03u", index);
            ck_assert_value(&client, 0, name, expected[index]);
        }
    }
    teardown();
}
END_TEST

/* H6: the value at X is what is written, although the record changed before it was copied. */
START_TEST(the_old_image_is_written_when_a_record_changes_before_its_turn)
{
    setup();
    /* Enough keys before "z" that the checkpointer is at work for a while. */
    char name[32];
    struct buf large = {0};
    for (unsigned count = 0; count < 3000; count++)
        buf_append_text(&large, "0123456789abcdef");
    uint64_t images = 0;
    for (unsigned round = 0; round < 40 && images == 0; round++) {
        for (unsigned index = 0; index < 300; index++) {
            (void)snprintf(name, sizeof(name), "a-%03u", index);
            client_set(&client, 0, name, buf_slice(&large));
        }
        client_set_text(&client, 0, "z", "at X");
        client_set_text(&client, 0, "zz", "at X too");
        const uint64_t before = store_metric_checkpoints(&store);
        tier_checkpoint_request(store.tier, NULL);
        while (METRIC_OF(&store, checkpoint_running) == 0 &&
               store_metric_checkpoints(&store) == before) {
        }
        while (METRIC_OF(&store, checkpoint_memory_bytes) == 0 &&
               store_metric_checkpoints(&store) == before) {
        }
        client_set_text(&client, 0, "z", "later");
        client_delete(&client, 0, "zz");
        while (store_metric_checkpoints(&store) == before)
            (void)client_pump(&client, 1);
        images = METRIC_OF(&store, checkpoint_image_count);
        if (images > 0) {
            ck_assert_cold(0, "z", "at X");
            ck_assert_int_eq(dirty_of("z"), HOT_DIRTY);
        }
        ck_assert_value(&client, 0, "z", "later");
        ck_assert_absent(&client, 0, "zz");
    }
    ck_assert_uint_gt(images, 0);
    restart();
    ck_assert_value(&client, 0, "z", "later");
    ck_assert_absent(&client, 0, "zz");
    buf_deinit(&large);
    teardown();
}
END_TEST

/* H3: a group is in a checkpoint whole or not at all, because X is taken with all stripes locked. */
START_TEST(x_never_lies_within_a_group)
{
    setup();
    for (unsigned round = 0; round < 100; round++) {
        if (round % 10 == 3)
            tier_checkpoint_request(store.tier, NULL);
        client_append_both(&client, 0, "left", "right", SLICE_LITERAL("x"));
    }
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    struct buf left = {0};
    struct buf right = {0};
    ck_assert_int_eq(cold_value(0, "left", &left), ST_OK);
    ck_assert_int_eq(cold_value(0, "right", &right), ST_OK);
    ck_assert_uint_eq(left.size, 100);
    ck_assert_uint_eq(right.size, 100);
    buf_deinit(&left);
    buf_deinit(&right);
    restart();
    teardown();
}
END_TEST

/* --- flushes -------------------------------------------------------------------------------------------- */

static size_t swept_down_to(size_t count)
{
    for (unsigned tries = 0; tries < 600; tries++) {
        struct hot_metrics hot = {0};
        hot_metrics_read(tier_hot(store.tier), &hot);
        if (metric_get(&hot, entry_count) <= count)
            break;
        (void)client_pump(&client, 10);
    }
    struct hot_metrics hot = {0};
    hot_metrics_read(tier_hot(store.tier), &hot);
    return metric_get(&hot, entry_count);
}

/* H9 */
START_TEST(a_flushed_database_is_empty_and_its_records_leave_both_tiers)
{
    setup();
    char name[32];
    for (unsigned index = 0; index < 3000; index++) {
        (void)snprintf(name, sizeof(name), "key-%u", index);
        client_set_text(&client, 0, name, name);
    }
    client_set_text(&client, 1, "other", "stays");
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    client_set_text(&client, 0, "dirty", "not yet in the cold tier");
    client_flush(&client, 0);
    ck_assert_absent(&client, 0, "key-7");
    ck_assert_absent(&client, 0, "dirty");
    ck_assert_uint_le(swept_down_to(1), 1);
    ck_assert_uint_gt(METRIC_OF(&store, swept_count), 2999);
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    struct cold_metrics cold = {0};
    for (unsigned tries = 0; tries < 600; tries++) {
        cold_metrics_read(tier_cold(store.tier), &cold);
        if (metric_get(&cold, record_count) == 1)
            break;
        (void)client_pump(&client, 10);
    }
    ck_assert_uint_eq(metric_get(&cold, record_count), 1);
    ck_assert_value(&client, 1, "other", "stays");
    restart();
    ck_assert_absent(&client, 0, "key-7");
    ck_assert_value(&client, 1, "other", "stays");
    teardown();
}
END_TEST

START_TEST(a_database_can_be_filled_and_flushed_while_checkpoints_run)
{
    setup();
    char name[32];
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned index = 0; index < 200; index++) {
            (void)snprintf(name, sizeof(name), "key-%u", index);
            client_append(&client, 0, name, SLICE_LITERAL("x"));
        }
        tier_checkpoint_request(store.tier, NULL);
        if (round % 2 == 1)
            client_flush(&client, 0);
    }
    client_append(&client, 0, "key-1", SLICE_LITERAL("y"));
    ck_assert_value(&client, 0, "key-1", "y");
    restart();
    ck_assert_value(&client, 0, "key-1", "y");
    ck_assert_absent(&client, 0, "key-2");
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    restart();
    ck_assert_value(&client, 0, "key-1", "y");
    ck_assert_absent(&client, 0, "key-2");
    teardown();
}
END_TEST

/* --- large values: H14 -------------------------------------------------------------------------------------- */

START_TEST(values_larger_than_a_transaction_are_staged)
{
    setup();
    const size_t size = (size_t)(20 * MiB);
    char *const bytes = mem_alloc(size);
    for (size_t place = 0; place < size; place++)
        bytes[place] = (char)(place * 2654435761U >> 13);
    ck_assert_int_eq(client_set(&client, 0, "large", slice_of(bytes, size)), ST_OK);
    struct cold_metrics figures;
    cold_metrics_read(tier_cold(store.tier), &figures);
    const uint64_t commits = metric_get(&figures, commit_count);
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    cold_metrics_read(tier_cold(store.tier), &figures);
    /* Its chunks first, in transactions of their own. */
    ck_assert_uint_ge(metric_get(&figures, commit_count) - commits, 2);
    client_demote(&client, 0, "large");
    struct buf value = {0};
    ck_assert_int_eq(client_get(&client, 0, "large", &value), ST_OK);
    ck_assert_uint_eq(value.size, size);
    ck_assert_int_eq(memcmp(value.data, bytes, size), 0);
    buf_deinit(&value);
    /* Changed while a checkpoint that needs it runs. */
    client_append(&client, 0, "large", SLICE_LITERAL("1"));
    const uint64_t before = store_metric_checkpoints(&store);
    tier_checkpoint_request(store.tier, NULL);
    while (store_metric_checkpoints(&store) == before)
        client_append(&client, 0, "small", SLICE_LITERAL("2"));
    client_append(&client, 0, "large", SLICE_LITERAL("3"));
    restart();
    ck_assert_int_eq(client_get(&client, 0, "large", &value), ST_OK);
    ck_assert_uint_eq(value.size, size + 2);
    ck_assert_int_eq(memcmp(value.data, bytes, size), 0);
    ck_assert_int_eq(value.data[size], '1');
    ck_assert_int_eq(value.data[size + 1], '3');
    buf_deinit(&value);
    mem_free(bytes);
    teardown();
}
END_TEST

/* --- failures: H7 ----------------------------------------------------------------------------------------- */

START_TEST(a_failed_commit_leaves_everything_dirty_and_x_where_it_was)
{
    setup();
    client_set_text(&client, 0, "a", "old");
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    const uint64_t x = tier_checkpoint_lsn(store.tier);
    client_set_text(&client, 0, "a", "new");
    client_set_text(&client, 0, "b", "new");
    ck_assert_int_eq(client_delete(&client, 0, "b"), ST_OK);
    cold_fault_commit(1, EIO);
    ck_assert_int_eq(client_checkpoint(&client), ST_IO);
    ck_assert_uint_eq(tier_checkpoint_lsn(store.tier), x);
    ck_assert_cold(0, "a", "old");
    ck_assert_uint_eq(store.failed_count, 1);
    ck_assert_int_eq(dirty_of("a"), HOT_DIRTY);
    ck_assert_uint_eq(METRIC_OF(&store, checkpoint_error_count), 1);
    /* It is tried again by itself. */
    while (tier_checkpoint_lsn(store.tier) == x)
        (void)client_pump(&client, 10);
    ck_assert_cold(0, "a", "new");
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    ck_assert_int_eq(tier_checkpoint_status(store.tier), ST_OK);
    teardown();
}
END_TEST

START_TEST(writes_during_a_checkpoint_that_fails_are_kept)
{
    setup();
    char name[32];
    for (unsigned round = 0; round < 12; round++) {
        for (unsigned index = 0; index < 300; index++) {
            (void)snprintf(name, sizeof(name), "key-%03u", index);
            client_append(&client, 0, name, SLICE_LITERAL("x"));
        }
        cold_fault_commit(1, round % 2 == 0 ? EIO : ENOSPC);
        const uint64_t before = METRIC_OF(&store, checkpoint_error_count);
        tier_checkpoint_request(store.tier, NULL);
        unsigned more = 0;
        while (METRIC_OF(&store, checkpoint_error_count) == before) {
            (void)snprintf(name, sizeof(name), "key-%03u", 299 - more++ % 300);
            client_append(&client, 0, name, SLICE_LITERAL("y"));
        }
        if (round % 3 == 2)
            ck_assert_int_eq(client_checkpoint(&client), ST_OK);
        store_check(&store);
    }
    struct buf before_restart = {0};
    struct buf after_restart = {0};
    for (unsigned index = 0; index < 300; index++) {
        (void)snprintf(name, sizeof(name), "key-%03u", index);
        ck_assert_int_eq(client_get(&client, 0, name, &before_restart), ST_OK);
    }
    restart();
    for (unsigned index = 0; index < 300; index++) {
        (void)snprintf(name, sizeof(name), "key-%03u", index);
        ck_assert_int_eq(client_get(&client, 0, name, &after_restart), ST_OK);
    }
    ck_assert(slice_equal(buf_slice(&before_restart), buf_slice(&after_restart)));
    buf_deinit(&before_restart);
    buf_deinit(&after_restart);
    teardown();
}
END_TEST

START_TEST(dead_spaces_are_given_again_after_a_failure)
{
    setup();
    client_set_cold(&client, 0, "a", "1");
    client_flush(&client, 0);
    cold_fault_commit(1, EIO);
    ck_assert_int_eq(client_checkpoint(&client), ST_IO);
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    struct cold_metrics cold = {0};
    for (unsigned tries = 0; tries < 600; tries++) {
        cold_metrics_read(tier_cold(store.tier), &cold);
        if (metric_get(&cold, record_count) == 0)
            break;
        (void)client_pump(&client, 10);
    }
    ck_assert_uint_eq(metric_get(&cold, record_count), 0);
    teardown();
}
END_TEST

/* I5: if the log cannot be made durable, nothing is committed. */
START_TEST(no_commit_without_a_durable_log)
{
    setup();
    client_set_text(&client, 0, "a", "1");
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    const uint64_t x = tier_checkpoint_lsn(store.tier);
    const struct file_fault fault = {
        .operation = FILE_WRITE, .path_part = ".aof", .nth = 1, .os_errno = ENOSPC, .sticky = true};
    file_fault_add(&fault);
    client_set_text(&client, 0, "a", "2");
    ck_assert_int_eq(client_checkpoint(&client), ST_FULL);
    ck_assert_uint_eq(tier_checkpoint_lsn(store.tier), x);
    ck_assert_cold(0, "a", "1");
    ck_assert_int_eq(tier_may_write(store.tier), ST_FULL); /* I12 */
    ck_assert_value(&client, 0, "a", "2");                 /* reads go on */
    file_fault_clear();
    while (tier_may_write(store.tier) != ST_OK)
        (void)client_pump(&client, 10);
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    ck_assert_cold(0, "a", "2");
    teardown();
}
END_TEST

/* --- requests --------------------------------------------------------------------------------------------------- */

static void note_run(struct task *task)
{
    struct tier_wait *const wait = CONTAINER_OF(task, struct tier_wait, task);
    *(bool *)wait->context = true;
}

static _Atomic uint32_t captures;

static void count_capture(struct store *self)
{
    (void)self;
    atomic_fetch_add(&captures, 1);
}

/* The first checkpoint has begun, perhaps ended: what is asked for then is of a later X. */
START_TEST(a_request_is_answered_by_a_checkpoint_that_began_after_it)
{
    store_init(&store, test_directory_create());
    store.capture_hook = count_capture;
    store_open(&store);
    client_open(&client, &store);
    for (unsigned round = 0; round < 50; round++) {
        client_set_text(&client, 0, "a", "1");
        const uint32_t before = atomic_load(&captures);
        tier_checkpoint_request(store.tier, NULL);
        while (atomic_load(&captures) == before) {
        }
        client_set_text(&client, 0, "a", "2");
        const uint64_t end = aof_end_lsn(tier_aof(store.tier));
        struct tier_wait wait;
        bool ran = false;
        tier_wait_init(&wait, client.turn, note_run);
        wait.context = &ran;
        tier_checkpoint_request(store.tier, &wait);
        while (!ran)
            (void)client_pump(&client, 100);
        ck_assert_int_eq(tier_wait_status(&wait), ST_OK);
        ck_assert_uint_ge(tier_checkpoint_lsn(store.tier), end);
    }
    teardown();
}
END_TEST

START_TEST(a_long_log_tail_starts_a_checkpoint)
{
    store_init(&store, test_directory_create());
    store.options.checkpoint_log_size = (int64_t)(64 * KiB);
    store_open(&store);
    client_open(&client, &store);
    for (unsigned count = 0; count < 20000 && store_metric_checkpoints(&store) == 0; count++)
        client_set_text(&client, 0, "a", "0123456789012345678901234567890123456789");
    while (store_metric_checkpoints(&store) == 0)
        (void)client_pump(&client, 10);
    teardown();
}
END_TEST

START_TEST(many_dirty_keys_start_a_checkpoint)
{
    store_init(&store, test_directory_create());
    store.options.checkpoint_memory = (int64_t)(1 * MiB); /* 16 384 keys */
    store_open(&store);
    client_open(&client, &store);
    char name[32];
    for (unsigned count = 0; count < 17000; count++) {
        (void)snprintf(name, sizeof(name), "key-%u", count);
        client_set_text(&client, 0, name, "1");
    }
    while (store_metric_checkpoints(&store) == 0)
        (void)client_pump(&client, 10);
    teardown();
}
END_TEST

START_TEST(segments_below_x_are_released)
{
    store_init(&store, test_directory_create());
    store.aof_options.segment_size = (int64_t)(64 * KiB);
    store_open(&store);
    client_open(&client, &store);
    struct buf value = {0};
    for (unsigned count = 0; count < 100; count++)
        buf_append_text(&value, "0123456789");
    for (unsigned count = 0; count < 600; count++)
        client_set(&client, 0, "a", buf_slice(&value));
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    client_set_text(&client, 0, "a", "end");
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    ck_assert_uint_gt(aof_first_lsn(tier_aof(store.tier)), 0);
    buf_deinit(&value);
    restart();
    ck_assert_value(&client, 0, "a", "end");
    teardown();
}
END_TEST

TEST_GROUP(tier_checkpoint_group, a_checkpoint_writes_what_is_dirty_and_makes_it_clean,
    the_log_is_durable_up_to_x_in_every_mode, nothing_changed_means_nothing_written,
    a_deleted_record_leaves_the_cold_tier,
    a_record_that_came_and_went_between_checkpoints_never_gets_there,
    all_kinds_of_strings_come_back, writes_during_a_checkpoint_are_not_in_it,
    the_old_image_is_written_when_a_record_changes_before_its_turn, x_never_lies_within_a_group,
    a_flushed_database_is_empty_and_its_records_leave_both_tiers,
    a_database_can_be_filled_and_flushed_while_checkpoints_run,
    values_larger_than_a_transaction_are_staged,
    a_failed_commit_leaves_everything_dirty_and_x_where_it_was,
    writes_during_a_checkpoint_that_fails_are_kept, dead_spaces_are_given_again_after_a_failure,
    no_commit_without_a_durable_log, a_request_is_answered_by_a_checkpoint_that_began_after_it,
    a_long_log_tail_starts_a_checkpoint, many_dirty_keys_start_a_checkpoint,
    segments_below_x_are_released)
