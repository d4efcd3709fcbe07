/*
 * Commands on keys over a socket: across databases, over both tiers, and what the log gives back. Replies in detail are compared with
 * redis-server's by compare_redis.py.
 */
#include "base/mem.h"
#include "server_process.h"
#include "test_main.h"

static redisContext *begin_with(struct server_process *server, const char *fsync)
{
    server_process_start(server, (const char *const[]){"--appendfsync", fsync, NULL});
    return server_process_connect(server);
}

static redisContext *begin(struct server_process *server)
{
    return begin_with(server, "always");
}

static void end(struct server_process *server, redisContext *client)
{
    redisFree(client);
    server_process_stop(server);
}

static redisContext *reborn(struct server_process *server, redisContext *client)
{
    redisFree(client);
    server_process_kill(server);
    server_process_restart(server);
    return server_process_connect(server);
}

START_TEST(every_effect_survives_a_kill)
{
    struct server_process server;
    redisContext *client = begin(&server);
    static const char *const lines[] = {"MSET d1 1 d2 2 u1 1 keep 1", "DEL d1 d2 absent",
        "UNLINK u1", "SET e v", "EXPIRE e 1000", "SET pe v", "PEXPIRE pe 1000000", "SET ea v",
        "EXPIREAT ea 99999999999", "SET pea v", "PEXPIREAT pea 99999999999123", "SET past v",
        "EXPIRE past -1", "SET pers v EX 100", "PERSIST pers", "SET r1 one EX 1000", "RENAME r1 r2",
        "SET rn1 two", "RENAMENX rn1 rn2", "SET c1 three EX 1000", "COPY c1 c2", "SET c3 old",
        "COPY c1 c3 REPLACE", "COPY c1 c4 DB 3", "SET m1 four EX 1000", "MOVE m1 4"};
    for (size_t i = 0; i < COUNT_OF(lines); i++)
        ck_assert_ptr_null(strstr(server_process_ask(client, lines[i]), "-ERR"));
    for (int round = 0; round < 2; round++) {
        ck_assert_reply(client, "0", "EXISTS d1 d2 u1 past r1 rn1 m1");
        ck_assert_reply(client, "5", "EXISTS keep e pe ea pea");
        ck_assert_reply(client, "99999999999", "EXPIRETIME ea");
        ck_assert_reply(client, "99999999999123", "PEXPIRETIME pea");
        ck_assert_reply(client, "-1", "TTL pers");
        ck_assert_reply(client, "[one, two, three, three, three]", "MGET r2 rn2 c1 c2 c3");
        const char *const lasting[] = {"TTL e", "TTL pe", "TTL r2", "TTL c1", "TTL c2", "TTL c3"};
        for (size_t i = 0; i < COUNT_OF(lasting); i++)
            ck_assert_int_gt(strtol(server_process_ask(client, lasting[i]), NULL, 10), 900);
        ck_assert_reply(client, "OK", "SELECT 3");
        ck_assert_reply(client, "three", "GET c4");
        ck_assert_int_gt(strtol(server_process_ask(client, "TTL c4"), NULL, 10), 900);
        ck_assert_reply(client, "1", "DBSIZE");
        ck_assert_reply(client, "OK", "SELECT 4");
        ck_assert_reply(client, "four", "GET m1");
        ck_assert_int_gt(strtol(server_process_ask(client, "TTL m1"), NULL, 10), 900);
        ck_assert_reply(client, "1", "DBSIZE");
        client = reborn(&server, client);
    }
    end(&server, client);
}
END_TEST

START_TEST(expiry_by_the_clock_is_not_undone_by_a_restart)
{
    struct server_process server;
    redisContext *client = begin(&server);
    ck_assert_reply(client, "OK", "SET k v PX 1");
    ck_assert_reply(client, "OK", "SET long v EX 1000");
    while (strcmp(server_process_ask(client, "EXISTS k"), "1") == 0)
        continue;
    ck_assert_reply(client, "-2", "TTL k");
    client = reborn(&server, client);
    ck_assert_reply(client, "(nil)", "GET k");
    ck_assert_reply(client, "1", "EXISTS long");
    end(&server, client);
}
END_TEST

