/*
 * cold_chunk.c: large values and keys in pieces of one page.
 *
 * A chunk's key is the generation (u64 BE) ‖ its number (u32 BE), so the chunks of a generation are neighbours. 4 080 bytes fill
 * exactly one overflow page: longer runs would need contiguous free pages, which a fragmented file does not have (a put
 * of 1 MiB: 10 ms and +210 MiB of file as one run, 0.3 ms and nothing as single pages).
 *
 * The map has no readahead, so a reader first collects the addresses of 64 chunks (that touches leaves only), tells the
 * kernel to read those pages all at once, and then copies.
 */
#include "base/check.h"
#include "base/mem.h"
#include "cold_internal.h"

#include <sys/mman.h>

enum { READ_AHEAD_CHUNKS = 64 };

struct cold_chunk_key cold_chunk_key(uint64_t generation, uint32_t number)
{
    struct cold_chunk_key key = {0};
    cold_put_be64(key.bytes, generation);
    cold_put_be32(key.bytes + 8, number);
    return key;
}

int cold_chunks_put(MDB_txn *txn, MDB_dbi table, uint64_t generation, uint32_t number,
    struct slice bytes, bool append)
{
    size_t offset = 0;
    while (offset < bytes.size) {
        const size_t left = bytes.size - offset;
        const size_t size = left < COLD_PAGE_VALUE_MAX ? left : COLD_PAGE_VALUE_MAX;
        const struct cold_chunk_key chunk_key = cold_chunk_key(generation, number);
        MDB_val key = cold_val(chunk_key.bytes, sizeof(chunk_key.bytes));
        MDB_val value = cold_val(bytes.data + offset, size);
        const int code = mdb_put(txn, table, &key, &value, append ? MDB_APPEND : 0);
        if (code != MDB_SUCCESS)
            return code;
        offset += size;
        number++;
    }
    return MDB_SUCCESS;
}

