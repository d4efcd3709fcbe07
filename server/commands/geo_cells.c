/*
 * geo_cells.c: geohash cells, distances, and the cells that cover a shape.
 *
 *     north_west  north  north_east        A cell of step s has a number of 2 * s bits; a search takes the largest step whose
 *        west    center     east           cells are still wider than the shape, so that nine of them hold it, and leaves out
 *     south_west  south  south_east        those that its bounding box does not reach.
 *
 * Distances: the haversine formula on a sphere of the ellipsoid's quadratic mean radius.
 */
#include "geo_cells.h"

#include <math.h>

#define EARTH_RADIUS_M 6372797.560856
/* Half the equator in the projection. */
#define PROJECTION_MAX_M 20037726.37
#define BITS_OF_SCORE    (2 * GEO_STEP_MAX)

static const double RADIANS_PER_DEGREE = M_PI / 180.0;

/* --- numbers of cells ---------------------------------------------------------------------------------------------- */

/* Bit i goes to bit 2i (Warren, Hacker's Delight, 7-2). */
static uint64_t spread(uint32_t number)
{
    uint64_t bits = number;
    bits = (bits | bits << 16) & 0x0000FFFF0000FFFF;
    bits = (bits | bits << 8) & 0x00FF00FF00FF00FF;
    bits = (bits | bits << 4) & 0x0F0F0F0F0F0F0F0F;
    bits = (bits | bits << 2) & 0x3333333333333333;
    return (bits | bits << 1) & 0x5555555555555555;
}

static uint32_t gather(uint64_t bits)
{
    bits &= 0x5555555555555555;
    bits = (bits | bits >> 1) & 0x3333333333333333;
    bits = (bits | bits >> 2) & 0x0F0F0F0F0F0F0F0F;
    bits = (bits | bits >> 4) & 0x00FF00FF00FF00FF;
    bits = (bits | bits >> 8) & 0x0000FFFF0000FFFF;
    return (uint32_t)(bits | bits >> 16);
}

/* A column and a row of the grid of 2^step each. The column of 180 degrees east is 2^step, one too many; so with the row. */
struct cell {
    uint32_t column, row;
    unsigned step;
};

static uint64_t cell_bits(const struct cell *cell)
{
    return spread(cell->row) | spread(cell->column) << 1;
}

static double grid(unsigned step)
{
    return (double)((uint64_t)1 << step);
}

/* The latitudes are -latitude_max .. latitude_max. */
static struct cell cell_of(const struct geo_point *point, double latitude_max, unsigned step)
{
    const double across =
        (point->longitude + GEO_LONGITUDE_MAX) / (GEO_LONGITUDE_MAX + GEO_LONGITUDE_MAX);
    const double up = (point->latitude + latitude_max) / (latitude_max + latitude_max);
    return (struct cell){
        .column = (uint32_t)(across * grid(step)),
        .row = (uint32_t)(up * grid(step)),
        .step = step,
    };
}

struct area {
    struct geo_point low, high; /* corners */
};

/* The edge that many cells from the first. */
static double edge(uint32_t number, unsigned step, double max)
{
    return -max + (number * 1.0 / grid(step)) * (max + max);
}

static struct area cell_area(const struct cell *cell)
{
    return (struct area){
        .low = {edge(cell->column, cell->step, GEO_LONGITUDE_MAX),
            edge(cell->row, cell->step, GEO_LATITUDE_MAX)},
        .high = {edge(cell->column + 1, cell->step, GEO_LONGITUDE_MAX),
            edge(cell->row + 1, cell->step, GEO_LATITUDE_MAX)},
    };
}

/* Around the world if need be. What does not move keeps a number that is one too many. */
static struct cell neighbour(const struct cell *cell, int east, int north)
{
    const uint32_t mask = ((uint32_t)1 << cell->step) - 1;
    struct cell moved = *cell;
    if (east != 0)
        moved.column = (moved.column + (uint32_t)east) & mask;
    if (north != 0)
        moved.row = (moved.row + (uint32_t)north) & mask;
    return moved;
}

