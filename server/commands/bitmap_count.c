/*
 * bitmap_count.c: BITCOUNT and BITPOS: bits of a range, counted and looked for.
 *
 * Both work on a range of bits [first, last]: a range of bytes is one of bits, too. Whole words of 64 bits are counted by adding neighbours
 * (Warren, Hacker's Delight, 5-1) and skipped while they hold nothing that is looked for.
 */
#include "bitmap_internal.h"

/* Bits, both ends included; empty if first > last. */
struct bit_range {
    int64_t first, last;
};

/* --- arguments -------------------------------------------------------------------------------------------------------- */

/* BYTE or BIT. False: an error was replied. */
static bool parse_unit(struct command_call *call, int argument, bool *is_bit)
{
    *is_bit = slice_equal_nocase(call->argv[argument], "bit");
    if (*is_bit || slice_equal_nocase(call->argv[argument], "byte"))
        return true;
    reply_error(call->reply, REPLY_SYNTAX);
    return false;
}

/* Indexes from the start, or negative ones from the end, of a string of `size` bytes. */
static struct bit_range make_range(int64_t start, int64_t end, bool is_bit, size_t size)
{
    const int64_t total = (int64_t)size * (is_bit ? 8 : 1);
    if (start < 0)
        start = start < -total ? 0 : start + total;
    if (end < 0)
        end = end < -total ? 0 : end + total;
    if (end >= total)
        end = total - 1;
    if (start > end)
        return (struct bit_range){.first = 0, .last = -1};
    if (is_bit)
        return (struct bit_range){.first = start, .last = end};
    return (struct bit_range){.first = start * 8, .last = end * 8 + 7};
}

/* --- counting --------------------------------------------------------------------------------------------------------- */

static unsigned count_word(uint64_t word)
{
    word -= word >> 1 & 0x5555555555555555U;
    word = (word & 0x3333333333333333U) + (word >> 2 & 0x3333333333333333U);
    word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fU;
    return (unsigned)(word * 0x0101010101010101U >> 56);
}

/* The bits of the byte at `byte` that lie in the range; others are zero. */
static uint8_t byte_mask(struct bit_range range, int64_t byte)
{
    unsigned mask = 0xff;
    if (byte == range.first / 8)
        mask &= 0xffU >> (range.first % 8);
    if (byte == range.last / 8)
        mask &= 0xffU << (7 - range.last % 8);
    return (uint8_t)mask;
}

static int64_t count_bits(const uint8_t *bytes, struct bit_range range)
{
    const int64_t end = range.last / 8;
    int64_t byte = range.first / 8;
    int64_t count = count_word((uint64_t)bytes[byte] & byte_mask(range, byte));
    /* The last byte is masked, so words end before it. */
    for (byte++; byte + 8 <= end; byte += 8) {
        uint64_t word = 0;
        memcpy(&word, bytes + byte, sizeof(word));
        count += count_word(word);
    }
    for (; byte <= end; byte++)
        count += count_word((uint64_t)bytes[byte] & byte_mask(range, byte));
    return count;
}

void cmd_bitcount(struct command_call *call)
{
    struct hot_record *record = NULL;
    char scratch[24];
    if (!command_find_typed(call, 0, KEYSPACE_READ, VALUE_STRING, &record))
        return;
    if (record == NULL) {
        reply_integer(call->reply, 0);
        return;
    }
    const struct value value = hot_record_value(record);
    const struct slice bytes = value_string_bytes(&value, scratch);
    int64_t start = 0;
    int64_t end = -1;
    bool is_bit = false;
    if (call->argc == 4 || call->argc == 5) {
        if (!command_int64(call, 2, &start, NULL) || !command_int64(call, 3, &end, NULL))
            return;
        if (start < 0 && end < 0 && start > end) {
            reply_integer(call->reply, 0);
            return;
        }
        if (call->argc == 5 && !parse_unit(call, 4, &is_bit))
            return;
    } else if (call->argc != 2) {
        reply_error(call->reply, REPLY_SYNTAX);
        return;
    }
    const struct bit_range range = make_range(start, end, is_bit, bytes.size);
    reply_integer(
        call->reply, range.first > range.last ? 0 : count_bits((const uint8_t *)bytes.data, range));
}

/* --- looking for a bit ------------------------------------------------------------------------------------------------- */

/* The first bit of this value in the range, or -1. */
static int64_t find_bit(const uint8_t *bytes, struct bit_range range, bool bit)
{
    const uint64_t nothing = bit ? 0 : UINT64_MAX;
    const int64_t end = range.last / 8;
    int64_t byte = range.first / 8;
    while (byte <= end) {
        uint64_t word = 0;
        if (byte + 8 <= end) {
            memcpy(&word, bytes + byte, sizeof(word));
            if (word == nothing && byte > range.first / 8) {
                byte += 8;
                continue;
            }
        }
        /* What is looked for as ones. */
        const unsigned found =
            (bit ? bytes[byte] : (uint8_t)~bytes[byte]) & (unsigned)byte_mask(range, byte);
        for (unsigned place = 0; place < 8; place++) {
            if ((found & (0x80U >> place)) != 0)
                return byte * 8 + place;
        }
        byte++;
    }
    return -1;
}

/* argv[3] on. False: an error was replied. */
static bool parse_bitpos_range(
    struct command_call *call, size_t size, struct bit_range *range, bool *has_end)
{
    int64_t start = 0;
    int64_t end = -1;
    bool is_bit = false;
    *has_end = call->argc >= 5;
    if (call->argc > 6) {
        reply_error(call->reply, REPLY_SYNTAX);
        return false;
    }
    if (call->argc >= 4 && !command_int64(call, 3, &start, NULL))
        return false;
    if (call->argc == 6 && !parse_unit(call, 5, &is_bit))
        return false;
    if (*has_end && !command_int64(call, 4, &end, NULL))
        return false;
    *range = make_range(start, end, is_bit, size);
    return true;
}

void cmd_bitpos(struct command_call *call)
{
    int64_t bit = 0;
    struct hot_record *record = NULL;
    char scratch[24];
    if (!command_int64(call, 2, &bit, NULL))
        return;
    if (bit != 0 && bit != 1) {
        reply_error(call->reply, "ERR The bit argument must be 1 or 0.");
        return;
    }
    if (!command_find_typed(call, 0, KEYSPACE_READ, VALUE_STRING, &record))
        return;
    if (record == NULL) {
        reply_integer(call->reply, bit == 1 ? -1 : 0);
        return;
    }
    const struct value value = hot_record_value(record);
    const struct slice bytes = value_string_bytes(&value, scratch);
    struct bit_range range;
    bool has_end = false;
    if (!parse_bitpos_range(call, bytes.size, &range, &has_end))
        return;
    if (range.first > range.last) {
        reply_integer(call->reply, -1);
        return;
    }
    const int64_t found = find_bit((const uint8_t *)bytes.data, range, bit == 1);
    /* Without an end the string is followed by zeros. */
    reply_integer(call->reply, found < 0 && bit == 0 && !has_end ? range.last + 1 : found);
}
