/*
 * The n-th write, fdatasync, open, rename... of a small life of a store fails, for every n (H7, H11, H15, H19, I12): the store refuses to
 * open, or goes on, or says that the process must end; and after the next start nothing acknowledged is missing.
 */
#include "base/file.h"
#include "base/log.h"
#include "tier_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { KEY_COUNT = 4, ROUND_COUNT = 6, NTH_MAX = 400 };

static struct store store;
static struct client client;
static char expected[KEY_COUNT][256];

static void key_name(unsigned key, char name[32])
{
    (void)snprintf(name, 32, "key-%u", key);
}

static bool is_fatal(void)
{
    return atomic_load(&store.fatal);
}

/* Retries while the log or the checkpoints say no; false if the process would have ended. */
static bool append_letter(unsigned key, char letter)
{
    char name[32];
    key_name(key, name);
    for (unsigned tries = 0; tries < 4000; tries++) {
        const enum status status = client_append(&client, 0, name, slice_of(&letter, 1));
        if (status == ST_OK) {
            const size_t size = strlen(expected[key]);
            expected[key][size] = letter;
            expected[key][size + 1] = '\0';
            return true;
        }
        if (is_fatal())
            return false;
        ck_assert_msg(status == ST_FULL || status == ST_IO, "append: %s", status_name(status));
        (void)client_pump(&client, 5);
    }
    ck_abort_msg("writers were never let go on");
    return false;
}

static void check_values(bool exact)
{
    char name[32];
    for (unsigned key = 0; key < KEY_COUNT; key++) {
        key_name(key, name);
        struct buf value = {0};
        const enum status status = client_get(&client, 0, name, &value);
        ck_assert_msg(status == ST_OK || status == ST_NOT_FOUND, "get: %s", status_name(status));
        const struct slice all = slice_text(expected[key]);
        if (exact)
            ck_assert_slice_eq(buf_slice(&value), all);
        ck_assert_uint_le(value.size, all.size);
        ck_assert_slice_eq(buf_slice(&value), slice_of(all.data, value.size));
        buf_deinit(&value);
    }
}

/* Appends, checkpoints, demotes and reads; false if the process would have ended on the way. */
static bool live(void)
{
    char name[32];
    for (unsigned round = 0; round < ROUND_COUNT; round++) {
        for (unsigned key = 0; key < KEY_COUNT; key++) {
            if (!append_letter(key, (char)('a' + round)))
                return false;
        }
        if (round % 2 == 0 && client_checkpoint(&client) == ST_OK) {
            key_name(round % KEY_COUNT, name);
            client_demote(&client, 0, name);
        }
        check_values(true);
        if (is_fatal())
            return false;
    }
    return true;
}

/* One life with the fault, one after it. True if the fault came to pass. */
static bool live_with_fault(const struct file_fault *fault)
{
    const char *const directory = test_directory_create();
    memset(expected, 0, sizeof(expected));
    store_init(&store, directory);
    store.aof_options.sync_mode = (int64_t)(fault->nth % 3);
    store.aof_options.segment_size = (int64_t)(64 * KiB);
    store_open(&store); /* what follows is about a store that exists */
    client_open(&client, &store);
    (void)append_letter(0, 'A');
    client_close(&client);
    store_close(&store, false);

    file_fault_clear();
    file_fault_add(fault);
    bool ended = false;
    struct error error = {0};
    const enum status status = store_try_open(&store, &error);
    if (status == ST_OK) {
        client_open(&client, &store);
        ended = !live();
        if (fault->sticky)
            file_fault_clear();
        client_close(&client);
        ended |= is_fatal();
        store_close(&store, true);
        ended |= is_fatal();
    } else {
        ck_assert_uint_gt(strlen(error.message), 0);
    }
    const bool seen = file_fault_seen(fault->operation) >= fault->nth;
    file_fault_clear();

    atomic_store(&store.fatal, false);
    store_open(&store);
    client_open(&client, &store);
    check_values(!ended);
    ck_assert(append_letter(1, 'Z'));
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    client_close(&client);
    store_close(&store, true);
    return seen;
}

