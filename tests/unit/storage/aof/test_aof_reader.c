/*
 * test_aof_reader.c: what is read after damage, cuts and power failures; cutting the tail.
 */
#include "aof_internal.h"
#include "base/file.h"
#include "base/mem.h"
#include "log_support.h"

/* Segments of three small frames. Every item is a frame, durable before the next is appended: each frame's D is its LSN. */
enum { ITEM_SIZE = 40, SMALL_SEGMENT = 460, SMALL_COUNT = 8 };

static void make_small(struct test_log *log)
{
    test_log_init(log, SMALL_SEGMENT);
    test_log_open(log);
    for (size_t index = 0; index < SMALL_COUNT; index++)
        (void)test_log_append_durable(log, ITEM_SIZE);
}

/* The same, cleanly closed; its files' names. */
static void make_small_closed(struct test_log *log, struct test_names *names)
{
    make_small(log);
    test_log_close(log);
    test_names_list(log, ".aof", names);
    ck_assert_uint_ge(names->count, 3);
}

/* Offset of the n-th frame (the segment's header is 0); the end of the last if there are fewer. */
static size_t frame_offset(struct slice content, size_t frame, size_t *frame_count)
{
    size_t at = 0;
    size_t count = 0;
    size_t found = 0;
    struct aof_line line;
    while (at < content.size &&
           aof_line_parse(slice_of(content.data + at, content.size - at), &line)) {
        if (count == frame)
            found = at;
        at += line.line_size + line.payload_size;
        count++;
    }
    if (frame_count != NULL)
        *frame_count = count;
    return frame < count ? found : at;
}

START_TEST(no_log_is_not_found)
{
    struct test_log log;
    test_log_init(&log, SMALL_SEGMENT);
    ck_assert_int_eq(test_log_read(&log, 0, 0, NULL).status, ST_NOT_FOUND);
    log.directory = "/nonexistent-directory";
    ck_assert_int_eq(test_log_read(&log, 0, 0, NULL).status, ST_NOT_FOUND);
    test_log_deinit(&log);
}
END_TEST

START_TEST(every_frame_border_is_a_place_to_recover_from)
{
    struct test_log log;
    struct test_names names;
    make_small_closed(&log, &names);
    struct buf frames = {0};
    ck_assert_int_eq(test_log_read(&log, 0, 0, &frames).status, ST_END);
    const size_t count = frames.size / sizeof(uint64_t);
    ck_assert_uint_eq(count, SMALL_COUNT);
    for (size_t index = 0; index <= count; index++) {
        uint64_t lsn = log.items[log.item_count - 1].lsn_after;
        if (index < count)
            memcpy(&lsn, frames.data + index * sizeof(lsn), sizeof(lsn));
        const struct log_reading reading = test_log_read(&log, lsn, index, NULL);
        ck_assert_msg(reading.status == ST_END, "%s", reading.error.message);
        ck_assert_uint_eq(reading.item_count, SMALL_COUNT - index);
        /* And nothing else is. */
        ck_assert_int_eq(test_log_read(&log, lsn + 1, index, NULL).status, ST_CORRUPT);
    }
    buf_deinit(&frames);
    test_names_deinit(&names);
    test_log_deinit(&log);
}
END_TEST

START_TEST(a_missing_segment_is_damage_that_is_named)
{
    for (size_t missing = 0; missing < 2; missing++) {
        struct test_log log;
        struct test_names names;
        make_small_closed(&log, &names);
        ck_assert_int_eq(file_unlink(test_log_path(&log, names.names[missing]), NULL), ST_OK);
        const struct log_reading reading = test_log_read(&log, 0, 0, NULL);
        ck_assert_int_eq(reading.status, ST_CORRUPT);
        /* The one before the gap, or what the log begins with instead. */
        ck_assert_ptr_nonnull(
            strstr(reading.error.message, names.names[missing == 0 ? 1 : missing - 1]));
        test_names_deinit(&names);
        test_log_deinit(&log);
    }
}
END_TEST

