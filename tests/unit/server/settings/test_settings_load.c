/*
 * test_settings_load.c: config files and command lines, good and bad.
 */
#include "settings_support.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

START_TEST(without_arguments_the_defaults_hold)
{
    struct settings *const settings = settings_create();
    struct error error = {0};
    ck_assert_int_eq(settings_load(settings, 0, NULL, &error), ST_OK);
    ck_assert_int_eq(OPTION_GET(&settings->server, port), 6379);
    ck_assert_int_eq(OPTION_GET(&settings->tier, memory_max), 0);
    ck_assert_int_eq(OPTION_GET(&settings->aof, sync_mode), AOF_SYNC_EVERYSEC);
    ck_assert_ptr_null(settings->file_path);
    check_option(settings, "bind", "* -::*");
    check_option(settings, "loglevel", "notice");
    check_option(settings, "maxmemory-policy", "noeviction");
    check_option(settings, "save", "3600 1 300 100 60 10000");
    char start[PATH_MAX];
    ck_assert_ptr_nonnull(getcwd(start, sizeof(start)));
    char *const directory = settings_text(settings, "dir");
    ck_assert(strncmp(directory, start, strlen(start)) == 0);
    ck_assert_str_eq(directory + strlen(start), "/data");
    mem_free(directory);
    settings_destroy(settings);
}
END_TEST

START_TEST(the_command_line_overrides_the_file)
{
    struct settings *const settings = settings_create();
    const char *const path = test_path(test_directory_create(), "kelvin.conf");
    write_file(
        path, "# a comment\n\n  port 7001\n\tTIMEOUT 5\r\nmaxmemory 100mb\nloglevel verbose");
    check_load(settings, path, "--port", "7000", "--bind", "127.0.0.1", "::1", "--maxmemory 1gb",
        "--requirepass", "--secret", "--dir", "/tmp");
    ck_assert_int_eq(OPTION_GET(&settings->server, port), 7000);
    ck_assert_int_eq(OPTION_GET(&settings->server, timeout_s), 5);
    ck_assert_int_eq(OPTION_GET(&settings->tier, memory_max), (int64_t)GiB);
    check_option(settings, "bind", "127.0.0.1 ::1");
    check_option(settings, "loglevel", "verbose");
    check_option(settings, "requirepass", "--secret");
    check_option(settings, "dir", "/tmp");
    char real[PATH_MAX];
    ck_assert_ptr_nonnull(realpath(path, real));
    ck_assert_str_eq(settings->file_path, real);
    settings_destroy(settings);
}
END_TEST

START_TEST(an_empty_save_needs_no_value)
{
    static const char *const lines[][3] = {
        {"--save", "", "--port"}, {"--save", "--port", "7"}, {"--port", "7", "--save"}};
    static const int counts[] = {2, 3, 3};
    for (size_t index = 0; index < COUNT_OF(lines); index++) {
        struct settings *const settings = settings_create();
        struct error error = {0};
        ck_assert_int_eq(settings_load(settings, counts[index], lines[index], &error), ST_OK);
        check_option(settings, "save", "");
        settings_destroy(settings);
    }
}
END_TEST

START_TEST(lines_of_save_add_up)
{
    struct settings *const settings = settings_create();
    check_line(settings, "save 900 1");
    check_line(settings, "save 300 10 60 100");
    check_option(settings, "save", "900 1 300 10 60 100");
    check_line(settings, "save \"\"");
    check_option(settings, "save", "");
    check_line(settings, "save 5 5");
    check_option(settings, "save", "5 5");
    check_line_refused(settings, "save 5", "line 12: save: Invalid save parameters");
    check_line_refused(settings, "save abc 1", "line 12: save: Invalid save parameters");
    check_line_refused(settings, "save 0 1", "line 12: save: Invalid save parameters");
    settings_destroy(settings);
}
END_TEST

START_TEST(quotes_make_one_value)
{
    struct settings *const settings = settings_create();
    check_line(settings, "requirepass \"a b\\x41\\\"\"");
    check_option(settings, "requirepass", "a bA\"");
    check_line(settings, "logfile ''");
    check_option(settings, "logfile", "");
    check_line(settings, "unixsocket '/tmp/a b'");
    check_option(settings, "unixsocket", "/tmp/a b");
    check_line_refused(settings, "dir \"unbal", "line 12: Unbalanced quotes in configuration line");
    settings_destroy(settings);
}
END_TEST

