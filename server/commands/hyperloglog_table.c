/*
 * hyperloglog_table.c: the rows of the HyperLogLog commands.
 */
#include "hyperloglog_commands.h"

static const struct command_key_spec pfcount_keys[] = {
    {.flags = KEY_RW | KEY_ACCESS,
        .notes =
            "RW because it may change the internal representation of the key, and propagate to replicas",
        .start = 1,
        .find = KEY_FIND_RANGE,
        .last = -1,
        .step = 1},
    {.flags = 0},
};

/* The destination, and what is merged into it, which need not be there. */
static const struct command_key_spec pfmerge_keys[] = {
    {.flags = KEY_RW | KEY_ACCESS | KEY_INSERT,
        .start = 1,
        .find = KEY_FIND_RANGE,
        .last = 0,
        .step = 1},
    {.flags = KEY_RO | KEY_ACCESS, .start = 2, .find = KEY_FIND_RANGE, .last = -1, .step = 1},
    {.flags = 0},
};

const struct command hyperloglog_commands[] = {
    {.name = "pfadd",
        .handler = cmd_pfadd,
        .arity = -2,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        .keys = KEYS_AT(1),
        .key_flags = {KEY_RW | KEY_INSERT},
        .need = TIER_NEED_VALUE,
        .group = COMMAND_GROUP_HYPERLOGLOG,
        .acl = ACL_WRITE | ACL_HYPERLOGLOG | ACL_FAST,
        .since = "2.8.9",
        .complexity = "O(1) to add every element.",
        .summary = "Adds elements to a HyperLogLog key. Creates the key if it doesn't exist."},
    {.name = "pfcount",
        .handler = cmd_pfcount,
        .arity = -2,
        .flags = CMD_READONLY,
        .keys = KEYS_RANGE(1, -1, 1),
        .key_specs = pfcount_keys,
        .need = TIER_NEED_VALUE,
        .group = COMMAND_GROUP_HYPERLOGLOG,
        .acl = ACL_READ | ACL_HYPERLOGLOG | ACL_SLOW,
        .since = "2.8.9",
        .complexity =
            "O(1) with a very small average constant time when called with a single key. O(N) with "
            "N being the number of keys, and much bigger constant times, when called with multiple "
            "keys.",
        .summary =
            "Returns the approximated cardinality of the set(s) observed by the HyperLogLog key(s)."},
    {.name = "pfmerge",
        .handler = cmd_pfmerge,
        .arity = -2,
        .flags = CMD_WRITE | CMD_DENYOOM,
        .keys = KEYS_RANGE(1, -1, 1),
        .key_specs = pfmerge_keys,
        .need = TIER_NEED_VALUE,
        .group = COMMAND_GROUP_HYPERLOGLOG,
        .acl = ACL_WRITE | ACL_HYPERLOGLOG | ACL_SLOW,
        .since = "2.8.9",
        .complexity = "O(N) to merge N HyperLogLogs, but with high constant times.",
        .summary = "Merges one or more HyperLogLog values into a single key."},
    {.name = "pfdebug",
        .handler = cmd_pfdebug,
        .arity = 3,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_ADMIN,
        .keys = KEYS_AT(2),
        .key_flags = {KEY_RW | KEY_ACCESS},
        .need = TIER_NEED_VALUE,
        .group = COMMAND_GROUP_HYPERLOGLOG,
        .acl = ACL_WRITE | ACL_HYPERLOGLOG | ACL_ADMIN | ACL_SLOW | ACL_DANGEROUS,
        .since = "2.8.9",
        .complexity = "N/A",
        .summary = "Internal commands for debugging HyperLogLog values."},
    {.name = "pfselftest",
        .handler = cmd_pfselftest,
        .arity = 1,
        .flags = CMD_ADMIN,
        .group = COMMAND_GROUP_HYPERLOGLOG,
        .acl = ACL_HYPERLOGLOG | ACL_ADMIN | ACL_SLOW | ACL_DANGEROUS,
        .since = "2.8.9",
        .complexity = "N/A",
        .summary = "An internal command for testing HyperLogLog values."},
    COMMANDS_END,
};
