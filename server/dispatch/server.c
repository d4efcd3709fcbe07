/*
 * server.c: the small shared services of struct server: error statistics, the request to stop.
 */
#include "server/server.h"

#include "base/check.h"

#include <unistd.h>

void server_count_error(struct server *server, struct slice code)
{
    char name[sizeof(server->errors[0].code)] = {0};
    const size_t size = code.size < sizeof(name) - 1 ? code.size : sizeof(name) - 1;
    memcpy(name, code.data, size);
    for (size_t i = 0; i < SERVER_ERROR_KIND_MAX; i++) {
        struct server_error_stat *stat = &server->errors[i];
        /* A slot is claimed by setting `claimed`; its name is published by `ready` (partner: the acquire below). */
        bool expected = false;
        if (atomic_compare_exchange_strong_explicit(
                &stat->claimed, &expected, true, memory_order_relaxed, memory_order_relaxed)) {
            memcpy(stat->code, name, sizeof(name));
            atomic_store_explicit(&stat->ready, true, memory_order_release);
        }
        if (!atomic_load_explicit(&stat->ready, memory_order_acquire))
            continue;
        if (strcmp(stat->code, name) == 0) {
            atomic_fetch_add_explicit(&stat->count, 1, memory_order_relaxed);
            return;
        }
    }
}

#define RESET_COUNTER(field, kind, help) \
    if ((kind) == METRIC_COUNTER)        \
        metric_set(&server->metrics, field, 0);

void server_metrics_reset(struct server *server)
{
    SERVER_METRICS(RESET_COUNTER)
    for (size_t i = 0; i < SERVER_ERROR_KIND_MAX; i++)
        atomic_store_explicit(&server->errors[i].count, 0, memory_order_relaxed);
}

void server_request_shutdown(struct server *server, enum server_shutdown kind)
{
    atomic_store_explicit(&server->shutdown_request, kind, memory_order_release);
    const uint64_t one = 1;
    const ssize_t written = write(server->shutdown_fd, &one, sizeof(one));
    CHECK(written == (ssize_t)sizeof(one));
}
