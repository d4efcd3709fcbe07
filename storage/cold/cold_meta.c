/*
 * cold_meta.c: named values of the store itself: X, its id, name spaces, counts, the hot list.
 *
 * A value is cut in pieces of at most 4 000 bytes, so that none takes more than a page. Entries of m:
 *
 *   name ‖ 0 ‖ number (u32 BE)   0: size (u64 BE) ‖ sum (u64 BE: XXH3-64 of the value, seeded by XXH3-64 of the name)
 *                                1, 2 ...: the pieces
 */
#include "base/check.h"
#include "cold_internal.h"

#define NAME_SIZE_MAX  ((size_t)100)
#define PIECE_SIZE     ((size_t)4000)
#define VALUE_SIZE_MAX ((size_t)16 * 1024 * 1024)

enum { HEAD_SIZE = 16 };

struct meta_key {
    size_t size;
    uint8_t bytes[NAME_SIZE_MAX + 5];
};

static void encode_key(const char *name, uint32_t number, struct meta_key *key)
{
    const size_t size = strlen(name);
    CHECK(size > 0);
    CHECK(size <= NAME_SIZE_MAX);
    memcpy(key->bytes, name, size + 1);
    cold_put_be32(key->bytes + size + 1, number);
    key->size = size + 5;
}

static uint64_t sum_of(const char *name, struct slice value)
{
    return hash_sum64(value.data, value.size, hash_sum64(name, strlen(name), 0));
}

static int put_piece(
    struct cold *cold, MDB_txn *txn, const char *name, uint32_t number, struct slice piece)
{
    struct meta_key key;
    encode_key(name, number, &key);
    MDB_val name_val = cold_val(key.bytes, key.size);
    MDB_val value_val = cold_val(piece.data, piece.size);
    return mdb_put(txn, cold->meta, &name_val, &value_val, 0);
}

int cold_meta_write(struct cold *cold, MDB_txn *txn, const char *name, struct slice value)
{
    CHECK(value.size <= VALUE_SIZE_MAX);
    uint8_t head[HEAD_SIZE];
    cold_put_be64(head, value.size);
    cold_put_be64(head + 8, sum_of(name, value));
    uint32_t number = 0;
    int code = put_piece(cold, txn, name, number++, slice_of(head, sizeof(head)));
    for (size_t offset = 0; code == MDB_SUCCESS && offset < value.size; offset += PIECE_SIZE) {
        const size_t left = value.size - offset;
        code = put_piece(cold, txn, name, number++,
            slice_of(value.data + offset, left < PIECE_SIZE ? left : PIECE_SIZE));
    }
    /* What a longer value before it has left. */
    while (code == MDB_SUCCESS) {
        struct meta_key key;
        encode_key(name, number++, &key);
        MDB_val name_val = cold_val(key.bytes, key.size);
        code = mdb_del(txn, cold->meta, &name_val, NULL);
    }
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

static int get_piece(
    struct cold *cold, MDB_txn *txn, const char *name, uint32_t number, MDB_val *value)
{
    struct meta_key key;
    encode_key(name, number, &key);
    MDB_val name_val = cold_val(key.bytes, key.size);
    return mdb_get(txn, cold->meta, &name_val, value);
}

static enum status damaged(struct cold *cold, const char *name, struct error *error)
{
    cold_report_damage(cold, "meta value");
    return error_set(error, ST_CORRUPT, 0, "%s: the value %s is damaged", cold->data_path, name);
}

enum status cold_meta_read(
    struct cold *cold, MDB_txn *txn, const char *name, struct buf *value, struct error *error)
{
    MDB_val piece;
    uint32_t number = 0;
    int code = get_piece(cold, txn, name, number++, &piece);
    if (code == MDB_NOTFOUND)
        return ST_NOT_FOUND;
    if (code != MDB_SUCCESS)
        return cold_env_status(cold, code, error, "cannot read");
    if (piece.mv_size != HEAD_SIZE)
        return damaged(cold, name, error);
    const uint64_t size = cold_get_be64(piece.mv_data);
    const uint64_t sum = cold_get_be64((const uint8_t *)piece.mv_data + 8);
    if (size > VALUE_SIZE_MAX)
        return damaged(cold, name, error);
    const size_t before = value->size;
    while (value->size - before < size) {
        code = get_piece(cold, txn, name, number++, &piece);
        if (code != MDB_SUCCESS && code != MDB_NOTFOUND) {
            value->size = before;
            return cold_env_status(cold, code, error, "cannot read");
        }
        if (code == MDB_NOTFOUND || piece.mv_size == 0 || piece.mv_size > PIECE_SIZE)
            break;
        buf_append(value, piece.mv_data, piece.mv_size);
    }
    const size_t got = value->size - before;
    if (got != size ||
        sum_of(name, slice_of(value->data == NULL ? "" : value->data + before, got)) != sum) {
        value->size = before;
        return damaged(cold, name, error);
    }
    return ST_OK;
}

struct meta_get {
    struct cold *cold;
    struct cold_reader *reader;
    const char *name;
    struct buf *value;
    struct error *error;
    enum status status;
};

static void get_guarded(void *context)
{
    struct meta_get *const get = context;
    get->status = cold_meta_read(get->cold, get->reader->txn, get->name, get->value, get->error);
}

enum status cold_meta_get(
    struct cold *cold, const char *name, struct buf *value, struct error *error)
{
    CHECK_MAY_BLOCK();
    const size_t before = value->size;
    struct meta_get get = {
        .cold = cold,
        .reader = cold_reader_borrow(cold),
        .name = name,
        .value = value,
        .error = error,
    };
    get.status = cold_reader_begin(get.reader, error);
    if (get.status == ST_OK) {
        const enum cold_guard_result result = cold_guard_run(COLD_GUARD_READ, get_guarded, &get);
        if (result != COLD_GUARD_OK) {
            value->size = before;
            cold_report_damage(cold, "page");
            get.status = cold_guard_status(cold, result, error, "cannot read");
        }
        cold_reader_drop(get.reader);
        cold_reader_end(get.reader);
    }
    cold_reader_return(get.reader);
    return get.status;
}
