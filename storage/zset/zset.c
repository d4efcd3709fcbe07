/*
 * zset.c: the sorted set as an object: making, finding, changing, snapshots.
 *
 *             sorted                              index (more than ZSET_INDEX_MIN members)
 *     1.5 alice | 2 bob | 2 carol ...             bob -> 2 | alice -> 1.5 | carol -> 2 ...
 *
 * (1) Both trees have the same pairs. (2) Rows of the sorted tree ascend by (prefix of the score, member), so no pair comes
 * twice; that no member comes twice is seen to by looking before inserting.
 *
 * A score that changes takes its row out of the sorted tree and puts it in at its new place; in the index it is replaced.
 */
#include "base/check.h"
#include "base/mem.h"
#include "zset_internal.h"

#include <math.h>

#define STRIDE 2
/* Integers beyond 2^53 have gaps as doubles. */
#define INTEGER_MAX 9007199254740992.0

/* --- scores ------------------------------------------------------------------------------------------------------ */

uint64_t zset_prefix(double score)
{
    const double positive_zero = score + 0.0; /* -0 + 0 is 0 */
    uint64_t bits;
    memcpy(&bits, &positive_zero, sizeof(bits));
    const uint64_t sign = (uint64_t)1 << 63;
    return (bits & sign) != 0 ? ~bits : bits | sign;
}

bool zset_score_is_integer(double score)
{
    if (!(score >= -INTEGER_MAX && score <= INTEGER_MAX))
        return false;
    return (double)(int64_t)score == score && !(score == 0 && signbit(score));
}

struct element zset_score_element(double score, char bytes[8])
{
    if (zset_score_is_integer(score))
        return element_of_integer((int64_t)score);
    memcpy(bytes, &score, sizeof(score));
    return element_of_bytes(slice_of(bytes, sizeof(score)));
}

double zset_score_of(const struct element *score)
{
    if (score->is_integer)
        return (double)score->integer;
    CHECK(score->bytes.size == sizeof(double));
    double number;
    memcpy(&number, score->bytes.data, sizeof(number));
    return number;
}

/* --- the trees ----------------------------------------------------------------------------------------------------- */

static uint64_t row_prefix(const struct element *row)
{
    return zset_prefix(zset_score_of(&row[ZSET_SORTED_SCORE]));
}

static int row_compare(const struct element *row, const void *context)
{
    const struct zset_probe *probe = context;
    if (probe->member == NULL)
        return probe->after ? -1 : 1;
    const int order = element_compare(&row[ZSET_SORTED_MEMBER], probe->member);
    return order == 0 && probe->after ? -1 : order;
}

const struct tree_class zset_sorted_class = {
    .order = TREE_SORTED,
    .stride = STRIDE,
    .prefix = row_prefix,
    .prefix_is_of_first = true,
    .compare = row_compare,
};

static const struct tree_class index_class = {.order = TREE_HASHED, .stride = STRIDE};

/* The first row that is not before this pair. */
static void seek(
    const struct zset *zset, double score, const struct element *member, struct tree_cursor *cursor)
{
    const struct zset_probe probe = {.member = member};
    tree_seek(&zset->sorted, zset_prefix(score), &probe, cursor);
}

static void sorted_insert(struct zset *zset, const struct element *member, double score)
{
    char bytes[8];
    const struct element row[STRIDE] = {
        [ZSET_SORTED_SCORE] = zset_score_element(score, bytes),
        [ZSET_SORTED_MEMBER] = *member,
    };
    struct tree_cursor cursor;
    seek(zset, score, member, &cursor);
    tree_insert(&zset->sorted, &cursor, row);
}

static void sorted_delete(struct zset *zset, const struct element *member, double score)
{
    struct tree_cursor cursor;
    seek(zset, score, member, &cursor);
    DCHECK(!tree_cursor_is_end(&cursor));
    tree_delete(&zset->sorted, &cursor);
}

/* `place`: where the index was searched in vain, or NULL. */
static void index_insert(
    struct zset *zset, struct tree_cursor *place, const struct element *member, double score)
{
    char bytes[8];
    const struct element row[STRIDE] = {
        [ZSET_INDEX_MEMBER] = *member,
        [ZSET_INDEX_SCORE] = zset_score_element(score, bytes),
    };
    if (place != NULL)
        tree_insert_found(zset->index, place, row);
    else
        tree_insert_hashed(zset->index, row);
}

static struct tree *index_tree_create(void)
{
    return mem_alloc(sizeof(struct tree));
}

