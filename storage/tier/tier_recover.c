/*
 * tier_recover.c: start: the log is executed from X to its end, then opened for writing (I6).
 *
 *   cold tier at X ──► frames from X: apply() ──► torn tail cut ──► log opened at E ──► threads
 *
 * (1) Replay starts exactly where the cold tier stands, so every effect meets the state it was made in. An effect that
 *     fails is therefore corruption (H4).
 * (2) Replay may produce more dirty records than fit into RAM. Then a checkpoint runs between two frames: X becomes the next frame's LSN. What
 *     was read so far may lie in the page cache only, so the segments are made durable first (I5, H13).
 * (3) Every step can be repeated: a crash at any point of recovery leaves a store that recovers to the same state (H19).
 *
 * Everything here is on one thread; there are no workers yet. `apply` reads cold records through the recovery turn, in line.
 */
#include "base/clock.h"
#include "base/log.h"
#include "tier_internal.h"

enum { TICK_MS = 100 };

struct recovery {
    struct tier *tier;
    struct tier_turn *turn;
    struct aof_reader *reader;
    tier_apply_fn apply;
    void *context;
    uint64_t lsn; /* executed up to here */
    uint64_t tick_ms;
    struct tier_recovery result;
};

/* --- making the log durable ------------------------------------------------------------------------------- */

struct sync_walk {
    const struct tier *tier;
    enum status status;
    struct error *error;
};

static bool sync_segment(void *context, const char *name)
{
    struct sync_walk *const walk = context;
    const size_t size = strlen(name);
    if (size <= 4 || memcmp(name + size - 4, ".aof", 4) != 0)
        return true;
    struct buf path = {0};
    buf_append_format(&path, "%s/%s", walk->tier->aof_directory, name);
    buf_append_byte(&path, '\0');
    struct file *file = NULL;
    walk->status = file_open(path.data, FILE_MODE_WRITE, &file, walk->error);
    if (walk->status == ST_OK)
        walk->status = file_sync(file, walk->error);
    file_close(file);
    buf_deinit(&path);
    return walk->status == ST_OK;
}

static enum status sync_log(const struct tier *tier, struct error *error)
{
    struct sync_walk walk = {.tier = tier, .error = error};
    const enum status status = file_list(tier->aof_directory, sync_segment, &walk, error);
    if (status != ST_OK)
        return status;
    if (walk.status != ST_OK)
        return walk.status;
    return file_sync_directory(tier->aof_directory, error);
}

/* --- room between frames ------------------------------------------------------------------------------------- */

static enum status checkpoint_between_frames(struct recovery *recovery, struct error *error)
{
    struct tier *const tier = recovery->tier;
    enum status status = tier_overwrite_settle(recovery->turn, error);
    if (status == ST_OK)
        status = sync_log(tier, error);
    if (status != ST_OK)
        return status;
    const struct checkpoint_plan plan = {.recovery = true, .lsn = recovery->lsn};
    status = checkpoint_run(tier, &plan, error);
    /* The first failure of a full disk released the ballast. */
    if (status == ST_FULL && tier->ballast_released)
        status = checkpoint_run(tier, &plan, error);
    return status;
}

static enum status keep_to_limits(struct recovery *recovery, struct error *error)
{
    struct tier *const tier = recovery->tier;
    const uint64_t now_ms = clock_monotonic_ms();
    if (now_ms - recovery->tick_ms >= TICK_MS) {
        tier_tick(tier);
        recovery->tick_ms = now_ms;
    }
    if (room_refresh(tier)) {
        const enum status status = checkpoint_between_frames(recovery, error);
        if (status != ST_OK)
            return status;
    }
    tier_make_room(recovery->turn);
    return ST_OK;
}

/* --- replay --------------------------------------------------------------------------------------------------- */

static enum status apply_frame(
    struct recovery *recovery, const struct aof_frame *frame, struct error *error)
{
    const enum status status =
        recovery->apply(recovery->context, recovery->turn, frame->payload, error);
    CHECK(tier_turn_locked(recovery->turn) == 0);
    if (status != ST_OK) {
        error_prefix(error, "%s: the frame at LSN %llu cannot be executed",
            recovery->tier->aof_directory, (unsigned long long)frame->lsn);
        const bool disk = status == ST_IO || status == ST_FULL || status == ST_NO_MEMORY;
        if (error != NULL)
            error->status = disk ? status : ST_CORRUPT;
        return disk ? status : ST_CORRUPT;
    }
    clock_floor_set(frame->unix_ms);
    recovery->lsn = frame->lsn + frame->payload.size;
    recovery->result.frame_count++;
    return keep_to_limits(recovery, error);
}

