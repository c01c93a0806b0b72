/* What a worker reports of tasks, and what it claims, read where it lies. */
#include "http/native/task_settlement.h"

#include "exact_body.h"

static void check_entry(const struct task_settlement *s, size_t i, int64_t id,
                        enum task_outcome outcome, const char *value)
{
    assert_int_equal(s->entries[i].id, id);
    assert_int_equal(s->entries[i].outcome, outcome);
    check_text(s->entries[i].value, value);
}

static void outcomes_are_read_in_their_order(void **state)
{
    (void)state;
    struct task_settlement s = {0};
    struct err err = {0};
    size_t len = 0;
    OWNED_MEM char *body =
        body_of("{\"lease\":\"abc\",\"completed\":[[7,{\"pages\" : 3}],[8, null ]],"
                "\"failures\":[[9,\"why\"],[10,null],[11,{\"message\":\"m\",\"type\":\"K\\u0065y\","
                "\"traceback\":\"t\",\"final\":true,\"retry_after_s\":1.5}]],\"aborted\":[12, 13],"
                "\"enqueue\":[{\"of\":7,\"function\":\"next\",\"keep_s\":1}],"
                "\"claim\":{\"max\":5,\"queues\":[\"a\",\"b\"],\"wait_s\":0,\"holds\":[1]}}",
                &len);
    assert_true(task_settlement_read(&s, body, len, &err));
    check_text(s.lease, "abc");
    assert_int_equal(s.count, 7);
    check_entry(&s, 0, 7, TASK_COMPLETED, "{\"pages\" : 3}");
    check_entry(&s, 1, 8, TASK_COMPLETED, "");
    check_entry(&s, 2, 9, TASK_FAILED, "{\"message\":\"why\"}");
    check_entry(&s, 3, 10, TASK_FAILED, "{}");
    check_entry(&s, 4, 11, TASK_FAILED,
                "{\"message\":\"m\",\"type\":\"K\\u0065y\",\"traceback\":\"t\"}");
    check_text(s.entries[4].type, "Key");
    assert_true(s.entries[4].final && !s.entries[2].final);
    assert_int_equal(s.entries[4].retry_after_us, 1500000);
    check_entry(&s, 5, 12, TASK_ABORTED, "");
    check_entry(&s, 6, 13, TASK_ABORTED, "");
    assert_int_equal(s.enqueue.count, 1);
    assert_int_equal(s.enqueue.tasks[0].of, 7);
    check_text(s.enqueue.tasks[0].options, "{\"keep_s\":1}");
    assert_true(s.claims);
    struct task_claim claim = {0};
    task_claim_body_apply(&s.claim, &claim);
    assert_int_equal(claim.max, 5);
    assert_int_equal(claim.queue_count, 2);
    check_text(claim.queues[1], "b");
    assert_null(claim.functions);
    assert_true(claim.has_holds && claim.holds_count == 1 && claim.holds[0] == 1);
    task_settlement_release(&s);
}

static void waits_are_as_long_as_they_may_be(void **state)
{
    (void)state;
    struct task_settlement s = {0};
    struct err err = {0};
    size_t len = 0;
    OWNED_MEM char *body = body_of("{\"lease\":\"a\",\"failures\":[[1,{\"retry_after_s\":1e300}],"
                                   "[2,{\"retry_after_s\":0}],[3,{\"retry_after_s\":null}]]}",
                                   &len);
    assert_true(task_settlement_read(&s, body, len, &err));
    assert_true(s.entries[0].retry_after_us > INT64_C(365) * 86400 * 1000000);
    assert_int_equal(s.entries[1].retry_after_us, 1);
    assert_int_equal(s.entries[2].retry_after_us, 0);
    task_settlement_release(&s);
}

static void a_long_type_is_cut_at_a_character(void **state)
{
    (void)state;
    struct task_settlement s = {0};
    struct err err = {0};
    OWNED_BUF struct buf b;
    buf_init(&b, BUF_NO_CAP);
    buf_add_text(&b, "{\"lease\":\"a\",\"failures\":[[1,{\"type\":\"x");
    for (int i = 0; i < 300; i++)
        buf_add_text(&b, "\xc3\xa9");
    buf_add_text(&b, "\"}]]}");
    assert_true(task_settlement_read(&s, b.data, b.len, &err));
    assert_int_equal(s.entries[0].type.len, 511);
    assert_true(str_is_utf8(s.entries[0].type));
    task_settlement_release(&s);
}

