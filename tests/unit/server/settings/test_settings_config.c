/*
 * test_settings_config.c: CONFIG GET and SET, with the texts of redis-server 7.0.15 for comparison.
 */
#include "base/check.h"
#include "base/thread.h"
#include "settings_support.h"

static void collect(void *context, const char *name, const char *value)
{
    buf_append_format(context, "%s=%s;", name, value);
}

#define check_get(settings, expected, ...)                                        \
    do {                                                                          \
        const struct slice patterns_[] = {__VA_ARGS__};                           \
        struct buf out_ = {0};                                                    \
        settings_get((settings), patterns_, COUNT_OF(patterns_), collect, &out_); \
        ck_assert_text_eq(buf_slice(&out_), (expected));                          \
        buf_deinit(&out_);                                                        \
    } while (0)

START_TEST(get_takes_globs_and_gives_each_name_once)
{
    struct settings *const settings = settings_create();
    check_get(settings, "maxmemory=0;", slice_text("maxmemory"));
    check_get(settings, "maxmemory=0;", slice_text("maxm?mory"), slice_text("[m]axmemory"),
        slice_text("maxmemory"));
    check_get(settings, "port=6379;timeout=0;", slice_text("TIMEOU*"), slice_text("por*"));
    check_get(settings, "MAXMEMORY=0;", slice_text("MAXMEMORY"));
    check_get(settings, "", slice_text("nothing"), slice_text(""));
    check_get(settings, "slave-read-only=yes;", slice_text("slave-rea*"));
    check_get(settings, "replica-read-only=yes;slave-read-only=yes;", slice_text("*-read-only"));
    check_get(settings, "", slice_text("key-load-del*")); /* hidden */
    check_get(settings, "key-load-delay=0;", slice_text("key-load-delay"));
    settings_destroy(settings);
}
END_TEST

START_TEST(get_of_all_gives_all)
{
    struct settings *const settings = settings_create();
    struct buf out = {0};
    const struct slice all = slice_text("*");
    settings_get(settings, &all, 1, collect, &out);
    buf_append_byte(&out, '\0');
    ck_assert_ptr_nonnull(strstr(out.data, "appendonly=yes;"));
    ck_assert_ptr_nonnull(strstr(out.data, "unixsocketperm=0;"));
    ck_assert_ptr_nonnull(strstr(out.data, "latency-tracking-info-percentiles=50 99 99.9;"));
    ck_assert_ptr_nonnull(strstr(out.data,
        "client-output-buffer-limit=normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 "
        "60;"));
    ck_assert_ptr_null(strstr(out.data, "watchdog-period"));
    buf_deinit(&out);
    settings_destroy(settings);
}
END_TEST

