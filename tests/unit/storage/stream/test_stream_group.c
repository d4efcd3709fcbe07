/*
 * test_stream_group.c: groups, consumers, what is pending, and how far a group is.
 */
#include "stream_support.h"

/* A stream of 1-0 to 5-0 with a group "g". */
static struct stream *stream_with_group(void)
{
    struct stream *stream = stream_create();
    add_run(stream, 1, 5);
    ck_assert_ptr_nonnull(
        stream_group_create(stream, text("g"), STREAM_ID_MIN, STREAM_ENTRIES_READ_UNKNOWN));
    return stream;
}

static void set_pending(struct stream *stream, const char *group_name, const char *consumer,
    uint64_t ms, int64_t delivery_ms, uint64_t count)
{
    struct stream_group *group = stream_group_edit(stream, text(group_name));
    const struct stream_pending pending = {.id = id_of(ms, 0),
        .consumer = stream_consumer_find(group, text(consumer)),
        .delivery_ms = delivery_ms,
        .delivery_count = count};
    ck_assert_ptr_nonnull(pending.consumer);
    stream_pending_set(stream, group, &pending);
}

static void make_consumer(struct stream *stream, const char *group_name, const char *name)
{
    struct stream_group *group = stream_group_edit(stream, text(group_name));
    ck_assert_ptr_nonnull(stream_consumer_create(stream, group, text(name), 7));
}

START_TEST(groups_are_kept_by_name)
{
    struct stream *stream = stream_create();
    ck_assert_ptr_nonnull(stream_group_create(stream, text("b"), id_of(1, 0), 3));
    ck_assert_ptr_nonnull(stream_group_create(stream, text("a"), id_of(2, 0), -1));
    ck_assert_ptr_nonnull(stream_group_create(stream, text("c"), id_of(3, 0), 0));
    ck_assert_ptr_nonnull(stream_group_create(stream, text(""), id_of(4, 0), 0));
    ck_assert_ptr_null(stream_group_create(stream, text("b"), id_of(1, 0), 3));
    ck_assert_str_eq(describe_groups(stream), " 4-0/0;a 2-0/-1;b 1-0/3;c 3-0/0;");
    ck_assert_ptr_null(stream_group_find(stream, text("d")));
    ck_assert_ptr_null(stream_group_edit(stream, text("d")));
    ck_assert(stream_group_destroy(stream, text("b")));
    ck_assert(!stream_group_destroy(stream, text("b")));
    stream_check(stream);
    ck_assert_str_eq(describe_groups(stream), " 4-0/0;a 2-0/-1;c 3-0/0;");
    stream_destroy(stream);
}
END_TEST

START_TEST(pending_entries_belong_to_one_consumer_at_a_time)
{
    struct stream *stream = stream_with_group();
    make_consumer(stream, "g", "bob");
    make_consumer(stream, "g", "alice");
    set_pending(stream, "g", "bob", 1, 100, 1);
    set_pending(stream, "g", "bob", 2, 100, 1);
    set_pending(stream, "g", "alice", 3, 200, 2);
    set_pending(stream, "g", "alice", 1, 300, 5);
    set_pending(stream, "g", "bob", 2, -5, 0);
    stream_check(stream);
    ck_assert_str_eq(
        describe_groups(stream), "g 0-0/-1 [alice: 1-0(300x5) 3-0(200x2)] [bob: 2-0(-5x0)];");
    struct stream_group *group = stream_group_edit(stream, text("g"));
    struct stream_pending pending;
    ck_assert(stream_pending_last(group, &pending));
    ck_assert_id_eq(pending.id, 3, 0);
    ck_assert(!stream_pending_find(group, id_of(4, 0), &pending));
    ck_assert(stream_pending_remove(stream, group, id_of(1, 0)));
    ck_assert(!stream_pending_remove(stream, group, id_of(1, 0)));
    stream_check(stream);
    ck_assert_str_eq(describe_groups(stream), "g 0-0/-1 [alice: 3-0(200x2)] [bob: 2-0(-5x0)];");
    stream_consumer_destroy(stream, group, stream_consumer_find(group, text("alice")));
    ck_assert_ptr_null(stream_consumer_find(group, text("alice")));
    stream_check(stream);
    ck_assert_str_eq(describe_groups(stream), "g 0-0/-1 [bob: 2-0(-5x0)];");
    /* The number that is free is taken by the next. */
    make_consumer(stream, "g", "carol");
    set_pending(stream, "g", "carol", 5, 1, 1);
    stream_check(stream);
    ck_assert_ptr_null(stream_consumer_create(stream, group, text("carol"), 0));
    ck_assert(!stream_pending_remove(stream, group, id_of(3, 0)));
    stream_destroy(stream);
}
END_TEST

