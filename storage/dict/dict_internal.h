/*
 * dict_internal.h: what the files of the dict share.
 */
#ifndef DICT_INTERNAL_H
#define DICT_INTERNAL_H

#include "storage/dict.h"

/* Rows of fields and times. */
enum { DICT_FIELD = 0, DICT_VALUE = 1, DICT_TIME = 1, DICT_STRIDE = 2 };
/* Rows of deadlines. */
enum { DICT_DEADLINE_TIME = 0, DICT_DEADLINE_FIELD = 1 };

struct dict_times {
    struct tree times;
    struct tree deadlines;
};

struct dict {
    struct value_object object; /* first */
    struct tree fields;
    struct dict_times *times; /* NULL: no field has an expiry */
};

/* An empty dict of this encoding. */
struct dict *dict_create_as(enum value_encoding encoding);
/* Gives a field, of which it is known that it has no expiry, this one. */
void dict_add_time(struct dict *dict, const struct element *field, uint64_t expire_ms);

#endif
