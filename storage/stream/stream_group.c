/*
 * stream_group.c: consumer groups and their consumers: names, life, copy-on-write, lag.
 *
 * A stream has an array of groups by name, a group has an array of consumers by name, and one by number: a pending entry names its consumer
 * by number, which is stable while the consumer lives. Groups are counted. Whoever changes one asks stream_group_edit() for it, which copies it
 * first if a snapshot has it too: its consumers one by one, their trees by sharing.
 *
 * What is pending is in two trees: the group's, by ID with all that is known of it, and the consumer's, IDs alone.
 */
#include "stream_internal.h"

/* --- accounts -------------------------------------------------------------------------------------------------------------- */

static size_t consumer_bytes(const struct stream_consumer *consumer)
{
    /* With its places in both arrays. */
    return mem_good_size(sizeof(*consumer) + consumer->name.size) + 2 * sizeof(void *) +
           consumer->pending.bytes;
}

static size_t group_bytes(const struct stream_group *group)
{
    size_t bytes =
        mem_good_size(sizeof(*group) + group->name.size) + sizeof(void *) + group->pending.bytes;
    for (uint32_t i = 0; i < group->consumer_count; i++)
        bytes += consumer_bytes(group->consumers[i]);
    return bytes;
}

/* --- life --------------------------------------------------------------------------------------------------------------------- */

static struct slice copy_name(struct slice name, char *to)
{
    if (name.size > 0)
        memcpy(to, name.data, name.size);
    return slice_of(to, name.size);
}

static struct stream_consumer *new_consumer(struct slice name, uint32_t number)
{
    struct stream_consumer *consumer = mem_alloc(sizeof(*consumer) + name.size);
    *consumer = (struct stream_consumer){.name = copy_name(name, (char *)(consumer + 1)),
        .active_ms = STREAM_NEVER,
        .number = number};
    tree_init(&consumer->pending, &stream_tree_class);
    return consumer;
}

static void free_consumer(struct stream_consumer *consumer)
{
    tree_deinit(&consumer->pending);
    mem_free(consumer);
}

static struct stream_group *new_group(struct slice name)
{
    struct stream_group *group = mem_alloc(sizeof(*group) + name.size);
    *group = (struct stream_group){
        .name = copy_name(name, (char *)(group + 1)), .entries_read = STREAM_ENTRIES_READ_UNKNOWN};
    atomic_init(&group->references, 1);
    tree_init(&group->pending, &stream_tree_class);
    return group;
}

