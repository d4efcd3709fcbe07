# Invariants and holes of the design that only show in the whole server; tests/invariants.md is the list.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_test(NAME integration.invariants
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/invariants.py $<TARGET_FILE:kelvin-server>)
set_tests_properties(integration.invariants PROPERTIES
  TIMEOUT 300 LABELS "integration;concurrency" ENVIRONMENT "${KELVIN_TEST_ENVIRONMENT}")
