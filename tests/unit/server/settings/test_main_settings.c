/*
 * test_main_settings.c: all claims about the configuration.
 */
#include "test_main.h"

void settings_config_group(TCase *tests);
void settings_load_group(TCase *tests);
void settings_rewrite_group(TCase *tests);
void settings_table_group(TCase *tests);

TEST_MAIN_GROUPS("server.settings", settings_table_group, settings_load_group,
    settings_config_group, settings_rewrite_group)
