/*
 * test_hot_room.c: S3-FIFO: who leaves first, who is spared, who is remembered.
 */
#include "hot_fixture.h"
#include "hot_internal.h"

#include <stdio.h>

/* All in one partition, so that one set of queues is at work. */
#define PARTITION 7

struct named {
    char name[32];
};

static struct named next_name(const char *prefix, unsigned *n)
{
    struct named named;
    (void)key_in_partition(named.name, prefix, PARTITION, n);
    return named;
}

static struct hot_record *find_named(struct fixture *f, const struct named *named)
{
    return find(f, named->name);
}

static struct hot_record *restore(
    struct fixture *f, const struct named *named, struct hot_content content)
{
    const struct key key = key_of(named->name);
    return hot_restore(f->hot, &key, &content);
}

static struct hot_demotion demote_some(struct fixture *f, size_t target_bytes, size_t step_max)
{
    struct hot_demotion demotion;
    hot_demote(f->hot, PARTITION, target_bytes, step_max, &demotion);
    return demotion;
}

/* `count` clean records of the same size; names gives them back. */
static void promote_many(struct fixture *f, struct named *names, unsigned count, const char *prefix)
{
    unsigned n = 0;
    for (unsigned index = 0; index < count; index++) {
        names[index] = next_name(prefix, &n);
        (void)promote(f, names[index].name, "value of some length");
    }
}

START_TEST(the_oldest_unused_record_leaves_first)
{
    struct fixture f;
    fixture_open(&f);
    struct named names[10];
    promote_many(&f, names, 10, "k");
    const size_t bytes = hot_record_bytes(find_named(&f, &names[0]));
    const struct hot_demotion demotion = demote_some(&f, bytes * 3, 100);
    ck_assert_uint_eq(demotion.freed_bytes, bytes * 3);
    ck_assert_uint_eq(demotion.examined_count, 3);
    ck_assert_uint_eq(demotion.dirty_count, 0);
    for (unsigned index = 0; index < 10; index++) {
        ck_assert_int_eq(find_named(&f, &names[index]) == NULL, index < 3);
    }
    ck_assert_uint_eq(metrics_of(&f).demoted_count, 3);
    fixture_close(&f);
}
END_TEST

START_TEST(a_record_used_again_moves_to_main_and_outlives_the_others)
{
    struct fixture f;
    fixture_open(&f);
    struct named names[20];
    promote_many(&f, names, 20, "k");
    for (unsigned index = 0; index < 20; index++) {
        touch(&f, names[index].name);
    }
    touch(&f, names[0].name);
    touch(&f, names[0].name);
    (void)demote_some(&f, 1, 100);
    ck_assert_int_eq(hot_record_heat(find_named(&f, &names[0])).queue, HOT_QUEUE_MAIN);
    ck_assert_uint_eq(hot_record_heat(find_named(&f, &names[0])).frequency, 0);
    ck_assert_ptr_null(find_named(&f, &names[1]));
    fixture_close(&f);
}
END_TEST

START_TEST(a_record_in_main_survives_as_many_rounds_as_it_was_used)
{
    struct fixture f;
    fixture_open(&f);
    struct hot_content content = content_of("value");
    content.heat = (struct hot_heat){.queue = HOT_QUEUE_MAIN, .frequency = 3};
    unsigned n = 0;
    struct named named = next_name("k", &n);
    (void)restore(&f, &named, content);
    for (unsigned left = 3; left > 0; left--) {
        ck_assert_uint_eq(hot_record_heat(find_named(&f, &named)).frequency, left);
        ck_assert_uint_eq(demote_some(&f, SIZE_MAX, 1).freed_bytes, 0);
    }
    ck_assert_uint_gt(demote_some(&f, SIZE_MAX, 1).freed_bytes, 0);
    ck_assert_ptr_null(find_named(&f, &named));
    fixture_close(&f);
}
END_TEST