START_TEST(what_cannot_be_is_refused_with_its_line)
{
    struct settings *const settings = settings_create();
    check_line_refused(
        settings, "maxmemroy 5", "line 12: unknown option 'maxmemroy'; did you mean 'maxmemory'?");
    check_line_refused(
        settings, "something-else-entirely 1", "line 12: unknown option 'something-else-entirely'");
    check_line_refused(
        settings, "port abc", "line 12: port: argument couldn't be parsed into an integer");
    check_line_refused(
        settings, "port 70000", "line 12: port: argument must be between 0 and 65535 inclusive");
    check_line_refused(settings, "timeout", "line 12: timeout: wrong number of arguments");
    check_line_refused(settings, "timeout 5 6", "line 12: timeout: wrong number of arguments");
    check_line_refused(settings, "protected-mode maybe",
        "line 12: protected-mode: argument must be 'yes' or 'no'");
    check_line_refused(settings, "unixsocketperm 999",
        "line 12: unixsocketperm: argument couldn't be parsed as an octal number");
    check_line_refused(settings, "unixsocketperm 1000",
        "line 12: unixsocketperm: argument must be between 0 and 777 inclusive");
    check_line_refused(settings, "maxmemory-clients 101%",
        "line 12: maxmemory-clients: percentage argument must be less or equal to 100");
    check_line_refused(settings, "appendfilename a/b",
        "line 12: appendfilename: appendfilename can't be a path, just a filename");
    check_line_refused(settings, "client-output-buffer-limit normal 0 0",
        "line 12: client-output-buffer-limit: Wrong number of arguments in buffer limit "
        "configuration.");
    check_line_refused(
        settings, "loadmodule x.so", "line 12: loadmodule: modules are not supported");
    check_line_refused(settings, "include", "line 12: include: wrong number of arguments");
    check_line_refused(
        settings, "rename-command a b c", "line 12: rename-command: wrong number of arguments");
    check_line_refused(settings, "\"\" 1", "line 12: unknown option ''");
    ck_assert_int_eq(OPTION_GET(&settings->server, port), 6379);
    settings_destroy(settings);
}
END_TEST

START_TEST(errors_of_files_and_arguments_say_where)
{
    struct settings *const settings = settings_create();
    const char *const path = test_path(test_directory_create(), "a.conf");
    struct error error = {0};
    char expected[PATH_MAX + 100];
    write_file(path, "port 1\n# two\n\nhzz 5\n");
    ck_assert_int_eq(load(settings, &error, path), ST_INVALID);
    (void)snprintf(
        expected, sizeof(expected), "%s:4: unknown option 'hzz'; did you mean 'hz'?", path);
    ck_assert_str_eq(error.message, expected);
    ck_assert_int_eq(load(settings, &error, "--hz"), ST_INVALID);
    ck_assert_str_eq(error.message, "command line: hz: wrong number of arguments");
    ck_assert_int_eq(load(settings, &error, "--hz", "5", "6"), ST_INVALID);
    ck_assert_str_eq(error.message, "command line: hz: wrong number of arguments");
    ck_assert_int_eq(load(settings, &error, "--nonexistent", "3"), ST_INVALID);
    ck_assert_str_eq(error.message, "command line: unknown option 'nonexistent'");
    ck_assert_int_ne(load(settings, &error, "/nonexistent/kelvin.conf"), ST_OK);
    ck_assert_ptr_nonnull(strstr(error.message, "/nonexistent/kelvin.conf"));
    ck_assert_int_eq(load(settings, &error, "--port", "x"), ST_INVALID);
    settings_destroy(settings);
}
END_TEST

START_TEST(files_include_others_by_name_and_pattern)
{
    struct settings *const settings = settings_create();
    const char *const directory = test_directory_create();
    const char *const path = test_path(directory, "main.conf");
    struct buf text = {0};
    buf_append_format(&text, "port 1\ninclude %s\ninclude \"%s\"\ninclude %s\n",
        test_path(directory, "one.inc"), test_path(directory, "*.part"),
        test_path(directory, "none-*.part"));
    buf_append_byte(&text, '\0');
    write_file(path, text.data);
    write_file(test_path(directory, "one.inc"), "port 2\ntimeout 7\n");
    write_file(test_path(directory, "a.part"), "hz 20\n");
    write_file(test_path(directory, "b.part"), "hz 30\n");
    check_load(settings, path);
    check_option(settings, "port", "2");
    check_option(settings, "timeout", "7");
    check_option(settings, "hz", "30");
    struct error error = {0};
    write_file(test_path(directory, "b.part"), "hz abc\n");
    ck_assert_int_eq(load(settings, &error, path), ST_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "b.part:1: hz: "));
    buf_clear(&text);
    buf_append_format(&text, "include %s\n", path);
    buf_append_byte(&text, '\0');
    write_file(path, text.data);
    ck_assert_int_eq(load(settings, &error, path), ST_INVALID);
    ck_assert_ptr_nonnull(strstr(error.message, "too deeply"));
    buf_deinit(&text);
    settings_destroy(settings);
}
END_TEST

