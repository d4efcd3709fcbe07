/*
 * test_status.c: errors carry the sentence and the system's reason.
 */
#include "base/check.h"
#include "base/status.h"
#include "test_main.h"

#include <errno.h>

START_TEST(an_error_has_status_sentence_and_reason)
{
    struct error error;
    ck_assert_int_eq(error_set(&error, ST_IO, ENOENT, "cannot open %s", "x"), ST_IO);
    ck_assert_int_eq(error.status, ST_IO);
    ck_assert_int_eq(error.os_errno, ENOENT);
    ck_assert_str_eq(error.message, "cannot open x: No such file or directory");
}
END_TEST

START_TEST(an_error_without_errno_has_only_the_sentence)
{
    struct error error;
    ck_assert_int_eq(error_set(&error, ST_INVALID, 0, "line %d", 7), ST_INVALID);
    ck_assert_str_eq(error.message, "line 7");
}
END_TEST

START_TEST(an_error_may_be_missing)
{
    ck_assert_int_eq(error_set(NULL, ST_FULL, ENOSPC, "x"), ST_FULL);
    error_prefix(NULL, "x");
}
END_TEST

START_TEST(a_prefix_goes_in_front)
{
    struct error error;
    (void)error_set(&error, ST_CORRUPT, 0, "bad sum");
    error_prefix(&error, "segment %d", 3);
    ck_assert_str_eq(error.message, "segment 3: bad sum");
}
END_TEST

START_TEST(a_long_message_is_cut_and_terminated)
{
    struct error error;
    char text[4000];
    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    (void)error_set(&error, ST_IO, EIO, "%s", text);
    ck_assert_uint_eq(strlen(error.message), sizeof(error.message) - 1);
    error_prefix(&error, "%s", text);
    ck_assert_uint_eq(strlen(error.message), sizeof(error.message) - 1);
}
END_TEST

START_TEST(every_status_has_a_name)
{
    ck_assert_str_eq(status_name(ST_OK), "ok");
    ck_assert_str_eq(status_name(ST_NOT_FOUND), "not_found");
    for (int status = ST_OK; status <= ST_BUSY; status++)
        ck_assert_uint_gt(strlen(status_name((enum status)status)), 1);
}
END_TEST

static void fail_a_check(void *context)
{
    CHECK(context != NULL);
}

static void reach_the_unreachable(void *context)
{
    (void)context;
    UNREACHABLE("in a test");
}

START_TEST(a_failed_check_aborts)
{
    int anything;
    ck_assert(test_aborts(fail_a_check, NULL));
    ck_assert(!test_aborts(fail_a_check, &anything));
    ck_assert(test_aborts(reach_the_unreachable, NULL));
}
END_TEST

TEST_GROUP(status_group, an_error_has_status_sentence_and_reason,
    an_error_without_errno_has_only_the_sentence, an_error_may_be_missing, a_prefix_goes_in_front,
    a_long_message_is_cut_and_terminated, every_status_has_a_name, a_failed_check_aborts)
