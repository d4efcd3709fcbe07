/* Readiness: cold reads on demand, joined, prefetched, failed. */
#include "base/file.h"
#include "base/mem.h"
#include "tier_fixture.h"

#include <errno.h>
#include <stdio.h>

static struct store store;
static struct client client;

static void setup(void)
{
    store_init(&store, test_directory_create());
    store_open(&store);
    client_open(&client, &store);
    cold_filter_wait(tier_cold(store.tier));
}

static void teardown(void)
{
    client_close(&client);
    store_close(&store, false);
}

static void note_run(struct task *task)
{
    struct tier_wait *const wait = CONTAINER_OF(task, struct tier_wait, task);
    *(bool *)wait->context = true;
}

/* A gather of one key by a client whose loop is not run; the turn is unlocked again. */
static enum status gather_one(
    struct client *who, const char *name, enum tier_need need, struct tier_wait *wait)
{
    const struct key key = store_key(&store, 0, name);
    size_t failed = 99;
    tier_turn_lock(who->turn, hot_stripe(tier_hot(store.tier), &key));
    const enum status status = tier_gather(who->turn, &key, &need, 1, wait, &failed);
    tier_turn_unlock(who->turn);
    return status;
}

static void release_one(struct client *who, const char *name, struct tier_wait *wait)
{
    const struct key key = store_key(&store, 0, name);
    tier_turn_lock(who->turn, hot_stripe(tier_hot(store.tier), &key));
    tier_gather_release(who->turn, &key, 1, wait);
    tier_turn_unlock(who->turn);
}

static void pump_until(struct client *who, const bool *flag)
{
    for (unsigned count = 0; count < 1000 && !*flag; count++)
        (void)client_pump(who, 100);
    ck_assert(*flag);
}

START_TEST(a_cold_value_is_promoted_when_it_is_read)
{
    setup();
    client_set_cold(&client, 0, "k", "value");
    ck_assert_ptr_null(client_find(&client, 0, "k"));
    ck_assert_value(&client, 0, "k", "value");
    ck_assert_uint_eq(METRIC_OF(&store, promoted_count), 1);
    ck_assert_uint_eq(METRIC_OF(&store, fetch_pending), 0);
    ck_assert_uint_eq(METRIC_OF(&store, demand_pending), 0);
    client_demote(&client, 0, "k"); /* it is clean */
    teardown();
}
END_TEST

START_TEST(a_key_the_filter_does_not_know_costs_no_read)
{
    setup();
    client_set_cold(&client, 0, "k", "value");
    const unsigned waits = client.wait_count;
    ck_assert_absent(&client, 0, "no-such-key");
    ck_assert_uint_eq(client.wait_count, waits);
    teardown();
}
END_TEST

START_TEST(a_header_question_does_not_promote_the_value)
{
    setup();
    client_set_expiring(&client, 0, "k", SLICE_LITERAL("value"), 99999999999999);
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    client_demote(&client, 0, "k");
    uint64_t expire_ms = 0;
    ck_assert_int_eq(client_header(&client, 0, "k", &expire_ms), ST_OK);
    ck_assert_uint_eq(expire_ms, 99999999999999);
    ck_assert_int_eq(hot_record_state(client_find(&client, 0, "k")), HOT_STUB);
    /* The value is fetched when it is asked for. */
    ck_assert_value(&client, 0, "k", "value");
    teardown();
}
END_TEST

START_TEST(overwriting_a_cold_record_does_not_read_its_value)
{
    setup();
    client_set_cold(&client, 0, "k", "old");
    client_set_text(&client, 0, "k", "new");
    ck_assert_uint_eq(METRIC_OF(&store, promoted_count), 0);
    ck_assert_value(&client, 0, "k", "new");
    teardown();
}
END_TEST

START_TEST(a_cold_record_can_be_deleted_and_stays_deleted)
{
    setup();
    client_set_cold(&client, 0, "k", "old");
    ck_assert_int_eq(client_delete(&client, 0, "k"), ST_OK);
    ck_assert_absent(&client, 0, "k");
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    ck_assert_ptr_null(
        client_find(&client, 0, "k")); /* I7: the pending delete left with its commit */
    ck_assert_absent(&client, 0, "k");
    teardown();
}
END_TEST

