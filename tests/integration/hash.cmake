# Hashes: fields with expiries, and everything else against redis-server. add_client_test() is protocol.cmake's, which comes later.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
function(add_hash_test name script)
  add_test(NAME integration.${name}
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/${script} $<TARGET_FILE:kelvin-server> ${ARGN})
  set_tests_properties(integration.${name} PROPERTIES
    TIMEOUT 600 LABELS "integration" SKIP_RETURN_CODE 77 ENVIRONMENT "${KELVIN_TEST_ENVIRONMENT}")
endfunction()
add_hash_test(hash hash.py)
add_hash_test(hash_workers hash.py --workers 3)
add_hash_test(compare_hash compare_hash.py)
set_tests_properties(integration.hash_workers PROPERTIES LABELS "integration;concurrency")
