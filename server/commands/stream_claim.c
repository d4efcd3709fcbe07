/*
 * stream_claim.c: XCLAIM and XAUTOCLAIM: another consumer takes over what is pending.
 *
 * Entries that are no longer in the stream are not claimed but forgotten. The consumer is made even if nothing is claimed.
 */
#include "base/check.h"
#include "base/mem.h"
#include "stream_commands.h"

/* Both commands, once their arguments are understood. */
struct claim {
    struct command_call *call;
    struct stream_edit edit;
    struct stream_effects effects;
    struct stream_group *group;
    struct stream_consumer *consumer;
    int64_t idle_ms_min;
    int64_t delivery_ms;
    int64_t retry_count; /* -1: one more, unless JUSTID */
    bool is_forced;
    bool ids_only;
};

/* The stream and its group, or an error replied. */
static bool find_group(struct command_call *call, struct hot_record **record)
{
    if (!command_find_typed(call, 0, KEYSPACE_READ, VALUE_STREAM, record))
        return false;
    if (*record != NULL) {
        const struct value value = hot_record_value(*record);
        if (stream_group_find(stream_of(&value), call->argv[2]) != NULL)
            return true;
    }
    stream_reply_no_group(call, call->argv[1], call->argv[2], "");
    return false;
}

static void begin(struct claim *claim, struct hot_record *record)
{
    struct command_call *call = claim->call;
    claim->edit = stream_edit_of(call, 0, record);
    stream_effects_begin(&claim->effects, call, &call->keys[0], call->argv[2], call->argv[3]);
    claim->consumer = stream_consumer_demand(&claim->edit, &claim->effects, &claim->group);
}

/* Before the first change of what is pending. */
static void begin_change(struct claim *claim)
{
    if (!claim->edit.is_begun)
        claim->consumer = stream_consumer_edit(&claim->edit, &claim->effects, &claim->group);
}

static void end(struct claim *claim)
{
    stream_edit_end(&claim->edit);
    stream_effects_end(&claim->effects);
}

static void forget(struct claim *claim, struct stream_id id)
{
    begin_change(claim);
    (void)stream_pending_remove(claim->edit.stream, claim->group, id);
    stream_effects_removed(&claim->effects, id);
}

static bool is_idle_enough(const struct claim *claim, const struct stream_pending *pending)
{
    int64_t idle_ms = 0;
    if (claim->idle_ms_min == 0)
        return true;
    if (sub_overflows((int64_t)claim->call->view->now_ms, pending->delivery_ms, &idle_ms))
        idle_ms = INT64_MAX;
    return idle_ms >= claim->idle_ms_min;
}

/* Takes it over. */
static void take(struct claim *claim, struct stream_pending pending)
{
    begin_change(claim);
    pending.consumer = claim->consumer;
    pending.delivery_ms = claim->delivery_ms;
    if (claim->retry_count >= 0)
        pending.delivery_count = (uint64_t)claim->retry_count;
    else if (!claim->ids_only && pending.delivery_count < INT64_MAX)
        pending.delivery_count++;
    stream_pending_set(claim->edit.stream, claim->group, &pending);
    stream_effects_claimed(&claim->effects, &pending, claim->group->last_id);
    /* Replay has no clock: the delivery's time is the last that is known. */
    const struct keyspace_view *const view = claim->call->view;
    claim->consumer->active_ms = view->replay ? claim->delivery_ms : (int64_t)view->now_ms;
    if (claim->consumer->seen_ms < claim->consumer->active_ms)
        claim->consumer->seen_ms = claim->consumer->active_ms;
}

static void reply_taken(const struct claim *claim, struct stream_id id)
{
    if (claim->ids_only) {
        stream_reply_id(claim->call->reply, id);
        return;
    }
    const bool is_there = stream_reply_entry_of(claim->call->reply, claim->edit.stream, id);
    CHECK(is_there);
}

/* --- XCLAIM --------------------------------------------------------------------------------------------------------------------- */

struct claim_options {
    struct stream_id *ids;
    int id_count;
    struct stream_id last_id;
    bool has_time;
};

