/*
 * String commands over a socket: what a unit test cannot see: large values, both protocols, and that the log gives back what was
 * there. Replies in detail are compared with redis-server's by compare_redis.py.
 */
#include "base/mem.h"
#include "server_process.h"
#include "test_main.h"

static redisContext *begin(struct server_process *server)
{
    server_process_start(server, (const char *const[]){"--appendfsync", "always", NULL});
    return server_process_connect(server);
}

static void end(struct server_process *server, redisContext *client)
{
    redisFree(client);
    server_process_stop(server);
}

/* kill -9, start again: only the log can know. */
static redisContext *reborn(struct server_process *server, redisContext *client)
{
    redisFree(client);
    server_process_kill(server);
    server_process_restart(server);
    return server_process_connect(server);
}

static char *make_bytes(size_t size, unsigned seed)
{
    char *bytes = mem_alloc(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(seed + i * 7 + i / 251);
    return bytes;
}

static void check_value(redisContext *client, const char *key, const char *bytes, size_t size)
{
    redisReply *reply = redisCommand(client, "GET %s", key);
    ck_assert_ptr_nonnull(reply);
    ck_assert_int_eq(reply->type, REDIS_REPLY_STRING);
    ck_assert_uint_eq(reply->len, size);
    ck_assert(memcmp(reply->str, bytes, size) == 0);
    freeReplyObject(reply);
}

static void set_value(redisContext *client, const char *key, const char *bytes, size_t size)
{
    redisReply *reply = redisCommand(client, "SET %s %b", key, bytes, size);
    ck_assert_ptr_nonnull(reply);
    ck_assert_str_eq(reply->str, "OK");
    freeReplyObject(reply);
}

START_TEST(values_of_every_size_come_back_as_they_were)
{
    static const size_t sizes[] = {0, 1, 20, 44, 45, 64, 1000, 4096, 16383, 16384, 16385, 32767,
        32768, 32769, 100000, 1000000, 5000000};
    struct server_process server;
    redisContext *client = begin(&server);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        char *bytes = make_bytes(sizes[i], (unsigned)i);
        char key[32];
        (void)snprintf(key, sizeof(key), "size:%zu", sizes[i]);
        set_value(client, key, bytes, sizes[i]);
        check_value(client, key, bytes, sizes[i]);
        mem_free(bytes);
    }
    client = reborn(&server, client);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        char *bytes = make_bytes(sizes[i], (unsigned)i);
        char key[32];
        (void)snprintf(key, sizeof(key), "size:%zu", sizes[i]);
        check_value(client, key, bytes, sizes[i]);
        mem_free(bytes);
    }
    end(&server, client);
}
END_TEST

START_TEST(a_large_value_is_stored_by_every_command_that_takes_one)
{
    const size_t size = 200000;
    char *bytes = make_bytes(size, 3);
    struct server_process server;
    redisContext *client = begin(&server);
    const char *const formats[] = {"SET a:0 %b", "SETNX a:1 %b", "GETSET a:2 %b",
        "SETEX a:3 1000 %b", "PSETEX a:4 1000000 %b", "APPEND a:5 %b", "SETRANGE a:6 0 %b",
        "MSET a:7 x a:8 %b", "MSETNX a:9 %b b:9 y", "SET a:10 %b EX 1000 GET",
        "SET a:11 %b KEEPTTL"};
    const int keys[] = {0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11};
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        char line[64];
        (void)snprintf(line, sizeof(line), "%s", formats[i]);
        /* The one %b of the line. */
        const char *words[8];
        size_t sizes[8];
        int count = 0;
        for (char *word = line; word != NULL && *word != '\0';) {
            char *blank = strchr(word, ' ');
            if (blank != NULL)
                *blank = '\0';
            const bool is_value = strcmp(word, "%b") == 0;
            words[count] = is_value ? bytes : word;
            sizes[count++] = is_value ? size : strlen(word);
            word = blank == NULL ? NULL : blank + 1;
        }
        redisReply *reply = redisCommandArgv(client, count, words, sizes);
        ck_assert_ptr_nonnull(reply);
        ck_assert_int_ne(reply->type, REDIS_REPLY_ERROR);
        freeReplyObject(reply);
    }
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT_OF(keys); i++) {
            char key[16];
            (void)snprintf(key, sizeof(key), "a:%d", keys[i]);
            check_value(client, key, bytes, size);
        }
        client = reborn(&server, client);
    }
    mem_free(bytes);
    end(&server, client);
}
END_TEST

