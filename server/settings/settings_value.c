/*
 * settings_value.c: the value of a row from words, and its text; one switch over the kinds for each.
 */
#include "settings_internal.h"

#include <stdio.h>
#include <strings.h>

/* Shown and accepted; the first name of a class is the one that is shown. */
static const char *const class_names[CLIENT_CLASS_COUNT][2] = {
    [CLIENT_CLASS_NORMAL] = {"normal", "normal"},
    [CLIENT_CLASS_REPLICA] = {"slave", "replica"},
    [CLIENT_CLASS_PUBSUB] = {"pubsub", "pubsub"},
};

static const struct output_limit default_limits[CLIENT_CLASS_COUNT] = {
    [CLIENT_CLASS_NORMAL] = {0, 0, 0},
    [CLIENT_CLASS_REPLICA] = {256 * (int64_t)MiB, 64 * (int64_t)MiB, 60},
    [CLIENT_CLASS_PUBSUB] = {32 * (int64_t)MiB, 8 * (int64_t)MiB, 60},
};

/* --- numbers ------------------------------------------------------------------------------------------------ */

bool settings_parse_bytes(struct slice text, bool percent, int64_t *value)
{
    static const struct {
        const char *name;
        int64_t factor;
    } units[] = {{"", 1}, {"b", 1}, {"k", 1000}, {"kb", 1024}, {"m", 1000000}, {"mb", (int64_t)MiB},
        {"g", 1000000000}, {"gb", (int64_t)GiB}};
    int64_t number = 0;
    size_t digits = 0;
    for (; digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9'; digits++) {
        if (mul_overflows(number, (int64_t)10, &number) ||
            add_overflows(number, (int64_t)(text.data[digits] - '0'), &number))
            return false;
    }
    const struct slice unit = slice_of(text.data + digits, text.size - digits);
    if (percent && digits > 0 && slice_equal(unit, slice_text("%"))) {
        if (number > 100)
            return false;
        *value = -number;
        return true;
    }
    if (digits == 0 && unit.size > 0)
        return false;
    for (size_t index = 0; index < COUNT_OF(units); index++) {
        if (slice_equal_nocase(unit, units[index].name))
            return !mul_overflows(number, units[index].factor, value);
    }
    return false;
}

static const char *check_range(
    const struct settings_row *row, int64_t *number, char reason[REASON_MAX])
{
    if (*number >= row->min && *number <= row->max)
        return NULL;
    if ((row->flags & ROW_CLAMP) != 0 && *number >= 0 && *number <= INT32_MAX) {
        *number = *number < row->min ? row->min : row->max;
        return NULL;
    }
    (void)snprintf(reason, REASON_MAX,
        row->kind == ROW_OCTAL ? "argument must be between %lo and %lo inclusive"
                               : "argument must be between %ld and %ld inclusive",
        (long)row->min, (long)row->max);
    return reason;
}

static const char *parse_octal(struct slice word, int64_t *number)
{
    int64_t value = 0;
    for (size_t at = 0; at < word.size; at++) {
        const char digit = word.data[at];
        if (digit < '0' || digit > '7' || at > 20)
            return "argument couldn't be parsed as an octal number";
        value = value * 8 + (digit - '0');
    }
    *number = value;
    return word.size > 0 ? NULL : "argument couldn't be parsed as an octal number";
}

static const char *parse_bytes(const struct settings_row *row, struct slice word, int64_t *number)
{
    const bool percent = (row->flags & ROW_PERCENT) != 0;
    if (settings_parse_bytes(word, percent, number))
        return NULL;
    if (!percent)
        return "argument must be a memory value";
    const bool is_percentage = word.size > 1 && word.data[word.size - 1] == '%';
    if (is_percentage && slice_to_int64(slice_of(word.data, word.size - 1), number) &&
        *number > 100)
        return "percentage argument must be less or equal to 100";
    return "argument must be a memory or percent value";
}

/* --- names --------------------------------------------------------------------------------------------------- */

static bool find_name(const struct settings_row *row, struct slice word, int64_t *number)
{
    for (int64_t index = 0; row->names[index] != NULL; index++) {
        if (slice_equal_nocase(word, row->names[index])) {
            *number = index;
            return true;
        }
    }
    return false;
}

static const char *list_names(const struct settings_row *row, char reason[REASON_MAX])
{
    int size =
        snprintf(reason, REASON_MAX, "argument(s) must be one of the following: %s", row->names[0]);
    for (size_t index = 1; row->names[index] != NULL && size < REASON_MAX; index++)
        size += snprintf(reason + size, (size_t)(REASON_MAX - size), ", %s", row->names[index]);
    return reason;
}

