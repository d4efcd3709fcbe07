/*
 * successor.c: which keys are read soon after which, learned pair by pair.
 *
 *   window of the context:  d  c  b  a   ──► read x:  a→x, b→x, c→x, d→x are counted
 *   node(a) {visits, key, six targets with counts}    P(x within a window after a) ≈ count / visits
 *
 * A node is one key, as source and as target at once; as target it lends its key's bytes. Only misses make nodes, of the missed key and of the
 * one read before it: a key that is always in RAM is worth no prediction, and in a small table such keys would push out the others. Sets of four by tag. In a full set only one
 * new key in REPLACE_EVERY gets a place: when more keys come round than the table holds, some nodes then live until their key comes
 * again, where plain replacement would forget each just before (BIP: Qureshi et al., ISCA '07). It takes the least visited node's, but every other
 * time one of proven use is only weakened, so that a scan cannot wash out what was learned. Counts and visits are halved together at VISITS_MAX: the past fades.
 *
 * Predicted is a target seen at least twice whose share of the visits reaches CONFIDENCE_MIN. After a single
 * observation only while the source has proved itself (accuracy over EAGER_ACCURACY): that is worth a whole pass over a
 * loop. From targets of high confidence the walk goes one step further (depth 2), so that chains run ahead of the reader.
 *
 * After the probability graph (Griffioen and Appleton, USENIX '94), bounded.
 */
#include "base/check.h"
#include "base/mem.h"
#include "prefetch_internal.h"

#include <string.h>

#define WAYS             ((size_t)4)
#define REPLACE_EVERY    8
#define VISITS_MAX       200
#define COUNT_MAX        250
#define COUNT_MIN        2
#define CONFIDENCE_MIN   0.15
#define CONFIDENCE_CHAIN 0.7
#define EAGER_ACCURACY   0.5
#define EAGER_VISITS_MAX 2
/* Share of the memory that is for key bytes; the rest is nodes. */
#define KEYS_SHARE 0.45

size_t prefetch_successor_init(struct prefetch_successor *successor, size_t bytes)
{
    const size_t keys_bytes = (size_t)((double)bytes * KEYS_SHARE);
    size_t nodes_bytes = bytes - keys_bytes;
    size_t count;
    successor->nodes =
        prefetch_table_create(sizeof(struct prefetch_node), UINT32_MAX, &nodes_bytes, &count);
    successor->set_count = count / WAYS;
    CHECK(successor->set_count > 0);
    return nodes_bytes + prefetch_keys_init(&successor->keys, keys_bytes);
}

void prefetch_successor_deinit(struct prefetch_successor *successor)
{
    prefetch_keys_deinit(&successor->keys);
    mem_free(successor->nodes);
    successor->nodes = NULL;
}

static struct prefetch_node *set_of(const struct prefetch_successor *successor, uint32_t tag)
{
    return &successor->nodes[WAYS * (size_t)(((uint64_t)tag * successor->set_count) >> 32)];
}

static struct prefetch_node *node_find(const struct prefetch_successor *successor, uint32_t tag)
{
    struct prefetch_node *const set = set_of(successor, tag);
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].tag == tag)
            return &set[i];
    }
    return NULL;
}

/* Finds or makes it; NULL if its set is full of better ones. */
static struct prefetch_node *node_take(struct prefetch_successor *successor, uint32_t tag)
{
    struct prefetch_node *const set = set_of(successor, tag);
    struct prefetch_node *victim = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].tag == tag)
            return &set[i];
        if (set[i].visits < victim->visits)
            victim = &set[i];
    }
    if (victim->tag != 0) {
        const uint32_t turn = successor->replace_turn++;
        if (turn % REPLACE_EVERY != 0)
            return NULL;
        if (victim->visits > 1 && turn / REPLACE_EVERY % 2 == 0) {
            victim->visits--;
            return NULL;
        }
    }
    memset(victim, 0, sizeof(*victim));
    victim->tag = tag;
    return victim;
}

static void node_visit(struct prefetch_node *node)
{
    if (++node->visits < VISITS_MAX)
        return;
    node->visits /= 2;
    for (size_t i = 0; i < PREFETCH_SUCCESSORS; i++)
        node->counts[i] /= 2;
}

/* Counts target after node; targets stay (nearly) sorted by count. */
static void node_follow(struct prefetch_node *node, uint32_t target)
{
    size_t weakest = 0;
    for (size_t i = 0; i < PREFETCH_SUCCESSORS; i++) {
        if (node->targets[i] != target) {
            if (node->counts[i] < node->counts[weakest])
                weakest = i;
            continue;
        }
        if (node->counts[i] < COUNT_MAX)
            node->counts[i]++;
        if (i > 0 && node->counts[i] > node->counts[i - 1]) {
            const uint8_t count = node->counts[i];
            node->counts[i] = node->counts[i - 1];
            node->counts[i - 1] = count;
            node->targets[i] = node->targets[i - 1];
            node->targets[i - 1] = target;
        }
        return;
    }
    if (node->counts[weakest] > 1) {
        node->counts[weakest]--;
        return;
    }
    node->targets[weakest] = target;
    node->counts[weakest] = 1;
}

/* Counts the read after those before it; makes a node for the nearest one if the read was a miss. */
static void learn_pairs(
    struct prefetch_successor *successor, const struct prefetch_access *access, bool missed)
{
    for (uint32_t back = 1; back <= PREFETCH_WINDOW; back++) {
        const uint32_t tag = prefetch_window_at(access->window, back);
        /* What came before the last reading of this key has it counted already. */
        if (tag == 0 || tag == access->tag)
            return;
        bool seen = false;
        for (uint32_t nearer = 1; nearer < back && !seen; nearer++)
            seen = prefetch_window_at(access->window, nearer) == tag;
        if (seen)
            continue;
        struct prefetch_node *node =
            missed && back == 1 ? node_take(successor, tag) : node_find(successor, tag);
        if (node == NULL)
            continue;
        if (node->visits == 0)
            node->visits = 1; /* that very read, before the node was made */
        node_follow(node, access->tag);
    }
}

