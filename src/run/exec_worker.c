/* exec_worker.c: see exec_worker.h. One loop joins three things that never wait for each other: the
 * session with the server (work_session.h), the program (exec_life.h) and the supervisor
 * (worker_control.h). */
#include "run/exec_worker.h"

#include "base/clock.h"
#include "base/json.h"
#include "run/exec_life.h"
#include "run/outage.h"
#include "run/work_session.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
    CLAIM_FIRST =
        2, /* records asked for at first: a slow program shall not hold what others could do */
    CLAIM_MOST = 16384,
    CLAIM_FAST_US = 100000,  /* a claim used up within this asks for twice as much next time, */
    CLAIM_SLOW_US = 1000000, /* one that took longer than this for half */
    CLAIM_WAIT_S = 10,
    SETTLE_BYTES = 1 << 20,   /* so many answers are settled at once, */
    SETTLE_WAIT_US = 10000,   /* or fewer after this time */
    STOP_SETTLE_US = 10000000 /* how long what was answered may take to be settled after a stop */
};
#define HELD_MAX_BYTES ((size_t)48 << 20)

struct exec_worker {
    struct worker_control control;
    struct worker_orders orders;
    struct client *client;
    struct work_session *session;
    struct record_queue *queue;
    struct outcomes outcomes;
    struct exec_life *life;

    size_t claim_size, asked;
    int64_t claimed_us;  /* when the last claim was answered */
    double again_s;      /* so long a rate holds tasks back; 0 */
    int64_t slots;       /* as the server said; -1: no limit */
    bool paced, alone;   /* the last claim's */
    bool finished;       /* nothing will ever come */
    bool ready;          /* work has come */
    bool same_clock;     /* the server is on this machine */
    int64_t gathered_us; /* since when outcomes wait to be settled */
    bool stopping;
    int64_t kill_us, leave_us; /* after a stop: when the program is killed, when we go anyway */
    int64_t alive_us;          /* when to say that we live */
    struct outage outage;      /* of the server, as the person was told */
};

static void worker_release(struct exec_worker *w)
{
    exec_life_free(w->life);
    work_session_free(w->session);
    client_free(w->client);
    record_queue_free(w->queue);
    outcomes_release(&w->outcomes);
    worker_orders_release(&w->orders);
    worker_control_release(&w->control);
}

/* ---- the server ---- */

static void take_lost(struct exec_worker *w)
{
    worker_control_log(&w->control, "warning",
                       "the lease has ended: what was in hand is in other hands now");
    exec_life_kill(w->life);
    record_queue_clear(w->queue);
    outcomes_clear(&w->outcomes);
    w->alone = false;
}

/* The next task of [[9,"cancelled"],...]; false: there is none. */
static bool next_abort(struct json *list, int64_t *task)
{
    struct json pair;
    struct str raw;
    if (!json_item(list) || !json_value(list, &raw))
        return false;
    json_open(&pair, raw);
    return json_enter(&pair, '[') && json_item(&pair) && json_value(&pair, &raw) &&
           json_i64(raw, 1, INT64_MAX, task);
}

/* Tasks that are to be stopped: a program can be told so by its end only. The others that it had
 * are fed to the next one. */
static void take_aborts(struct exec_worker *w)
{
    struct json list;
    int64_t task = 0;
    json_open(&list, work_session_aborts(w->session));
    if (!json_enter(&list, '['))
        return;
    while (next_abort(&list, &task)) {
        if (!record_queue_has(w->queue, task))
            continue; /* answered in the meantime */
        exec_life_kill(w->life);
        record_queue_remove(w->queue, task);
        outcomes_abort(&w->outcomes, task);
    }
}

static void fit_claims(struct exec_worker *w, size_t came, int64_t now_us)
{
    int64_t took_us = now_us - w->claimed_us;
    bool full = came >= w->asked;
    if (full && took_us < CLAIM_FAST_US && w->claim_size < CLAIM_MOST)
        w->claim_size *= 2;
    else if (took_us > CLAIM_SLOW_US && w->claim_size > CLAIM_FIRST)
        w->claim_size /= 2;
    w->claimed_us = now_us;
}

/* With processes beside us we leave them their part from the start: what a program that is stuck
 * has in its hands nobody can give to another. */
static int64_t own_slots(const struct exec_worker *w, int64_t told)
{
    int64_t hint = w->orders.slots_hint;
    return told > hint && hint > 0 ? hint : told;
}

/* A task's time runs from its claim, and a program that dies takes its tasks along: none is claimed
 * that does not run at once. */
