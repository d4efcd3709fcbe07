/*
 * hash_options.c: arguments of the commands on fields with expiries, with the errors of Redis 7.4 and 8.
 */
#include "base/check.h"
#include "hash_internal.h"

#define REPLY_FIELDS_MISSING  "ERR Mandatory argument FIELDS is missing or not at the right position"
#define REPLY_FIELDS_MISMATCH "ERR The `numfields` parameter must match the number of arguments"
#define REPLY_GETEX_CHOICE \
    "ERR Only one of EX, PX, EXAT, PXAT or PERSIST arguments can be specified"
#define REPLY_SETEX_CHOICE \
    "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified"

bool hash_time_is_past(const struct command_call *call, uint64_t expire_ms)
{
    return !call->view->replay && expire_ms <= call->view->now_ms;
}

static void reply_invalid_time(struct command_call *call)
{
    char name[80];
    command_full_name(call->command, name, sizeof(name));
    reply_error_format(call->reply, "ERR invalid expire time in '%s' command", name);
}

bool hash_parse_time(
    struct command_call *call, int argument, enum commands_time kind, uint64_t *expire_ms)
{
    int64_t number = 0;
    if (!command_int64(call, argument, &number, NULL))
        return false;
    if (number < 0) {
        reply_error(call->reply, "ERR invalid expire time, must be >= 0");
        return false;
    }
    const bool in_seconds = kind == TIME_SECONDS || kind == TIME_UNIX_SECONDS;
    const bool is_relative = kind == TIME_SECONDS || kind == TIME_MILLISECONDS;
    const uint64_t base_ms = is_relative ? call->view->now_ms : 0;
    const uint64_t unit_ms = in_seconds ? 1000 : 1;
    if (base_ms > DICT_EXPIRE_MAX || (uint64_t)number > (DICT_EXPIRE_MAX - base_ms) / unit_ms) {
        reply_invalid_time(call);
        return false;
    }
    *expire_ms = base_ms + (uint64_t)number * unit_ms;
    return true;
}

bool hash_parse_fields(
    struct command_call *call, int first, const char *number_text, struct hash_fields *fields)
{
    int64_t count = 0;
    if (first + 1 >= call->argc || !slice_equal_nocase(call->argv[first], "fields")) {
        reply_error(call->reply, REPLY_FIELDS_MISSING);
        return false;
    }
    if (!slice_to_int64(call->argv[first + 1], &count) || count < 1) {
        reply_error(call->reply, number_text);
        return false;
    }
    if (count != call->argc - first - 2) {
        reply_error(call->reply, REPLY_FIELDS_MISMATCH);
        return false;
    }
    *fields = (struct hash_fields){.first = first + 2, .step = 1, .count = (int)count};
    return true;
}

bool hash_parse_hexpire(struct command_call *call, struct hash_options *options)
{
    const int first = expire_condition_take(call->argv[3], &options->conditions) ? 4 : 3;
    return hash_parse_fields(
        call, first, "ERR Parameter `numFields` should be greater than 0", &options->fields);
}

/* --- EX PX EXAT PXAT ------------------------------------------------------------------------------------------------- */

static bool is_time_word(struct slice word, enum commands_time *kind)
{
    static const struct {
        const char *word;
        enum commands_time kind;
    } times[] = {{"ex", TIME_SECONDS}, {"px", TIME_MILLISECONDS}, {"exat", TIME_UNIX_SECONDS},
        {"pxat", TIME_UNIX_MILLISECONDS}};
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        if (slice_equal_nocase(word, times[i].word)) {
            *kind = times[i].kind;
            return true;
        }
    }
    return false;
}

enum took { TOOK_NOTHING, TOOK_IT, TOOK_ERROR };

/*
 * An option of time at argv[*index], which moves to its last argument. other: the word that is none ("persist", "keepttl").
 */
static enum took take_expiry(struct command_call *call, int *index, const char *other,
    const char *choice_text, struct hash_options *options)
{
    enum commands_time kind = TIME_SECONDS;
    const struct slice word = call->argv[*index];
    const bool is_other = slice_equal_nocase(word, other);
    if (!is_other && !is_time_word(word, &kind))
        return TOOK_NOTHING;
    if (options->expiry != HASH_EXPIRY_NONE) {
        reply_error(call->reply, choice_text);
        return TOOK_ERROR;
    }
    if (is_other) {
        options->expiry =
            slice_equal_nocase(word, "persist") ? HASH_EXPIRY_PERSIST : HASH_EXPIRY_KEEP;
        return TOOK_IT;
    }
    if (*index + 1 >= call->argc) {
        reply_error(call->reply, "ERR missing expire time");
        return TOOK_ERROR;
    }
    options->expiry = HASH_EXPIRY_AT;
    return hash_parse_time(call, ++*index, kind, &options->expire_ms) ? TOOK_IT : TOOK_ERROR;
}

bool hash_parse_hgetex(struct command_call *call, struct hash_options *options)
{
    int index = 2;
    for (; index < call->argc; index++) {
        const enum took took = take_expiry(call, &index, "persist", REPLY_GETEX_CHOICE, options);
        if (took == TOOK_ERROR)
            return false;
        if (took == TOOK_NOTHING)
            break;
    }
    return hash_parse_fields(
        call, index, "ERR Number of fields must be a positive integer", &options->fields);
}

static bool parse_pairs(struct command_call *call, int first, struct hash_fields *fields)
{
    int64_t count = 0;
    if (first + 3 >= call->argc) {
        command_reply_arity(call->reply, call->command);
        return false;
    }
    if (!slice_to_int64(call->argv[first + 1], &count) || count < 1 || count > INT32_MAX) {
        reply_error(call->reply, "ERR invalid number of fields");
        return false;
    }
    if (count * 2 != call->argc - first - 2) {
        command_reply_arity(call->reply, call->command);
        return false;
    }
    *fields = (struct hash_fields){.first = first + 2, .step = 2, .count = (int)count};
    return true;
}

bool hash_parse_hsetex(struct command_call *call, struct hash_options *options)
{
    for (int i = 2; i < call->argc; i++) {
        const struct slice word = call->argv[i];
        if (slice_equal_nocase(word, "fields"))
            return parse_pairs(call, i, &options->fields);
        const enum took took = take_expiry(call, &i, "keepttl", REPLY_SETEX_CHOICE, options);
        if (took == TOOK_ERROR)
            return false;
        if (took == TOOK_IT)
            continue;
        const bool is_fnx = slice_equal_nocase(word, "fnx");
        if (!is_fnx && !slice_equal_nocase(word, "fxx")) {
            reply_error_format(
                call->reply, "ERR unknown argument: %.*s", commands_quote_size(word), word.data);
            return false;
        }
        if (options->fnx || options->fxx) {
            reply_error(call->reply, "ERR Only one of FXX or FNX arguments can be specified");
            return false;
        }
        options->fnx = is_fnx;
        options->fxx = !is_fnx;
    }
    command_reply_arity(call->reply, call->command);
    return false;
}
