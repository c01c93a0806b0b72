/* What a worker reports, read where it lies. */
#include "http/native/native_settlement.h"

#include "exact_body.h"

static void check_line(const struct settlement *s, size_t i, int64_t record, bool failed,
                       const char *line)
{
    const struct settle_entry *entry = &s->entries[i];
    assert_int_equal(entry->record, record);
    assert_int_equal(entry->failed, failed);
    struct str got = {entry->len ? s->body + entry->at : "", entry->len};
    if (!str_is(got, line))
        fail_msg("expected %s, not %.*s", line, (int)got.len, got.ptr);
}

static void results_and_failures_become_lines_in_their_order(void **state)
{
    (void)state;
    struct settlement s = {0};
    struct err err = {0};
    size_t len = 0;
    OWNED_MEM char *body = body_of("{\"results\":[[0,{\"a\" : 1}],[7,\"\\n\"] , [8 , null ]],"
                                   "\"failures\":[[1,\"why\"],[2,null]],\"lease\":\"abc\"}",
                                   &len);
    assert_true(settlement_read(&s, body, len, &err));
    assert_int_equal(s.count, 5);
    check_line(&s, 0, 0, false, "{\"a\" : 1}\n");
    check_line(&s, 1, 7, false, "\"\\n\"\n");
    check_line(&s, 2, 8, false, "null\n");
    check_line(&s, 3, 1, true, "\"why\"\n");
    check_line(&s, 4, 2, true, "");
    assert_true(str_is(s.lease, "\"abc\""));
    settlement_release(&s);
}

static void a_reason_may_say_more_than_a_text(void **state)
{
    (void)state;
    struct settlement s = {0};
    struct err err = {0};
    size_t len = 0;
    OWNED_MEM char *body =
        body_of("{\"failures\":[[1,{\"message\":\"no\",\n\"type\":\"KeyError\",\"final\":true}],"
                "[2,{\"retry_after_s\":1.5,\"throttled\":true,\"message\":null}],"
                "[3,{\"retry_after_s\":1e300,\"final\":null}],[4,{}]]}",
                &len);
    assert_true(settlement_read(&s, body, len, &err));
    assert_int_equal(s.count, 4);
    check_line(&s, 0, 1, true, "{\"message\":\"no\", \"type\":\"KeyError\",\"final\":true}\n");
    assert_true(s.entries[0].final && !s.entries[0].throttled);
    assert_true(s.entries[1].throttled && !s.entries[1].final);
    assert_int_equal(s.entries[0].retry_after_us, 0);
    assert_int_equal(s.entries[1].retry_after_us, 1500000);
    assert_int_equal(s.entries[2].retry_after_us, DATA_RETRY_DELAY_MAX_US);
    assert_false(s.entries[2].final);
    check_line(&s, 3, 4, true, "{}\n");
    settlement_release(&s);
}

static void records_that_gave_nothing_are_numbers(void **state)
{
    (void)state;
    struct settlement s = {0};
    struct err err = {0};
    size_t len = 0;
    OWNED_MEM char *body = body_of("{\"skipped\":[3, 1],\"results\":[[2,0]]}", &len);
    assert_true(settlement_read(&s, body, len, &err));
    assert_int_equal(s.count, 3);
    assert_true(s.entries[0].skipped && s.entries[1].skipped && !s.entries[2].skipped);
    check_line(&s, 0, 3, false, "");
    check_line(&s, 1, 1, false, "");
    settlement_release(&s);
}

static void line_breaks_between_tokens_become_blanks(void **state)
{
    (void)state;
    struct settlement s = {0};
    struct err err = {0};
    size_t len = 0;
    OWNED_MEM char *body = body_of("{\"results\":[[0,[1,\n2,\r\n\t3]],[1,{}\n]\n]}", &len);
    assert_true(settlement_read(&s, body, len, &err));
    check_line(&s, 0, 0, false, "[1, 2,  \t3]\n");
    check_line(&s, 1, 1, false, "{}\n");
    settlement_release(&s);
}

