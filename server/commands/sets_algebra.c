/*
 * sets_algebra.c: SINTER, SUNION, SDIFF, what stores their results, and SINTERCARD.
 *
 *   SINTER   walks the smallest set and looks its members up in the others, the next smallest first
 *   SUNION   adds all to a new set
 *   SDIFF    either walks the first set and looks its members up in the others, the largest first; or takes the others' members away
 *            from a snapshot of the first. What costs less is estimated as Redis does
 *
 * All operands are checked before anything is done; an absent one is empty. The destination may be an operand: it is replaced when the
 * result is complete.
 */
#include "base/mem.h"
#include "scan_element.h"
#include "sets_internal.h"

#include <stdlib.h>

#define OPERANDS_ON_STACK 16

/* The operands of a call: NULL for absent keys. */
struct operands {
    struct set **sets;
    size_t count;
    bool has_absent;
    struct set *on_stack[OPERANDS_ON_STACK];
};

/* Of keys first_key on. False: WRONGTYPE was replied, and nothing is held. */
static bool operands_init(struct command_call *call, struct operands *operands, size_t first_key)
{
    operands->count = call->key_count - first_key;
    operands->has_absent = false;
    operands->sets = operands->count <= OPERANDS_ON_STACK
                         ? operands->on_stack
                         : mem_alloc(operands->count * sizeof(struct set *));
    for (size_t i = 0; i < operands->count; i++) {
        if (!sets_find(call, first_key + i, KEYSPACE_READ, &operands->sets[i], NULL)) {
            if (operands->sets != operands->on_stack)
                mem_free(operands->sets);
            return false;
        }
        operands->has_absent |= operands->sets[i] == NULL;
    }
    return true;
}

static void operands_deinit(struct operands *operands)
{
    if (operands->sets != operands->on_stack)
        mem_free(operands->sets);
}

static uint64_t count_of(const struct set *set)
{
    return set == NULL ? 0 : set_count(set);
}

static int compare_counts(const void *a, const void *b)
{
    const uint64_t count_a = count_of(*(struct set *const *)a);
    const uint64_t count_b = count_of(*(struct set *const *)b);
    return count_a < count_b ? -1 : count_a > count_b;
}

static int compare_counts_down(const void *a, const void *b)
{
    return compare_counts(b, a);
}

/* Calls for each member, in the set's order, until it gives false. */
typedef bool (*member_fn)(void *context, const struct element *member);
static void each_member(const struct set *set, member_fn visit, void *context)
{
    struct tree_cursor cursor;
    for (tree_cursor_at(set_members(set), 0, &cursor); !tree_cursor_is_end(&cursor);
         (void)tree_cursor_next(&cursor)) {
        const struct element member = tree_cursor_element(&cursor, 0);
        if (!visit(context, &member))
            return;
    }
}

/* --- results ------------------------------------------------------------------------------------------------------ */

static bool reply_member(void *context, const struct element *member)
{
    element_reply(context, member);
    return true;
}

/* Replies and frees the result. */
static void reply_result(struct command_call *call, struct set *result)
{
    reply_set(call->reply, count_of(result));
    if (result != NULL)
        each_member(result, reply_member, call->reply);
    set_destroy(result);
}

/* The destination, keys[0], becomes the result, which is taken; NULL or empty: it is deleted. */
static void store_result(struct command_call *call, struct set *result, const char *event)
{
    const struct key *const key = &call->keys[0];
    const int64_t count = (int64_t)count_of(result);
    if (count > 0) {
        sets_store(call, key, result);
        keyspace_notify(call->view, EVENT_SET, event, key);
        commands_log_as_received(call);
    } else {
        set_destroy(result);
        if (commands_delete(call->view, key)) {
            keyspace_notify(call->view, EVENT_GENERIC, "del", key);
            commands_log_delete(call, key);
        }
    }
    reply_integer(call->reply, count);
}

