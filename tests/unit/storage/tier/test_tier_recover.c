/* Recovery: X plus the log gives the state (I6). */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "tier_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static struct store store;
static struct client client;

static void open_all(void)
{
    store_open(&store);
    client_open(&client, &store);
}

static void close_all(bool save)
{
    client_close(&client);
    store_close(&store, save);
}

static void setup(void)
{
    store_init(&store, test_directory_create());
    open_all();
}

/* The only segment, or the last one. */
static bool last_name(void *context, const char *name)
{
    char *const last = context;
    const size_t size = strlen(name);
    if (size > 4 && strcmp(name + size - 4, ".aof") == 0)
        memcpy(last, name, size + 1);
    return true;
}

static const char *last_segment(void)
{
    static char name[256];
    const char *const directory = test_path(store.directory, "aof");
    name[0] = '\0';
    ck_assert_int_eq(file_list(directory, last_name, name, NULL), ST_OK);
    ck_assert_uint_gt(strlen(name), 0);
    return test_path(directory, name);
}

START_TEST(a_new_store_is_empty_and_survives_a_restart)
{
    setup();
    ck_assert_uint_eq(store.recovery.from_lsn, 0);
    ck_assert_uint_eq(store.recovery.to_lsn, 0);
    ck_assert_absent(&client, 0, "a");
    close_all(false);
    open_all();
    ck_assert_absent(&client, 0, "a");
    close_all(true);
    open_all();
    close_all(true);
}
END_TEST

START_TEST(the_log_is_replayed_from_x)
{
    setup();
    client_append(&client, 0, "a", SLICE_LITERAL("1"));
    client_append(&client, 1, "a", SLICE_LITERAL("one"));
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    const uint64_t x = tier_checkpoint_lsn(store.tier);
    client_append(&client, 0, "a", SLICE_LITERAL("2"));
    client_append(&client, 1, "a", SLICE_LITERAL("two"));
    const uint64_t end = aof_end_lsn(tier_aof(store.tier));
    close_all(false);
    open_all();
    ck_assert_uint_eq(store.recovery.from_lsn, x);
    ck_assert_uint_eq(store.recovery.to_lsn, end);
    ck_assert_uint_gt(store.recovery.frame_count, 0);
    ck_assert_value(&client, 0, "a", "12");
    ck_assert_value(&client, 1, "a", "onetwo");
    close_all(false);
}
END_TEST

START_TEST(a_clean_shutdown_leaves_nothing_to_replay)
{
    setup();
    client_append(&client, 0, "a", SLICE_LITERAL("1"));
    close_all(true);
    open_all();
    ck_assert_uint_eq(store.recovery.frame_count, 0);
    ck_assert_uint_eq(store.recovery.from_lsn, store.recovery.to_lsn);
    ck_assert_value(&client, 0, "a", "1");
    close_all(false);
}
END_TEST

START_TEST(recovery_can_be_repeated_any_number_of_times)
{
    setup();
    client_append(&client, 0, "a", SLICE_LITERAL("x"));
    for (unsigned round = 0; round < 8; round++) {
        close_all(false);
        open_all();
        client_append(&client, 0, "a", SLICE_LITERAL("x"));
    }
    ck_assert_value(&client, 0, "a", "xxxxxxxxx");
    close_all(false);
}
END_TEST

START_TEST(a_flush_in_the_tail_is_replayed)
{
    setup();
    client_set_cold(&client, 0, "a", "1");
    client_set_cold(&client, 1, "a", "1");
    client_flush(&client, 0);
    client_set_text(&client, 0, "b", "2");
    close_all(false);
    open_all();
    ck_assert_absent(&client, 0, "a");
    ck_assert_value(&client, 1, "a", "1");
    ck_assert_value(&client, 0, "b", "2");
    close_all(false);
}
END_TEST

/* A second process, as far as file locks can tell. */
static void open_in_use(void *context)
{
    struct store *const again = context;
    struct error error;
    child_detach();
    _exit(store_try_open(again, &error) == ST_BUSY ? 0 : 1);
}

START_TEST(a_store_in_use_is_busy)
{
    setup();
    struct store again;
    store_init(&again, store.directory);
    ck_assert_int_eq(test_exit_status(open_in_use, &again), 0);
    close_all(false);
}
END_TEST

