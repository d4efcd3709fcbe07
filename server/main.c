/*
 * main.c: the composition root: the only file that knows all modules. Sets up bottom-up, takes down in reverse.
 *
 *   settings → keyspace → tier (opens, recovers through dispatch's replay) → prefetch → workers → listeners → loop
 *
 * The main thread is the listener: it accepts, takes signals, samples rates.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/dispatch.h"
#include "server/net.h"
#include "server/server.h"
#include "storage/dict.h"
#include "storage/list.h"
#include "storage/set.h"
#include "storage/stream.h"
#include "storage/zset.h"

#include <event2/event.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define RATE_SAMPLES 16

struct rates {
    uint64_t last_us;
    uint64_t last[3];
    uint64_t samples[3][RATE_SAMPLES];
    unsigned index;
};

struct process {
    struct server server;
    struct tier_hooks keyspace_hooks; /* the keyspace's own, behind those given to the tier */
    struct event_base *base;
    struct net *net;
    struct event *shutdown_event, *tick_event, *signal_events[2];
    struct rates rates;
};

static const char usage_text[] =
    "Usage: kelvin-server [FILE] [--option value ...]\n"
    "       kelvin-server --version | --help\n"
    "\n"
    "A persistent cache server that speaks the Redis protocol. FILE has the grammar of redis.conf;\n"
    "\"-\" reads it from standard input. Options on the command line override the file.\n"
    "\n"
    "Examples:\n"
    "  kelvin-server conf/kelvin.conf\n"
    "  kelvin-server --port 7000 --dir /var/lib/kelvin --maxmemory 512mb\n"
    "  kelvin-server conf/kelvin.conf --appendfsync always\n"
    "\n"
    "conf/kelvin.conf lists every option with its default.\n";

static void print_error(const char *what, const struct error *error)
{
    fprintf(stderr, "%s: %s\n", what, error->message);
}

/* --- tier hooks ----------------------------------------------------------------------------------------- */

static void on_capture(void *context, struct buf *meta, struct buf *dead_spaces)
{
    const struct tier_hooks *hooks = &((struct process *)context)->keyspace_hooks;
    hooks->capture(hooks->context, meta, dead_spaces);
}

static void on_captured(void *context, bool committed)
{
    const struct tier_hooks *hooks = &((struct process *)context)->keyspace_hooks;
    hooks->captured(hooks->context, committed);
}

static void on_overwritten(void *context, uint32_t space, bool had_expiry)
{
    const struct tier_hooks *hooks = &((struct process *)context)->keyspace_hooks;
    hooks->overwritten(hooks->context, space, had_expiry);
}

static bool on_space_is_dead(void *context, uint32_t space)
{
    const struct tier_hooks *hooks = &((struct process *)context)->keyspace_hooks;
    return hooks->space_is_dead(hooks->context, space);
}

static void on_prefetch_done(void *context, const struct key *key, bool found)
{
    workers_prefetch_done(&((struct process *)context)->server, key, found);
}

static void on_durable(void *context, uint64_t durable_lsn)
{
    workers_durable(&((struct process *)context)->server, durable_lsn);
}

static void on_health(void *context, enum status status, bool fatal, const struct error *error)
{
    struct server *server = &((struct process *)context)->server;
    atomic_store_explicit(&server->log_is_unwritable, status != ST_OK, memory_order_relaxed);
    if (status == ST_OK) {
        log_info("main: the log can be written again");
        return;
    }
    if (!fatal) {
        log_error("main: the log cannot be written, refusing writes error=\"%s\"", error->message);
        return;
    }
    log_error(
        "main: a disk failure leaves no safe way on, stopping; a restart recovers all that is "
        "durable error=\"%s\"",
        error->message);
    _exit(1);
}

/* --- settings -------------------------------------------------------------------------------------------- */

static void apply_password(struct server *server)
{
    char *password = settings_text(server->settings, "requirepass");
    atomic_store_explicit(&server->password_is_set, password[0] != '\0', memory_order_relaxed);
    mem_free(password);
}

static enum status rebind(struct server *server, const char *what, struct error *error)
{
    struct error detail = {0};
    const enum status status =
        net_rebind(CONTAINER_OF(server, struct process, server)->net, &detail);
    if (status == ST_OK)
        return ST_OK;
    log_warn("main: %s error=\"%s\"", what, detail.message);
    return error_set(error, status, detail.os_errno, "%s. Check server logs.", what);
}

