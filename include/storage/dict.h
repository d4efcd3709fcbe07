/*
 * dict.h: the hash type: fields with values, and perhaps a time at which a field ends.
 *
 * A dict is made of trees:
 *
 *   fields     HASHED   field, value
 *   times      HASHED   field, expiry ms       of fields that have an expiry; made with the first of them
 *   deadlines  SORTED   expiry ms, field       the same rows by time, so that what is over is found without a search
 *
 * The dict knows no clock: callers say what time it is, 0 when time does not pass (replay). A field is over when now_ms is later than its
 * expiry. Fields that are over are still there until somebody removes them (dict_remove(), dict_expire()): dict_count() counts them,
 * dict_get() does not see them. The record of a hash whose fields are all over is its keyspace's to delete.
 *
 * Encoding: "listpack" ("listpackex" after the first expiry, as Redis 7.4) within value_limits, beyond them "hashtable", for good.
 *
 * A dict belongs to its record's stripe; snapshots to anybody.
 */
#ifndef STORAGE_DICT_H
#define STORAGE_DICT_H

#include "base/slice.h"
#include "base/status.h"
#include "storage/tree.h"
#include "storage/value.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The latest expiry of a field, ms since the epoch (Redis's: 46 bits). */
#define DICT_EXPIRE_MAX (((uint64_t)1 << 46) - 1)

/* Registers the class of VALUE_HASH. */
void dict_setup(void);

struct dict;
struct dict *dict_create(void);
/* Takes NULL. At once: values that are replaced go through value_release(). */
void dict_destroy(struct dict *dict);
/* The dict of a value of type VALUE_HASH; still the value's. */
struct dict *dict_of(const struct value *value);
/* The handle to be stored; ownership moves into it. */
struct value dict_value(struct dict *dict);

/* --- reading ----------------------------------------------------------------------------------------------------- */

enum value_encoding dict_encoding(const struct dict *dict);
/* Fields, those that are over included. */
uint64_t dict_count(const struct dict *dict);
/* Fields that are not over. O(log n) */
uint64_t dict_live_count(const struct dict *dict, uint64_t now_ms);
/* The least expiry of a field, 0 if none has one. O(log n) */
uint64_t dict_soonest_ms(const struct dict *dict);
/* The row's value, borrowed until the next change. False: no such field, or it is over. */
bool dict_get(
    const struct dict *dict, const struct element *field, uint64_t now_ms, struct element *value);
enum dict_presence { DICT_ABSENT, DICT_OVER, DICT_LIVE };
enum dict_presence dict_presence(
    const struct dict *dict, const struct element *field, uint64_t now_ms);
/* 0: it has none, or is not there. */
uint64_t dict_expire_ms(const struct dict *dict, const struct element *field);
/* For walks: rows of two elements, field and value, those that are over included: dict_is_over() tells them, if there are any. */
const struct tree *dict_fields(const struct dict *dict);
bool dict_has_over(const struct dict *dict, uint64_t now_ms);
bool dict_is_over(const struct dict *dict, const struct element *field, uint64_t now_ms);

/* --- changing ------------------------------------------------------------------------------------------------------ */

/* What becomes of a field's expiry when it gets another value. */
enum dict_keep { DICT_CLEAR_EXPIRY, DICT_KEEP_EXPIRY };
/* True if the field is new. Elements are copied; neither exceeds ELEMENT_SIZE_MAX. */
bool dict_set(struct dict *dict, const struct element *field, const struct element *value,
    enum dict_keep keep);
/* False: it was not there. */
bool dict_remove(struct dict *dict, const struct element *field);
/* Sets the expiry (0: none) of a field that is there; at most DICT_EXPIRE_MAX. */
void dict_expire_set(struct dict *dict, const struct element *field, uint64_t expire_ms);
/*
 * Removes fields that are over, soonest first, at most `max`. removed (may be NULL) gets the name of each before it goes. Returns how many.
 * O(log n) each.
 */
size_t dict_expire(
    struct dict *dict, uint64_t now_ms, size_t max, value_removed_fn removed, void *context);

/* --- images ---------------------------------------------------------------------------------------------------------- */

/* An object of its own with the same contents. O(1) */
struct dict *dict_snapshot(const struct dict *dict);
void dict_encode(const struct dict *dict, struct buf *out);
/* ST_OK; ST_CORRUPT: nothing that dict_encode() can have written; ST_NO_MEMORY. */
MUST_USE enum status dict_decode(enum value_encoding encoding, struct slice in, struct dict **dict);

/* Asserts all invariants; for tests. */
void dict_check(const struct dict *dict);

#endif
