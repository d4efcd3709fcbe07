/*
 * resp.h: the Redis protocol: requests from bytes, replies to bytes. RESP2, RESP3, inline commands.
 *
 * Knows no sockets, sessions or commands. Everything here is owned by one thread (a worker).
 */
#ifndef SERVER_RESP_H
#define SERVER_RESP_H

#include "base/compiler.h"
#include "base/slice.h"
#include "base/status.h"
#include "storage/value.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* --- requests ------------------------------------------------------------------------------------------ */

/* Limits in force for one connection now. */
struct resp_limits {
    uint64_t bulk_size_max;    /* proto-max-bulk-len */
    uint64_t query_buffer_max; /* client-query-buffer-limit */
    bool unauthenticated;      /* at most 10 arguments of 16 KiB */
};
#define RESP_INLINE_MAX         ((size_t)64 * 1024)
#define RESP_ARGUMENT_COUNT_MAX ((int64_t)INT32_MAX)
/* Bulks from this size on get an allocation of their own (a blob), read into directly. */
#define RESP_BIG_BULK ((size_t)32 * 1024)
/* Input buffers start with, and return to, this size. */
#define RESP_BUFFER_SIZE ((size_t)16 * 1024)

struct resp_input; /* the input of one connection: buffer, position, partial command */

/* Buffers and argument arrays shared by all connections of a worker. */
struct resp_pool;
struct resp_pool *resp_pool_create(void);
void resp_pool_destroy(struct resp_pool *pool);

struct resp_input *resp_input_create(struct resp_pool *pool);
void resp_input_destroy(struct resp_input *input);
/* Where to read(2) the next bytes to, and how many fit (at least 1). Commands handed out stay valid: never moves bytes that they use. */
char *resp_input_space(struct resp_input *input, size_t *room);
void resp_input_received(struct resp_input *input, size_t size);
/* Bytes received and not yet consumed (CLIENT LIST qbuf), and memory held. */
size_t resp_input_pending(const struct resp_input *input);
/* Bytes of commands handed out, which resp_input_release() would give back, and of those not looked at; without a long bulk that is coming in. */
size_t resp_input_held(const struct resp_input *input);
size_t resp_input_memory(const struct resp_input *input);

/* One command. argv points into the input's buffer and into the pool; valid until resp_input_release(). */
struct resp_command {
    int argc;
    struct slice *argv;
    struct slice
        request; /* the whole RESP array as received, for the log; empty for inline commands, big bulks */
    /*
     * An argument that came as a big bulk (the first, if there are several): its bytes are this blob's. It stays the
     * input's, which frees it at release, unless the caller takes it with resp_command_take_blob().
     */
    struct blob *blob;
    int blob_index;
    /* private */
    struct blob **blob_owner;
};
/* The blob with its only reference, which moves to the caller; NULL if there is none. argv stays valid as long as the blob. */
MUST_USE struct blob *resp_command_take_blob(struct resp_command *command);

enum resp_result {
    RESP_COMMAND, /* *command is filled in; argc >= 1 */
    RESP_MORE,    /* incomplete: read more */
    RESP_ERROR, /* protocol error: reply "-ERR Protocol error: <text>" after all earlier replies, then close */
    RESP_FATAL, /* close at once without a reply: query buffer limit, memory */
};
/*
 * The next whole command of the input. Incremental: bytes are looked at once even if a command of a million
 * arguments arrives in small pieces. Empty arrays and lines are skipped. On RESP_ERROR *text is a static string or the input's, exactly
 * Redis 7's; further calls give the same error, or RESP_FATAL.
 * Limits are those of the moment: while limits->unauthenticated, run each command before taking the next.
 */
enum resp_result resp_input_next(struct resp_input *input, const struct resp_limits *limits,
    struct resp_command *command, const char **text);
/* All commands handed out are finished: their bytes are consumed, the leftover may move, big buffers shrink. Frees untaken blobs. */
void resp_input_release(struct resp_input *input);
/*
 * The next word of a line (inline command, config file), in its grammar: blanks, "..." with escapes, '...'. Quotes are resolved
 * in place; *position ends behind the word. ST_OK, ST_END: no more; ST_INVALID: unbalanced quotes.
 */
MUST_USE enum status resp_next_word(char **position, const char *end, struct slice *word);
/* The first word is "POST" or "Host:" (HTTP on this port): the caller closes without reply. */
bool resp_is_http(const struct resp_command *command);

