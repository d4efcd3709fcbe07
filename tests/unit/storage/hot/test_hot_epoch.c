/*
 * test_hot_epoch.c: states and dirty states: what each change does in each of them, and what a checkpoint sees.
 */
#include "hot_fixture.h"
#include "hot_internal.h"

/* --- commands' changes in the current epoch ------------------------------------------------------------ */

START_TEST(deleting_a_record_the_cold_tier_never_saw_leaves_nothing)
{
    struct fixture f;
    fixture_open(&f);
    (void)put(&f, "k", "v");
    delete (&f, "k");
    ck_assert_ptr_null(find(&f, "k"));
    ck_assert_uint_eq(metrics_of(&f).entry_count, 0);
    ck_assert_uint_eq(metrics_of(&f).dirty_count, 0);
    fixture_close(&f);
}
END_TEST

START_TEST(deleting_a_record_the_cold_tier_may_hold_leaves_a_pending_delete)
{
    struct fixture f;
    fixture_open(&f);
    const struct key key = key_of("k");
    const struct hot_record *record =
        hot_write(f.hot, &key, NULL, value_string(slice_text("v")), 99, true);
    ck_assert(hot_record_in_cold(record));
    ck_assert(!hot_record_cold_committed(record));
    delete (&f, "k");
    record = find(&f, "k");
    ck_assert_int_eq(hot_record_state(record), HOT_ABSENT);
    ck_assert_int_eq(hot_record_dirty(f.hot, record), HOT_DIRTY);
    ck_assert(hot_record_in_cold(record));
    ck_assert_uint_eq(hot_record_expire_ms(record), 0);
    ck_assert_uint_eq(metrics_of(&f).record_count, 0);
    ck_assert_uint_eq(metrics_of(&f).entry_count, 1);
    fixture_close(&f);
}
END_TEST

