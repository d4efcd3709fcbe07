/*
 * resp_parse.c: commands from received bytes, without a copy and without looking at a byte twice.
 *
 *   between commands ──'*'──► arguments ◄─────────────┐
 *     │        ▲                │ header '$'           │
 *     │ line   │ empty          ▼                      │
 *     └────► inline           bulk: in the block ──────┤
 *                               └── big: in a blob ────┘
 *
 * The state is kept in struct resp_input, so parsing goes on where the bytes ended. Redis is followed where it is
 * lenient: the two bytes that end a header or a bulk are skipped, whatever they are; what is not CR LF there, or came
 * as a line or in a blob, has no `request`, so that only canonical RESP goes to the log.
 *
 * The common case, short headers wholly received, is parsed in registers by short_number() and the loop around it.
 */
#include "resp_internal.h"

#include <stdio.h>

static const char BAD_COUNT[] = "invalid multibulk length";
static const char BAD_SIZE[] = "invalid bulk length";
static const char LONG_COUNT[] = "too big mbulk count string";
static const char LONG_SIZE[] = "too big bulk count string";
static const char UNKNOWN_COUNT[] = "unauthenticated multibulk length";
static const char UNKNOWN_SIZE[] = "unauthenticated bulk length";

/* Until AUTH: what a client may send. */
enum {
    UNAUTHENTICATED_COUNT_MAX = 10,
    UNAUTHENTICATED_SIZE_MAX = 16384,
};

/* Bytes from which short_number() may read without looking at the end. */
#define SHORT_NUMBER_SPAN 8

/* A canonical number below 100,000 and its CR LF at p: the address behind it, or NULL. */
static inline const char *short_number(const char *p, uint32_t *number)
{
    uint32_t value = (uint32_t)(uint8_t)*p - '0';
    if (value > 9)
        return NULL;
    if (value == 0) {
        if (p[1] != '\r')
            return NULL;
        p++;
    } else {
        const char *const limit = p + 5;
        for (p++; p < limit; p++) {
            const uint32_t digit = (uint32_t)(uint8_t)*p - '0';
            if (digit > 9)
                break;
            value = value * 10 + digit;
        }
    }
    *number = value;
    return p[0] == '\r' && p[1] == '\n' ? p + 2 : NULL;
}

static enum resp_step protocol_error(struct resp_input *input, const char *text)
{
    input->error = text;
    return STEP_ERROR;
}

/*
 * The line at position, which need not be complete: STEP_DONE, *line without its ending, position behind it; STEP_MORE; STEP_ERROR
 * when it is too long.
 */
static enum resp_step take_line(struct resp_input *input, const char *too_long, struct slice *line)
{
    const struct resp_block *const block = input->block;
    const size_t from = input->scanned > input->position ? input->scanned : input->position;
    const char *const end = memchr(block->data + from, '\r', block->size - from);
    if (end == NULL) {
        input->scanned = block->size;
        if (block->size - input->position > RESP_INLINE_MAX)
            return protocol_error(input, too_long);
        return STEP_MORE;
    }
    const size_t end_offset = (size_t)(end - block->data);
    if (end_offset + 1 == block->size) {
        input->scanned = end_offset;
        return STEP_MORE;
    }
    if (end[1] != '\n')
        input->altered = true;
    *line = slice_of(block->data + input->position, end_offset - input->position);
    input->position = end_offset + 2;
    return STEP_DONE;
}

/* The line "*<count>" at position. */
static enum resp_step begin_array(struct resp_input *input, const struct resp_limits *limits)
{
    const struct resp_block *const block = input->block;
    const char *const at = block->data + input->position;
    int64_t total;
    uint32_t number;
    const char *after = NULL;
    input->altered = false;
    if (likely(block->size - input->position > SHORT_NUMBER_SPAN))
        after = short_number(at + 1, &number);
    if (likely(after != NULL)) {
        total = number;
        input->position = (size_t)(after - block->data);
    } else {
        struct slice line;
        const enum resp_step step = take_line(input, LONG_COUNT, &line);
        if (step != STEP_DONE)
            return step;
        if (!slice_to_int64(slice_of(line.data + 1, line.size - 1), &total))
            return protocol_error(input, BAD_COUNT);
    }
    if (total > RESP_ARGUMENT_COUNT_MAX)
        return protocol_error(input, BAD_COUNT);
    if (unlikely(limits->unauthenticated) && total > UNAUTHENTICATED_COUNT_MAX)
        return protocol_error(input, UNKNOWN_COUNT);
    if (total <= 0) {
        input->start = input->position;
        return STEP_SKIP;
    }
    input->count = 0;
    if (unlikely(!resp_argv_begin(input, (int)total)))
        return STEP_FATAL;
    input->total = (int)total;
    input->bulk_size = -1;
    return STEP_DONE;
}