/* --- replies --------------------------------------------------------------------------------------------------- */

/*
 * Output of one connection: chunks of bytes and references to blobs (large values are not copied). Written with
 * resp_output_vectors() + writev(2) + resp_output_written().
 */
struct resp_output {
    int protocol;        /* 2 or 3 */
    bool muted;          /* CLIENT REPLY OFF or SKIP: nothing is added */
    size_t pending_size; /* bytes not yet written */
    size_t memory_size;  /* memory held, blobs included */
    /* private */
    struct resp_pool *pool;
    struct resp_chunk *head;
    struct resp_chunk *tail;
    uint64_t error_count;
    char error_code[24];
};
void resp_output_init(struct resp_output *output, struct resp_pool *pool);
void resp_output_deinit(struct resp_output *output);
/* At most `max` vectors of at most limit_bytes in all; returns how many. */
int resp_output_vectors(
    const struct resp_output *output, struct iovec *vectors, int max, size_t limit_bytes);
void resp_output_written(struct resp_output *output, size_t size);

void reply_raw(struct resp_output *output, const void *data, size_t size);
void reply_simple(struct resp_output *output, const char *text); /* +text */
void reply_ok(struct resp_output *output);
/*
 * "-<text>": text begins with its code ("ERR ..."). CR and LF inside become blanks, at the ends they go; under 1 000 bytes in all (no
 * reply injection). Counted even if muted.
 */
void reply_error(struct resp_output *output, const char *text);
void reply_error_format(struct resp_output *output, const char *format, ...) PRINTF_LIKE(2, 3);
void reply_integer(struct resp_output *output, int64_t value);
void reply_bulk(struct resp_output *output, struct slice bytes);
void reply_bulk_text(struct resp_output *output, const char *text);
void reply_bulk_integer(struct resp_output *output, int64_t value); /* as a bulk string */
/* A string value: without a copy when it is a blob (a reference is taken). */
void reply_value(struct resp_output *output, const struct value *value);
void reply_null(struct resp_output *output);       /* $-1 or _ */
void reply_null_array(struct resp_output *output); /* *-1 or _ */
void reply_array(struct resp_output *output, size_t count);
void reply_map(struct resp_output *output, size_t pair_count); /* RESP2: array of twice as many */
void reply_set(struct resp_output *output, size_t count);
void reply_push(struct resp_output *output, size_t count);
void reply_bool(struct resp_output *output, bool value); /* RESP2: 1 or 0 */
/* RESP2: bulk. The shortest text that reads back as the same number, as Redis 7.2: 3, 0.1, 1e+20, inf, -inf, nan. */
void reply_double(struct resp_output *output, double value);
/* That text; `out` has room for 32 bytes, no NUL is written; returns the length. */
size_t resp_double_to_text(double value, char *out);
/* RESP3 "=<n>\r\ntxt:...", RESP2 bulk. format: 3 letters. */
void reply_verbatim(struct resp_output *output, const char format[4], struct slice bytes);
/*
 * An array whose length is known later: begin remembers the place, end fills it in. They nest (last begun, first ended); nothing is
 * written to the client in between. type: '*', '%', '~', '>'; '%' with RESP2 becomes '*' of twice the count, others '*'.
 */
struct reply_deferred {
    struct resp_chunk *chunk; /* NULL if the output is muted */
    size_t offset;
};
struct reply_deferred reply_deferred_begin(struct resp_output *output);
void reply_deferred_end(
    struct resp_output *output, struct reply_deferred deferred, char type, size_t count);
/* Errors added so far (for statistics: "-" replies), and the code word of the last ("ERR", "WRONGTYPE"). */
uint64_t reply_error_count(const struct resp_output *output);
const char *reply_error_code(const struct resp_output *output); /* "" if there was none */

/* --- formatting commands (the log, tests) -------------------------------------------------------------------------- */

void resp_append_command(struct buf *buf, const struct slice *args, size_t count);
/*
 * Parses one command of RESP array form from trusted-format bytes (the log): ST_OK and *size consumed; ST_END: none left; ST_CORRUPT. argv must have room; grows *argv.
 */
MUST_USE enum status resp_read_command(
    struct slice bytes, struct slice **argv, int *argv_capacity, int *argc, size_t *size);

#endif
