/*
 * scan_element.c: scans and random draws of a collection's rows, the same for hashes, sets and sorted sets.
 *
 * A scan's next cursor comes first in the reply, but is known last: the rows of a step are remembered, as elements that borrow from
 * the tree, and written afterwards.
 *
 * Distinct draws: of few rows, random ranks that have not come up yet (a set of them in memory); of many, one walk that takes each
 * row with the chance that makes the number come out right (selection sampling: Knuth 2, 3.4.2, algorithm S).
 */
#include "scan_element.h"

#include "base/mem.h"
#include "base/random.h"
#include "commands_internal.h"

#define SCAN_COUNT_DEFAULT ((uint64_t)10)
#define DRAW_REPEAT_MAX    ((uint64_t)1 << 24)
#define DRAW_BYTES_MAX     ((uint64_t)1 << 30)
#define DRAW_ROW_OVERHEAD  ((uint64_t)32) /* of a row in the reply */
#define DRAW_WALK_SHARE    ((uint64_t)4)  /* more than a quarter of all rows: walk */

void element_reply(struct resp_output *reply, const struct element *element)
{
    if (element->is_integer)
        reply_bulk_integer(reply, element->integer);
    else
        reply_bulk(reply, element->bytes);
}

static void reply_row(
    struct resp_output *reply, const struct element_source *source, const struct element *row)
{
    element_reply(reply, &row[source->name_slot]);
    if (source->reply_value != NULL)
        source->reply_value(reply, row);
}

static bool is_wanted(const struct element_source *source, const struct element *row)
{
    return source->wants == NULL || source->wants(source->context, row);
}

/* --- scans ------------------------------------------------------------------------------------------------------ */

bool element_scan_cursor(struct command_call *call, struct element_scan *scan)
{
    *scan = (struct element_scan){.count = SCAN_COUNT_DEFAULT};
    if (scan_cursor_parse(call->argv[2], &scan->position))
        return true;
    reply_error(call->reply, "ERR invalid cursor");
    return false;
}

bool element_scan_options(
    struct command_call *call, struct element_scan *scan, bool may_omit_values)
{
    for (int i = 3; i < call->argc; i++) {
        const struct slice word = call->argv[i];
        const bool has_value = i + 1 < call->argc;
        if (slice_equal_nocase(word, "count") && has_value) {
            int64_t count = 0;
            if (!command_int64(call, ++i, &count, NULL))
                return false;
            scan->count = (uint64_t)count;
            if (count >= 1)
                continue;
        } else if (slice_equal_nocase(word, "match") && has_value) {
            scan->pattern = call->argv[++i];
            /* "*" means all, the empty name included, which the glob alone would not match. */
            if (slice_equal(scan->pattern, SLICE_LITERAL("*")))
                scan->pattern = (struct slice){0};
            else if (scan->pattern.size == 0)
                scan->pattern = slice_of("", 0);
            continue;
        } else if (may_omit_values && slice_equal_nocase(word, "novalues")) {
            scan->no_values = true;
            continue;
        }
        reply_error(call->reply, REPLY_SYNTAX);
        return false;
    }
    return true;
}

void element_scan_reply_empty(struct resp_output *reply)
{
    reply_array(reply, 2);
    reply_bulk(reply, SLICE_LITERAL("0"));
    reply_array(reply, 0);
}

struct scan_step {
    const struct element_scan *scan;
    const struct element_source *source;
    unsigned stride;
    struct element *rows; /* borrowed from the tree */
    size_t row_count;
    size_t row_capacity;
};

static bool matches(const struct scan_step *step, const struct element *name)
{
    char scratch[ELEMENT_TEXT_MAX];
    return step->scan->pattern.data == NULL ||
           glob_match(step->scan->pattern, element_text(name, scratch), false);
}

static void note_row(void *context, const struct element *row)
{
    struct scan_step *const step = context;
    if (!is_wanted(step->source, row) || !matches(step, &row[step->source->name_slot]))
        return;
    if (step->row_count == step->row_capacity) {
        step->row_capacity = step->row_capacity == 0 ? 64 : step->row_capacity * 2;
        step->rows =
            mem_realloc(step->rows, step->row_capacity * step->stride * sizeof(*step->rows));
    }
    memcpy(&step->rows[step->row_count * step->stride], row, step->stride * sizeof(*row));
    step->row_count++;
}

