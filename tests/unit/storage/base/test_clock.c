/*
 * test_clock.c: clocks can be frozen, and the wall clock has a floor.
 */
#include "base/clock.h"
#include "test_main.h"

START_TEST(a_frozen_clock_shows_what_it_was_given)
{
    clock_fake_set(1000, 5000000);
    ck_assert_uint_eq(clock_wall_ms(), 1000);
    ck_assert_uint_eq(clock_wall_us(), 1000000);
    ck_assert_uint_eq(clock_monotonic_us(), 5000000);
    ck_assert_uint_eq(clock_monotonic_ms(), 5000);
    ck_assert_uint_eq(clock_monotonic_ns(), 5000000000);
}
END_TEST

START_TEST(frozen_clocks_move_together)
{
    clock_fake_set(1000, 5000000);
    clock_fake_advance(250);
    ck_assert_uint_eq(clock_wall_ms(), 1250);
    ck_assert_uint_eq(clock_monotonic_us(), 5250000);
}
END_TEST

START_TEST(zero_thaws)
{
    clock_fake_set(1000, 1);
    clock_fake_set(0, 0);
    ck_assert_uint_gt(clock_wall_ms(), 1600000000000); /* after 2020 */
    const uint64_t before = clock_monotonic_ns();
    ck_assert_uint_ge(clock_monotonic_ns(), before);
    ck_assert_uint_ge(clock_thread_cpu_us() + 1, 1);
}
END_TEST

START_TEST(the_wall_clock_never_shows_less_than_its_floor)
{
    clock_fake_set(1000, 1);
    clock_floor_set(2000);
    ck_assert_uint_eq(clock_wall_ms(), 2000);
    clock_fake_set(2500, 1);
    ck_assert_uint_eq(clock_wall_ms(), 2500);
    clock_fake_set(1500, 1); /* set back */
    ck_assert_uint_eq(clock_wall_ms(), 2000);
    ck_assert_uint_eq(clock_wall_us(), 2000000);
}
END_TEST

START_TEST(the_floor_never_sinks)
{
    clock_fake_set(1000, 1);
    clock_floor_set(3000);
    clock_floor_set(2000);
    ck_assert_uint_eq(clock_wall_ms(), 3000);
}
END_TEST

START_TEST(the_floor_leaves_the_monotonic_clock_alone)
{
    clock_fake_set(1000, 7000);
    clock_floor_set(9000);
    ck_assert_uint_eq(clock_monotonic_us(), 7000);
}
END_TEST

TEST_GROUP(clock_group, a_frozen_clock_shows_what_it_was_given, frozen_clocks_move_together,
    zero_thaws, the_wall_clock_never_shows_less_than_its_floor, the_floor_never_sinks,
    the_floor_leaves_the_monotonic_clock_alone)
