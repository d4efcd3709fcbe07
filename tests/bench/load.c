/*
 * load.c: a small load generator for the scripts in this folder. It knows what every key holds, so that every answer is checked.
 *
 *   load PORT fill  KEYS SIZE                     SET k:0 ... k:<KEYS-1>, pipelined
 *   load PORT check KEYS SIZE [STEP]              GET every STEPth key in pseudo-random order; all must be there
 *   load PORT read  KEYS SIZE SECONDS CONNECTIONS [RATE [DIST [RANGE]]]
 *                                                 GETs for SECONDS, one at a time on each connection, RATE in all per second (0: as fast as
 *                                                 answers come), of zipf (0.99) or uniform keys out of the first RANGE (default KEYS)
 *   load PORT first KEY SIZE                      connects until the server answers GET k:<KEY> right; prints the milliseconds
 *
 * A value is a JSON document of about SIZE bytes made from its key's number. Prints one line of name=value; exits with 1 if an answer was
 * wrong. One thread, non-blocking sockets, epoll. Not part of the server's build: cc -O2 -o load load.c -lm
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define VALUE_MAX      65536
#define INPUT_MAX      (4 * VALUE_MAX)
#define CONNECTION_MAX 1024
#define PIPELINE       64
#define BUCKETS        4096

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint64_t mix(uint64_t number)
{
    number += 0x9e3779b97f4a7c15;
    number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9;
    number = (number ^ (number >> 27)) * 0x94d049bb133111eb;
    return number ^ (number >> 31);
}

static uint64_t random_state = 1;
static double random_unit(void)
{
    random_state++;
    return (double)(mix(random_state) >> 11) / 9007199254740992.0;
}

static void fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* --- values ------------------------------------------------------------------------------------------------- */

static const char *const words[] = {"amber", "basalt", "cedar", "delta", "ember", "fjord", "garnet",
    "harbor", "indigo", "juniper", "kelvin", "lagoon", "meadow", "nectar", "onyx", "prairie"};
static const char *const fields[] = {
    "name", "city", "tags", "owner", "state", "label", "group", "note"};

static size_t value_make(uint64_t number, size_t size, char *out)
{
    size_t used = (size_t)sprintf(out, "{\"id\":%llu", (unsigned long long)number);
    uint64_t state = mix(number);
    for (unsigned i = 0; used + 64 < size; i++) {
        state = mix(state);
        used += (size_t)sprintf(out + used, ",\"%s%u\":\"%s %s\",\"n%u\":%u", fields[state & 7], i,
            words[(state >> 4) & 15], words[(state >> 8) & 15], i,
            (unsigned)((state >> 16) % 1000000));
    }
    out[used++] = '}';
    return used;
}

/* --- keys ---------------------------------------------------------------------------------------------------- */

struct zipf {
    uint64_t count;
    double theta, zeta, alpha, eta;
};

/* After Gray et al., "Quickly generating billion-record synthetic databases" (SIGMOD '94). */
static void zipf_init(struct zipf *zipf, uint64_t count, double theta)
{
    double zeta = 0;
    for (uint64_t i = 1; i <= count; i++)
        zeta += pow((double)i, -theta);
    const double zeta2 = 1 + pow(0.5, theta);
    *zipf = (struct zipf){.count = count, .theta = theta, .zeta = zeta, .alpha = 1 / (1 - theta)};
    zipf->eta = (1 - pow(2.0 / (double)count, 1 - theta)) / (1 - zeta2 / zeta);
}

static uint64_t zipf_next(const struct zipf *zipf)
{
    const double unit = random_unit();
    const double scaled = unit * zipf->zeta;
    uint64_t rank;
    if (scaled < 1)
        rank = 0;
    else if (scaled < 1 + pow(0.5, zipf->theta))
        rank = 1;
    else
        rank = (uint64_t)((double)zipf->count * pow(zipf->eta * unit - zipf->eta + 1, zipf->alpha));
    /* Neighbours in rank are no neighbours by name. */
    return (rank * 2654435761u) % zipf->count;
}

