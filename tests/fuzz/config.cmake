add_fuzz_target(config
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_config.c
  DEPS settings base)
