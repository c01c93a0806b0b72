/* Query strings and path segments: every text is a query, and what comes out is clean UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/query.h"

static void assert_text(struct str have, const char *want)
{
    assert_int_equal(have.len, strlen(want));
    assert_memory_equal(have.ptr, want, have.len);
    assert_int_equal(have.ptr[have.len], '\0');
}

static void value_is(const char *query, const char *name, const char *want)
{
    struct query q;
    query_parse(str_of(query), &q);
    const struct query_param *p = query_find(&q, name);
    if (!want) {
        assert_null(p);
    } else {
        assert_non_null(p);
        assert_text(p->value, want);
    }
    query_release(&q);
}

static void names_and_values_are_decoded(void **state)
{
    (void)state;
    value_is("a=1&b=2", "b", "2");
    value_is("a=x+y%20z", "a", "x y z");
    value_is("a=%41%6a%6A", "a", "Ajj");
    value_is("%61+b=1", "a b", "1");
    value_is("a=b=c", "a", "b=c");
    value_is("a=%D0%BA%D0%BE%D1%82", "a", "кот");
    value_is("a=кот", "a", "кот");
}

static void pieces_without_a_value_are_there_and_empty_ones_are_not(void **state)
{
    (void)state;
    value_is("a", "a", "");
    value_is("a=", "a", "");
    value_is("&&a&&", "a", "");
    value_is("=x", "", "x");
    value_is("", "a", NULL);
    value_is("&&&", "", NULL);
    value_is("ab=1", "a", NULL);
}

static void of_a_name_given_twice_the_last_counts(void **state)
{
    (void)state;
    value_is("a=1&b=3&a=2", "a", "2");
    value_is("a=1&%61=2", "a", "2");
}

static void a_percent_sign_without_digits_stays(void **state)
{
    (void)state;
    value_is("a=%", "a", "%");
    value_is("a=%4", "a", "%4");
    value_is("a=%zz%4g", "a", "%zz%4g");
    value_is("a=100%&b=1", "a", "100%");
}

static void bytes_that_are_no_utf_8_become_replacement_characters(void **state)
{
    (void)state;
    value_is("a=%ff", "a", "\xEF\xBF\xBD");
    value_is("a=x\xc0\x80y", "a", "x\xEF\xBF\xBD\xEF\xBF\xBDy");
    value_is("a=%d0", "a", "\xEF\xBF\xBD");
    value_is("\xff\xff\xff", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD", "");
}

static void a_nul_is_a_character_like_others(void **state)
{
    (void)state;
    struct query q;
    query_parse(STR("a=x%00y"), &q);
    assert_int_equal(q.params[0].value.len, 3);
    assert_memory_equal(q.params[0].value.ptr, "x\0y", 4);
    query_release(&q);
}

static void a_segment_must_be_text(void **state)
{
    (void)state;
    char out[64];
    size_t len = 0;
    assert_true(query_decode_segment(STR("a%20b+c%2Fd"), out, &len));
    assert_string_equal(out, "a b+c/d");
    assert_false(query_decode_segment(STR(""), out, &len));
    assert_false(query_decode_segment(STR("a%00b"), out, &len));
    assert_false(query_decode_segment(STR("%ff"), out, &len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_values_are_decoded),
        cmocka_unit_test(pieces_without_a_value_are_there_and_empty_ones_are_not),
        cmocka_unit_test(of_a_name_given_twice_the_last_counts),
        cmocka_unit_test(a_percent_sign_without_digits_stays),
        cmocka_unit_test(bytes_that_are_no_utf_8_become_replacement_characters),
        cmocka_unit_test(a_nul_is_a_character_like_others),
        cmocka_unit_test(a_segment_must_be_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
