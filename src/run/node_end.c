/* node_end.c: see node_end.h. */
#include "run/node_end.h"

#include "base/clock.h"
#include "base/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { CODE_TERMINATED = 907, CODE_OF_SIGNAL = 128, TAIL_LINES = 10 };

/* ---- what it said ---- */

void node_outcome_take(struct node_outcome *o, struct str error)
{
    static const char *const names[] = {"type", "message", "traceback"};
    char **const texts[] = {&o->type, &o->message, &o->traceback};
    for (size_t i = 0; error.len && i < sizeof names / sizeof *names; i++) {
        struct str raw;
        if (!json_find(error, names[i], &raw))
            continue;
        free(*texts[i]);
        *texts[i] = json_take_text(raw);
    }
}

void node_outcome_release(struct node_outcome *o)
{
    free(o->type);
    free(o->message);
    free(o->traceback);
    *o = (struct node_outcome){0};
}

/* ---- how it is judged ---- */

static int64_t code_of(int status)
{
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    return CODE_OF_SIGNAL + (WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

int64_t node_past_code(const struct node_past *p)
{
    if (p->stop == STOP_TIMEOUT)
        return CODE_TERMINATED;
    return p->outcome->code ? p->outcome->code : code_of(p->status);
}

char *node_past_words(const struct node_past *p)
{
    const struct node_outcome *o = p->outcome;
    if (p->stop == STOP_ABORT)
        return xstrdup("aborted");
    if (p->stop == STOP_TIMEOUT)
        return xasprintf("took longer than %g s", p->task->timeout_s);
    if (o->code && o->message && *o->message)
        return o->type && *o->type ? xasprintf("%.100s: %.300s", o->type, o->message)
                                   : xasprintf("%.400s", o->message);
    if (WIFSIGNALED(p->status))
        return xasprintf("killed by signal %d (%s)", WTERMSIG(p->status),
                         strsignal(WTERMSIG(p->status)));
    if (!p->task->command && o->code)
        return xasprintf("returned %" PRId64, o->code);
    return xasprintf("exit status %" PRId64, code_of(p->status));
}

const char *node_past_type(const struct node_past *p)
{
    if (p->stop == STOP_TIMEOUT)
        return "TimeoutError";
    if (p->outcome->type && *p->outcome->type)
        return p->outcome->type;
    return WIFSIGNALED(p->status) ? "Killed" : "ExitStatus";
}

enum node_end node_past_judge(const struct node_past *p, int64_t no_retry_code)
{
    const struct node_task *t = p->task;
    int64_t code = node_past_code(p);
    if (p->stop == STOP_ABORT)
        return NODE_ABORTED;
    if (code == 0)
        return NODE_COMPLETED;
    bool final = p->outcome->final || code == no_retry_code;
    return final || t->attempt >= t->max_attempts ? NODE_FAILED : NODE_RETRIED;
}

struct node_banner node_banner_of(const struct node_task *t)
{
    return (struct node_banner){.node = t->node,
                                .name = t->name,
                                .attempt = t->attempt,
                                .max_attempts = t->max_attempts,
                                .wait_s = t->attempt > 1 ? t->retry_wait_s : 0,
                                .at_us = clock_now().wall_us};
}

/* ---- ends that are to be told ---- */

struct ended *ended_new(const struct node_past *p, enum node_end end, double elapsed_s,
                        int64_t log_from_bytes)
{
    struct ended *e = xcalloc(1, sizeof *e);
    struct node_banner banner = node_banner_of(p->task);
    struct buf tail;
    buf_init(&tail, BUF_NO_CAP);
    e->end = end;
    e->code = node_past_code(p);
    e->why = node_past_words(p);
    e->elapsed_s = elapsed_s;
    OWNED_MEM char *said = end == NODE_COMPLETED || end == NODE_ABORTED
                               ? xstrdup(end == NODE_COMPLETED ? "completed" : "aborted")
                               : xasprintf("failed with code %" PRId64 " (%s)", e->code, e->why);
    node_log_end(p->task->logfile, &banner, said, elapsed_s);
    if (end == NODE_FAILED)
        node_log_tail(p->task->logfile, log_from_bytes, TAIL_LINES, &tail);
    e->tail = buf_take(&tail);
    return e;
}

void ended_free(struct ended *e)
{
    if (!e)
        return;
    node_task_free(e->task);
    free(e->why);
    free(e->tail);
    free(e);
}

void ended_list_add(struct ended_list *l, struct ended *e)
{
    if (l->last)
        l->last->next = e;
    else
        l->first = e;
    l->last = e;
}

struct ended *ended_list_take(struct ended_list *l)
{
    struct ended *e = l->first;
    if (!e)
        return NULL;
    l->first = e->next;
    if (!l->first)
        l->last = NULL;
    return e;
}

void ended_list_clear(struct ended_list *l)
{
    for (struct ended *e = NULL; (e = ended_list_take(l));)
        ended_free(e);
}
