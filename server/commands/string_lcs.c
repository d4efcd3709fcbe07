/*
 * string_lcs.c: LCS: the longest common subsequence of two strings, by the classic table (Wagner and Fischer, 1974).
 *
 * Time and memory are the product of the lengths; proto-max-bulk-len bounds the table.
 */
#include "base/mem.h"
#include "commands_internal.h"

static inline size_t cell(struct slice b, size_t row, size_t column)
{
    return row * (b.size + 1) + column;
}

/* Row i, column j: the length for the first i bytes of a and the first j of b. */
uint32_t *lcs_table_create(struct slice a, struct slice b)
{
    size_t cells = 0;
    size_t bytes = 0;
    if (mul_overflows(a.size + 1, b.size + 1, &cells) ||
        mul_overflows(cells, sizeof(uint32_t), &bytes))
        return NULL;
    uint32_t *table = mem_try_alloc(bytes);
    if (table == NULL)
        return NULL;
    memset(table, 0, (b.size + 1) * sizeof(*table));
    for (size_t i = 1; i <= a.size; i++) {
        const uint32_t *above = &table[cell(b, i - 1, 0)];
        uint32_t *row = &table[cell(b, i, 0)];
        const char byte = a.data[i - 1];
        row[0] = 0;
        for (size_t j = 1; j <= b.size; j++) {
            if (byte == b.data[j - 1])
                row[j] = above[j - 1] + 1;
            else
                row[j] = above[j] > row[j - 1] ? above[j] : row[j - 1];
        }
    }
    return table;
}

uint32_t lcs_walk(const uint32_t *table, struct slice a, struct slice b, char *text,
    lcs_visit_fn visit, void *context)
{
    size_t i = a.size;
    size_t j = b.size;
    const uint32_t length = table[cell(b, i, j)];
    uint32_t left = length;
    while (i > 0 && j > 0) {
        const size_t a_end = i;
        const size_t b_end = j;
        while (i > 0 && j > 0 && a.data[i - 1] == b.data[j - 1]) {
            left--;
            if (text != NULL)
                text[left] = a.data[i - 1];
            i--;
            j--;
        }
        if (i < a_end) {
            const struct lcs_match match = {.a_start = (uint32_t)i,
                .a_end = (uint32_t)a_end - 1,
                .b_start = (uint32_t)j,
                .b_end = (uint32_t)b_end - 1};
            visit(context, &match);
        } else if (table[cell(b, i - 1, j)] > table[cell(b, i, j - 1)]) {
            i--;
        } else {
            j--;
        }
    }
    return length;
}

/* --- the command -------------------------------------------------------------------------------------------- */

struct lcs_options {
    bool length, indexes, with_match_length;
    int64_t match_length_min;
};

static bool parse_options(struct command_call *call, struct lcs_options *options)
{
    *options = (struct lcs_options){0};
    for (int i = 3; i < call->argc; i++) {
        const struct slice word = call->argv[i];
        if (slice_equal_nocase(word, "idx")) {
            options->indexes = true;
        } else if (slice_equal_nocase(word, "len")) {
            options->length = true;
        } else if (slice_equal_nocase(word, "withmatchlen")) {
            options->with_match_length = true;
        } else if (slice_equal_nocase(word, "minmatchlen") && i + 1 < call->argc) {
            if (!command_int64(call, ++i, &options->match_length_min, NULL))
                return false;
        } else {
            reply_error(call->reply, REPLY_SYNTAX);
            return false;
        }
    }
    if (options->length && options->indexes) {
        reply_error(
            call->reply, "ERR If you want both the length and indexes, please just use IDX.");
        return false;
    }
    return true;
}

/* A table within limits, or an error replied. */
static uint32_t *make_table(struct command_call *call, struct slice a, struct slice b)
{
    if (a.size >= UINT32_MAX - 1 || b.size >= UINT32_MAX - 1) {
        reply_error(call->reply, "ERR String too long for LCS");
        return NULL;
    }
    const uint64_t limit = (uint64_t)OPTION_GET(&call->server->settings->server, bulk_size_max);
    uint64_t bytes = 0;
    if (mul_overflows((uint64_t)(a.size + 1) * (b.size + 1), sizeof(uint32_t), &bytes) ||
        bytes > limit) {
        reply_error(call->reply,
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
        return NULL;
    }
    uint32_t *table = lcs_table_create(a, b);
    if (table == NULL)
        reply_error(
            call->reply, "ERR Insufficient memory, failed allocating transient memory for LCS");
    return table;
}

struct match_reply {
    struct resp_output *reply;
    const struct lcs_options *options;
    size_t count;
};

static void reply_match(void *context, const struct lcs_match *match)
{
    struct match_reply *matches = context;
    struct resp_output *reply = matches->reply;
    const int64_t length = (int64_t)match->a_end - match->a_start + 1;
    if (length < matches->options->match_length_min)
        return;
    matches->count++;
    reply_array(reply, matches->options->with_match_length ? 3 : 2);
    reply_array(reply, 2);
    reply_integer(reply, match->a_start);
    reply_integer(reply, match->a_end);
    reply_array(reply, 2);
    reply_integer(reply, match->b_start);
    reply_integer(reply, match->b_end);
    if (matches->options->with_match_length)
        reply_integer(reply, length);
}

static void ignore_match(void *context, const struct lcs_match *match)
{
    (void)context;
    (void)match;
}

static void reply_indexes(struct command_call *call, const struct lcs_options *options,
    const uint32_t *table, struct slice a, struct slice b)
{
    struct resp_output *reply = call->reply;
    struct match_reply matches = {.reply = reply, .options = options};
    reply_map(reply, 2);
    reply_bulk_text(reply, "matches");
    const struct reply_deferred deferred = reply_deferred_begin(reply);
    const uint32_t length = lcs_walk(table, a, b, NULL, reply_match, &matches);
    reply_deferred_end(reply, deferred, '*', matches.count);
    reply_bulk_text(reply, "len");
    reply_integer(reply, length);
}

static void reply_subsequence(
    struct command_call *call, const uint32_t *table, struct slice a, struct slice b)
{
    const uint32_t length = table[cell(b, a.size, b.size)];
    char *text = mem_alloc(length);
    (void)lcs_walk(table, a, b, text, ignore_match, NULL);
    reply_bulk(call->reply, slice_of(text, length));
    mem_free(text);
}

static bool find_string(struct command_call *call, size_t index, struct value *value)
{
    *value = value_string_raw(slice_of("", 0));
    const struct hot_record *record = keyspace_find(call->view, &call->keys[index], KEYSPACE_READ);
    if (record != NULL)
        *value = hot_record_value(record);
    return value->type == VALUE_STRING;
}

void cmd_lcs(struct command_call *call)
{
    struct value values[2];
    struct lcs_options options;
    char scratch[2][24];
    if (!find_string(call, 0, &values[0]) || !find_string(call, 1, &values[1])) {
        reply_error(call->reply, "ERR The specified keys must contain string values");
        return;
    }
    if (!parse_options(call, &options))
        return;
    const struct slice a = value_string_bytes(&values[0], scratch[0]);
    const struct slice b = value_string_bytes(&values[1], scratch[1]);
    uint32_t *table = make_table(call, a, b);
    if (table == NULL)
        return;
    if (options.indexes)
        reply_indexes(call, &options, table, a, b);
    else if (options.length)
        reply_integer(call->reply, table[cell(b, a.size, b.size)]);
    else
        reply_subsequence(call, table, a, b);
    mem_free(table);
}
