/*
 * command_docs.c: COMMAND and its subcommands: the command table, told to clients.
 */
#include "base/mem.h"
#include "commands_internal.h"

#include <stdio.h>

/* --- COMMAND INFO --------------------------------------------------------------------------------------------- */

static unsigned shown_bits(uint32_t bits, const char *(*name_of)(unsigned))
{
    unsigned count = 0;
    for (unsigned bit = 0; bit < 32; bit++)
        count += ((bits >> bit) & 1) != 0 && name_of(bit) != NULL;
    return count;
}

static void reply_bits(
    struct resp_output *reply, uint32_t bits, const char *(*name_of)(unsigned), const char *prefix)
{
    reply_set(reply, shown_bits(bits, name_of));
    for (unsigned bit = 0; bit < 32; bit++) {
        if (((bits >> bit) & 1) == 0 || name_of(bit) == NULL)
            continue;
        char text[64];
        snprintf(text, sizeof(text), "%s%s", prefix, name_of(bit));
        reply_simple(reply, text);
    }
}

static unsigned subcommand_count(const struct command *command)
{
    unsigned count = 0;
    if (command->subcommands != NULL) {
        while (command->subcommands[count].name != NULL)
            count++;
    }
    return count;
}

static uint32_t shown_flags(const struct command *command)
{
    /* A key in two databases comes from find_keys, but does not move. */
    const bool is_movable = command->find_keys != NULL && command->key_database == NULL;
    return command->flags | (is_movable ? (uint32_t)CMD_MOVABLEKEYS : 0);
}

static uint16_t key_flags(const struct command *command, unsigned spec)
{
    if (command->key_flags[spec] != 0)
        return command->key_flags[spec];
    return (command->flags & CMD_WRITE) != 0 ? KEY_RW | KEY_UPDATE : KEY_RO | KEY_ACCESS;
}

/* One element of the key specifications: where the keys begin, and how far they go. */
static void reply_key_spec(struct resp_output *reply, uint16_t flags, int first, int last, int step)
{
    reply_map(reply, 3);
    reply_bulk_text(reply, "flags");
    reply_bits(reply, flags, command_key_flag_name, "");
    reply_bulk_text(reply, "begin_search");
    reply_map(reply, 2);
    reply_bulk_text(reply, "type");
    reply_bulk_text(reply, "index");
    reply_bulk_text(reply, "spec");
    reply_map(reply, 1);
    reply_bulk_text(reply, "index");
    reply_integer(reply, first);
    reply_bulk_text(reply, "find_keys");
    reply_map(reply, 2);
    reply_bulk_text(reply, "type");
    reply_bulk_text(reply, "range");
    reply_bulk_text(reply, "spec");
    reply_map(reply, 3);
    reply_bulk_text(reply, "lastkey");
    reply_integer(reply, last < 0 ? last : last - first);
    reply_bulk_text(reply, "keystep");
    reply_integer(reply, step);
    reply_bulk_text(reply, "limit");
    reply_integer(reply, 0);
}

static void reply_spec_begin(struct resp_output *reply, const struct command_key_spec *spec)
{
    reply_bulk_text(reply, "begin_search");
    reply_map(reply, 2);
    reply_bulk_text(reply, "type");
    reply_bulk_text(reply, spec->start == 0        ? "unknown"
                           : spec->keyword != NULL ? "keyword"
                                                   : "index");
    reply_bulk_text(reply, "spec");
    if (spec->start == 0) {
        reply_map(reply, 0);
    } else if (spec->keyword != NULL) {
        reply_map(reply, 2);
        reply_bulk_text(reply, "keyword");
        reply_bulk_text(reply, spec->keyword);
        reply_bulk_text(reply, "startfrom");
        reply_integer(reply, spec->start);
    } else {
        reply_map(reply, 1);
        reply_bulk_text(reply, "index");
        reply_integer(reply, spec->start);
    }
}

static void reply_spec_find(struct resp_output *reply, const struct command_key_spec *spec)
{
    static const char *const types[] = {
        [KEY_FIND_RANGE] = "range", [KEY_FIND_COUNTED] = "keynum", [KEY_FIND_UNKNOWN] = "unknown"};
    reply_bulk_text(reply, "find_keys");
    reply_map(reply, 2);
    reply_bulk_text(reply, "type");
    reply_bulk_text(reply, types[spec->find]);
    reply_bulk_text(reply, "spec");
    if (spec->find == KEY_FIND_UNKNOWN) {
        reply_map(reply, 0);
        return;
    }
    const bool is_counted = spec->find == KEY_FIND_COUNTED;
    reply_map(reply, 3);
    reply_bulk_text(reply, is_counted ? "keynumidx" : "lastkey");
    reply_integer(reply, is_counted ? 0 : spec->last);
    reply_bulk_text(reply, is_counted ? "firstkey" : "keystep");
    reply_integer(reply, is_counted ? 1 : spec->step);
    reply_bulk_text(reply, is_counted ? "keystep" : "limit");
    reply_integer(reply, is_counted ? 1 : spec->limit);
}

