/*
 * test_reply.c: replies in both protocols, as bytes and as vectors.
 */
#include "base/mem.h"
#include "server/resp.h"
#include "test_main.h"

#include <math.h>

static void take_all(struct resp_output *output, struct buf *out)
{
    struct iovec vectors[16];
    while (output->pending_size > 0) {
        const int count = resp_output_vectors(output, vectors, 16, SIZE_MAX);
        ck_assert_int_gt(count, 0);
        size_t size = 0;
        for (int index = 0; index < count; index++) {
            ck_assert_uint_gt(vectors[index].iov_len, 0);
            buf_append(out, vectors[index].iov_base, vectors[index].iov_len);
            size += vectors[index].iov_len;
        }
        resp_output_written(output, size);
    }
}

/* `statement` uses `output`. */
#define check_reply_in(version, statement, expected)        \
    do {                                                    \
        struct resp_pool *const pool_ = resp_pool_create(); \
        struct resp_output output_;                         \
        struct resp_output *const output = &output_;        \
        struct buf out_ = {0};                              \
        resp_output_init(output, pool_);                    \
        output->protocol = (version);                       \
        statement;                                          \
        take_all(output, &out_);                            \
        ck_assert_text_eq(buf_slice(&out_), (expected));    \
        ck_assert_uint_eq(output->memory_size, 0);          \
        ck_assert_ptr_null(output->head);                   \
        buf_deinit(&out_);                                  \
        resp_output_deinit(output);                         \
        resp_pool_destroy(pool_);                           \
    } while (0)
#define check_reply(statement, resp2, resp3) \
    do {                                     \
        check_reply_in(2, statement, resp2); \
        check_reply_in(3, statement, resp3); \
    } while (0)
#define check_both(statement, expected) check_reply(statement, expected, expected)

START_TEST(simple_replies_look_alike_in_both_protocols)
{
    check_both(reply_ok(output), "+OK\r\n");
    check_both(reply_simple(output, "PONG"), "+PONG\r\n");
    check_both(reply_integer(output, 0), ":0\r\n");
    check_both(reply_integer(output, -1), ":-1\r\n");
    check_both(reply_integer(output, 1234567), ":1234567\r\n");
    check_both(reply_integer(output, INT64_MAX), ":9223372036854775807\r\n");
    check_both(reply_integer(output, INT64_MIN), ":-9223372036854775808\r\n");
    check_both(reply_bulk_text(output, "hello"), "$5\r\nhello\r\n");
    check_both(reply_bulk(output, slice_of(NULL, 0)), "$0\r\n\r\n");
    check_both(reply_bulk_integer(output, -42), "$3\r\n-42\r\n");
    check_both(reply_array(output, 3), "*3\r\n");
    check_both(reply_array(output, 0), "*0\r\n");
    check_both(reply_raw(output, "+x\r\n", 4), "+x\r\n");
}
END_TEST

START_TEST(the_third_protocol_has_types_of_its_own)
{
    check_reply(reply_null(output), "$-1\r\n", "_\r\n");
    check_reply(reply_null_array(output), "*-1\r\n", "_\r\n");
    check_reply(reply_map(output, 2), "*4\r\n", "%2\r\n");
    check_reply(reply_set(output, 2), "*2\r\n", "~2\r\n");
    check_reply(reply_push(output, 3), "*3\r\n", ">3\r\n");
    check_reply(reply_bool(output, true), ":1\r\n", "#t\r\n");
    check_reply(reply_bool(output, false), ":0\r\n", "#f\r\n");
    check_reply(reply_double(output, 3.14), "$4\r\n3.14\r\n", ",3.14\r\n");
    check_reply(reply_double(output, (double)INFINITY), "$3\r\ninf\r\n", ",inf\r\n");
    check_reply(reply_double(output, -(double)INFINITY), "$4\r\n-inf\r\n", ",-inf\r\n");
    check_reply(reply_double(output, (double)NAN), "$3\r\nnan\r\n", ",nan\r\n");
    check_reply(
        reply_verbatim(output, "txt", slice_text("ab")), "$2\r\nab\r\n", "=6\r\ntxt:ab\r\n");
}
END_TEST

