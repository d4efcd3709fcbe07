# Lists and HyperLogLogs through the whole server, and against redis-server.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
foreach(name list_compare hyperloglog_compare)
  add_test(NAME integration.${name}
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/${name}.py $<TARGET_FILE:kelvin-server>)
  set_tests_properties(integration.${name} PROPERTIES
    TIMEOUT 300 LABELS integration SKIP_RETURN_CODE 77 ENVIRONMENT "${KELVIN_TEST_ENVIRONMENT}")
endforeach()
add_test(NAME integration.list
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/list.py $<TARGET_FILE:kelvin-server>)
add_test(NAME integration.list_workers
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/list.py $<TARGET_FILE:kelvin-server> --workers 3)
set_tests_properties(integration.list integration.list_workers PROPERTIES
  TIMEOUT 600 LABELS "integration;concurrency" ENVIRONMENT "${KELVIN_TEST_ENVIRONMENT}")
