/*
 * test_settings_table.c: the table itself, and that conf/kelvin.conf shows it.
 */
#include "settings_internal.h"
#include "settings_support.h"

START_TEST(names_are_unique)
{
    for (size_t index = 0; index < settings_row_count(); index++) {
        const struct settings_row *const row = settings_row_at(index);
        size_t found;
        ck_assert_ptr_eq(settings_row_find(slice_text(row->name), &found), row);
        ck_assert_uint_eq(found, index);
        if (row->alias != NULL) {
            ck_assert_ptr_eq(settings_row_find(slice_text(row->alias), &found), row);
            ck_assert_uint_eq(found, index);
        }
        ck_assert_int_eq(settings_directive(slice_text(row->name)), DIRECTIVE_NONE);
    }
}
END_TEST

START_TEST(defaults_are_valid_values_of_their_rows)
{
    struct settings *const settings = settings_create();
    for (size_t index = 0; index < settings_row_count(); index++) {
        const struct settings_row *const row = settings_row_at(index);
        char *const value = settings_text(settings, row->name);
        if (row->kind <= ROW_BYTES && row->kind != ROW_BOOL) {
            ck_assert_int_ge(row->default_number, row->min);
            ck_assert_int_le(row->default_number, row->max);
        }
        struct buf line = {0};
        buf_append_format(&line, "%s ", row->name);
        if (value[0] == '\0' || row->kind == ROW_TEXT)
            buf_append_format(&line, "\"%s\"", value);
        else
            buf_append_text(&line, value);
        struct error error = {0};
        /* A file name cannot be empty, and so on: only what has a default is given back. */
        if (value[0] != '\0' || row->check == NULL)
            ck_assert_msg(settings_apply_line(settings, buf_slice(&line), 1, &error) == ST_OK, "%s",
                error.message);
        check_option(settings, row->name, value);
        buf_deinit(&line);
        mem_free(value);
    }
    settings_destroy(settings);
}
END_TEST

/* True if the conf has a line "name ..." or "# name ...". */
static bool conf_shows(const char *conf, const char *name)
{
    for (const char *at = conf; (at = strstr(at, name)) != NULL; at++) {
        const char *start = at;
        while (start > conf && (start[-1] == ' ' || start[-1] == '#'))
            start--;
        if ((start == conf || start[-1] == '\n') && at[strlen(name)] == ' ')
            return true;
    }
    return false;
}

START_TEST(the_conf_file_shows_every_option_with_an_effect_and_its_default)
{
    struct settings *const initial = settings_create();
    struct settings *const settings = settings_create();
    check_load(settings, KELVIN_CONF);
    char *const conf = read_file(KELVIN_CONF);
    for (size_t index = 0; index < settings_row_count(); index++) {
        const struct settings_row *const row = settings_row_at(index);
        const bool inert = (row->flags & ROW_INERT) != 0;
        ck_assert_msg(conf_shows(conf, row->name) == !inert, "%s", row->name);
        if (inert || strcmp(row->name, "bind") == 0 || strcmp(row->name, "dir") == 0)
            continue; /* the text of the file says that these differ */
        ck_assert_ptr_nonnull(row->help);
        char *const value = settings_text(initial, row->name);
        check_option(settings, row->name, value);
        mem_free(value);
    }
    mem_free(conf);
    settings_destroy(settings);
    settings_destroy(initial);
}
END_TEST

