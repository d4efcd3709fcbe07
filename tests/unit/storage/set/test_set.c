/* Members and names of sets. */
#include "base/mem.h"
#include "set_support.h"
#include "test_main.h"

#include <stdio.h>
#include <stdlib.h>

void set_support_setup(void)
{
    set_setup();
    atomic_store(&value_limits.set_max_intset_entries, 512);
    atomic_store(&value_limits.set_max_listpack_entries, 128);
    atomic_store(&value_limits.set_max_listpack_value, 64);
}

bool set_add_word(struct set *set, const char *word)
{
    const struct element member = element_of(slice_text(word));
    return set_add(set, &member);
}

bool set_has_word(const struct set *set, const char *word)
{
    const struct element member = element_of(slice_text(word));
    return set_contains(set, &member);
}

bool set_remove_word(struct set *set, const char *word)
{
    const struct element member = element_of(slice_text(word));
    return set_remove(set, &member);
}

struct set *set_of_words(const char *const *words)
{
    const struct element first = element_of(slice_text(words[0]));
    struct set *const set = set_create_for(&first, 1);
    for (; *words != NULL; words++)
        ck_assert(set_add_word(set, *words));
    set_check(set);
    return set;
}

char *set_text(const struct set *set)
{
    struct buf text = {0};
    struct tree_cursor cursor;
    for (tree_cursor_at(set_members(set), 0, &cursor); !tree_cursor_is_end(&cursor);
         (void)tree_cursor_next(&cursor)) {
        char scratch[ELEMENT_TEXT_MAX];
        const struct element member = tree_cursor_element(&cursor, 0);
        if (text.size > 0)
            buf_append_byte(&text, ' ');
        buf_append_slice(&text, element_text(&member, scratch));
    }
    buf_append_byte(&text, '\0');
    return text.data;
}

static void expect_text(const struct set *set, const char *expected)
{
    char *const text = set_text(set);
    ck_assert_str_eq(text, expected);
    mem_free(text);
}

START_TEST(integers_are_in_ascending_order)
{
    set_support_setup();
    struct set *const set =
        set_of_words(WORDS("7", "-3", "9223372036854775807", "0", "-9223372036854775808", "12"));
    ck_assert_int_eq(set_encoding(set), VALUE_ENCODING_INTSET);
    ck_assert_uint_eq(set_count(set), 6);
    expect_text(set, "-9223372036854775808 -3 0 7 12 9223372036854775807");
    ck_assert(!set_add_word(set, "12"));
    ck_assert(set_has_word(set, "-3"));
    ck_assert(!set_has_word(set, "3"));
    ck_assert(!set_has_word(set, "03"));
    ck_assert(!set_has_word(set, "9223372036854775808"));
    set_destroy(set);
}
END_TEST

START_TEST(small_sets_of_texts_are_in_order_of_insertion)
{
    set_support_setup();
    struct set *const set = set_of_words(WORDS("b", "17", "a", "", "017"));
    ck_assert_int_eq(set_encoding(set), VALUE_ENCODING_LISTPACK);
    expect_text(set, "b 17 a  017");
    ck_assert(!set_add_word(set, "17"));
    ck_assert(set_has_word(set, ""));
    ck_assert(set_has_word(set, "017"));
    set_destroy(set);
}
END_TEST

START_TEST(a_text_makes_an_intset_a_listpack)
{
    set_support_setup();
    struct set *const set = set_of_words(WORDS("3", "1", "2"));
    ck_assert(set_add_word(set, "x"));
    set_check(set);
    ck_assert_int_eq(set_encoding(set), VALUE_ENCODING_LISTPACK);
    expect_text(set, "1 2 3 x");
    ck_assert(set_remove_word(set, "x"));
    ck_assert_int_eq(set_encoding(set), VALUE_ENCODING_LISTPACK);
    ck_assert(set_add_word(set, "0"));
    expect_text(set, "1 2 3 0");
    set_destroy(set);
}
END_TEST

static struct set *integers(int64_t count)
{
    struct set *const set = set_create(VALUE_ENCODING_INTSET);
    for (int64_t i = 0; i < count; i++) {
        const struct element member = element_of_integer(i);
        ck_assert(set_add(set, &member));
    }
    return set;
}

