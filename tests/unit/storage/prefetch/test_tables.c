#include "base/mem.h"
#include "harness.h"
#include "test_main.h"

#include <stdio.h>
#include <string.h>

static struct prefetch_event event_of(const char *name)
{
    struct prefetch_event event = {.space = 1, .key_size = (uint8_t)strlen(name)};
    memcpy(event.key, name, strlen(name));
    event.hash = key_make(1, name, strlen(name)).hash;
    return event;
}

START_TEST(key_bytes_are_kept_until_the_log_comes_round)
{
    struct prefetch_keys keys;
    (void)prefetch_keys_init(&keys, 8192);
    const struct prefetch_event first = event_of("first:key");
    const uint32_t position = prefetch_keys_append(&keys, &first);
    const uint32_t tag = prefetch_tag(first.hash);
    unsigned others = 0;
    while (prefetch_keys_get(&keys, position, tag) != NULL) {
        const struct prefetch_key_record *record = prefetch_keys_get(&keys, position, tag);
        ck_assert_slice_eq(slice_of(record->bytes, record->size), SLICE_LITERAL("first:key"));
        char name[PREFETCH_KEY_MAX + 1];
        (void)snprintf(name, sizeof(name), "other:%u:%.*s", others, (int)(others % 60),
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        const struct prefetch_event other = event_of(name);
        (void)prefetch_keys_append(&keys, &other);
        others++;
        ck_assert_uint_lt(others, 8192);
    }
    ck_assert_uint_gt(others, 50);
    ck_assert(!prefetch_keys_fresh(&keys, position, tag));
    prefetch_keys_deinit(&keys);
}
END_TEST

START_TEST(a_position_never_given_out_reads_nothing)
{
    struct prefetch_keys keys;
    (void)prefetch_keys_init(&keys, 8192);
    ck_assert_ptr_null(prefetch_keys_get(&keys, 0, 1));
    ck_assert_ptr_null(prefetch_keys_get(&keys, UINT32_MAX, 1));
    ck_assert_ptr_null(prefetch_keys_get(&keys, (uint32_t)keys.next, 1));
    prefetch_keys_deinit(&keys);
}
END_TEST

START_TEST(a_full_set_of_guesses_gives_up_the_oldest)
{
    struct prefetch_guesses guesses;
    (void)prefetch_guesses_init(&guesses, 64);
    ck_assert_uint_eq(guesses.guess_count, 4);
    struct prefetch_guess displaced;
    for (uint16_t i = 0; i < 4; i++) {
        const struct prefetch_guess guess = {
            .hash = i + 100U, .made = (uint16_t)(65534 + i), .state = PREFETCH_GUESS_SENT};
        ck_assert(!prefetch_guesses_add(&guesses, &guess, &displaced));
    }
    const struct prefetch_guess more = {.hash = 200, .made = 3, .state = PREFETCH_GUESS_SENT};
    ck_assert(prefetch_guesses_add(&guesses, &more, &displaced));
    ck_assert_uint_eq(displaced.hash, 100);
    ck_assert_ptr_null(prefetch_guesses_find(&guesses, 100));
    ck_assert_ptr_nonnull(prefetch_guesses_find(&guesses, 200));
    prefetch_guesses_deinit(&guesses);
}
END_TEST

START_TEST(the_longest_unused_context_gives_way)
{
    struct prefetch_contexts contexts;
    memset(&contexts, 0, sizeof(contexts));
    (void)prefetch_contexts_init(&contexts, 4 * sizeof(struct prefetch_context));
    ck_assert_uint_eq(contexts.set_count, 1);
    for (uint32_t connection = 0; connection < 4; connection++)
        prefetch_window_push(
            prefetch_contexts_window(&contexts, connection, connection), connection + 50);
    (void)prefetch_contexts_window(&contexts, 0, 10);
    prefetch_window_push(prefetch_contexts_window(&contexts, 9, 11), 59);
    ck_assert_uint_eq(prefetch_window_at(prefetch_contexts_window(&contexts, 0, 12), 1), 50);
    ck_assert_uint_eq(prefetch_window_at(prefetch_contexts_window(&contexts, 9, 13), 1), 59);
    ck_assert_uint_eq(prefetch_window_at(prefetch_contexts_window(&contexts, 1, 14), 1), 0);
    prefetch_contexts_deinit(&contexts);
}
END_TEST

START_TEST(a_key_with_a_large_share_becomes_a_stop_word)
{
    struct prefetch_stopwords *stopwords = mem_alloc_zero(sizeof(*stopwords));
    struct random random;
    test_random_init(&random);
    unsigned frequent = 0;
    unsigned rare = 0;
    for (unsigned i = 0; i < 50000; i++) {
        if (i % 50 == 0)
            frequent += prefetch_stopwords_note(stopwords, 77);
        else
            rare += prefetch_stopwords_note(
                stopwords, (uint32_t)(1000 + random_below(&random, 100000)));
    }
    ck_assert_uint_gt(frequent, 500);
    ck_assert_uint_eq(rare, 0);
    mem_free(stopwords);
}
END_TEST

TEST_GROUP(tables_group, key_bytes_are_kept_until_the_log_comes_round,
    a_position_never_given_out_reads_nothing, a_full_set_of_guesses_gives_up_the_oldest,
    the_longest_unused_context_gives_way, a_key_with_a_large_share_becomes_a_stop_word)