/* --- connections ------------------------------------------------------------------------------------------------ */

struct connection {
    int fd;
    uint64_t keys[PIPELINE]; /* asked for, oldest first */
    unsigned first, waiting;
    uint64_t sent_ns, due_ns;
    char *input;
    size_t input_size;
};

static size_t value_size;
static uint64_t wrong_count, answer_count, absent_count;
static uint64_t histogram[BUCKETS], latency_max_ns;

/* 64 linear buckets for each power of two. */
static unsigned bucket_of(uint64_t ns)
{
    if (ns < 64)
        return (unsigned)ns;
    const unsigned power = 63 - (unsigned)__builtin_clzll(ns);
    return (power - 5) * 64 + (unsigned)((ns >> (power - 6)) & 63);
}

static double quantile_us(double share)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < BUCKETS; i++)
        total += histogram[i];
    const uint64_t target = (uint64_t)ceil((double)total * share);
    uint64_t sum = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        sum += histogram[i];
        if (sum < target || sum == 0)
            continue;
        const unsigned power = i / 64 + 5;
        const uint64_t ns =
            i < 64 ? i : ((uint64_t)1 << power) + ((uint64_t)(i % 64) << (power - 6));
        return (double)ns / 1000;
    }
    return 0;
}

static int connect_to(int port)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0)
        fail("socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static void connection_init(struct connection *connection, int port)
{
    memset(connection, 0, sizeof(*connection));
    connection->fd = connect_to(port);
    if (connection->fd < 0)
        fail("connect");
    connection->input = malloc(INPUT_MAX);
}

static void send_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        const ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            fail("send");
        if (sent > 0) {
            data += sent;
            size -= (size_t)sent;
        }
    }
}

static size_t get_make(uint64_t key, char *out)
{
    char name[32];
    const int size = sprintf(name, "k:%llu", (unsigned long long)key);
    return (size_t)sprintf(out, "*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n", size, name);
}

static void ask(struct connection *connection, uint64_t key)
{
    char text[96];
    const size_t size = get_make(key, text);
    connection->keys[(connection->first + connection->waiting++) % PIPELINE] = key;
    connection->sent_ns = now_ns();
    send_all(connection->fd, text, size);
}

/* One answer of the oldest request if it is whole: its bytes, else 0. */
static size_t take_answer(struct connection *connection, const char *data, size_t size)
{
    const char *line = memchr(data, '\n', size);
    if (line == NULL)
        return 0;
    const size_t line_size = (size_t)(line - data) + 1;
    const long body = data[0] == '$' ? strtol(data + 1, NULL, 10) : -2;
    if (body >= 0 && size < line_size + (size_t)body + 2)
        return 0;
    const uint64_t key = connection->keys[connection->first];
    connection->first = (connection->first + 1) % PIPELINE;
    connection->waiting--;
    answer_count++;
    char expected[VALUE_MAX];
    const size_t expected_size = value_make(key, value_size, expected);
    if (body == -1)
        absent_count++;
    if (body < 0 || (size_t)body != expected_size ||
        memcmp(line + 1, expected, expected_size) != 0) {
        if (wrong_count++ < 5)
            fprintf(stderr, "load: k:%llu: wrong answer %.*s\n", (unsigned long long)key,
                (int)(line_size < 80 ? line_size : 80), data);
    }
    return body < 0 ? line_size : line_size + (size_t)body + 2;
}

/* Reads what is there (or waits for it); the number of answers. */
static unsigned receive(struct connection *connection)
{
    const ssize_t size = recv(connection->fd, connection->input + connection->input_size,
        INPUT_MAX - connection->input_size, 0);
    if (size <= 0)
        fail("recv");
    connection->input_size += (size_t)size;
    size_t used = 0;
    unsigned count = 0;
    while (connection->waiting > 0) {
        const size_t taken =
            take_answer(connection, connection->input + used, connection->input_size - used);
        if (taken == 0)
            break;
        used += taken;
        count++;
    }
    memmove(connection->input, connection->input + used, connection->input_size - used);
    connection->input_size -= used;
    return count;
}

