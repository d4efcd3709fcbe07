/*
 * resp_internal.h: what the files of resp share: the pool's pieces, the input of a connection, number text.
 *
 *   resp_pool.c    free lists of the pieces below          resp_output.c   chunks to vectors, written bytes
 *   resp_block.c   memory of an input: blocks, arrays      reply.c         replies to chunks
 *   resp_input.c   where to read to, what to give back     reply_number.c  numbers to text
 *   resp_parse.c   bytes to commands                       resp_log.c      commands to bytes and back
 *   resp_inline.c  lines to commands
 */
#ifndef RESP_INTERNAL_H
#define RESP_INTERNAL_H

#include "base/check.h"
#include "server/resp.h"

/* --- pieces of the pool ----------------------------------------------------------------------------- */

/* Received bytes. Pooled ones occupy RESP_BUFFER_SIZE in all, longer ones come from the allocator. */
struct resp_block {
    struct resp_block *next; /* in the pool, or in the input's list of kept blocks */
    size_t capacity;
    size_t size; /* bytes received */
    char data[];
};
#define RESP_BLOCK_CAPACITY (RESP_BUFFER_SIZE - sizeof(struct resp_block))

/* Argument arrays, handed out from the front. Pooled ones have RESP_ARRAY_CAPACITY slots. */
struct resp_array {
    struct resp_array *next;
    uint32_t used;
    uint32_t capacity;
    struct slice slots[];
};
#define RESP_ARRAY_SIZE ((size_t)2 * 1024)
#define RESP_ARRAY_CAPACITY \
    ((uint32_t)((RESP_ARRAY_SIZE - sizeof(struct resp_array)) / sizeof(struct slice)))

/* A bulk with an allocation of its own. */
struct resp_big {
    struct resp_big *next;
    struct blob *blob; /* NULL once the caller has taken it */
    size_t target;     /* bytes of the bulk and its line ending */
    int index;         /* in argv */
};

/* Output: first the bytes of the blob, if there is one, then data. */
struct resp_chunk {
    struct resp_chunk *next;
    struct blob *blob; /* a reference, or NULL */
    size_t blob_size;  /* bytes of it that belong to the output: all or none */
    size_t sent;       /* bytes of blob and data that are written already */
    uint32_t size;     /* bytes of data */
    uint32_t capacity;
    uint32_t open_count; /* deferred headers not filled in: nothing of the chunk may be written */
    bool pooled;
    char data[];
};
#define RESP_CHUNK_CAPACITY ((uint32_t)(RESP_BUFFER_SIZE - sizeof(struct resp_chunk)))
/* Data behind a blob: small, since its chunk is not pooled. */
#define RESP_BLOB_CHUNK_SIZE ((size_t)512)

struct resp_pool {
    struct resp_block *blocks;
    struct resp_array *arrays;
    struct resp_chunk *chunks;
    unsigned block_count, array_count, chunk_count;
    char sink[1024]; /* where an input without memory reads to, before it is closed */
};

struct resp_block *resp_block_borrow(struct resp_pool *pool);
/* NULL when memory is out. capacity exceeds RESP_BLOCK_CAPACITY. */
struct resp_block *resp_block_create(size_t capacity);
/* To the pool, or to the allocator if it is a long one. */
void resp_block_return(struct resp_pool *pool, struct resp_block *block);
struct resp_array *resp_array_borrow(struct resp_pool *pool);
void resp_array_return(struct resp_pool *pool, struct resp_array *array);
struct resp_chunk *resp_chunk_borrow(struct resp_pool *pool);
void resp_chunk_return(struct resp_pool *pool, struct resp_chunk *chunk);

/* --- the input of a connection ------------------------------------------------------------------------- */

/*
 * The command under way is [start, position) of the block, and its arguments so far are in the room behind the newest
 * array's used slots. Offsets, not addresses: the block may be replaced while nothing is handed out of it.
 */
struct resp_input {
    struct resp_pool *pool;
    struct resp_block *block;  /* NULL while there is nothing */
    struct resp_block *kept;   /* earlier blocks, which commands handed out point into */
    struct resp_array *arrays; /* newest first */
    size_t start;              /* first byte of the command under way */
    size_t position;           /* first byte not yet understood */
    size_t scanned;            /* before this offset there is no line end (0: not looked for) */

    int total;                 /* arguments announced; 0: between commands */
    int count;                 /* arguments complete */
    int64_t bulk_size;         /* of the argument under way; -1: its header is not complete */
    struct resp_big *reading;  /* the big bulk that bytes go to now */
    struct resp_big *bigs;     /* complete ones of the command under way, newest first */
    struct resp_big *bigs_out; /* of commands handed out */
    size_t big_bytes;          /* in bigs */

    const char *error; /* a protocol error was found: nothing more is parsed */
    char text[24];     /* of an error that names a byte */
    bool out;          /* commands are handed out */
    bool altered;      /* the command's bytes are not a canonical array: request is empty */
    bool out_of_memory;
};
static_assert(sizeof(struct resp_input) < 200, "there are tens of thousands of idle connections");

static inline struct slice *resp_input_argv(struct resp_input *input)
{
    return input->arrays->slots + input->arrays->used;
}

/* Room for the arguments of a command of `total` (a hint, at least 1): false when memory is out. */
MUST_USE bool resp_argv_begin(struct resp_input *input, int total);
/* Room for one more than input->count; at most `total` in all. */
MUST_USE bool resp_argv_grow(struct resp_input *input, int total);
/* Gives the arrays of finished commands back; keeps the one of the command under way. */
void resp_argv_release(struct resp_input *input);
/* Copies the command under way to `to`, which may be its own block, and lets its arguments follow. */
void resp_block_move(struct resp_input *input, struct resp_block *to);
/* Makes room in the block for `need` further bytes at least; false when memory is out. */
MUST_USE bool resp_block_room(struct resp_input *input, size_t need);
/* Starts input->reading for a bulk of input->bulk_size bytes, of which the block holds the beginning. */
MUST_USE bool resp_big_begin(struct resp_input *input);
/* Room in the blob that is read to. */
MUST_USE bool resp_big_grow(struct resp_big *big);
void resp_bigs_free(struct resp_big *bigs);

enum resp_step {
    STEP_DONE, /* the command is complete */
    STEP_SKIP, /* there was nothing in it */
    STEP_MORE,
    STEP_ERROR, /* input->error says what */
    STEP_FATAL,
};
/* The line at input->position, which does not begin with '*'. */
enum resp_step resp_parse_inline(struct resp_input *input);

/* --- text of numbers -------------------------------------------------------------------------------------- */

/* Decimal text at out (room for 20 bytes); returns its end. */
char *resp_write_uint64(char *out, uint64_t value);
char *resp_write_int64(char *out, int64_t value);
/* <type><value>\r\n: at most RESP_HEADER_MAX bytes. */
#define RESP_HEADER_MAX ((size_t)24)
static inline char *resp_write_header(char *out, char type, uint64_t value)
{
    *out++ = type;
    if (value < 10)
        *out++ = (char)('0' + value);
    else
        out = resp_write_uint64(out, value);
    *out++ = '\r';
    *out++ = '\n';
    return out;
}

#endif
