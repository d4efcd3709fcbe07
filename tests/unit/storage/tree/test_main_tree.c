/*
 * test_main_tree.c: all groups.
 */
#include "test_main.h"

void element_group(TCase *tests);
void model_group(TCase *tests);
void scan_group(TCase *tests);
void shape_group(TCase *tests);

TEST_MAIN_GROUPS("tree", element_group, model_group, scan_group, shape_group)
