/*
 * hyperloglog_commands.c: PFADD, PFCOUNT, PFMERGE, PFDEBUG, PFSELFTEST.
 *
 * A dense sketch is changed where it lies: its size never changes. A sparse one is changed in a copy, which is then stored.
 *
 * What is logged: PFADD and PFMERGE as they came, and the step from sparse to dense on its own, because hll-sparse-max-bytes may have another
 * value when the log is replayed (then nothing becomes dense by its size). PFCOUNT keeps the cardinality in the sketch's header and logs that
 * as the SETRANGE that it is.
 */
#include "hyperloglog_commands.h"

#include "base/check.h"
#include "base/mem.h"
#include "commands_internal.h"
#include "hyperloglog.h"

#define REPLY_NO_SKETCH "WRONGTYPE Key is not a valid HyperLogLog string value."
#define REPLY_DAMAGED   "INVALIDOBJ Corrupted HLL object detected"

static_assert(HLL_CACHE_OFFSET == 8, "as the SETRANGE of PFCOUNT says");

/* The record of a key and the bytes of its sketch. False: an error was replied. Absent: *record is NULL. */
static bool find_sketch(struct command_call *call, size_t key_index, enum keyspace_access access,
    struct hot_record **record, struct slice *bytes)
{
    if (!command_find_typed(call, key_index, access, VALUE_STRING, record))
        return false;
    *bytes = slice_of(NULL, 0);
    if (*record == NULL)
        return true;
    const struct value value = hot_record_value(*record);
    *bytes = value.bytes; /* an integer has none */
    if (hll_kind_of(*bytes) != HLL_NONE)
        return true;
    reply_error(call->reply, REPLY_NO_SKETCH);
    return false;
}

static size_t sparse_size_max(const struct command_call *call)
{
    if (call->view->replay)
        return HLL_SPARSE_SIZE_MAX;
    const int64_t configured = OPTION_GET(&call->server->settings->server, hll_sparse_size_max);
    return configured < HLL_SPARSE_SIZE_MAX ? (size_t)configured : HLL_SPARSE_SIZE_MAX;
}

/* Stores a copy that was changed; the expiry stays. False: memory is out, and an error was replied. */
static bool store(
    struct command_call *call, size_t key_index, struct hot_record *record, const struct hll *hll)
{
    struct value value = value_string_raw(slice_of(hll->bytes, hll->size));
    if (hll->size > VALUE_INLINE_SIZE_MAX && value_string_own(value.bytes, &value) != ST_OK) {
        commands_reply_no_memory(call);
        return false;
    }
    const uint64_t expire_ms = record == NULL ? 0 : hot_record_expire_ms(record);
    (void)keyspace_set(call->view, &call->keys[key_index], record, value, expire_ms);
    return true;
}

static void log_dense(struct command_call *call, const struct key *key)
{
    const struct slice args[] = {
        SLICE_LITERAL("PFDEBUG"), SLICE_LITERAL("TODENSE"), key_slice(key)};
    keyspace_log_args(call->view, key, 1, args, COUNT_OF(args));
}

/* The command, and what it did to the representation: the sketch is the same between the two. */
static void log_change(struct command_call *call, bool became_dense)
{
    commands_log_as_received(call);
    if (became_dense)
        log_dense(call, &call->keys[0]);
}

/* Bytes of a record's string that are to change in place; only between begin and end of an edit. */
static char *bytes_in_place(const struct hot_record *record)
{
    const struct value value = hot_record_value(record);
    return (char *)(uintptr_t)value.bytes.data;
}

/* Nobody else reads the bytes. */
static bool can_change_in_place(const struct hot_record *record)
{
    return hot_record_value(record).blob == NULL;
}

/* --- PFADD ------------------------------------------------------------------------------------------------------- */

/* The first argument from this one on that would raise a register, or argc. */
static int first_that_raises(const struct command_call *call, struct slice bytes, int argument)
{
    for (; argument < call->argc; argument++) {
        const struct hll_offer offer = hll_offer_of(call->argv[argument]);
        if (hll_dense_rank(bytes.data, offer.index) < offer.rank)
            break;
    }
    return argument;
}

