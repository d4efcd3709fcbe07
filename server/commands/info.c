/*
 * info.c: INFO: one function per section, one row per section in the table.
 *
 * Redis's field names with Redis's meaning where the thing exists here; Kelvin's own sections (Tier, Log, Checkpoint, Prefetch) are printed
 * from the modules' metric tables, so that a new metric needs no line here.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "base/status.h"
#include "commands_internal.h"
#include "server/pubsub.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

struct info {
    struct server *server;
    struct buf text;
    uint64_t now_ms;
};

static void line_text(struct info *info, const char *name, const char *value)
{
    buf_append_format(&info->text, "%s:%s\r\n", name, value);
}

static void line_number(struct info *info, const char *name, uint64_t value)
{
    buf_append_format(&info->text, "%s:%lu\r\n", name, value);
}

/* "name_human:1.50M". */
static void line_human(struct info *info, const char *name, uint64_t bytes)
{
    static const char *const units = "BKMGTP";
    double value = (double)bytes;
    unsigned unit = 0;
    while (value >= 1024 && unit < 5) {
        value /= 1024;
        unit++;
    }
    if (unit == 0)
        buf_append_format(&info->text, "%s_human:%luB\r\n", name, bytes);
    else
        buf_append_format(&info->text, "%s_human:%.2f%c\r\n", name, value, units[unit]);
}

static void line_bytes(struct info *info, const char *name, uint64_t bytes)
{
    line_number(info, name, bytes);
    line_human(info, name, bytes);
}

static double ratio(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0.0;
}

/* --- Redis's sections ---------------------------------------------------------------------------------------- */

static void section_server(struct info *info)
{
    struct server *server = info->server;
    struct utsname name;
    if (uname(&name) != 0)
        name = (struct utsname){.sysname = "unknown"};
    const uint64_t uptime_s = (clock_monotonic_us() - server->started_monotonic_us) / 1000000;
    line_text(info, "redis_version", REDIS_VERSION);
    line_text(info, "kelvin_version", KELVIN_VERSION);
    line_text(info, "redis_git_sha1", "00000000");
    line_text(info, "redis_git_dirty", "0");
    line_text(info, "redis_mode", "standalone");
    buf_append_format(&info->text, "os:%s %s %s\r\n", name.sysname, name.release, name.machine);
    line_number(info, "arch_bits", 8 * sizeof(void *));
    line_text(info, "multiplexing_api", "libevent");
    line_text(info, "gcc_version", __VERSION__);
    line_number(info, "process_id", (uint64_t)getpid());
    line_text(info, "process_supervised", "no");
    line_text(info, "run_id", server->run_id);
    line_number(info, "tcp_port", (uint64_t)OPTION_GET(&server->settings->server, port));
    line_number(info, "server_time_usec", clock_wall_us());
    line_number(info, "uptime_in_seconds", uptime_s);
    line_number(info, "uptime_in_days", uptime_s / 86400);
    line_number(info, "hz", (uint64_t)OPTION_GET(&server->settings->server, hz));
    line_number(info, "configured_hz", (uint64_t)OPTION_GET(&server->settings->server, hz));
    line_number(info, "lru_clock", (info->now_ms / 1000) & 0xffffff);
    line_text(info, "executable", server->executable);
    line_text(info, "config_file",
        server->settings->file_path != NULL ? server->settings->file_path : "");
    line_number(info, "io_threads_active", server->worker_count > 1);
    line_number(info, "workers", server->worker_count);
}

static void section_clients(struct info *info)
{
    struct server *server = info->server;
    line_number(info, "connected_clients", metric_get(&server->metrics, client_count));
    line_number(info, "cluster_connections", 0);
    line_number(info, "maxclients", (uint64_t)OPTION_GET(&server->settings->server, clients_max));
    line_number(
        info, "client_recent_max_input_buffer", metric_get(&server->metrics, query_buffer_bytes));
    line_number(
        info, "client_recent_max_output_buffer", metric_get(&server->metrics, output_buffer_bytes));
    line_number(info, "blocked_clients", metric_get(&server->metrics, blocked_count));
    line_number(info, "tracking_clients", 0);
    line_number(info, "clients_in_timeout_table", 0);
}