START_TEST(values_are_refused_in_the_words_of_redis)
{
    struct settings *const settings = settings_create();
    check_set_refused(
        settings, "maxmemory-samples", "0", "argument must be between 1 and 2147483647 inclusive");
    check_set_refused(settings, "hz", "abc", "argument couldn't be parsed into an integer");
    check_set_refused(
        settings, "timeout", "-1", "argument must be between 0 and 2147483647 inclusive");
    check_set_refused(settings, "timeout", " 5", "argument couldn't be parsed into an integer");
    check_set_refused(settings, "timeout", "05", "argument couldn't be parsed into an integer");
    check_set_refused(settings, "timeout", "", "argument couldn't be parsed into an integer");
    check_set_refused(settings, "repl-backlog-size", "0",
        "argument must be between 1 and 9223372036854775807 inclusive");
    check_set_refused(settings, "slowlog-log-slower-than", "-2",
        "argument must be between -1 and 9223372036854775807 inclusive");
    check_set_refused(settings, "proto-max-bulk-len", "1000",
        "argument must be between 1048576 and 9223372036854775807 inclusive");
    check_set_refused(settings, "maxmemory", "-1", "argument must be a memory value");
    check_set_refused(settings, "maxmemory", "10q", "argument must be a memory value");
    check_set_refused(settings, "maxmemory", "5%", "argument must be a memory value");
    check_set_refused(settings, "maxmemory", "1.5mb", "argument must be a memory value");
    check_set_refused(
        settings, "maxmemory-clients", "101%", "percentage argument must be less or equal to 100");
    check_set_refused(
        settings, "maxmemory-clients", "-1", "argument must be a memory or percent value");
    check_set_refused(
        settings, "maxmemory-clients", "-5%", "argument must be a memory or percent value");
    check_set_refused(settings, "appendonly", "maybe", "argument must be 'yes' or 'no'");
    check_set_refused(settings, "maxmemory-policy", "foo",
        "argument(s) must be one of the following: volatile-lru, volatile-lfu, volatile-random, volatile-ttl, "
        "allkeys-lru, allkeys-lfu, allkeys-random, noeviction");
    check_set_refused(settings, "oom-score-adj", "maybe",
        "argument(s) must be one of the following: no, yes, relative, absolute");
    check_set_refused(settings, "databases", "3", "can't set immutable config");
    check_set_refused(settings, "dbfilename", "x", "can't set protected config");
    check_set_refused(settings, "save", "abc", "Invalid save parameters");
    check_set_refused(settings, "save", "10 1 20", "Invalid save parameters");
    check_set_refused(settings, "notify-keyspace-events", "xyz!",
        "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
    check_set_refused(settings, "client-output-buffer-limit", "x",
        "Wrong number of arguments in buffer limit configuration.");
    check_set_refused(settings, "client-output-buffer-limit", " ",
        "Wrong number of arguments in buffer limit configuration.");
    check_set_refused(settings, "shutdown-on-sigterm", "",
        "argument(s) must be one of the following: default, save, nosave, now, force");
    check_set_refused(settings, "latency-tracking-info-percentiles", "  ",
        "Invalid latency-tracking-info-percentiles parameters");
    check_set_refused(settings, "client-output-buffer-limit", "master 0 0 0",
        "Invalid client class specified in buffer limit configuration.");
    check_set_refused(settings, "client-output-buffer-limit", "normal a 0 0",
        "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
    check_set_refused(settings, "client-output-buffer-limit", "normal 1k 0 x",
        "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
    check_set_refused(settings, "oom-score-adj-values", "1", "wrong number of arguments");
    check_set_refused(settings, "oom-score-adj-values", "1 2 x",
        "Invalid oom-score-adj-values, elements must be between -2000 and 2000.");
    check_set_refused(settings, "latency-tracking-info-percentiles", "101",
        "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]");
    check_set_refused(settings, "latency-tracking-info-percentiles", "50 x",
        "Invalid latency-tracking-info-percentiles parameters");
    check_set_refused(settings, "shutdown-on-sigterm", "foo",
        "argument(s) must be one of the following: default, save, nosave, now, force");
    check_set_refused(settings, "shutdown-on-sigterm", "save nosave",
        "shutdown options SAVE and NOSAVE can't be used simultaneously");
    check_set_refused(settings, "proc-title-template", "{x}",
        "template format is invalid or contains unknown variables");
    check_set_refused(settings, "proc-title-template", "",
        "template format is invalid or contains unknown variables");
    check_set_refused(settings, "cluster-announce-hostname", "a_b!",
        "Hostnames may only contain alphanumeric characters, hyphens or dots");
    settings_destroy(settings);
}
END_TEST

START_TEST(values_are_given_back_in_the_form_of_redis)
{
    static const struct {
        const char *name, *value, *shown;
    } cases[] = {{"maxmemory", "1G", "1000000000"}, {"maxmemory", "010", "10"},
        {"maxmemory", "", "0"}, {"maxmemory-clients", "50%", "50%"},
        {"maxmemory-clients", "0%", "0"}, {"appendfsync", "ALWAYS", "always"},
        {"hz", "1000", "500"}, {"hz", "0", "1"}, {"notify-keyspace-events", "KEA", "AKE"},
        {"notify-keyspace-events", "gxeKm$", "g$xeKm"}, {"notify-keyspace-events", "gxeKA$", "AK"},
        {"notify-keyspace-events", "", ""}, {"shutdown-on-sigterm", "now save", "save now"},
        {"shutdown-on-sigterm", "default now", "now"},
        {"shutdown-on-sigterm", "default", "default"},
        {"latency-tracking-info-percentiles", "50 99.90", "50 99.9"},
        {"latency-tracking-info-percentiles", "", ""}, {"save", "", ""},
        {"save", "100 1 60 10", "100 1 60 10"}, {"save", "20 0", "20 0"},
        {"hll-sparse-max-bytes", "3k", "3000"}, {"slave-priority", "5", "5"},
        {"requirepass", "a b", "a b"}, {"requirepass", "", ""},
        {"client-output-buffer-limit", "normal 0 0 0 pubsub 1mb 1mb 60",
            "normal 0 0 0 slave 268435456 67108864 60 pubsub 1048576 1048576 60"},
        {"list-max-ziplist-size", "-5", "-5"}, {"proc-title-template", "{title} x", "{title} x"},
        {"protected-mode", "NO", "no"}};
    struct settings *const settings = settings_create();
    for (size_t index = 0; index < COUNT_OF(cases); index++) {
        check_set(settings, cases[index].name, cases[index].value);
        check_option(settings, cases[index].name, cases[index].shown);
    }
    settings_destroy(settings);
}
END_TEST

#define check_set_pairs(settings, status, message_, ...)                                        \
    do {                                                                                        \
        const char *const list_[] = {__VA_ARGS__};                                              \
        struct slice names_[8], values_[8];                                                     \
        struct error error_ = {0};                                                              \
        for (size_t at_ = 0; at_ < COUNT_OF(list_) / 2; at_++) {                                \
            names_[at_] = slice_text(list_[at_ * 2]);                                           \
            values_[at_] = slice_text(list_[at_ * 2 + 1]);                                      \
        }                                                                                       \
        ck_assert_int_eq(                                                                       \
            settings_set((settings), names_, values_, COUNT_OF(list_) / 2, &error_), (status)); \
        ck_assert_str_eq(error_.message, (message_));                                           \
    } while (0)

START_TEST(several_are_set_all_or_none)
{
    struct settings *const settings = settings_create();
    check_set_pairs(settings, ST_OK, "", "hz", "20", "requirepass", "x", "save", "1 1");
    check_set_pairs(settings, ST_INVALID,
        "ERR CONFIG SET failed (possibly related to argument 'timeout') - argument must be between 0 and "
        "2147483647 inclusive",
        "hz", "7", "requirepass", "y", "client-output-buffer-limit", "normal 1 1 1", "timeout",
        "-1");
    check_set_pairs(settings, ST_INVALID,
        "ERR Unknown option or number of arguments for CONFIG SET - 'nonexist'", "hz", "7",
        "nonexist", "1", "timeout", "-1");
    check_set_pairs(settings, ST_INVALID,
        "ERR CONFIG SET failed (possibly related to argument 'MAXMEMORY') - duplicate parameter",
        "maxmemory", "1mb", "MAXMEMORY", "2mb");
    check_set_pairs(
        settings, ST_OK, "", "hash-max-ziplist-entries", "7", "hash-max-listpack-entries", "8");
    check_option(settings, "hash-max-listpack-entries", "8"); /* an alias is no duplicate */
    check_set_pairs(settings, ST_INVALID,
        "ERR CONFIG SET failed (possibly related to argument 'timeout') - argument must be between "
        "0 and 2147483647 inclusive",
        "hash-max-ziplist-entries", "1", "hash-max-listpack-entries", "2", "timeout", "-1");
    check_option(settings, "hash-max-listpack-entries", "8"); /* both are put back */
    check_set(settings, "client-output-buffer-limit", "");
    check_set_pairs(settings, ST_INVALID,
        "ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config",
        "hz", "7", "databases", "1");
    check_set_pairs(settings, ST_INVALID,
        "ERR CONFIG SET failed (possibly related to argument 'workers') - can't set immutable config",
        "hz", "7", "workers", "1");
    check_set(settings, "workers", "0"); /* our own may be set to what they are */
    check_option(settings, "hz", "20");
    check_option(settings, "requirepass", "x");
    check_option(settings, "save", "1 1");
    ck_assert_int_eq(settings->output_limits[CLIENT_CLASS_NORMAL].hard_bytes, 0);
    settings_destroy(settings);
}
END_TEST

START_TEST(bytes_that_no_file_could_hold_are_refused)
{
    struct settings *const settings = settings_create();
    struct error error = {0};
    const struct slice name = slice_text("requirepass");
    const struct slice zero = slice_of("a\0b", 3);
    ck_assert_int_eq(settings_set(settings, &name, &zero, 1, &error), ST_INVALID);
    char *const text = mem_alloc(1 << 20);
    memset(text, 'x', 1 << 20);
    const struct slice large = slice_of(text, 1 << 20);
    ck_assert_int_eq(settings_set(settings, &name, &large, 1, &error), ST_INVALID);
    ck_assert_int_eq(settings_set(settings, &large, &name, 1, &error), ST_INVALID);
    ck_assert_uint_lt(strlen(error.message), 1000);
    memset(text, ' ', 1 << 20);
    const struct slice save = slice_text("save");
    ck_assert_int_eq(settings_set(settings, &save, &large, 1, &error), ST_INVALID);
    mem_free(text);
    check_option(settings, "requirepass", "");
    settings_destroy(settings);
}
END_TEST

START_TEST(protected_options_open_with_enable_protected_configs)
{
    struct settings *const settings = settings_create();
    check_load(settings, "--enable-protected-configs", "yes");
    check_set(settings, "dbfilename", "other.rdb");
    check_set_refused(settings, "dbfilename", "a/b", "dbfilename can't be a path, just a filename");
    settings_destroy(settings);
}
END_TEST

struct hook {
    struct settings *settings;
    struct buf seen;
    const char *refused;
};

static enum status watch(void *context, const char *name, const char *value, struct error *error)
{
    struct hook *const hook = context;
    buf_append_format(&hook->seen, "%s=%s;", name, value);
    check_option(hook->settings, name, value); /* no lock is held */
    if (hook->refused != NULL && strcmp(name, hook->refused) == 0)
        return error_set(error, ST_INVALID, 0, "not now");
    return ST_OK;
}

START_TEST(the_hook_sees_changes_and_may_refuse_them)
{
    struct settings *const settings = settings_create();
    struct hook hook = {.settings = settings};
    settings_on_change(settings, watch, &hook);
    check_set_pairs(settings, ST_OK, "", "slave-priority", "7", "requirepass", "x");
    ck_assert_text_eq(buf_slice(&hook.seen), "replica-priority=7;requirepass=x;");
    buf_clear(&hook.seen);
    hook.refused = "timeout";
    check_set_pairs(settings, ST_INVALID,
        "ERR CONFIG SET failed (possibly related to argument 'timeout') - not now", "requirepass",
        "y", "timeout", "5", "hz", "9");
    ck_assert_text_eq(buf_slice(&hook.seen), "requirepass=y;timeout=5;requirepass=x;");
    check_option(settings, "requirepass", "x");
    check_option(settings, "timeout", "0");
    check_option(settings, "hz", "10");
    buf_deinit(&hook.seen);
    settings_destroy(settings);
}
END_TEST

struct changer {
    struct settings *settings;
    const char *value;
    struct thread thread;
};

static enum status accept_change(
    void *context, const char *name, const char *value, struct error *error)
{
    (void)context;
    (void)name;
    (void)value;
    (void)error;
    return ST_OK;
}

static void change_often(void *context)
{
    const struct changer *const changer = context;
    for (int round = 0; round < 300; round++) {
        const struct slice names[] = {
            slice_text("requirepass"), slice_text("maxmemory"), slice_text("masterauth")};
        const struct slice values[] = {
            slice_text(changer->value), slice_text("5mb"), slice_text(changer->value)};
        struct error error;
        CHECK(settings_set(changer->settings, names, values, 3, &error) == ST_OK);
        char *const text = settings_text(changer->settings, "requirepass");
        CHECK(strlen(text) == strlen(changer->value));
        mem_free(text);
        CHECK(OPTION_GET(&changer->settings->tier, memory_max) == 5 * (int64_t)MiB);
    }
}

START_TEST(threads_may_set_and_get_at_once)
{
    struct settings *const settings = settings_create();
    settings_on_change(settings, accept_change, NULL);
    struct changer changers[3] = {{.value = "aaaa"}, {.value = "bbbb"}, {.value = "cccc"}};
    for (size_t index = 0; index < COUNT_OF(changers); index++) {
        changers[index].settings = settings;
        thread_start(&changers[index].thread, "changer", change_often, &changers[index]);
    }
    for (size_t index = 0; index < COUNT_OF(changers); index++)
        thread_join(&changers[index].thread);
    char *const a = settings_text(settings, "requirepass");
    check_option(settings, "masterauth", a); /* all of one SET */
    mem_free(a);
    settings_destroy(settings);
}
END_TEST

START_TEST(the_log_level_is_the_loggers)
{
    struct settings *const settings = settings_create();
    ck_assert_int_eq(settings_log_level(settings), LOG_INFO);
    check_set(settings, "loglevel", "debug");
    ck_assert_int_eq(settings_log_level(settings), LOG_DEBUG);
    check_set(settings, "loglevel", "warning");
    ck_assert_int_eq(settings_log_level(settings), LOG_WARN);
    settings_destroy(settings);
}
END_TEST

TEST_GROUP(settings_config_group, get_takes_globs_and_gives_each_name_once, get_of_all_gives_all,
    values_are_refused_in_the_words_of_redis, values_are_given_back_in_the_form_of_redis,
    several_are_set_all_or_none, bytes_that_no_file_could_hold_are_refused,
    protected_options_open_with_enable_protected_configs, the_hook_sees_changes_and_may_refuse_them,
    threads_may_set_and_get_at_once, the_log_level_is_the_loggers)
