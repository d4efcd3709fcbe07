/*
 * cold_support.h: a tier in a directory of its own, and short ways to put into and read from it.
 */
#ifndef COLD_SUPPORT_H
#define COLD_SUPPORT_H

#include "storage/cold.h"
#include "test_main.h"

#define SPACE 7

struct tier {
    const char *directory;
    struct cold_options options;
    struct cold *cold;
};
void tier_open(struct tier *tier);
/* In this directory, which may hold a tier already. */
void tier_open_at(struct tier *tier, const char *directory);
void tier_reopen(struct tier *tier);
void tier_close(struct tier *tier);

/* "prefix" and a number. The text lives in a static ring of 64. */
struct key key_numbered(const char *prefix, unsigned number);
struct key key_text(const char *text);
/* size bytes, begins with `first`; the caller frees the data. */
struct key key_long(size_t size, char first, char last);

/* Bytes that do not compress, or do well; the caller deinits. */
struct buf payload_random(size_t size, uint64_t seed);
struct buf payload_text(size_t size);

extern const struct cold_header raw_header;
struct cold_header header_expiring(uint64_t expire_ms);

void must_put(struct cold_txn *txn, const struct key *key, const struct cold_header *header,
    struct slice payload);
struct cold_txn *must_begin(struct cold *cold);
void must_commit(struct cold_txn *txn);
/* In transactions of their own. */
void put_one(struct cold *cold, const struct key *key, const struct cold_header *header,
    struct slice payload);
void delete_one(struct cold *cold, const struct key *key);

/* Read on the calling thread; the caller deinits the job. */
struct cold_job read_job(struct cold *cold, enum cold_job_kind kind, const struct key *key);
enum status read_status(struct cold *cold, const struct key *key);
void assert_value(struct cold *cold, const struct key *key, struct slice payload);
void assert_absent(struct cold *cold, const struct key *key);

/* Entries of LMDB's tables, as committed. */
size_t count_entries(struct cold *cold, char table);
/* Changes the committed bytes of a record; `change` gets a copy that it may alter in place. */
void tamper(struct cold *cold, const struct key *key,
    void (*change)(void *context, uint8_t *bytes, size_t size), void *context);
/* Copies the committed bytes; the caller deinits. */
struct buf stored_bytes(struct cold *cold, const struct key *key);
/* Stores bytes under a key, without any check. */
void store_bytes(struct cold *cold, const struct key *key, struct slice bytes);
void reclaim_all(struct cold *cold, size_t record_max);

#endif