static enum status on_change(
    void *context, const char *name, const char *value, struct error *error)
{
    struct server *server = context;
    if (strcmp(name, "requirepass") == 0)
        apply_password(server);
    else if (strcmp(name, "loglevel") == 0)
        log_level_set(settings_log_level(server->settings));
    else if (strcmp(name, "logfile") == 0 && !log_target_set(value))
        return error_set(error, ST_INVALID, 0, "Can't open the log file: %s", value);
    else if (strcmp(name, "port") == 0)
        return rebind(server, "Unable to listen on this port", error);
    else if (strcmp(name, "bind") == 0)
        return rebind(server, "Failed to bind to specified addresses", error);
    else if (strcmp(name, "notify-keyspace-events") == 0)
        server_events_set(server, server_events_parse(value));
    return ST_OK;
}

static unsigned worker_count(const struct settings *settings)
{
    const int64_t configured = OPTION_GET(&settings->server, workers);
    if (configured > 0)
        return (unsigned)configured;
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores <= 2 ? 1 : cores > 9 ? 8 : (unsigned)cores - 1;
}

/* Descriptors for maxclients and our own files; fewer clients if the system allows fewer. */
static void raise_descriptor_limit(struct settings *settings)
{
    const rlim_t reserved = 64;
    const int64_t clients = OPTION_GET(&settings->server, clients_max);
    const rlim_t wanted = (rlim_t)clients + reserved;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    struct rlimit raised = {
        .rlim_cur = wanted, .rlim_max = limit.rlim_max > wanted ? limit.rlim_max : wanted};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
        return;
    raised.rlim_cur = raised.rlim_max = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &raised);
    const int64_t possible = (int64_t)raised.rlim_cur - (int64_t)reserved;
    if (possible < clients) {
        log_warn("main: maxclients reduced to %ld: the limit of open files is %lu", (long)possible,
            (unsigned long)raised.rlim_cur);
        OPTION_SET(&settings->server, clients_max, possible);
    }
}

/* --- the main thread's loop --------------------------------------------------------------------------------- */

static void on_signal(evutil_socket_t signal_number, short what, void *context)
{
    (void)what;
    struct process *process = context;
    if (atomic_load_explicit(&process->server.shutdown_request, memory_order_acquire) !=
        SERVER_RUNNING) {
        log_warn("main: second signal, exiting at once; the log is complete signal=%d",
            (int)signal_number);
        _exit(1);
    }
    log_info("main: received %s, scheduling shutdown...",
        signal_number == SIGINT ? "SIGINT" : "SIGTERM");
    server_request_shutdown(&process->server, SERVER_SHUTDOWN_SAVE);
}

static void on_shutdown(evutil_socket_t fd, short what, void *context)
{
    (void)what;
    struct process *process = context;
    uint64_t count = 0;
    const ssize_t size = read((int)fd, &count, sizeof(count));
    (void)size;
    if (atomic_load_explicit(&process->server.shutdown_request, memory_order_acquire) !=
        SERVER_RUNNING)
        event_base_loopbreak(process->base);
}

static uint64_t sample_rate(struct rates *rates, unsigned which, uint64_t now, uint64_t elapsed_us)
{
    const uint64_t delta = now - rates->last[which];
    rates->last[which] = now;
    rates->samples[which][rates->index % RATE_SAMPLES] =
        elapsed_us > 0 ? delta * 1000000 / elapsed_us : 0;
    uint64_t sum = 0;
    for (unsigned i = 0; i < RATE_SAMPLES; i++)
        sum += rates->samples[which][i];
    return sum / RATE_SAMPLES;
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    struct process *process = context;
    struct server *server = &process->server;
    struct rates *rates = &process->rates;
    const uint64_t now_us = clock_monotonic_us();
    const uint64_t elapsed_us = now_us - rates->last_us;
    rates->last_us = now_us;
    atomic_store_explicit(&server->rate_commands,
        sample_rate(rates, 0, metric_get(&server->metrics, command_count), elapsed_us),
        memory_order_relaxed);
    atomic_store_explicit(&server->rate_input,
        sample_rate(rates, 1, metric_get(&server->metrics, input_bytes), elapsed_us),
        memory_order_relaxed);
    atomic_store_explicit(&server->rate_output,
        sample_rate(rates, 2, metric_get(&server->metrics, output_bytes), elapsed_us),
        memory_order_relaxed);
    rates->index++;
}

static void add_main_events(struct process *process)
{
    const struct timeval tick = {.tv_sec = 0, .tv_usec = 100000};
    process->shutdown_event = event_new(
        process->base, process->server.shutdown_fd, EV_READ | EV_PERSIST, on_shutdown, process);
    process->tick_event = event_new(process->base, -1, EV_PERSIST, on_tick, process);
    process->signal_events[0] = evsignal_new(process->base, SIGTERM, on_signal, process);
    process->signal_events[1] = evsignal_new(process->base, SIGINT, on_signal, process);
    CHECK(event_add(process->shutdown_event, NULL) == 0);
    CHECK(event_add(process->tick_event, &tick) == 0);
    CHECK(event_add(process->signal_events[0], NULL) == 0);
    CHECK(event_add(process->signal_events[1], NULL) == 0);
}

