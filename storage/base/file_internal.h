/*
 * file_internal.h: what the parts of the file module share.
 */
#ifndef BASE_FILE_INTERNAL_H
#define BASE_FILE_INTERNAL_H

#include "base/file.h"

/*
 * Counts an operation and asks the rules about it: 0, or the errno it must fail with. Does not come
 * back where a rule says crash; with prepare_crash set it first calls that with its context.
 */
int file_fault_check(enum file_operation operation, const char *path,
    void (*prepare_crash)(void *context), void *context);

/* Fills *error from an errno: "<what> <path>: <strerror>", and returns the fitting status. */
enum status file_error(struct error *error, int os_errno, const char *what, const char *path);

#endif
