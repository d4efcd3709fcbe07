/*
 * file_fault.c: operations that fail when a test says so.
 *
 * Rules are a small table under a lock that is only looked at while the table is not empty. Each rule counts
 * the matching operations it has seen; at the nth it fails the operation (a sticky rule: from the nth on).
 *
 * Concurrency: rule_count is stored under the lock and loaded relaxed without it: a rule that is
 * added while other threads do I/O takes effect at some operation soon after.
 */
#include "base/check.h"
#include "base/thread.h"
#include "file_internal.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

enum { RULE_MAX = 32, PATH_PART_MAX = 256, SWITCH_PATH_MAX = 4096, CRASH_STATUS = 86 };

struct rule {
    enum file_operation operation;
    char path_part[PATH_PART_MAX];
    uint64_t nth;
    uint64_t seen;
    int os_errno;
    bool sticky;
    bool crash;
};

static pthread_mutex_t rules_lock = PTHREAD_MUTEX_INITIALIZER;
static struct rule rules[RULE_MAX];                        /* guarded by: rules_lock */
static char switch_file[SWITCH_PATH_MAX];                  /* guarded by: rules_lock; "" = none */
static _Atomic size_t rule_count;                          /* atomic: written under rules_lock */
static _Atomic uint64_t seen_counts[FILE_OPERATION_COUNT]; /* atomic: relaxed counters */

static void add_locked(const struct file_fault *fault)
{
    const size_t count = atomic_load_explicit(&rule_count, memory_order_relaxed);
    CHECK(count < RULE_MAX);
    CHECK(fault->nth > 0);
    struct rule *const rule = &rules[count];
    *rule = (struct rule){
        .operation = fault->operation,
        .nth = fault->nth,
        .os_errno = fault->os_errno,
        .sticky = fault->sticky,
        .crash = fault->crash,
    };
    const char *const part = fault->path_part == NULL ? "" : fault->path_part;
    CHECK(strlen(part) < sizeof(rule->path_part));
    memcpy(rule->path_part, part, strlen(part) + 1);
    atomic_store_explicit(&rule_count, count + 1, memory_order_relaxed);
}

void file_fault_add(const struct file_fault *fault)
{
    (void)pthread_mutex_lock(&rules_lock);
    add_locked(fault);
    (void)pthread_mutex_unlock(&rules_lock);
}

void file_fault_clear(void)
{
    (void)pthread_mutex_lock(&rules_lock);
    atomic_store_explicit(&rule_count, 0, memory_order_relaxed);
    switch_file[0] = '\0';
    for (size_t index = 0; index < FILE_OPERATION_COUNT; index++)
        atomic_store_explicit(&seen_counts[index], 0, memory_order_relaxed);
    (void)pthread_mutex_unlock(&rules_lock);
}

uint64_t file_fault_seen(enum file_operation operation)
{
    return atomic_load_explicit(&seen_counts[operation], memory_order_relaxed);
}

static bool rule_fires(struct rule *rule, enum file_operation operation, const char *path)
{
    if (rule->operation != operation || strstr(path, rule->path_part) == NULL)
        return false;
    rule->seen++;
    return rule->seen == rule->nth || (rule->sticky && rule->seen > rule->nth);
}

/* All rules count the operation; the first that fires decides. */
static const struct rule *find_locked(enum file_operation operation, const char *path)
{
    if (switch_file[0] != '\0' && access(switch_file, F_OK) != 0)
        return NULL;
    const struct rule *fired = NULL;
    const size_t count = atomic_load_explicit(&rule_count, memory_order_relaxed);
    for (size_t index = 0; index < count; index++) {
        if (rule_fires(&rules[index], operation, path) && fired == NULL)
            fired = &rules[index];
    }
    return fired;
}

int file_fault_check(enum file_operation operation, const char *path,
    void (*prepare_crash)(void *context), void *context)
{
    atomic_fetch_add_explicit(&seen_counts[operation], 1, memory_order_relaxed);
    if (likely(atomic_load_explicit(&rule_count, memory_order_relaxed) == 0))
        return 0;
    (void)pthread_mutex_lock(&rules_lock);
    const struct rule *const rule = find_locked(operation, path);
    const int os_errno = rule == NULL ? 0 : rule->os_errno;
    const bool crash = rule != NULL && rule->crash;
    (void)pthread_mutex_unlock(&rules_lock);
    if (!crash)
        return os_errno;
    if (prepare_crash != NULL)
        prepare_crash(context);
    _exit(CRASH_STATUS);
}

