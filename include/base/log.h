/*
 * log.h: the server's log for people. "module: event key=value ..."; the constant part is one literal.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Opens (appends to) path; "" is stdout. False if it cannot be opened; the old target stays. Any thread. */
MUST_USE bool log_target_set(const char *path);
void log_level_set(enum log_level level);
enum log_level log_level(void);

/* Any thread; one line, one write(2). Lines look like "<pid>:M 22 Nov 2026 10:31:39.123 * text"; control characters become '?'. */
void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)

/* True at most once per interval and call site: if (log_every(&last_ms, 1000)) log_warn(...). */
bool log_every(_Atomic uint64_t *last_ms, uint64_t interval_ms);

#endif
