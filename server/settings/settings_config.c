/*
 * settings_config.c: CONFIG GET and CONFIG SET.
 *
 * A SET is all or nothing: (1) names are found and may be changed, none twice; (2) all values are parsed; (3) all are stored;
 * (4) the hook sees each; if it refuses one, all are put back and the hook sees those again that it had accepted. SETs are
 * serialised by `changing`, since hooks run without the lock and may read settings.
 */
#include "settings_internal.h"

/* A name in an error: the rest would be cut off anyway. */
#define SHOWN_MAX 400

void settings_on_change(struct settings *settings, settings_change_fn change, void *context)
{
    mutex_lock(&settings->texts->lock);
    settings->texts->change = change;
    settings->texts->change_context = context;
    mutex_unlock(&settings->texts->lock);
}

/* --- GET ---------------------------------------------------------------------------------------------------- */

static char *render_row(struct settings *settings, size_t index)
{
    struct buf out = {0};
    mutex_lock(&settings->texts->lock);
    struct row_value value = settings_value_load(settings, index);
    mutex_unlock(&settings->texts->lock);
    settings_value_render(settings_row_at(index), &value, &out);
    settings_value_free(&value);
    char *const text = mem_string_sized(out.size > 0 ? out.data : "", out.size);
    buf_deinit(&out);
    return text;
}

char *settings_text(struct settings *settings, const char *name)
{
    size_t index;
    const struct settings_row *const row = settings_row_find(slice_text(name), &index);
    CHECK(row != NULL);
    return render_row(settings, index);
}

static bool has_wildcards(struct slice pattern)
{
    for (size_t at = 0; at < pattern.size; at++) {
        if (strchr("*?[", pattern.data[at]) != NULL && pattern.data[at] != '\0')
            return true;
    }
    return false;
}

/* The pattern that asks for the name, or NULL. */
static const struct slice *find_pattern(
    const char *name, bool hidden, const struct slice *patterns, size_t count)
{
    for (size_t index = 0; index < count; index++) {
        const struct slice *const pattern = &patterns[index];
        if (!has_wildcards(*pattern)) {
            if (slice_equal_nocase(*pattern, name))
                return pattern;
        } else if (!hidden && glob_match(*pattern, slice_text(name), true)) {
            return pattern;
        }
    }
    return NULL;
}

static void visit_name(struct settings *settings, size_t index, const char *name,
    const struct slice *pattern, settings_visit_fn visit, void *context)
{
    char *const value = render_row(settings, index);
    char *const spelled =
        has_wildcards(*pattern) ? NULL : mem_string_sized(pattern->data, pattern->size);
    visit(context, spelled != NULL ? spelled : name, value);
    mem_free(spelled);
    mem_free(value);
}

void settings_get(struct settings *settings, const struct slice *patterns, size_t count,
    settings_visit_fn visit, void *context)
{
    for (size_t index = 0; index < settings_row_count(); index++) {
        const struct settings_row *const row = settings_row_at(index);
        const bool hidden = (row->flags & ROW_HIDDEN) != 0;
        const struct slice *pattern = find_pattern(row->name, hidden, patterns, count);
        if (pattern != NULL)
            visit_name(settings, index, row->name, pattern, visit, context);
        if (row->alias == NULL)
            continue;
        pattern = find_pattern(row->alias, hidden, patterns, count);
        if (pattern != NULL)
            visit_name(settings, index, row->alias, pattern, visit, context);
    }
}

/* --- SET ------------------------------------------------------------------------------------------------------ */

struct change {
    size_t index;
    const struct settings_row *row;
    struct row_value value;
    struct row_value before;
};

static enum status refuse(struct error *error, struct slice name, const char *reason)
{
    const int size = name.size < SHOWN_MAX ? (int)name.size : SHOWN_MAX;
    return error_set(error, ST_INVALID, 0,
        "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s", size, name.data,
        reason);
}

static bool protected_is_refused(struct settings *settings)
{
    char *const value = settings_text(settings, "enable-protected-configs");
    const bool refused = strcmp(value, "no") == 0;
    mem_free(value);
    return refused;
}

/* Not its alias. */
static bool names_main(const struct settings_row *row, struct slice name)
{
    return slice_equal_nocase(name, row->name);
}

