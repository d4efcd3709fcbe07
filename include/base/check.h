/*
 * check.h: assertions, on in every build. Never for what network, disk, clock or user can cause.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include "base/compiler.h"

#include <assert.h>
#include <stdint.h>

/* Logs the failed condition with file and line, flushes the log and aborts. */
NO_RETURN void check_failed(const char *what, const char *file, int line);

#define CHECK(condition)                                  \
    do {                                                  \
        if (unlikely(!(condition)))                       \
            check_failed(#condition, __FILE__, __LINE__); \
    } while (0)

/* For objects that come back through void *: the first member is `uint32_t magic`. */
#define CHECK_MAGIC(pointer, value) CHECK((pointer)->magic == (value))

#define UNREACHABLE(why) check_failed("unreachable: " why, __FILE__, __LINE__)

/* Whole-structure validation: debug, fuzz and sanitizer builds (KELVIN_DEBUG). */
#ifdef KELVIN_DEBUG
#    define DCHECK(condition) CHECK(condition)
#else
#    define DCHECK(condition)        \
        do {                         \
            (void)sizeof(condition); \
        } while (0)
#endif

#endif
