/*
 * stream_encode.c: streams in their first form, which every server since version 9 reads (the layout is in stream_decode.c). It does not hold
 * the number of entries ever added, the greatest deleted ID, and what a group has read: readers begin these anew.
 */
#include "snapshot_internal.h"
#include "storage/stream.h"

#define NODE_ENTRIES_MAX  100
#define NODE_BYTES_MAX    4096
#define LISTPACK_HEADER   6
#define ENTRY_SAME_FIELDS 2

/* --- elements of a listpack ------------------------------------------------------------------------------------ */

static void append_back_size(struct buf *out, uint64_t size)
{
    static const uint64_t limits[] = {127, 16382, 2097150, 268435454};
    unsigned groups = 1;
    while (groups <= COUNT_OF(limits) && size > limits[groups - 1])
        groups++;
    for (unsigned i = groups; i-- > 0;)
        buf_append_byte(out, (char)(((size >> (7 * i)) & 0x7f) | (i == groups - 1 ? 0 : 0x80)));
}

static void append_bytes(struct buf *out, struct slice bytes)
{
    const size_t start = out->size;
    if (bytes.size < 64) {
        buf_append_byte(out, (char)(0x80 | bytes.size));
    } else if (bytes.size < 4096) {
        buf_append_byte(out, (char)(0xe0 | bytes.size >> 8));
        buf_append_byte(out, (char)bytes.size);
    } else {
        buf_append_byte(out, (char)0xf0);
        buf_append_u32(out, (uint32_t)bytes.size);
    }
    buf_append_slice(out, bytes);
    append_back_size(out, out->size - start);
}

static void append_integer(struct buf *out, int64_t value)
{
    const size_t start = out->size;
    if (value >= 0 && value < 128) {
        buf_append_byte(out, (char)value);
    } else if (value >= INT16_MIN && value <= INT16_MAX) {
        buf_append_byte(out, (char)0xf1);
        buf_append_u16(out, (uint16_t)value);
    } else if (value >= INT32_MIN && value <= INT32_MAX) {
        buf_append_byte(out, (char)0xf3);
        buf_append_u32(out, (uint32_t)value);
    } else {
        buf_append_byte(out, (char)0xf4);
        buf_append_u64(out, (uint64_t)value);
    }
    append_back_size(out, out->size - start);
}

static void append_text(struct buf *out, struct slice text)
{
    const struct element element = element_of(text);
    if (element.is_integer)
        append_integer(out, element.integer);
    else
        append_bytes(out, element.bytes);
}

/* --- nodes ------------------------------------------------------------------------------------------------------- */

struct node_writer {
    struct stream_id first_id;
    uint64_t entry_count;
    uint64_t master_count; /* fields of the first entry */
    uint64_t element_count;
    struct buf master; /* their names */
    struct buf body;   /* entries */
    /* of an entry: names; values; both in turn */
    struct buf names, values, pairs;
    struct buf listpack;
};

static void append_id(struct buf *out, struct stream_id id)
{
    for (unsigned i = 64; i > 0; i -= 8)
        buf_append_byte(out, (char)(id.ms >> (i - 8)));
    for (unsigned i = 64; i > 0; i -= 8)
        buf_append_byte(out, (char)(id.sequence >> (i - 8)));
}

static void write_node(struct node_writer *node, struct buf *out)
{
    struct buf *const listpack = &node->listpack;
    const uint64_t count = node->element_count + node->master_count + 4;
    buf_clear(listpack);
    (void)buf_reserve(listpack, LISTPACK_HEADER);
    buf_append_u32(listpack, 0);
    buf_append_u16(listpack, count < UINT16_MAX ? (uint16_t)count : UINT16_MAX);
    append_integer(listpack, (int64_t)node->entry_count);
    append_integer(listpack, 0); /* deleted ones */
    append_integer(listpack, (int64_t)node->master_count);
    buf_append_slice(listpack, buf_slice(&node->master));
    append_integer(listpack, 0);
    buf_append_slice(listpack, buf_slice(&node->body));
    buf_append_byte(listpack, (char)0xff);
    for (unsigned i = 0; i < 4; i++)
        listpack->data[i] = (char)(listpack->size >> (8 * i));
    rdb_write_length(out, 16);
    append_id(out, node->first_id);
    rdb_write_string(out, buf_slice(listpack));
    node->entry_count = 0;
    node->element_count = 0;
    buf_clear(&node->body);
}