static void a_settlement_may_be_empty(void **state)
{
    (void)state;
    struct task_settlement s = {0};
    struct err err = {0};
    size_t len = 0;
    OWNED_MEM char *body = body_of("{\"completed\":null,\"failures\":[],\"claim\":null,"
                                   "\"enqueue\":null,\"aborted\":[],\"lease\":\"\\u0061\"}",
                                   &len);
    assert_true(task_settlement_read(&s, body, len, &err));
    assert_int_equal(s.count, 0);
    assert_false(s.claims);
    check_text(s.lease, "a");
    task_settlement_release(&s);
}

static void what_is_wrong_is_named_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *body, *says;
    } cases[] = {
        {"", "body: byte 0"},
        {"[]", "body: byte 0"},
        {"{}", "lease: is required"},
        {"{\"lease\":5}", "lease: expected a token, not 5"},
        {"{\"lease\":null}", "lease: expected a token, not null"},
        {"{\"results\":[]}", "unknown member \"results\""},
        {"{\"completed\":{}}", "completed: expected a list, not {}"},
        {"{\"completed\":[[7,1],8]}", "completed[1]: expected a pair [id, value], not 8"},
        {"{\"completed\":[[7]]}", "completed[0]: expected a pair [id, value], not 1 values"},
        {"{\"completed\":[[7,1,2,3]]}", "completed[0]: expected a pair [id, value], not 4 values"},
        {"{\"completed\":[[0,1]]}", "completed[0]: expected a task's id, not 0"},
        {"{\"completed\":[[\"7\",1]]}", "completed[0]: expected a task's id, not \"7\""},
        {"{\"failures\":[[7,8]]}", "failures[0]: expected a reason: an object, a text or null"},
        {"{\"failures\":[[7,{\"message\":1}]]}", "failures[0].message: expected a text or null"},
        {"{\"failures\":[[7,{\"type\":[]}]]}", "failures[0].type: expected a text or null"},
        {"{\"failures\":[[7,{\"traceback\":1}]]}", "failures[0].traceback: expected a text"},
        {"{\"failures\":[[7,{\"final\":1}]]}", "failures[0].final: expected true or false"},
        {"{\"failures\":[[7,{\"retry_after_s\":-1}]]}", "failures[0].retry_after_s: expected sec"},
        {"{\"failures\":[[7,{\"why\":1}]]}", "failures[0]: unknown member \"why\""},
        {"{\"aborted\":[1,-1]}", "aborted[1]: expected a task's id, not -1"},
        {"{\"enqueue\":{}}", "enqueue: expected a list of tasks, not {}"},
        {"{\"enqueue\":[{\"function\":\"f\",\"priority\":[]}]}", "enqueue[0].priority: expected"},
        {"{\"enqueue\":[{\"function\":\"f\",\"of\":0}]}", "enqueue[0].of: expected a whole"},
        {"{\"claim\":5}", "claim: expected an object or null, not 5"},
        {"{\"claim\":{\"max\":-1}}", "claim.max: expected a whole number from 0 to 10000, not -1"},
        {"{\"claim\":{\"wait_s\":1}}", "claim.wait_s: expected seconds from 0 to 0, not 1"},
        {"{\"claim\":{\"queues\":\"a\"}}", "claim.queues: expected a list of names, or null"},
        {"{\"claim\":{\"queues\":[]}}", "claim.queues: expected at least one name"},
        {"{\"claim\":{\"queues\":[\"a\",1]}}", "claim.queues[1]: expected a name, not 1"},
        {"{\"claim\":{\"lease\":\"a\"}}", "claim: unknown member \"lease\""},
        {"{\"claim\":{\"holds\":[0]}}", "claim.holds[0]: expected an id, not 0"},
        {"{\"completed\":[[7,1]", "body: byte 19"},
        {"{\"completed\":[[7,01]]}", "body: byte 1"},
        {"{\"aborted\":[1", "body: byte 13"},
        {"{\"failures\":[[7,{\"message\":\"", "body: byte"},
        {"{\"enqueue\":[{", "body: byte"},
        {"{\"claim\":{\"max\":", "body: byte"},
        {"{\"lease\":\"a\"} x", "body: byte 14"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct task_settlement s = {0};
        struct err err = {0};
        size_t len = 0;
        OWNED_MEM char *body = body_of(cases[i].body, &len);
        if (task_settlement_read(&s, body, len, &err))
            fail_msg("%s was taken", cases[i].body);
        assert_int_equal(err.code, ERR_INVALID);
        if (strncmp(err.text, cases[i].says, strlen(cases[i].says)) != 0)
            fail_msg("%s: %s", cases[i].body, err.text);
        task_settlement_release(&s);
    }
}

