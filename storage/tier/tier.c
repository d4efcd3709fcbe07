/*
 * tier.c: opening and closing the store, its small state in the cold tier, and its figures.
 *
 * The state lies in the cold tier's meta table under "tier", written in the same transaction as the records it speaks of:
 *
 *   u8   version, 1
 *   u64  X: the records are exactly what executing the log up to X gives (I4)
 *   u64  wall clock at X, milliseconds: the clock never shows less after a restart (H18)
 *   u64  store id: seeds the log's checksums, so that the log of another store is not taken for ours
 *
 * little-endian. It is committed when the store is created, before the log exists: a log without it belongs to a cold
 * tier that was lost, and is refused instead of being executed on nothing.
 */
#include "storage/tier.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "tier_internal.h"

#include <stdlib.h>

enum { STATE_VERSION = 1 };

/* --- small sets of spaces --------------------------------------------------------------------------------- */

static int compare_spaces(const void *left, const void *right)
{
    const uint32_t a = *(const uint32_t *)left;
    const uint32_t b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

bool spaces_contain(const struct tier_spaces *spaces, uint32_t space)
{
    return spaces->count > 0 &&
           bsearch(&space, spaces->spaces, spaces->count, sizeof(space), compare_spaces) != NULL;
}

void spaces_add(struct tier_spaces *spaces, const uint32_t *more, size_t count)
{
    if (count == 0)
        return;
    const size_t total = spaces->count + count;
    spaces->spaces = mem_realloc(spaces->spaces, total * sizeof(*spaces->spaces));
    memcpy(spaces->spaces + spaces->count, more, count * sizeof(*more));
    spaces->count = total;
    qsort(spaces->spaces, total, sizeof(*spaces->spaces), compare_spaces);
}

/* --- the state ------------------------------------------------------------------------------------------------ */

void tier_state_encode(const struct tier *tier, uint64_t lsn, uint64_t wall_ms, struct buf *out)
{
    buf_append_byte(out, STATE_VERSION);
    buf_append_u64(out, lsn);
    buf_append_u64(out, wall_ms);
    buf_append_u64(out, tier->store_id);
}

static enum status state_decode(struct tier *tier, struct slice bytes, struct error *error)
{
    struct reader reader = reader_of(bytes);
    const uint8_t version = reader_u8(&reader);
    const uint64_t lsn = reader_u64(&reader);
    const uint64_t wall_ms = reader_u64(&reader);
    tier->store_id = reader_u64(&reader);
    if (reader.failed || version != STATE_VERSION || reader_left(&reader) != 0)
        return error_set(error, ST_CORRUPT, 0,
            "%s: the store's state is damaged or of an unknown version", tier->cold_directory);
    atomic_store_explicit(&tier->checkpoint_lsn, lsn, memory_order_relaxed);
    atomic_store_explicit(&tier->checkpoint_unix_s, wall_ms / 1000, memory_order_relaxed);
    clock_floor_set(wall_ms);
    return ST_OK;
}

static bool find_segment(void *context, const char *name)
{
    bool *const found = context;
    const size_t size = strlen(name);
    if (size > 4 && memcmp(name + size - 4, ".aof", 4) == 0)
        *found = true;
    return !*found;
}

static enum status state_create(struct tier *tier, struct error *error)
{
    if (file_exists(tier->aof_directory)) {
        bool found = false;
        const enum status status = file_list(tier->aof_directory, find_segment, &found, error);
        if (status != ST_OK)
            return status;
        if (found)
            return error_set(error, ST_CORRUPT, 0,
                "%s holds a log, but %s does not hold the records it goes on from",
                tier->aof_directory, tier->cold_directory);
    }
    random_secret(&tier->store_id, sizeof(tier->store_id));
    const uint64_t wall_ms = clock_wall_ms();
    struct buf bytes = {0};
    tier_state_encode(tier, 0, wall_ms, &bytes);
    struct cold_txn *txn = NULL;
    enum status status = cold_txn_begin(tier->cold, &txn, error);
    if (status == ST_OK) {
        status = cold_meta_put(txn, TIER_META_STATE, buf_slice(&bytes), error);
        if (status == ST_OK)
            status = cold_txn_commit(txn, error);
        else
            cold_txn_abort(txn);
    }
    buf_deinit(&bytes);
    atomic_store_explicit(&tier->checkpoint_unix_s, wall_ms / 1000, memory_order_relaxed);
    return status;
}

static enum status state_load(struct tier *tier, struct error *error)
{
    struct buf bytes = {0};
    enum status status = cold_meta_get(tier->cold, TIER_META_STATE, &bytes, error);
    if (status == ST_OK)
        status = state_decode(tier, buf_slice(&bytes), error);
    else if (status == ST_NOT_FOUND)
        status = state_create(tier, error);
    buf_deinit(&bytes);
    if (status != ST_OK)
        return status;
    status = cold_meta_get(tier->cold, TIER_META_LAYER, &tier->meta, error);
    return status == ST_NOT_FOUND ? ST_OK : status;
}

/* --- open and close ----------------------------------------------------------------------------------------------- */

static void save_image(void *context, const struct hot_record *record)
{
    struct tier *const tier = context;
    images_save(&tier->images, record);
    metric_add(tier->metrics, checkpoint_image_count, 1);
}

static char *path_below(const char *directory, const char *name)
{
    struct buf path = {0};
    buf_append_format(&path, "%s/%s", directory, name);
    char *const text = mem_string_sized(path.data, path.size);
    buf_deinit(&path);
    return text;
}

static enum status lock_directory(struct tier *tier, struct error *error)
{
    enum status status = file_make_directory(tier->directory, error);
    if (status != ST_OK)
        return status;
    char *const path = path_below(tier->directory, "kelvin.lock");
    status = file_open(path, FILE_MODE_CREATE, &tier->lock_file, error);
    mem_free(path);
    if (status == ST_OK)
        status = file_lock(tier->lock_file, error);
    return status;
}

static enum status open_stores(
    struct tier *tier, const struct tier_config *config, struct error *error)
{
    enum status status = lock_directory(tier, error);
    if (status != ST_OK)
        return status;
    const int64_t balance = mem_thread_balance();
    status = cold_open(tier->cold_directory, config->cold_options, &tier->cold, error);
    if (status != ST_OK)
        return status;
    room_note_database(tier, mem_thread_balance() - balance - (int64_t)room_filter_bytes(tier));
    status = file_sync_directory(tier->directory, error);
    if (status != ST_OK)
        return status;
    const struct hot_config hot_config = {
        .single_stripe = config->single_worker,
        .save_image = save_image,
        .context = tier,
    };
    tier->hot = hot_create(&hot_config);
    return state_load(tier, error);
}

enum status tier_open(const struct tier_config *config, struct tier **tier_out, struct error *error)
{
    CHECK(config->hooks.capture != NULL);
    CHECK(config->hooks.captured != NULL);
    CHECK(config->hooks.space_is_dead != NULL);
    struct tier *const tier = mem_alloc_zero(sizeof(*tier));
    tier->directory = mem_string(config->directory);
    tier->aof_directory = path_below(config->directory, "aof");
    tier->cold_directory = path_below(config->directory, "cold");
    tier->options = config->options;
    tier->aof_options = config->aof_options;
    tier->hooks = config->hooks;
    tier->metrics = mem_alloc_zero(sizeof(*tier->metrics));
    tier->room = mem_alloc_zero(sizeof(*tier->room));
    atomic_store_explicit(&tier->room->hot_limit, UINT64_MAX, memory_order_relaxed);
    atomic_store_explicit(&tier->room->dirty_limit, UINT64_MAX, memory_order_relaxed);
    mutex_init(&tier->lock, LOCK_RANK_TIER);
    condition_init(&tier->wake);
    images_init(&tier->images);
    const enum status status = open_stores(tier, config, error);
    if (status != ST_OK) {
        tier_close(tier, false);
        return status;
    }
    tier_tick(tier);
    *tier_out = tier;
    return ST_OK;
}

void tier_close(struct tier *tier, bool save)
{
    if (tier == NULL)
        return;
    warm_stop(tier);
    checkpointer_stop(tier, save);
    aof_close(tier->aof);
    cold_close(tier->cold);
    if (tier->warm_mailbox_open)
        mailbox_deinit(&tier->warm_mailbox); /* after the I/O threads, which send to it */
    hot_destroy(tier->hot);
    file_close(tier->lock_file);
    images_deinit(&tier->images);
    condition_deinit(&tier->wake);
    mutex_deinit(&tier->lock);
    buf_deinit(&tier->meta);
    mem_free(tier->killed.spaces);
    mem_free(tier->room);
    mem_free(tier->metrics);
    mem_free(tier->cold_directory);
    mem_free(tier->aof_directory);
    mem_free(tier->directory);
    mem_free(tier);
}

/* --- figures -------------------------------------------------------------------------------------------------------- */

struct slice tier_meta(const struct tier *tier)
{
    return buf_slice(&tier->meta);
}

struct hot *tier_hot(struct tier *tier)
{
    return tier->hot;
}

struct cold *tier_cold(struct tier *tier)
{
    return tier->cold;
}

struct aof *tier_aof(struct tier *tier)
{
    return tier->aof;
}

void tier_metrics_read(const struct tier *tier, struct tier_metrics *metrics)
{
#define COPY_METRIC(field, kind, help) metric_set(metrics, field, metric_get(tier->metrics, field));
    TIER_METRICS(COPY_METRIC)
#undef COPY_METRIC
}

uint64_t tier_checkpoint_lsn(const struct tier *tier)
{
    return atomic_load_explicit(&tier->checkpoint_lsn, memory_order_acquire);
}

uint64_t tier_checkpoint_unix_s(const struct tier *tier)
{
    return atomic_load_explicit(&tier->checkpoint_unix_s, memory_order_relaxed);
}

enum status tier_checkpoint_status(const struct tier *tier)
{
    return (enum status)atomic_load_explicit(&tier->checkpoint_status, memory_order_relaxed);
}

uint64_t tier_changes_since_checkpoint(const struct tier *tier)
{
    /* In this order: the second only ever holds earlier values of the first. */
    const uint64_t before =
        atomic_load_explicit(&tier->checkpoint_change_count, memory_order_acquire);
    return atomic_load_explicit(&tier->change_count, memory_order_relaxed) - before;
}

void tier_submit(struct tier *tier, struct cold_job *job)
{
    cold_submit(tier->cold, &job, 1);
}

uint64_t tier_gate_lsn(const struct tier *tier, uint64_t partitions)
{
    if (OPTION_GET(tier->aof_options, sync_mode) != AOF_SYNC_ALWAYS)
        return 0;
    uint64_t lsn = 0;
    for (; partitions != 0; partitions &= partitions - 1) {
        const unsigned partition = lowest_bit(partitions);
        const uint64_t last =
            atomic_load_explicit(&tier->partition_lsn[partition], memory_order_acquire);
        if (last > lsn)
            lsn = last;
    }
    return lsn;
}