static void read_stdin(void *context)
{
    const char *const path = context;
    if (freopen(path, "r", stdin) == NULL)
        _exit(1);
    struct settings *const settings = settings_create();
    struct error error = {0};
    const char *const argv[] = {"-", "--hz", "50"};
    if (settings_load(settings, 3, argv, &error) != ST_OK)
        _exit(2);
    const bool good =
        OPTION_GET(&settings->server, timeout_s) == 9 && OPTION_GET(&settings->server, hz) == 50;
    settings_destroy(settings);
    _exit(good ? 0 : 3);
}

START_TEST(a_dash_reads_standard_input)
{
    const char *const path = test_path(test_directory_create(), "stdin");
    write_file(path, "timeout 9\nhz 40\n");
    ck_assert_int_eq(test_exit_status(read_stdin, (void *)(uintptr_t)path), 0);
}
END_TEST

START_TEST(redis_files_with_users_and_renames_are_accepted)
{
    struct settings *const settings = settings_create();
    check_line(settings, "user default on nopass ~* +@all");
    check_line(settings, "rename-command FLUSHALL \"\"");
    check_line(settings, "list-max-ziplist-entries 512");
    check_line(settings, "slaveof 127.0.0.1 6380");
    check_option(settings, "replicaof", "127.0.0.1 6380");
    check_line(settings, "replicaof no one");
    check_option(settings, "replicaof", "");
    check_line(settings, "slave-read-only no");
    check_option(settings, "replica-read-only", "no");
    check_line(settings, "hash-max-ziplist-entries 7");
    check_option(settings, "hash-max-listpack-entries", "7");
    check_line(settings, "oom-score-adj-values 1 2 3");
    check_option(settings, "oom-score-adj-values", "1 2 3");
    check_line(settings, "shutdown-on-sigterm save now");
    check_option(settings, "shutdown-on-sigterm", "save now");
    settings_destroy(settings);
}
END_TEST

START_TEST(output_limits_are_set_by_class)
{
    struct settings *const settings = settings_create();
    ck_assert_int_eq(settings->output_limits[CLIENT_CLASS_PUBSUB].hard_bytes, 32 * (int64_t)MiB);
    check_line(settings, "client-output-buffer-limit pubsub 1mb 1kb 5");
    check_line(settings, "client-output-buffer-limit normal 5 0 0 replica 6 0 0");
    ck_assert_int_eq(settings->output_limits[CLIENT_CLASS_PUBSUB].hard_bytes, (int64_t)MiB);
    ck_assert_int_eq(settings->output_limits[CLIENT_CLASS_PUBSUB].soft_bytes, 1024);
    ck_assert_int_eq(settings->output_limits[CLIENT_CLASS_PUBSUB].soft_s, 5);
    ck_assert_int_eq(settings->output_limits[CLIENT_CLASS_NORMAL].hard_bytes, 5);
    ck_assert_int_eq(settings->output_limits[CLIENT_CLASS_REPLICA].hard_bytes, 6);
    check_option(
        settings, "client-output-buffer-limit", "normal 5 0 0 slave 6 0 0 pubsub 1048576 1024 5");
    settings_destroy(settings);
}
END_TEST

TEST_GROUP(settings_load_group, without_arguments_the_defaults_hold,
    the_command_line_overrides_the_file, an_empty_save_needs_no_value, lines_of_save_add_up,
    quotes_make_one_value, what_cannot_be_is_refused_with_its_line,
    errors_of_files_and_arguments_say_where, files_include_others_by_name_and_pattern,
    a_dash_reads_standard_input, redis_files_with_users_and_renames_are_accepted,
    output_limits_are_set_by_class)
