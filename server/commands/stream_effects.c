/*
 * stream_effects.c: what commands on consumer groups log.
 *
 * Reading and claiming depend on the clock and on who came first, so what is logged is their outcome, in the words of Redis's own propagation:
 *
 *   a consumer was made            XGROUP CREATECONSUMER key group consumer
 *   entries are pending for it     XCLAIM key group consumer 0 ID ... TIME ms RETRYCOUNT n FORCE JUSTID LASTID id
 *   vanished ones are forgotten    XACK key group ID ...
 *   the group has moved on         XGROUP SETID key group id ENTRIESREAD n
 *
 * Redis logs one XCLAIM for each entry; here entries that share time and count share a command. All effects of one command are one group in
 * the log.
 */
#include "base/mem.h"
#include "stream_commands.h"

void stream_effects_begin(struct stream_effects *effects, struct command_call *call,
    const struct key *key, struct slice group, struct slice consumer)
{
    effects->call = call;
    effects->key = key;
    effects->group = group;
    effects->consumer = consumer;
    effects->is_removal = false;
    effects->count = 0;
    keyspace_group_begin(call->view);
}

static void log_args(struct stream_effects *effects, const struct slice *args, size_t count)
{
    keyspace_log_args(effects->call->view, effects->key, 1, args, count);
}

static struct slice number_text(int64_t number, char text[24])
{
    return slice_of(text, int64_to_text(number, text));
}

static struct slice id_text(struct stream_id id, char text[STREAM_ID_TEXT_MAX])
{
    return slice_of(text, stream_id_to_text(id, text));
}

static void flush(struct stream_effects *effects)
{
    if (effects->count == 0)
        return;
    char ms_text[24];
    char count_text[24];
    char last_text[STREAM_ID_TEXT_MAX];
    char *const texts = mem_alloc(effects->count * STREAM_ID_TEXT_MAX);
    struct slice *const args = mem_alloc((effects->count + 16) * sizeof(*args));
    size_t count = 0;
    args[count++] = effects->is_removal ? SLICE_LITERAL("XACK") : SLICE_LITERAL("XCLAIM");
    args[count++] = key_slice(effects->key);
    args[count++] = effects->group;
    if (!effects->is_removal) {
        args[count++] = effects->consumer;
        args[count++] = SLICE_LITERAL("0");
    }
    for (size_t i = 0; i < effects->count; i++)
        args[count++] = id_text(effects->ids[i], &texts[i * STREAM_ID_TEXT_MAX]);
    if (!effects->is_removal) {
        args[count++] = SLICE_LITERAL("TIME");
        args[count++] = number_text(effects->delivery_ms, ms_text);
        args[count++] = SLICE_LITERAL("RETRYCOUNT");
        args[count++] = number_text((int64_t)effects->delivery_count, count_text);
        args[count++] = SLICE_LITERAL("FORCE");
        args[count++] = SLICE_LITERAL("JUSTID");
        args[count++] = SLICE_LITERAL("LASTID");
        args[count++] = id_text(effects->last_id, last_text);
    }
    log_args(effects, args, count);
    mem_free(args);
    mem_free(texts);
    effects->count = 0;
}

void stream_effects_made_consumer(struct stream_effects *effects)
{
    flush(effects);
    const struct slice args[] = {SLICE_LITERAL("XGROUP"), SLICE_LITERAL("CREATECONSUMER"),
        key_slice(effects->key), effects->group, effects->consumer};
    log_args(effects, args, COUNT_OF(args));
}

void stream_effects_claimed(
    struct stream_effects *effects, const struct stream_pending *pending, struct stream_id last_id)
{
    if (effects->count == STREAM_EFFECT_IDS ||
        (effects->count > 0 &&
            (effects->is_removal || effects->delivery_ms != pending->delivery_ms ||
                effects->delivery_count != pending->delivery_count)))
        flush(effects);
    effects->is_removal = false;
    effects->delivery_ms = pending->delivery_ms;
    effects->delivery_count = pending->delivery_count;
    effects->last_id = last_id;
    effects->ids[effects->count++] = pending->id;
}

void stream_effects_removed(struct stream_effects *effects, struct stream_id id)
{
    if (effects->count == STREAM_EFFECT_IDS || (effects->count > 0 && !effects->is_removal))
        flush(effects);
    effects->is_removal = true;
    effects->ids[effects->count++] = id;
}

void stream_effects_moved(struct stream_effects *effects, const struct stream_group *group)
{
    flush(effects);
    char last_text[STREAM_ID_TEXT_MAX];
    char read_text[24];
    const struct slice args[] = {SLICE_LITERAL("XGROUP"), SLICE_LITERAL("SETID"),
        key_slice(effects->key), effects->group, id_text(group->last_id, last_text),
        SLICE_LITERAL("ENTRIESREAD"), number_text(group->entries_read, read_text)};
    log_args(effects, args, COUNT_OF(args));
}

void stream_effects_end(struct stream_effects *effects)
{
    flush(effects);
    keyspace_group_end(effects->call->view);
}
