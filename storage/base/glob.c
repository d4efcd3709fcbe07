/*
 * glob.c: Redis's patterns, without recursion.
 *
 * Every element but '*' takes exactly one byte of the text, so when the part of the pattern after a '*'
 * fails, only that last '*' need be made longer: making an earlier one longer leaves less text for a part
 * that already failed with more. One pair of saved positions is therefore enough, and a match costs at most
 * size of text * size of pattern steps.
 *
 * Kept as in Redis: the empty text matches the empty pattern alone (not "*"; callers that want all keys
 * treat "*" themselves); a class that is not closed ends with the pattern; a range may be
 * given backwards, and bytes of a range compare as signed; a backslash at the end stands for itself; a pattern of
 * more than STAR_MAX stars that count matches nothing (where Redis ends its recursion).
 */
#include "glob_internal.h"

/* Stars one behind the other are one; one at the end does not count. */
#define STAR_MAX 1000

static int lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte;
}

static bool same(char a, char b, bool ignore_case)
{
    return a == b || (ignore_case && lower(a) == lower(b));
}

static bool in_range(signed char start, signed char end, signed char byte, bool ignore_case)
{
    int low = start < end ? start : end;
    int high = start < end ? end : start;
    int value = byte;
    if (ignore_case) {
        low = lower((char)low);
        high = lower((char)high);
        value = lower((char)value);
    }
    return low <= value && value <= high;
}

/* Matches the class that begins behind '[' at *position, and moves *position behind it. */
static bool match_class(struct slice pattern, size_t *position, char byte, bool ignore_case)
{
    size_t at = *position;
    const bool negated = at < pattern.size && pattern.data[at] == '^';
    if (negated)
        at++;
    bool match = false;
    while (at < pattern.size && pattern.data[at] != ']') {
        const size_t left = pattern.size - at;
        if (pattern.data[at] == '\\' && left >= 2) {
            match |= pattern.data[at + 1] == byte;
            at += 2;
        } else if (left >= 3 && pattern.data[at + 1] == '-') {
            match |= in_range((signed char)pattern.data[at], (signed char)pattern.data[at + 2],
                (signed char)byte, ignore_case);
            at += 3;
        } else {
            match |= same(pattern.data[at], byte, ignore_case);
            at++;
        }
    }
    *position = at < pattern.size ? at + 1 : at;
    return match != negated;
}

/* Matches the element at *position, which is not '*', and moves *position behind it. */
static bool match_element(struct slice pattern, size_t *position, char byte, bool ignore_case)
{
    const char element = pattern.data[(*position)++];
    if (element == '?')
        return true;
    if (element == '[')
        return match_class(pattern, position, byte, ignore_case);
    if (element == '\\' && *position < pattern.size)
        return same(pattern.data[(*position)++], byte, ignore_case);
    return same(element, byte, ignore_case);
}

static size_t skip_stars(struct slice pattern, size_t position)
{
    while (position < pattern.size && pattern.data[position] == '*')
        position++;
    return position;
}

bool glob_match_counted(
    struct slice pattern, struct slice text, bool ignore_case, uint64_t *step_count)
{
    if (text.size == 0)
        return pattern.size == 0;
    const size_t no_star = SIZE_MAX;
    size_t at = 0;
    size_t text_at = 0;
    size_t behind_star = no_star; /* the pattern behind the last '*' seen */
    size_t star_text_at = 0;      /* where that part was last tried */
    size_t star_count = 0;        /* stars passed: each is met once */
    while (text_at < text.size) {
        if (at < pattern.size && pattern.data[at] == '*') {
            at = skip_stars(pattern, at);
            if (at == pattern.size)
                return true;
            if (++star_count > STAR_MAX)
                return false;
            behind_star = at;
            star_text_at = text_at;
            continue;
        }
        ++*step_count;
        if (at < pattern.size && match_element(pattern, &at, text.data[text_at], ignore_case)) {
            text_at++;
            continue;
        }
        if (behind_star == no_star)
            return false;
        at = behind_star;
        text_at = ++star_text_at;
    }
    return skip_stars(pattern, at) == pattern.size;
}

bool glob_match(struct slice pattern, struct slice text, bool ignore_case)
{
    uint64_t step_count = 0;
    return glob_match_counted(pattern, text, ignore_case, &step_count);
}

struct slice glob_literal_prefix(struct slice pattern)
{
    size_t size = 0;
    while (size < pattern.size && memchr("*?[\\", pattern.data[size], 4) == NULL)
        size++;
    return slice_of(pattern.data, size);
}
