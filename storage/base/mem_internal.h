/*
 * mem_internal.h: what mem.c and mem_map.c share.
 */
#ifndef BASE_MEM_INTERNAL_H
#define BASE_MEM_INTERNAL_H

#include <stdint.h>

/* Bytes committed through mem_map_commit() now. */
uint64_t mem_mapped_bytes(void);

#endif
