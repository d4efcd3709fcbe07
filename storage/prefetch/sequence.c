/*
 * sequence.c: keys that count: b:101, b:102, b:103 → b:104.
 *
 *   key "page:17:row9"  ──►  form "page:17:row" + "" , number 9
 *   run(form, v) = run(form, v - 1) + 1
 *
 * One table for all streams, by hash of form and number, no context: streams interleaved by any number of clients keep
 * their runs apart by themselves. From RUN_MIN in a row the next numbers are proposed, more of them the longer the
 * run. A run goes on only from a predecessor read within RUN_AGE_MAX accesses: dense ids read at random make no
 * runs. Direct-mapped, 8 bytes a number; a newer number takes the place of an older one.
 *
 * The number is the last one in the key: digits ending at the end of a word, either a word of their own or the tail of one
 * ("row9"); a number with leading zeros keeps its width. Words that look like hexadecimal hashes don't count.
 */
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "prefetch_internal.h"

#include <string.h>

#define RUNS_MAX       ((size_t)1 << 22)
#define RUN_MIN        2
#define RUN_LENGTH_MAX 60000
/* Ages have 16 bits of the clock in this unit. */
#define RUN_AGE_UNIT 16
#define RUN_AGE_MAX  (2048 / RUN_AGE_UNIT)
/* A number of this many digits fits uint64_t, and so does its successor's. */
#define DIGITS_MAX 18
/* A word with digits and only hexadecimal letters, at least this long, is a hash. */
#define HEX_WORD_MIN 12

/* Runs of at least `length` propose `degree` numbers ahead. */
static const struct {
    uint32_t length;
    uint32_t degree;
} degrees[] = {
    {64, 8},
    {16, 4},
    {4, 2},
    {RUN_MIN, 1},
};

size_t prefetch_sequence_init(struct prefetch_sequence *sequence, size_t bytes)
{
    size_t power = 1;
    while (power * 2 <= RUNS_MAX && power * 2 * sizeof(struct prefetch_run) <= bytes)
        power *= 2;
    size_t count;
    sequence->runs = prefetch_table_create(sizeof(struct prefetch_run), power, &bytes, &count);
    while (power > count)
        power /= 2;
    sequence->run_count = power;
    return bytes;
}

void prefetch_sequence_deinit(struct prefetch_sequence *sequence)
{
    mem_free(sequence->runs);
    sequence->runs = NULL;
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_letter(char byte)
{
    const char lower = (char)(byte | 0x20);
    return lower >= 'a' && lower <= 'z';
}

/* Bytes of other alphabets belong to words. */
static bool is_word(char byte)
{
    return is_digit(byte) || is_letter(byte) || (byte & 0x80) != 0;
}

static bool is_hexadecimal(const char *word, uint32_t size)
{
    bool letters = false;
    for (uint32_t i = 0; i < size; i++) {
        const char lower = (char)(word[i] | 0x20);
        if (lower >= 'a' && lower <= 'f')
            letters = true;
        else if (!is_digit(word[i]))
            return false;
    }
    return letters;
}

/* The number that ends the word [start, end), if there is one. */
static bool number_of_word(
    const char *key, uint32_t start, uint32_t end, struct prefetch_number *number)
{
    uint32_t first = end;
    while (first > start && is_digit(key[first - 1]))
        first--;
    const uint32_t digits = end - first;
    if (digits == 0 || digits > DIGITS_MAX)
        return false;
    if (end - start >= HEX_WORD_MIN && is_hexadecimal(key + start, end - start))
        return false;
    uint64_t value = 0;
    for (uint32_t i = first; i < end; i++)
        value = value * 10 + (uint64_t)(key[i] - '0');
    *number = (struct prefetch_number){
        .start = first, .size = digits, .value = value, .padded = digits > 1 && key[first] == '0'};
    return true;
}

bool prefetch_number_find(const char *key, uint32_t size, struct prefetch_number *number)
{
    uint32_t end = size;
    while (end > 0) {
        if (!is_word(key[end - 1])) {
            end--;
            continue;
        }
        uint32_t start = end;
        while (start > 0 && is_word(key[start - 1]))
            start--;
        if (number_of_word(key, start, end, number))
            return true;
        end = start;
    }
    return false;
}

/* The hash of everything in the key but the number. */
static uint64_t form_of(const struct prefetch_event *event, const struct prefetch_number *number)
{
    const uint32_t tail = number->start + number->size;
    const uint64_t width = number->padded ? number->size : 0;
    const uint64_t head_hash = hash_keyed(event->key, number->start, event->space + (width << 32));
    return hash_keyed(event->key + tail, event->key_size - tail, head_hash);
}

/* splitmix64's finaliser (Vigna, public domain algorithm). */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
}