START_TEST(the_log_of_another_store_is_refused)
{
    struct test_log log;
    struct test_names names;
    make_small_closed(&log, &names);
    log.store_id++;
    const struct log_reading reading = test_log_read(&log, 0, 0, NULL);
    ck_assert_int_eq(reading.status, ST_CORRUPT);
    ck_assert_ptr_nonnull(strstr(reading.error.message, names.names[0]));
    /* Also a file of another store among ours. */
    log.store_id--;
    struct test_log other;
    test_log_init(&other, SMALL_SEGMENT);
    other.store_id = 999;
    test_log_open(&other);
    test_log_close(&other);
    struct buf content = {0};
    test_file_read(test_log_path(&other, "00000000000000000000.aof"), &content);
    test_file_write(test_log_path(&log, names.names[1]), buf_slice(&content));
    ck_assert_int_eq(test_log_read(&log, 0, 0, NULL).status, ST_CORRUPT);
    buf_deinit(&content);
    test_log_deinit(&other);
    test_names_deinit(&names);
    test_log_deinit(&log);
}
END_TEST

START_TEST(a_frame_that_runs_into_the_next_segment_is_damage)
{
    struct test_log log;
    test_log_init(&log, 64 * KiB);
    test_log_open(&log);
    (void)test_log_append_durable(&log, 2000);
    test_log_close(&log);
    struct test_log other;
    test_log_init(&other, 4096);
    struct aof *aof = NULL;
    struct error error;
    ck_assert_int_eq(
        aof_open(other.directory, other.store_id, 500, &other.options, NULL, &aof, &error), ST_OK);
    aof_close(aof);
    struct buf content = {0};
    test_file_read(test_log_path(&other, "00000000000000000500.aof"), &content);
    test_file_write(test_log_path(&log, "00000000000000000500.aof"), buf_slice(&content));
    const struct log_reading reading = test_log_read(&log, 0, 0, NULL);
    ck_assert_int_eq(reading.status, ST_CORRUPT);
    ck_assert_ptr_nonnull(strstr(reading.error.message, "00000000000000000000.aof"));
    buf_deinit(&content);
    test_log_deinit(&other);
    test_log_deinit(&log);
}
END_TEST

START_TEST(a_checkpoint_beyond_the_log_is_damage)
{
    struct test_log log;
    struct test_names names;
    make_small_closed(&log, &names);
    const uint64_t end = log.items[log.item_count - 1].lsn_after;
    ck_assert_int_eq(test_log_read(&log, end + 50, 0, NULL).status, ST_CORRUPT);
    test_names_deinit(&names);
    test_log_deinit(&log);
}
END_TEST

/* --- cut and flipped bytes ------------------------------------------------------------------------------- */

START_TEST(a_segment_cut_anywhere_gives_whole_frames_up_to_there)
{
    struct test_log log;
    make_small(&log);
    struct test_log copy;
    test_log_copy(&log, &copy); /* as after a kill */
    test_log_deinit(&log);
    struct test_names names;
    test_names_list(&copy, ".aof", &names);
    const char *const last = names.names[names.count - 1];
    struct buf content = {0};
    test_file_read(test_log_path(&copy, last), &content);
    size_t frame_count = 0;
    const size_t header_size = frame_offset(buf_slice(&content), 1, &frame_count);
    ck_assert_uint_ge(frame_count, 2);
    const size_t items_before = SMALL_COUNT - (frame_count - 1);
    for (size_t cut = 0; cut <= content.size; cut++) {
        test_file_write(test_log_path(&copy, last), slice_of(content.data, cut));
        size_t whole = 0;
        while (whole < frame_count && frame_offset(buf_slice(&content), whole + 1, NULL) <= cut)
            whole++;
        const struct log_reading reading = test_log_read(&copy, 0, 0, NULL);
        if (cut < header_size) {
            /* The first frame was durable before the file had its name. */
            ck_assert_int_eq(reading.status, ST_CORRUPT);
            continue;
        }
        ck_assert_msg(reading.status == ST_END, "cut=%zu: %s", cut, reading.error.message);
        ck_assert_uint_eq(reading.item_count, items_before + whole - 1);
        const size_t end = frame_offset(buf_slice(&content), whole, NULL);
        ck_assert(reading.tail.torn == (cut > end && whole < frame_count));
        if (reading.tail.torn) {
            ck_assert_str_eq(reading.tail.path, test_log_path(&copy, last));
            ck_assert_uint_eq(reading.tail.offset, end);
            ck_assert_uint_eq(reading.tail.dropped_bytes, cut - end);
        }
    }
    test_names_deinit(&names);
    buf_deinit(&content);
    test_log_deinit(&copy);
}
END_TEST

