/*
 * geo.c: points in sorted sets: GEOADD, GEOPOS, GEODIST, GEOHASH. A member's score is its geohash (geo_cells.h).
 */
#include "base/mem.h"
#include "geo_commands.h"

#include <math.h>
#include <stdio.h>

/* --- arguments and replies --------------------------------------------------------------------------------------- */

bool geo_parse_point(struct command_call *call, int argument, struct geo_point *point)
{
    if (!command_double(call, argument, &point->longitude, NULL) ||
        !command_double(call, argument + 1, &point->latitude, NULL))
        return false;
    if (geo_point_is_valid(point))
        return true;
    reply_error_format(call->reply, "ERR invalid longitude,latitude pair %f,%f", point->longitude,
        point->latitude);
    return false;
}

bool geo_parse_unit(struct command_call *call, int argument, double *unit_m)
{
    static const struct {
        const char *name;
        double metres;
    } units[] = {{"m", 1}, {"km", 1000}, {"ft", 0.3048}, {"mi", 1609.34}};
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (slice_equal_nocase(call->argv[argument], units[i].name)) {
            *unit_m = units[i].metres;
            return true;
        }
    }
    reply_error(call->reply, "ERR unsupported unit provided. please use M, KM, FT, MI");
    return false;
}

void geo_reply_distance(struct resp_output *reply, double distance)
{
    /* At most half the Earth's circumference, in feet: far from overflow. */
    const long long scaled = llrint(distance * 10000);
    char text[48];
    const int size = snprintf(text, sizeof(text), "%lld.%04lld", scaled / 10000, scaled % 10000);
    reply_bulk(reply, slice_of(text, (size_t)size));
}

/* All digits, trailing zeros apart. */
static void reply_degrees(struct resp_output *reply, double degrees)
{
    char text[STRING_FLOAT_TEXT_SIZE];
    const size_t size = string_from_float((long double)degrees, text);
    if (reply->protocol == 2) {
        reply_bulk(reply, slice_of(text, size));
        return;
    }
    reply_raw(reply, ",", 1);
    reply_raw(reply, text, size);
    reply_raw(reply, "\r\n", 2);
}

void geo_reply_point(struct resp_output *reply, const struct geo_point *point)
{
    reply_array(reply, 2);
    reply_degrees(reply, point->longitude);
    reply_degrees(reply, point->latitude);
}

/* --- GEOADD --------------------------------------------------------------------------------------------------------- */

void cmd_geoadd(struct command_call *call)
{
    struct zset_add_options options = {0};
    int first = 2;
    while (first < call->argc) {
        const struct slice word = call->argv[first];
        if (!slice_equal_nocase(word, "nx") && !slice_equal_nocase(word, "xx") &&
            !slice_equal_nocase(word, "ch"))
            break;
        (void)zset_add_option(word, &options);
        first++;
    }
    const int count = (call->argc - first) / 3;
    if (count == 0 || (call->argc - first) % 3 != 0 || (options.nx && options.xx)) {
        reply_error(call->reply, REPLY_SYNTAX);
        return;
    }
    double *scores = mem_try_alloc((size_t)count * sizeof(*scores));
    if (scores == NULL) {
        commands_reply_no_memory(call);
        return;
    }
    bool good = true;
    for (int i = 0; i < count && good; i++) {
        struct geo_point point;
        good = geo_parse_point(call, first + 3 * i, &point);
        if (good)
            scores[i] = (double)geo_encode(&point);
    }
    if (good)
        zset_add_members(call, &options, scores, first + 2, 3, count);
    mem_free(scores);
}

/* --- GEOPOS, GEODIST, GEOHASH -------------------------------------------------------------------------------------------- */

static bool find_point(const struct zset *zset, struct slice text, struct geo_point *point)
{
    const struct element member = element_of(text);
    double score;
    if (zset == NULL || !zset_score(zset, &member, &score))
        return false;
    *point = geo_decode(score);
    return true;
}

void cmd_geopos(struct command_call *call)
{
    const struct zset *zset;
    if (!zset_read(call, 0, &zset))
        return;
    reply_array(call->reply, (size_t)call->argc - 2);
    for (int i = 2; i < call->argc; i++) {
        struct geo_point point;
        if (find_point(zset, call->argv[i], &point))
            geo_reply_point(call->reply, &point);
        else
            reply_null_array(call->reply);
    }
}

void cmd_geodist(struct command_call *call)
{
    double unit_m = 1;
    if (call->argc == 5 && !geo_parse_unit(call, 4, &unit_m))
        return;
    if (call->argc > 5) {
        reply_error(call->reply, REPLY_SYNTAX);
        return;
    }
    const struct zset *zset;
    if (!zset_read(call, 0, &zset))
        return;
    struct geo_point a;
    struct geo_point b;
    if (find_point(zset, call->argv[2], &a) && find_point(zset, call->argv[3], &b))
        geo_reply_distance(call->reply, geo_distance(&a, &b) / unit_m);
    else
        reply_null(call->reply);
}

void cmd_geohash(struct command_call *call)
{
    const struct zset *zset;
    if (!zset_read(call, 0, &zset))
        return;
    reply_array(call->reply, (size_t)call->argc - 2);
    for (int i = 2; i < call->argc; i++) {
        struct geo_point point;
        if (find_point(zset, call->argv[i], &point)) {
            char text[GEO_TEXT_SIZE];
            geo_text(&point, text);
            reply_bulk(call->reply, slice_of(text, sizeof(text)));
        } else {
            reply_null(call->reply);
        }
    }
}
