/*
 * set_support.h: sets of words, for tests.
 */
#ifndef SET_SUPPORT_H
#define SET_SUPPORT_H

#include "storage/set.h"

/* Registers the class, and gives the limits Redis's defaults. */
void set_support_setup(void);
/* A set of these words, the last being NULL. */
struct set *set_of_words(const char *const *words);
bool set_add_word(struct set *set, const char *word);
bool set_has_word(const struct set *set, const char *word);
bool set_remove_word(struct set *set, const char *word);
/* All members in the set's order, with blanks between. The caller frees. */
char *set_text(const struct set *set);

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

#endif