START_TEST(requests_for_one_key_share_one_read)
{
    setup();
    client_set_cold(&client, 0, "k", "value");
    struct client other;
    client_open(&other, &store);
    struct tier_wait waits[3];
    bool ran[3] = {false};
    for (unsigned index = 0; index < 3; index++) {
        struct client *const who = index == 2 ? &other : &client;
        tier_wait_init(&waits[index], who->turn, note_run);
        waits[index].context = &ran[index];
        ck_assert_int_eq(gather_one(who, "k", TIER_NEED_VALUE, &waits[index]), ST_PENDING);
    }
    ck_assert_uint_eq(METRIC_OF(&store, fetch_pending), 1);
    ck_assert_uint_eq(METRIC_OF(&store, demand_pending), 1);
    pump_until(&client, &ran[0]);
    pump_until(&client, &ran[1]);
    pump_until(&other, &ran[2]);
    ck_assert_uint_eq(METRIC_OF(&store, promoted_count), 1);
    ck_assert_int_eq(gather_one(&other, "k", TIER_NEED_VALUE, &waits[2]), ST_OK);
    for (unsigned index = 0; index < 3; index++)
        release_one(index == 2 ? &other : &client, "k", &waits[index]);
    client_close(&other);
    teardown();
}
END_TEST

START_TEST(a_value_wanted_where_a_header_was_fetched_is_fetched_too)
{
    setup();
    client_set_cold(&client, 0, "k", "value");
    struct tier_wait header;
    struct tier_wait value;
    bool header_ran = false;
    bool value_ran = false;
    tier_wait_init(&header, client.turn, note_run);
    tier_wait_init(&value, client.turn, note_run);
    header.context = &header_ran;
    value.context = &value_ran;
    ck_assert_int_eq(gather_one(&client, "k", TIER_NEED_HEADER, &header), ST_PENDING);
    ck_assert_int_eq(gather_one(&client, "k", TIER_NEED_VALUE, &value), ST_PENDING);
    pump_until(&client, &header_ran);
    pump_until(&client, &value_ran);
    ck_assert_int_eq(gather_one(&client, "k", TIER_NEED_VALUE, &value), ST_OK);
    release_one(&client, "k", &header);
    release_one(&client, "k", &value);
    ck_assert_value(&client, 0, "k", "value");
    teardown();
}
END_TEST

START_TEST(what_a_request_waits_for_is_pinned_until_it_is_released)
{
    setup();
    client_set_cold(&client, 0, "k", "value");
    struct tier_wait wait;
    bool ran = false;
    tier_wait_init(&wait, client.turn, note_run);
    wait.context = &ran;
    ck_assert_int_eq(gather_one(&client, "k", TIER_NEED_VALUE, &wait), ST_PENDING);
    pump_until(&client, &ran);
    const struct key key = store_key(&store, 0, "k");
    tier_turn_lock(client.turn, 1);
    ck_assert_int_eq(tier_demote(client.turn, &key), ST_AGAIN);
    tier_turn_unlock(client.turn);
    release_one(&client, "k", &wait);
    client_demote(&client, 0, "k");
    teardown();
}
END_TEST

START_TEST(a_pinned_record_that_is_deleted_meanwhile_can_be_released)
{
    setup();
    client_set_cold(&client, 0, "k", "value");
    struct tier_wait wait;
    bool ran = false;
    tier_wait_init(&wait, client.turn, note_run);
    wait.context = &ran;
    ck_assert_int_eq(gather_one(&client, "k", TIER_NEED_VALUE, &wait), ST_PENDING);
    pump_until(&client, &ran);
    ck_assert_int_eq(client_delete(&client, 0, "k"), ST_OK);
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    client_set_text(&client, 0, "k", "again");
    release_one(&client, "k", &wait);
    ck_assert_value(&client, 0, "k", "again");
    teardown();
}
END_TEST

