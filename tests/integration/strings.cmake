# Strings, keys and tiers over real sockets. KELVIN_SERVER names the binary.
if(TARGET kelvin-server)
  add_library(test_server_process STATIC ${PROJECT_SOURCE_DIR}/tests/support/server_process.c)
  target_link_libraries(test_server_process PUBLIC test_support lib_hiredis PRIVATE project_flags)

  # add_server_test(name source): a Check program that talks to a server of its own.
  function(add_server_test name source)
    set(target integration_${name})
    add_executable(${target} ${source})
    target_link_libraries(${target} PRIVATE test_server_process base project_flags)
    add_dependencies(${target} kelvin-server)
    add_test(NAME integration.${name} COMMAND ${target})
    set_tests_properties(integration.${name} PROPERTIES
      TIMEOUT 300 LABELS integration
      ENVIRONMENT "${KELVIN_TEST_ENVIRONMENT};KELVIN_SERVER=$<TARGET_FILE:kelvin-server>")
  endfunction()

  add_server_test(strings ${CMAKE_CURRENT_LIST_DIR}/test_strings.c)
  add_server_test(generic ${CMAKE_CURRENT_LIST_DIR}/test_generic.c)
  add_server_test(tier_commands ${CMAKE_CURRENT_LIST_DIR}/test_tier_commands.c)

  find_package(Python3 COMPONENTS Interpreter)
  if(Python3_FOUND)
    add_test(NAME integration.compare_redis
      COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/compare_redis.py $<TARGET_FILE:kelvin-server>)
    set_tests_properties(integration.compare_redis PROPERTIES
      TIMEOUT 300 LABELS integration SKIP_RETURN_CODE 77 ENVIRONMENT "${KELVIN_TEST_ENVIRONMENT}")
  endif()
endif()