static void reply_special_key_specs(struct resp_output *reply, const struct command_key_spec *specs)
{
    size_t count = 0;
    while (specs[count].flags != 0)
        count++;
    reply_set(reply, count);
    for (size_t i = 0; i < count; i++) {
        const struct command_key_spec *spec = &specs[i];
        reply_map(reply, spec->notes != NULL ? 4 : 3);
        if (spec->notes != NULL) {
            reply_bulk_text(reply, "notes");
            reply_bulk_text(reply, spec->notes);
        }
        reply_bulk_text(reply, "flags");
        reply_bits(reply, spec->flags, command_key_flag_name, "");
        reply_spec_begin(reply, spec);
        reply_spec_find(reply, spec);
    }
}

static void reply_key_specs(struct resp_output *reply, const struct command *command)
{
    if (command->key_specs != NULL) {
        reply_special_key_specs(reply, command->key_specs);
        return;
    }
    const struct command_keys *keys = &command->keys;
    if (keys->first == 0) {
        reply_set(reply, 0);
        return;
    }
    if (command->key_flags[1] == 0) {
        reply_set(reply, 1);
        reply_key_spec(reply, key_flags(command, 0), keys->first, keys->last, keys->step);
        return;
    }
    reply_set(reply, 2);
    reply_key_spec(reply, key_flags(command, 0), keys->first, keys->first, keys->step);
    reply_key_spec(reply, key_flags(command, 1), keys->last, keys->last, keys->step);
}

static void reply_tips(struct resp_output *reply, const char *tips)
{
    unsigned count = tips != NULL;
    for (const char *at = tips; at != NULL && *at != '\0'; at++)
        count += *at == ' ';
    reply_set(reply, count);
    while (count-- > 0) {
        const size_t size = strcspn(tips, " ");
        reply_bulk(reply, slice_of(tips, size));
        tips += size + 1;
    }
}

static void reply_info(struct resp_output *reply, const struct command *command)
{
    char name[80];
    command_full_name(command, name, sizeof(name));
    const unsigned subcommands = subcommand_count(command);
    reply_array(reply, 10);
    reply_bulk_text(reply, name);
    reply_integer(reply, command->arity);
    reply_bits(reply, shown_flags(command), command_flag_name, "");
    reply_integer(reply, command->keys.first);
    reply_integer(reply, command->keys.last);
    reply_integer(reply, command->keys.step);
    reply_bits(reply, command->acl, command_acl_name, "@");
    reply_tips(reply, command->tips);
    reply_key_specs(reply, command);
    reply_array(reply, subcommands);
    /* One level: containers do not nest. */
    for (unsigned i = 0; i < subcommands; i++)
        reply_info(reply, &command->subcommands[i]);
}

static void visit_info(void *context, const struct command *command)
{
    reply_info(context, command);
}

void cmd_command(struct command_call *call)
{
    reply_array(call->reply, command_count());
    command_visit(visit_info, call->reply);
}

/* A command by its name, or a subcommand by "container|sub". */
static const struct command *find_by_full_name(struct slice name)
{
    const char *bar = memchr(name.data, '|', name.size);
    if (bar == NULL)
        return command_find(name);
    const size_t size = (size_t)(bar - name.data);
    const struct slice words[2] = {
        slice_of(name.data, size), slice_of(bar + 1, name.size - size - 1)};
    const struct command *container = NULL;
    const struct command *command = command_resolve(2, words, &container);
    return command != NULL && command->parent != NULL ? command : NULL;
}

static void cmd_command_info(struct command_call *call)
{
    if (call->argc == 2) {
        cmd_command(call);
        return;
    }
    reply_array(call->reply, (size_t)call->argc - 2);
    for (int i = 2; i < call->argc; i++) {
        const struct command *command = find_by_full_name(call->argv[i]);
        if (command != NULL)
            reply_info(call->reply, command);
        else
            reply_null_array(call->reply);
    }
}

static void cmd_command_count(struct command_call *call)
{
    reply_integer(call->reply, (int64_t)command_count());
}

/* --- COMMAND DOCS ------------------------------------------------------------------------------------------------- */

