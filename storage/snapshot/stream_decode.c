/*
 * stream_decode.c: streams, in their three forms.
 *
 *   nodes ‖ length ‖ last ID ‖ [first ID ‖ greatest deleted ID ‖ entries added]           [..]: second form and later
 *         ‖ groups { name ‖ last ID ‖ [entries read]
 *                    ‖ pending { ID ‖ delivered at ‖ times delivered } ‖ consumers { name ‖ seen at ‖ (active at) ‖ IDs pending } }   (..): third
 *
 *   node = first ID (16 bytes, big-endian) ‖ listpack:
 *          live ‖ deleted ‖ field count ‖ fields ... ‖ 0
 *          then per entry: flags ‖ ms and sequence less those of the first ID ‖ values, if it has the node's fields, or
 *          field count ‖ field ‖ value ...  ‖ elements of the entry
 *
 * Entries come in the order of their IDs, and so do pending IDs: what is out of order was not written by a server. A pending ID belongs to
 * exactly one consumer.
 *
 * An entry that has the node's fields takes a few bytes here but may take as many as their names in memory: what comes out is bounded in
 * proportion to the payload (FIELD_RATIO_MAX).
 */
#include "base/mem.h"
#include "snapshot_internal.h"
#include "storage/stream.h"

#define ENTRY_DELETED     1
#define ENTRY_SAME_FIELDS 2

/* Bytes of fields and values, per byte of payload and in any case. */
#define FIELD_RATIO_MAX  ((uint64_t)128)
#define FIELD_BYTES_FREE (64 * MiB)

struct stream_reader {
    enum rdb_type type;
    struct reader *reader;
    struct stream *stream;
    struct rdb_scratch scratch;
    uint64_t field_bytes_left;
    /* Of the node: */
    struct packed packed;
    struct stream_id first_id;
    int64_t live_count, deleted_count; /* not yet seen */
    /* Texts of the node's fields, then room for the pairs of an entry. */
    struct texts {
        struct slice *slices;
        char (*numbers)[ELEMENT_TEXT_MAX];
        size_t capacity;
    } master, pairs;
    size_t master_count;
};

/* --- elements of a node --------------------------------------------------------------------------------------------- */

static void texts_deinit(struct texts *texts)
{
    mem_free(texts->slices);
    mem_free(texts->numbers);
}

/* Only for counts that as many bytes of the payload vouch for. */
static enum status texts_reserve(struct texts *texts, size_t count)
{
    if (count <= texts->capacity)
        return ST_OK;
    struct slice *const slices = mem_try_realloc(texts->slices, count * sizeof(*slices));
    if (slices == NULL)
        return ST_NO_MEMORY;
    texts->slices = slices;
    char(*const numbers)[ELEMENT_TEXT_MAX] =
        mem_try_realloc(texts->numbers, count * sizeof(*numbers));
    if (numbers == NULL)
        return ST_NO_MEMORY;
    texts->numbers = numbers;
    texts->capacity = count;
    return ST_OK;
}

/* The end is corrupt where an element must follow. */
static enum status next_element(struct packed *packed, struct element *element)
{
    const enum status status = packed_next(packed, element);
    return status == ST_END ? ST_CORRUPT : status;
}

static enum status next_integer(struct packed *packed, int64_t *value)
{
    struct element element;
    const enum status status = next_element(packed, &element);
    if (status != ST_OK)
        return status;
    *value = element.integer;
    return element.is_integer ? ST_OK : ST_CORRUPT;
}

static enum status next_text(struct packed *packed, struct texts *texts, size_t index)
{
    struct element element;
    const enum status status = next_element(packed, &element);
    if (status == ST_OK)
        texts->slices[index] = element_text(&element, texts->numbers[index]);
    return status;
}

/* A count of fields, each of which takes bytes that are still to come. */
static enum status next_count(struct packed *packed, size_t *count)
{
    int64_t value = 0;
    const enum status status = next_integer(packed, &value);
    if (status != ST_OK)
        return status;
    if (value < 0 || (uint64_t)value > reader_left(&packed->reader))
        return ST_CORRUPT;
    *count = (size_t)value;
    return ST_OK;
}

/* --- entries --------------------------------------------------------------------------------------------------------- */

