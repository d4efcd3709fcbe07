/*
 * resp_inline.c: commands typed as a line of words: telnet, netcat, health checks.
 *
 * Words are separated by blanks. "..." knows \n \r \t \b \a \xHH and \<any>; '...' knows \'; a closing quote ends its word.
 * Quotes are resolved in place: a word never gets longer.
 */
#include "resp_internal.h"

static bool is_blank(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static int hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return -1;
}

static char escaped(char byte)
{
    switch (byte) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return byte;
    }
}

/*
 * The quoted part that `quote` at *from opened: its bytes go to *to, *from ends behind the closing quote. False if it is not closed,
 * or something other than a blank follows.
 */
static bool unquote(char **from, const char *end, char **to)
{
    char *p = *from;
    char *out = *to;
    const char quote = *p++;
    for (; p < end && *p != quote; p++) {
        if (*p != '\\' || p + 1 == end) {
            *out++ = *p;
        } else if (quote == '\'') {
            if (p[1] == '\'')
                p++;
            *out++ = *p;
        } else if (p[1] == 'x' && end - p > 3 && hex_digit(p[2]) >= 0 && hex_digit(p[3]) >= 0) {
            *out++ = (char)(hex_digit(p[2]) * 16 + hex_digit(p[3]));
            p += 3;
        } else {
            p++;
            *out++ = escaped(*p);
        }
    }
    if (p == end)
        return false;
    p++;
    *from = p;
    *to = out;
    return p == end || is_blank(*p);
}

/* The word at *from, resolved in place. */
static bool take_word(char **from, const char *end, struct slice *word)
{
    char *const start = *from;
    char *p = start;
    char *out = start;
    while (p < end && *p != ' ' && *p != '\t' && *p != '\r') {
        if (*p == '"' || *p == '\'') {
            /* A closing quote ends the word. */
            if (!unquote(&p, end, &out))
                return false;
            break;
        }
        *out++ = *p++;
    }
    *from = p;
    *word = slice_of(start, (size_t)(out - start));
    return true;
}

enum status resp_next_word(char **position, const char *end, struct slice *word)
{
    char *p = *position;
    while (p < end && is_blank(*p))
        p++;
    *position = p;
    if (p == end)
        return ST_END;
    return take_word(position, end, word) ? ST_OK : ST_INVALID;
}

static enum resp_step take_words(struct resp_input *input, char *p, const char *end)
{
    input->count = 0;
    if (!resp_argv_begin(input, 1))
        return STEP_FATAL;
    for (;;) {
        struct slice word;
        const enum status status = resp_next_word(&p, end, &word);
        if (status == ST_END)
            return input->count > 0 ? STEP_DONE : STEP_SKIP;
        if (status != ST_OK) {
            input->error = "unbalanced quotes in request";
            return STEP_ERROR;
        }
        if (!resp_argv_grow(input, INT32_MAX))
            return STEP_FATAL;
        resp_input_argv(input)[input->count++] = word;
    }
}

enum resp_step resp_parse_inline(struct resp_input *input)
{
    struct resp_block *const block = input->block;
    const size_t from = input->scanned > input->position ? input->scanned : input->position;
    char *end = memchr(block->data + from, '\n', block->size - from);
    if (end == NULL) {
        input->scanned = block->size;
        if (block->size - input->position > RESP_INLINE_MAX) {
            input->error = "too big inline request";
            return STEP_ERROR;
        }
        return STEP_MORE;
    }
    char *const line = block->data + input->position;
    input->position = (size_t)(end + 1 - block->data);
    if (end > line && end[-1] == '\r')
        end--;
    input->altered = true;
    const enum resp_step step = take_words(input, line, end);
    if (step == STEP_SKIP)
        input->start = input->position;
    return step;
}