int file_fault_hit(enum file_operation operation, const char *path)
{
    return file_fault_check(operation, path, NULL, NULL);
}

/* The text up to the separator, which is taken off *rest too; all of it if there is none. */
static struct slice take_part(struct slice *rest, char separator)
{
    const char *const found = rest->size == 0 ? NULL : memchr(rest->data, separator, rest->size);
    const size_t size = found == NULL ? rest->size : (size_t)(found - rest->data);
    const struct slice part = slice_of(rest->data, size);
    const size_t taken = found == NULL ? size : size + 1;
    rest->size -= taken;
    if (taken > 0)
        rest->data += taken;
    return part;
}

static const char *const operation_names[FILE_OPERATION_COUNT] = {
    [FILE_OPEN] = "open",
    [FILE_READ] = "read",
    [FILE_WRITE] = "write",
    [FILE_SYNC] = "sync",
    [FILE_SYNC_DIR] = "syncdir",
    [FILE_RENAME] = "rename",
    [FILE_UNLINK] = "unlink",
    [FILE_TRUNCATE] = "truncate",
    [FILE_ALLOCATE] = "allocate",
};

static bool parse_operation(struct slice text, enum file_operation *operation)
{
    for (size_t index = 0; index < COUNT_OF(operation_names); index++) {
        if (slice_equal(text, slice_text(operation_names[index]))) {
            *operation = (enum file_operation)index;
            return true;
        }
    }
    return false;
}

static bool parse_errno(struct slice text, int *os_errno)
{
    static const struct {
        const char *name;
        int os_errno;
    } names[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO}, {"EMFILE", EMFILE}, {"EDQUOT", EDQUOT}};
    for (size_t index = 0; index < COUNT_OF(names); index++) {
        if (slice_equal(text, slice_text(names[index].name))) {
            *os_errno = names[index].os_errno;
            return true;
        }
    }
    return false;
}

/* path_part: where to keep the copy that *fault points to. */
static bool parse_rule(struct slice text, char path_part[PATH_PART_MAX], struct file_fault *fault)
{
    *fault = (struct file_fault){.path_part = path_part};
    if (!parse_operation(take_part(&text, ':'), &fault->operation))
        return false;
    const struct slice part = take_part(&text, ':');
    if (part.size >= PATH_PART_MAX)
        return false;
    if (part.size > 0)
        memcpy(path_part, part.data, part.size);
    path_part[part.size] = '\0';
    if (!slice_to_uint64(take_part(&text, ':'), &fault->nth) || fault->nth == 0)
        return false;
    const struct slice what = take_part(&text, ':');
    fault->crash = slice_equal(what, SLICE_LITERAL("crash"));
    if (fault->crash)
        return text.size == 0;
    if (!parse_errno(what, &fault->os_errno))
        return false;
    fault->sticky = slice_equal(text, SLICE_LITERAL("sticky"));
    return fault->sticky || text.size == 0;
}

bool file_fault_parse(const char *text, const char *switch_path)
{
    struct file_fault parsed[RULE_MAX];
    char path_parts[RULE_MAX][PATH_PART_MAX];
    size_t count = 0;
    struct slice rest = slice_text(text);
    while (rest.size > 0) {
        if (count == RULE_MAX)
            return false;
        if (!parse_rule(take_part(&rest, ','), path_parts[count], &parsed[count]))
            return false;
        count++;
    }
    const size_t switch_size = switch_path == NULL ? 0 : strlen(switch_path);
    if (switch_size >= sizeof(switch_file))
        return false;
    (void)pthread_mutex_lock(&rules_lock);
    const bool room = atomic_load_explicit(&rule_count, memory_order_relaxed) + count <= RULE_MAX;
    if (room) {
        for (size_t index = 0; index < count; index++)
            add_locked(&parsed[index]);
        if (switch_size > 0)
            memcpy(switch_file, switch_path, switch_size);
        switch_file[switch_size] = '\0';
    }
    (void)pthread_mutex_unlock(&rules_lock);
    return room;
}
