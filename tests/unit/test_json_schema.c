/* test_json_schema.c: parameters against the schemas that pydantic makes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/json_schema.h"

#include <stdio.h>

struct row {
    const char *schema, *value;
    const char *said; /* part of the refusal; NULL: it fits */
};

static void assert_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct err err = {0};
        bool fits = json_schema_check(str_of(rows[i].schema), str_of(rows[i].value), "p", &err);
        if (fits != !rows[i].said)
            fail_msg("%s and %s: %s", rows[i].schema, rows[i].value, fits ? "fits" : err.text);
        if (!fits && (err.code != ERR_INVALID || !strstr(err.text, rows[i].said)))
            fail_msg("%s and %s: \"%s\" has no \"%s\"", rows[i].schema, rows[i].value, err.text,
                     rows[i].said);
    }
}

#define ASSERT_ROWS(rows) assert_rows((rows), sizeof(rows) / sizeof *(rows))

static void types_are_checked(void **state)
{
    static const struct row rows[] = {
        {"{}", "17", NULL},
        {"true", "17", NULL},
        {"false", "17", "expected nothing"},
        {"{\"type\":\"integer\"}", "17", NULL},
        {"{\"type\":\"integer\"}", "17.0", NULL},
        {"{\"type\":\"integer\"}", "1e400", NULL},
        {"{\"type\":\"integer\"}", "123456789012345678901234567890", NULL},
        {"{\"type\":\"integer\"}", "17.5", "p: expected an integer, not 17.5"},
        {"{\"type\":\"integer\"}", "true", "expected an integer, not true"},
        {"{\"type\":\"number\"}", "1", NULL},
        {"{\"type\":\"number\"}", "\"1\"", "expected a number, not \"1\""},
        {"{\"type\":\"string\"}", "\"\"", NULL},
        {"{\"type\":\"boolean\"}", "false", NULL},
        {"{\"type\":\"boolean\"}", "0", "expected a boolean"},
        {"{\"type\":\"null\"}", "null", NULL},
        {"{\"type\":\"null\"}", "0", "expected null"},
        {"{\"type\":\"object\"}", "[]", "expected an object"},
        {"{\"type\":\"array\"}", " [] ", NULL},
        {"{\"type\":[\"integer\",\"null\"]}", "null", NULL},
        {"{\"type\":[\"integer\",\"null\"]}", "\"x\"", "another type"},
        {"{\"type\":\"something-of-theirs\"}", "1", NULL},
        {"{\"type\":17}", "1", NULL},
    };
    (void)state;
    ASSERT_ROWS(rows);
}

static void numbers_texts_and_constants_are_checked(void **state)
{
    static const struct row rows[] = {
        {"{\"minimum\":1}", "1", NULL},
        {"{\"minimum\":1}", "0.5", "above or equal to 1"},
        {"{\"exclusiveMinimum\":1}", "1", "above 1"},
        {"{\"maximum\":1}", "2", "below or equal to 1"},
        {"{\"exclusiveMaximum\":1}", "1", "below 1"},
        {"{\"maximum\":9007199254740992}", "9007199254740993", NULL},
        {"{\"multipleOf\":5}", "10", NULL},
        {"{\"multipleOf\":5}", "11", "a multiple"},
        {"{\"multipleOf\":0.1}", "0.3", NULL},
        {"{\"minimum\":1}", "\"a\"", NULL},
        {"{\"minLength\":2}", "\"\xc3\xa4\"", "at least 2 characters"},
        {"{\"minLength\":2}", "\"\\u00e4b\"", NULL},
        {"{\"maxLength\":1}", "\"\xf0\x9f\x98\x80\"", NULL},
        {"{\"maxLength\":1}", "\"ab\"", "at most 1 characters"},
        {"{\"pattern\":\"^a$\",\"format\":\"date\"}", "\"b\"", NULL},
        {"{\"enum\":[\"a\",1,null]}", "1.0", NULL},
        {"{\"enum\":[\"a\",1,null]}", "\"b\"", "one of the values"},
        {"{\"const\":{\"a\":[1,\"\\u0041\"]}}", "{\"a\":[1.0,\"A\"]}", NULL},
        {"{\"const\":{\"a\":1}}", "{\"a\":1,\"b\":2}", "the one value"},
        {"{\"const\":[1]}", "[1,2]", "the one value"},
    };
    (void)state;
    ASSERT_ROWS(rows);
}

static void lists_and_objects_are_checked(void **state)
{
    static const char model[] =
        "{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"integer\"},"
        "\"y\":{\"type\":\"string\",\"default\":\"a\"}},\"required\":[\"x\"],"
        "\"additionalProperties\":false}";
    static const struct row rows[] = {
        {model, "{\"x\":1}", NULL},
        {model, "{\"x\":1,\"y\":\"b\"}", NULL},
        {model, "{\"\\u0078\":1}", NULL},
        {model, "{}", "p: the member x is missing"},
        {model, "{\"x\":\"1\"}", "p.x: expected an integer, not \"1\""},
        {model, "{\"x\":1,\"z\":2}", "p.z: there is no such member"},
        {"{\"items\":{\"type\":\"integer\"}}", "[1,2,\"3\"]", "p[2]: expected an integer"},
        {"{\"minItems\":1}", "[]", "at least 1 elements"},
        {"{\"maxItems\":1}", "[1,2]", "at most 1 elements"},
        {"{\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"string\"}]}", "[1,\"a\",{}]", NULL},
        {"{\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"string\"}]}", "[1,2]", "p[1]:"},
        {"{\"prefixItems\":[{}],\"items\":false}", "[1,2]", "p[1]: expected nothing"},
        {"{\"additionalProperties\":{\"type\":\"number\"}}", "{\"a\":1}", NULL},
        {"{\"additionalProperties\":{\"type\":\"number\"}}", "{\"a\":{}}",
         "p.a: expected a number"},
        {"{\"patternProperties\":{\"a\":{}},\"additionalProperties\":false}", "{\"a\":1}", NULL},
        {"{\"maxProperties\":1}", "{\"a\":1,\"b\":2}", "at most 1 members"},
    };
    (void)state;
    ASSERT_ROWS(rows);
}

