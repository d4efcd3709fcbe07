# DUMP, RESTORE, DEBUG. add_client_test() is protocol.cmake's, which comes later.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
foreach(name dump debug)
  add_test(NAME integration.${name}
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/${name}.py $<TARGET_FILE:kelvin-server>)
  set_tests_properties(integration.${name} PROPERTIES
    TIMEOUT 600 LABELS "integration" ENVIRONMENT "${KELVIN_TEST_ENVIRONMENT}")
endforeach()