START_TEST(a_cut_before_the_last_segment_is_damage)
{
    struct test_log log;
    struct test_names names;
    make_small_closed(&log, &names);
    struct buf content = {0};
    for (size_t index = 0; index + 1 < names.count; index++) {
        test_file_read(test_log_path(&log, names.names[index]), &content);
        for (size_t cut = 0; cut < content.size; cut++) {
            test_file_write(test_log_path(&log, names.names[index]), slice_of(content.data, cut));
            const struct log_reading reading = test_log_read(&log, 0, 0, NULL);
            ck_assert_int_eq(reading.status, ST_CORRUPT);
            ck_assert_ptr_nonnull(strstr(reading.error.message, names.names[index]));
        }
        test_file_write(test_log_path(&log, names.names[index]), buf_slice(&content));
    }
    test_log_check_whole(&log);
    buf_deinit(&content);
    test_names_deinit(&names);
    test_log_deinit(&log);
}
END_TEST

START_TEST(a_flipped_byte_in_a_closed_log_is_always_damage)
{
    struct test_log log;
    struct test_names names;
    make_small_closed(&log, &names);
    struct buf content = {0};
    for (size_t index = 0; index < names.count; index++) {
        test_file_read(test_log_path(&log, names.names[index]), &content);
        size_t frame_count = 0;
        (void)frame_offset(buf_slice(&content), 0, &frame_count);
        const bool is_last = index + 1 == names.count;
        const size_t mark = frame_offset(buf_slice(&content), frame_count - 1, NULL);
        for (size_t at = 0; at < content.size; at++) {
            for (unsigned bit = 0; bit < 8; bit += 5) { /* also the case of letters */
                content.data[at] = (char)(content.data[at] ^ (char)(1u << bit));
                test_file_write(test_log_path(&log, names.names[index]), buf_slice(&content));
                content.data[at] = (char)(content.data[at] ^ (char)(1u << bit));
                const struct log_reading reading = test_log_read(&log, 0, 0, NULL);
                if (is_last && at >= mark) {
                    /* The mark that proves all else holds nothing itself. */
                    ck_assert_int_eq(reading.status, ST_END);
                    ck_assert(reading.tail.torn);
                    ck_assert_uint_eq(reading.item_count, SMALL_COUNT);
                } else {
                    ck_assert_msg(
                        reading.status == ST_CORRUPT, "%s at=%zu", names.names[index], at);
                    ck_assert_ptr_nonnull(strstr(reading.error.message, names.names[index]));
                    ck_assert_ptr_nonnull(strstr(reading.error.message, "offset "));
                }
            }
        }
        test_file_write(test_log_path(&log, names.names[index]), buf_slice(&content));
    }
    buf_deinit(&content);
    test_names_deinit(&names);
    test_log_deinit(&log);
}
END_TEST