static int64_t task_slots(const struct worker_orders *orders)
{
    return orders->slots_hint > 0 ? orders->slots_hint : 1;
}

static bool take_claimed(struct exec_worker *w, int64_t now_us, struct err *err)
{
    struct claim_answer answer;
    if (!record_queue_add(w->queue, work_session_answer(w->session), now_us, w->same_clock, &answer,
                          err))
        return false;
    OWNED_MEM char *lease = answer.lease;
    bool fresh = lease && !work_session_lease(w->session);
    work_session_set_lease(w->session, lease);
    if (fresh)
        worker_control_lease(&w->control, lease);
    if (answer.count > 0 && !w->ready) {
        w->ready = true;
        worker_control_ready(&w->control);
    }
    fit_claims(w, answer.count, now_us);
    w->finished =
        answer.finished || (w->orders.one_shot && answer.count == 0 && answer.again_s < 0);
    w->again_s = answer.again_s > 0 ? answer.again_s : 0;
    w->slots = w->orders.job ? own_slots(w, answer.slots) : task_slots(&w->orders);
    w->alone = answer.alone;
    if (answer.paced && !w->paced)
        prctl(PR_SET_TIMERSLACK, 1); /* starts are due to a fraction of a millisecond */
    w->paced = answer.paced;
    if (w->paced)
        exec_life_set_alone_until(w->life, answer.alone_until_us);
    exec_life_set_slots(w->life, w->slots);
    return true;
}

static void tell_outage(struct exec_worker *w, int64_t now_us)
{
    char text[OUTAGE_TEXT_BYTES];
    const struct err *away = work_session_away(w->session);
    if (away ? outage_failed(&w->outage, now_us, away->text, text)
             : outage_answered(&w->outage, now_us, text))
        worker_control_away(&w->control, away != NULL, text);
}

static bool step_session(struct exec_worker *w, int64_t now_us, struct err *err)
{
    for (enum session_news news = SESSION_CLAIMED; news != SESSION_QUIET;) {
        if (!work_session_step(w->session, now_us, &news, err))
            return false;
        if (news == SESSION_LOST)
            take_lost(w);
        if (news == SESSION_ABORTS)
            take_aborts(w);
        if (news == SESSION_CLAIMED && !take_claimed(w, now_us, err))
            return false;
    }
    tell_outage(w, now_us);
    return true;
}

/* How many records to ask for; 0: none now. */
static size_t wanted(const struct exec_worker *w)
{
    size_t unfed = record_queue_unfed(w->queue), running = exec_life_running(w->life);
    if (w->stopping || w->finished || record_queue_bytes(w->queue) > HELD_MAX_BYTES)
        return 0;
    if (w->alone && (unfed > 0 || running > 0))
        return 0;
    /* Only when all is settled does an empty answer say that nothing is left: what ran may have
     * asked for more. */
    if (w->orders.one_shot &&
        (unfed + running + outcomes_count(&w->outcomes) + work_session_settling(w->session) > 0))
        return 0;
    if (w->slots >= 0) {
        size_t ahead = w->orders.job ? (size_t)w->slots + 1 : 0;
        size_t most = (size_t)w->slots + ahead, held = unfed + running;
        return held < most ? most - held : 0;
    }
    /* A program so fast must not wait for the way of a whole answer; of a slower one others want
     * what it does not get at. */
    size_t low = w->claim_size < CLAIM_MOST ? w->claim_size / 2 : w->claim_size;
    return unfed <= low ? w->claim_size : 0;
}

static void add_number(void *context, int64_t number)
{
    json_out_i64(context, number);
}

static bool claim(struct exec_worker *w, int64_t now_us, struct err *err)
{
    OWNED_BUF struct buf holds;
    struct json_out o;
    size_t max = wanted(w);
    buf_init(&holds, BUF_NO_CAP);
    if (!max || !work_session_may_claim(w->session, now_us))
        return true;
    if (work_session_must_tell(w->session)) {
        if (outcomes_count(&w->outcomes) > 0)
            return true;
        json_out_init(&o, &holds);
        record_queue_each(w->queue, add_number, &o);
    }
    w->asked = max < CLAIM_MOST ? max : CLAIM_MOST;
    double wait_s = w->orders.one_shot ? fmin(w->again_s, CLAIM_WAIT_S) : CLAIM_WAIT_S;
    /* A server that was away is asked what it answers at once: then it is known to be back. */
    if (work_session_away(w->session))
        wait_s = 0;
    return work_session_claim(w->session, w->asked, wait_s, exec_life_running(w->life),
                              buf_str(&holds), err);
}

