/* Turns: the journal, its appends, its LSNs. Tests cite the invariants of the design as I1... and holes as H1... */
#include "base/mem.h"
#include "tier_fixture.h"

#include <stdio.h>

static struct store store;
static struct client client;

static void setup(void)
{
    store_init(&store, test_directory_create());
    store_open(&store);
    client_open(&client, &store);
}

static void teardown(bool save)
{
    client_close(&client);
    store_close(&store, save);
}

/* Everything the log holds from LSN 0, as text. */
static void read_log(struct buf *text)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/aof", store.directory);
    /* The store's id is in the cold tier; the log is read as the tier would. */
    struct buf state = {0};
    ck_assert_int_eq(cold_meta_get(tier_cold(store.tier), "tier", &state, NULL), ST_OK);
    struct reader reader = reader_of(buf_slice(&state));
    (void)reader_u8(&reader);
    (void)reader_u64(&reader);
    (void)reader_u64(&reader);
    const uint64_t store_id = reader_u64(&reader);
    buf_deinit(&state);
    ck_assert_int_eq(
        aof_wait_durable(tier_aof(store.tier), aof_end_lsn(tier_aof(store.tier))), ST_OK);
    struct aof_reader *log = NULL;
    ck_assert_int_eq(aof_reader_open(path, store_id, 0, &log, NULL), ST_OK);
    struct aof_frame frame;
    while (aof_reader_next(log, &frame, NULL) == ST_OK) {
        buf_append_byte(text, '|');
        buf_append_slice(text, frame.payload);
    }
    aof_reader_close(log);
}

static void log_line(unsigned database, const char *line)
{
    char prefix[32];
    (void)snprintf(prefix, sizeof(prefix), "SELECT %u\n", database);
    tier_turn_log(client.turn, 1, database, slice_text(prefix), slice_text(line));
}

START_TEST(effects_of_a_turn_are_one_append_with_one_prefix)
{
    setup();
    const uint64_t before = aof_end_lsn(tier_aof(store.tier));
    tier_turn_lock(client.turn, 1);
    log_line(0, "a\n");
    log_line(0, "b\n");
    ck_assert_uint_eq(aof_end_lsn(tier_aof(store.tier)), before);
    tier_turn_unlock(client.turn);
    struct buf text = {0};
    read_log(&text);
    ck_assert_text_eq(buf_slice(&text), "|SELECT 0\na\nb\n");
    buf_deinit(&text);
    teardown(false);
}
END_TEST

START_TEST(a_change_of_context_within_a_turn_inserts_the_prefix)
{
    setup();
    tier_turn_lock(client.turn, 1);
    log_line(0, "a\n");
    log_line(1, "b\n");
    log_line(1, "c\n");
    log_line(0, "d\n");
    tier_turn_unlock(client.turn);
    struct buf text = {0};
    read_log(&text);
    ck_assert_text_eq(buf_slice(&text), "|SELECT 0\na\nSELECT 1\nb\nc\nSELECT 0\nd\n");
    buf_deinit(&text);
    teardown(false);
}
END_TEST

START_TEST(a_change_of_context_between_turns_inserts_the_prefix)
{
    setup();
    for (unsigned database = 0; database < 2; database++) {
        tier_turn_lock(client.turn, 1);
        log_line(database, "a\n");
        tier_turn_unlock(client.turn);
    }
    struct buf text = {0};
    read_log(&text);
    /* One frame or two, each begins with its prefix or continues in the other context. */
    ck_assert(slice_equal(buf_slice(&text), SLICE_LITERAL("|SELECT 0\na\nSELECT 1\na\n")) ||
              slice_equal(buf_slice(&text), SLICE_LITERAL("|SELECT 0\na\n|SELECT 1\na\n")));
    buf_deinit(&text);
    teardown(false);
}
END_TEST

START_TEST(a_group_has_header_and_trailer_around_all_its_effects)
{
    setup();
    tier_turn_lock(client.turn, 1);
    log_line(0, "before\n");
    tier_turn_group_begin(client.turn, SLICE_LITERAL("MULTI\n"));
    log_line(0, "a\n");
    log_line(1, "b\n");
    tier_turn_group_end(client.turn, SLICE_LITERAL("EXEC\n"));
    tier_turn_unlock(client.turn);
    struct buf text = {0};
    read_log(&text);
    ck_assert_text_eq(buf_slice(&text), "|SELECT 0\nbefore\nMULTI\na\nSELECT 1\nb\nEXEC\n");
    buf_deinit(&text);
    teardown(false);
}
END_TEST

START_TEST(a_group_without_effects_leaves_no_trace)
{
    setup();
    const uint64_t before = aof_end_lsn(tier_aof(store.tier));
    tier_turn_lock(client.turn, 1);
    tier_turn_group_begin(client.turn, SLICE_LITERAL("MULTI\n"));
    tier_turn_group_end(client.turn, SLICE_LITERAL("EXEC\n"));
    tier_turn_unlock(client.turn);
    ck_assert_uint_eq(aof_end_lsn(tier_aof(store.tier)), before);
    teardown(false);
}
END_TEST

