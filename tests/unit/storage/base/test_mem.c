/*
 * test_mem.c: the allocator's contract, its figures, and maps that grow in place.
 */
#include "base/mem.h"
#include "test_main.h"

#include <signal.h>
#include <unistd.h>

START_TEST(size_zero_gives_unique_blocks)
{
    void *const a = mem_alloc(0);
    void *const b = mem_alloc_zero(0);
    ck_assert_ptr_nonnull(a);
    ck_assert_ptr_nonnull(b);
    ck_assert_ptr_ne(a, b);
    void *const c = mem_realloc(a, 0);
    ck_assert_ptr_nonnull(c);
    mem_free(b);
    mem_free(c);
    mem_free(NULL);
}
END_TEST

START_TEST(a_block_is_as_large_as_its_good_size)
{
    for (size_t size = 0; size < 10000; size += 7) {
        void *const block = mem_alloc(size);
        ck_assert_uint_ge(mem_size(block), size);
        ck_assert_uint_eq(mem_size(block), mem_good_size(size));
        mem_free(block);
    }
}
END_TEST

START_TEST(zeroed_blocks_are_zero_after_use)
{
    for (int round = 0; round < 100; round++) {
        char *const block = mem_alloc_zero(1000);
        for (size_t index = 0; index < 1000; index++)
            ck_assert_int_eq(block[index], 0);
        memset(block, 0xff, 1000);
        mem_free(block);
    }
}
END_TEST

START_TEST(realloc_keeps_the_content)
{
    char *block = mem_realloc(NULL, 10);
    memcpy(block, "0123456789", 10);
    block = mem_realloc(block, 100000);
    ck_assert_mem_eq(block, "0123456789", 10);
    block = mem_realloc(block, 5);
    ck_assert_mem_eq(block, "01234", 5);
    mem_free(block);
}
END_TEST

#ifdef KELVIN_SANITIZE /* sanitizers abort on a size that no machine has */
#    define EXHAUSTION_TESTS
#else
#    define EXHAUSTION_TESTS \
        try_alloc_gives_null_when_memory_is_out, alloc_aborts_when_memory_is_out,

START_TEST(try_alloc_gives_null_when_memory_is_out)
{
    /* Read at run time, so that no compiler refuses the size. */
    volatile size_t impossible = SIZE_MAX / 4;
    ck_assert_ptr_null(mem_try_alloc(impossible));
    char *const block = mem_string("kept");
    ck_assert_ptr_null(mem_try_realloc(block, impossible));
    ck_assert_str_eq(block, "kept");
    mem_free(block);
}
END_TEST

static void alloc_too_much(void *context)
{
    volatile size_t impossible = SIZE_MAX / 4;
    (void)context;
    mem_free(mem_alloc(impossible));
}

START_TEST(alloc_aborts_when_memory_is_out)
{
    ck_assert(test_aborts(alloc_too_much, NULL));
}
END_TEST
#endif

START_TEST(strings_are_copied_with_their_end)
{
    char *const whole = mem_string("abc");
    char *const part = mem_string_sized("abcdef", 2);
    char *const nothing = mem_string_sized(NULL, 0);
    ck_assert_str_eq(whole, "abc");
    ck_assert_str_eq(part, "ab");
    ck_assert_str_eq(nothing, "");
    mem_free(whole);
    mem_free(part);
    mem_free(nothing);
}
END_TEST

START_TEST(figures_follow_what_is_allocated)
{
    struct mem_stats before;
    struct mem_stats during;
    struct mem_stats after;
    const size_t size = 20 * 1024 * 1024;
    mem_stats_read(&before);
    char *const block = mem_alloc(size);
    memset(block, 1, size);
    mem_stats_read(&during);
    ck_assert_uint_ge(during.allocated_bytes, before.allocated_bytes + size);
    ck_assert_uint_eq(mem_allocated_cached(), during.allocated_bytes);
    ck_assert_uint_ge(during.active_bytes + during.mapped_bytes, during.allocated_bytes);
    ck_assert_uint_ge(during.resident_bytes, size);
    ck_assert_uint_ge(during.anonymous_bytes, size);
    ck_assert_uint_ge(during.rss_bytes, during.anonymous_bytes);
    mem_free(block);
    mem_purge();
    mem_stats_read(&after);
    ck_assert_uint_lt(after.allocated_bytes, before.allocated_bytes + size / 2);
}
END_TEST

