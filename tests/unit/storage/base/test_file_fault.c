/*
 * test_file_fault.c: every operation can be made to fail at the moment a test wants.
 */
#include "base/file.h"
#include "test_main.h"

#include <errno.h>

static const char *directory; /* of the running test */
static const char *path;

static struct file *open_file(void)
{
    struct file *file = NULL;
    ck_assert_int_eq(file_open(path, FILE_MODE_CREATE, &file, NULL), ST_OK);
    return file;
}

static void start(void)
{
    directory = test_directory_create();
    path = test_path(directory, "file");
    file_close(open_file());
    file_fault_clear();
}

/* One call of each operation; its status. */
static enum status call(enum file_operation operation, struct error *error)
{
    struct file *file = NULL;
    char byte;
    size_t count = 0;
    enum status status = ST_OK;
    if (operation == FILE_RENAME)
        return file_rename(path, path, error);
    if (operation == FILE_SYNC_DIR)
        return file_sync_directory(directory, error);
    if (operation == FILE_UNLINK) {
        status = file_unlink(path, error);
        if (status == ST_OK)
            file_close(open_file());
        return status;
    }
    status = file_open(path, FILE_MODE_WRITE, &file, error);
    if (status != ST_OK)
        return status;
    if (operation == FILE_READ)
        status = file_read_at(file, 0, &byte, 1, &count, error);
    if (operation == FILE_WRITE)
        status = file_write_at(file, 0, "ab", 2, NULL, error);
    if (operation == FILE_SYNC)
        status = file_sync(file, error);
    if (operation == FILE_TRUNCATE)
        status = file_truncate(file, 0, error);
    if (operation == FILE_ALLOCATE)
        status = file_fill_zero(file, 0, 1, error);
    file_close(file);
    return status;
}

START_TEST(each_operation_fails_at_its_nth_call_only)
{
    start();
    for (int index = 0; index < FILE_OPERATION_COUNT; index++) {
        const enum file_operation operation = (enum file_operation)index;
        struct error error;
        file_fault_clear();
        file_fault_add(&(struct file_fault){.operation = operation, .nth = 2, .os_errno = EIO});
        ck_assert_int_eq(call(operation, NULL), ST_OK);
        ck_assert_int_eq(call(operation, &error), ST_IO);
        ck_assert_int_eq(error.os_errno, EIO);
        ck_assert_int_eq(error.status, ST_IO);
        ck_assert_ptr_nonnull(strstr(error.message, directory));
        ck_assert_int_eq(call(operation, NULL), ST_OK);
        ck_assert_uint_ge(file_fault_seen(operation), 3);
    }
}
END_TEST

START_TEST(a_sticky_fault_stays_until_it_is_cleared)
{
    start();
    file_fault_add(&(struct file_fault){
        .operation = FILE_SYNC, .path_part = "", .nth = 2, .os_errno = ENOSPC, .sticky = true});
    ck_assert_int_eq(call(FILE_SYNC, NULL), ST_OK);
    for (int round = 0; round < 3; round++)
        ck_assert_int_eq(call(FILE_SYNC, NULL), ST_FULL);
    file_fault_clear();
    ck_assert_int_eq(call(FILE_SYNC, NULL), ST_OK);
}
END_TEST

START_TEST(a_fault_hits_only_its_paths)
{
    start();
    file_fault_add(&(struct file_fault){
        .operation = FILE_WRITE, .path_part = "/other", .nth = 1, .os_errno = EIO});
    ck_assert_int_eq(call(FILE_WRITE, NULL), ST_OK);
    path = test_path(directory, "other");
    file_close(open_file());
    ck_assert_int_eq(call(FILE_WRITE, NULL), ST_IO);
}
END_TEST

START_TEST(a_failed_write_leaves_half_and_says_how_much)
{
    start();
    struct file *const file = open_file();
    size_t written = 99;
    uint64_t size = 0;
    char data[16];
    file_fault_add(&(struct file_fault){.operation = FILE_WRITE, .nth = 1, .os_errno = ENOSPC});
    ck_assert_int_eq(file_write_at(file, 0, "0123456789", 10, &written, NULL), ST_FULL);
    ck_assert_uint_eq(written, 5);
    ck_assert_int_eq(file_size(file, &size, NULL), ST_OK);
    ck_assert_uint_eq(size, 5);
    ck_assert_int_eq(file_write_at(file, 5, "56789", 5, &written, NULL), ST_OK);
    ck_assert_uint_eq(written, 5);
    ck_assert_int_eq(file_read_at(file, 0, data, sizeof(data), &written, NULL), ST_OK);
    ck_assert_slice_eq(slice_of(data, written), slice_text("0123456789"));
    file_close(file);
}
END_TEST