static const char *parse_flags(const struct settings_row *row, const struct slice *words,
    size_t count, int64_t *number, char reason[REASON_MAX])
{
    int64_t bits = 0;
    for (size_t index = 0; index < count; index++) {
        int64_t name;
        if (!find_name(row, words[index], &name))
            return list_names(row, reason);
        bits |= name == 0 ? 0 : (int64_t)1 << (name - 1);
    }
    /* Both rows of this kind are about shutting down: "save" and "nosave" are the first two bits. */
    if ((bits & 3) == 3)
        return "shutdown options SAVE and NOSAVE can't be used simultaneously";
    *number = bits;
    return NULL;
}

static void render_flags(const struct settings_row *row, int64_t bits, struct buf *out)
{
    if (bits == 0)
        buf_append_text(out, row->names[0]);
    bool first = true;
    for (int64_t index = 1; row->names[index] != NULL; index++) {
        if ((bits & ((int64_t)1 << (index - 1))) == 0)
            continue;
        if (!first)
            buf_append_byte(out, ' ');
        buf_append_text(out, row->names[index]);
        first = false;
    }
}

/* --- output buffer limits -------------------------------------------------------------------------------------- */

static bool find_class(struct slice word, size_t *class)
{
    for (size_t index = 0; index < CLIENT_CLASS_COUNT; index++) {
        if (slice_equal_nocase(word, class_names[index][0]) ||
            slice_equal_nocase(word, class_names[index][1])) {
            *class = index;
            return true;
        }
    }
    return false;
}

static const char *parse_limits(
    const struct slice *words, size_t count, struct output_limit limits[CLIENT_CLASS_COUNT])
{
    if (count == 1 && words[0].size == 0)
        return NULL; /* nothing is changed */
    if (count == 0 || count % 4 != 0)
        return "Wrong number of arguments in buffer limit configuration.";
    for (size_t index = 0; index < count; index += 4) {
        size_t class;
        struct output_limit limit;
        if (!find_class(words[index], &class))
            return "Invalid client class specified in buffer limit configuration.";
        if (!settings_parse_bytes(words[index + 1], false, &limit.hard_bytes) ||
            !settings_parse_bytes(words[index + 2], false, &limit.soft_bytes) ||
            !slice_to_int64(words[index + 3], &limit.soft_s) || limit.soft_s < 0)
            return "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
        limits[class] = limit;
    }
    return NULL;
}

/* --- all kinds ------------------------------------------------------------------------------------------------- */

static const char *parse_text(const struct settings_row *row, const struct slice *words,
    size_t count, struct row_value *value)
{
    for (size_t index = 0; index < count; index++) {
        if (words[index].size > TEXT_MAX)
            return "argument is too long";
        if (words[index].size > 0 && memchr(words[index].data, '\0', words[index].size) != NULL)
            return "argument must not contain a zero byte";
    }
    struct buf out = {0};
    const char *wrong = NULL;
    if (row->check != NULL)
        wrong = row->check(words, count, &out);
    else
        settings_join(words, count, &out);
    if (wrong == NULL)
        value->text = mem_string_sized(out.size > 0 ? out.data : "", out.size);
    buf_deinit(&out);
    /* A static text, whatever the analyser thinks of `out`. */
    /* cppcheck-suppress returnDanglingLifetime */
    return wrong;
}

static const char *parse_number(
    const struct settings_row *row, struct slice word, int64_t *number, char reason[REASON_MAX])
{
    const char *wrong = NULL;
    if (row->kind == ROW_OCTAL)
        wrong = parse_octal(word, number);
    else if (row->kind == ROW_BYTES)
        wrong = parse_bytes(row, word, number);
    else if (!slice_to_int64(word, number))
        wrong = "argument couldn't be parsed into an integer";
    if (wrong != NULL)
        return wrong;
    if (row->kind == ROW_BYTES && *number < 0) /* a percentage */
        return NULL;
    return check_range(row, number, reason);
}

