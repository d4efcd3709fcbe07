/*
 * file_path.c: operations on names: rename, unlink, directories, whole files.
 *
 * file_replace() is atomic at a power cut: the new content is durable under another name before the name
 * changes hands, and the directory is synced so that the change itself is durable.
 */
#include "base/check.h"
#include "base/mem.h"
#include "base/thread.h"
#include "file_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum status file_rename(const char *from, const char *to, struct error *error)
{
    CHECK_MAY_BLOCK();
    int os_errno = file_fault_check(FILE_RENAME, from, NULL, NULL);
    if (os_errno == 0 && rename(from, to) != 0)
        os_errno = errno;
    if (os_errno != 0)
        return file_error(error, os_errno, "cannot rename", from);
    return ST_OK;
}

enum status file_unlink(const char *path, struct error *error)
{
    CHECK_MAY_BLOCK();
    int os_errno = file_fault_check(FILE_UNLINK, path, NULL, NULL);
    if (os_errno == 0 && unlink(path) != 0)
        os_errno = errno;
    if (os_errno != 0)
        return file_error(error, os_errno, "cannot unlink", path);
    return ST_OK;
}

enum status file_sync_directory(const char *path, struct error *error)
{
    CHECK_MAY_BLOCK();
    int os_errno = file_fault_check(FILE_SYNC_DIR, path, NULL, NULL);
    if (os_errno == 0) {
        const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fsync(fd) != 0)
            os_errno = errno;
        if (fd >= 0)
            (void)close(fd);
    }
    if (os_errno != 0)
        return file_error(error, os_errno, "cannot sync directory", path);
    return ST_OK;
}

/* mkdir() of one directory that may exist; 0 or an errno. */
static int make_one(const char *path)
{
    if (mkdir(path, 0755) == 0)
        return 0;
    if (errno != EEXIST)
        return errno;
    struct stat info;
    if (stat(path, &info) != 0)
        return errno;
    return S_ISDIR(info.st_mode) ? 0 : ENOTDIR;
}

enum status file_make_directory(const char *path, struct error *error)
{
    CHECK_MAY_BLOCK();
    char *const parent = mem_string(path);
    int os_errno = 0;
    /* Each parent in turn, the text cut at its slash for a moment. */
    for (char *slash = parent; os_errno == 0 && *slash != '\0';) {
        slash = strchr(slash + 1, '/');
        if (slash == NULL)
            break;
        *slash = '\0';
        os_errno = make_one(parent);
        *slash = '/';
    }
    if (os_errno == 0)
        os_errno = make_one(path);
    mem_free(parent);
    if (os_errno != 0)
        return file_error(error, os_errno, "cannot make directory", path);
    return ST_OK;
}

bool file_exists(const char *path)
{
    CHECK_MAY_BLOCK();
    struct stat info;
    return stat(path, &info) == 0;
}

enum status file_read_whole(
    const char *path, size_t limit_bytes, struct buf *content, struct error *error)
{
    struct file *file = NULL;
    enum status status = file_open(path, FILE_MODE_READ, &file, error);
    if (status != ST_OK)
        return status;
    /* By pieces: the size of a file can change while it is read, and of special files it is 0. */
    const size_t piece = 64 * 1024;
    size_t total = 0;
    for (;;) {
        size_t count = 0;
        status = file_read_at(file, total, buf_reserve(content, piece), piece, &count, error);
        if (status != ST_OK || count == 0)
            break;
        if (count > limit_bytes - total) {
            status = error_set(error, ST_FULL, 0, "%s is larger than %zu bytes", path, limit_bytes);
            break;
        }
        content->size += count;
        total += count;
    }
    file_close(file);
    return status;
}

/* The directory part of a path; the caller frees. */
static char *directory_of(const char *path)
{
    const char *const slash = strrchr(path, '/');
    if (slash == NULL)
        return mem_string(".");
    return slash == path ? mem_string("/") : mem_string_sized(path, (size_t)(slash - path));
}

/* Makes or empties the file, writes content, makes it durable. */
static enum status write_durable(const char *path, struct slice content, struct error *error)
{
    struct file *file = NULL;
    enum status status = file_open(path, FILE_MODE_CREATE, &file, error);
    if (status != ST_OK)
        return status;
    status = file_truncate(file, 0, error); /* a crash may have left one behind */
    if (status == ST_OK)
        status = file_write_at(file, 0, content.data, content.size, NULL, error);
    if (status == ST_OK)
        status = file_sync(file, error);
    file_close(file);
    return status;
}

enum status file_replace(const char *path, struct slice content, struct error *error)
{
    struct buf temporary = {0};
    buf_append_format(&temporary, "%s.tmp", path);
    buf_append_byte(&temporary, '\0');
    char *const directory = directory_of(path);
    enum status status = write_durable(temporary.data, content, error);
    if (status == ST_OK)
        status = file_rename(temporary.data, path, error);
    if (status == ST_OK)
        status = file_sync_directory(directory, error);
    else
        (void)unlink(temporary.data); /* nothing depends on it: no fault, no error */
    mem_free(directory);
    buf_deinit(&temporary);
    return status;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in an open directory, appended to names as pointers the caller frees; 0 or an errno. */
static int collect_names(DIR *directory, struct buf *names)
{
    for (;;) {
        errno = 0;
        const struct dirent *const entry = readdir(directory);
        if (entry == NULL)
            return errno;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char *const copy = mem_string(entry->d_name);
        buf_append(names, &copy, sizeof(copy));
    }
}

enum status file_list(const char *directory, file_name_fn visit, void *context, struct error *error)
{
    CHECK_MAY_BLOCK();
    DIR *const stream = opendir(directory);
    if (stream == NULL)
        return file_error(error, errno, "cannot list", directory);
    struct buf names = {0};
    const int os_errno = collect_names(stream, &names);
    (void)closedir(stream);
    const size_t count = names.size / sizeof(char *);
    char **const list = (char **)(void *)names.data;
    if (count > 0)
        qsort(list, count, sizeof(*list), compare_names);
    bool go_on = os_errno == 0;
    for (size_t index = 0; index < count; index++) {
        go_on = go_on && visit(context, list[index]);
        mem_free(list[index]);
    }
    buf_deinit(&names);
    if (os_errno != 0)
        return file_error(error, os_errno, "cannot list", directory);
    return ST_OK;
}

enum status file_system_space(
    const char *path, uint64_t *free_bytes, uint64_t *total_bytes, struct error *error)
{
    CHECK_MAY_BLOCK();
    struct statvfs info;
    if (statvfs(path, &info) != 0)
        return file_error(error, errno, "cannot look at the filesystem of", path);
    *free_bytes = (uint64_t)info.f_bavail * info.f_frsize;
    *total_bytes = (uint64_t)info.f_blocks * info.f_frsize;
    return ST_OK;
}
