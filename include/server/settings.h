/*
 * settings.h: the configuration: file, command line, CONFIG GET / SET / REWRITE. One table row per option.
 *
 * Rows come from the modules' X-macro tables (AOF_OPTIONS, COLD_OPTIONS, TIER_OPTIONS, PREFETCH_OPTIONS), from SERVER_OPTIONS
 * below, and from a list of every other Redis 7.2 option, which is accepted and given back, with a notice in the log that it has no effect.
 * File grammar: redis.conf's (comments, quotes, include with globs).
 *
 * Threads: numbers are atomics that any thread reads with OPTION_GET; strings and changes are the listener's and CONFIG's, under one lock.
 */
#ifndef SERVER_SETTINGS_H
#define SERVER_SETTINGS_H

#include "base/log.h"
#include "base/option.h"
#include "base/slice.h"
#include "base/status.h"
#include "storage/aof.h"
#include "storage/cold.h"
#include "storage/prefetch.h"
#include "storage/tier.h"

#include <stdbool.h>
#include <stdint.h>

/*        name                         field                     kind         default       min  max       flags           help */
#define SERVER_OPTIONS(X)                                                                       \
    X("port", port, OPTION_INT, 6379, 0, 65535, OPTION_RUNTIME, "TCP port; 0: none")            \
    X("tcp-backlog", tcp_backlog, OPTION_INT, 511, 0, INT32_MAX, OPTION_STARTUP,                \
        "length of the queue of connections not yet accepted")                                  \
    X("unixsocketperm", unix_socket_permissions, OPTION_INT, 0, 0, 0777, OPTION_STARTUP,        \
        "permissions of the unix socket, octal; 0: the umask's")                                \
    X("timeout", timeout_s, OPTION_INT, 0, 0, INT32_MAX, OPTION_RUNTIME,                        \
        "seconds after which an idle client is disconnected; 0: never")                         \
    X("tcp-keepalive", tcp_keepalive_s, OPTION_INT, 300, 0, INT32_MAX, OPTION_RUNTIME,          \
        "seconds between TCP keepalive probes; 0: none")                                        \
    X("maxclients", clients_max, OPTION_INT, 10000, 1, 1000000, OPTION_RUNTIME,                 \
        "connections at once")                                                                  \
    X("workers", workers, OPTION_INT, 0, 0, 64, OPTION_STARTUP,                                 \
        "threads that execute commands; 0: cores - 1, from 1 to 8")                             \
    X("databases", databases, OPTION_INT, 16, 1, 16384, OPTION_STARTUP, "number of databases")  \
    X("protected-mode", protected_mode, OPTION_BOOL, 1, 0, 1, OPTION_RUNTIME,                   \
        "refuse clients of other machines while no password and no bind address is set")        \
    X("proto-max-bulk-len", bulk_size_max, OPTION_BYTES, 512 * MiB, 1 * MiB, INT64_MAX,         \
        OPTION_RUNTIME, "longest string a client may send")                                     \
    X("client-query-buffer-limit", query_buffer_max, OPTION_BYTES, 1 * GiB, 1 * MiB, INT64_MAX, \
        OPTION_RUNTIME, "longest request held for one client")                                  \
    X("hz", hz, OPTION_INT, 10, 1, 500, OPTION_RUNTIME, "background steps per second")          \
    X("loglevel", log_level, OPTION_ENUM, 2, 0, 3, OPTION_RUNTIME,                              \
        "debug, verbose, notice, warning")                                                      \
    X("maxmemory-policy", memory_policy, OPTION_ENUM, 7, 0, 7, OPTION_RUNTIME,                  \
        "what may be evicted for good when the cold tier is full")                              \
    X("enable-debug-command", debug_command, OPTION_ENUM, 2, 0, 2, OPTION_STARTUP,              \
        "who may use DEBUG: no, yes, local (connections of this machine)")                      \
    X("daemonize", daemonize, OPTION_BOOL, 0, 0, 1, OPTION_STARTUP, "run in the background")    \
    X("shutdown-timeout", shutdown_timeout_s, OPTION_INT, 10, 0, INT32_MAX, OPTION_RUNTIME,     \
        "seconds a shutdown may take for its last checkpoint")                                  \
    X("lazyfree-lazy-user-del", lazy_user_del, OPTION_BOOL, 0, 0, 1, OPTION_RUNTIME,            \
        "DEL behaves as UNLINK")                                                                \
    X("hll-sparse-max-bytes", hll_sparse_size_max, OPTION_BYTES, 3000, 0, INT64_MAX,            \
        OPTION_RUNTIME, "size up to which HyperLogLogs are sparse")                             \
    X("maxmemory-clients", clients_memory_max, OPTION_BYTES, 0, 0, INT64_MAX,                   \
        OPTION_RUNTIME | OPTION_PERCENT, "memory of all connections' buffers; 0: no limit")

