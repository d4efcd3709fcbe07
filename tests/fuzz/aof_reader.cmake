add_fuzz_target(aof_reader
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_aof_reader.c
  DEPS aof
  INCLUDE_PRIVATE storage/aof)