START_TEST(many_consumers_keep_their_numbers_apart)
{
    struct stream *stream = stream_with_group();
    struct random random;
    test_random_init(&random);
    for (unsigned round = 0; round < 500; round++) {
        char name[24];
        name[uint64_to_text(random_below(&random, 60), name)] = '\0';
        struct stream_group *group = stream_group_edit(stream, text("g"));
        struct stream_consumer *consumer = stream_consumer_find(group, text(name));
        if (consumer == NULL)
            consumer = stream_consumer_create(stream, group, text(name), 0);
        else if (random_below(&random, 2) == 0) {
            stream_consumer_destroy(stream, group, consumer);
            consumer = NULL;
        }
        if (consumer != NULL)
            set_pending(stream, "g", name, random_below(&random, 40) + 1, round, 1);
        if (round % 50 == 0) {
            stream_check(stream);
            struct stream *snapshot = stream_snapshot(stream);
            stream_check(snapshot);
            stream_destroy(snapshot);
        }
    }
    stream_check(stream);
    stream_destroy(stream);
}
END_TEST

START_TEST(a_shared_group_is_copied_before_it_changes)
{
    struct stream *stream = stream_with_group();
    make_consumer(stream, "g", "bob");
    set_pending(stream, "g", "bob", 1, 100, 1);
    struct stream *snapshot = stream_snapshot(stream);
    const struct stream_group *const shared = stream_group_find(stream, text("g"));
    ck_assert_ptr_eq(stream_group_find(snapshot, text("g")), shared);
    struct stream_group *group = stream_group_edit(stream, text("g"));
    ck_assert_ptr_ne(group, shared);
    ck_assert_ptr_eq(stream_group_edit(stream, text("g")), group);
    group->last_id = id_of(9, 9);
    make_consumer(stream, "g", "alice");
    set_pending(stream, "g", "alice", 1, 300, 2);
    set_pending(stream, "g", "bob", 2, 300, 1);
    const char *const before = "g 0-0/-1 [bob: 1-0(100x1)];";
    ck_assert_str_eq(describe_groups(snapshot), before);
    ck_assert_str_eq(describe_groups(stream), "g 9-9/-1 [alice: 1-0(300x2)] [bob: 2-0(300x1)];");
    stream_check(stream);
    stream_check(snapshot);
    ck_assert(stream_group_destroy(stream, text("g")));
    ck_assert_str_eq(describe_groups(snapshot), before);
    stream_destroy(stream);
    stream_check(snapshot);
    stream_destroy(snapshot);
}
END_TEST

START_TEST(memory_goes_back_to_where_it_was)
{
    struct stream *stream = stream_create();
    add_run(stream, 1, 3);
    const size_t before = size_of(stream);
    ck_assert_ptr_nonnull(stream_group_create(stream, text("g"), STREAM_ID_MIN, 0));
    for (unsigned i = 0; i < 20; i++) {
        const char name[] = {(char)('a' + i), '\0'};
        make_consumer(stream, "g", name);
        for (unsigned j = 1; j <= 500; j++)
            set_pending(stream, "g", name, 1000 * i + j, 1, 1);
    }
    ck_assert_uint_gt(size_of(stream), before + (size_t)20 * 500 * 10);
    struct stream *snapshot = stream_snapshot(stream);
    ck_assert_uint_eq(size_of(snapshot), size_of(stream));
    const size_t full = size_of(stream);
    (void)stream_group_edit(stream, text("g"));
    ck_assert_uint_eq(size_of(stream), full);
    struct stream_group *group = stream_group_edit(stream, text("g"));
    stream_consumer_destroy(stream, group, stream_consumer_find(group, text("c")));
    ck_assert_uint_lt(size_of(stream), full);
    ck_assert(stream_group_destroy(stream, text("g")));
    ck_assert_uint_eq(size_of(stream), before);
    stream_destroy(snapshot);
    stream_destroy(stream);
}
END_TEST

