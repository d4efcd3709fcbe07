/*
 * scan_element.h: what the collections' commands share: HSCAN SSCAN ZSCAN, and HRANDFIELD SRANDMEMBER ZRANDMEMBER.
 *
 * A scan in four steps, in Redis's order of complaints:
 *
 *     if (!element_scan_cursor(call, &scan)) return;                      argv[2]
 *     find the record by type; absent: element_scan_reply_empty()
 *     if (!element_scan_options(call, &scan, false)) return;              argv[3] on: MATCH, COUNT, NOVALUES
 *     element_scan_run(call, &scan, &source);
 *
 * A compact collection is given whole, whatever COUNT says, as Redis does with its listpacks.
 */
#ifndef SERVER_SCAN_ELEMENT_H
#define SERVER_SCAN_ELEMENT_H

#include "server/command.h"
#include "storage/tree.h"

#include <stdbool.h>
#include <stdint.h>

/* The rows of a collection, and what is shown of them. */
struct element_source {
    const struct tree *tree;
    bool is_compact;    /* any order of tree; else it is TREE_HASHED (scans alone need that) */
    unsigned name_slot; /* the element that MATCH looks at, and that is replied first */
    /* Rows that exist for the client; NULL: all of them. */
    bool (*wants)(void *context, const struct element *row);
    void *context; /* of wants */
    /* What is replied behind the name: one bulk string. NULL: nothing. */
    void (*reply_value)(struct resp_output *reply, const struct element *row);
};

/* A bulk string. */
void element_reply(struct resp_output *reply, const struct element *element);

/* --- scans ------------------------------------------------------------------------------------------------------ */

struct element_scan {
    uint64_t position;
    uint64_t count;
    struct slice pattern; /* data NULL: all */
    bool no_values;
};

/* Fills in *scan. False: an error was replied. */
MUST_USE bool element_scan_cursor(struct command_call *call, struct element_scan *scan);
/* may_omit_values: NOVALUES is an option (HSCAN). False: an error was replied. */
MUST_USE bool element_scan_options(
    struct command_call *call, struct element_scan *scan, bool may_omit_values);
void element_scan_reply_empty(struct resp_output *reply);
void element_scan_run(struct command_call *call, const struct element_scan *scan,
    const struct element_source *source);

/* --- random rows ---------------------------------------------------------------------------------------------------- */

struct element_draw {
    bool is_single;    /* no count was given: one bulk string or null is replied */
    bool with_repeats; /* the count was negative: each draw is independent */
    bool with_values;
    uint64_t count; /* 1 if single */
};

/*
 * argv[2], a count, and argv[3], the word ("withvalues", "withscores"; NULL: there is no such option). False: an error was replied.
 */
MUST_USE bool element_draw_parse(
    struct command_call *call, const char *word, struct element_draw *draw);
/* For an absent key: null, or an empty array. */
void element_draw_reply_empty(struct resp_output *reply, const struct element_draw *draw);
/*
 * Draws and replies: a bulk string if single, else an array: of names; with_values pairs, flat in RESP2. Distinct draws come in the
 * collection's order when all rows are asked for. O(count * log n), and O(n) if `wants` is given or a large part is drawn. Draws with
 * repeats of more than 2^24 rows or 1 GiB in all are out of range.
 */
void element_draw_run(struct command_call *call, const struct element_draw *draw,
    const struct element_source *source);
/* A rank below bound, > 0, for SPOP. Any thread. */
uint64_t element_random_below(uint64_t bound);

#endif
