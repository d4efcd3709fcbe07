/*
 * keyspace.c: the keyspace's life, its state in checkpoints, and its figures.
 *
 * The state at X (meta of the tier), little-endian:
 *
 *   u8      version, 1
 *   varint  databases
 *   u32     the next space's number
 *   then for each database: u32 space, varint keys, varint keys with an expiry
 *
 * It is captured with all stripes held, so the counts are exact; what the log holds from X on is counted again by replay,
 * which gives the same numbers to the same spaces.
 */
#include "storage/keyspace.h"

#include "keyspace_internal.h"

enum { META_VERSION = 1 };

/* --- life ------------------------------------------------------------------------------------------------ */

static void make_selects(struct keyspace *keyspace)
{
    keyspace->selects = mem_alloc_zero(keyspace->database_count * sizeof(*keyspace->selects));
    for (unsigned database = 0; database < keyspace->database_count; database++) {
        struct keyspace_select *const select = &keyspace->selects[database];
        char number[24];
        const size_t digits = uint64_to_text(database, number);
        const int size = snprintf(select->text, sizeof(select->text),
            "*2\r\n$6\r\nSELECT\r\n$%zu\r\n%.*s\r\n", digits, (int)digits, number);
        CHECK(size > 0);
        CHECK(size < SELECT_SIZE_MAX);
        select->size = (uint8_t)size;
    }
}

struct keyspace *keyspace_create(unsigned database_count)
{
    CHECK(database_count >= 1);
    CHECK(database_count <= KEYSPACE_DATABASE_MAX);
    struct keyspace *const keyspace = mem_alloc_zero(sizeof(*keyspace));
    keyspace->magic = KEYSPACE_MAGIC;
    keyspace->database_count = database_count;
    keyspace->counts = mem_alloc_zero(database_count * sizeof(*keyspace->counts));
    make_selects(keyspace);
    random_secret(&keyspace->random_seed, sizeof(keyspace->random_seed));
    spaces_init(keyspace);
    watches_init(&keyspace->watches);
    cursors_init(&keyspace->cursors);
    expiry_init(&keyspace->expiry);
    atomic_init(&keyspace->active_expire, true);
    return keyspace;
}

void keyspace_destroy(struct keyspace *keyspace)
{
    if (keyspace == NULL)
        return;
    CHECK(!keyspace->expiry.reading);
    cursors_deinit(&keyspace->cursors);
    watches_deinit(&keyspace->watches);
    spaces_deinit(keyspace);
    mem_free(keyspace->selects);
    mem_free(keyspace->counts);
    mem_free(keyspace);
}

unsigned keyspace_database_count(const struct keyspace *keyspace)
{
    return keyspace->database_count;
}

/* --- checkpoints ------------------------------------------------------------------------------------------- */

static void capture_meta(const struct keyspace *keyspace, struct buf *meta)
{
    buf_append_byte(meta, META_VERSION);
    buf_append_varint(meta, keyspace->database_count);
    buf_append_u32(meta, keyspace->next_space);
    for (unsigned database = 0; database < keyspace->database_count; database++) {
        const struct keyspace_counts *const counts = &keyspace->counts[database];
        buf_append_u32(meta, space_of(keyspace, database));
        buf_append_varint(meta, metric_get(counts, keys));
        buf_append_varint(meta, metric_get(counts, expires));
    }
}

static void capture(void *context, struct buf *meta, struct buf *dead_spaces)
{
    struct keyspace *const keyspace = context;
    CHECK_MAGIC(keyspace, KEYSPACE_MAGIC);
    capture_meta(keyspace, meta);
    struct keyspace_dead *const dead = &keyspace->dead;
    mutex_lock(&dead->lock);
    if (dead->count > 0)
        buf_append(dead_spaces, dead->spaces, dead->count * sizeof(*dead->spaces));
    dead->captured_count = dead->count;
    mutex_unlock(&dead->lock);
    atomic_store_explicit(&keyspace->captured_spaces, keyspace->next_space, memory_order_release);
}

static void captured(void *context, bool committed)
{
    struct keyspace *const keyspace = context;
    CHECK_MAGIC(keyspace, KEYSPACE_MAGIC);
    struct keyspace_dead *const dead = &keyspace->dead;
    mutex_lock(&dead->lock);
    if (committed && dead->captured_count > 0) {
        dead->count -= dead->captured_count;
        memmove(
            dead->spaces, dead->spaces + dead->captured_count, dead->count * sizeof(*dead->spaces));
    }
    dead->captured_count = 0;
    mutex_unlock(&dead->lock);
}

static void overwritten(void *context, uint32_t space, bool had_expiry)
{
    struct keyspace *const keyspace = context;
    CHECK_MAGIC(keyspace, KEYSPACE_MAGIC);
    unsigned database = 0;
    if (!space_find_database(keyspace, space, &database))
        return; /* flushed since */
    count_drop(keyspace, &keyspace->counts[database].keys);
    if (had_expiry)
        count_drop(keyspace, &keyspace->counts[database].expires);
}

void keyspace_hooks(struct keyspace *keyspace, struct tier_hooks *hooks)
{
    hooks->context = keyspace;
    hooks->capture = capture;
    hooks->captured = captured;
    hooks->overwritten = overwritten;
    hooks->space_is_dead = space_is_dead;
}

static enum status bad_meta(struct error *error, const char *what)
{
    return error_set(
        error, ST_CORRUPT, 0, "the stored state of the databases is damaged: %s", what);
}

