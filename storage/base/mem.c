/*
 * mem.c: the allocator and its figures.
 *
 * jemalloc replaces malloc() for the whole process, libraries too, so its figures are complete. Builds
 * without it (sanitizers) count by themselves what passes through this file.
 *
 * Set-up is in two parts: the string below is read by jemalloc before main(), because the number of arenas
 * cannot change later (few arenas: threads share what is free, fragmentation stays low); purging in the
 * background is switched on by mem_setup(), because it starts threads.
 */
#include "base/mem.h"

#include "base/check.h"
#include "base/log.h"
#include "mem_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <unistd.h>

static _Atomic uint64_t allocated_cached; /* atomic: relaxed, set by mem_stats_read() */

#ifdef KELVIN_JEMALLOC

#    include <jemalloc/jemalloc.h>

/* Read by jemalloc: its documented interface for a program's own settings. */
const char *malloc_conf =
    "narenas:4,dirty_decay_ms:1000,muzzy_decay_ms:0,lg_tcache_max:13"; /* no large blocks in reserve */

#    define GOOD_SIZE_MAX ((size_t)4096)

static void count_add(const void *block)
{
    (void)block;
}
static void count_subtract(const void *block)
{
    (void)block;
}

static size_t read_figure(const char *name)
{
    size_t value = 0;
    size_t size = sizeof(value);
    CHECK(mallctl(name, &value, &size, NULL, 0) == 0);
    return value;
}

static void read_allocator(struct mem_stats *stats)
{
    /* Figures are as of the last change of the epoch. */
    uint64_t epoch = 1;
    size_t size = sizeof(epoch);
    CHECK(mallctl("epoch", &epoch, &size, &epoch, size) == 0);
    stats->allocated_bytes = read_figure("stats.allocated");
    stats->active_bytes = read_figure("stats.active");
    stats->resident_bytes = read_figure("stats.resident");
}

/* Size classes of multiples of 16 bytes, for the most frequent question; 0 before mem_setup(). Immutable after it. */
static uint16_t good_sizes[GOOD_SIZE_MAX / 16 + 1];

size_t mem_good_size(size_t size_bytes)
{
    if (likely(size_bytes > 16 && size_bytes <= GOOD_SIZE_MAX)) {
        const size_t good = good_sizes[(size_bytes + 15) / 16];
        if (likely(good != 0))
            return good;
    }
    return nallocx(size_bytes == 0 ? 1 : size_bytes, 0);
}

void mem_setup(void)
{
    for (size_t index = 2; index < COUNT_OF(good_sizes); index++)
        good_sizes[index] = (uint16_t)nallocx(index * 16, 0);
    bool on = true;
    if (mallctl("background_thread", NULL, NULL, &on, sizeof(on)) != 0)
        log_warn("mem: no background thread, freed pages are returned by the threads that free");
}

void mem_thread_uncached(void)
{
    bool on = false;
    CHECK(mallctl("thread.tcache.enabled", NULL, NULL, &on, sizeof(on)) == 0);
}

int64_t mem_thread_balance(void)
{
    uint64_t allocated = 0;
    uint64_t freed = 0;
    size_t size = sizeof(allocated);
    CHECK(mallctl("thread.allocated", &allocated, &size, NULL, 0) == 0);
    CHECK(mallctl("thread.deallocated", &freed, &size, NULL, 0) == 0);
    return (int64_t)(allocated - freed);
}

void mem_purge(void)
{
    CHECK(mallctl("arena.4096.purge", NULL, NULL, NULL, 0) == 0); /* 4096: MALLCTL_ARENAS_ALL */
}
static_assert(MALLCTL_ARENAS_ALL == 4096, "the name in mem_purge() has the number spelled out");

#else

static _Atomic uint64_t live_bytes;          /* atomic: relaxed counter */
static _Thread_local int64_t thread_balance; /* owned by: the thread */

static void count_add(const void *block)
{
    if (block == NULL)
        return;
    atomic_fetch_add_explicit(&live_bytes, mem_size(block), memory_order_relaxed);
    thread_balance += (int64_t)mem_size(block);
}

static void count_subtract(const void *block)
{
    if (block == NULL)
        return;
    atomic_fetch_sub_explicit(&live_bytes, mem_size(block), memory_order_relaxed);
    thread_balance -= (int64_t)mem_size(block);
}

void mem_thread_uncached(void) {}

int64_t mem_thread_balance(void)
{
    return thread_balance;
}