START_TEST(a_flipped_byte_after_a_kill_is_damage_except_in_the_last_frame)
{
    struct test_log log;
    make_small(&log);
    struct test_log copy;
    test_log_copy(&log, &copy);
    test_log_deinit(&log);
    struct test_names names;
    test_names_list(&copy, ".aof", &names);
    const char *const last = names.names[names.count - 1];
    struct buf content = {0};
    test_file_read(test_log_path(&copy, last), &content);
    size_t frame_count = 0;
    const size_t end = frame_offset(buf_slice(&content), SIZE_MAX, &frame_count);
    ck_assert_uint_ge(frame_count, 2);
    const size_t last_frame = frame_offset(buf_slice(&content), frame_count - 1, NULL);
    for (size_t at = 0; at < content.size; at++) {
        content.data[at] = (char)(content.data[at] ^ 0x10);
        test_file_write(test_log_path(&copy, last), buf_slice(&content));
        content.data[at] = (char)(content.data[at] ^ 0x10);
        const struct log_reading reading = test_log_read(&copy, 0, 0, NULL);
        if (at < last_frame) {
            ck_assert_int_eq(reading.status, ST_CORRUPT);
        } else if (at < end) {
            ck_assert_int_eq(reading.status, ST_END);
            ck_assert(reading.tail.torn);
            ck_assert_uint_eq(reading.item_count, SMALL_COUNT - 1);
        } else {
            ck_assert_int_eq(reading.status, ST_END);
            ck_assert_uint_eq(reading.item_count, SMALL_COUNT);
            ck_assert(reading.tail.torn == (at < end + AOF_TERMINATOR_SIZE));
        }
    }
    test_names_deinit(&names);
    buf_deinit(&content);
    test_log_deinit(&copy);
}
END_TEST

START_TEST(damage_before_the_checkpoint_does_not_matter)
{
    struct test_log log;
    struct test_names names;
    make_small_closed(&log, &names);
    /* The first frame of the last segment is damaged, the checkpoint is behind it. */
    const char *const last = names.names[names.count - 1];
    struct buf content = {0};
    test_file_read(test_log_path(&log, last), &content);
    size_t frame_count = 0;
    const size_t first_frame = frame_offset(buf_slice(&content), 1, &frame_count);
    ck_assert_uint_ge(frame_count, 4); /* header, two frames, mark */
    const size_t first_item = SMALL_COUNT - (frame_count - 2);
    content.data[first_frame + 5] ^= 1;
    test_file_write(test_log_path(&log, last), buf_slice(&content));
    const struct log_reading reading =
        test_log_read(&log, log.items[first_item].lsn_after, first_item + 1, NULL);
    ck_assert_msg(reading.status == ST_END, "%s", reading.error.message);
    ck_assert_uint_eq(reading.item_count, SMALL_COUNT - first_item - 1);
    ck_assert_int_eq(test_log_read(&log, 0, 0, NULL).status, ST_CORRUPT);
    buf_deinit(&content);
    test_names_deinit(&names);
    test_log_deinit(&log);
}
END_TEST

START_TEST(absurd_lengths_are_a_bad_frame)
{
    struct test_log log;
    struct test_names names;
    make_small_closed(&log, &names);
    const char *const last = names.names[names.count - 1];
    struct buf content = {0};
    test_file_read(test_log_path(&log, last), &content);
    static const char *const sizes[] = {
        "18446744073709551615", "9223372036854775807", "4294967296", "99999"};
    const uint64_t end = log.items[log.item_count - 1].lsn_after;
    for (size_t index = 0; index < COUNT_OF(sizes); index++) {
        struct buf bad = {0};
        buf_append_slice(&bad, buf_slice(&content));
        buf_append_format(&bad, "#K1 %llu 1 %s %llu 0123456789abcdef\r\nabc",
            (unsigned long long)end, sizes[index], (unsigned long long)end);
        test_file_write(test_log_path(&log, last), buf_slice(&bad));
        buf_deinit(&bad);
        const struct log_reading reading = test_log_read(&log, 0, 0, NULL);
        ck_assert_int_eq(reading.status, ST_END);
        ck_assert(reading.tail.torn);
        ck_assert_uint_eq(reading.item_count, SMALL_COUNT);
    }
    buf_deinit(&content);
    test_names_deinit(&names);
    test_log_deinit(&log);
}
END_TEST

/* --- power failure ---------------------------------------------------------------------------------------- */

/*
 * The last segment after a power failure: up to the durable offset as it was, after it each block either old (as it was
 * when D was reached) or new, in any mixture.
 */
static void mix_blocks(struct buf *old, const struct buf *new, size_t durable_offset,
    size_t block_size, struct random *random)
{
    if (old->size < new->size) {
        memset(buf_reserve(old, new->size - old->size), 0, new->size - old->size);
        old->size = new->size;
    }
    const uint64_t bias = random_below(random, 101);
    for (size_t at = 0; at < new->size; at += block_size) {
        const size_t size = new->size - at < block_size ? new->size - at : block_size;
        const bool is_durable = at < durable_offset;
        if (is_durable || random_below(random, 100) < bias)
            memcpy(old->data + at, new->data + at, size);
    }
}