START_TEST(one_large_key_twice_in_mset_has_the_last_value)
{
    const size_t size = 100000;
    char *bytes = make_bytes(size, 5);
    struct server_process server;
    redisContext *client = begin(&server);
    redisReply *reply = redisCommand(client, "MSET k %b k second l %b", bytes, size, bytes, size);
    ck_assert_ptr_nonnull(reply);
    ck_assert_str_eq(reply->str, "OK");
    freeReplyObject(reply);
    for (int round = 0; round < 2; round++) {
        ck_assert_reply(client, "second", "GET k");
        check_value(client, "l", bytes, size);
        client = reborn(&server, client);
    }
    mem_free(bytes);
    end(&server, client);
}
END_TEST

/* What APPEND and SETRANGE do, on plain memory. */
struct text {
    char *data;
    size_t size;
};

static void write_text(struct text *text, size_t offset, const char *bytes, size_t size)
{
    const size_t end_at = offset + size;
    if (end_at > text->size) {
        text->data = mem_realloc(text->data, end_at);
        memset(text->data + text->size, 0, end_at - text->size);
        text->size = end_at;
    }
    if (size > 0)
        memcpy(text->data + offset, bytes, size);
}

static void change_at_random(struct random *random, redisContext *client, struct text *text)
{
    char piece[3000];
    const size_t size = random_below(random, sizeof(piece));
    const size_t offset = random_below(random, text->size + 2000);
    const bool appends = random_below(random, 2) == 0;
    memset(piece, (int)random_below(random, 256), sizeof(piece));
    redisReply *reply = appends ? redisCommand(client, "APPEND k %b", piece, size)
                                : redisCommand(client, "SETRANGE k %llu %b",
                                      (unsigned long long)offset, piece, size);
    if (appends || size > 0)
        write_text(text, appends ? text->size : offset, piece, size);
    ck_assert_ptr_nonnull(reply);
    ck_assert_int_eq(reply->type, REDIS_REPLY_INTEGER);
    ck_assert_int_eq(reply->integer, (long long)text->size);
    freeReplyObject(reply);
}

START_TEST(strings_grow_and_change_in_place_and_in_the_log)
{
    struct random random;
    test_random_init(&random);
    struct server_process server;
    redisContext *client = begin(&server);
    struct text text = {0};
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 60; i++) {
            change_at_random(&random, client, &text);
            /* A checkpoint in between shares the value's memory with its image. */
            if (random_below(&random, 20) == 0)
                (void)server_process_ask(client, "BGSAVE");
            if (random_below(&random, 10) == 0)
                check_value(client, "k", text.data, text.size);
        }
        check_value(client, "k", text.data, text.size);
        client = reborn(&server, client);
        check_value(client, "k", text.data, text.size);
    }
    mem_free(text.data);
    end(&server, client);
}
END_TEST

START_TEST(a_reply_under_way_keeps_the_old_bytes_of_a_changed_string)
{
    const size_t size = 3000000;
    char *bytes = make_bytes(size, 9);
    struct server_process server;
    redisContext *client = begin(&server);
    set_value(client, "k", bytes, size);
    (void)redisAppendCommand(client, "GET k");
    (void)redisAppendCommand(client, "SETRANGE k 0 changed");
    (void)redisAppendCommand(client, "GETRANGE k 0 6");
    redisReply *reply = NULL;
    ck_assert_int_eq(redisGetReply(client, (void **)&reply), REDIS_OK);
    ck_assert_uint_eq(reply->len, size);
    ck_assert(memcmp(reply->str, bytes, size) == 0);
    freeReplyObject(reply);
    ck_assert_int_eq(redisGetReply(client, (void **)&reply), REDIS_OK);
    ck_assert_int_eq(reply->integer, (long long)size);
    freeReplyObject(reply);
    ck_assert_int_eq(redisGetReply(client, (void **)&reply), REDIS_OK);
    ck_assert_str_eq(reply->str, "changed");
    freeReplyObject(reply);
    mem_free(bytes);
    end(&server, client);
}
END_TEST

