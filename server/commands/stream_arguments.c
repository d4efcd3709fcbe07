/*
 * stream_arguments.c: IDs, intervals and trimming options, as Redis reads them.
 */
#include "base/mem.h"
#include "stream_commands.h"

/* Longer texts are no IDs. */
#define ID_TEXT_MAX 127

/* A number as strtoull() reads it where the strict form fails: blanks, '+', zeros in front. */
static bool parse_number(struct slice text, uint64_t *number)
{
    if (slice_to_uint64(text, number))
        return true;
    size_t at = 0;
    while (at < text.size &&
           (text.data[at] == ' ' || (text.data[at] >= '\t' && text.data[at] <= '\r')))
        at++;
    if (at < text.size && text.data[at] == '+')
        at++;
    if (at == text.size)
        return false;
    *number = 0;
    for (; at < text.size; at++) {
        const char digit = text.data[at];
        if (digit < '0' || digit > '9' || mul_overflows(*number, (uint64_t)10, number) ||
            add_overflows(*number, (uint64_t)(digit - '0'), number))
            return false;
    }
    return true;
}

bool stream_id_parse(struct slice text, uint64_t missing_sequence, bool is_strict,
    bool *has_sequence, struct stream_id *id)
{
    if (has_sequence != NULL)
        *has_sequence = true;
    if (text.size == 0 || text.size > ID_TEXT_MAX)
        return false;
    if (text.size == 1 && (text.data[0] == '-' || text.data[0] == '+')) {
        *id = text.data[0] == '-' ? STREAM_ID_MIN : STREAM_ID_MAX;
        return !is_strict;
    }
    const char *const dash = memchr(text.data, '-', text.size);
    if (dash == NULL) {
        id->sequence = missing_sequence;
        return parse_number(text, &id->ms);
    }
    const size_t ms_size = (size_t)(dash - text.data);
    const struct slice rest = slice_of(dash + 1, text.size - ms_size - 1);
    if (!parse_number(slice_of(text.data, ms_size), &id->ms))
        return false;
    if (has_sequence != NULL && slice_equal(rest, SLICE_LITERAL("*"))) {
        *has_sequence = false;
        id->sequence = 0;
        return true;
    }
    return parse_number(rest, &id->sequence);
}

void stream_reply_invalid_id(struct command_call *call)
{
    reply_error(call->reply, "ERR Invalid stream ID specified as stream command argument");
}

bool stream_id_argument(struct command_call *call, int argument, struct stream_id *id)
{
    if (stream_id_parse(call->argv[argument], 0, true, NULL, id))
        return true;
    stream_reply_invalid_id(call);
    return false;
}

struct stream_id *stream_id_arguments(struct command_call *call, int first)
{
    struct stream_id *ids = mem_alloc((size_t)(call->argc - first) * sizeof(*ids));
    for (int i = first; i < call->argc; i++) {
        if (!stream_id_argument(call, i, &ids[i - first])) {
            mem_free(ids);
            return NULL;
        }
    }
    return ids;
}

/* --- intervals ------------------------------------------------------------------------------------------------------------ */

static bool parse_end_point(struct command_call *call, int argument, uint64_t missing_sequence,
    bool *is_excluded, struct stream_id *id)
{
    struct slice text = call->argv[argument];
    *is_excluded = text.size > 1 && text.data[0] == '(';
    if (*is_excluded)
        text = slice_of(text.data + 1, text.size - 1);
    if (stream_id_parse(text, missing_sequence, *is_excluded, NULL, id))
        return true;
    stream_reply_invalid_id(call);
    return false;
}

bool stream_interval_start(struct command_call *call, int argument, struct stream_id *id)
{
    bool is_excluded = false;
    if (!parse_end_point(call, argument, 0, &is_excluded, id))
        return false;
    if (!is_excluded || stream_id_next(id))
        return true;
    reply_error(call->reply, "ERR invalid start ID for the interval");
    return false;
}

bool stream_interval_end(struct command_call *call, int argument, struct stream_id *id)
{
    bool is_excluded = false;
    if (!parse_end_point(call, argument, UINT64_MAX, &is_excluded, id))
        return false;
    if (!is_excluded || stream_id_previous(id))
        return true;
    reply_error(call->reply, "ERR invalid end ID for the interval");
    return false;
}

/* --- XADD, XTRIM ------------------------------------------------------------------------------------------------------------ */

