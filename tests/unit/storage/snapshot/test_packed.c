/*
 * test_packed.c: ziplists, listpacks, intsets and zipmaps: what servers wrote is read, any other byte is refused.
 */
#include "snapshot_internal.h"
#include "test_main.h"

#include <stdio.h>

/* "a,b,-5,": the elements with a comma behind each, or what is wrong. */
static const char *walk(enum packed_kind kind, const char *bytes, size_t size)
{
    static char text[1000];
    struct packed packed;
    struct element element;
    size_t used = 0;
    if (packed_open(&packed, kind, slice_of(bytes, size)) != ST_OK)
        return "corrupt header";
    for (;;) {
        char scratch[ELEMENT_TEXT_MAX];
        const enum status status = packed_next(&packed, &element);
        if (status != ST_OK) {
            text[used] = '\0';
            return status == ST_END ? text : "corrupt";
        }
        const struct slice shown = element_text(&element, scratch);
        memcpy(text + used, shown.data, shown.size);
        used += shown.size;
        text[used++] = ',';
    }
}

/* Every shorter one and every flipped bit is refused, or is at least walked to an end inside of the bytes. */
static void check_damage(enum packed_kind kind, const char *bytes, size_t size)
{
    char *const copy = malloc(size);
    for (size_t cut = 0; cut < size; cut++) {
        memcpy(copy, bytes, cut);
        ck_assert_msg(
            strncmp(walk(kind, copy, cut), "corrupt", 7) == 0, "%zu bytes of %zu", cut, size);
    }
    for (size_t bit = 0; bit < 8 * size; bit++) {
        memcpy(copy, bytes, size);
        copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
        (void)walk(kind, copy, size);
    }
    free(copy);
}

#define CHECK_WALK(kind, bytes, expected)                                 \
    do {                                                                  \
        ck_assert_str_eq(walk(kind, bytes, sizeof(bytes) - 1), expected); \
        check_damage(kind, bytes, sizeof(bytes) - 1);                     \
    } while (0)

START_TEST(ziplists)
{
    static const char empty[] = "\x0b\0\0\0\x0a\0\0\0\0\0\xff";
    static const char one[] = "\x0d\0\0\0\x0a\0\0\0\x01\0\0\xf2\xff";
    /* "ab", 12, -2, 300, and 70000 in three bytes, each behind the size of the one before. */
    static const char mixed[] = "\x1f\0\0\0\x19\0\0\0\x05\0\x00\x02"
                                "ab\x04\xfd\x02\xfe\xfe\x03\xc0\x2c\x01\x04\xf0\x70\x11\x01\xff";
    CHECK_WALK(PACKED_ZIPLIST, empty, "");
    CHECK_WALK(PACKED_ZIPLIST, one, "1,");
    ck_assert_str_eq(walk(PACKED_ZIPLIST, mixed, sizeof(mixed) - 1), "corrupt header");
    char right[sizeof(mixed)];
    memcpy(right, mixed, sizeof(mixed));
    right[0] = (char)(sizeof(mixed) - 1);
    right[4] = 10 + 4 + 2 + 3 + 4;
    ck_assert_str_eq(walk(PACKED_ZIPLIST, right, sizeof(mixed) - 1), "ab,12,-2,300,70000,");
    check_damage(PACKED_ZIPLIST, right, sizeof(mixed) - 1);
    right[8] = (char)0xff; /* as many as there are */
    right[9] = (char)0xff;
    ck_assert_str_eq(walk(PACKED_ZIPLIST, right, sizeof(mixed) - 1), "ab,12,-2,300,70000,");
    right[8] = 4;
    right[9] = 0;
    ck_assert_str_eq(walk(PACKED_ZIPLIST, right, sizeof(mixed) - 1), "corrupt");
    right[8] = 5;
    right[4]--; /* the last is elsewhere */
    ck_assert_str_eq(walk(PACKED_ZIPLIST, right, sizeof(mixed) - 1), "corrupt");
}
END_TEST