enum tier_need sets_store_need(int argc, const struct slice *argv, size_t index)
{
    (void)argc;
    (void)argv;
    return index == 0 ? TIER_NEED_HEADER : TIER_NEED_VALUE;
}

/* --- intersections -------------------------------------------------------------------------------------------------- */

struct intersection {
    const struct operands *operands; /* smallest first */
    member_fn visit;                 /* of what all have; gives false to end it */
    void *context;
};

static bool visit_if_common(void *context, const struct element *member)
{
    const struct intersection *const intersection = context;
    const struct operands *const operands = intersection->operands;
    for (size_t i = 1; i < operands->count; i++) {
        if (operands->sets[i] != operands->sets[0] && !set_contains(operands->sets[i], member))
            return true;
    }
    return intersection->visit(intersection->context, member);
}

static void intersect(struct operands *operands, member_fn visit, void *context)
{
    if (operands->has_absent)
        return;
    qsort(operands->sets, operands->count, sizeof(struct set *), compare_counts);
    struct intersection intersection = {.operands = operands, .visit = visit, .context = context};
    each_member(operands->sets[0], visit_if_common, &intersection);
}

struct common_reply {
    struct resp_output *reply;
    size_t count;
};

static bool reply_common(void *context, const struct element *member)
{
    struct common_reply *const common = context;
    common->count++;
    element_reply(common->reply, member);
    return true;
}

void cmd_sinter(struct command_call *call)
{
    struct operands operands;
    if (!operands_init(call, &operands, 0))
        return;
    struct common_reply common = {.reply = call->reply};
    const struct reply_deferred deferred = reply_deferred_begin(call->reply);
    intersect(&operands, reply_common, &common);
    reply_deferred_end(call->reply, deferred, '~', common.count);
    operands_deinit(&operands);
}

static bool add_member(void *context, const struct element *member)
{
    (void)set_add(context, member);
    return true;
}

void cmd_sinterstore(struct command_call *call)
{
    struct operands operands;
    if (!operands_init(call, &operands, 1))
        return;
    struct set *result = NULL;
    if (!operands.has_absent) {
        /* Named after the smallest, as Redis does. */
        qsort(operands.sets, operands.count, sizeof(struct set *), compare_counts);
        result = set_create(set_encoding(operands.sets[0]));
        intersect(&operands, add_member, result);
        set_prefer_integers(result);
    }
    operands_deinit(&operands);
    store_result(call, result, "sinterstore");
}

int sintercard_find_keys(int argc, const struct slice *argv, int *indexes, int max)
{
    return command_find_counted_keys(argc, argv, 1, false, indexes, max);
}

/* The number of keys and LIMIT (0: none). False: an error was replied. */
static bool parse_sintercard(struct command_call *call, int64_t *limit)
{
    static const char bad_limit[] = "ERR LIMIT can't be negative";
    static const char bad_count[] = "ERR numkeys should be greater than 0";
    int64_t key_count = 0;
    *limit = 0;
    if (!command_int64(call, 1, &key_count, bad_count))
        return false;
    if (key_count < 1) {
        reply_error(call->reply, bad_count);
        return false;
    }
    if (key_count > call->argc - 2) {
        reply_error(call->reply, "ERR Number of keys can't be greater than number of args");
        return false;
    }
    for (int i = 2 + (int)key_count; i < call->argc; i++) {
        if (!slice_equal_nocase(call->argv[i], "limit") || i + 1 == call->argc) {
            reply_error(call->reply, REPLY_SYNTAX);
            return false;
        }
        if (!command_int64(call, ++i, limit, bad_limit))
            return false;
        if (*limit < 0) {
            reply_error(call->reply, bad_limit);
            return false;
        }
    }
    return true;
}

struct common_count {
    uint64_t count;
    uint64_t limit; /* 0: none */
};

