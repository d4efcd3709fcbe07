/*
 * slice.c: comparing borrowed bytes.
 */
#include "base/slice.h"

int slice_compare(struct slice a, struct slice b)
{
    const size_t common = a.size < b.size ? a.size : b.size;
    const int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

static char lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte + ('a' - 'A')) : byte;
}

bool slice_equal_nocase(struct slice a, const char *text)
{
    size_t index = 0;
    for (; index < a.size; index++) {
        if (text[index] == '\0' || lower(a.data[index]) != lower(text[index]))
            return false;
    }
    return text[index] == '\0';
}
