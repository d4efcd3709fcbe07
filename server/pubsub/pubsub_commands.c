/*
 * pubsub_commands.c: SUBSCRIBE and its relatives, PUBLISH, PUBSUB.
 *
 * Each name given gets a reply of its own, a push in RESP3, even if the connection's replies are off.
 */
#include "pubsub_internal.h"
#include "server/server.h"

/* --- subscribing ------------------------------------------------------------------------------------------ */

static const char *const subscribe_words[] = {"subscribe", "psubscribe", "ssubscribe"};
static const char *const unsubscribe_words[] = {"unsubscribe", "punsubscribe", "sunsubscribe"};

/* What a confirmation counts: shard channels on their own, else channels and patterns. */
static int64_t confirmed_count(const struct session *session, enum pubsub_kind kind)
{
    if (kind == PUBSUB_SHARD)
        return (int64_t)pubsub_client_count_of(session->pubsub, PUBSUB_SHARD);
    return (int64_t)(pubsub_client_count_of(session->pubsub, PUBSUB_CHANNEL) +
                     pubsub_client_count_of(session->pubsub, PUBSUB_PATTERN));
}

/* name NULL data: there was nothing to unsubscribe from. */
static void confirm(
    struct command_call *call, enum pubsub_kind kind, const char *word, struct slice name)
{
    struct resp_output *output = call->reply;
    const bool muted = output->muted;
    output->muted = false;
    reply_push(output, 3);
    reply_bulk_text(output, word);
    if (name.data != NULL)
        reply_bulk(output, name);
    else
        reply_null(output);
    reply_integer(output, confirmed_count(call->session, kind));
    output->muted = muted;
}

static void subscribe(struct command_call *call, enum pubsub_kind kind)
{
    for (int i = 1; i < call->argc; i++) {
        (void)pubsub_subscribe(call->server->pubsub, call->session,
            session_worker_index(call->session), kind, call->argv[i]);
        confirm(call, kind, subscribe_words[kind], call->argv[i]);
    }
}

static void unsubscribe_all(struct command_call *call, enum pubsub_kind kind)
{
    struct slice oldest = {0};
    if (!pubsub_oldest(call->session->pubsub, kind, &oldest)) {
        confirm(call, kind, unsubscribe_words[kind], (struct slice){0});
        return;
    }
    struct buf name = {0};
    do {
        buf_clear(&name);
        buf_append_byte(&name, '\0'); /* never without data: the name may be empty */
        buf_append_slice(&name, oldest);
        const struct slice copy = slice_of(name.data + 1, name.size - 1);
        (void)pubsub_unsubscribe(call->server->pubsub, call->session, kind, copy);
        confirm(call, kind, unsubscribe_words[kind], copy);
    } while (pubsub_oldest(call->session->pubsub, kind, &oldest));
    buf_deinit(&name);
}

static void unsubscribe(struct command_call *call, enum pubsub_kind kind)
{
    if (call->argc == 1)
        unsubscribe_all(call, kind);
    for (int i = 1; i < call->argc; i++) {
        (void)pubsub_unsubscribe(call->server->pubsub, call->session, kind, call->argv[i]);
        confirm(call, kind, unsubscribe_words[kind], call->argv[i]);
    }
}

static void cmd_subscribe(struct command_call *call)
{
    subscribe(call, PUBSUB_CHANNEL);
}

static void cmd_unsubscribe(struct command_call *call)
{
    unsubscribe(call, PUBSUB_CHANNEL);
}

static void cmd_psubscribe(struct command_call *call)
{
    subscribe(call, PUBSUB_PATTERN);
}

static void cmd_punsubscribe(struct command_call *call)
{
    unsubscribe(call, PUBSUB_PATTERN);
}

static void cmd_ssubscribe(struct command_call *call)
{
    if (call->session->in_transaction) {
        reply_error(call->reply, "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client");
        return;
    }
    subscribe(call, PUBSUB_SHARD);
}

static void cmd_sunsubscribe(struct command_call *call)
{
    unsubscribe(call, PUBSUB_SHARD);
}

/* --- publishing ---------------------------------------------------------------------------------------------- */

static void publish(struct command_call *call, enum pubsub_kind kind)
{
    struct blob *blob = NULL;
    struct resp_command *received = call->received;
    if (received != NULL && received->blob != NULL && received->blob_index == 2)
        blob = resp_command_take_blob(received);
    struct pubsub_message *message = NULL;
    const uint64_t count =
        pubsub_publish(call->server->pubsub, kind, call->argv[1], call->argv[2], blob, &message);
    if (message != NULL)
        session_deliver(call->worker, message);
    reply_integer(call->reply, (int64_t)count);
}

