/*
 * bitmap_field.c: BITFIELD and BITFIELD_RO: integers of 1 to 64 bits at any bit of a string.
 *
 * All subcommands are parsed before the first is executed. The string grows to the farthest bit written to, even if a write then fails by
 * OVERFLOW FAIL; it is left alone as long as nothing else changes.
 */
#include "base/mem.h"
#include "bitmap_internal.h"

#define FIELDS_ON_STACK 16

enum field_operation { FIELD_GET, FIELD_SET, FIELD_INCRBY };
enum field_overflow { OVERFLOW_WRAP, OVERFLOW_SAT, OVERFLOW_FAIL };

struct field {
    enum field_operation operation;
    enum field_overflow overflow;
    bool is_signed;
    unsigned width;  /* 1 to 64, unsigned ones to 63 */
    uint64_t offset; /* of its first bit */
    int64_t operand; /* of SET and INCRBY */
};

/* The fields of a command. */
struct field_list {
    struct field *fields;
    size_t count;
    uint64_t written_bits; /* the end of the farthest field written to; 0: all are read only */
    struct field on_stack[FIELDS_ON_STACK];
};

/* --- parsing ------------------------------------------------------------------------------------------------------ */

static bool parse_type(struct command_call *call, int argument, struct field *field)
{
    const struct slice text = call->argv[argument];
    int64_t width = 0;
    if (text.size > 1 && (text.data[0] == 'i' || text.data[0] == 'u') &&
        slice_to_int64(slice_of(text.data + 1, text.size - 1), &width) && width >= 1 &&
        width <= (text.data[0] == 'i' ? 64 : 63)) {
        field->is_signed = text.data[0] == 'i';
        field->width = (unsigned)width;
        return true;
    }
    reply_error(call->reply,
        "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported "
        "but i64 is.");
    return false;
}

static bool parse_overflow(struct command_call *call, int argument, enum field_overflow *overflow)
{
    static const char *const names[] = {
        [OVERFLOW_WRAP] = "wrap", [OVERFLOW_SAT] = "sat", [OVERFLOW_FAIL] = "fail"};
    for (unsigned i = 0; i < COUNT_OF(names); i++) {
        if (slice_equal_nocase(call->argv[argument], names[i])) {
            *overflow = (enum field_overflow)i;
            return true;
        }
    }
    reply_error(call->reply, "ERR Invalid OVERFLOW type specified");
    return false;
}

static bool parse_operation(const struct command_call *call, int argument, struct field *field)
{
    const struct slice word = call->argv[argument];
    const int left = call->argc - argument - 1;
    if (slice_equal_nocase(word, "get") && left >= 2)
        field->operation = FIELD_GET;
    else if (slice_equal_nocase(word, "set") && left >= 3)
        field->operation = FIELD_SET;
    else if (slice_equal_nocase(word, "incrby") && left >= 3)
        field->operation = FIELD_INCRBY;
    else
        return false;
    return true;
}

/* argv[2] on. False: an error was replied. */
static bool parse_fields(struct command_call *call, struct field_list *list)
{
    enum field_overflow overflow = OVERFLOW_WRAP;
    for (int i = 2; i < call->argc;) {
        if (slice_equal_nocase(call->argv[i], "overflow") && i + 1 < call->argc) {
            if (!parse_overflow(call, i + 1, &overflow))
                return false;
            i += 2;
            continue;
        }
        struct field field = {.overflow = overflow};
        if (!parse_operation(call, i, &field)) {
            reply_error(call->reply, REPLY_SYNTAX);
            return false;
        }
        if (!parse_type(call, i + 1, &field) ||
            !bitmap_offset(call, i + 2, field.width, &field.offset))
            return false;
        if (field.operation != FIELD_GET) {
            const uint64_t end = field.offset + field.width;
            if ((end - 1) / 8 >= VALUE_STRING_SIZE_MAX) {
                bitmap_reply_bad_offset(call);
                return false;
            }
            if (end > list->written_bits)
                list->written_bits = end;
            if (!command_int64(call, i + 3, &field.operand, NULL))
                return false;
        }
        list->fields[list->count++] = field;
        i += field.operation == FIELD_GET ? 3 : 4;
    }
    return true;
}

/* --- numbers at bits ---------------------------------------------------------------------------------------------- */

static uint64_t width_mask(unsigned width)
{
    return UINT64_MAX >> (64 - width);
}

/* Bits beyond the end are zero. */
static uint64_t load_bits(const uint8_t *bytes, size_t size, const struct field *field)
{
    uint64_t number = 0;
    uint64_t offset = field->offset;
    for (unsigned left = field->width; left > 0;) {
        const uint64_t byte = offset / 8;
        const unsigned skipped = (unsigned)(offset % 8);
        const unsigned taken = left < 8 - skipped ? left : 8 - skipped;
        const unsigned here = byte < size ? bytes[byte] : 0;
        number = number << taken | (here >> (8 - skipped - taken) & (0xffU >> (8 - taken)));
        offset += taken;
        left -= taken;
    }
    return number;
}

static void store_bits(uint8_t *bytes, const struct field *field, uint64_t number)
{
    uint64_t offset = field->offset;
    for (unsigned left = field->width; left > 0;) {
        const uint64_t byte = offset / 8;
        const unsigned skipped = (unsigned)(offset % 8);
        const unsigned taken = left < 8 - skipped ? left : 8 - skipped;
        const unsigned shift = 8 - skipped - taken;
        const unsigned mask = 0xffU >> (8 - taken);
        const unsigned part = (unsigned)(number >> (left - taken)) & mask;
        bytes[byte] = (uint8_t)((bytes[byte] & ~(mask << shift)) | part << shift);
        offset += taken;
        left -= taken;
    }
}