/* H10 is the reader's; what the tier does with its verdict: */
START_TEST(a_torn_tail_is_cut_and_reported)
{
    setup();
    client_append(&client, 0, "a", SLICE_LITERAL("1"));
    ck_assert_int_eq(
        aof_wait_durable(tier_aof(store.tier), aof_end_lsn(tier_aof(store.tier))), ST_OK);
    const uint64_t end = aof_end_lsn(tier_aof(store.tier));
    client_append(&client, 0, "a", SLICE_LITERAL("2"));
    close_all(false);
    const char *const path = last_segment();
    struct buf content = {0};
    ck_assert_int_eq(file_read_whole(path, (size_t)(1 * MiB), &content, NULL), ST_OK);
    buf_append_byte(&content, '\0');
    char line[32];
    (void)snprintf(line, sizeof(line), "#K1 %llu ", (unsigned long long)end);
    const char *const second = strstr(content.data, line);
    ck_assert_ptr_nonnull(second);
    struct file *file = NULL;
    ck_assert_int_eq(file_open(path, FILE_MODE_WRITE, &file, NULL), ST_OK);
    ck_assert_int_eq(file_truncate(file, (uint64_t)(second - content.data) + 30, NULL), ST_OK);
    file_close(file);
    buf_deinit(&content);
    open_all();
    ck_assert(store.recovery.tail.torn);
    ck_assert_uint_eq(store.recovery.to_lsn, end);
    ck_assert_value(&client, 0, "a", "1");
    client_append(&client, 0, "a", SLICE_LITERAL("3"));
    close_all(false);
    open_all();
    ck_assert(!store.recovery.tail.torn);
    ck_assert_value(&client, 0, "a", "13");
    close_all(false);
}
END_TEST

START_TEST(damage_before_the_durable_end_refuses_to_start)
{
    setup();
    for (unsigned count = 0; count < 20; count++) {
        client_append(&client, 0, "a", SLICE_LITERAL("0123456789"));
        ck_assert_int_eq(
            aof_wait_durable(tier_aof(store.tier), aof_end_lsn(tier_aof(store.tier))), ST_OK);
    }
    close_all(false);
    struct file *file = NULL;
    ck_assert_int_eq(file_open(last_segment(), FILE_MODE_WRITE, &file, NULL), ST_OK);
    ck_assert_int_eq(file_write_at(file, 200, "#", 1, NULL, NULL), ST_OK);
    file_close(file);
    struct error error = {0};
    ck_assert_int_eq(store_try_open(&store, &error), ST_CORRUPT);
    ck_assert_ptr_nonnull(strstr(error.message, ".aof"));
}
END_TEST

static bool remove_name(void *context, const char *name)
{
    const char *const path = test_path(context, name);
    ck_assert_int_eq(file_unlink(path, NULL), ST_OK);
    return true;
}

static void remove_all(const char *part)
{
    const char *const directory = test_path(store.directory, part);
    union {
        const char *given;
        void *asked;
    } pointer = {.given = directory};
    ck_assert_int_eq(file_list(directory, remove_name, pointer.asked, NULL), ST_OK);
    ck_assert_int_eq(rmdir(directory), 0);
}

START_TEST(a_lost_log_refuses_to_start)
{
    setup();
    client_append(&client, 0, "a", SLICE_LITERAL("1"));
    close_all(true);
    remove_all("aof");
    struct error error = {0};
    ck_assert_int_eq(store_try_open(&store, &error), ST_CORRUPT);
    ck_assert_ptr_nonnull(strstr(error.message, "aof"));
}
END_TEST

START_TEST(a_lost_cold_tier_refuses_to_start)
{
    setup();
    client_append(&client, 0, "a", SLICE_LITERAL("1"));
    close_all(true);
    remove_all("cold");
    struct error error = {0};
    ck_assert_int_eq(store_try_open(&store, &error), ST_CORRUPT);
    ck_assert_ptr_nonnull(strstr(error.message, "cold"));
}
END_TEST

static enum status refuse(struct store *self)
{
    (void)self;
    return ST_INVALID;
}

/* H4 */
START_TEST(an_effect_that_cannot_be_executed_is_corruption)
{
    setup();
    client_append(&client, 0, "a", SLICE_LITERAL("1"));
    close_all(false);
    store.apply_hook = refuse;
    struct error error = {0};
    ck_assert_int_eq(store_try_open(&store, &error), ST_CORRUPT);
    ck_assert_ptr_nonnull(strstr(error.message, "LSN 0"));
    store.apply_hook = NULL;
    open_all();
    ck_assert_value(&client, 0, "a", "1");
    close_all(false);
}
END_TEST

