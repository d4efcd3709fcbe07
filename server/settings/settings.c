/*
 * settings.c: the configuration file and the command line, line by line, into the rows.
 *
 *   FILE ──┐                              ┌── row: parse, check, store
 *   "-" ───┼─► lines ─► words ─► name ────┼── include: the lines of other files, to a depth of INCLUDE_DEPTH_MAX
 *   --x y ─┘                              └── user, rename-command: a notice; loadmodule: refused
 *
 * Later lines override earlier ones; `save` and client-output-buffer-limit add up. Everything read is bounded.
 */
#include "base/file.h"
#include "server/resp.h"
#include "settings_internal.h"

#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    INCLUDE_DEPTH_MAX = 16,
    FILE_SIZE_MAX = 4 * 1024 * 1024,
};

/* Where a line comes from, for the error. */
struct source {
    const char *name; /* NULL: only the line's number is known */
    bool has_lines;
    int depth;
};

/* --- life ---------------------------------------------------------------------------------------------------- */

struct settings *settings_create(void)
{
    struct settings *const settings = mem_alloc_zero(sizeof(*settings));
    struct settings_texts *const texts = mem_alloc_zero(sizeof(*texts));
    settings->texts = texts;
    mutex_init(&texts->lock, LOCK_RANK_SETTINGS);
    condition_init(&texts->changed);
    const size_t count = settings_row_count();
    texts->values = mem_alloc_zero(count * sizeof(*texts->values));
    texts->noticed = mem_alloc_zero(count * sizeof(*texts->noticed));
    for (size_t index = 0; index < count; index++)
        settings_value_store(settings, index, settings_value_default(settings_row_at(index)));
    return settings;
}

void settings_destroy(struct settings *settings)
{
    if (settings == NULL)
        return;
    struct settings_texts *const texts = settings->texts;
    for (size_t index = 0; index < settings_row_count(); index++)
        settings_value_free(&texts->values[index]);
    mem_free(texts->values);
    mem_free(texts->noticed);
    buf_deinit(&texts->notices);
    buf_deinit(&texts->warnings);
    condition_deinit(&texts->changed);
    mutex_deinit(&texts->lock);
    mem_free(texts);
    mem_free(settings->file_path);
    mem_free(settings);
}

enum log_level settings_log_level(const struct settings *settings)
{
    static const enum log_level levels[] = {LOG_DEBUG, LOG_INFO, LOG_INFO, LOG_WARN};
    return levels[OPTION_GET(&settings->server, log_level)];
}

/* --- notices --------------------------------------------------------------------------------------------------- */

static void add_name(struct buf *names, const char *name)
{
    if (names->size > 0)
        buf_append_byte(names, ' ');
    buf_append_text(names, name);
}

void settings_note(struct settings *settings, size_t index, bool now)
{
    struct settings_texts *const texts = settings->texts;
    const struct settings_row *const row = settings_row_at(index);
    if ((row->flags & ROW_INERT) == 0 || texts->noticed[index])
        return;
    const struct row_value *const value = &texts->values[index];
    if (value->number == row->default_number &&
        (value->text == NULL || strcmp(value->text, row->default_text) == 0))
        return;
    texts->noticed[index] = true;
    const bool warn = (row->flags & ROW_WARN) != 0;
    if (!now)
        add_name(warn ? &texts->warnings : &texts->notices, row->name);
    else if (warn)
        log_warn("settings: option has no effect here name=%s", row->name);
    else
        log_info("settings: option has no effect here name=%s", row->name);
}

void settings_log_notices(struct settings *settings)
{
    struct settings_texts *const texts = settings->texts;
    mutex_lock(&texts->lock);
    if (texts->notices.size > 0)
        log_info("settings: options without effect here names=\"%.*s\"", (int)texts->notices.size,
            texts->notices.data);
    if (texts->warnings.size > 0)
        log_warn("settings: options without effect here, do not rely on them names=\"%.*s\"",
            (int)texts->warnings.size, texts->warnings.data);
    buf_clear(&texts->notices);
    buf_clear(&texts->warnings);
    mutex_unlock(&texts->lock);
}

/* --- one line ----------------------------------------------------------------------------------------------------- */

