/*
 * pipeline.c: what happens to one event.
 *
 *   read ──► settle its guess ──► every predictor: learn, predict ──► govern each proposal ──► batch ──► send
 *   write, wasted, absent ──► settle its guess
 *
 * A proposal passes, in this order: no open guess of the same key, not lately found absent, (counted as
 * predicted,) not likely in RAM already, source accurate enough, budget. In shadow mode it becomes a guess right after it is
 * counted, and a miss of its key makes it useful.
 *
 * "Likely in RAM" is learned, for the module sees no record: a key read within the last resident_age_max reads. The bound
 * grows when a worker answers that a target was in RAM, and shrinks when a key read within it is missed.
 */
#include "base/check.h"
#include "prefetch_internal.h"

/* The bound's largest value; it grows by a 64th and shrinks by half: a target held back in error costs a miss,
 * one sent in vain a message. */
#define RESIDENT_AGE_LIMIT ((uint32_t)1 << 30)
#define RESIDENT_GROWTH    64
#define RESIDENT_SHRINKAGE 2

static void count_useful(struct prefetch *prefetch, uint8_t source)
{
    if (source == PREFETCH_SOURCE_SUCCESSOR)
        metric_add(&prefetch->metrics, successor_useful, 1);
    else
        metric_add(&prefetch->metrics, sequence_useful, 1);
}

/* Tells governor and predictor how a guess came out; it is no longer in the table, or is EXPIRED. */
static void conclude(
    struct prefetch *prefetch, const struct prefetch_guess *guess, enum prefetch_outcome outcome)
{
    CHECK(guess->source < PREFETCH_SOURCE_COUNT);
    prefetch_governor_outcome(&prefetch->governor, (enum prefetch_source)guess->source,
        outcome == PREFETCH_OUTCOME_RIGHT);
    prefetch->sources[guess->source].predictor->feedback(
        prefetch->sources[guess->source].state, guess->origin, guess->hash, outcome);
}

/* An open guess that will not be used. In shadow mode no demotion will say so. */
static void conclude_unused(struct prefetch *prefetch, const struct prefetch_guess *guess)
{
    if (guess->state == PREFETCH_GUESS_SHADOW)
        metric_add(&prefetch->metrics, wasted_count, 1);
    conclude(prefetch, guess, PREFETCH_OUTCOME_WRONG);
}

static void settle_read(struct prefetch *prefetch, const struct prefetch_event *event)
{
    if (event->kind == PREFETCH_FIRST_USE)
        metric_add(&prefetch->metrics, useful_count, 1);
    if (event->kind == PREFETCH_LATE)
        metric_add(&prefetch->metrics, late_count, 1);
    struct prefetch_guess *entry = prefetch_guesses_find(&prefetch->guesses, event->hash);
    if (entry == NULL)
        return;
    const struct prefetch_guess guess = *entry;
    entry->state = PREFETCH_GUESS_FREE;
    /* Used, or nothing was read for it: it was in RAM for another reason, or the demand came first. */
    if (guess.state == PREFETCH_GUESS_SENT || event->kind == PREFETCH_FIRST_USE)
        prefetch_governor_refund(&prefetch->governor);
    /* It was in RAM for another reason: the guess was neither right nor wrong. */
    if (event->kind == PREFETCH_HIT)
        return;
    if (guess.state == PREFETCH_GUESS_SHADOW) {
        metric_add(&prefetch->metrics, useful_count, event->kind != PREFETCH_FIRST_USE);
        count_useful(prefetch, guess.source);
        conclude(prefetch, &guess, PREFETCH_OUTCOME_RIGHT);
        return;
    }
    if (event->kind == PREFETCH_FIRST_USE)
        count_useful(prefetch, guess.source);
    if (guess.state == PREFETCH_GUESS_SENT)
        conclude(prefetch, &guess, PREFETCH_OUTCOME_RIGHT);
    else if (event->kind == PREFETCH_FIRST_USE)
        prefetch_governor_amend(&prefetch->governor, (enum prefetch_source)guess.source);
}