static bool add_to_dense(struct command_call *call, struct hot_record *record, struct slice bytes)
{
    int argument = first_that_raises(call, bytes, 2);
    if (argument == call->argc)
        return false;
    keyspace_edit_begin(call->view, &call->keys[0], record);
    char *const data = bytes_in_place(record);
    for (; argument < call->argc; argument++)
        (void)hll_dense_raise(data, hll_offer_of(call->argv[argument]));
    hll_cache_invalidate(data);
    keyspace_edit_end(call->view, &call->keys[0], record, 0);
    log_change(call, false);
    return true;
}

/* True if something changed, and *became_dense. */
static bool add_arguments(struct command_call *call, struct hll *hll, bool *became_dense)
{
    const size_t size_max = sparse_size_max(call);
    bool is_changed = false;
    for (int i = 2; i < call->argc; i++)
        is_changed |= hll_raise(hll, hll_offer_of(call->argv[i]), size_max);
    *became_dense = hll_kind_of(slice_of(hll->bytes, hll->size)) == HLL_DENSE;
    return is_changed;
}

void cmd_pfadd(struct command_call *call)
{
    struct hot_record *record = NULL;
    struct slice bytes;
    struct hll hll;
    bool became_dense = false;
    if (!find_sketch(call, 0, KEYSPACE_WRITE, &record, &bytes))
        return;
    bool is_changed = record == NULL;
    if (record != NULL && hll_kind_of(bytes) == HLL_DENSE && can_change_in_place(record)) {
        is_changed = add_to_dense(call, record, bytes);
    } else {
        if (record == NULL) {
            hll_init(&hll);
        } else if (!hll_load(&hll, bytes)) {
            reply_error(call->reply, REPLY_DAMAGED);
            return;
        }
        is_changed |= add_arguments(call, &hll, &became_dense);
        hll_cache_invalidate(hll.bytes);
        if (is_changed && !store(call, 0, record, &hll))
            return;
        if (is_changed)
            log_change(call, became_dense);
    }
    reply_integer(call->reply, is_changed ? 1 : 0);
    if (is_changed)
        keyspace_notify(call->view, EVENT_STRING, "pfadd", &call->keys[0]);
}

/* --- PFCOUNT --------------------------------------------------------------------------------------------------------- */

/* Keeps it in the header, for the next time. */
static void cache_cardinality(
    struct command_call *call, struct hot_record *record, uint64_t cardinality)
{
    const bool log_fails =
        atomic_load_explicit(&call->server->log_is_unwritable, memory_order_relaxed);
    if (log_fails || !can_change_in_place(record))
        return;
    const struct key *key = &call->keys[0];
    char text[HLL_CACHE_SIZE];
    hll_cache_format(cardinality, text);
    keyspace_edit_begin(call->view, key, record);
    memcpy(bytes_in_place(record) + HLL_CACHE_OFFSET, text, sizeof(text));
    keyspace_edit_end(call->view, key, record, 0);
    const struct slice args[] = {SLICE_LITERAL("SETRANGE"), key_slice(key), SLICE_LITERAL("8"),
        slice_of(text, sizeof(text))};
    keyspace_log_args(call->view, key, 1, args, COUNT_OF(args));
}

static void count_one(struct command_call *call)
{
    struct hot_record *record = NULL;
    struct slice bytes;
    uint64_t cardinality = 0;
    uint32_t histogram[HLL_RANK_COUNT];
    if (!find_sketch(call, 0, KEYSPACE_READ, &record, &bytes))
        return;
    if (record != NULL && !hll_cached(bytes, &cardinality)) {
        if (!hll_histogram(bytes, histogram)) {
            reply_error(call->reply, REPLY_DAMAGED);
            return;
        }
        cardinality = hll_estimate(histogram);
        cache_cardinality(call, record, cardinality);
    }
    reply_integer(call->reply, (int64_t)cardinality);
}

