/*
 * settings_table.c: one row per option that has an effect: the modules' tables and the texts.
 */
#include "settings_internal.h"
#include "storage/value.h"

#include <limits.h>
#include <stddef.h>

const char *const server_log_level_names[] = {"debug", "verbose", "notice", "warning", NULL};
const char *const server_protected_names[] = {"no", "yes", "local", NULL};
const char *const server_memory_policy_names[] = {"volatile-lru", "volatile-lfu", "volatile-random",
    "volatile-ttl", "allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction", NULL};

static const enum row_kind row_kinds[] = {
    [OPTION_BOOL] = ROW_BOOL,
    [OPTION_INT] = ROW_INT,
    [OPTION_BYTES] = ROW_BYTES,
    [OPTION_ENUM] = ROW_ENUM,
};

/* A row of a module's table, as it is. */
struct option_row {
    const char *name;
    size_t offset;
    enum option_kind kind;
    unsigned flags;
    int64_t default_value, min, max;
    const char *help;
};

/* Limits are unsigned in the tables; all of them fit. */
#define OPTION_ROW(module, name_, field_, kind_, default_, min_, max_, flags_, help_) \
    {.name = (name_),                                                                 \
        .offset = offsetof(struct settings, module.field_),                           \
        .kind = (kind_),                                                              \
        .flags = (flags_),                                                            \
        .default_value = (int64_t)(default_),                                         \
        .min = (int64_t)(min_),                                                       \
        .max = (int64_t)(max_),                                                       \
        .help = (help_)},
#define SERVER_ROW(...)   OPTION_ROW(server, __VA_ARGS__)
#define AOF_ROW(...)      OPTION_ROW(aof, __VA_ARGS__)
#define COLD_ROW(...)     OPTION_ROW(cold, __VA_ARGS__)
#define TIER_ROW(...)     OPTION_ROW(tier, __VA_ARGS__)
#define PREFETCH_ROW(...) OPTION_ROW(prefetch, __VA_ARGS__)

/* clang-format off */
static const struct option_row option_rows[] = {
    SERVER_OPTIONS(SERVER_ROW)
    AOF_OPTIONS(AOF_ROW)
    COLD_OPTIONS(COLD_ROW)
    TIER_OPTIONS(TIER_ROW)
    PREFETCH_OPTIONS(PREFETCH_ROW)
};
/* clang-format on */

/* What the modules' tables have no column for. */
static const struct {
    const char *name;
    const char *const *names;
    enum row_kind kind;
    unsigned flags;
} particulars[] = {
    {"loglevel", server_log_level_names, ROW_ENUM, 0},
    {"maxmemory-policy", server_memory_policy_names, ROW_ENUM, 0},
    {"enable-debug-command", server_protected_names, ROW_ENUM, ROW_STARTUP},
    {"appendfsync", aof_sync_mode_names, ROW_ENUM, 0},
    {"prefetch", prefetch_mode_names, ROW_ENUM, 0},
    {"unixsocketperm", NULL, ROW_OCTAL, ROW_STARTUP},
    {"tcp-backlog", NULL, ROW_INT, ROW_STARTUP},
    {"databases", NULL, ROW_INT, ROW_STARTUP},
    {"daemonize", NULL, ROW_BOOL, ROW_STARTUP},
    {"hz", NULL, ROW_INT, ROW_CLAMP},
};

#define TEXT_ROW(name_, kind_, flags_, default_, check_, help_)                   \
    {                                                                             \
        .name = (name_), .kind = (kind_), .flags = (flags_), .offset = NO_OFFSET, \
        .default_text = (default_), .check = (check_), .help = (help_)            \
    }

static const struct settings_row text_rows[] = {
    TEXT_ROW("bind", ROW_LIST, 0, "* -::*", check_bind,
        "addresses to listen on; '-' in front: it may be missing"),
    TEXT_ROW("unixsocket", ROW_TEXT, ROW_STARTUP, "", NULL, "path of the unix socket; empty: none"),
    TEXT_ROW("dir", ROW_TEXT, ROW_STARTUP, "./data", NULL, "data directory"),
    TEXT_ROW("requirepass", ROW_TEXT, 0, "", NULL, "password of the default user; empty: none"),
    TEXT_ROW("logfile", ROW_TEXT, ROW_STARTUP, "", NULL, "log file; empty: standard output"),
    TEXT_ROW("pidfile", ROW_TEXT, ROW_STARTUP, "", NULL, "file for the process id; empty: none"),
    TEXT_ROW("notify-keyspace-events", ROW_TEXT, 0, "", check_events,
        "events published to subscribers: K and E with classes g$lshzxetdmn or A; empty: none"),
    {.name = "client-output-buffer-limit",
        .kind = ROW_LIMITS,
        .offset = NO_OFFSET,
        .help =
            "<class> <hard> <soft> <soft seconds>, class: normal, replica, pubsub; 0: no limit"},
};

/* Collections are called compact up to these (storage/value.h). */
#define LIMIT_ROW(name_, alias_, kind_, field_, default_, min_, max_, help_)         \
    {                                                                                \
        .name = (name_), .alias = (alias_), .kind = (kind_), .offset = NO_OFFSET,    \
        .shared = &value_limits.field_, .default_number = (default_), .min = (min_), \
        .max = (max_), .help = (help_)                                               \
    }