/* What is read so far, and whether LIMIT was given. */
struct add_parser {
    struct command_call *call;
    struct stream_add_options *options;
    bool limit_given;
};

/* MAXLEN or MINID [~|=] threshold, from argument *at on. */
static bool parse_trim(struct add_parser *parser, enum stream_trim_kind kind, int *at)
{
    struct command_call *call = parser->call;
    struct stream_trim *trim = &parser->options->trim;
    if (trim->kind != STREAM_TRIM_NONE) {
        reply_error(call->reply,
            "ERR syntax error, MAXLEN and MINID options at the same time are not compatible");
        return false;
    }
    int threshold = *at + 1;
    trim->is_approximate = false;
    if (call->argc - 1 - *at >= 2) {
        trim->is_approximate = slice_equal(call->argv[threshold], SLICE_LITERAL("~"));
        if (trim->is_approximate || slice_equal(call->argv[threshold], SLICE_LITERAL("=")))
            threshold++;
    }
    if (kind == STREAM_TRIM_LENGTH) {
        int64_t length = 0;
        if (!command_int64(call, threshold, &length, NULL))
            return false;
        if (length < 0) {
            reply_error(call->reply, "ERR The MAXLEN argument must be >= 0.");
            return false;
        }
        trim->length = (uint64_t)length;
    } else if (!stream_id_argument(call, threshold, &trim->id)) {
        return false;
    }
    trim->kind = kind;
    *at = threshold;
    return true;
}

static bool parse_limit(struct add_parser *parser, int argument)
{
    int64_t limit = 0;
    if (!command_int64(parser->call, argument, &limit, NULL))
        return false;
    if (limit < 0) {
        reply_error(parser->call->reply, "ERR The LIMIT argument must be >= 0.");
        return false;
    }
    parser->options->trim.limit = (uint64_t)limit;
    parser->limit_given = true;
    return true;
}

/* Without LIMIT, approximate trimming does the work of at most 100 nodes. */
static uint64_t default_limit(void)
{
    const int64_t entries =
        atomic_load_explicit(&value_limits.stream_node_max_entries, memory_order_relaxed);
    if (entries <= 0)
        return 10000;
    return entries > 10000 ? 1000000 : 100 * (uint64_t)entries;
}

static bool check_limit(struct add_parser *parser, bool is_add)
{
    struct resp_output *reply = parser->call->reply;
    struct stream_trim *trim = &parser->options->trim;
    if (trim->limit > 0 && trim->kind == STREAM_TRIM_NONE) {
        reply_error(
            reply, "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy");
        return false;
    }
    if (!is_add && trim->kind == STREAM_TRIM_NONE) {
        reply_error(reply, "ERR syntax error, XTRIM must be called with a trimming strategy");
        return false;
    }
    if (parser->limit_given && !trim->is_approximate) {
        reply_error(reply, "ERR syntax error, LIMIT cannot be used without the special ~ option");
        return false;
    }
    if (!parser->limit_given)
        trim->limit = trim->is_approximate ? default_limit() : 0;
    return true;
}

bool stream_add_options_parse(
    struct command_call *call, bool is_add, struct stream_add_options *options)
{
    *options = (struct stream_add_options){.has_sequence = true};
    struct add_parser parser = {.call = call, .options = options};
    int at = 2;
    for (; at < call->argc; at++) {
        const struct slice word = call->argv[at];
        const bool has_more = at + 1 < call->argc;
        if (is_add && slice_equal(word, SLICE_LITERAL("*")))
            break;
        if (has_more && slice_equal_nocase(word, "maxlen")) {
            if (!parse_trim(&parser, STREAM_TRIM_LENGTH, &at))
                return false;
        } else if (has_more && slice_equal_nocase(word, "minid")) {
            if (!parse_trim(&parser, STREAM_TRIM_ID, &at))
                return false;
        } else if (has_more && slice_equal_nocase(word, "limit")) {
            if (!parse_limit(&parser, ++at))
                return false;
        } else if (is_add && slice_equal_nocase(word, "nomkstream")) {
            options->no_make = true;
        } else if (is_add) {
            if (!stream_id_parse(word, 0, true, &options->has_sequence, &options->id)) {
                stream_reply_invalid_id(call);
                return false;
            }
            options->has_id = true;
            break;
        } else {
            reply_error(call->reply, REPLY_SYNTAX);
            return false;
        }
    }
    options->id_argument = at;
    return check_limit(&parser, is_add);
}