static void note_all_rows(struct scan_step *step)
{
    const struct tree *const tree = step->source->tree;
    struct tree_cursor cursor;
    struct element row[TREE_STRIDE_MAX];
    tree_cursor_at(tree, 0, &cursor);
    while (!tree_cursor_is_end(&cursor)) {
        tree_cursor_row(&cursor, row);
        note_row(step, row);
        if (!tree_cursor_next(&cursor))
            break;
    }
}

void element_scan_run(
    struct command_call *call, const struct element_scan *scan, const struct element_source *source)
{
    struct scan_step step = {.scan = scan, .source = source, .stride = source->tree->class->stride};
    uint64_t position = scan->position;
    if (source->is_compact) {
        note_all_rows(&step);
        position = 0;
    } else {
        tree_scan(source->tree, &position, scan->count, note_row, &step);
    }
    const bool with_values = source->reply_value != NULL && !scan->no_values;
    char text[24];
    reply_array(call->reply, 2);
    reply_bulk(call->reply, slice_of(text, uint64_to_text(position, text)));
    reply_array(call->reply, with_values ? step.row_count * 2 : step.row_count);
    for (size_t i = 0; i < step.row_count; i++) {
        const struct element *const row = &step.rows[i * step.stride];
        element_reply(call->reply, &row[source->name_slot]);
        if (with_values)
            source->reply_value(call->reply, row);
    }
    mem_free(step.rows);
}

/* --- random numbers --------------------------------------------------------------------------------------------- */

static struct random *thread_random(void)
{
    static _Thread_local struct random random;
    static _Thread_local bool is_seeded;
    if (unlikely(!is_seeded)) {
        uint64_t seed = 0;
        random_secret(&seed, sizeof(seed));
        random_init(&random, seed);
        is_seeded = true;
    }
    return &random;
}

uint64_t element_random_below(uint64_t bound)
{
    return random_below(thread_random(), bound);
}

/* --- arguments of draws ------------------------------------------------------------------------------------------- */

/* Every int64 but the least, whose magnitude is none. */
static bool parse_count(struct command_call *call, int64_t *count)
{
    if (!command_int64(call, 2, count, NULL))
        return false;
    if (*count >= -INT64_MAX)
        return true;
    reply_error_format(call->reply, "ERR value is out of range, value must between %lld and %lld",
        -(long long)INT64_MAX, (long long)INT64_MAX);
    return false;
}

bool element_draw_parse(struct command_call *call, const char *word, struct element_draw *draw)
{
    *draw = (struct element_draw){.is_single = true, .count = 1};
    if (call->argc < 3)
        return true;
    int64_t count = 0;
    if (word == NULL && call->argc > 3) {
        reply_error(call->reply, REPLY_SYNTAX);
        return false;
    }
    if (!parse_count(call, &count))
        return false;
    if (call->argc > 4 || (call->argc == 4 && !slice_equal_nocase(call->argv[3], word))) {
        reply_error(call->reply, REPLY_SYNTAX);
        return false;
    }
    draw->is_single = false;
    draw->with_values = call->argc == 4;
    draw->with_repeats = count < 0;
    draw->count = (uint64_t)(count < 0 ? -count : count);
    if (draw->with_values && draw->count > INT64_MAX / 2) {
        reply_error(call->reply, REPLY_OUT_OF_RANGE);
        return false;
    }
    return true;
}

void element_draw_reply_empty(struct resp_output *reply, const struct element_draw *draw)
{
    if (draw->is_single)
        reply_null(reply);
    else
        reply_array(reply, 0);
}

/* --- drawing ---------------------------------------------------------------------------------------------------------- */

struct drawing {
    struct command_call *call;
    const struct element_draw *draw;
    const struct element_source *source;
    uint64_t *ranks; /* of the rows to draw from; NULL: all of the tree */
    uint64_t rank_count;
};

static void reply_drawn(const struct drawing *drawing, const struct tree_cursor *cursor)
{
    struct resp_output *const reply = drawing->call->reply;
    struct element row[TREE_STRIDE_MAX];
    tree_cursor_row(cursor, row);
    if (drawing->draw->with_values) {
        if (reply->protocol > 2)
            reply_array(reply, 2);
        reply_row(reply, drawing->source, row);
    } else {
        element_reply(reply, &row[drawing->source->name_slot]);
    }
}

