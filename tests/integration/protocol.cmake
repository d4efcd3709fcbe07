# The server as its clients see it: the protocol and its abuse, commands about the server.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
function(add_client_test name script)
  add_test(NAME integration.${name}
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/${script} $<TARGET_FILE:kelvin-server> ${ARGN})
  set_tests_properties(integration.${name} PROPERTIES
    TIMEOUT 600 LABELS "integration" ENVIRONMENT "${KELVIN_TEST_ENVIRONMENT}")
endfunction()
add_client_test(protocol protocol.py)
add_client_test(protocol_workers protocol.py --workers 3)
add_client_test(server_commands server_commands.py)
add_client_test(server_commands_workers server_commands.py --workers 3)
# The same with several workers; for the thread sanitizer too.
set_tests_properties(integration.protocol_workers integration.server_commands_workers PROPERTIES
  LABELS "integration;concurrency")
