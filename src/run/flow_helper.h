/* flow_helper.h: the warm Python interpreter that forks the attempts of Python nodes
 * (docs/flow-run.md), as its runner sees it: started through the keeper, told what to run, and
 * replaced when it dies or an import hangs. Attempts that run go on without it; the keeper tells of
 * their ends. Threads: one. */
#ifndef PENSTOCK_RUN_FLOW_HELPER_H
#define PENSTOCK_RUN_FLOW_HELPER_H

#include "run/helper_message.h"
#include "run/keeper.h"

struct flow_helper;

/* Borrowed, must outlive the helper. */
struct flow_helper_plan {
    struct keeper *keeper;
    const char *python;             /* its program */
    const char *const *environment; /* NAME=VALUE, added to the keeper's; NULL */
    int64_t import_timeout_us;
    const struct flow_helper_hooks *hooks;
    void *context;
};

/* What becomes of attempts, by their tasks. Texts are borrowed for the call. */
struct flow_helper_hooks {
    /* Its process leads a group of its own. */
    void (*started)(void *context, int64_t task, pid_t pid);
    /* There is no attempt. `error` as in struct helper_message. */
    void (*refused)(void *context, int64_t task, int64_t code, struct str error);
    /* Before its end, when it failed by what it did. */
    void (*outcome)(void *context, int64_t task, int64_t code, bool final, struct str error);
    /* `status` as of waitpid. */
    void (*exited)(void *context, int64_t task, int status);
};

struct flow_helper *flow_helper_new(const struct flow_helper_plan *plan);
void flow_helper_free(struct flow_helper *h); /* before the keeper, which kills what is left */
DEFINE_OWNED(flow_helper)

/* Starts the interpreter before there is anything to run. Errors: as keeper_run. */
MUST_CHECK bool flow_helper_warm(struct flow_helper *h, struct err *err);
/* What is told to each interpreter first; copied. Before anything is run. */
void flow_helper_set_up(struct flow_helper *h, const struct helper_setup *setup);

/* Runs an attempt; the hooks tell what becomes of it. ERR_LIMIT: it cannot be told; errors as
 * keeper_run. */
MUST_CHECK bool flow_helper_run(struct flow_helper *h, const struct node_task *t, struct err *err);
/* Nothing more is told of this attempt; should it begin after all, it is killed. */
void flow_helper_forget(struct flow_helper *h, int64_t task);
/* The helper that forked this attempt says nothing of its end: it is killed, unless the word has
 * come by now; what else runs goes on, and the keeper tells of its end. Errors as keeper_signal. */
MUST_CHECK bool flow_helper_renew(struct flow_helper *h, int64_t task, int64_t now_us,
                                  struct err *err);
/* To be polled; -1: there is nothing to be. */
int flow_helper_fd(const struct flow_helper *h);
/* Takes what came and sends what is due. */
MUST_CHECK bool flow_helper_step(struct flow_helper *h, int64_t now_us, struct err *err);
/* When to call it at the latest; NEVER_US. */
int64_t flow_helper_next_us(const struct flow_helper *h);
/* A report of the keeper's; whether it concerned this. */
bool flow_helper_report(struct flow_helper *h, const struct keeper_report *report, int64_t now_us);

/* Ids of programs that are helpers begin here; those of others are below. */
#define FLOW_HELPER_ID_FIRST (UINT64_C(1) << 62)

#endif
