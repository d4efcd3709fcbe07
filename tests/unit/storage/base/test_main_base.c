/*
 * test_main_base.c: the parts of base that need neither files nor threads.
 */
#include "test_main.h"

void buf_group(TCase *tests);
void clock_group(TCase *tests);
void glob_group(TCase *tests);
void hash_group(TCase *tests);
void log_group(TCase *tests);
void mem_group(TCase *tests);
void number_group(TCase *tests);
void random_group(TCase *tests);
void reader_group(TCase *tests);
void slice_group(TCase *tests);
void status_group(TCase *tests);

TEST_MAIN_GROUPS("base", buf_group, clock_group, glob_group, hash_group, log_group, mem_group,
    number_group, random_group, reader_group, slice_group, status_group)