static void learn(void *state, const struct prefetch_access *access)
{
    struct prefetch_successor *successor = state;
    if (access->window == NULL)
        return;
    const bool missed = access->event->kind != PREFETCH_HIT;
    learn_pairs(successor, access, missed);
    struct prefetch_node *node =
        missed ? node_take(successor, access->tag) : node_find(successor, access->tag);
    if (node == NULL)
        return;
    node_visit(node);
    if (missed && !prefetch_keys_fresh(&successor->keys, node->key_position, node->tag))
        node->key_position = prefetch_keys_append(&successor->keys, access->event);
}

/* The share of node's earlier visits after which target i was read. */
static double confidence_of(const struct prefetch_node *node, size_t i, uint32_t visits)
{
    const double share = (double)node->counts[i] / (double)visits;
    return share < 1.0 ? share : 1.0;
}

static void propose(struct prefetch_successor *successor, const struct prefetch_node *origin,
    const struct prefetch_node *target, struct prefetch_proposals *proposals)
{
    const struct prefetch_key_record *record =
        prefetch_keys_get(&successor->keys, target->key_position, target->tag);
    if (record == NULL)
        return;
    for (size_t i = 0; i < proposals->count; i++) {
        if (proposals->items[i].hash == record->hash)
            return;
    }
    struct prefetch_proposal *proposal = prefetch_proposals_add(proposals);
    if (proposal == NULL)
        return;
    proposal->hash = record->hash;
    proposal->origin = (uint32_t)(origin - successor->nodes);
    proposal->target.space = record->space;
    proposal->target.key_size = record->size;
    memcpy(proposal->target.key, record->bytes, record->size);
}

/* The second step: what follows a confident target just as surely. */
static void propose_chain(struct prefetch_successor *successor, const struct prefetch_node *node,
    double confidence, uint32_t read_tag, struct prefetch_proposals *proposals)
{
    for (size_t i = 0; i < PREFETCH_SUCCESSORS; i++) {
        if (node->counts[i] < COUNT_MIN || node->targets[i] == read_tag)
            continue;
        if (confidence * confidence_of(node, i, node->visits) <= CONFIDENCE_CHAIN)
            continue;
        const struct prefetch_node *target = node_find(successor, node->targets[i]);
        if (target != NULL)
            propose(successor, node, target, proposals);
    }
}

static void predict(void *state, const struct prefetch_access *access, double accuracy,
    struct prefetch_proposals *proposals)
{
    struct prefetch_successor *successor = state;
    if (access->window == NULL)
        return;
    const struct prefetch_node *node = node_find(successor, access->tag);
    /* learn() has counted this visit already; what follows it is not known yet. */
    if (node == NULL || node->visits < 2)
        return;
    const uint32_t visits = node->visits - 1U;
    const struct prefetch_node *confident[PREFETCH_SUCCESSORS];
    double confidence[PREFETCH_SUCCESSORS];
    size_t confident_count = 0;
    for (size_t i = 0; i < PREFETCH_SUCCESSORS; i++) {
        const double share = confidence_of(node, i, visits);
        const bool proven = node->counts[i] >= COUNT_MIN && share >= CONFIDENCE_MIN;
        const bool eager = node->counts[i] > 0 && visits <= EAGER_VISITS_MAX && share >= 1.0 &&
                           accuracy > EAGER_ACCURACY;
        if (!proven && !eager)
            continue;
        const struct prefetch_node *target = node_find(successor, node->targets[i]);
        if (target == NULL)
            continue;
        propose(successor, node, target, proposals);
        if (proven && share > CONFIDENCE_CHAIN) {
            confidence[confident_count] = share;
            confident[confident_count++] = target;
        }
    }
    for (size_t i = 0; i < confident_count; i++)
        propose_chain(successor, confident[i], confidence[i], access->tag, proposals);
}

static void feedback(void *state, uint32_t origin, uint64_t hash, enum prefetch_outcome outcome)
{
    struct prefetch_successor *successor = state;
    /* Right and wrong show in count and visits by themselves. */
    if (outcome != PREFETCH_OUTCOME_ABSENT)
        return;
    CHECK(origin < successor->set_count * WAYS);
    struct prefetch_node *node = &successor->nodes[origin];
    for (size_t i = 0; i < PREFETCH_SUCCESSORS; i++) {
        if (node->targets[i] == prefetch_tag(hash)) {
            node->targets[i] = 0;
            node->counts[i] = 0;
        }
    }
}

static void check(const void *state)
{
    const struct prefetch_successor *successor = state;
    prefetch_keys_check(&successor->keys);
    for (size_t i = 0; i < successor->set_count * WAYS; i++) {
        const struct prefetch_node *node = &successor->nodes[i];
        if (node->tag == 0) {
            CHECK(node->visits == 0);
            continue;
        }
        CHECK(node_find(successor, node->tag) == node);
        CHECK(node->visits < VISITS_MAX);
        for (size_t j = 0; j < PREFETCH_SUCCESSORS; j++) {
            CHECK(node->counts[j] <= COUNT_MAX);
            CHECK(node->targets[j] != 0 || node->counts[j] == 0);
        }
    }
}

const struct prefetch_predictor prefetch_successor_predictor = {
    .source = PREFETCH_SOURCE_SUCCESSOR,
    .learn = learn,
    .predict = predict,
    .feedback = feedback,
    .check = check,
};
