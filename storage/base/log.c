/*
 * log.c: lines for people, in the form that tools for Redis logs know:
 *
 *   4711:M 22 Nov 2026 10:31:39.123 * text
 *
 * The character after the time is the level: '.' debug, '*' info, '#' warn and error. ('-' is Redis's
 * verbose, which we do not have.) A line is made on the stack and written with one write(2), so lines of
 * several threads never mix and none is lost in an abort. Control characters become '?', so that nothing
 * a client sends can forge a line.
 *
 * Concurrency: log_fd is an atomic number. The first file gets a descriptor that is kept for
 * ever; later targets are put in its place with dup3(), so that a thread that has just loaded the
 * number never writes to a closed descriptor.
 */
#include "base/log.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096 };

static pthread_mutex_t target_lock = PTHREAD_MUTEX_INITIALIZER;
static int own_fd = -1;                     /* guarded by: target_lock; the kept descriptor */
static atomic_int log_fd = STDOUT_FILENO;   /* atomic: relaxed */
static atomic_int current_level = LOG_INFO; /* atomic: relaxed */

/* Puts a new descriptor into place. False if the system has none left. */
static bool switch_target(int fd)
{
    if (own_fd < 0) {
        own_fd = fd;
    } else {
        const int result = dup3(fd, own_fd, O_CLOEXEC);
        (void)close(fd);
        if (result < 0)
            return false;
    }
    atomic_store_explicit(&log_fd, own_fd, memory_order_relaxed);
    return true;
}

bool log_target_set(const char *path)
{
    if (path[0] == '\0') {
        atomic_store_explicit(&log_fd, STDOUT_FILENO, memory_order_relaxed);
        return true;
    }
    const int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return false;
    (void)pthread_mutex_lock(&target_lock);
    const bool good = switch_target(fd);
    (void)pthread_mutex_unlock(&target_lock);
    return good;
}

void log_level_set(enum log_level level)
{
    atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

enum log_level log_level(void)
{
    return (enum log_level)atomic_load_explicit(&current_level, memory_order_relaxed);
}

static char level_character(enum log_level level)
{
    switch (level) {
    case LOG_DEBUG: return '.';
    case LOG_INFO: return '*';
    case LOG_WARN: return '#';
    case LOG_ERROR: return '#';
    }
    return '#';
}

/* "<pid>:M 22 Nov 2026 10:31:39.123 * ", returns its length. Real time, also when tests fake the clock. */
static size_t write_head(char *line, size_t room, enum log_level level)
{
    struct timespec now;
    struct tm local;
    char day_and_time[64];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (localtime_r(&now.tv_sec, &local) == NULL ||
        strftime(day_and_time, sizeof(day_and_time), "%d %b %Y %H:%M:%S", &local) == 0)
        day_and_time[0] = '\0';
    const int length = snprintf(line, room, "%d:M %s.%03d %c ", (int)getpid(), day_and_time,
        (int)(now.tv_nsec / 1000000), level_character(level));
    return length > 0 ? (size_t)length : 0;
}

static void write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        const ssize_t count = write(fd, data, size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return; /* there is nobody to tell */
        data += count;
        size -= (size_t)count;
    }
}

void log_write(enum log_level level, const char *format, ...)
{
    if (level < log_level())
        return;
    const int caller_errno = errno;
    char line[LINE_MAX_BYTES];
    const size_t head = write_head(line, sizeof(line), level);
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(line + head, sizeof(line) - head, format, arguments);
    va_end(arguments);
    size_t size = head + (length > 0 ? (size_t)length : 0);
    if (size > sizeof(line) - 1)
        size = sizeof(line) - 1; /* cut: the NUL's place is for the newline */
    for (size_t index = head; index < size; index++) {
        const unsigned char byte = (unsigned char)line[index];
        if (byte < 0x20 || byte == 0x7f)
            line[index] = '?';
    }
    line[size++] = '\n';
    write_all(atomic_load_explicit(&log_fd, memory_order_relaxed), line, size);
    errno = caller_errno;
}

bool log_every(_Atomic uint64_t *last_ms, uint64_t interval_ms)
{
    /* 0 means never, so a clock that reads 0 counts as 1. */
    const uint64_t clock_ms = clock_monotonic_ms();
    const uint64_t now_ms = clock_ms == 0 ? 1 : clock_ms;
    uint64_t last = atomic_load_explicit(last_ms, memory_order_relaxed);
    if (last != 0 && now_ms - last < interval_ms)
        return false;
    return atomic_compare_exchange_strong_explicit(
        last_ms, &last, now_ms, memory_order_relaxed, memory_order_relaxed);
}