static void unref_group(struct stream_group *group)
{
    /* Pairs with itself: the last one sees what the others did. */
    if (atomic_fetch_sub_explicit(&group->references, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < group->consumer_count; i++)
        free_consumer(group->consumers[i]);
    mem_free(group->consumers);
    mem_free(group->numbered);
    tree_deinit(&group->pending);
    mem_free(group);
}

static struct stream_group *clone_group(const struct stream_group *group)
{
    struct stream_group *clone = new_group(group->name);
    clone->last_id = group->last_id;
    clone->entries_read = group->entries_read;
    tree_snapshot(&group->pending, &clone->pending);
    clone->consumer_count = group->consumer_count;
    clone->number_count = group->number_count;
    clone->consumer_room = group->consumer_count;
    clone->number_room = group->number_count;
    clone->consumers = mem_alloc(group->consumer_count * sizeof(*clone->consumers));
    clone->numbered = mem_alloc_zero(group->number_count * sizeof(*clone->numbered));
    for (uint32_t i = 0; i < group->consumer_count; i++) {
        const struct stream_consumer *const from = group->consumers[i];
        struct stream_consumer *const to = new_consumer(from->name, from->number);
        to->seen_ms = from->seen_ms;
        to->active_ms = from->active_ms;
        tree_snapshot(&from->pending, &to->pending);
        clone->consumers[i] = to;
        clone->numbered[to->number] = to;
    }
    return clone;
}

/* --- groups of a stream ----------------------------------------------------------------------------------------------------- */

/* The place of a name: true if a group has it. */
static bool find_place(const struct stream *stream, struct slice name, size_t *place)
{
    size_t low = 0;
    size_t high = stream->group_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = slice_compare(stream->groups[middle]->name, name);
        if (order == 0) {
            *place = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *place = low;
    return false;
}

const struct stream_group *stream_group_find(const struct stream *stream, struct slice name)
{
    size_t place = 0;
    return find_place(stream, name, &place) ? stream->groups[place] : NULL;
}

struct stream_group *stream_group_edit(struct stream *stream, struct slice name)
{
    size_t place = 0;
    if (!find_place(stream, name, &place))
        return NULL;
    struct stream_group *group = stream->groups[place];
    /* Pairs with unref_group() on other threads: who was the other owner has read all it wanted. */
    if (atomic_load_explicit(&group->references, memory_order_acquire) > 1) {
        stream->groups[place] = clone_group(group);
        unref_group(group);
        group = stream->groups[place];
    }
    return group;
}

struct stream_group *stream_group_create(
    struct stream *stream, struct slice name, struct stream_id last_id, int64_t entries_read)
{
    size_t place = 0;
    if (find_place(stream, name, &place))
        return NULL;
    struct stream_group *group = new_group(name);
    group->last_id = last_id;
    group->entries_read = entries_read;
    stream->groups =
        mem_realloc(stream->groups, (stream->group_count + 1) * sizeof(*stream->groups));
    memmove(&stream->groups[place + 1], &stream->groups[place],
        (stream->group_count - place) * sizeof(*stream->groups));
    stream->groups[place] = group;
    stream->group_count++;
    stream->other_bytes += group_bytes(group);
    return group;
}

bool stream_group_destroy(struct stream *stream, struct slice name)
{
    size_t place = 0;
    if (!find_place(stream, name, &place))
        return false;
    stream->other_bytes -= group_bytes(stream->groups[place]);
    unref_group(stream->groups[place]);
    stream->group_count--;
    memmove(&stream->groups[place], &stream->groups[place + 1],
        (stream->group_count - place) * sizeof(*stream->groups));
    return true;
}

void stream_groups_snapshot(const struct stream *stream, struct stream *snapshot)
{
    snapshot->groups = NULL;
    if (stream->group_count == 0)
        return;
    snapshot->groups = mem_alloc(stream->group_count * sizeof(*snapshot->groups));
    for (size_t i = 0; i < stream->group_count; i++) {
        atomic_fetch_add_explicit(&stream->groups[i]->references, 1, memory_order_relaxed);
        snapshot->groups[i] = stream->groups[i];
    }
}

void stream_groups_drop(struct stream *stream)
{
    for (size_t i = 0; i < stream->group_count; i++)
        unref_group(stream->groups[i]);
    mem_free(stream->groups);
}

uint64_t stream_groups_effort(const struct stream *stream)
{
    uint64_t effort = 0;
    for (size_t i = 0; i < stream->group_count; i++) {
        const struct stream_group *const group = stream->groups[i];
        if (atomic_load_explicit(&group->references, memory_order_relaxed) > 1)
            continue;
        effort += 1 + 2 * tree_node_count(&group->pending) + group->consumer_count;
    }
    return effort;
}

/* --- how far a group is ---------------------------------------------------------------------------------------------------- */

/* Has a deleted entry left a hole at or after `start`? */
static bool has_hole_after(const struct stream *stream, struct stream_id start)
{
    struct stream_id first;
    if (stream_id_is_zero(stream->max_deleted_id) || !stream_first_id(stream, &first))
        return false;
    return stream_id_compare(first, stream->max_deleted_id) <= 0 &&
           stream_id_compare(start, stream->max_deleted_id) <= 0;
}

int64_t stream_added_up_to(const struct stream *stream, struct stream_id id)
{
    struct stream_id first;
    const uint64_t length = stream_length(stream);
    const int to_last = stream_id_compare(id, stream->last_id);
    if (stream->entries_added == 0)
        return 0;
    if ((length == 0 && to_last <= 0) || to_last == 0)
        return (int64_t)stream->entries_added;
    if (to_last > 0)
        return STREAM_ENTRIES_READ_UNKNOWN;
    (void)stream_first_id(stream, &first);
    if (!stream_id_is_zero(stream->max_deleted_id) &&
        stream_id_compare(stream->max_deleted_id, first) >= 0)
        return STREAM_ENTRIES_READ_UNKNOWN;
    const int to_first = stream_id_compare(id, first);
    if (to_first > 0)
        return STREAM_ENTRIES_READ_UNKNOWN;
    return (int64_t)(stream->entries_added - length + (to_first == 0));
}

bool stream_group_lag(const struct stream *stream, const struct stream_group *group, int64_t *lag)
{
    struct stream_id first;
    int64_t read = STREAM_ENTRIES_READ_UNKNOWN;
    *lag = 0;
    if (stream->entries_added == 0 || !stream_first_id(stream, &first))
        return true;
    if (stream_id_compare(group->last_id, first) < 0 &&
        stream_id_compare(stream->max_deleted_id, first) < 0) {
        /* All that is left is ahead of it, and there are no holes. */
        *lag = (int64_t)stream_length(stream);
        return true;
    }
    if (group->entries_read != STREAM_ENTRIES_READ_UNKNOWN &&
        !has_hole_after(stream, group->last_id))
        read = group->entries_read;
    else
        read = stream_added_up_to(stream, group->last_id);
    *lag = (int64_t)(stream->entries_added - (uint64_t)read);
    return read != STREAM_ENTRIES_READ_UNKNOWN;
}

void stream_group_advance(
    const struct stream *stream, struct stream_group *group, struct stream_id id)
{
    struct stream_id first;
    if (stream_id_compare(id, group->last_id) <= 0)
        return;
    (void)stream_first_id(stream, &first);
    if (group->entries_read != STREAM_ENTRIES_READ_UNKNOWN && group->entries_read < INT64_MAX &&
        stream_id_compare(group->last_id, first) >= 0 && !has_hole_after(stream, group->last_id))
        group->entries_read++;
    else if (stream->entries_added > 0)
        group->entries_read = stream_added_up_to(stream, id);
    group->last_id = id;
}

/* --- consumers ---------------------------------------------------------------------------------------------------------------- */

static bool find_consumer(const struct stream_group *group, struct slice name, uint32_t *place)
{
    uint32_t low = 0;
    uint32_t high = group->consumer_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const int order = slice_compare(group->consumers[middle]->name, name);
        if (order == 0) {
            *place = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *place = low;
    return false;
}

struct stream_consumer *stream_consumer_find(const struct stream_group *group, struct slice name)
{
    uint32_t place = 0;
    return find_consumer(group, name, &place) ? group->consumers[place] : NULL;
}

/* Room for one more. */
static void grow(struct stream_consumer ***array, uint32_t count, uint32_t *room)
{
    if (count < *room)
        return;
    *room = count < 4 ? 4 : count + count / 2;
    *array = mem_realloc(*array, *room * sizeof(**array));
}

static uint32_t take_number(struct stream_group *group)
{
    for (uint32_t i = 0; group->consumer_count < group->number_count; i++) {
        if (group->numbered[i] == NULL)
            return i;
    }
    grow(&group->numbered, group->number_count, &group->number_room);
    return group->number_count++;
}

struct stream_consumer *stream_consumer_create(
    struct stream *stream, struct stream_group *group, struct slice name, int64_t now_ms)
{
    uint32_t place = 0;
    if (find_consumer(group, name, &place))
        return NULL;
    struct stream_consumer *consumer = new_consumer(name, take_number(group));
    consumer->seen_ms = now_ms;
    group->numbered[consumer->number] = consumer;
    grow(&group->consumers, group->consumer_count, &group->consumer_room);
    memmove(&group->consumers[place + 1], &group->consumers[place],
        (group->consumer_count - place) * sizeof(*group->consumers));
    group->consumers[place] = consumer;
    group->consumer_count++;
    stream->other_bytes += consumer_bytes(consumer);
    return consumer;
}

/* Takes what is pending for a consumer out of the group's tree: one by one, or, if it is much of it, by building the tree of the others. */
static void drop_pending(struct stream_group *group, const struct stream_consumer *consumer)
{
    struct tree_cursor cursor;
    if (consumer->pending.count <= group->pending.count / 16) {
        tree_cursor_at(&consumer->pending, 0, &cursor);
        for (; !tree_cursor_is_end(&cursor); (void)tree_cursor_next(&cursor)) {
            const bool was_there = stream_row_delete(&group->pending, stream_row_id(&cursor));
            CHECK(was_there);
        }
        return;
    }
    struct tree others;
    tree_init(&others, &stream_tree_class);
    tree_cursor_at(&group->pending, 0, &cursor);
    for (; !tree_cursor_is_end(&cursor); (void)tree_cursor_next(&cursor)) {
        const struct element row = tree_cursor_element(&cursor, 0);
        struct reader reader = reader_of(row.bytes);
        (void)stream_id_read(&reader);
        if (reader_varint(&reader) != consumer->number)
            tree_append(&others, &row);
    }
    tree_deinit(&group->pending);
    group->pending = others;
}

void stream_consumer_destroy(
    struct stream *stream, struct stream_group *group, struct stream_consumer *consumer)
{
    const size_t before = group->pending.bytes;
    drop_pending(group, consumer);
    stream->other_bytes -= before - group->pending.bytes;
    stream->other_bytes -= consumer_bytes(consumer);
    uint32_t place = 0;
    const bool found = find_consumer(group, consumer->name, &place);
    CHECK(found);
    group->numbered[consumer->number] = NULL;
    group->consumer_count--;
    memmove(&group->consumers[place], &group->consumers[place + 1],
        (group->consumer_count - place) * sizeof(*group->consumers));
    free_consumer(consumer);
}