START_TEST(more_keys_than_reads_of_one_gather_come_in_several)
{
    setup();
    enum { COUNT = TIER_GATHER_FETCH_MAX + 500 };
    char name[32];
    for (unsigned index = 0; index < COUNT; index++) {
        (void)snprintf(name, sizeof(name), "key-%u", index);
        client_set_text(&client, 0, name, name);
    }
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    struct key *const keys = mem_alloc(COUNT * sizeof(*keys));
    enum tier_need *const needs = mem_alloc(COUNT * sizeof(*needs));
    char(*const names)[32] = mem_alloc(COUNT * sizeof(*names));
    for (unsigned index = 0; index < COUNT; index++) {
        (void)snprintf(names[index], sizeof(names[index]), "key-%u", index);
        client_demote(&client, 0, names[index]);
        keys[index] = store_key(&store, 0, names[index]);
        needs[index] = TIER_NEED_VALUE;
    }
    struct tier_wait wait;
    bool ran = false;
    tier_wait_init(&wait, client.turn, note_run);
    wait.context = &ran;
    unsigned pending_count = 0;
    for (;;) {
        size_t failed;
        ran = false;
        tier_turn_lock(client.turn, 1);
        const enum status status = tier_gather(client.turn, keys, needs, COUNT, &wait, &failed);
        if (status == ST_OK)
            break;
        ck_assert_int_eq(status, ST_PENDING);
        ck_assert_uint_le(METRIC_OF(&store, fetch_pending), TIER_GATHER_FETCH_MAX);
        tier_turn_unlock(client.turn);
        pending_count++;
        pump_until(&client, &ran);
    }
    for (unsigned index = 0; index < COUNT; index++)
        ck_assert_int_eq(
            hot_record_state(hot_find(tier_hot(store.tier), &keys[index])), HOT_RESIDENT);
    tier_gather_release(client.turn, keys, COUNT, &wait);
    tier_turn_unlock(client.turn);
    ck_assert_uint_eq(pending_count, 2);
    mem_free(keys);
    mem_free(needs);
    mem_free(names);
    teardown();
}
END_TEST

/* H5: what was read before a flush is not installed after it. */
START_TEST(a_read_that_ends_after_a_flush_installs_nothing)
{
    setup();
    client_set_cold(&client, 0, "k", "value");
    struct tier_wait wait;
    bool ran = false;
    tier_wait_init(&wait, client.turn, note_run);
    wait.context = &ran;
    const struct key key = store_key(&store, 0, "k"); /* of the old space */
    ck_assert_int_eq(gather_one(&client, "k", TIER_NEED_VALUE, &wait), ST_PENDING);
    client_flush(&client, 0);
    pump_until(&client, &ran);
    ck_assert_ptr_null(client_find_key(&client, &key));
    /* Asking again for a key of the dead space does not go on for ever. */
    const enum tier_need need = TIER_NEED_VALUE;
    size_t failed;
    tier_turn_lock(client.turn, 1);
    ck_assert_int_eq(tier_gather(client.turn, &key, &need, 1, &wait, &failed), ST_OK);
    tier_gather_release(client.turn, &key, 1, &wait);
    tier_turn_unlock(client.turn);
    ck_assert_absent(&client, 0, "k");
    teardown();
}
END_TEST

/* H5: a record that was written, checkpointed and demoted while a reader was slow is read as it is now. */
START_TEST(every_read_sees_the_last_commit)
{
    setup();
    char text[32];
    for (unsigned round = 0; round < 200; round++) {
        (void)snprintf(text, sizeof(text), "value-%u", round);
        client_set_cold(&client, 0, "k", text);
        ck_assert_value(&client, 0, "k", text);
    }
    teardown();
}
END_TEST

START_TEST(a_prefetch_brings_the_value_without_a_wait)
{
    setup();
    client_set_cold(&client, 0, "k", "value");
    const struct key key = store_key(&store, 0, "k");
    const struct key none = store_key(&store, 0, "none");
    tier_turn_lock(client.turn, 1);
    ck_assert_int_eq(tier_prefetch(client.turn, &key), ST_PENDING);
    ck_assert_int_eq(tier_prefetch(client.turn, &key), ST_EXISTS);
    ck_assert_int_eq(tier_prefetch(client.turn, &none), ST_NOT_FOUND);
    tier_turn_unlock(client.turn);
    while (METRIC_OF(&store, fetch_pending) > 0)
        (void)client_pump(&client, 100);
    ck_assert_uint_eq(METRIC_OF(&store, prefetched_count), 1);
    ck_assert_uint_eq(METRIC_OF(&store, promoted_count), 0);
    ck_assert_uint_eq(store.prefetch_found_count, 1);
    ck_assert(hot_record_prefetched(client_find(&client, 0, "k")));
    const unsigned waits = client.wait_count;
    ck_assert_value(&client, 0, "k", "value");
    ck_assert_uint_eq(client.wait_count, waits);
    tier_turn_lock(client.turn, 1);
    ck_assert_int_eq(tier_prefetch(client.turn, &key), ST_EXISTS);
    tier_turn_unlock(client.turn);
    teardown();
}
END_TEST

