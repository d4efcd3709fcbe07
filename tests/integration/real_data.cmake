# Debian's package index through the whole server.
add_test(NAME integration.real_data
  COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/real_data.sh $<TARGET_FILE:kelvin-server>)
set_tests_properties(integration.real_data PROPERTIES TIMEOUT 900 LABELS "integration;slow")
