/*
 * sort.c: SORT and SORT_RO.
 *
 * Keys of BY and GET patterns are known only when the collection is: they are made ready in rounds before the handler runs, each of which
 * starts from the beginning under all stripes and tells of the keys that are missing.
 *
 *   prepare()   collection ── missing? ──► BY keys ── missing? ──► order ──► GET keys of what is wanted ── missing? ──► handler
 *                             gather all keys found missing so far, parked; pinned, so that none leaves while the next ones come
 *
 * The handler does it all once more, as the data may have changed in between; what is missing then (seldom: in a transaction, or when
 * another worker has just demoted it) is read on the spot (sort_lookup.c). Without patterns prepare() has nothing to do.
 *
 * STORE is logged as what it did (DEL, RPUSH): which of equals comes first, and the locale, are nobody else's business (I3).
 */
#include "base/check.h"
#include "base/mem.h"
#include "scan_element.h"
#include "sort_internal.h"
#include "storage/list.h"

/* --- arguments --------------------------------------------------------------------------------------------------------- */

static void options_deinit(struct sort_options *options)
{
    mem_free(options->get_arguments);
}

/* One option; *index moves to its last word. False: an error was replied. */
static bool parse_option(struct command_call *call, int *index, struct sort_options *options)
{
    const struct slice word = call->argv[*index];
    const int left = call->argc - *index - 1;
    const bool is_read_only = (call->command->flags & CMD_WRITE) == 0;
    if (slice_equal_nocase(word, "asc")) {
        options->is_descending = false;
    } else if (slice_equal_nocase(word, "desc")) {
        options->is_descending = true;
    } else if (slice_equal_nocase(word, "alpha")) {
        options->is_alpha = true;
    } else if (slice_equal_nocase(word, "limit") && left >= 2) {
        if (!command_int64(call, *index + 1, &options->limit_start, NULL) ||
            !command_int64(call, *index + 2, &options->limit_count, NULL))
            return false;
        *index += 2;
    } else if (slice_equal_nocase(word, "store") && left >= 1 && !is_read_only) {
        options->store = ++*index;
    } else if (slice_equal_nocase(word, "by") && left >= 1) {
        options->by = ++*index;
        /* Once constant, for good: as Redis. */
        const struct sort_pattern pattern = sort_pattern_of(call->argv[options->by]);
        if (pattern.is_constant || pattern.is_member)
            options->has_order = false;
    } else if (slice_equal_nocase(word, "get") && left >= 1) {
        options->get_arguments[options->get_count++] = ++*index;
    } else {
        reply_error(call->reply, REPLY_SYNTAX);
        return false;
    }
    return true;
}

/* argv[2] on. False: an error was replied, and nothing is held. */
static bool parse_options(struct command_call *call, struct sort_options *options)
{
    *options = (struct sort_options){.has_order = true, .limit_count = -1};
    options->get_arguments = mem_alloc((size_t)call->argc * sizeof(int));
    for (int i = 2; i < call->argc; i++) {
        if (!parse_option(call, &i, options)) {
            options_deinit(options);
            return false;
        }
    }
    return true;
}

/* Arguments that options take, by name. */
static int option_arguments(struct slice word)
{
    if (slice_equal_nocase(word, "limit"))
        return 2;
    return slice_equal_nocase(word, "get") || slice_equal_nocase(word, "by") ? 1 : 0;
}

/* The last STORE counts. */
int sort_find_keys(int argc, const struct slice *argv, int *indexes, int max)
{
    int store = 0;
    for (int i = 2; i < argc; i++) {
        const int taken = option_arguments(argv[i]);
        if (taken == 0 && slice_equal_nocase(argv[i], "store") && i + 1 < argc)
            store = ++i;
        i += taken;
    }
    if (max > 0)
        indexes[0] = 1;
    if (max > 1 && store != 0)
        indexes[1] = store;
    return store != 0 ? 2 : 1;
}

int sort_ro_find_keys(int argc, const struct slice *argv, int *indexes, int max)
{
    (void)argc;
    (void)argv;
    if (max > 0)
        indexes[0] = 1;
    return 1;
}

