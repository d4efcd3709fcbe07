/*
 * settings_internal.h: what the files of settings share: the rows, and the state behind struct settings.
 *
 *   settings_table.c   rows with an effect, from the modules' tables     settings.c          file and command line
 *   settings_inert.c   rows of Redis's other options                     settings_config.c   CONFIG GET and SET
 *   settings_check.c   what a text may be                                settings_rewrite.c  CONFIG REWRITE
 *   settings_value.c   words to a value, a value to text                 settings_nearest.c  "did you mean"
 */
#ifndef SETTINGS_INTERNAL_H
#define SETTINGS_INTERNAL_H

#include "base/check.h"
#include "base/mem.h"
#include "base/thread.h"
#include "server/settings.h"

enum row_kind {
    ROW_BOOL,
    ROW_INT,
    ROW_OCTAL,
    ROW_BYTES,
    ROW_ENUM,
    ROW_FLAGS, /* one or more of the names; the number is a set of bits, the first name stands for none */
    ROW_TEXT,   /* one word */
    ROW_LIST,   /* several words */
    ROW_SAVE,   /* as ROW_LIST, and each line of a file adds to those before it */
    ROW_LIMITS, /* client-output-buffer-limit */
};

enum row_flags {
    ROW_STARTUP = 1,   /* CONFIG SET refuses: immutable */
    ROW_PROTECTED = 2, /* CONFIG SET refuses unless enable-protected-configs */
    ROW_PERCENT = 4,   /* bytes or a percentage, which is stored negative */
    ROW_INERT = 8,     /* no effect here */
    ROW_HIDDEN = 16,   /* CONFIG GET shows it only by its exact name */
    ROW_WARN = 32,  /* inert, and a user who relies on it is worse off: the notice is a warning */
    ROW_CLAMP = 64, /* out of range is brought into the range */
    ROW_FIXED =
        128, /* CONFIG SET takes only the value it has: clients set what CONFIG GET gave them */
};

/*
 * Makes the text that is kept of the words; NULL, or what is wrong with them, as Redis says it. `out` is empty before.
 */
typedef const char *(*row_check_fn)(const struct slice *words, size_t count, struct buf *out);

struct settings_row {
    const char *name;
    const char *alias; /* its older name, or NULL */
    enum row_kind kind;
    unsigned flags;
    size_t offset;           /* of the int64_t in struct settings; NO_OFFSET: in the state */
    _Atomic int64_t *shared; /* another module's copy, kept equal; or NULL */
    int64_t default_number;
    int64_t min, max;
    const char *default_text;
    const char *const *names;
    row_check_fn check; /* texts; NULL: any */
    const char *help;
};
#define NO_OFFSET SIZE_MAX

size_t settings_row_count(void);
const struct settings_row *settings_row_at(size_t index);
/* The row of that name or alias, without case; index out. NULL: there is none. */
const struct settings_row *settings_row_find(struct slice name, size_t *index);

extern const struct settings_row settings_inert_rows[];
size_t settings_inert_count(void);

/* A value on its way into a row. */
struct row_value {
    int64_t number;
    char *text; /* owned; NULL for numbers */
    struct output_limit limits[CLIENT_CLASS_COUNT];
};

#define TEXT_MAX  ((size_t)64 * 1024)
#define WORDS_MAX 1024
/* Room for what is wrong with a value. */
#define REASON_MAX 512

struct settings_texts {
    struct mutex lock; /* guards all below, and struct settings when written */
    struct condition changed;
    bool changing;            /* a CONFIG SET is at work; its hooks run without the lock */
    struct row_value *values; /* by row; only texts, and numbers of rows without offset */
    bool *noticed;            /* by row: inert, and the log says so (or will) */
    bool save_lines;          /* a line `save` of this load was seen: more are added to it */
    struct buf notices;       /* names accepted without effect, by settings_load() */
    struct buf warnings;      /* and those that matter */
    settings_change_fn change;
    void *change_context;
};

/* --- values -------------------------------------------------------------------------------------------- */

/* The value of the words for the row, given its present one. NULL, or what is wrong: static, or in reason. */
const char *settings_value_parse(const struct settings_row *row, const struct row_value *present,
    const struct slice *words, size_t count, struct row_value *value, char reason[REASON_MAX]);
/* As CONFIG GET shows it. */
void settings_value_render(
    const struct settings_row *row, const struct row_value *value, struct buf *out);
void settings_value_free(struct row_value *value);
struct row_value settings_value_default(const struct settings_row *row);
/* The row's present value. The text is a copy. */
struct row_value settings_value_load(struct settings *settings, size_t index);
/* Makes it the row's value; ownership of the text moves. */
void settings_value_store(struct settings *settings, size_t index, struct row_value value);

/* Splits text at single blanks, as CONFIG SET does: at most WORDS_MAX words. */
size_t settings_split_blanks(struct slice text, struct slice *words);
/* Adds the row to what the log is told, once. */
void settings_note(struct settings *settings, size_t index, bool now);

/* --- texts ------------------------------------------------------------------------------------------------ */

const char *check_save(const struct slice *words, size_t count, struct buf *out);
const char *check_bind(const struct slice *words, size_t count, struct buf *out);
const char *check_events(const struct slice *words, size_t count, struct buf *out);
const char *check_oom_values(const struct slice *words, size_t count, struct buf *out);
const char *check_percentiles(const struct slice *words, size_t count, struct buf *out);
const char *check_defrag(const struct slice *words, size_t count, struct buf *out);
const char *check_title(const struct slice *words, size_t count, struct buf *out);
const char *check_host_name(const struct slice *words, size_t count, struct buf *out);
const char *check_node_name(const struct slice *words, size_t count, struct buf *out);
const char *check_append_name(const struct slice *words, size_t count, struct buf *out);
const char *check_append_directory(const struct slice *words, size_t count, struct buf *out);
const char *check_dump_name(const struct slice *words, size_t count, struct buf *out);
const char *check_replica_of(const struct slice *words, size_t count, struct buf *out);
/* The words joined by blanks. */
void settings_join(const struct slice *words, size_t count, struct buf *out);

/* --- names ------------------------------------------------------------------------------------------------- */

/* The known name nearest to one that is not known, or NULL if none is near. */
const char *settings_nearest(struct slice name);
/* Lines of a config file that are no options: include, user ... */
enum directive {
    DIRECTIVE_NONE,
    DIRECTIVE_INCLUDE,
    DIRECTIVE_MODULE,
    DIRECTIVE_USER,
    DIRECTIVE_RENAME,
    DIRECTIVE_OBSOLETE
};
enum directive settings_directive(struct slice name);

/* Splits a line into words (copied into storage, which the words point into). False: unbalanced quotes, or too many. */
MUST_USE bool settings_split_line(
    struct slice line, struct buf *storage, struct slice *words, size_t *count);

#endif
