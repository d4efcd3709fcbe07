/*
 * tree_model.h: a tree beside a naive list of the same rows.
 */
#ifndef TREE_MODEL_H
#define TREE_MODEL_H

#include "base/random.h"
#include "storage/tree.h"

/* A row of texts, of which the model owns the bytes. */
struct model_row {
    struct buf texts[TREE_STRIDE_MAX];
};

struct model {
    const struct tree_class *class;
    struct tree tree;
    struct model_row **rows;
    size_t count;
    size_t capacity;
};

/* Rows of one text, in place. */
extern const struct tree_class class_list;
/* Field and value, hashed. */
extern const struct tree_class class_hash;
/* One text, hashed by a function that gives 16 results only. */
extern const struct tree_class class_collisions;
/* An integer of few different values, and a text. */
extern const struct tree_class class_sorted;
/* An integer of many, by the first element alone, and a text. */
extern const struct tree_class class_scored;
/* Four texts in place. */
extern const struct tree_class class_wide;

void model_init(struct model *model, const struct tree_class *class);
void model_deinit(struct model *model);
/* The tree is a snapshot. */
void model_snapshot(const struct model *model, struct model *snapshot);

/* Text of any of the kinds that elements are stored as. `kinds` bounds how strange. */
struct slice model_text(struct random *random, struct buf *text);
/* One change of the kind the class allows; about size_max rows are kept. */
void model_step(struct model *model, struct random *random, size_t size_max);
/* Aborts the test if the tree differs from the list. */
void model_compare(const struct model *model);
/* Place of a row with this first text; model->count if there is none. */
size_t model_find(const struct model *model, struct slice first);

#endif
