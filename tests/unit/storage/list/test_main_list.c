/*
 * The list module's unit tests.
 */
#include "test_main.h"

void list_group(TCase *tests);
void codec_group(TCase *tests);
void model_group(TCase *tests);

TEST_MAIN_GROUPS("list", list_group, codec_group, model_group)
