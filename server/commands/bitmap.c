/*
 * bitmap.c: single bits and whole strings of bits: SETBIT, GETBIT, BITOP.
 */
#include "base/check.h"
#include "bitmap_internal.h"

void cmd_getbit(struct command_call *call)
{
    uint64_t offset = 0;
    struct bitmap bitmap;
    if (!bitmap_offset(call, 2, 0, &offset) || !bitmap_open(call, KEYSPACE_READ, &bitmap))
        return;
    const uint64_t byte = offset / 8;
    const unsigned shift = 7 - (unsigned)(offset % 8);
    reply_integer(call->reply, byte < bitmap.size ? bitmap.bytes[byte] >> shift & 1 : 0);
}

void cmd_setbit(struct command_call *call)
{
    static const char bad_bit[] = "ERR bit is not an integer or out of range";
    uint64_t offset = 0;
    int64_t bit = 0;
    struct bitmap bitmap;
    if (!bitmap_offset(call, 2, 0, &offset) || !command_int64(call, 3, &bit, bad_bit))
        return;
    if (bit != 0 && bit != 1) {
        reply_error(call->reply, bad_bit);
        return;
    }
    if (!bitmap_open(call, KEYSPACE_WRITE, &bitmap))
        return;
    const size_t byte = (size_t)(offset / 8);
    const unsigned shift = 7 - (unsigned)(offset % 8);
    const bool grows = byte >= bitmap.size;
    const int before = grows ? 0 : bitmap.bytes[byte] >> shift & 1;
    if (grows || before != bit) {
        uint8_t *const bytes = bitmap_write(&bitmap, byte + 1);
        if (bytes == NULL)
            return;
        bytes[byte] = (uint8_t)((bytes[byte] & ~(1U << shift)) | (unsigned)bit << shift);
        bitmap_close(&bitmap);
        keyspace_notify(call->view, EVENT_STRING, "setbit", &call->keys[0]);
        commands_log_as_received(call);
    }
    reply_integer(call->reply, before);
}

/* --- BITOP ------------------------------------------------------------------------------------------------------------ */

enum bit_operation { BIT_AND, BIT_OR, BIT_XOR, BIT_NOT };

static bool parse_operation(struct slice word, enum bit_operation *operation)
{
    static const char *const names[] = {
        [BIT_AND] = "and", [BIT_OR] = "or", [BIT_XOR] = "xor", [BIT_NOT] = "not"};
    for (unsigned i = 0; i < COUNT_OF(names); i++) {
        if (slice_equal_nocase(word, names[i])) {
            *operation = (enum bit_operation)i;
            return true;
        }
    }
    return false;
}

static inline uint64_t combine_words(enum bit_operation operation, uint64_t a, uint64_t b)
{
    switch (operation) {
    case BIT_AND: return a & b;
    case BIT_OR: return a | b;
    case BIT_XOR: return a ^ b;
    case BIT_NOT: return ~b;
    }
    UNREACHABLE("operation of BITOP");
}

/* result op= source, over the source's length. Inlined with a constant operation. */
static inline void combine(
    enum bit_operation operation, uint8_t *result, const uint8_t *source, size_t size)
{
    size_t i = 0;
    for (; i + sizeof(uint64_t) <= size; i += sizeof(uint64_t)) {
        uint64_t a = 0;
        uint64_t b = 0;
        memcpy(&a, result + i, sizeof(a));
        memcpy(&b, source + i, sizeof(b));
        a = combine_words(operation, a, b);
        memcpy(result + i, &a, sizeof(a));
    }
    for (; i < size; i++)
        result[i] = (uint8_t)combine_words(operation, result[i], source[i]);
}