struct server_options {
    SERVER_OPTIONS(OPTION_FIELD)
};
/* enable-debug-command. */
enum server_protected { PROTECTED_NO, PROTECTED_YES, PROTECTED_LOCAL };
extern const char *const server_protected_names[];
extern const char *const server_log_level_names[];
extern const char *const server_memory_policy_names[]; /* noeviction is the last */

/* Output buffer limits of one class: client-output-buffer-limit <class> <hard> <soft> <soft seconds>. */
enum client_class {
    CLIENT_CLASS_NORMAL,
    CLIENT_CLASS_REPLICA,
    CLIENT_CLASS_PUBSUB,
    CLIENT_CLASS_COUNT
};
struct output_limit {
    int64_t hard_bytes, soft_bytes, soft_s; /* read with OPTION_GET */
};

struct settings {
    struct server_options server;
    struct aof_options aof;
    struct cold_options cold;
    struct tier_options tier;
    struct prefetch_options prefetch;
    struct output_limit output_limits[CLIENT_CLASS_COUNT];
    /* Strings; guarded by: the settings lock. Use settings_text(). */
    struct settings_texts *texts;
    char *file_path; /* absolute path of the config file, or NULL. Immutable after load */
};

/* Defaults. */
MUST_USE struct settings *settings_create(void);
void settings_destroy(struct settings *settings);

/*
 * argv as main() got it, without the program's name: [FILE] [--option value...]... ("-" reads stdin). Later ones override. As redis-server: an option's
 * value is everything up to the next --option. On an unknown name: ST_INVALID with line number and the nearest known name. Values out of
 * range: ST_INVALID, Redis's text ("argument must be between 0 and 65535 inclusive").
 */
MUST_USE enum status settings_load(
    struct settings *settings, int argc, const char *const *argv, struct error *error);
/* Logs which options settings_load() accepted without effect. Call once, when the log has its target. */
void settings_log_notices(struct settings *settings);
/* The log's level that the option loglevel stands for. */
enum log_level settings_log_level(const struct settings *settings);
/* One line of a config file (fuzz target). line_number is for the error. */
MUST_USE enum status settings_apply_line(
    struct settings *settings, struct slice line, unsigned line_number, struct error *error);

/* Copy of a text option (bind, dir, unixsocket, requirepass, logfile, save...); the caller frees. Never NULL for a known name. */
MUST_USE char *settings_text(struct settings *settings, const char *name);

/* --- CONFIG -------------------------------------------------------------------------------------------- */

/*
 * Calls visit for each option whose name matches one of the globs, once, in table order, aliases (slave-...) too; a pattern without
 * wildcards gives back the name as it was spelled, as in Redis. name and value are valid during the call.
 */
typedef void (*settings_visit_fn)(void *context, const char *name, const char *value);
void settings_get(struct settings *settings, const struct slice *patterns, size_t count,
    settings_visit_fn visit, void *context);
/*
 * Sets all pairs or none. ST_OK, or ST_INVALID with the whole reply text in error->message, as Redis 7.2 words it:
 * "ERR Unknown option or number of arguments for CONFIG SET - 'x'", "ERR CONFIG SET failed (possibly related to argument 'x') - ...".
 * Changes with an effect beyond the number itself run the hook of settings_on_change().
 */
MUST_USE enum status settings_set(struct settings *settings, const struct slice *names,
    const struct slice *values, size_t count, struct error *error);
/*
 * Rewrites the config file as Redis does: known lines replaced in place, others appended under a comment, atomically. ST_INVALID: no
 * config file; ST_IO, ST_FULL. Blocks on the disk.
 */
MUST_USE enum status settings_rewrite(struct settings *settings, struct error *error);
/*
 * Called after a CONFIG SET of the option (by its main name), with its new value: ST_OK, or a refusal with error (all pairs are then put
 * back, and the hook runs again for those it had seen). On the caller's thread, no lock held; changes are serialised.
 */
typedef enum status (*settings_change_fn)(
    void *context, const char *name, const char *value, struct error *error);
void settings_on_change(struct settings *settings, settings_change_fn change, void *context);

/* True for names that are accepted without effect here. */
bool settings_is_inert(const char *name);

/* "10mb", "1gb", "5%" (if percent) to a number; Redis's units (k, kb, m, mb, g, gb, b). */
MUST_USE bool settings_parse_bytes(struct slice text, bool percent, int64_t *value);

#endif
