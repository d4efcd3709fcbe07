add_fuzz_target(stream
  SOURCES ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_stream.c
  DEPS stream value tree)
