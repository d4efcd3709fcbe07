/*
 * settings_inert.c: Redis 7.2's options that have no effect here (yet): names, kinds, ranges and defaults.
 *
 * They are checked as Redis checks them and given back, so that configuration files, test suites and management tools
 * that set them go on working; the log names those that differ from their defaults. An option that gains an effect moves to
 * its module's table.
 */
#include "settings_internal.h"

#include <limits.h>

/* clang-format off */
#define COMMON(name_, alias_, kind_, flags_)                                                       \
    .name = (name_), .alias = (alias_), .kind = (kind_), .flags = (flags_) | ROW_INERT,            \
    .offset = NO_OFFSET
#define BOOL(name, alias, flags, initial)                                                          \
    {COMMON(name, alias, ROW_BOOL, flags), .default_number = (initial), .max = 1}
#define INT(name, alias, flags, initial, min_, max_)                                               \
    {COMMON(name, alias, ROW_INT, flags), .default_number = (initial), .min = (min_), .max = (max_)}
#define BYTES(name, alias, flags, initial, min_)                                                   \
    {COMMON(name, alias, ROW_BYTES, flags), .default_number = (initial), .min = (min_),            \
        .max = INT64_MAX}
#define ENUM(name, flags, initial, names_)                                                         \
    {COMMON(name, NULL, ROW_ENUM, flags), .default_number = (initial), .names = (names_)}
#define FLAGS(name, flags, names_) {COMMON(name, NULL, ROW_FLAGS, flags), .names = (names_)}
#define TEXT(name, alias, flags, initial, check_)                                                  \
    {COMMON(name, alias, ROW_TEXT, flags), .default_text = (initial), .check = (check_)}
#define LIST(name, alias, flags, initial, check_)                                                  \
    {COMMON(name, alias, ROW_LIST, flags), .default_text = (initial), .check = (check_)}
/* clang-format on */

static const char *const supervised_names[] = {"upstart", "systemd", "auto", "no", NULL};
static const char *const facility_names[] = {
    "user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7", NULL};
static const char *const diskless_load_names[] = {"disabled", "on-empty-db", "swapdb", NULL};
static const char *const oom_names[] = {"no", "yes", "relative", "absolute", NULL};
static const char *const pubsub_names[] = {"allchannels", "resetchannels", NULL};
static const char *const sanitize_names[] = {"no", "yes", "clients", NULL};
static const char *const protected_names[] = {"no", "yes", "local", NULL};
static const char *const endpoint_names[] = {"ip", "hostname", "unknown-endpoint", NULL};
static const char *const propagation_names[] = {"ignore", "panic", "panic-on-replicas", NULL};
static const char *const shutdown_names[] = {"default", "save", "nosave", "now", "force", NULL};
static const char *const tls_auth_names[] = {"no", "yes", "optional", NULL};