/* Takes an open guess out of the table; false if there is none. */
static bool take_guess(struct prefetch *prefetch, uint64_t hash, struct prefetch_guess *guess)
{
    struct prefetch_guess *entry = prefetch_guesses_find(&prefetch->guesses, hash);
    if (entry == NULL)
        return false;
    *guess = *entry;
    entry->state = PREFETCH_GUESS_FREE;
    return guess->state != PREFETCH_GUESS_EXPIRED;
}

static void sweep_guesses(struct prefetch *prefetch)
{
    size_t steps = PREFETCH_GUESS_STEPS;
    const struct prefetch_guess *guess;
    for (;;) {
        guess = prefetch_guesses_sweep(&prefetch->guesses, prefetch->now, &steps);
        if (guess == NULL)
            return;
        conclude(prefetch, guess, PREFETCH_OUTCOME_WRONG);
    }
}

void prefetch_flush(struct prefetch *prefetch)
{
    if (prefetch->batch_count == 0)
        return;
    prefetch->config.send(prefetch->config.context, prefetch->batch, prefetch->batch_count);
    prefetch->batch_count = 0;
}

static void add_guess(struct prefetch *prefetch, const struct prefetch_proposal *proposal,
    enum prefetch_source source, enum prefetch_guess_state state)
{
    const struct prefetch_guess guess = {
        .hash = proposal->hash,
        .origin = proposal->origin,
        .made = (uint16_t)(prefetch->now / PREFETCH_GUESS_TIME_UNIT),
        .source = (uint8_t)source,
        .state = (uint8_t)state,
    };
    struct prefetch_guess displaced;
    if (prefetch_guesses_add(&prefetch->guesses, &guess, &displaced))
        conclude_unused(prefetch, &displaced);
}

/* Already under way, or known to lead nowhere: not worth a count. */
static bool is_idle(struct prefetch *prefetch, const struct prefetch_proposal *proposal)
{
    const struct prefetch_guess *guess = prefetch_guesses_find(&prefetch->guesses, proposal->hash);
    if (guess != NULL && guess->state != PREFETCH_GUESS_EXPIRED)
        return true;
    uint32_t age;
    return prefetch_stamps_age(&prefetch->absent, proposal->hash, prefetch->now, &age) &&
           age < PREFETCH_ABSENT_AGE_MAX;
}

static void govern(struct prefetch *prefetch, const struct prefetch_proposal *proposal,
    enum prefetch_source source)
{
    if (is_idle(prefetch, proposal))
        return;
    metric_add(&prefetch->metrics, predicted_count, 1);
    if (prefetch->mode == PREFETCH_SHADOW) {
        add_guess(prefetch, proposal, source, PREFETCH_GUESS_SHADOW);
        return;
    }
    uint32_t age;
    if (prefetch_stamps_age(&prefetch->resident, proposal->hash, prefetch->now, &age) &&
        age <= prefetch->resident_age_max) {
        metric_add(&prefetch->metrics, refused_resident, 1);
        return;
    }
    if (!prefetch_governor_trusts(&prefetch->governor, source)) {
        metric_add(&prefetch->metrics, refused_accuracy, 1);
        return;
    }
    const uint64_t demand_pending = prefetch->config.demand_pending(prefetch->config.context);
    if (!prefetch_governor_spend(&prefetch->governor, demand_pending)) {
        metric_add(&prefetch->metrics, refused_budget, 1);
        return;
    }
    add_guess(prefetch, proposal, source, PREFETCH_GUESS_SENT);
    prefetch->batch[prefetch->batch_count] = proposal->target;
    prefetch->batch[prefetch->batch_count].source = (uint8_t)source;
    if (++prefetch->batch_count == PREFETCH_BATCH_TARGETS)
        prefetch_flush(prefetch);
}

struct prefetch_proposal *prefetch_proposals_add(struct prefetch_proposals *proposals)
{
    if (proposals->count == PREFETCH_PROPOSALS_MAX)
        return NULL;
    return &proposals->items[proposals->count++];
}

static void learn_and_predict(struct prefetch *prefetch, const struct prefetch_access *access)
{
    struct prefetch_proposals *const proposals = &prefetch->proposals;
    for (size_t i = 0; i < PREFETCH_SOURCE_COUNT; i++) {
        const struct prefetch_predictor *predictor = prefetch->sources[i].predictor;
        void *const state = prefetch->sources[i].state;
        predictor->learn(state, access);
        proposals->count = 0;
        predictor->predict(state, access, prefetch->governor.accuracy[i], proposals);
        for (size_t j = 0; j < proposals->count; j++) {
            if (proposals->items[j].hash != access->event->hash)
                govern(prefetch, &proposals->items[j], predictor->source);
        }
    }
}

