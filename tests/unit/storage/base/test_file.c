/*
 * test_file.c: files without faults.
 */
#include "base/file.h"
#include "base/thread.h"
#include "test_main.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static struct file *open_new(const char *path)
{
    struct file *file = NULL;
    ck_assert_int_eq(file_open(path, FILE_MODE_CREATE_NEW, &file, NULL), ST_OK);
    return file;
}

static struct buf content_of(const char *path)
{
    struct buf content = {0};
    ck_assert_int_eq(file_read_whole(path, 1 << 24, &content, NULL), ST_OK);
    return content;
}

START_TEST(modes_open_what_they_say)
{
    const char *const path = test_path(test_directory_create(), "file");
    struct file *file = NULL;
    struct error error;
    ck_assert_int_eq(file_open(path, FILE_MODE_READ, &file, &error), ST_NOT_FOUND);
    ck_assert_int_eq(error.os_errno, ENOENT);
    ck_assert_ptr_nonnull(strstr(error.message, path));
    ck_assert_int_eq(file_open(path, FILE_MODE_WRITE, &file, NULL), ST_NOT_FOUND);
    ck_assert_ptr_null(file);
    ck_assert(!file_exists(path));
    file_close(open_new(path));
    ck_assert(file_exists(path));
    ck_assert_int_eq(file_open(path, FILE_MODE_CREATE_NEW, &file, NULL), ST_EXISTS);
    ck_assert_int_eq(file_open(path, FILE_MODE_CREATE, &file, NULL), ST_OK);
    ck_assert_str_eq(file_path(file), path);
    ck_assert_int_ge(file_descriptor(file), 0);
    file_close(file);
    ck_assert_int_eq(file_open(path, FILE_MODE_READ, &file, NULL), ST_OK);
    ck_assert_int_eq(file_write_at(file, 0, "x", 1, NULL, &error), ST_IO);
    file_close(file);
    file_close(NULL);
}
END_TEST

START_TEST(what_is_written_is_read_where_it_was_written)
{
    struct file *const file = open_new(test_path(test_directory_create(), "file"));
    size_t size = 0;
    uint64_t whole = 0;
    char data[16];
    ck_assert_int_eq(file_write_at(file, 5, "hello", 5, &size, NULL), ST_OK);
    ck_assert_uint_eq(size, 5);
    ck_assert_int_eq(file_size(file, &whole, NULL), ST_OK);
    ck_assert_uint_eq(whole, 10);
    ck_assert_int_eq(file_read_at(file, 4, data, sizeof(data), &size, NULL), ST_OK);
    ck_assert_slice_eq(slice_of(data, size), slice_of("\0hello", 6)); /* short: end of file */
    ck_assert_int_eq(file_read_at(file, 100, data, sizeof(data), &size, NULL), ST_OK);
    ck_assert_uint_eq(size, 0);
    ck_assert_int_eq(file_sync(file, NULL), ST_OK);
    ck_assert_int_eq(file_truncate(file, 7, NULL), ST_OK);
    ck_assert_int_eq(file_read_at(file, 5, data, sizeof(data), &size, NULL), ST_OK);
    ck_assert_slice_eq(slice_of(data, size), slice_text("he"));
    file_close(file);
}
END_TEST

START_TEST(filling_with_zeros_takes_real_space)
{
    struct file *const file = open_new(test_path(test_directory_create(), "file"));
    const uint64_t size = 1000000; /* not a multiple of anything */
    struct stat info;
    char byte = 'x';
    size_t count = 0;
    uint64_t whole = 0;
    ck_assert_int_eq(file_write_at(file, 0, "ab", 2, NULL, NULL), ST_OK);
    ck_assert_int_eq(file_fill_zero(file, 1, size, NULL), ST_OK);
    ck_assert_int_eq(file_size(file, &whole, NULL), ST_OK);
    ck_assert_uint_eq(whole, size + 1);
    ck_assert_int_eq(fstat(file_descriptor(file), &info), 0);
    ck_assert_int_ge(info.st_blocks * 512, 1000000);
    ck_assert_int_eq(file_read_at(file, 0, &byte, 1, &count, NULL), ST_OK);
    ck_assert_int_eq(byte, 'a');
    ck_assert_int_eq(file_read_at(file, 1, &byte, 1, &count, NULL), ST_OK);
    ck_assert_int_eq(byte, 0);
    file_close(file);
}
END_TEST