START_TEST(every_effect_survives_a_kill)
{
    struct server_process server;
    redisContext *client = begin(&server);
    static const char *const lines[] = {"SET plain v", "SET nx v NX", "SET xx v", "SET xx w XX",
        "SET ex v EX 1000", "SET px v PX 1000000", "SET exat v EXAT 99999999999",
        "SET pxat v PXAT 99999999999000", "SET keep v EX 1000", "SET keep w KEEPTTL", "SET get v",
        "SET get w GET", "SETEX setex 1000 v", "PSETEX psetex 1000000 v", "SETNX setnx v",
        "GETSET getset v", "SET getdel v", "GETDEL getdel", "SET getex v", "GETEX getex EX 1000",
        "SET persist v EX 1000", "GETEX persist PERSIST", "SET gone v", "GETEX gone EXAT 1",
        "APPEND append a", "APPEND append b", "SETRANGE setrange 3 x", "MSET m1 1 m2 2",
        "MSETNX n1 1 n2 2", "INCR incr", "INCRBY incr 41", "DECR decr", "DECRBY decr 9",
        "SET float 10.5 EX 1000", "INCRBYFLOAT float 0.1", "INCRBYFLOAT ff 2e3"};
    for (size_t i = 0; i < COUNT_OF(lines); i++)
        ck_assert_ptr_null(strstr(server_process_ask(client, lines[i]), "-ERR"));
    for (int round = 0; round < 2; round++) {
        ck_assert_reply(
            client, "[v, v, w, v, v, v, v, w, w]", "MGET plain nx xx ex px exat pxat keep get");
        ck_assert_reply(client, "[v, v, v, v, (nil), v, v, (nil), ab]",
            "MGET setex psetex setnx getset getdel getex persist gone append");
        ck_assert_reply(
            client, "[1, 2, 1, 2, 42, -10, 10.6, 2000]", "MGET m1 m2 n1 n2 incr decr float ff");
        ck_assert_reply(client, "4", "STRLEN setrange");
        ck_assert_reply(client, "99999999999", "EXPIRETIME exat");
        ck_assert_reply(client, "99999999999", "EXPIRETIME pxat");
        ck_assert_reply(client, "-1", "TTL plain");
        ck_assert_reply(client, "-1", "TTL persist");
        const char *const lasting[] = {
            "TTL ex", "TTL px", "TTL keep", "TTL setex", "TTL psetex", "TTL getex", "TTL float"};
        for (size_t i = 0; i < COUNT_OF(lasting); i++)
            ck_assert_int_gt(strtol(server_process_ask(client, lasting[i]), NULL, 10), 900);
        client = reborn(&server, client);
    }
    end(&server, client);
}
END_TEST

START_TEST(transactions_have_the_effects_of_their_commands)
{
    struct server_process server;
    redisContext *client = begin(&server);
    ck_assert_reply(client, "OK", "MULTI");
    ck_assert_reply(client, "QUEUED", "SET k v EX 1000");
    ck_assert_reply(client, "QUEUED", "APPEND k w");
    ck_assert_reply(client, "QUEUED", "INCR n");
    ck_assert_reply(client, "QUEUED", "MSET a 1 b 2");
    ck_assert_reply(client, "QUEUED", "INCR a");
    ck_assert_reply(client, "QUEUED", "SETRANGE b 1 x");
    ck_assert_reply(client, "QUEUED", "GET k");
    ck_assert_reply(client, "[OK, 2, 1, OK, 2, 2, vw]", "EXEC");
    client = reborn(&server, client);
    ck_assert_reply(client, "[vw, 1, 2, 2x]", "MGET k n a b");
    end(&server, client);
}
END_TEST

TEST_MAIN("integration.strings", values_of_every_size_come_back_as_they_were,
    a_large_value_is_stored_by_every_command_that_takes_one,
    one_large_key_twice_in_mset_has_the_last_value, strings_grow_and_change_in_place_and_in_the_log,
    a_reply_under_way_keeps_the_old_bytes_of_a_changed_string, every_effect_survives_a_kill,
    transactions_have_the_effects_of_their_commands)
