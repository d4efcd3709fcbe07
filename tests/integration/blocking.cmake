# Clients that wait, messages, events: with one worker and with several.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
foreach(name blocking pubsub notifications)
  foreach(workers 1 3)
    set(suffix "")
    if(workers GREATER 1)
      set(suffix "_workers")
    endif()
    add_test(NAME integration.${name}${suffix}
      COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/${name}.py $<TARGET_FILE:kelvin-server> --workers ${workers})
    set_tests_properties(integration.${name}${suffix} PROPERTIES
      TIMEOUT 600 LABELS "integration;concurrency" ENVIRONMENT "${KELVIN_TEST_ENVIRONMENT}")
  endforeach()
endforeach()