START_TEST(every_quota_and_space_error_is_full)
{
    start();
    file_fault_add(&(struct file_fault){.operation = FILE_ALLOCATE, .nth = 1, .os_errno = EDQUOT});
    ck_assert_int_eq(call(FILE_ALLOCATE, NULL), ST_FULL);
}
END_TEST

START_TEST(calls_are_counted_without_rules)
{
    start();
    ck_assert_uint_eq(file_fault_seen(FILE_RENAME), 0);
    ck_assert_int_eq(call(FILE_RENAME, NULL), ST_OK);
    ck_assert_int_eq(call(FILE_RENAME, NULL), ST_OK);
    ck_assert_uint_eq(file_fault_seen(FILE_RENAME), 2);
    file_fault_clear();
    ck_assert_uint_eq(file_fault_seen(FILE_RENAME), 0);
}
END_TEST

static void write_ten(void *context)
{
    status_ignore(file_write_at(context, 0, "0123456789", 10, NULL, NULL)); /* it exits */
}

START_TEST(a_crash_ends_the_process_in_the_middle_of_the_write)
{
    start();
    struct file *const file = open_file();
    uint64_t size = 0;
    file_fault_add(&(struct file_fault){.operation = FILE_WRITE, .nth = 1, .crash = true});
    ck_assert_int_eq(test_exit_status(write_ten, file), 86);
    ck_assert_int_eq(file_size(file, &size, NULL), ST_OK);
    ck_assert_uint_eq(size, 5);
    file_close(file);
}
END_TEST

/* The old content or the new, never anything else, whichever operation fails or crashes. */
START_TEST(a_replacement_is_whole_or_nothing_at_every_fault)
{
    static const enum file_operation used[] = {
        FILE_OPEN, FILE_TRUNCATE, FILE_WRITE, FILE_SYNC, FILE_RENAME, FILE_SYNC_DIR};
    start();
    for (size_t index = 0; index < COUNT_OF(used); index++) {
        file_fault_clear();
        ck_assert_int_eq(file_replace(path, slice_text("old"), NULL), ST_OK);
        file_fault_add(&(struct file_fault){.operation = used[index], .nth = 1, .os_errno = EIO});
        ck_assert_int_eq(file_replace(path, slice_text("new"), NULL), ST_IO);
        ck_assert(!file_exists(test_path(directory, "file.tmp")));
        struct buf content = {0};
        file_fault_clear();
        ck_assert_int_eq(file_read_whole(path, 100, &content, NULL), ST_OK);
        ck_assert_text_eq(buf_slice(&content), used[index] == FILE_SYNC_DIR ? "new" : "old");
        buf_deinit(&content);
    }
}
END_TEST

static void replace_content(void *context)
{
    (void)context;
    status_ignore(file_replace(path, slice_text("new"), NULL)); /* it may exit */
}

START_TEST(a_replacement_is_whole_or_nothing_at_every_crash)
{
    start();
    for (int index = 0; index < FILE_OPERATION_COUNT; index++) {
        file_fault_clear();
        ck_assert_int_eq(file_replace(path, slice_text("old"), NULL), ST_OK);
        file_fault_add(
            &(struct file_fault){.operation = (enum file_operation)index, .nth = 1, .crash = true});
        const int status = test_exit_status(replace_content, NULL);
        struct buf content = {0};
        file_fault_clear();
        ck_assert_int_eq(file_read_whole(path, 100, &content, NULL), ST_OK);
        const bool is_new = status == 0 || index == FILE_SYNC_DIR;
        ck_assert_text_eq(buf_slice(&content), is_new ? "new" : "old");
        buf_deinit(&content);
    }
}
END_TEST