START_TEST(a_scan_of_cold_records_does_not_displace_the_working_set)
{
    struct fixture f;
    fixture_open(&f);
    struct named working[100];
    promote_many(&f, working, 100, "work");
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned index = 0; index < 100; index++) {
            touch(&f, working[index].name);
        }
    }
    const size_t limit = metrics_of(&f).record_bytes * 12 / 10;
    unsigned n = 0;
    for (unsigned count = 0; count < 5000; count++) {
        const struct named scanned = next_name("scan", &n);
        (void)promote(&f, scanned.name, "value of some length");
        touch(&f, scanned.name);
        const uint64_t bytes = metrics_of(&f).record_bytes;
        if (bytes > limit) {
            (void)demote_some(&f, bytes - limit, 1000);
        }
        /* The working set is used now and then. */
        touch(&f, working[count % 100].name);
    }
    for (unsigned index = 0; index < 100; index++) {
        ck_assert_ptr_nonnull(find_named(&f, &working[index]));
    }
    fixture_close(&f);
}
END_TEST

START_TEST(a_demoted_record_that_returns_enters_main)
{
    struct fixture f;
    fixture_open(&f);
    struct named names[2];
    promote_many(&f, names, 2, "k");
    (void)demote_some(&f, 1, 100);
    ck_assert_ptr_null(find_named(&f, &names[0]));
    ck_assert_uint_gt(metrics_of(&f).ghost_bytes, 0);
    (void)promote(&f, names[0].name, "v");
    ck_assert_int_eq(hot_record_heat(find_named(&f, &names[0])).queue, HOT_QUEUE_MAIN);
    ck_assert_uint_eq(metrics_of(&f).ghost_hit_count, 1);
    /* Remembered once. */
    ck_assert(demote(&f, names[0].name));
    (void)promote(&f, names[0].name, "v");
    ck_assert_int_eq(hot_record_heat(find_named(&f, &names[0])).queue, HOT_QUEUE_PROBATION);
    ck_assert_uint_eq(metrics_of(&f).ghost_hit_count, 1);
    fixture_close(&f);
}
END_TEST

START_TEST(a_written_record_that_was_demoted_before_enters_main)
{
    struct fixture f;
    fixture_open(&f);
    struct named names[2];
    promote_many(&f, names, 2, "k");
    (void)demote_some(&f, 1, 100);
    (void)put(&f, names[0].name, "v");
    ck_assert_int_eq(hot_record_heat(find_named(&f, &names[0])).queue, HOT_QUEUE_MAIN);
    fixture_close(&f);
}
END_TEST

START_TEST(ghosts_are_bounded_by_the_number_of_records)
{
    struct fixture f;
    fixture_open(&f);
    unsigned n = 0;
    for (unsigned count = 0; count < 20000; count++) {
        const struct named named = next_name("k", &n);
        (void)promote(&f, named.name, "v");
        if (count >= 1000) {
            (void)demote_some(&f, 1, 10);
        }
    }
    const struct hot_partition *partition = &f.hot->partitions[PARTITION];
    ck_assert_uint_eq(metrics_of(&f).record_count, 1000);
    ck_assert_uint_le(ghost_count(&partition->ghost), 1000);
    ck_assert_uint_ge(ghost_count(&partition->ghost), 400);
    ck_assert_uint_le(metrics_of(&f).ghost_bytes, 1000 * 8);
    fixture_close(&f);
}
END_TEST

START_TEST(ghosts_remember_the_most_recent_departures)
{
    struct hot_ghost ghost = {0};
    struct random random;
    test_random_init(&random);
    uint64_t hashes[3000];
    for (unsigned index = 0; index < COUNT_OF(hashes); index++) {
        hashes[index] = random_next(&random);
        ghost_add(&ghost, hashes[index], 1000);
    }
    unsigned recent_count = 0;
    unsigned ancient_count = 0;
    for (unsigned index = 0; index < 500; index++) {
        ancient_count += ghost_take(&ghost, hashes[index]);
        recent_count += ghost_take(&ghost, hashes[COUNT_OF(hashes) - 1 - index]);
    }
    ck_assert_uint_eq(ancient_count, 0);
    /* A full bucket may forget a few. */
    ck_assert_uint_ge(recent_count, 450);
    ck_assert(!ghost_take(&ghost, hashes[COUNT_OF(hashes) - 1]));
    ghost_deinit(&ghost);
}
END_TEST

