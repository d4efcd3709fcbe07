/*
 * test_log.c: the form of a line, levels, targets, and lines that must not repeat.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "test_main.h"

#include <errno.h>
#include <unistd.h>

static const char *log_path(void)
{
    return test_path(test_directory_create(), "log");
}

static struct buf read_log(const char *path)
{
    struct buf content = {0};
    ck_assert_int_eq(file_read_whole(path, 1 << 20, &content, NULL), ST_OK);
    buf_append_byte(&content, '\0');
    content.size--;
    return content;
}

START_TEST(a_line_has_the_form_of_redis)
{
    const char *const path = log_path();
    ck_assert(log_target_set(path));
    log_level_set(LOG_DEBUG);
    log_debug("test: debug number=%d", 1);
    log_info("test: info");
    log_warn("test: warn");
    log_error("test: error");
    struct buf content = read_log(path);
    char *rest = content.data;
    static const char *const ends[] = {
        " . test: debug number=1", " * test: info", " # test: warn", " # test: error"};
    for (size_t index = 0; index < COUNT_OF(ends); index++) {
        char *const line = strsep(&rest, "\n");
        int pid;
        char role;
        char month[4];
        int day, year, hour, minute, second, millisecond, length = 0;
        ck_assert_int_eq(sscanf(line, "%d:%c %2d %3s %4d %2d:%2d:%2d.%3d%n", &pid, &role, &day,
                             month, &year, &hour, &minute, &second, &millisecond, &length),
            9);
        ck_assert_int_eq(pid, (int)getpid());
        ck_assert_int_eq(role, 'M');
        ck_assert_int_ge(year, 2020);
        ck_assert_str_eq(line + length, ends[index]);
    }
    ck_assert_str_eq(rest, "");
    buf_deinit(&content);
}
END_TEST

START_TEST(lines_below_the_level_are_not_written)
{
    const char *const path = log_path();
    ck_assert(log_target_set(path));
    log_level_set(LOG_WARN);
    ck_assert_int_eq(log_level(), LOG_WARN);
    log_debug("no");
    log_info("no");
    log_warn("yes");
    struct buf content = read_log(path);
    ck_assert_ptr_null(strstr(content.data, "no"));
    ck_assert_ptr_nonnull(strstr(content.data, "yes\n"));
    buf_deinit(&content);
}
END_TEST

START_TEST(a_message_cannot_forge_a_line)
{
    const char *const path = log_path();
    ck_assert(log_target_set(path));
    log_info("text %s", "a\nb\r\x1b[0m\x7f");
    struct buf content = read_log(path);
    ck_assert_ptr_nonnull(strstr(content.data, "text a?b??[0m?\n"));
    ck_assert_ptr_eq(strchr(content.data, '\n'), content.data + content.size - 1);
    buf_deinit(&content);
}
END_TEST

START_TEST(a_long_message_is_cut_to_one_line)
{
    const char *const path = log_path();
    char text[10000];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    ck_assert(log_target_set(path));
    log_info("%s", text);
    log_info("after");
    struct buf content = read_log(path);
    const char *const end = strchr(content.data, '\n');
    ck_assert_int_eq(end - content.data, 4095);
    ck_assert_int_eq(end[-1], 'x');
    ck_assert_ptr_nonnull(strstr(end, "after\n"));
    buf_deinit(&content);
}
END_TEST

START_TEST(a_target_that_cannot_be_opened_leaves_the_old_one)
{
    const char *const path = log_path();
    ck_assert(log_target_set(path));
    ck_assert(!log_target_set("/nonexistent-folder/log"));
    log_info("still here");
    struct buf content = read_log(path);
    ck_assert_ptr_nonnull(strstr(content.data, "still here"));
    buf_deinit(&content);
}
END_TEST

START_TEST(a_new_target_gets_the_next_line_and_old_files_are_kept)
{
    const char *const first = log_path();
    const char *const second = log_path();
    ck_assert(log_target_set(first));
    log_info("one");
    ck_assert(log_target_set(second));
    log_info("two");
    ck_assert(log_target_set(first));
    log_info("three");
    struct buf content = read_log(first);
    ck_assert_ptr_nonnull(strstr(content.data, "one\n"));
    ck_assert_ptr_null(strstr(content.data, "two"));
    ck_assert_ptr_nonnull(strstr(content.data, "three\n"));
    buf_deinit(&content);
    content = read_log(second);
    ck_assert_ptr_nonnull(strstr(content.data, "two\n"));
    buf_deinit(&content);
    ck_assert(log_target_set(""));
}
END_TEST

START_TEST(logging_keeps_errno)
{
    ck_assert(log_target_set(log_path()));
    errno = EXDEV;
    log_info("x");
    ck_assert_int_eq(errno, EXDEV);
}
END_TEST

START_TEST(log_every_is_true_once_per_interval)
{
    _Atomic uint64_t last = 0;
    clock_fake_set(1, 10000000);
    ck_assert(log_every(&last, 1000));
    ck_assert(!log_every(&last, 1000));
    clock_fake_advance(999);
    ck_assert(!log_every(&last, 1000));
    clock_fake_advance(1);
    ck_assert(log_every(&last, 1000));
    ck_assert(!log_every(&last, 1000));
}
END_TEST

START_TEST(log_every_is_true_the_first_time_soon_after_boot)
{
    _Atomic uint64_t last = 0;
    clock_fake_set(1, 0);
    ck_assert(log_every(&last, 1000));
    ck_assert(!log_every(&last, 1000));
}
END_TEST

TEST_GROUP(log_group, a_line_has_the_form_of_redis, lines_below_the_level_are_not_written,
    a_message_cannot_forge_a_line, a_long_message_is_cut_to_one_line,
    a_target_that_cannot_be_opened_leaves_the_old_one,
    a_new_target_gets_the_next_line_and_old_files_are_kept, logging_keeps_errno,
    log_every_is_true_once_per_interval, log_every_is_true_the_first_time_soon_after_boot)
