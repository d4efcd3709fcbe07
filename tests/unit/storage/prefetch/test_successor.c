#include "harness.h"
#include "test_main.h"

#include <stdio.h>

/* Keys without numbers, so that only the successor table predicts. */
static void word_key(char *out, size_t size, const char *prefix, unsigned i)
{
    (void)snprintf(out, size, "%s:%c%c%c", prefix, 'a' + (int)(i / 676 % 26),
        'a' + (int)(i / 26 % 26), 'a' + (int)(i % 26));
}

static void read_chain(
    struct harness *harness, const char *prefix, unsigned length, uint32_t connection)
{
    for (unsigned i = 0; i < length; i++) {
        char name[32];
        word_key(name, sizeof(name), prefix, i);
        miss(harness, name, connection);
    }
}

START_TEST(a_chain_read_twice_is_predicted_from_its_first_key)
{
    struct harness harness;
    harness_init(&harness);
    for (int round = 0; round < 2; round++) {
        miss(&harness, "first", 7);
        miss(&harness, "second", 7);
        miss(&harness, "third", 7);
    }
    forget(&harness);
    miss(&harness, "first", 7);
    ck_assert(was_sent(&harness, "second"));
    ck_assert(was_sent(&harness, "third"));
    ck_assert(!was_sent(&harness, "first"));
    harness_deinit(&harness);
}
END_TEST

START_TEST(a_pair_seen_once_is_not_predicted_by_an_unproven_source)
{
    struct harness harness;
    harness_init(&harness);
    read_chain(&harness, "once", 5, 7);
    forget(&harness);
    read_chain(&harness, "once", 5, 7);
    ck_assert_uint_eq(harness.sent_count, 0);
    harness_deinit(&harness);
}
END_TEST

START_TEST(a_source_that_proved_itself_predicts_after_one_observation)
{
    struct harness harness;
    harness_init(&harness);
    for (int round = 0; round < 4; round++) {
        forget(&harness);
        read_chain(&harness, "proof", 5, 7);
    }
    ck_assert_double_gt(harness.prefetch->governor.accuracy[PREFETCH_SOURCE_SUCCESSOR], 0.5);
    read_chain(&harness, "new", 5, 7);
    forget(&harness);
    miss(&harness, "new:aaa", 7);
    ck_assert(was_sent(&harness, "new:aab"));
    harness_deinit(&harness);
}
END_TEST

START_TEST(confident_chains_are_followed_beyond_the_window)
{
    struct harness harness;
    harness_init(&harness);
    for (int round = 0; round < 4; round++)
        read_chain(&harness, "long", 24, 7);
    answer_all(&harness, ST_AGAIN); /* no guess stays open */
    forget(&harness);
    miss(&harness, "long:aaa", 7);
    char beyond[32];
    word_key(beyond, sizeof(beyond), "long", PREFETCH_WINDOW + 2);
    bool found = was_sent(&harness, beyond);
    for (unsigned i = PREFETCH_WINDOW + 1; i < 2 * PREFETCH_WINDOW && !found; i++) {
        word_key(beyond, sizeof(beyond), "long", i);
        found = was_sent(&harness, beyond);
    }
    ck_assert(found);
    harness_deinit(&harness);
}
END_TEST

START_TEST(interleaved_connections_are_kept_apart)
{
    struct harness harness;
    harness_init(&harness);
    for (int round = 0; round < 5; round++) {
        for (unsigned i = 0; i < 12; i++) {
            char name[32];
            word_key(name, sizeof(name), "left", i);
            miss(&harness, name, 1);
            word_key(name, sizeof(name), "right", i);
            miss(&harness, name, 2);
        }
    }
    answer_all(&harness, ST_AGAIN);
    forget(&harness);
    miss(&harness, "left:aac", 1);
    ck_assert(was_sent(&harness, "left:aad"));
    for (size_t i = 0; i < harness.sent_count; i++)
        ck_assert_int_eq(harness.sent[i].key[0], 'l');
    harness_deinit(&harness);
}
END_TEST

