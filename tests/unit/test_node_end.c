/* test_node_end.c: what became of an attempt, in code, words and kind, and ends in their order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/node_end.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* Statuses as waitpid tells them. */
#define EXITED(code) ((code) << 8)
#define KILLED(number) (number)

static struct node_task a_task(int64_t attempt, int64_t max_attempts)
{
    static char name[] = "n", command[] = "true", logfile[] = "/dev/null";
    return (struct node_task){.task = 1,
                              .node = 1,
                              .name = name,
                              .command = command,
                              .logfile = logfile,
                              .attempt = attempt,
                              .max_attempts = max_attempts,
                              .timeout_s = 5};
}

static void statuses_are_codes_and_words(void **state)
{
    static const struct {
        int status;
        enum node_stop stop;
        int64_t said, code;
        const char *words, *type;
        enum node_end end;
    } rows[] = {
        {EXITED(0), STOP_NOT, 0, 0, "exit status 0", "ExitStatus", NODE_COMPLETED},
        {EXITED(3), STOP_NOT, 0, 3, "exit status 3", "ExitStatus", NODE_FAILED},
        {KILLED(9), STOP_NOT, 0, 137, "killed by signal 9 (Killed)", "Killed", NODE_FAILED},
        {EXITED(0), STOP_TIMEOUT, 0, 907, "took longer than 5 s", "TimeoutError", NODE_FAILED},
        {EXITED(0), STOP_ABORT, 0, 0, "aborted", "ExitStatus", NODE_ABORTED},
        {EXITED(1), STOP_NOT, 901, 901, "exit status 1", "ExitStatus", NODE_FAILED},
    };
    (void)state;
    struct node_task task = a_task(1, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct node_outcome outcome = {.code = rows[i].said};
        const struct node_past past = {&task, &outcome, rows[i].stop, rows[i].status};
        OWNED_MEM char *words = node_past_words(&past);
        assert_int_equal(node_past_code(&past), rows[i].code);
        assert_string_equal(words, rows[i].words);
        assert_string_equal(node_past_type(&past), rows[i].type);
        assert_int_equal(node_past_judge(&past, -1), rows[i].end);
    }
}

static void what_it_said_comes_before_its_status(void **state)
{
    (void)state;
    struct node_task task = a_task(1, 2);
    struct node_outcome outcome = {.code = 901};
    const struct node_past past = {&task, &outcome, STOP_NOT, EXITED(1)};
    node_outcome_take(&outcome,
                      STR("{\"type\":\"ValueError\",\"message\":\"no\",\"traceback\":\"t\"}"));
    node_outcome_take(&outcome, (struct str){0});
    OWNED_MEM char *words = node_past_words(&past);
    assert_string_equal(words, "ValueError: no");
    assert_string_equal(node_past_type(&past), "ValueError");
    assert_string_equal(outcome.traceback, "t");
    node_outcome_release(&outcome);
}

static void an_attempt_is_followed_by_another_unless_it_is_final(void **state)
{
    (void)state;
    struct node_task task = a_task(1, 2);
    struct node_outcome outcome = {.code = 7};
    const struct node_past past = {&task, &outcome, STOP_NOT, EXITED(7)};
    assert_int_equal(node_past_judge(&past, -1), NODE_RETRIED);
    assert_int_equal(node_past_judge(&past, 7), NODE_FAILED);
    outcome.final = true;
    assert_int_equal(node_past_judge(&past, -1), NODE_FAILED);
    outcome.final = false;
    task.attempt = 2;
    assert_int_equal(node_past_judge(&past, -1), NODE_FAILED);
}

static void ends_are_taken_in_their_order(void **state)
{
    (void)state;
    struct ended_list list = {0};
    struct node_task task = a_task(1, 1);
    struct node_outcome outcome = {0};
    assert_null(ended_list_take(&list));
    for (int64_t code = 1; code <= 3; code++) {
        const struct node_past past = {&task, &outcome, STOP_NOT, EXITED((int)code)};
        ended_list_add(&list, ended_new(&past, NODE_FAILED, 1.5, 0));
    }
    for (int64_t code = 1; code <= 2; code++) {
        OWNED(ended) struct ended *e = ended_list_take(&list);
        assert_int_equal(e->code, code);
    }
    ended_list_clear(&list);
    assert_null(ended_list_take(&list));
    const struct node_past past = {&task, &outcome, STOP_NOT, EXITED(0)};
    ended_list_add(&list, ended_new(&past, NODE_COMPLETED, 0, 0));
    OWNED(ended) struct ended *e = ended_list_take(&list);
    assert_int_equal(e->end, NODE_COMPLETED);
    assert_string_equal(e->tail, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_are_codes_and_words),
        cmocka_unit_test(what_it_said_comes_before_its_status),
        cmocka_unit_test(an_attempt_is_followed_by_another_unless_it_is_final),
        cmocka_unit_test(ends_are_taken_in_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