START_TEST(rules_can_be_written_as_text)
{
    start();
    ck_assert(file_fault_parse("sync:file:2:EIO,rename::1:ENOSPC:sticky", NULL));
    ck_assert_int_eq(call(FILE_SYNC, NULL), ST_OK);
    ck_assert_int_eq(call(FILE_SYNC, NULL), ST_IO);
    ck_assert_int_eq(call(FILE_SYNC, NULL), ST_OK);
    ck_assert_int_eq(call(FILE_RENAME, NULL), ST_FULL);
    ck_assert_int_eq(call(FILE_RENAME, NULL), ST_FULL);
    file_fault_clear();
    ck_assert(file_fault_parse("write:file:1:crash", NULL));
    struct file *const file = open_file();
    ck_assert_int_eq(test_exit_status(write_ten, file), 86);
    file_close(file);
    file_fault_clear();
    ck_assert(file_fault_parse("", NULL));
    ck_assert_int_eq(call(FILE_WRITE, NULL), ST_OK);
}
END_TEST

START_TEST(every_operation_and_error_has_its_word)
{
    static const char *const words[FILE_OPERATION_COUNT] = {
        "open", "read", "write", "sync", "syncdir", "rename", "unlink", "truncate", "allocate"};
    static const struct {
        const char *word;
        int os_errno;
    } errors[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO}, {"EMFILE", EMFILE}, {"EDQUOT", EDQUOT}};
    start();
    for (int index = 0; index < FILE_OPERATION_COUNT; index++) {
        for (size_t which = 0; which < COUNT_OF(errors); which++) {
            char text[100];
            struct error error;
            (void)snprintf(text, sizeof(text), "%s::1:%s", words[index], errors[which].word);
            file_fault_clear();
            ck_assert(file_fault_parse(text, NULL));
            ck_assert_int_ne(call((enum file_operation)index, &error), ST_OK);
            ck_assert_int_eq(error.os_errno, errors[which].os_errno);
        }
    }
}
END_TEST

START_TEST(malformed_rules_are_refused_and_leave_nothing)
{
    static const char *const bad[] = {"sync", "sync:", "sync::", "sync::1",
        "sync::1:", "sync::0:EIO", "sync::x:EIO", "sync::1:EWHAT", "sync::1:EIO:other",
        "sync::1:EIO:sticky:x", "fsync::1:EIO", "sync::1:crash:sticky", "sync::1:EIO,bad",
        ",sync::1:EIO", "sync::-1:EIO", ":::"};
    start();
    for (size_t index = 0; index < COUNT_OF(bad); index++)
        ck_assert_msg(!file_fault_parse(bad[index], NULL), "'%s'", bad[index]);
    ck_assert_int_eq(call(FILE_SYNC, NULL), ST_OK);
}
END_TEST

START_TEST(too_many_rules_are_refused)
{
    struct buf text = {0};
    start();
    for (int index = 0; index < 33; index++)
        buf_append_text(&text, index == 0 ? "sync::9:EIO" : ",sync::9:EIO");
    buf_append_byte(&text, '\0');
    ck_assert(!file_fault_parse(text.data, NULL));
    buf_deinit(&text);
}
END_TEST

START_TEST(rules_rest_while_the_switch_is_away)
{
    start();
    const char *const switch_path = test_path(directory, "switch");
    ck_assert(file_fault_parse("sync:/file:1:ENOSPC:sticky", switch_path));
    ck_assert_int_eq(call(FILE_SYNC, NULL), ST_OK);
    struct file *file = NULL;
    ck_assert_int_eq(file_open(switch_path, FILE_MODE_CREATE, &file, NULL), ST_OK);
    file_close(file);
    ck_assert_int_eq(call(FILE_SYNC, NULL), ST_FULL);
    ck_assert_int_eq(call(FILE_SYNC, NULL), ST_FULL);
    ck_assert_int_eq(file_unlink(switch_path, NULL), ST_OK);
    ck_assert_int_eq(call(FILE_SYNC, NULL), ST_OK);
}
END_TEST

TEST_GROUP(file_fault_group, each_operation_fails_at_its_nth_call_only,
    a_sticky_fault_stays_until_it_is_cleared, a_fault_hits_only_its_paths,
    a_failed_write_leaves_half_and_says_how_much, every_quota_and_space_error_is_full,
    calls_are_counted_without_rules, a_crash_ends_the_process_in_the_middle_of_the_write,
    a_replacement_is_whole_or_nothing_at_every_fault,
    a_replacement_is_whole_or_nothing_at_every_crash, rules_can_be_written_as_text,
    every_operation_and_error_has_its_word, malformed_rules_are_refused_and_leave_nothing,
    too_many_rules_are_refused, rules_rest_while_the_switch_is_away)
