add_fuzz_target(dict
  SOURCES ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_dict.c
  DEPS dict tree value)
