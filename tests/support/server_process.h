/*
 * server_process.h: a kelvin-server of one's own, for tests over real sockets.
 *
 *   struct server_process server;
 *   server_process_start(&server, (const char *[]){"--appendfsync", "always", NULL});
 *   redisContext *client = server_process_connect(&server);
 *   ck_assert_reply(client, "OK", "SET key value");
 *   server_process_kill(&server);          kill -9
 *   server_process_restart(&server);       same port, directory and options
 *   server_process_stop(&server);          SIGTERM; it must exit with 0
 *
 * The binary is named by KELVIN_SERVER in the environment. The server dies with the test's process.
 */
#ifndef SERVER_PROCESS_H
#define SERVER_PROCESS_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <sys/types.h>

#define SERVER_PROCESS_OPTION_MAX 32

struct server_process {
    pid_t pid; /* 0 when it does not run */
    int port;
    const char *directory; /* its data and output; removed when the test program ends */
    const char
        *options[SERVER_PROCESS_OPTION_MAX]; /* beyond those of every test; NULL at the end */
};

/* Starts on a free port in a new directory and waits until it answers. options may be NULL; the texts must outlive the server. */
void server_process_start(struct server_process *server, const char *const *options);
/* Starts again after a kill or stop. */
void server_process_restart(struct server_process *server);
void server_process_kill(struct server_process *server);
void server_process_stop(struct server_process *server);

/* A new connection; the caller frees it with redisFree(). Aborts the test if there is none. */
redisContext *server_process_connect(const struct server_process *server);

/*
 * Sends a command (words at blanks, or in double quotes) and gives the reply as text: "OK", "5", "(nil)", "[a, [b, 2]]",
 * "-ERR ...". Valid until the fourth next call.
 */
const char *server_process_ask(redisContext *client, const char *command);

#define ck_assert_reply(client, expected, command) \
    ck_assert_str_eq(server_process_ask((client), (command)), (expected))

#endif
