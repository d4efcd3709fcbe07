/*
 * fuzz_stream.c: the decoder of streams against any bytes.
 *
 * What it accepts must be sound, must encode to something that decodes to the same bytes again, and must bear the changes that commands make.
 */
#include "base/check.h"
#include "fuzz_setup.h"
#include "storage/stream.h"

static void encode(struct stream *stream, struct buf *out)
{
    const struct value value = stream_value(stream);
    value_encode(&value, out);
}

static void use(struct stream *stream)
{
    struct stream_id first;
    const struct slice fields[] = {SLICE_LITERAL("name"), SLICE_LITERAL("value")};
    struct stream_id next = stream->last_id;
    if (stream_id_next(&next))
        CHECK(stream_append(stream, next, fields, 1) == ST_OK);
    if (stream_first_id(stream, &first))
        CHECK(stream_delete(stream, first));
    for (size_t i = 0; i < stream->group_count; i++) {
        struct stream_group *group = stream_group_edit(stream, stream->groups[i]->name);
        struct stream_pending pending;
        stream_group_advance(stream, group, next);
        if (group->consumer_count > 0)
            stream_consumer_destroy(stream, group, group->consumers[0]);
        if (stream_pending_last(group, &pending))
            CHECK(stream_pending_remove(stream, group, pending.id));
    }
    const struct stream_trim trim = {.kind = STREAM_TRIM_LENGTH, .length = 1};
    (void)stream_trim(stream, &trim);
    stream_check(stream);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct value value;
    stream_setup();
    if (value_decode(VALUE_STREAM, VALUE_ENCODING_STREAM, slice_of(data, size), &value) != ST_OK)
        return 0;
    struct stream *const stream = stream_of(&value);
    struct buf once = {0};
    struct buf twice = {0};
    stream_check(stream);
    encode(stream, &once);
    struct value again;
    CHECK(value_decode(VALUE_STREAM, VALUE_ENCODING_STREAM, buf_slice(&once), &again) == ST_OK);
    encode(stream_of(&again), &twice);
    CHECK(slice_equal(buf_slice(&once), buf_slice(&twice)));
    struct stream *const snapshot = stream_snapshot(stream);
    use(stream);
    buf_clear(&twice);
    encode(snapshot, &twice);
    CHECK(slice_equal(buf_slice(&once), buf_slice(&twice)));
    stream_destroy(snapshot);
    value_release(&again);
    value_release(&value);
    buf_deinit(&once);
    buf_deinit(&twice);
    return 0;
}