static void reply_docs(struct resp_output *reply, const struct command *command)
{
    char name[80];
    command_full_name(command, name, sizeof(name));
    const unsigned subcommands = subcommand_count(command);
    reply_bulk_text(reply, name);
    reply_map(reply, 4 + (subcommands > 0 ? 1 : 0));
    reply_bulk_text(reply, "summary");
    reply_bulk_text(reply, command->summary);
    reply_bulk_text(reply, "since");
    reply_bulk_text(reply, command->since);
    reply_bulk_text(reply, "group");
    reply_bulk_text(reply, command_group_name(command->group));
    reply_bulk_text(reply, "complexity");
    reply_bulk_text(reply, command->complexity);
    if (subcommands > 0) {
        reply_bulk_text(reply, "subcommands");
        reply_map(reply, subcommands);
        for (unsigned i = 0; i < subcommands; i++)
            reply_docs(reply, &command->subcommands[i]);
    }
}

static void visit_docs(void *context, const struct command *command)
{
    reply_docs(context, command);
}

static void cmd_command_docs(struct command_call *call)
{
    if (call->argc == 2) {
        reply_map(call->reply, command_count());
        command_visit(visit_docs, call->reply);
        return;
    }
    size_t found = 0;
    for (int i = 2; i < call->argc; i++)
        found += find_by_full_name(call->argv[i]) != NULL;
    reply_map(call->reply, found);
    for (int i = 2; i < call->argc; i++) {
        const struct command *command = find_by_full_name(call->argv[i]);
        if (command != NULL)
            reply_docs(call->reply, command);
    }
}

/* --- COMMAND LIST, GETKEYS ------------------------------------------------------------------------------------------- */

struct list_filter {
    struct slice pattern; /* NULL data: none */
    uint32_t acl;         /* 0: none */
    bool none;            /* MODULE, or an unknown category: nothing matches */
    struct buf names;     /* NUL-separated */
    size_t count;
};

static void list_one(struct list_filter *filter, const struct command *command)
{
    char name[80];
    const size_t size = command_full_name(command, name, sizeof(name));
    if (filter->none || (filter->acl != 0 && (command->acl & filter->acl) == 0))
        return;
    if (filter->pattern.data != NULL && !glob_match(filter->pattern, slice_of(name, size), true))
        return;
    buf_append(&filter->names, name, size + 1);
    filter->count++;
}

static void visit_list(void *context, const struct command *command)
{
    struct list_filter *filter = context;
    list_one(filter, command);
    for (unsigned i = 0; i < subcommand_count(command); i++)
        list_one(filter, &command->subcommands[i]);
}

static uint32_t acl_bit(struct slice name)
{
    for (unsigned bit = 0; command_acl_name(bit) != NULL; bit++) {
        if (slice_equal_nocase(name, command_acl_name(bit)))
            return (uint32_t)1 << bit;
    }
    return 0;
}

static void cmd_command_list(struct command_call *call)
{
    struct list_filter filter = {0};
    if (call->argc == 5 && slice_equal_nocase(call->argv[2], "filterby")) {
        if (slice_equal_nocase(call->argv[3], "pattern")) {
            filter.pattern = call->argv[4];
        } else if (slice_equal_nocase(call->argv[3], "aclcat")) {
            filter.acl = acl_bit(call->argv[4]);
            filter.none = filter.acl == 0;
        } else if (slice_equal_nocase(call->argv[3], "module")) {
            filter.none = true;
        } else {
            reply_error(call->reply, REPLY_SYNTAX);
            return;
        }
    } else if (call->argc != 2) {
        reply_error(call->reply, REPLY_SYNTAX);
        return;
    }
    command_visit(visit_list, &filter);
    reply_set(call->reply, filter.count);
    const char *at = filter.names.data;
    for (size_t i = 0; i < filter.count; i++) {
        reply_bulk_text(call->reply, at);
        at += strlen(at) + 1;
    }
    buf_deinit(&filter.names);
}

/* An argument that is a key in two databases counts once. Returns how many are left. */
static int drop_repeated(int *indexes, int count)
{
    int kept = 0;
    for (int i = 0; i < count; i++) {
        if (kept == 0 || indexes[kept - 1] != indexes[i])
            indexes[kept++] = indexes[i];
    }
    return kept;
}

/* The flags of the spec that tells of the key at this argument. */
static uint16_t flags_of_key(
    const struct command *command, int argc, const struct slice *argv, int argument, bool is_last)
{
    const struct command_key_spec *spec = command->key_specs;
    if (spec == NULL)
        return key_flags(command, is_last && command->key_flags[1] != 0);
    for (; spec[1].flags != 0; spec++) {
        if (spec->keyword != NULL) {
            if (argument > 1 && argument < argc &&
                slice_equal_nocase(argv[argument - 1], spec->keyword))
                break;
        } else if (spec->find == KEY_FIND_RANGE && argument == spec->start) {
            break;
        }
    }
    return spec->flags;
}