/* Registers become the union of keys; those that are dense are noticed. False: an error was replied. */
static bool merge_keys(
    struct command_call *call, uint8_t registers[HLL_REGISTER_COUNT], bool *any_is_dense)
{
    memset(registers, 0, HLL_REGISTER_COUNT);
    *any_is_dense = false;
    for (size_t i = 0; i < call->key_count; i++) {
        struct hot_record *record = NULL;
        struct slice bytes;
        if (!find_sketch(call, i, KEYSPACE_READ, &record, &bytes))
            return false;
        if (record == NULL)
            continue;
        *any_is_dense |= hll_kind_of(bytes) == HLL_DENSE;
        if (!hll_merge(bytes, registers)) {
            reply_error(call->reply, REPLY_DAMAGED);
            return false;
        }
    }
    return true;
}

void cmd_pfcount(struct command_call *call)
{
    uint8_t registers[HLL_REGISTER_COUNT];
    uint32_t histogram[HLL_RANK_COUNT];
    bool any_is_dense = false;
    if (call->key_count == 1) {
        count_one(call);
    } else if (merge_keys(call, registers, &any_is_dense)) {
        hll_histogram_of(registers, histogram);
        reply_integer(call->reply, (int64_t)hll_estimate(histogram));
    }
}

/* --- PFMERGE ------------------------------------------------------------------------------------------------------------ */

void cmd_pfmerge(struct command_call *call)
{
    uint8_t registers[HLL_REGISTER_COUNT];
    bool any_is_dense = false;
    struct hot_record *record = NULL;
    struct slice bytes;
    struct hll hll;
    if (!merge_keys(call, registers, &any_is_dense) ||
        !find_sketch(call, 0, KEYSPACE_WRITE, &record, &bytes))
        return;
    if (record == NULL)
        hll_init(&hll);
    else
        CHECK(hll_load(&hll, bytes)); /* merge_keys() has read it */
    const bool was_dense = record != NULL && hll_kind_of(bytes) == HLL_DENSE;
    if (any_is_dense)
        hll_make_dense(&hll);
    const size_t size_max = sparse_size_max(call);
    for (unsigned i = 0; i < HLL_REGISTER_COUNT; i++) {
        if (registers[i] > 0)
            (void)hll_raise(&hll, (struct hll_offer){.index = i, .rank = registers[i]}, size_max);
    }
    hll_cache_invalidate(hll.bytes);
    if (!store(call, 0, record, &hll))
        return;
    const bool is_dense = hll_kind_of(slice_of(hll.bytes, hll.size)) == HLL_DENSE;
    log_change(call, is_dense && !was_dense);
    reply_ok(call->reply);
    keyspace_notify(call->view, EVENT_STRING, "pfadd", &call->keys[0]);
}

/* --- PFDEBUG -------------------------------------------------------------------------------------------------------------- */

/* True if it was sparse. False also after an error was replied: then *failed. */
static bool to_dense(
    struct command_call *call, struct hot_record *record, struct slice bytes, bool *failed)
{
    struct hll hll;
    *failed = false;
    if (hll_kind_of(bytes) == HLL_DENSE)
        return false;
    if (!hll_load(&hll, bytes)) {
        reply_error(call->reply, REPLY_DAMAGED);
        *failed = true;
        return false;
    }
    hll_make_dense(&hll);
    *failed = !store(call, 0, record, &hll);
    if (!*failed)
        log_dense(call, &call->keys[0]);
    return !*failed;
}

static void debug_registers(
    struct command_call *call, struct hot_record *record, struct slice bytes)
{
    uint8_t registers[HLL_REGISTER_COUNT] = {0};
    bool failed = false;
    if (!hll_merge(bytes, registers)) {
        reply_error(call->reply, REPLY_DAMAGED);
        return;
    }
    (void)to_dense(call, record, bytes, &failed);
    if (failed)
        return;
    reply_array(call->reply, HLL_REGISTER_COUNT);
    for (unsigned i = 0; i < HLL_REGISTER_COUNT; i++)
        reply_integer(call->reply, registers[i]);
}

static void debug_decode(struct command_call *call, struct slice bytes)
{
    struct buf text = {0};
    if (hll_kind_of(bytes) != HLL_SPARSE)
        reply_error(call->reply, "ERR HLL encoding is not sparse");
    else if (!hll_sparse_text(bytes, &text))
        reply_error(call->reply, REPLY_DAMAGED);
    else
        reply_bulk(call->reply, buf_slice(&text));
    buf_deinit(&text);
}

