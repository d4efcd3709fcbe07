add_fuzz_target(resp_parser
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_resp_parser.c
  DEPS resp value base)