START_TEST(a_prefetched_record_enters_probation_and_its_first_use_is_reported_once)
{
    struct fixture f;
    fixture_open(&f);
    unsigned n = 0;
    struct named named = next_name("k", &n);
    struct hot_content content = content_of("v");
    content.prefetched = true;
    struct hot_record *record = restore(&f, &named, content);
    ck_assert(hot_record_prefetched(record));
    ck_assert_int_eq(hot_record_heat(record).queue, HOT_QUEUE_PROBATION);
    ck_assert(hot_touch(f.hot, record, 1));
    ck_assert(!hot_record_prefetched(record));
    ck_assert(!hot_touch(f.hot, record, 1));
    ck_assert_uint_eq(metrics_of(&f).prefetch_used_count, 1);
    ck_assert_uint_eq(metrics_of(&f).prefetch_wasted_count, 0);
    ck_assert_uint_eq(hot_record_heat(record).frequency, 1);
    fixture_close(&f);
}
END_TEST

START_TEST(a_prefetched_record_demoted_unused_is_waste_and_leaves_no_ghost)
{
    struct fixture f;
    fixture_open(&f);
    unsigned n = 0;
    struct named named = next_name("k", &n);
    struct hot_content content = content_of("v");
    content.prefetched = true;
    (void)restore(&f, &named, content);
    (void)demote_some(&f, 1, 10);
    ck_assert_uint_eq(metrics_of(&f).prefetch_wasted_count, 1);
    ck_assert_uint_eq(metrics_of(&f).ghost_bytes, 0);
    (void)promote(&f, named.name, "v");
    ck_assert_uint_eq(metrics_of(&f).ghost_hit_count, 0);
    /* Nor does a guess use up the ghost of a real use. */
    (void)demote_some(&f, 1, 10);
    (void)restore(&f, &named, content);
    ck_assert_int_eq(hot_record_heat(find_named(&f, &named)).queue, HOT_QUEUE_PROBATION);
    (void)demote_some(&f, 1, 10);
    (void)promote(&f, named.name, "v");
    ck_assert_uint_eq(metrics_of(&f).ghost_hit_count, 1);
    fixture_close(&f);
}
END_TEST

START_TEST(demotion_spares_records_that_are_pinned)
{
    struct fixture f;
    fixture_open(&f);
    struct named names[10];
    promote_many(&f, names, 10, "k");
    ck_assert(hot_pin(find_named(&f, &names[0])));
    ck_assert(hot_pin(find_named(&f, &names[5])));
    ck_assert(!demote(&f, names[0].name));
    (void)demote_some(&f, SIZE_MAX, 100);
    ck_assert_ptr_nonnull(find_named(&f, &names[0]));
    ck_assert_ptr_nonnull(find_named(&f, &names[5]));
    ck_assert_uint_eq(metrics_of(&f).record_count, 2);
    hot_unpin(find_named(&f, &names[0]));
    hot_unpin(find_named(&f, &names[5]));
    (void)demote_some(&f, SIZE_MAX, 100);
    ck_assert_uint_eq(metrics_of(&f).record_count, 0);
    fixture_close(&f);
}
END_TEST

START_TEST(demotion_spares_dirty_records_and_counts_them)
{
    struct fixture f;
    fixture_open(&f);
    unsigned n = 0;
    struct named names[10];
    for (unsigned index = 0; index < 10; index++) {
        names[index] = next_name("k", &n);
        (void)put(&f, names[index].name, "v");
    }
    ck_assert(!demote(&f, names[0].name));
    /* Bounded, though nothing can leave. */
    struct hot_demotion demotion = demote_some(&f, SIZE_MAX, 25);
    ck_assert_uint_eq(demotion.freed_bytes, 0);
    ck_assert_uint_eq(demotion.examined_count, 25);
    ck_assert_uint_eq(demotion.dirty_count, 25);
    ck_assert_int_eq(hot_record_heat(find_named(&f, &names[0])).queue, HOT_QUEUE_MAIN);
    hot_epoch_flip(f.hot);
    ck_assert_uint_eq(demote_some(&f, SIZE_MAX, 25).freed_bytes, 0);
    (void)image_all(&f);
    ck_assert_uint_eq(demote_some(&f, SIZE_MAX, 25).freed_bytes, 0);
    commit_all(&f);
    demotion = demote_some(&f, SIZE_MAX, 25);
    ck_assert_uint_eq(demotion.dirty_count, 0);
    ck_assert_uint_eq(metrics_of(&f).record_count, 0);
    fixture_close(&f);
}
END_TEST

