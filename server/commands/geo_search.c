/*
 * geo_search.c: members in a circle or a box: GEOSEARCH, GEORADIUS and their STORE forms.
 *
 * The shape is covered by ranges of scores (geo_cover()); every member in them is measured. What is stored borrows from the source until a new set is
 * made of it.
 */
#include "base/mem.h"
#include "geo_commands.h"
#include "scan_element.h"

#include <stdlib.h>

enum search_kind {
    SEARCH_AROUND_POINT,  /* GEORADIUS key longitude latitude radius unit ... */
    SEARCH_AROUND_MEMBER, /* GEORADIUSBYMEMBER key member radius unit ... */
    SEARCH_SHAPE,         /* GEOSEARCH key ... */
    SEARCH_SHAPE_STORE,   /* GEOSEARCHSTORE destination key ... */
};
enum search_order { ORDER_NONE, ORDER_NEAR, ORDER_FAR };

struct search {
    struct command_call *call;
    enum search_kind kind;
    bool may_store;          /* STORE and STOREDIST are options */
    const struct zset *zset; /* NULL: absent */
    struct geo_shape shape;
    double unit_m;
    bool has_member, has_point, has_radius, has_box;
    bool with_distance, with_hash, with_point;
    bool is_store, stores_distance;
    size_t store_key;
    enum search_order order;
    bool any;
    uint64_t count; /* 0: all */
};

struct match {
    struct element member;
    struct geo_point point;
    double distance_m;
    double score;
};
struct matches {
    struct match *list;
    size_t count, capacity;
};

/* --- keys --------------------------------------------------------------------------------------------------------- */

/* The source, and the last of the keys to store to. */
int geo_find_keys(int argc, const struct slice *argv, int *indexes, int max)
{
    int store = 0;
    for (int i = 5; i + 1 < argc; i++) {
        if (slice_equal_nocase(argv[i], "store") || slice_equal_nocase(argv[i], "storedist"))
            store = ++i;
    }
    if (max > 0)
        indexes[0] = 1;
    if (store != 0 && max > 1)
        indexes[1] = store;
    return store != 0 ? 2 : 1;
}

/* --- arguments ----------------------------------------------------------------------------------------------------- */

static bool is_search(const struct search *search)
{
    return search->kind == SEARCH_SHAPE || search->kind == SEARCH_SHAPE_STORE;
}

static bool refuse(const struct search *search, const char *error)
{
    reply_error(search->call->reply, error);
    return false;
}

/* "radius unit" */
static bool parse_radius(struct search *search, int argument)
{
    double radius;
    if (!command_double(search->call, argument, &radius, "ERR need numeric radius"))
        return false;
    if (radius < 0)
        return refuse(search, "ERR radius cannot be negative");
    if (!geo_parse_unit(search->call, argument + 1, &search->unit_m))
        return false;
    search->shape.is_box = false;
    search->shape.radius_m = radius * search->unit_m;
    return true;
}

/* "width height unit" */
static bool parse_box(struct search *search, int argument)
{
    double width;
    double height;
    if (!command_double(search->call, argument, &width, "ERR need numeric width") ||
        !command_double(search->call, argument + 1, &height, "ERR need numeric height"))
        return false;
    if (width < 0 || height < 0)
        return refuse(search, "ERR height or width cannot be negative");
    if (!geo_parse_unit(search->call, argument + 2, &search->unit_m))
        return false;
    search->shape.is_box = true;
    search->shape.width_m = width * search->unit_m;
    search->shape.height_m = height * search->unit_m;
    return true;
}

static bool parse_member(struct search *search, int argument)
{
    const struct element member = element_of(search->call->argv[argument]);
    double score;
    if (search->zset == NULL)
        return true; /* the answer is known, but errors come first */
    if (!zset_score(search->zset, &member, &score))
        return refuse(search, "ERR could not decode requested zset member");
    search->shape.center = geo_decode(score);
    return true;
}

static bool parse_count(struct search *search, int argument)
{
    int64_t count;
    if (!command_int64(search->call, argument, &count, NULL))
        return false;
    if (count <= 0)
        return refuse(search, "ERR COUNT must be > 0");
    search->count = (uint64_t)count;
    return true;
}

