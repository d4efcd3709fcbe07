/*
 * aof_group.c: the buffers between those who append and the log thread. A group becomes one frame.
 *
 * A handful of them go round: open, sealed, written, free. So in steady state nothing is allocated. They grow
 * by doubling up to AOF_GROUP_SIZE_MAX; one that had to hold a larger append is freed after it was written. When the log has been
 * idle for a while, all but a small one are freed.
 */
#include "aof_internal.h"
#include "base/check.h"
#include "base/mem.h"

enum { FREE_GROUPS_MAX = 3 };
#define GROUP_SIZE_MIN ((size_t)16 * KiB - AOF_GROUP_OVERHEAD)

struct aof_group *aof_group_create(void)
{
    struct aof_group *const group = mem_alloc_zero(sizeof(*group));
    aof_group_grow(group, GROUP_SIZE_MIN);
    return group;
}

void aof_group_destroy(struct aof_group *group)
{
    if (group == NULL)
        return;
    mem_free(group->block);
    mem_free(group);
}

void aof_group_grow(struct aof_group *group, size_t need)
{
    const size_t wanted = group->size + need;
    size_t capacity = (group->capacity + AOF_GROUP_OVERHEAD) * 2 - AOF_GROUP_OVERHEAD;
    if (capacity > AOF_GROUP_SIZE_MAX)
        capacity = AOF_GROUP_SIZE_MAX;
    if (capacity < wanted)
        capacity = wanted;
    group->block = mem_realloc(group->block, AOF_GROUP_OVERHEAD + capacity);
    group->capacity = capacity;
}

void aof_group_list_push(struct aof_group_list *list, struct aof_group *group)
{
    group->next = NULL;
    if (list->tail == NULL)
        list->head = group;
    else
        list->tail->next = group;
    list->tail = group;
}

void aof_group_list_splice(struct aof_group_list *list, struct aof_group_list *from)
{
    if (from->head == NULL)
        return;
    if (list->tail == NULL)
        list->head = from->head;
    else
        list->tail->next = from->head;
    list->tail = from->tail;
    *from = (struct aof_group_list){0};
}

void aof_group_list_destroy_all(struct aof_group_list *list)
{
    while (list->head != NULL) {
        struct aof_group *const group = list->head;
        list->head = group->next;
        aof_group_destroy(group);
    }
    list->tail = NULL;
}

void aof_seal_open(struct aof *aof)
{
    CHECK(aof->open->size > 0);
    aof_group_list_push(&aof->sealed, aof->open);
    struct aof_group *group = aof->free_groups;
    if (group == NULL) {
        group = aof_group_create();
    } else {
        aof->free_groups = group->next;
        aof->free_group_count--;
    }
    group->next = NULL;
    group->size = 0;
    aof->open = group;
}

void aof_group_recycle(struct aof *aof, struct aof_group *group)
{
    mutex_lock(&aof->lock);
    const bool is_kept =
        aof->free_group_count < FREE_GROUPS_MAX && group->capacity <= AOF_GROUP_SIZE_MAX;
    if (is_kept) {
        group->next = aof->free_groups;
        aof->free_groups = group;
        aof->free_group_count++;
    }
    mutex_unlock(&aof->lock);
    if (!is_kept)
        aof_group_destroy(group);
}

bool aof_groups_are_large(const struct aof *aof)
{
    return aof->free_groups != NULL || aof->open->capacity > GROUP_SIZE_MIN;
}

void aof_groups_trim(struct aof *aof)
{
    CHECK(aof->open->size == 0);
    struct aof_group_list idle = {.head = aof->free_groups};
    aof->free_groups = NULL;
    aof->free_group_count = 0;
    if (aof->open->capacity > GROUP_SIZE_MIN) {
        aof->open->next = idle.head;
        idle.head = aof->open;
        aof->open = aof_group_create();
    }
    aof_group_list_destroy_all(&idle);
}

bool aof_must_wake(struct aof *aof, enum aof_sleep deepest)
{
    if (aof->sleep == AOF_SLEEP_NOT || aof->sleep > deepest)
        return false;
    aof->sleep = AOF_SLEEP_NOT;
    return true;
}