/* --- points ------------------------------------------------------------------------------------------------------------- */

bool geo_point_is_valid(const struct geo_point *point)
{
    return point->longitude >= -GEO_LONGITUDE_MAX && point->longitude <= GEO_LONGITUDE_MAX &&
           point->latitude >= -GEO_LATITUDE_MAX && point->latitude <= GEO_LATITUDE_MAX;
}

uint64_t geo_encode(const struct geo_point *point)
{
    const struct cell cell = cell_of(point, GEO_LATITUDE_MAX, GEO_STEP_MAX);
    return cell_bits(&cell);
}

static double clamp(double value, double max)
{
    if (value > max)
        return max;
    return value < -max ? -max : value;
}

/* Scores that no point has: two's complement if negative; what does not fit gives what x86-64's conversion gives. */
static uint64_t score_bits(double score)
{
    const double half = 9223372036854775808.0; /* 2^63 */
    if (score >= half)
        return score < 2 * half ? (uint64_t)score : 0;
    return score >= -half ? (uint64_t)(int64_t)score : (uint64_t)1 << 63;
}

struct geo_point geo_decode(double score)
{
    const uint64_t bits = score_bits(score);
    const struct cell cell = {
        .column = gather(bits >> 1),
        .row = gather(bits),
        .step = GEO_STEP_MAX,
    };
    const struct area area = cell_area(&cell);
    return (struct geo_point){
        .longitude = clamp((area.low.longitude + area.high.longitude) / 2, GEO_LONGITUDE_MAX),
        .latitude = clamp((area.low.latitude + area.high.latitude) / 2, GEO_LATITUDE_MAX),
    };
}

void geo_text(const struct geo_point *point, char text[GEO_TEXT_SIZE])
{
    static const char alphabet[] = "0123456789bcdefghjkmnpqrstuvwxyz";
    const struct cell cell = cell_of(point, 90, GEO_STEP_MAX);
    const uint64_t bits = cell_bits(&cell);
    /* 52 bits are ten letters and a bit; the last letter always was "0". */
    for (unsigned i = 0; i < GEO_TEXT_SIZE - 1; i++)
        text[i] = alphabet[(bits >> (BITS_OF_SCORE - 5 * (i + 1))) & 31];
    text[GEO_TEXT_SIZE - 1] = alphabet[0];
}

/* --- distances ------------------------------------------------------------------------------------------------------------ */

static double radians(double degrees)
{
    return degrees * RADIANS_PER_DEGREE;
}

static double degrees_of(double angle)
{
    return angle / RADIANS_PER_DEGREE;
}

static double latitude_distance(double a, double b)
{
    return EARTH_RADIUS_M * fabs(radians(b) - radians(a));
}

double geo_distance(const struct geo_point *a, const struct geo_point *b)
{
    const double sine_longitude = sin((radians(b->longitude) - radians(a->longitude)) / 2);
    if (sine_longitude == 0.0)
        return latitude_distance(a->latitude, b->latitude);
    const double latitude_a = radians(a->latitude);
    const double latitude_b = radians(b->latitude);
    const double sine_latitude = sin((latitude_b - latitude_a) / 2);
    const double haversine = sine_latitude * sine_latitude +
                             cos(latitude_a) * cos(latitude_b) * sine_longitude * sine_longitude;
    return 2.0 * EARTH_RADIUS_M * asin(sqrt(haversine));
}

bool geo_shape_contains(
    const struct geo_shape *shape, const struct geo_point *point, double *distance_m)
{
    if (!shape->is_box) {
        *distance_m = geo_distance(&shape->center, point);
        return !(*distance_m > shape->radius_m);
    }
    if (latitude_distance(point->latitude, shape->center.latitude) > shape->height_m / 2)
        return false;
    const struct geo_point beside = {shape->center.longitude, point->latitude};
    if (geo_distance(point, &beside) > shape->width_m / 2)
        return false;
    *distance_m = geo_distance(&shape->center, point);
    return true;
}

/* --- covering --------------------------------------------------------------------------------------------------------------- */

