/*
 * net.c: listening sockets.
 *
 * Level-triggered accept events, up to ACCEPT_MAX connections each; when the process is out of descriptors a reserve one is closed to
 * accept and refuse, so that the loop never spins on EMFILE.
 *
 * CONFIG SET port and bind come on a worker's thread: it opens the new sockets, and leaves them in `incoming` for main, whose loop
 * owns the events.
 */
#include "server/net.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "server/dispatch.h"

#include <event2/event.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTENER_MAX 32
#define ACCEPT_MAX   64

struct listener {
    struct net *net;
    int fd;
    bool is_unix_socket;
    struct event *event;
};

/* Sockets that listen, without events. */
struct socket_set {
    int fds[LISTENER_MAX];
    size_t count;
};

struct net {
    struct server *server;
    struct event_base *base;
    int reserve_fd;
    char *unix_path; /* of a socket file that is ours, or NULL */
    bool started;    /* owned by: main */
    struct mutex lock;
    struct listener *listeners[LISTENER_MAX]; /* guarded by: lock; changed by main */
    size_t count;                             /* guarded by: lock; changed by main */
    struct socket_set
        incoming;      /* guarded by: lock; instead of all TCP listeners, if has_incoming */
    bool has_incoming; /* guarded by: lock */
    char *address;     /* guarded by: lock; what listens now, as configured_address() */
    int wake_fd;
    struct event *wake_event;
};

static void refuse(struct net *net, int fd, const char *text)
{
    /* First: who has read the refusal finds it counted. */
    metric_add(&net->server->metrics, rejected_connection_count, 1);
    const ssize_t ignored = write(fd, text, strlen(text));
    (void)ignored;
    close(fd);
}

static bool is_loopback(int fd)
{
    struct sockaddr_storage storage;
    socklen_t length = sizeof(storage);
    if (getpeername(fd, (struct sockaddr *)&storage, &length) != 0)
        return false;
    if (storage.ss_family == AF_UNIX)
        return true;
    if (storage.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&storage;
        return (ntohl(in->sin_addr.s_addr) >> 24) == 127;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&storage;
    if (IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr))
        return true;
    return IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) && in6->sin6_addr.s6_addr[12] == 127;
}

static bool is_protected(const struct net *net, int fd)
{
    const struct server *server = net->server;
    if (OPTION_GET(&server->settings->server, protected_mode) == 0)
        return false;
    if (atomic_load_explicit(&server->password_is_set, memory_order_relaxed))
        return false;
    return !is_loopback(fd);
}

static void take(struct net *net, int fd, bool is_unix_socket)
{
    struct server *server = net->server;
    const uint64_t max = (uint64_t)OPTION_GET(&server->settings->server, clients_max);
    if (metric_get(&server->metrics, client_count) >= max) {
        refuse(net, fd, "-ERR max number of clients reached\r\n");
        return;
    }
    if (is_protected(net, fd)) {
        refuse(net, fd,
            "-DENIED Kelvin is running in protected mode because protected mode is enabled and no "
            "password is set for the default user. In this mode connections are only accepted from "
            "the loopback interface. If you want to connect from external computers, set a password "
            "with 'CONFIG SET requirepass <password>' or, if the network is trusted, turn protected "
            "mode off with 'CONFIG SET protected-mode no'.\r\n");
        return;
    }
    metric_add(&server->metrics, connection_count, 1);
    metric_add(&server->metrics, client_count, 1);
    worker_adopt(server, fd, is_unix_socket);
}

