# Faults seen from clients of the whole server.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_test(NAME fault.server
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/server_faults.py $<TARGET_FILE:kelvin-server>)
add_test(NAME fault.kill9
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/kill9.py $<TARGET_FILE:kelvin-server> --cycles 100)
set_tests_properties(fault.server fault.kill9 PROPERTIES
  TIMEOUT 900 ENVIRONMENT "${KELVIN_TEST_ENVIRONMENT}")
set_tests_properties(fault.server PROPERTIES LABELS "fault")
set_tests_properties(fault.kill9 PROPERTIES LABELS "fault;slow")