/* Options of one word. */
static bool parse_flag(struct search *search, struct slice word)
{
    if (slice_equal_nocase(word, "withdist"))
        search->with_distance = true;
    else if (slice_equal_nocase(word, "withhash"))
        search->with_hash = true;
    else if (slice_equal_nocase(word, "withcoord"))
        search->with_point = true;
    else if (slice_equal_nocase(word, "any"))
        search->any = true;
    else if (slice_equal_nocase(word, "asc"))
        search->order = ORDER_NEAR;
    else if (slice_equal_nocase(word, "desc"))
        search->order = ORDER_FAR;
    else if (search->kind == SEARCH_SHAPE_STORE && slice_equal_nocase(word, "storedist"))
        search->stores_distance = true;
    else
        return false;
    return true;
}

/* Options of several words, of which `left` come after the one at *i, which moves to the last. *known: it was one. False: an error was replied. */
static bool parse_phrase(struct search *search, int *i, bool *known)
{
    const struct slice word = search->call->argv[*i];
    const int left = search->call->argc - *i - 1;
    const bool searches = is_search(search);
    const int first = *i + 1;
    *known = true;
    if (left >= 1 && slice_equal_nocase(word, "count")) {
        *i += 1;
        return parse_count(search, first);
    }
    if (left >= 1 && search->may_store &&
        (slice_equal_nocase(word, "store") || slice_equal_nocase(word, "storedist"))) {
        *i += 1;
        search->is_store = true;
        search->stores_distance = slice_equal_nocase(word, "storedist");
        return true;
    }
    if (left >= 1 && searches && !search->has_point && slice_equal_nocase(word, "frommember")) {
        *i += 1;
        search->has_member = true;
        return parse_member(search, first);
    }
    if (left >= 2 && searches && !search->has_member && slice_equal_nocase(word, "fromlonlat")) {
        *i += 2;
        search->has_point = true;
        return geo_parse_point(search->call, first, &search->shape.center);
    }
    if (left >= 2 && searches && !search->has_box && slice_equal_nocase(word, "byradius")) {
        *i += 2;
        search->has_radius = true;
        return parse_radius(search, first);
    }
    if (left >= 3 && searches && !search->has_radius && slice_equal_nocase(word, "bybox")) {
        *i += 3;
        search->has_box = true;
        return parse_box(search, first);
    }
    *known = false;
    return true;
}

static bool parse_options(struct search *search, int first)
{
    for (int i = first; i < search->call->argc; i++) {
        if (parse_flag(search, search->call->argv[i]))
            continue;
        bool known = false;
        if (!parse_phrase(search, &i, &known))
            return false;
        if (!known)
            return refuse(search, REPLY_SYNTAX);
    }
    return true;
}

static bool options_agree(const struct search *search)
{
    const struct slice name = search->call->argv[0];
    if (search->is_store && (search->with_distance || search->with_hash || search->with_point))
        return refuse(search,
            is_search(search)
                ? "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
                : "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options");
    if (is_search(search) && !search->has_member && !search->has_point) {
        reply_error_format(search->call->reply,
            "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for %.*s",
            commands_quote_size(name), name.data);
        return false;
    }
    if (is_search(search) && !search->has_radius && !search->has_box) {
        reply_error_format(search->call->reply,
            "ERR exactly one of BYRADIUS and BYBOX can be specified for %.*s",
            commands_quote_size(name), name.data);
        return false;
    }
    if (search->any && search->count == 0)
        return refuse(search, "ERR the ANY argument requires COUNT argument");
    return true;
}

/* False: an error was replied. */
static bool parse(struct search *search)
{
    int first = 0;
    switch (search->kind) {
    case SEARCH_AROUND_POINT:
        first = 6;
        if (!geo_parse_point(search->call, 2, &search->shape.center) || !parse_radius(search, 4))
            return false;
        break;
    case SEARCH_AROUND_MEMBER:
        first = 5;
        if (search->zset != NULL && (!parse_member(search, 2) || !parse_radius(search, 3)))
            return false;
        break;
    case SEARCH_SHAPE: first = 2; break;
    case SEARCH_SHAPE_STORE:
        first = 3;
        search->is_store = true;
        break;
    }
    if (!parse_options(search, first) || !options_agree(search))
        return false;
    /* The nearest, if not all are wanted. */
    if (search->count != 0 && search->order == ORDER_NONE && !search->any)
        search->order = ORDER_NEAR;
    return true;
}

/* --- searching ------------------------------------------------------------------------------------------------------- */

static void add_match(struct matches *matches, const struct match *match)
{
    if (matches->count == matches->capacity) {
        matches->capacity = matches->capacity == 0 ? 32 : 2 * matches->capacity;
        matches->list = mem_realloc(matches->list, matches->capacity * sizeof(*matches->list));
    }
    matches->list[matches->count++] = *match;
}