static void read_allocator(struct mem_stats *stats)
{
    stats->allocated_bytes = atomic_load_explicit(&live_bytes, memory_order_relaxed);
    stats->active_bytes = stats->allocated_bytes;
    stats->resident_bytes = stats->allocated_bytes;
}

size_t mem_good_size(size_t size_bytes)
{
    if (size_bytes == 0)
        size_bytes = 1;
#    ifdef KELVIN_SANITIZE
    return size_bytes; /* the sanitizers' allocators report exactly what was asked for */
#    else
    /* glibc: 16-byte steps less one word of its own, at least 24 bytes */
    const size_t size = ((size_bytes + 8 + 15) & ~(size_t)15) - 8;
    return size < 24 ? 24 : size;
#    endif
}

void mem_setup(void) {}

void mem_purge(void)
{
    (void)malloc_trim(0);
}

#endif

static NO_RETURN void out_of_memory(size_t size_bytes)
{
    log_error("mem: out of memory size_bytes=%zu", size_bytes);
    abort();
}

void *mem_try_alloc(size_t size_bytes)
{
    void *const block = malloc(size_bytes == 0 ? 1 : size_bytes);
    count_add(block);
    return block;
}

void *mem_alloc(size_t size_bytes)
{
    void *const block = mem_try_alloc(size_bytes);
    if (unlikely(block == NULL))
        out_of_memory(size_bytes);
    return block;
}

void *mem_alloc_zero(size_t size_bytes)
{
    void *const block = calloc(1, size_bytes == 0 ? 1 : size_bytes);
    if (unlikely(block == NULL))
        out_of_memory(size_bytes);
    count_add(block);
    return block;
}

void *mem_try_realloc(void *block, size_t size_bytes)
{
    count_subtract(block);
    void *const moved = realloc(block, size_bytes == 0 ? 1 : size_bytes);
    count_add(moved == NULL ? block : moved);
    return moved;
}

void *mem_realloc(void *block, size_t size_bytes)
{
    void *const moved = mem_try_realloc(block, size_bytes);
    if (unlikely(moved == NULL))
        out_of_memory(size_bytes);
    return moved;
}

void mem_free(void *block)
{
    count_subtract(block);
    free(block);
}

size_t mem_size(const void *block)
{
    /* The interface lacks a const; nothing is written through the pointer. */
    union {
        const void *given;
        void *asked;
    } pointer = {.given = block};
    return malloc_usable_size(pointer.asked);
}

char *mem_string_sized(const char *text, size_t size_bytes)
{
    CHECK(size_bytes < SIZE_MAX);
    char *const copy = mem_alloc(size_bytes + 1);
    if (size_bytes > 0)
        memcpy(copy, text, size_bytes);
    copy[size_bytes] = '\0';
    return copy;
}

char *mem_string(const char *text)
{
    return mem_string_sized(text, strlen(text));
}

/* The number of kilobytes behind "<name>:" in /proc/self/status, in bytes; 0 if it is not there. */
static uint64_t status_figure(const char *status, const char *name)
{
    const char *const found = strstr(status, name);
    if (found == NULL)
        return 0;
    return (uint64_t)strtoull(found + strlen(name), NULL, 10) * KiB;
}

/* Not through base/file: no disk is behind it, so any thread may read it. */
static void read_kernel(struct mem_stats *stats)
{
    char text[4096];
    const int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t size;
    do {
        size = read(fd, text, sizeof(text) - 1);
    } while (size < 0 && errno == EINTR);
    (void)close(fd);
    if (size <= 0)
        return;
    text[size] = '\0';
    stats->rss_bytes = status_figure(text, "\nVmRSS:");
    stats->anonymous_bytes = status_figure(text, "\nRssAnon:");
}

void mem_stats_read(struct mem_stats *stats)
{
    *stats = (struct mem_stats){0};
    read_allocator(stats);
    stats->mapped_bytes = mem_mapped_bytes();
    stats->allocated_bytes += stats->mapped_bytes;
    read_kernel(stats);
#ifdef KELVIN_SANITIZE
    /* What the sanitizer itself takes, freed blocks it keeps among it, is no memory of the program's. */
    stats->anonymous_bytes = stats->allocated_bytes;
#endif
    atomic_store_explicit(&allocated_cached, stats->allocated_bytes, memory_order_relaxed);
}

uint64_t mem_allocated_cached(void)
{
    return atomic_load_explicit(&allocated_cached, memory_order_relaxed);
}