START_TEST(every_power_of_ten_is_written_right)
{
    uint64_t value = 1;
    for (int digits = 1; digits <= 19; digits++, value *= 10) {
        const uint64_t near[] = {value - 1, value, value + 1, value * 9};
        for (size_t at = 0; at < COUNT_OF(near); at++) {
            if (near[at] > INT64_MAX)
                continue;
            char expected[32];
            (void)snprintf(expected, sizeof(expected), ":%llu\r\n", (unsigned long long)near[at]);
            check_both(reply_integer(output, (int64_t)near[at]), expected);
        }
    }
}
END_TEST

START_TEST(doubles_have_the_shortest_text_in_the_layout_of_redis)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0"}, {-0.0, "-0"}, {1, "1"}, {-1, "-1"}, {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"}, {1.5, "1.5"}, {-2.75, "-2.75"},
        {1e15, "1000000000000000"}, {123456789012345680.0, "123456789012345680"},
        {1e18, "1000000000000000000"}, {1e19, "1e+19"}, {1e20, "1e+20"}, {1.5e300, "1.5e+300"},
        {1e100, "1e+100"}, {18446744073709551616.0, "18446744073709552000"},
        {3.0000000000000001e22, "3e+22"}, {0.001, "0.001"}, {0.0001, "0.0001"},
        {0.000001, "0.000001"}, {0.0000001, "1e-7"}, {1.2345e-5, "1.2345e-5"},
        {0.00012345678901, "1.2345678901e-4"}, {0.0012345678901, "0.0012345678901"},
        {5e-324, "5e-324"}, {1.7976931348623157e308, "1.7976931348623157e+308"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {3.3333333333333335, "3.3333333333333335"}, {-1234.5678, "-1234.5678"}};
    for (size_t at = 0; at < COUNT_OF(cases); at++) {
        char text[32];
        const size_t size = resp_double_to_text(cases[at].value, text);
        ck_assert_text_eq(slice_of(text, size), cases[at].text);
    }
}
END_TEST

START_TEST(doubles_read_back_as_themselves)
{
    struct random random;
    test_random_init(&random);
    for (int round = 0; round < 20000; round++) {
        const uint64_t bits = random_next(&random);
        double value;
        memcpy(&value, &bits, sizeof(value));
        if (isnan(value) || isinf(value))
            continue;
        char text[33];
        const size_t size = resp_double_to_text(value, text);
        ck_assert_uint_le(size, 32);
        text[size] = '\0';
        ck_assert_msg(strtod(text, NULL) == value, "%.17g became %s", value, text);
    }
}
END_TEST

START_TEST(errors_cannot_smuggle_lines)
{
    check_both(reply_error(output, "ERR unknown command 'a\r\n+OK\r\n'"),
        "-ERR unknown command 'a  +OK  '\r\n");
    check_both(reply_error(output, "\r\nERR x\r\n\n"), "-ERR x\r\n");
    check_both(reply_error_format(output, "ERR no %s of %d", "key\n", 7), "-ERR no key  of 7\r\n");
    check_both(reply_error(output, ""), "-\r\n");
    char *const text = mem_alloc(5001);
    memset(text, 'x', 5000);
    text[5000] = '\0';
    struct resp_pool *const pool = resp_pool_create();
    struct resp_output output;
    resp_output_init(&output, pool);
    reply_error_format(&output, "ERR unknown command '%s'", text);
    ck_assert_uint_gt(output.pending_size, 900);
    ck_assert_uint_lt(output.pending_size, 1000);
    mem_free(text);
    resp_output_deinit(&output);
    resp_pool_destroy(pool);
}
END_TEST

START_TEST(errors_are_counted_with_their_code)
{
    struct resp_pool *const pool = resp_pool_create();
    struct resp_output output;
    resp_output_init(&output, pool);
    ck_assert_uint_eq(reply_error_count(&output), 0);
    ck_assert_str_eq(reply_error_code(&output), "");
    reply_error(&output, "ERR a");
    reply_ok(&output);
    ck_assert_str_eq(reply_error_code(&output), "ERR");
    output.muted = true;
    reply_error(&output, "WRONGTYPE b");
    ck_assert_uint_eq(reply_error_count(&output), 2);
    ck_assert_str_eq(reply_error_code(&output), "WRONGTYPE");
    resp_output_deinit(&output);
    resp_pool_destroy(pool);
}
END_TEST