static void cmd_publish(struct command_call *call)
{
    publish(call, PUBSUB_CHANNEL);
}

static void cmd_spublish(struct command_call *call)
{
    publish(call, PUBSUB_SHARD);
}

/* --- PUBSUB ----------------------------------------------------------------------------------------------------- */

static void reply_names(struct command_call *call, enum pubsub_kind kind)
{
    if (call->argc > 3) {
        const struct slice word = call->argv[1];
        reply_error_format(call->reply,
            "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try PUBSUB HELP.",
            (int)(word.size > 128 ? 128 : word.size), word.data);
        return;
    }
    const struct reply_deferred names = reply_deferred_begin(call->reply);
    const size_t count = pubsub_reply_names(call->server->pubsub, kind,
        call->argc == 3 ? call->argv[2] : (struct slice){0}, call->reply);
    reply_deferred_end(call->reply, names, '*', count);
}

static void reply_counts(struct command_call *call, enum pubsub_kind kind)
{
    reply_array(call->reply, 2 * ((size_t)call->argc - 2));
    for (int i = 2; i < call->argc; i++) {
        reply_bulk(call->reply, call->argv[i]);
        reply_integer(call->reply,
            (int64_t)pubsub_subscriber_count(call->server->pubsub, kind, call->argv[i]));
    }
}

static void cmd_channels(struct command_call *call)
{
    reply_names(call, PUBSUB_CHANNEL);
}

static void cmd_shard_channels(struct command_call *call)
{
    reply_names(call, PUBSUB_SHARD);
}

static void cmd_numsub(struct command_call *call)
{
    reply_counts(call, PUBSUB_CHANNEL);
}

static void cmd_shard_numsub(struct command_call *call)
{
    reply_counts(call, PUBSUB_SHARD);
}

static void cmd_numpat(struct command_call *call)
{
    reply_integer(call->reply, (int64_t)pubsub_name_count(call->server->pubsub, PUBSUB_PATTERN));
}

static void cmd_help(struct command_call *call)
{
    static const char *const lines[] = {
        "CHANNELS [<pattern>]",
        "    Return the currently active channels matching a <pattern> (default: '*').",
        "NUMPAT",
        "    Return number of subscriptions to patterns.",
        "NUMSUB [<channel> ...]",
        "    Return the number of subscribers for the specified channels, excluding",
        "    pattern subscriptions(default: no channels).",
        "SHARDCHANNELS [<pattern>]",
        "    Return the currently active shard level channels matching a <pattern> (default: '*').",
        "SHARDNUMSUB [<shardchannel> ...]",
        "    Return the number of subscribers for the specified shard level channel(s)",
    };
    command_reply_help(call, lines, COUNT_OF(lines));
}

#define SUBSCRIBE_FLAGS (CMD_PUBSUB | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE)
#define PUBLISH_FLAGS   (CMD_PUBSUB | CMD_LOADING | CMD_STALE | CMD_FAST)
#define PUBSUB_ROW(row_name, row_handler, row_arity, row_since, row_complexity, row_summary)     \
    .name = row_name, .handler = row_handler, .arity = row_arity, .group = COMMAND_GROUP_PUBSUB, \
    .since = row_since, .complexity = row_complexity, .summary = row_summary

static const struct command pubsub_subcommands[] = {
    {PUBSUB_ROW("channels", cmd_channels, -2, "2.8.0",
         "O(N) where N is the number of active channels, and assuming constant time pattern "
         "matching (relatively short channels and patterns)",
         "Returns the active channels."),
        .flags = CMD_PUBSUB | CMD_LOADING | CMD_STALE, .acl = ACL_PUBSUB | ACL_SLOW},
    {PUBSUB_ROW("numsub", cmd_numsub, -2, "2.8.0",
         "O(N) for the NUMSUB subcommand, where N is the number of requested channels",
         "Returns a count of subscribers to channels."),
        .flags = CMD_PUBSUB | CMD_LOADING | CMD_STALE, .acl = ACL_PUBSUB | ACL_SLOW},
    {PUBSUB_ROW("numpat", cmd_numpat, 2, "2.8.0", "O(1)",
         "Returns a count of unique pattern subscriptions."),
        .flags = CMD_PUBSUB | CMD_LOADING | CMD_STALE, .acl = ACL_PUBSUB | ACL_SLOW},
    {PUBSUB_ROW("shardchannels", cmd_shard_channels, -2, "7.0.0",
         "O(N) where N is the number of active shard channels, and assuming constant time "
         "pattern matching (relatively short shard channels).",
         "Returns the active shard channels."),
        .flags = CMD_PUBSUB | CMD_LOADING | CMD_STALE, .acl = ACL_PUBSUB | ACL_SLOW},
    {PUBSUB_ROW("shardnumsub", cmd_shard_numsub, -2, "7.0.0",
         "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels",
         "Returns the count of subscribers of shard channels."),
        .flags = CMD_PUBSUB | CMD_LOADING | CMD_STALE, .acl = ACL_PUBSUB | ACL_SLOW},
    {PUBSUB_ROW("help", cmd_help, 2, "6.2.0", "O(1)",
         "Returns helpful text about the different subcommands."),
        .flags = CMD_LOADING | CMD_STALE, .acl = ACL_SLOW},
    COMMANDS_END,
};

