/*
 * sort_lookup.c: keys that SORT makes of a pattern and a member, and their values: in RAM or, if need be, read on the spot.
 */
#include "base/check.h"
#include "base/mem.h"
#include "sort_internal.h"
#include "storage/dict.h"

/* --- patterns ------------------------------------------------------------------------------------------------------ */

static struct slice slice_from(struct slice text, size_t offset)
{
    return slice_of(text.data + offset, text.size - offset);
}

struct sort_pattern sort_pattern_of(struct slice text)
{
    struct sort_pattern pattern = {.is_member = slice_equal(text, SLICE_LITERAL("#"))};
    const char *const star = text.size == 0 ? NULL : memchr(text.data, '*', text.size);
    if (star == NULL) {
        pattern.is_constant = !pattern.is_member;
        return pattern;
    }
    const size_t prefix_size = (size_t)(star - text.data);
    pattern.prefix = slice_of(text.data, prefix_size);
    pattern.postfix = slice_from(text, prefix_size + 1);
    for (size_t i = 0; i + 2 <= pattern.postfix.size; i++) {
        if (memcmp(pattern.postfix.data + i, "->", 2) != 0)
            continue;
        /* Only the first arrow counts, and only if something follows. */
        pattern.has_field = i + 2 < pattern.postfix.size;
        if (pattern.has_field) {
            pattern.field = slice_from(pattern.postfix, i + 2);
            pattern.postfix.size = i;
        }
        break;
    }
    return pattern;
}

static struct slice make_name(
    const struct sort_pattern *pattern, const struct element *member, struct buf *name)
{
    char scratch[ELEMENT_TEXT_MAX];
    buf_clear(name);
    buf_append_slice(name, pattern->prefix);
    buf_append_slice(name, element_text(member, scratch));
    buf_append_slice(name, pattern->postfix);
    return buf_slice(name);
}

/* --- values ---------------------------------------------------------------------------------------------------------- */

/* What the pattern wants of a key's value, which it borrows. */
static void take_value(const struct command_call *call, const struct sort_pattern *pattern,
    const struct value *value, struct sort_value *out)
{
    out->found = SORT_ABSENT;
    if (!pattern->has_field) {
        if (value->type != VALUE_STRING)
            return;
        out->found = SORT_FOUND;
        out->bytes = value_string_bytes(value, out->scratch);
        return;
    }
    const struct element field = element_of(pattern->field);
    struct element found;
    const uint64_t now_ms = call->view->replay ? 0 : call->view->now_ms;
    if (value->type != VALUE_HASH || !dict_get(dict_of(value), &field, now_ms, &found))
        return;
    out->found = SORT_FOUND;
    out->bytes = element_text(&found, out->scratch);
}
static_assert(ELEMENT_TEXT_MAX >= 24, "value_string_bytes() needs as much");

/* Replay reads on the spot. A record that cannot be read has no value. */
static enum sort_found make_ready(struct command_call *call, const struct key *key)
{
    struct tier_turn *const turn = call->view->turn;
    if (!call->view->replay) {
        struct hot_record *record = NULL;
        if (!tier_is_ready(turn, key, TIER_NEED_VALUE, &record))
            return SORT_COLD;
        /* Saves keyspace_find() the look-up. */
        call->view->found_key = key;
        call->view->found = record;
        return SORT_FOUND;
    }
    const enum tier_need need = TIER_NEED_VALUE;
    struct tier_wait wait;
    size_t failed = 0;
    tier_wait_init(&wait, turn, NULL);
    return tier_gather(turn, key, &need, 1, &wait, &failed) == ST_OK ? SORT_FOUND : SORT_ABSENT;
}