static void section_memory(struct info *info)
{
    struct server *server = info->server;
    struct mem_stats memory;
    mem_stats_read(&memory);
    struct hot_metrics hot;
    hot_metrics_read(tier_hot(server->tier), &hot);
    const uint64_t used = memory.allocated_bytes;
    uint64_t peak = atomic_load_explicit(&server->peak_memory_bytes, memory_order_relaxed);
    if (peak < used)
        peak = used;
    const uint64_t dataset = metric_get(&hot, record_bytes);
    const uint64_t clients = metric_get(&server->metrics, query_buffer_bytes) +
                             metric_get(&server->metrics, output_buffer_bytes);
    struct aof_metrics log;
    aof_metrics_read(tier_aof(server->tier), &log);
    line_bytes(info, "used_memory", used);
    line_bytes(info, "used_memory_rss", memory.rss_bytes);
    line_bytes(info, "used_memory_anonymous", memory.anonymous_bytes);
    line_bytes(info, "used_memory_peak", peak);
    buf_append_format(&info->text, "used_memory_peak_perc:%.2f%%\r\n", 100 * ratio(used, peak));
    line_number(info, "used_memory_overhead", used > dataset ? used - dataset : 0);
    line_number(info, "used_memory_startup", 0);
    line_number(info, "used_memory_dataset", dataset);
    buf_append_format(
        &info->text, "used_memory_dataset_perc:%.2f%%\r\n", 100 * ratio(dataset, used));
    line_number(info, "allocator_allocated", memory.allocated_bytes);
    line_number(info, "allocator_active", memory.active_bytes);
    line_number(info, "allocator_resident", memory.resident_bytes);
    line_bytes(info, "total_system_memory",
        (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
    line_bytes(info, "used_memory_lua", 0);
    line_bytes(info, "maxmemory", (uint64_t)OPTION_GET(&server->settings->tier, memory_max));
    char *policy = settings_text(server->settings, "maxmemory-policy");
    line_text(info, "maxmemory_policy", policy);
    mem_free(policy);
    buf_append_format(
        &info->text, "mem_fragmentation_ratio:%.2f\r\n", ratio(memory.anonymous_bytes, used));
    line_number(info, "mem_not_counted_for_evict", 0);
    line_number(info, "mem_clients_slaves", 0);
    line_number(info, "mem_clients_normal", clients);
    line_number(info, "mem_cluster_links", 0);
    line_number(info, "mem_aof_buffer", metric_get(&log, pending_bytes));
#ifdef KELVIN_JEMALLOC
    line_text(info, "mem_allocator", "jemalloc");
#else
    line_text(info, "mem_allocator", "libc");
#endif
    line_number(info, "active_defrag_running", 0);
    uint64_t pending_values;
    uint64_t freed_values;
    value_reclaimer_counts(&pending_values, &freed_values);
    line_number(info, "lazyfree_pending_objects", pending_values);
    line_number(info, "lazyfreed_objects", freed_values);
}

static void section_persistence(struct info *info)
{
    struct server *server = info->server;
    struct tier *tier = server->tier;
    struct tier_metrics metrics;
    tier_metrics_read(tier, &metrics);
    struct aof_metrics log;
    aof_metrics_read(tier_aof(tier), &log);
    const char *status = tier_checkpoint_status(tier) == ST_OK ? "ok" : "err";
    line_number(info, "loading", 0);
    line_number(info, "async_loading", 0);
    line_number(info, "current_cow_peak", 0);
    line_number(info, "current_cow_size", 0);
    line_number(info, "rdb_changes_since_last_save", tier_changes_since_checkpoint(tier));
    line_number(info, "rdb_bgsave_in_progress", metric_get(&metrics, checkpoint_running));
    line_number(info, "rdb_last_save_time", tier_checkpoint_unix_s(tier));
    line_text(info, "rdb_last_bgsave_status", status);
    line_number(
        info, "rdb_last_bgsave_time_sec", metric_get(&metrics, checkpoint_us_last) / 1000000);
    line_text(info, "rdb_current_bgsave_time_sec", "-1");
    line_number(info, "rdb_saves", metric_get(&metrics, checkpoint_count));
    line_number(info, "rdb_last_cow_size", 0);
    line_number(info, "aof_enabled", 1);
    line_number(info, "aof_rewrite_in_progress", metric_get(&metrics, checkpoint_running));
    line_number(info, "aof_rewrite_scheduled", 0);
    line_number(
        info, "aof_last_rewrite_time_sec", metric_get(&metrics, checkpoint_us_last) / 1000000);
    line_text(info, "aof_last_bgrewrite_status", status);
    line_text(info, "aof_last_write_status", aof_health(tier_aof(tier)) == ST_OK ? "ok" : "err");
    line_number(info, "aof_current_size", metric_get(&log, file_bytes));
    line_number(info, "aof_base_size", 0);
    line_number(info, "aof_pending_rewrite", 0);
    line_number(info, "aof_buffer_length", metric_get(&log, pending_bytes));
    line_number(info, "aof_pending_bio_fsync", 0);
    line_number(info, "aof_delayed_fsync", metric_get(&log, delayed_sync_count));
}

static void section_stats(struct info *info)
{
    struct server *server = info->server;
    struct keyspace_metrics keys;
    keyspace_metrics_read(server->keyspace, &keys);
    struct cold_metrics cold;
    cold_metrics_read(tier_cold(server->tier), &cold);
    line_number(info, "total_connections_received", metric_get(&server->metrics, connection_count));
    line_number(info, "total_commands_processed", metric_get(&server->metrics, command_count));
    line_number(info, "instantaneous_ops_per_sec",
        atomic_load_explicit(&server->rate_commands, memory_order_relaxed));
    line_number(info, "total_net_input_bytes", metric_get(&server->metrics, input_bytes));
    line_number(info, "total_net_output_bytes", metric_get(&server->metrics, output_bytes));
    buf_append_format(&info->text, "instantaneous_input_kbps:%.2f\r\n",
        (double)atomic_load_explicit(&server->rate_input, memory_order_relaxed) / 1024);
    buf_append_format(&info->text, "instantaneous_output_kbps:%.2f\r\n",
        (double)atomic_load_explicit(&server->rate_output, memory_order_relaxed) / 1024);
    line_number(
        info, "rejected_connections", metric_get(&server->metrics, rejected_connection_count));
    line_number(info, "sync_full", 0);
    line_number(info, "sync_partial_ok", 0);
    line_number(info, "sync_partial_err", 0);
    line_number(info, "expired_keys", metric_get(&keys, expired_count));
    line_number(info, "expired_subkeys", metric_get(&keys, expired_part_count));
    line_number(info, "expired_cold_keys", metric_get(&keys, expired_cold_count));
    line_number(info, "evicted_keys", 0);
    line_number(info, "evicted_clients", metric_get(&server->metrics, evicted_client_count));
    line_number(info, "keyspace_hits", metric_get(&keys, hit_count));
    line_number(info, "keyspace_misses", metric_get(&keys, miss_count));
    line_number(info, "pubsub_channels", pubsub_name_count(server->pubsub, PUBSUB_CHANNEL));
    line_number(info, "pubsub_patterns", pubsub_name_count(server->pubsub, PUBSUB_PATTERN));
    line_number(info, "pubsubshard_channels", pubsub_name_count(server->pubsub, PUBSUB_SHARD));
    line_number(info, "latest_fork_usec", 0);
    line_number(info, "total_forks", 0);
    line_number(info, "migrate_cached_sockets", 0);
    line_number(info, "client_query_buffer_limit_disconnections",
        metric_get(&server->metrics, query_limit_count));
    line_number(info, "client_output_buffer_limit_disconnections",
        metric_get(&server->metrics, output_limit_count));
    line_number(info, "total_error_replies", metric_get(&server->metrics, error_reply_count));
    line_number(info, "total_turns", metric_get(&server->metrics, turn_count));
    line_number(info, "waits_for_cold_reads", metric_get(&server->metrics, cold_wait_count));
    line_number(info, "waits_for_room", metric_get(&server->metrics, room_wait_count));
    line_number(info, "watched_keys", metric_get(&keys, watch_count));
    /* Names that redis_exporter knows from KeyDB. */
    line_number(info, "storage_provider_read_hits",
        metric_get(&cold, read_count) - metric_get(&cold, absent_count));
    line_number(info, "storage_provider_read_misses", metric_get(&cold, absent_count));
}

static void section_replication(struct info *info)
{
    const uint64_t end = aof_end_lsn(tier_aof(info->server->tier));
    line_text(info, "role", "master");
    line_number(info, "connected_slaves", 0);
    line_text(info, "master_failover_state", "no-failover");
    line_text(info, "master_replid", info->server->run_id);
    line_text(info, "master_replid2", "0000000000000000000000000000000000000000");
    line_number(info, "master_repl_offset", end);
    line_text(info, "second_repl_offset", "-1");
    line_number(info, "repl_backlog_active", 0);
    line_number(info, "repl_backlog_size", 0);
    line_number(info, "repl_backlog_first_byte_offset", 0);
    line_number(info, "repl_backlog_histlen", 0);
}

static void line_time(struct info *info, const char *name, struct timeval time)
{
    buf_append_format(&info->text, "%s:%ld.%06ld\r\n", name, (long)time.tv_sec, (long)time.tv_usec);
}

static void section_cpu(struct info *info)
{
    struct rusage self;
    struct rusage children;
    if (getrusage(RUSAGE_SELF, &self) != 0 || getrusage(RUSAGE_CHILDREN, &children) != 0)
        return;
    line_time(info, "used_cpu_sys", self.ru_stime);
    line_time(info, "used_cpu_user", self.ru_utime);
    line_time(info, "used_cpu_sys_children", children.ru_stime);
    line_time(info, "used_cpu_user_children", children.ru_utime);
}

static void section_modules(struct info *info)
{
    (void)info; /* there are none */
}

static void section_commandstats(struct info *info)
{
    for (unsigned i = 0; i < command_row_count(); i++) {
        const struct command *command = command_at(i);
        const struct command_stats *stats = command_stats_of(command);
        const uint64_t calls = metric_get(stats, call_count);
        const uint64_t rejected = metric_get(stats, rejected_count);
        if (calls == 0 && rejected == 0)
            continue;
        char name[80];
        command_full_name(command, name, sizeof(name));
        const uint64_t usec = metric_get(stats, nsec_total) / 1000;
        buf_append_format(&info->text,
            "cmdstat_%s:calls=%lu,usec=%lu,usec_per_call=%.2f,rejected_calls=%lu,failed_calls=%lu\r\n",
            name, calls, usec, ratio(usec, calls), rejected, metric_get(stats, failed_count));
    }
}

static void section_errorstats(struct info *info)
{
    for (size_t i = 0; i < SERVER_ERROR_KIND_MAX; i++) {
        const struct server_error_stat *stat = &info->server->errors[i];
        if (!atomic_load_explicit(&stat->ready, memory_order_acquire))
            continue;
        const uint64_t count = atomic_load_explicit(&stat->count, memory_order_relaxed);
        if (count > 0)
            buf_append_format(&info->text, "errorstat_%s:count=%lu\r\n", stat->code, count);
    }
}

static void section_cluster(struct info *info)
{
    line_number(info, "cluster_enabled", 0);
}

static void section_keyspace(struct info *info)
{
    const struct keyspace *keyspace = info->server->keyspace;
    for (unsigned db = 0; db < keyspace_database_count(keyspace); db++) {
        const uint64_t keys = keyspace_size(keyspace, db);
        if (keys > 0)
            buf_append_format(&info->text, "db%u:keys=%lu,expires=%lu,avg_ttl=%lu\r\n", db, keys,
                keyspace_expires(keyspace, db), keyspace_average_ttl_ms(keyspace, db));
    }
}

/* --- Kelvin's sections ------------------------------------------------------------------------------------------- */

/* The tier's metrics of checkpoints have a section of their own. */
static void print_tier_metrics(struct info *info, bool of_checkpoints)
{
    struct tier_metrics metrics;
    tier_metrics_read(info->server->tier, &metrics);
#define TIER_LINE(field, kind, help)                                                    \
    if ((strncmp(#field, "checkpoint_", strlen("checkpoint_")) == 0) == of_checkpoints) \
        line_number(info, #field, metric_get(&metrics, field));
    TIER_METRICS(TIER_LINE)
}

static void section_tier(struct info *info)
{
    struct tier *tier = info->server->tier;
    {
        struct hot_metrics metrics;
        hot_metrics_read(tier_hot(tier), &metrics);
#define HOT_LINE(field, kind, help) line_number(info, "hot_" #field, metric_get(&metrics, field));
        HOT_METRICS(HOT_LINE)
    }
    const uint64_t limit = tier_hot_limit(tier);
    line_number(info, "hot_limit_bytes", limit == UINT64_MAX ? 0 : limit);
    {
        struct cold_metrics metrics;
        cold_metrics_read(tier_cold(tier), &metrics);
#define COLD_LINE(field, kind, help) line_number(info, "cold_" #field, metric_get(&metrics, field));
        COLD_METRICS(COLD_LINE)
        buf_append_format(&info->text, "cold_compression_ratio:%.2f\r\n",
            ratio(metric_get(&metrics, raw_bytes), metric_get(&metrics, stored_bytes)));
    }
    print_tier_metrics(info, false);
}

static void section_log(struct info *info)
{
    struct tier *tier = info->server->tier;
    struct aof *aof = tier_aof(tier);
    struct aof_metrics metrics;
    aof_metrics_read(aof, &metrics);
    line_number(info, "log_end_lsn", aof_end_lsn(aof));
    line_number(info, "log_durable_lsn", aof_durable_lsn(aof));
    line_number(info, "log_first_lsn", aof_first_lsn(aof));
    line_number(info, "log_tail_bytes", aof_end_lsn(aof) - tier_checkpoint_lsn(tier));
    line_text(info, "log_health", status_name(aof_health(aof)));
#define LOG_LINE(field, kind, help) line_number(info, "log_" #field, metric_get(&metrics, field));
    AOF_METRICS(LOG_LINE)
}

static void section_checkpoint(struct info *info)
{
    struct tier *tier = info->server->tier;
    line_number(info, "checkpoint_lsn", tier_checkpoint_lsn(tier));
    line_number(info, "checkpoint_time", tier_checkpoint_unix_s(tier));
    line_text(info, "checkpoint_last_status", status_name(tier_checkpoint_status(tier)));
    line_number(info, "checkpoint_changes_pending", tier_changes_since_checkpoint(tier));
    print_tier_metrics(info, true);
}

static void section_prefetch(struct info *info)
{
    struct prefetch_metrics metrics;
    prefetch_metrics_read(info->server->prefetch, &metrics);
    line_text(info, "prefetch_mode",
        prefetch_mode_names[OPTION_GET(&info->server->settings->prefetch, mode)]);
#define PREFETCH_LINE(field, kind, help) \
    line_number(info, "prefetch_" #field, metric_get(&metrics, field));
    PREFETCH_METRICS(PREFETCH_LINE)
    buf_append_format(&info->text, "prefetch_precision:%.3f\r\n",
        ratio(metric_get(&metrics, useful_count), metric_get(&metrics, issued_count)));
}

/* --- the table --------------------------------------------------------------------------------------------------- */

enum info_level { INFO_DEFAULT, INFO_ALL, INFO_EVERYTHING };

static const struct section {
    const char *name;  /* lower case: the argument */
    const char *title; /* after "# " */
    void (*print)(struct info *info);
    enum info_level level; /* from which set on it is shown */
} sections[] = {
    {"server", "Server", section_server, INFO_DEFAULT},
    {"clients", "Clients", section_clients, INFO_DEFAULT},
    {"memory", "Memory", section_memory, INFO_DEFAULT},
    {"persistence", "Persistence", section_persistence, INFO_DEFAULT},
    {"stats", "Stats", section_stats, INFO_DEFAULT},
    {"replication", "Replication", section_replication, INFO_DEFAULT},
    {"cpu", "CPU", section_cpu, INFO_DEFAULT},
    {"modules", "Modules", section_modules, INFO_DEFAULT},
    {"commandstats", "Commandstats", section_commandstats, INFO_ALL},
    {"errorstats", "Errorstats", section_errorstats, INFO_DEFAULT},
    {"cluster", "Cluster", section_cluster, INFO_DEFAULT},
    {"tier", "Tier", section_tier, INFO_DEFAULT},
    {"log", "Log", section_log, INFO_DEFAULT},
    {"checkpoint", "Checkpoint", section_checkpoint, INFO_DEFAULT},
    {"prefetch", "Prefetch", section_prefetch, INFO_DEFAULT},
    {"keyspace", "Keyspace", section_keyspace, INFO_DEFAULT},
};

static bool is_wanted(const struct command_call *call, const struct section *section)
{
    if (call->argc == 1)
        return section->level == INFO_DEFAULT;
    for (int i = 1; i < call->argc; i++) {
        const struct slice word = call->argv[i];
        if (slice_equal_nocase(word, section->name) || slice_equal_nocase(word, "everything") ||
            (slice_equal_nocase(word, "all") && section->level <= INFO_ALL) ||
            (slice_equal_nocase(word, "default") && section->level == INFO_DEFAULT))
            return true;
    }
    return false;
}

void cmd_info(struct command_call *call)
{
    struct info info = {.server = call->server, .now_ms = call->view->now_ms};
    for (size_t i = 0; i < COUNT_OF(sections); i++) {
        if (!is_wanted(call, &sections[i]))
            continue;
        if (info.text.size > 0)
            buf_append_text(&info.text, "\r\n");
        buf_append_format(&info.text, "# %s\r\n", sections[i].title);
        sections[i].print(&info);
    }
    reply_verbatim(call->reply, "txt", buf_slice(&info.text));
    buf_deinit(&info.text);
}
