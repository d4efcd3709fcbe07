/*
 * glob_internal.h: what the tests of glob.c see besides the contract.
 */
#ifndef BASE_GLOB_INTERNAL_H
#define BASE_GLOB_INTERNAL_H

#include "base/slice.h"

/* glob_match(), and how many pattern elements were compared with a byte of text. */
bool glob_match_counted(
    struct slice pattern, struct slice text, bool ignore_case, uint64_t *step_count);

#endif
