# The model test: one fixed history and a new one every time, with one worker and with three.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
function(add_model_test name)
  add_test(NAME model.${name}
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/model_test.py $<TARGET_FILE:kelvin-server> ${ARGN})
  set_tests_properties(model.${name} PROPERTIES
    TIMEOUT 600 LABELS "model;concurrency" ENVIRONMENT "${KELVIN_TEST_ENVIRONMENT}")
endfunction()
add_model_test(fixed --seed 20261122 --rounds 4)
add_model_test(random --rounds 6)
add_model_test(workers --workers 3 --rounds 4)