static enum status refuse(struct error *error, const struct source *source, unsigned line_number,
    struct slice name, const char *reason)
{
    char where[PATH_MAX + 32];
    if (source->name == NULL)
        (void)snprintf(where, sizeof(where), "line %u", line_number);
    else if (source->has_lines)
        (void)snprintf(where, sizeof(where), "%s:%u", source->name, line_number);
    else
        (void)snprintf(where, sizeof(where), "%s", source->name);
    const int name_size = name.size < 100 ? (int)name.size : 100;
    if (name_size == 0)
        return error_set(error, ST_INVALID, 0, "%s: %s", where, reason);
    return error_set(error, ST_INVALID, 0, "%s: %.*s: %s", where, name_size, name.data, reason);
}

static enum status refuse_name(
    struct error *error, const struct source *source, unsigned line_number, struct slice name)
{
    char reason[256];
    const char *const nearest = settings_nearest(name);
    const int size = name.size < 100 ? (int)name.size : 100;
    (void)snprintf(reason, sizeof(reason), "unknown option '%.*s'%s%s%s", size, name.data,
        nearest == NULL ? "" : "; did you mean '", nearest == NULL ? "" : nearest,
        nearest == NULL ? "" : "'?");
    return refuse(error, source, line_number, slice_of(NULL, 0), reason);
}

bool settings_split_line(struct slice line, struct buf *storage, struct slice *words, size_t *count)
{
    buf_clear(storage);
    buf_append_slice(storage, line);
    char *position = storage->data;
    const char *const end = storage->data + storage->size;
    for (*count = 0;; (*count)++) {
        struct slice word;
        const enum status status = resp_next_word(&position, end, &word);
        if (status != ST_OK)
            return status == ST_END;
        if (*count == WORDS_MAX)
            return false;
        words[*count] = word;
    }
}

/* A further line `save` adds its pairs, unless it is `save ""`. */
static void join_save(struct settings_texts *texts, size_t index, struct row_value *value)
{
    const char *const present = texts->values[index].text;
    if (texts->save_lines && present[0] != '\0' && value->text[0] != '\0') {
        struct buf joined = {0};
        buf_append_format(&joined, "%s %s", present, value->text);
        mem_free(value->text);
        value->text = mem_string_sized(joined.data, joined.size);
        buf_deinit(&joined);
    }
    texts->save_lines = true;
}

static const char *set_row(struct settings *settings, size_t index, const struct slice *words,
    size_t count, char reason[REASON_MAX])
{
    const struct settings_row *const row = settings_row_at(index);
    mutex_lock(&settings->texts->lock);
    struct row_value present = settings_value_load(settings, index);
    struct row_value value;
    const char *const wrong = settings_value_parse(row, &present, words, count, &value, reason);
    if (wrong == NULL) {
        if (row->kind == ROW_SAVE)
            join_save(settings->texts, index, &value);
        settings_value_store(settings, index, value);
        settings_note(settings, index, false);
    }
    settings_value_free(&present);
    mutex_unlock(&settings->texts->lock);
    return wrong;
}

static enum status load_file(
    struct settings *settings, const char *path, int depth, struct error *error);

/* A path, or a pattern of paths, which may match none. */
static enum status include_files(
    struct settings *settings, struct slice path, int depth, struct error *error)
{
    char *const text = mem_string_sized(path.data, path.size);
    enum status status = ST_OK;
    if (strpbrk(text, "*?[") == NULL) {
        status = load_file(settings, text, depth, error);
    } else {
        glob_t found;
        if (glob(text, 0, NULL, &found) == 0) {
            for (size_t index = 0; index < found.gl_pathc && status == ST_OK; index++)
                status = load_file(settings, found.gl_pathv[index], depth, error);
            globfree(&found);
        }
    }
    mem_free(text);
    return status;
}

