/*
 * zset_combine.c: ZUNION, ZINTER, ZDIFF, their STORE forms, ZINTERCARD. Inputs are sorted sets and sets (scores 1).
 *
 *   union          every input's members go through a table by hash, which adds up their scores
 *   intersection   the members of the smallest input are looked for in the others
 *   difference     the members of the first input are looked for in the others
 *
 * The result is an array of members that borrow from the inputs, sorted at the end; only then is a new set made of it, if it is to be stored.
 */
#include "base/mem.h"
#include "storage/set.h"
#include "zset_commands.h"

#include <math.h>
#include <stdlib.h>

enum combine_kind { COMBINE_UNION, COMBINE_INTERSECTION, COMBINE_DIFFERENCE };
enum combine_aggregate { AGGREGATE_SUM, AGGREGATE_MIN, AGGREGATE_MAX };

/* One of both, or neither if the key is absent. */
struct input {
    const struct zset *zset;
    const struct set *set;
    double weight;
};

struct entry {
    struct element member;
    double score;
    uint64_t hash; /* union */
};

struct combine {
    enum combine_kind kind;
    bool is_store, counts_only, with_scores;
    enum combine_aggregate aggregate;
    uint64_t limit; /* ZINTERCARD; 0: none */
    struct input *inputs;
    int input_count;
    struct entry *entries;
    size_t count, capacity;
    uint32_t *slots; /* union: numbers of entries + 1, 0 is free; a power of two of them */
    size_t slot_count;
};

/* --- inputs ------------------------------------------------------------------------------------------------------- */

static const struct tree *input_tree(const struct input *input)
{
    if (input->zset != NULL)
        return zset_sorted(input->zset);
    return input->set != NULL ? set_members(input->set) : NULL;
}

static uint64_t input_count(const struct input *input)
{
    const struct tree *tree = input_tree(input);
    return tree == NULL ? 0 : tree->count;
}

/* Member and score at a cursor of input_tree(). */
static void input_entry(
    const struct input *input, const struct tree_cursor *cursor, struct entry *entry)
{
    if (input->zset != NULL) {
        struct element row[2];
        tree_cursor_row(cursor, row);
        entry->member = row[ZSET_SORTED_MEMBER];
        entry->score = zset_score_of(&row[ZSET_SORTED_SCORE]);
    } else {
        entry->member = tree_cursor_element(cursor, 0);
        entry->score = 1;
    }
}

static bool input_find(const struct input *input, const struct element *member, double *score)
{
    if (input->zset != NULL)
        return zset_score(input->zset, member, score);
    *score = 1;
    return input->set != NULL && set_contains(input->set, member);
}

static bool is_same_input(const struct input *a, const struct input *b)
{
    return a->zset == b->zset && a->set == b->set;
}

static int compare_inputs(const void *a, const void *b)
{
    const uint64_t count_a = input_count(a);
    const uint64_t count_b = input_count(b);
    return (count_a > count_b) - (count_a < count_b);
}

/* --- scores ----------------------------------------------------------------------------------------------------------- */

/* inf * 0 counts as 0. */
static double weighted(double score, double weight)
{
    const double product = score * weight;
    return isnan(product) ? 0 : product;
}

static double aggregated(enum combine_aggregate aggregate, double a, double b)
{
    double sum;
    switch (aggregate) {
    case AGGREGATE_SUM: sum = a + b; return isnan(sum) ? 0 : sum; /* inf - inf */
    case AGGREGATE_MIN: return b < a ? b : a;
    case AGGREGATE_MAX: return b > a ? b : a;
    }
    return a;
}

/* --- results ---------------------------------------------------------------------------------------------------------- */

static struct entry *add_entry(struct combine *combine, const struct entry *entry)
{
    if (combine->count == combine->capacity) {
        combine->capacity = combine->capacity == 0 ? 64 : 2 * combine->capacity;
        combine->entries =
            mem_realloc(combine->entries, combine->capacity * sizeof(*combine->entries));
    }
    combine->entries[combine->count] = *entry;
    return &combine->entries[combine->count++];
}

static void place_in_table(struct combine *combine, size_t number)
{
    const size_t mask = combine->slot_count - 1;
    size_t at = combine->entries[number].hash & mask;
    while (combine->slots[at] != 0)
        at = (at + 1) & mask;
    combine->slots[at] = (uint32_t)number + 1;
}

static void grow_table(struct combine *combine)
{
    mem_free(combine->slots);
    combine->slot_count = combine->slot_count == 0 ? 256 : 2 * combine->slot_count;
    combine->slots = mem_alloc_zero(combine->slot_count * sizeof(*combine->slots));
    for (size_t i = 0; i < combine->count; i++)
        place_in_table(combine, i);
}

static struct entry *find_entry(const struct combine *combine, const struct entry *entry)
{
    const size_t mask = combine->slot_count - 1;
    for (size_t at = entry->hash & mask; combine->slots[at] != 0; at = (at + 1) & mask) {
        struct entry *found = &combine->entries[combine->slots[at] - 1];
        if (found->hash == entry->hash && element_equal(&found->member, &entry->member))
            return found;
    }
    return NULL;
}

