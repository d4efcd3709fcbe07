add_fuzz_target(hyperloglog
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_hyperloglog.c
  DEPS commands base
  INCLUDE_PRIVATE server/commands)
