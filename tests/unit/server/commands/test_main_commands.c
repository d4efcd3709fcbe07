/*
 * The parsers and computations of the commands, without a server.
 */
#include "test_main.h"

void arguments_group(TCase *tests);
void hyperloglog_group(TCase *tests);
void lcs_group(TCase *tests);
void string_number_group(TCase *tests);
void string_options_group(TCase *tests);

TEST_MAIN_GROUPS("server.commands", arguments_group, hyperloglog_group, lcs_group,
    string_number_group, string_options_group)
