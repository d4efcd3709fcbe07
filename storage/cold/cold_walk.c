/*
 * cold_walk.c: jobs that walk over many keys: a range of a space in key order, and the keys whose time has come.
 *
 * Both are bounded in entries and in bytes of keys, and the range resumes after the last key it returned. Damaged records
 * are passed over (and counted): SCAN must not end at a bad page.
 *
 * The due walk starts at the front of the expiry index every time: what it returns will be deleted by its caller. Only the
 * minute that is not yet over can have entries that stay; so many of them are looked at, no more: their minute will pass.
 */
#include "base/check.h"
#include "base/mem.h"
#include "cold_internal.h"

#define KEYS_SIZE_MAX           ((size_t)4 * 1024 * 1024)
#define CURRENT_MINUTE_LOOK_MAX ((size_t)65536)
#define ENTRY_COUNT_FIRST       ((size_t)64)

/* At least two: after the empty key alone a range could not go on, as an empty start means the beginning. */
static size_t entry_limit(const struct cold_job *job)
{
    return job->entry_max < 2 ? 2 : job->entry_max;
}

static void add_entry(struct cold_job *job, size_t *capacity, uint32_t space, struct slice key,
    const struct cold_header *header)
{
    if (job->entry_count == *capacity) {
        *capacity = *capacity == 0 ? ENTRY_COUNT_FIRST : *capacity * 2;
        job->entries = mem_realloc(job->entries, *capacity * sizeof(*job->entries));
    }
    job->entries[job->entry_count++] = (struct cold_range_entry){
        .key_offset = job->keys.size,
        .key_size = (uint32_t)key.size,
        .space = space,
        .header = *header,
    };
    buf_append_slice(&job->keys, key);
}

static bool is_full(const struct cold_job *job)
{
    return job->entry_count >= entry_limit(job) || job->keys.size >= KEYS_SIZE_MAX;
}

static bool begins_with(struct slice text, struct slice prefix)
{
    return text.size >= prefix.size &&
           (prefix.size == 0 || memcmp(text.data, prefix.data, prefix.size) == 0);
}

/* Puts the cursor where the range starts: after job->key, and not before the prefix. */
static int seek(struct cold_reader *reader, const struct cold_job *job,
    const struct cold_key *prefix, MDB_val *name, MDB_val *bytes)
{
    struct cold_key start = *prefix;
    bool after = false;
    if (job->key.size > 0) {
        struct cold_key last;
        cold_key_encode(reader->cold->secret, &job->key, &last);
        after = slice_compare(cold_key_slice(&last), cold_key_slice(prefix)) >= 0;
        if (after)
            start = last;
    }
    *name = cold_key_val(&start);
    const int code = mdb_cursor_get(reader->cursor, name, bytes, MDB_SET_RANGE);
    if (code == MDB_SUCCESS && after && slice_equal(cold_val_slice(*name), cold_key_slice(&start)))
        return mdb_cursor_get(reader->cursor, name, bytes, MDB_NEXT);
    return code;
}

enum status cold_walk_range(struct cold_reader *reader, struct cold_job *job)
{
    struct cold *const cold = reader->cold;
    size_t capacity = 0;
    struct cold_key prefix;
    cold_key_encode_prefix(job->key.space, job->prefix, &prefix);
    int code = cold_cursor_open(reader->txn, cold->records, &reader->cursor);
    MDB_val name = {0};
    MDB_val bytes;
    if (code == MDB_SUCCESS)
        code = seek(reader, job, &prefix, &name, &bytes);
    job->range_end = false;
    while (code == MDB_SUCCESS && begins_with(cold_val_slice(name), cold_key_slice(&prefix))) {
        if (is_full(job))
            return ST_OK;
        struct cold_record record;
        struct slice key;
        enum status status = cold_record_parse(cold_val_slice(bytes), &record);
        if (status == ST_OK)
            status =
                cold_full_key(cold, reader->txn, cold_val_slice(name), &record, &reader->key, &key);
        if (status == ST_CORRUPT)
            cold_report_damage(cold, "record");
        else if (status != ST_OK)
            return status;
        else if (begins_with(key, job->prefix))
            add_entry(job, &capacity, job->key.space, key, &record.header);
        code = mdb_cursor_get(reader->cursor, &name, &bytes, MDB_NEXT);
    }
    if (code != MDB_SUCCESS && code != MDB_NOTFOUND)
        return cold_env_status(cold, code, NULL, "cannot read");
    job->range_end = true;
    return ST_OK;
}

