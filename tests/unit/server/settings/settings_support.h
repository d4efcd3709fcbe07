/*
 * settings_support.h: short ways to read and write settings in tests.
 */
#ifndef SETTINGS_SUPPORT_H
#define SETTINGS_SUPPORT_H

#include "base/file.h"
#include "base/mem.h"
#include "server/settings.h"
#include "test_main.h"

#define check_option(settings, name, expected)                  \
    do {                                                        \
        char *const value_ = settings_text((settings), (name)); \
        ck_assert_str_eq(value_, (expected));                   \
        mem_free(value_);                                       \
    } while (0)

/* ST_OK, or the error's text in *error. */
UNUSED static enum status set_one(
    struct settings *settings, const char *name, const char *value, struct error *error)
{
    const struct slice names[] = {slice_text(name)};
    const struct slice values[] = {slice_text(value)};
    return settings_set(settings, names, values, 1, error);
}

#define check_set(settings, name, value)                                                   \
    do {                                                                                   \
        struct error error_ = {0};                                                         \
        ck_assert_msg(                                                                     \
            set_one((settings), (name), (value), &error_) == ST_OK, "%s", error_.message); \
    } while (0)
/* Refused with Redis's text, and nothing changed. */
#define check_set_refused(settings, name, value, reason)                                  \
    do {                                                                                  \
        struct error error_ = {0};                                                        \
        char *const before_ = settings_text((settings), (name));                          \
        ck_assert_int_eq(set_one((settings), (name), (value), &error_), ST_INVALID);      \
        ck_assert_str_eq(error_.message,                                                  \
            "ERR CONFIG SET failed (possibly related to argument '" name "') - " reason); \
        check_option((settings), (name), before_);                                        \
        mem_free(before_);                                                                \
    } while (0)

#define check_line(settings, line)                                                            \
    do {                                                                                      \
        struct error error_ = {0};                                                            \
        ck_assert_msg(settings_apply_line((settings), slice_text(line), 1, &error_) == ST_OK, \
            "%s", error_.message);                                                            \
    } while (0)
#define check_line_refused(settings, line, text)                                         \
    do {                                                                                 \
        struct error error_ = {0};                                                       \
        ck_assert_int_eq(                                                                \
            settings_apply_line((settings), slice_text(line), 12, &error_), ST_INVALID); \
        ck_assert_str_eq(error_.message, text);                                          \
    } while (0)

UNUSED static void write_file(const char *path, const char *text)
{
    struct error error = {0};
    ck_assert_msg(file_replace(path, slice_text(text), &error) == ST_OK, "%s", error.message);
}

/* The file's whole text; the caller frees. */
UNUSED static char *read_file(const char *path)
{
    struct buf content = {0};
    ck_assert_int_eq(file_read_whole(path, 1 << 20, &content, NULL), ST_OK);
    char *const text = mem_string_sized(content.data, content.size);
    buf_deinit(&content);
    return text;
}

#define check_file(path, expected)           \
    do {                                     \
        char *const text_ = read_file(path); \
        ck_assert_str_eq(text_, (expected)); \
        mem_free(text_);                     \
    } while (0)

#define load(settings, error, ...)                                                 \
    settings_load((settings), (int)COUNT_OF(((const char *const[]){__VA_ARGS__})), \
        (const char *const[]){__VA_ARGS__}, (error))
#define check_load(settings, ...)                                                             \
    do {                                                                                      \
        struct error error_ = {0};                                                            \
        ck_assert_msg(load((settings), &error_, __VA_ARGS__) == ST_OK, "%s", error_.message); \
    } while (0)

#endif