/* The line "$<size>" at position, any of it. */
static enum resp_step take_header(struct resp_input *input, const struct resp_limits *limits)
{
    struct slice line;
    if (input->position == input->block->size)
        return STEP_MORE;
    const enum resp_step step = take_line(input, LONG_SIZE, &line);
    if (step != STEP_DONE)
        return step;
    /* An empty line has its CR in the place of '$'. */
    const char type = line.data[0];
    if (type != '$') {
        (void)snprintf(input->text, sizeof(input->text), "expected '$', got '%c'",
            type == '\r' || type == '\n' || type == '\0' ? ' ' : type);
        return protocol_error(input, input->text);
    }
    int64_t size;
    if (!slice_to_int64(slice_of(line.data + 1, line.size - 1), &size) || size < 0)
        return protocol_error(input, BAD_SIZE);
    if ((uint64_t)size > limits->bulk_size_max || (uint64_t)size > VALUE_STRING_SIZE_MAX)
        return protocol_error(input, BAD_SIZE);
    if (unlikely(limits->unauthenticated) && size > UNAUTHENTICATED_SIZE_MAX)
        return protocol_error(input, UNKNOWN_SIZE);
    input->bulk_size = size;
    return STEP_DONE;
}

/* Arguments with short headers, as long as they are wholly there. */
static void take_short_arguments(struct resp_input *input)
{
    const struct resp_block *const block = input->block;
    const char *p = block->data + input->position;
    const char *const end = block->data + block->size;
    const uint32_t capacity = input->arrays->capacity - input->arrays->used;
    uint32_t count = (uint32_t)input->count;
    const uint32_t total = (uint32_t)input->total < capacity ? (uint32_t)input->total : capacity;
    struct slice *const argv = resp_input_argv(input);
    bool altered = false;
    while (count < total && end - p > SHORT_NUMBER_SPAN) {
        uint32_t size;
        if (*p != '$')
            break;
        const char *const data = short_number(p + 1, &size);
        if (data == NULL || size > UNAUTHENTICATED_SIZE_MAX)
            break;
        if (end - data < (ptrdiff_t)size + 2)
            break;
        argv[count++] = slice_of(data, size);
        p = data + size + 2;
        altered |= p[-2] != '\r' || p[-1] != '\n';
    }
    input->count = (int)count;
    input->position = (size_t)(p - block->data);
    if (unlikely(altered))
        input->altered = true;
}

/* A big bulk that is complete becomes an argument. */
static void finish_big(struct resp_input *input)
{
    struct resp_big *const big = input->reading;
    struct blob *const blob = big->blob;
    blob->size = big->target - 2;
    resp_input_argv(input)[input->count++] = slice_of(blob->data, blob->size);
    input->big_bytes += blob->size;
    input->altered = true;
    input->bulk_size = -1;
    input->reading = NULL;
    big->next = input->bigs;
    input->bigs = big;
}

/* The bytes of the argument whose size is known. */
static enum resp_step take_bulk(struct resp_input *input)
{
    if (!resp_argv_grow(input, input->total))
        return STEP_FATAL;
    if (input->reading != NULL) {
        if (input->reading->blob->size < input->reading->target)
            return STEP_MORE;
        finish_big(input);
        return STEP_DONE;
    }
    struct resp_block *const block = input->block;
    const size_t size = (size_t)input->bulk_size;
    if (block->size - input->position < size + 2) {
        if (size < RESP_BIG_BULK)
            return STEP_MORE;
        return resp_big_begin(input) ? STEP_MORE : STEP_FATAL;
    }
    const char *const data = block->data + input->position;
    resp_input_argv(input)[input->count++] = slice_of(data, size);
    if (data[size] != '\r' || data[size + 1] != '\n')
        input->altered = true;
    input->position += size + 2;
    input->bulk_size = -1;
    return STEP_DONE;
}

static enum resp_step take_arguments(struct resp_input *input, const struct resp_limits *limits)
{
    for (;;) {
        if (likely(input->bulk_size < 0)) {
            take_short_arguments(input);
            if (likely(input->count == input->total))
                return STEP_DONE;
            const enum resp_step step = take_header(input, limits);
            if (step != STEP_DONE)
                return step;
        }
        const enum resp_step step = take_bulk(input);
        if (step != STEP_DONE)
            return step;
        if (input->count == input->total)
            return STEP_DONE;
    }
}

