add_fuzz_target(cold_record
  SOURCES ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_cold_record.c
  DEPS cold lib_lmdb lib_zstd
  INCLUDE_PRIVATE storage/cold)
