/*
 * command.c: the command table: rows registered by the families, found by name in any case.
 *
 * Registration copies the rows, so that each gets a dense index for its statistics and a link to its container. Lookup is one
 * probe of an open-addressing table, keyed by a hash of the lower-case name; it is on the path of every command.
 */
#include "server/command.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>

#define TABLE_SIZE 1024
#define ROW_MAX    512
#define NAME_MAX   32

static struct command *table[TABLE_SIZE];
static struct command *rows[ROW_MAX];
static struct command_stats stats[ROW_MAX];
static unsigned row_count;
static size_t top_level_count;

static inline char lower(char c)
{
    return (c >= 'A' && c <= 'Z') ? (char)(c + 32) : c;
}

static inline uint32_t name_hash(const char *name, size_t size)
{
    uint32_t hash = (uint32_t)size;
    for (size_t i = 0; i < size; i++)
        hash = hash * 31 + (uint32_t)(unsigned char)(name[i] | 0x20);
    return hash ^ (hash >> 15);
}

static bool name_matches(const struct command *command, struct slice name)
{
    if (command->name_size != name.size)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        if (lower(name.data[i]) != command->name[i])
            return false;
    }
    return true;
}

const struct command *command_find(struct slice name)
{
    if (unlikely(name.size == 0 || name.size >= NAME_MAX))
        return NULL;
    uint32_t slot = name_hash(name.data, name.size) % TABLE_SIZE;
    while (table[slot] != NULL) {
        if (likely(name_matches(table[slot], name)))
            return table[slot];
        slot = (slot + 1) % TABLE_SIZE;
    }
    return NULL;
}

static void table_insert(struct command *command)
{
    CHECK(command_find(slice_text(command->name)) == NULL);
    CHECK(top_level_count < TABLE_SIZE / 2);
    uint32_t slot = name_hash(command->name, command->name_size) % TABLE_SIZE;
    while (table[slot] != NULL)
        slot = (slot + 1) % TABLE_SIZE;
    table[slot] = command;
    top_level_count++;
}

static size_t count_rows(const struct command *array)
{
    size_t count = 0;
    while (array[count].name != NULL)
        count++;
    return count;
}

/* Copies an array of rows, its end included, and numbers them. */
static struct command *copy_rows(const struct command *array, const struct command *parent)
{
    const size_t count = count_rows(array);
    struct command *copy = mem_alloc((count + 1) * sizeof(*copy));
    memcpy(copy, array, (count + 1) * sizeof(*copy));
    for (size_t i = 0; i < count; i++) {
        CHECK(row_count < ROW_MAX);
        CHECK(copy[i].handler != NULL || copy[i].subcommands != NULL);
        copy[i].name_size = (unsigned)strlen(copy[i].name);
        copy[i].parent = parent;
        copy[i].index = row_count;
        rows[row_count++] = &copy[i];
        if (copy[i].subcommands != NULL)
            copy[i].subcommands = copy_rows(copy[i].subcommands, &copy[i]);
    }
    return copy;
}

void command_register(const struct command *array)
{
    struct command *copy = copy_rows(array, NULL);
    for (size_t i = 0; copy[i].name != NULL; i++)
        table_insert(&copy[i]);
}

const struct command *command_resolve(
    int argc, const struct slice *argv, const struct command **container)
{
    const struct command *command = command_find(argv[0]);
    *container = command;
    if (likely(command == NULL || command->subcommands == NULL))
        return command;
    if (argc < 2)
        return command; /* its arity refuses it */
    for (const struct command *sub = command->subcommands; sub->name != NULL; sub++) {
        if (name_matches(sub, argv[1]))
            return sub;
    }
    return NULL;
}

bool command_arity_is_ok(const struct command *command, int argc)
{
    return command->arity >= 0 ? argc == command->arity : argc >= -command->arity;
}

size_t command_full_name(const struct command *command, char *out, size_t size)
{
    int length;
    if (command->parent != NULL)
        length = snprintf(out, size, "%s|%s", command->parent->name, command->name);
    else
        length = snprintf(out, size, "%s", command->name);
    CHECK(length > 0 && (size_t)length < size);
    return (size_t)length;
}

size_t command_count(void)
{
    return top_level_count;
}

void command_visit(command_visit_fn visit, void *context)
{
    for (unsigned i = 0; i < row_count; i++) {
        if (rows[i]->parent == NULL)
            visit(context, rows[i]);
    }
}

unsigned command_index(const struct command *command)
{
    return command->index;
}

unsigned command_row_count(void)
{
    return row_count;
}

const struct command *command_at(unsigned index)
{
    CHECK(index < row_count);
    return rows[index];
}

struct command_stats *command_stats_of(const struct command *command)
{
    return &stats[command->index];
}

void command_stats_reset(void)
{
    for (unsigned i = 0; i < row_count; i++) {
        atomic_store_explicit(&stats[i].call_count, 0, memory_order_relaxed);
        atomic_store_explicit(&stats[i].nsec_total, 0, memory_order_relaxed);
        atomic_store_explicit(&stats[i].rejected_count, 0, memory_order_relaxed);
        atomic_store_explicit(&stats[i].failed_count, 0, memory_order_relaxed);
    }
}
