/*
 * test_stream.c: entries: order, fields, deletion, trimming.
 */
#include "base/mem.h"
#include "stream_support.h"

START_TEST(ids_count_on_and_back_over_the_border_of_their_parts)
{
    struct stream_id id = id_of(5, UINT64_MAX);
    ck_assert(stream_id_next(&id));
    ck_assert_id_eq(id, 6, 0);
    ck_assert(stream_id_previous(&id));
    ck_assert_id_eq(id, 5, UINT64_MAX);
    ck_assert(stream_id_previous(&id));
    ck_assert(stream_id_next(&id));
    id = STREAM_ID_MAX;
    ck_assert(!stream_id_next(&id));
    id = STREAM_ID_MIN;
    ck_assert(!stream_id_previous(&id));
    char out[STREAM_ID_TEXT_MAX];
    ck_assert_text_eq(slice_of(out, stream_id_to_text(STREAM_ID_MAX, out)),
        "18446744073709551615-18446744073709551615");
}
END_TEST

START_TEST(entries_come_in_the_order_of_their_ids_and_back)
{
    struct stream *stream = stream_create();
    add_pair(stream, id_of(0, 1), "a", "1");
    add_pair(stream, id_of(0, 2), "a", "2");
    add_pair(stream, id_of(7, 0), "b", "-12345");
    add_pair(stream, STREAM_ID_MAX, "b", "text");
    ck_assert_uint_eq(stream_length(stream), 4);
    ck_assert_str_eq(describe_all(stream), "0-1 a=1, 0-2 a=2, 7-0 b=-12345, "
                                           "18446744073709551615-18446744073709551615 b=text");
    ck_assert_str_eq(describe(stream, id_of(0, 2), id_of(7, 0), true), "7-0 b=-12345, 0-2 a=2");
    ck_assert_str_eq(describe(stream, id_of(1, 0), id_of(6, 9), true), "");
    ck_assert_str_eq(describe(stream, id_of(1, 0), id_of(6, 9), false), "");
    ck_assert_str_eq(describe(stream, id_of(6, 0), id_of(5, 0), false), "");
    ck_assert_str_eq(describe(stream, STREAM_ID_MIN, STREAM_ID_MIN, true), "");
    stream_check(stream);
    stream_destroy(stream);
}
END_TEST

START_TEST(an_id_that_is_not_greater_is_refused)
{
    struct stream *stream = stream_create();
    const struct slice fields[] = {text("a"), text("1")};
    ck_assert_int_eq(stream_append(stream, STREAM_ID_MIN, fields, 1), ST_INVALID);
    add_pair(stream, id_of(3, 3), "a", "1");
    ck_assert_int_eq(stream_append(stream, id_of(3, 3), fields, 1), ST_INVALID);
    ck_assert_int_eq(stream_append(stream, id_of(2, 9), fields, 1), ST_INVALID);
    ck_assert(stream_delete(stream, id_of(3, 3)));
    ck_assert_int_eq(stream_append(stream, id_of(3, 3), fields, 1), ST_INVALID);
    ck_assert_uint_eq(stream->entries_added, 1);
    stream_destroy(stream);
}
END_TEST

START_TEST(texts_that_look_like_numbers_keep_every_byte)
{
    static const char *const values[] = {"0", "-0", "007", "+5", " 5", "", "-9223372036854775808",
        "9223372036854775807", "9223372036854775808", "127", "128", "-128", "-129", "32768",
        "-32769", "8388608", "2147483648", "-2147483649", "1e5", "12a"};
    struct stream *stream = stream_create();
    for (size_t i = 0; i < COUNT_OF(values); i++)
        add_pair(stream, id_of(i + 1, 0), values[i], values[i]);
    struct stream_walk walk;
    struct stream_entry entry;
    struct slice name;
    struct slice value;
    stream_walk_begin(&walk, stream, STREAM_ID_MIN, STREAM_ID_MAX, false);
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        ck_assert(stream_walk_next(&walk, &entry));
        ck_assert(stream_entry_next(&entry, &name, &value));
        ck_assert_text_eq(name, values[i]);
        ck_assert_text_eq(value, values[i]);
        ck_assert(!stream_entry_next(&entry, &name, &value));
    }
    stream_check(stream);
    stream_destroy(stream);
}
END_TEST

