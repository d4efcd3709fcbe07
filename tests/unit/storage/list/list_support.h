/*
 * list_support.h: lists written as texts, and a naive list to compare with.
 */
#ifndef LIST_SUPPORT_H
#define LIST_SUPPORT_H

#include "storage/list.h"
#include "test_main.h"

struct element text_element(const char *text);
/* Pushes words to the tail. */
struct list *list_of_words(const char *const *words, size_t count);
/* The list is these words, in order. */
void check_words(const struct list *list, const char *const *words, size_t count);
#define ck_assert_words(list, ...)                                     \
    do {                                                               \
        const char *const words_[] = {__VA_ARGS__};                    \
        check_words((list), words_, sizeof(words_) / sizeof(*words_)); \
    } while (0)

/* The text of an element, in memory that is overwritten by the next call. */
struct slice element_bytes(const struct element *element);

/* --- the naive list: an array of owned texts ------------------------------------------------------------------ */

#define NAIVE_MAX 20000

struct naive {
    size_t count;
    struct slice items[NAIVE_MAX]; /* data owned */
};
struct naive *naive_create(void);
void naive_destroy(struct naive *naive);
void naive_insert(struct naive *naive, size_t at, struct slice text);
void naive_delete(struct naive *naive, size_t at, size_t count);
/* All elements equal, forwards and backwards. */
void naive_compare(const struct naive *naive, const struct list *list);

#endif