START_TEST(a_lock_keeps_others_out_until_close)
{
    const char *const path = test_path(test_directory_create(), "file");
    struct file *const first = open_new(path);
    struct file *second = NULL;
    struct error error;
    ck_assert_int_eq(file_open(path, FILE_MODE_WRITE, &second, NULL), ST_OK);
    ck_assert_int_eq(file_lock(first, NULL), ST_OK);
    ck_assert_int_eq(file_lock(second, &error), ST_BUSY);
    ck_assert_ptr_nonnull(strstr(error.message, path));
    file_close(first);
    ck_assert_int_eq(file_lock(second, NULL), ST_OK);
    file_close(second);
}
END_TEST

START_TEST(names_change_and_go)
{
    const char *const directory = test_directory_create();
    const char *const from = test_path(directory, "from");
    const char *const to = test_path(directory, "to");
    file_close(open_new(from));
    ck_assert_int_eq(file_rename(from, to, NULL), ST_OK);
    ck_assert(!file_exists(from));
    ck_assert(file_exists(to));
    ck_assert_int_eq(file_sync_directory(directory, NULL), ST_OK);
    ck_assert_int_eq(file_rename(from, to, NULL), ST_NOT_FOUND);
    ck_assert_int_eq(file_unlink(to, NULL), ST_OK);
    ck_assert_int_eq(file_unlink(to, NULL), ST_NOT_FOUND);
    ck_assert_int_eq(file_sync_directory(from, NULL), ST_NOT_FOUND);
}
END_TEST

START_TEST(directories_are_made_with_their_parents)
{
    const char *const top = test_directory_create();
    const char *const deep = test_path(top, "a/b/c");
    const char *const slash = test_path(top, "d/e/");
    const char *const file = test_path(top, "file");
    ck_assert_int_eq(file_make_directory(deep, NULL), ST_OK);
    ck_assert(file_exists(deep));
    ck_assert_int_eq(file_make_directory(deep, NULL), ST_OK);
    ck_assert_int_eq(file_make_directory(slash, NULL), ST_OK);
    ck_assert(file_exists(slash));
    file_close(open_new(file));
    struct error error;
    ck_assert_int_eq(file_make_directory(file, &error), ST_IO);
    ck_assert_int_eq(error.os_errno, ENOTDIR);
    ck_assert_int_eq(file_make_directory(test_path(file, "under"), NULL), ST_IO);
}
END_TEST

START_TEST(a_whole_file_is_appended_up_to_its_limit)
{
    const char *const path = test_path(test_directory_create(), "file");
    struct buf expected = {0};
    for (int index = 0; index < 200000; index++)
        buf_append_byte(&expected, (char)('a' + index % 26));
    ck_assert_int_eq(file_replace(path, buf_slice(&expected), NULL), ST_OK);
    struct buf content = {0};
    buf_append_text(&content, "before");
    ck_assert_int_eq(file_read_whole(path, expected.size, &content, NULL), ST_OK);
    ck_assert_text_eq(slice_of(content.data, 6), "before");
    ck_assert_slice_eq(slice_of(content.data + 6, content.size - 6), buf_slice(&expected));
    ck_assert_int_eq(file_read_whole(path, expected.size - 1, &content, NULL), ST_FULL);
    ck_assert_int_eq(file_read_whole("/nonexistent-file", 10, &content, NULL), ST_NOT_FOUND);
    buf_deinit(&content);
    buf_deinit(&expected);
}
END_TEST

START_TEST(replacing_leaves_the_new_content_alone)
{
    const char *const directory = test_directory_create();
    const char *const path = test_path(directory, "file");
    const char *const temporary = test_path(directory, "file.tmp");
    ck_assert_int_eq(file_replace(path, slice_text("old and longer"), NULL), ST_OK);
    struct file *const left_behind = open_new(temporary); /* by a crash */
    ck_assert_int_eq(file_write_at(left_behind, 0, "rubbish rubbish", 15, NULL, NULL), ST_OK);
    file_close(left_behind);
    ck_assert_int_eq(file_replace(path, slice_text("new"), NULL), ST_OK);
    struct buf content = content_of(path);
    ck_assert_text_eq(buf_slice(&content), "new");
    buf_deinit(&content);
    ck_assert(!file_exists(temporary));
    ck_assert_int_eq(file_replace(path, slice_of(NULL, 0), NULL), ST_OK);
    content = content_of(path);
    ck_assert_uint_eq(content.size, 0);
    buf_deinit(&content);
}
END_TEST

START_TEST(replacing_works_in_the_current_directory)
{
    ck_assert_int_eq(chdir(test_directory_create()), 0);
    ck_assert_int_eq(file_replace("file", slice_text("x"), NULL), ST_OK);
    ck_assert(file_exists("file"));
}
END_TEST

struct names {
    struct buf text;
    size_t limit;
};

static bool collect(void *context, const char *name)
{
    struct names *const names = context;
    buf_append_text(&names->text, name);
    buf_append_byte(&names->text, ' ');
    return --names->limit > 0;
}

