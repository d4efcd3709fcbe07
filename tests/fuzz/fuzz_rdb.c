/*
 * fuzz_rdb.c: RESTORE's payloads, any bytes behind a right checksum. The input is a payload without its footer.
 *
 * What is taken must be a sound value: it is written again, read again, and must be the same.
 */
#include "base/check.h"
#include "base/mem.h"
#include "fuzz_setup.h"
#include "storage/dict.h"
#include "storage/list.h"
#include "storage/set.h"
#include "storage/snapshot.h"
#include "storage/stream.h"
#include "storage/zset.h"

#include <pthread.h>

static pthread_once_t classes_once = PTHREAD_ONCE_INIT;

static void set_up_classes(void)
{
    dict_setup();
    list_setup();
    set_setup();
    stream_setup();
    zset_setup();
}

static void check_value(const struct value *value)
{
    switch (value->type) {
    case VALUE_LIST: list_check(list_of(value)); break;
    case VALUE_SET: set_check(set_of(value)); break;
    case VALUE_ZSET: zset_check(zset_of(value)); break;
    case VALUE_HASH: dict_check(dict_of(value)); break;
    case VALUE_STREAM: stream_check(stream_of(value)); break;
    case VALUE_STRING:
    case VALUE_TYPE_COUNT: break;
    }
}

static void check_written_again(const struct value *value)
{
    struct buf payload = {0};
    struct buf storage = {0};
    struct value again;
    uint8_t digests[2][SNAPSHOT_DIGEST_SIZE];
    snapshot_dump(value, &payload);
    CHECK(snapshot_verify(buf_slice(&payload), SNAPSHOT_CHECK_SUM) == ST_OK);
    CHECK(snapshot_restore(buf_slice(&payload), &storage, &again) == ST_OK);
    snapshot_digest(value, digests[0]);
    snapshot_digest(&again, digests[1]);
    CHECK(memcmp(digests[0], digests[1], SNAPSHOT_DIGEST_SIZE) == 0);
    value_release(&again);
    buf_deinit(&storage);
    buf_deinit(&payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)pthread_once(&classes_once, set_up_classes);
    struct buf payload = {0};
    struct buf storage = {0};
    struct value value;
    buf_append(&payload, data, size);
    CHECK(snapshot_verify(buf_slice(&payload), SNAPSHOT_CHECK_SUM) != ST_OK ||
          size >= SNAPSHOT_FOOTER_SIZE);
    buf_append_u16(&payload, SNAPSHOT_VERSION_MAX);
    buf_append_u64(&payload, snapshot_crc64(0, payload.data, payload.size));
    CHECK(snapshot_verify(buf_slice(&payload), SNAPSHOT_CHECK_SUM) == ST_OK);
    if (snapshot_restore(buf_slice(&payload), &storage, &value) == ST_OK) {
        check_value(&value);
        check_written_again(&value);
        value_release(&value);
    }
    buf_deinit(&storage);
    buf_deinit(&payload);
    return 0;
}
