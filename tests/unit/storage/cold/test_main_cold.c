/*
 * test_main_cold.c: all tests of the cold tier in one program.
 */
#include "test_main.h"

/* Children that crash on purpose leave their threads behind. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "report_thread_leaks=0";
}

void record_group(TCase *tests);
void store_group(TCase *tests);
void walk_group(TCase *tests);
void fault_group(TCase *tests);
void reclaim_group(TCase *tests);
void filter_group(TCase *tests);
void pool_group(TCase *tests);

TEST_MAIN_GROUPS("cold", record_group, store_group, walk_group, fault_group, reclaim_group,
    filter_group, pool_group)
