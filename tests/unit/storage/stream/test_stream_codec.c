/*
 * test_stream_codec.c: what the cold tier stores of a stream comes back; what it cannot have stored is refused.
 */
#include "base/mem.h"
#include "stream_support.h"

static void register_class(void)
{
    stream_setup();
}

/* Entries in two nodes and a tail, shapes and own names, a hole, two groups. */
static struct stream *rich_stream(void)
{
    struct stream *stream = stream_create();
    atomic_store(&value_limits.stream_node_max_entries, 4);
    for (uint64_t i = 1; i <= 12; i++) {
        const char name[] = {(char)('a' + i % 11), '\0'};
        add_pair(stream, id_of(1000 * i, i % 3), name, i % 2 == 0 ? "text" : "1234567");
    }
    atomic_store(&value_limits.stream_node_max_entries, 100);
    ck_assert(stream_delete(stream, id_of(6000, 0)));
    struct stream_group *group = stream_group_create(stream, text("g1"), id_of(4000, 1), 4);
    (void)stream_consumer_create(stream, group, text("zoe"), 5);
    struct stream_consumer *consumer = stream_consumer_create(stream, group, text("adam"), 6);
    consumer->active_ms = 99;
    for (uint64_t i = 1; i <= 4; i++) {
        const struct stream_pending pending = {.id = id_of(1000 * i, i % 3),
            .consumer = group->consumers[i % 2],
            .delivery_ms = (int64_t)(50 * i),
            .delivery_count = i};
        stream_pending_set(stream, group, &pending);
    }
    (void)stream_group_create(stream, text("g2"), STREAM_ID_MIN, -1);
    return stream;
}

START_TEST(everything_survives_the_round_trip)
{
    register_class();
    struct stream *stream = rich_stream();
    struct stream *back = round_trip(stream);
    char *const entries = mem_string(describe_all(stream));
    char *const groups = mem_string(describe_groups(stream));
    ck_assert_str_eq(describe_all(back), entries);
    ck_assert_str_eq(describe_groups(back), groups);
    ck_assert_int_eq(stream_id_compare(back->last_id, stream->last_id), 0);
    ck_assert_int_eq(stream_id_compare(back->max_deleted_id, stream->max_deleted_id), 0);
    ck_assert_uint_eq(back->entries_added, stream->entries_added);
    ck_assert_uint_eq(stream_node_count(back), stream_node_count(stream));
    ck_assert_int_eq(back->groups[0]->consumers[0]->active_ms, 99);
    ck_assert_int_eq(back->groups[0]->consumers[1]->active_ms, STREAM_NEVER);
    /* It goes on as the other one does. */
    add_run(back, 20000, 20100);
    add_run(stream, 20000, 20100);
    ck_assert_uint_eq(stream_node_count(back), stream_node_count(stream));
    stream_check(back);
    mem_free(entries);
    mem_free(groups);
    stream_destroy(back);
    stream_destroy(stream);
}
END_TEST

START_TEST(empty_streams_survive_the_round_trip)
{
    register_class();
    struct stream *stream = stream_create();
    stream_destroy(round_trip(stream));
    add_run(stream, 1, 1);
    ck_assert(stream_delete(stream, id_of(1, 0)));
    struct stream *back = round_trip(stream);
    ck_assert_id_eq(back->last_id, 1, 0);
    ck_assert_id_eq(back->max_deleted_id, 1, 0);
    stream_destroy(back);
    stream_destroy(stream);
}
END_TEST

static enum status decode(struct slice payload)
{
    struct value value;
    const enum status status = value_decode(VALUE_STREAM, VALUE_ENCODING_STREAM, payload, &value);
    if (status == ST_OK) {
        stream_check(stream_of(&value));
        value_release(&value);
    }
    return status;
}

START_TEST(a_payload_cut_short_or_with_a_tail_is_corrupt)
{
    register_class();
    struct stream *stream = rich_stream();
    struct value value = stream_value(stream);
    struct buf payload = {0};
    value_encode(&value, &payload);
    for (size_t size = 0; size < payload.size; size++) {
        /* A copy of its own, so that a read beyond it shows. */
        char *const copy = mem_alloc(size + 1);
        memcpy(copy, payload.data, size);
        ck_assert_int_eq(decode(slice_of(copy, size)), ST_CORRUPT);
        mem_free(copy);
    }
    ck_assert_int_eq(decode(buf_slice(&payload)), ST_OK);
    buf_append_byte(&payload, 0);
    ck_assert_int_eq(decode(buf_slice(&payload)), ST_CORRUPT);
    struct value other;
    payload.size--;
    ck_assert_int_eq(
        value_decode(VALUE_STREAM, VALUE_ENCODING_LISTPACK, buf_slice(&payload), &other),
        ST_CORRUPT);
    buf_deinit(&payload);
    value_release(&value);
}
END_TEST

START_TEST(any_changed_byte_gives_a_sound_stream_or_is_refused)
{
    register_class();
    struct stream *stream = rich_stream();
    struct value value = stream_value(stream);
    struct buf payload = {0};
    unsigned refused = 0;
    value_encode(&value, &payload);
    for (size_t at = 0; at < payload.size; at++) {
        const char kept = payload.data[at];
        for (unsigned byte = 0; byte < 256; byte++) {
            payload.data[at] = (char)byte;
            refused += decode(buf_slice(&payload)) != ST_OK;
        }
        payload.data[at] = kept;
    }
    ck_assert_uint_gt(refused, payload.size * 100);
    buf_deinit(&payload);
    value_release(&value);
}
END_TEST

TEST_GROUP(stream_codec_tests, everything_survives_the_round_trip,
    empty_streams_survive_the_round_trip, a_payload_cut_short_or_with_a_tail_is_corrupt,
    any_changed_byte_gives_a_sound_stream_or_is_refused)
