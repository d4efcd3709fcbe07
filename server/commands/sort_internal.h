/*
 * sort_internal.h: what the files of SORT and SORT_RO share.
 */
#ifndef SERVER_SORT_INTERNAL_H
#define SERVER_SORT_INTERNAL_H

#include "commands_internal.h"
#include "storage/cold.h"
#include "storage/tree.h"

/* --- keys by pattern (sort_lookup.c) ------------------------------------------------------------------------------- */

/* "prefix*postfix->field", "#" (the member itself), or a constant, which names no key. */
struct sort_pattern {
    bool is_member;
    bool is_constant;
    bool has_field;
    struct slice prefix, postfix, field;
};
struct sort_pattern sort_pattern_of(struct slice text);

enum sort_found {
    SORT_FOUND,
    SORT_ABSENT, /* no such key or field, or one of another type */
    SORT_COLD,   /* the key's value must be read first */
};
/* What a pattern gives for a member. */
struct sort_value {
    enum sort_found found;
    struct slice bytes; /* FOUND: borrowed from the record, the member or scratch */
    struct key key;     /* COLD: its bytes are in the name buffer given */
    char scratch[ELEMENT_TEXT_MAX];
};
/* All stripes are held. name: memory for the key. */
void sort_look_up(struct command_call *call, const struct sort_pattern *pattern,
    const struct element *member, enum keyspace_access access, struct buf *name,
    struct sort_value *value);

/*
 * Reads of cold records while a handler runs, for keys that could not be known before: commands of a transaction may have changed what
 * is sorted, and another worker may have demoted a record since prepare(). The worker waits for the disk; nothing is promoted.
 */
struct sort_read {
    struct cold_job job;
    struct sort_reads *reads;
    uint64_t tag; /* the caller's */
    struct sort_pattern pattern;
    char name[]; /* of the key */
};
struct sort_reads {
    struct sort_read **list;
    size_t count;
    size_t capacity;
    struct mutex lock;
    struct condition ended;
    size_t running_count; /* guarded by: lock */
};
void sort_reads_init(struct sort_reads *reads);
void sort_reads_deinit(struct sort_reads *reads);
void sort_reads_add(struct sort_reads *reads, const struct sort_pattern *pattern,
    const struct key *key, uint64_t tag);
/* Runs all that were added. False: one failed, and an error was replied. */
MUST_USE bool sort_reads_run(struct sort_reads *reads, struct command_call *call);
/* What a read gave. */
void sort_reads_value(
    struct command_call *call, const struct sort_read *read, struct sort_value *value);

/* --- members in order (sort_items.c) ------------------------------------------------------------------------------- */

struct sort_options {
    bool is_descending;
    bool is_alpha;
    bool has_order; /* false: BY a constant */
    int64_t limit_start;
    int64_t limit_count; /* < 0: all */
    int by;              /* argument numbers; 0: none */
    int store;
    int *get_arguments;
    size_t get_count;
};

struct sort_item {
    struct element member; /* borrowed from the collection */
    double score;          /* numeric */
    struct slice text;     /* alphabetic: NUL-terminated; data NULL: the BY key is absent */
    size_t text_offset;
    uint64_t place; /* in the collection */
};
struct sort_items {
    struct sort_item *items;
    size_t count;
    /* The items wanted: [start, end). */
    size_t start, end;
    bool is_alpha;
    bool has_order;
    bool is_by;  /* weights come from keys */
    bool is_bad; /* a weight is no number */
    struct buf texts;
};
/*
 * Loads the members of a collection, or of none (NULL). False: WRONGTYPE was replied.
 */
MUST_USE bool sort_items_load(struct command_call *call, struct hot_record *record,
    const struct sort_options *options, struct sort_items *items);
void sort_items_deinit(struct sort_items *items);
/* The item's weight. Absent: 0, or before all texts. */
void sort_items_weigh(struct sort_items *items, size_t index, const struct sort_value *value);
/* Weighs each item by itself, if nothing else weighs them. */
void sort_items_weigh_members(struct sort_items *items);
/* is_stored: compare bytes, not by the rules of the locale. */
void sort_items_order(struct sort_items *items, bool is_descending, bool is_stored);

/* --- for the table (sort.c) ------------------------------------------------------------------------------------------ */

int sort_find_keys(int argc, const struct slice *argv, int *indexes, int max);
int sort_ro_find_keys(int argc, const struct slice *argv, int *indexes, int max);
enum tier_need sort_need(int argc, const struct slice *argv, size_t index);
enum status sort_prepare(struct command_call *call, struct tier_wait *wait);
void sort_state_destroy(void *context);
/* SORT and SORT_RO. */
void cmd_sort(struct command_call *call);

#endif
