/*
 * geo_cells.h: places on Earth as numbers of 52 bits, and the cells around a place.
 *
 * Geohash (Niemeyer): longitude and latitude are halved 26 times each, and the bits interleaved, latitude in the even ones. Places near each
 * other mostly have numbers near each other, so that what lies in a cell is a range of scores. The ranges of the projection EPSG:3857
 * are used: it has no poles.
 */
#ifndef SERVER_GEO_CELLS_H
#define SERVER_GEO_CELLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GEO_LONGITUDE_MAX 180.0
#define GEO_LATITUDE_MAX  85.05112878
#define GEO_STEP_MAX      26u
#define GEO_TEXT_SIZE     11

struct geo_point {
    double longitude, latitude; /* degrees */
};

bool geo_point_is_valid(const struct geo_point *point);
/* The score of a valid point. */
uint64_t geo_encode(const struct geo_point *point);
/* The middle of the smallest cell; any score gives some point. */
struct geo_point geo_decode(double score);
/* The standard's text, of latitudes to the poles. No NUL is written. */
void geo_text(const struct geo_point *point, char text[GEO_TEXT_SIZE]);
/* Metres on the great circle. */
double geo_distance(const struct geo_point *a, const struct geo_point *b);

/* A circle, or a box that lies along the parallels. */
struct geo_shape {
    struct geo_point center;
    bool is_box;
    double radius_m;          /* circle */
    double width_m, height_m; /* box */
};
/* Is the point in it? *distance_m from the center, if so. */
bool geo_shape_contains(
    const struct geo_shape *shape, const struct geo_point *point, double *distance_m);

/* Ranges of scores [first, end) that hold all points of a shape: the center's cell and its neighbours. */
#define GEO_RANGE_MAX 9
struct geo_ranges {
    size_t count;
    struct {
        uint64_t first, end;
    } ranges[GEO_RANGE_MAX];
};
void geo_cover(const struct geo_shape *shape, struct geo_ranges *ranges);

#endif
