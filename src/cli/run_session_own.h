/* run_session_own.h: what the files of the session share. */
#ifndef PENSTOCK_CLI_RUN_SESSION_OWN_H
#define PENSTOCK_CLI_RUN_SESSION_OWN_H

#include "cli/run_session.h"
#include "run/line_stream.h"
#include "run/supervisor.h"

enum { SHOWN_KEPT = 4 };

/* What a process held that died, and how it died; owned. */
struct lost_lease {
    char *token, *how;
};

struct run_session {
    const struct run_settings *settings;
    struct supervisor *supervisor; /* NULL: no process of our own */
    struct progress *progress;
    int signal_fd, log_fd; /* log_fd: the file, -1 */
    int log_ends[2];       /* the pipe that stands in for a file; -1 */
    struct line_stream log_lines;
    struct buf hello;
    bool has_hello;
    int signal;
    int failures_shown;
    char *shown[SHOWN_KEPT]; /* events that were shown of late, not to be shown again */
    size_t shown_next;
    bool said_full;
    int says_away; /* the process that tells of a server that is away; 0: none is away */
    char *shutdown_failure;

    struct run_work work;
    struct worker_go go;
    char *path;         /* of the job; NULL: none, it works on tasks */
    char *release_path; /* where leases are given back */
    struct call *report, *release;
    struct buf answer, release_body;
    struct shown_job before, now;
    bool has_before;
    int64_t look_us, away_us; /* away: since when no answer came; 0 */
    struct lost_lease *lost;  /* of processes that died: to be given back */
    size_t lost_count;
};

/* Shows an event, unless it was shown of late: what is tried again and again is said once. `text`
 * is what must differ, `line` what is printed. */
void run_session_show(struct run_session *r, struct str text, struct str line);

void lost_lease_release(struct lost_lease *lost);

/* Waits for whatever comes first, at most until then, and lets everybody take what has come. */
MUST_CHECK bool run_session_turn(struct run_session *r, int64_t until_us, struct err *err);
/* Begins and ends what is to be told of leases of processes that died. */
MUST_CHECK bool run_session_release(struct run_session *r, struct err *err);
/* The same at the very end, when nobody is left to wait for. */
void run_session_release_all(struct run_session *r);

/* What the supervisor tells; the context is the session. */
extern const struct supervisor_hooks run_hooks;

#endif
