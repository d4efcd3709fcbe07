/*
 * command_names.c: the words of COMMAND INFO, COMMAND DOCS and ACL CAT.
 */
#include "base/check.h"
#include "server/command.h"

static const char *const group_names[] = {
    [COMMAND_GROUP_GENERIC] = "generic",
    [COMMAND_GROUP_STRING] = "string",
    [COMMAND_GROUP_CONNECTION] = "connection",
    [COMMAND_GROUP_SERVER] = "server",
    [COMMAND_GROUP_TRANSACTIONS] = "transactions",
    [COMMAND_GROUP_SCRIPTING] = "scripting",
    [COMMAND_GROUP_TIER] = "tier",
    [COMMAND_GROUP_LIST] = "list",
    [COMMAND_GROUP_SET] = "set",
    [COMMAND_GROUP_SORTED_SET] = "sorted-set",
    [COMMAND_GROUP_HASH] = "hash",
    [COMMAND_GROUP_STREAM] = "stream",
    [COMMAND_GROUP_BITMAP] = "bitmap",
    [COMMAND_GROUP_HYPERLOGLOG] = "hyperloglog",
    [COMMAND_GROUP_GEO] = "geo",
    [COMMAND_GROUP_PUBSUB] = "pubsub",
};

static const char *const flag_names[] = {"write", "readonly", "denyoom", "admin", "pubsub",
    "noscript", "blocking", "loading", "stale", "fast", "no_auth", "no_multi", "movablekeys",
    "allow_busy", "no_mandatory_keys", "no_async_loading", "skip_slowlog", "asking"};

static const char *const key_flag_names[] = {"RO", "RW", "OW", "RM", "access", "update", "insert",
    "delete", "not_key", "incomplete", "variable_flags"};

static const char *const acl_names[] = {"keyspace", "read", "write", "set", "sortedset", "list",
    "hash", "string", "bitmap", "hyperloglog", "geo", "stream", "pubsub", "admin", "fast", "slow",
    "blocking", "dangerous", "connection", "transaction", "scripting"};

const char *command_group_name(enum command_group group)
{
    CHECK((size_t)group < COUNT_OF(group_names));
    return group_names[group];
}

const char *command_flag_name(unsigned bit)
{
    return bit < COUNT_OF(flag_names) ? flag_names[bit] : NULL;
}

const char *command_key_flag_name(unsigned bit)
{
    return bit < COUNT_OF(key_flag_names) ? key_flag_names[bit] : NULL;
}

const char *command_acl_name(unsigned bit)
{
    return bit < COUNT_OF(acl_names) ? acl_names[bit] : NULL;
}
