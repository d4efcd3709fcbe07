/*
 * mem.h: the process's allocator (jemalloc in releases, libc under sanitizers).
 *
 * All memory of the project comes from here. Sizes that the program chooses use mem_alloc(), which
 * aborts when memory is out; sizes that a client or a file chooses are bounded by the caller and use
 * mem_try_alloc().
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include "base/compiler.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Never NULL; aborts after logging when memory is out. size 0 gives a unique pointer. */
MUST_USE void *mem_alloc(size_t size_bytes);
MUST_USE void *mem_alloc_zero(size_t size_bytes);
MUST_USE void *mem_realloc(void *block, size_t size_bytes);
/* NULL when memory is out. */
MUST_USE void *mem_try_alloc(size_t size_bytes);
MUST_USE void *mem_try_realloc(void *block, size_t size_bytes);
/* Takes NULL. */
void mem_free(void *block);

/* Bytes really occupied by the block (its size class), at least what was asked for. */
size_t mem_size(const void *block);
/* The size class that mem_alloc(size_bytes) would use. */
size_t mem_good_size(size_t size_bytes);

/* Copies with a terminating NUL; the caller frees. */
MUST_USE char *mem_string(const char *text);
MUST_USE char *mem_string_sized(const char *text, size_t size_bytes);

/*
 * For threads that only now and then allocate, or whose allocations others free: the allocator keeps no blocks in reserve for
 * the calling thread (some hundred kilobytes each otherwise).
 */
void mem_thread_uncached(void);
/* Bytes the calling thread has allocated less those it has freed, libraries included; it may be negative. For differences. */
int64_t mem_thread_balance(void);

/* Figures of the whole process. */
struct mem_stats {
    uint64_t allocated_bytes; /* live allocations, plus mem_map()s, as the allocator counts them */
    uint64_t active_bytes;    /* pages that hold live allocations */
    uint64_t resident_bytes;  /* pages the allocator has in RAM */
    uint64_t mapped_bytes;    /* committed through mem_map_commit() */
    uint64_t rss_bytes; /* resident set of the process, from the kernel (file pages included) */
    uint64_t anonymous_bytes; /* its anonymous part */
};
/* Some microseconds to some 100 us (it refreshes the allocator's figures): for timers, not for requests. */
void mem_stats_read(struct mem_stats *stats);
/* Allocated bytes alone, refreshed by mem_stats_read(); a relaxed atomic load. */
uint64_t mem_allocated_cached(void);

/*
 * Address space reserved without memory behind it, for tables that grow in place.
 *
 * mem_map_reserve  page-aligned space of size_bytes, inaccessible. Aborts if the kernel refuses.
 * mem_map_commit   makes the first committed_bytes usable (zero-filled where new) and releases the
 *                  rest; previous_bytes is what was committed before. Sizes are rounded up to pages.
 *                  Huge pages are advised once 2 MiB or more are committed.
 * mem_map_release  gives everything back.
 */
MUST_USE void *mem_map_reserve(size_t size_bytes);
void mem_map_commit(void *base, size_t previous_bytes, size_t committed_bytes);
void mem_map_release(void *base, size_t size_bytes, size_t committed_bytes);

/* Allocator's set-up (background purging, dirty decay); called once from main() before threads. */
void mem_setup(void);
/* Returns unused pages to the kernel now (MEMORY PURGE). */
void mem_purge(void);

#endif
