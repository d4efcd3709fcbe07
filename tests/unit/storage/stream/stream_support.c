/*
 * stream_support.c: streams as text, and other helpers of the stream tests.
 */
#include "stream_support.h"

void add_pair(struct stream *stream, struct stream_id id, const char *name, const char *value)
{
    const struct slice fields[] = {text(name), text(value)};
    ck_assert_int_eq(stream_append(stream, id, fields, 1), ST_OK);
}

void add_run(struct stream *stream, uint64_t first, uint64_t last)
{
    for (uint64_t ms = first; ms <= last; ms++) {
        char value[24];
        value[uint64_to_text(ms, value)] = '\0';
        add_pair(stream, id_of(ms, 0), "f", value);
    }
}

static void put_id(struct buf *out, struct stream_id id)
{
    char id_text[STREAM_ID_TEXT_MAX];
    buf_append(out, id_text, stream_id_to_text(id, id_text));
}

const char *describe(
    const struct stream *stream, struct stream_id first, struct stream_id last, bool is_reverse)
{
    static struct buf out;
    struct stream_walk walk;
    struct stream_entry entry;
    struct slice name;
    struct slice value;
    buf_clear(&out);
    stream_walk_begin(&walk, stream, first, last, is_reverse);
    while (stream_walk_next(&walk, &entry)) {
        uint64_t pairs = 0;
        if (out.size > 0)
            buf_append_text(&out, ", ");
        put_id(&out, entry.id);
        while (stream_entry_next(&entry, &name, &value)) {
            buf_append_byte(&out, ' ');
            buf_append_slice(&out, name);
            buf_append_byte(&out, '=');
            buf_append_slice(&out, value);
            pairs++;
        }
        ck_assert_uint_eq(pairs, entry.pair_count);
    }
    buf_append_byte(&out, '\0');
    return out.data;
}

const char *describe_all(const struct stream *stream)
{
    return describe(stream, STREAM_ID_MIN, STREAM_ID_MAX, false);
}

const char *describe_groups(const struct stream *stream)
{
    static struct buf out;
    buf_clear(&out);
    for (size_t i = 0; i < stream->group_count; i++) {
        const struct stream_group *const group = stream->groups[i];
        buf_append_slice(&out, group->name);
        buf_append_byte(&out, ' ');
        put_id(&out, group->last_id);
        buf_append_byte(&out, '/');
        buf_append_int64(&out, group->entries_read);
        for (uint32_t j = 0; j < group->consumer_count; j++) {
            struct stream_pending_walk walk;
            struct stream_pending pending;
            buf_append_text(&out, " [");
            buf_append_slice(&out, group->consumers[j]->name);
            buf_append_byte(&out, ':');
            stream_pending_begin(&walk, group, group->consumers[j], STREAM_ID_MIN);
            while (stream_pending_next(&walk, &pending)) {
                buf_append_byte(&out, ' ');
                put_id(&out, pending.id);
                buf_append_byte(&out, '(');
                buf_append_int64(&out, pending.delivery_ms);
                buf_append_byte(&out, 'x');
                buf_append_int64(&out, (int64_t)pending.delivery_count);
                buf_append_byte(&out, ')');
            }
            buf_append_byte(&out, ']');
        }
        buf_append_byte(&out, ';');
    }
    buf_append_byte(&out, '\0');
    return out.data;
}

struct stream *round_trip(struct stream *stream)
{
    struct buf payload = {0};
    const struct value value = stream_value(stream);
    struct value back;
    stream_setup();
    value_encode(&value, &payload);
    ck_assert_int_eq(
        value_decode(VALUE_STREAM, VALUE_ENCODING_STREAM, buf_slice(&payload), &back), ST_OK);
    buf_deinit(&payload);
    stream_check(stream_of(&back));
    return stream_of(&back);
}

size_t size_of(struct stream *stream)
{
    const struct value value = stream_value(stream);
    return value_external_bytes(&value);
}