static void free_main_events(struct process *process)
{
    if (process->base == NULL)
        return;
    if (process->shutdown_event != NULL) {
        event_free(process->shutdown_event);
        event_free(process->tick_event);
        event_free(process->signal_events[0]);
        event_free(process->signal_events[1]);
    }
    event_base_free(process->base);
}

/* --- set-up -------------------------------------------------------------------------------------------------------- */

static void register_commands(void)
{
    command_register(connection_commands);
    command_register(string_commands);
    command_register(generic_commands);
    command_register(transaction_commands);
    command_register(server_commands);
    command_register(tier_commands);
    command_register(function_commands);
    command_register(pubsub_commands);
    command_register(dump_commands);
    command_register(debug_commands);
    command_register(hash_commands);
    command_register(list_commands);
    command_register(set_commands);
    command_register(zset_commands);
    command_register(geo_commands);
    command_register(bitmap_commands);
    command_register(sort_commands);
    command_register(hyperloglog_commands);
    command_register(stream_commands);
}

static enum status open_store(struct process *process, struct error *error)
{
    struct server *server = &process->server;
    struct settings *settings = server->settings;
    server->keyspace = keyspace_create((unsigned)OPTION_GET(&settings->server, databases));
    struct tier_config config = {.directory = server->data_directory,
        .single_worker = server->worker_count == 1,
        .options = &settings->tier,
        .aof_options = &settings->aof,
        .cold_options = &settings->cold};
    keyspace_hooks(server->keyspace, &process->keyspace_hooks);
    config.hooks = (struct tier_hooks){.context = process,
        .capture = on_capture,
        .captured = on_captured,
        .overwritten = on_overwritten,
        .space_is_dead = on_space_is_dead,
        .prefetch_done = on_prefetch_done,
        .health = on_health,
        .durable = on_durable};
    enum status status = tier_open(&config, &server->tier, error);
    if (status != ST_OK)
        return status;
    status = keyspace_attach(server->keyspace, server->tier, error);
    if (status != ST_OK)
        return status;
    struct tier_recovery recovery;
    const uint64_t start_us = clock_monotonic_us();
    status = tier_recover(server->tier, dispatch_replay, server, &recovery, error);
    if (status != ST_OK)
        return status;
    if (recovery.tail.torn)
        log_warn("main: the log ended in a torn frame, cut off file=%s offset=%lu bytes=%lu",
            recovery.tail.path, recovery.tail.offset, recovery.tail.dropped_bytes);
    log_info("main: recovered from_lsn=%lu to_lsn=%lu frames=%lu seconds=%.3f", recovery.from_lsn,
        recovery.to_lsn, recovery.frame_count, (double)(clock_monotonic_us() - start_us) / 1e6);
    return ST_OK;
}

static void open_prefetch(struct server *server)
{
    const struct prefetch_config config = {.worker_count = server->worker_count,
        .options = &server->settings->prefetch,
        .memory_max = (uint64_t)OPTION_GET(&server->settings->tier, memory_max),
        .send = workers_prefetch_send,
        .demand_pending = workers_demand_pending,
        .context = server};
    server->prefetch = prefetch_create(&config);
}

static void write_pid_file(const struct server *server)
{
    char *path = settings_text(server->settings, "pidfile");
    if (path[0] != '\0') {
        char text[32];
        const int size = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
        struct error error = {0};
        if (file_replace(path, slice_of(text, (size_t)size), &error) != ST_OK)
            log_warn("main: cannot write the pid file error=\"%s\"", error.message);
    }
    mem_free(path);
}

static void remove_pid_file(const struct server *server)
{
    char *path = settings_text(server->settings, "pidfile");
    if (path[0] != '\0')
        status_ignore(file_unlink(path, NULL));
    mem_free(path);
}

