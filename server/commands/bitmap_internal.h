/*
 * bitmap_internal.h: what the files of the bitmap commands share: strings as rows of bits, the first bit being the highest of the first byte.
 */
#ifndef SERVER_BITMAP_INTERNAL_H
#define SERVER_BITMAP_INTERNAL_H

#include "commands_internal.h"

/* --- a string being read and changed (bitmap_string.c) ------------------------------------------------------------ */

enum bitmap_place {
    BITMAP_UNCHANGED,
    BITMAP_IN_RECORD, /* the record's own bytes are being changed */
    BITMAP_ON_STACK,  /* a copy, in small_bytes */
    BITMAP_IN_BLOB,   /* a copy, in new_blob */
};
struct bitmap {
    struct command_call *call;
    struct hot_record *record; /* NULL: absent */
    const uint8_t *bytes;      /* as they are now */
    size_t size;
    /* private */
    enum bitmap_place place;
    uint8_t *writable;
    size_t external_bytes;
    struct value value;
    struct blob *new_blob;
    char scratch[24];
    char small_bytes[VALUE_INLINE_SIZE_MAX];
};
/*
 * Opens the string at keys[0]; an absent one is empty. False: WRONGTYPE was replied. To be closed if it is written to.
 */
MUST_USE bool bitmap_open(
    struct command_call *call, enum keyspace_access access, struct bitmap *bitmap);
/*
 * The bytes, to be changed: at least size_min of them, new ones zero; they are bitmap->bytes from now on. NULL: memory is out, an error was
 * replied and nothing has changed. Further calls must not ask for more bytes.
 */
MUST_USE uint8_t *bitmap_write(struct bitmap *bitmap, size_t size_min);
/* Stores what was written, if anything was. Logs and publishes nothing. */
void bitmap_close(struct bitmap *bitmap);

/*
 * The argument as the number of a bit; `width` is that of the field for "#<index>" (BITFIELD), or 0. A string that ends with that bit
 * may exist. False: an error was replied.
 */
MUST_USE bool bitmap_offset(
    struct command_call *call, int argument, unsigned width, uint64_t *offset);

/* Says that an offset is none, or too great. */
void bitmap_reply_bad_offset(struct command_call *call);

/* --- handlers ------------------------------------------------------------------------------------------------------ */

/* bitmap.c */
enum tier_need bitop_need(int argc, const struct slice *argv, size_t index);
void cmd_setbit(struct command_call *call);
void cmd_getbit(struct command_call *call);
void cmd_bitop(struct command_call *call);
/* bitmap_count.c */
void cmd_bitcount(struct command_call *call);
void cmd_bitpos(struct command_call *call);
/* bitmap_field.c */
void cmd_bitfield(struct command_call *call);
void cmd_bitfield_ro(struct command_call *call);

#endif
