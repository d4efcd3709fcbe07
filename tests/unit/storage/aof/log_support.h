/*
 * log_support.h: a log with a model of what is in it.
 *
 * Items describe themselves: a body holds its number, its size, and bytes that follow from the number; a prefix holds
 * the context it sets. So reading back shows whether anything is missing, changed, split, out of order,
 * or under a wrong context, without knowing where the log thread drew the borders of frames.
 */
#ifndef LOG_SUPPORT_H
#define LOG_SUPPORT_H

#include "storage/aof.h"
#include "test_main.h"

#include <stdatomic.h>

enum { ITEM_SIZE_MIN = 18, PREFIX_SIZE = 10, LOG_STORE_ID = 0x5eed };

struct item {
    uint32_t context;
    uint32_t after_context;
    uint64_t lsn_after;
    size_t size;
};

struct test_log {
    const char *directory;
    uint64_t store_id;
    struct aof_options options;
    struct aof *aof;
    /* what the hooks saw */
    _Atomic uint64_t durable_lsn;
    _Atomic int health;
    _Atomic uint32_t health_calls;
    _Atomic uint32_t fatal_calls;
    _Atomic bool is_held; /* the durable hook waits while it is set */
    /* the model */
    struct item *items;
    size_t item_count;
    uint64_t last_cut_lsn;
};

/* A new directory; mode `no`, so that only the test makes things durable. */
void test_log_init(struct test_log *log, uint64_t segment_size);
void test_log_deinit(struct test_log *log);
/* Opens at the end of what is on disk. */
void test_log_open(struct test_log *log);
MUST_USE enum status test_log_try_open(struct test_log *log, struct error *error);
void test_log_close(struct test_log *log);
/* Appends an item of size bytes; its LSN is kept in the model. */
uint64_t test_log_append(struct test_log *log, uint32_t context, uint32_t after, size_t size);
/* The same in context 0, made durable: a frame of its own. */
uint64_t test_log_append_durable(struct test_log *log, size_t size);
/* Waits until all that was appended is written (not: durable). */
void test_log_wait_written(const struct test_log *log);
/* A body without a model, for tests with several threads; the caller frees. */
char *test_body_create(uint32_t number, size_t size);

/* What reading gave. */
struct log_reading {
    enum status status; /* ST_END, or why it ended */
    struct error error;
    struct aof_tail tail; /* if ST_END */
    size_t item_count;    /* read, from the first one that was asked for */
    size_t frame_count;
};
/*
 * Reads from from_lsn; all that comes must be the model's items from first_item on, else the test fails. keep_frames (may be
 * NULL): LSNs of all frames, uint64_t, appended.
 */
struct log_reading test_log_read(
    const struct test_log *log, uint64_t from_lsn, size_t first_item, struct buf *keep_frames);
/* The whole log is there, and its end is clean. */
void test_log_check_whole(const struct test_log *log);

/* A copy of the log as it is now, with the same model; not open. */
void test_log_copy(const struct test_log *log, struct test_log *copy);
/* Files of the log's directory whose name ends in end, sorted; each name is freed with the array's owner by test_names_deinit. */
struct test_names {
    char *names[64];
    size_t count;
};
void test_names_list(const struct test_log *log, const char *end, struct test_names *names);
void test_names_deinit(struct test_names *names);
/* "<directory>/<name>", valid until the next call. */
const char *test_log_path(const struct test_log *log, const char *name);
void test_file_read(const char *path, struct buf *content);
void test_file_write(const char *path, struct slice content);

#endif
