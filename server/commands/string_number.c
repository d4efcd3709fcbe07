/*
 * string_number.c: strings as numbers: INCR and its relatives, INCRBYFLOAT.
 *
 * Integers are kept as such and overwritten in place. Floats are computed as long double and stored as text; as their sum depends on the
 * machine, it is the result that is logged, not the increment.
 */
#include "commands_internal.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>

#define REPLY_OVERFLOW "ERR increment or decrement would overflow"

static void add_integer(struct command_call *call, int64_t increment)
{
    struct hot_record *record = NULL;
    int64_t number = 0;
    uint64_t expire_ms = 0;
    if (!command_find_typed(call, 0, KEYSPACE_WRITE, VALUE_STRING, &record))
        return;
    if (record != NULL) {
        const struct value value = hot_record_value(record);
        if (value.encoding == VALUE_ENCODING_INT) {
            number = value.integer;
        } else if (!slice_to_int64(value.bytes, &number)) {
            reply_error(call->reply, REPLY_NOT_INTEGER);
            return;
        }
        expire_ms = hot_record_expire_ms(record);
    }
    if (add_overflows(number, increment, &number)) {
        reply_error(call->reply, REPLY_OVERFLOW);
        return;
    }
    (void)keyspace_set(call->view, &call->keys[0], record, value_integer(number), expire_ms);
    commands_log_as_received(call);
    keyspace_notify(call->view, EVENT_STRING, "incrby", &call->keys[0]);
    reply_integer(call->reply, number);
}

void cmd_incr(struct command_call *call)
{
    add_integer(call, 1);
}

void cmd_decr(struct command_call *call)
{
    add_integer(call, -1);
}

void cmd_incrby(struct command_call *call)
{
    int64_t increment = 0;
    if (command_int64(call, 2, &increment, NULL))
        add_integer(call, increment);
}

void cmd_decrby(struct command_call *call)
{
    int64_t decrement = 0;
    if (!command_int64(call, 2, &decrement, NULL))
        return;
    if (decrement == INT64_MIN) {
        reply_error(call->reply, "ERR decrement would overflow");
        return;
    }
    add_integer(call, -decrement);
}

bool string_to_float(struct slice text, long double *value)
{
    char copy[STRING_FLOAT_TEXT_SIZE];
    if (text.size == 0 || text.size >= sizeof(copy))
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (isspace((unsigned char)copy[0]))
        return false;
    char *end = NULL;
    errno = 0;
    const long double number = strtold(copy, &end);
    if ((size_t)(end - copy) != text.size || isnan(number))
        return false;
    /* Denormal numbers are allowed, though they set ERANGE. */
    if (errno == ERANGE && (isinf(number) || fpclassify(number) == FP_ZERO))
        return false;
    *value = number;
    return true;
}

size_t string_from_float(long double value, char out[STRING_FLOAT_TEXT_SIZE])
{
    size_t size = (size_t)snprintf(out, STRING_FLOAT_TEXT_SIZE, "%.17Lf", value);
    while (out[size - 1] == '0')
        size--;
    if (out[size - 1] == '.')
        size--;
    if (size == 2 && out[0] == '-' && out[1] == '0') {
        out[0] = '0';
        size = 1;
    }
    return size;
}

static bool value_to_float(const struct value *value, long double *number)
{
    if (value->encoding != VALUE_ENCODING_INT)
        return string_to_float(value->bytes, number);
    *number = (long double)value->integer;
    return true;
}

static void log_float(struct command_call *call, struct slice text)
{
    const struct slice args[] = {
        SLICE_LITERAL("SET"), key_slice(&call->keys[0]), text, SLICE_LITERAL("KEEPTTL")};
    keyspace_log_args(call->view, &call->keys[0], 1, args, COUNT_OF(args));
}

void cmd_incrbyfloat(struct command_call *call)
{
    struct hot_record *record = NULL;
    long double number = 0;
    long double increment = 0;
    uint64_t expire_ms = 0;
    if (!command_find_typed(call, 0, KEYSPACE_WRITE, VALUE_STRING, &record))
        return;
    if (record != NULL) {
        const struct value value = hot_record_value(record);
        if (!value_to_float(&value, &number)) {
            reply_error(call->reply, REPLY_NOT_FLOAT);
            return;
        }
        expire_ms = hot_record_expire_ms(record);
    }
    if (!string_to_float(call->argv[2], &increment)) {
        reply_error(call->reply, REPLY_NOT_FLOAT);
        return;
    }
    number += increment;
    if (isnan(number) || isinf(number)) {
        reply_error(call->reply, "ERR increment would produce NaN or Infinity");
        return;
    }
    char out[STRING_FLOAT_TEXT_SIZE];
    const struct slice text = slice_of(out, string_from_float(number, out));
    /* A text even where it looks like an integer, as Redis has it. */
    struct value value = value_string_raw(text);
    if (text.size <= VALUE_EMBSTR_SIZE_MAX)
        value.encoding = VALUE_ENCODING_EMBSTR;
    (void)keyspace_set(call->view, &call->keys[0], record, value, expire_ms);
    log_float(call, text);
    keyspace_notify(call->view, EVENT_STRING, "incrbyfloat", &call->keys[0]);
    reply_bulk(call->reply, text);
}
