/*
 * object.c: OBJECT: how a record is represented, and how hot it is. Answered by the header; a cold value stays cold (but for REFCOUNT).
 */
#include "commands_internal.h"

/* Indexes of the names of maxmemory-policy (settings), in redis.conf's order. */
enum memory_policy { MEMORY_POLICY_VOLATILE_LFU = 1, MEMORY_POLICY_ALLKEYS_LFU = 5 };

#define SHARED_INTEGER_COUNT 10000

static const char *const object_help[] = {
    "ENCODING <key>",
    "    Return the kind of internal representation used in order to store the value",
    "    associated with a <key>.",
    "FREQ <key>",
    "    Return the access frequency index of the <key>. The returned integer is",
    "    proportional to the logarithm of the recent access frequency of the key.",
    "IDLETIME <key>",
    "    Return the idle time of the <key>, that is the approximated number of",
    "    seconds elapsed since the last access to the key.",
    "REFCOUNT <key>",
    "    Return the number of references of the value associated with the specified",
    "    <key>.",
    NULL,
};

/* NULL: null was replied. */
static const struct hot_record *find(struct command_call *call)
{
    const struct hot_record *record = keyspace_find(call->view, &call->keys[0], KEYSPACE_PEEK);
    if (record == NULL)
        reply_null(call->reply);
    return record;
}

static bool counts_frequency(const struct command_call *call)
{
    const int64_t policy = OPTION_GET(&call->server->settings->server, memory_policy);
    return policy == MEMORY_POLICY_VOLATILE_LFU || policy == MEMORY_POLICY_ALLKEYS_LFU;
}

void cmd_object_encoding(struct command_call *call)
{
    const struct hot_record *record = find(call);
    if (record == NULL)
        return;
    const struct value value = hot_record_value(record);
    reply_bulk_text(call->reply, value_encoding_name(value.encoding));
}

/* Values are not shared between keys; small integers are said to be, as Redis's are. */
void cmd_object_refcount(struct command_call *call)
{
    const struct hot_record *record = find(call);
    if (record == NULL)
        return;
    const struct value value = hot_record_value(record);
    const bool is_shared = value.type == VALUE_STRING && value.encoding == VALUE_ENCODING_INT &&
                           value.integer >= 0 && value.integer < SHARED_INTEGER_COUNT;
    reply_integer(call->reply, is_shared ? INT32_MAX : 1);
}

void cmd_object_idletime(struct command_call *call)
{
    const struct hot_record *record = find(call);
    if (record == NULL)
        return;
    if (counts_frequency(call)) {
        reply_error(call->reply,
            "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that "
            "when switching between policies at runtime LRU and LFU data will take some time to "
            "adjust.");
        return;
    }
    reply_integer(call->reply, commands_idle_s(call, record));
}

void cmd_object_freq(struct command_call *call)
{
    const struct hot_record *record = find(call);
    if (record == NULL)
        return;
    if (!counts_frequency(call)) {
        reply_error(call->reply,
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please "
            "note that when switching between policies at runtime LRU and LFU data will take some "
            "time to adjust.");
        return;
    }
    reply_integer(call->reply, hot_record_heat(record).frequency);
}

void cmd_object_help(struct command_call *call)
{
    commands_reply_help(call, "OBJECT", object_help);
}