static void empty_settlements_are_fine(void **state)
{
    (void)state;
    static const char *const bodies[] = {"{}", "{\"results\":[],\"failures\":[]}",
                                         "{\"results\":null,\"lease\":null}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct settlement s = {0};
        struct err err = {0};
        size_t len = 0;
        OWNED_MEM char *body = body_of(bodies[i], &len);
        assert_true(settlement_read(&s, body, len, &err));
        assert_int_equal(s.count, 0);
        assert_int_equal(s.lease.len, 0);
        settlement_release(&s);
    }
}

static void what_is_wrong_is_named_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *body, *says;
    } cases[] = {
        {"", "body: byte 0"},
        {"[]", "body: byte 0"},
        {"{\"results\":{}}", "results: expected a list of pairs"},
        {"{\"results\":[[0,1],2]}", "results[1]: expected a pair"},
        {"{\"results\":[[0]]}", "results[0]: expected a pair"},
        {"{\"results\":[[0,1,2,3]]}", "results[0]: expected a pair"},
        {"{\"results\":[[-1,0]]}", "results[0]: expected a record's number"},
        {"{\"results\":[[70368744177664,0]]}", "results[0]: expected a record's number"},
        {"{\"failures\":[[0,\"x\"],[1,7]]}", "failures[1]: expected a reason"},
        {"{\"failures\":[[0,{\"message\":1}]]}", "failures[0]: message: expected a text or null"},
        {"{\"failures\":[[0,{\"type\":[]}]]}", "failures[0]: type: expected a text or null"},
        {"{\"failures\":[[0,{\"final\":1}]]}", "failures[0]: final: expected true or false"},
        {"{\"failures\":[[0,{\"throttled\":\"\"}]]}", "failures[0]: throttled: expected true"},
        {"{\"failures\":[[0,{\"retry_after_s\":-1}]]}", "failures[0]: retry_after_s: expected"},
        {"{\"failures\":[[0,{\"why\":1}]]}", "failures[0]: a reason has message, type"},
        {"{\"skipped\":{}}", "skipped: expected a list of numbers"},
        {"{\"skipped\":[1,-1]}", "skipped[1]: expected a record's number"},
        {"{\"skipped\":[1", "body: byte 13"},
        {"{\"failure\":[]}", "unknown member \"failure\""},
        {"{\"results\":[[0,1]", "body: byte 17"},
        {"{\"results\":[[0,01]]}", "body: byte 1"},
        {"{\"results\":[[0,1]]} x", "body: byte 20"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct settlement s = {0};
        struct err err = {0};
        size_t len = 0;
        OWNED_MEM char *body = body_of(cases[i].body, &len);
        assert_false(settlement_read(&s, body, len, &err));
        assert_int_equal(err.code, ERR_INVALID);
        if (strncmp(err.text, cases[i].says, strlen(cases[i].says)) != 0)
            fail_msg("%s: %s", cases[i].body, err.text);
        settlement_release(&s);
    }
}

static void too_many_results_at_once_are_refused(void **state)
{
    (void)state;
    struct settlement s = {0};
    struct err err = {0};
    OWNED_BUF struct buf b;
    buf_init(&b, BUF_NO_CAP);
    buf_add_text(&b, "{\"results\":[[0,0]");
    for (int i = 0; i < SETTLEMENT_MAX; i++)
        buf_add_text(&b, ",[1,1]");
    buf_add_text(&b, "]}");
    assert_false(settlement_read(&s, b.data, b.len, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    settlement_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_and_failures_become_lines_in_their_order),
        cmocka_unit_test(a_reason_may_say_more_than_a_text),
        cmocka_unit_test(records_that_gave_nothing_are_numbers),
        cmocka_unit_test(line_breaks_between_tokens_become_blanks),
        cmocka_unit_test(empty_settlements_are_fine),
        cmocka_unit_test(what_is_wrong_is_named_with_its_place),
        cmocka_unit_test(too_many_results_at_once_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