/* False: there are enough. */
static bool collect_range(
    const struct search *search, uint64_t first, uint64_t end, struct matches *matches)
{
    const struct tree *tree = zset_sorted(search->zset);
    struct tree_cursor cursor;
    tree_cursor_at(tree, zset_rank_of_score(search->zset, (double)first, false), &cursor);
    for (bool more = !tree_cursor_is_end(&cursor); more; more = tree_cursor_next(&cursor)) {
        struct element row[2];
        tree_cursor_row(&cursor, row);
        struct match match = {.score = zset_score_of(&row[ZSET_SORTED_SCORE])};
        if (match.score >= (double)end)
            return true;
        match.member = row[ZSET_SORTED_MEMBER];
        match.point = geo_decode(match.score);
        if (geo_shape_contains(&search->shape, &match.point, &match.distance_m))
            add_match(matches, &match);
        if (search->any && matches->count >= search->count)
            return false;
    }
    return true;
}

static int nearer(const void *a, const void *b)
{
    const double left = ((const struct match *)a)->distance_m;
    const double right = ((const struct match *)b)->distance_m;
    return (left > right) - (left < right);
}

static int farther(const void *a, const void *b)
{
    return nearer(b, a);
}

static void collect(const struct search *search, struct matches *matches)
{
    struct geo_ranges ranges;
    geo_cover(&search->shape, &ranges);
    for (size_t i = 0; i < ranges.count; i++) {
        if (!collect_range(search, ranges.ranges[i].first, ranges.ranges[i].end, matches))
            break;
    }
    if (search->order != ORDER_NONE && matches->count > 1)
        qsort(matches->list, matches->count, sizeof(*matches->list),
            search->order == ORDER_NEAR ? nearer : farther);
    if (search->count != 0 && matches->count > search->count)
        matches->count = search->count;
}

/* --- results ---------------------------------------------------------------------------------------------------------- */

static void reply_matches(const struct search *search, const struct matches *matches)
{
    struct resp_output *reply = search->call->reply;
    const size_t extra =
        (size_t)search->with_distance + (size_t)search->with_hash + (size_t)search->with_point;
    reply_array(reply, matches->count);
    for (size_t i = 0; i < matches->count; i++) {
        const struct match *match = &matches->list[i];
        if (extra > 0)
            reply_array(reply, 1 + extra);
        element_reply(reply, &match->member);
        if (search->with_distance)
            geo_reply_distance(reply, match->distance_m / search->unit_m);
        if (search->with_hash)
            reply_integer(reply, (int64_t)match->score);
        if (search->with_point)
            geo_reply_point(reply, &match->point);
    }
}

static void store_matches(const struct search *search, const struct matches *matches)
{
    struct zset *zset = zset_create();
    for (size_t i = 0; i < matches->count; i++) {
        const struct match *match = &matches->list[i];
        zset_insert(zset, &match->member,
            search->stores_distance ? match->distance_m / search->unit_m : match->score);
    }
    zset_store(search->call, search->store_key, zset,
        is_search(search) ? "geosearchstore" : "georadiusstore", ZSET_LOG_MEMBERS);
}

static void run(struct command_call *call, enum search_kind kind, bool may_store)
{
    struct search search = {.call = call, .kind = kind, .may_store = may_store, .unit_m = 1};
    search.store_key = kind == SEARCH_SHAPE_STORE ? 0 : 1;
    if (!zset_read(call, kind == SEARCH_SHAPE_STORE ? 1 : 0, &search.zset) || !parse(&search))
        return;
    struct matches matches = {0};
    if (search.zset != NULL)
        collect(&search, &matches);
    if (search.is_store)
        store_matches(&search, &matches);
    else
        reply_matches(&search, &matches);
    mem_free(matches.list);
}

static bool may_store(const struct command_call *call)
{
    return (call->command->flags & CMD_WRITE) != 0;
}

void cmd_georadius(struct command_call *call)
{
    run(call, SEARCH_AROUND_POINT, may_store(call));
}

void cmd_georadiusbymember(struct command_call *call)
{
    run(call, SEARCH_AROUND_MEMBER, may_store(call));
}

void cmd_geosearch(struct command_call *call)
{
    run(call, SEARCH_SHAPE, false);
}

void cmd_geosearchstore(struct command_call *call)
{
    run(call, SEARCH_SHAPE_STORE, false);
}