START_TEST(short_lived_connections_are_learned_from_together)
{
    struct harness harness;
    harness_init(&harness);
    for (uint32_t connection = 100; connection < 108; connection += 2) {
        miss(&harness, "page", connection);
        miss(&harness, "style", connection + 1);
    }
    answer_all(&harness, ST_AGAIN);
    forget(&harness);
    miss(&harness, "page", 200);
    ck_assert(was_sent(&harness, "style"));
    harness_deinit(&harness);
}
END_TEST

START_TEST(hits_lead_to_keys_that_were_missed_and_to_no_others)
{
    struct harness harness;
    harness_init(&harness);
    for (int round = 0; round < 3; round++) {
        note(&harness, PREFETCH_HIT, "menu", 7);
        note(&harness, PREFETCH_MISS, "dish", 7);
        note(&harness, PREFETCH_HIT, "price", 7);
        run(&harness);
    }
    forget(&harness);
    note(&harness, PREFETCH_HIT, "menu", 7);
    run(&harness);
    ck_assert(was_sent(&harness, "dish"));
    ck_assert(!was_sent(&harness, "price"));
    harness_deinit(&harness);
}
END_TEST

START_TEST(writes_teach_no_successors)
{
    struct harness harness;
    harness_init(&harness);
    for (int round = 0; round < 6; round++) {
        miss(&harness, "read", 7);
        note(&harness, PREFETCH_WRITE, "written", 7);
        run(&harness);
    }
    ck_assert(!was_sent(&harness, "written"));
    harness_deinit(&harness);
}
END_TEST

START_TEST(the_same_key_read_again_teaches_nothing)
{
    struct harness harness;
    harness_init(&harness);
    for (int round = 0; round < 3; round++) {
        miss(&harness, "alpha", 7);
        for (int i = 0; i < 20; i++)
            note(&harness, PREFETCH_HIT, "alpha", 7);
        miss(&harness, "beta", 7);
    }
    answer_all(&harness, ST_AGAIN);
    forget(&harness);
    miss(&harness, "alpha", 7);
    ck_assert(was_sent(&harness, "beta"));
    harness_deinit(&harness);
}
END_TEST

START_TEST(a_key_does_not_follow_itself)
{
    struct harness harness;
    harness_init(&harness);
    for (int round = 0; round < 5; round++) {
        miss(&harness, "tick", 7);
        miss(&harness, "tock", 7);
    }
    const uint32_t tag = prefetch_tag(key_make(1, "tick", 4).hash);
    const struct prefetch_successor *successor = &harness.prefetch->successor;
    size_t nodes = 0;
    for (size_t i = 0; i < successor->set_count * 4; i++) {
        const struct prefetch_node *node = &successor->nodes[i];
        if (node->tag != tag)
            continue;
        nodes++;
        for (size_t j = 0; j < PREFETCH_SUCCESSORS; j++) {
            ck_assert_uint_ne(node->targets[j], tag);
            /* Nor is what follows counted twice for one reading. */
            ck_assert_uint_le(node->counts[j], node->visits);
        }
    }
    ck_assert_uint_eq(nodes, 1);
    harness_deinit(&harness);
}
END_TEST

START_TEST(spaces_are_different_keys)
{
    struct harness harness;
    harness_init(&harness);
    for (int round = 0; round < 3; round++) {
        miss(&harness, "alpha", 7);
        miss(&harness, "beta", 7);
    }
    answer_all(&harness, ST_AGAIN);
    forget(&harness);
    const struct key other = key_make(2, "alpha", 5);
    prefetch_note(harness.prefetch, 0, PREFETCH_MISS, &other, 7);
    run(&harness);
    ck_assert_uint_eq(harness.sent_count, 0);
    harness_deinit(&harness);
}
END_TEST

