/*
 * value_internal.h: shared by the files of this module.
 */
#ifndef STORAGE_VALUE_INTERNAL_H
#define STORAGE_VALUE_INTERNAL_H

#include "storage/value.h"

/* True if the reclaimer has taken the value over. */
bool reclaimer_take(const struct value *value);
/* Frees what the value owns, at once. */
void value_free(struct blob *blob, struct value_object *object);

#endif