int cold_chunks_delete(
    MDB_txn *txn, MDB_dbi table, uint64_t generation, uint64_t count_max, uint64_t *count)
{
    *count = 0;
    MDB_cursor *cursor;
    int code = cold_cursor_open(txn, table, &cursor);
    if (code != MDB_SUCCESS)
        return code;
    const struct cold_chunk_key first = cold_chunk_key(generation, 0);
    MDB_val key = cold_val(first.bytes, sizeof(first.bytes));
    MDB_val value;
    code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (code == MDB_SUCCESS && *count < count_max) {
        if (key.mv_size != sizeof(first.bytes) || cold_get_be64(key.mv_data) != generation)
            break;
        code = mdb_cursor_del(cursor, 0);
        if (code != MDB_SUCCESS)
            break;
        (*count)++;
        /* After a deletion the cursor stands on the next entry, and NEXT does not skip it. */
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

/* One call for each run of neighbouring pages. Without effect on pages that are in memory. */
static void read_ahead(const struct cold *cold, const struct slice *chunks, size_t count)
{
    if (count < 2)
        return;
    const uintptr_t mask = ~(uintptr_t)(cold->page_size - 1);
    uintptr_t start = (uintptr_t)chunks[0].data & mask;
    uintptr_t end = start + cold->page_size;
    for (size_t index = 1; index <= count; index++) {
        const uintptr_t page = index < count ? (uintptr_t)chunks[index].data & mask : 0;
        if (page == end) {
            end += cold->page_size;
            continue;
        }
        (void)madvise((void *)start, end - start, MADV_WILLNEED);
        start = page;
        end = page + cold->page_size;
    }
}

enum status cold_chunks_read(struct cold *cold, MDB_txn *txn, uint64_t generation, uint32_t first,
    uint64_t size, cold_chunk_fn visit, void *context)
{
    struct slice batch[READ_AHEAD_CHUNKS];
    const uint32_t count = cold_chunk_count(size);
    for (uint32_t start = 0; start < count; start += READ_AHEAD_CHUNKS) {
        const uint32_t part = count - start < READ_AHEAD_CHUNKS ? count - start : READ_AHEAD_CHUNKS;
        for (uint32_t index = 0; index < part; index++) {
            const uint64_t left = size - (uint64_t)(start + index) * COLD_PAGE_VALUE_MAX;
            const struct cold_chunk_key chunk_key =
                cold_chunk_key(generation, first + start + index);
            MDB_val key = cold_val(chunk_key.bytes, sizeof(chunk_key.bytes));
            MDB_val value;
            const int code = mdb_get(txn, cold->chunks, &key, &value);
            if (code == MDB_NOTFOUND)
                return ST_CORRUPT;
            if (code != MDB_SUCCESS)
                return cold_env_status(cold, code, NULL, "cannot read");
            if (value.mv_size != (left < COLD_PAGE_VALUE_MAX ? left : COLD_PAGE_VALUE_MAX))
                return ST_CORRUPT;
            batch[index] = cold_val_slice(value);
        }
        read_ahead(cold, batch, part);
        for (uint32_t index = 0; index < part; index++) {
            if (!visit(context, batch[index]))
                return ST_CORRUPT;
        }
    }
    return ST_OK;
}

static bool append_chunk(void *context, struct slice chunk)
{
    struct buf *const buf = context;
    CHECK(buf->capacity - buf->size >= chunk.size);
    memcpy(buf->data + buf->size, chunk.data, chunk.size);
    buf->size += chunk.size;
    return true;
}

static enum status read_chunked_key(
    struct cold *cold, MDB_txn *txn, const struct cold_record *record, struct buf *scratch)
{
    buf_clear(scratch);
    if (scratch->capacity < record->key_size) {
        char *const data = mem_try_realloc(scratch->data, record->key_size);
        if (data == NULL)
            return ST_NO_MEMORY;
        scratch->data = data;
        scratch->capacity = record->key_size;
    }
    return cold_chunks_read(cold, txn, record->generation, cold_record_chunk_count(record),
        record->key_size, append_chunk, scratch);
}

enum status cold_full_key(struct cold *cold, MDB_txn *txn, struct slice stored,
    const struct cold_record *record, struct buf *scratch, struct slice *key)
{
    const uint32_t space = cold_key_space(stored);
    const bool is_long = (record->flags & COLD_RECORD_LONG_KEY) != 0;
    if (is_long != cold_key_stored_long(stored))
        return ST_CORRUPT;
    if (!is_long) {
        *key = slice_of(stored.data + COLD_SPACE_SIZE, stored.size - COLD_SPACE_SIZE);
    } else if ((record->flags & COLD_RECORD_KEY_CHUNKED) == 0) {
        *key = record->key;
    } else {
        const enum status status = read_chunked_key(cold, txn, record, scratch);
        if (status != ST_OK)
            return status;
        *key = buf_slice(scratch);
    }
    return cold_record_header_valid(record, *key, space) ? ST_OK : ST_CORRUPT;
}

/* Where the chunks of a payload go. */
struct sink {
    struct hash_stream *sum;
    char *out;
    size_t size;
    struct cold_inflate *inflate; /* NULL: not compressed */
};

static bool sink_chunk(void *context, struct slice chunk)
{
    struct sink *const sink = context;
    hash_stream_update(sink->sum, chunk.data, chunk.size);
    if (sink->inflate != NULL)
        return cold_inflate_piece(sink->inflate, chunk);
    memcpy(sink->out + sink->size, chunk.data, chunk.size);
    sink->size += chunk.size;
    return true;
}

enum status cold_payload_read(
    struct cold_reader *reader, const struct cold_record *record, char *out)
{
    const bool compressed = (record->flags & COLD_RECORD_COMPRESSED) != 0;
    ZSTD_DCtx *const dctx = compressed ? cold_reader_context(reader) : NULL;
    if ((record->flags & COLD_RECORD_CHUNKED) == 0)
        return cold_record_payload(record, dctx, out);
    struct cold_inflate inflate = {.raw_size = 0};
    const size_t raw_size = (size_t)record->header.value_size;
    hash_stream_reset(reader->sum, 0);
    if (compressed)
        cold_inflate_begin(&inflate, dctx, out, raw_size);
    struct sink sink = {.sum = reader->sum, .out = out, .inflate = compressed ? &inflate : NULL};
    const enum status status = cold_chunks_read(
        reader->cold, reader->txn, record->generation, 0, record->stored_size, sink_chunk, &sink);
    if (status != ST_OK)
        return status;
    if ((compressed ? inflate.done : sink.size) != raw_size)
        return ST_CORRUPT;
    return (uint32_t)hash_stream_digest(reader->sum) == record->payload_sum ? ST_OK : ST_CORRUPT;
}
