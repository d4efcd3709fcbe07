/*
 * fuzz_main.c: drives a fuzz target without libFuzzer, as a regression test.
 *
 *   fuzz_<name> FOLDER...   (or single files)
 *
 * Replays every file, then mutations of it: flipped bits, interesting bytes, cut, doubled and spliced parts. They
 * come from a fixed seed (KELVIN_TEST_SEED changes it), so a failure repeats; the input at work is kept in
 * a file, so that it is at hand after a crash.
 */
#include "base/check.h"
#include "base/compiler.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "fuzz_setup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    INPUT_MAX_BYTES = 1 << 20,
    MUTATIONS_TOTAL = 20000, /* shared among the files */
    MUTATIONS_PER_FILE_MAX = 2000,
    EDITS_MAX = 6,
};

struct corpus {
    struct buf *inputs;
    size_t count;
};

static struct slice current_input; /* for the crash handler */

static void crash_handler(int number)
{
    static const char name[] = "fuzz-crash-input";
    const int fd = creat(name, 0644);
    if (fd >= 0) {
        const ssize_t written = write(fd, current_input.data, current_input.size);
        (void)written;
        (void)close(fd);
    }
    static const char text[] = "input kept in ./fuzz-crash-input\n";
    const ssize_t said = write(STDERR_FILENO, text, sizeof(text) - 1);
    (void)said;
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

/* A copy of exactly the right size, so that a sanitizer sees a read past the end. */
static void run_one(struct slice input)
{
    uint8_t *const copy = mem_alloc(input.size);
    if (input.size > 0)
        memcpy(copy, input.data, input.size);
    current_input = input;
    (void)LLVMFuzzerTestOneInput(copy, input.size);
    mem_free(copy);
}

static void add_file(struct corpus *corpus, const char *path)
{
    struct buf content = {0};
    struct error error;
    if (file_read_whole(path, INPUT_MAX_BYTES, &content, &error) != ST_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        exit(2);
    }
    corpus->inputs = mem_realloc(corpus->inputs, (corpus->count + 1) * sizeof(*corpus->inputs));
    corpus->inputs[corpus->count++] = content;
}

struct folder {
    struct corpus *corpus;
    const char *path;
};

static bool add_entry(void *context, const char *name)
{
    const struct folder *const folder = context;
    struct buf path = {0};
    buf_append_format(&path, "%s/%s", folder->path, name);
    buf_append_byte(&path, '\0');
    add_file(folder->corpus, path.data);
    buf_deinit(&path);
    return true;
}

static void add_path(struct corpus *corpus, const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        (void)fprintf(stderr, "no corpus at %s\n", path);
        return;
    }
    if (!S_ISDIR(info.st_mode)) {
        add_file(corpus, path);
        return;
    }
    struct folder folder = {.corpus = corpus, .path = path};
    CHECK(file_list(path, add_entry, &folder, NULL) == ST_OK);
}

static void replace_part(struct buf *input, size_t at, size_t size, struct slice with)
{
    struct buf result = {0};
    buf_append(&result, input->data, at);
    buf_append_slice(&result, with);
    buf_append(&result, input->data + at + size, input->size - at - size);
    buf_deinit(input);
    *input = result;
}

static void mutate_once(struct buf *input, const struct corpus *corpus, struct random *random)
{
    static const char *const texts[] = {"\r\n", "*1\r\n", "$-1\r\n", "0", "-1",
        "9223372036854775807", "18446744073709551616", "\"", "\\x",
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "*3\r\n$"};
    const size_t at = (size_t)random_below(random, input->size + 1);
    const size_t left = input->size - at;
    const size_t part = (size_t)random_below(random, (left < 32 ? left : 32) + 1);
    switch (random_below(random, 7)) {
    case 0: /* flip a bit */
        if (left > 0)
            input->data[at] = (char)(input->data[at] ^ (char)(1u << random_below(random, 8)));
        break;
    case 1: /* any byte */
        if (left > 0)
            input->data[at] = (char)(uint8_t)random_next(random);
        break;
    case 2: /* cut out */ replace_part(input, at, part, slice_of(NULL, 0)); break;
    case 3: /* cut off */ input->size = at; break;
    case 4: /* put in */
        replace_part(input, at, part, slice_text(texts[random_below(random, COUNT_OF(texts))]));
        break;
    case 5: { /* double */
        struct buf copy = {0};
        buf_append(&copy, input->data + at, part);
        replace_part(input, at, 0, buf_slice(&copy));
        buf_deinit(&copy);
        break;
    }
    case 6: { /* the end of another input */
        const struct buf *const other = &corpus->inputs[random_below(random, corpus->count)];
        const size_t other_at = (size_t)random_below(random, other->size + 1);
        replace_part(input, at, left, slice_of(other->data + other_at, other->size - other_at));
        break;
    }
    }
    if (input->size > INPUT_MAX_BYTES)
        input->size = INPUT_MAX_BYTES;
}

static void run_mutations(
    const struct corpus *corpus, size_t index, size_t count, struct random *random)
{
    for (size_t round = 0; round < count; round++) {
        struct buf input = {0};
        (void)buf_reserve(&input, 1); /* has an address even if it is empty */
        buf_append_slice(&input, buf_slice(&corpus->inputs[index]));
        const uint64_t edits = 1 + random_below(random, EDITS_MAX);
        for (uint64_t edit = 0; edit < edits; edit++) {
            mutate_once(&input, corpus, random);
            (void)buf_reserve(&input, 1);
        }
        run_one(buf_slice(&input));
        buf_deinit(&input);
    }
}

int main(int argument_count, char **arguments)
{
    (void)LLVMFuzzerInitialize(&argument_count, &arguments);
    struct corpus corpus = {0};
    for (int index = 1; index < argument_count; index++)
        add_path(&corpus, arguments[index]);
    if (corpus.count == 0) { /* an empty corpus still has the empty input */
        corpus.inputs = mem_alloc_zero(sizeof(*corpus.inputs));
        corpus.count = 1;
    }
    for (size_t index = 0; index < corpus.count; index++)
        (void)buf_reserve(&corpus.inputs[index], 1);
    (void)signal(SIGABRT, crash_handler);
    (void)signal(SIGSEGV, crash_handler);
    const char *const seed_text = getenv("KELVIN_TEST_SEED");
    const uint64_t seed = seed_text == NULL ? 1 : strtoull(seed_text, NULL, 0);
    printf("inputs=%zu KELVIN_TEST_SEED=%" PRIu64 "\n", corpus.count, seed);
    (void)fflush(stdout);
    struct random random;
    random_init(&random, seed);
    size_t mutations = MUTATIONS_TOTAL / corpus.count + 1;
    if (mutations > MUTATIONS_PER_FILE_MAX)
        mutations = MUTATIONS_PER_FILE_MAX;
    for (size_t index = 0; index < corpus.count; index++)
        run_one(buf_slice(&corpus.inputs[index]));
    for (size_t index = 0; index < corpus.count; index++)
        run_mutations(&corpus, index, mutations, &random);
    for (size_t index = 0; index < corpus.count; index++)
        buf_deinit(&corpus.inputs[index]);
    mem_free(corpus.inputs);
    return EXIT_SUCCESS;
}
