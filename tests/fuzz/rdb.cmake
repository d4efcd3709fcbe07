add_fuzz_target(rdb
  SOURCES ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_rdb.c
  DEPS snapshot value list dict set zset stream)