static void take_read(struct prefetch *prefetch, const struct prefetch_event *event)
{
    prefetch->now++;
    sweep_guesses(prefetch);
    settle_read(prefetch, event);
    if (event->kind != PREFETCH_HIT)
        prefetch_governor_demand(&prefetch->governor);
    uint32_t age;
    if (event->kind == PREFETCH_MISS &&
        prefetch_stamps_age(&prefetch->resident, event->hash, prefetch->now, &age) &&
        age <= prefetch->resident_age_max)
        prefetch->resident_age_max -= prefetch->resident_age_max / RESIDENT_SHRINKAGE + 1;
    prefetch_stamps_put(&prefetch->resident, event->hash, prefetch->now);

    struct prefetch_access access = {
        .event = event, .tag = prefetch_tag(event->hash), .now = prefetch->now};
    /* A frequent key that is missed, as in a small loop, is worth predicting all the same. */
    const bool frequent = prefetch_stopwords_note(&prefetch->stopwords, access.tag);
    if (frequent && event->kind == PREFETCH_HIT) {
        learn_and_predict(prefetch, &access);
        return;
    }
    struct prefetch_window *own =
        prefetch_contexts_window(&prefetch->contexts, event->connection, prefetch->now);
    struct prefetch_window *global = &prefetch->contexts.global;
    /* The same key again tells nothing new. */
    if (prefetch_window_at(own, 1) == access.tag)
        return;
    access.window = own->access_count < PREFETCH_CONTEXT_ACCESSES_MIN ? global : own;
    learn_and_predict(prefetch, &access);
    prefetch_window_push(own, access.tag);
    prefetch_window_push(global, access.tag);
}

void prefetch_take_event(struct prefetch *prefetch, const struct prefetch_event *event)
{
    struct prefetch_guess guess;
    switch ((enum prefetch_event_kind)event->kind) {
    case PREFETCH_HIT:
    case PREFETCH_MISS:
    case PREFETCH_FIRST_USE:
    case PREFETCH_LATE: take_read(prefetch, event); return;
    case PREFETCH_WRITE:
        /* It exists now, or is gone from both tiers; a guess about its old value is void. */
        prefetch_stamps_remove(&prefetch->absent, event->hash);
        prefetch_stamps_put(&prefetch->resident, event->hash, prefetch->now);
        (void)take_guess(prefetch, event->hash, &guess);
        return;
    case PREFETCH_WASTED:
        metric_add(&prefetch->metrics, wasted_count, 1);
        prefetch_stamps_remove(&prefetch->resident, event->hash);
        if (take_guess(prefetch, event->hash, &guess))
            conclude(prefetch, &guess, PREFETCH_OUTCOME_WRONG);
        return;
    case PREFETCH_ABSENT:
        metric_add(&prefetch->metrics, absent_count, 1);
        prefetch_stamps_put(&prefetch->absent, event->hash, prefetch->now);
        if (take_guess(prefetch, event->hash, &guess))
            conclude(prefetch, &guess, PREFETCH_OUTCOME_ABSENT);
        return;
    }
    UNREACHABLE("event kind");
}

void prefetch_take_result(struct prefetch *prefetch, uint64_t hash, enum status status)
{
    struct prefetch_guess guess;
    if (!take_guess(prefetch, hash, &guess))
        return;
    /* Nothing was read from disk. */
    prefetch_governor_refund(&prefetch->governor);
    if (status == ST_EXISTS) {
        prefetch_stamps_put(&prefetch->resident, hash, prefetch->now);
        if (prefetch->resident_age_max < RESIDENT_AGE_LIMIT)
            prefetch->resident_age_max += prefetch->resident_age_max / RESIDENT_GROWTH + 1;
    } else if (status == ST_NOT_FOUND) {
        prefetch_stamps_put(&prefetch->absent, hash, prefetch->now);
        conclude(prefetch, &guess, PREFETCH_OUTCOME_ABSENT);
    }
}
