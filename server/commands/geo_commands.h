/*
 * geo_commands.h: what geo.c and geo_search.c share.
 */
#ifndef SERVER_GEO_COMMANDS_H
#define SERVER_GEO_COMMANDS_H

#include "geo_cells.h"
#include "zset_commands.h"

/* "longitude latitude" at this argument. False: an error was replied. */
MUST_USE bool geo_parse_point(struct command_call *call, int argument, struct geo_point *point);
/* Metres in the unit named. False: an error was replied. */
MUST_USE bool geo_parse_unit(struct command_call *call, int argument, double *unit_m);
/* A distance: text with four digits behind the point. */
void geo_reply_distance(struct resp_output *reply, double distance);
/* [longitude, latitude] */
void geo_reply_point(struct resp_output *reply, const struct geo_point *point);

#endif