/* Records of dead spaces are no business of anybody. One space is remembered: entries of a space come in runs. */
struct dead_check {
    uint32_t space;
    bool known;
    bool dead;
};

static int is_dead(struct cold_reader *reader, struct dead_check *check, uint32_t space)
{
    if (check->known && check->space == space)
        return MDB_SUCCESS;
    const struct cold_dead_key dead = cold_dead_space(space);
    MDB_val key = cold_val(dead.bytes, dead.size);
    MDB_val value;
    const int code = mdb_get(reader->txn, reader->cold->dead, &key, &value);
    if (code != MDB_SUCCESS && code != MDB_NOTFOUND)
        return code;
    *check = (struct dead_check){.space = space, .known = true, .dead = code == MDB_SUCCESS};
    return MDB_SUCCESS;
}

/* One entry of the index: appended if it is really due. */
static enum status visit_due(struct cold_reader *reader, struct cold_job *job, size_t *capacity,
    uint32_t minute, struct slice stored)
{
    struct cold *const cold = reader->cold;
    MDB_val name = cold_val(stored.data, stored.size);
    MDB_val bytes;
    const int code = mdb_get(reader->txn, cold->records, &name, &bytes);
    if (code == MDB_NOTFOUND)
        return ST_OK; /* left behind by a damaged record */
    if (code != MDB_SUCCESS)
        return cold_env_status(cold, code, NULL, "cannot read");
    struct cold_record record;
    struct slice key;
    enum status status = cold_record_parse(cold_val_slice(bytes), &record);
    if (status == ST_OK) {
        const uint64_t record_due_ms = cold_due_ms(&record.header);
        if (cold_expire_minute(record_due_ms) != minute || record_due_ms > job->due_ms)
            return ST_OK;
        status = cold_full_key(cold, reader->txn, stored, &record, &reader->key, &key);
    }
    if (status == ST_CORRUPT) {
        cold_report_damage(cold, "record");
        return ST_OK;
    }
    if (status == ST_OK)
        add_entry(job, capacity, cold_key_space(stored), key, &record.header);
    return status;
}

enum status cold_walk_due(struct cold_reader *reader, struct cold_job *job)
{
    struct cold *const cold = reader->cold;
    const uint32_t due_minute = cold_expire_minute(job->due_ms);
    struct dead_check check = {0};
    size_t capacity = 0;
    size_t looked = 0;
    int code = cold_cursor_open(reader->txn, cold->expiry, &reader->cursor);
    MDB_val name = {0};
    MDB_val unused;
    if (code == MDB_SUCCESS)
        code = mdb_cursor_get(reader->cursor, &name, &unused, MDB_FIRST);
    job->range_end = false;
    while (code == MDB_SUCCESS) {
        if (is_full(job))
            return ST_OK;
        const struct slice index = cold_val_slice(name);
        if (index.size <= 4 + COLD_SPACE_SIZE - 1)
            return ST_CORRUPT;
        const uint32_t minute = cold_get_be32((const uint8_t *)index.data);
        if (minute > due_minute || (minute == due_minute && looked++ >= CURRENT_MINUTE_LOOK_MAX))
            break;
        const struct slice stored = slice_of(index.data + 4, index.size - 4);
        code = is_dead(reader, &check, cold_key_space(stored));
        if (code != MDB_SUCCESS)
            break;
        if (!check.dead) {
            const enum status status = visit_due(reader, job, &capacity, minute, stored);
            if (status != ST_OK)
                return status;
        }
        code = mdb_cursor_get(reader->cursor, &name, &unused, MDB_NEXT);
    }
    if (code != MDB_SUCCESS && code != MDB_NOTFOUND)
        return cold_env_status(cold, code, NULL, "cannot read");
    job->range_end = true;
    return ST_OK;
}