START_TEST(long_entries_and_many_pairs_survive)
{
    struct stream *stream = stream_create();
    char *const bytes = mem_alloc(100000);
    memset(bytes, 'x', 100000);
    struct slice fields[2000];
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        fields[i] = slice_of(bytes, i % 50);
    const struct slice big[] = {text("name"), slice_of(bytes, 100000)};
    ck_assert_int_eq(stream_append(stream, id_of(1, 0), fields, COUNT_OF(fields) / 2), ST_OK);
    ck_assert_int_eq(stream_append(stream, id_of(2, 0), big, 1), ST_OK);
    const struct slice big_name[] = {slice_of(bytes, 100000), text("value")};
    ck_assert_int_eq(stream_append(stream, id_of(3, 0), big_name, 1), ST_OK);
    struct stream_walk walk;
    struct stream_entry entry;
    struct slice name;
    struct slice value;
    stream_walk_begin(&walk, stream, STREAM_ID_MIN, STREAM_ID_MAX, false);
    ck_assert(stream_walk_next(&walk, &entry));
    for (size_t i = 0; i < COUNT_OF(fields); i += 2) {
        ck_assert(stream_entry_next(&entry, &name, &value));
        ck_assert_slice_eq(name, fields[i]);
        ck_assert_slice_eq(value, fields[i + 1]);
    }
    ck_assert(stream_walk_next(&walk, &entry));
    ck_assert(stream_entry_next(&entry, &name, &value));
    ck_assert_slice_eq(value, big[1]);
    ck_assert(stream_walk_next(&walk, &entry));
    ck_assert(stream_entry_next(&entry, &name, &value));
    ck_assert_slice_eq(name, big[1]);
    stream_check(stream);
    stream_destroy(round_trip(stream));
    stream_destroy(stream);
    mem_free(bytes);
}
END_TEST

START_TEST(an_entry_beyond_the_limit_is_refused_before_it_is_copied)
{
    struct stream *stream = stream_create();
    const struct slice fields[] = {text("f"), slice_of("", ELEMENT_SIZE_MAX)};
    ck_assert_int_eq(stream_append(stream, id_of(1, 0), fields, 1), ST_FULL);
    ck_assert_uint_eq(stream->entries_added, 0);
    stream_destroy(stream);
}
END_TEST

START_TEST(names_of_more_lists_than_there_are_shapes_survive)
{
    struct stream *stream = stream_create();
    for (uint64_t i = 0; i < 3 * STREAM_SHAPE_MAX; i++) {
        char name[24];
        name[uint64_to_text(i % (2 * STREAM_SHAPE_MAX), name)] = '\0';
        add_pair(stream, id_of(i + 1, 0), name, name);
    }
    struct stream_walk walk;
    struct stream_entry entry;
    struct slice name;
    struct slice value;
    stream_walk_begin(&walk, stream, STREAM_ID_MIN, STREAM_ID_MAX, false);
    for (uint64_t i = 0; i < 3 * STREAM_SHAPE_MAX; i++) {
        char expected[24];
        expected[uint64_to_text(i % (2 * STREAM_SHAPE_MAX), expected)] = '\0';
        ck_assert(stream_walk_next(&walk, &entry));
        ck_assert(stream_entry_next(&entry, &name, &value));
        ck_assert_text_eq(name, expected);
        ck_assert_text_eq(value, expected);
    }
    stream_check(stream);
    stream_destroy(stream);
}
END_TEST

START_TEST(a_shape_is_given_up_when_its_last_entry_is_gone_and_snapshots_keep_it)
{
    struct stream *stream = stream_create();
    for (uint64_t i = 0; i < STREAM_SHAPE_MAX; i++) {
        const char name[] = {(char)('a' + i), '\0'};
        add_pair(stream, id_of(i + 1, 0), name, "v");
    }
    struct stream *snapshot = stream_snapshot(stream);
    const struct stream_trim trim = {.kind = STREAM_TRIM_LENGTH, .length = 1};
    ck_assert_uint_eq(stream_trim(stream, &trim), STREAM_SHAPE_MAX - 1);
    for (uint64_t i = 0; i < STREAM_SHAPE_MAX; i++) {
        const char name[] = {(char)('A' + i), '\0'};
        add_pair(stream, id_of(100 + i, 0), name, "w");
    }
    stream_check(stream);
    ck_assert_str_eq(describe_all(stream), "8-0 h=v, 100-0 A=w, 101-0 B=w, 102-0 C=w, 103-0 D=w, "
                                           "104-0 E=w, 105-0 F=w, 106-0 G=w, 107-0 H=w");
    ck_assert_str_eq(describe_all(snapshot), "1-0 a=v, 2-0 b=v, 3-0 c=v, 4-0 d=v, 5-0 e=v, "
                                             "6-0 f=v, 7-0 g=v, 8-0 h=v");
    stream_check(snapshot);
    stream_destroy(stream);
    stream_destroy(snapshot);
}
END_TEST

