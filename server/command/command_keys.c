/*
 * command_keys.c: which arguments are keys, and the small parsers that handlers share.
 */
#include "server/command.h"

#include <ctype.h>
#include <stdio.h>

int command_key_indexes(
    const struct command *command, int argc, const struct slice *argv, int *indexes, int max)
{
    if (command->find_keys != NULL)
        return command->find_keys(argc, argv, indexes, max);
    const struct command_keys *keys = &command->keys;
    if (keys->first == 0)
        return 0;
    const int last = keys->last < 0 ? argc + keys->last : keys->last;
    if (last >= argc)
        return -1;
    int count = 0;
    for (int i = keys->first; i <= last; i += keys->step) {
        if (count < max)
            indexes[count] = i;
        count++;
    }
    return count;
}

int command_find_counted_keys(int argc, const struct slice *argv, int count_index,
    bool has_destination, int *indexes, int max)
{
    int64_t number = 0;
    if (count_index >= argc || !slice_to_int64(argv[count_index], &number))
        return -1;
    if (number < 1 || number > argc - count_index - 1)
        return -1;
    int count = 0;
    if (has_destination) {
        if (count < max)
            indexes[count] = 1;
        count++;
    }
    for (int i = 1; i <= (int)number; i++) {
        if (count < max)
            indexes[count] = count_index + i;
        count++;
    }
    return count;
}

bool command_int64(struct command_call *call, int index, int64_t *value, const char *error_text)
{
    if (slice_to_int64(call->argv[index], value))
        return true;
    reply_error(call->reply, error_text != NULL ? error_text : REPLY_NOT_INTEGER);
    return false;
}

bool command_double(struct command_call *call, int index, double *value, const char *error_text)
{
    if (slice_to_double(call->argv[index], value))
        return true;
    reply_error(call->reply, error_text != NULL ? error_text : REPLY_NOT_FLOAT);
    return false;
}

void command_reply_arity(struct resp_output *reply, const struct command *command)
{
    char name[80];
    command_full_name(command, name, sizeof(name));
    reply_error_format(reply, "ERR wrong number of arguments for '%s' command", name);
}

void command_reply_help(struct command_call *call, const char *const *lines, size_t count)
{
    char name[64] = {0};
    const char *container = call->command->parent->name;
    size_t size = 0;
    for (; container[size] != '\0'; size++)
        name[size] = (char)toupper((unsigned char)container[size]);
    char first[160];
    const int length = snprintf(first, sizeof(first),
        "%.*s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", (int)size, name);
    reply_array(call->reply, count + 3);
    reply_raw(call->reply, "+", 1);
    reply_raw(call->reply, first, (size_t)length);
    reply_raw(call->reply, "\r\n", 2);
    for (size_t i = 0; i < count; i++)
        reply_simple(call->reply, lines[i]);
    reply_simple(call->reply, "HELP");
    reply_simple(call->reply, "    Prints this help.");
}

bool command_find_typed(struct command_call *call, size_t key_index, enum keyspace_access access,
    enum value_type type, struct hot_record **record)
{
    *record = keyspace_find(call->view, &call->keys[key_index], access);
    if (*record == NULL)
        return true;
    const struct value value = hot_record_value(*record);
    if (likely(value.type == type))
        return true;
    reply_error(call->reply, REPLY_WRONG_TYPE);
    return false;
}