START_TEST(too_many_integers_make_a_hashtable)
{
    set_support_setup();
    struct set *const set = integers(512);
    ck_assert_int_eq(set_encoding(set), VALUE_ENCODING_INTSET);
    ck_assert(!set_add_word(set, "511"));
    ck_assert(set_add_word(set, "512"));
    ck_assert_int_eq(set_encoding(set), VALUE_ENCODING_HASHTABLE);
    set_check(set);
    ck_assert(set_remove_word(set, "512"));
    ck_assert_int_eq(set_encoding(set), VALUE_ENCODING_HASHTABLE);
    set_prefer_integers(set);
    ck_assert_int_eq(set_encoding(set), VALUE_ENCODING_INTSET);
    ck_assert_uint_eq(set_count(set), 512);
    set_check(set);
    set_destroy(set);
}
END_TEST

START_TEST(a_text_in_a_large_intset_makes_a_hashtable)
{
    set_support_setup();
    struct set *const set = integers(128);
    ck_assert(set_add_word(set, "x"));
    ck_assert_int_eq(set_encoding(set), VALUE_ENCODING_HASHTABLE);
    ck_assert_uint_eq(set_count(set), 129);
    set_check(set);
    set_prefer_integers(set);
    ck_assert_int_eq(set_encoding(set), VALUE_ENCODING_HASHTABLE);
    set_destroy(set);
}
END_TEST

START_TEST(long_or_many_texts_make_a_hashtable)
{
    set_support_setup();
    char text[66] = {0};
    memset(text, 'x', 64);
    struct set *set = set_of_words(WORDS("a", text));
    ck_assert_int_eq(set_encoding(set), VALUE_ENCODING_LISTPACK);
    text[64] = 'x';
    ck_assert(set_add_word(set, text));
    ck_assert_int_eq(set_encoding(set), VALUE_ENCODING_HASHTABLE);
    set_destroy(set);

    set = set_of_words(WORDS("a"));
    for (int i = 1; i <= 128; i++) {
        char word[16];
        snprintf(word, sizeof(word), "w%d", i);
        ck_assert_int_eq(set_encoding(set), VALUE_ENCODING_LISTPACK);
        ck_assert(set_add_word(set, word));
    }
    ck_assert_int_eq(set_encoding(set), VALUE_ENCODING_HASHTABLE);
    set_check(set);
    set_destroy(set);
}
END_TEST

START_TEST(a_small_limit_of_texts_counts_the_digits_of_integers)
{
    set_support_setup();
    atomic_store(&value_limits.set_max_listpack_value, 3);
    struct set *set = set_of_words(WORDS("-100", "5"));
    ck_assert(set_add_word(set, "x"));
    ck_assert_int_eq(set_encoding(set), VALUE_ENCODING_HASHTABLE);
    set_destroy(set);
    set = set_of_words(WORDS("-10", "100"));
    ck_assert(set_add_word(set, "x"));
    ck_assert_int_eq(set_encoding(set), VALUE_ENCODING_LISTPACK);
    set_destroy(set);
    set = set_create(VALUE_ENCODING_INTSET);
    ck_assert(set_add_word(set, "x"));
    ck_assert_int_eq(set_encoding(set), VALUE_ENCODING_LISTPACK);
    set_destroy(set);
}
END_TEST