/* The index-th of the rows to draw from. */
static void reply_drawn_at(const struct drawing *drawing, uint64_t index)
{
    struct tree_cursor cursor;
    tree_cursor_at(
        drawing->source->tree, drawing->ranks == NULL ? index : drawing->ranks[index], &cursor);
    reply_drawn(drawing, &cursor);
}

static void collect_wanted(struct drawing *drawing)
{
    const struct tree *const tree = drawing->source->tree;
    drawing->ranks = mem_alloc((size_t)(tree->count + 1) * sizeof(*drawing->ranks));
    drawing->rank_count = 0;
    struct tree_cursor cursor;
    struct element row[TREE_STRIDE_MAX];
    tree_cursor_at(tree, 0, &cursor);
    for (uint64_t rank = 0; rank < tree->count; rank++) {
        tree_cursor_row(&cursor, row);
        if (is_wanted(drawing->source, row))
            drawing->ranks[drawing->rank_count++] = rank;
        (void)tree_cursor_next(&cursor);
    }
}

static void draw_repeats(const struct drawing *drawing)
{
    for (uint64_t i = 0; i < drawing->draw->count; i++)
        reply_drawn_at(drawing, element_random_below(drawing->rank_count));
}

/* Selection sampling; with count == rank_count everything, in order. */
static void draw_by_walk(const struct drawing *drawing, uint64_t count)
{
    struct random *const random = thread_random();
    struct tree_cursor cursor;
    tree_cursor_at(drawing->source->tree, 0, &cursor);
    for (uint64_t i = 0; count > 0; i++) {
        const uint64_t left = drawing->rank_count - i;
        if (count == left || random_below(random, left) < count) {
            count--;
            if (drawing->ranks == NULL)
                reply_drawn(drawing, &cursor);
            else
                reply_drawn_at(drawing, i);
        }
        if (drawing->ranks == NULL)
            (void)tree_cursor_next(&cursor);
    }
}

static void draw_by_set(const struct drawing *drawing, uint64_t count)
{
    struct random *const random = thread_random();
    size_t slot_count = 8;
    while (slot_count < count * 2)
        slot_count *= 2;
    uint64_t *const slots = mem_alloc_zero(slot_count * sizeof(*slots)); /* index + 1 */
    while (count > 0) {
        const uint64_t index = random_below(random, drawing->rank_count);
        size_t slot = (size_t)(index * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (slot_count - 1);
        while (slots[slot] != 0 && slots[slot] != index + 1)
            slot = (slot + 1) & (slot_count - 1);
        if (slots[slot] != 0)
            continue;
        slots[slot] = index + 1;
        reply_drawn_at(drawing, index);
        count--;
    }
    mem_free(slots);
}

/* Repeats make a reply of any size from a small collection. */
static bool is_too_much(const struct drawing *drawing)
{
    const struct tree *const tree = drawing->source->tree;
    if (!drawing->draw->with_repeats)
        return false;
    const uint64_t row_bytes = tree->bytes / tree->count + DRAW_ROW_OVERHEAD;
    return drawing->draw->count > DRAW_REPEAT_MAX ||
           drawing->draw->count > DRAW_BYTES_MAX / row_bytes;
}

static void draw_many(const struct drawing *drawing)
{
    const struct element_draw *const draw = drawing->draw;
    if (is_too_much(drawing)) {
        reply_error(drawing->call->reply, REPLY_OUT_OF_RANGE);
        return;
    }
    const bool is_all = !draw->with_repeats && draw->count >= drawing->rank_count;
    const uint64_t count = is_all ? drawing->rank_count : draw->count;
    const bool is_flat = draw->with_values && drawing->call->reply->protocol == 2;
    reply_array(drawing->call->reply, (size_t)(is_flat ? count * 2 : count));
    if (draw->with_repeats)
        draw_repeats(drawing);
    else if (count > drawing->rank_count / DRAW_WALK_SHARE)
        draw_by_walk(drawing, count);
    else
        draw_by_set(drawing, count);
}

void element_draw_run(
    struct command_call *call, const struct element_draw *draw, const struct element_source *source)
{
    struct drawing drawing = {
        .call = call, .draw = draw, .source = source, .rank_count = source->tree->count};
    if (source->wants != NULL)
        collect_wanted(&drawing);
    if (drawing.rank_count == 0 || draw->count == 0)
        element_draw_reply_empty(call->reply, draw);
    else if (draw->is_single)
        reply_drawn_at(&drawing, element_random_below(drawing.rank_count));
    else
        draw_many(&drawing);
    mem_free(drawing.ranks);
}
