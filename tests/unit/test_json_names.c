/* Which names an object has had. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json_names.h"
#include "base/own.h"

#include <stdlib.h>

static void a_name_that_comes_twice_is_noticed(void **state)
{
    (void)state;
    struct json_names seen = {0};
    assert_true(json_names_add(&seen, STR("\"lease\"")));
    assert_true(json_names_add(&seen, STR("\"leases\"")));
    assert_true(json_names_add(&seen, STR("\"\"")));
    assert_false(json_names_add(&seen, STR("\"lease\"")));
    assert_false(json_names_add(&seen, STR("\"\"")));
    assert_int_equal(seen.count, 3);
}

static void however_it_is_written(void **state)
{
    (void)state;
    struct json_names seen = {0};
    assert_true(json_names_add(&seen, STR("\"lease\"")));
    assert_false(json_names_add(&seen, STR("\"l\\u0065ase\"")));
    assert_true(json_names_add(&seen, STR("\"\\u0041\"")));
    assert_false(json_names_add(&seen, STR("\"A\"")));
    assert_false(json_names_add(&seen, STR("\"\\u0041\"")));
    assert_true(json_names_add(&seen, STR("\"\\u0042\"")));
}

static void of_very_many_the_first_are_remembered(void **state)
{
    (void)state;
    struct json_names seen = {0};
    char *names[JSON_NAMES_MAX + 1];
    for (int i = 0; i <= JSON_NAMES_MAX; i++) {
        names[i] = xasprintf("\"n%d\"", i);
        assert_true(json_names_add(&seen, str_of(names[i])));
    }
    assert_false(json_names_add(&seen, str_of(names[0])));
    assert_true(json_names_add(&seen, str_of(names[JSON_NAMES_MAX])));
    for (int i = 0; i <= JSON_NAMES_MAX; i++)
        free(names[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_comes_twice_is_noticed),
        cmocka_unit_test(however_it_is_written),
        cmocka_unit_test(of_very_many_the_first_are_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