const struct command pubsub_commands[] = {
    {PUBSUB_ROW("subscribe", cmd_subscribe, -2, "2.0.0",
         "O(N) where N is the number of channels to subscribe to.",
         "Listens for messages published to channels."),
        .flags = SUBSCRIBE_FLAGS | CMD_IN_SUBSCRIBED, .acl = ACL_PUBSUB | ACL_SLOW},
    {PUBSUB_ROW("unsubscribe", cmd_unsubscribe, -1, "2.0.0",
         "O(N) where N is the number of channels to unsubscribe.",
         "Stops listening to messages posted to channels."),
        .flags = SUBSCRIBE_FLAGS | CMD_IN_SUBSCRIBED, .acl = ACL_PUBSUB | ACL_SLOW},
    {PUBSUB_ROW("psubscribe", cmd_psubscribe, -2, "2.0.0",
         "O(N) where N is the number of patterns to subscribe to.",
         "Listens for messages published to channels that match one or more patterns."),
        .flags = SUBSCRIBE_FLAGS | CMD_IN_SUBSCRIBED, .acl = ACL_PUBSUB | ACL_SLOW},
    {PUBSUB_ROW("punsubscribe", cmd_punsubscribe, -1, "2.0.0",
         "O(N) where N is the number of patterns to unsubscribe.",
         "Stops listening to messages published to channels that match one or more patterns."),
        .flags = SUBSCRIBE_FLAGS | CMD_IN_SUBSCRIBED, .acl = ACL_PUBSUB | ACL_SLOW},
    {PUBSUB_ROW("ssubscribe", cmd_ssubscribe, -2, "7.0.0",
         "O(N) where N is the number of shard channels to subscribe to.",
         "Listens for messages published to shard channels."),
        .flags = SUBSCRIBE_FLAGS | CMD_IN_SUBSCRIBED | CMD_NO_GATHER, .keys = KEYS_RANGE(1, -1, 1),
        .key_flags = {KEY_NOT_KEY}, .acl = ACL_PUBSUB | ACL_SLOW},
    {PUBSUB_ROW("sunsubscribe", cmd_sunsubscribe, -1, "7.0.0",
         "O(N) where N is the number of shard channels to unsubscribe.",
         "Stops listening to messages posted to shard channels."),
        .flags = SUBSCRIBE_FLAGS | CMD_IN_SUBSCRIBED | CMD_NO_GATHER, .keys = KEYS_RANGE(1, -1, 1),
        .key_flags = {KEY_NOT_KEY}, .acl = ACL_PUBSUB | ACL_SLOW},
    {PUBSUB_ROW("publish", cmd_publish, 3, "2.0.0",
         "O(N+M) where N is the number of clients subscribed to the receiving channel and M is "
         "the total number of subscribed patterns (by any client).",
         "Posts a message to a channel."),
        .flags = PUBLISH_FLAGS, .acl = ACL_PUBSUB | ACL_FAST},
    {PUBSUB_ROW("spublish", cmd_spublish, 3, "7.0.0",
         "O(N) where N is the number of clients subscribed to the receiving shard channel.",
         "Posts a message to a shard channel."),
        .flags = PUBLISH_FLAGS | CMD_NO_GATHER, .keys = KEYS_AT(1), .key_flags = {KEY_NOT_KEY},
        .acl = ACL_PUBSUB | ACL_FAST},
    {.name = "pubsub",
        .arity = -2,
        .subcommands = pubsub_subcommands,
        .group = COMMAND_GROUP_PUBSUB,
        .acl = ACL_SLOW,
        .since = "2.8.0",
        .complexity = "Depends on subcommand.",
        .summary = "A container for Pub/Sub commands."},
    COMMANDS_END,
};