/* The result holds the first source, padded with zeros; the others follow. */
static void combine_source(
    enum bit_operation operation, uint8_t *result, size_t size, struct slice source)
{
    const uint8_t *const bytes = (const uint8_t *)source.data;
    switch (operation) {
    case BIT_AND:
        combine(BIT_AND, result, bytes, source.size);
        memset(result + source.size, 0, size - source.size);
        break;
    case BIT_OR: combine(BIT_OR, result, bytes, source.size); break;
    case BIT_XOR: combine(BIT_XOR, result, bytes, source.size); break;
    case BIT_NOT: combine(BIT_NOT, result, bytes, source.size); break;
    }
}

/* The bytes of source number `index`; none if it is absent. False: WRONGTYPE was replied. */
static bool find_source(
    struct command_call *call, size_t index, char scratch[24], struct slice *bytes)
{
    struct hot_record *record = NULL;
    *bytes = (struct slice){0};
    if (!command_find_typed(call, index + 1, KEYSPACE_READ, VALUE_STRING, &record))
        return false;
    if (record != NULL) {
        const struct value value = hot_record_value(record);
        *bytes = value_string_bytes(&value, scratch);
    }
    return true;
}

static size_t source_count(const struct command_call *call)
{
    return call->key_count - 1;
}

/* The length of the longest source. False: an error was replied. */
static bool measure(struct command_call *call, size_t *size)
{
    *size = 0;
    for (size_t i = 0; i < source_count(call); i++) {
        char scratch[24];
        struct slice bytes;
        if (!find_source(call, i, scratch, &bytes))
            return false;
        *size = bytes.size > *size ? bytes.size : *size;
    }
    return true;
}

static void compute(
    struct command_call *call, enum bit_operation operation, uint8_t *result, size_t size)
{
    for (size_t i = 0; i < source_count(call); i++) {
        char scratch[24];
        struct slice bytes;
        /* Checked by measure(): it cannot be refused now. */
        if (!find_source(call, i, scratch, &bytes))
            return;
        if (i > 0 || operation == BIT_NOT) {
            combine_source(operation, result, size, bytes);
            continue;
        }
        if (bytes.size > 0)
            memcpy(result, bytes.data, bytes.size);
        memset(result + bytes.size, 0, size - bytes.size);
    }
}

static void store_result(struct command_call *call, struct value value)
{
    const struct key *const key = &call->keys[0];
    struct hot_record *const record = keyspace_find(call->view, key, KEYSPACE_PEEK);
    (void)keyspace_set(call->view, key, record, value, 0);
    keyspace_notify(call->view, EVENT_STRING, "set", key);
    commands_log_as_received(call);
}

enum tier_need bitop_need(int argc, const struct slice *argv, size_t index)
{
    (void)argc;
    (void)argv;
    return index == 0 ? TIER_NEED_HEADER : TIER_NEED_VALUE;
}

void cmd_bitop(struct command_call *call)
{
    enum bit_operation operation;
    size_t size = 0;
    if (!parse_operation(call->argv[1], &operation)) {
        reply_error(call->reply, REPLY_SYNTAX);
        return;
    }
    if (operation == BIT_NOT && call->argc != 4) {
        reply_error(call->reply, "ERR BITOP NOT must be called with a single source key.");
        return;
    }
    if (!measure(call, &size))
        return;
    if (size == 0) {
        if (commands_delete(call->view, &call->keys[0])) {
            keyspace_notify(call->view, EVENT_GENERIC, "del", &call->keys[0]);
            commands_log_delete(call, &call->keys[0]);
        }
    } else if (size <= VALUE_INLINE_SIZE_MAX) {
        uint8_t bytes[VALUE_INLINE_SIZE_MAX];
        compute(call, operation, bytes, size);
        store_result(call, value_string_raw(slice_of(bytes, size)));
    } else {
        struct blob *const blob = blob_create(size);
        if (blob == NULL) {
            commands_reply_no_memory(call);
            return;
        }
        compute(call, operation, (uint8_t *)blob->data, size);
        blob->size = size;
        store_result(call, value_blob(blob));
    }
    reply_integer(call->reply, (int64_t)size);
}