START_TEST(unsynced_pages_that_are_lost_in_any_order_cost_no_durable_byte)
{
    struct random random;
    test_random_init(&random);
    struct test_log log;
    test_log_init(&log, 8192);
    test_log_open(&log);
    struct buf old = {0};
    struct buf new = {0};
    for (int round = 0; round < 30; round++) {
        /* Recycled segments, so that the old content is that of frames, too. */
        const uint64_t x = aof_cut(log.aof);
        const size_t x_item = log.item_count;
        ck_assert_int_eq(aof_wait_durable(log.aof, x), ST_OK);
        aof_release(log.aof, x);
        (void)test_log_append_durable(&log, 20 + (size_t)random_below(&random, 500));
        const size_t durable_items = log.item_count;
        struct test_names names;
        test_names_list(&log, ".aof", &names);
        char last[64];
        (void)snprintf(last, sizeof(last), "%s", names.names[names.count - 1]);
        test_names_deinit(&names);
        test_file_read(test_log_path(&log, last), &old);
        const size_t durable_offset = frame_offset(buf_slice(&old), SIZE_MAX, NULL);
        /* Not synced: small enough to stay in this segment (if not, the older is durable again). */
        const uint64_t more = 1 + random_below(&random, 6);
        for (uint64_t index = 0; index < more; index++) {
            (void)test_log_append(&log, 0, 0, 20 + (size_t)random_below(&random, 100));
            if (random_below(&random, 2) == 0)
                test_log_wait_written(&log);
        }
        test_log_wait_written(&log);
        struct test_log copy;
        test_log_copy(&log, &copy);
        test_names_list(&copy, ".aof", &names);
        const bool has_rotated = strcmp(names.names[names.count - 1], last) != 0;
        test_names_deinit(&names);
        test_file_read(test_log_path(&copy, last), &new);
        for (int variant = 0; variant < 20 && !has_rotated; variant++) {
            struct buf mixed = {0};
            buf_append_slice(&mixed, buf_slice(&old));
            const size_t block_size = variant % 2 == 0 ? 16 : 128;
            mix_blocks(&mixed, &new, durable_offset, block_size, &random);
            test_file_write(test_log_path(&copy, last), buf_slice(&mixed));
            buf_deinit(&mixed);
            const struct log_reading reading = test_log_read(&copy, x, x_item, NULL);
            ck_assert_msg(reading.status == ST_END, "%s", reading.error.message);
            ck_assert_uint_ge(reading.item_count, durable_items - x_item);
            /* Cut, it reads the same, cleanly. */
            ck_assert_int_eq(aof_cut_tail(copy.directory, &reading.tail, NULL), ST_OK);
            const struct log_reading again = test_log_read(&copy, x, x_item, NULL);
            ck_assert_int_eq(again.status, ST_END);
            ck_assert(!again.tail.torn);
            ck_assert_uint_eq(again.tail.end_lsn, reading.tail.end_lsn);
        }
        test_log_deinit(&copy);
    }
    buf_deinit(&old);
    buf_deinit(&new);
    test_log_deinit(&log);
}
END_TEST

/* --- the tail ---------------------------------------------------------------------------------------------- */

/* A log whose last segment goes on with bytes that are no frame. */
static void make_torn(struct test_log *log, struct slice garbage, char last[64])
{
    struct test_names names;
    make_small_closed(log, &names);
    (void)snprintf(last, 64, "%s", names.names[names.count - 1]);
    test_names_deinit(&names);
    struct buf content = {0};
    test_file_read(test_log_path(log, last), &content);
    buf_append_slice(&content, garbage);
    test_file_write(test_log_path(log, last), buf_slice(&content));
    buf_deinit(&content);
}

