/*
 * test_snapshot_stream.c: streams with groups survive DUMP and RESTORE.
 */
#include "storage/snapshot.h"
#include "storage/stream.h"
#include "test_main.h"

static void check_round_trip(const struct value *value, struct value *back)
{
    struct buf payload = {0};
    struct buf storage = {0};
    uint8_t digests[2][SNAPSHOT_DIGEST_SIZE];
    snapshot_dump(value, &payload);
    ck_assert_int_eq(snapshot_verify(buf_slice(&payload), SNAPSHOT_CHECK_SUM), ST_OK);
    ck_assert_int_eq(snapshot_restore(buf_slice(&payload), &storage, back), ST_OK);
    stream_check(stream_of(back));
    snapshot_digest(value, digests[0]);
    snapshot_digest(back, digests[1]);
    ck_assert_mem_eq(digests[0], digests[1], SNAPSHOT_DIGEST_SIZE);
    buf_deinit(&payload);
    buf_deinit(&storage);
}

START_TEST(an_empty_stream_survives_with_its_last_id)
{
    stream_setup();
    struct stream *const stream = stream_create();
    const struct slice fields[] = {SLICE_LITERAL("a"), SLICE_LITERAL("1")};
    ck_assert_int_eq(stream_append(stream, (struct stream_id){5, 6}, fields, 1), ST_OK);
    ck_assert(stream_delete(stream, (struct stream_id){5, 6}));
    struct value value = stream_value(stream);
    struct value back;
    check_round_trip(&value, &back);
    ck_assert_uint_eq(stream_length(stream_of(&back)), 0);
    ck_assert_uint_eq(stream_of(&back)->last_id.ms, 5);
    ck_assert_uint_eq(stream_of(&back)->last_id.sequence, 6);
    value_release(&value);
    value_release(&back);
}
END_TEST

START_TEST(entries_of_many_shapes_survive)
{
    struct random random;
    stream_setup();
    test_random_init(&random);
    static const struct slice words[] = {{"a", 1}, {"b", 1}, {"name", 4}, {"7", 1}, {"-40000", 6},
        {"3000000000000", 13}, {"", 0}, {"x y z", 5}};
    static char big[20000];
    memset(big, 'z', sizeof(big));
    for (unsigned count = 1; count < 2000; count *= 3) {
        struct stream *const stream = stream_create();
        struct stream_id id = {1, 0};
        for (unsigned i = 0; i < count; i++) {
            struct slice fields[8];
            const size_t pairs = 1 + random_below(&random, 3);
            for (size_t j = 0; j < 2 * pairs; j++)
                fields[j] = words[random_below(&random, COUNT_OF(words))];
            if (random_below(&random, 50) == 0)
                fields[1] = slice_of(big, random_below(&random, sizeof(big)));
            if (random_below(&random, 3) == 0)
                id.sequence++;
            else
                id = (struct stream_id){id.ms + random_below(&random, UINT32_MAX), 1};
            id.sequence++;
            ck_assert_int_eq(stream_append(stream, id, fields, pairs), ST_OK);
        }
        struct value value = stream_value(stream);
        struct value back;
        check_round_trip(&value, &back);
        ck_assert_uint_eq(stream_length(stream_of(&back)), count);
        value_release(&value);
        value_release(&back);
    }
}
END_TEST

START_TEST(groups_consumers_and_what_is_pending_survive)
{
    stream_setup();
    struct stream *const stream = stream_create();
    const struct slice fields[] = {SLICE_LITERAL("a"), SLICE_LITERAL("1")};
    for (uint64_t i = 1; i <= 100; i++)
        ck_assert_int_eq(stream_append(stream, (struct stream_id){i, 0}, fields, 1), ST_OK);
    struct stream_group *const group = stream_group_create(
        stream, slice_text("g"), (struct stream_id){60, 0}, STREAM_ENTRIES_READ_UNKNOWN);
    ck_assert_ptr_nonnull(stream_group_create(stream, slice_text("empty"), STREAM_ID_MIN, 0));
    struct stream_consumer *consumers[2];
    consumers[0] = stream_consumer_create(stream, group, slice_text("alice"), 1000);
    consumers[1] = stream_consumer_create(stream, group, slice_text("bob"), 2000);
    for (uint64_t i = 1; i <= 60; i++) {
        const struct stream_pending pending = {.id = {i, 0},
            .consumer = consumers[i % 2],
            .delivery_ms = (int64_t)(5000 + i),
            .delivery_count = i};
        stream_pending_set(stream, group, &pending);
    }
    struct value value = stream_value(stream);
    struct value back;
    check_round_trip(&value, &back);
    const struct stream_group *const restored =
        stream_group_find(stream_of(&back), slice_text("g"));
    struct stream_pending pending;
    ck_assert_ptr_nonnull(restored);
    ck_assert(stream_pending_find(restored, (struct stream_id){7, 0}, &pending));
    ck_assert_int_eq(pending.delivery_ms, 5007);
    ck_assert_uint_eq(pending.delivery_count, 7);
    ck_assert_slice_eq(pending.consumer->name, slice_text("bob"));
    ck_assert_int_eq(pending.consumer->seen_ms, 2000);
    value_release(&value);
    value_release(&back);
}
END_TEST

TEST_GROUP(snapshot_stream_group, an_empty_stream_survives_with_its_last_id,
    entries_of_many_shapes_survive, groups_consumers_and_what_is_pending_survive)