START_TEST(listpacks)
{
    static const char empty[] = "\x07\0\0\0\0\0\xff";
    /* 5, "ab", -1 in 13 bits, 300 in 16, -2 in 24, 1 in 32, -3 in 64 */
    static const char mixed[] =
        "\x2c\0\0\0\x07\0\x05\x01\x82"
        "ab\x03\xdf\xff\x02\xf1\x2c\x01\x03\xf2\xfe\xff\xff\x04\xf3\x01\0\0\0\x05"
        "\xf4\xfd\xff\xff\xff\xff\xff\xff\xff\x09\xff";
    char right[sizeof(mixed)];
    memcpy(right, mixed, sizeof(mixed));
    right[0] = (char)(sizeof(mixed) - 1);
    CHECK_WALK(PACKED_LISTPACK, empty, "");
    ck_assert_str_eq(walk(PACKED_LISTPACK, right, sizeof(mixed) - 1), "5,ab,-1,300,-2,1,-3,");
    check_damage(PACKED_LISTPACK, right, sizeof(mixed) - 1);
    right[7] = 2; /* the size behind the first */
    ck_assert_str_eq(walk(PACKED_LISTPACK, right, sizeof(mixed) - 1), "corrupt");
}
END_TEST

START_TEST(listpacks_with_long_strings)
{
    /* Sizes at which the size behind takes a byte more. */
    static const size_t sizes[] = {
        63, 64, 124, 125, 126, 127, 4095, 4096, 16370, 16376, 16377, 16378, 16379, 20000};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        const size_t size = sizes[i];
        struct buf bytes = {0};
        buf_append_u32(&bytes, 0);
        buf_append_u16(&bytes, 1);
        const size_t start = bytes.size;
        if (size < 64) {
            buf_append_byte(&bytes, (char)(0x80 | size));
        } else if (size < 4096) {
            buf_append_byte(&bytes, (char)(0xe0 | size >> 8));
            buf_append_byte(&bytes, (char)size);
        } else {
            buf_append_byte(&bytes, (char)0xf0);
            buf_append_u32(&bytes, (uint32_t)size);
        }
        (void)buf_reserve(&bytes, size);
        memset(bytes.data + bytes.size, 'x', size);
        bytes.size += size;
        const size_t whole = bytes.size - start;
        if (whole >= 16383) {
            buf_append_byte(&bytes, (char)(whole >> 14));
            buf_append_byte(&bytes, (char)((whole >> 7 & 127) | 128));
            buf_append_byte(&bytes, (char)((whole & 127) | 128));
        } else if (whole >= 128) {
            buf_append_byte(&bytes, (char)(whole >> 7));
            buf_append_byte(&bytes, (char)((whole & 127) | 128));
        } else {
            buf_append_byte(&bytes, (char)whole);
        }
        buf_append_byte(&bytes, (char)0xff);
        for (unsigned byte = 0; byte < 4; byte++)
            bytes.data[byte] = (char)(bytes.size >> (8 * byte));
        struct packed packed;
        struct element element;
        ck_assert_int_eq(packed_open(&packed, PACKED_LISTPACK, buf_slice(&bytes)), ST_OK);
        ck_assert_int_eq(packed_next(&packed, &element), ST_OK);
        ck_assert_uint_eq(element.bytes.size, size);
        ck_assert_int_eq(packed_next(&packed, &element), ST_END);
        buf_deinit(&bytes);
    }
}
END_TEST

START_TEST(intsets)
{
    static const char narrow[] = "\x02\0\0\0\x03\0\0\0\xfe\xff\x00\x00\x05\x00";
    static const char wide[] = "\x08\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0";
    static const char descending[] = "\x02\0\0\0\x02\0\0\0\x05\0\x05\0";
    static const char odd[] = "\x03\0\0\0\x01\0\0\0\x05\0\0";
    CHECK_WALK(PACKED_INTSET, narrow, "-2,0,5,");
    CHECK_WALK(PACKED_INTSET, wide, "4294967296,");
    ck_assert_str_eq(walk(PACKED_INTSET, descending, sizeof(descending) - 1), "corrupt");
    ck_assert_str_eq(walk(PACKED_INTSET, odd, sizeof(odd) - 1), "corrupt header");
}
END_TEST

START_TEST(zipmaps)
{
    static const char two[] = "\x02\x01"
                              "a\x02\x00"
                              "12\x01"
                              "b\x01\x02"
                              "x??\xff";
    CHECK_WALK(PACKED_ZIPMAP, two, "a,12,b,x,");
    char uncounted[sizeof(two)];
    memcpy(uncounted, two, sizeof(two));
    uncounted[0] = (char)254;
    ck_assert_str_eq(walk(PACKED_ZIPMAP, uncounted, sizeof(two) - 1), "a,12,b,x,");
    uncounted[0] = 3;
    ck_assert_str_eq(walk(PACKED_ZIPMAP, uncounted, sizeof(two) - 1), "corrupt");
}
END_TEST

TEST_GROUP(packed_group, ziplists, listpacks, listpacks_with_long_strings, intsets, zipmaps)