static void on_accept(evutil_socket_t listening, short what, void *context)
{
    (void)what;
    struct listener *listener = context;
    struct net *net = listener->net;
    for (int i = 0; i < ACCEPT_MAX; i++) {
        int fd = accept4((int)listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take(net, fd, listener->is_unix_socket);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if ((errno == EMFILE || errno == ENFILE) && net->reserve_fd >= 0) {
            static _Atomic uint64_t last_ms;
            if (log_every(&last_ms, 1000))
                log_warn("net: out of file descriptors, refusing connections");
            close(net->reserve_fd);
            fd = accept4((int)listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd >= 0)
                refuse(net, fd, "-ERR max number of clients reached\r\n");
            net->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        }
        return;
    }
}

static void add_listener(struct net *net, int fd, bool is_unix_socket)
{
    CHECK(net->count < LISTENER_MAX);
    struct listener *listener = mem_alloc_zero(sizeof(*listener));
    listener->net = net;
    listener->fd = fd;
    listener->is_unix_socket = is_unix_socket;
    listener->event = event_new(net->base, fd, EV_READ | EV_PERSIST, on_accept, listener);
    CHECK(listener->event != NULL);
    if (net->started)
        CHECK(event_add(listener->event, NULL) == 0);
    net->listeners[net->count++] = listener;
}

static void remove_listener(struct listener *listener)
{
    event_free(listener->event);
    close(listener->fd);
    mem_free(listener);
}

static void close_all(struct socket_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        close(set->fds[i]);
    set->count = 0;
}

/* Where to listen, as text: "6379 127.0.0.1 ::1"; and what has been opened of it. */
struct binding {
    const char *port;
    struct socket_set *set;
    int backlog;
};

/* Binds one resolved address and listens. */
static enum status listen_on(const struct binding *binding, const struct addrinfo *info,
    const char *name, struct error *error)
{
    const int one = 1;
    if (binding->set->count == LISTENER_MAX - 1)
        return error_set(error, ST_INVALID, 0, "too many bind addresses");
    const int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set(error, ST_IO, errno, "socket for %s", name);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (info->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, binding->backlog) != 0) {
        const int os_errno = errno;
        close(fd);
        return error_set(error, ST_IO, os_errno, "bind %s:%s", name, binding->port);
    }
    binding->set->fds[binding->set->count++] = fd;
    return ST_OK;
}

static enum status bind_address(
    const struct binding *binding, const char *address, struct error *error)
{
    const bool optional = address[0] == '-';
    const char *name = optional ? address + 1 : address;
    const char *node = name;
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    if (strcmp(name, "*") == 0) {
        node = NULL;
        hints.ai_family = AF_INET;
    } else if (strcmp(name, "::*") == 0) {
        node = NULL;
        hints.ai_family = AF_INET6;
    }
    struct addrinfo *list = NULL;
    const int failure = getaddrinfo(node, binding->port, &hints, &list);
    if (failure != 0)
        return optional ? ST_OK
                        : error_set(error, ST_IO, 0, "bind %s: %s", name, gai_strerror(failure));
    struct error detail = {0};
    const enum status status = listen_on(binding, list, name, &detail);
    freeaddrinfo(list);
    if (status == ST_OK)
        return ST_OK;
    if (optional && (detail.os_errno == EADDRNOTAVAIL || detail.os_errno == EAFNOSUPPORT ||
                        detail.os_errno == EPROTONOSUPPORT))
        return ST_OK;
    if (error != NULL)
        *error = detail;
    return status;
}

/* What the options say now, as text of struct binding. */
static char *configured_address(const struct net *net)
{
    char *bind_option = settings_text(net->server->settings, "bind");
    struct buf text = {0};
    buf_append_format(
        &text, "%d %s", (int)OPTION_GET(&net->server->settings->server, port), bind_option);
    mem_free(bind_option);
    char *address = mem_string_sized(text.data, text.size);
    buf_deinit(&text);
    return address;
}

/* Listens on every address of the text. Nothing is left open on failure. */
static enum status bind_all(
    const struct net *net, const char *text, struct socket_set *set, struct error *error)
{
    char *copy = mem_string(text);
    char *rest = copy;
    const struct binding binding = {.port = strsep(&rest, " "),
        .set = set,
        .backlog = (int)OPTION_GET(&net->server->settings->server, tcp_backlog)};
    set->count = 0;
    enum status status = ST_OK;
    char *address;
    while (status == ST_OK && strcmp(binding.port, "0") != 0 &&
           (address = strsep(&rest, " ")) != NULL) {
        if (address[0] != '\0')
            status = bind_address(&binding, address, error);
    }
    mem_free(copy);
    if (status != ST_OK)
        close_all(set);
    return status;
}

static enum status open_unix_socket(struct net *net, struct error *error)
{
    char *path = settings_text(net->server->settings, "unixsocket");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    enum status status = ST_OK;
    int fd = -1;
    if (path[0] == '\0')
        goto out;
    if (strlen(path) >= sizeof(address.sun_path)) {
        status = error_set(error, ST_INVALID, 0, "unixsocket %s: path too long", path);
        goto out;
    }
    memcpy(address.sun_path, path, strlen(path));
    unlink(path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, (int)OPTION_GET(&net->server->settings->server, tcp_backlog)) != 0) {
        status = error_set(error, ST_IO, errno, "unixsocket %s", path);
        goto out;
    }
    const int64_t permissions = OPTION_GET(&net->server->settings->server, unix_socket_permissions);
    if (permissions != 0)
        (void)chmod(path, (mode_t)permissions);
    add_listener(net, fd, true);
    fd = -1;
    net->unix_path = path;
    path = NULL;
out:
    if (fd >= 0)
        close(fd);
    mem_free(path);
    return status;
}