static enum status read_own_pairs(struct stream_reader *in, size_t *count)
{
    enum status status = next_count(&in->packed, count);
    if (status == ST_OK)
        status = texts_reserve(&in->pairs, 2 * *count);
    for (size_t i = 0; i < 2 * *count && status == ST_OK; i++)
        status = next_text(&in->packed, &in->pairs, i);
    return status;
}

static enum status read_values(struct stream_reader *in)
{
    enum status status = texts_reserve(&in->pairs, 2 * in->master_count);
    for (size_t i = 0; i < in->master_count && status == ST_OK; i++) {
        in->pairs.slices[2 * i] = in->master.slices[i];
        status = next_text(&in->packed, &in->pairs, 2 * i + 1);
    }
    return status;
}

static enum status append(struct stream_reader *in, struct stream_id id, size_t pair_count)
{
    for (size_t i = 0; i < 2 * pair_count; i++) {
        const uint64_t size = in->pairs.slices[i].size + 1;
        if (size > in->field_bytes_left)
            return ST_CORRUPT;
        in->field_bytes_left -= size;
    }
    /* Refused: out of order, or too large. */
    return stream_append(in->stream, id, in->pairs.slices, pair_count) == ST_OK ? ST_OK
                                                                                : ST_CORRUPT;
}

/* flags was read already. */
static enum status read_entry(struct stream_reader *in, int64_t flags)
{
    int64_t ms = 0;
    int64_t sequence = 0;
    int64_t element_count = 0;
    size_t pair_count = in->master_count;
    if ((flags & ~(int64_t)(ENTRY_DELETED | ENTRY_SAME_FIELDS)) != 0)
        return ST_CORRUPT;
    enum status status = next_integer(&in->packed, &ms);
    if (status == ST_OK)
        status = next_integer(&in->packed, &sequence);
    if (status == ST_OK)
        status =
            (flags & ENTRY_SAME_FIELDS) != 0 ? read_values(in) : read_own_pairs(in, &pair_count);
    if (status == ST_OK)
        status = next_integer(&in->packed, &element_count);
    if (status != ST_OK)
        return status;
    const size_t expected = (flags & ENTRY_SAME_FIELDS) != 0 ? pair_count + 3 : 2 * pair_count + 4;
    if ((uint64_t)element_count != expected || pair_count == 0)
        return ST_CORRUPT;
    int64_t *const left = (flags & ENTRY_DELETED) != 0 ? &in->deleted_count : &in->live_count;
    if ((*left)-- == 0)
        return ST_CORRUPT;
    if ((flags & ENTRY_DELETED) != 0)
        return ST_OK;
    /* Differences are kept modulo 2^64. */
    const struct stream_id id = {
        in->first_id.ms + (uint64_t)ms, in->first_id.sequence + (uint64_t)sequence};
    return append(in, id, pair_count);
}

static enum status read_master(struct stream_reader *in)
{
    int64_t zero = 0;
    enum status status = next_integer(&in->packed, &in->live_count);
    if (status == ST_OK)
        status = next_integer(&in->packed, &in->deleted_count);
    if (status == ST_OK)
        status = next_count(&in->packed, &in->master_count);
    if (status == ST_OK)
        status = texts_reserve(&in->master, in->master_count);
    for (size_t i = 0; i < in->master_count && status == ST_OK; i++)
        status = next_text(&in->packed, &in->master, i);
    if (status == ST_OK)
        status = next_integer(&in->packed, &zero);
    if (status != ST_OK)
        return status;
    return zero == 0 && in->live_count >= 0 && in->deleted_count >= 0 ? ST_OK : ST_CORRUPT;
}

/* 16 bytes, big-endian. */
static enum status read_raw_id(struct reader *reader, struct stream_id *id)
{
    uint64_t halves[2] = {0, 0};
    for (unsigned i = 0; i < 16; i++)
        halves[i / 8] = halves[i / 8] << 8 | reader_u8(reader);
    *id = (struct stream_id){halves[0], halves[1]};
    return reader->failed ? ST_CORRUPT : ST_OK;
}

