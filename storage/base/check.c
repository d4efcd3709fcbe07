/*
 * check.c: the end of a process that found a bug in itself.
 */
#include "base/check.h"

#include "base/log.h"

void check_failed(const char *what, const char *file, int line)
{
    /* The log writes each line with one write(2), so nothing is left in a buffer. */
    log_error("check failed: %s at %s:%d", what, file, line);
    abort();
}
