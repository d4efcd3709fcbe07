/*
 * mem_map.c: address space that is reserved at once and given memory as it is needed.
 *
 *   base ──►[ committed: read and write | reserved: no access, no memory ]
 *            huge pages from 2 MiB on
 */
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "mem_internal.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE_BYTES ((size_t)(2 * MiB))

static _Atomic uint64_t mapped_bytes; /* atomic: relaxed counter */

uint64_t mem_mapped_bytes(void)
{
    return atomic_load_explicit(&mapped_bytes, memory_order_relaxed);
}

static size_t round_up(size_t size_bytes, size_t unit)
{
    CHECK(size_bytes <= SIZE_MAX - unit);
    return (size_bytes + unit - 1) & ~(unit - 1);
}

static size_t round_to_pages(size_t size_bytes)
{
    return round_up(size_bytes, (size_t)sysconf(_SC_PAGESIZE));
}

static void unmap(char *start, size_t size_bytes)
{
    if (size_bytes > 0)
        CHECK(munmap(start, size_bytes) == 0);
}

void *mem_map_reserve(size_t size_bytes)
{
    const size_t size = round_to_pages(size_bytes);
    CHECK(size > 0);
    /* Large ones begin at a huge page: more is asked for, and what is over is given back. */
    const size_t extra = size >= HUGE_PAGE_BYTES ? HUGE_PAGE_BYTES : 0;
    char *const space =
        mmap(NULL, size + extra, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space == MAP_FAILED) {
        log_error("mem: no address space size_bytes=%zu", size);
        abort();
    }
    if (extra == 0)
        return space;
    const size_t before = (size_t)(0 - (uintptr_t)space) & (HUGE_PAGE_BYTES - 1);
    unmap(space, before);
    unmap(space + before + size, extra - before);
    return space + before;
}

static void commit(char *start, size_t size_bytes)
{
    if (mprotect(start, size_bytes, PROT_READ | PROT_WRITE) != 0) {
        log_error("mem: out of memory size_bytes=%zu", size_bytes);
        abort();
    }
    atomic_fetch_add_explicit(&mapped_bytes, size_bytes, memory_order_relaxed);
}

static void decommit(char *start, size_t size_bytes)
{
    CHECK(madvise(start, size_bytes, MADV_DONTNEED) == 0);
    CHECK(mprotect(start, size_bytes, PROT_NONE) == 0);
    atomic_fetch_sub_explicit(&mapped_bytes, size_bytes, memory_order_relaxed);
}

void mem_map_commit(void *base, size_t previous_bytes, size_t committed_bytes)
{
    const size_t previous = round_to_pages(previous_bytes);
    const size_t committed = round_to_pages(committed_bytes);
    if (committed > previous)
        commit((char *)base + previous, committed - previous);
    else if (committed < previous)
        decommit((char *)base + committed, previous - committed);
    /* Only advice: a kernel without huge pages refuses, and nothing is lost. */
    if (committed > previous && committed >= HUGE_PAGE_BYTES)
        (void)madvise(base, committed, MADV_HUGEPAGE);
}

void mem_map_release(void *base, size_t size_bytes, size_t committed_bytes)
{
    if (base == NULL)
        return;
    unmap(base, round_to_pages(size_bytes));
    atomic_fetch_sub_explicit(&mapped_bytes, round_to_pages(committed_bytes), memory_order_relaxed);
}
