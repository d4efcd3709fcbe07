/*
 * file.h: every file operation of the project, with faults that tests can inject.
 *
 * All functions may block and assert so (I9). They return ST_OK, ST_FULL (ENOSPC, EDQUOT), ST_NOT_FOUND
 * (ENOENT), ST_EXISTS, ST_BUSY (locked) or ST_IO, and fill *error (may be NULL) with the path.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/slice.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum file_operation {
    FILE_OPEN,
    FILE_READ,
    FILE_WRITE,
    FILE_SYNC,     /* fdatasync of a file */
    FILE_SYNC_DIR, /* fsync of a directory */
    FILE_RENAME,
    FILE_UNLINK,
    FILE_TRUNCATE,
    FILE_ALLOCATE,
    FILE_OPERATION_COUNT,
};

struct file; /* an open file; carries its path for error texts */

enum file_mode {
    FILE_MODE_READ,       /* must exist */
    FILE_MODE_WRITE,      /* read and write, must exist */
    FILE_MODE_CREATE,     /* read and write, created if missing */
    FILE_MODE_CREATE_NEW, /* must not exist: ST_EXISTS */
};
MUST_USE enum status file_open(
    const char *path, enum file_mode mode, struct file **file, struct error *error);
/* Takes NULL. */
void file_close(struct file *file);
const char *file_path(const struct file *file);
int file_descriptor(const struct file *file);

/* Reads until size or end of file; *read_size says how much. */
MUST_USE enum status file_read_at(struct file *file, uint64_t offset, void *data, size_t size,
    size_t *read_size, struct error *error);
/*
 * Writes all of data, or fails; *written_size (may be NULL) says how many bytes reached the file, so
 * that a caller can cut off a partial write.
 */
MUST_USE enum status file_write_at(struct file *file, uint64_t offset, const void *data,
    size_t size, size_t *written_size, struct error *error);
MUST_USE enum status file_sync(struct file *file, struct error *error);
MUST_USE enum status file_truncate(struct file *file, uint64_t size, struct error *error);
/* Zero-fills [offset, offset + size) with real writes, so that later overwrites only move data. */
MUST_USE enum status file_fill_zero(
    struct file *file, uint64_t offset, uint64_t size, struct error *error);
MUST_USE enum status file_size(struct file *file, uint64_t *size, struct error *error);
/* Exclusive advisory lock, kept until close; ST_BUSY if another process has it. */
MUST_USE enum status file_lock(struct file *file, struct error *error);

MUST_USE enum status file_rename(const char *from, const char *to, struct error *error);
MUST_USE enum status file_unlink(const char *path, struct error *error);
MUST_USE enum status file_sync_directory(const char *path, struct error *error);
/* Makes the directory (and parents) if missing. */
MUST_USE enum status file_make_directory(const char *path, struct error *error);
bool file_exists(const char *path);
/* Whole content into *content (appended), at most limit_bytes: ST_FULL beyond. */
MUST_USE enum status file_read_whole(
    const char *path, size_t limit_bytes, struct buf *content, struct error *error);
/* Atomic replacement: tmp, write, fdatasync, rename, fsync of the directory. */
MUST_USE enum status file_replace(const char *path, struct slice content, struct error *error);
/* Names (not paths) in a directory, sorted, without . and ..; the callback returns false to stop. */
typedef bool (*file_name_fn)(void *context, const char *name);
MUST_USE enum status file_list(
    const char *directory, file_name_fn visit, void *context, struct error *error);
/* Free and total bytes of the filesystem that holds path. */
MUST_USE enum status file_system_space(
    const char *path, uint64_t *free_bytes, uint64_t *total_bytes, struct error *error);

/*
 * Fault injection. A rule makes the nth matching operation (1 = the next) fail with os_errno, and
 * all later ones too if `sticky`. path_part: only paths that contain it ("" = all). A FILE_WRITE
 * fault first writes half of the data, as a full disk does. At most 32 rules. Costs a relaxed add and load
 * when no rule is set.
 */
struct file_fault {
    enum file_operation operation;
    const char *path_part;
    uint64_t nth;
    int os_errno;
    bool sticky;
    bool crash; /* instead of failing: the process exits at once with status 86, as in a crash */
};
void file_fault_add(const struct file_fault *fault);
void file_fault_clear(void);
/*
 * For operations that a library does in our place (LMDB's commit): counts it and gives 0, or the errno with which the
 * caller is to fail it. Exits where a rule says crash.
 */
MUST_USE int file_fault_hit(enum file_operation operation, const char *path);
/* Operations seen since the last clear, with or without rules, for loops over "the n-th". */
uint64_t file_fault_seen(enum file_operation operation);
/*
 * "op:path_part:nth:ERRNO[:sticky]" or "op:path_part:nth:crash", several separated by ','; op is open read
 * write sync syncdir rename unlink truncate allocate; ERRNO is ENOSPC, EIO, EMFILE or EDQUOT. For tests of
 * the whole server. While the file named `switch_path` (may be NULL) is absent the rules rest, so a test can
 * let space return. False if the text is malformed.
 */
MUST_USE bool file_fault_parse(const char *text, const char *switch_path);

#endif
