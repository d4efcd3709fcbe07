/*
 * codec.c: the payload of a cold record.
 *
 *   type     encoding     payload
 *   STRING   INT          canonical decimal text of the int64, 1 to 20 bytes
 *   STRING   EMBSTR       the bytes, 0 to 44
 *   STRING   RAW          the bytes, 0 to VALUE_STRING_SIZE_MAX
 *   others   any          what the type's class writes
 *
 * Type and encoding are in the record's header. Whatever was read from the disk is checked here: a payload that
 * the encoder could not have written is ST_CORRUPT, never an assertion.
 */
#include "base/check.h"
#include "storage/value.h"

void value_encode(const struct value *value, struct buf *payload)
{
    if (value->type == VALUE_STRING) {
        char scratch[24];
        buf_append_slice(payload, value_string_bytes(value, scratch));
        return;
    }
    CHECK(value->object != NULL);
    value->object->class->encode(value->object, payload);
}

struct slice value_payload_borrowed(const struct value *value)
{
    if (value->type != VALUE_STRING || value->encoding == VALUE_ENCODING_INT) {
        return (struct slice){.data = NULL, .size = 0};
    }
    /* An empty string has no bytes, but NULL would say that it must be encoded. */
    if (value->bytes.data == NULL) {
        return (struct slice){.data = "", .size = 0};
    }
    return value->bytes;
}

static enum status decode_string(unsigned encoding, struct slice payload, struct value *value)
{
    int64_t integer;
    switch (encoding) {
    case VALUE_ENCODING_INT:
        if (!slice_to_int64(payload, &integer)) {
            return ST_CORRUPT;
        }
        *value = value_integer(integer);
        return ST_OK;
    case VALUE_ENCODING_EMBSTR:
        if (payload.size > VALUE_EMBSTR_SIZE_MAX) {
            return ST_CORRUPT;
        }
        *value = value_string_raw(payload);
        value->encoding = VALUE_ENCODING_EMBSTR;
        return ST_OK;
    case VALUE_ENCODING_RAW:
        if (payload.size > VALUE_STRING_SIZE_MAX) {
            return ST_CORRUPT;
        }
        if (payload.size > VALUE_INLINE_SIZE_MAX) {
            return value_string_own(payload, value);
        }
        *value = value_string_raw(payload);
        return ST_OK;
    default: return ST_CORRUPT; /* a number from the disk, not an enum */
    }
}

enum status value_decode(
    unsigned type, unsigned encoding, struct slice payload, struct value *value)
{
    if (type >= VALUE_TYPE_COUNT || encoding >= VALUE_ENCODING_COUNT) {
        return ST_CORRUPT;
    }
    if (type == VALUE_STRING) {
        return decode_string(encoding, payload, value);
    }
    const struct value_class *value_class = value_class_of((enum value_type)type);
    if (value_class == NULL) {
        return ST_CORRUPT;
    }
    struct value_object *object = NULL;
    const enum status status = value_class->decode((enum value_encoding)encoding, payload, &object);
    if (status != ST_OK) {
        return status;
    }
    CHECK(object != NULL);
    CHECK(object->class == value_class);
    *value = (struct value){
        .type = (enum value_type)type,
        .encoding = object->encoding,
        .object = object,
    };
    return ST_OK;
}
