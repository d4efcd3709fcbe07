/*
 * prefetch_internal.h: what the files of the module share. All of it except the rings, the result queue and
 * the metrics is owned by the prefetch thread (or by the test that calls prefetch_step() itself).
 */
#ifndef PREFETCH_INTERNAL_H
#define PREFETCH_INTERNAL_H

#include "base/thread.h"
#include "storage/prefetch.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- limits (I10) ---------------------------------------------------------------------------------------- */

/* What prefetch-memory 0 stands for: a part of the process's memory. What is learned must not crowd out the records it is about. */
#define PREFETCH_MEMORY_SHARE       20
#define PREFETCH_MEMORY_DEFAULT_MAX ((size_t)8 * MiB)
/* Memory is never less, whatever the options say. */
#define PREFETCH_MEMORY_MIN            ((size_t)256 * KiB)
#define PREFETCH_MEMORY_MIN_PER_WORKER ((size_t)128 * KiB)
/* Events in a worker's ring, a power of two within its share of the memory; beyond it accesses are dropped and counted. */
#define PREFETCH_RING_EVENTS_MIN 64
#define PREFETCH_RING_EVENTS_MAX 16384
/* Events taken from one ring before the targets found so far are sent and the next ring has its turn. */
#define PREFETCH_CHUNK_EVENTS 64
/* Hits and writes a worker notes per miss, and how many it may save up: without misses nothing is learned. */
#define PREFETCH_HITS_PER_MISS  256
#define PREFETCH_HITS_SAVED_MAX 4096
/* Results of sent targets that wait for the thread, by the memory; beyond it one is forgotten, its guess ages instead. */
#define PREFETCH_RESULTS_MAX 4096
/* Targets per call of the send hook. */
#define PREFETCH_BATCH_TARGETS 64
/* Proposals of one predictor for one access. */
#define PREFETCH_PROPOSALS_MAX 24
/* Sleep when nothing comes in: doubles from the first to the second. A miss ends it at once. */
#define PREFETCH_SLEEP_MS_MIN 1
#define PREFETCH_SLEEP_MS_MAX 64

/* Earlier accesses of a context that an access is learned to follow. Of 3, 4, 5, 8 and 16, 4 did best on traces. */
#define PREFETCH_WINDOW 4
/* A connection with fewer accesses than this is learned from in the global context. */
#define PREFETCH_CONTEXT_ACCESSES_MIN 4

/* Targets kept per key in the successor table. */
#define PREFETCH_SUCCESSORS 6

/* A guess not used within this many accesses counts as wrong. */
#define PREFETCH_GUESS_AGE_MAX 16384
#define PREFETCH_GUESSES_MAX   65536
/* A key found absent is not proposed again for this many accesses. */
#define PREFETCH_ABSENT_AGE_MAX 65536
#define PREFETCH_STAMPS_MAX     65536

/* --- worker → prefetch thread: one producer, one consumer ------------------------------------------------ */

struct prefetch_ring {
    struct prefetch_event *events; /* immutable; slots belong to the side that the positions say */
    /* owned by: worker */
    uint64_t head_seen;             /* the consumer's position when last looked at */
    uint32_t hits_saved;            /* hits that may be noted before the next miss */
    _Atomic uint64_t dropped_count; /* atomic: relaxed counter */
    _Atomic uint64_t tail;          /* atomic: release by the worker, acquire by the thread */
    char padding[64];               /* the two sides write different cache lines */
    /* owned by: prefetch thread */
    _Atomic uint64_t head; /* atomic: release by the thread, acquire by the worker */
    char padding_end[64];
};

/* --- what the predictors see ----------------------------------------------------------------------------- */

/* 32 bits that stand for a key in the tables; never 0, which marks an empty slot. */
static inline uint32_t prefetch_tag(uint64_t hash)
{
    const uint32_t tag = (uint32_t)(hash >> 32);
    return tag != 0 ? tag : 1;
}

/* The last accesses of one context, as tags. */
struct prefetch_window {
    uint32_t access_count; /* saturates */
    uint32_t next;         /* slot of the next access */
    uint32_t tags[PREFETCH_WINDOW];
};

/* The tag `back` accesses ago (1 = the last), 0 if there is none. */
static inline uint32_t prefetch_window_at(const struct prefetch_window *window, uint32_t back)
{
    return window->tags[(window->next + PREFETCH_WINDOW - back) % PREFETCH_WINDOW];
}
void prefetch_window_push(struct prefetch_window *window, uint32_t tag);

