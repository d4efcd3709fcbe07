/*
 * test_hot_guess.c: I8: a prefetched record never displaces one of proven use, whatever is prefetched.
 */
#include "hot_fixture.h"

/* All in one partition, so that one set of queues is at work. */
#define PARTITION 7

enum { MAIN_COUNT = 200, GUESS_COUNT = 5000 };

struct named {
    char name[32];
};

static void restore_main(struct fixture *f, struct named *named, unsigned *n, unsigned frequency)
{
    struct hot_content content = content_of("value of some length");
    content.heat = (struct hot_heat){.queue = HOT_QUEUE_MAIN, .frequency = (uint8_t)frequency};
    const struct key key = key_in_partition(named->name, "main", PARTITION, n);
    (void)hot_restore(f->hot, &key, &content);
}

/* Guesses that nobody uses come in; after each, memory is brought back to what it was. */
static void flood(struct fixture *f)
{
    struct hot_content guess = content_of("value of some length");
    guess.prefetched = true;
    const uint64_t limit = metrics_of(f).record_bytes;
    unsigned n = 0;
    for (unsigned count = 0; count < GUESS_COUNT; count++) {
        char name[32];
        const struct key key = key_in_partition(name, "guess", PARTITION, &n);
        (void)hot_restore(f->hot, &key, &guess);
        const uint64_t bytes = metrics_of(f).record_bytes;
        struct hot_demotion demotion;
        if (bytes > limit)
            hot_demote(f->hot, PARTITION, bytes - limit, 1000, &demotion);
    }
}

static unsigned count_left(struct fixture *f, const struct named *names)
{
    unsigned left = 0;
    for (unsigned index = 0; index < MAIN_COUNT; index++) {
        const struct hot_record *const record = find(f, names[index].name);
        if (record != NULL && hot_record_heat(record).queue == HOT_QUEUE_MAIN)
            left++;
    }
    return left;
}

START_TEST(where_probation_has_its_share_main_gives_nothing_to_guesses)
{
    struct fixture f;
    fixture_open(&f);
    struct named names[MAIN_COUNT];
    unsigned n = 0;
    for (unsigned index = 0; index < MAIN_COUNT; index++)
        restore_main(&f, &names[index], &n, 0);
    n = 0;
    for (unsigned index = 0; index < MAIN_COUNT / 6; index++) {
        char name[32];
        (void)key_in_partition(name, "once", PARTITION, &n);
        (void)promote(&f, name, "value of some length");
    }
    flood(&f);
    ck_assert_uint_eq(count_left(&f, names), MAIN_COUNT);
    fixture_close(&f);
}
END_TEST

START_TEST(probation_never_grows_beyond_its_share_by_guesses)
{
    struct fixture f;
    fixture_open(&f);
    struct named names[MAIN_COUNT];
    unsigned n = 0;
    for (unsigned index = 0; index < MAIN_COUNT; index++)
        restore_main(&f, &names[index], &n, index % 2);
    flood(&f);
    ck_assert_uint_ge(count_left(&f, names), MAIN_COUNT * 89 / 100);
    /* What was used since the last round is all there. */
    for (unsigned index = 1; index < MAIN_COUNT; index += 2)
        ck_assert_ptr_nonnull(find(&f, names[index].name));
    fixture_close(&f);
}
END_TEST

TEST_MAIN("hot_guess", where_probation_has_its_share_main_gives_nothing_to_guesses,
    probation_never_grows_beyond_its_share_by_guesses)
