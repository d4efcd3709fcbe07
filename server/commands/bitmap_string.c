/*
 * bitmap_string.c: a string that is read, and perhaps changed, bit by bit.
 *
 * The first write decides where the new bytes are put together:
 *
 *   a blob nobody else holds, with room    in place
 *   bytes in the record, raw, long enough  in place
 *   up to VALUE_INLINE_SIZE_MAX            a copy on the stack, stored inline at the end
 *   else                                   a copy in a new blob, with room to grow
 */
#include "bitmap_internal.h"

#define GROWTH_MAX ((size_t)1024 * 1024)

bool bitmap_open(struct command_call *call, enum keyspace_access access, struct bitmap *bitmap)
{
    bitmap->call = call;
    bitmap->place = BITMAP_UNCHANGED;
    bitmap->writable = NULL;
    bitmap->new_blob = NULL;
    bitmap->value = (struct value){.type = VALUE_STRING};
    if (!command_find_typed(call, 0, access, VALUE_STRING, &bitmap->record))
        return false;
    if (bitmap->record != NULL)
        bitmap->value = hot_record_value(bitmap->record);
    const struct slice bytes = value_string_bytes(&bitmap->value, bitmap->scratch);
    bitmap->bytes = (const uint8_t *)bytes.data;
    bitmap->size = bytes.size;
    return true;
}

/* Bytes that may be changed where they are, `size` of them; NULL if there are none. */
static char *own_bytes(const struct bitmap *bitmap, size_t size)
{
    struct blob *const blob = bitmap->value.blob;
    if (blob != NULL)
        return size <= blob->capacity && !blob_is_shared(blob) ? blob->data : NULL;
    if (bitmap->value.encoding != VALUE_ENCODING_RAW || size != bitmap->size)
        return NULL;
    /* They lie in the record, which is not const: the handle only says that its readers must not change them. */
    return (char *)(uintptr_t)bitmap->value.bytes.data;
}

static bool write_in_record(struct bitmap *bitmap, size_t size)
{
    struct command_call *const call = bitmap->call;
    if (bitmap->record == NULL || own_bytes(bitmap, size) == NULL)
        return false;
    bitmap->external_bytes = value_external_bytes(&bitmap->value);
    keyspace_edit_begin(call->view, &call->keys[0], bitmap->record);
    /* The checkpoint's image, if it had to be saved, shares the blob now. */
    char *const bytes = own_bytes(bitmap, size);
    if (bytes == NULL) {
        keyspace_edit_end(call->view, &call->keys[0], bitmap->record, bitmap->external_bytes);
        return false;
    }
    if (size > bitmap->size)
        memset(bytes + bitmap->size, 0, size - bitmap->size);
    if (bitmap->value.blob != NULL)
        bitmap->value.blob->size = size;
    bitmap->place = BITMAP_IN_RECORD;
    bitmap->writable = (uint8_t *)bytes;
    return true;
}

static size_t capacity_for(const struct bitmap *bitmap, size_t size)
{
    const size_t capacity = size + (size < GROWTH_MAX ? size : GROWTH_MAX);
    return bitmap->size > 0 && size > bitmap->size && capacity < VALUE_STRING_SIZE_MAX ? capacity
                                                                                       : size;
}

static bool write_copy(struct bitmap *bitmap, size_t size)
{
    char *bytes = bitmap->small_bytes;
    if (size > VALUE_INLINE_SIZE_MAX) {
        bitmap->new_blob = blob_create(capacity_for(bitmap, size));
        if (bitmap->new_blob == NULL) {
            commands_reply_no_memory(bitmap->call);
            return false;
        }
        bitmap->new_blob->size = size;
        bytes = bitmap->new_blob->data;
    }
    if (bitmap->size > 0)
        memcpy(bytes, bitmap->bytes, bitmap->size);
    memset(bytes + bitmap->size, 0, size - bitmap->size);
    bitmap->place = size > VALUE_INLINE_SIZE_MAX ? BITMAP_IN_BLOB : BITMAP_ON_STACK;
    bitmap->writable = (uint8_t *)bytes;
    return true;
}

uint8_t *bitmap_write(struct bitmap *bitmap, size_t size_min)
{
    const size_t size = size_min > bitmap->size ? size_min : bitmap->size;
    if (bitmap->place == BITMAP_UNCHANGED && !write_in_record(bitmap, size) &&
        !write_copy(bitmap, size))
        return NULL;
    bitmap->bytes = bitmap->writable;
    bitmap->size = size;
    return bitmap->writable;
}

void bitmap_close(struct bitmap *bitmap)
{
    struct command_call *const call = bitmap->call;
    const uint64_t expire_ms = bitmap->record == NULL ? 0 : hot_record_expire_ms(bitmap->record);
    switch (bitmap->place) {
    case BITMAP_UNCHANGED: return;
    case BITMAP_IN_RECORD:
        keyspace_edit_end(call->view, &call->keys[0], bitmap->record, bitmap->external_bytes);
        break;
    case BITMAP_ON_STACK:
        (void)keyspace_set(call->view, &call->keys[0], bitmap->record,
            value_string_raw(slice_of(bitmap->small_bytes, bitmap->size)), expire_ms);
        break;
    case BITMAP_IN_BLOB:
        (void)keyspace_set(
            call->view, &call->keys[0], bitmap->record, value_blob(bitmap->new_blob), expire_ms);
        break;
    }
}

/* Bytes that a string may have. What the log holds was allowed once, whatever the limit is now. */
static uint64_t size_max(const struct command_call *call)
{
    if (call->view->replay)
        return VALUE_STRING_SIZE_MAX;
    const int64_t configured = OPTION_GET(&call->server->settings->server, bulk_size_max);
    return (uint64_t)configured < VALUE_STRING_SIZE_MAX ? (uint64_t)configured
                                                        : VALUE_STRING_SIZE_MAX;
}

void bitmap_reply_bad_offset(struct command_call *call)
{
    reply_error(call->reply, "ERR bit offset is not an integer or out of range");
}

bool bitmap_offset(struct command_call *call, int argument, unsigned width, uint64_t *offset)
{
    struct slice text = call->argv[argument];
    const bool is_index = width > 0 && text.size > 0 && text.data[0] == '#';
    if (is_index)
        text = slice_of(text.data + 1, text.size - 1);
    int64_t number = 0;
    if (slice_to_int64(text, &number) && number >= 0 &&
        !mul_overflows((uint64_t)number, (uint64_t)(is_index ? width : 1), offset) &&
        *offset / 8 < size_max(call))
        return true;
    bitmap_reply_bad_offset(call);
    return false;
}
