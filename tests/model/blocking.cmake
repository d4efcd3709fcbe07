# Who is served with what, with one worker and with three.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
foreach(workers 1 3)
  add_test(NAME model.blocking_${workers}
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/blocking_model.py $<TARGET_FILE:kelvin-server> --workers ${workers})
  set_tests_properties(model.blocking_${workers} PROPERTIES
    TIMEOUT 600 LABELS "model;concurrency" ENVIRONMENT "${KELVIN_TEST_ENVIRONMENT}")
endforeach()