/* Cells of this step are wider than the radius, at least for most shapes. */
static unsigned step_for(double radius_m, double latitude)
{
    if (radius_m == 0)
        return GEO_STEP_MAX;
    int step = -1;
    for (; radius_m < PROJECTION_MAX_M; radius_m *= 2)
        step++;
    /* Meridians come together towards the poles. */
    if (fabs(latitude) > 66)
        step--;
    if (fabs(latitude) > 80)
        step--;
    if (step < 1)
        return 1;
    return step > (int)GEO_STEP_MAX ? GEO_STEP_MAX : (unsigned)step;
}

/* The parallels and meridians between which the shape lies; the wider of its two parallels is measured on the side of the nearer pole. */
static struct area bounding_box(const struct geo_shape *shape)
{
    const double height_m = shape->is_box ? shape->height_m / 2 : shape->radius_m;
    const double width_m = shape->is_box ? shape->width_m / 2 : shape->radius_m;
    const double latitude = shape->center.latitude;
    const double up = degrees_of(height_m / EARTH_RADIUS_M);
    const double widest = latitude < 0 ? latitude - up : latitude + up;
    const double across = degrees_of(width_m / EARTH_RADIUS_M / cos(radians(widest)));
    return (struct area){
        .low = {shape->center.longitude - across, latitude - up},
        .high = {shape->center.longitude + across, latitude + up},
    };
}

/* Do the nine cells reach to all four sides of the box? */
static bool is_covered(const struct cell *center, const struct area *box)
{
    const struct cell north = neighbour(center, 0, 1);
    const struct cell south = neighbour(center, 0, -1);
    const struct cell east = neighbour(center, 1, 0);
    const struct cell west = neighbour(center, -1, 0);
    return !(cell_area(&north).high.latitude < box->high.latitude) &&
           !(cell_area(&south).low.latitude > box->low.latitude) &&
           !(cell_area(&east).high.longitude < box->high.longitude) &&
           !(cell_area(&west).low.longitude > box->low.longitude);
}

static void add_range(struct geo_ranges *ranges, const struct cell *cell)
{
    const unsigned shift = BITS_OF_SCORE - 2 * cell->step;
    const uint64_t bits = cell_bits(cell);
    const uint64_t first = bits << shift;
    /* Where cells are large, neighbours are the same. */
    for (size_t i = 0; i < ranges->count; i++) {
        if (ranges->ranges[i].first == first)
            return;
    }
    ranges->ranges[ranges->count].first = first;
    ranges->ranges[ranges->count].end = (bits + 1) << shift;
    ranges->count++;
}

void geo_cover(const struct geo_shape *shape, struct geo_ranges *ranges)
{
    /* Clients see the order where they ask for none. */
    static const struct {
        int east, north;
    } around[] = {{0, 1}, {0, -1}, {1, 0}, {-1, 0}, {1, 1}, {-1, 1}, {1, -1}, {-1, -1}};
    const struct area box = bounding_box(shape);
    const double radius_m = shape->is_box ? sqrt(shape->width_m / 2 * (shape->width_m / 2) +
                                                 shape->height_m / 2 * (shape->height_m / 2))
                                          : shape->radius_m;
    unsigned step = step_for(radius_m, shape->center.latitude);
    struct cell center = cell_of(&shape->center, GEO_LATITUDE_MAX, step);
    if (step > 1 && !is_covered(&center, &box))
        center = cell_of(&shape->center, GEO_LATITUDE_MAX, --step);
    const struct area area = cell_area(&center);
    const bool may_leave_out = step >= 2;
    ranges->count = 0;
    add_range(ranges, &center);
    for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
        const int east = around[i].east;
        const int north = around[i].north;
        const bool is_beyond = (north < 0 && area.low.latitude < box.low.latitude) ||
                               (north > 0 && area.high.latitude > box.high.latitude) ||
                               (east < 0 && area.low.longitude < box.low.longitude) ||
                               (east > 0 && area.high.longitude > box.high.longitude);
        if (may_leave_out && is_beyond)
            continue;
        const struct cell cell = neighbour(&center, east, north);
        add_range(ranges, &cell);
    }
}
