# Sorted sets and geospatial indexes through the whole server, and against redis-server.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_test(NAME integration.zset_compare
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/zset_compare.py $<TARGET_FILE:kelvin-server>)
set_tests_properties(integration.zset_compare PROPERTIES
  TIMEOUT 300 LABELS integration SKIP_RETURN_CODE 77 ENVIRONMENT "${KELVIN_TEST_ENVIRONMENT}")
add_test(NAME integration.zset
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/zset.py $<TARGET_FILE:kelvin-server>)
add_test(NAME integration.zset_workers
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/zset.py $<TARGET_FILE:kelvin-server> --workers 3)
set_tests_properties(integration.zset integration.zset_workers PROPERTIES
  TIMEOUT 600 LABELS "integration;concurrency" ENVIRONMENT "${KELVIN_TEST_ENVIRONMENT}")
