# Build types, sanitizers and the warnings of the coding standard, in one INTERFACE target: project_flags.
#
#   Release   -O2 with debug info, hardened, link-time optimised with gcc
#   Debug     KELVIN_DEBUG: whole-structure checks (DCHECK), lock ranks
#   KELVIN_SANITIZE=address (with undefined) | thread: KELVIN_DEBUG too, libc's allocator
option(KELVIN_WERROR "warnings are errors" OFF)
option(KELVIN_FUZZ "build the fuzz targets with libFuzzer (clang)" OFF)
option(KELVIN_LTO "link-time optimisation of Release builds with gcc" ON)
option(KELVIN_JEMALLOC "link jemalloc (never with sanitizers)" ON)
option(KELVIN_TESTS "build the tests" ON)
set(KELVIN_SANITIZE "" CACHE STRING "address (and undefined), thread, or empty")
set_property(CACHE KELVIN_SANITIZE PROPERTY STRINGS "" address thread)

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Release or Debug" FORCE)
endif()
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g")

if(KELVIN_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID STREQUAL Clang)
    message(FATAL_ERROR "KELVIN_FUZZ needs clang: cmake -DCMAKE_C_COMPILER=clang")
  endif()
  if(NOT KELVIN_SANITIZE STREQUAL "" AND NOT KELVIN_SANITIZE STREQUAL "address")
    message(FATAL_ERROR "KELVIN_FUZZ implies KELVIN_SANITIZE=address")
  endif()
  set(KELVIN_SANITIZE address)
endif()
if(NOT KELVIN_SANITIZE MATCHES "^(address|thread)?$")
  message(FATAL_ERROR "KELVIN_SANITIZE is address or thread, not '${KELVIN_SANITIZE}'")
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_C_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

include(CheckPIESupported)
check_pie_supported(LANGUAGES C)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(KELVIN_LTO AND CMAKE_BUILD_TYPE STREQUAL Release AND CMAKE_C_COMPILER_ID STREQUAL GNU AND NOT KELVIN_SANITIZE)
  include(CheckIPOSupported)
  check_ipo_supported(RESULT KELVIN_IPO LANGUAGES C)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ${KELVIN_IPO})
endif()

add_library(project_flags INTERFACE)
target_compile_definitions(project_flags INTERFACE _GNU_SOURCE)
target_compile_options(project_flags INTERFACE
  -fno-omit-frame-pointer
  -include ${PROJECT_SOURCE_DIR}/include/base/banned.h
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wundef -Wstrict-prototypes -Wmissing-prototypes
  -Wold-style-definition -Wvla -Wformat=2 -Wcast-align -Wcast-qual -Wpointer-arith -Wwrite-strings
  -Wswitch-enum -Wimplicit-fallthrough -Wdouble-promotion)
if(CMAKE_C_COMPILER_ID STREQUAL Clang)
  # Check's and the C17 headers' own variadic macros are used in the standard C2x way.
  target_compile_options(project_flags INTERFACE -Wthread-safety -Wno-gnu-zero-variadic-macro-arguments)
endif()
# gcc's flow analysis gives false alarms through the code that sanitizers add.
if(NOT (KELVIN_SANITIZE AND CMAKE_C_COMPILER_ID STREQUAL GNU))
  target_compile_options(project_flags INTERFACE -Wnull-dereference)
else()
  target_compile_options(project_flags INTERFACE -Wno-maybe-uninitialized -Wno-stringop-overflow)
endif()
if(KELVIN_WERROR)
  target_compile_options(project_flags INTERFACE -Werror)
endif()

if(CMAKE_BUILD_TYPE STREQUAL Debug OR KELVIN_SANITIZE)
  target_compile_definitions(project_flags INTERFACE KELVIN_DEBUG)
endif()
if(KELVIN_SANITIZE)
  if(KELVIN_SANITIZE STREQUAL address)
    set(sanitizers address,undefined)
  else()
    set(sanitizers thread)
  endif()
  set(KELVIN_JEMALLOC OFF)
  target_compile_definitions(project_flags INTERFACE KELVIN_SANITIZE)
  target_compile_options(project_flags INTERFACE -fsanitize=${sanitizers} -fno-sanitize-recover=all)
  target_link_options(project_flags INTERFACE -fsanitize=${sanitizers})
  if(KELVIN_FUZZ)
    target_compile_options(project_flags INTERFACE -fsanitize=fuzzer-no-link)
  endif()
elseif(CMAKE_BUILD_TYPE STREQUAL Release)
  target_compile_options(project_flags INTERFACE
    -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
target_link_options(project_flags INTERFACE -Wl,-z,relro -Wl,-z,now)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
target_link_libraries(project_flags INTERFACE Threads::Threads)