static struct prefetch_run *run_of(
    const struct prefetch_sequence *sequence, uint64_t form, uint64_t value, uint32_t *tag)
{
    const uint64_t hash = mix(form + value * 0x9E3779B97F4A7C15ULL);
    *tag = prefetch_tag(hash);
    return &sequence->runs[(size_t)hash & (sequence->run_count - 1)];
}

static void learn(void *state, const struct prefetch_access *access)
{
    struct prefetch_sequence *sequence = state;
    struct prefetch_number number;
    if (!prefetch_number_find(access->event->key, access->event->key_size, &number))
        return;
    const uint64_t form = form_of(access->event, &number);
    const uint16_t now = (uint16_t)(access->now / RUN_AGE_UNIT);
    uint16_t length = 1;
    uint32_t tag;
    if (number.value > 0) {
        const struct prefetch_run *before = run_of(sequence, form, number.value - 1, &tag);
        if (before->tag == tag && (uint16_t)(now - before->age) <= RUN_AGE_MAX)
            length =
                before->length < RUN_LENGTH_MAX ? (uint16_t)(before->length + 1) : RUN_LENGTH_MAX;
    }
    struct prefetch_run *run = run_of(sequence, form, number.value, &tag);
    *run = (struct prefetch_run){.tag = tag, .length = length, .age = now};
}

static uint32_t degree_of(uint32_t length)
{
    for (size_t i = 0; i < COUNT_OF(degrees); i++) {
        if (length >= degrees[i].length)
            return degrees[i].degree;
    }
    return 0;
}

/* The event's key with another number, of the same width if that was padded. False if it gets too long. */
static bool key_with(const struct prefetch_event *event, const struct prefetch_number *number,
    uint64_t value, struct prefetch_target *target)
{
    char digits[24];
    size_t size = uint64_to_text(value, digits);
    size_t zeros = 0;
    if (number->padded) {
        if (size > number->size)
            return false;
        zeros = number->size - size;
    }
    const uint32_t tail = number->start + number->size;
    const size_t tail_size = event->key_size - tail;
    if (number->start + zeros + size + tail_size > PREFETCH_KEY_MAX)
        return false;
    char *out = target->key;
    memcpy(out, event->key, number->start);
    out += number->start;
    memset(out, '0', zeros);
    out += zeros;
    memcpy(out, digits, size);
    out += size;
    memcpy(out, event->key + tail, tail_size);
    target->key_size = (uint8_t)(number->start + zeros + size + tail_size);
    target->space = event->space;
    return true;
}

static void predict(void *state, const struct prefetch_access *access, double accuracy,
    struct prefetch_proposals *proposals)
{
    const struct prefetch_sequence *sequence = state;
    (void)accuracy;
    struct prefetch_number number;
    if (!prefetch_number_find(access->event->key, access->event->key_size, &number))
        return;
    uint32_t tag;
    const uint64_t form = form_of(access->event, &number);
    const struct prefetch_run *run = run_of(sequence, form, number.value, &tag);
    const uint32_t degree = run->tag == tag ? degree_of(run->length) : 0;
    for (uint32_t ahead = 1; ahead <= degree; ahead++) {
        struct prefetch_target target;
        if (!key_with(access->event, &number, number.value + ahead, &target))
            return;
        struct prefetch_proposal *proposal = prefetch_proposals_add(proposals);
        if (proposal == NULL)
            return;
        proposal->target = target;
        proposal->hash = hash_keyed(target.key, target.key_size, target.space);
        proposal->origin = (uint32_t)(run - sequence->runs);
    }
}

static void feedback(void *state, uint32_t origin, uint64_t hash, enum prefetch_outcome outcome)
{
    struct prefetch_sequence *sequence = state;
    (void)hash;
    CHECK(origin < sequence->run_count);
    /* The run ends about here: those that go on from it start anew with a lower degree. */
    if (outcome != PREFETCH_OUTCOME_RIGHT)
        sequence->runs[origin].length /= 2;
}

static void check(const void *state)
{
    const struct prefetch_sequence *sequence = state;
    CHECK((sequence->run_count & (sequence->run_count - 1)) == 0);
    for (size_t i = 0; i < sequence->run_count; i++)
        CHECK(sequence->runs[i].length <= RUN_LENGTH_MAX);
}

const struct prefetch_predictor prefetch_sequence_predictor = {
    .source = PREFETCH_SOURCE_SEQUENCE,
    .learn = learn,
    .predict = predict,
    .feedback = feedback,
    .check = check,
};