/* When the outcomes at hand are to be settled; NEVER_US: there are none. */
static int64_t settle_at_us(const struct exec_worker *w)
{
    if (outcomes_count(&w->outcomes) == 0)
        return NEVER_US;
    bool enough = outcomes_bytes(&w->outcomes) >= SETTLE_BYTES;
    return enough || w->stopping || exec_life_running(w->life) == 0
               ? 0
               : w->gathered_us + SETTLE_WAIT_US;
}

static bool settle(struct exec_worker *w, int64_t now_us, struct err *err)
{
    if (settle_at_us(w) > now_us || !work_session_may_settle(w->session))
        return true;
    if (!work_session_lease(w->session)) { /* it ended while the program worked on */
        outcomes_clear(&w->outcomes);
        return true;
    }
    return work_session_settle(w->session, &w->outcomes, err);
}

/* ---- the program ---- */

static enum exec_supply supply(const struct exec_worker *w)
{
    bool limited = w->slots >= 0 || w->paced;
    bool claiming = work_session_is_claiming(w->session);
    bool full = record_queue_bytes(w->queue) > HELD_MAX_BYTES;
    if (limited && !w->finished && !w->alone)
        return claiming || wanted(w) == 0 ? SUPPLY_LIMITED : SUPPLY_COMING;
    bool last = claiming || full || w->finished || w->alone;
    /* What is to run alone comes only when all before it is answered. */
    const struct queued_record *next = record_queue_next(w->queue);
    bool waits = next && next->alone && !record_queue_head(w->queue)->alone;
    return waits || (!next && last) ? SUPPLY_DRY : SUPPLY_COMING;
}

static bool step_program(struct exec_worker *w, int64_t now_us, struct err *err)
{
    size_t before = outcomes_count(&w->outcomes);
    exec_life_set_settled(w->life, before == 0 && work_session_settling(w->session) == 0);
    bool good = exec_life_step(w->life, now_us, supply(w), err);
    int64_t late_us = exec_life_late_before_us(w->life);
    if (good && late_us && record_queue_drop_before(w->queue, late_us) > 0) {
        work_session_give_back(w->session);
        good = exec_life_step(w->life, now_us, supply(w), err);
    }
    if (before == 0 && outcomes_count(&w->outcomes) > 0)
        w->gathered_us = now_us;
    return good;
}

/* ---- the supervisor ---- */

static void stop(struct exec_worker *w, int64_t grace_us, int64_t now_us)
{
    w->stopping = true;
    w->kill_us = now_us + grace_us;
    w->leave_us = w->kill_us + STOP_SETTLE_US;
    work_session_stop_claiming(w->session);
    exec_life_wind_up(w->life, now_us);
}

static bool step_control(struct exec_worker *w, int64_t now_us, struct err *err)
{
    enum control_news news = CONTROL_QUIET;
    int64_t grace_us = 0;
    if (!worker_control_read(&w->control, &news, &w->orders, &grace_us, err))
        return false;
    if (news == CONTROL_STOP)
        stop(w, grace_us, now_us);
    else if (news == CONTROL_CLOSED)
        stop(w, 0, now_us);
    if (w->orders.alive_s > 0 && w->alive_us <= now_us) {
        w->alive_us = now_us + (int64_t)(w->orders.alive_s * 1e6);
        worker_control_alive(&w->control);
    }
    if (w->stopping && w->kill_us <= now_us)
        exec_life_kill(w->life);
    return true;
}

/* ---- the loop ---- */

static bool is_over(const struct exec_worker *w, int64_t now_us)
{
    bool settled = outcomes_count(&w->outcomes) == 0 && work_session_settling(w->session) == 0;
    if (w->stopping)
        return (settled && !exec_life_is_on(w->life)) || w->leave_us <= now_us;
    return w->finished && settled && !record_queue_head(w->queue) && !exec_life_is_on(w->life);
}

static bool wait_for_something(struct exec_worker *w, struct err *err)
{
    struct pollfd fds[EXEC_LIFE_FDS + 1];
    size_t count = exec_life_fds(w->life, fds);
    if (w->control.fd >= 0)
        fds[count++] = (struct pollfd){.fd = w->control.fd, .events = POLLIN};
    int64_t times[] = {
        exec_life_next_us(w->life, supply(w)),
        work_session_next_us(w->session),
        work_session_may_settle(w->session) ? settle_at_us(w) : NEVER_US,
        wanted(w) > 0 && !work_session_is_claiming(w->session)
            ? work_session_claim_again_us(w->session)
            : NEVER_US,
        w->orders.alive_s > 0 ? w->alive_us : NEVER_US,
        w->stopping ? (exec_life_is_on(w->life) ? w->kill_us : w->leave_us) : NEVER_US,
    };
    int64_t next_us = NEVER_US, now_us = clock_now().mono_us;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        if (times[i] < next_us)
            next_us = times[i];
    int64_t wait_us = next_us == NEVER_US ? NEVER_US : next_us > now_us ? next_us - now_us : 0;
    return client_wait(w->client, fds, count, wait_us, err);
}