static void unite_entry(struct combine *combine, struct entry *entry)
{
    if (combine->count * 2 >= combine->slot_count)
        grow_table(combine);
    entry->hash = element_hash(&entry->member);
    struct entry *found = find_entry(combine, entry);
    if (found != NULL) {
        found->score = aggregated(combine->aggregate, found->score, entry->score);
    } else {
        (void)add_entry(combine, entry);
        place_in_table(combine, combine->count - 1);
    }
}

static void unite(struct combine *combine)
{
    for (int i = 0; i < combine->input_count; i++) {
        const struct input *input = &combine->inputs[i];
        if (input_count(input) == 0)
            continue;
        struct tree_cursor cursor;
        tree_cursor_at(input_tree(input), 0, &cursor);
        for (bool more = true; more; more = tree_cursor_next(&cursor)) {
            struct entry entry;
            input_entry(input, &cursor, &entry);
            entry.score = weighted(entry.score, input->weight);
            unite_entry(combine, &entry);
        }
    }
}

/* Is it in all inputs but the first? Adds up the scores. */
static bool is_in_all(const struct combine *combine, struct entry *entry)
{
    const struct input *first = &combine->inputs[0];
    const double own = entry->score;
    entry->score = weighted(own, first->weight);
    for (int i = 1; i < combine->input_count; i++) {
        const struct input *input = &combine->inputs[i];
        double score = own;
        if (!is_same_input(input, first) && !input_find(input, &entry->member, &score))
            return false;
        entry->score = aggregated(combine->aggregate, entry->score, score * input->weight);
    }
    return true;
}

/* Is it in any input but the first? */
static bool is_in_another(const struct combine *combine, const struct entry *entry)
{
    for (int i = 1; i < combine->input_count; i++) {
        double score;
        if (input_find(&combine->inputs[i], &entry->member, &score))
            return true;
    }
    return false;
}

/* Intersection and difference: what of the first input stays. */
static void select_from_first(struct combine *combine)
{
    const struct input *first = &combine->inputs[0];
    if (input_count(first) == 0)
        return;
    struct tree_cursor cursor;
    tree_cursor_at(input_tree(first), 0, &cursor);
    for (bool more = true; more; more = tree_cursor_next(&cursor)) {
        struct entry entry = {.hash = 0};
        input_entry(first, &cursor, &entry);
        const bool stays = combine->kind == COMBINE_INTERSECTION ? is_in_all(combine, &entry)
                                                                 : !is_in_another(combine, &entry);
        if (!stays)
            continue;
        if (!combine->counts_only)
            (void)add_entry(combine, &entry);
        else if (++combine->count == combine->limit)
            return;
    }
}

static bool is_emptied(const struct combine *combine)
{
    for (int i = 1; i < combine->input_count; i++) {
        if (is_same_input(&combine->inputs[i], &combine->inputs[0]))
            return true;
    }
    return false;
}

static void run(struct combine *combine)
{
    const size_t input_total = (size_t)combine->input_count;
    switch (combine->kind) {
    case COMBINE_UNION:
        qsort(combine->inputs, input_total, sizeof(*combine->inputs), compare_inputs);
        unite(combine);
        break;
    case COMBINE_INTERSECTION:
        qsort(combine->inputs, input_total, sizeof(*combine->inputs), compare_inputs);
        select_from_first(combine);
        break;
    case COMBINE_DIFFERENCE:
        if (!is_emptied(combine))
            select_from_first(combine);
        break;
    }
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *left = a;
    const struct entry *right = b;
    if (left->score != right->score)
        return left->score < right->score ? -1 : 1;
    return element_compare(&left->member, &right->member);
}

static void reply_result(struct command_call *call, const struct combine *combine)
{
    zset_reply_head(call->reply, combine->count, combine->with_scores);
    for (size_t i = 0; i < combine->count; i++) {
        const struct entry *entry = &combine->entries[i];
        zset_reply_pair(call->reply, &entry->member, entry->score, combine->with_scores);
    }
}

static void store_result(struct command_call *call, const struct combine *combine)
{
    static const char *const events[] = {
        [COMBINE_UNION] = "zunionstore",
        [COMBINE_INTERSECTION] = "zinterstore",
        [COMBINE_DIFFERENCE] = "zdiffstore",
    };
    struct zset *zset = zset_create();
    for (size_t i = 0; i < combine->count; i++)
        zset_append(zset, &combine->entries[i].member, combine->entries[i].score);
    zset_store(call, 0, zset, events[combine->kind], ZSET_LOG_REQUEST);
}

static void finish(struct command_call *call, struct combine *combine)
{
    if (combine->counts_only) {
        reply_integer(call->reply, (int64_t)combine->count);
        return;
    }
    if (combine->count > 1)
        qsort(combine->entries, combine->count, sizeof(*combine->entries), compare_entries);
    if (combine->is_store)
        store_result(call, combine);
    else
        reply_result(call, combine);
}

/* --- arguments ----------------------------------------------------------------------------------------------------- */

