/*
 * test_snapshot.c: values of every type survive DUMP and RESTORE; payloads that no server wrote are refused.
 */
#include "base/mem.h"
#include "storage/dict.h"
#include "storage/list.h"
#include "storage/set.h"
#include "storage/snapshot.h"
#include "storage/zset.h"
#include "test_main.h"

#include <math.h>

static void set_up_classes(void)
{
    dict_setup();
    list_setup();
    set_setup();
    zset_setup();
}

/* A random text: a number, short, or beyond what is kept in place. */
static struct element random_element(struct random *random, char bytes[3000])
{
    const uint64_t kind = random_below(random, 20);
    if (kind < 8)
        return element_of_integer((int64_t)random_below(random, 1000) - 500);
    if (kind < 10)
        return element_of_integer(
            (int64_t)random_below(random, UINT64_MAX) >> random_below(random, 60));
    const size_t size = random_below(random, kind == 19 ? 3000 : 30);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)random_below(random, 256);
    return element_of(slice_of(bytes, size));
}

/* Dumps, verifies, restores; the same digest, and the same payload the second time. */
static void check_round_trip(const struct value *value, unsigned version)
{
    struct buf payload = {0};
    struct buf second = {0};
    struct buf storage = {0};
    struct value back;
    uint8_t digests[2][SNAPSHOT_DIGEST_SIZE];
    snapshot_dump(value, &payload);
    ck_assert_int_eq(snapshot_verify(buf_slice(&payload), SNAPSHOT_CHECK_SUM), ST_OK);
    ck_assert_uint_eq((uint8_t)payload.data[payload.size - SNAPSHOT_FOOTER_SIZE], version);
    ck_assert_int_eq(snapshot_restore(buf_slice(&payload), &storage, &back), ST_OK);
    ck_assert_int_eq(back.type, value->type);
    snapshot_digest(value, digests[0]);
    snapshot_digest(&back, digests[1]);
    ck_assert_mem_eq(digests[0], digests[1], SNAPSHOT_DIGEST_SIZE);
    snapshot_dump(&back, &second);
    ck_assert_uint_eq(second.size, payload.size);
    for (size_t cut = 1; cut < 40 && cut < payload.size - SNAPSHOT_FOOTER_SIZE; cut++) {
        struct value none;
        const struct slice part = slice_of(payload.data, payload.size - cut);
        ck_assert_int_eq(snapshot_restore(part, &storage, &none), ST_CORRUPT);
    }
    value_release(&back);
    buf_deinit(&payload);
    buf_deinit(&second);
    buf_deinit(&storage);
}

START_TEST(strings_survive)
{
    static const int64_t numbers[] = {0, -1, 127, 128, -128, -129, 32767, 32768, INT32_MAX,
        (int64_t)INT32_MAX + 1, INT32_MIN, INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        const struct value value = value_integer(numbers[i]);
        check_round_trip(&value, 9);
    }
    char *const bytes = mem_alloc(100000);
    memset(bytes, 'x', 100000);
    for (size_t size = 0; size <= 100000; size = 3 * size + 1) {
        struct value value;
        ck_assert_int_eq(value_string_own(slice_of(bytes, size), &value), ST_OK);
        check_round_trip(&value, 9);
        value_release(&value);
    }
    mem_free(bytes);
}
END_TEST

START_TEST(lists_survive)
{
    struct random random;
    char bytes[3000];
    set_up_classes();
    test_random_init(&random);
    for (unsigned count = 1; count < 3000; count *= 3) {
        struct list *const list = list_create();
        for (unsigned i = 0; i < count; i++) {
            const struct element element = random_element(&random, bytes);
            list_push(list, LIST_TAIL, &element);
        }
        struct value value = list_value(list);
        check_round_trip(&value, 9);
        value_release(&value);
    }
}
END_TEST

START_TEST(sets_survive)
{
    struct random random;
    char bytes[3000];
    set_up_classes();
    test_random_init(&random);
    for (unsigned count = 1; count < 3000; count *= 3) {
        for (unsigned integers = 0; integers < 2; integers++) {
            struct set *const set =
                set_create(integers != 0 ? VALUE_ENCODING_INTSET : VALUE_ENCODING_LISTPACK);
            for (unsigned i = 0; i < count; i++) {
                const struct element element = integers != 0
                                                   ? element_of_integer((int64_t)i * 7919 - 5000)
                                                   : random_element(&random, bytes);
                (void)set_add(set, &element);
            }
            struct value value = set_value(set);
            check_round_trip(&value, 9);
            value_release(&value);
        }
    }
}
END_TEST

START_TEST(sorted_sets_survive)
{
    static const double scores[] = {
        0, -0.0, 1, -1.5, 1e300, -1e-300, (double)INFINITY, -(double)INFINITY, 0.1, 1e15};
    struct random random;
    char bytes[3000];
    set_up_classes();
    test_random_init(&random);
    for (unsigned count = 1; count < 3000; count *= 3) {
        struct zset *const zset = zset_create();
        for (unsigned i = 0; i < count; i++) {
            const struct element member = random_element(&random, bytes);
            zset_put(zset, &member, scores[random_below(&random, COUNT_OF(scores))]);
        }
        struct value value = zset_value(zset);
        check_round_trip(&value, 9);
        value_release(&value);
    }
}
END_TEST