enum tier_need sort_need(int argc, const struct slice *argv, size_t index)
{
    (void)argc;
    (void)argv;
    return index == 0 ? TIER_NEED_VALUE : TIER_NEED_HEADER;
}

/* --- looking up ---------------------------------------------------------------------------------------------------------- */

/* Told of each key whose value is not in RAM. tag: number of the item, or of the item's GET. */
typedef void (*missing_fn)(
    void *context, const struct sort_pattern *pattern, const struct key *key, uint64_t tag);

struct lookups {
    struct command_call *call;
    enum keyspace_access access;
    missing_fn missing;
    void *context;
    struct buf name;
};

/* Looks the keys of BY up; weighs by those that are in RAM if `weighs`. */
static void look_up_weights(struct lookups *lookups, const struct sort_options *options,
    struct sort_items *items, bool weighs)
{
    const struct sort_pattern by = sort_pattern_of(lookups->call->argv[options->by]);
    for (size_t i = 0; i < items->count; i++) {
        struct sort_value value;
        sort_look_up(
            lookups->call, &by, &items->items[i].member, lookups->access, &lookups->name, &value);
        if (value.found == SORT_COLD)
            lookups->missing(lookups->context, &by, &value.key, i);
        else if (weighs)
            sort_items_weigh(items, i, &value);
    }
}

/* Told of each GET of each item wanted, in order. */
typedef void (*got_fn)(void *context, uint64_t tag, const struct sort_value *value);

static void get_values(struct lookups *lookups, const struct sort_pattern *patterns,
    size_t get_count, const struct sort_items *items, got_fn got, void *context)
{
    uint64_t tag = 0;
    for (size_t i = items->start; i < items->end; i++) {
        for (size_t get = 0; get < get_count; get++, tag++) {
            struct sort_value value;
            sort_look_up(lookups->call, &patterns[get], &items->items[i].member, lookups->access,
                &lookups->name, &value);
            if (value.found == SORT_COLD && lookups->missing != NULL)
                lookups->missing(lookups->context, &patterns[get], &value.key, tag);
            if (got != NULL)
                got(context, tag, &value);
        }
    }
}

static struct sort_pattern *get_patterns(
    const struct command_call *call, const struct sort_options *options)
{
    struct sort_pattern *const patterns = mem_alloc((options->get_count + 1) * sizeof(*patterns));
    for (size_t i = 0; i < options->get_count; i++)
        patterns[i] = sort_pattern_of(call->argv[options->get_arguments[i]]);
    return patterns;
}

/* --- preparing ------------------------------------------------------------------------------------------------------------ */

struct sort_state {
    struct tier_wait wait;
    struct tier_wait *outer; /* of the dispatcher: run when ours has ended */
    struct tier_turn *turn;
    uint64_t stripes; /* all */
    bool is_pinned;   /* the keys are waited for, or pinned */
    bool has_patterns;
    struct key *keys; /* each has its bytes in an allocation of its own */
    enum tier_need *needs;
    size_t key_count;
    size_t key_capacity;
    size_t gathered_count; /* of these, how many the gather knows */
};

static void add_key(struct sort_state *state, const struct key *key)
{
    if (state->key_count == state->key_capacity) {
        state->key_capacity = state->key_capacity == 0 ? 16 : state->key_capacity * 2;
        state->keys = mem_realloc(state->keys, state->key_capacity * sizeof(*state->keys));
        state->needs = mem_realloc(state->needs, state->key_capacity * sizeof(*state->needs));
    }
    state->needs[state->key_count] = TIER_NEED_VALUE;
    state->keys[state->key_count] = *key;
    state->keys[state->key_count++].data = mem_string_sized(key->data, key->size);
}

static void release_pins(struct sort_state *state)
{
    if (state->is_pinned)
        tier_gather_release(state->turn, state->keys, state->gathered_count, &state->wait);
    state->is_pinned = false;
    state->gathered_count = 0;
}

