/* The bodies of /receive and /mark-errors: ids as Python takes them, results on lines of their own,
 * every fault told in its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/planchet/planchet_items.h"

#include <stdlib.h>

/* A body that was read. */
struct read {
    char *body;
    struct planchet_items items;
    struct planchet_faults faults;
    bool is_json;
};

static struct read read_body(struct str text, bool ids)
{
    struct read r = {.body = xcalloc(1, text.len + 1)};
    memcpy(r.body, text.ptr, text.len);
    planchet_faults_init(&r.faults);
    r.is_json = ids ? planchet_ids_read(r.body, text.len, &r.items, &r.faults)
                    : planchet_items_read(r.body, text.len, &r.items, &r.faults);
    return r;
}

static void release(struct read *r)
{
    planchet_items_release(&r->items);
    planchet_faults_release(&r->faults);
    free(r->body);
}

#define OWNED_READ __attribute__((cleanup(release)))

static void line_is(const struct read *r, size_t i, int64_t record, const char *line)
{
    assert_true(i < r->items.count);
    const struct settle_entry *e = &r->items.entries[i];
    assert_int_equal(e->record, record);
    assert_false(e->failed);
    assert_int_equal(e->len, strlen(line));
    assert_memory_equal(r->items.lines + e->at, line, e->len);
}

static void faults_are(struct str text, bool ids, const char *want)
{
    OWNED_READ struct read r = read_body(text, ids);
    assert_true(r.is_json);
    buf_add_char(&r.faults.entries, '\0');
    assert_string_equal(r.faults.entries.data, want);
}

static void results_stand_on_lines_one_after_the_other(void **state)
{
    (void)state;
    OWNED_READ struct read r = read_body(STR("[[0,{\"a\": 1}], [12,[1, 2]],[3,{}]]"), false);
    assert_true(r.is_json);
    assert_int_equal(r.faults.count, 0);
    assert_int_equal(r.items.count, 3);
    line_is(&r, 0, 0, "{\"a\": 1}\n");
    line_is(&r, 1, 12, "[1, 2]\n");
    line_is(&r, 2, 3, "{}\n");
    assert_int_equal(r.items.entries[1].at, r.items.entries[0].at + r.items.entries[0].len);
    assert_int_equal(r.items.entries[2].at, r.items.entries[1].at + r.items.entries[1].len);
}

static void line_breaks_between_tokens_become_blanks(void **state)
{
    (void)state;
    OWNED_READ struct read r =
        read_body(STR("\r\n[ [\n0 ,\r\n {\"a\":\n1,\r\"b\":\"x\\ny\"\r\n} ]\n]\r\n"), false);
    assert_true(r.is_json);
    line_is(&r, 0, 0, "{\"a\": 1, \"b\":\"x\\ny\"  }\n");
}

static void the_shortest_pairs_do_not_run_into_each_other(void **state)
{
    (void)state;
    OWNED_READ struct read r = read_body(STR("[[0,[]],[1,{}],[2,[]],[3,{}],[4,[]]]"), false);
    assert_int_equal(r.items.count, 5);
    for (size_t i = 0; i < 5; i++)
        line_is(&r, i, (int64_t)i, i % 2 ? "{}\n" : "[]\n");
}

static void ids_are_what_python_makes_integers_of(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t id;
    } table[] = {
        {"7", 7},
        {"0", 0},
        {"-0", 0},
        {"\"12\"", 12},
        {"\" +1_2 \"", 12},
        {"\"\\u0031\"", 1},
        {"true", 1},
        {"false", 0},
        {"1.7", 1},
        {"-0.5", 0},
        {"1e3", 1000},
        {"-1", -1},
        {"-1.5", -1},
        {"70368744177664", -1},
        {"99999999999999999999999999", -1},
        {"-99999999999999999999999999", -1},
        {"1e300", -1},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char *text = xasprintf("[[%s,{}]]", table[i].text);
        OWNED_READ struct read r = read_body(str_of(text), false);
        free(text);
        assert_true(r.is_json);
        assert_int_equal(r.faults.count, 0);
        line_is(&r, 0, table[i].id, "{}\n");
    }
}

#define FAULT_AT(loc, msg, type)                                                                   \
    "{\"loc\":[\"body\"," loc "],\"msg\":\"" msg "\",\"type\":\"" type "\"}"
#define NO_INTEGER_AT(loc) FAULT_AT(loc, "value is not a valid integer", "type_error.integer")
#define NULL_AT(loc) FAULT_AT(loc, "none is not an allowed value", "type_error.none.not_allowed")

static void what_is_no_id_is_told(void **state)
{
    (void)state;
    static const char *const wrong[] = {"\"x\"", "\"\"", "\"1.5\"", "\"1__0\"",
                                        "[1]",   "{}",   "1e999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char *text = xasprintf("[[0,{}],[%s,{}]]", wrong[i]);
        faults_are(str_of(text), false, NO_INTEGER_AT("\"items\",1,0"));
        free(text);
    }
    faults_are(STR("[[null,{}]]"), false, NULL_AT("\"items\",0,0"));
    faults_are(STR("[1,\"x\",null]"), true, NO_INTEGER_AT("\"ids\",1") "," NULL_AT("\"ids\",2"));
}