START_TEST(a_prefetch_of_what_is_not_there_leaves_no_entry)
{
    setup();
    /* The filter is told of the key, then the record goes. */
    client_set_cold(&client, 0, "k", "value");
    const struct key key = store_key(&store, 0, "k");
    tier_turn_lock(client.turn, 1);
    ck_assert_int_eq(tier_prefetch(client.turn, &key), ST_PENDING);
    tier_turn_unlock(client.turn);
    client_flush(&client, 0);
    while (METRIC_OF(&store, fetch_pending) > 0)
        (void)client_pump(&client, 100);
    ck_assert_ptr_null(client_find_key(&client, &key));
    teardown();
}
END_TEST

START_TEST(a_demand_read_that_joins_a_prefetch_counts_it_late_and_does_not_wait_for_its_turn)
{
    setup();
    client_set_cold(&client, 0, "k", "value");
    const struct key key = store_key(&store, 0, "k");
    tier_turn_lock(client.turn, 1);
    ck_assert_int_eq(tier_prefetch(client.turn, &key), ST_PENDING);
    tier_turn_unlock(client.turn);
    ck_assert_value(&client, 0, "k", "value");
    ck_assert_uint_eq(METRIC_OF(&store, prefetch_late_count), 1);
    ck_assert(!hot_record_prefetched(client_find(&client, 0, "k")));
    while (!tier_turn_is_idle(client.turn)) /* the slower of its two reads */
        (void)client_pump(&client, 10);
    teardown();
}
END_TEST

START_TEST(prefetches_are_bounded)
{
    setup();
    char name[32];
    enum { COUNT = TIER_PREFETCH_PENDING_MAX + 10 };
    for (unsigned index = 0; index < COUNT; index++) {
        (void)snprintf(name, sizeof(name), "key-%u", index);
        client_set_text(&client, 0, name, name);
    }
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    unsigned started = 0;
    for (unsigned index = 0; index < COUNT; index++) {
        (void)snprintf(name, sizeof(name), "key-%u", index);
        client_demote(&client, 0, name);
    }
    tier_turn_lock(client.turn, 1);
    for (unsigned index = 0; index < COUNT; index++) {
        (void)snprintf(name, sizeof(name), "key-%u", index);
        const struct key key = store_key(&store, 0, name);
        const enum status status = tier_prefetch(client.turn, &key);
        ck_assert(status == ST_PENDING || status == ST_AGAIN);
        started += status == ST_PENDING;
    }
    tier_turn_unlock(client.turn);
    ck_assert_uint_eq(started, TIER_PREFETCH_PENDING_MAX);
    while (!tier_turn_is_idle(client.turn))
        (void)client_pump(&client, 10);
    ck_assert_uint_eq(METRIC_OF(&store, prefetched_count), TIER_PREFETCH_PENDING_MAX);
    teardown();
}
END_TEST

/* --- damage -------------------------------------------------------------------------------------------- */

/* Flips the bytes of a value where they lie in the database file. */
static void damage(const char *text)
{
    const char *const path = test_path(test_path(store.directory, "cold"), "data.mdb");
    struct buf content = {0};
    ck_assert_int_eq(file_read_whole(path, (size_t)(256 * MiB), &content, NULL), ST_OK);
    FILE *const file = fopen(path, "r+b");
    ck_assert_ptr_nonnull(file);
    const size_t size = strlen(text);
    unsigned found = 0;
    for (size_t offset = 0; offset + size <= content.size; offset++) {
        if (memcmp(content.data + offset, text, size) != 0)
            continue;
        ck_assert_int_eq(fseek(file, (long)offset, SEEK_SET), 0);
        ck_assert_int_eq(fputc('#', file), '#');
        found++;
    }
    ck_assert_uint_gt(found, 0);
    ck_assert_int_eq(fclose(file), 0);
    buf_deinit(&content);
}