static void forget_keys(struct sort_state *state)
{
    release_pins(state);
    for (size_t i = 0; i < state->key_count; i++)
        mem_free((char *)(uintptr_t)state->keys[i].data);
    state->key_count = 0;
}

/* All stripes; true if they were not held before. */
static bool lock_all(struct tier_turn *turn, uint64_t stripes)
{
    const uint64_t locked = tier_turn_locked(turn);
    if (locked == stripes)
        return false;
    if (locked != 0)
        tier_turn_unlock(turn);
    tier_turn_lock(turn, stripes);
    return locked == 0;
}

void sort_state_destroy(void *context)
{
    struct sort_state *const state = context;
    if (state->is_pinned) {
        const bool was_unlocked = lock_all(state->turn, state->stripes);
        release_pins(state);
        if (was_unlocked)
            tier_turn_unlock(state->turn);
    }
    forget_keys(state);
    mem_free(state->keys);
    mem_free(state->needs);
    mem_free(state);
}

static void on_gathered(struct task *task)
{
    struct tier_wait *const wait = CONTAINER_OF(task, struct tier_wait, task);
    struct sort_state *const state = CONTAINER_OF(wait, struct sort_state, wait);
    state->outer->task.run(&state->outer->task);
}

static void note_missing(
    void *context, const struct sort_pattern *pattern, const struct key *key, uint64_t tag)
{
    (void)pattern;
    (void)tag;
    add_key(context, key);
}

static void find_missing_values(struct command_call *call, struct sort_state *state,
    const struct sort_options *options, struct sort_items *items)
{
    struct lookups lookups = {
        .call = call, .access = KEYSPACE_PEEK, .missing = note_missing, .context = state};
    const size_t known = state->key_count;
    /* Which items' GETs are wanted is known only when they are in order. */
    const bool is_part = items->end - items->start < items->count;
    const bool must_order = is_part && items->has_order && options->get_count > 0;
    if (items->is_by)
        look_up_weights(&lookups, options, items, must_order);
    if (state->key_count == known && options->get_count > 0) {
        if (must_order) {
            sort_items_weigh_members(items);
            sort_items_order(items, options->is_descending, options->store != 0);
        }
        struct sort_pattern *const patterns = get_patterns(call, options);
        get_values(&lookups, patterns, options->get_count, items, NULL, NULL);
        mem_free(patterns);
    }
    buf_deinit(&lookups.name);
}

/* Adds the keys that are missing now. Errors are the handler's to reply. */
static void find_missing(
    struct command_call *call, struct sort_state *state, const struct sort_options *options)
{
    const struct key source = keyspace_key(call->view, call->argv[1]);
    struct hot_record *record = NULL;
    if (!tier_is_ready(state->turn, &source, TIER_NEED_VALUE, &record)) {
        add_key(state, &source);
        return;
    }
    record = keyspace_find(call->view, &source, KEYSPACE_PEEK);
    if (record == NULL)
        return;
    const enum value_type type = hot_record_value(record).type;
    if (type != VALUE_LIST && type != VALUE_SET && type != VALUE_ZSET)
        return;
    struct sort_items items;
    CHECK(sort_items_load(call, record, options, &items));
    find_missing_values(call, state, options, &items);
    sort_items_deinit(&items);
}

/* Under all stripes. ST_PENDING: the wait will run. */
static enum status gather_rounds(
    struct command_call *call, struct sort_state *state, const struct sort_options *options)
{
    for (;;) {
        size_t failed = 0;
        if (state->key_count > state->gathered_count) {
            /* What the last round has brought is still there: the stripes have been held since it was released. */
            release_pins(state);
            state->gathered_count = state->key_count;
            tier_wait_init(&state->wait, state->turn, on_gathered);
        }
        if (state->key_count > 0) {
            const enum status status = tier_gather(state->turn, state->keys, state->needs,
                state->gathered_count, &state->wait, &failed);
            state->is_pinned = status == ST_OK || status == ST_PENDING;
            if (status != ST_OK)
                return status;
        }
        find_missing(call, state, options);
        if (state->key_count == state->gathered_count)
            return ST_OK;
    }
}

