/*
 * snapshot_internal.h: what the files of storage/snapshot share: readers of the pieces that payloads are made of.
 */
#ifndef STORAGE_SNAPSHOT_INTERNAL_H
#define STORAGE_SNAPSHOT_INTERNAL_H

#include "base/slice.h"
#include "base/status.h"
#include "storage/snapshot.h"
#include "storage/tree.h"
#include "storage/value.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* First byte of a payload. Numbers of Redis's rdb.h; those missing are modules', or were never used. */
enum rdb_type {
    RDB_STRING = 0,
    RDB_LIST = 1,
    RDB_SET = 2,
    RDB_ZSET = 3, /* scores as text */
    RDB_HASH = 4,
    RDB_ZSET_2 = 5, /* scores as 8 bytes */
    RDB_HASH_ZIPMAP = 9,
    RDB_LIST_ZIPLIST = 10,
    RDB_SET_INTSET = 11,
    RDB_ZSET_ZIPLIST = 12,
    RDB_HASH_ZIPLIST = 13,
    RDB_LIST_QUICKLIST = 14, /* of ziplists */
    RDB_STREAM_LISTPACKS = 15,
    RDB_HASH_LISTPACK = 16,
    RDB_ZSET_LISTPACK = 17,
    RDB_LIST_QUICKLIST_2 = 18, /* of listpacks and single elements */
    RDB_STREAM_LISTPACKS_2 = 19,
    RDB_SET_LISTPACK = 20,
    RDB_STREAM_LISTPACKS_3 = 21,
    RDB_HASH_METADATA_OLD = 22, /* of release candidates: times are absolute */
    RDB_HASH_LISTPACK_EX_OLD = 23,
    RDB_HASH_METADATA = 24, /* fields with expiry: ttl, field, value */
    RDB_HASH_LISTPACK_EX = 25,
};

/* --- LZF (lzf.c) ------------------------------------------------------------------------------------------- */

/* 3 bytes can mean 264. */
#define LZF_RATIO_MAX 88
/* Exactly out_size bytes come out of exactly these; else ST_CORRUPT. */
MUST_USE enum status lzf_decompress(struct slice in, char *out, size_t out_size);

/* --- lengths, strings, numbers (rdb_read.c) ------------------------------------------------------------------ */

/* Memory for a string that is not in the payload as it is (compressed, a number). Zero-initialised is empty. */
struct rdb_scratch {
    char *data;
    size_t capacity;
};
void rdb_scratch_deinit(struct rdb_scratch *scratch);

/* All of them: ST_OK; ST_CORRUPT: it is not there; ST_NO_MEMORY (strings). */
MUST_USE enum status rdb_read_length(struct reader *reader, uint64_t *length);
/* The bytes of a string in any of its forms; they lie in the payload or in scratch. */
MUST_USE enum status rdb_read_string(
    struct reader *reader, struct rdb_scratch *scratch, struct slice *bytes);
MUST_USE enum status rdb_read_text_double(struct reader *reader, double *value);
MUST_USE enum status rdb_read_binary_double(struct reader *reader, double *value);
/* Signed milliseconds, 8 bytes. */
MUST_USE enum status rdb_read_time(struct reader *reader, int64_t *ms);

/* --- packed sequences (packed.c) ------------------------------------------------------------------------------- */

enum packed_kind { PACKED_ZIPLIST, PACKED_LISTPACK, PACKED_INTSET, PACKED_ZIPMAP };

/* A walk over the elements that one string holds. Whatever the bytes are, it stays inside them. */
struct packed {
    enum packed_kind kind;
    struct reader reader; /* at the next element */
    bool counted;         /* the header says how many there are */
    uint64_t count_left;
    /* ziplist */
    uint32_t size_before;         /* of the element before, 0 at the first */
    uint32_t offset, offset_last; /* of the element before; of the last one, as the header says */
    /* intset */
    unsigned width;
    bool has_before;
    int64_t before;
    /* zipmap: the next string is a value */
    bool at_value;
};
/* ST_OK, ST_CORRUPT. Elements borrow from the bytes. */
MUST_USE enum status packed_open(struct packed *packed, enum packed_kind kind, struct slice bytes);
/* ST_OK; ST_END: there was no more, and everything is as it must be; ST_CORRUPT. A zipmap gives field, value, field ... */
MUST_USE enum status packed_next(struct packed *packed, struct element *element);

/* --- streams (stream_decode.c, stream_encode.c) ---------------------------------------------------------------------- */

MUST_USE enum status rdb_decode_stream(
    enum rdb_type type, struct reader *reader, struct value_object **object);
/* In the first form, behind the type byte. */
void rdb_encode_stream(const struct value *value, struct buf *out);

/* --- writing (encode.c) -------------------------------------------------------------------------------------------- */

void rdb_write_length(struct buf *out, uint64_t length);
void rdb_write_string(struct buf *out, struct slice bytes);

#endif
