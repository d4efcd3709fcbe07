add_fuzz_target(list
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_list.c
  DEPS list value tree base
  INCLUDE_PRIVATE storage/list)
