/*
 * test_mailbox.c: messages arrive once, in each sender's order, and the eventfd tells the truth.
 */
#include "base/check.h"
#include "base/thread.h"
#include "test_main.h"

#include <poll.h>

enum { SENDERS = 3, MESSAGES = 20000 };

struct note {
    struct message message; /* first: the mailbox gives it back */
    size_t sender;
    size_t number;
};

static bool is_readable(const struct mailbox *mailbox, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = mailbox->event_fd, .events = POLLIN};
    return poll(&poll_fd, 1, timeout_ms) == 1;
}

static const struct note *note_of(const struct message *message)
{
    return (const struct note *)(const void *)message;
}

START_TEST(an_empty_mailbox_gives_nothing)
{
    struct mailbox mailbox;
    mailbox_init(&mailbox);
    ck_assert_ptr_null(mailbox_take(&mailbox));
    ck_assert(!is_readable(&mailbox, 0));
    mailbox_deinit(&mailbox);
}
END_TEST

START_TEST(messages_come_oldest_first_and_all_at_once)
{
    struct mailbox mailbox;
    struct note notes[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
    mailbox_init(&mailbox);
    for (size_t index = 0; index < COUNT_OF(notes); index++)
        mailbox_send(&mailbox, &notes[index].message);
    ck_assert(is_readable(&mailbox, 0));
    const struct message *message = mailbox_take(&mailbox);
    for (size_t index = 0; index < COUNT_OF(notes); index++) {
        ck_assert_uint_eq(note_of(message)->number, index);
        message = message->next;
    }
    ck_assert_ptr_null(message);
    ck_assert(!is_readable(&mailbox, 0));
    ck_assert_ptr_null(mailbox_take(&mailbox));
    mailbox_deinit(&mailbox);
}
END_TEST

START_TEST(a_message_can_be_sent_again_after_it_was_taken)
{
    struct mailbox mailbox;
    struct note note = {0};
    mailbox_init(&mailbox);
    for (int round = 0; round < 3; round++) {
        mailbox_send(&mailbox, &note.message);
        ck_assert(is_readable(&mailbox, 0));
        ck_assert_ptr_eq(mailbox_take(&mailbox), &note.message);
        ck_assert_ptr_null(note.message.next);
    }
    mailbox_deinit(&mailbox);
}
END_TEST

struct sender {
    struct mailbox *mailbox;
    struct note *notes;
};

static void send_all(void *context)
{
    const struct sender *const sender = context;
    for (size_t number = 0; number < MESSAGES; number++)
        mailbox_send(sender->mailbox, &sender->notes[number].message);
}

START_TEST(no_message_and_no_wake_up_is_lost_among_threads)
{
    static struct note notes[SENDERS][MESSAGES];
    struct mailbox mailbox;
    struct thread threads[SENDERS] = {0};
    struct sender senders[SENDERS];
    size_t next_numbers[SENDERS] = {0};
    mailbox_init(&mailbox);
    for (size_t index = 0; index < SENDERS; index++) {
        for (size_t number = 0; number < MESSAGES; number++)
            notes[index][number] = (struct note){.sender = index, .number = number};
        senders[index] = (struct sender){&mailbox, notes[index]};
        thread_start(&threads[index], "sender", send_all, &senders[index]);
    }
    for (size_t taken = 0; taken < SENDERS * MESSAGES;) {
        /* Sleeps on the eventfd alone, as an event loop does: a lost wake-up runs into the time-out. */
        ck_assert(is_readable(&mailbox, 60000));
        const struct message *message = mailbox_take(&mailbox);
        for (; message != NULL; message = message->next, taken++) {
            const struct note *const note = note_of(message);
            ck_assert_uint_eq(note->number, next_numbers[note->sender]);
            next_numbers[note->sender]++;
        }
    }
    for (size_t index = 0; index < SENDERS; index++)
        thread_join(&threads[index]);
    ck_assert_ptr_null(mailbox_take(&mailbox));
    mailbox_deinit(&mailbox);
}
END_TEST

TEST_GROUP(mailbox_group, an_empty_mailbox_gives_nothing,
    messages_come_oldest_first_and_all_at_once, a_message_can_be_sent_again_after_it_was_taken,
    no_message_and_no_wake_up_is_lost_among_threads)