START_TEST(repeated_names_cost_next_to_nothing)
{
    struct stream *shaped = stream_create();
    struct stream *bare = stream_create();
    const struct slice long_names[] = {text("a rather long name of a field"), text("1"),
        text("and another one that is longer"), text("2")};
    const struct slice short_names[] = {text("a"), text("1"), text("b"), text("2")};
    for (uint64_t i = 1; i <= 10000; i++) {
        ck_assert_int_eq(stream_append(shaped, id_of(1700000000000 + i, 0), long_names, 2), ST_OK);
        ck_assert_int_eq(stream_append(bare, id_of(1700000000000 + i, 0), short_names, 2), ST_OK);
    }
    ck_assert_uint_lt(size_of(shaped), size_of(bare) + 1024);
    stream_destroy(shaped);
    stream_destroy(bare);
}
END_TEST

START_TEST(deletion_leaves_the_rest_and_remembers_the_greatest_id)
{
    struct stream *stream = stream_create();
    struct stream_id id;
    ck_assert(!stream_first_id(stream, &id));
    ck_assert(!stream_top_id(stream, &id));
    add_run(stream, 1, 5);
    ck_assert(stream_delete(stream, id_of(4, 0)));
    ck_assert(!stream_delete(stream, id_of(4, 0)));
    ck_assert(!stream_delete(stream, id_of(4, 1)));
    ck_assert(stream_delete(stream, id_of(1, 0)));
    ck_assert_id_eq(stream->max_deleted_id, 4, 0);
    ck_assert(!stream_contains(stream, id_of(4, 0)));
    ck_assert(stream_contains(stream, id_of(3, 0)));
    ck_assert(stream_first_id(stream, &id));
    ck_assert_id_eq(id, 2, 0);
    ck_assert(stream_delete(stream, id_of(5, 0)));
    ck_assert(stream_top_id(stream, &id));
    ck_assert_id_eq(id, 3, 0);
    ck_assert_id_eq(stream->last_id, 5, 0);
    stream_check(stream);
    stream_destroy(stream);
}
END_TEST

static void set_node_limits(int64_t entries, int64_t bytes)
{
    atomic_store(&value_limits.stream_node_max_entries, entries);
    atomic_store(&value_limits.stream_node_max_bytes, bytes);
}

START_TEST(approximate_trimming_takes_whole_nodes)
{
    struct stream *stream = stream_create();
    set_node_limits(10, 4096);
    add_run(stream, 1, 95);
    ck_assert_uint_eq(stream_node_count(stream), 10);
    struct stream_trim trim = {.kind = STREAM_TRIM_LENGTH, .is_approximate = true, .length = 87};
    ck_assert_uint_eq(stream_trim(stream, &trim), 0);
    trim.length = 85;
    ck_assert_uint_eq(stream_trim_count(stream, &trim), 10);
    ck_assert_uint_eq(stream_trim(stream, &trim), 10);
    trim.length = 0;
    trim.limit = 25;
    ck_assert_uint_eq(stream_trim(stream, &trim), 20);
    stream_check(stream);
    trim = (struct stream_trim){.kind = STREAM_TRIM_ID, .is_approximate = true, .id = id_of(50, 0)};
    ck_assert_uint_eq(stream_trim(stream, &trim), 10);
    trim.id = id_of(51, 0);
    ck_assert_uint_eq(stream_trim(stream, &trim), 10);
    trim = (struct stream_trim){.kind = STREAM_TRIM_LENGTH, .is_approximate = true};
    ck_assert_uint_eq(stream_trim(stream, &trim), 45);
    ck_assert_uint_eq(stream_node_count(stream), 0);
    ck_assert_uint_eq(stream_trim(stream, &trim), 0);
    stream_check(stream);
    set_node_limits(100, 4096);
    stream_destroy(stream);
}
END_TEST