/* One read. */
struct prefetch_access {
    const struct prefetch_event *event;
    const struct prefetch_window *window; /* what it may follow; NULL for a stop word */
    uint32_t tag;
    uint32_t now; /* clock of the module: reads so far */
};

struct prefetch_proposal {
    struct prefetch_target target;
    uint64_t hash;
    uint32_t origin; /* the predictor's own slot, given back with feedback */
};
struct prefetch_proposals {
    size_t count;
    struct prefetch_proposal items[PREFETCH_PROPOSALS_MAX];
};
/* The next free item, with target.space and size 0; NULL when full. The caller fills it. */
struct prefetch_proposal *prefetch_proposals_add(struct prefetch_proposals *proposals);

enum prefetch_source {
    PREFETCH_SOURCE_SUCCESSOR,
    PREFETCH_SOURCE_SEQUENCE,
    PREFETCH_SOURCE_COUNT,
};

enum prefetch_outcome {
    PREFETCH_OUTCOME_RIGHT,  /* read, in time or late */
    PREFETCH_OUTCOME_WRONG,  /* not read before it was demoted or grew old */
    PREFETCH_OUTCOME_ABSENT, /* there is no such key */
};

/* A way to predict. One file, one static const struct of these functions. */
struct prefetch_predictor {
    enum prefetch_source source;
    /* Takes an access in. */
    void (*learn)(void *state, const struct prefetch_access *access);
    /* Appends what will be read after it, the likeliest first. accuracy: of this source, lately, 0 to 1. */
    void (*predict)(void *state, const struct prefetch_access *access, double accuracy,
        struct prefetch_proposals *proposals);
    /* What became of a proposal. */
    void (*feedback)(void *state, uint32_t origin, uint64_t hash, enum prefetch_outcome outcome);
    /* Validates the state; aborts. Tests and debug builds. */
    void (*check)(const void *state);
};

/* --- tables, each within the bytes it is given ------------------------------------------------------------ */

/*
 * Zeroed memory for as many items as the allocator can place within *bytes; their number in *count (at most
 * count_max), the memory really taken in *bytes.
 */
void *prefetch_table_create(size_t item_size, size_t count_max, size_t *bytes, size_t *count);
/* The largest power of two that is at most n, n > 0. */
size_t prefetch_power_of_two_within(size_t n);

/* Interned key bytes: a log that overwrites its oldest records (keys.c). */
struct prefetch_key_record {
    uint64_t hash;
    uint32_t space;
    uint8_t size;
    char bytes[];
};
struct prefetch_keys {
    char *base;
    uint64_t unit_count;
    uint64_t next; /* units ever appended */
};
size_t prefetch_keys_init(struct prefetch_keys *keys, size_t bytes);
void prefetch_keys_deinit(struct prefetch_keys *keys);
uint32_t prefetch_keys_append(struct prefetch_keys *keys, const struct prefetch_event *event);
/* NULL if it was overwritten, or does not carry this tag. */
const struct prefetch_key_record *prefetch_keys_get(
    const struct prefetch_keys *keys, uint32_t position, uint32_t tag);
/* Still there and in the younger half of the log. */
bool prefetch_keys_fresh(const struct prefetch_keys *keys, uint32_t position, uint32_t tag);
void prefetch_keys_check(const struct prefetch_keys *keys);

/* Successor table (successor.c). */
struct prefetch_node {
    uint32_t tag; /* 0: free */
    uint32_t key_position;
    uint16_t visits;
    uint8_t counts[PREFETCH_SUCCESSORS];
    uint32_t targets[PREFETCH_SUCCESSORS];
};
struct prefetch_successor {
    struct prefetch_node *nodes;
    size_t set_count;
    uint32_t replace_turn; /* keys that found their set full */
    struct prefetch_keys keys;
};
extern const struct prefetch_predictor prefetch_successor_predictor;
size_t prefetch_successor_init(struct prefetch_successor *successor, size_t bytes);
void prefetch_successor_deinit(struct prefetch_successor *successor);

/* Numeric sequences (sequence.c). */
struct prefetch_run {
    uint32_t tag;
    uint16_t length;
    uint16_t age; /* clock of the last access, coarse */
};
struct prefetch_sequence {
    struct prefetch_run *runs;
    size_t run_count; /* a power of two */
};
extern const struct prefetch_predictor prefetch_sequence_predictor;
size_t prefetch_sequence_init(struct prefetch_sequence *sequence, size_t bytes);
void prefetch_sequence_deinit(struct prefetch_sequence *sequence);