/* H4: the log meets exactly the state it was made in; a deletion of nothing would be refused by the layer. */
START_TEST(deletions_of_cold_records_are_replayed_on_what_they_met)
{
    setup();
    client_set_cold(&client, 0, "a", "1");
    ck_assert_int_eq(client_delete(&client, 0, "a"), ST_OK);
    client_append(&client, 0, "a", SLICE_LITERAL("2"));
    close_all(false);
    open_all();
    ck_assert_value(&client, 0, "a", "2");
    close_all(false);
}
END_TEST

static void fill(unsigned count)
{
    char name[32];
    struct buf value = {0};
    for (unsigned index = 0; index < 100; index++)
        buf_append_text(&value, "0123456789");
    for (unsigned index = 0; index < count; index++) {
        (void)snprintf(name, sizeof(name), "key-%u", index);
        client_append(&client, 0, name, slice_of(value.data, 500 + index % 500));
    }
    buf_deinit(&value);
}

static void check_filled(unsigned count, size_t times)
{
    char name[32];
    for (unsigned index = 0; index < count; index++) {
        (void)snprintf(name, sizeof(name), "key-%u", index);
        struct buf value = {0};
        ck_assert_int_eq(client_get(&client, 0, name, &value), ST_OK);
        ck_assert_uint_eq(value.size, times * (500 + index % 500));
        buf_deinit(&value);
    }
}

/* I5, H13: the tail does not fit into RAM; checkpoints run between frames, on a log made durable first. */
START_TEST(a_tail_larger_than_memory_is_recovered)
{
    setup();
    fill(8000);
    close_all(false);
    store.options.memory_max = (int64_t)(4 * MiB);
    open_all();
    ck_assert_uint_gt(store.recovery.frame_count, 0);
    ck_assert_uint_gt(store_metric_checkpoints(&store), 0);
    ck_assert_uint_gt(tier_checkpoint_lsn(store.tier), 0);
    check_filled(8000, 1);
    fill(8000);
    close_all(false);
    open_all();
    check_filled(8000, 2);
    close_all(false);
}
END_TEST

static unsigned frames_before_crash;

static enum status crash_later(struct store *self)
{
    (void)self;
    if (frames_before_crash-- == 0)
        _exit(7);
    return ST_OK;
}

static void recover_and_crash(void *context)
{
    struct store *const self = context;
    struct error error;
    child_detach();
    _exit(store_try_open(self, &error) == ST_OK ? 0 : 1);
}

/* H19: a crash in the middle of recovery, with checkpoints behind it, changes nothing. */
START_TEST(a_crash_during_recovery_is_recovered_from)
{
    setup();
    fill(6000);
    close_all(false);
    store.options.memory_max = (int64_t)(4 * MiB);
    for (unsigned frames = 0; frames < 60; frames += 6) {
        frames_before_crash = frames;
        store.apply_hook = crash_later;
        const int status = test_exit_status(recover_and_crash, &store);
        ck_assert(status == 7 || status == 0);
    }
    store.apply_hook = NULL;
    open_all();
    check_filled(6000, 1);
    close_all(false);
}
END_TEST

START_TEST(recovery_reports_a_disk_that_cannot_be_synced)
{
    setup();
    fill(6000);
    close_all(false);
    store.options.memory_max = (int64_t)(4 * MiB);
    const struct file_fault fault = {
        .operation = FILE_SYNC, .path_part = ".aof", .nth = 1, .os_errno = EIO, .sticky = true};
    file_fault_add(&fault);
    struct error error = {0};
    ck_assert_int_eq(store_try_open(&store, &error), ST_IO);
    file_fault_clear();
    open_all();
    ck_assert_uint_eq(store.recovery.from_lsn, 0); /* no checkpoint of what was not durable (H13) */
    check_filled(6000, 1);
    close_all(false);
}
END_TEST

/* H18 */
START_TEST(the_clock_never_shows_less_than_what_was_persisted)
{
    setup();
    const uint64_t now_ms = clock_wall_ms();
    clock_fake_set(now_ms + 3600000, 1000000);
    client_set_text(&client, 0, "a", "1");
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    clock_fake_set(0, 0);
    close_all(false);
    open_all();
    ck_assert_uint_ge(clock_wall_ms(), now_ms + 3600000);
    close_all(false);
}
END_TEST

START_TEST(the_clock_never_shows_less_than_what_the_log_says)
{
    setup();
    const uint64_t now_ms = clock_wall_ms();
    clock_fake_set(now_ms + 7200000, 1000000);
    client_set_text(&client, 0, "a", "1");
    ck_assert_int_eq(
        aof_wait_durable(tier_aof(store.tier), aof_end_lsn(tier_aof(store.tier))), ST_OK);
    clock_fake_set(0, 0);
    close_all(false);
    open_all();
    ck_assert_uint_ge(clock_wall_ms(), now_ms + 7200000);
    close_all(false);
}
END_TEST

