/* exec_end.c: how a life of the program ended, and who is to blame (exec_life.h). */
#include "base/clock.h"
#include "run/exec_life_own.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum {
    AGAIN_MOST_US = 10000000, /* the longest wait before it is started again */
    FRUITLESS_MAX = 5,        /* so many lives without an answer, and it is of no use */
    NOT_RUN = 126,            /* what a shell says of a command: */
    NOT_FOUND = 127,
    BY_SIGNAL = 128 /* and this plus the number of the signal */
};

static void fail_head(struct exec_life *l, const char *type, const char *text, bool final,
                      bool lost)
{
    const struct queued_record *head = record_queue_head(l->plan.queue);
    exec_life_tell(l, head->number, str_of(text));
    outcomes_fail(l->plan.outcomes, head->number,
                  &(struct failure){
                      .message = str_of(text), .type = str_of(type), .final = final, .lost = lost});
    record_queue_pop(l->plan.queue);
    l->ran++;
    if (l->suspects)
        l->suspects--;
}

/* After a life that ended before it had answered: what the next one is given. */
static void share_out(struct exec_life *l, size_t running)
{
    if (l->suspects < running)
        l->suspects = running;
    l->ration = running > 1 ? running / 2 : 1;
}

void exec_end_rest(struct exec_life *l, int64_t now_us)
{
    l->again_us = now_us + l->again_wait_us;
    l->again_wait_us *= 2;
    if (l->again_wait_us > AGAIN_MOST_US)
        l->again_wait_us = AGAIN_MOST_US;
}

/* The signal that killed a program, 0: it has ended itself. */
static int signal_of(int status)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    /* A shell says so when it was its child. */
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : code > BY_SIGNAL ? code - BY_SIGNAL : 0;
    return number < NSIG ? number : 0;
}

/* How a program has ended, in words. */
static void describe(int status, char *out, size_t size)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    int number = signal_of(status);
    if (number > 0)
        snprintf(out, size, "the program was killed by signal %d (%s) before it answered", number,
                 strsignal(number));
    else
        snprintf(out, size, "the program exited with status %d before it answered", code);
}

/* It dies whatever it is given. */
static bool unfit(const char *how, struct err *err)
{
    return err_set(err, ERR_INVALID, "%s, again and again, and answers nothing", how);
}

/* `lost`: nobody can tell whether what it had in its hands is to blame. */
static bool died(struct exec_life *l, const char *how, bool lost, int64_t now_us, struct err *err)
{
    size_t running = exec_life_running(l);
    /* With one at a time in its hands it can have died of no other. */
    bool alone = l->begun <= 1 || l->slots == 1;
    exec_life_end(l);
    if (running > 1 || (running == 1 && !alone)) {
        worker_control_log(l->plan.control, l->suspects ? "debug" : "warning",
                           "%s %zu records; they are tried again in smaller groups", how, running);
        share_out(l, running);
        return true;
    }
    exec_end_rest(l, now_us);
    l->fruitless++;
    if (running == 0) /* it did not even read */
        return l->fruitless < FRUITLESS_MAX || unfit(how, err);
    fail_head(l, "ProgramDied", how, false, lost);
    l->ration = l->suspects;
    return l->ever_answered > 0 || l->fruitless < FRUITLESS_MAX || unfit(how, err);
}

/* It has read all, has ended well, and has not answered all: a filter. Which answers are missing
 * nobody can tell. */
static bool too_few(struct exec_life *l, struct err *err)
{
    return err_set(err, ERR_INVALID,
                   "the program ended well, but printed %lld lines for %lld records: it must print "
                   "one line for each (an empty one for nothing), and answers it gave before may "
                   "stand with the wrong records",
                   (long long)l->answered, (long long)l->begun);
}

bool exec_end_take(struct exec_life *l, int status, int64_t now_us, struct err *err)
{
    char how[160];
    struct str rest = line_program_rest(l->program);
    bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    if (well && rest.len && !exec_life_take(l, rest, now_us, err))
        return false;
    if (exec_life_running(l) == 0 && (l->answered > 0 || l->input_closed)) {
        exec_life_end(l);
        l->ration = l->suspects;
        return true;
    }
    if ((code == NOT_RUN || code == NOT_FOUND) && l->ever_answered == 0)
        return err_set(err, ERR_NOT_FOUND, "the program cannot be run: %s", l->plan.command);
    if (well && l->input_closed)
        return too_few(l, err);
    if (l->killed_for)
        snprintf(how, sizeof how, "%s", l->killed_for);
    else
        describe(status, how, sizeof how);
    return died(l, how, !l->killed_for && signal_of(status) > 0, now_us, err);
}

/* An answer that is too long ends a life: what follows it cannot be found. */
bool exec_end_too_long(struct exec_life *l, struct err *err)
{
    if (err->code != ERR_LIMIT || record_queue_fed(l->plan.queue) == 0)
        return false;
    exec_life_end(l);
    fail_head(l, "TooLong", err->text, true, false);
    return true;
}

void exec_end_time_out(struct exec_life *l)
{
    char how[160];
    size_t running = exec_life_running(l);
    bool sure = l->proven || running == 1;
    snprintf(how, sizeof how, "no answer within %.10g s", (double)l->plan.timeout_us / 1e6);
    exec_life_end(l);
    if (sure) {
        fail_head(l, "Timeout", how, false, false);
        return;
    }
    worker_control_log(l->plan.control, "warning",
                       "the program: %s, with %zu records; they are tried again one by one", how,
                       running);
    share_out(l, running);
    l->ration = 1;
}