START_TEST(clean_stubs_and_absent_entries_go_first)
{
    struct fixture f;
    fixture_open(&f);
    unsigned n = 0;
    struct named record = next_name("k", &n);
    struct named stub = next_name("k", &n);
    struct named absent = next_name("k", &n);
    struct named pinned = next_name("k", &n);
    struct named pending = next_name("k", &n);
    (void)promote(&f, record.name, "v");
    (void)restore(&f, &stub, (struct hot_content){.state = HOT_STUB});
    (void)restore(&f, &absent, (struct hot_content){.state = HOT_ABSENT});
    ck_assert(hot_pin(restore(&f, &pinned, (struct hot_content){.state = HOT_STUB})));
    const struct key pending_key = key_of(pending.name);
    hot_delete_cold(f.hot, &pending_key);
    const struct hot_demotion demotion = demote_some(&f, SIZE_MAX, 3);
    ck_assert_uint_eq(demotion.examined_count, 3);
    ck_assert_ptr_null(find_named(&f, &stub));
    ck_assert_ptr_null(find_named(&f, &absent));
    ck_assert_ptr_nonnull(find_named(&f, &record));
    ck_assert_ptr_nonnull(find_named(&f, &pinned));
    ck_assert_ptr_nonnull(find_named(&f, &pending));
    ck_assert_uint_eq(metrics_of(&f).demoted_count, 0);
    (void)demote_some(&f, SIZE_MAX, 100);
    ck_assert_ptr_null(find_named(&f, &record));
    ck_assert_ptr_nonnull(find_named(&f, &pinned));
    fixture_close(&f);
}
END_TEST

START_TEST(demotion_of_an_empty_partition_does_nothing)
{
    struct fixture f;
    fixture_open(&f);
    const struct hot_demotion demotion = demote_some(&f, SIZE_MAX, 100);
    ck_assert_uint_eq(demotion.examined_count, 0);
    ck_assert_uint_eq(demotion.freed_bytes, 0);
    fixture_close(&f);
}
END_TEST

static void collect_name(void *context, struct hot_record *record)
{
    char *text = context;
    const struct key key = hot_record_key(record, false);
    (void)snprintf(text + strlen(text), 200 - strlen(text), "%.*s ", (int)key.size, key.data);
}

START_TEST(a_queue_is_visited_newest_first)
{
    struct fixture f;
    fixture_open(&f);
    struct named names[4];
    promote_many(&f, names, 4, "k");
    char text[200] = "";
    char expected[200];
    hot_visit_queue(f.hot, PARTITION, HOT_QUEUE_PROBATION, 3, collect_name, text);
    (void)snprintf(
        expected, sizeof(expected), "%s %s %s ", names[3].name, names[2].name, names[1].name);
    ck_assert_str_eq(text, expected);
    text[0] = '\0';
    hot_visit_queue(f.hot, PARTITION, HOT_QUEUE_MAIN, 3, collect_name, text);
    ck_assert_str_eq(text, "");
    fixture_close(&f);
}
END_TEST

TEST_GROUP(room_group, the_oldest_unused_record_leaves_first,
    a_record_used_again_moves_to_main_and_outlives_the_others,
    a_record_in_main_survives_as_many_rounds_as_it_was_used,
    a_scan_of_cold_records_does_not_displace_the_working_set,
    a_demoted_record_that_returns_enters_main, a_written_record_that_was_demoted_before_enters_main,
    ghosts_are_bounded_by_the_number_of_records, ghosts_remember_the_most_recent_departures,
    a_prefetched_record_enters_probation_and_its_first_use_is_reported_once,
    a_prefetched_record_demoted_unused_is_waste_and_leaves_no_ghost,
    demotion_spares_records_that_are_pinned, demotion_spares_dirty_records_and_counts_them,
    clean_stubs_and_absent_entries_go_first, demotion_of_an_empty_partition_does_nothing,
    a_queue_is_visited_newest_first)
