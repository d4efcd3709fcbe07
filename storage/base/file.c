/*
 * file.c: operations on open files. See file_path.c for those on names, file_fault.c for the faults.
 *
 * Every operation asserts that its thread may wait (I9), asks for a fault, and repeats system calls that
 * a signal interrupted or that did less than was asked.
 */
#include "base/file.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/thread.h"
#include "file_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct file {
    int fd;
    char *path;
};

enum status file_error(struct error *error, int os_errno, const char *what, const char *path)
{
    enum status status = ST_IO;
    if (os_errno == ENOSPC || os_errno == EDQUOT)
        status = ST_FULL;
    else if (os_errno == ENOENT)
        status = ST_NOT_FOUND;
    else if (os_errno == EEXIST)
        status = ST_EXISTS;
    return error_set(error, status, os_errno, "%s %s", what, path);
}

static int open_flags(enum file_mode mode)
{
    switch (mode) {
    case FILE_MODE_READ: return O_RDONLY;
    case FILE_MODE_WRITE: return O_RDWR;
    case FILE_MODE_CREATE: return O_RDWR | O_CREAT;
    case FILE_MODE_CREATE_NEW: return O_RDWR | O_CREAT | O_EXCL;
    }
    UNREACHABLE("a mode without flags");
}

enum status file_open(
    const char *path, enum file_mode mode, struct file **file, struct error *error)
{
    CHECK_MAY_BLOCK();
    const int fault = file_fault_check(FILE_OPEN, path, NULL, NULL);
    if (fault != 0)
        return file_error(error, fault, "cannot open", path);
    int fd;
    do {
        fd = open(path, open_flags(mode) | O_CLOEXEC, 0644);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return file_error(error, errno, "cannot open", path);
    struct file *const opened = mem_alloc(sizeof(*opened));
    opened->fd = fd;
    opened->path = mem_string(path);
    *file = opened;
    return ST_OK;
}

void file_close(struct file *file)
{
    if (file == NULL)
        return;
    /* Data that matter were synced before; an error here has nobody to go to. */
    (void)close(file->fd);
    mem_free(file->path);
    mem_free(file);
}

const char *file_path(const struct file *file)
{
    return file->path;
}

int file_descriptor(const struct file *file)
{
    return file->fd;
}

enum status file_read_at(struct file *file, uint64_t offset, void *data, size_t size,
    size_t *read_size, struct error *error)
{
    CHECK_MAY_BLOCK();
    *read_size = 0;
    const int fault = file_fault_check(FILE_READ, file->path, NULL, NULL);
    if (fault != 0)
        return file_error(error, fault, "cannot read", file->path);
    size_t done = 0;
    while (done < size) {
        const ssize_t count =
            pread(file->fd, (char *)data + done, size - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return file_error(error, errno, "cannot read", file->path);
        if (count == 0)
            break;
        done += (size_t)count;
        *read_size = done;
    }
    return ST_OK;
}

/* Writes all; returns 0 or an errno, and in *done how much reached the file. */
static int write_all(int fd, uint64_t offset, const char *data, size_t size, size_t *done)
{
    while (*done < size) {
        const ssize_t count = pwrite(fd, data + *done, size - *done, (off_t)(offset + *done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return errno;
        if (count == 0)
            return ENOSPC; /* no progress and no reason: as good as full */
        *done += (size_t)count;
    }
    return 0;
}

/* Half of a write, for faults. */
struct half_write {
    struct file *file;
    uint64_t offset;
    const char *data;
    size_t size;
    size_t done;
};

static void write_half(void *context)
{
    struct half_write *const half = context;
    (void)write_all(half->file->fd, half->offset, half->data, half->size / 2, &half->done);
}

enum status file_write_at(struct file *file, uint64_t offset, const void *data, size_t size,
    size_t *written_size, struct error *error)
{
    CHECK_MAY_BLOCK();
    struct half_write half = {.file = file, .offset = offset, .data = data, .size = size};
    int os_errno = file_fault_check(FILE_WRITE, file->path, write_half, &half);
    if (os_errno != 0)
        write_half(&half);
    else
        os_errno = write_all(file->fd, offset, data, size, &half.done);
    if (written_size != NULL)
        *written_size = half.done;
    if (os_errno != 0)
        return file_error(error, os_errno, "cannot write", file->path);
    return ST_OK;
}

enum status file_sync(struct file *file, struct error *error)
{
    CHECK_MAY_BLOCK();
    int os_errno = file_fault_check(FILE_SYNC, file->path, NULL, NULL);
    if (os_errno == 0 && fdatasync(file->fd) != 0)
        os_errno = errno;
    if (os_errno != 0)
        return file_error(error, os_errno, "cannot sync", file->path);
    return ST_OK;
}

enum status file_truncate(struct file *file, uint64_t size, struct error *error)
{
    CHECK_MAY_BLOCK();
    int os_errno = file_fault_check(FILE_TRUNCATE, file->path, NULL, NULL);
    while (os_errno == 0 && ftruncate(file->fd, (off_t)size) != 0) {
        if (errno != EINTR)
            os_errno = errno;
    }
    if (os_errno != 0)
        return file_error(error, os_errno, "cannot truncate", file->path);
    return ST_OK;
}

enum status file_fill_zero(struct file *file, uint64_t offset, uint64_t size, struct error *error)
{
    CHECK_MAY_BLOCK();
    static const char zeros[256 * 1024];
    int os_errno = file_fault_check(FILE_ALLOCATE, file->path, NULL, NULL);
    while (os_errno == 0 && size > 0) {
        const size_t piece = size < sizeof(zeros) ? (size_t)size : sizeof(zeros);
        size_t done = 0;
        os_errno = write_all(file->fd, offset, zeros, piece, &done);
        offset += piece;
        size -= piece;
    }
    if (os_errno != 0)
        return file_error(error, os_errno, "cannot allocate", file->path);
    return ST_OK;
}

enum status file_size(struct file *file, uint64_t *size, struct error *error)
{
    CHECK_MAY_BLOCK();
    struct stat info;
    if (fstat(file->fd, &info) != 0)
        return file_error(error, errno, "cannot look at", file->path);
    *size = (uint64_t)info.st_size;
    return ST_OK;
}

enum status file_lock(struct file *file, struct error *error)
{
    CHECK_MAY_BLOCK();
    int result;
    do {
        result = flock(file->fd, LOCK_EX | LOCK_NB);
    } while (result != 0 && errno == EINTR);
    if (result == 0)
        return ST_OK;
    if (errno == EWOULDBLOCK)
        return error_set(error, ST_BUSY, 0, "%s is locked by another process", file->path);
    return file_error(error, errno, "cannot lock", file->path);
}
