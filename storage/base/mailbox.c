/*
 * mailbox.c: a list under a lock, and an eventfd that is readable while the list is not empty.
 *
 * (1) Who makes the list non-empty writes the eventfd, once, after giving back the lock.
 * (2) The receiver clears the eventfd before it takes the list. A message that arrives in between is
 *     either taken too, or finds the list empty and writes again: a wake-up may be spurious, never lost.
 */
#include "base/check.h"
#include "base/thread.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

void mailbox_init(struct mailbox *mailbox)
{
    mutex_init(&mailbox->lock, LOCK_RANK_MAILBOX);
    mailbox->head = NULL;
    mailbox->tail = NULL;
    mailbox->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(mailbox->event_fd >= 0);
}

void mailbox_deinit(struct mailbox *mailbox)
{
    CHECK(mailbox->head == NULL);
    (void)close(mailbox->event_fd);
    mailbox->event_fd = -1;
    mutex_deinit(&mailbox->lock);
}

void mailbox_send(struct mailbox *mailbox, struct message *message)
{
    message->next = NULL;
    mutex_lock(&mailbox->lock);
    const bool was_empty = mailbox->head == NULL;
    if (was_empty)
        mailbox->head = message;
    else
        mailbox->tail->next = message;
    mailbox->tail = message;
    mutex_unlock(&mailbox->lock);
    if (!was_empty)
        return;
    const uint64_t one = 1;
    ssize_t written;
    do {
        written = write(mailbox->event_fd, &one, sizeof(one));
    } while (written < 0 && errno == EINTR);
    CHECK(written == sizeof(one));
}

struct message *mailbox_take(struct mailbox *mailbox)
{
    uint64_t count;
    ssize_t size;
    do {
        size = read(mailbox->event_fd, &count, sizeof(count));
    } while (size < 0 && errno == EINTR);
    CHECK(size == sizeof(count) || errno == EAGAIN);
    mutex_lock(&mailbox->lock);
    struct message *const first = mailbox->head;
    mailbox->head = NULL;
    mailbox->tail = NULL;
    mutex_unlock(&mailbox->lock);
    return first;
}
