/*
 * context.c: the last few accesses of each connection, and of all together.
 *
 * A connection is one stream of intent; two of them interleaved are noise to each other. Only a connection with too
 * short a past (new, or forgotten) is learned from in the global window (QuickMine, ATC '08, tags accesses by their
 * context in the same spirit). 4-way sets by connection, the longest unused one gives way.
 */
#include "base/check.h"
#include "base/mem.h"
#include "prefetch_internal.h"

#include <string.h>

#define WAYS         4
#define CONTEXTS_MAX 65536

size_t prefetch_contexts_init(struct prefetch_contexts *contexts, size_t bytes)
{
    size_t count;
    contexts->contexts =
        prefetch_table_create(sizeof(struct prefetch_context), CONTEXTS_MAX, &bytes, &count);
    contexts->set_count = count / WAYS;
    CHECK(contexts->set_count > 0);
    return bytes;
}

void prefetch_contexts_deinit(struct prefetch_contexts *contexts)
{
    mem_free(contexts->contexts);
    contexts->contexts = NULL;
}

struct prefetch_window *prefetch_contexts_window(
    struct prefetch_contexts *contexts, uint32_t connection, uint32_t now)
{
    /* Connection ids are dense: the multiplication spreads them. */
    const uint32_t spread = connection * 0x9E3779B1U;
    const size_t set = (size_t)(((uint64_t)spread * contexts->set_count) >> 32);
    struct prefetch_context *const first = &contexts->contexts[set * WAYS];
    struct prefetch_context *oldest = first;
    for (struct prefetch_context *context = first; context < first + WAYS; context++) {
        if (context->connection == connection && context->window.access_count > 0) {
            context->used = now;
            return &context->window;
        }
        if (context->window.access_count == 0) {
            oldest = context;
            break; /* sets fill from the front and never lose a member: the caller pushes */
        }
        if (now - context->used > now - oldest->used)
            oldest = context;
    }
    memset(oldest, 0, sizeof(*oldest));
    oldest->connection = connection;
    oldest->used = now;
    return &oldest->window;
}

void prefetch_window_push(struct prefetch_window *window, uint32_t tag)
{
    window->tags[window->next] = tag;
    window->next = (window->next + 1) % PREFETCH_WINDOW;
    if (window->access_count < UINT32_MAX)
        window->access_count++;
}