START_TEST(groups_nest_and_the_outermost_counts)
{
    setup();
    tier_turn_lock(client.turn, 1);
    tier_turn_group_begin(client.turn, SLICE_LITERAL("MULTI\n"));
    log_line(0, "a\n");
    tier_turn_group_begin(client.turn, SLICE_LITERAL("MULTI\n"));
    log_line(0, "b\n");
    tier_turn_group_end(client.turn, SLICE_LITERAL("EXEC\n"));
    log_line(0, "c\n");
    tier_turn_group_end(client.turn, SLICE_LITERAL("EXEC\n"));
    tier_turn_unlock(client.turn);
    struct buf text = {0};
    read_log(&text);
    ck_assert_text_eq(buf_slice(&text), "|SELECT 0\nMULTI\na\nb\nc\nEXEC\n");
    buf_deinit(&text);
    teardown(false);
}
END_TEST

START_TEST(large_effects_of_a_group_stay_in_its_append)
{
    setup();
    const size_t size = (size_t)(64 * KiB);
    char *const large = mem_alloc(size);
    memset(large, 'x', size);
    large[size - 1] = '\n';
    tier_turn_lock(client.turn, 1);
    tier_turn_group_begin(client.turn, SLICE_LITERAL("MULTI\n"));
    for (unsigned count = 0; count < 8; count++)
        tier_turn_log(client.turn, 1, 0, SLICE_LITERAL("SELECT 0\n"), slice_of(large, size));
    ck_assert_uint_eq(aof_end_lsn(tier_aof(store.tier)), 0);
    tier_turn_group_end(client.turn, SLICE_LITERAL("EXEC\n"));
    tier_turn_unlock(client.turn);
    struct buf text = {0};
    read_log(&text);
    ck_assert_uint_eq(text.size, 1 + 9 + 6 + 8 * size + 5);
    ck_assert_ptr_null(memchr(text.data + 1, '|', text.size - 1)); /* one frame */
    buf_deinit(&text);
    mem_free(large);
    teardown(false);
}
END_TEST

START_TEST(large_and_small_effects_keep_their_order)
{
    setup();
    const size_t size = (size_t)(20 * KiB);
    char *const large = mem_alloc(size);
    memset(large, 'x', size);
    tier_turn_lock(client.turn, 1);
    log_line(0, "a\n");
    tier_turn_log(client.turn, 1, 1, SLICE_LITERAL("SELECT 1\n"), slice_of(large, size));
    log_line(1, "b\n");
    tier_turn_unlock(client.turn);
    struct buf text = {0};
    read_log(&text);
    /* Without frame borders and the prefixes that they may bring. */
    buf_append_byte(&text, '\0');
    const char *const first = strstr(text.data, "a\n");
    ck_assert_ptr_nonnull(first);
    const char *const select = strstr(first, "SELECT 1\nxxxx");
    ck_assert_ptr_nonnull(select);
    ck_assert_int_eq(text.data[text.size - 2], '\n');
    ck_assert_int_eq(text.data[text.size - 3], 'b');
    buf_deinit(&text);
    mem_free(large);
    teardown(false);
}
END_TEST

/* I1, H12: a reply that saw a partition waits for what was last logged of it, under `always` only. */
START_TEST(the_gate_is_the_last_lsn_of_the_partitions_touched)
{
    setup();
    tier_turn_lock(client.turn, 1);
    tier_turn_log(client.turn, 1 << 3, 0, SLICE_LITERAL("P\n"), SLICE_LITERAL("a\n"));
    tier_turn_unlock(client.turn);
    const uint64_t first = aof_end_lsn(tier_aof(store.tier));
    tier_turn_lock(client.turn, 1);
    tier_turn_log(client.turn, 1 << 5 | 1 << 6, 0, SLICE_LITERAL("P\n"), SLICE_LITERAL("b\n"));
    tier_turn_unlock(client.turn);
    const uint64_t second = aof_end_lsn(tier_aof(store.tier));
    ck_assert_uint_eq(tier_gate_lsn(store.tier, 1 << 3), 0);
    OPTION_SET(&store.aof_options, sync_mode, AOF_SYNC_ALWAYS);
    ck_assert_uint_eq(tier_gate_lsn(store.tier, 1 << 3), first);
    ck_assert_uint_eq(tier_gate_lsn(store.tier, 1 << 5), second);
    ck_assert_uint_eq(tier_gate_lsn(store.tier, 1 << 6 | 1 << 3), second);
    ck_assert_uint_eq(tier_gate_lsn(store.tier, 1 << 4), 0);
    OPTION_SET(&store.aof_options, sync_mode, AOF_SYNC_EVERYSEC);
    teardown(false);
}
END_TEST

START_TEST(changes_since_the_checkpoint_are_counted)
{
    setup();
    ck_assert_uint_eq(tier_changes_since_checkpoint(store.tier), 0);
    client_set_text(&client, 0, "a", "1");
    client_set_text(&client, 0, "b", "1");
    ck_assert_uint_eq(tier_changes_since_checkpoint(store.tier), 2);
    ck_assert_int_eq(client_checkpoint(&client), ST_OK);
    ck_assert_uint_eq(tier_changes_since_checkpoint(store.tier), 0);
    teardown(false);
}
END_TEST

TEST_GROUP(tier_turn_group, effects_of_a_turn_are_one_append_with_one_prefix,
    a_change_of_context_within_a_turn_inserts_the_prefix,
    a_change_of_context_between_turns_inserts_the_prefix,
    a_group_has_header_and_trailer_around_all_its_effects, a_group_without_effects_leaves_no_trace,
    groups_nest_and_the_outermost_counts, large_effects_of_a_group_stay_in_its_append,
    large_and_small_effects_keep_their_order, the_gate_is_the_last_lsn_of_the_partitions_touched,
    changes_since_the_checkpoint_are_counted)
