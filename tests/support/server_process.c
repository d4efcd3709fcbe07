/*
 * server_process.c: starts, kills and asks a kelvin-server.
 *
 * Ready means: it answers PING. What it prints goes to <directory>/output, which a failed start shows.
 */
#include "server_process.h"

#include "base/slice.h"
#include "test_main.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_TIMEOUT_MS 60000
#define STOP_TIMEOUT_MS  60000
#define POLL_MS          5
#define TEXT_SLOTS       4

static void sleep_ms(long ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

static int free_port(void)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    (void)close(fd);
    return ntohs(address.sin_port);
}

/* In the child: never returns. */
static void run_server(const struct server_process *server, const char *binary)
{
    char port[16];
    const char *arguments[SERVER_PROCESS_OPTION_MAX + 16] = {
        binary, "--port", port, "--bind", "127.0.0.1", "--dir", server->directory};
    size_t count = 7;
    (void)snprintf(port, sizeof(port), "%d", server->port);
    for (size_t i = 0; server->options[i] != NULL; i++)
        arguments[count++] = server->options[i];
    arguments[count] = NULL;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int output = open(
        test_path(server->directory, "output"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (output >= 0) {
        (void)dup2(output, STDOUT_FILENO);
        (void)dup2(output, STDERR_FILENO);
    }
    /* execv() does not change the words, but its type says it may. */
    char *const *words = (char *const *)(uintptr_t)arguments;
    (void)execv(binary, words);
    _exit(127);
}

static void show_output(const struct server_process *server)
{
    char text[4096];
    const int fd = open(test_path(server->directory, "output"), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    const ssize_t size = read(fd, text, sizeof(text));
    if (size > 0)
        (void)fwrite(text, 1, (size_t)size, stderr);
    (void)close(fd);
}

static bool answers(const struct server_process *server)
{
    redisContext *client = redisConnect("127.0.0.1", server->port);
    if (client == NULL)
        return false;
    redisReply *reply = client->err == 0 ? redisCommand(client, "PING") : NULL;
    const bool is_ready = reply != NULL && reply->type == REDIS_REPLY_STATUS;
    if (reply != NULL)
        freeReplyObject(reply);
    redisFree(client);
    return is_ready;
}

void server_process_restart(struct server_process *server)
{
    const char *const binary = getenv("KELVIN_SERVER");
    ck_assert_msg(binary != NULL, "KELVIN_SERVER must name the kelvin-server binary");
    ck_assert_int_eq(server->pid, 0);
    (void)fflush(NULL);
    server->pid = fork();
    ck_assert_int_ge(server->pid, 0);
    if (server->pid == 0)
        run_server(server, binary);
    for (long waited_ms = 0; waited_ms < START_TIMEOUT_MS; waited_ms += POLL_MS) {
        if (waitpid(server->pid, NULL, WNOHANG) != 0) {
            show_output(server);
            ck_abort_msg("the server did not start");
        }
        if (answers(server))
            return;
        sleep_ms(POLL_MS);
    }
    show_output(server);
    ck_abort_msg("the server does not answer");
}

void server_process_start(struct server_process *server, const char *const *options)
{
    *server = (struct server_process){.port = free_port(), .directory = test_directory_create()};
    for (size_t i = 0; options != NULL && options[i] != NULL; i++) {
        ck_assert_uint_lt(i, SERVER_PROCESS_OPTION_MAX - 1);
        server->options[i] = options[i];
    }
    server_process_restart(server);
}

void server_process_kill(struct server_process *server)
{
    ck_assert_int_gt(server->pid, 0);
    ck_assert_int_eq(kill(server->pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(server->pid, NULL, 0), server->pid);
    server->pid = 0;
}

void server_process_stop(struct server_process *server)
{
    ck_assert_int_gt(server->pid, 0);
    ck_assert_int_eq(kill(server->pid, SIGTERM), 0);
    int status = 0;
    long waited_ms = 0;
    while (waitpid(server->pid, &status, WNOHANG) == 0) {
        ck_assert_int_lt(waited_ms, STOP_TIMEOUT_MS);
        sleep_ms(POLL_MS);
        waited_ms += POLL_MS;
    }
    server->pid = 0;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        show_output(server);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}

redisContext *server_process_connect(const struct server_process *server)
{
    redisContext *client = redisConnect("127.0.0.1", server->port);
    ck_assert_ptr_nonnull(client);
    ck_assert_msg(client->err == 0, "%s", client->errstr);
    return client;
}

/* --- replies as text ----------------------------------------------------------------------------------------- */

static void describe(const redisReply *reply, struct buf *out)
{
    switch (reply->type) {
    case REDIS_REPLY_NIL: buf_append_text(out, "(nil)"); return;
    case REDIS_REPLY_INTEGER: buf_append_int64(out, reply->integer); return;
    case REDIS_REPLY_ERROR:
        buf_append_byte(out, '-');
        buf_append(out, reply->str, reply->len);
        return;
    case REDIS_REPLY_ARRAY:
        buf_append_byte(out, '[');
        for (size_t i = 0; i < reply->elements; i++) {
            if (i > 0)
                buf_append_text(out, ", ");
            describe(reply->element[i], out);
        }
        buf_append_byte(out, ']');
        return;
    default: buf_append(out, reply->str, reply->len); return;
    }
}

#define WORDS_MAX 64

/* Words end at blanks; in double quotes blanks are kept. Returns how many. */
static int split(const char *line, const char **words, size_t *sizes)
{
    int count = 0;
    while (*line != '\0') {
        ck_assert_int_lt(count, WORDS_MAX);
        const bool is_quoted = *line == '"';
        line += is_quoted ? 1 : 0;
        words[count] = line;
        sizes[count] = strcspn(line, is_quoted ? "\"" : " ");
        line += sizes[count++];
        line += strspn(line, is_quoted ? "\" " : " ");
    }
    return count;
}

const char *server_process_ask(redisContext *client, const char *command)
{
    static struct buf texts[TEXT_SLOTS];
    static size_t next;
    struct buf *text = &texts[next++ % TEXT_SLOTS];
    const char *words[WORDS_MAX];
    size_t sizes[WORDS_MAX];
    const int count = split(command, words, sizes);
    redisReply *reply = redisCommandArgv(client, count, words, sizes);
    ck_assert_msg(reply != NULL, "no reply to '%s': %s", command, client->errstr);
    buf_clear(text);
    describe(reply, text);
    freeReplyObject(reply);
    buf_append_byte(text, '\0');
    return text->data;
}