START_TEST(exact_trimming_takes_what_is_asked_and_nodes_shrink)
{
    struct stream *stream = stream_create();
    set_node_limits(10, 4096);
    add_run(stream, 1, 30);
    struct stream_trim trim = {.kind = STREAM_TRIM_LENGTH, .length = 15};
    ck_assert_uint_eq(stream_trim(stream, &trim), 15);
    stream_check(stream);
    ck_assert_uint_eq(stream_node_count(stream), 2);
    trim = (struct stream_trim){.kind = STREAM_TRIM_ID, .id = id_of(25, 1)};
    ck_assert_uint_eq(stream_trim(stream, &trim), 10);
    ck_assert_str_eq(describe_all(stream), "26-0 f=26, 27-0 f=27, 28-0 f=28, 29-0 f=29, 30-0 f=30");
    stream_check(stream);
    trim.id = STREAM_ID_MAX;
    ck_assert_uint_eq(stream_trim(stream, &trim), 5);
    stream_check(stream);
    /* Trimming leaves no trace among the deleted. */
    ck_assert_id_eq(stream->max_deleted_id, 0, 0);
    trim = (struct stream_trim){.kind = STREAM_TRIM_NONE};
    ck_assert_uint_eq(stream_trim(stream, &trim), 0);
    set_node_limits(100, 4096);
    stream_destroy(stream);
}
END_TEST

START_TEST(nodes_are_full_by_bytes_too_and_vanish_when_emptied)
{
    struct stream *stream = stream_create();
    set_node_limits(0, 64);
    add_run(stream, 1000, 1099);
    const uint64_t nodes = stream_node_count(stream);
    ck_assert_uint_gt(nodes, 5);
    for (uint64_t ms = 1000; ms <= 1099; ms++) {
        ck_assert(stream_delete(stream, id_of(ms, 0)));
        if (ms % 10 == 0)
            stream_check(stream);
    }
    ck_assert_uint_eq(stream_node_count(stream), 0);
    set_node_limits(0, 0);
    add_run(stream, 2000, 2999);
    ck_assert_uint_eq(stream_node_count(stream), 1);
    /* From the back: the tail goes first, and a new one follows the nodes that are left. */
    set_node_limits(10, 0);
    add_run(stream, 3000, 3024);
    for (uint64_t ms = 3024; ms >= 3015; ms--)
        ck_assert(stream_delete(stream, id_of(ms, 0)));
    add_run(stream, 4000, 4000);
    stream_check(stream);
    set_node_limits(100, 4096);
    stream_destroy(stream);
}
END_TEST

START_TEST(a_snapshot_stays_as_it_was)
{
    struct stream *stream = stream_create();
    add_run(stream, 1, 3);
    struct stream *snapshot = stream_snapshot(stream);
    add_run(stream, 4, 4);
    ck_assert(stream_delete(stream, id_of(1, 0)));
    ck_assert_str_eq(describe_all(snapshot), "1-0 f=1, 2-0 f=2, 3-0 f=3");
    ck_assert_str_eq(describe_all(stream), "2-0 f=2, 3-0 f=3, 4-0 f=4");
    ck_assert_id_eq(snapshot->last_id, 3, 0);
    stream_check(snapshot);
    stream_check(stream);
    stream_destroy(snapshot);
    stream_check(stream);
    stream_destroy(stream);
}
END_TEST

TEST_GROUP(stream_tests, ids_count_on_and_back_over_the_border_of_their_parts,
    entries_come_in_the_order_of_their_ids_and_back, an_id_that_is_not_greater_is_refused,
    texts_that_look_like_numbers_keep_every_byte, long_entries_and_many_pairs_survive,
    an_entry_beyond_the_limit_is_refused_before_it_is_copied,
    names_of_more_lists_than_there_are_shapes_survive,
    a_shape_is_given_up_when_its_last_entry_is_gone_and_snapshots_keep_it,
    repeated_names_cost_next_to_nothing, deletion_leaves_the_rest_and_remembers_the_greatest_id,
    approximate_trimming_takes_whole_nodes, exact_trimming_takes_what_is_asked_and_nodes_shrink,
    nodes_are_full_by_bytes_too_and_vanish_when_emptied, a_snapshot_stays_as_it_was)
