/*
 * tier.c: Kelvin's own commands: TIER PROMOTE | DEMOTE | INFO, PREFETCH.
 *
 * They say where a record is or should be and never change what it is (I8), so nothing is logged. PROMOTE is a read of the
 * value as far as the tiers are concerned: the gather before it does the work. The others take keys as they are, cold ones too.
 */
#include "base/check.h"
#include "commands_internal.h"
#include "storage/prefetch.h"

static void cmd_tier_promote(struct command_call *call)
{
    int64_t promoted = 0;
    for (size_t i = 0; i < call->key_count; i++) {
        const struct hot_record *record = keyspace_find(call->view, &call->keys[i], KEYSPACE_PEEK);
        if (record != NULL && hot_record_state(record) == HOT_RESIDENT)
            promoted++;
    }
    reply_integer(call->reply, promoted);
}

static void cmd_tier_demote(struct command_call *call)
{
    int64_t demoted = 0;
    for (size_t i = 0; i < call->key_count; i++) {
        if (tier_demote(call->view->turn, &call->keys[i]) == ST_OK)
            demoted++;
    }
    reply_integer(call->reply, demoted);
}

/* --- TIER INFO ---------------------------------------------------------------------------------------------- */

static const char *dirty_name(enum hot_dirty dirty)
{
    switch (dirty) {
    case HOT_CLEAN: return "clean";
    case HOT_DIRTY: return "dirty";
    case HOT_OLD: return "old";
    case HOT_IMAGED: return "imaged";
    }
    UNREACHABLE("all states");
}

static const char *queue_name(enum hot_queue queue)
{
    switch (queue) {
    case HOT_QUEUE_NONE: return "none";
    case HOT_QUEUE_PROBATION: return "probation";
    case HOT_QUEUE_MAIN: return "main";
    }
    UNREACHABLE("all queues");
}

/* What is known of a key in RAM; NULL where nothing is. */
struct tier_facts {
    const char *state, *dirty, *type, *encoding, *queue;
    bool is_known; /* the record exists and its header is here */
    int64_t value_size, memory, frequency, idle_s, expire_ms;
    bool in_cold;
};

static void describe_header(
    struct command_call *call, const struct hot_record *record, struct tier_facts *facts)
{
    const struct value value = hot_record_value(record);
    const struct hot_heat heat = hot_record_heat(record);
    const uint64_t expire_ms = hot_record_expire_ms(record);
    facts->is_known = true;
    facts->type = value_type_name(value.type);
    facts->encoding = value_encoding_name(value.encoding);
    facts->queue = queue_name(heat.queue);
    facts->value_size = (int64_t)hot_record_value_size(record);
    facts->memory = (int64_t)hot_record_bytes(record);
    facts->frequency = heat.frequency;
    facts->idle_s = commands_idle_s(call, record);
    facts->expire_ms = expire_ms == 0 ? -1 : (int64_t)expire_ms;
}

static struct tier_facts describe(struct command_call *call)
{
    const struct key *key = &call->keys[0];
    const struct hot_record *record = hot_find(call->view->hot, key);
    struct tier_facts facts = {.state = "absent"};
    if (record == NULL) {
        facts.in_cold = cold_may_contain(tier_cold(call->view->tier), key);
        facts.state = facts.in_cold ? "cold" : "absent";
        return facts;
    }
    const enum hot_state state = hot_record_state(record);
    facts.in_cold = hot_record_in_cold(record);
    if (state == HOT_FETCHING) {
        facts.state = "fetching";
        facts.in_cold = true;
        return facts;
    }
    facts.dirty = dirty_name(hot_record_dirty(call->view->hot, record));
    if (state == HOT_ABSENT)
        return facts;
    facts.state = state == HOT_RESIDENT ? "hot" : "stub";
    describe_header(call, record, &facts);
    return facts;
}

static void reply_text_field(struct resp_output *reply, const char *name, const char *text)
{
    reply_bulk_text(reply, name);
    if (text != NULL)
        reply_bulk_text(reply, text);
    else
        reply_null(reply);
}

static void reply_number_field(
    struct resp_output *reply, const char *name, bool is_known, int64_t number)
{
    reply_bulk_text(reply, name);
    if (is_known)
        reply_integer(reply, number);
    else
        reply_null(reply);
}