static void read_pairs(struct node_writer *node, struct stream_entry *entry)
{
    struct slice name;
    struct slice value;
    buf_clear(&node->names);
    buf_clear(&node->values);
    buf_clear(&node->pairs);
    while (stream_entry_next(entry, &name, &value)) {
        append_text(&node->names, name);
        append_text(&node->values, value);
        append_text(&node->pairs, name);
        append_text(&node->pairs, value);
    }
}

static void add_entry(struct node_writer *node, struct stream_entry *entry)
{
    const uint64_t pair_count = entry->pair_count;
    read_pairs(node, entry);
    if (node->entry_count == 0) {
        node->first_id = entry->id;
        node->master_count = pair_count;
        buf_clear(&node->master);
        buf_append_slice(&node->master, buf_slice(&node->names));
    }
    const bool same = pair_count == node->master_count &&
                      slice_equal(buf_slice(&node->master), buf_slice(&node->names));
    const uint64_t elements = same ? pair_count + 3 : 2 * pair_count + 4;
    append_integer(&node->body, same ? ENTRY_SAME_FIELDS : 0);
    append_integer(&node->body, (int64_t)(entry->id.ms - node->first_id.ms));
    append_integer(&node->body, (int64_t)(entry->id.sequence - node->first_id.sequence));
    if (!same)
        append_integer(&node->body, (int64_t)pair_count);
    buf_append_slice(&node->body, buf_slice(same ? &node->values : &node->pairs));
    append_integer(&node->body, (int64_t)elements);
    node->entry_count++;
    node->element_count += elements + 1;
}

/* Returns how many nodes there are. */
static uint64_t write_nodes(const struct stream *stream, struct buf *out)
{
    struct node_writer node = {.entry_count = 0};
    struct stream_walk walk;
    struct stream_entry entry;
    uint64_t count = 0;
    stream_walk_begin(&walk, stream, STREAM_ID_MIN, STREAM_ID_MAX, false);
    while (stream_walk_next(&walk, &entry)) {
        add_entry(&node, &entry);
        if (node.entry_count >= NODE_ENTRIES_MAX || node.body.size >= NODE_BYTES_MAX) {
            write_node(&node, out);
            count++;
        }
    }
    if (node.entry_count > 0) {
        write_node(&node, out);
        count++;
    }
    buf_deinit(&node.master);
    buf_deinit(&node.body);
    buf_deinit(&node.names);
    buf_deinit(&node.values);
    buf_deinit(&node.pairs);
    buf_deinit(&node.listpack);
    return count;
}

/* --- groups ----------------------------------------------------------------------------------------------------------- */

static void write_consumer(
    const struct stream_group *group, const struct stream_consumer *consumer, struct buf *out)
{
    struct stream_pending_walk walk;
    struct stream_pending pending;
    rdb_write_string(out, consumer->name);
    buf_append_u64(out, (uint64_t)consumer->seen_ms);
    rdb_write_length(out, consumer->pending.count);
    stream_pending_begin(&walk, group, consumer, STREAM_ID_MIN);
    while (stream_pending_next(&walk, &pending))
        append_id(out, pending.id);
}

static void write_group(const struct stream_group *group, struct buf *out)
{
    struct stream_pending_walk walk;
    struct stream_pending pending;
    rdb_write_string(out, group->name);
    rdb_write_length(out, group->last_id.ms);
    rdb_write_length(out, group->last_id.sequence);
    rdb_write_length(out, group->pending.count);
    stream_pending_begin(&walk, group, NULL, STREAM_ID_MIN);
    while (stream_pending_next(&walk, &pending)) {
        append_id(out, pending.id);
        buf_append_u64(out, (uint64_t)pending.delivery_ms);
        rdb_write_length(out, pending.delivery_count);
    }
    rdb_write_length(out, group->consumer_count);
    for (uint32_t i = 0; i < group->consumer_count; i++)
        write_consumer(group, group->consumers[i], out);
}

void rdb_encode_stream(const struct value *value, struct buf *out)
{
    const struct stream *const stream = stream_of(value);
    struct buf nodes = {0};
    const uint64_t node_count = write_nodes(stream, &nodes);
    rdb_write_length(out, node_count);
    buf_append_slice(out, buf_slice(&nodes));
    buf_deinit(&nodes);
    rdb_write_length(out, stream_length(stream));
    rdb_write_length(out, stream->last_id.ms);
    rdb_write_length(out, stream->last_id.sequence);
    rdb_write_length(out, stream->group_count);
    for (size_t i = 0; i < stream->group_count; i++)
        write_group(stream->groups[i], out);
}