START_TEST(a_pending_delete_keeps_no_memory_of_the_value)
{
    struct fixture f;
    fixture_open(&f);
    char text[1000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    (void)promote(&f, "k", text);
    delete (&f, "k");
    ck_assert_uint_le(hot_record_bytes(find(&f, "k")), 48);
    fixture_close(&f);
}
END_TEST

START_TEST(a_key_without_entry_can_be_deleted_in_the_cold_tier)
{
    struct fixture f;
    fixture_open(&f);
    const struct key key = key_of("cold");
    hot_delete_cold(f.hot, &key);
    ck_assert_int_eq(hot_record_state(find(&f, "cold")), HOT_ABSENT);
    ck_assert_int_eq(dirty_of(&f, "cold"), HOT_DIRTY);
    ck_assert(hot_record_in_cold(find(&f, "cold")));
    checkpoint(&f);
    ck_assert_ptr_null(find(&f, "cold"));
    fixture_close(&f);
}
END_TEST

START_TEST(a_record_written_over_a_pending_delete_is_still_in_the_cold_tier)
{
    struct fixture f;
    fixture_open(&f);
    (void)promote(&f, "k", "v");
    delete (&f, "k");
    const struct hot_record *record = put(&f, "k", "new");
    ck_assert_int_eq(hot_record_state(record), HOT_RESIDENT);
    ck_assert(hot_record_in_cold(record));
    ck_assert(hot_record_cold_committed(record));
    ck_assert(value_is(record, "new"));
    fixture_close(&f);
}
END_TEST

START_TEST(every_kind_of_change_makes_a_clean_record_dirty)
{
    struct fixture f;
    fixture_open(&f);
    const struct key edited = key_of("edited");
    (void)promote(&f, "written", "v");
    (void)promote(&f, "expiring", "v");
    (void)promote(&f, "deleted", "v");
    (void)promote(&f, "edited", "v");
    ck_assert_uint_eq(metrics_of(&f).dirty_count, 0);
    (void)put(&f, "written", "w");
    (void)expire(&f, "expiring", 4);
    delete (&f, "deleted");
    hot_edit(f.hot, &edited, find(&f, "edited"));
    hot_edit_done(f.hot, find(&f, "edited"), 0);
    static const char *const names[] = {"written", "expiring", "deleted", "edited"};
    uint64_t bytes = 0;
    for (size_t index = 0; index < COUNT_OF(names); index++) {
        ck_assert_int_eq(dirty_of(&f, names[index]), HOT_DIRTY);
        ck_assert(hot_record_in_cold(find(&f, names[index])));
        bytes += hot_record_bytes(find(&f, names[index]));
    }
    ck_assert_uint_eq(metrics_of(&f).dirty_count, 4);
    ck_assert_uint_eq(metrics_of(&f).dirty_bytes, bytes);
    ck_assert_uint_eq(f.image_count, 0);
    fixture_close(&f);
}
END_TEST

/* --- cold reads -------------------------------------------------------------------------------------------- */

START_TEST(a_fetch_gives_back_its_owner_and_is_not_demoted)
{
    struct fixture f;
    fixture_open(&f);
    const struct key key = key_of("k");
    int owner;
    struct hot_record *record = hot_fetch_begin(f.hot, &key, &owner);
    ck_assert_int_eq(hot_record_state(record), HOT_FETCHING);
    ck_assert_int_eq(hot_record_dirty(f.hot, record), HOT_CLEAN);
    ck_assert_ptr_eq(hot_fetch_owner(record), &owner);
    ck_assert(!hot_demote_record(f.hot, &key, record));
    fixture_check(&f);
    ck_assert_ptr_null(hot_install(f.hot, &key, record, NULL));
    ck_assert_ptr_null(find(&f, "k"));
    fixture_close(&f);
}
END_TEST

START_TEST(an_installed_record_is_clean_and_committed)
{
    struct fixture f;
    fixture_open(&f);
    const struct key key = key_of("k");
    struct hot_content content = content_of("value");
    content.expire_ms = 1234;
    struct hot_record *record = hot_fetch_begin(f.hot, &key, NULL);
    ck_assert(hot_pin(record));
    record = hot_install(f.hot, &key, record, &content);
    ck_assert_ptr_eq(find(&f, "k"), record);
    ck_assert_int_eq(hot_record_dirty(f.hot, record), HOT_CLEAN);
    ck_assert(hot_record_in_cold(record));
    ck_assert(hot_record_cold_committed(record));
    ck_assert(value_is(record, "value"));
    ck_assert_uint_eq(hot_record_expire_ms(record), 1234);
    ck_assert_int_eq(hot_record_heat(record).queue, HOT_QUEUE_PROBATION);
    /* Whoever waits for it has pinned it. */
    ck_assert(!hot_demote_record(f.hot, &key, record));
    hot_unpin(record);
    ck_assert(hot_demote_record(f.hot, &key, record));
    fixture_close(&f);
}
END_TEST

START_TEST(an_installed_stub_knows_all_but_the_value)
{
    struct fixture f;
    fixture_open(&f);
    const struct key key = key_of("k");
    const struct hot_content content = {
        .state = HOT_STUB,
        .type = VALUE_ZSET,
        .encoding = VALUE_ENCODING_SKIPLIST,
        .value_size = (uint64_t)1 << 40,
        .expire_ms = 77,
        .corrupt = true,
    };
    struct hot_record *record =
        hot_install(f.hot, &key, hot_fetch_begin(f.hot, &key, NULL), &content);
    ck_assert_int_eq(hot_record_state(record), HOT_STUB);
    ck_assert_int_eq(hot_record_value(record).type, VALUE_ZSET);
    ck_assert_int_eq(hot_record_value(record).encoding, VALUE_ENCODING_SKIPLIST);
    ck_assert_uint_eq(hot_record_value_size(record), (uint64_t)1 << 40);
    ck_assert_uint_eq(hot_record_expire_ms(record), 77);
    ck_assert(hot_record_corrupt(record));
    ck_assert(hot_record_cold_committed(record));
    ck_assert_int_eq(hot_record_heat(record).queue, HOT_QUEUE_NONE);
    ck_assert_uint_eq(metrics_of(&f).record_count, 0);
    fixture_check(&f);

    record = hot_fetch_upgrade(f.hot, &key, record, &f);
    ck_assert_int_eq(hot_record_state(record), HOT_FETCHING);
    ck_assert_ptr_eq(hot_fetch_owner(record), &f);
    fixture_check(&f);
    const struct hot_content whole = content_of("text");
    record = hot_install(f.hot, &key, record, &whole);
    ck_assert(value_is(record, "text"));
    ck_assert_uint_eq(hot_record_expire_ms(record), 0);
    ck_assert(!hot_record_corrupt(record));
    fixture_close(&f);
}
END_TEST

START_TEST(stubs_can_be_overwritten_and_deleted_without_their_value)
{
    struct fixture f;
    fixture_open(&f);
    const struct key key = key_of("k");
    const struct hot_content stub = {
        .state = HOT_STUB, .value_size = 5, .expire_ms = 8, .corrupt = true};
    (void)hot_install(f.hot, &key, hot_fetch_begin(f.hot, &key, NULL), &stub);
    const struct hot_record *record = put(&f, "k", "v");
    ck_assert_int_eq(hot_record_state(record), HOT_RESIDENT);
    ck_assert(!hot_record_corrupt(record));
    ck_assert(hot_record_in_cold(record));
    ck_assert_uint_eq(hot_record_expire_ms(record), 0);
    checkpoint(&f);
    ck_assert(demote(&f, "k"));

    (void)hot_restore(f.hot, &key, &stub);
    delete (&f, "k");
    ck_assert_int_eq(hot_record_state(find(&f, "k")), HOT_ABSENT);
    ck_assert_int_eq(dirty_of(&f, "k"), HOT_DIRTY);
    fixture_close(&f);
}
END_TEST

START_TEST(a_cold_read_that_found_nothing_leaves_a_clean_absent_entry)
{
    struct fixture f;
    fixture_open(&f);
    const struct key key = key_of("k");
    const struct hot_content nothing = {.state = HOT_ABSENT};
    struct hot_record *record =
        hot_install(f.hot, &key, hot_fetch_begin(f.hot, &key, NULL), &nothing);
    ck_assert_int_eq(hot_record_state(record), HOT_ABSENT);
    ck_assert_int_eq(hot_record_dirty(f.hot, record), HOT_CLEAN);
    ck_assert(!hot_record_in_cold(record));
    /* So what is written over it and deleted again needs no pending delete. */
    (void)put(&f, "k", "v");
    ck_assert(!hot_record_in_cold(find(&f, "k")));
    delete (&f, "k");
    ck_assert_ptr_null(find(&f, "k"));
    fixture_close(&f);
}
END_TEST

START_TEST(a_restored_record_keeps_its_heat)
{
    struct fixture f;
    fixture_open(&f);
    const struct key key = key_of("k");
    struct hot_content content = content_of("v");
    content.heat = (struct hot_heat){.queue = HOT_QUEUE_MAIN, .frequency = 2};
    struct hot_record *record = hot_restore(f.hot, &key, &content);
    ck_assert_int_eq(hot_record_heat(record).queue, HOT_QUEUE_MAIN);
    ck_assert_uint_eq(hot_record_heat(record).frequency, 2);
    ck_assert_int_eq(hot_record_dirty(f.hot, record), HOT_CLEAN);
    ck_assert(hot_record_cold_committed(record));
    touch(&f, "k");
    ck_assert_uint_eq(hot_record_heat(record).frequency, 3);
    fixture_close(&f);
}
END_TEST

/* --- checkpoints ------------------------------------------------------------------------------------------------ */

START_TEST(a_flip_makes_every_dirty_entry_old_and_none_else)
{
    struct fixture f;
    fixture_open(&f);
    (void)put(&f, "dirty", "v");
    (void)promote(&f, "clean", "v");
    (void)promote(&f, "deleted", "v");
    delete (&f, "deleted");
    hot_epoch_flip(f.hot);
    ck_assert_int_eq(dirty_of(&f, "dirty"), HOT_OLD);
    ck_assert_int_eq(dirty_of(&f, "deleted"), HOT_OLD);
    ck_assert_int_eq(dirty_of(&f, "clean"), HOT_CLEAN);
    (void)put(&f, "later", "v");
    ck_assert_int_eq(dirty_of(&f, "later"), HOT_DIRTY);
    ck_assert_uint_eq(image_all(&f), 2);
    ck_assert_int_eq(dirty_of(&f, "dirty"), HOT_IMAGED);
    ck_assert_int_eq(dirty_of(&f, "later"), HOT_DIRTY);
    commit_all(&f);
    ck_assert_int_eq(dirty_of(&f, "dirty"), HOT_CLEAN);
    ck_assert_ptr_null(find(&f, "deleted"));
    ck_assert_int_eq(dirty_of(&f, "later"), HOT_DIRTY);
    ck_assert_uint_eq(metrics_of(&f).dirty_count, 1);
    fixture_close(&f);
}
END_TEST

START_TEST(an_image_in_the_transaction_counts_as_cold_only_after_the_commit)
{
    struct fixture f;
    fixture_open(&f);
    (void)put(&f, "k", "v");
    hot_epoch_flip(f.hot);
    ck_assert(!hot_record_in_cold(find(&f, "k")));
    (void)image_all(&f);
    ck_assert(hot_record_in_cold(find(&f, "k")));
    ck_assert(!hot_record_cold_committed(find(&f, "k")));
    ck_assert(!demote(&f, "k"));
    commit_all(&f);
    ck_assert(hot_record_in_cold(find(&f, "k")));
    ck_assert(hot_record_cold_committed(find(&f, "k")));
    ck_assert(demote(&f, "k"));
    fixture_close(&f);
}
END_TEST

START_TEST(the_image_of_an_old_record_is_saved_before_any_change)
{
    struct fixture f;
    fixture_open(&f);
    static const char *const names[] = {"written", "moved", "expiring", "deleted", "edited"};
    for (size_t index = 0; index < COUNT_OF(names); index++) {
        (void)put_expiring(&f, names[index], "before", 50 + index);
    }
    const struct key edited = key_of("edited");
    hot_epoch_flip(f.hot);
    (void)put(&f, "written", "after!");
    (void)put(&f, "moved", "a value that is far too long for the old allocation of this record");
    (void)expire(&f, "expiring", 0);
    delete (&f, "deleted");
    hot_edit(f.hot, &edited, find(&f, "edited"));
    hot_edit_done(f.hot, find(&f, "edited"), 0);
    ck_assert_uint_eq(f.image_count, COUNT_OF(names));
    for (size_t index = 0; index < COUNT_OF(names); index++) {
        ck_assert_str_eq(f.images[index].key, names[index]);
        ck_assert_int_eq(f.images[index].state, HOT_RESIDENT);
        ck_assert_str_eq(f.images[index].value, "before");
        ck_assert_uint_eq(f.images[index].expire_ms, 50 + index);
        ck_assert_int_eq(dirty_of(&f, names[index]), HOT_DIRTY);
        /* The image will be committed, so a later delete must reach the cold tier. */
        ck_assert(hot_record_in_cold(find(&f, names[index])));
    }
    ck_assert_int_eq(hot_record_state(find(&f, "deleted")), HOT_ABSENT);
    /* Once each. */
    (void)put(&f, "written", "again!");
    delete (&f, "moved");
    ck_assert_uint_eq(f.image_count, COUNT_OF(names));
    ck_assert_uint_eq(image_all(&f), 0);
    fixture_close(&f);
}
END_TEST

START_TEST(the_image_of_an_old_pending_delete_is_that_it_is_absent)
{
    struct fixture f;
    fixture_open(&f);
    (void)promote(&f, "k", "v");
    delete (&f, "k");
    hot_epoch_flip(f.hot);
    (void)put(&f, "k", "new");
    ck_assert_uint_eq(f.image_count, 1);
    ck_assert_int_eq(f.images[0].state, HOT_ABSENT);
    /* Whether the delete is committed is not known yet: assume neither. */
    ck_assert(hot_record_in_cold(find(&f, "k")));
    ck_assert(!hot_record_cold_committed(find(&f, "k")));
    fixture_close(&f);
}
END_TEST

START_TEST(an_imaged_record_that_changes_is_dirty_and_not_imaged_twice)
{
    struct fixture f;
    fixture_open(&f);
    (void)put(&f, "changed", "1");
    (void)put(&f, "deleted", "1");
    hot_epoch_flip(f.hot);
    ck_assert_uint_eq(image_all(&f), 2);
    (void)put(&f, "changed", "2");
    delete (&f, "deleted");
    ck_assert_uint_eq(f.image_count, 0);
    ck_assert_int_eq(dirty_of(&f, "changed"), HOT_DIRTY);
    ck_assert_int_eq(hot_record_state(find(&f, "deleted")), HOT_ABSENT);
    ck_assert_int_eq(dirty_of(&f, "deleted"), HOT_DIRTY);
    ck_assert_uint_eq(image_all(&f), 0);
    commit_all(&f);
    ck_assert_int_eq(dirty_of(&f, "changed"), HOT_DIRTY);
    checkpoint(&f);
    ck_assert_int_eq(dirty_of(&f, "changed"), HOT_CLEAN);
    ck_assert_ptr_null(find(&f, "deleted"));
    fixture_close(&f);
}
END_TEST

START_TEST(a_commit_leaves_alone_what_is_not_imaged)
{
    struct fixture f;
    fixture_open(&f);
    static const char *const names[] = {"dirty", "old", "clean"};
    (void)put(&f, "old", "v");
    (void)promote(&f, "clean", "v");
    hot_epoch_flip(f.hot);
    (void)put(&f, "dirty", "v");
    static const enum hot_dirty expected[] = {HOT_DIRTY, HOT_OLD, HOT_CLEAN};
    for (size_t index = 0; index < COUNT_OF(names); index++) {
        const struct key key = key_of(names[index]);
        hot_mark_committed(f.hot, &key, find(&f, names[index]));
        ck_assert_int_eq(dirty_of(&f, names[index]), expected[index]);
    }
    fixture_close(&f);
}
END_TEST

START_TEST(after_a_failed_checkpoint_old_and_imaged_are_dirty_again)
{
    struct fixture f;
    fixture_open(&f);
    (void)promote(&f, "deleted", "v");
    delete (&f, "deleted");
    (void)put(&f, "imaged", "v");
    hot_epoch_flip(f.hot);
    ck_assert_uint_eq(image_all(&f), 2);
    static const char *const names[] = {"deleted", "imaged"};
    for (size_t index = 0; index < COUNT_OF(names); index++) {
        const struct key key = key_of(names[index]);
        hot_mark_dirty_again(f.hot, &key, find(&f, names[index]));
        ck_assert_int_eq(dirty_of(&f, names[index]), HOT_DIRTY);
    }
    fixture_check(&f);
    hot_epoch_flip(f.hot);
    const struct key key = key_of("imaged");
    hot_mark_dirty_again(f.hot, &key, find(&f, "imaged"));
    ck_assert_int_eq(dirty_of(&f, "imaged"), HOT_DIRTY);
    ck_assert_uint_eq(f.image_count, 0);
    ck_assert_uint_eq(image_all(&f), 1);
    commit_all(&f);
    checkpoint(&f);
    ck_assert_int_eq(dirty_of(&f, "imaged"), HOT_CLEAN);
    fixture_close(&f);
}
END_TEST

START_TEST(a_deleted_record_that_is_pinned_stays_as_a_clean_absent_entry)
{
    struct fixture f;
    fixture_open(&f);
    ck_assert(hot_pin(put(&f, "new", "v")));
    delete (&f, "new");
    ck_assert_int_eq(hot_record_state(find(&f, "new")), HOT_ABSENT);
    ck_assert_int_eq(dirty_of(&f, "new"), HOT_CLEAN);
    ck_assert(!hot_record_in_cold(find(&f, "new")));
    fixture_check(&f);

    ck_assert(hot_pin(promote(&f, "cold", "v")));
    delete (&f, "cold");
    checkpoint(&f);
    ck_assert_int_eq(hot_record_state(find(&f, "cold")), HOT_ABSENT);
    ck_assert_int_eq(dirty_of(&f, "cold"), HOT_CLEAN);
    ck_assert(!hot_record_in_cold(find(&f, "cold")));
    ck_assert(!hot_record_cold_committed(find(&f, "cold")));
    fixture_check(&f);
    ck_assert(!demote(&f, "cold"));
    hot_unpin(find(&f, "cold"));
    ck_assert(demote(&f, "cold"));
    ck_assert_ptr_null(find(&f, "cold"));
    hot_unpin(find(&f, "new"));
    fixture_close(&f);
}
END_TEST

struct seen {
    struct fixture *fixture;
    size_t count;
    size_t old_count;
};

static void count_old(void *context, struct hot_record *record)
{
    struct seen *seen = context;
    seen->count++;
    seen->old_count += hot_record_dirty(seen->fixture->hot, record) == HOT_OLD;
}

/* What a checkpoint in slices must not miss: entries that stay OLD, whatever happens to others. */
START_TEST(the_walk_over_old_entries_misses_none_while_the_index_grows_and_shrinks)
{
    struct fixture f;
    fixture_open(&f);
    const unsigned partition = 5;
    char name[32];
    unsigned n = 0;
    for (unsigned count = 0; count < 2000; count++) {
        const struct key key = key_in_partition(name, "old", partition, &n);
        (void)hot_write(f.hot, &key, NULL, value_integer(count), 0, false);
    }
    hot_epoch_flip(f.hot);
    unsigned growing = 0;
    unsigned shrinking = 0;
    struct seen seen = {.fixture = &f};
    uint64_t cursor = 0;
    bool more = true;
    for (unsigned slice = 0; more; slice++) {
        const struct hot_index *index = &f.hot->partitions[partition].index;
        const uint64_t before = index->bucket_count;
        for (unsigned count = 0; count < 60; count++) {
            if (slice < 60) {
                const struct key key = key_in_partition(name, "more", partition, &growing);
                (void)hot_write(f.hot, &key, NULL, value_integer(count), 0, false);
            } else if (shrinking < growing) {
                const struct key key = key_in_partition(name, "more", partition, &shrinking);
                hot_delete(f.hot, &key, hot_find(f.hot, &key), NULL);
            }
        }
        if (slice == 59) {
            ck_assert_uint_gt(index->bucket_count, before);
        }
        more = hot_visit_old(f.hot, partition, &cursor, 5, count_old, &seen);
    }
    ck_assert_uint_ge(seen.old_count, 2000);
    ck_assert_uint_eq(seen.count, seen.old_count);
    ck_assert_uint_eq(cursor, 0);
    fixture_close(&f);
}
END_TEST

START_TEST(a_second_walk_finds_only_what_is_still_old)
{
    struct fixture f;
    fixture_open(&f);
    (void)put(&f, "a", "1");
    (void)put(&f, "b", "1");
    hot_epoch_flip(f.hot);
    const struct key a = key_make(1, "a", 1);
    hot_mark_imaged(f.hot, &a, find(&f, "a"));
    ck_assert_uint_eq(image_all(&f), 1);
    ck_assert_uint_eq(image_all(&f), 0);
    commit_all(&f);
    /* The other parity sees nothing stale. */
    (void)put(&f, "b", "2");
    hot_epoch_flip(f.hot);
    ck_assert_uint_eq(image_all(&f), 1);
    fixture_close(&f);
}
END_TEST

TEST_GROUP(epoch_group, deleting_a_record_the_cold_tier_never_saw_leaves_nothing,
    deleting_a_record_the_cold_tier_may_hold_leaves_a_pending_delete,
    a_pending_delete_keeps_no_memory_of_the_value,
    a_key_without_entry_can_be_deleted_in_the_cold_tier,
    a_record_written_over_a_pending_delete_is_still_in_the_cold_tier,
    every_kind_of_change_makes_a_clean_record_dirty,
    a_fetch_gives_back_its_owner_and_is_not_demoted, an_installed_record_is_clean_and_committed,
    an_installed_stub_knows_all_but_the_value,
    stubs_can_be_overwritten_and_deleted_without_their_value,
    a_cold_read_that_found_nothing_leaves_a_clean_absent_entry, a_restored_record_keeps_its_heat,
    a_flip_makes_every_dirty_entry_old_and_none_else,
    an_image_in_the_transaction_counts_as_cold_only_after_the_commit,
    the_image_of_an_old_record_is_saved_before_any_change,
    the_image_of_an_old_pending_delete_is_that_it_is_absent,
    an_imaged_record_that_changes_is_dirty_and_not_imaged_twice,
    a_commit_leaves_alone_what_is_not_imaged,
    after_a_failed_checkpoint_old_and_imaged_are_dirty_again,
    a_deleted_record_that_is_pinned_stays_as_a_clean_absent_entry,
    the_walk_over_old_entries_misses_none_while_the_index_grows_and_shrinks,
    a_second_walk_finds_only_what_is_still_old)