static void check_lag(const struct stream *stream, bool is_known, int64_t expected)
{
    int64_t lag = -7;
    ck_assert_int_eq(
        stream_group_lag(stream, stream_group_find(stream, text("g")), &lag), is_known);
    if (is_known)
        ck_assert_int_eq(lag, expected);
}

static void advance(struct stream *stream, uint64_t ms)
{
    stream_group_advance(stream, stream_group_edit(stream, text("g")), id_of(ms, 0));
}

START_TEST(lag_counts_what_a_group_has_not_delivered)
{
    struct stream *stream = stream_with_group();
    check_lag(stream, true, 5);
    advance(stream, 1);
    ck_assert_int_eq(stream_group_find(stream, text("g"))->entries_read, 1);
    check_lag(stream, true, 4);
    advance(stream, 2);
    check_lag(stream, true, 3);
    /* Back does not count. */
    advance(stream, 1);
    check_lag(stream, true, 3);
    advance(stream, 3);
    advance(stream, 4);
    advance(stream, 5);
    check_lag(stream, true, 0);
    add_run(stream, 6, 6);
    check_lag(stream, true, 1);
    stream_destroy(stream);
}
END_TEST

START_TEST(lag_is_unknown_while_deleted_entries_are_ahead)
{
    struct stream *stream = stream_with_group();
    ck_assert(stream_delete(stream, id_of(3, 0)));
    check_lag(stream, false, 0);
    advance(stream, 1);
    ck_assert_int_eq(stream_group_find(stream, text("g"))->entries_read, -1);
    check_lag(stream, false, 0);
    advance(stream, 5);
    ck_assert_int_eq(stream_group_find(stream, text("g"))->entries_read, 5);
    check_lag(stream, true, 0);
    const struct stream_trim trim = {.kind = STREAM_TRIM_ID, .id = id_of(3, 0)};
    struct stream_group *group = stream_group_edit(stream, text("g"));
    group->last_id = STREAM_ID_MIN;
    group->entries_read = STREAM_ENTRIES_READ_UNKNOWN;
    ck_assert_uint_eq(stream_trim(stream, &trim), 2);
    check_lag(stream, true, 2);
    group->last_id = id_of(9, 0);
    check_lag(stream, false, 0);
    stream_destroy(stream);
}
END_TEST

START_TEST(lag_of_empty_streams_is_nothing)
{
    struct stream *stream = stream_create();
    ck_assert_ptr_nonnull(stream_group_create(stream, text("g"), STREAM_ID_MIN, -1));
    check_lag(stream, true, 0);
    add_run(stream, 1, 1);
    ck_assert(stream_delete(stream, id_of(1, 0)));
    check_lag(stream, true, 0);
    stream_destroy(stream);
}
END_TEST

START_TEST(a_counter_at_its_end_does_not_overflow)
{
    struct stream *stream = stream_with_group();
    struct stream_group *group = stream_group_edit(stream, text("g"));
    group->last_id = id_of(1, 0);
    group->entries_read = INT64_MAX;
    advance(stream, 2);
    ck_assert_int_eq(group->entries_read, STREAM_ENTRIES_READ_UNKNOWN);
    group->entries_read = INT64_MAX;
    stream->entries_added = INT64_MAX;
    check_lag(stream, true, 0);
    stream_destroy(stream);
}
END_TEST

TEST_GROUP(stream_group_tests, groups_are_kept_by_name,
    pending_entries_belong_to_one_consumer_at_a_time, many_consumers_keep_their_numbers_apart,
    a_shared_group_is_copied_before_it_changes, memory_goes_back_to_where_it_was,
    lag_counts_what_a_group_has_not_delivered, lag_is_unknown_while_deleted_entries_are_ahead,
    lag_of_empty_streams_is_nothing, a_counter_at_its_end_does_not_overflow)
