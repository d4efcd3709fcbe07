add_unit_test(tier_faults
  SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/test_tier_faults.c
    ${CMAKE_CURRENT_LIST_DIR}/../unit/storage/tier/tier_fixture.c
  DEPS tier
  INCLUDE_PRIVATE tests/unit/storage/tier
  LABELS fault)
