/*
 * tier_turn.c: a turn: stripes are locked, commands run, their effects gather in a journal, which is one append to the
 * log before the stripes are unlocked.
 *
 *   tier_turn_lock ──► commands: changes in RAM + tier_turn_log() ──► append ──► partition_lsn ──► tier_turn_unlock
 *
 * (1) What a turn changed is in the log before anybody else can see it (I1), in the order of the locks (I2).
 * (2) One append is never split over frames, and all of a group is in one append: a group is in the log whole or not at
 *     all (I6). Outside of groups a large effect is an append of its own, so that it is not copied twice.
 * (3) The log inserts the first effect's prefix where a frame begins or the context differs; prefixes of later changes of
 *     context stand in the journal itself.
 *
 * Threads: a turn belongs to its worker. partition_lsn is written under the partition's stripe.
 */
#include "tier_internal.h"

/* An effect of this size outside a group does not pass through the journal. */
#define DIRECT_SIZE_MIN ((size_t)(16 * KiB))
/* Memory the journal keeps from turn to turn. */
#define JOURNAL_KEEP_MAX ((size_t)(1 * MiB))

static struct tier_turn *create(struct tier *tier, struct mailbox *mailbox)
{
    struct tier_turn *const turn = mem_alloc_zero(sizeof(*turn));
    turn->arrivals_task.run = fetch_arrivals_run;
    turn->tier = tier;
    turn->mailbox = mailbox;
    return turn;
}

struct tier_turn *tier_turn_create(struct tier *tier, struct mailbox *mailbox)
{
    CHECK(mailbox != NULL);
    return create(tier, mailbox);
}

struct tier_turn *turn_create_recovery(struct tier *tier)
{
    return create(tier, NULL);
}

void tier_turn_destroy(struct tier_turn *turn)
{
    if (turn == NULL)
        return;
    CHECK(turn->locked == 0);
    CHECK(tier_turn_is_idle(turn));
    buf_deinit(&turn->journal);
    buf_deinit(&turn->prefix);
    buf_deinit(&turn->group_header);
    overwrites_destroy(turn->overwrites);
    mem_free(turn);
}

bool tier_turn_is_idle(const struct tier_turn *turn)
{
    return atomic_load_explicit(&turn->read_count, memory_order_acquire) == 0;
}

struct tier *tier_turn_tier(const struct tier_turn *turn)
{
    return turn->tier;
}

void tier_turn_send(struct tier_turn *turn, struct task *task)
{
    CHECK(turn->mailbox != NULL);
    mailbox_send(turn->mailbox, &task->message);
}

void tier_turn_hold(struct tier_turn *turn)
{
    atomic_fetch_add_explicit(&turn->read_count, 1, memory_order_relaxed);
}

void tier_turn_release(struct tier_turn *turn)
{
    atomic_fetch_sub_explicit(&turn->read_count, 1, memory_order_release);
}

bool tier_turn_is_recovery(const struct tier_turn *turn)
{
    return turn_is_recovery(turn);
}

uint64_t tier_turn_locked(const struct tier_turn *turn)
{
    return turn->locked;
}

void tier_turn_lock(struct tier_turn *turn, uint64_t stripes)
{
    CHECK(turn->locked == 0);
    CHECK(stripes != 0);
    hot_lock(turn->tier->hot, stripes);
    turn->locked = stripes;
}

/* --- the journal ---------------------------------------------------------------------------------------- */

static void note_lsn(struct tier_turn *turn, uint64_t lsn)
{
    for (uint64_t left = turn->changed_partitions; left != 0; left &= left - 1)
        atomic_store_explicit(
            &turn->tier->partition_lsn[lowest_bit(left)], lsn, memory_order_release);
}

static void append_body(struct tier_turn *turn, struct slice body)
{
    const struct aof_append append = {
        .context = turn->first_context,
        .after_context = turn->last_context,
        .prefix = buf_slice(&turn->prefix),
        .body = body,
    };
    note_lsn(turn, aof_append(turn->tier->aof, &append));
    atomic_fetch_add_explicit(&turn->tier->change_count, turn->effect_count, memory_order_relaxed);
    turn->appended_bytes += body.size;
    turn->effect_count = 0;
    turn->changed_partitions = 0;
}

static void flush_journal(struct tier_turn *turn)
{
    if (turn->journal.size == 0)
        return;
    append_body(turn, buf_slice(&turn->journal));
    buf_clear(&turn->journal);
    if (turn->journal.capacity > JOURNAL_KEEP_MAX)
        buf_deinit(&turn->journal);
}

/* The context that the next effect begins in: the journal's, or a first one. */
static void enter_context(struct tier_turn *turn, uint32_t context, struct slice prefix)
{
    if (turn->journal.size == 0) {
        turn->first_context = context;
        buf_clear(&turn->prefix);
        buf_append_slice(&turn->prefix, prefix);
    } else if (context != turn->last_context) {
        buf_append_slice(&turn->journal, prefix);
    }
    turn->last_context = context;
}

void tier_turn_log(struct tier_turn *turn, uint64_t partitions, uint32_t context,
    struct slice prefix, struct slice effect)
{
    CHECK(turn->locked != 0);
    CHECK(effect.size > 0);
    if (turn_is_recovery(turn))
        return;
    const bool direct = effect.size >= DIRECT_SIZE_MIN && turn->group_depth == 0;
    if (direct)
        flush_journal(turn);
    enter_context(turn, context, prefix);
    if (turn->group_depth > 0 && !turn->group_begun) {
        buf_append_slice(&turn->journal, buf_slice(&turn->group_header));
        turn->group_begun = true;
    }
    turn->changed_partitions |= partitions;
    turn->effect_count++;
    if (direct)
        append_body(turn, effect);
    else
        buf_append_slice(&turn->journal, effect);
}

void tier_turn_group_begin(struct tier_turn *turn, struct slice header)
{
    if (turn->group_depth++ > 0)
        return;
    turn->group_begun = false;
    buf_clear(&turn->group_header);
    buf_append_slice(&turn->group_header, header);
}

void tier_turn_group_end(struct tier_turn *turn, struct slice trailer)
{
    CHECK(turn->group_depth > 0);
    if (--turn->group_depth > 0)
        return;
    if (turn->group_begun)
        buf_append_slice(&turn->journal, trailer);
    turn->group_begun = false;
}

void tier_turn_unlock(struct tier_turn *turn)
{
    CHECK(turn->locked != 0);
    CHECK(turn->group_depth == 0);
    flush_journal(turn);
    hot_unlock(turn->tier->hot, turn->locked);
    turn->locked = 0;
    if (turn->appended_bytes > 0) {
        turn->room_grown_bytes += turn->appended_bytes;
        room_note_logged(turn->tier, turn->appended_bytes);
        turn->appended_bytes = 0;
    }
}
