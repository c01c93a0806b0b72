/* test_step_runs.c: which runs of step jobs go on. */
#include "step_temp.h"

#include "engine/step_runs.h"

static void only_the_last_run_of_a_job_goes_on(void **state)
{
    struct step_runs *r = step_runs_new();
    (void)state;
    assert_false(step_runs_has(r, 7, 1));
    step_runs_set(r, 7, 1);
    step_runs_set(r, 8, 1);
    assert_true(step_runs_has(r, 7, 1));
    assert_false(step_runs_has(r, 7, 2));
    step_runs_set(r, 7, 2);
    assert_false(step_runs_has(r, 7, 1));
    assert_true(step_runs_has(r, 7, 2));
    step_runs_set(r, 7, 0);
    step_runs_set(r, 7, 0);
    assert_false(step_runs_has(r, 7, 2));
    assert_false(step_runs_has(r, 7, 0));
    assert_true(step_runs_has(r, 8, 1));
    step_runs_free(r);
    step_runs_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_last_run_of_a_job_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