/* Databases that the store does not know yet get spaces of their own behind the others. */
static enum status load_databases(
    struct keyspace *keyspace, struct reader *reader, unsigned stored_count, struct error *error)
{
    for (unsigned database = 0; database < stored_count; database++) {
        const uint32_t space = reader_u32(reader);
        metric_set(&keyspace->counts[database], keys, reader_varint(reader));
        metric_set(&keyspace->counts[database], expires, reader_varint(reader));
        if (reader->failed)
            return bad_meta(error, "it is cut short");
        if (space == 0 || space >= keyspace->next_space)
            return bad_meta(error, "a space's number is out of range");
        atomic_store_explicit(&keyspace->spaces[database], space, memory_order_relaxed);
    }
    for (unsigned database = stored_count; database < keyspace->database_count; database++)
        atomic_store_explicit(
            &keyspace->spaces[database], keyspace->next_space++, memory_order_relaxed);
    if (reader_left(reader) != 0)
        return bad_meta(error, "something follows it");
    return spaces_publish(keyspace) ? ST_OK : bad_meta(error, "two databases share a space");
}

static enum status load_meta(struct keyspace *keyspace, struct slice meta, struct error *error)
{
    struct reader reader = reader_of(meta);
    const uint8_t version = reader_u8(&reader);
    const uint64_t stored_count = reader_varint(&reader);
    const uint32_t next_space = reader_u32(&reader);
    if (reader.failed || version != META_VERSION)
        return bad_meta(error, "unknown version");
    if (stored_count == 0 || stored_count > KEYSPACE_DATABASE_MAX ||
        next_space > UINT32_MAX - KEYSPACE_DATABASE_MAX)
        return bad_meta(error, "a number is out of range");
    if (stored_count > keyspace->database_count)
        return error_set(error, ST_INVALID, 0,
            "the store has %u databases, but only %u are configured", (unsigned)stored_count,
            keyspace->database_count);
    keyspace->next_space = next_space;
    atomic_store_explicit(&keyspace->captured_spaces, next_space, memory_order_release);
    return load_databases(keyspace, &reader, (unsigned)stored_count, error);
}

enum status keyspace_attach(struct keyspace *keyspace, struct tier *tier, struct error *error)
{
    CHECK(keyspace->tier == NULL);
    keyspace->tier = tier;
    keyspace->hot = tier_hot(tier);
    keyspace->cold = tier_cold(tier);
    keyspace->single_stripe = hot_has_single_stripe(keyspace->hot);
    const struct slice meta = tier_meta(tier);
    return meta.size == 0 ? ST_OK : load_meta(keyspace, meta, error);
}

/* --- figures -------------------------------------------------------------------------------------------------- */

uint64_t keyspace_size(const struct keyspace *keyspace, unsigned database)
{
    CHECK(database < keyspace->database_count);
    return metric_get(&keyspace->counts[database], keys);
}

uint64_t keyspace_expires(const struct keyspace *keyspace, unsigned database)
{
    CHECK(database < keyspace->database_count);
    return metric_get(&keyspace->counts[database], expires);
}

uint64_t keyspace_average_ttl_ms(const struct keyspace *keyspace, unsigned database)
{
    CHECK(database < keyspace->database_count);
    return metric_get(&keyspace->counts[database], average_ttl_ms);
}

static uint64_t sum_hits(const struct keyspace *keyspace)
{
    uint64_t sum = 0;
    for (unsigned partition = 0; partition < HOT_PARTITION_COUNT; partition++)
        sum += metric_get(&keyspace->lookups[partition], hit_count);
    return sum;
}

static uint64_t sum_misses(const struct keyspace *keyspace)
{
    uint64_t sum = 0;
    for (unsigned partition = 0; partition < HOT_PARTITION_COUNT; partition++)
        sum += metric_get(&keyspace->lookups[partition], miss_count);
    return sum;
}

void keyspace_metrics_read(const struct keyspace *keyspace, struct keyspace_metrics *metrics)
{
    metric_set(metrics, expired_count, metric_get(&keyspace->metrics, expired_count));
    metric_set(metrics, expired_cold_count, metric_get(&keyspace->metrics, expired_cold_count));
    metric_set(metrics, expired_part_count, metric_get(&keyspace->metrics, expired_part_count));
    metric_set(
        metrics, hit_count, sum_hits(keyspace) - metric_get(&keyspace->lookups_reset, hit_count));
    metric_set(metrics, miss_count,
        sum_misses(keyspace) - metric_get(&keyspace->lookups_reset, miss_count));
    metric_set(metrics, watch_count, metric_get(&keyspace->watches, count));
    metric_set(metrics, scan_cursor_count, metric_get(&keyspace->cursors, count));
}

void keyspace_metrics_reset(struct keyspace *keyspace)
{
    metric_set(&keyspace->lookups_reset, hit_count, sum_hits(keyspace));
    metric_set(&keyspace->lookups_reset, miss_count, sum_misses(keyspace));
    metric_set(&keyspace->metrics, expired_count, 0);
    metric_set(&keyspace->metrics, expired_cold_count, 0);
    metric_set(&keyspace->metrics, expired_part_count, 0);
}

void keyspace_active_expire_set(struct keyspace *keyspace, bool enabled)
{
    atomic_store_explicit(&keyspace->active_expire, enabled, memory_order_relaxed);
}
