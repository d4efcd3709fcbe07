/*
 * test_main_resp.c: all claims about the protocol.
 */
#include "test_main.h"

void reply_group(TCase *tests);
void resp_input_group(TCase *tests);
void resp_log_group(TCase *tests);
void resp_memory_group(TCase *tests);
void resp_protocol_group(TCase *tests);

TEST_MAIN_GROUPS("server.resp", resp_input_group, resp_protocol_group, resp_memory_group,
    reply_group, resp_log_group)