static const struct settings_row limit_rows[] = {
    LIMIT_ROW("hash-max-listpack-entries", "hash-max-ziplist-entries", ROW_INT,
        hash_max_listpack_entries, 512, 0, LONG_MAX, "fields of a compact hash"),
    LIMIT_ROW("hash-max-listpack-value", "hash-max-ziplist-value", ROW_BYTES,
        hash_max_listpack_value, 64, 0, INT64_MAX, "longest field or value of a compact hash"),
    LIMIT_ROW("list-max-listpack-size", "list-max-ziplist-size", ROW_INT, list_max_listpack_size,
        -2, INT_MIN, INT_MAX, "elements of a compact list, or -1 to -5: 4 to 64 KiB"),
    LIMIT_ROW("set-max-intset-entries", NULL, ROW_INT, set_max_intset_entries, 512, 0, LONG_MAX,
        "members of a compact set of integers"),
    /* Redis 7.2 has 128. Before it a set was never called "listpack"; with 0 it is not here. */
    LIMIT_ROW("set-max-listpack-entries", NULL, ROW_INT, set_max_listpack_entries, 0, 0, LONG_MAX,
        "members of a compact set; 0: only sets of integers are compact"),
    LIMIT_ROW("set-max-listpack-value", NULL, ROW_BYTES, set_max_listpack_value, 64, 0, INT64_MAX,
        "longest member of a compact set"),
    LIMIT_ROW("zset-max-listpack-entries", "zset-max-ziplist-entries", ROW_INT,
        zset_max_listpack_entries, 128, 0, LONG_MAX, "members of a compact sorted set"),
    LIMIT_ROW("zset-max-listpack-value", "zset-max-ziplist-value", ROW_BYTES,
        zset_max_listpack_value, 64, 0, INT64_MAX, "longest member of a compact sorted set"),
    LIMIT_ROW("stream-node-max-bytes", NULL, ROW_BYTES, stream_node_max_bytes, 4096, 0, INT64_MAX,
        "size of a stream's node: what approximate trimming works on"),
    LIMIT_ROW("stream-node-max-entries", NULL, ROW_INT, stream_node_max_entries, 100, 0, INT64_MAX,
        "entries of a stream's node"),
};

#define OPTION_ROW_COUNT COUNT_OF(option_rows)
#define TEXT_ROW_COUNT   COUNT_OF(text_rows)
#define LIMIT_ROW_COUNT  COUNT_OF(limit_rows)

/* Made from option_rows once, then immutable. */
static struct settings_row made_rows[OPTION_ROW_COUNT];

static struct settings_row make_row(const struct option_row *option)
{
    struct settings_row row = {
        .name = option->name,
        .kind = row_kinds[option->kind],
        .offset = option->offset,
        .default_number = option->default_value,
        .min = option->min,
        .max = option->max,
        .help = option->help,
    };
    if ((option->flags & OPTION_STARTUP) != 0)
        row.flags |= ROW_FIXED;
    if ((option->flags & OPTION_PERCENT) != 0)
        row.flags |= ROW_PERCENT;
    for (size_t index = 0; index < COUNT_OF(particulars); index++) {
        if (strcmp(particulars[index].name, row.name) != 0)
            continue;
        row.kind = particulars[index].kind;
        row.names = particulars[index].names;
        row.flags |= particulars[index].flags;
    }
    CHECK(row.kind != ROW_ENUM || row.names != NULL);
    return row;
}

static void make_rows(void)
{
    for (size_t index = 0; index < OPTION_ROW_COUNT; index++)
        made_rows[index] = make_row(&option_rows[index]);
}

static pthread_once_t rows_once = PTHREAD_ONCE_INIT;

size_t settings_row_count(void)
{
    return OPTION_ROW_COUNT + TEXT_ROW_COUNT + LIMIT_ROW_COUNT + settings_inert_count();
}

const struct settings_row *settings_row_at(size_t index)
{
    CHECK(pthread_once(&rows_once, make_rows) == 0);
    if (index < OPTION_ROW_COUNT)
        return &made_rows[index];
    index -= OPTION_ROW_COUNT;
    if (index < TEXT_ROW_COUNT)
        return &text_rows[index];
    index -= TEXT_ROW_COUNT;
    if (index < LIMIT_ROW_COUNT)
        return &limit_rows[index];
    return &settings_inert_rows[index - LIMIT_ROW_COUNT];
}

const struct settings_row *settings_row_find(struct slice name, size_t *index)
{
    const size_t count = settings_row_count();
    for (size_t at = 0; at < count; at++) {
        const struct settings_row *const row = settings_row_at(at);
        if (slice_equal_nocase(name, row->name) ||
            (row->alias != NULL && slice_equal_nocase(name, row->alias))) {
            *index = at;
            return row;
        }
    }
    return NULL;
}

bool settings_is_inert(const char *name)
{
    size_t index;
    const struct settings_row *const row = settings_row_find(slice_text(name), &index);
    return row != NULL && (row->flags & ROW_INERT) != 0;
}