static void schemas_within_schemas_are_checked(void **state)
{
    static const char optional[] = "{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"null\"}]}";
    static const char defs[] =
        "{\"$defs\":{\"In/ner\":{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"},"
        "\"next\":{\"anyOf\":[{\"$ref\":\"#/$defs/In~1ner\"},{\"type\":\"null\"}]}}}},"
        "\"properties\":{\"a\":{\"$ref\":\"#/$defs/In~1ner\"}}}";
    static const struct row rows[] = {
        {optional, "null", NULL},
        {optional, "5", NULL},
        {optional, "\"5\"", "expected an integer, not \"5\""},
        {"{\"anyOf\":[]}", "1", NULL},
        {"{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}", "1", NULL},
        {"{\"oneOf\":[{\"type\":\"integer\"}]}", "\"a\"", "expected an integer"},
        {"{\"allOf\":[{\"minimum\":1},{\"maximum\":2}]}", "3", "below or equal to 2"},
        {defs, "{\"a\":{\"n\":1,\"next\":{\"n\":2,\"next\":null}}}", NULL},
        {defs, "{\"a\":{\"n\":1,\"next\":{\"n\":\"2\"}}}", "p.a.next.n: expected an integer"},
        {"{\"$ref\":\"#/nowhere\"}", "1", NULL},
        {"{\"$ref\":\"https://example.org/x\"}", "1", NULL},
        {"{\"$ref\":\"#\"}", "1", NULL},
        {"{\"$ref\":\"#/allOf/0\",\"allOf\":[{\"type\":\"string\"}]}", "1", "expected a string"},
    };
    (void)state;
    ASSERT_ROWS(rows);
}

static void a_schema_that_takes_too_much_work_lets_through(void **state)
{
    struct err err;
    (void)state;
    /* Each step asks twice for the same again. */
    assert_true(json_schema_check(
        STR("{\"anyOf\":[{\"allOf\":[{\"$ref\":\"#\"},{\"$ref\":\"#\"}]}]}"), STR("1"), "p", &err));
}

/* A schema with a text of `pad` bytes that is asked for `refs` places behind it, and then refuses.
 */
static bool check_padded(size_t pad, int refs)
{
    struct err err;
    OWNED_BUF struct buf b;
    buf_init(&b, BUF_NO_CAP);
    buf_add_text(&b, "{\"$defs\":{\"pad\":\"");
    for (size_t i = 0; i < pad; i++)
        buf_add_char(&b, 'x');
    buf_add_text(&b, "\",\"a\":{},\"b\":{\"type\":\"string\"}},\"allOf\":[");
    for (int i = 0; i < refs; i++)
        buf_add_text(&b, "{\"$ref\":\"#/$defs/a\"},");
    buf_add_text(&b, "{\"$ref\":\"#/$defs/b\"}]}");
    return json_schema_check(buf_str(&b), STR("1"), "p", &err);
}

static void a_long_schema_is_not_read_without_end(void **state)
{
    (void)state;
    assert_false(check_padded(1 << 20, 10));
    assert_false(check_padded(10, 1000));
    assert_true(check_padded(1 << 20, 1000));
}

static void what_is_required_may_have_a_default(void **state)
{
    static const char schema[] =
        "{\"properties\":{\"x\":{\"type\":\"integer\"},\"y\":{\"default\":5},\"z\":{}},"
        "\"required\":[\"x\",\"y\",\"z\"]}";
    struct str missing = {NULL, 0};
    (void)state;
    assert_true(json_schema_complete(str_of(schema), STR("{\"x\":1}"), STR("{\"z\":1}"), &missing));
    assert_true(json_schema_complete(str_of("{}"), STR(""), STR(""), &missing));
    assert_false(json_schema_complete(str_of(schema), STR("{\"z\":1}"), STR(""), &missing));
    assert_true(str_is(missing, "\"x\""));
}

static void defaults_are_filled_in(void **state)
{
    static const char schema[] = "{\"properties\":{\"x\":{\"default\":1},\"y\":{\"default\":2},"
                                 "\"z\":{\"default\":3},\"w\":{}}}";
    OWNED_BUF struct buf out;
    (void)state;
    buf_init(&out, BUF_NO_CAP);
    json_schema_fill(str_of(schema), STR("{\"x\":10, \"w\" : [1]}"), STR("{\"x\":20,\"y\":21}"),
                     &out);
    assert_true(str_is(buf_str(&out), "{\"x\":10,\"w\":[1],\"y\":21,\"z\":3}"));
    out.len = 0;
    json_schema_fill(STR("{}"), STR(""), STR(""), &out);
    assert_true(str_is(buf_str(&out), "{}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_checked),
        cmocka_unit_test(numbers_texts_and_constants_are_checked),
        cmocka_unit_test(lists_and_objects_are_checked),
        cmocka_unit_test(schemas_within_schemas_are_checked),
        cmocka_unit_test(a_schema_that_takes_too_much_work_lets_through),
        cmocka_unit_test(a_long_schema_is_not_read_without_end),
        cmocka_unit_test(what_is_required_may_have_a_default),
        cmocka_unit_test(defaults_are_filled_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