START_TEST(a_torn_tail_is_cut_and_kept_aside)
{
    struct test_log log;
    char last[64];
    make_torn(&log, SLICE_LITERAL("#K1 garbage\0\0\0\0"), last);
    const struct log_reading reading = test_log_read(&log, 0, 0, NULL);
    ck_assert_int_eq(reading.status, ST_END);
    ck_assert(reading.tail.torn);
    ck_assert_uint_eq(reading.tail.dropped_bytes, 11);
    for (int again = 0; again < 3; again++) /* idempotent */
        ck_assert_int_eq(aof_cut_tail(log.directory, &reading.tail, NULL), ST_OK);
    test_log_check_whole(&log);
    struct buf content = {0};
    struct test_names names;
    test_names_list(&log, "", &names);
    size_t aside_count = 0;
    for (size_t index = 0; index < names.count; index++) {
        if (strstr(names.names[index], ".torn-") == NULL)
            continue;
        aside_count++;
        ck_assert_int_eq(strncmp(names.names[index], last, strlen(last)), 0);
        test_file_read(test_log_path(&log, names.names[index]), &content);
        ck_assert_text_eq(buf_slice(&content), "#K1 garbage");
    }
    ck_assert_uint_eq(aside_count, 1);
    test_names_deinit(&names);
    buf_deinit(&content);
    test_log_open(&log);
    (void)test_log_append_durable(&log, 100);
    test_log_close(&log);
    test_log_check_whole(&log);
    test_log_deinit(&log);
}
END_TEST

START_TEST(opening_with_a_torn_tail_cuts_it)
{
    struct test_log log;
    char last[64];
    make_torn(&log, SLICE_LITERAL("garbage"), last);
    const uint64_t end = log.items[log.item_count - 1].lsn_after;
    struct error error;
    ck_assert_int_eq(
        aof_open(log.directory, log.store_id, end, &log.options, NULL, &log.aof, &error), ST_OK);
    test_log_close(&log);
    test_log_check_whole(&log);
    test_log_deinit(&log);
}
END_TEST

START_TEST(later_segments_that_prove_nothing_are_moved_aside)
{
    struct test_log log;
    char last[64];
    make_torn(&log, SLICE_LITERAL("garbage"), last);
    test_file_write(
        test_log_path(&log, "00000000000000900000.aof"), SLICE_LITERAL("nothing valid"));
    test_file_write(test_log_path(&log, "00000000000000950000.aof"), slice_of(NULL, 0));
    const struct log_reading reading = test_log_read(&log, 0, 0, NULL);
    ck_assert_int_eq(reading.status, ST_END);
    ck_assert(reading.tail.torn);
    ck_assert_ptr_nonnull(strstr(reading.tail.path, last));
    ck_assert_uint_eq(reading.tail.dropped_bytes, 7 + 13);
    ck_assert_int_eq(aof_cut_tail(log.directory, &reading.tail, NULL), ST_OK);
    test_log_check_whole(&log);
    struct test_names names;
    test_names_list(&log, ".aof", &names);
    ck_assert_str_eq(names.names[names.count - 1], last);
    test_names_deinit(&names);
    test_log_deinit(&log);
}
END_TEST

