/*
 * status.c: texts of failures.
 */
#include "base/status.h"

#include "base/check.h"

#include <stdarg.h>

static void append_format(struct error *error, size_t used, const char *format, ...)
    PRINTF_LIKE(3, 4);

static void append_format(struct error *error, size_t used, const char *format, ...)
{
    if (used >= sizeof(error->message))
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->message + used, sizeof(error->message) - used, format, arguments);
    va_end(arguments);
}

enum status error_set(
    struct error *error, enum status status, int os_errno, const char *format, ...)
{
    if (error == NULL)
        return status;
    error->status = status;
    error->os_errno = os_errno;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    if (os_errno != 0) {
        char text[128];
        append_format(
            error, strlen(error->message), ": %s", strerror_r(os_errno, text, sizeof(text)));
    }
    return status;
}

void error_prefix(struct error *error, const char *format, ...)
{
    if (error == NULL)
        return;
    char old[sizeof(error->message)];
    memcpy(old, error->message, sizeof(old));
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    append_format(error, strlen(error->message), ": %s", old);
}

const char *status_name(enum status status)
{
    switch (status) {
    case ST_OK: return "ok";
    case ST_NOT_FOUND: return "not_found";
    case ST_EXISTS: return "exists";
    case ST_PENDING: return "pending";
    case ST_AGAIN: return "again";
    case ST_END: return "end";
    case ST_INVALID: return "invalid";
    case ST_IO: return "io";
    case ST_FULL: return "full";
    case ST_CORRUPT: return "corrupt";
    case ST_NO_MEMORY: return "no_memory";
    case ST_CLOSED: return "closed";
    case ST_BUSY: return "busy";
    }
    UNREACHABLE("a status without a name");
}