START_TEST(setup_can_be_called)
{
    mem_setup();
    mem_purge();
    char *const block = mem_alloc(100);
    mem_free(block);
}
END_TEST

START_TEST(a_map_grows_in_place_and_is_counted)
{
    struct mem_stats before;
    struct mem_stats stats;
    mem_stats_read(&before);
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t space = 1024 * page;
    char *const base = mem_map_reserve(space);
    mem_stats_read(&stats);
    ck_assert_uint_eq(stats.mapped_bytes, before.mapped_bytes);
    mem_map_commit(base, 0, 1); /* rounded up */
    base[0] = 'a';
    base[page - 1] = 'b';
    mem_map_commit(base, 1, space);
    ck_assert_int_eq(base[0], 'a');
    ck_assert_int_eq(base[page - 1], 'b');
    ck_assert_int_eq(base[page], 0);
    base[space - 1] = 'c';
    mem_stats_read(&stats);
    ck_assert_uint_eq(stats.mapped_bytes, before.mapped_bytes + space);
    mem_map_release(base, space, space);
    mem_stats_read(&stats);
    ck_assert_uint_eq(stats.mapped_bytes, before.mapped_bytes);
}
END_TEST

START_TEST(a_shrunken_map_comes_back_zeroed)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *const base = mem_map_reserve(4 * page);
    mem_map_commit(base, 0, 4 * page);
    memset(base, 'x', 4 * page);
    mem_map_commit(base, 4 * page, page);
    mem_map_commit(base, page, 4 * page);
    ck_assert_int_eq(base[page - 1], 'x');
    ck_assert_int_eq(base[page], 0);
    ck_assert_int_eq(base[4 * page - 1], 0);
    mem_map_release(base, 4 * page, 4 * page);
}
END_TEST

START_TEST(a_large_map_starts_at_a_huge_page_and_counts_in_allocated)
{
    const size_t size = 8 * 1024 * 1024;
    struct mem_stats before;
    struct mem_stats during;
    mem_stats_read(&before);
    char *const base = mem_map_reserve(size);
    ck_assert_uint_eq((uintptr_t)base % (2 * 1024 * 1024), 0);
    mem_map_commit(base, 0, size);
    memset(base, 1, size);
    mem_stats_read(&during);
    ck_assert_uint_ge(during.allocated_bytes, before.allocated_bytes + size);
    mem_map_release(base, size, size);
    mem_map_release(NULL, 0, 0);
}
END_TEST

static void touch(void *context)
{
    (void)signal(SIGSEGV, SIG_DFL); /* a sanitizer would report and exit */
    *(volatile char *)context = 1;
}

START_TEST(reserved_memory_cannot_be_touched)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *const base = mem_map_reserve(2 * page);
    mem_map_commit(base, 0, page);
    ck_assert_int_eq(test_exit_status(touch, base), 0);
    ck_assert_int_ne(test_exit_status(touch, base + page), 0);
    mem_map_release(base, 2 * page, page);
}
END_TEST

TEST_GROUP(mem_group, size_zero_gives_unique_blocks, a_block_is_as_large_as_its_good_size,
    zeroed_blocks_are_zero_after_use, realloc_keeps_the_content,
    EXHAUSTION_TESTS strings_are_copied_with_their_end, figures_follow_what_is_allocated,
    setup_can_be_called, a_map_grows_in_place_and_is_counted, a_shrunken_map_comes_back_zeroed,
    a_large_map_starts_at_a_huge_page_and_counts_in_allocated, reserved_memory_cannot_be_touched)
