# Streams: what is newer than redis-server 7.0; and compared with it if it is installed.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
foreach(name stream stream_compare)
  add_test(NAME integration.${name}
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/${name}.py $<TARGET_FILE:kelvin-server>)
  set_tests_properties(integration.${name} PROPERTIES
    TIMEOUT 600 SKIP_RETURN_CODE 77 LABELS "integration" ENVIRONMENT "${KELVIN_TEST_ENVIRONMENT}")
endforeach()
