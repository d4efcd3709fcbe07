# Sets, SORT and bitmaps, compared with redis-server if that is installed.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
foreach(name set sort bitmap)
  add_test(NAME integration.${name}_compare
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/${name}_compare.py $<TARGET_FILE:kelvin-server>)
  set_tests_properties(integration.${name}_compare PROPERTIES
    TIMEOUT 600 SKIP_RETURN_CODE 77 LABELS "integration" ENVIRONMENT "${KELVIN_TEST_ENVIRONMENT}")
endforeach()
foreach(name sets sort)
  add_test(NAME integration.${name}
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/${name}.py $<TARGET_FILE:kelvin-server>)
  set_tests_properties(integration.${name} PROPERTIES
    TIMEOUT 600 LABELS "integration" ENVIRONMENT "${KELVIN_TEST_ENVIRONMENT}")
endforeach()