START_TEST(random_keys_predict_almost_nothing)
{
    struct harness harness;
    harness_init(&harness);
    struct random random;
    test_random_init(&random);
    const unsigned accesses = 100000;
    for (unsigned i = 0; i < accesses; i++) {
        char name[32];
        (void)snprintf(
            name, sizeof(name), "user:%lu", (unsigned long)random_below(&random, 1000000));
        miss(&harness, name, (uint32_t)random_below(&random, 50));
    }
    ck_assert_uint_lt(METRIC(&harness, predicted_count), accesses / 200);
    harness_deinit(&harness);
}
END_TEST

START_TEST(a_learned_chain_outlives_a_scan)
{
    struct harness harness;
    harness_init(&harness);
    for (int round = 0; round < 20; round++)
        read_chain(&harness, "kept", 6, 7);
    /* Ten times as many keys as the table has nodes; the chain is still in use now and then. */
    const size_t nodes = harness.prefetch->successor.set_count * 4;
    for (size_t i = 0; i < 10 * nodes; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "scan:%zu", i * 7919);
        miss(&harness, name, 8);
        if (i % (nodes / 4) == 0)
            read_chain(&harness, "kept", 6, 7);
        if (harness.sent_count > HARNESS_TARGETS_MAX / 2)
            forget(&harness);
    }
    answer_all(&harness, ST_AGAIN);
    forget(&harness);
    miss(&harness, "kept:aaa", 7);
    ck_assert(was_sent(&harness, "kept:aab"));
    harness_deinit(&harness);
}
END_TEST

/* One pass over chains of four keys each, in the same order; how many of them were predicted. */
static uint64_t read_loop(struct harness *harness, const char *prefix, size_t chains)
{
    const uint64_t before = METRIC(harness, predicted_count);
    for (size_t i = 0; i < 4 * chains; i++) {
        char name[48];
        (void)snprintf(name, sizeof(name), "%s%zu%c", prefix, i / 4 * 7919, (char)('a' + i % 4));
        miss(harness, name, 7);
        answer_all(harness, ST_AGAIN);
        forget(harness);
    }
    return METRIC(harness, predicted_count) - before;
}

START_TEST(of_a_loop_twice_as_long_as_the_table_a_part_is_predicted)
{
    struct harness harness;
    harness_init_options(&harness, PREFETCH_ON, 256 * KiB, 1);
    const size_t nodes = harness.prefetch->successor.set_count * 4;
    uint64_t predicted = 0;
    for (int round = 0; round < 8; round++)
        predicted = read_loop(&harness, "long", nodes / 2);
    ck_assert_uint_gt(predicted, nodes / 20);
    harness_deinit(&harness);
}
END_TEST

START_TEST(a_full_table_learns_what_is_new)
{
    struct harness harness;
    harness_init_options(&harness, PREFETCH_ON, 256 * KiB, 1);
    const size_t nodes = harness.prefetch->successor.set_count * 4;
    for (int round = 0; round < 4; round++)
        (void)read_loop(&harness, "old", nodes / 2);
    uint64_t predicted = 0;
    for (int round = 0; round < 40; round++)
        predicted = read_loop(&harness, "new", nodes / 40);
    ck_assert_uint_gt(predicted, nodes / 40);
    harness_deinit(&harness);
}
END_TEST

TEST_GROUP(successor_group, a_chain_read_twice_is_predicted_from_its_first_key,
    a_pair_seen_once_is_not_predicted_by_an_unproven_source,
    a_source_that_proved_itself_predicts_after_one_observation,
    confident_chains_are_followed_beyond_the_window, interleaved_connections_are_kept_apart,
    short_lived_connections_are_learned_from_together,
    hits_lead_to_keys_that_were_missed_and_to_no_others, writes_teach_no_successors,
    the_same_key_read_again_teaches_nothing, a_key_does_not_follow_itself,
    spaces_are_different_keys, random_keys_predict_almost_nothing, a_learned_chain_outlives_a_scan,
    of_a_loop_twice_as_long_as_the_table_a_part_is_predicted, a_full_table_learns_what_is_new)