START_TEST(keys_in_two_databases_are_two_keys)
{
    struct server_process server;
    redisContext *client = begin(&server);
    ck_assert_reply(client, "OK", "SET k here");
    ck_assert_reply(client, "1", "COPY k k DB 1");
    ck_assert_reply(client, "0", "COPY k k DB 1");
    ck_assert_reply(client, "0", "MOVE k 1");
    ck_assert_reply(client, "OK", "SET k changed");
    ck_assert_reply(client, "1", "COPY k k DB 1 REPLACE");
    ck_assert_reply(client, "1", "MOVE k 2");
    ck_assert_reply(client, "(nil)", "GET k");
    ck_assert_reply(client, "OK", "SELECT 1");
    ck_assert_reply(client, "changed", "GET k");
    ck_assert_reply(client, "OK", "SELECT 2");
    ck_assert_reply(client, "changed", "GET k");
    end(&server, client);
}
END_TEST

START_TEST(transactions_reach_other_databases_too)
{
    struct server_process server;
    redisContext *client = begin(&server);
    ck_assert_reply(client, "OK", "SET k v");
    ck_assert_reply(client, "OK", "MULTI");
    ck_assert_reply(client, "QUEUED", "COPY k copied DB 5");
    ck_assert_reply(client, "QUEUED", "SELECT 5");
    ck_assert_reply(client, "QUEUED", "GET copied");
    ck_assert_reply(client, "QUEUED", "RENAME copied renamed");
    ck_assert_reply(client, "QUEUED", "MOVE renamed 6");
    ck_assert_reply(client, "QUEUED", "SELECT 0");
    ck_assert_reply(client, "[1, OK, v, OK, 1, OK]", "EXEC");
    client = reborn(&server, client);
    ck_assert_reply(client, "v", "GET k");
    ck_assert_reply(client, "OK", "SELECT 6");
    ck_assert_reply(client, "v", "GET renamed");
    ck_assert_reply(client, "1", "DBSIZE");
    end(&server, client);
}
END_TEST

/* --- walks ------------------------------------------------------------------------------------------------------ */

#define WALK_KEYS 3000

static void fill(redisContext *client)
{
    for (int i = 0; i < WALK_KEYS; i++)
        (void)redisAppendCommand(client, "SET key:%d %d", i, i);
    for (int i = 0; i < WALK_KEYS; i++) {
        redisReply *reply = NULL;
        ck_assert_int_eq(redisGetReply(client, (void **)&reply), REDIS_OK);
        freeReplyObject(reply);
    }
}

/* How often SCAN gives each key, counting up to the end. */
static void scan_all(redisContext *client, const char *options, int *seen)
{
    char cursor[32] = "0";
    memset(seen, 0, WALK_KEYS * sizeof(*seen));
    do {
        char line[128];
        const char *words[16] = {"SCAN", cursor};
        int count = 2;
        (void)snprintf(line, sizeof(line), "%s", options);
        for (char *word = line; *word != '\0';) {
            char *blank = strchr(word, ' ');
            words[count++] = word;
            if (blank == NULL)
                break;
            *blank = '\0';
            word = blank + 1;
        }
        redisReply *reply = redisCommandArgv(client, count, words, NULL);
        ck_assert_ptr_nonnull(reply);
        ck_assert_int_eq(reply->type, REDIS_REPLY_ARRAY);
        (void)snprintf(cursor, sizeof(cursor), "%s", reply->element[0]->str);
        for (size_t i = 0; i < reply->element[1]->elements; i++) {
            const char *name = reply->element[1]->element[i]->str;
            if (strncmp(name, "key:", 4) == 0)
                seen[strtol(name + 4, NULL, 10)]++;
        }
        freeReplyObject(reply);
    } while (strcmp(cursor, "0") != 0);
}

static int count_seen(const int *seen)
{
    int count = 0;
    for (int i = 0; i < WALK_KEYS; i++)
        count += seen[i] > 0;
    return count;
}

