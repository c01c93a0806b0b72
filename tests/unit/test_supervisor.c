/* test_supervisor.c: processes that come, go, die, hang and are stopped. They are shell scripts
 * that speak on descriptor 3; time beyond what happens at once is passed in, not waited for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/supervisor.h"
#include "run/worker_process.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND_US INT64_C(1000000)
enum { DEADLINE_MS = 30000 };

/* What was told, one word or line each, with '|' behind. */
struct world {
    struct supervisor *supervisor;
    struct buf told;
    int64_t later_us; /* how far the clock is ahead of the real one */
};

static const struct worker_go go = {.server = "unix:///x", .job = "run"};

static void note(void *context, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(void *context, const char *format, ...)
{
    char text[300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_add_format(&((struct world *)context)->told, "%s|", text);
}

static void on_hello(void *context, struct str body)
{
    note(context, "hello %.*s", (int)body.len, body.ptr);
}

static void on_line(void *context, int number, struct str text)
{
    note(context, "%d: %.*s", number, (int)text.len, text.ptr);
}

static void on_log(void *context, int number, struct str body)
{
    note(context, "log %d %.*s", number, (int)body.len, body.ptr);
}

static void on_died(void *context, int number, const char *how, const char *lease, bool replaced)
{
    note(context, "died %d %s lease %s%s", number, how, lease ? lease : "none",
         replaced ? " replaced" : "");
}

static void on_recycled(void *context, int number, int64_t ran)
{
    note(context, "recycled %d after %lld", number, (long long)ran);
}

static void on_failed(void *context, const char *where, const char *text, const char *traceback)
{
    note(context, "failed %s %s %s", where, text, traceback);
}

static const struct supervisor_hooks hooks = {on_hello, on_line,     on_log,
                                              on_died,  on_recycled, on_failed};

static struct instant now_of(const struct world *w)
{
    struct instant now = clock_now();
    now.mono_us += w->later_us;
    return now;
}

static const char *argv_of[] = {"/bin/sh", "-c", NULL, NULL};

static void begin_with(struct world *w, const char *script, struct supervisor_plan plan)
{
    struct err err;
    w->later_us = 0;
    buf_init(&w->told, 1 << 16);
    argv_of[2] = script;
    plan.argv = argv_of;
    plan.hooks = &hooks;
    plan.context = w;
    if (plan.processes == 0)
        plan.processes = 1;
    plan.grace_us = SECOND_US;
    if (!supervisor_start(&plan, now_of(w), &w->supervisor, &err))
        fail_msg("%s", err.text);
}

static void begin(struct world *w, const char *script)
{
    begin_with(w, script, (struct supervisor_plan){0});
}

static bool was_told(struct world *w, const char *text)
{
    return w->told.len && memmem(w->told.data, w->told.len, text, strlen(text));
}

static void step(struct world *w)
{
    struct pollfd fd = {.fd = supervisor_fd(w->supervisor), .events = POLLIN};
    int64_t next = supervisor_next_us(w->supervisor);
    int64_t left = next == NEVER_US ? NEVER_US : (next - now_of(w).mono_us + 999) / 1000;
    int ms = left > DEADLINE_MS ? DEADLINE_MS : left < 0 ? 0 : (int)left;
    if (poll(&fd, 1, ms) == 0 && ms == DEADLINE_MS)
        fail_msg("nothing happened; told: %.*s", (int)w->told.len, w->told.data);
    supervisor_step(w->supervisor, now_of(w));
}

static void until_told(struct world *w, const char *text)
{
    while (!was_told(w, text) && !supervisor_is_over(w->supervisor))
        step(w);
    if (!was_told(w, text))
        fail_msg("never told: %s; told: %.*s", text, (int)w->told.len, w->told.data);
}

static void until_over(struct world *w)
{
    while (!supervisor_is_over(w->supervisor))
        step(w);
}

static void assert_told(struct world *w, const char *expected)
{
    buf_add_char(&w->told, '\0');
    assert_string_equal(w->told.data, expected);
}

static void end(struct world *w)
{
    supervisor_free(w->supervisor);
    buf_release(&w->told);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left */
}

static void all_processes_are_told_and_leave_by_themselves(void **state)
{
    (void)state;
    struct world w;
    begin_with(
        &w,
        "echo '{\"hello\":{\"pid\":1}}' >&3; read -r line <&3; echo \"got $line\" |"
        " sed 's/\"worker[^,]*,//'; echo '{\"bye\":{\"ran\":3,\"reason\":\"finished\"}}' >&3",
        (struct supervisor_plan){.processes = 2});
    until_told(&w, "hello {\"pid\":1}|");
    supervisor_go(w.supervisor, &go, now_of(&w));
    until_over(&w);
    assert_int_equal(supervisor_failure(w.supervisor)->code, ERR_NONE);
    assert_int_equal(supervisor_deaths(w.supervisor), 0);
    assert_true(was_told(&w, "1: got {\"go\":{\"server\":\"unix:///x\""));
    assert_true(was_told(&w, "2: got {\"go\":{\"server\":\"unix:///x\""));
    /* One hello, whatever the number of processes. */
    assert_null(memmem(w.told.data + 1, w.told.len - 1, "hello", 5));
    end(&w);
}

static void what_it_says_is_passed_on(void **state)
{
    (void)state;
    struct world w;
    begin(&w, "echo '{\"hello\":{}}' >&3; read -r line <&3; echo one; echo two >&2;"
              " echo nonsense >&3; echo '{\"ready\":{}}' >&3;"
              " echo '{\"log\":{\"text\":\"a\"}}' >&3; exec >&- 2>&-;"
              " echo '{\"bye\":{\"ran\":1,\"reason\":\"finished\"}}' >&3");
    until_told(&w, "hello {}|");
    supervisor_go(w.supervisor, &go, now_of(&w));
    until_over(&w);
    assert_true(was_told(&w, "|1: one|1: two|"));
    assert_true(was_told(&w, "|1: a worker said what is no message: nonsense|"));
    assert_true(was_told(&w, "|log 1 {\"text\":\"a\"}|"));
    end(&w);
}

static void who_dies_is_replaced_and_its_lease_told(void **state)
{
    (void)state;
    struct world w;
    char mark[] = "/tmp/supervisor-XXXXXX";
    assert_non_null(mkdtemp(mark));
    OWNED_MEM char *script =
        xasprintf("echo '{\"hello\":{}}' >&3; read -r line <&3; echo '{\"ready\":{}}' >&3;"
                  " echo '{\"lease\":\"L1\"}' >&3; rmdir %s 2>/dev/null && kill -9 $$;"
                  " echo '{\"bye\":{\"ran\":1,\"reason\":\"finished\"}}' >&3",
                  mark);
    begin(&w, script);
    until_told(&w, "hello {}|");
    supervisor_go(w.supervisor, &go, now_of(&w));
    until_over(&w);
    assert_told(&w, "hello {}|died 1 was killed by signal 9 (Killed) lease L1 replaced|");
    end(&w);
}

static void who_asks_for_it_is_replaced_at_once(void **state)
{
    (void)state;
    struct world w;
    char mark[] = "/tmp/supervisor-XXXXXX";
    assert_non_null(mkdtemp(mark));
    OWNED_MEM char *script = xasprintf(
        "echo '{\"hello\":{}}' >&3; read -r line <&3; rmdir %s 2>/dev/null && r=recycle ||"
        " r=finished; echo \"{\\\"bye\\\":{\\\"ran\\\":9,\\\"reason\\\":\\\"$r\\\"}}\" >&3",
        mark);
    begin(&w, script);
    until_told(&w, "hello {}|");
    supervisor_go(w.supervisor, &go, now_of(&w));
    until_over(&w);
    assert_told(&w, "hello {}|recycled 1 after 9|");
    assert_int_equal(supervisor_deaths(w.supervisor), 0);
    end(&w);
}

static void who_never_says_hello_ends_the_run(void **state)
{
    (void)state;
    struct world w;
    begin(&w, "echo last words; exit 3");
    until_over(&w);
    assert_told(&w, "1: last words|died 1 ended with status 3 lease none|");
    assert_int_equal(supervisor_failure(w.supervisor)->code, ERR_IO);
    assert_string_equal(supervisor_failure(w.supervisor)->text,
                        "the worker process ended with status 3 before it said a word: last words");
    end(&w);
}

static void who_dies_again_and_again_before_it_is_ready_ends_the_run(void **state)
{
    (void)state;
    struct world w;
    begin(&w, "echo '{\"hello\":{}}' >&3; read -r line <&3; exit 4");
    until_told(&w, "hello {}|");
    supervisor_go(w.supervisor, &go, now_of(&w));
    while (!supervisor_is_over(w.supervisor)) {
        /* The waits between are passed over. */
        int64_t next = supervisor_next_us(w.supervisor);
        if (next != NEVER_US && next > now_of(&w).mono_us)
            w.later_us += next - now_of(&w).mono_us;
        step(&w);
    }
    assert_string_equal(
        supervisor_failure(w.supervisor)->text,
        "the worker process died 5 times before it was ready (ended with status 4)");
    assert_int_equal(supervisor_deaths(w.supervisor), 5);
    end(&w);
}

static void the_wait_before_the_next_start_doubles(void **state)
{
    (void)state;
    struct world w;
    begin(&w, "echo '{\"hello\":{}}' >&3; read -r line <&3; exit 4");
    until_told(&w, "hello {}|");
    supervisor_go(w.supervisor, &go, now_of(&w));
    for (int deaths = 1; deaths <= 4; deaths++) {
        while (supervisor_deaths(w.supervisor) < deaths)
            step(&w);
        int64_t wait = supervisor_next_us(w.supervisor) - now_of(&w).mono_us;
        int64_t whole = (SECOND_US / 10) << (deaths - 1);
        assert_true(wait <= whole && wait > whole - SECOND_US); /* some of it may have passed */
        w.later_us += wait > 0 ? wait : 0;
    }
    end(&w);
}

static void a_reason_before_the_hello_is_the_users(void **state)
{
    (void)state;
    struct world w;
    begin(&w, "echo '{\"error\":{\"text\":\"no such file\",\"traceback\":\"T\"}}' >&3; exit 2");
    until_over(&w);
    assert_told(&w, "failed  no such file T|");
    assert_int_equal(supervisor_failure(w.supervisor)->code, ERR_INVALID);
    assert_string_equal(supervisor_failure(w.supervisor)->text, "no such file");
    end(&w);
}

static void a_failed_on_startup_stops_everybody(void **state)
{
    (void)state;
    struct world w;
    char mark[] = "/tmp/supervisor-XXXXXX";
    assert_non_null(mkdtemp(mark));
    OWNED_MEM char *script =
        xasprintf("echo '{\"hello\":{}}' >&3; read -r line <&3; rmdir %s 2>/dev/null && echo"
                  " '{\"failed\":{\"where\":\"on_startup\",\"text\":\"no\"}}' >&3 && exit 1; read "
                  "-r line <&3;"
                  " echo $line; echo '{\"bye\":{\"reason\":\"stopped\"}}' >&3",
                  mark);
    begin_with(&w, script, (struct supervisor_plan){.processes = 2});
    until_told(&w, "hello {}|");
    supervisor_go(w.supervisor, &go, now_of(&w));
    until_over(&w);
    assert_true(was_told(&w, "failed on_startup no |"));
    assert_int_equal(supervisor_failure(w.supervisor)->code, ERR_IO);
    end(&w);
}

static void a_failed_on_shutdown_stops_nobody(void **state)
{
    (void)state;
    struct world w;
    begin(&w, "echo '{\"hello\":{}}' >&3; read -r line <&3;"
              " echo '{\"failed\":{\"where\":\"on_shutdown\",\"text\":\"no\"}}' >&3;"
              " echo '{\"bye\":{\"reason\":\"finished\"}}' >&3");
    until_told(&w, "hello {}|");
    supervisor_go(w.supervisor, &go, now_of(&w));
    until_over(&w);
    assert_told(&w, "hello {}|failed on_shutdown no |");
    assert_int_equal(supervisor_failure(w.supervisor)->code, ERR_NONE);
    end(&w);
}

static void a_stop_gives_time_and_then_kills(void **state)
{
    (void)state;
    struct world w;
    begin(&w,
          "echo '{\"hello\":{}}' >&3; read -r line <&3; read -r line <&3; echo $line; sleep 99");
    until_told(&w, "hello {}|");
    supervisor_go(w.supervisor, &go, now_of(&w));
    supervisor_stop(w.supervisor, 2 * SECOND_US, now_of(&w));
    until_told(&w, "1: {\"stop\":{\"grace_s\":2}}|");
    assert_true(supervisor_next_us(w.supervisor) > now_of(&w).mono_us + 2 * SECOND_US);
    w.later_us = 60 * SECOND_US;
    until_over(&w);
    assert_true(was_told(&w, "|died 1 was killed by signal 9 (Killed) lease none|"));
    assert_int_equal(supervisor_failure(w.supervisor)->code, ERR_NONE);
    end(&w);
}

static void a_stop_before_the_hello_kills_at_once(void **state)
{
    (void)state;
    struct world w;
    begin(&w, "sleep 99");
    supervisor_stop(w.supervisor, 60 * SECOND_US, now_of(&w));
    until_over(&w);
    end(&w);
}

static void who_was_alive_and_is_silent_is_killed_and_replaced(void **state)
{
    (void)state;
    struct world w;
    char mark[] = "/tmp/supervisor-XXXXXX";
    assert_non_null(mkdtemp(mark));
    OWNED_MEM char *script =
        xasprintf("echo '{\"hello\":{}}' >&3; read -r line <&3; echo '{\"ready\":{}}' >&3;"
                  " echo '{\"alive\":{}}' >&3; rmdir %s 2>/dev/null && echo hangs && sleep 99;"
                  " echo '{\"bye\":{\"reason\":\"finished\"}}' >&3",
                  mark);
    begin_with(&w, script, (struct supervisor_plan){.timeout_s = 5});
    until_told(&w, "hello {}|");
    supervisor_go(w.supervisor, &go, now_of(&w));
    until_told(&w, "1: hangs|");
    int64_t limit = supervisor_next_us(w.supervisor) - now_of(&w).mono_us;
    assert_true(limit > 0 && limit <= 6 * SECOND_US); /* timeout and grace */
    w.later_us = 7 * SECOND_US;
    until_over(&w);
    assert_told(&w, "hello {}|1: hangs|died 1 was killed: it gave no sign of life for "
                    "longer than --timeout and --grace lease none replaced|");
    end(&w);
}

static void who_grows_beyond_twice_the_limit_is_killed(void **state)
{
    (void)state;
    struct world w;
    /* Any process is larger than this. */
    begin_with(&w, "echo '{\"hello\":{}}' >&3; read -r line <&3; echo works; sleep 99",
               (struct supervisor_plan){.max_memory_bytes = 1});
    until_told(&w, "hello {}|");
    supervisor_go(w.supervisor, &go, now_of(&w));
    until_told(&w, "1: works|");
    w.later_us = 2 * SECOND_US;
    until_told(
        &w,
        "died 1 was killed: it had grown to twice --max-memory-per-process lease none replaced|");
    end(&w);
}

static void what_a_process_leaves_behind_goes_with_it(void **state)
{
    (void)state;
    struct world w;
    begin(&w, "echo '{\"hello\":{}}' >&3; read -r line <&3; sleep 99 & echo $!;"
              " echo '{\"bye\":{\"reason\":\"finished\"}}' >&3");
    until_told(&w, "hello {}|");
    supervisor_go(w.supervisor, &go, now_of(&w));
    until_over(&w); /* although the sleeper holds the pipe */
    end(&w);
}

static void a_program_that_is_not_there_is_said_at_once(void **state)
{
    (void)state;
    static const char *const argv[] = {"/none/such", NULL};
    struct supervisor *s = NULL;
    struct err err;
    const struct supervisor_plan plan = {.argv = argv, .processes = 1, .hooks = &hooks};
    assert_false(supervisor_start(&plan, clock_now(), &s, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_null(s);
}

static void an_end_without_waiting_leaves_nobody(void **state)
{
    (void)state;
    struct world w;
    begin_with(&w, "echo '{\"hello\":{}}' >&3; sleep 99", (struct supervisor_plan){.processes = 3});
    until_told(&w, "hello {}|");
    supervisor_go(w.supervisor, &go, now_of(&w));
    supervisor_kill(w.supervisor);
    until_over(&w);
    end(&w);
    begin(&w, "sleep 99");
    end(&w);
}

static void kills_for_want_of_memory_are_read_from_what_the_kernel_counts(void **state)
{
    (void)state;
    assert_int_equal(worker_process_oom_kills_in(STR("pgfault 7\noom_kill 12\nnuma_hit 3\n")), 12);
    assert_int_equal(worker_process_oom_kills_in(STR("oom_kill 0")), 0);
    assert_int_equal(worker_process_oom_kills_in(STR("oom_kill_x 4\nxoom_kill 5\n")), -1);
    assert_int_equal(worker_process_oom_kills_in(STR("oom_kill many\n")), -1);
    assert_int_equal(worker_process_oom_kills_in(STR("")), -1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_processes_are_told_and_leave_by_themselves),
        cmocka_unit_test(what_it_says_is_passed_on),
        cmocka_unit_test(who_dies_is_replaced_and_its_lease_told),
        cmocka_unit_test(who_asks_for_it_is_replaced_at_once),
        cmocka_unit_test(who_never_says_hello_ends_the_run),
        cmocka_unit_test(who_dies_again_and_again_before_it_is_ready_ends_the_run),
        cmocka_unit_test(the_wait_before_the_next_start_doubles),
        cmocka_unit_test(a_reason_before_the_hello_is_the_users),
        cmocka_unit_test(a_failed_on_startup_stops_everybody),
        cmocka_unit_test(a_failed_on_shutdown_stops_nobody),
        cmocka_unit_test(a_stop_gives_time_and_then_kills),
        cmocka_unit_test(a_stop_before_the_hello_kills_at_once),
        cmocka_unit_test(who_was_alive_and_is_silent_is_killed_and_replaced),
        cmocka_unit_test(who_grows_beyond_twice_the_limit_is_killed),
        cmocka_unit_test(what_a_process_leaves_behind_goes_with_it),
        cmocka_unit_test(a_program_that_is_not_there_is_said_at_once),
        cmocka_unit_test(an_end_without_waiting_leaves_nobody),
        cmocka_unit_test(kills_for_want_of_memory_are_read_from_what_the_kernel_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
