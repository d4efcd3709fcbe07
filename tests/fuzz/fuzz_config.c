/*
 * fuzz_config.c: any bytes as a config file, and as CONFIG SET and GET.
 *
 * Every line is applied; what is accepted must leave all options readable, and be accepted again in the form in which it is
 * shown. `include` is left out: the target reads no files.
 */
#include "base/check.h"
#include "base/mem.h"
#include "fuzz_setup.h"
#include "server/settings.h"

enum { LINES_MAX = 20 };

static void add_size(void *context, const char *name, const char *value)
{
    CHECK(name[0] != '\0');
    *(size_t *)context += strlen(value);
}

static bool includes(struct slice line)
{
    for (size_t at = 0; at + 7 <= line.size; at++) {
        if (slice_equal_nocase(slice_of(line.data + at, 7), "include"))
            return true;
    }
    /* The name may be quoted and escaped. */
    return line.size > 0 && memchr(line.data, '\\', line.size) != NULL &&
           memchr(line.data, '"', line.size) != NULL;
}

/* "name value" as CONFIG SET; a value that was taken is shown in a form that is taken too. */
static void set_and_get(struct settings *settings, struct slice line)
{
    const char *const blank = line.size == 0 ? NULL : memchr(line.data, ' ', line.size);
    if (blank == NULL)
        return;
    const struct slice name = slice_of(line.data, (size_t)(blank - line.data));
    const struct slice value = slice_of(blank + 1, line.size - name.size - 1);
    struct error error = {0};
    if (settings_set(settings, &name, &value, 1, &error) != ST_OK) {
        CHECK(strncmp(error.message, "ERR ", 4) == 0);
        return;
    }
    char *const name_text = mem_string_sized(name.data, name.size);
    char *const shown = settings_text(settings, name_text);
    const struct slice again = slice_text(shown);
    CHECK(settings_set(settings, &name, &again, 1, &error) == ST_OK);
    char *const shown_again = settings_text(settings, name_text);
    CHECK(strcmp(shown, shown_again) == 0);
    mem_free(shown_again);
    mem_free(shown);
    mem_free(name_text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settings *const settings = settings_create();
    unsigned line_number = 1;
    struct slice rest = slice_of(data, size);
    while (rest.size > 0 && line_number <= LINES_MAX) {
        const char *const end = memchr(rest.data, '\n', rest.size);
        const size_t line_size = end == NULL ? rest.size : (size_t)(end - rest.data);
        const struct slice line = slice_of(rest.data, line_size);
        struct error error = {0};
        if (!includes(line)) {
            const enum status status = settings_apply_line(settings, line, line_number, &error);
            CHECK(status == ST_OK || status == ST_INVALID);
            CHECK(status == ST_OK || error.message[0] != '\0');
        }
        set_and_get(settings, line);
        const size_t used = end == NULL ? line_size : line_size + 1;
        rest = slice_of(rest.data + used, rest.size - used);
        line_number++;
    }
    size_t total = 0;
    const struct slice patterns[] = {slice_text("*"), slice_of(data, size < 40 ? size : 40)};
    settings_get(settings, patterns, COUNT_OF(patterns), add_size, &total);
    settings_destroy(settings);
    return 0;
}
