# Unit tests and fuzz targets.

# TSan's own deadlock detector dies when a thread holds more than 64 locks (all stripes of the hot tier);
# the lock ranks of base/thread.h do that job in these builds.
set(KELVIN_TEST_ENVIRONMENT
  "ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=0"
  "UBSAN_OPTIONS=print_stacktrace=1"
  "TSAN_OPTIONS=detect_deadlocks=0:halt_on_error=1:second_deadlock_stack=1")

# In a build of some parts (KELVIN_PARTS): is one of the modules left out?
function(kelvin_lacks_module result)
  set(${result} FALSE PARENT_SCOPE)
  if(KELVIN_PARTS)
    foreach(module IN LISTS ARGN)
      if(NOT TARGET ${module})
        set(${result} TRUE PARENT_SCOPE)
      endif()
    endforeach()
  endif()
endfunction()

# add_unit_test(name SOURCES ... DEPS ... [INCLUDE_PRIVATE folder...] [TIMEOUT seconds] [LABELS ...])
#
# An executable unit_<name> on Check and test_support, in ctest as unit.<name>. INCLUDE_PRIVATE names
# folders (relative to the top) whose private headers the test needs: storage/hot.
function(add_unit_test name)
  cmake_parse_arguments(T "" "TIMEOUT" "SOURCES;DEPS;INCLUDE_PRIVATE;LABELS" ${ARGN})
  if(T_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "add_unit_test(${name}): unknown arguments ${T_UNPARSED_ARGUMENTS}")
  endif()
  kelvin_lacks_module(lacking ${T_DEPS})
  if(lacking)
    return()
  endif()
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 300)
  endif()
  set(target unit_${name})
  add_executable(${target} ${T_SOURCES})
  target_link_libraries(${target} PRIVATE ${T_DEPS} test_support lib_check project_flags)
  foreach(folder IN LISTS T_INCLUDE_PRIVATE)
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/${folder})
  endforeach()
  add_test(NAME unit.${name} COMMAND ${target})
  set_tests_properties(unit.${name} PROPERTIES
    TIMEOUT ${T_TIMEOUT} LABELS "unit;${T_LABELS}" ENVIRONMENT "${KELVIN_TEST_ENVIRONMENT}")
endfunction()

# add_fuzz_target(name SOURCES ... DEPS ... [INCLUDE_PRIVATE folder...])
#
# SOURCES define LLVMFuzzerTestOneInput(). With KELVIN_FUZZ the executable fuzz_<name> is a libFuzzer
# program; otherwise it replays tests/fuzz/corpus/<name>/ and a bounded number of deterministic mutations of
# it, so the target is part of every ctest run as fuzz.<name>.
function(add_fuzz_target name)
  cmake_parse_arguments(F "" "" "SOURCES;DEPS;INCLUDE_PRIVATE" ${ARGN})
  if(F_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "add_fuzz_target(${name}): unknown arguments ${F_UNPARSED_ARGUMENTS}")
  endif()
  kelvin_lacks_module(lacking ${F_DEPS})
  if(lacking)
    return()
  endif()
  set(target fuzz_${name})
  set(corpus ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
  add_executable(${target} ${F_SOURCES} ${PROJECT_SOURCE_DIR}/tests/support/fuzz_setup.c)
  target_link_libraries(${target} PRIVATE ${F_DEPS} base project_flags)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests/support)
  foreach(folder IN LISTS F_INCLUDE_PRIVATE)
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/${folder})
  endforeach()
  if(KELVIN_FUZZ)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    # What libFuzzer finds goes to the first folder: the build's, not the source's.
    set(found ${PROJECT_BINARY_DIR}/fuzz/${name})
    file(MAKE_DIRECTORY ${found})
    add_test(NAME fuzz.${name} COMMAND ${target} -runs=20000 -seed=1 -max_total_time=60 ${found} ${corpus})
  else()
    target_sources(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/fuzz_main.c)
    add_test(NAME fuzz.${name} COMMAND ${target} ${corpus})
  endif()
  set_tests_properties(fuzz.${name} PROPERTIES
    TIMEOUT 300 LABELS fuzz ENVIRONMENT "${KELVIN_TEST_ENVIRONMENT}")
endfunction()