static void check_walks(redisContext *client)
{
    static int seen[WALK_KEYS];
    scan_all(client, "", seen);
    ck_assert_int_eq(count_seen(seen), WALK_KEYS);
    scan_all(client, "COUNT 1000", seen);
    ck_assert_int_eq(count_seen(seen), WALK_KEYS);
    scan_all(client, "MATCH key:1* COUNT 100", seen);
    ck_assert_int_eq(count_seen(seen), 1 + 10 + 100 + 1000);
    scan_all(client, "TYPE string COUNT 500", seen);
    ck_assert_int_eq(count_seen(seen), WALK_KEYS);
    scan_all(client, "TYPE list COUNT 500", seen);
    ck_assert_int_eq(count_seen(seen), 0);
    redisReply *reply = redisCommand(client, "KEYS key:*");
    ck_assert_uint_eq(reply->elements, WALK_KEYS);
    freeReplyObject(reply);
    reply = redisCommand(client, "KEYS key:29?9");
    ck_assert_uint_eq(reply->elements, 10);
    freeReplyObject(reply);
    reply = redisCommand(client, "RANDOMKEY");
    ck_assert_int_eq(strncmp(reply->str, "key:", 4), 0);
    freeReplyObject(reply);
}

START_TEST(walks_find_every_key_wherever_it_is)
{
    struct server_process server;
    redisContext *client = begin(&server);
    fill(client);
    check_walks(client); /* dirty, in RAM alone */
    ck_assert_reply(client, "OK", "SAVE");
    check_walks(client); /* in both tiers */
    for (int i = 0; i < WALK_KEYS; i += 2) {
        redisReply *reply = redisCommand(client, "TIER DEMOTE key:%d", i);
        ck_assert_int_eq(reply->type, REDIS_REPLY_INTEGER);
        freeReplyObject(reply);
    }
    check_walks(client); /* half of them cold */
    client = reborn(&server, client);
    check_walks(client);
    end(&server, client);
}
END_TEST

START_TEST(scans_give_keys_that_stay_while_others_come_and_go)
{
    struct server_process server;
    redisContext *client = begin_with(&server, "everysec");
    static int seen[WALK_KEYS];
    fill(client);
    redisContext *other = server_process_connect(&server);
    char cursor[32] = "0";
    int round = 0;
    memset(seen, 0, sizeof(seen));
    do {
        redisReply *reply = redisCommand(client, "SCAN %s COUNT 50", cursor);
        (void)snprintf(cursor, sizeof(cursor), "%s", reply->element[0]->str);
        for (size_t i = 0; i < reply->element[1]->elements; i++) {
            const char *name = reply->element[1]->element[i]->str;
            if (strncmp(name, "key:", 4) == 0)
                seen[strtol(name + 4, NULL, 10)]++;
        }
        freeReplyObject(reply);
        for (int i = 0; i < 100; i++) {
            freeReplyObject(redisCommand(other, "SET passing:%d:%d x", round, i));
            if (round > 2)
                freeReplyObject(redisCommand(other, "DEL passing:%d:%d", round - 2, i));
        }
        if (round++ == 10)
            ck_assert_int_ne(server_process_ask(other, "BGSAVE")[0], '-');
        ck_assert_int_lt(round, 2000);
    } while (strcmp(cursor, "0") != 0);
    ck_assert_int_eq(count_seen(seen), WALK_KEYS);
    redisFree(other);
    end(&server, client);
}
END_TEST

START_TEST(walks_may_be_part_of_a_transaction)
{
    struct server_process server;
    redisContext *client = begin(&server);
    ck_assert_reply(client, "OK", "SET k v");
    ck_assert_reply(client, "OK", "MULTI");
    ck_assert_reply(client, "QUEUED", "KEYS *");
    ck_assert_reply(client, "QUEUED", "RANDOMKEY");
    ck_assert_reply(client, "QUEUED", "SCAN x");
    ck_assert_reply(client, "QUEUED", "SCAN 0 COUNT 100");
    const char *reply = server_process_ask(client, "EXEC");
    ck_assert_msg(strstr(reply, "[[k], k, -ERR invalid cursor, [") == reply, "%s", reply);
    end(&server, client);
}
END_TEST

TEST_MAIN("integration.generic", every_effect_survives_a_kill,
    expiry_by_the_clock_is_not_undone_by_a_restart, keys_in_two_databases_are_two_keys,
    transactions_reach_other_databases_too, walks_find_every_key_wherever_it_is,
    scans_give_keys_that_stay_while_others_come_and_go, walks_may_be_part_of_a_transaction)
