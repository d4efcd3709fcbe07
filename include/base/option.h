/*
 * option.h: how a module declares its options and metrics as tables.
 *
 * A module's header lists rows X(name, field, kind, default, min, max, flags, help). The struct of the
 * options is made from the rows, and settings (server) makes CONFIG, the conf file and the docs from the
 * same rows. Values are int64_t (bool, number, bytes, enum index) and are read with OPTION_GET, written by
 * settings only, with a relaxed atomic store.
 */
#ifndef BASE_OPTION_H
#define BASE_OPTION_H

#include <stdint.h>

enum option_kind {
    OPTION_BOOL,  /* yes | no */
    OPTION_INT,   /* decimal */
    OPTION_BYTES, /* 100mb etc.; shown in bytes */
    OPTION_ENUM, /* names in the module's const char *const <module>_<field>_names[], NULL-terminated */
};

enum option_flags {
    OPTION_RUNTIME = 1, /* CONFIG SET may change it */
    OPTION_STARTUP = 2, /* only file and command line */
    OPTION_PERCENT = 4, /* bytes may also be given as percentage (stored negative) */
};

#define OPTION_FIELD(name, field, kind, default_value, min, max, flags, help) int64_t field;
#define OPTION_GET(options, field)                                            option_load(&(options)->field)
#define OPTION_SET(options, field, value)                                     option_store(&(options)->field, (value))

static inline int64_t option_load(const int64_t *place)
{
    return __atomic_load_n(place, __ATOMIC_RELAXED);
}

static inline void option_store(int64_t *place, int64_t value)
{
    __atomic_store_n(place, value, __ATOMIC_RELAXED);
}

#endif
