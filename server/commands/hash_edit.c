/*
 * hash_edit.c: hashes found, changed, stored and deleted; and the effects that are logged.
 *
 *   open ──► (purge: fields met that are over) ──► change ──► dict_*() ──► close
 *                    └─ HDEL, "hexpired"            │                       ├─ new: stored
 *                                                   └─ image saved          └─ empty: deleted, "del"
 */
#include "base/check.h"
#include "base/mem.h"
#include "hash_internal.h"

/* Fields that are over, removed beside those that a command names. */
#define PURGE_OTHERS_MAX 16

uint64_t hash_now_ms(const struct command_call *call)
{
    return call->view->replay ? 0 : call->view->now_ms;
}

bool hash_open(struct command_call *call, enum keyspace_access access, struct hash_edit *edit)
{
    *edit = (struct hash_edit){.call = call};
    if (!command_find_typed(call, 0, access, VALUE_HASH, &edit->record))
        return false;
    if (edit->record != NULL) {
        const struct value value = hot_record_value(edit->record);
        edit->dict = dict_of(&value);
    }
    return true;
}

void hash_change(struct hash_edit *edit)
{
    if (edit->is_changing)
        return;
    edit->is_changing = true;
    if (edit->dict == NULL) {
        edit->dict = dict_create();
        return;
    }
    const struct value value = hot_record_value(edit->record);
    edit->external_bytes = value_external_bytes(&value);
    keyspace_edit_begin(edit->call->view, &edit->call->keys[0], edit->record);
}

static void store_new(struct hash_edit *edit)
{
    if (dict_count(edit->dict) == 0) {
        dict_destroy(edit->dict);
        edit->dict = NULL;
        return;
    }
    edit->record =
        keyspace_set(edit->call->view, &edit->call->keys[0], NULL, dict_value(edit->dict), 0);
}

void hash_close(struct hash_edit *edit)
{
    struct keyspace_view *const view = edit->call->view;
    const struct key *const key = &edit->call->keys[0];
    if (!edit->is_changing)
        return;
    edit->is_changing = false;
    if (edit->record == NULL) {
        store_new(edit);
        return;
    }
    keyspace_edit_end(view, key, edit->record, edit->external_bytes);
    if (dict_count(edit->dict) > 0)
        return;
    keyspace_delete(view, key, edit->record);
    edit->record = NULL;
    edit->dict = NULL;
    keyspace_notify(view, EVENT_GENERIC, "del", key);
}

/* --- fields that are over ------------------------------------------------------------------------------------------ */

/* Names of fields that leave, copied. */
struct leaving {
    struct buf names;
    size_t ends[PURGE_OTHERS_MAX];
    size_t count;
};

static void note_leaving(void *context, struct slice field)
{
    struct leaving *const leaving = context;
    CHECK(leaving->count < PURGE_OTHERS_MAX);
    buf_append_slice(&leaving->names, field);
    leaving->ends[leaving->count++] = leaving->names.size;
}

static void add_leaving(struct hash_effect *effect, const struct leaving *leaving)
{
    size_t start = 0;
    for (size_t i = 0; i < leaving->count; i++) {
        hash_effect_field(effect, slice_of(leaving->names.data + start, leaving->ends[i] - start));
        start = leaving->ends[i];
    }
}

void hash_purge(struct hash_edit *edit, const struct hash_fields *fields, bool others)
{
    struct command_call *const call = edit->call;
    const uint64_t now_ms = hash_now_ms(call);
    if (edit->dict == NULL || likely(!dict_has_over(edit->dict, now_ms)))
        return;
    struct hash_effect effect;
    struct leaving leaving = {0};
    hash_effect_init(&effect, call, "HDEL", (size_t)fields->count + PURGE_OTHERS_MAX, 1);
    for (int i = 0; i < fields->count; i++) {
        const struct slice name = hash_field_name(call, fields, i);
        const struct element field = element_of(name);
        if (dict_presence(edit->dict, &field, now_ms) != DICT_OVER)
            continue;
        hash_change(edit);
        (void)dict_remove(edit->dict, &field);
        hash_effect_field(&effect, name);
    }
    if (others && dict_has_over(edit->dict, now_ms)) {
        hash_change(edit);
        (void)dict_expire(edit->dict, now_ms, PURGE_OTHERS_MAX, note_leaving, &leaving);
        add_leaving(&effect, &leaving);
    }
    if (effect.field_count > 0) {
        keyspace_count_parts(call->view, effect.field_count);
        keyspace_notify(call->view, EVENT_HASH, "hexpired", &call->keys[0]);
    }
    hash_close(edit);
    hash_effect_end(&effect, call);
    buf_deinit(&leaving.names);
}

bool hash_open_fields(
    struct command_call *call, const struct hash_fields *fields, struct hash_edit *edit)
{
    if (!hash_open(call, KEYSPACE_WRITE, edit))
        return false;
    hash_purge(edit, fields, true);
    return true;
}

bool hash_sizes_are_fine(struct command_call *call, int first)
{
    for (int i = first; i < call->argc; i++) {
        if (unlikely(call->argv[i].size > ELEMENT_SIZE_MAX)) {
            reply_error(call->reply, REPLY_STRING_TOO_LONG);
            return false;
        }
    }
    return true;
}

/* --- effects --------------------------------------------------------------------------------------------------------- */

/* Name, key, time's word and time, "FIELDS", number. */
#define EFFECT_WORDS_MAX 6

void hash_effect_init(struct hash_effect *effect, struct command_call *call, const char *name,
    size_t field_max, size_t width)
{
    *effect = (struct hash_effect){
        .args = mem_alloc((EFFECT_WORDS_MAX + field_max * width) * sizeof(struct slice))};
    hash_effect_word(effect, slice_text(name));
    hash_effect_word(effect, key_slice(&call->keys[0]));
}

void hash_effect_word(struct hash_effect *effect, struct slice word)
{
    effect->args[effect->count++] = word;
}

void hash_effect_time(struct hash_effect *effect, uint64_t expire_ms)
{
    hash_effect_word(effect, slice_of(effect->time, uint64_to_text(expire_ms, effect->time)));
}

void hash_effect_fields(struct hash_effect *effect)
{
    hash_effect_word(effect, SLICE_LITERAL("FIELDS"));
    effect->number_at = effect->count;
    hash_effect_word(effect, slice_of("", 0));
}

void hash_effect_field(struct hash_effect *effect, struct slice field)
{
    hash_effect_word(effect, field);
    effect->field_count++;
}

void hash_effect_end(struct hash_effect *effect, struct command_call *call)
{
    if (effect->number_at != 0)
        effect->args[effect->number_at] =
            slice_of(effect->number, uint64_to_text(effect->field_count, effect->number));
    if (effect->field_count > 0)
        keyspace_log_args(call->view, &call->keys[0], 1, effect->args, effect->count);
    mem_free(effect->args);
    effect->args = NULL;
}