static enum status apply_directive(struct settings *settings, enum directive directive,
    const struct slice *words, size_t count, const struct source *source, unsigned line_number,
    struct error *error)
{
    struct settings_texts *const texts = settings->texts;
    switch (directive) {
    case DIRECTIVE_INCLUDE:
        if (count != 2)
            return refuse(error, source, line_number, words[0], "wrong number of arguments");
        if (source->depth == INCLUDE_DEPTH_MAX)
            return refuse(error, source, line_number, words[0], "files are included too deeply");
        return include_files(settings, words[1], source->depth + 1, error);
    case DIRECTIVE_MODULE:
        return refuse(error, source, line_number, words[0], "modules are not supported");
    case DIRECTIVE_USER:
        if (count < 2)
            return refuse(error, source, line_number, words[0], "wrong number of arguments");
        break;
    case DIRECTIVE_RENAME:
        if (count != 3)
            return refuse(error, source, line_number, words[0], "wrong number of arguments");
        break;
    case DIRECTIVE_OBSOLETE:
    case DIRECTIVE_NONE: break;
    }
    const bool warn = directive == DIRECTIVE_USER || directive == DIRECTIVE_RENAME;
    struct buf *const names = warn ? &texts->warnings : &texts->notices;
    if (names->size < TEXT_MAX) {
        const char *const name = directive == DIRECTIVE_USER     ? "user"
                                 : directive == DIRECTIVE_RENAME ? "rename-command"
                                                                 : "list-max-ziplist-*";
        mutex_lock(&texts->lock);
        if (names->size < strlen(name) ||
            memcmp(names->data + names->size - strlen(name), name, strlen(name)) != 0)
            add_name(names, name);
        mutex_unlock(&texts->lock);
    }
    return ST_OK;
}

static enum status apply_words(struct settings *settings, const struct slice *words, size_t count,
    const struct source *source, unsigned line_number, struct error *error)
{
    const enum directive directive = settings_directive(words[0]);
    if (directive != DIRECTIVE_NONE)
        return apply_directive(settings, directive, words, count, source, line_number, error);
    size_t index;
    if (settings_row_find(words[0], &index) == NULL)
        return refuse_name(error, source, line_number, words[0]);
    if (count == 1)
        return refuse(error, source, line_number, words[0], "wrong number of arguments");
    char reason[REASON_MAX];
    const char *const wrong = set_row(settings, index, words + 1, count - 1, reason);
    return wrong == NULL ? ST_OK : refuse(error, source, line_number, words[0], wrong);
}

