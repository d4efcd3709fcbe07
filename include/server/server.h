/*
 * server.h: what the parts of the running server share. Made and taken down by main.c, bottom-up; fields are immutable once
 * the workers run, but for the metrics and the atomics.
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "base/metric.h"
#include "server/command.h"
#include "server/settings.h"
#include "storage/keyspace.h"
#include "storage/prefetch.h"
#include "storage/tier.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define KELVIN_VERSION "0.1.0"
/* What clients are told, for those that check it. */
#define REDIS_VERSION "7.2.4"

/*        field                  kind            help */
#define SERVER_METRICS(X)                                                                    \
    X(connection_count, METRIC_COUNTER, "connections accepted")                              \
    X(rejected_connection_count, METRIC_COUNTER, "connections refused by maxclients")        \
    X(client_count, METRIC_GAUGE, "connections open")                                        \
    X(blocked_count, METRIC_GAUGE, "clients in a blocking command, or held by CLIENT PAUSE") \
    X(parked_count, METRIC_GAUGE, "clients that wait for the disk, for room, to read")       \
    X(command_count, METRIC_COUNTER, "commands processed")                                   \
    X(error_reply_count, METRIC_COUNTER, "error replies")                                    \
    X(input_bytes, METRIC_COUNTER, "bytes read from clients")                                \
    X(output_bytes, METRIC_COUNTER, "bytes written to clients")                              \
    X(query_buffer_bytes, METRIC_GAUGE, "memory of input buffers")                           \
    X(output_buffer_bytes, METRIC_GAUGE, "memory of output buffers")                         \
    X(output_limit_count, METRIC_COUNTER, "clients closed by client-output-buffer-limit")    \
    X(query_limit_count, METRIC_COUNTER, "clients closed by client-query-buffer-limit")      \
    X(evicted_client_count, METRIC_COUNTER, "clients closed by maxmemory-clients")           \
    X(cold_wait_count, METRIC_COUNTER, "commands that waited for a cold read")               \
    X(room_wait_count, METRIC_COUNTER, "commands that waited for room")                      \
    X(turn_count, METRIC_COUNTER, "turns of workers")                                        \
    X(protocol_error_count, METRIC_COUNTER, "connections closed for protocol errors")

struct server_metrics {
    SERVER_METRICS(METRIC_FIELD)
};

/* Error replies by code word ("ERR", "WRONGTYPE"): INFO errorstats. At most SERVER_ERROR_KIND_MAX kinds. */
#define SERVER_ERROR_KIND_MAX 128
struct server_error_stat {
    char code[32]; /* immutable once ready */
    _Atomic uint64_t count;
    _Atomic bool claimed, ready;
};

/* The letters K and E of notify-keyspace-events, beside the classes. */
#define SERVER_NOTIFY_KEYSPACE ((uint32_t)1 << 30)
#define SERVER_NOTIFY_KEYEVENT ((uint32_t)1 << 31)

enum server_pause { SERVER_PAUSE_NONE, SERVER_PAUSE_WRITE, SERVER_PAUSE_ALL };
enum server_shutdown { SERVER_RUNNING, SERVER_SHUTDOWN_SAVE, SERVER_SHUTDOWN_NOSAVE };

struct server {
    struct settings *settings;
    struct keyspace *keyspace;
    struct tier *tier;
    struct prefetch *prefetch;
    struct server_metrics metrics;
    struct server_error_stat errors[SERVER_ERROR_KIND_MAX];
    char run_id[41];
    uint64_t started_unix_s;
    uint64_t started_monotonic_us;
    char *executable;     /* absolute path */
    char *data_directory; /* absolute path */
    unsigned worker_count;
    struct worker **workers; /* private to server/dispatch */
    _Atomic unsigned
        busy_worker_count; /* private to server/dispatch: those that workers_stop() waits for */
    _Atomic uint64_t next_session_id;
    _Atomic int pause_mode;          /* enum server_pause */
    _Atomic uint64_t pause_until_ms; /* wall clock */
    _Atomic int shutdown_request;    /* enum server_shutdown; main acts on it */
    _Atomic uint64_t peak_memory_bytes;
    _Atomic bool password_is_set; /* requirepass is not empty */
    /* Rates of the last seconds, sampled 10 times a second by main's timer (instantaneous_*). */
    _Atomic uint64_t rate_commands, rate_input, rate_output;
    struct pubsub *pubsub;         /* server/pubsub.h */
    struct blocking *blocking;     /* private to server/dispatch */
    _Atomic uint64_t waiter_count; /* clients in blocking commands: private to server/dispatch */
    _Atomic uint32_t
        notify_events; /* notify-keyspace-events: bits of enum keyspace_event_class and SERVER_NOTIFY_* */
    _Atomic uint32_t event_classes; /* what somebody listens to: private to server/dispatch */
    _Atomic bool log_is_unwritable; /* -MISCONF */
    int shutdown_fd;                /* eventfd: written when shutdown_request changes */
};

/* Counts an error reply by its code (the first word of text, at most 31 bytes). */
void server_count_error(struct server *server, struct slice code);
/* CONFIG RESETSTAT: counters of the server itself and errors to zero. */
void server_metrics_reset(struct server *server);
/* notify-keyspace-events was set, or a listener of its own kind came or went: what the keyspace tells of. Any thread. */
void server_events_set(struct server *server, uint32_t notify_events);
/* The bits of a text that CONFIG SET has accepted. */
uint32_t server_events_parse(const char *text);
/* Asks main to stop: the process ends when everything is saved. Any thread. */
void server_request_shutdown(struct server *server, enum server_shutdown kind);

#endif
