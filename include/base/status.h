/*
 * status.h: how functions say what happened.
 *
 * Outcomes and failures are return values. Bugs abort (check.h). Slow paths (open, recovery, tools)
 * also fill a struct error, once, where the failure is detected; whoever decides what to do logs it.
 */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include "base/compiler.h"

enum status {
    ST_OK = 0,
    /* outcomes */
    ST_NOT_FOUND, /* there is no such thing */
    ST_EXISTS,    /* there is already such a thing */
    ST_PENDING,   /* will be answered later, by a callback or message */
    ST_AGAIN,     /* not now: a named limit is reached, try later */
    ST_END,       /* nothing more to read */
    /* failures */
    ST_INVALID,   /* the caller's input breaks the contract of a format or range */
    ST_IO,        /* the operating system refused; see os_errno */
    ST_FULL,      /* no space left on the disk, or a size bound is reached */
    ST_CORRUPT,   /* stored bytes fail their checksum or structure */
    ST_NO_MEMORY, /* mem_try_alloc() failed or the declared bound was exceeded */
    ST_CLOSED,    /* the object is shut down or has failed for good */
    ST_BUSY,      /* locked by somebody else */
};

/* A failure for a person: the sentence names the path, offset or name involved. */
struct error {
    enum status status;
    int os_errno; /* 0 if the operating system was not involved */
    char message[1000];
};

/* Fills *error (which may be NULL) and returns status. A non-zero os_errno appends ": <strerror>". */
enum status error_set(struct error *error, enum status status, int os_errno, const char *format,
    ...) PRINTF_LIKE(4, 5);

/* Puts "<text>: " in front of the message. error may be NULL. */
void error_prefix(struct error *error, const char *format, ...) PRINTF_LIKE(2, 3);

/* For the few calls whose failure changes nothing, as in cleaning up; a comment there says why. */
static inline void status_ignore(enum status status)
{
    (void)status;
}

/* The constant's name without ST_, lower case, for logs. */
const char *status_name(enum status status);

#endif
