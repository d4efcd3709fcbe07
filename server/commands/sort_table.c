/*
 * sort_table.c: the rows of SORT and SORT_RO.
 */
#include "sort_internal.h"

#define SOURCE_SPEC                                                                 \
    {                                                                               \
        .flags = KEY_RO | KEY_ACCESS, .start = 1, .find = KEY_FIND_RANGE, .step = 1 \
    }
#define PATTERN_SPEC                                                                        \
    {                                                                                       \
        .flags = KEY_RO | KEY_ACCESS,                                                       \
        .notes = "For the optional BY/GET keyword. It is marked 'unknown' because the key " \
                 "names derive from the content of the key we sort",                        \
        .find = KEY_FIND_UNKNOWN                                                            \
    }
static const struct command_key_spec sort_keys[] = {
    SOURCE_SPEC,
    PATTERN_SPEC,
    {.flags = KEY_OW | KEY_UPDATE,
        .notes = "For the optional STORE keyword. It is marked 'unknown' because the keyword can "
                 "appear anywhere in the argument array",
        .find = KEY_FIND_UNKNOWN},
    {.flags = 0},
};
static const struct command_key_spec sort_ro_keys[] = {SOURCE_SPEC, PATTERN_SPEC, {.flags = 0}};

const struct command sort_commands[] = {
    {.name = "sort",
        .handler = cmd_sort,
        .arity = -2,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_ALL_STRIPES,
        .keys = KEYS_AT(1),
        .find_keys = sort_find_keys,
        .key_specs = sort_keys,
        .need_of = sort_need,
        .prepare = sort_prepare,
        .state_destroy = sort_state_destroy,
        .group = COMMAND_GROUP_GENERIC,
        .acl = ACL_WRITE | ACL_SET | ACL_SORTEDSET | ACL_LIST | ACL_SLOW | ACL_DANGEROUS,
        .since = "1.0.0",
        .complexity =
            "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N).",
        .summary =
            "Sorts the elements in a list, a set, or a sorted set, optionally storing the result."},
    {.name = "sort_ro",
        .handler = cmd_sort,
        .arity = -2,
        .flags = CMD_READONLY | CMD_ALL_STRIPES,
        .keys = KEYS_AT(1),
        .find_keys = sort_ro_find_keys,
        .key_specs = sort_ro_keys,
        .need_of = sort_need,
        .prepare = sort_prepare,
        .state_destroy = sort_state_destroy,
        .group = COMMAND_GROUP_GENERIC,
        .acl = ACL_READ | ACL_SET | ACL_SORTEDSET | ACL_LIST | ACL_SLOW | ACL_DANGEROUS,
        .since = "7.0.0",
        .complexity =
            "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N).",
        .summary = "Returns the sorted elements of a list, a set, or a sorted set."},
    COMMANDS_END,
};