static bool work(struct exec_worker *w, struct err *err)
{
    for (;;) {
        int64_t now_us = clock_now().mono_us;
        if (!step_control(w, now_us, err) || !step_session(w, now_us, err) ||
            !step_program(w, now_us, err) || !settle(w, now_us, err) || !claim(w, now_us, err))
            return false;
        if (w->finished && !record_queue_head(w->queue))
            exec_life_wind_up(w->life, now_us);
        if (is_over(w, now_us))
            return true;
        if (!wait_for_something(w, err))
            return false;
    }
}

/* Until the supervisor gives the orders. *go is false when it has none. */
static bool await_orders(struct exec_worker *w, bool *go, struct err *err)
{
    enum control_news news = CONTROL_QUIET;
    int64_t grace_us = 0;
    while (news == CONTROL_QUIET)
        if (!worker_control_wait(&w->control, err) ||
            !worker_control_read(&w->control, &news, &w->orders, &grace_us, err))
            return false;
    *go = news == CONTROL_GO;
    return true;
}

static bool open_session(struct exec_worker *w, const struct exec_worker_options *options,
                         struct err *err)
{
    const struct worker_orders *o = &w->orders;
    struct client_target target = {
        .url = o->server, .key = o->key ? o->key : o->token, .ca = o->ca};
    OWNED_MEM char *name = o->worker ? xstrdup(o->worker) : xasprintf("exec:%d", (int)getpid());
    if (!client_new(&target, &w->client, err))
        return false;
    const struct work_source source = {.job = o->job,
                                       .queues = str_of(o->queues ? o->queues : ""),
                                       .functions = str_of(o->functions ? o->functions : "")};
    w->session = work_session_new(w->client, &source, name);
    w->same_clock = strncmp(o->server, "unix:", strlen("unix:")) == 0;
    w->queue = record_queue_new();
    outcomes_init(&w->outcomes, o->job ? WORK_RECORDS : WORK_TASKS);
    struct exec_life_plan plan = {.command = options->command,
                                  .timeout_us = (int64_t)(o->timeout_s * 1e6),
                                  .max_memory_bytes = o->max_memory_bytes,
                                  .max_records = o->max_records,
                                  .queue = w->queue,
                                  .outcomes = &w->outcomes,
                                  .control = &w->control};
    w->life = exec_life_new(&plan);
    if (!o->job) {
        w->slots = task_slots(o);
        exec_life_set_slots(w->life, w->slots);
    }
    return true;
}

/* What was answered is the user's work: it is settled even if the program proved unfit later. */
static void leave(struct exec_worker *w)
{
    exec_life_kill(w->life);
    work_session_leave(w->session);
}

static bool run(struct exec_worker *w, const struct exec_worker_options *options, struct err *err)
{
    bool go = true;
    worker_control_hello(&w->control, options->command, "exec");
    if (!await_orders(w, &go, err))
        return false;
    if (!go) {
        worker_control_bye(&w->control, 0, "stopped");
        return true;
    }
    if (!open_session(w, options, err))
        return false;
    bool good = work(w, err);
    leave(w);
    if (good)
        worker_control_bye(&w->control, exec_life_ran(w->life),
                           w->stopping ? "stopped" : "finished");
    return good;
}

/* What the run's exit status depends on. */
static const char *where_of(enum err_code code)
{
    return code == ERR_GONE ? "output" : code == ERR_NOT_FOUND ? "command" : "worker";
}

bool exec_worker_run(const struct exec_worker_options *options, struct err *err)
{
    struct exec_worker w = {.claim_size = CLAIM_FIRST, .slots = -1};
    /* A program that closes its input must not end us. */
    signal(SIGPIPE, SIG_IGN);
    /* When the supervisor is killed the control connection ends, and the program's whole group is
     * killed for it; the kernel would leave what the program has started. It is told no more. */
    if (prctl(PR_SET_PDEATHSIG, 0))
        return err_errno(err, errno, "outlive the supervisor");
    worker_control_init(&w.control, options->control_fd);
    bool good = run(&w, options, err);
    if (!good)
        worker_control_failed(&w.control, where_of(err->code), err->text);
    worker_release(&w);
    return good;
}