static void cmd_tier_info(struct command_call *call)
{
    const struct tier_facts facts = describe(call);
    struct resp_output *reply = call->reply;
    reply_map(reply, 11);
    reply_text_field(reply, "state", facts.state);
    reply_text_field(reply, "dirty", facts.dirty);
    reply_text_field(reply, "type", facts.type);
    reply_text_field(reply, "encoding", facts.encoding);
    reply_number_field(reply, "value-size", facts.is_known, facts.value_size);
    reply_number_field(reply, "memory", facts.is_known, facts.memory);
    reply_number_field(reply, "frequency", facts.is_known, facts.frequency);
    reply_text_field(reply, "queue", facts.queue);
    reply_number_field(reply, "idle-seconds", facts.is_known, facts.idle_s);
    reply_number_field(reply, "expire-ms", facts.is_known, facts.expire_ms);
    reply_bulk_text(reply, "in-cold");
    reply_bool(reply, facts.in_cold);
}

static const char *const tier_help[] = {
    "DEMOTE <key> [<key> ...]",
    "    Drop the copies in RAM of these records, if the cold tier has them as they are.",
    "    Return how many were dropped.",
    "INFO <key>",
    "    Return where the record is, and what is known of it without reading it.",
    "PROMOTE <key> [<key> ...]",
    "    Read these records into RAM. Return how many exist and are there now.",
    NULL,
};

static void cmd_tier_help(struct command_call *call)
{
    commands_reply_help(call, "TIER", tier_help);
}

/* --- PREFETCH ------------------------------------------------------------------------------------------------- */

static void cmd_prefetch(struct command_call *call)
{
    int64_t scheduled = 0;
    prefetch_hinted(call->server->prefetch, call->key_count);
    if (OPTION_GET(&call->server->settings->prefetch, mode) != PREFETCH_OFF) {
        for (size_t i = 0; i < call->key_count; i++) {
            if (tier_prefetch(call->view->turn, &call->keys[i]) == ST_PENDING)
                scheduled++;
        }
    }
    reply_integer(call->reply, scheduled);
}

static const struct command tier_subcommands[] = {
    {.name = "demote",
        .handler = cmd_tier_demote,
        .arity = -3,
        .flags = CMD_NO_GATHER,
        .keys = KEYS_RANGE(2, -1, 1),
        .group = COMMAND_GROUP_TIER,
        .acl = ACL_KEYSPACE | ACL_SLOW,
        .since = "0.1.0",
        .complexity = "O(N) where N is the number of keys",
        .summary = "Drops the copies in RAM of records that the cold tier holds as they are."},
    {.name = "help",
        .handler = cmd_tier_help,
        .arity = 2,
        .flags = CMD_LOADING | CMD_STALE,
        .group = COMMAND_GROUP_TIER,
        .acl = ACL_KEYSPACE | ACL_SLOW,
        .since = "0.1.0",
        .complexity = "O(1)",
        .summary = "Returns helpful text about the different subcommands."},
    {.name = "info",
        .handler = cmd_tier_info,
        .arity = 3,
        .flags = CMD_NO_GATHER,
        .keys = KEYS_AT(2),
        .group = COMMAND_GROUP_TIER,
        .acl = ACL_KEYSPACE | ACL_READ | ACL_SLOW,
        .since = "0.1.0",
        .complexity = "O(1)",
        .summary = "Returns where a record is and what is known of it without reading it."},
    {.name = "promote",
        .handler = cmd_tier_promote,
        .arity = -3,
        .flags = CMD_READONLY,
        .keys = KEYS_RANGE(2, -1, 1),
        .need = TIER_NEED_VALUE,
        .group = COMMAND_GROUP_TIER,
        .acl = ACL_KEYSPACE | ACL_READ | ACL_SLOW,
        .since = "0.1.0",
        .complexity = "O(N) where N is the number of keys",
        .summary = "Reads records into RAM and returns how many are there now."},
    COMMANDS_END,
};

const struct command tier_commands[] = {
    {.name = "tier",
        .arity = -2,
        .subcommands = tier_subcommands,
        .group = COMMAND_GROUP_TIER,
        .acl = ACL_SLOW,
        .since = "0.1.0",
        .complexity = "Depends on subcommand.",
        .summary = "A container for commands on the place of records: RAM or disk."},
    {.name = "prefetch",
        .handler = cmd_prefetch,
        .arity = -2,
        .flags = CMD_FAST | CMD_NO_GATHER,
        .keys = KEYS_RANGE(1, -1, 1),
        .group = COMMAND_GROUP_TIER,
        .acl = ACL_KEYSPACE | ACL_FAST,
        .since = "0.1.0",
        .complexity = "O(N) where N is the number of keys",
        .summary = "Hints that keys will be read soon: schedules their promotion and returns how "
                   "many were scheduled."},
    COMMANDS_END,
};