static void loop(enum file_operation operation, int os_errno)
{
    log_level_set(LOG_ERROR);
    struct file_fault fault = {.operation = operation, .path_part = "", .os_errno = os_errno};
    for (fault.nth = 1; fault.nth < NTH_MAX; fault.nth++) {
        if (!live_with_fault(&fault))
            return;
    }
    ck_abort_msg("the life is longer than the test expects");
}

START_TEST(any_write_may_fail)
{
    loop(FILE_WRITE, EIO);
}
END_TEST

START_TEST(the_disk_may_be_full_at_any_write)
{
    loop(FILE_WRITE, ENOSPC);
}
END_TEST

START_TEST(any_sync_may_fail)
{
    loop(FILE_SYNC, EIO);
}
END_TEST

START_TEST(any_sync_of_a_directory_may_fail)
{
    loop(FILE_SYNC_DIR, EIO);
}
END_TEST

START_TEST(any_open_may_fail)
{
    loop(FILE_OPEN, EMFILE);
}
END_TEST

START_TEST(any_rename_may_fail)
{
    loop(FILE_RENAME, EIO);
}
END_TEST

START_TEST(any_unlink_may_fail)
{
    loop(FILE_UNLINK, EIO);
}
END_TEST

START_TEST(any_truncation_may_fail)
{
    loop(FILE_TRUNCATE, EIO);
}
END_TEST

START_TEST(any_allocation_may_fail)
{
    loop(FILE_ALLOCATE, ENOSPC);
}
END_TEST

/* H15: commits fail for want of space until the ballast is released; then they go through. */
START_TEST(the_ballast_lets_a_checkpoint_through)
{
    log_level_set(LOG_ERROR);
    store_init(&store, test_directory_create());
    store.cold_options.reserve = (int64_t)(1 * MiB);
    store_open(&store);
    client_open(&client, &store);
    memset(expected, 0, sizeof(expected));
    ck_assert(append_letter(0, 'a'));
    const struct file_fault fault = {
        .operation = FILE_SYNC, .path_part = "data.mdb", .nth = 1, .os_errno = ENOSPC};
    file_fault_add(&fault);
    ck_assert_int_eq(client_checkpoint(&client), ST_FULL);
    ck_assert(!cold_ballast_release(tier_cold(store.tier))); /* it is gone already */
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    ck_assert(cold_ballast_release(tier_cold(store.tier))); /* and was made again */
    client_close(&client);
    store_close(&store, true);
}
END_TEST

/* H19: the creation of a store, cut short at any operation, leaves something that opens. */
static void create_store(void *context)
{
    const struct file_fault *const fault = context;
    child_detach();
    file_fault_add(fault);
    struct error error = {0};
    log_level_set(LOG_ERROR);
    if (store_try_open(&store, &error) != ST_OK)
        _exit(2);
    client_open(&client, &store);
    (void)append_letter(0, 'a');
    (void)client_checkpoint(&client);
    client_close(&client);
    store_close(&store, true);
    _exit(0);
}

START_TEST(a_store_may_crash_at_any_moment_of_its_creation)
{
    log_level_set(LOG_ERROR);
    for (int operation = FILE_OPEN; operation < FILE_OPERATION_COUNT; operation++) {
        int status = 86;
        for (uint64_t nth = 1; status == 86; nth++) {
            struct file_fault fault = {.operation = (enum file_operation)operation,
                .path_part = "",
                .nth = nth,
                .crash = true};
            ck_assert_uint_lt(nth, NTH_MAX);
            memset(expected, 0, sizeof(expected));
            store_init(&store, test_directory_create());
            status = test_exit_status(create_store, &fault);
            ck_assert_msg(status == 86 || status == 0, "status %d", status);
            expected[0][0] = 'a';
            store_open(&store);
            client_open(&client, &store);
            check_values(status == 0);
            client_close(&client);
            store_close(&store, true);
        }
    }
}
END_TEST

TEST_MAIN("fault.tier", any_write_may_fail, the_disk_may_be_full_at_any_write, any_sync_may_fail,
    any_sync_of_a_directory_may_fail, any_open_may_fail, any_rename_may_fail, any_unlink_may_fail,
    any_truncation_may_fail, any_allocation_may_fail, the_ballast_lets_a_checkpoint_through,
    a_store_may_crash_at_any_moment_of_its_creation)