static enum status set_up(struct process *process, struct error *error)
{
    struct server *server = &process->server;
    random_hex(server->run_id, 40);
    server->started_unix_s = clock_wall_ms() / 1000;
    server->started_monotonic_us = clock_monotonic_us();
    server->worker_count = worker_count(server->settings);
    atomic_store_explicit(&server->next_session_id, 1, memory_order_relaxed);
    server->shutdown_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(server->shutdown_fd >= 0);
    char *directory = settings_text(server->settings, "dir");
    enum status status = file_make_directory(directory, error);
    if (status == ST_OK) {
        char path[PATH_MAX];
        CHECK(realpath(directory, path) != NULL);
        server->data_directory = mem_string(path);
    }
    mem_free(directory);
    if (status != ST_OK)
        return status;
    apply_password(server);
    settings_on_change(server->settings, on_change, server);
    register_commands();
    struct event_config *config = event_config_new();
    CHECK(config != NULL);
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    process->base = event_base_new_with_config(config);
    event_config_free(config);
    CHECK(process->base != NULL);
    status = net_open(server, process->base, &process->net, error);
    if (status != ST_OK) {
        printf("Failed listening on port %d (TCP), aborting.\n",
            (int)OPTION_GET(&server->settings->server, port));
        fflush(stdout);
        return status;
    }
    status = open_store(process, error);
    if (status != ST_OK)
        return status;
    open_prefetch(server);
    value_reclaimer_start();
    workers_create(server);
    add_main_events(process);
    return ST_OK;
}

static void take_down(struct process *process, bool save)
{
    struct server *server = &process->server;
    net_close(process->net);
    workers_stop(server);
    prefetch_destroy(server->prefetch);
    value_reclaimer_stop();
    tier_close(server->tier, save);
    workers_destroy(server);
    keyspace_destroy(server->keyspace);
    free_main_events(process);
    if (server->shutdown_fd > 0)
        close(server->shutdown_fd);
    mem_free(server->data_directory);
    mem_free(server->executable);
    settings_destroy(server->settings);
}

static int serve(struct process *process)
{
    struct server *server = &process->server;
    workers_start(server);
    net_start(process->net);
    log_info("main: kelvin %s serving port=%d workers=%u dir=%s", KELVIN_VERSION,
        (int)OPTION_GET(&server->settings->server, port), server->worker_count,
        server->data_directory);
    log_info("Ready to accept connections");
    event_base_dispatch(process->base);
    const int request = atomic_load_explicit(&server->shutdown_request, memory_order_acquire);
    log_info("main: User requested shutdown...");
    net_stop(process->net);
    remove_pid_file(server);
    take_down(process, request == SERVER_SHUTDOWN_SAVE);
    log_info("main: Kelvin is now ready to exit, bye bye...");
    return 0;
}

static void set_up_process(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    mem_setup();
    hash_setup();
    dict_setup();
    list_setup();
    set_setup();
    zset_setup();
    stream_setup();
}

/* File faults for tests of the whole server: see base/file.h. */
static bool set_up_faults(void)
{
    const char *faults = getenv("KELVIN_FILE_FAULTS");
    return faults == NULL || file_fault_parse(faults, getenv("KELVIN_FILE_FAULTS_SWITCH"));
}

int main(int argc, char **argv)
{
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage_text, stdout);
        return 0;
    }
    if (argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-v") == 0)) {
        printf("Kelvin server v=%s redis=%s\n", KELVIN_VERSION, REDIS_VERSION);
        return 0;
    }
    set_up_process();
    static struct process process;
    struct server *server = &process.server;
    char executable[PATH_MAX];
    server->executable =
        mem_string(realpath("/proc/self/exe", executable) != NULL ? executable : argv[0]);
    server->settings = settings_create();
    struct error error = {0};
    if (settings_load(server->settings, argc - 1, (const char *const *)argv + 1, &error) != ST_OK) {
        fprintf(stderr, "\n*** FATAL CONFIG FILE ERROR (Kelvin %s) ***\n%s\n", KELVIN_VERSION,
            error.message);
        return 1;
    }
    if (!set_up_faults()) {
        fprintf(stderr, "KELVIN_FILE_FAULTS is malformed\n");
        return 1;
    }
    log_level_set(settings_log_level(server->settings));
    char *log_path = settings_text(server->settings, "logfile");
    if (!log_target_set(log_path)) {
        fprintf(stderr, "Can't open the log file: %s\n", log_path);
        return 1;
    }
    mem_free(log_path);
    if (OPTION_GET(&server->settings->server, daemonize) != 0 && daemon(1, 0) != 0) {
        fprintf(stderr, "Can't become a daemon: %s\n", strerror(errno));
        return 1;
    }
    log_info("main: Kelvin %s starting PID: %ld", KELVIN_VERSION, (long)getpid());
    settings_log_notices(server->settings);
    raise_descriptor_limit(server->settings);
    if (set_up(&process, &error) != ST_OK) {
        log_error("main: cannot start error=\"%s\"", error.message);
        print_error("kelvin-server", &error);
        take_down(&process, false);
        return 1;
    }
    write_pid_file(server);
    return serve(&process);
}
