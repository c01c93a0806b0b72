/* Retry policies: what is read, and when the next attempt is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/retry.h"

#include <stdio.h>

static struct rng rng;

static struct retry_policy read_policy(const char *json)
{
    struct retry_policy p;
    struct err err;
    retry_policy_init(&p);
    if (!retry_policy_read(str_of(json), &p, &err))
        fail_msg("%s", err.text);
    return p;
}

/* In seconds, -1: no other attempt. */
static double delay(const struct retry_policy *p, int64_t attempt, const char *type)
{
    int64_t us = 0;
    return retry_decide(p, attempt, str_of(type), &rng, &us) ? (double)us / 1e6 : -1;
}

static void delays_grow_as_the_kind_says(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        double first, second, fifth;
    } cases[] = {
        {"{\"jitter\":0}", 1, 2, 16},
        {"{\"jitter\":0,\"kind\":\"fixed\",\"delay_s\":2.5}", 2.5, 2.5, 2.5},
        {"{\"jitter\":0,\"kind\":\"linear\",\"delay_s\":3}", 3, 6, 15},
        {"{\"jitter\":0,\"factor\":3,\"max_delay_s\":50}", 1, 3, 50},
        {"{\"jitter\":0,\"delay_s\":0}", 0, 0, 0},
        {"{\"jitter\":0,\"delay_s\":null,\"kind\":null}", 1, 2, 16},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct retry_policy p = read_policy(cases[i].json);
        assert_true(delay(&p, 1, "") == cases[i].first);
        assert_true(delay(&p, 2, "") == cases[i].second);
        assert_true(delay(&p, 5, "") == cases[i].fifth);
        retry_policy_release(&p);
    }
}

static void growth_never_overflows(void **state)
{
    (void)state;
    struct retry_policy p = read_policy("{\"factor\":1000,\"max_delay_s\":31622400}");
    for (int64_t attempt = 1; attempt <= 1000000; attempt = attempt * 3) {
        double d = delay(&p, attempt, "");
        assert_true(d >= 0 && d <= 31622400);
    }
    retry_policy_release(&p);
    p = read_policy("{\"factor\":1000,\"delay_s\":0}");
    assert_true(delay(&p, 1000000, "") == 0);
    retry_policy_release(&p);
}

static void jitter_spreads_to_both_sides_and_never_above_the_most(void **state)
{
    (void)state;
    struct retry_policy p = read_policy("{\"kind\":\"fixed\",\"delay_s\":100,\"jitter\":0.2}");
    double least = 1e9, most = 0;
    for (int i = 0; i < 10000; i++) {
        double d = delay(&p, 1, "");
        least = d < least ? d : least;
        most = d > most ? d : most;
    }
    assert_true(least >= 80 && least < 81 && most <= 120 && most > 119);
    p.max_delay_us = 100 * 1000000;
    for (int i = 0; i < 10000; i++) {
        double d = delay(&p, 1, "");
        assert_true(d <= 100 && d >= 80);
    }
    retry_policy_release(&p);
}

static void the_first_rule_of_the_errors_type_wins(void **state)
{
    (void)state;
    struct retry_policy p =
        read_policy("{\"jitter\":0,\"errors\":[{\"type\":\"ValueError\",\"retry\":false},"
                    "{\"type\":\"Busy\",\"delay_s\":9},{\"type\":\"Busy\",\"retry\":false},"
                    "{\"type\":\"Plain\"}]}");
    assert_true(delay(&p, 1, "ValueError") < 0);
    assert_true(delay(&p, 4, "Busy") == 9);
    assert_true(delay(&p, 4, "Plain") == 8);
    assert_true(delay(&p, 4, "Other") == 8);
    assert_true(delay(&p, 4, "") == 8);
    retry_policy_release(&p);
}

static void what_is_wrong_is_named_and_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *json, *says;
    } cases[] = {
        {"7", "retry: byte 0"},
        {"{\"kind\":\"square\"}", "retry.kind"},
        {"{\"kind\":7}", "retry.kind"},
        {"{\"delay_s\":-1}", "retry.delay_s"},
        {"{\"delay_s\":\"1\"}", "retry.delay_s"},
        {"{\"max_delay_s\":31622401}", "retry.max_delay_s"},
        {"{\"factor\":0.5}", "retry.factor"},
        {"{\"factor\":1001}", "retry.factor"},
        {"{\"jitter\":1.1}", "retry.jitter"},
        {"{\"errors\":{}}", "retry.errors"},
        {"{\"errors\":[1]}", "retry.errors"},
        {"{\"errors\":[{}]}", "retry.errors"},
        {"{\"errors\":[{\"type\":\"\"}]}", "retry.errors.type"},
        {"{\"errors\":[{\"type\":\"A\",\"retry\":1}]}", "retry.errors.retry"},
        {"{\"errors\":[{\"type\":\"A\",\"delay_s\":-1}]}", "retry.errors.delay_s"},
        {"{\"errors\":[{\"type\":\"A\",\"what\":1}]}", "retry.errors"},
        {"{\"delay_s\":9,\"tries\":1}", "unknown member \"tries\""},
        {"{\"delay_s\":9", "retry: byte"},
    };
    struct retry_policy p = read_policy("{\"delay_s\":4,\"errors\":[{\"type\":\"A\"}]}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        assert_false(retry_policy_read(str_of(cases[i].json), &p, &err));
        assert_int_equal(err.code, ERR_INVALID);
        if (!strstr(err.text, cases[i].says))
            fail_msg("%s: %s", cases[i].json, err.text);
        assert_int_equal(p.delay_us, 4000000);
        assert_int_equal(p.rule_count, 1);
    }
    retry_policy_release(&p);
}

static void rules_are_many_but_not_without_end(void **state)
{
    (void)state;
    struct err err;
    for (int count = RETRY_RULES_MAX; count <= RETRY_RULES_MAX + 1; count++) {
        OWNED_BUF struct buf json;
        struct retry_policy p;
        buf_init(&json, BUF_NO_CAP);
        buf_add_text(&json, "{\"errors\":[");
        for (int i = 0; i < count; i++)
            buf_add_format(&json, "%s{\"type\":\"E%d\"}", i ? "," : "", i);
        buf_add_text(&json, "]}");
        retry_policy_init(&p);
        assert_int_equal(retry_policy_read(buf_str(&json), &p, &err), count == RETRY_RULES_MAX);
        retry_policy_release(&p);
    }
    assert_int_equal(err.code, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delays_grow_as_the_kind_says),
        cmocka_unit_test(growth_never_overflows),
        cmocka_unit_test(jitter_spreads_to_both_sides_and_never_above_the_most),
        cmocka_unit_test(the_first_rule_of_the_errors_type_wins),
        cmocka_unit_test(what_is_wrong_is_named_and_changes_nothing),
        cmocka_unit_test(rules_are_many_but_not_without_end),
    };
    rng_init(&rng, 3);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