/* Options behind the IDs. False: an error was replied. */
static bool parse_options(struct claim *claim, int at, struct claim_options *options)
{
    struct command_call *call = claim->call;
    for (; at < call->argc; at++) {
        const struct slice word = call->argv[at];
        const bool has_more = at + 1 < call->argc;
        if (slice_equal_nocase(word, "force")) {
            claim->is_forced = true;
        } else if (slice_equal_nocase(word, "justid")) {
            claim->ids_only = true;
        } else if (has_more && slice_equal_nocase(word, "idle")) {
            int64_t idle_ms = 0;
            if (!command_int64(call, ++at, &idle_ms, "ERR Invalid IDLE option argument for XCLAIM"))
                return false;
            if (sub_overflows((int64_t)call->view->now_ms, idle_ms, &claim->delivery_ms))
                claim->delivery_ms = -2;
            options->has_time = true;
        } else if (has_more && slice_equal_nocase(word, "time")) {
            if (!command_int64(
                    call, ++at, &claim->delivery_ms, "ERR Invalid TIME option argument for XCLAIM"))
                return false;
            options->has_time = true;
        } else if (has_more && slice_equal_nocase(word, "retrycount")) {
            if (!command_int64(call, ++at, &claim->retry_count,
                    "ERR Invalid RETRYCOUNT option argument for XCLAIM"))
                return false;
        } else if (has_more && slice_equal_nocase(word, "lastid")) {
            if (!stream_id_argument(call, ++at, &options->last_id))
                return false;
        } else {
            reply_error_format(call->reply, "ERR Unrecognized XCLAIM option '%.*s'",
                stream_quote_size(word), word.data);
            return false;
        }
    }
    return true;
}

/* The IDs, up to the first argument that is none. Returns its number. */
static int parse_ids(const struct command_call *call, struct claim_options *options)
{
    int at = 5;
    options->ids = mem_alloc((size_t)(call->argc - 5) * sizeof(*options->ids));
    while (at < call->argc && stream_id_parse(call->argv[at], 0, true, NULL, &options->ids[at - 5]))
        at++;
    options->id_count = at - 5;
    return at;
}

/* Impossible times are now: who computes with a clock of his own may be a little ahead. */
static void settle_time(struct claim *claim, const struct claim_options *options)
{
    const int64_t now_ms = (int64_t)claim->call->view->now_ms;
    const bool is_late = claim->delivery_ms > now_ms && !claim->call->view->replay;
    if (!options->has_time || claim->delivery_ms < 0 || is_late)
        claim->delivery_ms = now_ms;
}

static bool claim_one(struct claim *claim, struct stream_id id)
{
    struct stream_pending pending;
    const bool is_pending = stream_pending_find(claim->group, id, &pending);
    if (!stream_contains(claim->edit.stream, id)) {
        if (is_pending)
            forget(claim, id);
        return false;
    }
    if (!is_pending && !claim->is_forced)
        return false;
    if (is_pending && !is_idle_enough(claim, &pending))
        return false;
    if (!is_pending)
        pending = (struct stream_pending){.id = id, .delivery_count = 1};
    take(claim, pending);
    reply_taken(claim, id);
    return true;
}

static void run_claim(
    struct claim *claim, const struct claim_options *options, struct hot_record *record)
{
    size_t claimed = 0;
    const struct reply_deferred deferred = reply_deferred_begin(claim->call->reply);
    begin(claim, record);
    if (stream_id_compare(options->last_id, claim->group->last_id) > 0) {
        begin_change(claim);
        claim->group->last_id = options->last_id;
        stream_effects_moved(&claim->effects, claim->group);
    }
    for (int i = 0; i < options->id_count; i++)
        claimed += claim_one(claim, options->ids[i]);
    end(claim);
    reply_deferred_end(claim->call->reply, deferred, '*', claimed);
}

void cmd_xclaim(struct command_call *call)
{
    struct claim claim = {.call = call, .retry_count = -1};
    struct claim_options options = {0};
    struct hot_record *record = NULL;
    if (!find_group(call, &record) || !command_int64(call, 4, &claim.idle_ms_min,
                                          "ERR Invalid min-idle-time argument for XCLAIM"))
        return;
    if (claim.idle_ms_min < 0)
        claim.idle_ms_min = 0;
    const int at = parse_ids(call, &options);
    if (parse_options(&claim, at, &options)) {
        settle_time(&claim, &options);
        run_claim(&claim, &options, record);
    }
    mem_free(options.ids);
}

