/*
 * string_options.c: the options that follow SET and GETEX.
 *
 * One expiry option excludes every other kind, but may be repeated: the last counts. NX excludes XX.
 */
#include "commands_internal.h"

struct expiry_word {
    const char *word;
    enum string_expiry expiry;
    bool takes_time;
    bool of_set, of_getex;
};

static const struct expiry_word expiry_words[] = {
    {"ex", STRING_EXPIRY_EX, true, true, true},
    {"px", STRING_EXPIRY_PX, true, true, true},
    {"exat", STRING_EXPIRY_EXAT, true, true, true},
    {"pxat", STRING_EXPIRY_PXAT, true, true, true},
    {"keepttl", STRING_EXPIRY_KEEP, false, true, false},
    {"persist", STRING_EXPIRY_PERSIST, false, false, true},
};

static const struct expiry_word *find_expiry_word(enum string_options_of which, struct slice text)
{
    for (size_t i = 0; i < COUNT_OF(expiry_words); i++) {
        const struct expiry_word *word = &expiry_words[i];
        if ((which == STRING_OPTIONS_OF_SET ? word->of_set : word->of_getex) &&
            slice_equal_nocase(text, word->word))
            return word;
    }
    return NULL;
}

/* A word that only SET has; false if it is none, or contradicts one before. */
static bool take_set_word(struct slice text, struct string_options *options)
{
    if (slice_equal_nocase(text, "nx") && !options->xx)
        options->nx = true;
    else if (slice_equal_nocase(text, "xx") && !options->nx)
        options->xx = true;
    else if (slice_equal_nocase(text, "get"))
        options->get = true;
    else
        return false;
    return true;
}

bool string_options_parse(enum string_options_of which, int argc, const struct slice *argv,
    int first, struct string_options *options)
{
    *options = (struct string_options){0};
    for (int i = first; i < argc; i++) {
        const struct expiry_word *word = find_expiry_word(which, argv[i]);
        if (word == NULL) {
            if (which != STRING_OPTIONS_OF_SET || !take_set_word(argv[i], options))
                return false;
            continue;
        }
        if (options->expiry != STRING_EXPIRY_NONE && options->expiry != word->expiry)
            return false;
        options->expiry = word->expiry;
        if (!word->takes_time)
            continue;
        if (++i == argc)
            return false;
        options->time_argument = i;
    }
    return true;
}

bool string_options_time(
    struct command_call *call, const struct string_options *options, uint64_t *expire_ms)
{
    static const enum commands_time kinds[] = {
        [STRING_EXPIRY_EX] = TIME_SECONDS,
        [STRING_EXPIRY_PX] = TIME_MILLISECONDS,
        [STRING_EXPIRY_EXAT] = TIME_UNIX_SECONDS,
        [STRING_EXPIRY_PXAT] = TIME_UNIX_MILLISECONDS,
    };
    *expire_ms = 0;
    if (options->time_argument == 0)
        return true;
    return commands_parse_expiry(call, options->time_argument, kinds[options->expiry], expire_ms);
}
