/*
 * settings_check.c: what the options that are texts may be, and the form in which they are kept.
 */
#include "settings_internal.h"

#include <ctype.h>
#include <math.h>

enum {
    BIND_MAX = 16,
    OOM_VALUE_COUNT = 3,
    OOM_VALUE_MAX = 2000,
    HOST_NAME_MAX_SIZE = 255,
};

void settings_join(const struct slice *words, size_t count, struct buf *out)
{
    for (size_t index = 0; index < count; index++) {
        if (index > 0)
            buf_append_byte(out, ' ');
        buf_append_slice(out, words[index]);
    }
}

static bool is_empty(const struct slice *words, size_t count)
{
    return count == 0 || (count == 1 && words[0].size == 0);
}

/* Pairs of seconds, at least 1, and changes, at least 0. */
const char *check_save(const struct slice *words, size_t count, struct buf *out)
{
    static const char bad[] = "Invalid save parameters";
    if (is_empty(words, count))
        return NULL;
    if (count % 2 != 0)
        return bad;
    for (size_t index = 0; index < count; index++) {
        int64_t number;
        if (!slice_to_int64(words[index], &number) || number > INT32_MAX)
            return bad;
        if (number < (index % 2 == 0 ? 1 : 0))
            return bad;
    }
    settings_join(words, count, out);
    return NULL;
}

const char *check_bind(const struct slice *words, size_t count, struct buf *out)
{
    if (count > BIND_MAX)
        return "Too many bind addresses specified.";
    if (!is_empty(words, count))
        settings_join(words, count, out);
    return NULL;
}

/* Classes of events; 'A' stands for those in all_classes. Kept in this order, as Redis shows them. */
const char *check_events(const struct slice *words, size_t count, struct buf *out)
{
    static const char all_classes[] = "g$lshzxetd";
    static const char others[] = "KEmn";
    bool set[256] = {false};
    for (size_t at = 0; count == 1 && at < words[0].size; at++) {
        const char byte = words[0].data[at];
        if (byte == '\0' || strchr("Ag$lshzxeKEtmdn", byte) == NULL)
            return "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.";
        set[(uint8_t)byte] = true;
    }
    bool all = true;
    for (const char *class = all_classes; *class != '\0'; class ++) {
        set[(uint8_t) * class] |= set['A'];
        all = all && set[(uint8_t) * class];
    }
    if (all)
        buf_append_byte(out, 'A');
    for (const char *class = all_classes; !all && *class != '\0'; class ++) {
        if (set[(uint8_t) * class])
            buf_append_byte(out, *class);
    }
    for (const char *class = others; *class != '\0'; class ++) {
        if (set[(uint8_t) * class])
            buf_append_byte(out, *class);
    }
    return NULL;
}

const char *check_oom_values(const struct slice *words, size_t count, struct buf *out)
{
    if (count != OOM_VALUE_COUNT)
        return "wrong number of arguments";
    for (size_t index = 0; index < count; index++) {
        int64_t number;
        if (!slice_to_int64(words[index], &number) || number < -OOM_VALUE_MAX ||
            number > OOM_VALUE_MAX)
            return "Invalid oom-score-adj-values, elements must be between -2000 and 2000.";
    }
    settings_join(words, count, out);
    return NULL;
}

const char *check_percentiles(const struct slice *words, size_t count, struct buf *out)
{
    if (is_empty(words, count))
        return NULL;
    for (size_t index = 0; index < count; index++) {
        double number;
        if (!slice_to_double(words[index], &number))
            return "Invalid latency-tracking-info-percentiles parameters";
        if (!(number >= 0.0) || number > 100.0)
            return "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]";
        buf_append_format(out, index == 0 ? "%.10g" : " %.10g", number);
    }
    return NULL;
}