static void too_many_outcomes_at_once_are_refused(void **state)
{
    (void)state;
    struct task_settlement s = {0};
    struct err err = {0};
    OWNED_BUF struct buf b;
    buf_init(&b, BUF_NO_CAP);
    buf_add_text(&b, "{\"lease\":\"a\",\"aborted\":[1");
    for (int i = 0; i < TASK_SETTLEMENT_MAX; i++)
        buf_add_text(&b, ",1");
    buf_add_text(&b, "]}");
    assert_false(task_settlement_read(&s, b.data, b.len, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    task_settlement_release(&s);
}

static bool read_claim(const char *text, struct task_claim_body *c, char **body, struct err *err)
{
    struct json j;
    size_t len = 0;
    *body = body_of(text, &len);
    json_open(&j, (struct str){*body, len});
    return task_claim_body_read(c, &j, false, err) && json_end(&j);
}

static void a_first_claim_says_who_works(void **state)
{
    (void)state;
    struct task_claim_body c = {0};
    struct err err = {0};
    OWNED_MEM char *body = NULL;
    assert_true(
        read_claim("{\"queues\":[\"in\\u0067\"],\"functions\":null,\"max\":10,\"wait_s\":30,"
                   "\"worker\":\"host:4711\",\"lease_s\":20}",
                   &c, &body, &err));
    assert_int_equal(c.queue_count, 1);
    check_text(c.queues[0], "ing");
    assert_null(c.functions);
    assert_int_equal(c.max, 10);
    assert_int_equal(c.wait_us, 30000000);
    assert_int_equal(c.lease_us, 20000000);
    check_text(c.worker, "host:4711");
    assert_false(c.has_holds);
    task_claim_body_release(&c);
}

static void a_claim_has_defaults(void **state)
{
    (void)state;
    struct task_claim_body c = {0};
    struct err err = {0};
    OWNED_MEM char *body = NULL;
    assert_true(read_claim("{}", &c, &body, &err));
    assert_int_equal(c.max, 1);
    assert_int_equal(c.wait_us, 0);
    assert_int_equal(c.lease_us, 0);
    task_claim_body_release(&c);
}

static void a_claim_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *body, *says;
    } cases[] = {
        {"{\"lease_s\":0.5}", "lease_s: expected seconds from 1 to 86400, not 0.5"},
        {"{\"wait_s\":3601}", "wait_s: expected seconds from 0 to 3600, not 3601"},
        {"{\"holds\":[1]}", "holds: goes with lease"},
        {"{\"holds\":5,\"lease\":\"a\"}", "holds: expected a list of ids, not 5"},
        {"{\"worker\":\"\"}", "worker: expected 1 to 512 bytes"},
        {"{\"worker\":7}", "worker: expected a text, not 7"},
        {"{\"keep\":true}", "unknown member \"keep\""},
        {"{\"functions\":{}}", "functions: expected a list of names, or null for all, not {}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct task_claim_body c = {0};
        struct err err = {0};
        OWNED_MEM char *body = NULL;
        assert_false(read_claim(cases[i].body, &c, &body, &err));
        if (strncmp(err.text, cases[i].says, strlen(cases[i].says)) != 0)
            fail_msg("%s: %s", cases[i].body, err.text);
        task_claim_body_release(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outcomes_are_read_in_their_order),
        cmocka_unit_test(waits_are_as_long_as_they_may_be),
        cmocka_unit_test(a_long_type_is_cut_at_a_character),
        cmocka_unit_test(a_settlement_may_be_empty),
        cmocka_unit_test(what_is_wrong_is_named_with_its_place),
        cmocka_unit_test(too_many_outcomes_at_once_are_refused),
        cmocka_unit_test(a_first_claim_says_who_works),
        cmocka_unit_test(a_claim_has_defaults),
        cmocka_unit_test(a_claim_that_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
