/*
 * list_internal.h: what the files of storage/list share.
 */
#ifndef STORAGE_LIST_INTERNAL_H
#define STORAGE_LIST_INTERNAL_H

#include "storage/list.h"

/* The codec of the cold tier (list_codec.c): as value_class. */
void list_encode(const struct value_object *object, struct buf *out);
MUST_USE enum status list_decode(
    enum value_encoding encoding, struct slice in, struct value_object **object);

#endif
