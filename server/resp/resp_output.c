/*
 * resp_output.c: what is still to be written to a client.
 *
 *   head ─► [ bytes ] ─► [ blob | bytes behind it ] ─► [ bytes ] ◄─ tail
 *            sent ▲                                        ▲ replies are appended here
 *
 * A chunk goes back to the pool when all of it is written, so an idle connection holds none.
 */
#include "base/mem.h"
#include "resp_internal.h"

void resp_output_init(struct resp_output *output, struct resp_pool *pool)
{
    *output = (struct resp_output){.protocol = 2, .pool = pool};
}

void resp_output_deinit(struct resp_output *output)
{
    while (output->head != NULL) {
        struct resp_chunk *const chunk = output->head;
        output->head = chunk->next;
        resp_chunk_return(output->pool, chunk);
    }
    output->tail = NULL;
    output->pending_size = 0;
    output->memory_size = 0;
}

/* Adds a vector of at most *left bytes. */
static void add_vector(struct iovec *vector, const char *data, size_t size, size_t *left)
{
    if (size > *left)
        size = *left;
    /* writev() only reads, although iovec says otherwise. */
    vector->iov_base = (void *)(uintptr_t)data;
    vector->iov_len = size;
    *left -= size;
}

int resp_output_vectors(
    const struct resp_output *output, struct iovec *vectors, int max, size_t limit_bytes)
{
    int count = 0;
    size_t left = limit_bytes;
    for (const struct resp_chunk *chunk = output->head; chunk != NULL; chunk = chunk->next) {
        if (chunk->open_count > 0)
            break;
        size_t sent = chunk->sent;
        if (sent < chunk->blob_size) {
            if (count == max || left == 0)
                break;
            add_vector(&vectors[count++], chunk->blob->data + sent, chunk->blob_size - sent, &left);
            sent = chunk->blob_size;
        }
        const size_t data_sent = sent - chunk->blob_size;
        if (data_sent < chunk->size) {
            if (count == max || left == 0)
                break;
            add_vector(&vectors[count++], chunk->data + data_sent, chunk->size - data_sent, &left);
        }
    }
    return count;
}

void resp_output_written(struct resp_output *output, size_t size)
{
    CHECK(size <= output->pending_size);
    output->pending_size -= size;
    while (output->head != NULL) {
        struct resp_chunk *const chunk = output->head;
        const size_t left = chunk->blob_size + chunk->size - chunk->sent;
        if (size < left || chunk->open_count > 0) {
            chunk->sent += size;
            return;
        }
        size -= left;
        output->memory_size -= sizeof(*chunk) + chunk->capacity + chunk->blob_size;
        output->head = chunk->next;
        if (output->head == NULL)
            output->tail = NULL;
        resp_chunk_return(output->pool, chunk);
    }
    CHECK(size == 0);
}
