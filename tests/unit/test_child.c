/* test_child.c: every state of a worker process and everything that can happen in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/child.h"

#include <string.h>

/* One letter a state: what follows the event, '-' when it cannot come. */
static const char letters[] = "RSWAYLFKEG";
static const struct {
    enum child_state state;
    const char *next; /* in the order of enum child_event */
} expected[CHILD_STATE_COUNT] = {
    /*                   hello go bye recycle failure stop kill due exit */
    {CHILD_RESTING, "-----G-S-"}, {CHILD_STARTING, "W---FEK-R"},  {CHILD_WAITING, "-A--FLK-R"},
    {CHILD_WORKING, "--FYFLK-R"}, {CHILD_RECYCLING, "-----FKKR"}, {CHILD_LEAVING, "--FFFLEEG"},
    {CHILD_LEFT, "----FFEEG"},    {CHILD_KILLED, "K-EKEEK-R"},    {CHILD_ENDED, "E-EEEEE-G"},
    {CHILD_GONE, "-----G---"},
};

static void every_event_in_every_state_leads_where_the_table_says(void **state)
{
    (void)state;
    for (int s = 0; s < CHILD_STATE_COUNT; s++)
        for (int e = 0; e < CHILD_EVENT_COUNT; e++) {
            enum child_state to = CHILD_STATE_COUNT;
            assert_int_equal(expected[s].state, s);
            bool comes = child_next((enum child_state)s, (enum child_event)e, &to);
            assert_int_equal(comes ? letters[to] : '-', expected[s].next[e]);
            assert_true(comes || to == CHILD_STATE_COUNT);
        }
}

static void after_a_stop_nothing_is_replaced(void **state)
{
    (void)state;
    for (int s = 0; s < CHILD_STATE_COUNT; s++) {
        enum child_state now = CHILD_GONE;
        assert_true(child_next((enum child_state)s, CHILD_STOP, &now));
        /* Whatever comes now, in any order of three, there is no way back. */
        for (int i = 0; i < CHILD_EVENT_COUNT * CHILD_EVENT_COUNT * CHILD_EVENT_COUNT; i++) {
            enum child_state at = now;
            for (int rest = i, step = 0; step < 3; step++, rest /= CHILD_EVENT_COUNT) {
                enum child_event event = (enum child_event)(rest % CHILD_EVENT_COUNT);
                (void)child_next(at, event, &at);
                assert_true(at == CHILD_LEAVING || at == CHILD_LEFT || at == CHILD_ENDED ||
                            at == CHILD_GONE);
            }
        }
    }
}

static void a_process_is_there_until_it_is_reaped(void **state)
{
    (void)state;
    for (int s = 0; s < CHILD_STATE_COUNT; s++) {
        assert_int_equal(child_is_there((enum child_state)s),
                         s != CHILD_RESTING && s != CHILD_GONE);
        /* Only a process that is there can end. */
        enum child_state to = CHILD_GONE;
        assert_int_equal(child_next((enum child_state)s, CHILD_EXIT, &to),
                         child_is_there((enum child_state)s));
    }
}

static void every_state_has_its_name(void **state)
{
    (void)state;
    for (int s = 0; s < CHILD_STATE_COUNT; s++)
        for (int other = 0; other < s; other++)
            assert_string_not_equal(child_state_name((enum child_state)s),
                                    child_state_name((enum child_state)other));
    assert_string_equal(child_state_name(CHILD_STATE_COUNT), "unknown");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_in_every_state_leads_where_the_table_says),
        cmocka_unit_test(after_a_stop_nothing_is_replaced),
        cmocka_unit_test(a_process_is_there_until_it_is_reaped),
        cmocka_unit_test(every_state_has_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
