/*
 * number.c: numbers from text and back, as strict as Redis is.
 */
#include "base/mem.h"
#include "base/slice.h"

#include <errno.h>
#include <math.h>

bool slice_to_uint64(struct slice text, uint64_t *value)
{
    if (text.size == 0 || text.size > 20)
        return false;
    if (text.data[0] == '0') {
        *value = 0;
        return text.size == 1;
    }
    uint64_t result = 0;
    for (size_t index = 0; index < text.size; index++) {
        const char byte = text.data[index];
        if (byte < '0' || byte > '9')
            return false;
        if (mul_overflows(result, (uint64_t)10, &result))
            return false;
        if (add_overflows(result, (uint64_t)(byte - '0'), &result))
            return false;
    }
    *value = result;
    return true;
}

bool slice_to_int64(struct slice text, int64_t *value)
{
    const bool negative = text.size > 1 && text.data[0] == '-';
    if (negative) {
        text.data++;
        text.size--;
        if (text.data[0] == '0')
            return false;
    }
    uint64_t magnitude;
    if (!slice_to_uint64(text, &magnitude))
        return false;
    if (negative) {
        if (magnitude > (uint64_t)INT64_MAX + 1)
            return false;
        *value = (int64_t)(0 - magnitude);
        return true;
    }
    if (magnitude > INT64_MAX)
        return false;
    *value = (int64_t)magnitude;
    return true;
}

/* text is NUL-terminated at text[size]. */
static bool text_to_double(const char *text, size_t size, double *value)
{
    char *end;
    errno = 0;
    const double result = strtod(text, &end);
    if (end != text + size)
        return false;
    /* Too large, or so small that nothing is left. A denormal result is fine although it sets ERANGE. */
    if (errno == ERANGE && (isinf(result) || fpclassify(result) == FP_ZERO))
        return false;
    if (isnan(result))
        return false;
    *value = result;
    return true;
}

bool slice_to_double(struct slice text, double *value)
{
    if (text.size == 0 || text.data[0] == ' ' || (text.data[0] >= '\t' && text.data[0] <= '\r'))
        return false;
    char local[256];
    char *copy = text.size < sizeof(local) ? local : mem_try_alloc(text.size + 1);
    if (copy == NULL)
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    const bool good = text_to_double(copy, text.size, value);
    if (copy != local)
        mem_free(copy);
    return good;
}

size_t uint64_to_text(uint64_t value, char *out)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    for (size_t index = 0; index < count; index++)
        out[index] = digits[count - 1 - index];
    return count;
}

size_t int64_to_text(int64_t value, char *out)
{
    if (value >= 0)
        return uint64_to_text((uint64_t)value, out);
    out[0] = '-';
    return 1 + uint64_to_text(0 - (uint64_t)value, out + 1);
}