/*
 * The common case in one go: at most nine short arguments, canonical and wholly there. False: nothing has changed, the long way finds
 * out why.
 */
static inline bool take_at_once(struct resp_input *input, struct resp_command *command)
{
    const struct resp_block *const block = input->block;
    struct resp_array *const array = input->arrays;
    if (unlikely(input->total != 0 || block == NULL || array == NULL))
        return false;
    const char *const start = block->data + input->position;
    const char *const end = block->data + block->size;
    if (end - start <= 4 + SHORT_NUMBER_SPAN || start[0] != '*' || start[2] != '\r' ||
        start[3] != '\n')
        return false;
    const uint32_t total = (uint32_t)(uint8_t)start[1] - '0';
    if (total - 1 >= 9 || array->capacity - array->used < total)
        return false;
    struct slice *const argv = array->slots + array->used;
    const char *p = start + 4;
    for (uint32_t index = 0; index < total; index++) {
        uint32_t size;
        if (end - p <= SHORT_NUMBER_SPAN || *p != '$')
            return false;
        const char *const data = short_number(p + 1, &size);
        if (data == NULL || size > UNAUTHENTICATED_SIZE_MAX || end - data < (ptrdiff_t)size + 2)
            return false;
        argv[index] = slice_of(data, size);
        p = data + size + 2;
        if (p[-2] != '\r' || p[-1] != '\n')
            return false;
    }
    array->used += total;
    input->position = (size_t)(p - block->data);
    input->start = input->position;
    input->out = true;
    *command = (struct resp_command){.argc = (int)total,
        .argv = argv,
        .request = slice_of(start, (size_t)(p - start)),
        .blob_index = -1};
    return true;
}

static enum resp_step take_command(struct resp_input *input, const struct resp_limits *limits)
{
    if (input->total == 0) {
        const struct resp_block *const block = input->block;
        if (block == NULL || input->position == block->size)
            return STEP_MORE;
        if (unlikely(block->data[input->position] != '*'))
            return resp_parse_inline(input);
        const enum resp_step step = begin_array(input, limits);
        if (step != STEP_DONE)
            return step;
    }
    return take_arguments(input, limits);
}

static void hand_out(struct resp_input *input, struct resp_command *command)
{
    struct resp_array *const array = input->arrays;
    command->argc = input->count;
    command->argv = resp_input_argv(input);
    command->request = likely(!input->altered) ? slice_of(input->block->data + input->start,
                                                     input->position - input->start)
                                               : slice_of(NULL, 0);
    command->blob = NULL;
    command->blob_index = -1;
    command->blob_owner = NULL;
    array->used += (uint32_t)input->count;
    if (unlikely(input->bigs != NULL)) {
        struct resp_big *first = input->bigs;
        while (first->next != NULL)
            first = first->next;
        command->blob = first->blob;
        command->blob_index = first->index;
        command->blob_owner = &first->blob;
        first->next = input->bigs_out;
        input->bigs_out = input->bigs;
        input->bigs = NULL;
        input->big_bytes = 0;
    }
    input->out = true;
    input->total = 0;
    input->count = 0;
    input->start = input->position;
}

enum resp_result resp_input_next(struct resp_input *input, const struct resp_limits *limits,
    struct resp_command *command, const char **text)
{
    if (unlikely(input->error != NULL)) {
        *text = input->error;
        return RESP_ERROR;
    }
    enum resp_step step = STEP_FATAL;
    if (likely(!input->out_of_memory)) {
        if (likely(!limits->unauthenticated) && take_at_once(input, command))
            return RESP_COMMAND;
        do {
            step = take_command(input, limits);
        } while (step == STEP_SKIP);
    }
    switch (step) {
    case STEP_DONE: hand_out(input, command); return RESP_COMMAND;
    case STEP_MORE:
        if (resp_input_pending(input) > limits->query_buffer_max)
            break;
        return RESP_MORE;
    case STEP_ERROR: *text = input->error; return RESP_ERROR;
    case STEP_SKIP:
    case STEP_FATAL: input->out_of_memory = true; break;
    }
    return RESP_FATAL;
}

struct blob *resp_command_take_blob(struct resp_command *command)
{
    struct blob *const blob = command->blob;
    if (blob == NULL)
        return NULL;
    CHECK(*command->blob_owner == blob);
    *command->blob_owner = NULL;
    command->blob = NULL;
    return blob;
}
