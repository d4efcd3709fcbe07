/*
 * snapshot.h: values as Redis's RDB format has them: what DUMP gives and RESTORE takes.
 *
 *   payload = type (1 byte) ‖ value in that type's form ‖ version (2 bytes LE) ‖ CRC-64 (8 bytes LE) of all before
 *
 * Written: the plain form of every type and version 9, which every Redis since 5.0 and every Valkey reads. The one exception is a hash with
 * expiring fields, which has no such form: it is written as version 12, as Redis 7.4 does.
 * Read: versions 1 to 12, every encoding of every type (module values are refused). A payload is a stranger's bytes: each is checked, memory is
 * bounded by what the bytes present can mean, nothing recurses.
 *
 * Threads: any; all state is the caller's.
 */
#ifndef STORAGE_SNAPSHOT_H
#define STORAGE_SNAPSHOT_H

#include "base/slice.h"
#include "base/status.h"
#include "storage/value.h"

#include <stdint.h>

/* The newest version that is read. */
#define SNAPSHOT_VERSION_MAX 12
/* Version and checksum at the end of a payload. */
#define SNAPSHOT_FOOTER_SIZE ((size_t)10)

/* Appends the whole payload of the value. O(size). */
void snapshot_dump(const struct value *value, struct buf *out);
/* The same without the footer. Size of it is what DEBUG OBJECT calls serializedlength. */
void snapshot_encode(const struct value *value, struct buf *out);

enum snapshot_checking { SNAPSHOT_CHECK_SUM, SNAPSHOT_IGNORE_SUM };
/* Is this a payload of a known version, with a right checksum? ST_OK; ST_INVALID: no. Says nothing about the value. */
MUST_USE enum status snapshot_verify(struct slice payload, enum snapshot_checking checking);
/*
 * The value of a verified payload, owned by the caller (value_release()). Short strings borrow from *storage, which lives as long as the
 * value is needed; collections and long strings own their memory.
 *
 * ST_OK; ST_CORRUPT: nothing a server can have written, or an empty collection; ST_NO_MEMORY.
 */
MUST_USE enum status snapshot_restore(
    struct slice payload, struct buf *storage, struct value *value);

/* A sum of what the value holds, the same for equal contents in any encoding (DEBUG DIGEST). Stable for ever. O(size). */
#define SNAPSHOT_DIGEST_SIZE 20
void snapshot_digest(const struct value *value, uint8_t digest[SNAPSHOT_DIGEST_SIZE]);

/*
 * CRC-64 of Jones's polynomial, reflected, as Redis uses it; goes on from `sum` (0 at the start). Table-driven, 8 bytes a step.
 * After Ross Williams, A Painless Guide to CRC Error Detection Algorithms; slicing by Kounavis and Berry.
 */
uint64_t snapshot_crc64(uint64_t sum, const void *data, size_t size);

#endif