static enum status read_node(struct stream_reader *in)
{
    struct slice bytes;
    enum status status = rdb_read_string(in->reader, &in->scratch, &bytes);
    if (status != ST_OK)
        return status;
    struct reader id_reader = reader_of(bytes);
    if (read_raw_id(&id_reader, &in->first_id) != ST_OK || reader_left(&id_reader) > 0)
        return ST_CORRUPT;
    status = rdb_read_string(in->reader, &in->scratch, &bytes);
    if (status == ST_OK)
        status = packed_open(&in->packed, PACKED_LISTPACK, bytes);
    if (status == ST_OK)
        status = read_master(in);
    while (status == ST_OK) {
        struct element flags;
        status = packed_next(&in->packed, &flags);
        if (status == ST_OK)
            status = flags.is_integer ? read_entry(in, flags.integer) : ST_CORRUPT;
    }
    if (status != ST_END)
        return status;
    return in->live_count == 0 && in->deleted_count == 0 ? ST_OK : ST_CORRUPT;
}

/* --- groups ------------------------------------------------------------------------------------------------------------- */

static enum status read_id(struct reader *reader, struct stream_id *id)
{
    const enum status status = rdb_read_length(reader, &id->ms);
    return status == ST_OK ? rdb_read_length(reader, &id->sequence) : status;
}

/* What is pending in a group, in order, until its consumers are known. */
struct pending_list {
    struct stream_pending *items;
    size_t count;
    size_t assigned_count;
};
/* Bytes that one takes at least. */
#define PENDING_SIZE_MIN 25

static enum status read_pending(struct reader *reader, struct pending_list *list)
{
    uint64_t count = 0;
    enum status status = rdb_read_length(reader, &count);
    if (status != ST_OK)
        return status;
    if (count > reader_left(reader) / PENDING_SIZE_MIN)
        return ST_CORRUPT;
    list->items = mem_try_alloc((size_t)count * sizeof(*list->items));
    if (list->items == NULL)
        return ST_NO_MEMORY;
    for (; list->count < count && status == ST_OK; list->count++) {
        struct stream_pending *const item = &list->items[list->count];
        *item = (struct stream_pending){.consumer = NULL};
        status = read_raw_id(reader, &item->id);
        if (status == ST_OK)
            status = rdb_read_time(reader, &item->delivery_ms);
        if (status == ST_OK)
            status = rdb_read_length(reader, &item->delivery_count);
        if (item->delivery_ms < 0 || item->delivery_count > INT64_MAX)
            return ST_CORRUPT;
        if (list->count > 0 && stream_id_compare(item[-1].id, item->id) >= 0)
            return ST_CORRUPT;
    }
    return status;
}