/* The number in a key that is likeliest to count (sequence.c). */
struct prefetch_number {
    uint32_t start; /* first digit */
    uint32_t size;  /* digits */
    uint64_t value;
    bool padded; /* leading zeros: the width is part of the form */
};
bool prefetch_number_find(const char *key, uint32_t size, struct prefetch_number *number);

/* Windows by connection (context.c). */
struct prefetch_context {
    uint32_t connection;
    uint32_t used; /* clock of the last access */
    struct prefetch_window window;
};
struct prefetch_contexts {
    struct prefetch_context *contexts;
    size_t set_count;
    struct prefetch_window global;
};
size_t prefetch_contexts_init(struct prefetch_contexts *contexts, size_t bytes);
void prefetch_contexts_deinit(struct prefetch_contexts *contexts);
/* The connection's own window; a new one takes the place of the longest unused one, and must be pushed to. */
struct prefetch_window *prefetch_contexts_window(
    struct prefetch_contexts *contexts, uint32_t connection, uint32_t now);

/* Keys with a large share of the accesses (stopword.c). */
#define PREFETCH_STOPWORD_SLOTS 1024
struct prefetch_stopwords {
    uint32_t access_count;
    struct {
        uint32_t tag;
        uint32_t count;
    } slots[PREFETCH_STOPWORD_SLOTS];
};
/* Counts an access; true if the key has more than its share. */
bool prefetch_stopwords_note(struct prefetch_stopwords *stopwords, uint32_t tag);

/* When something last happened to a key, forgetful (stamps.c). */
struct prefetch_stamp {
    uint32_t tag;
    uint32_t time;
};
struct prefetch_stamps {
    struct prefetch_stamp *stamps;
    size_t stamp_count; /* a power of two */
};
size_t prefetch_stamps_init(struct prefetch_stamps *stamps, size_t bytes);
void prefetch_stamps_deinit(struct prefetch_stamps *stamps);
void prefetch_stamps_put(struct prefetch_stamps *stamps, uint64_t hash, uint32_t now);
void prefetch_stamps_remove(struct prefetch_stamps *stamps, uint64_t hash);
/* How long ago; false if unknown. */
bool prefetch_stamps_age(
    const struct prefetch_stamps *stamps, uint64_t hash, uint32_t now, uint32_t *age);

/* Predictions whose outcome is open (guess.c). */
enum prefetch_guess_state {
    PREFETCH_GUESS_FREE,
    PREFETCH_GUESS_SENT,
    PREFETCH_GUESS_SHADOW,  /* counted only, nothing was sent */
    PREFETCH_GUESS_EXPIRED, /* counted as wrong already */
};
struct prefetch_guess {
    uint64_t hash;
    uint32_t origin;
    uint16_t made; /* clock, in PREFETCH_GUESS_TIME_UNIT */
    uint8_t source;
    uint8_t state;
};
static_assert(sizeof(struct prefetch_guess) == 16, "the guesses' table is sized by it");
#define PREFETCH_GUESS_TIME_UNIT 16
struct prefetch_guesses {
    struct prefetch_guess *guesses;
    size_t guess_count; /* a power of two */
    size_t hand;
};
size_t prefetch_guesses_init(struct prefetch_guesses *guesses, size_t bytes);
void prefetch_guesses_deinit(struct prefetch_guesses *guesses);
/* Open (sent or shadow) or expired; NULL if none. */
struct prefetch_guess *prefetch_guesses_find(struct prefetch_guesses *guesses, uint64_t hash);
/* Notes one. If an open one had to go for it, that is *displaced and the result true. */
bool prefetch_guesses_add(struct prefetch_guesses *guesses, const struct prefetch_guess *guess,
    struct prefetch_guess *displaced);
/*
 * Moves the hand on, up to *steps slots: a guess found too old becomes EXPIRED and is returned, with what is
 * left of *steps. NULL when they are used up. PREFETCH_GUESS_STEPS per access see all within the age limit.
 */
struct prefetch_guess *prefetch_guesses_sweep(
    struct prefetch_guesses *guesses, uint32_t now, size_t *steps);