static bool is_blank(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static enum status apply_line(struct settings *settings, struct slice line,
    const struct source *source, unsigned line_number, struct error *error)
{
    while (line.size > 0 && is_blank(line.data[0]))
        line = slice_of(line.data + 1, line.size - 1);
    if (line.size == 0 || line.data[0] == '#')
        return ST_OK;
    struct buf storage = {0};
    struct slice *const words = mem_alloc(WORDS_MAX * sizeof(*words));
    size_t count;
    enum status status = ST_OK;
    if (!settings_split_line(line, &storage, words, &count))
        status = refuse(error, source, line_number, slice_of(NULL, 0),
            count == WORDS_MAX ? "too many words" : "Unbalanced quotes in configuration line");
    else if (count > 0 && words[0].size > 0)
        status = apply_words(settings, words, count, source, line_number, error);
    else if (count > 0)
        status = refuse_name(error, source, line_number, words[0]);
    mem_free(words);
    buf_deinit(&storage);
    return status;
}

enum status settings_apply_line(
    struct settings *settings, struct slice line, unsigned line_number, struct error *error)
{
    const struct source source = {0};
    return apply_line(settings, line, &source, line_number, error);
}

/* --- files and the command line -------------------------------------------------------------------------------------- */

static enum status apply_lines(struct settings *settings, struct slice content,
    const struct source *source, struct error *error)
{
    unsigned line_number = 1;
    const char *position = content.data;
    const char *const end = content.data + content.size;
    for (; position < end; line_number++) {
        const char *line_end = memchr(position, '\n', (size_t)(end - position));
        if (line_end == NULL)
            line_end = end;
        const struct slice line = slice_of(position, (size_t)(line_end - position));
        const enum status status = apply_line(settings, line, source, line_number, error);
        if (status != ST_OK)
            return status;
        position = line_end + 1;
    }
    return ST_OK;
}

static enum status load_file(
    struct settings *settings, const char *path, int depth, struct error *error)
{
    struct buf content = {0};
    const struct source source = {.name = path, .has_lines = true, .depth = depth};
    enum status status = file_read_whole(path, FILE_SIZE_MAX, &content, error);
    if (status == ST_OK && content.size > 0)
        status = apply_lines(settings, buf_slice(&content), &source, error);
    else if (status != ST_OK)
        error_prefix(error, "can't open the config file");
    buf_deinit(&content);
    return status;
}

static enum status load_stdin(struct settings *settings, struct error *error)
{
    struct buf content = {0};
    const struct source source = {.name = "stdin", .has_lines = true};
    size_t size;
    do {
        char *const space = buf_reserve(&content, 4096);
        size = fread(space, 1, 4096, stdin);
        content.size += size;
    } while (size > 0 && content.size <= FILE_SIZE_MAX);
    enum status status = ST_OK;
    if (content.size > FILE_SIZE_MAX)
        status = error_set(error, ST_INVALID, 0, "stdin: too much");
    else if (content.size > 0)
        status = apply_lines(settings, buf_slice(&content), &source, error);
    buf_deinit(&content);
    return status;
}

static bool is_option(const char *argument)
{
    return argument[0] == '-' && argument[1] == '-';
}

/* Quoted, so that it is one word of a line whatever is in it. */
static void append_word(struct buf *line, const char *word)
{
    buf_append_text(line, " \"");
    for (; *word != '\0'; word++) {
        if (*word == '"' || *word == '\\')
            buf_append_byte(line, '\\');
        if (*word == '\n')
            buf_append_text(line, "\\n");
        else
            buf_append_byte(line, *word);
    }
    buf_append_byte(line, '"');
}

/*
 * The option at arguments[0], with its values: all up to the next one that begins with "--". The first value may begin so,
 * except after --save, which alone means none (as redis-server has it). Returns how many arguments it took.
 */
static int make_line(const char *const *arguments, int count, struct buf *line)
{
    buf_clear(line);
    buf_append_text(line, arguments[0] + 2);
    int taken = 1;
    /* "--port 7000" in one argument has its value. */
    const bool needs_value = strpbrk(arguments[0], " \t") == NULL;
    if (needs_value && slice_equal_nocase(slice_text(arguments[0]), "--save") &&
        (count == 1 || is_option(arguments[1])))
        append_word(line, "");
    else if (needs_value && count > 1)
        append_word(line, arguments[taken++]);
    while (taken < count && !is_option(arguments[taken]))
        append_word(line, arguments[taken++]);
    return taken;
}

static enum status apply_arguments(
    struct settings *settings, const char *const *arguments, int count, struct error *error)
{
    const struct source source = {.name = "command line"};
    struct buf line = {0};
    enum status status = ST_OK;
    for (int at = 0; at < count && status == ST_OK;) {
        if (!is_option(arguments[at])) {
            status = error_set(error, ST_INVALID, 0,
                "command line: '%s' is neither an option (--name) nor its value", arguments[at]);
            break;
        }
        at += make_line(arguments + at, count - at, &line);
        status = apply_line(settings, buf_slice(&line), &source, 0, error);
    }
    buf_deinit(&line);
    return status;
}

/* A relative data directory is relative to where the server was started. */
static void make_directory_absolute(struct settings *settings)
{
    char start[PATH_MAX];
    char *const path = settings_text(settings, "dir");
    if (path[0] != '/' && getcwd(start, sizeof(start)) != NULL) {
        const char *const rest = strncmp(path, "./", 2) == 0 ? path + 2 : path;
        struct buf absolute = {0};
        buf_append_format(&absolute, "%s/%s", start, rest);
        while (absolute.size > 1 &&
               (absolute.data[absolute.size - 1] == '/' || absolute.data[absolute.size - 1] == '.'))
            absolute.size--;
        size_t index;
        CHECK(settings_row_find(slice_text("dir"), &index) != NULL);
        mutex_lock(&settings->texts->lock);
        settings_value_store(settings, index,
            (struct row_value){.text = mem_string_sized(absolute.data, absolute.size)});
        mutex_unlock(&settings->texts->lock);
        buf_deinit(&absolute);
    }
    mem_free(path);
}

enum status settings_load(
    struct settings *settings, int argc, const char *const *argv, struct error *error)
{
    settings->texts->save_lines = false;
    bool reads_stdin = false;
    if (argc > 0 && strcmp(argv[argc - 1], "-") == 0) {
        reads_stdin = true;
        argc--;
    }
    enum status status = ST_OK;
    if (argc > 0 && strcmp(argv[0], "-") == 0) {
        reads_stdin = true;
        argc--;
        argv++;
    } else if (argc > 0 && !is_option(argv[0])) {
        char path[PATH_MAX];
        status = load_file(settings, argv[0], 0, error);
        if (status == ST_OK && realpath(argv[0], path) != NULL)
            settings->file_path = mem_string(path);
        argc--;
        argv++;
    }
    if (status == ST_OK && reads_stdin)
        status = load_stdin(settings, error);
    if (status == ST_OK)
        status = apply_arguments(settings, argv, argc, error);
    if (status == ST_OK)
        make_directory_absolute(settings);
    return status;
}