static void make_state(struct command_call *call)
{
    struct sort_state *const state = mem_alloc_zero(sizeof(*state));
    call->state = state;
    for (int i = 2; i < call->argc; i++)
        state->has_patterns |=
            call->argv[i].size > 1 && memchr(call->argv[i].data, '*', call->argv[i].size) != NULL;
    state->turn = call->view->turn;
    state->stripes = hot_stripes_all(call->view->hot);
}

enum status sort_prepare(struct command_call *call, struct tier_wait *wait)
{
    struct sort_options options;
    if (call->state == NULL)
        make_state(call);
    struct sort_state *const state = call->state;
    state->outer = wait;
    if (!state->has_patterns)
        return ST_OK;
    /* Errors are replied by the handler. */
    const bool muted = call->reply->muted;
    call->reply->muted = true;
    const bool is_parsed = parse_options(call, &options);
    call->reply->muted = muted;
    if (!is_parsed)
        return ST_OK;
    tier_turn_lock(state->turn, state->stripes);
    const enum status status = gather_rounds(call, state, &options);
    if (status != ST_PENDING)
        forget_keys(state);
    tier_turn_unlock(state->turn);
    options_deinit(&options);
    /* A record that cannot be read is found again by the handler, which says so. */
    return status == ST_PENDING ? ST_PENDING : ST_OK;
}

/* --- results ----------------------------------------------------------------------------------------------------------------- */

static void read_later(
    void *context, const struct sort_pattern *pattern, const struct key *key, uint64_t tag)
{
    sort_reads_add(context, pattern, key, tag);
}

/* Weighs and orders. False: an error was replied. */
static bool order_items(
    struct command_call *call, const struct sort_options *options, struct sort_items *items)
{
    bool is_good = true;
    if (items->is_by) {
        struct sort_reads reads;
        sort_reads_init(&reads);
        struct lookups lookups = {
            .call = call, .access = KEYSPACE_READ, .missing = read_later, .context = &reads};
        look_up_weights(&lookups, options, items, true);
        is_good = sort_reads_run(&reads, call);
        for (size_t i = 0; i < reads.count && is_good; i++) {
            struct sort_value value;
            sort_reads_value(call, reads.list[i], &value);
            sort_items_weigh(items, (size_t)reads.list[i]->tag, &value);
        }
        buf_deinit(&lookups.name);
        sort_reads_deinit(&reads);
    } else {
        sort_items_weigh_members(items);
    }
    if (is_good && items->is_bad) {
        reply_error(call->reply, "ERR One or more scores can't be converted into double");
        is_good = false;
    }
    if (is_good)
        sort_items_order(items, options->is_descending, options->store != 0);
    return is_good;
}

/* Where results go: to the client, or to a list. */
struct results {
    struct command_call *call;
    struct list *list;              /* NULL: to the client */
    const struct sort_reads *reads; /* by ascending tag */
    size_t next_read;
};

static void put_text(struct results *results, struct slice text)
{
    if (results->list == NULL) {
        reply_bulk(results->call->reply, text);
        return;
    }
    const struct element element = element_of(text);
    list_push(results->list, LIST_TAIL, &element);
}

static void put_value(void *context, uint64_t tag, const struct sort_value *value)
{
    struct results *const results = context;
    const struct sort_reads *const reads = results->reads;
    struct sort_value cold;
    if (results->next_read < reads->count && reads->list[results->next_read]->tag == tag) {
        sort_reads_value(results->call, reads->list[results->next_read++], &cold);
        value = &cold;
    }
    if (value->found == SORT_FOUND)
        put_text(results, value->bytes);
    else if (results->list == NULL)
        reply_null(results->call->reply);
    else
        put_text(results, SLICE_LITERAL(""));
}

