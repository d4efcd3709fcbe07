/*
 * settings_nearest.c: the name that a misspelt one was meant to be: the fewest letters inserted, dropped, changed or
 * swapped with their neighbour (Damerau's distance on adjacent letters).
 */
#include "settings_internal.h"

#include <ctype.h>

#define NAME_MAX_SIZE 64

static const struct {
    const char *name;
    enum directive directive;
} directives[] = {
    {"include", DIRECTIVE_INCLUDE},
    {"loadmodule", DIRECTIVE_MODULE},
    {"user", DIRECTIVE_USER},
    {"rename-command", DIRECTIVE_RENAME},
    /* Redis takes these and does nothing. */
    {"list-max-ziplist-entries", DIRECTIVE_OBSOLETE},
    {"list-max-ziplist-value", DIRECTIVE_OBSOLETE},
    {"lua-replicate-commands", DIRECTIVE_OBSOLETE},
};

enum directive settings_directive(struct slice name)
{
    for (size_t index = 0; index < COUNT_OF(directives); index++) {
        if (slice_equal_nocase(name, directives[index].name))
            return directives[index].directive;
    }
    return DIRECTIVE_NONE;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    const size_t least = a < b ? a : b;
    return least < c ? least : c;
}

static size_t distance(struct slice a, struct slice b)
{
    size_t rows[3][NAME_MAX_SIZE + 1];
    size_t *before_last = rows[0];
    size_t *last = rows[1];
    size_t *row = rows[2];
    for (size_t at = 0; at <= b.size; at++)
        last[at] = at;
    for (size_t i = 1; i <= a.size; i++) {
        row[0] = i;
        const int letter = tolower((uint8_t)a.data[i - 1]);
        for (size_t j = 1; j <= b.size; j++) {
            const int other = tolower((uint8_t)b.data[j - 1]);
            row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != other));
            if (i > 1 && j > 1 && letter == tolower((uint8_t)b.data[j - 2]) &&
                tolower((uint8_t)a.data[i - 2]) == other && before_last[j - 2] + 1 < row[j])
                row[j] = before_last[j - 2] + 1;
        }
        size_t *const oldest = before_last;
        before_last = last;
        last = row;
        row = oldest;
    }
    return last[b.size];
}

struct nearest {
    struct slice name;
    const char *best;
    size_t best_distance;
};

static void consider(struct nearest *nearest, const char *candidate)
{
    const size_t size = strlen(candidate);
    const size_t name_size = nearest->name.size;
    /* Each letter too many or too few counts. */
    if ((size > name_size ? size - name_size : name_size - size) >= nearest->best_distance)
        return;
    CHECK(size <= NAME_MAX_SIZE);
    const size_t candidate_distance = distance(nearest->name, slice_of(candidate, size));
    if (candidate_distance < nearest->best_distance) {
        nearest->best = candidate;
        nearest->best_distance = candidate_distance;
    }
}

const char *settings_nearest(struct slice name)
{
    if (name.size == 0 || name.size > NAME_MAX_SIZE)
        return NULL;
    /* A third of the letters may be wrong; more is another word. */
    struct nearest nearest = {.name = name, .best_distance = name.size / 3 + 2};
    for (size_t index = 0; index < settings_row_count(); index++) {
        const struct settings_row *const row = settings_row_at(index);
        consider(&nearest, row->name);
        if (row->alias != NULL)
            consider(&nearest, row->alias);
    }
    for (size_t index = 0; index < COUNT_OF(directives); index++)
        consider(&nearest, directives[index].name);
    return nearest.best;
}
