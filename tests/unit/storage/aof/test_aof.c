/*
 * test_aof.c: the runner; the claims are in the other files.
 */
#include "test_main.h"

void append_group(TCase *tests);
void failure_group(TCase *tests);
void frame_group(TCase *tests);
void reader_group(TCase *tests);
void segment_group(TCase *tests);
void threads_group(TCase *tests);

TEST_MAIN_GROUPS(
    "aof", frame_group, append_group, segment_group, reader_group, failure_group, threads_group)