const char *check_defrag(const struct slice *words, size_t count, struct buf *out)
{
    if (count == 1 && slice_equal_nocase(words[0], "no")) {
        buf_append_text(out, "no");
        return NULL;
    }
    if (count == 1 && slice_equal_nocase(words[0], "yes"))
        return "Active defragmentation cannot be enabled: it requires a Redis server compiled with "
               "a modified Jemalloc like the one shipped by default with the Redis source "
               "distribution";
    return "argument must be 'yes' or 'no'";
}

static bool is_title_variable(struct slice name)
{
    static const char *const variables[] = {
        "title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file"};
    for (size_t index = 0; index < COUNT_OF(variables); index++) {
        if (slice_equal(name, slice_text(variables[index])))
            return true;
    }
    return false;
}

/* Text with known variables in braces, and something to show. */
const char *check_title(const struct slice *words, size_t count, struct buf *out)
{
    static const char bad[] = "template format is invalid or contains unknown variables";
    if (count != 1)
        return bad;
    const struct slice text = words[0];
    bool shows = false;
    for (size_t at = 0; at < text.size; at++) {
        if (text.data[at] != '{') {
            shows = shows || !isspace((uint8_t)text.data[at]);
            continue;
        }
        const char *const start = text.data + at + 1;
        const char *const end = memchr(start, '}', text.size - at - 1);
        if (end == NULL || !is_title_variable(slice_of(start, (size_t)(end - start))))
            return bad;
        shows = true;
        at = (size_t)(end - text.data);
    }
    if (!shows)
        return bad;
    buf_append_slice(out, text);
    return NULL;
}

static bool has_only(struct slice text, const char *others)
{
    for (size_t at = 0; at < text.size; at++) {
        const char byte = text.data[at];
        if (!isalnum((uint8_t)byte) && (byte == '\0' || strchr(others, byte) == NULL))
            return false;
    }
    return true;
}

const char *check_host_name(const struct slice *words, size_t count, struct buf *out)
{
    if (count == 1 && words[0].size > HOST_NAME_MAX_SIZE)
        return "Hostnames must be less than 256 characters";
    if (count == 1 && !has_only(words[0], "-."))
        return "Hostnames may only contain alphanumeric characters, hyphens or dots";
    settings_join(words, count, out);
    return NULL;
}

const char *check_node_name(const struct slice *words, size_t count, struct buf *out)
{
    if (count == 1 && !has_only(words[0], "-._"))
        return "Announced human node name contained invalid character";
    settings_join(words, count, out);
    return NULL;
}

/* A name in a folder, not a path. */
static bool is_file_name(const struct slice *words, size_t count)
{
    return count == 1 && words[0].size > 0 && memchr(words[0].data, '/', words[0].size) == NULL;
}

const char *check_append_name(const struct slice *words, size_t count, struct buf *out)
{
    if (!is_file_name(words, count))
        return "appendfilename can't be a path, just a filename";
    buf_append_slice(out, words[0]);
    return NULL;
}

const char *check_append_directory(const struct slice *words, size_t count, struct buf *out)
{
    if (!is_file_name(words, count))
        return "appenddirname can't be a path, just a dirname";
    buf_append_slice(out, words[0]);
    return NULL;
}

const char *check_dump_name(const struct slice *words, size_t count, struct buf *out)
{
    if (!is_file_name(words, count))
        return "dbfilename can't be a path, just a filename";
    buf_append_slice(out, words[0]);
    return NULL;
}

/* "<host> <port>", or "no one". */
const char *check_replica_of(const struct slice *words, size_t count, struct buf *out)
{
    if (is_empty(words, count))
        return NULL;
    if (count != 2)
        return "wrong number of arguments";
    if (slice_equal_nocase(words[0], "no") && slice_equal_nocase(words[1], "one"))
        return NULL;
    int64_t port;
    if (!slice_to_int64(words[1], &port) || port < 0 || port > 65535)
        return "Invalid master port";
    settings_join(words, count, out);
    return NULL;
}