START_TEST(a_muted_output_adds_nothing)
{
    struct resp_pool *const pool = resp_pool_create();
    struct resp_output output;
    struct blob *const blob = blob_create(20000);
    blob->size = 20000;
    struct value value = value_blob(blob);
    resp_output_init(&output, pool);
    for (output.protocol = 2; output.protocol <= 3; output.protocol++) {
        output.muted = true;
        reply_raw(&output, "x", 1);
        reply_simple(&output, "x");
        reply_ok(&output);
        reply_error(&output, "ERR x");
        reply_error_format(&output, "ERR %d", 1);
        reply_integer(&output, 1);
        reply_bulk_text(&output, "x");
        reply_bulk_integer(&output, 1);
        reply_value(&output, &value);
        reply_null(&output);
        reply_null_array(&output);
        reply_array(&output, 1);
        reply_map(&output, 1);
        reply_set(&output, 1);
        reply_push(&output, 1);
        reply_bool(&output, true);
        reply_double(&output, 1.5);
        reply_verbatim(&output, "txt", slice_text("x"));
        const struct reply_deferred deferred = reply_deferred_begin(&output);
        reply_deferred_end(&output, deferred, '*', 7);
        ck_assert_uint_eq(output.pending_size, 0);
        ck_assert_ptr_null(output.head);
    }
    value_release(&value);
    resp_output_deinit(&output);
    resp_pool_destroy(pool);
}
END_TEST

START_TEST(bulks_of_every_size_arrive_whole)
{
    static const size_t sizes[] = {0, 1, 9, 10, 99, 100, 4000, 4096, 16300, 16310, 16320, 16330,
        16336, 16340, 16384, 17000, 100000, 1000000};
    char *const data = mem_alloc(1000000);
    for (size_t at = 0; at < 1000000; at++)
        data[at] = (char)('a' + at % 23);
    struct resp_pool *const pool = resp_pool_create();
    struct resp_output output;
    struct buf expected = {0};
    struct buf out = {0};
    resp_output_init(&output, pool);
    for (int round = 0; round < 3; round++) {
        for (size_t at = 0; at < COUNT_OF(sizes); at++) {
            buf_append_format(&expected, "$%zu\r\n", sizes[at]);
            buf_append(&expected, data, sizes[at]);
            buf_append_text(&expected, "\r\n:1\r\n");
            reply_bulk(&output, slice_of(data, sizes[at]));
            reply_integer(&output, 1);
        }
    }
    ck_assert_uint_eq(output.pending_size, expected.size);
    take_all(&output, &out);
    ck_assert(slice_equal(buf_slice(&out), buf_slice(&expected)));
    buf_deinit(&out);
    buf_deinit(&expected);
    resp_output_deinit(&output);
    resp_pool_destroy(pool);
    mem_free(data);
}
END_TEST

START_TEST(a_long_value_is_sent_from_its_blob)
{
    struct resp_pool *const pool = resp_pool_create();
    struct resp_output output;
    resp_output_init(&output, pool);
    struct blob *const blob = blob_create(50000);
    memset(blob->data, 'b', 50000);
    blob->size = 50000;
    struct value value = value_blob(blob);
    reply_value(&output, &value);
    reply_integer(&output, 7);
    ck_assert(blob_is_shared(blob));
    ck_assert_uint_ge(output.memory_size, 50000);
    struct iovec vectors[4];
    ck_assert_int_eq(resp_output_vectors(&output, vectors, 4, SIZE_MAX), 3);
    ck_assert_text_eq(slice_of(vectors[0].iov_base, vectors[0].iov_len), "$50000\r\n");
    ck_assert_ptr_eq(vectors[1].iov_base, blob->data);
    ck_assert_uint_eq(vectors[1].iov_len, 50000);
    ck_assert_text_eq(slice_of(vectors[2].iov_base, vectors[2].iov_len), "\r\n:7\r\n");
    /* Partly written: the rest is offered again. */
    resp_output_written(&output, 8 + 1000);
    ck_assert_int_eq(resp_output_vectors(&output, vectors, 4, 100), 1);
    ck_assert_ptr_eq(vectors[0].iov_base, blob->data + 1000);
    ck_assert_uint_eq(vectors[0].iov_len, 100);
    ck_assert_int_eq(resp_output_vectors(&output, vectors, 1, SIZE_MAX), 1);
    ck_assert_uint_eq(vectors[0].iov_len, 49000);
    resp_output_written(&output, 49000 + 3);
    ck_assert_int_eq(resp_output_vectors(&output, vectors, 4, SIZE_MAX), 1);
    ck_assert_text_eq(slice_of(vectors[0].iov_base, vectors[0].iov_len), "7\r\n");
    resp_output_written(&output, 3);
    ck_assert(!blob_is_shared(blob));
    ck_assert_uint_eq(output.memory_size, 0);
    reply_value(&output, &value); /* given up by deinit */
    resp_output_deinit(&output);
    ck_assert(!blob_is_shared(blob));
    value_release(&value);
    resp_pool_destroy(pool);
}
END_TEST

