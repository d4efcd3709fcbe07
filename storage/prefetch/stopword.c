/*
 * stopword.c: finds keys so frequent that they say nothing about what comes next.
 *
 * A configuration read before every page precedes everything and fills the windows. Each of the slots keeps the key
 * that has the majority of its accesses (Boyer and Moore's vote); with many more slots than keys of more than
 * STOP_SHARE, such a key wins its slot and its count comes near its real one. Counts are halved every PERIOD
 * accesses, so a settled key stands between once and twice its accesses per period.
 */
#include "prefetch_internal.h"

/* More than 1 / STOP_SHARE of the accesses makes a stop word. */
#define STOP_SHARE 200
#define PERIOD     8192
#define STOP_COUNT (PERIOD / STOP_SHARE * 3 / 2)

bool prefetch_stopwords_note(struct prefetch_stopwords *stopwords, uint32_t tag)
{
    if (++stopwords->access_count == PERIOD) {
        stopwords->access_count = 0;
        for (size_t i = 0; i < PREFETCH_STOPWORD_SLOTS; i++)
            stopwords->slots[i].count /= 2;
    }
    const size_t slot = tag % PREFETCH_STOPWORD_SLOTS;
    if (stopwords->slots[slot].tag == tag)
        return ++stopwords->slots[slot].count > STOP_COUNT;
    if (stopwords->slots[slot].count == 0) {
        stopwords->slots[slot].tag = tag;
        stopwords->slots[slot].count = 1;
    } else {
        stopwords->slots[slot].count--;
    }
    return false;
}
