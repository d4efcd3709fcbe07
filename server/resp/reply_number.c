/*
 * reply_number.c: numbers as text.
 *
 * Doubles: integers up to 2^62 as such; else the shortest decimal digits that read back as the same double (found
 * by trying 15, 16 and 17 digits; 15 suffice for what people type), laid out as Redis 7.2 does:
 *
 *   digits × 10^exponent   plain zeros behind while the number is not much longer than its digits (see LONG_ZEROS)
 *                          plain fraction down to 6 zeros behind the point or so
 *                          else d.ddde+XX
 */
#include "resp_internal.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char PAIRS[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

char *resp_write_uint64(char *out, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    while (value >= 100) {
        at -= 2;
        memcpy(digits + at, PAIRS + (value % 100) * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        at -= 2;
        memcpy(digits + at, PAIRS + value * 2, 2);
    } else {
        digits[--at] = (char)('0' + value);
    }
    memcpy(out, digits + at, sizeof(digits) - at);
    return out + (sizeof(digits) - at);
}

char *resp_write_int64(char *out, int64_t value)
{
    if (value >= 0)
        return resp_write_uint64(out, (uint64_t)value);
    *out++ = '-';
    return resp_write_uint64(out, 0 - (uint64_t)value);
}

enum {
    DIGITS_MAX = 17,
    LONG_ZEROS = 7, /* 1e7 is 10000000 */
    SMALL_EXPONENT =
        7, /* more digits than this behind the point: e-XX, unless the number is above 0.0001 */
    SMALL_NUMBER = 4,
};

/* value = digits × 10^*exponent, positive; digits without zeros at the end. Returns how many. */
static int shortest_digits(double value, char digits[DIGITS_MAX], int *exponent)
{
    char text[40];
    /* Denormals have fewer digits, and then fewer may do. */
    int precision = value < DBL_MIN ? 1 : 15;
    for (; precision < DIGITS_MAX; precision++) {
        (void)snprintf(text, sizeof(text), "%.*e", precision - 1, value);
        if (strtod(text, NULL) == value)
            break;
    }
    if (precision == DIGITS_MAX)
        (void)snprintf(text, sizeof(text), "%.*e", precision - 1, value);
    /* d.ddd...e+XX */
    digits[0] = text[0];
    memcpy(digits + 1, text + 2, (size_t)precision - 1);
    int count = precision;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    const int decimal = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
    *exponent = decimal - (count - 1);
    return count;
}

static char *write_fraction(char *out, const char *digits, int count, int exponent)
{
    const int whole = count + exponent; /* digits before the point */
    if (whole > 0) {
        memcpy(out, digits, (size_t)whole);
        out[whole] = '.';
        memcpy(out + whole + 1, digits + whole, (size_t)(count - whole));
        return out + count + 1;
    }
    *out++ = '0';
    *out++ = '.';
    memset(out, '0', (size_t)-whole);
    memcpy(out - whole, digits, (size_t)count);
    return out - whole + count;
}

static char *write_scientific(char *out, const char *digits, int count, int decimal)
{
    *out++ = digits[0];
    if (count > 1) {
        *out++ = '.';
        memcpy(out, digits + 1, (size_t)count - 1);
        out += count - 1;
    }
    *out++ = 'e';
    *out++ = decimal < 0 ? '-' : '+';
    return resp_write_uint64(out, (uint64_t)abs(decimal));
}

size_t resp_double_to_text(double value, char *out)
{
    char *const start = out;
    if (isnan(value)) {
        memcpy(out, "nan", 3);
        return 3;
    }
    if (signbit(value)) {
        *out++ = '-';
        value = -value;
    }
    if (isinf(value)) {
        memcpy(out, "inf", 3);
        return (size_t)(out + 3 - start);
    }
    if (value <= (double)(INT64_MAX / 2) && value == (double)(int64_t)value)
        return (size_t)(resp_write_uint64(out, (uint64_t)value) - start);
    char digits[DIGITS_MAX];
    int exponent;
    const int count = shortest_digits(value, digits, &exponent);
    const int decimal = exponent + count - 1;
    if (exponent >= 0 && decimal < count + LONG_ZEROS) {
        memcpy(out, digits, (size_t)count);
        memset(out + count, '0', (size_t)exponent);
        out += count + exponent;
    } else if (exponent < 0 && (exponent > -SMALL_EXPONENT || abs(decimal) < SMALL_NUMBER)) {
        out = write_fraction(out, digits, count, exponent);
    } else {
        out = write_scientific(out, digits, count, decimal);
    }
    return (size_t)(out - start);
}