START_TEST(a_new_set_is_named_after_what_is_expected)
{
    set_support_setup();
    const struct element number = element_of_integer(1);
    const struct element text = element_of(SLICE_LITERAL("x"));
    const struct {
        const struct element *first;
        uint64_t hint;
        enum value_encoding encoding;
    } cases[] = {
        {&number, 512, VALUE_ENCODING_INTSET},
        {&number, 513, VALUE_ENCODING_HASHTABLE},
        {&text, 128, VALUE_ENCODING_LISTPACK},
        {&text, 129, VALUE_ENCODING_HASHTABLE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct set *const set = set_create_for(cases[i].first, cases[i].hint);
        ck_assert_int_eq(set_encoding(set), cases[i].encoding);
        set_destroy(set);
    }
    atomic_store(&value_limits.set_max_intset_entries, 0);
    struct set *set = set_create_for(&number, 1);
    ck_assert_int_eq(set_encoding(set), VALUE_ENCODING_LISTPACK);
    set_expect(set, 128);
    ck_assert_int_eq(set_encoding(set), VALUE_ENCODING_LISTPACK);
    set_expect(set, 129);
    ck_assert_int_eq(set_encoding(set), VALUE_ENCODING_HASHTABLE);
    set_destroy(set);
    atomic_store(&value_limits.set_max_intset_entries, 512);
    set = set_of_words(WORDS("2", "1"));
    set_expect(set, 512);
    ck_assert_int_eq(set_encoding(set), VALUE_ENCODING_INTSET);
    set_expect(set, 513);
    ck_assert_int_eq(set_encoding(set), VALUE_ENCODING_HASHTABLE);
    set_check(set);
    expect_text(set, "1 2");
    set_destroy(set);
}
END_TEST

START_TEST(members_go_by_value_and_by_place)
{
    set_support_setup();
    struct set *set = set_of_words(WORDS("5", "1", "3"));
    ck_assert(!set_remove_word(set, "2"));
    ck_assert(!set_remove_word(set, "x"));
    set_remove_at(set, 1);
    expect_text(set, "1 5");
    ck_assert(set_remove_word(set, "5"));
    ck_assert(set_remove_word(set, "1"));
    ck_assert_uint_eq(set_count(set), 0);
    set_check(set);
    set_destroy(set);
    set = set_of_words(WORDS("x", "y", "z"));
    set_remove_at(set, 0);
    expect_text(set, "y z");
    ck_assert(set_remove_word(set, "z"));
    set_check(set);
    set_destroy(set);
    set_destroy(NULL);
}
END_TEST

START_TEST(a_snapshot_keeps_what_was)
{
    set_support_setup();
    struct set *const set = set_of_words(WORDS("1", "2"));
    struct set *const before = set_snapshot(set);
    ck_assert(set_add_word(set, "x"));
    ck_assert(set_remove_word(set, "1"));
    expect_text(before, "1 2");
    ck_assert_int_eq(set_encoding(before), VALUE_ENCODING_INTSET);
    ck_assert(set_add_word(before, "3"));
    expect_text(set, "2 x");
    set_check(set);
    set_check(before);
    set_destroy(set);
    expect_text(before, "1 2 3");
    set_destroy(before);
}
END_TEST

START_TEST(the_class_tells_of_the_set)
{
    set_support_setup();
    struct set *const set = set_of_words(WORDS("a", "b"));
    struct value value = set_value(set);
    ck_assert_int_eq(value.type, VALUE_SET);
    ck_assert_int_eq(value.encoding, VALUE_ENCODING_LISTPACK);
    ck_assert_ptr_eq(set_of(&value), set);
    const struct value_class *const class = value_class_of(VALUE_SET);
    ck_assert_uint_eq(class->element_count(value.object), 2);
    ck_assert_uint_ge(class->size_bytes(value.object), set_members(set)->bytes);
    ck_assert_uint_ge(class->effort(value.object), 1);
    ck_assert_uint_eq(value_external_bytes(&value), class->size_bytes(value.object));
    struct value copy = value;
    copy.object = class->snapshot(value.object);
    value_release(&value);
    expect_text(set_of(&copy), "a b");
    value_release(&copy);
}
END_TEST

TEST_GROUP(set_group, integers_are_in_ascending_order,
    small_sets_of_texts_are_in_order_of_insertion, a_text_makes_an_intset_a_listpack,
    too_many_integers_make_a_hashtable, a_text_in_a_large_intset_makes_a_hashtable,
    long_or_many_texts_make_a_hashtable, a_small_limit_of_texts_counts_the_digits_of_integers,
    a_new_set_is_named_after_what_is_expected, members_go_by_value_and_by_place,
    a_snapshot_keeps_what_was, the_class_tells_of_the_set)

void set_codec_group(TCase *tests);
void set_model_group(TCase *tests);
TEST_MAIN_GROUPS("storage.set", set_group, set_codec_group, set_model_group)