void zset_index_create(struct zset *zset)
{
    zset->index = index_tree_create();
    tree_init(zset->index, &index_class);
    struct tree_cursor cursor;
    tree_cursor_at(&zset->sorted, 0, &cursor);
    for (bool more = !tree_cursor_is_end(&cursor); more; more = tree_cursor_next(&cursor)) {
        struct element row[STRIDE];
        tree_cursor_row(&cursor, row);
        const struct element swapped[STRIDE] = {
            [ZSET_INDEX_MEMBER] = row[ZSET_SORTED_MEMBER],
            [ZSET_INDEX_SCORE] = row[ZSET_SORTED_SCORE],
        };
        tree_insert_hashed(zset->index, swapped);
    }
}

/* --- the object ------------------------------------------------------------------------------------------------------ */

struct zset *zset_create(void)
{
    struct zset *zset = mem_alloc(sizeof(*zset));
    zset->object = (struct value_object){
        .class = &zset_class,
        .encoding = VALUE_ENCODING_LISTPACK,
    };
    tree_init(&zset->sorted, &zset_sorted_class);
    zset->index = NULL;
    return zset;
}

void zset_destroy(struct zset *zset)
{
    if (zset == NULL)
        return;
    tree_deinit(&zset->sorted);
    if (zset->index != NULL)
        tree_deinit(zset->index);
    mem_free(zset->index);
    mem_free(zset);
}

struct value zset_value(struct zset *zset)
{
    return (struct value){
        .type = VALUE_ZSET,
        .encoding = zset->object.encoding,
        .object = &zset->object,
    };
}

struct zset *zset_of(const struct value *value)
{
    CHECK(value->type == VALUE_ZSET);
    CHECK(value->object->class == &zset_class);
    return CONTAINER_OF(value->object, struct zset, object);
}

static struct zset *object_zset(struct value_object *object)
{
    return CONTAINER_OF(object, struct zset, object);
}

static const struct zset *const_object_zset(const struct value_object *object)
{
    return (const struct zset *)(const void *)object; /* the first member */
}

static void object_destroy(struct value_object *object)
{
    zset_destroy(object_zset(object));
}

static uint64_t object_effort(const struct value_object *object)
{
    const struct zset *zset = const_object_zset(object);
    return tree_node_count(&zset->sorted) +
           (zset->index != NULL ? tree_node_count(zset->index) : 0);
}

static size_t object_size_bytes(const struct value_object *object)
{
    const struct zset *zset = const_object_zset(object);
    return sizeof(*zset) + zset->sorted.bytes +
           (zset->index != NULL ? sizeof(*zset->index) + zset->index->bytes : 0);
}

static uint64_t object_element_count(const struct value_object *object)
{
    return zset_count(const_object_zset(object));
}

static struct value_object *object_snapshot(const struct value_object *object)
{
    const struct zset *zset = const_object_zset(object);
    struct zset *snapshot = mem_alloc(sizeof(*snapshot));
    snapshot->object = zset->object;
    tree_snapshot(&zset->sorted, &snapshot->sorted);
    snapshot->index = NULL;
    if (zset->index != NULL) {
        snapshot->index = index_tree_create();
        tree_snapshot(zset->index, snapshot->index);
    }
    return &snapshot->object;
}

const struct value_class zset_class = {
    .type = VALUE_ZSET,
    .destroy = object_destroy,
    .effort = object_effort,
    .size_bytes = object_size_bytes,
    .element_count = object_element_count,
    .snapshot = object_snapshot,
    .encode = zset_encode,
    .decode = zset_decode,
};

void zset_setup(void)
{
    value_class_register(&zset_class);
}

/* --- finding ------------------------------------------------------------------------------------------------------------ */

uint64_t zset_count(const struct zset *zset)
{
    return zset->sorted.count;
}

enum value_encoding zset_encoding(const struct zset *zset)
{
    return zset->object.encoding;
}

const struct tree *zset_sorted(const struct zset *zset)
{
    return &zset->sorted;
}

const struct tree *zset_index(const struct zset *zset)
{
    return zset->index;
}

/* One by one. */
static bool search(
    const struct zset *zset, const struct element *member, struct tree_cursor *cursor)
{
    tree_cursor_at(&zset->sorted, 0, cursor);
    for (bool more = !tree_cursor_is_end(cursor); more; more = tree_cursor_next(cursor)) {
        const struct element found = tree_cursor_element(cursor, ZSET_SORTED_MEMBER);
        if (element_equal(&found, member))
            return true;
    }
    return false;
}

void zset_find(const struct zset *zset, const struct element *member, struct zset_place *place)
{
    unsigned slot = ZSET_SORTED_SCORE;
    if (zset->index != NULL) {
        place->found = tree_find(zset->index, member, &place->cursor);
        slot = ZSET_INDEX_SCORE;
    } else {
        place->found = search(zset, member, &place->cursor);
    }
    if (place->found) {
        const struct element score = tree_cursor_element(&place->cursor, slot);
        place->score = zset_score_of(&score);
    }
}

