/*
 * fuzz_setup.c: what a fuzz target needs before its first input, with libFuzzer and with fuzz_main.c.
 */
#include "fuzz_setup.h"

#include "base/hash.h"
#include "base/log.h"

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    hash_setup();
    log_level_set(LOG_ERROR);
    return 0;
}