static bool count_common(void *context, const struct element *member)
{
    struct common_count *const common = context;
    (void)member;
    common->count++;
    return common->count != common->limit;
}

void cmd_sintercard(struct command_call *call)
{
    int64_t limit = 0;
    struct operands operands;
    if (!parse_sintercard(call, &limit) || !operands_init(call, &operands, 0))
        return;
    struct common_count common = {.limit = (uint64_t)limit};
    intersect(&operands, count_common, &common);
    operands_deinit(&operands);
    reply_integer(call->reply, (int64_t)common.count);
}

/* --- unions ----------------------------------------------------------------------------------------------------------- */

static struct set *unite(const struct operands *operands)
{
    struct set *const result = set_create(VALUE_ENCODING_INTSET);
    for (size_t i = 0; i < operands->count; i++) {
        if (operands->sets[i] != NULL)
            each_member(operands->sets[i], add_member, result);
    }
    return result;
}

void cmd_sunion(struct command_call *call)
{
    struct operands operands;
    if (!operands_init(call, &operands, 0))
        return;
    struct set *const result = unite(&operands);
    operands_deinit(&operands);
    reply_result(call, result);
}

void cmd_sunionstore(struct command_call *call)
{
    struct operands operands;
    if (!operands_init(call, &operands, 1))
        return;
    struct set *const result = unite(&operands);
    operands_deinit(&operands);
    store_result(call, result, "sunionstore");
}

/* --- differences ------------------------------------------------------------------------------------------------------ */

struct difference {
    const struct operands *operands;
    struct set *result;
};

static bool add_if_alone(void *context, const struct element *member)
{
    const struct difference *const difference = context;
    const struct operands *const operands = difference->operands;
    for (size_t i = 1; i < operands->count; i++) {
        if (operands->sets[i] != NULL && set_contains(operands->sets[i], member))
            return true;
    }
    (void)set_add(difference->result, member);
    return true;
}

/* Gives false once nothing is left. */
static bool take_away(void *context, const struct element *member)
{
    struct set *const result = context;
    (void)set_remove(result, member);
    return set_count(result) > 0;
}

/* Looking up costs the first set's members for each other set, but often ends early: half of that. */
static bool looking_up_is_cheaper(const struct operands *operands)
{
    uint64_t looking_up = 0;
    uint64_t taking_away = 0;
    for (size_t i = 0; i < operands->count; i++) {
        if (operands->sets[i] == NULL)
            continue;
        looking_up += set_count(operands->sets[0]);
        taking_away += set_count(operands->sets[i]);
    }
    return looking_up / 2 <= taking_away;
}

static struct set *subtract(struct operands *operands)
{
    struct set *const first = operands->sets[0];
    if (first == NULL)
        return NULL;
    for (size_t i = 1; i < operands->count; i++) {
        if (operands->sets[i] == first)
            return NULL;
    }
    if (looking_up_is_cheaper(operands)) {
        struct difference difference = {
            .operands = operands, .result = set_create(VALUE_ENCODING_INTSET)};
        qsort(operands->sets + 1, operands->count - 1, sizeof(struct set *), compare_counts_down);
        each_member(first, add_if_alone, &difference);
        return difference.result;
    }
    struct set *const result = set_snapshot(first);
    for (size_t i = 1; i < operands->count && set_count(result) > 0; i++) {
        if (operands->sets[i] != NULL)
            each_member(operands->sets[i], take_away, result);
    }
    return result;
}

void cmd_sdiff(struct command_call *call)
{
    struct operands operands;
    if (!operands_init(call, &operands, 0))
        return;
    struct set *const result = subtract(&operands);
    operands_deinit(&operands);
    reply_result(call, result);
}

void cmd_sdiffstore(struct command_call *call)
{
    struct operands operands;
    if (!operands_init(call, &operands, 1))
        return;
    struct set *const result = subtract(&operands);
    operands_deinit(&operands);
    store_result(call, result, "sdiffstore");
}
