/*
 * fuzz_setup.h: the interface between a fuzz target and what drives it; the names are libFuzzer's.
 */
#ifndef FUZZ_SETUP_H
#define FUZZ_SETUP_H

#include <stddef.h>
#include <stdint.h>

/* Written by each target: must survive any input; returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argument_count, char ***arguments);

#endif
