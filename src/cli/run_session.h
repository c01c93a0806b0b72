/* run_session.h: worker processes at work on one job, from the first process to the last, with what
 * a person sees of it: progress, messages, the log; and signals. Used by `run` and `worker`.
 *
 * One loop waits for everything: processes, the server's answers, signals, the next line of
 * progress. Threads: the main one. */
#ifndef PENSTOCK_CLI_RUN_SESSION_H
#define PENSTOCK_CLI_RUN_SESSION_H

#include "cli/run_settings.h"
#include "cli/run_worker.h"
#include "cli/shown_job.h"
#include "run/http_client.h"
#include "run/progress.h"

struct run_session;

/* Blocks the signals, for every thread that is made from here on, and starts the first process (if
 * there are to be any). `settings` and `worker` must outlive the session. */
MUST_CHECK bool run_session_open(const struct run_settings *settings,
                                 const struct run_worker *worker, struct run_session **out,
                                 struct err *err);
/* Kills what still runs and asks the server nothing more: before its client goes. */
void run_session_end(struct run_session *r); /* NULL is fine */
/* The same, and closes the log: after every other thread that may log. */
void run_session_free(struct run_session *r);
DEFINE_OWNED(run_session)

/* Waits until the first process has said who it is: the body of its hello, borrowed. ERR_INVALID
 * when it cannot: its own words. ERR_INTERRUPTED, ERR_TERMINATED: a signal came first. */
MUST_CHECK bool run_session_hello(struct run_session *r, struct str *body, struct err *err);
/* The log of the run, when there is one: from now on events go there. */
MUST_CHECK bool run_session_log(struct run_session *r, struct err *err);

/* Where the work is. Texts are borrowed until the session is freed. */
struct run_work {
    struct client *client;
    const char *job;                       /* by its name */
    const char *server, *key, *token, *ca; /* for the processes */
    bool shows_progress;
};
/* Works until all processes have gone for good, or, when there are none, until the job has ended.
 * What came of it is asked by the functions below. False when the server is away for good. */
MUST_CHECK bool run_session_work(struct run_session *r, const struct run_work *work,
                                 struct err *err);

/* Asks the server how the job is now. */
MUST_CHECK bool run_session_ask(struct run_session *r, struct shown_job *out, struct err *err);
/* The signal that stopped it, 0: none. */
int run_session_signal(const struct run_session *r);
/* Why it ended by itself: code ERR_NONE when it did not. */
const struct err *run_session_failure(const struct run_session *r);
/* That on_shutdown failed, in words; NULL. */
const char *run_session_shutdown_failure(const struct run_session *r);
int64_t run_session_deaths(const struct run_session *r);
/* The job as it was when the work began; borrowed. */
const struct shown_job *run_session_before(const struct run_session *r);
/* This run's part of what the job is now. */
void run_session_figures(const struct shown_job *before, const struct shown_job *now,
                         struct progress_figures *out);
/* Prints a line for the person, above the progress. */
void run_session_say(struct run_session *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Ends the line of progress, of which these are the last figures: what is printed now stands below
 * it. */
void run_session_end_progress(struct run_session *r, const struct progress_figures *f);

#endif