/* clang-format off */
const struct settings_row settings_inert_rows[] = {
    /* persistence: the log and the cold tier are always on */
    BOOL("appendonly", NULL, 0, 1),
    TEXT("appendfilename", NULL, ROW_STARTUP, "appendonly.aof", check_append_name),
    TEXT("appenddirname", NULL, ROW_STARTUP, "appendonlydir", check_append_directory),
    TEXT("dbfilename", NULL, ROW_PROTECTED, "dump.rdb", check_dump_name),
    {COMMON("save", NULL, ROW_SAVE, 0), .default_text = "3600 1 300 100 60 10000", .check = check_save},
    BOOL("no-appendfsync-on-rewrite", NULL, 0, 0),
    INT("auto-aof-rewrite-percentage", NULL, 0, 100, 0, INT_MAX),
    BYTES("auto-aof-rewrite-min-size", NULL, 0, 64 * (int64_t)MiB, 0),
    BOOL("aof-load-truncated", NULL, 0, 1),
    BOOL("aof-use-rdb-preamble", NULL, 0, 1),
    BOOL("aof-timestamp-enabled", NULL, 0, 0),
    BOOL("aof-rewrite-incremental-fsync", NULL, 0, 1),
    BOOL("aof-disable-auto-gc", NULL, 0, 0),
    BOOL("rdb-save-incremental-fsync", NULL, 0, 1),
    BOOL("rdbcompression", NULL, 0, 1),
    BOOL("rdbchecksum", NULL, ROW_STARTUP, 1),
    BOOL("rdb-del-sync-files", NULL, 0, 0),
    BOOL("stop-writes-on-bgsave-error", NULL, 0, 1),
    ENUM("sanitize-dump-payload", 0, 0, sanitize_names),

    /* memory, expiry, encodings */
    INT("maxmemory-samples", NULL, 0, 5, 1, INT_MAX),
    INT("maxmemory-eviction-tenacity", NULL, 0, 10, 0, 100),
    INT("lfu-log-factor", NULL, 0, 10, 0, INT_MAX),
    INT("lfu-decay-time", NULL, 0, 1, 0, INT_MAX),
    INT("active-expire-effort", NULL, 0, 1, 1, 10),
    BOOL("lazyfree-lazy-eviction", NULL, 0, 0),
    BOOL("lazyfree-lazy-expire", NULL, 0, 0),
    BOOL("lazyfree-lazy-server-del", NULL, 0, 0),
    BOOL("lazyfree-lazy-user-flush", NULL, 0, 0),
    BOOL("activerehashing", NULL, 0, 1),
    TEXT("activedefrag", NULL, 0, "no", check_defrag),
    BYTES("active-defrag-ignore-bytes", NULL, 0, 100 * (int64_t)MiB, 1),
    INT("active-defrag-threshold-lower", NULL, 0, 10, 0, 1000),
    INT("active-defrag-threshold-upper", NULL, 0, 100, 0, 1000),
    INT("active-defrag-cycle-min", NULL, 0, 1, 1, 99),
    INT("active-defrag-cycle-max", NULL, 0, 25, 1, 99),
    INT("active-defrag-max-scan-fields", NULL, 0, 1000, 1, LONG_MAX),
    BOOL("jemalloc-bg-thread", NULL, 0, 1),
    INT("list-compress-depth", NULL, 0, 0, 0, INT_MAX),

    /* process */
    ENUM("supervised", ROW_STARTUP, 3, supervised_names),
    BOOL("always-show-logo", NULL, ROW_STARTUP, 0),
    BOOL("set-proc-title", NULL, ROW_STARTUP, 1),
    TEXT("proc-title-template", NULL, 0, "{title} {listen-addr} {server-mode}", check_title),
    TEXT("locale-collate", NULL, 0, "", NULL),
    BOOL("syslog-enabled", NULL, ROW_STARTUP, 0),
    TEXT("syslog-ident", NULL, ROW_STARTUP, "redis", NULL),
    ENUM("syslog-facility", ROW_STARTUP, 1, facility_names),
    BOOL("crash-log-enabled", NULL, 0, 1),
    BOOL("crash-memcheck-enabled", NULL, 0, 1),
    BOOL("use-exit-on-panic", NULL, ROW_HIDDEN, 0),
    BOOL("disable-thp", NULL, ROW_STARTUP, 1),
    ENUM("oom-score-adj", 0, 0, oom_names),
    LIST("oom-score-adj-values", NULL, 0, "0 200 800", check_oom_values),
    INT("io-threads", NULL, ROW_STARTUP, 1, 1, 128),
    BOOL("io-threads-do-reads", NULL, ROW_STARTUP, 0),
    TEXT("server_cpulist", NULL, ROW_STARTUP, "", NULL),
    TEXT("bio_cpulist", NULL, ROW_STARTUP, "", NULL),
    TEXT("aof_rewrite_cpulist", NULL, ROW_STARTUP, "", NULL),
    TEXT("bgsave_cpulist", NULL, ROW_STARTUP, "", NULL),
    TEXT("ignore-warnings", NULL, 0, "", NULL),
    BOOL("dynamic-hz", NULL, 0, 1),
    FLAGS("shutdown-on-sigint", 0, shutdown_names),
    FLAGS("shutdown-on-sigterm", 0, shutdown_names),
    INT("watchdog-period", NULL, ROW_HIDDEN, 0, 0, INT_MAX),
    INT("key-load-delay", NULL, ROW_HIDDEN, 0, INT_MIN, INT_MAX),
    INT("rdb-key-save-delay", NULL, ROW_HIDDEN, 0, INT_MIN, INT_MAX),
    INT("loading-process-events-interval-bytes", NULL, ROW_HIDDEN, 2 * (int64_t)MiB, 1024, INT_MAX),
    BOOL("enable-debug-assert", NULL, ROW_STARTUP | ROW_HIDDEN, 0),

    /* connections and observation */
    TEXT("bind-source-addr", NULL, 0, "", NULL),
    INT("socket-mark-id", NULL, ROW_STARTUP, 0, 0, UINT_MAX),
    INT("slowlog-log-slower-than", NULL, 0, 10000, -1, INT64_MAX),
    INT("slowlog-max-len", NULL, 0, 128, 0, LONG_MAX),
    INT("latency-monitor-threshold", NULL, 0, 0, 0, INT64_MAX),
    BOOL("latency-tracking", NULL, 0, 1),
    LIST("latency-tracking-info-percentiles", NULL, 0, "50 99 99.9", check_percentiles),
    INT("tracking-table-max-keys", NULL, 0, 1000000, 0, LONG_MAX),
    INT("busy-reply-threshold", "lua-time-limit", 0, 5000, 0, LONG_MAX),

    /* access */
    TEXT("aclfile", NULL, ROW_STARTUP | ROW_WARN, "", NULL),
    INT("acllog-max-len", NULL, 0, 128, 0, LONG_MAX),
    ENUM("acl-pubsub-default", 0, 1, pubsub_names),
    ENUM("enable-protected-configs", ROW_STARTUP, 0, protected_names),
    ENUM("enable-module-command", ROW_STARTUP, 0, protected_names),

    /* replication */
    LIST("replicaof", "slaveof", ROW_STARTUP | ROW_WARN, "", check_replica_of),
    TEXT("masterauth", NULL, 0, "", NULL),
    TEXT("masteruser", NULL, 0, "", NULL),
    BOOL("replica-read-only", "slave-read-only", 0, 1),
    BOOL("replica-serve-stale-data", "slave-serve-stale-data", 0, 1),
    BOOL("replica-lazy-flush", "slave-lazy-flush", 0, 0),
    BOOL("replica-ignore-maxmemory", "slave-ignore-maxmemory", 0, 1),
    BOOL("replica-ignore-disk-write-errors", NULL, 0, 0),
    BOOL("replica-announced", NULL, 0, 1),
    TEXT("replica-announce-ip", "slave-announce-ip", 0, "", NULL),
    INT("replica-announce-port", "slave-announce-port", 0, 0, 0, 65535),
    INT("replica-priority", "slave-priority", 0, 100, 0, INT_MAX),
    INT("min-replicas-to-write", "min-slaves-to-write", 0, 0, 0, INT_MAX),
    INT("min-replicas-max-lag", "min-slaves-max-lag", 0, 10, 0, INT_MAX),
    BYTES("repl-backlog-size", NULL, 0, (int64_t)MiB, 1),
    INT("repl-backlog-ttl", NULL, 0, 3600, 0, LONG_MAX),
    INT("repl-timeout", NULL, 0, 60, 1, INT_MAX),
    INT("repl-ping-replica-period", "repl-ping-slave-period", 0, 10, 1, INT_MAX),
    BOOL("repl-disable-tcp-nodelay", NULL, 0, 0),
    BOOL("repl-diskless-sync", NULL, 0, 1),
    INT("repl-diskless-sync-delay", NULL, 0, 5, 0, INT_MAX),
    INT("repl-diskless-sync-max-replicas", NULL, 0, 0, 0, INT_MAX),
    ENUM("repl-diskless-load", 0, 0, diskless_load_names),
    ENUM("propagation-error-behavior", 0, 0, propagation_names),

    /* cluster */
    BOOL("cluster-enabled", NULL, ROW_STARTUP | ROW_WARN, 0),
    TEXT("cluster-config-file", NULL, ROW_STARTUP, "nodes.conf", NULL),
    INT("cluster-node-timeout", NULL, 0, 15000, 0, INT64_MAX),
    INT("cluster-ping-interval", NULL, ROW_HIDDEN, 1000, 0, INT_MAX),
    INT("cluster-port", NULL, ROW_STARTUP, 0, 0, 65535),
    TEXT("cluster-announce-ip", NULL, 0, "", NULL),
    TEXT("cluster-announce-hostname", NULL, 0, "", check_host_name),
    TEXT("cluster-announce-human-nodename", NULL, 0, "", check_node_name),
    INT("cluster-announce-port", NULL, 0, 0, 0, 65535),
    INT("cluster-announce-tls-port", NULL, 0, 0, 0, 65535),
    INT("cluster-announce-bus-port", NULL, 0, 0, 0, 65535),
    INT("cluster-migration-barrier", NULL, 0, 1, 0, INT_MAX),
    INT("cluster-replica-validity-factor", "cluster-slave-validity-factor", 0, 10, 0, INT_MAX),
    BOOL("cluster-replica-no-failover", "cluster-slave-no-failover", 0, 0),
    BOOL("cluster-require-full-coverage", NULL, 0, 1),
    BOOL("cluster-allow-replica-migration", NULL, 0, 1),
    BOOL("cluster-allow-reads-when-down", NULL, 0, 0),
    BOOL("cluster-allow-pubsubshard-when-down", NULL, 0, 1),
    BYTES("cluster-link-sendbuf-limit", NULL, 0, 0, 0),
    ENUM("cluster-preferred-endpoint-type", 0, 0, endpoint_names),

    /* TLS */
    INT("tls-port", NULL, ROW_STARTUP | ROW_WARN, 0, 0, 65535),
    INT("tls-session-cache-size", NULL, 0, 20480, 0, INT_MAX),
    INT("tls-session-cache-timeout", NULL, 0, 300, 0, INT_MAX),
    BOOL("tls-cluster", NULL, 0, 0),
    BOOL("tls-replication", NULL, 0, 0),
    ENUM("tls-auth-clients", 0, 1, tls_auth_names),
    BOOL("tls-prefer-server-ciphers", NULL, 0, 0),
    BOOL("tls-session-caching", NULL, 0, 1),
    TEXT("tls-cert-file", NULL, 0, "", NULL),
    TEXT("tls-key-file", NULL, 0, "", NULL),
    TEXT("tls-key-file-pass", NULL, 0, "", NULL),
    TEXT("tls-client-cert-file", NULL, 0, "", NULL),
    TEXT("tls-client-key-file", NULL, 0, "", NULL),
    TEXT("tls-client-key-file-pass", NULL, 0, "", NULL),
    TEXT("tls-dh-params-file", NULL, 0, "", NULL),
    TEXT("tls-ca-cert-file", NULL, 0, "", NULL),
    TEXT("tls-ca-cert-dir", NULL, 0, "", NULL),
    TEXT("tls-protocols", NULL, 0, "", NULL),
    TEXT("tls-ciphers", NULL, 0, "", NULL),
    TEXT("tls-ciphersuites", NULL, 0, "", NULL),
};
/* clang-format on */

size_t settings_inert_count(void)
{
    return COUNT_OF(settings_inert_rows);
}