/* The values of GET patterns. False: an error was replied, and nothing else. */
static bool put_gets(struct command_call *call, const struct sort_options *options,
    const struct sort_items *items, struct list *list)
{
    struct sort_reads reads;
    sort_reads_init(&reads);
    struct sort_pattern *const patterns = get_patterns(call, options);
    struct lookups lookups = {
        .call = call, .access = KEYSPACE_PEEK, .missing = read_later, .context = &reads};
    get_values(&lookups, patterns, options->get_count, items, NULL, NULL);
    const bool is_good = sort_reads_run(&reads, call);
    if (is_good) {
        struct results results = {.call = call, .list = list, .reads = &reads};
        lookups.access = KEYSPACE_READ;
        lookups.missing = NULL;
        if (list == NULL)
            reply_array(call->reply, (items->end - items->start) * options->get_count);
        get_values(&lookups, patterns, options->get_count, items, put_value, &results);
    }
    buf_deinit(&lookups.name);
    mem_free(patterns);
    sort_reads_deinit(&reads);
    return is_good;
}

static void put_members(
    struct command_call *call, const struct sort_items *items, struct list *list)
{
    if (list == NULL)
        reply_array(call->reply, items->end - items->start);
    for (size_t i = items->start; i < items->end; i++) {
        if (list == NULL)
            element_reply(call->reply, &items->items[i].member);
        else
            list_push(list, LIST_TAIL, &items->items[i].member);
    }
}

/* "RPUSH key element...", after DEL if there was something else. */
static void log_stored(
    struct command_call *call, const struct key *key, const struct list *list, bool existed)
{
    const size_t count = (size_t)list_count(list);
    struct slice *const args = mem_alloc((count + 2) * sizeof(*args));
    char(*const scratch)[ELEMENT_TEXT_MAX] = mem_alloc(count * sizeof(*scratch));
    struct tree_cursor cursor;
    size_t i = 0;
    args[0] = SLICE_LITERAL("RPUSH");
    args[1] = key_slice(key);
    for (tree_cursor_at(&list->elements, 0, &cursor); i < count; i++) {
        const struct element element = tree_cursor_element(&cursor, 0);
        args[i + 2] = element_text(&element, scratch[i]);
        (void)tree_cursor_next(&cursor);
    }
    keyspace_group_begin(call->view);
    if (existed)
        commands_log_delete(call, key);
    keyspace_log_args(call->view, key, 1, args, count + 2);
    keyspace_group_end(call->view);
    mem_free(scratch);
    mem_free(args);
}

/* Takes the list over. */
static void store(struct command_call *call, struct list *list)
{
    const struct key *const key = &call->keys[1];
    const int64_t count = (int64_t)list_count(list);
    struct hot_record *const record = keyspace_find(call->view, key, KEYSPACE_PEEK);
    if (count > 0) {
        log_stored(call, key, list, record != NULL);
        (void)keyspace_set(call->view, key, record, list_value(list), 0);
        keyspace_notify(call->view, EVENT_LIST, "sortstore", key);
        keyspace_signal_ready(call->view, key);
    } else {
        list_destroy(list);
        if (record != NULL) {
            keyspace_delete(call->view, key, record);
            keyspace_notify(call->view, EVENT_GENERIC, "del", key);
            commands_log_delete(call, key);
        }
    }
    reply_integer(call->reply, count);
}

static void sort(struct command_call *call, const struct sort_options *options)
{
    struct sort_items items;
    struct hot_record *const record = keyspace_find(call->view, &call->keys[0], KEYSPACE_READ);
    if (!sort_items_load(call, record, options, &items))
        return;
    struct list *list = options->store != 0 ? list_create() : NULL;
    bool is_good = order_items(call, options, &items);
    if (is_good && options->get_count > 0)
        is_good = put_gets(call, options, &items, list);
    else if (is_good)
        put_members(call, &items, list);
    /* The destination may be what was sorted. */
    sort_items_deinit(&items);
    if (list != NULL && is_good)
        store(call, list);
    else
        list_destroy(list);
}

void cmd_sort(struct command_call *call)
{
    struct sort_options options;
    if (!parse_options(call, &options))
        return;
    sort(call, &options);
    options_deinit(&options);
}