void cmd_pfdebug(struct command_call *call)
{
    struct hot_record *record = NULL;
    struct slice bytes;
    bool failed = false;
    const struct slice word = call->argv[1];
    if (!find_sketch(call, 0, KEYSPACE_WRITE, &record, &bytes))
        return;
    if (record == NULL) {
        reply_error(call->reply, "ERR The specified key does not exist");
    } else if (slice_equal_nocase(word, "getreg")) {
        debug_registers(call, record, bytes);
    } else if (slice_equal_nocase(word, "decode")) {
        debug_decode(call, bytes);
    } else if (slice_equal_nocase(word, "encoding")) {
        reply_simple(call->reply, hll_kind_of(bytes) == HLL_DENSE ? "dense" : "sparse");
    } else if (slice_equal_nocase(word, "todense")) {
        const bool was_sparse = to_dense(call, record, bytes, &failed);
        if (!failed)
            reply_integer(call->reply, was_sparse ? 1 : 0);
    } else {
        reply_error_format(call->reply, "ERR Unknown PFDEBUG subcommand '%.*s'",
            commands_quote_size(word), word.data);
    }
}

/* --- PFSELFTEST ------------------------------------------------------------------------------------------------------------- */

enum { SELF_TEST_STEP = 1000, SELF_TEST_ELEMENTS = 50000 };

/* Ranks written over each other are read back. */
static bool registers_keep_ranks(struct hll *hll)
{
    uint8_t expected[HLL_REGISTER_COUNT] = {0};
    hll_init(hll);
    hll_make_dense(hll);
    for (unsigned step = 0; step < 4 * HLL_REGISTER_COUNT; step++) {
        const struct hll_offer offer = {
            .index = step * 7919 % HLL_REGISTER_COUNT, .rank = step * 31 % HLL_RANK_COUNT};
        (void)hll_dense_raise(hll->bytes, offer);
        if (offer.rank > expected[offer.index])
            expected[offer.index] = (uint8_t)offer.rank;
    }
    for (unsigned i = 0; i < HLL_REGISTER_COUNT; i++) {
        if (hll_dense_rank(hll->bytes, i) != expected[i])
            return false;
    }
    return true;
}

/* Both representations agree, and tell the number of elements within 5 %. */
static bool counts_are_right(struct hll *sparse, struct hll *dense)
{
    hll_init(sparse);
    hll_init(dense);
    hll_make_dense(dense);
    for (uint64_t number = 1; number <= SELF_TEST_ELEMENTS; number++) {
        char text[24];
        const struct hll_offer offer =
            hll_offer_of(slice_of(text, uint64_to_text(number * 0x9e3779b97f4a7c15U, text)));
        (void)hll_raise(sparse, offer, HLL_SPARSE_SIZE_MAX);
        (void)hll_dense_raise(dense->bytes, offer);
        if (number % SELF_TEST_STEP != 0)
            continue;
        uint32_t a[HLL_RANK_COUNT];
        uint32_t b[HLL_RANK_COUNT];
        if (!hll_histogram(slice_of(sparse->bytes, sparse->size), a) ||
            !hll_histogram(slice_of(dense->bytes, dense->size), b) || memcmp(a, b, sizeof(a)) != 0)
            return false;
        const uint64_t estimate = hll_estimate(a);
        const uint64_t error = estimate > number ? estimate - number : number - estimate;
        if (error * 20 > number)
            return false;
    }
    return true;
}

void cmd_pfselftest(struct command_call *call)
{
    struct hll *pair = mem_alloc(2 * sizeof(*pair));
    if (!registers_keep_ranks(&pair[0]))
        reply_error(call->reply, "ERR TESTFAILED a register has another rank than it was given");
    else if (!counts_are_right(&pair[0], &pair[1]))
        reply_error(call->reply, "ERR TESTFAILED a cardinality is too far from the truth");
    else
        reply_ok(call->reply);
    mem_free(pair);
}
