/*
 * keyspace_log.c: effects as the log gets them: whole RESP commands, with the command that selects their database as the prefix that
 * the log inserts where it is needed.
 *
 * Nothing is logged in replay: what is executed there is the log.
 */
#include "keyspace_internal.h"

/* Effects up to this size are formatted on the stack. */
#define EFFECT_STACK_SIZE ((size_t)1024)
/* "$18446744073709551615\r\n" */
#define HEADER_SIZE_MAX ((size_t)23)

static struct slice select_of(const struct keyspace *keyspace, unsigned database)
{
    const struct keyspace_select *const select = &keyspace->selects[database];
    return slice_of(select->text, select->size);
}

/* What must be waited for is unknown if no key is named: all. */
static uint64_t partitions_of(const struct key *keys, size_t key_count)
{
    uint64_t partitions = 0;
    for (size_t index = 0; index < key_count; index++)
        partitions |= (uint64_t)1 << hot_partition(&keys[index]);
    return key_count == 0 ? UINT64_MAX : partitions;
}
static_assert(HOT_PARTITION_COUNT == 64, "a bit for each partition");

static void log_effect(
    struct keyspace_view *view, uint64_t partitions, unsigned database, struct slice effect)
{
    tier_turn_log(view->turn, partitions, database, select_of(view->keyspace, database), effect);
}

static char *put_header(char *out, char mark, size_t number)
{
    *out++ = mark;
    out += uint64_to_text(number, out);
    *out++ = '\r';
    *out++ = '\n';
    return out;
}

static void log_formatted(struct keyspace_view *view, uint64_t partitions, unsigned database,
    const struct slice *args, size_t arg_count)
{
    CHECK(arg_count > 0);
    size_t room = HEADER_SIZE_MAX;
    for (size_t index = 0; index < arg_count; index++)
        room += HEADER_SIZE_MAX + args[index].size + 2;
    char stack[EFFECT_STACK_SIZE];
    char *const text = room <= sizeof(stack) ? stack : mem_alloc(room);
    char *out = put_header(text, '*', arg_count);
    for (size_t index = 0; index < arg_count; index++) {
        out = put_header(out, '$', args[index].size);
        if (args[index].size > 0)
            memcpy(out, args[index].data, args[index].size);
        out += args[index].size;
        *out++ = '\r';
        *out++ = '\n';
    }
    log_effect(view, partitions, database, slice_of(text, (size_t)(out - text)));
    if (text != stack)
        mem_free(text);
}

void keyspace_log_request(
    struct keyspace_view *view, const struct key *keys, size_t key_count, struct slice request)
{
    view->changes++;
    if (view->replay)
        return;
    log_effect(view, partitions_of(keys, key_count), view->database, request);
}

void keyspace_log_args(struct keyspace_view *view, const struct key *keys, size_t key_count,
    const struct slice *args, size_t arg_count)
{
    view->changes++;
    if (view->replay)
        return;
    log_formatted(view, partitions_of(keys, key_count), view->database, args, arg_count);
}

void log_args_in(struct keyspace_view *view, const struct key *key, unsigned database,
    const struct slice *args, size_t arg_count)
{
    view->changes++;
    if (!view->replay)
        log_formatted(view, partitions_of(key, 1), database, args, arg_count);
}

void log_expiry(struct keyspace_view *view, const struct key *key, unsigned database)
{
    const struct slice args[] = {SLICE_LITERAL("DEL"), key_slice(key)};
    log_args_in(view, key, database, args, COUNT_OF(args));
}

void keyspace_log_all(struct keyspace_view *view, const struct slice *args, size_t arg_count)
{
    view->changes++;
    if (view->replay)
        return;
    log_formatted(view, UINT64_MAX, view->database, args, arg_count);
}

void keyspace_group_begin(struct keyspace_view *view)
{
    tier_turn_group_begin(view->turn, SLICE_LITERAL("*1\r\n$5\r\nMULTI\r\n"));
}

void keyspace_group_end(struct keyspace_view *view)
{
    tier_turn_group_end(view->turn, SLICE_LITERAL("*1\r\n$4\r\nEXEC\r\n"));
}