START_TEST(every_option_name_of_redis_is_known)
{
    static const char *const names[] = {"aof-timestamp-enabled", "min-replicas-max-lag",
        "zset-max-listpack-entries", "timeout", "replica-read-only", "min-slaves-to-write",
        "zset-max-listpack-value", "cluster-node-timeout", "rdbcompression", "activerehashing",
        "repl-diskless-load", "tls-protocols", "lua-time-limit", "set-max-intset-entries",
        "stop-writes-on-bgsave-error", "always-show-logo", "cluster-announce-tls-port",
        "cluster-migration-barrier", "cluster-announce-bus-port", "tls-prefer-server-ciphers",
        "lfu-decay-time", "aof_rewrite_cpulist", "cluster-config-file", "notify-keyspace-events",
        "appendfsync", "tls-dh-params-file", "replica-priority", "syslog-enabled",
        "syslog-facility", "appendonly", "min-replicas-to-write", "aclfile",
        "list-max-listpack-size", "bgsave_cpulist", "propagation-error-behavior",
        "hash-max-listpack-value", "tls-ciphers", "active-defrag-threshold-upper",
        "oom-score-adj-values", "bind", "lazyfree-lazy-user-del", "activedefrag",
        "tls-session-cache-timeout", "no-appendfsync-on-rewrite", "tls-key-file",
        "cluster-slave-no-failover", "set-proc-title", "auto-aof-rewrite-percentage", "maxclients",
        "acllog-max-len", "repl-disable-tcp-nodelay", "replica-announce-port", "slave-read-only",
        "rdb-save-incremental-fsync", "repl-backlog-ttl", "io-threads-do-reads",
        "hash-max-listpack-entries", "tls-client-key-file-pass", "rdbchecksum",
        "enable-debug-command", "maxmemory-eviction-tenacity", "proc-title-template",
        "aof-use-rdb-preamble", "min-slaves-max-lag", "rdb-del-sync-files", "list-compress-depth",
        "save", "tls-session-caching", "shutdown-timeout", "appendfilename",
        "latency-monitor-threshold", "hash-max-ziplist-value", "tracking-table-max-keys",
        "shutdown-on-sigint", "bind-source-addr", "lazyfree-lazy-expire", "slowlog-log-slower-than",
        "cluster-allow-pubsubshard-when-down", "loglevel", "active-defrag-threshold-lower",
        "zset-max-ziplist-entries", "slave-priority", "active-defrag-cycle-max",
        "replica-serve-stale-data", "cluster-preferred-endpoint-type",
        "active-defrag-max-scan-fields", "maxmemory-samples", "lfu-log-factor", "databases",
        "zset-max-ziplist-value", "cluster-allow-reads-when-down", "replicaof", "tls-ciphersuites",
        "repl-backlog-size", "tls-client-cert-file", "tls-session-cache-size", "slaveof",
        "maxmemory", "lazyfree-lazy-eviction", "enable-module-command",
        "cluster-require-full-coverage", "active-defrag-cycle-min", "slave-announce-ip",
        "crash-log-enabled", "tls-client-key-file", "tls-ca-cert-file", "pidfile", "oom-score-adj",
        "aof-disable-auto-gc", "tcp-backlog", "daemonize", "syslog-ident", "bio_cpulist",
        "busy-reply-threshold", "maxmemory-policy", "client-query-buffer-limit", "logfile",
        "slave-lazy-flush", "aof-rewrite-incremental-fsync", "cluster-announce-hostname",
        "shutdown-on-sigterm", "cluster-slave-validity-factor", "list-max-ziplist-size",
        "hash-max-ziplist-entries", "unixsocketperm", "enable-protected-configs",
        "lazyfree-lazy-server-del", "repl-diskless-sync-max-replicas", "ignore-warnings",
        "replica-announce-ip", "slave-serve-stale-data", "io-threads", "dir", "aof-load-truncated",
        "cluster-port", "replica-announced", "supervised", "lazyfree-lazy-user-flush", "masteruser",
        "replica-lazy-flush", "stream-node-max-bytes", "repl-diskless-sync",
        "stream-node-max-entries", "tls-cluster", "client-output-buffer-limit",
        "crash-memcheck-enabled", "replica-ignore-disk-write-errors", "disable-thp",
        "repl-ping-replica-period", "hz", "repl-diskless-sync-delay", "cluster-announce-ip",
        "cluster-replica-validity-factor", "server_cpulist", "tls-key-file-pass", "protected-mode",
        "slave-ignore-maxmemory", "port", "tls-auth-clients", "cluster-link-sendbuf-limit",
        "requirepass", "cluster-announce-port", "tls-replication", "tcp-keepalive", "dbfilename",
        "tls-port", "slave-announce-port", "masterauth", "repl-timeout", "active-expire-effort",
        "cluster-allow-replica-migration", "acl-pubsub-default", "tls-ca-cert-dir",
        "cluster-replica-no-failover", "replica-ignore-maxmemory", "proto-max-bulk-len",
        "maxmemory-clients", "auto-aof-rewrite-min-size", "repl-ping-slave-period",
        "latency-tracking-info-percentiles", "hll-sparse-max-bytes", "jemalloc-bg-thread",
        "cluster-enabled", "unixsocket", "sanitize-dump-payload", "slowlog-max-len",
        "latency-tracking", "appenddirname", "socket-mark-id", "tls-cert-file",
        "active-defrag-ignore-bytes", "dynamic-hz",
        /* of 7.2, and hidden ones */
        "set-max-listpack-entries", "set-max-listpack-value", "locale-collate",
        "cluster-announce-human-nodename", "watchdog-period", "key-load-delay",
        "rdb-key-save-delay", "use-exit-on-panic", "loading-process-events-interval-bytes",
        "cluster-ping-interval", "enable-debug-assert"};
    for (size_t index = 0; index < COUNT_OF(names); index++) {
        size_t found;
        ck_assert_msg(
            settings_row_find(slice_text(names[index]), &found) != NULL, "%s", names[index]);
    }
}
END_TEST