/* --- modes ------------------------------------------------------------------------------------------------------- */

static void fill(int port, uint64_t key_count)
{
    struct connection connection;
    connection_init(&connection, port);
    static char request[PIPELINE * (VALUE_MAX / 16 + 128)];
    static char value[VALUE_MAX];
    if (value_size > VALUE_MAX / 16)
        fail("size");
    const uint64_t started_ns = now_ns();
    for (uint64_t key = 0; key < key_count;) {
        size_t used = 0;
        unsigned count = 0;
        for (; count < PIPELINE && key < key_count; count++, key++) {
            char name[32];
            const int name_size = sprintf(name, "k:%llu", (unsigned long long)key);
            const size_t size = value_make(key, value_size, value);
            used += (size_t)sprintf(
                request + used, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%zu\r\n", name_size, name, size);
            memcpy(request + used, value, size);
            used += size;
            used += (size_t)sprintf(request + used, "\r\n");
        }
        send_all(connection.fd, request, used);
        /* "+OK\r\n" each */
        size_t expected = (size_t)count * 5;
        char answers[PIPELINE * 5];
        while (expected > 0) {
            const ssize_t size = recv(connection.fd, answers, expected, 0);
            if (size <= 0)
                fail("recv");
            if (answers[0] == '-') {
                fprintf(stderr, "load: %.*s\n", (int)size, answers);
                exit(1);
            }
            expected -= (size_t)size;
        }
    }
    printf("fill keys=%llu seconds=%.2f\n", (unsigned long long)key_count,
        (double)(now_ns() - started_ns) / 1e9);
}

static void check(int port, uint64_t key_count, uint64_t step)
{
    struct connection connection;
    connection_init(&connection, port);
    const uint64_t started_ns = now_ns();
    uint64_t asked = 0;
    const uint64_t total = key_count / step;
    while (answer_count < total) {
        while (asked < total && connection.waiting < PIPELINE)
            ask(&connection, asked++ * step * 2654435761u % key_count);
        (void)receive(&connection);
    }
    printf("check keys=%llu wrong=%llu seconds=%.2f\n", (unsigned long long)total,
        (unsigned long long)wrong_count, (double)(now_ns() - started_ns) / 1e9);
}

struct reading {
    uint64_t range;
    bool is_zipf;
    struct zipf zipf;
    double interval_ns; /* between two requests of a connection; 0: none */
};

static void ask_next(const struct reading *reading, struct connection *connection)
{
    const uint64_t key = reading->is_zipf ? zipf_next(&reading->zipf)
                                          : (uint64_t)(random_unit() * (double)reading->range);
    connection->due_ns += (uint64_t)reading->interval_ns;
    ask(connection, key);
}

static void note_latency(const struct connection *connection)
{
    const uint64_t ns = now_ns() - connection->sent_ns;
    histogram[bucket_of(ns)]++;
    if (ns > latency_max_ns)
        latency_max_ns = ns;
}

static void read_for(int port, double seconds, unsigned connection_count, struct reading *reading)
{
    static struct connection connections[CONNECTION_MAX];
    const int poll_fd = epoll_create1(EPOLL_CLOEXEC);
    const uint64_t started_ns = now_ns();
    const uint64_t end_ns = started_ns + (uint64_t)(seconds * 1e9);
    for (unsigned i = 0; i < connection_count; i++) {
        connection_init(&connections[i], port);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, connections[i].fd, &event);
        connections[i].due_ns =
            started_ns + (uint64_t)(reading->interval_ns * i / connection_count);
    }
    unsigned waiting = 0;
    while (now_ns() < end_ns || waiting > 0) {
        const uint64_t time_ns = now_ns();
        for (unsigned i = 0; i < connection_count && time_ns < end_ns; i++) {
            if (connections[i].waiting == 0 && connections[i].due_ns <= time_ns) {
                ask_next(reading, &connections[i]);
                waiting++;
            }
        }
        struct epoll_event events[64];
        const int count = epoll_wait(poll_fd, events, 64, reading->interval_ns > 0 ? 1 : 100);
        for (int i = 0; i < count; i++) {
            struct connection *connection = &connections[events[i].data.u32];
            if (receive(connection) == 0)
                continue;
            note_latency(connection);
            waiting--;
            if (reading->interval_ns > 0 || now_ns() >= end_ns)
                continue;
            ask_next(reading, connection);
            waiting++;
        }
    }
    const double elapsed = (double)(now_ns() - started_ns) / 1e9;
    printf("read requests=%llu per_second=%.0f p50_us=%.0f p99_us=%.0f p999_us=%.0f max_us=%.0f "
           "wrong=%llu absent=%llu\n",
        (unsigned long long)answer_count, (double)answer_count / elapsed, quantile_us(0.5),
        quantile_us(0.99), quantile_us(0.999), (double)latency_max_ns / 1000,
        (unsigned long long)wrong_count, (unsigned long long)absent_count);
}

