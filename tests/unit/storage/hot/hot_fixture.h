/*
 * hot_fixture.h: a tier whose stripes the test holds, with a hook that writes down the images it is given.
 */
#ifndef HOT_FIXTURE_H
#define HOT_FIXTURE_H

#include "storage/hot.h"
#include "test_main.h"

#define IMAGE_MAX 64
#define SPACE     1

struct image {
    char key[32];
    enum hot_state state;
    char value[64];
    uint64_t expire_ms;
};

struct fixture {
    struct hot *hot;
    size_t image_count;
    struct image images[IMAGE_MAX];
};

/* All stripes are held until fixture_close(), which checks every partition. */
void fixture_open(struct fixture *fixture);
void fixture_check(struct fixture *fixture);
void fixture_close(struct fixture *fixture);

struct key key_of(const char *name);
/* Names "<prefix><n>" whose keys fall into a partition: the first n from *n on; *n moves behind it. */
struct key key_in_partition(char name[32], const char *prefix, unsigned partition, unsigned *n);

struct hot_record *find(struct fixture *fixture, const char *name);
/* Writes a string; finds the record itself. */
struct hot_record *put(struct fixture *fixture, const char *name, const char *text);
struct hot_record *put_expiring(
    struct fixture *fixture, const char *name, const char *text, uint64_t expire_ms);
struct hot_record *expire(struct fixture *fixture, const char *name, uint64_t expire_ms);
void delete (struct fixture *fixture, const char *name);
/* A clean RESIDENT record, as a cold read installs it. */
struct hot_record *promote(struct fixture *fixture, const char *name, const char *text);
struct hot_content content_of(const char *text);
bool demote(struct fixture *fixture, const char *name);
void touch(struct fixture *fixture, const char *name);
bool value_is(const struct hot_record *record, const char *text);

/* A whole checkpoint, or its parts. */
void checkpoint(struct fixture *fixture);
size_t image_all(struct fixture *fixture);
void commit_all(struct fixture *fixture);
enum hot_dirty dirty_of(struct fixture *fixture, const char *name);

/* hot_metrics_read() as plain numbers. */
#define FIGURE_FIELD(field, kind, help) uint64_t field;
struct figures {
    HOT_METRICS(FIGURE_FIELD)
};
struct figures metrics_of(struct fixture *fixture);

#endif