START_TEST(inert_options_are_told_from_the_others)
{
    ck_assert(settings_is_inert("list-compress-depth"));
    ck_assert(settings_is_inert("slave-priority"));
    ck_assert(!settings_is_inert("port"));
    ck_assert(!settings_is_inert("maxmemory"));
    ck_assert(!settings_is_inert("requirepass"));
    ck_assert(!settings_is_inert("nothing-known"));
}
END_TEST

START_TEST(the_nearest_name_is_found)
{
    ck_assert_str_eq(settings_nearest(slice_text("maxmemroy")), "maxmemory");
    ck_assert_str_eq(settings_nearest(slice_text("MaxMemory-polcy")), "maxmemory-policy");
    ck_assert_str_eq(settings_nearest(slice_text("prot")), "port");
    ck_assert_str_eq(settings_nearest(slice_text("slave-readonly")), "slave-read-only");
    ck_assert_str_eq(settings_nearest(slice_text("includ")), "include");
    ck_assert_ptr_null(settings_nearest(slice_text("something-else-entirely")));
    ck_assert_ptr_null(settings_nearest(slice_text("")));
    char *const long_name = mem_alloc(1000);
    memset(long_name, 'x', 1000);
    ck_assert_ptr_null(settings_nearest(slice_of(long_name, 1000)));
    mem_free(long_name);
}
END_TEST

START_TEST(byte_sizes_have_the_units_of_redis)
{
    static const struct {
        const char *text;
        int64_t value;
    } cases[] = {{"0", 0}, {"1", 1}, {"10b", 10}, {"1k", 1000}, {"1kb", 1024}, {"1K", 1000},
        {"1KB", 1024}, {"5m", 5000000}, {"5mb", 5 * (int64_t)MiB}, {"2g", 2000000000},
        {"2gB", 2 * (int64_t)GiB}, {"007", 7}, {"", 0}, {"9223372036854775807", INT64_MAX}};
    static const char *const bad[] = {"-1", "x", "1x", "1 kb", "1.5mb", "kb", "9223372036854775808",
        "99999999999gb", "1kbb", "5%", "%"};
    int64_t value;
    for (size_t index = 0; index < COUNT_OF(cases); index++) {
        ck_assert(settings_parse_bytes(slice_text(cases[index].text), false, &value));
        ck_assert_int_eq(value, cases[index].value);
    }
    for (size_t index = 0; index < COUNT_OF(bad); index++)
        ck_assert_msg(
            !settings_parse_bytes(slice_text(bad[index]), false, &value), "%s", bad[index]);
    ck_assert(settings_parse_bytes(slice_text("5%"), true, &value));
    ck_assert_int_eq(value, -5);
    ck_assert(!settings_parse_bytes(slice_text("101%"), true, &value));
    ck_assert(!settings_parse_bytes(slice_text("%"), true, &value));
}
END_TEST

TEST_GROUP(settings_table_group, names_are_unique, defaults_are_valid_values_of_their_rows,
    the_conf_file_shows_every_option_with_an_effect_and_its_default,
    every_option_name_of_redis_is_known, inert_options_are_told_from_the_others,
    the_nearest_name_is_found, byte_sizes_have_the_units_of_redis)