/* The bits of a field as its number; of an unsigned field it is never negative, as 63 bits are its most. */
static int64_t to_number(const struct field *field, uint64_t bits)
{
    const uint64_t sign = (uint64_t)1 << (field->width - 1);
    if (field->is_signed && (bits & sign) != 0)
        bits |= ~width_mask(field->width);
    return (int64_t)bits;
}

/*
 * base + more, as the field can hold it. False: it cannot, and OVERFLOW FAIL says to leave the field alone.
 */
static bool fit(const struct field *field, int64_t base, int64_t more, int64_t *number)
{
    const int64_t max = (int64_t)(width_mask(field->width) >> (field->is_signed ? 1 : 0));
    const int64_t min = field->is_signed ? -max - 1 : 0;
    int64_t sum = 0;
    bool is_above = false;
    bool is_below = false;
    if (add_overflows(base, more, &sum)) {
        is_above = more > 0;
        is_below = !is_above;
    } else {
        is_above = sum > max;
        is_below = sum < min;
    }
    if (!is_above && !is_below) {
        *number = sum;
        return true;
    }
    switch (field->overflow) {
    case OVERFLOW_FAIL: return false;
    case OVERFLOW_SAT: *number = is_above ? max : min; return true;
    case OVERFLOW_WRAP: break;
    }
    *number = to_number(field, ((uint64_t)base + (uint64_t)more) & width_mask(field->width));
    return true;
}

/* --- execution ------------------------------------------------------------------------------------------------------ */

/* A SET of an unsigned field takes its operand for a number of 64 bits without sign: negative ones are too great. */
static bool fit_operand(const struct field *field, int64_t *number)
{
    if (field->is_signed || field->operand >= 0)
        return fit(field, field->operand, 0, number);
    switch (field->overflow) {
    case OVERFLOW_FAIL: return false;
    case OVERFLOW_SAT: *number = (int64_t)width_mask(field->width); return true;
    case OVERFLOW_WRAP: break;
    }
    *number = (int64_t)((uint64_t)field->operand & width_mask(field->width));
    return true;
}

/* The string being changed by a command's fields. */
struct field_run {
    struct bitmap bitmap;
    size_t size_min; /* what it must have for the farthest write */
    bool has_grown;
    bool has_changed; /* a write made a difference, or was the one that it grew for */
};

/*
 * Executes one, replies. If memory is out for the first change, each write replies so.
 */
static void run_field(struct field_run *run, const struct field *field)
{
    struct bitmap *const bitmap = &run->bitmap;
    struct resp_output *const reply = bitmap->call->reply;
    const int64_t before = to_number(field, load_bits(bitmap->bytes, bitmap->size, field));
    if (field->operation == FIELD_GET) {
        reply_integer(reply, before);
        return;
    }
    int64_t after = 0;
    const bool fits = field->operation == FIELD_SET ? fit_operand(field, &after)
                                                    : fit(field, before, field->operand, &after);
    if (!fits) {
        reply_null(reply);
        return;
    }
    run->has_changed |= run->has_grown;
    if (after != before) {
        uint8_t *const bytes = bitmap_write(bitmap, run->size_min);
        if (bytes == NULL)
            return;
        store_bits(bytes, field, (uint64_t)after);
        run->has_changed = true;
    }
    reply_integer(reply, field->operation == FIELD_SET ? before : after);
}

static void run_fields(struct command_call *call, const struct field_list *list)
{
    struct field_run run;
    run.size_min = (size_t)((list->written_bits + 7) / 8);
    run.has_changed = false;
    const enum keyspace_access access = run.size_min > 0 ? KEYSPACE_WRITE : KEYSPACE_READ;
    if (!bitmap_open(call, access, &run.bitmap))
        return;
    run.has_grown = run.size_min > run.bitmap.size;
    if (run.has_grown && bitmap_write(&run.bitmap, run.size_min) == NULL)
        return;
    reply_array(call->reply, list->count);
    for (size_t i = 0; i < list->count; i++)
        run_field(&run, &list->fields[i]);
    if (run.bitmap.place == BITMAP_UNCHANGED)
        return;
    bitmap_close(&run.bitmap);
    if (run.has_changed)
        keyspace_notify(call->view, EVENT_STRING, "setbit", &call->keys[0]);
    commands_log_as_received(call);
}

static void run(struct command_call *call, bool is_read_only)
{
    struct field_list list = {.fields = list.on_stack};
    /* A field takes three arguments at least. */
    const size_t count_max = (size_t)call->argc / 3 + 1;
    if (count_max > FIELDS_ON_STACK)
        list.fields = mem_alloc(count_max * sizeof(*list.fields));
    if (parse_fields(call, &list)) {
        if (is_read_only && list.written_bits > 0)
            reply_error(call->reply, "ERR BITFIELD_RO only supports the GET subcommand");
        else
            run_fields(call, &list);
    }
    if (list.fields != list.on_stack)
        mem_free(list.fields);
}

void cmd_bitfield(struct command_call *call)
{
    run(call, false);
}

void cmd_bitfield_ro(struct command_call *call)
{
    run(call, true);
}