static void reply_keys(struct command_call *call, bool with_flags)
{
    const int argc = call->argc - 2;
    const struct slice *argv = &call->argv[2];
    const struct command *container = NULL;
    const struct command *command = command_resolve(argc, argv, &container);
    if (command == NULL) {
        reply_error(call->reply, "ERR Invalid command specified");
        return;
    }
    if (command->keys.first == 0 && command->find_keys == NULL) {
        reply_error(call->reply, "ERR The command has no key arguments");
        return;
    }
    if (!command_arity_is_ok(command, argc)) {
        reply_error(call->reply, "ERR Invalid number of arguments specified for command");
        return;
    }
    int *indexes = mem_alloc((size_t)argc * sizeof(*indexes));
    const int count = command_key_indexes(command, argc, argv, indexes, argc);
    if (count < 0) {
        reply_error(call->reply, "ERR Invalid arguments specified for command");
    } else {
        const int kept = drop_repeated(indexes, count);
        reply_array(call->reply, (size_t)kept);
        for (int i = 0; i < kept; i++) {
            if (with_flags)
                reply_array(call->reply, 2);
            reply_bulk(call->reply, argv[indexes[i]]);
            if (with_flags)
                reply_bits(call->reply,
                    flags_of_key(command, argc, argv, indexes[i], i == kept - 1),
                    command_key_flag_name, "");
        }
    }
    mem_free(indexes);
}

static void cmd_command_getkeys(struct command_call *call)
{
    reply_keys(call, false);
}

static void cmd_command_getkeysandflags(struct command_call *call)
{
    reply_keys(call, true);
}

static void cmd_command_help(struct command_call *call)
{
    static const char *const lines[] = {
        "(no subcommand)",
        "    Return details about all commands.",
        "COUNT",
        "    Return the total number of commands in this server.",
        "LIST [FILTERBY (MODULE|ACLCAT|PATTERN) <argument>]",
        "    Return a list of all commands in this server.",
        "INFO [<command-name> ...]",
        "    Return details about multiple commands.",
        "DOCS [<command-name> ...]",
        "    Return documentation details about multiple commands.",
        "GETKEYS <full-command>",
        "    Return the keys from a full command.",
        "GETKEYSANDFLAGS <full-command>",
        "    Return the keys and the access flags from a full command.",
    };
    command_reply_help(call, lines, COUNT_OF(lines));
}

#define COMMAND_ROW(row_name, row_handler, row_arity, row_since, row_complexity, row_summary) \
    .name = row_name, .handler = row_handler, .arity = row_arity,                             \
    .flags = CMD_LOADING | CMD_STALE, .group = COMMAND_GROUP_SERVER,                          \
    .acl = ACL_SLOW | ACL_CONNECTION, .since = row_since, .complexity = row_complexity,       \
    .summary = row_summary
#define NO_ORDER "nondeterministic_output_order"

const struct command command_subcommands[] = {
    {COMMAND_ROW("count", cmd_command_count, 2, "2.8.13", "O(1)", "Returns a count of commands.")},
    {COMMAND_ROW("info", cmd_command_info, -2, "2.8.13",
         "O(N) where N is the number of commands to look up",
         "Returns information about one, multiple or all commands."),
        .tips = NO_ORDER},
    {COMMAND_ROW("docs", cmd_command_docs, -2, "7.0.0",
         "O(N) where N is the number of commands to look up",
         "Returns documentary information about one, multiple or all commands."),
        .tips = NO_ORDER},
    {COMMAND_ROW("list", cmd_command_list, -2, "7.0.0",
         "O(N) where N is the total number of commands", "Returns a list of command names."),
        .tips = NO_ORDER},
    {COMMAND_ROW("getkeys", cmd_command_getkeys, -3, "2.8.13",
        "O(N) where N is the number of arguments to the command",
        "Extracts the key names from an arbitrary command.")},
    {COMMAND_ROW("getkeysandflags", cmd_command_getkeysandflags, -3, "7.0.0",
        "O(N) where N is the number of arguments to the command",
        "Extracts the key names and what becomes of them from an arbitrary command.")},
    {COMMAND_ROW("help", cmd_command_help, 2, "5.0.0", "O(1)",
        "Returns helpful text about the different subcommands.")},
    COMMANDS_END,
};