/* A server that is still loading refuses connections or answers with an error. */
static void first(int port, uint64_t key)
{
    const uint64_t started_ns = now_ns();
    for (;;) {
        struct connection connection = {.fd = connect_to(port)};
        if (connection.fd >= 0) {
            char text[VALUE_MAX], expected[VALUE_MAX];
            size_t size = get_make(key, text);
            send_all(connection.fd, text, size);
            const size_t expected_size = value_make(key, value_size, expected);
            const size_t wanted =
                (size_t)snprintf(text, sizeof(text), "$%zu\r\n", expected_size) + expected_size;
            size = 0;
            ssize_t part;
            do {
                part = recv(connection.fd, text + size, sizeof(text) - size, 0);
                size += part > 0 ? (size_t)part : 0;
            } while (part > 0 && text[0] == '$' && size < wanted);
            close(connection.fd);
            if (size >= wanted &&
                memcmp(text + wanted - expected_size, expected, expected_size) == 0)
                break;
        }
        usleep(1000);
    }
    printf("first ms=%.0f\n", (double)(now_ns() - started_ns) / 1e6);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: see the top of load.c\n");
        return 2;
    }
    const int port = atoi(argv[1]);
    const uint64_t key_count = strtoull(argv[3], NULL, 10);
    value_size = strtoull(argv[4], NULL, 10);
    random_state = (uint64_t)getpid() << 32;
    if (strcmp(argv[2], "fill") == 0) {
        fill(port, key_count);
    } else if (strcmp(argv[2], "check") == 0) {
        check(port, key_count, argc > 5 ? strtoull(argv[5], NULL, 10) : 1);
    } else if (strcmp(argv[2], "first") == 0) {
        first(port, key_count);
    } else if (strcmp(argv[2], "read") == 0 && argc > 6) {
        const unsigned connection_count = (unsigned)atoi(argv[6]);
        const double rate = argc > 7 ? atof(argv[7]) : 0;
        struct reading reading = {.is_zipf = argc <= 8 || strcmp(argv[8], "zipf") == 0,
            .range = argc > 9 ? strtoull(argv[9], NULL, 10) : key_count,
            .interval_ns = rate > 0 ? 1e9 * connection_count / rate : 0};
        if (connection_count == 0 || connection_count > CONNECTION_MAX)
            return 2;
        if (reading.is_zipf)
            zipf_init(&reading.zipf, reading.range, 0.99);
        read_for(port, atof(argv[5]), connection_count, &reading);
    } else {
        return 2;
    }
    return wrong_count > 0;
}
