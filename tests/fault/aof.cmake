add_unit_test(aof_faults
  SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/test_aof_faults.c
    ${CMAKE_CURRENT_LIST_DIR}/../unit/storage/aof/log_support.c
  DEPS aof base
  INCLUDE_PRIVATE tests/unit/storage/aof
  LABELS fault)