/* False: an error was replied. */
static bool find_inputs(struct command_call *call, struct combine *combine)
{
    for (int i = 0; i < combine->input_count; i++) {
        const struct key *key = &call->keys[i + combine->is_store];
        const struct hot_record *record = keyspace_find(call->view, key, KEYSPACE_READ);
        struct input *input = &combine->inputs[i];
        *input = (struct input){.weight = 1};
        if (record == NULL)
            continue;
        const struct value value = hot_record_value(record);
        if (value.type == VALUE_ZSET) {
            input->zset = zset_of(&value);
        } else if (value.type == VALUE_SET) {
            input->set = set_of(&value);
        } else {
            reply_error(call->reply, REPLY_WRONG_TYPE);
            return false;
        }
    }
    return true;
}

static bool parse_weights(struct command_call *call, int first, struct combine *combine)
{
    for (int i = 0; i < combine->input_count; i++) {
        if (!command_double(
                call, first + i, &combine->inputs[i].weight, "ERR weight value is not a float"))
            return false;
    }
    return true;
}

static bool parse_aggregate(struct slice word, enum combine_aggregate *aggregate)
{
    if (slice_equal_nocase(word, "sum"))
        *aggregate = AGGREGATE_SUM;
    else if (slice_equal_nocase(word, "min"))
        *aggregate = AGGREGATE_MIN;
    else if (slice_equal_nocase(word, "max"))
        *aggregate = AGGREGATE_MAX;
    else
        return false;
    return true;
}

static bool parse_limit(struct command_call *call, int argument, uint64_t *limit)
{
    int64_t number;
    if (!slice_to_int64(call->argv[argument], &number) || number < 0) {
        reply_error(call->reply, "ERR LIMIT can't be negative");
        return false;
    }
    *limit = (uint64_t)number;
    return true;
}

/* Options from argument `first` on. False: an error was replied. */
static bool parse_options(struct command_call *call, int first, struct combine *combine)
{
    const bool has_scores = combine->kind != COMBINE_DIFFERENCE && !combine->counts_only;
    for (int i = first; i < call->argc; i++) {
        const struct slice word = call->argv[i];
        const int left = call->argc - i - 1;
        if (has_scores && left >= combine->input_count && slice_equal_nocase(word, "weights")) {
            if (!parse_weights(call, i + 1, combine))
                return false;
            i += combine->input_count;
        } else if (has_scores && left >= 1 && slice_equal_nocase(word, "aggregate") &&
                   parse_aggregate(call->argv[i + 1], &combine->aggregate)) {
            i++;
        } else if (!combine->is_store && !combine->counts_only &&
                   slice_equal_nocase(word, "withscores")) {
            combine->with_scores = true;
        } else if (combine->counts_only && left >= 1 && slice_equal_nocase(word, "limit")) {
            if (!parse_limit(call, ++i, &combine->limit))
                return false;
        } else {
            reply_error(call->reply, REPLY_SYNTAX);
            return false;
        }
    }
    return true;
}

static bool parse_input_count(struct command_call *call, int argument, int *count)
{
    int64_t number = 0;
    if (!command_int64(call, argument, &number, NULL))
        return false;
    if (number < 1) {
        reply_error_format(call->reply, "ERR at least 1 input key is needed for '%s' command",
            call->command->name);
        return false;
    }
    if (number > call->argc - argument - 1) {
        reply_error(call->reply, REPLY_SYNTAX);
        return false;
    }
    *count = (int)number;
    return true;
}

static void combine_inputs(struct command_call *call, struct combine *combine)
{
    const int count_argument = combine->is_store ? 2 : 1;
    if (!parse_input_count(call, count_argument, &combine->input_count))
        return;
    combine->inputs = mem_alloc((size_t)combine->input_count * sizeof(*combine->inputs));
    if (find_inputs(call, combine) &&
        parse_options(call, count_argument + 1 + combine->input_count, combine)) {
        run(combine);
        finish(call, combine);
    }
    mem_free(combine->slots);
    mem_free(combine->entries);
    mem_free(combine->inputs);
}

void cmd_zunion(struct command_call *call)
{
    struct combine combine = {.kind = COMBINE_UNION};
    combine_inputs(call, &combine);
}

void cmd_zinter(struct command_call *call)
{
    struct combine combine = {.kind = COMBINE_INTERSECTION};
    combine_inputs(call, &combine);
}

void cmd_zdiff(struct command_call *call)
{
    struct combine combine = {.kind = COMBINE_DIFFERENCE};
    combine_inputs(call, &combine);
}

void cmd_zintercard(struct command_call *call)
{
    struct combine combine = {.kind = COMBINE_INTERSECTION, .counts_only = true};
    combine_inputs(call, &combine);
}

void cmd_zunionstore(struct command_call *call)
{
    struct combine combine = {.kind = COMBINE_UNION, .is_store = true};
    combine_inputs(call, &combine);
}

void cmd_zinterstore(struct command_call *call)
{
    struct combine combine = {.kind = COMBINE_INTERSECTION, .is_store = true};
    combine_inputs(call, &combine);
}

void cmd_zdiffstore(struct command_call *call)
{
    struct combine combine = {.kind = COMBINE_DIFFERENCE, .is_store = true};
    combine_inputs(call, &combine);
}