static enum status find_rows(struct settings *settings, const struct slice *names, size_t count,
    struct change *changes, struct error *error)
{
    for (size_t at = 0; at < count; at++) {
        changes[at].row = settings_row_find(names[at], &changes[at].index);
        if (changes[at].row == NULL)
            return error_set(error, ST_INVALID, 0,
                "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                names[at].size < SHOWN_MAX ? (int)names[at].size : SHOWN_MAX, names[at].data);
    }
    for (size_t at = 0; at < count; at++) {
        const unsigned flags = changes[at].row->flags;
        if ((flags & ROW_STARTUP) != 0)
            return refuse(error, names[at], "can't set immutable config");
        if ((flags & ROW_PROTECTED) != 0 && protected_is_refused(settings))
            return refuse(error, names[at], "can't set protected config");
        for (size_t earlier = 0; earlier < at; earlier++) {
            /* An alias is another option to Redis: the last of both wins. */
            if (changes[earlier].row == changes[at].row &&
                names_main(changes[at].row, names[earlier]) ==
                    names_main(changes[at].row, names[at]))
                return refuse(error, names[at], "duplicate parameter");
        }
    }
    return ST_OK;
}

size_t settings_split_blanks(struct slice text, struct slice *words)
{
    size_t count = 0;
    if (text.size == 0) {
        words[0] = text;
        return 1;
    }
    const char *start = text.data;
    const char *const end = text.data + text.size;
    while (count < WORDS_MAX) {
        const char *const blank = start == end ? NULL : memchr(start, ' ', (size_t)(end - start));
        words[count++] = slice_of(start, (size_t)((blank == NULL ? end : blank) - start));
        if (blank == NULL)
            break;
        start = blank + 1;
    }
    return count;
}

/* Stores the value; keeps the one before. The lock is held. */
static const char *store_change(
    struct settings *settings, struct change *change, struct slice text, char reason[REASON_MAX])
{
    const struct settings_row *const row = change->row;
    const bool is_list = row->kind >= ROW_LIST || row->kind == ROW_FLAGS;
    struct slice *const words = mem_alloc((is_list ? WORDS_MAX : 1) * sizeof(*words));
    words[0] = text;
    const size_t count = is_list ? settings_split_blanks(text, words) : 1;
    struct row_value before = settings_value_load(settings, change->index);
    const char *const wrong =
        settings_value_parse(row, &before, words, count, &change->value, reason);
    mem_free(words);
    if (wrong != NULL) {
        settings_value_free(&before);
        return wrong;
    }
    if ((row->flags & ROW_FIXED) != 0 && change->value.number != before.number) {
        settings_value_free(&before);
        return "can't set immutable config";
    }
    change->before = before;
    settings_value_store(settings, change->index, change->value);
    change->value.text = NULL; /* moved */
    return NULL;
}

/* Puts the first `count` back, the last first. The lock is held. */
static void put_back(struct settings *settings, struct change *changes, size_t count)
{
    while (count-- > 0) {
        settings_value_store(settings, changes[count].index, changes[count].before);
        changes[count].before.text = NULL;
    }
}

static enum status store_all(struct settings *settings, const struct slice *names,
    const struct slice *values, size_t count, struct change *changes, struct error *error)
{
    char reason[REASON_MAX];
    mutex_lock(&settings->texts->lock);
    for (size_t at = 0; at < count; at++) {
        const char *const wrong = store_change(settings, &changes[at], values[at], reason);
        if (wrong == NULL)
            continue;
        put_back(settings, changes, at);
        mutex_unlock(&settings->texts->lock);
        return refuse(error, names[at], wrong);
    }
    mutex_unlock(&settings->texts->lock);
    return ST_OK;
}

static enum status call_hook(struct settings *settings, size_t index, struct error *error)
{
    struct settings_texts *const texts = settings->texts;
    if (texts->change == NULL)
        return ST_OK;
    char *const value = render_row(settings, index);
    const enum status status =
        texts->change(texts->change_context, settings_row_at(index)->name, value, error);
    mem_free(value);
    return status;
}

static enum status announce_all(struct settings *settings, const struct slice *names, size_t count,
    struct change *changes, struct error *error)
{
    for (size_t at = 0; at < count; at++) {
        struct error refusal = {0};
        if (call_hook(settings, changes[at].index, &refusal) == ST_OK)
            continue;
        mutex_lock(&settings->texts->lock);
        put_back(settings, changes, count);
        mutex_unlock(&settings->texts->lock);
        for (size_t earlier = 0; earlier < at; earlier++) {
            /* It held this value a moment ago. */
            struct error ignored;
            const enum status status = call_hook(settings, changes[earlier].index, &ignored);
            (void)status;
        }
        return refuse(error, names[at], refusal.message);
    }
    return ST_OK;
}

static void begin_changing(struct settings_texts *texts)
{
    mutex_lock(&texts->lock);
    while (texts->changing)
        condition_wait(&texts->changed, &texts->lock);
    texts->changing = true;
    mutex_unlock(&texts->lock);
}

static void end_changing(struct settings_texts *texts)
{
    mutex_lock(&texts->lock);
    texts->changing = false;
    condition_signal(&texts->changed);
    mutex_unlock(&texts->lock);
}

enum status settings_set(struct settings *settings, const struct slice *names,
    const struct slice *values, size_t count, struct error *error)
{
    if (count > 2 * settings_row_count())
        return refuse(error, names[0], "duplicate parameter");
    struct change *const changes = mem_alloc_zero((count + 1) * sizeof(*changes));
    begin_changing(settings->texts);
    enum status status = find_rows(settings, names, count, changes, error);
    if (status == ST_OK)
        status = store_all(settings, names, values, count, changes, error);
    if (status == ST_OK)
        status = announce_all(settings, names, count, changes, error);
    if (status == ST_OK) {
        mutex_lock(&settings->texts->lock);
        for (size_t at = 0; at < count; at++)
            settings_note(settings, changes[at].index, true);
        mutex_unlock(&settings->texts->lock);
    }
    end_changing(settings->texts);
    for (size_t at = 0; at < count; at++)
        settings_value_free(&changes[at].before);
    mem_free(changes);
    return status;
}