START_TEST(values_of_every_encoding_are_bulks)
{
    struct value integer = value_integer(-7);
    check_both(reply_value(output, &integer), "$2\r\n-7\r\n");
    struct value text = value_string(slice_text("abc"));
    check_both(reply_value(output, &text), "$3\r\nabc\r\n");
    struct blob *const blob = blob_create(100);
    memcpy(blob->data, "short", 5);
    blob->size = 5;
    struct value short_blob = value_blob(blob);
    check_both(reply_value(output, &short_blob), "$5\r\nshort\r\n");
    value_release(&short_blob);
}
END_TEST

static void reply_nested(struct resp_output *output)
{
    reply_integer(output, 1);
    const struct reply_deferred outer = reply_deferred_begin(output);
    reply_bulk_text(output, "a");
    const struct reply_deferred inner = reply_deferred_begin(output);
    reply_integer(output, 2);
    reply_integer(output, 3);
    reply_deferred_end(output, inner, '~', 2);
    reply_bulk_text(output, "b");
    const struct reply_deferred empty = reply_deferred_begin(output);
    reply_deferred_end(output, empty, '*', 0);
    reply_deferred_end(output, outer, '%', 2);
    reply_ok(output);
}

START_TEST(deferred_lengths_nest)
{
    check_reply(reply_nested(output),
        ":1\r\n*4\r\n$1\r\na\r\n*2\r\n:2\r\n:3\r\n$1\r\nb\r\n*0\r\n+OK\r\n",
        ":1\r\n%2\r\n$1\r\na\r\n~2\r\n:2\r\n:3\r\n$1\r\nb\r\n*0\r\n+OK\r\n");
}
END_TEST

START_TEST(deferred_lengths_of_long_replies_are_filled_in_and_not_sent_before)
{
    struct resp_pool *const pool = resp_pool_create();
    struct resp_output output;
    resp_output_init(&output, pool);
    struct buf expected = {0};
    struct buf out = {0};
    for (int round = 0; round < 20; round++) {
        const int count = 1 << round;
        buf_append_format(&expected, "+OK\r\n*%d\r\n", count);
        reply_ok(&output);
        const struct reply_deferred deferred = reply_deferred_begin(&output);
        for (int index = 0; index < count; index++) {
            buf_append_format(&expected, ":%d\r\n", index);
            reply_integer(&output, index);
        }
        struct iovec vectors[4];
        const int before = resp_output_vectors(&output, vectors, 4, SIZE_MAX);
        for (int index = 0; index < before; index++)
            ck_assert_uint_le(vectors[index].iov_len, RESP_BUFFER_SIZE);
        reply_deferred_end(&output, deferred, '*', (size_t)count);
        if (round % 3 == 0)
            take_all(&output, &out);
    }
    take_all(&output, &out);
    ck_assert(slice_equal(buf_slice(&out), buf_slice(&expected)));
    buf_deinit(&out);
    buf_deinit(&expected);
    resp_output_deinit(&output);
    resp_pool_destroy(pool);
}
END_TEST

TEST_GROUP(reply_group, simple_replies_look_alike_in_both_protocols,
    the_third_protocol_has_types_of_its_own, every_power_of_ten_is_written_right,
    doubles_have_the_shortest_text_in_the_layout_of_redis, doubles_read_back_as_themselves,
    errors_cannot_smuggle_lines, errors_are_counted_with_their_code, a_muted_output_adds_nothing,
    bulks_of_every_size_arrive_whole, a_long_value_is_sent_from_its_blob,
    values_of_every_encoding_are_bulks, deferred_lengths_nest,
    deferred_lengths_of_long_replies_are_filled_in_and_not_sent_before)