/* Main: the sockets that a CONFIG SET has opened take the place of the TCP listeners. */
static void on_wake(evutil_socket_t fd, short what, void *context)
{
    (void)what;
    struct net *net = context;
    uint64_t wakes = 0;
    const ssize_t ignored = read((int)fd, &wakes, sizeof(wakes));
    (void)ignored;
    mutex_lock(&net->lock);
    if (net->has_incoming) {
        size_t kept = 0;
        for (size_t i = 0; i < net->count; i++) {
            if (net->listeners[i]->is_unix_socket)
                net->listeners[kept++] = net->listeners[i];
            else
                remove_listener(net->listeners[i]);
        }
        net->count = kept;
        for (size_t i = 0; i < net->incoming.count; i++)
            add_listener(net, net->incoming.fds[i], false);
        net->has_incoming = false;
    }
    mutex_unlock(&net->lock);
}

/* They give their port free at once; main closes them. */
static void silence_tcp(struct net *net) REQUIRES(&net->lock)
{
    for (size_t i = 0; i < net->count; i++) {
        if (!net->listeners[i]->is_unix_socket)
            (void)shutdown(net->listeners[i]->fd, SHUT_RDWR);
    }
    if (net->has_incoming)
        close_all(&net->incoming);
}

static void hand_to_main(struct net *net, const struct socket_set *opened) REQUIRES(&net->lock)
{
    if (net->has_incoming)
        close_all(&net->incoming);
    net->incoming = *opened;
    net->has_incoming = true;
    const uint64_t one = 1;
    CHECK(write(net->wake_fd, &one, sizeof(one)) == (ssize_t)sizeof(one));
}

static bool has_same_port(const char *a, const char *b)
{
    return strtol(a, NULL, 10) == strtol(b, NULL, 10);
}

enum status net_rebind(struct net *net, struct error *error)
{
    enum status status = ST_OK;
    char *address = configured_address(net);
    struct socket_set opened;
    mutex_lock(&net->lock);
    if (strcmp(address, net->address) == 0)
        goto out;
    /* Sockets of one port would be in each other's way. */
    const bool silenced = has_same_port(address, net->address);
    if (silenced)
        silence_tcp(net);
    status = bind_all(net, address, &opened, error);
    if (status != ST_OK) {
        if (silenced && bind_all(net, net->address, &opened, NULL) == ST_OK)
            hand_to_main(net, &opened);
        goto out;
    }
    hand_to_main(net, &opened);
    mem_free(net->address);
    net->address = address;
    address = NULL; /* moved */
out:
    mutex_unlock(&net->lock);
    mem_free(address);
    return status;
}

enum status net_open(
    struct server *server, struct event_base *base, struct net **net_out, struct error *error)
{
    struct net *net = mem_alloc_zero(sizeof(*net));
    net->server = server;
    net->base = base;
    net->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    mutex_init(&net->lock, LOCK_RANK_LEAF);
    net->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(net->wake_fd >= 0);
    net->wake_event = event_new(base, net->wake_fd, EV_READ | EV_PERSIST, on_wake, net);
    CHECK(net->wake_event != NULL && event_add(net->wake_event, NULL) == 0);
    net->address = configured_address(net);
    struct socket_set set;
    enum status status = bind_all(net, net->address, &set, error);
    if (status == ST_OK) {
        for (size_t i = 0; i < set.count; i++)
            add_listener(net, set.fds[i], false);
        status = open_unix_socket(net, error);
    }
    if (status == ST_OK && net->count == 0)
        status = error_set(error, ST_INVALID, 0, "configured to not listen anywhere");
    if (status != ST_OK) {
        net_close(net);
        return status;
    }
    *net_out = net;
    return ST_OK;
}

void net_start(struct net *net)
{
    net->started = true;
    for (size_t i = 0; i < net->count; i++)
        CHECK(event_add(net->listeners[i]->event, NULL) == 0);
}

void net_stop(struct net *net)
{
    net->started = false;
    for (size_t i = 0; i < net->count; i++)
        event_del(net->listeners[i]->event);
}

void net_close(struct net *net)
{
    if (net == NULL)
        return;
    for (size_t i = 0; i < net->count; i++)
        remove_listener(net->listeners[i]);
    if (net->has_incoming)
        close_all(&net->incoming);
    event_free(net->wake_event);
    close(net->wake_fd);
    if (net->unix_path != NULL)
        unlink(net->unix_path);
    mem_free(net->unix_path);
    mem_free(net->address);
    if (net->reserve_fd >= 0)
        close(net->reserve_fd);
    mutex_deinit(&net->lock);
    mem_free(net);
}