void sort_look_up(struct command_call *call, const struct sort_pattern *pattern,
    const struct element *member, enum keyspace_access access, struct buf *name,
    struct sort_value *value)
{
    value->found = SORT_ABSENT;
    if (pattern->is_constant)
        return;
    if (pattern->is_member) {
        value->found = SORT_FOUND;
        value->bytes = element_text(member, value->scratch);
        return;
    }
    value->key = keyspace_key(call->view, make_name(pattern, member, name));
    value->found = make_ready(call, &value->key);
    if (value->found != SORT_FOUND)
        return;
    value->found = SORT_ABSENT;
    const struct hot_record *const record = keyspace_find(call->view, &value->key, access);
    if (record == NULL)
        return;
    const struct value found = hot_record_value(record);
    take_value(call, pattern, &found, value);
}

/* --- reads on the spot ------------------------------------------------------------------------------------------------- */

void sort_reads_init(struct sort_reads *reads)
{
    *reads = (struct sort_reads){.list = NULL};
    mutex_init(&reads->lock, LOCK_RANK_LEAF);
    condition_init(&reads->ended);
}

void sort_reads_deinit(struct sort_reads *reads)
{
    for (size_t i = 0; i < reads->count; i++) {
        cold_job_deinit(&reads->list[i]->job);
        mem_free(reads->list[i]);
    }
    mem_free(reads->list);
    condition_deinit(&reads->ended);
    mutex_deinit(&reads->lock);
}

/* On an I/O thread. */
static void read_done(struct cold_job *job)
{
    struct sort_reads *const reads = CONTAINER_OF(job, struct sort_read, job)->reads;
    mutex_lock(&reads->lock);
    reads->running_count--;
    if (reads->running_count == 0)
        condition_signal(&reads->ended);
    mutex_unlock(&reads->lock);
}

void sort_reads_add(struct sort_reads *reads, const struct sort_pattern *pattern,
    const struct key *key, uint64_t tag)
{
    if (reads->count == reads->capacity) {
        reads->capacity = reads->capacity == 0 ? 16 : reads->capacity * 2;
        reads->list = mem_realloc(reads->list, reads->capacity * sizeof(struct sort_read *));
    }
    struct sort_read *const read = mem_alloc_zero(sizeof(*read) + key->size);
    if (key->size > 0)
        memcpy(read->name, key->data, key->size);
    read->reads = reads;
    read->tag = tag;
    read->pattern = *pattern;
    read->job.kind = COLD_JOB_VALUE;
    read->job.priority = COLD_DEMAND;
    read->job.key = *key;
    read->job.key.data = read->name;
    read->job.done = read_done;
    reads->list[reads->count++] = read;
}

bool sort_reads_run(struct sort_reads *reads, struct command_call *call)
{
    if (reads->count == 0)
        return true;
    struct cold_job **const jobs = mem_alloc(reads->count * sizeof(struct cold_job *));
    for (size_t i = 0; i < reads->count; i++)
        jobs[i] = &reads->list[i]->job;
    mutex_lock(&reads->lock);
    reads->running_count = reads->count;
    mutex_unlock(&reads->lock);
    cold_submit(tier_cold(call->view->tier), jobs, reads->count);
    mem_free(jobs);
    mutex_lock(&reads->lock);
    while (reads->running_count > 0)
        condition_wait(&reads->ended, &reads->lock);
    mutex_unlock(&reads->lock);
    for (size_t i = 0; i < reads->count; i++) {
        const enum status status = reads->list[i]->job.status;
        if (status == ST_OK || status == ST_NOT_FOUND)
            continue;
        reply_error(call->reply,
            status == ST_CORRUPT
                ? "ERR the record of a key to sort by or get is damaged on disk"
                : "ERR the record of a key to sort by or get could not be read from disk");
        return false;
    }
    return true;
}

void sort_reads_value(
    struct command_call *call, const struct sort_read *read, struct sort_value *value)
{
    const struct cold_job *const job = &read->job;
    const uint64_t expire_ms = job->header.expire_ms;
    value->found = SORT_ABSENT;
    if (job->status != ST_OK || (expire_ms != 0 && expire_ms <= call->view->now_ms))
        return;
    take_value(call, &read->pattern, &job->value, value);
}