#define PREFETCH_GUESS_STEPS (PREFETCH_GUESSES_MAX / PREFETCH_GUESS_AGE_MAX)

/* --- governor (governor.c) -------------------------------------------------------------------------------- */

struct prefetch_governor {
    double accuracy[PREFETCH_SOURCE_COUNT]; /* moving average of outcomes */
    uint32_t turns[PREFETCH_SOURCE_COUNT];  /* predictions seen while throttled */
    double tokens;                          /* cold reads that may be started */
    uint64_t refilled_us;
    uint64_t second_start_us;
    uint64_t demand_this_second;
    uint64_t demand_last_second;
};
void prefetch_governor_init(struct prefetch_governor *governor, uint64_t now_us);
void prefetch_governor_tick(struct prefetch_governor *governor, uint64_t now_us);
/* A client needed a record that is not in RAM by its own merit: a miss, or a used prefetch. */
void prefetch_governor_demand(struct prefetch_governor *governor);
void prefetch_governor_outcome(
    struct prefetch_governor *governor, enum prefetch_source source, bool right);
/* An EXPIRED guess was right after all. */
void prefetch_governor_amend(struct prefetch_governor *governor, enum prefetch_source source);
bool prefetch_governor_trusts(struct prefetch_governor *governor, enum prefetch_source source);
/* Takes a token if the budget has one and demand leaves room. */
bool prefetch_governor_spend(struct prefetch_governor *governor, uint64_t demand_pending);
/* No cold read came of it, or it replaced a demand read. */
void prefetch_governor_refund(struct prefetch_governor *governor);

/* --- the whole --------------------------------------------------------------------------------------------- */

struct prefetch_outcome_message {
    uint64_t hash;
    enum status status;
};

struct prefetch {
    struct prefetch_config config; /* immutable */
    struct prefetch_ring *rings;   /* immutable; config.worker_count of them */
    uint64_t ring_events;          /* immutable; in each ring */
    size_t results_max;            /* immutable */
    struct {
        const struct prefetch_predictor *predictor;
        void *state;
    } sources[PREFETCH_SOURCE_COUNT]; /* immutable */

    /* owned by: prefetch thread */
    struct prefetch_successor successor;
    struct prefetch_sequence sequence;
    struct prefetch_contexts contexts;
    struct prefetch_stopwords stopwords;
    struct prefetch_guesses guesses;
    struct prefetch_stamps absent;   /* keys found not to exist */
    struct prefetch_stamps resident; /* keys read or written lately: likely in RAM */
    uint32_t resident_age_max;       /* how long "lately" is; learned from results */
    struct prefetch_governor governor;
    uint32_t now;
    enum prefetch_mode mode; /* as read at the start of a step */
    size_t batch_count;
    struct prefetch_target batch[PREFETCH_BATCH_TARGETS];
    struct prefetch_proposals proposals;
    struct prefetch_outcome_message *results_taken; /* swapped with results */

    struct mutex results_lock;
    struct prefetch_outcome_message *results; /* guarded by: results_lock */
    size_t result_count;                      /* guarded by: results_lock */

    struct prefetch_metrics metrics;  /* atomic: relaxed counters */
    struct prefetch_metrics baseline; /* atomic: the counters at the last reset */

    struct thread thread;
    uint64_t sleep_ms_min; /* immutable once the thread runs: PREFETCH_SLEEP_MS_MIN but in tests */
    uint64_t sleep_ms_max; /* the same */
    struct mutex sleep_lock;
    struct condition wake;
    _Atomic bool
        sleeping; /* atomic: exchanged by thread and workers, acquire and release; see run() */
    _Atomic bool stopping; /* atomic: release by destroy, acquire by the thread */
};

/* prefetch_create() without its thread: the caller is the thread and calls prefetch_step(), or starts one. */
struct prefetch *prefetch_create_stepped(const struct prefetch_config *config);
void prefetch_start(struct prefetch *prefetch);
/* Takes in waiting results and at most a chunk per ring, sends what follows. Returns the events taken. */
size_t prefetch_step(struct prefetch *prefetch);
/* Validates all learned state; aborts. */
void prefetch_check(const struct prefetch *prefetch);

/* pipeline.c */
void prefetch_take_event(struct prefetch *prefetch, const struct prefetch_event *event);
void prefetch_take_result(struct prefetch *prefetch, uint64_t hash, enum status status);
void prefetch_flush(struct prefetch *prefetch);

#endif
