#include "test_main.h"

void view_group(TCase *tests);
void space_group(TCase *tests);
void watch_group(TCase *tests);
void scan_group(TCase *tests);
void walk_group(TCase *tests);
void expire_group(TCase *tests);

TEST_MAIN_GROUPS(
    "keyspace", view_group, space_group, watch_group, scan_group, walk_group, expire_group)
