/* test_step_token.c: the tokens of runs of step jobs. */
#include "step_temp.h"

#include "engine/step_token.h"

static void a_token_is_its_runs_alone(void **state)
{
    struct bench *b = *state;
    struct step_token token = {.job = 7, .fence = 2, .owner = "lab-1"}, read;
    char text[STEP_TOKEN_SIZE];
    step_token_write(b->engine, &token, text);
    assert_true(step_token_read(b->engine, str_of(text), &read));
    assert_int_equal(read.job, 7);
    assert_int_equal(read.fence, 2);
    assert_string_equal(read.owner, "lab-1");
    for (size_t i = 0; text[i]; i++) {
        char kept = text[i];
        text[i] = kept == '1' ? '2' : '1';
        assert_false(step_token_read(b->engine, str_of(text), &read));
        text[i] = kept;
    }
    assert_false(step_token_read(b->engine, STR(""), &read));
    assert_false(step_token_read(b->engine, STR("st:1:1:a"), &read));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(a_token_is_its_runs_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