static struct value random_hash(struct random *random, unsigned count, bool expires)
{
    struct dict *const dict = dict_create();
    char field_bytes[3000];
    char value_bytes[3000];
    for (unsigned i = 0; i < count; i++) {
        const struct element field = random_element(random, field_bytes);
        const struct element value = random_element(random, value_bytes);
        (void)dict_set(dict, &field, &value, DICT_KEEP_EXPIRY);
        if (expires && i % 2 == 0)
            dict_expire_set(dict, &field, 1900000000000 + random_below(random, 100000));
    }
    return dict_value(dict);
}

START_TEST(hashes_survive)
{
    struct random random;
    set_up_classes();
    test_random_init(&random);
    for (unsigned count = 1; count < 3000; count *= 3) {
        struct value value = random_hash(&random, count, false);
        check_round_trip(&value, 9);
        value_release(&value);
    }
}
END_TEST

START_TEST(expiring_fields_survive)
{
    struct random random;
    set_up_classes();
    test_random_init(&random);
    for (unsigned count = 1; count < 1000; count *= 3) {
        struct value value = random_hash(&random, count, true);
        check_round_trip(&value, 12);
        value_release(&value);
    }
}
END_TEST

START_TEST(digests_tell_contents_apart)
{
    struct list *const list = list_create();
    struct list *const turned = list_create();
    const struct element a = element_of(slice_text("a"));
    const struct element b = element_of(slice_text("b"));
    uint8_t digests[2][SNAPSHOT_DIGEST_SIZE];
    list_push(list, LIST_TAIL, &a);
    list_push(list, LIST_TAIL, &b);
    list_push(turned, LIST_TAIL, &b);
    list_push(turned, LIST_TAIL, &a);
    struct value value = list_value(list);
    struct value other = list_value(turned);
    snapshot_digest(&value, digests[0]);
    snapshot_digest(&other, digests[1]);
    ck_assert(memcmp(digests[0], digests[1], SNAPSHOT_DIGEST_SIZE) != 0);
    value_release(&value);
    value_release(&other);
}
END_TEST

/* --- what is refused --------------------------------------------------------------------------------------------- */

static enum status restore(const char *bytes, size_t size)
{
    struct buf payload = {0};
    struct buf storage = {0};
    struct value value;
    buf_append(&payload, bytes, size);
    buf_append_u16(&payload, 9);
    buf_append_u64(&payload, snapshot_crc64(0, payload.data, payload.size));
    const enum status status = snapshot_restore(buf_slice(&payload), &storage, &value);
    if (status == ST_OK)
        value_release(&value);
    buf_deinit(&payload);
    buf_deinit(&storage);
    return status;
}
#define RESTORE(bytes) restore(bytes, sizeof(bytes) - 1)

START_TEST(payloads_that_no_server_wrote_are_refused)
{
    set_up_classes();
    ck_assert_int_eq(RESTORE("\x00\x01"
                             "a"),
        ST_OK);
    ck_assert_int_eq(RESTORE(""), ST_CORRUPT);
    ck_assert_int_eq(RESTORE("\x00\x01"
                             "ab"),
        ST_CORRUPT);                                   /* a byte too many */
    ck_assert_int_eq(RESTORE("\x01\x00"), ST_CORRUPT); /* empty ones */
    ck_assert_int_eq(RESTORE("\x02\x00"), ST_CORRUPT);
    ck_assert_int_eq(RESTORE("\x04\x00"), ST_CORRUPT);
    ck_assert_int_eq(RESTORE("\x05\x00"), ST_CORRUPT);
    ck_assert_int_eq(RESTORE("\x0e\x00"), ST_CORRUPT);
    ck_assert_int_eq(RESTORE("\x02\x02\x01"
                             "a\x01"
                             "a"),
        ST_CORRUPT); /* twice the same member */
    ck_assert_int_eq(RESTORE("\x04\x02\x01"
                             "a\x01"
                             "1\x01"
                             "a\x01"
                             "2"),
        ST_CORRUPT);
    ck_assert_int_eq(RESTORE("\x03\x01\x01"
                             "a\xfd"),
        ST_CORRUPT); /* NaN */
    ck_assert_int_eq(RESTORE("\x05\x01\x01"
                             "a\x00\x00\x00\x00\x00\x00\xf8\x7f"),
        ST_CORRUPT);
    ck_assert_int_eq(RESTORE("\x01\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                             "a"),
        ST_CORRUPT); /* fewer than announced */
    ck_assert_int_eq(RESTORE("\x12\x01\x03\x01"
                             "a"),
        ST_CORRUPT); /* no such kind of node */
    static const uint8_t types[] = {6, 7, 8, 26, 100, 200, 250, 255};
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        const char bytes[] = {(char)types[i], 1, 'a', 1, 'b'};
        ck_assert_int_eq(restore(bytes, sizeof(bytes)), ST_CORRUPT);
    }
}
END_TEST

START_TEST(newer_versions_are_refused)
{
    struct buf payload = {0};
    for (unsigned version = 0; version < 30; version++) {
        buf_clear(&payload);
        buf_append(&payload, "\x00\x01", 2);
        buf_append_byte(&payload, 'a');
        buf_append_u16(&payload, (uint16_t)version);
        buf_append_u64(&payload, snapshot_crc64(0, payload.data, payload.size));
        ck_assert_int_eq(snapshot_verify(buf_slice(&payload), SNAPSHOT_CHECK_SUM),
            version <= SNAPSHOT_VERSION_MAX ? ST_OK : ST_INVALID);
    }
    buf_deinit(&payload);
}
END_TEST

TEST_GROUP(snapshot_group, strings_survive, lists_survive, sets_survive, sorted_sets_survive,
    hashes_survive, expiring_fields_survive, digests_tell_contents_apart,
    payloads_that_no_server_wrote_are_refused, newer_versions_are_refused)
