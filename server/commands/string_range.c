/*
 * string_range.c: commands that read or write a part of a string: GETRANGE, SETRANGE, APPEND.
 *
 * A write makes the new string in one of three ways:
 *
 *   blob with room, nobody else holds it   change its bytes in place
 *   up to VALUE_INLINE_SIZE_MAX            put it together on the stack, store it inline
 *   else                                   put it together in a new blob, with room to grow
 *
 * A blob's room doubles up to 1 MiB and grows by 1 MiB from there, so many small appends cost little. The sizes are those of the
 * strings' limit: what a client can ask for is checked before memory is.
 */
#include "commands_internal.h"

#define GROWTH_MAX ((size_t)1024 * 1024)

void cmd_getrange(struct command_call *call)
{
    int64_t start = 0;
    int64_t end = 0;
    struct hot_record *record = NULL;
    if (!command_int64(call, 2, &start, NULL) || !command_int64(call, 3, &end, NULL) ||
        !command_find_typed(call, 0, KEYSPACE_READ, VALUE_STRING, &record))
        return;
    struct value value = {.type = VALUE_STRING};
    if (record != NULL)
        value = hot_record_value(record);
    char scratch[24];
    const struct slice bytes = value_string_bytes(&value, scratch);
    const int64_t size = (int64_t)bytes.size;
    const bool is_reversed = start < 0 && end < 0 && start > end;
    if (start < 0)
        start = start < -size ? 0 : start + size;
    if (end < 0)
        end = end < -size ? 0 : end + size;
    if (end >= size)
        end = size - 1;
    if (is_reversed || start > end) {
        reply_bulk(call->reply, SLICE_LITERAL(""));
        return;
    }
    /* The beginning of a blob needs no copy. */
    struct value part = value_string_raw(slice_of(bytes.data + start, (size_t)(end - start + 1)));
    part.blob = value.blob;
    reply_value(call->reply, &part);
}

/* A string that is to become longer, or to change inside. */
struct piece {
    size_t offset;
    struct slice bytes; /* go to offset; what lies between the old end and offset is zeros */
};

static void put_piece(char *data, struct slice old, const struct piece *piece)
{
    if (piece->offset > old.size)
        memset(data + old.size, 0, piece->offset - old.size);
    if (piece->bytes.size > 0)
        memcpy(data + piece->offset, piece->bytes.data, piece->bytes.size);
}

static void put_together(char *data, struct slice old, const struct piece *piece)
{
    if (old.size > 0)
        memcpy(data, old.data, old.size);
    put_piece(data, old, piece);
}

static size_t capacity_for(size_t size)
{
    const size_t capacity = size + (size < GROWTH_MAX ? size : GROWTH_MAX);
    return capacity < VALUE_STRING_SIZE_MAX ? capacity : size;
}

/* False if somebody else holds the blob or it is too small. */
static bool write_in_place(struct command_call *call, struct hot_record *record,
    const struct value *old, const struct piece *piece, size_t size)
{
    struct blob *blob = old->blob;
    if (blob == NULL || blob->capacity < size || blob_is_shared(blob))
        return false;
    const size_t external_bytes = value_external_bytes(old);
    keyspace_edit_begin(call->view, &call->keys[0], record);
    /* The checkpoint's image, if it had to be saved, shares the blob now. */
    const bool is_shared = blob_is_shared(blob);
    if (!is_shared) {
        put_piece(blob->data, old->bytes, piece);
        blob->size = size;
    }
    keyspace_edit_end(call->view, &call->keys[0], record, external_bytes);
    return !is_shared;
}

static void store_raw(struct command_call *call, struct hot_record *record, struct value value)
{
    const uint64_t expire_ms = record == NULL ? 0 : hot_record_expire_ms(record);
    (void)keyspace_set(call->view, &call->keys[0], record, value, expire_ms);
}

/* Replies the new length, logs, tells of the event. record may be NULL. */
static void write_piece(struct command_call *call, struct hot_record *record,
    const struct piece *piece, const char *event)
{
    struct value old = {.type = VALUE_STRING};
    if (record != NULL)
        old = hot_record_value(record);
    char scratch[24];
    const struct slice bytes = value_string_bytes(&old, scratch);
    const size_t end = piece->offset + piece->bytes.size;
    const size_t size = end > bytes.size ? end : bytes.size;
    if (size <= VALUE_INLINE_SIZE_MAX) {
        char data[VALUE_INLINE_SIZE_MAX];
        put_together(data, bytes, piece);
        store_raw(call, record, value_string_raw(slice_of(data, size)));
    } else if (!write_in_place(call, record, &old, piece, size)) {
        struct blob *blob = blob_create(record == NULL ? size : capacity_for(size));
        if (blob == NULL) {
            commands_reply_no_memory(call);
            return;
        }
        put_together(blob->data, bytes, piece);
        blob->size = size;
        store_raw(call, record, value_blob(blob));
    }
    commands_log_as_received(call);
    keyspace_notify(call->view, EVENT_STRING, event, &call->keys[0]);
    reply_integer(call->reply, (int64_t)size);
}

/*
 * True if a string of size + more bytes may exist. What the log holds was allowed once, whatever the limit is now; the format's own
 * limit always holds.
 */
static bool check_size(struct command_call *call, uint64_t size, uint64_t more)
{
    uint64_t limit = VALUE_STRING_SIZE_MAX;
    if (!call->view->replay) {
        const int64_t configured = OPTION_GET(&call->server->settings->server, bulk_size_max);
        if ((uint64_t)configured < limit)
            limit = (uint64_t)configured;
    }
    uint64_t total = 0;
    if (!add_overflows(size, more, &total) && total <= limit)
        return true;
    reply_error(call->reply, REPLY_STRING_TOO_LONG);
    return false;
}

void cmd_append(struct command_call *call)
{
    struct hot_record *record = NULL;
    const struct slice bytes = call->argv[2];
    if (!command_find_typed(call, 0, KEYSPACE_WRITE, VALUE_STRING, &record))
        return;
    if (record == NULL) {
        struct value value;
        if (!commands_value_of(call, 2, &value))
            return;
        store_raw(call, NULL, value);
        commands_log_as_received(call);
        keyspace_notify(call->view, EVENT_STRING, "append", &call->keys[0]);
        reply_integer(call->reply, (int64_t)bytes.size);
        return;
    }
    const size_t size = hot_record_value_size(record);
    if (!check_size(call, size, bytes.size))
        return;
    const struct piece piece = {.offset = size, .bytes = bytes};
    write_piece(call, record, &piece, "append");
}

void cmd_setrange(struct command_call *call)
{
    int64_t offset = 0;
    struct hot_record *record = NULL;
    const struct slice bytes = call->argv[3];
    if (!command_int64(call, 2, &offset, NULL))
        return;
    if (offset < 0) {
        reply_error(call->reply, "ERR offset is out of range");
        return;
    }
    if (!command_find_typed(call, 0, KEYSPACE_WRITE, VALUE_STRING, &record))
        return;
    if (bytes.size == 0) {
        reply_integer(call->reply, record == NULL ? 0 : (int64_t)hot_record_value_size(record));
        return;
    }
    if (!check_size(call, (uint64_t)offset, bytes.size))
        return;
    const struct piece piece = {.offset = (size_t)offset, .bytes = bytes};
    write_piece(call, record, &piece, "setrange");
}
