/*
 * compiler.h: the only place that names compiler extensions.
 */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

#define MUST_USE  __attribute__((warn_unused_result))
#define NO_RETURN __attribute__((noreturn))
#define PRINTF_LIKE(format_index, first_index) \
    __attribute__((format(printf, format_index, first_index)))
#define UNUSED         __attribute__((unused))
#define PACKED         __attribute__((packed))
#define ALIGNED(bytes) __attribute__((aligned(bytes)))
#define FALLTHROUGH    __attribute__((fallthrough))

#define likely(condition)   __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)
/* Number of the lowest set bit; the argument is not 0. */
#define lowest_bit(bits) ((unsigned)__builtin_ctzll(bits))
/* The empty asm keeps gcc from taking a function that only prefetches for one without effect, whose calls it drops. */
#define prefetch_read(address)               \
    do {                                     \
        __builtin_prefetch((address), 0, 3); \
        __asm__ volatile("");                \
    } while (0)

/* Checked arithmetic on numbers that a client or a file chooses: true if the result overflowed. */
#define add_overflows(a, b, result) __builtin_add_overflow((a), (b), (result))
#define sub_overflows(a, b, result) __builtin_sub_overflow((a), (b), (result))
#define mul_overflows(a, b, result) __builtin_mul_overflow((a), (b), (result))

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define CONTAINER_OF(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define KiB ((uint64_t)1024)
#define MiB (1024 * KiB)
#define GiB (1024 * MiB)
#define TiB (1024 * GiB)

/* Clang's thread-safety analysis; nothing on other compilers. The lockable object is the capability. */
#if defined(__clang__)
#    define THREAD_ANNOTATION(x) __attribute__((x))
#else
#    define THREAD_ANNOTATION(x)
#endif
#define CAPABILITY(name)          THREAD_ANNOTATION(capability(name))
#define ACQUIRES(...)             THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define TRY_ACQUIRES(...)         THREAD_ANNOTATION(try_acquire_capability(__VA_ARGS__))
#define RELEASES(...)             THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define REQUIRES(...)             THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS THREAD_ANNOTATION(no_thread_safety_analysis)

#endif