const char *settings_value_parse(const struct settings_row *row, const struct row_value *present,
    const struct slice *words, size_t count, struct row_value *value, char reason[REASON_MAX])
{
    *value = (struct row_value){0};
    const bool takes_many = row->kind == ROW_FLAGS || row->kind == ROW_LIST ||
                            row->kind == ROW_SAVE || row->kind == ROW_LIMITS;
    if (!takes_many && count != 1)
        return "wrong number of arguments";
    switch (row->kind) {
    case ROW_BOOL:
        value->number = slice_equal_nocase(words[0], "yes");
        if (value->number == 0 && !slice_equal_nocase(words[0], "no"))
            return "argument must be 'yes' or 'no'";
        return NULL;
    case ROW_INT:
    case ROW_OCTAL:
    case ROW_BYTES: return parse_number(row, words[0], &value->number, reason);
    case ROW_ENUM: return find_name(row, words[0], &value->number) ? NULL : list_names(row, reason);
    case ROW_FLAGS: return parse_flags(row, words, count, &value->number, reason);
    case ROW_TEXT:
    case ROW_LIST:
    case ROW_SAVE: return parse_text(row, words, count, value);
    case ROW_LIMITS:
        memcpy(value->limits, present->limits, sizeof(value->limits));
        return parse_limits(words, count, value->limits);
    }
    UNREACHABLE("a row has a kind");
}

void settings_value_render(
    const struct settings_row *row, const struct row_value *value, struct buf *out)
{
    switch (row->kind) {
    case ROW_BOOL: buf_append_text(out, value->number != 0 ? "yes" : "no"); break;
    case ROW_INT: buf_append_int64(out, value->number); break;
    case ROW_OCTAL: buf_append_format(out, "%lo", (unsigned long)value->number); break;
    case ROW_BYTES:
        if (value->number < 0)
            buf_append_format(out, "%ld%%", (long)-value->number);
        else
            buf_append_int64(out, value->number);
        break;
    case ROW_ENUM: buf_append_text(out, row->names[value->number]); break;
    case ROW_FLAGS: render_flags(row, value->number, out); break;
    case ROW_TEXT:
    case ROW_LIST:
    case ROW_SAVE: buf_append_text(out, value->text); break;
    case ROW_LIMITS:
        for (size_t class = 0; class < CLIENT_CLASS_COUNT; class ++) {
            const struct output_limit *const limit = &value->limits[class];
            buf_append_format(out, "%s%s %ld %ld %ld", class == 0 ? "" : " ", class_names[class][0],
                (long)limit->hard_bytes, (long)limit->soft_bytes, (long)limit->soft_s);
        }
        break;
    }
}

void settings_value_free(struct row_value *value)
{
    mem_free(value->text);
    value->text = NULL;
}

struct row_value settings_value_default(const struct settings_row *row)
{
    struct row_value value = {.number = row->default_number};
    if (row->default_text != NULL)
        value.text = mem_string(row->default_text);
    memcpy(value.limits, default_limits, sizeof(value.limits));
    return value;
}

static int64_t *number_of(struct settings *settings, const struct settings_row *row)
{
    return (int64_t *)(void *)((char *)settings + row->offset);
}

struct row_value settings_value_load(struct settings *settings, size_t index)
{
    const struct settings_row *const row = settings_row_at(index);
    const struct row_value *const kept = &settings->texts->values[index];
    struct row_value value = {.number = kept->number};
    if (row->offset != NO_OFFSET)
        value.number = option_load(number_of(settings, row));
    if (kept->text != NULL)
        value.text = mem_string(kept->text);
    for (size_t class = 0; class < CLIENT_CLASS_COUNT; class ++) {
        const struct output_limit *const limit = &settings->output_limits[class];
        value.limits[class].hard_bytes = OPTION_GET(limit, hard_bytes);
        value.limits[class].soft_bytes = OPTION_GET(limit, soft_bytes);
        value.limits[class].soft_s = OPTION_GET(limit, soft_s);
    }
    return value;
}

void settings_value_store(struct settings *settings, size_t index, struct row_value value)
{
    const struct settings_row *const row = settings_row_at(index);
    struct row_value *const kept = &settings->texts->values[index];
    kept->number = value.number;
    if (row->shared != NULL)
        atomic_store_explicit(row->shared, value.number, memory_order_relaxed);
    if (row->offset != NO_OFFSET)
        option_store(number_of(settings, row), value.number);
    if (row->kind == ROW_LIMITS) {
        for (size_t class = 0; class < CLIENT_CLASS_COUNT; class ++) {
            struct output_limit *const limit = &settings->output_limits[class];
            OPTION_SET(limit, hard_bytes, value.limits[class].hard_bytes);
            OPTION_SET(limit, soft_bytes, value.limits[class].soft_bytes);
            OPTION_SET(limit, soft_s, value.limits[class].soft_s);
        }
    }
    mem_free(kept->text);
    kept->text = value.text;
}
