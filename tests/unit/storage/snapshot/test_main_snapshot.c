/*
 * test_main_snapshot.c: all tests of storage/snapshot.
 */
#include "test_main.h"

void crc64_group(TCase *tests);
void lzf_group(TCase *tests);
void packed_group(TCase *tests);
void rdb_read_group(TCase *tests);
void snapshot_group(TCase *tests);
void snapshot_stream_group(TCase *tests);

TEST_MAIN_GROUPS("snapshot", crc64_group, lzf_group, packed_group, rdb_read_group, snapshot_group,
    snapshot_stream_group)
