/*
 * test_main_stream.c: the program of the stream tests.
 */
#include "test_main.h"

void stream_tests(TCase *tests);
void stream_codec_tests(TCase *tests);
void stream_group_tests(TCase *tests);
void stream_model_tests(TCase *tests);

TEST_MAIN_GROUPS(
    "storage.stream", stream_tests, stream_codec_tests, stream_group_tests, stream_model_tests)