static enum status replay(struct recovery *recovery, struct error *error)
{
    const struct tier *const tier = recovery->tier;
    enum status status = aof_reader_open(
        tier->aof_directory, tier->store_id, recovery->lsn, &recovery->reader, error);
    if (status == ST_NOT_FOUND) {
        recovery->result.tail.end_lsn = recovery->lsn;
        if (recovery->lsn == 0)
            return ST_OK; /* a new store */
        return error_set(error, ST_CORRUPT, 0,
            "%s: there is no log, but the records in %s go on from it at LSN %llu",
            tier->aof_directory, tier->cold_directory, (unsigned long long)recovery->lsn);
    }
    if (status != ST_OK)
        return status;
    struct aof_frame frame;
    while ((status = aof_reader_next(recovery->reader, &frame, error)) == ST_OK) {
        if (frame.lsn != recovery->lsn)
            return error_set(error, ST_CORRUPT, 0, "%s: a frame at LSN %llu follows LSN %llu",
                tier->aof_directory, (unsigned long long)frame.lsn,
                (unsigned long long)recovery->lsn);
        status = apply_frame(recovery, &frame, error);
        if (status != ST_OK)
            return status;
    }
    if (status != ST_END)
        return status;
    recovery->result.tail = *aof_reader_tail(recovery->reader);
    return ST_OK;
}

/* --- opening the log -------------------------------------------------------------------------------------------- */

static void log_durable(void *context, uint64_t durable_lsn)
{
    const struct tier *const tier = context;
    if (tier->hooks.durable != NULL)
        tier->hooks.durable(tier->hooks.context, durable_lsn);
}

static void log_health(void *context, enum status status, bool fatal, const struct error *error)
{
    const struct tier *const tier = context;
    if (tier->hooks.health != NULL)
        tier->hooks.health(tier->hooks.context, status, fatal, error);
}

static enum status open_log(struct recovery *recovery, struct error *error)
{
    struct tier *const tier = recovery->tier;
    const struct aof_tail *const tail = &recovery->result.tail;
    if (tail->torn) {
        log_warn("tier: torn tail of the log cut path=%s offset=%llu bytes=%llu", tail->path,
            (unsigned long long)tail->offset, (unsigned long long)tail->dropped_bytes);
        const enum status status = aof_cut_tail(tier->aof_directory, tail, error);
        if (status != ST_OK)
            return status;
    }
    const struct aof_hooks hooks = {
        .durable = log_durable,
        .health = log_health,
        .context = tier,
    };
    return aof_open(tier->aof_directory, tier->store_id, recovery->lsn, tier->aof_options, &hooks,
        &tier->aof, error);
}

static enum status recover(struct recovery *recovery, struct error *error)
{
    enum status status = file_make_directory(recovery->tier->aof_directory, error);
    if (status == ST_OK)
        status = replay(recovery, error);
    if (status == ST_OK)
        status = tier_overwrite_settle(recovery->turn, error);
    if (recovery->reader != NULL)
        aof_reader_close(recovery->reader);
    if (status == ST_OK)
        status = open_log(recovery, error);
    return status;
}

enum status tier_recover(struct tier *tier, tier_apply_fn apply, void *context,
    struct tier_recovery *recovery, struct error *error)
{
    CHECK(tier->aof == NULL);
    struct recovery self = {
        .tier = tier,
        .turn = turn_create_recovery(tier),
        .apply = apply,
        .context = context,
        .lsn = tier_checkpoint_lsn(tier),
        .tick_ms = clock_monotonic_ms(),
    };
    self.result.from_lsn = self.lsn;
    const enum status status = recover(&self, error);
    tier_turn_destroy(self.turn);
    if (status != ST_OK)
        return status;
    self.result.to_lsn = self.lsn;
    if (recovery != NULL)
        *recovery = self.result;
    tier_tick(tier);
    atomic_store_explicit(&tier->sweep_wanted, true, memory_order_relaxed); /* flushes in the log */
    checkpointer_start(tier);
    warm_start(tier);
    return ST_OK;
}