/* NULL: not pending, or somebody else's already. */
static struct stream_pending *find_unassigned(struct pending_list *list, struct stream_id id)
{
    size_t low = 0;
    size_t high = list->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = stream_id_compare(list->items[middle].id, id);
        if (order == 0)
            return list->items[middle].consumer == NULL ? &list->items[middle] : NULL;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static enum status read_consumer(
    struct stream_reader *in, struct stream_group *group, struct pending_list *list)
{
    struct slice name;
    int64_t seen_ms = 0;
    enum status status = rdb_read_string(in->reader, &in->scratch, &name);
    if (status == ST_OK)
        status = rdb_read_time(in->reader, &seen_ms);
    int64_t active_ms = seen_ms;
    if (status == ST_OK && in->type == RDB_STREAM_LISTPACKS_3)
        status = rdb_read_time(in->reader, &active_ms);
    if (status != ST_OK)
        return status;
    if (seen_ms < 0 || active_ms < STREAM_NEVER)
        return ST_CORRUPT;
    struct stream_consumer *const consumer =
        stream_consumer_create(in->stream, group, name, seen_ms);
    if (consumer == NULL)
        return ST_CORRUPT;
    consumer->active_ms = active_ms;
    uint64_t count = 0;
    status = rdb_read_length(in->reader, &count);
    for (; count > 0 && status == ST_OK; count--) {
        struct stream_id id;
        status = read_raw_id(in->reader, &id);
        struct stream_pending *const item = status == ST_OK ? find_unassigned(list, id) : NULL;
        if (item == NULL)
            return ST_CORRUPT;
        item->consumer = consumer;
        list->assigned_count++;
        stream_pending_set(in->stream, group, item);
    }
    return status;
}

static enum status read_consumers(
    struct stream_reader *in, struct stream_group *group, struct pending_list *list)
{
    uint64_t count = 0;
    enum status status = read_pending(in->reader, list);
    if (status == ST_OK)
        status = rdb_read_length(in->reader, &count);
    for (; count > 0 && status == ST_OK; count--)
        status = read_consumer(in, group, list);
    if (status == ST_OK && list->assigned_count != list->count)
        return ST_CORRUPT;
    return status;
}

/*
 * What a group at this ID has read, for forms that don't say: known only at the ends of a stream from which nothing was taken in between.
 */
static uint64_t entries_read_guess(const struct stream *stream, struct stream_id id)
{
    struct stream_id first_id;
    const int order = stream_id_compare(id, stream->last_id);
    if (stream->entries_added == 0)
        return 0;
    if (!stream_first_id(stream, &first_id))
        return order <= 0 ? stream->entries_added : (uint64_t)STREAM_ENTRIES_READ_UNKNOWN;
    if (order == 0)
        return stream->entries_added;
    const uint64_t gone = stream->entries_added - stream_length(stream);
    if (stream_id_compare(id, first_id) < 0)
        return gone;
    return stream_id_compare(id, first_id) == 0 ? gone + 1 : (uint64_t)STREAM_ENTRIES_READ_UNKNOWN;
}

static enum status read_group(struct stream_reader *in)
{
    struct slice name;
    struct stream_id last_id = STREAM_ID_MIN;
    uint64_t entries_read = (uint64_t)STREAM_ENTRIES_READ_UNKNOWN;
    enum status status = rdb_read_string(in->reader, &in->scratch, &name);
    if (status == ST_OK)
        status = read_id(in->reader, &last_id);
    if (status == ST_OK && in->type != RDB_STREAM_LISTPACKS)
        status = rdb_read_length(in->reader, &entries_read);
    else if (status == ST_OK)
        entries_read = entries_read_guess(in->stream, last_id);
    if (status != ST_OK)
        return status;
    if ((int64_t)entries_read < STREAM_ENTRIES_READ_UNKNOWN)
        return ST_CORRUPT;
    struct stream_group *const group =
        stream_group_create(in->stream, name, last_id, (int64_t)entries_read);
    if (group == NULL)
        return ST_CORRUPT;
    struct pending_list list = {0};
    status = read_consumers(in, group, &list);
    mem_free(list.items);
    return status;
}

/* --- the whole ----------------------------------------------------------------------------------------------------------- */

/* Behind the nodes. The first entry's ID is what it is. */
static enum status read_totals(struct stream_reader *in)
{
    uint64_t length = 0;
    struct stream_id last_id = STREAM_ID_MIN;
    struct stream_id first_id = STREAM_ID_MIN;
    struct stream_id max_deleted_id = STREAM_ID_MIN;
    enum status status = rdb_read_length(in->reader, &length);
    uint64_t entries_added = length;
    if (status == ST_OK)
        status = read_id(in->reader, &last_id);
    if (in->type != RDB_STREAM_LISTPACKS) {
        if (status == ST_OK)
            status = read_id(in->reader, &first_id);
        if (status == ST_OK)
            status = read_id(in->reader, &max_deleted_id);
        if (status == ST_OK)
            status = rdb_read_length(in->reader, &entries_added);
    }
    if (status != ST_OK)
        return status;
    if (length != stream_length(in->stream) || entries_added < length ||
        entries_added > INT64_MAX || stream_id_compare(last_id, in->stream->last_id) < 0)
        return ST_CORRUPT;
    in->stream->last_id = last_id;
    in->stream->max_deleted_id = max_deleted_id;
    in->stream->entries_added = entries_added;
    return ST_OK;
}

static enum status read_stream(struct stream_reader *in)
{
    uint64_t count = 0;
    enum status status = rdb_read_length(in->reader, &count);
    for (; count > 0 && status == ST_OK; count--)
        status = read_node(in);
    if (status == ST_OK)
        status = read_totals(in);
    if (status == ST_OK)
        status = rdb_read_length(in->reader, &count);
    for (; count > 0 && status == ST_OK; count--)
        status = read_group(in);
    return status;
}

enum status rdb_decode_stream(
    enum rdb_type type, struct reader *reader, struct value_object **object)
{
    struct stream_reader in = {.type = type,
        .reader = reader,
        .stream = stream_create(),
        .field_bytes_left = FIELD_BYTES_FREE + reader_left(reader) * FIELD_RATIO_MAX};
    const enum status status = read_stream(&in);
    rdb_scratch_deinit(&in.scratch);
    texts_deinit(&in.master);
    texts_deinit(&in.pairs);
    if (status == ST_OK)
        *object = &in.stream->object;
    else
        stream_destroy(in.stream);
    return status;
}
