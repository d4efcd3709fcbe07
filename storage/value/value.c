/*
 * value.c: handles of values: how a string is represented, and what a value occupies.
 *
 * A string is an integer when its text is the canonical decimal of an int64, because that text can be made
 * again from the number; otherwise bytes, which are borrowed or live in a blob. Other types are objects of a
 * registered class.
 */
#include "storage/value.h"

#include "base/check.h"
#include "base/mem.h"
#include "value_internal.h"

/* Written before threads start, read-only after. */
static const struct value_class *value_classes[VALUE_TYPE_COUNT];

const char *value_type_name(enum value_type type)
{
    static const char *const names[VALUE_TYPE_COUNT] = {
        [VALUE_STRING] = "string",
        [VALUE_LIST] = "list",
        [VALUE_SET] = "set",
        [VALUE_ZSET] = "zset",
        [VALUE_HASH] = "hash",
        [VALUE_STREAM] = "stream",
    };
    CHECK((unsigned)type < VALUE_TYPE_COUNT);
    return names[type];
}

const char *value_encoding_name(enum value_encoding encoding)
{
    static const char *const names[VALUE_ENCODING_COUNT] = {
        [VALUE_ENCODING_RAW] = "raw",
        [VALUE_ENCODING_INT] = "int",
        [VALUE_ENCODING_EMBSTR] = "embstr",
        [VALUE_ENCODING_LISTPACK] = "listpack",
        [VALUE_ENCODING_QUICKLIST] = "quicklist",
        [VALUE_ENCODING_INTSET] = "intset",
        [VALUE_ENCODING_HASHTABLE] = "hashtable",
        [VALUE_ENCODING_SKIPLIST] = "skiplist",
        [VALUE_ENCODING_STREAM] = "stream",
        [VALUE_ENCODING_LISTPACK_EX] = "listpackex",
    };
    CHECK((unsigned)encoding < VALUE_ENCODING_COUNT);
    return names[encoding];
}

struct value value_string(struct slice bytes)
{
    int64_t integer;
    /* Twenty characters are the longest int64: longer texts need no look. */
    if (bytes.size <= 20 && slice_to_int64(bytes, &integer)) {
        return value_integer(integer);
    }
    const bool is_short = bytes.size <= VALUE_EMBSTR_SIZE_MAX;
    return (struct value){
        .type = VALUE_STRING,
        .encoding = is_short ? VALUE_ENCODING_EMBSTR : VALUE_ENCODING_RAW,
        .bytes = bytes,
    };
}

struct value value_string_raw(struct slice bytes)
{
    return (struct value){
        .type = VALUE_STRING,
        .encoding = VALUE_ENCODING_RAW,
        .bytes = bytes,
    };
}

struct value value_integer(int64_t integer)
{
    return (struct value){
        .type = VALUE_STRING,
        .encoding = VALUE_ENCODING_INT,
        .integer = integer,
    };
}

struct value value_blob(struct blob *blob)
{
    CHECK(blob->size <= blob->capacity);
    return (struct value){
        .type = VALUE_STRING,
        .encoding = VALUE_ENCODING_RAW,
        .bytes = {.data = blob->data, .size = blob->size},
        .blob = blob,
    };
}

enum status value_string_own(struct slice bytes, struct value *value)
{
    if (bytes.size <= VALUE_INLINE_SIZE_MAX) {
        *value = value_string(bytes);
        return ST_OK;
    }
    struct blob *blob = bytes.size <= VALUE_STRING_SIZE_MAX ? blob_create(bytes.size) : NULL;
    if (blob == NULL) {
        return ST_NO_MEMORY;
    }
    memcpy(blob->data, bytes.data, bytes.size);
    blob->size = bytes.size;
    *value = value_blob(blob);
    return ST_OK;
}

struct slice value_string_bytes(const struct value *value, char scratch[24])
{
    CHECK(value->type == VALUE_STRING);
    if (value->encoding == VALUE_ENCODING_INT) {
        return slice_of(scratch, int64_to_text(value->integer, scratch));
    }
    return value->bytes;
}

size_t value_string_size(const struct value *value)
{
    CHECK(value->type == VALUE_STRING);
    if (value->encoding != VALUE_ENCODING_INT) {
        return value->bytes.size;
    }
    uint64_t magnitude =
        value->integer < 0 ? 0 - (uint64_t)value->integer : (uint64_t)value->integer;
    size_t size = value->integer < 0 ? 2 : 1;
    while (magnitude >= 10) {
        magnitude /= 10;
        size++;
    }
    return size;
}

size_t value_external_bytes(const struct value *value)
{
    if (value->blob != NULL) {
        return sizeof(struct blob) + value->blob->capacity;
    }
    if (value->object != NULL) {
        return value->object->class->size_bytes(value->object);
    }
    return 0;
}

void value_free(struct blob *blob, struct value_object *object)
{
    blob_unref(blob);
    if (object != NULL) {
        object->class->destroy(object);
    }
}

void value_release(struct value *value)
{
    if ((value->blob != NULL || value->object != NULL) && !reclaimer_take(value)) {
        value_free(value->blob, value->object);
    }
    *value = (struct value){.type = VALUE_STRING};
}

void value_class_register(const struct value_class *value_class)
{
    CHECK((unsigned)value_class->type < VALUE_TYPE_COUNT);
    CHECK(value_class->type != VALUE_STRING);
    CHECK(value_classes[value_class->type] == NULL ||
          value_classes[value_class->type] == value_class);
    value_classes[value_class->type] = value_class;
}

const struct value_class *value_class_of(enum value_type type)
{
    CHECK((unsigned)type < VALUE_TYPE_COUNT);
    return value_classes[type];
}

/* Redis 7.2's defaults, but for set_max_listpack_entries: 0, so that OBJECT ENCODING names sets as versions up to 7.0 did. */
struct value_limits value_limits = {
    .list_max_listpack_size = -2,
    .hash_max_listpack_entries = 512,
    .hash_max_listpack_value = 64,
    .set_max_intset_entries = 512,
    .set_max_listpack_entries = 0,
    .set_max_listpack_value = 64,
    .zset_max_listpack_entries = 128,
    .zset_max_listpack_value = 64,
    .stream_node_max_bytes = 4096,
    .stream_node_max_entries = 100,
};
