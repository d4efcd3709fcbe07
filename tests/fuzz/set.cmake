add_fuzz_target(set
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_set.c
  DEPS set tree value base)