START_TEST(frames_that_a_client_stored_prove_nothing_unless_they_are_true)
{
    /* Payloads full of lines that look like frames with a D beyond everything, torn in their middle. */
    struct test_log log;
    test_log_init(&log, 64 * KiB);
    struct error error;
    ck_assert_int_eq(
        aof_open(log.directory, log.store_id, 0, &log.options, NULL, &log.aof, &error), ST_OK);
    struct buf body = {0};
    for (int index = 0; index < 200; index++)
        buf_append_format(
            &body, "#K1 %d 1 10 %d 0123456789abcdef\r\n", 100000 + index, 90000 + index);
    const struct aof_append append = {.body = buf_slice(&body)};
    const uint64_t first = aof_append(log.aof, &append);
    ck_assert_int_eq(aof_wait_durable(log.aof, first), ST_OK);
    const uint64_t second = aof_append(log.aof, &append);
    ck_assert_int_eq(aof_wait_durable(log.aof, second), ST_OK);
    struct test_log copy;
    test_log_copy(&log, &copy);
    struct buf content = {0};
    test_file_read(test_log_path(&copy, "00000000000000000000.aof"), &content);
    content.data[frame_offset(buf_slice(&content), 3, NULL) - 1] ^= 1;
    test_file_write(test_log_path(&copy, "00000000000000000000.aof"), buf_slice(&content));
    struct aof_reader *reader = NULL;
    ck_assert_int_eq(aof_reader_open(copy.directory, copy.store_id, 0, &reader, &error), ST_OK);
    struct aof_frame frame;
    ck_assert_int_eq(aof_reader_next(reader, &frame, &error), ST_OK);
    ck_assert_slice_eq(frame.payload, buf_slice(&body));
    ck_assert_int_eq(aof_reader_next(reader, &frame, &error), ST_END);
    ck_assert_uint_eq(aof_reader_tail(reader)->end_lsn, first);
    ck_assert(aof_reader_tail(reader)->torn);
    aof_reader_close(reader);
    buf_deinit(&content);
    buf_deinit(&body);
    test_log_deinit(&copy);
    test_log_deinit(&log);
}
END_TEST

START_TEST(a_segment_that_begins_where_the_frames_end_goes_on)
{
    /* As if the cut at rotation had not reached the disk: zeros after the last frame of an old segment. */
    struct test_log log;
    struct test_names names;
    make_small_closed(&log, &names);
    struct buf content = {0};
    for (size_t index = 0; index + 1 < names.count; index++) {
        test_file_read(test_log_path(&log, names.names[index]), &content);
        memset(buf_reserve(&content, 300), index % 2 == 0 ? 0 : 'x', 300);
        content.size += 300;
        test_file_write(test_log_path(&log, names.names[index]), buf_slice(&content));
    }
    test_log_check_whole(&log);
    buf_deinit(&content);
    test_names_deinit(&names);
    test_log_deinit(&log);
}
END_TEST

START_TEST(a_disk_that_cannot_be_read_is_an_error_and_not_an_end)
{
    struct test_log log;
    struct test_names names;
    make_small_closed(&log, &names);
    file_fault_clear();
    test_log_check_whole(&log);
    const uint64_t reads = file_fault_seen(FILE_READ);
    const uint64_t opens = file_fault_seen(FILE_OPEN);
    ck_assert_uint_ge(reads, names.count);
    for (int operation = 0; operation < 2; operation++) {
        for (uint64_t nth = 1; nth <= (operation == 0 ? reads : opens); nth++) {
            file_fault_add(&(struct file_fault){.operation = operation == 0 ? FILE_READ : FILE_OPEN,
                .path_part = "",
                .nth = nth,
                .os_errno = 5});
            const struct log_reading reading = test_log_read(&log, 0, 0, NULL);
            ck_assert_int_eq(reading.status, ST_IO);
            file_fault_clear();
        }
    }
    test_names_deinit(&names);
    test_log_deinit(&log);
}
END_TEST

TEST_GROUP(reader_group, no_log_is_not_found, every_frame_border_is_a_place_to_recover_from,
    a_missing_segment_is_damage_that_is_named, the_log_of_another_store_is_refused,
    a_frame_that_runs_into_the_next_segment_is_damage, a_checkpoint_beyond_the_log_is_damage,
    a_segment_cut_anywhere_gives_whole_frames_up_to_there, a_cut_before_the_last_segment_is_damage,
    a_flipped_byte_in_a_closed_log_is_always_damage,
    a_flipped_byte_after_a_kill_is_damage_except_in_the_last_frame,
    damage_before_the_checkpoint_does_not_matter, absurd_lengths_are_a_bad_frame,
    unsynced_pages_that_are_lost_in_any_order_cost_no_durable_byte,
    a_torn_tail_is_cut_and_kept_aside, opening_with_a_torn_tail_cuts_it,
    later_segments_that_prove_nothing_are_moved_aside,
    frames_that_a_client_stored_prove_nothing_unless_they_are_true,
    a_segment_that_begins_where_the_frames_end_goes_on,
    a_disk_that_cannot_be_read_is_an_error_and_not_an_end)
