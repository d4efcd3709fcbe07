add_fuzz_target(zset
  SOURCES ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_zset.c
  DEPS zset
  INCLUDE_PRIVATE storage/zset)