static void open_overwriting(void)
{
    store.overwrites = true;
    store.overwritten_count = 0;
    store.overwritten_expiring_count = 0;
    open_all();
}

START_TEST(overwrites_learn_in_the_end_which_keys_had_existed)
{
    setup();
    client_set_cold(&client, 0, "plain", "1");
    client_set_cold(&client, 0, "twice", "1");
    client_set_cold(&client, 0, "untouched", "1");
    ck_assert_int_eq(
        client_set_expiring(&client, 0, "expiring", SLICE_LITERAL("1"), 4000000000000), ST_OK);
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    client_demote(&client, 0, "expiring");
    ck_assert_int_eq(client_set_text(&client, 0, "plain", "2"), ST_OK);
    ck_assert_int_eq(client_set_text(&client, 0, "twice", "2"), ST_OK);
    ck_assert_int_eq(client_set_text(&client, 0, "twice", "3"), ST_OK);
    ck_assert_int_eq(client_set_text(&client, 0, "expiring", "2"), ST_OK);
    ck_assert_int_eq(client_set_text(&client, 0, "new", "1"), ST_OK);
    ck_assert_int_eq(client_delete(&client, 0, "plain"), ST_OK);
    ck_assert_int_eq(client_set_text(&client, 0, "plain", "3"), ST_OK);
    close_all(false);
    open_overwriting();
    ck_assert_uint_eq(store.overwritten_count, 3);
    ck_assert_uint_eq(store.overwritten_expiring_count, 1);
    ck_assert_value(&client, 0, "plain", "3");
    ck_assert_value(&client, 0, "twice", "3");
    ck_assert_value(&client, 0, "expiring", "2");
    ck_assert_value(&client, 0, "new", "1");
    ck_assert_value(&client, 0, "untouched", "1");
    close_all(false);
}
END_TEST

START_TEST(overwrites_are_settled_before_a_checkpoint_of_recovery)
{
    enum { COUNT = 3000 };
    setup();
    char name[16];
    for (unsigned number = 0; number < COUNT; number++) {
        (void)snprintf(name, sizeof(name), "key%u", number);
        ck_assert_int_eq(client_set_text(&client, 0, name, "old"), ST_OK);
    }
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    char value[1000];
    memset(value, 'v', sizeof(value));
    for (unsigned number = 0; number < 2 * COUNT; number++) {
        (void)snprintf(name, sizeof(name), "key%u", number);
        ck_assert_int_eq(client_set(&client, 0, name, slice_of(value, sizeof(value))), ST_OK);
    }
    close_all(false);
    store.options.memory_max = 8 * (int64_t)MiB;
    open_overwriting();
    ck_assert_uint_gt(store_metric_checkpoints(&store), 0);
    ck_assert_uint_eq(store.overwritten_count, COUNT);
    close_all(false);
}
END_TEST

START_TEST(closing_takes_what_was_never_opened)
{
    tier_close(NULL, true);
    store_init(&store, "/proc/no/such/place");
    struct error error = {0};
    ck_assert_int_ne(store_try_open(&store, &error), ST_OK);
    ck_assert_uint_gt(strlen(error.message), 0);
}
END_TEST

TEST_GROUP(tier_recover_group, a_new_store_is_empty_and_survives_a_restart,
    the_log_is_replayed_from_x, a_clean_shutdown_leaves_nothing_to_replay,
    recovery_can_be_repeated_any_number_of_times, a_flush_in_the_tail_is_replayed,
    a_store_in_use_is_busy, a_torn_tail_is_cut_and_reported,
    damage_before_the_durable_end_refuses_to_start, a_lost_log_refuses_to_start,
    a_lost_cold_tier_refuses_to_start, an_effect_that_cannot_be_executed_is_corruption,
    deletions_of_cold_records_are_replayed_on_what_they_met, a_tail_larger_than_memory_is_recovered,
    a_crash_during_recovery_is_recovered_from, recovery_reports_a_disk_that_cannot_be_synced,
    the_clock_never_shows_less_than_what_was_persisted,
    the_clock_never_shows_less_than_what_the_log_says,
    overwrites_learn_in_the_end_which_keys_had_existed,
    overwrites_are_settled_before_a_checkpoint_of_recovery, closing_takes_what_was_never_opened)