static void setup_damaged(void)
{
    setup();
    client_set_text(&client, 0, "good", "a good value");
    client_set_cold(&client, 0, "bad", "DAMAGE-ME-0123456789");
    client_demote(&client, 0, "good");
    client_close(&client);
    store_close(&store, true);
    damage("DAMAGE-ME-0123456789");
    store_open(&store);
    client_open(&client, &store);
}

/* H20: a damaged record is an error of that key, and of nothing else. */
START_TEST(a_damaged_record_answers_an_error_and_the_rest_works)
{
    setup_damaged();
    ck_assert_int_eq(client_get(&client, 0, "bad", NULL), ST_CORRUPT);
    ck_assert_int_eq(client_get(&client, 0, "bad", NULL), ST_CORRUPT);
    ck_assert_uint_eq(METRIC_OF(&store, corrupt_count), 2);
    ck_assert_value(&client, 0, "good", "a good value");
    teardown();
}
END_TEST

START_TEST(a_damaged_record_still_has_a_header)
{
    setup_damaged();
    uint64_t expire_ms = 99;
    ck_assert_int_eq(client_get(&client, 0, "bad", NULL), ST_CORRUPT);
    ck_assert_int_eq(client_header(&client, 0, "bad", &expire_ms), ST_OK);
    teardown();
}
END_TEST

START_TEST(a_damaged_record_can_be_overwritten)
{
    setup_damaged();
    ck_assert_int_eq(client_get(&client, 0, "bad", NULL), ST_CORRUPT);
    ck_assert_int_eq(client_set_text(&client, 0, "bad", "mended"), ST_OK);
    ck_assert_value(&client, 0, "bad", "mended");
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    client_demote(&client, 0, "bad");
    ck_assert_value(&client, 0, "bad", "mended");
    teardown();
}
END_TEST

START_TEST(a_damaged_record_can_be_deleted)
{
    setup_damaged();
    ck_assert_int_eq(client_delete(&client, 0, "bad"), ST_OK);
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    ck_assert_absent(&client, 0, "bad");
    teardown();
}
END_TEST

START_TEST(demoting_names_what_cannot_leave)
{
    setup();
    client_set_text(&client, 0, "dirty", "value");
    const struct key dirty = store_key(&store, 0, "dirty");
    const struct key none = store_key(&store, 0, "none");
    tier_turn_lock(client.turn, 1);
    ck_assert_int_eq(tier_demote(client.turn, &dirty), ST_AGAIN); /* I7 */
    ck_assert_int_eq(tier_demote(client.turn, &none), ST_NOT_FOUND);
    tier_turn_unlock(client.turn);
    teardown();
}
END_TEST

TEST_GROUP(tier_fetch_group, a_cold_value_is_promoted_when_it_is_read,
    a_key_the_filter_does_not_know_costs_no_read, a_header_question_does_not_promote_the_value,
    overwriting_a_cold_record_does_not_read_its_value,
    a_cold_record_can_be_deleted_and_stays_deleted, requests_for_one_key_share_one_read,
    a_value_wanted_where_a_header_was_fetched_is_fetched_too,
    what_a_request_waits_for_is_pinned_until_it_is_released,
    a_pinned_record_that_is_deleted_meanwhile_can_be_released,
    more_keys_than_reads_of_one_gather_come_in_several,
    a_read_that_ends_after_a_flush_installs_nothing, every_read_sees_the_last_commit,
    a_prefetch_brings_the_value_without_a_wait, a_prefetch_of_what_is_not_there_leaves_no_entry,
    a_demand_read_that_joins_a_prefetch_counts_it_late_and_does_not_wait_for_its_turn,
    prefetches_are_bounded, a_damaged_record_answers_an_error_and_the_rest_works,
    a_damaged_record_still_has_a_header, a_damaged_record_can_be_overwritten,
    a_damaged_record_can_be_deleted, demoting_names_what_cannot_leave)