bool zset_score(const struct zset *zset, const struct element *member, double *score)
{
    struct zset_place place;
    zset_find(zset, member, &place);
    if (place.found)
        *score = place.score;
    return place.found;
}

/* --- changing ------------------------------------------------------------------------------------------------------------- */

static void follow_limits(struct zset *zset, const struct element *member)
{
    if (zset->object.encoding != VALUE_ENCODING_LISTPACK)
        return;
    const int64_t entries_max =
        atomic_load_explicit(&value_limits.zset_max_listpack_entries, memory_order_relaxed);
    const int64_t value_max =
        atomic_load_explicit(&value_limits.zset_max_listpack_value, memory_order_relaxed);
    if ((int64_t)zset->sorted.count >= entries_max ||
        (int64_t)element_text_size(member) > value_max)
        zset->object.encoding = VALUE_ENCODING_SKIPLIST;
}

static double normal_score(const struct zset *zset, double score)
{
    CHECK(!isnan(score));
    return zset->object.encoding == VALUE_ENCODING_LISTPACK ? score + 0.0 : score;
}

static void insert(
    struct zset *zset, struct tree_cursor *place, const struct element *member, double score)
{
    follow_limits(zset, member);
    score = normal_score(zset, score);
    sorted_insert(zset, member, score);
    if (zset->index != NULL)
        index_insert(zset, place, member, score);
    else if (unlikely(zset->sorted.count > ZSET_INDEX_MIN))
        zset_index_create(zset);
}

void zset_insert(struct zset *zset, const struct element *member, double score)
{
    insert(zset, NULL, member, score);
}

void zset_insert_at(
    struct zset *zset, struct zset_place *place, const struct element *member, double score)
{
    CHECK(!place->found);
    insert(zset, &place->cursor, member, score);
}

void zset_append(struct zset *zset, const struct element *member, double score)
{
    follow_limits(zset, member);
    score = normal_score(zset, score);
    char bytes[8];
    const struct element row[STRIDE] = {
        [ZSET_SORTED_SCORE] = zset_score_element(score, bytes),
        [ZSET_SORTED_MEMBER] = *member,
    };
    tree_append(&zset->sorted, row);
    if (zset->index != NULL)
        index_insert(zset, NULL, member, score);
    else if (unlikely(zset->sorted.count > ZSET_INDEX_MIN))
        zset_index_create(zset);
}

void zset_move(
    struct zset *zset, struct zset_place *place, const struct element *member, double score)
{
    CHECK(place->found);
    score = normal_score(zset, score);
    if (zset->index != NULL) {
        char bytes[8];
        const struct element element = zset_score_element(score, bytes);
        tree_replace(zset->index, &place->cursor, ZSET_INDEX_SCORE, &element);
        sorted_delete(zset, member, place->score);
    } else {
        tree_delete(&zset->sorted, &place->cursor);
    }
    sorted_insert(zset, member, score);
    place->found = false;
}

void zset_remove(struct zset *zset, struct zset_place *place, const struct element *member)
{
    CHECK(place->found);
    if (zset->index != NULL) {
        tree_delete(zset->index, &place->cursor);
        sorted_delete(zset, member, place->score);
    } else {
        tree_delete(&zset->sorted, &place->cursor);
    }
    place->found = false;
}

static void index_delete(struct zset *zset, const struct element *member)
{
    struct tree_cursor cursor;
    CHECK(tree_find(zset->index, member, &cursor));
    tree_delete(zset->index, &cursor);
}

/* So few rows are taken out one by one. */
#define FEW_ROWS 8

void zset_remove_range(struct zset *zset, uint64_t rank, uint64_t count)
{
    CHECK(rank <= zset->sorted.count);
    CHECK(count <= zset->sorted.count - rank);
    const bool few = count <= FEW_ROWS;
    struct tree_cursor cursor;
    tree_cursor_at(&zset->sorted, rank, &cursor);
    for (uint64_t i = 0; i < count && (few || zset->index != NULL); i++) {
        if (zset->index != NULL) {
            const struct element member = tree_cursor_element(&cursor, ZSET_SORTED_MEMBER);
            index_delete(zset, &member);
        }
        if (few)
            tree_delete(&zset->sorted, &cursor);
        else
            (void)tree_cursor_next(&cursor);
    }
    if (!few)
        tree_delete_range(&zset->sorted, rank, count);
}

void zset_put(struct zset *zset, const struct element *member, double score)
{
    struct zset_place place;
    zset_find(zset, member, &place);
    if (!place.found)
        zset_insert_at(zset, &place, member, score);
    else if (place.score != score)
        zset_move(zset, &place, member, score);
}