START_TEST(a_listing_is_sorted_and_can_be_stopped)
{
    const char *const directory = test_directory_create();
    static const char *const made[] = {"b", "c", "a", ".hidden"};
    struct names names = {.limit = 100};
    ck_assert_int_eq(file_list(directory, collect, &names, NULL), ST_OK);
    ck_assert_uint_eq(names.text.size, 0);
    for (size_t index = 0; index < COUNT_OF(made); index++)
        file_close(open_new(test_path(directory, made[index])));
    ck_assert_int_eq(file_list(directory, collect, &names, NULL), ST_OK);
    ck_assert_text_eq(buf_slice(&names.text), ".hidden a b c ");
    buf_clear(&names.text);
    names.limit = 2;
    ck_assert_int_eq(file_list(directory, collect, &names, NULL), ST_OK);
    ck_assert_text_eq(buf_slice(&names.text), ".hidden a ");
    buf_deinit(&names.text);
    ck_assert_int_eq(file_list(test_path(directory, "none"), collect, &names, NULL), ST_NOT_FOUND);
}
END_TEST

START_TEST(a_filesystem_has_less_free_than_total)
{
    uint64_t free_bytes = 0;
    uint64_t total_bytes = 0;
    ck_assert_int_eq(
        file_system_space(test_directory_create(), &free_bytes, &total_bytes, NULL), ST_OK);
    ck_assert_uint_gt(total_bytes, 0);
    ck_assert_uint_le(free_bytes, total_bytes);
    ck_assert_int_eq(
        file_system_space("/nonexistent", &free_bytes, &total_bytes, NULL), ST_NOT_FOUND);
}
END_TEST

enum { OPERATION_COUNT = 16 };

struct attempt {
    int operation;
    struct file *file; /* opened before */
    const char *path;
};

static bool visit_nothing(void *context, const char *name)
{
    (void)context, (void)name;
    return true;
}

static void use_a_file(void *context)
{
    const struct attempt *const attempt = context;
    struct file *const file = attempt->file;
    const char *const path = attempt->path;
    char byte = 'x';
    size_t size = 0;
    uint64_t number = 0;
    struct file *other = NULL;
    struct buf content = {0};
    thread_forbid_blocking();
    switch (attempt->operation) {
    case 0: (void)!file_open(path, FILE_MODE_READ, &other, NULL); break;
    case 1: (void)!file_read_at(file, 0, &byte, 1, &size, NULL); break;
    case 2: (void)!file_write_at(file, 0, &byte, 1, NULL, NULL); break;
    case 3: (void)!file_sync(file, NULL); break;
    case 4: (void)!file_truncate(file, 0, NULL); break;
    case 5: (void)!file_fill_zero(file, 0, 1, NULL); break;
    case 6: (void)!file_size(file, &number, NULL); break;
    case 7: (void)!file_lock(file, NULL); break;
    case 8: (void)!file_rename(path, path, NULL); break;
    case 9: (void)!file_unlink(path, NULL); break;
    case 10: (void)!file_sync_directory("/", NULL); break;
    case 11: (void)!file_make_directory("/", NULL); break;
    case 12: (void)file_exists(path); break;
    case 13: (void)!file_read_whole(path, 1, &content, NULL); break;
    case 14: (void)!file_list("/", visit_nothing, NULL, NULL); break;
    default: (void)!file_system_space("/", &number, &number, NULL); break;
    }
    buf_deinit(&content);
}

/* I9: each operation by itself. */
START_TEST(a_thread_that_must_not_wait_cannot_use_files)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/file", test_directory_create());
    struct attempt attempt = {.path = path};
    ck_assert_int_eq(file_open(path, FILE_MODE_CREATE, &attempt.file, NULL), ST_OK);
    for (; attempt.operation < OPERATION_COUNT; attempt.operation++)
        ck_assert_msg(test_aborts(use_a_file, &attempt), "operation %d", attempt.operation);
    file_close(attempt.file);
}
END_TEST

TEST_GROUP(file_group, modes_open_what_they_say, what_is_written_is_read_where_it_was_written,
    filling_with_zeros_takes_real_space, a_lock_keeps_others_out_until_close, names_change_and_go,
    directories_are_made_with_their_parents, a_whole_file_is_appended_up_to_its_limit,
    replacing_leaves_the_new_content_alone, replacing_works_in_the_current_directory,
    a_listing_is_sorted_and_can_be_stopped, a_filesystem_has_less_free_than_total,
    a_thread_that_must_not_wait_cannot_use_files)

void file_group(TCase *tests);
void file_fault_group(TCase *tests);

TEST_MAIN_GROUPS("base.file", file_group, file_fault_group)
