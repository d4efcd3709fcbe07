/*
 * geo_table.c: the rows of the geospatial commands.
 */
#include "zset_commands.h"

/* What is overwritten need not be read. */
static enum tier_need store_need(int argc, const struct slice *argv, size_t index)
{
    (void)argc;
    (void)argv;
    return index == 0 ? TIER_NEED_HEADER : TIER_NEED_VALUE;
}

/* The source comes first, then the key to store to. */
static enum tier_need radius_need(int argc, const struct slice *argv, size_t index)
{
    (void)argc;
    (void)argv;
    return index == 0 ? TIER_NEED_VALUE : TIER_NEED_HEADER;
}

#define STORE_SPECS(from)                                                                \
    {.flags = KEY_OW | KEY_UPDATE, .keyword = "STORE", .start = (from), .step = 1},      \
    {                                                                                    \
        .flags = KEY_OW | KEY_UPDATE, .keyword = "STOREDIST", .start = (from), .step = 1 \
    }
static const struct command_key_spec radius_specs[] = {
    {.flags = KEY_RO | KEY_ACCESS, .start = 1, .step = 1}, STORE_SPECS(6), {.flags = 0}};
static const struct command_key_spec member_radius_specs[] = {
    {.flags = KEY_RO | KEY_ACCESS, .start = 1, .step = 1}, STORE_SPECS(5), {.flags = 0}};

const struct command geo_commands[] = {
    {.name = "geoadd",
        .handler = cmd_geoadd,
        .arity = -5,
        .flags = CMD_WRITE | CMD_DENYOOM,
        .keys = KEYS_AT(1),
        .need = TIER_NEED_VALUE,
        .group = COMMAND_GROUP_GEO,
        .acl = ACL_WRITE | ACL_GEO | ACL_SLOW,
        .since = "3.2.0",
        .complexity =
            "O(log(N)) for each item added, where N is the number of elements in the sorted set",
        .summary =
            "Adds one or more members to a geospatial index. The key is created if it does not exist."},
    {.name = "geopos",
        .handler = cmd_geopos,
        .arity = -2,
        .flags = CMD_READONLY,
        .keys = KEYS_AT(1),
        .need = TIER_NEED_VALUE,
        .group = COMMAND_GROUP_GEO,
        .acl = ACL_READ | ACL_GEO | ACL_SLOW,
        .since = "3.2.0",
        .complexity = "O(N) where N is the number of members requested",
        .summary = "Returns the longitude and latitude of members of a geospatial index."},
    {.name = "geodist",
        .handler = cmd_geodist,
        .arity = -4,
        .flags = CMD_READONLY,
        .keys = KEYS_AT(1),
        .need = TIER_NEED_VALUE,
        .group = COMMAND_GROUP_GEO,
        .acl = ACL_READ | ACL_GEO | ACL_SLOW,
        .since = "3.2.0",
        .complexity = "O(log(N))",
        .summary = "Returns the distance between two members of a geospatial index."},
    {.name = "geohash",
        .handler = cmd_geohash,
        .arity = -2,
        .flags = CMD_READONLY,
        .keys = KEYS_AT(1),
        .need = TIER_NEED_VALUE,
        .group = COMMAND_GROUP_GEO,
        .acl = ACL_READ | ACL_GEO | ACL_SLOW,
        .since = "3.2.0",
        .complexity =
            "O(log(N)) for each member requested, where N is the number of elements in the sorted set",
        .summary = "Returns members of a geospatial index as geohash strings."},
    {.name = "georadius",
        .handler = cmd_georadius,
        .arity = -6,
        .flags = CMD_WRITE | CMD_DENYOOM,
        .keys = KEYS_AT(1),
        .find_keys = geo_find_keys,
        .key_specs = radius_specs,
        .need_of = radius_need,
        .group = COMMAND_GROUP_GEO,
        .acl = ACL_WRITE | ACL_GEO | ACL_SLOW,
        .since = "3.2.0",
        .complexity =
            "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index",
        .summary =
            "Queries a geospatial index for members within a distance from a point, and can store the result."},
    {.name = "georadius_ro",
        .handler = cmd_georadius,
        .arity = -6,
        .flags = CMD_READONLY,
        .keys = KEYS_AT(1),
        .need = TIER_NEED_VALUE,
        .group = COMMAND_GROUP_GEO,
        .acl = ACL_READ | ACL_GEO | ACL_SLOW,
        .since = "3.2.10",
        .complexity =
            "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index",
        .summary =
            "Returns members of a geospatial index that are within a distance from a point."},
    {.name = "georadiusbymember",
        .handler = cmd_georadiusbymember,
        .arity = -5,
        .flags = CMD_WRITE | CMD_DENYOOM,
        .keys = KEYS_AT(1),
        .find_keys = geo_find_keys,
        .key_specs = member_radius_specs,
        .need_of = radius_need,
        .group = COMMAND_GROUP_GEO,
        .acl = ACL_WRITE | ACL_GEO | ACL_SLOW,
        .since = "3.2.0",
        .complexity =
            "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index",
        .summary =
            "Queries a geospatial index for members within a distance from a member, and can store the result."},
    {.name = "georadiusbymember_ro",
        .handler = cmd_georadiusbymember,
        .arity = -5,
        .flags = CMD_READONLY,
        .keys = KEYS_AT(1),
        .need = TIER_NEED_VALUE,
        .group = COMMAND_GROUP_GEO,
        .acl = ACL_READ | ACL_GEO | ACL_SLOW,
        .since = "3.2.10",
        .complexity =
            "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index",
        .summary =
            "Returns members of a geospatial index that are within a distance from a member."},
    {.name = "geosearch",
        .handler = cmd_geosearch,
        .arity = -7,
        .flags = CMD_READONLY,
        .keys = KEYS_AT(1),
        .need = TIER_NEED_VALUE,
        .group = COMMAND_GROUP_GEO,
        .acl = ACL_READ | ACL_GEO | ACL_SLOW,
        .since = "6.2.0",
        .complexity =
            "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape provided as the filter and M is the number of items inside the shape",
        .summary = "Queries a geospatial index for members inside a box or a circle."},
    {.name = "geosearchstore",
        .handler = cmd_geosearchstore,
        .arity = -8,
        .flags = CMD_WRITE | CMD_DENYOOM,
        .keys = KEYS_RANGE(1, 2, 1),
        .key_flags = {KEY_OW | KEY_UPDATE, KEY_RO | KEY_ACCESS},
        .need_of = store_need,
        .group = COMMAND_GROUP_GEO,
        .acl = ACL_WRITE | ACL_GEO | ACL_SLOW,
        .since = "6.2.0",
        .complexity =
            "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape provided as the filter and M is the number of items inside the shape",
        .summary =
            "Queries a geospatial index for members inside a box or a circle, and stores the result."},
    COMMANDS_END,
};
