/*
 * debug_digest.c: DEBUG DIGEST and DIGEST-VALUE: signatures of contents, 40 hex digits.
 *
 *   key      H(database ‖ name ‖ value's digest ‖ has an expiry)           the databases: all of them, one xor the other
 *
 * DIGEST promotes nothing: after a checkpoint the cold tier holds every record, and a thread of the command's own reads it there, database by database.
 * Keys that have expired don't count. The digest is that of some moment between the request and the reply.
 */
#include "base/hash.h"
#include "base/mem.h"
#include "base/thread.h"
#include "debug_internal.h"
#include "server/session.h"
#include "storage/cold.h"
#include "storage/snapshot.h"

#define RANGE_ENTRY_MAX 512

struct digest_work {
    struct thread thread;
    bool has_thread;
    struct worker *worker;
    struct tier_wait *wait;
    struct cold *cold;
    uint64_t now_ms;
    uint32_t *spaces; /* of the databases */
    unsigned database_count;
    enum status status;
    uint8_t digest[SNAPSHOT_DIGEST_SIZE];
};

static void mix_key(struct digest_work *work, unsigned database, struct slice name,
    const struct value *value, bool expires)
{
    struct buf text = {0};
    uint8_t digest[SNAPSHOT_DIGEST_SIZE];
    snapshot_digest(value, digest);
    buf_append_u32(&text, database);
    buf_append_u64(&text, name.size);
    buf_append_slice(&text, name);
    buf_append(&text, digest, sizeof(digest));
    buf_append_byte(&text, expires ? 1 : 0);
    for (size_t i = 0; i < sizeof(digest); i++) {
        const uint64_t sum = hash_sum64(text.data, text.size, i / 8);
        work->digest[i] ^= (uint8_t)(sum >> (8 * (i % 8)));
    }
    buf_deinit(&text);
}

static bool is_over(const struct digest_work *work, const struct cold_header *header)
{
    return header->expire_ms != 0 && header->expire_ms <= work->now_ms;
}

static enum status digest_record(struct digest_work *work, unsigned database, const struct key *key)
{
    struct cold_job job = {.kind = COLD_JOB_VALUE, .priority = COLD_BACKGROUND, .key = *key};
    cold_read_now(work->cold, &job);
    const enum status status = job.status;
    if (status == ST_OK && !is_over(work, &job.header))
        mix_key(work, database, key_slice(key), &job.value, job.header.expire_ms != 0);
    if (status == ST_OK)
        value_release(&job.value);
    cold_job_deinit(&job);
    return status == ST_NOT_FOUND ? ST_OK : status; /* deleted by a later checkpoint */
}

static enum status digest_entries(
    struct digest_work *work, unsigned database, const struct cold_job *range)
{
    enum status status = ST_OK;
    for (size_t i = 0; i < range->entry_count && status == ST_OK; i++) {
        const struct cold_range_entry *const entry = &range->entries[i];
        const struct key key =
            key_make(entry->space, range->keys.data + entry->key_offset, entry->key_size);
        if (!is_over(work, &entry->header))
            status = digest_record(work, database, &key);
    }
    return status;
}

static enum status digest_database(struct digest_work *work, unsigned database)
{
    struct buf after = {0};
    enum status status = ST_OK;
    bool is_end = false;
    while (status == ST_OK && !is_end) {
        struct cold_job range = {.kind = COLD_JOB_RANGE,
            .priority = COLD_BACKGROUND,
            .key = key_make(work->spaces[database], after.data, after.size),
            .entry_max = RANGE_ENTRY_MAX};
        cold_read_now(work->cold, &range);
        status = range.status;
        if (status != ST_OK)
            break;
        status = digest_entries(work, database, &range);
        is_end = range.range_end || range.entry_count == 0;
        if (!is_end) {
            const struct cold_range_entry *const last = &range.entries[range.entry_count - 1];
            buf_clear(&after);
            buf_append(&after, range.keys.data + last->key_offset, last->key_size);
        }
        cold_job_deinit(&range);
    }
    buf_deinit(&after);
    return status;
}

static void digest_main(void *context)
{
    struct digest_work *work = context;
    for (unsigned database = 0; database < work->database_count && work->status == ST_OK;
         database++)
        work->status = digest_database(work, database);
    session_wake(work->worker, work->wait);
}

/* First the checkpoint, then the thread. */
enum status debug_prepare_digest(struct command_call *call, struct tier_wait *wait)
{
    struct digest_work *work = call->state;
    if (work == NULL) {
        if (!debug_is_allowed(call))
            return ST_INVALID;
        work = mem_alloc_zero(sizeof(*work));
        work->worker = call->worker;
        work->wait = wait;
        call->state = work;
        tier_checkpoint_request(call->server->tier, wait);
        return ST_PENDING;
    }
    if (work->has_thread)
        return ST_OK;
    work->status = tier_wait_status(wait);
    if (work->status != ST_OK)
        return ST_OK;
    work->cold = tier_cold(call->server->tier);
    work->now_ms = call->view->now_ms;
    work->database_count = keyspace_database_count(call->server->keyspace);
    work->spaces = mem_alloc(work->database_count * sizeof(*work->spaces));
    for (unsigned i = 0; i < work->database_count; i++)
        work->spaces[i] = keyspace_key_in(call->view, i, slice_of("", 0)).space;
    work->has_thread = true;
    thread_start(&work->thread, "debug-digest", digest_main, work);
    return ST_PENDING;
}

void debug_digest_destroy(void *state)
{
    struct digest_work *work = state;
    if (work->has_thread)
        thread_join(&work->thread);
    mem_free(work->spaces);
    mem_free(work);
}

static void reply_digest(struct command_call *call, const uint8_t digest[SNAPSHOT_DIGEST_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * SNAPSHOT_DIGEST_SIZE + 1];
    for (size_t i = 0; i < SNAPSHOT_DIGEST_SIZE; i++) {
        text[2 * i] = digits[digest[i] >> 4];
        text[2 * i + 1] = digits[digest[i] & 15];
    }
    text[2 * SNAPSHOT_DIGEST_SIZE] = '\0';
    reply_simple(call->reply, text);
}

void cmd_debug_digest(struct command_call *call)
{
    const struct digest_work *work = call->state;
    if (work->status == ST_OK)
        reply_digest(call, work->digest);
    else
        reply_error(call->reply, "ERR the cold tier could not be read; see the server's log");
}

/* Keys that are not there have a digest of zeros. */
void cmd_debug_digest_value(struct command_call *call)
{
    if (!debug_is_allowed(call))
        return;
    reply_array(call->reply, call->key_count);
    for (size_t i = 0; i < call->key_count; i++) {
        const struct hot_record *record = keyspace_find(call->view, &call->keys[i], KEYSPACE_PEEK);
        uint8_t digest[SNAPSHOT_DIGEST_SIZE] = {0};
        if (record != NULL) {
            const struct value value = hot_record_value(record);
            snapshot_digest(&value, digest);
        }
        reply_digest(call, digest);
    }
}