/* --- XAUTOCLAIM -------------------------------------------------------------------------------------------------------------------- */

/* For one entry claimed, at most so many are looked at. */
#define ATTEMPTS_PER_ENTRY 10
#define COUNT_MAX          (INT64_MAX / 16)

struct autoclaim_options {
    struct stream_id start;
    int64_t count;
};

static bool parse_autoclaim(struct claim *claim, struct autoclaim_options *options)
{
    struct command_call *call = claim->call;
    options->count = 100;
    if (!command_int64(
            call, 4, &claim->idle_ms_min, "ERR Invalid min-idle-time argument for XAUTOCLAIM"))
        return false;
    if (claim->idle_ms_min < 0)
        claim->idle_ms_min = 0;
    if (!stream_interval_start(call, 5, &options->start))
        return false;
    for (int i = 6; i < call->argc; i++) {
        if (i + 1 < call->argc && slice_equal_nocase(call->argv[i], "count")) {
            if (!command_int64(call, ++i, &options->count, "ERR COUNT must be > 0"))
                return false;
            if (options->count < 1 || options->count > COUNT_MAX) {
                reply_error(call->reply, "ERR COUNT must be > 0");
                return false;
            }
        } else if (slice_equal_nocase(call->argv[i], "justid")) {
            claim->ids_only = true;
        } else {
            reply_error(call->reply, REPLY_SYNTAX);
            return false;
        }
    }
    return true;
}

/* IDs in a buffer. */
static size_t id_count(const struct buf *ids)
{
    return ids->size / sizeof(struct stream_id);
}

static struct stream_id id_of(const struct buf *ids, size_t index)
{
    struct stream_id id;
    memcpy(&id, ids->data + index * sizeof(id), sizeof(id));
    return id;
}

/* The first pending entry from an ID on. */
static bool find_next(
    const struct claim *claim, struct stream_id from, struct stream_pending *pending)
{
    struct stream_pending_walk walk;
    stream_pending_begin(&walk, claim->group, NULL, from);
    return stream_pending_next(&walk, pending);
}

/* What XAUTOCLAIM replies: the cursor comes first, and is known last. */
struct autoclaimed {
    struct buf claimed; /* IDs */
    struct buf deleted;
    struct stream_id next;
};

static void claim_from(
    struct claim *claim, const struct autoclaim_options *options, struct autoclaimed *out)
{
    struct stream_pending pending;
    int64_t left = options->count;
    int64_t attempts = left * ATTEMPTS_PER_ENTRY;
    bool is_more = true;
    out->next = options->start;
    while (left > 0 && attempts-- > 0) {
        is_more = is_more && find_next(claim, out->next, &pending);
        if (!is_more)
            break;
        out->next = pending.id;
        is_more = stream_id_next(&out->next);
        if (!stream_contains(claim->edit.stream, pending.id)) {
            forget(claim, pending.id);
            buf_append(&out->deleted, &pending.id, sizeof(pending.id));
            left--;
        } else if (is_idle_enough(claim, &pending)) {
            take(claim, pending);
            buf_append(&out->claimed, &pending.id, sizeof(pending.id));
            left--;
        }
    }
    if (is_more && find_next(claim, out->next, &pending))
        out->next = pending.id;
    else
        out->next = STREAM_ID_MIN;
}

void cmd_xautoclaim(struct command_call *call)
{
    struct claim claim = {.call = call, .retry_count = -1};
    struct autoclaim_options options;
    struct autoclaimed out = {0};
    struct hot_record *record = NULL;
    if (!parse_autoclaim(&claim, &options) || !find_group(call, &record))
        return;
    claim.delivery_ms = (int64_t)call->view->now_ms;
    begin(&claim, record);
    claim_from(&claim, &options, &out);
    reply_array(call->reply, 3);
    stream_reply_id(call->reply, out.next);
    reply_array(call->reply, id_count(&out.claimed));
    for (size_t i = 0; i < id_count(&out.claimed); i++)
        reply_taken(&claim, id_of(&out.claimed, i));
    reply_array(call->reply, id_count(&out.deleted));
    for (size_t i = 0; i < id_count(&out.deleted); i++)
        stream_reply_id(call->reply, id_of(&out.deleted, i));
    end(&claim);
    buf_deinit(&out.claimed);
    buf_deinit(&out.deleted);
}