static void what_is_no_pair_is_told(void **state)
{
    (void)state;
    const char *no_pair = FAULT_AT("\"items\",0", "value is not a valid tuple", "type_error.tuple");
    faults_are(STR("[7]"), false, no_pair);
    faults_are(STR("[{\"a\":1}]"), false, no_pair);
    faults_are(STR("[null]"), false, NULL_AT("\"items\",0"));
    faults_are(STR("[[1,{},3]]"), false,
               "{\"loc\":[\"body\",\"items\",0],\"msg\":\"wrong tuple length 3, expected 2\","
               "\"type\":\"value_error.tuple.length\","
               "\"ctx\":{\"actual_length\":3,\"expected_length\":2}}");
}

static void a_scalar_item_is_neither_object_nor_list(void **state)
{
    (void)state;
    faults_are(
        STR("[[0,5]]"), false,
        FAULT_AT("\"items\",0,1", "value is not a valid dict", "type_error.dict") "," FAULT_AT(
            "\"items\",0,1", "value is not a valid list", "type_error.list"));
    faults_are(STR("[[0,null]]"), false, NULL_AT("\"items\",0,1"));
}

static void a_body_that_is_no_list_is_told(void **state)
{
    (void)state;
    faults_are(STR("{}"), false,
               FAULT_AT("\"items\"", "value is not a valid list", "type_error.list"));
    faults_are(STR("\"x\""), true,
               FAULT_AT("\"ids\"", "value is not a valid list", "type_error.list"));
    faults_are(STR(" null "), false,
               FAULT_AT("\"items\"", "field required", "value_error.missing"));
}

static void a_body_that_is_no_json_is_nothing_else(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "[",
                                        "[[0,{}]",
                                        "[[0,{}],]",
                                        "[[0,{}]] 1",
                                        "[[0,{]]",
                                        "[[0,{\"a\":NaN}]]",
                                        "[[0 {}]]",
                                        "[[0,{}]x]",
                                        "[5,[0,{}",
                                        "[[0,{\"a\":\"\n\"}]]"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        OWNED_READ struct read items = read_body(str_of(texts[i]), false);
        assert_false(items.is_json);
        OWNED_READ struct read ids = read_body(str_of(texts[i]), true);
        assert_false(ids.is_json);
    }
}

static void only_the_first_hundred_faults_are_told(void **state)
{
    (void)state;
    OWNED_BUF struct buf text;
    buf_init(&text, BUF_NO_CAP);
    buf_add_text(&text, "[0");
    for (int i = 0; i < 150; i++)
        buf_add_text(&text, ",0");
    buf_add_char(&text, ']');
    OWNED_READ struct read r = read_body(buf_str(&text), false);
    assert_int_equal(r.faults.count, 151);
    size_t told = 0;
    buf_add_char(&r.faults.entries, '\0');
    for (const char *p = r.faults.entries.data; (p = strstr(p, "\"loc\"")); p++)
        told++;
    assert_int_equal(told, PLANCHET_FAULTS_MAX);
}

static void marked_ids_have_failed_without_a_reason(void **state)
{
    (void)state;
    OWNED_READ struct read r = read_body(STR("[3, \"4\" ,true]"), true);
    assert_true(r.is_json);
    assert_int_equal(r.items.count, 3);
    static const int64_t want[] = {3, 4, 1};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(r.items.entries[i].record, want[i]);
        assert_true(r.items.entries[i].failed);
        assert_int_equal(r.items.entries[i].len, 0);
    }
}

static void more_items_than_allowed_are_noticed(void **state)
{
    (void)state;
    OWNED_BUF struct buf text;
    buf_init(&text, BUF_NO_CAP);
    buf_add_text(&text, "[0");
    for (int i = 1; i < PLANCHET_ITEMS_MAX; i++)
        buf_add_text(&text, ",0");
    buf_add_char(&text, ']');
    {
        OWNED_READ struct read r = read_body(buf_str(&text), true);
        assert_false(r.items.full);
        assert_int_equal(r.items.count, PLANCHET_ITEMS_MAX);
    }
    text.len--;
    buf_add_text(&text, ",0]");
    OWNED_READ struct read r = read_body(buf_str(&text), true);
    assert_true(r.is_json);
    assert_true(r.items.full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_stand_on_lines_one_after_the_other),
        cmocka_unit_test(line_breaks_between_tokens_become_blanks),
        cmocka_unit_test(the_shortest_pairs_do_not_run_into_each_other),
        cmocka_unit_test(ids_are_what_python_makes_integers_of),
        cmocka_unit_test(what_is_no_id_is_told),
        cmocka_unit_test(what_is_no_pair_is_told),
        cmocka_unit_test(a_scalar_item_is_neither_object_nor_list),
        cmocka_unit_test(a_body_that_is_no_list_is_told),
        cmocka_unit_test(a_body_that_is_no_json_is_nothing_else),
        cmocka_unit_test(only_the_first_hundred_faults_are_told),
        cmocka_unit_test(marked_ids_have_failed_without_a_reason),
        cmocka_unit_test(more_items_than_allowed_are_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
